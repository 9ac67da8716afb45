"""What a queue does with its callers: who may join, when they leave, where they overflow to, and its opening hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from callcenter.acd.estimate import RANGES
from callcenter.acd.events import IntentChosen, Reconfigured
from callcenter.calls.hours import Holiday, Hours, Interval
from callcenter.calls.settings import (
    Announce,
    AnnounceWait,
    Flow,
    Hangup,
    OnClose,
    QueueTreatment,
    Say,
    Step,
    ToQueue,
    wait_of,
)
from callcenter.media.plane import Clip
from callcenter.model.facts import CallConnected, CallEnded, WaitAnnounced
from callcenter.model.states import Intent, OfferResult, Outcome, VisitOutcome
from callcenter.simulation import floor
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import AgentPhone, World, story, tell
from tests.scenarios.carrier import nobody_outside, somebody_outside
from tests.scenarios.test_hang_up_at_every_moment import (
    Leaves,
    agent_hangs_up,
    agent_unplugged,
    caller_hangs_up,
    caller_unplugged,
)

SALES, HELP = "sales-english", "help"
OUTSIDE = "+14155559000"


def furnish(
    world: World,
    *steps: Step,
    hours: Hours | None = None,
    on_close: OnClose = OnClose.SERVE,
    flows: Mapping[str, tuple[Step, ...]] | None = None,
    **sales: Any,
) -> None:
    """Sales by these settings, and a queue for help beside it; callers come to these steps at once."""
    services = world.house.services
    queues = {
        SALES: replace(world.plan.queues[SALES], **sales),
        HELP: replace(floor.queue(HELP, support=2), max_wait=600.0, on_max_wait="continue"),
    }
    world.plan = replace(world.plan, queues=queues)
    world.house.dispatcher.tell(Reconfigured(world.plan))
    settings = services.settings
    texts = {(name, tag): (Clip(f"{name}.{tag}", 2.0),) for name in ("voicemail", "behind") for tag in ("en", "es")}
    named = hours.id if hours is not None else ""
    services.settings = replace(
        settings,
        flows={
            **settings.flows,
            "main": Flow("main", steps or (ToQueue(SALES), Say("behind"))),
            "voicemail": Flow("voicemail", (Hangup("voicemail"),)),
            **{name: Flow(name, each) for name, each in (flows or {}).items()},
        },
        treatments={
            SALES: QueueTreatment(SALES, "default", hours=named, on_close=on_close),
            HELP: QueueTreatment(HELP, "default"),
        },
        hours={hours.id: hours} if hours is not None else {},
        prompts=replace(settings.prompts, texts={**settings.prompts.texts, **texts}),
    )


def office(*spans: tuple[int, int], **more: Any) -> Hours:
    """Open at these minutes of every day, in UTC; the switch starts at 09:00."""
    return Hours("office", (tuple(Interval(start, end) for start, end in spans),) * 7, **more)


async def caller(world: World, number: int = 1) -> Phone:
    """A caller who has dialled."""
    phone = await world.phone(f"+1415555{number:04d}")
    await phone.dial("1000")
    return phone


async def visits(world: World, phone: Phone) -> list[tuple[str, VisitOutcome | None, str]]:
    """What the record tells of the caller's visits."""
    assert phone.call is not None
    saved = await world.interaction(phone.call)
    return [(visit.queue, visit.outcome, visit.reason) for visit in saved.visits]


async def choose(world: World, agent: AgentPhone, intent: Intent, reason: str = "") -> None:
    """The agent chooses."""
    world.house.dispatcher.tell(IntentChosen(agent.name, intent, reason))
    await world.settled()


# Nobody there


@story()
async def test_a_caller_at_night_does_not_wait_for_agents_who_went_home(world: World) -> None:
    """The phones are off, nobody has signed out: whoever calls hears the mailbox at once, not music for an hour."""
    amy = await world.agent("amy", english=5)
    furnish(world, join_empty=frozenset({"nobody_signed_in"}), on_empty="voicemail")
    await amy.unregister()
    await world.settled()
    phone = await caller(world)
    await phone.hears("voicemail.en")
    await phone.is_hung_up()
    assert await visits(world, phone) == [(SALES, VisitOutcome.REFUSED, "nobody_signed_in")]


@story()
async def test_whoever_comes_while_all_are_at_lunch_waits_where_that_is_wanted(world: World) -> None:
    amy = await world.agent("amy", english=5)
    furnish(world, join_empty=frozenset({"nobody_signed_in"}), on_empty="voicemail")
    await choose(world, amy, Intent.NOT_READY, "lunch")
    phone = await caller(world)
    await phone.hears("music")
    await choose(world, amy, Intent.READY)
    await amy.rings()
    await amy.answers()
    await phone.hears(amy)
    await phone.hangs_up()


