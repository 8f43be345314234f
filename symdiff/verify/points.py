"""Points at which value and gradient are finite, found without being told the domain; the same ones on every run.

Many candidates go through the tape at once, as NumPy arrays. First every variable is drawn from one range, then each
from a range of its own; after that the best candidate is repaired: the inputs of the first step that is not finite are
drawn again. The work is linear in the number of steps; how many candidates are tried is fixed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from symdiff.expr import names
from symdiff.formula_data import Input
from symdiff.ops.evaluate import evaluate
from symdiff.tape import Tape

Point = dict[str, float]
Accept = Callable[[Point], bool]

RANGES = (
    (0.1, 2.0), (-2.0, 2.0), (0.5, 5.0), (1e-3, 1.0), (1.1, 3.0), (-1.0, 1.0), (2.0, 10.0), (-10.0, -1.0),
    (-1.0, -1e-3), (5.0, 30.0), (-100.0, 100.0), (20.0, 300.0), (1e-6, 1e-3), (200.0, 5000.0), (1e4, 1e6),
)  # fmt: skip
_PER_RANGE, _MIXED, _REPAIRED = 6, 64, 32  # candidates: from one range, from mixed ranges, in one round of repair
_ROUNDS, _STARTS = 40, 12
_LIMIT = 4_000_000  # step evaluations in all
_SEARCHES = 60  # candidates that are looked at in 50 digits


class Finder:
    """The search for points on one tape with its reverse sweep."""

    def __init__(self, tape: Tape, seed: int) -> None:
        self.tape, self.dice = tape, random.Random(seed)
        self.tried = 0
        self._free = [given for given in tape.inputs if given.default is None]
        self._work = 0

    def find(self, count: int, accept: Accept) -> list[Point]:
        """Up to `count` points that are finite in float64 and that `accept` takes."""
        found: list[Point] = []
        looked_at = 0
        for point in self._candidates():
            if len(found) >= count or looked_at >= _SEARCHES:
                break
            if point in found:
                continue
            looked_at += 1
            if accept(point):
                found.append(point)
        return found

    def _candidates(self) -> Iterator[Point]:
        """Finite points: one a range, then more of each, then mixed ones, then repaired ones."""
        lanes = [{n: self._draw(ends) for n in self._names()} for _ in range(_PER_RANGE) for ends in RANGES]
        yield from self._finite(lanes)
        lanes = [self._mixed() for _ in range(_MIXED)]
        yield from self._finite(lanes)
        for _ in range(_STARTS):
            yield from self._repair(lanes)
            lanes = [self._mixed() for _ in range(_MIXED)]

    def _names(self) -> list[str]:
        return [given.name for given in self._free]

    def _draw(self, ends: tuple[float, float]) -> float:
        return float(f"{self.dice.uniform(*ends):.4g}")

    def _mixed(self) -> Point:
        return {name: self._draw(self.dice.choice(RANGES)) for name in self._names()}

    def _finite(self, lanes: list[Point]) -> Iterator[Point]:
        finite, _ = self._run(lanes)
        yield from (self._whole(lane) for lane, ok in zip(lanes, finite, strict=True) if ok)

    def _whole(self, lane: Point) -> Point:
        return {given.name: _default(given, lane) for given in self.tape.inputs}

    def _run(self, lanes: list[Point]) -> tuple[list[bool], list[int]]:
        """For each lane whether every output is finite, and the index of its first step that is not."""
        count = len(lanes)
        values: dict[str, Any] = {
            given.name: np.array([_default(given, lane) for lane in lanes]) for given in self.tape.inputs
        }
        first = np.full(count, len(self.tape.steps))
        for index, step in enumerate(self.tape.steps):
            value = evaluate(step.expr, values)
            values[step.name] = value
            if step.into is not None:
                with np.errstate(all="ignore"):
                    values[step.into] = values[step.into] + value if step.into in values else value
            bad = ~np.isfinite(np.broadcast_to(value, count))
            first = np.where(bad & (first > index), index, first)
        finite = np.ones(count, dtype=bool)
        for _, expr in self.tape.outputs:
            finite &= np.isfinite(np.broadcast_to(evaluate(expr, values), count))
        self.tried += count
        self._work += count * len(self.tape.steps)
        return finite.tolist(), first.tolist()

    def _repair(self, lanes: list[Point]) -> Iterator[Point]:
        _, reached = self._run(lanes)
        best, place = max(zip(lanes, reached, strict=True), key=lambda pair: pair[1])
        for _ in range(_ROUNDS):
            if self._work > _LIMIT or place >= len(self.tape.steps):
                return
            guilty = [name for name in self._ancestors(place) if name in best]
            tries = []
            for number in range(_REPAIRED):
                # a single input as often as all of them: one bad coordinate should not cost the good ones
                chosen = guilty if number % 2 or not guilty else [self.dice.choice(guilty)]
                tries.append(best | {name: self._draw(self.dice.choice(RANGES)) for name in chosen})
            finite, reached = self._run(tries)
            if any(finite):  # one point, so that the next is another and not this one with one coordinate changed
                yield self._whole(tries[finite.index(True)])
                return
            candidate, further = max(zip(tries, reached, strict=True), key=lambda pair: pair[1])
            if further >= place:
                best, place = candidate, further

    def _ancestors(self, place: int) -> list[str]:
        """Inputs that a step depends on."""
        wanted = set(names(self.tape.steps[place].expr))
        for step in reversed(self.tape.steps[:place]):
            if step.name in wanted or step.into in wanted:
                wanted.update(names(step.expr))
        return [given.name for given in self.tape.inputs if given.name in wanted]


def _default(given: Input, values: Mapping[str, float]) -> float:
    if given.default is None:
        return values[given.name]
    assert isinstance(given.default, float | int)  # a formula of numbers
    return given.default


__all__ = ["Finder", "Point"]
