"""The op table, entry by entry. Everything here iterates over the table: a new op is tested without a new test."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf
from ops import compiled, generate, symbolic
from ops.compiled import CTable, python_results
from ops.generate import PROFILE
from ops.optable import (
    CASES,
    DEFAULT_ULPS,
    EXTRA,
    Case,
    columns,
    condition,
    edge_points,
    formula_of,
    is_smooth,
    misses,
    numpy_results,
    one_step,
    outputs,
    points,
    reference_second,
    rule,
    same_class,
    ulp_error,
)

from symdiff.adjoint import adjoint
from symdiff.expr import Call, Expr, Name, Number, bottom_up, names
from symdiff.linearize import linearize
from symdiff.ops import COMPARE_OPS, FAMILIES, TABLE
from symdiff.ops.core import ONE
from symdiff.ops.evaluate import evaluate, evaluate_mp, fold
from symdiff.tangent import directional, tangent

NAN, INF = math.nan, math.inf
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.label)
each_op = pytest.mark.parametrize("op", TABLE)


@pytest.fixture(scope="session")
def c_table(tmp_path_factory: pytest.TempPathFactory) -> CTable:
    """All cases in C; the first worker compiles, the others wait for it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    return CTable(compiled.build(shared / "op_table"))


# ---- entries are complete ----


@each_op
def test_entry_is_complete(op: str) -> None:
    entry = TABLE[op]
    assert entry.samples and all(len(sample) == entry.operands for sample in entry.samples)
    assert len(entry.source) > 8 and entry.gate and entry.stability
    assert entry.source[0] != " " and not entry.source.endswith(".")
    for spelling in (entry.python, entry.c, entry.latex, entry.text):
        assert len(spelling.places) in (entry.operands, 1)
        assert spelling.text.isascii()
    plain = all(
        partial is None or isinstance(fold(partial), Number | Name) or _plain(partial) for partial in entry.partials
    )
    assert plain or "exact to the rounding" not in entry.stability or op in _NOTHING_TO_CHOOSE
    if entry.kinks:
        assert entry.edges, "a kink is documented"


_NOTHING_TO_CHOOSE = {
    "atan": "1 + x**2 has no cancellation, and where x**2 overflows the partial is below 1e-308",
    "xlogy": "x/y, guarded where x is 0",
    "relu": "a step",
    "log2": "one division",
    "log10": "one division",
    "maximum": "a step",
    "minimum": "a step",
    "gamma": "v*digamma(x): a product",
    "polygamma": "the next order",
}


def _plain(partial: Expr) -> bool:
    """One op of the operands: there is no other way to write it."""
    return isinstance(partial, Call) and all(isinstance(arg, Name | Number) for arg in _without_sign(partial).args)


def _without_sign(partial: Call) -> Call:
    inner = partial.args[0]
    return inner if partial.op == "neg" and isinstance(inner, Call) else partial


def test_every_op_has_a_case_and_a_unique_place() -> None:
    assert {case.op for case in CASES} == set(TABLE)
    assert sum(len(family.OPS) for family in FAMILIES) == len(TABLE)


# ---- 1: proof of the partials ----

PROOFS = [
    (op, place) for op, entry in TABLE.items() for place, partial in enumerate(entry.partials) if partial is not None
]
assert set(symbolic.UNPROVED) <= set(TABLE)


@pytest.mark.parametrize(("op", "place"), [proof for proof in PROOFS if proof[0] not in symbolic.UNPROVED])
def test_partial_is_proved(op: str, place: int) -> None:
    partial = TABLE[op].partials[place]
    assert partial is not None and symbolic.same(op, place, partial)


def test_nothing_escapes_the_proof() -> None:
    proved = {op for op, _ in PROOFS} - set(symbolic.UNPROVED)
    assert proved | set(symbolic.UNPROVED) == set(TABLE)
    assert all(TABLE[op].partials == (None, ONE, ONE) or op in COMPARE_OPS for op in symbolic.UNPROVED)


