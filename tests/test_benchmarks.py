"""The benchmark runs, checks its contestants and writes its table; the numbers themselves are not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import error_of
from benchmarks.formulas import CASES

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


def test_an_unknown_contestant_is_refused(root: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "nobody"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "unknown nobody" in done.stderr


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
