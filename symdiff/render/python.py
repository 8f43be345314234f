"""Tape -> a Python module over NumPy that a person can read: `value(...)` and `gradient(...)`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

from symdiff.collector import at_rest
from symdiff.expr import Call, Expr, Name
from symdiff.render.context import Sheet, first_contributions, identifiers, line_comment
from symdiff.render.environment import render
from symdiff.render.names import PYTHON_RESERVED, mangled
from symdiff.render.printer import Printer, without_minus
from symdiff.render.python_groups import group_context, group_names
from symdiff.render.python_helpers import helper_source
from symdiff.render.python_parts import (
    COMMENT_COLUMN,
    LINE,
    described_input,
    fields,
    python_number,
    remarks,
    returned,
    signature,
)
from symdiff.render.update_python import update_context, update_ops
from symdiff.tape import Tape
from symdiff.trace import refuse_abstract

_SHAPE = "sd_shape"  # a user's own sd_shape is mangled to sd_shape_


@at_rest
def python_module(sheet: Sheet) -> str:
    """The module's text: NumPy alone, one step a line, the same numbers as in the derivation.

    Raises UnsupportedError for a formula with an abstract function.
    """
    refuse_abstract(sheet.people)
    if not sheet.people.is_array:
        return _scalar_module(sheet)
    from symdiff.render.python_arrays import array_module  # large, and formulas of numbers need none of it

    return array_module(sheet)


def _scalar_module(sheet: Sheet) -> str:
    tape = sheet.code
    groups = sheet.formula.groups
    names = mangled([*identifiers(tape), *group_names(groups)], PYTHON_RESERVED - {"value"})
    printer = Printer("python", names, python_number, {})
    used = sorted({*_helpers_used(tape), *update_ops(sheet.update)})
    inputs = [names[given.name] for given in tape.inputs]
    value, *gradients = _results(tape, printer, sheet.dtype)
    forward = Tape(tape.inputs, tape.primal, tape.outputs[:1])
    context = {
        "sheet": sheet,
        "inputs": inputs,
        "assign": _assign(inputs),
        "described": [described_input(given) for given in tape.inputs],
        "signature": signature(tape.inputs, names),
        "helpers": helper_source(used),
        "value_lines": _lines(forward, printer, names),
        "value": value,
        "value_shape": _SHAPE in value,
        "shape": any(_SHAPE in text for text in (value, *gradients)),
        "forward": _lines(Tape(tape.inputs, tape.primal, ()), printer, names),
        "reverse": _lines(Tape(tape.inputs, tape.reverse, ()), printer, names, tape),
        "whole": any("_whole(" in text for text in (value, *gradients)),
        "result": returned(value, gradients),
        "fields": fields(tape.wrt),
        "notes": remarks(tape),
        "update": update_context(sheet),
        "outputs": ["value: scalar"] + [f"derivative by {label}: scalar" for label, _ in tape.outputs[1:]],
    }
    if not groups:
        return render("python", "module.py.j2", **context)
    results = [printer(expr) for _, expr in tape.outputs]
    return render("python", "groups.py.j2", **context | group_context(sheet, names, [value, *results[1:]], _SHAPE))


def load_module(text: str, kind: str) -> Callable[..., Any]:
    """The core function of a generated module: inputs in order -> (value, gradients...), or the bare value.

    `update` gives the module's `update` (`render/update_python.py` says how it is called).

    What is run is our own generated text: it holds no name or number of the user's that did not go through the
    parser, the mangling and the printer.
    """
    module = ModuleType("symdiff_generated")
    exec(compile(text, "<symdiff generated module>", "exec"), module.__dict__)
    if kind in ("value", "update"):
        function: Callable[..., Any] = module.__dict__[kind]
        return function

    gradient = inspect.unwrap(module.gradient)  # an engine has its own np.errstate

    def flat(*arrays: Any) -> tuple[Any, ...]:
        value, gradients = gradient(*arrays)
        return (value, *gradients)

    return flat


def _lines(tape: Tape, printer: Printer, names: dict[str, str], whole: Tape | None = None) -> list[str]:
    """One line a step, with its equation number."""
    whole = whole or tape
    first = first_contributions(whole)
    primal = {step.name: step for step in whole.primal}
    lines = []
    for step in tape.steps:
        target, text = names[step.target], printer.step(step.expr)
        if step.into is not None and step.name not in first:
            subtracted = without_minus(step.expr)
            code = f"{target} += {text}" if subtracted is None else f"{target} -= {printer.step(subtracted)}"
        elif step.into is not None and isinstance(step.expr, Name):
            code = f"{target} = +{text}"  # a copy: what is added in place later must not change the other variable
        else:
            code = f"{target} = {text}"
        lines.append(f"{code.ljust(COMMENT_COLUMN)}  # {line_comment(step, primal)}")
    return lines


def _results(tape: Tape, printer: Printer, dtype: str) -> list[str]:
    """The outputs as new arrays of the common shape.

    A step that works something out of the inputs has made such an array. A number, another name for an array, and in
    float32 whatever NumPy's own float64 numbers may have widened, is written out in full.
    """
    whole = {given.name for given in tape.inputs}
    fresh: set[str] = set()
    for step in tape.steps:
        if not whole.isdisjoint(step.operands):
            whole.add(step.target)
            if isinstance(step.expr, Call) or step.into is not None:
                fresh.add(step.target)
    return [_result(dtype == "float64" and isinstance(e, Name) and e.id in fresh, e, printer) for _, e in tape.outputs]


def _result(fresh: bool, expr: Expr, printer: Printer) -> str:
    return printer(expr) if fresh else f"_whole({printer(expr)}, {_SHAPE})"


def _assign(inputs: list[str]) -> str:
    """The line that makes arrays of the inputs."""
    if len(inputs) == 1:
        return f"({inputs[0]},) = _arrays({inputs[0]})"
    names = ", ".join(inputs)
    line = f"{names} = _arrays({names})"
    return line if len(line) <= LINE else f"{names} = _arrays(\n        {names}\n    )"


def _helpers_used(tape: Tape) -> list[str]:
    return sorted(tape.ops)


__all__ = ["helper_source", "load_module", "python_module"]
