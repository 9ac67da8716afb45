"""A queue that rings all: every phone rings, who picks up first has the caller, and nobody is to blame."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import pytest

from callcenter.acd.events import Offer, Reconfigured
from callcenter.acd.settings import Strategy
from callcenter.calls import ringing
from callcenter.calls.dispatcher import OfferInHand, Waiting
from callcenter.model.facts import CallEnded, Fact, OfferEnded, OfferMade, ScreenPopSent
from callcenter.model.states import Intent, OfferResult, Outcome, Work
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import AgentPhone, World, story, tell

SALES = "sales-english"


async def floor_that_rings_all(world: World, *names: str) -> list[AgentPhone]:
    """Agents of a queue that rings all of them."""
    agents = [await world.agent(name, english=3) for name in names]
    queues = {**world.plan.queues, SALES: replace(world.plan.queues[SALES], strategy=Strategy.RING_ALL)}
    world.plan = replace(world.plan, queues=queues)
    world.house.dispatcher.tell(Reconfigured(world.plan))
    return agents


async def caller_for_sales(world: World) -> Phone:
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    return caller


def results(world: World) -> dict[str, OfferResult]:
    return {fact.body.agent: fact.body.result for fact in world.facts if isinstance(fact.body, OfferEnded)}


@story()
async def test_every_phone_rings_and_the_first_who_picks_up_has_the_caller(world: World) -> None:
    amy, bob, cas = await floor_that_rings_all(world, "amy", "bob", "cas")
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    for agent in (amy, bob, cas):
        await agent.rings()
        assert (await agent.screen_pop())["from"] == "+14155550100"
    await bob.answers()
    await amy.stops_ringing()
    await cas.stops_ringing()
    await caller.hears(bob)
    assert world.hear_each_other(caller, bob)
    for name in ("amy", "cas"):
        assert world.house.acd.available(name), f"{name} is free at once"
    assert results(world) == {
        "amy": OfferResult.LOST_RACE,
        "bob": OfferResult.ACCEPTED,
        "cas": OfferResult.LOST_RACE,
    }
    await world.sleep(30)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert (saved.outcome, saved.agent) == (Outcome.HANDLED, "bob")
    assert saved.talk == pytest.approx(30, abs=1)


@story()
async def test_one_who_declines_leaves_the_others_ringing(world: World) -> None:
    amy, bob = await floor_that_rings_all(world, "amy", "bob")
    caller = await caller_for_sales(world)
    await amy.rings()
    await bob.rings()
    await amy.declines()
    await world.sleep(2)
    assert not bob.is_free, "the other phone rings on"
    await bob.answers()
    await caller.hears(bob)
    assert results(world) == {"amy": OfferResult.DECLINED, "bob": OfferResult.ACCEPTED}
    await caller.hangs_up()


@story()
async def test_a_caller_who_hangs_up_stops_all_phones(world: World) -> None:
    amy, bob = await floor_that_rings_all(world, "amy", "bob")
    caller = await caller_for_sales(world)
    await amy.rings()
    await bob.rings()
    await caller.hangs_up()
    await amy.stops_ringing()
    await bob.stops_ringing()
    assert set(results(world).values()) == {OfferResult.CALLER_GONE}
    for name in ("amy", "bob"):
        assert world.house.acd.available(name)


@pytest.mark.long
@pytest.mark.parametrize("who", ["caller", "amy", "bob"])
def test_whoever_leaves_at_any_fact_leaves_nothing_behind(who: str) -> None:
    """The caller hangs up, or a phone is unplugged, as each fact of the call is told; its last is always its end."""
    number, told = 0, 1
    while number < told:
        world = tell(functools.partial(gone_at_fact, who, number))
        mine = [fact for fact in world.facts if fact.call_id is not None]
        ends = [fact for fact in mine if isinstance(fact.body, CallEnded)]
        assert len(ends) == 1, f"{who} gone at fact {number}"
        assert not [
            fact for fact in mine if fact.seq > ends[0].seq and isinstance(fact.body, ScreenPopSent | OfferMade)
        ]
        assert not world.house.books.open_calls
        told = max(told, len(mine))
        number += 1
    assert told > 20, "the call was not even connected"


async def gone_at_fact(who: str, number: int, world: World) -> None:
    amy, bob = await floor_that_rings_all(world, "amy", "bob")
    caller = await world.phone("+14155550100")
    phones: dict[str, Phone] = {"caller": caller, "amy": amy, "bob": bob}
    seen = 0

    def watch(fact: Fact) -> None:
        nonlocal seen
        if fact.call_id is not None:
            if seen == number:
                world.loop.call_soon(caller.drops if who == "caller" else functools.partial(world.unplug, phones[who]))
            seen += 1

    world.house.stream.subscribe(watch)
    call = caller.starts_dialling("1000")
    await world.sleep(0.2)
    if not call.leg.ended.done():
        await caller.press("1")
    await world.sleep(0.5)
    for agent in (amy, bob):
        if agent.call is not None and not agent.call.over and not agent.host.gone:
            agent.picks_up()
            break
    await world.sleep(1.0)
    caller.drops()
    # Long enough for the sound of an unplugged phone to be missed.
    await world.sleep(130)
    for agent in (amy, bob):
        agent.drops()


@story()
async def test_two_who_pick_up_in_the_same_moment_are_not_both_given_the_caller(world: World) -> None:
    amy, bob = await floor_that_rings_all(world, "amy", "bob")
    caller = await caller_for_sales(world)
    await amy.rings()
    await bob.rings()
    amy.picks_up()
    bob.picks_up()
    await world.sleep(2)
    talking = [name for name in ("amy", "bob") if world.house.acd.agent(name).work is Work.TALKING]  # type: ignore[union-attr]
    assert len(talking) == 1
    winner, loser = (amy, bob) if talking == ["amy"] else (bob, amy)
    assert world.hear_each_other(caller, winner)
    assert loser.is_free
    assert sorted(results(world).values()) == [OfferResult.ACCEPTED, OfferResult.LOST_RACE]
    await caller.hangs_up()


@story()
async def test_whom_nobody_takes_waits_on_and_is_offered_to_the_next_who_is_free(world: World) -> None:
    amy, bob = await floor_that_rings_all(world, "amy", "bob")
    caller = await caller_for_sales(world)
    await amy.rings()
    await bob.rings()
    await world.sleep(21)
    assert amy.is_free
    assert bob.is_free
    assert set(results(world).values()) == {OfferResult.NO_ANSWER}
    view = world.house.acd.agent("amy")
    assert view is not None
    assert (view.intent, view.reason) == (Intent.NOT_READY, "no_answer")
    cas = await world.agent("cas", english=3)
    await cas.rings()
    await cas.answers()
    await caller.hears(cas)
    await caller.hangs_up()


@story()
async def test_who_picks_up_as_the_caller_hangs_up_is_hung_up_on(world: World) -> None:
    """Nobody may be left with the phone at the ear, in a call that has ended."""
    amy, bob = await floor_that_rings_all(world, "amy", "bob")
    caller = await caller_for_sales(world)
    await amy.rings()
    await bob.rings()
    (call,) = world.house.supervisor.calls.values()
    pick_up = Waiting.picked_up

    def in_the_same_moment(waiting: Waiting, offer: Offer) -> None:
        call.caller.leg.hangup()
        ending = call.caller.leg.ending
        assert ending is not None
        call.caller.ended.set_result(ending)  # the loop has come round to it: the script is cancelled next
        pick_up(waiting, offer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Waiting, "picked_up", in_the_same_moment)
        bob.picks_up()
        await amy.stops_ringing()
        await world.sleep(2)
    assert caller.is_free
    assert bob.is_free
    assert not world.house.supervisor.calls


def test_a_mistake_of_ours_at_one_phone_does_not_hold_the_caller_for_ever() -> None:
    """The other phone rings on; when nobody picks up there, the caller has the next offer."""
    rung_again = []

    async def told(world: World) -> None:
        _, bob = await floor_that_rings_all(world, "amy", "bob")
        pick_up = ringing.pick_up

        async def fail(in_hand: OfferInHand, *given: Any) -> Any:
            if in_hand.offer.agent_id == "amy":
                raise RuntimeError("a mistake of ours")
            return await pick_up(in_hand, *given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ringing, "pick_up", fail)
            caller = await caller_for_sales(world)
            await bob.rings()
            await world.sleep(21)
        assert bob.is_free
        cas = await world.agent("cas", english=3)
        await cas.rings()
        await cas.answers()
        await caller.hears(cas)
        rung_again.append("cas")
        await caller.hangs_up()

    with pytest.raises(BaseException) as raised:
        tell(told)
    assert rung_again, raised.getrepr()
    assert "a mistake of ours" in str(raised.getrepr())
