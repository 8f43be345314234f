"""`symdiff train`, and `--update` of the other commands: results on stdout, messages on stderr, files, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import symdiff
from symdiff import init, optim, runtime
from symdiff.cli import main
from symdiff.runtime import training

NET = """
W1: (h, 2)
b1: h
W2: (1, h)
X: const(n, 2)
y: const(n)
H = tanh(X @ W1.T + b1)
o = (H @ W2.T)[:, 0]
sum((o - y)**2)/n
"""
NAMES = ("W1", "b1", "W2")
OWN = "theta: (); theta_bar: const(); rate: const() = 0.1\ntheta_new = theta - rate*theta_bar\n"
ROSENBROCK = "(1 - x)**2 + 100*(y - x**2)**2"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", *arguments])


def rows(printed: Result) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in printed.stdout.replace(" at ", "_at_").splitlines())


@pytest.fixture(autouse=True)
def _in_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 2))
    np.savez("data.npz", X=X, y=X[:, 0] * X[:, 1])
    Path("net.sd").write_text(NET)


def network(*more: str) -> tuple[str, ...]:
    given = ("net.sd", "--data", "data.npz", "--wrt", "W1,b1,W2", "--size", "h=3", "--backend", "numpy")
    return *given, "--update", "adam", "--lr", "0.02", *more


def test_the_command_does_what_program_train_does() -> None:
    done = run(*network("--epochs", "6", "--batch", "16", "--seed", "4", "-o", "out.npz", "--history", "h.csv"))
    assert done.exit_code == 0, done.stderr
    formula, data = symdiff.formula(NET), dict(np.load("data.npz"))
    start = init.parameters(formula, NAMES, {"h": 3}, np.random.default_rng(4))
    program = formula.gradient(NAMES).update(optim.adam(0.02))
    made = program.train(data, start, epochs=6, batch=16, seed=4, backend="numpy")
    written = np.load("out.npz")
    assert written.files == list(NAMES)
    assert all(np.array_equal(written[name], made.parameters[name]) for name in NAMES)
    history = Path("h.csv").read_text().splitlines()
    assert history[0] == "epoch_from_0,value_before_updates"
    assert [float(line.split(",")[1]) for line in history[1:]] == made.history.value.tolist()
    value = program.trainer("numpy").value
    shown = rows(done)
    assert shown["value_at_start"] == f"{value(data, start):.9g}"
    assert shown["value_at_end"] == f"{value(data, made.parameters):.9g}"
    assert (shown["epochs"], shown["updates"], shown["backend"]) == ("6", "18", "numpy")
    assert done.stderr.strip().endswith("s") and float(done.stderr.split()[0]) >= 0


@pytest.mark.compiler
def test_compiled_it_gives_the_same() -> None:
    by_numpy = run(*network("--epochs", "5", "--batch", "8"))
    by_c = run(*network("--epochs", "5", "--batch", "8", "--backend", "c"))
    assert rows(by_c)["backend"] == "c"
    assert float(rows(by_c)["value_at_end"]) == pytest.approx(float(rows(by_numpy)["value_at_end"]), rel=1e-8)


def test_starts_come_from_options_data_defaults_and_init() -> None:
    line = "w: (); b: () = 7; c: (); x: const(); y: const(); (w*x + b + c - y)**2"
    np.savez("points.npz", x=[1.0, 2.0], y=[0.0, 1.0], w=0.25)
    common = (line, "--wrt", "w,b,c", "--data", "points.npz", "--lr", "0", "--epochs", "1", "--backend", "numpy")
    for more, wanted in (
        ((), {"w": 0.25, "b": 7, "c": 0}),
        (("--start", "w=2"), {"w": 2, "b": 7, "c": 0}),
        (("--start", "w=2,b=1", "--start", "c=3"), {"w": 2, "b": 1, "c": 3}),
        (("--init", "zeros"), {"w": 0.25, "b": 0, "c": 0}),
    ):
        done = run(*common, *more, "-o", "out.npz")
        assert done.exit_code == 0, done.stderr
        assert {name: float(number) for name, number in np.load("out.npz").items()} == wanted


def test_without_wrt_data_are_not_trained() -> None:
    line = "w: (); x: (); y: const(); (w*x - y)**2"
    done = run(line, "--data", "x=[1,2],y=[2,4]", "--lr", "0.1", "--epochs", "40", "-o", "o.npz", "--backend", "numpy")
    assert done.exit_code == 0, done.stderr
    assert np.load("o.npz").files == ["w"] and float(np.load("o.npz")["w"]) == pytest.approx(2, rel=1e-6)
    none = run(line, "--data", "x=[1,2],y=[2,4],w=1", "--epochs", "1", "--backend", "numpy")
    assert none.exit_code == 2 and "wrt" in none.stderr


def test_starts_by_another_initialiser() -> None:
    done = run(*network("--epochs", "1", "--lr", "0", "--init", "he_normal", "--seed", "1", "-o", "out.npz"))
    assert done.exit_code == 0, done.stderr
    wanted = init.parameters(symdiff.formula(NET), NAMES, {"h": 3}, np.random.default_rng(1), weights="he_normal")
    assert all(np.array_equal(np.load("out.npz")[name], wanted[name]) for name in NAMES)


def test_rules_and_settings() -> None:
    Path("own.sd").write_text(OWN)
    common = (ROSENBROCK, "--start", "x=-1,y=1", "--epochs", "20", "--backend", "numpy", "-o", "out.npz")
    results = {}
    for name, options in {
        "default": ("--lr", "0.001"),
        "gd": ("--update", "gd", "--lr", "0.001"),
        "set": ("--update", "gd", "--set", "eta=0.001"),
        "own": ("--update", "own.sd", "--set", "rate=0.001"),
        "momentum": ("--update", "momentum", "--lr", "0.001", "--set", "mu=0"),
        "adam": ("--update", "adam", "--lr", "0.001", "--set", "beta1=0.8"),
    }.items():
        done = run(*common, *options)
        assert done.exit_code == 0, done.stderr
        results[name] = float(np.load("out.npz")["x"])
    assert results["default"] == results["gd"] == results["set"] == results["own"] == results["momentum"]
    assert results["adam"] != results["gd"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("net.sd", "--epochs", "1", "--data", "missing.npz"), "missing.npz"),
        (("net.sd", "--epochs", "1", "--data", "data.npz", "--wrt", "W1,b1,W2"), "--size h=N"),
        (("x**2", "--epochs", "1", "--update", "sgd"), "sgd"),
        (("x**2", "--epochs", "1", "--set", "beta1=0.5"), "beta1"),
        (("x**2", "--epochs", "1", "--set", "eta=much"), "--set"),
        (("x**2", "--epochs", "1", "--set", "eta=1", "--lr", "2"), "eta"),
        (("x**2", "--epochs", "1", "--size", "h=-1"), "--size"),
        (("x**2", "--epochs", "1", "--size", "h=3"), "no dimension of this name; it has none"),
        (("net.sd", "--epochs", "1", "--size", "k=3", "--data", "data.npz", "--wrt", "W1,b1,W2"), "it has h, n"),
        (("net.sd", "--epochs", "1", "--size", "n=3", "--data", "data.npz", "--wrt", "W1,b1,W2"), "'X' has 40 along n"),
        (("x**2", "--epochs", "1", "--size", "h=3", "--size", "h=4"), "given twice"),
        (("x**2", "--epochs", "1", "--lr", "-1"), "0 <= eta, and got -1"),
        (("x**2", "--epochs", "1", "--update", "adam", "--set", "beta1=2"), "0 <= beta1 < 1, and got 2"),
        (("x**2", "--epochs", "1", "--update", "adam", "--set", "warmup=2"), "it has eta, beta1, beta2, epsilon"),
        (("x**2", "--epochs", "1", "--data", "points.csv"), ".npz or .toml"),
        (("x**2", "--epochs", "1", "--data", "y=[[1],[2,3]]"), "'y'"),
        (("x**2", "--epochs", "1", "--every", "2"), "--checkpoint"),
        (("x**2", "--epochs", "1", "--every", "-2", "--checkpoint", "run.npz"), "--every"),
        (("x**2", "--epochs", "1", "--every", "nan", "--checkpoint", "run.npz"), "every"),
        (("x**2", "--epochs", "1", "--start", "x=nan"), "x is nan"),
        (("x**2", "--epochs", "1", "-o", "folder.npz"), "which is a folder"),
        (("x**2", "--epochs", "0"), "--epochs"),
        (("x**2", "--epochs", "1", "--batch", "2"), "samples"),
        (("x**2", "--epochs", "1", "--start", "z=1"), "'z'"),
        (("x**2", "--epochs", "1", "--plot", "curve.jpg"), "--plot"),
        (("x**2", "--epochs", "1", "-o", "out.txt"), ".npz"),
        (("x**2", "--epochs", "1", "--history", "nowhere/h.csv"), "nowhere"),
        (("x +", "--epochs", "1"), "line 1"),
    ],
)
def test_bad_use_is_one_message_and_exit_2(arguments: tuple[str, ...], word: str) -> None:
    Path("folder.npz").mkdir()
    done = run(*arguments, "--backend", "numpy")
    assert done.exit_code == 2 and word in done.stderr and not done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-o", "run.npz", "--checkpoint", "./run.npz"), ("-o", "--checkpoint")),
        (("--history", "h.svg", "--plot", "sub/../h.svg"), ("--history", "--plot")),
        (("-o", "data.npz"), ("-o", "--data")),
        (("-o", "hard.npz"), ("-o", "--data")),
        (("--checkpoint", "link.npz"), ("--checkpoint", "--data")),
        (("--history", "net.sd"), ("--history", "FORMULA")),
        (("--start", "start.npz", "--checkpoint", "start.npz"), ("--checkpoint", "--start")),
        (("--update", "own.sd", "--history", "own.sd"), ("--history", "--update")),
        (("--let", "phi=@phi.txt", "--history", "phi.txt"), ("--history", "--let")),
    ],
)
def test_no_file_is_overwritten_by_another(arguments: tuple[str, ...], words: tuple[str, ...]) -> None:
    Path("own.sd").write_text(OWN)
    Path("sub").mkdir()
    np.savez("start.npz", W1=np.zeros((3, 2)))
    os.link("data.npz", "hard.npz")
    os.symlink("data.npz", "link.npz")
    before = {file.name: file.read_bytes() for file in Path().iterdir() if file.is_file()}
    given = ("net.sd", "--data", "data.npz", "--size", "h=3", "--epochs", "1", "--backend", "numpy", *arguments)
    done = run(*given)
    assert done.exit_code == 2 and all(word in done.stderr for word in words) and not done.stdout
    assert {file.name: file.read_bytes() for file in Path().iterdir() if file.is_file()} == before


def test_a_module_of_python_is_not_overwritten() -> None:
    Path("mine.py").write_text("def loss(x):\n    return x**2\n")
    done = run("mine.py:loss", "--epochs", "1", "--history", "mine.py", "--backend", "numpy")
    assert done.exit_code == 2 and "FORMULA" in done.stderr and Path("mine.py").read_text().startswith("def")


def test_small_parameters_are_printed_and_large_ones_named() -> None:
    line = "a: (); W: (2, 3); x: const(); x*a**2 + sum(W**2)"
    done = run(line, "--data", "x=1", "--start", "a=2,W=[[1,2,3],[4,5,6]]", "--epochs", "1", "--backend", "numpy")
    assert "\na = 1.6\n" in done.stdout and "\nW = [[0.8, 1.6, 2.4], [3.2, 4, 4.8]]\n" in done.stdout
    assert "too large" not in done.stderr
    large = run("W: 7; sum(W**2)", "--start", "W=[1,2,3,4,5,6,7]", "--epochs", "1", "--backend", "numpy")
    assert "W =" not in large.stdout and "too large to be shown here: W; -o FILE.npz" in large.stderr


def test_a_batch_of_more_than_there_are_samples_is_noted() -> None:
    done = run(*network("--epochs", "1", "--batch", "64"))
    assert done.exit_code == 0 and "--batch 64 is more than the 40 samples" in done.stderr
    assert "--batch" not in run(*network("--epochs", "1", "--batch", "40")).stderr


def test_the_size_of_data_may_be_said() -> None:
    assert run(*network("--epochs", "1", "--size", "n=40")).exit_code == 0


def test_checkpoints_as_often_as_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    keep_in = training._Session.keep_in

    def watched(self: Any, file: Any, every: float) -> None:
        seen.append(every)
        keep_in(self, file, every)

    monkeypatch.setattr(training._Session, "keep_in", watched)
    for more in ((), ("--every", "0.5")):
        assert run(*network("--epochs", "1", "--checkpoint", "run.npz", *more)).exit_code == 0
    assert seen == [5.0, 0.5]


@pytest.mark.peer("matplotlib")
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("formula", "rate"),
    [
        ("w**4", "1"),  # 16 to 1e190 in five epochs
        ("(w - 1)**2 + w**2", "3"),  # steadily to the end of float64
        ("-(w - 1)**4", "0.1"),  # to minus infinity
        ("exp(w**2)", "1"),  # in the first updates
    ],
)
def test_the_picture_of_a_run_that_diverged(formula: str, rate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.figure import Figure

    figures: list[Any] = []
    savefig = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: figures.append(self) or savefig(self, *a, **k))
    options = ("--start", "w=2", "--lr", rate, "--epochs", "2000", "--plot", "p.svg", "--history", "h.csv")
    done = run(formula, *options, "--backend", "numpy")
    assert done.exit_code == 1, done.stderr
    assert "what was made before is written: history in h.csv, plot in p.svg; -o FILE.npz" in done.stderr
    epochs = len(Path("h.csv").read_text().splitlines()) - 1
    (axes,) = figures[0].axes
    assert axes.get_title() == f"formula: diverged in epoch {epochs}"
    assert "from 0" in axes.get_xlabel() and "before the updates" in axes.get_ylabel()
    drawn, (low, high) = axes.lines[0].get_ydata(), axes.get_ylim()
    assert len(drawn) > 0 and np.isfinite(drawn).all() and low <= drawn.min() and drawn.max() <= high
    lowest, highest = axes.transData.transform([(0, drawn.min()), (0, drawn.max())])[:, 1]
    assert len(drawn) == 1 or highest - lowest > 0.5 * axes.bbox.height


def test_nothing_written_is_said() -> None:
    done = run("w**4", "--start", "w=2", "--lr", "1", "--epochs", "50", "--backend", "numpy")
    assert "nothing was written; -o FILE.npz would keep the parameters" in done.stderr
    kept = run("w**4", "--start", "w=2", "--lr", "1", "--epochs", "50", "--backend", "numpy", "-o", "o.npz")
    assert "parameters in o.npz" in kept.stderr and "would" not in kept.stderr


def test_divergence_is_exit_1_and_what_was_made_is_written() -> None:
    done = run("w**4", "--start", "w=2", "--lr", "1", "--epochs", "50", "--history", "h.csv", "--backend", "numpy")
    assert done.exit_code == 1 and "diverged in epoch" in done.stderr and "learning rate" in done.stderr
    made = Path("h.csv").read_text().splitlines()[1:]
    assert 1 < len(made) < 50 and rows(done)["epochs"] == str(len(made))


def test_what_was_trained_is_written_though_the_whole_data_are_too_many() -> None:
    """An index outside of its array for all samples at once, and not for a batch; arrays beyond every memory."""
    line = "W: 10; x: const(n); y: const(n); sum((W[0:n]*x - y)**2)/n"
    np.savez("points.npz", x=np.ones(40), y=np.ones(40), W=np.zeros(10))
    common = ("--data", "points.npz", "--wrt", "W", "--batch", "5", "--epochs", "3", "--backend", "numpy")
    done = run(line, *common, "-o", "out.npz", "--history", "h.csv")
    assert done.exit_code == 0 and "value over all data could not be worked out" in done.stderr
    assert "(n = 40)" in done.stderr and "Traceback" not in done.stderr
    assert rows(done)["updates"] == "24" and "in the last epoch" in rows(done)["value"]
    assert np.all(np.load("out.npz")["W"][:5] > 0.1) and len(Path("h.csv").read_text().splitlines()) == 4


def test_too_little_memory_for_the_whole_data(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> float:
        raise MemoryError

    monkeypatch.setattr("symdiff.runtime.training.Trainer.value", refused)
    done = run("x**2", "--start", "x=1", "--epochs", "2", "--backend", "numpy", "-o", "out.npz")
    assert done.exit_code == 0 and "worked out: not enough memory" in done.stderr
    assert float(np.load("out.npz")["x"]) == pytest.approx(0.64)


def test_what_was_trained_is_written_though_its_checkpoint_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("symdiff.runtime.checkpoint.os.fsync", full)
    options = ("--epochs", "2", "--backend", "numpy", "--checkpoint", "run.npz", "-o", "out.npz")
    done = run("x**2", "--start", "x=1", *options)
    assert done.exit_code == 2 and "cannot write the checkpoint" in done.stderr and "No space left" in done.stderr
    assert float(np.load("out.npz")["x"]) == pytest.approx(0.8) and rows(done)["updates"] == "1"
    Path("out.npz").unlink()
    diverged = run("(x*1e150)**2 + x**4", "--start", "x=1e10", "--lr", "1", *options)
    assert diverged.exit_code == 1 and "diverged" in diverged.stderr and Path("out.npz").exists()


def test_a_checkpoint_goes_on() -> None:
    whole = run(*network("--epochs", "9", "--batch", "7", "-o", "whole.npz"))
    assert whole.exit_code == 0
    for epochs in ("4", "9"):
        done = run(*network("--epochs", epochs, "--batch", "7", "--checkpoint", "run.npz", "-o", "parts.npz"))
        assert done.exit_code == 0
    assert Path("whole.npz").read_bytes() == Path("parts.npz").read_bytes()
    other = run(*network("--epochs", "9", "--batch", "8", "--checkpoint", "run.npz"))
    assert other.exit_code == 2 and "batch (7 there, 8 here)" in other.stderr


@pytest.mark.peer("matplotlib")
@pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_the_picture_is_the_same_on_every_run(suffix: str, magic: bytes) -> None:
    pictures = []
    for name in ("one", "two"):
        done = run(*network("--epochs", "3", "--plot", f"{name}.{suffix}"))
        assert done.exit_code == 0, done.stderr
        pictures.append(Path(f"{name}.{suffix}").read_bytes())
    assert pictures[0] == pictures[1] and pictures[0].startswith(magic)


def test_without_matplotlib_the_pip_line_is_said_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = run(*network("--epochs", "3", "--plot", "curve.svg"))
    assert done.exit_code == 2 and "pip install 'symdiff-codegen[plot]'" in done.stderr and not done.stdout


def test_a_parameter_may_have_any_name() -> None:
    done = run("file**2 + arr_0**2", "--start", "file=1,arr_0=2", "--epochs", "1", "-o", "o.npz", "--backend", "numpy")
    assert done.exit_code == 0, done.stderr
    assert {name: float(x) for name, x in np.load("o.npz").items()} == pytest.approx({"file": 0.8, "arr_0": 1.6})


@pytest.mark.skipif(not hasattr(os, "kill"), reason="Ctrl-C is sent as a signal")
def test_ctrl_c_stops_within_a_second_and_the_same_command_goes_on(root: Path) -> None:
    """A real process, a real signal. The time of the last evaluation and of Python's exit is in the allowance."""
    process = started(
        root, *network("--epochs", "1000000", "--batch", "16", "--checkpoint", "run.npz", "-o", "out.npz")
    )
    wait_for(Path("run.npz"))
    process.send_signal(signal.SIGINT)
    pressed = time.monotonic()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "goes on" in errors and "Traceback" not in errors
    assert time.monotonic() - pressed < 3
    kept, written = np.load("run.npz"), np.load("out.npz")
    assert np.array_equal(kept["theta"], np.concatenate([written[name].ravel() for name in NAMES]))
    assert int(kept["updates"]) > 0


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_sigterm_keeps_a_fresh_checkpoint(root: Path) -> None:
    """Also in the background of a script, where Ctrl-C is ignored; the checkpoint at the end is the second one."""
    options = ("--checkpoint", "run.npz", "--every", "1000", "-o", "out.npz")
    process = started(root, *network("--epochs", "1000000", "--batch", "16", *options), ignoring=True)
    wait_for(Path("run.npz"))
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 143 and "goes on" in errors and "Traceback" not in errors
    kept, written = np.load("run.npz"), np.load("out.npz")
    assert int(kept["updates"]) > 1
    assert np.array_equal(kept["theta"], np.concatenate([written[name].ravel() for name in NAMES]))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_before_the_training_ends_in_one_line(number: int, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is compiled, for example."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr("symdiff.pipeline.Program.trainer", lambda *_: signal.raise_signal(number))
    try:
        done = run("x**2", "--start", "x=1", "--epochs", "1")
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.exit_code == code and len(done.stderr.splitlines()) == 1 and not done.stdout
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def started(root: Path, *arguments: str, ignoring: bool = False) -> subprocess.Popen[str]:
    """The command in a process of its own; `ignoring` Ctrl-C, as in the background of a script."""
    command = [sys.executable, "-m", "symdiff", "train", *arguments]
    if ignoring:
        command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


# -- the rule in other commands ----------------------------------------------------------------------------------------


def test_generate_writes_the_rule_and_its_command_makes_the_same_again(tmp_path: Path) -> None:
    def generate(*arguments: str) -> Any:
        return CliRunner().invoke(main, ["generate", *arguments])

    line = "w: (); b: (); x: const(); y: const(); (w*x + b - y)**2"
    done = generate(line, "--name", "line", "-o", "one", "--update", "adam", "--set", "eta=0.02")
    assert done.exit_code == 0, done.stderr
    header = (tmp_path / "one" / "line" / "line_numpy.py").read_text()
    assert "--update adam --set eta=0.02" in header
    again = generate("one/line/line.sd", "-o", "two", "--update", "adam", "--set", "eta=0.02")
    assert again.exit_code == 0, again.stderr
    first, second = ({p.name: p.read_text() for p in (tmp_path / f / "line").glob("*.*")} for f in ("one", "two"))
    assert first == second
    assert generate("x**2", "--set", "eta=1").exit_code == 2
    assert generate("x**2", "--value", "--update", "gd").exit_code == 2


@pytest.mark.parametrize("backend", ["numpy", pytest.param("c", marks=pytest.mark.compiler)])
def test_a_generated_package_trains_by_itself(backend: str, tmp_path: Path) -> None:
    """Without symdiff on the path; the same numbers as Program.train of that backend."""
    program = symdiff.formula(NET).gradient(NAMES).update(optim.momentum(0.02))
    program.write(tmp_path / "net")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if backend == "c":
        built = subprocess.run([sys.executable, "-m", "net.build"], env=environment, capture_output=True, text=True)
        assert built.returncode == 0, built.stderr
    start = init.parameters(program, sizes={"h": 3}, rng=np.random.default_rng(0))
    np.savez("start.npz", **start)
    script = (
        "import sys, numpy as np, net\n"
        "given = dict(np.load('data.npz')), dict(np.load('start.npz'))\n"
        "made = net.train(*given, epochs=4, batch=16, settings={'eta': 0.01}, checkpoint='kept.npz')\n"
        "np.savez('made.npz', value=made.history.value, **made.parameters)\n"
        "print(net.backend, made.backend, 'symdiff' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [backend, backend, "False"], done.stderr
    other = symdiff.formula(NET).gradient(NAMES).update(optim.momentum(0.01))
    wanted = other.train(
        dict(np.load("data.npz")),
        start,
        epochs=4,
        batch=16,
        backend=backend,
        checkpoint="kept.npz",  # type: ignore[arg-type]
    )  # the formula and the rule are the same: the checkpoint of the package is gone on from
    made = np.load("made.npz")
    assert np.array_equal(made["value"], wanted.history.value) and wanted.updates == 12
    anew = other.train(dict(np.load("data.npz")), start, epochs=4, batch=16, backend=backend)  # type: ignore[arg-type]
    assert np.allclose(made["W1"], anew.parameters["W1"], rtol=1e-13)
    if backend == "numpy":
        assert np.array_equal(made["W1"], anew.parameters["W1"])


def test_a_package_carries_what_it_needs_of_the_runtime(tmp_path: Path) -> None:
    program = symdiff.formula(ROSENBROCK).gradient()
    program.write(tmp_path / "plain")
    program.update(optim.adam()).write(tmp_path / "trained")
    for name, modules in (("plain", runtime.MODULES), ("trained", runtime.MODULES + runtime.TRAINING)):
        assert {file.stem for file in (tmp_path / name / "_runtime").iterdir()} == {"__init__", *modules}
    assert "train" not in (tmp_path / "plain" / "__init__.py").read_text()
    files = {file.stem for file in Path(runtime.__file__).parent.glob("*.py")}
    assert files == {"__init__", *runtime.MODULES, *runtime.GROUPS, *runtime.TRAINING}
