"""Kinks, ties, zeros, empty arrays and singular matrices: numbers that the conventions fix, in NumPy and in C.

No library is asked here: every expected number is the convention of the README, written out.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import symdiff

BACKENDS = ["numpy", pytest.param("c", marks=pytest.mark.compiler)]
NAN, INF = float("nan"), float("inf")


def run(text: str, backend: str, **arguments: Any) -> tuple[Any, Any]:
    kernel: Any = symdiff.formula(text).gradient().compile(backend=backend)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        result: tuple[Any, Any] = kernel(**arguments)
    return result


def same(got: Any, want: Any) -> None:
    assert np.array_equal(np.asarray(got), np.asarray(want, dtype=np.float64), equal_nan=True), f"{got} for {want}"


# formula of x, x, value, gradient
POINTS = {
    "amax shares ties": ("x: n; amax(x)", [3, 1, 3, 3], 3, [1 / 3, 0, 1 / 3, 1 / 3]),
    "amin shares ties": ("x: n; amin(x)", [1, 1, 2], 1, [0.5, 0.5, 0]),
    "max of one array": ("x: n; max(x)*2", [5, 5], 10, [1, 1]),
    "max with a number ties": ("x: n; sum(max(x, 0))", [0, 1, -1], 1, [0.5, 1, 0]),
    "maximum with itself": ("x: n; sum(maximum(x, x))", [2, 3], 5, [1, 1]),
    "relu at 0": ("x: n; sum(relu(x))", [0, 1, -1], 1, [0, 1, 0]),
    "abs at 0": ("x: n; sum(abs(x))", [0, -2], 2, [0, -1]),
    "norm1 at 0": ("x: n; norm1(x)", [0, -2, 3], 5, [0, -1, 1]),
    "norm at 0": ("x: n; norm(x)", [0, 0], 0, [0, 0]),
    "ties within rows": ("x: (2, n); sum(amax(x, axis=1))", [[1, 1], [2, 1]], 3, [[0.5, 0.5], [1, 0]]),
    "ties of all": ("x: (2, n); amax(x)", [[2, 2], [2, 2]], 2, [[0.25, 0.25], [0.25, 0.25]]),
    "max pooling with ties": (
        "x: 6; w: const(3) = [1, 2, 3]; amax(reshape(x, (3, 2)), axis=1) @ w",
        [1, 1, 0, 4, 2, 2],
        15,
        [0.5, 0.5, 0, 2, 1.5, 1.5],
    ),
    "prod without zeros": ("x: n; prod(x)", [2, 3, 4], 24, [12, 8, 6]),
    "prod with one zero": ("x: n; prod(x)", [2, 0, 4], 0, [0, 8, 0]),
    "prod with two zeros": ("x: n; prod(x)", [0, 0, 4], 0, [0, 0, 0]),
    "prod along an axis": ("x: (2, n); sum(prod(x, axis=1))", [[0, 3], [2, 5]], 10, [[3, 0], [5, 2]]),
    "det of rank n - 1": ("x: (n, n); det(x)", [[1, 2], [2, 4]], 0, [[4, -2], [-2, 1]]),
    "det of rank 1": ("x: (3, 3); det(x)", [[1, 1, 1], [1, 1, 1], [1, 1, 1]], 0, np.zeros((3, 3))),
    "det of zeros": ("x: (n, n); det(x)", [[0, 0], [0, 0]], 0, [[0, 0], [0, 0]]),
    "det of nothing": ("x: (n, n); det(x)", np.zeros((0, 0)), 1, np.zeros((0, 0))),
    "logdet of nothing": ("x: (n, n); logdet(x)", np.zeros((0, 0)), 0, np.zeros((0, 0))),
    "logdet of a negative determinant": ("x: (n, n); logdet(x)", [[-1, 0], [0, 1]], 0, [[-1, 0], [0, 1]]),
    "where takes no NaN from the other branch": (
        "x: n; sum(where(x > 0, log(x), 0*x))",
        [1, 0, -1],
        0,
        [1, 0, 0],
    ),
    "where on a reduction": ("x: n; where(sum(x) > 0, norm(x)**2, prod(x))", [0, -2], 0, [-2, 0]),
    "cholesky reads the lower triangle": (
        "x: (2, 2); trace(cholesky(x))",
        [[4, 99], [0, 9]],
        5,
        [[0.25, 0], [0, 1 / 6]],
    ),
    "logsumexp of large numbers": ("x: n; logsumexp(x)", [1000, 1000 - INF], 1000, [1, 0]),
    "softmax of large numbers": ("x: 2; c: const(2) = [1, 3]; c @ softmax(x)", [1000, 0], 1, [0, 0]),
    # empty arrays
    "sum of nothing": ("x: n; sum(x)", [], 0, []),
    "prod of nothing": ("x: n; prod(x)", [], 1, []),
    "mean of nothing": ("x: n; mean(x)", [], NAN, []),
    "amax of nothing": ("x: n; amax(x)", [], -INF, []),
    "amin of nothing": ("x: n; amin(x)", [], INF, []),
    "logsumexp of nothing": ("x: n; logsumexp(x)", [], -INF, []),
    "norm of nothing": ("x: n; norm(x) + norm1(x) + norm(x)**2", [], 0, []),
    "dot of nothing": ("x: n; dot(x, x)", [], 0, []),
    "softmax of nothing": ("x: n; sum(softmax(x))", [], 0, []),
    "cumsum of nothing": ("x: n; sum(cumsum(x))", [], 0, []),
    "rows of nothing": ("x: (2, n); sum(prod(x, axis=1)) + sum(x @ x.T)", np.zeros((2, 0)), 2, np.zeros((2, 0))),
    # NaN
    "NaN wins in amax": ("x: n; amax(x)", [1, NAN, 3], NAN, None),
    "NaN wins in amin": ("x: n; amin(x)", [1, NAN, 3], NAN, None),
    "inverse of a singular matrix": ("x: (2, 2); sum(inv(x))", [[1, 2], [2, 4]], NAN, np.full((2, 2), NAN)),
    "inverse of zeros": ("x: (n, n); trace(inv(x))", [[0]], NAN, [[NAN]]),
    "solve of a singular matrix": ("x: (2, 2); sum(solve(x, ones(2)))", [[1, 2], [2, 4]], NAN, np.full((2, 2), NAN)),
    "cholesky of an indefinite matrix": ("x: (2, 2); sum(cholesky(x))", [[1, 2], [2, 1]], NAN, None),
    "logdet of zeros": ("x: (n, n); logdet(x)", [[0, 0], [0, 0]], None, np.full((2, 2), NAN)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", POINTS)
def test_written_out(name: str, backend: str) -> None:
    text, x, value, gradient = POINTS[name]
    got, gradients = run(text, backend, x=np.array(x, dtype=np.float64))
    if value is not None:
        same(got, value)
    if gradient is not None:
        assert np.shape(gradients.x) == np.shape(x)
        np.testing.assert_allclose(gradients.x, np.array(gradient, dtype=np.float64), rtol=4e-16, atol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_singular_matrix_leaves_what_does_not_depend_on_it(backend: str) -> None:
    value, gradients = run("A: (2, 2); b: 2; sum(inv(A)) + sum(b**2)", backend, A=np.ones((2, 2)), b=np.array([1.0, 2]))
    same(value, NAN)
    same(gradients.A, np.full((2, 2), NAN))
    same(gradients.b, [2, 4])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_mean_over_no_samples_leaves_finite_penalties(backend: str) -> None:
    """With n = 0 the loss is NaN, as a mean of nothing; what the samples send back is a sum over none of them."""
    text = "X: const(n, d); y: const(n); w: d; mean((X @ w - y)**2) + sum(w**2)"
    value, gradients = run(text, backend, X=np.zeros((0, 2)), y=np.zeros(0), w=np.array([1.0, 2]))
    same(value, NAN)
    same(gradients.w, [2, 4])


@pytest.mark.parametrize("backend", BACKENDS)
def test_integers_and_lists_become_float64(backend: str) -> None:
    value, gradients = run("A: (2, 2); x: 2; x @ A @ x", backend, A=np.eye(2, dtype=np.int32), x=np.array([1, 2]))
    assert value == 5.0
    same(gradients.x, [2, 4])
    assert gradients.A.dtype == np.float64
