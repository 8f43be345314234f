"""What NumPy code does with memory: it writes over arrays of its own alone, and the numbers stay those of the steps."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symdiff
from symdiff.ops.evaluate import evaluate

NETWORK = "X: const(n, d); W: (d, h); b: h; H = {}(X @ W + b); sum((H @ H.T)**2) + mean(H**2)"
FORMULAS = [
    "X: const(n, d); T: const(n, o); W1: (d, h); b1: h; W2: (h, o); b2: o\n"
    "H = relu(X @ W1 + b1)\nmean((H @ W2 + b2 - T)**2)",
    "X: const(n, d); Y: const(n, c); W: (d, c); b: c; Z = X @ W + b\nmean(logsumexp(Z, axis=1) - sum(Y*Z, axis=1))",
    "X: const(n, d); Wq: (d, k); Wk: (d, k); A = softmax((X @ Wq) @ (X @ Wk).T/sqrt(k), axis=1)\n"
    "sum(A*A*(X @ Wq @ Wk.T @ X.T))",
    *(NETWORK.format(name) for name in ("sigmoid", "tanh", "relu", "exp", "silu", "softplus", "sin")),
    "x: n; y: n; a = x*y; b = a + x; c = b.T*a; sum(c) + sum(b*a) + a[0]*x[0]",
    "X: (n, n); A = X*X; B = A.T; C = A + 1; sum(B*C) + sum(exp(-C))",
    "X: (n, n); A = X + 1; sum(A*A.T - A) + sum(A[0]*A[:, 0])",
    "X: (n, m); v: m; Y = X*v; Z = -Y; sum(Z - 2*sum(Z, axis=1, keepdims=True)) + sum(1/(Z**2 + 1))",
    "X: (n, m); Z = X - 1; v = logsumexp(Z, axis=0); w = logsumexp(Z)\n"
    "sum(exp(Z - v)) + sum(v*2) + w*w + sum(exp(Z - w))",
    "X: (n, n); v = logsumexp(X, axis=0); sum(exp(X - reshape(v, (n, 1)))*X) + sum(v)",
    "X: (n, m); sum(logsumexp(X, axis=1, keepdims=True)*X)",
    "X: (n, m); H = sigmoid(X); sum(H*sigmoid(-X)) + sum(H)",
    "x: n; h = relu(x); sum(where(x > 0, h*x, x**2)) + sum(h)",
    "x: n; y = x + 1; where(y[0] > 2, sum(y*y), sum(relu(y)*3))",
    "X: (n, m); Y: (n, m); D = X[:, None] - Y[None, :]; sum(exp(-sum(D**2, axis=2)))",
    "X: (n, m); y: m; sum(where(X > y, X*2, y)) + sum(where(y > 0, 1, y))",
    "x: n; Z = x*ones((n, n)) + eye(n); sum(logsumexp(Z, axis=1)) + sum(exp(eye(n)))*x[0]",
    "X: (n, m); sum(mean(X**2, axis=1)) + mean(mean(X*X, axis=0)) + norm(X) + norm(X + 1)**2",
    "x: n; c: (); sum(sigmoid(c*x)) + sigmoid(c)*relu(c) + logsumexp(x)*c",
    "X: const(n, d); y: const(n); w: d; b: (); z = X @ w + b; mean(softplus(z) - y*z)",
    "x: n; y: const(n); z: n; mean(x*y - sin(x) - x*z) - 3*mean(x*z + z*y) + sum(2*x - x*y)",
    "X: (n, m); s = n + m + 1; Y = X/sqrt(sqrt(n)*m); sum(sigmoid(Y) @ Y.T) + sum((X/3)**2) + sum(tanh(X/s) - X/n)",
]  # fmt: skip
DTYPES = ("float64", "float32")
ORDERS = ("C", "F", "strided", "reversed", "read-only", "offset")


def module_of(text: str, dtype: Any = "float64") -> ModuleType:
    module = ModuleType("generated")
    exec(compile(symdiff.formula(text).gradient().source("python", dtype=dtype), "generated", "exec"), module.__dict__)
    return module


MODULES = {(text, dtype): module_of(text, dtype) for text in FORMULAS for dtype in DTYPES}


def arguments(text: str, seed: int, most: int = 5, least: int = 1) -> dict[str, np.ndarray]:
    rng, data = np.random.default_rng(seed), symdiff.formula(text).data
    sizes = {name: int(rng.integers(least, most + 1)) for name in data.dimensions}
    shapes = {given.name: [sizes.get(size, size) for size in given.shape] for given in data.declared}
    return {name: np.asarray(rng.normal(size=shape) * rng.choice([1.0, 3.0])) for name, shape in shapes.items()}


def laid_out(array: np.ndarray, order: str) -> np.ndarray:
    """The same numbers otherwise in memory."""
    if not array.ndim:
        return array
    if order == "strided":
        wide = np.full([2 * size for size in array.shape], 7.0, array.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if order == "reversed":
        return array[tuple(slice(None, None, -1) for _ in array.shape)].copy()[
            tuple(slice(None, None, -1) for _ in array.shape)
        ]
    if order == "offset":
        raw = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype) if array.size else array.ravel()
        raw = raw.reshape(array.shape)
        raw[...] = array
        return raw
    made = np.array(array, order="F" if order == "F" else "C")
    made.flags.writeable = order != "read-only"
    return made


def steps_by_the_table(text: str, at: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs by the op table alone, one new array for every step that the code has."""
    program = symdiff.formula(text).gradient()
    sizes = {
        size: n for given in program.data.declared for size, n in zip(given.shape, at[given.name].shape, strict=True)
        if isinstance(size, str)
    }  # fmt: skip
    values: dict[str, Any] = {**at, **{name: np.float64(n) for name, n in sizes.items()}}
    with np.errstate(all="ignore"):
        for step in program.code_tape.steps:
            values[step.name] = made = evaluate(step.expr, values, sizes)
            if step.into is not None:
                values[step.into] = values[step.into] + made if step.into in values else made
        return [np.asarray(evaluate(expr, values, sizes)) for _, expr in program.code_tape.outputs]


