"""What the tests found: one row a comparison, and a table for people."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

WIDTH = 100
_FAILURES = 40  # rows of failures that are printed
_COLUMNS = (
    ("test", 18), ("backend", 8), ("point", 5), ("of", 15), ("expected", 12), ("got", 12), ("error", 7), ("allowed", 7),
)  # fmt: skip
OK, FAILED = "ok", "FAILED"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    point      counts from 1, as in `Report.points`
    variable   `value`, or the variable of a derivative (`x`; `W[0, 1]`; `W, direction 2`), or which direction of a dot
               product
    error      relative to `expected`; absolute where that is 0
    tolerance  what error is allowed, in the same measure
    verdict    `ok`, `FAILED`, or `not applicable: reason`
    note       why the tolerance is wide, or what explains a failure
    """

    test: str
    backend: str
    point: int
    variable: str
    expected: float = math.nan
    got: float = math.nan
    error: float = math.nan
    tolerance: float = math.nan
    verdict: str = OK
    note: str = ""

    @property
    def of_value(self) -> bool:
        """True for the value, or a component of it."""
        return self.variable.partition("[")[0] == "value"

    @property
    def compared(self) -> bool:
        """False where the test does not apply."""
        return self.verdict in (OK, FAILED)

    @property
    def numeric(self) -> bool:
        """True where two finite numbers were compared, or one could have been: not NaN with NaN."""
        return math.isfinite(self.expected) or math.isfinite(self.got)

    @property
    def badness(self) -> float:
        """How far along its tolerance the error is."""
        if self.verdict == FAILED and not self.error <= self.tolerance:
            return math.inf
        return self.error / self.tolerance if self.tolerance > 0 else 0.0


