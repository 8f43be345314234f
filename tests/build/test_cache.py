"""The cache of libraries: trust, damage, races, kills, and places that cannot be written."""

import contextlib
import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from symdiff.build import cache
from symdiff.errors import BuildError
from symdiff.runtime import compiler

ROOT = Path(__file__).resolve().parents[2]
IMAGE = b"the library" * 100
PARTS = {"source": "int f;", "flags": ("-O3",), "api": True}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="permissions, signals and locks of POSIX")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache root for this test, and no private directory left over from another."""
    monkeypatch.setenv("SYMDIFF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_private", {})
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(cache.tempfile, "tempdir", str(tmp_path / "tmp"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield tmp_path / "cache"


class Builder:
    """A stand-in for the compiler that counts its calls."""

    def __init__(self, image: bytes = IMAGE) -> None:
        self.calls, self.image = 0, image

    def __call__(self, directory: Path) -> Path:
        self.calls += 1
        path = directory / "lib.so"
        path.write_bytes(self.image)
        return path


def entry_of(root: Path) -> Path:
    return root / cache.entry_key(PARTS)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_second_time_nothing_is_built(root: Path) -> None:
    builder = Builder()
    assert cache.get_or_build(PARTS, builder) == cache.get_or_build(PARTS, builder) == IMAGE
    assert builder.calls == 1
    assert sorted(p.name for p in entry_of(root).iterdir()) == ["library", "manifest.json"]
    assert sorted(p.name for p in root.iterdir()) == sorted([entry_of(root).name, "locks"])
    assert list((root / "locks").iterdir()) == []
    assert mode(root) == mode(entry_of(root)) == 0o700 and mode(entry_of(root) / "library") == 0o600
    manifest = json.loads((entry_of(root) / "manifest.json").read_text())
    assert manifest["parts"]["flags"] == ["-O3"] and "source" not in manifest["parts"]


def test_the_key_has_every_part_in_any_order() -> None:
    key = cache.entry_key(PARTS)
    assert key == cache.entry_key(dict(reversed(PARTS.items()))) and len(key) == 64
    assert len({key, *(cache.entry_key({**PARTS, name: "other"}) for name in PARTS)}) == 4


def test_an_open_umask_does_not_open_the_cache(root: Path) -> None:
    before = os.umask(0)
    try:
        cache.get_or_build(PARTS, Builder())
    finally:
        os.umask(before)
    for path in [root, *root.rglob("*")]:
        assert mode(path) & 0o077 == 0, path


# Damage


def _flip(entry: Path) -> None:
    data = bytearray((entry / "library").read_bytes())
    data[len(data) // 2] ^= 1
    (entry / "library").write_bytes(data)


def _planted(entry: Path) -> None:
    shutil.rmtree(entry)
    (entry.parent / "elsewhere").mkdir()
    entry.symlink_to(entry.parent / "elsewhere")


def _foreign(entry: Path) -> None:
    """A whole entry, of another kernel."""
    other = entry.parent / cache.entry_key({"source": "other"})
    cache.get_or_build({"source": "other"}, Builder(b"other"))
    shutil.rmtree(entry)
    shutil.copytree(other, entry)


def _linked(entry: Path) -> None:
    copy = entry.parent / "copy"
    shutil.copy(entry / "library", copy)
    (entry / "library").unlink()
    (entry / "library").symlink_to(copy)


def _pipe(entry: Path) -> None:
    (entry / "library").unlink()
    os.mkfifo(entry / "library")


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda entry: (entry / name).write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda entry: os.truncate(entry / "library", 50),
    "empty": lambda entry: os.truncate(entry / "library", 0),
    "longer": lambda entry: (entry / "library").write_bytes(IMAGE + b"x"),
    "bit flipped": _flip,
    "no library": lambda entry: (entry / "library").unlink(),
    "no manifest": lambda entry: (entry / "manifest.json").unlink(),
    "manifest truncated": lambda entry: os.truncate(entry / "manifest.json", 20),
    "manifest no object": _write("manifest.json", b"[]"),
    "manifest no text": _write("manifest.json", b"\xff\xfe"),
    "manifest deep": _write("manifest.json", b"[" * 100_000),
    "a file": lambda entry: (shutil.rmtree(entry), entry.write_bytes(b"planted")),
    "a link to a directory": _planted,
    "library a link": _linked,
    "library a pipe": _pipe,
    "library a directory": lambda entry: ((entry / "library").unlink(), (entry / "library").mkdir()),
    "another kernel": _foreign,
    "writable by others": lambda entry: (entry / "library").chmod(0o666),
    "writable by the group": lambda entry: (entry / "manifest.json").chmod(0o660),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_is_rebuilt_and_never_used(root: Path, damage: str) -> None:
    builder = Builder()
    cache.get_or_build(PARTS, builder)
    DAMAGE[damage](entry_of(root))
    assert cache.get_or_build(PARTS, builder) == IMAGE and builder.calls == 2
    assert cache.get_or_build(PARTS, builder) == IMAGE and builder.calls == 2
    assert not list(root.glob(".work-*"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["", "library", "manifest.json"])
def test_what_belongs_to_others_is_not_used(root: Path, name: str) -> None:
    builder = Builder()
    cache.get_or_build(PARTS, builder)
    os.chown(entry_of(root) / name, 65534, 65534)
    cache.get_or_build(PARTS, builder)
    assert builder.calls == (1 if name == "" else 2)  # the directory alone holds nothing that is not checked


# Places


def uses_private(root: Path, builder: Any = None) -> None:
    """The cache is not used, with one warning, and everything still works."""
    builder = builder or Builder()
    with pytest.warns(RuntimeWarning, match="this process only") as seen:
        assert cache.get_or_build(PARTS, builder) == IMAGE
        assert cache.get_or_build(PARTS, builder) == IMAGE
    assert len(seen) == 1
    private = cache._private[os.getpid()]
    assert mode(private) == 0o700 and entry_of(private).is_dir()


def test_a_directory_others_can_write_to_is_not_used(root: Path) -> None:
    root.mkdir()
    root.chmod(0o777)
    uses_private(root)
    assert list(root.iterdir()) == []


def test_a_readable_directory_is_closed(root: Path) -> None:
    root.mkdir(mode=0o755)
    cache.get_or_build(PARTS, Builder())
    assert mode(root) == 0o700


def test_a_parent_open_to_everybody_is_not_used(root: Path) -> None:
    root.parent.chmod(0o777)
    uses_private(root)


def test_a_sticky_parent_is_fine(root: Path) -> None:
    root.parent.chmod(0o1777)
    cache.get_or_build(PARTS, Builder())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_directory_or_link_of_another_user_is_not_used(root: Path) -> None:
    root.mkdir(mode=0o700)
    os.chown(root, 65534, 65534)
    uses_private(root)
    root.rename(root.with_name("real"))
    os.chown(root.with_name("real"), 0, 0)
    root.symlink_to(root.with_name("real"))
    os.chown(root, 65534, 65534, follow_symlinks=False)
    cache._private.clear()
    uses_private(root)


def test_an_own_link_is_followed(root: Path) -> None:
    root.with_name("real").mkdir(mode=0o700)
    root.symlink_to(root.with_name("real"))
    cache.get_or_build(PARTS, Builder())
    assert entry_of(root.with_name("real")).is_dir()


@pytest.mark.parametrize("what", ["root", "parent", "locks"])
def test_a_file_in_the_way(root: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if what == "root":
        root.write_text("")
    elif what == "parent":
        root.write_text("")
        monkeypatch.setenv("SYMDIFF_CACHE", str(root / "below"))
    else:
        root.mkdir(mode=0o700)
        (root / "locks").write_text("")
    uses_private(root)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("where", ["mkdir", "mkdtemp", "write"])
def test_a_root_that_cannot_be_written(root: Path, number: int, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real_mkdir, real_mkdtemp, real_write = Path.mkdir, cache.tempfile.mkdtemp, cache.write_own

    def refuse(path: object) -> None:
        if str(path).startswith(str(root)):
            raise OSError(number, os.strerror(number), str(path))

    if where == "mkdir":
        monkeypatch.setattr(Path, "mkdir", lambda self, *a, **k: refuse(self) or real_mkdir(self, *a, **k))
    elif where == "mkdtemp":
        monkeypatch.setattr(cache.tempfile, "mkdtemp", lambda **k: refuse(k.get("dir")) or real_mkdtemp(**k))
    else:
        monkeypatch.setattr(cache, "write_own", lambda path, data: refuse(path) or real_write(path, data))
    uses_private(root)
    assert not list(root.glob(".work-*"))


def test_a_full_disk_while_the_compiler_writes(root: Path) -> None:
    builder = Builder()

    def build(directory: Path) -> Path:
        if root in directory.parents:
            raise OSError(errno.ENOSPC, "No space left on device")
        return builder(directory)

    uses_private(root, build)
    assert builder.calls == 1


def test_nowhere_at_all_is_a_build_error(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.tempfile, "mkdtemp", full)
    with pytest.raises(BuildError, match="No space left"):
        cache.get_or_build(PARTS, Builder())


def test_a_full_entry_is_still_read_where_nothing_can_be_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.get_or_build(PARTS, Builder())

    def full(**_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.tempfile, "mkdtemp", full)
    assert cache.get_or_build(PARTS, Builder()) == IMAGE


def test_the_place_by_environment(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache.default_root() == root
    monkeypatch.delenv("SYMDIFF_CACHE")
    assert cache.default_root() == Path("/xdg/symdiff")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.default_root() == Path("/home/somebody/.cache/symdiff")
    monkeypatch.delenv("HOME")
    uses_private(root)


def test_the_private_directory_goes_with_its_process(root: Path) -> None:
    root.write_text("")
    program = """
        import os, sys, warnings
        from pathlib import Path
        from symdiff.build import cache
        warnings.simplefilter("ignore")
        def build(directory):
            (directory / "x").write_bytes(b"x")
            return directory / "x"
        cache.get_or_build({}, build)
        if os.fork() == 0:
            sys.exit(0)  # a child at its end leaves the parent's directory alone
        os.wait()
        assert cache._private[os.getpid()].is_dir()
        print(cache._private[os.getpid()])
    """
    done = run(program, root, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).exists()


# Locks, races, kills


def environment(root: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests"), *sys.path])
    # A killed compiler leaves its temporary files behind: not in everybody's /tmp.
    return {**os.environ, "SYMDIFF_CACHE": str(root), "PYTHONPATH": path, "TMPDIR": str(root.parent / "tmp")}


def run(program: str, root: Path, *args: str, **options: Any) -> Any:
    command = [sys.executable, "-c", textwrap.dedent(program), *args]
    return subprocess.run(command, env=environment(root), check=False, **options)


def test_threads_build_once(root: Path) -> None:
    builder, results = Builder(), []

    def build(directory: Path) -> Path:
        time.sleep(0.1)
        return builder(directory)

    threads = [threading.Thread(target=lambda: results.append(cache.get_or_build(PARTS, build))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [IMAGE] * 8 and builder.calls == 1


def test_a_stuck_owner_of_the_lock_is_waited_for_only_so_long(root: Path) -> None:
    root.mkdir(mode=0o700)
    with cache._lock(root, cache.entry_key(PARTS), 1.0) as held:
        assert held
        start = time.monotonic()
        assert cache.get_or_build(PARTS, Builder(), wait=0.2) == IMAGE
        assert 0.2 <= time.monotonic() - start < 5
    builder = Builder()
    assert cache.get_or_build(PARTS, builder) == IMAGE and builder.calls == 0


def test_without_locks_the_rename_decides(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_HAVE_LOCKS", False)
    inner = Builder()

    def build(directory: Path) -> Path:
        assert cache.get_or_build(PARTS, inner) == IMAGE  # somebody else finishes first
        return Builder()(directory)

    assert cache.get_or_build(PARTS, build) == IMAGE
    assert cache.get_or_build(PARTS, inner) == IMAGE and inner.calls == 1


def test_a_file_system_without_locks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(cache.fcntl, "flock", refuse)
    start = time.monotonic()
    assert cache.get_or_build(PARTS, Builder()) == IMAGE
    assert time.monotonic() - start < 5


def test_abandoned_work_goes_when_it_is_old_and_unlocked(root: Path) -> None:
    root.mkdir(mode=0o700)
    old, young, used = (root / f".work-{name}" for name in ("old", "young", "used"))
    for directory in (old, young, used):
        directory.mkdir()
        (directory / "rest").write_bytes(b"x")
    for directory in (old, used):
        os.utime(directory, (0, 0))
    with cache._dir_lock(used):
        cache.get_or_build(PARTS, Builder())
    assert not old.exists() and young.exists() and used.exists()


BUILD_DEMO = """
    import sys
    from runtime.csource import c_source, vector_names
    from symdiff.build.kernels import compile_c
    from symdiff.runtime.kernel import KernelSpec
    spec = KernelSpec("demo", ("x", "y"), ("x", "y"))
    sys.stdin.readline()
    k = compile_c(c_source(comment=sys.argv[1]), spec, vector_functions=vector_names())
    print(k(2.0, 3.0), k([2.0] * 70, 3.0)[0][69])
