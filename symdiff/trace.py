"""Tape + numbers -> every value and every adjoint, step by step, and the state before any step of the reverse sweep.

Input: the tape as people read it (linearized, with its reverse sweep) and a value for every input. Numbers are
float64, worked out by the same NumPy spellings as the generated Python code. A value is a float for a scalar, and an
array that must not be written to otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from symdiff.errors import ShapeError, SymdiffError, UnsupportedError, nearest, quoted
from symdiff.expr import Call, Expr, walk
from symdiff.formula_data import Input
from symdiff.ops.evaluate import evaluate
from symdiff.shapes import dimensions, shape_text, size_value
from symdiff.tape import ADJOINT, SHARED, Step, Tape

Value = Any  # a float for a scalar, else an array; which of the two is known by the step's shape alone


@dataclass(frozen=True, slots=True)
class Node:
    """A variable with its value and its complete adjoint (None where the value does not depend on it)."""

    name: str
    value: Value
    adjoint: Value | None
    bar: str | None
    step: Step | None = None  # None for an input


@dataclass(frozen=True, slots=True)
class Send:
    """One adjoint step: what a primal step sends back to one of its operands."""

    step: Step
    local: Value | None  # the local derivative of an elementwise step; None where the step mixes elements
    upstream: Value  # the adjoint of the primal step
    value: Value  # the contribution
    total: Value  # the receiver's adjoint after it


@dataclass(frozen=True)
class State:
    """Every adjoint just before one primal step sends its own back.

    adjoints  variable -> what has been accumulated so far; variables that have received nothing are left out
    pending   variable -> the contributions that are still missing, in the order in which they will come
    """

    name: str
    adjoint: Value
    adjoints: Mapping[str, Value]
    pending: Mapping[str, tuple[Step, ...]]
    bars: Mapping[str, str] = field(default_factory=dict)


class Trace:
    """Numbers at every node of a tape.

    at  input -> number, or array of the input's shape; inputs with a default may be left out. Raises SymdiffError for
        a missing or unknown name and for an abstract function that is not bound, ShapeError for anything but real
        numbers of the right shape.
    """

    def __init__(self, tape: Tape, at: Mapping[str, Any]) -> None:
        refuse_abstract(tape)
        self.tape = tape
        self.at, self.sizes = _point(tape, at)
        # NumPy's floats divide by zero as IEEE 754 does, where Python's raise
        self._values: dict[str, Any] = {name: np.float64(size) for name, size in self.sizes.items()}
        self._values |= {name: _computable(value) for name, value in self.at.items()}
        self.bars: dict[str, str] = dict(tape.bars)
        self.sends: list[Send] = []
        self._run()

    def _run(self) -> None:
        for step in self.tape.steps:
            value = self._values[step.name] = _computable(self._evaluated(step.expr))
            if step.into is not None:
                before = self._values.get(step.into)
                if before is not None:
                    with np.errstate(all="ignore"):  # as in the evaluation of a step: inf - inf is NaN
                        value = _computable(before + value)
                self._values[step.into] = value
            if step.role == ADJOINT:
                self._send(step, _shown(value))

    def _send(self, step: Step, total: Value) -> None:
        assert step.of is not None
        local = None if step.local is None else self.value_of(step.local)
        upstream = _shown(self._values[self.bars[step.of]])
        self.sends.append(Send(step, local, upstream, _shown(self._values[step.name]), total))

    def _evaluated(self, expr: Expr) -> Any:
        return evaluate(expr, self._values, self.sizes)

    def value_of(self, expr: Expr) -> Value:
        """Value of any expression over the names of the tape."""
        return _shown(self._evaluated(expr))

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
        adjoint = None if bar is None else _shown(self._values[bar])
        return Node(name, _shown(self._values[name]), adjoint, bar, step)

    @property
    def value(self) -> Value:
        """Value of the formula."""
        return self.value_of(self.tape.value)

    @property
    def gradient(self) -> dict[str, Value]:
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
        done: dict[str, Value] = {}
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
                made = _shown(self._values[step.name])
                done[variable] = done[variable] + made if variable in done else made
        waiting = {variable: tuple(steps) for variable, steps in pending.items()}
        return State(name, _shown(self._values[self.bars[name]]), done, waiting, self.bars)

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
        half: dict[str, Value] = {}
        sends = iter(self.sends)
        send = next(sends, None)
        for name in self.reverse_order:
            adjoint = _shown(self._values[self.bars[name]])
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


def _computable(value: Any) -> Any:
    """float64, of which nobody changes an element."""
    made = np.asarray(value, np.float64)
    if made.ndim == 0:
        return made[()]
    if made.flags.writeable:
        made = made.view()
        made.flags.writeable = False
    return made


def _shown(value: Any) -> Value:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)


def _point(tape: Tape, at: Mapping[str, Any]) -> tuple[dict[str, Value], dict[str, int]]:
    """A float64 or an array for every input, and the sizes of the dimensions."""
    known = [given.name for given in tape.inputs]
    for name in at:
        if name in tape.dims:
            raise SymdiffError(f"at: {quoted(str(name))} is a dimension, whose size the arrays give; leave it out")
        if name not in known:
            raise SymdiffError(
                f"at: {quoted(str(name))} is not an input{nearest(str(name), known)}; inputs are {', '.join(known)}"
            )
    values: dict[str, Value] = {}
    missing = []
    for given in tape.inputs:
        if given.name in at:
            number = at[given.name]
            values[given.name] = _array(given, number) if given.shape else _number(given.name, number)
        elif given.default is not None:
            values[given.name] = _array(given, given.default) if given.shape else _number(given.name, given.default)
        else:
            missing.append(given.name)
    if missing:
        raise SymdiffError(f"at: no value for {', '.join(missing)}")
    sizes = _sizes(tape, values)
    for need, text in tape.requirements:
        if size_value(need, sizes) < 0:
            found = ", ".join(f"{name} = {sizes[name]}" for name in dimensions(need))
            raise ShapeError(f"at: {text} is out of range ({found})")
    return values, sizes


def _array(given: Input, value: Any) -> np.ndarray:
    """A copy, so that later changes of the caller's array are not seen. Raises ShapeError."""
    try:
        array = np.array(value)
    except ValueError:
        raise ShapeError(
            f"at: {given.name} is ragged; it must be an array of shape {shape_text(given.shape)}"
        ) from None
    if array.dtype.kind not in "iuf" and array.size:
        raise ShapeError(f"at: {given.name} must hold real numbers, not {array.dtype}")
    if array.ndim != len(given.shape):
        raise ShapeError(f"at: {given.name} has shape {array.shape}, and is declared {shape_text(given.shape)}")
    return array.astype(np.float64)