@story()
async def test_callers_are_sent_on_when_the_last_agent_has_gone_home(world: World) -> None:
    """But not when a phone is only restarted: half a minute is what it takes to be missed."""
    furnish(world, leave_empty=frozenset({"nobody_ready"}), leave_after=30.0, on_empty="voicemail")
    amy = await world.agent("amy", english=5)
    first = await caller(world, 1)
    await amy.rings()
    await amy.answers()
    second = await caller(world, 2)
    await second.hears("music")
    await first.hangs_up()
    await world.sleep(1)
    await world.sleep(30)
    await amy.rings()
    await amy.unregister()
    await amy.stops_ringing()
    await world.sleep(20)
    await second.hears("music")
    await amy.register("amy", "secret of amy")
    await amy.rings()
    await choose(world, amy, Intent.SIGNED_OUT)
    await amy.stops_ringing()
    await world.sleep(25)
    await second.hears("music")
    await second.hears("voicemail.en", within=6)
    await second.is_hung_up()
    assert await visits(world, second) == [(SALES, VisitOutcome.FLOWED_OUT, "nobody_signed_in")]


# Overflow


@story()
async def test_a_caller_who_waited_too_long_goes_on_in_another_queue_with_the_place_kept(world: World) -> None:
    furnish(world, max_wait=30.0, on_max_wait=f"queue:{HELP}")
    early = await caller(world, 1)
    await world.sleep(20)
    furnish(world, ToQueue(HELP), max_wait=30.0, on_max_wait=f"queue:{HELP}")
    late = await caller(world, 2)
    await world.sleep(15)
    bob = await world.agent("bob", support=4)
    await bob.rings()
    await bob.answers()
    await early.hears(bob)
    await early.hangs_up()
    await late.hangs_up()
    assert await visits(world, early) == [
        (SALES, VisitOutcome.FLOWED_OUT, "timeout"),
        (HELP, VisitOutcome.ANSWERED, ""),
    ]


@story()
async def test_each_reason_leads_where_it_was_said_to(world: World) -> None:
    """Too many wait: the mailbox. Waited too long: the steps behind the queue."""
    furnish(world, max_wait=30.0, on_max_wait="continue", on_full="voicemail", max_waiting=1)
    first, second = await caller(world, 1), await caller(world, 2)
    await second.hears("voicemail.en")
    await second.is_hung_up()
    await first.hears("behind.en", within=31)
    await first.is_hung_up()
    assert await visits(world, first) == [(SALES, VisitOutcome.FLOWED_OUT, "timeout")]
    assert await visits(world, second) == [(SALES, VisitOutcome.REFUSED, "full")]


@story()
async def test_behind_the_other_queue_stand_the_steps_behind_the_first(world: World) -> None:
    furnish(world, max_wait=30.0, on_max_wait=f"queue:{HELP}")
    plan = world.plan
    world.plan = replace(plan, queues={**plan.queues, HELP: replace(plan.queues[HELP], max_wait=10.0)})
    world.house.dispatcher.tell(Reconfigured(world.plan))
    phone = await caller(world)
    await phone.hears("behind.en", within=41)
    await phone.is_hung_up()


@story()
async def test_two_full_queues_that_help_each_other_out_do_not_hang_up_on_the_caller(world: World) -> None:
    """Each gives the caller back at once: sent to and fro two thousand times in a moment, they were hung up on."""
    furnish(world, max_wait=60.0, on_max_wait="continue", on_full=f"queue:{HELP}", max_waiting=1)
    plan = world.plan
    full = replace(plan.queues[HELP], max_waiting=1, on_full=f"queue:{SALES}")
    world.plan = replace(plan, queues={**plan.queues, HELP: full})
    world.house.dispatcher.tell(Reconfigured(world.plan))
    first, second, third = [await caller(world, number) for number in (1, 2, 3)]
    await third.hears("behind.en")
    await third.is_hung_up()
    assert await visits(world, third) == [(SALES, VisitOutcome.REFUSED, "full"), (HELP, VisitOutcome.REFUSED, "full")]
    await second.hangs_up()
    await first.hangs_up()


