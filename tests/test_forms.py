"""Forms of expressions: what one form has in common, told apart from what it has not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import symdiff
from symdiff import expr as expressions
from symdiff.expr import Call, Expr, Name, Number, Pattern, bottom_up, form_of, identity, names, substitute, walk
from symdiff.ops.evaluate import _fold_call, fold

LEAVES = st.sampled_from([Name("a"), Name("b"), Name("c"), Number(1.0), Number(-0.0), Number(0.0), Number(2.5)])
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda op, x, y: Call(op, (x, y)), st.sampled_from(["add", "mul", "sub", "div"]), inner, inner),
        st.builds(lambda op, x: Call(op, (x,)), st.sampled_from(["neg", "sin", "square"]), inner),
        st.builds(lambda x, k: Call("index", (x,), None, (k,)), inner, st.integers(0, 1)),
    ),
    max_leaves=6,
)
CALLS = TREES.filter(lambda tree: isinstance(tree, Call))


def fresh(expr: Expr) -> Expr:
    """A copy whose form nobody has asked for."""
    return bottom_up(expr, lambda leaf: leaf, lambda call, args: Call(call.op, tuple(args), None, call.options))


@given(CALLS, CALLS)
def test_calls_are_identical_where_they_are_equal(first: Call, second: Call) -> None:
    assert (identity(first) == identity(second)) == (first == second)


@given(CALLS)
def test_the_form_with_its_names_is_the_call(call: Call) -> None:
    form, found = form_of(call)
    assert list(found) == names(fresh(call)) == names(call)
    assert substitute(form.expr, {str(k): Name(name) for k, name in enumerate(found)}) == call
    assert form_of(fresh(call))[0] is form  # type: ignore[arg-type]  # a copy of a call is a call


@given(CALLS)
def test_a_pattern_is_a_substitution(call: Call) -> None:
    form, found = form_of(call)
    others = [f"{name}_{k}" for k, name in enumerate(found)]
    made = Pattern(form.expr).over(others)
    assert made == substitute(form.expr, {str(k): Name(name) for k, name in enumerate(others)})
    assert isinstance(made, Call) and made.seen is not None and form_of(fresh(made)) == made.seen  # type: ignore[arg-type]


@given(TREES)
def test_folding_by_form_is_folding(tree: Expr) -> None:
    if any(isinstance(part, Call) and part.op == "index" for part in walk(tree)):
        return
    direct = bottom_up(tree, lambda leaf: leaf, lambda call, args: _fold_call(call.over(args)))
    assert repr(fold(tree)) == repr(direct) == repr(fold(fresh(tree)))  # as text, because nan != nan


def test_signs_of_zero_and_names_of_numbers_are_forms_of_their_own() -> None:
    x = Name("x")
    calls = [Call("add", (x, number)) for number in (Number(0.0), Number(-0.0), Number(3.0), Number(3.0, "pi"))]
    assert len({identity(call) for call in calls}) == 4
    assert identity(Call("add", (x, x))) != identity(Call("add", (x, Name("y"))))


def test_texts_do_not_depend_on_how_many_forms_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join([f"s{k} = sin(x*{k}.5) + cos(x)*s{k - 1}" if k else "s0 = x*y" for k in range(40)])
    expected = symdiff.formula(text).gradient().source("c")
    expressions._forms.clear()
    monkeypatch.setattr(expressions, "_MOST_FORMS", 3)
    assert symdiff.formula(text).gradient().source("c") == expected
    assert len(expressions._forms) <= 3
