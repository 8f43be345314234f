"""An update rule in Python: `update(...)`, one line for every variable, and `train(...)`, a plain full-batch loop.

    update(parameters, gradient, states, t, eta=0.1) -> new parameters, new states     # in the order of the variables
    train(data, start, epochs, eta=0.1)              -> parameters by name, values

`states` holds one sequence for each state of the rule, with an array for each variable. Settings follow `t` in the
order of the rule, so that an engine may pass them by place.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any

from symdiff.expr import Call, names, walk
from symdiff.render.context import Sheet
from symdiff.render.names import PYTHON_RESERVED, mangled
from symdiff.render.printer import Printer
from symdiff.render.python_helpers import ARRAY_FUNCTIONS
from symdiff.render.python_parts import LINE, broken, python_number
from symdiff.rule import Line, ParameterUpdate, Update
from symdiff.tape import Namer

_WIDTH = LINE - 4  # of a line inside a function
_ARGUMENTS = frozenset({"parameters", "gradient", "states"})
# Names that the template uses in `train`, beside built-in ones: settings are arguments there.
_LOCALS = frozenset(
    "data start epochs inputs variables point parameters states values value derivatives pairs name each own "
    "update gradient np".split()
)


def update_context(sheet: Sheet) -> dict[str, Any] | None:
    """What `templates/python/update.j2` shows; None without a rule."""
    update = sheet.update
    if update is None:
        return None
    body = _Body(sheet, update)
    formula, rule = sheet.formula, update.rule
    inputs = [each.name for each in formula.groups] or list(formula.inputs)
    variables = [each.name for each in update.parameters]
    return {
        "name": rule.name,
        "source": rule.source,
        "settings": "".join(f", {body.names[name]}={value!r}" for name, _, value in update.settings),
        "passed": "".join(f", {body.names[name]}" for name, _, _ in update.settings),
        "count": body.count,
        "described": _filled(f"Variables: {', '.join(variables)}.")
        + (_filled(f"States: {', '.join(rule.states)}, each with an array for every variable.") if rule.states else []),
        "lines": body.lines(),
        "states": len(rule.states),
        "inputs": _tuple_of("inputs", inputs),
        "variables": _tuple_of("variables", variables),
        "data": _filled(_described_data(sheet, _set_apart(inputs, variables))),
        "defaults": "".join(f'"{name}": {value!r}, ' for name, value in formula.defaults.items()),
        "points": "groups" if formula.groups else "" if sheet.people.is_array else "numbers",
    }


def update_ops(update: Update | None) -> set[str]:
    """Ops that occur in a rule, whose helpers the module needs."""
    lines = () if update is None else (*update.common, *(line for each in update.parameters for line in each.lines))
    return {part.op for line in lines for part in walk(line.expr) if isinstance(part, Call)}


def _set_apart(inputs: Iterable[str], variables: Iterable[str]) -> list[str]:
    """Inputs that are no variables."""
    known = set(variables)
    return [name for name in inputs if name not in known]


def _described_data(sheet: Sheet, data: list[str]) -> str:
    """Sentences about the first two arguments of `train`."""
    needed = [name for name in data if name not in sheet.formula.defaults]
    optional = [name for name in data if name in sheet.formula.defaults]
    text = f"start holds the variables by name, data the other inputs: {', '.join(needed) or 'none'}"
    text += f", and where they are not as usual {', '.join(optional)}" if optional else ""
    if sheet.people.is_array:
        return f"{text}."
    return f"{text}. Where data are arrays of points, the mean over the points is what is made smaller."


class _Body:
    """The statements of `update`."""

    def __init__(self, sheet: Sheet, update: Update) -> None:
        self.update, self.single = update, sheet.dtype == "float32"
        every = list(_bound(update))
        self.names = mangled(every, (PYTHON_RESERVED | ARRAY_FUNCTIONS | _ARGUMENTS) - {"value"})
        for name, _, _ in update.settings:  # settings are arguments of `train`, too
            while self.names[name] in _LOCALS:
                self.names[name] = Namer(self.names.values()).fresh(f"{self.names[name]}_")
        self.count = self.names[update.count] if update.count else Namer(self.names.values()).fresh("t")
        self.printer = Printer("python", self.names, python_number, {})
        self.dtype = f"np.{sheet.dtype}"

    def lines(self) -> list[str]:
        """From the arguments to `return`."""
        parameters, states = self.update.parameters, len(self.update.rule.states)
        made = self._unpacked([each.name for each in parameters], "parameters")
        made += self._unpacked([each.bar for each in parameters], "gradient")
        for k in range(states):
            made += self._unpacked([each.states[k][0] for each in parameters], f"states[{k}]")
        made += [row for line in self.update.common for row in self._common(line)]
        for each in parameters:
            made += self._parameter(each)
        made += _assigned("parameters", [self.names[each.new] for each in parameters])
        made += self._new_states([[self.names[each.states[k][1]] for each in parameters] for k in range(states)])
        return [*made, "return parameters, states"]

    def _new_states(self, new: list[list[str]]) -> list[str]:
        """One state a line where one line cannot hold them."""
        parts = [_tuple(each) for each in new]
        line = f"states = {', '.join(parts)}" if len(parts) > 1 else f"states = ({''.join(f'{p},' for p in parts)})"
        if len(line) <= _WIDTH:
            return [line]
        rows = [row for part in parts for row in _wrapped(f"{part},", _WIDTH - 4)]
        return ["states = (", *(f"    {row}" for row in rows), ")"]

    def _unpacked(self, wanted: list[str], source: str) -> list[str]:
        inside = ", ".join(self.names[name] for name in wanted) + "," * (len(wanted) == 1)
        line = f"{inside} = {source}" if len(wanted) > 1 else f"({inside}) = {source}"
        if len(line) <= _WIDTH:
            return [line]
        return ["(", *(f"    {row}" for row in _wrapped(inside, _WIDTH - 4)), f") = {source}"]

    def _common(self, line: Line) -> list[str]:
        """In float32 a NumPy number of its own would widen the arrays that it meets; Python's does not."""
        text = self.printer(line.expr)
        return broken(f"{self.names[line.name]} = {f'float({text})' if self.single else text}", _WIDTH)

    def _parameter(self, each: ParameterUpdate) -> list[str]:
        """The lines of one variable; what does not depend on its elements is repeated for each of them."""
        elementwise = {each.name, each.bar, *(state for state, _ in each.states)}
        kept = {each.new, *(new for _, new in each.states)}
        made = []
        for line in each.lines:
            text = self.printer(line.expr)
            if not elementwise.isdisjoint(names(line.expr)):
                elementwise.add(line.name)
            elif line.name in kept:
                text = f"np.full(np.shape({self.names[each.name]}), {text}, {self.dtype})"
            made += broken(f"{self.names[line.name]} = {text}", _WIDTH)
        return made


