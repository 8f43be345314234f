"""What every contestant of the run on numbers is: the base class, its tasks, a folder to work in.

A contestant is prepared for one problem, then asked for up to three kinds of task:
`batch(points)`  all columns of an array (inputs, N), into memory held between calls where the tool allows it;
`call(point)`    one point, Python numbers in, results out, as a user would call it;
`held(point)`    one point, in and out through memory that the tool bound once (None where it has no such way).
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.formulas import Problem

FUNCTIONS = ("sin", "cos", "exp", "log", "sqrt", "erf")
"""The functions that occur in the formulas, under the names that CasADi and heyoka give them too."""


@dataclass(frozen=True)
class Task:
    """`run()` does the work; `read()` does it again and gives the results, a row for the value and for each partial."""

    run: Callable[[], Any]
    read: Callable[[], np.ndarray]


def of_results(run: Callable[[], Any]) -> Task:
    """A task whose run returns a flat sequence of results, scalars or arrays of one shape."""
    return Task(run, lambda: np.stack(np.broadcast_arrays(*map(np.asarray, run()))))


def of_memory(run: Callable[[], Any], memory: np.ndarray) -> Task:
    """A task whose run fills `memory`."""

    def read() -> np.ndarray:
        memory.fill(np.nan)
        run()
        return memory.copy()

    return Task(run, read)


def of_pairs(run: Callable[[], tuple[Any, Sequence[Any]]]) -> Task:
    """A task whose run returns (value, partials)."""

    def read() -> np.ndarray:
        value, partials = run()
        return np.stack([np.asarray(value), *map(np.asarray, partials)])

    return Task(run, read)


@lru_cache(maxsize=1)
def shared_memory(rows: int, points: int) -> np.ndarray:
    """The results of a batch, a row for each: one array for all contestants that fill such a one.

    Where the memory lies, and in pages of which size, is then the same for all.
    """
    return np.empty((rows, points))


class Contestant:
    """Base of all; `name` stands in the table, `needs` are the modules it imports."""

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()

    def available(self, problem: Problem) -> str:
        """Empty if it can run, else what is missing."""
        return ", ".join(module for module in self.needs if importlib.util.find_spec(module) is None)

    def prepare(self, problem: Problem) -> None:
        """Everything that is done once for a formula: differentiation, compilation."""
        raise NotImplementedError(type(self).__name__)

    def batch(self, points: np.ndarray) -> Task:
        """All points in one go."""
        raise NotImplementedError(type(self).__name__)

    def call(self, point: Sequence[float]) -> Task | None:
        """One point, as a user would call it."""
        return None

    def held(self, point: Sequence[float]) -> Task | None:
        """One point through memory bound once."""
        return None


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """The working folder is a temporary one meanwhile; it holds loaded libraries, so it stays until Python ends."""
    before, folder = Path.cwd(), Path(tempfile.mkdtemp(prefix="symdiff-benchmarks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)
