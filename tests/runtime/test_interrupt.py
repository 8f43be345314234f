"""Ctrl-C while something runs: who is told, and that everything is as before afterwards."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from symdiff.runtime.interrupt import Interrupt, Termination

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.fixture(autouse=True)
def _nothing_stays() -> Iterator[None]:
    """Python's own handler, no listener of pytest's; and a look that both are there again, and every descriptor."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    listener, threads = signal.set_wakeup_fd(-1), threading.active_count()
    opened = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.set_wakeup_fd(listener) == -1 and threading.active_count() == threads
    assert opened is None or set(os.listdir("/proc/self/fd")) == opened
    signal.signal(signal.SIGINT, before)


def test_the_handler_calls_stop_and_the_next_one_raises() -> None:
    stopped: list[str] = []
    with Interrupt(lambda: stopped.append("now"), listen=False) as interrupt:
        assert not interrupt.wanted
        signal.raise_signal(signal.SIGINT)
        assert interrupt.wanted and stopped == ["now"]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_thread_is_told_while_the_main_one_is_busy() -> None:
    told = threading.Event()
    with Interrupt(told.set, listen=True) as interrupt:
        blocked = signal.signal(signal.SIGINT, lambda *_: None)  # as if Python's handler had no turn
        os.kill(os.getpid(), signal.SIGINT)
        assert told.wait(10) and interrupt.wanted
        signal.signal(signal.SIGINT, blocked)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_a_forked_process_keeps_nobody_waiting() -> None:
    """It has the descriptors of the listener as long as it lives."""
    reader, writer = os.pipe()
    with Interrupt(lambda: None, listen=True):
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)  # until the other process ends or says so
            os._exit(0)
        began = time.perf_counter()
    assert time.perf_counter() - began < 5
    assert os.waitpid(child, os.WNOHANG) == (0, 0)  # it still lives
    os.close(reader)
    os.close(writer)
    os.waitpid(child, 0)


def _child(work: Callable[[], bool]) -> int:
    """The exit code of a forked process: 0 where `work` says yes."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if work() else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_a_forked_process_has_its_own_ctrl_c() -> None:
    """It is interrupted as before, nobody here hears of it, and its end ends no listener."""
    told = threading.Event()

    def interrupted() -> bool:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        interrupt.__exit__()
        return signal.getsignal(signal.SIGINT) is signal.default_int_handler and signal.set_wakeup_fd(-1) == -1

    with Interrupt(told.set, listen=True) as interrupt:
        assert _child(interrupted) == 0
        assert not told.wait(0.1) and not interrupt.wanted
        os.kill(os.getpid(), signal.SIGINT)
        assert told.wait(10) and interrupt.wanted


def test_sigterm_counts_where_a_program_asked_for_it() -> None:
    stopped: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt(lambda: None, listen=False):
        assert signal.getsignal(signal.SIGTERM) is before
    with Termination() as termination:
        with Interrupt(lambda: stopped.append("now"), listen=True) as interrupt:
            signal.raise_signal(signal.SIGTERM)
            assert interrupt.wanted and termination.wanted and "now" in stopped
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
        assert signal.getsignal(signal.SIGTERM) is termination
    assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_is_heard_while_the_main_thread_is_busy() -> None:
    told = threading.Event()
    with Termination(), Interrupt(told.set, listen=True):
        blocked = signal.signal(signal.SIGTERM, lambda *_: None)  # as if Python's handler had no turn
        os.kill(os.getpid(), signal.SIGTERM)
        assert told.wait(10)
        signal.signal(signal.SIGTERM, blocked)


def test_sigterm_ends_what_is_no_training_at_once() -> None:
    """Also where Ctrl-C is ignored, as in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Termination() as termination:
            with Interrupt(lambda: None, listen=False) as interrupt:
                signal.raise_signal(signal.SIGINT)
                assert not interrupt.wanted
                signal.raise_signal(signal.SIGTERM)
                assert interrupt.wanted
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
        assert termination.wanted
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    ("where", "name", "error"),
    [
        (socket, "socketpair", OSError(24, "Too many open files")),
        (threading.Thread, "start", RuntimeError("no thread")),
    ],
)
def test_without_means_for_a_listener_the_handler_is_there(
    where: Any, name: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(where, name, refused)
        with Interrupt(lambda: None, listen=True) as interrupt:
            signal.raise_signal(signal.SIGINT)
            assert interrupt.wanted


def test_who_listened_before_is_told_too() -> None:
    receiver, sender = socket.socketpair()
    with receiver, sender:
        sender.setblocking(False)
        receiver.settimeout(10)
        signal.set_wakeup_fd(sender.fileno())
        with Interrupt(lambda: None, listen=True):
            signal.raise_signal(signal.SIGINT)
            assert receiver.recv(8) == bytes([signal.SIGINT])
        assert signal.set_wakeup_fd(-1) == sender.fileno()


def test_in_another_thread_nothing_is_listened_to() -> None:
    found = []

    def work() -> None:
        with Interrupt(lambda: None, listen=True) as interrupt:
            found.append((signal.getsignal(signal.SIGINT), threading.active_count(), interrupt.wanted))

    count = threading.active_count()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(signal.default_int_handler, count + 1, False)]
