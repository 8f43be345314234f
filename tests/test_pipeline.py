"""The public names together: what only shows when all stages have run."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import symdiff

_BATCH_RANGES = {
    (-0.95, 0.95): "asin(x) acos(x) atanh(x) log1p(x)",
    (1.05, 40.0): "acosh(x) log(x) log2(x) log10(x) sqrt(x) gamma(x) lgamma(x) digamma(x) pow(x,y)",
    (
        -40.0,
        40.0,
    ): "sin(x) cos(x) tan(x) atan(x) sinh(x) cosh(x) tanh(x) asinh(x) exp(x) expm1(x) cbrt(x) erf(x) "
    "erfc(x) sigmoid(x) softplus(x) relu(x) gelu(x) silu(x) atan2(x,y) hypot(x,y)",
    (-1e6, 1e6): "sin(x) cos(x) sin(x)*cos(x)",
}


def module(source: str, **options: Any) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(symdiff.formula(source).gradient().source("python", **options), namespace)
    return namespace


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("source", "x", "expected"),
    [
        ("atan2(0.0, x) + 2*atan2(-0.0, x)", -1.0, -math.pi),
        ("1/(x*0.0) + 1/(x*(-0.0))", 1.0, math.nan),
    ],
)
def test_zeros_of_different_sign_are_different_constants(source: str, x: float, expected: float) -> None:
    gradient = symdiff.formula(source).gradient()
    values = [gradient.trace(at={"x": x}).value, gradient.compile("numpy")(x)[0], gradient.compile("c")(x)[0]]
    assert values == pytest.approx([expected] * 3, nan_ok=True)


@pytest.mark.parametrize("source", ["2*x + y*0.5", "relu(x)*y", "max(x, y)*x", "y*2 + y*3 + x", "where(x > 0, 1, 2)*y"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_generated_module_returns_whole_arrays_of_its_type(source: str, dtype: str) -> None:
    made = module(source, dtype=dtype)
    x, y = np.linspace(-1, 1, 4, dtype=dtype), np.ones((3, 1), dtype)
    value, gradient = made["gradient"](x, y)
    for array in (value, *gradient):
        assert array.dtype == dtype and array.shape == (3, 4)
        assert not any(np.shares_memory(array, other) for other in (x, y))
    assert not any(np.shares_memory(a, b) for a, b in pairwise((value, *gradient)))


def test_adding_in_place_changes_no_other_adjoint() -> None:
    source = "z3 = x + y; z7 = z3*x; z8 = z7*z3; z8 + z7"
    made = module(source)["gradient"](np.array([0.3, 0.4]), np.array([1.5, 2.5]))[1]
    gradient = symdiff.formula(source).gradient()
    points = [gradient.trace(at={"x": x, "y": y}).gradient for x, y in [(0.3, 1.5), (0.4, 2.5)]]
    assert made.x == pytest.approx([point["x"] for point in points])
    assert made.y == pytest.approx([point["y"] for point in points])


@pytest.mark.compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_names_that_look_like_ours_or_libms(dtype: str) -> None:
    source = "sin(x_)*cos(x_)*sd_sin_x + sinf*expf*exp(x) + powl*log2f*_x*u__x*u_u__x"
    formula = symdiff.formula(source)
    point = {name: 0.5 + k / 8 for k, name in enumerate(formula.inputs)}
    expected = formula.gradient().trace(at=point)
    value, gradients = formula.gradient().compile("c", dtype=dtype)(**point)
    assert value == pytest.approx(expected.value, rel=1e-5)
    assert list(gradients) == pytest.approx(list(expected.gradient.values()), rel=1e-5)


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("source", "low", "high"), [(f, *ends) for ends, texts in _BATCH_RANGES.items() for f in texts.split()]
)
def test_one_point_and_batch_differ_by_at_most_4_ulp(source: str, low: float, high: float) -> None:
    """What README promises: plain libm at one point, vector functions in a batch."""
    formula = symdiff.formula(source)
    kernel = formula.value().compile("c")
    points = np.random.default_rng(5).uniform(low, high, (len(formula.inputs), 3000))
    batch = kernel(*points)
    single = np.array([kernel(*map(float, point)) for point in points.T])
    allowed = 9 if "*" in source else 4  # two ops and a product
    assert np.all(np.abs(batch - single) <= allowed * np.spacing(np.abs(single)))


def test_small_negative_powers_keep_tiny_results() -> None:
    for backend in ("numpy", "c"):
        assert symdiff.formula("x**-4").value().compile(backend)(1e80) == pytest.approx(1e-320, rel=1e-3)  # type: ignore[arg-type]


def test_a_formula_is_read_once_and_wrong_ones_at_once() -> None:
    with pytest.raises(symdiff.DomainError):
        symdiff.formula("a = 0; b = 1/a; b*x")
    with pytest.raises(symdiff.UnsupportedError, match="exponent"):
        symdiff.formula("x**1e9")
    assert symdiff.formula("x**1e9", limits=symdiff.Limits(power=10**10)).inputs == {"x": ()}


def test_trace_json_stays_small_for_a_variable_used_often() -> None:
    def size(n: int) -> int:
        source = "; ".join(f"a{k} = sin(x)*{k + 1}" for k in range(n)) + "; " + " + ".join(f"a{k}*x" for k in range(n))
        return len(str(symdiff.formula(source).gradient().trace(at={"x": 0.5}).json()))

    assert size(400) < 2.5 * size(200)
