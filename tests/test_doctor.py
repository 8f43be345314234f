"""`symdiff doctor` on machines of every kind: what is there, what is missing, and never a traceback."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from symdiff import doctor
from symdiff.build import cache, machine, processors
from symdiff.build.fact import without_home
from symdiff.cli import main
from symdiff.runtime import blas, compiler

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the compilers of these tests are shell scripts")


def run(*arguments: str) -> Result:
    done = CliRunner().invoke(main, ["doctor", *arguments])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.output
    return done


def facts(exit_code: int) -> dict[str, dict[str, Any]]:
    """What is said, by name; the exit code and `kernels` say the same."""
    done = run("--json")
    found = json.loads(done.stdout)
    assert done.exit_code == exit_code and found["kernels"] is (exit_code == 0)
    return {fact["name"]: fact for fact in found["facts"]}


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for temporary files."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.compiler
def test_a_machine_with_a_compiler(scratch: Path) -> None:
    found = facts(0)
    assert all(found[name]["state"] == "ok" for name in machine.NEEDED)
    assert found["compiler"]["kind"] in ("gcc", "clang", "other")
    assert found["Python.h"]["mode"] in ("API", "ABI")
    assert found["vector maths"]["functions"] <= found["vector maths"]["of"] == len(doctor.VECTOR)
    assert 1 <= found["threads"]["usable"] <= (os.cpu_count() or 1)
    assert found["kernel cache"]["entries"] >= 0 and found["kernel cache"]["writable"]
    assert not list(scratch.iterdir()), "the probe leaves nothing"


@pytest.mark.compiler
def test_lines_fit_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", os.path.dirname(os.environ["SYMDIFF_CACHE"]))
    monkeypatch.setattr(machine, "find_spec", lambda name: None)
    monkeypatch.setattr(blas, "description", lambda: "")
    lines = run().stdout.splitlines()
    assert max(map(len, lines)) <= doctor.COLUMNS
    assert lines[-1] == "C kernels can be built here."
    assert any(line.startswith("missing  BLAS") for line in lines)


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = facts(1)
    assert found["compiler"]["state"] == "missing"
    assert "slower" in found["compiler"]["remedy"]
    assert {found[name]["state"] for name in ("probe", "SIMD", "vector maths")} == {"unknown"}
    assert found["TeX"]["state"] == "missing"
    assert run().stdout.splitlines()[-1] == "C kernels cannot be built here: NumPy is used."


def test_a_compiler_that_fails(tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        '[ "$1" = --version ] && echo "oddcc 1.0" && exit 0\necho "some lines" >&2; echo "no licence today" >&2; exit 1'
    )
    monkeypatch.setenv("CC", str(script(tmp_path / "oddcc", text)))
    found = facts(1)
    assert found["compiler"]["state"] == "ok" and "oddcc 1.0" in found["compiler"]["text"]
    assert found["probe"]["state"] == "missing" and "no licence today" in found["probe"]["text"]
    assert found["SIMD"]["state"] == "missing"
    assert not list(scratch.iterdir()), "the source of a probe that failed is of no use to anybody"


@pytest.mark.compiler
def test_the_reason_of_a_compiler_is_shown_and_not_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the headers of the C library are not installed."""
    real = compiler.find_compiler().command[0]
    monkeypatch.setenv("CC", str(script(tmp_path / "cc", f'exec {real} -nostdinc "$@"')))
    monkeypatch.setattr(compiler, "python_headers", lambda: None)
    assert re.search(r"error: .*math\.h", facts(1)["probe"]["text"])


@pytest.mark.compiler
def test_a_compiler_that_makes_rubbish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """
        [ "$1" = --version ] && echo "oddcc 1.0" && exit 0
        while [ $# -gt 1 ]; do [ "$1" = -o ] && echo rubbish > "$2"; shift; done
    """
    monkeypatch.setenv("CC", str(script(tmp_path / "oddcc", text)))
    found = facts(1)
    assert found["probe"]["state"] == "missing" and "cannot be loaded" in found["probe"]["text"]


@pytest.mark.compiler
def test_a_compiler_without_flags_for_this_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = " ".join(compiler.find_compiler().command)
    text = f'for a in "$@"; do case $a in -march=*) echo "unknown option" >&2; exit 1;; esac; done; exec {real} "$@"'
    monkeypatch.setenv("CC", str(script(tmp_path / "oldcc", text)))
    found = facts(0)
    assert found["SIMD"]["state"] == "missing" and "refuses" in found["SIMD"]["text"]


@pytest.mark.clang
def test_clang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "clang")
    found = facts(0)
    assert (found["compiler"]["kind"], found["compiler"]["from"]) == ("clang", "CC")
    assert found["SIMD"]["instructions"] != "none known"


@pytest.mark.compiler
def test_without_headers_of_python_the_probe_is_a_plain_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "python_headers", lambda: None)
    found = facts(0)
    assert found["Python.h"]["state"] == "missing" and found["Python.h"]["mode"] == "ABI"
    assert found["probe"]["state"] == "ok"


