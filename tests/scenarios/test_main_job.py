"""A caller dials in and talks to the right agent: whole calls on the real switch, in virtual time."""

from __future__ import annotations

import pytest

from callcenter.model.states import Device, EndCause, Intent, OfferResult, Outcome, Side, VisitOutcome, Work
from callcenter.simulation.world import World, story
from callcenter.sip.flow import Transport


@story()
async def test_a_caller_hears_the_greeting_presses_a_key_and_talks_to_the_agent(world: World) -> None:
    """The good call, from the first ring to the saved record and the agent's wrap-up."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100", "Jo Doe")

    call = await caller.dial("1000")
    await caller.hears("greeting.en")
    await caller.hears("menu.en", after=3)
    await caller.press("1")
    ringing = await amy.rings()
    assert (ringing.caller, ringing.caller_name) == ("+14155550100", "The Tech Giant")
    await caller.hears("music")
    await amy.answers()
    await caller.hears(amy)
    assert world.hear_each_other(caller, amy)
    await world.sleep(180)
    await caller.hangs_up()
    await amy.is_hung_up()

    saved = await world.interaction(call)
    assert saved.outcome is Outcome.HANDLED
    assert (saved.client, saved.queue, saved.agent, saved.intent) == ("tech", "sales-english", "amy", "sales")
    assert saved.offers == (("amy", OfferResult.ACCEPTED),)
    assert saved.ending is not None
    assert (saved.ending.by, saved.ending.cause) == (Side.CALLER, EndCause.HANGUP)
    assert saved.talk == pytest.approx(180, abs=1)
    assert saved.digits == ("1",)

    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.work is Work.WRAP_UP
    await world.sleep(31)
    assert world.house.acd.available("amy")
    assert (await world.interaction(call)).wrap_up_ms == pytest.approx(30_000, abs=50)


@story(transport=Transport.TCP)
async def test_the_same_call_over_tcp(world: World) -> None:
    """A phone on TCP is served like one on UDP."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await amy.hangs_up()
    await caller.is_hung_up()
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert saved.ending.by is Side.AGENT


@story()
async def test_the_screen_pop_is_there_before_the_phone_rings(world: World) -> None:
    """Who calls, for which company, what they want, and why this agent."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100", "Jo Doe")
    await caller.dial("1000")
    await caller.press("2")
    bea = await world.agent("bea", spanish=4)
    await bea.rings()
    pop = await bea.screen_pop()

    assert pop["from"] == "+14155550100"
    assert pop["from_name"] == "Jo Doe"
    assert pop["to"] == "+18005550100"
    assert pop["client"] == {
        "id": "tech",
        "name": "The Tech Giant",
        "greeting": "Gracias por llamar, habla Bea.",
    }
    assert (pop["queue"], pop["intent"], pop["ivr"]["language"]) == ("sales-spanish", "sales", "es")
    assert pop["ivr"] == {"language": "es", "menu": ["sales"], "entered": {"main": "2"}}
    assert pop["position_was"] == 1
    assert pop["skills"] == {"spanish": 2}
    assert (pop["schema"], pop["seq"]) == ("pop.v1", 1)
    assert pop["why"]
    assert amy.is_free
    sent = [fact for fact in world.facts if fact.kind == "ScreenPopSent"]
    rang = [fact for fact in world.facts if fact.kind == "AgentRang"]
    assert sent[0].seq < rang[0].seq
    await caller.hangs_up()


@story()
async def test_unanswered_offer_moves_on_and_the_call_is_saved(world: World) -> None:
    """Amy lets it ring, Bob takes it, the record tells both."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")

    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await bob.rings(after=20)
    assert amy.is_free
    await bob.answers()
    await caller.hears(bob)
    assert world.hear_each_other(caller, bob)
    await world.sleep(180)
    await caller.hangs_up()

    saved = await world.interaction(call)
    assert saved.outcome is Outcome.HANDLED
    assert saved.ending is not None
    assert saved.ending.by is Side.CALLER
    assert saved.offers == (("amy", OfferResult.NO_ANSWER), ("bob", OfferResult.ACCEPTED))
    assert saved.talk == pytest.approx(180, abs=1)
    view = world.house.acd.agent("amy")
    assert view is not None
    assert (view.intent, view.reason) == (Intent.NOT_READY, "no_answer")


@story()
async def test_nobody_free_then_somebody_and_the_caller_keeps_the_place(world: World) -> None:
    """Two callers wait to music; the first in line is served first."""
    first = await world.phone("+14155550101")
    second = await world.phone("+14155550102")
    await first.dial("1000")
    await first.press("1")
    await first.hears("music")
    await second.dial("1000")
    await second.press("1")
    await second.hears("music")
    await world.sleep(60)
    amy = await world.agent("amy", english=4)
    assert (await amy.rings()).caller == "+14155550101"
    await amy.answers()
    await world.sleep(10)
    await first.hangs_up()
    # The wrap-up goes first, then the next in line.
    assert (await amy.rings(after=30)).caller == "+14155550102"
    await amy.answers()
    await second.hears(amy)
    await amy.hangs_up()
    await second.is_hung_up()


