"""A point at which a self-check can start: value and derivatives are finite there, and if possible of ordinary size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symdiff.errors import ShapeError
from symdiff.render.context import Sheet, index_requirements, without_number
from symdiff.shapes import Shape, shape_value, size_value
from symdiff.trace import Trace

# Ranges that are tried in turn, how often, and how many steps may be worked out.
_RANGES = ((0.25, 1.75), (-1.0, 1.0), (1.0, 4.0), (0.05, 0.5), (-4.0, 4.0), (0.0, 25.0), (-100.0, 100.0))
_TRIES, _WORK = 12, 1_000_000
_GOLDEN = 0.6180339887498949
_FIRST_SIZE, _MORE = 5, 16  # of a dimension; how many more are tried


def check_point(sheet: Sheet, at: Mapping[str, Any] | None = None) -> dict[str, float]:
    """A value for every input of a formula of scalars.

    `at` is taken as it is. Defaults are kept. Where nothing is found, the first candidate: the check asks for a point.
    """
    if at is not None:
        return {name: float(value) for name, value in Trace(sheet.people, at).at.items()}
    tries = max(1, _WORK // (len(sheet.people.steps) + 1))
    fallback: dict[str, float] | None = None
    first: dict[str, float] = {}
    for _, point in zip(range(tries), _candidates(sheet), strict=False):
        first = first or point
        found = _outputs(sheet, point)
        if all(1e-6 < abs(number) < 1e6 for number in found):
            return point
        if fallback is None and all(map(math.isfinite, found)):
            fallback = point
    return fallback or first


def _outputs(sheet: Sheet, point: Mapping[str, Any]) -> list[float]:
    """The value and every element of every derivative."""
    trace = Trace(sheet.people, sheet.formula.scalar_point(point))
    return [float(number) for each in (trace.value, *trace.gradient.values()) for number in np.ravel(each)]


def _candidates(sheet: Sheet) -> Iterator[dict[str, float]]:
    """Points spread evenly over one range after the other, in short numbers."""
    inputs = sheet.formula.declared
    for low, high in _RANGES:
        for k in range(_TRIES):
            spread = [((i + 1) * _GOLDEN + k * _GOLDEN**2) % 1.0 for i in range(len(inputs))]
            point = {}
            for given, u in zip(inputs, spread, strict=True):
                assert not isinstance(given.default, tuple)
                point[given.name] = given.default if given.default is not None else round(low + (high - low) * u, 2)
            yield point


# -- arrays ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ArrayPoint:
    """How the self-check of a formula of arrays makes its point.

    sizes     of the dimensions
    given     values that are known: defaults, and what the derivation was asked for at
    range     of the numbers in all other inputs
    definite  whether square matrices among those are symmetric and positive definite
    """

    sizes: Mapping[str, int]
    given: Mapping[str, Any]
    range: tuple[float, float]
    definite: bool

    def values(self, shapes: Mapping[str, Shape]) -> dict[str, Any]:
        """The point, as `data` in templates/python/check_arrays.py.j2 makes it."""
        made = (self._made(place, shape_value(shape, self.sizes)) for place, shape in enumerate(shapes.values()))
        return {**dict(zip(shapes, made, strict=True)), **self.given}

    def _made(self, place: int, shape: tuple[int, ...]) -> Any:
        low, high = self.range
        count = np.arange(1.0, math.prod(shape) + 1)
        array = (low + (high - low) * ((count + place * 0.38) ** 2 * _GOLDEN % 1.0)).reshape(shape)
        if self.definite and array.ndim == 2 and shape[0] == shape[1]:
            return (array + array.T) / 2 + (1 + high) * shape[0] * np.eye(shape[0])
        return array


def array_point(sheet: Sheet) -> ArrayPoint:
    """The first point of ordinary size; where nothing is found, one that is finite, or the first candidate."""
    shapes = sheet.formula.arguments
    if sheet.at is not None:
        trace = Trace(sheet.people, sheet.formula.scalar_point(sheet.at))
        given = {name: np.asarray(value).tolist() for name, value in sheet.formula.gathered(trace.at).items()}
        return ArrayPoint(dict(trace.sizes), given, _RANGES[0], False)
    sizes, given = _sizes(sheet), dict(sheet.formula.defaults)
    square = any(len(shape) == 2 and shape[0] == shape[1] for shape in shapes.values())
    fallback: ArrayPoint | None = None
    candidates = [
        ArrayPoint(sizes, given, low_high, kind) for low_high in _RANGES for kind in (False, True)[: 1 + square]
    ]
    for point in candidates:
        found = _outputs(sheet, point.values(shapes))
        if all(abs(number) < 1e6 for number in found):
            return point
        if fallback is None and all(map(math.isfinite, found)):
            fallback = point
    return fallback or candidates[0]


def _sizes(sheet: Sheet) -> dict[str, int]:
    """Different small sizes that every index fits into. Raises ShapeError where there are none."""
    names = sheet.formula.dimensions
    needs = [need for need, _ in index_requirements(sheet.people)]
    numbers = {abs(without_number(need)[1]) for need in needs}
    for more in sorted({*range(_MORE), *(number + k for number in numbers for k in range(len(names) + 1))}):
        for turn in (1, -1):
            sizes = {name: _FIRST_SIZE + more + k for k, name in enumerate(names[::turn])}
            if all(size_value(need, sizes) >= 0 for need in needs):
                return {name: sizes[name] for name in names}
    raise ShapeError("no sizes were found for which every index of the formula lies inside its array")


__all__ = ["ArrayPoint", "array_point", "check_point"]
