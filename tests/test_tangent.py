"""The forward sweep of derivatives, also over a reverse sweep."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf
from ops import generate
from ops.generate import PROFILE
from ops.optable import outputs

from symdiff.adjoint import adjoint
from symdiff.expr import ZERO_NUMBER, Name, call
from symdiff.frontend.parser import parse
from symdiff.linearize import linearize
from symdiff.ops.evaluate import evaluate_mp
from symdiff.tangent import directional, tangent
from symdiff.tape import TANGENT, Tape, check_tape

INF, NAN = math.inf, math.nan


def forward(text: str, wrt: tuple[str, ...] | None = None) -> Tape:
    formula = parse(text)
    tape = tangent(linearize(formula), tuple(formula.inputs) if wrt is None else wrt)
    check_tape(tape)
    return tape


def dot(text: str, wrt: tuple[str, ...] | None = None, **at: float) -> float:
    return float(outputs(forward(text, wrt), {name: np.float64(value) for name, value in at.items()})["value_dot"])


def test_every_active_step_has_its_tangent_behind_it() -> None:
    tape = forward("z1 = x; z2 = y; z3 = z1 + z2; z4 = sin(z3); z5 = z4**2", ("x",))
    assert [step.name for step in tape.steps] == ["z1", "z1_dot", "z2", "z3", "z3_dot", "z4", "z4_dot", "z5", "z5_dot"]
    assert [step.of for step in tape.steps if step.role == TANGENT] == ["z1", "z3", "z4", "z5"]
    assert [given.name for given in tape.inputs] == ["x", "y", "x_dot"]
    assert [label for label, _ in tape.outputs] == ["value", "value_dot"]


def test_values() -> None:
    assert dot("x*y", x=2.0, y=3.0, x_dot=5.0, y_dot=7.0) == 29.0
    assert dot("x*y", ("y",), x=2.0, y=3.0, y_dot=7.0) == 14.0
    assert dot("sin(x)/y", x=0.5, y=2.0, x_dot=1.0, y_dot=0.0) == pytest.approx(math.cos(0.5) / 2, rel=1e-15)


def test_no_influence_gives_zero() -> None:
    tape = forward("x: ()\ny: ()\nsign(y) + 2")
    assert tape.outputs[1] == ("value_dot", ZERO_NUMBER)


def test_names_of_the_user_stay() -> None:
    tape = forward("x_dot = x**2; v1_dot = sin(x_dot); x_dot*v1_dot")
    names = [given.name for given in tape.inputs] + [step.name for step in tape.steps]
    assert len(set(names)) == len(names) and dict(tape.dots)["x"] == "x_dot_1"


@pytest.mark.parametrize(
    ("text", "x", "wanted"),
    [
        ("where(x > 0, log(x), 2*x)", 0.0, 2.0),
        ("where(x > 0, sqrt(x), 3*x)", -1.0, 3.0),
        ("where(x > 0, where(x > 1, log(x - 1), x), x**2)", 0.5, 1.0),
        ("u = 1/x; where(x > 0, u, 3*x) + where(x > 1, u*2, x)", 0.0, 4.0),
        ("where(x > 0, 2*x, 3*x)", NAN, 3.0),
        ("relu(x) + abs(x)", 0.0, 0.0),
        ("max(x, 0)", 0.0, 0.5),
    ],
)
def test_branches_and_kinks(text: str, x: float, wanted: float) -> None:
    assert dot(text, x=x, x_dot=1.0) == wanted


def test_directional_uses_the_name_of_the_value() -> None:
    made = directional(call("exp", Name("x")), {"x": "x_dot"}, Name("v1"))
    assert made == call("mul", Name("v1"), Name("x_dot"))
    assert directional(call("exp", Name("x")), {"y": "y_dot"}, None) == ZERO_NUMBER
    nested = directional(call("exp", call("exp", Name("x"))), {"x": "x_dot"}, Name("v1"))
    assert nested == call("mul", Name("v1"), call("mul", call("exp", Name("x")), Name("x_dot")))


def test_accumulators_have_tangents() -> None:
    """Tangent of adjoint: contributions to one adjoint are contributions to its tangent."""
    formula = parse("u = sin(x*y); u*u + u*x")
    reverse = adjoint(linearize(formula), tuple(formula.inputs))
    tape = tangent(reverse, tuple(formula.inputs))
    check_tape(tape)
    into = {step.into for step in tape.steps if step.role == TANGENT and step.into}
    assert {dict(tape.dots)[name] for name in ("u_bar", "x_bar")} <= into


@PROFILE
@given(st.integers(0, 2**32), st.integers(3, 9))
def test_hessian_vector_products_are_symmetric(seed: int, size: int) -> None:
    """<p, H q> = <q, H p>, at 50 digits, over random programs with fan-out."""
    formula = generate.formula(seed, size)
    wrt = tuple(formula.inputs)
    tape = tangent(adjoint(linearize(formula), wrt), wrt)
    check_tape(tape)
    dots = dict(tape.dots)
    with mp.workdps(50):
        at = {name: mpf(value) for name, value in generate.point(seed).items()}
        p = {name: mpf(k + 1) for k, name in enumerate(wrt)}
        q = {name: mpf(3 - 2 * k) for k, name in enumerate(wrt)}

        def product(direction: dict[str, mpf]) -> dict[str, mpf]:
            found = outputs(tape, at | {dots[name]: number for name, number in direction.items()}, evaluate_mp)
            return {name: found[f"{name}_dot"] for name in wrt}

        hp, hq = product(p), product(q)
        left = mp.fsum(p[name] * hq[name] for name in wrt)
        right = mp.fsum(q[name] * hp[name] for name in wrt)
        if mp.isfinite(left) and mp.isfinite(right):
            size_of_terms = mp.fsum(abs(p[n] * hq[n]) for n in wrt)
            # the rules' float64 constants (2/sqrt(pi), log 2) appear on both sides alike or 1e-16 apart
            assert abs(left - right) <= mpf("1e-13") * (1 + size_of_terms)
