"""What the command lines of all runs share."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from benchmarks import against
from benchmarks.table import Row

RESULTS = Path(__file__).resolve().parent / "results"


class Written(Protocol):
    """A report of any run."""

    def as_markdown(self) -> str: ...
    def as_json(self) -> str: ...


def choose(parser: argparse.ArgumentParser, options: argparse.Namespace, **known: Collection[str]) -> None:
    """Turns an option of comma-separated names into `<option>_names`, in the order of `known`; absent means all."""
    for option, names in known.items():
        chosen = (getattr(options, option) or ",".join(names)).split(",")
        if unknown := sorted(set(chosen) - set(names)):
            parser.error(f"--{option}: unknown {', '.join(unknown)}; known are {', '.join(names)}")
        setattr(options, f"{option}_names", [name for name in names if name in chosen])


def command_line(arguments: Sequence[str]) -> str:
    """The command for the report, without anyone's paths."""
    shown = ["python", "-m", "benchmarks", *arguments]
    return shlex.join(Path(word).name if os.sep in word else word for word in shown)


def publish(report: Written, name: str, folder: Path | None) -> None:
    """Prints the table; with a folder, also writes `name`.md and `name`.json there."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(report.as_markdown(), "utf-8")
        (folder / f"{name}.json").write_text(report.as_json(), "utf-8")
    print(report.as_markdown(), end="")


class Compared(Written, Protocol):
    """A report whose times can be compared with those of an earlier run."""

    @property
    def rows(self) -> list[Row]: ...


def add_comparison(parser: argparse.ArgumentParser) -> None:
    """The options of `compared`."""
    said = "JSON of an earlier run: exit code 1, and what got slower beside the other contestants"
    parser.add_argument("--against", type=against.read, metavar="FILE", help=said)
    said = f"by how much slower counts (default {against.TOLERANCE})"
    parser.add_argument("--tolerance", type=float, default=against.TOLERANCE, metavar="PART", help=said)


def compared(report: Compared, options: argparse.Namespace) -> int:
    """Says on stderr what got slower since the run of --against; the exit code."""
    if options.against is None:
        return 0
    try:
        now = against.times_of(report.rows, getattr(report, "points", None))
        slower = against.slower(options.against, now, options.tolerance)
    except ValueError as error:
        print(f"--against: {error}", file=sys.stderr)
        return 2
    for each in slower:
        print(f"slower: {each}", file=sys.stderr)
    return 1 if slower else 0
