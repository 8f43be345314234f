"""System A: a two-layer network with weight decay; Xavier's initialisation from scratch; handwritten digits.

    python -m symdiff.examples.two_layer [--small] [-o DIR]

First the network with an abstract activation and an abstract loss: every partial derivative, then every adjoint down to
the weights, and the same numbers as PyTorch's once both are bound. Then Xavier's initialisation beside PyTorch's own.
Then a network of this kind, started so, learns to read the digits that scikit-learn ships: more than 95 % of images it
has never seen. Its error curve is PyTorch's where both start from the same numbers.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import symdiff
from symdiff import init, optim
from symdiff.examples import path
from symdiff.examples._show import Report, command, largest_difference, number, optional, options, section, whole

Array = np.ndarray[Any, np.dtype[np.float64]]
EXPECTED = (
    "dJ/dW2 = lam*W2 + outer(dJ/do, h)",
    "dJ/dh = W2.T @ (dJ/do)",
    "dJ/dz = (dJ/dh)*phi'(z)",
    "dJ/dW1 = lam*W1 + outer(dJ/dz, x)",
)
HIDDEN, LAM = 32, 0.001
TRAIN_IMAGES = 1437  # of 1797, four fifths
# By --small: epochs of the full-batch curve, epochs of the mini-batches.
CURVE_EPOCHS, EPOCHS = {False: 200, True: 10}, {False: 30, True: 6}
ETA, ADAM_ETA, BATCH = 0.5, 0.01, 32
PREDICT = "X: (n, d); W1: (d, m); b1: m; W2: (m, c); b2: c; tanh(X @ W1 + b1) @ W2 + b2"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the example; returns the exit code, 0 where everything holds."""
    chosen = options("two_layer", argv, "a two-layer network with weight decay; Xavier; handwritten digits")
    report = Report("two_layer", chosen.output)
    report.title("A. Two-layer network with weight decay")
    formula = symdiff.formula(path("two_layer"))
    _abstract(report, formula.gradient().update(optim.gradient_descent(eta=ETA)).text())
    _bound(report, formula)
    _xavier(report, 4_000 if chosen.small else 200_000)
    _digits(report, chosen.small)
    return report.finish()


# -- the network with abstract functions -----------------------------------------------------------------------------


def _abstract(report: Report, derivation: str) -> None:
    report.head("The network; phi and l are any differentiable functions")
    report.say(section(derivation, "Statement").partition("\n\n")[0])
    report.say("\nStep by step, with the shape of every result:\n")
    report.say(section(derivation, "Forward sweep"))
    report.head("The partial derivative of every variable by each one right before it")
    report.say(section(derivation, "Local derivatives"))
    report.head("The adjoints, from the value back to the weights")
    gradient = section(derivation, "Gradient").partition("\n\n")[0]
    report.say(gradient)
    report.say()
    lines = [" ".join(line.split()) for line in gradient.splitlines()]
    for wanted in EXPECTED:
        report.holds(f"derived as in the course: {wanted}", any(line.startswith(wanted + " (") for line in lines))
    report.head("Update rule")
    update = section(derivation, "Update rule")
    report.say(update)
    report.say()
    wanted = "W2_new = W2 - eta*(lam*W2 + outer(dJ/do, h))"
    report.holds(f"derived: {wanted}", wanted in update)


def _bound(report: Report, formula: Any) -> None:
    report.head("With phi = tanh and l = ||o - y||^2/2, beside PyTorch")
    torch = optional("torch")
    if torch is None:
        report.missing("torch", "the comparison with PyTorch")
        return
    point = tomllib.loads(path("points.toml").read_text("utf-8"))["two_layer"]
    bound = formula.bind(phi="tanh", l="def l(o, y): return sum((o - y)**2)/2").gradient(wrt=("W1", "W2"))
    value, grads = bound.compile()(**{name: np.array(array) for name, array in point.items()})
    x, y, W1, W2 = (torch.tensor(point[name], dtype=torch.float64) for name in ("x", "y", "W1", "W2"))
    W1.requires_grad_()
    W2.requires_grad_()
    J = ((W2 @ torch.tanh(W1 @ x) - y) ** 2).sum() / 2 + 0.01 / 2 * (W1.norm() ** 2 + W2.norm() ** 2)
    J.backward()
    for what, ours, theirs in (("J", value, J.item()), ("dJ/dW1", grads.W1, W1.grad), ("dJ/dW2", grads.W2, W2.grad)):
        difference = largest_difference(ours, theirs)
        report.holds(f"{what} agrees to 1e-12", difference < 1e-12, f"largest relative difference {difference:.1e}")


