"""The array functions that generated NumPy code carries: accuracy against 50 digits, and what happens at the edges."""

from __future__ import annotations

import ast
import inspect
import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ops.generate import PROFILE

from symdiff.ops import array_helpers as ah
from symdiff.ops import helpers

FUNCTIONS = {
    name: function
    for name, function in inspect.getmembers(ah, inspect.isfunction)
    if not name.startswith("_") and function.__module__ == ah.__name__
}
INF, NAN = math.inf, math.nan
WIDE = st.floats(-800, 800)
SMALL = st.integers(-3, 3)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """As generated code calls them, with every warning an error; and 50 digits for the reference."""
    with np.errstate(all="ignore"), warnings.catch_warnings(), mp.workdps(50):
        warnings.simplefilter("error")
        yield


def lists(numbers: Any, least: int = 1, most: int = 12) -> Any:
    return st.lists(numbers, min_size=least, max_size=most)


def square(numbers: Any, most: int = 5) -> Any:
    return st.integers(1, most).flatmap(lambda n: lists(lists(numbers, n, n), n, n))


def exact(matrix: Any) -> mp.matrix:
    return mp.matrix([[mp.mpf(float(x)) for x in row] for row in matrix])


def floats(matrix: mp.matrix) -> np.ndarray:
    return np.array(matrix.tolist(), float).reshape(matrix.rows, matrix.cols)


def well_conditioned(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, n)) + 2 * np.eye(n)


def positive(n: int, seed: int = 0) -> np.ndarray:
    a = well_conditioned(n, seed)
    return a @ a.T + np.eye(n)


def minors(matrix: Any) -> np.ndarray:
    """Cofactors by the definition, in whole numbers."""

    def determinant(rows: list[list[Fraction]]) -> Fraction:
        total = Fraction(0)
        for order in itertools.permutations(range(len(rows))):
            swaps = sum(p > q for p, q in itertools.combinations(order, 2))
            total += (-1) ** swaps * math.prod(rows[i][j] for i, j in enumerate(order))
        return total

    n = len(matrix)
    rows = [[Fraction(float(x)) for x in row] for row in matrix]

    def minor(i: int, j: int) -> float:
        return float((-1) ** (i + j) * determinant([r[:j] + r[j + 1 :] for k, r in enumerate(rows) if k != i]))

    return np.array([[minor(i, j) for j in range(n)] for i in range(n)])


# ---- Reductions ----


@PROFILE
@given(lists(WIDE))
def test_logsumexp_to_the_last_digits(numbers: list[float]) -> None:
    want = mp.log(mp.fsum(mp.exp(mp.mpf(x)) for x in numbers))
    size = max(abs(want), abs(max(numbers)))  # of the two terms m and log1p(rest)
    assert abs(ah.logsumexp(np.array(numbers), 0) - want) <= 8e-16 * size + mp.mpf(
        "1e-45"
    )  # the reference has 50 digits


def test_logsumexp_keeps_a_small_rest() -> None:
    assert ah.logsumexp(np.array([0.0, -50.0]), 0) == pytest.approx(math.exp(-50), rel=1e-15, abs=0)
    assert ah.logsumexp(np.array([3.0, 3.0, 3.0]), 0) == pytest.approx(3 + math.log(3), rel=1e-15)


@PROFILE
@given(lists(WIDE))
def test_softmax_to_the_last_digits(numbers: list[float]) -> None:
    total = mp.fsum(mp.exp(mp.mpf(x)) for x in numbers)
    for x, got in zip(numbers, ah.softmax(np.array(numbers), 0), strict=True):
        want = mp.exp(mp.mpf(x)) / total
        assert abs(got - want) <= want * mp.mpf(4e-16) * (2 + (max(numbers) - x) / 2) + mp.mpf("5e-324")


