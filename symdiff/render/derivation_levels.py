"""One line per statement: the tape that people read with everything put in that the user gave no name.

    v1 = w*x; v2 = sin(v1); h = v2 + b       becomes       h = sin(w*x) + b
    v2_bar = h_bar; v1_bar = ...; w_bar = v1_bar*x         w_bar = h_bar*cos(w*x)*x

What is left keeps its name, its number and its label, so that it is found in the trace and in the code. A step without
a name stays a line of its own where it is used more than once, and where the line would grow out of sight.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from symdiff.expr import ONE_NUMBER, ZERO_NUMBER, Call, Expr, Name, call, substitute, walk
from symdiff.formula_data import FormulaData
from symdiff.render.array_people import nicer, product_of, textbook
from symdiff.render.context import Sheet
from symdiff.render.derivation_options import Options
from symdiff.tape import ADJOINT, PRIMAL, Step, Tape

MOST_NODES, MOST_NODES_OF_ARRAYS = 40, 24  # of an expression that is put into another one


def shown_tape(sheet: Sheet, options: Options) -> Tape:
    """The tape that a derivation is about."""
    if not options.by_statement:
        return sheet.people
    return statement_tape(sheet)


def statement_tape(sheet: Sheet) -> Tape:
    """The tape with one line per statement."""
    return _by_statement(sheet.people, user_names(sheet.formula, sheet.people))


def user_names(formula: FormulaData, tape: Tape) -> frozenset[str]:
    """Names that the user gave, and the output."""
    own = {statement.name for statement in formula.statements if statement.name is not None}
    output = {tape.value.id} if isinstance(tape.value, Name) else set()
    return frozenset({*own, *formula.inputs, *output})


def _by_statement(tape: Tape, named: frozenset[str]) -> Tape:
    own = set(named)
    while True:
        merger = _Merger(tape, frozenset(own))
        steps = merger.steps()
        if not merger.grown:
            return replace(
                tape, steps=tuple(steps), bars=tuple(pair for pair in tape.bars if pair[0] not in merger.gone)
            )
        own |= merger.grown


@dataclass
class _Sent:
    """The adjoint of a variable that has no line: what it is, and of which variable's adjoint it is a multiple."""

    expr: Expr
    of: str | None
    local: Expr | None
    masks: tuple[Call, ...]


@dataclass
class _Merger:
    """Puts unnamed steps in; `grown` are those that were too long for it and need a line after all."""

    tape: Tape
    own: frozenset[str]
    grown: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.limit = MOST_NODES_OF_ARRAYS if self.tape.is_array else MOST_NODES
        self.primal = {step.name: step for step in self.tape.primal}
        self.variables = {bar: name for name, bar in self.tape.bars}
        self.uses = _counted(part for step in self.tape.primal for part in names_of(step.expr))
        self.arrivals = _counted(step.target for step in self.tape.reverse)
        self.gone: dict[str, Expr] = {}  # variables and adjoints without a line
        self.sent: dict[str, _Sent] = {}  # by the variable

    def steps(self) -> list[Step]:
        """What is left of the tape."""
        found = []
        for step in self.tape.steps:
            kept = self._forward(step) if step.role == PRIMAL else self._backward(step)
            found += [] if kept is None else [kept]
        return found

    def _forward(self, step: Step) -> Step | None:
        expr = substitute(step.expr, self.gone)
        bar = dict(self.tape.bars).get(step.name, "")
        single = self.uses.get(step.name, 0) <= 1 and self.arrivals.get(bar, 0) <= 1
        if step.name in self.own or not single or _size(expr) > self.limit:
            return step.over(expr)
        self.gone[step.name] = expr
        return None

    def _backward(self, step: Step) -> Step | None:
        variable = self.variables.get(step.target)
        if step.role != ADJOINT or variable is None or step.of is None:
            return step.over(substitute(step.expr, self.gone))
        made = self._sent(step)
        if variable not in self.gone:
            return replace(step, expr=made.expr, of=made.of, local=made.local)
        if _size(made.expr) > self.limit:  # the variable gets a line after all, in the next round
            self.grown.add(variable)
        else:
            self.gone[step.target], self.sent[variable] = made.expr, made
        return None

    def _sent(self, step: Step) -> _Sent:
        """A contribution with the adjoints before it put in."""
        assert step.of is not None
        before = self.sent.get(step.of)
        of = step.of if before is None else before.of
        if self.tape.is_array or step.local is None:
            alone = None if before is not None or step.local is None else substitute(step.local, self.gone)
            return _Sent(substitute(nicer(step.expr, self.primal), self.gone), of, alone, ())
        scalars = dict.fromkeys(self.tape.shapes, ())
        masks, _ = _unmasked(step.expr)
        masks = tuple(call_of(substitute(mask, self.gone)) for mask in masks)
        local = substitute(textbook(step.local, self.primal), self.gone)
        if before is not None and before.local is not None:
            masks = tuple(dict.fromkeys((*before.masks, *masks)))
            local = product_of(call("mul", before.local, local), scalars).expr
        assert of is not None
        expr = product_of(call("mul", Name(dict(self.tape.bars)[of]), local), scalars).expr  # signs and numbers first
        for mask in reversed(masks):
            expr = _masked(mask, expr)
        return _Sent(expr, of, local, masks)


def _unmasked(expr: Expr) -> tuple[tuple[Call, ...], Expr]:
    """The masks around a contribution, each as a `where` over 1 and 0, and what they are around."""
    masks = []
    while isinstance(expr, Call) and expr.op == "where" and ZERO_NUMBER in expr.args[1:]:
        condition, taken, other = expr.args
        holds = other == ZERO_NUMBER
        masks.append(expr.over((condition, *((ONE_NUMBER, ZERO_NUMBER) if holds else (ZERO_NUMBER, ONE_NUMBER)))))
        expr = taken if holds else other
    return tuple(masks), expr


def _masked(mask: Call, expr: Expr) -> Call:
    return mask.over((mask.args[0], *(expr if arg == ONE_NUMBER else arg for arg in mask.args[1:])))


def call_of(expr: Expr) -> Call:
    """`expr`, which is a Call."""
    assert isinstance(expr, Call)
    return expr


def names_of(expr: Expr) -> list[str]:
    """Every occurrence of a name."""
    return [part.id for part in walk(expr) if isinstance(part, Name)]


def _counted(found: Iterable[str]) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for name in found:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _size(expr: Expr) -> int:
    return sum(1 for _ in walk(expr))


__all__ = ["shown_tape", "statement_tape", "user_names"]
