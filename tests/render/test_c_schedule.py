"""C of scalars: fewer products with numbers, calls before the reverse sweep; the same derivatives."""

from __future__ import annotations

import re

import numpy as np
import pytest

import symdiff
from symdiff.expr import Call, Name, walk
from symdiff.render.c_schedule import calls_first, for_compilers, numbers_inverted, numbers_joined
from symdiff.tape import PRIMAL, SHARED, Tape, check_tape

FORMULAS = """
(1 + erf(d*0.7071067811865476))/2*s
erf(x/3)*erf(y/2)/4
x/y + y/x
(x*y)/(y + z)/z
2*x*3*y*4*z
-(x/2)*3 + exp(-x*y/5)
log(x/y)*0.5/z
a = x/2; b = a/2; c = b*sin(a); c*b
where(x < 1, erf(x)/3, log(x)/7)*y
x**3/y**2*0.25
sqrt(x/y)*1e200*1e200*z*1e-300
tanh(x*y)*0.5 + 0.5*tanh(x*y)*z
""".strip().splitlines()


def _tape(source: str) -> Tape:
    return symdiff.formula(source).gradient().code_tape


def _count(tape: Tape, op: str) -> int:
    return sum(isinstance(part, Call) and part.op == op for step in tape.steps for part in walk(step.expr))


def _code(source: str) -> str:
    """The functions of the C, without comments."""
    return re.sub(r"/\*.*?\*/", "", symdiff.formula(source).gradient().source("c"), flags=re.DOTALL)


@pytest.mark.parametrize("source", FORMULAS)
def test_a_form_for_compilers_is_a_tape_with_no_more_to_do(source: str) -> None:
    tape = _tape(source)
    made = for_compilers(tape)
    check_tape(made)
    for op in ("mul", "div", "erf", "exp", "log"):
        assert _count(made, op) <= _count(tape, op), op
    assert [step for step in made.steps if step.role == PRIMAL] == [step for step in tape.steps if step.role == PRIMAL]
    assert made.outputs == tape.outputs


def test_numbers_become_one() -> None:
    tape = _tape("(1 + erf(d*0.7071067811865476))/2*s")
    made = numbers_joined(tape)
    assert _count(made, "mul") == _count(tape, "mul") - 1
    assert "0.5641895835477563*" in symdiff.formula("(1 + erf(d*0.7071067811865476))/2*s").gradient().source("c")


def test_numbers_that_would_leave_the_range_stay_apart() -> None:
    tape = _tape("sin(x*1e-200)*1e-200")
    assert numbers_joined(tape).steps == tape.steps


def test_a_step_that_is_used_twice_or_is_a_result_stays() -> None:
    for source in ("a = x*0.5; sin(a)*cos(a)", "0.5*x"):
        tape = _tape(source)
        assert [step.name for step in numbers_joined(tape).steps] == [step.name for step in tape.steps]


@pytest.mark.parametrize("source", ["erf(x/3)*y", "exp(-(x/1.5)**2)", "sqrt(1 + (x/3)**2)"])
def test_quotients_by_numbers_become_products(source: str) -> None:
    assert _count(numbers_inverted(_tape(source)), "div") < _count(_tape(source), "div")
    assert not re.search(r"/(3\.0|1\.5)", _code(source))


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("x/10", "10.0"),  # a result
        ("erf(x/4)", "4.0"),  # exact either way
        ("erf(x/5e-324)", "5e-324"),  # whose inverse is infinite
        ("sqrt(1 - x/3)*y", "3.0"),  # at x = 3 the root decides
        ("abs(x/3 - 1)*y", "3.0"),
        ("1/(x/3 - 1)", "3.0"),
    ],
)
def test_quotients_that_decide_or_are_seen_stay(source: str, number: str) -> None:
    assert re.search(rf"= \w+/{re.escape(number)}", _code(source))


def test_calls_come_before_the_reverse_sweep() -> None:
    made = calls_first(_tape("erf(x)*erf(y)"))
    primal = {given.name for given in made.inputs} | {step.name for step in made.steps if step.role == PRIMAL}
    roles = [step.role for step in made.steps]
    shared = [step for step in made.steps if step.role == SHARED]
    assert len(shared) == 2 and roles.index(SHARED) == len([role for role in roles if role == PRIMAL])
    assert all(set(step.operands) <= primal for step in shared)
    assert not any(
        isinstance(part, Call) and part.op == "exp"
        for step in made.steps
        if step.role not in (PRIMAL, SHARED)
        for part in walk(step.expr)
    )


def test_calls_behind_a_condition_stay_behind_it() -> None:
    made = calls_first(_tape("where(x < 1, erf(x), y)"))
    assert not any(step.role == SHARED for step in made.steps)


@pytest.mark.compiler
@pytest.mark.parametrize("source", FORMULAS)
def test_derivatives_are_those_of_numpy(source: str) -> None:
    program = symdiff.formula(source).gradient()
    points = np.random.default_rng(6).uniform(0.3, 2.5, (len(program.data.inputs), 300))
    (value, grads), (same, others) = (program.compile(backend)(*points) for backend in ("c", "numpy"))
    for one, other in zip([value, *grads], [same, *others], strict=True):
        np.testing.assert_allclose(
            one, other, rtol=2e-14, atol=1e-14 * np.abs(other[np.isfinite(other)]).max(initial=0)
        )


def test_names_are_still_bound_once() -> None:
    made = for_compilers(_tape("x/y + erf(x/y)/2"))
    bound = [step.name for step in made.steps]
    assert len(bound) == len(set(bound))
    assert {part.id for step in made.steps for part in walk(step.expr) if isinstance(part, Name)} <= {
        *bound,
        *(given.name for given in made.inputs),
        *(step.into for step in made.steps if step.into),
    }
