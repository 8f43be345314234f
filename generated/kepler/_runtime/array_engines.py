# Copied unchanged from symdiff/runtime/array_engines.py; the same in every generated package. Do not edit.
"""The two ways a kernel of arrays computes: compiled C through cffi, and a Python function over NumPy arrays.

An engine is asked once for every combination of sizes and gives an `ArrayCall`, which is called with operands in input
order. It trusts them (`array_kernel.py` has checked them): a Python float, or a C-contiguous aligned array of the
kernel's dtype and the right shape. Outputs to be filled are C-contiguous arrays too, apart from inputs and each other.

The module is copied verbatim into generated packages, so it imports nothing of symdiff.
"""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from .arrays import Array, Shape
from .blas import gemm_address
from .calls import Direct, DirectCall, declined
from .compiler import Library
from .spec import KernelError, KernelSpec
from .workspace import Workspaces

Operand = float | Array


class ArrayCall(Protocol):
    """The computation for one combination of sizes; serves many threads."""

    def compute(self, operands: Sequence[Operand]) -> list[Any]:
        """New outputs: C-contiguous arrays that share nothing, Python floats for scalars."""

    def fill(self, operands: Sequence[Operand], outputs: Sequence[Array]) -> None:
        """The same into existing arrays."""

    def direct(self, shapes: Sequence[Shape], gradient: type | None) -> DirectCall:
        """The whole call for arguments of these shapes, as `Direct.call` makes it, or `declined`."""

    def bind(self, operands: Sequence[Array], outputs: Sequence[Array]) -> "partial[int]":
        """`fill` as a call without arguments that returns 0; not to be called by two threads at once."""


class ArrayEngine(Protocol):
    """What a kernel of arrays needs from a backend."""

    @property
    def backend(self) -> str: ...

    def prepare(self, sizes: tuple[int, ...], shapes: Sequence[Shape]) -> ArrayCall:
        """The call for sizes in the order of `KernelSpec.dimensions`, and output shapes."""


class NumpyArrayEngine:
    """Computes with `function(*arrays) -> (value, g1, ...)`, or the bare value, in kernel order.

    The function gets read-only C-contiguous arrays of the kernel's dtype and exact shapes, 0-d ones for scalars. Its
    results may be those arrays themselves, views, and whatever broadcasts to the shape of the output. A `trusted`
    function, which symdiff has generated, gets the caller's arrays as they are, as it writes to none, and its results
    are handed on: new arrays that share nothing.
    """

    backend = "numpy"

    def __init__(self, function: Callable[..., Any], spec: KernelSpec, *, trusted: bool = False) -> None:
        self._function = inspect.unwrap(function) if trusted else function  # without an np.errstate of its own
        self._dtype, self._trusted = np.dtype(spec.dtype), trusted

    def prepare(self, sizes: tuple[int, ...], shapes: Sequence[Shape]) -> "_NumpyCall":
        """See `ArrayEngine`; the function sees the sizes in the shapes of its arguments."""
        return _NumpyCall(self._function, self._dtype, shapes, self._trusted)


class _NumpyCall:
    def __init__(
        self, function: Callable[..., Any], dtype: np.dtype[Any], shapes: Sequence[Shape], trusted: bool
    ) -> None:
        self._function, self._dtype, self._shapes, self._trusted = function, dtype, shapes, trusted
        self._scalars = [place for place, shape in enumerate(shapes) if not shape]

    def compute(self, operands: Sequence[Operand]) -> list[Any]:
        outputs: list[Any] = list(self._results(operands))
        if not self._trusted:
            outputs = self._new(outputs, operands)
        for place in self._scalars:
            outputs[place] = outputs[place].item()
        return outputs

    def _new(self, results: Sequence[Any], operands: Sequence[Operand]) -> list[Array]:
        """The results as arrays that own their memory, which is that of no input and of no other result."""
        outputs: list[Array] = []
        for result, shape in zip(results, self._shapes, strict=True):
            if not self._is_own(result, shape) or any(result is other for other in (*operands, *outputs)):
                fresh = np.empty(shape, self._dtype)
                np.copyto(fresh, result, casting="same_kind")
                result = fresh
            outputs.append(result)
        return outputs

    def _is_own(self, result: Any, shape: Shape) -> bool:
        if type(result) is not np.ndarray or result.dtype != self._dtype or result.shape != shape:
            return False
        flags = result.flags
        return flags.owndata and flags.c_contiguous and flags.writeable

    def fill(self, operands: Sequence[Operand], outputs: Sequence[Array]) -> None:
        for output, result in zip(outputs, self._results(operands), strict=True):
            np.copyto(output, result, casting="same_kind")

    def direct(self, shapes: Sequence[Shape], gradient: type | None) -> DirectCall:
        return declined

    def bind(self, operands: Sequence[Array], outputs: Sequence[Array]) -> "partial[int]":
        return partial(self._refill, operands, outputs)

    def _refill(self, operands: Sequence[Operand], outputs: Sequence[Array]) -> int:
        self.fill(operands, outputs)
        return 0

    @np.errstate(all="ignore")  # as a decorator it takes half of the time of a with statement
    def _results(self, operands: Sequence[Operand]) -> tuple[Any, ...]:
        if self._trusted:
            results = self._function(*operands)
        else:
            arrays = [np.array(o, self._dtype) if isinstance(o, float) else o.view() for o in operands]
            for array in arrays:
                array.flags.writeable = False
            results = self._function(*arrays)
        return results if isinstance(results, tuple) else (results,)


