"""System F: an autoencoder 3-2-3 with sigmoids, trained from scratch beside an autograd library.

    python -m symdiff.examples.autoencoder [--small] [-o DIR]

The derivation gives the gradient as products of partial derivatives whose shared beginnings have names, and the update
rule of every parameter. Three trainings start from the same numbers: by hand in NumPy with the lines of the derivation,
by `Program.train` (a loop in C that was generated from the formula and the rule), and by PyTorch. Their error curves
coincide, and go into one figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import symdiff
from symdiff import init, optim
from symdiff.examples import path
from symdiff.examples._show import Report, command, optional, options, section, source, whole

Array = np.ndarray[Any, np.dtype[np.float64]]
POINTS, ETA, ONLINE_ETA = 40, 2.0, 0.5
EPOCHS, ONLINE_EPOCHS = {False: 3000, True: 150}, {False: 60, True: 3}  # by --small
# What the derivation must say, and what `by_hand` does for many points at a time.
LINES = (
    "dE/dI2 = (dE/dO2)*O2*(1 - O2)",
    "dE/db2 = dE/dI2",
    "dE/dO1 = W2 @ (dE/dI2)",
    "dE/dW2 = outer(O1, dE/dI2)",
    "dE/dI1 = (dE/dO1)*O1*(1 - O1)",
    "dE/db1 = dE/dI1",
    "dE/dW1 = outer(x, dE/dI1)",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the example; returns the exit code, 0 where the curves coincide."""
    chosen = options("autoencoder", argv, "an autoencoder 3-2-3 trained from scratch beside PyTorch")
    report = Report("autoencoder", chosen.output)
    formula = symdiff.formula(path("autoencoder"))
    program = formula.gradient().update(optim.gradient_descent(eta=ETA))
    report.title("F. Autoencoder 3-2-3 with sigmoids, in matrices")
    _derivation(report, program.text())
    X = points()
    start = init.parameters(formula, rng=np.random.default_rng(1))
    _train(report, program, X, start, EPOCHS[chosen.small])
    _online(report, formula, X, start, ONLINE_EPOCHS[chosen.small])
    return report.finish()


def points() -> Array:
    """Points in the unit cube that lie on a curved surface, so that two numbers can say where each of them is."""
    rng = np.random.default_rng(0)
    places = rng.uniform(-2.0, 2.0, (POINTS, 2))
    return sigmoid(places @ rng.uniform(-1.5, 1.5, (2, 3)) + rng.uniform(-0.5, 0.5, 3))


def sigmoid(x: Array) -> Array:
    """1/(1 + exp(-x)); the arguments here are small."""
    return 1.0 / (1.0 + np.exp(-x))


def _derivation(report: Report, derivation: str) -> None:
    report.head("The network, step by step, with the shape of every result")
    report.say(section(derivation, "Forward sweep"))
    report.head("The gradient, each line from the ones before it")
    gradient = section(derivation, "Gradient").partition("\n\n")[0]
    report.say(gradient)
    report.say()
    known = [" ".join(line.split()) for line in gradient.splitlines()]
    found = all(any(have.startswith(line) for have in known) for line in LINES)
    report.holds("these are the lines that the training by hand below uses", found)
    report.head("As products of partial derivatives, shared beginnings named once")
    report.say(section(derivation, "The gradient as products").partition("\n\n")[2].partition("\n\n")[0])
    report.head("Element by element")
    report.say(section(derivation, "Element by element").rpartition("\n\n")[2])
    report.head("Update rule")
    update = section(derivation, "Update rule")
    report.say(update)
    report.say()
    lines = [f"{name}_new = {name} - eta*{name}_bar" for name in ("W1", "b1", "W2", "b2")]
    report.holds("theta_new = theta - eta*dE/dtheta for each of the four", all(line in update for line in lines))


