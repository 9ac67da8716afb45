"""One place in line: whoever is cut off and calls again, is sent on, or handed over, does not start at the end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.acd.events import Reconfigured
from callcenter.calls.settings import Announce, Flow, Menu, QueueTreatment, Routing, Say, Step, ToQueue
from callcenter.media.plane import Clip
from callcenter.model.facts import CallQueued, PositionAnnounced
from callcenter.model.states import VisitOutcome
from callcenter.simulation import floor
from callcenter.simulation.phone import Phone, PhoneCall
from callcenter.simulation.world import World, story

SALES, HELP = "sales-english", "help"
TOLD = Announce("position", first=15.0, every=30.0, most=9)


def furnish(world: World, *steps: Step, keep_place_for: float = 120.0, max_waiting: int = 500) -> None:
    """A second queue, callers who come to these steps at once, and places that are told; also after a restart."""
    queues = {name: replace(queue, max_waiting=max_waiting) for name, queue in world.plan.queues.items()}
    queues[HELP] = replace(floor.queue(HELP, support=2), max_wait=600.0)
    world.plan = replace(world.plan, queues=queues)
    world.house.dispatcher.tell(Reconfigured(world.plan))
    calls = world.settings.calls
    texts = {(f"position/{n}", tag): (Clip(f"position/{n}.{tag}", 3.0),) for n in range(1, 10) for tag in ("en", "es")}
    client = replace(calls.clients["tech"], routing=Routing(keep_place_for=keep_place_for))
    calls = replace(
        calls,
        clients={"tech": client},
        flows={**calls.flows, "main": Flow("main", steps or (ToQueue(SALES),))},
        treatments={name: QueueTreatment(name, "default", TOLD) for name in queues},
        prompts=replace(calls.prompts, texts={**calls.prompts.texts, **texts}),
    )
    world.settings = replace(world.settings, calls=calls, plan=world.plan)
    world.house.services.settings = replace(calls, agent_languages=world.house.services.settings.agent_languages)


async def waits(world: World, number: str | int, *keys: str) -> Phone:
    """A caller who has dialled, pressed these keys, and waits."""
    phone = await world.phone(f"+1415555{number:04d}" if isinstance(number, int) else number)
    return await again(world, phone, *keys)


async def again(world: World, phone: Phone, *keys: str) -> Phone:
    """The same caller dials once more."""
    await phone.dial("1000")
    for key in keys:
        await phone.press(key)
    await phone.hears("music")
    await world.settled()
    return phone


def line(world: World, queue: str = SALES) -> list[str]:
    """The numbers of who waits, in order."""
    calls = world.house.supervisor.calls
    return [calls[ticket.call_id].from_number for ticket in world.house.acd.waiting(queue)]


def announced(world: World, call: PhoneCall) -> list[int]:
    """The places that the caller was told in this call."""
    of = world.call_id(call)
    return [fact.body.position for fact in world.facts if fact.call_id == of
            and isinstance(fact.body, PositionAnnounced)]  # fmt: skip


def queued(world: World, call: PhoneCall) -> list[CallQueued]:
    of = world.call_id(call)
    return [fact.body for fact in world.facts if fact.call_id == of and isinstance(fact.body, CallQueued)]


async def all_hang_up(world: World) -> None:
    for phone in world.phones:
        if not phone.is_free:
            await phone.hangs_up()


@story()
async def test_a_caller_who_was_cut_off_and_rings_again_does_not_start_at_the_end_of_the_line(world: World) -> None:
    """The second of three is cut off, rings again a minute later, and is the second again; the record tells of it."""
    furnish(world)
    first, second, third = [await waits(world, number) for number in (1, 2, 3)]
    before = second.call
    assert before is not None
    await second.hangs_up()
    await world.sleep(60)
    assert line(world) == [first.name, third.name]
    await again(world, second)
    assert line(world) == [first.name, second.name, third.name]
    after = second.call
    assert after is not None
    [body] = queued(world, after)
    assert body.place_of == f"{world.call_id(before)}/1"
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    assert world.hear_each_other(first, amy)
    await first.hangs_up()
    await amy.rings(after=30, within=5)
    await amy.answers()
    assert world.hear_each_other(second, amy)
    await all_hang_up(world)
    [old], [new] = (await world.interaction(before)).visits, (await world.interaction(after)).visits
    assert (old.number, old.place_of, old.before_ms, old.outcome) == (1, "", 0, VisitOutcome.SHORT_ABANDONED)
    assert (new.number, new.place_of, new.outcome) == (1, body.place_of, VisitOutcome.ANSWERED)
    assert 60_000 < new.before_ms < 65_000


@story()
async def test_who_rings_again_too_late_stands_at_the_end(world: World) -> None:
    furnish(world, keep_place_for=30.0)
    first, second = [await waits(world, number) for number in (1, 2)]
    await first.hangs_up()
    await world.sleep(31)
    await again(world, first)
    assert line(world) == [second.name, first.name]
    await all_hang_up(world)


@story()
async def test_a_company_that_keeps_no_places_has_everybody_stand_at_the_end(world: World) -> None:
    furnish(world, keep_place_for=0.0)
    first, second = [await waits(world, number) for number in (1, 2)]
    await first.hangs_up()
    await again(world, first)
    assert line(world) == [second.name, first.name]
    assert not queued(world, _call(first))[0].place_of
    await all_hang_up(world)


@story()
async def test_who_withholds_the_number_never_gets_the_place_of_somebody_else(world: World) -> None:
    """Two who withhold theirs have one name, and are not one caller."""
    furnish(world)
    hidden = await waits(world, "anonymous")
    first = await waits(world, 1)
    await hidden.hangs_up()
    await again(world, hidden)
    assert line(world) == [first.name, hidden.name]
    await all_hang_up(world)


@story()
async def test_a_place_is_given_once(world: World) -> None:
    """Two of one number, behind a switchboard: who comes first has the place, the other one a new one."""
    furnish(world)
    first, second = [await waits(world, number) for number in (1, 2)]
    await first.hangs_up()
    await again(world, first)
    twin = await world.phone("+14155550001-b")
    twin.number = first.name
    await again(world, twin)
    assert line(world) == [first.name, second.name, first.name]
    await all_hang_up(world)


@story()
async def test_a_place_kept_in_one_queue_is_none_in_another(world: World) -> None:
    """Who hung up while waiting for sales jumps no line of those who wait for help."""
    choices = replace(_menu(world), choices={
        "1": replace(_menu(world).choices["1"], then=(ToQueue(SALES),)),
        "2": replace(_menu(world).choices["2"], language=None, then=(ToQueue(HELP),)),
    })  # fmt: skip
    furnish(world, choices)
    caller = await waits(world, 1, "1")
    other = await waits(world, 2, "2")
    await caller.hangs_up()
    await again(world, caller, "2")
    assert line(world, HELP) == [other.name, caller.name]
    await caller.hangs_up()
    await again(world, caller, "1")
    assert line(world, SALES) == [caller.name]
    await all_hang_up(world)


@story()
async def test_the_place_goes_on_through_an_overflow_and_a_call_anew(world: World) -> None:
    """Ten minutes for sales, then sent on to help with the place kept; cut off there, and back by the same flow."""
    furnish(world, ToQueue(SALES), ToQueue(HELP, keep_place=True))
    world.plan = replace(world.plan, queues={
        name: replace(queue, max_wait=60.0 if name == SALES else 600.0, on_max_wait="continue")
        for name, queue in world.plan.queues.items()
    })  # fmt: skip
    world.house.dispatcher.tell(Reconfigured(world.plan))
    caller = await waits(world, 1)
    await world.sleep(61)
    assert line(world, HELP) == [caller.name]
    late = await waits(world, 2)
    await caller.hangs_up()
    await again(world, caller)
    assert line(world, SALES) == [caller.name, late.name]
    await world.sleep(61)
    bodies = queued(world, _call(caller))
    assert [(body.queue, body.visit_no) for body in bodies] == [(SALES, 1), (HELP, 2)]
    assert len({body.first_joined_ms for body in bodies}) == 1
    assert bodies[1].place_of == f"{world.call_id(_call(caller))}/1"
    await all_hang_up(world)


@story()
async def test_the_place_told_after_ringing_again_is_never_worse_than_the_one_told_before(world: World) -> None:
    """Told to be second; meanwhile one with priority comes in; who rings again hears of no third place."""
    furnish(world)
    first, second = [await waits(world, number) for number in (1, 2)]
    await second.hears("position/2", after=15)
    await second.hangs_up()
    furnish(world, ToQueue(SALES, priority=50))
    vip = await waits(world, 3)
    furnish(world)
    await again(world, second)
    assert line(world) == [vip.name, first.name, second.name]
    await world.sleep(100)
    assert announced(world, _call(second)) == []
    await vip.hangs_up()
    await second.hears("position/2", within=61)
    await all_hang_up(world)


@story()
async def test_a_queue_that_is_full_does_not_cost_who_comes_back_the_place(world: World) -> None:
    furnish(world, max_waiting=2)
    first, second = [await waits(world, number) for number in (1, 2)]
    await first.hangs_up()
    third = await waits(world, 3)
    await first.dial("1000")
    await first.hears("nobody")
    await first.is_hung_up()
    await third.hangs_up()
    await again(world, first)
    assert line(world) == [first.name, second.name]
    await all_hang_up(world)


@story()
async def test_who_pressed_a_key_to_leave_the_queue_has_given_the_place_up(world: World) -> None:
    furnish(world, ToQueue(SALES, keys={"9": (Say("goodbye"),)}))
    first, second = [await waits(world, number) for number in (1, 2)]
    await first.press("9")
    await first.is_hung_up()
    await again(world, first)
    assert line(world) == [second.name, first.name]
    await all_hang_up(world)


@pytest.mark.parametrize("crash", [False, True])
def test_a_restart_of_the_switch_costs_nobody_the_place_in_line(crash: bool) -> None:
    """Three wait, the switch goes down, they ring again in another order, and stand as they stood."""

    @story()
    async def told(world: World) -> None:
        furnish(world)
        phones = []
        for number in (1, 2, 3):
            phones.append(await waits(world, number))
            await world.sleep(20)
        first, second, third = phones
        await world.restart(crash=crash, down=30.0)
        for phone in phones:
            if not phone.is_free:
                await phone.hangs_up()
        newcomer = await waits(world, 4)
        for phone in (third, first, second):
            await again(world, phone)
        assert line(world) == [first.name, second.name, third.name, newcomer.name]
        [body] = queued(world, _call(third))
        assert body.place_of.endswith("/1")
        await all_hang_up(world)

    told()


@story()
async def test_who_hung_up_just_before_a_restart_may_come_back_after_it(world: World) -> None:
    furnish(world)
    first = await waits(world, 1)
    await world.sleep(20)
    await first.hangs_up()
    await world.sleep(5)
    await world.restart(down=200.0)
    newcomer = await waits(world, 2)
    await again(world, first)
    assert line(world) == [first.name, newcomer.name]
    await all_hang_up(world)


@story()
async def test_nobody_with_a_kept_place_jumps_ahead_of_who_joined_earlier(world: World) -> None:
    """The place is as old as it is: who has waited longer stands before, whoever rings again how often."""
    furnish(world)
    oldest = await waits(world, 1)
    await world.sleep(10)
    restless = await waits(world, 2)
    for _ in range(3):
        await restless.hangs_up()
        await world.sleep(20)
        await again(world, restless)
        assert line(world)[:2] == [oldest.name, restless.name]
    places = [ticket.first_joined for ticket in world.house.acd.waiting(SALES)]
    assert places == sorted(places)
    await all_hang_up(world)


def _call(phone: Phone) -> PhoneCall:
    assert phone.call is not None
    return phone.call


def _menu(world: World) -> Menu:
    menu = world.settings.calls.flows["main"].steps[1]
    assert isinstance(menu, Menu)
    return menu
