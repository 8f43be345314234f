"""Central differences of a kernel's own value, with the error that they can have.

The steps h halve from 2**-6 of the variable's scale down to 2**-19; each pair gives a Richardson value R(h). The error
of R(h) is taken as |R(h) - R(h/2)|, what is left of truncation, plus 6 noise/h, what rounding of the value can do; the
h with the smallest error counts. The noise is measured, not assumed: high differences of the value over a tiny interval
(More and Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011), 1292-1314).

Where that contradicts a gradient, `resolved_difference` looks closer before anything is called wrong: a value that
swings many times within every step gives differences that look calm and mean nothing. It goes down to 2**-48, and a
step counts only where all smaller ones show the same slope up to noise, eight of them at least.
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
_FINEST, _FOLLOWERS = 2.0**-48, 8  # of the closer look: smallest step, and how many smaller ones must agree with a step
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


def resolved_difference(kernel: Kernel, point: Mapping[str, float], name: str, noise: float) -> tuple[float, float]:
    """Like `difference`, from the steps whose slope all smaller steps show too; NaN where there is none."""
    x = point[name]
    low = _FINEST * max(abs(x), 1e-3 * _FLOOR)
    top = 2.0 ** math.floor(math.log2(_LARGEST * max(abs(x), _FLOOR)))  # a power of two: x + h and x - h are exact
    steps = np.array([top * 0.5**k for k in range(math.ceil(math.log2(top / low)) + 1)])
    count = len(steps)
    places = np.concatenate([x + steps, x - steps, [x]])
    with np.errstate(all="ignore"):
        found = values(kernel, {**point, name: places}, len(places))
        above, below, here = found[:count], found[count : 2 * count], found[-1]
        widths = places[:count] - places[count : 2 * count]
        rises = above - below
        slopes = rises / widths
        better = (4.0 * slopes[1:] - slopes[:-1]) / 3.0
        roundings = np.maximum(noise, 2.0**-52 * np.maximum(np.abs(above), np.abs(below)))
        lopsided = np.abs((places[:count] - x) - (x - places[count : 2 * count]))  # not 0 next to a power of two
        bends = lopsided * np.abs(above - 2.0 * here + below) / steps**2
        errors = np.abs(np.diff(better)) + 12.0 * roundings[:-2] / widths[1:-1] + bends[:-2] + bends[1:-1] + bends[2:]
        for k in range(len(errors)):
            rest = slice(k + 2, None)
            off = np.abs(rises[rest] - better[k] * widths[rest])
            allowed = 2.0 * abs(slopes[k + 1] - better[k]) * widths[rest] + 16.0 * roundings[rest]
            allowed += bends[rest] * widths[rest]
            if count - k - 2 < _FOLLOWERS or not (off <= allowed).all():
                errors[k] = math.nan
    usable = np.isfinite(errors)
    if not usable.any():
        return math.nan, math.nan
    best = int(np.argmin(np.where(usable, errors, np.inf)))
    return float(better[best]), _SAFETY * float(errors[best])


def drowned(kernel: Kernel, point: Mapping[str, float], name: str, noise: float) -> bool:
    """True where rounding moves the value about as much as the variable does."""
    x = point[name]
    places = x + np.linspace(-1.0, 1.0, 33) * _LARGEST * max(abs(x), _FLOOR)
    with np.errstate(all="ignore"):
        found = values(kernel, {**point, name: places}, len(places))
    found = found[np.isfinite(found)]
    return bool(len(found)) and noise > max(1e-3 * float(np.ptp(found)), 1e-13 * float(np.max(np.abs(found))))
