"""The gradient as products of partial derivatives along the paths from the output to a variable.

    dC/dW1 = dC/dS dS/dr dr/dt dt/dz2 dz2/dq dq/da2 da2/dz1 dz1/dp dp/dW1

A transpose without a name is no factor of its own: its operand is. What several products begin with gets a name,
delta of the variable where they part, and is written once. Several paths are added. The number of paths doubles with
every fork, so that they are written out only where there are few.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from symdiff.expr import Call, Name
from symdiff.render.array_local import Locals
from symdiff.tape import ADJOINT, Step, Tape

MOST_PATHS = 6  # of one variable that are written out from end to end
MOST_FACTORS = 40  # of one of these
MOST_CHAINS = 12  # products of one sum
MOST_EDGES, MOST_EDGES_ASKED_FOR = 300, 3000  # of a formula whose products are written out at all


@dataclass(frozen=True)
class Edge:
    """One factor: the derivative of `of` by `by`, which several operands of one step may be."""

    of: str
    by: str
    sends: tuple[Step, ...]


@dataclass(frozen=True)
class Chain:
    """A product that starts at the output, or at a named beginning (`start`)."""

    start: str | None
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class Sum:
    """`left` is a variable, or the variable of a named beginning; the chains are added; `more` are left out."""

    left: str
    chains: tuple[Chain, ...]
    more: int = 0

    @property
    def parts(self) -> bool:
        """Whether the output uses `left` at once and by other ways too.

        Then the factor of the one step looks like the derivative along all paths, which is written as adjoint.
        """
        straight = any(chain.start is None and len(chain.edges) == 1 for chain in self.chains)
        return straight and len(self.chains) + self.more > 1


class Paths:
    """All of it, for one reverse sweep."""

    def __init__(
        self,
        locals_: Locals,
        output: str,
        wanted: Iterable[str],
        own: Container[str] = frozenset(),
        asked_for: bool = False,
    ) -> None:
        self.locals, self.output, self.asked_for = locals_, output, asked_for
        self.tape = locals_.tape
        self.wanted = [name for name in wanted if name in dict(self.tape.bars)]
        found: dict[tuple[str, str], list[Step]] = {}
        for step in self.tape.reverse:
            if step.role == ADJOINT and step.of is not None and step.receiver is not None:
                found.setdefault((step.of, step.receiver), []).append(step)
        self.turned = _transposes(self.tape, own)
        self.edges = list(self._without_transposes(found))
        self.into: dict[str, list[Edge]] = {}
        self.out: dict[str, int] = {}
        for edge in self.edges:
            self.into.setdefault(edge.by, []).append(edge)
            self.out[edge.of] = self.out.get(edge.of, 0) + 1

    def _without_transposes(self, found: Mapping[tuple[str, str], list[Step]]) -> Iterator[Edge]:
        """The factors; what goes through an unnamed transpose is a factor of the matrix itself."""
        roots: dict[str, str] = {}
        for name, expr in self.turned.items():
            root = roots.get(expr.args[0].id, expr.args[0].id) if isinstance(expr.args[0], Name) else name
            if not any((of, root) in found for of, by in found if by == name):  # else A and A.T are in one step
                roots[name] = root
        for (of, by), sends in found.items():
            if of not in roots:
                yield Edge(of, roots.get(by, by), tuple(sends))

    @property
    def is_long(self) -> bool:
        """Whether there are too many factors to be worth reading."""
        return len(self.edges) > (MOST_EDGES_ASKED_FOR if self.asked_for else MOST_EDGES)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Number of paths from the output to each variable."""
        found = {self.output: 1}
        for edge in self.edges:  # in the order of the reverse sweep, so all before a step are counted before it
            found[edge.by] = found.get(edge.by, 0) + found[edge.of]
        return found

    @cached_property
    def named(self) -> list[str]:
        """Variables where products part or meet, in the order of the reverse sweep."""
        found: dict[str, None] = {}
        for name in dict.fromkeys(edge.of for edge in self.edges):
            forks, meets = self.out[name] > 1, len(self.into.get(name, ())) > 1
            if name != self.output and (forks or meets) and (meets or len(self._back(name, found).edges) > 1):
                found[name] = None
        return list(found)

    @cached_property
    def _stops(self) -> frozenset[str]:
        return frozenset(self.named)

    def _back(self, name: str, stops: Container[str]) -> Chain:
        """The product that ends at a variable with one way in."""
        edges: list[Edge] = []
        while name != self.output and not (edges and name in stops):
            (edge,) = self.into[name]
            edges.append(edge)
            name = edge.of
        return Chain(None if name == self.output else name, tuple(reversed(edges)))

    def sum_of(self, name: str) -> Sum:
        """What a variable's adjoint is, from the output or the named beginnings."""
        chains = []
        for edge in self.into.get(name, ())[:MOST_CHAINS]:
            before = Chain(None, ())
            if edge.of in self._stops:
                before = Chain(edge.of, ())
            elif edge.of != self.output:
                before = self._back(edge.of, self._stops)
            chains.append(Chain(before.start, (*before.edges, edge)))
        return Sum(name, tuple(chains), max(len(self.into.get(name, ())) - MOST_CHAINS, 0))

    def full(self, name: str) -> list[tuple[Edge, ...]] | None:
        """Every path from end to end; None where there are too many of them."""
        if self.counts.get(name, 0) > MOST_PATHS:
            return None
        found: list[tuple[Edge, ...]] = []
        work: list[tuple[str, tuple[Edge, ...]]] = [(name, ())]
        while work:
            here, edges = work.pop()
            if len(edges) > MOST_FACTORS:
                return None
            if here == self.output:
                found.append(edges)
            work.extend((edge.of, (edge, *edges)) for edge in reversed(self.into.get(here, ())))
        return found


def _transposes(tape: Tape, own: Container[str]) -> dict[str, Call]:
    """Forward steps that are the transpose of a variable and that the user gave no name."""
    found: dict[str, Call] = {}
    for step in tape.primal:
        if step.op == "transpose" and step.name not in own and isinstance(step.expr, Call):
            found[step.name] = step.expr
    return found


__all__ = ["MOST_EDGES", "MOST_FACTORS", "MOST_PATHS", "Chain", "Edge", "Paths", "Sum"]
