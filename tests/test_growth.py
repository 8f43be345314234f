"""`python -m benchmarks growth` runs and writes its tables; its slopes are right, and so is its judge."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import growth, growth_tools
from benchmarks.growth import STAGES, Cell, compare, slope, slopes
from benchmarks.growth_program import WIDTH, program, program_text
from benchmarks.growth_tools import POINT, expected, is_right, measured


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
    first, second, kernel = report["cells"]
    assert [each["steps"] for each in (first, second, kernel)] == [100, 1_000, 100]
    assert all(each["seconds"] and not each["failed"] for each in (first, second, kernel)), report["cells"]
    assert "| tool | 100 steps | 1,000 steps | slopes | how |" in markdown and "| symdiff | " in markdown


def test_bad_lengths_are_refused(root: Path) -> None:
    for steps in ("many", "1000", "3,5"):
        command = [sys.executable, "-m", "benchmarks", "growth", "--steps", steps]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and "--steps" in done.stderr


def test_bad_options_are_refused(root: Path) -> None:
    for options in (["--contestants", "nobody"], ["--limit", "0"], ["--rounds", "0"]):
        command = [sys.executable, "-m", "benchmarks", "growth", "--quick", *options]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2 and options[0] in done.stderr


def test_slopes_are_between_neighbours_that_have_a_time() -> None:
    cells = [Cell("first", "a", n, [seconds]) for n, seconds in ((100, 1.0), (1_000, 10.0), (10_000, 1_000.0))]
    assert slopes(cells) == pytest.approx([1.0, 2.0])
    cells[2].failed = "> 60"
    assert slopes(cells) == pytest.approx([1.0]) and cells[2].shown == "> 60"
    assert slopes(cells[:1]) == []


def test_who_overruns_the_limit_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def fake(task: str, name: str, steps: int, limit: float) -> dict[str, object]:
        asked.append((name, steps))
        if name == "slow" and steps >= 1_000:
            return {"failed": f"> {limit:g}"}
        return {"seconds": 1e-3 * steps, "how": "by hand"}

    monkeypatch.setattr(growth, "measured", fake)
    cells = compare("first", ["quick", "slow"], [100, 1_000, 10_000], 60.0, 2)
    assert asked.count(("slow", 1_000)) == 1 and ("slow", 10_000) not in asked
    assert asked.count(("quick", 100)) == 2 and asked.count(("quick", 10_000)) == 1  # more than a tenth of the limit
    assert [each.shown for each in cells if each.contestant == "slow"] == ["0.1", "> 60", "> 60"]


def test_a_tool_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth_tools, "IMPORT", 0.5)
    assert measured("first", "symdiff", 200_000, 0.5)["failed"] == "> 0.5"


def test_the_judge_knows_wrong_results() -> None:
    import symdiff

    value, gradient = symdiff.formula(program_text(120)).gradient().compile("numpy")(*POINT)
    assert is_right(120, value, gradient)
    assert not is_right(120, value * (1 + 1e-7), gradient)
    assert not is_right(120, value, [*gradient[:-1], gradient[-1] + 1e-7])
    assert is_right(120, *expected(120))


def test_text_and_program_are_the_same() -> None:
    import math

    import symdiff

    formula = symdiff.formula(program_text(300))
    assert len(formula.inputs) == WIDTH and abs(len(formula.primal.steps) - 300) < 20
    value = formula.value().compile("numpy")(*POINT)
    assert value == pytest.approx(program(POINT, 300, math.tanh, math.sin), rel=1e-13)


def test_the_slope_is_the_exponent_of_growth() -> None:
    steps = [1e3, 1e4, 1e5, 1e6]
    assert slope(steps, [2e-6 * n for n in steps]) == pytest.approx(1.0)
    assert slope(steps, [3e-9 * n**1.5 for n in steps]) == pytest.approx(1.5)