@story()
async def test_two_queues_may_help_each_other_out_for_ever_while_the_caller_waits(world: World) -> None:
    furnish(world, max_wait=30.0, on_max_wait=f"queue:{HELP}")
    plan = world.plan
    other = replace(plan.queues[HELP], max_wait=20.0, on_max_wait=f"queue:{SALES}")
    world.plan = replace(plan, queues={**plan.queues, HELP: other})
    world.house.dispatcher.tell(Reconfigured(world.plan))
    phone = await caller(world)
    await world.sleep(120)
    amy = await world.agent("amy", english=5)
    await amy.rings(within=10)
    await amy.answers()
    await phone.hears(amy)
    await phone.hangs_up()
    assert [queue for queue, *_ in await visits(world, phone)] == [SALES, HELP, SALES, HELP, SALES]


@story()
async def test_a_caller_whom_nobody_takes_reaches_the_number_outside(world: World) -> None:
    """By the company's trunk and number, to the music of the queue; the record holds the talk."""
    outside = await somebody_outside(world, OUTSIDE)
    furnish(world, max_wait=30.0, on_max_wait=f"number:{OUTSIDE}")
    phone = await caller(world)
    await outside.rings(within=31)
    await phone.hears("music")
    await outside.answers()
    await phone.hears(outside)
    await world.sleep(20)
    await outside.hangs_up()
    await phone.is_hung_up()
    assert await visits(world, phone) == [(SALES, VisitOutcome.FLOWED_OUT, "timeout")]


@story()
async def test_when_nobody_is_reached_outside_either_the_flow_goes_on(world: World) -> None:
    await nobody_outside(world)
    furnish(world, max_wait=30.0, on_max_wait=f"number:{OUTSIDE}")
    phone = await caller(world)
    await phone.hears("behind.en", within=32)
    await phone.is_hung_up()
    assert phone.call is not None
    assert (await world.interaction(phone.call)).outcome is Outcome.UNSERVED


@story()
async def test_the_steps_of_the_flow_count_before_what_the_queue_says(world: World) -> None:
    steps = (ToQueue(SALES, on_timeout=(Hangup("behind"),)),)
    furnish(world, *steps, max_wait=30.0, on_max_wait="voicemail", on_full="voicemail")
    phone = await caller(world)
    await phone.hears("behind.en", within=31)
    await phone.is_hung_up()


# Opening hours


@story()
async def test_nobody_joins_a_queue_that_is_closed(world: World) -> None:
    """Although agents are there, who look after the last callers of the day."""
    await world.agent("amy", english=5)
    furnish(world, hours=office((600, 1080)), on_closed="voicemail")
    phone = await caller(world)
    await phone.hears("voicemail.en")
    await phone.is_hung_up()
    assert await visits(world, phone) == [(SALES, VisitOutcome.REFUSED, "closed")]


@story()
async def test_a_queue_is_closed_on_a_holiday(world: World) -> None:
    today = world.clock.now().date()
    furnish(world, hours=office((0, 1440), dates={today: Holiday("Founder's Day")}), on_closed="voicemail")
    phone = await caller(world)
    await phone.hears("voicemail.en")
    await phone.is_hung_up()


@pytest.mark.parametrize("on_close", OnClose)
def test_who_waits_when_it_closes(on_close: OnClose) -> None:
    """They are served, as in a shop, or they are sent on, as is said."""

    async def waits(world: World) -> None:
        furnish(world, hours=office((540, 545)), on_close=on_close, on_closed="voicemail", max_wait=3000.0)
        phone = await caller(world)
        await phone.hears("music")
        await world.sleep(299 - world.clock.monotonic())
        await phone.hears("music")
        await world.sleep(1.5)
        if on_close is OnClose.LEAVE:
            await phone.hears("voicemail.en")
            await phone.is_hung_up()
            assert await visits(world, phone) == [(SALES, VisitOutcome.FLOWED_OUT, "closed")]
            return
        await phone.hears("music")
        amy = await world.agent("amy", english=5)
        await amy.rings()
        await amy.answers()
        await phone.hears(amy)
        await phone.hangs_up()

    tell(waits)


@story()
async def test_a_caller_whose_agent_rings_already_is_not_sent_away_by_the_clock(world: World) -> None:
    furnish(world, hours=office((540, 545)), on_close=OnClose.LEAVE, on_closed="voicemail", max_wait=3000.0)
    phone = await caller(world)
    await phone.hears("music")
    await world.sleep(299 - world.clock.monotonic())
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await world.sleep(2)
    await amy.answers()
    await phone.hears(amy)
    await phone.hangs_up()
    assert await visits(world, phone) == [(SALES, VisitOutcome.ANSWERED, "")]


# The whisper

WHISPER = {"en": ("said/tech", "{intent}", "{language}")}


