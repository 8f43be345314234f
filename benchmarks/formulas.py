"""The formulas: each a text of the formula language, with the ranges that points are drawn from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Case:
    """A formula and, for each input in the order of a call, the interval its values are drawn from."""

    name: str
    title: str
    text: str
    ranges: Mapping[str, tuple[float, float]]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs, in the order of a call."""
        return tuple(self.ranges)

    def points(self, count: int, seed: int = 1) -> np.ndarray:
        """Random points, one row per input: shape (inputs, count)."""
        draw = np.random.default_rng(seed)
        return np.stack([draw.uniform(low, high, count) for low, high in self.ranges.values()])


@dataclass(frozen=True)
class Problem:
    """A case with its SymPy form, from which every peer is translated."""

    case: Case

    @cached_property
    def value(self) -> Any:
        """The formula as a SymPy expression in `symbols`."""
        import symdiff

        formula = symdiff.formula(self.case.text)
        assert tuple(formula.inputs) == self.case.inputs, f"{self.case.name}: inputs are {tuple(formula.inputs)}"
        return formula.sympy

    @cached_property
    def symbols(self) -> tuple[Any, ...]:
        """The inputs as they occur in `value`, in the order of a call."""
        found = {symbol.name: symbol for symbol in self.value.free_symbols}
        return tuple(found[name] for name in self.case.inputs)

    @cached_property
    def value_and_gradient(self) -> tuple[Any, ...]:
        """SymPy expressions of the value and of its partials, by SymPy's own differentiation."""
        return (self.value, *(self.value.diff(symbol) for symbol in self.symbols))


def _graph_b() -> Case:
    ranges = {"w1": (0.5, 2), "x1": (-3, 3), "w2": (0.5, 2), "x2": (-3, 3)}
    return Case("graph_b", "scalar graph, 4 inputs", "1/(sin(w1*x1)**2 + cos(w2*x2) + 2)", ranges)


def _rosenbrock(size: int = 10) -> Case:
    terms = [f"100*(x{i + 1} - x{i}**2)**2 + (1 - x{i})**2" for i in range(size - 1)]
    # Declared, because in the text x1 appears before x0.
    declared = [f"x{i}: ()" for i in range(size)]
    ranges = {f"x{i}": (-2, 2) for i in range(size)}
    return Case("rosenbrock10", f"Rosenbrock, {size} inputs", "\n".join([*declared, " + ".join(terms)]), ranges)


def _black_scholes() -> Case:
    text = """
def normal(d): return (1 + erf(d*0.7071067811865476))/2
d1 = (log(S/K) + (r + v**2/2)*T)/(v*sqrt(T))
d2 = d1 - v*sqrt(T)
call = S*normal(d1) - K*exp(-r*T)*normal(d2)
"""
    ranges = {"S": (50, 150), "K": (50, 150), "r": (0.01, 0.1), "v": (0.1, 0.5), "T": (0.1, 2)}
    return Case("black_scholes", "Black-Scholes call, 5 inputs", text.strip(), ranges)


def quadratics(terms: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coefficients of `terms` quadratics in three variables: second order (symmetric), first order, constants."""
    draw = np.random.default_rng(7)
    square = draw.normal(size=(terms, 3, 3))
    second = np.round(square + square.transpose(0, 2, 1), 3) * 0.25
    return second, np.round(draw.normal(size=(terms, 3)), 3), np.round(draw.normal(size=terms), 3)


def _log_sum_exp(terms: int = 8) -> Case:
    # float() and rounding: the literals of the text are the coefficients, to the last bit.
    (second, first, constant), names = quadratics(terms), "xyz"
    lines = []
    for k in range(terms):
        parts = [repr(float(constant[k]))]
        for i in range(3):
            parts.append(f"{float(first[k, i])!r}*{names[i]}")
            parts += [f"{float(second[k, i, j]) * (1 + (i != j))!r}*{names[i]}*{names[j]}" for j in range(i, 3)]
        lines.append(f"q{k} = " + " + ".join(parts).replace("+ -", "- "))
    lines.append("log(" + " + ".join(f"exp(q{k})" for k in range(terms)) + ")")
    text = "\n".join(lines)
    return Case("logsumexp8", f"log-sum-exp of {terms} quadratics, 3 inputs", text, dict.fromkeys(names, (-2, 2)))


LENGTHS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)  # of the links of the arm
TARGET = (1.3, 2.1)


def _arm(lengths: tuple[float, ...] = LENGTHS) -> Case:
    angles = ["q0"] + [f"t{i}" for i in range(1, len(lengths))]
    lines = [f"t{i} = {angles[i - 1]} + q{i}" for i in range(1, len(lengths))]
    links = list(zip(lengths, angles, strict=True))
    for name, function in (("px", "cos"), ("py", "sin")):
        lines.append(f"{name} = " + " + ".join(f"{length}*{function}({angle})" for length, angle in links))
    lines.append(f"sqrt((px - {TARGET[0]})**2 + (py - {TARGET[1]})**2)")
    ranges = {f"q{i}": (-3, 3) for i in range(len(lengths))}
    return Case("arm7", f"{len(lengths)}-joint arm, distance to a target", "\n".join(lines), ranges)


def long_arm(joints: int = 143) -> Case:
    """An arm of so many joints that its value takes a thousand operations (seven for a joint)."""
    return _arm(tuple(round(1 - 0.005 * k, 3) for k in range(joints)))


CASES = {case.name: case for case in (_graph_b(), _rosenbrock(), _black_scholes(), _log_sum_exp(), _arm())}
