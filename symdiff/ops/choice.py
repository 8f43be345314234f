"""Absolute value, sign, maximum, minimum, comparisons and `where`: everything with a kink or a tie."""

from __future__ import annotations

from typing import Any

from symdiff.expr import Expr, call
from symdiff.ops.core import (
    ATOM,
    COMPARE,
    LOOSE,
    ONE,
    REAL_LINE,
    ZERO,
    Op,
    Spelling,
    X,
    Y,
    function,
    latex_function,
    unary,
)

_TIES = "a tie is shared equally: both partials are 1/2; NaN wins"


def _share(first: str, x: Expr, y: Expr) -> Expr:
    """1 where the comparison holds, 1/2 at a tie, else 0."""
    return call("where", call(first, x, y), ONE, call("where", call("eq", x, y), 0.5, ZERO))


def _mp_extreme(pick: Any) -> Any:
    def value(mp: Any, x: Any, y: Any) -> Any:
        return mp.nan if mp.isnan(x) or mp.isnan(y) else pick(x, y)

    return value


def _compare(name: str, sign: str, latex: str, relation: str, test: Any) -> Op:
    return Op(
        name=name,
        operands=2,
        partials=(None, None),
        gate="comparison",
        python=Spelling("{0} " + sign + " {1}", COMPARE, (COMPARE + 1, COMPARE + 1)),
        c=Spelling("{0} " + sign + " {1}", COMPARE, (COMPARE + 1, COMPARE + 1)),
        text=Spelling("{0} " + sign + " {1}", COMPARE, (COMPARE + 1, COMPARE + 1)),
        latex=Spelling("{0} " + latex + " {1}", COMPARE, (COMPARE + 1, COMPARE + 1)),
        sympy=relation,
        mpmath=test,
        source="IEEE 754-2019, section 5.11: every comparison with NaN is false, but != is true",
        samples=((0.3, 0.4), (0.4, 0.3)),
        public=False,
    )


def _extreme(name: str, word: str, first: str, latex: str, sympy: str, pick: Any) -> Op:
    return Op(
        name=name,
        operands=2,
        partials=(_share(first, X, Y), _share(first, Y, X)),
        gate=word,
        python=function(name, 2),
        c=function(f"sd_{name}", 2),
        latex=latex_function(latex, 2),
        text=function(word[:3], 2),
        sympy=sympy,
        mpmath=_mp_extreme(pick),
        domain=(REAL_LINE, REAL_LINE),
        samples=((0.3, 0.4), (0.4, 0.3), (-1.0, 2.0)),
        source=(
            "IEEE 754-2019, section 9.6; the subgradient at a tie is the mean of the two (Griewank and Walther, ch. 14)"
        ),
        edges=_TIES,
        complex_step=False,
    )


COMPARISONS = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}

OPS = (
    unary(
        "abs",
        call("sign", X),
        gate="absolute value",
        latex=Spelling(r"\left\lvert {0} \right\rvert", ATOM, (LOOSE,)),
        c="{m.fabs}",
        sympy="Abs",
        mpmath=lambda mp, x: abs(x),
        samples=(0.3, -2.0, 1e-10),
        kinks=(0.0,),
        source="DLMF 1.9.7",
        edges="the partial at the kink 0 is 0",
        complex_step=False,
    ),
    unary(
        "sign",
        ZERO,
        python="sign",
        c="sd_sign",
        gate="sign",
        sympy="sign",
        mpmath=lambda mp, x: mp.sign(x) if not mp.isnan(x) else x,
        samples=(0.3, -2.0, 1e-10),
        kinks=(0.0,),
        source="definition",
        edges="sign(0) is 0, its partial is 0 everywhere, NaN stays NaN",
        complex_step=False,
    ),
    _extreme("maximum", "maximum", "gt", r"\max", "Max", max),
    _extreme("minimum", "minimum", "lt", r"\min", "Min", min),
    _compare("lt", "<", "<", "StrictLessThan", lambda mp, x, y: x < y),
    _compare("le", "<=", r"\le", "LessThan", lambda mp, x, y: x <= y),
    _compare("gt", ">", ">", "StrictGreaterThan", lambda mp, x, y: x > y),
    _compare("ge", ">=", r"\ge", "GreaterThan", lambda mp, x, y: x >= y),
    _compare("eq", "==", "=", "Equality", lambda mp, x, y: x == y),
    _compare("ne", "!=", r"\ne", "Unequality", lambda mp, x, y: x != y),
    Op(
        name="where",
        operands=3,
        # The condition acts as a mask on the whole contribution (see adjoint.py), so the local factor of a branch is 1.
        partials=(None, ONE, ONE),
        gate="switch",
        python=function("np.where", 3),
        c=Spelling("({0} ? {1} : {2})", ATOM, (COMPARE, COMPARE + 1, COMPARE + 1)),
        text=function("where", 3),
        latex=Spelling(
            r"\begin{{cases}} {1} & \text{{if }} {0} \\ {2} & \text{{otherwise}} \end{{cases}}", COMPARE, (LOOSE,) * 3
        ),
        sympy=lambda sp, c, x, y: sp.Piecewise((x, c), (y, True), evaluate=False),
        mpmath=lambda mp, c, x, y: x if c else y,
        source="definition; the derivative is that of the branch taken",
        edges="the branch not taken contributes exactly 0, whatever it evaluates to",
        samples=((1.0, 0.5, -3.0), (0.0, 0.5, -3.0)),
        complex_step=False,
    ),
)
