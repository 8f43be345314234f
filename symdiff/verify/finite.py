"""Trace -> the gradient beside central differences of the forward sweep, which share no rule with the reverse one.

The step is the classical compromise between truncation and rounding for a central difference, h = cbrt(eps) max(1, |x|)
(Press et al., Numerical Recipes, 3rd ed., section 5.7). About 10 digits agree where the formula is smooth
and well scaled.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Any

import numpy as np

from symdiff.ops.evaluate import evaluate
from symdiff.tape import Tape
from symdiff.trace import Trace
from symdiff.verify.checks import run_steps

EPSILON = 2.0**-52
_COMPONENTS = 200  # of one variable that are looked at


def finite_differences(trace: Trace) -> dict[str, tuple[Any, Any]]:
    """Variable -> (derivative by the reverse sweep, central finite difference), at the point of the trace.

    Floats for a number, arrays of the variable's shape for an array. Of an array with more than 200 components 200 are
    worked out, always the same ones; the differences by the others are NaN.
    """
    made: dict[str, tuple[Any, Any]] = {}
    for name, value in trace.gradient.items():
        if np.ndim(value) == 0:
            made[name] = value, central_difference(trace.tape, trace.at, name, sizes=trace.sizes)
            continue
        differences = np.full(np.shape(value), np.nan)
        for index in _sampled(np.shape(value)):
            differences[index] = central_difference(trace.tape, trace.at, name, index, trace.sizes)
        made[name] = np.asarray(value), differences
    return made


def _sampled(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The components that are worked out, in order."""
    size = math.prod(shape)
    places = range(size) if size <= _COMPONENTS else sorted(random.Random(size).sample(range(size), _COMPONENTS))
    return [tuple(map(int, np.unravel_index(place, shape))) for place in places]


def step_width(x: float) -> float:
    """h = cbrt(eps) max(1, |x|)."""
    return float(EPSILON ** (1 / 3)) * max(1.0, abs(x))


def central_difference(
    tape: Tape,
    at: Mapping[str, Any],
    name: str,
    index: tuple[int, ...] = (),
    sizes: Mapping[str, int] | None = None,
) -> float:
    """(f(x + h) - f(x - h)) / (the distance between the two points as float64 has it).

    `index` is the component that moves; () for a number. `sizes` are the sizes of the run-time dimensions.
    """
    x = float(np.asarray(at[name])[index])
    width = step_width(x)
    above, below = x + width, x - width
    rise = forward(tape, _with(at, name, index, above), sizes) - forward(tape, _with(at, name, index, below), sizes)
    return rise / (above - below)


def _with(at: Mapping[str, Any], name: str, index: tuple[int, ...], x: float) -> dict[str, Any]:
    """The point with one number changed."""
    if not index:
        return {**at, name: x}
    changed = np.array(at[name], dtype=np.float64)
    changed[index] = x
    return {**at, name: changed}


def forward(tape: Tape, at: Mapping[str, Any], sizes: Mapping[str, int] | None = None) -> float:
    """The value of the formula at another point; the reverse sweep is left out."""
    values: dict[str, Any] = {name: np.float64(size) for name, size in (sizes or {}).items()}
    values |= {name: np.asarray(x, dtype=np.float64)[()] for name, x in at.items()}
    run_steps(tape.primal, values, sizes)
    return float(evaluate(tape.value, values, sizes))


__all__ = ["EPSILON", "central_difference", "finite_differences", "step_width"]
