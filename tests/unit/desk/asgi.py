"""An HTTP client by hand, for what does not end by itself: httpx waits for the end of what an application answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI


@dataclass
class Answer:
    """What has come so far."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    ended: bool = False


async def read(
    app: FastAPI,
    path: str,
    token: str,
    until: Callable[[Answer], bool],
    *,
    headers: Mapping[str, str] | None = None,
    reads: Callable[[Answer], bool] = lambda _: True,
) -> Answer:
    """Read until it is enough or the answer ends, then leave; nothing is read while ``reads`` says no."""
    answer, enough, more = Answer(), asyncio.Event(), asyncio.Event()
    path, _, query = path.partition("?")
    sent = {"authorization": f"Bearer {token}", **(headers or {})}

    async def receive() -> dict[str, Any]:
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        if not reads(answer):
            await more.wait()
        answer.text += message.get("body", b"").decode()
        answer.ended = not message.get("more_body", False)
        if until(answer):
            enough.set()

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "path": path,
        "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "scheme": "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 4711), "server": ("desk.test", 80), "state": {},
    }  # fmt: skip
    async with asyncio.timeout(20):
        await app(scope, receive, send)
    return answer
