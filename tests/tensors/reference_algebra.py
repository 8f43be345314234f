"""References of the formulas of linear algebra, one function each, in JAX."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

Array = Any


def quadratic_form(A: Array, x: Array) -> Array:
    return jnp.einsum("i,ij,j", x, A, x)


def quadratic_form_column(A: Array, x: Array) -> Array:
    return 0.5 * jnp.einsum("ik,ij,jk", x, A, x)


def bilinear_form(x: Array, A: Array, y: Array) -> Array:
    return jnp.einsum("i,ij,j", x, A, y)


def trace_form(A: Array, X: Array, B: Array) -> Array:
    return jnp.einsum("ij,ik,kj", A, X, B)


def trace_of_products(A: Array, B: Array, C: Array) -> Array:
    S = jnp.matmul(A, B)
    return jnp.sum(S * jnp.matmul(S, C.T)) + jnp.sum(A * B.T) * jnp.sum(jnp.diagonal(C))


def trace_of_powers(A: Array) -> Array:
    return jnp.einsum("ij,jk,ki", A, A, A) / 3 - jnp.einsum("ij,ji", A, A) / 2


def frobenius_inner(A: Array, B: Array) -> Array:
    return jnp.vdot(A, B) / jnp.sqrt(jnp.vdot(A, A) * jnp.vdot(B, B))


def logdet_of_gram(X: Array) -> Array:
    return jnp.linalg.slogdet(jnp.eye(X.shape[1]) + jnp.einsum("ni,nj->ij", X, X))[1]


def logdet_general(A: Array) -> Array:
    return jnp.linalg.slogdet(A)[1]


def determinant(A: Array) -> Array:
    d = jnp.linalg.det(A)
    return d * d - 3 * d


def determinant_literal(A: Array) -> Array:
    a, b, c = A
    return jnp.dot(a, jnp.cross(b, c)) ** 2


def volume_of_frame(v1: Array, v2: Array, v3: Array) -> Array:
    return jnp.abs(jnp.dot(v1, jnp.cross(v2, v3)))


def inverse_trace(A: Array) -> Array:
    return jnp.trace(jnp.linalg.inv(A))


def inverse_weighted(A: Array, W: Array) -> Array:
    return jnp.vdot(W, jnp.linalg.inv(A) ** 2)


def solve_quadratic(A: Array, b: Array) -> Array:
    return jnp.dot(b, jnp.linalg.inv(A) @ b)


def solve_matrix(A: Array, B: Array, C: Array) -> Array:
    return jnp.sum(jnp.square(jnp.linalg.inv(A) @ B - C))


def solve_column(A: Array, b: Array) -> Array:
    return jnp.sum(jnp.sin(jnp.linalg.inv(A).T @ b))


def _lower_half(A: Array) -> Array:
    """The symmetric matrix whose lower triangle is A's, which is what cholesky reads."""
    return jnp.tril(A) + jnp.tril(A, -1).T


def cholesky_weighted(A: Array, W: Array) -> Array:
    return jnp.sum(jnp.linalg.cholesky(_lower_half(A)) * W)


def cholesky_logdet(A: Array) -> Array:
    return jnp.linalg.slogdet(_lower_half(A))[1]


def rayleigh_quotient(A: Array, x: Array) -> Array:
    u = x / jnp.linalg.norm(x)
    return jnp.einsum("i,ij,j", u, A, u)


def pca_reconstruction(X: Array, V: Array, lam: Array) -> Array:
    error = X @ (jnp.eye(V.shape[0]) - V @ V.T)
    return jnp.mean(jnp.sum(error**2, axis=1)) + lam * jnp.sum((V.T @ V - jnp.eye(V.shape[1])) ** 2)


def power_iteration(A: Array, x0: Array) -> Array:
    x = A @ A @ A @ x0
    return (x @ A @ x) / (x @ x)


def matrix_exponential_series(A: Array, c: Array) -> Array:
    term, total = c, c
    for k in range(1, 5):
        term = A @ term / k
        total = total + term
    return jnp.dot(total, total)


def procrustes(P: Array, Q: Array, R: Array, t: Array) -> Array:
    moved = jnp.einsum("ij,nj->ni", R, P) + t
    return jnp.sum((moved - Q) ** 2) + jnp.sum((R @ R.T - jnp.eye(3)) ** 2)


def kronecker_sum(A: Array, B: Array, X: Array, C: Array) -> Array:
    return 0.5 * jnp.sum((jnp.einsum("ij,jk->ik", A, X) + jnp.einsum("ij,kj->ik", X, B) - C) ** 2)


def skew_rotation(w: Array, p: Array, q: Array) -> Array:
    """Cayley's transform of [w]x is (p + (2/(1 + w.w)) (w x p + w x (w x p)))."""
    once = jnp.cross(w, p)
    turned = p + 2 / (1 + jnp.dot(w, w)) * (once + jnp.cross(w, once))
    return jnp.sum((turned - q) ** 2)


def nuclear_barrier(S: Array, C: Array) -> Array:
    return jnp.vdot(C.T, S) - 0.7 * jnp.linalg.slogdet(S)[1]


def schur_complement(M: Array) -> Array:
    return jnp.linalg.slogdet(M)[1]


def woodbury(d: Array, U: Array, b: Array) -> Array:
    return b @ jnp.linalg.solve(jnp.diag(d) + U @ U.T, b)


def toeplitz_energy(c: Array, x: Array) -> Array:
    i = jnp.arange(x.shape[0])
    lag = jnp.abs(i[:, None] - i[None, :])
    return x @ jnp.where(lag < 3, c[jnp.minimum(lag, 2)], 0.0) @ x


def value_inverse_product(A: Array, B: Array) -> Array:
    return 0 * (A @ B)


def value_cholesky(A: Array) -> Array:
    return jnp.linalg.cholesky(_lower_half(A))
