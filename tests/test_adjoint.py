"""The reverse sweep: order, accumulation, masks, names."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mpmath import mp, mpf
from ops import generate
from ops.generate import PROFILE
from ops.optable import outputs, run

from symdiff.adjoint import adjoint, local_derivatives
from symdiff.expr import ONE_NUMBER, ZERO_NUMBER, Name, call, walk
from symdiff.frontend.parser import parse
from symdiff.linearize import linearize
from symdiff.ops.evaluate import evaluate, evaluate_mp
from symdiff.tape import ADJOINT, SEED, SHARED, Tape, check_tape

SYSTEM_E = "z1 = x; z2 = y; z3 = z1 + z2; z4 = sin(z3); z5 = z4**2; z6 = exp(z1); z7 = z5 + z6; z8 = z7*z3"
INF, NAN = math.inf, math.nan


def swept(text: str, wrt: tuple[str, ...] | None = None, **options: Any) -> Tape:
    """The checked adjoint tape of a text."""
    formula = parse(text, **options)
    tape = linearize(formula)
    check_tape(tape)
    chosen = tuple(given.name for given in formula.declared if not given.constant) if wrt is None else wrt
    tape = adjoint(tape, chosen)
    check_tape(tape)
    return tape


def gradient(text: str, wrt: tuple[str, ...] | None = None, **at: float) -> dict[str, float]:
    found = outputs(swept(text, wrt), {name: np.float64(value) for name, value in at.items()})
    return {label: float(value) for label, value in found.items()}


def reverse_lines(tape: Tape) -> list[tuple[str, str, str]]:
    return [(step.label, step.target, step.op) for step in tape.reverse]


def test_system_e_step_by_step() -> None:
    """Reverse order of the primal steps; first operand before second; contributions in the order in which they come."""
    assert reverse_lines(swept(SYSTEM_E)) == [
        ("8'", "z8_bar", "constant"),
        ("8'a", "z7_bar", "mul"),
        ("8'b", "z3_bar", "mul"),
        ("7'a", "z5_bar", "identity"),
        ("7'b", "z6_bar", "identity"),
        ("6'", "z1_bar", "mul"),
        ("5'", "z4_bar", "mul"),
        ("4'", "z3_bar", "mul"),
        ("3'a", "z1_bar", "identity"),
        ("3'b", "z2_bar", "identity"),
        ("2'", "y_bar", "identity"),
        ("1'", "x_bar", "identity"),
    ]


def test_system_e_before_z4() -> None:
    """Right before z4 sends, z3_bar holds z7 and misses z4_bar*cos(z3); z1_bar holds z6_bar*z6, misses z3's share."""
    tape = swept(SYSTEM_E)
    steps = list(tape.steps)
    before = next(k for k, step in enumerate(steps) if step.label == "4'")
    known = run(tape.with_steps(steps[:before]), {"x": np.float64(0.3), "y": np.float64(0.4)})
    assert known["z3_bar"] == known["z7"]
    assert known["z1_bar"] == known["z6_bar"] * known["z6"]
    assert "z2_bar" not in known and "x_bar" not in known
    pending = [(step.target, step.expr) for step in steps[before:] if step.into in ("z3_bar", "z1_bar")]
    cos = call("cos", Name("z3"))
    assert pending == [("z3_bar", call("mul", Name("z4_bar"), cos)), ("z1_bar", Name("z3_bar"))]


def test_system_e_values() -> None:
    x, y = 0.3, 0.4
    found = gradient(SYSTEM_E, x=x, y=y)
    s = x + y
    g = 2 * math.sin(s) * math.cos(s) * s + math.sin(s) ** 2 + math.exp(x)
    assert found["y"] == pytest.approx(g, rel=1e-15)
    assert found["x"] == pytest.approx(g + math.exp(x) * s, rel=1e-15)


