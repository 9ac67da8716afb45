"""Referrals and replacements between two user agents: who may refer whom, and whose word counts on who calls."""

from __future__ import annotations

import asyncio

from callcenter.signaling.doorkeeper import Doorkeeper
from callcenter.signaling.leg import Answered, EndedBy, Leg, LegState
from callcenter.signaling.referral import Referral
from callcenter.simulation.clock import SimClock, run
from callcenter.sip.digest import DigestServer
from callcenter.sip.diversion import Diverted
from callcenter.sip.endpoint import Refusal
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Request
from callcenter.sip.parser import parse
from tests.unit.signaling.test_leg import ANSWER, OFFER, World
from tests.unit.sip.test_endpoint import UDP, text

CAROL = NameAddr.parse("<tel:+14155550123>")


async def opened() -> World:
    world = World()
    await world.open()
    return world


def notified(leg: Leg) -> list[int]:
    heard: list[int] = []
    leg.on_notified = heard.append
    return heard


def test_peer_asks_to_be_put_through_and_hears_how_it_goes() -> None:
    async def story() -> None:
        world = await opened()
        out, came = await world.connect()
        asked: list[Referral] = []
        out.on_refer = asked.append
        heard = notified(came)
        came.refer(CAROL, [("Referred-By", "<sip:bob@example.org>")])
        await asyncio.sleep(1)
        (referral,) = asked
        assert (referral.target.number_or_user, referral.replaces, referral.referred_by) == (
            "+14155550123",
            None,
            "bob",
        )
        referral.accept()
        await asyncio.sleep(1)
        referral.progress(180)
        await asyncio.sleep(1)
        referral.progress(200)
        referral.progress(500)
        referral.reject(603)
        await asyncio.sleep(1)
        # 202 to the REFER, then the NOTIFYs.
        assert heard == [202, 100, 180, 200]
        out.hangup()
        await world.nothing_is_left()

    run(story())


def test_peer_whom_nobody_gave_leave_refers_us_nowhere() -> None:
    async def story() -> None:
        world = await opened()
        out, came = await world.connect()
        heard = notified(came)
        came.refer(CAROL)
        await asyncio.sleep(1)
        assert heard == [403]
        assert out.state is LegState.UP
        out.hangup()
        await world.nothing_is_left()

    run(story())


def test_refer_names_the_other_leg_that_the_peer_has_with_us() -> None:
    async def story() -> None:
        world = await opened()
        first, first_came = await world.connect()
        world.bob.invited.clear()
        second, second_came = await world.connect()
        asked: list[Referral] = []
        first.on_refer = asked.append
        request = second_came.request
        assert request is not None
        replaces = f"{request.call_id}%3Bto-tag%3D{request.from_tag}%3Bfrom-tag%3D{second_came.id}"
        first_came.refer(NameAddr.parse(f"<sip:amy@10.0.0.1?Replaces={replaces}>"))
        await asyncio.sleep(1)
        assert asked[0].replaces is second
        asked[0].accept()
        asked[0].progress(200)
        for leg in (first, second):
            leg.hangup()
        await world.nothing_is_left()

    run(story())


def test_call_that_wants_the_place_of_another_of_the_same_user_is_given_to_that_one() -> None:
    async def story() -> None:
        world = await opened()
        world.bob.endpoint.screen = lambda request, flow: "amy"
        out, came = await world.connect()
        request = came.request
        assert request is not None
        value = f"{request.call_id};to-tag={came.id};from-tag={request.from_tag}"
        world.bob.invited.clear()
        # Nobody has given leave.
        newcomer = world.amy.dial(world.bob, headers=[("Replaces", value)])
        assert (await newcomer.ended).status == 480
        given: list[Leg] = []
        came.on_replaced = given.append
        newcomer = world.amy.dial(world.bob, headers=[("Replaces", value)])
        await asyncio.sleep(1)
        assert not world.bob.invited, "it is no call of its own"
        given[0].answer(ANSWER)
        assert isinstance(await newcomer.outcome(), Answered)
        newcomer.hangup()
        unknown = world.amy.dial(world.bob, headers=[("Replaces", "c;to-tag=a;from-tag=b")])
        assert (await unknown.ended).status == 481
        out.hangup()
        await world.nothing_is_left()

    run(story())


def test_only_a_trusted_peer_says_who_calls() -> None:
    async def story() -> None:
        world = await opened()
        headers = [
            ("P-Asserted-Identity", "<tel:+14155550177>"),
            ("Diversion", "<tel:+14155550188>;reason=away"),
        ]
        for trusted, number in ((False, "amy"), (True, "+14155550177")):
            world.bob.agent.trusted = lambda *_, trusted=trusted: trusted
            world.bob.invited.clear()
            out = world.amy.dial(world.bob, headers=headers)
            came = await world.bob.invited_leg()
            assert (came.remote_number, came.withheld) == (number, False)
            assert came.diverted == (Diverted("+14155550188", "", "away"),)
            came.reject(486)
            await out.ended
        world.bob.invited.clear()
        out = world.amy.dial(world.bob, headers=[*headers, ("Privacy", "id")])
        came = await world.bob.invited_leg()
        assert (came.remote_number, came.remote_name, came.asserted_number) == ("anonymous", "", "+14155550177")
        came.answer(ANSWER)
        await came.acknowledged
        out.hangup()
        assert (await came.ended).by is EndedBy.PEER
        await world.nothing_is_left()

    run(story())


def test_number_is_read_from_every_way_to_dial_it() -> None:
    """RFC 3966, and RFC 3261 19.1.6 for the same in a sip URI."""

    async def story() -> None:
        world = await opened()
        here = NameAddr.parse("<tel:+1-415-555-0100>")
        for target in (
            "tel:+1-800-555-0100",
            "tel:+1(800)555.0100;ext=7",
            "sip:+18005550100@10.0.0.2;user=phone",
            "sip:+1-800-555-0100;phone-context=example.com@10.0.0.2;user=phone",
        ):
            world.bob.invited.clear()
            to = NameAddr.parse(f"<{target}>")
            flow = world.amy.flow(world.bob)
            out = world.amy.agent.dial(to.uri, flow, from_=here, to=to, sdp=OFFER)
            came = await world.bob.invited_leg()
            assert (came.dialled, came.remote_number) == ("+18005550100", "+14155550100"), target
            came.reject(486)
            await out.ended
        await world.nothing_is_left()

    run(story())


def test_who_wants_the_place_of_somebody_in_a_call_is_asked_whatever_they_dial() -> None:
    """RFC 3891 4."""

    async def story() -> None:
        clock = SimClock(asyncio.get_running_loop())
        keeper = Doorkeeper(DigestServer("callcenter", b"a key of the nonces"), lambda _: None, clock, lambda _: False)
        for headers, status in (((), None), (("Replaces: c;to-tag=a;from-tag=b",), 401)):
            request = parse(text("INVITE", *headers))
            assert isinstance(request, Request)
            answer = keeper.screen(request, UDP)
            assert (answer.status if isinstance(answer, Refusal) else None) == status

    run(story())
