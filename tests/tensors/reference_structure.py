"""References of the formulas about structure, physics and the rest, one function each, in JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, erf, gammaln
from jax.scipy.stats import norm

Array = Any
logsumexp = jax.nn.logsumexp


def column_plus_row(a: Array, b: Array, c: Array) -> Array:
    return sum(jnp.sum((a[:, 0] + b[j] * c) ** 2) / (1 + b[j] ** 2) for j in range(3))


def broadcast_ranks(x: Array, Y: Array, z: Array, s: Array) -> Array:
    full = jnp.tanh(jnp.einsum("aon,bo->abn", x, Y) + z) * s
    return jnp.sum(full) - jnp.sum(Y) * x.shape[2]


def broadcast_ones(A: Array, B: Array, C: Array) -> Array:
    return jnp.sum(jnp.exp(jnp.outer(B, A))) * C[0, 0] + jnp.mean(A) + C[0, 0]


def keepdims(X: Array) -> Array:
    U = X - X.mean(0)
    return jnp.sum(jnp.sin(U / jnp.sqrt((U**2).sum(0)) * X.max(1)[:, None]))


def reductions_of_rank_three(X: Array) -> Array:
    squares = jnp.einsum("ijk->j", X) ** 2
    rows = jnp.einsum("ijk->ij", X)
    return jnp.sum(squares) + jnp.sum(jnp.exp(X.mean(1))) + jnp.einsum("ij,ijk->", rows, X**2)


def norms_by_axis(X: Array) -> Array:
    columns = jnp.sqrt(jnp.einsum("ij,ij->j", X, X))
    return columns.sum() + jnp.sum(jnp.abs(X).sum(1) ** 2) + jnp.sqrt(jnp.vdot(X, X)) + jnp.abs(X).sum()


def extremes(X: Array) -> Array:
    flat = jnp.sort(X.ravel())
    low, high = flat[0], flat[-1]
    return jnp.sum(jnp.sort(X, axis=0)[-1] ** 2) + jnp.sum(jnp.sort(X, axis=1)[:, 0]) + high * low + high - low


def extremes_of_two(x: Array, y: Array) -> Array:
    return jnp.sum(jnp.where(x > y, x, y) * jnp.where(x < 2 * y, x, 2 * y)) + jnp.sum(jnp.where(x > 0.1, x, 0.1))


def logsumexp_axes(X: Array) -> Array:
    middle = jnp.log(jnp.sum(jnp.exp(X), axis=(0, 2)))
    return jnp.sum(middle**2) + logsumexp(middle) + jnp.sum(jnp.log(jnp.exp(X).sum(1)) * X.sum(1))


def softmax_axes(X: Array, C: Array) -> Array:
    def along(axis: int) -> Array:
        return jnp.exp(X) / jnp.exp(X).sum(axis, keepdims=True)

    return jnp.vdot(C, along(0) + along(1) + along(2) ** 2)


def products(X: Array) -> Array:
    """Every product by multiplying in a loop."""
    m, n = X.shape
    whole = jnp.ones(())
    rows, columns = jnp.ones(m), jnp.ones(n)
    for i in range(m):
        columns = columns * X[i]
    for j in range(n):
        rows = rows * X[:, j]
        whole = whole * jnp.prod(X[:, j])
    return whole / 4 + jnp.sum(columns**2) + jnp.sum(rows[:, None] * X)


def cumulative_sums(X: Array, c: Array) -> Array:
    m, n = X.shape
    down, across = jnp.tril(jnp.ones((m, m))) @ X, X @ jnp.triu(jnp.ones((n, n)))
    return jnp.sum(c * down**2) + jnp.sum(jnp.exp(-across / 4)) + jnp.sum(across[0] ** 3)


def running_average(x: Array, t: Array) -> Array:
    return sum(((x[: i + 1].mean() - t[i]) ** 2 for i in range(x.shape[0])), 0.0 * x.sum())


def concatenate(a: Array, b: Array) -> Array:
    return jnp.sum(jnp.sin(a)) + jnp.sum(jnp.sin(b)) + jnp.sum(jnp.sin(a**2)) + jnp.sum(a**3) + 2 * a.shape[0]


def concatenate_features(X: Array, Z: Array, W: Array) -> Array:
    return jnp.sum(jnp.tanh(X @ W[:2] + Z @ W[2:]) ** 2)


def stack_axes(a: Array, b: Array) -> Array:
    rows, columns = (a, b, a * b), (a, b)
    products = sum(jnp.dot(r, c) for r in rows for c in columns)
    return products + jnp.sum(a**2 + b**2 + a**4 + b**4)


def diagonal_both_ways(v: Array, M: Array) -> Array:
    d = jnp.diagonal(M)
    return jnp.sum((v**2 * d) ** 2) + jnp.sum(d * v)


def outer_products(x: Array, y: Array, A: Array) -> Array:
    return jnp.sum((A - x[:, None] * y[None, :]) ** 2) + jnp.sum(x) * jnp.sum(x**2)


def batched_products(A: Array, B: Array, C: Array) -> Array:
    P = jnp.einsum("bmk,bkn->bmn", A, B)
    return jnp.einsum("bmn,bnm->", P, C) + jnp.sum(P**2)


def batched_products_broadcast(A: Array, B: Array, v: Array, w: Array) -> Array:
    P = jnp.einsum("abmk,bkn->abmn", A, B)
    return jnp.sum(jnp.tanh(jnp.einsum("m,abmn->abn", w, P))) + jnp.sum(jnp.einsum("abmn,n->abm", P, v) ** 2)


def transpose_rank_three(X: Array, Y: Array) -> Array:
    swapped = jnp.einsum("amn->anm", X)
    return jnp.sum((jnp.einsum("amn->nma", X) - Y) ** 2) + jnp.sum(swapped * swapped[:1])


def contraction_by_reshape(T: Array, u: Array, v: Array) -> Array:
    return jnp.sum(jnp.einsum("abc,b,c->a", T, u, v) ** 2) + jnp.sum(T**4)


def bilinear_pooling(x: Array, y: Array, W: Array) -> Array:
    return logsumexp(jnp.einsum("kmn,m,n->k", W, x, y))


def eye_zeros_ones(A: Array, b: Array) -> Array:
    return (jnp.sum(A @ (b - 1)) + 2 * jnp.sum(b - 1) - b.shape[0] * jnp.sum(b - 1)) * 8


def dimensions_as_numbers(X: Array) -> Array:
    n, d = X.shape
    return jnp.vdot(X, X) / n * jnp.log(n + 1.0) / jnp.sqrt(1.0 * d) + n**2 * X.mean() - d


def slices_and_strides(x: Array) -> Array:
    even = x[jnp.array([0, 2, 4, 6, 8])]
    pairs = x[6] * x[1] + x[7] * x[4] + x[8] * x[7]
    return jnp.sum(even**2) + jnp.dot(jnp.flip(x), x) + pairs + x[4] * x[8]


def slices_by_dimension(x: Array, y: Array) -> Array:
    n, m = x.shape[0], y.shape[0]
    first = jnp.arange(n) < m
    padded = jnp.concatenate([y, jnp.zeros(n - m)])
    return jnp.sum(jnp.where(first, x * padded, x**2)) + jnp.sum((x * jnp.roll(x, 1))[1:])


def index_rank_three(X: Array) -> Array:
    mixed = jnp.einsum("ik,jk->", X[:, 0], X[1])
    return jnp.sum(X[1] ** 2) + mixed + jnp.sum(X[0, :, 3] * X[2, :, 1]) + jnp.sum(X[..., 2:])


def reversed_order(x: Array, M: Array, c: Array) -> Array:
    tails = sum(c[i] * jnp.sum(x[i:]) ** 2 for i in range(5))
    return tails + jnp.sum(jnp.fliplr(M) * M**2) + jnp.sum(M[:, 1]) + jnp.sum(M[:, 3])


def where_arrays(X: Array, t: Array, c: Array) -> Array:
    above = (X > t).astype(X.dtype)
    low = t[t.shape[0] :].sum()
    parts = jnp.where(t < 0, jnp.exp(jnp.minimum(t, 0)), jnp.log(1 + jnp.maximum(t, 0)))
    return jnp.sum(above * X**2 + (1 - above) * c * X) + low + jnp.sum(parts)


def where_protects(x: Array) -> Array:
    safe = jnp.where(x > 0, x, 1.0)
    return jnp.sum(jnp.where(x > 0, safe**0.5 * jnp.log(safe), 0.0))


def powers(x: Array, p: Array, M: Array) -> Array:
    return (
        jnp.sum(jnp.exp(p * jnp.log(x)))
        + jnp.sum(x**2 * jnp.sqrt(x))
        + jnp.sum(M * M * M)
        + jnp.sum(jnp.exp2(M))
        + jnp.sum(1 / x)
    )


def special_functions(x: Array, Y: Array) -> Array:
    first = jnp.sum(erf(Y) * gammaln(x)) + jnp.sum(digamma(x) * jnp.arctan2(x, Y))
    return first + jnp.sum(jnp.cbrt(x) + (jnp.exp(-x) - 1) * jnp.log(x) / jnp.log(2.0))


def default_arrays(K: Array, c: Array, x: Array) -> Array:
    return jnp.einsum("i,ij,j", x, K, x) / 2 - jnp.dot(c, x)


def unused_input(x: Array, y: Array, s: Array) -> Array:
    return jnp.dot(x, x)


def input_is_output(x: Array, A: Array) -> Array:
    return 1.0 * x


def tensor_used_often(W: Array, x: Array) -> Array:
    h = x
    for _ in range(3):
        h = jnp.tanh(jnp.dot(W, h))
    return jnp.einsum("i,ij,j", h, W, x)


def graph_laplacian(A: Array, f: Array, y: Array, lam: Array) -> Array:
    return jnp.sum((f - y) ** 2) + lam / 2 * jnp.sum(A * jnp.subtract.outer(f, f) ** 2)


def graph_convolution(A: Array, X: Array, W: Array) -> Array:
    B = A + jnp.eye(A.shape[0])
    D = jnp.diag(B.sum(1) ** -0.5)
    return jnp.mean(jnp.sum(jax.nn.relu(D @ B @ D @ X @ W) ** 2, axis=1))


def page_rank_step(L: Array, r: Array, d: Array) -> Array:
    after = d * (L / L.sum(0)) @ r + (1 - d) / r.shape[0]
    return jnp.sum((after - r) ** 2)


def euler_steps(A: Array, x0: Array, h: Array) -> Array:
    step = jnp.eye(A.shape[0]) + h * A
    x3 = step @ step @ step @ x0
    return jnp.dot(x3, x3) / 2


def runge_kutta_step(A: Array, x: Array, t: Array, h: Array) -> Array:
    """For a linear system, the step is the exponential series up to the fourth power."""
    term, total = x, x
    for k in range(1, 5):
        term = h * (A @ term) / k
        total = total + term
    return jnp.sum((total - t) ** 2)


def implicit_euler(A: Array, x: Array, h: Array) -> Array:
    return jnp.sum((jnp.linalg.inv(jnp.eye(A.shape[0]) - h * A) @ x) ** 4)


def lqr_cost(A: Array, B: Array, K: Array, x0: Array, Q: Array, R: Array) -> Array:
    closed = A - B @ K
    x1 = closed @ x0
    x2 = closed @ x1
    S = K.T @ R @ K
    return x0 @ S @ x0 + x1 @ (S + Q) @ x1 + x2 @ Q @ x2


def heat_step(u: Array, c: Array) -> Array:
    def second(axis: int) -> Array:
        return jnp.diff(u, n=2, axis=axis)

    middle = u[1:-1, 1:-1]
    laplacian = second(0)[:, 1:-1] + second(1)[1:-1, :] if min(u.shape) > 2 else 0.0 * middle
    return jnp.sum((middle + c * laplacian) ** 2)


def total_variation(U: Array, F: Array, lam: Array) -> Array:
    gx, gy = jnp.diff(U, axis=0)[:, : U.shape[1] - 1], jnp.diff(U, axis=1)[: U.shape[0] - 1]
    return jnp.sum((U - F) ** 2) / 2 + lam * jnp.sum(jnp.sqrt(gx**2 + gy**2 + 0.01))


def trend_filter(x: Array, y: Array) -> Array:
    bends = jnp.abs(jnp.diff(x, n=2)) if x.shape[0] > 2 else jnp.zeros(0)
    return jnp.sum((x - y) ** 2) / 2 + 0.4 * jnp.sum(bends)


def spring_chain(P: Array, rest: Array) -> Array:
    lengths = jnp.linalg.norm(jnp.diff(P, axis=0), axis=1)
    return jnp.sum((lengths - rest) ** 2) / 2 + 9.81 * P[:, 1].sum()


def coulomb_energy(X: Array, q: Array) -> Array:
    n = q.shape[0]
    pairs = [(i, j) for i in range(n) for j in range(i)]
    return sum((q[i] * q[j] / jnp.linalg.norm(X[i] - X[j]) for i, j in pairs), 0.0 * q.sum())


def pinhole_camera(P: Array, uv: Array, R: Array, t: Array, f: Array) -> Array:
    def project(p: Array) -> Array:
        q = R @ p + t
        return f * q[:2] / jnp.hypot(q[2], 1.0)

    return jnp.sum((jax.vmap(project)(P) - uv) ** 2)


def ising_mean_field(m: Array, J: Array, h: Array) -> Array:
    n = m.shape[0]
    neighbours = jnp.eye(n, k=1) + jnp.eye(n, k=-1)
    bonds = (jnp.sum((neighbours @ m) * m) + jnp.sum((m @ neighbours) * m)) / 2
    up, down = (1 + m) / 2, (1 - m) / 2
    entropy = -jnp.sum(up * jnp.log(up) + down * jnp.log(down))
    return -J * bonds - h * m.sum() - entropy + n * n * jnp.log(2.0)


def polynomial_fit(x: Array, y: Array, c: Array) -> Array:
    return jnp.mean((jnp.polyval(c[::-1], x) - y) ** 2)


def fourier_pairs(X: Array, B: Array, a: Array, b: Array) -> Array:
    P = 2 * jnp.pi * X @ B
    return jnp.mean((jnp.concatenate([jnp.cos(P), jnp.sin(P)], axis=1) @ jnp.concatenate([a, b])) ** 2)


def black_scholes_book(S: Array, K: Array, T: Array, sigma: Array, r: Array) -> Array:
    total = sigma * jnp.sqrt(T)
    d1 = (jnp.log(S) - jnp.log(K) + r * T) / total + total / 2
    return jnp.sum(S * norm.cdf(d1) - K * jnp.exp(-r * T) * norm.cdf(d1 - total))


def rosenbrock_chain(x: Array) -> Array:
    here, there = x[:-1], x[1:]
    return jnp.sum(100 * (there - here**2) ** 2 + (1 - here) ** 2)


def value_transposed(X: Array) -> Array:
    return 2 * jnp.einsum("amn->nma", X)


def value_cumulative(X: Array) -> Array:
    n = X.shape[1]
    return jnp.concatenate([X @ jnp.triu(jnp.ones((n, n))), X])


def value_block_matrix(A: Array, b: Array, c: Array) -> Array:
    return jnp.block([[A, b[:, None]], [b[None, :], jnp.full((1, 1), c)]])


def value_diagonals(v: Array) -> Array:
    return jnp.where(jnp.eye(v.shape[0]) == 1, v[:, None], v[:, None] * v[None, :])
