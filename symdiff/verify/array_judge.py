"""How far two numbers of an array formula may be apart, and what explains it where they are further apart.

First comes the tolerance of the test, relative to the largest component of the same array. Where that is missed, the
steps of the formula as typed are rounded at random by up to 2**-53 in 110 digits, as in `judge`: 16 times what that
does is accepted while three digits of the largest component are left; so is 16 times what a last bit of the inputs does
to a kernel's own numbers. A failure behind a step beyond the range of float64 is none, nor is one that a kink explains:
the slopes of both sides differ by more than the error.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from mpmath import mp, mpf

from symdiff.verify.array_reference import ArrayReference, Direction, roundings
from symdiff.verify.judge import DIGITS_LEFT, LOSES, LOST, STEPS
from symdiff.verify.reference import DIGITS, Kink
from symdiff.verify.report import FAILED, OK, Row

Index = tuple[int, ...]
_NO_DERIVATIVE = "the value has no derivative from both sides here"
_UNDECIDED = "rounding decides here whether this is a number"
_BOTH_ODD = "not a finite number in either"


@dataclass(frozen=True, eq=False)
class Quantity:
    """A component of the value, or the derivative of the value in a direction."""

    index: Index = ()
    direction: Direction | None = None

    def of(self, reference: ArrayReference) -> Any:
        """It in many digits."""
        if self.direction is not None:
            return reference.slope(self.direction).value
        return reference.value[self.index] if self.index else reference.value


@dataclass(frozen=True)
class Scale:
    """What errors are relative to. `size` is for the tolerance, `largest` (0 for none) must keep three digits."""

    size: float
    largest: float = 0.0


class ArrayJudge:
    """The tolerances at one point; without a reference (it would take too long) there are no excuses."""

    def __init__(self, reference: ArrayReference | None) -> None:
        self.reference = reference
        self._known: list[tuple[Quantity, float]] = []

    @cached_property
    def kink(self) -> Kink | None:
        """The step that is nearest to a kink."""
        return self.reference.kink() if self.reference else None

    def compare(self, row: Row, expected: Any, got: float, base: float, scale: Scale, quantity: Quantity) -> Row:
        """`row` filled in, for two finite numbers."""
        with mp.workdps(DIGITS):
            error = float(abs(mpf(got) - mpf(expected)))
        tolerance = base * scale.size + (1e-265 * float(self.reference.size) if self.reference else 0.0)
        note, failed = "", not error <= tolerance
        if failed and self.reference is not None:
            rounding = self.rounding(quantity)
            failed = not error <= rounding
            if not failed:
                failed = 0.0 < scale.largest < rounding / (STEPS * DIGITS_LEFT)
                note = LOST if failed else LOSES
                if failed and self.kink is not None and self.kink.on_it:
                    return replace(row, verdict=f"not applicable: {self.kink}")
                tolerance = tolerance if failed else rounding
        return self.filled(row, float(expected), got, error, tolerance, failed, note)

    def odd(self, row: Row, exact: Any, got: float, quantity: Quantity) -> Row | None:
        """`row` filled in where one of the numbers is not finite, else None; `exact` is beyond float64 at times."""
        expected, derivative = float(exact), quantity.direction is not None
        if math.isfinite(expected) and math.isfinite(got):
            return None
        same = got == expected or (math.isnan(got) and math.isnan(expected))
        if same or (not math.isfinite(expected) and not math.isfinite(got)):
            note = _BOTH_ODD + (f", both give {got}" if same else "")
            return replace(row, expected=expected, got=got, error=0.0, tolerance=0.0, note=note)
        if derivative and not math.isfinite(expected):
            return replace(row, verdict=f"not applicable: {_NO_DERIVATIVE}")
        return self.filled(row, expected, got, math.inf, 0.0, failed=True)

    def filled(
        self, row: Row, expected: float, got: float, error: float, tolerance: float, failed: bool, note: str = ""
    ) -> Row:
        """`row` with its numbers, errors made relative."""
        size = abs(expected) if expected and math.isfinite(expected) else 1.0
        verdict = FAILED if failed else row.verdict
        excuse = self.excuse() if failed else ""
        if excuse:
            verdict, note = f"not applicable: {excuse}", ""
        return replace(
            row, expected=expected, got=got, error=error / size, tolerance=tolerance / size, verdict=verdict, note=note
        )

    def excuse(self) -> str:
        """Why nothing can be said at this point; empty where it can."""
        if self.reference is None:
            return ""
        return self.reference.out_of_range or (_UNDECIDED if self._undecided else "")

    def forgiven(self, row: Row, spreads: Sequence[float], scale: Scale) -> Row:
        """A failed `row`, accepted where the kernel's own numbers spread as much when inputs change by a last bit."""
        size = abs(row.expected) if row.expected and math.isfinite(row.expected) else 1.0
        spread = STEPS * max(spreads, default=0.0)
        lost = 0.0 < scale.largest < spread / (STEPS * DIGITS_LEFT)
        if row.verdict != FAILED or lost or not row.error * size <= spread:
            return row
        return replace(row, verdict=OK, tolerance=spread / size, note=LOSES)

    @cached_property
    def _undecided(self) -> bool:
        """Rounding makes numbers of what is none, or the other way round: a matrix next to a singular one."""
        assert self.reference is not None
        values = [np.asarray(each.value, dtype=np.float64) for each in (self.reference, *self._rounded)]
        return any(not np.array_equal(np.isfinite(values[0]), np.isfinite(each)) for each in values)

    def rounding(self, quantity: Quantity) -> float:
        """What rounding the steps of the formula as typed may do."""
        for known, found in self._known:
            if known is quantity:
                return found
        assert self.reference is not None
        exact = quantity.of(self.reference)
        with mp.workdps(DIGITS):
            off = [float(abs(quantity.of(each) - exact)) for each in self._rounded]
        found = STEPS * max(off, default=0.0)
        self._known.append((quantity, found if math.isfinite(found) else 0.0))
        return self._known[-1][1]

    @cached_property
    def _rounded(self) -> list[ArrayReference]:
        return roundings(self.reference, seed=1) if self.reference else []


def largest(values: Any) -> float:
    """The largest finite component."""
    found = np.abs(np.asarray(values, dtype=np.float64))
    return float(np.max(found, initial=0.0, where=np.isfinite(found)))


def component(name: str, index: Index) -> str:
    """`W[0, 1]`, or `s` of a number."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


__all__ = ["ArrayJudge", "Index", "Quantity", "Scale", "component", "largest"]
