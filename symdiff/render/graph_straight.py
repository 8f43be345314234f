"""Wires straightened further, once every vertex has a height: each is moved to where its wires climb least.

A vertex, or a whole set of vertices that straight wires join, is moved to the median of the heights at which one of
its wires is straight, as far as its neighbours leave room (Sugiyama's priority idea, with medians as in Gansner et al.
1993, section 4.2). No move makes the wires climb more, so it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

from symdiff.render.graph_heights import Extents
from symdiff.render.graph_layers import Layered
from symdiff.render.graph_order import Order

_ROUNDS = 16
_STRAIGHT = 0.05


def straightened(graph: Layered, order: Order, extents: Extents, y: list[float]) -> list[float]:
    """The heights after the moves."""
    work = _Straightener(graph, order, extents, list(y))
    for turn in range(_ROUNDS):
        sets = list(work.joined() if turn % 2 else work.single())
        moves = [work.move(vertices) for vertices in sets]
        if not any(moves) and turn % 2:
            break
    return work.y


class _Straightener:
    def __init__(self, graph: Layered, order: Order, extents: Extents, y: list[float]) -> None:
        self.graph, self.extents, self.y = graph, extents, y
        self.above: list[int | None] = [None] * len(y)
        self.below: list[int | None] = [None] * len(y)
        for column in order:
            for upper, lower in pairwise(column):
                self.above[lower], self.below[upper] = upper, lower
        self.ends = [(s.start, s.end, extents.enters(s)) for s in graph.segments]

    def single(self) -> Iterator[list[int]]:
        """Every node, and the points of every wire as far as it is straight."""
        yield from self._sets(lambda a, b: self.graph.is_point(a) and self.graph.is_point(b))

    def joined(self) -> Iterator[list[int]]:
        """Everything that straight wires join."""
        yield from self._sets(lambda a, b: True)

    def _sets(self, joins: Callable[[int, int], bool]) -> Iterator[list[int]]:
        root = list(range(len(self.y)))

        def find(k: int) -> int:
            while root[k] != k:
                root[k] = root[root[k]]
                k = root[k]
            return k

        for a, b, entry in self.ends:
            if joins(a, b) and abs(self.y[a] - self.y[b] - entry) < _STRAIGHT:
                root[find(b)] = find(a)
        found: dict[int, list[int]] = {}
        for k in range(len(root)):
            found.setdefault(find(k), []).append(k)
        yield from found.values()

    def move(self, vertices: list[int]) -> bool:
        """Move a set as far as that straightens its wires; whether it has moved."""
        inside = set(vertices)
        wishes = sorted(self._wishes(vertices, inside))
        if not wishes:
            return False
        low, high = wishes[(len(wishes) - 1) // 2], wishes[len(wishes) // 2]
        wish = min(max(0.0, low), high)
        up, down = self._room(vertices, inside)
        shift = min(max(wish, up), down)
        if abs(shift) < _STRAIGHT:
            return False
        for vertex in vertices:
            self.y[vertex] += shift
        return True

    def _wishes(self, vertices: list[int], inside: set[int]) -> Iterator[float]:
        """By how much the set would have to move for each wire that leaves it to be straight."""
        y, enters = self.y, self.extents.enters
        for vertex in vertices:
            for s in self.graph.before[vertex]:
                if s.start not in inside:
                    yield y[s.start] - enters(s) - y[vertex]
            for s in self.graph.after[vertex]:
                if s.end not in inside:
                    yield y[s.end] + enters(s) - y[vertex]

    def _room(self, vertices: list[int], inside: set[int]) -> tuple[float, float]:
        """How far the set can move up (not above 0) and down (not below 0)."""
        up, down = -1e9, 1e9
        for vertex in vertices:
            upper, lower = self.above[vertex], self.below[vertex]
            if upper is not None and upper not in inside:
                up = max(up, self.y[upper] + self.extents.apart(upper, vertex) - self.y[vertex])
            if lower is not None and lower not in inside:
                down = min(down, self.y[lower] - self.extents.apart(vertex, lower) - self.y[vertex])
        return min(up, 0.0), max(down, 0.0)


__all__ = ["straightened"]
