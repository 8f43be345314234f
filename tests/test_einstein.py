"""Contractions: names, merging, and the sizes arithmetic under them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import symdiff
from symdiff.einstein import Form, Spec, familiar, merged, spec
from symdiff.expr import Name
from symdiff.ops.array_core import contraction, fitted
from symdiff.ops.contraction import contract_numpy
from symdiff.ops.evaluate import evaluate
from symdiff.ops.infer import shape_of
from symdiff.shapes import (
    Polynomial,
    ShapeFault,
    Size,
    broadcast,
    described,
    dimensions,
    minus,
    plus,
    shape_text,
    size_text,
    size_value,
    times,
)

SIZES = {"i": 2, "j": 3, "k": 4, "l": 2, "b": 2}
NAMES = {
    "ij,jk->ik": Form("product", (0, 1), (False, False)),
    "ij,kj->ik": Form("product", (0, 1), (False, True)),
    "ij,ik->jk": Form("product", (0, 1), (True, False)),
    "ij,ik->kj": Form("product", (1, 0), (True, False)),
    "ij,j->i": Form("product", (0, 1), (False, False)),
    "ij,i->j": Form("product", (0, 1), (True, False)),
    "i,ij->j": Form("product", (0, 1), (False, False)),
    "i,i->": Form("product", (0, 1), (False, False)),
    "i1,j1->ij": Form("product", (0, 1), (False, True)),
    "1i,i1->11": Form("product", (0, 1), (False, False)),
    "bij,bjk->bik": Form("product", (0, 1), (False, False), batch=1),
    "bij,bkj->bik": Form("product", (0, 1), (False, True), batch=1),
    "i,j->ij": Form("outer", (0, 1)),
    "i,j->ji": Form("outer", (1, 0)),
    "ij,ij->": Form("hadamard", (0, 1)),
    "ij->ji": Form("transpose", axes=(1, 0)),
    "ijk->kij": Form("transpose", axes=(2, 0, 1)),
    "ij->": Form("sum", axes=(0, 1)),
    "ij->j": Form("sum", axes=(0,)),
    "ij->i1": Form("sum", axes=(1,), keepdims=True),
    "1i->i": Form("sum", axes=(0,)),
    "ii->": Form("trace"),
    "ii->i": Form("diagonal"),
    "i->ii": Form("diag"),
    "i->ij": Form("broadcast", axes=(0,)),
    "j->ij": Form("broadcast", axes=(1,)),
    "i1->ij": Form("broadcast", axes=(0, 1)),
    "i->1i": Form("broadcast", axes=(1,)),
}


@pytest.mark.parametrize("text", NAMES)
def test_names(text: str) -> None:
    assert familiar(spec(text, SIZES)) == NAMES[text]


def _array(part: str, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal([1 if i == "1" else SIZES[i] for i in part])


def _value(given: Spec, *arrays: np.ndarray) -> np.ndarray:
    return contract_numpy((given, given.sizes), *arrays)


def test_a_trace_of_what_is_repeated_along_both_axes_counts_the_diagonal() -> None:
    inner = Spec(("",), "ij", (("i", "n"), ("j", "n")))
    assert merged(spec("ii->"), 0, inner) == (Spec(("",), ""), ("n",))
    formula = symdiff.formula("s: (); x: n; sum(diag(ones((n, n)) @ (s*ones((n, n))))) + sum(x)")
    value, gradients = formula.gradient().compile("numpy")(s=2.0, x=np.zeros(3))
    assert (value, gradients.s) == (18.0, 9.0)


def test_a_product_of_numbers_keeps_the_shape_that_they_are_repeated_to() -> None:
    given = Spec(("", ""), "ij", (("i", 2), ("j", 3)))
    assert shape_of(contraction(given, [Name("s"), Name("t")]), {}) == (2, 3)
    assert shape_of(contraction(Spec(("", ""), "1"), [Name("s"), Name("t")]), {}) == (1,)
    text = "s: (); t: (); x: n; sum((s*ones((n, 3))) @ (t*ones((3, n)))) + sum(x)"
    value, gradients = symdiff.formula(text).gradient().compile("numpy")(s=2.0, t=5.0, x=np.zeros(4))
    assert (value, gradients.s, gradients.t) == (480.0, 240.0, 96.0)


def test_a_sum_over_nothing_is_zero_whatever_lies_behind_it() -> None:
    memory = np.full((4, 1), np.nan)
    nothing, repeated = memory[:, :0], np.broadcast_to(memory, (4, 0))  # np.einsum reads one number of the latter
    np.testing.assert_array_equal(contract_numpy((spec("ij,kj->ik"),), repeated, nothing), np.zeros((4, 4)))


@pytest.mark.parametrize(
    ("outer", "place", "inner"),
    [
        ("ij,jk->ik", 0, "ji->ij"),  # a product of a transpose
        ("ij,jk->ik", 1, "jl,lk->jk"),  # of a product
        ("il,l->i", 0, "i->ii"),  # of a diagonal: the delta vanishes
        ("il->", 0, "i->ii"),
        ("ii->", 0, "ik,ki->ii"),
        ("ij,j->i", 1, "->j"),  # of a broadcast: a sum
        ("ij->j", 0, "j->ij"),  # a sum of a broadcast: a factor
        ("ij->", 0, "->ij"),
        ("i1,1j->ij", 0, "i->i1"),
        ("i->ij", 0, "ik->i"),
    ],
)
def test_merging(outer: str, place: int, inner: str) -> None:
    first, second = spec(outer, SIZES), spec(inner, SIZES)
    others = [_array(part, seed) for seed, part in enumerate(first.operands)]
    inside = [_array(part, 10 + seed) for seed, part in enumerate(second.operands)]
    if inner == "ik,ki->ii":
        second = spec("ik,kl->il", SIZES)
    plain = list(others)
    plain[place] = _value(second, *inside)
    joined, factors = merged(first, place, second)
    found = _value(joined, *others[:place], *inside, *others[place + 1 :])
    for size in factors:
        assert isinstance(size, int)
        found = found * size
    np.testing.assert_allclose(found, _value(first, *plain), rtol=1e-12)


SHAPES = st.lists(st.sampled_from([1, 2, 3]), max_size=4).map(tuple)


@given(SHAPES, SHAPES)
def test_a_sum_and_a_broadcast_are_transposes_of_each_other(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """<fitted(x), y> = <x, fitted(y)> for the shape of a broadcast and an operand's."""
    try:
        whole = broadcast(a, b)
    except ShapeFault:
        with pytest.raises(ValueError):
            np.broadcast_shapes(a, b)
        return
    assert whole == np.broadcast_shapes(a, b)
    x, y = (np.random.default_rng(k).standard_normal(shape) for k, shape in enumerate((a, whole)))
    up, down = fitted(Name("x"), a, whole), fitted(Name("y"), whole, a)
    shapes = {"x": a, "y": whole}
    assert shape_of(up, shapes) == whole and shape_of(down, shapes) == a
    left = np.sum(evaluate(up, {"x": x, "y": y}) * y)
    right = np.sum(x * evaluate(down, {"x": x, "y": y}))
    np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)


