"""Text out of a file: only an ordinary file, of limited size, in UTF-8; a device or a FIFO is never read from."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from symdiff.errors import ParseError, UnsupportedError, quoted
from symdiff.formula_data import Limits

_BYTES_PER_CHARACTER = 4  # at most, in UTF-8


def read_text(path: Path, limits: Limits) -> str:
    """What is in the file; ParseError or UnsupportedError with its name otherwise."""
    name = quoted(str(path), 250)
    try:
        data = _read_bytes(path, limits.length * _BYTES_PER_CHARACTER)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ParseError(f"cannot read the file {name}: {reason}") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ParseError(f"the file {name} is not UTF-8 text (line {line}, byte {error.start})") from None


def _read_bytes(path: Path, most: int) -> bytes:
    _check_kind(path, os.stat(path))  # before opening: to open a device can have effects
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        _check_kind(path, status)
        if status.st_size <= most:
            data = file.read(most + 1)
            if len(data) <= most:
                return data
    raise ParseError(f"the file {quoted(str(path), 250)} is larger than {most} bytes; raise the limit `length`")


def _check_kind(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "a device, a pipe or a socket"
        raise UnsupportedError(f"{quoted(str(path), 250)} is {kind}; a formula is read from an ordinary file")
