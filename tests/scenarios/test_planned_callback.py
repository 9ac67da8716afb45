"""Callbacks that are planned for a time: none before its window, none lost, and none dialled twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest

from callcenter.acd.events import Reconfigured
from callcenter.calls.settings import CallbackRules, DialRules, Missed, RingsIn, ToQueue
from callcenter.control.protocol import CommandError, Reason
from callcenter.model.callback import Attempt
from callcenter.model.facts import CallbackAttempted, CallbackDeferred, CallbackEnded, utc
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Outcome, Side
from callcenter.simulation.trunk import Manners
from callcenter.simulation.world import World, story
from tests.scenarios.callback_commands import AMY, BOB, BOSS, STRANGER, ask, now, plan, shown
from tests.scenarios.callbacks import (
    ANN,
    BEN,
    HELP,
    SALES,
    asks,
    calls_out,
    customer_at,
    furnish,
    hang_up,
    has_talked,
    is_to_be_called_back,
    talk,
    talks_to,
    told,
    waits,
)
from tests.scenarios.carrier import permit
from tests.scenarios.commands import agent
from tests.scenarios.commands import ask as ask_anything
from tests.scenarios.trunks import trunk

RULES = CallbackRules(outside=("+1",), tries=3, spacing=300.0, ring_for=40.0)


@story()
async def test_a_customer_is_called_at_the_time_that_was_planned_and_what_came_of_it_is_kept(world: World) -> None:
    ann = await customer_at(world, rules=RULES)
    amy = await world.agent("amy", english=5)
    name = await plan(world, ANN, after=600, reason="about the invoice", actor=AMY)
    assert (await shown(world, name))["state"] == "planned"
    await amy.rings_not(during=590)
    await amy.rings(within=20)
    pop = await amy.screen_pop()
    assert (pop["callback"]["reason"], pop["callback"]["source"]) == ("about the invoice", "agent")
    await talks_to(amy, ann)
    await world.settled()
    assert told(world) == ["requested ", "attempt 1 of 101 by amy", "reached"]
    kept = await shown(world, name)
    assert (kept["state"], kept["outcome"], kept["attempts"]) == ("reached", "reached", 1)
    assert [(each["agent"], each["cause"]) for each in kept["history"]] == [("amy", "reached")]


@story()
async def test_it_joins_the_line_when_it_is_due_behind_those_who_wait_already(world: World) -> None:
    ann = await customer_at(world, rules=RULES)
    await plan(world, ANN, after=60)
    assert world.house.callbacks.planned(SALES) == 1
    assert (world.house.queue_board.status(SALES).waiting, len(world.house.acd.waiting(SALES))) == (0, 0)
    await world.sleep(30)
    ben = await waits(world, BEN)
    await world.sleep(60)
    assert [ticket.callback != "" for ticket in world.house.acd.waiting(SALES)] == [False, True]
    assert world.house.callbacks.planned(SALES) == 0
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await ben.hears(amy)
    await hang_up(ben, amy)
    await world.sleep(28)
    await has_talked(world, amy, ann)


@story()
async def test_asked_twice_with_one_id_it_is_planned_once_also_over_a_restart(world: World) -> None:
    await calls_out(world, rules=RULES)
    asked: dict[str, Any] = {
        "client": "tech",
        "queue": SALES,
        "number": ANN,
        "not_before": utc(now(world).replace(hour=23)),
    }
    first = await ask(world, "callback_schedule", command="one", **asked)
    await world.restart()
    again = await ask(world, "callback_schedule", command="one", **asked)
    assert first["callback"]["id"] == again["callback"]["id"]
    assert len(world.house.callbacks) == 1
    await ask(world, "callback_cancel", callback=first["callback"]["id"], why="they wrote a letter")
    ended = await ask(world, "callback_schedule", command="one", **asked)
    assert (ended["callback"]["outcome"], len(world.house.callbacks)) == ("cancelled", 0)
    assert ended["callback"]["ended_why"] == "called_off: they wrote a letter"


@story()
async def test_asked_again_with_the_id_of_one_that_became_one_with_another_it_is_that_one_also_when_it_has_ended(
    world: World,
) -> None:
    """The answer was lost with the switch, and meanwhile the customer was called: they are not called once more."""
    ann = await customer_at(world, rules=RULES)
    first = await plan(world, ANN, after=900, reason="a quote")
    asked: dict[str, Any] = {"client": "tech", "queue": SALES, "number": ANN, "reason": "an invoice"}
    second = await ask(world, "callback_schedule", actor=BOSS, command="two", **asked)
    assert (second["merged"], second["callback"]["id"]) == (True, first)
    amy = await world.agent("amy", english=5)
    await has_talked(world, amy, ann)
    await world.settled()
    for _ in range(2):
        again = await ask(world, "callback_schedule", actor=BOSS, command="two", **asked)
        assert (again["merged"], again["callback"]["id"], again["callback"]["outcome"]) == (True, first, "reached")
        assert len(world.house.callbacks) == 0
        await world.restart()


@story()
async def test_an_agent_takes_over_no_callback_of_another_agents_by_planning_the_same(world: World) -> None:
    """Amy has promised Ann a call at three; Bob would have had it his, at another time, without being told."""
    world.trunks(trunk(await world.carrier("carrier")))
    await world.hire("amy", {"english": 5})
    furnish(world, rules=RULES)
    promised = await plan(world, ANN, after=900, reason="a quote", prefer="amy", actor=AMY)
    before = await shown(world, promised)
    later = utc(now(world) + timedelta(days=7))
    wanted = {"client": "tech", "number": ANN, "queue": SALES}
    for do, fields in (
        ("callback_schedule", {"not_before": later, "reason": "mine"}),
        ("followup_create", {"kind": "callback", "due_at": later, "title": "mine"}),
    ):
        with pytest.raises(CommandError) as refused:
            await ask_anything(world, do, BOB, **wanted, **fields)
        assert (refused.value.reason, refused.value.field) == (Reason.CONFLICT, "number")
        for secret in ("amy", "quote", promised, before["not_before"]):
            assert secret not in str(refused.value)
        assert await shown(world, promised) == before
    assert (await ask_anything(world, "followup_list", BOSS))["items"] == []
    mine = await ask(world, "callback_schedule", actor=AMY, **wanted, reason="and an invoice")
    assert (mine["merged"], mine["callback"]["id"], mine["callback"]["not_before"]) == (True, promised, None)
    of_boss = await ask(world, "callback_schedule", actor=BOSS, **wanted, not_before=later)
    assert (of_boss["callback"]["not_before"], of_boss["callback"]["created_by"]) == (later, "agent amy")
    changed = await ask(world, "callback_change", actor=AMY, callback=promised, prefer=None)
    assert (changed["callback"]["id"], changed["callback"]["prefer"]) == (promised, "")


@story()
async def test_what_a_customer_has_asked_for_an_agent_changes_who_has_talked_to_them_and_nobody_else(
    world: World,
) -> None:
    ann = await is_to_be_called_back(world, rules=RULES)
    sam = await world.agent("sam", support=5)
    permit(world, sam=DialRules(outside=("+1415",)))
    call = sam.starts_dialling(ANN)
    await ann.rings()
    await ann.answers()
    await ann.hears(sam)
    (asked,) = [each.value for each in world.house.callbacks]
    wanted = {"client": "tech", "queue": SALES, "number": ANN, "call": world.call_id(call)}
    wanted["not_before"] = later = utc(now(world) + timedelta(days=1))
    other = {**wanted, "number": BEN}
    without = {name: value for name, value in wanted.items() if name != "call"}
    with pytest.raises(CommandError) as refused:
        await ask(world, "callback_schedule", actor=agent("sam"), **without)
    assert refused.value.reason is Reason.CONFLICT
    with pytest.raises(CommandError) as refused:
        await ask(world, "callback_schedule", actor=AMY, **wanted)
    assert refused.value.reason is Reason.FORBIDDEN
    assert not (await ask(world, "callback_schedule", actor=agent("sam"), **other))["merged"]
    agreed = await ask(world, "callback_schedule", actor=agent("sam"), **wanted)
    assert (agreed["callback"]["id"], agreed["callback"]["not_before"]) == (asked.id, later)
    assert agreed["callback"]["created_by"] == "agent sam"
    await hang_up(ann, sam)


@story()
async def test_a_visitor_of_a_website_moves_no_callback_that_was_promised_in_another_way(world: World) -> None:
    """Whoever knows somebody's number could put off what an agent has promised them."""
    await calls_out(world, rules=RULES)
    promised = await plan(world, ANN, after=900, lasts=600, reason="a quote")
    before = await shown(world, promised)
    later = utc(now(world) + timedelta(days=7))
    visitor = await ask(world, "callback_schedule", client="tech", queue=SALES, number=ANN, source="call_me",
                        reason="call me", not_before=later)  # fmt: skip
    assert (visitor["merged"], visitor["callback"]["id"]) == (True, promised)
    after = await shown(world, promised)
    assert (after["not_before"], after["not_after"], after["source"]) == (
        before["not_before"], before["not_after"], before["source"],
    )  # fmt: skip
    assert after["reason"] == "a quote; call me"


