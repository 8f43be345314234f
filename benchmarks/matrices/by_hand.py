"""Values and gradients as a careful person writes them in NumPy: forward values reused, temporaries overwritten."""

from __future__ import annotations

import numpy as np

Result = tuple[float, tuple[np.ndarray, ...]]


def mlp(X: np.ndarray, T: np.ndarray, W1: np.ndarray, b1: np.ndarray, W2: np.ndarray, b2: np.ndarray) -> Result:
    """mean((relu(X W1 + b1) W2 + b2 - T)**2)"""
    H = X @ W1
    H += b1
    np.maximum(H, 0, out=H)
    E = H @ W2
    E += b2
    E -= T
    value = float(np.vdot(E, E) / E.size)
    E *= 2 / E.size
    H_bar = E @ W2.T
    H_bar *= H > 0
    return value, (X.T @ H_bar, H_bar.sum(axis=0), H.T @ E, E.sum(axis=0))


def softmax(X: np.ndarray, Y: np.ndarray, W: np.ndarray, b: np.ndarray) -> Result:
    """mean(logsumexp(Z, axis=1) - sum(Y*Z, axis=1)) with Z = X W + b"""
    Z = X @ W
    Z += b
    n, picked, largest = len(Z), np.vdot(Y, Z), Z.max(axis=1, keepdims=True)
    Z -= largest
    np.exp(Z, out=Z)
    sums = Z.sum(axis=1, keepdims=True)
    value = float((np.log(sums).sum() + largest.sum() - picked) / n)
    Z /= n * sums
    Z -= Y / n
    return value, (X.T @ Z, Z.sum(axis=0))


def attention(X: np.ndarray, T: np.ndarray, Wq: np.ndarray, Wk: np.ndarray, Wv: np.ndarray) -> Result:
    """mean((softmax(Q K^T / sqrt(k), axis=1) V - T)**2) with Q, K, V = X Wq, X Wk, X Wv"""
    Q, K, V = X @ Wq, X @ Wk, X @ Wv
    scale = Q.shape[1] ** -0.5
    Q *= scale
    A = Q @ K.T
    A -= A.max(axis=1, keepdims=True)
    np.exp(A, out=A)
    A /= A.sum(axis=1, keepdims=True)
    E = A @ V
    E -= T
    value = float(np.vdot(E, E) / E.size)
    E *= 2 / E.size
    V_bar = A.T @ E
    S_bar = E @ V.T
    S_bar -= np.einsum("ij,ij->i", S_bar, A)[:, None]
    S_bar *= A
    Q_bar = S_bar @ K
    Q_bar *= scale
    return value, (X.T @ Q_bar, X.T @ (S_bar.T @ Q), X.T @ V_bar)


def _sigmoid(Z: np.ndarray) -> np.ndarray:
    np.negative(Z, out=Z)
    np.exp(Z, out=Z)
    Z += 1
    return np.reciprocal(Z, out=Z)


def autoencoder(X: np.ndarray, W1: np.ndarray, b1: np.ndarray, W2: np.ndarray, b2: np.ndarray) -> Result:
    """mean((sigmoid(sigmoid(X W1 + b1) W2 + b2) - X)**2)"""
    H = X @ W1
    H += b1
    H = _sigmoid(H)
    Z = H @ W2
    Z += b2
    Z = _sigmoid(Z)
    E = Z - X
    value = float(np.vdot(E, E) / E.size)
    E *= 2 / E.size
    E *= Z
    E *= np.subtract(1, Z, out=Z)
    H_bar = E @ W2.T
    H_bar *= H
    H_bar *= 1 - H
    return value, (X.T @ H_bar, H_bar.sum(axis=0), H.T @ E, E.sum(axis=0))


def logistic(X: np.ndarray, y: np.ndarray, w: np.ndarray, b: np.ndarray) -> Result:
    """mean(log(1 + exp(z)) - y z) with z = X w + b"""
    z = X @ w
    z += b
    picked = np.vdot(y, z)
    small = np.exp(-np.abs(z))
    value = float((np.log1p(small).sum() + np.maximum(z, 0).sum() - picked) / z.size)
    p = np.where(z >= 0, 1.0, small)
    small += 1
    p /= small
    p -= y
    p /= z.size
    return value, (X.T @ p, p.sum())
