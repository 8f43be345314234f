"""The order of the vertices in their layers: few crossings, by barycentres and exchanges of neighbours.

Sugiyama, Tagawa, Toda, Methods for Visual Understanding of Hierarchical System Structures (1981); the exchanges of
neighbours as in Gansner, Koutsofios, North, Vo, A Technique for Drawing Directed Graphs (1993).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence

from symdiff.render.graph_layers import Layered, Segment

_SWEEPS = 24
_PATIENCE = 5  # sweeps without fewer crossings
_MOST_EXCHANGES = 1200  # vertices; larger graphs do with one first order and without exchanges

Order = list[list[int]]


def ordered(graph: Layered, root: int) -> Order:
    """The vertices of every layer from top to bottom. `root` is the output, from which the first orders are found."""
    best: Order = []
    least = -1
    for turned in (False, True) if len(graph.layer) <= _MOST_EXCHANGES else (False,):
        order = _first(graph, root, turned)
        found, crossings = _improved(graph, order)
        if least < 0 or crossings < least:
            best, least = found, crossings
    return best


def _improved(graph: Layered, order: Order) -> tuple[Order, int]:
    """The best order that sweeps lead to, and its crossings."""
    best, least = [list(column) for column in order], _Crossings(graph, order).total()
    waited = 0
    for sweep in range(_SWEEPS):
        if least == 0 or waited > _PATIENCE:
            break
        _sweep(graph, order, forward=sweep % 2 == 0)
        if len(graph.layer) <= _MOST_EXCHANGES:
            _exchange(graph, order)
        found = _Crossings(graph, order).total()
        waited += 1
        if found < least:
            best, least, waited = [list(column) for column in order], found, 0
    return best, least


def _first(graph: Layered, root: int, turned: bool) -> Order:
    """Depth first from the output back to the inputs, operands in order, or turned around."""
    order: Order = [[] for _ in range(max(graph.layer, default=-1) + 1)]
    seen = [False] * len(graph.layer)
    for start in (root, *reversed(range(len(graph.layer)))):
        work = [start]
        while work:
            vertex = work.pop()
            if seen[vertex]:
                continue
            seen[vertex] = True
            order[graph.layer[vertex]].append(vertex)
            sources = [segment.start for segment in graph.before[vertex]]
            work.extend(sources if turned else reversed(sources))
    return order


def _places(order: Order, vertices: int) -> list[int]:
    found = [0] * vertices
    for column in order:
        for place, vertex in enumerate(column):
            found[vertex] = place
    return found


def _entry(graph: Layered, segment: Segment) -> float:
    """Where a segment enters its vertex, between -1/2 and 1/2."""
    count = len(graph.before[segment.end])
    return (segment.slot + 0.5) / count - 0.5 if count > 1 else 0.0


def _sweep(graph: Layered, order: Order, forward: bool) -> None:
    """Sort every layer by the barycentres of the one before (or behind) it."""
    place = _places(order, len(graph.layer))
    layers = range(1, len(order)) if forward else range(len(order) - 2, -1, -1)
    for layer in layers:
        column = order[layer]
        keys = {}
        for vertex in column:
            if forward:
                ends = [float(place[segment.start]) for segment in graph.before[vertex]]
            else:
                ends = [place[segment.end] + _entry(graph, segment) for segment in graph.after[vertex]]
            keys[vertex] = sum(ends) / len(ends) if ends else float(place[vertex])
        column.sort(key=lambda vertex: keys[vertex])
        for k, vertex in enumerate(column):
            place[vertex] = k


class _Crossings:
    """Counts the crossings of an order."""

    def __init__(self, graph: Layered, order: Order) -> None:
        self.graph, self.order, self.place = graph, order, _places(order, len(graph.layer))

    def total(self) -> int:
        """All crossings."""
        return sum(self._between(column) for column in self.order[:-1])

    def _between(self, column: Sequence[int]) -> int:
        seen: list[float] = []
        found = 0
        for vertex in column:
            ends = [self.place[s.end] + _entry(self.graph, s) for s in self.graph.after[vertex]]
            for end in ends:  # segments of one vertex do not cross
                found += len(seen) - bisect_right(seen, end)
            for end in ends:
                insort(seen, end)
        return found


def _exchange(graph: Layered, order: Order) -> None:
    """Exchange neighbours as long as that takes crossings away."""
    place = _places(order, len(graph.layer))
    entries = {id(s): _entry(graph, s) for s in graph.segments}

    def ends(vertex: int, forward: bool) -> list[float]:
        if forward:
            return [place[s.end] + entries[id(s)] for s in graph.after[vertex]]
        return [float(place[s.start]) for s in graph.before[vertex]]

    for _ in range(4):
        moved = False
        for column in order:
            for k in range(len(column) - 1):
                a, b = column[k], column[k + 1]
                gain = sum(_gain(ends(a, way), ends(b, way)) for way in (False, True))
                if gain > 0:
                    column[k], column[k + 1] = b, a
                    place[a], place[b] = k + 1, k
                    moved = True
        if not moved:
            break


def _gain(above: list[float], below: list[float]) -> int:
    """Crossings that vanish if the vertex above goes below."""
    return sum((a > b) - (a < b) for a in above for b in below)


__all__ = ["Order", "ordered"]
