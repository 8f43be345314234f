"""Scene -> SVG: text that can be selected, colours that a page may set and that know dark mode and print.

The root has the class `symdiff-graph`, and every rule of its style sheet begins with it; there is no id, so two
drawings can be in one page. A node is a group of the class `node input`, `node step` or `node output` with data-name
and, for a step, data-step. An edge is a group with data-from, data-to and data-label, the step that sends along it. It
has two paths: `way`, all of it from box to box, which is not painted, and `wire`, which is (the wires of one node share
their beginning, and it is painted once); a page that lights an edge up gives both a stroke. What stands above a wire
has the class `value`, what stands below it the class `adjoint` and data-adjoint, the variable that it belongs to. A
page sets colours through `--symdiff-ink`, `--symdiff-paper`, `--symdiff-value`, `--symdiff-adjoint` and the others that
`templates/svg/style.svg.j2` reads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from symdiff.render.environment import render
from symdiff.render.graph_scene import Bracket, NodePlace, Path, Scene, Text, Wire
from symdiff.render.graph_words import Run, Words

_SHIFT = {-1: 0.24, 0: 0.0, 1: -0.36}  # of a subscript and of an exponent, in heights of the letters

_TYPICAL = 0.85  # of the width that letters do not exceed: what they have in most fonts
_LOW = frozenset(
    "acegmnopqrsuvwxyz\u03b1\u03b3\u03f5\u03b5\u03b7\u03b9\u03ba\u03bc\u03bd\u03c0\u03c1\u03c3\u03c4\u03c5\u03c7\u03c9"
)


def svg(drawing: Scene) -> str:
    """The drawing as an SVG document, which is ASCII and may also stand inside an HTML page."""
    return render(
        "svg",
        "graph.svg.j2",
        title=drawing.graph.title,
        description=drawing.graph.description,
        width=number(drawing.width),
        height=number(drawing.height),
        nodes=[_node(place) for place in drawing.nodes],
        wires=[_wire(wire, drawing.graph.output) for wire in drawing.wires],
    )


def number(length: float) -> str:
    """A length with at most two decimals."""
    return f"{length:.2f}".rstrip("0").rstrip(".")


def path_data(path: Path) -> str:
    """The `d` of a path."""
    (start,) = path[0]
    parts = [f"M{_point(start)}"]
    for piece in path[1:]:
        parts.append(("L" if len(piece) == 1 else "C") + " ".join(map(_point, piece)))
    return "".join(parts)


def _point(point: tuple[float, float]) -> str:
    return f"{number(point[0])} {number(point[1])}"


def words_context(text: Text) -> dict[str, Any]:
    """One text for the template; every run says how far it stands above or below the one before."""
    runs, level = [], 0
    for run in text.words.runs:
        dy = (_SHIFT[run.level] - _SHIFT[level]) * text.size
        level = run.level
        runs.append({"text": run.text, "kind": _kind(run), "dy": number(dy) if dy else ""})
    x, anchor, bar = text.x, text.anchor, ""
    if text.words.runs and text.words.runs[0].bar:
        bar, x, anchor = _bar(text)
    of = text.of if "adjoint" in text.kind else ""
    return {
        "runs": runs,
        "kind": text.kind,
        "of": of,
        "bar": bar,
        "x": number(x),
        "y": number(text.y),
        "size": number(text.size),
        "anchor": anchor,
    }


def _bar(text: Text) -> tuple[str, float, str]:
    """The line over the letters at the beginning. So that it meets them in any font, the text begins at its left end:
    the fonts of combining macrons, and of `text-decoration`, put it anywhere.
    """
    letters = [letter for run in text.words.runs if run.bar for letter in run.text]
    left = text.x if text.anchor == "start" else text.x - _TYPICAL * text.words.width(text.size) / 2
    width = _TYPICAL * Words(tuple(Run(letter) for letter in letters), "").width(text.size)
    top = text.y - text.size * (0.58 if set(letters) <= _LOW else 0.8)
    return f"M{number(left + 0.1 * text.size)} {number(top)}h{number(width - 0.06 * text.size)}", left, "start"


def _kind(run: Run) -> str:
    return " ".join(name for name, holds in (("it", run.italic), ("low", run.level)) if holds)


def _node(place: NodePlace) -> dict[str, Any]:
    node, box = place.node, place.box
    kind = "node input constant" if node.kind == "constant" else f"node {node.kind}"
    height = box.bottom - box.top
    return {
        "kind": kind,
        "name": node.key,
        "label": node.label,
        "hint": node.hint,
        "x": number(box.left),
        "y": number(box.top),
        "width": number(box.right - box.left),
        "height": number(height),
        "round": number(height / 2 if node.symbol is None else 8.0),
        "texts": [words_context(text) for text in place.texts],
        "brackets": brackets_context(place.brackets),
    }


def _wire(wire: Wire, output: str) -> dict[str, Any]:
    edge, (x, y) = wire.edge, wire.tip
    return {
        "source": output if edge is None else edge.source,
        "target": "" if edge is None else edge.target,
        "label": "" if edge is None else edge.label or "",
        "inactive": edge is not None and edge.label is None,
        "path": path_data(wire.path),
        "branch": path_data(wire.branch),
        "tip": f"M{number(x)} {number(y)}l-8 -3.4l2 3.4l-2 3.4z",
        "texts": [words_context(text) for text in wire.texts],
        "brackets": brackets_context(wire.brackets),
    }


def brackets_context(brackets: Iterable[Bracket]) -> list[dict[str, str]]:
    """Brackets, in the colour of what they hold."""
    return [{"path": path_data(bracket.path), "kind": bracket.kind} for bracket in brackets]


__all__ = ["brackets_context", "number", "path_data", "svg", "words_context"]
