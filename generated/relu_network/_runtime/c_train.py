# Copied unchanged from symdiff/runtime/c_train.py; the same in every generated package. Do not edit.
"""Training by compiled C: `PREFIX_train` makes many updates in one call, without Python in between.

The call lets other threads run. One of them, or a signal handler, ends it with `CTrainRun.stop`.

The module is copied verbatim into generated packages.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .arrays import Array
from .blas import gemm_address
from .spec import KernelError
from .train_engines import Fault, Outcome, Problem
from .workspace import Workspaces

_FLOAT64 = np.dtype(np.float64)
_STOPPED, _VALUE, _SIZES = 1, 2, 6  # what the function returns
_FAULTS: dict[int, Fault] = {_VALUE: "value", 3: "gradient", 4: "state", 5: "parameter"}


@dataclass(frozen=True)
class TrainSpec:
    """What a compiled training function is called with.

    name        prefix of the C functions, and the name in messages
    arguments   inputs in the order of a call; of a traced function its arguments
    dimensions  names of the run-time sizes, in order of appearance in the shapes of the inputs
    array       whether it is a formula of arrays
    blas        compiled code has matrix products, for which SciPy is looked up
    """

    name: str
    arguments: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    array: bool = False
    blas: bool = True


class CTrainEngine:
    """Trains with `PREFIX_train` of a loaded library, which `compiler.kernel_cdef` declares for the kind `train`."""

    backend = "c"

    def __init__(self, ffi: Any, lib: Any, spec: TrainSpec) -> None:
        self.spec, self.ffi, self.library = spec, ffi, lib  # the library: a dlopened one closes when it is forgotten
        self.train = getattr(lib, f"{spec.name}_train")
        self.workspace_size = getattr(lib, f"{spec.name}_train_workspace")

    def bind(self, problem: Problem) -> "CTrainRun":
        """See `TrainEngine`."""
        return CTrainRun(self, problem)


class CTrainRun:
    """See `Run`. The problem's arrays are used where they are."""

    holds = True

    def __init__(self, engine: CTrainEngine, problem: Problem) -> None:
        ffi, spec = engine.ffi, engine.spec
        self._engine, self._problem = engine, problem
        self._double = ffi.typeof("double *")
        self._size = ffi.typeof("size_t *")
        self._stop = ffi.new("int *")
        self._done, self._place = ffi.new("size_t *"), ffi.new("size_t *")
        self._workspaces = Workspaces(ffi, self._double, _FLOAT64)
        self._numbers = 0
        self._run = ffi.new(f"{spec.name}_training *")
        axes = [-1 if problem.axes.get(name) is None else problem.axes[name] for name in spec.arguments]
        # C holds addresses alone: what they lead to is kept here.
        self._kept = [
            ffi.new("double *[]", [self._data(name) for name in spec.arguments]),
            ffi.new("int[]", axes),
            ffi.new("double[]", list(problem.settings) or [0.0]),
            self._address(problem.theta),
            self._address(problem.state) if problem.state.size else ffi.NULL,
        ]
        run = self._run
        run.data, run.axis, run.settings, run.theta, run.state = self._kept
        run.stop = self._stop
        if spec.array:
            self._bind_array()

    def _bind_array(self) -> None:
        ffi, spec, problem = self._engine.ffi, self._engine.spec, self._problem
        sizes = ffi.new("size_t[]", [problem.sizes[name] for name in spec.dimensions] or [0])
        self._kept.append(sizes)
        self._run.sizes = sizes
        self._run.dimension = -1 if problem.dimension is None else spec.dimensions.index(problem.dimension)
        self._run.gemm = ffi.cast(f"{spec.name}_gemm", gemm_address("float64") if spec.blas else 0)

    def _data(self, name: str) -> Any:
        data = self._problem.data.get(name)
        return self._engine.ffi.NULL if data is None else self._address(data)

    def _address(self, array: Array) -> Any:
        assert array.dtype == _FLOAT64 and array.flags.c_contiguous and array.flags.aligned
        return self._engine.ffi.from_buffer(self._double, array)

    def stop(self) -> None:
        """See `Run`: it is looked at before every call of the gradient, so also between the points of one update."""
        self._stop[0] = 1

    def advance(self, order: Array | None, batch: int, first: int, before: int, values: Array) -> Outcome:
        """See `Run`. Raises KernelError where sizes of a batch do not fit the formula, and for a batch that no epoch
        has; MemoryError for a batch beyond every memory.
        """
        ffi, run = self._engine.ffi, self._run
        per_epoch = -(-self._problem.samples // batch)
        if not 0 <= first < per_epoch:
            raise KernelError(f"{self._engine.spec.name}: an epoch has batches 0 to {per_epoch - 1}, and no {first}")
        self._prepare(batch)
        rows = ffi.NULL if order is None else self._rows(order)
        run.order, run.first, run.before = rows, first, before
        status = self._engine.train(run, len(values), self._address(values), self._done, self._place)
        self._stop[0] = 0
        done = int(self._done[0])
        if status == _SIZES:
            name = self._engine.spec.name
            raise KernelError(f"{name}: an index of the formula lies outside of its array for a batch of these sizes")
        if status in (0, _STOPPED):
            return Outcome(done)
        return Outcome(done, _FAULTS[status], 0 if status == _VALUE else int(self._place[0]))

    def _prepare(self, batch: int) -> None:
        """The workspace for batches of this size; the one there is serves again while it is large enough."""
        run = self._run
        run.samples, run.batch = self._problem.samples, batch
        needed = self._workspaces.checked(int(self._engine.workspace_size(run)), self._engine.spec.name)
        if needed > self._numbers:
            self._workspace = self._workspaces.new(needed)
            self._numbers = needed
            run.workspace = self._workspace

    def _rows(self, order: Array) -> Any:
        assert order.dtype == np.intp and order.flags.c_contiguous
        return self._engine.ffi.from_buffer(self._size, order)


__all__ = ["CTrainEngine", "CTrainRun", "TrainSpec"]