# -- Xavier's initialisation -----------------------------------------------------------------------------------------


def _xavier(report: Report, numbers: int) -> None:
    report.head("Xavier's initialisation from scratch, beside PyTorch's")
    report.say(
        "U(-a, a) with a = gain*sqrt(6/(fan_in + fan_out)); N(0, s**2) with s = gain*sqrt(2/(fan_in + fan_out))\n"
    )
    torch = optional("torch")
    shape = (numbers // 100, 100)
    gain = init.gain("tanh")
    fan = sum(shape)
    rng = np.random.default_rng(0)
    deviation = gain * math.sqrt(2.0 / fan)
    # a uniform distribution has no element beyond a = sqrt(3) deviations
    rows: list[list[str | float]] = []
    for kind, ours in (
        ("uniform", init.xavier_uniform(shape, rng, gain=gain)),
        ("normal", init.xavier_normal(shape, rng, gain=gain)),
    ):
        samples = {"symdiff": ours}
        if torch is not None:
            torch.manual_seed(0)
            fill = getattr(torch.nn.init, f"xavier_{kind}_")
            samples["PyTorch"] = fill(torch.empty(shape, dtype=torch.float64), gain=gain).numpy()
        for name, sample in samples.items():
            rows.append([kind, name, _round(np.abs(sample).max()), _round(sample.mean()), _round(sample.std())])
            _moments(report, f"{kind}, {name}", sample, deviation, kind)
        if torch is not None:
            _same_distribution(report, kind, samples["symdiff"], samples["PyTorch"])
        bound = _round(math.sqrt(3.0) * deviation) if kind == "uniform" else "-"
        rows.append([kind, "wanted", bound, 0.0, _round(deviation)])
    report.say()
    report.table(["", f"{shape[0]} x {shape[1]}", "largest", "mean", "deviation"], rows)
    if torch is None:
        report.missing("torch", "the comparison with PyTorch's initialiser")


def _moments(report: Report, what: str, sample: Array, deviation: float, kind: str) -> None:
    """Mean and standard deviation within five standard errors; a uniform sample within its bound, and close to it."""
    error = deviation / math.sqrt(sample.size)
    spread = abs(sample.std() - deviation) < 5 * error  # its standard error is smaller: 0.71 of this, and 0.45
    right = abs(sample.mean()) < 5 * error and spread
    if kind == "uniform":
        bound = math.sqrt(3.0) * deviation
        right = right and bool(0.99 * bound < np.abs(sample).max() <= bound)
    report.holds(f"{what}: {'bound, ' if kind == 'uniform' else ''}mean and deviation are as they should", bool(right))


def _same_distribution(report: Report, kind: str, a: Array, b: Array) -> None:
    distance = kolmogorov_smirnov(a.ravel(), b.ravel())
    # the largest distance that one pair of equal distributions in a thousand exceeds
    allowed = math.sqrt(-math.log(0.001 / 2) / 2 * (a.size + b.size) / (a.size * b.size))
    report.holds(
        f"{kind}: the two samples are of one distribution (Kolmogorov-Smirnov distance below {allowed:.5f})",
        distance < allowed,
        f"{distance:.5f}",
    )


def kolmogorov_smirnov(a: Array, b: Array) -> float:
    """Largest distance of the empirical distribution functions of two samples."""
    places = np.sort(np.concatenate([a, b]))
    below = [np.searchsorted(np.sort(sample), places, side="right") / sample.size for sample in (a, b)]
    return float(np.abs(below[0] - below[1]).max())


def _round(value: float) -> float:
    return float(number(float(value), 6))


# -- handwritten digits ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Digits:
    """Images as rows of 64 pixels between 0 and 1, and labels as one-hot rows: `X` and `Y` to learn from, `unseen` and
    `labels` held out.
    """

    X: Array
    Y: Array
    unseen: Array
    labels: Array


def _digits(report: Report, small: bool) -> None:
    report.head("Handwritten digits: 64 pixels, 32 hidden units, 10 classes")
    if optional("sklearn") is None:
        report.missing("sklearn", "the training on handwritten digits, which scikit-learn ships")
        return
    formula = symdiff.formula(path("digits"))
    digits = _load()
    sizes = {"d": 64, "m": HIDDEN, "c": 10}
    start = init.parameters(formula, sizes=sizes, rng=np.random.default_rng(0), weights="xavier_uniform")
    report.say(section(formula.gradient().text(), "Statement").partition("\n\n")[0])
    report.say(
        f"\n{len(digits.X)} images to learn from, {len(digits.unseen)} held out; lam = {LAM:g}; W1, W2 by Xavier"
    )
    curves = _curve(report, formula, digits, start, CURVE_EPOCHS[small])
    shown = {f"{name}, gradient descent": values for name, values in curves.items()}
    shown["symdiff, Adam on mini-batches"] = _mini_batches(report, formula, digits, start, EPOCHS[small])
    report.curves(shown, title="Handwritten digits: error against epochs", ylabel="J")


def _load() -> Digits:
    """scikit-learn's images, split by a seeded permutation."""
    datasets = optional("sklearn.datasets")
    found = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(found.data))
    X, Y = found.data[order] / 16.0, np.eye(10)[found.target[order]]
    return Digits(X[:TRAIN_IMAGES], Y[:TRAIN_IMAGES], X[TRAIN_IMAGES:], Y[TRAIN_IMAGES:])


