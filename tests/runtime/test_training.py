"""Trainings: against a loop written out by hand, both engines against each other, what is refused, and how runs end."""

from __future__ import annotations

import dataclasses
import inspect
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff
from symdiff import optim
from symdiff.runtime import training
from symdiff.runtime.training import Plan, Training

BACKENDS = [pytest.param("c", marks=pytest.mark.compiler), "numpy"]
ROWS = "W: (k, 3); b: k; X: const(n, 3); y: const(n, k); sum((X @ W.T + b - y)**2)/n"
POINT = "W: (2, 3); b: 2; x: const(3); y: const(2); sum((W @ x + b - y)**2)"
LINE = "w: (); b: (); x: const(); y: const(); (w*x + b - y)**2"
ROSENBROCK = "(1 - x)**2 + 100*(y - x**2)**2"


def program(text: str, rule: Any = None, wrt: Any = None) -> symdiff.Program:
    return symdiff.formula(text).gradient(wrt).update(rule or optim.gradient_descent(0.05))


def rows(count: int = 23, k: int = 2) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.default_rng(count)
    X = rng.normal(size=(count, 3))
    y = X @ rng.normal(size=(3, k)) + 0.1 * rng.normal(size=(count, k))
    return {"X": X, "y": y}, {"W": rng.normal(size=(k, 3)), "b": np.zeros(k)}


