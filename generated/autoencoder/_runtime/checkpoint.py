# Copied unchanged from symdiff/runtime/checkpoint.py; the same in every generated package. Do not edit.
"""The file that a training is kept in, always whole: the state before a write, or the one after it.

A checkpoint is an NPZ file. It is written to a temporary file beside its place, flushed to the disk, and put in place
in one step; then the folder is flushed. So whatever kills a process, and whenever, the file that has the name is one
that was written to its end. What a killed process leaves is a temporary file, `.NAME.PROCESS-*.tmp`, which the next
run removes. Of two runs that write the same file at once the last one stays.

The module is copied verbatim into generated packages.
"""

import hashlib
import io
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Array, Shape

_FORMAT = "symdiff checkpoint 1"
_ENTRIES = ("format", "identity", "digest", "theta", "state", "history", "partial", "updates")
_LARGEST = 1 << 34  # bytes of a file that is read at all
_MAGIC = b"PK\x03\x04"  # what an NPZ file begins with
_FIRST = slice(30, 40), b"format.npy"  # and what its first entry is called in a checkpoint

_writing: set[str] = set()  # temporary files that threads of this process are writing


@dataclass(frozen=True)
class Kept:
    """What a checkpoint holds of a run: parameters (P,), states (S, P), values of whole epochs, the sum that belongs to
    the epoch that is not whole, and the number of updates made.
    """

    theta: Array
    state: Array
    history: Array
    partial: float
    updates: int


class Checkpoint:
    """The file at `path`, or that a symbolic link there leads to. `error` is raised for one that cannot be read,
    written or used, with what to do.
    """

    def __init__(self, path: Path, error: type[Exception]) -> None:
        self.path, self._error = path, error
        try:
            self._place = Path(os.path.realpath(path))
        except (OSError, ValueError) as problem:  # too many links, a zero byte
            raise error(f"the checkpoint {str(path)!r} is no name of a file: {problem}") from None

    def load(self, identity: Mapping[str, str], theta: Shape, state: Shape) -> Kept | None:
        """What the file holds, None where it is not there; temporary files of killed processes are removed.

        `identity` (name -> text) is compared with the one that was saved, and the error names what differs.
        """
        try:
            self._remove_leftovers()
            entries = self._entries(self._content())
        except FileNotFoundError:
            return None
        except (OSError, MemoryError) as error:
            raise self._error(f"cannot read the checkpoint {self.path}: {_reason(error)}") from None
        self._compare(json.loads(str(entries["identity"])), identity)
        kept = Kept(
            entries["theta"],
            entries["state"],
            entries["history"],
            float(entries["partial"]),
            int(entries["updates"]),
        )
        if kept.theta.shape != theta or kept.state.shape != state or kept.history.ndim != 1 or kept.updates < 0:
            raise self._damaged("its arrays have other shapes")
        return kept

    def save(self, identity: Mapping[str, str], kept: Kept) -> None:
        """Put a new state in place of the old one."""
        entries: dict[str, Any] = {
            "format": np.array(_FORMAT),
            "identity": np.array(json.dumps(dict(identity))),
            "theta": kept.theta,
            "state": kept.state,
            "history": kept.history,
            "partial": np.array(kept.partial),
            "updates": np.array(kept.updates, np.int64),
        }
        buffer = io.BytesIO()
        try:
            np.savez(buffer, **entries, digest=np.array(digest(entries)))
            _replace(self._place, buffer.getbuffer())
        except (OSError, MemoryError) as error:
            raise self._error(f"cannot write the checkpoint {self.path}: {_reason(error)}") from None

    def _content(self) -> bytes:
        """What is in the file. A pipe or a device is not even opened."""
        mode = self._place.stat().st_mode
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise self._error(f"cannot keep a checkpoint in {self.path}, which is {what}: name a file")
        place, first = _FIRST
        with open(self._place, "rb") as file:
            start = file.read(place.stop)
            if not start.startswith(_MAGIC) or start[place] != first:
                raise self._foreign()
            content = start + file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise self._foreign()
        return content

    def _entries(self, content: bytes) -> dict[str, Array]:
        """The arrays of the file, which are those that were saved."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                entries = {name: arrays[name] for name in arrays.files}
            form = str(entries["format"])
        except MemoryError:
            raise
        except Exception:  # of zipfile, zlib and the parser of NPY headers, which share no class
            raise self._damaged("it cannot be read to its end") from None
        if not form.startswith(_FORMAT.rstrip("0123456789")):
            raise self._foreign()
        if form != _FORMAT or set(entries) != set(_ENTRIES):
            raise self._error(f"the checkpoint {self.path} is of another version of symdiff; name another file")
        if str(entries.pop("digest")) != digest(entries):
            raise self._damaged("wrong checksum")
        return entries

    def _compare(self, saved: Mapping[str, str], identity: Mapping[str, str]) -> None:
        different = [name for name in {**saved, **identity} if saved.get(name) != identity.get(name)]
        if not different:
            return
        shown = []
        for name in different[:5]:
            there, here = saved.get(name, "none"), identity.get(name, "none")
            short = max(len(there), len(here)) <= 24
            shown.append(f"{name} ({there or 'none'} there, {here or 'none'} here)" if short else name)
        more = f" and {len(different) - 5} more" if len(different) > 5 else ""
        raise self._error(
            f"the checkpoint {self.path} belongs to another training; different: {', '.join(shown)}{more}. "
            "Name another file, or delete this one to start anew"
        )

    def _damaged(self, why: str) -> Exception:
        return self._error(
            f"the checkpoint {self.path} is damaged ({why}); name another file, or delete this one to start anew"
        )

    def _foreign(self) -> Exception:
        return self._error(f"{self.path} is not a checkpoint; name another file")

    def _remove_leftovers(self) -> None:
        """Temporary files of processes that are not there any more."""
        for file in self._place.parent.glob(".*.tmp"):
            found = re.fullmatch(rf"\.{re.escape(self._place.name)}\.([0-9]+)-\w+\.tmp", file.name)
            if found and str(file) not in _writing and not _is_running(int(found[1])):
                with suppress(OSError):
                    file.unlink()


def digest(arrays: Mapping[str, Array]) -> str:
    """sha256 over names, types, shapes and content."""
    state = hashlib.sha256()
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        state.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        state.update(array.data if array.dtype.kind == "f" else array.tobytes())
    return state.hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory"
    return str(getattr(error, "strerror", None) or error)


def _is_running(process: int) -> bool:
    """Whether a process of that number is there, other than this one (which may have the number of a killed one)."""
    if process == os.getpid():
        return False
    if os.name == "nt":  # there os.kill ends what it is to look for
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user
        return True
    return True


def _replace(path: Path, content: memoryview) -> None:
    """Put a file with this content and the mode of the old one in the place of `path`, in one step. Raises OSError."""
    name = str(path.parent / f".{path.name}.{os.getpid()}-{secrets.token_hex(6)}.tmp")
    _writing.add(name)
    try:
        with open(name, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileNotFoundError):
            os.chmod(name, stat.S_IMODE(path.stat().st_mode))
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    finally:
        _writing.discard(name)
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Make the new name last through a loss of power, where the system can."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


__all__ = ["Checkpoint", "Kept", "digest"]
