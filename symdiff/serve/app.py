"""The routes: the page, its script and its style, the examples, questions, and the page of a derivation.

Nothing here takes a path: every address is one of those below, and a derivation is asked for by its random number.
"""

from __future__ import annotations

import asyncio
import secrets
import tomllib
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from symdiff import examples
from symdiff.errors import SymdiffError
from symdiff.render.environment import environment, template_root
from symdiff.serve import values
from symdiff.serve.access import Access, Guard
from symdiff.serve.bounds import Bounds
from symdiff.serve.pool import Pool, Refused, Superseded
from symdiff.serve.question import question

_FILES = {
    "playground.js": "text/javascript",
    "playground_tables.js": "text/javascript",
    "playground.css": "text/css",
    "playground.svg": "image/svg+xml",
}
# A derivation brings its own script and style, so its frame may run them, without an origin: it reaches nothing.
_DOCUMENT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


class Site:
    """What the routes share."""

    def __init__(self, bounds: Bounds, pool: Pool) -> None:
        self._bounds, self._pool = bounds, pool
        self._documents: OrderedDict[str, str] = OrderedDict()

    async def page(self, _request: Request) -> Response:
        """The page itself; it holds no secrets, and reads its state from the address."""
        return HTMLResponse(environment("html").get_template("playground.html.j2").render(examples=examples.names()))

    async def examples(self, _request: Request) -> Response:
        """Formulas to choose from, with a point for each."""
        return JSONResponse(_examples())

    async def question(self, request: Request) -> Response:
        """A question of the page; what is wrong with a formula is an answer too, and no HTTP error."""
        if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise HTTPException(415, "send application/json")
        body = await _body(request, self._bounds)
        try:
            asked = question(body)
        except SymdiffError as error:
            raise HTTPException(400, error.message) from None
        try:
            found = await self._pool.ask(asked.page, asked.json())
        except Superseded as error:
            raise HTTPException(409, error.message) from None
        except Refused as error:
            return JSONResponse({"error": {"message": error.message, "line": None, "column": None, "length": None}})
        if "html" in found.get("parts", {}):
            found["document"] = self._keep(found["parts"]["html"])
        return JSONResponse(found)

    def _keep(self, html: str) -> str:
        """The address of a derivation, which is kept until enough newer ones have come."""
        number = secrets.token_urlsafe(16)
        self._documents[number] = html
        while len(self._documents) > self._bounds.documents:
            self._documents.popitem(last=False)
        return f"/document/{number}"

    async def document(self, request: Request) -> Response:
        """The page of a derivation, for a frame."""
        html = self._documents.get(request.path_params["number"])
        if html is None:
            raise HTTPException(404)
        return HTMLResponse(html, headers={"Content-Security-Policy": _DOCUMENT_POLICY})


def application(access: Access, bounds: Bounds) -> tuple[Starlette, Pool]:
    """The ASGI application, and the workers that it asks."""
    pool = Pool(bounds)
    site = Site(bounds, pool)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        pool.open()
        try:
            yield
        finally:
            await pool.close()

    routes = [
        Route("/", site.page),
        Route("/examples.json", site.examples),
        Route("/question", site.question, methods=["POST"]),
        Route("/document/{number:str}", site.document),
        *(Route(f"/{name}", _file(name, kind)) for name, kind in _FILES.items()),
    ]
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={HTTPException: _refused},
    )
    app.router.redirect_slashes = False
    return app, pool


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, headers=error.headers)


async def _body(request: Request, bounds: Bounds) -> bytes:
    """The body; 413 for one that is too long, whatever it says of its length, 408 for one that does not come."""
    body = b""
    try:
        async with asyncio.timeout(bounds.patience):
            async for part in request.stream():
                body += part
                if len(body) > bounds.body:
                    raise HTTPException(413, f"at most {bounds.body} bytes")
    except TimeoutError:
        raise HTTPException(408) from None
    return body


def _file(name: str, kind: str) -> Any:
    async def send(_request: Request) -> Response:
        return Response(_text(name), media_type=kind)

    return send


@cache
def _text(name: str) -> str:
    return (template_root() / "html" / name).read_text("utf-8")


@cache
def _examples() -> dict[str, Any]:
    """Example -> its text, its point and its bindings, as they stand in the fields of the page."""
    points = tomllib.loads(examples.path("points.toml").read_text("utf-8"))
    bindings = tomllib.loads(examples.path("bindings.toml").read_text("utf-8"))
    return {
        name: {
            "text": examples.path(name).read_text("utf-8"),
            "values": {given: values.text_of(found) for given, found in points.get(name, {}).items()},
            "bindings": bindings.get(name, {}),
        }
        for name in examples.names()
    }


__all__ = ["application"]
