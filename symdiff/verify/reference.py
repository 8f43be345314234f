"""The forward sweep at 110 digits: values, derivatives as central differences, conditioning, kinks.

No derivative rule of the op table is used here. With a step of 1e-35 of a variable's scale the truncation error of a
central difference is near 1e-70 relative and cancellation leaves 75 of the 110 digits, so 50 digits are right. A
derivative that is tiny beside the steps it comes from (1e-60) is worked out again in 420 digits.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpmath import mp, mpf

from symdiff.expr import Call, Expr, Name, Number, names
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.evaluate import mpmath_function
from symdiff.tape import Step, Tape

DIGITS = 110
# Digits, and exponents of the step and of what a derivative must exceed beside the largest step: more than truncation
# (the step squared) and rounding (the digits less the step). The second set serves what is lost in the first.
_FIRST, _FINER = (DIGITS, 35, 60), (420, 140, 270)
_H2 = 25  # of the step of second differences
_LARGEST, _SMALLEST, _ZERO = 1024, -1021, -100_000  # binary exponents: the range of float64, and what counts as 0
_DEEPEST_POLYGAMMA = -1000  # mpmath's time grows with the distance below 0
_SAMPLES = 3  # random roundings of every step
_COLUMNS = 50  # inputs that a sum over a row of the Hessian is worked out for
_WORK = 40_000  # steps worked out for one such sum, at most
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


def apply(op: str, args: list[Any]) -> Any:
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
    return apply(expr.op, [_value(arg, values) for arg in expr.args])


def sampled(all_names: Sequence[str], limit: int) -> list[str]:
    """At most `limit` of the names, always the same ones, in their order."""
    if len(all_names) <= limit:
        return list(all_names)
    places = sorted(random.Random(limit).sample(range(len(all_names)), limit))
    return [all_names[place] for place in places]


def scale(x: Any) -> Any:
    """The length on which a variable with value `x` is moved."""
    return max(abs(x), mpf(2) ** -20)


class Machine:
    """The forward sweep of a tape, made ready to be run often."""

    def __init__(self, tape: Tape) -> None:
        self.tape, self.steps, self.output = tape, tape.primal, tape.value
        self.reads = {step.name: names(step.expr) for step in self.steps}
        self.makers = {step.name: step for step in self.steps}
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

    def _behind(self, reads: Callable[[Step], list[str]]) -> list[Step]:
        wanted, found = set(names(self.output)), []
        for step in reversed(self.steps):
            if step.name in wanted:
                found.append(step)
                wanted.update(reads(step))
        return found[::-1]


class Reference:
    """One point in 110 digits.

    rounding  draws 1 + a rounding error. Every step is multiplied by one of its own, and so is the change of every
              operand of every step: what rounding does to the values and to the derivatives of the formula as typed.
    """

    def __init__(self, machine: Machine, point: Mapping[str, float], rounding: Callable[[], Any] | None = None) -> None:
        self.machine = machine
        self.factors: dict[str, tuple[Any, dict[str, Any]]] = {}
        if rounding is not None:
            self.factors = {step.name: (rounding(), {n: rounding() for n in step.operands}) for step in machine.steps}
        self.beyond: dict[str, str] = {}  # steps that cannot be compared, and why
        self.point = dict(point)
        with mp.workdps(DIGITS):
            self.values: dict[str, Any] = {name: mpf(value) for name, value in point.items()}
            self._run(machine.steps, self.values, self.beyond)
            self.value = _value(machine.output, self.values)
            self.size = max([mpf(1), *(abs(v) for v in self.values.values() if mp.isfinite(v))])
        self._slopes: dict[str, Any] = {}

    @property
    def floor(self) -> float:
        """What no difference can tell from 0; also where float64 runs out of digits."""
        return 1e-265 * float(self.size)

    def _run(self, steps: tuple[Step, ...], values: dict[str, Any], beyond: dict[str, str] | None = None) -> None:
        for step in steps:
            if not self.factors:
                value = _value(step.expr, values)
            else:
                own, operands = self.factors[step.name]
                value = own * _value(step.expr, self._rounded(operands, values))
            if mp.isfinite(value) and value:
                size = mp.mag(value)
                if not _SMALLEST <= size <= _LARGEST:
                    if beyond is not None:
                        beyond[step.name] = f"step {step.n} ({step.target}) leaves the range of float64"
                    value = mp.sign(value) * mp.inf if size > _LARGEST else value if size > _ZERO else mpf(0)
            elif beyond is not None and step.op == "polygamma" and mp.isnan(value):
                beyond[step.name] = f"step {step.n} ({step.target}): polygamma this far below 0 has no reference"
            values[step.name] = value

    def _rounded(self, operands: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
        if values is self.values:
            return values
        return {n: self.values[n] + (values[n] - self.values[n]) * factor for n, factor in operands.items()}

    def moved(self, offsets: Mapping[str, Any]) -> Any:
        """The value after some inputs have moved."""
        changed = _Overlay(self.values)
        for name, offset in offsets.items():
            changed[name] = self.values[name] + offset
        self._run(self.machine.touched(frozenset(offsets)), changed)
        return _value(self.machine.output, changed)

    def slope(self, direction: Mapping[str, float]) -> Any:
        """Derivative of the value in a direction; NaN where the value is not defined on both sides."""
        touched = self.machine.touched(frozenset(direction))
        if not any(direction.values()) or not (touched or not set(direction).isdisjoint(names(self.machine.output))):
            return mpf(0)
        slope, resolved = self._slope(direction, *_FIRST)
        return slope if resolved else self._slope(direction, *_FINER)[0]

    def _slope(self, direction: Mapping[str, float], digits: int, step: int, least: int) -> tuple[Any, bool]:
        """Central difference, and whether it stands out from the rounding of that many digits; 0 where it does not."""
        with mp.workdps(digits):
            length = max(abs(mpf(d)) / scale(self.values[n]) for n, d in direction.items())
            if not length:  # next to infinity
                return mp.nan, True
            h = mpf(10) ** -step / length
            up = self.moved({name: h * mpf(d) for name, d in direction.items()})
            down = self.moved({name: -h * mpf(d) for name, d in direction.items()})
            slope = (up - down) / (2 * h)
            resolved = not abs(slope) < mpf(10) ** -least * self.size * length
            return slope if resolved else mpf(0), resolved

    def partial(self, name: str) -> Any:
        """Derivative of the value by one input."""
        if name not in self._slopes:
            self._slopes[name] = self.slope({name: 1.0})
        return self._slopes[name]

    def sensitivity(self, direction: Mapping[str, float] | None) -> Any:
        """Sum over the inputs of |d quantity / d x_j| |x_j|: times 2**-53, what half-ulp roundings of the inputs do.

        The quantity is the value (direction None), else the derivative in that direction: its row of the Hessian. Of
        more than 50 inputs (fewer on a long tape) a sample is taken, and the sum scaled up.
        """
        sample = sampled(list(self.point), min(_COLUMNS, max(4, _WORK // (4 * len(self.machine.steps)))))
        with mp.workdps(DIGITS):
            if direction is None:
                total = mp.fsum(abs(self.partial(name) * self.values[name]) for name in sample)
            else:
                total = mp.fsum(abs(self._second(direction, name) * self.values[name]) for name in sample)
            return total * len(self.point) / len(sample)

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

    def usable(self, wrt: Sequence[str]) -> bool:
        """True where the value, its derivatives and every step on the way are numbers that float64 can hold."""
        if not mp.isfinite(self.value) or self.out_of_range():
            return False
        kink = self.kink()
        return (kink is not None and kink.on_it) or all(mp.isfinite(self.partial(name)) for name in wrt)

    def out_of_range(self) -> str:
        """What is wrong with the first step on the way to the value that cannot be compared; empty where none is."""
        return (
            next((self.beyond[step.name] for step in self.live() if step.name in self.beyond), "")
            if self.beyond
            else ""
        )

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
        elif op == "sqrt" or (op == "pow" and not is_whole(args[1])):
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
        """How far an operand is from 0, relative to what it is the sum of; nothing else can round to the other side."""
        value = _value(expr, self.values)
        if not value:
            return 0.0
        maker = self.machine.makers.get(expr.id) if isinstance(expr, Name) else None
        made = maker.expr if maker else None
        if not isinstance(made, Call) or made.op not in ("add", "sub") or not mp.isfinite(value):
            return 1.0
        return float(abs(value) / max(abs(_value(arg, self.values)) for arg in made.args))


def is_whole(exponent: Expr) -> bool:
    return isinstance(exponent, Number) and exponent.value >= 1 and exponent.value.is_integer()


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

    def rounding() -> Any:
        return 1 + mpf(dice.uniform(-1.0, 1.0)) * mpf(2) ** -53

    with mp.workdps(DIGITS):
        return [Reference(machine, point, rounding) for _ in range(_SAMPLES)]
