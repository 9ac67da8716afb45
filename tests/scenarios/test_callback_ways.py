"""Ways to be called back: at a chosen time, after a hang-up, before an agent is on the phone, and with his consent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from callcenter.acd.events import IntentChosen
from callcenter.calls.hours import Holiday, Hours, Interval
from callcenter.calls.settings import AskCallback, AskWhen, CallbackRules, CodeAction, FeatureCode, ToQueue
from callcenter.calls.windows import Wish
from callcenter.control.protocol import CommandError
from callcenter.media.plane import Clip
from callcenter.model.callback import Mode
from callcenter.model.facts import AgentStateChanged, CallbackDeclined
from callcenter.model.states import Intent, Outcome, Work
from callcenter.simulation.trunk import Manners
from callcenter.simulation.world import World, story
from tests.scenarios.callback_commands import AMY, ask, now, plan, shown
from tests.scenarios.callbacks import (
    ANN,
    BEN,
    SALES,
    calls_out,
    customer_at,
    furnish,
    hang_up,
    has_talked,
    talks_to,
    told,
    waits,
)
from tests.scenarios.carrier import reaches

RULES = CallbackRules(outside=("+1",), tries=3, spacing=300.0, ring_for=40.0)
CUSTOMER_FIRST = replace(RULES, mode=Mode.CUSTOMER_FIRST)
PREVIEWED = replace(RULES, preview=True, preview_for=20.0, preview_again=600.0)


def says(world: World, *prompts: str) -> None:
    """These prompts are there, two seconds each."""
    settings = world.house.services.settings
    texts = {(name, tag): (Clip(f"{name}.{tag}", 2.0),) for name in prompts for tag in ("en", "es")}
    prompts_now = replace(settings.prompts, texts={**settings.prompts.texts, **texts})
    world.house.services.settings = replace(settings, prompts=prompts_now)
    world.settings = replace(world.settings, calls=world.house.services.settings)


def calls_back_who_hangs_up(world: World, after: float) -> None:
    """Who hangs up in the sales queue having waited so long is called back."""
    settings = world.house.services.settings
    treatments = {**settings.treatments, SALES: replace(settings.treatments[SALES], call_back_after=after)}
    world.house.services.settings = replace(settings, treatments=treatments)
    world.settings = replace(world.settings, calls=world.house.services.settings)


def opens(world: World, hours: Hours, *, queue: bool = False, callbacks: bool = False) -> None:
    """These hours are those of the sales queue, or of callbacks."""
    settings = world.house.services.settings
    treatments, tech = dict(settings.treatments), settings.clients["tech"]
    if queue:
        treatments[SALES] = replace(treatments[SALES], hours=hours.id)
    if callbacks and tech.callbacks is not None:
        tech = replace(tech, callbacks=replace(tech.callbacks, hours=hours.id))
    world.house.services.settings = replace(
        settings, hours={**settings.hours, hours.id: hours}, treatments=treatments, clients={"tech": tech}
    )
    world.settings = replace(world.settings, calls=world.house.services.settings)
    world.house.callbacks.reconfigured()


# A time that the caller chooses


@story()
async def test_a_caller_chooses_when_to_be_called_by_a_key(world: World) -> None:
    ann = await world.phone(ANN)
    reaches(world, ann.host.address)
    wishes = {"1": Wish(), "2": Wish(13 * 60, 14 * 60, day=0)}
    furnish(world, AskCallback(SALES, when=AskWhen("when", wishes)), rules=RULES)
    says(world, "when")
    await ann.dial("1000")
    await ann.hears("when")
    await ann.press("2")
    await ann.hears("callback-choose")
    await ann.press("1")
    await ann.hears("callback-accepted")
    await ann.is_hung_up()
    await world.settled()
    (each,) = world.house.callbacks
    zone = ZoneInfo("America/Los_Angeles")
    assert each.value.zone == zone.key
    assert each.value.not_before is not None
    assert each.value.not_before.astimezone(zone).hour == 13
    amy = await world.agent("amy", english=5)
    await amy.rings_not(during=(each.value.not_before - now(world)).total_seconds() - 5)
    await amy.rings(within=20)
    assert now(world) >= each.value.not_before
    await talks_to(amy, ann)


# After a hang-up


@story()
async def test_who_hangs_up_having_waited_long_is_called_back_on_that_place_and_the_record_is_of_a_hang_up(
    world: World,
) -> None:
    ann = await customer_at(world, ANN, ToQueue(SALES), rules=RULES)
    calls_back_who_hangs_up(world, 30.0)
    call = await ann.dial("1000")
    await ann.hears("music")
    await world.sleep(40)
    await ann.hangs_up()
    await world.settled()
    saved = await world.interaction(call)
    assert (saved.outcome, bool(saved.callback)) == (Outcome.ABANDONED, True)
    amy = await world.agent("amy", english=5)
    await has_talked(world, amy, ann)
    assert told(world) == ["requested 101", "attempt 1 of 101 by amy", "reached"]


@story()
async def test_nobody_is_called_back_for_a_short_wait_or_a_hidden_number_or_when_they_talked_since(
    world: World,
) -> None:
    ann = await customer_at(world, ANN, ToQueue(SALES), rules=RULES)
    calls_back_who_hangs_up(world, 30.0)
    hidden = await waits(world, "anonymous")
    await ann.dial("1000")
    await ann.hears("music")
    await world.sleep(10)
    await ann.hangs_up()
    await world.sleep(40)
    await hidden.hangs_up()
    await world.settled()
    assert told(world) == []
    await ann.dial("1000")
    await ann.hears("music")
    await world.sleep(130)
    await ann.hangs_up()
    await world.settled()
    assert told(world) == ["requested 101"]
    world.house.callbacks.suspend(True)
    amy = await world.agent("amy", english=5)
    await ann.dial("1000")
    await amy.rings()
    await amy.answers()
    await ann.hears(amy)
    await hang_up(ann, amy)
    world.house.callbacks.suspend(False)
    await world.settled()
    assert told(world)[1:] in (["cancelled: talked_meanwhile"], ["cancelled: rang_in"])
    await amy.rings_not(during=60)


# The customer first


@story()
async def test_the_customer_is_dialled_when_an_agent_is_reserved_and_hears_that_he_comes(world: World) -> None:
    ann = await customer_at(world, rules=CUSTOMER_FIRST)
    says(world, "callback-connecting")
    await plan(world, ANN)
    await ann.rings_not(during=30)
    amy = await world.agent("amy", english=5)
    await ann.rings()
    assert amy.is_free
    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.work is Work.RESERVED
    await world.sleep(30)  # longer than an agent's phone would ring
    await ann.answers()
    await ann.hears("callback-connecting")
    await amy.rings()
    pop = await amy.screen_pop()
    assert pop["callback"]["mode"] == "customer_first"
    await ann.hears("music", within=5)
    await amy.answers()
    await ann.hears(amy)
    assert world.hear_each_other(ann, amy)
    await hang_up(ann, amy)
    assert told(world) == ["requested ", "attempt 1 of 101 by amy", "reached"]


@story()
async def test_when_the_reserved_agent_does_not_come_the_next_does_and_the_customer_keeps_the_place(
    world: World,
) -> None:
    ann = await customer_at(world, rules=CUSTOMER_FIRST)
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    world.house.dispatcher.tell(IntentChosen("bob", Intent.NOT_READY, "lunch"))
    await plan(world, ANN)
    await ann.rings()
    await ann.answers()
    await amy.rings()
    ben = await waits(world, BEN)
    await amy.declines()
    await world.sleep(1)
    await ann.hears("music")
    world.house.dispatcher.tell(IntentChosen("bob", Intent.READY))
    await bob.rings()
    await bob.answers()
    await ann.hears(bob)
    await hang_up(ann, bob)
    await ben.hangs_up()
    assert told(world)[-1] == "reached"


@story()
async def test_a_customer_who_is_busy_costs_the_reserved_agent_nothing_and_the_next_caller_gets_him_at_once(
    world: World,
) -> None:
    await calls_out(world, rules=CUSTOMER_FIRST, manners=Manners(status=486))
    name = await plan(world, ANN)
    amy = await world.agent("amy", english=5)
    await world.sleep(3)
    assert told(world)[-1] == "failed: busy"
    ben = await waits(world, BEN)
    await amy.rings()
    await amy.answers()
    await ben.hears(amy)
    await hang_up(ben, amy)
    states = [fact.body for fact in world.facts if isinstance(fact.body, AgentStateChanged)]
    assert not any(state.intent is Intent.NOT_READY for state in states)
    await ask(world, "callback_cancel", callback=name)


@story()
async def test_an_agent_who_leaves_while_the_customer_is_dialled_takes_the_dialling_with_him(world: World) -> None:
    """Nobody ever picks up for whom nobody is there."""
    ann = await customer_at(world, rules=CUSTOMER_FIRST)
    name = await plan(world, ANN)
    amy = await world.agent("amy", english=5)
    await ann.rings()
    world.house.dispatcher.tell(IntentChosen("amy", Intent.SIGNED_OUT))
    await ann.stops_ringing()
    assert amy.is_free
    await world.settled()
    assert told(world)[-1] == "failed: agent_gone"
    await ask(world, "callback_cancel", callback=name)


# With consent


@story()
async def test_an_agent_sees_whom_to_call_and_nobody_is_dialled_before_he_accepts(world: World) -> None:
    """Amy accepts by a key, on the next one by a command."""
    ann = await customer_at(world, rules=PREVIEWED)
    says(world, "callback-preview")
    amy = await world.agent("amy", english=5)
    for by_command in (False, True):
        await plan(world, ANN, reason="the invoice")
        await amy.rings()
        pop = await amy.screen_pop()
        assert (pop["callback"]["preview_s"], pop["callback"]["reason"]) == (20.0, "the invoice")
        await amy.answers()
        await world.sleep(5)
        assert ann.is_free
        if by_command:
            await ask(world, "callback_accept", actor=AMY)
        else:
            await amy.press("1")
        await ann.rings()
        await ann.answers()
        await ann.hears(amy)
        await ann.hangs_up()
        await amy.is_hung_up()
        await world.sleep(31)


@story()
async def test_who_declines_says_why_and_the_customer_is_another_agents(world: World) -> None:
    """By a command while it rings, and by a key; nobody is dialled, and it is no missed call of theirs."""
    ann = await customer_at(world, rules=PREVIEWED)
    amy, bob = await world.agent("amy", english=5), await world.agent("bob", english=3)
    name = await plan(world, ANN)
    with pytest.raises(CommandError):
        await ask(world, "callback_decline", agent="bob")
    await amy.rings()
    await ask(world, "callback_decline", actor=AMY, reason="I know them")
    await amy.stops_ringing()
    await bob.rings()
    await bob.answers()
    await bob.press("2")
    await bob.is_hung_up()
    await world.sleep(60)
    assert ann.is_free
    declined = [fact.body.agent for fact in world.facts if isinstance(fact.body, CallbackDeclined)]
    assert declined == ["amy", "bob"]
    assert [(each["agent"], each["detail"]) for each in (await shown(world, name))["history"]] == [
        ("amy", "I know them"),
        ("bob", ""),
    ]
    states = [fact.body for fact in world.facts if isinstance(fact.body, AgentStateChanged)]
    assert not any(state.intent is Intent.NOT_READY for state in states)
    await amy.rings(within=600)
    await amy.answers()
    await amy.press("1")
    await ann.rings()
    await ann.answers()
    await ann.hears(amy)
    await hang_up(ann, amy)
    assert told(world) == ["requested ", "attempt 1 of 101 by amy", "reached"]


@story()
async def test_an_agent_who_does_not_say_in_time_is_let_go_and_nobody_was_dialled(world: World) -> None:
    ann = await customer_at(world, rules=replace(PREVIEWED, mode=Mode.CUSTOMER_FIRST))
    amy = await world.agent("amy", english=5)
    name = await plan(world, ANN)
    await world.sleep(1)
    assert (await shown(world, name))["state"] == "shown"
    await world.sleep(25)
    assert (amy.is_free, ann.is_free) == (True, True)
    assert [fact.body.agent for fact in world.facts if isinstance(fact.body, CallbackDeclined)] == ["amy"]
    await world.sleep(600)
    settings = world.house.services.settings
    codes = {**settings.feature_codes, "*87": FeatureCode(CodeAction.CALLBACK_ACCEPT)}
    world.house.services.settings = replace(settings, feature_codes=codes)
    assert (await shown(world, name))["state"] == "shown"
    await amy.dial("*87")
    await ann.rings()
    await amy.is_hung_up(within=15)
    await ann.answers()
    await amy.rings()
    await amy.answers()
    await ann.hears(amy)
    await hang_up(ann, amy)


# Hours

# The world begins on Monday, 2 March 2026, at 9:00 UTC.
MORNINGS = Hours("mornings", tuple((Interval(9 * 60, 10 * 60),) for _ in range(7)), zone=ZoneInfo("UTC"))


@story()
async def test_nobody_is_called_back_when_the_queue_has_closed_and_the_place_is_kept_until_it_opens(
    world: World,
) -> None:
    ann = await customer_at(world, rules=RULES)
    opens(world, replace(MORNINGS, dates={datetime(2026, 3, 3, tzinfo=UTC).date(): Holiday("a day off")}), queue=True)
    await ann.dial("1000")
    await ann.hears("music")
    await ann.press("1")
    await ann.hears("callback-choose")
    await ann.press("1")
    await ann.is_hung_up(within=20)
    await world.sleep(3700)
    assert world.house.acd.waiting(SALES) == ()
    amy = await world.agent("amy", english=5)
    await amy.rings_not(during=46 * 3600)
    await amy.rings(within=3600)
    assert now(world).isoformat()[:16] == "2026-03-04T09:00"
    await talks_to(amy, ann)


@story()
async def test_hours_for_callbacks_are_by_the_customers_clocks(world: World) -> None:
    """It is 9:00 in London, and 1:00 where Ann lives."""
    await customer_at(world, rules=RULES)
    opens(world, replace(MORNINGS, zone=None), callbacks=True)
    name = await plan(world, ANN)
    assert (await shown(world, name))["next_at"] == "2026-03-02T17:00:00.000Z"
    elsewhere = await plan(world, BEN, zone="Europe/London")
    assert (await shown(world, elsewhere))["state"] == "in_line"
    with pytest.raises(CommandError):
        await plan(world, "+14155550103", not_before="2026-03-02T11:00", not_after="2026-03-02T12:00")
    for each in (name, elsewhere):
        await ask(world, "callback_cancel", callback=each)