def _bound(update: Update) -> Iterable[str]:
    """Every name of an update, settings first."""
    yield from (name for name, _, _ in update.settings)
    if update.count is not None:
        yield update.count
    yield from (line.name for line in update.common)
    for each in update.parameters:
        yield each.name
        yield each.bar
        for state, _ in each.states:
            yield state
        yield from (line.name for line in each.lines)


def _filled(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False)


def _wrapped(text: str, room: int) -> list[str]:
    return textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)


def _tuple_of(name: str, wanted: list[str]) -> list[str]:
    """`inputs = ("X", "W")`, on as many lines as it takes."""
    parts = [f'"{each}"' for each in wanted]
    line = f"{name} = {_tuple(parts)}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{name} = (", *(f"    {row}" for row in _wrapped(", ".join(parts) + ",", _WIDTH - 4)), ")"]


def _assigned(name: str, parts: list[str]) -> list[str]:
    """`parameters = W1_new, b1_new`."""
    line = f"{name} = {', '.join(parts)}" if len(parts) > 1 else f"{name} = {_tuple(parts)}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{name} = (", *(f"    {row}" for row in _wrapped(", ".join(parts) + ",", _WIDTH - 4)), ")"]


def _tuple(parts: list[str]) -> str:
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


__all__ = ["update_context", "update_ops"]
