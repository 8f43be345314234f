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
        self._ffi, self._pointer, self.dtype = ffi, pointer, dtype
        self._local = _Held()

    def checked(self, numbers: int, name: str) -> int:
        """`numbers`. Raises MemoryError where they are beyond every memory."""
        if numbers > _LARGEST // self.dtype.itemsize:
            raise MemoryError(f"{name}: the intermediate arrays for these sizes are beyond every memory")
        return numbers

    def new(self, numbers: int) -> Any:
        """A pointer to the first of so many numbers, which keeps the memory alive."""
        return self._ffi.from_buffer(self._pointer, self._array(numbers))

    def of_thread(self, numbers: int) -> Any:
        """This thread's workspace. C uses it during a call alone, so any two calls of a thread can share it."""
        return self._held(numbers)[1]

    def array_of_thread(self, numbers: int) -> Any:
        """The same as an array, which keeps the memory alive."""
        return self._held(numbers)[2]

    def _held(self, numbers: int) -> tuple[int, Any, Any]:
        held = self._local.held
        if held[0] < numbers:
            array = self._array(numbers)
            held = (numbers, self._ffi.from_buffer(self._pointer, array), array)
            if numbers * self.dtype.itemsize <= _KEPT:
                self._local.held = held
        return held

    def _array(self, numbers: int) -> "np.ndarray[Any, Any]":
        item = self.dtype.itemsize
        memory = np.empty(numbers + _LINE // item, self.dtype)
        block = self._ffi.from_buffer(self._pointer, memory)
        start = -int(self._ffi.cast("uintptr_t", block)) % _LINE // item
        return memory[start:]


class _Held(local):
    """What a thread keeps: the size of a workspace, its pointer and its memory."""

    held: tuple[int, Any, Any] = (0, None, None)


__all__ = ["Workspaces"]
