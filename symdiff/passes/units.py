"""Unit tensors and diagonal matrices are not formed where a product can do without them.

An identity matrix is a Kronecker delta, an array of ones is a broadcast, diag(v) is v and a delta: contractions of
nothing, of one number, or of a vector. Merged into the contraction that uses them they vanish by renaming indices:

    eye(n) @ A      "ij,jk->ik"  ->  A                   ones(n) @ A    "i,ij->j"  ->  sum(A, axis=0)
    diag(v) @ A     "ij,jk->ik"  ->  "i,ij->ij"          trace(eye(n) @ A)         ->  trace(A)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from symdiff.einstein import LETTERS, UNIT, Spec, familiar, indices, merged
from symdiff.expr import Call, Expr, Name, Number, bottom_up, call
from symdiff.ops.array_core import contraction, size_expr
from symdiff.ops.infer import shape_of
from symdiff.passes.products import elementary
from symdiff.shapes import Shape, Size
from symdiff.tape import Namer, Step, Tape


def drop_units(tape: Tape) -> Tape:
    """Products of identity matrices, of arrays of ones, of their multiples and of diagonal matrices, without these."""
    units: dict[str, Call] = {}  # name of a step -> the contraction that it is
    steps: list[Step] = []
    shapes, namer = dict(tape.shapes), Namer(tape.bound_names())

    def node(typed: Call, args: list[Expr]) -> Expr:
        made = typed.over(args)
        return _without(made, units) if made.op == "contract" and len(made.args) > 1 else made

    for step in tape.steps:
        steps += elementary(replace(step, expr=bottom_up(step.expr, lambda leaf: leaf, node)), shapes, namer)
        last = steps[-1]
        unit = _unit(last.expr, units, shapes)
        if unit is not None and last.into is None:
            units[last.name] = unit
    return replace(tape, steps=tuple(steps))


def _unit(expr: Expr, units: Mapping[str, Call], shapes: Mapping[str, Shape]) -> Call | None:
    """The contraction that a unit tensor, its multiple or a diagonal matrix is; else None."""
    if not isinstance(expr, Call):
        return units.get(expr.id) if isinstance(expr, Name) else None
    if expr.op == "eye" and expr.options[0] == expr.options[-1] != 1:
        return Call("contract", (), None, (Spec((), "ii", (("i", expr.options[0]),)),))
    if expr.op == "ones":
        letters = indices(expr.options[0], LETTERS)
        sizes = tuple(pair for pair in zip(letters, expr.options[0], strict=True) if pair[0] != UNIT)
        return Call("contract", (), None, (Spec((), letters, sizes),)) if sizes else None
    if expr.op == "contract" and familiar(expr.options[0]).kind == "diag":
        return expr
    if expr.op == "mul":
        for factor, other in (expr.args, expr.args[::-1]):
            found = units.get(other.id) if isinstance(other, Name) else None
            alone = isinstance(factor, Number) or (isinstance(factor, Name) and shape_of(factor, shapes) == ())
            if found is not None and alone:
                given: Spec = found.options[0]
                whole = Spec(("", *given.operands), given.output, given.sizes)
                return Call("contract", (factor, *found.args), None, (whole,))
    return None


def _without(product: Call, units: Mapping[str, Call]) -> Expr:
    """A contraction without operands that are units."""
    spec: Spec = product.options[0]
    args, factors = list(product.args), list[Size]()
    for place in reversed(range(len(args))):
        arg = args[place]
        unit = units.get(arg.id) if isinstance(arg, Name) else None
        if unit is not None and (unit.args or len(args) > 1):
            spec, more = merged(spec, place, unit.options[0])
            factors += more
            args[place : place + 1] = unit.args
    if args == list(product.args):
        return product
    made = _contraction(spec, args)
    for size in factors:
        made = call("mul", size_expr(size), made)
    return made


def _contraction(spec: Spec, args: Sequence[Expr]) -> Expr:
    """`contract`; a diagonal of the result is put there by a contraction of its own."""
    letters = spec.output.replace(UNIT, "")
    if len(set(letters)) == len(letters) or len(args) < 2:
        return contraction(spec, args)
    inside = "".join(index for k, index in enumerate(spec.output) if index not in spec.output[:k] and index != UNIT)
    sizes = tuple(pair for pair in spec.sizes if pair[0] in inside)
    return contraction(Spec((inside,), spec.output), [contraction(Spec(spec.operands, inside, sizes), args)])
