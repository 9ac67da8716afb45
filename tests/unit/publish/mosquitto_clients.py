"""mosquitto_sub and mosquitto_pub as processes: readers and writers that are not our own MQTT client."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.unit.publish.support import until

VERSIONS = ("mqttv5", "mqttv311")


@dataclass
class Reader:
    """What a subscriber has got so far: (retained, topic, payload)."""

    process: asyncio.subprocess.Process
    got: list[tuple[bool, str, str]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def of(self, topic: str) -> list[str]:
        return [payload for _, name, payload in self.got if name == topic]


@contextlib.asynccontextmanager
async def reader(
    port: int,
    user: str,
    password: str,
    *topics: str,
    version: str = "mqttv5",
    options: tuple[str, ...] = (),
    form: str = "GOT %r %t %p",
) -> AsyncIterator[Reader]:
    """A subscriber; the block begins when the broker has acknowledged its subscription."""
    program = shutil.which("mosquitto_sub")
    assert program is not None, "these tests need mosquitto_sub: apt-get install mosquitto-clients"
    process = await asyncio.create_subprocess_exec(
        # What it says of its subscription would wait in its buffer.
        *(
            "stdbuf",
            "-oL",
            program,
            "-d",
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "-u",
            user,
            "-P",
            password,
            "-V",
            version,
            "-q",
            "1",
        ),
        *("-F", form, *options),
        *(part for topic in topics for part in ("-t", topic)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    found = Reader(process)
    reading = asyncio.create_task(_read(found))
    try:
        await until(lambda: any(line.startswith("Subscribed") for line in found.said) or process.returncode is not None)
        yield found
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


async def _read(found: Reader) -> None:
    assert found.process.stdout is not None
    while line := (await found.process.stdout.readline()).decode():
        if line.startswith("GOT "):
            _, retained, topic, payload = line.rstrip("\n").split(" ", 3)
            found.got.append((retained == "1", topic, payload))
        else:
            found.said.append(line)


async def publish(
    port: int,
    user: str | None,
    password: str,
    topic: str,
    payload: str,
    version: str = "mqttv5",
    options: tuple[str, ...] = (),
) -> str:
    """One message with QoS 1, as an agent's CRM would send it; returns what the program said."""
    login = () if user is None else ("-u", user, "-P", password)
    program = shutil.which("mosquitto_pub")
    assert program is not None, "these tests need mosquitto_pub: apt-get install mosquitto-clients"
    process = await asyncio.create_subprocess_exec(
        *(program, "-h", "127.0.0.1", "-p", str(port), *login, "-V", version, "-q", "1"),
        *("-t", topic, "-m", payload, *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return said.decode()
