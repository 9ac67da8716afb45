"""People of the demo: a program that is told what to do by lines and tells what happens by lines of JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

LEAVE_WITHIN = 5.0
MOST_EVENTS = 1_000


class DemoFailed(Exception):
    """Something that belongs to the journey did not happen; one sentence."""


class Happenings:
    """Things that happen, in order; who waits for one takes it, also when it happened before."""

    def __init__(self, who: str) -> None:
        self.who = who
        self._things: deque[dict[str, Any]] = deque(maxlen=MOST_EVENTS)
        self._more = asyncio.Event()
        self._over = False

    def add(self, thing: dict[str, Any]) -> None:
        """Something happened."""
        self._things.append(thing)
        self._more.set()

    def end(self) -> None:
        """Nothing more will happen."""
        self._over = True
        self._more.set()

    async def take(self, wanted: Callable[[dict[str, Any]], bool], what: str, within: float) -> dict[str, Any]:
        """The first thing that is wanted and nobody has taken yet. Raises DemoFailed."""
        try:
            async with asyncio.timeout(within):
                while True:
                    for thing in self._things:
                        if wanted(thing):
                            self._things.remove(thing)
                            return thing
                    if self._over:
                        raise DemoFailed(f"{self.who} is gone before this: {what}")
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise DemoFailed(f"this did not happen within {within:.0f} s: {what}") from None


class Person:
    """A phone in a process of its own."""

    def __init__(self, name: str, module: str, *arguments: object) -> None:
        self.name = name
        self._command = [sys.executable, "-m", module, *map(str, arguments)]
        self._process: Process | None = None
        self._events = Happenings(f"the phone of {name}")
        self._reading: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None, "not started"
        return self._process.pid

    async def start(self, complaints: IO[bytes]) -> Self:
        """Begin; what the program complains of goes to the file."""
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE, stderr=complaints)
        self._reading = asyncio.create_task(self._read())
        return self

    async def does(self, event: str, what: str, within: float = 15.0) -> dict[str, Any]:
        """Wait for an event. Raises DemoFailed."""
        return await self._events.take(lambda thing: thing["event"] == event, what, within)

    def told(self, command: str) -> None:
        """Tell the phone what to do."""
        assert self._process is not None, "not started"
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())

    async def leave(self) -> None:
        """End the program: with a word, else by force."""
        if self._process is None:
            return
        assert self._process.stdin is not None
        self._process.stdin.close()
        await end(self._process)
        if self._reading is not None:
            await self._reading

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._events.add(json.loads(line))
        self._events.end()


class Switch:
    """The switch itself: ``callcenter run --trial``. ``ready`` is the line by which it introduces itself."""

    def __init__(self, overrides: list[str]) -> None:
        self.ready: dict[str, Any] = {}
        settings = [word for override in ["desk.enabled=false", *overrides] for word in ("--set", override)]
        self._command = [sys.executable, "-m", "callcenter", "run", "--trial", "--log", "json", *settings]
        self._process: Process | None = None

    async def start(self, log: Path, within: float = 30.0) -> None:
        """Start it. Raises DemoFailed with what it says."""
        with log.open("wb") as file:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=DEVNULL, stdout=PIPE, stderr=file
            )
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(within):
                line = await self._process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            said = (await asyncio.to_thread(log.read_text, errors="replace")).strip().splitlines()
            raise DemoFailed(f"the switch did not start: {said[-1] if said else 'it said nothing'}")
        self.ready = json.loads(line)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens, UDP and IPv4."""
        host, _, port = next(each for each in self.ready["sip"]["udp"] if not each.startswith("[")).rpartition(":")
        return host, int(port)

    def agent(self, user: str) -> dict[str, Any]:
        """An agent's line."""
        found: dict[str, Any] = next(agent for agent in self.ready["agents"] if agent["user"] == user)
        return found

    async def leave(self) -> None:
        """End it, in good order."""
        if self._process is not None:
            await end(self._process, ask=True)


async def end(process: Process, *, ask: bool = False) -> None:
    """Wait for the end of a program; ``ask`` by SIGTERM, and again; at last it is killed."""
    for patience in (LEAVE_WITHIN, LEAVE_WITHIN):
        if process.returncode is not None:
            return
        if ask:
            process.terminate()
        try:
            async with asyncio.timeout(patience):
                await process.wait()
                return
        except TimeoutError:
            ask = True
    process.kill()
    await process.wait()
