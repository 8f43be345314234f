"""The NumPy module of a traced function: arguments are arrays, which are taken apart into the scalars of the tape and
put together again.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from symdiff.formula_data import Group
from symdiff.render.context import Sheet
from symdiff.render.python_parts import LINE, fields
from symdiff.shapes import described

_INDENT = 4


def group_context(sheet: Sheet, names: Mapping[str, str], results: list[str], shape: str) -> dict[str, Any]:
    """What `templates/python/groups.py.j2` needs beside the context of a module of scalars.

    names    name -> identifier, those of groups too
    results  the value and the derivatives as code
    shape    identifier of the shape of the leading axes
    """
    groups, tape = sheet.formula.groups, sheet.code
    variables = sheet.variables
    value, *gradients = results
    by_element = dict(zip(tape.wrt, gradients, strict=True))
    return {
        "signature": ", ".join(names[group.name] for group in groups),
        "assign": _assign(groups, names, shape),
        "value": value,
        "gathers": any(group.shape for group in variables),
        "gradients": [
            line
            for group in variables
            for line in _gathered(group, [by_element[element] for element in group.elements], shape)
        ],
        "fields": fields(group.name for group in variables),
        "described": [
            f"{group.name}: {described(group.shape)}, {'constant' if group.constant else 'variable'}"
            for group in groups
        ],
        "outputs": ["value: scalar"] + [f"derivative by {group.name}: {described(group.shape)}" for group in variables],
    }


def _assign(groups: Iterable[Group], names: Mapping[str, str], shape: str) -> list[str]:
    """Lines that broadcast the arguments and take them apart."""
    groups = list(groups)
    pairs = [f"({names[group.name]}, {group.shape})" for group in groups]
    lines = _filled("", [*(names[group.name] for group in groups), shape], " = _arguments(", pairs, ")")
    for group in groups:
        if group.shape:
            elements = [names[element] for element in group.elements]
            lines += _filled("", elements, f" = _numbers({names[group.name]}, {shape})", [], "")
    return lines


def _filled(before: str, left: list[str], between: str, right: list[str], after: str) -> list[str]:
    """`left = right` on one line; else what is on the left in brackets, on as many lines as it takes."""
    targets = left[0] + "," if len(left) == 1 else ", ".join(left)
    line = f"{before}{f'({targets})' if len(left) == 1 else targets}{between}{', '.join(right)}{after}"
    if len(line) <= LINE:
        return [line]
    head = ["(", *_wrapped(targets + ("" if targets.endswith(",") else ",")), f"){between}"]
    if not right:
        return [*head[:-1], head[-1] + after]
    return [*head, *_wrapped(", ".join(right) + ","), after]


def _gathered(group: Group, numbers: list[str], shape: str) -> list[str]:
    """The derivative by one argument, an item of a call."""
    if not group.shape:
        return [f"_whole({numbers[0]}, {shape}),"]
    line = f"_gathered({shape}, {group.shape}, {', '.join(numbers)}),"
    if len(line) <= LINE - 2 * _INDENT:
        return [line]
    return [f"_gathered({shape}, {group.shape},", *_wrapped(", ".join(numbers)), "),"]


def _wrapped(text: str) -> list[str]:
    indent = " " * _INDENT
    return textwrap.wrap(
        text, LINE, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def group_names(groups: Iterable[Group]) -> list[str]:
    """Names of arguments that are no scalars of the tape."""
    return [group.name for group in groups if group.shape]


__all__ = ["group_context", "group_names"]
