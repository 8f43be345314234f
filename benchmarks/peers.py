"""The contestants. Each gives value and gradient together, in float64, on one thread, in its own fastest form.

A contestant is prepared for one problem, then asked for up to three kinds of task:
`batch(points)`  all columns of an array (inputs, N), into memory held between calls where the tool allows it;
`call(point)`    one point, Python numbers in, results out, as a user would call it;
`held(point)`    one point, in and out through memory that the tool bound once (None where it has no such way).
Modules are imported when a contestant is prepared, so that a peer that is not installed costs nothing.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.formulas import Problem

FUNCTIONS = ("sin", "cos", "exp", "log", "sqrt", "erf")
"""The functions that occur in the formulas, under the names that CasADi and heyoka give them too."""


@dataclass(frozen=True)
class Task:
    """`run()` does the work; `read()` does it again and gives the results, a row for the value and for each partial."""

    run: Callable[[], Any]
    read: Callable[[], np.ndarray]


def _of_results(run: Callable[[], Any]) -> Task:
    """A task whose run returns a flat sequence of results, scalars or arrays of one shape."""
    return Task(run, lambda: np.stack(np.broadcast_arrays(*map(np.asarray, run()))))


def _of_memory(run: Callable[[], Any], memory: np.ndarray) -> Task:
    """A task whose run fills `memory`."""

    def read() -> np.ndarray:
        memory.fill(np.nan)
        run()
        return memory.copy()

    return Task(run, read)


def _of_pairs(run: Callable[[], tuple[Any, Sequence[Any]]]) -> Task:
    """A task whose run returns (value, partials)."""

    def read() -> np.ndarray:
        value, partials = run()
        return np.stack([np.asarray(value), *map(np.asarray, partials)])

    return Task(run, read)


class Contestant:
    """Base of all; `name` stands in the table, `needs` are the modules it imports."""

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()

    def available(self, problem: Problem) -> str:
        """Empty if it can run, else what is missing."""
        return ", ".join(module for module in self.needs if importlib.util.find_spec(module) is None)

    def prepare(self, problem: Problem) -> None:
        """Everything that is done once for a formula: differentiation, compilation."""
        raise NotImplementedError(type(self).__name__)

    def batch(self, points: np.ndarray) -> Task:
        """All points in one go."""
        raise NotImplementedError(type(self).__name__)

    def call(self, point: Sequence[float]) -> Task | None:
        """One point, as a user would call it."""
        return None

    def held(self, point: Sequence[float]) -> Task | None:
        """One point through memory bound once."""
        return None


class Symdiff(Contestant):
    """The C kernel; the batch and the held point through `raw`."""

    name, title, backend = "symdiff", "symdiff, C kernel", "c"

    def prepare(self, problem: Problem) -> None:
        import symdiff

        self.kernel = symdiff.formula(problem.case.text).gradient().compile(backend=self.backend)
        self.rows = 1 + len(problem.case.inputs)

    def batch(self, points: np.ndarray) -> Task:
        out = np.empty((self.rows, points.shape[1]))
        return _of_memory(partial(self.kernel, *points, out=tuple(out)), out)

    def call(self, point: Sequence[float]) -> Task:
        return _of_pairs(partial(self.kernel, *point))

    def held(self, point: Sequence[float]) -> Task:
        theta, out = np.array(point), np.empty(self.rows)
        views = [theta[i, ...] for i in range(len(theta))]
        return _of_memory(self.kernel.raw(*views, out=tuple(out[i, ...] for i in range(self.rows))), out)


class SymdiffNumpy(Symdiff):
    """The same tape as NumPy code."""

    name, title, backend = "numpy", "symdiff, NumPy code", "numpy"


class Lambdify(Contestant):
    """SymPy's own code, with its common subexpressions: NumPy for the batch, `math` for one point."""

    name, title = "lambdify", "SymPy lambdify(cse=True)"

    def available(self, problem: Problem) -> str:
        import sympy

        needs_scipy = problem.value.has(sympy.erf) and importlib.util.find_spec("scipy") is None
        return "scipy" if needs_scipy else ""

    def prepare(self, problem: Problem) -> None:
        import sympy

        modules = ["scipy", "numpy"] if importlib.util.find_spec("scipy") else ["numpy"]
        self.on_arrays = sympy.lambdify(problem.symbols, problem.value_and_gradient, modules=modules, cse=True)
        self.on_numbers = sympy.lambdify(problem.symbols, problem.value_and_gradient, modules="math", cse=True)

    def batch(self, points: np.ndarray) -> Task:
        return _of_results(partial(self.on_arrays, *points))

    def call(self, point: Sequence[float]) -> Task:
        return _of_results(partial(self.on_numbers, *point))


