"""The contestants that are frameworks of arrays: JAX, PyTorch, PyTensor. Each translates SymPy's value."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.contestant import FUNCTIONS, Contestant, Task, of_pairs, of_results, scratch_folder
from benchmarks.formulas import Problem


class Jax(Contestant):
    """jit(vmap(value_and_grad)) of SymPy's value; inputs on the device, every run waits for its results."""

    name, title, needs = "jax", "JAX jit(vmap(value_and_grad))", ("jax",)

    def prepare(self, problem: Problem) -> None:
        import jax
        import sympy

        jax.config.update("jax_enable_x64", True)
        special = {"erf": jax.scipy.special.erf}
        value = sympy.lambdify(problem.symbols, problem.value, modules=[special, "jax"], cse=True)
        both = jax.value_and_grad(value, argnums=tuple(range(len(problem.symbols))))
        self.jax, self.one, self.many = jax, jax.jit(both), jax.jit(jax.vmap(both))

    def _task(self, function: Any, arguments: Sequence[Any]) -> Task:
        wait = self.jax.block_until_ready
        return of_pairs(lambda: wait(function(*arguments)))

    def batch(self, points: np.ndarray) -> Task:
        return self._task(self.many, [self.jax.device_put(row) for row in points])

    def call(self, point: Sequence[float]) -> Task:
        return self._task(self.one, point)


class Torch(Contestant):
    """Forward pass and autograd.grad of the sum over the points; inputs are tensors already."""

    name, title, needs = "torch", "PyTorch autograd, not compiled", ("torch",)

    def prepare(self, problem: Problem) -> None:
        import sympy
        import torch

        torch.set_num_threads(1)
        functions = {name: getattr(torch, name) for name in FUNCTIONS}
        self.torch = torch
        self.value = sympy.lambdify(problem.symbols, problem.value, modules=[functions], cse=True)

    def _value_and_gradient(self, tensors: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
        value = self.value(*tensors)
        return value.detach(), self.torch.autograd.grad(value.sum(), tensors)

    def batch(self, points: np.ndarray) -> Task:
        tensors = [self.torch.from_numpy(row).requires_grad_() for row in points]
        return of_pairs(lambda: self._value_and_gradient(tensors))

    def call(self, point: Sequence[float]) -> Task | None:
        make, float64 = self.torch.tensor, self.torch.float64
        return of_pairs(
            lambda: self._value_and_gradient([make(each, dtype=float64, requires_grad=True) for each in point])
        )


class TorchCompiled(Torch):
    """torch.compile of vmap(grad_and_value): fused C++ loops for this very size."""

    name, title = "torch_compiled", "torch.compile(vmap(grad_and_value))"

    def available(self, problem: Problem) -> str:
        return super().available(problem) or ("" if shutil.which("g++") else "g++")

    def prepare(self, problem: Problem) -> None:
        # No pool of compiling processes beside the contestants.
        os.environ |= {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
        super().prepare(problem)
        places = tuple(range(len(problem.symbols)))
        both = self.torch.func.vmap(self.torch.func.grad_and_value(self.value, argnums=places))
        self.torch.compiler.reset()  # keeps what was compiled for another formula out of the guards
        self.function = self.torch.compile(both, dynamic=False)

    def batch(self, points: np.ndarray) -> Task:
        tensors = [self.torch.from_numpy(row) for row in points]
        with scratch_folder() as folder:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder)
            self.function(*tensors)

        def run() -> tuple[Any, Sequence[Any]]:
            gradients, value = self.function(*tensors)
            return value, gradients

        return of_pairs(run)

    def call(self, point: Sequence[float]) -> Task | None:
        return None


class Pytensor(Contestant):
    """pytensor.function of the value and pytensor.grad of its sum, in its own mode; arguments are not checked."""

    name, title, needs = "pytensor", "PyTensor function", ("pytensor",)

    def prepare(self, problem: Problem) -> None:
        import sympy

        tensor = pytensor_in_scratch().tensor
        functions = {name: getattr(tensor, name) for name in FUNCTIONS}
        self.value = sympy.lambdify(problem.symbols, problem.value, modules=[functions], cse=True)
        self.inputs = problem.case.inputs

    def _function(self, shape: tuple[int, ...]) -> Any:
        pytensor = pytensor_in_scratch()
        variables = [pytensor.tensor.tensor(name, dtype="float64", shape=shape) for name in self.inputs]
        value = self.value(*variables)
        results = [value, *pytensor.grad(value.sum(), variables)]
        borrowed = [pytensor.Out(each, borrow=True) for each in results]
        function = pytensor.function([pytensor.In(each, borrow=True) for each in variables], borrowed)
        function.trust_input = True
        return function

    def batch(self, points: np.ndarray) -> Task:
        function, rows = self._function((points.shape[1],)), list(points)
        return of_results(lambda: function(*rows))

    def call(self, point: Sequence[float]) -> Task:
        function, array = self._function(()), np.asarray
        return of_results(lambda: function(*map(array, point)))


def pytensor_in_scratch() -> Any:
    """PyTensor, which keeps what it compiles in a temporary folder."""
    if "PYTENSOR_FLAGS" not in os.environ:
        with scratch_folder() as folder:
            os.environ["PYTENSOR_FLAGS"] = f"base_compiledir={folder}"
    import pytensor
    import pytensor.tensor.special

    return pytensor
