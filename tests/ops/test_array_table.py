"""Every op on arrays: shapes, adjoint and tangent rules, on the tape as linearized and after the passes.

The judge is the value alone: central differences along random directions, and the dot product <y_bar, J x_dot> =
<J^T y_bar, x_dot> of the adjoint and the tangent sweep. The formulas cover every entry of the table; a new op needs one
line here, and `test_every_op_is_covered` says so.
"""

from __future__ import annotations

import numpy as np
import pytest

from symdiff import frontend
from symdiff.adjoint import adjoint
from symdiff.expr import Call, walk
from symdiff.formula_data import FormulaData
from symdiff.linearize import linearize
from symdiff.ops import ARRAYS
from symdiff.ops.evaluate import evaluate
from symdiff.passes import for_code, for_values
from symdiff.shapes import shape_value
from symdiff.tangent import tangent
from symdiff.tape import Tape, check_tape

SIZES = {"n": 4, "m": 3, "k": 2}
FORMULAS = {
    "matrix times vector": "W: (m, n); x: n; c: const(m); dot(c, W @ x)",
    "vector times matrix": "W: (m, n); x: m; c: const(n); dot(x @ W, c)",
    "matrix product": "A: (m, n); B: (n, k); C: const(m, k); sum((A @ B)*C)",
    "column": "W: (3, 3); x: (3, 1); norm(sigmoid(W @ x))**2",
    "row": "W: (3, 3); x: (1, 3); norm(sigmoid(x @ W))**2",
    "one by one": "a: (1, 1); x: (1, n); sum((a @ x)**2)*trace(a)",
    "batched product": "A: (k, m, n); B: (k, n, 2); C: const(k, m, 2); sum((A @ B)*C)",
    "batch broadcast": "A: (k, m, n); B: (n, 2); C: const(k, m, 2); sum((A @ B)*C)",
    "batch unit": "A: (1, m, n); B: (k, n, 2); C: const(k, m, 2); sum((A @ B)*C)",
    "rank four": "A: (2, k, m, n); B: (k, n, 3); sum((A @ B)**2)",
    "batch vector": "A: (k, m, n); x: n; sum((A @ x)**2)",
    "transposes": "A: (m, n); B: (m, k); C: const(n, k); sum((A.T @ B)*C) + sum((B.T @ A)**2)",
    "swapped axes": "A: (k, m, n); C: const(k, n, m); sum(A.mT*C) + sum(A.T**2)",
    "dot": "a: n; b: n; dot(a, b)**2 + a @ b",
    "dot of itself": "a: n; dot(a, a)",
    "outer": "a: n; b: m; C: const(n, m); sum(outer(a, b)*C)",
    "trace": "A: (n, n); B: const(n, n); trace(A)**2 + trace(A @ B @ A)",
    "diagonals": "A: (n, n); d: n; C: const(n, n); sum(diag(A)**2) + sum(diag(d)*C @ A)",
    "sums": "X: (n, m); c: const(m); e: const(n, 1); sum(X)**2 + dot(c, sum(X, axis=0)**2) + "
    "sum(e*sum(X, axis=1, keepdims=True)**2)",
    "sum of two axes": "X: (k, m, n); c: const(m); dot(c, sum(X, axis=(0, 2))**2) + sum(sum(X, axis=-1)**2)",
    "means": "X: (n, m); mean(X)**2 + sum(mean(X, axis=0)**2) + sum((X - mean(X, axis=1, keepdims=True))**2)",
    "bias": "X: (n, m); b: m; a: (n, 1); s: (); sum((X*s + b + a)**2)",
    "scaling": "X: (n, m); b: m; a: (n, 1); s: (); sum(X/s*b*a) + sum(exp(b)/a)",
    "broadcast both": "a: (n, 1); b: (1, m); sum((a - b)**2*sin(a*b))",
    "norms": "X: (n, m); norm(X) + sum(norm(X, axis=1)**3) + norm(X, axis=0, keepdims=True)[0, 1]",
    "squared norms": "X: (n, m); norm(X)**2 + sum(norm(X, axis=1)**2*[1][0])".replace("*[1][0]", ""),
    "norm1": "X: (n, m); norm1(X) + sum(norm1(X, axis=1)**2) + norm2(X)",
    "prod": "x: n; X: (n, m); prod(x) + sum(prod(X, axis=0)**2) + sum(prod(X, axis=1, keepdims=True))",
    "extremes": "X: (n, m); amax(X) + sum(amax(X, axis=0)**2) + amin(X)*sum(amin(X, axis=1)) + max(X[0])",
    "logsumexp": "X: (n, m); logsumexp(X) + sum(logsumexp(X, axis=1)**2) + sum(logsumexp(X, axis=0, keepdims=True))",
    "softmax": "X: (n, m); C: const(n, m); sum(softmax(X)*C) + sum(softmax(X, axis=0)*C) + sum(softmax(X[0])**2)",
    "cumsum": "X: (n, m); C: const(n, m); sum(cumsum(X, axis=0)*C) + sum(cumsum(X, axis=1)**2) + sum(cumsum(X)**2)",
    "index": "X: (n, m); x: n; X[0, 1]*x[-1] + sum(X[1]**2) + sum(x[1:]*x[:-1]) + sum(X[:, 1]*x)",
    "slices": "X: (4, 6); sum(X[::2, 1:5:2]**2) + sum(X[::-1, 0]*X[:, 1]) + sum(X[1:3, -2:]**3)",
    "new axes": "x: n; y: m; sum(exp(-(x[:, None] - y[None, :])**2))",
    "concat": "X: (n, m); Y: (k, m); sum(concat(X, Y)**3) + sum(concat(X, X*2, axis=1)**2)",
    "stack": "x: n; y: n; C: const(2, n); sum(stack(x, y)*C) + sum(stack(x, y, axis=1)**2)",
    "reshape": "X: (n, 6); C: const(n, 2, 3); sum(reshape(X, (n, 2, 3))*C) + sum(reshape(X, -1)**2)",
    "constants": "X: (n, n); sum((X + eye(n)) @ ones((n, 2))) + sum(X*zeros((n, n))) + trace(X @ (2*eye(n)))",
    "sizes": "X: (n, m); sum(X**2)/n + mean(X)*m/(n - 1)",
    "inverse": "A: (n, n); C: const(n, n); sum(inv(A)*C)",
    "solve vector": "A: (n, n); b: n; c: const(n); dot(c, solve(A, b))",
    "solve matrix": "A: (n, n); B: (n, k); sum(solve(A, B)**2)",
    "determinants": "A: (n, n); det(A) + logdet(A)",
    "cholesky": "A: (n, n); C: const(n, n); sum(cholesky(A @ A.T + 3*eye(n))*C)",
    "gaussian": "x: n; mu: n; S: (n, n); dot(x - mu, solve(S @ S.T + eye(n), x - mu))/2 + logdet(S @ S.T + eye(n))/2",
    "order of products": "A: (n, m); B: (m, n); x: n; y: const(n); "
    "dot(y, A @ B @ x) + sum(outer(x, x) @ x) + trace(A @ B)",
    "products of sums": "X: (n, 3); v: 3; w: 3; c: (3, 1); r: (1, 3); "
    "(((c @ r) @ X.T) @ (ones((3, n)).T @ (w + v)))[0]",
    "one operand twice": "W: 3; o: (1, 1); sum(outer(diag(o), diag(o)) + W)",
    "where": "X: (n, m); y: m; sum(where(X > 0, X**2*y, sin(X)*3)) + sum(where(y > 0, y, X))",
    "masked": "x: n; sum(where(x > 0, log(max(x, 0.1)), where(x > -1, x*x, -x)))",
    "kernel": "X: (n, k); Y: const(m, k); sum(exp(-sum((X[:, None, :] - Y[None, :, :])**2, axis=2)))",
    "unused": "X: (n, m); y: n; sum(y**2)",
}


