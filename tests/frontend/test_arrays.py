"""Arrays in the formula language: operators, indices, functions with options, declarations, abstract functions."""

from __future__ import annotations

import inspect
import time
from pathlib import Path

import numpy as np
import pytest
from frontend.trees import output, shown

from symdiff.errors import ParseError, ShapeError, SymdiffError
from symdiff.expr import Call, walk
from symdiff.formula_data import Abstract, Limits
from symdiff.frontend import read, read_reference
from symdiff.frontend.words import FUNCTIONS, METHODS, REDUCTIONS, SHAPED
from symdiff.linearize import linearize
from symdiff.ops import ARRAYS, TABLE

HEAD = "X: (n, 3)\nW: (3, 3)\nv: 3\na: ()\n"

TREES = {
    # operators and what follows an operand
    "X @ W @ v": "matmul(matmul(X, W), v)",
    "a*X @ W/2": "div(matmul(mul(a, X), W), 2)",
    "v @ v + a": "add(matmul(v, v), a)",
    "-v @ v": "matmul(neg(v), v)",
    "a*(X @ W)": "mul(a, matmul(X, W))",
    "W.T @ W.mT": "matmul(transpose(W), matrix_transpose(W))",
    "-W.T**2": "neg(pow(transpose(W), 2))",
    "a**v[0]": "pow(a, index(v | [0]))",
    "(X @ W).T": "transpose(matmul(X, W))",
    "exp(v)[0]": "index(exp(v) | [0])",
    "W.T.T[0].T": "transpose(index(transpose(transpose(W)) | [0]))",
    # indices
    "v[0] + v[-1]": "add(index(v | [0]), index(v | [-1]))",
    "X[1:n, 0]": "index(X | [1:n:1, 0])",
    "v[:-1]": "index(v | [:-1:1])",
    "X[:, None]": "index(X | [::1, None])",
    "X[None, ::2, ::-1]": "index(X | [None, ::2, ::-1])",
    "X[n - 1][2]": "index(index(X | [n - 1]) | [2])",
    "X[2*(1 - n) + n*n:-(n - 1)]": "index(X | [n*n - 2*n + 2:-n + 1:1])",
    "X[0,]": "index(X | [0])",
    "X[\n  0,\n  1\n]": "index(X | [0, 1])",
    # functions
    "sum(X)": "sum(X | None, False)",
    "sum(X, axis=0)": "sum(X | 0, False)",
    "mean(X, axis=(0, -1), keepdims=True)": "mean(X | [0, -1], True)",
    "norm(X, keepdims=False, axis=None)": "norm(X | None, False)",
    "max(X) + min(X, axis=1)": "add(amax(X | None, False), amin(X | 1, False))",
    "max(X, 0) + min(X, a)": "add(maximum(X, 0), minimum(X, a))",
    "amax(X, keepdims=True)": "amax(X | None, True)",
    "softmax(X, axis=-1) + cumsum(v)": "add(softmax(X | -1), cumsum(v | None))",
    "concat(v, v)": "concat(v, v | 0)",
    "concat([v, v[:1]], axis=-1)": "concat(v, index(v | [:1:1]) | -1)",
    "stack((v, v,), axis=1)": "stack(v, v | 1)",
    "stack((v), (v + v))": "stack(v, add(v, v) | 0)",
    "concat([v])": "concat(v | 0)",
    "reshape(X, (3, n))": "reshape(X | [3, n])",
    "reshape(X, -1)": "reshape(X | [-1])",
    "reshape(X, (n + n)*3)": "reshape(X | [6*n])",
    "reshape(X, [3*n])": "reshape(X | [3*n])",
    "zeros((n, 3)) + ones(3)": "add(zeros( | [n, 3]), ones( | [3]))",
    "zeros(()) + ones(n - 1)": "add(zeros( | []), ones( | [n - 1]))",
    "eye(3) + eye(n, 2*n)": "add(eye( | 3), eye( | n, 2*n))",
    "dot(v, v)*outer(v, v)": "mul(dot(v, v), outer(v, v))",
    "solve(W, v) + inv(W) @ diag(W)": "add(solve(W, v), matmul(inv(W), diag(W)))",
    "trace(W)*det(W)*logdet(W)": "mul(mul(trace(W), det(W)), logdet(W))",
    "where(X < v, X, 0)": "where(lt(X, v), X, 0)",
    "sum(X**2)/n": "div(sum(pow(X, 2) | None, False), n)",
}


