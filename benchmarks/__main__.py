"""The run: every contestant is checked against 50 digits, then all are timed in turn, round after round."""

from __future__ import annotations

import argparse
import gc
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import numpy as np

from benchmarks.formulas import CASES, Problem
from benchmarks.peers import PEERS, Contestant, Limit, Task
from benchmarks.table import Report, Row, machine

RESULTS = Path(__file__).resolve().parent / "results"
TOLERANCE = 1e-9  # relative to the largest result at the point: a wrong formula is off by far more
CHECKED_POINTS = 20
SAMPLE_SECONDS = {"batch": 0.05, "call": 0.01, "held": 0.01}


def one_thread() -> None:
    """Holds this process to one processor and tells the libraries, before they are imported."""
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    os.environ |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def reference(problem: Problem, points: np.ndarray) -> np.ndarray:
    """Value and gradient by SymPy's derivatives at 50 digits, rounded: shape (1 + inputs, columns of `points`)."""
    import mpmath
    import sympy

    function = sympy.lambdify(problem.symbols, problem.value_and_gradient, modules="mpmath", cse=True)
    with mpmath.workdps(50):
        columns = [function(*map(mpmath.mpf, column.tolist())) for column in points.T]
        return np.array([[float(number) for number in column] for column in columns]).T


def error_of(result: np.ndarray, expected: np.ndarray) -> float:
    """Largest error, each point's relative to the largest result there; infinite for a wrong shape or NaN."""
    if result.shape != expected.shape:
        return np.inf
    error = float(np.max(np.abs(result - expected) / np.max(np.abs(expected), axis=0)))
    return error if np.isfinite(error) else np.inf


class Stopwatch:
    """Times one task: a sample is as many runs as fill SAMPLE_SECONDS, and at least one."""

    def __init__(self, key: tuple[str, str, str], run: Callable[[], object], items: int) -> None:
        self.key, self.run, self.items = key, run, items
        self.count, self.samples = 1, list[float]()
        seconds = SAMPLE_SECONDS[key[2]]
        while (spent := self._seconds()) < seconds / 2:
            self.count = max(self.count + 1, min(10 * self.count, int(self.count * seconds / max(spent, 1e-9))))

    def _seconds(self) -> float:
        run, rounds = self.run, range(self.count)
        start = perf_counter()
        for _ in rounds:
            run()
        return perf_counter() - start

    def sample(self) -> None:
        """One more sample, in ns per item."""
        self.samples.append(self._seconds() / self.count / self.items * 1e9)

    def row(self) -> Row:
        """The samples summed up."""
        quartiles = quantiles(self.samples, n=4) if len(self.samples) > 1 else self.samples * 3
        return Row(*self.key, median(self.samples), quartiles[0], quartiles[2])


def tasks_of(contestant: Contestant, problem: Problem, points: np.ndarray) -> dict[str, Task]:
    """What the contestant can be asked to do, by measure. One point is the first column."""
    point = points[:, 0].tolist()
    found = {"batch": contestant.batch(points), "call": contestant.call(point), "held": contestant.held(point)}
    return {measure: task for measure, task in found.items() if task is not None}


def stopwatches(contestant: Contestant, problem: Problem, points: np.ndarray, expected: np.ndarray) -> list[Stopwatch]:
    """Prepares a contestant and checks it; ValueError if its results are wrong."""
    contestant.prepare(problem)
    name, found = problem.case.name, []
    for measure, task in tasks_of(contestant, problem, points).items():
        result = task.read()
        wanted = expected[:, 0] if measure != "batch" else expected
        error = error_of(result[:, : expected.shape[1]] if measure == "batch" else result, wanted)
        if error > TOLERANCE:
            raise ValueError(f"{name}, {contestant.name}, {measure}: error {error:.2e} against the 50-digit reference")
        items = points.shape[1] if measure == "batch" else 1
        found.append(Stopwatch((name, contestant.name, measure), task.run, items))
    return found


def measure(problem: Problem, contestants: Sequence[Contestant], points: int, rounds: int) -> list[Row]:
    """All contestants on one formula. Each round starts with another one: none always follows the same."""
    given = problem.case.points(points)
    expected = reference(problem, given[:, :CHECKED_POINTS])
    watches: list[Stopwatch] = []
    for contestant in contestants:
        watches += stopwatches(contestant, problem, given, expected)
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            start = turn * len(watches) // rounds
            for watch in watches[start:] + watches[:start]:
                watch.sample()
    finally:
        gc.enable()
    return [watch.row() for watch in watches]


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The options, defaults from the environment."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    number = {"type": int, "metavar": "N"}
    parser.add_argument("--points", default=int(os.environ.get("POINTS", "1000000")), **number, help="batch size")
    parser.add_argument("--rounds", default=int(os.environ.get("ROUNDS", "9")), **number, help="samples per task")
    parser.add_argument("--only", metavar="NAMES", help=f"of {','.join(peer.name for peer in PEERS)}")
    parser.add_argument("--formula", metavar="NAMES", help=f"of {','.join(CASES)}")
    parser.add_argument("--limit", type=Path, metavar="FILE", help="a runner of hand-written C outside the repository")
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (the whole run: benchmarks/results)")
    options = parser.parse_args(arguments)
    for option, known in (("only", [peer.name for peer in PEERS]), ("formula", list(CASES))):
        chosen = (getattr(options, option) or ",".join(known)).split(",")
        if unknown := sorted(set(chosen) - set(known)):
            parser.error(f"--{option}: unknown {', '.join(unknown)}; known are {', '.join(known)}")
        setattr(options, f"{option}_names", [name for name in known if name in chosen])
    if min(options.points, options.rounds) < 1:
        parser.error("--points and --rounds are at least 1")
    return options


def command_line(arguments: Sequence[str]) -> str:
    """The command for the report, without anyone's paths."""
    shown = ["python", "-m", "benchmarks", *arguments]
    return shlex.join(Path(word).name if os.sep in word else word for word in shown)


def run(options: argparse.Namespace, command: str) -> Report:
    """The whole benchmark."""
    contestants = [peer() for peer in PEERS if peer.name in options.only_names]
    if options.limit:
        contestants.append(Limit(options.limit))
    left_out, rows, titles = {}, [], {each.name: each.title for each in contestants}
    for name in options.formula_names:
        problem = Problem(CASES[name])
        titles[name] = problem.case.title
        missing = {each.name: each.available(problem) for each in contestants}
        left_out |= {each: f"not installed: {what}" for each, what in missing.items() if what}
        present = [each for each in contestants if not missing[each.name]]
        print(f"{name}: {', '.join(each.name for each in present)}", file=sys.stderr, flush=True)
        rows += measure(problem, present, options.points, options.rounds)
    facts = machine(["numpy", "sympy", *(module for each in contestants for module in each.needs)])
    return Report(command, options.points, options.rounds, facts, titles, left_out, rows)


def main(arguments: Sequence[str]) -> int:
    """Exit code: 1 if a contestant's results are wrong."""
    options = parse(arguments)
    one_thread()
    try:
        report = run(options, command_line(arguments))
    except ValueError as wrong:
        print(f"wrong result, nothing timed: {wrong}", file=sys.stderr)
        return 1
    is_whole = not (options.only or options.formula)
    folder = options.output or (RESULTS if is_whole else None)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "benchmarks.md").write_text(report.as_markdown(), "utf-8")
        (folder / "benchmarks.json").write_text(report.as_json(), "utf-8")
    print(report.as_markdown(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
