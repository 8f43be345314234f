"""Circular and hyperbolic functions and their inverses."""

from __future__ import annotations

from symdiff.expr import Expr, call
from symdiff.ops.core import (
    ATOM,
    ONE,
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
    libm,
    unary,
)


def _sqrt(x: Expr) -> Expr:
    return call("sqrt", x)


_HYPOT = call("hypot", Y, X)

OPS = (
    unary(
        "sin",
        call("cos", X),
        gate="sine",
        latex=r"\sin",
        samples=(0.3, -6.0, 3.141592653589793, 1e5),
        source="DLMF 4.20.1",
        edges="NaN at the infinities",
    ),
    unary(
        "cos",
        -call("sin", X),
        gate="cosine",
        latex=r"\cos",
        samples=(0.3, -2.0, 1.5707963267948966, 1e5),
        source="DLMF 4.20.2",
        edges="NaN at the infinities",
    ),
    unary(
        "tan",
        ONE + call("square", V),
        gate="tangent",
        latex=r"\tan",
        samples=(0.3, -1.2, 1.5707, 100.0),
        source="DLMF 4.20.3 and 4.21.2 (sec^2 = 1 + tan^2)",
        stability="1 + v*v has no cancellation: at most 2 ulp given v, and no second libm call",
    ),
    unary(
        "asin",
        1.0 / _sqrt((1.0 - X) * (1.0 + X)),
        gate="arcsine",
        latex=r"\arcsin",
        python="np.arcsin",
        domain=(-1.0, 1.0),
        samples=(0.3, -0.99, 0.9999999999999),
        source="DLMF 4.24.7",
        stability=(
            "(1 - x)*(1 + x), not 1 - x**2: at x = 1 - 1e-10 the latter puts the partial off by 2.5e-11, this by "
            "1.1e-16"
        ),
        edges="NaN outside [-1, 1]; the partial is infinite at the ends",
    ),
    unary(
        "acos",
        -(1.0 / _sqrt((1.0 - X) * (1.0 + X))),
        gate="arccosine",
        latex=r"\arccos",
        python="np.arccos",
        domain=(-1.0, 1.0),
        samples=(0.3, -0.99, 0.9999999999999),
        source="DLMF 4.24.8",
        stability="(1 - x)*(1 + x), as for asin",
        edges="NaN outside [-1, 1]; the partial is infinite at the ends",
    ),
    unary(
        "atan",
        1.0 / (ONE + call("square", X)),
        gate="arctangent",
        latex=r"\arctan",
        python="np.arctan",
        samples=(0.3, -2.0, 1e8, 1e-8),
        source="DLMF 4.24.9",
    ),
    Op(
        name="atan2",
        operands=2,
        # operands in the order of the call: y first
        partials=(Y / _HYPOT / _HYPOT, -(X / _HYPOT / _HYPOT)),
        gate="angle",
        python=function("np.arctan2", 2),
        c=libm("atan2", 2),
        latex=latex_function(r"\operatorname{atan2}", 2),
        text=function("atan2", 2),
        sympy="atan2",
        mpmath="atan2",
        domain=(REAL_LINE, REAL_LINE),
        samples=((0.3, 0.4), (-1.0, -2.0), (1e-9, -1.0), (3e5, 4e-5)),
        source="DLMF 4.23.28 and 4.24.9; angle of the point (second operand, first operand)",
        stability=(
            "two divisions by the radius, not one by its square, which overflows beyond 1.3e154: at (3e200, "
            "4e200) the latter gives 0 for 1.2e-201"
        ),
        edges="atan2(0, 0) is 0 and its partials are NaN: the angle has no slope there",
        complex_step=False,
    ),
    unary(
        "sinh",
        call("cosh", X),
        gate="hyperbolic sine",
        latex=r"\sinh",
        samples=(0.3, -2.0, 1e-8, 20.0),
        source="DLMF 4.34.1",
    ),
    unary(
        "cosh",
        call("sinh", X),
        gate="hyperbolic cosine",
        latex=r"\cosh",
        samples=(0.3, -2.0, 1e-8, 20.0),
        source="DLMF 4.34.2",
    ),
    unary(
        "tanh",
        call("inverse", call("square", call("cosh", X))),
        gate="hyperbolic tangent",
        latex=r"\tanh",
        samples=(0.3, -2.0, 18.0, -1e-8),
        source="DLMF 4.34.3 (sech^2)",
        stability=(
            "1/cosh(x)**2 keeps its digits in the tails; (1 - v)*(1 + v) has lost all of them at x = 19, where v "
            "rounds to 1 (relative error 9e-9 at x = 10, 0.04 at x = 18, 1 at x = 19; of this form 4.4e-16 for "
            "|x| < 3)"
        ),
    ),
    unary(
        "asinh",
        1.0 / call("hypot", ONE, X),
        gate="inverse hyperbolic sine",
        latex=r"\operatorname{arsinh}",
        python="np.arcsinh",
        samples=(0.3, -2.0, 1e8, 1e-8),
        source="DLMF 4.40.7",
        stability=(
            "hypot(1, x), not sqrt(1 + x**2), which overflows beyond 1.3e154: at x = 1e200 the latter gives 0 for"
            " 1e-200"
        ),
    ),
    unary(
        "acosh",
        1.0 / (_sqrt(X - 1.0) * _sqrt(X + 1.0)),
        gate="inverse hyperbolic cosine",
        latex=r"\operatorname{arcosh}",
        python="np.arccosh",
        domain=(1.0, float("inf")),
        samples=(1.3, 2.0, 1e8, 1.0000001),
        source="DLMF 4.40.8",
        stability=(
            "sqrt(x - 1)*sqrt(x + 1): exact difference near 1, no overflow for large x; at x = 1 + 1e-7 sqrt(x**2"
            " - 1) puts the partial off by 2e-11, this by 1.1e-16"
        ),
        edges="NaN below 1; the partial is infinite at 1",
    ),
    unary(
        "atanh",
        1.0 / ((1.0 - X) * (1.0 + X)),
        gate="inverse hyperbolic tangent",
        latex=r"\operatorname{artanh}",
        python="np.arctanh",
        domain=(-1.0, 1.0),
        samples=(0.3, -0.99, 0.9999999),
        source="DLMF 4.40.9",
        stability="(1 - x)*(1 + x), as for asin",
        edges="infinite at -1 and 1, NaN beyond",
    ),
    Op(
        name="hypot",
        operands=2,
        partials=(
            call("where", call("eq", V, ZERO), ZERO, X / V),
            call("where", call("eq", V, ZERO), ZERO, Y / V),
        ),
        gate="hypotenuse",
        python=function("np.hypot", 2),
        c=libm("hypot", 2),
        latex=Spelling(r"\sqrt{{{0}^{{2}} + {1}^{{2}}}}", ATOM, (POWER + 1, POWER + 1)),
        text=function("hypot", 2),
        sympy=lambda sp, x, y: sp.sqrt(x**2 + y**2),
        mpmath="hypot",
        domain=(REAL_LINE, REAL_LINE),
        samples=((0.3, 0.4), (-1.0, -2.0), (1e-9, -1.0), (3e5, 4e-5), (0.0, -2.0), (2.0, 0.0)),
        source="definition sqrt(x**2 + y**2)",
        stability="x/v reuses the value: no square is formed, right from 1e-308 to 1e308",
        edges="at (0, 0), the kink, both partials are 0, as for a norm",
        complex_step=False,
    ),
)