@PROFILE
@given(lists(SMALL, 0))
def test_product_of_all_others_is_exact_with_zeros(numbers: list[int]) -> None:
    want = [math.prod(numbers[:i] + numbers[i + 1 :]) for i in range(len(numbers))]
    assert ah.prod_others(np.array(numbers, float), 0).tolist() == want


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (2, 0), (0, 1, 2), (), None])
@pytest.mark.parametrize("name", ["amax", "amin", "logsumexp", "softmax", "prod_others"])
def test_axes(name: str, axis: Any) -> None:
    x = np.random.default_rng(1).normal(size=(2, 3, 4))
    function = FUNCTIONS[name]
    axes = tuple(range(3)) if axis is None else tuple(k % 3 for k in (axis if isinstance(axis, tuple) else (axis,)))
    kept = [k for k in range(3) if k not in axes]
    got = function(x, axis)
    if name in ("softmax", "prod_others"):
        assert got.shape == x.shape
    else:
        assert np.shape(got) == tuple(x.shape[k] for k in kept)
        with_ones = function(x, axis, keepdims=True)
        assert with_ones.shape == tuple(1 if k in axes else x.shape[k] for k in range(3))
        assert np.array_equal(np.squeeze(with_ones, axis=axes), got)
    for place in np.ndindex(*(x.shape[k] for k in kept)):
        where: list[Any] = [slice(None)] * 3
        for k, i in zip(kept, place, strict=True):
            where[k] = i
        lane = x[tuple(where)]
        want = function(lane.reshape(-1), 0)
        one = got[tuple(where)].reshape(-1) if name in ("softmax", "prod_others") else got[place]
        assert np.allclose(one, want, rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    ("name", "numbers", "want"),
    [
        ("amax", [], -INF),
        ("amin", [], INF),
        ("amax", [1.0, NAN, 2.0], NAN),
        ("amin", [NAN, -INF], NAN),
        ("amax", [-0.0, 0.0, -1.0], -0.0),
        ("amax", [0.0, -0.0], 0.0),
        ("amin", [0.0, -0.0, 3.0], 0.0),
        ("amin", [-0.0, 0.0], -0.0),
        ("amax", [-INF, -INF], -INF),
        ("logsumexp", [], -INF),
        ("logsumexp", [-INF, -INF], -INF),
        ("logsumexp", [-INF, 2.0], 2.0),
        ("logsumexp", [INF, 2.0], INF),
        ("logsumexp", [INF, -INF], INF),
        ("logsumexp", [INF, NAN], NAN),
        ("logsumexp", [1e308, 1e308], 1e308),
        ("softmax", [], []),
        ("softmax", [-INF, -INF], [NAN, NAN]),
        ("softmax", [INF, 1.0], [NAN, NAN]),
        ("softmax", [NAN, 1.0], [NAN, NAN]),
        ("softmax", [-INF, 5.0], [0.0, 1.0]),
        ("softmax", [1e308, -1e308], [1.0, 0.0]),
        ("prod_others", [], []),
        ("prod_others", [7.0], [1.0]),
        ("prod_others", [0.0, 5.0], [5.0, 0.0]),
        ("prod_others", [0.0, 0.0, 5.0], [0.0, 0.0, 0.0]),
        ("prod_others", [INF, 0.0, 2.0], [0.0, INF, NAN]),
        ("cumsum_reverse", [], []),
        ("cumsum_reverse", [1.0, 2.0, 4.0], [7.0, 6.0, 4.0]),
    ],
)
def test_edges_along_an_axis(name: str, numbers: list[float], want: Any) -> None:
    got = FUNCTIONS[name](np.array(numbers), 0)
    assert np.array_equal(got, want, equal_nan=True)
    assert np.array_equal(np.signbit(got), np.signbit(want)) or np.any(np.isnan(want))


