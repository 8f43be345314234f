"""Large batches on several threads: the same bits, whatever the layout; safe with exceptions, forks and at exit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symdiff
from symdiff.runtime import threads
from symdiff.runtime.kernel import Kernel

SOURCE = "sin(x)*cos(y) + exp(-x*x)*y"


@given(st.integers(1, 10**7), st.integers(1, 64))
def test_slices_cover_every_point_once(n: int, number: int) -> None:
    parts = threads.slices(n, number)
    assert [start for start, _ in parts] == [0, *np.cumsum([length for _, length in parts])[:-1].tolist()]
    assert sum(length for _, length in parts) == n
    assert all(length > 0 for _, length in parts) and len(parts) <= 8 * number


def test_a_number_of_threads() -> None:
    assert threads.checked(3) == 3 and threads.checked("2") == 2 and threads.checked(np.int64(4)) == 4
    assert threads.checked("auto") == threads.available() >= 1
    for wrong in (0, -1, "many", "", True):
        with pytest.raises(ValueError, match="thread"):
            threads.checked(wrong)
    for wrong in (1.5, None):
        with pytest.raises(TypeError, match="thread"):
            threads.checked(wrong)  # type: ignore[arg-type]


def test_the_environment_gives_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYMDIFF_THREADS", raising=False)
    assert threads.default_threads() == 1
    monkeypatch.setenv("SYMDIFF_THREADS", "5")
    assert threads.default_threads() == 5
    monkeypatch.setenv("SYMDIFF_THREADS", "all")
    with pytest.raises(ValueError, match=r"\$SYMDIFF_THREADS"):
        threads.default_threads()


# -- Handing out calls -------------------------------------------------------------------------------------------------


def test_every_call_is_made_once() -> None:
    made: list[int] = []
    assert threads.run([lambda k=k: made.append(k) or 0 for k in range(100)], 4) == 0  # type: ignore[misc]
    assert sorted(made) == list(range(100))


def test_a_status_comes_back() -> None:
    assert threads.run([lambda: 0, lambda: 3, lambda: 0], 2) == 3


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_nothing_runs_any_more_when_an_exception_passes(kind: type[BaseException]) -> None:
    begun, ended, both = threading.Event(), threading.Event(), threading.Barrier(2)
    late: list[int] = []

    def slow() -> int:
        both.wait(10)
        begun.set()
        time.sleep(0.05)
        ended.set()
        return 0

    def wrong() -> int:
        both.wait(10)
        begun.wait(10)
        raise kind("stop")

    with pytest.raises(kind, match="stop"):
        threads.run([slow, wrong, *[lambda: late.append(1) or 0] * 5], 2)  # type: ignore[list-item]
    assert ended.is_set()
    assert len(late) <= 5
    assert threads.run([lambda: 0] * 5, 2) == 0  # and the helpers still serve


def test_ctrl_c_just_after_a_call_was_taken_does_not_wait_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal's handler runs between any two instructions, also between taking a call and making it."""
    taken = threads._Batch._next
    caller = threading.get_ident()

    def interrupted(batch: threads._Batch) -> object:
        taken(batch)
        if threading.get_ident() == caller:
            raise KeyboardInterrupt
        return None

    monkeypatch.setattr(threads._Batch, "_next", interrupted)
    batch = threads._Batch([lambda: 0, lambda: 0])
    with pytest.raises(KeyboardInterrupt):
        batch.finish()
    assert not batch._running


def test_ctrl_c_before_the_first_own_call_waits_for_those_of_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helpers may have begun when a signal comes, and write into the caller's arrays until their calls end."""
    begun, running = threading.Event(), threading.Event()

    def slow() -> int:
        running.set()
        begun.set()
        time.sleep(0.1)
        running.clear()
        return 0

    def interrupted(helpers: threads._Helpers, batch: threads._Batch, count: int) -> None:
        threading.Thread(target=batch.work).start()
        begun.wait(10)
        raise KeyboardInterrupt

    monkeypatch.setattr(threads._Helpers, "help_with", interrupted)
    with pytest.raises(KeyboardInterrupt):
        threads.run([slow, slow], 2)
    assert begun.is_set() and not running.is_set()


def test_where_no_thread_can_be_started_the_caller_does_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system has a limit, and an interpreter that is ending starts none."""

    def refused(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    helpers = threads._Helpers()
    monkeypatch.setattr(threads, "_helpers", lambda: helpers)
    with monkeypatch.context() as none_left:
        none_left.setattr(threading.Thread, "start", refused)
        assert threads.run([lambda: 0, lambda: 3, lambda: 0], 3) == 3
    both = threading.Barrier(2)
    assert threads.run([lambda: int(both.wait(10) > 1)] * 2, 2) == 0  # later there is one again


def test_the_handler_of_a_signal_may_make_a_batch_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It runs between any two instructions, also while helpers are being started."""
    inner: list[int] = []
    helpers = threads._Helpers()
    monkeypatch.setattr(threads, "_helpers", lambda: helpers)

    class Interrupted(threading.Thread):
        def start(self) -> None:
            if not inner:
                inner.append(-1)
                inner[0] = threads.run([lambda: 0] * 4, 2)
            super().start()

    monkeypatch.setattr(threads, "Thread", Interrupted)
    outer = threading.Thread(target=lambda: inner.append(threads.run([lambda: 0] * 4, 2)), daemon=True)
    outer.start()
    outer.join(10)
    assert inner == [0, 0]


def test_a_batch_does_not_wait_for_helpers_that_are_busy() -> None:
    release = threading.Event()
    busy = threading.Thread(target=lambda: threads.run([lambda: int(not release.wait(20))] * 8, 8))
    busy.start()
    try:
        made: list[int] = []
        assert threads.run([lambda: made.append(1) or 0] * 20, 3) == 0  # type: ignore[list-item]
        assert len(made) == 20
    finally:
        release.set()
        busy.join()


