"""Loops of formulas of arrays call vector functions only: one branch that gcc keeps costs a factor of two."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from render.c_array_sources import VECTOR

import symdiff
from symdiff.runtime.compiler import find_compiler, flag_sets, libraries

FORMULAS = {
    "autoencoder": "X: const(n, 3)\nW: (3, 2)\nb: 2\nV: (2, 3)\nc: 3\n"
    "J = mean((sigmoid(sigmoid(X @ W + b) @ V + c) - X)**2)",
    "mlp": "X: const(n, d)\nT: const(n, o)\nW: (d, h)\nb: h\nV: (h, o)\nc: o\n"
    "J = mean((sigmoid(X @ W + b) @ V + c - T)**2)",
    "attention": "X: const(n, d)\nT: const(n, k)\nQ: (d, k)\nK: (d, k)\nV: (d, k)\n"
    "J = mean((softmax((X @ Q) @ (X @ K).T/sqrt(k), axis=1) @ (X @ V) - T)**2)",
}


@pytest.mark.compiler
@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_no_scalar_call_is_left(name: str, dtype: str, tmp_path: Path) -> None:
    program = symdiff.formula(FORMULAS[name]).gradient()
    functions = [function + ("f" if dtype == "float32" else "") for function in VECTOR]
    flags = flag_sets(find_compiler(), vector_functions=functions)[0]
    if find_compiler().kind != "gcc" or "-DSYMDIFF_SIMD" not in flags or shutil.which("nm") is None:
        pytest.skip("needs gcc, vector functions and nm")
    (tmp_path / "formula.c").write_text(program.source("c", dtype=dtype))  # type: ignore[arg-type]
    (tmp_path / "formula.h").write_text(program.source("h", dtype=dtype))  # type: ignore[arg-type]
    command = [*find_compiler().command, "formula.c", *flags, "-o", "formula.so", *libraries(flags, functions)]
    subprocess.run(command, cwd=tmp_path, check=True)
    listed = subprocess.run(["nm", "-u", "formula.so"], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
    called = {line.split()[-1].partition("@")[0] for line in listed.splitlines()}
    assert any(symbol.startswith("_ZGV") and symbol.endswith("_" + functions[0]) for symbol in called)
    assert not called & set(functions)