@story()
async def test_two_wishes_for_one_number_and_queue_are_one_callback_and_those_for_two_queues_are_not_dialled_at_once(
    world: World,
) -> None:
    carrier = await calls_out(world, rules=replace(RULES, tries=1), manners=Manners(rings=None))
    first = await plan(world, ANN, after=900, reason="a quote")
    second = await ask(
        world, "callback_schedule", client="tech", queue=SALES, number=ANN, reason="an invoice", not_before=None
    )
    assert (second["merged"], second["callback"]["id"]) == (True, first)
    assert second["callback"]["reason"] == "a quote; an invoice"
    await plan(world, ANN, queue=HELP)
    assert len(world.house.callbacks) == 2
    amy, sam = await world.agent("amy", english=5), await world.agent("sam", support=5)
    await amy.rings()
    await sam.rings()
    await amy.answers()
    await sam.stops_ringing()
    await world.sleep(1)
    assert len(carrier.seen.invites) == 1
    await sam.rings_not(during=30)
    await amy.is_hung_up(within=20)
    await sam.rings()
    await sam.answers()
    await sam.is_hung_up(within=60)
    assert len(carrier.seen.invites) == 2
    await world.settled()
    assert [word for word in told(world) if word.startswith("given_up")] == ["given_up: tries"] * 2