@pytest.mark.parametrize("text", TREES)
def test_trees(text: str) -> None:
    assert output(read(HEAD + text)) == TREES[text]


def test_every_array_function_can_be_called() -> None:
    for name, op in ARRAYS.items():
        if op.public:
            operands = ["W"] * (op.operands if op.operands >= 0 else 2) + ["3"] * (name in SHAPED)
            (call,) = (s.expr for s in read(f"W: (3, 3)\n{name}({', '.join(operands)})").statements)
            assert isinstance(call, Call) and call.op == name
            assert len(call.options) == (1 if name in SHAPED else len(op.keywords))
        else:
            assert name not in FUNCTIONS


def test_tables_of_words_name_ops() -> None:
    assert set(REDUCTIONS.values()) | set(SHAPED) | set(METHODS.values()) <= set(ARRAYS)
    assert not set(ARRAYS) & set(TABLE)


SPANS = """X: (n, 3)
v: 3
a = (X @ v[None].T)[0]
b = sum((X + 1), axis=0)[1:] ** 2
c = concat([b, (a)]).T
"""


def test_spans_reach_from_the_operand_to_the_closing_bracket() -> None:
    formula = read(SPANS)
    calls = [part for statement in formula.statements for part in walk(statement.expr) if isinstance(part, Call)]
    assert [SPANS[slice(*call.span)] for call in calls if call.span] == [
        "(X @ v[None].T)[0]",
        "X @ v[None].T",
        "v[None].T",
        "v[None]",
        "sum((X + 1), axis=0)[1:] ** 2",
        "sum((X + 1), axis=0)[1:]",
        "sum((X + 1), axis=0)",
        "X + 1",
        "concat([b, (a)]).T",
        "concat([b, (a)])",
    ]


# -- declarations -----------------------------------------------------------------------------------------------------


def test_shapes() -> None:
    formula = read("a: ()\nb: 3\nc: (3,)\nd: (3)\nX: (n, 3)\ny: const(m)\nk: const(n, m)\nl: const\ne: (2, 0, n,)\na*l")
    assert dict(formula.inputs) == {
        "a": (), "b": (3,), "c": (3,), "d": (3,), "X": ("n", 3), "y": ("m",), "k": ("n", "m"), "l": (),
        "e": (2, 0, "n"),
    }  # fmt: skip
    assert formula.constants == ("y", "k", "l")
    assert formula.dimensions == ("n", "m")


def test_defaults() -> None:
    formula = read("W: (2, 2) = [[1, 2], [3, -1/4],]\nx: 3 = [pi, 2**0.5, 0]\ny: (2, 0) = [[], []]\nz: const = 2\nz*W")
    assert dict(formula.defaults) == {
        "W": ((1.0, 2.0), (3.0, -0.25)),
        "x": (np.pi, 2**0.5, 0.0),
        "y": ((), ()),
        "z": 2.0,
    }


def test_shapes_of_the_call() -> None:
    shapes = {"X": ("n", 3), "w": 3, "v": "n", "y": "const(n, 3)", "z": "n, 3", "s": (), "phi": "function"}
    formula = read("phi(X @ w) + v + s*z[:, 0]*y[:, 0]", shapes=shapes)
    assert dict(formula.inputs) == {"X": ("n", 3), "w": (3,), "v": ("n",), "y": ("n", 3), "z": ("n", 3), "s": ()}
    assert formula.constants == ("y",) and formula.functions == {"phi": Abstract("phi", None)}
    for shape in ("(3", "3 3", "const(", "X", "pi", (3, -1), ("a b",), 2.5, True, (1,) * 99):
        with pytest.raises(SymdiffError):
            read("X", shapes={"X": shape})  # type: ignore[dict-item]


