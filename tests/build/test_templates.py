"""Bytecode of templates: kept beside the kernels, under the same conditions, and never in the way."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "import symdiff; print(symdiff.formula('x*sin(y)').gradient().source('c'))"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")


def _run(cache: Path | None, **extra: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("SYMDIFF_CACHE", "XDG_CACHE_HOME")}
    environment |= {"PYTHONPATH": str(ROOT), **extra}
    if cache is not None:
        environment["SYMDIFF_CACHE"] = str(cache)
    return subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)


def test_the_second_process_takes_what_the_first_has_kept(tmp_path: Path) -> None:
    first = _run(tmp_path / "cache")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "templates").iterdir()}
    assert any(path.name.startswith("c-") for path in kept)
    assert all(path.stat().st_mode & 0o077 == 0 for path in [tmp_path / "cache", *kept])
    assert _run(tmp_path / "cache").stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "templates").iterdir()} == kept


@pytest.mark.parametrize("content", [b"", b"j2", b"nonsense", bytes(range(256)) * 16])
def test_damaged_files_are_made_again(tmp_path: Path, content: bytes) -> None:
    first = _run(tmp_path / "cache")
    for path in (tmp_path / "cache" / "templates").iterdir():
        path.write_bytes(content)
    assert _run(tmp_path / "cache").stdout == first.stdout
    assert all(path.read_bytes() != content for path in (tmp_path / "cache" / "templates").iterdir())


@pytest.mark.parametrize("damage", [lambda b: b[:40], lambda b: b[:-200], lambda b: b[:60] + bytes(len(b) - 60)])
def test_a_file_that_is_damaged_in_part_is_made_again(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """As a crash of the system may leave it: Jinja would unpickle and run what is left."""
    first = _run(tmp_path / "cache")
    kept = {path: path.read_bytes() for path in (tmp_path / "cache" / "templates").iterdir()}
    for path, content in kept.items():
        path.write_bytes(damage(content))
    assert _run(tmp_path / "cache").stdout == first.stdout
    assert all(path.read_bytes() != damage(content) for path, content in kept.items())


def test_what_others_could_have_written_is_not_run(tmp_path: Path) -> None:
    _run(tmp_path / "cache")
    for path in (tmp_path / "cache" / "templates").iterdir():
        path.chmod(0o666)
    _run(tmp_path / "cache")
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "cache" / "templates").iterdir())


def test_without_a_place_nothing_is_kept_and_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    made = _run(tmp_path / "file" / "cache")
    assert made.stdout and not made.stderr
    assert _run(None, HOME="").stdout == made.stdout
