# Copied unchanged from symdiff/runtime/engines.py; the same in every generated package. Do not edit.
"""The two ways a kernel computes: compiled C through cffi, and a Python function over NumPy arrays.

Engines trust their arguments (`kernel.py` has checked them): inputs of the kernel's dtype, aligned, in strides of whole
elements and broadcastable to `shape`; outputs of exactly `shape`; outputs apart from inputs and from each other.

An element's bits depend on that element's inputs alone, whatever the layout. The C code promises it for its batch
function. For NumPy, every operand is handed over contiguous and with at least one axis, because scalars and strided
arrays may take other code paths inside NumPy.

The module is copied verbatim into generated packages, so it imports nothing of symdiff.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from . import threads
from .arrays import Array, Shape, element_strides, fewest_axes, row_offsets
from .calls import Direct, DirectCall
from .compiler import Library
from .spec import KernelError, KernelSpec
from .workspace import Workspaces

# From this many elements in a row on, one C call per row (some 5 us of Python) is cheaper than copying the operands.
_LONG_ROW = 1024

# Elements that go through a Python function together. Its intermediate arrays then stay in the cache and in memory that
# malloc hands out again; whole arrays of 200,000 elements cost 1.6 to 15 times as much, most of it page faults.
_BLOCK = 8192


class NumpyEngine:
    """Computes with a Python function `function(*arrays) -> (value, g1, ...)`, inputs and results in kernel order.

    The function gets read-only contiguous arrays of the kernel's dtype, all of one shape with at least one axis; its
    results may be those arrays themselves, smaller arrays or numbers.
    """

    backend = "numpy"

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def point_function(self, spec: KernelSpec) -> Callable[[Sequence[float]], list[float]]:
        """Shape-(1,) arrays at one point: plain Python floats would raise on 1/0, NumPy scalars round differently."""
        dtype = np.dtype(spec.dtype)

        def point(values: Sequence[float]) -> list[float]:
            with np.errstate(all="ignore"):
                block = np.empty((len(values), 1), dtype)
                block[:, 0] = values
                return [np.asarray(result, dtype).item() for result in self._compute(block)]

        return point

    def direct_call(self, spec: KernelSpec, gradient: type | None) -> None:
        """There is none."""

    def batch_call(self, spec: KernelSpec, gradient: type | None) -> None:
        """There is none."""

    def run(self, inputs: Sequence[Array], outputs: Sequence[Array], shape: Shape) -> int:
        """Fill the outputs at every point of `shape`. Returns 0."""
        if 0 in shape:
            return 0
        flat_inputs = [_whole(array, shape or (1,)) for array in inputs]
        flat_outputs = [o.reshape(-1) if o.flags.c_contiguous else np.empty(o.size, o.dtype) for o in outputs]
        with np.errstate(all="ignore"):
            for start in range(0, flat_outputs[0].size, _BLOCK):
                block = slice(start, start + _BLOCK)
                results = self._compute([array[block] for array in flat_inputs])
                for output, result in zip(flat_outputs, results, strict=True):
                    np.copyto(output[block], result, casting="same_kind")
        for output, flat in zip(outputs, flat_outputs, strict=True):
            if not output.flags.c_contiguous:
                np.copyto(output, flat.reshape(shape))
        return 0

    def bind(self, inputs: Sequence[Array], outputs: Sequence[Array], shape: Shape) -> partial[int]:
        """`run` with its arguments."""
        return partial(self.run, inputs, outputs, shape)

    def _compute(self, operands: Any) -> tuple[Any, ...]:
        results = self._function(*operands)
        return results if isinstance(results, tuple) else (results,)


class CEngine:
    """Computes with `PREFIX_KIND_packed` and `PREFIX_KIND_arrays` of a loaded library (see `compiler.kernel_cdef`).

    Those of a long formula take a workspace too, as large as `PREFIX_KIND_packed_workspace` says. `threads`: how many
    share a large batch.
    """

    backend = "c"

    def __init__(self, library: Library, prefix: str, kind: str) -> None:
        ffi, lib, calls = library
        self._ffi = ffi
        self._library = lib  # keeps a dlopened library open
        self._packed = getattr(lib, f"{prefix}_{kind}_packed")
        self._name = f"{prefix}_{kind}_arrays"
        self._arrays = getattr(lib, self._name)
        self._pointer = ffi.typeof(self._packed).args[1]
        self._real = self._pointer.item
        self._item = ffi.sizeof(self._real)
        self._pointers = ffi.typeof(ffi.getctype(self._pointer, "[]"))
        self._strides = ffi.typeof("ptrdiff_t[]")
        self._workspaces = Workspaces(ffi, self._pointer, np.dtype(np.float64 if self._item == 8 else np.float32))
        self.direct: Direct | None = None
        self.threads, self._least = threads.default_threads(), threads.LEAST
        if len(ffi.typeof(self._packed).args) == 3:
            self._take_workspace(f"{prefix}_{kind}")
        elif calls is not None:
            name, dtype = f"{prefix}_{kind}_packed", self._workspaces.dtype
            self.direct = Direct(calls, ffi, lib, name, dtype, self._workspaces, vector=True)

    def _take_workspace(self, function: str) -> None:
        """Calls pass this thread's workspace behind their other arguments."""
        workspaces = self._workspaces
        size: int = getattr(self._library, f"{function}_packed_workspace")()
        packed, arrays = self._packed, self._arrays
        self._least = threads.LEAST_LONG
        self._packed = lambda *arguments: packed(*arguments, workspaces.of_thread(size))
        self._arrays = lambda *arguments: arrays(*arguments, workspaces.of_thread(size))

    def point_function(self, spec: KernelSpec) -> Callable[[Sequence[float]], Iterable[float]]:
        """One C call on a fresh result buffer, which iterates; cffi makes the input buffer on the C stack."""
        new, packed = self._ffi.new, self._packed
        buffer = self._buffer(len(spec.outputs))

        def point(values: Sequence[float]) -> Iterable[float]:
            results: Iterable[float] = new(buffer)
            if packed(values, results):
                raise KernelError(f"{spec.name}: the compiled function failed")
            return results

        return point

    def direct_call(self, spec: KernelSpec, gradient: type | None) -> DirectCall | None:
        """The whole call at one point of plain numbers, where C can do it; see `Direct.call`."""
        if self.direct is None:
            return None
        return self.direct.call([()] * len(spec.inputs), [()] * len(spec.outputs), gradient)

    def batch_call(self, spec: KernelSpec, gradient: type | None) -> DirectCall | None:
        """The whole call for vectors of fewer points than threads share, where C can do it; see `Direct.batch`."""
        if self.direct is None:
            return None
        function = self._ffi.addressof(self._library, self._name)
        return self.direct.batch(function, len(spec.inputs), len(spec.outputs), spec.out_name, gradient, threads.LEAST)

    def run(self, inputs: Sequence[Array], outputs: Sequence[Array], shape: Shape) -> int:
        """Fill the outputs at every point of `shape`, in one C call where the strides allow it. Returns 0."""
        if 0 in shape:
            return 0
        sizes, steps = self._walk(inputs, outputs, shape)
        if len(sizes) <= 1:
            _check(self._call(inputs, outputs, sizes, steps)())
        elif sizes[-1] >= _LONG_ROW:
            self._run_rows(inputs, outputs, sizes, steps)
        else:
            self._run_copies(inputs, outputs, shape)
        return 0

    def bind(self, inputs: Sequence[Array], outputs: Sequence[Array], shape: Shape) -> partial[int]:
        """The C function itself with its pointers, where one call does it; `run` again otherwise."""
        if 0 not in shape:
            if shape == ():
                return self._bind_point(inputs, outputs)
            sizes, steps = self._walk(inputs, outputs, shape)
            if len(sizes) <= 1:
                return self._call(inputs, outputs, sizes, steps)
        return partial(self.run, inputs, outputs, shape)

    def _walk(
        self, inputs: Sequence[Array], outputs: Sequence[Array], shape: Shape
    ) -> tuple[list[int], list[list[int]]]:
        strides = [element_strides(array, shape) for array in (*inputs, *outputs)]
        if len(shape) == 1:
            return list(shape), [list(own) for own in strides]
        return fewest_axes(shape, strides)

    def _address(self, array: Array) -> Any:
        """A pointer to the first element that keeps the array alive; from_buffer wants contiguous memory."""
        if array.ndim and not array.flags.c_contiguous:
            array = array[(0,) * array.ndim + (...,)]
        return self._ffi.from_buffer(self._pointer, array)

    def _call(
        self, inputs: Sequence[Array], outputs: Sequence[Array], sizes: list[int], steps: list[list[int]]
    ) -> partial[int]:
        """One C call over at most one axis, or a call of many threads. The arrays must outlive it: C holds addresses
        only.
        """
        count, n = len(inputs), sizes[0] if sizes else 1
        strides = [own[0] if own else 0 for own in steps]
        starts = [self._address(array) for array in (*inputs, *outputs)]
        if self.threads > 1 and n >= self._least:
            parts = threads.slices(n, self.threads)
            return partial(
                threads.run, [partial(self._slice, *part, count, starts, strides) for part in parts], self.threads
            )
        return partial(
            self._arrays,
            n,
            self._ffi.new(self._pointers, starts[:count]),
            self._ffi.new(self._strides, strides[:count]),
            self._ffi.new(self._pointers, starts[count:]),
            self._ffi.new(self._strides, strides[count:]),
        )

    def _slice(self, start: int, length: int, count: int, starts: Sequence[Any], strides: Sequence[int]) -> int:
        """The points from `start` on, of `count` inputs and the outputs behind them."""
        at = [pointer + start * stride for pointer, stride in zip(starts, strides, strict=True)]
        in_pointers, out_pointers = self._ffi.new(self._pointers, at[:count]), self._ffi.new(self._pointers, at[count:])
        in_strides, out_strides = (self._ffi.new(self._strides, part) for part in (strides[:count], strides[count:]))
        status: int = self._arrays(length, in_pointers, in_strides, out_pointers, out_strides)
        return status

    def _run_rows(
        self, inputs: Sequence[Array], outputs: Sequence[Array], sizes: list[int], steps: list[list[int]]
    ) -> None:
        count = len(inputs)
        starts = [self._address(array) for array in (*inputs, *outputs)]
        in_strides, out_strides = (
            self._ffi.new(self._strides, [own[-1] for own in part]) for part in (steps[:count], steps[count:])
        )
        for offsets in row_offsets(sizes, steps):
            rows = [start + offset for start, offset in zip(starts, offsets, strict=True)]
            in_rows, out_rows = (self._ffi.new(self._pointers, part) for part in (rows[:count], rows[count:]))
            _check(self._arrays(sizes[-1], in_rows, in_strides, out_rows, out_strides))

    def _run_copies(self, inputs: Sequence[Array], outputs: Sequence[Array], shape: Shape) -> None:
        """Everything that is neither contiguous nor one repeated number goes through a contiguous copy."""
        operands = [a if a.size == 1 else np.ascontiguousarray(np.broadcast_to(a, shape)) for a in inputs]
        targets = [a if a.flags.c_contiguous else np.empty(shape, a.dtype) for a in outputs]
        self.run(operands, targets, shape)
        for output, target in zip(outputs, targets, strict=True):
            if target is not output:
                np.copyto(output, target)

    def _bind_point(self, inputs: Sequence[Array], outputs: Sequence[Array]) -> partial[int]:
        """One point, through the one-point function as in a call: in place where the numbers lie side by side."""
        sources, targets = ([self._address(array) for array in part] for part in (inputs, outputs))
        if self._adjacent(sources) and self._adjacent(targets):
            if self.direct is not None:
                return self.direct.bound(sources[0], targets[0], len(sources) + len(targets))
            return partial(self._packed, sources[0], targets[0])
        return partial(self._gather, sources, targets)

    def _adjacent(self, pointers: Sequence[Any]) -> bool:
        addresses = [int(self._ffi.cast("uintptr_t", pointer)) for pointer in pointers]
        return addresses == [addresses[0] + i * self._item for i in range(len(addresses))]

    def _gather(self, sources: Sequence[Any], targets: Sequence[Any]) -> int:
        results = self._ffi.new(self._buffer(len(targets)))
        _check(self._packed([pointer[0] for pointer in sources], results))
        for pointer, number in zip(targets, self._ffi.unpack(results, len(targets)), strict=True):
            pointer[0] = number
        return 0

    def _buffer(self, count: int) -> Any:
        return self._ffi.typeof(self._ffi.getctype(self._real, f"[{count}]"))


def _whole(array: Array, shape: Shape) -> Array:
    """`array` broadcast to `shape`, in one contiguous row; read-only, as it may be the caller's own."""
    whole = np.ascontiguousarray(np.broadcast_to(array, shape)).reshape(-1).view()
    whole.flags.writeable = False
    return whole


def _check(status: int) -> None:
    if status:
        raise KernelError(f"the compiled function failed with status {status}")