def _read(text: str) -> FormulaData:
    return frontend.read(text)


def _point(tape: Tape, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = {}
    for given in tape.inputs:
        shape = shape_value(given.shape, SIZES)
        values[given.name] = rng.uniform(0.3, 1.7, shape) * rng.choice([-1.0, 1.0], shape)
        if len(shape) == 2 and shape[0] == shape[1]:
            values[given.name] = values[given.name] + 3 * np.eye(shape[0])
    return values


def run(tape: Tape, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every name of a tape, with its value."""
    values = {name: np.float64(size) for name, size in SIZES.items()} | dict(point)
    for step in tape.steps:
        made = np.asarray(evaluate(step.expr, values, SIZES))
        assert made.shape == shape_value(step.shape, SIZES), (step.name, step.shape, made.shape)
        values[step.name] = made
        if step.into is not None:
            values[step.into] = values[step.into] + made if step.into in values else made
    return values


def outputs(tape: Tape, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    values = run(tape, point)
    return {label: np.asarray(evaluate(expr, values, SIZES)) for label, expr in tape.outputs}


def close(a: np.ndarray, b: np.ndarray, tolerance: float) -> bool:
    scale = max(np.abs(a).max(initial=0.0), np.abs(b).max(initial=0.0), 1e-3)
    return a.shape == b.shape and np.abs(a - b).max(initial=0.0) <= tolerance * scale


@pytest.mark.parametrize("name", FORMULAS)
def test_adjoint_against_differences_of_the_value(name: str) -> None:
    primal = linearize(_read(FORMULAS[name]))
    check_tape(primal)
    wrt = [given.name for given in primal.inputs if not given.constant]
    people = adjoint(primal, wrt)
    check_tape(people)
    point = _point(primal)
    found = outputs(people, point)
    rng = np.random.default_rng(1)
    for variable in wrt:
        assert found[variable].shape == point[variable].shape
        for _ in range(3):
            direction, h = rng.standard_normal(point[variable].shape), 1e-5
            ends = [outputs(primal, {**point, variable: point[variable] + s * h * direction})["value"] for s in (1, -1)]
            slope = (ends[0] - ends[1]) / (2 * h)
            assert close(np.asarray(np.sum(found[variable] * direction)), slope, 1e-6), variable


@pytest.mark.parametrize("name", FORMULAS)
def test_code_tape_gives_the_same_numbers(name: str) -> None:
    primal = linearize(_read(FORMULAS[name]))
    wrt = [given.name for given in primal.inputs if not given.constant]
    point = _point(primal)
    people = outputs(adjoint(primal, wrt), point)
    values = for_values(primal)
    check_tape(values)
    code = for_code(adjoint(values, wrt))
    check_tape(code)
    for label, found in outputs(code, point).items():
        assert close(found, people[label], 1e-12), label


@pytest.mark.parametrize("name", FORMULAS)
def test_dot_product_of_adjoint_and_tangent(name: str) -> None:
    primal = linearize(_read(FORMULAS[name]))
    wrt = [given.name for given in primal.inputs if not given.constant]
    point = _point(primal)
    forward = tangent(primal, wrt)
    check_tape(forward)
    rng = np.random.default_rng(2)
    dots = {dot: rng.standard_normal(point[variable].shape) for variable, dot in forward.dots if variable in point}
    moved = outputs(forward, {**point, **dots})["value_dot"]
    gradient = outputs(adjoint(primal, wrt), point)
    names = dict(forward.dots)
    sent = sum(np.sum(gradient[variable] * dots[names[variable]]) for variable in wrt)
    assert close(np.asarray(moved), np.asarray(sent), 1e-11)


def test_every_op_is_covered() -> None:
    used = set()
    for text in FORMULAS.values():
        formula = _read(text)
        for statement in formula.statements:
            used |= {part.op for part in walk(statement.expr) if isinstance(part, Call)}
        tape = linearize(formula)
        tapes = (adjoint(tape, formula.inputs), tangent(tape, formula.inputs))
        used |= {part.op for each in tapes for step in each.steps for part in walk(step.expr) if isinstance(part, Call)}
    assert set(ARRAYS) - used == {"apply", "apply_partial", "declared"}
