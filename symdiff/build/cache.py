"""The per-user cache of compiled libraries.

    <root>/<key>/library, manifest.json     one entry, published by one rename of a finished directory
    <root>/locks/<key>                      held while the entry is built; the kernel drops it with its process
    <root>/templates/                       bytecode of the templates, see `symdiff.build.templates`
    <root>/.work-*                          an entry in the making, or one being thrown away; locked while in use

The root is `$SYMDIFF_CACHE`, `$XDG_CACHE_HOME/symdiff` or `~/.cache/symdiff`. It is used only if nobody else can write
there; otherwise, and where it cannot be written, a private directory serves this process alone. An entry counts only
if its bytes match its manifest and belong to the user; the bytes that were verified are what the caller gets, so
nothing can change between check and use.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from symdiff.errors import BuildError

try:
    import fcntl
except ImportError:  # Windows: without locks work is done twice, and the rename still decides
    _HAVE_LOCKS = False
else:
    _HAVE_LOCKS = True

# A little more than the compiler's own time limit: whoever holds the lock longer is stuck.
LOCK_WAIT = 150.0
_POLL = 0.02
_STALE = 3600.0  # seconds after which an unlocked work directory is certainly abandoned
_LARGEST = 1 << 30

Build = Callable[[Path], Path]


class Unusable(Exception):
    """Why a directory cannot be the cache."""


def get_or_build(parts: Mapping[str, object], build: Build, *, wait: float = LOCK_WAIT) -> bytes:
    """The bytes of the library that `parts` describe, from the cache or from `build`.

    `parts` must hold everything the library depends on. `build(directory)` makes the library in that directory and
    returns its path. Raises BuildError where not even a temporary directory can be written, and whatever `build`
    raises, except OSError from a directory that cannot take the file (a full disk): that leads to the next place.
    """
    directory = "the cache directory"
    try:
        root = default_root()
        directory = str(root)
        prepare(root)
        return _from(root, parts, build, wait)
    except (Unusable, OSError) as reason:
        try:
            fallback = _private_root(f"{directory} cannot be used: {reason}")
            return _from(fallback, parts, build, wait)
        except OSError as error:
            raise BuildError(f"no place for a compiled kernel: {reason}; and {error}") from error


def entry_key(parts: Mapping[str, object]) -> str:
    """The name of the entry: sha256 of the parts, independent of their order."""
    return hashlib.sha256(json.dumps(dict(parts), sort_keys=True).encode()).hexdigest()


# The root


def default_root() -> Path:
    """Where the cache belongs for this user; raises `Unusable` if the environment names no place."""
    if chosen := os.environ.get("SYMDIFF_CACHE"):
        return Path(os.path.abspath(chosen))
    shared = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(shared):  # the XDG specification: a relative path is to be ignored
        return Path(shared) / "symdiff"
    home = os.environ.get("HOME" if os.name != "nt" else "USERPROFILE", "")
    if not os.path.isabs(home):
        raise Unusable("HOME is not set")
    return Path(home) / ".cache" / "symdiff"


def prepare(root: Path) -> None:
    """Create the root (mode 0700) or see that it is safe. Raises `Unusable` or OSError.

    A directory that others can write to is refused and not repaired: something may already lie in it.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        root.mkdir(mode=0o700)
    if not hasattr(os, "geteuid"):
        return
    link = root.lstat()
    if link.st_uid != os.geteuid():
        raise Unusable("it belongs to another user")
    real = root.stat()
    if not stat.S_ISDIR(real.st_mode) or real.st_uid != os.geteuid():
        raise Unusable("it is not a directory of this user")
    if real.st_mode & 0o022:
        raise Unusable("others can write to it")
    for parent in root.resolve().parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise Unusable(f"everybody can replace directories in {parent}")
    if real.st_mode & 0o077:
        root.chmod(0o700)


# One directory for this process. By process id, so that a fork makes its own.
_private: dict[int, Path] = {}


def _private_root(reason: str) -> Path:
    process = os.getpid()
    if process not in _private:
        _private[process] = Path(tempfile.mkdtemp(prefix="symdiff-cache-"))
        atexit.register(_remove_own, process, _private[process])
        remedy = "Compiled kernels are kept for this process only; SYMDIFF_CACHE can name another directory."
        warnings.warn(f"{reason}. {remedy}", RuntimeWarning, stacklevel=4)
    return _private[process]


