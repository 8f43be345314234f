"""Kernels of traced functions: formulas of scalars whose arguments are arrays of those scalars.

An argument has the shape that the function was traced with, and may have leading axes in front of it: the kernel then
computes the function at every point of them, as a generalised ufunc does. Engines see one vector of numbers a point, in
which the arguments lie one after the other, each in C order.

The module is copied verbatim into generated packages that need it, so it imports nothing of symdiff.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from .array_engines import ArrayCall, Operand
from .array_kernel import ArrayKernel, Plan, parts_of
from .arrays import Array, Shape, rounded
from .calls import DirectCall, declined, entered
from .engines import CEngine
from .sizes import shape_text
from .spec import KernelError, KernelShapeError, KernelSpec

# Numbers of all inputs together that NumPy works on at once: 8192 points of a formula of few inputs, fewer of many.
_BLOCK_POINTS, _BLOCK_NUMBERS = 8192, 1 << 20


class GroupKernel(ArrayKernel):
    """A compiled or NumPy function of arrays that may be stacked: `value, grads = kernel(W, x=x)`.

    Arguments are numbers or arrays of the declared shapes, in any memory layout. With leading axes in front of these
    shapes, which broadcast as in NumPy, the function is computed at every point of the leading axes: the value has
    their shape, each gradient their shape followed by that of its variable, and nothing is summed. Without leading axes
    the value is a Python float. `grads` is a named tuple in `wrt` order, whose fields are the argument names; a name
    that Python's named tuples refuse is changed as in `Kernel`. A value kernel returns the bare value.

    `out=(value, g1, ...)` (one array for a value kernel) writes into existing arrays of the exact dtype and shape and
    returns them; they may have any strides and overlap inputs, not each other.

    `flat`, `pack` and `unpack` are about one point, without leading axes. Errors name the argument: TypeError for wrong
    names, counts and dtypes, `shape_error` for shapes and unusable outputs. An error leaves `out` untouched. Domain
    errors give nan or inf; nothing warns.
    """

    def __init__(self, spec: KernelSpec, engine: Any, *, shape_error: type[Exception] = KernelShapeError) -> None:
        super().__init__(spec, engine, shape_error=shape_error)

    def _new_plan(self, shapes: tuple[Shape, ...]) -> Plan:
        leading = [
            self._leading(name, shape, self.spec.shapes.get(name, ()))
            for name, shape in zip(self.inputs, shapes, strict=True)
        ]
        try:
            batch = np.broadcast_shapes(*leading)
        except ValueError:
            shown = ", ".join(f"{name!r} {shape}" for name, shape in zip(self.inputs, leading, strict=True) if shape)
            raise self._shape_error(f"leading axes do not broadcast together: {shown}") from None
        outputs = tuple(batch + self._declared(name) for name in (None, *(self.wrt if self._has_gradient else ())))
        return self._planned(shapes, outputs, self._engine.prepare_group(batch, leading, outputs))

    def _declared(self, name: str | None) -> Shape:
        shape: Any = () if name is None else self.spec.shapes.get(name, ())
        return tuple(shape)

    def _leading(self, name: str, shape: Shape, declared: tuple[Any, ...]) -> Shape:
        """The axes in front of the declared ones."""
        count = len(shape) - len(declared)
        if count < 0 or shape[count:] != declared:
            wanted = shape_text(declared)
            raise self._shape_error(f"{name!r} has shape {shape}, expected {wanted}, or that behind leading axes")
        return shape[:count]


def group_kernel(
    spec: KernelSpec,
    engine: "CEngine | Callable[..., Any]",
    shape_error: type[Exception] = KernelShapeError,
    calls: Any = None,
) -> GroupKernel:
    """The kernel over compiled code for scalars, or over a Python function; see `CGroupEngine`, `NumpyGroupEngine`."""
    made = CGroupEngine(engine, spec) if isinstance(engine, CEngine) else NumpyGroupEngine(engine, spec)
    kernel: GroupKernel = entered(GroupKernel, calls)(spec, made, shape_error=shape_error)
    return kernel


def _sizes(spec: KernelSpec) -> list[int]:
    """Numbers in each argument."""
    return [prod(int(size) for size in spec.shapes.get(name, ())) for name in spec.inputs]


# -- C -----------------------------------------------------------------------------------------------------------------


class CGroupEngine:
    """Computes with `PREFIX_KIND_packed` (a point) and `PREFIX_KIND_arrays` (many) of code for scalars."""

    backend = "c"

    def __init__(self, engine: CEngine, spec: KernelSpec) -> None:
        self.engine, self.spec, self.dtype = engine, spec, np.dtype(spec.dtype)
        self.sizes = _sizes(spec)
        stops = np.cumsum(self.sizes).tolist()
        self.parts = [slice(stop - size, stop) for stop, size in zip(stops, self.sizes, strict=True)]
        self.total = stops[-1]

    def prepare_group(self, batch: Shape, leading: Sequence[Shape], shapes: Sequence[Shape]) -> ArrayCall:
        """The call for these leading axes of the points and of each argument, and output shapes."""
        return _CBatch(self, batch, leading, shapes) if batch else _CPoint(self, shapes)


class _CPoint:
    """One point: the arguments are put into one vector, and the results are taken out of another."""

    def __init__(self, engine: CGroupEngine, shapes: Sequence[Shape]) -> None:
        self._engine, self._shapes = engine, shapes
        self._parts, self._count = parts_of(shapes)
        ffi = engine.engine._ffi
        self._tools = engine.engine._packed, ffi.from_buffer, engine.engine._pointer

    def compute(self, operands: Sequence[Operand]) -> list[Any]:
        result = np.empty(self._count, self._engine.dtype)
        self._run(operands, np.empty(self._engine.total, self._engine.dtype), result)
        return [result[p].reshape(s).copy() if s else result.item(p.start) for p, s in self._parts]

    def fill(self, operands: Sequence[Operand], outputs: Sequence[Array]) -> None:
        result = np.empty(self._count, self._engine.dtype)
        self._run(operands, np.empty(self._engine.total, self._engine.dtype), result)
        for output, (part, shape) in zip(outputs, self._parts, strict=True):
            output[...] = result[part].reshape(shape)

    def direct(self, shapes: Sequence[Shape], gradient: type | None) -> DirectCall:
        direct = self._engine.engine.direct
        return declined if direct is None else direct.call(shapes, self._shapes, gradient)

    def bind(self, operands: Sequence[Array], outputs: Sequence[Array]) -> "partial[int]":
        vector, result = (np.empty(n, self._engine.dtype) for n in (self._engine.total, self._count))
        return partial(self._refill, operands, vector, result, outputs)

    def _refill(self, operands: Sequence[Array], vector: Array, result: Array, outputs: Sequence[Array]) -> int:
        self._run(operands, vector, result)
        for output, (part, shape) in zip(outputs, self._parts, strict=True):
            output[...] = result[part].reshape(shape)
        return 0

    def _run(self, operands: Sequence[Operand], vector: Array, result: Array) -> None:
        packed, from_buffer, pointer = self._tools
        for operand, part in zip(operands, self._engine.parts, strict=True):
            vector[part] = rounded(operand, vector.dtype) if isinstance(operand, float) else operand.reshape(-1)
        if packed(from_buffer(pointer, vector), from_buffer(pointer, result)):
            raise KernelError(f"{self._engine.spec.name}: the compiled function failed")


class _CBatch:
    """Many points in one C call: every number of an argument is an array of its own, in steps of the argument."""

    def __init__(self, engine: CGroupEngine, batch: Shape, leading: Sequence[Shape], shapes: Sequence[Shape]) -> None:
        self._engine, self._batch, self._leading, self._shapes = engine, batch, leading, shapes
        self._points = prod(batch)
        repeated = [prod(own) == 1 for own in leading]
        steps = [np.full(n, 0 if once else n, np.intp) for n, once in zip(engine.sizes, repeated, strict=True)]
        self._in_steps = np.concatenate(steps)
        self._widths = [prod(shape[len(batch) :]) for shape in shapes]
        self._out_steps = np.concatenate([np.full(width, width, np.intp) for width in self._widths])
        self._whole = [once or own == batch for own, once in zip(leading, repeated, strict=True)]

    def compute(self, operands: Sequence[Operand]) -> list[Any]:
        outputs = [np.empty(shape, self._engine.dtype) for shape in self._shapes]
        self.fill(operands, outputs)
        return outputs

    def fill(self, operands: Sequence[Operand], outputs: Sequence[Array]) -> None:
        dtype = self._engine.dtype
        arrays = [rounded(o, dtype) if isinstance(o, float) else o for o in operands]
        # what repeats along some of the leading axes is written out
        whole = [
            a if fits else self._written_out(a, own)
            for a, own, fits in zip(arrays, self._leading, self._whole, strict=True)
        ]
        self._call(whole, outputs)()

    def _written_out(self, array: Array, leading: Shape) -> Array:
        return np.ascontiguousarray(np.broadcast_to(array, self._batch + array.shape[len(leading) :]))

    def direct(self, shapes: Sequence[Shape], gradient: type | None) -> DirectCall:
        return declined

    def bind(self, operands: Sequence[Array], outputs: Sequence[Array]) -> "partial[int]":
        if all(self._whole):
            return self._call(operands, outputs)
        return partial(self._refill, operands, outputs)

    def _refill(self, operands: Sequence[Array], outputs: Sequence[Array]) -> int:
        self.fill(operands, outputs)
        return 0

    def _call(self, operands: Sequence[Array], outputs: Sequence[Array]) -> "partial[int]":
        engine = self._engine.engine
        ffi, item = engine._ffi, self._engine.dtype.itemsize

        def addresses(arrays: Sequence[Array], widths: Sequence[int]) -> Array:
            starts = (
                np.uintp(array.ctypes.data) + np.arange(width, dtype=np.uintp) * np.uintp(item)
                for array, width in zip(arrays, widths, strict=True)
            )
            return np.concatenate(list(starts))

        kept = (operands, outputs, addresses(operands, self._engine.sizes), addresses(outputs, self._widths))
        pointers, steps = ffi.typeof(ffi.getctype(engine._pointer, "[]")), ffi.typeof("ptrdiff_t[]")
        return partial(
            self._checked,
            kept,
            engine._arrays,
            self._points,
            ffi.from_buffer(pointers, kept[2]),
            ffi.from_buffer(steps, self._in_steps),
            ffi.from_buffer(pointers, kept[3]),
            ffi.from_buffer(steps, self._out_steps),
        )

    def _checked(self, kept: Any, arrays: Callable[..., int], *arguments: Any) -> int:
        """`kept` is the memory that C has bare addresses of."""
        if arrays(*arguments):
            raise KernelError(f"{self._engine.spec.name}: the compiled function failed")
        return 0


# -- NumPy -------------------------------------------------------------------------------------------------------------


class NumpyGroupEngine:
    """Computes with `function(*arrays) -> (value, g1, ...)`, or the bare value, in kernel order.

    The function gets an array of shape (points, *shape) for every argument; each single number of the argument lies
    contiguously over the points, so that its bits do not depend on how the caller's arrays lie.
    """

    backend = "numpy"

    def __init__(self, function: Callable[..., Any], spec: KernelSpec) -> None:
        self.function, self.spec, self.dtype = function, spec, np.dtype(spec.dtype)
        self.shapes: list[Any] = [spec.shapes.get(name, ()) for name in spec.inputs]
        self.sizes = _sizes(spec)
        self.block = max(1, min(_BLOCK_POINTS, _BLOCK_NUMBERS // sum(self.sizes)))

    def prepare_group(self, batch: Shape, leading: Sequence[Shape], shapes: Sequence[Shape]) -> ArrayCall:
        """See `CGroupEngine`."""
        return _NumpyBatch(self, batch, shapes)


class _NumpyBatch:
    def __init__(self, engine: NumpyGroupEngine, batch: Shape, shapes: Sequence[Shape]) -> None:
        self._engine, self._batch, self._shapes = engine, batch, shapes

    def compute(self, operands: Sequence[Operand]) -> list[Any]:
        outputs = [np.empty(shape, self._engine.dtype) for shape in self._shapes]
        self.fill(operands, outputs)
        return [output if shape else output.item() for output, shape in zip(outputs, self._shapes, strict=True)]

    def fill(self, operands: Sequence[Operand], outputs: Sequence[Array]) -> None:
        engine, points = self._engine, prod(self._batch)
        rows = [
            np.broadcast_to(operand, self._batch + shape).reshape(points, size)
            for operand, shape, size in zip(operands, engine.shapes, engine.sizes, strict=True)
        ]
        targets = [output.reshape(points, *output.shape[len(self._batch) :]) for output in outputs]
        for start in range(0, points, engine.block):
            block = slice(start, min(start + engine.block, points))
            with np.errstate(all="ignore"):
                results = engine.function(*map(self._columns, [row[block] for row in rows], engine.shapes))
            for target, result in zip(targets, results if isinstance(results, tuple) else (results,), strict=True):
                np.copyto(target[block], result, casting="same_kind")

    def _columns(self, rows: Array, shape: Shape) -> Array:
        """Points x numbers with each number contiguous over the points, read-only."""
        columns = np.empty(rows.shape[::-1], self._engine.dtype)
        columns[...] = rows.T
        view = columns.T.reshape(len(rows), *shape)
        view.flags.writeable = False
        return view

    def direct(self, shapes: Sequence[Shape], gradient: type | None) -> DirectCall:
        return declined

    def bind(self, operands: Sequence[Array], outputs: Sequence[Array]) -> "partial[int]":
        return partial(self._refill, operands, outputs)

    def _refill(self, operands: Sequence[Array], outputs: Sequence[Array]) -> int:
        self.fill(operands, outputs)
        return 0


__all__ = ["CGroupEngine", "GroupKernel", "NumpyGroupEngine", "group_kernel"]
