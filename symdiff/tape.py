"""The tape: one elementary step per line (a Wengert list), from which everything else is rendered.

    Tape    ::= inputs, steps, outputs, notes
    Step    ::= n, name, expr, role, shape, ...
    expr    ::= one op over earlier names and constants   (primal steps)
              | a product `upstream * local`, masked, or a contraction of the two  (adjoint steps)
              | a sum of products                          (tangent steps)
    outputs ::= label = expression                         # `value`, then one gradient per variable

Numbers and names are given once, by `linearize`, and never change: step 3 is equation (3) in the derivation, `v3` in
Python and in C (or the name that the user gave it), and (3') is what it sends back.

An *accumulator* is a name that several steps add to: the adjoint of a variable that is used more than once. Every
contribution is a step of its own, with a name of its own, and `into` names the accumulator. The sum may be read once
the last contribution has been made. Printers show the first contribution as `=` and the later ones as `+=`.

Values are arrays, and a scalar is an array without axes. Sizes of axes are numbers, or names of dimensions that are
bound when a kernel is called (`dims`); a step may read a dimension as a number.

A tape may have gaps in its numbers, because passes drop and merge steps; `notes` says where a step went.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from symdiff.einstein import familiar
from symdiff.expr import Call, Expr, Form, Name, Span, form_of, is_constant, names, walk
from symdiff.formula_data import Input
from symdiff.ops import ARRAYS, COMPARE_OPS
from symdiff.ops.infer import shape_of
from symdiff.ops.structure import requirements
from symdiff.record import record
from symdiff.shapes import Shape, Size

PRIMAL, SEED, ADJOINT, TANGENT, SHARED = "primal", "seed", "adjoint", "tangent", "shared"


@record(frozen=True, slots=True)
class Step:
    """One line of the tape.

    n      equation number; the adjoint steps of primal step n carry the same n
    name   bound by this step, once
    expr   over names bound before
    role   primal, seed, adjoint, tangent, or shared (a subexpression that two adjoint steps use)
    shape  shape of the value; () for a scalar
    into   the accumulator that the step adds to; None for a step that binds its own name only
    of     for an adjoint or tangent step, the primal step that it comes from
    slot   for an adjoint step, which of several operands receives it (0 for the first); None where there is only one
    receiver  for an adjoint step, the operand that receives it
    local  for an adjoint step, the local derivative alone (what the upstream adjoint is multiplied by)
    span   place in the formula that the step comes from
    """

    n: int
    name: str
    expr: Expr
    role: str = PRIMAL
    shape: Shape = ()
    into: str | None = None
    of: str | None = None
    slot: int | None = None
    receiver: str | None = None
    local: Expr | None = None
    span: Span | None = None

    def over(self, expr: Expr) -> Step:
        """The same step with another expression; the same object for the same one."""
        if expr is self.expr:
            return self
        return Step(
            self.n, self.name, expr, self.role, self.shape, self.into,
            self.of, self.slot, self.receiver, self.local, self.span,
        )  # fmt: skip  # `replace` takes ten times as long

    @property
    def op(self) -> str:
        """Name of the outermost op (of a contraction the familiar one); `constant`, `identity` where there is none."""
        if isinstance(self.expr, Name):
            return "identity"
        if not isinstance(self.expr, Call):
            return "constant"
        return familiar(self.expr.options[0]).kind if self.expr.op == "contract" else self.expr.op

    @property
    def operands(self) -> list[str]:
        """Names that the step reads, each once, in order of appearance."""
        return names(self.expr)

    @property
    def label(self) -> str:
        """Equation number as people read it: 4, and for what step 4 sends back 4', or 4'a and 4'b."""
        if self.role == PRIMAL:
            return str(self.n)
        return adjoint_label(self.n, self.slot)

    @property
    def target(self) -> str:
        """The name that people and code see on the left of the step."""
        return self.into or self.name


def adjoint_label(n: int, slot: int | None) -> str:
    """4', and for one of several operands 4'a, 4'b."""
    return f"{n}'" if slot is None else f"{n}'{_letters(slot)}"


