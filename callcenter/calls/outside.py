"""Outside: calls that leave the house: one number, dialled in a client's name, over whichever trunk takes it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from callcenter.calls.party import Party
from callcenter.calls.services import Services
from callcenter.calls.settings import Client, Outbound
from callcenter.calls.sound import Sound
from callcenter.media.plane import BadDescription, Clip, MediaError, NotAcceptable
from callcenter.model.facts import TrunkTried
from callcenter.model.states import Side
from callcenter.runtime.scopes import Background
from callcenter.signaling.leg import EndedBy, Leg, LegEnded
from callcenter.signaling.outcome import Answered, DialOutcome, NoAnswer, Rejected, Unreachable
from callcenter.signaling.transport import TransportError
from callcenter.signaling.trunks.settings import TrunkSettings
from callcenter.signaling.trunks.trunk import Line, Trunk, retry_after
from callcenter.signaling.trunks.ways import Hop, Reach
from callcenter.sip.flow import Flow
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import MAX_FORWARDS
from callcenter.sip.uri import Uri

# Who is let ring for longer than any carrier does (RFC 3261 16.6, timer C) is not there.
LONGEST_RINGING = 180.0
# Of what a carrier says beside a status; longer helps nobody.
MOST_WORDS = 100
# Who calls that does not want to be known (RFC 3323 4.1).
ANONYMOUS = NameAddr(Uri(user="anonymous", host="anonymous.invalid"), "Anonymous")


@dataclass(frozen=True, slots=True)
class Reached:
    """Somebody outside picked up: their ``party``, whose sound is open; the trunk, and the number in E.164."""

    party: Party
    trunk: str
    number: str


@dataclass(frozen=True, slots=True)
class NotReached:
    """Nobody did: the last outcome, the trunks that were ``tried``, and why in words an operator understands."""

    outcome: DialOutcome
    detail: str
    tried: tuple[str, ...] = ()


async def dial_outside(
    services: Services,
    client: Client,
    number: str,
    call_id: str,
    *,
    beside: Sound | None = None,
    on_ringing: Callable[[], None] | None = None,
    on_early: Callable[[], Awaitable[None]] | None = None,
    hidden: bool | None = None,
    meanwhile: Sequence[Clip] = (),
    max_forwards: int = MAX_FORWARDS,
    keys: str = "",
) -> Reached | NotReached:
    """Dial ``number``, as somebody wrote it, in the name of ``client``; ``beside`` whose sound theirs is opened.

    The client's trunks are tried in their order, and of each its addresses, until one gives a definite answer: who is
    busy, declines or does not exist is so by every trunk. ``on_ringing`` is called once, when it rings there; early
    media is heard by whoever ``beside`` is, in place of what plays there, and ``on_early`` is told of it; as long as
    there is none they hear ``meanwhile``, also when a carrier that was heard fails and the next is tried; without any,
    the tone of a phone that rings, once the phone in the hand has been told to listen to a carrier that failed since
    and gives no such tone of its own any more. ``hidden``:
    whether the number that we show is kept from them; None: as the client has it. ``max_forwards``: how far the call
    may still go. ``keys`` are pressed when somebody has answered. Whoever is cancelled while it rings leaves nothing
    behind; a party that was reached is the caller's to close.
    """
    outbound = client.outbound
    if outbound is None:
        return NotReached(Rejected(404, "Not Found"), f"{client.id} has no trunk to dial a number by")
    wanted = outbound.plan.to_e164(number)
    if wanted is None:
        detail = f"what was dialled is no number that {client.id} can call"
        return NotReached(Rejected(484, "Address Incomplete"), detail)
    hide = outbound.hidden if hidden is None else hidden
    dialling = _Dialling(
        services,
        client.name,
        outbound,
        wanted,
        call_id,
        beside,
        on_ringing,
        on_early,
        hide,
        meanwhile,
        max_forwards,
        keys,
    )
    try:
        return await dialling.by_any(outbound.trunks)
    finally:
        dialling.entertain_no_more()


@dataclass(frozen=True, slots=True)
class _Failed:
    """One try came to nothing; ``elsewhere``: another address, or another trunk, may do better."""

    outcome: DialOutcome
    detail: str
    elsewhere: bool


class _Dialling:
    """One number while it is being dialled."""

    def __init__(
        self,
        services: Services,
        name: str,
        outbound: Outbound,
        number: str,
        call_id: str,
        beside: Sound | None,
        on_ringing: Callable[[], None] | None,
        on_early: Callable[[], Awaitable[None]] | None,
        hidden: bool,
        meanwhile: Sequence[Clip],
        max_forwards: int,
        keys: str,
    ) -> None:
        self._keys = keys
        self._services = services
        self._name = name
        self._outbound = outbound
        self._number = number
        self._call_id = call_id
        self._beside = beside
        self._on_ringing = on_ringing
        self._on_early = on_early
        self._hidden = hidden
        self._meanwhile = meanwhile
        self._max_forwards = max_forwards
        self._rang = False
        # Whether a carrier was heard, that has failed since or takes the call.
        self._heard = False
        self._play: int | None = None

    async def by_any(self, names: tuple[str, ...]) -> Reached | NotReached:
        """One trunk after the other."""
        tried: list[str] = []
        last = _Failed(Unreachable(503, "Service Unavailable"), "there is no such trunk any more", elsewhere=True)
        self._entertain()
        for name in names:
            trunk = self._services.trunks.get(name)
            if trunk is None:
                continue  # a reload took it away, and the call goes by what it began with
            tried.append(name)
            outcome = await self._by_trunk(trunk)
            if isinstance(outcome, Reached):
                return outcome
            last = outcome
            if not last.elsewhere:
                break
            self._entertain()
        return NotReached(last.outcome, last.detail, tuple(tried))

    def entertain_no_more(self) -> None:
        """Whoever waited is with somebody, or hears that there is nobody."""
        if self._beside is not None and self._play is not None and self._beside.is_playing(self._play):
            self._beside.stop()

    def _entertain(self) -> None:
        """Let whoever waits hear something, unless they do: a carrier that was heard has stopped it, and failed."""
        if self._beside is None:
            return
        if not self._meanwhile:
            self.entertain_no_more()  # with the tone of a phone that rings no more
        elif self._play is None or not self._beside.is_playing(self._play):
            self._play = self._beside.start(self._meanwhile, loop=True)

    def _ring_here(self) -> None:
        """Let whoever listens to early media hear that it rings, when nobody else lets them hear it."""
        ringback = self._services.settings.prompts.ringback
        if self._beside is not None and self._heard and ringback and not self._meanwhile:
            self._play = self._beside.start(ringback, loop=True)

    async def _by_trunk(self, trunk: Trunk) -> Reached | _Failed:
        """One address after the other, while the trunk has room."""
        if trunk.up is False:
            return self._passed_over(trunk, f"it is down: {trunk.detail}")
        line = trunk.take_line()
        if line is None:
            return self._passed_over(trunk, f"it is full with {trunk.calls} calls")
        with contextlib.ExitStack() as undo:
            undo.callback(line.release)
            reaches, why = await self._services.trunks.ways.reaches(trunk)
            by_hop = {reach.hop: reach for reach in reaches}
            last: _Failed | None = None
            for hop in trunk.worth_trying(by_hop):
                outcome = await self._by_hop(trunk, line, by_hop[hop])
                if isinstance(outcome, Reached):
                    undo.pop_all()
                    return outcome
                last = outcome
                if not last.elsewhere:
                    break
                self._entertain()
            return last or self._passed_over(trunk, why or "none of its addresses can be called now")

    def _passed_over(self, trunk: Trunk, why: str) -> _Failed:
        self._tell(trunk, "", 0, why, self._services.clock.monotonic())
        return _Failed(Unreachable(503, "Service Unavailable"), f"{trunk.id}: {why}", elsewhere=True)

    async def _by_hop(self, trunk: Trunk, line: Line, reach: Reach) -> Reached | _Failed:
        """One address: the sound, the INVITE with as many tries as its challenges take, and what comes of it."""
        hop = reach.hop
        services, began = self._services, self._services.clock.monotonic()
        trunk.counts.tried += 1
        status = 0
        with contextlib.ExitStack() as undo:
            sound = Sound()
            undo.callback(sound.release)
            try:
                flow = services.trunks.ways.flow_to(reach)
                codecs = trunk.settings.codecs or None
                await sound.open(services.plane, self._call_id, flow, offer=None, beside=self._beside, codecs=codecs)
                leg, failed = await self._invite(undo, trunk, reach, flow, sound)
                if failed is None and leg.ending is not None:
                    status = leg.ending.status if leg.ending.by is EndedBy.PEER else 0
                    failed = self._judge(trunk, hop, leg, leg.ending, await leg.outcome())
                elif failed is not None and failed.elsewhere:
                    trunk.silent(hop)
                if failed is None:
                    party = await self._take_up(undo, leg, sound)
                    leg.ended.add_done_callback(lambda _: line.release())
                    trunk.counts.answered += 1
                    self._tell(trunk, str(hop), 200, "answered", began)
                    undo.pop_all()
                    return Reached(party, trunk.id, self._number)
            except TransportError as error:
                failed = _Failed(Unreachable(503, "Service Unavailable"), str(error), elsewhere=True)
            except (BadDescription, NotAcceptable) as error:
                detail = f"its description is of no use: {error}"
                failed = _Failed(Rejected(488, "Not Acceptable Here"), detail, elsewhere=False)
            except MediaError as error:
                # It is we who cannot, and could not by another trunk either.
                failed = _Failed(Unreachable(503, "Service Unavailable"), f"no sound: {error}", elsewhere=False)
        trunk.counts.failed += 1
        self._tell(trunk, str(hop), status, failed.detail, began)
        return _Failed(failed.outcome, f"{trunk.id}: {failed.detail}", failed.elsewhere)

    async def _invite(
        self, undo: contextlib.ExitStack, trunk: Trunk, reach: Reach, flow: Flow, sound: Sound
    ) -> tuple[Leg, _Failed | None]:
        """Call, and answer its challenges: the leg, answered or over, or why we gave up on it."""
        settings, user_agent = trunk.settings, self._services.user_agent
        number = self._number if settings.plus else self._number.lstrip("+")
        target = reach.uri(settings, number, ("user", "phone"))
        ours = self._caller(trunk, flow)
        description, insisting = sound.offer_to(flow)
        leg = user_agent.dial(
            target,
            flow,
            from_=ANONYMOUS if self._hidden else ours,
            to=NameAddr(target.without_params("transport")),
            sdp=description,
            or_else=insisting,
            headers=_identity(ours, settings, self._hidden),
            routes=reach.routes(settings),
            max_forwards=self._max_forwards,
            login=self._services.trunks.login_of(trunk),
        )
        undo.callback(leg.hangup)
        return leg, await self._wait(leg, sound, settings.try_for)

    async def _wait(self, leg: Leg, sound: Sound, try_for: float) -> _Failed | None:
        """Until the leg is answered or over; who gives no sign of life in time, or rings too long, is hung up on."""
        beside = Background(limit=1)
        beside.start(self._tell_ringing(leg, sound), name=f"ringing of {leg.id}")
        try:
            async with asyncio.timeout(try_for):
                await leg.reached.wait()
        except TimeoutError:
            leg.hangup(cause="No sign of life")
            return _Failed(Unreachable(408, "Request Timeout"), "no sign of life", elsewhere=True)
        else:
            try:
                async with asyncio.timeout(LONGEST_RINGING):
                    await leg.outcome()
            except TimeoutError:
                leg.hangup(cause="No answer")
                return _Failed(NoAnswer(408), f"not answered within {LONGEST_RINGING:.0f} s", elsewhere=False)
            return None
        finally:
            beside.cancel()

    async def _tell_ringing(self, leg: Leg, sound: Sound) -> None:
        """Tell once that it rings, and let early media be heard as soon as there is some."""
        await leg.ringing.wait()
        if leg.answered or leg.ending is not None:
            return
        if not self._rang:
            self._rang = True
            if self._on_ringing is not None:
                self._on_ringing()
        if leg.early_sdp is None:
            self._ring_here()
        early = await leg.early
        if early is None or self._beside is None:
            return
        with contextlib.suppress(MediaError):
            await sound.take_answer(early, leg.flow)
            self._heard = True
            self._beside.stop()
            await self._beside.session.bridge(sound.session)
            if self._on_early is not None:
                await self._on_early()

    async def _take_up(self, undo: contextlib.ExitStack, leg: Leg, sound: Sound) -> Party:
        """Somebody picked up: their description becomes their sound."""
        party = Party(Side.OUTSIDE, leg, sound)
        undo.callback(party.close)
        outcome = await leg.outcome()
        answer = (outcome.sdp if isinstance(outcome, Answered) else None) or leg.early_sdp
        if answer is None:
            raise BadDescription("there is none")
        await sound.take_answer(answer, leg.flow)
        party.opened()
        if self._keys:
            party.send_digits(self._keys)
        return party

    def _judge(self, trunk: Trunk, hop: Hop, leg: Leg, ending: LegEnded, outcome: DialOutcome) -> _Failed:
        """What it means that the leg is over."""
        words = f"{ending.status} {ending.reason}".strip()[:MOST_WORDS]
        match ending.by, ending.status:
            case EndedBy.TRANSPORT | EndedBy.TIMEOUT, _:
                trunk.silent(hop)
                return _Failed(outcome, "it cannot be reached", elsewhere=True)
            case EndedBy.PEER, 401 | 407:
                return _Failed(outcome, f"{words}: it does not take our user or password", elsewhere=True)
            case EndedBy.PEER, 403:
                # What many say to a wrong password, to be as silent about it as we are.
                words = f"{words}: it does not let us call this number, or does not take our user or password"
                return _Failed(outcome, words, elsewhere=False)
            case EndedBy.PEER, 408 if not leg.ringing.is_set():
                # Of a proxy that heard nothing itself; once it has rung, it is that nobody came to the phone.
                return _Failed(outcome, words, elsewhere=True)
            case EndedBy.PEER, status if 500 <= status <= 599:
                if status == 503 and leg.refusal is not None and (seconds := retry_after(leg.refusal)):
                    trunk.rest(hop, seconds)
                return _Failed(outcome, words, elsewhere=True)
            case _:
                return _Failed(outcome, words, elsewhere=False)

    def _caller(self, trunk: Trunk, flow: Flow) -> NameAddr:
        """Who we are for this trunk."""
        settings, shown = trunk.settings, self._outbound.caller_id
        host = settings.from_domain or NameAddr.parse(self._services.user_agent.contact(flow, None)).uri.host
        return NameAddr(Uri(user=shown if settings.plus else shown.lstrip("+"), host=host), self._name)

    def _tell(self, trunk: Trunk, peer: str, status: int, result: str, began: float) -> None:
        took_ms = round((self._services.clock.monotonic() - began) * 1000)
        fact = TrunkTried(trunk.id, peer, self._number, status, result, took_ms)
        self._services.stream.append(fact, self._call_id)


def _identity(ours: NameAddr, settings: TrunkSettings, hidden: bool) -> list[tuple[str, str]]:
    """Who calls, for the trunk itself: asserted to one that is trusted, else as we prefer it (RFC 3325 6, 9.1, 9.2)."""
    name = "P-Asserted-Identity" if settings.trusted else "P-Preferred-Identity"
    return [(name, str(ours)), *([("Privacy", "id")] if hidden else [])]
