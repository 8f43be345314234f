"""Sheet, Trace -> the derivation of an array formula before it is written in any notation.

    Line ::= tag, left, sign, terms     # (3'a)  W2_bar <- outer(o_bar, h)

LaTeX, Markdown and text print the same lines, so tags agree by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from symdiff.expr import ONE_NUMBER, Call, Expr, Name, Number, bottom_up, substitute, walk
from symdiff.formula_data import FormulaData, Helper
from symdiff.ops import ARRAYS, COMPARE_OPS, TABLE
from symdiff.ops.evaluate import fold
from symdiff.ops.infer import shape_of
from symdiff.render.array_figures import ArrayFigures
from symdiff.render.array_people import Collected, nicer, tidy
from symdiff.render.context import Sheet
from symdiff.render.derivation_levels import shown_tape, statement_tape
from symdiff.render.derivation_model import MOST_NODES
from symdiff.render.derivation_options import FULL, Options
from symdiff.shapes import Shape
from symdiff.tape import ADJOINT, PRIMAL, SEED, SHARED, Step
from symdiff.trace import Trace

Check = Mapping[str, tuple[Any, Any]]
_SAMPLES = 4  # components of one array in the finite-difference table
_SAID = ("derivative", "partial", "singular", "triangle", "branch")


@dataclass(frozen=True)
class Line:
    """One line; `left` is a name of the tape. The sign `<-` says that `left` gets this and more."""

    tag: str
    left: str
    terms: tuple[Expr, ...]
    sign: str = "="
    role: str = PRIMAL
    value: Expr | None = None


@dataclass(frozen=True)
class CheckLine:
    """One variable of the finite-difference table, with some of its components."""

    name: str
    shape: Shape
    components: int
    samples: tuple[tuple[tuple[int, ...], float, float], ...]
    relative: float


def is_array_sheet(sheet: Sheet) -> bool:
    """Whether a formula has arrays, or functions that nothing is known of."""
    tape = sheet.people
    calls = (part.op for step in tape.primal for part in walk(step.expr) if isinstance(part, Call))
    return tape.is_array or bool(tape.dims) or any(op in ARRAYS for op in calls)


class ArrayModel:
    """Everything that stands in the derivation of an array formula."""

    def __init__(self, sheet: Sheet, trace: Trace | None, check: Check | None, options: Options = FULL) -> None:
        self.sheet, self.trace, self.options = sheet, trace, options
        self.tape = shown_tape(sheet, options)
        self.figures = None if trace is None else ArrayFigures(trace, options.digits)
        self.check = [_check_line(name, *pair) for name, pair in (check or {}).items()] if trace else []
        value = self.tape.value
        self.primal, self.backward = self.tape.primal, self.tape.reverse
        self.steps = {step.name: step for step in self.primal}
        self.output = value.id if isinstance(value, Name) else self.primal[-1].name
        self.bars, self.shapes = dict(self.tape.bars), self.tape.shapes
        self.is_gradient = sheet.kind == "gradient"
        self.wanted = list(self.tape.wrt if self.is_gradient else sheet.formula.inputs)
        self.held = [name for name in sheet.formula.inputs if name not in self.wanted]

    @property
    def active(self) -> bool:
        """Whether there is a reverse sweep."""
        return bool(self.backward)

    @cached_property
    def named(self) -> frozenset[str]:
        """Names that the user gave."""
        formula = self.sheet.formula
        own = {statement.name for statement in formula.statements if statement.name is not None}
        return frozenset({*own, *formula.inputs, self.output})

    @cached_property
    def forward(self) -> list[Line]:
        """The forward sweep."""
        return [Line(step.label, step.name, (step.expr,), value=Name(step.name)) for step in self.primal]

    @cached_property
    def reverse(self) -> list[Line]:
        """The reverse sweep: seed, contributions, and a sum after the last contribution to a variable."""
        found: list[Line] = []
        total: dict[str, int] = {}
        for step in self.backward:
            total[step.target] = total.get(step.target, 0) + (step.into is not None)
        made: dict[str, list[Step]] = {}
        for step in self.backward:
            expr, value = tidy(nicer(step.expr, self.steps), self.shapes), Name(step.name)
            if step.role == SEED:
                found.append(Line("", step.name, (step.expr,), role=SEED))
            elif step.role == SHARED:
                found.append(Line("", step.name, (expr,), role=SHARED, value=value))
            else:
                sign = "=" if step.into is None else "<-"
                found.append(Line(step.label, step.target, (expr,), sign, ADJOINT, value))
            if step.into is not None:
                made.setdefault(step.into, []).append(step)
                if len(made[step.into]) == total[step.into]:
                    terms = tuple(tidy(nicer(part.expr, self.steps), self.shapes) for part in made[step.into])
                    found.append(Line("", step.into, terms, role="sum", value=Name(step.into)))
        return found

    @cached_property
    def collected(self) -> dict[str, list[Expr]]:
        """The adjoint of every variable that matters, with what is trivial put in."""
        tape = self.tape if self.options.level == "step" else statement_tape(self.sheet)
        return Collected(tape, self.named).lines

    def is_compound(self, name: str) -> bool:
        """Whether the line of a forward step has other steps put in."""
        return self.options.by_statement and self._elementary[name] != self.steps[name].expr

    @cached_property
    def _elementary(self) -> dict[str, Expr]:
        return {step.name: step.expr for step in self.sheet.people.primal}

    def compound_factor(self, send: Step) -> Expr | None:
        """The derivative of such a line by one variable, where it is an array by which its adjoint is multiplied: of a
        number always, of an array where only elements are combined; else None.
        """
        assert send.of is not None
        elementwise = all(part.op in TABLE for part in walk(send.expr) if isinstance(part, Call))
        if self.shapes[send.of] and not (elementwise and self.shapes[send.of] == send.shape):
            return None
        alone = substitute(nicer(send.expr, self.steps), {self.bars[send.of]: ONE_NUMBER})
        return tidy(fold(alone), self.shapes)

    @cached_property
    def statement(self) -> list[tuple[str, Expr]]:
        """The user's lines in the ops of the tape; nothing for a formula too long to be repeated."""
        formula = self.sheet.formula
        bodies = [statement.expr for statement in formula.statements]
        if sum(1 for body in bodies for _ in walk(body)) > MOST_NODES:
            return []
        shapes: dict[str, Shape] = dict(formula.inputs)
        found = []
        for statement in formula.statements:
            expr = lowered(statement.expr, formula, shapes)
            name = statement.name or self.output
            shapes[name] = shape_of(_without_helpers(expr, formula), shapes)
            found.append((name, expr))
        return found

    @cached_property
    def helpers(self) -> list[Helper]:
        """Helpers that are printed as functions of numbers."""
        return [helper for helper in self.sheet.formula.helpers.values() if is_plain(helper, self.sheet.formula)]

    @cached_property
    def ops(self) -> list[str]:
        """Ops of the forward sweep, in order of appearance."""
        calls = (part for step in self.primal for part in walk(step.expr) if isinstance(part, Call))
        return list(dict.fromkeys(part.op for part in calls))

    @cached_property
    def conventions(self) -> list[tuple[str, str]]:
        """What the tables say about derivatives at kinks and ties, and about singular matrices."""
        found = []
        for op in self.ops if self.is_gradient else ():
            if op in COMPARE_OPS or op == "sumsq":
                continue
            edges = ARRAYS[op].edges if op in ARRAYS else TABLE[op].edges
            varies = op != "pow" or any(
                isinstance(part, Call) and part.op == op and isinstance(part.args[-1], Name)
                for step in self.primal
                for part in walk(step.expr)
            )
            if varies and any(word in edges for word in _SAID):
                found.append((f"{op}(x)" if op in ARRAYS else TABLE[op].text.text.format("x", "y", "z"), edges))
        return found