def _letters(slot: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    head, last = divmod(slot, 26)
    return (_letters(head - 1) if head else "") + "abcdefghijklmnopqrstuvwxyz"[last]


@dataclass(frozen=True, slots=True)
class Note:
    """A step that a pass took out of the code: `v7 = v3`, a constant `c = 6.25`, or one that nothing uses (`kept` is
    None).
    """

    n: int
    name: str
    kept: str | None

    @property
    def text(self) -> str:
        """As headers of generated files say it."""
        return f"({self.n}) {self.name} = {self.kept}" if self.kept else f"({self.n}) {self.name} is not used"


@dataclass(frozen=True)
class Tape:
    """Steps in order, with the inputs before them and the outputs after them."""

    inputs: tuple[Input, ...]
    steps: tuple[Step, ...]
    outputs: tuple[tuple[str, Expr], ...]
    wrt: tuple[str, ...] = ()
    bars: tuple[tuple[str, str], ...] = ()  # variable -> name of its adjoint
    dots: tuple[tuple[str, str], ...] = ()  # variable -> name of its tangent
    notes: tuple[Note, ...] = field(default=())
    dims: tuple[str, ...] = ()  # names of run-time sizes

    @cached_property
    def is_array(self) -> bool:
        """Whether any value has axes, or any op is one of arrays. The others are formulas of scalars, which map over
        arrays point by point.
        """
        if any(given.shape for given in self.inputs):
            return True
        return any(step.shape or (isinstance(step.expr, Call) and step.expr.op in ARRAYS) for step in self.steps)

    @cached_property
    def forms(self) -> tuple[Form, ...]:
        """The forms of the steps, each once, in order of appearance."""
        return tuple(dict.fromkeys(form_of(step.expr)[0] for step in self.steps if isinstance(step.expr, Call)))

    @cached_property
    def ops(self) -> frozenset[str]:
        """Every op that a step calls."""
        return frozenset(part.op for form in self.forms for part in walk(form.expr) if isinstance(part, Call))

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Shape of every name."""
        found: dict[str, Shape] = {given.name: given.shape for given in self.inputs}
        for step in self.steps:
            found[step.name] = step.shape
            if step.into is not None:
                found[step.into] = step.shape
        return found

    @cached_property
    def requirements(self) -> tuple[tuple[Size, str], ...]:
        """What may not be negative for the run-time sizes, each with the words of an error: indices are inside."""
        found: dict[tuple[Size, str], None] = {}
        for step in self.primal:
            if isinstance(step.expr, Call) and step.expr.op == "index":
                shape = shape_of(step.expr.args[0], self.shapes)
                found.update(dict.fromkeys(requirements(step.expr.options[0], shape)))
        return tuple(found)

    @property
    def primal(self) -> tuple[Step, ...]:
        """The forward sweep."""
        return tuple(step for step in self.steps if step.role == PRIMAL)

    @property
    def reverse(self) -> tuple[Step, ...]:
        """The seed and every adjoint step, in the order of the reverse sweep."""
        return tuple(step for step in self.steps if step.role in (SEED, ADJOINT, SHARED))

    @property
    def value(self) -> Expr:
        """What the formula's value is on this tape."""
        return self.outputs[0][1]

    def with_steps(self, steps: Iterable[Step], **changes: object) -> Tape:
        """A copy with other steps."""
        return replace(self, steps=tuple(steps), **changes)  # type: ignore[arg-type]  # fields by name

    def bound_names(self) -> Iterator[str]:
        """Every name in use: dimensions, inputs, steps, accumulators."""
        yield from self.dims
        for given in self.inputs:
            yield given.name
        for step in self.steps:
            yield step.name
            if step.into is not None:
                yield step.into


class Namer:
    """Gives names that nobody uses yet: the wish itself, else with the next free suffix `_1`, `_2`, ..."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def fresh(self, wish: str) -> str:
        """A free name like `wish`, taken from now on."""
        name, number = wish, 0
        while name in self._taken:
            number += 1
            name = f"{wish}_{number}"
        self._taken.add(name)
        return name


def _is_elementary(expr: Expr) -> bool:
    """One op over names, constants and, in a `where`, a comparison of these."""
    if not isinstance(expr, Call):
        return True
    inside = [part for arg in expr.args for part in (arg.args if _compares(arg) else (arg,))]  # type: ignore[attr-defined]  # a comparison is a Call
    return all(isinstance(part, Name) or is_constant(part) for part in inside)


def _compares(expr: Expr) -> bool:
    return isinstance(expr, Call) and expr.op in COMPARE_OPS


def check_tape(tape: Tape) -> None:
    """Raise AssertionError where the tape is not well formed.

    Every name is bound once and used after it is bound; an accumulator is complete when it is first read; shapes of a
    contribution and its accumulator agree, and are those of their expressions; every output is bound; every variable
    asked for has a gradient.
    """
    bound = {given.name for given in tape.inputs}
    assert len(bound) == len(tape.inputs), "an input is bound twice"
    assert not bound & set(tape.dims), "an input is a dimension"
    bound.update(tape.dims)
    shapes: dict[str, Shape] = {given.name: given.shape for given in tape.inputs}
    last = {step.into: index for index, step in enumerate(tape.steps) if step.into is not None}
    complete: set[str] = set()
    for index, step in enumerate(tape.steps):
        for name in step.operands:
            assert name in bound or name in complete, f"{step.name} reads {name} before it is bound"
        assert step.name not in bound, f"{step.name} is bound twice"
        assert step.role != PRIMAL or _is_elementary(step.expr), f"{step.name} is more than one operation"
        found = shape_of(step.expr, shapes)
        assert found == step.shape, f"{step.name} has shape {step.shape} and its expression {found}"
        bound.add(step.name)
        shapes[step.name] = step.shape
        if step.into is not None:
            assert step.into not in bound, f"{step.into} is both a step and an accumulator"
            assert shapes.setdefault(step.into, step.shape) == step.shape, f"{step.into} changes its shape"
            if last[step.into] == index:
                complete.add(step.into)
    for label, expr in tape.outputs:
        for name in names(expr):
            assert name in bound or name in complete, f"output {label} reads {name}, which nothing binds"
    labels = [label for label, _ in tape.outputs[1:]]
    assert not tape.wrt or labels == list(tape.wrt), f"gradients {labels} for variables {tape.wrt}"
