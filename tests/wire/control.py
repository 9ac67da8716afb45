"""The running switch as an operator has it: the verbs of the command line, its socket, and systemd's place."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from callcenter.control.client import ControlClient
from tests.wire import process
from tests.wire.switch import PYTHON_PATH, ROOT, WARNINGS, Switch

ANSWERS_WITHIN = 30.0  # s


def control_of(switch: Switch) -> Path:
    """Its socket."""
    return Path(switch.ready.get("control") or Path(switch.ready["data"]) / "control.sock")


async def ask(switch: Switch, do: str, **fields: Any) -> dict[str, Any]:
    """One command over the socket. Raises ControlError when it was refused."""

    def asked() -> dict[str, Any]:
        with ControlClient(control_of(switch)) as client:
            return client.ask(do, **fields)

    return await asyncio.to_thread(asked)


async def callcenter(
    folder: Path,
    *arguments: str,
    enough: Callable[[str], bool] | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, str, str]:
    """Runs a verb to its end, or to Ctrl-C once it has said ``enough``: status, output, errors."""
    folder.mkdir(parents=True, exist_ok=True)
    running = await process.start(
        [sys.executable, "-m", "callcenter", *arguments],
        folder=folder,
        stderr=asyncio.subprocess.PIPE,
        environment={**os.environ, "PYTHONPATH": PYTHON_PATH, "PYTHONWARNINGS": WARNINGS, **(environment or {})},
    )
    said = b""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            if enough is not None:
                assert running.stdout is not None
                while not enough(said.decode(errors="replace")):
                    more = await running.stdout.read(65536)
                    assert more, f"it ended by itself: {said.decode()}"
                    said += more
                running.send_signal(signal.SIGINT)
            out, err = await running.communicate()
    finally:
        await process.end(running)
    return running.returncode or 0, (said + out).decode(), err.decode()


def own_config(folder: Path) -> Path:
    """A copy of what ships, to be changed."""
    copy = folder / "config"
    shutil.copytree(ROOT / "config", copy)
    return copy


def rewrite(path: Path, old: str, new: str) -> None:
    """Changes a file of the configuration."""
    text = path.read_text()
    assert old in text, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new, 1))


@dataclass(slots=True)
class Manager(asyncio.DatagramProtocol):
    """systemd's place: keeps what it is told, with the moment. ``async with Manager() as systemd``."""

    name: str = field(default_factory=lambda: f"@callcenter-test-{secrets.token_hex(8)}")
    told: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    _transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        end.bind("\0" + self.name[1:])
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=end)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Keeps a message."""
        self.told.append((time.monotonic(), dict(line.split("=", 1) for line in data.decode().splitlines())))

    def of(self, name: str, after: int = 0) -> list[str]:
        """The values that a variable had, in order."""
        return [message[name] for _, message in self.told[after:] if name in message]
