"""Generated NumPy modules of array formulas: the numbers, the memory, the words."""

from __future__ import annotations

import textwrap
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import symdiff
from symdiff import UnsupportedError
from symdiff.einstein import spec
from symdiff.expr import Name, call
from symdiff.formula_data import FormulaData
from symdiff.ops import array_helpers
from symdiff.ops.evaluate import evaluate
from symdiff.render.numpy_memory import NEW, fresh, memory
from symdiff.render.numpy_spelling import NumpyPrinter
from symdiff.render.python_parts import python_number
from symdiff.tape import Tape, check_tape

SYSTEM_A = """
W1: (4, 3); W2: (2, 4); x: const(3); y: const(2); lam: const() = 0.01
phi: function; l: function()
z = W1 @ x; h = phi(z); o = W2 @ h; L = l(o, y); s = lam/2*(norm(W1)**2 + norm(W2)**2); J = L + s
"""
BINDINGS = {"phi": "tanh", "l": "def l(o, y): return sum((o - y)**2)/2"}
SYSTEM_C = "W: (3, 3); x: (3, 1); f = norm(sigmoid(W @ x))**2"
SYSTEM_D = """
X: const(n, 3); W1: (3, 4); b1: 4; W2: (4, 1); b2: 1; y: const(n, 1)
p = X @ W1; z1 = p + b1; a2 = relu(z1); q = a2 @ W2; z2 = q + b2; t = z2 - y; r = t**2; S = sum(r); C = S/n
"""
SYSTEM_F = """
x: const(3); W1: (3, 2); b1: 2; W2: (2, 3); b2: 3
I1 = W1.T @ x + b1; O1 = sigmoid(I1); I2 = W2.T @ O1 + b2; O2 = sigmoid(I2); E = norm(O2 - x)**2
"""
FORMULAS = [
    SYSTEM_C,
    SYSTEM_D,
    SYSTEM_F,
    "X: (n, d); w: d; y: const(n); r = X @ w - y; mean(r**2) + norm1(w)/d",
    "X: (n, 3); w: 3; sum(log1p(exp(-(X @ w)))) + 0.5*dot(w, w)",
    "x: n; y: n; sum(outer(x, y)**2) + x[0]*y[1]",
    "x: n; sum(x[1:3]**2) + x[0]*x[-1] + sum(x[1:]*x[:-1])",
    "x: 6; x[0]*sum(x[::2]**3) + sum(x[::-1]*x)",
    "X: (n, m); sum(X[1:, 0]*X[:-1, -1]) + sum(X[None, 2]**2) + sum(X.T[1])",
    "A: (n, n); b: n; dot(b, solve(A, b)) + logdet(A) + trace(inv(A)) + det(A)",
    "A: (3, 3); B: (3, 2); sum(solve(A, B)**2) + trace(A)*sum(diag(A)**3)",
    "A: (n, n); x: n; L = cholesky(A @ A.T + n*eye(n)); sum(L**2) + dot(x, L @ x)",
    "x: n; sum(diag(x) @ ones((n, n)) @ x) + prod(x)",
    "X: (n, 3); sum(logsumexp(X, axis=1)) + logsumexp(X) + sum(softmax(X)**2)",
    "X: (n, 3); sum(amax(X, axis=1)) + amin(X) + sum(prod(X, axis=0)) + sum(cumsum(X, axis=0)**2) + sum(cumsum(X))",
    "X: (n, 3); M = X - mean(X, axis=0, keepdims=True); sum(M**2/(0.1 + mean(M**2, axis=0)))",
    "X: (n, 3); v: n; sum((X*reshape(v, (n, 1)))**2) + sum(norm(X, axis=1)) + norm2(X)",
    "x: n; y: m; sum(concat(x, y, x)**2*2) + sum(stack(x, x*2, axis=1)**3) + sum(concat(x, y)[1:4])",
    "X: (n, m); sum(reshape(X, (m, n)) @ X) + sum(reshape(X, -1)**2)",
    "X: (b, n, m); W: (m, k); c: k; sum((X @ W + c)**2) + sum(X.mT @ X) + sum(X.T)",
    "X: (n, m); c: (); a = X; B = a; sum(B) + c*sum(a*X) + c",
    "x: (1, 3); y: (3, 1); sum(x @ y) + sum(y @ x) + sum(x + y) + sum(x.T*y)",
    "x: (1,); X: (1, 1); sum(x) + X[0, 0]*x[0] + trace(X) + sum(X @ x) + det(X)",
    "x: n; s: (); where(s > 0, sum(x**3), s)*mean(x) + sum(where(x > s, x*s, x**2)) + n*s + s/n + 1/n",
    "x: (); x*sum(ones((2, 3))*x) + x**2",
    "X: (n, 3); Y: (n, 3); D = X[:, None] - Y[None, :]; sum(exp(-sum(D**2, axis=2)))",
    "np: n; value: (n, lambda_); out: (); gradient: lambda_; sum(np @ value*gradient)*out + sum(np)/lambda_",
    "X: (n, 3); sum(max(X @ X.T, 0)) + max(X) + sum(max(X, axis=0)) + min(X)",
]


