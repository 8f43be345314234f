"""Graph -> Scene: a place for everything, which SVG and TikZ print alike.

    Scene  ::= size, nodes, wires
    Node   ::= box, texts
    Wire   ::= a path of straight pieces and curves, an arrow tip, texts and brackets

Columns alternate with gaps. Boxes and texts are in columns, where wires run straight from left to right at places of
their own; all that bends is in the gaps and, inside a node's own room, right before its box. So no wire crosses a box
or a text, by construction; `tests/render/test_graph_layout.py` measures it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from symdiff.render.graph_boxes import (
    APART,
    BEND,
    CLEAR,
    INPUT_SIZE,
    LABEL_SIZE,
    LINE,
    NUMBER_SIZE,
    OP_SIZE,
    POINT,
    SYMBOL_SIZE,
    Block,
    Row,
    blocks,
    column_widths,
    figure_size,
)  # fmt: skip
from symdiff.render.graph_heights import Extents, heights
from symdiff.render.graph_layers import Layered, layered
from symdiff.render.graph_model import Edge, Figure, Graph, Node
from symdiff.render.graph_order import ordered
from symdiff.render.graph_straight import straightened
from symdiff.render.graph_words import Words, text

_MARGIN = 16.0
_TIP = 7.0  # length of an arrow
_GAP, _WIDEST_GAP, _SLOPE = 26.0, 110.0, 0.22  # a gap is wider where wires climb far
_CELL_GAP, _BRACKET, _SLACK = 8.0, 4.0, 0.07

Point = tuple[float, float]
Path = tuple[tuple[Point, ...], ...]  # the first piece is one point; a line has one more, a curve has three more


@dataclass(frozen=True)
class Box:
    """Left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Text:
    """Words on a line: `x` is where `anchor` (start, middle, end) is, `y` the line that letters stand on."""

    words: Words
    x: float
    y: float
    size: float
    kind: str
    anchor: str = "middle"
    of: str = ""

    @property
    def box(self) -> Box:
        """Room that the letters do not leave."""
        width = self.words.width(self.size)
        left = self.x - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return Box(left, self.y - 0.78 * self.size, left + width, self.y + 0.24 * self.size)


@dataclass(frozen=True)
class Bracket:
    """A bracket beside the numbers of an array, of the kind that these are."""

    path: Path
    kind: str


@dataclass(frozen=True)
class NodePlace:
    """A node: its box, its texts, and brackets around the numbers of an array."""

    node: Node
    box: Box
    texts: tuple[Text, ...]
    brackets: tuple[Bracket, ...] = ()


@dataclass(frozen=True)
class Wire:
    """An edge, or (without one) the piece that leaves the output. `branch` is what no wire before it has drawn."""

    edge: Edge | None
    path: Path
    branch: Path
    texts: tuple[Text, ...]
    brackets: tuple[Bracket, ...]
    tip: Point


@dataclass(frozen=True)
class Scene:
    """Everything with its place."""

    graph: Graph
    width: float
    height: float
    nodes: tuple[NodePlace, ...]
    wires: tuple[Wire, ...]


def scene(graph: Graph) -> Scene:
    """The drawing of a graph."""
    return _Scene(graph).made()