@story()
async def test_what_it_takes_is_said_and_nothing_of_another_companys_is_seen(world: World) -> None:
    await calls_out(world, rules=RULES)
    good = {"client": "tech", "queue": SALES, "number": ANN}
    for wrong, reason, field in (
        ({"number": "+442079460000"}, Reason.INVALID, "number"),
        ({"number": ""}, Reason.INVALID, "number"),
        ({"queue": "nowhere"}, Reason.NOT_FOUND, "queue"),
        ({"client": "other"}, Reason.NOT_FOUND, "client"),
        ({"prefer": "nobody"}, Reason.NOT_FOUND, "prefer"),
        ({"not_after": "2020-01-01T10:00"}, Reason.INVALID, "not_after"),
        ({"not_before": "2099-01-01T10:00"}, Reason.INVALID, "not_before"),
        ({"not_before": "soon"}, Reason.INVALID, "not_before"),
        ({"zone": "Europe/Springfield"}, Reason.INVALID, "zone"),
        ({"mode": "both"}, Reason.INVALID, "mode"),
        ({"source": "caller"}, Reason.INVALID, "source"),
    ):
        with pytest.raises(CommandError) as refused:
            await ask(world, "callback_schedule", actor=BOSS, **{**good, **wrong})
        assert (refused.value.reason, refused.value.field) == (reason, field), str(refused.value)
    for each in ("amy", "bob", "cid"):
        await world.hire(each, {"english": 5})
    elsewhere = {**world.plan.agents, "cid": replace(world.plan.agents["cid"], clients=frozenset({"other"}))}
    world.plan = replace(world.plan, agents=elsewhere)
    world.house.dispatcher.tell(Reconfigured(world.plan))
    world.house.dispatcher.decide()
    for who in ("cid", "nobody"):
        with pytest.raises(CommandError) as refused:
            await ask(world, "callback_schedule", actor=BOSS, **good, prefer=who)
        assert (refused.value.reason, str(refused.value)) == (Reason.NOT_FOUND, f"no agent `{who}` serves tech")
    name = await plan(world, ANN, after=3600, actor=AMY)
    for do, fields in (
        ("callback_get", {}),
        ("callback_cancel", {}),
        ("callback_change", {"reason": "mine"}),
    ):
        with pytest.raises(CommandError) as refused:
            await ask(world, do, actor=STRANGER, callback=name, **fields)
        assert refused.value.reason is Reason.NOT_FOUND
    assert (await ask(world, "callback_list", actor=STRANGER))["items"] == []
    assert [each["id"] for each in (await ask(world, "callback_list", actor=BOB))["items"]] == [name]
    with pytest.raises(CommandError) as refused:
        await ask(world, "callback_change", actor=BOB, callback=name, reason="not mine")
    assert refused.value.reason is Reason.FORBIDDEN
    changed = await ask(world, "callback_change", actor=AMY, callback=name, reason="mine", prefer="bob")
    assert (changed["callback"]["reason"], changed["callback"]["prefer"]) == ("mine", "bob")
    await ask(world, "callback_cancel", actor=BOB, callback=name)
    assert (await ask(world, "callback_list", state="open"))["items"] == []
    assert [each["id"] for each in (await ask(world, "callback_list", state="cancelled"))["items"]] == [name]