def test_empty_arrays_keep_their_shapes() -> None:
    x = np.zeros((3, 0, 2))
    assert ah.amax(x, 1).tolist() == [[-INF, -INF]] * 3
    assert ah.amin(x, 1, keepdims=True).shape == (3, 1, 2)
    assert ah.logsumexp(x, (0, 1)).tolist() == [-INF, -INF]
    assert ah.amax(x, 0).shape == ah.logsumexp(x, 0).shape == (0, 2)
    assert ah.softmax(x, 1).shape == ah.prod_others(x, (1, 2)).shape == ah.cumsum_reverse(x, 1).shape == x.shape


def test_put_is_the_adjoint_of_taking() -> None:
    y = np.arange(2.0) + 1
    assert ah.put(y, (2, 3), (slice(0, 2, 1), 1)).tolist() == [[0, 1, 0], [0, 2, 0]]
    assert ah.put(y[None], (4,), (None, slice(3, None, -2))).tolist() == [0, 2, 0, 1]
    assert ah.put(np.float64(5), (2,), (1,)).tolist() == [0, 5]
    assert ah.put(np.zeros(0), (2,), (slice(0, 0, 1),)).tolist() == [0, 0]


# ---- Matrices ----


@pytest.mark.parametrize("n", range(9))
def test_matrices_against_50_digits(n: int) -> None:
    for seed in range(3):
        a, b = well_conditioned(n, seed), np.random.default_rng(seed).normal(size=(n, 2))
        A = exact(a) if n else mp.matrix(0, 0)
        determinant = mp.det(A) if n else mp.mpf(1)
        assert abs(ah.det(a) - determinant) <= 1e-14 * (1 + abs(determinant)) * (1 + n)
        assert abs(ah.logdet(a) - mp.log(abs(determinant))) <= 1e-13
        if n == 0:
            assert ah.inv(a).shape == ah.cofactor(a).shape == ah.cholesky(a).shape == (0, 0)
            assert ah.solve(a, b).shape == (0, 2)
            continue
        inverse = mp.inverse(A)
        scale = np.linalg.cond(a) * np.abs(floats(inverse)).max()
        assert np.abs(ah.inv(a) - floats(inverse)).max() <= 1e-15 * n * scale
        assert np.abs(ah.solve(a, b) - floats(inverse * exact(b))).max() <= 1e-15 * n * scale * n
        assert np.array_equal(ah.solve(a, b[:, 0]), ah.solve(a, b)[:, 0])
        assert ah.cofactor(a) == pytest.approx(
            floats(determinant * inverse.T), rel=1e-12, abs=1e-13 * float(abs(determinant))
        )
        s = positive(n, seed)
        assert ah.cholesky(s) == pytest.approx(floats(mp.cholesky(exact(s))), rel=1e-12, abs=1e-14)


@PROFILE
@given(square(SMALL))
def test_cofactors_of_whole_numbers(matrix: list[list[int]]) -> None:
    """Of every rank: what is 0 is 0 to rounding, for 3 x 3 and less exactly."""
    want = minors(matrix)
    got = ah.cofactor(np.array(matrix, float))
    if len(matrix) <= 3:
        assert np.array_equal(got, want)
    assert np.abs(got - want).max() <= 1e-13 * (1 + np.abs(want).max())


@pytest.mark.parametrize("n", [4, 5, 6])
def test_cofactors_of_a_singular_matrix(n: int) -> None:
    a = np.round(np.random.default_rng(n).normal(size=(n, n)) * 8)
    a[2] = a[0] + 2 * a[1]
    want = minors(a)
    assert ah.cofactor(a) == pytest.approx(want, rel=1e-13, abs=1e-14 * np.abs(want).max())
    a[3] = a[0]
    assert np.abs(ah.cofactor(a)).max() < 1e-10 * 8**n
    a[:] = 0
    assert not ah.cofactor(a).any()


