"""A telephone that is a program of its own and talks with its test by lines: what it prints are events."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.wire import process
from tests.wire.floor import TECH
from tests.wire.switch import ROOT, Switch
from tests.wire.wait import until


@dataclass(slots=True)
class ToldPhone:
    """The phone, running: what it told, and what it is told."""

    running: Process
    lines: list[str]

    async def told(self, line: str, after: int = 0) -> None:
        """Waits until it has told this."""
        await until(lambda: line in self.lines[after:], lambda: f"{line!r}; it told {self.lines[after:]}")

    def tell(self, command: str) -> None:
        """Gives it a command."""
        assert self.running.stdin is not None
        self.running.stdin.write(f"{command}\n".encode())


@contextlib.asynccontextmanager
async def told_phone(switch: Switch, folder: Path, program: str, hz: float) -> AsyncIterator[ToldPhone]:
    """The agent's phone, registered when the block begins; ``program`` is a module of this folder."""
    folder.mkdir()
    line = switch.agent(TECH.agent)
    host, port = switch.where
    running = await process.start(
        [sys.executable, "-m", f"tests.wire.{program}", host, str(port), line["user"], line["password"], str(hz)],
        folder=folder,
        stdin=PIPE,
        environment={"PYTHONPATH": str(ROOT)},
    )
    phone = ToldPhone(running, [])

    async def read() -> None:
        assert running.stdout is not None
        async for raw in running.stdout:
            phone.lines.append(raw.decode().strip())

    reader = asyncio.create_task(read())
    try:
        await phone.told("registered")
        yield phone
    finally:
        phone.tell("stop")
        try:
            await asyncio.wait_for(running.wait(), 5)
        except TimeoutError:
            await process.end(running)
        await reader
