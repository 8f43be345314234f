"""exp in batch loops: within an ulp over the whole range, and libm's own where that ends."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp

import symdiff

EDGES = [
    0.0,
    -0.0,
    np.inf,
    -np.inf,
    np.nan,
    -np.nan,
    709.782712893384,
    709.7827128933841,
    710.0,
    -708.4,
    -744.4,
    -745.2,
]
FAR = [1399.0, -1399.0, 1401.0, -1401.0, 1e5, -1e5, 1e300, -1e300, 5e-324, -5e-324, 1e-300, 2.2e-16, -1.1e-16]


def _ulps(got: np.ndarray, at: np.ndarray) -> np.ndarray:
    with mp.workdps(40):
        exact = [mp.exp(mp.mpf(float(x))) for x in at]
        unit = np.array([float(mp.mpf(2) ** max(mp.frexp(value)[1] - 53, -1074)) for value in exact])
        return np.array([float(abs(mp.mpf(float(g)) - e)) for g, e in zip(got, exact, strict=True)]) / unit


@pytest.mark.compiler
@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 1.0), (-30.0, 30.0), (-708.0, 709.0), (-745.0, -708.0), (-1e-8, 1e-8)]
)
def test_one_ulp(low: float, high: float) -> None:
    points = np.random.default_rng(11).uniform(low, high, 4000)
    assert _ulps(symdiff.formula("exp(x)").value().compile("c")(points), points).max() <= 1.0


@pytest.mark.compiler
def test_near_multiples_of_half_log_two() -> None:
    """Where k changes, and where r is smallest."""
    halves = np.arange(-2040, 2040) * (np.log(2) / 2)
    points = np.concatenate([halves, np.nextafter(halves, np.inf), np.nextafter(halves, -np.inf)])
    points = points[np.abs(points) < 705]
    assert _ulps(symdiff.formula("exp(x)").value().compile("c")(points), points).max() <= 1.0


@pytest.mark.compiler
def test_edges_are_those_of_libm() -> None:
    kernel = symdiff.formula("exp(x)").value().compile("c")
    edges = np.array([*EDGES, *FAR] * 3)
    batch = kernel(edges)
    with np.errstate(all="ignore"):
        expected = np.exp(edges)
    assert np.array_equal(np.isnan(batch), np.isnan(expected))
    assert np.array_equal(np.isinf(batch), np.isinf(expected))
    assert np.array_equal(batch == 0, expected == 0)
    plain = np.isfinite(expected) & (expected != 0)
    assert _ulps(batch[plain], edges[plain]).max() <= 1.0


@pytest.mark.compiler
def test_angles_and_exponents_are_guarded_together() -> None:
    """A sine beyond its range and an exponent beyond its own are both done again; their neighbours are not."""
    kernel = symdiff.formula("sin(x)*cos(x)*exp(y)").gradient().compile("c")
    draw = np.random.default_rng(12)
    x, y = draw.uniform(-3, 3, (2, 200))
    calm = kernel(x, y)
    x[17], y[90], y[130], x[150] = 1e300, -2000.0, 2000.0, np.nan
    mixed = kernel(x, y)
    wild = np.isin(np.arange(200), [17, 90, 130, 150])
    for one, other in zip([calm[0], *calm[1]], [mixed[0], *mixed[1]], strict=True):
        assert one[~wild].tobytes() == other[~wild].tobytes()
    for place in np.flatnonzero(wild):
        value, grads = kernel(float(x[place]), float(y[place]))
        np.testing.assert_array_equal([value, *grads], [mixed[0][place], *(grad[place] for grad in mixed[1])])
