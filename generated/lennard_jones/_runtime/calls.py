# Copied unchanged from symdiff/runtime/calls.py; the same in every generated package. Do not edit.
"""The call of a compiled kernel without Python in between: objects of `calls.c`, where that could be compiled.

A `Direct` is one C function of a library. It makes `Call`s, which take exact arguments (Python numbers, C-contiguous
arrays of the right dtype and shape) and answer NotImplemented to anything else, `Batch`es, which do so for vectors of
points, and `Bound` calls of addresses. All serve many threads. Without Python.h there are none, and the engines call
through cffi.

The module is copied verbatim into generated packages, and so is `calls.c`.
"""

import sys
from collections.abc import Callable, Sequence
from functools import cache, partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import PLAIN, Shape
from .workspace import Workspaces

# With more numbers than this, arguments, results and workspace together, other threads may run during a call. To give
# them the chance costs little; to get it back may take as long as a thread of theirs likes to compute, 5 ms at most.
_LONG_CALL = 1024
_ARRAYS = 32  # arguments and results, if any of them is an array (SD_PY_ARRAYS)

DirectCall = Callable[..., Any]


def possible(*, api: bool) -> bool:
    """Whether Python's interface is there in whole: with Python.h, which an `api` build has, in CPython."""
    return api and sys.implementation.name == "cpython"


@cache
def source() -> str:
    """The C text, for `compiler.build_shared`."""
    return Path(__file__).with_name("calls.c").read_text(encoding="utf-8")


def declined(*arguments: Any, **named: Any) -> Any:
    """The call where there is none: says so to any arguments."""
    return NotImplemented


@cache
def entered(kernel_class: type, calls: Any) -> type:
    """The class with a `__call__` in C, which tries a kernel's `_direct` and then the class's own; itself without."""
    if calls is None:
        return kernel_class
    own = {"__call__": calls.Entry(kernel_class.__call__), "__doc__": kernel_class.__doc__}
    return type(kernel_class.__name__, (kernel_class,), {**own, "__module__": kernel_class.__module__})


class Direct:
    """A kernel function of a compiled library: `int f(in, out)` over vectors (`vector`), or that of array formulas."""

    def __init__(
        self, calls: Any, ffi: Any, lib: Any, name: str, dtype: "np.dtype[Any]", workspaces: Workspaces, *, vector: bool
    ) -> None:
        self._calls, self._ffi, self._library = calls, ffi, lib
        self._address = self._of(ffi.addressof(lib, name))
        self._dtype, self._vector, self._workspaces = dtype, vector, workspaces

    def _of(self, pointer: Any) -> int:
        return int(self._ffi.cast("uintptr_t", pointer))

    def _kernel(self, sizes: Any, gemm: Any, numbers: int) -> tuple[Any, ...]:
        single = self._dtype.itemsize == 4
        return self._address, self._of(gemm), self._of(sizes), self._vector, single, numbers > _LONG_CALL

    def call(
        self,
        inputs: Sequence[Shape],
        outputs: Sequence[Shape],
        gradient: type | None,
        *,
        sizes: Any = 0,
        gemm: Any = 0,
        workspace: int = 0,
    ) -> DirectCall:
        """The call for arguments of these shapes: the value, or `(value, gradient(...))` where a type is given.

        `sizes` and `gemm` are what the function of an array formula wants, as cffi's pointers; `workspace` counts
        numbers.
        """
        shapes = [*inputs, *outputs]
        if len(shapes) > _ARRAYS and (any(shapes) or not self._vector):
            return declined
        numbers = workspace + sum(map(prod, shapes))
        own = numbers if self._vector else workspace + shapes.count(())  # the arrays are in the caller's memory
        tools = (PLAIN, np.ndarray, self._dtype, np.empty, partial(self._workspaces.array_of_thread, own))
        kernel = self._kernel(sizes, gemm, numbers)
        kept = (self._library, sizes, gemm)
        made: DirectCall = self._calls.Call(kernel, tuple(inputs), tuple(outputs), workspace, gradient, tools, kept)
        return made

    def batch(self, function: Any, inputs: int, outputs: int, out: str, gradient: type | None, most: int) -> DirectCall:
        """The call for vectors of one length below `most`, and numbers beside them; `function` is the batch function.

        `out` is the keyword of the caller's arrays, in a tuple.
        """
        if inputs + outputs > _ARRAYS:
            return declined
        tools = (PLAIN, np.ndarray, self._dtype, np.empty, None)
        release = _LONG_CALL // (inputs + outputs)
        single = self._dtype.itemsize == 4
        made: DirectCall = self._calls.Batch(
            self._of(function), single, inputs, outputs, most, release, out, gradient, tools, self._library
        )
        return made

    def bound(
        self, source: Any, target: Any, numbers: int, *, sizes: Any = 0, gemm: Any = 0, workspace: Any = 0
    ) -> "partial[int]":
        """A call without arguments, of pointers; `numbers` are those of arguments, results and workspace together."""
        pointers = (source, target, workspace)
        kernel = self._kernel(sizes, gemm, numbers)
        return partial(self._calls.Bound(kernel, *map(self._of, pointers), (self._library, sizes, gemm, *pointers)))


__all__ = ["Direct", "DirectCall", "declined", "entered", "possible", "source"]