@pytest.mark.parametrize("text", FORMULAS)
@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_results_are_those_of_the_steps_and_new(text: str, seed: int, data: st.DataObject) -> None:
    at = arguments(text, seed)
    orders = [data.draw(st.sampled_from(ORDERS)) for _ in at]
    args = [laid_out(array, order) for array, order in zip(at.values(), orders, strict=True)]
    module = MODULES[text, "float64"]
    value, gradient = module.gradient(*args)
    found = [value, *gradient]
    for array, before in zip(args, at.values(), strict=True):
        np.testing.assert_array_equal(array, before)
    for made, wanted in zip(found, steps_by_the_table(text, at), strict=True):
        scale = np.max(np.abs(wanted), initial=1e-300)
        assert np.shape(made) == wanted.shape
        np.testing.assert_allclose(made, wanted, rtol=1e-11, atol=1e-12 * scale)
    arrays = [each for each in found if np.ndim(each)]
    for k, array in enumerate(arrays):
        assert array.flags.c_contiguous and array.flags.writeable and array.dtype == np.float64
        assert not any(np.shares_memory(array, other) for other in [*arrays[:k], *args])
    np.testing.assert_array_equal(module.value(*args), value)
    again = module.gradient(*at.values())
    for one, two in zip(found, [again[0], *again[1]], strict=True):
        np.testing.assert_array_equal(one, two, err_msg=f"two calls, or the layouts {orders}, give other bits")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", FORMULAS)
def test_float32_throughout(text: str) -> None:
    at = arguments(text, 5, least=2)
    value, gradient = MODULES[text, "float32"].gradient(*(array.astype(np.float32) for array in at.values()))
    for made, wanted in zip([value, *gradient], steps_by_the_table(text, at), strict=True):
        assert made.dtype == np.float32
        np.testing.assert_allclose(made, wanted, rtol=2e-3, atol=1e-5 * np.max(np.abs(wanted), initial=1.0))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("text", [text for text in FORMULAS if "[0]" not in text])
def test_axes_without_elements_and_with_one(text: str, size: int) -> None:
    at = arguments(text, 3, most=size, least=size)
    value, gradient = MODULES[text, "float64"].gradient(*at.values())
    for made, wanted in zip([value, *gradient], steps_by_the_table(text, at), strict=True):
        np.testing.assert_allclose(made, wanted, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, -0.0, 1e308, -750.0, 750.0])
@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.filterwarnings("error")
def test_special_numbers_come_through(text: str, special: float) -> None:
    """NaN where the steps give NaN, infinities where they give those; sums of products may overflow a bit earlier."""
    at = arguments(text, 11, least=2)
    for array in at.values():
        array.flat[:1] = special
    value, gradient = MODULES[text, "float64"].gradient(*at.values())
    for made, wanted in zip([value, *gradient], steps_by_the_table(text, at), strict=True):
        np.testing.assert_array_equal(np.isnan(made), np.isnan(wanted))
        finite = np.isfinite(wanted) & (np.abs(wanted) < 1e300)
        scale = np.max(np.abs(wanted[finite]), initial=1e-300) if wanted.ndim else abs(wanted)
        np.testing.assert_allclose(np.asarray(made)[finite], wanted[finite], rtol=1e-9, atol=1e-12 * scale)


