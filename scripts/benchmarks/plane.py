"""The embedded media plane as a program, without calls around it: what ``relay.py`` measures.

The one file here that imports ``callcenter``: it is the side under measurement, not a generator. It reads orders, a
line of JSON each, and answers with one: ``{"relay": [[offer, offer], ...]}`` opens and bridges calls,
``{"play": [offer, ...], "clip": path}`` opens legs and plays to them, ``{"close": true}`` releases all of them. The
answers to the two are the workers' process id and the ports.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvloop

from callcenter.media.embedded.plane import EmbeddedPlane
from callcenter.media.plane import Clip, MediaSession
from callcenter.media.settings import MediaSettings

HOST = "127.0.0.1"
# Opened at once: each waits for the worker.
TOGETHER = 50


class Orders:
    """The plane and what is open."""

    def __init__(self, plane: EmbeddedPlane) -> None:
        self._plane = plane
        self._sessions: list[MediaSession] = []
        self._calls = 0

    async def take(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do it; the answer."""
        if "relay" in order:
            return self._answer([port for pair in await self._all(map(self._relay, order["relay"])) for port in pair])
        if "play" in order:
            clip = Clip(order["clip"], 60.0)
            await self._plane.prepare([clip])
            return self._answer(await self._all(self._play(offer, clip) for offer in order["play"]))
        while self._sessions:
            self._sessions.pop().release()
        return self._answer([])

    def _answer(self, ports: list[int]) -> dict[str, Any]:
        return {"worker": self._plane.workers[0].pid, "ports": ports}

    async def _all(self, work: Any) -> list[Any]:
        """In order, so many together."""
        waiting, done = list(work), []
        while waiting:
            now, waiting = waiting[:TOGETHER], waiting[TOGETHER:]
            done += await asyncio.gather(*now)
        return done

    async def _relay(self, offers: tuple[str, str]) -> tuple[int, int]:
        call = self._call()
        first = await self._open(call, offers[0], None)
        second = await self._open(call, offers[1], first)
        await first.bridge(second)
        return _port(first), _port(second)

    async def _play(self, offer: str, clip: Clip) -> int:
        session = await self._open(self._call(), offer, None)
        session.play([clip], loop=True)
        return _port(session)

    async def _open(self, call: str, offer: str, beside: MediaSession | None) -> MediaSession:
        session = await self._plane.open(
            call, local=HOST, on_event=lambda _: None, offer=offer.encode(), beside=beside, peer=HOST
        )
        self._sessions.append(session)
        return session

    def _call(self) -> str:
        self._calls += 1
        return str(self._calls)


def _port(session: MediaSession) -> int:
    return int(session.sdp.split(b"m=audio ", 1)[1].split(b" ", 1)[0])


async def _main() -> None:
    settings = MediaSettings(ports=(int(sys.argv[1]), int(sys.argv[2])), workers=1, max_load=1.0)
    plane = EmbeddedPlane(settings)
    await plane.start()
    orders = Orders(plane)
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(json.dumps({"ready": True}), flush=True)
    try:
        while line := await reader.readline():
            print(json.dumps(await orders.take(json.loads(line))), flush=True)
    finally:
        await plane.close()


if __name__ == "__main__":
    uvloop.run(_main())
