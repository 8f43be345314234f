"""Sheet, Trace -> the derivation before it is written in any notation: equations with numbers beside them.

    Equation ::= tag, left, sign, terms, links     # (8'a)  z3_bar <- z8_bar * z7  = 0.2 * 3 = 0.6
    Term     ::= masks, upstream?, expr?           # a product; the masks say where it counts
    Link     ::= figures joined by an op           # one number, upstream times local, or a sum

LaTeX, Markdown and plain text print this same list, so tags and numbers agree by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from symdiff.expr import ONE_NUMBER, ZERO_NUMBER, Call, Expr, Name, Number, is_constant, walk
from symdiff.ops import TABLE
from symdiff.render.array_people import textbook
from symdiff.render.context import Sheet
from symdiff.render.derivation_levels import shown_tape
from symdiff.render.derivation_options import FULL, Options
from symdiff.render.figures import Exactness, Figure
from symdiff.tape import ADJOINT, SEED, SHARED, Step
from symdiff.trace import Trace

MOST_NODES, MOST_DEPTH = 300, 24  # of a formula that is repeated in the statement
MOST_ADDED = 4  # numbers written out in a sum
MOST_TERMS = 24  # terms written out in a sum
CHECK_DIGITS = 7  # of the numbers in the finite-difference table: what central differences can give everywhere
CHECK_NOISE = 1e-6  # below this a difference is rounding, which differs between C libraries and would change the text

Mask = tuple[Expr, bool]
"""A condition, and whether it must hold; or the name of a mask step."""


@dataclass(frozen=True, slots=True)
class Term:
    """`[mask] upstream * expr`; `upstream` names an adjoint."""

    expr: Expr | None
    upstream: str | None = None
    masks: tuple[Mask, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """`= 6` or `~ 2 * 3`: figures joined by `mul` or `add`, and whether they are exact together."""

    figures: tuple[Figure, ...]
    exact: bool
    op: str = "mul"


@dataclass(frozen=True, slots=True)
class Equation:
    """One line. `left` is a name of the tape; the sign `<-` says that `left` gets this and more."""

    tag: str
    left: str
    terms: tuple[Term, ...]
    links: tuple[Link, ...] = ()
    sign: str = "="
    more: int = 0  # terms left out in the middle of a long sum
    role: str = ""


@dataclass(frozen=True, slots=True)
class LocalRow:
    """One local derivative: of a step, by one operand."""

    tag: str
    gate: str
    of: str
    operand: str
    term: Term
    figure: Figure | None


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One line of the finite-difference table."""

    name: str
    reverse: float
    difference: float

    @property
    def relative(self) -> float:
        """|a - b| / max(|a|, |b|); 0 where both are 0."""
        largest = max(abs(self.reverse), abs(self.difference))
        return abs(self.reverse - self.difference) / largest if largest else 0.0


