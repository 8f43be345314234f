"""SymPy expressions as formulas."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import sympy as sp
from frontend.evaluation import value_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.codegen.cfunctions import expm1, hypot, log1p

from symdiff.errors import DomainError, ParseError, SymdiffError, UnsupportedError
from symdiff.formula_data import Limits
from symdiff.frontend import read
from symdiff.ops import PUBLIC, TABLE

x, y, x2, x10 = sp.symbols("x y x2 x10")
HALF = sp.Rational(1, 2)

WRITTEN: list[tuple[Any, str]] = [
    (x - y, "x - y"),
    (-x, "-x"),
    (x / y, "x/y"),
    (1 / x, "1/x"),
    (-x * y / 3, "-(x*y/3)"),
    (sp.sqrt(x) / y, "sqrt(x)/y"),
    (1 / sp.sqrt(x), "1/sqrt(x)"),
    (x**-2, "x**-2"),
    (x * y**-2, "x/y**2"),
    (x ** sp.Rational(1, 3), "x**(1/3)"),
    (2**-x, "2**-x"),
    (0.1 * x, "0.1*x"),
    (HALF * x + 2, "2 + x/2"),
    (sp.E * x, "exp(1)*x"),
    (sp.exp(-x), "exp(-x)"),
    (sp.pi * x, "pi*x"),
    (sp.Max(x, y, x2), "max(max(x, x2), y)"),
    (sp.Abs(x), "abs(x)"),
    (sp.log(x, 2), "log(x)/log(2)"),
    (sp.sec(x), "1/cos(x)"),
    (sp.factorial(x), "gamma(x + 1)"),
    (sp.atan2(y, x), "atan2(y, x)"),
    (sp.polygamma(2, x), "polygamma(2, x)"),
    (expm1(x) + log1p(y) * hypot(x, y), "hypot(x, y)*log1p(y) + expm1(x)"),
    (sp.Piecewise((x, x < 0), (y, sp.Eq(x, 1)), (0, True)), "where(x < 0, x, where(x == 1, y, 0))"),
    (sp.Add(y, x, 2, x, evaluate=False), "y + x + 2 + x"),
    (sp.Mul(sp.Mul(x, 1 / y, evaluate=False), 2, evaluate=False), "x/y*2"),
    (sp.UnevaluatedExpr(x) + 1, "1 + x"),
]


@pytest.mark.parametrize(("expression", "text"), WRITTEN, ids=[text for _, text in WRITTEN])
def test_written_in_the_formula_language(expression: Any, text: str) -> None:
    formula = read(expression)
    assert formula.source == text
    point = {"x": 0.75, "y": 1.25, "x2": -0.5}
    got = value_of(formula, {name: point[name] for name in formula.inputs})
    assert got == pytest.approx(float(expression.subs(point).doit()), rel=1e-14)


def test_inputs_come_in_natural_order() -> None:
    assert list(read(x10 * y + x2 * x).inputs) == ["x", "x2", "x10", "y"]
    formula = read(x * y, constants=("x",), shapes={"y": (), "x": ()})
    assert list(formula.inputs) == ["y", "x"] and formula.constants == ("x",)


REFUSED: list[tuple[Any, type[SymdiffError], str]] = [
    (sp.Piecewise((x, x < 0)), UnsupportedError, "last \\(value, True\\)"),
    (sp.Piecewise((x, (x < 0) & (y > 0)), (1, True)), UnsupportedError, "'And'"),
    (sp.Heaviside(x), UnsupportedError, "'Heaviside'.*Piecewise"),
    (sp.LambertW(x), UnsupportedError, "'LambertW'"),
    (sp.floor(x), UnsupportedError, "'floor'"),
    (sp.Integral(x, x), UnsupportedError, "doit"),
    (sp.Function("sin")(x), UnsupportedError, "'sin'"),
    (sp.MatrixSymbol("A", 2, 2), UnsupportedError, "arrays are not read; write the formula as text"),
    (sp.MatrixSymbol("A", 2, 2)[0, 0] * x, UnsupportedError, "arrays are not read; write the formula as text"),
    (sp.Matrix([x]), UnsupportedError, "arrays are not read; write the formula as text"),
    (sp.Array([x]), UnsupportedError, "arrays are not read; write the formula as text"),
    (sp.IndexedBase("a")[1], UnsupportedError, "arrays are not read; write the formula as text"),
    (x < y, ParseError, "comparison"),
    (sp.true, UnsupportedError, "BooleanTrue"),
    (sp.Tuple(x, y), UnsupportedError, "'Tuple'"),
    (sp.I * x, UnsupportedError, "imaginary"),
    (x + sp.oo, DomainError, "finite"),
    (sp.zoo * x, DomainError, "finite"),
    (sp.nan, DomainError, "finite"),
    (10**400 * x, DomainError, "too large"),
    (sp.Integer(3), ParseError, "at least one input"),
    (sp.Symbol("x", positive=True) + x, UnsupportedError, "two symbols are called 'x'"),
    (sp.Dummy("x") * x, UnsupportedError, "two symbols are called 'x'"),
    (sp.Symbol("t", imaginary=True), UnsupportedError, "real number"),
    (sp.Symbol("A", commutative=False), UnsupportedError, "real number"),
    (sp.Symbol("lambda"), ParseError, "write lam"),
    (sp.Symbol("pi"), ParseError, "meaning in the language"),
    (sp.Symbol("a b") * x, ParseError, "'a b' needs a name"),
    (sp.Symbol("x)+__import__('os'"), ParseError, "needs a name"),
    (sp.Symbol("θ"), ParseError, "needs a name"),
    (sp.sin, UnsupportedError, "accepted are"),
]


@pytest.mark.parametrize(("expression", "kind", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_refused(expression: Any, kind: type[SymdiffError], message: str) -> None:
    with pytest.raises(kind, match=message):
        read(expression)


ROUND_TRIP = [
    "1/(sin(w1*x1)**2 + cos(w2*x2) + 2)",
    "a - b - (c - d)/2",
    "-a*b - -c",
    "-a**2 + (-a)**2 + 2**-b",
    "a/b/c*d",
    "where(a < b, a**2, where(a >= 2, log(c), sin(a)))",
    "h = exp(-a**2/2)/sqrt(2*pi); h*h + 0.1*b",
    "def f(t): return t*t + 1\nf(f(a)) - f(b)",
    "max(a, min(b, 0.5))*abs(c) + sign(d)",
    *(
        f"a + {name}({', '.join(['b', 'c', 'd'][: TABLE[op].operands])})*b"
        for name, op in PUBLIC.items()
        if name not in ("where", "polygamma")
    ),
    "polygamma(2, a) + digamma(b)",
]
POINT = {name: 0.25 + 0.0625 * i for i, name in enumerate("abcd")} | {"w1": -3.0, "x1": -2.0, "w2": 2.0, "x2": -1.0}


@pytest.mark.parametrize("text", ROUND_TRIP)
def test_round_trip(text: str) -> None:
    formula = read(text)
    point = {name: POINT[name] + ("acosh" in text) for name in formula.inputs}
    again = read(formula.sympy)
    assert value_of(again, point) == pytest.approx(value_of(formula, point), rel=1e-13, abs=1e-15)


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.sampled_from(["a", "b", "c", "2", "0.5"]),
        lambda inner: (
            st.builds(lambda p, o, q: f"({p}{o}{q})", inner, st.sampled_from("+-*/"), inner)
            | inner.map(lambda t: f"sin(-{t})")
        ),
        max_leaves=12,
    )
)
def test_round_trip_of_arithmetic(text: str) -> None:
    formula = read(f"{text} + a")
    point = {name: 1.25 + 0.37 * i for i, name in enumerate("abc")}
    value = value_of(formula, point)
    if abs(value) < 1e12:
        assert value_of(read(formula.sympy), point) == pytest.approx(value, rel=1e-9, abs=1e-9)


def test_long_and_deep() -> None:
    symbols = sp.symbols("s:3000")
    assert len(read(sp.Add(*symbols, evaluate=False)).inputs) == 3000
    deep: Any = x
    for _ in range(120):
        deep = sp.sin(deep, evaluate=False)
    assert read(deep).source == "sin(" * 120 + "x" + ")" * 120
    with pytest.raises(ParseError, match="limit `depth`"):
        read(deep, limits=Limits().raised(depth=100))
    shared: Any = x
    for _ in range(40):  # a tree of 2**40 nodes
        shared = sp.Mul(shared, shared, evaluate=False)
    with pytest.raises(UnsupportedError, match="limit `steps`"):
        read(shared, limits=Limits().raised(steps=1000))


def test_the_same_text_under_every_hash_seed() -> None:
    code = (
        "import sympy as s, symdiff; v = s.symbols('b a x10 x2 y:6'); f = symdiff.formula("
        "sum(s.sin(p)*q**2/(p + q + 1) for p in v for q in v).expand()); print(f.source, list(f.inputs))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