def test_abstract_functions() -> None:
    text = "phi: function\nl: function()\nm: function(n, 3)\nunused: function\nX: (n, 3)\n"
    formula = read(text + "def act(z): return phi(z)/2\nl(m(X), act(X)) + sum(phi(X))")
    assert formula.functions == {
        "phi": Abstract("phi", None),
        "l": Abstract("l", ()),
        "m": Abstract("m", ("n", 3)),
        "unused": Abstract("unused", None),
    }
    assert output(formula) == "add(l(m(X), act(X)), sum(phi(X) | None, False))"
    assert shown(formula.helpers["act"].body) == "div(phi(z), 2)"


def test_inputs_need_no_declaration_beside_a_function() -> None:
    assert dict(read("phi: function\nphi(w*x + b)").inputs) == {"w": (), "x": (), "b": ()}


def test_dimensions_in_helpers() -> None:
    formula = read("x: n\ndef tail(z): return z[1:n]\ndef mean_of(z, n): return sum(z)/n\nmean_of(tail(x), n - 1)")
    assert output(formula) == "mean_of(tail(x), sub(n, 1))"
    assert shown(formula.helpers["tail"].body) == "index(z | [1:n:1])"


# -- errors -----------------------------------------------------------------------------------------------------------

ERRORS = [
    # text after HEAD, line, column, message
    ("sum(X, 0)", 1, 8, "an axis is given by name, sum\\(x, axis=0\\)"),
    ("softmax(X, 1)", 1, 12, "softmax\\(x, axis=1\\)"),
    ("sum(X, axes=0)", 1, 8, "no keyword 'axes'; it takes axis= and keepdims="),
    ("sum(X, axis=a)", 1, 13, "axis= is an integer or a tuple of integers"),
    ("sum(X, axis=(0, n))", 1, 17, "axis= is an integer or a tuple"),
    ("sum(X, axis=())", 1, 13, "at least one axis"),
    ("sum(X, axis=0.0)", 1, 13, "found '0.0'"),
    ("sum(X, axis=0, axis=1)", 1, 16, "given twice"),
    ("sum(X, keepdims=1)", 1, 17, "True or False"),
    ("sum(X, axis=0, 1)", 1, 16, "only keywords"),
    ("sum(X, axis=0", 1, 14, "expected ',' or '\\)' in sum\\(\\)"),
    ("sum(axis=0)", 1, 4, "takes 1 argument, not 0"),
    ("concat(v, v, axis=(0, 1))", 1, 19, "axis= is an integer"),
    ("concat([v, v], v)", 1, 16, "only axis="),
    ("concat([v, v] + 1)", 1, 13, "only as the one argument of concat"),
    ("concat([v, v)", 1, 8, "not closed before '\\)'"),
    ("concat()", 1, 8, "is missing"),
    ("concat(X)", 1, 7, "joins several arrays: concat\\(a, b\\) or concat\\(\\[a, b\\]\\)"),
    ("stack((X), axis=1)", 1, 6, "joins several arrays"),
    ("concat([])", 1, 9, "nothing between"),
    ("[v, v]", 1, 1, "stack\\(a, b\\)"),
    ("max(X, v, axis=0)", 1, 11, "no keyword arguments with 2 operands; of one array it is max\\(x, axis=0\\)"),
    ("max(X, v, a)", 1, 4, "max\\(max\\(a, b\\), c\\)"),
    ("maximum(X)", 1, 8, "takes 2 arguments, not 1"),
    ("sin(X, axis=0)", 1, 8, "sin\\(\\) takes no keyword arguments"),
    ("sum(X < a)", 1, 5, "only as the condition"),
    ("(X < a).T", 1, 2, "only as the condition"),
    ("X @ (v < a)", 1, 6, "only as the condition"),
    ("X @ @ v", 1, 5, "found '@'"),
    ("X[k]", 1, 3, "'k' is none; a dimension occurs"),
    ("X[a]", 1, 3, "'a' is a variable"),
    ("X[0.5]", 1, 3, "found '0.5'"),
    ("X[9999999999]", 1, 3, "at most 9 digits"),
    ("X[]", 1, 2, "an index is missing"),
    ("X[0", 1, 2, "not closed before the end of the text"),
    ("X[0)", 1, 2, "not closed before '\\)'"),
    ("X[(n + 1]", 1, 3, "not closed before ']'"),
    ("X[n/2]", 1, 4, "only \\+ - \\*"),
    ("X[::0]", 1, 5, "not zero"),
    ("X[::n]", 1, 5, "written as a literal"),
    ("X[...]", 1, 3, "':' for each axis"),
    ("X[" + "0," * 17 + "]", 1, 2, "at most 16 axes"),
    ("X[0]]", 1, 5, "no open bracket"),
    ("reshape(X)", 1, 10, "the shape is missing; write reshape\\(x, \\(2, 3\\)\\)"),
    ("reshape(X, 3, n)", 1, 13, "one argument; write reshape\\(x, \\(2, 3\\)\\)"),
    ("reshape(X, (-1, 3))", 1, 12, "-1 stands alone"),
    ("reshape(X, (-2, 3))", 1, 12, "not negative"),
    ("zeros(-1)", 1, 7, "not negative"),
    ("zeros(3, 3)", 1, 8, "write zeros\\(\\(2, 3\\)\\)"),
    ("zeros(shape=3)", 1, 7, "no keyword arguments; write zeros"),
    ("zeros((3, k))", 1, 11, "'k' is none"),
    ("zeros()", 1, 7, "the shape is missing"),
    ("eye(1, 2, 3)", 1, 5, "1 or 2 sizes"),
    ("X.sum()", 1, 2, "write sum\\(X\\)"),
    ("(X @ v).max(axis=0)", 1, 8, "write max\\(..., ...\\)"),
    ("X.dot(v)", 1, 2, "write dot\\(X, ...\\)"),
    ("X.shape[0]", 1, 2, "a size has a name"),
    ("X.real", 1, 2, "attributes"),
    ("np.linalg.inv(W)", 1, 1, "write inv without 'np.linalg.'"),
    ("np.concatenate((v, v))", 1, 1, "write concat without 'np.'"),
    ("np.load(v)", 1, 4, "'np.load' is not a function"),
    ("transpose(X)", 1, 1, "did you mean 'x.T'"),
    ("X[0] = 3", 1, 1, "the left side of '=' is one name"),
    ("n = 3", 1, 1, "'n' is a dimension"),
    ("n(X)", 1, 1, "'n' is a dimension, not a function"),
    ("def n(x): return x", 1, 5, "'n' is a dimension"),
    ("def f(x): return x/n\nf(X)", 1, 20, "pass 'n' as one"),
    ("def f(x, n): return x[:n]\nf(X, n)", 1, 24, "'n' is a variable"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), ERRORS, ids=[case[0][:30] for case in ERRORS])
