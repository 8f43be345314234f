"""The forward sweep at 110 digits: values, derivatives as central differences, conditioning, kinks.

No derivative rule of the op table is used here. With a step of 1e-35 of a variable's scale the truncation error of a central
difference is near 1e-70 relative and cancellation leaves 75 of the 110 digits, so 50 digits are right.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf

from symdiff.expr import Call, Expr, Name, Number, names
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.evaluate import mpmath_function
from symdiff.tape import Step, Tape

DIGITS = 110
_H1, _H2 = 35, 25  # steps of first and second differences: 10**-35 and 10**-25 of the scale
_LARGEST, _SMALLEST, _ZERO = 1024, -1021, -100_000  # binary exponents: the range of float64, and what counts as 0
_DEEPEST_POLYGAMMA = -1000  # mpmath's time grows with the distance below 0
_SAMPLES = 3  # random roundings of every step
_NEAR = 1e-13  # relative distance at which rounding may decide on which side of a kink a step is


@dataclass(frozen=True, slots=True)
class Kink:
    """A step next to a place where its op has no derivative, at `distance` relative to its operands."""

    step: Step
    op: str
    distance: float

    @property
    def on_it(self) -> bool:
        """True where no derivative can be checked by differences."""
        return self.distance <= _NEAR

    def __str__(self) -> str:
        where = "on a kink" if self.on_it else f"{self.distance:.0e} from a kink"
        return f"step {self.step.n} ({self.op}) is {where}"


def _apply(op: str, args: list[Any]) -> Any:
    """One op in mpmath; NaN where it has no real value."""
    if op == "polygamma" and args[1] < _DEEPEST_POLYGAMMA:
        return mp.nan
    try:
        value = mpmath_function(op)(*args)
    except (ValueError, ArithmeticError, TypeError, NotImplementedError):  # mpmath's ways of saying no
        return mp.nan
    if op in COMPARE_OPS:
        return bool(value)
    if isinstance(value, mp.mpc):
        return value.real if value.imag == 0 else mp.nan
    return value


def _value(expr: Expr, values: Mapping[str, Any]) -> Any:
    """Value of the expression of one step; these are shallow."""
    if isinstance(expr, Name):
        return values[expr.id]
    if isinstance(expr, Number):
        return mpf(expr.value)
    assert isinstance(expr, Call)
    return _apply(expr.op, [_value(arg, values) for arg in expr.args])


def scale(x: Any) -> Any:
    """The length on which a variable with value `x` is moved."""
    return max(abs(x), mpf(2) ** -20)


class Machine:
    """The forward sweep of a tape, made ready to be run often."""

    def __init__(self, tape: Tape) -> None:
        self.tape, self.steps, self.output = tape, tape.primal, tape.value
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
        """The steps that the value goes through, whatever the numbers."""
        return self._behind(lambda step: self.reads[step.name])

    def live(self, values: Mapping[str, Any]) -> list[Step]:
        """The steps that the value goes through at one point: a branch of `where` that is not taken is left out."""

        def reads(step: Step) -> list[str]:
            if not isinstance(step.expr, Call) or step.expr.op != "where":
                return self.reads[step.name]
            condition, taken, other = step.expr.args
            return names(condition) + names(taken if _value(condition, values) else other)

        return self._behind(reads)

    def _behind(self, reads: Any) -> list[Step]:
        wanted, found = set(names(self.output)), []
        for step in reversed(self.steps):
            if step.name in wanted:
                found.append(step)
                wanted.update(reads(step))
        return found[::-1]


class Reference:
    """One point in 110 digits.

    factors  step -> 1 + rounding: every step's value is multiplied by it, which shows what rounding does to the formula as typed
    """

    def __init__(self, machine: Machine, point: Mapping[str, float], factors: Mapping[str, Any] | None = None) -> None:
        self.machine, self.factors = machine, factors
        self.beyond: dict[str, Step] = {}  # steps that leave the range of float64
        self.point = dict(point)
        with mp.workdps(DIGITS):
            self.values: dict[str, Any] = {name: mpf(value) for name, value in point.items()}
            self._run(machine.steps, self.values, self.beyond)
            self.value = _value(machine.output, self.values)
        self._slopes: dict[str, Any] = {}

    def _run(self, steps: tuple[Step, ...], values: dict[str, Any], beyond: dict[str, Step] | None = None) -> None:
        for step in steps:
            value = _value(step.expr, values)
            if self.factors is not None:
                value *= self.factors[step.name]
            if mp.isfinite(value) and value:
                size = mp.mag(value)
                if not _SMALLEST <= size <= _LARGEST:
                    if beyond is not None:
                        beyond[step.name] = step
                    value = mp.sign(value) * mp.inf if size > _LARGEST else value if size > _ZERO else mpf(0)
            values[step.name] = value

    def moved(self, offsets: Mapping[str, Any]) -> Any:
        """The value after some inputs have moved."""
        changed = _Overlay(self.values)
        for name, offset in offsets.items():
            changed[name] = self.values[name] + offset
        self._run(self.machine.touched(frozenset(offsets)), changed)
        return _value(self.machine.output, changed)

    def slope(self, direction: Mapping[str, float]) -> Any:
        """Derivative of the value in a direction; NaN where the value is not defined on both sides."""
        with mp.workdps(DIGITS):
            length = max((abs(mpf(d)) / scale(self.values[n]) for n, d in direction.items()), default=mpf(0))
            if not length:
                return mpf(0)
            h = mpf(10) ** -_H1 / length
            up = self.moved({name: h * mpf(d) for name, d in direction.items()})
            down = self.moved({name: -h * mpf(d) for name, d in direction.items()})
            slope = (up - down) / (2 * h)
            noise = mpf(10) ** -60 * max(abs(up), abs(down)) * length
            return mpf(0) if abs(slope) < noise else slope

    def partial(self, name: str) -> Any:
        """Derivative of the value by one input."""
        if name not in self._slopes:
            self._slopes[name] = self.slope({name: 1.0})
        return self._slopes[name]

    def sensitivity(self, direction: Mapping[str, float] | None) -> Any:
        """Sum over the inputs of |d quantity / d x_j| |x_j|: times 2**-53, what half-ulp roundings of the inputs do to it.

        The quantity is the value (direction None), else the derivative in that direction: its row of the Hessian.
        """
        with mp.workdps(DIGITS):
            if direction is None:
                return mp.fsum(abs(self.partial(name) * self.values[name]) for name in self.point)
            return mp.fsum(abs(self._second(direction, name) * self.values[name]) for name in self.point)

    def _second(self, direction: Mapping[str, float], other: str) -> Any:
        if not self.values[other]:
            return mpf(0)
        length = max(abs(mpf(d)) / scale(self.values[n]) for n, d in direction.items())
        h, k = mpf(10) ** -_H2 / length, mpf(10) ** -_H2 * scale(self.values[other])
        total = mpf(0)
        for a in (1, -1):
            for b in (1, -1):
                offsets = {name: a * h * mpf(d) for name, d in direction.items()}
                offsets[other] = offsets.get(other, mpf(0)) + b * k
                total += a * b * self.moved(offsets)
        return total / (4 * h * k)

    def live(self) -> list[Step]:
        """The steps that the value goes through at this point."""
        with mp.workdps(DIGITS):
            return self.machine.live(self.values)

    def out_of_range(self) -> Step | None:
        """The first step on the way to the value that float64 cannot hold."""
        return next((step for step in self.live() if step.name in self.beyond), None) if self.beyond else None

    def kink(self) -> Kink | None:
        """The step on the way to the value that is nearest to a kink or a tie, if any is within 1e-3."""
        with mp.workdps(DIGITS):
            found = [kink for step in self.live() for kink in self._kinks(step) if kink.distance < 1e-3]
        return min(found, key=lambda kink: kink.distance, default=None)

    def _kinks(self, step: Step) -> Iterator[Kink]:
        if not isinstance(step.expr, Call):
            return
        op, args = step.expr.op, step.expr.args
        if op == "where":
            condition = args[0]
            if isinstance(condition, Call) and condition.op in COMPARE_OPS:
                yield Kink(step, "where", self._gap(*condition.args))
        elif op in ("maximum", "minimum"):
            yield Kink(step, op, self._gap(*args))
        elif op in ("hypot", "atan2"):
            yield Kink(step, op, max(self._size(arg) for arg in args))
        elif op == "sqrt":
            yield Kink(step, op, self._size(args[0]))
        elif op == "pow" and not (isinstance(args[1], Number) and args[1].value >= 1 and args[1].value.is_integer()):
            yield Kink(step, op, self._size(args[0]))
        else:
            for kink in TABLE[op].kinks:
                yield Kink(step, op, self._gap(args[0], Number(kink)) if kink else self._size(args[0]))

    def _gap(self, a: Expr, b: Expr) -> float:
        """How far two operands are from a tie, relative to the larger one."""
        for one, other in ((a, b), (b, a)):
            if _value(one, self.values) == 0:
                return self._size(other)
        x, y = _value(a, self.values), _value(b, self.values)
        return float(abs(x - y) / max(abs(x), abs(y))) if mp.isfinite(x) and mp.isfinite(y) else 1.0

    def _size(self, expr: Expr) -> float:
        """How far an operand is from 0, relative to what it was computed from; an input has no rounding, so only 0 is near."""
        value = _value(expr, self.values)
        if not value:
            return 0.0
        maker = next((step for step in self._made(expr) if isinstance(step.expr, Call) and step.expr.op in ("add", "sub")), None)
        if maker is None or not mp.isfinite(value):
            return 1.0
        assert isinstance(maker.expr, Call)
        return float(abs(value) / max(abs(_value(arg, self.values)) for arg in maker.expr.args))

    def _made(self, expr: Expr) -> list[Step]:
        return [step for step in self.machine.steps if isinstance(expr, Name) and step.name == expr.id]


class _Overlay(dict[str, Any]):
    """Changed values over the ones of a point."""

    def __init__(self, base: Mapping[str, Any]) -> None:
        super().__init__()
        self.base = base

    def __missing__(self, name: str) -> Any:
        return self.base[name]


def roundings(machine: Machine, point: Mapping[str, float], seed: int) -> list[Reference]:
    """The point a few times, every step rounded at random by up to 2**-53."""
    dice = random.Random(seed)
    made = []
    for _ in range(_SAMPLES):
        with mp.workdps(DIGITS):
            factors = {step.name: 1 + mpf(dice.uniform(-1.0, 1.0)) * mpf(2) ** -53 for step in machine.steps}
        made.append(Reference(machine, point, factors))
    return made
