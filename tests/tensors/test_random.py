"""Random formulas of arrays: their C against the values of the tapes, and the gradients against differences."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from render.array_driver import Case, Formula, build, run

import symdiff
from symdiff.ops.evaluate import evaluate
from symdiff.render.c import c_module
from symdiff.render.context import Sheet
from symdiff.shapes import shape_value
from symdiff.tape import Tape, check_tape

FORMULAS = 60
SIZES = [
    {"n": 3, "m": 4},
    {"n": 1, "m": 70},
    {"n": 150, "m": 2},
]  # n - 1 is 0 in the second, and rows are many in the last
Shape = tuple[int | str, ...]
ELEMENTWISE = ["tanh({})", "sin({})", "exp(-({})**2)", "-({})", "sigmoid({})", "({})**2/2", "abs({})", "relu({})"]


class Author:
    """Writes one formula, every part of which has the shape that is asked for. A size is a number, n, m or `n - 1`."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.inputs: dict[str, Shape] = {}
        self.named: dict[str, Shape] = {}
        self.lines: list[str] = []

    def formula(self) -> str:
        last = " + ".join(self.term() for _ in range(self.random.choice([1, 2, 2, 3])))
        for name in ("n", "m"):
            if not any(name in given for given in self.inputs.values()):
                self.inputs[f"only_{name}"] = (name,)
        declared = [f"{name}: {shape_of(shape)}" for name, shape in self.inputs.items()]
        return "\n".join([*declared, *self.lines, last])

    def term(self) -> str:
        shape = tuple(self.size() for _ in range(self.random.choice([1, 2, 2, 2, 3])))
        return f"sum({self.part(shape, self.random.randint(2, 4))}*{self.part(self.smaller(shape), 1)})"

    def size(self) -> int | str:
        sizes: Shape = (1, 1, 2, 3, "n", "m", "n", "n - 1")
        return self.random.choice(sizes)

    def smaller(self, shape: Shape) -> Shape:
        """A shape that broadcasts to `shape`."""
        if self.random.random() < 0.4:
            return shape
        ones = tuple(1 if self.random.random() < 0.3 else size for size in shape)
        return ones[self.random.randint(0, len(shape)) :]

    def part(self, shape: Shape, depth: int) -> str:
        """An expression of `shape`, in brackets where it needs them."""
        makers = [self.binary, self.elementwise, self.elementwise, self.choice, self.product, self.bound]
        makers += [self.cut, self.cut, self.joined, self.joined, self.reduced, self.reduced, self.special, self.turned]
        self.random.shuffle(makers)
        return next(filter(None, (make(shape, depth - 1) for make in makers if depth > 0)), None) or self.leaf(shape)

    def leaf(self, shape: Shape) -> str:
        if "n - 1" in shape:
            axis = shape.index("n - 1")
            items = [*([":"] * axis), self.random.choice(["1:", ":-1"])]
            return f"{self.leaf(replaced(shape, axis, 'n'))}[{', '.join(items)}]"
        known = [name for name, other in self.inputs.items() if other == shape]
        wider = [text for name, other in self.inputs.items() if (text := view(name, other, shape))]
        if wider and self.random.random() < 0.4:
            return self.random.choice(wider)
        if known and self.random.random() < 0.7:
            return self.random.choice(known)
        name = f"x{len(self.inputs)}"
        self.inputs[name] = shape
        return name

    def binary(self, shape: Shape, depth: int) -> str:
        pair = [self.part(shape, depth), self.part(self.smaller(shape), depth)]
        self.random.shuffle(pair)
        return f"({pair[0]} {self.random.choice('+-*')} {pair[1]})"

    def elementwise(self, shape: Shape, depth: int) -> str:
        return f"({self.random.choice(ELEMENTWISE).format(self.part(shape, depth))})"

    def choice(self, shape: Shape, depth: int) -> str:
        sides = [self.smaller(shape), shape]
        self.random.shuffle(sides)
        test = f"{self.leaf(self.smaller(shape))} < {self.random.choice([-0.3, 0.1, 0.5])}"
        return f"where({test}, {self.part(sides[0], depth)}, {self.part(sides[1], depth)})"

    def product(self, shape: Shape, depth: int) -> str | None:
        k = self.size()
        if len(shape) not in (1, 2):
            return None
        left = self.part((shape[0], k), depth)
        if self.random.random() < 0.3:
            left = f"({self.part((k, shape[0]), depth)}).T"
        return f"({left} @ {self.part((k, *shape[1:]), depth)})"

    def bound(self, shape: Shape, depth: int) -> str:
        known = [name for name, other in self.named.items() if other == shape]
        if known and self.random.random() < 0.6:
            return self.random.choice(known)
        text, name = self.part(shape, depth), f"t{len(self.named)}"
        self.named[name] = shape
        self.lines.append(f"{name} = {text}")
        return name

    def cut(self, shape: Shape, depth: int) -> str | None:
        """A slice, an element of an axis, or an axis backwards."""
        axis = self.random.randint(0, len(shape))
        before = [":"] * axis
        if axis == len(shape):
            if axis == 3:
                return None
            wide: Shape = (*shape, self.random.choice([2, 3]))
            return f"({self.part(wide, depth)})[{', '.join([*before, self.random.choice(['0', '-1'])])}]"
        size = shape[axis]
        old: int | str = "n"
        if size == "n - 1":
            text = self.random.choice(["1:", ":-1", ":n - 1"])
        elif isinstance(size, int):
            more = self.random.randint(0, 2)
            start = self.random.randint(0, more)
            old, text = size + more, f"{start}:{start + size}" if more else "::-1"
        else:
            return None
        return f"({self.part(replaced(shape, axis, old), depth)})[{', '.join([*before, text])}]"

    def joined(self, shape: Shape, depth: int) -> str | None:
        """concat, stack, or a new axis of size 1."""
        places = [axis for axis, size in enumerate(shape) if size in (1, 2, 3, "n")]
        if not places:
            return None
        axis = self.random.choice(places)
        size, rest = shape[axis], (*shape[:axis], *shape[axis + 1 :])
        if size == 1:
            if not rest:
                return f"reshape({self.part((), depth)}, (1,))"
            return f"({self.part(rest, depth)})[{', '.join([':'] * axis + ['None'])}]"
        if size == 2 and rest and self.random.random() < 0.5:
            return f"stack({self.part(rest, depth)}, {self.part(rest, depth)}, axis={axis})"
        halves: list[int | str] = [1, "n - 1"] if size == "n" else [1, int(size) - 1]
        self.random.shuffle(halves)
        parts = [self.part(replaced(shape, axis, half), depth) for half in halves]
        return f"concat({parts[0]}, {parts[1]}, axis={axis})"

    def reduced(self, shape: Shape, depth: int) -> str | None:
        axis, size = self.random.randint(0, len(shape)), self.size()
        name = self.random.choice(["sum", "sum", "sum", "mean", "logsumexp", "prod"])
        if name in ("mean", "logsumexp") and size == "n - 1":
            name = "sum"
        if 1 in shape and self.random.random() < 0.7:
            axis = shape.index(1)
            return f"{name}({self.part(replaced(shape, axis, size), depth)}, axis={axis}, keepdims=True)"
        if len(shape) == 3:
            return None
        wide = (*shape[:axis], size, *shape[axis:])
        return f"{name}({self.part(wide, depth)}, axis={axis})"

    def special(self, shape: Shape, depth: int) -> str | None:
        if len(shape) == 2 and shape[0] == shape[1]:
            return f"({self.part(shape, depth)} + 3*eye({shape[0]}))"
        return f"({self.part(shape, depth)} - ones({shape_of(shape)}))" if shape else None

    def turned(self, shape: Shape, depth: int) -> str | None:
        if len(shape) < 2:
            return None
        return f"({self.part(shape[::-1], depth)}).T"


