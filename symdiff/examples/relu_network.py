"""System D: a two-layer ReLU network with mean squared error over a batch, beside PyTorch.

    python -m symdiff.examples.relu_network [--small] [-o DIR]

The gradient is one long product of partial derivatives, with the value and the shape of every factor. Then the network
is trained, with the samples as columns and as rows, from the numbers that PyTorch starts from too, and the losses
agree. What `requires_grad`, `backward`, leaf `.grad`, accumulation and `no_grad` correspond to here is shown in code
that runs.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import symdiff
from symdiff import init, optim
from symdiff.examples import path
from symdiff.examples._show import Report, command, largest_difference, optional, options, section, source, whole

Array = np.ndarray[Any, np.dtype[np.float64]]
Named = Mapping[str, Array]
VARIABLES = ("W1", "b1", "w2", "b2")
ETA, EPOCHS, SAMPLES = 0.1, 100, {False: 200, True: 20}  # by --small
CHAIN = "dC/dW1 = dC/dS * dS/dr * dr/de * de/dz2 * dz2/dq * dq/da2 * da2/dz1 * dz1/dp * dp/dW1"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the example; returns the exit code, 0 where everything agrees."""
    chosen = options("relu_network", argv, "a ReLU network with mean squared error, beside PyTorch")
    report = Report("relu_network", chosen.output)
    columns = symdiff.formula(path("relu_network"))
    data = samples(SAMPLES[chosen.small])
    start = init.parameters(columns, rng=np.random.default_rng(1), weights="he_uniform")
    report.title("D. Two-layer ReLU network with mean squared error")
    _derivation(report, columns)
    torch = optional("torch")
    _training(report, torch, columns, data, start)
    _correspondence(report, torch, columns.gradient(wrt=VARIABLES), data, start)
    return report.finish()


def samples(count: int) -> dict[str, Array]:
    """Samples of a smooth function of three numbers, as columns."""
    X = np.random.default_rng(0).uniform(-1.0, 1.0, (3, count))
    return {"X": X, "t": (np.sin(2.0 * X[0]) - X[1] * X[2])[None, :]}


def _derivation(report: Report, formula: Any) -> None:
    point = tomllib.loads(path("points.toml").read_text("utf-8"))["relu_network"]
    derivation = formula.gradient().text(at=point)
    report.head("The graph, node by node (n = 5 samples as columns), with shapes and values")
    report.say(section(derivation, "Forward sweep"))
    report.head("The gradient as products of partial derivatives, with the value and shape of each factor")
    products = section(derivation, "The gradient as products")
    report.say(products)
    report.say()
    report.holds("dC/dW1 is the product of nine factors", CHAIN in " ".join(products.split()))
    report.head("The gradient")
    gradient = section(derivation, "Gradient")
    report.say(gradient)
    report.say()
    shapes = {name: np.shape(array) for name, array in formula.gradient().trace(point).gradient.items()}
    wanted = {name: tuple(formula.inputs[name]) for name in VARIABLES}
    report.holds("every gradient has the shape of its variable: " + _listed(wanted), shapes == wanted)
    report.holds("the mask of the ReLU stays in dC/dz1", "dC/dz1 = (dC/da2)*where(z1 > 0, 1, 0)" in gradient)


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())


