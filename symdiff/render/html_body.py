"""Document -> HTML: the derivation as headings, paragraphs, tables and MathML, without the page around it.

What belongs to a step says so: every equation is a `tbody` with data-step="3'a", every row of the local derivatives one
with data-local="3". Cells with numbers have the class `numbers`, and the symbols that they stand for the class
`symbols`, so that a page can show either.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from markupsafe import Markup

from symdiff.render.document import read
from symdiff.render.document_model import (
    Block,
    Bold,
    Cell,
    Code,
    Display,
    Emph,
    Inline,
    ItemList,
    Math,
    Paragraph,
    Row,
    Section,
    Table,
    Text,
)
from symdiff.render.environment import environment
from symdiff.render.mathml import mathml

SEED = "seed"  # the step that sets the adjoint of the value to 1; it has no equation number
_NUMBER = re.compile(r"(?:=|\\approx)(?![A-Za-z])")
_LABEL = re.compile(r"\(([0-9]+)(?:'[a-z]*)?\)")
_ROOM = re.compile(r"(?:\\quad|\\qquad|\\[,;:! ]|\{\}|\s)*")
_STOP = re.compile(r"[,.;:)\u201d]+")
_SEED = re.compile(r"=\s*1")


def body(latex: str, *, heading: int = 3, prefix: str = "eq-") -> str:
    """The derivation that `latex` (a fragment or an article of ours) holds, as HTML for the inside of a page.

    heading  level of a section's heading
    prefix   of the ids of equations, `eq-3'a`; two derivations in one page need two of them
    """
    document = read(latex)
    writer = _Writer(heading, prefix)
    blocks = [writer.block(block) for block in document.blocks]
    return environment("html").get_template("derivation.html.j2").render(blocks=blocks, prefix=prefix)


def inline(parts: Iterable[Inline]) -> Markup:
    """Words and mathematics of a line, which does not end between a formula and a comma."""
    made: list[Markup] = []
    for part in parts:
        stop = _STOP.match(part.text) if isinstance(part, Text) and made and made[-1].startswith("<math") else None
        if stop is not None:
            made[-1] = Markup('<span class="nobr">{}{}</span>').format(made[-1], stop[0])
            part = Text(stop.string[stop.end() :])
        made.append(_inline(part))
    return Markup("").join(made)


def _inline(part: Inline) -> Markup:
    match part:
        case Text(text):
            return Markup.escape(text)
        case Math(latex, display):
            return Markup(mathml(latex, large=display))
        case Code(text):
            return Markup("<code>{}</code>").format(text)
        case Bold(parts):
            return Markup("<strong>{}</strong>").format(inline(parts))
        case Emph(parts):
            return Markup("<em>{}</em>").format(inline(parts))


class _Writer:
    """The blocks of one derivation as contexts for its template."""

    def __init__(self, heading: int, prefix: str) -> None:
        self.heading, self.prefix = heading, prefix
        self.used: set[str] = set()

    def block(self, block: Block) -> dict[str, Any]:
        match block:
            case Section(number, title, level):
                return {"kind": "heading", "level": self.heading + level - 1, "number": number, "title": inline(title)}
            case Paragraph(parts, heading):
                return {"kind": "paragraph", "parts": inline(parts), "heading": inline(heading)}
            case ItemList(items):
                return {"kind": "list", "items": [inline(item) for item in items]}
            case Table():
                return self._table(block)
            case Display():
                return self._display(block)

    def _anchor(self, step: str | None) -> str:
        """The id of an equation, once for every step."""
        if step is None or step in self.used:
            return ""
        self.used.add(step)
        return self.prefix + step

    # -- tables -------------------------------------------------------------------------------------------------------

    def _table(self, table: Table) -> dict[str, Any]:
        columns = [self._column(table, k, side) for k, side in enumerate(table.columns)]
        rows, step = [], ""
        for parts in table.rows:
            label = _LABEL.fullmatch(_plain(parts[0])) if parts else None
            step = label[1] if label else step if parts and not parts[0] else ""
            cells = [{"of": columns[k], "parts": inline(cell)} for k, cell in enumerate(parts)]
            rows.append({"local": step, "cells": cells})
        header = [{"of": columns[k], "parts": inline(cell)} for k, cell in enumerate(table.header)]
        return {"kind": "table", "header": header, "rows": rows}

    def _column(self, table: Table, k: int, side: str) -> str:
        """Classes of a column; one of numbers holds nothing else, each with its sign."""
        cells = [row[k] for row in table.rows if k < len(row) and row[k]]
        signed = [len(cell) == 1 and isinstance(cell[0], Math) and bool(_NUMBER.match(cell[0].latex)) for cell in cells]
        return side + (" numbers" if cells and all(signed) else "")

    # -- displays -----------------------------------------------------------------------------------------------------

    def _display(self, display: Display) -> dict[str, Any]:
        rows = display.rows
        if display.kind == "plain":
            return {"kind": "plain", "math": Markup(mathml(rows[0].cells[0].latex, display=True))}
        columns = max(len(row.cells) for row in rows)
        groups = list(_groups(rows))
        primed = any(row.tag and "'" in row.tag for row in rows)
        made = []
        for k, group in enumerate(groups):
            step = next((row.tag for row in group if row.tag), None)
            if step is None and k == 0 and primed and _SEED.fullmatch(group[0].cells[-1].latex):
                step = SEED
            made.append({"step": step, "id": self._anchor(step), "rows": _lines(group, columns)})
        kind = " ".join(
            word
            for word, holds in (
                ("boxed", display.boxed),
                ("spaced", display.kind == "align"),
                ("adjoints", primed or display.boxed),
            )
            if holds
        )
        return {"kind": "display", "of": kind, "groups": made, "tagged": any(row.tag for row in rows)}


def _plain(parts: tuple[Inline, ...]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Text)).replace("\u2019", "'")


def _groups(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Rows that belong together: those that no page ends between, and those without a left side."""
    group: list[Row] = []
    joined = False
    for row in rows:
        goes_on = joined or (not row.tag and not row.cells[0].latex)
        if group and not goes_on:
            yield group
            group = []
        group.append(row)
        joined = row.joined
    if group:
        yield group