# Windows


@story()
async def test_a_window_that_was_missed_is_made_up_for_or_has_expired_as_the_company_has_it(world: World) -> None:
    await calls_out(world, rules=RULES)
    await plan(world, ANN, after=60, lasts=120)
    await world.sleep(300)
    deferred = [fact.body for fact in world.facts if isinstance(fact.body, CallbackDeferred)]
    assert [each.reason for each in deferred] == ["window_missed"]
    assert len(world.house.callbacks) == 1
    furnish(world, rules=replace(RULES, missed=Missed.EXPIRE))
    await plan(world, BEN, after=60, lasts=120)
    await world.sleep(300)
    assert told(world)[-1] == "expired: window_missed"
    assert [each.value.number for each in world.house.callbacks] == [ANN]
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await world.sleep(2)
    await amy.hangs_up()


# Whoever rings in first


@story()
async def test_who_rings_in_before_the_time_is_asked_about_it_and_called_no_more_but_who_hangs_up_again_is(
    world: World,
) -> None:
    ann = await customer_at(world, rules=RULES)
    name = await plan(world, ANN, after=900, reason="a quote")
    await ann.dial("1000")
    await ann.hears("music")
    await ann.hangs_up()
    await world.settled()
    assert len(world.house.callbacks) == 1
    amy = await world.agent("amy", english=5)
    await ann.dial("1000")
    await amy.rings()
    pop = await amy.screen_pop()
    assert (pop["callback"]["id"], pop["callback"]["reason"], pop["callback"]["rang_in"]) == (name, "a quote", True)
    await amy.answers()
    await ann.hears(amy)
    await hang_up(ann, amy)
    await world.settled()
    assert told(world)[-1] == "cancelled: rang_in"


@story()
async def test_where_the_company_has_it_so_who_rings_in_is_called_all_the_same(world: World) -> None:
    ann = await customer_at(world, rules=replace(RULES, rings_in=RingsIn.KEEP))
    await plan(world, ANN, after=300, reason="a quote")
    amy = await world.agent("amy", english=5)
    await ann.dial("1000")
    await amy.rings()
    pop = await amy.screen_pop()
    assert pop["callback"] is None
    await amy.answers()
    await ann.hears(amy)
    await world.sleep(400)
    await hang_up(ann, amy)
    await world.sleep(28)
    await has_talked(world, amy, ann)


@story()
async def test_who_asks_in_the_flow_for_now_is_called_now_and_not_at_the_time_that_was_planned_before(
    world: World,
) -> None:
    ann = await customer_at(world, rules=RULES)
    name = await plan(world, ANN, after=9000, reason="a quote")
    await ann.dial("1000")
    await ann.hears("music")
    await asks(ann)
    await world.settled()
    assert [each.value.id for each in world.house.callbacks] == [name]
    amy = await world.agent("amy", english=5)
    await has_talked(world, amy, ann)


@story()
async def test_who_is_on_the_phone_with_us_is_not_called_back_before_that_talk_is_over(world: World) -> None:
    """Planned for at once in the talk, by the agent; Bob, who is free, does not dial them."""
    ann = await customer_at(world, rules=RULES)
    amy, bob = await world.agent("amy", english=5), await world.agent("bob", english=3)
    call = await ann.dial("1000")
    await amy.rings()
    await amy.answers()
    await ann.hears(amy)
    name = world.house.supervisor.call_of(next(iter(world.house.supervisor.calls.values())).caller.leg)
    assert name is not None
    with pytest.raises(CommandError):
        await ask(world, "callback_schedule", actor=BOB, call=name.id)
    answer = await ask(world, "callback_schedule", actor=AMY, call=name.id, reason="the rest of it")
    planned = answer["callback"]
    assert (planned["number"], planned["queue"], planned["state"], planned["source"]) == (ANN, SALES, "held", "agent")
    await bob.rings_not(during=30)
    await hang_up(ann, amy)
    saved = await world.interaction(call)
    assert (saved.outcome, saved.callback) == (Outcome.HANDLED, planned["id"])
    await talk(world, bob, ann)
    behind = await ask(world, "callback_schedule", actor=AMY, call=name.id, not_before="2026-03-03T10:00")
    assert (behind["callback"]["state"], behind["callback"]["number"]) == ("held", ANN)
    await hang_up(ann, bob)
    await world.settled()
    assert (await shown(world, behind["callback"]["id"]))["state"] == "planned"
    await ask(world, "callback_cancel", callback=behind["callback"]["id"])


