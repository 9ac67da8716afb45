"""pyVoIP as an agent's phone: it answers MD5 without qop, ignores Via, and must be served all the same."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.wire import process
from tests.wire.floor import TECH, caller_phone
from tests.wire.switch import ROOT, Switch
from tests.wire.wait import until


@asynccontextmanager
async def odd_phone(switch: Switch, folder: Path, hz: float) -> AsyncIterator[list[str]]:
    """The phone, running; its lines grow in the list."""
    folder.mkdir()
    line = switch.agent(TECH.agent)
    host, port = switch.where
    stop = folder / "stop"
    running = await process.start(
        [
            sys.executable,
            "-m",
            "tests.wire.odd_phone",
            host,
            str(port),
            line["user"],
            line["password"],
            str(hz),
            str(stop),
        ],
        folder=folder,
        environment={"PYTHONPATH": str(ROOT)},
    )
    lines: list[str] = []

    async def read() -> None:
        assert running.stdout is not None
        async for raw in running.stdout:
            lines.append(raw.decode().strip())  # noqa: PERF401 - the list must grow while it is read

    reader = asyncio.create_task(read())
    try:
        yield lines
    finally:
        stop.touch()
        try:
            await asyncio.wait_for(running.wait(), 5)
        except TimeoutError:
            await process.end(running)
        await reader


async def test_the_odd_phone_registers_answers_and_is_heard(switch: Switch, tmp_path: Path) -> None:
    async with (
        odd_phone(switch, tmp_path / "odd", 880.0) as lines,
        caller_phone(switch, tmp_path, hz=440.0) as caller,
    ):
        await until(lambda: "registered" in lines, "pyVoIP is registered")
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.key)
        await until(lambda: "ringing" in lines, "pyVoIP rings")
        await caller.heard(880.0)
        await until(lambda: "heard 440" in lines, lambda: f"pyVoIP hears the caller; it told {lines[-5:]}")
        await caller.hangup()
        await until(lambda: "ended" in lines, "pyVoIP is hung up")
        assert (await switch.interaction())["outcome"] == "handled"