@story()
async def test_a_caller_who_waits_too_long_is_told_and_let_go(world: World) -> None:
    """After the longest wait the flow that the queue names goes on."""
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await caller.hears("music")
    await caller.hears("nobody", after=300)
    await caller.is_hung_up()
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.UNSERVED
    assert (saved.visits[0].outcome, saved.visits[0].reason) == (VisitOutcome.FLOWED_OUT, "timeout")
    assert saved.wait == pytest.approx(300, abs=0.5)
    assert saved.ending is not None
    assert saved.ending.by is Side.SYSTEM


@story()
async def test_the_agent_holds_and_resumes(world: World) -> None:
    """The caller hears music while held, then the agent again; the agent's state and the record follow."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(10)
    await amy.hold()
    await caller.hears("music")
    await world.settled()
    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.work is Work.HELD
    await world.sleep(20)
    await amy.resume()
    await caller.hears(amy)
    assert world.hear_each_other(caller, amy)
    await world.sleep(5)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.hold == pytest.approx(20, abs=1)
    assert saved.talk == pytest.approx(15, abs=1)


@story()
async def test_the_caller_holds_and_the_agent_hears_music(world: World) -> None:
    """Either side may hold."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await caller.hold()
    await amy.hears("music")
    await caller.resume()
    await amy.hears(caller)
    await amy.hangs_up()
    await caller.is_hung_up()


@story()
async def test_caller_who_hangs_up_while_it_rings_frees_the_agent(world: World) -> None:
    """The agent's phone stops, without a penalty, and the next caller gets through."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await world.sleep(7)
    await caller.hangs_up()
    await amy.stops_ringing()
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.ABANDONED
    assert saved.offers == (("amy", OfferResult.CALLER_GONE),)
    assert world.house.acd.available("amy")
    other = await world.phone("+14155550102")
    await other.dial("1000")
    await other.press("1")
    await amy.rings()
    await other.hangs_up()


@story()
async def test_a_200_that_crosses_our_cancel_leaves_nobody_in_a_call(world: World) -> None:
    """The agent picks up in the very moment in which the caller hangs up."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await world.sleep(6)
    caller.drops()
    # The BYE is on its way to the switch, the CANCEL not yet on its way to Amy.
    await world.sleep(0.0005)
    amy.picks_up()
    await amy.is_hung_up(within=35)
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.ABANDONED
    assert world.house.acd.available("amy")


@story()
async def test_the_agents_phone_is_gone_while_it_should_ring(world: World) -> None:
    """A phone that was unplugged does not hold the caller up for ever; the next agent takes the call."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    world.unplug(amy)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await bob.rings(after=4)
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.offers == (("amy", OfferResult.UNREACHABLE), ("bob", OfferResult.ACCEPTED))


@story()
async def test_the_agents_phone_is_gone_in_the_talk_and_the_caller_gets_another_agent(world: World) -> None:
    """No sound from the agent any more: the caller goes back to the old place in line instead of being dropped."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(30)
    world.unplug(amy)
    bob = await world.agent("bob", english=3)
    await bob.rings(after=60, within=5)
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert [leg.agent for leg in saved.legs] == ["amy", "bob"]
    assert saved.legs[0].ended_by is Side.SYSTEM
    await world.sleep(100)
    view = world.house.acd.agent("amy")
    assert view is not None
    assert (view.work, view.device) == (Work.IDLE, Device.UNREACHABLE)
    assert not world.house.acd.available("amy")

    world.hosts["amy"].come_back()
    await amy.hangs_up()
    await amy.register("amy", "secret of amy")
    await world.settled()
    assert world.house.acd.available("amy"), "a phone that refreshes its registration is there again"


@story()
async def test_a_phone_that_unregisters_takes_its_agent_off_the_floor(world: World) -> None:
    """And a new registration brings the agent back."""
    amy = await world.agent("amy", english=5)
    await amy.unregister()
    await world.settled()
    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.device is Device.UNREACHABLE
    assert not world.house.acd.available("amy")
    await amy.register("amy", "secret of amy")
    await world.settled()
    assert world.house.acd.available("amy")


