"""Samples of many tasks in turn, so that a busy moment of the machine falls on all of them."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from statistics import median, quantiles
from time import perf_counter

from benchmarks.table import Row


class Stopwatch:
    """Times one task: a sample is as many runs as fill `seconds`, and at least one. Finding that number warms up."""

    def __init__(self, key: tuple[str, str, str], run: Callable[[], object], items: int, seconds: float) -> None:
        self.key, self.run, self.items = key, run, items
        self.count, self.samples = 1, list[float]()
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


def summed_up(key: tuple[str, str, str], samples: Sequence[float]) -> Row:
    """Median and quartiles of times in ns; `key` is the formula, the contestant and the measure."""
    quartiles = quantiles(samples, n=4, method="inclusive") if len(samples) > 1 else list(samples) * 3
    return Row(*key, median(samples), quartiles[0], quartiles[2])


def in_turn(watches: Sequence[Stopwatch], rounds: int) -> list[Row]:
    """The samples of `take_turns` summed up."""
    take_turns(watches, rounds)
    return [summed_up(watch.key, watch.samples) for watch in watches]


def take_turns(watches: Sequence[Stopwatch], rounds: int) -> None:
    """One sample of everybody in each round. Each round starts with another one: none always follows the same."""
    gc.collect()
    gc.disable()
    try:
        for turn in range(rounds):
            start = turn * len(watches) // rounds
            for watch in [*watches[start:], *watches[:start]]:
                watch.sample()
    finally:
        gc.enable()