def bound(text: str) -> symdiff.Formula:
    made = symdiff.formula(text)
    return made.bind(**BINDINGS) if made.data.functions else made


def module_of(text: str) -> ModuleType:
    module = ModuleType("generated")
    exec(compile(text, "generated", "exec"), module.__dict__)
    return module


def point(data: FormulaData, seed: int = 0, **sizes: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    known = {name: 3 + k for k, name in enumerate(data.dimensions)} | sizes
    shapes = {given.name: [known.get(size, size) for size in given.shape] for given in data.declared}
    return {name: np.asarray(rng.uniform(0.3, 1.5, shape)) for name, shape in shapes.items()}


def evaluated(tape: Tape, at: dict[str, Any], data: FormulaData) -> list[np.ndarray]:
    """The outputs by the op table alone: every contribution an array, added to the others."""
    sizes = {
        size: n for given in data.declared for size, n in zip(given.shape, at[given.name].shape, strict=True)
        if isinstance(size, str)
    }  # fmt: skip
    values: dict[str, Any] = {**at, **{name: np.float64(n) for name, n in sizes.items()}}
    for step in tape.steps:
        values[step.name] = made = evaluate(step.expr, values, sizes)
        if step.into is not None:
            values[step.into] = values[step.into] + made if step.into in values else made
    return [np.asarray(evaluate(expr, values, sizes)) for _, expr in tape.outputs]


def checked(text: str, at: dict[str, np.ndarray], dtype: Any = "float64") -> list[Any]:
    """Outputs of the generated module, checked against the op table, and their memory."""
    program = bound(text).gradient()
    check_tape(program.code_tape)
    module = module_of(program.source("python", dtype=dtype))
    copies = {name: value.copy() for name, value in at.items()}
    value, gradient = module.gradient(*at.values())
    for name, value_given in at.items():
        np.testing.assert_array_equal(value_given, copies[name], err_msg=f"{name} was changed")
    found = [value, *gradient]
    tolerance = {"float64": 1e-11, "float32": 2e-4}[dtype]
    for made, wanted, (label, _) in zip(
        found, evaluated(program.tape, at, program.data), program.tape.outputs, strict=True
    ):
        assert np.shape(made) == wanted.shape, label
        np.testing.assert_allclose(made, wanted, rtol=tolerance, atol=tolerance, err_msg=label)
        assert np.asarray(made).dtype == dtype, label
    np.testing.assert_array_equal(module.value(*at.values()), value)
    arrays = [each for each in found if np.ndim(each)]
    for k, array in enumerate(arrays):
        assert array.flags.c_contiguous and array.flags.writeable
        assert not any(np.shares_memory(array, other) for other in [*arrays[:k], *at.values()])
    return found


@pytest.mark.parametrize("text", [*FORMULAS, SYSTEM_A])
def test_the_module_computes_what_the_table_says(text: str) -> None:
    at = point(bound(text).data)
    found = checked(text, at)
    turned = {name: np.array(value, order="F") for name, value in at.items()}
    for one, two in zip(found, checked(text, turned), strict=True):
        np.testing.assert_array_equal(one, two, err_msg="the memory layout of an input shows")


@pytest.mark.parametrize("text", [*FORMULAS, SYSTEM_A])
def test_float32_results_are_float32(text: str) -> None:
    if "cholesky" not in text:
        checked(text, {name: value.astype(np.float32) for name, value in point(bound(text).data).items()}, "float32")


@pytest.mark.parametrize("text", [*FORMULAS, SYSTEM_A])
def test_the_gradient_is_that_of_differences(text: str) -> None:
    data = bound(text).data
    at = point(data, seed=2)
    module = module_of(bound(text).gradient().source("python"))
    _, gradient = module.gradient(*at.values())
    rng = np.random.default_rng(1)
    for name, derivative in zip(bound(text).gradient().wrt, gradient, strict=True):
        direction = rng.normal(size=at[name].shape)
        h = 1e-6
        above, below = (float(module.value(*{**at, name: at[name] + s * h * direction}.values())) for s in (1, -1))
        slope = (above - below) / (2 * h)
        np.testing.assert_allclose(np.sum(derivative * direction), slope, rtol=2e-6, atol=1e-6, err_msg=name)


# -- the edges ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("text", [text for text in FORMULAS if ": n" in text or "(n" in text])
def test_arrays_without_elements_and_with_one(text: str, size: int) -> None:
    data = symdiff.formula(text).data
    at = point(data, **dict.fromkeys(data.dimensions, size))
    if symdiff.formula(text).primal.requirements and "[:, None]" not in text:
        module = module_of(symdiff.formula(text).gradient().source("python"))
        with pytest.raises(ValueError, match=r"of an axis of size .* is out of range: [mn] = [01]"):
            module.gradient(*at.values())
    else:
        checked(text, at)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({"X": np.ones((4, 2)), "y": np.ones(4)}, r"X has shape (4, 2), expected (n, 3)"),
        ({"X": np.ones(4), "y": np.ones(4)}, r"X has shape (4,), expected (n, 3)"),
        ({"X": np.ones((4, 3)), "y": np.ones(5)}, r"y has shape (5,), expected (4,)"),
        ({"X": np.ones((4, 3)), "y": np.ones((4, 1))}, r"y has shape (4, 1), expected (4,)"),
        ({"X": 1.0, "y": np.ones(4)}, r"X has shape (), expected (n, 3)"),
        ({"X": np.ones((4, 3)), "y": np.ones(4), "c": [1.0]}, r"c has shape (1,), expected ()"),
    ],
)
def test_wrong_shapes_are_refused(at: dict[str, Any], message: str) -> None:
    text = "X: (n, 3); y: n; c: const() = 2.0; sum(X*reshape(y, (n, 1)))*c"
    module = module_of(symdiff.formula(text).gradient().source("python"))
    for function in (module.value, module.gradient):
        with pytest.raises(ValueError) as refused:
            function(**at)
        assert str(refused.value) == message


