"""System E: reverse mode on scalars, step by step; gradient descent; a Transformer made of scalars.

    python -m symdiff.examples.scalar_e [--small] [--no-transformer] [-o DIR]

The graph is `z8 = (sin(z1 + z2)**2 + exp(z1))*(z1 + z2)` in eight steps. z1 and z3 are each used twice, so their
adjoints arrive in two parts, and what `z3.grad` holds depends on when one looks. It is looked at in two ways: in the
trace of the formula, and in `symdiff.Scalar`, a number that remembers how it was made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import symdiff
from symdiff import Scalar, optim
from symdiff.examples import path
from symdiff.examples._show import Report, command, options, relative, source, whole
from symdiff.examples.transformer import main as transformer

POINT = {"x": 1.0, "y": 2.0}
EPSILON = relative(1e-15)
STEPS, ETA = 40, 0.1
START = {"x": -1.0, "y": 0.5}
# The minimum of `valley`, where x = -log(2)/2 and y = 0.
LOWEST = 2.0 * math.sqrt(2.0) * math.exp(-0.1)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the example; returns the exit code, 0 where all checks hold."""
    left_out = {"transformer": "the Transformer"}
    chosen = options("scalar_e", argv, "scalar reverse mode, step by step; a Transformer of scalars", left_out)
    report = Report("scalar_e", chosen.output)
    report.title("E. Scalar reverse mode, step by step")
    trace = symdiff.formula(path("scalar_e")).gradient().trace(POINT)
    _graph(report, trace)
    _one_step(report, trace)
    _before_z4(report, trace)
    _with_scalars(report, trace)
    _descent(report)
    code = report.finish()
    if chosen.transformer:
        print()
        small = ["--small"] if chosen.small else []
        code |= transformer(small + ([] if chosen.output is None else ["-o", str(chosen.output)]))
    return code


def _graph(report: Report, trace: Any) -> None:
    report.head(f"The graph at x = {POINT['x']:g}, y = {POINT['y']:g}: every value, every adjoint")
    steps = trace.json()["steps"]
    report.table(
        ["", "step", "value", "adjoint"],
        [[f"({s['n']})", f"{s['name']} = {s['expression']}", s["value"], s["adjoint"]] for s in steps],
    )
    x, y = POINT.values()
    z3, z6 = x + y, math.exp(x)
    z7 = math.sin(z3) ** 2 + z6
    slope = z7 + z3 * math.sin(2.0 * z3)  # dz8/dz3, by hand
    report.say()
    report.compare(
        ["", "symdiff", "by hand"],
        [
            (("f = z8",), [trace.value], z7 * z3),
            (("df/dx",), [trace.gradient["x"]], slope + z3 * z6),
            (("df/dy",), [trace.gradient["y"]], slope),
        ],
        EPSILON,
    )


def _one_step(report: Report, trace: Any) -> None:
    report.head("Given df/dz5, what is df/dz4?")
    (step,) = (each for each in trace.json()["reverse"] if each["name"] == "z5")
    (send,) = step["sends"]
    report.say("df/dz4 = df/dz5 * dz5/dz4, because z4 is used by z5 = z4**2 alone:\n")
    report.table(["df/dz5", "dz5/dz4 = 2*z4", "df/dz4"], [[step["adjoint"], send["local"], send["contribution"]]])
    z4 = trace.json()["steps"][3]
    right = send["contribution"] == step["adjoint"] * 2.0 * z4["value"] == z4["adjoint"]
    report.holds(f"\nSo step ({send['label']}) of the reverse sweep is z4_bar = {send['expression']}", right)


def _before_z4(report: Report, trace: Any) -> None:
    report.head("What is in z3's adjoint right before z4 takes its step?")
    state = trace.before("z4")
    values = {step["name"]: step["value"] for step in trace.json()["steps"]}
    steps = {step["name"]: step["adjoint"] for step in trace.json()["steps"]}
    names = [name for name in ("x", "y", *values) if name in state.adjoints or name in state.pending]
    rows: list[list[str | float]] = [
        [
            f"{name}_bar",
            state.adjoints.get(name, "nothing yet"),
            ", ".join(state.pending.get(name, [])) or "complete",
        ]
        for name in names
    ]
    report.table(["adjoint", "so far", "still pending"], rows)
    report.say()
    half = state.adjoints["z3"] == values["z7"] and state.pending["z3"] == ["z4_bar*cos(z3)"]
    report.holds("z3 has z7, from the product z8 = z7*z3; z4_bar*cos(z3) is still to come", half)
    other = state.adjoints["z1"] == steps["z6"] * values["z6"] and state.pending["z1"] == ["z3_bar"]
    report.holds("z1 has z6_bar*z6, from z6 = exp(z1); z3's share is still to come", other)
    whole = state.adjoints["z3"] + steps["z4"] * math.cos(values["z3"])
    report.compare(["in the end", "symdiff", "so far + pending"], [(("z3_bar",), [steps["z3"]], whole)], EPSILON)


