"""System E as an example that runs: its numbers, its verdicts, its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from symdiff.examples import scalar_e


def test_all_checks_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert scalar_e.main(["--no-transformer"]) == 0
    text = capsys.readouterr().out
    assert "13 of 13 checks hold" in text
    assert ["z3_bar", "2.738196685133862", "z4_bar*cos(z3)"] in [line.split() for line in text.splitlines()]
    assert "At all 8 stops every .grad and all that is pending are what the trace says ... ok" in text


@pytest.mark.peer("matplotlib")
def test_the_log_and_the_figure_are_the_same_on_every_run(tmp_path: Path) -> None:
    made = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        assert scalar_e.main(["--no-transformer", "-o", str(folder)]) == 0
        files = sorted((folder / "scalar_e").iterdir())
        assert [file.name for file in files] == ["scalar_e.svg", "scalar_e_run.txt"]
        made.append([file.read_bytes() for file in files])
    assert made[0] == made[1]
    assert b"<svg" in made[0][0]
    assert str(tmp_path).encode() not in made[0][1]


def test_a_wrong_number_fails_the_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(scalar_e, "LOWEST", 2.56)
    assert scalar_e.main(["--no-transformer"]) == 1
    assert "12 of 13 checks hold" in capsys.readouterr().out


@pytest.mark.parametrize("code", [0, 1])
def test_the_transformer_comes_after_it(code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called: list[Sequence[str]] = []

    def transformer(argv: Sequence[str]) -> int:
        called.append(argv)
        return code

    monkeypatch.setattr(scalar_e, "transformer", transformer)
    assert scalar_e.main(["--small", "-o", str(tmp_path)]) == code
    assert called == [["--small", "-o", str(tmp_path)]]
