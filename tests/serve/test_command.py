"""`symdiff serve` as a user meets it: one line with the address, Ctrl-C, a port that is taken, a missing library."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner

from symdiff.cli import main

ROOT = Path(__file__).resolve().parents[2]
served = [pytest.mark.peer("starlette"), pytest.mark.peer("uvicorn")]


def _started(*options: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "symdiff", "serve", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
        start_new_session=True,
    )


def _children(process: subprocess.Popen[str]) -> list[int]:
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(number) for number in found.read_text().split()] if found.exists() else []


def _runs(number: int) -> bool:
    stat = Path(f"/proc/{number}/stat")
    return stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
@pytest.mark.peer("starlette")
@pytest.mark.peer("uvicorn")
def test_it_prints_its_address_and_stops_with_its_workers(number: signal.Signals, code: int) -> None:
    process = _started()
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/\?token=[A-Za-z0-9_-]{40,}", address)
        with urllib.request.urlopen(address, timeout=10) as page:
            assert b"playground.js" in page.read()
        workers = _children(process)
        process.send_signal(number)
        out, errors = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == code and out == ""
    said = errors.splitlines()
    assert said == ["symdiff: open this address in a browser; Ctrl-C stops the server"] + (
        ["symdiff: stopped"] if number == signal.SIGINT else []
    )
    assert not any(map(_runs, workers))


@pytest.mark.peer("starlette")
@pytest.mark.peer("uvicorn")
def test_a_worker_at_work_ends_with_a_server_that_is_killed() -> None:
    """It has read its question, so the end of its input does not stop it."""
    process = _started()
    try:
        assert process.stdout is not None
        port, token = re.fullmatch(r"http://127\.0\.0\.1:([0-9]+)/\?token=(.*)\n", process.stdout.readline()).groups()
        body = b'{"text": "x + sum(inv(eye(1500)))", "values": {"x": "1"}}'
        head = f"POST /question HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Symdiff-Token: {token}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", int(port))) as asking:
            asking.sendall(head.encode() + body)
            begin = time.monotonic()
            while len(_children(process)) < 2 and time.monotonic() - begin < 20:  # one is at work, one waits, warm
                time.sleep(0.05)
            workers = _children(process)
            process.kill()
            process.communicate(timeout=10)
    finally:
        process.kill()
    assert len(workers) == 2
    end = time.monotonic() + 4
    while any(map(_runs, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(_runs, workers))


@pytest.mark.peer("starlette")
@pytest.mark.peer("uvicorn")
def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        found = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert found.exit_code == 2 and found.stdout == ""
    assert found.stderr.splitlines() == [
        f"symdiff: cannot listen on port {port}: it is in use; leave out --port to get a free one"
    ]


@pytest.mark.parametrize("missing", ["starlette", "uvicorn"])
def test_a_missing_library_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else there(name))
    found = CliRunner().invoke(main, ["serve"])
    assert found.exit_code == 2
    assert f"{missing}: python -m pip install 'symdiff-codegen[serve]'" in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_the_command_line_does_not_import_the_web_library() -> None:
    probe = (
        "import sys, symdiff.cli; print([n for n in ('starlette', 'uvicorn', 'symdiff.serve.app') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
