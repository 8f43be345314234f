"""C for long formulas: functions of a few hundred statements each, over a workspace.

Compilers need more than linear time for one function of many thousand statements, so the steps are cut into chunks. A
variable that only its own chunk uses is a local; one that other chunks use too lives in the workspace `sd_w` and is
loaded and stored by the chunks that need it. Inputs are read where they are used, and a result is written as soon as
it is complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from symdiff.expr import Expr, Name
from symdiff.render.c_function import Function
from symdiff.tape import Step

_CHUNK = 250  # statements; the compile time per statement is flat around this


@dataclass
class _Chunk:
    name: str
    steps: list[Step] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    stores: list[str] = field(default_factory=list)

    @property
    def body(self) -> str:
        """The lines as one indented text: a template takes as long for each piece as it takes to make one."""
        return "\n    ".join([*self.loads, *self.lines, *self.stores])


def chunked(function: Function) -> dict[str, Any]:
    """Template context of a function that is cut into chunks.

    slots      numbers that chunks hand on to one another
    workspace  these, one point and its results: what callers bring where it is too much for the stack
    frame      locals of the largest chunk, as without optimisation: chunks run one after the other, so that is all
    """
    steps = function.tape.steps
    chunks = [
        _Chunk(f"sd_{function.kind}_{number + 1}", list(steps[start : start + _CHUNK]))
        for number, start in enumerate(range(0, len(steps), _CHUNK))
    ]
    shared = _shared(chunks)
    at_input = {given.name: k for k, given in enumerate(function.tape.inputs)}
    results = _results(function)
    written: set[str] = set()
    printer = function.printer()
    for chunk in chunks:
        _fill(chunk, function, shared, at_input, written)
        chunk.lines = [function.statement(step, printer) for step in chunk.steps]
    _place_results(chunks, results, function, at_input)
    text = [printer.step(form.expr) for form in function.tape.forms]  # every call that a line has
    slots = max(1, len(shared))
    return {
        "chunks": chunks,
        "late_results": results.get(None, []),
        "slots": slots,
        "workspace": slots + len(function.inputs) + len(function.outputs),
        "frame": max((len(chunk.steps) + len(chunk.loads) for chunk in chunks), default=0),
        "pairs": False,
        "text": text,
    }


def _shared(chunks: list[_Chunk]) -> dict[str, int]:
    """Names that live in more than one chunk, each with its place in the workspace."""
    home: dict[str, int] = {}
    slots: dict[str, int] = {}
    for number, chunk in enumerate(chunks):
        for step in chunk.steps:
            for name in (*step.operands, step.target):
                if home.setdefault(name, number) != number and name not in slots:
                    slots[name] = len(slots)
    return slots


def _fill(
    chunk: _Chunk, function: Function, shared: dict[str, int], at_input: dict[str, int], written: set[str]
) -> None:
    """Loads before the statements of a chunk, and stores behind them."""
    real, names = function.real, function.names
    known: set[str] = set()
    changed: dict[str, None] = {}
    adds = {step.into for step in chunk.steps if step.into is not None}
    for step in chunk.steps:
        needed = list(step.operands)
        if step.into is not None and step.name not in function.first:
            needed.append(step.into)
        for name in needed:
            if name in known:
                continue
            known.add(name)
            if name in at_input:
                chunk.loads.append(f"const {real} {names[name]} = sd_in[{at_input[name]}];")
            elif name in shared and name in written:
                kind = real if name in adds else f"const {real}"
                chunk.loads.append(f"{kind} {names[name]} = sd_w[{shared[name]}];")
        known.add(step.target)
        if step.target in shared:
            changed[step.target] = None
    written.update(changed)
    chunk.stores = [f"sd_w[{shared[name]}] = {names[name]};" for name in changed]


def _results(function: Function) -> dict[str | None, list[tuple[int, Expr]]]:
    """Variable -> outputs that are its value; None for those that are constants."""
    found: dict[str | None, list[tuple[int, Expr]]] = {}
    for k, (_, expr) in enumerate(function.tape.outputs):
        found.setdefault(expr.id if isinstance(expr, Name) else None, []).append((k, expr))
    return found


def _place_results(
    chunks: list[_Chunk], results: dict[str | None, list[Any]], function: Function, at_input: dict[str, int]
) -> None:
    """Write each result in the chunk in which its variable is complete; constants and inputs at the very end."""
    printer = function.printer()
    last = {step.target: chunk for chunk in chunks for step in chunk.steps}
    late = [f"sd_out[{k}] = {printer(expr)};" for k, expr in results.pop(None, [])]
    for name, outputs in results.items():
        assert name is not None
        for k, _ in outputs:
            if name in last:
                last[name].stores.append(f"sd_out[{k}] = {function.names[name]};")
            else:
                late.append(f"sd_out[{k}] = sd_in[{at_input[name]}];")
    results[None] = late