def test_system_b_values() -> None:
    found = gradient("1/(sin(w1*x1)**2 + cos(w2*x2) + 2)", w1=-3, x1=-2, w2=2, x2=-1)
    wanted = {
        "w1": -0.3885395959048329,
        "w2": 0.32921718831127095,
        "x1": -0.5828093938572494,
        "x2": -0.6584343766225419,
    }
    for name, value in wanted.items():
        assert found[name] == pytest.approx(value, rel=3e-16)


def test_fan_out_accumulates_one_contribution_per_use() -> None:
    tape = swept("u = sin(x); u*u + u*exp(u)")
    into = [step.label for step in tape.steps if step.into == "u_bar"]
    assert into == ["5'a", "4'", "2'a", "2'b"] or len(into) == 4
    assert all(step.name != step.into for step in tape.steps)
    x = 0.7
    u = math.sin(x)
    wanted = (2 * u + math.exp(u) * (1 + u)) * math.cos(x)
    assert gradient("u = sin(x); u*u + u*exp(u)", x=x)["x"] == pytest.approx(wanted, rel=1e-15)


def test_same_operand_twice_gets_two_contributions() -> None:
    assert gradient("x*x", x=3.0)["x"] == 6.0
    assert gradient("x - x", x=3.0)["x"] == 0.0
    assert gradient("x/x", x=3.0)["x"] == pytest.approx(0.0, abs=1e-17)
    assert gradient("max(x, x)", x=3.0)["x"] == 1.0
    assert gradient("x**x", x=2.0)["x"] == pytest.approx(4 * (1 + math.log(2)), rel=1e-15)


def test_every_contribution_is_upstream_times_local() -> None:
    tape = swept(SYSTEM_E)
    for step in tape.steps:
        if step.role == ADJOINT:
            assert step.receiver is not None and step.local is not None and step.of is not None
            assert dict(tape.bars)[step.of] in step.operands
            assert dict(tape.bars)[step.receiver] == step.target


# ---- activity ----


def test_constants_and_unasked_inputs_get_no_adjoint() -> None:
    tape = swept("a: const()\nx: ()\na*sin(x) + exp(a)")
    assert [label for label, _ in tape.outputs] == ["value", "x"]
    assert {step.receiver for step in tape.steps if step.role == ADJOINT}.isdisjoint({"a"})
    assert not any(part for step in tape.reverse for part in walk(step.expr) if getattr(part, "op", "") == "exp")
    tape = swept("x*y", ("y",))
    assert "x" not in dict(tape.bars) and [label for label, _ in tape.outputs] == ["value", "y"]


def test_gradients_in_the_order_asked_for() -> None:
    assert [label for label, _ in swept("x*y", ("y", "x")).outputs] == ["value", "y", "x"]


@pytest.mark.parametrize(
    "text", ["x: ()\ny: ()\nx**2", "sign(y) + x", "u = sin(y); x", "where(y > 0, x, 2*x)", "x + y*0*0"]
)
def test_inputs_without_influence_get_zero(text: str) -> None:
    assert gradient(text, x=1.5, y=0.25)["y"] == 0.0


def test_value_that_is_an_input_or_a_constant() -> None:
    assert gradient("x", x=2.0) == {"value": 2.0, "x": 1.0}
    assert gradient("z = x; z", x=2.0) == {"value": 2.0, "x": 1.0}
    tape = swept("x: ()\ny = 3\ny")
    assert tape.outputs[1] == ("x", ZERO_NUMBER)


def test_dead_branches_of_the_graph_send_nothing() -> None:
    tape = swept("u = exp(x); v = log(u); w = sin(x)")
    assert [step.of for step in tape.reverse] == ["w", "w"]


def test_identity_steps_copy() -> None:
    tape = swept("a = x; b = a; c = b*a")
    assert gradient("a = x; b = a; c = b*a", x=3.0)["x"] == 6.0
    assert [s.op for s in tape.primal] == ["identity", "identity", "mul"]


