"""NumPy on arrays of symbols: what it makes of them keeps working, and what it cannot do says what to write."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff
from symdiff import Scalar
from symdiff.programs import lines

F = symdiff.functions


def refused(program: Any, *shapes: Any, kind: type[symdiff.SymdiffError] = symdiff.UnsupportedError) -> str:
    """What the refusal of the program says, without the source line that it shows (which holds the test's own text)."""
    with pytest.raises(kind) as caught:
        symdiff.trace_function(program, *shapes)
    message, place = str(caught.value).split("\n", 1)
    assert place.startswith(f"  {__file__}, line {program.__code__.co_firstlineno}\n")
    return message


def _in_place(W: Any, x: Any) -> Any:
    h = W * 1.0
    same = h
    h += 1
    h **= 2
    np.multiply(h, x, out=h, where=[[True, False], [False, True]])
    np.tanh(h, out=h)
    np.add(W, h, out=h)
    assert same is h
    return h.sum()


def _at(W: Any, x: Any) -> Any:
    h = W.ravel() * 1.0
    np.add.at(h, [0, 0, 3], x)
    np.maximum.at(h, [1], 0.5)
    return (h * [1.0, 2.0, 3.0, 4.0]).sum()


# Programs over a matrix and a number, each of which NumPy runs on floats as well.
WORKING: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("softmax", lambda W, x: (np.exp(W - np.max(W)) / np.exp(W - W.max()).sum())[0, 1] * x),
    ("max over axes", lambda W, x: np.max(W, axis=(0, 1)) + W.min() * x + np.max(W, axis=0)[1]),
    ("max kept", lambda W, x: (W - np.max(W, keepdims=True) + np.min(W, axis=(0, 1), keepdims=True)).sum() * x),
    ("max from", lambda W, x: np.max(W, initial=0.5) + np.max(W, initial=9.0) * x),
    ("hypot over axes", lambda W, x: np.hypot.reduce(W, axis=None) * x),
    ("sum where", lambda W, x: np.sum(W, where=[True, False]) * x + np.sum(W, axis=0, where=W.shape[0] > 1)[1]),
    ("prod where", lambda W, x: np.prod(W, where=[[True, False], [True, True]]) * x),
    ("mean where", lambda W, x: np.mean(W, where=[True, False]) * x),
    ("max where", lambda W, x: np.max(W, where=[True, False], initial=0.0) * x),
    ("in place", _in_place),
    ("sum out", lambda W, x: np.sum(W, axis=0, out=np.zeros_like(W[0])).sum() * x),
    ("at", _at),
    ("reduceat", lambda W, x: np.tanh(np.add.reduceat(W.ravel() * x, [0, 3])).sum()),
    ("dtype of objects", lambda W, x: np.sum(W * x, dtype=object)),
    ("0-d right", lambda W, x: x * W[:1, :1].squeeze() + x ** W[1:, 1:].squeeze() - x / W[:1, 1:].squeeze()),
    ("0-d left", lambda W, x: W[:1, :1].squeeze() * x + W[1:, 1:].squeeze() ** x),
    ("0-d itself", lambda W, x: x * np.asarray(x) + W.sum()),
    ("0-d compared", lambda W, x: F.where(x > W[:1, :1].squeeze(), x, 2 * x)),
    ("0-d named", lambda W, x: F.named(W[:1, :1].squeeze(), "corner") * x),
    ("0-d condition", lambda W, x: F.where(np.asarray(x > 0.5), x, 2 * x)),
    ("hstack", lambda W, x: np.tanh(np.hstack([W[0], [1.0]])).sum() * x),
    ("vstack", lambda W, x: np.maximum(np.vstack([W, np.ones(2)]), x).sum()),
    ("concatenate", lambda W, x: np.exp(np.concatenate([np.zeros(2), W[0] * x])).sum()),
    ("stack of numbers", lambda W, x: np.tanh(np.stack([x, 1.0, W[0, 0]])).sum()),
    ("hstack of numbers", lambda W, x: np.tanh(np.hstack([x, [1.0, 2.0]])).sum()),
    ("append and pad", lambda W, x: np.cos(np.append(W[0], x)).sum() + np.cos(np.pad(W, 1)).sum()),
    ("block", lambda W, x: np.maximum(np.block([[W], [np.ones((1, 2))]]), x).sum()),
    ("split", lambda W, x: sum(np.tanh(part).sum() for part in np.split(W, 2)) * x),
    ("meshgrid", lambda W, x: np.tanh(np.meshgrid(W[0], [1.0, x])[1]).sum()),
    ("var of one", lambda W, x: np.var(x) + np.var(W) + np.std(W, axis=0)[0] * x + np.mean(x)),
    ("array", lambda W, x: np.tanh(F.array([x, 1.0, W[0, 0]])).sum()),
    ("array filled later", lambda W, x: np.tanh(F.array(_filled(x))).sum() * W[0, 0]),
]