def whispering(world: World, whisper: Mapping[str, tuple[str, ...]] | None = None) -> None:
    """Agents hear three words of a caller first, of a second each; callers choose in the menu."""
    services = world.house.services
    settings = services.settings
    words = ("said/tech", "intent/sales", "language/en", "language/es")
    texts = {(name, "en"): (Clip(name, 1.0),) for name in words}
    services.settings = replace(
        settings,
        treatments={
            name: replace(each, whisper=WHISPER if whisper is None else whisper)
            for name, each in settings.treatments.items()
        },
        prompts=replace(settings.prompts, texts={**settings.prompts.texts, **texts}),
    )


def connected(world: World) -> list[CallConnected]:
    """The talks that began."""
    return [fact.body for fact in world.facts if isinstance(fact.body, CallConnected)]


@story()
async def test_an_agent_hears_who_is_there_before_the_caller_is(world: World) -> None:
    """The company, what they want, and in which language; the caller hears the music until both talk."""
    whispering(world)
    amy = await world.agent("amy", english=5)
    phone = await caller(world)
    await phone.press("1")
    await amy.rings()
    await amy.answers()
    for word in ("said/tech", "intent/sales", "language/en"):
        await amy.hears(word, within=1.5)
        assert "music" in phone.heard_now()
        assert not connected(world)
    await phone.hears(amy, within=1.5)
    assert world.hear_each_other(phone, amy)
    assert len(connected(world)) == 1
    await phone.hangs_up()
    assert phone.call is not None
    saved = await world.interaction(phone.call)
    assert saved.visits[0].wait_ms is not None
    assert saved.visits[0].wait_ms > 3000, "answered is at the bridge, not at the pick-up"


@story()
async def test_an_agent_who_hangs_up_in_the_whisper_returns_the_caller_to_the_old_place(world: World) -> None:
    """Who hears that it is not for them, or has no time: the music has not even stopped."""
    whispering(world)
    amy = await world.agent("amy", english=5)
    phone = await caller(world, 1)
    await phone.press("1")
    await amy.rings()
    await amy.answers()
    await amy.hears("intent/sales", within=3)
    later = await caller(world, 2)
    await later.press("1")
    await amy.hangs_up()
    bob = await world.agent("bob", english=3)
    assert "music" in phone.heard_now()
    await bob.rings()
    await bob.answers()
    await phone.hears(bob, within=5)
    assert world.house.acd.position(world.house.acd.waiting(SALES)[0].id) == 1
    await phone.hangs_up()
    await later.hangs_up()
    assert phone.call is not None
    saved = await world.interaction(phone.call)
    assert saved.offers == (("amy", OfferResult.ACCEPTED), ("bob", OfferResult.ACCEPTED))
    assert len(saved.visits) == 1


@story()
async def test_a_caller_who_hangs_up_in_the_whisper_has_abandoned(world: World) -> None:
    whispering(world)
    amy = await world.agent("amy", english=5)
    phone = await caller(world)
    await phone.press("1")
    await amy.rings()
    await amy.answers()
    await amy.hears("said/tech", within=1)
    await phone.hangs_up()
    await amy.is_hung_up()
    await world.settled()
    assert not connected(world)
    assert world.house.acd.available("amy")
    assert (await visits(world, phone))[0][1] is VisitOutcome.SHORT_ABANDONED


@story()
async def test_a_key_pressed_in_the_whisper_leads_out_of_the_queue(world: World) -> None:
    furnish(world, ToQueue(SALES, keys={"1": (Hangup("voicemail"),)}))
    whispering(world)
    amy = await world.agent("amy", english=5)
    phone = await caller(world)
    await amy.rings()
    await amy.answers()
    await amy.hears("said/tech", within=1)
    await phone.press("1")
    await phone.hears("voicemail")
    await amy.is_hung_up()
    await phone.is_hung_up()
    assert not connected(world)
    await world.settled()
    assert world.house.acd.available("amy")


@story()
async def test_without_a_whisper_both_talk_at_once(world: World) -> None:
    """Also for an agent in whose language nothing is said."""
    whispering(world, {"es": ("said/tech",)})
    amy = await world.agent("amy", english=5)
    phone = await caller(world)
    await phone.press("1")
    await amy.rings()
    await amy.answers()
    await phone.hears(amy, within=0.1)
    await phone.hangs_up()


@story()
async def test_the_agent_s_phone_is_lost_in_the_whisper(world: World) -> None:
    """No sound comes from it any more, in a whisper without end: the caller goes to the next."""
    whispering(world)
    prompts = world.house.services.settings.prompts
    endless = replace(prompts, texts={**prompts.texts, ("said/tech", "en"): (Clip("said/tech", 600.0),)})
    world.house.services.settings = replace(world.house.services.settings, prompts=endless)
    amy = await world.agent("amy", english=5)
    phone = await caller(world)
    await phone.press("1")
    await amy.rings()
    await amy.answers()
    await amy.hears("said/tech", within=1)
    await world.sleep(5)
    world.unplug(amy)
    bob = await world.agent("bob", english=3)
    await bob.rings(within=70)
    await phone.hangs_up()