def test_local_derivatives_leave_out_what_is_zero() -> None:
    tape = linearize(parse("sign(x)*y"))
    assert local_derivatives(tape.steps[0]) == []
    assert [local.operand for local in local_derivatives(tape.steps[1])] == ["v1", "y"]


# ---- names ----


def test_seed_is_one_and_comes_first() -> None:
    tape = swept("sin(x)*y")
    assert tape.reverse[0].role == SEED and tape.reverse[0].expr == ONE_NUMBER


@pytest.mark.parametrize(
    "text",
    [
        "v3 = x*y; sin(v3) + x + v3*v3",
        "x_bar = x**2; x_bar*x + y",
        "v1_bar = x + y; value_bar = v1_bar*x; value_bar",
        "mask2 = x; where(x > 0, where(y > 0, x*y, sin(y)), mask2)",
        "x_bar_1 = y; x_bar = x; x_bar*x_bar_1 + x*x",
        "v2 = x; v1 = y; (v2 + v1)*(v2 - v1)*v1",
    ],
)
def test_names_of_the_user_stay(text: str) -> None:
    """A user's v3 or x_bar keeps its name, and ours takes the next free suffix."""
    tape = swept(text)
    bars = dict(tape.bars)
    own = {statement.name for statement in parse(text).statements} | {given.name for given in tape.inputs}
    assert own.isdisjoint(bars.values())
    assert {step.name for step in tape.primal} >= own - {given.name for given in tape.inputs} - {None}
    values = {"x": 0.7, "y": 0.4}
    check_against_mpmath(tape, values)


def check_against_mpmath(tape: Tape, at: dict[str, float], tolerance: float = 1e-12) -> None:
    """Gradient in float64 against central differences of the value at 60 digits."""
    found = outputs(tape, {name: np.float64(value) for name, value in at.items()})
    primal = Tape(tape.inputs, tape.primal, tape.outputs[:1])
    with mp.workdps(60):
        point = {name: mpf(value) for name, value in at.items()}
        for name in tape.wrt:
            h = mpf(10) ** -20
            up, down = point | {name: point[name] + h}, point | {name: point[name] - h}
            slope = (outputs(primal, up, evaluate_mp)["value"] - outputs(primal, down, evaluate_mp)["value"]) / (2 * h)
            assert abs(mpf(float(found[name])) - slope) <= tolerance * (1 + abs(slope)), name


@PROFILE
@given(st.integers(0, 2**32), st.integers(3, 12))
def test_random_programs_against_50_digits(seed: int, size: int) -> None:
    """In mpmath, so that only rules and accumulation count; the tolerance is that of the rules' float64 constants."""
    formula = generate.formula(seed, size)
    tape = linearize(formula)
    check_tape(tape)
    wrt = tuple(given.name for given in tape.inputs)
    full = adjoint(tape, wrt)
    check_tape(full)
    with mp.workdps(60):
        point = {name: mpf(value) for name, value in generate.point(seed).items()}
        found = outputs(full, point, evaluate_mp)
        for name in wrt:
            h = mpf(10) ** -25
            sides = [outputs(tape, point | {name: point[name] + sign * h}, evaluate_mp)["value"] for sign in (1, -1)]
            if not all(map(mp.isfinite, sides)):
                continue
            slope = (sides[0] - sides[1]) / (2 * h)
            assert abs(found[name] - slope) <= mpf("1e-12") * (1 + abs(slope)), (name, seed)


# ---- masks ----

EDGES = (NAN, INF, -INF, 0.0, -0.0, 5e-324, 1.7e308, 1.0, -1.0, 0.5, -3.0)


