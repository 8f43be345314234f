"""Measurements as a Markdown table of ratios and as JSON, with the facts of the machine that a reader needs."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

MEASURES = {
    "batch": "ns per point, a batch of {points} points",
    "call": "ns per call, one point, Python numbers in",
    "held": "ns per call, one point, memory bound once",
    "threads": "ns per point, a batch of {points} points, one thread beside two",
}


@dataclass(frozen=True)
class Row:
    """Median and quartiles of one contestant's times on one formula, in ns; `measure` is a key of MEASURES."""

    formula: str
    contestant: str
    measure: str
    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Report:
    """All of one run."""

    command: str
    points: int
    rounds: int
    machine: dict[str, Any]
    titles: dict[str, str]  # formula or contestant: title
    left_out: dict[str, str]  # contestant: why
    rows: list[Row]

    def as_json(self) -> str:
        """The report as indented JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def as_markdown(self) -> str:
        """A table per measure: the first contestant's time, the others as multiples of it."""
        lines = ["# Value and gradient: symdiff beside its peers", "", f"`{self.command}`", ""]
        lines += [f"- {name}: {fact}" for name, fact in self.machine.items()]
        lines += [f"- medians of {self.rounds} rounds, all contestants in turn in each round; float64, one thread"]
        lines += ["- the rounds of a formula are spread over the run, in processes of their own"]
        lines += ["- before timing, every contestant agreed with a 50-digit reference"]
        present = dict.fromkeys(row.contestant for row in self.rows)
        lines += [f"- {name}: {self.titles[name]}" for name in present if name in self.titles]
        lines += [f"- left out: {name} ({why})" for name, why in self.left_out.items()]
        for measure, title in MEASURES.items():
            rows = [row for row in self.rows if row.measure == measure]
            if rows:
                lines += ["", f"## {title.format(points=f'{self.points:,}')}", "", *self._table(rows)]
        return "\n".join(lines) + "\n"

    def _table(self, rows: list[Row]) -> list[str]:
        contestants = list(dict.fromkeys(row.contestant for row in rows))
        time = {(row.formula, row.contestant): row.median for row in rows}
        base = contestants[0]
        head = ["formula", f"{base}, ns", *(f"{name} / {base}" for name in contestants[1:])]
        lines = [line(head), line(["---", *["---:"] * (len(head) - 1)])]
        for formula in dict.fromkeys(row.formula for row in rows):
            own = time.get((formula, base))
            ratios = (ratio(time.get((formula, name)), own) for name in contestants[1:])
            lines.append(line([self.titles[formula], digits(own), *ratios]))
        return lines


def line(cells: list[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def digits(number: float | None) -> str:
    """Three digits: the measurement has no more."""
    if number is None:
        return "-"
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def ratio(time: float | None, base: float | None) -> str:
    """Three digits of a quotient, a dash where there is none."""
    return digits(time / base if time is not None and base else None)


def machine(packages: list[str]) -> dict[str, Any]:
    """What the numbers depend on. No host name, no path."""
    found = {"processor": _processor(), "logical processors": os.cpu_count(), "system": _system()}
    found |= {"compiler": _compiler(), "Python": platform.python_version()}
    return found | {"packages": ", ".join(filter(None, map(_version, dict.fromkeys(packages))))}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _system() -> str:
    return " ".join(filter(None, [platform.system(), platform.machine(), *platform.libc_ver()]))


def _compiler() -> str:
    try:
        done = subprocess.run(["cc", "--version"], capture_output=True, text=True, timeout=20)
    except OSError:
        return "none"
    return done.stdout.partition("\n")[0]


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return ""
