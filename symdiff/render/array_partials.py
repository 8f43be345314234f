"""Elements of the local derivatives of the ops that are neither elementwise nor a contraction, one line an op."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symdiff.einstein import UNIT, Spec
from symdiff.expr import Call, Expr, Name, call
from symdiff.ops.array_core import contraction, count
from symdiff.render.array_marks import Marks
from symdiff.tape import Step

if TYPE_CHECKING:
    from symdiff.render.array_local import Locals


@dataclass(frozen=True)
class Element:
    """One element of a local derivative.

    out, inside  indices of the value and of the operand
    deltas       pairs of indices that must be equal; (index of the value, index of the operand) first
    summed       indices of the sum in `body`
    body         what stands behind the deltas, made for given names of the indices
    """

    out: str
    inside: str
    deltas: tuple[tuple[str, str], ...]
    summed: str
    body: Callable[[Mapping[str, str]], list[str]]


def operands(primal: Step) -> tuple[Expr, ...]:
    """The operands of a step."""
    return primal.expr.args if isinstance(primal.expr, Call) else (primal.expr,)


# -- elements of the ops that are no contraction -----------------------------------------------------------------------


def _operand(primal: Step, k: int = 0) -> str:
    arg = operands(primal)[k]
    assert isinstance(arg, Name)
    return arg.id


def _count(self: Locals, primal: Step) -> str:
    assert isinstance(primal.expr, Call)
    number = count(self.shapes[_operand(primal)], primal.expr.options[0])
    return self.marks.over("1", self.marks.factor(number, {}))


def _others(self: Locals, primal: Step, inside: str, out: str, rest: str) -> str:
    """The product of all elements but one."""
    there, new = _others_than(primal, inside, rest)
    old = "".join(a for a, b in zip(inside, there, strict=True) if a != b)
    marks = self.marks
    return marks.bracket(_product_over(marks, old, new, marks.entry(_operand(primal), there)))


def _product_over(marks: Marks, one: str, other: str, body: str) -> str:
    relation = f"{other} {marks.sign('!=')} {one}"
    return rf"\prod_{{{relation}}} {body}" if marks.sign("!=").startswith("\\") else f"prod_{{{relation}}} {body}"


REDUCED: dict[str, Callable[[Locals, Step, str, str, str], list[str]]] = {
    "sumsq": lambda s, p, i, o, rest: ["2", s.marks.entry(_operand(p), i)],
    "norm": lambda s, p, i, o, rest: [s.marks.over(s.marks.entry(_operand(p), i), s.marks.entry(p.name, o))],
    "norm1": lambda s, p, i, o, rest: [s.marks.call("sign", s.marks.entry(_operand(p), i))],
    "mean": lambda s, p, i, o, rest: [_count(s, p)],
    "logsumexp": lambda s, p, i, o, rest: [
        s.marks.call("exp", f"{s.marks.entry(_operand(p), i)} - {s.marks.entry(p.name, o)}")
    ],
    "prod": lambda s, p, i, o, rest: [_others(s, p, i, o, rest)],
    "amax": lambda s, p, i, o, rest: [_tie(s, p, i, o, rest)],
    "amin": lambda s, p, i, o, rest: [_tie(s, p, i, o, rest)],
}


def _tie(self: Locals, primal: Step, inside: str, out: str, rest: str) -> str:
    """1 where the element is the extreme one, over the number of those."""
    assert isinstance(primal.expr, Call)
    marks, value = self.marks, self.marks.entry(primal.name, out)
    there, new = _others_than(primal, inside, rest)
    one = marks.holds(f"{marks.entry(_operand(primal), inside)} = {value}")
    return marks.over(one, marks.total(new, marks.holds(f"{marks.entry(_operand(primal), there)} = {value}")))


def _others_than(primal: Step, inside: str, rest: str) -> tuple[str, str]:
    """Indices of another element of the same reduction, and which of them are new."""
    assert isinstance(primal.expr, Call)
    axes = primal.expr.options[0]
    gone = [axis for axis, index in enumerate(inside) if (axes is None or axis in axes) and index != UNIT]
    new = dict(zip(gone, rest, strict=False))
    return "".join(new.get(axis, index) for axis, index in enumerate(inside)), "".join(new.values())


def _softmax(self: Locals, primal: Step, k: int) -> Element:
    assert isinstance(primal.expr, Call)
    axis = primal.expr.options[0]
    inside, out, _ = self.letters(primal.shape, primal.shape)
    deltas = tuple((o, i) for a, (o, i) in enumerate(zip(out, inside, strict=True)) if a != axis and o != UNIT)
    marks, name = self.marks, primal.name

    def body(new: Mapping[str, str]) -> list[str]:
        here = "".join(new.get(o, o) for o in out)
        there = here[:axis] + inside[axis] + here[axis + 1 :]
        return [
            marks.entry(name, here),
            marks.bracket(f"{marks.delta(here[axis], inside[axis])} - {marks.entry(name, there)}"),
        ]

    return Element(out, inside, deltas, "", body)


def _cumsum(self: Locals, primal: Step, k: int) -> Element:
    assert isinstance(primal.expr, Call)
    axis = primal.expr.options[0]
    inside, out, _ = self.letters(primal.shape, primal.shape)
    deltas = tuple((o, i) for a, (o, i) in enumerate(zip(out, inside, strict=True)) if a != axis and o != UNIT)
    marks = self.marks
    relation = marks.sign("<=")
    return Element(out, inside, deltas, "", lambda new: [marks.holds(f"{inside[axis]} {relation} {out[axis]}")])


def _places(indices: str) -> str:
    """Brackets of the formula language, which count from 0."""
    return f"[{','.join(indices.replace(UNIT, '0'))}]"


def _inverse_entry(self: Locals, name: str, a: str, b: str) -> str:
    matrix = self.marks.matrix(call("inv", Name(name)))
    return f"({matrix})_{{{a}{b}}}" if self.marks.sign("!=").startswith("\\") else matrix + _places(a + b)


def _inv(self: Locals, primal: Step, k: int) -> Element:
    inside, out, _ = self.letters(primal.shape, primal.shape)
    entry = self.marks.entry

    def body(new: Mapping[str, str]) -> list[str]:
        o = [new.get(index, index) for index in out]
        return [self.marks.minus(entry(primal.name, o[0] + inside[0])), entry(primal.name, inside[1] + o[1])]

    return Element(out, inside, (), "", body)


def _solve(self: Locals, primal: Step, k: int) -> Element:
    inside, out, _ = self.letters(self.shape(operands(primal)[k]), primal.shape)
    matrix = operands(primal)[0]
    assert isinstance(matrix, Name)
    column = list(zip(out[1:], inside[1:], strict=True)) if k == 1 else []
    deltas = tuple((o, i) for o, i in column if o != UNIT)

    def body(new: Mapping[str, str]) -> list[str]:
        row = _inverse_entry(self, matrix.id, new.get(out[0], out[0]), inside[0])
        rest = "".join(new.get(o, o) for o in out[1:])
        return [row] if k == 1 else [self.marks.minus(row), self.marks.entry(primal.name, inside[1] + rest)]

    return Element(out, inside, deltas, "", body)


def _determinant(self: Locals, primal: Step, k: int) -> Element:
    assert isinstance(primal.expr, Call)
    inside, out, _ = self.letters(self.shape(operands(primal)[0]), primal.shape)
    name = _operand(primal)
    if primal.expr.op == "logdet":
        return Element(out, inside, (), "", lambda new: [_inverse_entry(self, name, inside[1], inside[0])])
    cofactor = self.marks.matrix(call("cofactor", Name(name)))
    latex = self.marks.sign("!=").startswith("\\")
    text = f"{cofactor}_{{{inside}}}" if latex else cofactor + _places(inside)
    return Element(out, inside, (), "", lambda new: [text])


def _abstract(self: Locals, primal: Step, k: int) -> Element:
    assert isinstance(primal.expr, Call)
    inside, out, _ = self.letters(self.shape(operands(primal)[k]), primal.shape)
    function = self.marks.matrix(Call("apply", (), None, primal.expr.options)).split("(")[0]

    def body(new: Mapping[str, str]) -> list[str]:
        here = "".join(new.get(o, o) for o in out)
        latex = self.marks.sign("!=").startswith("\\")
        of = function if not here else f"{function}_{{{here}}}" if latex else function + _places(here)
        return [self.marks.partial(of, self.marks.entry(_operand(primal, k), inside))]

    return Element(out, inside, (), "", body)


ELEMENTS: dict[str, Callable[[Locals, Step, int], Element]] = {
    "softmax": _softmax,
    "cumsum": _cumsum,
    "inv": _inv,
    "solve": _solve,
    "det": _determinant,
    "logdet": _determinant,
    "apply": _abstract,
}


def _softmax_matrix(self: Locals, primal: Step, k: int) -> Expr | None:
    size = [n for n in primal.shape if n != 1]
    if len(primal.shape) != 1 or not size:
        return None
    value = Name(primal.name)
    diagonal = contraction(Spec(("i",), "ii"), (value,))
    return call("sub", diagonal, contraction(Spec(("i", "j"), "ij"), (value, value)))


def _solve_matrix(self: Locals, primal: Step, k: int) -> Expr | None:
    return call("inv", operands(primal)[0]) if k == 1 else None


MATRICES: dict[str, Callable[[Locals, Step, int], Expr | None]] = {"softmax": _softmax_matrix, "solve": _solve_matrix}

WORDS = {
    "index": "every element of the value is one of the operand's; by that one the derivative is 1, by all others 0",
    "put": "every element of the operand is one of the value's; the derivative of that one is 1, of all others 0",
    "concat": "every element of an operand is one of the value's; the derivative of that one is 1, of all others 0",
    "stack": "every element of an operand is one of the value's; the derivative of that one is 1, of all others 0",
    "reshape": "the elements stay in their order; by the one in the same place the derivative is 1, by all others 0",
    "cholesky": "its elements have no short form; the rule follows from differentiating the product of the factor and "
    "its transpose, which is the matrix",
}
"""What is said of the ops that only move elements, and of the one whose elements are long."""

__all__ = ["ELEMENTS", "MATRICES", "REDUCED", "WORDS", "Element", "operands"]