def test_cofactors_do_not_overflow_on_the_way() -> None:
    a = np.diag([1e200, 1e200, 1e-200, 1e-200, 3.0])
    assert np.diagonal(ah.cofactor(a)) == pytest.approx([3e-200, 3e-200, 3e200, 3e200, 1.0], rel=1e-15)
    assert ah.det(a) == pytest.approx(3.0, rel=1e-15)
    assert ah.det(np.diag([1e300, 1e300])) == INF
    assert ah.det(np.diag([1e-300, 1e-300])) == 0.0


def test_one_entry_that_is_not_finite_spoils_the_cofactors_beyond_3() -> None:
    a = well_conditioned(4)
    a[1, 2] = INF
    assert np.isnan(ah.cofactor(a)).all()
    assert ah.cofactor(np.array([[NAN]])).tolist() == [[1.0]]
    assert ah.cofactor(np.array([[INF, 0.0], [0.0, 2.0]])).tolist() == [[2.0, 0.0], [0.0, INF]]


@pytest.mark.parametrize("matrix", [[[0.0]], [[1, 2], [2, 4]], [[1, 2, 3], [2, 4, 6], [1, 0, 1]], [[NAN, 1], [1, 1]]])
def test_singular_matrices(matrix: Any) -> None:
    a, n = np.array(matrix, float), len(matrix)
    assert np.isnan(ah.inv(a)).all()
    assert np.isnan(ah.solve(a, np.ones((n, 2)))).all()
    assert np.isnan(ah.solve(a, np.ones(n))).all()
    if not np.isnan(a).any():
        assert ah.det(a) == 0.0
        assert ah.logdet(a) == -INF
    else:
        assert math.isnan(ah.det(a))
        assert math.isnan(ah.logdet(a))


def test_cholesky_reads_the_lower_triangle() -> None:
    s = positive(4)
    hidden = np.where(np.triu(np.ones((4, 4)), 1) > 0, NAN, s)
    assert np.array_equal(ah.cholesky(hidden), ah.cholesky(s))
    assert not np.triu(ah.cholesky(hidden), 1).any()


@pytest.mark.parametrize("matrix", [[[0.0]], [[-1.0]], [[1, 0], [2, 1]], [[NAN]], [[1, 0], [1, 1]], [[1, 0], [NAN, 1]]])
def test_indefinite_matrices(matrix: Any) -> None:
    assert np.isnan(ah.cholesky(np.array(matrix, float))).all()


@pytest.mark.parametrize("n", range(8))
def test_cholesky_adjoint_is_the_transpose_of_the_tangent(n: int) -> None:
    """<L_bar, dL> = <A_bar, dA> over the lower triangle, with dL = L Phi(L^-1 dA L^-T)."""
    source = np.random.default_rng(n)
    low = ah.cholesky(positive(n, n))
    low_bar = source.normal(size=(n, n))
    hidden = np.where(np.triu(np.ones((n, n)), 1) > 0, NAN, low_bar)
    bar = ah.cholesky_adjoint(low, hidden)
    assert not np.triu(bar, 1).any()
    d = source.normal(size=(n, n))
    d += d.T
    back = np.linalg.inv(low)
    inner = np.tril(back @ d @ back.T)
    tangent = low @ (inner - np.diag(np.diagonal(inner)) / 2)
    assert np.sum(bar * np.tril(d)) == pytest.approx(np.sum(np.tril(low_bar) * tangent), rel=1e-12, abs=1e-14)


def test_cholesky_adjoint_of_an_indefinite_matrix() -> None:
    bar = ah.cholesky_adjoint(np.full((3, 3), NAN), np.eye(3))
    assert np.isnan(bar[np.tril_indices(3)]).all()


# ---- All of them ----

# -- a value with what its derivative needs ----------------------------------------------------------------------------


