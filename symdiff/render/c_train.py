"""Training in C: an update rule as a loop over numbers, and the function that makes many updates without returning.

The templates `templates/c/train*.j2` hold the code; what is here finds names, sizes and places for them. Training is in
double precision, and stands in the same file as the gradient, which it calls.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Any

from symdiff.errors import UnsupportedError
from symdiff.expr import Call, Number, names, walk
from symdiff.render.c_function import Words
from symdiff.render.c_source import VECTOR, libm_used
from symdiff.render.context import Sheet
from symdiff.render.names import C_RESERVED, mangle, mangled
from symdiff.render.printer import TEXT, Printer
from symdiff.rule import ADJOINT, COUNT, NEW, PARAMETER, Line, Rule, Update
from symdiff.shapes import Shape, described

_WIDTH = 110
# What the templates declare beside users' names: in the function of the rule, and where sizes are named.
_IN_RULE = frozenset({"i", "n"})
_IN_PLAN = frozenset({"run", "plan", "shapes", "k", "a", "p", "axis", "batch", "rows", "last", "needed"})


@dataclass(frozen=True)
class Argument:
    """An input of a call; of a traced function a group of inputs.

    place  of its first number among the scalars that the gradient gets
    size   how many scalars it is made of
    """

    name: str
    shape: Shape
    place: int
    size: int


def training(sheet: Sheet) -> dict[str, Any]:
    """Template context of the training functions. Raises UnsupportedError where numbers are float32."""
    update = sheet.update
    assert update is not None
    if sheet.dtype != "float64":
        raise UnsupportedError(
            f"training in C is in float64, and these numbers are {sheet.dtype}: leave the dtype out, or the update rule"
        )
    arguments = _arguments(sheet)
    parameters = _parameters(sheet, arguments)
    dims = mangled(sheet.code.dims, C_RESERVED | _IN_PLAN)
    along = _sample_dimensions(sheet, arguments, parameters)
    rank = max(1, *(len(given.shape) for given in arguments))
    return {
        "rule": rule_context(update.rule),
        "described": _described(sheet, update, arguments, parameters, along),
        "arguments": arguments,
        "parameters": parameters,
        "learns": [int(k in parameters) for k in range(len(arguments))],
        "numbers": sum(arguments[k].size for k in parameters),
        "inputs": len(sheet.code.inputs),
        "places": _places(arguments, parameters),
        "dims": [dims[name] for name in sheet.code.dims],
        "shape_rows": _shape_rows(arguments, dims, rank),
        "rank": rank,
        "along": [sheet.code.dims.index(name) for name in along],
    }


def rule_texts(rule: Rule) -> list[str]:
    """The rule's statements in C, to find the functions that they call."""
    made = rule_context(rule)
    return [*made["common"], *made["lines"]]


def rule_ops(rule: Rule) -> set[str]:
    """Ops in the rule's statements."""
    return {part.op for line in rule.lines for part in walk(line.expr) if isinstance(part, Call)}


def rule_context(rule: Rule) -> dict[str, Any]:
    """The rule as statements over the words of its own text."""
    bound = [PARAMETER, ADJOINT, COUNT, *rule.settings, *rule.states, *(line.name for line in rule.lines)]
    table = mangled(dict.fromkeys(bound), C_RESERVED | _IN_RULE)
    printer = Printer("c", table, _literal, {"m": Words(""), "one": "1.0"})
    used = {name for line in rule.lines for name in names(line.expr)}
    each = [_statement(line, table, printer) for line in rule.each]
    return {
        "title": _title(rule),
        "settings": [(k, table[name]) for k, name in enumerate(rule.settings) if name in used],
        "states": [(k, table[name], table[name + NEW]) for k, name in enumerate(rule.states)],
        "read": [(k, table[name]) for k, name in enumerate(rule.states) if name in used],
        "theta": table[PARAMETER] if PARAMETER in used else "",
        "bar": table[ADJOINT] if ADJOINT in used else "",
        "count": table[COUNT] if COUNT in used else "",
        "new": table[PARAMETER + NEW],
        "common": [_statement(line, table, printer) for line in rule.common],
        "lines": each,
        "one_by_one": any(name in VECTOR for name in libm_used(each, "")),
    }


