"""The run on matrices: all contestants are checked against JAX, or against NumPy by hand, then timed in turn."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.command import RESULTS, add_comparison, choose, command_line, compared, publish
from benchmarks.matrices.peers import PEERS, ByHand, Contestant, Jax, Task
from benchmarks.matrices.problems import PROBLEMS, Problem
from benchmarks.matrices.report import Report
from benchmarks.table import Row, machine
from benchmarks.timing import Stopwatch, in_turn

TOLERANCE = 1e-9  # relative to the largest entry of an array
SAMPLE_SECONDS = {"quick": 1e-4, "small": 0.01, "medium": 0.03, "large": 0.06}
LABELS = ("small", "medium", "large")


def error_of(results: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Largest error, relative to the largest entry of its array; infinite for a wrong shape or NaN."""
    if [array.shape for array in results] != [array.shape for array in expected]:
        return np.inf
    errors = (np.max(np.abs(x - y)) / np.max(np.abs(y)) for x, y in zip(results, expected, strict=True))
    return max((float(error) if np.isfinite(error) else np.inf for error in errors), default=0.0)


def measure(problem: Problem, label: str, contestants: Sequence[Contestant], rounds: int) -> list[Row]:
    """Checks all contestants on one problem at one size, then times them; ValueError if results differ."""
    sizes = problem.sizes[label]
    arguments = problem.arguments(sizes)
    tasks: dict[Contestant, Task] = {each: each.task(problem, sizes, arguments) for each in contestants}
    judge = next((each for each in contestants if isinstance(each, Jax)), None)
    expected = (tasks[judge] if judge else ByHand().task(problem, sizes, arguments)).read()
    for each, task in tasks.items():
        results = task.read()
        if results and (error := error_of(results, expected)) > TOLERANCE:
            raise ValueError(f"{problem.name}, {label}, {each.name}: off by {error:.2e} of the largest entry")
    seconds = SAMPLE_SECONDS[label]
    watches = [Stopwatch((problem.name, each.name, label), task.run, 1, seconds) for each, task in tasks.items()]
    return in_turn(watches, rounds)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, defaults from the environment."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks matrices", description=__doc__)
    rounds = int(os.environ.get("ROUNDS", "25"))
    parser.add_argument("--rounds", default=rounds, type=int, metavar="N", help="samples per task")
    parser.add_argument("--only", metavar="NAMES", help=f"of {','.join(peer.name for peer in PEERS)}")
    parser.add_argument("--problem", metavar="NAMES", help=f"of {','.join(PROBLEMS)}")
    parser.add_argument("--size", metavar="NAMES", help=f"of {','.join(LABELS)}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, two rounds: everything once, to see it run")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (the whole run: benchmarks/results)")
    add_comparison(parser)
    options = parser.parse_args(arguments)
    choose(parser, options, only=[peer.name for peer in PEERS], problem=PROBLEMS, size=LABELS)
    if options.rounds < 1:
        parser.error("--rounds is at least 1")
    if options.quick:
        options.size_names, options.rounds = ["quick"], 2
    return options


def run(options: argparse.Namespace, command: str) -> Report:
    """The whole benchmark."""
    contestants = [peer() for peer in PEERS if peer.name in options.only_names]
    left_out = {each.name: f"not installed: {missing}" for each in contestants if (missing := each.missing())}
    present = [each for each in contestants if each.name not in left_out]
    rows: list[Row] = []
    for problem in (PROBLEMS[name] for name in options.problem_names):
        for label in options.size_names:
            fitting = [each for each in present if label in ("quick", "small") or not each.small]
            print(f"{problem.name}, {label}: {', '.join(each.name for each in fitting)}", file=sys.stderr, flush=True)
            rows += measure(problem, label, fitting, options.rounds)
    facts = machine(["numpy", "scipy", *(module for each in contestants for module in each.needs)])
    sizes = {
        problem.name: {label: dict(each) for label, each in problem.sizes.items()} for problem in PROBLEMS.values()
    }
    titles = {problem.name: problem.title for problem in PROBLEMS.values()}
    return Report(
        command, options.rounds, facts, titles, sizes, {each.name: each.title for each in present}, left_out, rows
    )


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 if contestants disagree, or symdiff got slower than in the run of --against."""
    options = parse(arguments)
    try:
        report = run(options, command_line(["matrices", *arguments]))
    except ValueError as wrong:
        print(f"results differ, nothing timed: {wrong}", file=sys.stderr)
        return 1
    is_whole = not (options.only or options.problem or options.size or options.quick)
    publish(report, "matrices", options.output or (RESULTS if is_whole else None))
    return compared(report, options)