class _Scene:
    def __init__(self, graph: Graph) -> None:
        self.graph, self.blocks = graph, blocks(graph)
        self.number = {node.key: k for k, node in enumerate(graph.nodes)}
        operands = [[self.number[edge.source] for edge in graph.incoming[node.key]] for node in graph.nodes]
        free = [k for k, sources in enumerate(operands) if not sources]
        output = self.number[graph.output]
        self.layered = layered(operands, free, output)
        self.order = ordered(self.layered, output)
        self.y = self._heights()
        self.lefts, self.rights, self.labels = self._columns()
        self._drawn: dict[int, list[list[int]]] = {}  # routes of the wires that leave a node

    def made(self) -> Scene:
        nodes = tuple(self._node(k) for k in range(len(self.blocks)))
        wires = [self._wire(k, row) for k, block in enumerate(self.blocks) for row in block.rows]
        wires += [self._tail(k) for k, block in enumerate(self.blocks) if block.tail]
        bottom = max(self.y[k] + block.bottom for k, block in enumerate(self.blocks))
        bottom = max([bottom, *self.y])
        return Scene(self.graph, self.rights[-1] + _MARGIN, bottom + _MARGIN, nodes, tuple(wires))

    def _heights(self) -> list[float]:
        made: Layered = self.layered
        points = len(made.layer) - len(self.blocks)
        extents = Extents(
            [block.top + APART / 2 for block in self.blocks] + [POINT] * points,
            [block.bottom + APART / 2 for block in self.blocks] + [POINT] * points,
        )
        for segment in made.segments:
            if not made.is_point(segment.end):
                extents.entry[segment] = self.blocks[segment.end].rows[segment.slot].y
        found = straightened(made, self.order, extents, heights(made, self.order, extents))
        least = min(place - extents.above[vertex] for vertex, place in enumerate(found))
        return [round(place - least + _MARGIN - APART / 2, 2) for place in found]

    # -- columns ------------------------------------------------------------------------------------------------------

    def _columns(self) -> tuple[list[float], list[float], list[float]]:
        """Left and right end of every column, and the right end of its zone for numbers."""
        lefts, rights, labels = [], [], []
        x = _MARGIN
        for layer, column in enumerate(self.order):
            own = [self.blocks[vertex] for vertex in column if not self.layered.is_point(vertex)]
            if layer:
                x += self._gap(layer)
            label = max((block.label_zone for block in own), default=0.0)
            bend = BEND if any(block.rows for block in own) else 0.0
            box = max((block.box_zone for block in own), default=0.0)
            lefts.append(x)
            labels.append(x + label)
            x += label + bend + box + max((self._beyond(block, box) for block in own), default=0.0)
            rights.append(x)
        self.middles = [self._middle(layer, labels[layer]) for layer in range(len(self.order))]
        return lefts, rights, labels

    def _beyond(self, block: Block, zone: float) -> float:
        """What the piece of wire that leaves a box takes beyond the zone of the boxes."""
        return max(block.tail + _TIP - (zone - block.width) / 2, 0.0) if block.tail else 0.0

    def _middle(self, layer: int, label: float) -> float:
        own = [self.blocks[vertex] for vertex in self.order[layer] if not self.layered.is_point(vertex)]
        bend = BEND if any(block.rows for block in own) else 0.0
        return label + bend + max((block.box_zone for block in own), default=0.0) / 2

    def _gap(self, layer: int) -> float:
        """Wide enough for the wires between two columns to climb."""
        climbs = [
            abs(self.y[segment.start] - self.y[segment.end] - self._entry(segment.end, segment.slot))
            for vertex in self.order[layer]
            for segment in self.layered.before[vertex]
        ]
        return float(round(min(_GAP + _SLOPE * max(climbs, default=0.0), _WIDEST_GAP)))

    def _entry(self, vertex: int, slot: int) -> float:
        return 0.0 if self.layered.is_point(vertex) else self.blocks[vertex].rows[slot].y

    # -- nodes --------------------------------------------------------------------------------------------------------

    def _node(self, k: int) -> NodePlace:
        block, x, y = self.blocks[k], self.middles[self.layered.layer[k]], self.y[k]
        node = block.node
        box = Box(x - block.width / 2, y - block.height / 2, x + block.width / 2, y + block.height / 2)
        texts = list(_inside(node, x, y))
        if node.label:
            texts.append(Text(_label(node.label), x, box.top - 4, LABEL_SIZE, "label"))
        brackets: list[Bracket] = []
        if not block.tail:
            at = box.bottom + 4
            for figure, kind in ((node.value, "value"), (node.adjoint, "adjoint total")):
                if figure is not None:
                    size = figure_size(figure)
                    made, lines = figure_texts(figure, x - size.width / 2, at, kind, node.key)
                    texts += made
                    brackets += lines
                    at += size.height + 4
        return NodePlace(node, box, tuple(texts), tuple(brackets))

    # -- wires --------------------------------------------------------------------------------------------------------

    def _wire(self, k: int, row: Row) -> Wire:
        """The wire of one operand, from the box of its source."""
        route, shared = self._route(k, row), self._shared(k, row)
        whole, branch = self._path(route[0]), self._path(route[max(shared, 1) - 1], shared > 0)
        for at, vertex in enumerate(route[1:], 1):
            for path in (whole, branch) if at >= max(shared, 1) else (whole,):
                self._to(path, route[at - 1], vertex, row)
        texts, brackets = beside(
            row.edge.value, row.edge.adjoint, self._number_middle(k), self.y[k] + row.y, row.edge.source
        )
        tip = (self.middles[self.layered.layer[k]] - self.blocks[k].width / 2, self.y[k] + row.port)
        return Wire(row.edge, whole.pieces, branch.pieces, texts, brackets, tip)

    def _route(self, k: int, row: Row) -> list[int]:
        """The vertices of a wire with both nodes."""
        source = self.number[row.edge.source]
        return [source, *self.layered.routes[source, k, row.edge.slot], k]

    def _shared(self, k: int, row: Row) -> int:
        """How many vertices a wire has in common with one drawn before it; it branches off behind them."""
        route = self._route(k, row)[:-1]
        common = 0
        for other in self._drawn.setdefault(route[0], []):
            same = 0
            while same < min(len(route), len(other)) and route[same] == other[same]:
                same += 1
            common = max(common, same)
        self._drawn[route[0]].append(route)
        return common

    def _path(self, vertex: int, behind: bool = False) -> _Path:
        """A path that begins at the box of a node, or at the end of the column that a wire passes."""
        layer = self.layered.layer[vertex]
        point = self.layered.is_point(vertex) or behind
        x = self.rights[layer] if point else self.middles[layer] + self.blocks[vertex].width / 2
        return _Path((x, self.y[vertex]))

    def _to(self, path: _Path, here: int, vertex: int, row: Row) -> None:
        """On to the next vertex."""
        layer = self.layered.layer[vertex]
        path.line(self.rights[self.layered.layer[here]])
        if self.layered.is_point(vertex):
            path.curve(self.lefts[layer], self.y[vertex])
            return
        path.curve(self.lefts[layer], self.y[vertex] + row.y)
        path.line(self.labels[layer])
        path.curve(self.labels[layer] + BEND - _TIP, self.y[vertex] + row.port)
        path.line(self.middles[layer] - self.blocks[vertex].width / 2 - _TIP)

    def _number_middle(self, k: int) -> float:
        """The middle of the numbers at the wires that enter a node."""
        layer = self.layered.layer[k]
        return (self.lefts[layer] + self.labels[layer]) / 2

    def _tail(self, k: int) -> Wire:
        block, y = self.blocks[k], self.y[k]
        left = self.middles[self.layered.layer[k]] + block.width / 2
        path = _Path((left, y))
        path.line(left + block.tail)
        texts, brackets = beside(block.node.value, block.node.adjoint, left + block.tail / 2, y, block.node.key)
        return Wire(None, path.pieces, path.pieces, texts, brackets, (left + block.tail + _TIP, y))


