"""Training in C against plain NumPy, and what stops it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from training import (
    CASES,
    OWN,
    RULES,
    Given,
    columns,
    engine_of,
    grouped,
    orders,
    points,
    rows,
    run_of,
    scalars,
    trained,
)

import symdiff
from symdiff import optim
from symdiff.formula_data import FormulaData
from symdiff.render import c as render_c
from symdiff.runtime import compiler
from symdiff.runtime.spec import KernelError

pytestmark = pytest.mark.compiler


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_updates_are_those_of_plain_numpy(case: str, shuffled: bool) -> None:
    formula, given = CASES[case]()
    samples = given.samples
    for batch in sorted({1, 4, samples, samples + 3}):
        for rule, step in RULES.values():
            per_epoch = -(-samples // min(batch, samples))
            order = orders(samples, 3) if shuffled else None
            run, problem = run_of(formula, given, rule)
            values = np.full(2 * per_epoch + 1, np.nan)
            outcome = run.advance(order, batch, 0, 0, values)
            assert (outcome.done, outcome.fault) == (len(values), None)
            theta, state, expected = trained(formula, given, step, len(rule.states), order, batch, len(values))
            np.testing.assert_allclose(values, expected, rtol=1e-11, atol=1e-13)
            np.testing.assert_allclose(problem.theta, theta, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(problem.state, state, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("case", ["rows", "points", "scalars"])
def test_cutting_a_run_into_calls_changes_no_bit(case: str) -> None:
    formula, given = CASES[case]()
    rule, batch, epochs = RULES["adam"][0], 4, 5
    per_epoch = -(-given.samples // batch)
    order = orders(given.samples, epochs)
    whole, of_whole = run_of(formula, given, rule)
    values = np.empty(per_epoch * epochs)
    whole.advance(order, batch, 0, 0, values)
    parts, of_parts = run_of(formula, given, rule)
    pieces, made = [], 0
    for length in (1, 2, 1, 7, len(values) - 11):
        piece = np.empty(length)
        epoch, first = divmod(made, per_epoch)
        assert parts.advance(order[epoch:].copy(), batch, first, made, piece).done == length
        pieces.append(piece)
        made += length
    assert np.concatenate(pieces).tobytes() == values.tobytes()
    assert of_parts.theta.tobytes() == of_whole.theta.tobytes()
    assert of_parts.state.tobytes() == of_whole.state.tobytes()


def test_data_are_read_and_nothing_else_is_written() -> None:
    formula, given = rows()
    run, problem = run_of(formula, given, RULES["adam"][0])
    before = {name: array.copy() for name, array in problem.data.items()}
    order = orders(13, 2)
    kept = order.copy()
    run.advance(order, 5, 0, 0, np.empty(6))
    assert all((problem.data[name] == array).all() for name, array in before.items())
    assert (order == kept).all()


# -- rules -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("case", ["points", "scalars"])
def test_rules_of_ones_own(case: str, name: str) -> None:
    text, plain = OWN[name]
    formula, given = CASES[case]()
    rule = optim.rule(text)
    run, problem = run_of(formula, given, rule)
    values = np.empty(7)
    assert run.advance(None, 4, 0, 0, values).done == 7
    theta, _, expected = trained(formula, given, lambda p, g, s, t: (plain(p, g, s, t), s), 0, None, 4, 7)
    np.testing.assert_allclose(problem.theta, theta, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(values, expected, rtol=1e-10)


def test_a_state_that_nothing_reads_is_written() -> None:
    rule = optim.rule(
        "theta: ()\ntheta_bar: const()\nlast: const()\nlast_new = theta_bar\ntheta_new = theta - 0.1*last_new"
    )
    formula, given = scalars()
    run, problem = run_of(formula, given, rule)
    run.advance(None, 10, 0, 0, np.empty(1))
    _, gradient = formula.gradient(("b", "a")).compile("numpy")(**given.data, **given.start)
    np.testing.assert_allclose(problem.state[0], [np.mean(each) for each in gradient], rtol=1e-12)


def test_the_bits_of_an_update_do_not_depend_on_where_a_number_lies() -> None:
    """Vector functions of the C library differ in the last bit from scalar ones, so they must not come in by place."""
    n = 37
    formula = symdiff.formula(f"w: {n}\nsum(sin(w)*w)")
    engine = engine_of(formula.gradient().update(optim.rule(OWN["transcendental"][0])))
    start = np.random.default_rng(0).normal(size=n)
    found = set()
    for shift in range(8):
        memory = np.zeros(n + 16)
        given = Given({"w": start}, {}, {})
        problem = given.problem(optim.gradient_descent())
        moved = type(problem)(**{**vars(problem), "theta": memory[shift : shift + n], "state": np.zeros((0, n))})
        moved.theta[:] = start
        engine.bind(moved).advance(None, 1, 0, 0, np.empty(5))
        found.add(moved.theta.tobytes())
    assert len(found) == 1


# -- what stops a run --------------------------------------------------------------------------------------------------


def test_a_value_that_is_not_finite() -> None:
    formula = symdiff.formula("x: const()\nw: ()\nx*w + 1e308*w**4")
    run, problem = run_of(formula, Given({"w": 100.0}, {"x": [1.0, 2.0]}, {"x": 0}), RULES["adam"][0])
    values = np.zeros(3)
    assert vars(run.advance(None, 1, 0, 0, values)) == {"done": 0, "fault": "value", "place": 0}
    assert values[0] == np.inf and values[1] == 0
    assert problem.theta[0] == 100 and not problem.state.any()


def test_a_gradient_that_is_not_finite_at_the_first_place() -> None:
    formula = symdiff.formula("w: (2, 3)\nx: const()\nx*sum(sqrt(w))")
    start = np.ones((2, 3))
    start[0, 2] = start[1, 1] = 0.0
    run, problem = run_of(formula, Given({"w": start}, {"x": [0.0, 1.0]}, {"x": 0}), RULES["momentum"][0])
    outcome = run.advance(None, 1, 1, 5, np.zeros(3))
    assert (outcome.done, outcome.fault, outcome.place) == (0, "gradient", 2)
    assert (problem.theta.reshape(2, 3) == start).all() and not problem.state.any()


def test_a_state_and_a_parameter_that_are_not_finite() -> None:
    formula, given = scalars()
    grows = "theta: ()\ntheta_bar: const()\ngrows: const()\nother: const()\n"
    state = optim.rule(
        grows + "other_new = other + 1\ngrows_new = where(other > 1.5, exp(800 + theta_bar), 0)\ntheta_new = theta + 1"
    )
    run, problem = run_of(formula, given, state)
    outcome = run.advance(None, 10, 0, 0, np.zeros(4))
    assert (outcome.done, outcome.fault, outcome.place) == (2, "state", 0)
    assert problem.theta.tolist() == [2.3, 3.2] and problem.state.tolist() == [[0, 0], [2, 2]]
    parameter = optim.rule("theta: ()\ntheta_bar: const()\ntheta_new = where(theta > 1, exp(800 + theta), theta)")
    run, problem = run_of(formula, given, parameter)
    outcome = run.advance(None, 10, 0, 0, np.zeros(4))
    assert (outcome.done, outcome.fault, outcome.place) == (0, "parameter", 1)
    assert problem.theta.tolist() == [0.3, 1.2]


def test_another_thread_stops_a_run_before_its_next_update() -> None:
    formula, given = points()
    run, problem = run_of(formula, given, RULES["descent"][0])
    values = np.full(20_000_000, np.nan)
    timer = threading.Timer(0.2, run.stop)
    timer.start()
    begin = time.perf_counter()
    outcome = run.advance(None, 1, 0, 0, values)
    assert time.perf_counter() - begin < 2.0  # 20 million updates take far longer
    timer.join()
    assert outcome.fault is None and 0 < outcome.done < len(values)
    assert np.isfinite(values[: outcome.done]).all() and np.isnan(values[outcome.done])
    again, same = run_of(formula, given, RULES["descent"][0])
    again.advance(None, 1, 0, 0, values[: outcome.done].copy())
    assert same.theta.tobytes() == problem.theta.tobytes()
    assert run.advance(None, 1, outcome.done % 11, outcome.done, np.empty(3)).done == 3  # the stop is over


@pytest.mark.parametrize("case", ["sized_points", "scalars"])
def test_a_stop_does_not_wait_for_the_end_of_a_large_batch(case: str) -> None:
    """Between two points of one update, of which nothing is written then."""
    formula, given = CASES[case]()
    run, problem = run_of(formula, given, RULES["descent"][0])
    order = np.zeros((1, 100_000_000), np.intp)  # every sample is the first one, a hundred million times
    run._problem = replace(problem, samples=order.size)
    timer = threading.Timer(0.2, run.stop)
    timer.start()
    begin = time.perf_counter()
    outcome = run.advance(order, order.size, 0, 0, np.empty(1))
    assert time.perf_counter() - begin < 2.0
    timer.join()
    assert (outcome.done, outcome.fault) == (0, None) and (problem.theta == given.theta()).all()


def test_a_batch_that_an_epoch_does_not_have() -> None:
    formula, given = points()
    run, problem = run_of(formula, given, RULES["descent"][0])
    with pytest.raises(KernelError, match="batches 0 to 2, and no 3"):
        run.advance(None, 4, 3, 0, np.empty(1))
    assert (problem.theta == given.theta()).all()
    assert run.advance(None, 4, 2, 0, np.empty(1)).done == 1


def test_samples_along_a_dimension_that_cannot_hold_them() -> None:
    """A parameter has `d`, and there is no dimension number 2."""
    formula, given = columns()
    run, problem = run_of(formula, given, RULES["descent"][0])
    run.advance(None, 7, 0, 0, np.empty(1))
    theta, bound, engine = problem.theta.copy(), run._run, run._engine
    values, done, place = engine.ffi.new("double[1]"), engine.ffi.new("size_t *"), engine.ffi.new("size_t *")
    for dimension, fits in ((1, True), (-1, True), (0, False), (2, False), (1000, False)):
        bound.dimension = dimension
        assert (engine.workspace_size(bound) < 1000) == fits
        if not fits:
            assert engine.train(bound, 1, values, done, place) == 6 and done[0] == 0
    assert (problem.theta == theta).all()


def test_a_batch_too_small_for_an_index_of_the_formula() -> None:
    formula = symdiff.formula("X: const(n, 2)\nw: 2\ndot(X[2], w)**2 + sum(X[0]*w)")
    given = Given({"w": np.ones(2)}, {"X": np.ones((7, 2))}, {"X": 0}, "n", {"n": 7})
    run, _ = run_of(formula, given, RULES["descent"][0])
    with pytest.raises(KernelError, match="outside of its array for a batch"):
        run.advance(None, 6, 0, 0, np.empty(2))
    assert run.advance(None, 5, 0, 0, np.empty(1)).done == 1


def test_batches_that_leave_no_rest_need_no_room_for_one() -> None:
    """Of no samples the formula would need -1 numbers."""
    formula = symdiff.formula("X: const(n, 2)\nw: 2\nsum(tanh(X[1:] @ w)) + dot(X[0], w)")
    given = Given({"w": np.ones(2)}, {"X": np.eye(10, 2)}, {"X": 0}, "n", {"n": 10})
    rule, step = RULES["descent"]
    run, problem = run_of(formula, given, rule)
    assert run.advance(None, 5, 0, 0, np.empty(4)).done == 4
    np.testing.assert_allclose(problem.theta, trained(formula, given, step, 0, None, 5, 4)[0], rtol=1e-12)


def test_a_last_batch_may_need_more_memory_than_the_others() -> None:
    """`k - n` numbers are kept, so a smaller batch needs more; an address sanitizer sees it in tests/render."""
    formula = symdiff.formula("X: const(n)\nk: const(m)\nw: ()\nsum(tanh(k[n:]*w)**2) + sum(tanh(X*w))")
    rng = np.random.default_rng(0)
    given = Given({"w": 0.7}, {"X": rng.normal(size=10), "k": rng.normal(size=300)}, {"X": 0}, "n", {"n": 10, "m": 300})
    rule, step = RULES["descent"]
    run, problem = run_of(formula, given, rule)
    values = np.empty(4)
    run.advance(None, 9, 0, 0, values)
    theta, _, expected = trained(formula, given, step, 0, None, 9, 4)
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    np.testing.assert_allclose(problem.theta, theta, rtol=1e-12)


# -- size --------------------------------------------------------------------------------------------------------------


def test_large_products_go_through_blas() -> None:
    rng = np.random.default_rng(0)
    formula = symdiff.formula("X: const(n, 40)\nW: (40, 30)\nV: (30, 5)\nsum(tanh(tanh(X @ W) @ V)**2)/n")
    start = {"V": rng.normal(size=(30, 5)) / 5, "W": rng.normal(size=(40, 30)) / 6}
    given = Given(start, {"X": rng.normal(size=(300, 40))}, {"X": 0}, "n", {"n": 300})
    rule, step = RULES["momentum"]
    run, problem = run_of(formula, given, rule)
    order, values = orders(300, 2), np.empty(6)
    run.advance(order, 128, 0, 0, values)
    theta, _, expected = trained(formula, given, step, 1, order, 128, 6)
    np.testing.assert_allclose(values, expected, rtol=1e-11)
    np.testing.assert_allclose(problem.theta, theta, rtol=1e-9, atol=1e-12)


def test_a_workspace_beyond_every_memory() -> None:
    """Sizes that overflow where they are multiplied are found out, in the batch's part and in the formula's."""
    formula = symdiff.formula("X: const(n, d)\nt: const(n)\nW: (3, 2)\nsum(t)*sum(W) + sum(X**2)")
    given = Given(
        {"W": np.ones((3, 2))}, {"X": np.ones((4, 3)), "t": np.ones(4)}, {"X": 0, "t": 0}, "n", {"n": 4, "d": 3}
    )
    run, _ = run_of(formula, given, RULES["adam"][0])
    size, bound = run._engine.workspace_size, run._run
    bound.samples = bound.batch = 4
    assert 4 * 4 + 3 * 6 < size(bound) < 1000
    for samples, width in ((1 << 61, 3), (1 << 62, 4), (1 << 40, 1 << 40)):
        sizes = run._engine.ffi.new("size_t[]", [samples, width])
        bound.samples, bound.batch, bound.sizes = samples, samples, sizes
        assert size(bound) == 2**64 - 1
    with pytest.raises(MemoryError):
        run._workspaces.checked(size(bound), "formula")


LONG = "\n".join(
    ["a: ()", "b: ()", "c: const()", "v0 = a*b + c"]
    + [f"v{k + 1} = sin(v{k})*{'ab'[k % 2]} + v{max(0, k - 300)}/2" for k in range(400)]
    + ["v400"]
)


@pytest.fixture
def long_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is long, and what is too much for the stack, is so early that a test of it compiles in a moment."""
    monkeypatch.setattr(render_c, "_LONGEST_FUSED", 100)
    monkeypatch.setattr(render_c, "_MOST_STACK", 1000)


