"""What a formula consists of, whatever it is printed as; math_tree.py reads it off LaTeX.

Node ::= Row | Letter | Figures | Sign | Name | Words | Space
       | Scripts | Fraction | Root | Bar | Brace | Fenced | Grid | Frame | Spill | Large
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """Things side by side; without any it is an empty ordinary atom."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Letter:
    """A name: one letter slanted, a word slanted (`word`), upright or bold."""

    text: str
    style: str = "italic"


@dataclass(frozen=True, slots=True)
class Figures:
    """A number without its sign."""

    text: str


@dataclass(frozen=True, slots=True)
class Sign:
    """An operator, a relation, a bracket, dots; the kind is what TeX calls the class of an atom.

    kind  "rel", "bin", "ord", "punct", "open", "close" or "large" (sums, with limits above and below)
    size  height of a bracket of fixed size in em, 0 for the usual one
    """

    text: str
    kind: str
    size: float = 0.0


PRIME = Sign("\u2032", "ord")


@dataclass(frozen=True, slots=True)
class Name:
    r"""A function's name: `\sin`; `limits` for `\max`, which has its index below it."""

    text: str
    limits: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """Text inside of mathematics."""

    text: str


@dataclass(frozen=True, slots=True)
class Space:
    """Room in em. `glue` is a blank of the source, which shows nothing: `x \\left(` is a product, `f\\left(` a call."""

    em: float
    glue: bool = False


@dataclass(frozen=True, slots=True)
class Scripts:
    """A base with what stands below and above to its right."""

    base: Node
    sub: Node | None
    sup: Node | None


@dataclass(frozen=True, slots=True)
class Fraction:
    r"""A fraction; `small` for \tfrac."""

    above: Node
    below: Node
    small: bool = False


@dataclass(frozen=True, slots=True)
class Root:
    """A square root, or one of another degree."""

    body: Node
    degree: Node | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    r"""A bar over a letter (\bar) or over the whole of something (`wide`, \overline)."""

    body: Node
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Brace:
    """Something over a brace with a note below the brace."""

    body: Node
    below: Node | None


@dataclass(frozen=True, slots=True)
class Fenced:
    """Brackets as tall as what they hold; "" for none."""

    left: str
    body: Row
    right: str


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows of cells; `kind` is the environment's name without a star. tags[k] is row k's number or None."""

    kind: str
    rows: tuple[tuple[Row, ...], ...]
    tags: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """Something in a box with a line around it."""

    body: Node


@dataclass(frozen=True, slots=True)
class Spill:
    """Something that takes no room to its right."""

    body: Node


@dataclass(frozen=True, slots=True)
class Large:
    """Something set as large as on a line of its own."""

    body: Row


Node = (
    Row
    | Letter
    | Figures
    | Sign
    | Name
    | Words
    | Space
    | Scripts
    | Fraction
    | Root
    | Bar
    | Brace
    | Fenced
    | Grid
    | Frame
    | Spill
    | Large
)
