"""Every number in a `stability` sentence of the op table is measured here."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf
from ops.optable import (
    CASES,
    numpy_results,
    reference_partial,
)

from symdiff.expr import Call, call
from symdiff.ops import TABLE, helpers
from symdiff.ops.core import X
from symdiff.ops.evaluate import evaluate

NAN, INF = math.nan, math.inf


def relative(got: float, want: Any) -> float:
    return float(abs(mpf(float(got)) - want) / abs(want))


def reference(op: str, x: float) -> Any:
    case = next(case for case in CASES if case.op == op)
    return reference_partial(case, (x,), "x")


def partial_of(op: str, x: float) -> float:
    return float(
        evaluate(TABLE[op].partials[0], {"x": np.float64(x), "v": evaluate(Call(op, (X,)), {"x": np.float64(x)})})
    )  # type: ignore[arg-type]


# the claim in words, the form not taken at x, and bounds of its relative error
REJECTED: list[tuple[str, str, Any, float, float, float]] = [
    ("asin", "2.5e-11", lambda x, v: 1 / np.sqrt(1 - x * x), 1 - 1e-10, 2.4e-11, 2.6e-11),
    ("tanh", "9e-9 at x = 10", lambda x, v: (1 - v) * (1 + v), 10.0, 8e-9, 1e-8),
    ("tanh", "0.04 at x = 18", lambda x, v: (1 - v) * (1 + v), 18.0, 0.035, 0.045),
    ("tanh", "1 at x = 19", lambda x, v: (1 - v) * (1 + v), 19.0, 1.0, 1.0),
    ("acosh", "2e-11", lambda x, v: 1 / np.sqrt(x * x - 1), 1 + 1e-7, 1.9e-11, 2.1e-11),
    ("asinh", "gives 0 for 1e-200", lambda x, v: 1 / np.sqrt(1 + x * x), 1e200, 1.0, 1.0),
    ("expm1", "relative error 1 at x = -38", lambda x, v: v + 1, -38.0, 1.0, 1.0),
    ("sigmoid", "at x = 37", lambda x, v: v * (1 - v), 37.0, 1.0, 1.0),
    ("silu", "3.5e-15", lambda x, v: v / x + v * (1 - helpers.sigmoid(x)), 36.9, 3.2e-15, 3.8e-15),
]


@pytest.mark.parametrize(
    ("op", "words", "form", "x", "low", "high"), REJECTED, ids=[f"{r[0]}-{r[3]}" for r in REJECTED]
)
def test_rejected_form_is_as_bad_as_claimed(op: str, words: str, form: Any, x: float, low: float, high: float) -> None:
    assert words in TABLE[op].stability
    with np.errstate(all="ignore"):
        value = float(evaluate(Call(op, (X,)), {"x": np.float64(x)}))
        assert low <= relative(form(np.float64(x), np.float64(value)), reference(op, x)) <= high
    assert relative(partial_of(op, x), reference(op, x)) <= 4.5e-16


def worst(op: str, low: float, high: float, form: Any = None, count: int = 400) -> float:
    numbers = np.random.default_rng(0).uniform(low, high, count)
    form = form or (lambda x: partial_of(op, x))
    return max(relative(form(float(x)), reference(op, float(x))) for x in numbers)


def test_measured_numbers_of_the_forms_taken() -> None:
    eps = 2.0**-52
    assert worst("tan", -1.5, 1.5) <= 2 * eps and "2 ulp" in TABLE["tan"].stability
    assert worst("tanh", -3, 3) <= 4.5e-16 and "4.4e-16" in TABLE["tanh"].stability
    assert worst("sqrt", 1e-3, 1e3) <= 1 * eps and "1 ulp" in TABLE["sqrt"].stability
    assert worst("inverse", 0.1, 10) <= 1.5 * eps and "1.5 ulp" in TABLE["inverse"].stability
    assert 1.2e-15 < worst("erf", 4.9, 5.1, count=1000) <= 2.5e-15 and "1.9e-15" in TABLE["erf"].stability
    scales = 10 ** np.random.default_rng(0).uniform(-100, 100, 600)
    cbrt = [
        (relative(partial_of("cbrt", x), reference("cbrt", x)), relative(x ** (-2 / 3) / 3, reference("cbrt", x)))
        for x in scales.tolist()
    ]
    taken, other = (max(column) for column in zip(*cbrt, strict=True))
    assert taken <= 4.7e-16 and 5e-15 < other < 9e-15 and "4.6e-16" in TABLE["cbrt"].stability


def test_values_whose_plain_formula_fails() -> None:
    with np.errstate(all="ignore"):
        assert np.log(1 + np.exp(709.8)) == INF and np.log(1 + np.exp(-37.0)) == 0  # softplus
        assert helpers.softplus(709.8) == 709.8 and relative(helpers.softplus(-37.0), mpmath.log1p(mp.exp(-37))) < 1e-15
        assert 1 - helpers.erf(6.0) == 0 and helpers.erfc(6.0) == pytest.approx(2.15e-17, rel=1e-2)
        assert -9 * (1 + helpers.erf(-9 / np.sqrt(2))) / 2 == 0 and helpers.gelu(-9.0) != 0
        x, y = np.float64(3e200), np.float64(4e200)
        assert y / (x * x + y * y) == 0
        rule_y = evaluate(TABLE["atan2"].partials[1], {"x": y, "y": x})  # type: ignore[arg-type]
        assert float(rule_y) == pytest.approx(-1.6e-201, rel=1e-14)
        low = np.float64(-0.75)
        assert 1 + low == 0.25  # log1p: the sum is exact between -1 and -1/2
        assert all(mpf(1) + mpf(t) == mpf(float(1 + t)) for t in np.random.default_rng(0).uniform(-1, -0.5, 200))
        assert np.float64(1) / np.float64(1e-200) / np.float64(1e200) == 1  # div: -v/y where y*y is inf
        for point, error in (((1e-300, 1e-5), 3.2e-14), ((5.2e-6, -4.9e-6), 3e-16)):
            case = next(case for case in CASES if case.label == "pow")
            got = float(numpy_results(case, [point])["x"][0])
            assert relative(got, reference_partial(case, point, "x")) < error


@pytest.mark.parametrize(
    ("exponent", "bound"), [(2.0, 0.5), (3.0, 1.0), (4.0, 1.5), (-2.0, 1.0), (-3.0, 1.5), (-4.0, 2.0)]
)
def test_repeated_products(exponent: float, bound: float) -> None:
    """`x*x*x` for x**3: half an ulp (2**-53) for each operation."""
    numbers = np.random.default_rng(0).uniform(0.5, 2.0, 2000)
    found = evaluate(call("pow", X, exponent), {"x": numbers})
    errors = [relative(got, mpf(x) ** int(exponent)) for got, x in zip(found, numbers, strict=True)]
    assert max(errors) <= bound * 2.0**-52
