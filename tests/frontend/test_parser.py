"""The formula language: precedence against Python's, order of operations, declarations, helpers, errors, time."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

import pytest
from frontend.evaluation import value_of
from hypothesis import given, settings
from hypothesis import strategies as st

from symdiff.errors import DomainError, ParseError, ShapeError, SymdiffError, UnsupportedError
from symdiff.expr import Call, Expr, Name, Number, bottom_up, walk
from symdiff.formula_data import FormulaData, Limits
from symdiff.frontend import read

NAMES = ("x", "y", "z")
POINT = {"x": 0.75, "y": -1.5, "z": 2.25}


def shape_of(expr: Expr) -> str:
    """The tree with every bracket written."""
    signs = {"add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "**"}

    def node(call: Call, args: list[str]) -> str:
        if call.op in signs:
            return f"({args[0]}{signs[call.op]}{args[1]})"
        return f"(-{args[0]})" if call.op == "neg" else f"{call.op}({','.join(args)})"

    return bottom_up(expr, lambda leaf: leaf.id if isinstance(leaf, Name) else f"{leaf.value:g}", node)


def only(formula: FormulaData) -> Expr:
    (statement,) = formula.statements
    return statement.expr


# -- grammar ----------------------------------------------------------------------------------------------------------

# Tokens in random order that form an expression: atom { operator { sign } atom }, with brackets around some pieces.
_ATOM = st.sampled_from([*NAMES, "2", "3", "0.5"])


def _longer(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    sign = st.sampled_from(["", "-", "--", "+", "-+"])
    operator = st.sampled_from(["+", "-", "*", "/", "**", " + ", " - "])
    chain = st.lists(st.tuples(operator, sign, inner), min_size=1, max_size=4)
    text = st.builds(lambda first, rest: first + "".join(a + b + c for a, b, c in rest), inner, chain)
    return st.one_of(text, text.map(lambda inside: f"({inside})"), inner.map(lambda inside: f"-{inside}"))


class Traced:
    """Python's own grouping of an expression, recorded by its operators: the oracle."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _pair(self, sign: str, other: object, turned: bool = False) -> Traced:
        a, b = self.text, other.text if isinstance(other, Traced) else f"{other:g}"
        return Traced(f"({b}{sign}{a})" if turned else f"({a}{sign}{b})")

    __add__ = lambda self, other: self._pair("+", other)  # noqa: E731
    __sub__ = lambda self, other: self._pair("-", other)  # noqa: E731
    __mul__ = lambda self, other: self._pair("*", other)  # noqa: E731
    __truediv__ = lambda self, other: self._pair("/", other)  # noqa: E731
    __pow__ = lambda self, other: self._pair("**", other)  # noqa: E731
    __neg__ = lambda self: Traced(f"(-{self.text})")  # noqa: E731
    __pos__ = lambda self: self  # noqa: E731


@settings(max_examples=300, deadline=None)
@given(st.recursive(_ATOM, _longer, max_leaves=12))
def test_grouping_is_pythons(text: str) -> None:
    for number, letter in (("0.5", "c"), ("2", "a"), ("3", "b")):  # so that Python computes nothing
        text = text.replace(number, letter)
    oracle = eval(text, {"__builtins__": {}}, {name: Traced(name) for name in "abcxyz"})
    assert shape_of(only(read(text))) == oracle.text


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b + 2", "((a+b)+2)"),
        ("2 + b + a", "((2+b)+a)"),
        ("b*a - a*b", "((b*a)-(a*b))"),
        ("x - x", "(x-x)"),
        ("a/b/c", "((a/b)/c)"),
        ("sin(-a)", "sin((-a))"),
        ("-x**-y", "(-(x**(-y)))"),
        ("2**3**x", "(2**(3**x))"),
        ("where(x < -1, x, y)", "where(lt(x,(-1)),x,y)"),
        ("max(x, min(y, 0))", "maximum(x,minimum(y,0))"),
        ("gamma*gamma(gamma)", "(gamma*gamma(gamma))"),
        ("e*I + S", "((e*I)+S)"),
    ],
)
def test_the_order_typed_is_kept(text: str, tree: str) -> None:
    assert shape_of(only(read(text))) == tree


def test_numbers_are_nearest_float64() -> None:
    assert only(read("0.1*x")).args[0] == Number(0.1)  # type: ignore[attr-defined]
    assert only(read("12345678901234567890123*x")).args[0] == Number(12345678901234567890123.0)  # type: ignore[attr-defined]
    assert only(read("pi*x")).args[0] == Number(math.pi, "pi")  # type: ignore[attr-defined]


def test_spans_point_into_the_text() -> None:
    text = "a = x*sin(y + 1)\nb = a + x\n"
    formula = read(text)
    spans = [text[slice(*part.span)] for part in _calls(formula) if part.span]
    assert spans == ["x*sin(y + 1)", "sin(y + 1)", "y + 1", "a + x"]


