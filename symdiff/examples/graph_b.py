"""System B: a scalar graph with a number at every node, forward and backward, beside the numbers of the course.

    python -m symdiff.examples.graph_b [-o DIR]

`1/(sin(w1*x1)**2 + cos(w2*x2) + 2)` is taken apart into the eight nodes that a person draws. The forward sweep gives
every node its value; the reverse sweep gives every node its local derivative, and the product of these along the paths
is the gradient. NumPy and C kernels made from the same steps give the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import symdiff
from symdiff.examples import path
from symdiff.examples._show import Report, command, kernels, options, relative

POINT = {"w1": -3.0, "x1": -2.0, "w2": 2.0, "x2": -1.0}
# Published numbers: (node, its gate, value), in the order of the steps.
FORWARD = (
    ("w1*x1", "product (switcher)", 6.0),
    ("sin", "sine", -0.27941549819892586),
    ("sin**2", "square", 0.07807302063375395),
    ("w2*x2", "product (switcher)", -2.0),
    ("cos", "cosine", -0.4161468365471424),
    ("sin**2 + cos", "sum (distributor)", -0.3380738159133885),
    ("... + 2", "plus two", 1.6619261840866115),
    ("f", "inverse", 0.6017114415641729),
)
# (gate, its local derivative in words, number of its step, value); the sum hands the same to both of its operands.
LOCAL = (
    ("inverse", "-1/v7**2", 8, -0.36205665890923505),
    ("plus two", "1", 7, 1.0),
    ("sum (distributor)", "1, 1", 6, 1.0),
    ("square", "2*sin", 3, -0.5588309963978517),
    ("sine", "cos(w1*x1)", 2, 0.9601702866503661),
    ("cosine", "-sin(w2*x2)", 5, 0.9092974268256817),
)
GRADIENT = {
    "w1": -0.3885395959048329,
    "w2": 0.32921718831127095,
    "x1": -0.5828093938572494,
    "x2": -0.6584343766225419,
}
VALUE = FORWARD[-1][2]
CLOSE = relative(1e-15)  # four units in the last place: libraries of sine and cosine differ by one


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the example; returns the exit code, 0 where all numbers agree."""
    chosen = options("graph_b", argv, "a scalar graph with a number at every node")
    report = Report("graph_b", chosen.output)
    program = symdiff.formula(path("graph_b")).gradient()
    report.title("B. A scalar graph with a number at every node")
    report.say("\n    f = 1/(sin(w1*x1)**2 + cos(w2*x2) + 2)  at  w1 = -3, x1 = -2, w2 = 2, x2 = -1")
    trace = program.trace(POINT).json()
    _forward(report, trace)
    _backward(report, trace)
    _gradient(report, program)
    return report.finish()


def _forward(report: Report, trace: dict[str, Any]) -> None:
    report.head("Forward sweep: the value of every node")
    rows = [
        ((f"({step['n']})", f"{step['name']} = {step['expression']}", gate), [step["value"]], given)
        for step, (_, gate, given) in zip(trace["steps"], FORWARD, strict=True)
    ]
    report.compare(["", "step", "gate", "symdiff", "course"], rows, CLOSE)


def _backward(report: Report, trace: dict[str, Any]) -> None:
    report.head("Backward sweep: the local derivative at every node")
    sends = {step["n"]: step["sends"] for step in trace["reverse"]}
    rows = [
        ((f"({n}')", gate, form), [send["local"] for send in sends[n]][:1], given) for gate, form, n, given in LOCAL
    ]
    report.compare(["", "gate", "local derivative", "symdiff", "course"], rows, CLOSE)
    both = [send["local"] for send in sends[6]]
    report.holds("\nThe sum is a distributor: both operands get the adjoint of the sum as it is", both == [1.0, 1.0])
    point = {given["name"]: given["value"] for given in trace["inputs"]}
    crossed = [send["local"] for n in (1, 4) for send in sends[n]]
    switched = [point[name] for name in ("x1", "w1", "x2", "w2")]
    report.holds("A product is a switcher: each operand gets the value of the other one", crossed == switched)
    report.say("\nGoing back, every node multiplies what arrives by its local derivative:\n")
    report.table(
        ["", "adjoint", "arrives", "local", "sent on"],
        [
            [
                f"({send['label']})",
                f"{send['to']}_bar = {send['expression']}",
                step["adjoint"],
                send["local"],
                send["contribution"],
            ]
            for step in trace["reverse"]
            for send in step["sends"]
        ],
    )


def _gradient(report: Report, program: Any) -> None:
    report.head("The gradient: from the trace, and from generated NumPy and C")
    made = kernels(program, report)
    results = {name: kernel(**POINT) for name, kernel in made.items()}
    trace = program.trace(POINT)
    rows = [(("f",), [trace.value, *(value for value, _ in results.values())], VALUE)]
    rows += [
        ((f"df/d{name}",), [trace.gradient[name], *(getattr(grads, name) for _, grads in results.values())], given)
        for name, given in GRADIENT.items()
    ]
    report.compare(["", "trace", *results, "course"], rows, CLOSE)


if __name__ == "__main__":
    command(main)