def _remove_own(process: int, root: Path) -> None:
    if os.getpid() == process:
        shutil.rmtree(root, ignore_errors=True)


# Entries


def _from(root: Path, parts: Mapping[str, object], build: Build, wait: float) -> bytes:
    key = entry_key(parts)
    image = _verified(root / key, key)
    if image is not None:
        return image
    with _lock(root, key, wait):
        image = _verified(root / key, key)  # another process may have been first
        if image is None:
            _remove_abandoned(root)
            image = _build(root, key, parts, build)
    return image


def _verified(entry: Path, key: str) -> bytes | None:
    """The library of an entry if everything about it is right."""
    try:
        if not stat.S_ISDIR(entry.lstat().st_mode):
            return None
        manifest = json.loads(read_own(entry / "manifest.json"))
        image = read_own(entry / "library")
    except (OSError, ValueError, RecursionError):
        return None
    expected = {"key": key, "size": len(image), "sha256": hashlib.sha256(image).hexdigest()}
    if not isinstance(manifest, dict) or any(manifest.get(name) != value for name, value in expected.items()):
        return None
    return image


def read_own(path: Path) -> bytes:
    """The whole file, if it is a regular file that only this user can write. Raises OSError otherwise."""
    # Non-blocking, or a planted pipe would hang the open.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            raise OSError(f"{path} is not a regular file of reasonable size")
        if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & 0o022):
            raise OSError(f"{path} could have been written by others")
        return file.read()


def _build(root: Path, key: str, parts: Mapping[str, object], build: Build) -> bytes:
    with _work_dir(root) as work:
        made, entry = work / "made", work / "entry"
        made.mkdir()
        entry.mkdir(mode=0o700)
        image = build(made).read_bytes()
        manifest = {
            "key": key,
            "size": len(image),
            "sha256": hashlib.sha256(image).hexdigest(),
            "parts": {name: value for name, value in parts.items() if name != "source"},
        }
        write_own(entry / "library", image)
        write_own(entry / "manifest.json", json.dumps(manifest, indent=1, sort_keys=True).encode())
        _publish(entry, root / key, key, work)
    return image


def write_own(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


def _publish(entry: Path, target: Path, key: str, work: Path) -> None:
    """Put the entry in place. Losing a race, or a target that cannot be moved, costs a later build and nothing else."""
    with suppress(OSError):
        if os.path.lexists(target):
            if _verified(target, key) is not None:
                return
            os.rename(target, work / "damaged")
        os.rename(entry, target)


# Locks and leftovers


@contextmanager
def _lock(root: Path, key: str, wait: float) -> Iterator[bool]:
    """Hold the build lock of `key`; yields False if it could not be had, which costs a second build and nothing else.

    The file is removed while held, so whoever opened it before must look whether it still is the one in the directory.
    """
    if not _HAVE_LOCKS:
        yield False
        return
    (root / "locks").mkdir(mode=0o700, exist_ok=True)
    path = root / "locks" / key
    handle = _acquire(path, time.monotonic() + wait)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            with suppress(OSError):
                os.unlink(path)
            os.close(handle)


def _acquire(path: Path, deadline: float) -> int | None:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            held = _try_lock(handle)
        except OSError:  # a file system without locks
            os.close(handle)
            return None
        if held and _is_current(handle, path):
            return handle
        os.close(handle)
        if time.monotonic() > deadline:
            return None
        time.sleep(0 if held else _POLL)


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_current(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


@contextmanager
def _work_dir(root: Path) -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(prefix=".work-", dir=root))
    try:
        with _dir_lock(work):
            yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _dir_lock(directory: Path) -> Iterator[bool]:
    """Mark a work directory as in use; yields False if somebody else uses it."""
    if not _HAVE_LOCKS:
        yield True
        return
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        free = True
        with suppress(OSError):
            free = _try_lock(handle)
        yield free
    finally:
        os.close(handle)


def _remove_abandoned(root: Path) -> None:
    """Work directories of processes that were killed. Only this user's, old and unlocked ones."""
    for directory in root.glob(".work-*"):
        with suppress(OSError):
            status = directory.lstat()
            own = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
            if own and stat.S_ISDIR(status.st_mode) and time.time() - status.st_mtime > _STALE:
                with _dir_lock(directory) as free:
                    if free:
                        shutil.rmtree(directory, ignore_errors=True)
