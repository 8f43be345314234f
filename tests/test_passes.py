"""Passes keep values, numbers and well-formed tapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf
from ops import generate
from ops.generate import PROFILE
from ops.optable import EDGES, outputs

from symdiff.adjoint import adjoint
from symdiff.expr import ONE_NUMBER, Call, Name, Number, walk
from symdiff.frontend.parser import parse
from symdiff.linearize import linearize
from symdiff.ops.evaluate import evaluate_mp
from symdiff.passes import (
    drop_unused,
    fold_constants,
    for_code,
    for_values,
    merge_repeated_steps,
    share_subexpressions,
)
from symdiff.tape import PRIMAL, SEED, SHARED, Tape, check_tape

PASSES = (fold_constants, merge_repeated_steps, share_subexpressions, drop_unused)


def tape_of(text: str) -> Tape:
    return linearize(parse(text))


def full(tape: Tape) -> Tape:
    return adjoint(tape, tuple(given.name for given in tape.inputs if not given.constant))


def numbered(tape: Tape) -> dict[str, tuple[int, str]]:
    return {step.name: (step.n, step.label) for step in tape.steps if step.role != SHARED}


def check_pass(one: Any, before: Tape) -> Tape:
    """The tape after `one`: well formed, and every name that is left has the number that it had."""
    after: Tape = one(before)
    check_tape(after)
    was = numbered(before)
    assert all(was[name] == number for name, number in numbered(after).items())
    assert [label for label, _ in after.outputs] == [label for label, _ in before.outputs]
    assert one(after).steps == one(one(after)).steps or one is share_subexpressions
    return after


@PROFILE
@given(st.integers(0, 2**32), st.integers(3, 14))
def test_passes_keep_values_at_50_digits(seed: int, size: int) -> None:
    formula = generate.formula(seed, size)
    tape = linearize(formula)
    check_tape(tape)
    values = check_pass(for_values, tape)
    people = full(tape)
    code = check_pass(for_code, full(values))
    check_pass(for_code, people)
    for one in PASSES[::2]:
        check_pass(one, people)
    check_pass(drop_unused, people)
    with mp.workdps(50):
        at = {name: mpf(value) for name, value in generate.point(seed).items()}
        wanted, found = outputs(people, at, evaluate_mp), outputs(code, at, evaluate_mp)
        for label, value in wanted.items():
            if mp.isfinite(value):
                # constants such as 1/2.5 are folded in float64
                assert abs(found[label] - value) <= mpf("1e-12") * (1 + abs(value)), (label, seed)


@PROFILE
@given(st.integers(0, 2**32), st.integers(2, 8))
def test_merging_and_dropping_keep_every_bit(seed: int, size: int) -> None:
    """Also at the edges: values of primal steps after cse and dead are the same float64 numbers."""
    formula = generate.formula(seed, size)
    tape = linearize(formula)
    after = drop_unused(merge_repeated_steps(tape))
    source = np.random.default_rng(seed)
    at = {given.name: source.choice(np.array(EDGES), 64) for given in tape.inputs}
    with np.errstate(all="ignore"):
        before, later = outputs(tape, at)["value"], outputs(after, at)["value"]
    assert np.array_equal(before, later, equal_nan=True)
    shared = share_subexpressions(full(tape))
    with np.errstate(all="ignore"):
        before, later = outputs(full(tape), at), outputs(shared, at)
    for label, value in before.items():
        assert np.array_equal(value, later[label], equal_nan=True), label


def test_common_subexpressions() -> None:
    tape = for_values(tape_of("sin(x*y) + cos(y*x) + sin(x*y)"))
    ops = [step.op for step in tape.steps]
    assert ops.count("mul") == 1 and ops.count("sin") == 1
    assert [(note.n, note.name, note.kept) for note in tape.notes] == [
        (3, "v3", "v1"),
        (6, "v6", "v1"),
        (7, "v7", "v2"),
    ]


def test_the_result_may_be_a_repeated_step() -> None:
    tape = for_values(tape_of("u = sin(x); w = sin(x)"))
    check_tape(tape)
    assert tape.value == Name("u") and [step.name for step in tape.steps] == ["u"]


def test_aliases_are_not_merged() -> None:
    """Each name that the user gave has its step until the code is printed."""
    tape = merge_repeated_steps(tape_of("a = x; b = x; a*b"))
    assert [step.name for step in tape.steps] == ["a", "b", "value"]


def test_constant_gradients_are_constants() -> None:
    assert for_code(full(for_values(tape_of("3*x + y")))).outputs[1:] == (("x", Number(3.0)), ("y", Number(1.0)))


def test_what_does_not_commute_is_not_merged() -> None:
    assert len(for_values(tape_of("(x - y) + (y - x)")).steps) == 3
    assert len(for_values(tape_of("x/y + y/x")).steps) == 3
    assert len(for_values(tape_of("atan2(x, y)*atan2(y, x)")).steps) == 3


def test_constants_are_folded_where_they_are_read() -> None:
    tape = for_values(tape_of("k = 2*3; x*k + 1/4"))
    assert [step.name for step in tape.steps] == ["v2", "value"]
    assert any(part == Number(6.0) for part in walk(tape.steps[0].expr))
    assert any(part == Number(0.25) for part in walk(tape.steps[1].expr))
    assert 1 in {note.n for note in tape.notes}


def test_seed_disappears_from_code() -> None:
    tape = for_code(full(tape_of("sin(x)*y")))
    assert not any(step.role == SEED for step in tape.steps)
    assert not any(part == ONE_NUMBER for step in tape.reverse for part in walk(step.expr))


def test_dead_steps_go_with_a_note() -> None:
    tape = for_code(full(for_values(tape_of("u = exp(x); w = sin(x)"))))
    assert [step.name for step in tape.primal] == ["w"]
    assert [(note.n, note.name, note.kept) for note in tape.notes] == [(1, "u", None)]


def test_cosine_of_the_forward_sweep_is_used_again() -> None:
    tape = for_code(full(for_values(tape_of("sin(x)*cos(x)"))))
    calls = [part.op for step in tape.steps for part in walk(step.expr) if isinstance(part, Call)]
    assert calls.count("sin") == 1 and calls.count("cos") == 1


def test_a_function_value_of_two_adjoint_steps_is_computed_once() -> None:
    tape = for_code(full(for_values(tape_of("atan2(x, y)"))))
    calls = [part.op for step in tape.steps for part in walk(step.expr) if isinstance(part, Call)]
    assert calls.count("hypot") == 1
    shared = [step for step in tape.steps if step.role == SHARED]
    assert len(shared) == 1 and shared[0].n == 1


def test_accumulators_are_not_folded_away() -> None:
    tape = for_code(full(for_values(tape_of("x + x + 3*x"))))
    found = outputs(tape, {"x": np.float64(2.0)})
    assert float(found["x"]) == 5.0


@pytest.mark.parametrize(
    "text",
    [
        "x: ()\n3*x - 3*x + 2",
        "x**0",
        "x**1",
        "x*1",
        "x/1 - 0",
        "1*x + 0",
        "-(-x)",
        "--x*-1",
        "0*x",
        "where(2 > 1, x, 1/x)",
    ],
)
def test_short_formulas(text: str) -> None:
    people = full(tape_of(text))
    code = for_code(full(for_values(tape_of(text))))
    check_tape(code)
    at = {"x": np.float64(1.75)}
    assert {k: float(v) for k, v in outputs(people, at).items()} == {k: float(v) for k, v in outputs(code, at).items()}


def test_passes_are_pure() -> None:
    tape = full(tape_of("u = sin(x*y); u*u + cos(x*y)"))
    steps = tape.steps
    for one in (*PASSES, for_code):
        one(tape)
    assert tape.steps == steps and tape.outputs[0] == ("value", Name("value"))


def test_primal_names_of_the_user_survive_where_used() -> None:
    tape = for_code(full(for_values(tape_of("energy = m*v**2/2; price = energy*rate"))))
    assert {"energy", "price"} <= {step.name for step in tape.steps if step.role == PRIMAL}
