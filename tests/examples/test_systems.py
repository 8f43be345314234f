"""Systems A, B, C, D and F, in small: every check holds, and a wrong number is noticed."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from symdiff.examples import autoencoder, graph_b, matrix_graph, relu_network, two_layer
from symdiff.examples._show import LOG_DIGITS

ROOT = Path(__file__).resolve().parents[2]
SYSTEMS = ("two_layer", "graph_b", "matrix_graph", "relu_network", "autoencoder")
WITH_FIGURE = ("two_layer", "relu_network", "autoencoder")
PEERS = [pytest.mark.peer(module) for module in ("torch", "sklearn", "matplotlib")]


def _main(name: str) -> Any:
    return importlib.import_module(f"symdiff.examples.{name}").main


def _needs(name: str) -> Any:
    marks = {"graph_b": [], "matrix_graph": PEERS[:1], "two_layer": PEERS}.get(name, [PEERS[0], PEERS[2]])
    return pytest.param(name, marks=[*marks, pytest.mark.compiler])


@pytest.mark.parametrize("name", [_needs(name) for name in SYSTEMS])
def test_all_checks_hold_and_the_files_are_the_same_again(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        assert _main(name)(["--small", "-o", str(folder)]) == 0
        made.append({path.name: path.read_bytes() for path in (folder / name).iterdir()})
    assert made[0] == made[1]
    assert sorted(made[0]) == sorted([f"{name}_run.txt", *([f"{name}.svg"] if name in WITH_FIGURE else [])])
    shown = capsys.readouterr().out
    right, total = map(int, re.findall(r"^(\d+) of (\d+) checks hold\.$", shown, re.MULTILINE)[0])
    assert right == total > 4
    assert "Left out" not in shown and "DIFFERS" not in shown
    log = made[0][f"{name}_run.txt"].decode("ascii")
    for found in re.findall(r"(?<![\w.])\d+\.\d+", log):
        assert len(found.replace(".", "").lstrip("0")) <= LOG_DIGITS, found
    assert str(tmp_path) not in log


@pytest.mark.parametrize("name", ["matrix_graph", "two_layer", "relu_network", "autoencoder"])
def test_what_is_missing_is_said_and_the_rest_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in ("torch", "sklearn", "matplotlib"):
        monkeypatch.setitem(sys.modules, module, None)
    assert _main(name)(["--small", "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "It needs torch:  python -m pip install torch\n" in shown
    if name == "two_layer":
        assert "It needs scikit-learn:  python -m pip install scikit-learn\n" in shown
    elif name in WITH_FIGURE:
        assert "Left out: the figure. It needs matplotlib:  python -m pip install matplotlib\n" in shown
    assert not list(tmp_path.rglob("*.svg"))


def test_one_command_from_the_shell(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "symdiff.examples.graph_b"], capture_output=True, text=True, check=False, timeout=120,
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "" and "21 of 21 checks hold." in done.stdout
    assert not list(tmp_path.iterdir())  # nothing is written without -o


def test_a_number_of_the_course_that_differs_is_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(graph_b.GRADIENT, "w1", -0.38853959590483)  # two digits short
    assert graph_b.main([]) == 1
    assert "20 of 21 checks hold." in capsys.readouterr().out
    monkeypatch.setitem(matrix_graph.GRADIENT, "W", 0.004)  # worked out by hand, rounded half way
    assert matrix_graph.main([]) == 1


@pytest.mark.peer("torch")
def test_a_wrong_line_in_the_hand_made_training_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def slightly_wrong(X: Any, start: Any, epochs: int) -> list[float]:
        return right(X, {**start, "b2": start["b2"] + 1e-7}, epochs)

    right = autoencoder.by_hand
    monkeypatch.setattr(autoencoder, "by_hand", slightly_wrong)
    assert autoencoder.main(["--small"]) == 1


@pytest.mark.peer("torch")
def test_losses_in_torch_that_differ_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    original = relu_network.in_torch

    def other(torch: Any, data: Any, start: Any) -> Any:
        losses, leaves = original(torch, data, start)
        return [loss * (1 + 3e-9) for loss in losses], leaves

    monkeypatch.setattr(relu_network, "in_torch", other)
    assert relu_network.main(["--small"]) == 1


def test_kolmogorov_smirnov_of_small_samples() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.5, 3.5])
    assert two_layer.kolmogorov_smirnov(a, b) == 0.5  # at 2: half of a, none of b
    assert two_layer.kolmogorov_smirnov(a, a) == 0.0
    assert two_layer.kolmogorov_smirnov(a, a + 10.0) == 1.0


def test_moments_that_are_wrong_are_noticed() -> None:
    report: Any = two_layer.Report("name", None)
    sample = np.random.default_rng(0).uniform(-1.0, 1.0, 10_000)
    deviation = 1 / np.sqrt(3.0)
    two_layer._moments(report, "right", sample, deviation, "uniform")
    for wrong in (sample * 1.2, sample + 0.1, sample * 0.9, np.sign(sample)):
        two_layer._moments(report, "wrong", wrong, deviation, "uniform")
    assert report.verdicts == [True, False, False, False, False]