def test_a_square_matrix_is_checked_to_be_one() -> None:
    module = module_of(symdiff.formula("A: (n, n); trace(A)").gradient().source("python"))
    with pytest.raises(ValueError, match=r"A has shape \(3, 4\), expected \(n, n\)"):
        module.value(np.ones((3, 4)))


@pytest.mark.parametrize("text", ["iji->ji", "iij->ij", "i->i", "ij->ji", "ii->i", "i->i1", "ij->", "i1->i", "1i->ij"])
def test_what_is_said_to_be_new_is_new(text: str) -> None:
    given = spec(text, {"j": "m"})
    operand = np.ones([1 if index == "1" else 2 for index in given.operands[0]])
    shapes = {"x": tuple(1 if index == "1" else {"i": "n", "j": "m"}[index] for index in given.operands[0])}
    printer = NumpyPrinter(
        "python", {name: name for name in "xnm"}, python_number, {}, shapes=shapes, dims=frozenset("nm")
    )
    product = call("contract", Name("x"), options=(given,))
    value = eval(printer(product), {**vars(array_helpers), "x": operand, "n": 2, "m": 2})
    assert fresh(memory(printer, product, {"x": NEW})) != np.shares_memory(value, operand)


def test_a_product_of_two_sums_can_be_a_vector() -> None:
    printer = NumpyPrinter("python", {"x": "x", "y": "y"}, python_number, {}, shapes={"x": ("n",), "y": ()})
    text = printer(call("contract", Name("x"), Name("y"), options=(spec("i,->1"),)))
    assert eval(text, {**vars(array_helpers), "x": np.ones(3), "y": np.float64(2.0)}).tolist() == [6.0]


def test_outputs_share_nothing() -> None:
    module = module_of(symdiff.formula("x: 3; y: 3; z: 3; sum(x + y + z.T)").gradient().source("python"))
    _, (x_bar, y_bar, z_bar) = module.gradient(*np.ones((3, 3)))
    x_bar += 1
    y_bar += 2
    np.testing.assert_array_equal([x_bar, y_bar, z_bar], [[2.0] * 3, [3.0] * 3, [1.0] * 3])


