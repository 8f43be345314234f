"""The process in which formulas are read: limited memory, and a guard that lets it open no file and start nothing.

    python -P -c START PATHS MEMORY SECONDS     # pool.py starts it

Messages go both ways as eight bytes of length and then JSON: the first one, from here, says that the worker is ready.
It ends when its standard input does, or when the server is gone. The guard is a second wall: formulas are never
evaluated in the first place.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
import sysconfig
import threading
import time
import traceback
from pathlib import Path
from typing import IO, Any

from symdiff.serve.answer import answer
from symdiff.serve.bounds import Bounds
from symdiff.serve.question import Question, question

_REFUSED = (
    *("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "subprocess.Popen", "socket.", "ctypes."),
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "shutil."),
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_HEAD = struct.Struct(">Q")
_LARGEST = 1 << 24  # bytes of a question
_LATE = 5  # seconds after which a worker that nobody has killed ends by itself
_WATCH = 0.5  # seconds between two looks whether the server is still there
_WARM = '{"text": "W: (2, 2)\\nx: 2\\nsum(sigmoid(W @ x)**2) + log(2)", "values": {"W": "1 2\\n3 4", "x": "1 2"}}'


def main(arguments: list[str]) -> None:
    """Answer questions until standard input ends; `arguments` are the bytes of memory and the seconds of a question."""
    memory, seconds = int(arguments[0]), float(arguments[1])
    questions, answers = _streams()
    threading.Thread(target=_watch, args=(os.getppid(),), daemon=True).start()
    bounds = Bounds(memory=memory, seconds=seconds)
    answer(question(_WARM.encode()), bounds)  # imports what is imported late, and fills the caches
    limited = _limit(memory)
    _guard()
    _write(answers, {"ready": True, "limited": limited})
    while body := _read(questions):
        signal.alarm(int(seconds) + _LATE)  # ends the process, also inside of C: nobody waits that long
        _write(answers, _answered(question(body), bounds))
        signal.alarm(0)


def _streams() -> tuple[IO[bytes], IO[bytes]]:
    """Where questions come from and answers go to; what a library prints goes to standard error instead."""
    questions, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return questions, answers


def _watch(server: int) -> None:
    """End this process, whatever it is at, when the server is gone without having ended it (kill -9)."""
    while os.getppid() == server:
        time.sleep(_WATCH)
    os._exit(1)


def _answered(asked: Question, bounds: Bounds) -> dict[str, Any]:
    try:
        return answer(asked, bounds)
    except (MemoryError, RecursionError):
        return {"error": _message("the formula is too large for this page"), "retire": True}
    except Exception as error:  # a fault of ours: the page says so, and the terminal has the place
        traceback.print_exc()
        return {"error": _message(f"symdiff failed ({type(error).__name__}); the terminal has the traceback")}


def _message(text: str) -> dict[str, Any]:
    return {"message": text, "line": None, "column": None, "length": None}


# -- walls -------------------------------------------------------------------------------------------------------------


def _limit(memory: int) -> bool:
    """Limit the address space, and leave no core files; False where the system knows no such limit (macOS)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    except (ValueError, OSError):
        return False
    return True


def _guard() -> None:
    """From now on nothing is opened but what Python's libraries are made of, for reading, and nothing is started."""
    sys.dont_write_bytecode = True
    roots = tuple(f"{root}{os.sep}" for root in _roots())

    def watch(event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = given
            writes = isinstance(flags, int) and flags & _WRITING
            if not isinstance(path, int) and (writes or not os.path.realpath(os.fsdecode(path)).startswith(roots)):
                raise PermissionError(f"a formula may not open files ({mode})")
        elif event.startswith(_REFUSED):
            raise PermissionError(f"a formula may not do {event}")

    sys.addaudithook(watch)


def _roots() -> list[str]:
    """Folders of the standard library and of the packages that are loaded, symdiff with its templates among them."""
    from symdiff.render.environment import template_root

    folders = {template_root(), *(Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))}
    for name, module in list(sys.modules.items()):
        if "." not in name:
            folders |= {Path(path) for path in getattr(module, "__path__", ())}
    return sorted({os.path.realpath(folder) for folder in folders})


# -- messages ----------------------------------------------------------------------------------------------------------


def _read(questions: IO[bytes]) -> bytes:
    """The next question; empty at the end."""
    head = questions.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return b""
    (length,) = _HEAD.unpack(head)
    body = questions.read(length) if length <= _LARGEST else b""
    return body if len(body) == length else b""


def _write(answers: IO[bytes], message: dict[str, Any]) -> None:
    body = json.dumps(message, allow_nan=False).encode("ascii")
    answers.write(_HEAD.pack(len(body)) + body)
    answers.flush()


__all__ = ["main"]
