"""The five tests at one point: dot product, finite differences, 50 digits, complex step, Python against C."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mpmath import mp

from symdiff.expr import Call, walk
from symdiff.ops import TABLE, helpers
from symdiff.ops.evaluate import evaluate
from symdiff.tape import Step, Tape
from symdiff.verify.finite_steps import Kernel, difference, drowned, noise_of, resolved_difference
from symdiff.verify.judge import Judge
from symdiff.verify.report import FAILED, Row

DOT, FINITE, FIFTY = "dot product", "finite differences", "50 digits"
COMPLEX, AGREE = "complex step", "Python against C"
_DIRECTIONS = 4
_BASE = {DOT: 1e-10, FIFTY: 1e-10, COMPLEX: 1e-12, AGREE: 1e-12}
_NEAR_KINK = 1e-6  # finite differences do not apply nearer than this
_THREE_DIGITS, _INFLUENCE = 1e-3, 1e-6
_TRUSTED = 1e-8  # of the value: measured noise above it and above what rounding does is the formula's own swing
_STEEP = 1e3  # times more than in proportion
TOO_FAST = "the value changes too fast for differences in float64"
_IMAGINARY = 1e-30


@dataclass(frozen=True, slots=True)
class Numbers:
    """What one kernel returned."""

    backend: str
    kernel: Kernel
    value: float
    gradient: Mapping[str, float]

    @property
    def finite(self) -> bool:
        """True where value and gradient all are."""
        return math.isfinite(self.value) and all(map(math.isfinite, self.gradient.values()))


def call_kernel(backend: str, kernel: Kernel, point: Mapping[str, float], wrt: Sequence[str]) -> Numbers:
    """Value and gradient at one point; a kernel of the bare value has no gradient."""
    result = kernel(**point)
    value, gradient = result if isinstance(result, tuple) else (result, ())
    return Numbers(backend, kernel, float(value), {n: float(g) for n, g in zip(wrt, gradient, strict=True)})


@dataclass(frozen=True)
class PointTests:
    """One point with what the kernels returned there.

    sample  the variables whose derivatives are compared one by one; the others only in dot products and between kernels
    """

    number: int
    point: Mapping[str, float]
    sample: Sequence[str]
    judge: Judge
    found: Sequence[Numbers]
    seed: int

    def _row(self, test: str, backend: str, variable: str = "all", verdict: str = "ok", note: str = "") -> Row:
        return Row(test, backend, self.number, variable, verdict=verdict, note=note)

    def _skip(self, test: str, backend: str, reason: str, variable: str = "all") -> Row:
        return self._row(test, backend, variable, f"not applicable: {reason}")

    # -- dot product -------------------------------------------------------------------------------------------------

    def dot_products(self, tangent: Tape) -> Iterator[Row]:
        """<ybar, J xdot> by the forward sweep against <J^T ybar, xdot> by the kernel's gradient."""
        for numbers in self.found:
            if not numbers.finite:
                yield self._skip(DOT, numbers.backend, "value or gradient is not finite here")
                continue
            directions = self._directions(numbers.gradient)
            forward = self._forward(tangent, directions)
            for count, direction in enumerate(directions):
                terms = [numbers.gradient[name] * direction[name] for name in direction]
                row = self._row(DOT, numbers.backend, f"direction {count + 1}")
                expected = float(forward[count])
                if not math.isfinite(expected):
                    yield self.judge.filled(row, expected, math.fsum(terms), math.inf, 0.0, failed=True)
                    continue
                size = math.fsum(map(abs, terms))
                yield self.judge.compare(row, expected, math.fsum(terms), _BASE[DOT], direction, size)

    def _directions(self, gradient: Mapping[str, float]) -> list[dict[str, float]]:
        """Random ones; in half of them every variable is scaled so that none drowns the others."""
        dice = random.Random(self.seed + self.number)
        largest = max(map(abs, gradient.values())) or 1.0
        made = []
        for count in range(_DIRECTIONS):
            direction = {}
            for name, g in gradient.items():
                weight = dice.choice((-1.0, 1.0)) * dice.uniform(0.5, 1.0)
                direction[name] = weight if count % 2 else weight * largest / max(abs(g), 1e-3 * largest)
            made.append(direction)
        return made

    def _forward(self, tangent: Tape, directions: Sequence[Mapping[str, float]]) -> np.ndarray[Any, Any]:
        """The forward sweep in float64, all directions at once."""
        values: dict[str, Any] = {name: np.float64(x) for name, x in self.point.items()}
        dots = dict(tangent.dots)
        for name in directions[0]:
            values[dots[name]] = np.array([direction[name] for direction in directions])
        run_steps(tangent.steps, values)
        result = evaluate(dict(tangent.outputs)["value_dot"], values)
        return np.broadcast_to(result, len(directions))

    # -- finite differences ------------------------------------------------------------------------------------------

    def finite_differences(self) -> Iterator[Row]:
        """Central differences of each kernel's own value against its gradient."""
        kink = self.judge.kink
        for numbers in self.found:
            if kink is not None and kink.distance < _NEAR_KINK:
                yield self._skip(FINITE, numbers.backend, str(kink))
                continue
            if not numbers.finite:
                yield self._skip(FINITE, numbers.backend, "value or gradient is not finite here")
                continue
            noise = noise_of(numbers.kernel, self.point, self.seed)
            for name in self.sample:
                yield self._finite_difference(numbers, name, noise)

    def _finite_difference(self, numbers: Numbers, name: str, noise: float) -> Row:
        got = numbers.gradient[name]
        expected, tolerance = difference(numbers.kernel, self.point, name, noise)
        if math.isnan(expected):
            return self._skip(FINITE, numbers.backend, "no step stays inside the domain", name)
        if not abs(got - expected) <= tolerance or not self._three_digits(numbers, name, expected, tolerance):
            # swings within every step, or rounding in stairs longer than the interval on which noise is measured
            rounding = self.judge.rounding(None)
            noise = max(rounding, min(noise, _TRUSTED * abs(numbers.value)))
            expected, tolerance = resolved_difference(numbers.kernel, self.point, name, noise)
            wrong = not abs(got - expected) <= tolerance
            if math.isnan(expected) or (wrong and drowned(numbers.kernel, self.point, name, rounding)):
                return self._skip(FINITE, numbers.backend, TOO_FAST, name)
        if not self._three_digits(numbers, name, expected, tolerance):
            steep = abs(got) > _STEEP * self._influence(numbers, name)
            reason = TOO_FAST if steep else "no step gives three digits of so small a derivative"
            return self._skip(FINITE, numbers.backend, reason, name)
        error = abs(got - expected)
        row = self._row(FINITE, numbers.backend, name)
        return self.judge.filled(row, expected, got, error, tolerance, failed=not error <= tolerance)

    def _three_digits(self, numbers: Numbers, name: str, expected: float, tolerance: float) -> bool:
        influence = self._influence(numbers, name)
        return tolerance <= _THREE_DIGITS * max(abs(expected), abs(numbers.gradient[name]), _INFLUENCE * influence)

    def _influence(self, numbers: Numbers, name: str) -> float:
        """The derivative of a value that changes as much as its variable does."""
        return abs(numbers.value) / max(abs(self.point[name]), 1e-3)

    # -- 50 digits ---------------------------------------------------------------------------------------------------

    def fifty_digits(self) -> Iterator[Row]:
        """Value and partials against central differences in 110 digits."""
        reference, kink = self.judge.reference, self.judge.kink
        for numbers in self.found:
            yield self._against_digits(numbers, "value", reference.value, numbers.value, None)
            for name in self.sample:
                if kink is not None and kink.on_it:
                    yield self._skip(FIFTY, numbers.backend, str(kink), name)
                else:
                    exact = reference.partial(name) if mp.isfinite(reference.value) else mp.nan
                    yield self._against_digits(numbers, name, exact, numbers.gradient[name], {name: 1.0})

    def _against_digits(
        self, numbers: Numbers, variable: str, exact: Any, got: float, direction: Mapping[str, float] | None
    ) -> Row:
        row = self._row(FIFTY, numbers.backend, variable)
        rounded = float(exact)
        if not math.isfinite(rounded) and (got == rounded or (math.isnan(got) and math.isnan(rounded))):
            why = "beyond the range of float64" if mp.isfinite(exact) else self.judge.out_of_range
            note = f"not a finite number in either, both give {got}" + (f": {why}" if why else "")
            return replace(row, expected=rounded, got=got, error=0.0, tolerance=0.0, note=note)
        if mp.isfinite(exact) and math.isfinite(got):
            return self.judge.compare(row, exact, got, _BASE[FIFTY], direction)
        if not mp.isfinite(exact) and not math.isfinite(got):
            why = self.judge.out_of_range
            note = "not a finite number in either" + (f": {why}" if why else "")
            return replace(row, expected=float(exact), got=got, error=0.0, tolerance=0.0, note=note)
        if not mp.isfinite(exact) and variable != "value":
            return self._skip(FIFTY, numbers.backend, "the value has no derivative from both sides here", variable)
        return self.judge.filled(row, float(exact), got, math.inf, 0.0, failed=True)

    # -- complex step ------------------------------------------------------------------------------------------------

    def complex_steps(self, tape: Tape, steps: Sequence[Step]) -> Iterator[Row]:
        """The imaginary part of the forward sweep at x + 1e-30 i: no difference, so no cancellation."""
        reason = self._not_complex(steps)
        slopes = {} if reason else self._complex_slopes(tape)
        for numbers in self.found:
            why = reason or ("" if numbers.finite else "value or gradient is not finite here")
            if why:
                yield self._skip(COMPLEX, numbers.backend, why)
                continue
            for name, slope in slopes.items():
                row, got = self._row(COMPLEX, numbers.backend, name), numbers.gradient[name]
                if math.isfinite(slope):
                    yield self.judge.compare(row, slope, got, _BASE[COMPLEX], {name: 1.0}, slope)
                else:
                    yield self._skip(COMPLEX, numbers.backend, "NumPy's complex functions overflow here", name)

    def _not_complex(self, steps: Sequence[Step]) -> str:
        ops = {part.op for step in steps for part in walk(step.expr) if isinstance(part, Call)}
        real = sorted(op for op in ops if not TABLE[op].complex_step or hasattr(helpers, op))
        if real:
            return f"{', '.join(real)}: not analytic, or for real numbers only in NumPy"
        for step in self.judge.reference.live():
            if step.op == "pow" and isinstance(step.expr, Call) and self._base(step.expr) <= 0:
                return f"step {step.n} is a power of a number that is not positive"
        return ""

    def _base(self, power: Call) -> float:
        values = {name: np.float64(x) for name, x in self.judge.reference.values.items()}
        return float(evaluate(power.args[0], values))

    def _complex_slopes(self, tape: Tape) -> dict[str, float]:
        """Derivative by every variable of the sample, all at once."""
        if not self.sample:
            return {}
        values: dict[str, Any] = {name: np.float64(x) for name, x in self.point.items()}
        heights = {name: _IMAGINARY * (abs(self.point[name]) or 1.0) for name in self.sample}
        for lane, name in enumerate(self.sample):
            values[name] = np.full(len(self.sample), self.point[name], dtype=np.complex128)
            values[name][lane] += 1j * heights[name]
        run_steps(tape.primal, values)
        result = np.imag(np.broadcast_to(evaluate(tape.value, values), len(self.sample)))
        return {name: float(result[lane]) / heights[name] for lane, name in enumerate(self.sample)}

    # -- Python against C --------------------------------------------------------------------------------------------

    def agreement(self) -> Iterator[Row]:
        """The NumPy kernel against the compiled one: the same number, or the same NaN or infinity."""
        by_backend = {numbers.backend: numbers for numbers in self.found}
        python, compiled = by_backend.get("numpy"), by_backend.get("c")
        if python is None or compiled is None:
            return
        pairs = [("value", python.value, compiled.value)]
        pairs += [(name, python.gradient[name], compiled.gradient[name]) for name in python.gradient]
        for name, one, other in pairs:
            row = self._row(AGREE, "both", name)
            direction = None if name == "value" else {name: 1.0}
            if math.isfinite(one) and math.isfinite(other):
                yield self.judge.compare(row, one, other, _BASE[AGREE], direction, one)
                continue
            same = one == other or (math.isnan(one) and math.isnan(other))
            verdict, error = ("ok", 0.0) if same else (FAILED, math.inf)
            note = f"both give {one}" if same else ""
            yield replace(row, expected=one, got=other, error=error, tolerance=0.0, verdict=verdict, note=note)


def run_steps(steps: Sequence[Step], values: dict[str, Any], sizes: Mapping[str, int] | None = None) -> None:
    """Carry out steps; an accumulator adds up."""
    for step in steps:
        value = values[step.name] = evaluate(step.expr, values, sizes)
        if step.into is not None:
            with np.errstate(all="ignore"):
                values[step.into] = values[step.into] + value if step.into in values else value
