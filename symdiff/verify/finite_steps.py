"""Central differences of a kernel's own value, with the error that they can have.

The steps h halve from 2**-6 of the variable's scale down to 2**-19; each pair gives a Richardson value R(h). The error
of R(h) is taken as |R(h) - R(h/2)|, what is left of truncation, plus 6 noise/h, what rounding of the value can do; the
h with the smallest error counts. The noise is measured, not assumed: high differences of the value over a tiny interval
(More and Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011), 1292-1314).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Kernel = Callable[..., Any]
_LARGEST, _SMALLEST = 2.0**-6, 2.0**-19  # steps, relative to the variable
_FLOOR = 1e-3  # a variable smaller than this also moves by more than its own size
_STEPS = 40
_PROBES, _PROBE = 8, 2.0**-34  # points for the noise, and how far apart they are
_SAFETY = 4.0


def values(kernel: Kernel, point: Mapping[str, Any], lanes: int) -> np.ndarray[Any, Any]:
    """The kernel's value with some inputs given as arrays; one call where the kernel takes arrays, else one a lane."""
    try:
        found = np.asarray(_value(kernel(**point)), dtype=np.float64)
        if found.shape == (lanes,):
            return found
    except (TypeError, ValueError):
        pass
    single = [{name: float(np.broadcast_to(x, lanes)[lane]) for name, x in point.items()} for lane in range(lanes)]
    return np.array([float(_value(kernel(**each))) for each in single])


def _value(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def noise_of(kernel: Kernel, point: Mapping[str, float], seed: int) -> float:
    """Size of the rounding errors in the kernel's value near a point."""
    dice = random.Random(seed)
    places = np.arange(_PROBES) - _PROBES // 2
    moved = {name: x + places * (_PROBE * max(abs(x), _FLOOR) * dice.uniform(0.5, 1.0)) for name, x in point.items()}
    with np.errstate(all="ignore"):
        return _noise(values(kernel, moved, _PROBES))


def _noise(found: np.ndarray[Any, Any]) -> float:
    """Size of the rounding errors in values at equal and tiny distances."""
    found = found[np.isfinite(found)]
    size = float(np.max(np.abs(found), initial=0.0))
    noise, differences = 2.0**-52 * size, found
    for order in range(1, len(found)):
        differences = np.diff(differences)
        if 3 <= order <= 6:
            weight = math.factorial(order) ** 2 / math.factorial(2 * order)
            noise = max(
                noise, 4.0 * math.sqrt(weight) * float(np.linalg.norm(differences)) / math.sqrt(len(differences))
            )
    return noise


def difference(kernel: Kernel, point: Mapping[str, float], name: str, noise: float) -> tuple[float, float]:
    """Derivative of the kernel's value by one input, and its error; NaN where no step stays in the domain."""
    x = point[name]
    high, low = _LARGEST * max(abs(x), _FLOOR), _SMALLEST * max(abs(x), 1e-3 * _FLOOR)
    steps = [high * 0.5**k for k in range(_STEPS) if high * 0.5**k >= low]
    places = np.array([x + h for h in steps] + [x - h for h in steps])
    with np.errstate(all="ignore"):
        found = values(kernel, {**point, name: places}, len(places))
        count = len(steps)
        widths = places[:count] - places[count:]
        slopes = (found[:count] - found[count:]) / widths
        better = (4.0 * slopes[1:] - slopes[:-1]) / 3.0
        roundings = np.maximum(noise, 2.0**-52 * np.maximum(np.abs(found[:count]), np.abs(found[count:])))
        errors = np.abs(np.diff(better)) + 12.0 * roundings[:-2] / widths[1:-1]
    usable = np.isfinite(errors)
    if not usable.any():
        return math.nan, math.nan
    best = int(np.argmin(np.where(usable, errors, np.inf)))
    return float(better[best]), _SAFETY * float(errors[best])