@pytest.mark.compiler
def test_only_a_newer_compiler_would_use_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "cpu", lambda: ("some processor", "sse2 avx2 avx512f"))
    monkeypatch.setattr(machine, "_macros", lambda *_: {"__SSE2__", "__AVX2__", "__FMA__"})
    found = facts(0)["SIMD"]
    assert (found["state"], found["instructions"], found["lanes"]) == ("missing", "AVX2", 4)
    assert "newer compiler" in found["remedy"]


@pytest.mark.compiler
def test_refused_flags_are_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMDIFF_CFLAGS", "-ffast-math")
    assert run().exit_code == 1


def test_paths_do_not_show_the_users_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SYMDIFF_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("CC", f"{script(tmp_path / 'bin' / 'cc', 'exit 1')} -DSECRET=1")
    printed = run().stdout
    assert str(tmp_path) not in printed and "SECRET" not in printed
    assert "~/bin/cc" in printed and "~/.cache/symdiff" in printed
    assert without_home(f"-I{tmp_path}/include {tmp_path}: {tmp_path}2/x") == f"-I~/include ~: {tmp_path}2/x"


def test_a_cache_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("SYMDIFF_CACHE", str(file))
    (found,) = (fact for fact in machine.machine_facts(("sin",)) if fact.name == "kernel cache")
    assert found.state == "missing" and "SYMDIFF_CACHE" in found.remedy


def test_entries_of_the_cache_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMDIFF_CACHE", str(tmp_path / "cache"))

    def build(directory: Path) -> Path:
        made = directory / "library"
        made.write_bytes(b"x" * 5000)
        return made

    cache.get_or_build({"source": "one"}, build)
    cache.get_or_build({"source": "two"}, build)
    (found,) = (fact for fact in machine.machine_facts(("sin",)) if fact.name == "kernel cache")
    assert found.data["entries"] == 2 and 10_000 < found.data["bytes"] < 20_000
    assert "2 entries" in found.text


def test_an_odd_machine_is_unknown_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def odd(*_: object, **__: object) -> Any:
        raise ZeroDivisionError

    for module, name in (
        (compiler, "find_compiler"),
        (compiler, "has_cffi"),
        (compiler, "python_headers"),
        (compiler, "cpu"),
        (blas, "description"),
        (cache, "default_root"),
        (processors.os, "cpu_count"),
        (doctor.shutil, "which"),
        (doctor, "find_spec"),
    ):
        monkeypatch.setattr(module, name, odd)
    found = facts(1)
    assert {fact["state"] for name, fact in found.items() if name != "kernel cache"} == {"unknown"}


def test_every_extra_for_users_is_looked_for(root: Path) -> None:
    extras = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    for name, (modules, _) in doctor.EXTRAS.items():
        assert [each.partition(">")[0] for each in extras[name]] == list(modules)


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"own": "0::/\n", "cpu.max": "max 100000\n"}, None),
        ({"own": "0::/\n", "cpu.max": "150000 100000\n"}, 1.5),
        ({"own": "0::/a/b\n", "a/cpu.max": "200000 100000\n", "a/b/cpu.max": "max 100000"}, 2.0),
        ({"own": "0::/a/b\n", "cpu.max": "50000 100000\n", "a/b/cpu.max": "200000 100000"}, 0.5),
        (
            {"own": "3:cpuset:/\n2:cpu,cpuacct:/x\n", "cpu/x/cpu.cfs_quota_us": "-1", "cpu/x/cpu.cfs_period_us": "1"},
            None,
        ),
        (
            {"own": "1:cpu,cpuacct:/x\n", "cpu/x/cpu.cfs_quota_us": "300000", "cpu/x/cpu.cfs_period_us": "100000"},
            3.0,
        ),
        ({"own": "rubbish", "cpu.max": "rubbish"}, None),
        ({"own": "0::/\n", "cpu.max": "rubbish"}, None),
    ],
)
def test_limits_of_containers(tmp_path: Path, files: dict[str, str], limit: float | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert processors.cgroup_limit(tmp_path, tmp_path / "own") == limit


def test_caches_of_the_processor(tmp_path: Path) -> None:
    for index, (level, kind, size) in enumerate(
        [("1", "Data", "32K"), ("1", "Instruction", "64K"), ("2", "Unified", "2M")]
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(f"{text}\n")
    assert processors.cache_sizes(tmp_path) == {"L1": 32 << 10, "L2": 2 << 20}
    assert all(size > 0 for size in processors.cache_sizes(tmp_path / "nothing").values())


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (32 << 10, "32 KiB"), (1100 << 10, "1.07 MiB"), (1000 << 20, "1000 MiB")],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert processors.in_bytes(size) == text


@pytest.mark.skipif(sys.platform != "linux", reason="taskset is Linux")
def test_affinity_counts() -> None:
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        fact = processors.threads()
    finally:
        os.sched_setaffinity(0, before)
    assert fact.data["usable"] == 1