@pytest.mark.parametrize(("value", "exact"), symbolic.CONSTANTS.items())
def test_constants_are_the_nearest_floats(value: float, exact: Any) -> None:
    assert float(sp.N(exact, 40)) == value


# ---- 2: values and partials against 50 digits and more ----


def smooth(case: Case, where: Sequence[tuple[float, ...]]) -> list[tuple[float, ...]]:
    return [point for point in where if is_smooth(case, point)]


def accuracy(case: Case, way: Any, where: Sequence[tuple[float, ...]]) -> list[str]:
    at_smooth = smooth(case, where)
    found = list(misses(case, None, where, way(case, where)[None]))
    partials = way(case, at_smooth) if at_smooth else {}
    for variable, got in partials.items():
        if variable is not None:
            found.extend(misses(case, variable, at_smooth, got))
    return [str(miss) for miss in found]


@each_case
def test_accuracy_in_numpy(case: Case) -> None:
    assert not accuracy(case, numpy_results, points(case))


@each_case
def test_accuracy_in_generated_python(case: Case) -> None:
    assert not accuracy(case, python_results, points(case))


@pytest.mark.compiler
@each_case
def test_accuracy_in_c(case: Case, c_table: CTable) -> None:
    where = points(case)
    assert not accuracy(case, c_table.one_point, where)
    assert not accuracy(case, c_table.batch, where)


def inside(domain: tuple[float, float], size: float) -> st.SearchStrategy[float]:
    """Floats of the open domain between 1/size and size (beyond, the edges are tested)."""
    low, high = domain
    low, high = max(low, -size), min(high, size)
    return st.floats(low, high, exclude_min=True, exclude_max=True, allow_subnormal=False).filter(
        lambda value: value == 0 or 1 / size < abs(value)
    )


# What mpmath cannot do in reasonable time at any argument, and what grows without bounds: a smaller range.
RANGES = {"polygamma": 1e6, "digamma": 1e12, "lgamma": 1e12, "gamma": 400.0, "sin": 1e15, "cos": 1e15, "tan": 1e15}


@pytest.mark.parametrize("case", [case for case in CASES if case.op not in COMPARE_OPS], ids=lambda case: case.label)
def test_accuracy_at_points_that_hypothesis_finds(case: Case) -> None:
    limit = RANGES.get(case.op, 1e150 if len(case.variables) == 1 else 1e40)
    seen: list[tuple[float, ...]] = []

    @generate.settings(PROFILE, max_examples=25)
    @given(st.tuples(*(inside(case.domain(name), limit) for name in case.variables)))
    def collect(point: tuple[float, ...]) -> None:
        if len(point) == 1 or all(point):
            seen.append(point)

    collect()
    assert not accuracy(case, numpy_results, list(dict.fromkeys(seen)))


def test_extra_room_is_explained() -> None:
    for (op, what), (reason, _) in EXTRA.items():
        assert op in TABLE and len(reason) > 20 and what in (None, "x", "y")


# ---- 3: <ybar, J xdot> = <J^T ybar, xdot> ----


def dot_products(tape: Any, at: dict[str, Any], seed: int) -> tuple[Any, Any]:
    """Both sides, in mpmath: the reverse and the forward sweep of `tape` (its only output has ybar = 1)."""
    source = random.Random(seed)
    wrt = [given.name for given in tape.inputs]
    direction = {name: mpf(source.uniform(-2, 2)) for name in wrt}
    reverse = outputs(adjoint(tape, wrt), at, evaluate_mp)
    swept = tangent(tape, wrt)
    dots = dict(swept.dots)
    forward = outputs(swept, at | {dots[name]: number for name, number in direction.items()}, evaluate_mp)
    return forward["value_dot"], mp.fsum(reverse[name] * direction[name] for name in wrt)


@each_case
def test_dot_product_of_one_op(case: Case) -> None:
    with mp.workdps(50):
        for seed, point in enumerate(smooth(case, points(case))[:12]):
            at = {name: mpf(value) for name, value in zip(case.variables, point, strict=True)}
            forward, backward = dot_products(one_step(case), at, seed)
            assert abs(forward - backward) <= mpf(10) ** -40 * (abs(forward) + mpf(10) ** -300)


