"""Quotients with one divisor are products with its inverse in batch loops, where nothing decides by a rounding."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp

import symdiff

SHARED = """
x/y
x/y + z/y
log(x/y) + z/y
sqrt(x/y)
exp(-x/y)*y
(x + z)/(x*x + y*y + 1)
x/sqrt(x*x + y*y)
""".strip().splitlines()
ALONE = """
x*y + z
x + sin(z)/3
sqrt(1 - x/y)
asin(x/y)
max(x/y, z)
1/(x/y - 1)
abs(x/y - 1)
where(x/y < z, x, y)
log(1 - x/y)
lgamma(x/y)
gamma(x/y) + z/y
z**(x/y)
""".strip().splitlines()
KINDS = ("value", "gradient")


def _shares(source: str, **options: str) -> bool:
    return "SD_OVER(" in symdiff.formula(source).gradient().source("c", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", SHARED)
def test_quotients_by_one_name_share_a_division(source: str) -> None:
    assert _shares(source)


@pytest.mark.parametrize("source", ALONE)
def test_what_decides_by_a_quotient_keeps_it(source: str) -> None:
    """As does a quotient that is alone."""
    assert not _shares(source)


def test_not_in_float32() -> None:
    """Its range is so small that inverses overflow where people compute."""
    assert not _shares("x/y + z/y", dtype="float32")


@pytest.mark.compiler
def test_one_and_a_half_units_in_the_last_place() -> None:
    kernel = symdiff.formula("y: (); x: const(); x/y").gradient().compile("c")
    x, y = 2.0 ** np.random.default_rng(1).uniform(-300, 300, (2, 3000)) * [[1.0], [-1.0]]
    value, (slope,) = kernel(y, x)
    with mp.workdps(60):
        for each, below, got, partial in zip(x, y, value, slope, strict=True):
            exact = mp.mpf(float(each)) / mp.mpf(float(below))
            assert abs(mp.mpf(float(got)) - exact) <= 1.5 * np.spacing(abs(float(exact)))
            exact = -exact / mp.mpf(float(below))
            assert abs(mp.mpf(float(partial)) - exact) <= 3.5 * np.spacing(abs(float(exact)))


@pytest.mark.compiler
def test_divisors_near_the_ends_of_the_range_are_divided_by() -> None:
    """Among 64 points of a block some are done again; the others keep their bits."""
    kernel = symdiff.formula("x/y + z/y").gradient().compile("c")
    draw = np.random.default_rng(2)
    x, y, z = draw.uniform(0.5, 2, (3, 300))
    calm = np.array([kernel(x, y, z)[0], *kernel(x, y, z)[1]])
    ends = [
        *draw.uniform(1e308, 1.7e308, 20),
        *draw.uniform(-1e-300, 1e-300, 20),
        0.0,
        -0.0,
        np.inf,
        -np.inf,
        np.nan,
        5e-324,
        -1e-310,
        1e-200,
        -1e200,
        1.7e308,
        2.0**450,
        2.0**-450,
    ]
    places = draw.choice(300, len(ends), replace=False)
    y[places] = ends
    x[places[:20]] *= 1e300  # so that the quotients are normal numbers, which need all digits of an inverse
    x[places[20:40]] *= 1e-300
    mixed = np.array([kernel(x, y, z)[0], *kernel(x, y, z)[1]])
    wild = np.isin(np.arange(300), places)
    np.testing.assert_array_equal(calm[:, ~wild], mixed[:, ~wild])
    for place in places:
        value, gradient = kernel(float(x[place]), float(y[place]), float(z[place]))
        np.testing.assert_array_equal(mixed[:, place], [value, *gradient])


@pytest.mark.compiler
@pytest.mark.parametrize("source", SHARED)
def test_batches_agree_with_points(source: str) -> None:
    kernel = symdiff.formula(source).gradient().compile("c")
    points = np.random.default_rng(3).uniform(0.5, 2, (len(kernel.inputs), 200))
    value, gradient = kernel(*points)
    for k in range(0, 200, 7):
        one, partials = kernel(*map(float, points[:, k]))
        np.testing.assert_allclose([value[k], *(part[k] for part in gradient)], [one, *partials], rtol=4e-15)


@pytest.mark.parametrize("source", SHARED)
def test_a_file_has_one_way_to_the_value(source: str) -> None:
    """Its function of the value computes what its gradient's forward sweep computes, and so gives the same bits."""
    text = symdiff.formula(source).gradient().source("c")
    value, gradient = (text.partition(f"double sd_{kind}_body(")[2].partition("*value_out = ")[0] for kind in KINDS)
    steps = [line for line in value.partition("{")[2].splitlines() if "const double" in line]
    assert steps and set(steps) <= set(gradient.splitlines())
