"""What a reload does to whom: the rules that ``callcenter reload`` tells before it acts, each as it is complained of.

Who is there keeps what is theirs (state, place, talk, figures), and what is removed is gone, with nothing left of it.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from callcenter.acd.requirements import Requirement
from callcenter.calls.settings import QueueTreatment
from callcenter.config import Settings
from callcenter.model.facts import CallArrived, OfferMade, QueueLeft
from callcenter.model.states import Device, Intent, OfferResult, VisitOutcome, Work
from callcenter.publish import topics
from callcenter.signaling.outcome import Answered
from callcenter.simulation.world import World, story
from tests.scenarios.test_reload import present, reload, without_agents, without_queue
from tests.scenarios.trunks import accepts, trunk


@story()
async def test_a_reload_resets_no_counter_and_no_state(world: World) -> None:
    """Agents keep their choice, wrap-up, pause, and place among the idle; queues keep their line and figures."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=5)
    cas = await world.agent("cas", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await amy.answers()
    await world.sleep(10)
    await caller.hangs_up()
    await world.settled()  # Amy wraps up
    await bob.dials_code("*21")  # and Bob is at lunch
    await world.settled()
    other = await world.phone("+14155550101")
    await other.dial("1000")
    await other.press("1")
    await cas.rings()
    await cas.declines()
    await world.settled()

    await world.sleep(2)
    acd, board = world.house.acd, world.house.queue_board
    before = acd.agents(), acd.deadline, acd.waiting("sales-english"), board.shown("sales-english")
    retained = dict(world.publisher.retained)
    await reload(world, present(world))
    after = acd.agents(), acd.deadline, acd.waiting("sales-english"), board.shown("sales-english")
    for old, new in zip(before, after, strict=True):
        assert new == old
    assert [(each.id, each.work, each.intent) for each in acd.agents()] == [
        ("amy", Work.WRAP_UP, Intent.READY),
        ("bob", Work.IDLE, Intent.NOT_READY),
        ("cas", Work.IDLE, Intent.READY),
    ]
    await world.settled()
    told = {topic: value for topic, value in world.publisher.retained.items() if topic != topics.CONFIG}
    assert told == {topic: value for topic, value in retained.items() if topic != topics.CONFIG}
    await other.hangs_up()


@story()
async def test_a_member_who_was_taken_out_of_a_queue_gets_no_call_of_it_any_more(world: World) -> None:
    """Twice: by the skill that he has no more, and by the list of the queues that are his."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=2)
    full = world.plan
    for gone in (
        replace(full.agents["amy"], skills={"spanish": 5}),
        replace(full.agents["amy"], queues=frozenset({"sales-spanish"})),
    ):
        await reload(world, present(world, replace(full, agents={**full.agents, "amy": gone})))
        caller = await world.phone(f"+1415555010{gone.skills.get('english', 0)}")
        await world.connect(caller, bob)
        await caller.hangs_up()
        await world.sleep(60)
        view = world.house.acd.agent("amy")
        assert view is not None
        assert (view.intent, view.device) == (Intent.READY, Device.REGISTERED), "signed in as before"
    offered = [fact.body.agent for fact in world.facts if isinstance(fact.body, OfferMade)]
    assert offered == ["bob", "bob"]
    await reload(world, present(world, full))
    caller = await world.phone("+14155550199")
    await world.connect(caller, amy)
    await caller.hangs_up()


@story()
async def test_who_waits_is_asked_of_agents_what_the_queue_asks_now(world: World) -> None:
    """In the night shift nobody has English 2: the operator asks less, and those who wait are served at once."""
    amy = await world.agent("amy", english=1)
    first, second = await world.phone("+14155550100"), await world.phone("+14155550101")
    for phone in (first, second):
        await phone.dial("1000")
        await phone.press("1")
        await phone.hears("music", within=20)
    await world.sleep(1)
    before = world.house.acd.waiting("sales-english")
    less = replace(world.plan.queues["sales-english"], requirements=(Requirement("english", 1),))
    plan = replace(world.plan, queues={**world.plan.queues, "sales-english": less})
    await reload(world, present(world, plan))
    await amy.rings()
    waiting = world.house.acd.waiting("sales-english")
    assert [(each.id, each.position, each.joined) for each in waiting] == [
        (each.id, each.position, each.joined) for each in before
    ], "each on the place that they had"
    assert waiting[0].agent == "amy"
    await amy.answers()
    await first.hears(amy)

    # And when more is asked again, who waits waits for that.
    more = replace(less, requirements=(Requirement("english", 3),))
    await reload(world, present(world, replace(plan, queues={**plan.queues, "sales-english": more})))
    await first.hangs_up()
    await world.sleep(60)
    assert world.house.acd.available("amy")
    assert len(world.house.acd.waiting("sales-english")) == 1
    await second.hangs_up()


def with_new_name(world: World, **changed: Any) -> Settings:
    """The configuration in force, in which ``sales-english`` is ``sales`` now."""
    plan, calls = world.plan, world.house.settings.calls
    queues = {name: queue for name, queue in plan.queues.items() if name != "sales-english"}
    queues["sales"] = replace(plan.queues["sales-english"], id="sales", **changed)
    treatments = {name: each for name, each in calls.treatments.items() if name != "sales-english"}
    treatments["sales"] = QueueTreatment("sales", "default")
    renamed = replace(plan, queues=queues, renamed={"sales-english": "sales"})
    return present(world, renamed, treatments=treatments)


@story()
async def test_callers_of_a_queue_that_is_renamed_keep_their_places_under_the_new_name(world: World) -> None:
    amy = await world.agent("amy", english=5)
    await amy.dials_code("*21")
    phones = [await world.phone(f"+1415555010{number}") for number in range(3)]
    for phone in phones:
        await phone.dial("1000")
        await phone.press("1")
        await phone.hears("music", within=20)
        await world.sleep(10)
    await world.sleep(1)
    before = [each.first_joined for each in world.house.acd.waiting("sales-english")]
    late = await world.phone("+14155550109")
    await late.dial("1000")  # and is in the menu still, which leads to the old name
    await reload(world, with_new_name(world))
    await world.settled()
    assert world.house.acd.waiting("sales-english") == ()
    assert [each.first_joined for each in world.house.acd.waiting("sales")] == before
    await late.press("1")
    await late.hears("music", within=20)
    await amy.dials_code("*20")
    for phone in (*phones, late):
        await amy.rings(within=60)
        await amy.answers()
        await phone.hears(amy)
        await phone.hangs_up()
        await world.sleep(31)  # the wrap-up
    left = [fact.body for fact in world.facts if isinstance(fact.body, QueueLeft)]
    assert [(each.queue, each.outcome, each.reason) for each in left] == [
        *[("sales-english", VisitOutcome.FLOWED_OUT, "queue_renamed")] * 3,
        ("sales-english", VisitOutcome.REFUSED, "queue_renamed"),
        *[("sales", VisitOutcome.ANSWERED, "")] * 4,
    ]


@story()
async def test_a_phone_that_rings_for_a_queue_that_is_renamed_rings_on_and_the_talk_owes_its_wrap_up(
    world: World,
) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await reload(world, with_new_name(world))
    await world.sleep(5)
    await amy.answers()
    await caller.hears(amy)
    await caller.hangs_up()
    await world.settled()
    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.work is Work.WRAP_UP
    left = [fact.body for fact in world.facts if isinstance(fact.body, QueueLeft)]
    assert [(each.queue, each.outcome) for each in left] == [("sales-english", VisitOutcome.ANSWERED)]


@story()
async def test_a_phone_that_rings_in_vain_for_a_queue_that_is_renamed_sends_the_caller_to_the_new_name(
    world: World,
) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await reload(world, with_new_name(world))
    await amy.declines()
    await world.settled()
    assert [each.position for each in world.house.acd.waiting("sales")] == [1]
    await caller.hears("music")
    await caller.hangs_up()


@story()
async def test_a_removed_number_and_code_are_gone_for_the_next_who_dials_them(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")  # and stays in the menu
    calls = world.house.settings.calls
    codes = {code: each for code, each in calls.feature_codes.items() if code != "*21"}
    languages = world.settings.calls.agent_languages
    await reload(world, present(world, numbers={}, feature_codes=codes, agent_languages=languages))
    other = await world.phone("+14155550101")
    for dialled in ("1000", "+18005550100"):
        with pytest.raises(AssertionError, match="404"):
            await other.dial(dialled)
    with pytest.raises(AssertionError):
        await amy.dials_code("*21")
    assert await amy.dials_code("*22") == ["agent-not-ready.en", "reason-break.en"]
    await amy.dials_code("*20")
    await caller.press("1")
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    await caller.hangs_up()


@story()
async def test_a_removed_trunk_is_a_stranger_and_its_calls_go_on(world: World) -> None:
    carrier = await world.carrier("carrier")
    world.trunks(trunk(carrier, accept=accepts(carrier)))
    world.house.settings = replace(world.house.settings, trunks=world.settings.trunks)
    call, outcome = await carrier.calls_in("+18005550100")
    assert isinstance(outcome, Answered)
    await reload(world, replace(present(world), trunks={}))
    assert world.house.trunks.get("carrier") is None
    await world.settled()
    assert topics.trunk_state("carrier") not in world.publisher.retained
    other, outcome = await carrier.calls_in("+18005550100")
    assert isinstance(outcome, Answered), "as anybody's who dials a number of ours"
    assert [fact.body.trunk for fact in world.facts if isinstance(fact.body, CallArrived)] == ["carrier", ""]
    call.leg.hangup()
    other.leg.hangup()


@story()
async def test_nothing_is_left_of_what_is_removed_all_at_once(world: World) -> None:
    """Agent, queue and all: no topic, no view, no phone, no place, after the calls that knew them are over."""
    amy = await world.agent("amy", english=5)
    await world.agent("bob", english=3, spanish=3)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    waits = await world.phone("+14155550101")
    await waits.dial("1000")
    await waits.press("2")
    await waits.hears("music", within=20)
    house = world.house
    await reload(world, present(world, without_queue(without_agents(world.plan, "amy", "bob"), "sales-english")))
    await caller.hears(amy)
    await caller.hangs_up()
    await world.sleep(31)
    assert house.acd.agents() == ()
    assert [house.registrar.bindings(name) for name in ("amy", "bob")] == [(), ()]
    assert not any("amy" in topic or "bob" in topic or "sales-english" in topic for topic in world.publisher.retained)
    assert house.queue_board.shown("sales-english") is None
    await waits.hangs_up()
    await world.settled()
    left = [fact.body for fact in world.facts if isinstance(fact.body, QueueLeft)]
    assert [each.outcome for each in left] == [VisitOutcome.ANSWERED, VisitOutcome.ABANDONED]


@story()
async def test_fifty_reloads_of_a_busy_floor_touch_nobody_whom_they_do_not_mean(world: World) -> None:
    """Callers come, wait, talk and go; queues, agents and times change; what is not meant by a change is as it was."""
    draw = Random(50)
    amy = await world.agent("amy", english=5)
    await world.agent("bob", english=3)
    cas = await world.agent("cas", spanish=5)
    full = world.plan
    talker = await world.phone("+14155550100")
    call = await world.connect(talker, amy)
    await cas.dials_code("*21")
    callers = [await world.phone(f"+1415555011{number}") for number in range(4)]
    for caller in callers:
        await caller.dial("1000")
        await caller.press("1")
        await caller.hears("music", within=20)
    await world.sleep(1)
    line = [each.call_id for each in world.house.acd.waiting("sales-english")]
    joined = [(each.joined, each.first_joined) for each in world.house.acd.waiting("sales-english")]
    for number in range(50):
        agents = dict(full.agents)
        for guest in ("gil", "gus"):
            if draw.random() < 0.5:
                agents[guest] = replace(full.agents["bob"], id=guest, name=guest.title())
        queue = replace(
            full.queues["sales-english"], ring_for=draw.choice((15.0, 20.0)), max_waiting=draw.choice((1, 9))
        )
        queues = {**full.queues, "sales-english": queue}
        if draw.random() < 0.5:
            queues["spare"] = replace(full.queues["sales-spanish"], id="spare")
        await reload(world, present(world, replace(full, queues=queues, agents=agents)))
        await world.sleep(draw.choice((0.0, 0.02, 1.0)))
        acd = world.house.acd
        assert {view.id for view in acd.agents()} == agents.keys(), f"reload {number}"
        waiting = acd.waiting("sales-english")
        assert [each.call_id for each in waiting] == line
        assert [(each.joined, each.first_joined) for each in waiting] == joined
        views = {view.id: view for view in acd.agents()}
        assert (views["amy"].work, views["cas"].intent, views["cas"].reason) == (
            Work.TALKING,
            Intent.NOT_READY,
            "lunch",
        )
        assert views["bob"].work in (Work.RESERVED, Work.RINGING) or views["bob"].intent is Intent.NOT_READY
        assert world.hear_each_other(talker, amy)
    for caller in callers:
        await caller.hangs_up()
    await talker.hangs_up()
    saved = await world.interaction(call)
    assert saved.offers == (("amy", OfferResult.ACCEPTED),)
