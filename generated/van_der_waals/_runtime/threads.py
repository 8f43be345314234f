# Copied unchanged from symdiff/runtime/threads.py; the same in every generated package. Do not edit.
"""Slices of a batch on several threads: C calls release the GIL, so a pool of Python threads keeps the processors busy.

The thread that calls takes slices too and never waits for a helper that has not begun: on a busy machine, or where
other calls have all helpers, it does the whole batch itself. A slice is one call of the same C function; an element's
bits do not depend on its place, so they do not depend on the number of threads either.

Helpers are started by the first call that wants them and stay, asleep, as daemon threads. A process made by fork has
none, and starts its own.

The module is copied verbatim into generated packages.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, RLock, Thread, get_ident

# Waking a helper takes some 50 us, and a batch as long as it is not worth one: 100,000 points of a small formula.
LEAST = 100_000
LEAST_LONG = 1_000  # points of a formula of thousands of steps
# Slices for each thread, so that one that falls behind does not keep the others waiting.
_SLICES = 8
# Slices begin at multiples of this: whole blocks of the C code.
_STEP = 256
_VARIABLE = "SYMDIFF_THREADS"


def available() -> int:
    """How many processors this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def default_threads() -> int:
    """`$SYMDIFF_THREADS`: a number, or `auto` for one per processor; 1 where it is not set."""
    return checked(os.environ.get(_VARIABLE) or 1, f"${_VARIABLE}")


def checked(threads: int | str, label: str = "threads") -> int:
    """A number of threads, `auto` resolved. Raises ValueError or TypeError for anything else."""
    if threads == "auto":
        return available()
    try:
        number = int(threads) if isinstance(threads, str) else threads.__index__()
    except (ValueError, AttributeError):
        kind = ValueError if isinstance(threads, str) else TypeError
        raise kind(f'{label}: expected a number of threads or "auto", got {threads!r}') from None
    if number < 1 or isinstance(threads, bool):
        raise ValueError(f"{label}: at least one thread, got {threads!r}")
    return number


def slices(n: int, threads: int) -> list[tuple[int, int]]:
    """(start, length) of the slices of n points."""
    length = -(-n // (_SLICES * threads))
    length = -(-length // _STEP) * _STEP
    return [(start, min(length, n - start)) for start in range(0, n, length)]


def run(calls: Sequence[Callable[[], int]], threads: int) -> int:
    """Make all calls, on up to so many threads, this one among them. Returns a status that was not 0, or 0.

    An exception of a call, or Ctrl-C, passes once no call is running any more; the rest is then not made.
    """
    return _Batch(calls).finish(min(threads, len(calls)) - 1)


class _Batch:
    """Calls that are handed out one by one.

    Ctrl-C may raise between any two instructions of the caller. A plain lock and a SimpleQueue are C, so that it never
    comes between taking the lock and the block that gives it back; a Condition is Python, and was left locked.
    """

    def __init__(self, calls: Sequence[Callable[[], int]]) -> None:
        self._calls = calls
        self._lock = Lock()
        self._idle: SimpleQueue[None] = SimpleQueue()  # has something whenever the last call that ran has ended
        self._begun = self._status = 0
        self._running: set[int] = set()  # threads that have a call
        self._error: BaseException | None = None

    def work(self) -> None:
        """Take calls until none is left."""
        while (call := self._next()) is not None:
            status, error = 0, None
            try:
                status = call()
            except BaseException as raised:
                error = raised
            with self._lock:
                self._running.discard(get_ident())
                self._status = self._status or status
                if error is not None:
                    self._error, self._begun = self._error or error, len(self._calls)
                if not self._running:
                    self._idle.put(None)

    def _next(self) -> Callable[[], int] | None:
        with self._lock:
            if self._begun >= len(self._calls):
                return None
            call = self._calls[self._begun]
            self._begun += 1
            self._running.add(get_ident())
            return call

    def finish(self, helpers: int = 0) -> int:
        """Take calls, with up to so many helpers, then wait for those that they have begun."""
        interrupt: BaseException | None = None
        try:
            _helpers().help_with(self, helpers)
            self.work()
        except BaseException as raised:  # Ctrl-C between two calls, or before the first
            interrupt = raised
        while True:
            try:
                with self._lock:
                    if interrupt is not None:  # it may have come while this thread took a call, or gave one back
                        self._begun = len(self._calls)
                        self._running.discard(get_ident())
                    if not self._running:
                        break
                self._idle.get()
            except BaseException as raised:  # C still writes into the caller's arrays: no way out before it has ended
                interrupt = raised
        if interrupt or self._error:
            raise interrupt or self._error  # type: ignore[misc]  # one of them is an exception
        return self._status


class _Helpers:
    """Threads that wait for batches."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._batches: SimpleQueue[_Batch] = SimpleQueue()
        self._started, self._lock = 0, RLock()  # the handler of a signal may come here while its own thread is here

    def help_with(self, batch: _Batch, count: int) -> None:
        """Let up to `count` threads take calls of a batch."""
        with self._lock, suppress(RuntimeError):  # no thread left, or the interpreter is ending: fewer help then
            while self._started < count:
                Thread(target=self._serve, name="symdiff-helper", daemon=True).start()
                self._started += 1
        for _ in range(min(count, self._started)):
            self._batches.put(batch)

    def _serve(self) -> None:
        while True:
            self._batches.get().work()


_current: _Helpers | None = None


def _helpers() -> _Helpers:
    """This process's helpers. Two threads that are the first at once may get some each: all of them serve."""
    global _current
    found = _current
    if found is None or found.process != os.getpid():
        found = _current = _Helpers()
    return found


__all__ = ["LEAST", "LEAST_LONG", "available", "checked", "default_threads", "run", "slices"]
