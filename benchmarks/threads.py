"""The same batch on one thread and on two, symdiff's kernel and the hand-written limit, in rounds of their own.

They are apart from the other contestants, because a second thread that waits for work in a loop (OpenMP's do, unless
told otherwise) would take a processor from whoever is timed next.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from benchmarks.contestant import shared_memory
from benchmarks.formulas import Problem
from benchmarks.peers import Contestant, Limit, Symdiff, Task
from benchmarks.timing import Stopwatch

MEASURE = "threads"
SAMPLE_SECONDS = 0.05


class SymdiffThreads(Symdiff):
    """The C kernel, the batch in slices on two threads."""

    name, title = "symdiff_threads", "symdiff, C kernel, two threads"

    def prepare(self, problem: Problem) -> None:
        super().prepare(problem)
        self.kernel.threads = 2


class LimitThreads(Limit):
    """The hand-written C under OpenMP, which is told to run two threads and to let waiting threads sleep."""

    name, title = "limit_threads", "hand-written C, two threads"

    def prepare(self, problem: Problem) -> None:
        os.environ |= {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "PASSIVE"}  # read when the library is loaded
        super().prepare(problem)
        with suppress(OSError, AttributeError):  # another contestant may have loaded it before
            ctypes.CDLL("libgomp.so.1").omp_set_num_threads(2)

    def batch(self, points: np.ndarray) -> Task:
        out = shared_memory(1 + len(points), points.shape[1])
        return self._fill(self.module.lib.batchp, points, out, points.shape[1])


def contestants(limit: Path | None) -> list[Contestant]:
    """One thread and two; of the limit where there is one."""
    by_hand: list[Contestant] = [] if limit is None else [Limit(limit), LimitThreads(limit)]
    return [Symdiff(), SymdiffThreads(), *by_hand]


@contextmanager
def every_processor() -> Iterator[None]:
    """Lets this process use all processors, where the benchmarks hold it to one."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, range(os.cpu_count() or 1))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def stopwatches(problem: Problem, wanted: Sequence[Contestant], points: np.ndarray) -> list[Stopwatch]:
    """One for each contestant, to be started in `every_processor`. ValueError where two threads find other bits."""
    watches: list[Stopwatch] = []
    bits: dict[str, bytes] = {}
    for contestant in wanted:
        contestant.prepare(problem)
        task = contestant.batch(points)
        bits[contestant.name] = task.read().tobytes()
        key = problem.case.name, contestant.name, MEASURE
        watches.append(Stopwatch(key, task.run, points.shape[1], SAMPLE_SECONDS))
    if bits["symdiff"] != bits["symdiff_threads"]:
        raise ValueError(f"{problem.case.name}: two threads find other bits than one")
    return watches