@story()
async def test_nobody_is_called_back_while_an_agent_dials_their_number_by_hand(world: World) -> None:
    """One number is dialled once at a time: Amy tries Ann at once, and Bob, who is free, is not offered her."""
    ann = await customer_at(world, rules=RULES)
    sam = await world.agent("sam", support=5)
    permit(world, sam=DialRules(outside=("+1415",)))
    sam.starts_dialling(ANN)
    await ann.rings()
    name = await plan(world, ANN)
    bob = await world.agent("bob", english=3)
    await bob.rings_not(during=5)
    assert (await shown(world, name))["state"] == "held"
    await sam.hangs_up()
    await ann.stops_ringing()
    await has_talked(world, bob, ann)


# Spacing, restarts


@story()
async def test_the_next_try_comes_so_late_as_the_cause_asks_and_so_often_a_day(world: World) -> None:
    carrier = await world.carrier("carrier")
    carrier.manners = Manners(status=486)
    world.trunks(trunk(carrier))
    rules = replace(RULES, tries=3, spacing_by={"busy": 120.0, "declined": 3000.0}, tries_per_day=2)
    furnish(world, rules=rules)
    name = await plan(world, ANN)
    amy = await world.agent("amy", english=5)
    began = now(world)
    await amy.rings()
    await amy.answers()
    await amy.is_hung_up()
    carrier.manners = Manners(status=603)
    await amy.rings_not(during=110)
    await amy.rings(within=20)
    await amy.answers()
    await amy.is_hung_up()
    await world.sleep(10)
    each = await shown(world, name)
    assert [attempt["cause"] for attempt in each["history"]] == ["busy", "declined"]
    assert each["next_at"][:10] > began.isoformat()[:10], "twice a day is enough"
    await ask(world, "callback_cancel", callback=name)


@story()
async def test_a_crash_in_the_attempt_leaves_it_interrupted_and_nobody_is_dialled_while_it_may_still_ring(
    world: World,
) -> None:
    rules = replace(RULES, spacing=300.0, spacing_by={"interrupted": 30.0})
    carrier = await calls_out(world, rules=rules, manners=Manners(rings=None))
    name = await plan(world, ANN)
    amy = await world.agent("amy", english=5)
    await amy.rings()
    await amy.answers()
    await world.sleep(2)
    assert len(carrier.seen.invites) == 1
    lease = (await world.storage.callbacks.load_all())[0].lease
    assert lease is not None
    await world.restart(crash=True)
    amy.drops()
    await world.sleep(45)
    assert len(carrier.seen.invites) == 1
    each = await shown(world, name)
    assert [(attempt["number"], attempt["cause"]) for attempt in each["history"]] == [(1, "interrupted")]
    for call in carrier.calls:
        call.leg.reject(480)
    carrier.manners = Manners()
    await amy.rings(within=60)
    await amy.answers()
    await world.sleep(2)
    attempts = [fact for fact in await world.logged() if isinstance(fact.body, CallbackAttempted)]
    assert len(attempts) == 2
    assert attempts[1].at >= lease.until
    await amy.hangs_up()


@story()
async def test_one_that_is_planned_outlasts_a_crash_and_is_not_due_earlier_by_it(world: World) -> None:
    ann = await customer_at(world, rules=RULES)
    name = await plan(world, ANN, after=600)
    await world.restart(crash=True)
    amy = await world.agent("amy", english=5)
    await amy.rings_not(during=550)
    await world.restart()
    await amy.rings(within=60)
    await talks_to(amy, ann)
    await world.settled()
    assert (await shown(world, name))["outcome"] == "reached"


