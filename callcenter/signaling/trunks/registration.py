"""Registration: we register at a trunk, come again before it runs out, and take it back in the end (RFC 3261 10.2)."""

from __future__ import annotations

import asyncio
import contextlib
from random import Random
from typing import TYPE_CHECKING

from callcenter.signaling.transport import TransportError
from callcenter.signaling.trunks.resolver import ResolveError
from callcenter.signaling.trunks.settings import Outward
from callcenter.signaling.trunks.trunk import Health, Trunk, retry_after
from callcenter.signaling.trunks.ways import Hop, Ways, routes_by, uri_of
from callcenter.signaling.user_agent import UserAgent
from callcenter.sip.digest_client import MOST_TRIES, DigestClient
from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import read_seconds
from callcenter.sip.uri import Uri

if TYPE_CHECKING:
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Response

# Seconds to the next try after a failure: doubled each time, and a part of it left to chance, so that a registrar that
# comes back does not hear from everybody in one moment (RFC 5626 4.5).
FIRST_RETRY, LAST_RETRY = 2.0, 300.0
# A registration is refreshed when about so much of its time is over: half of it is left for a registrar that is away.
REFRESH_FROM, REFRESH_TO = 0.5, 0.6
# Whatever a registrar grants, it is not asked more often.
SHORTEST = 1.0
# A registrar that wants to be asked less often than each day means something else (423, RFC 3261 10.2.8).
LONGEST_EXPIRES = 86_400
# What taking it back may take when the switch ends.
LEAVE_PATIENCE = 1.0


class Registration:
    """Keeps one trunk registered while :meth:`run` runs. Told to the trunk: whether we are."""

    def __init__(self, trunk: Trunk, outward: Outward, user_agent: UserAgent, ways: Ways, random: Random) -> None:
        self._trunk = trunk
        self._outward = outward
        self._user_agent = user_agent
        self._ways = ways
        self._random = random
        settings = trunk.settings
        login = settings.login.user if settings.login is not None else ""
        self._login = DigestClient(login, trunk.secrets.password, self._random)
        # One Call-ID and a CSeq that only grows tell the registrar which word is the last (10.2).
        self._call_id = f"{self._random.getrandbits(128):032x}"
        self._cseq = 0
        self._expires = outward.expires
        self._gate = settings.outbound_proxy or outward.registrar
        self._registered_at: Hop | None = None
        self._target = uri_of(outward.registrar)
        self._who = NameAddr(Uri(user=outward.user, host=settings.from_domain or outward.registrar.host))

    async def run(self) -> None:
        """Register, and again, for ever."""
        failures = 0
        while True:
            granted, why, wanted = await self._register_somewhere()
            if granted is not None:
                failures = 0
                self._trunk.think("registration", Health(True, "registered"))
                await asyncio.sleep(max(SHORTEST, granted * self._random.uniform(REFRESH_FROM, REFRESH_TO)))
                continue
            self._registered_at = None
            self._trunk.think("registration", Health(False, f"not registered: {why}"))
            pause = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(failures, 16))
            failures += 1
            await asyncio.sleep(max(pause * self._random.uniform(0.5, 1.0), min(wanted, LAST_RETRY)))

    async def leave(self) -> None:
        """Take the registration back, if there is one; the registrar gets a moment to confirm it."""
        hop, self._registered_at = self._registered_at, None
        if hop is None:
            return
        with contextlib.suppress(TimeoutError, TransportError):
            async with asyncio.timeout(LEAVE_PATIENCE):
                await self._ask(self._ways.flow(hop, self._gate), 0)

    async def _register_somewhere(self) -> tuple[float | None, str, float]:
        """For how many seconds we are registered now; else None, why not, and when the registrar wants to be asked."""
        gate = self._gate
        try:
            hops = await self._ways.to(gate)
        except ResolveError as error:
            return None, str(error), 0.0
        why, wanted = "", 0.0
        for hop in hops:
            try:
                flow = self._ways.flow(hop, gate)
            except TransportError as error:
                why = str(error)
                continue
            # From here on it may have taken us in, whatever we come to hear of it.
            self._registered_at = hop
            response = await self._ask(flow, self._expires)
            if response is None:
                why = f"no answer from {hop}"
            elif response.status == 200:
                return self._granted(response, flow), "", 0.0
            else:
                why = _words(response)
                wanted = retry_after(response)
                if response.status < 500 and response.status != 408:
                    break  # what one of its servers says of us the others say too
        return None, why, wanted

    async def _ask(self, flow: Flow, expires: int) -> Response | None:
        """One REGISTER, with as many tries as its challenges and the registrar's wish for a longer time take."""
        self._login.begin()
        contact = self._user_agent.contact(flow, self._outward.user)
        response: Response | None = None
        for _ in range(MOST_TRIES):
            self._cseq += 1
            response = await self._user_agent.request(
                "REGISTER",
                self._target,
                flow,
                from_=self._who,
                to=self._who,
                headers=[
                    ("Contact", f"{contact};expires={expires}"),
                    ("Expires", str(expires)),
                    *self._login.headers("REGISTER", str(self._target)),
                ],
                routes=routes_by(self._trunk.settings.outbound_proxy),
                call_id=self._call_id,
                cseq=self._cseq,
            )
            if response is None:
                return None
            least = read_seconds(response.headers.get("Min-Expires") or "")
            if response.status == 423 and least is not None and expires < least <= LONGEST_EXPIRES:
                self._expires = expires = least
            elif not self._login.take(response):
                break
        return response

    def _granted(self, response: Response, flow: Flow) -> float:
        """How long the registration lasts: as it stands at our Contact, else for all of them, else as we asked."""
        ours = NameAddr.parse(self._user_agent.contact(flow, self._outward.user)).uri
        with contextlib.suppress(SipParseError):
            contacts = response.contacts
            for contact in contacts if not isinstance(contacts, str) else ():
                seconds = read_seconds(contact.param("expires") or "")
                if seconds is not None and contact.uri.matches(ours):
                    return float(seconds)
        return float(response.expires or self._expires)

    def __repr__(self) -> str:
        return f"<Registration {self._outward.user} at {self._outward.registrar}>"


def _words(response: Response) -> str:
    if response.status in (401, 407):
        return f"{response.status}, it does not take our user or password"
    words = f"{response.status} {response.reason}".strip()
    return f"{words}: it does not know our user, or another password" if response.status == 403 else words
