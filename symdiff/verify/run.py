"""Tapes + kernels -> report: points are chosen, the tests are run at each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from symdiff.errors import SymdiffError
from symdiff.tape import Tape
from symdiff.trace import Trace
from symdiff.verify.checks import PointTests, call_kernel
from symdiff.verify.finite_steps import Kernel
from symdiff.verify.judge import Judge
from symdiff.verify.points import Finder, Point
from symdiff.verify.reference import Machine, Reference, sampled
from symdiff.verify.report import Report, Row

_VARIABLES = 50  # whose partials are compared with differences, at most
_WORK = 200_000  # steps in 110 digits, in all


def verify(
    tape: Tape,
    tangent_tape: Tape,
    kernels: Mapping[str, Kernel],
    *,
    at: Mapping[str, Any] | None,
    points: int = 3,
    seed: int = 0,
) -> Report:
    """Test kernels at `at` and at `points` points found automatically, the same ones for the same seed.

    Of an array formula, points hold arrays; sizes of dimensions that are not given are chosen small.

    tape          as linearized, with its reverse sweep
    tangent_tape  the forward sweep of derivatives, by tape.wrt
    kernels       "numpy" and "c" -> `value, gradient = kernel(**point)`, the gradient in the order of tape.wrt; of an
                  array formula without variables the value alone; "c" may be missing

    Raises SymdiffError where no point is given and none is found.
    """
    if tape.is_array:
        from symdiff.verify.array_run import verify_arrays

        return verify_arrays(tape, tangent_tape, kernels, at=at, points=points, seed=seed)
    return _Run(tape, tangent_tape, kernels, seed).report(at, points)


class _Run:
    """One call of `verify`."""

    def __init__(self, tape: Tape, tangent_tape: Tape, kernels: Mapping[str, Kernel], seed: int) -> None:
        self.tape, self.tangent, self.kernels, self.seed = tape, tangent_tape, kernels, seed
        self.machine = Machine(tape)
        self.sample: list[str] = []
        self.notes: list[str] = []

    def report(self, at: Mapping[str, Any] | None, points: int) -> Report:
        given = [] if at is None else [dict(Trace(self.tape.with_steps(()), at).at)]  # checks the names and numbers
        self._choose_sample(len(given) + points)
        references = [Reference(self.machine, point) for point in given] + self._found(points, bool(given))
        if "c" not in self.kernels:
            self.notes.append("C: not tested, no compiler")
        rows = [row for number, reference in enumerate(references, 1) for row in self._rows(number, reference)]
        found = tuple(reference.point for reference in references)
        return Report(found, tuple(rows), tuple(self.notes), given=len(given))

    def _choose_sample(self, points: int) -> None:
        wrt = self.tape.wrt
        limit = _WORK // (2 * max(1, len(self.machine.steps)) * max(1, points))
        self.sample = sampled(wrt, max(2, min(_VARIABLES, limit)))
        if len(self.sample) < len(wrt):
            self.notes.append(
                f"differences, 50 digits and complex step: {len(self.sample)} of {len(wrt)} variables, chosen at "
                "random; dot products and Python against C: all of them"
            )

    def _found(self, count: int, given: bool) -> list[Reference]:
        """References at the points found; points next to a kink only where there are no others."""
        if count <= 0 and given:
            return []
        finder = Finder(self.tape, self.seed)
        references: list[Reference] = []
        kinked: list[Reference] = []

        def accept(point: Point) -> bool:
            reference = Reference(self.machine, point)
            if not reference.usable(self.sample):
                return False
            if reference.kink() is not None:
                kinked.append(reference)
                return False
            references.append(reference)
            return True

        finder.find(count, accept)
        references = (references + kinked)[:count]
        if not references and not given:
            raise SymdiffError(
                f"check: of {finder.tried} points tried, value and gradient are finite at none; give one with --at"
            )
        if len(references) < count:
            self.notes.append(
                f"only {len(references)} of {count} points found where value and gradient are finite, of "
                f"{finder.tried} tried; give one with --at"
            )
        return references

    def _rows(self, number: int, reference: Reference) -> Iterator[Row]:
        found = [call_kernel(name, kernel, reference.point, self.tape.wrt) for name, kernel in self.kernels.items()]
        tests = PointTests(number, reference.point, self.sample, Judge(reference), found, self.seed)
        if self.tape.wrt:
            yield from tests.dot_products(self.tangent)
            yield from tests.finite_differences()
        yield from tests.fifty_digits()
        if self.tape.wrt:
            yield from tests.complex_steps(self.tape, self.machine.used())
        yield from tests.agreement()


__all__ = ["verify"]
