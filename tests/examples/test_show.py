"""What the examples share: verdicts that count, logs and figures that are the same on every run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from symdiff.examples._show import Report, decimals, largest_difference, number, relative, section, source

DERIVATION = """name: value and gradient
========================

1. Statement

    f = x

2. Update rule: a long name
   that takes two lines

  x_new = x - eta*x_bar

  1. is no heading here
"""


def test_a_section_is_found_by_its_heading() -> None:
    assert section(DERIVATION, "Statement") == "    f = x"
    assert section(DERIVATION, "Update rule") == "  x_new = x - eta*x_bar\n\n  1. is no heading here"
    with pytest.raises(ValueError, match="no section 'Rules'"):
        section(DERIVATION, "Rules")


def test_numbers_have_all_digits_or_as_many_as_asked_for() -> None:
    assert number(1 / 3, None) == " 0.3333333333333333"
    assert number(-1 / 3, 9) == "-0.333333333"
    assert number(2.0, None) == number(2.0, 9) == " 2"


def test_agreement() -> None:
    assert relative(1e-15)(1.0, 1.0 + 2e-16) and not relative(1e-15)(1.0, 1.0 + 4e-15)
    assert decimals(2)(0.125, 0.12) and not decimals(2)(0.126, 0.12)
    assert largest_difference([1.0, 2.0], [1.0, 2.5]) == pytest.approx(0.2)
    assert largest_difference([1.0], [1.0, 1.0]) == float("inf")
    assert not largest_difference([np.nan], [1.0]) < 1e-9


def test_a_verdict_counts(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("name", None)
    report.holds("this", True)
    report.compare(["", "ours", "given"], [(("a",), [1.0], 1.0)], relative(1e-9))
    assert report.finish() == 0
    report.compare(["", "ours", "again", "given"], [(("a",), [1.0, 1.1], 1.0)], relative(1e-9))
    assert report.finish() == 1
    assert "DIFFERS" in capsys.readouterr().out


def test_a_report_without_a_verdict_fails() -> None:
    assert Report("name", None).finish() == 1


def test_curves_that_differ_at_one_epoch_fail(capsys: pytest.CaptureFixture[str]) -> None:
    report, curve = Report("name", None), np.linspace(2.0, 1.0, 40)
    report.same_curves({"one": curve, "other": curve * (1 + 1e-12)})
    assert report.finish() == 0
    other = curve.copy()
    other[17] *= 1 + 1e-8  # not among the epochs shown
    report.same_curves({"one": curve, "other": other})
    assert report.finish() == 1
    assert "DOES NOT HOLD" in capsys.readouterr().out


def test_the_log_has_nine_digits_and_no_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("name", tmp_path)
    report.table(["what", "value"], [["third", 1 / 3]])
    report.note("took 3 s")
    report.holds("it holds", True, "3.1e-16")
    assert report.finish() == 0
    log = (tmp_path / "name" / "name_run.txt").read_text("utf-8")
    assert "third   0.333333333\n" in log and "it holds ... ok\n" in log
    assert "took" not in log and "e-16" not in log and str(tmp_path) not in log
    shown = capsys.readouterr().out
    assert "0.3333333333333333" in shown and "took 3 s" in shown and "(3.1e-16)" in shown


@pytest.mark.peer("matplotlib")
def test_a_figure_has_the_same_bytes_again(tmp_path: Path) -> None:
    curve = np.geomspace(1.0, 1e-3, 50)
    drawn = []
    for folder in ("one", "two"):
        report = Report("name", tmp_path / folder)
        report.curves({"symdiff": curve, "PyTorch": curve}, title="error", ylabel="E")
        drawn.append((tmp_path / folder / "name" / "name.svg").read_bytes())
    assert drawn[0] == drawn[1]
    assert b"<dc:date>" not in drawn[0] and re.search(rb"<path d=", drawn[0])


def _shown(a: int) -> int:
    """Words that are not shown."""
    b = a + 1  # a remark
    return b * 2


def test_source_is_the_body() -> None:
    assert source(_shown) == "b = a + 1  # a remark\nreturn b * 2"
