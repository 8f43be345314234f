"""System C, f(x, W) = norm(sigmoid(W @ x))**2: its published numbers in the trace, in NumPy and in C."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff

TEXT = {"column": "W: (3, 3); x: (3, 1); {}", "vector": "W: (3, 3); x: 3; {}"}
ONE_LINE, NAMED = "norm(sigmoid(W @ x))**2", "z = W @ x; q = sigmoid(z); f = norm(q)**2"
W = np.array([[1, 2, 3], [3, 1, 2], [2, 3, 1]])
X = {"column": np.ones((3, 1)), "vector": np.ones(3)}
BACKENDS = ["numpy", pytest.param("c", marks=pytest.mark.compiler)]

VALUE = 2.985182602656016
SIGMOID, LOSS_LOCAL, SIGMOID_LOCAL = 0.99752738, 1.99505475, 0.00246651
DW, DX = 0.00492082, 0.02952493  # every entry; eight decimals, as published


def published(got: Any, number: float) -> None:
    assert np.all(np.abs(np.asarray(got) - number) <= 0.5000001e-8), f"{got} for {number}"


@pytest.mark.parametrize("form", TEXT)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("body", [ONE_LINE, NAMED])
def test_numbers_of_the_kernel(form: str, backend: str, body: str) -> None:
    kernel: Any = symdiff.formula(TEXT[form].format(body)).gradient().compile(backend=backend)
    value, gradients = kernel(W=W, x=X[form])
    assert abs(value - VALUE) <= 4e-16 * VALUE
    assert gradients.W.shape == (3, 3) and gradients.x.shape == X[form].shape
    published(gradients.W, DW)
    published(gradients.x, DX)


@pytest.mark.parametrize("form", TEXT)
def test_numbers_of_the_trace(form: str) -> None:
    trace: Any = symdiff.formula(TEXT[form].format(NAMED)).gradient().trace(at={"W": W, "x": X[form]})
    z, q, f = trace.json()["steps"]
    assert (z["name"], q["name"], f["name"]) == ("z", "q", "f")
    assert np.array_equal(z["value"], np.full(X[form].shape, 6.0))
    published(q["value"], SIGMOID)
    assert abs(f["value"] - VALUE) <= 4e-16 * VALUE and trace.value == f["value"]
    published(q["adjoint"], LOSS_LOCAL)  # upstream is 1
    published(z["adjoint"], DW)  # x is 1, so delta x^T repeats delta
    published(trace.gradient["W"], DW)
    published(trace.gradient["x"], DX)
    local = {step["name"]: step["sends"][0]["local"] for step in trace.json()["reverse"]}
    published(local["f"], LOSS_LOCAL)
    published(local["q"], SIGMOID_LOCAL)


@pytest.mark.parametrize("form", TEXT)
def test_the_squared_norm_is_one_step(form: str) -> None:
    program: Any = symdiff.formula(TEXT[form].format(ONE_LINE)).gradient()
    *_, last = program.trace(at={"W": W, "x": X[form]}).json()["steps"]
    assert last["n"] == 3  # after the product and the sigmoid
    assert last["expression"] == "norm(v2)**2"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("text", ["norm(x)**2", "norm2(x)**2", "q = norm(x); q**2", "norm(x)", "sum(norm(M, axis=1))"])
def test_norms_have_finite_gradients_at_zero(backend: str, text: str) -> None:
    kernel: Any = symdiff.formula(f"x: 3; M: (2, 3); {text}").gradient().compile(backend=backend)
    value, gradients = kernel(x=np.zeros(3), M=np.zeros((2, 3)))
    assert value == 0.0
    assert np.array_equal(gradients.x, np.zeros(3))
    assert np.array_equal(gradients.M, np.zeros((2, 3)))
