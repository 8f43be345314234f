"""Arrays that lie a power of two apart go through blocks, and come out with the same bits."""

from __future__ import annotations

import numpy as np
import pytest

import symdiff

INPUTS = 7
SOURCE = " + ".join(f"x{k}*x{k + 1}**2" for k in range(INPUTS - 1)) + " + exp(-x0*x0)"


@pytest.mark.compiler
@pytest.mark.parametrize("distance", [512, 1024, 4096])
@pytest.mark.parametrize("n", [63, 64, 130, 511])
def test_rows_a_power_of_two_apart(distance: int, n: int) -> None:
    kernel = symdiff.formula(SOURCE).gradient().compile("c")
    rows = np.random.default_rng(2).uniform(-2, 2, (INPUTS, distance))
    out = np.full((1 + INPUTS, distance), np.nan)
    kernel(*rows[:, :n], out=tuple(out[:, :n]))
    spread = [np.array(row[:n]) for row in rows]  # each somewhere else
    value, grads = kernel(*spread)
    for row, expected in zip(out, (value, *grads), strict=True):
        assert row[:n].tobytes() == expected.tobytes()
    assert np.isnan(out[:, n:]).all()


@pytest.mark.compiler
def test_numbers_among_such_rows() -> None:
    kernel = symdiff.formula(SOURCE).gradient().compile("c")
    rows = np.random.default_rng(3).uniform(-2, 2, (INPUTS, 512))
    out = np.empty((1 + INPUTS, 512))
    mixed = [*rows[: INPUTS - 2], 0.25, rows[-1][::-1]]
    kernel(*mixed, out=tuple(out))
    value, grads = kernel(*[np.array(np.broadcast_to(given, 512)) for given in mixed])
    for row, expected in zip(out, (value, *grads), strict=True):
        assert row.tobytes() == expected.tobytes()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_stack_of_a_loop_ends_at_a_page(dtype: str) -> None:
    """What the blocks begin, in every batch function: how fast a loop is does not depend on where the stack begins."""
    source = symdiff.formula(SOURCE).gradient().source("c", dtype=dtype)
    real = "double" if dtype == "float64" else "float"
    assert source.count(f"SD_PAGE {real} in_block[INPUTS][SD_BLOCK];") == 2 == source.count("enum { INPUTS")
    assert "#define SD_PAGE __attribute__((aligned(4096)))" in source
