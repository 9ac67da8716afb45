"""The switch is taken out of service while people talk, wait and dial."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from callcenter.control.systemd import Notifier
from callcenter.model.facts import CallEnded, DrainBegan, DrainEnded
from callcenter.model.states import DrainOutcome, EndCause, Outcome, Side
from callcenter.operate.life import Life, Phase
from callcenter.operate.status import health, status
from callcenter.publish import topics
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, story
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Response
from callcenter.sip.uri import Uri
from tests.scenarios.trunks import trunk


def life_of(world: World, limit: float = 600.0) -> Life:
    """The life of this floor's switch, which gives its calls so long."""
    house = world.house
    house.settings = replace(house.settings, switch=replace(house.settings.switch, drain_limit=limit))
    life = Life(Notifier())
    life.begin(house)
    return life


def drains(world: World) -> list[DrainBegan | DrainEnded]:
    """What the facts tell of drains."""
    return [fact.body for fact in world.facts if isinstance(fact.body, DrainBegan | DrainEnded)]


def is_over(life: Life) -> bool:
    """Whether the end was asked for."""
    return life.phase is Phase.ENDING


async def options(phone: Phone) -> Response:
    """What the switch says when it is asked how it is."""
    here = NameAddr(Uri(user="probe", host="10.0.0.9"))
    target = Uri(host="10.0.0.1")
    answer = await phone.user_agent.request("OPTIONS", target, phone._flow(), from_=here, to=NameAddr(target))
    assert answer is not None
    return answer


@story()
async def test_while_it_drains_new_calls_hear_when_to_try_again_and_talks_go_on(world: World) -> None:
    life = life_of(world)
    amy = await world.agent("amy", english=5)
    caller, late = await world.phone("+14155550100"), await world.phone("+14155550101")
    talking = await world.connect(caller, amy)
    assert (await options(late)).status == 200

    life.begin_drain("olga", 600.0)
    await world.settled()
    assert world.publisher.retained[topics.STATUS] == "draining"
    asked = await options(late)
    assert asked.status == 503
    assert asked.headers.get("Retry-After") is not None
    refused = late.starts_dialling("1000")
    assert await late.is_refused(503) == 503
    assert refused.over
    now = health(world.house, life)
    assert (now["live"], now["ready"], now["draining"], now["why"], now["calls"]) == (
        True,
        False,
        True,
        ["draining"],
        1,
    )
    await world.sleep(300)
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    await asyncio.wait_for(life.drained(), 5)
    assert not is_over(life), "nobody told it to end"
    assert drains(world) == [DrainBegan("olga", 1, 600_000), DrainEnded(DrainOutcome.EMPTY)]
    assert (await world.interaction(talking)).outcome is Outcome.HANDLED
    life.close()


@story()
async def test_callers_who_wait_when_it_drains_are_still_served_by_whoever_registers(world: World) -> None:
    life = life_of(world)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await caller.hears("music", within=20)
    life.begin_drain("olga", 600.0)
    amy = await world.agent("amy", english=5)  # registers while it drains
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    await caller.hangs_up()
    assert (await world.interaction(call)).outcome is Outcome.HANDLED
    await life.drained()
    life.close()


@story()
async def test_an_agent_can_still_go_to_lunch_while_it_drains(world: World) -> None:
    life = life_of(world)
    amy = await world.agent("amy", english=5)
    life.begin_drain("olga", 600.0)
    await amy.dials_code("*21")
    await world.settled()
    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.reason == "lunch"
    life.close()


