"""A bar on the terminal while something takes long: on standard error, after a second, and only where people look."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Progress = Callable[[int, int, float], None]

_QUIET = 1.0  # seconds before a bar is worth the noise


@contextmanager
def progress_bar(wanted: Progress | bool | None) -> Iterator[Progress | None]:
    """`wanted` itself where it is a function, and for True one that draws a bar on a terminal."""
    if callable(wanted):
        yield wanted
    elif wanted and sys.stderr.isatty():
        bar = _Bar()
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield None


class _Bar:
    """Called with (epochs made, epochs, value)."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._shown: Any = None
        self._task: Any = None

    def __call__(self, epoch: int, epochs: int, value: float) -> None:
        if self._shown is None:
            if time.monotonic() - self._start < _QUIET:
                return
            self._open(epochs)
        self._shown.update(self._task, completed=epoch, value=f"{value:.6g}")

    def _open(self, epochs: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("epoch"), MofNCompleteColumn(), BarColumn(), TextColumn("value {task.fields[value]}"),
            TimeRemainingColumn(),
        )  # fmt: skip
        self._shown = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = self._shown.add_task("", total=epochs, value="")
        self._shown.start()

    def close(self) -> None:
        """Take the bar away."""
        if self._shown is not None:
            self._shown.stop()


__all__ = ["Progress", "progress_bar"]