# -- Kernels -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kernels() -> Iterator[tuple[Kernel, Kernel]]:
    program = symdiff.formula(SOURCE).gradient()
    yield program.compile("c", threads=1), program.compile("c", threads=3)


def _arrays(n: int, layout: str) -> tuple[list[np.ndarray | float], tuple[np.ndarray, ...]]:
    draw, step = np.random.default_rng(n), {"packed": 1, "strided": 2, "backwards": -1, "number": 1}[layout]
    given = [draw.uniform(-4, 4, n * abs(step))[::step] for _ in range(2)]
    out = tuple(np.full(n * abs(step), np.nan)[::step] for _ in range(3))
    return [given[0], 0.75] if layout == "number" else list(given), out


@pytest.mark.compiler
@pytest.mark.parametrize("layout", ["packed", "strided", "backwards", "number"])
@pytest.mark.parametrize("n", [threads.LEAST, threads.LEAST + 1, 123_457])
def test_bits_do_not_depend_on_the_number_of_threads(kernels: tuple[Kernel, Kernel], layout: str, n: int) -> None:
    one, three = kernels
    given, out = _arrays(n, layout)
    value, grads = one(*given)
    three(*given, out=out)
    for result, expected in zip(out, (value, *grads), strict=True):
        assert result.tobytes() == expected.tobytes()
    again = three.raw(*given, out=out)
    for array in out:
        array.fill(np.nan)
    assert again() == 0
    for result, expected in zip(out, (value, *grads), strict=True):
        assert result.tobytes() == expected.tobytes()


@pytest.mark.compiler
def test_long_formulas_share_a_batch_with_a_workspace_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symdiff.render.c._MOST_STACK", 1024)  # bytes: a formula of a few seconds to compile needs one
    text = "a0 = x\n" + "\n".join(f"a{k + 1} = sin(a{k})*y + {k + 1}*x" for k in range(210)) + "\na210*a99"
    program = symdiff.formula(text).gradient()
    assert "_packed_workspace" in program.source("h")
    one, three = program.compile("c", threads=1), program.compile("c", threads=3)
    points = np.random.default_rng(8).uniform(-1, 1, (2, threads.LEAST_LONG + 3))
    for first, second in zip(one(*points)[1], three(*points)[1], strict=True):
        assert first.tobytes() == second.tobytes()


@pytest.mark.compiler
def test_threads_that_call_one_kernel_do_not_disturb_each_other(kernels: tuple[Kernel, Kernel]) -> None:
    one, three = kernels
    batches = [np.random.default_rng(k).uniform(-3, 3, (2, threads.LEAST + 77)) for k in range(6)]
    with ThreadPoolExecutor(4) as callers:
        results = list(callers.map(lambda batch: three(*batch), batches))
    for batch, (value, grads) in zip(batches, results, strict=True):
        expected, others = one(*batch)
        assert value.tobytes() == expected.tobytes()
        assert [g.tobytes() for g in grads] == [g.tobytes() for g in others]


@pytest.mark.compiler
def test_threads_is_an_attribute(monkeypatch: pytest.MonkeyPatch) -> None:
    program = symdiff.formula("x*y").value()
    monkeypatch.setenv("SYMDIFF_THREADS", "2")
    kernel = program.compile("c")
    assert kernel.threads == 2
    kernel.threads = "auto"  # type: ignore[assignment]  # mypy wants one type for getting and setting
    assert kernel.threads == threads.available()
    with pytest.raises(ValueError, match="at least one thread"):
        kernel.threads = 0
    plain = program.compile("numpy", threads=4)
    assert plain.threads == 1


def _run(program: str) -> str:
    environment = {**os.environ, "SYMDIFF_THREADS": "3"}
    command = [sys.executable, "-W", "ignore", "-c", program]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


_BEGIN = f"""
import os, threading, numpy as np, symdiff
kernel = symdiff.formula({SOURCE!r}).value().compile("c")
points = np.linspace(-2, 2, 2*{threads.LEAST}).reshape(2, -1)
"""


@pytest.mark.compiler
def test_threads_start_with_the_first_large_batch_and_end_with_the_interpreter() -> None:
    program = _BEGIN + "kernel(points[:, :99][0], 1.0); print(threading.active_count())\n"
    assert _run(program + "kernel(*points); print(threading.active_count())") == "1\n3"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
def test_ctrl_c_at_any_moment_neither_hangs_nor_leaves_a_call_running() -> None:
    """Some thousand times in two seconds. What hangs is ended by the time limit of `_run`."""
    program = """
import random, signal, threading, time
from symdiff.runtime import threads

busy, caller, late, interrupts = set(), threading.get_ident(), 0, 0

def call():
    busy.add(threading.get_ident())
    time.sleep(2e-5)
    busy.discard(threading.get_ident())
    return 0

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
end = time.monotonic() + 2
while time.monotonic() < end:
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 1e-3))
            threads.run([call] * 8, 3)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        interrupts += 1
        late += bool(busy - {caller})
        busy.discard(caller)
print(interrupts > 100, late)
"""
    assert _run(program) == "True 0"


@pytest.mark.compiler
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_starts_its_own_helpers() -> None:
    program = (
        _BEGIN
        + """
before = kernel(*points)
child = os.fork()
if child == 0:
    os._exit(int(kernel(*points).tobytes() != before.tobytes() or threading.active_count() != 3))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), kernel(*points).tobytes() == before.tobytes())
"""
    )
    assert _run(program) == "0 True"
