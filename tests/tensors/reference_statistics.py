"""References of the formulas of statistics, kernels and filters, one function each, in JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import entr, gammaln
from jax.scipy.stats import multivariate_normal, norm

Array = Any
logsumexp = jax.nn.logsumexp


def _squared_distances(X: Array, Y: Array) -> Array:
    return jax.vmap(lambda x: jax.vmap(lambda y: jnp.sum((x - y) ** 2))(Y))(X)


def gaussian_likelihood(X: Array, mu: Array, S: Array) -> Array:
    n, d = X.shape
    R = X - mu
    quadratic = jnp.einsum("ni,ij,nj", R, jnp.linalg.inv(S), R)
    return 0.5 * (n * (jnp.linalg.slogdet(S)[1] + d * jnp.log(2 * jnp.pi)) + quadratic)


def gaussian_cholesky(x: Array, mu: Array, S: Array) -> Array:
    full = jnp.tril(S) + jnp.tril(S, -1).T
    return 0.5 * (jnp.linalg.slogdet(full)[1] + (x - mu) @ jnp.linalg.inv(full) @ (x - mu))


def gaussian_diagonal(X: Array, mu: Array, s: Array) -> Array:
    n, d = X.shape
    return -jnp.sum(norm.logpdf(X, mu, jnp.exp(s))) - 0.5 * n * d * jnp.log(2 * jnp.pi)


def gaussian_divergence(m0: Array, S0: Array, m1: Array, S1: Array) -> Array:
    P = jnp.linalg.inv(S1)
    u = m1 - m0
    return 0.5 * (jnp.vdot(P.T, S0) + u @ P @ u - m0.shape[0] - jnp.linalg.slogdet(P)[1] - jnp.linalg.slogdet(S0)[1])


def mahalanobis(x: Array, mu: Array, S: Array) -> Array:
    return jnp.sqrt(jnp.dot(x - mu, jnp.linalg.solve(S, x - mu)))


def wishart(S: Array, V: Array, nu: Array) -> Array:
    d = S.shape[0]
    logdet_s, logdet_v = jnp.linalg.slogdet(S)[1], jnp.linalg.slogdet(V)[1]
    return ((nu - d - 1) * logdet_s - jnp.trace(jnp.linalg.solve(V, S)) - nu * logdet_v - nu * d * jnp.log(2.0)) / 2


def student_t(X: Array, mu: Array, P: Array, nu: Array) -> Array:
    d = mu.shape[0]

    def log_density(x: Array) -> Array:
        q = (x - mu) @ P @ (x - mu)
        constant = gammaln((nu + d) / 2) - gammaln(nu / 2) - d / 2 * jnp.log(nu * jnp.pi)
        return constant + 0.5 * jnp.linalg.slogdet(P)[1] - (nu + d) / 2 * jnp.log(1 + q / nu)

    return -jnp.sum(jax.vmap(log_density)(X))


def gaussian_mixture(X: Array, a: Array, M: Array, s: Array) -> Array:
    d = X.shape[1]

    def log_density(x: Array) -> Array:
        parts = jnp.sum(norm.logpdf(x[None, :], M, jnp.exp(s)[:, None]), axis=1) + d / 2 * jnp.log(2 * jnp.pi)
        return logsumexp(jax.nn.log_softmax(a) + parts)

    return -jnp.sum(jax.vmap(log_density)(X))


def poisson_regression(X: Array, y: Array, w: Array) -> Array:
    rate = jnp.exp(X @ w)
    return jnp.sum(rate - y * jnp.log(rate) + gammaln(y + 1))


def negative_binomial(X: Array, y: Array, w: Array, r: Array) -> Array:
    p = jnp.exp(X @ w) / (r + jnp.exp(X @ w))
    return -jnp.sum(gammaln(y + r) - gammaln(r) - gammaln(y + 1) + r * jnp.log1p(-p) + y * jnp.log(p))


def gamma_regression(X: Array, y: Array, w: Array, k: Array) -> Array:
    scale = jnp.exp(X @ w) / k
    return -jnp.sum((k - 1) * jnp.log(y) - y / scale - k * jnp.log(scale) - gammaln(k))


def dirichlet_multinomial(a: Array, c: Array) -> Array:
    def one(row: Array) -> Array:
        return gammaln(a.sum()) - gammaln(a.sum() + row.sum()) + jnp.sum(gammaln(a + row) - gammaln(a))

    return jnp.sum(jax.vmap(one)(c))


def probit_regression(X: Array, y: Array, w: Array) -> Array:
    return -jnp.sum(norm.logcdf(y * (X @ w)))


def cox_partial_likelihood(X: Array, e: Array, w: Array) -> Array:
    eta = X @ w
    at_risk = jnp.tril(jnp.ones((eta.shape[0], eta.shape[0])))
    return -jnp.sum(e * (eta - jnp.log(at_risk @ jnp.exp(eta))))


def bradley_terry(s: Array, C: Array) -> Array:
    return -jnp.sum(C * jax.nn.log_sigmoid(jnp.subtract.outer(s, s)))


def plackett_luce(s: Array) -> Array:
    total = 0.0 * jnp.sum(s)
    for i in range(s.shape[0]):
        total = total + logsumexp(s[: i + 1]) - s[i]
    return total


def entropy(z: Array) -> Array:
    return jnp.sum(entr(jax.nn.softmax(z)))


def mutual_information(Z: Array) -> Array:
    P = jax.nn.softmax(Z.ravel()).reshape(Z.shape)
    return jnp.sum(entr(P.sum(0))) + jnp.sum(entr(P.sum(1))) - jnp.sum(entr(P))


def sample_variance(x: Array) -> Array:
    return jnp.var(x, ddof=1)


def skewness(x: Array) -> Array:
    u = (x - jnp.mean(x)) / jnp.std(x)
    return jnp.mean(u**3)


def correlation(x: Array, y: Array) -> Array:
    return jnp.corrcoef(x, y)[0, 1]


def covariance_objective(X: Array, S: Array) -> Array:
    return jnp.sum((jnp.atleast_2d(jnp.cov(X, rowvar=False)) - S) ** 2)


def graphical_lasso(K: Array, S: Array, rho: Array) -> Array:
    return jnp.vdot(S.T, K) - jnp.linalg.slogdet(K)[1] + rho * jnp.sum(jnp.abs(K))


def rbf_kernel_energy(X: Array, a: Array, s: Array) -> Array:
    return a @ jnp.exp(-0.5 * _squared_distances(X / s, X / s)) @ a if X.shape[0] else 0.0 * s


def rbf_kernel_gram(X: Array, Y: Array, W: Array) -> Array:
    return jnp.vdot(W, jnp.exp(-_squared_distances(X, Y)))


def pairwise_distances(X: Array, Y: Array) -> Array:
    return jnp.sum(jnp.sqrt(_squared_distances(X, Y)))


def automatic_relevance_kernel(X: Array, l: Array, a: Array) -> Array:
    return jnp.mean((jnp.exp(-0.5 * _squared_distances(X / l, X / l)) @ a) ** 2)


def gp_marginal_likelihood(x: Array, y: Array, sf: Array, ell: Array, sn: Array) -> Array:
    n = x.shape[0]
    K = sf**2 * jnp.exp(-0.5 * jnp.subtract.outer(x, x) ** 2 / ell**2) + sn**2 * jnp.eye(n)
    return -multivariate_normal.logpdf(y, jnp.zeros(n), K)


def gp_cholesky(X: Array, y: Array) -> Array:
    K = jnp.exp(-0.5 * _squared_distances(X, X)) + 0.1 * jnp.eye(X.shape[0])
    return 0.5 * y @ jnp.linalg.inv(K) @ y + 0.5 * jnp.linalg.slogdet(K)[1]


def maximum_mean_discrepancy(X: Array, Y: Array) -> Array:
    def average(A: Array, B: Array) -> Array:
        return jnp.mean(jnp.exp(-0.5 * _squared_distances(A, B)))

    return average(X, X) - 2 * average(X, Y) + average(Y, Y)


def sinkhorn_step(C: Array, f: Array, a: Array, b: Array, eps: Array) -> Array:
    g = jnp.stack([eps * jnp.log(b[j]) - eps * logsumexp((f - C[:, j]) / eps) for j in range(C.shape[1])])
    f1 = jnp.stack([eps * jnp.log(a[i]) - eps * logsumexp((g - C[i]) / eps) for i in range(C.shape[0])])
    return jnp.dot(f1, a) + jnp.dot(g, b)


def hidden_markov_forward(A: Array, B: Array, p: Array) -> Array:
    forward = jax.nn.softmax(p) * jnp.exp(B[0])
    for step in range(1, 4):
        forward = (forward @ jax.nn.softmax(A, axis=1)) * jnp.exp(B[step])
    return -jnp.log(jnp.sum(forward))


def kalman_step(x: Array, P: Array, F: Array, Q: Array, H: Array, R: Array, z: Array) -> Array:
    predicted, covariance = F @ x, F @ P @ F.T + Q
    S = H @ covariance @ H.T + R
    r = z - H @ predicted
    gain = (jnp.linalg.inv(S) @ H @ covariance).T
    after = predicted + gain @ r
    nll = 0.5 * (r @ jnp.linalg.inv(S) @ r + jnp.linalg.slogdet(S)[1])
    return nll + jnp.dot(after, after) + jnp.trace(covariance - gain @ H @ covariance)


def portfolio(w: Array, mu: Array, S: Array, g: Array) -> Array:
    p = jnp.exp(w) / jnp.sum(jnp.exp(w))
    return g / 2 * jnp.einsum("i,ij,j", p, S, p) - jnp.dot(p, mu)


def value_kernel_matrix(X: Array, Y: Array) -> Array:
    return jnp.exp(-_squared_distances(X, Y))


def value_gram_matrix(X: Array) -> Array:
    return jnp.einsum("ni,nj->ij", X, X) / X.shape[0]


def value_standardised(X: Array) -> Array:
    return (X - X.mean(axis=0)) / X.std(axis=0)
