"""References of the formulas of machine learning, one function each, in JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import entr, xlogy

Array = Any


def least_squares(X: Array, y: Array, w: Array) -> Array:
    return 0.5 * jnp.sum(jnp.square(jnp.dot(X, w) - y))


def least_squares_bias(X: Array, y: Array, w: Array, b: Array) -> Array:
    return jnp.mean(jnp.square(jnp.dot(X, w) + b - y))


def least_squares_norm(X: Array, y: Array, w: Array) -> Array:
    r = jnp.dot(X, w) - y
    if r.size == 0:
        return 0.0 * jnp.sum(w)  # the norm has slope 0 at 0
    return jnp.sqrt(jnp.dot(r, r))


def ridge(X: Array, y: Array, w: Array, lam: Array) -> Array:
    return jnp.mean((y - X @ w) ** 2) + lam * jnp.dot(w, w)


def ridge_closed_form(X: Array, y: Array, lam: Array) -> Array:
    """The minimum, in the dual form: lam y' (X X' + lam I)^-1 y."""
    n = y.shape[0]
    return lam * y @ jnp.linalg.inv(X @ X.T + lam * jnp.eye(n)) @ y if n else 0.0 * lam


def elastic_net(X: Array, y: Array, w: Array, alpha: Array, rho: Array) -> Array:
    fit = jnp.mean((y - X @ w) ** 2) / 2
    return fit + alpha * rho * jnp.sum(jnp.abs(w)) + alpha * (1 - rho) / 2 * jnp.sum(w**2)


def weighted_least_squares(X: Array, y: Array, s: Array, w: Array) -> Array:
    return jnp.sum(jnp.exp(-s) * (X @ w - y) ** 2 + s)


def multi_output_regression(X: Array, Y: Array, W: Array, b: Array) -> Array:
    return jnp.mean((jnp.einsum("nd,dk->nk", X, W) + b[None, :] - Y) ** 2)


def huber(X: Array, y: Array, w: Array, delta: Array) -> Array:
    size = jnp.abs(X @ w - y)
    inner = jnp.minimum(size, delta)
    return jnp.mean(inner**2 / 2 + delta * (size - inner))


def pinball(X: Array, y: Array, w: Array, tau: Array) -> Array:
    r = y - X @ w
    return jnp.mean(jnp.where(r > 0, tau, tau - 1) * r)


def logistic_regression(X: Array, y: Array, w: Array, b: Array) -> Array:
    return -jnp.sum(jax.nn.log_sigmoid(y * (X @ w + b)))


def logistic_cross_entropy(X: Array, y: Array, w: Array) -> Array:
    z = X @ w
    return jnp.mean(jax.nn.softplus(z) - y * z)


def softmax_regression(X: Array, Y: Array, W: Array, b: Array) -> Array:
    return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(X @ W + b, axis=1), axis=1))


def softmax_regression_logsumexp(X: Array, Y: Array, W: Array) -> Array:
    return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(X @ W, axis=1), axis=1))


def label_smoothing(Z: Array, Y: Array, eps: Array) -> Array:
    smooth = Y + eps * (1 / Y.shape[1] - Y)
    return -jnp.mean(jnp.sum(smooth * jax.nn.log_softmax(Z, axis=1), axis=1))


def focal_loss(z: Array, y: Array, gamma: Array) -> Array:
    margin = z * (2 * y - 1)
    return jnp.mean(jax.nn.sigmoid(-margin) ** gamma * jax.nn.softplus(-margin))


def hinge_svm(X: Array, y: Array, w: Array, b: Array, C: Array) -> Array:
    return 0.5 * jnp.dot(w, w) + C * jnp.sum(jax.nn.relu(1 - y * (X @ w + b)))


def multiclass_hinge(Z: Array, Y: Array) -> Array:
    right = jnp.argmax(Y, axis=1)
    margin = Z - Z[jnp.arange(Z.shape[0]), right][:, None] + 1 - Y
    return jnp.mean(jnp.max(margin, axis=1))


def triplet_loss(A: Array, P: Array, N: Array, margin: Array) -> Array:
    def squared(u: Array) -> Array:
        return jnp.einsum("nd,nd->n", u, u)

    return jnp.sum(jax.nn.relu(squared(A - P) - squared(A - N) + margin))


def contrastive_pairs(A: Array, B: Array, y: Array, margin: Array) -> Array:
    dist = jnp.linalg.norm(A - B, axis=1)
    return 0.5 * jnp.mean(jnp.where(y == 1, dist**2, jax.nn.relu(margin - dist) ** 2))


def info_nce(A: Array, B: Array, tau: Array) -> Array:
    cosine = (A @ B.T) / jnp.outer(jnp.linalg.norm(A, axis=1), jnp.linalg.norm(B, axis=1))
    return -jnp.mean(jnp.diagonal(jax.nn.log_softmax(cosine / tau, axis=1)))


def mlp_rows(X: Array, Y: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Array:
    return jnp.mean((jnp.tanh(X @ W1 + b1) @ W2 + b2 - Y) ** 2)


def mlp_columns(X: Array, Y: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Array:
    error = jax.vmap(lambda x, y: W2 @ jax.nn.sigmoid(W1 @ x + b1[:, 0]) + b2[:, 0] - y, in_axes=1)(X, Y)
    return 0.5 * jnp.mean(jnp.sum(error**2, axis=1))


def mlp_deep(X: Array, Y: Array, W1: Array, b1: Array, W2: Array, b2: Array, W3: Array, b3: Array) -> Array:
    first = jax.nn.silu(X @ W1 + b1)
    second = jax.nn.gelu(first @ W2 + b2, approximate=False) + first
    return -jnp.mean(jnp.sum(Y * jax.nn.log_softmax(second @ W3 + b3, axis=1), axis=1))


def system_a_tanh_cross_entropy(x: Array, y: Array, W1: Array, W2: Array, lam: Array) -> Array:
    o = W2 @ jnp.tanh(W1 @ x)
    return -jnp.dot(y, jax.nn.log_softmax(o)) + lam / 2 * (jnp.sum(W1**2) + jnp.sum(W2**2))


def system_a_relu_squared_error(x: Array, y: Array, W1: Array, W2: Array, lam: Array) -> Array:
    o = W2 @ jax.nn.relu(W1 @ x)
    return jnp.sum((o - y) ** 2) / 2 + lam / 2 * (jnp.sum(W1**2) + jnp.sum(W2**2))


def system_c_column(W: Array, x: Array) -> Array:
    return jnp.sum(jax.nn.sigmoid(W @ x) ** 2)


system_c_vector = system_c_column


def system_d_columns(X: Array, target: Array, w1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    prediction = w2 @ jax.nn.relu(w1 @ X + b1) + b2
    return jnp.sum((prediction - target) ** 2) / jnp.float64(X.shape[1])


def system_d_rows(X: Array, target: Array, W1: Array, b1: Array, w2: Array, b2: Array) -> Array:
    prediction = jax.nn.relu(X @ W1 + b1) @ w2 + b2
    return jnp.mean((prediction - target) ** 2)


def system_f_columns(x: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Array:
    hidden = jax.nn.sigmoid(W1.T @ x + b1)
    return jnp.sum((jax.nn.sigmoid(W2.T @ hidden + b2) - x) ** 2)


def system_f_batch(X: Array, W1: Array, b1: Array, W2: Array, b2: Array) -> Array:
    hidden = jax.nn.sigmoid(X @ W1 + b1)
    return jnp.sum((jax.nn.sigmoid(hidden @ W2 + b2) - X) ** 2) / jnp.float64(X.shape[0])


def autoencoder_tied(X: Array, W: Array, b: Array, c: Array, lam: Array) -> Array:
    return jnp.mean((jax.nn.sigmoid(X @ W + b) @ W.T + c - X) ** 2) + lam * jnp.sum(W**2)


def sparse_autoencoder(X: Array, W: Array, V: Array, rho: Array) -> Array:
    H = jax.nn.sigmoid(X @ W)
    m = jnp.mean(H, axis=0)
    divergence = -entr(rho) - entr(1 - rho) - rho * jnp.log(m) - (1 - rho) * jnp.log1p(-m)
    return jnp.mean(jnp.sum((H @ V - X) ** 2, axis=1)) + jnp.sum(divergence)


def variational_autoencoder(X: Array, eps: Array, Wm: Array, Ws: Array, D: Array) -> Array:
    M, S = X @ Wm, X @ Ws
    Z = M + jnp.sqrt(jnp.exp(S)) * eps
    return jnp.mean(jnp.sum((Z @ D - X) ** 2, axis=1) + jnp.sum(jnp.exp(S) + M**2 - 1 - S, axis=1)) / 2


def attention(Q: Array, K: Array, V: Array, T: Array) -> Array:
    return jnp.sum((value_attention(Q, K, V) - T) ** 2)


def value_attention(Q: Array, K: Array, V: Array) -> Array:
    scores = jnp.einsum("md,nd->mn", Q, K) / Q.shape[1] ** 0.5
    return jax.nn.softmax(scores, axis=1) @ V


def attention_causal(X: Array, Wq: Array, Wk: Array, Wv: Array, M: Array) -> Array:
    scores = jnp.einsum("id,dk,jl,lk->ij", X, Wq, X, Wk) / Wq.shape[1] ** 0.5
    weights = jax.nn.softmax(jnp.where(M > 0, scores, -jnp.inf), axis=1)
    return jnp.mean((weights @ X @ Wv + X) ** 2)


def attention_heads(Q: Array, K: Array, V: Array) -> Array:
    weights = jax.nn.softmax(jnp.einsum("bhmd,bhnd->bhmn", Q, K) / 2**0.5, axis=-1)
    return jnp.sum(jnp.tanh(jnp.einsum("bhmn,bhne->bhme", weights, V)))


def layer_norm(X: Array, g: Array, c: Array, T: Array) -> Array:
    Y = jax.nn.standardize(X, axis=1, epsilon=1e-5) * g + c
    return jnp.sum((Y - T) ** 2)


def batch_norm(X: Array, g: Array, c: Array, T: Array) -> Array:
    return jnp.mean((jax.nn.standardize(X, axis=0, epsilon=1e-3) * g + c - T) ** 2)


def rms_norm(X: Array, g: Array) -> Array:
    Y = X * jax.lax.rsqrt(jnp.mean(X**2, axis=1, keepdims=True) + 1e-3) * g
    return jnp.sum(Y**3) / X.shape[0]


def lstm_cell(x: Array, h0: Array, c0: Array, *gates: Array) -> Array:
    i, f, g, o = (gates[k] @ x + gates[k + 1] @ h0 + gates[k + 2] for k in (0, 3, 6, 9))
    c1 = jax.nn.sigmoid(f) * c0 + jax.nn.sigmoid(i) * jnp.tanh(g)
    h1 = jax.nn.sigmoid(o) * jnp.tanh(c1)
    return jnp.dot(h1, h1) + jnp.sum(c1)


def gru_cell(X: Array, H: Array, Wz: Array, Uz: Array, Wr: Array, Ur: Array, Wc: Array, Uc: Array) -> Array:
    Z = jax.nn.sigmoid(X @ Wz + H @ Uz)
    R = jax.nn.sigmoid(X @ Wr + H @ Ur)
    N = jnp.tanh(X @ Wc + (R * H) @ Uc)
    return jnp.mean(jnp.sum((N + Z * (H - N)) ** 2, axis=1))


def recurrent_unrolled(X: Array, W: Array, U: Array, v: Array) -> Array:
    h, _ = jax.lax.scan(lambda h, x: (jnp.tanh(W @ x + U @ h), None), jnp.zeros_like(v), X)
    return jnp.dot(v, h) ** 2


def _correlate(x: Array, k: Array) -> Array:
    return jnp.convolve(x, k[::-1], mode="valid") if x.shape[0] >= k.shape[0] else jnp.zeros(0)


def convolution_literal(x: Array, k: Array, t: Array) -> Array:
    return jnp.sum((jax.nn.relu(_correlate(x, k)) - t) ** 2)


def convolution_run_time(x: Array, k: Array) -> Array:
    return jnp.sum(jnp.tanh(_correlate(x, k)) ** 2)


def convolution_image(X: Array, K: Array, b: Array) -> Array:
    if min(X.shape) < 2:
        return 0.0 * b
    Y = jax.lax.conv_general_dilated(X[None, None], K[None, None], (1, 1), "VALID")
    return jnp.sum(jax.nn.softplus(Y + b))


def convolution_channels(X: Array, K0: Array, K1: Array, K2: Array) -> Array:
    kernel = jnp.stack([K0, K1, K2])  # width, channels in, channels out
    Y = jax.lax.conv_general_dilated(X[None], kernel, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC"))
    return jnp.mean(jax.nn.relu(Y) ** 2)


def max_pooling(x: Array, W: Array) -> Array:
    return jnp.sum(jnp.maximum(x[:, 0::2], x[:, 1::2]) ** 2 * W)


def average_pooling(X: Array) -> Array:
    return jnp.sum(jnp.exp((X[0::2, 0::2] + X[0::2, 1::2] + X[1::2, 0::2] + X[1::2, 1::2]) / 4))


def dropout(X: Array, M: Array, W1: Array, w2: Array, keep: Array) -> Array:
    return jnp.mean(((jnp.where(M == 1, jax.nn.relu(X @ W1), 0) / keep) @ w2) ** 2)


def residual_block(X: Array, W: Array, V: Array) -> Array:
    return jnp.mean((X + jax.nn.relu(X @ W) @ V) ** 2)


def highway_layer(X: Array, W: Array, b: Array) -> Array:
    T = jax.nn.sigmoid(X @ W + b)
    return jnp.sum((X + T * (jnp.tanh(X @ W) - X)) ** 2)


def mixture_of_experts(X: Array, y: Array, G: Array, E: Array) -> Array:
    def predict(x: Array) -> Array:
        return jnp.dot(jax.nn.softmax(x @ G), x @ E)

    return jnp.mean((jax.vmap(predict)(X) - y) ** 2)


def word_pairs_negative_sampling(u: Array, v: Array, N: Array) -> Array:
    return -jax.nn.log_sigmoid(jnp.dot(u, v)) - jnp.sum(jax.nn.log_sigmoid(-(N @ u)))


def matrix_factorisation(R: Array, M: Array, U: Array, V: Array, lam: Array) -> Array:
    error = jnp.where(M == 1, R - jnp.einsum("ik,jk->ij", U, V), 0)
    return jnp.sum(error**2) + lam * (jnp.vdot(U, U) + jnp.vdot(V, V))


def matrix_factorisation_biases(R: Array, U: Array, V: Array, a: Array, b: Array, mu: Array) -> Array:
    return jnp.sum((R - mu - jnp.add.outer(a, b) - jnp.einsum("ik,jk->ij", U, V)) ** 2)


def nonnegative_factorisation(V: Array, W: Array, H: Array) -> Array:
    P = W @ H
    return jnp.sum(V * jnp.log(V / P) - V + P)


def factorisation_machine(x: Array, w0: Array, w: Array, V: Array) -> Array:
    products = jnp.outer(x, x) * (V @ V.T)
    return w0 + jnp.dot(w, x) + jnp.sum(jnp.triu(products, 1))


def soft_k_means(X: Array, C: Array, beta: Array) -> Array:
    def free_energy(x: Array) -> Array:
        return -jax.nn.logsumexp(-beta * jnp.sum((C - x) ** 2, axis=1)) / beta

    return jnp.mean(jax.vmap(free_energy)(X))


def stochastic_neighbours(P: Array, Y: Array) -> Array:
    n = Y.shape[0]
    D = jnp.sum((Y[:, None] - Y[None]) ** 2, axis=2)
    K = jnp.where(jnp.eye(n) == 1, 0, 1 / (1 + D))
    Q = jnp.where(jnp.eye(n) == 1, 1, K / jnp.sum(K))
    return jnp.sum(xlogy(P, P / Q))


def hopfield_energy(s: Array, W: Array, b: Array) -> Array:
    t = jnp.tanh(s)
    return -0.5 * jnp.einsum("i,ij,j", t, W, t) - jnp.dot(b, t)


def fisher_discriminant(A: Array, B: Array, w: Array) -> Array:
    a, b = A @ w, B @ w
    within = jnp.sum((a - a.mean()) ** 2) + jnp.sum((b - b.mean()) ** 2)
    return (a.mean() - b.mean()) ** 2 / within


def cosine_similarity(x: Array, y: Array) -> Array:
    return jnp.dot(x / jnp.linalg.norm(x), y / jnp.linalg.norm(y))


def value_row_softmax_probabilities(X: Array, W: Array, b: Array) -> Array:
    return jax.nn.softmax(X @ W + b, axis=1)