@pytest.mark.usefixtures("long_soon")
def test_training_with_a_formula_that_needs_a_workspace() -> None:
    formula, given = symdiff.formula(LONG), Given({"b": 0.9, "a": 0.8}, {"c": np.linspace(0, 1, 3)}, {"c": 0})
    rule, step = RULES["descent"]
    run, problem = run_of(formula, given, rule)
    values = np.empty(4)
    assert run.advance(None, 2, 0, 0, values).done == 4
    theta, _, expected = trained(formula, given, step, 0, None, 2, 4)
    np.testing.assert_allclose(values, expected, rtol=1e-12)
    np.testing.assert_allclose(problem.theta, theta, rtol=1e-12)


@pytest.mark.usefixtures("long_soon")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_kernel_of_a_formula_that_needs_a_workspace(dtype: str) -> None:
    """Points, batches in every layout, calls bound to memory, and several threads at once."""
    program = symdiff.formula(LONG).gradient()
    kernel, plain = program.compile("c", dtype=dtype), program.compile("numpy", dtype=dtype)
    tolerance = 1e-12 if dtype == "float64" else 1e-4
    a = np.linspace(0.2, 0.9, 40).astype(dtype).reshape(8, 5)
    value, gradient = plain(a=a, b=0.9, c=0.1)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(kernel(a=a, b=0.9, c=0.1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for found, grads in [*results, kernel(a=a.T.copy().T, b=0.9, c=0.1)]:
        np.testing.assert_allclose(found, value, rtol=tolerance)
        np.testing.assert_allclose(grads.b, gradient.b, rtol=tolerance)
    number, at_point = kernel(a=float(a[3, 2]), b=0.9, c=0.1)
    assert number == pytest.approx(value[3, 2], rel=tolerance)
    call = kernel.raw(a=a[3, 2, ...], b=0.9, c=0.1)
    assert call() == 0 and (float(call.value), float(call.grads.a)) == (number, at_point.a)
    row = kernel.raw(a=a[3], b=0.9, c=0.1)
    assert row() == 0 and row.value[2] == dtype_of(dtype)(number)


def dtype_of(name: str) -> Any:
    """NumPy's type."""
    return np.dtype(name).type


def test_the_formula_of_groups_is_one() -> None:
    """What `grouped` tests: arguments are arrays, inputs of the gradient are scalars."""
    data: FormulaData = grouped()[0].data
    assert [group.name for group in data.groups] == ["W", "x", "b", "y"] and len(data.inputs) == 12


def test_without_the_headers_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library is then opened by cffi, which lays out the struct by itself."""
    monkeypatch.setattr(compiler, "python_headers", lambda: None)
    formula, given = rows()
    rule, step = RULES["adam"]
    run, problem = run_of(formula, given, rule)
    order, values = orders(13, 2), np.empty(6)
    assert run.advance(order, 5, 0, 0, values).done == 6
    theta, _, expected = trained(formula, given, step, 2, order, 5, 6)
    np.testing.assert_allclose(values, expected, rtol=1e-11)
    np.testing.assert_allclose(problem.theta, theta, rtol=1e-10, atol=1e-12)


def test_an_update_of_a_small_network_takes_about_a_microsecond() -> None:
    """Online training of the 3-2-3 autoencoder: nothing but arithmetic happens between two updates."""
    formula, given = points()
    run, _ = run_of(formula, given, RULES["descent"][0])
    values = np.empty(50_000)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        run.advance(None, 1, 0, 0, values)
        times.append((time.perf_counter() - begin) / len(values))
    assert min(times) < 10e-6  # 0.3 us on an idle core; Python alone would take 20
