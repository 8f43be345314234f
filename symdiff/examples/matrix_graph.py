"""System C: f(x, W) = ||sigmoid(W x)||^2 with a 3 x 3 matrix: rules by indices and as matrices, and the numbers.

    python -m symdiff.examples.matrix_graph [-o DIR]

The derivation states each rule for elements first and then for whole arrays; the trace, NumPy and C give the numbers,
beside those of the course, and beside the same function in PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import symdiff
from symdiff.examples import path
from symdiff.examples._show import (
    Report,
    command,
    decimals,
    kernels,
    largest_difference,
    optional,
    options,
    relative,
    section,
)

POINT = {"W": np.array([[1.0, 2, 3], [3, 1, 2], [2, 3, 1]]), "x": np.ones((3, 1))}
VALUE = 2.985182602656016
# Published to eight decimals; all elements of each are equal.
PRODUCT, SIGMOID, LOSS_LOCAL, SIGMOID_LOCAL = 6.0, 0.99752738, 1.99505475, 0.00246651
GRADIENT = {"W": 0.00492082, "x": 0.02952493}
EIGHT = decimals(8)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the example; returns the exit code, 0 where all numbers agree."""
    chosen = options("matrix_graph", argv, "a graph of matrices: the squared norm of a sigmoid")
    report = Report("matrix_graph", chosen.output)
    program = symdiff.formula(path("matrix_graph")).gradient()
    report.title("C. A graph of matrices: f(x, W) = ||sigmoid(W x)||^2")
    report.say("\n    W = [[1, 2, 3], [3, 1, 2], [2, 3, 1]],  x = [1, 1, 1]^T  (3 x 1)")
    derivation = program.text()
    report.head("The rules, for elements and then for whole arrays")
    report.say(section(derivation, "Rules"))
    report.head("The gradient in matrix form")
    report.say(section(derivation, "Gradient"))
    trace = program.trace(POINT)
    _nodes(report, trace)
    _gradient(report, program, trace)
    _torch(report, trace)
    _by_hand(report)
    return report.finish()


def _nodes(report: Report, trace: Any) -> None:
    report.head("Every node (all elements of each are equal)")
    numbers = trace.json()
    values = {step["name"]: step["value"] for step in numbers["steps"]}
    local = {step["name"]: step["sends"][0]["local"] for step in numbers["reverse"]}
    rows = [
        (("z = W x",), _range(values["z"]), PRODUCT),
        (("q = sigmoid(z)",), _range(values["q"]), SIGMOID),
        (("local derivative of ||q||^2: 2 q",), _range(local["f"]), LOSS_LOCAL),
        (("local derivative of the sigmoid: (1 - q) q",), _range(local["q"]), SIGMOID_LOCAL),
    ]
    report.compare(["", "smallest", "largest", "course"], rows, EIGHT)


def _gradient(report: Report, program: Any, trace: Any) -> None:
    report.head("Value and gradient: from the trace, and from generated NumPy and C")
    results = {name: kernel(**POINT) for name, kernel in kernels(program, report).items()}
    values = [trace.value, *(value for value, _ in results.values())]
    report.compare(["", "trace", *results, "course"], [(("f",), values, VALUE)], relative(1e-15))
    report.say()
    rows = []
    for name, given in GRADIENT.items():
        found = [trace.gradient[name], *(getattr(grads, name) for _, grads in results.values())]
        shapes = {np.shape(array) for array in found}
        report.holds(f"df/d{name} has the shape of {name}, {POINT[name].shape}", shapes == {POINT[name].shape})
        for which in (np.min, np.max):
            label = f"{'smallest' if which is np.min else 'largest'} element of df/d{name}"
            rows.append(((label,), [float(which(array)) for array in found], given))
    report.say()
    report.compare(["", "trace", *results, "course"], rows, EIGHT)
    report.say("\ndf/dW = delta x^T and df/dx = W^T delta, with delta = 2 q * (1 - q) q")
    delta = trace.before("z").adjoint
    report.holds("df/dW is delta x^T", largest_difference(trace.gradient["W"], delta @ POINT["x"].T) < 1e-15)
    report.holds("df/dx is W^T delta", largest_difference(trace.gradient["x"], POINT["W"].T @ delta) < 1e-15)


def _torch(report: Report, trace: Any) -> None:
    report.head("The same in PyTorch")
    torch = optional("torch")
    if torch is None:
        report.missing("torch", "the comparison with PyTorch")
        return
    leaves = {name: torch.tensor(array, dtype=torch.float64, requires_grad=True) for name, array in POINT.items()}
    value = torch.sigmoid(leaves["W"] @ leaves["x"]).norm() ** 2
    value.backward()
    # q (1 - q) from a rounded q near 1 has lost three digits in PyTorch; ours is q*sigmoid(-z), which has not
    for name, leaf in leaves.items():
        difference = largest_difference(trace.gradient[name], leaf.grad)
        report.holds(f"df/d{name} agrees to 1e-12", difference < 1e-12, f"largest relative difference {difference:.1e}")


def _by_hand(report: Report) -> None:
    report.head("Two remarks on the numbers worked out by hand")
    half_way = 2 * round(SIGMOID) * round(SIGMOID_LOCAL, 3)
    report.say(
        f"Rounded half way, to q = 1 and (1 - q) q = {round(SIGMOID_LOCAL, 3)}, the elements come out as "
        f"{half_way:g} and {half_way * 6:g}:\nthe right ones are {GRADIENT['W']:.5f} and {GRADIENT['x']:.5f}.\n"
        f"And 2 q x^T alone, read with q the sigmoid's value, is the gradient by W without the\n"
        f"sigmoid's factor: {LOSS_LOCAL:.5f} in place of {GRADIENT['W']:.5f}."
    )


def _range(array: Any) -> list[float]:
    return [float(np.min(array)), float(np.max(array))]


if __name__ == "__main__":
    command(main)
