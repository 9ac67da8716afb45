"""An agent with a desk phone and a softphone: both ring, and the first that is picked up has the call."""

from __future__ import annotations

import pytest

from callcenter.model.facts import OfferEnded, ScreenPopSent
from callcenter.model.states import Device, OfferResult, Outcome
from callcenter.simulation.phone import Manner, Phone
from callcenter.simulation.world import AgentPhone, World, story, tell
from callcenter.sip.message import Request
from callcenter.sip.parser import parse


async def second_phone(world: World, agent: str) -> Phone:
    """One more phone of an agent's, registered beside the first."""
    phone = await world.phone(f"{agent}-soft")
    await phone.register(agent, f"secret of {agent}")
    await world.settled()
    return phone


async def asked_for(world: World) -> tuple[Phone, AgentPhone, Phone]:
    """Amy with two phones, and a caller who waits for her."""
    amy = await world.agent("amy", english=5)
    soft = await second_phone(world, "amy")
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    return caller, amy, soft


def requests(phone: Phone) -> list[Request]:
    """What the switch will ask of a phone from now on."""
    found: list[Request] = []

    def look(sent: bool, _flow: object, data: bytes) -> None:
        message = parse(data)
        if not sent and isinstance(message, Request):
            found.append(message)

    phone.user_agent.trace = look
    return found


def results(world: World) -> list[OfferResult]:
    return [fact.body.result for fact in world.facts if isinstance(fact.body, OfferEnded)]


@story()
async def test_both_phones_ring_and_the_other_is_told_that_the_call_went_elsewhere(world: World) -> None:
    caller, amy, soft = await asked_for(world)
    asked = requests(amy)
    await amy.rings()
    await soft.rings()
    await soft.answers()
    await caller.hears(soft)
    assert world.hear_each_other(caller, soft)
    await amy.stops_ringing()
    (cancel,) = (request for request in asked if request.method == "CANCEL")
    assert cancel.headers.get("Reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    assert sum(isinstance(fact.body, ScreenPopSent) for fact in world.facts) == 1
    assert world.plane.status().sessions == 2, "one sound for the caller, one for the agent"
    assert results(world) == [OfferResult.ACCEPTED]
    await caller.hangs_up()


@pytest.mark.parametrize("manner", [Manner.BUSY, Manner.IGNORES])
def test_a_phone_that_is_busy_or_dead_does_not_end_the_offer_while_the_other_rings(manner: Manner) -> None:
    async def told(world: World) -> None:
        amy = await world.agent("amy", english=5)
        soft = await second_phone(world, "amy")
        amy.manner = manner
        caller = await world.phone("+14155550100")
        await caller.dial("1000")
        await caller.press("1")
        await soft.rings()
        await world.sleep(8)
        assert results(world) == []
        await soft.answers()
        await caller.hears(soft)
        await caller.hangs_up()

    tell(told)


@story()
async def test_a_phone_that_was_unplugged_costs_the_caller_nothing(world: World) -> None:
    amy = await world.agent("amy", english=5)
    soft = await second_phone(world, "amy")
    world.unplug(amy)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await soft.rings(within=2)
    await world.sleep(6)
    await soft.answers()
    await caller.hears(soft)
    await caller.hangs_up()


@pytest.mark.parametrize(
    ("one", "other", "result"),
    [
        (Manner.BUSY, Manner.BUSY, OfferResult.BUSY),
        (Manner.DECLINES, Manner.RINGS, OfferResult.DECLINED),
        (Manner.RINGS, Manner.DECLINES, OfferResult.DECLINED),
        (Manner.BUSY, Manner.RINGS, OfferResult.NO_ANSWER),
    ],
)
def test_an_offer_fails_when_all_phones_did_or_the_agent_declined_on_one(
    one: Manner, other: Manner, result: OfferResult
) -> None:
    """A 603 is the agent's word, on whichever phone (RFC 3261 21.6): the other stops ringing."""

    async def told(world: World) -> None:
        amy = await world.agent("amy", english=5)
        soft = await second_phone(world, "amy")
        amy.manner, soft.manner = one, other
        caller = await world.phone("+14155550100")
        await caller.dial("1000")
        await caller.press("1")
        await world.sleep(25 if result is OfferResult.NO_ANSWER else 3)
        assert results(world)[:1] == [result]
        assert amy.is_free
        assert soft.is_free
        await caller.hangs_up()

    tell(told)


@story()
async def test_both_pick_up_in_the_same_moment_and_one_has_the_call(world: World) -> None:
    """The 200 of the other crosses our CANCEL: it is acknowledged, and ended by a BYE."""
    caller, amy, soft = await asked_for(world)
    asked = {phone.name: requests(phone) for phone in (amy, soft)}
    await amy.rings()
    await soft.rings()
    amy.picks_up()
    soft.picks_up()
    await world.settled()
    talking = [phone for phone in (amy, soft) if not phone.is_free]
    assert len(talking) == 1
    (loser,) = (phone for phone in (amy, soft) if phone.is_free)
    assert {"ACK", "BYE"} <= {request.method for request in asked[loser.name]}
    assert world.hear_each_other(caller, talking[0])
    assert results(world) == [OfferResult.ACCEPTED]
    await caller.hangs_up()


@story()
async def test_a_caller_who_hangs_up_silences_both(world: World) -> None:
    caller, amy, soft = await asked_for(world)
    await amy.rings()
    await soft.rings()
    await caller.hangs_up()
    await amy.stops_ringing()
    await soft.stops_ringing()
    assert results(world) == [OfferResult.CALLER_GONE]


@story()
async def test_a_talk_that_is_lost_on_one_phone_goes_on_on_the_other(world: World) -> None:
    """The caller waits again, on the old place, and the agent's other phone rings: she can still be reached."""
    caller, amy, soft = await asked_for(world)
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    world.unplug(amy)
    await caller.hears("music", within=80)
    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.device is Device.REGISTERED
    await soft.rings(within=40)
    await soft.answers()
    await caller.hears(soft)
    await caller.hangs_up()


@story()
async def test_a_phone_that_dies_while_it_holds_is_missed_although_the_other_is_there(world: World) -> None:
    caller, amy, _ = await asked_for(world)
    await amy.rings()
    call = caller.call
    assert call is not None
    await amy.answers()
    await caller.hears(amy)
    await amy.hold()
    await caller.hears("music")
    world.unplug(amy)
    await world.sleep(130)
    assert OfferResult.ACCEPTED in results(world)
    assert caller.call is not None
    assert len(results(world)) > 1 or world.house.acd.waiting("sales-english"), "the caller is still on hold"
    await caller.hangs_up()
    assert (await world.interaction(call)).outcome is not Outcome.LOST


@story()
async def test_a_colleague_is_rung_on_both_phones_too(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    soft = await second_phone(world, "bob")
    amy.starts_dialling("bob")
    await bob.rings()
    await soft.rings()
    await soft.answers()
    await amy.hears(soft)
    await amy.hangs_up()
