"""Binding of abstract functions: ops, texts, files, Python functions; the places of what they say; errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from frontend import bound
from frontend.evaluation import value_of
from frontend.trees import output, shown

from symdiff.errors import ParseError, ShapeError, SymdiffError, UnsupportedError
from symdiff.expr import Call, walk
from symdiff.formula_data import FormulaData, Limits
from symdiff.frontend import bind, read
from symdiff.linearize import linearize
from symdiff.render.context import Sheet

TEXT = """o: n
y: const(n)
phi: function
l: function()
def half(z): return phi(z)/2
l(half(o), y) + sum(phi(o))"""
SCALAR = "f: function\ng: function\ng(f(x), 3) + f(2)"


def bodies(data: FormulaData) -> dict[str, str]:
    return {name: shown(helper.body) for name, helper in data.helpers.items()}


def test_an_op() -> None:
    formula = read(TEXT)
    once = bind(formula, {"phi": "relu"})
    assert list(once.functions) == ["l"] and list(formula.functions) == ["phi", "l"]
    assert output(once) == "add(l(half(o), y), sum(relu(o) | None, False))"
    assert bodies(once) == {"half": "div(relu(z), 2)"}
    twice = bind(once, {"l": "dot"})
    assert output(twice) == "add(declared(dot(half(o), y) | l, []), sum(relu(o) | None, False))" and not twice.functions


def test_an_op_of_one_operand_or_two() -> None:
    one = bind(read("f: function()\nx: 3\nf(x)"), {"f": "max"})
    assert output(one) == "declared(amax(x | None, False) | f, [])"
    assert output(bind(read("f: function\nx: 3\nf(x, 0)"), {"f": "max"})) == "maximum(x, 0)"
    two = bind(read("f: function(6)\nx: 3\nf(x, x)"), {"f": "concat"})
    assert output(two) == "declared(concat(x, x | 0) | f, [6])"


def test_a_text() -> None:
    data = bind(read(TEXT), {"l": "def l(o, y): return sum((o - y[:n])**2)/2", "phi": "def p(z):\n  return z*z"})
    assert bodies(data) == {
        "phi": "mul(z, z)",
        "l": "declared(div(sum(pow(sub(o, index(y | [:n:1])), 2) | None, False), 2) | l, [])",
        "half": "div(phi(z), 2)",
    }
    assert data.helpers["l"].parameters == ("o", "y") and not data.functions
    assert output(data) == output(read(TEXT))


def test_values_of_bound_scalars() -> None:
    data = bind(read(SCALAR), {"f": "sqrt", "g": "def g(a, b): return a*b + b"})
    assert value_of(data, {"x": 4.0}) == 2 * 3 + 3 + 2**0.5
    named_like_ops = "def add(a, b): return a*b\ndef square(a): return add(a, a) + 1"
    data = bind(read(SCALAR), {"f": named_like_ops, "g": named_like_ops.split("\n")[0]})
    assert value_of(data, {"x": 4.0}) == (17 * 3) + 5


def test_the_helper_that_counts() -> None:
    several = "# helpers\ndef f(a): return a + 1\n\ndef other(a): return f(a)*100\n"
    assert value_of(bind(read("f: function\nf(x)"), {"f": several}), {"x": 1.0}) == 2.0
    assert value_of(bind(read("h: function\nh(x)"), {"h": several}), {"x": 1.0}) == 200.0


def test_names_of_bound_helpers_stay_apart() -> None:
    text = "f: function\ng: function\ndef s(a): return a + 1\nf(x) + g(x)*s(x)"
    twice, thrice = "def s(a): return 2*a\ndef f(a): return s(s(a))", "def s(a): return 3*a\ndef f(a): return s(a)"
    data = bind(read(text), {"f": twice, "g": thrice})
    assert value_of(data, {"x": 1.0}) == 4 + 3 * 2


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "act.sd"
    file.write_text("def act(z): return z*sigmoid(z)\n", "ascii")
    for value in (file, f"@{file}"):
        assert bodies(bind(read(TEXT), {"phi": value}))["phi"] == "mul(z, sigmoid(z))"
    file.write_text("def act(z):\n  return zz\n", "ascii")
    with pytest.raises(ParseError, match=r"act\.sd', line 2, column 10: .*pass 'zz'"):
        bind(read(TEXT), {"phi": file})


def test_python_functions() -> None:
    data = bind(read(TEXT), {"l": bound.loss, "phi": bound.act})
    assert not data.functions
    assert bodies(data)["phi"] == "tanh(z)"
    data = bind(read("l: function()\nl(a, b) + l(b, 0)"), {"l": "def l(p, q): return p - q"})
    assert value_of(data, {"a": 5.0, "b": 2.0}) == 5.0


def test_statements_of_a_python_function_are_worked_out_once() -> None:
    def doubled(x):  # type: ignore[no-untyped-def]
        a = x + x
        b = a + a
        c = b + b
        return c + c

    data = bind(read("f: function\nf(x)"), {"f": doubled})
    assert value_of(data, {"x": 1.0}) == 16.0
    assert sum(isinstance(part, Call) and part.op == "add" for h in data.helpers.values() for part in walk(h.body)) == 4


def test_places_are_places_in_the_source() -> None:
    data = bind(read(TEXT), {"l": "def l(o, y): return dot(o, y)*2", "phi": bound.act})
    for name, text in {"l": "dot(o, y)*2", "phi": "np.tanh(z)", "half": "phi(z)/2"}.items():
        body = data.helpers[name].body
        assert isinstance(body, Call) and body.span is not None
        assert data.source[slice(*body.span)] == text
    assert data.source.startswith(TEXT)


# -- errors -----------------------------------------------------------------------------------------------------------

REFUSED: list[tuple[str, Any, type[SymdiffError], str]] = [
    ("ph", "relu", SymdiffError, "'ph' is not an abstract function of the formula; did you mean 'phi'"),
    ("half", "relu", SymdiffError, "'half' is not an abstract function"),
    ("phi", "rellu", ParseError, "'rellu', for 'phi', is not a function of the language; did you mean 'relu'"),
    ("phi", "ln", ParseError, "did you mean 'log'"),
    ("phi", "half", ParseError, "'half', for 'phi', is not a function of the language"),
    ("phi", "add", ParseError, "'add', for 'phi', is not a function"),
    ("phi", "where", ParseError, "needs more than operands; write def phi"),
    ("phi", "reshape", ParseError, "needs more than operands"),
    ("phi", "atan2", ParseError, "'phi' is called with 1 argument, and what it is bound to takes 2"),
    ("l", "def l(o): return sum(o)", ParseError, "'l' is called with 2 arguments, and what it is bound to takes 1"),
    ("phi", bound.loss, ParseError, "takes 2"),
    ("phi", "x + 1", ParseError, "line 1, column 1: a binding is the name of an op"),
    ("phi", "np.tanh", ParseError, "a binding is the name of an op"),
    ("phi", "", ParseError, "a binding is the name of an op"),
    ("phi", "def p(a): return a\np(2)", ParseError, "line 2, column 1: .* nothing but helpers"),
    ("phi", "a: ()\na", ParseError, "nothing but helpers"),
    ("phi", "def p(a): return b", ParseError, r"'binding of phi', line 1, column 18: .*pass 'b' as one"),
    ("phi", "def p(a): return l(a, a)", ParseError, "unknown function 'l'"),
    ("phi", "def p(a): return phi(a)", ParseError, "unknown function 'phi'"),
    ("phi", "def sin(a): return a", ParseError, "'sin' is a function"),
    ("phi", "@none.sd", ParseError, "cannot read the file 'none.sd'"),
    ("phi", Path("act.py"), UnsupportedError, "is Python; give the function itself"),
    ("phi", 3, UnsupportedError, "object of type 'int'"),
    ("phi", len, UnsupportedError, "'len' has no Python source"),
    ("l", bound.with_dimension, UnsupportedError, "uses the dimension 'n' as a number; pass it as an argument"),
    ("l", bound.with_other_dimension, UnsupportedError, "no dimension 'k'"),
    ("l", bound.with_function, UnsupportedError, "'o' is a function"),
]


@pytest.mark.parametrize(("name", "value", "kind", "message"), REFUSED, ids=[f"{i}" for i in range(len(REFUSED))])
def test_refused(name: str, value: Any, kind: type[SymdiffError], message: str) -> None:
    with pytest.raises(kind, match=message):
        bind(read(TEXT), {name: value})


def test_the_error_shows_the_text_of_the_binding() -> None:
    with pytest.raises(ParseError) as caught:
        bind(read(TEXT), {"l": "def l(o, y):\n    return sum(o - z)"})
    assert str(caught.value).endswith("\n  2 |     return sum(o - z)\n    |                    ^")
    assert (caught.value.line, caught.value.column) == (2, 20)


def test_a_formula_without_abstract_functions() -> None:
    with pytest.raises(SymdiffError, match="it has none"):
        bind(read("x"), {"phi": "relu"})
    assert output(bind(read("x"), {})) == "x"


# -- what is declared -------------------------------------------------------------------------------------------------

MIXING: list[tuple[Any, str]] = [
    ("softmax", "softmax works on whole arrays"),
    ("sum", "sum works on whole arrays"),
    ("max", "max works on whole arrays"),
    ("cumsum", "cumsum works on whole arrays"),
    ("def phi(z): return z/norm(z)", r"'binding of phi', line 1, column 22: .* norm\(\) works on whole arrays"),
    ("def h(z): return z - mean(z)\ndef phi(z): return h(z)**2", r"line 1, column 22: .* mean\(\) works"),
    ("def phi(z): return z @ z", "@ works on whole arrays"),
    ("def phi(z): return z.T", r"\.T works on whole arrays"),
    ("def phi(z): return z[0]", "an index works on whole arrays"),
    ("def phi(z): return z + zeros(3)", r"zeros\(\) works on whole arrays"),
    (bound.mixing, r"sum\(\) works on whole arrays"),
]


@pytest.mark.parametrize(("value", "message"), MIXING, ids=[f"{i}" for i in range(len(MIXING))])
def test_what_is_declared_elementwise_mixes_no_elements(value: Any, message: str) -> None:
    with pytest.raises(ParseError, match=message) as caught:
        bind(read(TEXT), {"phi": value})
    assert "'phi' is declared elementwise, phi: function, and" in str(caught.value)


def test_a_helper_that_is_not_called_may_mix_elements() -> None:
    assert bind(read(TEXT), {"phi": "def h(z): return sum(z)\ndef phi(z): return tanh(z)"})


WRONG_SHAPE = [
    ("l: function()", "l(o, y)", "def l(o, y): return (o - y)**2", r"function\(\), .* gives shape \(n,\)"),
    ("l: function()", "l(o, y)", "maximum", r"function\(\), .* gives shape \(n,\)"),
    ("l: function(4)", "sum(l(o, y))", "def l(o, y): return o + y", r"function\(4\), .* gives shape \(n,\)"),
    ("l: function(n)", "sum(l(o, y))", "dot", r"function\(n\), .* gives shape \(\)"),
    ("l: function(n, 1)", "sum(l(o, y))", "atan2", r"function\(n, 1\), .* gives shape \(n,\)"),
    ("l: function", "sum(l(o, y))", "def l(o, y): return 1", r"elementwise, .* \(\) for arguments of shape \(n,\)"),
    ("l: function", "sum(l(2, y))", "def k(a, b): return a\ndef l(o, y): return k(o, y)", "leaves an argument out"),
    ("l: function()", "l(o, y)", bound.no_loss, r"function\(\), .* gives shape \(n,\)"),
]


@pytest.mark.parametrize(("declared", "use", "value", "message"), WRONG_SHAPE)
def test_what_is_bound_gives_the_declared_shape(declared: str, use: str, value: Any, message: str) -> None:
    data = bind(read(f"o: n\ny: const(n)\n{declared}\n{use}"), {"l": value})
    with pytest.raises(ShapeError, match=message) as caught:
        linearize(data)
    assert "'l' is declared" in str(caught.value) and caught.value.line is not None


@pytest.mark.parametrize(
    ("declared", "use", "value"),
    [
        ("l: function()", "l(o, y)", "dot"),
        ("l: function(n)", "sum(l(o, y))", "def l(o, y): return o + y"),
        ("l: function(n, n)", "sum(l(o, y))", "outer"),
        ("l: function", "sum(l(o, y))", "def l(o, y): return o*exp(y)"),
        ("l: function", "sum(l(o, 1))", "def l(o, y): return o"),
        ("l: function()", "l(o, y)", bound.loss),
    ],
)
def test_the_check_of_a_shape_is_no_step(declared: str, use: str, value: Any) -> None:
    data = bind(read(f"o: n\ny: const(n)\n{declared}\n{use}"), {"l": value})
    tape = linearize(data)
    calls = [part.op for step in tape.primal for part in walk(step.expr) if isinstance(part, Call)]
    assert "declared" not in calls
    printed = Sheet("f", data, tape, tape, "value").formula_file
    assert "declared" not in " ".join(printed)
    again = linearize(read("\n".join(printed)))
    assert [step.expr for step in again.primal] == [step.expr for step in tape.primal]


def test_a_bound_formula_of_scalars_still_has_a_sympy_form() -> None:
    data = bind(read(SCALAR), {"f": "def f(a): return 2", "g": "def g(a, b): return a*b"})
    assert str(data.sympy) == "2 + 2*3"


def test_towers_of_bound_helpers_are_counted() -> None:
    tower = "def f0(a): return a + a\n" + "".join(f"def f{i}(a): return f{i - 1}(f{i - 1}(a))\n" for i in range(1, 12))
    formula = read("f: function\ndef g0(a): return f(f(a))\n" + "".join(
        f"def g{i}(a): return g{i - 1}(g{i - 1}(a))\n" for i in range(1, 12)) + "g11(2)*x")  # fmt: skip
    with pytest.raises(ParseError, match="bind: more than 200000 elementary steps"):
        bind(formula, {"f": tower})
    assert bind(formula, {"f": "relu"})
    chain = "def f0(a): return a\n" + "".join(f"def f{i}(a): return f{i - 1}(a)\n" for i in range(1, 99))
    deep = "f: function\ndef g0(a): return f(a)\n" + "".join(f"def g{i}(a): return g{i - 1}(a)\n" for i in range(1, 50))
    with pytest.raises(ParseError, match="100 deep"):
        bind(read(deep + "g49(x)"), {"f": chain})
    with pytest.raises(ParseError, match="limit `steps`"):
        bind(read("f: function\nf(x)", limits=Limits().raised(steps=2)), {"f": "def f(a): return a*a + a*a"})


def test_defaults_and_shapes_survive() -> None:
    formula = read("f: function\nx: 2 = [1, 2]\nc: const(2)\nf(x)*c")
    data = bind(formula, {"f": "exp"})
    assert data.declared == formula.declared and data.limits == formula.limits
    with pytest.raises(ShapeError):
        read("f: function\nx: 2 = [1]\nf(x)")
