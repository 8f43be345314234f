"""Arithmetic on arrays as a person writes it: numbers first in a product, and no copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from symdiff.expr import Call, Expr, Name, Number, bottom_up, call, names, substitute
from symdiff.ops.evaluate import fold
from symdiff.ops.infer import call_shape, shape_of
from symdiff.shapes import Shape
from symdiff.tape import PRIMAL, Step, Tape


def scalars_first(tape: Tape) -> Tape:
    """`bar*(2*W)` becomes `2*bar*W` where bar is a number: one pass over the array instead of two."""
    shapes = tape.shapes

    def leaf(part: Name | Number) -> tuple[Expr, Shape]:
        return part, shapes.get(part.id, ()) if isinstance(part, Name) else ()

    def node(typed: Call, args: list[tuple[Expr, Shape]]) -> tuple[Expr, Shape]:
        made = typed.over(arg for arg, _ in args)
        shape = call_shape(made, [inner for _, inner in args])
        if typed.op != "mul":
            return made, shape
        return _ordered(made, shapes), shape

    steps = (replace(step, expr=bottom_up(step.expr, leaf, node)[0]) for step in tape.steps)
    return replace(tape, steps=tuple(steps))


def _ordered(product: Call, shapes: Mapping[str, Shape]) -> Expr:
    """The factors of a product: numbers, then scalars, then arrays, each in their order."""
    factors: list[Expr] = []
    work: list[Expr] = [product]
    while work:
        part = work.pop()
        if isinstance(part, Call) and part.op == "mul":
            work.extend(reversed(part.args))
        else:
            factors.append(part)
    kinds = [_kind(factor, shapes) for factor in factors]
    if kinds == sorted(kinds) and kinds.count(0) < 2:
        return product
    order = sorted(range(len(factors)), key=lambda k: kinds[k])
    made = factors[order[0]]
    for k in order[1:]:
        made = fold(call("mul", made, factors[k]))
    return made


def _kind(factor: Expr, shapes: Mapping[str, Shape]) -> int:
    if isinstance(factor, Number):
        return 0
    return 2 if shape_of(factor, shapes) else 1


def drop_copies(tape: Tape) -> Tape:
    """Adjoints that are other adjoints (`v5_bar = v6_bar`) are read where they come from."""
    fixed = {name for _, expr in tape.outputs for name in names(expr)}
    known: dict[str, Expr] = {}
    steps: list[Step] = []
    for step in tape.steps:
        expr = substitute(step.expr, known) if known else step.expr
        if isinstance(expr, Name) and step.role != PRIMAL and step.into is None and step.name not in fixed:
            known[step.name] = expr
        else:
            steps.append(replace(step, expr=expr))
    return replace(tape, steps=tuple(steps))