def by_hand(
    data: dict[str, Any], start: dict[str, Any], epochs: int, batch: int, seed: int, shuffle: bool
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Adam (Kingma and Ba 2015, algorithm 1) on least squares: the gradient, the rule and the loop written out."""
    X, y = data["X"], data["y"]
    W, b = np.array(start["W"]), np.array(start["b"])
    moments = [np.zeros_like(W), np.zeros_like(b), np.zeros_like(W), np.zeros_like(b)]
    t, history = 0, []
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(X)) if shuffle else np.arange(len(X))
        total = 0.0
        for first in range(0, len(X), batch):
            now = order[first : first + batch]
            residual = X[now] @ W.T + b - y[now]
            total += float(np.sum(residual**2))  # the mean of the batch times its size
            gradients = [2 * residual.T @ X[now] / len(now), 2 * residual.sum(0) / len(now)]
            t += 1
            for place, gradient in enumerate(gradients):
                moments[place] = 0.9 * moments[place] + 0.1 * gradient
                moments[2 + place] = 0.999 * moments[2 + place] + 0.001 * gradient**2
            mean = [moment / (1 - 0.9**t) for moment in moments[:2]]
            square = [moment / (1 - 0.999**t) for moment in moments[2:]]
            W = W - 0.02 * mean[0] / (np.sqrt(square[0]) + 1e-8)
            b = b - 0.02 * mean[1] / (np.sqrt(square[1]) + 1e-8)
        history.append(total / len(X))
    return W, b, history


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def same(one: Training, other: Training) -> bool:
    """Bit for bit."""
    pairs = [(one.parameters, other.parameters), *((one.states[n], other.states[n]) for n in one.states)]
    values = one.history.value.tobytes() == other.history.value.tobytes()
    return values and all(np.array_equal(a[n], b[n], equal_nan=True) for a, b in pairs for n in a)


# -- what is computed --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "shuffle"), [(23, False), (5, True), (5, False), (1, True), (23, True)])
def test_rows_of_a_matrix_against_a_loop_by_hand(backend: str, batch: int, shuffle: bool) -> None:
    data, start = rows()
    made = program(ROWS, optim.adam(eta=0.02)).train(
        data, start, epochs=7, batch=batch, seed=3, shuffle=shuffle, backend=backend
    )
    W, b, history = by_hand(data, start, 7, batch, 3, shuffle)
    assert np.allclose(made.parameters["W"], W, rtol=1e-11) and np.allclose(made.parameters["b"], b, rtol=1e-11)
    assert made.history.value.tolist() == pytest.approx(history, rel=1e-12)
    assert made.history.epoch.tolist() == list(range(7)) and made.value == made.history.value[-1]
    assert made.updates == 7 * -(-23 // batch) and not made.interrupted and made.backend == backend


@pytest.mark.parametrize("batch", [23, 5, 1])
def test_points_are_the_same_mean_as_rows(backend: str, batch: int) -> None:
    data, start = rows()
    as_rows = program(ROWS).train(data, start, epochs=4, batch=batch, seed=1, backend=backend)
    points = {"x": data["X"], "y": data["y"]}
    as_points = program(POINT).train(points, start, epochs=4, batch=batch, seed=1, backend=backend)
    for name in ("W", "b"):
        assert np.allclose(as_rows.parameters[name], as_points.parameters[name], rtol=1e-12)
    assert np.allclose(as_rows.history.value, as_points.history.value, rtol=1e-12)


def test_numbers_are_points_too_and_so_are_traced_functions(backend: str) -> None:
    def loss(W: Any, b: Any, x: Any, y: Any) -> Any:
        return ((W @ x + b - y) ** 2).sum()

    data, start = rows(11, 1)
    points = {"x": data["X"], "y": data["y"]}
    traced = symdiff.trace_function(loss, (1, 3), 1, 3, 1, constants=("x", "y")).gradient()
    by_trace = traced.update(optim.momentum(0.02)).train(points, start, epochs=5, batch=4, backend=backend)
    as_rows = program(ROWS, optim.momentum(0.02)).train(data, start, epochs=5, batch=4, backend=backend)
    assert by_trace.parameters["W"].shape == (1, 3)
    assert np.allclose(by_trace.parameters["W"], as_rows.parameters["W"], rtol=1e-12)
    assert np.allclose(by_trace.states["velocity"]["W"], as_rows.states["velocity"]["W"], rtol=1e-10)

    numbers = {"x": data["X"][:, 0], "y": data["y"][:, 0]}
    made = program(LINE).train(numbers, {"w": 0.5, "b": 0}, epochs=3, batch=3, backend=backend)
    rowlike = {"x": data["X"][:, :1], "y": data["y"]}
    matrix = "W: (1, 1); b: 1; x: const(1); y: const(1); sum((W @ x + b - y)**2)"
    other = program(matrix).train(rowlike, {"W": [[0.5]], "b": [0.0]}, epochs=3, batch=3, backend=backend)
    assert type(made.parameters["w"]) is float
    assert made.parameters["w"] == pytest.approx(other.parameters["W"][0, 0], rel=1e-13)
    assert made.parameters["b"] == pytest.approx(other.parameters["b"][0], rel=1e-13)


def test_many_points_at_once_are_summed_in_blocks() -> None:
    x = np.linspace(-1, 1, 5000)
    made = program(LINE).train({"x": x, "y": 2 * x}, {"w": 0.0, "b": 1.0}, epochs=1, backend="numpy")
    assert made.parameters["w"] == pytest.approx(-0.05 * np.mean(2 * (1 - 2 * x) * x), rel=1e-12)
    assert made.value == pytest.approx(np.mean((1 - 2 * x) ** 2), rel=1e-12)


def test_without_data_there_is_one_sample(backend: str) -> None:
    made = program(ROSENBROCK, optim.gradient_descent(0.001)).train(start={"x": -1, "y": 1}, epochs=3, backend=backend)
    x, y, values = -1.0, 1.0, []
    for _ in range(3):
        values.append((1 - x) ** 2 + 100 * (y - x**2) ** 2)
        x, y = x - 0.001 * (-2 * (1 - x) - 400 * x * (y - x**2)), y - 0.001 * 200 * (y - x**2)
    assert made.parameters == pytest.approx({"x": x, "y": y}, rel=1e-13)
    assert made.history.value.tolist() == pytest.approx(values, rel=1e-13)


def test_data_without_samples_are_whole_in_each_batch(backend: str) -> None:
    """`scale` has the dimension of the parameters only; Z is a point each with its own x."""
    text = "w: d; X: const(n, d); scale: const(d); y: const(n); sum((X @ (scale*w) - y)**2)/n"
    rng = np.random.default_rng(1)
    X, y, scale = rng.normal(size=(9, 4)), rng.normal(size=9), rng.normal(size=4)
    made = program(text).train({"X": X, "scale": scale, "y": y}, {"w": np.ones(4)}, epochs=1, batch=4, backend=backend)
    w = np.ones(4)
    order = np.random.default_rng([0, 0]).permutation(9)
    for now in (order[:4], order[4:8], order[8:]):
        w = w - 0.05 * 2 * scale * (X[now].T @ (X[now] @ (scale * w) - y[now])) / len(now)
    assert np.allclose(made.parameters["w"], w, rtol=1e-12)


def test_samples_may_lie_along_any_axis(backend: str) -> None:
    data, start = rows()
    columns = "W: (k, 3); b: (k, 1); X: const(3, n); y: const(k, n); sum((W @ X + b - y)**2)/n"
    turned = {"X": data["X"].T, "y": data["y"].T}
    one = program(ROWS).train(data, start, epochs=3, batch=5, backend=backend)
    two = program(columns).train(
        turned, {"W": start["W"], "b": start["b"][:, None]}, epochs=3, batch=5, backend=backend
    )
    assert np.allclose(one.parameters["W"], two.parameters["W"], rtol=1e-12)


@pytest.mark.compiler
@pytest.mark.parametrize("rule", [optim.adam(0.01), optim.momentum(0.01), optim.gradient_descent(0.01)])
def test_the_engines_agree(rule: Any) -> None:
    data, start = rows(31)
    for batch in (1, 8, 31):
        one, two = (
            program(ROWS, rule).train(data, start, epochs=6, batch=batch, seed=9, backend=backend)  # type: ignore[arg-type]
            for backend in ("c", "numpy")
        )
        assert np.allclose(one.history.value, two.history.value, rtol=1e-11)
        assert np.allclose(one.parameters["W"], two.parameters["W"], rtol=1e-11)


def test_the_value_over_other_data(backend: str) -> None:
    data, start = rows()
    trainer = program(ROWS).trainer(backend)
    residual = data["X"] @ start["W"].T + start["b"] - data["y"]
    assert trainer.value(data, start) == pytest.approx(np.sum(residual**2) / 23, rel=1e-13)
    points = program(POINT).trainer(backend)
    assert points.value({"x": data["X"], "y": data["y"]}, start) == pytest.approx(np.sum(residual**2) / 23, rel=1e-13)


# -- order and chunks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 3, 7])
@pytest.mark.parametrize("batch", [23, 6, 1])
def test_chunks_change_no_bit(backend: str, batch: int, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data, start = rows()
    prog = program(ROWS, optim.adam(0.01))
    whole = prog.train(data, start, epochs=5, batch=batch, backend=backend)
    monkeypatch.setattr(training, "_MOST", most)
    assert same(whole, prog.train(data, start, epochs=5, batch=batch, backend=backend))
    monkeypatch.setattr(training, "_INDICES", 23)
    assert same(whole, prog.train(data, start, epochs=5, batch=batch, backend=backend))


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    plan = Plan(10, 3, 5, 7, True)
    assert plan.per_epoch == 4 and plan.total == 20 and plan.weights().tolist() == [3, 3, 3, 1]
    assert plan.order(4).tolist() == np.random.default_rng([7, 4]).permutation(10).tolist()
    data, start = rows()
    runs = [program(ROWS).train(data, start, epochs=3, batch=5, seed=s, backend="numpy") for s in (0, 0, 1)]
    assert same(runs[0], runs[1]) and not same(runs[0], runs[2])
    ordered = program(ROWS).train(data, start, epochs=3, batch=5, shuffle=False, backend="numpy")
    assert not same(runs[0], ordered)


def test_nothing_of_the_callers_changes(backend: str) -> None:
    data, start = rows()
    kept = {name: array.copy() for name, array in {**data, **start}.items()}
    made = program(ROWS).train(data, start, epochs=2, batch=5, backend=backend)
    for name, array in {**data, **start}.items():
        assert np.array_equal(array, kept[name])
    made.parameters["W"][:] = 0
    assert not np.any(start["W"] == 0)


def test_lists_integers_and_views_are_taken(backend: str) -> None:
    x, y = [1, 2, 3], np.arange(12.0)[::4]
    made = program(LINE).train({"x": x, "y": y}, {"w": 1, "b": np.float32(0)}, epochs=2, backend=backend)
    again = program(LINE).train(
        {"x": np.array([1.0, 2, 3]), "y": np.array(y)}, {"w": 1.0, "b": 0.0}, epochs=2, backend=backend
    )
    assert same(made, again)


def test_defaults_of_the_formula_fill(backend: str) -> None:
    text = "w: () = 0.5; lam: const() = 0.1; x: const(); (w*x - 1)**2 + lam*w**2"
    made = program(text).train({"x": [1.0, 2.0]}, epochs=1, backend=backend)
    gradient = np.mean([2 * (0.5 * x - 1) * x + 0.2 * 0.5 for x in (1.0, 2.0)])
    assert made.parameters["w"] == pytest.approx(0.5 - 0.05 * gradient, rel=1e-14)


# -- what is refused ---------------------------------------------------------------------------------------------------

X4, W0, B0 = np.ones((4, 3)), np.zeros((2, 3)), np.zeros(2)
Y4 = np.ones((4, 2))


@pytest.mark.parametrize(
    ("text", "data", "start", "options", "words"),
    [
        (ROWS, {"X": X4}, {"W": W0, "b": B0}, {}, ["data: 'y' missing"]),
        (ROWS, {"X": X4, "y": Y4}, {"W": W0}, {}, ["start: 'b' missing"]),
        (ROWS, {"X": X4, "y": Y4, "b": B0}, {"W": W0}, {}, ["'b' is a parameter", "start"]),
        (ROWS, {"y": Y4}, {"W": W0, "b": B0, "X": X4}, {}, ["'X' is not trained", "data"]),
        (ROWS, {"X": X4, "y": Y4, "z": 1}, {"W": W0, "b": B0}, {}, ["'z' is no input", "W, b, X, y"]),
        (ROWS, {"X": X4[0], "y": Y4}, {"W": W0, "b": B0}, {}, ["'X' has shape (3,)", "(n, 3)", "(N, n, 3)"]),
        (ROWS, {"X": X4, "y": Y4}, {"W": W0[0], "b": B0}, {}, ["start 'W' has shape (3,)", "(k, 3)"]),
        (ROWS, {"X": X4, "y": Y4[:3]}, {"W": W0, "b": B0}, {}, ["(4, 3)", "(3, 2)", "dimension n"]),
        (ROWS, {"X": X4, "y": Y4}, {"W": W0, "b": np.zeros(3)}, {}, ["(2, 3)", "(3,)", "dimension k"]),
        (ROWS, {"X": X4[:0], "y": Y4[:0]}, {"W": W0, "b": B0}, {"samples": "n"}, ["no samples", "'X', 'y'"]),
        (ROWS, {"X": X4[:0], "y": Y4[:0]}, {"W": W0, "b": B0}, {"batch": 1}, ["no samples", "'X' has shape (0, 3)"]),
        (POINT, {"x": X4[:0], "y": Y4[:0]}, {"W": W0, "b": B0}, {}, ["no samples", "'x', 'y'"]),
        (ROWS, [X4, Y4], {"W": W0, "b": B0}, {}, ["data: expected arrays by name", "list"]),
        (ROWS, X4, {"W": W0, "b": B0}, {}, ["data: expected arrays by name", "ndarray"]),
        (ROWS, {"X": X4, "y": Y4}, [W0, B0], {}, ["start: expected arrays by name", "list"]),
        (POINT, {"x": X4, "y": Y4[:3]}, {"W": W0, "b": B0}, {}, ["4 points", "'y'", "3"]),
        (POINT, {"x": X4[:, :2], "y": Y4}, {"W": W0, "b": B0}, {}, ["(2,)", "points"]),
        (POINT, {"x": X4, "y": Y4}, {"W": W0, "b": B0}, {"samples": "n"}, ["'n'", "points"]),
        (ROWS, {"X": X4, "y": Y4}, {"W": W0, "b": B0}, {"samples": "k"}, ["a parameter", "'k'"]),
        (ROWS, {"X": X4, "y": Y4}, {"W": W0, "b": B0}, {"samples": "m"}, ["'m'", "n"]),
        (LINE, {"x": X4, "y": 1.0}, {"w": 0, "b": 0}, {}, ["'x' has shape (4, 3)", "()", "(N,)"]),
        (LINE, {"x": 1.0, "y": 1.0}, {"w": 0, "b": 0}, {"batch": 2}, ["batch", "samples"]),
        (LINE, {"x": [True], "y": 1.0}, {"w": 0, "b": 0}, {}, ["data 'x'", "bool"]),
        (LINE, {"x": [1.0, None], "y": 1.0}, {"w": 0, "b": 0}, {}, ["data 'x'", "object"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"epochs": 0}, ["epochs", "from 1"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"epochs": 1.5}, ["epochs", "1.5"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"batch": 0}, ["batch", "from 1"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"seed": -1}, ["seed", "from 0"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"every": -1}, ["every"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"settings": {"mu": 1}}, ["eta", "'mu'"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"settings": {"eta": float("inf")}}, ["'eta'", "finite"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"settings": {"eta": 10**400}}, ["'eta'", "finite"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"settings": {"eta": "1"}}, ["'eta'", "finite", "'1'"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"settings": [1]}, ["settings", "[1]"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"every": float("nan")}, ["every", "nan"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"shuffle": "no"}, ["shuffle", "'no'"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"checkpoint": "a\0b"}, ["checkpoint", "a\\x00b"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"checkpoint": 5}, ["checkpoint", "5"]),
        (LINE, {"x": [1.0], "y": 1.0}, {"w": 0, "b": 0}, {"settings": {"eta": -1}}, ["gradient descent", "0 <= eta"]),
        (LINE, {"x": [1.0, np.nan, np.inf], "y": 1.0}, {"w": 0, "b": 0}, {}, ["data: x[1] is nan", "first of 2"]),
        (LINE, {"x": [1.0], "y": -np.inf}, {"w": 0, "b": 0}, {}, ["data: y is -inf", "finite"]),
        (ROWS, {"X": X4, "y": Y4 * [1, np.inf]}, {"W": W0, "b": B0}, {}, ["data: y[0, 1] is inf", "first of 4"]),
        (ROWS, {"X": X4, "y": Y4}, {"W": W0 * np.nan, "b": B0}, {}, ["start: W[0, 0] is nan"]),
    ],
)
def test_bad_arguments_say_what_is_wrong(text: str, data: Any, start: Any, options: Any, words: list[str]) -> None:
    with pytest.raises(symdiff.SymdiffError) as error:
        program(text).train(data, start, **{"epochs": 1, **options}, backend="numpy")
    assert all(word in str(error.value) for word in words), str(error.value)


def test_numbers_of_numpy_are_numbers() -> None:
    data, start = {"x": [1.0, 2.0], "y": 1.0}, {"w": 0, "b": 0}
    plain = program(LINE).train(data, start, epochs=2, settings={"eta": 0.5}, backend="numpy")
    for eta, every in ((np.float32(0.5), np.float32(1)), (np.float64(0.5), np.int64(1))):
        made = program(LINE).train(
            data, start, epochs=2, settings={"eta": eta}, every=every, shuffle=np.False_, backend="numpy"
        )
        assert same(plain, made)
    whole = program(LINE).train(data, start, epochs=1, settings={"eta": np.int64(1)}, backend="numpy")
    assert whole.parameters["b"] == 2.0


def test_a_dimension_of_size_0_holds_no_samples(backend: str) -> None:
    """It may well be data that are not there this time."""
    text = "w: 2; c: const(2); more: const(n); sum((w - c)**2) + sum(more)*w[0]"
    made = program(text).train({"c": [1.0, 2.0], "more": []}, {"w": [0.0, 0.0]}, epochs=1, backend=backend)
    assert made.parameters["w"].tolist() == pytest.approx([0.1, 0.2]) and made.samples == "1"


def test_no_samples_at_all_are_named_where_the_value_is_nan(backend: str) -> None:
    empty = {"X": X4[:0], "y": Y4[:0]}
    with pytest.raises(symdiff.DivergenceError, match=r"look at the data and the start \('X' has shape \(0, 3\)"):
        program(ROWS).train(empty, {"W": W0, "b": B0}, epochs=1, backend=backend)


def test_a_batch_of_more_than_all_is_one_of_all(backend: str) -> None:
    data, start = rows()
    made, whole = (program(ROWS).train(data, start, epochs=2, batch=batch, backend=backend) for batch in (24, 23))
    assert same(made, whole) and made.batch == whole.batch == 23


def test_a_training_says_what_it_took_for_samples() -> None:
    data, start = rows()
    made = program(ROWS).train(data, start, epochs=1, backend="numpy")
    assert made.samples == "23 along n" and "1 epochs over 23 along n, 1 updates" in repr(made)
    made = program(POINT).train({"x": data["X"], "y": data["y"]}, start, epochs=1, backend="numpy")
    assert made.samples == "23 points"
    made = program(ROSENBROCK).train(start={"x": 0, "y": 0}, epochs=1, backend="numpy")
    assert made.samples == "1" and "over" not in repr(made)


def test_shapes_raise_shape_errors() -> None:
    with pytest.raises(symdiff.ShapeError):
        program(ROWS).train({"X": X4, "y": Y4[:3]}, {"W": W0, "b": B0}, epochs=1, backend="numpy")


def test_two_dimensions_that_could_hold_samples() -> None:
    text = "w: (); A: const(m, n); sum((w*A - 1)**2)/(m*n)"
    A = np.arange(6.0).reshape(2, 3)
    prog = program(text)
    assert prog.train({"A": A}, {"w": 1.0}, epochs=1, backend="numpy").updates == 1
    with pytest.raises(symdiff.SymdiffError, match="samples="):
        prog.train({"A": A}, {"w": 1.0}, epochs=1, batch=1, backend="numpy")
    made = prog.train({"A": A}, {"w": 1.0}, epochs=1, batch=1, samples="n", shuffle=False, backend="numpy")
    w = 1.0
    for column in A.T:
        w -= 0.05 * np.mean(2 * (w * column - 1) * column)
    assert made.parameters["w"] == pytest.approx(w, rel=1e-13) and made.updates == 3
    square = program("w: (); A: const(n, n); sum((w*A - 1)**2)")
    with pytest.raises(symdiff.SymdiffError, match="more than once"):
        square.train({"A": np.ones((2, 2))}, {"w": 1.0}, epochs=1, samples="n", backend="numpy")


def test_an_index_beyond_the_last_batch_is_found_before() -> None:
    prog = program("w: (); x: const(n); (w*x[3] - 1)**2 + sum(x)*0")
    with pytest.raises(symdiff.ShapeError, match="batch of 2 samples"):
        prog.train({"x": np.ones(10)}, {"w": 1.0}, epochs=1, batch=4, backend="numpy")
    assert prog.train({"x": np.ones(12)}, {"w": 1.0}, epochs=1, batch=4, backend="numpy").updates == 3


def test_a_rule_is_needed() -> None:
    with pytest.raises(symdiff.SymdiffError, match="update rule"):
        symdiff.formula(ROSENBROCK).gradient().train(start={"x": 0, "y": 0}, epochs=1)
    with pytest.raises(symdiff.UnsupportedError, match="backend"):
        program(ROSENBROCK).train(start={"x": 0, "y": 0}, epochs=1, backend="gpu")  # type: ignore[arg-type]


# -- numbers that are not finite ---------------------------------------------------------------------------------------

OWN = """
theta: (); theta_bar: const(); v: const(); eta: const() = 1
v_new = theta_bar**3
theta_new = theta - eta*theta_bar
"""


@pytest.mark.parametrize(
    ("text", "rule", "start", "updates", "words"),
    [
        ("w: 2; sum(w**2)**8", optim.gradient_descent(1.0), {"w": [1.5, 2]}, None, ["the value is"]),
        (
            "w: 3; sum(sqrt(w))",
            optim.gradient_descent(0.1),
            {"w": [1, 0, 0]},
            0,
            ["derivative", "w[1]", "first update"],
        ),
        ("w: (2, 2); 1e150*sum(w)", optim.rule(OWN, eta=0.0), {"w": np.ones((2, 2))}, 0, ["state", "w[0, 0]"]),
        ("a: (); w: 2; a + 1e10*w[1]", optim.gradient_descent(1e300), {"a": 1, "w": [1, 1]}, 0, ["w[1] is not finite"]),
    ],
)
def test_divergence_says_where_and_keeps_what_was_made(
    backend: str, text: str, rule: Any, start: Any, updates: int | None, words: list[str]
) -> None:
    with pytest.raises(symdiff.DivergenceError) as error:
        program(text, rule).train(start=start, epochs=200, backend=backend)
    made = error.value.training
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "learning rate" in str(error.value) and f"update {made.updates + 1}" in str(error.value)
    assert made.updates == len(made.history) and (updates is None or made.updates == updates)
    assert all(np.isfinite(value).all() for value in made.parameters.values()) and np.isfinite(made.history.value).all()
    if updates is None:
        again = program(text, rule).train(start=start, epochs=made.updates, backend=backend)
        assert made.updates > 0 and same(made, again)


def test_divergence_without_parameters(backend: str) -> None:
    """There is no number of theta to name, and none is needed."""
    text = "W: n; x: const(); log(sum(W) - 1 + 0*x)"
    with pytest.raises(symdiff.DivergenceError, match="the value is nan"):
        program(text).train({"x": 1.0}, {"W": np.zeros(0)}, epochs=1, backend=backend)


def test_divergence_inside_an_epoch(backend: str) -> None:
    x = np.array([1.0, 1, 1, 1e200, 1, 1])
    with pytest.raises(symdiff.DivergenceError, match=r"epoch 0 \(from 0\), update 4") as error:
        program(LINE).train({"x": x, "y": 0 * x}, {"w": 1, "b": 0}, epochs=2, batch=1, shuffle=False, backend=backend)
    made = error.value.training
    assert made.updates == 3 and len(made.history) == 0 and 0 < made.value <= 1


# -- how runs end ------------------------------------------------------------------------------------------------------


@pytest.fixture
def handler() -> Iterator[Any]:
    """Python's own, which pytest may have replaced; and a look that it is there again."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_a_run_and_the_checkpoint_goes_on(backend: str, handler: Any, tmp_path: Path) -> None:
    data, start = rows()
    options: Any = {"batch": 5, "checkpoint": tmp_path / "run.npz", "backend": backend}
    seen = []

    def pressed(epoch: int, epochs: int, value: float) -> None:
        seen.append((epoch, epochs, value))
        signal.raise_signal(signal.SIGINT)

    prog = program(ROWS, optim.adam(0.01))
    made = prog.train(data, start, epochs=40, progress=pressed, **options)
    assert made.interrupted and 0 < made.updates < 200 and len(seen) == 1
    assert seen[0] == (len(made.history), 40, made.value)
    whole = prog.train(data, start, epochs=40, batch=5, backend=backend)
    gone_on = prog.train(data, start, epochs=40, **options)
    assert same(whole, gone_on) and gone_on.updates == whole.updates and not gone_on.interrupted


def test_ctrl_c_after_the_last_update_interrupts_nothing(handler: Any) -> None:
    made = program(ROSENBROCK).train(
        start={"x": 0, "y": 0}, epochs=1, progress=lambda *_: signal.raise_signal(signal.SIGINT), backend="numpy"
    )
    assert made.updates == 1 and not made.interrupted


def test_the_second_ctrl_c_raises(handler: Any) -> None:
    def pressed(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        program(ROSENBROCK).train(start={"x": 0, "y": 0}, epochs=5, progress=pressed, backend="numpy")


@pytest.mark.compiler
def test_ctrl_c_does_not_wait_for_a_long_update() -> None:
    """One update over two million points takes seconds, in C: it is given up in the middle, and nothing of it stays."""
    terms = " + ".join(f"sin(a*x + {k})" for k in range(60))
    program = symdiff.formula(f"x: const(); a: (); {terms}").gradient().update(optim.gradient_descent(eta=1e-9))
    trainer = program.trainer("c")
    before = signal.set_wakeup_fd(-1)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    made = trainer.train({"x": np.linspace(0, 1, 2_000_000)}, {"a": 1.0}, epochs=1)
    timer.join()
    assert made.interrupted and made.updates == 0 and made.parameters == {"a": 1.0}
    assert signal.set_wakeup_fd(before) == -1


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        made = program(ROSENBROCK).train(
            start={"x": 0, "y": 0}, epochs=3, progress=lambda *_: signal.raise_signal(signal.SIGINT), backend="numpy"
        )
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN and not made.interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def test_threads_train_at_once(backend: str) -> None:
    data, start = rows()
    trainer = program(ROWS, optim.adam(0.01)).trainer(backend)
    alone = [trainer.train(data, start, epochs=20, batch=5, seed=seed) for seed in range(4)]
    made: dict[int, Training] = {}

    def run(seed: int) -> None:
        made[seed] = trainer.train(data, start, epochs=20, batch=5, seed=seed)

    threads = [threading.Thread(target=run, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(alone[seed], made[seed]) for seed in range(4))


def test_progress_tells_whole_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_MOST", 3)
    seen: list[Any] = []
    data, start = rows()
    made = program(ROWS).train(
        data, start, epochs=4, batch=5, backend="numpy", progress=lambda *given: seen.append(given)
    )
    assert [epoch for epoch, _, _ in seen] == [1, 2, 3, 4]
    assert [value for _, _, value in seen] == made.history.value.tolist()


def test_a_bar_is_drawn_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    import sys

    from symdiff import progress

    monkeypatch.setattr(progress, "_QUIET", 0.0)
    program(ROSENBROCK).train(start={"x": 0, "y": 0}, epochs=2, progress=True, backend="numpy")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    program(ROSENBROCK).train(start={"x": 0, "y": 0}, epochs=2, progress=True, backend="numpy")
    printed = capsys.readouterr()
    assert printed.out == "" and "epoch" in printed.err


def test_help_says_what_there_is_and_what_comes_out() -> None:
    result = [field.name for field in dataclasses.fields(Training)]
    options = [name for name in inspect.signature(training.Trainer.train).parameters if name != "self"]
    for function in (training.Trainer.train, symdiff.Program.train):
        words = set(re.findall(r"\w+", function.__doc__ or ""))
        assert words.issuperset(result) and words.issuperset(options)


# -- the short way -----------------------------------------------------------------------------------------------------


def test_train_in_one_go() -> None:
    data, start = rows()
    formula, rule = symdiff.formula(ROWS), optim.adam(0.01)
    wanted = formula.gradient(("W", "b")).update(rule).train(data, start, epochs=2, backend="numpy")
    for source in (ROWS, formula, formula.gradient(("W", "b")), formula.gradient(("W", "b")).update(rule)):
        assert same(wanted, optim.train(source, data, start, rule=rule, epochs=2, backend="numpy"))
    part = optim.train(ROWS, {**data, "b": start["b"]}, {"W": start["W"]}, epochs=1, backend="numpy")
    assert set(part.parameters) == {"W"}
    with pytest.raises(symdiff.SymdiffError, match="wrt"):
        optim.train(formula.gradient(), data, start, wrt=("W",), epochs=1)


def test_a_start_that_has_no_names() -> None:
    data, start = rows()
    with pytest.raises(symdiff.SymdiffError, match="start: expected arrays by name"):
        optim.train(ROWS, data, list(start.values()), epochs=1, backend="numpy")  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", ["adam", None, optim.adam])
def test_what_is_no_rule_is_refused(rule: Any) -> None:
    with pytest.raises(symdiff.SymdiffError, match=r"symdiff\.optim\.adam\(\)"):
        symdiff.formula(ROSENBROCK).gradient().update(rule)


def test_rules_by_the_names_of_commands() -> None:
    assert optim.commands() == ("gd", "momentum", "adam")
    assert optim.named("gd").name == optim.named("gradient_descent").name == "gradient descent"
    with pytest.raises(symdiff.SymdiffError, match="did you mean 'adam'"):
        optim.named("adamm")
