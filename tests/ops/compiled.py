"""The table in generated code: every case of `optable` as a Python module and as C, compiled once per session."""

from __future__ import annotations

import ctypes
import fcntl
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from ops.optable import CASES, Case, columns, formula_of, one_step

from symdiff.adjoint import adjoint
from symdiff.passes import for_code, for_values
from symdiff.render.c import CSource, c_module
from symdiff.render.context import Sheet
from symdiff.render.python import python_module
from symdiff.runtime.compiler import find_compiler, flag_sets, libraries

Results = dict[str | None, np.ndarray]


def sheet_of(case: Case, dtype: str = "float64") -> Sheet:
    tape, wrt = one_step(case), case.variables
    code = for_code(adjoint(for_values(tape), wrt))
    return Sheet(f"op_{case.label}", formula_of(case.expr), adjoint(tape, wrt), code, dtype=dtype)


def python_results(case: Case, where: Sequence[tuple[float, ...]]) -> Results:
    """Value and partials from the generated Python module."""
    module: dict[str, Any] = {"__name__": case.label}
    exec(python_module(sheet_of(case)), module)
    value, gradient = module["gradient"](*columns(case, where).values())
    return {None: value, **dict(zip(case.variables, gradient, strict=True))}


def _compile(folder: Path, source: CSource, name: str, flags: Sequence[str]) -> None:
    (folder / f"{name}.c").write_text(source.source)
    (folder / f"{name}.h").write_text(source.header)
    command = [*find_compiler().command, "-Wall", "-Wextra", "-Werror", *flags, "-c", f"{name}.c", "-o", f"{name}.o"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, f"{name}: {done.stderr}"


def build(folder: Path) -> Path:
    """The library of all cases in `folder`, made by whoever comes first."""
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "table.so"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if library.exists():
            return library
        sources = {f"op_{case.label}": c_module(sheet_of(case)) for case in CASES}
        vector = sorted({name for source in sources.values() for name in source.vector_functions})
        flags = flag_sets(find_compiler(), vector_functions=vector)[0]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda item: _compile(folder, item[1], item[0], flags), sources.items()))
        objects = [f"{name}.o" for name in sources]
        command = [*find_compiler().command, *flags, *objects, "-o", "table.tmp", *libraries(flags, vector)]
        subprocess.run(command, cwd=folder, check=True)
        (folder / "table.tmp").rename(library)
    return library


class CTable:
    """Calls the compiled cases: one point at a time, and in batches."""

    def __init__(self, library: Path) -> None:
        self.library = ctypes.CDLL(str(library))

    def one_point(self, case: Case, where: Sequence[tuple[float, ...]]) -> Results:
        function = getattr(self.library, f"op_{case.label}_gradient_packed")
        inputs = np.ascontiguousarray(where, dtype=float).reshape(len(where), -1)
        results = np.empty((len(where), 1 + len(case.variables)))
        for row, out in zip(inputs, results, strict=True):
            assert function(ctypes.c_void_p(row.ctypes.data), ctypes.c_void_p(out.ctypes.data)) == 0
        return _named(case, results.T)

    def batch(self, case: Case, where: Sequence[tuple[float, ...]]) -> Results:
        function = getattr(self.library, f"op_{case.label}_gradient_arrays")
        inputs = [np.ascontiguousarray(column) for column in columns(case, where).values()]
        results = [np.empty(len(where)) for _ in range(1 + len(inputs))]

        def pointers(arrays: list[np.ndarray]) -> Any:
            return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))

        def ones(arrays: list[np.ndarray]) -> Any:
            return (ctypes.c_ssize_t * len(arrays))(*[1] * len(arrays))

        size = ctypes.c_size_t(len(where))
        assert function(size, pointers(inputs), ones(inputs), pointers(results), ones(results)) == 0
        return _named(case, results)


def _named(case: Case, rows: Any) -> Results:
    return {None: rows[0], **dict(zip(case.variables, rows[1:], strict=True))}
