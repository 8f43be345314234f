"""Views: a transpose goes into the product that uses it, and a broadcast into what repeats it anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from symdiff.einstein import UNIT, Spec, familiar, merged
from symdiff.expr import Call, Expr, Name, Number, bottom_up, call, names
from symdiff.ops import ARRAYS
from symdiff.ops.array_core import contraction, fitted, size_expr
from symdiff.ops.infer import call_shape, shape_of
from symdiff.passes.products import elementary
from symdiff.shapes import Shape, broadcast
from symdiff.tape import PRIMAL, Namer, Step, Tape

_VIEWS = ("transpose", "diagonal")


def substituted(spec: Spec, args: Sequence[Expr], place: int, inner: Call) -> Expr:
    """A contraction whose operand at `place` is the contraction `inner`, as one contraction."""
    assert inner.op == "contract", inner
    joined, factors = merged(spec, place, inner.options[0])
    made = contraction(joined, [*args[:place], *inner.args, *args[place + 1 :]])
    for size in factors:
        made = call("mul", size_expr(size), made)
    return made


def inline_transposes(tape: Tape) -> Tape:
    """Products of transposes (`v4 = W.T; v5 = H @ v4`) become products with a transposed operand (`v5 = H @ W.T`)."""
    views: dict[str, Call] = {}

    def node(typed: Call, args: list[Expr]) -> Expr:
        made: Expr = typed.over(args)
        if typed.op != "contract":
            return made
        for place in range(len(args) - 1, -1, -1):
            inner = args[place]
            found = views.get(inner.id) if isinstance(inner, Name) else None
            if found is not None and isinstance(made, Call) and made.op == "contract" and len(made.args) == len(args):
                made = substituted(made.options[0], made.args, place, found)
        return made

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
    made: Expr = typed.over(arg for arg, _, _ in args)
    for place in range(len(args) - 1, -1, -1):
        arg, want, have = args[place]
        if want == have:
            continue
        spread = fitted(arg, have, want)
        assert isinstance(spread, Call)
        if not isinstance(made, Call) or made.op != "contract" or len(made.args) <= place:  # it became simpler
            return typed.over(fitted(arg, have, want) for arg, want, have in args)
        made = substituted(made.options[0], made.args, place, spread)
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
