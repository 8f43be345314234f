r"""What notebooks show of a formula, a program and a trace: HTML with MathML, and LaTeX.

The HTML needs no script, no network and no ids of its own, and takes its colours from the notebook. Making a page must
be quick: beyond `MOST` steps it has no derivation. The objects that have pages are in `symdiff.render.shown`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from symdiff.formula_data import FormulaData
from symdiff.render.context import Sheet
from symdiff.render.derivation import latex as latex_of
from symdiff.render.derivation_options import Options
from symdiff.render.document import read
from symdiff.render.document_model import Block, Display, Document, Inline, Math, Section, Table, Text
from symdiff.render.environment import environment
from symdiff.render.html_body import body, inline
from symdiff.render.mathml import mathml
from symdiff.render.shown import Page, Shown
from symdiff.shapes import shape_text
from symdiff.tape import Tape
from symdiff.trace import Trace

MOST = 200  # steps; a longer derivation is for a file
_INPUTS = 40  # rows of the table of inputs
_STEPS = Options(style="steps")


# -- pages ------------------------------------------------------------------------------------------------------------


class DerivationView(Shown):
    """A derivation: notebooks show it, `print` gives its text.

    Folded it is statement and gradient, with every step behind a heading that opens; without `latex` it is `what`.
    """

    def __init__(self, what: str, latex: str | None, text: Callable[[], str], *, folded: bool = True) -> None:
        self.what, self.latex, self.folded = what, latex, folded
        self._text = text

    def _page(self) -> Page:
        if self.latex is None:
            return _made(f"{self.what}. Its derivation is too long for a notebook; .pdf() and .html() make a file.")
        document = read(self.latex)
        displays = _displays(_section(document, first=True)) + _boxed(document)
        if self.folded:
            return _made(f"{self.what}.", displays, details=_body(self.latex))
        return _made("", latex=displays, derivation=_body(self.latex))

    def _plain(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return self._text()

    def __repr__(self) -> str:
        return f"<symdiff derivation: {self.what}>"


def program_words(primal: Tape, wrt: Sequence[str]) -> str:
    """`Value and gradient by w, x, 8 steps`."""
    return f"{'Value and gradient by ' + _listed(wrt) if wrt else 'Value'}, {_count(primal)}"


def is_short(tape: Tape) -> bool:
    """Whether a notebook shows its derivation."""
    return len(tape.steps) <= 4 * MOST and len(tape.primal) <= MOST


def formula_page(data: FormulaData, primal: Tape) -> Page:
    """The formula as typed, and its inputs with their shapes."""
    displays: list[Display] = []
    if is_short(primal):
        sheet = Sheet("formula", data, primal, primal, "value")
        displays = _displays(_section(read(latex_of(sheet, None, options=_STEPS)), first=True))
    return _made("" if displays else f"A formula of {_count(primal)}", displays, inputs=_inputs(data))


def trace_page(trace: Trace, data: FormulaData) -> Page:
    """A row for every input and every step, with its value, its local derivatives and its adjoint."""
    tape = trace.tape
    if not is_short(tape):
        return _made(f"A trace of {_count(tape)}, too many for a notebook: print it, or take .json().")
    sheet = Sheet("formula", data, tape, tape, "gradient" if tape.wrt else "value")
    document = read(latex_of(sheet, trace, options=_STEPS))
    tables = [block for block in _section(document, first=False) if isinstance(block, Table)]
    rows = [(joined, row) for table in tables for joined, row in zip(table.joined, table.rows, strict=True)]
    header, boxed = tables[0].header, _boxed(document)
    table = {
        "header": [inline(cell) for cell in header],
        "rows": [{"joined": joined, "cells": [inline(cell) for cell in row]} for joined, row in rows],
    }
    return _made("", boxed, table=table, latex=[_array([header, *(row for _, row in rows)]), *boxed])


# -- pieces -----------------------------------------------------------------------------------------------------------


def _made(
    what: str,
    displays: Sequence[Display] = (),
    *,
    inputs: Sequence[tuple[str, str, str]] = (),
    table: Mapping[str, Any] | None = None,
    derivation: str = "",
    details: str = "",
    latex: Sequence[Display | str] | None = None,
) -> Page:
    """The page; `latex` is what the LaTeX is made of where that is not the displays alone."""
    shown = [each if isinstance(each, str) else _aligned(each) for each in (displays if latex is None else latex)]
    context = {
        "what": what,
        "displays": [Markup(mathml(_aligned(each), display=True)) for each in displays],
        "inputs": inputs[:_INPUTS],
        "more": max(len(inputs) - _INPUTS, 0),
        "table": table,
        "derivation": Markup(derivation),
        "details": Markup(details),
    }
    html = environment("html").get_template("notebook.html.j2").render(context)
    return Page(html, "\n\n".join(rf"$\displaystyle {text}$" for text in shown))


def _aligned(display: Display) -> str:
    """One formula for all lines of a display."""
    if display.kind == "plain":
        return display.rows[0].cells[0].latex
    apart = r"\quad " if display.kind == "align" else ""  # room between the pairs of columns
    rows = [
        " & ".join((apart if k >= 3 and k % 2 else "") + cell.latex for k, cell in enumerate(row.cells))
        for row in display.rows
    ]
    inside = r"\begin{aligned} " + r" \\ ".join(rows) + r" \end{aligned}"
    return rf"\boxed{{{inside}}}" if display.boxed else inside


def _array(rows: Sequence[Sequence[tuple[Inline, ...]]]) -> str:
    """A table of mathematics in LaTeX for MathJax, which has no tabular."""
    columns = "r" + "l" * (len(rows[0]) - 1)
    lines = [" & ".join(" ".join(map(_part, cell)) for cell in row) for row in rows]
    return rf"\begin{{array}}{{{columns}}} " + r" \\ ".join(lines) + r" \end{array}"


def _part(part: Inline) -> str:
    if isinstance(part, Math):
        return rf"\displaystyle {part.latex}"
    assert isinstance(part, Text)  # the tables of steps have nothing else
    return rf"\text{{{part.text}}}"


def _section(document: Document, *, first: bool) -> list[Block]:
    """The blocks of the first section, the statement, or of all others."""
    places = [k for k, block in enumerate(document.blocks) if isinstance(block, Section) and block.level == 1]
    end = places[1] if len(places) > 1 else len(document.blocks)
    return list(document.blocks[:end] if first else document.blocks[end:])


def _displays(blocks: Iterable[Block]) -> list[Display]:
    return [block for block in blocks if isinstance(block, Display)]


def _boxed(document: Document) -> list[Display]:
    """The results."""
    return [display for display in _displays(document.blocks) if display.boxed]


def _body(latex: str) -> str:
    """The derivation as HTML; its anchors are its own, as a page of a notebook has many."""
    mark = hashlib.sha256(latex.encode()).hexdigest()[:8]
    return body(latex, heading=4, prefix=f"eq-{mark}-")


def _inputs(data: FormulaData) -> list[tuple[str, str, str]]:
    """Name, shape and use of every argument."""
    constants = {group.name for group in data.groups if group.constant} or set(data.constants)
    found = []
    for name, shape in data.arguments.items():
        use = "constant" if name in constants else "variable"
        default = data.defaults.get(name)
        if default is not None:
            use += f", by default {default!r}" if isinstance(default, float | int) else ", has a default"
        found.append((name, shape_text(shape) if shape else "a number", use))
    return found


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= _INPUTS else f"{len(names)} variables"


def _count(tape: Tape) -> str:
    steps = len(tape.primal)
    return f"{steps:,} step{'' if steps == 1 else 's'}"


__all__ = [
    "MOST",
    "DerivationView",
    "formula_page",
    "is_short",
    "program_words",
    "trace_page",
]
