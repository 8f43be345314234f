"""Initialisers: their distributions beside PyTorch's and the exact ones, and fans from what a formula does."""

from __future__ import annotations

import doctest
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symdiff
from symdiff import examples, init

SHAPES = [(300, 400), (50, 2000), (1, 60_000), (8, 25, 10, 40)]
GAINS = [1.0, 5.0 / 3.0, 0.3]
KINDS = ["xavier_uniform", "xavier_normal", "he_uniform", "he_normal"]
RISK = 1e-6  # of a Kolmogorov-Smirnov test that refuses a right distribution


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def _critical(size: float) -> float:
    """Critical distance of Kolmogorov and Smirnov for samples of this (effective) size: Smirnov's asymptotic bound."""
    return math.sqrt(-0.5 * math.log(RISK / 2.0) / size)


def _distance(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference of the two empirical distribution functions."""
    both = np.sort(np.concatenate([a, b]))
    left = np.searchsorted(np.sort(a), both, side="right") / a.size
    right = np.searchsorted(np.sort(b), both, side="right") / b.size
    return float(np.max(np.abs(left - right)))


def _distance_to(a: np.ndarray, cumulative: Callable[[float], float]) -> float:
    """Largest difference of an empirical distribution function from an exact one."""
    exact = np.array([cumulative(x) for x in np.sort(a)])
    steps = np.arange(a.size + 1) / a.size
    return float(max(np.max(steps[1:] - exact), np.max(exact - steps[:-1])))


def _from_torch(kind: str, shape: tuple[int, ...], gain: float) -> np.ndarray:
    import torch

    torch.manual_seed(7)
    made = torch.empty(*shape, dtype=torch.float64)
    if kind.startswith("xavier"):
        getattr(torch.nn.init, f"{kind}_")(made, gain=gain)
    else:  # PyTorch takes the slope of a leaky rectifier, and makes a gain of it
        slope = math.sqrt(max(2.0 / gain**2 - 1.0, 0.0))
        getattr(torch.nn.init, f"{kind.replace('he', 'kaiming')}_")(made, a=slope, nonlinearity="leaky_relu")
    return made.numpy().ravel()


@pytest.mark.peer("torch")
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_the_distribution_is_pytorch_s(kind: str, shape: tuple[int, ...]) -> None:
    for gain in GAINS if kind.startswith("xavier") else [math.sqrt(2.0), 1.0, 0.3]:
        ours = getattr(init, kind)(shape, _rng(3), gain=gain).ravel()
        theirs = _from_torch(kind, shape, gain)
        deviation = math.sqrt(np.mean(theirs**2))
        assert abs(ours.mean()) < 5.0 * deviation / math.sqrt(ours.size)
        # 5 standard deviations of the difference of two sample variances (4th moment 3 s^4 at most)
        assert abs(ours.var() / theirs.var() - 1.0) < 5.0 * math.sqrt(2.0 * 2.0 / ours.size)
        assert _distance(ours, theirs) < _critical(ours.size / 2.0)
        if kind.endswith("uniform"):
            assert np.max(np.abs(ours)) == pytest.approx(np.max(np.abs(theirs)), rel=1e-3)


@pytest.mark.peer("torch")
def test_gains_and_fans_are_pytorch_s() -> None:
    import torch

    for activation in ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert init.gain(activation) == torch.nn.init.calculate_gain(activation)
    assert init.gain("leaky_relu", 0.2) == torch.nn.init.calculate_gain("leaky_relu", 0.2)
    for shape in [(4, 3), (7, 1), *SHAPES]:
        assert init.fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(*shape))


@pytest.mark.parametrize("gain", GAINS)
def test_the_distribution_is_the_published_one(gain: float) -> None:
    shape, fan_in, fan_out = (60, 500), 500, 60
    bound, spread = gain * math.sqrt(6.0 / 560.0), gain * math.sqrt(2.0 / 560.0)
    size = 60 * 500

    def flat(low: float) -> Callable[[float], float]:
        return lambda x: min(max((x + low) / (2.0 * low), 0.0), 1.0)

    def bell(s: float) -> Callable[[float], float]:
        return lambda x: 0.5 * math.erfc(-x / (s * math.sqrt(2.0)))

    exact = {
        init.xavier_uniform: flat(bound),
        init.xavier_normal: bell(spread),
        init.he_uniform: flat(gain * math.sqrt(3.0 / fan_in)),
        init.he_normal: bell(gain / math.sqrt(fan_in)),
    }
    for made, cumulative in exact.items():
        assert _distance_to(made(shape, _rng(5), gain=gain).ravel(), cumulative) < _critical(size)
    found = init.xavier_uniform(shape, _rng(5), gain=gain)
    assert found.dtype == np.float64
    assert found.shape == shape
    assert 0.999 * bound < np.max(np.abs(found)) <= bound
    out = init.he_normal(shape, _rng(5), gain=gain, mode="fan_out").ravel()
    assert _distance_to(out, bell(gain / math.sqrt(fan_out))) < _critical(size)


def test_the_tests_above_see_a_wrong_factor() -> None:
    wrong = 1.03 * init.xavier_uniform((300, 400), _rng(1)).ravel()
    right = init.xavier_uniform((300, 400), _rng(2)).ravel()
    assert abs(wrong.var() / right.var() - 1.0) > 5.0 * math.sqrt(4.0 / right.size)
    wider = 1.05 * right
    assert _distance(wider, init.xavier_uniform((300, 400), _rng(3)).ravel()) > _critical(right.size / 2.0)


def test_he_has_the_gain_of_relu_and_xavier_none() -> None:
    assert np.array_equal(init.he_normal((3, 4), _rng()), init.he_normal((3, 4), _rng(), gain=init.gain("relu")))
    assert np.array_equal(init.xavier_normal((3, 4), _rng()), init.xavier_normal((3, 4), _rng(), gain=1.0))
    assert init.glorot_uniform is init.xavier_uniform
    assert init.kaiming_normal is init.he_normal


def test_a_seed_reproduces_and_one_generator_never_repeats() -> None:
    first, second = _rng(11), _rng(11)
    a, b = (init.xavier_uniform((5, 6), first) for _ in range(2))
    assert not np.array_equal(a, b)
    assert np.array_equal(a, init.xavier_uniform((5, 6), second))
    assert np.array_equal(b, init.xavier_uniform((5, 6), second))


def test_zeros_and_constants() -> None:
    assert np.array_equal(init.zeros((2, 3)), np.zeros((2, 3)))
    assert np.array_equal(init.constant(4, 0.25), [0.25] * 4)
    assert init.constant((), 2).shape == ()
    assert init.xavier_uniform((0, 3), _rng()).shape == (0, 3)


def test_fans_of_shapes_that_pytorch_has_none_for() -> None:
    assert init.fans(()) == (1, 1)
    assert init.fans((5,)) == (5, 1)
    assert init.fans(5) == (5, 1)  # type: ignore[arg-type]  # a bare size is taken as well


# -- formulas --------------------------------------------------------------------------------------------------------

NETWORK = """
X: const(n, d)
x: const(d)
y: const(n)
lam: const() = 0.1
A: ({A})
B: ({B})
"""


def _formula(line: str, a: str = "d, 4", b: str = "4, 3") -> symdiff.Formula:
    return symdiff.formula(NETWORK.format(A=a, B=b) + line)


@pytest.mark.parametrize(
    ("line", "a", "b", "fans_of_a", "fans_of_b"),
    [
        ("v = sum(tanh(X @ A) @ B)", "d, 4", "4, 3", (7, 4), (4, 3)),
        ("v = sum(B @ tanh(A @ x))", "4, d", "3, 4", (7, 4), (4, 3)),
        ("v = sum(B.T @ tanh(A.T @ x))", "d, 4", "4, 3", (7, 4), (4, 3)),
        ("v = sum(tanh(X @ A.T) @ B.T)", "4, d", "3, 4", (7, 4), (4, 3)),
        ("v = sum(tanh(X @ A) @ B)", "d, 4", "4", (7, 4), (4, 1)),  # a vector as a weight
        ("v = sum(B @ (A @ X.T))", "4, d", "1, 4", (7, 4), (4, 1)),  # axes of size 1
        ("v = sum((A @ x)*B)", "1, d", "1, 1", (7, 1), (1, 1)),
        ("v = sum(B @ A @ x)", "4, d", "3, 4", (7, 4), (4, 3)),  # weights multiplied with each other first
        ("v = sum(X @ (A @ B))", "d, 4", "4, 3", (7, 4), (4, 3)),
        ("v = sum((-(lam*A)).T @ x) + sum(B)", "d, 4", "4, 3", (7, 4), (3, 4)),  # scaled; B in no product: by shape
        ("v = lam*norm(A)**2 + sum(A*A) + sum(tanh(X @ A) @ B)", "d, 4", "4, 3", (7, 4), (4, 3)),  # decay is no use
        ("v = sum(X @ A) + sum((X @ A) @ A.T) + sum(B)", "d, 4", "4, 3", (7, 4), (3, 4)),  # the first use counts
        ("v = sum(X @ (A*B))", "d, 4", "d, 4", (4, 7), (4, 7)),  # times an array: by shape
        ("v = sum(x @ (A @ A.T)) + sum(B)", "d, 4", "4, 3", (4, 7), (3, 4)),  # with itself: by shape
    ],
)
def test_fans_come_from_what_the_formula_does(
    line: str, a: str, b: str, fans_of_a: tuple[int, int], fans_of_b: tuple[int, int]
) -> None:
    formula = _formula(line, a, b)
    assert init.fans_in(formula, "A", {"d": 7}) == fans_of_a
    assert init.fans_in(formula, "B", {"d": 7}) == fans_of_b


def test_a_batch_of_weights_has_the_fans_of_one() -> None:
    formula = symdiff.formula("X: const(5, n, d)\nW: (5, d, 4)\nv = sum(X @ W)")
    assert init.fans_in(formula, "W", {"d": 6}) == (6, 4)


def test_without_constants_the_first_product_decides() -> None:
    formula = symdiff.formula(examples.path("matrix_graph"))
    assert init.fans_in(formula, "W") == (3, 3)
    rows = symdiff.formula("X: (n, 5)\nW: (5, 2)\nv = sum(X @ W)")
    assert init.fans_in(rows, "W") == (5, 2)
    assert init.fans_in(rows, "W", wrt="W") == (5, 2)
    twice = symdiff.formula("X: (n, 5)\nW: (5, 2)\ny: 2\nv = sum(X @ W) + sum(W @ y)")
    assert init.fans_in(twice, "W") == (5, 2)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("two_layer", {"W1": (3, 4), "W2": (4, 2)}),
        ("relu_network", {"W1": (3, 4), "w2": (4, 1)}),
        ("relu_network_rows", {"W1": (3, 4), "w2": (4, 1)}),
        ("autoencoder", {"W1": (3, 2), "W2": (2, 3)}),
    ],
)
def test_parameters_of_the_examples(name: str, weights: dict[str, tuple[int, int]]) -> None:
    formula = symdiff.formula(examples.path(name))
    found = init.parameters(formula, rng=_rng(1))
    variables = [given for given in formula.inputs if given not in formula.constants]
    assert list(found) == variables
    again = _rng(1)
    for variable in variables:  # biases draw nothing, also (4, 1)
        shape = formula.inputs[variable]
        fans = weights.get(variable)
        wanted: Any = init.zeros(shape) if fans is None else init.xavier_uniform(shape, again, fans=fans)
        assert np.array_equal(found[variable], wanted)
        assert found[variable].shape == shape


def test_parameters_with_every_choice() -> None:
    formula = _formula("v = sum((tanh(X @ A) @ B - lam)**2)", "d, k", "k")
    sizes = {"d": 3, "k": 5}
    found = init.parameters(formula, ("B", "A"), sizes, _rng(), weights="he_normal", gain={"A": 2.0})
    again = _rng()
    assert list(found) == ["B", "A"]
    assert np.array_equal(found["B"], init.he_normal((5,), again, fans=(5, 1)))
    assert np.array_equal(found["A"], init.he_normal((3, 5), again, gain=2.0, fans=(3, 5)))
    program = formula.gradient("A")
    assert list(init.parameters(program, sizes=sizes, rng=_rng())) == ["A"]
    halves = init.parameters(formula, sizes=sizes, weights=0.5)
    assert np.array_equal(halves["A"], np.full((3, 5), 0.5))
    text = "w: 3\nb: ()\nx: const(3)\nv = (w @ x + b)**2"
    assert init.parameters(text, weights="zeros", biases=0.1)["b"] == 0.1


def test_a_matrix_that_no_product_uses_is_a_weight_and_a_column_a_bias() -> None:
    formula = symdiff.formula("T: (5, 4)\nc: (5, 1)\ns: ()\nv = sum(T*c)*s")
    found = init.parameters(formula, rng=_rng(2))
    assert np.array_equal(found["T"], init.xavier_uniform((5, 4), _rng(2)))
    assert not found["c"].any()
    assert found["s"] == 0.0


def test_arguments_of_a_traced_function_go_by_their_shapes() -> None:
    def network(W: Any, b: Any, x: Any) -> Any:
        return sum((W[i] @ x + b[i]) ** 2 for i in range(4))

    formula = symdiff.trace_function(network, (4, 3), 4, 3, constants=("x",))
    found = init.parameters(formula, rng=_rng(3))
    assert list(found) == ["W", "b"]
    assert np.array_equal(found["W"], init.xavier_uniform((4, 3), _rng(3)))
    assert np.array_equal(found["b"], np.zeros(4))
    assert init.fans_in(formula, "W") == (3, 4)
    assert list(init.parameters(formula.gradient("b"), rng=_rng())) == ["b"]


def test_the_docstrings() -> None:
    found = doctest.testmod(init)
    assert found.attempted > 2
    assert found.failed == 0


# -- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: init.xavier_uniform((2, 3), 0), "default_rng"),
        (lambda: init.he_normal((2, 3), None), "Generator"),
        (lambda: init.he_normal((2, 3), np.random), "Generator"),
        (lambda: init.he_uniform((2, 3), _rng(), mode="both"), "fan_in or fan_out"),
        (lambda: init.xavier_normal((2, -3), _rng()), "negative"),
        (lambda: init.xavier_normal(("n", 3), _rng()), "whole numbers"),
        (lambda: init.xavier_normal((2, 3), _rng(), gain=math.nan), "finite"),
        (lambda: init.xavier_normal((2, 3), _rng(), fans=(0, 0)), "at least one"),
        (lambda: init.he_normal((2, 3), _rng(), fans=3), "two whole numbers"),  # type: ignore[arg-type]
        (lambda: init.he_normal((2, 3), _rng(), fans=(1, 2, 3)), "two whole numbers"),  # type: ignore[arg-type]
        (lambda: init.he_normal((3.7, 2), _rng()), "whole numbers"),  # type: ignore[arg-type]
        (lambda: init.xavier_uniform("35", _rng()), "whole numbers"),  # type: ignore[arg-type]
        (lambda: init.xavier_uniform((2, 3), _rng(), gain="relu"), "init.gain"),  # type: ignore[arg-type]
        (lambda: init.constant((2,), "x"), "finite number, got"),  # type: ignore[arg-type]
        (lambda: init.constant((2,), "1"), "finite number, got"),  # type: ignore[arg-type]
        (lambda: init.constant((2,), 10**400), "beyond float64"),
        (lambda: init.gain("leaky_relu", math.nan), "slope"),
        (lambda: init.parameters("W: 2; x: const(2); dot(W, x)", rng=_rng(), gain="relu"), "init.gain"),  # type: ignore[arg-type]
        (lambda: init.parameters("W: 2; x: const(2); dot(W, x)", rng=_rng(), weights=None), "weights"),  # type: ignore[arg-type]
        (lambda: init.gain("relux"), "'relu'"),
        (lambda: init.parameters(_formula("v = sum(X @ A @ B)"), sizes={"d": 2}), "default_rng"),
        (lambda: init.parameters(_formula("v = sum(X @ A @ B)"), rng=_rng()), "sizes={'d': ...}"),
        (lambda: init.parameters(_formula("v = sum(X @ A @ B)"), "W", {"d": 2}, _rng()), "'W' is not one of"),
        (lambda: init.parameters(_formula("v = sum(X @ A @ B)"), None, {"d": 2}, _rng(), gain={"Z": 1}), "'Z'"),
        (lambda: init.parameters(_formula("v = sum(X @ A @ B)"), None, {"d": 2}, _rng(), "xavier"), "no initialiser"),
        (lambda: init.fans_in(_formula("v = sum(X @ A @ B)"), "C"), "'C' is not one of"),
    ],
)
def test_errors_say_what_to_do(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(symdiff.SymdiffError, match=words.replace("{", r"\{").replace("(", r"\(")):
        call()