@pytest.mark.parametrize(
    ("text", "at", "wanted"),
    [
        ("where(x > 0, log(x), 0*x)", {"x": 0.0}, 0.0),
        ("where(x > 0, sqrt(x), x)", {"x": -1.0}, 1.0),
        ("where(x > 0, x**0.5, 2*x)", {"x": 0.0}, 2.0),
        ("where(x < 0, x, sqrt(x)*log(x)/x)", {"x": -2.0}, 1.0),
        ("where(x > 0, 1/x, 5*x)", {"x": 0.0}, 5.0),
        ("where(x == 0, 1 - x**2/6, sin(x)/x)", {"x": 0.0}, 0.0),
        ("where(x > 0, where(x > 1, log(x - 1), x), x**2)", {"x": 0.5}, 1.0),
        ("where(x > 0, where(x > 1, log(x - 1), x), x**2)", {"x": -3.0}, -6.0),
        ("where(x > 0, x, where(x < -1, log(-x), sqrt(x)*1e300*1e300))", {"x": 1.0}, 1.0),
        ("u = sqrt(x); where(x > 0, u*u, x)", {"x": -4.0}, 1.0),
        ("u = log(x); v = u*u; where(x > 0, exp(v)*u, 7*x)", {"x": 0.0}, 7.0),
        ("u = 1/x; where(x > 0, u, 3*x) + where(x > 1, u*2, x)", {"x": 0.0}, 4.0),
        ("where(x > 0, exp(x), x)", {"x": -INF}, 1.0),
        ("where(x != x, 0*x, 2*x)", {"x": 1.0}, 2.0),
    ],
)
def test_branch_not_taken_never_contributes(text: str, at: dict[str, float], wanted: float) -> None:
    assert gradient(text, **at)["x"] == wanted


def test_shared_node_used_inside_and_outside_a_branch() -> None:
    """The mask acts on the contributions along the branch and not on the node that others share."""
    for x, c, wanted in ((4.0, 1.0, 2 * 4.0 + 0.25), (4.0, -1.0, 0.25 + 1)):
        found = gradient("u = sqrt(x); where(c > 0, u**4, x) + u", x=x, c=c)
        assert found["x"] == pytest.approx(wanted, rel=1e-15)
    # outside of the branch its infinite slope counts, as it must
    assert gradient("u = sqrt(x); where(c > 0, u, x) + u", x=0.0, c=-1.0)["x"] == INF


def test_both_sides_of_an_inner_where_are_the_outer_branch() -> None:
    """u is used in both sides of an inner `where`: it belongs to the outer branch alone, and keeps that mask."""
    text = "u = log(x); where(x > 0, where(y > 0, u*2, u*3), x)"
    assert gradient(text, x=-1.0, y=1.0)["x"] == 1.0
    assert gradient(text, x=2.0, y=1.0)["x"] == 1.0
    assert gradient(text, x=2.0, y=-1.0)["x"] == 1.5
    assert gradient(text, x=0.0, y=NAN)["x"] == 1.0


def test_where_over_the_full_product_of_edges() -> None:
    """The gradient is that of the branch taken, alone, to the bit."""
    text = "where(c > 0, x*log(x) + sqrt(y), y/x + exp(x))"
    whole, first, second = swept(text), swept("c*0 + (x*log(x) + sqrt(y))"), swept("c*0 + (y/x + exp(x))")
    for c, x, y in itertools.product((1.0, -1.0, 0.0, NAN), EDGES, EDGES):
        at = {"c": np.float64(c), "x": np.float64(x), "y": np.float64(y)}
        found = outputs(whole, at)
        wanted = outputs(first if c > 0 else second, at | {"c": np.float64(0)})
        for name in ("x", "y"):
            assert np.array_equal(found[name], wanted[name], equal_nan=True), (c, x, y, name)


def test_condition_is_not_differentiated() -> None:
    assert gradient("where(x*y > 1, x, y)", x=2.0, y=3.0) == {"value": 2.0, "x": 1.0, "y": 0.0}


