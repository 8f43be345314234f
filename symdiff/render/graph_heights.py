"""How high every vertex stands: wires straight where that can be, nothing closer to its neighbour than both are high.

Brandes, Koepf, Fast and Simple Horizontal Coordinate Assignment (2001): vertices are aligned in blocks four times, from
the left and from the right, upwards and downwards; the median of the four is taken. A vertex has a height of its own
above and below its wire, and wires enter a node at several places (Ruegg et al., Size- and Port-Aware Horizontal Node
Coordinate Assignment, 2015), so a vertex of a block is shifted against its neighbour. The blocks are packed by longest
paths over the pairs of neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from symdiff.render.graph_layers import Layered, Segment
from symdiff.render.graph_order import Order

Entry = Callable[[Segment], float]


@dataclass
class Extents:
    """Room above and below the wire of every vertex, and where (below the middle) a segment enters its vertex."""

    above: list[float]
    below: list[float]
    entry: dict[Segment, float] = field(default_factory=dict)

    def apart(self, upper: int, lower: int) -> float:
        """The least distance of two neighbours."""
        return self.below[upper] + self.above[lower]

    def enters(self, segment: Segment) -> float:
        """Where a segment enters its vertex."""
        return self.entry.get(segment, 0.0)


def heights(graph: Layered, order: Order, extents: Extents) -> list[float]:
    """The place of every vertex; no two of a layer overlap, and their order is kept."""
    crossed = _crossed(graph, order)
    found = []
    for forward in (True, False):
        for down in (True, False):
            block = _Blocks(graph, order, extents, forward, down, crossed)
            found.append(block.places())
    widths = [max(each) - min(each) for each in found]
    narrow = found[widths.index(min(widths))]
    for k, each in enumerate(found):
        down = k % 2 == 0
        shift = min(narrow) - min(each) if down else max(narrow) - max(each)
        found[k] = [place + shift for place in each]
    return [sum(sorted(four)[1:3]) / 2 for four in zip(*found, strict=True)]


def _crossed(graph: Layered, order: Order) -> set[Segment]:
    """Segments that cross a piece of a wire in its middle, which is to be straight."""
    place = [0] * len(graph.layer)
    for column in order:
        for k, vertex in enumerate(column):
            place[vertex] = k
    found: set[Segment] = set()
    for column in order[:-1]:
        segments = [segment for vertex in column for segment in graph.after[vertex]]
        inner = [s for s in segments if graph.is_point(s.start) and graph.is_point(s.end)]
        for s in segments:
            if graph.is_point(s.start) and graph.is_point(s.end):
                continue
            for t in inner:
                if (place[s.start] - place[t.start]) * (place[s.end] - place[t.end]) < 0:
                    found.add(s)
                    break
    return found


class _Blocks:
    """One of the four alignments."""

    def __init__(
        self, graph: Layered, order: Order, extents: Extents, forward: bool, down: bool, crossed: set[Segment]
    ) -> None:
        self.graph, self.extents, self.forward, self.down, self.crossed = graph, extents, forward, down, crossed
        self.order = order if down else [column[::-1] for column in order]
        self.place = [0] * len(graph.layer)
        for column in self.order:
            for k, vertex in enumerate(column):
                self.place[vertex] = k
        self.root = list(range(len(graph.layer)))
        self.offset = [0.0] * len(graph.layer)  # against the root of the block

    def places(self) -> list[float]:
        """The place of every vertex in this alignment."""
        self._align()
        blocks = self._packed()
        sign = 1.0 if self.down else -1.0
        return [sign * (blocks[self.root[vertex]] + self.offset[vertex]) for vertex in range(len(self.root))]

    def _align(self) -> None:
        """Join every vertex with a middle neighbour of the layer before, if no other join is crossed."""
        layers = range(1, len(self.order)) if self.forward else range(len(self.order) - 2, -1, -1)
        taken = [False] * len(self.root)
        for layer in layers:
            reached = -1
            for vertex in self.order[layer]:
                for segment in self._candidates(vertex):
                    other = segment.start if self.forward else segment.end
                    if taken[other] or self.place[other] <= reached or segment in self.crossed:
                        continue
                    taken[other] = True
                    self.root[vertex] = self.root[other]
                    self.offset[vertex] = self.offset[other] + self._shift(segment)
                    reached = self.place[other]
                    break

    def _shift(self, segment: Segment) -> float:
        """How far the later vertex stands below the earlier one where the segment is straight."""
        shift = -self.extents.enters(segment) * (1 if self.forward else -1)
        return shift if self.down else -shift

    def _candidates(self, vertex: int) -> list[Segment]:
        """The wire that goes on, else the segments to the one or two neighbours in the middle."""
        graph = self.graph
        segments = graph.before[vertex] if self.forward else graph.after[vertex]
        if self.forward and not graph.is_point(vertex):  # a wire that goes on is straight before its branches are
            segments = [segment for segment in segments if not self._goes_on(segment.start)]
        if graph.is_point(vertex) and not self.forward:
            straight = [segment for segment in segments if graph.is_point(segment.end)]
            if straight:
                return straight
        ranked = sorted(segments, key=self._rank)
        middle = (len(ranked) - 1) / 2
        picked = [ranked[int(middle)], ranked[int(middle + 0.5)]] if ranked else []
        return picked if self.down else picked[::-1]

    def _goes_on(self, vertex: int) -> bool:
        graph = self.graph
        return graph.is_point(vertex) and any(graph.is_point(segment.end) for segment in graph.after[vertex])

    def _rank(self, segment: Segment) -> tuple[int, float]:
        other = segment.start if self.forward else segment.end
        enters = self.extents.enters(segment)
        return self.place[other], enters if self.down else -enters

    # -- packing ------------------------------------------------------------------------------------------------------

    def _packed(self) -> dict[int, float]:
        """Every block as far up as its neighbours let it, then down to them."""
        links = self._links()
        before: dict[int, list[tuple[int, float]]] = {root: [] for root in links}
        for upper, lower in links.items():
            for other, apart in lower.items():
                before[other].append((upper, apart))
        queue = _sorted(links)
        found: dict[int, float] = {}
        for root in queue:
            found[root] = max((found[other] + apart for other, apart in before[root]), default=0.0)
        for root in reversed(queue):
            room = min((found[other] - apart for other, apart in links[root].items()), default=found[root])
            found[root] = max(found[root], room)
        return found

    def _links(self) -> dict[int, dict[int, float]]:
        """The distance that two blocks must have, for every pair that are neighbours in a layer."""
        extents, offset = self.extents, self.offset
        links: dict[int, dict[int, float]] = {root: {} for root in dict.fromkeys(self.root)}
        for column in self.order:
            for upper, lower in pairwise(column):
                apart = extents.apart(upper, lower) if self.down else extents.apart(lower, upper)
                wanted = apart + offset[upper] - offset[lower]
                a, b = self.root[upper], self.root[lower]
                links[a][b] = max(links[a].get(b, wanted), wanted)
        return links


def _sorted(links: dict[int, dict[int, float]]) -> Sequence[int]:
    """Blocks in an order in which each comes behind those above it."""
    waiting = dict.fromkeys(links, 0)
    for lower in links.values():
        for other in lower:
            waiting[other] += 1
    ready = [root for root, count in waiting.items() if count == 0]
    found = []
    while ready:
        root = ready.pop()
        found.append(root)
        for other in links[root]:
            waiting[other] -= 1
            if waiting[other] == 0:
                ready.append(other)
    assert len(found) == len(links), "blocks that cross"
    return found


__all__ = ["Extents", "heights"]