def _statement(line: Line, table: dict[str, str], printer: Printer) -> str:
    return f"const double {table[line.name]} = {printer(line.expr)};"


def _literal(number: Number, alone: bool) -> str:
    if math.isfinite(number.value):
        return repr(number.value)
    return "NAN" if math.isnan(number.value) else "INFINITY" if number.value > 0 else "-INFINITY"


def _title(rule: Rule) -> list[str]:
    return _wrapped(f"{rule.name} ({rule.source})" if rule.source else rule.name)


def _arguments(sheet: Sheet) -> list[Argument]:
    """What a call takes, in order."""
    groups = sheet.formula.groups
    if not groups:
        return [
            Argument(mangle(given.name, C_RESERVED), given.shape, k, 1) for k, given in enumerate(sheet.code.inputs)
        ]
    found, place = [], 0
    for group in groups:
        found.append(Argument(mangle(group.name, C_RESERVED), group.shape, place, len(group.elements)))
        place += len(group.elements)
    return found


def _parameters(sheet: Sheet, arguments: list[Argument]) -> list[int]:
    """Places of the arguments that learn, in the order of theta."""
    at_input = {given.name: k for k, given in enumerate(sheet.code.inputs)}
    first = {given.place: k for k, given in enumerate(arguments) if given.size}
    found = []
    for name in sheet.code.wrt:
        if at_input[name] in first:  # the other elements of a group follow its first one
            found.append(first[at_input[name]])
    return found


def _places(arguments: list[Argument], parameters: list[int]) -> list[tuple[Argument, int]]:
    """Every argument of scalars, and where it lies in theta; -1 where it does not learn."""
    at, place = {}, 0
    for k in parameters:
        at[k] = place
        place += arguments[k].size
    return [(given, at.get(k, -1)) for k, given in enumerate(arguments)]


def _sample_dimensions(sheet: Sheet, arguments: list[Argument], parameters: list[int]) -> list[str]:
    """Dimensions along which samples can lie: no parameter has one, and no other argument has it twice."""
    learned = {size for k in parameters for size in arguments[k].shape}
    data = [given.shape for k, given in enumerate(arguments) if k not in parameters]
    return [
        name
        for name in sheet.code.dims
        if name not in learned and max((shape.count(name) for shape in data), default=0) == 1
    ]


def _shape_rows(arguments: list[Argument], dims: dict[str, str], rank: int) -> list[tuple[str, str]]:
    """Sizes of every argument, ones behind them up to `rank`, and its name."""
    rows = []
    for given in arguments:
        sizes = [dims[size] if isinstance(size, str) else str(size) for size in given.shape]
        rows.append((", ".join([*sizes, *["1"] * (rank - len(sizes))]), given.name))
    return rows


def _described(
    sheet: Sheet, update: Update, arguments: list[Argument], parameters: list[int], along: list[str]
) -> dict[str, Any]:
    """Text for the header, in lines that fit."""
    rule = update.rule
    settings = ", ".join(f"{name} (such as {value!r})" for _, name, value in update.settings)
    learning = [arguments[k] for k in parameters]
    theta = ", ".join(f"{each.name} ({described(each.shape)})" if each.shape else each.name for each in learning)
    return {
        "title": _title(rule),
        "lines": [f"{line.name} = {TEXT(line.expr)}" for line in rule.lines],
        "where": _wrapped(
            f"{PARAMETER} is a number of a parameter, {ADJOINT} the derivative of the value by it"
            + (f", {COUNT} the number of the update, counted from 1" if rule.counts else "")
            + "."
        ),
        "settings": _wrapped(settings),
        "states": _wrapped(", ".join(rule.states)),
        "theta": _wrapped(theta),
        "arguments": _wrapped(", ".join(given.name for given in arguments)),
        "along": _wrapped(", ".join(f"{sheet.code.dims.index(name)} for {name}" for name in along)),
    }


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH)


__all__ = ["Argument", "rule_context", "rule_ops", "rule_texts", "training"]