"""


def start(root: Path, comment: str) -> "subprocess.Popen[str]":
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", textwrap.dedent(BUILD_DEMO), comment]
    return subprocess.Popen(command, env=environment(root), stdin=pipe, stdout=pipe, stderr=pipe, text=True)


@pytest.mark.compiler
def test_sixteen_processes_build_one_kernel(root: Path) -> None:
    processes = [start(root, "race") for _ in range(16)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    results = [process.communicate(timeout=120) for process in processes]
    assert len(set(results)) == 1 and results[0][0].startswith("(0.28") and results[0][1] == ""
    libraries = 1 + (compiler.python_headers() is not None)  # the kernel, and the calls of all kernels
    assert len(list(root.iterdir())) == libraries + 1 and list((root / "locks").iterdir()) == []


@pytest.mark.compiler
def test_a_kill_at_any_moment_leaves_a_usable_cache(root: Path) -> None:
    for delay in (0.0, 0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.3):
        process = start(root, "kill")
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        # From the first sign of work on: starting Python takes longer than building.
        deadline = time.monotonic() + 20
        while not (root / "locks").exists() and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(delay)
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        assert process.returncode in (0, -signal.SIGKILL)
        out, err = start(root, "kill").communicate("go\n", timeout=60)
        assert out.startswith("(0.28") and err == ""
        shutil.rmtree(root)
