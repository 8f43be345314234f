"""The rule of every kind of step, once: first in index notation, then as a line of matrices.

    d J / d W_ij = sum_p zbar_p d z_p / d W_ij = sum_p zbar_p delta_pi x_j = zbar_i x_j,   hence  Wbar = zbar x^T

Both lines are made from the step that comes first on the tape: the index line from its `Element`, in which the deltas
are taken out by renaming, the matrix line from the adjoint rule in the table of array operations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from symdiff.einstein import UNIT, familiar, renamed
from symdiff.expr import Call, Expr, Name
from symdiff.ops import ARRAYS, TABLE
from symdiff.render.array_local import Locals
from symdiff.render.array_partials import WORDS, Element
from symdiff.render.array_people import tidy
from symdiff.shapes import Shape
from symdiff.tape import Step


@dataclass
class RuleLine:
    """What happens to one operand.

    chain   pieces of the index notation, joined by equals signs; empty where only words say it
    left    the adjoint of the operand
    right   its contribution in matrix notation
    whole   whether the contribution is the whole adjoint
    """

    chain: list[str]
    left: str
    right: str
    whole: bool = True


@dataclass
class RuleItem:
    """One kind of step.

    title    what the kind is called
    examples  the steps that the lines are written for
    tags     numbers of all steps of this kind
    words    said beside, where indices do not say it shortly
    """

    key: tuple[object, ...]
    title: str
    examples: list[str]
    tags: list[str]
    words: str = ""
    lines: list[RuleLine] = field(default_factory=list)


_TITLES = {
    "transpose": "transpose",
    "trace": "trace",
    "diagonal": "diagonal of a matrix",
    "diag": "matrix of a diagonal",
    "broadcast": "repetition",
    "outer": "outer product",
    "hadamard": "sum of an elementwise product",
    "einsum": "contraction",
    "identity": "copy",
}


def title_of(primal: Step, shapes: dict[str, Shape]) -> str:
    """What people call the kind of step."""
    if not isinstance(primal.expr, Call):
        return "copy"
    op = primal.expr.op
    if op == "contract":
        spec = primal.expr.options[0]
        kind = familiar(spec).kind
        if kind == "product":
            ranks = sorted(len(part) for part in spec.operands)
            matrices = "product of matrices" if UNIT not in "".join(spec.operands) else "product with a row or a column"
            return {1: "dot product" if ranks == [1, 1] else "matrix times vector"}.get(ranks[0], matrices)
        if kind == "sum":
            return "sum of all elements" if not spec.output.replace(UNIT, "") else "sum over an axis"
        return _TITLES[kind]
    if op == "apply":
        return "abstract function, element by element" if primal.expr.options[1] is None else "abstract function"
    return ARRAYS[op].gate if op in ARRAYS else TABLE[op].gate


class Rules:
    """The rules that a reverse sweep needs, in the order of the forward sweep."""

    def __init__(self, locals_: Locals, output: str) -> None:
        self.locals, self.marks, self.output = locals_, locals_.marks, output
        self.tape = locals_.tape
        self.bars = dict(self.tape.bars)

    def items(self) -> list[RuleItem]:
        """One item for each kind of step, with a line for each kind of operand."""
        found: dict[tuple[object, ...], RuleItem] = {}
        done: set[tuple[object, ...]] = set()
        sends: dict[str, list[Step]] = {}
        for step in self.tape.reverse:
            if step.of is not None and step.receiver is not None:
                sends.setdefault(step.of, []).append(step)
        for primal in self.tape.primal:
            for send in sends.get(primal.name, []):
                kind, part = self._kind(primal, send)
                item = found.get(kind)
                if item is None:
                    item = found[kind] = self._item(kind, primal)
                if primal.label not in item.tags:
                    item.tags.append(primal.label)
                if (kind, part) in done or (primal.label != item.tags[0] and kind[0] in ("add", "mul") and not kind[1]):
                    continue
                done.add((kind, part))
                line, example = self._line(primal, send), self._example(primal)
                if line not in item.lines:  # an operand twice, as in dot(a, a)
                    item.lines.append(line)
                    item.examples += [example] if example not in item.examples else []
        return list(found.values())

    def _kind(self, primal: Step, send: Step) -> tuple[tuple[object, ...], object]:
        k = self.locals.operand(send)
        if not isinstance(primal.expr, Call):
            return ("identity",), 0
        op, shapes = primal.expr.op, [self._shape(arg) for arg in primal.expr.args]
        if op == "contract":
            return (op, renamed(primal.expr.options[0]).text), k
        if op in ("apply", "reshape", "index", "concat", "stack"):
            return (op, *(primal.expr.options[:1] if op == "apply" else ())), k if op == "apply" else 0
        if op in ARRAYS:
            return (op, len(shapes[0]), primal.expr.options), k
        if op == "where":
            return (op,), k
        repeated = self._shape(Name(str(send.receiver))) != primal.shape
        return (op, bool(repeated)), (k, tuple(_pattern(shape, primal.shape) for shape in shapes) if repeated else ())

    def _shape(self, arg: Expr) -> Shape:
        return self.locals.shapes.get(arg.id, ()) if isinstance(arg, Name) else ()

    def _item(self, kind: tuple[object, ...], primal: Step) -> RuleItem:
        op = primal.expr.op if isinstance(primal.expr, Call) else "identity"
        title = title_of(primal, dict(self.locals.shapes))
        if len(kind) > 1 and kind[1] is True and op not in ARRAYS:
            title += ", an operand repeated"
        return RuleItem(kind, title, [], [], WORDS.get(op, ""))

    def _example(self, primal: Step) -> str:
        return f"{self.marks.name(primal.name)} = {self.marks.matrix(primal.expr)}"

    # -- lines --------------------------------------------------------------------------------------------------------

    def _line(self, primal: Step, send: Step) -> RuleLine:
        k = self.locals.operand(send)
        bar = Name(self.bars[primal.name])
        assert send.receiver is not None
        local = self.locals.partial(send)
        right = tidy(self.locals.sent(primal, k, local, bar), self.locals.shapes)
        left = self.marks.name(self.bars[send.receiver])
        element = self.locals.element(primal, k, local)
        chain = [] if element is None else list(self._chain(primal, send.receiver, element))
        return RuleLine(chain, left, self.marks.matrix(right), send.into is None)

    def _chain(self, primal: Step, receiver: str, element: Element) -> Iterator[str]:
        """`dJ/dX_x`, the sum over all elements of the value, what the deltas leave."""
        marks = self.marks
        out, inside = element.out, element.inside
        operand, bar = marks.entry(receiver, inside), self.bars[primal.name]
        yield marks.partial(marks.name(self.output), operand)
        letters = "".join(index for index in out if index != UNIT)
        upstream = marks.partial(marks.name(self.output), marks.entry(primal.name, out))
        local = marks.partial(marks.entry(primal.name, out), operand)
        if primal.name != self.locals.output:  # else there is nothing in front of the local derivative
            yield marks.total(letters, marks.times([upstream, local]))
        deltas = [marks.delta(a, b) for a, b in element.deltas]
        inner = marks.total(element.summed, marks.times([*deltas, *element.body({})]))
        body = marks.bracket(inner) if element.summed and not deltas else inner
        with_deltas = marks.total(letters, marks.times([marks.entry(bar, out), *([] if body == "1" else [body])]))
        yield with_deltas
        table: dict[str, str] = {}
        left: list[tuple[str, str]] = []
        for a, b in element.deltas:
            if a in out and a not in table:
                table[a] = b
            else:
                left.append((table.get(a, a), b))
        if not table:
            return
        rest = "".join(index for index in letters if index not in table) + element.summed
        here = "".join(table.get(index, index) for index in out)
        parts = [marks.entry(bar, here), *(marks.delta(a, b) for a, b in left), *element.body(table)]
        yield marks.total(rest, marks.times(parts))


def _pattern(shape: Shape, whole: Shape) -> tuple[bool, ...]:
    """Which axes of the value an operand has."""
    inside = (1,) * (len(whole) - len(shape)) + shape
    return tuple(a == b for a, b in zip(inside, whole, strict=True))


__all__ = ["RuleItem", "RuleLine", "Rules", "title_of"]
