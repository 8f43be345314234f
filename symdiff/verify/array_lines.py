"""What kernels of an array formula returned, and the lines along which their gradients are looked at."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any

import numpy as np

from symdiff.verify.array_judge import Index, Quantity, component
from symdiff.verify.finite_steps import Kernel

_ALONG = 2  # directions of each variable
_COMPONENTS = 16  # of each variable, in 50 digits


@dataclass(frozen=True)
class ArrayNumbers:
    """What one kernel returned; a gradient of another shape than its variable counts as NaN and is `misshapen`."""

    backend: str
    kernel: Kernel
    value: Any
    gradient: Mapping[str, Any]
    misshapen: Mapping[str, tuple[int, ...]]


def call_array_kernel(backend: str, kernel: Kernel, point: Mapping[str, Any], wrt: Sequence[str]) -> ArrayNumbers:
    """Value and gradients at one point; a kernel of the bare value has no gradient."""
    result = kernel(**point)
    value, gradients = result if wrt else (result, ())
    found: dict[str, Any] = {}
    misshapen: dict[str, tuple[int, ...]] = {}
    for name, gradient in zip(wrt, gradients, strict=True):
        made, shape = np.asarray(gradient, dtype=np.float64), np.shape(point[name])
        if made.shape != shape:
            misshapen[name] = made.shape
            made = np.full(shape, np.nan)
        found[name] = made
    return ArrayNumbers(backend, kernel, np.asarray(value, dtype=np.float64), found, misshapen)


@dataclass(frozen=True, eq=False)
class Line:
    """A line through the point along which one variable moves: a single component (`index`), or a random direction."""

    name: str
    label: str
    direction: Any
    index: Index | None

    @cached_property
    def quantity(self) -> Quantity:
        """The derivative along it."""
        return Quantity(direction={self.name: self.direction})

    def slope(self, gradient: Mapping[str, Any]) -> float:
        """What a gradient says about it."""
        g = gradient[self.name]
        with np.errstate(all="ignore"):
            return float(g[self.index]) if self.index is not None else float(np.sum(g * self.direction))


def lines_along(name: str, x: Any, gradients: Sequence[Any], dice: random.Random) -> list[Line]:
    """Directions of a variable with value `x` and components of it, in turn; a number has one line.

    The components are the largest one of every gradient (one that is not finite counts as such), then others at random.
    """
    shape, size = np.shape(x), math.prod(np.shape(x))
    if not shape:
        return [Line(name, name, np.array(1.0), ())]
    ways = [random_way(dice, shape) for _ in range(_ALONG)]
    along = [Line(name, f"{name}, direction {k}", way, None) for k, way in enumerate(ways, 1)]
    sizes = [np.abs(gradient).ravel() for gradient in gradients]
    first = [int(np.argmax(np.where(np.isfinite(found), found, np.inf))) for found in sizes if size]
    places = list(dict.fromkeys(first + dice.sample(range(size), min(size, _COMPONENTS))))[:_COMPONENTS]
    single = []
    for place in places:
        index = tuple(map(int, np.unravel_index(place, shape)))
        single.append(Line(name, component(name, index), ones_at(x, index), index))
    return [line for pair in zip_longest(along, single) for line in pair if line is not None]


def random_way(dice: random.Random, shape: tuple[int, ...]) -> Any:
    """A direction whose components are of about the same size."""
    made = [dice.choice((-1.0, 1.0)) * dice.uniform(0.5, 1.0) for _ in range(math.prod(shape))]
    return np.array(made).reshape(shape)


def ones_at(x: Any, index: Index) -> Any:
    """The direction of one component of `x`."""
    made = np.zeros(np.shape(x))
    made[index] = 1.0
    return made


__all__ = ["ArrayNumbers", "Line", "call_array_kernel", "lines_along", "ones_at", "random_way"]
