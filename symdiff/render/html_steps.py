"""Sheet, Trace -> the sweep as a page goes through it: one frame a step, and what every variable is after each.

    Frame  ::= the start, a forward step, the seed, or an adjoint step
    Row    ::= a variable; the frame at which its value is there; its contributions, each with the sum so far

A frame's place in the list is what a page counts by.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from symdiff.expr import Name
from symdiff.render.array_figures import ArrayFigures, flat_array, latex_array, latex_number, text_number
from symdiff.render.context import Sheet
from symdiff.render.figures import Exactness
from symdiff.render.graph_model import Symbols, output_name
from symdiff.render.html_body import SEED
from symdiff.render.mathml import mathml
from symdiff.render.printer import TEXT
from symdiff.shapes import Shape
from symdiff.tape import SHARED, Step
from symdiff.trace import Trace, Value, json_number

START = "start"
_ROOM = 170.0  # pt of a cell for the numbers of an array
_WIDE = 300.0  # pt for an input above the page
_SPOKEN = 4  # rows and columns of an array that is read out
_SHORT = 8  # letters of a number that needs no rounding
_LONGEST = 120  # letters of an expression that is read out


@dataclass(frozen=True)
class Frame:
    """One step of the sweep.

    key         `start`, `seed`, or the label of the step: 3, 3'a
    kind        start, forward, seed or reverse
    step        number of the primal step, "" at the start
    source      variable that sends; of a forward step the one that is made
    target      variable whose value or adjoint changes
    words       `v2`, or `adjoint of v2`: what changes
    expression  of the step, in the formula language
    number      the new value or adjoint, as people read it; "" without numbers
    share       the contribution, where it is not the whole adjoint
    value       the new value or adjoint as JSON holds it
    """

    key: str
    kind: str
    step: str = ""
    source: str = ""
    target: str = ""
    words: str = ""
    expression: str = ""
    number: str = ""
    share: str = ""
    value: Any = None

    def json(self, absent: dict[str, str]) -> dict[str, Any]:
        """For the script of the page; `absent` says of panels that do not show the step why."""
        names = ("key", "kind", "step", "source", "target", "words", "expression", "number", "share", "value")
        found = {name: getattr(self, name) for name in names if getattr(self, name) not in ("", None)}
        return found | ({"absent": absent} if absent else {})


@dataclass(frozen=True)
class Total:
    """An adjoint after one of its contributions."""

    frame: int
    label: str
    shown: Markup


@dataclass
class Row:
    """A variable: where its value comes from, and what its adjoint is made of; `given` has more room than `value`."""

    name: str
    symbol: Markup
    alias: str
    bar: Markup | None
    label: str
    frame: int
    kind: str
    shape: Markup
    value: Markup
    given: Markup
    totals: list[Total] = field(default_factory=list)


class Sweep:
    """The frames and the rows of one program; with numbers where there is a trace."""

    def __init__(self, sheet: Sheet, trace: Trace | None, digits: int) -> None:
        self.sheet, self.trace, self.digits, self.tape = sheet, trace, digits, sheet.people
        self.symbols = Symbols(sheet)
        self.exact = None if trace is None or self.tape.is_array else Exactness(trace, digits)
        self.arrays = ArrayFigures(trace, digits) if trace is not None and self.tape.is_array else None
        self.output = output_name(sheet.people)
        self.values = {node.name: node.value for node in (*trace.inputs, *trace.nodes)} if trace else {}
        self.sends = {send.step.label: send for send in trace.sends} if trace else {}
        self.bars = dict(self.tape.bars)
        self.frames: list[Frame] = [Frame(START, START)]
        self.rows: dict[str, Row] = {}
        self._forward()
        if sheet.kind == "gradient":
            self._reverse()

    @property
    def changes_adjoints(self) -> bool:
        """Whether there is a reverse sweep."""
        return any(frame.kind == "reverse" for frame in self.frames)

    # -- forward ------------------------------------------------------------------------------------------------------

    def _forward(self) -> None:
        for given in self.tape.inputs:
            wanted = given.name in self.bars or self.sheet.kind == "value"
            self._row(given.name, "", given.shape, "input" if wanted else "constant")
        for step in self.tape.primal:
            value = self.values.get(step.name)
            self.frames.append(
                Frame(
                    step.label,
                    "forward",
                    step.label,
                    step.name,
                    step.name,
                    step.name,
                    _short(TEXT(step.expr)),
                    self.spoken(value, step.name),
                    "",
                    json_number(value),
                )
            )
            self._row(step.name, step.label, step.shape, "output" if step.name == self.output else "step")

    def _row(self, name: str, label: str, shape: Shape, kind: str) -> None:
        symbol = self.symbols.symbols[name]
        plain = self.symbols.words[name].plain
        self.rows[name] = Row(
            name,
            Markup(mathml(symbol.text)),
            "" if plain == name.replace("_", "") else name,
            Markup(mathml(symbol.bar)) if name in self.bars else None,
            label,
            len(self.frames) - 1,
            kind,
            Markup(mathml(self.symbols.shape(shape).latex)) if shape else Markup(""),
            self.shown(self.values.get(name), name),
            self.shown(self.values.get(name), name, _WIDE),
        )

    # -- reverse ------------------------------------------------------------------------------------------------------

    def _reverse(self) -> None:
        for step in self.tape.reverse:
            if step.role == SHARED:
                continue
            if step.receiver is None:
                self._seed(step)
            else:
                self._send(step, step.receiver)

    def _seed(self, step: Step) -> None:
        one = None if self.trace is None else 1.0
        frame = Frame(SEED, SEED, "", self.output, self.output, f"adjoint of {self.output}", "1", value=one)
        self._contribution(frame, "1", None if one is None else Markup(mathml("1")))

    def _send(self, step: Step, target: str) -> None:
        send = self.sends.get(step.label)
        total = None if send is None else send.total
        first = not self.rows[target].totals
        frame = Frame(
            step.label,
            "reverse",
            str(step.n),
            str(step.of),
            target,
            f"adjoint of {target}",
            _short(TEXT(step.expr)),
            self.spoken(total, step.target),
            "" if first or send is None else self.spoken(send.value, step.name),
            json_number(total),
        )
        self._contribution(frame, step.label, None if send is None else self.shown(total, step.target))

    def _contribution(self, frame: Frame, label: str, shown: Markup | None) -> None:
        self.frames.append(frame)
        self.rows[frame.target].totals.append(Total(len(self.frames) - 1, label, shown or Markup("")))

    # -- numbers ------------------------------------------------------------------------------------------------------

    def shown(self, value: Value | None, name: str, room: float = _ROOM) -> Markup:
        """A number or an array as mathematics, in so many pt; `name` has it on the tape."""
        if value is None:
            return Markup("")
        exact = self._is_exact(value, name)
        if np.ndim(value) == 0:
            return Markup(mathml(latex_number(exact)(float(value), self.digits)))
        return Markup(mathml(latex_array(value, exact, room, digits=self.digits if exact else min(self.digits, 6))))

    def spoken(self, value: Value | None, name: str) -> str:
        """A number or an array in a line of text."""
        if value is None:
            return ""
        exact = self._is_exact(value, name)
        digits = self.digits if exact or np.ndim(value) == 0 else min(self.digits, 4)
        return flat_array(value, text_number(exact), digits, _SPOKEN).replace("-", "\u2212")

    def _is_exact(self, value: Value, name: str) -> bool:
        """Whether numbers are shown without the zeros of rounding, as in the derivation: 0.5, not 0.50000000. What
        `name` is half way, before all of it has arrived, is not known so well.
        """
        if self.arrays is not None and np.array_equal(self.arrays.value(Name(name)), value):
            return self.arrays.exact(Name(name)) or (name in self.arrays.trace.at and _is_short(value))
        figure = None if self.exact is None else self.exact.figure(Name(name))
        return figure.exact if figure is not None and figure.value == value else _is_short(value)


def _is_short(value: Value) -> bool:
    return all(len(repr(x)) <= _SHORT for x in np.ravel(value).tolist())


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}\u2026"


__all__ = ["START", "Frame", "Row", "Sweep", "Total"]
