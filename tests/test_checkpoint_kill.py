"""Checkpoints: a run that is killed at any moment, also while one is written, goes on to the same bits."""

from __future__ import annotations

import builtins
import io
import multiprocessing
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symdiff
from symdiff import optim
from symdiff.runtime import checkpoint, training
from symdiff.runtime.training import Trainer, Training

FORMULA = "W: (2, 3); b: 2; X: const(n, 3); y: const(n, 2); sum((tanh(X @ W.T + b) - y)**2)/n"
RNG = np.random.default_rng(5)
DATA = {"X": RNG.normal(size=(37, 3)), "y": RNG.uniform(-0.9, 0.9, (37, 2))}
START = {"W": RNG.normal(size=(2, 3)), "b": np.zeros(2)}
OPTIONS: dict[str, Any] = {"batch": 5, "seed": 2, "every": 0}

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked and killed")


@pytest.fixture(scope="module", params=[pytest.param("c", marks=pytest.mark.compiler), "numpy"])
def trainer(request: pytest.FixtureRequest) -> Trainer:
    program = symdiff.formula(FORMULA).gradient(("W", "b")).update(optim.adam(eta=0.01))
    return program.trainer(request.param)


def run(trainer: Trainer, epochs: int, file: Path | None = None, **options: Any) -> Training:
    return trainer.train(DATA, START, epochs=epochs, checkpoint=file, **{**OPTIONS, **options})


def bits(made: Training) -> list[bytes]:
    states = [made.states[state][name] for state in made.states for name in made.states[state]]
    return [array.tobytes() for array in (*made.parameters.values(), *states, made.history.value)]


def in_a_process(work: Callable[[], None]) -> Any:
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    return process


# -- killed ------------------------------------------------------------------------------------------------------------


