"""Quotients by a number of known size in NumPy code: where they become products, and where that could decide otherwise.

That numbers stay those of the steps is looked at in `test_numpy_reuse`, where some of these formulas are too.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import symdiff
from symdiff.expr import Call, walk
from symdiff.ops.infer import shape_of
from symdiff.render.numpy_quotients import with_inverses
from symdiff.tape import Tape

TURNED = [
    "X: const(n, d); W: (d, k); A = softmax((X @ W) @ (X @ W).T/sqrt(k), axis=1); mean((A @ X - X)**2)",
    "X: (n, m); sum((X/n - 1)**2)",
    "X: (n, m); sum(exp(X/(n*m + 3*n)))",
    "X: (n, m); Y = X/sqrt(sqrt(n)*m); sum(sigmoid(Y) @ Y.T)",
    "X: (n, 3); sum((X/3)**2)",
    "X: (n, m); s = n + 1; sum(sin(X/s))",
]
KEPT = [
    # a number that is not known, or that may be negative or far from one
    "X: (n, m); c: (); sum((X/c)**2)",
    "X: (n, m); sum((X/(n - m))**2)",
    "X: (n, m); sum((X/(n*n*n))**2)",
    "X: (n, m); sum((X/1e-40)**2)",
    "X: (n, m); sum((X/1e40)**2)",
    "X: (n, m); sum((X/(-3))**2)",
    # quotients of numbers, and by arrays
    "x: n; c: (); (c/n)**2*sum(x)",
    "X: (n, m); Y: (n, m); sum((X/Y)**2)",
    # one that is rounded otherwise would decide otherwise
    "X: (n, m); sum(where(X/n >= 1, X, 0))",
    "X: (n, m); sum(relu(X/n - 1))",
    "X: (n, m); Z = exp(X)*(X/n); sum(abs(Z - X))",
    "X: (n, m); sum(sqrt(1 - X/n))",
    "X: (n, m); sum(1/(1 - X/n))",
    "X: (n, m); sum(log(X/n - 1))",
    "X: (n, m); norm(X/n - 1)",
    "X: (n, m); max(X/n)",
    "X: (n, n); inv(X/n)[0, 0]",
]


def tape_of(text: str) -> Tape:
    return symdiff.formula(text).gradient().code_tape


def quotients(tape: Tape) -> int:
    """Of an array and a number."""
    parts = [part for step in tape.steps for part in walk(step.expr) if isinstance(part, Call) and part.op == "div"]
    return sum(bool(shape_of(part, tape.shapes)) and not shape_of(part.args[1], tape.shapes) for part in parts)


@pytest.mark.parametrize("text", TURNED)
def test_a_quotient_by_a_known_number_is_a_product(text: str) -> None:
    assert quotients(tape_of(text)) and not quotients(with_inverses(tape_of(text)))


@pytest.mark.parametrize("text", KEPT)
def test_a_quotient_that_decides_or_is_not_known_stays_one(text: str) -> None:
    tape = tape_of(text)
    assert with_inverses(tape) is tape


def test_the_code_says_so_and_keeps_numbers_as_quotients() -> None:
    source = symdiff.formula("X: (n, m); c = sqrt(m); sum((X/c - 1)**2)/c").gradient().source("python")
    assert "X*(1/c)" in source and "value = v5/c" in source, source


def test_a_whole_quotient_that_decides_is_whole() -> None:
    """49*(1/49) is below 1."""
    module = ModuleType("generated")
    source = symdiff.formula("x: n; sum(where(x/n >= 1, x, 0))").gradient().source("python")
    exec(compile(source, "generated", "exec"), module.__dict__)
    assert 49 * (1 / 49) < 1
    value, gradient = module.gradient(np.full(49, 49.0))
    assert value == 49.0 * 49
    np.testing.assert_array_equal(gradient.x, np.ones(49))
