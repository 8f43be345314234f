"""Values of the array ops at the working precision of mpmath, over NumPy arrays of mpmath numbers.

The reference of `symdiff check` and of the tests: definitions written down plainly, nothing shared with
`array_helpers`. Only ops on which NumPy's own function does not serve are here. The first argument is the options of
the op (axes counted from the front, sizes as numbers). What must be NaN in generated code is NaN here: a pivot counts
as 0 where it is nothing but rounding at the working precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mpmath import mp, mpf

Options = tuple[Any, ...]
Array = Any  # of mpmath numbers (dtype object), or one number
_GUARD = 20  # bits of the working precision that a pivot may have lost and still count as one


def numbers(value: Any) -> Any:
    """Every element as an mpmath number (truth values stay); a 0-d array becomes the number itself."""
    with np.errstate(all="ignore"):  # NumPy looks at the processor's flags after a NaN
        made = _NUMBER(value) if isinstance(value, np.ndarray) else _number(value)
    return made[()] if isinstance(made, np.ndarray) and made.ndim == 0 else made


def _number(x: Any) -> Any:
    return bool(x) if isinstance(x, bool | np.bool_) else mpf(x)


_NUMBER = np.frompyfunc(_number, 1, 1)


# -- along axes --------------------------------------------------------------------------------------------------------


def lanes(x: Array, axes: Sequence[int] | None) -> tuple[Any, tuple[int, ...], tuple[int, ...]]:
    """The elements along the axes in rows: (a matrix, the axes, the shape before joining them, these axes last)."""
    x = np.asarray(x, dtype=object)
    found = tuple(range(x.ndim)) if axes is None else tuple(axes)
    moved = np.moveaxis(x, found, range(x.ndim - len(found), x.ndim))
    kept = moved.shape[: x.ndim - len(found)]
    return moved.reshape(math.prod(kept), math.prod(moved.shape[len(kept) :])), found, moved.shape


def _reduced(function: Callable[[list[Any]], Any], options: Options, x: Array) -> Array:
    """`function` of the elements along the axes, for every place that is left."""
    axes, keepdims = options
    rows, found, shape = lanes(x, axes)
    made = np.empty(len(rows), dtype=object)
    for k, row in enumerate(rows):
        made[k] = function(list(row))
    value = made.reshape(shape[: len(shape) - len(found)])
    return np.expand_dims(value, found) if keepdims else value


def _along(function: Callable[[list[Any]], list[Any]], x: Array, axis: int | Sequence[int] | None) -> Array:
    """`function` of the elements along the axes, which gives as many."""
    rows, found, shape = lanes(x, (axis,) if isinstance(axis, int) else axis)
    made = np.empty(rows.shape, dtype=object)
    for k, row in enumerate(rows):
        made[k] = function(list(row))
    return np.moveaxis(made.reshape(shape), range(len(shape) - len(found), len(shape)), found)


def _largest(row: list[Any]) -> Any:
    return mp.nan if any(map(mp.isnan, row)) else max(row, default=-mp.inf)


def _logsumexp(row: list[Any]) -> Any:
    """The largest element is taken out only because mpmath has no exponential of an infinity less an infinity."""
    top = _largest(row)
    return top + mp.log(mp.fsum(mp.exp(x - top) for x in row)) if mp.isfinite(top) else top


def _softmax(row: list[Any]) -> list[Any]:
    top = _largest(row)
    if not mp.isfinite(top):
        return [mp.nan for _ in row]
    parts = [mp.exp(x - top) for x in row]
    total = mp.fsum(parts)
    return [part / total for part in parts]


def _others(row: list[Any]) -> list[Any]:
    return [mp.fprod(row[:k] + row[k + 1 :]) for k in range(len(row))]


def mean(options: Options, x: Array) -> Array:
    """The mean of nothing is NaN."""
    return _reduced(lambda row: sum(row, mpf(0)) / len(row) if row else mp.nan, options, x)


def amax(options: Options, x: Array) -> Array:
    """NaN wins; of nothing -inf."""
    return _reduced(_largest, options, x)


def amin(options: Options, x: Array) -> Array:
    """NaN wins; of nothing +inf."""
    return _reduced(lambda row: -_largest([-x for x in row]), options, x)


def norm(options: Options, x: Array) -> Array:
    """sqrt(sum(x**2))."""
    return _reduced(lambda row: mp.sqrt(sum((x * x for x in row), mpf(0))), options, x)


def logsumexp(options: Options, x: Array) -> Array:
    """log(sum(exp(x))); of nothing -inf."""
    return _reduced(_logsumexp, options, x)


def softmax(options: Options, x: Array) -> Array:
    """exp(x)/sum(exp(x)); NaN where the largest element is not finite."""
    return _along(_softmax, x, options[0])


def prod_others(options: Options, x: Array) -> Array:
    """For every element the product of all others."""
    return _along(_others, x, options[0])


def cumsum(options: Options, x: Array) -> Array:
    """Running sums, from the end where the second option says so."""
    axis, reverse = options
    x = np.asarray(x, dtype=object)
    return np.flip(np.cumsum(np.flip(x, axis), axis=axis), axis) if reverse else np.cumsum(x, axis=axis)


def put(options: Options, x: Array) -> Array:
    """Zeros with x in the place of a slice."""
    items, shape = options
    made = np.full(shape, mpf(0), dtype=object)
    made[items] = x
    return made


# -- square matrices ---------------------------------------------------------------------------------------------------


def _zeros(*shape: int) -> Array:
    return np.full(shape, mpf(0), dtype=object)


def _nans(shape: tuple[int, ...]) -> Array:
    return np.full(shape, mp.nan, dtype=object)


def _finite(a: Array) -> bool:
    return all(map(mp.isfinite, np.asarray(a, dtype=object).flat))


def _eliminated(a: Array, b: Array) -> tuple[Array, Array, Any]:
    """Upper triangle, right side and determinant after elimination with row pivots; the determinant is 0 where a pivot
    is nothing but rounding, and the rest is then of no use.
    """
    a, b, det = np.array(a, dtype=object), np.array(b, dtype=object), mpf(1)
    n = len(a)
    least = max((abs(x) for x in a.flat), default=mpf(0)) * mpf(2) ** (_GUARD - mp.prec)
    for k in range(n):
        p = max(range(k, n), key=lambda row: abs(a[row, k]))
        if abs(a[p, k]) <= least:
            return a, b, mpf(0)
        if p != k:
            a[[k, p]], b[[k, p]], det = a[[p, k]], b[[p, k]], -det
        det *= a[k, k]
        for row in range(k + 1, n):
            factor = a[row, k] / a[k, k]
            a[row, k:] = a[row, k:] - factor * a[k, k:]
            b[row] = b[row] - factor * b[k]
    return a, b, det


def solve(options: Options, a: Array, b: Array) -> Array:
    """X with A X = B; NaN for a singular matrix."""
    if not (_finite(a) and _finite(b)):
        return _nans(np.shape(b))
    upper, x, det = _eliminated(a, b)
    if not det:
        return _nans(np.shape(b))
    for k in range(len(upper) - 1, -1, -1):
        for j in range(k + 1, len(upper)):
            x[k] = x[k] - upper[k, j] * x[j]
        x[k] = x[k] / upper[k, k]
    return x


def _eye(n: int) -> Array:
    made = _zeros(n, n)
    for k in range(n):
        made[k, k] = mpf(1)
    return made


def inv(options: Options, a: Array) -> Array:
    """The inverse; NaN for a singular matrix."""
    return solve((), a, _eye(len(a)))


def det(options: Options, a: Array) -> Any:
    """The determinant, by elimination."""
    return _eliminated(a, _zeros(len(a)))[2] if _finite(a) else mp.nan


def logdet(options: Options, a: Array) -> Any:
    """log|det A|; -inf for a singular matrix."""
    found = det((), a)
    return mp.log(abs(found)) if found else -mp.inf


def cofactor(options: Options, a: Array) -> Array:
    """Signed minors."""
    n = len(a)
    made = _zeros(n, n)
    for i in range(n):
        for j in range(n):
            minor = np.delete(np.delete(np.asarray(a, dtype=object), i, 0), j, 1)
            made[i, j] = (-1) ** (i + j) * det((), minor)
    return made


def cholesky(options: Options, a: Array) -> Array:
    """Lower triangular L with L L^T = A, from the lower triangle of A; NaN for an indefinite matrix."""
    n = len(a)
    low = _zeros(n, n)
    for i in range(n):
        for j in range(i + 1):
            rest = a[i, j] - sum((low[i, k] * low[j, k] for k in range(j)), mpf(0))
            if i > j:
                low[i, j] = rest / low[j, j]
            elif mp.isfinite(rest) and rest > 0:
                low[i, i] = mp.sqrt(rest)
            else:
                return _nans((n, n))
    return low


def cholesky_tangent(options: Options, low: Array, a_dot: Array) -> Array:
    """The derivative of L in the direction of the lower triangle of A_dot: L phi(L^-1 A_dot L^-T)."""
    n = len(low)
    symmetric = np.array([[a_dot[max(i, j), min(i, j)] for j in range(n)] for i in range(n)], dtype=object)
    inside = solve((), low, solve((), low, symmetric.reshape(n, n)).T).T
    for i in range(n):
        inside[i, i] = inside[i, i] / 2
        inside[i, i + 1 :] = mpf(0)
    return np.dot(low, inside)


def cholesky_adjoint(options: Options, low: Array, low_bar: Array) -> Array:
    """The transpose of `cholesky_tangent`, one element after the other."""
    n = len(low)
    made = _zeros(n, n)
    for i in range(n):
        for j in range(i + 1):
            unit = _zeros(n, n)
            unit[i, j] = mpf(1)
            moved = cholesky_tangent((), low, unit)
            made[i, j] = sum((moved[p, q] * low_bar[p, q] for p in range(n) for q in range(p + 1)), mpf(0))
    return made


__all__ = [
    "amax",
    "amin",
    "cholesky",
    "cholesky_adjoint",
    "cholesky_tangent",
    "cofactor",
    "cumsum",
    "det",
    "inv",
    "lanes",
    "logdet",
    "logsumexp",
    "mean",
    "norm",
    "numbers",
    "prod_others",
    "put",
    "softmax",
    "solve",
]