def _training(report: Report, torch: Any, columns: Any, data: Named, start: Named) -> None:
    count = data["X"].shape[1]
    report.head(f"Training: {EPOCHS} epochs, all {count} samples, eta = {ETA:g}, from the same start")
    rule = optim.gradient_descent(eta=ETA)
    training = whole(columns.gradient(wrt=VARIABLES).update(rule).train(data, start=start, epochs=EPOCHS))
    curves = {"columns": training.history.value}
    # the same network with the samples as rows: everything is turned round
    rows = symdiff.formula(path("relu_network_rows")).gradient(wrt=VARIABLES).update(rule)
    turned = {"W1": start["W1"].T, "b1": start["b1"][:, 0], "w2": start["w2"][0], "b2": start["b2"][0, 0]}
    by_row = whole(rows.train({"X": data["X"].T, "t": data["t"][0]}, start=turned, epochs=EPOCHS))
    curves["rows"] = by_row.history.value
    if torch is None:
        report.missing("torch", "the same training in PyTorch")
    else:
        report.say("In PyTorch:\n")
        report.code(source(in_torch))
        report.say()
        losses, leaves = in_torch(torch, data, start)
        curves["PyTorch"] = losses
    report.same_curves(curves)
    if torch is not None:
        difference = max(largest_difference(training.parameters[n], leaf.detach()) for n, leaf in leaves.items())
        report.holds("so do the parameters at the end", difference < 1e-9, f"at most {difference:.1e}")
    report.holds("W1 of the rows is W1 of the columns, transposed", _turned(training, by_row) < 1e-9)
    shown = {"symdiff": curves["columns"], **{name: curves[name] for name in ("PyTorch",) if name in curves}}
    report.curves(shown, title="ReLU network: loss against epochs", ylabel="loss C")


def _turned(columns: Any, rows: Any) -> float:
    return largest_difference(rows.parameters["W1"].T, columns.parameters["W1"])


def in_torch(torch: Any, data: Named, start: Named) -> tuple[list[float], dict[str, Any]]:
    """Losses of gradient descent in PyTorch, and the trained leaves."""
    X, t = torch.tensor(data["X"]), torch.tensor(data["t"])
    leaves = {name: torch.tensor(array, requires_grad=True) for name, array in start.items()}
    losses = []
    for _ in range(EPOCHS):
        C = loss(torch, X, t, **leaves)
        losses.append(C.item())
        C.backward()
        with torch.no_grad():
            for leaf in leaves.values():
                leaf -= ETA * leaf.grad
                leaf.grad = None
    return losses, leaves


