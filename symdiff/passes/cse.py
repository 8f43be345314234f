"""Common subexpressions: a value that is there already is not computed again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from symdiff.einstein import familiar
from symdiff.expr import Call, Expr, Form, Name, bottom_up, form_of, identity, substitute, walk
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.infer import shape_of
from symdiff.shapes import Shape
from symdiff.tape import PRIMAL, SHARED, Namer, Note, Step, Tape

_CHEAP = frozenset(
    COMPARE_OPS
    | {"add", "sub", "mul", "neg", "square", "identity", "where", "index", "reshape", "zeros", "ones", "eye"}
)


Same = tuple[tuple[Any, ...], tuple[str, ...]]  # what `identity` gives
_VIEWS = frozenset({"transpose", "broadcast", "diagonal"})


def _cheap(part: Call) -> bool:
    """Computed again rather than held: arithmetic, and other views of the same array."""
    if part.op == "contract":
        return familiar(part.options[0]).kind in _VIEWS
    return part.op in _CHEAP


def merge_repeated_steps(tape: Tape) -> Tape:
    """Primal steps with the same op and the same operands become one; a note says `v7 = v3`."""
    seen: dict[Same, str] = {}
    renamed: dict[str, Expr] = {}
    steps, notes = [], []
    for step in tape.steps:
        expr = substitute(step.expr, renamed) if renamed else step.expr
        first = step.name
        if isinstance(expr, Call) and expr.op != "identity":
            first = seen.setdefault(_key(expr), step.name)
        if first != step.name:
            renamed[step.name] = Name(first)
            notes.append(Note(step.n, step.name, first))
        else:
            steps.append(step.over(expr))
    outputs = tuple((label, substitute(expr, renamed)) for label, expr in tape.outputs)
    return replace(tape, steps=tuple(steps), outputs=outputs, notes=tape.notes + tuple(notes))


def _key(expr: Call) -> Same:
    """`a*b` and `b*a` are the same value to the last bit, so they count as the same expression."""
    if expr.op in TABLE and TABLE[expr.op].commutes:
        first, second = expr.args
        if isinstance(first, Name) and isinstance(second, Name):  # the form is the same in both orders
            key, found = identity(expr)
            return key, tuple(sorted(found))
        if _order(first) > _order(second):
            return identity(expr.over((second, first)))
    return identity(expr)


def _order(operand: Expr) -> str:
    return operand.id if isinstance(operand, Name) else repr(operand)


@dataclass(frozen=True, slots=True)
class _Part:
    """A call inside the steps of one form: its key, and which names of the step are its own."""

    key: tuple[Any, ...]
    places: tuple[int, ...]
    dear: bool
    squared: bool  # the operand of a square, which is spelled a*a: its operand is written twice


class _Parts:
    """The calls inside the steps of each form, parents before children."""

    def __init__(self) -> None:
        self._known: dict[Form, list[_Part]] = {}

    def of(self, expr: Call) -> tuple[list[_Part], tuple[str, ...]]:
        """The parts of a step, and the names that their places are places in."""
        form, found = form_of(expr)
        parts = self._known.get(form)
        if parts is None:
            squared = {id(part.args[0]) for part in walk(form.expr) if isinstance(part, Call) and part.op == "square"}
            parts = self._known[form] = []
            for part in walk(form.expr):
                if isinstance(part, Call):
                    key, places = identity(part)
                    parts.append(_Part(key, tuple(map(int, places)), not _cheap(part), id(part) in squared))
        return parts, found

    def dear(self, expr: Call) -> Iterator[Same]:
        """Each part that is worth holding, as often as it is written."""
        parts, found = self.of(expr)
        for part in parts:
            if part.dear:
                same = part.key, tuple([found[place] for place in part.places])
                yield same
                if part.squared:
                    yield same

    def meets(self, expr: Call, known: Mapping[Same, Any], counts: Mapping[Same, int]) -> bool:
        """Whether a part is in `known`, or counts more than once."""
        parts, found = self.of(expr)
        for part in parts:
            same = part.key, tuple([found[place] for place in part.places])
            if same in known or (part.dear and counts[same] > 1):
                return True
        return False


def share_subexpressions(tape: Tape) -> Tape:
    """A function value inside an adjoint step that a primal step has (`cos(v1)`), or that occurs twice, is computed
    once.
    """
    known: dict[Same, str] = {
        identity(step.expr): step.name for step in tape.steps if step.role == PRIMAL and isinstance(step.expr, Call)
    }
    parts = _Parts()
    counts: Counter[Same] = Counter()
    for step in tape.steps:
        if step.role != PRIMAL and isinstance(step.expr, Call):
            counts.update(parts.dear(step.expr))
    namer = Namer(tape.bound_names())
    steps: list[Step] = []
    shared: dict[Same, str] = {}
    shapes = dict(tape.shapes) if tape.is_array else {}
    for step in tape.steps:
        if step.role == PRIMAL or not isinstance(step.expr, Call) or not parts.meets(step.expr, known, counts):
            steps.append(step)
            continue
        hoisted: list[Step] = []
        expr = _replace(step, known, counts, shared, namer, hoisted, shapes)
        steps.extend(hoisted)
        steps.append(step.over(expr))
    return replace(tape, steps=tuple(steps))


def _replace(
    step: Step,
    known: dict[Same, str],
    counts: Counter[Same],
    shared: dict[Same, str],
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
        same = identity(original)
        if same in known:
            return original, Name(known[same])
        if same in shared and (step.into is not None or step.shape):
            return original, Name(shared[same])
        if counts[same] > 1 and typed is not step.expr:
            if same not in shared:
                shared[same] = namer.fresh(f"d{step.n}")
                shape = shape_of(rebuilt, shapes)
                shapes[shared[same]] = shape
                hoisted.append(Step(step.n, shared[same], rebuilt, SHARED, shape, of=step.of))
            return original, Name(shared[same])
        return original, rebuilt

    def leaf(part: Expr) -> tuple[Expr, Expr]:
        return part, part

    return bottom_up(step.expr, leaf, node)[1]
