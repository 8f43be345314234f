"""The run on the Transformer of scalars: one training step of one program text on four kinds of number.

    python -m benchmarks transformer [--quick] [--rounds N] [--only NAMES] [--output DIR]

The program is `symdiff.examples.transformer`, unchanged. Gradients are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.autograds import ETA, PEERS, Contestant, Problem, Weights
from benchmarks.command import RESULTS, choose, command_line, publish
from benchmarks.table import Row, digits, line, machine, ratio
from benchmarks.timing import Stopwatch, in_turn

TOLERANCE = 1e-9  # of the largest entry of an array of weights
SAMPLE_SECONDS = 0.05


def error_of(found: tuple[float, Weights], expected: tuple[float, Weights]) -> float:
    """Largest difference, of the value relative to it, of a gradient to the largest entry of its array; inf for NaN."""
    errors = [abs(found[0] - expected[0]) / abs(expected[0])]
    for name, right in expected[1].items():
        if found[1][name].shape != right.shape:
            return math.inf
        errors.append(float(np.max(np.abs(found[1][name] - right)) / np.max(np.abs(right))))
    return max(error if math.isfinite(error) else math.inf for error in errors)


@dataclass(frozen=True)
class Report:
    """All of one run: `program` in numbers, `seconds` that its way to code takes, `rows` of a training step."""

    command: str
    rounds: int
    repeats: int
    machine: dict[str, Any]
    program: dict[str, int]
    seconds: dict[str, float]
    contestants: dict[str, str]  # title by name
    left_out: dict[str, str]  # contestant: why
    rows: list[Row]

    def as_json(self) -> str:
        """The report as indented JSON."""
        return json.dumps(asdict(self), indent=1) + "\n"

    def as_markdown(self) -> str:
        """A table of the way to code, and one of a training step."""
        lines = ["# A Transformer of scalars: symdiff beside scalar autograds", "", f"`{self.command}`", ""]
        lines += [f"- {name}: {fact}" for name, fact in self.machine.items()]
        lines += ["- one program text for all, `symdiff/examples/transformer.py`, run on each one's numbers"]
        lines += ["- before timing, value and gradient of all contestants agreed to 1e-9 of each array's largest entry"]
        lines += [f"- left out: {name} ({why})" for name, why in self.left_out.items()]
        lines += ["", "## From the program to code", "", line(["", "number"]), line(["---", "---:"])]
        lines += [line([name, f"{number:,}"]) for name, number in self.program.items()]
        lines += ["", f"Medians of {self.repeats} processes, each from the start with an empty kernel cache.", ""]
        lines += [line(["", "seconds"]), line(["---", "---:"])]
        lines += [line([name, digits(seconds)]) for name, seconds in self.seconds.items()]
        return "\n".join([*lines, *self._steps()]) + "\n"

    def _steps(self) -> list[str]:
        text = (
            f"Value, gradient and update, one sentence. Medians of {self.rounds} rounds, all in turn, Python's garbage "
            "collector at rest."
        )
        lines = ["", "## A training step", "", text, ""]
        lines += [line(["contestant", "us", "quartiles, us", "as a multiple of the first"])]
        lines += [line(["---", "---:", "---:", "---:"])]
        for row in self.rows:
            middle, low, high = (digits(time / 1000) for time in (row.median, row.low, row.high))
            title = self.contestants[row.contestant]
            lines.append(line([title, middle, f"{low} to {high}", ratio(row.median, self.rows[0].median)]))
        return lines


def prepared(sizes: Any, seed: int = 0) -> Problem:
    """The problem, traced; nothing of it is compiled yet."""
    from symdiff import optim
    from symdiff.examples import transformer

    learned, _ = transformer.split(sizes, seed)
    weights = transformer.start(sizes, np.random.default_rng(seed))
    formula = transformer.trace(sizes)
    program = formula.gradient().update(optim.gradient_descent(eta=ETA))
    return Problem(sizes, weights, transformer.one_hot(learned, sizes), formula, program)


def way(sizes: Any) -> dict[str, float]:
    """The seconds of every stage from the program's text to compiled code, with an empty kernel cache.

    For a process of its own: a process loads what it has compiled once without compiling it again.
    """
    from symdiff import optim
    from symdiff.examples import transformer

    seconds: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        begun = perf_counter()
        done = work()
        seconds[stage] = perf_counter() - begun
        return done

    with tempfile.TemporaryDirectory(prefix="symdiff-benchmark-") as cache:
        os.environ["SYMDIFF_CACHE"] = cache
        formula = timed("trace", lambda: transformer.trace(sizes))
        program = formula.gradient().update(optim.gradient_descent(eta=ETA))
        timed("differentiate (reverse sweep and passes)", lambda: program.code_tape)
        timed("render all of the C", lambda: program.source("c"))
        timed("render and compile the kernel of value and gradient", lambda: program.compile("c"))
        timed("render and compile the training loop", lambda: program.trainer("c"))
    return seconds


def ways(sizes: Any, repeats: int) -> list[dict[str, float]]:
    """`way` in as many new processes, one after the other."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        return list(processes.map(way, [sizes] * repeats))


