"""A carrier's server, or a phone, played by sipp: one call, or registration, as its scenario tells it to the end."""

from __future__ import annotations

import asyncio
import socket
from asyncio.subprocess import Process
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from tests.wire import process, tone
from tests.wire.sipp import SCENARIOS
from tests.wire.wait import until

HZ = 880.0


@dataclass(slots=True)
class Carrier:
    """``async with Carrier(folder, "registrar") as carrier``: it listens on ``port`` when the block begins.

    With ``calls`` (host:port) it is who calls; with a ``port``, it is where another has been. ``words``: what stands
    for what in the scenario.
    """

    folder: Path
    scenario: str
    host: str = "127.0.0.1"
    port: int = 0
    calls: str = ""
    words: Mapping[str, str] = field(default_factory=dict)
    _process: Process | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        sound = self.folder / "tone.ul"
        sound.write_bytes(tone.mu_law(tone.tone(HZ, 1.0)))
        script = self.folder / "scenario.xml"
        told = (SCENARIOS / f"{self.scenario}.xml").read_text()
        for name, word in {"TONE_FILE": str(sound), **self.words}.items():
            told = told.replace(name, word)
        script.write_text(told)
        self.port = self.port or process.free_port(socket.SOCK_DGRAM)
        command = [
            *(
                "sipp",
                *filter(None, [self.calls]),
                "-sf",
                str(script),
                "-i",
                self.host,
                "-p",
                str(self.port),
                "-mi",
                self.host,
            ),
            *("-mp", str(process.free_range(4)[0]), "-m", "1", "-t", "u1", "-nostdin"),
            *("-timeout", "50", "-timeout_error", "-trace_err", "-error_file", str(self.folder / "errors.log")),
            *("-trace_logs", "-log_file", str(self.folder / "told.log")),
        ]
        with (self.folder / "screen.log").open("wb") as screen:
            self._process = await process.start(command, folder=self.folder, stdout=screen)
        await until(self._listens, lambda: f"sipp listens: {self.errors()}")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            await process.end(self._process)

    async def done(self, seconds: float = 15.0) -> None:
        """The scenario comes to its end, and all of it was as it is told."""
        assert self._process is not None
        try:
            async with asyncio.timeout(seconds):
                status = await self._process.wait()
        except TimeoutError:
            raise AssertionError(f"the scenario {self.scenario} does not end: {self.errors()}") from None
        assert status == 0, f"the scenario {self.scenario} failed with {status}: {self.errors()}"

    def told(self) -> str:
        """What the scenario noted."""
        log = self.folder / "told.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def errors(self) -> str:
        """What sipp complained of."""
        logs = [self.folder / "errors.log", self.folder / "stderr.log"]
        return "\n".join(log.read_text(errors="replace")[-2000:] for log in logs if log.exists())

    def _listens(self) -> bool:
        # Looked up and not tried out: who tries might have the port just when sipp wants it.
        return f":{self.port:04X} 00000000:0000" in Path("/proc/net/udp").read_text()
