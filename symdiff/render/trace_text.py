"""Trace -> the tables that a terminal shows, and JSON."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from symdiff.expr import Name, Number
from symdiff.render.context import first_contributions
from symdiff.render.printer import TEXT
from symdiff.shapes import shape_text
from symdiff.tape import Step
from symdiff.trace import Send, State, Trace, Value, json_number

_SHOWN = 60  # elements of an array; of a larger one, its corners


def trace_text(trace: Trace) -> str:
    """Forward values, local derivatives, adjoints, gradient; every number with all its digits."""
    forward = [["", "variable", "value"]]
    forward += [["", node.name, _digits(node.value)] for node in trace.inputs]
    forward += [
        [f"({node.step.n})", f"{node.name} = {TEXT(node.step.expr)}", _digits(node.value)]
        for node in trace.nodes
        if node.step
    ]
    parts = ["Forward sweep", _table(forward)]
    if trace.sends or trace.gradient:
        reverse = [["", "adjoint step", "local derivative", "contribution", "adjoint so far"]]
        for step in trace.tape.reverse:
            if isinstance(step.expr, Number) and step.local is None:
                reverse.append([f"({step.label})", f"{step.target} = 1", "", "", _digits(1.0)])
        first = first_contributions(trace.tape)
        for send in trace.sends:
            sign = "=" if send.step.into is None or send.step.name in first else "+="
            line = f"{send.step.target} {sign} {TEXT(send.step.expr)}"
            alone = send.step.into is None and isinstance(send.value, np.ndarray)  # not twice the same array
            total = "" if alone else _digits(send.total)
            reverse.append([f"({send.step.label})", line, _digits(send.local), _digits(send.value), total])
        output = trace.tape.value.id if isinstance(trace.tape.value, Name) else "value"
        if all(row[-1] == "" for row in reverse[1:] if row[2:4] != ["", ""]):  # but for the seed, which its line says
            reverse = [row[:-1] for row in reverse]
        gradient = [["", "gradient", ""]] + [
            ["", f"d {output} / d {name}", _digits(value)] for name, value in trace.gradient.items()
        ]
        parts += ["", "Reverse sweep", _table(reverse), "", _table(gradient)]
    return "\n".join(parts) + "\n"


def state_text(trace: Trace, state: State) -> str:
    """The state of all adjoints before one step, and what is still pending."""
    rows = [["adjoint", "so far", "still pending"]]
    for variable, bar in trace.bars.items():
        waiting = state.pending.get(variable, ())
        so_far = _digits(state.adjoints[variable]) if variable in state.adjoints else "nothing yet"
        rows.append([bar, so_far, "; ".join(pending_text(step) for step in waiting) if waiting else "complete"])
    head = f"Before {state.name} sends its adjoint {trace.bars[state.name]} = {_digits(state.adjoint)} to its operands"
    return f"{head}\n{_table(rows)}\n"


def expression(step: Step) -> str:
    """What a step computes, in the formula language."""
    return TEXT(step.expr)


def pending_text(step: Step) -> str:
    """`z4_bar*cos(z3) from (4')`."""
    return f"{TEXT(step.expr)} from ({step.label})"


def trace_dict(trace: Trace) -> dict[str, Any]:
    """The trace as plain lists and numbers.

    `steps` has every primal step with its value and its complete adjoint. `reverse` has, in the order of the reverse
    sweep, the state just before each step sends its own adjoint back: in `adjoints` its own and those that are half
    accumulated, in `pending` what these still wait for.
    """
    steps = [
        {
            "n": node.step.n,
            "name": node.name,
            "op": node.step.op,
            "operands": node.step.operands,
            "expression": TEXT(node.step.expr),
            "shape": list(np.shape(node.value)),
            "value": json_number(node.value),
            "adjoint": json_number(node.adjoint),
            "pending": [],
        }
        for node in trace.nodes
        if node.step is not None
    ]
    by_name = {step["name"]: step for step in steps}
    sends: dict[str, list[Send]] = {}
    for send in trace.sends:
        sends.setdefault(str(send.step.of), []).append(send)
    reverse = [
        {key: by_name[state.name][key] for key in ("n", "name", "op", "operands", "value")}
        | _state_dict(state, sends.get(state.name, []))
        for state in trace.frontier()
    ]
    inputs = [{"name": n.name, "value": json_number(n.value), "adjoint": json_number(n.adjoint)} for n in trace.inputs]
    return {
        "inputs": inputs,
        "steps": steps,
        "reverse": reverse,
        "value": json_number(trace.value),
        "gradient": {name: json_number(value) for name, value in trace.gradient.items()},
    }


def state_dict(trace: Trace, state: State) -> dict[str, Any]:
    """The state just before a step sends its adjoint back: all adjoints so far, and all that is pending."""
    return _state_dict(state, [send for send in trace.sends if send.step.of == state.name])


def _state_dict(state: State, sends: list[Send]) -> dict[str, Any]:
    return {
        "name": state.name,
        "adjoint": json_number(state.adjoint),
        "adjoints": {name: json_number(value) for name, value in state.adjoints.items()},
        "pending": {name: [TEXT(step.expr) for step in steps] for name, steps in state.pending.items()},
        "sends": [
            {
                "to": send.step.receiver,
                "label": send.step.label,
                "expression": TEXT(send.step.expr),
                "local": json_number(send.local),
                "contribution": json_number(send.value),
            }
            for send in sends
        ],
    }


def tape_text(steps: tuple[Step, ...]) -> str:
    """One line a step, as `print(program)` shows it, with shapes where there are arrays."""
    shaped = any(step.shape for step in steps)
    seen: set[str] = set()
    rows = []
    for step in steps:
        sign = "+=" if step.into is not None and step.into in seen else "="
        seen.add(step.target)
        rows.append([f"({step.label})", step.target, sign, TEXT(step.expr)])
        if shaped:
            rows[-1].append(shape_text(step.shape))
    return _table(rows, heading=False)


def _digits(value: Value | None) -> str:
    """All digits of a number; an array in brackets, row by row, the middle of a large one left out; 0 for -0."""
    if value is None:
        return ""
    if isinstance(value, np.ndarray):
        return np.array2string(value + 0.0, floatmode="unique", threshold=_SHOWN, edgeitems=3, max_line_width=10_000)
    return repr(float(value))


def _table(rows: Sequence[Sequence[str]], heading: bool = True) -> str:
    """Columns lined up with blanks; a rule under the heading. A cell may have several lines."""
    rows = [line for row in rows for line in itertools.zip_longest(*(cell.split("\n") for cell in row), fillvalue="")]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))] if rows else []
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if heading and rows:
        lines.insert(1, "-" * len("  ".join("x" * width for width in widths)))
    return "\n".join(lines)
