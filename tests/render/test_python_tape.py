"""Walking a tape gives the numbers of the generated module, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symdiff
from symdiff.frontend.words import FUNCTIONS
from symdiff.ops import TABLE
from symdiff.pipeline import program as program_module
from symdiff.render import python_tape

TEXTS = {
    "shared": "a = sin(x*y); b = cos(x*y)*a; c = a/(b + 2) - x; c*c + exp(-a)*y",
    "unused input": "y: (); x: (); z: const() = 2; x**3 + z*x - 1/x",
    "copy": "a = x; b = a; a*b + b",
    "constant": "x: (); y: (); 2*pi + 0*x",
    "branches": "where(x < y, sqrt(x + 4), x*y) + max(x, y) + abs(y)",
    "powers": "x**2.5 + x**-2 + 2**y + x**7 + cbrt(x)",
    "helpers": "lgamma(x + 3) + erf(y) + digamma(x + 3)*gamma(y + 3) + softplus(x)",
}


FORMS = ["{a}*{b}", "{a} - {b}", "sin({a})*{b}", "{a}/({b} + 3)", "{a}**2 + {b}", "0.5*{a}"]


def both(program: Any, dtype: str = "float64") -> tuple[Any, Any]:
    """Kernels of the module and of the walk."""
    kernels = []
    for limit in (10**9, -1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(program_module, "_LONG", limit)
            kernels.append(program.compile("numpy", dtype=dtype))
    return kernels[0], kernels[1]


def same(first: Any, second: Any) -> None:
    """Equal to the last bit; NaN equals NaN."""
    for a, b in zip(_arrays(first), _arrays(second), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _arrays(result: Any) -> list[np.ndarray]:
    value, grads = result if isinstance(result, tuple) else (result, ())
    return [np.asarray(each) for each in (value, *grads)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("kind", ["gradient", "value"])
@pytest.mark.parametrize("name", TEXTS)
def test_the_numbers_are_those_of_the_module(name: str, kind: str, dtype: str) -> None:
    formula = symdiff.formula(TEXTS[name])
    module, walk = both(getattr(formula, kind)(), dtype)
    draw = np.random.default_rng(3)
    for shape in ((), (1,), (37,), (3, 5)):
        point = {given: draw.uniform(0.2, 2, shape).astype(dtype) for given in formula.inputs}
        same(module(**point), walk(**point))


@pytest.mark.parametrize("word", [word for word, op in FUNCTIONS.items() if op in TABLE])
def test_every_function_is_walked_as_the_module_spells_it(word: str) -> None:
    text = {"where": "where(x < y, x*y, y)", "polygamma": "polygamma(2, x)"}.get(
        word, f"{word}({', '.join('xyz'[: TABLE[FUNCTIONS[word]].operands])})"
    )
    formula = symdiff.formula(f"2.0*{text}")
    module, walk = both(formula.gradient())
    points = np.array([0.3, 0.7, 1.5, -0.4, 0.0, -0.0, np.inf, np.nan, 5e-324])
    at = [np.roll(points, k) for k in range(len(formula.inputs))]
    same(module(*at), walk(*at))


def test_arguments_of_a_traced_function_are_arrays() -> None:
    def loss(W: Any, x: Any, s: Any) -> Any:
        hidden = [(W[k] @ x).tanh() for k in range(2)]
        return hidden[0] * s + hidden[1] * hidden[0]

    for wrt in (None, ("x",), ("s", "W")):
        program = symdiff.trace_function(loss, (2, 3), 3, ()).gradient(wrt)
        module, walk = both(program)
        draw = np.random.default_rng(5)
        for leading in ((), (4,), (2, 3)):
            point = [draw.normal(size=leading + shape) for shape in ((2, 3), (3,), ())]
            same(module(*point), walk(*point))


def test_points_go_through_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    module, walk = both(symdiff.formula(TEXTS["shared"]).gradient())
    x, y = np.random.default_rng(2).normal(size=(2, 1000))
    whole = walk(x, y)
    for most in (1, 300, 40_000):
        monkeypatch.setattr(python_tape, "_MOST_NUMBERS", most)
        same(whole, walk(x, y))
        same(module(x, y), walk(x, y))


def test_values_are_let_go_after_their_last_use() -> None:
    text = "\n".join(["s0 = x"] + [f"s{k} = s{k - 1} + y" for k in range(1, 500)])
    program = symdiff.formula(text).value()
    walked = python_tape.tape_function(program._code_sheet("formula", "float64"))
    walk = walked.__closure__[0].cell_contents  # type: ignore[union-attr]  # a lambda over the walk
    assert walk._most <= 5


def _program(draw: Callable[..., Any]) -> str:
    names = ["x", "y"]
    lines = []
    for k in range(draw(st.integers(1, 12))):
        a, b = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        form = draw(st.sampled_from(FORMS))
        lines.append(f"t{k} = " + form.format(a=a, b=b))
        names.append(f"t{k}")
    return "\n".join([*lines, " + ".join(dict.fromkeys(["x", "y", *names[-3:]]))])


@settings(max_examples=25, deadline=None)
@given(st.composite(_program)())
def test_any_program_is_walked_as_its_module_computes(text: str) -> None:
    module, walk = both(symdiff.formula(text).gradient())
    x, y = np.random.default_rng(1).uniform(-1, 1, (2, 9))
    same(module(x, y), walk(x, y))


def test_an_abstract_function_is_refused() -> None:
    program = symdiff.formula("phi: function; phi(x)*x").gradient()
    with pytest.raises(symdiff.UnsupportedError, match="phi"):
        python_tape.tape_function(program._code_sheet("formula", "float64"))


def test_auto_does_not_wait_for_a_compiler_where_that_takes_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    program = symdiff.formula(TEXTS["shared"]).gradient()
    monkeypatch.setattr(program_module, "_LONG", len(program.code_tape.steps) - 1)
    assert program.compile().backend == "numpy"
