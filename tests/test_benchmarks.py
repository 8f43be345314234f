"""The benchmark runs, checks its contestants and writes its table; the numbers themselves are not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.formulas import CASES
from benchmarks.matrices import run as matrices
from benchmarks.matrices.problems import PROBLEMS, Problem
from benchmarks.scalars import Part, error_of, passes

SMOKE = ("--points", "1000", "--rounds", "2", "--only", "symdiff,numpy,lambdify", "--formula", "graph_b")


@pytest.mark.compiler
def test_a_small_run_gives_both_tables(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", *SMOKE, "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    markdown = (tmp_path / "benchmarks.md").read_text("utf-8")
    assert done.stdout == markdown
    assert "| formula | symdiff, ns | numpy / symdiff | lambdify / symdiff |" in markdown
    assert str(tmp_path) not in markdown
    report = json.loads((tmp_path / "benchmarks.json").read_text("utf-8"))
    measured = {(row["contestant"], row["measure"]) for row in report["rows"]}
    assert measured >= {(name, kind) for name in ("symdiff", "numpy", "lambdify") for kind in ("batch", "call")}
    assert all(row["low"] <= row["high"] and row["high"] > 0 for row in report["rows"])


@pytest.mark.compiler
def test_a_quick_run_on_matrices_gives_its_table(root: Path, tmp_path: Path) -> None:
    """All installed contestants on all problems at tiny sizes: the run itself checks that their results agree."""
    command = [sys.executable, "-m", "benchmarks", "matrices", "--quick", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=480)
    assert done.returncode == 0, done.stderr
    markdown = (tmp_path / "matrices.md").read_text("utf-8")
    assert done.stdout == markdown
    assert "| problem | size | symdiff, us | symdiff / products | raw / symdiff |" in markdown
    assert str(tmp_path) not in markdown
    report = json.loads((tmp_path / "matrices.json").read_text("utf-8"))
    measured = {(row["contestant"], row["formula"]) for row in report["rows"]}
    own = ("symdiff", "products", "raw", "fixed", "numpy", "hand")
    assert measured >= {(name, problem) for name in own for problem in PROBLEMS}
    assert all(row["low"] <= row["high"] and row["high"] > 0 for row in report["rows"])


@pytest.mark.parametrize("suite", [[], ["matrices"]], ids=["numbers", "matrices"])
def test_an_unknown_contestant_is_refused(root: Path, suite: list[str]) -> None:
    command = [sys.executable, "-m", "benchmarks", *suite, "--only", "nobody"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "unknown nobody" in done.stderr


@pytest.mark.parametrize("rounds", [1, 2, 3, 9, 10])
def test_the_rounds_of_a_formula_are_spread_over_the_run(rounds: int) -> None:
    parts = [Part(name, ("symdiff",), None, 10, rounds) for name in ("one", "two")]
    made = list(passes(parts, rounds))
    assert [sum(part.rounds for part in made if part.formula == name) for name in ("one", "two")] == [rounds] * 2
    assert [part.formula for part in made] == ["one", "two"] * min(rounds, 3)
    assert all(part.rounds for part in made)


def test_a_wrong_result_is_seen() -> None:
    expected = np.array([[2.0, -1.0], [0.5, 1e-12]])
    assert error_of(expected, expected) == 0
    assert error_of(-expected, expected) > 1
    assert error_of(expected * np.nan, expected) == np.inf
    assert error_of(expected[:1], expected) == np.inf


@pytest.mark.parametrize("name", CASES)
def test_points_are_drawn_for_every_input(name: str) -> None:
    import symdiff

    case = CASES[name]
    assert tuple(symdiff.formula(case.text).inputs) == case.inputs
    assert case.points(3).shape == (len(case.inputs), 3)


def test_a_wrong_array_is_seen() -> None:
    expected = [np.array(2.0), np.array([[1.0, -3.0]])]
    assert matrices.error_of(expected, expected) == 0
    assert matrices.error_of([expected[0], expected[1] * (1 + 1e-6)], expected) == pytest.approx(1e-6)
    assert matrices.error_of([expected[0], expected[1].T], expected) == np.inf
    assert matrices.error_of([expected[0] * np.nan, expected[1]], expected) == np.inf
    assert matrices.error_of(expected[:1], expected) == np.inf


def test_a_contestant_that_disagrees_stops_the_run() -> None:
    class Wrong(matrices.ByHand):
        name = "wrong"

        def task(self, problem: Problem, *given: Any) -> matrices.Task:
            right = super().task(problem, *given)
            return matrices.Task(right.run, lambda: [1.001 * array for array in right.read()])

    with pytest.raises(ValueError, match="mlp, quick, wrong: off by 1"):
        matrices.measure(PROBLEMS["mlp"], "quick", [Wrong()], 1)


@pytest.mark.parametrize("name", PROBLEMS)
def test_gradients_by_hand_are_the_derivatives_of_their_values(name: str) -> None:
    problem = PROBLEMS[name]
    arguments, draw = problem.arguments(problem.sizes["quick"]), np.random.default_rng(3)
    at, step = len(problem.data), 1e-6
    directions = [draw.normal(size=array.shape) for array in arguments[at:]]

    def value(distance: float) -> float:
        moved = [array + distance * way for array, way in zip(arguments[at:], directions, strict=True)]
        return problem.by_hand(*arguments[:at], *moved)[0]

    gradients = problem.by_hand(*arguments)[1]
    slope = sum(np.vdot(gradient, way) for gradient, way in zip(gradients, directions, strict=True))
    assert (value(step) - value(-step)) / (2 * step) == pytest.approx(slope, rel=1e-6)


def test_nothing_is_imported_before_the_number_of_threads_is_set(root: Path) -> None:
    """NumPy's BLAS starts its threads when it is loaded."""
    code = "import sys, benchmarks.__main__; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=root, timeout=60).returncode == 0