@PROFILE
@given(st.integers(0, 2**32), st.integers(3, 12))
def test_dot_product_of_compositions(seed: int, size: int) -> None:
    formula = generate.formula(seed, size)
    at = {name: mpf(value) for name, value in generate.point(seed).items()}
    with mp.workdps(50):
        forward, backward = dot_products(linearize(formula), at, seed)
        if mpmath.isfinite(forward):
            assert abs(forward - backward) <= mpf(10) ** -38 * (1 + abs(forward))


# ---- 4: Python against C, edges, ties, kinks ----


@pytest.mark.compiler
@each_case
def test_python_and_c_agree(case: Case, c_table: CTable) -> None:
    """A few ulp where both are numbers, else the same class: over ordinary points and the full product of the edges."""
    for where, ulps in ((points(case), 4 * DEFAULT_ULPS), (edge_points(len(case.variables)), 8)):
        ours = python_results(case, where)
        for way in (c_table.one_point, c_table.batch):
            theirs = way(case, where)
            for what, expected in ours.items():
                for point, a, b in zip(where, expected, theirs[what], strict=True):
                    room = ulps + condition(case, point, what) if not same_class(a, b, ulps, 1e-307) else ulps
                    assert same_class(a, b, room, 1e-307), (what, point, a, b)


@each_case
def test_trace_and_generated_python_agree_to_the_bit(case: Case) -> None:
    where = [*points(case), *edge_points(len(case.variables))]
    with np.errstate(all="ignore"):
        found = outputs(compiled.sheet_of(case).code, columns(case, where))
    theirs = python_results(case, where)
    for label, numbers in found.items():
        what = None if label == "value" else label
        np.testing.assert_array_equal(numbers, theirs[what])
        same_sign = np.signbit(numbers) == np.signbit(theirs[what])
        assert (same_sign | np.isnan(theirs[what])).all()


