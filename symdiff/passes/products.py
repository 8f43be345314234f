"""The order of products: `(A @ B) @ x` is computed as `A @ (B @ x)` where that is cheaper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from symdiff.einstein import UNIT, Spec, merged
from symdiff.expr import Call, Expr, Name, bottom_up, is_constant, walk
from symdiff.ops import COMPARE_OPS
from symdiff.ops.array_core import contraction
from symdiff.ops.infer import shape_of
from symdiff.shapes import Shape, dimensions, size_value
from symdiff.tape import Namer, Step, Tape

_NOMINAL = 100  # what a run-time size counts as; only ratios matter
_GAIN = 0.9  # of the cost; below it the order typed is given up
_OPERANDS = 8  # of one product; finding the best order takes exponential time


def order_products(tape: Tape) -> Tape:
    """Contractions of contractions that nothing else uses, in the cheapest order (opt_einsum's optimal path).

    Costs count multiplications with every run-time size as the same large number. The order typed stays unless the best
    one costs clearly less.
    """
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
    if not isinstance(expr, Call) or expr.op != "contract" or len(expr.args) > 2:
        return [step]
    spec, args, inner = _gathered(expr, kept, uses)
    if not inner or len(args) < 2:
        return [step]
    known = [shape_of(arg, shapes) for arg in args]
    parts = [expr, *(kept[name].expr for name in inner)]
    before = sum(_cost(part.options[0], part.args, shapes) for part in parts if isinstance(part, Call))
    path, cost = _path(spec, known)
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
        if found is None or not isinstance(part, Call) or part.op != "contract" or len(args) >= _OPERANDS:
            place += 1
            continue
        joined, factors = merged(spec, place, part.options[0])
        if factors or joined.sizes or len(set(joined.output.replace(UNIT, ""))) < len(joined.output.replace(UNIT, "")):
            place += 1
            continue
        spec, inner = joined, [*inner, found.name]
        args[place : place + 1] = part.args
    return spec, args, inner


def _numbers(spec: Spec, known: Sequence[Shape]) -> dict[str, int]:
    sizes = spec.index_sizes(known)
    return {i: size_value(size, dict.fromkeys(dimensions(size), _NOMINAL)) for i, size in sizes.items()}


def _cost(spec: Spec, args: Sequence[Expr], shapes: dict[str, Shape]) -> float:
    """Multiplications of one contraction done in one go; a transpose or a sum alone counts its elements."""
    numbers = _numbers(spec, [shape_of(arg, shapes) for arg in args])
    total = 1.0
    for index in {i for part in (*spec.operands, spec.output) for i in part}:
        total *= numbers[index]
    return total


def _path(spec: Spec, known: Sequence[Shape]) -> tuple[list[tuple[int, ...]], float]:
    """Pairs of operands to contract one after the other, and what that costs."""
    import opt_einsum

    numbers = _numbers(spec, known)
    text = ",".join(part.replace(UNIT, "") for part in spec.operands) + "->" + spec.output.replace(UNIT, "")
    shapes = [tuple(numbers[i] for i in part if i != UNIT) for part in spec.operands]
    path, _ = opt_einsum.contract_path(text, *shapes, shapes=True, optimize="optimal")
    cost, parts = 0.0, [set(part) - {UNIT} for part in spec.operands]
    output = set(spec.output) - {UNIT}
    for pair in path:
        taken = [parts[k] for k in pair]
        parts = [part for k, part in enumerate(parts) if k not in pair]
        both: set[str] = set().union(*taken)
        total = 1.0
        for index in both:
            total *= numbers[index]
        cost += total
        parts.append(both & output.union(*parts))
    return [tuple(pair) for pair in path], cost


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
