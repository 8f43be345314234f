"""Every formula of the corpus against JAX, in NumPy and in C: values, gradients, sizes, memory layouts."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from tensors.corpus import ENTRIES, Array, Entry, Sizes, expected, reference_function

import symdiff

TOLERANCE = 1e-9  # of an array's largest component
ZERO = 1e-13  # rounding of what is 0 in exact arithmetic, for entries of size 1

# Name-major, so that pytest-xdist hands both backends of a formula to the worker that has its references.
EVERY = [
    pytest.param(name, backend, id=f"{name}-{backend}", marks=[pytest.mark.compiler] if backend == "c" else [])
    for name in ENTRIES
    for backend in ("numpy", "c")
]


@cache
def kernel_of(name: str, backend: str) -> Any:
    entry = ENTRIES[name]
    formula: Any = symdiff.formula(entry.text)
    if entry.bind:
        formula = formula.bind(**entry.bind)
    program = formula.value() if entry.value_only else formula.gradient()
    return program.compile(backend=backend)


def results(entry: Entry, kernel: Any, arguments: dict[str, Any]) -> list[Any]:
    """The value, then the gradients, as the kernel returns them."""
    if entry.value_only:
        return [kernel(**arguments)]
    value, gradients = kernel(**arguments)
    assert len(gradients) == len(entry.wrt)
    return [value, *gradients]


def assert_form(got: Any, shape: tuple[int, ...], label: str) -> None:
    """Exact shapes; a number is a Python float, an array is new, float64 and C-contiguous."""
    if shape == ():
        assert type(got) is float, f"{label}: {type(got)}"
        return
    assert type(got) is np.ndarray, f"{label}: {type(got)}"
    assert (got.shape, got.dtype) == (shape, np.float64), f"{label}: {got.shape} {got.dtype}"
    assert got.flags.c_contiguous and got.flags.writeable, label


def assert_close(got: Any, want: Array, label: str, *, scale: float = 0.0) -> None:
    if want.size == 0:
        return
    assert np.array_equal(np.isnan(got), np.isnan(want)), f"{label}: NaN in other places\n{got}\nfor\n{want}"
    finite = np.isfinite(want)
    assert np.array_equal(np.asarray(got)[~finite], want[~finite], equal_nan=True), f"{label}: {got} for {want}"
    size = max(float(np.max(np.abs(want[finite]), initial=0.0)), scale)
    error = float(np.max(np.abs(np.asarray(got)[finite] - want[finite]), initial=0.0))
    assert error <= TOLERANCE * size + ZERO, f"{label}: error {error:.1e} for entries of size {size:.1e}\n{got}\n{want}"


def check(entry: Entry, kernel: Any, sizes: Sizes) -> list[Any]:
    """Compare one call with the reference; returns the results."""
    answer = expected(entry, sizes)
    got = results(entry, kernel, entry.given(sizes))
    inputs = {given.name: given for given in entry.inputs}
    labels = ["value", *entry.wrt]
    shapes = [answer.value.shape, *(inputs[name].shape(sizes) for name in entry.wrt)]
    for label, part, shape, want in zip(labels, got, shapes, [answer.value, *answer.gradients], strict=False):
        place = f"{entry.name} at {dict(sizes)}: {label}"
        assert_form(part, shape, place)
        assert_close(part, want, place, scale=float(entry.absolute))
    return got


def as_bytes(parts: list[Any]) -> list[bytes]:
    return [np.asarray(part).tobytes() for part in parts]


# -- the collection itself ---------------------------------------------------------------------------------------------

ARRAY_FUNCTIONS = """sum mean prod amax amin norm norm1 norm2 dot outer trace det logdet inv solve cholesky diag eye
    zeros ones concat stack reshape softmax logsumexp cumsum max min where""".split()


def test_the_collection_is_broad() -> None:
    assert len(ENTRIES) >= 70
    text = "\n".join(entry.text for entry in ENTRIES.values())
    calls = Counter(re.findall(r"\b(\w+)\(", text))
    for function in ARRAY_FUNCTIONS:
        assert calls[function] >= 1, function
    for spelling in ("@", ".T", ".mT", "axis=", "keepdims=True", "[:, None]", "::", "const(", ": function", "def "):
        assert spelling in text, spelling
    assert sum(len(entry.cases) > 1 for entry in ENTRIES.values()) >= 70


@pytest.mark.peer("jax")
def test_every_formula_has_one_reference() -> None:
    for name in ENTRIES:
        assert reference_function(name)


# -- the numbers -------------------------------------------------------------------------------------------------------


@pytest.mark.peer("jax")
@pytest.mark.parametrize(("name", "backend"), EVERY)
def test_numbers_at_all_sizes(name: str, backend: str) -> None:
    """One kernel for every size, and the first sizes once more at the end: bits do not depend on what came before."""
    entry, kernel = ENTRIES[name], kernel_of(name, backend)
    assert list(kernel.inputs) == [given.name for given in entry.inputs]
    if not entry.value_only:
        assert tuple(kernel.wrt) == entry.wrt
    first = check(entry, kernel, entry.sizes)
    for sizes in entry.also:
        check(entry, kernel, sizes)
    if entry.also:
        assert as_bytes(check(entry, kernel, entry.sizes)) == as_bytes(first)


def _strided(x: Array) -> Array:
    wide = np.full([2 * size for size in x.shape], np.nan)
    view = wide[tuple(slice(None, None, 2) for _ in x.shape)]
    view[...] = x
    return view


def _reversed(x: Array) -> Array:
    turned = tuple(slice(None, None, -1) for _ in x.shape)
    return x[turned].copy()[turned]


def _read_only(x: Array) -> Array:
    copy = x.copy()
    copy.flags.writeable = False
    return copy


LAYOUTS = {"Fortran": np.asfortranarray, "strided": _strided, "reversed": _reversed, "read-only": _read_only}


@pytest.mark.parametrize(("name", "backend"), EVERY)
def test_results_do_not_depend_on_memory_layout(name: str, backend: str) -> None:
    entry, kernel = ENTRIES[name], kernel_of(name, backend)
    plain = entry.given(entry.sizes)
    want = as_bytes(results(entry, kernel, plain))
    for layout, spread in LAYOUTS.items():
        arrays = {key: spread(x) if isinstance(x, np.ndarray) else x for key, x in plain.items()}
        assert as_bytes(results(entry, kernel, arrays)) == want, layout
        for key, array in arrays.items():
            assert np.array_equal(array, plain[key]), f"{layout}: {key} was modified"
    if all(given.default is None for given in entry.inputs):
        by_position = kernel(*plain.values())
        by_position = [by_position] if entry.value_only else [by_position[0], *by_position[1]]
        assert as_bytes(by_position) == want
