"""Quotients by sizes that may be Python's own numbers: `1/n if n else np.inf` takes a sixth of the time of
`1/np.float64(n)`, and small arrays feel that.

Python's arithmetic raises where NumPy's gives inf or NaN. So it is done only where nothing but products reads the
number, and these have a number or an array of NumPy's beside it.
"""

from __future__ import annotations

from collections.abc import Collection

from symdiff.einstein import familiar
from symdiff.expr import Call, Expr, Name, Number, bottom_up, names
from symdiff.tape import Step, Tape

_PLAIN, _NUMBER, _OTHER, _WRONG = range(4)  # such a quotient; one typed, or a size; NumPy's; one that might raise


def plain_quotients(tape: Tape) -> frozenset[str]:
    """Names of the steps whose value may be a number of Python's."""
    found = {step.name for step in tape.steps if _is_quotient(step, tape.dims)}
    for expr in [*(step.expr for step in tape.steps), *(expr for _, expr in tape.outputs)]:
        if found.intersection(names(expr)) and _kind(expr, found, tape.dims) != _OTHER:
            found.difference_update(names(expr))
    return frozenset(found)


def sizes_below(expr: Expr) -> Expr | None:
    """What decides whether 1/n, or a number above zero over a product with sizes, is finite: the sizes."""
    below = _divisor(expr)
    while isinstance(below, Call) and isinstance(below.args[0], Number):
        below = below.args[1]
    return below


def _divisor(expr: Expr) -> Expr | None:
    if isinstance(expr, Call) and expr.op == "inverse":
        return expr.args[0]
    if isinstance(expr, Call) and expr.op == "div" and isinstance(expr.args[0], Number) and expr.args[0].value > 0.0:
        return expr.args[1]
    return None


def _is_quotient(step: Step, sizes: Collection[str]) -> bool:
    """Whether it is a number above zero over a product of sizes, which is not negative."""
    below = None if step.shape or step.into is not None else _divisor(step.expr)
    return below is not None and bottom_up(
        below,
        lambda part: part.value > 0.0 if isinstance(part, Number) else part.id in sizes,
        lambda part, factors: part.op == "mul" and all(factors),
    )


def _kind(expr: Expr, found: Collection[str], sizes: Collection[str]) -> int:
    def leaf(part: Name | Number) -> int:
        if isinstance(part, Number) or part.id in sizes:
            return _NUMBER
        return _PLAIN if part.id in found else _OTHER

    def node(part: Call, kinds: list[int]) -> int:
        if _PLAIN not in kinds or _WRONG in kinds:
            return max(kinds, default=_OTHER)
        if part.op == "mul":
            return _OTHER if _OTHER in kinds else _PLAIN
        stretched = part.op == "contract" and familiar(part.options[0]).kind == "broadcast"
        return _OTHER if stretched else _WRONG

    return bottom_up(expr, leaf, node)


__all__ = ["plain_quotients", "sizes_below"]