@given(lists(st.floats(-760, 760)))
def test_a_sigmoid_and_its_slope(numbers: list[float]) -> None:
    """The value has the bits of `sigmoid`; the slope is right where it is a normal number, and below that tiny."""
    x = np.array(numbers)
    value, slope = ah.sigmoid_and_slope(x)
    np.testing.assert_array_equal(value, helpers.sigmoid(x))
    for each, got in zip(numbers, slope, strict=True):
        want = mp.exp(-abs(mp.mpf(each))) / (1 + mp.exp(-abs(mp.mpf(each)))) ** 2
        assert abs(mp.mpf(float(got)) - want) <= 8e-16 * want + mp.mpf("5.7e-309"), each


def test_edges_of_a_slope() -> None:
    value, slope = ah.sigmoid_and_slope(np.array([-INF, INF, NAN, -0.0, 1e308, -1e308]))
    np.testing.assert_array_equal(value, [0.0, 1.0, NAN, 0.5, 1.0, 0.0])
    np.testing.assert_array_equal(slope, [0.0, 0.0, NAN, 0.25, 0.0, 0.0])
    assert ah.sigmoid_and_slope(np.zeros((0, 3)))[1].shape == (0, 3)


@given(lists(st.floats(-760, 760)))
def test_a_softplus_and_its_slope(numbers: list[float]) -> None:
    """Both have the bits of the functions by themselves, and are right to the last digits."""
    x = np.array(numbers)
    value, slope = ah.softplus_and_slope(x)
    np.testing.assert_array_equal(value, helpers.softplus(x))
    np.testing.assert_array_equal(slope, helpers.sigmoid(x))
    for each, got in zip(numbers, value, strict=True):
        want = mp.log1p(mp.exp(mp.mpf(each)))
        assert abs(mp.mpf(float(got)) - want) <= 5e-16 * want + mp.mpf("5e-324"), each


def test_edges_of_a_softplus_and_its_slope() -> None:
    value, slope = ah.softplus_and_slope(np.array([-INF, INF, NAN, 1e308, -1e308]))
    np.testing.assert_array_equal(value, [0.0, INF, NAN, 1e308, 0.0])
    np.testing.assert_array_equal(slope, [0.0, 1.0, NAN, 1.0, 0.0])
    assert ah.softplus_and_slope(np.zeros((0, 3)))[1].shape == (0, 3)


@given(st.floats(-3, 3), lists(st.floats(0, 45), 1), st.integers(0, 2))
def test_a_logsumexp_near_zero_keeps_what_is_small(largest: float, gaps: list[float], ties: int) -> None:
    """Beside rows of other kinds, along any axis; a sum of terms of two signs may cancel, and loses that much."""
    row = [largest] * (1 + ties) + [largest - gap for gap in gaps]
    x = np.array([row, [1.0] * len(row), [-INF] * len(row), [*row[1:], INF]])
    want = mp.log(sum(mp.exp(mp.mpf(each)) for each in row))
    for got in (ah.logsumexp(x, 1), ah.logsumexp(x.T.copy(), 0)):
        error = abs(mp.mpf(float(got[0])) - want)
        assert error <= 5e-16 * (abs(want) + (abs(mp.mpf(largest)) if largest < 0 else 0)) * (1 + len(gaps) / 4), row
        np.testing.assert_array_equal(got[2:], [-INF, INF])


@given(lists(st.one_of(WIDE, SMALL), 0), st.booleans())
def test_logsumexp_and_its_softmax(numbers: list[float], keepdims: bool) -> None:
    """The value has the bits of `logsumexp`, the derivative is that of softmax, which is exp(x - value)."""
    x = np.array([numbers, numbers[::-1]], float)
    value, weights = ah.logsumexp_and_softmax(x, 1, keepdims)
    np.testing.assert_array_equal(value, ah.logsumexp(x, 1, keepdims))
    np.testing.assert_allclose(weights, ah.softmax(x, 1), rtol=4e-15, atol=0)


def test_edges_of_a_logsumexp_with_its_softmax() -> None:
    x = np.array([[INF, 2.0], [-INF, -INF], [NAN, 1.0], [3.0, 3.0], [-INF, 0.0]])
    value, weights = ah.logsumexp_and_softmax(x, 1)
    np.testing.assert_array_equal(value, ah.logsumexp(x, 1))
    np.testing.assert_array_equal(weights, [[NAN, 0.0], [NAN, NAN], [NAN, NAN], [0.5, 0.5], [0.0, 1.0]])


