"""Qualify: whether a trunk is there, asked by OPTIONS now and then (RFC 3261 11)."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from callcenter.signaling.transport import TransportError
from callcenter.signaling.trunks.trunk import Health, Trunk
from callcenter.signaling.trunks.ways import Hop, Reach, Ways, uri_of
from callcenter.signaling.user_agent import UserAgent
from callcenter.sip.headers import NameAddr
from callcenter.sip.uri import Uri

if TYPE_CHECKING:
    from callcenter.sip.message import Response

# By then an OPTIONS that got lost was sent four times (RFC 3261 timer E).
ANSWER_WITHIN = 4.0
# One that was missed is asked for again soon: the second miss in a row takes the trunk out.
SOON = 5.0
MISSES = 2
# A part of the time between two questions is left to chance, so that not all trunks are asked at once.
JITTER = 0.1


class Qualify:
    """Looks after one trunk while :meth:`run` runs: each of its addresses, and so the trunk itself."""

    def __init__(self, trunk: Trunk, every: float, user_agent: UserAgent, ways: Ways, random: Random) -> None:
        self._trunk = trunk
        self._every = every
        self._user_agent = user_agent
        self._ways = ways
        self._random = random
        self._missed: dict[Hop, int] = {}

    async def run(self) -> None:
        """Ask, and again, for ever."""
        while True:
            sure = await self._look()
            pause = self._every if sure else min(SOON, self._every)
            await asyncio.sleep(pause * self._random.uniform(1 - JITTER, 1 + JITTER))

    async def _look(self) -> bool:
        """Ask every address once; False when one that answered before did not, which may be chance."""
        found, why = await self._ways.reaches(self._trunk)
        hops = dict.fromkeys(reach.hop for reach in found)
        self._missed = {hop: self._missed.get(hop, 0) for hop in hops}
        for gone in self._trunk.hops.keys() - hops.keys():
            del self._trunk.hops[gone]
        whys = await asyncio.gather(*map(self._ask, found))
        alive = False
        for hop, wrong in zip((reach.hop for reach in found), whys, strict=True):
            state = self._trunk.hop(hop)
            self._missed[hop] = self._missed[hop] + 1 if wrong else 0
            if not wrong or self._missed[hop] >= MISSES:
                state.alive, state.detail = not wrong, wrong
            alive = alive or state.alive is True
            why = why or wrong
        sure = not any(0 < missed < MISSES for missed in self._missed.values())
        if alive:
            self._trunk.think("options", Health(True, ""))
        elif sure:
            self._trunk.think("options", Health(False, why or "it has no address"))
        return sure

    async def _ask(self, reach: Reach) -> str:
        """What is wrong with an address; empty when it answers, whatever it says, but that it takes no calls now."""
        settings, hop = self._trunk.settings, reach.hop
        try:
            flow = self._ways.flow_to(reach)
        except TransportError as error:
            return str(error)
        here = NameAddr.parse(self._user_agent.contact(flow, None)).uri
        response: Response | None = None
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                response = await self._user_agent.request(
                    "OPTIONS",
                    reach.uri(settings),
                    flow,
                    from_=NameAddr(Uri(host=settings.from_domain or here.host)),
                    to=NameAddr(reach.uri(settings) if reach.peer is None else uri_of(reach.peer)),
                    headers=[("Contact", self._user_agent.contact(flow, None)), ("Accept", "application/sdp")],
                    routes=reach.routes(settings),
                )
        except TimeoutError:
            pass  # as if it had said nothing at all
        if response is None:
            return f"no answer from {hop}"
        # A 408 is of a proxy that heard nothing itself (RFC 3261 16.7).
        return f"{response.status} {response.reason} from {hop}" if response.status in (408, 503) else ""

    def __repr__(self) -> str:
        return f"<Qualify {self._trunk.id} every {self._every:g} s>"