@pytest.mark.parametrize(
    "text",
    [
        "a: (); b: (1,); a*a + sum(reshape(a, (1,))*b)",  # the adjoint of a starts with b as a number
        "a: (); b: (1, 1); a*a + sum(reshape(a, (1, 1))*b)",
        "a: (); b: (1,); w = tanh(b)/exp(b); sum(w*reshape(a, (1,)))",  # with w, whose memory is used again
    ],
)
def test_an_array_of_one_element_as_a_number_is_a_copy(text: str) -> None:
    program = symdiff.formula(text).gradient()
    at = point(program.data)
    before = at["b"].copy()
    value, gradients = module_of(program.source("python")).gradient(*at.values())
    np.testing.assert_array_equal(at["b"], before)
    for found, wanted in zip([value, *gradients], evaluated(program.tape, at, program.data), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-15)


@pytest.mark.parametrize(
    "text",
    ["b: (1,); reshape(b, ())", "x: (); y: 2; where(x > 0, x, sum(y))",
     "x: (); y: 2; where(x > 0, x, sum(y))**2 + where(x > 1, x, 2)", "x: (); X: (2, 2); min(x, sum(X))"],
)  # fmt: skip
def test_results_that_are_numbers_are_of_numpys_type(text: str) -> None:
    program = symdiff.formula(text).gradient()
    value, gradients = module_of(program.source("python")).gradient(*point(program.data).values())
    assert {type(each) for each in (value, *gradients) if not np.ndim(each)} == {np.float64}


@pytest.mark.parametrize(
    "text",
    ["X: (n, 3); X", "X: (n, 3); X.T", "X: (n, 3); X[1]", "x: 3; stack(x, x)", "x: (); x*ones(3)", "x: 3; ones((2, 2))",
     "X: (2, 3); reshape(X, -1)", "x: 3; diag(x)", "X: (3, 3); diag(X)", "X: (3, 1); X[:, 0]",
     "x: 3; x[None] + zeros((3, 1))"],
)  # fmt: skip
def test_a_value_that_is_an_array_is_new_and_in_c_order(text: str) -> None:
    program = symdiff.formula(text).value()
    at = point(program.data)
    value = module_of(program.source("python")).value(*at.values())
    wanted = evaluated(program.tape, at, program.data)[0]
    np.testing.assert_array_equal(value, wanted)
    assert value.shape == wanted.shape and value.flags.c_contiguous and value.flags.writeable
    assert not any(np.shares_memory(value, array) for array in at.values())


def test_an_abstract_function_has_no_code() -> None:
    with pytest.raises(UnsupportedError, match=r"function 'phi' is abstract.*\.bind\(phi=.*--let phi="):
        symdiff.formula("phi: function; W: (3, 3); x: 3; sum(phi(W @ x))").gradient().source("python")


def test_names_of_every_kind_come_through() -> None:
    names = [
        "np",
        "value",
        "gradient",
        "n_",
        "_x",
        "solve",
        "softmax",
        "Gradient",
        "sum_",
        "array",
        "put",
        "name",
        "shape",
    ]
    sizes = ["d", "_array", "lambda_", "int", "v1", "x_bar", "list", "amax", "size", "n", "u__array", "sizes", "given"]
    declared = "; ".join(
        f"{name}: ({size}, {other})" for name, size, other in zip(names, sizes, sizes[1:] + sizes[:1], strict=True)
    )
    terms = " + ".join(f"sum(softmax({name})**2)/{size}" for name, size in zip(names, sizes, strict=True))
    checked(f"{declared}; {terms} + sum(put*amax)", point(symdiff.formula(f"{declared}; {terms}").data))


# -- the words ---------------------------------------------------------------------------------------------------------


