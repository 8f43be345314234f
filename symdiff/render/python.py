"""Tape -> a Python module over NumPy that a person can read: `value(...)` and `gradient(...)`."""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Iterable
from functools import cache
from types import ModuleType
from typing import Any

from symdiff.expr import Call, Expr, Name, Number, walk
from symdiff.formula import Input
from symdiff.ops import helpers
from symdiff.render.context import Sheet, first_contributions, identifiers, line_comment
from symdiff.render.environment import render
from symdiff.render.names import PYTHON_RESERVED, mangled
from symdiff.render.printer import Printer, plain_number
from symdiff.tape import Tape

_COMMENT_COLUMN = 44
_LINE = 100  # characters of a statement before it is broken
_SHAPE = "sd_shape"  # a user's own sd_shape is mangled to sd_shape_


def python_module(sheet: Sheet) -> str:
    """The module's text: NumPy alone, one step a line, the same numbers as in the derivation."""
    tape = sheet.code
    names = mangled(identifiers(tape), PYTHON_RESERVED - {"value"})
    printer = Printer("python", names, _number, {})
    used = _helpers_used(tape)
    inputs = [names[given.name] for given in tape.inputs]
    value, *gradients = _results(tape, printer, sheet.dtype)
    forward = Tape(tape.inputs, tape.primal, tape.outputs[:1])
    return render(
        "python",
        "module.py.j2",
        sheet=sheet,
        inputs=inputs,
        assign=_assign(inputs),
        described=[_described(given) for given in tape.inputs],
        signature=_signature(sheet, names),
        helpers=helper_source(used),
        value_lines=_lines(forward, printer, names),
        value=value,
        value_shape=_SHAPE in value,
        shape=any(_SHAPE in text for text in (value, *gradients)),
        forward=_lines(Tape(tape.inputs, tape.primal, ()), printer, names),
        reverse=_lines(Tape(tape.inputs, tape.reverse, ()), printer, names, tape),
        whole=any("_whole(" in text for text in (value, *gradients)),
        result=_returned(value, gradients),
        fields=list(mangled(tape.wrt, PYTHON_RESERVED - {"value", "gradient"}).values()),
        notes=[note.text for note in tape.notes],
        outputs=["value: scalar"] + [f"derivative by {label}: scalar" for label, _ in tape.outputs[1:]],
    )


def load_module(text: str, kind: str) -> Callable[..., Any]:
    """The core function of a generated module: inputs in order -> (value, gradients...), or the bare value.

    What is run is our own generated text: it holds no name or number of the user's that did not go through the
    parser, the mangling and the printer.
    """
    module = ModuleType("symdiff_generated")
    exec(compile(text, "<symdiff generated module>", "exec"), module.__dict__)
    if kind == "value":
        function: Callable[..., Any] = module.value
        return function

    def flat(*arrays: Any) -> tuple[Any, ...]:
        value, gradients = module.gradient(*arrays)
        return (value, *gradients)

    return flat


def _number(number: Number, alone: bool) -> str:
    """Whole numbers are written short inside arithmetic; alone, as an argument, with a point, so that no array of
    integers arises.
    """
    if not math.isfinite(number.value):
        return "-np.inf" if number.value == -math.inf else f"np.{number.value}"
    if number.symbol is not None or alone:
        return repr(number.value)
    return plain_number(number)


def _lines(tape: Tape, printer: Printer, names: dict[str, str], whole: Tape | None = None) -> list[str]:
    """One line a step, with its equation number."""
    whole = whole or tape
    first = first_contributions(whole)
    primal = {step.name: step for step in whole.primal}
    lines = []
    for step in tape.steps:
        target, text = names[step.target], printer(step.expr)
        if step.into is not None and step.name not in first:
            code = f"{target} += {text}"
        elif step.into is not None and isinstance(step.expr, Name):
            code = f"{target} = +{text}"  # a copy: what is added in place later must not change the other variable
        else:
            code = f"{target} = {text}"
        lines.append(f"{code.ljust(_COMMENT_COLUMN)}  # {line_comment(step, primal)}")
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
    return line if len(line) <= _LINE else f"{names} = _arrays(\n        {names}\n    )"


def _returned(value: str, gradients: list[str]) -> str:
    """What `gradient` returns; one derivative a line where one line cannot hold them."""
    line = f"{value}, Gradient({', '.join(gradients)})"
    if len(line) <= _LINE:
        return line
    return f"{value}, Gradient(\n" + "".join(f"        {gradient},\n" for gradient in gradients) + "    )"


def _described(given: Input) -> str:
    kind = "constant" if given.constant else "variable"
    default = "" if given.default is None else f", {given.default!r} unless given"
    return f"{given.name}: scalar, {kind}{default}"


def _signature(sheet: Sheet, names: dict[str, str]) -> str:
    """Parameters with the defaults that Python allows, which are those at the end."""
    parts: list[str] = []
    for given in reversed(sheet.code.inputs):
        optional = given.default is not None and all("=" in part for part in parts)
        parts.append(f"{names[given.name]}={given.default!r}" if optional else names[given.name])
    return ", ".join(reversed(parts))


# -- helpers: functions that NumPy lacks, copied from symdiff/ops/helpers.py ------------------------------------------


@cache
def _pieces() -> dict[str, tuple[str, frozenset[str]]]:
    """Top-level definitions of helpers.py: source and the names that each one uses."""
    source = inspect.getsource(helpers)
    lines = source.splitlines()
    tree = ast.parse(source)
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            name = node.name
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        else:
            continue
        uses = frozenset(part.id for part in ast.walk(node) if isinstance(part, ast.Name)) - {name}
        found[name] = (_with_comment(lines, node.lineno - 1, node.end_lineno or node.lineno), uses)
    return found


def _with_comment(lines: list[str], start: int, end: int) -> str:
    """The definition with the comment lines right above it."""
    while start > 0 and lines[start - 1].startswith("#") and not lines[start - 1].startswith("# ----"):
        start -= 1
    return "\n".join(lines[start:end])


def _helpers_used(tape: Tape) -> list[str]:
    ops = {part.op for step in tape.steps for part in walk(step.expr) if isinstance(part, Call)}
    return sorted(ops & set(_pieces()))


def helper_source(names: Iterable[str]) -> str:
    """Source of the named helpers and of all that they use, in the order of helpers.py."""
    pieces = _pieces()
    needed: set[str] = set()
    work = list(names)
    while work:
        name = work.pop()
        if name in pieces and name not in needed:
            needed.add(name)
            work.extend(pieces[name][1])
    return "\n\n\n".join(text for name, (text, _) in pieces.items() if name in needed)


__all__ = ["helper_source", "python_module"]