class _Path:
    """A path that is being drawn; pieces that go on straight become one."""

    def __init__(self, start: Point) -> None:
        self._pieces: list[tuple[Point, ...]] = [(start,)]

    @property
    def pieces(self) -> Path:
        """What has been drawn."""
        return tuple(tuple((round(x, 2), round(y, 2)) for x, y in piece) for piece in self._pieces)

    def line(self, x: float) -> None:
        """Straight on to `x`."""
        here = self._pieces[-1][-1]
        if x <= here[0]:
            return
        if len(self._pieces) > 1 and len(self._pieces[-1]) == 1:
            self._pieces.pop()
        self._pieces.append(((x, here[1]),))

    def curve(self, x: float, y: float) -> None:
        """To another height."""
        here = self._pieces[-1][-1]
        if abs(here[1] - y) < 0.05:
            self.line(x)
            return
        middle = (here[0] + x) / 2
        self._pieces.append(((middle, here[1]), (middle, y), (x, y)))


# -- texts -------------------------------------------------------------------------------------------------------------


def _label(label: str) -> Words:
    """`(3)`; of a statement the numbers of its steps."""
    first, dash, last = label.partition("-")
    return text(f"({first}\u2013{last})", rf"\mathrm{{({first}\mbox{{--}}{last})}}") if dash else text(f"({label})")


