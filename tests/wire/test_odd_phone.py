"""pyVoIP as an agent's phone: it answers MD5 without qop, ignores Via, and must be served all the same."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.wire import process
from tests.wire.floor import TECH, caller_phone
from tests.wire.switch import ROOT, Switch
from tests.wire.wait import stays, until


@dataclass(slots=True)
class OddPhone:
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
async def odd_phone(switch: Switch, folder: Path, hz: float) -> AsyncIterator[OddPhone]:
    """The agent's phone, registered when the block begins."""
    folder.mkdir()
    line = switch.agent(TECH.agent)
    host, port = switch.where
    running = await process.start(
        [sys.executable, "-m", "tests.wire.odd_phone", host, str(port), line["user"], line["password"], str(hz)],
        folder=folder,
        stdin=PIPE,
        environment={"PYTHONPATH": str(ROOT)},
    )
    phone = OddPhone(running, [])

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


async def test_the_odd_phone_registers_answers_and_is_heard(switch: Switch, tmp_path: Path) -> None:
    async with (
        odd_phone(switch, tmp_path / "odd", 880.0) as odd,
        caller_phone(switch, tmp_path, hz=440.0) as caller,
    ):
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await odd.told("ringing")
        await caller.heard(880.0)
        await odd.told("heard 440")
        await caller.hangup()
        await odd.told("ended")
        assert (await switch.interaction())["outcome"] == "handled"


async def test_the_odd_phone_goes_to_lunch_comes_back_takes_a_call_and_hangs_up(switch: Switch, tmp_path: Path) -> None:
    """The codes are dialled, proved with the password, and answered in words."""
    async with (
        odd_phone(switch, tmp_path / "odd", 880.0) as odd,
        caller_phone(switch, tmp_path, hz=440.0) as caller,
    ):
        odd.tell("dial *21")
        await odd.told("taken")
        await odd.told("ended")
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await until(lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'CallQueued'"), "the caller waits")
        await stays(lambda: "ringing" not in odd.lines, "who is at lunch is not rung", 1.0)
        odd.tell("dial *20")
        await odd.told("ringing")
        await caller.heard(880.0)
        odd.tell("hangup")
        await caller.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["outcome"], saved["ended_by"], saved["agent"]) == ("handled", "agent", TECH.agent)