def _filled(x: Any) -> Any:
    made = np.zeros(2, dtype=object)
    made[0] = x
    return made


@pytest.mark.parametrize("program", [case[1] for case in WORKING], ids=[case[0] for case in WORKING])
def test_value_and_derivative_are_those_of_numpy_on_floats(program: Any) -> None:
    W, x = np.array([[0.25, 1.5], [0.75, 2.0]]), 1.25
    formula = symdiff.trace_function(program, (2, 2), ())
    trace = formula.gradient().trace({"W": W, "x": x})

    def on_floats(W: Any, x: Any) -> float:
        return float(program(F.array(W), x))

    assert trace.value == pytest.approx(on_floats(W, x), rel=1e-14)
    step, direction = 1e-6, np.array([[0.5, -1.0], [0.25, 1.0]])
    up, down = (on_floats(W + s * step * direction, x + s * step) for s in (1, -1))
    sent = float(np.sum(trace.gradient["W"] * direction)) + trace.gradient["x"]
    assert (up - down) / (2 * step) == pytest.approx(sent, rel=1e-6, abs=1e-8)


def test_elements_outside_the_mask_stay_and_make_no_step() -> None:
    def program(W: Any) -> Any:
        h = W * 3.0
        given = np.add(W, 1.0, out=h, where=np.array([True, False]))
        assert given is h
        return h[0] * h[1]

    formula = symdiff.trace_function(program, 2)
    assert [step.op for step in formula.primal.steps] == ["mul", "mul", "add", "mul"]
    assert formula.value().trace({"W": [2.0, 5.0]}).value == (2 + 1) * (5 * 3)


def test_scalars_go_through_the_same_functions() -> None:
    a, b = Scalar(2.0), Scalar(-1.0)
    largest = np.max(np.stack([[a, b], [1.0, 0.5]])) + np.sum(F.array([a, b]), where=F.array([a, b]) > 0)
    np.tanh(np.hstack([a, [1.0]])).sum()
    largest.backward()
    assert (largest.data, a.grad, b.grad) == (4.0, 2.0, 0.0)


