"""C of arrays: small arrays of literal size, passes over rows, and the memory that both save."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from render.array_driver import Case, Formula, build, run
from render.test_c_arrays import STRICT, compare, inputs_of, tape_of

import symdiff
from symdiff.errors import SymdiffError
from symdiff.render.c import c_module
from symdiff.render.context import Sheet

SANITIZED = ["-O1", "-g0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FIXED = {
    "autoencoder": "X: const(3, 3)\nW: (3, 2)\nb: 2\nV: (2, 3)\nc: 3\n"
    "mean((sigmoid(sigmoid(X @ W + b) @ V + c) - X)**2)",
    "mlp": "X: const(3, 3)\nW: (3, 3)\nb: 3\nV: (3, 2)\nmean((relu(X @ W + b) @ V)**2)",
    "softmax": "X: const(3, 4)\nY: const(3, 2)\nW: (4, 2)\nb: 2\nZ = X @ W + b\n"
    "mean(logsumexp(Z, axis=1) - sum(Y*Z, axis=1))",
    "columns": "X: (5, 3)\nsum(logsumexp(X, axis=0)**2) + sum(softmax(X, axis=0)**3) + logsumexp(X)",
    "rank 3": "X: (2, 3, 4)\n"
    "sum(logsumexp(X, axis=(0, 1))) + sum(softmax(X, axis=1)**2) + sum(logsumexp(X, axis=2, keepdims=True)*X)",
    "attention": "X: (3, 3)\nQ: (3, 2)\nK: (3, 2)\nsum((softmax((X @ Q) @ (X @ K).T, axis=1) @ X)**2)",
    "sums": "X: (4, 8)\nb: 8\nY = X*b\nsum(sum(Y, axis=0)**3) + sum(sum(exp(Y), axis=1)**2) + sum(tanh(X)*X)",
    "views": "X: (4, 4)\nv: 4\nsum(exp(X.T + diag(v))*X) + sum(sin(X[::-1, 1:3])) + sum(exp(eye(4)*X))",
    "one": "x: 1\nX: (1, 1)\nsum(exp(x)*X) + sum(softmax(X, axis=0))",
    "turned axes of one element": "x: (1, 1)\ny: (2, 1)\n"
    "sum(sin(concat(y, (x.T + 3*eye(1))[:, ::-1][::-1], axis=0)))",  # slices that leave nothing out
    "no elements taken": "x: (1, 3)\ny: (2, 3)\nz: ()\nt = exp(x)\n"
    "sum(t[:0]*z) + sum(concat(y[:0]/z, x, axis=0)**2) + sum(concat(sin(z*y), x[1:], axis=0))",
    "one of nothing and one": "x: (1, 1)\ny: (1, 1)\nsum((-concat(x[:0], y, axis=0))*x)",
    "an axis more": "x: 1\ny: 1\nsum((x*y)[:, None]*cumsum(x))",
    "whole block": "X: (8, 8)\nsum(sigmoid(X)*X) + sum(logsumexp(X, axis=1))",
}
ROWS = {
    "autoencoder": FIXED["autoencoder"].replace("(3, 3)", "(n, 3)"),
    "logistic": "X: const(n, d)\ny: const(n)\nw: d\nb: ()\nz = X @ w + b\nmean(softplus(z) - y*z)",
    "two passes": "X: (n, 3)\nW: (3, 3)\nY = tanh(X @ W)\nm = mean(Y, axis=0)\nsum(exp((Y - m) @ W))",
    "rows and numbers": "X: (n, 3)\nW: (3, 2)\nv: n\n"
    "sum(softmax(X @ W, axis=1)**2) + sum(v*n) + sum(logsumexp(X, axis=1)*v)",
    "an array stays": "X: const(n, 3)\nW: (3, 2)\nr: n\nH = tanh(X @ W)\n"
    "sum(H**2) + sum(cumsum(r*H[:, 0])) + sum(H.T @ H)",
    "one row is read by all": "X: (n, 3)\nsum(sin(X - X[0])) + sum(X*cos(X))",
    "batches": "X: (n, 2, 2)\nW: (2, 2)\nsum((X @ W)**2) + sum(exp(X))",
    "sums that exist": "X: (n, 3)\nw: 3\nu: n\nt = X @ w\nsum(t**2) + sum(w**2) + sum(u*t) + sum(X*w)",
}


SIZES = [
    {"n": 0, "d": 3},
    {"n": 1, "d": 1},
    {"n": 3, "d": 20},
    {"n": 64, "d": 2},
    {"n": 515, "d": 5},
    {"n": 1031, "d": 17},
]


def made(texts: dict[str, str], dtype: str = "float64") -> list[Formula]:
    found = []
    for k, text in enumerate(texts.values()):
        data, tape = tape_of(text, "gradient")
        found.append(Formula(tape, c_module(Sheet(f"f_{k}", data, tape, tape, "gradient", dtype), ["gradient"])))
    return found


def check(
    folder: Path, texts: dict[str, str], command: list[str], dtype: str = "float64", tolerance: float = 1e-11
) -> None:
    formulas = made(texts, dtype)
    program = build(folder, formulas, command, dtype, "gradient")
    cases = []
    for k, formula in enumerate(formulas):
        indexed = "[0]" in list(texts.values())[k]  # which needs a row
        for sizes in SIZES[indexed:] if formula.tape.dims else [{}]:
            some = {dim: sizes[dim] for dim in formula.tape.dims}
            cases.append(Case(k, some, inputs_of(formula.tape, some)))
    for case, found in zip(cases, run(program, formulas, cases, dtype), strict=True):
        compare(list(texts)[case.formula], case, found, formulas[case.formula].tape, tolerance)


@pytest.mark.compiler
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("texts", [FIXED, ROWS], ids=["fixed", "rows"])
def test_values_under_sanitizers(tmp_path: Path, compiler: str, texts: dict[str, str]) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    check(tmp_path, texts, [compiler, *STRICT, *SANITIZED])


@pytest.mark.compiler
@pytest.mark.parametrize("texts", [FIXED, ROWS], ids=["fixed", "rows"])
def test_float32(tmp_path: Path, texts: dict[str, str]) -> None:
    check(tmp_path, texts, ["gcc", *STRICT, "-O2"], "float32", 5e-4)


@pytest.mark.compiler
@pytest.mark.parametrize("name", [*FIXED, *(f"rows: {name}" for name in ROWS)])
def test_values_of_the_kernel(name: str) -> None:
    """With the flags for speed, vector functions and BLAS."""
    text = ROWS[name[6:]] if name.startswith("rows: ") else FIXED[name]
    _, tape = tape_of(text, "gradient")
    sizes = {dim: {"n": 1000, "d": 12}[dim] for dim in tape.dims}
    inputs = inputs_of(tape, sizes)
    value, gradients = symdiff.formula(text).gradient().compile("c")(**inputs)
    compare(name, Case(0, sizes, inputs), [np.asarray(each) for each in (value, *gradients)], tape, 1e-10)


@pytest.mark.compiler
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 3), (7, 9), (8, 8)])
def test_elements_of_small_arrays_go_through_the_same_code(shape: tuple[int, int]) -> None:
    """Also the last ones, which do not fill a vector: equal numbers give equal bits at every place."""
    rows, columns = shape
    text = f"X: ({rows}, {columns})\nsigmoid(X)*exp(X)*tanh(X) + log(X**2 + 1)"
    kernel = symdiff.formula(text).value().compile("c")
    for number in (0.3, -1.7, 2.9):
        assert len(set(kernel(np.full(shape, number)).ravel())) == 1


@pytest.mark.compiler
def test_special_values_in_small_softmax_and_logsumexp() -> None:
    inf, nan = np.inf, np.nan
    rows = np.array([[1.0, 2, 3], [inf, 1, 2], [-inf, 1, 2], [-inf, -inf, -inf], [nan, 1, 2], [inf, inf, 0], [0, 0, 0]])
    for op in ("softmax(X, axis=1)", "logsumexp(X, axis=1)"):
        small = symdiff.formula(f"X: (7, 3)\n{op}").value().compile("c")(rows)
        large = symdiff.formula(f"X: (n, 3)\n{op}").value().compile("c")(rows)
        np.testing.assert_allclose(small, large, rtol=4e-16, equal_nan=True)


def test_small_arrays_are_local_and_need_no_workspace() -> None:
    program = symdiff.formula(FIXED["mlp"]).gradient()
    assert "workspace +" not in program.source("c") and "    return 0;\n}" in program.source("c")
    memory = program.memory()
    assert 0 < memory.peak <= memory.intermediates


def test_a_pass_over_rows_has_memory_for_some_rows_alone() -> None:
    program = symdiff.formula(ROWS["autoencoder"]).gradient()
    assert program.source("c").count("for (size_t row = 0; row < n;") == 2, (
        "one pass for the value, one for the gradient"
    )
    few, many = program.memory(n=1_000), program.memory(n=1_000_000)
    assert few.peak == many.peak < 4096 and many.intermediates == 31 * 1_000_000
    assert "all intermediate arrays have 31*n" in program.source("h")


def test_what_a_later_pass_needs_is_whole() -> None:
    source = symdiff.formula(ROWS["two passes"]).gradient().source("c")
    assert source.count("for (size_t row = 0;") >= 2
    assert symdiff.formula(ROWS["an array stays"]).gradient().memory(n=1000).peak >= 1000


def test_wide_products_are_left_to_blas() -> None:
    source = symdiff.formula("X: const(n, d)\nW: (d, h)\nV: (h, 2)\nsum((tanh(X @ W) @ V)**2)").gradient().source("c")
    assert "size_t row =" not in source


ATTENTION = (
    "X: const(n, d)\nWq: (d, k)\nWk: (d, k)\nWv: (d, k)\n"
    "A = softmax((X @ Wq) @ (X @ Wk).T/sqrt(k), axis=1)\nmean((A @ (X @ Wv))**2)"
)


@pytest.mark.parametrize(
    ("source", "squares"),
    [
        (ATTENTION, 2),  # scores and their softmax in one place, the adjoints of both in two
        ("X: const(n, n)\nW: n\nA = softmax(X*W, axis=0)\nsum(A @ X)", 2),
    ],
)
def test_a_result_lies_where_its_operand_did(source: str, squares: int) -> None:
    """Peak memory in arrays of n x n, where only the last reader of one makes another of it, element by element."""
    sizes = {"n": 1000} | {name: 2 for name in ("d", "k") if name in source.partition("A =")[0]}
    assert squares <= symdiff.formula(source).gradient().memory(**sizes).peak / 1e6 < squares + 0.1


@pytest.mark.compiler
@pytest.mark.parametrize(
    "body",
    [
        "A = exp(X @ X); sum(A*A.T) + sum((A @ X)**2)",  # read across, read again
        "A = X @ X; B = A + A[0]; C = B*A; sum(C @ X)",  # element by element, and a row of it besides
        "A = X @ X; B = sin(A); C = A*B + B; sum((C @ X)*softmax(A, axis=1))",
        "A = X @ X; B = sin(A); C = A*B; sum((C @ X)*(B @ X))",  # read again in the same loop
        "A = softmax(X @ X, axis=0); B = softmax(A, axis=1); sum((B @ X)*B)",
        "A = X @ X; B = where(A > 0, A, A**2); C = cumsum(B, axis=1); sum(sqrt(1 + C**2) @ X)",
    ],
)
def test_what_is_read_again_keeps_its_place(body: str) -> None:
    formula = symdiff.formula(f"X: (n, n); {body}")
    c, numpy, value = formula.gradient().compile("c"), formula.gradient().compile("numpy"), formula.value().compile("c")
    for size in (1, 2, 7, 40):
        X = np.random.default_rng(size).normal(size=(size, size)) / size
        wanted, (slope,) = numpy(X)
        np.testing.assert_allclose([c(X)[0], value(X)], wanted, rtol=1e-11)
        np.testing.assert_allclose(c(X)[1][0], slope, rtol=1e-11, atol=1e-13 * np.max(np.abs(slope)))


def test_memory_says_what_is_wrong() -> None:
    program = symdiff.formula("X: (n, 3)\nsum(sin(X)*exp(X))").gradient()
    for sizes in ({}, {"m": 3}, {"n": -1}, {"n": 1, "m": 1}):
        with pytest.raises(SymdiffError, match="memory: expected sizes"):
            program.memory(**sizes)
    with pytest.raises(SymdiffError, match="scalars"):
        symdiff.formula("x*y").gradient().memory()
