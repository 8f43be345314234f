"""Value of a formula, worked out on the parsed tree with Python's own floats."""

from __future__ import annotations

from collections.abc import Mapping

from symdiff.formula_data import FormulaData, inline
from symdiff.ops.evaluate import float_function


def value_of(formula: FormulaData, point: Mapping[str, float]) -> float:
    """The output at `point`; defaults stand where a value is missing."""
    known: dict[str, float] = {**formula.defaults, **point}
    result = 0.0
    for statement in formula.statements:
        result = inline(
            statement.expr,
            formula.helpers,
            known.__getitem__,
            lambda number: number.value,
            lambda call, args: float_function(call.op)(*args),
        )
        if statement.name is not None:
            known[statement.name] = result
    return float(result)
