"""The embedded media plane as a program, without calls around it: what ``media.py`` measures.

With ``acd.py`` the one file here that imports ``callcenter``: it is the side under measurement, not a generator. It
reads orders, a line of JSON each, and answers with one. Each opens legs by the offers it is given, and answers with
their ports in the same order:

    {"calls": [[offer, offer], ...]}          opened and bridged; "record": path, and recorded there
    {"conferences": [[offer, ...], ...]}      each hears the others
    {"prompts": [offer, ...], "clip": path}   a clip is played round and round

``{"taken": true}`` answers with the packets that all legs have received. ``{"close": true}`` releases them, and answers
with how long the shortest recording is, and how many did not come to a good end.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import uvloop

from callcenter.media.embedded.plane import EmbeddedPlane
from callcenter.media.plane import (
    Clip,
    MediaError,
    MediaSession,
    NoCapacity,
    RecordingEnded,
    RecordingOrder,
    RecordingReason,
)
from callcenter.media.settings import MediaSettings

HOST = "127.0.0.1"
# Opened at once: each waits for the worker.
TOGETHER = 50
# Half a second each.
MOST_TRIES = 20


class Orders:
    """The plane and what is open."""

    def __init__(self, plane: EmbeddedPlane) -> None:
        self._plane = plane
        self._sessions: list[MediaSession] = []
        self._recordings: list[asyncio.Future[RecordingEnded]] = []
        self._calls = 0

    async def take(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do it; the answer."""
        if "calls" in order:
            calls = await self._all(map(self._call, order["calls"]))
            if "record" in order:
                await self._all(self._record(Path(order["record"]), *legs) for legs in calls)
            return _ports(calls)
        if "conferences" in order:
            return _ports(await self._all(map(self._conference, order["conferences"])))
        if "prompts" in order:
            clip = Clip(order["clip"], order["seconds"])
            await self._plane.prepare([clip])
            return _ports(await self._all(self._prompt(offer, clip) for offer in order["prompts"]))
        if "taken" in order:
            stats = await self._all(session.stats() for session in self._sessions)
            return {"taken": sum(each.packets_received for each in stats)}
        while self._sessions:
            self._sessions.pop().release()
        ended = await asyncio.gather(*self._recordings)
        self._recordings.clear()
        return {
            "shortest": min((each.seconds for each in ended), default=0.0),
            "broken": sum(each.reason is not RecordingReason.STOPPED for each in ended),
        }

    async def _call(self, offers: Sequence[str]) -> list[MediaSession]:
        legs = await self._open(offers)
        await legs[0].bridge(legs[1])
        return legs

    async def _record(self, folder: Path, left: MediaSession, right: MediaSession) -> None:
        ended = asyncio.get_running_loop().create_future()
        self._recordings.append(ended)
        order = RecordingOrder(left.id, str(folder / left.id))
        await self._plane.record(order, left, [right], ended.set_result)

    async def _conference(self, offers: Sequence[str]) -> list[MediaSession]:
        legs = await self._open(offers)
        for leg in legs:
            await leg.hear([other for other in legs if other is not leg])
        return legs

    async def _prompt(self, offer: str, clip: Clip) -> list[MediaSession]:
        legs = await self._open([offer])
        legs[0].play([clip], loop=True)
        return legs

    async def _open(self, offers: Sequence[str]) -> list[MediaSession]:
        """The legs of one call."""
        self._calls += 1
        call = str(self._calls)
        legs: list[MediaSession] = []
        for offer in offers:
            leg = await self._admitted(call, offer, legs[0] if legs else None)
            legs.append(leg)
            self._sessions.append(leg)
        return legs

    async def _admitted(self, call: str, offer: str, beside: MediaSession | None) -> MediaSession:
        """A leg, as soon as the worker lets it in: what came moments ago counts for more than it needs."""
        for patience in (0.5,) * MOST_TRIES:
            try:
                return await self._plane.open(
                    call, local=HOST, on_event=lambda _: None, offer=offer.encode(), beside=beside, peer=HOST
                )
            except NoCapacity:
                await asyncio.sleep(patience)
        raise MediaError("the worker lets nobody in any more")

    async def _all(self, work: Any) -> list[Any]:
        """In order, so many together."""
        waiting: list[Awaitable[Any]] = list(work)
        done: list[Any] = []
        while waiting:
            now, waiting = waiting[:TOGETHER], waiting[TOGETHER:]
            done += await asyncio.gather(*now)
        return done


def _ports(groups: Sequence[Sequence[MediaSession]]) -> dict[str, Any]:
    return {"ports": [int(leg.sdp.split(b"m=audio ", 1)[1].split(b" ", 1)[0]) for legs in groups for leg in legs]}


async def _main() -> None:
    ports = (int(sys.argv[1]), int(sys.argv[2]))
    # The generator says nothing after a call: its ports need no rest.
    plane = EmbeddedPlane(MediaSettings(ports=ports, workers=1, max_load=1.0, max_late=60.0, port_rest=0.0))
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
