"""A graph in layers from left to right: which layer a node is in, and where edges pass through the layers between.

    Layered ::= vertices in layers, segments between neighbouring layers
    Vertex  ::= a node, or a point of a wire       # one wire leaves a node, and branches off to all of its targets

Steps stand as far to the right as that shortens wires, inputs right before their first use.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of wire between neighbouring layers; `slot` is the place where it enters a node, 0 for a point."""

    start: int
    end: int
    slot: int = 0


@dataclass
class Layered:
    """Vertices are numbered: the nodes first, then the points of wires.

    layer     of every vertex
    source    of every vertex, the node whose wire it belongs to
    segments  between layers, and before / after: the segments that enter and leave a vertex
    routes    (source, target, slot) -> the vertices on the way, without the two nodes
    """

    nodes: int
    layer: list[int]
    source: list[int]
    segments: list[Segment] = field(default_factory=list)
    before: list[list[Segment]] = field(default_factory=list)
    after: list[list[Segment]] = field(default_factory=list)
    routes: dict[tuple[int, int, int], list[int]] = field(default_factory=dict)

    def is_point(self, vertex: int) -> bool:
        """Whether a vertex is a point of a wire."""
        return vertex >= self.nodes

    def columns(self) -> list[list[int]]:
        """Vertices by layer, in the order of their numbers."""
        found: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for vertex, layer in enumerate(self.layer):
            found[layer].append(vertex)
        return found


def layered(operands: Sequence[Sequence[int]], free: Iterable[int], last: int) -> Layered:
    """Layers and wires of a graph.

    operands  of every node, by number; a node comes after its operands
    free      nodes without operands, which may stand anywhere
    last      the output, in the last layer
    """
    layer = _Layering(operands, frozenset(free), last).layers()
    made = Layered(len(operands), list(layer), list(range(len(operands))))
    targets: list[list[tuple[int, int]]] = [[] for _ in operands]
    for target, sources in enumerate(operands):
        for slot, source in enumerate(sources):
            targets[source].append((target, slot))
    for source, ends in enumerate(targets):
        _wire(made, source, ends)
    made.before = [[] for _ in made.layer]
    made.after = [[] for _ in made.layer]
    for segment in made.segments:
        made.before[segment.end].append(segment)
        made.after[segment.start].append(segment)
    return made


def _wire(made: Layered, source: int, ends: list[tuple[int, int]]) -> None:
    """The points of the wire that leaves `source`, and its segments."""
    points = [source]
    farthest = max((made.layer[target] for target, _ in ends), default=0)
    for layer in range(made.layer[source] + 1, farthest):
        vertex = len(made.layer)
        made.layer.append(layer)
        made.source.append(source)
        made.segments.append(Segment(points[-1], vertex))
        points.append(vertex)
    for target, slot in ends:
        way = points[: made.layer[target] - made.layer[source]]
        made.segments.append(Segment(way[-1], target, slot))
        made.routes[source, target, slot] = way[1:]


class _Layering:
    """Layers: first as early as possible, then moved to where the wires are shortest in all."""

    def __init__(self, operands: Sequence[Sequence[int]], free: frozenset[int], last: int) -> None:
        self.operands, self.free, self.last = [tuple(dict.fromkeys(each)) for each in operands], free, last
        self.targets: list[list[int]] = [[] for _ in operands]
        for target, sources in enumerate(self.operands):
            for source in sources:
                self.targets[source].append(target)
        self.layer = [0] * len(operands)

    def layers(self) -> list[int]:
        layer = self.layer
        for node, sources in enumerate(self.operands):
            if sources:
                layer[node] = 1 + max(layer[source] for source in sources)
        if self.last not in self.free:
            layer[self.last] = max(layer)
        for _ in range(_ROUNDS):
            moves = [self._move(node) for node in reversed(range(len(layer))) if node not in self.free]
            if not any(moves):
                break
        for node in self.free:
            layer[node] = min((layer[target] for target in self.targets[node]), default=1) - 1
        first = min(layer, default=0)
        return [each - first for each in layer]

    def _move(self, node: int) -> bool:
        """Move a step to the best layer between its operands and its targets; whether that is another one."""
        layer, old = self.layer, self.layer[node]
        targets = self.targets[node]
        if not targets:
            return False
        low = max((layer[source] + 1 for source in self.operands[node] if source not in self.free), default=1)
        high = min(layer[target] for target in targets) - 1
        best, cost = old, self._cost(node, old)
        for place in range(low, high + 1):
            found = self._cost(node, place)
            if (found, -place) < (cost, -best):
                best, cost = place, found
        layer[node] = best
        return best != old

    def _cost(self, node: int, place: int) -> int:
        """Length of the wires that `node` has to do with, if it were in layer `place`."""
        layer, old = self.layer, self.layer[node]
        layer[node] = place
        total = max(layer[target] for target in self.targets[node]) - place
        for source in self.operands[node]:
            ends = [layer[target] for target in self.targets[source]]
            total += max(ends) - (min(ends) - 1 if source in self.free else layer[source])
        layer[node] = old
        return total


__all__ = ["Layered", "Segment", "layered"]
