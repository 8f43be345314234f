"""Products and sums are joined to one operation only where nothing decides by a number that this changes."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff

DECIDING = """
sqrt(x*x - y*y)
sqrt(1 - x**2)
log(x*y + z)
log1p(x*y + z)
asin(x*y + z)
acosh(x*x + 1)
max(x*y, z)
abs(x*y - z)
relu(x*y - z)
where(x*y < z, x, y)
atan2(x*y - z, x)
hypot(x*y - z, y)
1/(x*y - z)
x/(y*z + x)
(x*y - z)**-2
(x*y - z)**2.5
(x*y - z)**y
sigmoid(x*y + z)
sqrt(sin(x)*y + z)
lgamma(x*y + z)
""".strip().splitlines()
ARITHMETIC = """
x*y + z
x**3*y + z
sqrt(x**2 + y**2)
sqrt((x*y - z)**2 + 1)
log(exp(x) + exp(y*z))
asin(x)*y + z
1/(x*y)
1/(sin(x*y)**2 + cos(z) + 2)
(x*y - z)**2
(x*y + z)**3
exp(x*y + z)/(exp(x) + 1)
erf(x*y + z)
""".strip().splitlines()


def _is_contracted(source: str) -> bool:
    return "fp-contract=fast" in symdiff.formula(source).gradient().source("c")


@pytest.mark.parametrize("source", DECIDING)
def test_what_decides_by_a_changed_number_is_left_alone(source: str) -> None:
    assert not _is_contracted(source)


@pytest.mark.parametrize("source", ARITHMETIC)
def test_what_only_calculates_is_joined(source: str) -> None:
    assert _is_contracted(source)


def test_a_decision_by_numbers_that_cannot_change_is_no_obstacle() -> None:
    """Inputs, and what functions make of them without a sum of products, have the same bits either way."""
    assert _is_contracted("x*y + sqrt(z)")
    assert _is_contracted("x*y + log(z/x)")
    assert not _is_contracted("a = x*y + z; b = a + 1; log(b)")


def test_a_negative_number_has_whole_powers_alone() -> None:
    """An exponent that is whole or nearly so decides, unless the base cannot be negative."""
    for source, contracted in (("x**(y*z + 1)", False), ("exp(x)**(y*z + 1)", True), ("x**y + x*z", True)):
        assert ("fp-contract=fast" in symdiff.formula(source).value().source("c")) is contracted, source


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("source", "points"),
    [
        ("sqrt(x*x - y*z)", [(0.1 * k, 0.1 * k, 0.1 * k) for k in range(1, 20)]),
        ("1/(x*y - z)", [(0.1 * k, 10.0, 0.1 * k * 10.0) for k in range(1, 20)]),
        ("max(x*y, z)", [(0.1 * k, 0.3, 0.1 * k * 0.3) for k in range(1, 20)]),
    ],
)
def test_c_decides_as_numpy_does(source: str, points: list[tuple[float, ...]]) -> None:
    program = symdiff.formula(source).gradient()
    arguments = np.array(points * 8).T
    (value, grads), (same, others) = (program.compile(backend)(*arguments) for backend in ("c", "numpy"))
    for one, other in zip([value, *grads], [same, *others], strict=True):
        np.testing.assert_array_equal(np.isfinite(one), np.isfinite(other))
    if "max" in source:
        np.testing.assert_array_equal(grads[2], others[2])


@pytest.mark.compiler
def test_contracted_code_is_as_accurate_in_a_batch_as_at_a_point() -> None:
    kernel = symdiff.formula("x*y + z*w - x*w").value().compile("c")
    points = np.random.default_rng(3).uniform(-2, 2, (4, 1000))
    x, y, z, w = points.astype(np.longdouble)
    exact, terms = x * y + z * w - x * w, abs(x * y) + abs(z * w) + abs(x * w)
    single = np.array([kernel(*map(float, point)) for point in points.T])
    for result in (kernel(*points), single):
        assert np.all(np.abs(result - exact) <= 2 * np.finfo(float).eps * terms)


@pytest.mark.compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_points_with_an_angle_beyond_the_fast_range_change_nothing_else(dtype: str) -> None:
    """Among 64 points of a block some are done again; the others keep their bits, and those done again are libm's."""
    kernel = symdiff.formula("sin(x)*cos(y) + cos(x)*sin(y)").gradient().compile("c", dtype=dtype)  # type: ignore[arg-type]
    draw = np.random.default_rng(4)
    x, y = draw.uniform(-9, 9, (2, 300)).astype(dtype)
    calm = np.array(kernel(x, y)[1])
    for place, angle in ((3, 1e30), (64, -3e15), (70, np.inf), (200, np.nan), (299, 2.0**41)):
        x[place] = angle
    with np.errstate(all="ignore"):
        mixed = np.array(kernel(x, y)[1])
    wild = np.isin(np.arange(300), [3, 64, 70, 200, 299])
    np.testing.assert_array_equal(calm[:, ~wild], mixed[:, ~wild])
    for place in np.flatnonzero(wild):
        np.testing.assert_array_equal(mixed[:, place], np.array(kernel(float(x[place]), float(y[place]))[1], dtype))
