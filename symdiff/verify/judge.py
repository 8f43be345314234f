"""How far two numbers may be apart, and what explains it where they are further apart.

First comes the tolerance of the test. Where that is missed, the formula's own conditioning may excuse it: what 1000
half-ulp roundings of the inputs do to the number, by the 50-digit gradient or row of the Hessian. Where that is missed
too, the steps of the formula as typed are rounded at random by up to 2**-53 in 110 digits; 16 times what that does is
accepted while three digits are left. That excuses no wrong rule, only a formula that loses digits by the way it is
written, and the report says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

from mpmath import mp, mpf

from symdiff.verify.reference import DIGITS, Reference, roundings
from symdiff.verify.report import FAILED, Row

ROUNDINGS = 1000  # half-ulp roundings of the inputs that a number may show
STEPS = 16  # times the largest of a few random roundings of all steps
DIGITS_LEFT = 1e-3
LOSES = "the formula as typed loses digits here; allowed is what rounding its steps does"
LOST = "the formula as typed has lost its digits here to rounding"

Direction = Mapping[str, float] | None  # None: the value itself


class Judge:
    """The tolerances at one point."""

    def __init__(self, reference: Reference) -> None:
        self.reference = reference
        self.kink = reference.kink()
        self.out_of_range = reference.out_of_range()
        self._known: dict[tuple[str, Any], float] = {}

    def compare(self, row: Row, expected: Any, got: float, base: float, direction: Direction, size: Any = None) -> Row:
        """`row` filled in. `base` is relative to `size`; without it to `expected`, which then has digits to spare."""
        exact = size is None
        with mp.workdps(DIGITS):
            error = float(abs(mpf(got) - mpf(expected)))
            tolerance = float(base * abs(mpf(expected if exact else size))) + self.reference.floor
        note, failed = "", False
        if error > tolerance:
            tolerance = max(tolerance, self._known_or("inputs", direction, self._conditioning))
            note = f"allowed is what {ROUNDINGS} half-ulp roundings of the inputs do"
        if error > tolerance:
            rounding = self.rounding(direction)
            failed, note = error > rounding, ""
            if not failed:
                failed = exact and expected != 0 and rounding > STEPS * DIGITS_LEFT * abs(float(expected))
                note = LOST if failed else LOSES
                tolerance = tolerance if failed else rounding
        return self.filled(row, float(expected), got, error, tolerance, failed, note)

    def filled(
        self, row: Row, expected: float, got: float, error: float, tolerance: float, failed: bool, note: str = ""
    ) -> Row:
        """`row` with its numbers, errors made relative; a step beyond the range of float64 excuses a failure."""
        size = abs(expected) if expected and math.isfinite(expected) else 1.0
        verdict = FAILED if failed else row.verdict
        if failed and self.out_of_range:
            verdict, note = f"not applicable: {self.out_of_range}", ""
        return Row(
            row.test, row.backend, row.point, row.variable, expected, got, error / size, tolerance / size, verdict, note
        )

    def rounding(self, direction: Direction) -> float:
        """What rounding the steps of the formula as typed may do to the value or to a derivative."""
        return self._known_or("steps", direction, self._rounding)

    def _known_or(self, kind: str, direction: Direction, work_out: Callable[[Direction], float]) -> float:
        key = kind, None if direction is None else tuple(direction.items())
        if key not in self._known:
            found = work_out(direction)
            self._known[key] = found if math.isfinite(found) else 0.0
        return self._known[key]

    def _conditioning(self, direction: Direction) -> float:
        return float(self.reference.sensitivity(direction)) * 2.0**-53 * ROUNDINGS

    def _rounding(self, direction: Direction) -> float:
        exact = _quantity(self.reference, direction)
        with mp.workdps(DIGITS):
            return STEPS * max(float(abs(_quantity(rounded, direction) - exact)) for rounded in self._rounded)

    @cached_property
    def _rounded(self) -> list[Reference]:
        return roundings(self.reference.machine, self.reference.point, seed=1)


def _quantity(reference: Reference, direction: Direction) -> Any:
    return reference.value if direction is None else reference.slope(direction)
