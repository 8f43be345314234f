"""The section on the update rule in plain text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from symdiff.expr import Name
from symdiff.render.array_figures import flat_array, text_number
from symdiff.render.printer import TEXT, Printer, plain_number
from symdiff.render.text_notation import WIDTH, filled
from symdiff.render.update_model import UpdateModel
from symdiff.rule import Line


def update_text(model: UpdateModel, put_in: Callable[[str], str | None]) -> dict[str, Any]:
    """Ready-made lines for the template; `put_in` gives a variable's derivative where that is short."""
    update = model.update
    title = f"Update rule: {model.rule.name}" + (f" ({model.rule.source})" if model.rule.source else "")
    said = "One update makes new values out of the variables and their adjoints"
    said += "; each line holds for every element." if model.has_arrays else "."
    if model.rule.states:
        old, new = update.parameters[0].states[0]
        said += f" States, such as {old}, start at 0, and new ones, such as {new}, take their places."
    if update.count is not None:
        said += f" {update.count} is the number of the update, from 1."
    if model.figures is not None:
        said += " The numbers are those of the first update."
    return model.context() | {
        "title": title,
        "said": filled(said),
        "settings": [row for name, _, value in update.settings for row in filled(f"{name} = {_plain(value)}", 4, 2)],
        "lines": [row for _, line in model.lines for row in _rows(model, line)],
        "put_in": _with_gradient(model, put_in),
    }


def _plain(value: float) -> str:
    return repr(value).removesuffix(".0")


def _rows(model: UpdateModel, line: Line) -> list[str]:
    """`W_new = W - eta*W_bar  ~ 0.5`, the number below where there is no room."""
    body, number = f"  {line.name} = {TEXT(line.expr)}", ""
    if model.figures is not None:
        exact = model.figures.exact(Name(line.name))
        shown = flat_array(model.figures.value(Name(line.name)), text_number(exact), model.figures.digits)
        number = ("= " if exact else "~ ") + shown
    one = f"{body}  {number}".rstrip()
    if len(one) <= WIDTH:
        return [one]
    return [*filled(body.strip(), 6, 2), *(filled(number, 8, 6) if number else [])]


def _with_gradient(model: UpdateModel, put_in: Callable[[str], str | None]) -> list[str]:
    """The line that reads the adjoint, with the derivative in its place."""
    place, rows = model.bar_line, []
    for each in model.update.parameters if place is not None else ():
        text = put_in(each.name)
        if text is None:
            continue
        line = each.lines[place or 0]
        shown = text if text.isidentifier() else f"({text})"
        printer = Printer("text", {each.bar: shown}, plain_number, {})
        rows += filled(f"{line.name} = {printer(line.expr)}", 6, 2)
    return rows


__all__ = ["update_text"]
