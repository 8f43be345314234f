"""What the benchmarks do with their numbers: the verdict, the look at an earlier run, the figure."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import against, building, everything, figure, verdict
from benchmarks.by_hand import BLOCK, BY_HAND
from benchmarks.claims import Claim, Results, claims
from benchmarks.command import add_comparison, compared
from benchmarks.formulas import CASES, Problem, long_arm
from benchmarks.scalars import error_of, reference
from benchmarks.table import Row

PEERS = ("symdiff", "heyoka", "jax", "numba", "symengine", "casadi", "limit", "symdiff_threads")


def row(formula: str, contestant: str, measure: str, time: float) -> Row:
    return Row(formula, contestant, measure, time, time, time)


def numbers(**times: float) -> dict[str, Any]:
    """A result of the run on numbers in which contestants take these times everywhere, by default 20."""
    given = dict.fromkeys(PEERS, 20.0) | times
    kinds = ("batch", "held", "call", "threads")
    rows = [row(name, who, kind, time) for name in CASES for who, time in given.items() for kind in kinds]
    facts = {"processor": "a processor", "packages": "some"}
    return {"command": "c", "points": 1000, "machine": facts, "rows": [asdict(each) for each in rows]}


def found(runs: dict[str, Any], text: str) -> list[Claim]:
    return [claim for claim in claims(Results(runs)) if text in f"{claim.section}: {claim.text}"]


@pytest.mark.parametrize("name", CASES)
def test_gradients_by_hand_agree_with_50_digits(name: str) -> None:
    if name == "black_scholes":
        pytest.importorskip("scipy")
    points = CASES[name].points(BLOCK + 7)
    out = np.full((1 + len(points), points.shape[1]), np.nan)
    function = BY_HAND[name]()
    function(points, out)
    first = out.copy()
    function(points, out)
    assert np.array_equal(first, out), "what is held between calls does not matter"
    chosen = [0, 1, BLOCK - 1, BLOCK, BLOCK + 6]
    expected = reference(Problem(CASES[name]), points[:, chosen])
    assert error_of(out[:, chosen], expected, 1e-3 * float(np.max(np.abs(expected)))) < 1e-12


def test_a_claim_holds_fails_or_is_not_known() -> None:
    assert Claim("s", "t", 2, True, {"a": 1.0, "b": 2.0}).holds() is True
    assert Claim("s", "t", 2, True, {"a": 1.0, "b": 2.1}).holds() is False
    assert Claim("s", "t", 2, False, {"a": 1.9, "b": None}).holds() is False
    assert Claim("s", "t", 2, False, {"a": 2.0, "b": None}).holds() is None
    assert Claim("s", "t", 2, False, {}).holds() is None


def test_ratios_have_the_right_way_up() -> None:
    runs = {"benchmarks": numbers(symdiff=10, heyoka=30, limit=9, jax=200, symdiff_threads=5)}
    (beside,) = found(runs, "hand-written limit")
    assert beside.numbers == pytest.approx(dict.fromkeys("abcde", 10 / 9)) and beside.holds()
    for claim in found(runs, "heyoka / symdiff"):
        assert claim.numbers == pytest.approx(dict.fromkeys(claim.numbers, 3.0))
    (jax,) = found(runs, "jax / symdiff")
    assert jax.numbers == {"a": 20, "e": 20} and jax.holds()
    assert [claim.holds() for claim in found(runs, "one thread / two")] == [True, True]
    assert [claim.holds() for claim in found(runs, "numba / symdiff")] == [False]
    assert {claim.holds() for claim in found(runs, "Matrices")} == {None}


def test_the_best_peer_is_no_form_of_symdiff() -> None:
    times = {"symdiff": 10.0, "raw": 1.0, "fixed": 1.0, "numpy": 1.0, "products": 1.0, "hand": 11.0, "jax": 9.9}
    rows = [asdict(row("mlp", who, "medium", time)) for who, time in times.items()]
    (claim,) = found({"matrices": {"rows": rows}}, "best peer")
    assert claim.numbers["mlp"] == pytest.approx(10 / 9.9)


def test_growth_is_read_from_its_cells() -> None:
    def cell(task: str, who: str, steps: int, seconds: list[float], failed: str = "") -> dict[str, Any]:
        return {"task": task, "contestant": who, "steps": steps, "seconds": seconds, "how": "", "failed": failed}

    cells = [cell("first", "symdiff", 100, [0.1, 0.3, 0.2]), cell("first", "symdiff", 1000, [2.0])]
    cells += [cell("kernel", "symdiff", 10_000, [2.0]), cell("kernel", "casadi-O1", 10_000, [5.0])]
    cells += [cell("kernel", "jax", 10_000, [], "> 60"), cell("kernel", "casadi", 10_000, [1.0], "wrong")]
    slopes, _, beside = found({"growth": {"cells": cells, "limit": 60.0}}, "Growth")
    assert slopes.numbers == pytest.approx({"100 to 1,000": 1.0})
    assert beside.numbers == {"casadi-O1": 2.5, "jax": 30.0} and beside.holds()


def test_the_verdict_is_written_beside_the_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "benchmarks.json").write_text(json.dumps(numbers(symdiff=1000)))
    (tmp_path / "matrices.json").write_text("no JSON")
    assert verdict.main(["--results", str(tmp_path)]) == 1
    written = (tmp_path / "verdict.md").read_text("utf-8")
    assert capsys.readouterr().out == written
    assert "a 50, b 50, c 50, d 50, e 50 | **does not hold** |" in written
    assert "- matrices: not run" in written and "not measured" in written and str(tmp_path) not in written


def test_without_results_there_is_no_verdict(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        verdict.main(["--results", str(tmp_path)])
    assert stopped.value.code == 2


def test_committed_results_have_a_verdict() -> None:
    runs = verdict.load(verdict.RESULTS)
    assert {"benchmarks", "matrices"} <= set(runs)
    assert "| --- |" in verdict.as_markdown(runs)


def times(**by_contestant: float) -> dict[against.Key, float]:
    return {("f", "batch", who): time for who, time in by_contestant.items()}


def test_a_slower_machine_is_no_slower_kernel() -> None:
    assert against.slower(times(symdiff=1, jax=5, limit=1), times(symdiff=3, jax=15, limit=3)) == []


def test_a_slower_kernel_is_named() -> None:
    earlier = times(symdiff=1, numpy=4, jax=5, heyoka=7, casadi=9)
    (line,) = against.slower(earlier, times(symdiff=3, numpy=8, jax=10, heyoka=14, casadi=90), 0.4)
    assert line == "f, batch, symdiff: 1.50 times as long as before, beside 3 other contestants"
    assert against.slower(earlier, times(symdiff=3, numpy=8, jax=10, heyoka=14, casadi=90), 0.6) == []


def test_hand_written_c_is_the_yardstick_where_it_was_run() -> None:
    (line,) = against.slower(times(symdiff=1, jax=5, limit=1), times(symdiff=2, jax=10, limit=1))
    assert "2.00 times" in line and "hand-written C" in line


def test_what_nobody_else_does_is_measured_by_the_others_elsewhere() -> None:
    earlier = {("symdiff", "import", "symdiff"): 2.0, ("numpy", "import", "import numpy"): 1.0}
    now = {("symdiff", "import", "symdiff"): 3.0, ("numpy", "import", "import numpy"): 1.0}
    (line,) = against.slower(earlier, now)
    assert "1.50 times" in line and against.slower(earlier, earlier) == []


@pytest.mark.parametrize("now", [times(jax=1), times(symdiff=1), {("g", "batch", "symdiff"): 1.0}, {}])
def test_runs_without_anything_in_common_are_not_compared(now: dict[against.Key, float]) -> None:
    with pytest.raises(ValueError, match="in common"):
        against.slower(times(symdiff=1, jax=5), now)


def test_the_exit_code_says_that_something_got_slower(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "old.json").write_text(json.dumps(numbers()))
    parser = argparse.ArgumentParser()
    add_comparison(parser)

    def code(symdiff: float, *more: str, points: int = 1000) -> int:
        report = argparse.Namespace(points=points, rows=[Row(**each) for each in numbers(symdiff=symdiff)["rows"]])
        return compared(report, parser.parse_args(["--against", str(tmp_path / "old.json"), *more]))

    assert (code(20), code(23), code(25)) == (0, 0, 1)
    assert "slower: graph_b, batch of 1,000, symdiff: 1.25" in capsys.readouterr().err
    assert code(25, points=500) == 1
    printed = capsys.readouterr().err
    assert "batch" not in printed and "slower: graph_b, held, symdiff: 1.25" in printed
    assert code(25, "--tolerance", "0.3") == 0


@pytest.mark.parametrize("suite", [[], ["matrices"], ["building"]], ids=["numbers", "matrices", "building"])
def test_an_earlier_run_that_cannot_be_read_costs_no_time(root: Path, tmp_path: Path, suite: list[str]) -> None:
    (tmp_path / "odd.json").write_text("{}")
    command = [sys.executable, "-m", "benchmarks", *suite, "--against", str(tmp_path / "odd.json")]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "odd.json is no result of an earlier run" in done.stderr


def test_the_run_of_everything_knows_all_others(root: Path, tmp_path: Path) -> None:
    options = argparse.Namespace(limit=None, quick=True, against=root / "benchmarks" / "results", output=tmp_path)
    commands = everything.commands(options, tmp_path)
    assert commands["numbers"][:4] == everything.QUICK_NUMBERS
    assert all(words[-2:] == ["--output", str(tmp_path)] for words in commands.values())
    assert commands["matrices"][:4] == ["matrices", "--quick", "--against", str(options.against / "matrices.json")]
    assert "--against" not in commands["growth"]


@pytest.mark.peer("matplotlib")
def test_the_figure_is_the_same_every_time(tmp_path: Path) -> None:
    matrices = [row(name, who, "medium", 1.0) for name in figure.PROBLEMS for who in ("symdiff", "jax")]
    runs = {"benchmarks": numbers(symdiff=2, limit=1)}
    runs["matrices"] = {"contestants": ["symdiff", "jax"], "rows": [asdict(each) for each in matrices]}
    shown = figure.panels(runs)
    assert [panel.order[-1] for panel in shown[:2]] == ["limit", "limit"] and len(shown) == 3
    drawn = []
    for name in ("one.svg", "two.svg"):
        figure.draw(shown, tmp_path / name)
        drawn.append((tmp_path / name).read_text("utf-8"))
    assert drawn[0] == drawn[1] and ">symdiff<" in drawn[0]


def test_a_long_text_has_a_thousand_operations() -> None:
    import symdiff

    assert 1000 <= len(symdiff.formula(long_arm().text).gradient().tape.primal) <= 1100


@pytest.mark.compiler
def test_a_quick_run_on_building_gives_its_table(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks", "building", "--quick", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    markdown = (tmp_path / "building.md").read_text("utf-8")
    assert done.stdout == markdown and str(tmp_path) not in markdown
    report = json.loads((tmp_path / "building.json").read_text("utf-8"))
    measured = {(each["formula"], each["measure"]) for each in report["rows"]}
    wanted = {(name, "import") for name in building.IMPORTS} | {("graph_b", kind) for kind in building.KINDS}
    assert measured == wanted | {(building.LONG, "source")}
    assert report["denormals"] is True and "symdiff" not in report["modules"]["package"]