def graph(x: Scalar, y: Scalar) -> tuple[Scalar, ...]:
    """The eight steps as ordinary Python, each with its name."""
    z1 = x.named("z1")
    z2 = y.named("z2")
    z3 = (z1 + z2).named("z3")
    z4 = z3.sin().named("z4")
    z5 = (z4**2).named("z5")
    z6 = z1.exp().named("z6")
    z7 = (z5 + z6).named("z7")
    z8 = (z7 * z3).named("z8")
    return z1, z2, z3, z4, z5, z6, z7, z8


def by_hand(x: Scalar, y: Scalar) -> float:
    """One node at a time, up to z4's turn."""
    _, _, z3, _, z5, z6, z7, z8 = graph(x, y)
    z8.grad = 1.0
    for z in (z8, z7, z6, z5):
        z.backward(only=True)
    return z3.grad  # right before z4.backward(only=True)


def _with_scalars(report: Report, trace: Any) -> None:
    report.head("The same with symdiff.Scalar: a number with .data, .grad and backward()")
    report.code(source(graph))
    x, y = Scalar(POINT["x"], "x"), Scalar(POINT["y"], "y")
    z1, _, z3, *_, z8 = graph(x, y)
    rows: list[list[str | float]] = []
    same = []
    sweep = z8.sweep()
    for node in sweep:  # stops at each node, right before it sends its adjoint on
        name = sweep.name(node)
        rows.append([name, node.grad, z3.grad, z1.grad, ", ".join(sweep.pending.get("z3", [])) or "-"])
        state = trace.before(name)
        same.append(sweep.adjoints == state.adjoints and sweep.pending == state.pending)
    report.say("\nRight before each node takes its step:\n")
    report.table(["node", "its .grad", "z3.grad", "z1.grad", "pending for z3"], rows)
    report.holds("\nAt all 8 stops every .grad and all that is pending are what the trace says", all(same))
    report.holds("x.grad and y.grad are the gradient", {"x": x.grad, "y": y.grad} == trace.gradient)
    report.say("\nThe order can also be given by hand, one node at a time:\n")
    report.code(source(by_hand))
    held = by_hand(Scalar(POINT["x"]), Scalar(POINT["y"]))
    report.holds("\nThe number is the one that the trace shows", held == trace.before("z4").adjoints["z3"])


def valley(x: Any, y: Any) -> Any:
    """A convex function (Boyd and Vandenberghe, Convex Optimization, equation 9.20), of Scalars or symbols."""
    return (x + 3 * y - 0.1).exp() + (x - 3 * y - 0.1).exp() + (-x - 0.1).exp()


def descend(x: Scalar, y: Scalar) -> list[float]:
    """Gradient descent: the values before each step."""
    values = []
    for _ in range(STEPS):
        f = valley(x, y)
        x.grad = y.grad = 0.0  # backward adds to what is there
        f.backward()
        x.data -= ETA * x.grad
        y.data -= ETA * y.grad
        values.append(f.data)
    return values


def _descent(report: Report) -> None:
    report.head("Gradient descent on scalars")
    report.code(source(valley))
    report.say("\nWith Scalars:\n")
    report.code(source(descend))
    report.say("\nThe same function traced, with the update rule theta_new = theta - eta*theta_bar in its code:\n")
    program = symdiff.trace_function(valley, (), ()).gradient().update(optim.gradient_descent(eta=ETA))
    report.code('program.train({}, start={"x": -1.0, "y": 0.5}, epochs=40)')
    trained = whole(program.train({}, start=START, epochs=STEPS))
    x, y = (Scalar(value, name) for name, value in START.items())
    values = descend(x, y)
    curves: dict[str, Any] = {"Scalar": values, "Program.train": trained.history.value}
    report.say()
    report.same_curves(curves, tolerance=1e-12)
    report.compare(
        ["in the end", "Scalar", "Program.train", "minimum"],
        [
            (("f",), [values[-1], float(trained.value)], LOWEST),
            (("x",), [x.data, float(trained.parameters["x"])], -math.log(2.0) / 2.0),
        ],
        relative(1e-4),
    )
    report.curves(
        {name: [value - LOWEST for value in curve] for name, curve in curves.items()},
        title="gradient descent on scalars",
        ylabel="f - minimum",
    )


if __name__ == "__main__":
    command(main)
