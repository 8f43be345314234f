"""Start and stop: a socket on the loopback address, the address printed, and an end at Ctrl-C."""

from __future__ import annotations

import errno
import socket
import webbrowser
from collections.abc import Callable
from types import FrameType

import uvicorn

from symdiff.errors import SymdiffError
from symdiff.serve.access import Access
from symdiff.serve.app import application
from symdiff.serve.bounds import Bounds
from symdiff.serve.pool import Pool

LOOPBACK = "127.0.0.1"
_GRACE = 2  # seconds for what is under way when the server stops


class Server(uvicorn.Server):
    """Ends the workers at once when it is told to stop, so that nothing under way holds it up."""

    def __init__(self, config: uvicorn.Config, pool: Pool) -> None:
        super().__init__(config)
        self.pool = pool

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.pool.stop()
        super().handle_exit(sig, frame)


def listening(port: int) -> socket.socket:
    """A socket that listens on the loopback address; port 0 is any free one. Raises SymdiffError in one line."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((LOOPBACK, port))
        made.listen(64)
    except OSError as error:
        made.close()
        taken = error.errno == errno.EADDRINUSE
        hint = "; leave out --port to get a free one" if taken else ""
        reason = "it is in use" if taken else error.strerror
        raise SymdiffError(f"cannot listen on port {port}: {reason}{hint}") from None
    return made


def server(access: Access, bounds: Bounds) -> Server:
    """The server, ready to run on a socket."""
    app, pool = application(access, bounds)
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody stands between the browser and us, so nobody may speak for it
        ws="none",
        limit_concurrency=64,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=_GRACE,
    )
    return Server(config, pool)


def run(port: int, say: Callable[[str], None], *, open_page: bool = False, bounds: Bounds | None = None) -> None:
    """Serve until Ctrl-C, which is a KeyboardInterrupt as everywhere, or until SIGTERM.

    `say` is told the address. Raises SymdiffError where the port cannot be had.
    """
    with listening(port) as made:
        access = Access(made.getsockname()[1])
        serving = server(access, bounds or Bounds())
        say(access.address)
        if open_page:
            webbrowser.open(access.address_once)
        serving.run(sockets=[made])


__all__ = ["LOOPBACK", "Server", "listening", "run", "server"]
