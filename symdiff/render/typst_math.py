r"""LaTeX mathematics as Typst's.

Every sign is written by its code point, every word as a string: nothing that a formula holds can be read as Typst code,
and no bracket or dot is taken for one of Typst's abbreviations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from symdiff.render.math_nodes import (
    Bar,
    Brace,
    Fenced,
    Figures,
    Fraction,
    Frame,
    Grid,
    Large,
    Letter,
    Name,
    Node,
    Root,
    Row,
    Scripts,
    Sign,
    Space,
    Spill,
    Words,
)
from symdiff.render.math_tree import parse_math

_THIN, _NOTHING = "#h(0.1667em)", "#h(0em)"
_CLASSES = {"ord": "normal", "open": "opening", "close": "closing"}
_OWN_CLASS = frozenset("()[]{}")  # what Typst knows to be an opening or a closing bracket
_DELIMITERS = {"pmatrix": '"("', "bmatrix": '"["', "cases": '("{", none)'}
_GAPS = {  # of rows and columns, as LaTeX sets them
    "pmatrix": "row-gap: #0.55em, column-gap: #0.9em",
    "bmatrix": "row-gap: #0.55em, column-gap: #0.9em",
    "matrix": "row-gap: #0.55em, column-gap: #0.9em",
    "array": "row-gap: #0.55em, column-gap: #0.9em",
    "cases": "row-gap: #0.55em, column-gap: #1em, align: #left",
    "smallmatrix": "row-gap: #0.35em, column-gap: #0.5em",
    "substack": "row-gap: #0.35em",
}


@lru_cache(maxsize=4096)
def typst_math(latex: str, right_side: bool = False) -> str:
    """The inside of `$...$`; a right side may begin with a relation, which then has its room, as in amsmath.

    Raises UnknownMarkError for LaTeX that no notation of ours writes.
    """
    row = parse_math(latex)
    front = '"" ' if right_side and row.items and _is_infix(row.items[0]) else ""
    return front + _row(row)


def string(text: str) -> str:
    """A string of Typst, in ASCII."""
    return '"' + "".join(map(_quoted, text)) + '"'


def _quoted(letter: str) -> str:
    if letter in '"\\':
        return "\\" + letter
    return letter if letter.isascii() and letter.isprintable() else f"\\u{{{ord(letter):x}}}"


def _code(text: str) -> str:
    """Signs by their numbers; Typst knows what is a relation and what is an operator."""
    return "".join(f"\\u{{{ord(letter):x}}}" for letter in text)


def _typst(node: Node) -> str:
    return _WRITERS[type(node)](node)


def _row(row: Row) -> str:
    """Things side by side; `\"\"` is TeX's empty atom, beside which a relation keeps its room."""
    if not row.items:
        return '""'
    found: list[str] = []
    before: Node | None = None
    for k, item in enumerate(row.items):
        if not (isinstance(item, Space) and item.glue):
            if before is not None and _sticks(before, item):
                found.append(_NOTHING)
            found.append(_typst(item))
            before = item
        elif isinstance(_core(row.items[k + 1]), Name) and not isinstance(before, Sign):
            found.append(_THIN)  # Typst leaves none between a number and a function
    return " ".join(found)


def _sticks(left: Node, right: Node) -> bool:
    """Whether Typst would leave room between a word and its neighbour that TeX does not leave."""
    if not _is_word(left) and not _is_word(right):
        return False
    return not any(isinstance(each, Space) or _is_infix(each) for each in (left, right))


def _is_word(node: Node) -> bool:
    if isinstance(node, Bar):
        return _is_word(node.body)
    core = _core(node)
    return isinstance(core, Words) or (isinstance(core, Letter) and len(core.text) > 1)


def _is_infix(node: Node) -> bool:
    """Whether the node is an operator or a relation, with room on both sides."""
    return isinstance(node, Sign) and node.kind in ("rel", "bin")


def _core(node: Node | None) -> Node | None:
    return _core(node.base) if isinstance(node, Scripts) else node


def _letter(node: Letter) -> str:
    if len(node.text) == 1:
        shown = node.text if node.text.isascii() and node.text.isalpha() else _code(node.text)
    else:
        shown = string(node.text)
    if node.style == "bold":
        return f"bold(upright({shown}))"
    if node.style == "upright":
        return f"upright({shown})"
    return f"italic({shown})" if node.style == "word" else shown


def _sign(node: Sign) -> str:
    shown = _code(node.text)
    if node.size:
        shown = f"stretch({shown}, size: #{node.size:g}em)"
    elif node.kind not in _CLASSES or node.text in _OWN_CLASS:
        return shown
    return f'class("{_CLASSES[node.kind]}", {shown})'


def _name(node: Name) -> str:
    return f"op({string(node.text)}, limits: #{'true' if node.limits else 'false'})"


def _scripts(node: Scripts) -> str:
    large = isinstance(node.base, Sign) and node.base.kind == "large"
    large = large or (isinstance(node.base, Name) and node.base.limits)
    below, above = ("b", "t") if large else ("br", "tr")
    parts = [_typst(node.base)]
    parts += [f"{place}: {_typst(part)}" for place, part in ((below, node.sub), (above, node.sup)) if part is not None]
    return f"attach({', '.join(parts)})"


def _fraction(node: Fraction) -> str:
    shown = f"frac({_typst(node.above)}, {_typst(node.below)})"
    return f"inline({shown})" if node.small else shown


def _root(node: Root) -> str:
    if node.degree is None:
        return f"sqrt({_typst(node.body)})"
    return f"root({_typst(node.degree)}, {_typst(node.body)})"


def _fenced(node: Fenced) -> str:
    left, right = (_code(sign) or '""' for sign in (node.left, node.right))
    return f"lr({left} {_row(node.body)} {right})"


def _grid(node: Grid) -> str:
    if node.kind not in _GAPS:  # lines of one formula, as inside of a frame
        lines = r" \ ".join(" & ".join(_row(cell) for cell in cells) for cells in node.rows)
        return f"display({lines})"
    size = "script" if node.kind in ("smallmatrix", "substack") else "inline"
    rows = "; ".join(", ".join(f"{size}({_row(cell)})" for cell in cells) for cells in node.rows)
    return f"mat(delim: #{_DELIMITERS.get(node.kind, 'none')}, {_GAPS[node.kind]}, {rows})"


_WRITERS: dict[type[Any], Callable[[Any], str]] = {
    Row: _row,
    Letter: _letter,
    Figures: lambda node: node.text,
    Sign: _sign,
    Name: _name,
    Words: lambda node: string(node.text),
    Space: lambda node: f"#h({node.em:.4f}em)",
    Scripts: _scripts,
    Fraction: _fraction,
    Root: _root,
    Bar: lambda node: f"{'overline' if node.wide else 'macron'}({_typst(node.body)})",
    Brace: lambda node: f"underbrace({_typst(node.body)}, {_typst(node.below or Row(()))})",
    Fenced: _fenced,
    Grid: _grid,
    Frame: lambda node: f"#box(stroke: 0.4pt, inset: 6pt, $display({_typst(node.body)})$)",
    Spill: lambda node: f"#box(width: 0pt, $display({_typst(node.body)})$)",
    Large: lambda node: f"display({_row(node.body)})",
}
