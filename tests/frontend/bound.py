"""Python functions that tests bind to abstract functions; nothing calls them."""

from __future__ import annotations

from typing import Any

import numpy as np


def loss(o: Any, y: Any) -> Any:
    """Half the sum of squares, in statements."""

    def add(a: Any, b: Any) -> Any:
        return a * b

    r = o - y
    s = add(r, r)
    return np.sum(s) / 2


def act(z: Any) -> Any:
    return np.tanh(z)


def with_dimension(o: "n", y: Any) -> Any:  # type: ignore # noqa
    return np.sum(o - y) / n  # type: ignore # noqa


def with_other_dimension(o: "k", y: Any) -> Any:  # type: ignore # noqa
    return np.sum(o - y)


def with_function(o: "function", y: Any) -> Any:  # type: ignore # noqa
    return o(y)


def mixing(z: Any) -> Any:
    s = np.sum(z)
    return z / s


def no_loss(o: np.ndarray, y: np.ndarray) -> Any:
    return np.square(o - y)