def _sizes(tape: Tape, values: Mapping[str, Value]) -> dict[str, int]:
    """Sizes of the dimensions. Raises ShapeError with both shapes and the axis where they disagree."""
    sizes: dict[str, int] = {}
    origin: dict[str, tuple[str, int]] = {}
    for given in tape.inputs:
        for axis, (size, found) in enumerate(zip(given.shape, np.shape(values[given.name]), strict=True)):
            if isinstance(size, str) and size not in sizes:
                sizes[size], origin[size] = found, (given.name, axis)
            wanted = sizes[size] if isinstance(size, str) else size
            if wanted == found:
                continue
            here = f"at: {given.name} has shape {np.shape(values[given.name])}, axis {axis} has size {found}"
            if not isinstance(size, str):
                raise ShapeError(f"{here} and not {wanted}; it is declared {shape_text(given.shape)}")
            other, place = origin[size]
            raise ShapeError(
                f"{here}, and {other} has shape {np.shape(values[other])}: dimension {size} is {wanted} by its axis "
                f"{place}"
            )
    return sizes


def refuse_abstract(tape: Tape) -> None:
    """Raise UnsupportedError for a function that nothing is known of: it has no numbers and no code."""
    for step in tape.steps:
        for part in walk(step.expr):
            if isinstance(part, Call) and part.op in ("apply", "apply_partial"):
                name, shape = part.options[:2]
                example = "tanh" if shape is None else f"'def {name}(o): return sum(o**2)'"
                raise UnsupportedError(
                    f"the function '{name}' is abstract; bind it to one with a formula: .bind({name}=...) in Python, "
                    f"--let {name}=... on the command line, such as --let {name}={example}"
                )


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool | str | bytes | complex):
        raise ShapeError(f"at: {name} must be a real number, not {type(value).__name__}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ShapeError(f"at: {name} must be one real number, not {type(value).__name__}") from None
    except OverflowError:
        raise ShapeError(f"at: {name} is too large for float64") from None


def json_number(value: Value | None) -> Any:
    """A number as JSON can hold it, an array as nested lists: non-finite ones as the strings `nan`, `inf`, `-inf`."""
    if isinstance(value, np.ndarray):
        return [json_number(float(part) if np.ndim(part) == 0 else part) for part in value]
    return value if value is None or math.isfinite(value) else str(value)


__all__ = ["Node", "Send", "State", "Trace", "Value", "json_number", "refuse_abstract"]
