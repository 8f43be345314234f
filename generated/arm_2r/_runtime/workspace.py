# Copied unchanged from symdiff/runtime/workspace.py; the same in every generated package. Do not edit.
"""Memory that compiled functions work in: numbers from the start of a cache line on, kept per thread between calls.

The module is copied verbatim into generated packages.
"""

from threading import local
from typing import Any

import numpy as np

# Workspace that a thread keeps between calls, in bytes; a larger one is allocated for the call, and given back.
_KEPT = 1 << 24
_LINE = 64  # workspaces start at a cache line
_LARGEST = (1 << 62) - 1  # bytes; counts of numbers beyond it mean "more than there is"


class Workspaces:
    """Workspaces for C functions that take a pointer of the cffi type `pointer` to numbers of `dtype`."""

    def __init__(self, ffi: Any, pointer: Any, dtype: "np.dtype[Any]") -> None:
        self._ffi, self._pointer, self._dtype = ffi, pointer, dtype
        self._local = _Held()

    def checked(self, numbers: int, name: str) -> int:
        """`numbers`. Raises MemoryError where they are beyond every memory."""
        if numbers > _LARGEST // self._dtype.itemsize:
            raise MemoryError(f"{name}: the intermediate arrays for these sizes are beyond every memory")
        return numbers

    def new(self, numbers: int) -> Any:
        """A pointer to the first of so many numbers, which keeps the memory alive."""
        item = self._dtype.itemsize
        memory = np.empty(numbers + _LINE // item, self._dtype)
        block = self._ffi.from_buffer(self._pointer, memory)
        start = -int(self._ffi.cast("uintptr_t", block)) % _LINE // item
        return self._ffi.from_buffer(self._pointer, memory[start:])

    def of_thread(self, numbers: int) -> Any:
        """This thread's workspace. C uses it during a call alone, so any two calls of a thread can share it."""
        size, held = self._local.held
        if size < numbers:
            held = self.new(numbers)
            if numbers * self._dtype.itemsize <= _KEPT:
                self._local.held = (numbers, held)
        return held


class _Held(local):
    """What a thread keeps: a workspace and its size."""

    held: tuple[int, Any] = (0, None)


__all__ = ["Workspaces"]
