"""The parts that a derivation consists of, whatever it is printed as; document.py reads them off our LaTeX."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """Words; Unicode, nothing escaped. A line end of the source is one space."""

    text: str


@dataclass(frozen=True, slots=True)
class Math:
    """A formula in the line; `display` where it is set as large as one on a line of its own."""

    latex: str
    display: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Typewriter letters; "\\u200b" stands where a line may end."""

    text: str


@dataclass(frozen=True, slots=True)
class Bold:
    """Bold words."""

    parts: tuple[Inline, ...]


@dataclass(frozen=True, slots=True)
class Emph:
    """Stressed words."""

    parts: tuple[Inline, ...]


Inline = Text | Math | Code | Bold | Emph


@dataclass(frozen=True, slots=True)
class Section:
    """A heading: `number` is "" or "3", level 1 is a section of the derivation, 2 one inside of it."""

    number: str
    title: tuple[Inline, ...]
    level: int = 1


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; `heading` is what runs in bold in front of it (`Conventions.`) or ()."""

    parts: tuple[Inline, ...]
    heading: tuple[Inline, ...] = ()


@dataclass(frozen=True, slots=True)
class ItemList:
    """A list with bullets."""

    items: tuple[tuple[Inline, ...], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table: `columns` are "l", "c" or "r", one for each; a cell is a tuple of inline parts, perhaps ().

    joined[k] says that row k belongs to the one before it (no page ends between them).
    long says that the table may go on on the next page and then repeats its header.
    """

    columns: tuple[str, ...]
    header: tuple[tuple[Inline, ...], ...]
    rows: tuple[tuple[tuple[Inline, ...], ...], ...]
    joined: tuple[bool, ...] = ()
    long: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    r"""One cell of an alignment, set large. `spills`: it takes no room in its column (LaTeX's \rlap)."""

    latex: str
    spills: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A line of an alignment. Cells 0, 2, 4 stand right in their columns, cells 1, 3, 5 left.

    tag     "3'a" without brackets, or None
    gap     pt of room below it, more than usual
    joined  no page ends between this line and the next
    """

    cells: tuple[Cell, ...]
    tag: str | None = None
    gap: float = 0.0
    joined: bool = False


@dataclass(frozen=True, slots=True)
class Display:
    """Mathematics on lines of its own.

    kind    "plain" (one row of one cell), "align" (room between the pairs of columns) or "alignat" (none)
    boxed   in a frame
    """

    kind: str
    rows: tuple[Row, ...]
    boxed: bool = False


Block = Section | Paragraph | ItemList | Table | Display


@dataclass(frozen=True, slots=True)
class Document:
    """A derivation, or a part of one; a fragment has no title."""

    blocks: tuple[Block, ...]
    title: tuple[Inline, ...] = ()
    subtitle: tuple[Inline, ...] = ()
