"""Ctrl-C, held back until it is convenient; SIGTERM too, for programs that ask for it.

The module is copied verbatim into generated packages that have an update rule.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Termination:
    """While this context is entered, SIGTERM ends a training as the first Ctrl-C does, and is a KeyboardInterrupt
    anywhere else; `wanted` says that it came. For a program that owns its process: a library leaves SIGTERM alone.

    Only the main thread of Python gets signals; where something ignores this one on purpose, that stays.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._old: Any = None

    def __enter__(self) -> "Termination":
        if threading.current_thread() is threading.main_thread():
            old = signal.getsignal(signal.SIGTERM)
            if old not in (None, signal.SIG_IGN):
                self._old = signal.signal(signal.SIGTERM, self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._old is not None:
            signal.signal(signal.SIGTERM, self._old)

    def __call__(self, _number: int, _frame: Any) -> None:
        """The handler."""
        self.wanted = True
        raise KeyboardInterrupt


class Interrupt:
    """While this context is entered, the first Ctrl-C makes `wanted` true, and the second raises KeyboardInterrupt.
    In a `Termination`, SIGTERM counts as well.

    The first one calls `stop`, which makes what is running return early. Python runs a signal's handler between two of
    its own instructions, so not while C is at work; with `listen`, `stop` is called from another thread then. Where the
    system has no thread or no file descriptor left for that, Ctrl-C waits until C returns.

    Only the main thread of Python gets signals; where something ignores them on purpose, that stays. In a process that
    is forked meanwhile everything is as it was before.
    """

    def __init__(self, stop: Callable[[], None], *, listen: bool) -> None:
        self._stop, self._listen = stop, listen
        self._handled = self._heard = False
        self._old: dict[int, Any] = {}  # signal -> its handler before
        self._listener: _Listener | None = None

    @property
    def wanted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._handled or self._heard

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
            self._old = {number: handler for number, handler in old.items() if _is_ours(number, handler)}
            if self._old:
                if self._listen:
                    with suppress(OSError, RuntimeError):  # no file descriptor, no thread
                        self._listener = _Listener(self._hear, frozenset(self._old))
                _entered.append(self)
                for number in self._old:
                    signal.signal(number, self._seen)
        return self

    def __exit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.close()
        self._give_back()

    def _give_back(self) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)
        if self._old:
            _entered.remove(self)
        self._old, self._listener = {}, None

    def forget(self) -> None:
        """In a process that was forked: its signals, and the listener's descriptors, are no business of this one."""
        if self._listener is not None:
            self._listener.forget()
        self._give_back()

    def _seen(self, number: int, _frame: Any) -> None:
        before = self._old.get(number)
        if isinstance(before, Termination):
            before.wanted = True
        if self._handled:
            raise KeyboardInterrupt
        self._handled = True
        self._stop()

    def _hear(self) -> None:
        self._heard = True
        self._stop()


def _is_ours(number: int, handler: Any) -> bool:
    """Whether a signal with this handler ends a training."""
    if number == signal.SIGTERM:
        return isinstance(handler, Termination)
    return handler not in (None, signal.SIG_IGN)


_entered: list[Interrupt] = []  # of the main thread, the innermost last


def _forked() -> None:
    for each in reversed(tuple(_entered)):
        with suppress(ValueError):  # forked by another thread than the main one
            each.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class _Listener:
    """A thread that calls `hear` at each of the signals `numbers`, from the signal itself on and not from Python's
    handler.

    Raises OSError or RuntimeError, with nothing changed, where it cannot be started.
    """

    def __init__(self, hear: Callable[[], None], numbers: frozenset[int]) -> None:
        self._hear, self._numbers = hear, numbers
        self._receiver, self._sender = socket.socketpair()
        self._thread = threading.Thread(target=self._run, daemon=True)
        try:
            self._sender.setblocking(False)
            self._before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
            try:
                self._thread.start()
            except BaseException:
                signal.set_wakeup_fd(self._before)
                raise
        except BaseException:
            self._sender.close()
            self._receiver.close()
            raise

    def close(self) -> None:
        """End the thread, and give signals back to who had them."""
        signal.set_wakeup_fd(self._before)
        with suppress(OSError):
            # ends the thread also where a process forked meanwhile still has the socket, which closing does not
            self._sender.shutdown(socket.SHUT_RDWR)
        self._sender.close()
        self._thread.join()
        self._receiver.close()

    def forget(self) -> None:
        """In a forked process, which has copies of the descriptors and no thread."""
        signal.set_wakeup_fd(self._before)
        self._sender.close()
        self._receiver.close()

    def _run(self) -> None:
        while numbers := self._receiver.recv(64):
            if not self._numbers.isdisjoint(numbers):
                self._hear()
            if self._before != -1:  # an event loop listens to signals too
                with suppress(OSError):
                    os.write(self._before, numbers)


__all__ = ["Interrupt", "Termination"]
