"""Activations of neural networks, as ops of their own because their plain formulas overflow or cancel."""

from __future__ import annotations

from typing import Any

from symdiff.expr import Number, call
from symdiff.ops.core import ATOM, LOOSE, ONE, ZERO, Spelling, V, X, unary

SQRT_HALF = 0.7071067811865476  # nearest float64 to 1/sqrt(2)
ONE_OVER_SQRT_TWO_PI = 0.3989422804014327  # nearest float64 to 1/sqrt(2 pi)
_SQRT_HALF = Number(SQRT_HALF, "sqrt(0.5)")
_ONE_OVER_SQRT_TWO_PI = Number(ONE_OVER_SQRT_TWO_PI, "(1/sqrt(2*pi))")


def _sigmoid(mp: Any, x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _gelu(mp: Any, x: Any) -> Any:
    return x * mp.erfc(-x / mp.sqrt(2)) / 2


_SIGMOID = call("sigmoid", X)
_OTHER_SIDE = call("sigmoid", -X)

OPS = (
    unary(
        "sigmoid",
        V * _OTHER_SIDE,
        gate="sigmoid",
        python="sigmoid",
        c="sd_sigmoid",
        latex=r"\sigma",
        sympy=lambda sp, x: 1 / (1 + sp.exp(-x)),
        mpmath=_sigmoid,
        samples=(0.3, -2.0, 40.0, -700.0),
        source="logistic function 1/(1 + exp(-x)); Bishop, Pattern Recognition and Machine Learning, eq. 4.59, 4.88",
        stability="v*sigmoid(-x), not v*(1 - v): at x = 37 the latter is 0 and the truth 8.5e-17 (relative error 1)",
        complex_step=False,
    ),
    unary(
        "softplus",
        _SIGMOID,
        gate="softplus",
        python="softplus",
        c="sd_softplus",
        sympy=lambda sp, x: sp.log(1 + sp.exp(x)),
        mpmath=lambda mp, x: mp.log1p(mp.exp(x)) if x < 0 else x + mp.log1p(mp.exp(-x)),
        samples=(0.3, -2.0, 40.0, -700.0),
        source="log(1 + exp(x)); Goodfellow, Bengio and Courville, Deep Learning, eq. 3.31",
        stability="max(x, 0) + log1p(exp(-|x|)): log(1 + exp(x)) is inf from x = 709.8 and 0 from x = -37 down",
        complex_step=False,
    ),
    unary(
        "relu",
        call("where", call("gt", X, ZERO), ONE, ZERO),
        gate="rectifier",
        python=Spelling("np.maximum({0}, 0.0)", ATOM, (LOOSE,)),
        c="sd_relu",
        sympy=lambda sp, x: sp.Piecewise((x, x > 0), (0, True)),
        mpmath=lambda mp, x: x if x > 0 or mp.isnan(x) else mp.mpf(0),
        samples=(0.3, -2.0, 1e10, -1e-10),
        source="max(x, 0); Goodfellow, Bengio and Courville, Deep Learning, section 6.3.1",
        kinks=(0.0,),
        edges="the partial at 0 is 0; NaN stays NaN",
        complex_step=False,
    ),
    unary(
        "gelu",
        0.5 * call("erfc", -(X * _SQRT_HALF)) + X * (_ONE_OVER_SQRT_TWO_PI * call("exp", -0.5 * call("square", X))),
        gate="Gaussian error linear unit",
        python="gelu",
        c="sd_gelu",
        sympy=lambda sp, x: x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
        mpmath=_gelu,
        samples=(0.3, -2.0, 8.0, -8.0),
        source="Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415, section 2 (exact form x Phi(x))",
        stability="Phi through erfc(-x/sqrt(2))/2: 1 + erf cancels in the left tail (relative error 1 at x = -9)",
        complex_step=False,
    ),
    unary(
        "silu",
        _SIGMOID * (1.0 + X * _OTHER_SIDE),
        gate="sigmoid linear unit",
        python="silu",
        c="sd_silu",
        sympy=lambda sp, x: x / (1 + sp.exp(-x)),
        mpmath=lambda mp, x: x * _sigmoid(mp, x),
        samples=(0.3, -2.0, 40.0, -700.0),
        complex_step=False,
        source="x sigmoid(x); Elfwing, Uchibe and Doya, Neural Networks 107 (2018), eq. 7 and 9",
        stability=(
            "s*(1 + x*sigmoid(-x)), not s + v*(1 - s): at x = 36.9 the latter is off by 3.5e-15, as 1 - s has no "
            "digit left"
        ),
    ),
)
