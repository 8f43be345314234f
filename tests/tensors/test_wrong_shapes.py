"""Shapes that do not fit: an error with the line, both shapes and the axis, and nothing else, before any number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff

# name: (text, line, words that the message must have)
PROGRAMS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "matrix times vector": ("W: (4, 3)\nx: 4\nW @ x", 3, ("(4, 3)", "(4,)", "axis")),
    "matrix times matrix": ("A: (n, 3)\nB: (4, n)\n\nsum(A @ B)", 4, ("(n, 3)", "(4, n)", "axis")),
    "dimensions of two names": ("X: (n, d)\nw: m\nsum(X @ w)", 3, ("(n, d)", "(m,)", "axis")),
    "a name is not a number": ("x: n\ny: 3\nsum(x + y)", 3, ("(n,)", "(3,)", "axis")),
    "column plus vector": ("x: (3, 1)\ny: (2, 4)\nsum(x*y)", 3, ("(3, 1)", "(2, 4)", "axis")),
    "bias of the wrong form": (
        "X: (n, 3)\nW1: (3, 4)\nb1: (4, 1)\nH = tanh(X @ W1 + b1)\nsum(H)",
        4,
        ("(n, 4)", "(4, 1)", "axis"),
    ),
    "target of another length": ("X: (n, d)\nw: d\ny: m\nsum((X @ w - y)**2)", 4, ("(n,)", "(m,)", "axis")),
    "forgotten transpose": ("Q: (m, d)\nK: (n, d)\nS = Q @ K\nsum(S)", 3, ("(m, d)", "(n, d)", "axis")),
    "dot": ("x: 3\ny: 4\ndot(x, y)", 3, ("(3,)", "(4,)", "axis")),
    "solve": ("A: (3, 3)\nb: 4\nsum(solve(A, b))", 3, ("(3, 3)", "(4,)", "axis")),
    "concat": ("A: (n, 3)\nB: (m, 2)\nsum(concat(A, B, axis=0))", 3, ("(n, 3)", "(m, 2)", "axis")),
    "stack": ("a: 3\nb: 4\nsum(stack(a, b))", 3, ("(3,)", "(4,)", "axis")),
    "where": ("x: 3\ny: 2\nsum(where(x > 0, x, y))", 3, ("(3,)", "(2,)", "axis")),
    "batches": ("A: (2, m, k)\nB: (3, k, n)\nsum(A @ B)", 3, ("(2, m, k)", "(3, k, n)", "axis")),
    "in a helper": ("x: 3\ny: 4\ndef f(a, b): return a*b\nsum(f(x, y))", 3, ("(3,)", "(4,)", "axis")),
    "slices of unlike length": ("x: n\nsum(x[1:]*x[:-2])", 2, ("(n - 1,)", "(n - 2,)", "axis")),
}

# What concerns one array: its shape is named, and what was asked of it.
OTHERS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "an axis that is not there": ("X: (n, 3)\nsum(X, axis=2)", 2, ("(n, 3)", "axis 2")),
    "an index out of range": ("x: 3\nx[3]", 2, ("(3,)", "axis 0", "3")),
    "too many indices": ("x: 3\nx[0, 1]", 2, ("(3,)",)),
    "inverse of a rectangle": ("A: (2, 3)\nsum(inv(A))", 2, ("(2, 3)",)),
    "trace of a vector": ("v: 3\ntrace(v)", 2, ("(3,)",)),
    "outer of matrices": ("A: (2, 3)\nv: 3\nsum(outer(A, v))", 3, ("(2, 3)",)),
    "reshape to another size": ("x: 6\nsum(reshape(x, (4, 2)))", 2, ("(6,)", "(4, 2)")),
    "a scalar in a matrix product": ("x: ()\ny: 3\nsum(x @ y)", 3, ("()", "(3,)")),
}


def refused(text: str) -> symdiff.ShapeError:
    with pytest.raises(symdiff.ShapeError) as caught:
        symdiff.formula(text).gradient()
    return caught.value


@pytest.mark.parametrize("name", PROGRAMS)
def test_two_shapes_that_do_not_fit(name: str) -> None:
    text, line, words = PROGRAMS[name]
    error = refused(text)
    assert error.line == line and f"line {line}, column " in str(error)
    for word in words:
        assert word in error.message, f"{word!r} is not in: {error}"
    assert str(error).splitlines()[-1].strip(" |") == "^"


@pytest.mark.parametrize("name", OTHERS)
def test_one_shape_that_does_not_fit(name: str) -> None:
    text, line, words = OTHERS[name]
    error = refused(text)
    assert error.line == line, error
    for word in words:
        assert word in error.message, f"{word!r} is not in: {error}"


def test_the_gradient_of_an_array_says_what_to_do() -> None:
    message = refused("X: (n, 3)\nX*2").message
    for words in ("(n, 3)", "sum it", "pick a component"):
        assert words in message


def test_there_are_at_least_twelve() -> None:
    assert len(PROGRAMS) >= 12


# -- calls -------------------------------------------------------------------------------------------------------------

REGRESSION = "X: (n, d); y: n; w: d; b: (); mean((X @ w + b - y)**2)"
CALLS: dict[str, tuple[dict[str, tuple[int, ...]], tuple[str, ...]]] = {
    "n differs": ({"X": (5, 3), "y": (4,), "w": (3,), "b": ()}, ("X", "y", "(5, 3)", "(4,)", "axis 0")),
    "d differs": ({"X": (5, 3), "y": (5,), "w": (2,), "b": ()}, ("X", "w", "(5, 3)", "(2,)", "axis")),
    "a column for a vector": ({"X": (5, 3), "y": (5, 1), "w": (3,), "b": ()}, ("y", "(5, 1)")),
    "no broadcasting of arguments": ({"X": (5, 3), "y": (1,), "w": (3,), "b": ()}, ("X", "y", "(1,)", "axis 0")),
    "an array for a number": ({"X": (5, 3), "y": (5,), "w": (3,), "b": (5,)}, ("b", "(5,)")),
    "a leading batch axis": ({"X": (2, 5, 3), "y": (5,), "w": (3,), "b": ()}, ("X", "(2, 5, 3)")),
    "a number for an array": ({"X": (5, 3), "y": (), "w": (3,), "b": ()}, ("y", "()")),
}


@pytest.mark.parametrize("backend", ["numpy", pytest.param("c", marks=pytest.mark.compiler)])
@pytest.mark.parametrize("name", CALLS)
def test_a_call_names_the_arguments(name: str, backend: str) -> None:
    shapes, words = CALLS[name]
    kernel: Any = symdiff.formula(REGRESSION).gradient().compile(backend=backend)
    with pytest.raises(symdiff.ShapeError) as caught:
        kernel(**{key: np.ones(shape) for key, shape in shapes.items()})
    for word in words:
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"


@pytest.mark.parametrize("backend", ["numpy", pytest.param("c", marks=pytest.mark.compiler)])
def test_literal_sizes_are_exact(backend: str) -> None:
    kernel: Any = symdiff.formula("W: (4, 3); x: 3; sum(tanh(W @ x))").gradient().compile(backend=backend)
    with pytest.raises(symdiff.ShapeError) as caught:
        kernel(W=np.ones((3, 4)), x=np.ones(3))
    for word in ("W", "(3, 4)", "(4, 3)"):
        assert word in str(caught.value), f"{word!r} is not in: {caught.value}"


@pytest.mark.parametrize("backend", ["numpy", pytest.param("c", marks=pytest.mark.compiler)])
@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("x: n; sum(x[:-2]**2)", {"x": (1,)}),
        ("x: n; x[2]**2", {"x": (2,)}),
        ("x: n; y: m; sum(x[:m]*y)", {"x": (2,), "y": (3,)}),
        ("x: n; sum(reshape(x, (2, 2)))", {"x": (3,)}),
    ],
)
def test_sizes_that_do_not_fit_the_formula(text: str, shapes: dict[str, tuple[int, ...]], backend: str) -> None:
    """An index, a slice or a reshape that depends on a size is checked when the size is known, in both backends."""
    kernel: Any = None
    with pytest.raises(symdiff.ShapeError):
        kernel = symdiff.formula(text).gradient().compile(backend=backend)
        kernel(**{key: np.ones(shape) for key, shape in shapes.items()})