def test_errors_say_what_to_write(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        read(HEAD + text)
    assert (caught.value.line, caught.value.column) == (line + HEAD.count("\n"), column)


DECLARED = [
    ("n: ()\nX: (n, 3)\nX", 2, 5, "'n' is an input, and cannot be a dimension"),
    ("X: (n, 3)\nn: ()\nX", 2, 1, "'n' is a dimension"),
    ("X: (X, 3)\nX", 1, 1, "'X' is an input"),
    ("X: (pi, 3)\nX", 1, 5, "'pi' is a constant"),
    ("X: (const, 3)\nX", 1, 5, "found 'const'"),
    ("X: (" + "3, " * 20 + ")\nX", 1, 4, "at most 16 axes"),
    ("X: n\nX*m", 2, 3, "unknown name 'm'"),
    ("X: 3\nn*X", 2, 1, "unknown name 'n'"),
    ("m: function(k)\nX: n\nm(X)", 1, 1, "size 'k', which occurs in the shape of no input"),
    ("m: function(X)\nX: n\nm(X)", 1, 1, "'X' is an input"),
    ("phi: function\nx: ()\nphi*x", 3, 1, "'phi' is a function: write phi"),
    ("phi: function\nx: ()\nphi()", 3, 5, "is missing"),
    ("phi: function\nx: ()\nphi(x) + phi(x, x)", 3, 13, "1 argument where it is called first, and more than 1 here"),
    ("phi: function\nx: ()\nphi(x, x) + phi(x)", 3, 16, "2 arguments where it is called first, and 1 here"),
    ("phi: function\nx: ()\nphi(x, axis=0)", 3, 8, "no keyword"),
    ("phi: function\nphi: ()\nphi", 2, 1, "declared twice"),
    ("phi: function\nphi = x", 2, 1, "'phi' is a function already"),
    ("phi: function = 2\nphi(x)", 1, 15, "no default"),
    ("sum: function\nsum(x)", 1, 1, "a function of the language"),
    ("square: function\nsquare(x)", 1, 1, "the name of an operation"),
    ("x: ()\ny = phi(x)\nphi: function\ny", 2, 5, "unknown function 'phi'"),
    ("x: 2 = [1, y]\nx", 1, 12, "a default is a number, or nested lists"),
    ("x: 2 = [1, sum(2)]\nx", 1, 12, "a default is a number"),
    ("x: 2 = [1, 2", 1, 8, "not closed"),
    ("x: 2 = [1, 2]*2\nx", 1, 14, "end of the statement"),
]


@pytest.mark.parametrize(("text", "line", "column", "message"), DECLARED, ids=[case[0][:30] for case in DECLARED])
def test_errors_of_declarations(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        read(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("W: (2, 2) = [[1, 2], [3]]\nW", 13, "shapes \\(2,\\) and \\(1,\\)"),
        ("W: (2, 2) = [[1, 2], 3]\nW", 13, "shapes \\(2,\\) and \\(\\)"),
        ("W: (2, 2) = [1, 2]\nW", 13, "shape \\(2,\\), and the declaration says \\(2, 2\\)"),
        ("W: (2, 2) = 1\nW", 13, "shape \\(\\), and the declaration says \\(2, 2\\)"),
        ("x: () = [1]\nx", 9, "shape \\(1,\\), and the declaration says \\(\\)"),
        ("x: n = [1]\nx", 8, "says \\(n,\\); with a default, sizes are whole numbers"),
    ],
)
def test_defaults_of_another_shape(text: str, column: int, message: str) -> None:
    with pytest.raises(ShapeError, match=message) as caught:
        read(text)
    assert (caught.value.line, caught.value.column) == (1, column)


def test_brackets_of_indices_count_for_the_depth() -> None:
    deep = "x: n\n" + "(" * 5 + "x[" + "(" * 5 + "0" + ")" * 5 + "]" + ")" * 5
    assert read(deep, limits=Limits().raised(depth=11))
    with pytest.raises(ParseError, match="limit `depth`"):
        read(deep, limits=Limits().raised(depth=10))
    with pytest.raises(ParseError, match="limit `steps`"):
        read("x[0][0].T", limits=Limits().raised(steps=2))
    with pytest.raises(ParseError, match="limit `depth`"):
        read("x: 1 = [[[1]]]\nx", limits=Limits().raised(depth=2))


@pytest.mark.parametrize("factor", ["(a + b + c)", "n", "999999999"])
def test_a_size_cannot_grow_without_bound(factor: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ParseError, match="too large"):
        read("X: (a, b, c, n)\nX[" + "*".join([factor] * 5_000) + "]")
    assert time.perf_counter() - start < 1


# -- Python sources ---------------------------------------------------------------------------------------------------

PYTHON = {
    "np.sum(W, axis=0)": "sum(W | 0, False)",
    "W.sum(axis=0, keepdims=True)": "sum(W | 0, True)",
    "(W @ v).mean()": "mean(matmul(W, v) | None, False)",
    "W.max() + W.min(axis=-1)": "add(amax(W | None, False), amin(W | -1, False))",
    "W.T.prod()": "prod(transpose(W) | None, False)",
    "np.max(W) + np.min(W, axis=0)": "add(amax(W | None, False), amin(W | 0, False))",
    "max(v, 0) + np.maximum(v, 0)": "add(maximum(v, 0), maximum(v, 0))",
    "v.dot(W).T": "transpose(dot(v, W))",
    "W.reshape(9, 1) + W.reshape((9, 1))": "add(reshape(W | [9, 1]), reshape(W | [9, 1]))",
    "np.reshape(W, -1)": "reshape(W | [-1])",
    "np.linalg.inv(W) @ np.linalg.solve(W, v)": "matmul(inv(W), solve(W, v))",
    "jnp.linalg.det(W)*np.linalg.norm(v)": "mul(det(W), norm(v | None, False))",
    "np.linalg.cholesky(W)": "cholesky(W)",
    "np.concatenate((v, v), axis=0)": "concat(v, v | 0)",
    "np.stack([v, v], axis=1)": "stack(v, v | 1)",
    "np.matmul(W, np.transpose(W))": "matmul(W, transpose(W))",
    "W[np.newaxis, :, 0]": "index(W | [None, ::1, 0])",
    "np.zeros((3, 3)) + np.eye(3) + np.diag(v)": "add(add(zeros( | [3, 3]), eye( | 3)), diag(v))",
    "np.where(W > 0, W, np.exp(W))": "where(gt(W, 0), W, exp(W))",
}


@pytest.mark.parametrize("text", PYTHON)
def test_numpys_names_in_python(text: str, tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text(f'def f(W: "3,3", v: "3"):\n    return {text}\n', "ascii")
    formula = read_reference(f"{file}:f")
    assert output(formula) == PYTHON[text]
    expr = formula.statements[-1].expr
    assert isinstance(expr, Call) and expr.span is not None
    assert formula.source[slice(*expr.span)] == text


def annotated(X: "n,3", y: "const(n, 3)", w: "3,", s: "()", V: "(2, 2)" = [[1, 2], [3, 4]], phi: "function" = ...):  # type: ignore  # noqa
    return s * X


def whole(X: "n, 3", y: "const(n)", w: "(3,)", phi: "function", l: "function()"):  # type: ignore  # noqa: F821, UP037
    def residual(a, b):
        return a - b

    r = residual(phi(X @ w), y)
    return l(r) + np.mean(r**2)


def test_annotations() -> None:
    formula = read(whole)
    assert dict(formula.inputs) == {"X": ("n", 3), "y": ("n",), "w": (3,)}
    assert formula.constants == ("y",)
    assert formula.functions == {"phi": Abstract("phi", None), "l": Abstract("l", ())}
    assert output(formula) == "add(l(r), mean(pow(r, 2) | None, False))"
    assert formula.source == inspect.getsource(whole).rstrip()
    with pytest.raises(ParseError, match="a function has no default"):
        read(annotated)


def test_shapes_of_the_call_for_a_python_function() -> None:
    def f(X, w, phi, b=[1, 2]):  # noqa: B006
        return phi(X @ w) + b

    formula = read(f, shapes={"X": ("n", 3), "w": "const(3, 2)", "phi": "function", "b": 2})
    assert dict(formula.inputs) == {"X": ("n", 3), "w": (3, 2), "b": (2,)}
    assert formula.constants == ("w",) and formula.defaults == {"b": (1.0, 2.0)} and list(formula.functions) == ["phi"]
    with pytest.raises(ShapeError, match="shape \\(2,\\), and the declaration says \\(\\)"):
        read(f, shapes={"phi": "function"})
    with pytest.raises(ShapeError, match="'X' has shape \\(n, 3\\) in its annotation, and not \\(3,\\)"):
        read(whole, shapes={"X": 3})


# -- what people try ---------------------------------------------------------------------------------------------------

TRIED = [
    ("x: float\nx", r"line 1, column 4: a shape stands here and no type; a scalar is x: \(\), a vector x: n or x: 3"),
    ("y: 3\nx: vector\nx", r"line 2, column 4: .* a scalar is x: \(\)"),
    ("A: matrix\nA", r"a matrix A: \(n, 3\)"),
    ("X: n, 3\nX", r"column 5: several sizes stand in brackets; write X: \(n, 3\)"),
    ("X: 2, 3, k\nX", r"write X: \(2, 3, k\)"),
    ("X: (n, 3), w: 3\nX @ w", "column 10: a new line or ';' stands between declarations"),
    ("x: n, w: n\nx", "a new line or ';' stands between declarations"),
    ("x: 2 = [1, 2], w: 3\nx", "a new line or ';' stands between declarations"),
    ("X: (n, 3), 2\nX", "one declaration a line"),
    ("x: n\nx[:, np.newaxis]", r"line 2, column 6: a new axis is written None, x\[:, None\]"),
    ("x: n\nx[newaxis, :]", "a new axis is written None"),
    ("X: (n, 3)\nsum(X)/len(X)", r"'len\(\)' is not part of the language; a size has a name: declare X: \(n, 3\) and"),
    ("A: (n, 3)\nA.flatten()", r"line 2, column 2: .flatten\(\) is not part of the language; write reshape\(A, -1\)"),
    ("A: (n, 3)\n(2*A).ravel()", r"write reshape\(..., -1\)"),
    ("x: n\nsum(torch.relu(x))", r"line 2, column 5: 'torch.relu' is not part of the language; write relu\(...\)"),
    ("x: n\nF.relu(x)", r"'F.relu' is not part of the language; write relu"),
    ("torch.nn.functional.softplus(x)", r"write softplus\(...\)"),
    ("jax.scipy.special.logsumexp(x)", r"write logsumexp\(...\)"),
    ("torch.arctan2(x, y)", r"write atan2\(...\)"),
    ("torch.var(x)", r"'torch.var' is not part of the language; write mean\(\(x - mean\(x\)\)\*\*2\)"),
    ("x: n\nvar(x)", r"'var\(\)' is not part of the language; write mean\(\(x - mean\(x\)\)\*\*2\)"),
    ("x: n\nx.std()", r"'.std\(\)' is not part of the language; write sqrt\(mean"),
    ("x: n\nnp.var(x)", r"'np.var' is not a function of the language; write mean"),
    ("x: n\nkron(x, x)", r"reshape\(outer\(a, b\), -1\)"),
    ("A: (n, n)\ntriu(A)", "multiply by a constant mask"),
    ("einsum(x)", "write a @ b"),
]


@pytest.mark.parametrize(("text", "message"), TRIED, ids=[text.split("\n")[-1] for text, _ in TRIED])
def test_what_people_try_is_answered(text: str, message: str) -> None:
    with pytest.raises(ParseError, match=message):
        read(text)


@pytest.mark.parametrize("name", ["argmax", "cross", "expm", "einsum", "std", "var", "triu", "kron", "svd", "sort"])
def test_no_wrong_guess_for_a_well_known_function(name: str) -> None:
    with pytest.raises(ParseError, match=rf"'{name}\(\)' is not part of the language") as caught:
        read(f"x: n\n{name}(x)")
    assert "did you mean" not in str(caught.value)


def test_names_of_libraries_are_ordinary_names() -> None:
    assert output(read("F*sp + nn")) == "add(mul(F, sp), nn)"
    assert output(read("F: (2, 2)\nF.T")) == "transpose(F)"
    assert read("sum(float*x)", shapes={"float": (), "x": 3}).inputs == {"float": (), "x": (3,)}


def test_a_type_is_no_shape_of_a_keyword() -> None:
    with pytest.raises(ShapeError, match=r"shapes=: a shape stands here and no type; a scalar is x: \(\)"):
        read("x", shapes={"x": "float"})


SHAPES_REFUSED = [
    ("X @ W", r"a scalar has no axis to contract; write a\*b, or declare the shapes of matrices, such as X: \(n, 3\)"),
    ("A: (b, k, k); inv(A)", r"shape \(b, k, k\); stacks of matrices are not supported"),
    ("A: (b, k, k); x: (b, k); solve(A, x)", "stacks of matrices are not supported"),
    ("A: (b, k, k); trace(A)", "stacks of matrices are not supported"),
    ("A: (b, k, k); diag(A)", "stacks of matrices are not supported"),
    ("x: n; x[n]", r"column 7: index n is outside of axis 0 of shape \(n,\) for every n; the last one is n - 1"),
    ("x: n; x[n + 1]", r"index n \+ 1 is outside"),
    ("x: n; x[2*n]", r"index 2\*n is outside"),
    ("X: (m, n); X[0, m + n]", r"index m \+ n is outside of axis 1 of shape \(m, n\)"),
    ("x: 3; y: n; x[n + 3] + sum(y)", r"index n \+ 3 is outside of axis 0 of shape \(3,\)"),
]


@pytest.mark.parametrize(("text", "message"), SHAPES_REFUSED)
def test_shapes_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        linearize(read(text))


@pytest.mark.parametrize(
    "text", ["x: n; x[n - 1]", "X: (m, n); X[n, m]", "x: n; x[2*n - 1]", "x: n; y: m; x[m] + sum(y)"]
)
def test_an_index_that_may_be_inside_is_left_to_the_call(text: str) -> None:
    assert linearize(read(text))