def measure(problem: Problem, contestants: Sequence[Contestant], rounds: int) -> list[Row]:
    """Compares all gradients, then times all steps; ValueError if one differs."""
    tasks = {each: each.task(problem) for each in contestants}
    expected = next(iter(tasks.values())).read()
    for each, task in tasks.items():
        if (error := error_of(task.read(), expected)) > TOLERANCE:
            raise ValueError(f"{each.name}: off by {error:.2e} of the largest entry")
    watches = [
        Stopwatch(("transformer", each.name, "step"), task.run, task.steps, SAMPLE_SECONDS)
        for each, task in tasks.items()
    ]
    return in_turn(watches, rounds)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, defaults from the environment."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks transformer", description=__doc__)
    rounds = int(os.environ.get("ROUNDS", "15"))
    parser.add_argument("--rounds", default=rounds, type=int, metavar="N", help="samples per contestant")
    parser.add_argument("--repeats", default=3, type=int, metavar="N", help="times that the way to code is gone")
    parser.add_argument("--only", metavar="NAMES", help=f"of {','.join(peer.name for peer in PEERS)}")
    parser.add_argument("--quick", action="store_true", help="a small network, two rounds: to see it run")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (the whole run: benchmarks/results)")
    options = parser.parse_args(arguments)
    choose(parser, options, only=[peer.name for peer in PEERS])
    if min(options.rounds, options.repeats) < 1:
        parser.error("--rounds and --repeats are at least 1")
    if options.quick:
        options.rounds, options.repeats = 2, 1
    return options


def run(options: argparse.Namespace, command: str) -> Report:
    """The whole benchmark."""
    from symdiff.examples.transformer import FULL, Sizes

    contestants = [peer() for peer in PEERS if peer.name in options.only_names]
    left_out = {each.name: f"not installed: {missing}" for each in contestants if (missing := each.missing())}
    present = [each for each in contestants if each.name not in left_out]
    sizes = Sizes(letters=3, length=2, width=4, heads=2, hidden=3) if options.quick else FULL
    print("trace, differentiate, render, compile", file=sys.stderr, flush=True)
    stages = ways(sizes, options.repeats)
    seconds = {stage: median(each[stage] for each in stages) for stage in stages[0]}
    problem = prepared(sizes)
    print(", ".join(each.name for each in present), file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="symdiff-benchmark-") as cache:
        os.environ["SYMDIFF_CACHE"] = cache
        rows = measure(problem, present, options.rounds)
    facts = machine(["numpy", *(module for each in contestants for module in each.needs)])
    program = {
        "weights": sum(matrix.size for matrix in problem.weights.values()),
        "steps of the program as traced": len(problem.formula.primal.steps),
        "steps with the reverse sweep": len(problem.program.steps),
        "steps of the code, after the passes": len(problem.program.code_tape.steps),
    }
    titles = {each.name: each.title for each in present}
    return Report(command, options.rounds, options.repeats, facts, program, seconds, titles, left_out, rows)


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 if contestants disagree."""
    options = parse(arguments)
    try:
        report = run(options, command_line(["transformer", *arguments]))
    except ValueError as wrong:
        print(f"results differ, nothing timed: {wrong}", file=sys.stderr)
        return 1
    is_whole = not (options.only or options.quick)
    publish(report, "transformer", options.output or (RESULTS if is_whole else None))
    return 0
