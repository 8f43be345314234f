"""The problems. Sizes are single letters, so that `nd` is the shape (n, d) and `n3` is (n, 3)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.matrices import by_hand

Sizes = Mapping[str, int]


@dataclass(frozen=True)
class Problem:
    """A formula with its inputs in the order of a call, data first, weights after them.

    `loss(o, ...)` is the formula once more, for the peers: `o` has each peer's own best way of writing a layer.
    `products` are the matrix products of the forward and the reverse sweep, as shapes; a quote marks a transpose.
    """

    name: str
    title: str
    data: Mapping[str, str]
    weights: Mapping[str, str]
    body: str
    loss: Callable[..., Any]
    by_hand: Callable[..., tuple[float, tuple[np.ndarray, ...]]]
    products: str
    sizes: Mapping[str, Sizes]

    def text(self, sizes: Sizes | None = None) -> str:
        """The formula for any sizes, or for these."""
        lines = []
        for name, letters in (self.data | self.weights).items():
            dimensions = ", ".join(letters)
            lines.append(f"{name}: const({dimensions})" if name in self.data else f"{name}: ({dimensions})")
        text = "\n".join([*lines, self.body])
        for letter, size in (sizes or {}).items():
            text = re.sub(rf"\b{letter}\b", str(size), text)
        return text

    def arguments(self, sizes: Sizes, seed: int = 1) -> list[np.ndarray]:
        """Random inputs in the order of a call: weights such that sums stay of order 1, `Y` one-hot, `y` 0 or 1."""
        draw, found = np.random.default_rng(seed), []
        for name, letters in (self.data | self.weights).items():
            shape = shape_of(letters, sizes)
            if name == "Y":
                found.append(np.eye(shape[1])[draw.integers(shape[1], size=shape[0])])
            elif name == "y":
                found.append(draw.integers(2, size=shape).astype(float))
            else:
                scale = np.sqrt(shape[0]) if name in self.weights and shape else 1
                found.append(np.asarray(draw.normal(size=shape) / scale))
        return found


def shape_of(letters: str, sizes: Sizes) -> tuple[int, ...]:
    """The shape that a word of size letters and digits stands for."""
    return tuple(sizes[letter] if letter in sizes else int(letter) for letter in letters)


def _sizes(letters: str, **labelled: tuple[int, ...]) -> dict[str, Sizes]:
    return {label: dict(zip(letters, numbers, strict=True)) for label, numbers in labelled.items()}


def _mlp_loss(o: Any, X: Any, T: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    return o.mean_square(o.affine(o.relu(o.affine(X, W1, b1)), W2, b2), T)


def _softmax_loss(o: Any, X: Any, Y: Any, W: Any, b: Any) -> Any:
    return o.cross_entropy(o.affine(X, W, b), Y)


def _attention_loss(o: Any, X: Any, T: Any, Wq: Any, Wk: Any, Wv: Any) -> Any:
    return o.mean_square(o.softmax((X @ Wq) @ (X @ Wk).T / Wq.shape[1] ** 0.5) @ (X @ Wv), T)


def _autoencoder_loss(o: Any, X: Any, W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
    return o.mean_square(o.sigmoid(o.affine(o.sigmoid(o.affine(X, W1, b1)), W2, b2)), X)


def _logistic_loss(o: Any, X: Any, y: Any, w: Any, b: Any) -> Any:
    return o.logistic(X @ w + b, y)


MLP = Problem(
    "mlp",
    "two-layer network, relu, mean squared error",
    {"X": "nd", "T": "no"},
    {"W1": "dh", "b1": "h", "W2": "ho", "b2": "o"},
    "H = relu(X @ W1 + b1)\nZ = H @ W2 + b2\nJ = mean((Z - T)**2)",
    _mlp_loss,
    by_hand.mlp,
    "nd dh, nh ho, nh' no, no ho', nd' nh",
    _sizes("ndho", quick=(5, 4, 3, 2), small=(3, 3, 3, 3), medium=(256, 128, 128, 64), large=(2048, 512, 512, 128)),
)
SOFTMAX = Problem(
    "softmax",
    "softmax regression, cross-entropy",
    {"X": "nd", "Y": "nc"},
    {"W": "dc", "b": "c"},
    "Z = X @ W + b\nJ = mean(logsumexp(Z, axis=1) - sum(Y*Z, axis=1))",
    _softmax_loss,
    by_hand.softmax,
    "nd dc, nd' nc",
    _sizes("ndc", quick=(5, 4, 3), small=(3, 3, 3), medium=(256, 128, 10), large=(4096, 512, 32)),
)
ATTENTION = Problem(
    "attention",
    "one attention head, mean squared error",
    {"X": "nd", "T": "nk"},
    {"Wq": "dk", "Wk": "dk", "Wv": "dk"},
    "A = softmax((X @ Wq) @ (X @ Wk).T/sqrt(k), axis=1)\nJ = mean((A @ (X @ Wv) - T)**2)",
    _attention_loss,
    by_hand.attention,
    "nd dk, nd dk, nd dk, nk nk', nn nk, nk nk', nn' nk, nn nk, nn' nk, nd' nk, nd' nk, nd' nk",
    _sizes("ndk", quick=(5, 4, 3), small=(3, 3, 3), medium=(128, 128, 64), large=(1024, 512, 64)),
)
AUTOENCODER = Problem(
    "autoencoder",
    "autoencoder 3-2-3, sigmoid, mean squared error",
    {"X": "n3"},
    {"W1": "32", "b1": "2", "W2": "23", "b2": "3"},
    "H = sigmoid(X @ W1 + b1)\nZ = sigmoid(H @ W2 + b2)\nJ = mean((Z - X)**2)",
    _autoencoder_loss,
    by_hand.autoencoder,
    "n3 32, n2 23, n2' n3, n3 23', n3' n2",
    _sizes("n", quick=(5,), small=(3,), medium=(256,), large=(200_000,)),
)
LOGISTIC = Problem(
    "logistic",
    "logistic regression, cross-entropy",
    {"X": "nd", "y": "n"},
    {"w": "d", "b": ""},
    "z = X @ w + b\nJ = mean(softplus(z) - y*z)",
    _logistic_loss,
    by_hand.logistic,
    "nd d1, nd' n1",
    _sizes("nd", quick=(5, 4), small=(3, 3), medium=(256, 10), large=(200_000, 10)),
)
PROBLEMS = {problem.name: problem for problem in (MLP, SOFTMAX, ATTENTION, AUTOENCODER, LOGISTIC)}
