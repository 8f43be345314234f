"""The contestants. Each gives value and gradient by all weights together, in float64, on one thread.

A contestant is prepared for one problem at one size with the inputs it will be called with, in the form it likes best
(on the device, as tensors, column by column); what it returns is in its own form too, converted only for checking.
Modules are imported when a contestant is prepared, so that a peer that is not installed costs nothing.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from benchmarks.contestant import scratch_folder
from benchmarks.frameworks import pytensor_in_scratch
from benchmarks.matrices.problems import Problem, Sizes, shape_of


@dataclass(frozen=True)
class Task:
    """`run()` does the work; `read()` does it again and gives the value and the gradients (nothing: not checked)."""

    run: Callable[[], Any]
    read: Callable[[], Sequence[np.ndarray]]


def _of_pairs(run: Callable[[], tuple[Any, Iterable[Any]]]) -> Task:
    """A task whose run returns (value, gradients)."""

    def read() -> list[np.ndarray]:
        value, gradients = run()
        return [np.asarray(value), *map(np.asarray, gradients)]

    return Task(run, read)


def _of_memory(run: Callable[[], Any], memory: Sequence[np.ndarray]) -> Task:
    """A task whose run fills `memory`."""

    def read() -> list[np.ndarray]:
        for array in memory:
            array.fill(np.nan)
        run()
        return [array.copy() for array in memory]

    return Task(run, read)


class Contestant:
    """Base of all; `name` stands in the table, `needs` are the modules it imports, `small` keeps it to small sizes."""

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    small: ClassVar[bool] = False

    def missing(self) -> str:
        """Empty if it can run, else what is not installed."""
        return ", ".join(module for module in self.needs if importlib.util.find_spec(module) is None)

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        """Everything that is done once: differentiation, compilation, binding."""
        raise NotImplementedError(type(self).__name__)


def _kernel(text: str, backend: str) -> Any:
    import symdiff

    return symdiff.formula(text).gradient().compile(backend=backend)


class Symdiff(Contestant):
    """The C kernel for any sizes, called with arrays: new arrays come back."""

    name, title, backend = "symdiff", "symdiff, C kernel, arrays in, new arrays out", "c"

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        return _of_pairs(partial(_kernel(problem.text(), self.backend), *arguments))


class SymdiffNumpy(Contestant):
    """The generated NumPy module by itself, as a person would call it: with its checks of the arguments."""

    name, title = "numpy", "symdiff, generated NumPy module"

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        import symdiff

        module: dict[str, Any] = {"__name__": problem.name}
        exec(symdiff.formula(problem.text()).gradient().source("python"), module)  # symdiff's own text
        return _of_pairs(partial(module["gradient"], *arguments))


class SymdiffRaw(Contestant):
    """The C kernel through `raw`: inputs and outputs bound once."""

    name, title = "raw", "symdiff, the same C kernel, memory bound once"

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        raw = _kernel(problem.text(), "c").raw(*arguments)
        return _of_memory(raw, raw.out)


class SymdiffFixed(Contestant):
    """A C kernel with the sizes written in the formula, through `raw`: as much as CasADi, JAX and a hand know."""

    name, title, small = "fixed", "symdiff, a C kernel with the sizes in the formula, memory bound once", True

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        raw = _kernel(problem.text(sizes), "c").raw(*arguments)
        return _of_memory(raw, raw.out)


class ByHand(Contestant):
    """NumPy by hand."""

    name, title = "hand", "NumPy by hand"

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        return _of_pairs(partial(problem.by_hand, *arguments))


class Jax(Contestant):
    """jit(value_and_grad); inputs on the device, every run waits for its results."""

    name, title, needs = "jax", "JAX jit(value_and_grad)", ("jax",)

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        import jax

        jax.config.update("jax_enable_x64", True)
        o = SimpleNamespace(relu=jax.nn.relu, sigmoid=jax.nn.sigmoid)
        o.affine = lambda X, W, b: X @ W + b
        o.softmax = partial(jax.nn.softmax, axis=1)
        o.mean_square = lambda Z, T: ((Z - T) ** 2).mean()
        o.cross_entropy = lambda Z, Y: -(Y * jax.nn.log_softmax(Z, axis=1)).sum() / len(Z)
        o.logistic = lambda z, y: (jax.nn.softplus(z) - y * z).mean()
        weights = tuple(range(len(problem.data), len(arguments)))
        function = jax.jit(jax.value_and_grad(partial(problem.loss, o), argnums=weights))
        given, wait = [jax.device_put(array) for array in arguments], jax.block_until_ready
        return _of_pairs(lambda: wait(function(*given)))


class Torch(Contestant):
    """Forward pass and autograd.grad; inputs are tensors already."""

    name, title, needs = "torch", "PyTorch autograd, not compiled", ("torch",)

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        import torch

        torch.set_num_threads(1)
        o = SimpleNamespace(relu=torch.relu, sigmoid=torch.sigmoid)
        o.affine = lambda X, W, b: torch.addmm(b, X, W)
        o.softmax = partial(torch.softmax, dim=1)
        o.mean_square, o.cross_entropy = torch.nn.functional.mse_loss, torch.nn.functional.cross_entropy
        o.logistic = torch.nn.functional.binary_cross_entropy_with_logits
        given = [torch.from_numpy(array) for array in arguments]
        weights = [tensor.requires_grad_() for tensor in given[len(problem.data) :]]

        def run() -> tuple[Any, Sequence[Any]]:
            value = problem.loss(o, *given)
            return value.detach(), torch.autograd.grad(value, weights)

        return _of_pairs(run)


class Pytensor(Contestant):
    """pytensor.function of value and gradients, in its own mode, for these sizes; arguments are not checked."""

    name, title, needs = "pytensor", "PyTensor function", ("pytensor",)

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        pytensor = pytensor_in_scratch()
        tensor = pytensor.tensor
        o = SimpleNamespace(relu=lambda Z: tensor.maximum(Z, 0), sigmoid=tensor.sigmoid)
        o.affine = lambda X, W, b: X @ W + b
        o.softmax = partial(tensor.special.softmax, axis=1)
        o.mean_square = lambda Z, T: ((Z - T) ** 2).mean()
        o.logistic = lambda z, y: (tensor.softplus(z) - y * z).mean()
        o.cross_entropy = lambda Z, Y: -(Y * tensor.special.log_softmax(Z, axis=1)).sum() / Z.shape[0]
        names = [*problem.data, *problem.weights]
        given = [
            tensor.tensor(name, dtype="float64", shape=array.shape)
            for name, array in zip(names, arguments, strict=True)
        ]
        value = problem.loss(o, *given)
        results = [value, *pytensor.grad(value, given[len(problem.data) :])]
        inputs = [pytensor.In(each, borrow=True) for each in given]
        function = pytensor.function(inputs, [pytensor.Out(each, borrow=True) for each in results])
        function.trust_input = True

        def run() -> tuple[Any, Sequence[Any]]:
            value, *gradients = function(*arguments)
            return value, gradients

        return _of_pairs(run)


class Casadi(Contestant):
    """An MX function with CasADi's gradient, its C compiled by gcc, buffers bound once. Its matrices lie by columns.

    No shift by the largest entry in a softmax: CasADi has no maximum by rows. That is in its favour.
    """

    name, title, needs, small = "casadi", "CasADi MX, compiled C, memory bound once", ("casadi",), True

    def missing(self) -> str:
        return super().missing() or ("" if shutil.which("gcc") else "gcc")

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        import casadi

        o = SimpleNamespace(relu=lambda Z: casadi.fmax(Z, 0), sigmoid=lambda Z: 1 / (1 + casadi.exp(-Z)))
        o.affine = lambda X, W, b: X @ W + casadi.repmat(b.T, X.shape[0], 1)
        o.softmax = lambda Z: casadi.exp(Z - casadi.repmat(casadi.log(_row_sums(casadi, Z)), 1, Z.shape[1]))
        o.mean_square = lambda Z, T: casadi.sumsqr(Z - T) / Z.numel()
        o.cross_entropy = lambda Z, Y: (casadi.sum1(casadi.log(_row_sums(casadi, Z))) - casadi.dot(Y, Z)) / Z.shape[0]
        o.logistic = lambda z, y: casadi.sum1(casadi.log(1 + casadi.exp(z)) - y * z) / z.shape[0]
        names = [*problem.data, *problem.weights]
        given = [casadi.MX.sym(name, *array.shape) for name, array in zip(names, arguments, strict=True)]
        value = problem.loss(o, *given)
        results = [value, *(casadi.gradient(value, weight) for weight in given[len(problem.data) :])]
        options = {"flags": ["-O3", "-march=native"], "compiler": "gcc"}
        with scratch_folder():
            jit = {"jit": True, "compiler": "shell", "jit_options": options}
            self.function = casadi.Function("both", given, results, jit)
        shapes = [(), *(array.shape for array in arguments[len(problem.data) :])]
        memory = [np.empty(shape, order="F") for shape in shapes]
        buffer, run = self.function.buffer()
        self.bound = [array.copy(order="F") for array in arguments]  # CasADi has bare pointers to these
        for place, array in enumerate(self.bound):
            buffer.set_arg(place, memoryview(array.ravel(order="K")))
        for place, array in enumerate(memory):
            buffer.set_res(place, memoryview(array.reshape(-1, order="F")))
        self.buffer = buffer
        return _of_memory(run, memory)


def _row_sums(casadi: Any, Z: Any) -> Any:
    return casadi.sum2(casadi.exp(Z))


class Products(Contestant):
    """The bare matrix products of value and gradient by NumPy, into memory held between calls: the yardstick."""

    name, title = "products", "the bare matrix products, NumPy, memory held"

    def task(self, problem: Problem, sizes: Sizes, arguments: Sequence[np.ndarray]) -> Task:
        draw, calls = np.random.default_rng(1), list[Callable[[], Any]]()
        for product in problem.products.split(", "):
            left, right = (_factor(word, sizes, draw) for word in product.split())
            calls.append(partial(np.matmul, left, right, out=np.empty((left.shape[0], right.shape[1]))))

        def run() -> None:
            for call in calls:
                call()

        return Task(run, lambda: ())


def _factor(word: str, sizes: Sizes, draw: np.random.Generator) -> np.ndarray:
    """A matrix of its own: NumPy is faster where it sees that both factors are the same."""
    array = draw.normal(size=shape_of(word.rstrip("'"), sizes))
    return array.T if word.endswith("'") else array


PEERS: tuple[type[Contestant], ...] = (
    Symdiff,
    Products,
    SymdiffRaw,
    SymdiffFixed,
    SymdiffNumpy,
    ByHand,
    Jax,
    Torch,
    Pytensor,
    Casadi,
)