def _inside(node: Node, x: float, y: float) -> Iterator[Text]:
    if node.symbol is None:
        yield Text(node.words, x, y + 0.32 * INPUT_SIZE, INPUT_SIZE, "symbol")
        return
    yield Text(node.words, x, y - 3.5 + 0.12 * OP_SIZE, OP_SIZE, "op")
    yield Text(node.symbol, x, y + 14.0, SYMBOL_SIZE, "name")


def beside(
    above: Figure | None, below: Figure | None, x: float, y: float, of: str
) -> tuple[tuple[Text, ...], tuple[Bracket, ...]]:
    """The value above and the adjoint below a wire, around `x`."""
    texts: list[Text] = []
    brackets: list[Bracket] = []
    for figure, kind in ((above, "value"), (below, "adjoint")):
        if figure is None:
            continue
        size = figure_size(figure)
        top = y - CLEAR - size.height if kind == "value" else y + CLEAR
        made, lines = figure_texts(figure, x - size.width / 2, top, kind, of)
        texts += made
        brackets += lines
    return tuple(texts), tuple(brackets)


def figure_texts(figure: Figure, left: float, top: float, kind: str, of: str) -> tuple[list[Text], list[Bracket]]:
    """The texts of a figure whose room begins at `left` and `top`."""
    size = figure_size(figure)
    texts: list[Text] = []
    x = left
    middle = top + size.height / 2 + 0.3 * NUMBER_SIZE
    if figure.prefix is not None and not figure.is_array and len(figure.rows[0]) == 1:
        whole = figure.prefix + figure.rows[0][0]
        return [Text(whole, left + size.width / 2, middle, NUMBER_SIZE, kind, of=of)], []
    if figure.prefix is not None:
        texts.append(Text(figure.prefix, x, middle, NUMBER_SIZE, kind, "start", of))
        x += figure.prefix.width(NUMBER_SIZE)
    if not figure.is_array:
        texts.append(Text(figure.rows[0][0], left + size.width / 2, middle, NUMBER_SIZE, kind, of=of))
        return texts, []
    inside = x + _BRACKET + 2
    for k, row in enumerate(figure.rows):
        end = inside
        for cell, width in zip(row, column_widths(figure), strict=True):
            end += width  # letters seldom take all of their room, and the rest of it is on both sides
            texts.append(
                Text(cell, end - _SLACK * width, top + LINE * k + 0.86 * NUMBER_SIZE, NUMBER_SIZE, kind, "end", of)
            )
            end += _CELL_GAP
    return texts, _brackets(x, top, end - _CELL_GAP + 2 + _BRACKET, top + size.height, kind)


def _brackets(left: float, top: float, right: float, bottom: float, kind: str) -> list[Bracket]:
    return [
        Bracket((((x + turn, top),), ((x, top),), ((x, bottom),), ((x + turn, bottom),)), kind)
        for x, turn in ((left, 3.0), (right, -3.0))
    ]


def points(path: Path, pieces: int = 16) -> list[Point]:
    """Points along a path, for tests and for whoever wants to know where it runs."""
    found: list[Point] = [path[0][0]]
    for piece in path[1:]:
        if len(piece) == 1:
            found.append(piece[0])
            continue
        a, (b, c, d) = found[-1], piece
        for k in range(1, pieces + 1):
            t = k / pieces
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            found.append(tuple(sum(w * p[i] for w, p in zip(weights, (a, b, c, d), strict=True)) for i in (0, 1)))  # type: ignore[arg-type]  # two coordinates
    return found


__all__ = ["Box", "Bracket", "NodePlace", "Scene", "Text", "Wire", "beside", "figure_texts", "points", "scene"]
