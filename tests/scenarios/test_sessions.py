"""Phones that agree on the sound in unusual ways, calls that last, and phones that vanish: in virtual time."""

from __future__ import annotations

from callcenter.model.facts import CallEnded, CallHeld, CallResumed
from callcenter.model.states import EndCause, Outcome, Side
from callcenter.signaling.leg import EndedBy
from callcenter.simulation.world import World, story
from callcenter.sip.session_timer import SessionTimer

HOURS = 3600.0


@story()
async def test_a_trunk_that_makes_no_offer_reaches_an_agent_and_both_hear_each_other(world: World) -> None:
    """Its INVITE is empty: the switch offers in its 200, and the answer comes in the ACK (RFC 3261 13.2.1)."""
    amy = await world.agent("amy", english=5)
    trunk = await world.phone("+14155550100")
    call = await trunk.dial("1000", offers=False)
    await trunk.hears("greeting.en")
    await trunk.press("1")
    await amy.rings()
    await amy.answers()
    await trunk.hears(amy)
    assert world.hear_each_other(trunk, amy)
    await world.sleep(10)
    await trunk.hold()
    await amy.hears("music")
    await trunk.resume()
    await amy.hears(trunk)
    await trunk.hangs_up()
    await amy.is_hung_up()
    assert (await world.interaction(call)).outcome is Outcome.HANDLED


@story()
async def test_an_agent_whose_phone_plays_its_own_ringing_is_heard_when_it_answers(world: World) -> None:
    """It describes its sound in a 183 that we acknowledge, and says nothing of it in the 200 (RFC 3262)."""
    amy = await world.agent("amy", english=5)
    amy.early_media = True
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await caller.hears("music")
    await amy.answers()
    await caller.hears(amy)
    assert world.hear_each_other(caller, amy)
    await amy.hangs_up()
    await caller.is_hung_up()


@story()
async def test_an_agent_whose_phone_moves_its_sound_while_it_rings_is_heard_where_it_moved_to(world: World) -> None:
    """An UPDATE before the answer (RFC 3311)."""
    amy = await world.agent("amy", english=5)
    amy.early_media = True
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    ringing = await amy.rings()
    outcome = await ringing.leg.reinvite(ringing.sound.resume())
    assert outcome.accepted
    assert outcome.sdp is not None
    ringing.sound.take_answer(outcome.sdp)
    await amy.answers()
    await caller.hears(amy)
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    await amy.is_hung_up()


@story()
async def test_a_long_talk_is_refreshed_and_nobody_notices(world: World) -> None:
    """Three hours, half of them on hold: no sound is interrupted, no hold ends, no screen changes."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await world.sleep(1.5 * HOURS)
    assert world.hear_each_other(caller, amy)
    pops = len(world.pops_of("amy"))
    await amy.hold()
    await caller.hears("music")
    await world.sleep(1.5 * HOURS)
    assert any("music" in clip for clip in caller.heard_now())
    await amy.resume()
    await caller.hears(amy)
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    await amy.is_hung_up()
    assert len(world.pops_of("amy")) == pops
    holds = [fact.body for fact in world.facts if isinstance(fact.body, CallHeld | CallResumed)]
    assert len(holds) == 2
    assert (await world.interaction(call)).outcome is Outcome.HANDLED


@story(session_timer=SessionTimer(expires=90, least=90), silence_timeout=10 * HOURS)
async def test_a_caller_whose_phone_vanishes_in_the_queue_is_let_go_by_the_session_timer(world: World) -> None:
    """No sound is missed here, so that nothing else would tell."""
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await caller.hears("music")
    world.unplug(caller)
    await world.sleep(120)
    (ended,) = [fact.body for fact in world.facts if isinstance(fact.body, CallEnded)]
    assert (ended.by, ended.cause, ended.sip_status) == (Side.SYSTEM, EndCause.NETWORK, 408)
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert saved.ending.detail == "Session timer expired"


@story(session_timer=SessionTimer(expires=90, least=90), silence_timeout=10 * HOURS)
async def test_an_agent_whose_phone_vanishes_in_a_talk_leaves_the_caller_served(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    world.unplug(amy)
    await bob.rings(after=60, within=60)
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    assert (await bob.is_hung_up()).by is EndedBy.PEER


@story(session_timer=None)
async def test_without_session_timers_a_long_talk_is_left_alone(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    await world.sleep(3 * HOURS)
    assert world.hear_each_other(caller, amy)
    assert not [line for line in world.network.trace if "UPDATE" in line]
    await caller.hangs_up()
    await amy.is_hung_up()