@story()
async def test_a_busy_or_declining_agent_is_passed_over(world: World) -> None:
    """Each by its own cause in the record."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=4)
    cat = await world.agent("cat", english=3)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await amy.declines(603)
    await bob.rings()
    await bob.declines(486)
    await cat.rings()
    await cat.answers()
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.offers == (
        ("amy", OfferResult.DECLINED),
        ("bob", OfferResult.BUSY),
        ("cat", OfferResult.ACCEPTED),
    )


@story()
async def test_a_menu_asks_again_and_then_says_goodbye(world: World) -> None:
    """Wrong keys and silence are each answered in words."""
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.hears("menu", after=3)
    await caller.press("9")
    await caller.hears("invalid")
    await caller.hears("menu", after=1)
    await caller.hears("no_input", after=9)
    await caller.hears("goodbye", after=11, within=8)
    await caller.is_hung_up()
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.SELF_SERVED
    assert saved.digits == ("9",)


@story()
async def test_a_key_pressed_during_the_greeting_counts_for_the_menu(world: World) -> None:
    """Type-ahead: who knows the menu need not listen to it."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.hears("greeting")
    await caller.press("1")
    await amy.rings(within=0.5)
    await caller.hangs_up()


@story()
async def test_an_unknown_number_is_not_found(world: World) -> None:
    """404, and no call in the books."""
    caller = await world.phone("+14155550100")
    caller.starts_dialling("9999")
    assert await caller.is_refused() == 404
    assert not any(fact.kind == "CallArrived" for fact in world.facts)


@story(max_calls=1)
async def test_one_call_too_many_is_told_to_come_back(world: World) -> None:
    """503 with Retry-After, and the call that is up goes on."""
    first = await world.phone("+14155550101")
    second = await world.phone("+14155550102")
    await first.dial("1000")
    second.starts_dialling("1000")
    assert await second.is_refused() == 503
    await first.hears("greeting")
    await first.hangs_up()


@story(max_sessions=2)
async def test_no_free_port_is_told_to_come_back_and_is_in_the_books(world: World) -> None:
    """A call refused for want of media is a refused call, not a lost one."""
    first = await world.phone("+14155550101")
    second = await world.phone("+14155550102")
    await first.dial("1000")
    call = second.starts_dialling("1000")
    assert await second.is_refused() == 503
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.REFUSED
    await first.hangs_up()


@story(broker_dead=True)
async def test_a_dead_broker_delays_nobody(world: World) -> None:
    """The phone rings without the pop, and the record says that it was not acknowledged."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings(within=0.5)
    await amy.answers()
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.told[0].pop_acknowledged is False


@story()
async def test_a_slow_broker_holds_the_phone_up_no_longer_than_allowed(world: World) -> None:
    """150 ms, then the phone rings anyway."""
    amy = await world.agent("amy", english=5)
    world.publisher.delay = 5.0
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings(within=0.5)
    sent = next(fact.body for fact in world.facts if fact.kind == "ScreenPopSent")
    assert (sent.acknowledged, sent.took_ms) == (False, 150)  # type: ignore[union-attr]
    await caller.hangs_up()
    await world.interaction(call)


@story()
async def test_a_dead_media_worker_ends_its_calls_with_a_reason(world: World) -> None:
    """Both sides are hung up on, the record says why."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    world.plane.kill_worker()
    await caller.is_hung_up()
    await amy.is_hung_up()
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert saved.ending.cause is EndCause.MEDIA_FAILED


@story()
async def test_a_caller_gone_silent_is_released(world: World) -> None:
    """A caller whose phone died without a BYE does not wait in line for ever."""
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await caller.hears("music")
    world.unplug(caller)
    await world.sleep(70)
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert saved.ending.cause is EndCause.MEDIA_TIMEOUT


@story()
async def test_a_database_that_is_away_stops_new_offers_and_nothing_else(world: World) -> None:
    """The talk goes on, the waiting caller keeps the music and the place, and both are in the books afterwards."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=4)
    first = await world.phone("+14155550101")
    second = await world.phone("+14155550102")
    talking = await world.connect(first, amy)

    world.database.away = "the disk is full"
    waiting = await second.dial("1000")
    await second.press("1")
    await second.hears("music")
    await bob.rings_not(during=20)
    assert world.hear_each_other(first, amy)
    await first.hangs_up()
    await amy.is_hung_up()

    world.database.away = ""
    await bob.rings(within=6)
    await bob.answers()
    await second.hears(bob)
    await second.hangs_up()
    assert (await world.interaction(talking)).outcome is Outcome.HANDLED
    assert (await world.interaction(waiting)).outcome is Outcome.HANDLED


@story(barge_in=False)
async def test_a_prompt_that_must_be_heard_is_heard_and_the_key_counts_afterwards(world: World) -> None:
    """No barge-in: the greeting and the menu are played to their end, then the key pressed ahead is taken."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.hears("greeting")
    await caller.press("1")
    await caller.hears("menu", after=3)
    await amy.rings(after=4)
    await caller.hangs_up()
