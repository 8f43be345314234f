"""Quotients with the same divisor in C: one division, and products with its result.

A division takes a SIMD unit as long as five to ten products. Where nothing decides by the rounding of a quotient
(`c_contract.py`), the batch loop divides 1 by what several quotients have below the line, and multiplies: at most 1.5
units in the last place. The inverse of a number near the ends of the range would overflow or lose digits: such a point
is done again with divisions, as one is that fast functions cannot do (`sd_reach`).
"""

from __future__ import annotations

from collections.abc import Set

from symdiff.expr import Call, Expr, Name, Number, bottom_up, call, walk
from symdiff.tape import Tape

OVER = "SD_OVER"  # the macro: dividend, divisor


def divisor(part: Expr) -> str | None:
    """The name that `part` divides by, if it is a quotient with a name below the line."""
    if not isinstance(part, Call) or part.op not in ("div", "inverse"):
        return None
    below = part.args[-1]
    return below.id if isinstance(below, Name) else None


def shared_divisors(tape: Tape) -> frozenset[str]:
    """Names that two or more different quotients divide by."""
    quotients: dict[str, set[Expr]] = {}
    for step in tape.steps:
        for part in walk(step.expr):
            if (name := divisor(part)) is not None:
                quotients.setdefault(name, set()).add(part)
    return frozenset(name for name, found in quotients.items() if len(found) > 1)


def over_divisors(expr: Expr, divisors: Set[str]) -> Expr:
    """`expr` with calls of the macro for quotients by these names, for printing alone."""
    if not any(divisor(part) in divisors for part in walk(expr)):
        return expr

    def node(typed: Call, args: list[Expr]) -> Expr:
        if divisor(typed) not in divisors:
            return typed.over(args)
        return call(OVER, args[0] if typed.op == "div" else Number(1.0), args[-1])

    return bottom_up(expr, lambda leaf: leaf, node)


__all__ = ["OVER", "divisor", "over_divisors", "shared_divisors"]
