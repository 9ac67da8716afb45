"""Agents call each other, a queue, and the outside, from their own phones."""

from __future__ import annotations

from callcenter.model.states import Direction, Outcome, Work
from callcenter.simulation.world import World, story


def working(world: World, agent: str) -> Work:
    """What an agent does."""
    view = world.house.acd.agent(agent)
    assert view is not None
    return view.work


# A colleague


@story()
async def test_an_agent_dials_a_colleague_by_name_and_nobody_else_is_offered_to_either(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")
    call = amy.starts_dialling("bob")
    rung = await bob.rings()
    await world.settled()
    assert (rung.caller, rung.caller_name) == ("amy", "Amy")
    assert (working(world, "amy"), working(world, "bob")) == (Work.OUTBOUND, Work.RINGING)
    pop = await bob.screen_pop()
    assert (pop["from"], pop["from_name"], pop["queue"]) == ("amy", "Amy", "")
    await caller.dial("1000")
    await caller.press("1")
    await bob.answers()
    await amy.hears(bob)
    assert world.hear_each_other(amy, bob)
    assert (working(world, "amy"), working(world, "bob")) == (Work.OUTBOUND, Work.TALKING)
    await world.sleep(10)
    await amy.hangs_up()
    await bob.rings()
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    record = await world.interaction(call)
    assert (record.direction, record.dialled_by, record.agent) == (Direction.INTERNAL, "amy", "bob")
    assert record.outcome is Outcome.HANDLED
    assert 9 < record.talk < 11
    assert record.wrap_up_ms == 0


@story()
async def test_the_phone_of_who_dials_is_told_that_it_rings_and_makes_its_own_tone(world: World) -> None:
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    call = amy.starts_dialling("bob")
    await bob.rings()
    await world.settled()
    assert call.leg.ringing.is_set()
    assert call.leg.early_sdp is None
    await amy.hangs_up()
    await bob.stops_ringing()
    assert (await world.interaction(call)).outcome is Outcome.NOT_REACHED
    assert working(world, "amy") is working(world, "bob") is Work.IDLE