DOCUMENTED = [
    # op, operands, value, partials (None: not looked at)
    ("abs", (0.0,), 0.0, (0.0,)),
    ("abs", (-0.0,), 0.0, (0.0,)),
    ("abs", (NAN,), NAN, (NAN,)),
    ("sign", (0.0,), 0.0, (0.0,)),
    ("sign", (NAN,), NAN, (0.0,)),
    ("relu", (0.0,), 0.0, (0.0,)),
    ("relu", (-0.0,), 0.0, (0.0,)),
    ("relu", (NAN,), NAN, (0.0,)),
    ("relu", (INF,), INF, (1.0,)),
    ("maximum", (2.0, 2.0), 2.0, (0.5, 0.5)),
    ("minimum", (2.0, 2.0), 2.0, (0.5, 0.5)),
    ("maximum", (0.0, -0.0), 0.0, (0.5, 0.5)),
    ("maximum", (INF, INF), INF, (0.5, 0.5)),
    ("maximum", (1.0, 2.0), 2.0, (0.0, 1.0)),
    ("minimum", (1.0, 2.0), 1.0, (1.0, 0.0)),
    ("maximum", (NAN, 1.0), NAN, (None, None)),
    ("maximum", (1.0, NAN), NAN, (None, None)),
    ("minimum", (NAN, 1.0), NAN, (None, None)),
    ("minimum", (1.0, NAN), NAN, (None, None)),
    ("hypot", (0.0, 0.0), 0.0, (0.0, 0.0)),
    ("hypot", (3e200, 4e200), 5e200, (0.6, 0.8)),
    ("hypot", (3e-320, 0.0), 3e-320, (1.0, 0.0)),
    ("hypot", (INF, 1.0), INF, (None, 0.0)),
    ("xlogy", (0.0, 0.0), 0.0, (-INF, 0.0)),
    ("xlogy", (0.0, 2.0), 0.0, (math.log(2.0), 0.0)),
    ("xlogy", (0.0, -1.0), 0.0, (NAN, -0.0)),
    ("xlogy", (0.0, INF), 0.0, (INF, 0.0)),
    ("xlogy", (0.0, NAN), NAN, (NAN, NAN)),
    ("xlogy", (1.0, 0.0), -INF, (-INF, INF)),
    ("pow", (0.0, 0.0), 1.0, (0.0, -INF)),
    ("pow", (NAN, 0.0), 1.0, (0.0, NAN)),
    ("pow", (-3.0, 0.0), 1.0, (-0.0, NAN)),
    ("pow", (0.0, 0.5), 0.0, (INF, 0.0)),
    ("pow", (0.0, 1.0), 0.0, (1.0, 0.0)),
    ("pow", (0.0, 2.0), 0.0, (0.0, 0.0)),
    ("pow", (0.0, 3.0), 0.0, (0.0, 0.0)),
    ("pow", (0.0, 1.5), 0.0, (0.0, 0.0)),
    ("pow", (0.0, -1.0), INF, (-INF, -INF)),
    ("pow", (-2.0, 3.0), -8.0, (12.0, NAN)),
    ("pow", (-2.0, 0.5), NAN, (NAN, NAN)),
    ("sqrt", (0.0,), 0.0, (INF,)),
    ("sqrt", (-1.0,), NAN, (NAN,)),
    ("cbrt", (0.0,), 0.0, (INF,)),
    ("cbrt", (-8.0,), -2.0, (1 / 12,)),
    ("inverse", (0.0,), INF, (-INF,)),
    ("inverse", (-0.0,), -INF, (-INF,)),
    ("div", (0.0, 0.0), NAN, (INF, NAN)),
    ("div", (1.0, 0.0), INF, (INF, -INF)),
    ("div", (1.0, 1e200), 1e-200, (1e-200, -0.0)),
    ("log", (0.0,), -INF, (INF,)),
    ("log", (-1.0,), NAN, None),
    ("log1p", (-1.0,), -INF, (INF,)),
    ("asin", (1.0,), math.pi / 2, (INF,)),
    ("asin", (1.5,), NAN, (NAN,)),
    ("acos", (-1.0,), math.pi, (-INF,)),
    ("acosh", (1.0,), 0.0, (INF,)),
    ("acosh", (0.5,), NAN, (NAN,)),
    ("atanh", (1.0,), INF, (INF,)),
    ("atanh", (1.5,), NAN, None),
    ("atan2", (0.0, 0.0), 0.0, (NAN, NAN)),
    ("atan2", (0.0, -1.0), math.pi, (-1.0, -0.0)),
    ("tanh", (INF,), 1.0, (0.0,)),
    ("tanh", (-400.0,), -1.0, (0.0,)),
    ("atan", (INF,), math.pi / 2, (0.0,)),
    ("sin", (INF,), NAN, (NAN,)),
    ("exp", (-INF,), 0.0, (0.0,)),
    ("expm1", (-INF,), -1.0, (0.0,)),
    ("sigmoid", (-INF,), 0.0, (0.0,)),
    ("sigmoid", (INF,), 1.0, (0.0,)),
    ("sigmoid", (800.0,), 1.0, (0.0,)),
    ("softplus", (INF,), INF, (1.0,)),
    ("softplus", (-INF,), 0.0, (0.0,)),
    ("silu", (-800.0,), -0.0, (-0.0,)),
    ("gelu", (-800.0,), -0.0, (0.0,)),
    ("gelu", (1e200,), 1e200, (1.0,)),
    ("erf", (INF,), 1.0, (0.0,)),
    ("erfc", (30.0,), 0.0, (-0.0,)),
    ("gamma", (0.0,), INF, (-INF,)),
    ("gamma", (-1.0,), NAN, (NAN,)),
    ("lgamma", (0.0,), INF, (-INF,)),
    ("lgamma", (-1.0,), INF, (NAN,)),
    ("digamma", (0.0,), -INF, (INF,)),
    ("digamma", (-1.0,), NAN, (INF,)),
]  # fmt: skip


