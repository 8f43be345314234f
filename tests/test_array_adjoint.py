"""The reverse sweep over arrays where elements meet: branches, repeated operands, constants."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symdiff
from symdiff.tape import check_tape

NOT_TAKEN = {  # formula, point, gradient: what is not taken is infinite or NaN, and contributes exactly 0
    "reduction": ("x: n; y: (); where(y > 0, sum(sqrt(x)), y)", {"x": [0, -1, 4], "y": -1}, {"x": [0, 0, 0], "y": 1}),
    "linear algebra": ("A: (n, n); y: (); where(y > 0, logdet(A), y)", {"A": np.zeros((2, 2)), "y": -1}, {"y": 1}),
    "scalar": ("t: n; s: (); sum(where(t > 0, t*log(s), 0))", {"t": [-1, -2], "s": 0}, {"t": [0, 0], "s": 0}),
    "broadcast": (
        "x: 2; y: (3, 2); sum(where(y > 0, log(x), 0))",
        {"x": [0, 1], "y": [[-1, 1], [-1, 2], [0, 3]]},
        {"x": [0, 3]},
    ),
    "sum over an axis": (
        "X: (n, 2); c: n; sum(where(c > 0, sum(log(X), axis=1), 0))",
        {"X": [[0, 1], [2, 4]], "c": [-1, 1]},
        {"X": [[0, 0], [0.5, 0.25]]},
    ),
    "product": (
        "X: (n, 2); w: 2; c: n; sum(where(c > 0, X @ log(w), 0))",
        {"X": [[0, 1], [2, 3]], "c": [-1, -1], "w": [0, 1]},
        {"X": [[0, 0], [0, 0]], "w": [0, 0]},
    ),
    "index": (
        "X: (n, 2); c: n; sum(where(c > 0, log(X)[:, 0], 0))",
        {"X": [[0, 0], [2, 3]], "c": [-1, 1]},
        {"X": [[0, 0], [0.5, 0]]},
    ),
    "concatenation": (
        "x: n; y: n; c: (2, n); sum(where(c > 0, stack(log(x), y), 0))",
        {"x": [0, 2], "y": [1, 1], "c": [[-1, 1], [1, -1]]},
        {"x": [0, 0.5], "y": [1, 0]},
    ),
    "both branches": (
        "X: (n, 2); a: (); sum(where(X > 0, X*a, X*a**2))",
        {"X": [[0, 1], [2, -3]], "a": 2},
        {"X": [[4, 2], [2, 4]], "a": -9},
    ),
}
CONSTANT_PARTS = {
    "power 0": ("x: n; sum(x**0)", {"x": [1, 2]}, 2.0),
    "power 0 in a product": ("X: (n, 3); sum(X**0 @ ones(3))", {"X": np.ones((2, 3))}, 6.0),
    "statement and an array": ("x: (3, 3); c = 0.5; sum(x + eye(3))*c", {"x": np.ones((3, 3))}, 6.0),
    "statement and zeros": ("x: n; c = 0.5; sum(x + zeros(n))*c", {"x": [1, 2]}, 1.5),
    "condition": ("x: n; sum(where(1 < 2, 3, x))", {"x": [1, 2, 3]}, 9.0),
}


@pytest.mark.parametrize("name", NOT_TAKEN)
def test_a_branch_not_taken_contributes_nothing(name: str) -> None:
    text, point, expected = NOT_TAKEN[name]
    program = symdiff.formula(text).gradient()
    check_tape(program.tape)
    check_tape(program.code_tape)
    _, grads = program.compile("numpy")(**point)
    found = program.trace(point).gradient
    for variable, wanted in expected.items():
        np.testing.assert_array_equal(found[variable], wanted)
        np.testing.assert_array_equal(getattr(grads, variable), wanted)


@pytest.mark.compiler
@pytest.mark.parametrize("name", NOT_TAKEN)
def test_nor_does_it_in_c(name: str) -> None:
    text, point, expected = NOT_TAKEN[name]
    _, grads = symdiff.formula(text).gradient().compile("c")(**point)
    for variable, wanted in expected.items():
        np.testing.assert_array_equal(getattr(grads, variable), wanted)


@pytest.mark.parametrize("name", CONSTANT_PARTS)
def test_constants_have_the_shape_of_their_step(name: str) -> None:
    text, point, expected = CONSTANT_PARTS[name]
    program = symdiff.formula(text).gradient()
    check_tape(program.code_tape)
    value, grads = program.compile("numpy")(**point)
    assert value == expected == program.trace(point).value
    assert all(np.shape(grad) == np.shape(point[key]) for key, grad in grads._asdict().items())


@pytest.mark.parametrize(
    ("text", "point", "words"),
    [
        ("x: n; sum(x[1:])/n", {"x": []}, "the slice 1:n of an axis of size n is out of range (n = 0)"),
        ("x: n; x[n-3]", {"x": [1, 2]}, "the index n - 3 of an axis of size n is out of range (n = 2)"),
        ("x: n; sum(x)", {"x": [1], "n": 1}, "'n' is a dimension, whose size the arrays give"),
    ],
)
def test_points_that_do_not_fit(text: str, point: dict[str, Any], words: str) -> None:
    with pytest.raises(symdiff.SymdiffError) as caught:
        symdiff.formula(text).gradient().trace(point)
    assert words in str(caught.value)


def test_dtypes_by_name_and_by_type() -> None:
    program = symdiff.formula("x: n; sum(x)").gradient()
    for dtype in ("float32", np.float32, np.dtype("float32")):
        kernel = program.compile("numpy", dtype=dtype)  # type: ignore[arg-type]  # as NumPy's users write it
        assert kernel([1, 2])[1].x.dtype == np.float32
    with pytest.raises(symdiff.UnsupportedError, match="no kernels in 'int32'"):
        program.compile("numpy", dtype="int32")  # type: ignore[arg-type]
