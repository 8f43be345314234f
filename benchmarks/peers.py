"""The contestants of the run on numbers. Each gives value and gradient together, in float64, on one thread, in its own
fastest form.

Modules are imported when a contestant is prepared, so that a peer that is not installed costs nothing.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.by_hand import BY_HAND
from benchmarks.contestant import (
    FUNCTIONS,
    Contestant,
    Task,
    of_memory,
    of_pairs,
    of_results,
    scratch_folder,
    shared_memory,
)
from benchmarks.formulas import Problem
from benchmarks.frameworks import Jax, Pytensor, Torch, TorchCompiled


class Symdiff(Contestant):
    """The C kernel; the batch and the held point through `raw`."""

    name, title, backend = "symdiff", "symdiff, C kernel", "c"

    def prepare(self, problem: Problem) -> None:
        import symdiff

        self.kernel = symdiff.formula(problem.case.text).gradient().compile(backend=self.backend)
        self.rows = 1 + len(problem.case.inputs)

    def batch(self, points: np.ndarray) -> Task:
        out = shared_memory(self.rows, points.shape[1])
        return of_memory(partial(self.kernel, *points, out=tuple(out)), out)

    def call(self, point: Sequence[float]) -> Task:
        return of_pairs(partial(self.kernel, *point))

    def held(self, point: Sequence[float]) -> Task:
        theta, out = np.array(point), np.empty(self.rows)
        views = [theta[i, ...] for i in range(len(theta))]
        return of_memory(self.kernel.raw(*views, out=tuple(out[i, ...] for i in range(self.rows))), out)


class SymdiffNumpy(Symdiff):
    """The same tape as NumPy code."""

    name, title, backend = "numpy", "symdiff, NumPy code", "numpy"


class ByHand(Contestant):
    """NumPy as a careful person writes it: `benchmarks.by_hand`."""

    name, title = "hand", "NumPy by hand, blocks in the cache, memory held"

    def available(self, problem: Problem) -> str:
        needs_scipy = "erf(" in problem.case.text and importlib.util.find_spec("scipy") is None
        return "scipy" if needs_scipy else ""

    def prepare(self, problem: Problem) -> None:
        self.function = BY_HAND[problem.case.name]()

    def batch(self, points: np.ndarray) -> Task:
        out = shared_memory(1 + len(points), points.shape[1])
        return of_memory(partial(self.function, points, out), out)


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
        return of_results(partial(self.on_arrays, *points))

    def call(self, point: Sequence[float]) -> Task:
        return of_results(partial(self.on_numbers, *point))


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
        task = of_memory(run, out)
        return Task(run, lambda: task.read().T)

    def call(self, point: Sequence[float]) -> Task:
        function, given = self.function, list(point)
        return Task(partial(function, given), lambda: np.array(function(given)).ravel())

    def held(self, point: Sequence[float]) -> Task:
        out = np.empty(self.rows)
        return of_memory(self._through_buffers(self.function, np.array(point), out), out)


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
        out = shared_memory(self.rows, points.shape[1])
        return of_memory(partial(self.function, points, outputs=out), out)

    def call(self, point: Sequence[float]) -> Task:
        return of_results(partial(self.function, list(point)))

    def held(self, point: Sequence[float]) -> Task:
        out = np.empty(self.rows)
        return of_memory(partial(self.function, np.array(point), outputs=out), out)


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
        out = shared_memory(self.rows, points.shape[1])
        return of_memory(partial(self.loop, points, out), out)

    def call(self, point: Sequence[float]) -> Task:
        return of_results(partial(self.point, *point))

    def held(self, point: Sequence[float]) -> Task:
        given, out = np.array(point).reshape(-1, 1), np.empty((self.rows, 1))
        task = of_memory(partial(self.loop, given, out), out)
        return Task(task.run, lambda: task.read()[:, 0])


class Symengine(Contestant):
    """symengine's own derivatives, compiled by its LLVM backend with common subexpressions; points by rows."""

    name, title, needs = "symengine", "symengine Lambdify(llvm, cse)", ("symengine",)

    def prepare(self, problem: Problem) -> None:
        import symengine

        value = symengine.sympify(problem.value)
        variables = [symengine.Symbol(name) for name in problem.case.inputs]
        both = [value, *(value.diff(variable) for variable in variables)]
        self.function = symengine.Lambdify(variables, both, backend="llvm", cse=True, opt_level=3)
        self.rows = len(both)

    def batch(self, points: np.ndarray) -> Task:
        columns, out = np.ascontiguousarray(points.T), np.empty((points.shape[1], self.rows))
        task = of_memory(partial(self.function, columns, out=out), out)
        return Task(task.run, lambda: task.read().T)

    def call(self, point: Sequence[float]) -> Task:
        return of_results(partial(self.function, list(point)))

    def held(self, point: Sequence[float]) -> Task:
        out = np.empty(self.rows)
        return of_memory(partial(self.function.unsafe_real, np.array(point), out), out)


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
        given, ffi = points, self.module.ffi
        if self.order != tuple(range(len(points))):
            given = points[list(self.order)]
        given = np.ascontiguousarray(given)
        pointers = [ffi.from_buffer("double[]", given), ffi.from_buffer("double[]", out, require_writable=True)]
        inverse = [0, *(1 + self.order.index(i) for i in range(len(self.order)))]
        task = of_memory(partial(function, *size, *pointers), out)
        return Task(task.run, lambda: task.read()[inverse])

    def batch(self, points: np.ndarray) -> Task:
        out = shared_memory(1 + len(points), points.shape[1])
        return self._fill(self.module.lib.batch1, points, out, points.shape[1])

    def held(self, point: Sequence[float]) -> Task:
        return self._fill(self.module.lib.one, np.array(point), np.empty(1 + len(point)))


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


PEERS: tuple[type[Contestant], ...] = (
    Symdiff,
    SymdiffNumpy,
    ByHand,
    Lambdify,
    Jax,
    Torch,
    TorchCompiled,
    Pytensor,
    Casadi,
    Heyoka,
    Numba,
    Symengine,
)
