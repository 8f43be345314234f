"""Quotients of arrays by a number of known size, such as sqrt(k), as products with its inverse: a third of the time.

That rounds once more. So it is done only where nothing decides by what becomes of the quotient (a kink, a comparison,
an end of a domain, a pole), and where the number and its inverse are far from the ends of the range, also in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf, sqrt

from symdiff.expr import ONE_NUMBER as ONE
from symdiff.expr import Call, Expr, Name, Number, bottom_up, call
from symdiff.ops import DECIDING, TABLE
from symdiff.ops.core import REAL_LINE
from symdiff.ops.infer import shape_of
from symdiff.shapes import Shape
from symdiff.tape import Step, Tape

_Range = tuple[float, float]  # of a number that is not negative: the smallest above zero, and the largest
_SIZES: _Range = (1.0, 2.0**48)  # an array of more does not fit into any memory
_INSIDE: _Range = (2.0**-100, 2.0**100)
_RANGES: Mapping[str, Callable[..., _Range]] = {
    "identity": lambda x: x,
    "add": lambda x, y: (min(x[0], y[0]), x[1] + y[1]),
    "mul": lambda x, y: (x[0] * y[0], x[1] * y[1]),
    "square": lambda x: (x[0] ** 2, x[1] ** 2),
    "sqrt": lambda x: (sqrt(x[0]), sqrt(x[1])),
}
_EVERYWHERE = {op.name for op in TABLE.values() if all(each == REAL_LINE for each in op.domain)} - {"inverse"}
_UNDECIDED = (_EVERYWHERE - DECIDING) | {
    "contract",
    "mean",
    "sumsq",
    "logsumexp",
    "softmax",
    "index",
    "put",
    "reshape",
    "concat",
    "stack",
    "cumsum",
}


def with_inverses(tape: Tape) -> Tape:
    """See the module; the same tape if there is no such quotient, or one of them decides something."""
    known: dict[str, _Range] = dict.fromkeys(tape.dims, _SIZES)
    shapes = tape.shapes
    turned: set[str] = set()  # what is computed from such a quotient
    steps = []
    for step in tape.steps:
        found = None if step.shape or step.into is not None else _range(step.expr, known)
        if found is not None:
            known[step.name] = found
        made = _turned(step, known, turned, shapes)
        if made is None:
            return tape
        expr, differs = made
        if differs:
            turned.add(step.target)
        steps.append(step.over(expr))
    return tape.with_steps(steps) if turned else tape


def _range(expr: Expr, known: Mapping[str, _Range]) -> _Range | None:
    """Of an expression over numbers above zero and `known` names."""

    def leaf(part: Name | Number) -> _Range | None:
        if isinstance(part, Name):
            return known.get(part.id)
        return (part.value, part.value) if 0.0 < part.value < inf else None

    def node(part: Call, operands: list[_Range | None]) -> _Range | None:
        rule = _RANGES.get(part.op)
        return rule(*operands) if rule and None not in operands else None

    return bottom_up(expr, leaf, node)


def _turned(
    step: Step, known: Mapping[str, _Range], turned: set[str], shapes: Mapping[str, Shape]
) -> tuple[Expr, bool] | None:
    """The step's expression with inverses, and whether it depends on one; None if something is decided by that.

    A smaller array that is divided before it is stretched, as in `X_bar += m_bar/n`, stays a quotient.
    """
    decided = False

    def leaf(part: Name | Number) -> tuple[Expr, bool]:
        return part, isinstance(part, Name) and part.id in turned

    def node(part: Call, operands: list[tuple[Expr, bool]]) -> tuple[Expr, bool]:
        nonlocal decided
        args, differ = [arg for arg, _ in operands], [each for _, each in operands]
        decided |= any(differ) and (part.op not in _UNDECIDED or (part.op == "div" and differ[1]))
        whole = part.op == "div" and step.shape and shape_of(args[0], shapes) == step.shape
        if whole and _is_inside(_range(args[1], known)):
            return call("mul", args[0], call("div", ONE, args[1])), True
        return part.over(args), any(differ)

    made = bottom_up(step.expr, leaf, node)
    return None if decided else made


def _is_inside(found: _Range | None) -> bool:
    return found is not None and _INSIDE[0] <= found[0] and found[1] <= _INSIDE[1]


__all__ = ["with_inverses"]
