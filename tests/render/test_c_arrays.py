"""C of array formulas against the values of the tape."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from render.array_driver import Case, Formula, build, run

import symdiff
from symdiff import examples, frontend
from symdiff.adjoint import adjoint
from symdiff.linearize import linearize
from symdiff.ops.evaluate import evaluate
from symdiff.passes import for_code, for_values
from symdiff.render.c import c_module
from symdiff.render.context import Sheet
from symdiff.shapes import shape_value
from symdiff.tape import Tape

FORMULAS = {
    "mlp": (
        "X: (n,3)\n"
        "W1:(3,2)\n"
        "b1: 2\n"
        "y: const(n,3)\n"
        "lam: const()\n"
        "H = sigmoid(X @ W1 + b1)\n"
        "J = mean((H @ W1.T - y)**2) + lam*sum(W1**2)"
    ),
    "square": "W: (3,3)\nx: (3,1)\nJ = norm(sigmoid(W @ x))**2",
    "logistic": "X:(n,4)\nw:4\ny:const(n)\np = sigmoid(X@w)\n-mean(y*log(p)+(1-y)*log(1-p))",
    "kinds": (
        "X:(n,4)\nw:4\nprod(w) + norm(X[1:,::2]) + sum(concat(w[:2], w*2)) + sum(where(X>0, sin(X)*cos(X), X**3))"
    ),
    "solve": ("A:(m,m)\nb:m\ndot(b, solve(A,b)) + logdet(A) + trace(inv(A)) + amax(b) + sum(softmax(A)[1:,0]**2)"),
    "solves": "A:(3,3)\nB:(3,2)\nsum(solve(A, B)**2) + det(A) + sum(diag(A))",
    "batched": "c:()\nA:(n,3,3)\nB:(n,3,3)\nsum((A@B)**2) + sum(exp(c*A)) + sum(diag(A[0]@B[0]))",
    "cholesky": "A:(3,3)\nL = cholesky(A @ A.T + 3*eye(3))\nsum(L**3)",
    "outer": "x: n\ny: m\nA = outer(x, y)\nsum(exp(A)*A) + sum(A @ y)",
    "axes": (
        "X: (n, m)\n"
        "c: (n, 1)\n"
        "r: (1, m)\n"
        "sum(sum(X*c + r, axis=0)**2) + sum(mean(X*r, axis=1)**2) + sum(norm(X + c, axis=1))"
    ),
    "keep": ("X: (n, m)\nY = X - mean(X, axis=0, keepdims=True)\nS = Y / norm(Y, axis=0, keepdims=True)\nsum(S**3)"),
    "softmax0": ("X: (n, 5)\nsum(softmax(X, axis=0)*X**2) + sum(logsumexp(X, axis=1)) + logsumexp(X)"),
    "extremes": ("X: (n, 3)\nsum(amax(X, axis=1)**2) + sum(amin(X, axis=0)) + sum(prod(X, axis=1)) + amax(X)"),
    "cumulative": (
        "x: n\nX: (3, n)\nsum(cumsum(x)**2) + sum(cumsum(X, axis=0)**3) + sum(cumsum(X, axis=1)**2) + sum(x*cumsum(x))"
    ),
    "rank3": (
        "T: (n, 4, m)\n"
        "v: 4\n"
        "sum((T*v[None, :, None])**2) + sum(amax(T, axis=(0, 2))*v) + sum(norm1(T, axis=1))"
        " + sum(logsumexp(T, axis=(0,1)))"
    ),
    "rank4": (
        "T: (2, n, 3, 2)\nU = reshape(T, (2, n, 6))\nsum(sin(U)) + sum(prod(T, axis=(1, 3))) + sum(T[1, :, ::-1, 0]**2)"
    ),
    "reverse": "x: 6\nsum(x[::-1]*x[::1]) + sum(x[4:1:-2]**2) + x[2]*x[-1]",
    "views": "X: (n, n)\nsum(X.T*X) + sum(diag(X)**2) + trace(X @ X) + sum((X.T @ X.T)**2)",
    "diagonal": "d: 4\nA: (4, 4)\nsum(exp(A + diag(d))*A) + det(diag(d) + 0.1*A)",
    "stack": ("a: n\nb: n\nS = stack(a, b, a*b)\nT = stack(a, b, axis=1)\nsum(S**3) + sum(T @ S[:2])"),
    "concat": ("X: (n, 2)\nY: (n, 3)\nZ = concat(X, Y, axis=1)\nsum(tanh(Z)**2) + sum(concat(X, X*2)**3)"),
    "shifted": "x: n\nd = x[1:] - x[:-1]\nsum(d**2) + sum(x[1:-1]*x[2:])",
    "vector": "x: n\nW: (n, 3)\ntanh(x)*2 + sum(W, axis=1)",
    "matrix": "A: (n, 3)\nB: (3, m)\nexp(A @ B)",
    "transposed": "A: (n, 3)\nA.T",
    "attention": "Q: (n, 4)\nK: (m, 4)\nV: (m, 2)\nP = softmax(Q @ K.T / 2)\nsum((P @ V)**2)",
    "heads": "Q: (2, n, 3)\nK: (2, n, 3)\nS = Q @ K.mT\nsum(softmax(S, axis=2) @ K)",
    "broadcast": "W: (3, 3)\nT: (n, 2, 3)\nsum((T @ W)**2) + sum((W @ T.mT)**2)",
    "special": (
        "x: n\n"
        "sum(erf(x)) + sum(gelu(x)) + sum(softplus(x)*silu(x)) + sum(xlogy(x**2, 1 + x**2))"
        " + sum(lgamma(x**2 + 1)) + sum(abs(x)**1.7)"
    ),
    "choices": (
        "x: n\n"
        "y: n\n"
        "sum(maximum(x, y)**2) + sum(where(x > y, x*y, exp(x))) + sum(relu(x)) + sum(abs(x - y))"
        " + sum(min(x, 0.5))"
    ),
    "scalars": "a: ()\nb: ()\nx: n\ns = sin(a)*b\nsum(s*x) + s**2 + x[0]*b + sum(x)/n",
    "dims": "X: (n, m)\nsum(X)*n/(n*m + 1) + sum(ones((m, n)) @ X) + sum(eye(n) @ X)",
    "repeated": "x: n\ny = exp(x)\nz = y*y + y\nsum(z*y) + sum(z[1:])",
    "nested": "A: (3, 3)\nB: (3, 3)\nsum(inv(A @ B) @ inv(A)) + det(A)*det(B)",
    "names": (
        "int: n\n"
        "for_: n\n"
        "double: ()\n"
        "sd_sum: n\n"
        "n_1: n\n"
        "workspace: n\n"
        "gemm: ()\n"
        "in_: n\n"
        "i: n\n"
        "sum(exp(int*for_)*double + sd_sum*n_1*workspace*gemm*in_) + sum(i**2*int)"
    ),
    "unused": "x: n\ny: (n, 2)\nz: ()\nsum(x)*0 + z",
    "constant": "x: n\nsum(ones(3)) + 0*sum(x)",
    "big": ("X: (n, 40)\nW: (40, 30)\nsum(tanh(X @ W)**2) + sum(mean(X, axis=0)**2) + sum(sum(X**2, axis=1)**2)"),
    "three": "a: (n, 1)\nb: 3\nc: (1, 3)\nsum((a + b)*(b*c)) + sum(exp(a*b)*c)",
    "units": (
        "a: (1, 1)\nb: 1\nX: (n, 1)\nsum(a @ X.T) + b[0]*a[0, 0] + sum(X*b) + det(a) + sum(inv(a)) + sum(softmax(X))"
    ),
}
FORMULAS |= {  # what looks like the whole, and is a part; sizes that may be 0, and that are
    "prefix": "v: (n, 3)\nd: (n, 2)\nsum(sin(d)*v[:, 0:2])",
    "prefixes": "a: (n, 2)\nb: (n, 1)\nw: (n, 3)\nsum(concat(a, b, axis=1)*w) + sum(sin(a))",
    "ones": "X: 1\nI: 1\nt: 1\nw: n\nsum(X*sum(I, axis=-1)) + sum(reshape(t + 1, (1,))*(w*w))",
    "shorter": "A: (n, m)\nB: (m, k)\nsum((A @ B[:, 1:])**2) + sum((A[:, 1:].T @ A[:, 1:])**2)",
    "backwards": "A: (3, m)\nC: (m, 4)\nY = sin(A[:, 1:])\nsum((Y[::-1] @ C[1:])**2) + sum(Y[::-1] @ C[1:, 0])",
    "none": "x: (0, 0)\ny: (0, 3)\nz: (3, 0)\nsum(inv(x)) + sum((z @ y)**2) + sum((y @ z)**2)",
    "unit": "s: (1, 1)\nsum(tanh(s) + eye(1)) + sum(cholesky(tanh(s) + 5*eye(1)))",
}
BINDINGS = tomllib.loads(examples.path("bindings.toml").read_text("utf-8"))
FORMULAS |= {  # what comes with symdiff; a number of samples and other sizes as below
    f"example_{name}": examples.path(name).read_text("utf-8")
    for name in examples.names()
    if linearize(frontend.read(examples.path(name))).is_array
}
SIZES: dict[str, list[dict[str, int]]] = {
    "example_gaussian_process": [{"n": 1, "d": 2}, {"n": 5, "d": 3}],
    "solve": [{"m": 1}, {"m": 2}, {"m": 5}],
    "solves": [{}],
    "kinds": [{"n": 1}, {"n": 2}, {"n": 70}],
    "batched": [{"n": 1}, {"n": 2}, {"n": 33}],
    "shifted": [{"n": 2}, {"n": 3}, {"n": 65}],
    "scalars": [{"n": 1}, {"n": 3}, {"n": 130}],
    "repeated": [{"n": 1}, {"n": 64}, {"n": 65}],
    "names": [{"n": 0}, {"n": 1}, {"n": 67}],
    "big": [{"n": 0}, {"n": 1}, {"n": 50}],
    "shorter": [
        {"n": 3, "m": 4, "k": 5},
        {"n": 0, "m": 1, "k": 1},
        {"n": 2, "m": 3, "k": 1},
        {"n": 9, "m": 10, "k": 9},
    ],
    "backwards": [{"m": 1}, {"m": 2}, {"m": 60}],
}


def tape_of(text: str, kind: str) -> tuple[Any, Tape]:
    data = frontend.read(text)
    if data.functions:
        data = frontend.bind(data, BINDINGS["two_layer"])
    tape = for_values(linearize(data))
    if kind == "gradient":
        tape = adjoint(tape, [given.name for given in data.declared if not given.constant])
    return data, for_code(tape)


def made(name: str, kind: str = "gradient", dtype: str = "float64") -> Formula:
    text = FORMULAS[name]
    kind = "value" if name in ("vector", "matrix", "transposed") else kind
    data, tape = tape_of(text, kind)
    return Formula(tape, c_module(Sheet(f"f_{name}", data, tape, tape, kind, dtype), [kind]))


def expected(tape: Tape, inputs: dict[str, Any], sizes: dict[str, int]) -> list[np.ndarray]:
    """The outputs by the tape's own numbers."""
    values: dict[str, Any] = {name: np.float64(size) for name, size in sizes.items()} | inputs
    with np.errstate(all="ignore"):
        for step in tape.steps:
            value = np.broadcast_to(evaluate(step.expr, values, sizes), shape_value(step.shape, sizes))
            values[step.name] = value
            if step.into is not None:
                values[step.into] = value + values[step.into] if step.into in values else value
        return [np.asarray(evaluate(expr, values, sizes)) for _, expr in tape.outputs]


