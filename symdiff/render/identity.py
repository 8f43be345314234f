"""What a training is of, in a few letters: a checkpoint goes on only with the same formula and the same rule."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from symdiff.render.context import Sheet
from symdiff.render.printer import TEXT
from symdiff.shapes import shape_text


def identity(sheet: Sheet) -> dict[str, str]:
    """Name -> text for the formula and its update rule; the rule's settings are compared by themselves."""
    update = sheet.update
    formula = [f"{name}: {shape_text(shape)}" for name, shape in sheet.formula.arguments.items()]
    formula += [f"{step.name} = {TEXT(step.expr)}" for step in sheet.people.primal]
    rule = [] if update is None else [f"{line.name} = {TEXT(line.expr)}" for line in update.rule.lines]
    return {"formula": _digest(formula), "rule": _digest(rule)}


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]


__all__ = ["identity"]