def _calls(formula: FormulaData) -> list[Call]:
    return [part for statement in formula.statements for part in walk(statement.expr) if isinstance(part, Call)]


# -- programs ---------------------------------------------------------------------------------------------------------


def test_declarations() -> None:
    formula = read("y: const\nx: ()\nlam: const() = -1/4\nw: () = 2\nx*y*lam*w")
    assert list(formula.inputs) == ["y", "x", "lam", "w"]
    assert formula.constants == ("y", "lam")
    assert dict(formula.defaults) == {"lam": -0.25, "w": 2.0}


def test_inputs_come_in_order_of_appearance() -> None:
    assert list(read("t = b*a; t + c").inputs) == ["b", "a", "c"]


def test_shapes_and_constants_stand_for_declarations() -> None:
    formula = read("y*x", shapes={"x": (), "unused": (), "y": ()}, constants=["y"])
    assert list(formula.inputs) == ["x", "unused", "y"] and formula.constants == ("y",)
    assert read("y*x", constants="y").constants == ("y",)
    with pytest.raises(ParseError, match="unknown name 'y'"):
        read("y*x", shapes={"x": ()})
    with pytest.raises(ParseError, match="constants=: 'lan' is not an input; did you mean 'lam'"):
        read("lam*x", constants=("lan",))
    with pytest.raises(ParseError, match="shapes=: 'x y' is not a name"):
        read("x", shapes={"x y": ()})
    with pytest.raises(ShapeError, match="the shape of 'x'"):
        read("x", shapes={"x": (1.5,)})  # type: ignore[dict-item]
    assert read("x", shapes={"x": ("n", 3)}).inputs["x"] == ("n", 3)


def test_helpers_named_like_inner_operations() -> None:
    formula = read("def add(a, b): return a*b\ndef square(a): return add(a, a) + 1\nsquare(x) + add(x, y)")
    assert value_of(formula, {"x": 3.0, "y": 5.0}) == 10 + 15