def code_of(formula: symdiff.Formula) -> list[str]:
    """Statements of the gradient's sweeps, without comments."""
    text = formula.gradient().source("python").partition("    # forward sweep\n")[2]
    lines = [line.partition("  # ")[0].strip() for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("W: (3, 3); x: (3, 1); sum((W @ x)**2)", ["W_bar = v1_bar.dot(x.T)", "x_bar = W.T.dot(v1_bar)"]),
        ("W: (3, 3); x: 3; sum((W @ x)**2)", ["W_bar = np.outer(v1_bar, x)", "x_bar = W.T.dot(v1_bar)"]),
        ("X: (n, 3); W: (3, 2); sum((X @ W)**2)", ["X_bar = v1_bar.dot(W.T)", "W_bar = X.T.dot(v1_bar)"]),
        ("X: (n, 3); b: 3; sum((X + b)**2)", ["b_bar = reduce_sum(v1_bar, axis=0)"]),
        ("X: (b, n, m); W: (m, k); sum((X @ W)**2)", ["W_bar = np.tensordot(X, v1_bar, axes=((0, 1), (0, 1)))"]),
        (
            "x: n; sum(x[1:3]**2) + x[0]*x[-1]",
            ["x_bar = np.zeros(n)", "x_bar[-1] = v4", "x_bar[0] += v5", "x_bar[1:3] += v1_bar"],
        ),
        ("X: (n, 3); mean(X**2)", ["value = np.vdot(X, X)/(n*3)", "v1_bar = 1/(3*n) if n else np.inf"]),
        (
            "X: (n, 3); mean(exp(X))",
            ["value = reduce_sum(v1, axis=None)/(3*n)", "X_bar = np.multiply(v1_bar, v1, out=v1)"],
        ),
        ("x: 3; mean(x**2)", ["value = x.dot(x)/3"]),
        ("x: 3; mean(x**3)", ["value = np.mean(v1)"]),
        ("A: (n, n); sum(inv(A)) + trace(A)", ["A_bar = np.eye(n)"]),
    ],
)  # fmt: skip
def test_the_code_is_what_a_person_writes(text: str, wanted: list[str]) -> None:
    code = code_of(symdiff.formula(text))
    for line in wanted:
        assert line in code, "\n".join(code)
    assert not any("einsum" in line for line in code)


SWEEPS = {
    "A": """
        z = W1.dot(x)
        h = np.tanh(z)
        o = W2.dot(h)
        v4 = np.subtract(o, y, out=o)
        v6 = v4.dot(v4)
    """,
    "C": """
        v1 = W.dot(x)
        v2, v2_slope = sigmoid_and_slope(v1, out=v1)
        f = np.vdot(v2, v2)
        v2_bar = np.multiply(2.0, v2, out=v2)
        v1_bar = np.multiply(v2_bar, v2_slope, out=v2_bar)
        W_bar = v1_bar.dot(x.T)
        x_bar = W.T.dot(v1_bar)
        return f, Gradient(W_bar, x_bar)
    """,
    "D": """
        p = X.dot(W1)
        z1 = np.add(p, b1, out=p)
        a2 = np.maximum(z1, 0.0, out=z1)
        q = a2.dot(W2)
        z2 = np.add(q, b2, out=q)
        t = np.subtract(z2, y, out=z2)
        S = np.vdot(t, t)
        C = S/n
        S_bar = 1/n if n else np.inf
        t_bar = np.multiply(2*S_bar, t, out=t)
        b2_bar = reduce_sum(t_bar, axis=0)
        a2_bar = t_bar.dot(W2.T)
        W2_bar = a2.T.dot(t_bar)
        z1_bar = np.multiply(a2_bar, a2 > 0, out=a2_bar)
        b1_bar = reduce_sum(z1_bar, axis=0)
        W1_bar = X.T.dot(z1_bar)
        return C, Gradient(W1_bar, b1_bar, W2_bar, b2_bar)
    """,
    "F": """
        v2 = W1.T.dot(x)
        I1 = np.add(v2, b1, out=v2)
        O1, O1_slope = sigmoid_and_slope(I1, out=I1)
        v6 = W2.T.dot(O1)
        I2 = np.add(v6, b2, out=v6)
        O2, O2_slope = sigmoid_and_slope(I2, out=I2)
        v9 = np.subtract(O2, x, out=O2)
        E = np.vdot(v9, v9)
        v9_bar = np.multiply(2.0, v9, out=v9)
        I2_bar = np.multiply(v9_bar, O2_slope, out=v9_bar)
        b2_bar = I2_bar
        W2_bar = np.outer(O1, I2_bar)
        O1_bar = W2.dot(I2_bar)
        I1_bar = np.multiply(O1_bar, O1_slope, out=O1_bar)
        b1_bar = I1_bar
        W1_bar = np.outer(x, I1_bar)
        return E, Gradient(W1_bar, b1_bar, W2_bar, b2_bar)
    """,
}


@pytest.mark.parametrize(("name", "text"), [("A", SYSTEM_A), ("C", SYSTEM_C), ("D", SYSTEM_D), ("F", SYSTEM_F)])
def test_the_systems_read_well(name: str, text: str) -> None:
    wanted = textwrap.dedent(SWEEPS[name]).split("\n")[1:-1]
    assert code_of(bound(text))[: len(wanted)] == wanted