class Jax(Contestant):
    """jit(vmap(value_and_grad)) of SymPy's value; inputs on the device, every run waits for its results."""

    name, title, needs = "jax", "JAX jit(vmap(value_and_grad))", ("jax",)

    def prepare(self, problem: Problem) -> None:
        import jax
        import sympy

        jax.config.update("jax_enable_x64", True)
        special = {"erf": jax.scipy.special.erf}
        value = sympy.lambdify(problem.symbols, problem.value, modules=[special, "jax"], cse=True)
        both = jax.value_and_grad(value, argnums=tuple(range(len(problem.symbols))))
        self.jax, self.one, self.many = jax, jax.jit(both), jax.jit(jax.vmap(both))

    def _task(self, function: Any, arguments: Sequence[Any]) -> Task:
        wait = self.jax.block_until_ready
        return _of_pairs(lambda: wait(function(*arguments)))

    def batch(self, points: np.ndarray) -> Task:
        return self._task(self.many, [self.jax.device_put(row) for row in points])

    def call(self, point: Sequence[float]) -> Task:
        return self._task(self.one, point)


class Casadi(Contestant):
    """An SX function with CasADi's gradient, its C compiled by gcc; buffers bound once, the batch through `map`."""

    name, title, needs = "casadi", "CasADi SX, compiled C", ("casadi",)

    def available(self, problem: Problem) -> str:
        return super().available(problem) or ("" if shutil.which("gcc") else "gcc")

    def prepare(self, problem: Problem) -> None:
        import casadi
        import sympy

        functions = {name: getattr(casadi, name) for name in FUNCTIONS}
        x = casadi.SX.sym("x", len(problem.symbols))
        value = sympy.lambdify(problem.symbols, problem.value, modules=[functions], cse=True)(*casadi.vertsplit(x))
        both = casadi.vertcat(value, casadi.gradient(value, x))
        options = {"flags": ["-O3", "-march=native"], "compiler": "gcc"}
        with scratch_folder():
            jit = {"jit": True, "compiler": "shell", "jit_options": options}
            self.function = casadi.Function("both", [x], [both], jit)
        self.bound: list[Any] = []  # keeps alive what CasADi has bare pointers to
        self.rows = 1 + len(problem.symbols)

    def _through_buffers(self, function: Any, given: np.ndarray, out: np.ndarray) -> Callable[[], Any]:
        """CasADi's own copy-free call: columns in memory one after the other."""
        buffer, trigger = function.buffer()
        buffer.set_arg(0, memoryview(given.reshape(-1)))
        buffer.set_res(0, memoryview(out.reshape(-1)))
        self.bound.append((buffer, given, out))
        return trigger

    def batch(self, points: np.ndarray) -> Task:
        columns, out = np.ascontiguousarray(points.T), np.empty((points.shape[1], self.rows))
        run = self._through_buffers(self.function.map(points.shape[1], "serial"), columns, out)
        task = _of_memory(run, out)
        return Task(run, lambda: task.read().T)

    def call(self, point: Sequence[float]) -> Task:
        function, given = self.function, list(point)
        return Task(partial(function, given), lambda: np.array(function(given)).ravel())

    def held(self, point: Sequence[float]) -> Task:
        out = np.empty(self.rows)
        return _of_memory(self._through_buffers(self.function, np.array(point), out), out)


class Heyoka(Contestant):
    """A compiled function (LLVM, batches of SIMD width) of value and gradient by heyoka's diff_tensors."""

    name, title, needs = "heyoka", "heyoka cfunc", ("heyoka",)

    def prepare(self, problem: Problem) -> None:
        import heyoka
        import sympy

        # Not heyoka.from_sympy: SymPy's sqrt and division are powers, which cost heyoka half as much again.
        functions = {name: getattr(heyoka, name) for name in FUNCTIONS}
        variables = [heyoka.expression(name) for name in problem.case.inputs]
        value = sympy.lambdify(problem.symbols, problem.value, modules=[functions], cse=True)(*variables)
        gradient = heyoka.diff_tensors([value], diff_args=variables, diff_order=1).gradient
        self.function = heyoka.cfunc([value, *gradient], vars=variables)
        self.rows = 1 + len(variables)

    def batch(self, points: np.ndarray) -> Task:
        out = np.empty((self.rows, points.shape[1]))
        return _of_memory(partial(self.function, points, outputs=out), out)

    def call(self, point: Sequence[float]) -> Task:
        return _of_results(partial(self.function, list(point)))

    def held(self, point: Sequence[float]) -> Task:
        out = np.empty(self.rows)
        return _of_memory(partial(self.function, np.array(point), outputs=out), out)