def view(name: str, shape: Shape, wanted: Shape) -> str | None:
    """The first elements along one axis, where that gives the shape that is wanted."""
    if len(shape) == len(wanted):
        for axis, size in enumerate(wanted):
            old = shape[axis]
            if isinstance(old, int) and isinstance(size, int) and old > size and replaced(shape, axis, size) == wanted:
                return f"{name}[{', '.join([':'] * axis + [f'0:{size}'])}]"
    return None


def replaced(shape: Shape, axis: int, size: int | str) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def shape_of(shape: Shape) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def values(tape: Tape, inputs: dict[str, Any], sizes: dict[str, int]) -> list[np.ndarray]:
    """The outputs by the tape's own numbers."""
    known: dict[str, Any] = {name: np.float64(size) for name, size in sizes.items()} | inputs
    for step in tape.steps:
        value = np.broadcast_to(evaluate(step.expr, known, sizes), shape_value(step.shape, sizes))
        known[step.name] = value
        if step.into is not None:
            known[step.into] = value + known[step.into] if step.into in known else value
    return [np.asarray(evaluate(expr, known, sizes)) for _, expr in tape.outputs]


def assert_same(found: list[np.ndarray], wanted: list[np.ndarray], text: str, tolerance: float) -> None:
    for a, b in zip(found, wanted, strict=True):
        scale = np.max(np.abs(b), initial=1.0)
        np.testing.assert_allclose(a, np.broadcast_to(b, np.shape(a)), rtol=0, atol=tolerance * scale, err_msg=text)


