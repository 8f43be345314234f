"""Array tapes + kernels -> report: sizes and data are chosen, the tests are run at each point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from symdiff.errors import SymdiffError
from symdiff.tape import Tape
from symdiff.trace import Trace, refuse_abstract
from symdiff.verify.array_checks import ArrayTests
from symdiff.verify.array_judge import ArrayJudge
from symdiff.verify.array_lines import call_array_kernel
from symdiff.verify.array_points import ArrayFinder, ArrayPoint
from symdiff.verify.array_reference import ArrayMachine, ArrayReference
from symdiff.verify.finite_steps import Kernel
from symdiff.verify.reference import sampled
from symdiff.verify.report import Report, Row

_VARIABLES = 20  # along which lines are laid, at most
_WORK = 150_000  # products in 110 digits at one point, about a second
_TOO_MUCH = 300_000  # for one sweep
_SEARCHES = 30  # points that are looked at in 110 digits


def verify_arrays(
    tape: Tape,
    tangent_tape: Tape,
    kernels: Mapping[str, Kernel],
    *,
    at: Mapping[str, Any] | None,
    points: int = 3,
    seed: int = 0,
) -> Report:
    """`verify` for a formula of arrays.

    Raises SymdiffError where no point is given and none is found, UnsupportedError for an abstract function that is not
    bound, ShapeError for arrays that do not fit.
    """
    refuse_abstract(tape)
    return _ArrayRun(tape, tangent_tape, kernels, seed).report(at, points)


class _ArrayRun:
    """One call of `verify_arrays`."""

    def __init__(self, tape: Tape, tangent_tape: Tape, kernels: Mapping[str, Kernel], seed: int) -> None:
        self.tape, self.tangent, self.kernels, self.seed = tape, tangent_tape, kernels, seed
        self.machine = ArrayMachine(tape)
        self.sample = sampled(tape.wrt, _VARIABLES)
        self.notes: list[str] = []

    def report(self, at: Mapping[str, Any] | None, points: int) -> Report:
        given = []
        if at is not None:
            checked = Trace(self.tape.with_steps(()), at)  # the names, numbers and shapes
            given = [ArrayPoint(checked.at, checked.sizes)]
        found = given + self._found(points, bool(given))
        if "c" not in self.kernels:
            self.notes.append("C: not tested, no compiler")
        if self.tape.wrt:
            of = (
                f"{len(self.sample)} of {len(self.tape.wrt)} variables, "
                if len(self.sample) < len(self.tape.wrt)
                else ""
            )
            self.notes.append(
                f"finite differences and 50 digits: {of}random directions, and of a large array some components; dot "
                "products and Python against C: all of them"
            )
        rows = [row for number, point in enumerate(found, 1) for row in self._rows(number, point)]
        values, sizes = tuple(point.values for point in found), tuple(point.sizes for point in found)
        return Report(values, tuple(rows), tuple(self.notes), len(given), sizes)

    def _reference(self, point: ArrayPoint) -> ArrayReference | None:
        """None where one sweep would take too long."""
        if self.machine.work(point.sizes) > _TOO_MUCH:
            return None
        return ArrayReference(self.machine, point.values, point.sizes)

    def _found(self, count: int, given: bool) -> list[ArrayPoint]:
        """Points found; those next to a kink only where there are no others."""
        if count <= 0 and given:
            return []
        finder = ArrayFinder(self.tape, self.seed)
        good: list[ArrayPoint] = []
        kinked: list[ArrayPoint] = []
        looked_at = 0

        def accept(point: ArrayPoint) -> bool:
            nonlocal looked_at
            looked_at += 1
            reference = self._reference(point) if looked_at <= _SEARCHES else None
            if reference is not None and not reference.finite:
                return False
            if reference is not None and reference.kink() is not None:
                kinked.append(point)
                return False
            good.append(point)
            return True

        finder.find(count, accept)
        found = (good + kinked)[:count]
        if not found and not given:
            raise SymdiffError(
                f"check: of {finder.tried} points tried, value and gradient are finite at none; give one with --at"
            )
        if len(found) < count:
            self.notes.append(
                f"only {len(found)} of {count} points found where value and gradient are finite, of {finder.tried} "
                "tried; give one with --at"
            )
        return found

    def _rows(self, number: int, point: ArrayPoint) -> Iterator[Row]:
        wrt = self.tape.wrt
        found = [call_array_kernel(name, kernel, point.values, wrt) for name, kernel in self.kernels.items()]
        slopes = max(2, _WORK // (2 * max(1, self.machine.work(point.sizes))))
        judge = ArrayJudge(self._reference(point))
        tests = ArrayTests(number, point, self.sample, judge, found, self.seed, slopes)
        yield from tests.shapes()
        if wrt:
            yield from tests.dot_products(self.tangent)
            yield from tests.finite_differences()
        yield from tests.fifty_digits()
        yield from tests.agreement()


__all__ = ["verify_arrays"]
