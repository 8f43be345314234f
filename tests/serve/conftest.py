"""A server on a free port, in a thread of the tests, and a client that sends exactly what a test wants."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

SECONDS = 10.0  # for a question: a busy machine needs longer


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Site:
    """A running server: its access rules, and the number of worker processes that live."""

    access: Any
    processes: Callable[[], int]

    def send(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        """A request with the right Host and with no credentials; `headers` as Content_Type."""
        port = self.access.port
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": f"127.0.0.1:{port}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        if body is not None:
            given.setdefault("Content-Length", str(len(body)))
        for name, text in given.items():
            if text:
                connection.putheader(name, text)
        connection.endheaders()
        if body is not None:
            connection.send(body)
        answer = connection.getresponse()
        found = Answer(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())
        connection.close()
        return found

    @property
    def own(self) -> dict[str, str]:
        """Headers of a request from our own page."""
        return {
            "Cookie": f"{self.access.cookie}={self.access.token}",
            "Origin": f"http://127.0.0.1:{self.access.port}",
            "Content_Type": "application/json",
        }

    def post(self, body: bytes, **headers: str) -> Answer:
        """A question as our own page sends it, with some headers replaced; an empty one is left out."""
        return self.send("POST", "/question", body, **{**self.own, **headers})

    def ask(self, text: str, **more: Any) -> Any:
        answer = self.post(json.dumps({"text": text, **more}).encode())
        assert answer.status == 200, answer
        return answer.json


@contextmanager
def running(**bounds: Any) -> Iterator[Site]:
    from symdiff.serve.access import Access
    from symdiff.serve.bounds import Bounds
    from symdiff.serve.server import listening, server

    with listening(0) as made:
        access = Access(made.getsockname()[1])
        serving = server(access, Bounds(**{"seconds": SECONDS, **bounds}))
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [made]}, daemon=True)
        thread.start()
        try:
            yield Site(access, lambda: serving.pool.processes)
        finally:
            serving.should_exit = True
            thread.join(20)
            assert not thread.is_alive()
            assert serving.pool.processes == 0, "a worker outlives the server"


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    with running() as found:
        yield found


def wait_until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