def _curve(report: Report, formula: Any, digits: Digits, start: Mapping[str, Array], epochs: int) -> dict[str, Any]:
    report.head(f"Gradient descent on all images, {epochs} epochs, eta = {ETA:g}")
    program = formula.gradient().update(optim.gradient_descent(eta=ETA))
    training = whole(program.train({"X": digits.X, "Y": digits.Y, "lam": LAM}, start=start, epochs=epochs))
    curves = {"symdiff": training.history.value}
    torch = optional("torch")
    if torch is None:
        report.missing("torch", "the same training in PyTorch")
    else:
        curves["PyTorch"] = in_torch(torch, digits, start, epochs)
    report.same_curves(curves)
    return curves


def in_torch(torch: Any, digits: Digits, start: Mapping[str, Array], epochs: int) -> list[float]:
    """The error before each update of gradient descent, by PyTorch's autograd."""
    X, labels = torch.tensor(digits.X), torch.tensor(digits.Y.argmax(axis=1))
    W1, b1, W2, b2 = leaves = [torch.tensor(start[name], requires_grad=True) for name in ("W1", "b1", "W2", "b2")]
    optimiser = torch.optim.SGD(leaves, lr=ETA)
    errors = []
    for _ in range(epochs):
        O = torch.tanh(X @ W1 + b1) @ W2 + b2  # noqa: E741 - the formula's name
        J = torch.nn.functional.cross_entropy(O, labels) + LAM / 2 * (W1.pow(2).sum() + W2.pow(2).sum())
        optimiser.zero_grad()
        J.backward()
        optimiser.step()
        errors.append(J.item())
    return errors


def _mini_batches(report: Report, formula: Any, digits: Digits, start: Mapping[str, Array], epochs: int) -> Any:
    report.head(f"Adam on mini-batches of {BATCH}, {epochs} epochs, eta = {ADAM_ETA:g}")
    program = formula.gradient().update(optim.adam(eta=ADAM_ETA))
    data = {"X": digits.X, "Y": digits.Y, "lam": LAM}
    training = whole(program.train(data, start=start, epochs=epochs, batch=BATCH, seed=0))
    values = training.history.value
    report.say(f"J in the first epoch {values[0]:.4f}, in the last {values[-1]:.4f}; {training.updates} updates\n")
    outputs = symdiff.formula(PREDICT).value().compile()
    rows: list[list[str | float]] = []
    right = {}
    for when, parameters in (("at the start", start), ("after the training", training.parameters)):
        parts = {"learned from": (digits.X, digits.Y), "held out": (digits.unseen, digits.labels)}
        for part, (X, Y) in parts.items():
            hits = int(np.sum(outputs(X=X, **parameters).argmax(axis=1) == Y.argmax(axis=1)))
            right[part] = hits / len(X)
            rows.append([when, part, f"{hits} of {len(X)}", f"{100 * hits / len(X):.1f} %"])
    report.table(["", "images", "right", ""], rows)
    report.say()
    report.holds("More than 95 % of the images held out are read right", right["held out"] > 0.95)
    return values


if __name__ == "__main__":
    command(main)