class CArrayEngine:
    """Computes with `PREFIX_KIND_packed` and `PREFIX_KIND_packed_workspace` of a loaded library.

    `compiler.kernel_cdef(..., array=True)` declares them. Matrix products go through SciPy's BLAS where SciPy is
    installed, which is looked up with the first call.
    """

    backend = "c"

    def __init__(self, library: Library, prefix: str, spec: KernelSpec) -> None:
        ffi, lib, module = library
        self.spec, self.dtype, self.ffi = spec, np.dtype(spec.dtype), ffi
        name = f"{prefix}_{spec.kind}_packed"
        self.packed = getattr(lib, name)
        self._library = lib  # keeps a dlopened library open
        self._workspace = getattr(lib, f"{prefix}_{spec.kind}_packed_workspace")
        arguments = ffi.typeof(self.packed).args
        self.pointer, self._gemm = arguments[3], arguments[4]
        self.null = ffi.NULL
        self.workspaces = Workspaces(ffi, self.pointer, self.dtype)
        self.calls: Direct | None = None
        if module is not None:
            self.calls = Direct(module, ffi, lib, name, self.dtype, self.workspaces, vector=False)

    def prepare(self, sizes: tuple[int, ...], shapes: Sequence[Shape]) -> "_CCall":
        """See `ArrayEngine`. Raises MemoryError for sizes whose workspace is beyond every memory."""
        ffi = self.ffi
        packed_sizes = ffi.new("size_t[]", sizes) if sizes else ffi.NULL
        numbers = self.workspaces.checked(int(self._workspace(packed_sizes)), self.spec.name)
        gemm = ffi.cast(self._gemm, gemm_address(self.spec.dtype) if self.spec.blas else 0)
        return _CCall(self, packed_sizes, numbers, gemm, shapes)


class _CCall:
    def __init__(self, engine: CArrayEngine, sizes: Any, numbers: int, gemm: Any, shapes: Sequence[Shape]) -> None:
        self._engine, self._sizes, self._numbers, self._gemm, self._shapes = engine, sizes, numbers, gemm, shapes
        self._scalars = [place for place, shape in enumerate(shapes) if not shape]
        # Every attribute looked up in a call costs as much as the arithmetic of a small formula.
        self._tools = (engine.ffi.new, engine.ffi.from_buffer, engine.pointer)

    def direct(self, shapes: Sequence[Shape], gradient: type | None) -> DirectCall:
        made, held = self._engine.calls, {"sizes": self._sizes, "gemm": self._gemm}
        return declined if made is None else made.call(shapes, self._shapes, gradient, workspace=self._numbers, **held)

    def compute(self, operands: Sequence[Operand]) -> list[Any]:
        new, from_buffer, pointer = self._tools
        empty, dtype = np.empty, self._engine.dtype
        outputs: list[Any] = []
        targets: list[Any] = []
        for shape in self._shapes:
            if shape:
                output = empty(shape, dtype)
                targets.append(from_buffer(pointer, output))
            else:
                output = new(pointer)
                targets.append(output)
            outputs.append(output)
        self._run(operands, targets)
        for place in self._scalars:
            outputs[place] = outputs[place][0]
        return outputs

    def fill(self, operands: Sequence[Operand], outputs: Sequence[Array]) -> None:
        _, from_buffer, pointer = self._tools
        self._run(operands, [from_buffer(pointer, output) for output in outputs])

    def _run(self, operands: Sequence[Operand], targets: list[Any]) -> None:
        new, from_buffer, pointer = self._tools
        engine = self._engine
        sources = [new(pointer, o) if type(o) is float else from_buffer(pointer, o) for o in operands]
        workspace = engine.workspaces.of_thread(self._numbers) if self._numbers else engine.null
        # cffi makes the two arrays of pointers on the C stack.
        if engine.packed(self._sizes, sources, targets, workspace, self._gemm):
            raise KernelError(f"{engine.spec.name}: the compiled function failed")

    def bind(self, operands: Sequence[Array], outputs: Sequence[Array]) -> "partial[int]":
        """The C function itself with its pointers. The arrays must outlive it: C holds addresses only."""
        _, from_buffer, pointer = self._tools
        ffi, numbers = self._engine.ffi, self._numbers
        pointers = ffi.typeof(ffi.getctype(pointer, "[]"))
        sources, targets = ([from_buffer(pointer, a) for a in arrays] for arrays in (operands, outputs))
        workspace = self._engine.workspaces.new(numbers) if numbers else self._engine.null
        given, results = ffi.new(pointers, sources), ffi.new(pointers, targets)
        made = self._engine.calls
        if made is None:
            return partial(self._engine.packed, self._sizes, given, results, workspace, self._gemm)
        total = numbers + sum(array.size for array in (*operands, *outputs))
        return made.bound(given, results, total, sizes=self._sizes, gemm=self._gemm, workspace=workspace)
