"""Common subexpressions: a value that is there already is not computed again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from symdiff.einstein import familiar
from symdiff.expr import Call, Expr, Name, bottom_up, substitute, walk
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.infer import shape_of
from symdiff.shapes import Shape
from symdiff.tape import PRIMAL, SHARED, Namer, Note, Step, Tape

_CHEAP = frozenset(
    COMPARE_OPS
    | {"add", "sub", "mul", "neg", "square", "identity", "where", "index", "reshape", "zeros", "ones", "eye"}
)


_VIEWS = frozenset({"transpose", "broadcast", "diagonal"})


def _cheap(part: Call) -> bool:
    """Computed again rather than held: arithmetic, and other views of the same array."""
    if part.op == "contract":
        return familiar(part.options[0]).kind in _VIEWS
    return part.op in _CHEAP


def merge_repeated_steps(tape: Tape) -> Tape:
    """Primal steps with the same op and the same operands become one; a note says `v7 = v3`."""
    seen: dict[Expr, str] = {}
    renamed: dict[str, Expr] = {}
    steps, notes = [], []
    for step in tape.steps:
        expr = substitute(step.expr, renamed) if renamed else step.expr
        key = _key(expr)
        first = seen.setdefault(key, step.name) if isinstance(expr, Call) and expr.op != "identity" else step.name
        if first != step.name:
            renamed[step.name] = Name(first)
            notes.append(Note(step.n, step.name, first))
        else:
            steps.append(step.over(expr))
    outputs = tuple((label, substitute(expr, renamed)) for label, expr in tape.outputs)
    return replace(tape, steps=tuple(steps), outputs=outputs, notes=tape.notes + tuple(notes))


def _key(expr: Expr) -> Expr:
    """`a*b` and `b*a` are the same value to the last bit, so they count as the same expression."""
    if isinstance(expr, Call) and expr.op in TABLE and TABLE[expr.op].commutes:
        return expr.over(sorted(expr.args, key=repr))
    return expr


def share_subexpressions(tape: Tape) -> Tape:
    """A function value inside an adjoint step that a primal step has (`cos(v1)`), or that occurs twice, is computed
    once.
    """
    known: dict[Expr, str] = {
        step.expr: step.name for step in tape.steps if step.role == PRIMAL and isinstance(step.expr, Call)
    }
    counts: Counter[Expr] = Counter()
    for step in tape.steps:
        if step.role != PRIMAL:
            for part in walk(step.expr):
                if isinstance(part, Call) and not _cheap(part):
                    counts[part] += 1
                if isinstance(part, Call) and part.op == "square":  # spelled a*a: its operand is written twice
                    counts.update(arg for arg in part.args if isinstance(arg, Call) and not _cheap(arg))
    namer = Namer(tape.bound_names())
    steps: list[Step] = []
    shared: dict[Expr, str] = {}
    shapes = dict(tape.shapes) if tape.is_array else {}
    for step in tape.steps:
        if step.role == PRIMAL:
            steps.append(step)
            continue
        hoisted: list[Step] = []
        expr = _replace(step, known, counts, shared, namer, hoisted, shapes)
        steps.extend(hoisted)
        steps.append(step.over(expr))
    return replace(tape, steps=tuple(steps))


def _replace(
    step: Step,
    known: dict[Expr, str],
    counts: Counter[Expr],
    shared: dict[Expr, str],
    namer: Namer,
    hoisted: list[Step],
    shapes: dict[str, Shape],
) -> Expr:
    """`step.expr` over shared names; steps for newly shared parts are appended to `hoisted`.

    Parts are looked up as they were counted, before anything inside them was replaced.
    """

    def node(typed: Call, args: list[tuple[Expr, Expr]]) -> tuple[Expr, Expr]:
        original = typed.over(old for old, _ in args)
        rebuilt = typed.over(new for _, new in args)
        if original in known:
            return original, Name(known[original])
        if original in shared and (step.into is not None or step.shape):
            return original, Name(shared[original])
        if counts[original] > 1 and typed is not step.expr:
            if original not in shared:
                shared[original] = namer.fresh(f"d{step.n}")
                shape = shape_of(rebuilt, shapes)
                shapes[shared[original]] = shape
                hoisted.append(Step(step.n, shared[original], rebuilt, SHARED, shape, of=step.of))
            return original, Name(shared[original])
        return original, rebuilt

    def leaf(part: Expr) -> tuple[Expr, Expr]:
        return part, part

    return bottom_up(step.expr, leaf, node)[1]
