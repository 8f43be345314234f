"""The run on long programs: time and memory from an ordinary Python program to the text of its C code.

    python -m benchmarks growth [--quick] [--steps N,N,...] [--output DIR]

Each length is measured in a process of its own, because what a process took once counts as its peak for ever. Memory is
the peak over all stages less what the process had before, per step of the program.
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
from dataclasses import asdict, dataclass
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.command import RESULTS, command_line, publish
from benchmarks.table import digits, line, machine

STEPS = (1_000, 10_000, 100_000, 1_000_000)
QUICK = (500, 2_000)
STAGES = ("trace", "differentiate", "write C")
_WIDTH, _STATE = 12, 16  # of the input and of the state that the program carries along


def program(x: Any, steps: int) -> Any:
    """A recurrent program of about `steps` elementary steps, six to a line, whose state is _STATE numbers."""
    state = [x[k % _WIDTH] for k in range(_STATE)]
    for k in range(steps // 6):
        i = k % _STATE
        state[i] = (state[i] * state[i - 3] + state[i - 7]).tanh() - state[i - 5].sin() * 0.5
    return sum(state)


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

    symdiff.trace_function(lambda x: program(x, 60), _WIDTH).gradient().source("c")  # imports and tables
    before, times = _memory("VmRSS"), [process_time()]
    limits = symdiff.Limits(steps=steps + 100)
    formula = symdiff.trace_function(lambda x: program(x, steps), _WIDTH, limits=limits)
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


@dataclass(frozen=True)
class Report:
    """All of one run."""

    command: str
    machine: dict[str, Any]
    lengths: list[Length]

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
        lines = ["# From a Python program to C: growth with its length", "", f"`{self.command}`", ""]
        lines += [f"- {name}: {fact}" for name, fact in self.machine.items()]
        lines += ["- a recurrent program of scalars, traced, differentiated and written as C (value and gradient)"]
        lines += [
            "- each length in a process of its own, one run; processor seconds, so that other work does not count"
        ]
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


def main(arguments: Sequence[str]) -> int:
    """Exit code 2 for bad use."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks growth", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="short programs; nothing is written without --output")
    parser.add_argument("--steps", help="lengths of the programs, with commas")
    parser.add_argument("--output", type=Path, help="folder for growth.md and growth.json")
    options = parser.parse_args(arguments)
    try:
        chosen = (
            [int(each) for each in options.steps.split(",")] if options.steps else QUICK if options.quick else STEPS
        )
    except ValueError:
        parser.error(f"--steps: {options.steps!r} are no whole numbers with commas between them")
    if min(chosen) < 6 * _STATE or len(set(chosen)) < 2:
        parser.error(f"--steps: at least two lengths of {6 * _STATE} steps or more")
    lengths = [in_new_process(steps) for steps in chosen]
    report = Report(command_line(["growth", *arguments]), machine(["numpy"]), lengths)
    publish(report, "growth", options.output or (None if options.quick or options.steps else RESULTS))
    return 0
