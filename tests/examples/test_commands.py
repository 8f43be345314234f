"""The examples as commands: Ctrl-C, a folder that cannot be written to, a reader that stops, the list of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import numpy as np
import pytest

import symdiff
from symdiff import examples, optim
from symdiff.examples import _show, graph_b, scalar_e, two_layer
from symdiff.examples.__main__ import main as list_examples

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def _exit_code(main: Any) -> Any:
    with pytest.raises(SystemExit) as caught:
        _show.command(main)
    return caught.value.code


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "stopped by Ctrl-C\n"),
        (OSError(28, "No space left on device"), 2, "error: [Errno 28] No space left on device\n"),
        (symdiff.BuildError("no compiler"), 2, "error: no compiler\n"),
    ],
)
def test_what_stops_an_example_is_one_line(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> NoReturn:
        raise error

    assert _exit_code(main) == code
    assert capsys.readouterr().err == said


def test_the_exit_code_of_an_example_is_that_of_its_checks() -> None:
    assert _exit_code(lambda: 0) == 0 and _exit_code(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):  # a mistake of ours is not hidden
        _show.command(lambda: 1 // 0)


def test_a_training_that_was_stopped_stops_the_example() -> None:
    program = symdiff.formula("x**2").gradient().update(optim.gradient_descent())
    training = program.train({}, start={"x": 1.0}, epochs=2)
    assert _show.whole(training) is training
    with pytest.raises(KeyboardInterrupt):
        _show.whole(SimpleNamespace(interrupted=True))


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_in_the_shell() -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", "from symdiff.examples import two_layer as t\n"
         "t._xavier = lambda *_: (print('READY', flush=True), t.__dict__['time'].sleep(30))\n"
         "import time; t.time = time; t._bound = lambda *_: None; t.command(t.main)"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT,
    )  # fmt: skip
    assert running.stdout is not None
    while (line := running.stdout.readline()) and line != "READY\n":
        pass
    assert line == "READY\n"
    time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=30)
    assert (running.returncode, stderr) == (130, "stopped by Ctrl-C\n")


@pytest.mark.skipif(os.name == "nt", reason="pipes")
@pytest.mark.parametrize(("module", "code"), [("symdiff.examples.graph_b", 141), ("symdiff.examples", 141)])
def test_a_reader_that_stops_is_no_error(module: str, code: int) -> None:
    running = subprocess.Popen(
        [sys.executable, "-u", "-m", module], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    assert running.stdout is not None and running.stderr is not None
    running.stdout.close()  # before the first line
    assert running.wait(timeout=60) == code
    assert running.stderr.read() == b""
    running.stderr.close()


@pytest.mark.parametrize("example", [graph_b, two_layer, scalar_e], ids=["graph_b", "two_layer", "scalar_e"])
def test_a_folder_that_cannot_be_written_to_is_refused_first(
    example: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("mine", "utf-8")
    with pytest.raises(SystemExit) as caught:
        example.main(["--small", "-o", str(file)])
    assert caught.value.code == 2 and file.read_text("utf-8") == "mine"
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1 and f"cannot write to the folder {file}" in shown.err


def test_a_folder_that_is_refused_by_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: Any) -> NoReturn:  # as for a folder without permission, which root never sees
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(_show.tempfile, "TemporaryFile", refuse)
    with pytest.raises(SystemExit) as caught:
        graph_b.main(["-o", str(tmp_path)])
    assert caught.value.code == 2
    assert capsys.readouterr().err.endswith(": Permission denied\n")


def test_the_list_has_every_program_and_every_formula(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_examples([]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = [line.split()[0] for line in lines if line.startswith("  ")]
    programs = sorted(file.stem for file in Path(_show.__file__).parent.glob("[a-z]*.py"))
    notebooks = sorted(str(file) for file in Path(_show.__file__).parent.glob("*.ipynb"))
    assert named == [*programs, *notebooks, *examples.names()] and notebooks
    assert all(len(line.split()) > 3 for line in lines if line.startswith("  "))


def test_every_name_in_the_derivation_of_the_two_layers_is_shown_and_the_rate_is_the_one_used(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = _show.Report("two_layer", None)
    formula = symdiff.formula(examples.path("two_layer"))
    two_layer._abstract(report, formula.gradient().update(optim.gradient_descent(eta=two_layer.ETA)).text())
    shown = capsys.readouterr().out
    assert all(report.verdicts)
    for name in ("v5 = lam/2", "v6 = norm(W1)**2", "v7 = norm(W2)**2", "v8 = v6 + v7"):
        assert name in shown and shown.index(name) < shown.index("dv6/dW1")
    assert "eta = 0.5" in shown and "eta = 0.1" not in shown


def test_the_example_itself_shows_that_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("_bound", "_xavier", "_digits"):
        monkeypatch.setattr(two_layer, part, lambda *_: None)
    assert two_layer.main([]) == 0
    assert f"eta = {np.float64(two_layer.ETA):g}\n" in capsys.readouterr().out
