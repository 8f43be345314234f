"""Exponentials, logarithms, roots."""

from __future__ import annotations

from typing import Any

from symdiff.expr import Number, call
from symdiff.ops.core import (
    ATOM,
    LOOSE,
    POSITIVE,
    POWER,
    REAL_LINE,
    ZERO,
    Op,
    Spelling,
    V,
    X,
    Y,
    function,
    latex_function,
    unary,
)

LN2, LN10 = 0.6931471805599453, 2.302585092994046  # nearest float64 to log 2 and log 10
_LN2, _LN10 = Number(LN2, "log(2)"), Number(LN10, "log(10)")


def _real_log(mp: Any, x: Any) -> Any:
    return mp.log(x) if x > 0 else -mp.inf if x == 0 else mp.nan


def _xlogy(mp: Any, x: Any, y: Any) -> Any:
    return mp.mpf(0) if x == 0 else x * _real_log(mp, y)


# x/y for x = 0: not the constant 0, whose derivative by x would be 0 too and not 1/y
_ZERO_OVER_Y = call("where", call("eq", Y, ZERO), ZERO, X / Y)

OPS = (
    unary(
        "exp",
        V,
        gate="exponential",
        latex=Spelling("e^{{{0}}}", POWER - 1, (LOOSE,)),
        samples=(0.3, -2.0, 30.0, -30.0),
        source="DLMF 4.7.5",
    ),
    unary(
        "expm1",
        call("exp", X),
        gate="exponential minus one",
        samples=(0.3, -2.0, 1e-12, -30.0),
        source="DLMF 4.7.5",
        sympy=lambda sp, x: sp.exp(x) - 1,
        latex=Spelling("e^{{{0}}} - 1", 10, (LOOSE,)),
        stability="the partial is exp(x), not v + 1, which is 0 in float64 for x < -37.5 (relative error 1 at x = -38)",
    ),
    unary(
        "log",
        call("inverse", X),
        gate="logarithm",
        latex=r"\log",
        domain=POSITIVE,
        samples=(0.3, 2.0, 1e-9, 1e9),
        source="DLMF 4.7.1",
        mpmath=_real_log,
        edges="-inf at 0, NaN below",
    ),
    unary(
        "log1p",
        1.0 / (1.0 + X),
        gate="logarithm of one plus",
        domain=(-1.0, float("inf")),
        samples=(0.3, -0.9, 1e-12, 1e9),
        source="DLMF 4.7.1",
        sympy=lambda sp, x: sp.log(1 + x),
        mpmath=lambda mp, x: _real_log(mp, 1 + x),
        latex=Spelling(r"\log\left(1 + {0}\right)", POWER - 1, (11,)),
        stability="1 + x is exact for x in [-1, -1/2] (Sterbenz), so the partial keeps its digits next to the pole",
        edges="-inf at -1, NaN below",
    ),
    unary(
        "log2",
        1.0 / (X * _LN2),
        gate="binary logarithm",
        domain=POSITIVE,
        latex=r"\log_{2}",
        samples=(0.3, 2.0, 1e9),
        source="DLMF 4.7.1 and 4.2.14",
        sympy=lambda sp, x: sp.log(x) / sp.log(2),
        mpmath=lambda mp, x: _real_log(mp, x) / mp.log(2),
        edges="-inf at 0, NaN below",
    ),
    unary(
        "log10",
        1.0 / (X * _LN10),
        gate="decimal logarithm",
        domain=POSITIVE,
        latex=r"\log_{10}",
        samples=(0.3, 2.0, 1e9),
        source="DLMF 4.7.1 and 4.2.14",
        sympy=lambda sp, x: sp.log(x) / sp.log(10),
        mpmath=lambda mp, x: _real_log(mp, x) / mp.log(10),
        edges="-inf at 0, NaN below",
    ),
    unary(
        "sqrt",
        0.5 / V,
        gate="square root",
        latex=Spelling(r"\sqrt{{{0}}}", ATOM, (LOOSE,)),
        domain=POSITIVE,
        samples=(0.3, 2.0, 1e-10, 1e10),
        source="DLMF 4.7.9",
        mpmath=lambda mp, x: mp.sqrt(x) if x >= 0 else mp.nan,
        stability="0.5/v reuses the root: one division, at most 1 ulp given v",
        edges="NaN below 0; the partial at 0 is infinite",
    ),
    unary(
        "cbrt",
        1.0 / (3.0 * call("square", V)),
        gate="cube root",
        latex=Spelling(r"\sqrt[3]{{{0}}}", ATOM, (LOOSE,)),
        samples=(0.3, -2.0, 1e-10, -1e10),
        source="DLMF 4.7.9",
        sympy=lambda sp, x: sp.sign(x) * sp.Abs(x) ** sp.Rational(1, 3),
        mpmath=lambda mp, x: mp.sign(x) * mp.cbrt(abs(x)),
        complex_step=False,
        stability=(
            "1/(3 v**2) reuses the root: no fractional power, right for negative x; relative error 4.6e-16 where "
            "x**(-2/3) has 8.6e-15 (x between 1e-100 and 1e100), because -2/3 is not a float64"
        ),
        edges="odd: the cube root of -8 is -2; the partial at 0 is infinite",
        kinks=(0.0,),
    ),
    Op(
        name="xlogy",
        operands=2,
        partials=(call("log", Y), call("where", call("eq", X, ZERO), _ZERO_OVER_Y, X / Y)),
        gate="x log y",
        python=function("xlogy", 2),
        c=function("sd_xlogy", 2),
        latex=latex_function(r"\operatorname{xlogy}", 2),
        text=function("xlogy", 2),
        sympy=lambda sp, x, y: x * sp.log(y),
        mpmath=_xlogy,
        domain=(REAL_LINE, POSITIVE),
        samples=((0.3, 0.4), (-1.0, 2.0), (1e-9, 1e-9), (0.0, 0.5)),
        source="definition x*log(y), 0 for x = 0; entropy of a discrete distribution (Cover and Thomas, eq. 2.1)",
        edges="0 wherever x is 0 and y is not NaN, also at y = 0; there the partial by y is 0",
        complex_step=False,
    ),
)
