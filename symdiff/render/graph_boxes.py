"""How large everything in a drawing is: boxes, numbers above and below a wire, and the room that a node takes.

Lengths are CSS pixels; y grows downwards. A node takes, from left to right, a zone for what stands at the wires that
enter it, a zone in which these bend towards the box, the box, and for the output a piece of wire that leaves it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from symdiff.render.graph_model import Edge, Figure, Graph, Node
from symdiff.render.graph_words import Words

OP_SIZE, INPUT_SIZE, SYMBOL_SIZE, NUMBER_SIZE, LABEL_SIZE = 15.0, 15.0, 12.0, 11.5, 9.5
LINE = 13.5  # from one row of numbers to the next
CLEAR = 4.0  # between a wire and a number
BEND = 22.0  # zone in which wires bend towards the box
PAD = 5.0  # beside a number at a wire
APART = 9.0  # between what two vertices of a layer take
POINT = 5.0  # above and below a wire that passes by
_BOX_HEIGHT, _BOX_WIDTH, _INPUT_HEIGHT, _INPUT_WIDTH = 42.0, 46.0, 28.0, 34.0
_CELL_GAP, _BRACKET = 8.0, 4.0
_ROWS = 4.0  # between what two wires of a node carry
_CLOSEST = 12.0
_PORTS = 22.0  # between the places where the wires of two operands enter a box


@dataclass(frozen=True)
class Size:
    """Width and height."""

    width: float
    height: float


def figure_size(figure: Figure) -> Size:
    """Room for a number, an array or a shape."""
    width = (
        sum(column_widths(figure))
        + _CELL_GAP * (len(figure.rows[0]) - 1)
        + (2 * _BRACKET + 4 if figure.is_array else 0)
    )
    if figure.prefix is not None:
        width += figure.prefix.width(NUMBER_SIZE)
    return Size(width, LINE * len(figure.rows) - 2.0)


def column_widths(figure: Figure) -> list[float]:
    """Width of every column of numbers."""
    columns = zip(*figure.rows, strict=True)
    return [max(cell.width(NUMBER_SIZE) for cell in column) for column in columns]


@dataclass(frozen=True)
class Row:
    """A wire that enters a node: its place below the middle of the box, where it enters that, and what it carries."""

    edge: Edge
    y: float
    port: float
    width: float
    above: float
    below: float


@dataclass(frozen=True)
class Block:
    """A node with everything that belongs to it; y is measured from the middle of the box."""

    node: Node
    width: float
    height: float
    rows: tuple[Row, ...]
    top: float
    bottom: float
    tail: float  # of the wire that leaves the output

    @property
    def label_zone(self) -> float:
        """Width of what stands at the wires."""
        return float(ceil(max((row.width for row in self.rows), default=0.0)))

    @property
    def box_zone(self) -> float:
        """Width of the box and of what stands above and below it."""
        node = self.node
        under = [figure_size(f).width for f in (node.adjoint, node.value) if f is not None and not self.tail]
        return _even(max([self.width, *under, len(node.label) * LABEL_SIZE * 0.6 + 8]))


def _even(length: float) -> float:
    """Rounded up, so that the halves are whole."""
    return 2.0 * ceil(length / 2)


def blocks(graph: Graph) -> list[Block]:
    """Every node measured."""
    return [_block(graph, node) for node in graph.nodes]


def _block(graph: Graph, node: Node) -> Block:
    wires = graph.incoming[node.key]
    width, height = _box(node, len(wires))
    rows = _rows(wires, height)
    ends = node.kind == "output" and not graph.outgoing[node.key]
    tail = 0.0
    if ends:
        figures = [figure_size(f).width for f in (node.value, node.adjoint) if f is not None]
        tail = max([26.0, *(each + 2 * PAD for each in figures)])
    top = max([height / 2 + (LABEL_SIZE + 4 if node.label else 0), *(row.above - row.y for row in rows)])
    under = [figure_size(f).height + 4 for f in (node.value, node.adjoint) if f is not None and not ends]
    bottom = max([height / 2 + sum(under), *(row.y + row.below for row in rows)])
    if ends:  # numbers beside the piece of wire that leaves it
        top = max(top, *[figure_size(f).height + CLEAR + 2 for f in (node.value,) if f is not None], 0.0)
        bottom = max(bottom, *[figure_size(f).height + CLEAR + 2 for f in (node.adjoint,) if f is not None], 0.0)
    return Block(node, _even(width), height, rows, top, bottom, float(ceil(tail)))


def _box(node: Node, wires: int) -> tuple[float, float]:
    if node.symbol is None:
        return max(_INPUT_WIDTH, node.words.width(INPUT_SIZE) + 18), _INPUT_HEIGHT
    wide = max(node.words.width(OP_SIZE), node.symbol.width(SYMBOL_SIZE)) + 16
    return max(_BOX_WIDTH, wide), max(_BOX_HEIGHT, _CLOSEST * (wires - 1) + 14)


def _rows(edges: Sequence[Edge], height: float) -> tuple[Row, ...]:
    """Wires below each other, in the order of the operands, around the middle of the box."""
    sizes = [[figure_size(f) if f is not None else None for f in (edge.value, edge.adjoint)] for edge in edges]
    above = [CLEAR + 2 + size.height if size else POINT for size, _ in sizes]
    below = [CLEAR + 2 + size.height if size else POINT for _, size in sizes]
    wide = [max([size.width + 2 * PAD for size in pair if size] or [0.0]) for pair in sizes]
    apart = max(
        [above[k + 1] + below[k] + _ROWS for k in range(len(edges) - 1)] + [_PORTS * 0.8]
    )  # the same for all: symmetry
    step = min(_PORTS, (height - 10) / max(len(edges) - 1, 1))
    middle = (len(edges) - 1) / 2
    return tuple(
        Row(edge, (k - middle) * apart, (k - middle) * step, wide[k], above[k], below[k])
        for k, edge in enumerate(edges)
    )


def words_height(words: Words, size: float) -> float:
    """Room for letters with what hangs below and stands above."""
    return size * (1.3 if any(run.level for run in words.runs) else 1.15)


__all__ = [
    "APART", "BEND", "CLEAR", "INPUT_SIZE", "LABEL_SIZE", "LINE", "NUMBER_SIZE", "OP_SIZE", "PAD", "POINT",
    "SYMBOL_SIZE", "Block", "Row", "Size", "blocks", "column_widths", "figure_size", "words_height",
]  # fmt: skip
