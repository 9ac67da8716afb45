"""Legs between two user agents on a simulated network: who rang whom, how it ended, and that nothing is left over."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from callcenter.signaling.leg import (
    Answered,
    Busy,
    Cancelled,
    Declined,
    DialOutcome,
    EndedBy,
    Leg,
    LegEnded,
    LegState,
    NoAnswer,
    Reinvite,
    ReinviteOutcome,
    Rejected,
    Unreachable,
)
from callcenter.signaling.reply import Reply
from callcenter.signaling.user_agent import UserAgent
from callcenter.simulation.clock import SimClock, VirtualLoop, run
from callcenter.simulation.network import SimHost, SimNetwork, Weather
from callcenter.sip.endpoint import Endpoint, EndpointStatus
from callcenter.sip.events import RequestReceived
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Request, Response
from callcenter.sip.parser import parse
from callcenter.sip.uri import Uri

OFFER = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace(b"10.0.0.1", b"10.0.0.2")
OTHER_OFFER = OFFER.replace(b"o=- 1 1", b"o=- 1 2") + b"a=sendonly\r\n"
OTHER_ANSWER = ANSWER.replace(b"o=- 1 1", b"o=- 1 2") + b"a=recvonly\r\n"
# Transactions live for 32 s after the last message, and then some.
AFTERLIFE = 100.0


@dataclass
class Side:
    """A user agent, and what was told to whom it serves."""

    name: str
    host: SimHost
    agent: UserAgent
    endpoint: Endpoint
    invited: list[Leg] = field(default_factory=list)
    asked: list[RequestReceived] = field(default_factory=list)
    on_invite: Callable[[Leg], None] = lambda _: None
    on_request: Callable[[RequestReceived], Reply | None] = lambda _: Reply(200)

    def dial(self, other: Side, transport: Transport = Transport.UDP, **more: Any) -> Leg:
        target = NameAddr(Uri.parse(f"sip:{other.name}@{other.host.address}"), "The Callee")
        here = NameAddr(Uri.parse(f"sip:{self.name}@example.org"), "The Caller")
        more.setdefault("sdp", OFFER)
        return self.agent.dial(target.uri, self.flow(other, transport), from_=here, to=target, **more)

    def flow(self, other: Side, transport: Transport = Transport.UDP) -> Flow:
        return Flow(transport, Address(self.host.address, 5060), Address(other.host.address, 5060))

    async def invited_leg(self) -> Leg:
        for _ in range(10_000):
            if self.invited:
                return self.invited[-1]
            await asyncio.sleep(0.001)
        raise AssertionError("nobody called")


class World:
    """Two sides, called amy and bob."""

    def __init__(self, **weather: float) -> None:
        self.loop = asyncio.get_running_loop()
        assert isinstance(self.loop, VirtualLoop)
        self.random = self.loop.random
        self.network = SimNetwork(self.loop, self.random, Weather(**{"delay": 0.01, **weather}))
        self.addresses = itertools.count(1)
        self.amy = self.side("amy")
        self.bob = self.side("bob")

    def side(self, name: str) -> Side:
        host = self.network.host(f"10.0.0.{next(self.addresses)}")
        endpoint = Endpoint(random=self.random)

        def invited(leg: Leg) -> None:
            side.invited.append(leg)
            side.on_invite(leg)

        def requested(event: RequestReceived) -> Reply | None:
            side.asked.append(event)
            return side.on_request(event)

        side = Side(name, host, UserAgent(host, endpoint, SimClock(self.loop), invited, requested), endpoint)
        return side

    async def open(self) -> None:
        await self.amy.agent.open()
        await self.bob.agent.open()

    async def connect(self, transport: Transport = Transport.UDP) -> tuple[Leg, Leg]:
        """Amy calls Bob, and Bob answers."""
        out = self.amy.dial(self.bob, transport)
        came = await self.bob.invited_leg()
        came.answer(ANSWER)
        assert await out.outcome() == Answered(ANSWER)
        await came.acknowledged
        return out, came

    async def nothing_is_left(self) -> None:
        await asyncio.sleep(AFTERLIFE)
        for side in (self.amy, self.bob):
            assert side.agent.legs == {}
            assert side.endpoint.status() == EndpointStatus(0, 0, 0)
            for leg in side.invited:
                assert leg.state is LegState.ENDED
                assert leg.ended.done()


def story(tell: Callable[[World], Awaitable[None]], *, seed: int = 0, **weather: float) -> None:
    """Tell it in virtual time, and look that nothing is left over."""

    async def main() -> None:
        world = World(**weather)
        await world.open()
        await tell(world)
        await world.nothing_is_left()

    run(main(), seed=seed)


def test_call_is_answered_and_hung_up_by_the_callee() -> None:
    async def tell(world: World) -> None:
        out = world.amy.dial(world.bob)
        assert (out.state, out.incoming, out.offer) == (LegState.NEW, False, None)
        came = await world.bob.invited_leg()
        assert came.incoming
        assert (came.remote_number, came.remote_name, came.dialled) == ("amy", "The Caller", "bob")
        assert came.offer == OFFER
        assert came.flow.local == Address("10.0.0.2", 5060)
        assert not out.ringing.is_set()
        came.ring()
        await out.ringing.wait()
        assert (out.state, came.state) == (LegState.RINGING, LegState.RINGING)
        came.answer(ANSWER)
        assert await out.outcome() == Answered(ANSWER)
        assert await came.acknowledged is None
        assert out.sip_call_id == came.sip_call_id
        assert out.answered
        assert came.answered
        came.hangup()
        assert (await came.ended).by is EndedBy.LOCAL
        assert await out.ended == LegEnded(EndedBy.PEER, 200, (await out.ended).reason)
        assert await out.outcome() == Answered(ANSWER)  # what came of the INVITE does not change

    story(tell)


def test_invite_goes_out_before_dial_returns() -> None:
    async def tell(world: World) -> None:
        out = world.amy.dial(world.bob)
        world.amy.host.vanish()  # nothing sent from now on leaves
        await asyncio.sleep(0.02)
        assert len(world.bob.invited) == 1
        world.amy.host.come_back()
        world.bob.invited[0].reject(486)
        assert await out.outcome() == Busy(486)

    story(tell)


def test_phone_that_answers_without_ringing_has_rung() -> None:
    async def tell(world: World) -> None:
        out, came = await world.connect()
        assert out.ringing.is_set()
        out.hangup()
        assert (await came.ended).by is EndedBy.PEER

    story(tell)


def test_early_media_is_kept_and_183_is_no_100() -> None:
    async def tell(world: World) -> None:
        out = world.amy.dial(world.bob)
        came = await world.bob.invited_leg()
        await asyncio.sleep(0.1)
        assert not out.ringing.is_set()  # the 100 does not ring
        came.ring(status=183, sdp=ANSWER)
        await out.ringing.wait()
        assert out.early_sdp == ANSWER
        out.hangup()
        assert (await came.ended).status == 487

    story(tell)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (486, Busy(486)),
        (600, Busy(600)),
        (480, NoAnswer(480)),
        (408, NoAnswer(408)),
        (603, Declined(603)),
        (607, Declined(607)),
        (404, Unreachable(404, "because")),
        (503, Unreachable(503, "because")),
        (488, Rejected(488, "because")),
        (302, Rejected(302, "because")),
    ],
)
def test_refusal_is_a_value(status: int, outcome: DialOutcome) -> None:
    async def tell(world: World) -> None:
        out = world.amy.dial(world.bob)
        came = await world.bob.invited_leg()
        came.reject(status, "because", (("Retry-After", "3"),))
        assert came.state is LegState.ENDED
        assert await out.outcome() == outcome
        ended = await out.ended
        assert (ended.by, ended.status) == (EndedBy.PEER, status)
        assert not out.answered
        assert (await came.ended).by is EndedBy.LOCAL
        came.answer(ANSWER)  # too late, and ignored
        came.ring()
        came.reject(500)
        came.hangup()

    story(tell)


def test_nobody_there_is_unreachable_after_timer_b() -> None:
    async def tell(world: World) -> None:
        world.bob.host.vanish()
        out = world.amy.dial(world.bob)
        outcome = await out.outcome()
        assert isinstance(outcome, Unreachable)
        assert outcome.status == 408
        assert world.loop.time() == pytest.approx(32, abs=0.1)
        assert (await out.ended).by is EndedBy.TIMEOUT

    story(tell)


def test_refused_connection_is_unreachable_at_once() -> None:
    async def tell(world: World) -> None:
        world.bob.host.port = 5999  # nobody on 5060 any more
        out = world.amy.dial(world.bob, Transport.TCP)
        outcome = await out.outcome()
        assert isinstance(outcome, Unreachable)
        assert outcome.status == 503
        assert world.loop.time() < 1
        assert (await out.ended).by is EndedBy.TRANSPORT

    story(tell)


def test_hangup_before_any_answer_is_over_at_once_and_the_callee_hears_why() -> None:
    async def tell(world: World) -> None:
        out = world.amy.dial(world.bob)
        out.hangup(cause='Call completed "elsewhere"')
        assert out.state is LegState.ENDED
        assert await out.outcome() == Cancelled()
        assert (await out.ended).by is EndedBy.LOCAL
        came = await world.bob.invited_leg()
        came.ring()
        ended = await came.ended
        assert (ended.by, ended.status) == (EndedBy.PEER, 487)
        assert "Call completed" in ended.reason

    story(tell)


def test_hangup_may_be_called_twice() -> None:
    async def tell(world: World) -> None:
        out, came = await world.connect()
        for leg in (out, came, out, came):
            leg.hangup()
        assert (await out.ended).by is EndedBy.LOCAL
        assert (await came.ended).by is EndedBy.LOCAL

    story(tell)


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
@pytest.mark.parametrize("who", ["caller", "callee", "both"])
@pytest.mark.parametrize("ms", range(0, 80, 3))
def test_hangup_at_every_moment_ends_both_legs_and_leaves_nothing(transport: Transport, who: str, ms: int) -> None:
    """Set-up takes 10 ms each way: INVITE, 180 after 5 ms, 200 after 15 ms, ACK."""

    async def tell(world: World) -> None:
        def invited(leg: Leg) -> None:
            world.loop.call_later(0.005, leg.ring)
            world.loop.call_later(0.015, answer_late, leg)

        def hang_up() -> None:
            if who != "callee":
                out.hangup()
            if who != "caller":
                for leg in world.bob.invited:
                    leg.hangup()

        world.bob.on_invite = invited
        out = world.amy.dial(world.bob, transport)
        ends: list[LegEnded] = []
        out.ended.add_done_callback(lambda ended: ends.append(ended.result()))
        world.loop.call_later(ms / 1000, hang_up)
        if who == "callee":
            world.loop.call_later(5, out.hangup)  # it was too early for Bob to hang up
        await asyncio.sleep(10)
        assert len(ends) == 1
        assert isinstance(await out.outcome(), Cancelled | Answered | NoAnswer)

    story(tell, seed=ms)


@pytest.mark.parametrize("seed", range(40))
def test_hangup_at_any_moment_in_bad_weather(seed: int) -> None:
    async def tell(world: World) -> None:
        chance = world.random

        def invited(leg: Leg) -> None:
            world.loop.call_later(chance.random(), leg.ring)
            world.loop.call_later(chance.random() * 3, answer_late, leg)
            world.loop.call_later(chance.random() * 20, leg.hangup)

        world.bob.on_invite = invited
        legs = [world.amy.dial(world.bob) for _ in range(5)]
        for leg in legs:
            world.loop.call_later(chance.random() * 20, leg.hangup)
        await asyncio.sleep(20)
        assert all(leg.ended.done() for leg in legs)

    story(tell, seed=seed, loss=0.2, duplicate=0.1, jitter=0.05, late=0.1)


def test_waiting_for_the_end_may_be_cancelled_without_harm() -> None:
    async def tell(world: World) -> None:
        out, _ = await world.connect()

        async def wait() -> LegEnded:
            return await out.ended

        first, second = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
        outcome = asyncio.ensure_future(out.outcome())
        await asyncio.sleep(1)
        assert outcome.done()
        first.cancel()
        await asyncio.sleep(1)
        assert first.cancelled()
        out.hangup()
        assert (await second).by is EndedBy.LOCAL
        assert (await out.ended).by is EndedBy.LOCAL

    story(tell)


def test_failing_handler_of_a_call_is_answered_500_and_told() -> None:
    async def tell(world: World) -> None:
        told: list[dict[str, Any]] = []
        world.loop.set_exception_handler(lambda _, context: told.append(context))

        def fail(_: Leg) -> None:
            raise ValueError("mine")

        world.bob.on_invite = fail
        out = world.amy.dial(world.bob)
        assert await out.outcome() == Rejected(500, (await out.ended).reason)
        assert isinstance(told[0]["exception"], ValueError)
        assert world.bob.agent.legs == {}

    story(tell)


def test_hold_is_offered_and_answered_later() -> None:
    async def tell(world: World) -> None:
        out, came = await world.connect()
        offers: list[Reinvite] = []
        came.on_reinvite = offers.append
        change = asyncio.ensure_future(out.reinvite(OTHER_OFFER))
        await asyncio.sleep(1)
        assert not change.done()
        assert [each.offer for each in offers] == [OTHER_OFFER]
        offers[0].accept(OTHER_ANSWER)
        offers[0].accept(ANSWER)
        offers[0].reject(500)
        assert await change == ReinviteOutcome(200, OTHER_ANSWER)
        out.hangup()

    story(tell)


def test_refused_change_leaves_the_call_as_it_was() -> None:
    async def tell(world: World) -> None:
        out, came = await world.connect()
        came.on_reinvite = lambda reinvite: reinvite.reject(415)
        outcome = await out.reinvite(OTHER_OFFER)
        assert outcome == ReinviteOutcome(415)
        assert not outcome.accepted
        assert (out.state, came.state) == (LegState.UP, LegState.UP)
        out.hangup()
        assert await out.reinvite(OTHER_OFFER) == ReinviteOutcome(481)

    story(tell)


def test_leg_that_nobody_watches_refreshes_and_refuses_changes() -> None:
    async def tell(world: World) -> None:
        out, came = await world.connect()
        assert came.on_reinvite is None
        assert await out.reinvite(OFFER) == ReinviteOutcome(200, ANSWER)
        assert await out.reinvite(OTHER_OFFER) == ReinviteOutcome(488)
        assert await came.reinvite(ANSWER) == ReinviteOutcome(200, OTHER_OFFER)
        out.hangup()

    story(tell)


def test_both_change_at_once_and_both_get_through() -> None:
    async def tell(world: World) -> None:
        out, came = await world.connect()
        out.on_reinvite = lambda reinvite: reinvite.accept(OTHER_OFFER)
        came.on_reinvite = lambda reinvite: reinvite.accept(OTHER_ANSWER)
        one, other = await asyncio.gather(out.reinvite(OTHER_OFFER), came.reinvite(OTHER_ANSWER))
        assert one == ReinviteOutcome(200, OTHER_ANSWER)
        assert other == ReinviteOutcome(200, OTHER_OFFER)
        out.hangup()

    for seed in range(10):
        story(tell, seed=seed)


@pytest.mark.parametrize("who", ["asker", "asked"])
def test_change_under_way_when_the_call_ends_is_told_as_gone(who: str) -> None:
    async def tell(world: World) -> None:
        out, came = await world.connect()
        offers: list[Reinvite] = []
        came.on_reinvite = offers.append
        change = asyncio.ensure_future(out.reinvite(OTHER_OFFER))
        await asyncio.sleep(1)
        (out if who == "asker" else came).hangup()
        assert (await change).status in (481, 487)  # 487: the BYE ended the INVITE under way (RFC 3261 15.1.2)
        await asyncio.sleep(1)
        offers[0].accept(OTHER_ANSWER)  # too late, and ignored
        assert await offers[0].acknowledged is None

    story(tell)


def test_failing_handler_of_a_change_is_answered_500() -> None:
    async def tell(world: World) -> None:
        told: list[dict[str, Any]] = []
        world.loop.set_exception_handler(lambda _, context: told.append(context))
        out, came = await world.connect()

        def fail(_: Reinvite) -> None:
            raise ValueError("mine")

        came.on_reinvite = fail
        assert await out.reinvite(OTHER_OFFER) == ReinviteOutcome(500)
        assert isinstance(told[0]["exception"], ValueError)
        out.hangup()

    story(tell)


def answer_late(leg: Leg) -> None:
    if leg.state is not LegState.ENDED:
        leg.answer(ANSWER)


class RawPeer:
    """A peer that writes its own messages."""

    def __init__(self, world: World) -> None:
        self.host = world.network.host("10.0.0.99")
        self.heard: list[Request | Response] = []
        self._switch = Address(world.bob.host.address, 5060)
        self._branches = itertools.count(1)

    def datagram(self, data: bytes, flow: Flow) -> None:
        self.heard.append(parse(data))

    def message(self, message: Request | Response, flow: Flow) -> None:
        raise AssertionError

    def unreadable(self, error: Exception, flow: Flow) -> None:
        raise AssertionError

    def send_failed(self, key: str) -> None:
        raise AssertionError

    def connection_lost(self, connection: int) -> None:
        raise AssertionError

    def send(
        self, method: str, cseq: int, body: bytes = b"", to_tag: str = "", content: str = "application/sdp"
    ) -> None:
        lines = [
            f"{method} sip:bob@{self._switch} SIP/2.0",
            f"Via: SIP/2.0/UDP 10.0.0.99:5060;branch=z9hG4bK{next(self._branches)}",
            "Max-Forwards: 70",
            "From: <sip:+14155550100@example.org>;tag=raw",
            f"To: <sip:bob@example.org>{';tag=' + to_tag if to_tag else ''}",
            "Call-ID: raw",
            f"CSeq: {cseq} {method}",
            "Contact: <sip:raw@10.0.0.99:5060>",
            *([f"Content-Type: {content}"] if body else []),
            f"Content-Length: {len(body)}",
            "",
            "",
        ]
        flow = Flow(Transport.UDP, Address("10.0.0.99", 5060), self._switch)
        self.host.send(flow, "\r\n".join(lines).encode() + body, "k")

    async def hears(self, status: int, cseq: int) -> Response:
        for _ in range(1000):
            for each in self.heard:
                if isinstance(each, Response) and (each.status, each.cseq.number) == (status, cseq):
                    return each
            await asyncio.sleep(0.01)
        raise AssertionError(f"no {status} to {cseq}: {self.heard}")


def test_delayed_offers_are_answered_in_the_ack() -> None:
    async def tell(world: World) -> None:
        peer = RawPeer(world)
        await peer.host.open(peer)
        peer.send("INVITE", 1)
        came = await world.bob.invited_leg()
        assert came.offer is None
        assert came.remote_number == "+14155550100"
        came.answer(OFFER)
        tag = (await peer.hears(200, 1)).to_tag or ""
        peer.send("ACK", 1, ANSWER, tag)
        assert await came.acknowledged == ANSWER
        offers: list[Reinvite] = []
        came.on_reinvite = offers.append
        peer.send("INVITE", 2, b"", tag)
        await asyncio.sleep(0.1)
        assert offers[0].offer is None
        offers[0].accept(OTHER_OFFER)
        assert (await peer.hears(200, 2)).body == OTHER_OFFER
        peer.send("ACK", 2, OTHER_ANSWER, tag)
        assert await offers[0].acknowledged == OTHER_ANSWER
        told: list[tuple[str, bytes]] = []
        came.on_info = lambda content, body: told.append((content, body))
        peer.send("INFO", 3, b"Signal=5\r\n", tag, "application/dtmf-relay")
        await peer.hears(200, 3)
        assert told == [("application/dtmf-relay", b"Signal=5\r\n")]
        peer.send("BYE", 4, b"", tag)
        assert (await came.ended).by is EndedBy.PEER

    story(tell)


def test_called_side_that_is_offered_nothing_offers_in_its_200_and_hears_the_answer() -> None:
    async def tell(world: World) -> None:
        out = world.amy.dial(world.bob, sdp=None)
        came = await world.bob.invited_leg()
        assert came.offer is None
        came.ring()
        came.answer(OFFER)
        assert await out.peer_offer == OFFER
        assert await out.outcome() == Answered(OFFER)
        out.acknowledge(ANSWER)
        assert await came.acknowledged == ANSWER
        out.hangup()

    story(tell)


def test_called_side_that_is_offered_nothing_may_offer_while_it_rings() -> None:
    async def tell(world: World) -> None:
        out = world.amy.dial(world.bob, sdp=None)
        came = await world.bob.invited_leg()
        came.ring(status=183, sdp=OFFER)
        assert await out.peer_offer == OFFER
        out.acknowledge(ANSWER)
        await asyncio.sleep(0.1)
        assert came.early_sdp == ANSWER
        came.answer(OFFER)
        assert await out.outcome() == Answered(OFFER)
        # The answer came in the PRACK; who waits for that of the ACK gets it all the same.
        assert await came.acknowledged == ANSWER
        came.hangup()

    story(tell)


def test_who_waits_for_an_offer_is_told_when_the_call_ends_without_one() -> None:
    async def tell(world: World) -> None:
        out = world.amy.dial(world.bob, sdp=None)
        (await world.bob.invited_leg()).reject(486)
        assert await out.peer_offer is None
        out.acknowledge(ANSWER)

    story(tell)


def test_early_media_reaches_the_caller_before_the_answer_and_is_what_the_call_begins_with() -> None:
    async def tell(world: World) -> None:
        out = world.amy.dial(world.bob)
        came = await world.bob.invited_leg()
        came.ring(status=183, sdp=ANSWER)
        await out.ringing.wait()
        assert out.early_sdp == ANSWER
        came.answer(ANSWER)
        assert await out.outcome() == Answered(ANSWER)
        out.hangup()

    story(tell, loss=0.2)


def test_sound_may_be_changed_before_the_answer_by_the_same_way_as_after_it() -> None:
    async def tell(world: World) -> None:
        out = world.amy.dial(world.bob)
        came = await world.bob.invited_leg()
        out.on_reinvite = lambda reinvite: reinvite.accept(OTHER_ANSWER)
        came.ring(status=183, sdp=ANSWER)
        await out.ringing.wait()
        assert await came.reinvite(OTHER_OFFER) == ReinviteOutcome(200, OTHER_ANSWER)
        assert came.state is LegState.RINGING
        came.answer(ANSWER)
        assert await out.outcome() == Answered(OTHER_OFFER)
        out.hangup()

    story(tell)


def test_while_draining_new_calls_go_elsewhere_and_calls_that_are_go_on() -> None:
    async def tell(world: World) -> None:
        out, came = await world.connect()
        world.bob.agent.drain()
        late = world.amy.dial(world.bob)
        outcome = await late.outcome()
        assert isinstance(outcome, Unreachable)
        assert outcome.status == 503
        assert any("503" in line for line in world.network.trace)
        assert len(world.bob.invited) == 1
        target = NameAddr(Uri.parse("sip:bob@10.0.0.2"))
        answer = await world.amy.agent.request(
            "OPTIONS", target.uri, world.amy.flow(world.bob), from_=target, to=target
        )
        assert answer is not None
        assert (answer.status, answer.headers.get("Retry-After") is not None) == (503, True)
        assert (out.state, came.state) == (LegState.UP, LegState.UP)
        out.hangup()

    story(tell)


def test_closing_hangs_up_and_is_confirmed() -> None:
    async def tell(world: World) -> None:
        out, came = await world.connect()
        ringing = world.bob.dial(world.amy)
        began = world.loop.time()
        await world.bob.agent.close()
        assert world.loop.time() - began < 1
        assert (await out.ended).by is EndedBy.PEER
        assert (await came.ended).by is EndedBy.LOCAL
        assert await ringing.outcome() == Cancelled()
        assert world.bob.endpoint.status().dialogs == 0
        await asyncio.sleep(AFTERLIFE)
        assert world.amy.endpoint.status() == EndpointStatus(0, 0, 0)

    async def main() -> None:
        world = World()
        await world.open()
        await tell(world)

    run(main())


def test_closing_waits_for_nobody_who_is_gone() -> None:
    async def main() -> None:
        world = World()
        await world.open()
        await world.connect()
        world.amy.host.vanish()
        asked = world.bob.agent.request(
            "OPTIONS",
            Uri.parse("sip:amy@10.0.0.1"),
            world.bob.flow(world.amy),
            from_=NameAddr(Uri.parse("sip:b@x")),
            to=NameAddr(Uri.parse("sip:a@x")),
        )
        began = world.loop.time()
        await world.bob.agent.close(within=1.0)
        assert world.loop.time() - began == pytest.approx(1.0)
        assert await asked is None
        await world.amy.agent.close(within=0.1)

    run(main())


def test_requests_outside_calls_are_answered() -> None:
    async def tell(world: World) -> None:
        target = NameAddr(Uri.parse("sip:bob@10.0.0.2"))
        flow = world.amy.flow(world.bob)

        def ask(method: str, to: Flow = flow) -> asyncio.Future[Response | None]:
            return world.amy.agent.request(
                method, target.uri, to, from_=target, to=target, headers=(("Expires", "7"),), body=b"x"
            )

        answer = await ask("OPTIONS")
        assert answer is not None
        assert answer.status == 200
        world.bob.on_request = lambda _: Reply(423, (("Min-Expires", "60"),))
        answer = await ask("REGISTER")
        assert answer is not None
        assert (answer.status, answer.headers.get("Min-Expires")) == (423, "60")
        assert world.bob.asked[0].request.headers.get("Expires") == "7"
        world.bob.on_request = lambda _: None
        later = ask("REGISTER")
        await asyncio.sleep(3)
        assert not later.done()
        world.bob.agent.respond(world.bob.asked[-1].transaction, 200, headers=(("Expires", "9"),))
        answer = await later
        assert answer is not None
        assert answer.headers.get("Expires") == "9"
        assert await ask("REGISTER", Flow(Transport.UDP, flow.local, Address("10.9.9.9", 5060))) is None
        forgotten = ask("OPTIONS")
        forgotten.cancel()

    story(tell)


def test_failing_handler_of_a_request_is_answered_500() -> None:
    async def tell(world: World) -> None:
        told: list[dict[str, Any]] = []
        world.loop.set_exception_handler(lambda _, context: told.append(context))

        def fail(_: RequestReceived) -> None:
            raise ValueError("mine")

        world.bob.on_request = fail
        who = NameAddr(Uri.parse("sip:bob@10.0.0.2"))
        answer = await world.amy.agent.request("REGISTER", who.uri, world.amy.flow(world.bob), from_=who, to=who)
        assert answer is not None
        assert answer.status == 500
        assert isinstance(told[0]["exception"], ValueError)

    story(tell)


def test_call_over_tcp_outlives_its_connection() -> None:
    async def tell(world: World) -> None:
        lost: list[int] = []
        world.bob.agent.on_connection_lost = lost.append
        out, came = await world.connect(Transport.TCP)
        assert came.flow.transport is Transport.TCP
        assert came.flow.connection > 0
        world.bob.host.drop_connections()
        await asyncio.sleep(1)
        assert lost == [came.flow.connection]
        assert (out.state, came.state) == (LegState.UP, LegState.UP)
        came.hangup()
        assert (await out.ended).by is EndedBy.PEER

    story(tell)


def test_trace_sees_what_goes_and_comes() -> None:
    async def tell(world: World) -> None:
        seen: list[tuple[bool, bytes]] = []
        world.amy.agent.trace = lambda sent, _, data: seen.append((sent, data.split(b" ")[0]))
        out, _ = await world.connect()
        out.hangup()
        await asyncio.sleep(1)
        assert seen[0] == (True, b"INVITE")
        assert (False, b"SIP/2.0") in seen
        assert (True, b"BYE") in seen

    story(tell)


def test_live_objects_print_a_line_for_the_operator() -> None:
    async def tell(world: World) -> None:
        out, came = await world.connect()
        assert repr(came) == f"<Leg {came.id[:8]} amy -> bob up UDP 10.0.0.1:5060>"
        assert repr(out) == f"<Leg {out.id[:8]} -> bob up UDP 10.0.0.2:5060>"
        assert came.ending is None
        out.hangup()
        assert out.ending == await out.ended
        assert "ended by local" in repr(out)
        assert "1 legs" in repr(world.bob.agent)

    story(tell)
