"""Who may ask: a browser on this machine that was given this start's address, and no page but ours in it.

- Host must be the loopback address with our port: a foreign name that is made to point here (DNS rebinding) is refused.
- The token of this start comes in the address at the first visit, afterwards in a cookie, or in a header.
- Origin, and Sec-Fetch-Site where a browser sends it, must say that the request comes from our own page.
- Every answer forbids scripts, styles, frames and connections from anywhere else, and that others embed or keep it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "x-symdiff-token"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _PAGE_POLICY,
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass
class Access:
    """The rules of one start of the server.

    `token` lets in for as long as the server runs, `ticket` once: it is for a browser that we start ourselves, whose
    command line other users of the machine can read.
    """

    port: int
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    ticket: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def address(self) -> str:
        """For the terminal."""
        return f"http://127.0.0.1:{self.port}/?token={self.token}"

    @property
    def address_once(self) -> str:
        """The address for a browser that is started here."""
        return f"http://127.0.0.1:{self.port}/?token={self.ticket}"

    @property
    def cookie(self) -> str:
        """Name of the cookie; cookies do not tell ports apart, so the name does."""
        return f"symdiff_{self.port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        names = ("127.0.0.1", "localhost")
        return tuple(f"{name}:{self.port}" for name in names) + (names if self.port == 80 else ())

    def visits(self, scope: Scope) -> bool:
        """Whether this is a visit of the page with a token in its address, which is answered with the cookie."""
        given = QueryParams(scope["query_string"]).getlist("token")
        if scope["path"] != "/" or scope["method"] != "GET" or len(given) != 1:
            return False
        if _same(given[0], self.ticket):
            self.ticket = secrets.token_urlsafe(32)  # once
            return True
        return _same(given[0], self.token)

    def refusal(self, scope: Scope, visit: bool) -> str:
        """Why the request is refused; empty if it is not."""
        headers = Headers(scope=scope)
        if headers.getlist("host") not in [[host] for host in self.hosts]:
            return "this server answers to 127.0.0.1 and localhost with its port alone"
        by_header = _one_of(headers.getlist(HEADER), self.token)
        if not (visit or by_header or self._has_cookie(headers)):
            return "open the address that `symdiff serve` printed: it holds the token of this start"
        return self._stranger(scope, headers, visit, by_header)

    def _has_cookie(self, headers: Headers) -> bool:
        return any(_same(cookie_parser(line).get(self.cookie, ""), self.token) for line in headers.getlist("cookie"))

    def _stranger(self, scope: Scope, headers: Headers, visit: bool, by_header: bool) -> str:
        """A request that another page has made the browser send; programs, which send a header, have no Origin."""
        origins = headers.getlist("origin")
        own = [[f"http://{host}"] for host in self.hosts]
        reading = scope["method"] in ("GET", "HEAD")
        if origins not in own and (origins or not (reading or by_header)):
            return "the request does not come from this server's own page (Origin)"
        site = headers.get("sec-fetch-site", "")  # which old browsers do not send; "none" is an address that is typed
        if not (visit or by_header) and site not in (("", "same-origin", "none") if reading else ("", "same-origin")):
            return "the request does not come from this server's own page (Sec-Fetch-Site)"
        return ""


def _same(given: str, secret: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), secret.encode("ascii"))


def _one_of(given: Sequence[str], secret: str) -> bool:
    return len(given) == 1 and _same(given[0], secret)


class Guard:
    """ASGI middleware in front of everything, unknown addresses included."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app, self._access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            visit = self._access.visits(scope)
            refusal = self._access.refusal(scope, visit)
            cookie = f"{self._access.cookie}={self._access.token}; Path=/; HttpOnly; SameSite=Strict"
            sender = _sender(send, {"Set-Cookie": cookie} if visit and not refusal else {})
            app = PlainTextResponse(f"{refusal}\n", 403) if refusal else self._app
            await app(scope, receive, sender)
        else:  # a WebSocket, of which there are none here
            await send({"type": "websocket.close", "code": 1008})


def _sender(send: Send, more: Mapping[str, str]) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            _add_headers(message, more)
        await send(message)

    return sending


def _add_headers(message: MutableMapping[str, Any], more: Mapping[str, str]) -> None:
    headers = MutableHeaders(scope=message)
    for name, text in {**_HEADERS, **more}.items():
        headers.setdefault(name, text)


__all__ = ["HEADER", "Access", "Guard"]
