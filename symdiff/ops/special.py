"""Error function, gamma function and its logarithmic derivatives."""

from __future__ import annotations

import math
from typing import Any

from symdiff.expr import Number, call
from symdiff.ops.core import LOOSE, POSITIVE, POWER, REAL_LINE, Op, Spelling, V, X, Y, function, unary

TWO_OVER_SQRT_PI = Number(1.1283791670955126, "(2/sqrt(pi))")  # 2/sqrt(pi), nearest float64


def _mp_polygamma(mp: Any, order: Any, x: Any) -> Any:
    return mp.psi(int(order), x)


def _lgamma(mp: Any, x: Any) -> Any:
    """log|gamma(x)|, also where gamma itself leaves every range."""
    return mp.loggamma(x).real if x > 0 else mp.log(abs(mp.gamma(x)))


_RANGE = (-math.inf, math.inf)

OPS = (
    unary(
        "erf",
        TWO_OVER_SQRT_PI * call("exp", -call("square", X)),
        gate="error function",
        python="erf",
        samples=(0.3, -2.0, 1e-10, 5.0),
        source="DLMF 7.2.1 and 7.10.1",
        complex_step=False,
        stability=(
            "the rounding of x*x reaches the partial as x**2 half ulps: relative error 1.9e-15 at x = 5.05, far "
            "in the tail"
        ),
    ),
    unary(
        "erfc",
        -(TWO_OVER_SQRT_PI * call("exp", -call("square", X))),
        gate="complementary error function",
        python="erfc",
        samples=(0.3, -2.0, 5.0, 20.0),
        source="DLMF 7.2.2 and 7.10.1",
        complex_step=False,
        stability="an op of its own, because 1 - erf(x) has no digit left from x = 6 on, where erfc is 2e-17",
    ),
    unary(
        "gamma",
        V * call("digamma", X),
        gate="gamma function",
        python="gamma",
        c=Spelling("{m.tgamma}({0})", 40, (LOOSE,)),
        latex=r"\Gamma",
        samples=(0.3, 4.5, 30.0, -2.5),
        source="DLMF 5.2.1 and 5.2.2",
        complex_step=False,
        domain=POSITIVE,
        edges="infinite at 0 with the sign of the zero, NaN at negative integers",
    ),
    unary(
        "lgamma",
        call("digamma", X),
        gate="log-gamma",
        python="lgamma",
        latex=r"\log\Gamma",
        sympy="loggamma",
        mpmath=_lgamma,
        samples=(0.3, 4.5, 1e5, 1e-5, 1.9),
        domain=POSITIVE,
        source="DLMF 5.2.1 and 5.2.2",
        complex_step=False,
        edges="log of |gamma|: +inf at 0 and the negative integers",
    ),
    unary(
        "digamma",
        call("polygamma", 1.0, X),
        gate="digamma",
        python="digamma",
        c="sd_digamma",
        latex=r"\psi",
        samples=(0.3, 4.5, 1e5, 1e-5, 1.4616321449683623),
        domain=POSITIVE,
        source="DLMF 5.2.2 and 5.15.1",
        complex_step=False,
        edges="infinite at 0, NaN at negative integers",
    ),
    Op(
        name="polygamma",
        operands=2,
        partials=(None, call("polygamma", X + 1.0, Y)),
        gate="polygamma",
        python=Spelling("polygamma(int({0}), {1})", 40, (LOOSE, LOOSE)),
        c=Spelling("sd_polygamma((int){0}, {1})", 40, (POWER + 1, LOOSE)),
        latex=Spelling(r"\psi^{{\left({0}\right)}}\left({1}\right)", POWER - 1, (LOOSE, LOOSE)),
        text=function("polygamma", 2),
        sympy="polygamma",
        mpmath=_mp_polygamma,
        domain=(REAL_LINE, POSITIVE),
        samples=((1.0, 0.3), (1.0, 4.5), (2.0, 1e-3), (3.0, 40.0)),
        source="DLMF 5.15.1; derivative of order n of digamma",
        edges="the order is a whole number written in the formula, at most 64",
        complex_step=False,
    ),
)