def assert_slope(tape: Tape, inputs: dict[str, Any], sizes: dict[str, int], outputs: list[np.ndarray]) -> None:
    """The gradient along one direction against a central difference."""
    rng, step = np.random.default_rng(1), 1e-6
    along = {name: rng.normal(size=array.shape) for name, array in inputs.items()}
    ahead, behind = (
        float(values(tape, {name: array + sign * along[name] for name, array in inputs.items()}, sizes)[0])
        for sign in (step, -step)
    )
    slope = sum(
        float(np.sum(grad * along[label])) for (label, _), grad in zip(tape.outputs[1:], outputs[1:], strict=True)
    )
    assert abs((ahead - behind) / (2 * step) - slope) <= 1e-5 * (1 + abs(slope) + abs(ahead)), tape


@pytest.mark.compiler
@pytest.mark.parametrize("literal", [False, True], ids=["run-time sizes", "literal sizes"])
def test_random_formulas(tmp_path: Path, literal: bool) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    made, cases, wanted, texts = [], [], [], []
    for seed in range(FORMULAS // 2 if literal else FORMULAS):
        text = Author(seed + 1000 * literal).formula()
        for name, size in SIZES[0].items() if literal else ():
            text = re.sub(rf"\b{name}\b", str(size), text)
        program = symdiff.formula(text).gradient()
        people, code = program.tape, program.code_tape
        check_tape(people)
        check_tape(code)
        made.append(Formula(code, c_module(Sheet(f"f_{seed}", program.data, people, code, "gradient"), ["gradient"])))
        for sizes in [dict[str, int]()] if literal else SIZES:
            rng = np.random.default_rng(seed)
            inputs = {given.name: rng.normal(size=shape_value(given.shape, sizes)) for given in code.inputs}
            found = values(code, inputs, sizes)
            assert_same(found, values(people, inputs, sizes), text, 1e-12)
            if sizes.get("n", 0) < 100:  # differences see every kink of many elements
                assert_slope(code, inputs, sizes, found)
            for gemm in (False, True):
                cases.append(Case(seed, sizes, inputs, gemm))
                wanted.append(found)
                texts.append(f"{text}\n{sizes}")
    command = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-O0", "-g0"]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    results = run(build(tmp_path, made, command, "float64", "gradient"), made, cases, "float64")
    for got, right, text in zip(results, wanted, texts, strict=True):
        assert_same(got, right, text, 1e-11)
