"""The run on long programs: from a program to its first gradient and to a compiled kernel, beside other tools; and
symdiff's time and memory from an ordinary Python program to the text of its C code.

    python -m benchmarks growth [--quick] [--steps N,N,...] [--contestants NAME,...] [--limit S] [--rounds N]
                                [--output DIR]

Each cell is measured in a process of its own: what a process took once counts as its peak memory for ever, and a tool
that takes longer than the limit is ended. Memory is the peak over all stages less what the process had before, per step
of the program.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from benchmarks.command import RESULTS, choose, command_line, publish
from benchmarks.growth_program import STATE, WIDTH, program
from benchmarks.growth_tools import FIRST, TASKS, measured
from benchmarks.table import digits, line, machine

STEPS = (1_000, 10_000, 100_000, 1_000_000)
QUICK = (500, 2_000)
STAGES = ("trace", "differentiate", "write C")
LENGTHS = {"first": (100, 1_000, 10_000, 100_000), "kernel": (1_000, 10_000)}
QUICK_LENGTHS = {"first": (100, 1_000), "kernel": (100,)}
TITLES = {
    "first": "From the program to its first value and gradient, seconds",
    "kernel": "From the program to a compiled kernel that has been called once, seconds",
}
_PACKAGES = ["numpy", "casadi", "symengine", "heyoka", "jax", "sympy"]


@dataclass(frozen=True)
class Length:
    """One program: its steps, processor seconds of each stage, peak memory beyond the start, and characters of C."""

    steps: int
    seconds: dict[str, float]
    bytes: int
    characters: int


def measure(steps: int) -> Length:
    """All stages in this process, which has done nothing like it before."""
    import symdiff

    def traced(x: Any, count: int = steps) -> Any:
        return program(x, count, symdiff.functions.tanh, symdiff.functions.sin)

    symdiff.trace_function(lambda x: traced(x, 60), WIDTH).gradient().source("c")  # imports and tables
    before, times = _memory("VmRSS"), [process_time()]
    limits = symdiff.Limits(steps=steps + 100)
    formula = symdiff.trace_function(lambda x: traced(x), WIDTH, limits=limits)
    times.append(process_time())
    made = formula.gradient()
    assert made.code_tape.reverse
    times.append(process_time())
    text = made.source("c")
    times.append(process_time())
    seconds = {stage: times[k + 1] - times[k] for k, stage in enumerate(STAGES)}
    return Length(len(formula.primal.steps), seconds, _memory("VmHWM") - before, len(text))


def as_json(length: Length) -> str:
    """One line, for the process that asked."""
    return json.dumps(asdict(length))


def _memory(field: str) -> int:
    """Bytes that the process has (`VmRSS`) or had at its peak (`VmHWM`)."""
    try:
        status = Path("/proc/self/status").read_text("utf-8")
    except OSError:  # not Linux: only the peak is known
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    found = next(each for each in status.splitlines() if each.startswith(f"{field}:"))
    return int(found.split()[1]) * 1024


def in_new_process(steps: int) -> Length:
    """`measure` in a process of its own."""
    code = f"from benchmarks.growth import as_json, measure; print(as_json(measure({steps})))"
    root = Path(__file__).resolve().parents[1]
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=root)
    if done.returncode:
        raise SystemExit(f"{steps} steps: {done.stderr.strip().splitlines()[-1:]}")
    return Length(**json.loads(done.stdout))


def slope(steps: Sequence[float], amounts: Sequence[float]) -> float:
    """Exponent of growth: slope of the least-squares line through the logarithms."""
    xs, ys = [math.log(each) for each in steps], [math.log(each) for each in amounts]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    above = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return above / sum((x - mean_x) ** 2 for x in xs)


@dataclass
class Cell:
    """One tool on one length: seconds of every round, how it computed, or why there is no time."""

    task: str
    contestant: str
    steps: int
    seconds: list[float] = field(default_factory=list)
    how: str = ""
    failed: str = ""

    @property
    def time(self) -> float | None:
        """The median, in seconds."""
        return median(self.seconds) if self.seconds and not self.failed else None

    @property
    def shown(self) -> str:
        """`0.85`, or why not."""
        return self.failed or digits(self.time)


def compare(task: str, names: Sequence[str], lengths: Sequence[int], limit: float, rounds: int) -> list[Cell]:
    """Every tool on every length in turn, in rounds. One that fails, or overruns the limit, is not asked again, nor
    with longer programs; a cell that takes more than a tenth of the limit is measured once.
    """
    cells = {(name, steps): Cell(task, name, steps) for name in names for steps in lengths}
    for steps in lengths:
        for _ in range(rounds):
            for name in names:
                cell, shorter = cells[name, steps], [cells[name, each] for each in lengths if each < steps]
                cell.failed = next((each.failed for each in shorter if each.failed), cell.failed)
                if cell.failed or (cell.seconds and cell.seconds[0] > limit / 10):
                    continue
                found = measured(task, name, steps, limit)
                cell.failed, cell.how = found.get("failed", ""), found.get("how", "")
                cell.seconds += [found["seconds"]] if "seconds" in found else []
    return list(cells.values())


def slopes(cells: Sequence[Cell]) -> list[float]:
    """Slope of the logarithms between each pair of neighbouring lengths of one tool; 1 is linear."""
    timed = [(each.steps, each.time) for each in cells if each.time is not None]
    return [math.log(b / a) / math.log(n / m) for (m, a), (n, b) in pairwise(timed)]


@dataclass(frozen=True)
class Report:
    """All of one run."""

    command: str
    machine: dict[str, Any]
    lengths: list[Length]
    cells: list[Cell]
    limit: float
    rounds: int

    @property
    def slopes(self) -> dict[str, float]:
        """Exponents of growth of each stage's time, of the whole time and of memory; 1 is linear."""
        steps = [each.steps for each in self.lengths]
        found = {stage: slope(steps, [each.seconds[stage] for each in self.lengths]) for stage in STAGES}
        found["whole"] = slope(steps, [sum(each.seconds.values()) for each in self.lengths])
        return found | {"memory": slope(steps, [each.bytes for each in self.lengths])}

    def as_json(self) -> str:
        """The report as indented JSON."""
        return json.dumps(asdict(self) | {"slopes": self.slopes}, indent=1) + "\n"

    def as_markdown(self) -> str:
        """A line for every length, and the exponents of growth."""
        lines = ["# Long programs: growth with their length", "", f"`{self.command}`", ""]
        lines += [f"- {name}: {fact}" for name, fact in self.machine.items()]
        lines += [f"- a recurrent program of scalars with {WIDTH} inputs; results are compared with complex steps"]
        lines += [f"- every cell in a process of its own, after a short program; ended after {self.limit:g} s"]
        lines += [f"- median of {self.rounds} rounds in turn; a cell beyond {self.limit / 10:g} s is measured once"]
        lines += ["- symdiff reads the program as a text; the others run it as Python on their own symbols", ""]
        for task in dict.fromkeys(cell.task for cell in self.cells):
            lines += [f"## {TITLES[task]}", "", *self._comparison(task), ""]
        lines += ["## From a Python program to C", ""]
        lines += ["- traced, differentiated and written as C (value and gradient); one run"]
        lines += ["- processor seconds, so that other work does not count"]
        lines += ["- memory is the peak over all stages less what the process had before", ""]
        lines += [line(["steps", *(f"{stage}, s" for stage in STAGES), "us per step", "KiB per step", "C, MB"])]
        lines += [line(["---:"] * (len(STAGES) + 4))]
        for each in self.lengths:
            whole = sum(each.seconds.values())
            cells = [f"{each.steps:,}", *(digits(each.seconds[stage]) for stage in STAGES)]
            cells += [digits(whole / each.steps * 1e6), f"{each.bytes / each.steps / 1024:.2f}"]
            lines.append(line([*cells, digits(each.characters / 1e6)]))
        shown = ", ".join(f"{name} {exponent:.2f}" for name, exponent in self.slopes.items())
        return "\n".join([*lines, "", f"Exponents of growth (slope of the logarithms, 1 is linear): {shown}."]) + "\n"

    def _comparison(self, task: str) -> list[str]:
        """A line for every tool: its times, the slopes between them, and how it computed each."""
        own = [cell for cell in self.cells if cell.task == task]
        steps = list(dict.fromkeys(cell.steps for cell in own))
        lines = [line(["tool", *(f"{each:,} steps" for each in steps), "slopes", "how"])]
        lines += [line(["---", *["---:"] * len(steps), "---", "---"])]
        for name in dict.fromkeys(cell.contestant for cell in own):
            cells = [cell for cell in own if cell.contestant == name]
            between = ", ".join(f"{each:.2f}" for each in slopes(cells)) or "-"
            how = ", then ".join(dict.fromkeys(cell.how for cell in cells if cell.how)) or "-"
            lines.append(line([TASKS[task][name][0], *(cell.shown for cell in cells), between, how]))
        return lines


