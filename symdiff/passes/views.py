"""Views: a transpose goes into the product that uses it, and a broadcast into what repeats it anyway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

from symdiff.einstein import UNIT, Spec, familiar, merged
from symdiff.expr import Call, Expr, Name, Number, bottom_up, call, names
from symdiff.ops import ARRAYS
from symdiff.ops.array_core import contraction, fitted, size_expr
from symdiff.ops.infer import call_shape, shape_of
from symdiff.passes.products import elementary
from symdiff.shapes import Shape, Size, broadcast
from symdiff.tape import PRIMAL, Namer, Step, Tape

_VIEWS = ("transpose", "diagonal")


def substituted(spec: Spec, args: Sequence[Expr], inner: Mapping[int, Call]) -> Expr:
    """A contraction whose operands at the places in `inner` are contractions, as one contraction."""
    operands, factors = list(args), list[Size]()
    for place in sorted(inner, reverse=True):
        assert inner[place].op == "contract", inner[place]
        spec, more = merged(spec, place, inner[place].options[0])
        operands[place : place + 1] = inner[place].args
        factors += more
    made = contraction(spec, operands)
    for size in factors:
        made = call("mul", size_expr(size), made)
    return made


def inline_transposes(tape: Tape) -> Tape:
    """Products of transposes (`v4 = W.T; v5 = H @ v4`) become products with a transposed operand (`v5 = H @ W.T`)."""
    views: dict[str, Call] = {}

    def node(typed: Call, args: list[Expr]) -> Expr:
        inner = {k: views[arg.id] for k, arg in enumerate(args) if isinstance(arg, Name) and arg.id in views}
        if typed.op != "contract" or not inner:
            return typed.over(args)
        return substituted(typed.options[0], args, inner)

    steps: list[Step] = []
    shapes, namer = dict(tape.shapes), Namer(tape.bound_names())
    for step in tape.steps:
        steps += elementary(replace(step, expr=bottom_up(step.expr, lambda leaf: leaf, node)), shapes, namer)
        expr = steps[-1].expr
        of_a_name = isinstance(expr, Call) and expr.op == "contract" and isinstance(expr.args[0], Name)
        if isinstance(expr, Call) and of_a_name and familiar(expr.options[0]).kind in _VIEWS:
            views[step.name] = expr
    return replace(tape, steps=tuple(steps))


def drop_broadcasts(tape: Tape) -> Tape:
    """A repeated array (`r_bar = broadcast(c, (n, 3))`) is kept small: elementwise steps repeat it by themselves, and
    sums over what is repeated become products with the size.
    """
    fixed = {name for _, expr in tape.outputs for name in names(expr)}
    fixed |= {step.into for step in tape.steps if step.into is not None}
    full, small, namer = dict(tape.shapes), dict(tape.shapes), Namer(tape.bound_names())
    steps: list[Step] = []
    for step in tape.steps:
        expr, have = _small(step.expr, full, small)
        if have != step.shape and (step.target in fixed or step.name in fixed):
            expr, have = fitted(expr, have, step.shape), step.shape
        made = [replace(step, expr=expr, shape=have)]
        if step.role == PRIMAL:
            made = elementary(made[0], small, namer)
        small[step.name] = have
        if step.into is not None:
            small[step.into] = have
        steps += made
    return replace(tape, steps=tuple(steps))


def _small(expr: Expr, full: dict[str, Shape], small: dict[str, Shape]) -> tuple[Expr, Shape]:
    """`expr` without broadcasts, and its shape then, which broadcasts to what it was."""

    def leaf(part: Name | Number) -> tuple[Expr, Shape, Shape]:
        if isinstance(part, Number):
            return part, (), ()
        return part, full.get(part.id, ()), small.get(part.id, ())

    def node(typed: Call, args: list[tuple[Expr, Shape, Shape]]) -> tuple[Expr, Shape, Shape]:
        want = call_shape(typed.over(arg for arg, _, _ in args), [shape for _, shape, _ in args])
        if typed.op not in ARRAYS:
            return typed.over(arg for arg, _, _ in args), want, reduce(broadcast, [have for _, _, have in args], ())
        if typed.op == "contract":
            made = _contracted(typed, args)
            have = shape_of(made, small)
            return (made, want, have) if have == want else _aligned(made, have, want)
        return typed.over(fitted(arg, have, wanted) for arg, wanted, have in args), want, want

    made, _, have = bottom_up(expr, leaf, node)
    return made, have


def _contracted(typed: Call, args: list[tuple[Expr, Shape, Shape]]) -> Expr:
    """The contraction over small operands; a pure broadcast is the operand itself, aligned."""
    spread = {k: fitted(arg, have, want) for k, (arg, want, have) in enumerate(args) if want != have}
    inner = {k: call for k, call in spread.items() if isinstance(call, Call)}
    small = [arg for arg, _, _ in args]
    made = substituted(typed.options[0], small, inner) if inner else typed.over(small)
    if isinstance(made, Call) and made.op == "contract" and familiar(made.options[0]).kind == "broadcast":
        return _unspread(made)
    return made


def _unspread(made: Call) -> Expr:
    """The operand of a broadcast, with axes of size 1 where it is repeated; NumPy adds those in front by itself."""
    spec: Spec = made.options[0]
    sized = {index for index, _ in spec.sizes}
    output = "".join(UNIT if index in sized else index for index in spec.output)
    while len(output) > len(spec.operands[0]) and output[0] == UNIT:
        output = output[1:]
    return contraction(Spec(spec.operands, output), made.args)


def _aligned(made: Expr, have: Shape, want: Shape) -> tuple[Expr, Shape, Shape]:
    assert broadcast(have, want) == want, f"{have} does not broadcast to {want}"
    return made, want, have
