"""The gradients are PyTorch's: leaves with requires_grad, backward(), .grad, and updates under no_grad."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff

pytestmark = pytest.mark.peer("torch")

BACKENDS = ["numpy", pytest.param("c", marks=pytest.mark.compiler)]
SAMPLES = (1, 7, 64, 1000)
TOLERANCE = 1e-12

D_COLUMNS = """
X: const(3, n)
target: const(1, n)
w1: (4, 3)
b1: (4, 1)
w2: (1, 4)
b2: (1, 1)
a2 = relu(w1 @ X + b1)
t = w2 @ a2 + b2 - target
C = sum(t**2)/n
"""
D_ROWS = """
X: const(n, 3)
target: const(n)
w1: (3, 4)
b1: 4
w2: 4
b2: ()
a2 = relu(X @ w1 + b1)
C = mean((a2 @ w2 + b2 - target)**2)
"""
MLP = """
X: const(n, 5)
Y: const(n, 3)
W1: (5, h)
b1: h
W2: (h, h)
b2: h
W3: (h, 3)
b3: 3
H1 = tanh(X @ W1 + b1)
H2 = gelu(H1 @ W2 + b2)
Z = H2 @ W3 + b3
J = mean(logsumexp(Z, axis=1) - sum(Z*Y, axis=1)) + 0.01*(sum(W1**2) + sum(W2**2) + sum(W3**2))
"""


def _d_columns(p: dict[str, Any]) -> Any:
    from torch.nn import functional

    prediction = p["w2"] @ functional.relu(p["w1"] @ p["X"] + p["b1"]) + p["b2"]
    return functional.mse_loss(prediction, p["target"])


def _d_rows(p: dict[str, Any]) -> Any:
    from torch.nn import functional

    hidden = functional.relu(functional.linear(p["X"], p["w1"].T, p["b1"]))
    return functional.mse_loss(hidden @ p["w2"] + p["b2"], p["target"])


def _mlp(p: dict[str, Any]) -> Any:
    from torch.nn import functional

    hidden = functional.linear(p["X"], p["W1"].T, p["b1"]).tanh()
    hidden = functional.gelu(functional.linear(hidden, p["W2"].T, p["b2"]))
    loss = functional.cross_entropy(hidden @ p["W3"] + p["b3"], p["Y"].argmax(1))
    return loss + 0.01 * sum(p[name].square().sum() for name in ("W1", "W2", "W3"))


MODELS = {"D columns": (D_COLUMNS, _d_columns), "D rows": (D_ROWS, _d_rows), "MLP": (MLP, _mlp)}


def point(formula: Any, n: int) -> dict[str, np.ndarray[Any, Any]]:
    """Normal data; one-hot rows for Y."""
    rng = np.random.default_rng(n)
    sizes = {"n": n, "h": 6}
    made = {}
    for name, shape in formula.inputs.items():
        made[name] = np.asarray(rng.standard_normal([sizes.get(size, size) for size in shape]))
    if "Y" in made:
        made["Y"] = np.eye(3)[rng.integers(0, 3, n)]
    return made


def assert_equal_to(tensor: Any, got: Any, label: str) -> None:
    want = tensor.detach().numpy()
    assert np.shape(got) == want.shape, label
    error, size = float(np.max(np.abs(got - want))), float(np.max(np.abs(want)))
    assert error <= TOLERANCE * size, f"{label}: error {error:.1e} for entries of size {size:.1e}"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS)
def test_leaf_gradients(model: str, backend: str) -> None:
    import torch

    text, loss = MODELS[model]
    formula: Any = symdiff.formula(text)
    kernel = formula.gradient().compile(backend=backend)
    for n in SAMPLES:
        numbers = point(formula, n)
        leaves = {name: torch.tensor(x, requires_grad=name in kernel.wrt) for name, x in numbers.items()}
        result = loss(leaves)
        result.backward()
        value, gradients = kernel(**numbers)
        assert_equal_to(result, value, f"value, n = {n}")
        for name, gradient in zip(kernel.wrt, gradients, strict=True):
            assert_equal_to(leaves[name].grad, gradient, f"{name}, n = {n}")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("model", MODELS)
def test_training_takes_the_same_path(model: str, backend: str) -> None:
    """Five steps of gradient descent, on both sides from the same start."""
    import torch

    text, loss = MODELS[model]
    formula: Any = symdiff.formula(text)
    kernel = formula.gradient().compile(backend=backend)
    rate = 0.05
    ours = point(formula, 7)
    theirs = {name: torch.tensor(x, requires_grad=name in kernel.wrt) for name, x in ours.items()}
    for _ in range(5):
        loss(theirs).backward()
        with torch.no_grad():
            for name in kernel.wrt:
                theirs[name] -= rate * theirs[name].grad
                theirs[name].grad = None
        _, gradients = kernel(**ours)
        for name, gradient in zip(kernel.wrt, gradients, strict=True):
            ours[name] = ours[name] - rate * gradient
    for name in kernel.wrt:
        assert_equal_to(theirs[name], ours[name], name)
