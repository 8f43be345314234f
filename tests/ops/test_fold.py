"""fold(): every rewriting keeps the bits, or is more accurate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops import generate
from ops.generate import PROFILE
from ops.optable import (
    edge_points,
    same_class,
)

from symdiff.expr import Call, Expr, Number, bottom_up, call
from symdiff.ops import COMPARE_OPS, TABLE
from symdiff.ops.core import ONE, ZERO, V, X, Y
from symdiff.ops.evaluate import evaluate, fold
from symdiff.render.printer import TEXT

NAN, INF = math.nan, math.inf


def _calls(expr: Expr) -> list[Call]:
    found: list[Call] = []
    bottom_up(expr, lambda leaf: None, lambda node, _: found.append(node))
    return found


EXACT = [op for op in TABLE if op not in COMPARE_OPS and op not in ("inverse", "div", "pow", "xlogy", "polygamma")]
HARD = (0.0, 1.0, 2.0, 0.5, -1.0, -0.0, -2.5, INF, 1e308, 5e-324)


def _same_bits(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b, equal_nan=True) and np.all(np.isnan(a) | (np.signbit(a) == np.signbit(b))))


def grid() -> dict[str, np.ndarray]:
    edges = np.array([point[0] for point in edge_points(1)])
    a, b = np.meshgrid(edges, edges)
    return {"a": a.ravel(), "b": b.ravel()}


@generate.settings(PROFILE, max_examples=250)
@given(st.integers(0, 2**32), st.integers(1, 10))
def test_fold_keeps_every_bit(seed: int, size: int) -> None:
    expr = generate.tree(seed, size, HARD, EXACT + ["div"] * (seed % 2))
    if any(node.op == "div" and node.args[0] in (Number(1.0), Number(-1.0)) for node in _calls(expr)):
        return  # a*(1/b) becomes a/b, see below
    values = grid()
    before, after = (np.broadcast_to(evaluate(e, values), values["a"].shape) for e in (expr, fold(expr)))
    assert _same_bits(before, after), TEXT(expr)


REWRITTEN = {
    "1*a": (ONE * X, 0.0),
    "a*1": (X * ONE, 0.0),
    "-1*a": (call("mul", -1.0, X), 0.0),
    "a/1": (X / 1.0, 0.0),
    "a - 0": (X - 0.0, 0.0),
    "a + 0": (X + 0.0, 0.0),
    "0*a": (0.0 * X, 0.0),
    "a - -0.0": (X - Number(-0.0), 0.0),
    "a + -b": (X + (-Y), 0.0),
    "a - -b": (X - (-Y), 0.0),
    "a + -2": (X + -2.0, 0.0),
    "-a*b": ((-X) * Y, 0.0),
    "a*-b": (X * (-Y), 0.0),
    "-a/b": ((-X) / Y, 0.0),
    "--a": (call("neg", -X), 0.0),
    "a*(1/b)": (X * call("inverse", Y), 1.5),
    "a*(1/b) typed": (X * (1.0 / Y), 1.5),
    "1/a": (1.0 / X, 0.0),
    "a**1": (X**1.0, 0.0),
    "a**0": (X**0.0, 0.0),
    "a**2": (X**2.0, 1.0),
    "a**-1": (X**-1.0, 1.0),
    "xlogy(a, 3)": (call("xlogy", X, 3.0), 1.0),
    "xlogy(a, 0)": (call("xlogy", X, 0.0), 0.0),
    "xlogy(a, inf)": (call("xlogy", X, INF), 0.0),
    "xlogy(a, -1)": (call("xlogy", X, -1.0), 0.0),
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_fold_one_rewriting(name: str) -> None:
    expr, ulps = REWRITTEN[name]
    edges = np.array([point[0] for point in edge_points(1)] + list(np.random.default_rng(0).uniform(-9, 9, 40)))
    x, y = (array.ravel() for array in np.meshgrid(edges, edges))
    before = np.broadcast_to(evaluate(expr, {"x": x, "y": y}), x.shape)
    after = np.broadcast_to(evaluate(fold(expr), {"x": x, "y": y}), x.shape)
    if ulps == 0:
        assert _same_bits(before, after)
        return
    for a, b, p, q in zip(before, after, x, y, strict=True):
        gained = name.startswith("a*(1/b)") and (abs(q) > 4e307 or abs(q) < 1e-307)  # 1/b left the normal numbers
        zero = name.startswith("xlogy") and a == b == 0  # its sign, as documented
        assert gained or zero or same_class(a, b, ulps), (p, q, a, b)


def test_fold_keeps_what_must_stay() -> None:
    assert fold(X + 0.0) == X + 0.0
    assert fold(0.0 * X) == 0.0 * X
    assert fold(X - Number(-0.0)) == X - Number(-0.0)
    assert fold(call("where", call("gt", 2.0, 1.0), X, Y)) == X
    assert fold(call("where", call("gt", NAN, 1.0), X, Y)) == Y
    assert fold(call("mul", ZERO, ONE)) == ZERO
    assert fold(V * ONE) == V
