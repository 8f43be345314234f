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

    Python runs a signal's handler between two of its own instructions, so not while C is at work. `stop`, where it is
    given, is called from another thread then, to make the C code return.

    Only the main thread of Python gets signals; where something ignores them on purpose, that stays.
    """

    def __init__(self, stop: Callable[[], None] | None = None) -> None:
        self._stop = stop
        self._handled = self._heard = False
        self._old: Any = None
        self._thread: threading.Thread | None = None

    @property
    def wanted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._handled or self._heard

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            old = signal.getsignal(signal.SIGINT)
            if old not in (None, signal.SIG_IGN):
                self._old = old
                signal.signal(signal.SIGINT, self._seen)
                if self._stop is not None:
                    self._listen(self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        if self._old is None:
            return
        if self._thread is not None:
            signal.set_wakeup_fd(self._before)
            self._sender.close()  # which ends the thread
            self._thread.join()
            self._receiver.close()
        signal.signal(signal.SIGINT, self._old)

    def _seen(self, _number: int, _frame: Any) -> None:
        if self._handled:
            raise KeyboardInterrupt
        self._handled = True

    def _listen(self, stop: Callable[[], None]) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._sender.setblocking(False)
        self._before = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._hear, args=(stop,), daemon=True)
        self._thread.start()

    def _hear(self, stop: Callable[[], None]) -> None:
        while numbers := self._receiver.recv(64):
            if signal.SIGINT in numbers:
                self._heard = True
                stop()
            if self._before != -1:  # an event loop listens to signals too
                with suppress(OSError):
                    os.write(self._before, numbers)


__all__ = ["Interrupt"]
