# Copied unchanged from symdiff/runtime/interrupt.py; the same in every generated package. Do not edit.
"""Ctrl-C, held back until it is convenient.

The module is copied verbatim into generated packages that have an update rule.
"""

import signal
import threading
from typing import Any


class Interrupt:
    """While this context is entered, the first Ctrl-C sets `wanted`, and the second raises KeyboardInterrupt.

    Only the main thread of Python gets signals; where something ignores them on purpose, that stays.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._old: Any = None

    def __enter__(self) -> "Interrupt":
        if threading.current_thread() is threading.main_thread():
            old = signal.getsignal(signal.SIGINT)
            if old not in (None, signal.SIG_IGN):
                self._old = old
                signal.signal(signal.SIGINT, self._seen)
        return self

    def __exit__(self, *_: object) -> None:
        if self._old is not None:
            signal.signal(signal.SIGINT, self._old)

    def _seen(self, _number: int, _frame: Any) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True


__all__ = ["Interrupt"]
