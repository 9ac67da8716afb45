"""Agents hand callers over to somebody outside, where they may dial them, and callers whose number is special."""

from __future__ import annotations

from callcenter.calls.settings import DialRules
from callcenter.model.facts import CallTransferred, OutsideLegEnded
from callcenter.model.states import Outcome, TransferKind, TransferTo
from callcenter.simulation.phone import Phone
from callcenter.simulation.trunk import Manners
from callcenter.simulation.world import World, story
from tests.scenarios.carrier import nobody_outside, permit, somebody_outside
from tests.scenarios.test_transfer import asking, bodies, talking
from tests.scenarios.trunks import trunk

EXPERT = "+14155550199"


async def expert_outside(world: World) -> Phone:
    """Somebody whom amy may dial."""
    permit(world, amy=DialRules(outside=("+1415",)))
    return await somebody_outside(world, EXPERT)


@story()
async def test_caller_is_put_through_to_somebody_outside(world: World) -> None:
    expert = await expert_outside(world)
    call, caller, amy, _ = await talking(world)
    told = amy.transfers(f"tel:{EXPERT}")
    await expert.rings()
    await caller.hears("music")
    await world.settled()
    await expert.answers()
    await caller.hears(expert)
    assert world.hear_each_other(caller, expert)
    await amy.is_hung_up()
    assert told == [202, 100, 180, 200]
    await world.sleep(20)
    await expert.hangs_up()
    await caller.is_hung_up()
    saved = await world.interaction(call)
    (transfer,), (outside,) = saved.transfers, saved.outside
    assert (saved.outcome, transfer.to, transfer.target) == (Outcome.HANDLED, TransferTo.OUTSIDE, EXPERT)
    assert (outside.number, outside.trunk) == (EXPERT, "carrier")
    assert 19_000 < outside.talk_ms < 23_000
    assert bodies(world, OutsideLegEnded)


@story()
async def test_agent_asks_somebody_outside_first_and_then_puts_both_through(world: World) -> None:
    await attended(world, by_the_second_line=False)


@story()
async def test_agent_whose_phone_refers_by_the_call_to_the_outside_puts_both_through_too(world: World) -> None:
    await attended(world, by_the_second_line=True)


@story()
async def test_agent_who_does_not_wait_for_somebody_outside_to_answer_leaves_the_caller_to_it(world: World) -> None:
    expert = await expert_outside(world)
    call, caller, amy, _ = await talking(world)
    await amy.hold()
    question, named = await asking(world, amy, EXPERT, expert)
    told = amy.transfers(EXPERT, named)
    await caller.hears("music")
    await question
    await expert.stops_ringing()
    await expert.rings()
    await expert.answers()
    await caller.hears(expert)
    await amy.is_hung_up()
    assert 200 in told
    await caller.hangs_up()
    await expert.is_hung_up()
    saved = await world.interaction(call)
    (transfer,), (outside,) = saved.transfers, saved.outside
    assert (transfer.kind, transfer.target, outside.number) == (TransferKind.BLIND, EXPERT, EXPERT)


async def attended(world: World, *, by_the_second_line: bool) -> None:
    """Amy asks somebody outside while the caller holds, and leaves the two to each other."""
    expert = await expert_outside(world)
    call, caller, amy, _ = await talking(world)
    await amy.hold()
    world.loop.call_later(1.0, expert.picks_up)
    await amy.dial_beside(EXPERT)
    await world.sleep(3)
    amy.joins_both(by_the_second_line=by_the_second_line)
    await caller.hears(expert)
    assert world.hear_each_other(caller, expert)
    await amy.is_hung_up()
    await world.settled()
    assert amy.beside is None
    await expert.hold()
    await caller.hears("music")
    await expert.resume()
    await caller.hears(expert)
    await caller.hangs_up()
    await expert.is_hung_up()
    saved = await world.interaction(call)
    (transfer,), (outside,) = saved.transfers, saved.outside
    assert (transfer.kind, transfer.to, outside.number) == (TransferKind.ATTENDED, TransferTo.OUTSIDE, EXPERT)


@story()
async def test_caller_goes_back_to_the_agent_when_nobody_outside_takes_them(world: World) -> None:
    expert = await expert_outside(world)
    call, caller, amy, _ = await talking(world)
    told = amy.transfers(f"sip:{EXPERT}@anywhere.example.com")
    await expert.rings()
    await world.settled()
    await expert.declines(486)
    await caller.hears(amy)
    assert told == [202, 100, 180, 486]
    amy.transfers(f"sip:{EXPERT}@anywhere.example.com")
    await expert.rings()
    await caller.hangs_up()
    await expert.stops_ringing()
    await amy.is_hung_up()
    assert (await world.interaction(call)).transfers[0].failed == "busy"


@story()
async def test_caller_hears_music_again_when_the_carrier_that_was_heard_fails_and_the_next_rings(world: World) -> None:
    first, second = await world.carrier("first"), await world.carrier("second")
    first.manners, second.manners = Manners(early=True, rings=None), Manners(rings=3.0)
    world.trunks(trunk(first), trunk(second))
    permit(world, amy=DialRules(outside=("+1415",)))
    _, caller, amy, _ = await talking(world)
    told = amy.transfers(f"tel:{EXPERT}")
    await caller.hears("first")
    first.calls[0].leg.reject(503)
    await caller.hears("music")
    await caller.hears("second")
    await amy.is_hung_up()
    assert told == [202, 100, 180, 200]
    await caller.hangs_up()


@story()
async def test_agent_sends_nobody_to_a_number_that_may_not_be_dialled(world: World) -> None:
    """Whichever way it is written."""
    carrier = await nobody_outside(world)
    permit(world, amy=DialRules(outside=("+1415",)))
    _, caller, amy, _ = await talking(world)
    for target in ("tel:+1-900-555-0100", "sip:0019005550100@h;user=phone", "tel:9005550100", "tel:+1415"):
        told = amy.transfers(target)
        await world.settled()
        assert told[0] in (403, 404), target
    assert not bodies(world, CallTransferred)
    assert not carrier.seen.invites
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()


@story()
async def test_caller_who_withholds_the_number_is_looked_for_and_shown_by_nobody(world: World) -> None:
    """Also where a trusted network says who it is (RFC 3325)."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100", "Jo")
    world.house.user_agent.trusted = lambda *_: True
    headers = (("P-Asserted-Identity", "<tel:+14155550177>"), ("Privacy", "id"))
    call = caller.starts_dialling("1000", headers=headers)
    await caller.hears("greeting")
    await caller.press("1")
    rung = await amy.rings()
    assert (rung.caller, (await amy.screen_pop())["from"]) == ("anonymous", "anonymous")
    await amy.answers()
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert (saved.from_number, saved.from_name) == ("anonymous", "")
    assert not any("5550177" in repr(fact.body) for fact in world.facts)


@story()
async def test_agent_is_told_who_sent_the_call_on_and_why(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    headers = (("Diversion", '"Shop" <tel:+14155550188>;reason=no-answer'),)
    call = caller.starts_dialling("1000", headers=headers)
    await caller.hears("greeting")
    await caller.press("1")
    await amy.rings()
    assert (await amy.screen_pop())["diverted"] == {"from": "+14155550188", "name": "Shop", "why": "no-answer"}
    await amy.answers()
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert (saved.diverted_number, saved.diverted_why) == ("+14155550188", "no-answer")