# -- the words ---------------------------------------------------------------------------------------------------------


def code_of(text: str) -> list[str]:
    code = symdiff.formula(text).gradient().source("python").partition("    # forward sweep\n")[2]
    lines = [line.partition("  # ")[0].strip() for line in code.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        # an input is never written over, nor what is returned, nor what is read later, also as a view
        ("x: 3; y = x + 1; sum(y*x)", ["y = x + 1"]),
        ("x: 3; y: 3; s = x + y; sum(s)", ["s = x + y"]),
        ("X: (3, 3); A = exp(X); B = A.T; C = A + 1; sum(B*C)", ["C = A + 1"]),
        ("X: (3, 3); A = exp(X); C = A + A.T; sum(C**3)", ["C = A + v2"]),
        # a compound step is worked out in place from the inside, where nothing later reads what is gone
        ("X: (n, m); A = softmax(X); sum(A**3)", ["X_bar = np.subtract(A_bar, np.vecdot(A, A_bar)[:, None], out=A_bar)",
                                                  "X_bar *= A"]),
        # the sign of a relu is read off its value, and the comparison multiplies as it is
        ("x: n; h = relu(x + 1); sum(h*h*x)", ["v1_bar = np.multiply(h_bar, h > 0, out=h_bar)"]),
        ("x: n; h = relu(x + 1); sum(where(x + 1 > 0, h, x)*x)", ["v1 = x + 1"]),
        # one exponential for a value and its derivative
        ("x: n; sum(sigmoid(2*x))", ["v2, v2_slope = sigmoid_and_slope(v1, out=v1)"]),
        ("x: n; sum(sigmoid(x))", ["v1, v1_slope = sigmoid_and_slope(x)"]),
        ("X: (n, 3); sum(logsumexp(X, axis=1)**2)", ["v1, v1_softmax = logsumexp_and_softmax(X, axis=1)"]),
        ("x: n; sum(softplus(2*x))", ["v2, v2_slope = softplus_and_slope(v1, out=v1)"]),
        # a number that two contributions share is multiplied once, by their sum or difference
        ("X: (n, 3); Y: const(n, 3); Z = 2*X; mean(logsumexp(Z, axis=1) - sum(Y*Z, axis=1))",
         ["Z_bar = np.subtract(v2_softmax, Y, out=v2_softmax)", "Z_bar *= v5_bar"]),
        ("x: n; y: const(n); mean(x*y + sin(x) - y*x**3)", ["x_bar += v6_bar*(np.cos(x) + y)"]),
        ("x: n; y: const(n); z: const(n); mean(x*y - sin(x) - x*z)", ["x_bar = v5_bar*(y - (z + np.cos(x)))"]),
        ("x: n; c: (); y: const(n); c*sum(x*y + sin(x))", ["x_bar = c*np.cos(x)"]),  # c may be infinite
        # sums of products are dot products
        ("X: (n, 3); Y: (n, 3); sum(sum(X*Y, axis=1)**3)", ["v2 = np.vecdot(X, Y)"]),
        ("X: (n, 3); Y: (n, 3); sum(sum(X*Y, axis=0)**3)", ["v2 = reduce_sum(v1, axis=0)"]),
        ("X: (n, 3); P = X*X; sum(P) + sum(P[0])", ["P = X*X", "v2 = reduce_sum(P, axis=None)"]),
    ],
)  # fmt: skip
def test_what_is_written_where(text: str, wanted: list[str]) -> None:
    code = code_of(text)
    for line in wanted:
        assert line in code, "\n".join(code)


def test_in_float32_sums_of_products_stay_sums() -> None:
    source = symdiff.formula("X: (n, 3); sum(X*X) + norm(X)").gradient().source("python", dtype="float32")
    assert "vdot" not in source and "np.float64" not in source


def test_every_step_keeps_its_number() -> None:
    """Every step of the code has a line that says so, also where one line does the work of two."""
    for text in FORMULAS:
        program = symdiff.formula(text).gradient()
        source = program.source("python").partition("    # forward sweep\n")[2]
        for step in program.code_tape.steps:
            assert f"({step.label})" in source, (text, step.label)
