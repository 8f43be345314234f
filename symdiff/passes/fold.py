"""Constant folding: constants are worked out in float64 in the order typed, and a factor 1 disappears."""

from __future__ import annotations

from dataclasses import replace

from symdiff.expr import Expr, Name, Number, substitute
from symdiff.ops.array_core import fitted
from symdiff.ops.evaluate import fold
from symdiff.ops.infer import shape_of
from symdiff.tape import PRIMAL, Tape


def fold_constants(tape: Tape) -> Tape:
    """Every expression folded; a step that is a constant is put in where it is read (the seed `value_bar = 1`, say).

    Accumulators are left alone: their value is a sum of several steps.
    """
    constants: dict[str, Expr] = {}
    shapes = tape.shapes if tape.is_array else {}
    results = {expr.id for _, expr in tape.outputs if isinstance(expr, Name)}
    steps = []
    for step in tape.steps:
        expr = fold(substitute(step.expr, constants)) if constants else fold(step.expr)
        if step.shape:  # `x**0` is the number 1, and as often as x has elements
            expr = fitted(expr, shape_of(expr, shapes), step.shape)
        if isinstance(expr, Number) and step.into is None and not (step.role == PRIMAL and step.name in results):
            constants[step.name] = expr
        steps.append(step.over(expr))
    outputs = tuple((label, substitute(expr, constants)) for label, expr in tape.outputs)
    return replace(tape, steps=tuple(steps), outputs=outputs)
