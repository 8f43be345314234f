"""The forward sweep of an array formula in 110 digits: its value, derivatives as central differences, kinks.

As in `reference`, no derivative rule of the op tables is used, and the steps of the differences are 1e-35 of the
variables' scale. A direction is a mapping from variables to arrays of their shapes; a component is a direction with a
single 1.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from mpmath import mp, mpf

from symdiff.expr import Call, Expr, names, walk
from symdiff.ops import ARRAYS, COMPARE_OPS, TABLE
from symdiff.ops.array_exact import lanes, numbers
from symdiff.ops.evaluate import evaluate_mp
from symdiff.ops.infer import shape_of
from symdiff.shapes import shape_value
from symdiff.tape import Step, Tape
from symdiff.verify.reference import DIGITS, Kink, apply, is_whole

Direction = Mapping[str, Any]
_STEP = 35  # exponent of the step of a difference
_RESOLVED = 60  # a slope below 1e-60 beside the largest number is 0
_NOTHING = 90  # so is a value below 1e-90
_SMOOTH = 1e-12  # of the slope: how far the slopes of both sides may be apart
_CURVED = 1e-4  # of the slope: bends beyond it, within a tiny step, are kinks and no curves
_LARGEST, _SMALLEST = 1024, -1021  # binary exponents: the range of float64
_SAMPLES = 3  # random roundings of every step
_COSTLY = 20  # times a product: an elementary function, a division of a factorisation


@cache
def _elementwise(op: str) -> Callable[..., Any]:
    return lambda *args: apply(op, list(args))


@dataclass(frozen=True, slots=True)
class Slope:
    """A derivative in a direction; `kink`: the slopes of both sides differ, so there is none."""

    value: Any
    kink: bool = False


class ArrayMachine:
    """The forward sweep of a tape, made ready to be run often."""

    def __init__(self, tape: Tape) -> None:
        self.tape, self.steps = tape, tape.primal
        self.reads = {step.name: names(step.expr) for step in self.steps}
        self._touched: dict[frozenset[str], tuple[Step, ...]] = {}

    def touched(self, moved: frozenset[str]) -> tuple[Step, ...]:
        """The steps that change when some inputs do."""
        if moved not in self._touched:
            changed, found = set(moved), []
            for step in self.steps:
                if not changed.isdisjoint(self.reads[step.name]):
                    changed.add(step.name)
                    found.append(step)
            self._touched[moved] = tuple(found)
        return self._touched[moved]

    def used(self) -> list[Step]:
        """The steps that the value goes through."""
        wanted, found = set(names(self.tape.value)), []
        for step in reversed(self.steps):
            if step.name in wanted:
                found.append(step)
                wanted.update(self.reads[step.name])
        return found[::-1]

    def work(self, sizes: Mapping[str, int]) -> int:
        """About how many products one sweep takes."""
        return sum(self._work(part, sizes) for step in self.steps for part in walk(step.expr) if isinstance(part, Call))

    def _work(self, call: Call, sizes: Mapping[str, int]) -> int:
        shapes = [shape_value(shape_of(arg, self.tape.shapes), sizes) for arg in call.args]
        largest = max([1, *map(math.prod, shapes)])
        if call.op == "contract":
            spec = call.options[0]
            size = dict(zip("".join(spec.operands), (n for shape in shapes for n in shape), strict=True))
            size |= {i: shape_value((n,), sizes)[0] for i, n in spec.sizes}
            return math.prod(size.values())
        if call.op in ("inv", "solve", "det", "logdet", "cholesky"):
            return _COSTLY * largest * max([1, *shapes[0]])
        if call.op in ("zeros", "ones", "eye"):
            return math.prod(shape_value(shape_of(call, self.tape.shapes), sizes))
        plain = call.op in ("add", "sub", "mul", "neg", "square", "index", "reshape", "concat", "stack", "where")
        return largest * (1 if plain else _COSTLY)


class ArrayReference:
    """One point in 110 digits.

    dice  every step is rounded at random by up to 2**-53, and so is the change of every operand of every step; the
          operands of a step that mixes elements are rounded too, because its own sums cancel
    """

    def __init__(
        self,
        machine: ArrayMachine,
        point: Mapping[str, Any],
        sizes: Mapping[str, int],
        dice: random.Random | None = None,
    ) -> None:
        self.machine, self.point, self.sizes, self.dice = machine, point, sizes, dice
        self.out_of_range = ""
        self._factors: dict[str, tuple[Any, dict[str, tuple[Any, Any]]]] = {}
        with mp.workdps(DIGITS):
            self.values: dict[str, Any] = {name: mpf(size) for name, size in sizes.items()}
            self.values |= {name: numbers(np.asarray(value)) for name, value in point.items()}
            self._run(machine.steps, self.values)
            self.size = max([mpf(1), *(_magnitude(value) for value in self.values.values())])
            self.value = self._resolved(self._evaluate(machine.tape.value, self.values))
        self._slopes: dict[Any, Slope] = {}

    @property
    def finite(self) -> bool:
        """True where every component of the value is a number and no step left the range of float64."""
        return not self.out_of_range and all(map(mp.isfinite, np.asarray(self.value, dtype=object).flat))

    def _evaluate(self, expr: Expr, values: Mapping[str, Any]) -> Any:
        return evaluate_mp(expr, values, self.sizes, _elementwise)

    def _run(self, steps: Sequence[Step], values: dict[str, Any]) -> None:
        for step in steps:
            value = self._evaluate(step.expr, values if self.dice is None else self._operands(step, values))
            if self.dice is not None:
                value = value * self._factors[step.name][0]
            values[step.name] = self._in_range(step, value, values is self.values)

    def _operands(self, step: Step, values: Mapping[str, Any]) -> dict[str, Any]:
        """What a step reads, with its rounding errors."""
        read = [name for name in self.machine.reads[step.name] if name not in self.sizes]
        if step.name not in self._factors:
            operands = {name: (self._rounding(self.values[name]), self._rounding(self.values[name])) for name in read}
            self._factors[step.name] = self._rounding(_zeros(shape_value(step.shape, self.sizes))), operands
        mixes = isinstance(step.expr, Call) and step.expr.op in ARRAYS
        made = {name: values[name] for name in self.machine.reads[step.name]}
        for name in read:
            own, moved = self._factors[step.name][1][name]
            base = self.values[name]
            made[name] = base * own if mixes else base
            if values[name] is not base:
                made[name] = made[name] + (values[name] - base) * moved
        return made

    def _rounding(self, like: Any) -> Any:
        assert self.dice is not None
        draw = self.dice.uniform

        def factor(_: Any) -> Any:
            return 1 + mpf(draw(-1.0, 1.0)) * mpf(2) ** -53

        return np.frompyfunc(factor, 1, 1)(like) if isinstance(like, np.ndarray) else factor(like)

    def _in_range(self, step: Step, value: Any, here: bool) -> Any:
        """The value with numbers beyond float64 as infinities, which is what generated code makes of them."""
        found = [mp.mag(x) for x in np.asarray(value, dtype=object).flat if x and mp.isfinite(x)]
        if not found or (max(found) <= _LARGEST and min(found) >= _SMALLEST):
            return value
        if here and not self.out_of_range:
            self.out_of_range = f"step {step.n} ({step.target}) leaves the range of float64"
        return np.frompyfunc(_clipped, 1, 1)(value)

    def _resolved(self, value: Any) -> Any:
        """The value with what is nothing but rounding in 110 digits as 0."""
        least = mpf(10) ** -_NOTHING * self.size

        def resolved(x: Any) -> Any:
            return mpf(0) if abs(x) < least else x

        return np.frompyfunc(resolved, 1, 1)(value) if isinstance(value, np.ndarray) else resolved(value)

    # -- derivatives -------------------------------------------------------------------------------------------------

    def moved(self, direction: Direction, length: Any) -> Any:
        """The value after the inputs have moved by `length` times the direction."""
        changed = dict(self.values)
        for name, d in direction.items():
            changed[name] = self.values[name] + length * numbers(np.asarray(d, dtype=np.float64))
        touched = self.machine.touched(frozenset(direction))
        for step in touched:
            changed.pop(step.name)
        self._run(touched, changed)
        return self._evaluate(self.machine.tape.value, changed)

    def slope(self, direction: Direction) -> Slope:
        """Derivative of the value (one number) in a direction; NaN where it is not defined on both sides."""
        key = tuple((name, np.asarray(d, np.float64).tobytes()) for name, d in direction.items())
        if key not in self._slopes:
            with mp.workdps(DIGITS):
                self._slopes[key] = self._slope(direction)
        return self._slopes[key]

    def _length(self, direction: Direction) -> Any:
        """The largest step of a variable, relative to its scale."""
        steps = [_magnitude(d) / max(_magnitude(self.values[n]), mpf(2) ** -20) for n, d in direction.items()]
        return max([mpf(0), *steps])

    def _slope(self, direction: Direction) -> Slope:
        length = self._length(direction)
        if not mp.isfinite(self.value):
            return Slope(mp.nan)
        if not length:
            return Slope(mpf(0))
        h = mpf(10) ** -_STEP / length
        up, down = self.moved(direction, h), self.moved(direction, -h)
        slope, bend = (up - down) / (2 * h), abs(up - 2 * self.value + down) / h
        least = mpf(10) ** -_RESOLVED * self.size * length
        if not mp.isfinite(slope):
            return Slope(mp.nan)
        kink = bend > max(_SMOOTH * abs(slope), mpf(10) ** (10 - _STEP) * self.size * length)
        return Slope(slope if abs(slope) >= least else mpf(0), bool(kink))

    def explains(self, direction: Direction, error: float, exponents: Sequence[int]) -> bool:
        """True where a kink nearby explains an error: within steps of 10**-exponent (of the variables' scale) the
        slopes of both sides are further apart, and by more than a curve would do.
        """
        with mp.workdps(DIGITS):
            length = self._length(direction)
            for exponent in exponents if length and mp.isfinite(self.value) else ():
                h = mpf(10) ** -exponent / length
                up, down = self.moved(direction, h), self.moved(direction, -h)
                bend, slope = abs(up - 2 * self.value + down) / h, abs(up - down) / (2 * h)
                if error <= bend > _CURVED * slope:
                    return True
        return False

    # -- kinks -------------------------------------------------------------------------------------------------------

    def kink(self) -> Kink | None:
        """The step on the way to the value that is nearest to a kink or a tie, if any is within 1e-3."""
        with mp.workdps(DIGITS):
            found = [
                Kink(step, op, distance)
                for step in self.machine.used()
                for op, distance in self._kinks(step.expr)
                if distance < 1e-3
            ]
        return min(found, key=lambda kink: kink.distance, default=None)

    def _kinks(self, expr: Expr) -> Iterator[tuple[str, float]]:
        if not isinstance(expr, Call) or not expr.args:
            return
        op, args = expr.op, [self._evaluate(arg, self.values) for arg in expr.args]
        if op == "where":
            for part in walk(expr.args[0]):
                if isinstance(part, Call) and part.op in COMPARE_OPS:
                    yield "where", _gap(*(self._evaluate(arg, self.values) for arg in part.args))
        elif op in ("maximum", "minimum"):
            yield op, _gap(*args)
        elif op in ("amax", "amin"):
            yield op, _tie(args[0] if op == "amax" else -args[0], expr.options[0])
        elif op == "norm":
            yield op, _gap(self._evaluate(expr, self.values), mpf(0))
        elif op in ("norm1", "sqrt") or (op == "pow" and not is_whole(expr.args[1])):
            yield op, _gap(args[0], mpf(0))
        elif op in ("hypot", "atan2"):
            yield op, max(_gap(arg, mpf(0)) for arg in args)
        elif op in TABLE:
            for kink in TABLE[op].kinks:
                yield op, _gap(args[0], mpf(kink))


def roundings(reference: ArrayReference, seed: int) -> list[ArrayReference]:
    """The point a few times, every step rounded at random by up to 2**-53."""
    dice = random.Random(seed)
    with mp.workdps(DIGITS):
        return [ArrayReference(reference.machine, reference.point, reference.sizes, dice) for _ in range(_SAMPLES)]


def _zeros(shape: tuple[int, ...]) -> Any:
    return np.zeros(shape, dtype=object) if shape else mpf(0)


def _magnitude(value: Any) -> Any:
    """The largest finite element."""
    return max((abs(mpf(x)) for x in np.asarray(value, dtype=object).flat if mp.isfinite(x)), default=mpf(0))


def _clipped(x: Any) -> Any:
    return mp.sign(x) * mp.inf if mp.isfinite(x) and x and mp.mag(x) > _LARGEST else x


def _gap(a: Any, b: Any) -> float:
    """How far the nearest elements of two operands are from a tie, relative to the largest element."""
    size = max(_magnitude(a), _magnitude(b))
    apart = [abs(x) for x in np.asarray(a - b, dtype=object).flat if mp.isfinite(x)]
    return _relative(apart, size)


def _tie(x: Any, axes: Sequence[int] | None) -> float:
    """How far apart the two largest elements along the axes are."""
    size, apart = _magnitude(x), []
    for row in lanes(x, axes)[0]:
        inside = sorted(value for value in row if mp.isfinite(value))
        if len(inside) > 1:
            apart.append(inside[-1] - inside[-2])
    return _relative(apart, size)


def _relative(apart: Sequence[Any], size: Any) -> float:
    if not apart:
        return 1.0
    return float(min(apart) / size) if size else 0.0


__all__ = ["ArrayMachine", "ArrayReference", "Direction", "Slope", "roundings"]
