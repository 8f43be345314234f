r"""LaTeX mathematics as MathML Core, which browsers draw themselves: no script, no font of ours, no network.

What a reader of the page hears or copies is right, too: products side by side have an invisible times sign, a function
its application, and the whole formula its LaTeX as `alttext`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from html import escape
from typing import Any

from symdiff.render.math_nodes import (
    PRIME,
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

_TIMES, _APPLY = "\u2062", "\u2061"
_UPRIGHT = "\u2202\u221e\u22a4\u00ac"  # signs that are letters to TeX, too
_THIN = "0.1667em"
_BAR = "\u203e"
_BRACKETS = {"pmatrix": ("(", ")"), "bmatrix": ("[", "]"), "cases": ("{", "")}
_PAIRED = ("aligned", "align", "alignat")  # columns stand right, left, right, left ...
_NONE = {"lspace": "0", "rspace": "0"}
_TALL = {"stretchy": "true", "symmetric": "true"}
_LOWER_ITALIC, _UPPER_ITALIC = 0x1D44E, 0x1D434
_BOLD = {"a": 0x1D41A, "A": 0x1D400, "0": 0x1D7CE}


def mathml(latex: str, display: bool = False, large: bool = False) -> str:
    """A `<math>` element; `display` on a line of its own, `large` in the line but as large as one that is not.

    Raises UnknownMarkError for LaTeX that no notation of ours writes.
    """
    how = ' display="block"' if display else ' displaystyle="true"' if large else ""
    return f'<math{how} alttext="{escape(latex)}">{_written(latex)}</math>'


@lru_cache(maxsize=4096)
def _written(latex: str) -> str:
    return _row(parse_math(latex))


def _mathml(node: Node) -> str:
    return _WRITERS[type(node)](node)


# -- rows -------------------------------------------------------------------------------------------------------------


def _row(row: Row) -> str:
    inside = "".join(_pieces(row))
    return inside if len(row.items) == 1 and inside.startswith("<m") else f"<mrow>{inside}</mrow>"


def _pieces(row: Row) -> Iterator[str]:
    """The items with what is invisible between them."""
    items = row.items
    before: Node | None = None  # the last one that is more than room
    touches = False
    for k, item in enumerate(items):
        after = next((each for each in items[k + 1 :] if not isinstance(each, Space)), None)
        if isinstance(item, Space):
            yield _space(item, before, after)
            touches = False
            continue
        if before is not None and touches:
            yield _between(before, item)
        yield _operator(item, before, after)
        before, touches = item, True


def _between(left: Node, right: Node) -> str:
    """The sign that nobody writes between two things side by side."""
    head = _core(left)
    if isinstance(head, Name) or (isinstance(head, Letter) and _class(right) in ("open", "fenced")):
        if isinstance(head, Letter) and isinstance(_core(right), Sign) and right != Sign("(", "open"):
            return ""  # x[1] is an element
        return _mo(_APPLY) if _class(right) in ("open", "fenced") else _gap(_THIN)
    return _product("0") if _is_product(left, right) else ""


def _space(space: Space, left: Node | None, right: Node | None) -> str:
    if left is not None and right is not None and (space.glue or space.em < 0.2) and space.em >= 0:
        if isinstance(_core(left), Name):
            return _between(left, right)
        if _is_product(left, right):
            return _product(_THIN if not space.glue or isinstance(_core(right), Name) else "0")
    return "" if space.glue else _gap(f"{space.em:.4g}em")


def _gap(width: str) -> str:
    return f'<mspace width="{width}"/>'


def _product(room: str) -> str:
    return _mo(_TIMES, lspace="0", rspace=room)


def _is_product(left: Node, right: Node) -> bool:
    ends = _class(left) in ("operand", "close", "fenced")
    return ends and _class(right) in ("operand", "open", "fenced", "name", "large")


def _core(node: Node) -> Node:
    return _core(node.base) if isinstance(node, Scripts) else node


def _class(node: Node) -> str:
    """What a thing is to its neighbours."""
    node = _core(node)
    if isinstance(node, Sign):
        return node.kind
    if isinstance(node, Fenced):
        return "fenced"
    if isinstance(node, Name):
        return "name"
    if isinstance(node, Space | Words | Spill | Large) or node == Row(()):
        return "other"
    return "operand"


def _operator(node: Node, before: Node | None, after: Node | None) -> str:
    """A sign knows from its neighbours whether it stands between two things or in front of one."""
    if not isinstance(node, Sign) or node.kind != "bin":
        return _mathml(node)
    if before is None or after is None or _class(before) in ("bin", "rel", "open", "punct", "large", "name"):
        return _mo(node.text, form="prefix", **_NONE)
    return _mo(node.text, form="infix")


def _mo(text: str, **attributes: str) -> str:
    shown = "".join(f' {name}="{value}"' for name, value in attributes.items())
    return f"<mo{shown}>{escape(text)}</mo>"


# -- leaves -----------------------------------------------------------------------------------------------------------


def _letter(node: Letter) -> str:
    if node.style == "bold":
        return f"<mi>{''.join(map(_bold, node.text))}</mi>"
    if node.style == "word":
        return f"<mi>{''.join(map(_slanted, node.text))}</mi>"
    upright = ' mathvariant="normal"' if node.style == "upright" else ""
    return f"<mi{upright}>{escape(node.text)}</mi>"


def _bold(letter: str) -> str:
    for start, code in _BOLD.items():
        last = "9" if start == "0" else chr(ord(start) + 25)
        if start <= letter <= last:
            return chr(code + ord(letter) - ord(start))
    return escape(letter)


def _slanted(letter: str) -> str:
    if letter == "h":
        return "\u210e"  # the one letter that is not in the row of the others
    if "a" <= letter <= "z":
        return chr(_LOWER_ITALIC + ord(letter) - ord("a"))
    return chr(_UPPER_ITALIC + ord(letter) - ord("A")) if "A" <= letter <= "Z" else escape(letter)


def _sign(node: Sign) -> str:
    if node.size:
        size = f"{node.size:g}em"
        return _mo(node.text, minsize=size, maxsize=size, **_NONE, **_TALL)
    if node.kind == "ord" and node.text in _UPRIGHT:
        return f'<mi mathvariant="normal">{node.text}</mi>'
    if node.kind == "ord":
        return _mo(node.text, stretchy="false", **_NONE)
    if node.kind in ("open", "close"):
        return _mo(node.text, form="prefix" if node.kind == "open" else "postfix", stretchy="false", **_NONE)
    if node.kind == "large":
        return _mo(node.text, lspace="0", rspace=_THIN)
    return _mo(node.text, stretchy="false") if node.text in "←→↦" else _mo(node.text)


def _name(node: Name) -> str:
    if node.limits:
        return _mo(node.text, movablelimits="true", **_NONE)
    return f'<mi mathvariant="normal">{escape(node.text)}</mi>'


# -- what holds other things ------------------------------------------------------------------------------------------


def _scripts(node: Scripts) -> str:
    """Indices and exponents. A prime stands beside the base: as an exponent, browsers raise it twice."""
    base, above = _mathml(node.base), node.sup
    parts = [_script(part) for part in (node.sub,) if part is not None]
    primes = 0
    items = above.items if isinstance(above, Row) else (above,)
    while primes < len(items) and items[primes] == PRIME:
        primes += 1
    if primes:
        above = Row(items[primes:]) if items[primes:] else None  # type: ignore[arg-type]
        if node.sub is None or above is not None:
            base = f"<mrow>{base}{_sign(PRIME) * primes}</mrow>"
            primes = 0
    parts += [_script(part) for part in (above,) if part is not None]
    if parts:
        limits = isinstance(node.base, Name) and node.base.limits
        limits = limits or (isinstance(node.base, Sign) and node.base.kind == "large")
        under, over, both = ("munder", "mover", "munderover") if limits else ("msub", "msup", "msubsup")
        tag = both if len(parts) == 2 else under if node.sub is not None else over
        base = f"<{tag}>{base}{''.join(parts)}</{tag}>"
    return f"<mrow>{base}{_sign(PRIME) * primes}</mrow>" if primes else base


def _script(node: Node) -> str:
    """Small mathematics is set without room around its signs, as TeX does."""
    if isinstance(node, Row):
        return _row(Row(tuple(_tight(item) for item in node.items)))
    return _mathml(_tight(node))


def _tight(node: Node) -> Node:
    return Sign(node.text, "ord") if isinstance(node, Sign) and node.kind in ("rel", "bin") else node


def _fraction(node: Fraction) -> str:
    small = ' displaystyle="false"' if node.small else ""
    return f"<mfrac{small}>{_mathml(node.above)}{_mathml(node.below)}</mfrac>"


def _root(node: Root) -> str:
    if node.degree is None:
        return f"<msqrt>{_mathml(node.body)}</msqrt>"
    return f"<mroot>{_mathml(node.body)}{_mathml(node.degree)}</mroot>"


def _bar(node: Bar) -> str:
    if node.wide:  # a character over the row would be stretched in some fonts only
        return f'<mrow style="border-top:0.06em solid;padding-top:0.12em">{_mathml(node.body)}</mrow>'
    return f'<mover accent="true">{_mathml(node.body)}{_mo(_BAR, stretchy="false")}</mover>'


def _brace(node: Brace) -> str:
    body = f"<munder><mrow>{_mathml(node.body)}</mrow>{_mo('⏟', stretchy='true')}</munder>"
    return body if node.below is None else f"<munder>{body}{_mathml(node.below)}</munder>"


def _between_fences(left: str, inside: str, right: str) -> str:
    opening = _mo(left, form="prefix", **_NONE, **_TALL) if left else ""
    closing = _mo(right, form="postfix", **_NONE, **_TALL) if right else ""
    return f"<mrow>{opening}{inside}{closing}</mrow>"


def _grid(node: Grid) -> str:
    rows = []
    for cells, tag in zip(node.rows, node.tags, strict=True):
        shown = [_cell(cell, _style(node.kind, k, len(cells))) for k, cell in enumerate(cells)]
        if tag:
            shown.append(f"<mtd><mtext>({escape(tag)})</mtext></mtd>")
        rows.append(f"<mtr>{''.join(shown)}</mtr>")
    large = ' displaystyle="true"' if node.kind in _PAIRED else ""
    table = f"<mtable{large}>{''.join(rows)}</mtable>"
    if node.kind == "smallmatrix":
        return f'<mstyle scriptlevel="1">{table}</mstyle>'
    brackets = _BRACKETS.get(node.kind)
    return _between_fences(brackets[0], table, brackets[1]) if brackets else table


def _cell(cell: Row, style: str) -> str:
    shown = f' style="{style}"' if style else ""
    return f"<mtd{shown}>{_row(cell) if cell.items else ''}</mtd>"


def _style(kind: str, column: int, columns: int) -> str:
    """Where a cell stands in its column, and how close to a bracket; MathML Core leaves both to CSS."""
    if kind in _PAIRED:
        return f"text-align:{'left' if column % 2 else 'right'};padding-left:0;padding-right:0"
    if kind == "cases":
        return "text-align:left;padding-left:0" if column == 0 else "text-align:left"
    if kind == "substack":
        return "padding:0.12em 0"
    left = "padding-left:0.1em" if column == 0 else ""
    right = "padding-right:0.1em" if column + 1 == columns else ""
    return ";".join(part for part in (left, right) if part)


_WRITERS: dict[type[Any], Callable[[Any], str]] = {
    Row: _row,
    Letter: _letter,
    Figures: lambda node: f"<mn>{node.text}</mn>",
    Sign: _sign,
    Name: _name,
    Words: lambda node: f"<mtext>{escape(node.text).replace(' ', chr(0xA0))}</mtext>",
    Space: lambda node: _gap(f"{node.em:.4g}em"),
    Scripts: _scripts,
    Fraction: _fraction,
    Root: _root,
    Bar: _bar,
    Brace: _brace,
    Fenced: lambda node: _between_fences(node.left, "".join(_pieces(node.body)), node.right),
    Grid: _grid,
    Frame: lambda node: f'<mrow style="border:1px solid;padding:0.4em">{_mathml(node.body)}</mrow>',
    Spill: lambda node: f'<mpadded width="0">{_mathml(node.body)}</mpadded>',
    Large: lambda node: f'<mstyle displaystyle="true">{_row(node.body)}</mstyle>',
}
