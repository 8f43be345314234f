"""The contestants of `benchmarks.transformer`: what one program text runs on, and what a training step is there.

A contestant gets a `Problem` and gives a `Task`. A step is the value and the gradient of the loss of one sentence, and
an update of all weights by gradient descent.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

ETA = 1e-4  # learning rate: small, so that the weights stay where they are tame
Weights = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Task:
    """`run()` makes `steps` training steps; `read()` gives value and gradient at the weights of the start."""

    run: Callable[[], object]
    read: Callable[[], tuple[float, Weights]]
    steps: int = 1


class Contestant:
    """Base of all; `name` stands in the table, `needs` are the modules it imports."""

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()

    def missing(self) -> str:
        """What is not installed; empty if it can run."""
        return ", ".join(module for module in self.needs if importlib.util.find_spec(module) is None)

    def task(self, problem: Problem) -> Task:
        """A training from the problem's start on its sentence."""
        raise NotImplementedError(type(self).__name__)


@dataclass(frozen=True, eq=False)
class Problem:
    """Sizes of the network, its start, the sentences to learn from; the first is the one that gradients are compared
    on. `formula` is the traced loss, `program` its gradient with the update rule.
    """

    sizes: Any
    weights: Weights
    sentences: np.ndarray
    formula: Any
    program: Any


class Symdiff(Contestant):
    """`Program.train` in C: every sentence in turn, one update after each."""

    name, title = "symdiff", "symdiff, the training loop in C (Program.train), one sentence an update"

    def task(self, problem: Problem) -> Task:
        kernel, program = problem.program.compile("c"), problem.program
        epochs = 20

        def run() -> object:
            data = {"sentence": problem.sentences}
            return program.train(data, problem.weights, epochs=epochs, batch=1, shuffle=False, backend="c")

        def read() -> tuple[float, Weights]:
            value, gradient = kernel(**problem.weights, sentence=problem.sentences[0])
            return float(value), dict(zip(problem.weights, gradient, strict=True))

        return Task(run, read, epochs * len(problem.sentences))


class Kernel(Contestant):
    """The C kernel called from Python, and the update by NumPy."""

    name, title = "kernel", "symdiff, the C kernel called from Python, updates by NumPy"

    def task(self, problem: Problem) -> Task:
        kernel = problem.program.compile("c")
        weights = {name: matrix.copy() for name, matrix in problem.weights.items()}
        sentence = problem.sentences[0]

        def run() -> None:
            _, gradient = kernel(**weights, sentence=sentence)
            for matrix, part in zip(weights.values(), gradient, strict=True):
                matrix -= ETA * part

        def read() -> tuple[float, Weights]:
            value, gradient = kernel(**problem.weights, sentence=sentence)
            return float(value), dict(zip(weights, gradient, strict=True))

        return Task(run, read)


class Numbers(Contestant):
    """The program's text run anew on objects that are numbers, in every step."""

    def leaf(self) -> Callable[[float], Any]:
        """What makes a weight out of a float."""
        raise NotImplementedError(type(self).__name__)

    def update(self, leaves: Sequence[Any]) -> None:
        """Gradient descent on objects with `.data` and `.grad`."""
        for leaf in leaves:
            leaf.data -= ETA * leaf.grad
            leaf.grad = 0.0

    def number(self, value: Any) -> float:
        """The float in a value or an adjoint."""
        return float(value)

    def task(self, problem: Problem) -> Task:
        from symdiff.examples.transformer import Transformer

        make = self.leaf()
        sentence = problem.sentences[0].tolist()

        def network() -> Transformer:
            weights = problem.weights.items()
            return Transformer(problem.sizes, {name: _mapped(make, matrix.tolist()) for name, matrix in weights})

        def read() -> tuple[float, Weights]:
            made = network()
            loss = made.loss(sentence)
            loss.backward()
            gradient = {name: _mapped(lambda leaf: self.number(leaf.grad), m) for name, m in made.weights.items()}
            return self.number(loss.data), {name: np.array(part) for name, part in gradient.items()}

        trained = network()
        leaves = [leaf for matrix in trained.weights.values() for row in matrix for leaf in row]

        def run() -> None:
            trained.loss(sentence).backward()
            self.update(leaves)

        return Task(run, read)


def _mapped(make: Callable[[Any], Any], matrix: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [[make(entry) for entry in row] for row in matrix]


class Scalar(Numbers):
    """symdiff's own teaching autograd."""

    name, title = "scalar", "symdiff.Scalar"

    def leaf(self) -> Callable[[float], Any]:
        import symdiff

        return symdiff.Scalar


class Micrograd(Numbers):
    """micrograd's Value, subclassed with exp and log; its own recursive `backward`, which is deep enough here."""

    name, title, needs = "micrograd", "micrograd, Value subclassed with exp and log", ("micrograd",)

    def leaf(self) -> Callable[[float], Any]:
        return micrograd_value()


class Torch(Numbers):
    """PyTorch tensors of one float64 number."""

    name, title, needs = "torch", "PyTorch autograd on tensors of one number, float64", ("torch",)

    def leaf(self) -> Callable[[float], Any]:
        import torch

        torch.set_num_threads(1)
        return lambda number: torch.tensor(number, dtype=torch.float64, requires_grad=True)

    def update(self, leaves: Sequence[Any]) -> None:
        import torch

        with torch.no_grad():
            for leaf in leaves:
                leaf -= ETA * leaf.grad
                leaf.grad = None


PEERS: tuple[type[Contestant], ...] = (Symdiff, Kernel, Scalar, Micrograd, Torch)


def micrograd_value() -> Any:
    """micrograd's Value with exp and log, from a copy of its module of our own.

    Its operators make objects of what `Value` names in their module. In the copy that name is the subclass, so results
    are of the subclass at no cost, and the installed module stays as it is.
    """
    found = importlib.util.find_spec("micrograd.engine")
    assert found is not None and found.loader is not None
    engine: Any = importlib.util.module_from_spec(found)
    found.loader.exec_module(engine)

    class Value(engine.Value):  # type: ignore[misc]  # a class of a module loaded at run time
        """Written as micrograd writes its own operations."""

        def exp(self) -> Any:
            out = Value(math.exp(self.data), (self,), "exp")

            def _backward() -> None:
                self.grad += out.data * out.grad

            out._backward = _backward
            return out

        def log(self) -> Any:
            out = Value(math.log(self.data), (self,), "log")

            def _backward() -> None:
                self.grad += out.grad / self.data

            out._backward = _backward
            return out

    engine.Value = Value
    return Value
