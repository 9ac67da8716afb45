"""Qualify: whether a trunk is there, asked by OPTIONS now and then (RFC 3261 11)."""

from __future__ import annotations

import asyncio
from random import Random
from typing import TYPE_CHECKING

from callcenter.signaling.transport import TransportError
from callcenter.signaling.trunks.resolver import ResolveError
from callcenter.signaling.trunks.trunk import Health, Trunk
from callcenter.signaling.trunks.ways import Hop, Ways, routes_by, uri_of
from callcenter.signaling.user_agent import UserAgent
from callcenter.sip.headers import NameAddr
from callcenter.sip.uri import Uri

if TYPE_CHECKING:
    from callcenter.signaling.trunks.settings import Peer
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
        found: list[tuple[Peer, Hop]] = []
        why = ""
        for peer in self._trunk.gates:
            try:
                found += [(peer, hop) for hop in await self._ways.to(peer)]
            except ResolveError as error:
                why = str(error)
        hops = dict.fromkeys(hop for _, hop in found)
        self._missed = {hop: self._missed.get(hop, 0) for hop in hops}
        for gone in self._trunk.hops.keys() - hops.keys():
            del self._trunk.hops[gone]
        whys = await asyncio.gather(*(self._ask(peer, hop) for peer, hop in found))
        alive = False
        for hop, wrong in zip((hop for _, hop in found), whys, strict=True):
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

    async def _ask(self, peer: Peer, hop: Hop) -> str:
        """What is wrong with an address; empty when it answers, whatever it says, but that it takes no calls now."""
        try:
            flow = self._ways.flow(hop, peer)
        except TransportError as error:
            return str(error)
        here = NameAddr.parse(self._user_agent.contact(flow, None)).uri
        proxy = self._trunk.settings.outbound_proxy
        response: Response | None = None
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                response = await self._user_agent.request(
                    "OPTIONS",
                    uri_of(peer if proxy is None else self._trunk.settings.peers[0]),
                    flow,
                    from_=NameAddr(Uri(host=self._trunk.settings.from_domain or here.host)),
                    to=NameAddr(uri_of(peer)),
                    headers=[("Contact", self._user_agent.contact(flow, None)), ("Accept", "application/sdp")],
                    routes=routes_by(proxy),
                )
        except TimeoutError:
            pass  # as if it had said nothing at all
        if response is None:
            return f"no answer from {hop}"
        # A 408 is of a proxy that heard nothing itself (RFC 3261 16.7).
        return f"{response.status} {response.reason} from {hop}" if response.status in (408, 503) else ""

    def __repr__(self) -> str:
        return f"<Qualify {self._trunk.id} every {self._every:g} s>"