@pytest.mark.parametrize("depth", [1, 4, 9])
def test_nested_where_stays_linear_in_size(depth: int) -> None:
    text = "x"
    for level in range(depth):
        text = (
            f"where(x > {level}, sin({text}), cos({text}))" if level < 1 else f"where(x > {level}, {text}, x*{level})"
        )
    tape = swept(text)
    size = sum(1 for step in tape.steps for _ in walk(step.expr))
    assert size < 60 + 40 * depth
    assert sum(step.role == SHARED for step in tape.steps) <= 2 * depth


def test_nan_in_the_condition_takes_the_second_branch() -> None:
    assert gradient("where(x > 0, 2*x, 3*x)", x=NAN)["x"] == 3.0


def test_long_chain_is_linear() -> None:
    tape = swept("x0*1.5" + "".join(f" + x{k}*1.5" for k in range(1, 3000)))
    assert len(tape.reverse) < 3.1 * 3000 * 2


def test_check_tape_finds_a_name_read_too_early() -> None:
    tape = swept(SYSTEM_E)
    steps = list(tape.steps)
    steps[-1], steps[-4] = steps[-4], steps[-1]
    with pytest.raises(AssertionError):
        check_tape(tape.with_steps(steps))
    with pytest.raises(AssertionError):
        check_tape(tape.with_steps([*tape.steps, tape.steps[0]]))


def test_evaluate_reads_accumulators_once_complete() -> None:
    tape = swept("x*x + x")
    assert float(evaluate(tape.outputs[1][1], run(tape, {"x": np.float64(2.0)}))) == 5.0


@pytest.mark.parametrize(
    ("text", "at", "wanted"),
    [
        ("u = log(x); where(x > 0, u, 0*x)*where(x > 0, u, x)", {"x": 0.0}, 0.0),
        ("u = log(x); where(x > 0, u, 2*x) + where(y > 0, u, 3*x)", {"x": 0.0, "y": -1.0}, 5.0),
        ("u = log(x); where(x > 0, u, 2*x) + where(y > 0, u, 3*x)", {"x": 0.5, "y": -1.0}, 5.0),
        ("u = log(x); where(x > 0, u, 2*x) + where(y > 0, u, 3*x)", {"x": 0.5, "y": 1.0}, 4.0),
        ("u = sqrt(x); where(x > 0, where(y > 0, u, x), x) + where(y > 1, u, 2*x)", {"x": 0.0, "y": 0.5}, 3.0),
        ("u = sqrt(x); where(x > 0, where(y > 0, u, x), x) + where(y > 1, u, 2*x)", {"x": 4.0, "y": 0.5}, 2.25),
        ("u = sqrt(x); v = u*u; where(x > 0, v, x) + where(x > 1, where(y > 0, u, v), x)", {"x": 0.0, "y": 1.0}, 2.0),
        ("u = 1/x; w = where(x > 0, u, 1*x); w + where(x > 2, w*u, x)", {"x": 0.0}, 2.0),
    ],
)
def test_node_used_in_several_branches_counts_where_one_is_taken(
    text: str, at: dict[str, float], wanted: float
) -> None:
    assert gradient(text, **at)["x"] == wanted


@pytest.mark.parametrize("count", [3, 40])
def test_many_branches_that_share_a_node(count: int) -> None:
    text = "u = log(x); " + " + ".join(f"where(x > {k}, u, x)" for k in range(count))
    assert gradient(text, x=0.0)["x"] == count
    assert gradient(text, x=1.5)["x"] == pytest.approx(count - 2 + 2 / 1.5, rel=1e-15)
    size = sum(1 for step in swept(text).steps for _ in walk(step.expr))
    assert size < 40 * count


def test_many_branches_stay_linear_in_time() -> None:
    wide = "u = log(x); " + " + ".join(f"where(x > {k}, u, x)" for k in range(1000))
    assert gradient(wide, x=0.0)["x"] == 1000
    deep = "w0 = x; " + "; ".join(f"w{k + 1} = where(x > {k}, w{k}, x*{k + 1})" for k in range(600))
    assert gradient(deep, x=0.5)["x"] == 600.0
