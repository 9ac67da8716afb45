"""The gate before every route: whose pages may ask, how large a body may be, and what every answer says."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from callcenter.desk.call_me import CODE_HEADER, PUBLIC
from callcenter.desk.desk import Desk
from callcenter.desk.problems import Problem

# JSON of people and programs; no request needs more. What is large (an import) goes beside the desk.
LONGEST_BODY = 1024 * 1024
METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Last-Event-ID, Range, " + CODE_HEADER
EXPOSED = "Content-Disposition, Content-Range, ETag, Location, Retry-After"
PREFLIGHT_AGE = 600
ALWAYS = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("cross-origin-resource-policy", "same-origin"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    # Customers' data stays in no cache on the way; a route that knows better says so.
    ("cache-control", "no-store"),
)
# What is read as it comes, by a route that knows a bound of its own.
STREAMED = frozenset({"/api/v1/customers/import"})
HSTS = "max-age=31536000"


log = structlog.get_logger()


class Gate:
    """ASGI middleware around the application of ``desk``."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        allowed = origin.lower() in (*self._desk.settings.desk.cors, *public_origins(self._desk, scope["path"]))
        secure = scope["scheme"] == "https" or self._desk.settings.desk.public_url.startswith("https:")

        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                said = MutableHeaders(scope=message)
                for name, value in ALWAYS:
                    said.setdefault(name, value)
                if secure:
                    said.setdefault("strict-transport-security", HSTS)
                said.add_vary_header("Origin")
                if allowed:
                    said["access-control-allow-origin"] = origin
                    said["access-control-expose-headers"] = EXPOSED
            await send(message)

        try:
            if scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
                await _preflight(answer, allowed=allowed)
                return
            length = headers.get("content-length", "")
            streamed = scope["path"] in STREAMED
            if length.isdecimal() and int(length) > LONGEST_BODY and not streamed:
                raise Problem(413, HTTPStatus(413).phrase.lower().replace(" ", "_"), _TOO_LARGE)
            await self._app(scope, receive if streamed else _bounded(receive), answer)
        except Problem as problem:
            await problem.response()(scope, receive, answer)
        except Exception as error:
            # Its text may hold what a customer wrote: it stays in the log.
            log.error("request failed", method=scope["method"], path=scope["path"], exc_info=error)
            if begun:
                raise  # the connection is cut: that is all that can be told
            told = Problem(500, "internal", "this failed by a mistake of ours; the log says more")
            await told.response()(scope, receive, answer)


def public_origins(desk: Desk, path: str) -> Sequence[str]:
    """Whose pages may ask at a company's public door, besides those that may ask everywhere."""
    if not path.startswith(PUBLIC):
        return ()
    rules = desk.settings.call_me.get(path.removeprefix(PUBLIC).partition("/")[0])
    return rules.origins if rules is not None else ()


async def _preflight(send: Send, *, allowed: bool) -> None:
    """Whether a page from elsewhere may ask so: with a token, never with a cookie."""
    headers: list[tuple[bytes, bytes]] = []
    if allowed:
        said = (("methods", METHODS), ("headers", HEADERS))
        headers = [(f"access-control-allow-{name}".encode(), value.encode()) for name, value in said]
        headers.append((b"access-control-max-age", str(PREFLIGHT_AGE).encode()))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _bounded(receive: Receive) -> Receive:
    """The same, but a body that does not say how long it is comes to an end."""
    taken = 0

    async def bounded() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > LONGEST_BODY:
            raise HTTPException(413, _TOO_LARGE)  # what reads the body lets this one alone through
        return message

    return bounded


_TOO_LARGE = f"a body is {LONGEST_BODY // 1024} kB at most"


def own_origins(public_url: str, scheme: str, host: str) -> Sequence[str]:
    """The origins that are the desk's own: as it was asked, and as browsers reach it."""
    own = [f"{scheme}://{host}".lower()]
    if public_url:
        parts = urlsplit(public_url)
        own.append(f"{parts.scheme}://{parts.netloc}".lower())
    return own