def is_plain(helper: Helper, formula: FormulaData) -> bool:
    """Whether a helper is a formula of numbers, which then is applied element by element."""
    calls = [part.op for part in walk(helper.body) if isinstance(part, Call)]
    plain = all(op in TABLE or (op in formula.helpers and op != helper.name) for op in calls)
    return plain and all(is_plain(formula.helpers[op], formula) for op in calls if op in formula.helpers)


def lowered(expr: Expr, formula: FormulaData, shapes: Mapping[str, Shape]) -> Expr:
    """A user's expression in the ops of the tape, in the order typed; helpers of arrays are put in."""

    def node(old: Call, args: list[Expr]) -> Expr:
        call = old.over(args)
        helper = formula.helpers.get(old.op)
        if helper is not None:
            if is_plain(helper, formula):
                return call
            return lowered(substitute(helper.body, dict(zip(helper.parameters, args, strict=True))), formula, shapes)
        abstract = formula.functions.get(old.op)
        if abstract is not None:
            return Call("apply", call.args, call.span, (abstract.name, abstract.shape))
        entry = ARRAYS.get(old.op)
        if entry is None or entry.lower is None:
            return call
        try:
            return entry.lower(call, [shape_of(_without_helpers(arg, formula), shapes) for arg in args])
        except (NotImplementedError, KeyError):
            return call

    return bottom_up(expr, lambda leaf: leaf, node)


def _without_helpers(expr: Expr, formula: FormulaData) -> Expr:
    """For the shape alone: helpers of numbers as sums of their arguments."""

    def node(old: Call, args: list[Expr]) -> Expr:
        if old.op not in formula.helpers:
            return old.over(args)
        made: Expr = args[0] if args else Number(0.0)
        for arg in args[1:]:
            made = Call("add", (made, arg))
        return made

    return bottom_up(expr, lambda leaf: leaf, node)


def _check_line(name: str, reverse: Any, difference: Any) -> CheckLine:
    a, b = np.asarray(reverse, float), np.asarray(difference, float)
    flat_a, flat_b = a.ravel(), b.ravel()
    finite = bool(np.all(np.isfinite(flat_a)) and np.all(np.isfinite(flat_b)))
    largest = float(max(np.max(np.abs(flat_a), initial=0.0), np.max(np.abs(flat_b), initial=0.0)))
    gap = float(np.max(np.abs(flat_a - flat_b), initial=0.0)) if finite else float("nan")
    relative = gap / largest if largest else gap
    count = len(flat_a)
    chosen = range(count) if count <= _SAMPLES else sorted({0, count // 3, 2 * count // 3, count - 1})
    places = list(np.ndindex(a.shape))
    samples = tuple((places[k], float(flat_a[k]), float(flat_b[k])) for k in chosen)
    return CheckLine(name, a.shape, count, samples, relative)


__all__ = ["ArrayModel", "Check", "CheckLine", "Line", "is_array_sheet", "lowered"]