def _lines(group: Sequence[Row], columns: int) -> list[dict[str, Any]]:
    has_numbers = any(_is_number(k, cell, row) for row in group for k, cell in enumerate(row.cells))
    lines = []
    for row in group:
        cells = [_cell(k, cell, row, columns, has_numbers) for k, cell in enumerate(row.cells)]
        only = any("numbers" in cell["kind"] for cell in cells) and all(
            "numbers" in cell["kind"] or not cell["math"] for cell in cells
        )
        lines.append({"tag": row.tag, "cells": cells, "numbers": only, "gap": f"{row.gap:g}" if row.gap else ""})
    return lines


def _cell(k: int, cell: Cell, row: Row, columns: int, has_numbers: bool) -> dict[str, Any]:
    empty = _ROOM.fullmatch(cell.latex) is not None
    kind = "l" if k % 2 else "r"
    if _is_number(k, cell, row):
        kind += " numbers"
    elif has_numbers and k == 1:
        kind += " symbols"
    math = Markup("") if empty else Markup(mathml(cell.latex, large=True))
    last = k == len(row.cells) - 1
    return {"kind": kind, "math": math, "span": columns - k if cell.spills or last else 1}


def _is_number(k: int, cell: Cell, row: Row) -> bool:
    """Whether a cell gives the numbers of what stands before it: `= 6` in a column of its own or on the next line."""
    if _NUMBER.match(cell.latex) is None:
        return False
    return k >= 3 or (cell.latex.startswith(r"\approx") and k == 1 and not row.cells[0].latex) or cell.spills


__all__ = ["SEED", "body", "inline"]
