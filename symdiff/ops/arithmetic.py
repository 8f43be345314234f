"""Sums, products, quotients and powers."""

from __future__ import annotations

from typing import Any

from symdiff.expr import call
from symdiff.ops.core import (
    ADD,
    ATOM,
    LOOSE,
    MUL,
    NEG,
    ONE,
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
    infix,
    libm,
)

_DLMF = "calculus; Griewank and Walther, Evaluating Derivatives, 2nd ed., SIAM 2008, section 3.1"


def same(text: str, strength: int, places: tuple[int, ...]) -> dict[str, Any]:
    """One spelling for Python, C and plain text."""
    spelling = Spelling(text, strength, places)
    return {"python": spelling, "c": spelling, "text": spelling}


def repeated_product(exponent: float) -> Spelling | None:
    """`x*x*x` for a small whole exponent: at most 2 ulp, and many times faster than a general power.

    Beyond 4 the roundings add up and the line stops being readable, so `pow` does it. `x**0.5` is the square root
    in both languages, because NumPy's power takes it there (so -inf gives NaN and -0.0 stays -0.0).
    """
    if exponent == 0.5:
        return function("np.sqrt")
    if exponent not in (2.0, 3.0, 4.0, -2.0, -3.0, -4.0):
        return None
    # 1/x/x, not 1/(x*x): the product leaves the range of float64 where the result is still in it
    text = "*".join(["{0}"] * int(exponent)) if exponent > 0 else "1" + "/{0}" * int(-exponent)
    return Spelling(text, MUL, (MUL + 1, LOOSE))


def repeated_product_c(exponent: float) -> Spelling | None:
    """The same in C, where the one must be a real number."""
    if exponent == 0.5:
        return libm("sqrt")
    spelling = repeated_product(exponent)
    if spelling is None or exponent > 0:
        return spelling
    return Spelling("{one}" + spelling.text[1:], MUL, spelling.places)


def _mp_pow(mp: Any, x: Any, y: Any) -> Any:
    """x**y over the reals: 1 where y is 0; NaN for a negative base and a broken exponent."""
    if y == 0:
        return mp.mpf(1)
    if x < 0 and y != mp.floor(y):
        return mp.nan
    return mp.power(x, y)


# y*x**(y-1) for y = 0: not the constant 0, whose derivative by y would be 0 too and not 1/x
_Y_OVER_X = call("where", call("gt", call("abs", X), ZERO), Y / X, ZERO)

