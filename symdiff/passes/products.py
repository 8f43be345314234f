"""The order of products: `(A @ B) @ x` is computed as `A @ (B @ x)` where that is cheaper.

The cost of an order is the number of multiplications, a polynomial in the run-time sizes. Which order is the cheapest
can depend on them: of `A @ B @ C` for four sizes, none always is. The rule: the order that is the cheapest where all
run-time sizes are 100 (so that it is first a matter of how many of them are multiplied, then of literal sizes); of
those that cost the same there, the cheapest for sizes that differ a little; and the order typed unless the best one
saves a tenth. The order found is therefore never one that another order beats for all sizes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import prod

from symdiff.einstein import UNIT, Spec, merged
from symdiff.expr import Call, Expr, Name, bottom_up, is_constant, walk
from symdiff.ops import COMPARE_OPS
from symdiff.ops.array_core import contraction
from symdiff.ops.infer import shape_of
from symdiff.shapes import Shape, dimensions, size_value
from symdiff.tape import Namer, Step, Tape

_NOMINAL = 100  # what a run-time size counts as; only ratios matter
_DIFFERING = 7  # by how much sizes differ where orders cost the same
_GAIN = 0.9  # of the cost; below it the order typed is given up
_OPERANDS = 8  # of one product; finding the best order takes exponential time


def order_products(tape: Tape) -> Tape:
    """Contractions of contractions that nothing else uses, in the cheapest order; see the top of this file."""
    uses = Counter(part.id for step in tape.steps for part in walk(step.expr) if isinstance(part, Name))
    uses.update(expr.id for _, expr in tape.outputs if isinstance(expr, Name))
    shapes = dict(tape.shapes)
    namer = Namer(tape.bound_names())
    kept: dict[str, Step] = {}
    for step in tape.steps:
        for made in _ordered(step, kept, uses, shapes, namer):
            kept[made.name] = made
            shapes[made.name] = made.shape
    return replace(tape, steps=tuple(kept.values()))


def _ordered(
    step: Step, kept: dict[str, Step], uses: Counter[str], shapes: dict[str, Shape], namer: Namer
) -> list[Step]:
    expr = step.expr
    if not isinstance(expr, Call) or expr.op != "contract":
        return [step]
    spec, args, inner = _gathered(expr, kept, uses)
    if len(args) < 2 or (not inner and len(args) == 2):
        return [step]
    known = [shape_of(arg, shapes) for arg in args]
    parts = [expr, *(kept[name].expr for name in inner)]
    before = sum(_cost(part.options[0], part.args, shapes) for part in parts if isinstance(part, Call))
    path, cost = cheapest(spec, known)
    if cost > _GAIN * before:
        return [step]
    for name in inner:
        del kept[name]
    return _steps(step, spec, list(args), path, shapes, namer)


def _gathered(expr: Call, kept: dict[str, Step], uses: Counter[str]) -> tuple[Spec, list[Expr], list[str]]:
    """The whole product behind `expr`, and the steps that it is made of."""
    spec, args = expr.options[0], list(expr.args)
    inner: list[str] = []
    place = 0
    while place < len(args):
        arg = args[place]
        found = kept.get(arg.id) if isinstance(arg, Name) and uses[arg.id] == 1 else None
        part = found.expr if found is not None else None
        if (
            found is None
            or not isinstance(part, Call)
            or part.op != "contract"
            or len(args) + len(part.args) - 1 > _OPERANDS
        ):
            place += 1
            continue
        joined, factors = merged(spec, place, part.options[0])
        if factors or joined.sizes or len(set(joined.output.replace(UNIT, ""))) < len(joined.output.replace(UNIT, "")):
            place += 1
            continue
        spec, inner = joined, [*inner, found.name]
        args[place : place + 1] = part.args
    return spec, args, inner


def _numbers(spec: Spec, known: Sequence[Shape], differing: int = 0) -> dict[str, int]:
    """What each index counts as; `differing` is the step from one run-time size to the next."""
    sizes = spec.index_sizes(known)
    names = dict.fromkeys(name for size in sizes.values() for name in dimensions(size))
    values = {name: _NOMINAL + differing * k for k, name in enumerate(names)}
    return {index: size_value(size, values) for index, size in sizes.items()}


def _cost(spec: Spec, args: Sequence[Expr], shapes: dict[str, Shape]) -> int:
    """Multiplications of one contraction done in one go; a transpose or a sum alone counts its elements."""
    numbers = _numbers(spec, [shape_of(arg, shapes) for arg in args])
    return prod(numbers[index] for index in {i for part in (*spec.operands, spec.output) for i in part})


def cheapest(spec: Spec, known: Sequence[Shape]) -> tuple[list[tuple[int, ...]], int]:
    """Pairs of operands to contract one after the other, the result going to the end of the list, and what that costs.

    Exact, by dynamic programming over sets of operands: what a set of them gives does not depend on the order inside.
    """
    parts = [frozenset(part) - {UNIT} for part in spec.operands]
    costs = [_numbers(spec, known), _numbers(spec, known, _DIFFERING)]
    everything = (1 << len(parts)) - 1
    outside = {0: frozenset(spec.output)}  # indices that are needed outside of a set, by its complement
    for group in range(1, everything + 1):
        lowest = (group & -group).bit_length() - 1
        outside[group] = outside[group & (group - 1)] | parts[lowest]
    result = {1 << k: part for k, part in enumerate(parts)}
    best: dict[int, tuple[tuple[int, ...], int]] = {1 << k: ((0, 0), 0) for k in range(len(parts))}
    for group in range(1, everything + 1):
        if group in best:
            continue
        found: tuple[tuple[int, ...], int] | None = None
        left = (group - 1) & group
        while left:
            right = group ^ left
            if left > right:  # each pair once
                together = result[left] | result[right]
                pairs = zip(costs, best[left][0], best[right][0], strict=True)
                total = tuple(prod(numbers[i] for i in together) + a + b for numbers, a, b in pairs)
                if found is None or total < found[0]:
                    found = total, left
                    result[group] = together & outside[everything ^ group]
            left = (left - 1) & group
        assert found is not None
        best[group] = found
    return _pairs(best, everything), best[everything][0][0]


def _pairs(best: dict[int, tuple[tuple[int, ...], int]], everything: int) -> list[tuple[int, ...]]:
    """The pairs of the best order, as places in the list of what is left."""
    left = [1 << k for k in range(everything.bit_length())]
    made: list[tuple[int, ...]] = []

    def join(group: int) -> None:
        half = best[group][1]
        if not half:
            return
        join(half)
        join(group ^ half)
        places = tuple(sorted((left.index(half), left.index(group ^ half))))
        made.append(places)
        left[:] = [each for k, each in enumerate(left) if k not in places] + [group]

    join(everything)
    return made


def _steps(
    step: Step, spec: Spec, args: list[Expr], path: list[tuple[int, ...]], shapes: dict[str, Shape], namer: Namer
) -> list[Step]:
    """A step for every pair of the path; the last one has the name of the whole."""
    parts = list(spec.operands)
    made: list[Step] = []
    for number, pair in enumerate(path):
        order = sorted(pair)
        rest = "".join(part for k, part in enumerate(parts) if k not in pair) + spec.output
        inside = dict.fromkeys(i for k in order for i in parts[k] if i != UNIT and i in rest)
        last = number == len(path) - 1
        output = spec.output if last else "".join(inside)
        expr = contraction(Spec(tuple(parts[k] for k in order), output), [args[k] for k in order])
        name = step.name if last else namer.fresh(f"p{step.n}")
        made += elementary(replace(step, name=name, expr=expr), shapes, namer)
        parts = [part for k, part in enumerate(parts) if k not in pair] + [output]
        args = [arg for k, arg in enumerate(args) if k not in pair] + [Name(name)]
    return made


def elementary(step: Step, shapes: dict[str, Shape], namer: Namer) -> list[Step]:
    """A step whose expression has operations inside operations, as steps of one each; the last has its name."""
    steps: list[Step] = []

    def node(typed: Call, args: list[Expr]) -> Expr:
        made = typed.over(args)
        if typed is step.expr or typed.op in COMPARE_OPS or is_constant(made):
            return made
        name = namer.fresh(f"p{step.n}")
        shapes[name] = shape_of(made, shapes)
        steps.append(replace(step, name=name, expr=made, shape=shapes[name]))
        return Name(name)

    whole = bottom_up(step.expr, lambda leaf: leaf, node)
    shapes[step.name] = shape_of(whole, shapes)
    return [*steps, replace(step, expr=whole, shape=shapes[step.name])]
