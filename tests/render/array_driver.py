"""Runs generated C of array formulas outside of Python, where an address sanitizer sees one step too far.

A program is compiled from several formulas and reads cases from a file: sizes and inputs. Every array, and the
workspace, is allocated with exactly the elements that it has; outputs and workspace are NaN before the call.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from symdiff.ops.infer import shape_of
from symdiff.render.c_source import CSource
from symdiff.shapes import shape_value
from symdiff.tape import Tape

_MAIN = r"""
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "all.h"

/* Fortran's gemm in the simplest way; leading dimensions are checked. */
static void gemm(const char *ta, const char *tb, const int *m, const int *n, const int *k, const REAL *alpha,
    const REAL *a, const int *lda, const REAL *b, const int *ldb, const REAL *beta, REAL *c, const int *ldc)
{
    const int rows_a = *ta == 'N' ? *m : *k, rows_b = *tb == 'N' ? *k : *n;
    if (*lda < (rows_a > 1 ? rows_a : 1) || *ldb < (rows_b > 1 ? rows_b : 1) || *ldc < (*m > 1 ? *m : 1))
        abort();
    for (int i = 0; i < *m; ++i)
        for (int j = 0; j < *n; ++j) {
            REAL sum = 0, *to = c + i + (size_t)j * (size_t)*ldc;
            for (int l = 0; l < *k; ++l)
                sum += a[*ta == 'N' ? i + l * *lda : l + i * *lda] * b[*tb == 'N' ? l + j * *ldb : j + l * *ldb];
            *to = *beta == 0 ? *alpha * sum : *alpha * sum + *beta * *to;
        }
}

static size_t number(FILE *file)
{
    unsigned long long value;
    if (fread(&value, sizeof value, 1, file) != 1)
        exit(2);
    return (size_t)value;
}

static REAL *array(size_t size)
{
    REAL *made = malloc(size * sizeof(REAL));
    for (size_t i = 0; made != NULL && i < size; ++i)
        made[i] = NAN;
    return made;
}

int main(int argc, char **argv)
{
    FILE *from = fopen(argv[1], "rb"), *to = fopen(argv[2], "wb");
    size_t cases = number(from);
    (void)argc;
    for (size_t c = 0; c < cases; ++c) {
        const struct task *task = tasks + number(from);
        size_t with_gemm = number(from), dims = number(from), sizes[16], ins, outs, lengths[64];
        REAL *in[64], *out[64], *workspace;
        for (size_t i = 0; i < dims; ++i)
            sizes[i] = number(from);
        ins = number(from);
        for (size_t i = 0; i < ins; ++i) {
            size_t length = number(from);
            in[i] = array(length);
            if (length > 0 && fread(in[i], sizeof(REAL), length, from) != length)
                exit(2);
        }
        outs = number(from);
        for (size_t i = 0; i < outs; ++i) {
            lengths[i] = number(from);
            out[i] = array(lengths[i]);
        }
        size_t needed = task->workspace(dims ? sizes : NULL);
        workspace = needed ? array(needed) : NULL;
        if (task->packed(dims ? sizes : NULL, (const REAL *const *)in, out, workspace, with_gemm ? gemm : NULL) != 0)
            exit(3);
        for (size_t i = 0; i < outs; ++i) {
            fwrite(out[i], sizeof(REAL), lengths[i], to);
            free(out[i]);
        }
        for (size_t i = 0; i < ins; ++i)
            free(in[i]);
        free(workspace);
    }
    fclose(from);
    return fclose(to);
}
"""


_TASK = """
typedef void (*any_gemm)(const char *, const char *, const int *, const int *, const int *, const REAL *, const REAL *,
    const int *, const REAL *, const int *, const REAL *, REAL *, const int *);
struct task {
    size_t (*workspace)(const size_t *);
    int (*packed)(const size_t *, const REAL *const *, REAL *const *, REAL *, any_gemm);
};
"""


@dataclass(frozen=True)
class Formula:
    """One formula: its tape as code, and its C."""

    tape: Tape
    made: CSource


@dataclass(frozen=True)
class Case:
    """A call: which formula, sizes by name, inputs by name, with gemm or without."""

    formula: int
    sizes: dict[str, int]
    inputs: dict[str, Any]
    gemm: bool = False


def build(folder: Path, formulas: Sequence[Formula], command: Sequence[str], dtype: str, kind: str) -> Path:
    """The program of these formulas. Raises AssertionError with what the compiler says."""
    real = "double" if dtype == "float64" else "float"
    folder.mkdir(parents=True, exist_ok=True)
    declared, table = [f"#define REAL {real}"], []
    for formula in formulas:
        name = formula.made.name
        (folder / f"{name}.c").write_text(formula.made.source)
        (folder / f"{name}.h").write_text(formula.made.header)
        declared.append(f'#include "{name}.h"')
        table.append(f"    {{{name}_{kind}_packed_workspace, {name}_{kind}_packed}},")
    declared.append("typedef void (*any_gemm)(const char *, const char *, const int *, const int *, const int *, ")
    declared.append(
        "    const REAL *, const REAL *, const int *, const REAL *, const int *, const REAL *, REAL *, const int *);"
    )
    declared.append(
        "struct task { size_t (*workspace)(const size_t *); int (*packed)(const size_t *, const REAL *const *,"
    )
    declared.append("    REAL *const *, REAL *, any_gemm); };")
    declared += ["static const struct task tasks[] = {", *table, "};"]
    (folder / "all.h").write_text("\n".join(declared) + "\n")
    (folder / "main.c").write_text(_MAIN)
    objects = []
    for name in ["main", *(formula.made.name for formula in formulas)]:
        _run([*command, "-c", f"{name}.c", "-o", f"{name}.o"], folder)
        objects.append(f"{name}.o")
    _run([*command, *objects, "-o", "program", "-lm"], folder)
    return folder / "program"


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def run(program: Path, formulas: Sequence[Formula], cases: Sequence[Case], dtype: str) -> list[list[np.ndarray]]:
    """Outputs of every case, in order."""
    given = [np.array([len(cases)], np.uint64).tobytes()]
    shapes: list[list[tuple[int, ...]]] = []
    for case in cases:
        tape = formulas[case.formula].tape
        inputs = [np.asarray(case.inputs[each.name], dtype) for each in tape.inputs]
        numbers = [case.formula, case.gemm, len(tape.dims), *(case.sizes[name] for name in tape.dims), len(inputs)]
        given.append(np.array(numbers, np.uint64).tobytes())
        for array in inputs:
            given += [np.array([array.size], np.uint64).tobytes(), np.ascontiguousarray(array).tobytes()]
        shapes.append(output_shapes(tape, case.sizes))
        given.append(np.array([len(shapes[-1]), *(int(np.prod(s)) for s in shapes[-1])], np.uint64).tobytes())
    (program.parent / "cases").write_bytes(b"".join(given))
    done = subprocess.run(
        [program, "cases", "results"], cwd=program.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-6000:])
    flat = np.frombuffer((program.parent / "results").read_bytes(), dtype)
    results, start = [], 0
    for each in shapes:
        arrays = []
        for shape in each:
            size = int(np.prod(shape))
            arrays.append(flat[start : start + size].reshape(shape))
            start += size
        results.append(arrays)
    assert start == flat.size
    return results


def output_shapes(tape: Tape, sizes: dict[str, int]) -> list[tuple[int, ...]]:
    """Shapes of the value and of the gradients."""
    return [shape_value(shape_of(expr, tape.shapes), sizes) for _, expr in tape.outputs]