@pytest.mark.parametrize(("op", "point", "value", "partials"), DOCUMENTED, ids=[f"{d[0]}-{d[1]}" for d in DOCUMENTED])
def test_documented_edges(op: str, point: tuple[float, ...], value: float, partials: Any) -> None:
    case = next(case for case in CASES if case.op == op)
    got = numpy_results(case, [point])
    assert same_class(float(got[None][0]), value, 2), got
    for variable, wanted in zip(case.variables, partials or (), strict=False):
        if wanted is not None:
            assert same_class(float(got[variable][0]), wanted, 2), (variable, got)


def test_every_op_with_edges_documents_them_in_a_test() -> None:
    tested = {op for op, *_ in DOCUMENTED} | COMPARE_OPS | {"where", "log2", "log10", "cos", "polygamma"}
    assert {op for op, entry in TABLE.items() if entry.edges or entry.kinks} <= tested


# ---- 6: closed under differentiation ----


@each_case
def test_second_derivatives(case: Case) -> None:
    """The tangent of the adjoint, in every direction, against central second differences; all ops stay in the table."""
    reverse = adjoint(one_step(case), case.variables)
    swept = tangent(reverse, case.variables)
    dots = dict(swept.dots)
    for step in swept.steps:
        assert all(part.op in TABLE for part in _calls(step.expr))
    where = smooth(case, case.samples if case.samples else points(case)[:4])
    where = [point for point in where if len(point) == len(case.variables)]
    for point in where:
        for second in case.variables:
            at = dict(zip(case.variables, map(np.float64, point), strict=True))
            at |= {dots[name]: np.float64(name == second) for name in case.variables}
            got = outputs(swept, at)
            for first in case.variables:
                want = reference_second(case, point, first, second)
                # a second derivative is a sum of terms: 64 ulp of the largest one, which the first derivative bounds
                room = 64 * 2.0**-52 * (float(abs(want)) + abs(float(got[first])) * (1 + 1 / abs(point[0] or 1.0)))
                assert abs(float(got[f"{first}_dot"]) - float(want)) <= room, (point, first, second, got, want)


def _calls(expr: Expr) -> list[Call]:
    found: list[Call] = []
    bottom_up(expr, lambda leaf: None, lambda node, _: found.append(node))
    return found


@each_case
def test_partials_can_be_differentiated_as_formulas(case: Case) -> None:
    """The rule itself, as a formula, through linearize and adjoint, against the tangent of the same expression."""
    for variable in case.variables:
        partial = rule(case, variable)
        if partial is None or not names(fold(partial)) or case.expr.op == "where":
            continue
        tape = linearize(formula_of(fold(partial), case.variables))
        gradient = adjoint(tape, case.variables)
        for point in smooth(case, [p for p in case.samples if len(p) == len(case.variables)]):
            at = dict(zip(case.variables, map(np.float64, point), strict=True))
            reverse = outputs(gradient, at)
            for second in case.variables:
                one = {name: f"{name}_dot" for name in case.variables}
                directed = directional(fold(partial), one, None)
                forward = evaluate(directed, at | {f"{name}_dot": np.float64(name == second) for name in at})
                assert np.isclose(reverse[second], forward, rtol=1e-11, atol=1e-300, equal_nan=True), (variable, second)


def test_ulp_error_measures() -> None:
    """The measure itself: one bit off is 1 ulp, NaN and the wrong infinity are never right."""
    assert ulp_error(np.nextafter(1.0, 2.0), mpf(1)) == 1.0
    assert ulp_error(NAN, mpf(1)) == INF and ulp_error(1.0, mpmath.nan) == INF
    assert ulp_error(INF, mpf("1e400")) == 0.0 and ulp_error(-INF, mpf("1e400")) == INF
    assert ulp_error(0.0, mpf("1e-400")) == 0.0 and ulp_error(1e-300, mpf(0)) == INF
