"""`python -m benchmarks growth` runs and writes its table; its slope is that of least squares."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.growth import STAGES, slope


def test_a_quick_run_gives_its_table(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "growth", "--quick", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    markdown = (tmp_path / "growth.md").read_text("utf-8")
    assert done.stdout == markdown
    assert "| steps | trace, s | differentiate, s | write C, s | us per step | KiB per step | C, MB |" in markdown
    assert str(tmp_path) not in markdown
    report = json.loads((tmp_path / "growth.json").read_text("utf-8"))
    short, long = report["lengths"]
    assert 400 < short["steps"] < long["steps"] < 2_100
    assert all(each["seconds"][stage] > 0 for each in (short, long) for stage in STAGES)
    assert 0 < long["bytes"] / long["steps"] < 16_384  # fixed costs count for much here


def test_bad_lengths_are_refused(root: Path) -> None:
    for steps in ("many", "1000", "3,5"):
        command = [sys.executable, "-m", "benchmarks", "growth", "--steps", steps]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and "--steps" in done.stderr


def test_the_slope_is_the_exponent_of_growth() -> None:
    steps = [1e3, 1e4, 1e5, 1e6]
    assert slope(steps, [2e-6 * n for n in steps]) == pytest.approx(1.0)
    assert slope(steps, [3e-9 * n**1.5 for n in steps]) == pytest.approx(1.5)