@forks
def test_killed_at_random_times_the_run_ends_with_the_same_bits(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs, most = (700, 40) if trainer.backend == "numpy" else (15000, 400)
    monkeypatch.setattr(training, "_MOST", most)  # many checkpoints
    whole, file, chance = run(trainer, epochs), tmp_path / "run.npz", random.Random(1)
    killed = 0
    for _ in range(200):
        process = in_a_process(lambda: run(trainer, epochs, file) and None)
        process.join(chance.uniform(0.01, 0.07) if killed < 12 else None)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            killed += 1
        elif process.exitcode == 0:
            break
        else:
            pytest.fail(f"exit code {process.exitcode}")
    assert killed >= 3
    made = run(trainer, epochs, file)  # is there already
    assert bits(made) == bits(whole) and made.updates == whole.updates
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _HalfWritten:
    """A file that writes half of what it should, and ends the process."""

    def __init__(self, *given: Any) -> None:
        self.file = builtins.open(*given)  # noqa: SIM115  # the process ends before it could be closed

    def __enter__(self) -> _HalfWritten:
        return self

    def __exit__(self, *_: object) -> None: ...

    def write(self, content: bytes) -> None:
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        _die()


STAGES = {
    "before the temporary file": lambda patch: patch(checkpoint.secrets, "token_hex", _die),
    "half of it written": lambda patch: patch(checkpoint, "open", _HalfWritten, raising=False),
    "before it is flushed": lambda patch: patch(checkpoint.os, "fsync", _die),
    "before it is put in place": lambda patch: patch(checkpoint.os, "replace", _die),
    "before the folder is flushed": lambda patch: patch(checkpoint, "_flush_folder", _die),
}


@forks
@pytest.mark.parametrize("earlier", [0, 1, 3])
@pytest.mark.parametrize("stage", STAGES)
def test_killed_while_a_checkpoint_is_written(
    trainer: Trainer, stage: str, earlier: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`earlier` checkpoints go well, then the process is killed at the stage."""
    monkeypatch.setattr(training, "_MOST", 3)
    whole, file, save = run(trainer, 2), tmp_path / "run.npz", checkpoint.Checkpoint.save

    def work() -> None:
        count = 0

        def counted(self: Any, *given: Any) -> None:
            nonlocal count
            if count == earlier:
                STAGES[stage](setattr_)
            count += 1
            save(self, *given)

        checkpoint.Checkpoint.save = counted  # type: ignore[method-assign]  # of this process alone
        run(trainer, 2, file)

    process = in_a_process(work)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    left = sorted(path.name for path in tmp_path.iterdir())
    in_place = earlier > 0 or stage == "before the folder is flushed"
    assert ("run.npz" in left) == in_place
    temporary = stage in ("half of it written", "before it is flushed", "before it is put in place")
    assert sum(name.endswith(".tmp") for name in left) == temporary
    made = run(trainer, 2, file)
    assert bits(made) == bits(whole)
    assert [path.name for path in tmp_path.iterdir()] == ["run.npz"]


def setattr_(target: Any, name: str, value: Any, raising: bool = True) -> None:
    assert hasattr(target, name) or not raising
    setattr(target, name, value)


@forks
def test_temporary_files_of_living_processes_and_of_others_stay(trainer: Trainer, tmp_path: Path) -> None:
    process = in_a_process(lambda: time.sleep(60))
    names = [f".run.npz.{process.pid}-abc.tmp", ".other.npz.1-abc.tmp", ".run.npz.tmp", "run.npz.1-abc.tmp"]
    for name in names:
        (tmp_path / name).write_text("mine")
    run(trainer, 1, tmp_path / "run.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "run.npz"])
    process.kill()
    process.join()
    run(trainer, 1, tmp_path / "run.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names[1:], "run.npz"])


# -- going on ----------------------------------------------------------------------------------------------------------


def test_more_epochs_go_on_and_fewer_are_refused(trainer: Trainer, tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    run(trainer, 3, file)
    assert bits(run(trainer, 7, file)) == bits(run(trainer, 7))
    with pytest.raises(symdiff.CheckpointError, match="7 epochs"):
        run(trainer, 6, file)


def test_a_checkpoint_is_written_every_so_often(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    monkeypatch.setattr(training, "_MOST", 4)
    monkeypatch.setattr(checkpoint.Checkpoint, "save", lambda self, identity, kept: saved.append(kept.updates))
    run(trainer, 2, tmp_path / "often.npz")
    assert saved == [1, 5, 9, 13, 16]
    saved.clear()
    run(trainer, 2, tmp_path / "once.npz", every=1000)
    assert saved == [1, 16]  # the first at once: a place that cannot be written is noticed


def test_the_state_before_a_number_that_is_not_finite_is_kept(tmp_path: Path) -> None:
    program = symdiff.formula("w: 2; sum(w**2)**8").gradient().update(optim.gradient_descent(1.0))
    file = tmp_path / "run.npz"
    for _ in range(2):
        with pytest.raises(symdiff.DivergenceError) as error:
            program.train(start={"w": [1.5, 2]}, epochs=100, checkpoint=file, backend="numpy")
        assert error.value.training.updates == len(error.value.training.history) > 0


# -- of another run, damaged, impossible -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch": 6}, "batch (5 there, 6 here)"),
        ({"seed": 3}, "seed (2 there, 3 here)"),
        ({"shuffle": False}, "shuffle (True there, False here)"),
        ({"settings": {"eta": 0.02}}, "setting eta (0.01 there, 0.02 here)"),
        ({"data": {**DATA, "y": DATA["y"] + 1e-16}}, "data 'y'"),
        ({"data": {"X": DATA["X"][:36], "y": DATA["y"][:36]}}, "samples"),
        ({"start": {**START, "b": np.array([0, 1e-300])}}, "start 'b'"),
    ],
)
def test_another_run_is_refused(trainer: Trainer, change: dict[str, Any], named: str, tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    run(trainer, 1, file)
    before = file.read_bytes()
    given: dict[str, Any] = {"data": DATA, "start": START, "checkpoint": file, "epochs": 2, **OPTIONS, **change}
    with pytest.raises(symdiff.CheckpointError) as error:
        trainer.train(**given)
    assert named in str(error.value) and "run.npz" in str(error.value) and "another" in str(error.value)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("formula", "rule", "named"),
    [
        (FORMULA.replace("tanh", "sin"), optim.adam(eta=0.01), "formula"),
        (FORMULA, optim.gradient_descent(0.01), "rule"),
    ],
)
def test_another_formula_or_rule_is_refused(formula: str, rule: Any, named: str, tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    run(symdiff.formula(FORMULA).gradient(("W", "b")).update(optim.adam(eta=0.01)).trainer("numpy"), 1, file)
    with pytest.raises(symdiff.CheckpointError, match=f"different: {named}"):
        run(symdiff.formula(formula).gradient(("W", "b")).update(rule).trainer("numpy"), 1, file)


def test_damage_is_noticed_wherever_it_is(trainer: Trainer, tmp_path: Path) -> None:
    """A byte changed at many places, and every kind of cut: an error, or the numbers that were saved."""
    file = tmp_path / "run.npz"
    whole = run(trainer, 2, file)
    content, chance = file.read_bytes(), random.Random(3)
    noticed = 0
    for place in [chance.randrange(len(content)) for _ in range(150)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        try:
            assert bits(run(trainer, 2, file)) == bits(whole)
        except symdiff.CheckpointError as error:
            assert "run.npz" in str(error)
            noticed += 1
        else:
            file.write_bytes(content)
    assert noticed > 75
    for length in (40, len(content) // 2, len(content) - 1):
        file.write_bytes(content[:length])
        with pytest.raises(symdiff.CheckpointError, match=r"damaged .*name another file, or delete this one"):
            run(trainer, 2, file)


def _npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"P",
        b"not a file of numbers",
        b"\x93NUMPY\x01\x00",
        b"PK\x03\x04" + bytes(60),
        _npz(theta=np.zeros(3)),
        _npz(theta=np.array([{}], object)),
        _npz(format=np.array("a picture"), theta=np.zeros(3)),
    ],
    ids=["empty", "one byte", "text", "NPY", "ZIP", "NPZ", "objects", "format"],
)
def test_other_files_are_no_checkpoints_and_stay(trainer: Trainer, content: bytes, tmp_path: Path) -> None:
    """Nobody is told to delete what is not ours, or about pickles."""
    file = tmp_path / "run.npz"
    file.write_bytes(content)
    with pytest.raises(symdiff.CheckpointError) as error:
        run(trainer, 1, file)
    assert str(error.value) == f"{file} is not a checkpoint; name another file"
    assert file.read_bytes() == content


def test_a_checkpoint_of_another_version_is_named(trainer: Trainer, tmp_path: Path) -> None:
    file = tmp_path / "run.npz"
    np.savez(file, format=np.array("symdiff checkpoint 2"), theta=np.zeros(3))
    with pytest.raises(symdiff.CheckpointError, match="another version of symdiff; name another file"):
        run(trainer, 1, file)


def test_a_place_that_cannot_be_written(trainer: Trainer, tmp_path: Path) -> None:
    with pytest.raises(symdiff.CheckpointError, match="cannot write"):
        run(trainer, 1, tmp_path / "missing" / "run.npz")
    with pytest.raises(symdiff.CheckpointError, match="a folder: name a file"):
        run(trainer, 1, tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices with a name")
def test_what_is_no_regular_file_is_not_opened(trainer: Trainer, tmp_path: Path) -> None:
    """Reading a pipe would wait forever, and a device may have no end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for place in (tmp_path / "pipe", tmp_path / "link", Path("/dev/null")):
        with pytest.raises(symdiff.CheckpointError, match="no regular file: name a file") as error:
            run(trainer, 1, place)
        assert error.value.training is None
    assert (tmp_path / "link").is_symlink()


@pytest.mark.skipif(os.name == "nt", reason="modes and links of POSIX")
def test_links_lead_to_the_file_and_its_mode_stays(trainer: Trainer, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere" / "real.npz"
    place.parent.mkdir()
    link = tmp_path / "run.npz"
    link.symlink_to(place)
    run(trainer, 1, link)
    before = os.umask(0o022)
    try:
        run(trainer, 2, tmp_path / "new.npz")
    finally:
        os.umask(before)
    assert (tmp_path / "new.npz").stat().st_mode & 0o777 == 0o644
    place.chmod(0o600)
    assert bits(run(trainer, 3, link)) == bits(run(trainer, 3))
    assert link.is_symlink() and place.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in place.parent.iterdir()] == ["real.npz"]


def test_runs_that_share_a_file_do_not_disturb_each_other(trainer: Trainer, tmp_path: Path) -> None:
    file, wrong = tmp_path / "run.npz", []
    whole = bits(run(trainer, 6))

    def work() -> None:
        for _ in range(8):
            try:
                if bits(run(trainer, 6, file)) != whole:
                    wrong.append("other bits")
                file.unlink(missing_ok=True)  # so that the next run writes again
            except Exception as error:
                wrong.append(repr(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and [path for path in tmp_path.iterdir() if path != file] == []


def test_what_was_made_is_not_lost_with_a_checkpoint(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = 0

    def full(self: Any, *_: Any) -> None:
        nonlocal saved
        saved += 1
        if saved > 2:
            raise symdiff.CheckpointError("no room")

    monkeypatch.setattr(training, "_MOST", 3)
    monkeypatch.setattr(checkpoint.Checkpoint, "save", full)
    with pytest.raises(symdiff.CheckpointError, match="no room") as error:
        run(trainer, 2, tmp_path / "run.npz")
    made = error.value.training
    assert made.updates == 7 and len(made.history) == 0  # after 1 and 4 updates it went well
    monkeypatch.undo()
    monkeypatch.setattr(training, "_MOST", 3)
    program = symdiff.formula("w: 2; sum(w**2)**8").gradient().update(optim.gradient_descent(1.0))
    monkeypatch.setattr(checkpoint.Checkpoint, "save", full)
    saved = 1
    with pytest.raises(symdiff.DivergenceError, match=r"the value is .*no room") as diverged:
        program.train(start={"w": [1.5, 2]}, epochs=100, checkpoint=tmp_path / "q.npz", every=1e9, backend="numpy")
    assert diverged.value.training.updates > 1


def test_a_full_disk_leaves_the_old_checkpoint(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "run.npz"
    run(trainer, 1, file)
    before = file.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint.os, "fsync", full)
        with pytest.raises(symdiff.CheckpointError, match="No space left"):
            run(trainer, 3, file)
    assert file.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["run.npz"]
    assert bits(run(trainer, 3, file)) == bits(run(trainer, 3))