def test_helper_on_two_lines() -> None:
    assert list(read("def f(a):\n    return a*a\nf(x) + f(y)").inputs) == ["x", "y"]


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("x = 1\ny = sinn(x)", 2, 5, "unknown function 'sinn'; did you mean 'sin'"),
        ("alpha: ()\nalhpa + 1", 2, 1, "unknown name 'alhpa': it is not declared; did you mean 'alpha'"),
        ("ln(x)", 1, 1, "did you mean 'log'"),
        ("x = 2\n  x = y", 2, 3, "assigned twice"),
        ("b = a*x\na = x", 1, 5, "'a' is used before it is assigned"),
        ("x = x + 1", 1, 5, "'x' is used before it is assigned"),
        ("(x + 1", 1, 1, "not closed before the end of the text"),
        ("(x + 1]", 1, 1, "not closed before"),
        ("(x y)", 1, 4, "a product needs '\\*'"),
        ("x + 1)", 1, 6, "no open bracket"),
        ("x y", 1, 3, "a product needs '\\*'"),
        ("sin x", 1, 1, "'sin' is a function: write sin"),
        ("lambda*x", 1, 1, "write lam"),
        ("x if x > 0 else y", 1, 3, "where"),
        ("where(0 < x < 1, x, y)", 1, 13, "one comparison at a time"),
        ("where(x = 1, x, y)", 1, 7, "a comparison is =="),
        ("1 + (x < y)", 1, 6, "only as the condition"),
        ("hypot(x, y, z)", 1, 6, "takes 2 arguments"),
        ("sin()", 1, 5, "argument of sin\\(\\) is missing"),
        ("log(x, 2)", 1, 4, "log\\(x\\)/log\\(base\\)"),
        ("x +", 1, 4, "found the end of the text"),
        ("a, b = x", 1, 2, "one name at a time"),
        ("a = b = x", 1, 1, "one name"),
        ("x\ny", 1, 1, "only the last statement"),
        ("def f(a): return a*b\nf(x)", 1, 20, "sees only its parameters"),
        ("def f(a): return a < 1\nf(x)", 1, 18, "only as the condition"),
        ("def f(a): return f(a)\nf(x)", 1, 18, "unknown function 'f'"),
        ("x: ()\ny: () = x\nx*y", 2, 9, "a default is a number"),
        ("x.real", 1, 2, "attributes"),
        ("np.sin(x)", 1, 1, "write sin without 'np.'"),
        ("sin(x=1)", 1, 5, "no keyword arguments"),
        ("polygamma(n, x)", 1, 11, "whole number from 0"),
        ("", 1, 1, "expected a formula"),
        ("1 + 2", 1, 1, "at least one input"),
    ],
)
def test_parse_errors(text: str, line: int, column: int, message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        read(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    caret = str(caught.value).splitlines()[-1]
    assert caret.endswith("^") and caret.index("^") == caret.index("|") + 1 + column


def test_numbers_out_of_range() -> None:
    with pytest.raises(DomainError) as caught:
        read("x +\\\n 1e999")
    assert (caught.value.line, caught.value.column) == (2, 2)


def test_limits_can_be_raised() -> None:
    deep = "(" * 500 + "x" + ")" * 500
    with pytest.raises(ParseError, match="limit `depth`"):
        read(deep)
    assert read(deep, limits=Limits().raised(depth=500))
    with pytest.raises(ParseError, match="limit `steps`"):
        read("x + x + x", limits=Limits().raised(steps=1))


def test_a_tower_of_helpers_is_counted_and_not_built() -> None:
    tower = "def f0(a): return a + a\n" + "".join(f"def f{i}(a): return f{i - 1}(f{i - 1}(a))\n" for i in range(1, 60))
    with pytest.raises(ParseError, match="limit `steps`"):
        read(tower + "f59(x)")
    chain = "def f0(a): return a\n" + "".join(f"def f{i}(a): return f{i - 1}(a)\n" for i in range(1, 200))
    with pytest.raises(ParseError, match="100 deep"):
        read(chain + "f199(x)")


# -- time -------------------------------------------------------------------------------------------------------------

LONG = {
    "sum_5000": ("+".join(f"x{i}" for i in range(5_000)), 1),
    "sum_100000": ("+".join(f"x{i}" for i in range(100_000)), 8),
    "statements_50000": ("a0 = x\n" + "".join(f"a{i} = a{i - 1} + x\n" for i in range(1, 50_000)), 12),
    "indices_50000": ("x" + "[0]" * 50_000, 4),
    "products_50000": ("@".join(["x"] * 50_000), 4),
    "list_50000": ("concat([" + ",".join(["x"] * 50_000) + "])", 4),
    "default_50000": ("x: 50000 = [" + ",".join(["1"] * 50_000) + "]\nx", 8),
    "arguments_under_signs": ("+".join(["hypot(x," + "-" * 300 + "x)"] * 600), 8),
    "declarations_5000": ("".join(f"name_{i}: ()\n" for i in range(5_000)) + "name_1", 2),
}


@pytest.mark.parametrize("name", LONG)
def test_long_texts_are_read_in_linear_time(name: str) -> None:
    text, seconds = LONG[name]
    start = time.perf_counter()
    read(text)
    assert time.perf_counter() - start < seconds


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10**6,
        ")" * 10**6,
        "-" * 10**6,
        "sin(" * 250_000,
        "x" + "**x" * 300_000,
        "hypot(" + "x," * 500_000,
        ";" * 10**6,
        "".join(f"{'ab' * 29}{i}: ()\n" for i in range(5_000)) + "ba" * 31,
    ],
)
def test_bad_texts_are_refused_at_once(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(SymdiffError) as caught:
        read(text)
    assert time.perf_counter() - start < 3
    assert len(str(caught.value)) < 1000


# -- files ------------------------------------------------------------------------------------------------------------


def test_a_path_is_a_file_and_a_str_is_not(tmp_path: Path) -> None:
    file = tmp_path / "a.sd"
    file.write_bytes("\ufeffx*y  # θ\r\n".encode())
    assert list(read(file).inputs) == ["x", "y"]
    for text in (str(file), f"@{file}", "a.sd", "@a.sd"):
        with pytest.raises(ParseError):
            read(text)


def test_errors_of_a_file_name_it(tmp_path: Path) -> None:
    file = tmp_path / "b.sd"
    file.write_text("y = x\nz = sinn(y)\n", "ascii")
    with pytest.raises(ParseError, match=r"b\.sd', line 2, column 5: unknown function") as caught:
        read(file)
    assert "\n  2 | z = sinn(y)\n" in str(caught.value)


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "latin.sd").write_bytes(b"x\n + \xe9")
    (tmp_path / "long.sd").write_text("x" * 1000, "ascii")
    os.mkfifo(tmp_path / "pipe.sd")
    cases = {
        tmp_path: "directory",
        tmp_path / "none.sd": "none.sd': No such file",
        tmp_path / "latin.sd": "latin.sd' is not UTF-8 text \\(line 2, byte 5\\)",
        tmp_path / "pipe.sd": "device, a pipe",
        Path("/dev/zero"): "device, a pipe",
        tmp_path / "a\0b": "null",
        tmp_path / ("n" * 300): "too long",
        tmp_path / "f.py": "module.py:function",
    }
    for path, message in cases.items():
        with pytest.raises(SymdiffError, match=message):
            read(path)
    with pytest.raises(ParseError, match="larger than 40 bytes"):
        read(tmp_path / "long.sd", limits=Limits().raised(length=10))


@pytest.mark.parametrize("source", [b"x", bytearray(b"x"), 3, None, ["x"], {"x": 1}, int, object()])
def test_what_is_no_formula_is_refused(source: object) -> None:
    with pytest.raises(UnsupportedError, match=r"decode|accepted are text"):
        read(source)
