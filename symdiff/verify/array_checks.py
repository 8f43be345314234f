"""The tests of an array formula at one point: dot product, finite differences, 50 digits, Python against C.

Of every variable some components and some random directions are looked at; a direction sees every component. Errors
are relative to the largest component of the same gradient.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain, zip_longest
from typing import Any

import numpy as np

from symdiff.ops.evaluate import evaluate
from symdiff.tape import Tape
from symdiff.verify.array_judge import ArrayJudge, Quantity, Scale, component, largest
from symdiff.verify.array_lines import ArrayNumbers, Line, call_array_kernel, lines_along, ones_at, random_way
from symdiff.verify.array_points import ArrayPoint, elements
from symdiff.verify.checks import AGREE, DOT, FIFTY, FINITE, TOO_FAST, run_steps
from symdiff.verify.finite_steps import Kernel, difference, drowned, noise_of, resolved_difference
from symdiff.verify.report import FAILED, Row

_DIRECTIONS = 4  # of a dot product
_DIFFERENCES = 3  # components of each variable, by finite differences
_HEAVY = 20_000  # numbers in a point from which on finite differences go along one direction of a variable alone
_BASE = {DOT: 1e-10, FIFTY: 1e-10, AGREE: 1e-12}
_UNJUDGED = 1e-8  # Python against C where no 50 digits say how far rounding goes
_THREE_DIGITS, _INFLUENCE = 1e-3, 1e-6
_TRUSTED = 1e-8  # of the value: measured noise above it and above what rounding does is the formula's own swing
_SUSPECTS = 8  # components beyond the tolerance of Python against C that are looked at
_FLOOR = 1e-3
_SPREAD = 4  # neighbours of a point, of which the inputs differ in a last bit
_NEAR_DIGITS, _NEAR_DIFFERENCES = (13, 12), (12, 10, 8, 6)  # exponents of the distances of a kink that matters
_KINK = "a kink or a tie"
_TOO_LARGE = "too many numbers for 50 digits"


class ArrayTests:
    """One point with what the kernels returned there.

    sample  the variables that lines are laid along; the others only in dot products and between kernels
    slopes  how many derivatives 50 digits may be asked for
    """

    def __init__(
        self,
        number: int,
        point: ArrayPoint,
        sample: Sequence[str],
        judge: ArrayJudge,
        found: Sequence[ArrayNumbers],
        seed: int,
        slopes: int,
    ) -> None:
        self.number, self.point, self.sample, self.judge = number, point, sample, judge
        self.found, self.seed, self.slopes = found, seed, slopes
        self.dice = random.Random(seed + number)
        self._neighbours: dict[str, list[Mapping[str, Any]]] = {}

    def _row(self, test: str, backend: str, variable: str = "all", verdict: str = "ok", note: str = "") -> Row:
        return Row(test, backend, self.number, variable, verdict=verdict, note=note)

    def _skip(self, test: str, backend: str, reason: str, variable: str = "all") -> Row:
        return self._row(test, backend, variable, f"not applicable: {reason}")

    def shapes(self) -> Iterator[Row]:
        """A gradient has the shape of its variable."""
        for numbers in self.found:
            for name, shape in numbers.misshapen.items():
                wanted = np.shape(self.point.values[name])
                yield self._misshapen(DOT, numbers.backend, name, shape, wanted)

    def _misshapen(self, test: str, backend: str, name: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> Row:
        row = self._row(test, backend, name, FAILED, f"{name}: shape {found}, and not {wanted}")
        return replace(row, error=math.inf, tolerance=0.0)

    # -- lines -------------------------------------------------------------------------------------------------------

    @cached_property
    def lines(self) -> list[Line]:
        """Every variable's directions and components in turn, so that the first ones are from all of them."""
        found = {name: [numbers.gradient[name] for numbers in self.found] for name in self.sample}
        made = [lines_along(name, self.point.values[name], found[name], self.dice) for name in self.sample]
        return [line for line in chain.from_iterable(zip_longest(*made)) if line is not None]

    # -- dot product -------------------------------------------------------------------------------------------------

    def dot_products(self, tangent: Tape) -> Iterator[Row]:
        """<ybar, J xdot> by the forward sweep against <J^T ybar, xdot> by the kernel's gradient."""
        for numbers in self.found:
            if not math.isfinite(float(numbers.value)):
                yield self._skip(DOT, numbers.backend, "the value is not finite here")
                continue
            for count in range(_DIRECTIONS):
                yield self._dot_product(tangent, numbers, count)

    def _dot_product(self, tangent: Tape, numbers: ArrayNumbers, count: int) -> Row:
        direction = self._weights(numbers.gradient, equal=bool(count % 2))
        expected = self._forward(tangent, direction)
        row = self._row(DOT, numbers.backend, f"direction {count + 1}")
        with np.errstate(all="ignore"):
            terms = np.concatenate([(g * direction[name]).ravel() for name, g in numbers.gradient.items()])
        got = math.fsum(terms) if np.isfinite(terms).all() else math.nan
        if not math.isfinite(expected):
            return self._skip(DOT, numbers.backend, "the derivative is not finite here", row.variable)
        if not math.isfinite(got):
            return self.judge.filled(row, expected, got, math.inf, 0.0, failed=True)
        scale = Scale(math.fsum(np.abs(terms)))
        row = self.judge.compare(row, expected, got, _BASE[DOT], scale, Quantity(direction=direction))
        if row.verdict != FAILED:
            return row
        near = [{name: self._last_bit(d) for name, d in direction.items()} for _ in range(_SPREAD)]
        return self.judge.forgiven(row, [abs(self._forward(tangent, each) - expected) for each in near], scale)

    def _weights(self, gradient: Mapping[str, Any], equal: bool) -> dict[str, Any]:
        """A random direction; `equal`: scaled so that no component drowns the others."""
        top = max(map(largest, gradient.values()), default=0.0) or 1.0
        made = {}
        for name, g in gradient.items():
            weights = random_way(self.dice, np.shape(g))
            made[name] = weights * top / np.fmax(np.abs(g), 1e-3 * top) if equal else weights
        return made

    def _forward(self, tangent: Tape, direction: Mapping[str, Any]) -> float:
        """The forward sweep in float64."""
        values: dict[str, Any] = {name: np.float64(size) for name, size in self.point.sizes.items()}
        values |= {name: np.asarray(x, dtype=np.float64)[()] for name, x in self.point.values.items()}
        dots = dict(tangent.dots)
        values |= {dots[name]: np.asarray(d)[()] for name, d in direction.items()}
        run_steps(tangent.steps, values, self.point.sizes)
        return float(evaluate(dict(tangent.outputs)["value_dot"], values, self.point.sizes))

    # -- finite differences ------------------------------------------------------------------------------------------

    def finite_differences(self) -> Iterator[Row]:
        """Central differences of each kernel's own value against its gradient."""
        for numbers in self.found:
            if not math.isfinite(float(numbers.value)):
                yield self._skip(FINITE, numbers.backend, "the value is not finite here")
                continue
            noise = noise_of(self._everything(numbers.kernel), {"t": 1.0}, self.seed)
            for line in self._few_lines():
                yield self._finite_difference(numbers, line, noise)

    def _few_lines(self) -> list[Line]:
        """Directions and components of every variable; a number has one line."""
        heavy = elements(self.point.values) > _HEAVY
        made: list[Line] = []
        for name in self.sample:
            own = [line for line in self.lines if line.name == name]
            along = [line for line in own if line.index is None]
            single = [line for line in own if line.index is not None]
            made += along[:1] or single if heavy else along + single[:_DIFFERENCES]
        return made

    def _everything(self, kernel: Kernel) -> Kernel:
        """The value as a function of one number that moves all inputs."""
        point = self.point.values
        ways = {name: random_way(self.dice, np.shape(x)) * max(largest(x), _FLOOR) for name, x in point.items()}
        return _function(kernel, lambda t: {name: _plain(x + (t - 1.0) * ways[name]) for name, x in point.items()})

    def _along(self, kernel: Kernel, line: Line) -> tuple[Kernel, float, float]:
        """The value as a function of one number, where that is now, and how much longer than the line its step is."""
        point, base = self.point.values, np.array(self.point.values[line.name], dtype=np.float64)
        if line.index is None:
            width = max(largest(base), _FLOOR)
            way = width * line.direction
            return _function(kernel, lambda t: {**point, line.name: _plain(base + (t - 1.0) * way)}), 1.0, width

        def moved(t: float) -> dict[str, Any]:
            changed = base.copy()
            changed[line.index] = t
            return {**point, line.name: _plain(changed)}

        return _function(kernel, moved), float(base[line.index]), 1.0

    def _finite_difference(self, numbers: ArrayNumbers, line: Line, noise: float) -> Row:
        function, x, width = self._along(numbers.kernel, line)
        got, point = line.slope(numbers.gradient) * width, {"t": x}
        row = self._row(FINITE, numbers.backend, line.label)
        if self._kinked(line):
            return self._skip(FINITE, numbers.backend, _KINK, line.label)
        expected, tolerance = difference(function, point, "t", noise)
        if math.isnan(expected):
            return self._skip(FINITE, numbers.backend, "no step stays inside the domain", line.label)
        if not math.isfinite(got):
            return self.judge.filled(row, expected / width, got / width, math.inf, 0.0, failed=True)
        influence = abs(float(numbers.value)) / max(abs(x), _FLOOR)

        def three_digits() -> bool:
            return tolerance <= _THREE_DIGITS * max(abs(expected), abs(got), _INFLUENCE * influence)

        if not abs(got - expected) <= tolerance or not three_digits():
            rounding = self.judge.rounding(Quantity()) if self.judge.reference else math.inf
            noise = max(rounding, min(noise, _TRUSTED * abs(float(numbers.value)))) if rounding < math.inf else noise
            expected, tolerance = resolved_difference(function, point, "t", noise)
            wrong = not abs(got - expected) <= tolerance
            if math.isnan(expected) or (wrong and drowned(function, point, "t", min(rounding, noise))):
                return self._skip(FINITE, numbers.backend, TOO_FAST, line.label)
        if not three_digits():
            return self._skip(
                FINITE, numbers.backend, "no step gives three digits of so small a derivative", line.label
            )
        error, failed = abs(got - expected), not abs(got - expected) <= tolerance
        if failed and self._explained(line, error / width, _NEAR_DIFFERENCES):
            return self._skip(FINITE, numbers.backend, _KINK, line.label)
        return self.judge.filled(row, expected / width, got / width, error / width, tolerance / width, failed)

    def _kinked(self, line: Line) -> bool:
        reference = self.judge.reference
        return (
            reference is not None and line in self._exact_lines and reference.slope(line.quantity.direction or {}).kink
        )

    # -- 50 digits ---------------------------------------------------------------------------------------------------

    @cached_property
    def _exact_lines(self) -> list[Line]:
        return self.lines[: self.slopes]

    def fifty_digits(self) -> Iterator[Row]:
        """Value and derivatives against the forward sweep and its differences in 110 digits."""
        reference = self.judge.reference
        for numbers in self.found:
            if reference is None:
                yield self._skip(FIFTY, numbers.backend, _TOO_LARGE)
                continue
            yield self._value_against_digits(numbers)
            for line in self._exact_lines:
                yield self._line_against_digits(numbers, line)

    def _value_against_digits(self, numbers: ArrayNumbers) -> Row:
        """The worst component of the value."""
        assert self.judge.reference is not None
        exact = np.asarray(self.judge.reference.value, dtype=object)
        if numbers.value.shape != exact.shape:
            return self._misshapen(FIFTY, numbers.backend, "value", numbers.value.shape, exact.shape)
        top = largest(exact)
        worst: Row | None = None
        for index in np.ndindex(exact.shape):
            row, got, quantity = (
                self._row(FIFTY, numbers.backend, component("value", index)),
                numbers.value[index],
                Quantity(index),
            )
            found = self.judge.odd(row, exact[index], float(got), quantity)
            if found is None:
                found = self.judge.compare(row, exact[index], float(got), _BASE[FIFTY], Scale(top, top), quantity)
            worst = found if worst is None or _rank(found) > _rank(worst) else worst
        return worst or self._skip(FIFTY, numbers.backend, "the value has no elements", "value")

    def _line_against_digits(self, numbers: ArrayNumbers, line: Line) -> Row:
        assert self.judge.reference is not None
        row, got = self._row(FIFTY, numbers.backend, line.label), line.slope(numbers.gradient)
        slope = self.judge.reference.slope(line.quantity.direction or {})
        if slope.kink:
            return self._skip(FIFTY, numbers.backend, _KINK, line.label)
        found = self.judge.odd(row, slope.value, got, line.quantity)
        if found is not None:
            return found
        top = self._tops[line.name]
        size = top if line.index is not None else top * math.sqrt(line.direction.size)
        scale = Scale(size, top)
        row = self.judge.compare(row, slope.value, got, _BASE[FIFTY], scale, line.quantity)
        if row.verdict != FAILED:
            return row
        if self._explained(line, abs(got - float(slope.value)), _NEAR_DIGITS):
            return self._skip(FIFTY, numbers.backend, _KINK, line.label)
        return self.judge.forgiven(row, [abs(line.slope(near) - got) for near in self._near(numbers)], scale)

    def _explained(self, line: Line, error: float, exponents: Sequence[int]) -> bool:
        reference, direction = self.judge.reference, line.quantity.direction
        return reference is not None and direction is not None and reference.explains(direction, error, exponents)

    def _near(self, numbers: ArrayNumbers) -> list[Mapping[str, Any]]:
        """The kernel's gradients after its inputs have changed by a last bit."""
        if numbers.backend not in self._neighbours:
            points = [{name: self._last_bit(x) for name, x in self.point.values.items()} for _ in range(_SPREAD)]
            found = [
                call_array_kernel(numbers.backend, numbers.kernel, each, list(numbers.gradient)) for each in points
            ]
            self._neighbours[numbers.backend] = [each.gradient for each in found]
        return self._neighbours[numbers.backend]

    def _last_bit(self, x: Any) -> Any:
        return _plain(x * (1.0 + 2.0**-52 * np.sign(random_way(self.dice, np.shape(x)))))

    @cached_property
    def _tops(self) -> dict[str, float]:
        """The largest component of each gradient, of those that were worked out."""
        assert self.judge.reference is not None
        tops: dict[str, float] = {}
        for line in self._exact_lines:
            slope = abs(float(self.judge.reference.slope(line.quantity.direction or {}).value))
            part = slope if line.index is not None else slope / float(np.sum(np.abs(line.direction)) or 1.0)
            tops[line.name] = max(tops.get(line.name, 0.0), part if math.isfinite(part) else 0.0)
        return tops

    # -- Python against C --------------------------------------------------------------------------------------------

    def agreement(self) -> Iterator[Row]:
        """The NumPy kernel against the compiled one, every component: the row is the worst one of an array."""
        by_backend = {numbers.backend: numbers for numbers in self.found}
        python, compiled = by_backend.get("numpy"), by_backend.get("c")
        if python is None or compiled is None:
            return
        yield self._agree("value", python.value, compiled.value, lambda index: Quantity(index))
        for name in python.gradient:
            yield self._agree(
                name,
                python.gradient[name],
                compiled.gradient[name],
                lambda index, name=name: Quantity(direction={name: ones_at(self.point.values[name], index)}),
            )

    def _agree(self, name: str, one: Any, other: Any, quantity: Any) -> Row:
        row = self._row(AGREE, "both", name)
        if one.shape != other.shape:
            return self._misshapen(AGREE, "both", name, other.shape, one.shape)
        if not one.size:
            return self._skip(AGREE, "both", "it has no elements", name)
        same = (one == other) | (np.isnan(one) & np.isnan(other))
        top = largest(one)
        with np.errstate(all="ignore"):
            apart = np.where(same, 0.0, np.abs(one - other))
        apart = np.where(np.isnan(apart), np.inf, apart)
        base = _BASE[AGREE] if self.judge.reference is not None else _UNJUDGED
        worst: Row | None = None
        for place in np.argsort(-apart, axis=None, kind="stable")[:_SUSPECTS]:
            index = tuple(map(int, np.unravel_index(place, one.shape)))
            x, y = float(one[index]), float(other[index])
            row = self._row(AGREE, "both", component(name, index))
            if same[index] and not math.isfinite(x):
                found = replace(row, expected=x, got=y, error=0.0, tolerance=0.0, note=f"both give {x}")
            elif not (math.isfinite(x) and math.isfinite(y)):
                found = self.judge.filled(row, x, y, math.inf, 0.0, failed=True)
            else:
                found = self.judge.compare(row, x, y, base, Scale(top), quantity(index))
            worst = found if worst is None or _rank(found) > _rank(worst) else worst
        assert worst is not None
        return worst


def _rank(row: Row) -> tuple[bool, bool, float, bool]:
    """Failures first, then comparisons, then the worst of these, then numbers before NaN."""
    return row.verdict == FAILED, row.compared, row.badness, row.numeric


def _plain(x: Any) -> Any:
    """A float, or an array of its own."""
    return float(x) if np.ndim(x) == 0 else np.ascontiguousarray(x)


def _function(kernel: Kernel, point_at: Any) -> Kernel:
    """The kernel's value as a function of `t`, an array of numbers that are taken one after the other."""

    def function(t: Any) -> Any:
        found = [kernel(**point_at(float(each))) for each in np.atleast_1d(t)]
        return np.array([float(result[0] if isinstance(result, tuple) else result) for result in found])

    return function


__all__ = ["ArrayTests"]