def test_system_c_has_the_numbers_of_the_write_up() -> None:
    module = module_of(symdiff.formula(SYSTEM_C).gradient().source("python"))
    value, (W_bar, x_bar) = module.gradient([[1, 2, 3], [3, 1, 2], [2, 3, 1]], [[1], [1], [1]])
    assert value == pytest.approx(2.985182602656016, rel=1e-14)
    np.testing.assert_allclose(W_bar, np.full((3, 3), 0.00492082), atol=5e-9)
    np.testing.assert_allclose(x_bar, np.full((3, 1), 0.02952493), atol=5e-9)


@pytest.mark.parametrize("text", [*FORMULAS, SYSTEM_A])
def test_lines_are_short_and_plain(text: str) -> None:
    source = bound(text).gradient().source("python")
    for line in source.partition("def _refuse")[2].splitlines():
        assert len(line) <= 100 or "axis=" in line, line
        assert line == line.rstrip() and "*1)" not in line and " + 0)" not in line
    header = source.partition('"""\n\n')[0]
    assert "Operations: " in header and "{" not in header


# -- the formula again -------------------------------------------------------------------------------------------------

TEXTS = [
    "X: (n, m); y: (); sum(X[0:1, :]) + X[0, -1]*y + sum(X[n - 1])",
    "x: 6; sum(x[::2]) + sum(x[5:0:-1]) + sum(x[::-1]) + sum(x[-3:]) + sum(x[None, 0:6, None])",
    "X: (n, m); sum(X, axis=0)[0] + sum(X, axis=(0,))[1] + mean(X, axis=(0, 1)) + sum(max(X, axis=-1, keepdims=True))",
    "X: (n, m); sum(softmax(X)) + sum(softmax(X, axis=0)) + sum(cumsum(X)) + sum(cumsum(X, axis=1)) + norm1(X)",
    "X: (n, m); sum(reshape(X, (m, n)).T @ X.T) + sum(reshape(X, -1)) + sum(reshape(X, (n*m,))) + sum(reshape(X, n*m))",
    "X: (n, m); sum(zeros((n, 2*m + 1))) + sum(ones(n)) + sum(eye(n)) + sum(eye(n, m)) + sum(ones(())) + sum(X)",
    "A: (n, n); b: const(n); dot(b, solve(A, b)) - trace(inv(A) @ A @ A) - (-A).mT[0, 0] + (A + A.T)[0, 0] + det(A)**2",
    "x: n; y: n; sum(concat(x, y)) + sum(stack(x, y, axis=1)) + sum(concat([x, y, x], axis=-1)) + min(max(x, y))",
    "x: n; A: (n, n); sum(A @ (x*x) + (A @ x)*x - A*x @ x) + sum(x*(A @ x)) + sum(A @ x/n) + sum((A @ A)**2 @ x)",
    "W: (2, 3) = [[1, 2, 3], [-4, 5e-3, 6]]; v: 3 = [1, 2, 3]; c: () = 0.5; k: const(2) = [1, 2]; sum(W @ v + k)*c",
    "phi: function; l: function(); g: function(n, 3); x: n; l(phi(x), x) + sum(g(x)) + phi(2)",
    "x: (); phi: function; phi(x)",
    "def f(A, x): return A @ x + x[0]\nA: (n, n)\nx: n\nsum(f(A, f(A, x)))",
    "x: n; where(sum(x) > 0, sum(x), -sum(x)) + 2*(3 - sum(x)) - (1 - sum(x)) + (2).T + sum(x)**-2",
    "x: 1; y: (1, 1); z: (); sum(x) + sum(y) + z",
]  # fmt: skip


def tree(data: FormulaData) -> Any:
    return (
        data.declared,
        dict(data.functions),
        [(helper.name, helper.parameters, helper.body) for helper in data.helpers.values()],
        [(statement.name, statement.expr) for statement in data.statements],
    )


@pytest.mark.parametrize("text", [*TEXTS, *FORMULAS, SYSTEM_A])
def test_the_formula_printed_again_is_the_same_tree(text: str) -> None:
    if text.startswith("def "):
        head, _, rest = text.partition("\n")
        text = f"{rest.rpartition(chr(10))[0]}\n{head}\n{rest.rpartition(chr(10))[2]}"
    formula = symdiff.formula(text)
    printed = "\n".join(formula.value().sheet().formula_file)
    again = symdiff.formula(printed)
    assert tree(again.data) == tree(formula.data)
    assert "\n".join(again.value().sheet().formula_file) == printed