REFUSED: list[tuple[str, Callable[[Any, Any], Any], str]] = [
    ("plain", lambda W, x: np.tanh(np.array([x, 1.0])).sum(), r"write symdiff\.functions\.array\(\[x, 1\.0\]\)"),
    ("plain filled", lambda W, x: np.tanh(_filled(x)).sum(), r"write symdiff\.functions\.array\("),
    ("empty", lambda W, x: np.tanh(np.empty(2, dtype=object)).sum(), r"^an operand is None: np\.empty"),
    ("empty sum", lambda W, x: (x + np.empty(2, dtype=object)).sum(), r"^an operand is None: np\.empty"),
    ("plain method", lambda W, x: np.exp2(np.array([x])).sum(), r"^np\.exp2 is not known for symbols"),
    ("where alone", lambda W, x: np.add(W, 1.0, where=[True, False]).sum(), r"without out= leaves elements undefined"),
    ("out of floats", lambda W, x: np.exp(W, out=np.zeros((2, 2))).sum(), "do not go into an array of floats"),
    ("sum out of floats", lambda W, x: np.sum(W, 0, out=np.zeros(2)).sum(), "do not go into an array of floats"),
    ("at floats", lambda W, x: np.add.at(np.zeros(2), [0], x), "do not go into an array of floats"),
    ("dtype", lambda W, x: np.sum(W, dtype=float), "no dtype.*leave dtype= out"),
    ("remainder", lambda W, x: (W % 1).sum(), r"^np\.remainder .*sin and cos of an angle"),
    ("floor division", lambda W, x: (W // 1).sum(), r"^np\.floor_divide .*sin and cos of an angle"),
    ("remainder of one", lambda W, x: x % 1, "no useful derivative.*sin and cos of an angle"),
    ("pow of three", lambda W, x: pow(x, 2, 3), r"pow\(x, y, n\) have no useful derivative"),
    ("pow of three arrays", lambda W, x: pow(W, 2, 3).sum(), r"pow\(x, y, n\) have no useful derivative"),
    ("round", lambda W, x: np.round(W).sum(), r"^np\.round .*without rounding"),
    ("round of one", lambda W, x: np.round(x), r"^np\.round .*without rounding"),
    ("nansum", lambda W, x: np.nansum(W), r"^np\.nansum .*without nan in its name"),
    ("nanmax", lambda W, x: np.nanmax(W), r"^np\.nanmax .*without nan in its name"),
    ("isnan", lambda W, x: np.isnan(W).sum(), r"^np\.isnan .*no value yet"),
    ("list times", lambda W, x: sum([1] * x), r"a list has no arithmetic.*symdiff\.functions\.array"),
    ("times list", lambda W, x: sum(x * [1]), r"a list has no arithmetic.*symdiff\.functions\.array"),
    ("times tuple", lambda W, x: x * (1, 2), r"a tuple has no arithmetic"),
    ("complex", lambda W, x: x * 1j, "real numbers, not complex ones"),
    ("det", lambda W, x: np.linalg.det(W), r"^np\.linalg\.det .*elimination"),
]


@pytest.mark.parametrize(("program", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_numpy_cannot_do_is_refused_with_the_line_and_what_to_write(program: Any, message: str) -> None:
    said = refused(program, (2, 2), ())
    assert re.search(message, said) and re.search("; (write|give|make it|leave) ", said)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (lambda x: x * float("nan"), "nan is not a finite number; leave out what it marks"),
        (lambda x: F.maximum(-np.inf, x), r"-inf is not a finite number; begin a running maximum .* write -1e\+300$"),
        (lambda x: F.minimum(np.inf, x), r" inf is not a finite number; .* write 1e\+300$"),
    ],
)
def test_constants_that_are_not_finite_say_what_to_write(program: Any, message: str) -> None:
    assert re.search(message, refused(program, (), kind=symdiff.DomainError))


def test_powers_of_floats_are_those_of_a_literal_exponent() -> None:
    rng = np.random.default_rng(4)
    bases = rng.uniform(0.1, 3.0, 200)
    for exponent in (3.0, 5.0, -1.0, 0.5):
        code = symdiff.trace_function(lambda x, n=exponent: F.pow(x, n), (), names="x").value().compile("numpy")
        wanted = [code(base) for base in bases]
        assert [F.pow(float(base), exponent) for base in bases] == wanted
        assert F.pow(bases, exponent).tolist() == wanted
        assert np.power(F.array(bases), exponent).tolist() == wanted


# -- the module, and whose lines are shown ---------------------------------------------------------------------------


def test_functions_is_a_module_that_can_be_imported() -> None:
    import importlib

    from symdiff.functions import where

    module = importlib.import_module("symdiff.functions")
    assert module is symdiff.functions and where is symdiff.functions.where
    assert set(module.__all__) == {name for name in vars(module) if not name.startswith("_")}
    assert "symdiff.functions" in symdiff.trace_function.__doc__


@pytest.mark.parametrize("package", ["numpyro", "numpy_financial"])
def test_a_package_with_a_name_that_begins_as_numpy_is_the_users(package: str) -> None:
    file = str(Path(np.__file__).parents[1] / package / "program.py")
    made: dict[str, Any] = {}
    exec(compile("def program(x):\n    return float(x)", file, "exec"), made)
    with pytest.raises(symdiff.UnsupportedError, match=f"{package}.program.py, line 2"):
        symdiff.trace_function(made["program"], ())


def test_frames_of_numpy_and_of_this_package_are_hidden() -> None:
    for module in (np.linalg, np, lines, symdiff.pipeline):
        assert str(module.__file__).startswith(lines._HIDDEN)
