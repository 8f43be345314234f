"""Plans of contractions: the order of products against all orders there are, and units that are never formed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import symdiff
from symdiff import frontend
from symdiff.einstein import Spec
from symdiff.linearize import linearize
from symdiff.passes import for_values
from symdiff.passes.products import cheapest
from symdiff.shapes import Size, dimensions, size_value
from symdiff.tape import check_tape

LETTERS = "ijklmn"


def all_costs(parts: list[frozenset[str]], output: frozenset[str], sizes: Mapping[str, int]) -> Iterator[int]:
    """The cost of every order in which pairs can be contracted."""
    if len(parts) == 1:
        yield 0
        return
    for i, j in itertools.combinations(range(len(parts)), 2):
        rest = [part for k, part in enumerate(parts) if k not in (i, j)]
        both = parts[i] | parts[j]
        made = both & output.union(*rest)
        here = prod(sizes[index] for index in both)
        for more in all_costs([*rest, made], output, sizes):
            yield here + more


def cost_of(path: list[tuple[int, ...]], spec: Spec, sizes: Mapping[str, int]) -> int:
    parts, total = [frozenset(part) for part in spec.operands], 0
    for pair in path:
        both = frozenset[str]().union(*(parts[k] for k in pair))
        total += prod(sizes[index] for index in both)
        parts = [part for k, part in enumerate(parts) if k not in pair]
        parts.append(both & frozenset(spec.output).union(*parts))
    return total


@st.composite
def contractions(draw: st.DrawFn) -> Spec:
    count = draw(st.integers(3, 5))
    operands = tuple("".join(draw(st.permutations(LETTERS))[: draw(st.integers(1, 3))]) for _ in range(count))
    used = "".join(dict.fromkeys("".join(operands)))
    return Spec(operands, "".join(index for index in used if draw(st.booleans())))


@settings(max_examples=60, deadline=None)
@given(spec=contractions(), numbers=st.lists(st.integers(1, 40), min_size=6, max_size=6))
def test_the_order_for_literal_sizes_is_the_cheapest_of_all(spec: Spec, numbers: list[int]) -> None:
    sizes = dict(zip(LETTERS, numbers, strict=True))
    path, cost = cheapest(spec, [tuple(sizes[index] for index in part) for part in spec.operands])
    assert cost == cost_of(path, spec, sizes)
    assert cost == min(all_costs([frozenset(part) for part in spec.operands], frozenset(spec.output), sizes))


@settings(max_examples=40, deadline=None)
@given(spec=contractions(), data=st.data())
def test_no_order_beats_the_one_for_run_time_sizes_everywhere(spec: Spec, data: st.DataObject) -> None:
    options: dict[str, list[Size]] = {index: [f"s_{index}", "s", 3, 1] for index in LETTERS}
    kinds = {index: data.draw(st.sampled_from(sizes)) for index, sizes in options.items()}
    path, _ = cheapest(spec, [tuple(kinds[index] for index in part) for part in spec.operands])
    names = list(dict.fromkeys(name for size in kinds.values() for name in dimensions(size)))
    samples = [dict.fromkeys(names, 100), *(dict.fromkeys(names, 50) | {name: 5000} for name in names)]
    samples += [dict.fromkeys(names, 50) | {name: 2} for name in names]
    own, others = [], []
    for values in samples:
        sizes = {index: size_value(size, values) for index, size in kinds.items()}
        own.append(cost_of(path, spec, sizes))
        others.append(list(all_costs([frozenset(part) for part in spec.operands], frozenset(spec.output), sizes)))
    assert own[0] == min(others[0]), "the cheapest where all run-time sizes are the same"
    beaten = [order for order in zip(*others, strict=True) if all(x < y for x, y in zip(order, own, strict=True))]
    assert not beaten


CHAIN = {"A": "pq", "B": "qr", "C": "rs", "D": "st", "E": "tu", "F": "uv"}


@settings(max_examples=25, deadline=None)
@given(count=st.integers(3, 6), numbers=st.lists(st.integers(1, 9), min_size=7, max_size=7), fixed=st.booleans())
def test_chains_of_matrices_have_the_value_of_the_order_typed(count: int, numbers: list[int], fixed: bool) -> None:
    sizes = dict(zip("pqrstuv", numbers, strict=True))
    shapes = dict(list(CHAIN.items())[:count])
    lines = [f"{name}: ({', '.join(str(sizes[i]) if fixed else i for i in word)})" for name, word in shapes.items()]
    text = "\n".join([*lines, " @ ".join(shapes)])
    rng = np.random.default_rng(sum(numbers))
    arrays = [rng.integers(-3, 4, size=[sizes[i] for i in word]).astype(float) for word in shapes.values()]
    tape = for_values(linearize(frontend.read(text)))
    check_tape(tape)
    found = symdiff.formula(text).value().compile("numpy")(*arrays)
    wanted = arrays[0]
    for array in arrays[1:]:
        wanted = wanted @ array
    assert np.array_equal(found, wanted)  # whole numbers: every order is exact


UNITS = {
    "eye(n) @ A": "A: (n, m)\nsum((eye(n) @ A)**2)",
    "A @ eye(m)": "A: (n, m)\nsum((A @ eye(m))**2)",
    "several": "A: (n, n)\nsum((eye(n) @ eye(n) @ A @ (2*eye(n)))**2)",
    "ones": "A: (n, m)\nsum((ones(n) @ A)**2) + ones(n) @ A @ ones(m)",
    "trace": "A: (n, n)\ntrace(eye(n) @ A @ A)",
    "diag": "A: (n, m)\nv: n\nw: m\nsum((diag(v) @ A @ diag(w))**2)",
    "diag, used twice": "A: (n, m)\nv: n\nD = diag(v)\nsum((D @ A)**2) + trace(D @ A @ A.T)",
    "weighted squares": "X: (n, m)\ns: n\nsum((X.T @ diag(s) @ X)**2)",
    "outer": "u: n\nv: m\nx: m\nsum((outer(u, v) @ x)**2)",
}


def inputs_for(text: str) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    sizes = {"n": 5, "m": 3}
    return {each.name: rng.normal(size=[sizes[str(i)] for i in each.shape]) for each in frontend.read(text).declared}


@pytest.mark.parametrize("name", UNITS)
def test_units_and_diagonals_are_not_formed(name: str) -> None:
    program = symdiff.formula(UNITS[name]).gradient()
    python, c = program.source("python"), program.source("c")
    body = python[python.index('"""', python.index('"""') + 3) + 3 :]
    calls = re.findall(r"np\.(eye|ones|diag|identity|full)\(", body)
    assert not calls or name in ("trace", "ones"), calls  # gradients of a trace and of a sum are units
    reads = c[c.index("---- gradient ----") :]
    assert " == j" not in reads and "equal_at" not in reads
    if name in ("diag", "diag, used twice", "weighted squares", "outer", "eye(n) @ A"):
        assert "/* n x n matrix" not in reads


@pytest.mark.compiler
@pytest.mark.parametrize("name", UNITS)
def test_products_of_units_have_the_right_values(name: str) -> None:
    program = symdiff.formula(UNITS[name]).gradient()
    inputs = inputs_for(UNITS[name])
    plain = {"eye": np.eye, "ones": np.ones, "diag": np.diag, "trace": np.trace, "outer": np.outer, "sum": np.sum}
    statements = [line for line in UNITS[name].splitlines() if not re.match(r"\w+: ", line)]
    scope: dict[str, Any] = {**plain, **inputs, "n": 5, "m": 3}

    def value(given: dict[str, Any]) -> float:
        here = scope | given
        for line in statements[:-1]:
            target, text = line.split(" = ")
            here[target] = eval(text, {}, here)
        return float(eval(statements[-1], {}, here))

    for backend in ("numpy", "c"):
        found, gradients = program.compile(backend)(**inputs)
        assert found == pytest.approx(value(inputs), rel=1e-12)
        for label, gradient in zip(inputs, gradients, strict=True):
            direction = np.random.default_rng(5).normal(size=inputs[label].shape)
            h = 1e-5
            slope = (value({label: inputs[label] + h * direction}) - value({label: inputs[label] - h * direction})) / (
                2 * h
            )
            assert float(np.sum(gradient * direction)) == pytest.approx(slope, rel=1e-6, abs=1e-6)
