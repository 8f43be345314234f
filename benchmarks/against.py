"""A run beside an earlier one: what got slower, as measured by the contestants that did not change.

Times of two days on one machine differ more than versions do. So the change of a time of symdiff is divided by the
change of the hand-written C in the same place, or, where there is none, by the median change of the other contestants
there (or, where nobody else stands there, of all other contestants of the run).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.table import Row

OWN = ("symdiff", "numpy", "raw", "fixed", "symdiff_threads")
LIMIT = "limit"
TOLERANCE = 0.2

Key = tuple[str, str, str]
Times = Mapping[Key, float]


def times_of(rows: Sequence[Row], points: int | None = None) -> dict[Key, float]:
    """Medians by formula, measure and contestant. Batches of other sizes than `points` are another measure."""
    sized = {"batch": f"batch of {points:,}"} if points else {}
    return {(row.formula, sized.get(row.measure, row.measure), row.contestant): row.median for row in rows}


def read(path: str) -> dict[Key, float]:
    """The times in the JSON of an earlier run, for an option of a command line."""
    try:
        found = json.loads(Path(path).read_text("utf-8"))
        return times_of([Row(**row) for row in found["rows"]], found.get("points"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise argparse.ArgumentTypeError(f"{Path(path).name} is no result of an earlier run ({error})") from None


def slower(earlier: Times, now: Times, tolerance: float = TOLERANCE) -> list[str]:
    """One line for each time of symdiff that grew by more than `tolerance` beside the others.

    Raises ValueError where the two runs have nothing in common, or nobody to compare with.
    """
    changes = {key: time / earlier[key] for key, time in now.items() if earlier.get(key, 0) > 0}
    others = [change for key, change in changes.items() if key[2] not in OWN]
    own = [key for key in changes if key[2] in OWN]
    if not own or not others:
        raise ValueError("the earlier run has no contestants in common with this one")
    found = []
    for formula, measured, contestant in own:
        beside = {who: change for (where, what, who), change in changes.items() if (where, what) == (formula, measured)}
        beside = {who: change for who, change in beside.items() if who not in OWN}
        if LIMIT in beside:
            yardstick, name = beside[LIMIT], "the hand-written C"
        elif beside:
            yardstick, name = median(beside.values()), f"{len(beside)} other contestants"
        else:
            yardstick, name = median(others), "the other contestants of the run"
        change = changes[formula, measured, contestant] / yardstick
        if change > 1 + tolerance:
            found.append(f"{formula}, {measured}, {contestant}: {change:.2f} times as long as before, beside {name}")
    return found
