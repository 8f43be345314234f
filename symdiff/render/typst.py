"""A derivation as the source of Typst, a typesetter that comes as one Python package: PDF without TeX.

The words, formulas and places are those of the LaTeX article (document.py reads them off it); how they look is in
templates/typst/. Whatever a formula holds arrives there as a string or as code points, never as Typst code.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

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
from symdiff.render.environment import render
from symdiff.render.typst_math import string, typst_math


def typst_source(latex: str) -> str:
    """Typst, in ASCII, for an article of ours, or for a fragment, which has no title.

    Raises UnknownMarkError for LaTeX that is not ours.
    """
    document = read(latex)
    blocks = document.blocks
    follows: list[Block | None] = [*blocks[1:], None]
    made = [_block(block, after) for block, after in zip(blocks, follows, strict=True)]
    plain = "".join(_plain(document.title))
    return render(
        "typst",
        "derivation.typ.j2",
        plain_title=string(plain),
        title=_inline(document.title),
        subtitle=_inline(document.subtitle),
        blocks=made,
    )


def _plain(parts: Iterable[Inline]) -> Iterable[str]:
    for part in parts:
        if isinstance(part, Text | Code):
            yield part.text.replace("\u200b", "")


def _inline(parts: Iterable[Inline]) -> str:
    return "".join(map(_part, parts))


def _part(part: Inline) -> str:
    if isinstance(part, Text):
        return f"#{string(part.text)};"
    if isinstance(part, Code):
        return f"#raw({string(part.text)});"
    if isinstance(part, Bold):
        return f"#strong[{_inline(part.parts)}]"
    if isinstance(part, Emph):
        return f"#emph[{_inline(part.parts)}]"
    return _formula(part)


def _formula(part: Math) -> str:
    shown = typst_math(part.latex)
    return f"$display({shown})$" if part.display else f"${shown}$"


def _block(block: Block, after: Block | None) -> dict[str, Any]:
    """What the template prints for one block; a paragraph is kept with the display or the list that it introduces."""
    if isinstance(block, Section):
        return {"kind": "section", "number": string(block.number), "title": _inline(block.title), "level": block.level}
    if isinstance(block, Paragraph):
        leads = isinstance(after, Display | ItemList | Table)
        heading = _inline(block.heading)
        return {"kind": "paragraph", "heading": heading, "body": _inline(block.parts), "leads": leads}
    if isinstance(block, ItemList):
        return {"kind": "items", "items": [_inline(item) for item in block.items]}
    if isinstance(block, Table):
        return _table(block)
    rows = [_row(row, len(max(block.rows, key=lambda each: len(each.cells)).cells)) for row in block.rows]
    return {"kind": "display", "style": block.kind, "boxed": block.boxed, "rows": rows}


def _table(table: Table) -> dict[str, Any]:
    sides = {"l": "left", "c": "center", "r": "right"}
    return {
        "kind": "table",
        "columns": [sides[column] for column in table.columns],
        "header": [_inline(cell) for cell in table.header],
        "rows": [
            {"together": together, "cells": [_inline(cell) for cell in row]}
            for row, together in zip(table.rows, _together(table.joined), strict=True)
        ],
    }


def _together(joined: tuple[bool, ...]) -> list[int]:
    """For the first row of every group how many rows it has, for the others 0."""
    starts = [k for k, follows in enumerate(joined) if not follows or k == 0]
    lengths = dict(zip(starts, (end - start for start, end in pairwise([*starts, len(joined)])), strict=True))
    return [lengths.get(k, 0) for k in range(len(joined))]


def _row(row: Row, columns: int) -> dict[str, Any]:
    cells = [*row.cells, *[Cell("")] * (columns - len(row.cells))]
    return {
        "cells": [{"body": _cell(cell, k), "spills": cell.spills} for k, cell in enumerate(cells)],
        "tag": _tag(row.tag),
        "gap": row.gap,
        "joined": row.joined,
    }


def _cell(cell: Cell, column: int) -> str:
    return typst_math(cell.latex, column % 2 == 1) if cell.latex else ""


def _tag(tag: str | None) -> str:
    """`(3'a)` in upright letters with a prime that is a prime."""
    if tag is None:
        return ""
    number, prime, slot = tag.partition("'")
    mark = r'attach("", tr: \u{2032})' if prime else ""
    return f"{string('(' + number)}{mark}{string(slot + ')')}"