@story()
async def test_at_the_limit_the_calls_that_are_left_are_ended_with_the_reason(world: World) -> None:
    life = life_of(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    life.begin_drain("olga", 30.0)
    await world.sleep(29)
    assert world.hear_each_other(caller, amy)
    await caller.is_hung_up(within=2)
    await life.drained()
    [ended] = [fact.body for fact in world.facts if isinstance(fact.body, CallEnded)]
    assert (ended.by, ended.cause) == (Side.SYSTEM, EndCause.SHUTDOWN)
    assert ended.detail == "the drain's limit of 30s was reached"
    assert drains(world) == [DrainBegan("olga", 1, 30_000), DrainEnded(DrainOutcome.LIMIT, 1)]
    assert (await world.interaction(call)).outcome is Outcome.HANDLED
    life.close()


@story()
async def test_another_limit_counts_from_when_it_was_given(world: World) -> None:
    life = life_of(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    life.begin_drain("olga", 600.0)
    await world.sleep(100)
    life.begin_drain("olga", 20.0)
    state = (await status(world.house, life))["drain"]
    assert (state["limit_s"], state["left_s"]) == (20.0, 20.0)
    await caller.is_hung_up(within=21)
    life.close()


@story()
async def test_a_drain_that_is_cancelled_takes_calls_again(world: World) -> None:
    life = life_of(world)
    amy = await world.agent("amy", english=5)
    caller, next_one = await world.phone("+14155550100"), await world.phone("+14155550101")
    await world.connect(caller, amy)
    life.begin_drain("olga", 30.0)
    await world.sleep(10)
    assert life.cancel_drain("pavel")
    assert not life.cancel_drain("pavel"), "there is none any more"
    await world.settled()
    assert (await options(next_one)).status == 200
    assert world.publisher.retained[topics.STATUS] == "online"
    await world.sleep(60)
    assert world.hear_each_other(caller, amy), "its limit went with it"
    await next_one.dial("1000")
    await next_one.hangs_up()
    await caller.hangs_up()
    assert drains(world)[-1] == DrainEnded(DrainOutcome.CANCELLED, by="pavel")
    life.close()


@story()
async def test_told_to_end_with_a_call_up_it_ends_when_the_call_has(world: World) -> None:
    life = life_of(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    life.ask_to_end("SIGTERM")
    await world.sleep(120)
    assert not is_over(life)
    assert not life.cancel_drain("olga"), "its end is the switch's own"
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    assert await asyncio.wait_for(life.over(), 5) == "SIGTERM: no call is up any more"
    life.close()


@story()
async def test_told_twice_it_ends_at_once(world: World) -> None:
    life = life_of(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    life.ask_to_end("SIGTERM")
    await world.sleep(5)
    life.ask_to_end("SIGINT")
    life.ask_to_end("SIGINT")
    assert await life.over() == "SIGINT, again"
    assert drains(world) == [DrainBegan("SIGTERM", 1, 600_000), DrainEnded(DrainOutcome.CUT_SHORT, 1, "SIGINT")]
    await caller.hangs_up()
    life.close()


@story()
async def test_told_to_end_with_no_call_up_or_no_time_for_them_it_ends_at_once(world: World) -> None:
    life = life_of(world)
    life.ask_to_end("SIGTERM")
    assert await life.over() == "SIGTERM"
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    hasty = life_of(world, limit=0.0)
    hasty.ask_to_end("SIGTERM")
    assert await hasty.over() == "SIGTERM"
    assert drains(world) == []
    await caller.hangs_up()


@story()
async def test_told_to_end_after_a_drain_it_ends_when_that_is_done(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    life = life_of(world)
    await world.connect(caller, amy)
    life.begin_drain("olga", 600.0)
    await world.sleep(1)
    life.ask_to_end("SIGTERM")
    assert not is_over(life), "the first word of the signal is no second one"
    await caller.hangs_up()
    assert await asyncio.wait_for(life.over(), 5) == "olga: no call is up any more"
    life.close()

    emptied = life_of(world)
    emptied.begin_drain("olga", 600.0)
    await emptied.drained()
    emptied.ask_to_end("SIGTERM")
    assert await emptied.over() == "SIGTERM"
    emptied.close()


@story()
async def test_a_switch_without_a_trunk_that_is_required_is_not_ready_for_calls(world: World) -> None:
    life = life_of(world)
    needed, spare = await world.carrier("needed"), await world.carrier("spare")
    world.trunks(replace(trunk(needed, qualify=30.0), required=True), trunk(spare, qualify=30.0))
    await world.sleep(1)
    assert health(world.house, life)["ready"]
    spare.host.vanish()
    await world.sleep(60)
    assert health(world.house, life)["ready"], "nobody said that this one is"
    needed.host.vanish()
    await world.sleep(60)
    now = health(world.house, life)
    assert (now["live"], now["ready"], now["reasons"]) == (True, False, ["trunk needed"])
    assert now["why"] == [f"the trunk needed is down, and required: no answer from udp {needed.address}:5060"]
    needed.host.come_back()
    await world.sleep(40)
    assert health(world.house, life)["ready"]