def presses(world: World, phone: Phone, agent: Phone) -> None:
    """The caller would rather leave the queue."""
    if phone.call is not None and not phone.call.over:
        phone.call.sound.press("1")


@pytest.mark.long
@pytest.mark.parametrize("leaves", [caller_hangs_up, agent_hangs_up, agent_unplugged, caller_unplugged, presses])
def test_whoever_is_gone_at_whichever_moment_of_the_whisper_leaves_nothing_behind(leaves: Leaves) -> None:
    """At every 100 ms from the pick-up until both have talked for a while: one record, and nobody is held by it."""

    async def gone(world: World, after: float) -> None:
        furnish(world, ToQueue(SALES, keys={"1": (Hangup("voicemail"),)}))
        whispering(world)
        amy = await world.agent("amy", english=5)
        phone = await world.phone("+14155550100")
        phone.starts_dialling("1000")
        await amy.rings()
        amy.picks_up()
        await world.sleep(after)
        leaves(world, phone, amy)
        await world.sleep(130)
        phone.drops()
        await world.sleep(130)
        amy.drops()
        await world.settled()
        assert sum(isinstance(fact.body, CallEnded) for fact in world.facts) == 1
        assert not world.house.books.open_calls

    for step in range(38):
        tell(partial(gone, after=step * 0.1))


# How long it may still take


def announcing(world: World) -> None:
    """Callers are told their place, and how long it may take."""
    services = world.house.services
    settings = services.settings
    texts = {
        (f"place/{place}", tag): (Clip(f"place/{place}.{tag}", 1.0),) for place in range(1, 6) for tag in ("en", "es")
    }
    texts |= {
        (wait_of("under" if low == 0 else "between", low, high), "en"): (Clip(f"wait/{low}-{high}.en", 1.0),)
        for low, high in RANGES
    }
    announce = Announce("place", first=10.0, every=30.0, most=5, wait=AnnounceWait("under", "between"))
    services.settings = replace(
        settings,
        treatments={name: replace(each, announce=announce) for name, each in settings.treatments.items()},
        prompts=replace(settings.prompts, texts={**settings.prompts.texts, **texts}),
    )


async def talks(world: World, agent: AgentPhone, number: int, seconds: float) -> None:
    """So many callers one after the other talk to the agent for so long."""
    for each in range(number):
        phone = await caller(world, 100 + each)
        await agent.rings(within=60)
        await agent.answers()
        await world.sleep(seconds)
        await phone.hangs_up()
        await world.settled()


def told(world: World, phone: Phone) -> list[tuple[int, int]]:
    """The minutes that a caller was told."""
    assert phone.call is not None
    call = world.call_id(phone.call)
    return [
        (fact.body.low_ms // 60_000, fact.body.high_ms // 60_000)
        for fact in world.facts
        if fact.call_id == call and isinstance(fact.body, WaitAnnounced)
    ]


@story()
async def test_the_expected_wait_is_told_with_the_place_and_falls(world: World) -> None:
    """A dozen talks of two minutes were seen: who is second hears how long it may be, and never anything longer."""
    furnish(world)
    announcing(world)
    amy = await world.agent("amy", english=5)
    await talks(world, amy, 12, 120.0)
    now = await caller(world, 1)
    await amy.rings(within=60)
    await amy.answers()
    following, last = [await caller(world, number) for number in range(2, 4)]
    await last.hears("place/2.en", within=12)
    await last.hears("wait/2-10.en", within=2)
    await last.hears("music", within=2)
    await world.sleep(100)
    await now.hangs_up()
    await amy.rings(within=60)
    await amy.answers()
    await last.hears("place/1.en", within=31)
    await world.sleep(130)
    said = told(world, last)
    assert said[0] == (2, 10)
    assert said[-1] == (0, 2)
    assert [high for _, high in said] == sorted((high for _, high in said), reverse=True)
    for phone in (following, last):
        await phone.hangs_up()


@story()
async def test_a_floor_that_has_just_opened_promises_nothing(world: World) -> None:
    furnish(world)
    announcing(world)
    amy = await world.agent("amy", english=5)
    first = await caller(world, 1)
    await amy.rings()
    await amy.answers()
    phone = await caller(world, 2)
    await phone.hears("place/1.en", within=12)
    await world.sleep(60)
    assert told(world, phone) == []
    await phone.hangs_up()
    await first.hangs_up()
