"""Whether the C code of a formula may join `a*b + c` into one operation, a fused multiply-add.

Joined, the product is not rounded before the sum. That is faster, and as accurate or better; but a difference that was
zero can become the rounding error of its product. Where a number is only used in arithmetic this is one rounding among
many. Where a number decides something (a comparison, a tie of `max`, the end of the domain of `sqrt`, a pole), C would
decide otherwise than NumPy. So code is contracted only if no such decision depends on what contraction can change. The
same question is asked before a quotient by a number, or by what other quotients have below the line too, becomes a
product with the inverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from symdiff.expr import Call, Expr, Name, Number, bottom_up, walk
from symdiff.ops import DECIDING, TABLE
from symdiff.ops.core import REAL_LINE
from symdiff.render.c_quotients import divisor
from symdiff.tape import Step, Tape

_PRODUCTS = frozenset({"mul", "square", "pow", "div"})  # small powers are spelled as products, x/2 is x*0.5
_LOWEST = {"square": 0.0, "exp": 0.0, "sqrt": 0.0, "erfc": 0.0, "cosh": 1.0, "sin": -1.0, "cos": -1.0, "erf": -1.0}
LARGEST = 2.0**900  # of a number that code computes with instead of the typed ones, and its inverse the smallest
_KEEP_SIGN = frozenset({"mul", "div", "inverse", "pow"})  # not negative if no operand is
_NEGATIVE_POLES = frozenset(
    {"gamma", "lgamma", "digamma", "polygamma"}
)  # at whole numbers, where the sign says nothing
_SIGN_OF_OPERANDS = frozenset({"mul", "div", "inverse", "neg", "identity"})  # a rounding more or less leaves it alone


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a value: whether its bits, or at least its sign, stay what they are, whether it is a product
    that a sum can take in, and a lower bound. The default is what holds of a sum of several steps: nothing.
    """

    same_bits: bool = False
    same_sign: bool = False
    is_product: bool = False
    low: float = -math.inf

    @property
    def decides_well(self) -> bool:
        """Whether it is on the same side of zero either way: a sum of squares, say, is never below."""
        return self.same_bits or self.same_sign or self.low >= 0.0


_NOTHING, _INPUT = _Known(), _Known(same_bits=True)


def may_contract(tape: Tape, *, inverting: bool = False, divisors: frozenset[str] = frozenset()) -> bool:
    """Whether nothing in a tape of scalars decides by a number that contraction can change; with `inverting`, by one
    that contraction or a quotient by a number that becomes a product (`quotient_by_number`) can change; and with
    `divisors`, by quotients by these names.
    """
    known = {given.name: _INPUT for given in tape.inputs}

    def turned(part: Call) -> bool:
        return (inverting and quotient_by_number(part) is not None) or divisor(part) in divisors

    for step in tape.steps:
        found = _of_step(step, known, turned)
        if found is None:
            return False
        if step.into is None:
            known[step.name] = found
    return True


def quotient_by_number(part: Expr) -> float | None:
    """The inverse of the number that `part` divides by, where a product with it is another rounding and nothing else:
    neither the number nor its inverse is near the ends of the range. Compilers see to powers of two themselves.
    """
    if not (isinstance(part, Call) and part.op == "div" and isinstance(part.args[1], Number)):
        return None
    number = part.args[1].value
    if not 1 / LARGEST <= abs(number) <= LARGEST or math.frexp(number)[0] in (0.5, -0.5):
        return None
    return 1.0 / number


def _of_step(step: Step, known: dict[str, _Known], turned: Callable[[Call], bool]) -> _Known | None:
    """What is known of a step's value; None where it, or a part of it, decides by what can change."""
    if any(isinstance(part, Call) and part.op in DECIDING for part in walk(step.expr)):
        return None
    well = True

    def leaf(expr: Name | Number) -> _Known:
        if isinstance(expr, Number):
            return _Known(same_bits=True, low=expr.value)
        return known.get(expr.id, _NOTHING)

    def node(part: Call, operands: list[_Known]) -> _Known:
        nonlocal well
        well &= _decides_well(part, operands)
        joined = part.op in ("add", "sub") and any(operand.is_product for operand in operands)
        kept = part.op in ("identity", "neg") and operands[0].is_product
        return _Known(
            same_bits=not joined and not turned(part) and all(operand.same_bits for operand in operands),
            same_sign=part.op in _SIGN_OF_OPERANDS and all(operand.decides_well for operand in operands),
            is_product=part.op in _PRODUCTS or kept,
            low=_low(part, [operand.low for operand in operands]),
        )

    found = bottom_up(step.expr, leaf, node)
    return found if well else None


def _decides_well(part: Call, operands: list[_Known]) -> bool:
    """Whether the operands are inside the domain, at its end, or at a pole whether code is contracted or not."""
    if part.op in ("div", "inverse"):
        return operands[-1].decides_well
    if part.op == "pow" and isinstance(part.args[1], Number) and part.args[1].value.is_integer():
        return part.args[1].value >= 0.0 or operands[0].decides_well
    if part.op == "pow" and not operands[1].same_bits and operands[0].low < 0.0:
        return False  # of a negative number: NaN, unless the exponent is whole
    if part.op in _NEGATIVE_POLES:
        return all(operand.same_bits or operand.low >= 0.0 for operand in operands)
    return all(
        operand.same_bits or domain == REAL_LINE or (domain[0] == 0.0 and operand.decides_well)
        for operand, domain in zip(operands, TABLE[part.op].domain, strict=False)
    )


def _low(part: Call, lows: list[float]) -> float:
    """A number that the value is never below, from those of the operands."""
    if part.op in _LOWEST:
        return _LOWEST[part.op]
    if part.op == "identity":
        return lows[0]
    if part.op == "add":
        return lows[0] + lows[1]
    if part.op == "sub" and isinstance(part.args[1], Number):
        return lows[0] - part.args[1].value
    squared = part.op == "mul" and part.args[0] == part.args[1]
    return 0.0 if squared or (part.op in _KEEP_SIGN and all(low >= 0.0 for low in lows)) else -math.inf


__all__ = ["LARGEST", "may_contract", "quotient_by_number"]