class Numba(Contestant):
    """SymPy's `math` code under njit, NumPy's error model (no tests for division by zero), in a loop under njit."""

    name, title, needs = "numba", "numba njit of lambdify(cse=True)", ("numba",)

    def prepare(self, problem: Problem) -> None:
        import numba
        import sympy

        compile_it = numba.njit(error_model="numpy")
        point = compile_it(sympy.lambdify(problem.symbols, problem.value_and_gradient, modules="math", cse=True))
        self.rows = 1 + len(problem.symbols)
        given = ", ".join(f"points[{i}, k]" for i in range(self.rows - 1))
        targets = ", ".join(f"out[{i}, k]" for i in range(self.rows))
        lines = ["def loop(points, out):", " for k in range(points.shape[1]):", f"  {targets} = point({given})"]
        namespace: dict[str, Any] = {"point": point}
        exec("\n".join(lines), namespace)  # numba cannot unpack a row of variable length
        self.point, self.loop = point, compile_it(namespace["loop"])

    def batch(self, points: np.ndarray) -> Task:
        out = np.empty((self.rows, points.shape[1]))
        return _of_memory(partial(self.loop, points, out), out)

    def call(self, point: Sequence[float]) -> Task:
        return _of_results(partial(self.point, *point))

    def held(self, point: Sequence[float]) -> Task:
        given, out = np.array(point).reshape(-1, 1), np.empty((self.rows, 1))
        task = _of_memory(partial(self.loop, given, out), out)
        return Task(task.run, lambda: task.read()[:, 0])


class Limit(Contestant):
    """Hand-written C, from a runner outside this repository that offers `build(case, flags, variant)`."""

    name, title = "limit", "hand-written C"
    # The runner's letter for a case, its variant, and its order of inputs where that is another one.
    known: ClassVar[dict[str, tuple[str, int, tuple[int, ...]]]] = {
        "graph_b": ("a", 1, (0, 2, 1, 3)),
        "rosenbrock10": ("b", 0, tuple(range(10))),
        "black_scholes": ("c", 0, tuple(range(5))),
        "logsumexp8": ("d", 0, tuple(range(3))),
        "arm7": ("e", 1, tuple(range(7))),
    }

    def __init__(self, runner: Path) -> None:
        self.runner = runner.resolve()

    def prepare(self, problem: Problem) -> None:
        letter, variant, self.order = self.known[problem.case.name]
        with scratch_folder() as folder, _importing_from(self.runner.parent):
            os.environ["BENCH_SCRATCH"] = str(folder)
            self.module = importlib.import_module(self.runner.stem).build(letter, "strict", variant)

    def _fill(self, function: Callable[..., Any], points: np.ndarray, out: np.ndarray, *size: int) -> Task:
        """A call with pointers made once; `points` and `out` are held by the task."""
        given, ffi = np.ascontiguousarray(points[list(self.order)]), self.module.ffi
        pointers = [ffi.from_buffer("double[]", given), ffi.from_buffer("double[]", out, require_writable=True)]
        inverse = [0, *(1 + self.order.index(i) for i in range(len(self.order)))]
        task = _of_memory(partial(function, *size, *pointers), out)
        return Task(task.run, lambda: task.read()[inverse])

    def batch(self, points: np.ndarray) -> Task:
        out = np.empty((1 + len(points), points.shape[1]))
        return self._fill(self.module.lib.batch1, points, out, points.shape[1])

    def held(self, point: Sequence[float]) -> Task:
        return self._fill(self.module.lib.one, np.array(point), np.empty(1 + len(point)))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """The working folder is a temporary one meanwhile; it holds loaded libraries, so it stays until Python ends."""
    before, folder = Path.cwd(), Path(tempfile.mkdtemp(prefix="symdiff-benchmarks-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.chdir(folder)
    try:
        yield folder
    finally:
        os.chdir(before)


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


PEERS: tuple[type[Contestant], ...] = (Symdiff, SymdiffNumpy, Lambdify, Jax, Casadi, Heyoka, Numba)
