"""What the control tests share: a server on a socket of its own over a true log, and clients in threads and by hand."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from callcenter.calls.facts import FactStream
from callcenter.control.protocol import Asked
from callcenter.control.server import Command, ControlServer, Limits
from callcenter.model.access import Scope
from callcenter.model.facts import DigitsEntered
from callcenter.runtime.clock import SystemClock
from callcenter.storage.database import InlineDatabase
from callcenter.storage.store import Storage

SOCKET = "control.sock"


class Desk:
    """A switch's place: a log with facts, and commands that note what was asked of them."""

    def __init__(self, path: Path, storage: Storage, limits: Limits | None) -> None:
        self.path = path
        self.log = storage.log
        self.stream = FactStream(SystemClock(), boot="boot", last_seq=self.log.last_seq, write=self.log.write)
        self.asked: list[Asked] = []
        self.gate = asyncio.Event()
        commands = {"do": Command(self._do), "wait": Command(self._wait)}
        commands["look"] = Command(self._look, changes=False, scope=Scope.CUSTOMERS_READ)
        self.server = ControlServer(path, {**commands, "break": Command(self._break)}, self.log, limits)

    def add(self, count: int = 1) -> None:
        """Facts more."""
        for _ in range(count):
            self.stream.append(DigitsEntered("main", str(self.stream.seq + 1), True), "cc1-call")

    async def written(self) -> None:
        """Until what was added is committed."""
        await self.log.flushed(self.stream.seq)

    async def _do(self, asked: Asked) -> Mapping[str, Any]:
        self.asked.append(asked)
        return {"number": len(self.asked)}

    async def _look(self, asked: Asked) -> Mapping[str, Any]:
        return await self._do(asked)

    async def _wait(self, asked: Asked) -> Mapping[str, Any]:
        self.asked.append(asked)
        await self.gate.wait()
        return {"number": len(self.asked)}

    async def _break(self, asked: Asked) -> Mapping[str, Any]:
        self.asked.append(asked)
        raise ZeroDivisionError("ours")


@contextlib.asynccontextmanager
async def open_desk(folder: Path, limits: Limits | None = None, facts: int = 0) -> AsyncIterator[Desk]:
    """A desk that is open while the block lasts."""
    storage = await Storage.over(InlineDatabase(), clock=SystemClock())
    desk = Desk(folder / SOCKET, storage, limits)
    desk.add(facts)
    await desk.written()
    await desk.server.open()
    try:
        yield desk
    finally:
        await desk.server.close()
        await storage.close()


class Caller:
    """A client by hand: lines out, lines in."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, text: str | Mapping[str, Any]) -> None:
        self.writer.write((text if isinstance(text, str) else json.dumps(text)).encode() + b"\n")

    async def next(self) -> dict[str, Any]:
        """The next message; fails at the end."""
        async with asyncio.timeout(10):
            text = await self.reader.readline()
        assert text.endswith(b"\n"), f"the connection ended: {text!r}"
        message: dict[str, Any] = json.loads(text)
        return message

    async def ask(self, text: str | Mapping[str, Any]) -> dict[str, Any]:
        self.send(text)
        return await self.next()

    async def ended(self) -> bool:
        """Until the other side has hung up."""
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65536):
                    pass
        return True

    async def facts(self, count: int) -> list[int]:
        """The numbers of the next facts."""
        return [int((await self.next())["fact"]["seq"]) for _ in range(count)]


@contextlib.asynccontextmanager
async def caller(desk: Desk) -> AsyncIterator[Caller]:
    """Somebody connected."""
    reader, writer = await asyncio.open_unix_connection(str(desk.path))
    try:
        yield Caller(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(true: Callable[[], object]) -> None:
    """Until it is true."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.005)
