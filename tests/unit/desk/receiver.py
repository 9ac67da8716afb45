"""A receiver of events and a CRM for tests: an HTTP server on loopback that does what a test says, good or bad."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

Reply = Callable[["Seen"], Awaitable[bytes]]


@dataclass
class Seen:
    """One request as it came."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The body as what it tells."""
        told: dict[str, Any] = json.loads(self.body)
        return told


def response(status: int = 200, body: bytes = b"", *headers: str) -> bytes:
    """A plain response."""
    head = [f"HTTP/1.1 {status} Because", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


OK = response()


@dataclass
class Receiver:
    """What was asked of it; ``answer`` is what it says next, bytes or a function of what it has seen."""

    port: int = 0
    answer: bytes | Reply = OK
    seen: list[Seen] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/in"

    async def has(self, number: int) -> list[Seen]:
        """Until so many requests have come."""
        async with asyncio.timeout(10):
            while len(self.seen) < number:
                self._more.clear()
                await self._more.wait()
        return self.seen

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, for one request."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            # Values as they were sent: a signature is not to be lowered.
            headers |= {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in head[1:] if line}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            seen = Seen(head[0], headers, body)
            self.seen.append(seen)
            self._more.set()
            writer.write(self.answer if isinstance(self.answer, bytes) else await self.answer(seen))
            await writer.drain()
        writer.close()


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    """Until it is so: what nobody tells of is asked for."""
    async with asyncio.timeout(10):
        while not await check():  # noqa: ASYNC110 - it is asked of a database, or over HTTP
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    """A receiver that is there while the block lasts; then its port refuses."""
    receiver = Receiver()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await receiver.serve(reader, writer)
        except asyncio.CancelledError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