@dataclass(frozen=True)
class Report:
    """All comparisons at all points. Nothing here is a proof: it says at how many points what was tested.

    points  the inputs; numbers, and for an array formula arrays
    given   how many of the points, the first ones, were asked for
    sizes   of an array formula, the dimensions at each point
    """

    points: tuple[Mapping[str, Any], ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    given: int = 0
    sizes: tuple[Mapping[str, int], ...] = ()

    @property
    def failures(self) -> tuple[Row, ...]:
        """Comparisons beyond their tolerance."""
        return tuple(row for row in self.rows if row.verdict == FAILED)

    @property
    def passed(self) -> bool:
        """True where no comparison failed and at least one was made."""
        return not self.failures and any(row.compared for row in self.rows)

    @property
    def verdict(self) -> str:
        """One sentence that claims no more than was done."""
        hollow = {row.point for row in self.rows if row.compared and row.of_value and not row.numeric}
        tested = set(range(1, len(self.points) + 1)) - hollow
        compared = [row for row in self.rows if row.compared and (row.point in tested or row.verdict == FAILED)]
        total = len(self.points)
        where = f"{total} point{'' if total == 1 else 's'}"
        if self.failures:
            text = f"FAILED: {len(self.failures)} of {len(compared)} comparisons at {where}"
        else:
            where = where if len(tested) == total else f"{len(tested)} of {where}"
            text = f"tested at {where}: {len(compared)} comparisons, each within its tolerance"
        return "; ".join([text, *filter(None, map(self._missing, range(1, total + 1)))])

    def _missing(self, number: int) -> str:
        """What could not be tested at a point because a number is not finite there."""
        rows = [row for row in self.rows if row.point == number]
        odd = [row for row in rows if row.compared and not row.numeric]
        if not odd or any(row.verdict == FAILED for row in odd):
            return ""
        what = "value" if any(row.of_value for row in odd) else "gradient"
        tests = list(dict.fromkeys(row.test for row in rows if row.compared))
        where = "the given point" if number <= self.given == 1 else f"point {number}"
        return f"at {where} the {what} is not finite: only {' and '.join(tests)} compared"

    def __str__(self) -> str:
        lines = [*_wrap(self.verdict), ""]
        lines += [_cut(f"point {n}: {self._point_text(n - 1)}") for n in range(1, len(self.points) + 1)]
        lines += ["", _table_line(title for title, _ in _COLUMNS)]
        lines += [_row_line(row) for row in self._shown()]
        hidden = len(self.failures) - _FAILURES
        if hidden > 0:
            lines.append(f"... and {hidden} more failures")
        lines += ["", *self._remarks()]
        return "\n".join(lines).rstrip()

    def _point_text(self, place: int) -> str:
        """`n = 4, X: 4 x 3 array, s = 0.5`."""
        parts = [f"{name} = {size}" for name, size in (self.sizes[place] if self.sizes else {}).items()]
        for name, value in self.points[place].items():
            shape = np.shape(value)
            sizes = " x ".join(map(str, shape))
            text = f"{name}: {sizes} array" if len(shape) > 1 else f"{name}: array of {sizes}"
            parts.append(text if shape else f"{name} = {value!r}")
        return ", ".join(parts)

    def _shown(self) -> list[Row]:
        """The worst row of each test and backend, and the failures."""
        worst: dict[tuple[str, str], Row] = {}
        for row in self.rows:
            key = row.test, row.backend
            if row.compared and (key not in worst or row.badness > worst[key].badness):
                worst[key] = row
        first = set(map(id, worst.values())) | set(map(id, self.failures[:_FAILURES]))
        order = {key: place for place, key in enumerate(dict.fromkeys((row.test, row.backend) for row in self.rows))}
        return sorted((row for row in self.rows if id(row) in first), key=lambda row: order[row.test, row.backend])

    def _remarks(self) -> Iterator[str]:
        """What was not tested and why, each reason once; then the notes."""
        places: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            text = row.note if row.compared else row.verdict
            if text:
                places.setdefault((row.test, text), []).append(row)
        for (test, text), rows in places.items():
            yield from _wrap(f"{test}, {_where(rows, self.points)}: {text}")
        for note in self.notes:
            yield from _wrap(note)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it; numbers that are not finite are strings, those that do not exist null."""
        return {
            "passed": self.passed,
            "verdict": self.verdict,
            "points": [{name: _json(value) for name, value in point.items()} for point in self.points],
            "rows": [_row_dict(row) for row in self.rows],
            "notes": list(self.notes),
        }


def _row_dict(row: Row) -> dict[str, Any]:
    made = {key: _json(value) if isinstance(value, float) else value for key, value in asdict(row).items()}
    if not row.compared:
        made |= dict.fromkeys(("expected", "got", "error", "tolerance"))
    return made


def _json(value: Any) -> Any:
    if np.ndim(value):
        return [_json(part) for part in np.asarray(value)]
    return float(value) if math.isfinite(value) else str(value)


def _number(value: float, width: int) -> str:
    """Six digits, or two for an error; fewer where a long exponent leaves no room."""
    spelled = [f"{value:.6g}", f"{value:.5g}"] if width > 7 or not value else [f"{value:.1e}", f"{value:.0e}"]
    return next((text for text in spelled if len(text) <= width), spelled[-1])


def _cut(text: str, width: int = WIDTH) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def _table_line(cells: Iterable[str]) -> str:
    parts = []
    for place, ((_, width), cell) in enumerate(zip(_COLUMNS, cells, strict=True)):
        cell = _cut(cell, width)
        parts.append(cell.rjust(width) if place >= 4 or place == 2 else cell.ljust(width))
    return " ".join(parts).rstrip()


def _row_line(row: Row) -> str:
    cells = [row.test, row.backend, str(row.point), row.variable, _number(row.expected, 12), _number(row.got, 12)]
    line = _table_line([*cells, _number(row.error, 7), _number(row.tolerance, 7)])
    return f"{line} {row.verdict}"


def _where(rows: list[Row], points: tuple[Mapping[str, Any], ...]) -> str:
    places = sorted({row.point for row in rows})
    backends = dict.fromkeys(row.backend for row in rows)
    variables = list(dict.fromkeys(row.variable for row in rows))
    shown = ", ".join(variables[:6]) + (", ..." if len(variables) > 6 else "")
    at = "every point" if len(places) == len(points) else "point " + ", ".join(map(str, places))
    return f"{' and '.join(backends)}, {at}" + (f" ({shown})" if variables != ["all"] else "")


def _wrap(text: str) -> Iterator[str]:
    """The text in lines of at most WIDTH, the later ones indented."""
    yield from textwrap.wrap(text, WIDTH, subsequent_indent="  ")


__all__ = ["FAILED", "OK", "Report", "Row"]