@pytest.mark.parametrize("function", [ah.softmax, ah.logsumexp_and_softmax])
def test_out_may_be_the_argument(function: Any) -> None:
    x = np.array([[1.0, 2.0, -3.0], [0.0, 700.0, 0.0]])
    want, given_x = function(x.copy(), 1), x.copy()
    got = function(given_x, 1, out=given_x)
    np.testing.assert_array_equal(np.hstack([np.ravel(part) for part in got]), np.hstack([np.ravel(p) for p in want]))
    assert np.shares_memory(got[-1], given_x)


CALLS: dict[str, Callable[[Any], Any]] = {
    "amax": lambda f: f(np.ones(2), None),
    "amin": lambda f: f(np.ones(2), None),
    "logsumexp": lambda f: f(np.ones(2), None),
    "softmax": lambda f: f(np.ones(2), 0),
    "logsumexp_and_softmax": lambda f: np.array(f(np.ones(2), 0)[1]),
    "sigmoid_and_slope": lambda f: np.array(f(np.ones(2))),
    "softplus_and_slope": lambda f: np.array(f(np.ones(2))),
    "prod_others": lambda f: f(np.ones(2), 0),
    "cumsum_reverse": lambda f: f(np.ones(2), 0),
    "put": lambda f: f(np.ones(2), (4,), (slice(0, 2),)),
    "solve": lambda f: f(np.eye(4), np.ones(4)),
    "inv": lambda f: f(np.eye(4)),
    "det": lambda f: f(np.eye(4)),
    "logdet": lambda f: f(np.eye(4)),
    "cofactor": lambda f: f(np.eye(4)),
    "cholesky": lambda f: f(np.eye(4)),
    "cholesky_adjoint": lambda f: f(np.eye(4), np.eye(4)),
}


JOINT = ("logsumexp_and_softmax", "sigmoid_and_slope", "softplus_and_slope")


def test_every_function_has_a_call() -> None:
    assert set(CALLS) == set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float_types(name: str) -> None:
    """float32 stays, integers become float64, and no argument is changed."""

    def as_type(dtype: Any) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            given = [x.astype(dtype) if isinstance(x, np.ndarray) else x for x in args]
            before = [np.copy(x) for x in given if isinstance(x, np.ndarray)]
            result = FUNCTIONS[name](*given, **options)
            after = [x for x in given if isinstance(x, np.ndarray)]
            assert all(np.array_equal(p, q) for p, q in zip(before, after, strict=True))
            return result

        return call

    assert CALLS[name](as_type(np.float32)).dtype == np.float32
    assert CALLS[name](as_type(np.float64)).dtype == np.float64
    if name not in JOINT:  # which get steps of generated code alone
        assert CALLS[name](as_type(np.int64)).dtype == np.float64


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_runs_alone_with_what_it_names(name: str) -> None:
    """As in a generated module, which holds NumPy and the definitions that a function uses, and nothing else."""
    tree = ast.parse(inspect.getsource(ah))
    nodes: dict[str, ast.stmt] = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    nodes |= {ast.unparse(node.targets[0]): node for node in tree.body if isinstance(node, ast.Assign)}
    needed, work = set(), [name]
    while work:
        each = work.pop()
        if each in nodes and each not in needed:
            needed.add(each)
            work += [part.id for part in ast.walk(nodes[each]) if isinstance(part, ast.Name)]
    text = "\n\n".join(ast.unparse(node) for each, node in nodes.items() if each in needed)
    module: dict[str, Any] = {"np": np}
    exec(text, module)
    assert np.array_equal(CALLS[name](module[name]), CALLS[name](FUNCTIONS[name]))