def test_scalars_become_factors_and_the_identity_vanishes() -> None:
    a, b, s = Name("a"), Name("b"), Name("s")
    assert contraction(spec("ij->ij"), [a]) == a
    assert contraction(spec(",ij->ij"), [s, a]) == s * a
    assert contraction(spec("ij,ij->ij"), [a, b]) == a * b


SIZE = st.recursive(
    st.integers(-3, 3) | st.sampled_from(["n", "m"]),
    lambda inner: st.tuples(st.sampled_from([plus, minus, times]), inner, inner).map(lambda t: t[0](t[1], t[2])),
    max_leaves=6,
)


@given(SIZE, SIZE)
def test_sizes_are_equal_when_their_values_are(a: Size, b: Size) -> None:
    points = [{"n": n, "m": m} for n in range(5) for m in range(5)]
    for operation, of_numbers in ((plus, int.__add__), (minus, int.__sub__), (times, int.__mul__)):
        for point in points[:7]:
            made = size_value(operation(a, b), point)
            assert made == of_numbers(size_value(a, point), size_value(b, point))
    same = all(size_value(a, point) == size_value(b, point) for point in points)
    degrees = [len(names) for size in (a, b) if isinstance(size, Polynomial) for names, _ in size.terms]
    if max(degrees, default=0) < 5:
        assert (a == b) == same
    assert all(eval(size_text(a), {}, point) == size_value(a, point) for point in points[:3])


def test_text_of_shapes() -> None:
    longer = plus(times(2, "n"), 1)
    assert size_text(longer) == "2*n + 1"
    assert size_text(minus("n", times("k", "m")), {"n": "n_"}) == "-k*m + n_"
    assert shape_text(("n",)) == "(n,)" and shape_text(()) == "()" and shape_text((3, longer)) == "(3, 2*n + 1)"
    assert described(()) == "scalar" and described(("n", 3)) == "n x 3 matrix"
    assert dimensions(minus("n", times("k", "m"))) == ("k", "m", "n")