OPS = (
    Op(
        name="identity",
        partials=(ONE,),
        gate="copy",
        **same("{0}", ATOM, (ATOM,)),
        latex=Spelling("{0}", ATOM, (ATOM,)),
        sympy=lambda sp, x: x,
        mpmath=lambda mp, x: +x,
        source="definition: another name for the same variable",
        samples=((0.5,), (-3.0,)),
        public=False,
    ),
    Op(
        name="neg",
        partials=(-ONE,),
        gate="negation",
        **same("-{0}", NEG, (NEG + 1,)),
        latex=Spelling("-{0}", ADD, (MUL,)),
        sympy=lambda sp, x: sp.Mul(sp.S.NegativeOne, x, evaluate=False),
        mpmath=lambda mp, x: -x,
        source=_DLMF,
        samples=((0.5,), (-3.0,), (0.0,)),
        public=False,
    ),
    Op(
        name="add",
        operands=2,
        partials=(ONE, ONE),
        gate="sum (distributor)",
        python=infix(" + ", ADD),
        c=infix(" + ", ADD),
        text=infix(" + ", ADD),
        latex=infix(" + ", ADD),
        sympy=lambda sp, x, y: sp.Add(x, y, evaluate=False),
        mpmath=lambda mp, x, y: x + y,
        source=_DLMF,
        samples=((0.5, 0.25), (1e10, -1e-10)),
        commutes=True,
        public=False,
    ),
    Op(
        name="sub",
        operands=2,
        partials=(ONE, -ONE),
        gate="difference",
        python=infix(" - ", ADD),
        c=infix(" - ", ADD),
        text=infix(" - ", ADD),
        latex=infix(" - ", ADD),
        sympy=lambda sp, x, y: sp.Add(x, sp.Mul(sp.S.NegativeOne, y, evaluate=False), evaluate=False),
        mpmath=lambda mp, x, y: x - y,
        source=_DLMF,
        samples=((0.5, 0.25), (1e10, 1e-10)),
        public=False,
    ),
    Op(
        name="mul",
        operands=2,
        partials=(Y, X),
        gate="product (switcher)",
        python=infix("*", MUL),
        c=infix("*", MUL),
        text=infix("*", MUL),
        latex=infix(r" \, ", MUL),
        sympy=lambda sp, x, y: sp.Mul(x, y, evaluate=False),
        mpmath=lambda mp, x, y: x * y,
        source=_DLMF,
        samples=((0.5, 0.25), (1e10, -1e-10)),
        commutes=True,
        public=False,
    ),
    Op(
        name="div",
        operands=2,
        partials=(call("inverse", Y), -(V / Y)),
        gate="quotient",
        python=infix("/", MUL),
        c=infix("/", MUL),
        text=infix("/", MUL),
        latex=Spelling(r"\frac{{{0}}}{{{1}}}", POWER - 1, (LOOSE, LOOSE)),
        sympy=lambda sp, x, y: sp.Mul(x, sp.Pow(y, sp.S.NegativeOne, evaluate=False), evaluate=False),
        mpmath=lambda mp, x, y: x / y if y else mp.nan if not x else mp.inf,
        source=_DLMF,
        stability="the partial by y reuses the quotient: -v/y cannot overflow where y**2 would (|y| > 1.3e154)",
        edges="x/0 is an infinity with the sign of x times the sign of the zero, 0/0 is NaN",
        samples=((0.5, 0.25), (1e10, -1e-10), (-3.0, 7.0)),
        public=False,
    ),
    Op(
        name="inverse",
        partials=(-call("square", V),),
        gate="inverse",
        python=Spelling("1/{0}", MUL, (MUL + 1,)),
        c=Spelling("{one}/{0}", MUL, (MUL + 1,)),
        text=Spelling("1/{0}", MUL, (MUL + 1,)),
        latex=Spelling(r"\frac{{1}}{{{0}}}", POWER - 1, (LOOSE,)),
        sympy=lambda sp, x: sp.Pow(x, sp.S.NegativeOne, evaluate=False),
        mpmath=lambda mp, x: 1 / x if x else mp.inf,
        source=_DLMF,
        stability="the partial reuses the value: one product instead of a second division, at most 1.5 ulp",
        edges="1/0 is an infinity with the sign of the zero",
        samples=((0.5,), (-3.0,), (1e-10,), (1e10,)),
        kinks=(0.0,),
        public=False,
    ),
    Op(
        name="square",
        partials=(2.0 * X,),
        gate="square",
        python=Spelling("{0}*{0}", MUL, (MUL + 1,)),
        c=Spelling("{0}*{0}", MUL, (MUL + 1,)),
        text=Spelling("{0}**2", POWER, (POWER + 1,)),
        latex=Spelling("{0}^{{2}}", POWER, (POWER + 1,)),
        sympy=lambda sp, x: sp.Pow(x, 2, evaluate=False),
        mpmath=lambda mp, x: x * x,
        source=_DLMF,
        samples=((0.5,), (-3.0,), (1e-10,), (1e10,)),
        public=False,
    ),
    Op(
        name="pow",
        operands=2,
        partials=(
            call("where", call("eq", Y, ZERO), _Y_OVER_X, Y * X ** (Y - 1)),
            call("xlogy", V, X),
        ),
        gate="power",
        python=function("np.power", 2),
        c=libm("pow", 2),
        text=Spelling("{0}**{1}", POWER, (POWER + 1, NEG)),
        latex=Spelling("{0}^{{{1}}}", POWER, (POWER + 1, LOOSE)),
        sympy=lambda sp, x, y: sp.Pow(x, y, evaluate=False),
        mpmath=_mp_pow,
        source="DLMF 4.2.26 (powers), derivative 4.7.9 and 4.7.10",
        stability=(
            "y*x**(y-1), not v*y/x: right at x = 0, where v*y/x is NaN, and where v overflows; the rounding of y "
            "- 1 costs half an ulp times log x (relative error 3e-14 at x = 1e-300, y = 1e-5, 3e-16 at x = 5e-6);"
            " log(x)*x**y through xlogy, so that it is 0 at x = 0 for y > 0 and not 0*(-inf)"
        ),
        domain=(POSITIVE, REAL_LINE),
        edges="x**0 is 1 for every x; a negative base needs a whole exponent, else NaN; at x = 0 and y > 0 the partial "
        "by y is 0, and by x it is 0 for y > 1, 1 for y = 1, infinite for 0 < y < 1",
        samples=((0.5, 2.5), (3.0, -1.5), (1.0, 0.0), (2.0, 0.0), (1e-3, 3.0), (7.0, 3.0), (1e10, 1e-10)),
        literal_exponents={"python": repeated_product, "text": lambda _: None, "c": repeated_product_c},
    ),
)