def inputs_of(tape: Tape, sizes: dict[str, int], seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {given.name: rng.normal(size=shape_value(given.shape, sizes)) for given in tape.inputs}


def sizes_of(name: str, tape: Tape) -> list[dict[str, int]]:
    if name in SIZES:
        return SIZES[name]
    if not tape.dims:
        return [{}]
    ranges = [(0, 3), (1, 1), (2, 5), (7, 0), (67, 4), (5, 70)]
    return [{dim: pair[k % 2] for k, dim in enumerate(tape.dims)} for pair in ranges]


def compare(name: str, case: Case, found: list[np.ndarray], tape: Tape, tolerance: float) -> None:
    wanted = expected(tape, case.inputs, case.sizes)
    for (label, _), a, b in zip(tape.outputs, found, wanted, strict=True):
        b = np.broadcast_to(b, a.shape)
        scale = np.max(np.abs(b[np.isfinite(b)]), initial=1.0)
        np.testing.assert_allclose(
            a, b, rtol=tolerance, atol=tolerance * scale, err_msg=f"{name} {label} {case.sizes} gemm={case.gemm}"
        )


SANITIZED = ["-O0", "-g0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror"]


def check(folder: Path, command: list[str], names: list[str], dtype: str, tolerance: float) -> None:
    formulas = [made(name, dtype=dtype) for name in names]
    groups: dict[str, list[int]] = {}
    for k, formula in enumerate(formulas):
        groups.setdefault("gradient" if len(formula.tape.outputs) > 1 else "value", []).append(k)
    for kind, members in groups.items():
        chosen = [formulas[k] for k in members]
        program = build(folder / kind, chosen, command, dtype, kind)
        cases = [
            Case(position, sizes, inputs_of(formulas[k].tape, sizes), gemm)
            for position, k in enumerate(members)
            for sizes in sizes_of(names[k], formulas[k].tape)
            for gemm in (False, True)
        ]
        results = run(program, chosen, cases, dtype)
        for case, found in zip(cases, results, strict=True):
            compare(names[members[case.formula]], case, found, chosen[case.formula].tape, tolerance)


@pytest.mark.compiler
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_c_gives_the_values_of_the_tape(tmp_path: Path, compiler: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    check(tmp_path, [compiler, *STRICT, *SANITIZED], list(FORMULAS), "float64", 1e-12)


@pytest.mark.compiler
def test_float32(tmp_path: Path) -> None:
    names = ["mlp", "kinds", "solves", "softmax0", "extremes", "rank3", "special", "choices", "cholesky", "repeated"]
    check(tmp_path, ["gcc", *STRICT, "-O1"], names, "float32", 2e-4)


def compiled(text: str, kind: str = "gradient") -> Any:
    """A kernel with the flags that are used for speed, and SciPy's BLAS where there is one."""
    program = symdiff.formula(text)
    return (program.gradient() if kind == "gradient" else program.value()).compile("c")


@pytest.mark.compiler
@pytest.mark.parametrize("name", ["mlp", "big", "views", "attention", "batched", "solve", "rank3", "transposed"])
def test_the_kernel_with_blas_and_simd(name: str) -> None:
    """Sizes at which matrix products go through gemm."""
    kind = "value" if name == "transposed" else "gradient"
    _, tape = tape_of(FORMULAS[name], kind)
    sizes = {"n": 90, "m": 70}
    inputs = inputs_of(tape, sizes)
    found = compiled(FORMULAS[name], kind)(**inputs)
    results = [found] if kind == "value" else [found[0], *found[1]]
    case = Case(0, {dim: sizes[dim] for dim in tape.dims}, inputs)
    compare(name, case, [np.asarray(each) for each in results], tape, 1e-11)


@pytest.mark.compiler
@pytest.mark.parametrize("columns", [1, 2])
def test_a_kernel_that_gcc_got_wrong(columns: int) -> None:
    """gcc 12.2 with vectors in basic blocks and AVX-512: 50 for 54."""
    kernel = compiled(f"R: (3, 3)\nw: 1\nI = R + R\nsum(sum(I[:, 0:{columns}], axis=0)*w)")
    numbers, one = np.arange(1.0, 10).reshape(3, 3), np.ones(1)
    value, (by_numbers, by_one) = kernel(numbers, one)
    assert value == by_one[0] == 2 * numbers[:, :columns].sum()
    assert np.array_equal(by_numbers, np.where(np.arange(3) < columns, 2.0, 0.0) * np.ones((3, 1)))


@pytest.mark.compiler
@pytest.mark.parametrize(
    "text",
    [
        "X: (n, m)\nsum(sin(X))*sum(X)*sum(X*X)",
        "X: (n, m)\nsum(sum(X, axis=0)**2) + sum(mean(exp(X), axis=0)**2)",
        "X: (m, n)\nsum(sum(X*2 - X**2, axis=1)**2) + sum(sum(X, axis=1)**2)",
        "X: (n, 3)\nb: 3\nsum(sin(X + b)) + sum((X + b)*X)",
        "X: (2, n, m)\nsum(sum(X*X, axis=1)**2) + sum(sum(X, axis=(0, 2))**2)",
    ],
)
def test_float32_sums_are_rounded_once(text: str) -> None:
    """A million terms of 0.1."""
    data, tape = tape_of(text, "gradient")
    sizes = {"n": 250_000, "m": 4}
    inputs = {given.name: np.full(shape_value(given.shape, sizes), 0.1, np.float32) for given in data.declared}
    value, gradients = symdiff.formula(text).gradient().compile("c", dtype="float32")(**inputs)
    wanted = expected(tape, {name: array.astype(float) for name, array in inputs.items()}, sizes)
    for found, right in zip([value, *gradients], wanted, strict=True):
        np.testing.assert_allclose(found, right, rtol=2e-6)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("P: (n, m)\nQ: (n, m)\nR: (n, m)\nsum(sin(P + Q)*R)", "P_bar Q_bar R_bar"),
        ("Pp: (n, 3)\nQ: (n, 3)\nsum(concat(Pp + Q, sin(Q), axis=1)**2)", "Pp_bar Q_bar"),
        ("Q_bar: n\nQ: n\nfor_: n\nint: n\nsum(sin(Q + for_)*Q_bar*int)", "Q_bar_bar Q_bar_1 for__bar int_bar"),
    ],
)
def test_a_gradient_is_called_after_its_variable(text: str, names: str) -> None:
    data, tape = tape_of(text, "gradient")
    made = c_module(Sheet("f", data, tape, tape, "gradient"))
    for k, (name, (label, _)) in enumerate(zip(names.split(), tape.outputs[1:], strict=True)):
        assert f"{name}: gradient of the value by {label}," in made.header
        assert f"double *{name}," in made.header and f"double *{name}," in made.source
        assert f"double *const {name} = out[{k + 1}];" in made.source


