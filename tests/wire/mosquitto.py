"""mosquitto_sub and mosquitto_pub as somebody else's programs at the broker."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import Process
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.wire import process
from tests.wire.wait import PATIENCE, until

REFUSED = 128  # this reason code and those above it
VERSIONS = {"5": "mqttv5", "3.1.1": "mqttv311"}


@dataclass(frozen=True, slots=True)
class Received:
    """A message, with the moment at which mosquitto_sub had it (``time.time()``'s clock)."""

    at: float
    topic: str
    retained: bool
    payload: bytes

    @property
    def json(self) -> Any:
        """The payload read as JSON."""
        return json.loads(self.payload)


@dataclass(slots=True)
class Subscriber:
    """mosquitto_sub on some topics. ``async with Subscriber(...) as reader``: subscribed when the block begins."""

    folder: Path
    host: str
    port: int
    user: str
    password: str
    topics: tuple[str, ...]
    version: str = "5"
    messages: list[Received] = field(default_factory=list)
    _process: Process | None = None
    _reader: asyncio.Task[None] | None = None
    _said: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        login = [
            "-h",
            self.host,
            "-p",
            str(self.port),
            "-V",
            VERSIONS[self.version],
            "-u",
            self.user,
            "-P",
            self.password,
        ]
        command = ["mosquitto_sub", *login, "-d", "-q", "1", "-F", "\x01%U %r %t %x"]
        for topic in self.topics:
            command += ["-t", topic]
        # stdbuf: mosquitto_sub keeps its lines back when nobody looks over its shoulder.
        self._process = await process.start(["stdbuf", "-oL", *command], folder=self.folder)
        self._reader = asyncio.create_task(self._read())
        try:
            await until(lambda: self.granted is not None, lambda: f"the broker's word on {self.topics}: {self._said}")
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            if not line.startswith("\x01"):
                self._said.append(line)
                continue
            at, retained, topic, payload = (line[1:] + " ").split(" ", 3)
            self.messages.append(Received(float(at), topic, retained == "1", bytes.fromhex(payload)))

    @property
    def granted(self) -> bool | None:
        """Whether the broker let it in and granted a subscription; None while it has not said."""
        if self._process is not None and self._process.returncode is not None:
            return False
        if any("CONNACK (" in line and "CONNACK (0)" not in line for line in self._said):
            return False
        answer = next((line for line in self._said if line.startswith("Subscribed")), None)
        if answer is None:
            return None
        return any(int(code.strip(",")) < REFUSED for code in answer.partition("): ")[2].split())

    def on(self, topic: str) -> list[Received]:
        """What came on one topic."""
        return [message for message in self.messages if message.topic == topic]

    async def message(self, topic: str, *, after: int = 0, seconds: float = PATIENCE) -> Received:
        """Waits for a message on a topic behind the first ``after`` ones of that topic."""
        found = await until(
            lambda: self.on(topic)[after:],
            lambda: f"a message on {topic}; there came {[message.topic for message in self.messages]}; {self._said}",
            seconds,
        )
        return found[0]

    async def close(self) -> None:
        """Ends mosquitto_sub."""
        if self._process is not None:
            await process.end(self._process)
        if self._reader is not None:
            await self._reader


async def publish(folder: Path, host: str, port: int, user: str, password: str, topic: str, payload: str) -> int:
    """mosquitto_pub once, QoS 1 and MQTT 5; its status."""
    command = ["mosquitto_pub", "-V", "mqttv5", "-h", host, "-p", str(port), "-u", user, "-P", password, "-q", "1"]
    running = await process.start([*command, "-t", topic, "-m", payload], folder=folder)
    return await asyncio.wait_for(running.wait(), PATIENCE)
