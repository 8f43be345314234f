"""A tape of scalars as a Python function over NumPy that walks its steps, for programs too long to be a text first.

Writing the module of a long program and having Python compile it takes longer than evaluating it a hundred times. Here
each form of step becomes one small function, from the words that the module has for it, and the steps are a list of
these functions with the places of their operands: so the numbers are those of the module, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from symdiff.collector import at_rest
from symdiff.expr import Call, Expr, Form, Name, Number, form_of
from symdiff.formula_data import Group
from symdiff.render.context import Sheet
from symdiff.render.printer import Printer
from symdiff.render.python_helpers import helper_source
from symdiff.render.python_parts import python_number
from symdiff.tape import Tape
from symdiff.trace import refuse_abstract

_MOST_NUMBERS = 1 << 24  # held at once: points of a batch go through the steps in blocks
Function = Callable[..., Any]
Line = tuple[Function, int, tuple[int, ...], tuple[int, ...]]  # function, target, operands, what nobody reads any more


@at_rest
def tape_function(sheet: Sheet) -> Function:
    """What `load_module(python_module(sheet), sheet.kind)` gives: arguments in order -> (value, gradients...), or the
    bare value.

    Raises UnsupportedError for a formula with an abstract function.
    """
    refuse_abstract(sheet.people)
    walked = _Walk(sheet.code)
    groups = sheet.formula.groups
    if not groups:
        return walked if sheet.kind == "gradient" else lambda *arrays: walked(*arrays)[0]
    return _over_groups(walked, groups, sheet.variables if sheet.kind == "gradient" else None)


class _Walk:
    """The steps in order; called with an array for every input, it gives an array or a number for every output."""

    def __init__(self, tape: Tape) -> None:
        places = {given.name: place for place, given in enumerate(tape.inputs)}
        functions = _Functions(tape)
        lines: list[tuple[Function, int, tuple[int, ...]]] = []
        for step in tape.steps:
            adds = step.target in places
            target = places.setdefault(step.target, len(places))
            function, found = functions.of(step.expr, adds)
            operands = tuple([places[name] for name in found])
            lines.append((function, target, (target, *operands) if adds else operands))
        self._outputs = [places[expr.id] if isinstance(expr, Name) else _number(expr) for _, expr in tape.outputs]
        self._count, self._inputs = len(places), len(tape.inputs)
        self._lines, self._most = self._with_ends(lines)

    def _with_ends(self, lines: Sequence[tuple[Function, int, tuple[int, ...]]]) -> tuple[list[Line], int]:
        """The lines with the values that are not read after each, and the largest number of values held at once."""
        read_later = bytearray(self._count)
        for place in self._outputs:
            if isinstance(place, int):
                read_later[place] = True
        held = most = sum(read_later)
        made: list[Line] = []
        for function, target, operands in reversed(lines):
            done = [place for place in operands if not read_later[place]]
            adds = target in operands
            if not adds and not read_later[target]:
                done.append(target)
            for place in done:
                read_later[place] = True
            held += len(done)
            most = max(most, held)
            held -= not adds  # before this line there is no such value
            made.append((function, target, operands, tuple(done)))
        made.reverse()
        return made, max(most, self._inputs)

    def __call__(self, *arrays: Any) -> tuple[Any, ...]:
        points, block = len(arrays[0]), max(1, _MOST_NUMBERS // self._most)
        if points <= block:
            return self._run(arrays)
        results = [np.empty(points, arrays[0].dtype) for _ in self._outputs]
        for start in range(0, points, block):
            part = slice(start, start + block)
            for result, numbers in zip(results, self._run([array[part] for array in arrays]), strict=True):
                np.copyto(result[part], numbers, casting="same_kind")
        return tuple(results)

    def _run(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        values: list[Any] = [*arrays, *[None] * (self._count - len(arrays))]
        for function, target, operands, done in self._lines:
            values[target] = function(*[values[place] for place in operands])
            for place in done:
                values[place] = None
        return tuple(values[output] if isinstance(output, int) else output for output in self._outputs)


class _Functions:
    """A Python function for every form of step, over its names in order; one that adds gets the sum so far first."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._scope: dict[str, Any] | None = None
        self._known: dict[tuple[Form, bool], Function] = {}

    def of(self, expr: Expr, adds: bool) -> tuple[Function, tuple[str, ...]]:
        """The function of a step, and the names of its operands."""
        if isinstance(expr, Name):
            return (_sum if adds else _same), (expr.id,)
        if not isinstance(expr, Call):
            number = _number(expr)
            return (lambda total: total + number) if adds else (lambda: number), ()
        form, found = form_of(expr)
        function = self._known.get((form, adds))
        if function is None:
            function = self._known[form, adds] = self._made(form, adds)
        return function, found

    def _made(self, form: Form, adds: bool) -> Function:
        names = {name: f"x{name}" for name in form_of(form.expr)[1]}
        text, parameters = Printer("python", names, python_number, {})(form.expr), [*names.values()]
        if adds:
            text, parameters = f"total + ({text})", ["total", *parameters]
        function: Function = eval(f"lambda {', '.join(parameters)}: {text}", self.scope)
        return function

    @property
    def scope(self) -> dict[str, Any]:
        """NumPy, and the functions that it lacks."""
        if self._scope is None:
            self._scope = {"np": np}
            exec(helper_source(sorted(self._tape.ops)), self._scope)  # the table's text, never a user's
        return self._scope


def _same(x: Any) -> Any:
    return x


def _sum(total: Any, x: Any) -> Any:
    return total + x


def _number(expr: Expr) -> float:
    assert isinstance(expr, Number)
    return expr.value


def _over_groups(walked: _Walk, groups: Sequence[Group], variables: Sequence[Group] | None) -> Function:
    """The function of arrays of shape (points, *shape), one for each argument of a traced function."""

    def function(*arrays: Any) -> Any:
        points = len(arrays[0])
        flat = [array.reshape(points, -1) for array in arrays]
        columns = [np.ascontiguousarray(each[:, k]) for each in flat for k in range(each.shape[1])]
        value, *numbers = walked(*columns)
        if variables is None:
            return value
        results, place = [value], 0
        for group in variables:
            result = np.empty((points, len(group.elements)), arrays[0].dtype)
            for k in range(len(group.elements)):
                result[:, k] = numbers[place + k]
            place += len(group.elements)
            results.append(result.reshape(points, *group.shape))
        return tuple(results)

    return function


__all__ = ["tape_function"]
