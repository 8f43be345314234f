"""The run on numbers: every contestant is checked against 50 digits, then all are timed in turn, round after round.

The rounds of a formula are spread over the run, in several processes of their own: where a process finds its memory,
and what else runs on the machine for some seconds, can make a loop half as fast again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks import threads
from benchmarks.command import RESULTS, add_comparison, choose, command_line, compared, publish
from benchmarks.formulas import CASES, Problem
from benchmarks.peers import PEERS, Contestant, Limit, Task
from benchmarks.table import Report, machine
from benchmarks.timing import Stopwatch, summed_up, take_turns

TOLERANCE = 1e-9  # relative to the largest result at the point: a wrong formula is off by far more
CHECKED_POINTS = 20
EPILOG = "`python -m benchmarks matrices --help`: the same for formulas of matrices."
PASSES = 3  # processes per formula, as far as there are rounds
SAMPLE_SECONDS = {"batch": 0.05, "call": 0.01, "held": 0.01}


def reference(problem: Problem, points: np.ndarray) -> np.ndarray:
    """Value and gradient by SymPy's derivatives at 50 digits, rounded: shape (1 + inputs, columns of `points`)."""
    import mpmath
    import sympy

    function = sympy.lambdify(problem.symbols, problem.value_and_gradient, modules="mpmath", cse=True)
    with mpmath.workdps(50):
        columns = [function(*map(mpmath.mpf, column.tolist())) for column in points.T]
        return np.array([[float(number) for number in column] for column in columns]).T


def error_of(result: np.ndarray, expected: np.ndarray, least: float = 0.0) -> float:
    """Largest error, each point's relative to the largest result there, or to `least` where all results are smaller;
    infinite for a wrong shape or NaN.
    """
    if result.shape != expected.shape:
        return np.inf
    error = float(np.max(np.abs(result - expected) / np.maximum(np.max(np.abs(expected), axis=0), least)))
    return error if np.isfinite(error) else np.inf


def tasks_of(contestant: Contestant, problem: Problem, points: np.ndarray) -> dict[str, Task]:
    """What the contestant can be asked to do, by measure. One point is the first column."""
    point = points[:, 0].tolist()
    found = {"batch": contestant.batch(points), "call": contestant.call(point), "held": contestant.held(point)}
    return {measure: task for measure, task in found.items() if task is not None}


def stopwatches(contestant: Contestant, problem: Problem, points: np.ndarray, expected: np.ndarray) -> list[Stopwatch]:
    """Prepares a contestant and checks it; ValueError if its results are wrong."""
    contestant.prepare(problem)
    name, found = problem.case.name, list[Stopwatch]()
    # Where all results nearly vanish, rounding is all that is left of them (an option that is worth nothing).
    least = 1e-3 * float(np.median(np.max(np.abs(expected), axis=0)))
    for measure, task in tasks_of(contestant, problem, points).items():
        result = task.read()
        wanted = expected[:, 0] if measure != "batch" else expected
        error = error_of(result[:, : expected.shape[1]] if measure == "batch" else result, wanted, least)
        if error > TOLERANCE:
            raise ValueError(f"{name}, {contestant.name}, {measure}: error {error:.2e} against the 50-digit reference")
        items = points.shape[1] if measure == "batch" else 1
        found.append(Stopwatch((name, contestant.name, measure), task.run, items, SAMPLE_SECONDS[measure]))
    return found


@dataclass(frozen=True)
class Part:
    """What one process measures of a run: some rounds of one formula."""

    formula: str
    names: tuple[str, ...]  # of contestants
    limit: Path | None
    points: int
    rounds: int


def measure(part: Part) -> list[tuple[tuple[str, str, str], list[float]]]:
    """All samples, by what was measured; ValueError for wrong results."""
    problem = Problem(CASES[part.formula])
    given = problem.case.points(part.points)
    expected = reference(problem, given[:, :CHECKED_POINTS])
    contestants = [peer() for peer in PEERS if peer.name in part.names]
    if part.limit:
        contestants.append(Limit(part.limit))
    watches = [watch for each in contestants for watch in stopwatches(each, problem, given, expected)]
    take_turns(watches, part.rounds)
    if "symdiff" in part.names:
        with threads.every_processor():
            two = threads.stopwatches(problem, threads.contestants(part.limit), given)
            take_turns(two, part.rounds)
        watches += two
    return [(watch.key, watch.samples) for watch in watches]


def passes(parts: Sequence[Part], rounds: int) -> Iterator[Part]:
    """The parts one after the other, again and again, until each has had its rounds."""
    for turn in range(PASSES):
        share = rounds * (turn + 1) // PASSES - rounds * turn // PASSES
        yield from (replace(part, rounds=share) for part in parts if share)


def elsewhere(part: Part) -> list[tuple[tuple[str, str, str], list[float]]]:
    """`measure` in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, part).result()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, defaults from the environment."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, epilog=EPILOG)
    number = {"type": int, "metavar": "N"}
    parser.add_argument("--points", default=int(os.environ.get("POINTS", "1000000")), **number, help="batch size")
    parser.add_argument("--rounds", default=int(os.environ.get("ROUNDS", "21")), **number, help="samples per task")
    parser.add_argument("--only", metavar="NAMES", help=f"of {','.join(peer.name for peer in PEERS)}")
    parser.add_argument("--formula", metavar="NAMES", help=f"of {','.join(CASES)}")
    parser.add_argument("--limit", type=Path, metavar="FILE", help="a runner of hand-written C outside the repository")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (the whole run: benchmarks/results)")
    add_comparison(parser)
    options = parser.parse_args(arguments)
    choose(parser, options, only=[peer.name for peer in PEERS], formula=CASES)
    if min(options.points, options.rounds) < 1:
        parser.error("--points and --rounds are at least 1")
    return options


def run(options: argparse.Namespace, command: str) -> Report:
    """The whole benchmark."""
    contestants = [peer() for peer in PEERS if peer.name in options.only_names]
    if options.limit:
        contestants.append(Limit(options.limit))
    titles = {each.name: each.title for each in [*contestants, *threads.contestants(options.limit)]}
    left_out: dict[str, str] = {}
    parts: list[Part] = []
    for name in options.formula_names:
        problem = Problem(CASES[name])
        titles[name] = problem.case.title
        missing = {each.name: each.available(problem) for each in contestants}
        left_out |= {each: f"not installed: {what}" for each, what in missing.items() if what}
        present = tuple(each for each, what in missing.items() if not what)
        parts.append(Part(name, present, options.limit, options.points, options.rounds))
    samples: dict[tuple[str, str, str], list[float]] = {}
    for part in passes(parts, options.rounds):
        print(f"{part.formula}: {', '.join(part.names)}", file=sys.stderr, flush=True)
        for key, found in elsewhere(part):
            samples.setdefault(key, []).extend(found)
    rows = [summed_up(key, found) for key, found in samples.items()]
    facts = machine(["numpy", "sympy", *(module for each in contestants for module in each.needs)])
    return Report(command, options.points, options.rounds, facts, titles, left_out, rows)


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 if a contestant's results are wrong, or symdiff got slower than in the run of --against."""
    options = parse(arguments)
    try:
        report = run(options, command_line(arguments))
    except ValueError as wrong:
        print(f"wrong result, nothing timed: {wrong}", file=sys.stderr)
        return 1
    is_whole = not (options.only or options.formula)
    publish(report, "benchmarks", options.output or (RESULTS if is_whole else None))
    return compared(report, options)
