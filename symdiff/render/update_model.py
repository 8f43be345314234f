"""Update, Trace -> the section on the update rule before it is written in any notation: its lines and their numbers.

The numbers are those of the first update (t = 1, states 0), worked out by a trace that goes on behind the reverse
sweep: so `=` and `~` stand beside them by the same proof as beside all other numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from symdiff.expr import Call, Expr, Name, Number, names
from symdiff.formula_data import Group, Input
from symdiff.render.array_figures import ArrayFigures
from symdiff.render.context import Sheet
from symdiff.render.figures import DIGITS
from symdiff.rule import Line, ParameterUpdate, Update
from symdiff.shapes import size_value
from symdiff.tape import Step
from symdiff.trace import Trace


class UpdateModel:
    """What the section says; `update` is None for a sheet without a rule, and then there is no section."""

    def __init__(self, sheet: Sheet, update: Update, trace: Trace | None, digits: int = DIGITS) -> None:
        self.sheet, self.update, self.trace = sheet, update, trace
        self.rule = update.rule
        self.has_arrays = any(each.shape for each in update.parameters)
        self.figures = None if trace is None else ArrayFigures(_first_update(sheet, update, trace), digits)

    @cached_property
    def bar_line(self) -> int | None:
        """Which of the lines of a variable reads its adjoint, if it is one alone and reads it once."""
        each = self.update.parameters[0]
        readers = [k for k, line in enumerate(each.lines) if each.bar in names(line.expr)]
        alone = len(readers) == 1 and _count(each.lines[readers[0]].expr, each.bar) == 1
        return readers[0] if alone else None

    @property
    def lines(self) -> list[tuple[ParameterUpdate | None, Line]]:
        """All lines in order, those of a variable with it."""
        common: list[tuple[ParameterUpdate | None, Line]] = [(None, line) for line in self.update.common]
        return common + [(each, line) for each in self.update.parameters for line in each.lines]

    def context(self) -> dict[str, Any]:
        """What every notation needs: which sentences there are."""
        return {
            "numbers": self.figures is not None,
            "name": self.rule.name,
            "source": self.rule.source,
            "has_arrays": self.has_arrays,
            "has_states": bool(self.rule.states),
            "has_groups": any(group.shape for group in self.sheet.formula.groups),
        }


def _count(expr: Expr, name: str) -> int:
    if isinstance(expr, Name):
        return int(expr.id == name)
    return sum(_count(arg, name) for arg in expr.args) if isinstance(expr, Call) else 0


def _first_update(sheet: Sheet, update: Update, trace: Trace) -> Trace:
    """The trace with the first update behind it: settings, t and states are inputs, the rule's lines are steps."""
    tape, point = trace.tape, dict(trace.at)
    inputs, steps = list(tape.inputs), list(tape.steps)

    def given(name: str, value: Any, shape: Any = ()) -> None:
        inputs.append(Input(name, shape))
        point[name] = value

    for name, _, value in update.settings:
        given(name, value)
    if update.count is not None:
        given(update.count, 1.0)
    bound = set(tape.bound_names())
    gathered = {group.name: group for group in sheet.formula.groups}
    for each in update.parameters:
        zeros = np.zeros([size_value(size, trace.sizes) for size in each.shape])[()]
        for state, _ in each.states:
            given(state, zeros, each.shape)
        if each.name in gathered:
            steps += _gathered(each, gathered[each.name], dict(tape.bars))
        elif each.bar not in bound:
            given(each.bar, zeros, each.shape)
    steps += [Step(0, line.name, line.expr) for line in update.common]
    steps += [Step(0, line.name, line.expr, shape=each.shape) for each in update.parameters for line in each.lines]
    return Trace(replace(tape, inputs=tuple(inputs), steps=tuple(steps)), point)


def _gathered(each: ParameterUpdate, group: Group, bars: dict[str, str]) -> Iterable[Step]:
    """Steps that make arrays of a group's elements and of their adjoints."""
    if not group.shape and group.name == group.elements[0]:
        elements = []
    else:
        elements = [Step(0, each.name, _array_of([Name(name) for name in group.elements], each), shape=each.shape)]
    adjoints: list[Expr] = [Name(bars[name]) if name in bars else Number(0.0) for name in group.elements]
    if adjoints != [Name(each.bar)]:
        elements.append(Step(0, each.bar, _array_of(adjoints, each), shape=each.shape))
    return elements


def _array_of(elements: list[Any], each: ParameterUpdate) -> Expr:
    if not each.shape:
        found: Expr = elements[0]
        return found
    return Call("reshape", (Call("stack", tuple(elements), None, (0,)),), None, (each.shape,))


__all__ = ["UpdateModel"]
