"""The corpus of array formulas: what its entries mean, data for them, and what their references say.

Shapes are read from the text by a few regular expressions of our own, so that a fault of the front end cannot hide in
the data. A reference is a function of the formula's name over JAX arrays, written by hand in float64; its arguments are
the inputs, in order. It knows sizes from the arrays alone.
"""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Sizes = Mapping[str, int]
MODULES = ("reference_algebra", "reference_learning", "reference_statistics", "reference_structure")
_DECLARATION = re.compile(r"(\w+)\s*:\s*(const)?\s*(\([^)]*\)|\w+)?\s*(?:=\s*(.*))?$")


@dataclass(frozen=True)
class Input:
    """A declared input, as the text says it."""

    name: str
    dims: tuple[str, ...]
    constant: bool
    default: Any = None

    def shape(self, sizes: Sizes) -> tuple[int, ...]:
        return tuple(int(dim) if dim.isdigit() else sizes[dim] for dim in self.dims)


@dataclass(frozen=True)
class Entry:
    """One formula of corpus.toml."""

    name: str
    text: str
    sizes: dict[str, int] = field(default_factory=dict)
    also: tuple[dict[str, int], ...] = ()
    data: dict[str, str] = field(default_factory=dict)
    bind: dict[str, str] = field(default_factory=dict)
    value_only: bool = False
    absolute: bool = False  # the exact value is 0, so errors are measured against 1
    seed: int = 0

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(_declarations(self.text))

    @property
    def wrt(self) -> tuple[str, ...]:
        return tuple(given.name for given in self.inputs if not given.constant)

    @property
    def cases(self) -> tuple[dict[str, int], ...]:
        """Sizes of the main test, then all others."""
        return (self.sizes, *self.also)

    def arguments(self, sizes: Sizes) -> dict[str, Any]:
        """Values for all inputs, in order; an input with a default gets the default."""
        rng = np.random.default_rng([self.seed or zlib.crc32(self.name.encode()), *sizes.values()])
        values: dict[str, Any] = {}
        for given in self.inputs:
            made = MAKERS[self.data.get(given.name, "normal")](rng, given.shape(sizes))
            if given.default is not None:
                made = np.array(given.default, dtype=np.float64)
            values[given.name] = made if given.dims else float(made)
        return values

    def given(self, sizes: Sizes) -> dict[str, Any]:
        """What a call must give: all but the inputs with defaults."""
        defaults = {given.name for given in self.inputs if given.default is not None}
        return {name: value for name, value in self.arguments(sizes).items() if name not in defaults}


def _declarations(text: str) -> list[Input]:
    inputs = []
    for line in re.split(r"[\n;]", text):
        code = line.partition("#")[0].strip()
        match = _DECLARATION.match(code)
        if match is None or code.endswith((": function", ": function()")):
            continue
        name, const, dims, default = match.groups()
        sizes = tuple(dim for dim in re.split(r"[(),\s]+", dims or "") if dim)
        inputs.append(Input(name, sizes, const is not None, ast.literal_eval(default) if default else None))
    return inputs


# -- data ------------------------------------------------------------------------------------------------------------

Maker = Callable[[np.random.Generator, tuple[int, ...]], Array]


def _spd(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    half = rng.standard_normal(shape)
    return half @ np.swapaxes(half, -1, -2) / max(1, shape[-1]) + np.eye(shape[-1])


def _symmetric(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    half = rng.standard_normal(shape)
    return (half + half.T) / 2


def _symmetric_bits(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    upper = np.triu(rng.integers(0, 2, shape), 1)
    return (upper + upper.T).astype(np.float64)


def _onehot(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    *rows, columns = shape
    return np.eye(columns)[rng.integers(0, max(1, columns), rows)]


MAKERS: dict[str, Maker] = {
    "normal": lambda rng, shape: np.asarray(rng.standard_normal(shape)),
    "positive": lambda rng, shape: np.asarray(rng.uniform(0.5, 2, shape)),
    "unit": lambda rng, shape: np.asarray(rng.uniform(0.1, 0.9, shape)),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], shape),
    "bits": lambda rng, shape: rng.integers(0, 2, shape).astype(np.float64),
    "counts": lambda rng, shape: rng.poisson(2, shape).astype(np.float64),
    "onehot": _onehot,
    "causal": lambda rng, shape: np.tril(np.ones(shape)),
    "spd": _spd,
    "symmetric": _symmetric,
    "symmetric_bits": _symmetric_bits,
    "dominant": lambda rng, shape: rng.standard_normal(shape) + 2 * shape[-1] * np.eye(shape[-1]),
}

ENTRIES: dict[str, Entry] = {
    entry["name"]: Entry(**{**entry, "also": tuple(entry.get("also", ()))})
    for entry in tomllib.loads((Path(__file__).parent / "corpus.toml").read_text("ascii"))["formula"]
}


# -- references --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """Value and gradients in wrt order; no gradients of an entry that is `value_only`."""

    value: Array
    gradients: tuple[Array, ...]


def reference_function(name: str) -> Callable[..., Any]:
    """The function called `name` in one of the reference modules."""
    found = [getattr(module, name) for module in map(_module, MODULES) if hasattr(module, name)]
    assert len(found) == 1, f"{name}: {len(found)} references"
    return found[0]


@cache
def _module(name: str) -> Any:
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_disable_most_optimizations", True)  # compiling is what takes time
    return importlib.import_module(f"tensors.{name}")


def expected(entry: Entry, sizes: Sizes) -> Expected:
    """What JAX says."""
    return _expected(entry.name, tuple(sizes.items()))


@cache
def _expected(name: str, sizes: tuple[tuple[str, int], ...]) -> Expected:
    entry = ENTRIES[name]
    function = reference_function(name)  # sets JAX up
    import jax

    arguments = list(entry.arguments(dict(sizes)).values())
    if entry.value_only:
        return Expected(np.asarray(jax.jit(function)(*arguments)), ())
    places = tuple(place for place, given in enumerate(entry.inputs) if not given.constant)
    value, gradients = jax.jit(jax.value_and_grad(function, argnums=places))(*arguments)
    return Expected(np.asarray(value), tuple(np.asarray(gradient) for gradient in gradients))