def by_hand(X: Array, start: Mapping[str, Array], epochs: int) -> list[float]:
    """Gradient descent from scratch: the derivation's lines, averaged over the points, which are the rows of X."""
    W1, b1, W2, b2 = (start[name] for name in ("W1", "b1", "W2", "b2"))
    n, errors = len(X), []
    for _ in range(epochs):
        O1 = sigmoid(X @ W1 + b1)
        O2 = sigmoid(O1 @ W2 + b2)
        errors.append(float(np.sum((O2 - X) ** 2) / n))
        dE_dO2 = 2 * (O2 - X)
        dE_dI2 = dE_dO2 * O2 * (1 - O2)
        dE_dO1 = dE_dI2 @ W2.T
        dE_dI1 = dE_dO1 * O1 * (1 - O1)
        W1 = W1 - ETA * (X.T @ dE_dI1) / n
        b1 = b1 - ETA * dE_dI1.sum(axis=0) / n
        W2 = W2 - ETA * (O1.T @ dE_dI2) / n
        b2 = b2 - ETA * dE_dI2.sum(axis=0) / n
    return errors


def in_torch(
    torch: Any, X: Array, start: Mapping[str, Array], eta: float, batches: Callable[[int], Any]
) -> list[float]:
    """The same by PyTorch's autograd; `batches(epoch)` gives the rows of each update of an epoch, None at the end."""
    data = torch.tensor(X)
    W1, b1, W2, b2 = leaves = [torch.tensor(start[name], requires_grad=True) for name in ("W1", "b1", "W2", "b2")]
    optimiser = torch.optim.SGD(leaves, lr=eta)
    errors: list[float] = []
    while (rows := batches(len(errors))) is not None:
        total = 0.0
        for batch in rows:
            x = data[batch]
            O2 = torch.sigmoid(torch.sigmoid(x @ W1 + b1) @ W2 + b2)
            E = ((O2 - x) ** 2).sum() / len(x)
            optimiser.zero_grad()
            E.backward()
            optimiser.step()
            total += E.item() * len(x)
        errors.append(total / len(X))
    return errors


def _train(report: Report, program: Any, X: Array, start: Mapping[str, Array], epochs: int) -> None:
    report.head(f"Training on {POINTS} points, {epochs} epochs of all points, eta = {ETA:g}")
    report.say("By hand, with the lines of the derivation for all points at a time:\n")
    report.code(source(by_hand))
    report.say()
    training = whole(program.train({"x": X}, start=start, epochs=epochs))
    curves = {"symdiff": training.history.value, "by hand": by_hand(X, start, epochs)}
    torch = optional("torch")
    if torch is None:
        report.missing("torch", "the same training in PyTorch")
    else:
        every = [np.arange(len(X))]
        curves["PyTorch"] = in_torch(torch, X, start, ETA, lambda epoch: every if epoch < epochs else None)
    report.same_curves(curves)
    report.holds("The error fell to less than a fifth", training.value < 0.2 * training.history.value[0])
    shown: dict[str, Any] = {name: curves[name] for name in ("symdiff", "PyTorch") if name in curves}
    report.curves(shown, title="Autoencoder 3-2-3: error against epochs", ylabel="mean error E")


def _online(report: Report, formula: Any, X: Array, start: Mapping[str, Array], epochs: int) -> None:
    report.head(f"Point by point: {epochs} epochs of {POINTS} updates in shuffled order, eta = {ONLINE_ETA:g}")
    seed = 0
    program = formula.gradient().update(optim.gradient_descent(eta=ONLINE_ETA))
    training = whole(program.train({"x": X}, start=start, epochs=epochs, batch=1, seed=seed))
    curves = {"symdiff": training.history.value}

    def batches(epoch: int) -> Any:
        # the order of an epoch depends on the seed and its number alone, so anyone can repeat it
        return np.random.default_rng([seed, epoch]).permutation(len(X))[:, None] if epoch < epochs else None

    torch = optional("torch")
    if torch is None:
        report.missing("torch", "the same updates in PyTorch")
    else:
        curves["PyTorch"] = in_torch(torch, X, start, ONLINE_ETA, batches)
    report.same_curves(curves)


if __name__ == "__main__":
    command(main)
