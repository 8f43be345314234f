"""Quotients by sizes as Python's own numbers: only where its arithmetic cannot raise, and results are NumPy's."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

import symdiff

PLAIN = [
    "x: n; mean(x**3)",
    "X: (n, 3); b: 3; mean((X + b)**2)",
    "X: (n, m); mean(sin(X))",
    "x: n; mean(x*x*x)*2",
    "x: n; 5/n*sum(x)",
]
NOT_PLAIN = [
    "x: n; mean(x)/mean(x**2)",  # of which a quotient is made
    "x: n; sqrt(mean(x))",
    "x: n; c = 1/n; sum(x/c)",
    "x: n; c = 1/n; sum(x)**c + sum(x)",
    "x: n; c = 1/n; sum(c + x)",
    "x: n; y: m; c = 1/(n - m); sum(c*x) + sum(y)",  # infinite of either sign
    "x: n; c = 1/n; sum(c*x) + c",
    "x: n; c = -2/n; sum(c*x)",
]


def module_of(text: str, dtype: str = "float64") -> tuple[str, ModuleType]:
    source = symdiff.formula(text).gradient().source("python", dtype=dtype)
    module = ModuleType("generated")
    exec(compile(source, "generated", "exec"), module.__dict__)
    return source.partition("def gradient(")[2], module


def with_sizes(text: str, size: int) -> list[np.ndarray]:
    declared = symdiff.formula(text).data.declared
    return [np.ones([size if isinstance(part, str) else part for part in given.shape]) for given in declared]


@pytest.mark.parametrize("text", PLAIN)
def test_where_it_is_one(text: str) -> None:
    assert " else np.inf" in module_of(text)[0]
    assert " else np.inf" not in module_of(text, "float32")[0]


@pytest.mark.parametrize("text", NOT_PLAIN)
def test_where_it_is_none(text: str) -> None:
    assert " else np.inf" not in module_of(text)[0]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", PLAIN + NOT_PLAIN)
def test_sizes_of_zero_raise_nothing_and_numbers_are_those_of_numpy(text: str) -> None:
    _, module = module_of(text)
    value, gradient = module.gradient(*with_sizes(text, 0))
    assert isinstance(value, np.float64)
    value, gradient = module.gradient(*with_sizes(text, 2))
    assert isinstance(value, np.float64) and all(each.dtype == np.float64 for each in gradient)
