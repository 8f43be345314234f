"""The self-check of array formulas passes right kernels and fails wrong ones, and its 60 digits are right."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from ops.test_array_table import FORMULAS, SIZES
from tensors.corpus import ENTRIES

import symdiff
from symdiff.adjoint import adjoint
from symdiff.linearize import linearize
from symdiff.ops.array_exact import numbers
from symdiff.ops.evaluate import evaluate, evaluate_mp
from symdiff.shapes import shape_value
from symdiff.tangent import tangent
from symdiff.tape import Tape
from symdiff.trace import Trace
from symdiff.verify import Report, verify
from symdiff.verify.array_points import ArrayFinder, ArrayPoint
from symdiff.verify.array_reference import ArrayMachine, ArrayReference
from symdiff.verify.checks import run_steps
from symdiff.verify.finite import finite_differences

SMOOTH = "X: (n, m); W: (m, m); b: m; s: (); sum(tanh(X @ W + b)**2)*s + sum(W*sin(W.T)*W)"
CORPUS = list(ENTRIES)[:: max(1, len(ENTRIES) // 20)]
Change = Callable[[dict[str, Any]], None]


def own_kernel(tape: Tape) -> Any:
    """A kernel that works the tape out, one op of the table after the other."""

    def kernel(**point: Any) -> Any:
        sizes = Trace(tape.with_steps(()), point).sizes
        values: dict[str, Any] = {name: np.float64(size) for name, size in sizes.items()}
        values |= {name: np.asarray(x, np.float64)[()] for name, x in point.items()}
        run_steps(tape.steps, values, sizes)
        value, *gradients = [evaluate(expr, values, sizes) for _, expr in tape.outputs]
        return (float(value), tuple(map(np.array, gradients))) if tape.wrt else np.array(value)

    return kernel


@cache
def compiled(text: str) -> Any:
    return program(text).compile("numpy")


@cache
def program(text: str) -> Any:
    return symdiff.formula(text).gradient()


def check(text: str, change: Change | None = None, **options: Any) -> Report:
    """The self-check of a formula; `change` spoils the gradients, by name, of what stands for the compiled kernel."""
    made = program(text)
    right = compiled(text)

    def wrong(**point: Any) -> Any:
        value, gradient = right(**point)
        named = dict(zip(made.wrt, gradient, strict=True))
        assert change is not None
        change(named)
        return named.pop("value", value), tuple(named.values())

    options.setdefault("at", None)
    kernels = {"numpy": right} if change is None else {"numpy": right, "c": wrong}
    return verify(made.tape, tangent(made.primal, made.wrt), kernels, **options)


def failed(report: Report) -> set[str]:
    return {row.test for row in report.failures}


# -- what is right passes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMULAS)
def test_every_op_passes(name: str) -> None:
    report = check(FORMULAS[name], points=1)
    assert report.passed, str(report)
    assert {row.test for row in report.rows if row.compared} == {"dot product", "finite differences", "50 digits"}


@pytest.mark.parametrize("name", CORPUS)
def test_formulas_of_the_corpus_pass(name: str) -> None:
    entry = ENTRIES[name]
    formula = symdiff.formula(entry.text)
    formula = formula.bind(**entry.bind) if entry.bind else formula
    made = formula.value() if entry.value_only else formula.gradient()
    kernels = {"numpy": made.compile("numpy")}
    report = verify(made.tape, tangent(made.primal, made.wrt), kernels, at=entry.given(entry.sizes), points=1)
    assert report.passed, str(report)
    assert len(report.points) == 2


@pytest.mark.compiler
def test_both_backends_are_compared() -> None:
    report = program(SMOOTH).check()
    assert report.passed, str(report)
    assert {row.backend for row in report.rows} == {"numpy", "c", "both"}
    agree = {row.variable.partition("[")[0] for row in report.rows if row.test == "Python against C"}
    assert agree == {"value", "X", "W", "b", "s"}


def test_a_value_of_an_array_is_compared_component_by_component() -> None:
    made = symdiff.formula("X: (n, m); w: m; exp(X @ w)").value()
    right = own_kernel(made.tape)

    def wrong(**point: Any) -> Any:
        value = right(**point)
        value[1] *= 1 + 1e-7
        return value

    def report(compiled: Any) -> Report:
        kernels = {"numpy": right, "c": compiled}
        return verify(made.tape, tangent(made.primal, ()), kernels, at=None, points=2)

    assert report(right).passed
    assert {row.variable for row in report(wrong).failures} == {"value[1]"}
    assert failed(report(wrong)) == {"50 digits", "Python against C"}
    assert failed(report(lambda **point: right(**point)[:-1])) == {"50 digits", "Python against C"}


# -- what is wrong fails -----------------------------------------------------------------------------------------------


def largest_off(named: dict[str, Any], factor: float = 1 + 1e-6) -> None:
    named["X"].flat[np.argmax(np.abs(named["X"]))] *= factor


def smaller_off(named: dict[str, Any]) -> None:
    """The component in the middle of all sizes."""
    order = np.argsort(np.abs(named["X"]), axis=None)
    named["X"].flat[order[len(order) // 2]] *= 1 + 1e-6


def transposed(named: dict[str, Any]) -> None:
    named["W"] = named["W"].T


def factor_missing(named: dict[str, Any]) -> None:
    named["b"] = named["b"] / 2


def scalar_off(named: dict[str, Any]) -> None:
    named["s"] = named["s"] * (1 + 1e-6)


def one_nan(named: dict[str, Any]) -> None:
    named["W"][1, 0] = math.nan


def swapped_rows(named: dict[str, Any]) -> None:
    named["X"][[0, 1]] = named["X"][[1, 0]]


def nothing(named: dict[str, Any]) -> None:
    named["b"] = named["b"] * 0.0


@pytest.mark.parametrize(
    "change",
    [largest_off, smaller_off, transposed, factor_missing, scalar_off, one_nan, swapped_rows, nothing],
    ids=lambda change: change.__name__,
)
def test_every_test_sees_a_wrong_gradient(change: Change) -> None:
    report = check(SMOOTH, change, points=2)
    assert not report.passed
    assert failed(report) == {"dot product", "finite differences", "50 digits", "Python against C"}, str(report)
    assert {row.backend for row in report.failures} == {"c", "both"}
    assert {row.point for row in report.failures} == {1, 2}


def test_the_wrong_component_is_named() -> None:
    report = check(SMOOTH, lambda named: named["W"].__setitem__((0, 1), named["W"][0, 1] * 1.01))
    named = {row.variable for row in report.failures if row.test == "50 digits"}
    assert "W[0, 1]" in named
    assert not named - {"W[0, 1]", "W, direction 1", "W, direction 2"}
    assert {row.variable for row in report.failures if row.test == "Python against C"} == {"W[0, 1]"}


def test_a_gradient_of_another_shape_fails() -> None:
    report = check("X: (n, m); sum(X**3)", lambda named: named.__setitem__("X", named["X"].T))
    assert not report.passed
    assert "X: shape (3, 4), and not (4, 3)" in str(report)


def test_a_wrong_value_is_seen() -> None:
    made, right = program(SMOOTH), compiled(SMOOTH)

    def wrong(**point: Any) -> Any:
        value, gradient = right(**point)
        return value * (1 + 1e-9), gradient

    report = verify(made.tape, tangent(made.primal, made.wrt), {"numpy": wrong}, at=None)
    assert ("50 digits", "value") in {(row.test, row.variable) for row in report.failures}


# -- points ------------------------------------------------------------------------------------------------------------


def test_sizes_differ_and_points_repeat() -> None:
    report = check(SMOOTH)
    assert [dict(sizes) for sizes in report.sizes] == [{"n": 4, "m": 3}, {"n": 3, "m": 2}, {"n": 2, "m": 4}]
    assert str(report) == str(check(SMOOTH))
    assert str(report) != str(check(SMOOTH, seed=1))
    assert "point 1: n = 4, m = 3, X: 4 x 3 array, W: 3 x 3 array, b: array of 3, s = " in str(report)
    assert max(map(len, str(report).splitlines())) <= 100


@pytest.mark.parametrize(
    "text",
    [
        "x: n; sum(x[5:-4]**2)",
        "x: n; y: m; sum(x[3:]**2)*y[4]",
        "A: (n, n); b: n; dot(b, solve(cholesky(A), log(b - 10)))",
        "x: n; sum(sqrt(x - 30) + log(60 - x))",
        "X: (n, 3); w: 3 = [1, 2, 3]; sum(log(X @ w))",
        "x: n; c: const(n); sum(acosh(x)*c)/(n - 1)",
    ],
)
def test_points_are_found_where_the_formula_is_defined(text: str) -> None:
    report = check(text)
    assert report.passed, str(report)
    assert len(report.points) == 3


def test_where_no_point_is_found_one_must_be_given() -> None:
    with pytest.raises(symdiff.SymdiffError, match="value and gradient are finite at none"):
        check("x: n; sum(log(x - 1e9))")
    assert check("x: n; sum(log(x - 1e9))", at={"x": [2e9, 3e9]}, points=0).passed


def test_given_points_are_checked() -> None:
    with pytest.raises(symdiff.ShapeError, match="axis 0"):
        check(SMOOTH, at={"X": np.ones((2, 3)), "W": np.ones((2, 2)), "b": np.ones(3), "s": 1.0})


def test_abstract_functions_must_be_bound() -> None:
    made = symdiff.formula("phi: function; x: n; sum(phi(x))").gradient()
    with pytest.raises(symdiff.UnsupportedError, match="abstract"):
        verify(made.tape, tangent(made.primal, made.wrt), {}, at=None)


# -- where nothing can be said -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("X: (n, m); sum(relu(X))", {"X": [[0.0, 1.0], [0.0, -2.0]]}),
        ("x: n; amax(x)", {"x": [3.0, 1.0, 3.0]}),
        ("x: n; norm(x) + sum(x)", {"x": [0.0, 0.0]}),
        ("x: n; sum(abs(x)) + norm1(x)", {"x": [0.0, 1.0]}),
        ("x: n; y: n; sum(maximum(x, y))", {"x": [1.0, 2.0], "y": [1.0, 3.0]}),
        ("x: n; y: n; sum(maximum(x + y, 0.3))", {"x": [0.1, 1.0], "y": [0.2, 1.0]}),
    ],
)
def test_kinks_are_passed_over(text: str, at: dict[str, Any]) -> None:
    report = check(text, at=at, points=0)
    assert report.passed, str(report)
    assert "kink" in str(report)


def test_a_wrong_gradient_beside_a_kink_is_seen() -> None:
    at = {"x": [0.0, 1.0, -2.0]}
    report = check("x: n; sum(relu(x)**1)*2", lambda named: named["x"].__setitem__(1, 1.0), at=at, points=0)
    assert "Python against C" in failed(report)


@pytest.mark.parametrize("rows", [[[1, 2], [2, 4]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[0, 0], [0, 0]]])
def test_singular_matrices_fail_nothing(rows: list[list[float]]) -> None:
    report = check("A: (n, n); sum(inv(A)**2)", at={"A": rows}, points=0)
    assert not report.failures, str(report)


def test_what_is_exactly_zero_may_round() -> None:
    report = check("X: (n, m); sum(softmax(X, axis=1))")
    assert report.passed, str(report)
    assert "loses digits" in str(report)


def test_a_large_point_goes_without_50_digits() -> None:
    at = {"A": np.arange(6400.0).reshape(80, 80) / 6400, "B": np.arange(6400.0).reshape(80, 80) / 5000}
    report = check("A: (n, m); B: (m, k); sum((A @ B)**2)", at=at, points=0)
    assert report.passed
    assert {row.test for row in report.rows if row.compared} == {"dot product", "finite differences"}
    assert "too many numbers for 50 digits" in str(report)
    spoiled = check("A: (n, m); B: (m, k); sum((A @ B)**2)", one_nan_in_a, at=at, points=0)
    assert failed(spoiled) == {"dot product", "finite differences", "Python against C"}


def one_nan_in_a(named: dict[str, Any]) -> None:
    named["A"][3, 4] = math.nan


def test_empty_arrays() -> None:
    report = check("X: (n, m); sum(X**2) + 1", at={"X": np.zeros((0, 3))}, points=0)
    assert report.passed, str(report)


def test_the_report_is_json() -> None:
    made = json.loads(json.dumps(check(SMOOTH, points=1).as_dict()))
    assert made["passed"]
    assert np.shape(made["points"][0]["X"]) == (4, 3)
    assert isinstance(made["points"][0]["s"], float)


# -- 60 digits ---------------------------------------------------------------------------------------------------------


def point_of(tape: Tape) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    made = {}
    for given in tape.inputs:
        shape = shape_value(given.shape, SIZES)
        made[given.name] = rng.uniform(0.3, 1.7, shape) * rng.choice([-1.0, 1.0], shape)
        if len(shape) == 2 and shape[0] == shape[1]:
            made[given.name] = made[given.name] + 3 * np.eye(shape[0])
    return made


@pytest.mark.parametrize("name", FORMULAS)
def test_mpmath_values_of_every_op(name: str) -> None:
    """Forward, reverse and tangent sweeps in 40 digits against float64."""
    primal = linearize(symdiff.formula(FORMULAS[name]).data)
    wrt = [given.name for given in primal.inputs if not given.constant]
    for tape in (adjoint(primal, wrt), tangent(primal, wrt)):
        point, sizes = point_of(tape), {name: SIZES[name] for name in tape.dims}
        floats: dict[str, Any] = {name: np.float64(size) for name, size in sizes.items()} | point
        run_steps(tape.steps, floats, sizes)
        with mp.workdps(40):
            exact: dict[str, Any] = {name: mpf(size) for name, size in sizes.items()}
            exact |= {name: numbers(np.asarray(value)) for name, value in point.items()}
            for step in tape.steps:
                made = exact[step.name] = evaluate_mp(step.expr, exact, sizes)
                assert np.shape(made) == shape_value(step.shape, sizes)
                assert all(isinstance(x, mpf) for x in np.asarray(made, dtype=object).flat)
                if step.into is not None:
                    exact[step.into] = exact[step.into] + made if step.into in exact else made
        for step in tape.steps:
            found, wanted = np.asarray(exact[step.name], dtype=np.float64), np.asarray(floats[step.name])
            assert np.allclose(found, wanted, rtol=1e-11, atol=1e-11 * np.abs(found).max(initial=1.0)), step.name


@pytest.mark.parametrize(
    ("text", "at", "value"),
    [
        ("x: n; amax(x)", {"x": []}, -math.inf),
        ("x: n; amin(x)", {"x": []}, math.inf),
        ("x: n; logsumexp(x)", {"x": []}, -math.inf),
        ("x: n; mean(x)", {"x": []}, math.nan),
        ("x: n; prod(x) + sum(x)", {"x": []}, 1.0),
        ("x: n; amax(x)", {"x": [1.0, math.nan]}, math.nan),
        ("A: (n, n); logdet(A)", {"A": [[1.0, 3.0], [3.0, 9.0]]}, -math.inf),
        ("A: (n, n); det(A)", {"A": [[1.0, 3.0], [3.0, 9.0]]}, 0.0),
        ("A: (n, n); det(A)", {"A": np.zeros((0, 0))}, 1.0),
        ("A: (n, n); sum(inv(A))", {"A": [[0.1, 0.3], [0.2, 0.6]]}, math.nan),
        ("A: (n, n); sum(cholesky(A))", {"A": [[1.0, 0.0], [2.0, 1.0]]}, math.nan),
        ("A: (n, n); sum(cholesky(A))", {"A": [[4.0, 9.0], [2.0, 5.0]]}, 5.0),
        ("x: n; sum(softmax(x))", {"x": [math.inf, 1.0]}, math.nan),
    ],
)
def test_edges_in_many_digits(text: str, at: dict[str, Any], value: float) -> None:
    tape = linearize(symdiff.formula(text).data)
    checked = Trace(tape.with_steps(()), at)
    reference = ArrayReference(ArrayMachine(tape), checked.at, checked.sizes)
    assert float(reference.value) == value or (math.isnan(value) and mp.isnan(reference.value))


def test_derivatives_have_50_digits() -> None:
    tape = linearize(symdiff.formula("x: n; sum(exp(x))*x[0]").data)
    reference = ArrayReference(ArrayMachine(tape), {"x": np.array([0.5, 0.25])}, {"n": 2})
    with mp.workdps(60):
        wanted = mp.exp(mpf("0.25")) / 2
        assert abs(reference.slope({"x": np.array([0.0, 1.0])}).value / wanted - 1) < mpf(10) ** -50


# -- finite differences of a derivation --------------------------------------------------------------------------------


def test_finite_differences_of_a_trace() -> None:
    made = program(SMOOTH)
    found: list[ArrayPoint] = []

    def accept(point: ArrayPoint) -> bool:
        found.append(point)
        return True

    ArrayFinder(made.tape, 0).find(1, accept)
    differences = finite_differences(Trace(made.tape, found[0].values))
    assert list(differences) == ["X", "W", "b", "s"]
    for name, (reverse, difference) in differences.items():
        assert np.shape(reverse) == np.shape(difference) == np.shape(found[0].values[name])
        assert np.allclose(reverse, difference, rtol=1e-6, atol=1e-7)
    assert all(type(each) is float for each in differences["s"])


def test_finite_differences_of_a_large_variable_are_sampled() -> None:
    tape = symdiff.formula("X: (n, m); sum(X**2)").gradient().tape
    reverse, difference = finite_differences(Trace(tape, {"X": np.ones((30, 20))}))["X"]
    assert np.isfinite(difference).sum() == 200
    assert np.allclose(reverse[np.isfinite(difference)], 2.0)
