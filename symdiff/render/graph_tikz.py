r"""Scene -> TikZ: every node, wire and number at coordinates, words in LaTeX mathematics.

A document needs `tikz` and what every TeX installation has; a fragment is a picture no wider than the line, for a
document that loads `tikz`. Everything is ASCII.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from symdiff.errors import UnsupportedError
from symdiff.render.environment import render
from symdiff.render.graph_scene import Bracket, Path, Scene, Text
from symdiff.render.graph_svg import number

UNIT = 0.75  # pt of a CSS pixel
_LARGEST = 14_000.0  # pt; TeX knows no lengths beyond 16383, PDF no pages beyond 14400
_ANCHORS = {"start": "base west", "middle": "base", "end": "base east"}


def tikz(drawing: Scene, fragment: bool = False) -> str:
    """The drawing as a document of one page, or as a fragment."""
    return picture(list(_lines(drawing)), drawing.width, drawing.height, drawing.graph.title, fragment)


def picture(lines: list[str], width: float, height: float, title: str, fragment: bool) -> str:
    """A picture around lines of TikZ. Raises UnsupportedError where it is too large for a page of TeX."""
    if max(width, height) * UNIT > _LARGEST:
        metres = max(width, height) * UNIT / 72.27 * 0.0254
        raise UnsupportedError(
            f"the picture is {metres:.1f} m long, and TeX knows no pages beyond {_LARGEST / 72.27 * 0.0254:.1f} m; "
            "take SVG, or draw a node for each statement: level 'statement'"
        )
    return render(
        "tikz",
        "fragment.tex.j2" if fragment else "document.tex.j2",
        title=" ".join("".join(c if c.isascii() and c.isprintable() else " " for c in title).split()),
        lines=lines,
        width=number(width),
        height=number(height),
        unit=number(UNIT),
        paper_width=number(width * UNIT + 2),
        paper_height=number(height * UNIT + 2),
    )


def _lines(drawing: Scene) -> Iterator[str]:
    for wire in drawing.wires:
        yield rf"\draw[wire] {path_tikz(wire.branch)};"
        x, y = wire.tip
        yield rf"\fill[black!45] {_point((x, y))} -- ++(-8,-3.2) -- ++(2,3.2) -- ++(-2,3.2) -- cycle;"
        yield from texts_tikz(wire.texts)
        yield from _brackets(wire.brackets)
    for place in drawing.nodes:
        box, kind = place.box, "box" if place.node.kind == "step" else place.node.kind
        yield rf"\draw[{kind}] {_point((box.left, box.top))} rectangle {_point((box.right, box.bottom))};"
        yield from texts_tikz(place.texts)
        yield from _brackets(place.brackets)


def texts_tikz(texts: Iterable[Text]) -> Iterator[str]:
    """Words as nodes of TikZ, standing on their base line."""
    for text in texts:
        style = f"{text.kind.split()[0]}, draw=none, anchor={_ANCHORS[text.anchor]}"
        yield rf"\node[{style}] at {_point((text.x, text.y))} {{${text.words.latex}$}};"


def _brackets(brackets: Iterable[Bracket]) -> Iterator[str]:
    for bracket in brackets:
        yield rf"\draw[{bracket.kind.split()[0]}, line width=0.4pt] {path_tikz(bracket.path)};"


def path_tikz(path: Path) -> str:
    """A path of lines and curves."""
    (start,) = path[0]
    parts = [_point(start)]
    for piece in path[1:]:
        if len(piece) == 1:
            parts.append(f"-- {_point(piece[0])}")
        else:
            a, b, c = map(_point, piece)
            parts.append(f".. controls {a} and {b} .. {c}")
    return " ".join(parts)


def _point(point: tuple[float, float]) -> str:
    return f"({number(point[0])},{number(point[1])})"


__all__ = ["UNIT", "path_tikz", "picture", "texts_tikz", "tikz"]