def loss(torch: Any, X: Any, t: Any, W1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    """The network's loss on tensors."""
    return ((w2 @ torch.relu(W1 @ X + b1) + b2 - t) ** 2).mean()


# -- what PyTorch's words correspond to; the bodies below are shown as they stand, and run ---------------------------


def torch_requires_grad(torch: Any, data: Named, start: Named) -> Any:
    W1, b1, w2, b2 = (torch.tensor(start[name], requires_grad=True) for name in VARIABLES)  # leaves
    X, t = torch.tensor(data["X"]), torch.tensor(data["t"])  # data: no gradient
    return X, t, W1, b1, w2, b2


def symdiff_requires_grad() -> Any:
    # X: const(3, n) and t: const(1, n) in the formula are data; wrt says what to differentiate by
    formula = symdiff.formula(path("relu_network"))
    program = formula.gradient(wrt=("W1", "b1", "w2", "b2"))
    return formula, program


def torch_backward(torch: Any, X: Any, t: Any, W1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    z1 = W1 @ X + b1  # the graph is recorded while the numbers are worked out
    z1.retain_grad()  # z1 is no leaf: its gradient would be thrown away
    C = ((w2 @ torch.relu(z1) + b2 - t) ** 2).mean()
    C.backward()  # the reverse sweep: fills .grad of the leaves
    return C, z1.grad, W1.grad


def symdiff_backward(program: Any, data: Named, start: Named) -> Any:
    kernel = program.compile()  # the graph is known before there are numbers, and becomes code once
    C, grads = kernel(**data, **start)  # forward and reverse sweep in one call
    z1_bar = program.trace({**data, **start}).before("z1").adjoint  # every node's adjoint, where asked for
    return C, z1_bar, grads.W1


def torch_accumulation(torch: Any, X: Any, t: Any, W1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    W1.grad = None
    for _ in range(2):
        loss(torch, X, t, W1, b1, w2, b2).backward()  # W1.grad grows: in the end it is twice the gradient
    return W1.grad


def symdiff_accumulation(kernel: Any, data: Named, start: Named) -> Any:
    twice = np.zeros((4, 3))
    for _ in range(2):
        _, grads = kernel(**data, **start)  # new arrays on each call; there is nothing to set to zero
        twice += grads.W1  # adding up is said where it is wanted
    return twice


def torch_no_grad(torch: Any, X: Any, t: Any, W1: Any, b1: Any, w2: Any, b2: Any) -> Any:
    with torch.no_grad():  # the update and this loss are not to be recorded
        W1 -= ETA * W1.grad
        C = loss(torch, X, t, W1, b1, w2, b2)
    return C, W1


def symdiff_no_grad(program: Any, formula: Any, data: Named, start: Named) -> Any:
    C, grads = program.compile()(**data, **start)
    W1 = start["W1"] - ETA * grads.W1  # nothing is ever recorded: numbers are numbers
    C = formula.value().compile()(**data, **{**start, "W1": W1})  # the value alone: no reverse sweep at all
    return C, W1


def _correspondence(report: Report, torch: Any, program: Any, data: Named, start: Named) -> None:
    report.head("What PyTorch's words correspond to")
    if torch is None:
        report.missing("torch", "PyTorch's side of this section")
    formula = symdiff.formula(path("relu_network"))
    kernel = program.compile()
    sides = [
        ("requires_grad", torch_requires_grad, symdiff_requires_grad),
        ("backward, .grad of leaves and of other nodes", torch_backward, symdiff_backward),
        ("accumulation", torch_accumulation, symdiff_accumulation),
        ("no_grad", torch_no_grad, symdiff_no_grad),
    ]
    ours = [
        symdiff_requires_grad(),
        symdiff_backward(program, data, start),
        symdiff_accumulation(kernel, data, start),
        symdiff_no_grad(program, formula, data, start),
    ]
    theirs = [] if torch is None else _torch_side(torch, data, start)
    verdicts = [_requires_grad, _backward, _accumulation, _no_grad]
    for place, (words, torch_code, symdiff_code) in enumerate(sides):
        report.say(f"{words}\n")
        for name, code in (("PyTorch", torch_code), ("symdiff", symdiff_code)):
            report.say(f"  {name}")
            report.code(source(code).rpartition("return")[0])
        report.say()
        if theirs:
            verdicts[place](report, ours[place], theirs[place])
        report.say()
    kernel_twice = [kernel(**data, **start)[1].W1 for _ in range(2)]
    report.holds("two calls give the same gradient, bit for bit", np.array_equal(*kernel_twice))


def _torch_side(torch: Any, data: Named, start: Named) -> list[Any]:
    """The four torch functions in order, on the same leaves."""
    tensors = torch_requires_grad(torch, data, start)
    C, z1, W1 = torch_backward(torch, *tensors)
    once = [C.item(), z1.clone(), W1.clone()]
    twice = torch_accumulation(torch, *tensors).clone()
    tensors[2].grad /= 2  # back to one gradient for the update
    return [(tensors[:2], tensors[2:]), once, twice, torch_no_grad(torch, *tensors)]


def _requires_grad(report: Report, ours: Any, theirs: Any) -> None:
    data, leaves = theirs
    right = all(leaf.requires_grad for leaf in leaves) and not any(tensor.requires_grad for tensor in data)
    report.holds(f"variables here: {', '.join(ours[1].wrt)}; all others are data", right and ours[1].wrt == VARIABLES)


def _backward(report: Report, ours: Any, theirs: Any) -> None:
    for what, a, b in zip(("the loss", "the adjoint of z1", "the gradient by W1"), ours, theirs, strict=True):
        _agree(report, what, a, b)


def _accumulation(report: Report, ours: Any, theirs: Any) -> None:
    _agree(report, "twice the gradient by W1", ours, theirs)


def _no_grad(report: Report, ours: Any, theirs: Any) -> None:
    _agree(report, "the loss after one update of W1", ours[0], theirs[0])
    _agree(report, "W1 after it", ours[1], theirs[1].detach())


def _agree(report: Report, what: str, ours: Any, theirs: Any) -> None:
    # relative to the largest element: an element that nearly cancels carries the rounding of the large ones
    a, b = np.asarray(ours), np.asarray(theirs)
    difference = float(np.max(np.abs(a - b)) / np.max(np.abs(b)))
    report.holds(f"{what} agrees to 1e-12", a.shape == b.shape and difference < 1e-12, f"{difference:.1e}")


if __name__ == "__main__":
    command(main)
