"""Who is heard and who is not: told to the operator in words, while the call is still up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from callcenter.calls.settings import Flow, ToQueue
from callcenter.model.facts import AgentMediaStarted, CallerMediaStarted, MediaMissing
from callcenter.model.states import EndCause, Side
from callcenter.simulation.world import World, story

CALLER = "+14155550100"


def told(world: World, kind: type[Any]) -> list[Any]:
    """The facts of one kind."""
    return [fact.body for fact in world.facts if isinstance(fact.body, kind)]


@story()
async def test_both_sides_of_a_good_call_are_told_to_be_heard_and_nobody_is_missed(world: World) -> None:
    """Each with the address that its sound comes from."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone(CALLER)
    await world.connect(caller, amy)
    await world.sleep(30)
    (caller_heard,) = told(world, CallerMediaStarted)
    (amy_heard,) = told(world, AgentMediaStarted)
    assert caller_heard.source.startswith(world.hosts[CALLER].address + ":")
    assert amy_heard.source.startswith(world.hosts["amy"].address + ":")
    assert amy_heard.agent == "amy"
    assert not told(world, MediaMissing)
    await caller.hangs_up()


@story()
async def test_a_caller_who_is_not_heard_is_told_of_and_lost_in_the_end(world: World) -> None:
    """Five seconds after the answer, with the addresses of both sides; after a minute of silence the call ends."""
    straight_to_the_queue(world)
    caller = await world.phone(CALLER)
    world.mute_phones.add(CALLER)
    call = await caller.dial("1000")
    await world.sleep(4.5)
    assert not told(world, MediaMissing)
    await world.sleep(1)
    (missing,) = told(world, MediaMissing)
    assert (missing.side, missing.offer, missing.agent) == (Side.CALLER, "", "")
    assert missing.detail.startswith("nothing is heard from the caller: no sound came in 5 s at 10.0.0.1:")
    assert f"the phone said it sends from {world.hosts[CALLER].address}:" in missing.detail
    assert missing.detail.endswith("a firewall or NAT between, or a phone that sends nothing?")
    await caller.is_hung_up(within=60)
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert saved.ending.cause is EndCause.MEDIA_TIMEOUT
    assert saved.ending.detail == "no sound came from the caller at all, for 60 s"
    assert len(told(world, MediaMissing)) == 1
    assert not told(world, CallerMediaStarted)


@story()
async def test_a_caller_who_falls_silent_is_lost_with_the_address_they_were_heard_from(world: World) -> None:
    """The cable of the caller's phone was pulled."""
    caller = await world.phone(CALLER)
    straight_to_the_queue(world)
    call = await caller.dial("1000")
    await world.sleep(10)
    assert call.sound is not None
    source = told(world, CallerMediaStarted)[0].source
    world.unplug(caller)
    await world.sleep(65)
    saved = await world.interaction(call)
    assert saved.ending is not None
    assert saved.ending.cause is EndCause.MEDIA_TIMEOUT
    assert saved.ending.detail == f"no sound came from the caller any more, for 60 s; it had come from {source}"


@story()
async def test_a_talk_in_which_only_the_agent_is_heard_is_told_to_be_one_way(world: World) -> None:
    """The caller was missed already; with the agent's first sound it is known which way."""
    straight_to_the_queue(world)
    caller = await world.phone(CALLER)
    world.mute_phones.add(CALLER)
    await caller.dial("1000")
    await world.sleep(6)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    await world.sleep(6)
    first, second = told(world, MediaMissing)
    assert first.offer == ""
    assert (second.side, second.agent) == (Side.CALLER, "amy")
    assert second.detail.startswith("one-way: the agent sends, the caller does not; nothing is heard from the caller")
    await caller.hangs_up()


@story()
async def test_an_agent_who_is_not_heard_is_told_of_with_the_way_that_works(world: World) -> None:
    """The first question of support is which way it is."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone(CALLER)
    world.mute_phones.add("amy")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await amy.answers()
    await amy.hears(caller)
    await world.sleep(6)
    (missing,) = told(world, MediaMissing)
    assert (missing.side, missing.agent) == (Side.AGENT, "amy")
    assert missing.offer
    assert missing.detail.startswith("one-way: the caller sends, the agent does not; nothing is heard from the agent")
    assert not told(world, AgentMediaStarted)
    await caller.hangs_up()


@story()
async def test_nobody_is_missed_while_they_hold(world: World) -> None:
    """A phone that holds need not send."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone(CALLER)
    world.mute_phones.add("amy")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await amy.answers()
    await world.sleep(1)
    await amy.hold()
    await world.sleep(20)
    assert not told(world, MediaMissing)
    await amy.resume()
    await world.sleep(6)
    assert [missing.side for missing in told(world, MediaMissing)] == [Side.AGENT]
    await caller.hangs_up()


def straight_to_the_queue(world: World) -> None:
    """No greeting and no menu: a key would be a sign of life too."""
    services = world.house.services
    flow = Flow("main", (ToQueue("sales-english"),))
    services.settings = replace(services.settings, flows={**services.settings.flows, "main": flow})