def main(arguments: Sequence[str]) -> int:
    """Exit code 2 for bad use."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks growth", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="short programs; nothing is written without --output")
    parser.add_argument("--steps", help="lengths of the programs, with commas")
    parser.add_argument("--contestants", help=f"with commas: {', '.join(FIRST)}; all by default, symdiff if --quick")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds for one cell (60)")
    parser.add_argument("--rounds", type=int, default=3, help="of short cells (3)")
    parser.add_argument("--output", type=Path, help="folder for growth.md and growth.json")
    options = parser.parse_args(arguments)
    try:
        chosen = (
            [int(each) for each in options.steps.split(",")] if options.steps else QUICK if options.quick else STEPS
        )
    except ValueError:
        parser.error(f"--steps: {options.steps!r} are no whole numbers with commas between them")
    if min(chosen) < 6 * STATE or len(set(chosen)) < 2:
        parser.error(f"--steps: at least two lengths of {6 * STATE} steps or more")
    if options.limit <= 0 or options.rounds < 1:
        parser.error("--limit and --rounds are positive")
    if options.quick and not options.contestants:
        options.contestants = "symdiff"
    choose(parser, options, contestants=FIRST)
    cells = []
    for task, tools in TASKS.items():
        names = [name for name in tools if name.partition("-")[0] in options.contestants_names]
        compared = (QUICK_LENGTHS if options.quick else LENGTHS)[task]
        cells += compare(task, names, compared, options.limit, 1 if options.quick else options.rounds)
    lengths = [in_new_process(steps) for steps in chosen]
    command = command_line(["growth", *arguments])
    report = Report(command, machine(_PACKAGES), lengths, cells, options.limit, options.rounds)
    publish(report, "growth", options.output or (None if options.quick or options.steps else RESULTS))
    return 0