def test_what_comes_first_is_not_added_to_anything() -> None:
    """In the comments too, also where another contribution was taken out."""
    data, tape = tape_of("S: (n, 2)\nR: (n, 2)\nU = S + R\nsum(U*S) + 0*sum(S) + sum(sin(R)*S)", "gradient")
    source = c_module(Sheet("f", data, tape, tape, "gradient"), ["gradient"]).source
    for name in ("S_bar", "R_bar", "U_bar"):
        comments = re.findall(rf"/\* \(\d+'[a-z]?\) {name} (\+?=)", source)
        assert comments[:1] in (["="], []) and set(comments[1:]) <= {"+="}, (name, comments)


@pytest.mark.compiler
@pytest.mark.parametrize(
    "text",
    [
        "X: (n, 3)\nb: 3\nsin(X*b) + exp(X)*tanh(b)",
        "X: (n, 5)\nc: (n, 1)\nsigmoid(X - c)*log(X**2 + 1)",
        "X: (n, 70)\nr: (1, 70)\nerf(X + r)**2",
        "X: (n, 2, 3)\nY: (n, 1, 3)\nZ: (2, 1)\nX**1.3*cos(Y)*exp(Z)",
        "X: (n, 4)\ngelu(X.T)",
        "X: (n, 4)\nsoftmax(X, axis=1)",
    ],
)
def test_bits_of_an_element_depend_on_nothing_else(text: str) -> None:
    """Rows of 131 points, one call, against the rows one by one and in parts."""
    kernel = compiled(text, "value")
    data = frontend.read(text)
    rng = np.random.default_rng(1)
    rows = 131
    inputs = {given.name: np.abs(rng.normal(size=shape_value(given.shape, {"n": rows}))) for given in data.declared}
    row_wise = [given.name for given in data.declared if "n" in given.shape]
    whole = kernel(**inputs)
    turned = "X.T" in text
    for start, stop in [(0, 1), (1, 2), (17, 18), (0, 64), (3, 131), (130, 131), (5, 9)]:
        part = {name: array[start:stop] if name in row_wise else array for name, array in inputs.items()}
        found, wanted = kernel(**part), whole[:, start:stop] if turned else whole[start:stop]
        assert np.array_equal(found.view(np.int64), np.ascontiguousarray(wanted).view(np.int64)), (start, stop)


