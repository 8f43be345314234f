"""Tape + numbers -> every value and every adjoint, step by step, and the state before any step of the reverse sweep.

Input: the tape as people read it (linearized, with its reverse sweep) and a value for every input. Numbers are
float64, worked out by the same NumPy spellings as the generated Python code.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, SymdiffError, nearest, quoted
from symdiff.expr import Expr
from symdiff.ops.evaluate import evaluate
from symdiff.tape import ADJOINT, SHARED, Step, Tape


@dataclass(frozen=True, slots=True)
class Node:
    """A variable with its value and its complete adjoint (None where the value does not depend on it)."""

    name: str
    value: float
    adjoint: float | None
    bar: str | None
    step: Step | None = None  # None for an input


@dataclass(frozen=True, slots=True)
class Send:
    """One adjoint step: what a primal step sends back to one of its operands."""

    step: Step
    local: float  # the local derivative
    upstream: float  # the adjoint of the primal step
    value: float  # their product: the contribution
    total: float  # the receiver's adjoint after it


@dataclass(frozen=True)
class State:
    """Every adjoint just before one primal step sends its own back.

    adjoints  variable -> what has been accumulated so far; variables that have received nothing are left out
    pending   variable -> the contributions that are still missing, in the order in which they will come
    """

    name: str
    adjoint: float
    adjoints: Mapping[str, float]
    pending: Mapping[str, tuple[Step, ...]]
    bars: Mapping[str, str] = field(default_factory=dict)


class Trace:
    """Numbers at every node of a tape.

    at  input -> number; inputs with a default may be left out. Raises SymdiffError for a missing or unknown name and
        ShapeError for anything but one real number.
    """

    def __init__(self, tape: Tape, at: Mapping[str, Any]) -> None:
        self.tape = tape
        self.at = _point(tape, at)
        # NumPy's floats divide by zero as IEEE 754 does, where Python's raise
        self._values: dict[str, np.float64] = {name: np.float64(value) for name, value in self.at.items()}
        self.bars: dict[str, str] = dict(tape.bars)
        self.sends: list[Send] = []
        self._run()

    def _run(self) -> None:
        for step in self.tape.steps:
            value = np.float64(evaluate(step.expr, self._values))
            self._values[step.name] = value
            if step.into is not None:
                value = self._values[step.into] = (
                    self._values[step.into] + value if step.into in self._values else value
                )
            if step.role == ADJOINT:
                self._send(step, float(value))

    def _send(self, step: Step, total: float) -> None:
        assert step.of is not None and step.local is not None
        local = float(evaluate(step.local, self._values))
        upstream = float(self._values[self.bars[step.of]])
        self.sends.append(Send(step, local, upstream, float(self._values[step.name]), total))

    def value_of(self, expr: Expr) -> float:
        """Value of any expression over the names of the tape."""
        return float(evaluate(expr, self._values))

    @cached_property
    def inputs(self) -> tuple[Node, ...]:
        """The inputs, in the order of a call."""
        return tuple(self._node(given.name, None) for given in self.tape.inputs)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The primal steps, in the order of the forward sweep."""
        return tuple(self._node(step.name, step) for step in self.tape.primal)

    def _node(self, name: str, step: Step | None) -> Node:
        bar = self.bars.get(name)
        return Node(name, float(self._values[name]), None if bar is None else float(self._values[bar]), bar, step)

    @property
    def value(self) -> float:
        """Value of the formula."""
        return self.value_of(self.tape.value)

    @property
    def gradient(self) -> dict[str, float]:
        """Derivative of the value by each variable asked for."""
        return {name: self.value_of(expr) for name, expr in self.tape.outputs[1:]}

    @cached_property
    def reverse_order(self) -> tuple[str, ...]:
        """Primal steps in the order in which they send their adjoints back."""
        return tuple(dict.fromkeys(step.of for step in self.tape.reverse if step.of is not None))

    def before(self, name: str) -> State:
        """All adjoints just before `name` propagates its own (complete) adjoint to its operands, with what is
        pending.
        """
        if name not in self.reverse_order:
            known = nearest(name, self.reverse_order)
            raise SymdiffError(f"{quoted(name)} is not a step of the reverse sweep{known or _list(self.reverse_order)}")
        done: dict[str, float] = {}
        pending: dict[str, list[Step]] = {}
        receivers = {bar: variable for variable, bar in self.bars.items()}
        reached = False
        for step in self.tape.reverse:
            if step.role == SHARED:
                continue
            reached = reached or (step.of == name and step.role == ADJOINT)
            variable = receivers[step.target]
            if reached:
                pending.setdefault(variable, []).append(step)
            else:
                made = float(self._values[step.name])
                done[variable] = done[variable] + made if variable in done else made
        waiting = {variable: tuple(steps) for variable, steps in pending.items()}
        return State(name, float(self._values[self.bars[name]]), done, waiting, self.bars)

    def frontier(self, most: int = 16) -> Iterator[State]:
        """The state before every step, in the order of the reverse sweep, of what matters to it: the step's own
        adjoint and those that are half accumulated, with what these still wait for. One pass over the tape. Of a
        variable that waits for many contributions, the next `most` are given.
        """
        receivers = {bar: variable for variable, bar in self.bars.items()}
        coming: dict[str, list[Step]] = {}
        for step in self.tape.reverse:
            if step.role == ADJOINT:
                coming.setdefault(receivers[step.target], []).append(step)
        made: dict[str, int] = {}
        half: dict[str, float] = {}
        sends = iter(self.sends)
        send = next(sends, None)
        for name in self.reverse_order:
            adjoint = float(self._values[self.bars[name]])
            pending = {variable: tuple(coming[variable][made[variable] : made[variable] + most]) for variable in half}
            yield State(name, adjoint, {**half, name: adjoint}, pending, self.bars)
            while send is not None and send.step.of == name:
                variable = receivers[send.step.target]
                made[variable] = made.get(variable, 0) + 1
                half[variable] = send.total
                if made[variable] == len(coming[variable]):
                    del half[variable]
                send = next(sends, None)


def _list(known: tuple[str, ...]) -> str:
    shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
    return f"; it has {shown}" if known else "; the value does not depend on the variables asked for"


def _point(tape: Tape, at: Mapping[str, Any]) -> dict[str, float]:
    """A float64 for every input."""
    known = [given.name for given in tape.inputs]
    for name in at:
        if name not in known:
            raise SymdiffError(
                f"at: {quoted(str(name))} is not an input{nearest(str(name), known)}; inputs are {', '.join(known)}"
            )
    values = {}
    missing = []
    for given in tape.inputs:
        if given.name in at:
            values[given.name] = _number(given.name, at[given.name])
        elif given.default is not None:
            values[given.name] = given.default
        else:
            missing.append(given.name)
    if missing:
        raise SymdiffError(f"at: no value for {', '.join(missing)}")
    return values


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool | str | bytes | complex):
        raise ShapeError(f"at: {name} must be a real number, not {type(value).__name__}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ShapeError(f"at: {name} must be one real number, not {type(value).__name__}") from None
    except OverflowError:
        raise ShapeError(f"at: {name} is too large for float64") from None


def json_number(value: float | None) -> float | str | None:
    """A number as JSON can hold it: non-finite ones as the strings `nan`, `inf`, `-inf`."""
    return value if value is None or math.isfinite(value) else str(value)


__all__ = ["Node", "Send", "State", "Trace", "json_number"]
