"""Dead steps: what no output depends on is not printed."""

from __future__ import annotations

from dataclasses import replace

from symdiff.expr import Number, names
from symdiff.tape import PRIMAL, Note, Tape


def drop_unused(tape: Tape) -> Tape:
    """`tape` without the steps that no output needs; a note says which primal steps went."""
    needed = {name for _, expr in tape.outputs for name in names(expr)}
    kept = []
    gone: list[Note] = []
    for step in reversed(tape.steps):
        if step.name in needed or (step.into is not None and step.into in needed):
            kept.append(step)
            needed.update(step.operands)
        elif step.role == PRIMAL:
            gone.append(Note(step.n, step.name, repr(step.expr.value) if isinstance(step.expr, Number) else None))
    return replace(tape, steps=tuple(reversed(kept)), notes=tape.notes + tuple(reversed(gone)))
