"""Trainings for tests of the C engine: programs compiled, problems put together, and the same in plain NumPy.

The reference knows nothing of symdiff's training: it calls a NumPy kernel of value and gradient, and has the rules of
its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import symdiff
from symdiff import examples, optim
from symdiff.build import kernels
from symdiff.pipeline import Program
from symdiff.render.c import c_module
from symdiff.rule import Rule
from symdiff.runtime.c_train import CTrainEngine, CTrainRun, TrainSpec
from symdiff.runtime.train_engines import Problem

Step = Callable[[np.ndarray, np.ndarray, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def engine_of(program: Program) -> CTrainEngine:
    """The program's training, compiled."""
    sheet = program.sheet("formula")
    made = c_module(sheet, ["gradient", "train"])
    groups = sheet.formula.groups
    arguments = tuple(group.name for group in groups) or tuple(sheet.formula.inputs)
    spec = TrainSpec("formula", arguments, sheet.formula.dimensions, sheet.code.is_array)
    return kernels.compile_training(
        made.single_file, spec, vector_functions=made.vector_functions, statements=made.statements
    )


@dataclass
class Given:
    """Numbers to train with: every parameter's start and every other input, and which of these have samples."""

    start: Mapping[str, Any]
    data: Mapping[str, Any]
    axes: Mapping[str, int]
    dimension: str | None = None
    sizes: Mapping[str, int] | None = None

    @property
    def samples(self) -> int:
        """How many there are."""
        return next((np.shape(self.data[name])[axis] for name, axis in self.axes.items()), 1)

    def theta(self) -> np.ndarray:
        """The parameters in one vector."""
        return np.concatenate([np.ravel(np.asarray(value, float)) for value in self.start.values()])

    def parts(self) -> dict[str, tuple[slice, tuple[int, ...]]]:
        """Where each lies in theta."""
        places, start = {}, 0
        for name, value in self.start.items():
            stop = start + np.size(value)
            places[name] = slice(start, stop), np.shape(value)
            start = stop
        return places

    def problem(self, rule: Rule) -> Problem:
        """The problem with memory of its own."""
        theta = self.theta()
        return Problem(
            theta=theta,
            state=np.zeros((len(rule.states), theta.size)),
            places=self.parts(),
            data={name: np.array(value, float, order="C") for name, value in self.data.items()},
            axes={name: self.axes.get(name) for name in self.data},
            samples=self.samples,
            points=self.dimension is None,
            sizes=dict(self.sizes or {}),
            dimension=self.dimension,
            settings=tuple(rule.settings.values()),
        )


