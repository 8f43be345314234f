# Copied unchanged from symdiff/runtime/interrupt.py; the same in every generated package. Do not edit.
"""Ctrl-C, held back until it is convenient.

The module is copied verbatim into generated packages that have an update rule.
"""

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Interrupt:
    """While this context is entered, the first Ctrl-C makes `wanted` true, and the second raises KeyboardInterrupt.

    The first one calls `stop`, which makes what is running return early. Python runs a signal's handler between two of
    its own instructions, so not while C is at work; with `listen`, `stop` is called from another thread then. Where the
    system has no thread or no file descriptor left for that, Ctrl-C waits until C returns.

    Only the main thread of Python gets signals; where something ignores them on purpose, that stays.
    """

    def __init__(self, stop: Callable[[], None], *, listen: bool) -> None:
        self._stop, self._listen = stop, listen
        self._handled = self._heard = False
        self._old: Any = None
        self._listener: _Listener | None = None

    @property
    def wanted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._handled or self._heard

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            old = signal.getsignal(signal.SIGINT)
            if old not in (None, signal.SIG_IGN):
                if self._listen:
                    with suppress(OSError, RuntimeError):  # no file descriptor, no thread
                        self._listener = _Listener(self._hear)
                self._old = old
                signal.signal(signal.SIGINT, self._seen)
        return self

    def __exit__(self, *_: object) -> None:
        if self._old is None:
            return
        if self._listener is not None:
            self._listener.close()
        signal.signal(signal.SIGINT, self._old)

    def _seen(self, _number: int, _frame: Any) -> None:
        if self._handled:
            raise KeyboardInterrupt
        self._handled = True
        self._stop()

    def _hear(self) -> None:
        self._heard = True
        self._stop()


class _Listener:
    """A thread that calls `hear` at each Ctrl-C, from the signal itself on and not from Python's handler.

    Raises OSError or RuntimeError, with nothing changed, where it cannot be started.
    """

    def __init__(self, hear: Callable[[], None]) -> None:
        self._hear = hear
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
            # ends the thread also where a process forked meanwhile has the socket, which closing does not
            self._sender.shutdown(socket.SHUT_RDWR)
        self._sender.close()
        self._thread.join()
        self._receiver.close()

    def _run(self) -> None:
        while numbers := self._receiver.recv(64):
            if signal.SIGINT in numbers:
                self._hear()
            if self._before != -1:  # an event loop listens to signals too
                with suppress(OSError):
                    os.write(self._before, numbers)


__all__ = ["Interrupt"]