@pytest.mark.compiler
def test_a_long_formula_is_cut_into_functions(tmp_path: Path) -> None:
    lines = [
        f"v{k + 1} = sin(v{k})*{1 + k % 3} + x" if k % 4 else f"v{k + 1} = v{k}*tanh(sum(v{k})*c) + x"
        for k in range(60)
    ]
    text = "\n".join(["x: n", "c: ()", "v0 = x", *lines, "sum(v60)*c"])
    data, tape = tape_of(text, "gradient")
    formula = Formula(tape, c_module(Sheet("f_long", data, tape, tape, "gradient"), ["gradient"]))
    assert "sd_gradient_3(" in formula.made.source
    program = build(tmp_path, [formula], ["gcc", *STRICT, *SANITIZED], "float64", "gradient")
    cases = [Case(0, {"n": n}, inputs_of(tape, {"n": n})) for n in (0, 1, 70)]
    for case, found in zip(cases, run(program, [formula], cases, "float64"), strict=True):
        compare("long", case, found, tape, 1e-9)


@pytest.mark.compiler
def test_the_functions_by_name(tmp_path: Path) -> None:
    """Value and gradient in one file, called as the header says, by C and by C++."""
    text = "X: (n, 3)\nw: 3\nlam: ()\nsum((X @ w)**2) + lam*sum(w**2)"
    data, tape = tape_of(text, "gradient")
    made = c_module(Sheet("ridge", data, tape, tape, "gradient"))
    main = """
#include <stdio.h>
#include <stdlib.h>
#include "ridge.h"
int main(void)
{
    const double X[6] = {1, 2, 3, 4, 5, 6}, w[3] = {1, 0, -1};
    double value, again, X_bar[6], w_bar[3], lam_bar;
    double *work = (double *)malloc((ridge_gradient_workspace(2) + ridge_value_workspace(2) + 1) * sizeof(double));
    if (ridge_gradient(2, X, w, 0.5, &value, X_bar, w_bar, &lam_bar, work, NULL) != 0)
        return 1;
    if (ridge_value(2, X, w, 0.5, &again, work, NULL) != 0 || again != value)
        return 2;
    printf("%g %g %g %g %g\\n", value, X_bar[0], w_bar[0], w_bar[2], lam_bar);
    free(work);
    return 0;
}
"""
    (tmp_path / "ridge.c").write_text(made.source)
    (tmp_path / "ridge.h").write_text(made.header)
    for compiler, name in (("gcc", "main.c"), ("g++", "main.cpp")):
        if shutil.which(compiler) is None:
            continue
        (tmp_path / name).write_text(main)
        commands = [
            ["gcc", *STRICT, "-c", "ridge.c", "-o", "ridge.o"],
            [compiler, "-Wall", "-Wextra", "-Werror", name, "ridge.o", "-o", "program", "-lm"],
        ]
        for command in commands:
            subprocess.run(command, cwd=tmp_path, check=True)
        done = subprocess.run(["./program"], cwd=tmp_path, capture_output=True, text=True, check=True)
        x, w = np.arange(1.0, 7).reshape(2, 3), np.array([1.0, 0, -1])
        wanted = [8 + 0.5 * 2, *(2 * np.outer(x @ w, w))[0, :1], *(2 * x.T @ (x @ w) + w)[[0, 2]], 2]
        assert [float(word) for word in done.stdout.split()] == pytest.approx(wanted)


def test_an_abstract_function_is_refused() -> None:
    data = frontend.read("x: n\nphi: function\nsum(phi(x))")
    tape = adjoint(for_values(linearize(data)), ["x"])
    with pytest.raises(symdiff.UnsupportedError, match=r"phi.*bind\(phi=.*--let phi="):
        c_module(Sheet("f", data, tape, tape, "gradient"))


def test_an_index_outside_of_its_array_is_an_error(tmp_path: Path) -> None:
    data, tape = tape_of("x: n\nsum(x[2:]) + x[1]", "gradient")
    source = c_module(Sheet("f", data, tape, tape, "gradient")).source
    assert "if (n < 2)\n        return 1;" in source
