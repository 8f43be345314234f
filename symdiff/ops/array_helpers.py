"""Functions of whole arrays that generated NumPy code carries with it, because NumPy lacks them or decides otherwise.

Copied like those of `helpers.py`: a definition goes into the generated module together with what it names, so
everything here needs ``np`` alone. Arguments are arrays or numbers; results have the float type of the arguments, and
a 0-d result is a scalar. `axis` is an axis, a tuple of axes, or None for all. Nothing raises or warns on an empty array
or a singular matrix, if called under ``np.errstate(all="ignore")``.

The C twins are ``templates/c/helpers/array/NAME.c.j2``. What a result *is* (singular or not, which pivot, which of two
equal zeros) is decided by the same operations in the same order in both languages, which is why the factorisations are
written out here: LAPACK rounds differently, and a pivot that is 0 in one language and 1e-17 in the other gives NaN
here and 1e17 there.
"""

import numpy as np


def _floats(x: np.ndarray) -> np.ndarray:
    """An array of floats: float32 stays, integers become float64."""
    x = np.asarray(x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _result(value: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The value in its float type; a 0-d array becomes a scalar."""
    result: np.ndarray = np.asarray(value, dtype)[()]
    return result


def _lanes(x: np.ndarray, axis: int | tuple[int, ...] | None) -> tuple[np.ndarray, tuple[int, ...], tuple[int, ...]]:
    """The axes as one last axis: (that array, the sorted axes, the shape before joining them)."""
    wanted = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    axes = tuple(sorted(k % x.ndim for k in wanted))
    moved = np.moveaxis(x, axes, range(-len(axes), 0))
    kept = x.ndim - len(axes)
    count = int(np.prod(moved.shape[kept:], dtype=np.int64))
    return moved.reshape((*moved.shape[:kept], count)), axes, moved.shape


# ---- Elementwise: a value with what its derivative needs ----


def sigmoid_and_slope(x: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """v = sigmoid(x), and its derivative v*sigmoid(-x) = v/(1 + exp(x)), with one exponential for both.

    `out`, which may be x, is memory for the derivative. It is 0 beyond x = 709.78 (88.7 in float32), where exp(x) is
    infinite and the derivative no normal number (below 5.6e-309).
    """
    e = np.exp(x, out=out)
    v = np.minimum(e, 1e38)  # stands for all larger exponentials, whose sigmoid is 1
    v /= 1.0 + v
    e += 1.0
    return v, np.divide(v, e, out=e)


def softplus_and_slope(x: np.ndarray, out: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """softplus(x) = log(1 + exp(x)), and its derivative sigmoid(x), with one exponential for both.

    `out`, which may be x, is memory for the derivative.
    """
    e = np.exp(x)
    np.minimum(e, 1e38, out=e)  # stands for all larger exponentials, whose softplus is x and whose sigmoid is 1
    v = np.log1p(e)
    np.maximum(v, x, out=v)
    slope = np.add(e, 1.0, out=out)
    return v, np.divide(e, slope, out=slope)


# ---- Reductions ----

# np.sum(x, axis) without its way through Python, which takes as long as the sum of a small array.
reduce_sum = np.add.reduce


def amax(x: np.ndarray, axis: int | tuple[int, ...] | None, keepdims: bool = False) -> np.ndarray:
    """The largest; NaN wins, of equal zeros the first one counts, of nothing it is -inf."""
    x = _floats(x)
    return _first_zero(np.max(x, axis=axis, keepdims=keepdims, initial=-np.inf), x, axis)


def amin(x: np.ndarray, axis: int | tuple[int, ...] | None, keepdims: bool = False) -> np.ndarray:
    """The smallest; NaN wins, of equal zeros the first one counts, of nothing it is +inf."""
    x = _floats(x)
    return _first_zero(np.min(x, axis=axis, keepdims=keepdims, initial=np.inf), x, axis)


def _first_zero(value: np.ndarray, x: np.ndarray, axis: int | tuple[int, ...] | None) -> np.ndarray:
    """`value` with zeros of the sign that comes first in x: which one NumPy finds depends on the machine."""
    if np.any(value == 0):
        lanes = _lanes(x, axis)[0]
        first = np.take_along_axis(lanes, np.argmax(lanes == 0, axis=-1)[..., None], axis=-1)
        value = np.where(value == 0, first.reshape(np.shape(value)), value)
    return _result(value, x.dtype)


def logsumexp(x: np.ndarray, axis: int | tuple[int, ...] | None, keepdims: bool = False) -> np.ndarray:
    """log(sum(exp(x))) = m + log(sum(exp(x - m))), m the largest, which is the result if not finite."""
    x = _floats(x)
    if not x.ndim:
        return x[()]
    m = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    e = np.exp(x - m)
    value = _log_of_sum(e, reduce_sum(e, axis=axis, keepdims=True), m, axis)
    return value[()] if keepdims else value.squeeze(axis)[()]


def logsumexp_and_softmax(
    x: np.ndarray, axis: int | tuple[int, ...] | None, keepdims: bool = False, out: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """logsumexp(x), and its derivative exp(x - logsumexp(x)), made of the same exponentials; `out`, which may be x, is
    memory for the latter.
    """
    m = np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf)
    e = np.subtract(x, m, out)
    np.exp(e, e)
    total = reduce_sum(e, axis=axis, keepdims=True)
    value = _log_of_sum(e, total, m, axis)
    e /= total
    return value[()] if keepdims else value.squeeze(axis)[()], e


def _log_of_sum(e: np.ndarray, total: np.ndarray, m: np.ndarray, axis: int | tuple[int, ...] | None) -> np.ndarray:
    """m + log(total) for e = exp(x - m) and its sums.

    In total the largest of e, a 1, has rounded what is small beside it. That counts where the result is near zero,
    which takes a total near 1 (so that no other is as large) and an m near 0: there it is m + log1p(rest), and the
    total becomes 1 + rest. Where m is not finite, all of e that is not 0 is NaN, and the rest is 0.
    """
    value: np.ndarray = np.log(total)
    value += m
    if total.size and not total.item(total.argmin()) >= 1.25:  # a NaN is the smallest
        near = ~(total + np.abs(m) >= 1.25)
        if near.any():
            lanes = _lanes(e, axis)[0][near.squeeze(axis)]
            rest = reduce_sum(lanes, axis=-1, where=lanes < 1.0)
            value[near] = m[near] + np.log1p(rest)
            total[near] = 1.0 + rest
    return value


def softmax(x: np.ndarray, axis: int | tuple[int, ...] | None, out: np.ndarray | None = None) -> np.ndarray:
    """exp(x)/sum(exp(x)), after subtraction of the largest; NaN where that is +-inf or NaN. `out` may be x."""
    x = _floats(x)
    e: np.ndarray = np.subtract(x, np.maximum.reduce(x, axis=axis, keepdims=True, initial=-np.inf), out=out)
    np.exp(e, out=e)
    e /= reduce_sum(e, axis=axis, keepdims=True)
    return e


def prod_others(x: np.ndarray, axis: int | tuple[int, ...] | None) -> np.ndarray:
    """For every element the product of all others: those before times those after, no division, so exact with zeros."""
    x = _floats(x)
    lanes, axes, shape = _lanes(x, axis)
    before, after = np.ones_like(lanes), np.ones_like(lanes)
    before[..., 1:] = np.cumprod(lanes[..., :-1], axis=-1)
    after[..., :-1] = np.cumprod(lanes[..., :0:-1], axis=-1)[..., ::-1]
    return _result(np.moveaxis((before * after).reshape(shape), range(-len(axes), 0), axes), x.dtype)


def cumsum_reverse(x: np.ndarray, axis: int) -> np.ndarray:
    """Element and all behind it, summed from the end."""
    return np.flip(np.cumsum(np.flip(_floats(x), axis), axis), axis)


def put(x: np.ndarray, shape: tuple[int, ...], items: tuple[int | slice | None, ...]) -> np.ndarray:
    """Zeros of `shape` with x at [items]: the adjoint of taking [items]."""
    x = _floats(x)
    result = np.zeros(shape, x.dtype)
    result[items] = x
    return result


# ---- Square matrices. No BLAS: every element is worked out by the same operations, in the same order, as in C ----


def _minus_outer(a: np.ndarray, column: np.ndarray, row: np.ndarray, space: np.ndarray) -> None:
    """a -= column row^T, in two roundings as in C; `space` is for the product: fresh memory costs more than that."""
    product = space[: a.size].reshape(a.shape)
    np.multiply(column[:, None], row, out=product)
    a -= product


def _swap(a: np.ndarray, i: int, j: int) -> None:
    """Exchange two rows in place."""
    row = a[i].copy()
    a[i] = a[j]
    a[j] = row


def _lu(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """L and U in one matrix, the order of the rows, and its sign: LU with the largest pivot of the column.

    A column of zeros is passed over, as LAPACK does, and leaves a zero on the diagonal.
    """
    lu = np.array(_floats(a), order="C")
    order, sign, space = np.arange(len(lu)), 1.0, np.empty(lu.size, lu.dtype)
    for k in range(len(lu)):
        p = k + int(np.abs(lu[k:, k]).argmax())  # the first NaN, else the first of the largest
        if p != k:
            _swap(lu, k, p)
            order[k], order[p], sign = order[p], order[k], -sign
        if lu[k, k] != 0:
            factors = lu[k + 1 :, k]
            factors /= lu[k, k]
            _minus_outer(lu[k + 1 :, k + 1 :], factors, lu[k, k + 1 :], space)
    return lu, order, sign


def solve(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """X with A X = B for a vector or a matrix B; NaN everywhere where a pivot is exactly 0 or NaN."""
    lu, order, _ = _lu(a)
    dtype = np.result_type(lu.dtype, _floats(b).dtype)
    if not np.all(np.abs(np.diagonal(lu)) > 0):
        return np.full(np.shape(b), np.nan, dtype)
    x = np.array(_floats(b)[order], dtype).reshape(len(lu), -1 if np.size(b) else 0)
    space = np.empty(x.size, dtype)
    for k in range(len(lu)):
        _minus_outer(x[k + 1 :], lu[k + 1 :, k], x[k], space)
    for k in range(len(lu) - 1, -1, -1):
        x[k] /= lu[k, k]
        _minus_outer(x[:k], lu[:k, k], x[k], space)
    return x.reshape(np.shape(b))


def inv(a: np.ndarray) -> np.ndarray:
    """The inverse; NaN everywhere where a pivot is exactly 0 or NaN."""
    return solve(a, np.eye(len(a), dtype=_floats(a).dtype))


def det(a: np.ndarray) -> np.ndarray:
    """Determinant: product of the pivots, which does not overflow or underflow on its way."""
    lu, _, sign = _lu(a)
    mantissa, exponent = _scaled_product(np.diagonal(lu), sign)
    return _result(np.ldexp(mantissa, exponent), lu.dtype)


def _scaled_product(factors: np.ndarray, start: float) -> tuple[np.ndarray, int]:
    """start times all factors as mantissa and power of two; for the factors of a determinant."""
    mantissas, exponents = np.frexp(factors)
    value, exponent = factors.dtype.type(start), int(np.sum(exponents))
    for k in range(0, len(factors), 64):
        value, shift = np.frexp(np.prod(mantissas[k : k + 64], initial=value))
        exponent += int(shift)
    return value, min(max(exponent, -100000), 100000)


def logdet(a: np.ndarray) -> np.ndarray:
    """log|det A|, summed over the pivots; -inf for a singular matrix, as the logarithm of its determinant."""
    pivots = np.abs(np.diagonal(_lu(a)[0]))
    return _result(np.sum(np.log(pivots)), pivots.dtype)


def cofactor(a: np.ndarray) -> np.ndarray:
    """Partials of det A by the elements of A, for singular matrices too: the matrix of signed minors.

    Up to 3 x 3 the minors themselves. Beyond, from P A Q = L U with complete pivoting, which leaves the smallest pivot
    r in the last place: U = [[U1, u], [0, r]] and adj(A) = +-det(U1) Q [[U1^-1, 0], [0, 1]] [[r, -u], [0, 1]] L^-1 P,
    where nothing is divided by r. If a pivot before it is 0, the rank is below n - 1 and all cofactors are 0.
    NaN everywhere where an element of a matrix beyond 3 x 3 is not finite.
    """
    a = _floats(a)
    n = len(a)
    if n < 4:
        return _minors(a)
    if not np.all(np.isfinite(a)):
        return np.full_like(a, np.nan)
    lu, rows, columns, sign = _lu_complete(a)
    if lu[n - 2, n - 2] == 0:
        return np.zeros_like(a)
    x = np.eye(n, dtype=a.dtype)
    space = np.empty(a.size, a.dtype)
    for k in range(n):
        _minus_outer(x[k + 1 :], lu[k + 1 :, k], x[k], space)
    x[:-1] *= lu[-1, -1]
    _minus_outer(x[:-1], lu[:-1, -1], x[-1], space)
    for k in range(n - 2, -1, -1):
        x[k] /= lu[k, k]
        _minus_outer(x[:k], lu[:k, k], x[k], space)
    mantissa, exponent = _scaled_product(np.diagonal(lu)[:-1], sign)
    result = np.empty_like(a)
    result[np.ix_(rows, columns)] = np.ldexp(mantissa * x, exponent).T
    return result


def _minors(a: np.ndarray) -> np.ndarray:
    """Cofactors of a matrix up to 3 x 3."""
    if len(a) < 2:
        return np.ones_like(a)
    if len(a) == 2:
        return np.array([[a[1, 1], -a[1, 0]], [-a[0, 1], a[0, 0]]], a.dtype)
    next_, last = np.array([1, 2, 0]), np.array([2, 0, 1])
    minors = a[np.ix_(next_, next_)] * a[np.ix_(last, last)] - a[np.ix_(next_, last)] * a[np.ix_(last, next_)]
    return _result(minors, a.dtype)


def _lu_complete(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """L and U in one matrix, order of rows, order of columns, sign: LU with the largest pivot of all that is left."""
    lu = np.array(a, order="C")
    n = len(lu)
    rows, columns, sign, space = np.arange(n), np.arange(n), 1.0, np.empty(lu.size, lu.dtype)
    for k in range(n - 1):
        left = lu[k:, k:]
        p, q = divmod(int(np.abs(left, out=space[: left.size].reshape(left.shape)).argmax()), n - k)
        for matrix, order, other in ((lu, rows, k + p), (lu.T, columns, k + q)):
            if other != k:
                _swap(matrix, k, other)
                order[k], order[other], sign = order[other], order[k], -sign
        if lu[k, k] == 0:
            break
        factors = lu[k + 1 :, k]
        factors /= lu[k, k]
        _minus_outer(lu[k + 1 :, k + 1 :], factors, lu[k, k + 1 :], space)
    return lu, rows, columns, sign


def cholesky(a: np.ndarray) -> np.ndarray:
    """Lower triangular L with L L^T = A, from the lower triangle of A alone; NaN everywhere where A is not positive
    definite.
    """
    low = np.array(_floats(a), order="C")
    space = np.empty(low.size, low.dtype)
    for k in range(len(low)):
        if not low[k, k] > 0:
            return np.full_like(low, np.nan)
        low[k, k] = np.sqrt(low[k, k])
        factors = low[k + 1 :, k]
        factors /= low[k, k]
        _minus_outer(low[k + 1 :, k + 1 :], factors, factors, space)
    return np.tril(low)


def cholesky_adjoint(low: np.ndarray, low_bar: np.ndarray) -> np.ndarray:
    """Adjoint of the lower triangle of A, where low = L = cholesky(A) and low_bar is its adjoint; zeros above.

    With the symmetric adjoint S = sym(L^-T Phi(L^T L_bar) L^-1), Phi the lower triangle with half the diagonal, this is
    S_ij + S_ji below the diagonal and S_ii on it, because each element below it stands for two of A. Worked out row by
    row from the last, as the reverse sweep of the factorisation (Giles 2008, An extended collection of matrix
    derivative results; Murray 2016, Differentiation of the Cholesky decomposition, arXiv 1602.07527).
    """
    low = _floats(low)
    bar = np.tril(_floats(low_bar)).astype(low.dtype)
    space = np.empty(bar.size, bar.dtype)
    for k in range(len(low) - 1, -1, -1):
        below = bar[k + 1 :, k] / low[k, k]
        diagonal = (bar[k, k] - np.sum(below * low[k + 1 :, k])) / low[k, k]
        bar[k + 1 :, k], bar[k, k] = below, diagonal / 2
        bar[k, :k] -= diagonal * low[k, :k] + below @ low[k + 1 :, :k]
        _minus_outer(bar[k + 1 :, :k], below, low[k, :k], space)
    return bar