def trained(
    formula: symdiff.Formula, given: Given, step: Step, states: int, order: np.ndarray | None, batch: int, updates: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters, states and values after `updates` updates from the start, one batch after the other."""
    kernel = formula.gradient(tuple(given.start)).compile("numpy")
    theta, samples = given.theta(), given.samples
    state, values = np.zeros((states, theta.size)), []
    row, begin = 0, 0
    for t in range(1, updates + 1):
        stop = min(begin + batch, samples)
        chosen = np.arange(begin, stop) if order is None else order[row, begin:stop]
        inputs = {name: theta[part].reshape(shape) for name, (part, shape) in given.parts().items()}
        value, gradient = _batch(kernel, given, inputs, chosen)
        theta, state = step(theta, gradient, state, t)
        values.append(value)
        row, begin = (row + 1, 0) if stop == samples else (row, stop)
    return theta, state, np.array(values)


def _batch(kernel: Any, given: Given, inputs: dict[str, Any], chosen: np.ndarray) -> tuple[float, np.ndarray]:
    if given.dimension is not None:
        data = {n: np.take(v, chosen, given.axes[n]) if n in given.axes else v for n, v in given.data.items()}
        return _flat(*kernel(**inputs, **data))
    results = []
    for k in chosen:
        data = {n: np.asarray(v)[k] if n in given.axes else v for n, v in given.data.items()}
        results.append(_flat(*kernel(**inputs, **data)))
    return float(np.mean([value for value, _ in results])), np.mean([gradient for _, gradient in results], axis=0)


def _flat(value: float, gradients: Any) -> tuple[float, np.ndarray]:
    return float(value), np.concatenate([np.ravel(each) for each in gradients])


def descent(eta: float) -> Step:
    """Gradient descent."""
    return lambda theta, bar, state, t: (theta - eta * bar, state)


def momentum(eta: float, mu: float) -> Step:
    """The heavy ball."""

    def step(theta: np.ndarray, bar: np.ndarray, state: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
        velocity = mu * state + bar
        return theta - eta * velocity[0], velocity

    return step


def adam(eta: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8) -> Step:
    """Adam, algorithm 1 of Kingma and Ba."""

    def step(theta: np.ndarray, bar: np.ndarray, state: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
        m = beta1 * state[0] + (1 - beta1) * bar
        s = beta2 * state[1] + (1 - beta2) * bar**2
        corrected = m / (1 - beta1**t) / (np.sqrt(s / (1 - beta2**t)) + epsilon)
        return theta - eta * corrected, np.stack([m, s])

    return step


# -- cases -------------------------------------------------------------------------------------------------------------

RULES: dict[str, tuple[Rule, Step]] = {
    "descent": (optim.gradient_descent(eta=0.05), descent(0.05)),
    "momentum": (optim.momentum(eta=0.03, mu=0.8), momentum(0.03, 0.8)),
    "adam": (optim.adam(eta=0.02), adam(0.02)),
}


def rows() -> tuple[symdiff.Formula, Given]:
    """Samples along the first axis of a matrix and of a vector; the parameters in another order than the inputs."""
    rng = np.random.default_rng(1)
    start = {"w2": rng.normal(size=4), "W1": rng.normal(size=(3, 4)), "b2": 0.1, "b1": rng.normal(size=4)}
    data = {"X": rng.normal(size=(13, 3)), "t": rng.normal(size=13)}
    formula = symdiff.formula(examples.path("relu_network_rows"))
    return formula, Given(start, data, {"X": 0, "t": 0}, "n", {"n": 13})


def columns() -> tuple[symdiff.Formula, Given]:
    """Samples along the last axis and a middle one; data that all samples share; two sizes."""
    rng = np.random.default_rng(2)
    formula = symdiff.formula(
        "X: const(d, n)\nY: const(2, n, d)\ns: const(d)\nW: (d, d)\nc: ()\n"
        "sum((W @ X)**2)/n + c*sum(tanh(Y)*W[0]) + sum(s*W[1])*c + c**2"
    )
    start = {"W": rng.normal(size=(3, 3)), "c": 0.3}
    data = {"X": rng.normal(size=(3, 7)), "Y": rng.normal(size=(2, 7, 3)), "s": rng.normal(size=3)}
    return formula, Given(start, data, {"X": 1, "Y": 1}, "n", {"d": 3, "n": 7})


def points() -> tuple[symdiff.Formula, Given]:
    """An array formula for every sample."""
    rng = np.random.default_rng(3)
    formula = symdiff.formula(examples.path("autoencoder"))
    start = {name: rng.normal(size=shape) for name, shape in formula.inputs.items() if name != "x"}
    return formula, Given(start, {"x": rng.random((11, 3))}, {"x": 0})


def sized_points() -> tuple[symdiff.Formula, Given]:
    """The same with run-time sizes, and an argument that is the same for every sample."""
    rng = np.random.default_rng(4)
    formula = symdiff.formula("x: const(d)\ny: const()\nk: const(d)\nw: d\nb: ()\n(tanh(dot(w*k, x)) + b - y)**2")
    data = {"x": rng.normal(size=(9, 5)), "y": rng.normal(size=9), "k": rng.normal(size=5)}
    return formula, Given({"w": rng.normal(size=5), "b": 0.2}, data, {"x": 0, "y": 0}, None, {"d": 5})


def scalars() -> tuple[symdiff.Formula, Given]:
    """A formula of scalars, for every sample."""
    rng = np.random.default_rng(5)
    formula = symdiff.formula("x: const()\ny: const()\nlam: const()\na: ()\nb: ()\n(sin(a*x) + b - y)**2 + lam*a**2")
    data = {"x": rng.normal(size=10), "y": rng.normal(size=10), "lam": 0.1}
    return formula, Given({"b": 0.3, "a": 1.2}, data, {"x": 0, "y": 0})


def no_data() -> tuple[symdiff.Formula, Given]:
    """Nothing but parameters."""
    formula = symdiff.formula(examples.path("rosenbrock10"))
    return formula, Given({name: -0.5 + 0.1 * k for k, name in enumerate(formula.inputs)}, {}, {})


def grouped() -> tuple[symdiff.Formula, Given]:
    """A traced function, whose arguments are arrays of scalars."""

    def loss(W: Any, x: Any, b: Any, y: Any) -> Any:
        z = [sum(W[i, j] * x[j] for j in range(3)) + b[i] for i in range(2)]
        return (z[0].tanh() * z[1] - y) ** 2

    rng = np.random.default_rng(6)
    formula = symdiff.trace_function(loss, (2, 3), 3, 2, (), constants=("x", "y"))
    start = {"b": rng.normal(size=2), "W": rng.normal(size=(2, 3))}
    return formula, Given(start, {"x": rng.normal(size=(8, 3)), "y": rng.normal(size=8)}, {"x": 0, "y": 0})


CASES = {made.__name__: made for made in (rows, columns, points, sized_points, scalars, no_data, grouped)}


def orders(samples: int, epochs: int, seed: int = 0) -> np.ndarray:
    return np.stack([np.random.default_rng([seed, e]).permutation(samples) for e in range(epochs)]).astype(np.intp)


def run_of(formula: symdiff.Formula, given: Given, rule: Rule) -> tuple[CTrainRun, Any]:
    problem = given.problem(rule)
    return engine_of(formula.gradient(tuple(given.start)).update(rule)).bind(problem), problem


# Rules of ones own, each with the same in NumPy, of parameters, gradient, states and the number of the update.
BOTH = "theta: ()\ntheta_bar: const()\n"
OWN = {
    "without settings": (
        "theta: ()\ntheta_bar: const()\ntheta_new = theta - theta_bar/8",
        lambda p, g, s, t: p - g / 8,
    ),
    "sign": (
        "theta: ()\ntheta_bar: const()\neta: const() = 0.01\ntheta_new = theta - eta*sign(theta_bar)",
        lambda p, g, s, t: p - 0.01 * np.sign(g),
    ),
    "where": (
        "theta: ()\ntheta_bar: const()\neta: const() = 0.1\nc = maximum(min(theta_bar, 1), -1)\n"
        "theta_new = where(c > 0, theta - eta*relu(c), theta - 2*eta*c)",
        lambda p, g, s, t: np.where(g > 0, p - 0.1 * np.clip(g, 0, 1), p - 0.2 * np.clip(g, -1, 1)),
    ),
    "decay": (
        f"{BOTH}t: const()\neta: const() = 0.1\nr = eta/sqrt(t)\ntheta_new = theta - r*theta_bar",
        lambda p, g, s, t: p - 0.1 / np.sqrt(t) * g,
    ),
    "awkward names": (
        "theta: ()\ntheta_bar: const()\ni: const() = 0.1\nn: const() = 2\nint: const() = 3\nrun: const() = 4\n"
        "theta_new = theta - i*theta_bar/n/int/run",
        lambda p, g, s, t: p - 0.1 * g / 2 / 3 / 4,
    ),
    "no gradient": ("theta: ()\ntheta_bar: const()\ntheta_new = theta*0.5", lambda p, g, s, t: p * 0.5),
    "transcendental": (
        "theta: ()\ntheta_bar: const()\ntheta_new = theta - 0.1*tanh(theta_bar)*exp(-theta**2)",
        lambda p, g, s, t: p - 0.1 * np.tanh(g) * np.exp(-(p**2)),
    ),
}