@story()
async def test_a_queue_that_is_gone_takes_what_is_planned_with_it_and_says_so(world: World) -> None:
    await calls_out(world, rules=RULES)
    name = await plan(world, ANN, after=600)
    furnish(world, ToQueue(HELP), queues=(HELP,))
    await world.settled()
    each = await shown(world, name)
    assert (each["outcome"], each["ended_why"]) == ("removed", "queue_removed")


@story()
async def test_what_was_refused_because_it_could_not_be_written_is_planned_when_it_is_asked_for_again(
    world: World,
) -> None:
    await calls_out(world, rules=RULES)
    asked: dict[str, Any] = {
        "client": "tech",
        "queue": SALES,
        "number": ANN,
        "not_before": utc(now(world) + timedelta(hours=3)),
    }
    with (
        patch.object(world.storage.callbacks, "kept", side_effect=TimeoutError),
        pytest.raises(CommandError) as refused,
    ):
        await ask(world, "callback_schedule", command="one", **asked)
    assert refused.value.reason is Reason.UNAVAILABLE
    assert len(world.house.callbacks) == 0
    await world.settled()
    again = await ask(world, "callback_schedule", command="one", **asked)
    assert (again["callback"]["state"], len(world.house.callbacks)) == ("planned", 1)
    await world.restart()
    assert (await shown(world, again["callback"]["id"]))["state"] == "planned"


@story()
async def test_of_two_for_one_number_whose_queues_are_one_behind_a_restart_one_ends_and_that_is_told(
    world: World,
) -> None:
    await calls_out(world, rules=RULES)
    sales, helped = await plan(world, ANN, after=3600), await plan(world, ANN, after=7200, queue=HELP)
    calls = world.settings.calls
    world.plan = replace(world.plan, queues={HELP: world.plan.queues[HELP]}, renamed={SALES: HELP})
    world.settings = replace(world.settings, calls=replace(calls, treatments={HELP: calls.treatments[HELP]}))
    await world.restart()
    await world.settled()
    states = [(await shown(world, name))["state"] for name in (sales, helped)]
    assert states == ["removed", "planned"]
    log = await world.logged()
    ends = [(fact.body.callback, fact.body.detail) for fact in log if isinstance(fact.body, CallbackEnded)]
    assert ends == [(sales, "queue_removed")]


@story()
async def test_a_time_is_meant_by_the_customers_clocks_however_the_number_is_written(world: World) -> None:
    await calls_out(world, rules=RULES)
    name = await plan(world, "(415) 555-0101", not_before="2026-06-01T10:00")
    kept = await shown(world, name)
    assert (kept["number"], kept["zone"]) == (ANN, "America/Los_Angeles")
    assert kept["not_before"] == "2026-06-01T17:00:00.000Z"


@story()
async def test_a_clock_that_is_set_back_keeps_nobody_from_being_called_who_is_due(world: World) -> None:
    ann = await customer_at(world, rules=RULES)
    name = await plan(world, ANN)
    world.clock.set_wall(timedelta(hours=-2))
    await world.sleep(125)
    assert (await shown(world, name))["state"] == "in_line"
    # As a mistake of ours would end the turn: it is begun anew half a minute later, whatever the clock shows.
    (each,) = world.house.callbacks
    assert each.call is not None
    each.call.end(Ending(Side.SYSTEM, EndCause.CANCELLED, 487, "a mistake"))
    each.call.caller.leg.hangup()
    await world.settled()
    assert (await shown(world, name))["state"] == "planned"
    world.clock.set_wall(timedelta(hours=-4))
    await world.sleep(95)
    assert (await shown(world, name))["state"] == "in_line"
    amy = await world.agent("amy", english=5)
    await has_talked(world, amy, ann)


@story()
async def test_an_attempt_counts_for_its_day_however_many_decline_after_it(world: World) -> None:
    await calls_out(world, rules=RULES)
    await plan(world, ANN, after=600)
    callbacks, at = world.house.callbacks, now(world)
    (each,) = callbacks
    declined = [Attempt(0, at, "amy", cause="declined_by_agent")] * 49
    each.value = replace(each.value, attempts=1, history=(Attempt(1, at, "amy", cause="busy"), *declined))
    verdict = callbacks.previews.show(each, "bob")
    assert callbacks.previews.decide("bob", False, "knows them")
    assert not await verdict
    assert [tried.number for tried in each.value.history] == [1] + [0] * 49
    assert each.value.history[-1].agent == "bob"
