"""Sizes and data at which value and gradient of an array formula are finite; the same ones on every run.

Sizes are small and different from one another, so that a transposed or mixed-up axis shows. Data come from a few
recipes; square matrices of some of them are diagonally dominant, so that they have an inverse and a Cholesky factor,
and never symmetric, so that a transposed gradient shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.errors import SymdiffError
from symdiff.expr import Call, walk
from symdiff.formula_data import Input
from symdiff.ops.infer import shape_of
from symdiff.ops.structure import requirements
from symdiff.shapes import shape_value, size_value
from symdiff.tape import Tape
from symdiff.trace import Trace

Recipe = Callable[[np.random.Generator, tuple[int, ...]], Any]
SIZES = (4, 3, 2, 5, 6, 7)
_ROUNDS, _MIXED = 6, 60  # times all recipes, and points of which every input has a recipe of its own
_GROWTH = 4  # how much sizes grow where a slice does not fit in


def _digits(x: Any) -> Any:
    """Four digits behind the point, to be read."""
    return np.round(x, 4)


def _dominant(low: float) -> Recipe:
    def recipe(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        made = rng.uniform(low, 1.0, shape)
        if len(shape) >= 2 and shape[-1] == shape[-2]:
            made = made + 2.0 * shape[-1] * np.eye(shape[-1])
        return made

    return recipe


def _around(low: float, high: float) -> Recipe:
    return lambda rng, shape: rng.uniform(low, high, shape)


def _rows(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Positive, with the sum 1 along the last axis."""
    made = rng.uniform(0.1, 1.0, shape)
    return made / np.sum(made, axis=-1, keepdims=True) if shape and made.size else made


RECIPES: tuple[Recipe, ...] = (
    _around(-2.0, 2.0),
    _around(0.1, 2.0),
    _dominant(-1.0),
    _dominant(0.1),
    _around(0.1, 0.9),
    _around(-0.5, 0.5),
    _around(1.1, 3.0),
    _rows,
    _around(2.0, 10.0),
    _around(-3.0, -0.1),
    _around(20.0, 60.0),
)


@dataclass(frozen=True)
class ArrayPoint:
    """Values of all inputs and sizes of the dimensions."""

    values: Mapping[str, Any]
    sizes: Mapping[str, int]


class ArrayFinder:
    """The search for points on one tape with its reverse sweep."""

    def __init__(self, tape: Tape, seed: int) -> None:
        self.tape, self.seed = tape, seed
        self.tried = 0
        self._needs = [need for step in tape.steps for part in walk(step.expr) for need in self._required(part)]

    def _required(self, part: Any) -> list[Any]:
        """What must not be negative for a slice to lie inside."""
        if not isinstance(part, Call) or part.op != "index":
            return []
        return [need for need, _ in requirements(part.options[0], shape_of(part.args[0], self.tape.shapes))]

    def find(self, count: int, accept: Callable[[ArrayPoint], bool]) -> None:
        """Offer points that are finite in float64 until `accept` has taken `count`."""
        taken = 0
        for point in self._candidates():
            if taken >= count:
                return
            self.tried += 1
            if self._finite(point):
                taken += accept(point)

    def _candidates(self) -> Iterator[ArrayPoint]:
        rng = np.random.default_rng(self.seed)
        for number in range(_ROUNDS * len(RECIPES) + _MIXED):
            mixed = number >= _ROUNDS * len(RECIPES)
            sizes = self._sizes(number)
            values: dict[str, Any] = {}
            for given in self.tape.inputs:
                place = int(rng.integers(len(RECIPES))) if mixed else number % len(RECIPES)
                made = _digits(RECIPES[place](rng, shape_value(given.shape, sizes)))
                if given.default is not None:
                    made = np.array(given.default, dtype=np.float64)
                values[given.name] = made if given.shape else float(made)
            yield ArrayPoint(values, sizes)

    def _sizes(self, number: int) -> dict[str, int]:
        """Small sizes, the dimensions in other roles from point to point; larger ones where a slice needs them."""
        fixed = self._fixed()
        for growth in range(_GROWTH):
            for turn in range(len(SIZES)):
                ring = SIZES[: max(3, len(self.tape.dims))]
                places = [(place + number + turn) % len(ring) for place in range(len(self.tape.dims))]
                sizes = {n: ring[p] * 2**growth for n, p in zip(self.tape.dims, places, strict=True)} | fixed
                if all(size_value(need, sizes) >= 0 for need in self._needs):
                    return sizes
        return sizes

    def _fixed(self) -> dict[str, int]:
        """Sizes that defaults bind."""
        given = [each for each in self.tape.inputs if each.default is not None and each.shape]
        pairs = [pair for each in given for pair in zip(each.shape, _shape(each), strict=False)]
        return {size: n for size, n in pairs if isinstance(size, str)}

    def _finite(self, point: ArrayPoint) -> bool:
        try:
            trace = Trace(self.tape, point.values)
        except (SymdiffError, ValueError, IndexError):  # sizes that do not fit
            return False
        found = [trace.value, *trace.gradient.values()]
        return all(bool(np.all(np.isfinite(each))) for each in found)


def _shape(given: Input) -> tuple[int, ...]:
    return np.shape(np.array(given.default, dtype=np.float64))


def elements(values: Mapping[str, Any]) -> int:
    """How many numbers a point holds."""
    return sum(math.prod(np.shape(value)) for value in values.values())


__all__ = ["ArrayFinder", "ArrayPoint", "elements"]
