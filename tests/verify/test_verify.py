"""The self-check passes right kernels, and each of its tests fails a kernel that is wrong in the way it looks for."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import symdiff
from symdiff.linearize import linearize
from symdiff.tangent import tangent
from symdiff.verify import Report, verify
from symdiff.verify.finite_steps import difference, noise_of
from symdiff.verify.points import Finder
from symdiff.verify.reference import Machine, Reference

DATA = tomllib.loads((Path(__file__).parent.parent / "data" / "formulas.toml").read_text("ascii"))["formula"]
STRIDE = max(1, len(DATA) // 30)
TESTS = ("dot product", "finite differences", "50 digits", "complex step")
SMOOTH = "1/(sin(w1*x1)**2 + cos(w2*x2) + 2)"
SYSTEM_B = {"w1": -3, "x1": -2, "w2": 2, "x2": -1}

# every op of the table, some of them where their derivative is hard to get right
OPS = """\
-x/y + x*y - 1/x + x**2 + x**y + y**3
sin(x) + cos(x*y) + tan(x/9) + asin(x/9) + acos(y/9) + atan(x) + atan2(x, y) + hypot(x, y)
sinh(x) + cosh(y) + tanh(x*y) + asinh(x) + acosh(y + 2) + atanh(x/9)
exp(-x) + expm1(y) + log(x) + log1p(x) + log2(y) + log10(x) + sqrt(x) + cbrt(y) + xlogy(x, y)
erf(x) + erfc(y) + gamma(x) + lgamma(y) + digamma(x) + polygamma(2, y)
sigmoid(x) + softplus(y) + relu(x) + gelu(y) + silu(x)
abs(x) + sign(y) + max(x, y) + min(x, y) + where(x < y, x*y, x/y)\
""".splitlines()


@cache
def program(text: str) -> Any:
    return symdiff.formula(text).gradient()


def check(
    text: str, change: Callable[[str, Any], Any] | None = None, *, compiled: bool = False, **options: Any
) -> Report:
    """The self-check of a formula; `change(backend, result)` spoils what a kernel returns."""
    made = program(text)
    kernels = {"numpy": made.compile("numpy")} | ({"c": made.compile("c")} if compiled else {})
    if change is not None:
        kernels = {backend: spoiled(backend, kernel, change) for backend, kernel in kernels.items()}
    options.setdefault("at", None)
    return verify(made.tape, tangent(linearize(made.data), made.wrt), kernels, **options)


def spoiled(backend: str, kernel: Any, change: Callable[[str, Any], Any]) -> Any:
    def call(**point: Any) -> Any:
        value, gradient = kernel(**point)
        return change(backend, (value, list(gradient)))

    return call


def failed(report: Report) -> set[str]:
    return {row.test for row in report.failures}


# -- what is right passes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", DATA[::STRIDE], ids=lambda entry: entry["name"])
def test_right_formulas_pass(entry: dict[str, Any]) -> None:
    middle = {name: low + (high - low) * 0.45 for name, (low, high) in entry["ranges"].items()}
    report = check(entry["source"], at=middle)
    assert report.passed, str(report)
    assert len(report.points) == 4
    assert {row.test for row in report.rows} == set(TESTS)


@pytest.mark.parametrize("text", OPS)
def test_right_ops_pass(text: str) -> None:
    report = check(text)
    assert report.passed, str(report)


@pytest.mark.compiler
def test_both_backends_are_compared() -> None:
    report = check(SMOOTH, compiled=True, at=SYSTEM_B)
    assert report.passed, str(report)
    assert {row.backend for row in report.rows} == {"numpy", "c", "both"}
    assert {row.test for row in report.rows if row.compared} == {*TESTS, "Python against C"}
    assert "not tested" not in str(report)


def test_missing_compiler_is_said() -> None:
    assert "C: not tested, no compiler" in str(check(SMOOTH))


def test_same_seed_same_report() -> None:
    assert str(check(SMOOTH)) == str(check(SMOOTH))
    assert check(SMOOTH).points != check(SMOOTH, seed=1).points


# -- what is wrong fails ----------------------------------------------------------------------------------------------


def one_sign(_: str, result: Any) -> Any:
    value, gradient = result
    gradient[1] = -gradient[1]
    return value, gradient


def one_part_in_1e8(_: str, result: Any) -> Any:
    value, gradient = result
    gradient[2] = gradient[2] * (1 + 1e-8)
    return value, gradient


def swapped(_: str, result: Any) -> Any:
    value, gradient = result
    return value, [gradient[1], gradient[0], *gradient[2:]]


def missing(_: str, result: Any) -> Any:
    value, gradient = result
    return value, [gradient[0] * 0.0, *gradient[1:]]


@pytest.mark.parametrize("change", [one_sign, one_part_in_1e8, swapped, missing])
def test_every_test_sees_a_wrong_gradient(change: Callable[[str, Any], Any]) -> None:
    report = check(SMOOTH, change, at=SYSTEM_B, points=2)
    assert not report.passed
    assert failed(report) == set(TESTS), str(report)
    assert {row.point for row in report.failures} == {1, 2, 3}
    assert report.verdict.startswith("FAILED")


def test_wrong_component_is_named() -> None:
    report = check(SMOOTH, one_sign)
    named = {row.variable for row in report.failures if row.test != "dot product"}
    assert named == {program(SMOOTH).wrt[1]}


@pytest.mark.parametrize("factor", [1 + 1e-6, 1 + 1e-9])
def test_wrong_value_is_seen(factor: float) -> None:
    report = check(SMOOTH, lambda _, result: (result[0] * factor, result[1]))
    assert ("50 digits", "value") in {(row.test, row.variable) for row in report.failures}


def test_shifted_value_is_seen_by_50_digits_alone() -> None:
    report = check(SMOOTH, lambda _, result: (result[0] + 1e-3, result[1]))
    assert {(row.test, row.variable) for row in report.failures} == {("50 digits", "value")}


@pytest.mark.compiler
def test_wrong_c_kernel_is_told_from_the_right_one() -> None:
    def change(backend: str, result: Any) -> Any:
        return one_part_in_1e8(backend, result) if backend == "c" else result

    report = check(SMOOTH, change, compiled=True)
    assert failed(report) == {*TESTS, "Python against C"}
    assert {row.backend for row in report.failures} == {"c", "both"}


def test_zero_for_a_derivative_that_is_not_zero_fails() -> None:
    report = check("exp(-x**2)*y", lambda _, result: (result[0], [0.0, result[1][1]]), at={"x": 5, "y": 1}, points=0)
    assert "50 digits" in failed(report)


# -- kinks, ends of a domain, numbers that are not finite -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "at", "op"),
    [
        ("abs(x) + y", {"x": 0, "y": 1}, "abs"),
        ("abs(x - y)*3", {"x": 0.1 + 0.2, "y": 0.3}, "abs"),
        ("max(x, y)**2", {"x": 2, "y": 2}, "maximum"),
        ("where(x > 1, x**2, y)", {"x": 1, "y": 3}, "where"),
        ("relu(x)*y", {"x": 0, "y": 1}, "relu"),
        ("hypot(x, y)", {"x": 0, "y": 0}, "hypot"),
    ],
)
def test_kinks_are_reported_and_do_not_fail(text: str, at: dict[str, float], op: str) -> None:
    report = check(text, at=at)
    assert report.passed, str(report)
    first = [row for row in report.rows if row.point == 1 and row.test in ("finite differences", "50 digits")]
    kinks = [row for row in first if row.variable != "value"]
    assert kinks and all(f"({op}) is on a kink" in row.verdict for row in kinks)
    assert f"({op}) is on a kink" in str(report).replace("\n  ", " ")
    assert all("kink" not in row.verdict for row in report.rows if row.point > 1), "points found keep away from kinks"


def test_a_formula_that_never_leaves_its_kink_is_still_tested() -> None:
    report = check("max(x, x) + y")
    assert report.passed
    assert len(report.points) == 3
    assert {row.test for row in report.rows if row.compared} == {"dot product", "50 digits"}


def test_numbers_that_are_not_finite_are_compared_too() -> None:
    report = check("log(x)", at={"x": 0})
    assert report.passed, str(report)
    assert "not a finite number in either" in str(report)
    wrong = check("log(x)", lambda _, result: (math.nan, result[1]), at={"x": 2}, points=0)
    assert failed(wrong) == {"50 digits"}
    assert not check("log(x)", lambda _, result: (0.0, result[1]), at={"x": -1}, points=0).passed


@pytest.mark.compiler
def test_backends_must_agree_on_nan() -> None:
    report = check("log(x)", compiled=True, at={"x": 0})
    assert report.passed, str(report)

    def change(backend: str, result: Any) -> Any:
        return (math.nan, result[1]) if backend == "c" else result

    assert "Python against C" in failed(check("log(x)", change, compiled=True, at={"x": 0}))


def test_leaving_the_range_of_float64_is_said() -> None:
    report = check("exp(x)/exp(x - 1)", at={"x": 1000}, points=0)
    assert not report.failures, str(report)
    assert "leaves the range of float64" in str(report).replace("\n  ", " ")


def test_a_formula_that_loses_its_digits_is_not_called_right() -> None:
    report = check("(1 - cos(x))/x**2", at={"x": 1e-7}, points=0)
    assert failed(report) == {"50 digits"}
    assert "lost its digits" in str(report)


@pytest.mark.parametrize("text", ["x**3", "cos(x)", "x*tanh(x)", "sin(x)**2 + cos(x)**2", "exp(x) - x - 1"])
def test_derivatives_that_are_zero(text: str) -> None:
    report = check(text, at={"x": 0})
    assert report.passed, str(report)


def test_complex_step_says_which_ops_it_cannot_do() -> None:
    report = check("abs(x)*erf(y) + sin(x)")
    rows = [row for row in report.rows if row.test == "complex step"]
    assert rows and all(row.verdict.startswith("not applicable: abs, erf") for row in rows)


# -- what differences in float64 cannot see ---------------------------------------------------------------------------


def _differences(report: Report, point: int = 1) -> list[Any]:
    return [row for row in report.rows if row.test == "finite differences" and row.point == point]


@pytest.mark.parametrize(
    ("text", "x"), [("sin(x)", 1e22), ("sin(1e16*x)", 1.7), ("sin(1e11*x)", 1.7), ("sin(1e14*x) + 1e6", 1.7)]
)
def test_a_value_that_swings_within_every_step_is_not_called_wrong(text: str, x: float) -> None:
    report = check(text, at={"x": x}, points=0)
    assert not report.failures, str(report)
    assert all("changes too fast" in row.verdict for row in _differences(report))


@pytest.mark.parametrize(
    ("text", "x"), [("sin(1e8*x)", 1.7), ("sin(1e6*x)", 1.7), ("sin(x)", 1e9), ("sin(x)", 2.0**30)]
)
def test_small_steps_resolve_fast_swings(text: str, x: float) -> None:
    report = check(text, at={"x": x}, points=0)
    assert report.passed, str(report)
    assert all(row.verdict == "ok" for row in _differences(report))
    wrong = check(text, lambda _, result: (result[0], [result[1][0] * 1.01]), at={"x": x}, points=0)
    assert "finite differences" in failed(wrong), str(wrong)


@pytest.mark.parametrize(
    "text", ["cos(x)", "x*exp(-x/99)", "(x - 1)**3", "tanh(50*x)", "1/x", "5 + 0*x", "1e6 + sin(x)"]
)
@pytest.mark.parametrize("x", [1.0, math.pi, 0.01, 1000.0])
def test_a_closer_look_excuses_no_wrong_gradient(text: str, x: float) -> None:
    report = check(text, lambda _, result: (result[0], [result[1][0] * 1.01 + 0.1]), at={"x": x}, points=0)
    assert "finite differences" in failed(report), str(report)


def test_the_same_infinity_agrees() -> None:
    report = check("gamma(x)", at={"x": 171.6}, points=0)
    assert report.passed, str(report)
    assert "both give inf: beyond the range of float64" in str(report).replace("\n  ", " ")
    assert "at the given point the gradient is not finite: only 50 digits compared" in report.verdict
    wrong = check("gamma(x)", lambda _, result: (result[0], [-math.inf]), at={"x": 171.6}, points=0)
    assert failed(wrong) == {"50 digits"}


@pytest.mark.parametrize(("text", "x"), [("log(x)", -1.0), ("x", math.nan)])
def test_a_given_point_that_cannot_be_tested_is_said_first(text: str, x: float) -> None:
    report = check(text, at={"x": x})
    assert report.verdict.startswith("tested at 3 of 4 points: ")
    assert report.verdict.endswith("at the given point the value is not finite: only 50 digits compared")
    assert f" {sum(row.compared for row in report.rows if row.point > 1)} comparisons" in report.verdict


# -- points -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "sqrt(x - 3)*log(y - 5)*acosh(z)",
        "log(-x)*asin(10*y)*acosh(z)*atanh(w/50)",
        "*".join(f"sqrt(x{i} - {i})*log({100 * i} - x{i})" for i in range(1, 12)),
        "where(x > 5000, x, sqrt(x - 90000))*log(y - x)",
        "exp(-1000*x)*y",
        "1/x - sqrt(y*z - 1)",
    ],
)
def test_points_are_found_in_restricted_domains(text: str) -> None:
    report = check(text)
    assert report.passed, str(report)
    assert len(report.points) == 3
    assert len({tuple(point.values()) for point in report.points}) == 3


def test_defaults_are_kept() -> None:
    report = check("z: const() = 3\nx: ()\nx**z*z")
    assert all(point["z"] == 3.0 for point in report.points)


def test_no_point_is_an_error_that_asks_for_one() -> None:
    with pytest.raises(symdiff.SymdiffError, match="--at"):
        check("sqrt(-1 - x**2)")


def test_finder_gives_the_same_points_again() -> None:
    tape = program(SMOOTH).tape
    assert Finder(tape, 3).find(5, lambda _: True) == Finder(tape, 3).find(5, lambda _: True)


@pytest.mark.parametrize("at", [{"nonsense": 1}, {"w1": 1}, {"w1": "x"}])
def test_bad_point_is_an_error(at: dict[str, Any]) -> None:
    with pytest.raises(symdiff.SymdiffError):
        check(SMOOTH, at=at)


# -- parts ------------------------------------------------------------------------------------------------------------


def test_reference_knows_derivatives_lost_beside_a_huge_value() -> None:
    tape = program("exp(300*x) + y").tape
    reference = Reference(Machine(tape), {"x": 2.0, "y": 1.0})
    assert float(reference.partial("y")) == 1.0


def test_error_of_finite_differences_covers_the_truth() -> None:
    kernel = program("sin(20*x)*exp(x)").compile("numpy")
    for x in (0.1, 1.0, 3.0, -2.0, 0.0):
        got, tolerance = difference(kernel, {"x": x}, "x", noise_of(kernel, {"x": x}, 0))
        truth = (20 * math.cos(20 * x) + math.sin(20 * x)) * math.exp(x)
        assert abs(got - truth) <= tolerance <= 1e-8 * abs(truth)


def test_kernels_that_take_numbers_alone() -> None:
    def kernel(x: float) -> tuple[float, tuple[float]]:
        return math.sin(float(x)), (math.cos(x),)

    made = program("sin(x)")
    assert verify(made.tape, tangent(linearize(made.data), made.wrt), {"numpy": kernel}, at=None).passed


# -- the report -------------------------------------------------------------------------------------------------------


def test_report_fits_and_claims_no_more_than_was_done() -> None:
    for report in (check(SMOOTH), check(SMOOTH, one_sign), check("abs(x)*gelu(averylongvariablename)", at=None)):
        text = str(report)
        assert all(len(line) <= 100 and line.isascii() for line in text.splitlines())
        assert "verified" not in text and "proved" not in text
        for number, point in enumerate(report.points, 1):
            assert f"point {number}: {next(iter(point))} = " in text
    assert str(check(SMOOTH)).startswith("tested at 3 points")
    assert str(check(SMOOTH, points=1)).startswith("tested at 1 point:")


def test_report_as_json() -> None:
    report = check("log(x)*abs(y)", at={"x": 0, "y": 0})
    read = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert read["passed"] is True
    assert len(read["rows"]) == len(report.rows)
    assert set(read["rows"][0]) >= {
        "test",
        "backend",
        "point",
        "variable",
        "expected",
        "got",
        "error",
        "tolerance",
        "verdict",
    }
    assert read["points"][0] == {"x": 0.0, "y": 0.0}


def test_a_value_without_gradient() -> None:
    made = symdiff.formula(SMOOTH).value()
    report = verify(made.tape, tangent(made.tape, ()), {"numpy": made.compile("numpy")}, at=None)
    assert report.passed
    assert {row.test for row in report.rows} == {"50 digits"}


def test_long_tapes_are_sampled_and_the_report_says_so() -> None:
    report = check(" + ".join(f"sin(x{i})*x{i + 1}" for i in range(500)), points=1)
    assert report.passed, str(report)
    assert "50 of 501 variables" in str(report)
    report = check(" + ".join(f"x{i}*x{i}" for i in range(1000)), points=2)
    assert report.passed, str(report)
    assert "25 of 1000 variables" in str(report)
