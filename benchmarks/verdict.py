"""The verdict: for each thing that must be shown its bound, what was measured, and whether it holds.

    python -m benchmarks verdict [--results DIR]

Reads the JSON of the runs, measures nothing, and writes verdict.md beside them. Exit code 1 if a bound does not hold.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.claims import LETTERS, Claim, Results, claims
from benchmarks.command import RESULTS
from benchmarks.formulas import CASES
from benchmarks.table import digits, line

RUNS = ("benchmarks", "matrices", "building", "growth")
FIGURE = "benchmarks.svg"
WORDS = {True: "holds", False: "**does not hold**", None: "not measured"}


def load(folder: Path) -> dict[str, Any]:
    """The results that are there, by run; a file that cannot be read is as good as none."""
    found = {}
    for name in RUNS:
        try:
            run = json.loads((folder / f"{name}.json").read_text("utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(run, dict):
            found[name] = run
    return found


def as_markdown(runs: Mapping[str, Any], figure: str = "") -> str:
    """The document, with the picture of that name at its end."""
    found = list(claims(Results(runs)))
    count = {state: sum(claim.holds() is state for claim in found) for state in WORDS}
    lines = ["# What must be shown", "", "`python -m benchmarks verdict`", ""]
    lines += [f"- {name}: `{run.get('command', 'unknown command')}`" for name, run in runs.items()]
    lines += [f"- {name}: not run" for name in RUNS if name not in runs]
    lines += _machines(runs)
    lines += [f"- formulas: {'; '.join(f'({LETTERS[name]}) {case.title}' for name, case in CASES.items())}"]
    lines += [f"- {count[True]} hold, {count[False]} do not hold, {count[None]} were not measured", ""]
    lines += [line(["", "must be", "measured", ""]), line(["---", "---", "---", "---"])]
    lines += [line([f"{claim.section}: {claim.text}", *_cells(claim)]) for claim in found]
    if figure:
        lines += ["", f"![Times of all contestants as multiples of the fastest possible]({figure})"]
    return "\n".join(lines) + "\n"


def _machines(runs: Mapping[str, Any]) -> list[str]:
    """Once where all runs were on one machine."""
    shown: dict[str, list[str]] = {}
    for name, run in runs.items():
        facts = {key: value for key, value in run.get("machine", {}).items() if key != "packages"}
        shown.setdefault(", ".join(f"{value}" for value in facts.values()), []).append(name)
    if len(shown) == 1:
        return [f"- machine: {text}" for text in shown]
    return [f"- machine of {', '.join(names)}: {text}" for text, names in shown.items()]


def _cells(claim: Claim) -> list[str]:
    unit = f" {claim.unit}" if claim.unit else ""
    bound = f"at {'most' if claim.at_most else 'least'} {claim.bound:g}{unit}"
    numbers = (f"{name} {digits(number)}".strip() for name, number in claim.numbers.items())
    return [bound, ", ".join(numbers) + unit, WORDS[claim.holds()]]


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 if a bound does not hold, 2 for bad use."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks verdict", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="where the runs have written")
    options = parser.parse_args(arguments)
    runs = load(options.results)
    if not runs:
        parser.error(f"{options.results.name} has no results; known runs are {', '.join(RUNS)}")
    text = as_markdown(runs, FIGURE if (options.results / FIGURE).is_file() else "")
    (options.results / "verdict.md").write_text(text, "utf-8")
    print(text, end="")
    return 1 if any(claim.holds() is False for claim in claims(Results(runs))) else 0