class Derivation:
    """Everything that stands in a derivation, in order."""

    def __init__(
        self,
        sheet: Sheet,
        trace: Trace | None,
        check: Mapping[str, tuple[float, float]] | None,
        options: Options = FULL,
    ) -> None:
        self.sheet, self.trace, self.options = sheet, trace, options
        self.tape = shown_tape(sheet, options)
        self.exact = None if trace is None else Exactness(trace, options.digits)
        self.check = [CheckRow(name, *pair) for name, pair in (check or {}).items()] if trace else []
        value = self.tape.value
        self.primal, self.backward = self.tape.primal, self.tape.reverse  # each walks the tape, so once
        self._steps = {step.name: step for step in self.primal}
        self.output = value.id if isinstance(value, Name) else self.primal[-1].name
        self.bars = dict(self.tape.bars)
        self.variables = {bar: name for name, bar in self.bars.items()}
        shown = sheet.kind == "gradient"
        self.wanted = list(self.tape.wrt if shown else sheet.formula.inputs)
        self.held = [name for name in sheet.formula.inputs if name not in self.wanted]

    @cached_property
    def shows_formula(self) -> bool:
        """False for a formula too long or too deep to be repeated; its steps spell it out."""
        bodies = [s.expr for s in self.sheet.formula.statements] + [h.body for h in self.sheet.formula.helpers.values()]
        return sum(1 for body in bodies for _ in walk(body)) <= MOST_NODES and max(map(_depth, bodies)) <= MOST_DEPTH

    @cached_property
    def forward(self) -> list[Equation]:
        """The forward sweep."""
        return [
            Equation(step.label, step.name, (Term(step.expr),), self.value(Name(step.name))) for step in self.primal
        ]

    @cached_property
    def sends(self) -> dict[str, list[Step]]:
        """Primal step -> what it sends back, in the order of its operands."""
        found: dict[str, list[Step]] = {}
        for step in self.backward:
            if step.role == ADJOINT and step.of is not None:
                found.setdefault(step.of, []).append(step)
        return found

    @cached_property
    def local_rows(self) -> list[LocalRow]:
        """Local derivatives of every step on the way back, in forward order."""
        rows = []
        for primal in self.primal:
            sends = self.sends.get(primal.name, [])
            for step, masks in zip(sends, self._sides(primal, len(sends)), strict=True):
                assert step.local is not None and step.receiver is not None
                term = Term(None if masks else textbook(step.local, self._steps), None, masks)
                rows.append(
                    LocalRow(
                        primal.label, self._gate(primal), primal.name, step.receiver, term, self._local(step, masks)
                    )
                )
        return rows

    def _gate(self, primal: Step) -> str:
        return TABLE[primal.expr.op].gate if isinstance(primal.expr, Call) else "copy"

    def _sides(self, primal: Step, count: int) -> list[tuple[Mask, ...]]:
        """For `where`, the side of the condition on which each operand counts."""
        if not isinstance(primal.expr, Call) or primal.expr.op != "where":
            return [()] * count
        condition, taken, other = primal.expr.args
        sides = [
            (holds, arg)
            for holds, arg in ((True, taken), (False, other))
            if isinstance(arg, Name) and arg.id in self.bars
        ]
        return [((condition, holds),) for holds, _ in sides]

    def _local(self, step: Step, masks: tuple[Mask, ...]) -> Figure | None:
        if self.trace is None or self.exact is None or step.local is None:
            return None
        if masks:
            condition, holds = masks[0]
            return Figure(float(bool(self.trace.value_of(condition)) == holds), True)
        return self.exact.figure(step.local)

    @cached_property
    def reverse(self) -> list[Equation]:
        """The reverse sweep: seed, contributions, and a sum after the last contribution to a variable."""
        found = []
        waiting: dict[str, list[Step]] = {}
        total: dict[str, int] = {}
        for step in self.backward:
            if step.into is not None:
                total[step.into] = total.get(step.into, 0) + 1
        for step in self.backward:
            if step.role == SEED:
                found.append(Equation("", step.name, (Term(step.expr),), (), role=SEED))
            elif step.role == SHARED:
                found.append(Equation("", step.name, (self.term(step),), self.value(Name(step.name)), role=SHARED))
            else:
                sign = "=" if step.into is None else "<-"
                found.append(
                    Equation(
                        step.label, step.target, (self.contribution(step),), self._product(step), sign, role=ADJOINT
                    )
                )
            if step.into is not None:
                made = waiting.setdefault(step.into, [])
                made.append(step)
                if len(made) == total[step.into]:
                    found.append(self._sum(step.into, made))
        return found

    @cached_property
    def gradient(self) -> list[Equation]:
        """One line a variable; `left` is the variable, the terms are what its adjoint consists of."""
        made: dict[str, list[Step]] = {}
        for step in self.backward:
            if step.role == ADJOINT:
                made.setdefault(step.target, []).append(step)
        found = []
        for name, expr in self.tape.outputs[1:]:
            terms: tuple[Term, ...] = (Term(expr),)
            more = 0
            if isinstance(expr, Name):
                terms, more = self._shortened(made.get(self.bars.get(name, ""), []))
            found.append(Equation("", name, terms, self.value(expr), more=more, role="gradient"))
        return found

    def adjoint_of(self, bar: str) -> Equation:
        """All that an adjoint consists of, in one equation."""
        made = [step for step in self.backward if step.target == bar]
        if [step.role for step in made] == [SEED]:
            return Equation("", bar, (Term(made[0].expr),), role=SEED)
        terms, more = self._shortened([step for step in made if step.role == ADJOINT])
        return Equation("", bar, terms, more=more, role="sum")

    def contribution(self, step: Step) -> Term:
        """`upstream * local`, unfolded."""
        masks, _ = self._masks(step.expr)
        assert step.of is not None
        local = None if step.local is None else textbook(step.local, self._steps)
        return Term(local, self.bars[step.of], masks)

    def term(self, step: Step) -> Term:
        """The same as one expression, as people write a product."""
        masks, inside = self._masks(textbook(step.expr, self._steps))
        return Term(None if step.role == SHARED and masks else inside, None, masks)

    def _masks(self, expr: Expr) -> tuple[tuple[Mask, ...], Expr]:
        masks: list[Mask] = []
        while isinstance(expr, Call) and expr.op == "where" and ZERO_NUMBER in expr.args[1:]:
            condition, taken, other = expr.args
            holds = other == ZERO_NUMBER
            if holds and isinstance(condition, Call) and condition.args[0] in self._shared:
                masks.append((condition.args[0], True))
            else:
                masks.append((condition, holds))
            expr = taken if holds else other
        if isinstance(expr, Name) and expr in self._shared:
            masks.append((expr, True))
            expr = ONE_NUMBER
        return tuple(masks), expr

    @cached_property
    def _shared(self) -> set[Expr]:
        return {Name(step.name) for step in self.backward if step.role == SHARED}

    def _sum(self, bar: str, made: list[Step]) -> Equation:
        links = self.value(Name(bar))
        if self.exact is not None and len(made) <= MOST_ADDED:
            figures = tuple(self.exact.figure(Name(step.name)) for step in made)
            links = (Link(figures, all(f.exact for f in figures), "add"), *links)
        terms, more = self._shortened(made)
        return Equation("", bar, terms, links, more=more, role="sum")

    def _shortened(self, made: list[Step]) -> tuple[tuple[Term, ...], int]:
        """What some contributions add up to, and how many are left out of the middle of a long sum."""
        shown = made if len(made) <= MOST_TERMS else [*made[:3], made[-1]]
        return tuple(self.term(step) for step in shown), len(made) - len(shown)

    def value(self, expr: Expr) -> tuple[Link, ...]:
        """The number of an expression, where there are numbers."""
        if self.exact is None:
            return ()
        figure = self.exact.figure(expr)
        return (Link((figure,), figure.exact),)

    def _product(self, step: Step) -> tuple[Link, ...]:
        """The two numbers, then their product."""
        links = self.value(Name(step.name))
        if self.exact is None or self.trace is None or step.local is None or step.of is None:
            return links
        masks, _ = self._masks(step.expr)
        if (isinstance(step.local, Number) and abs(step.local.value) == 1.0) or (
            masks and self.trace.value_of(Name(step.name)) == 0
        ):
            return links
        figures = (self.exact.figure(Name(self.bars[step.of])), self.exact.figure(step.local))
        return (Link(figures, all(f.exact for f in figures)), *links)

    @cached_property
    def ops(self) -> list[str]:
        """Ops of the tape, in order of appearance."""
        calls = (part for step in self.primal for part in walk(step.expr) if isinstance(part, Call))
        return list(dict.fromkeys(call.op for call in calls))

    @cached_property
    def conventions(self) -> list[tuple[str, str]]:
        """What the op table says about derivatives at kinks, ties and ends, for the ops that occur."""
        if self.sheet.kind != "gradient":
            return []
        varying = {
            step.expr.op for step in self.primal if isinstance(step.expr, Call) and not is_constant(step.expr.args[-1])
        }
        letters = ("x", "y", "z")
        found = []
        for op in self.ops:
            edges = TABLE[op].edges
            if ("partial" in edges or "branch" in edges) and (op != "pow" or op in varying):
                found.append((TABLE[op].text.text.format(*letters), edges))
        return found

    @cached_property
    def has_masks(self) -> bool:
        """True where an indicator [condition] occurs."""
        if any(equation.terms and any(term.masks for term in equation.terms) for equation in self.reverse):
            return True
        locals_ = (part for row in self.local_rows if row.term.expr is not None for part in walk(row.term.expr))
        return any(isinstance(p, Call) and p.op == "where" and p.args[1:] == (ONE_NUMBER, ZERO_NUMBER) for p in locals_)


def _depth(expr: Expr) -> int:
    """Depth of nested operations, where a flat sum or product counts as one."""
    deepest = 0
    work = [(expr, 1)]
    while work:
        current, depth = work.pop()
        deepest = max(deepest, depth)
        if isinstance(current, Call):
            for k, arg in enumerate(current.args):
                kind = _CHAINS.get(current.op)
                same = k == 0 and kind is not None and isinstance(arg, Call) and _CHAINS.get(arg.op) == kind
                work.append((arg, depth if same else depth + 1))
    return deepest


_CHAINS = {"add": 1, "sub": 1, "mul": 2}
