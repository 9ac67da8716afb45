"""What was promised to a customer is told when it is due, once, to whom it concerns, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from callcenter.acd.events import Reconfigured, RosterChanged
from callcenter.calls.settings import PROMISE, CallbackRules, Missed, Routing
from callcenter.control.protocol import CommandError, Reason
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.facts import Fact, FollowupChanged, body_to_dict, utc
from callcenter.model.followup import FollowupRules
from callcenter.publish import topics
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import AgentPhone, World, story, tell
from tests.scenarios.callbacks import ANN, furnish, talk
from tests.scenarios.carrier import reaches
from tests.scenarios.commands import agent, ask, supervisor
from tests.scenarios.test_flow_steps import know_customers

SALES, SPANISH = "sales-english", "sales-spanish"
# A customer of the base: t-1.
GRACE = "+12025550111"
AMY, BOB = agent("amy"), agent("bob")


async def promised(world: World, due: str = "in 2h", actor: Actor | None = None, **more: Any) -> dict[str, Any]:
    """A new follow-up as it is answered; of the sales queue where nobody is named."""
    if actor is None and not more.keys() & {"agent", "queue"}:
        more["queue"] = SALES
    fields = {"client": "tech", "title": "Send the offer", "due_at": due, **more}
    told: dict[str, Any] = (await ask(world, "followup_create", actor, **fields))["followup"]
    return told


async def told(world: World) -> list[str]:
    """What the log has of follow-ups, in words, without those who did it."""
    return [words(fact) for fact in await world.logged() if fact.kind.startswith("Followup")]


def words(fact: Fact) -> str:
    word = fact.kind.removeprefix("Followup").lower()
    return f"{word} {' '.join(fact.body.what)}" if isinstance(fact.body, FollowupChanged) else word


def ruled(world: World, **rules: Any) -> None:
    tech = world.settings.calls.clients["tech"]
    world.furnish(clients={"tech": replace(tech, followups=FollowupRules(**rules))})
    world.house.followups.reconfigured()


def counted(world: World, name: str) -> tuple[int, int, int] | None:
    state = world.publisher.retained.get(topics.agent_followups(name))
    return None if state is None else (state["open"], state["due"], state["overdue"])


# Time


@story()
async def test_it_is_reminded_of_due_and_overdue_each_once_at_its_time(world: World) -> None:
    ruled(world, remind=900.0, overdue_after=1800.0)
    begun = world.clock.now()
    await promised(world)
    for minutes, so_far in (
        (104, []),
        (106, ["reminded"]),
        (121, ["reminded", "due"]),
        (151, ["reminded", "due", "overdue"]),
        (600, ["reminded", "due", "overdue"]),
    ):
        await world.sleep((begun + timedelta(minutes=minutes) - world.clock.now()).total_seconds())
        assert await told(world) == ["created", *so_far]


@story()
async def test_what_fell_due_while_we_were_down_is_told_at_the_start_and_what_was_told_is_not_told_again(
    world: World,
) -> None:
    first = await promised(world, "in 10 min")
    second = await promised(world, "in 20 min")
    await world.sleep(660)
    assert await told(world) == ["created", "created", "due"]
    for crash in (True, False):
        await world.restart(down=660, crash=crash)
        await world.settled()
    due = [fact.body for fact in await world.logged() if fact.kind == "FollowupDue"]
    assert [body_to_dict(body)["followup"] for body in due] == [first["id"], second["id"]]
    await world.sleep(7200)
    assert sorted(await told(world)) == ["created", "created", "due", "due", "overdue", "overdue"]


@story(zone=ZoneInfo("America/New_York"), begins=datetime(2026, 3, 7, 15, tzinfo=UTC))
async def test_ten_o_clock_tomorrow_is_ten_o_clock_also_when_the_clocks_change_at_night(world: World) -> None:
    """Saturday, 10:00 in New York; on Sunday the day has 23 hours."""
    begun = world.clock.now()
    at_ten = await promised(world, "tomorrow 10:00")
    left_out = await promised(world, "tomorrow 2:30")
    assert (at_ten["due_at"], at_ten["due_local"]) == ("2026-03-08T14:00:00.000Z", "2026-03-08T10:00")
    assert (left_out["due_at"], left_out["due_local"]) == ("2026-03-08T07:30:00.000Z", "2026-03-08T03:30")
    assert at_ten["zone"] == "America/New_York"
    elsewhere = await promised(world, "tomorrow 10:00", zone="Europe/Madrid")
    assert elsewhere["due_at"] == "2026-03-08T09:00:00.000Z"
    await world.sleep(23 * 3600 - 1)
    assert "due" in await told(world)
    due = [(body_to_dict(fact.body)["followup"], fact.at - begun) for fact in await world.logged()
           if fact.kind == "FollowupDue"]  # fmt: skip
    await world.sleep(2)
    last = [fact for fact in await world.logged() if fact.kind == "FollowupDue"][-1]
    due.append((body_to_dict(last.body)["followup"], last.at - begun))
    assert [each for each, _ in due] == [left_out["id"], elsewhere["id"], at_ten["id"]]
    assert due[-1][1] == timedelta(hours=23)


@story()
async def test_a_clock_that_is_set_back_tells_nothing_twice_and_one_that_is_set_forward_is_seen_in_a_minute(
    world: World,
) -> None:
    await promised(world, "in 10 min")
    await promised(world, "in 3h")
    await world.sleep(601)
    world.clock.set_wall(timedelta(minutes=-30))
    await world.sleep(3600)
    assert await told(world) == ["created", "created", "due"]
    world.clock.set_wall(timedelta(hours=3))
    await world.sleep(61)
    assert sorted(await told(world)) == ["created", "created", "due", "due", "overdue"]


@story()
async def test_another_time_is_told_anew_and_one_that_is_done_or_off_is_not_told(world: World) -> None:
    moved, done, off = [await promised(world, "in 10 min") for _ in range(3)]
    await ask(world, "followup_done", followup=done["id"])
    await ask(world, "followup_cancel", followup=off["id"], note="bought elsewhere")
    await world.sleep(601)
    await ask(world, "followup_update", followup=moved["id"], due_at="in 1h")
    await world.sleep(3601)
    expected = ["created"] * 3 + ["done", "cancelled", "due", "changed due_at due_local", "due"]
    assert await told(world) == expected
    again = (await ask(world, "followup_reopen", followup=done["id"], due_at="in 5 min"))["followup"]
    assert (again["state"], again["done_by"], again["done_at"]) == ("open", None, None)
    await world.sleep(301)
    assert (await told(world))[-2:] == ["changed due_at due_local state", "due"]
    # Open again until the same time, it is not told again that it was due.
    await ask(world, "followup_done", followup=done["id"])
    await ask(world, "followup_reopen", followup=done["id"])
    await world.sleep(600)
    assert (await told(world))[-2:] == ["done", "changed state"]


def test_no_follow_up_is_lost_and_none_is_told_twice_whenever_the_power_fails() -> None:
    """The power fails at each fact of the story in turn; who asked asks again with the same id."""
    at = 0
    while crashed_at_fact(at):
        at += 1
    assert at == 10


def crashed_at_fact(at: int) -> bool:
    """Tell the story, and let the power fail with its fact number ``at``; whether there was one."""
    failed = False

    async def live(world: World) -> None:
        nonlocal failed
        count, fails = 0, asyncio.Event()

        def watch(fact: Fact) -> None:
            nonlocal count
            if fact.kind.startswith("Followup"):
                if count == at:
                    fails.set()
                count += 1

        async def fail() -> None:
            nonlocal failed
            await fails.wait()
            failed = True
            await world.restart(down=30, crash=True)
            world.house.stream.subscribe(watch)

        world.house.stream.subscribe(watch)
        ruled(world, remind=60.0, overdue_after=120.0)
        failing = asyncio.create_task(fail())
        calls: list[tuple[str, dict[str, Any]]] = [
            ("followup_create", {"client": "tech", "title": "one", "queue": SALES, "due_at": "in 3 min"}),
            ("followup_create", {"client": "tech", "title": "two", "queue": SALES, "due_at": "in 5 min"}),
        ]
        ids = [await until_answered(world, do, f"c{at}", **fields) for at, (do, fields) in enumerate(calls)]
        assert ids[0] != ids[1]
        await world.sleep(200)
        await until_answered(world, "followup_attempt", "a1", followup=ids[0], outcome="no_answer")
        await until_answered(world, "followup_update", "u1", followup=ids[0], due_at="in 4 min")
        await world.sleep(20)
        await until_answered(world, "followup_done", "d1", followup=ids[1])
        await world.sleep(700)
        if failed:
            await failing
        failing.cancel()
        found = (await ask(world, "followup_list", client="tech"))["items"]
        assert {each["id"]: each["state"] for each in found} == {ids[0]: "open", ids[1]: "done"}
        logged = [fact for fact in await world.logged() if fact.kind.startswith("Followup")]
        facts = [(fact.kind, body_to_dict(fact.body)) for fact in logged]
        for kind in ("FollowupCreated", "FollowupReminded", "FollowupDue", "FollowupOverdue", "FollowupDone"):
            of_kind = [(body["followup"], body.get("due_at")) for told, body in facts if told == kind]
            assert len(of_kind) == len(set(of_kind)), f"{kind} twice"
        due = [body["followup"] for told, body in facts if told == "FollowupDue"]
        assert due.count(ids[0]) == 2, "it was due, and due again at another time"
        assert [told for told, body in facts if body["followup"] == ids[1]].count("FollowupDone") == 1

    tell(live, seed=at)
    return failed


async def until_answered(world: World, do: str, id: str, **fields: Any) -> str:
    """Ask until there is an answer, as a program does whose switch is away."""
    while True:
        if world.up:
            house = world.house
            try:
                answer = await ask(world, do, None, id, **fields)
            except CommandError as error:
                if error.reason is not Reason.UNAVAILABLE:
                    raise
            else:
                if world.house is house:  # else the power failed on the way
                    name: str = answer["followup"]["id"]
                    return name
        await world.sleep(1)


# Whose it is


@story()
async def test_who_promises_has_it_and_each_agent_is_told_how_many(world: World) -> None:
    await world.agent("amy", english=5)
    await world.agent("bob", english=5)
    first = await promised(world, "in 10 min", AMY)
    await promised(world, "in 20 min", AMY)
    assert (first["agent"], first["made_by"], first["created_by"]) == ("amy", "amy", "agent amy")
    await world.settled()
    assert (counted(world, "amy"), counted(world, "bob")) == ((2, 0, 0), None)
    await world.sleep(601)
    assert counted(world, "amy") == (2, 1, 0)
    await ask(world, "followup_done", AMY, followup=first["id"])
    await ask(world, "followup_assign", supervisor(), followup=(await promised(world, actor=AMY))["id"], agent="bob")
    await world.settled()
    assert (counted(world, "amy"), counted(world, "bob")) == ((1, 0, 0), (1, 0, 0))
    retained = str(world.publisher.retained)
    assert "Send the offer" not in retained


@story()
async def test_what_is_a_queues_is_taken_by_one_agent_alone_and_given_back(world: World) -> None:
    await world.agent("amy", english=5)
    await world.agent("bob", english=5)
    each = await promised(world, queue=SALES)
    assert (await ask(world, "followup_take", AMY, followup=each["id"]))["followup"]["agent"] == "amy"
    with pytest.raises(CommandError, match="it is amy's already") as refused:
        await ask(world, "followup_take", BOB, followup=each["id"])
    assert refused.value.reason is Reason.CONFLICT
    with pytest.raises(CommandError, match="a supervisor changes it") as refused:
        await ask(world, "followup_done", BOB, followup=each["id"])
    assert refused.value.reason is Reason.FORBIDDEN
    with pytest.raises(CommandError, match="a supervisor gives work to others"):
        await ask(world, "followup_assign", AMY, followup=each["id"], agent="bob")
    given = (await ask(world, "followup_assign", AMY, followup=each["id"], queue=SALES))["followup"]
    assert (given["agent"], given["queue"], given["revision"]) == (None, SALES, 3)
    with pytest.raises(CommandError, match="assign it to one"):
        await ask(world, "followup_take", supervisor(), followup=each["id"])


@story()
async def test_those_of_an_agent_or_a_queue_that_is_gone_stand_in_a_queue(world: World) -> None:
    await world.hire("amy", {"english": 5})
    hers = await promised(world, "in 10 min", AMY)
    theirs = await promised(world, "in 20 min", queue=SPANISH)
    kept = await promised(world, "in 30 min", queue=SALES)
    plan = world.plan
    world.plan = replace(plan, agents={}, queues={SALES: plan.queues[SALES]})
    world.house.dispatcher.tell(Reconfigured(world.plan))
    world.house.dispatcher.decide()
    world.house.followups.reconfigured()
    await world.settled()
    handed = await told(world)
    assert handed[3:] == ["changed agent queue", "changed agent queue"]
    owners = {each["id"]: (each["agent"], each["queue"]) for each in (await ask(world, "followup_list"))["items"]}
    assert owners == dict.fromkeys((hers["id"], theirs["id"], kept["id"]), (None, SALES))
    # Also when they were gone at the next start.
    world.plan = plan
    await world.restart()
    late = await promised(world, "in 10 min", queue=SPANISH)
    world.plan = replace(plan, queues={SALES: plan.queues[SALES]})
    await world.restart()
    assert (await ask(world, "followup_get", followup=late["id"]))["followup"]["queue"] == SALES


# Who may see it


@story()
async def test_another_companys_follow_up_is_as_if_it_were_not_there(world: World) -> None:
    each = await promised(world)
    stranger = supervisor("eve", "others")
    for do in ("followup_get", "followup_done", "followup_cancel", "followup_reopen", "followup_take"):
        with pytest.raises(CommandError, match="there is no follow-up") as refused:
            await ask(world, do, stranger, followup=each["id"])
        assert refused.value.reason is Reason.NOT_FOUND
    assert (await ask(world, "followup_list", stranger))["items"] == []
    with pytest.raises(CommandError, match="there is no client"):
        await ask(world, "followup_create", stranger, client="tech", title="x", due_at="in 1h")
    reader = Actor("crm", Role.AGENT, frozenset({"tech"}), frozenset({Scope.FOLLOWUPS_READ}))
    assert len((await ask(world, "followup_list", reader))["items"]) == 1
    with pytest.raises(CommandError, match="scope followups:write"):
        await ask(world, "followup_done", reader, followup=each["id"])
    with pytest.raises(CommandError, match="scope followups:read"):
        await ask(world, "followup_list", Actor("acme", Role.CLIENT, frozenset({"tech"})))


@story()
async def test_what_it_says_is_in_no_fact_and_on_no_topic(world: World) -> None:
    await know_customers(world)
    about: dict[str, Any] = {
        "title": "Call about the divorce",
        "text": "very private",
        "number": ANN,
        "customer": "t-1",
    }
    each = await promised(world, "in 1 min", **about)
    await ask(world, "followup_attempt", followup=each["id"], outcome="no_answer", note="his wife picked up")
    await ask(world, "followup_update", followup=each["id"], title="Another secret")
    await world.sleep(61)
    await ask(world, "followup_done", followup=each["id"], note="all told")
    await world.settled()
    facts = [body_to_dict(fact.body) for fact in await world.logged() if fact.kind.startswith("Followup")]
    published = world.publisher.of_topic("callcenter/v1/followups/tech/event")
    assert [each["event"] for each in published] == ["created", "changed", "changed", "due", "done"]
    assert published[0]["followup"] == each["id"]
    assert not any(each.retain for each in world.publisher.messages if "/followups/" in each.topic)
    said = f"{facts} {published}"
    for secret in ("divorce", "private", "wife", "secret", "told'", ANN[1:]):
        assert secret not in said


# What is asked


@story()
async def test_two_who_edit_one_do_not_overwrite_each_other(world: World) -> None:
    each = await promised(world)
    answers = await asyncio.gather(
        *(ask(world, "followup_update", followup=each["id"], revision=1, title=title) for title in ("mine", "yours")),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, CommandError)]
    assert [(error.reason, error.field, error.details) for error in refused] == [
        (Reason.CONFLICT, "revision", {"revision": 2})
    ]
    tried = [ask(world, "followup_attempt", followup=each["id"], outcome=f"try {at}") for at in range(10)]
    await asyncio.gather(*tried)
    now = (await ask(world, "followup_get", followup=each["id"]))["followup"]
    assert (len(now["attempts"]), now["revision"], now["title"]) == (10, 12, "mine")
    assert (await ask(world, "followup_update", followup=each["id"], title="mine"))["followup"]["revision"] == 12


@story()
async def test_the_same_creation_again_is_the_same_follow_up_after_a_restart_too(world: World) -> None:
    fields = {"client": "tech", "title": "x", "due_at": "in 1h", "queue": SALES}
    first = await ask(world, "followup_create", supervisor(), "id-1", **fields)
    await world.restart()
    again = await ask(world, "followup_create", supervisor(), "id-1", **fields)
    other = await ask(world, "followup_create", supervisor("ben"), "id-1", **fields)
    assert again["followup"]["id"] == first["followup"]["id"] != other["followup"]["id"]
    assert len(world.house.followups) == 2


@story()
async def test_who_is_lent_to_a_company_may_have_its_follow_ups(world: World) -> None:
    await world.hire("amy", {"english": 5})
    elsewhere = {**world.plan.agents, "amy": replace(world.plan.agents["amy"], clients=frozenset({"other"}))}
    world.plan = replace(world.plan, agents=elsewhere)
    for event in (Reconfigured(world.plan), RosterChanged("amy", None, frozenset({"tech"}), None, "sue")):
        world.house.dispatcher.tell(event)
        world.house.dispatcher.decide()
    assert (await promised(world, actor=AMY, agent="amy"))["agent"] == "amy"


@story()
async def test_mistakes_name_the_field_and_what_to_write(world: World) -> None:
    await world.hire("amy", {"english": 5})
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        ("title", "`title` is missing", {"title": " "}),
        ("title", "`title` is a text of up to 200 characters", {"title": "x" * 201}),
        ("due_at", "`due_at` is missing", {"due_at": None}),
        ("due_at", "is no moment: write e.g. 2026-12-01T10:00", {"due_at": "soon"}),
        ("due_at", "is past: it was 2026-03-02T08:00 in UTC", {"due_at": "2026-03-02T08:00"}),
        ("zone", "`Prague` is no time zone: write e.g. Europe/Madrid", {"zone": "Prague"}),
        ("agent", "no agent `eve` serves tech", {"agent": "eve"}),
        ("queue", "tech has no queue `eve`", {"queue": "eve"}),
        ("customer", "there is no customer `c-1`", {"customer": "c-1"}),
        ("call", "there is no call `cc1-none`", {"call": "cc1-none"}),
        ("number", "`eve` is no telephone number", {"number": "eve"}),
        ("kind", "`kind` is one of task, callback", {"kind": "party"}),
        ("mode", "`mode` belongs to a callback", {"mode": "agent_first"}),
        ("colour", "followup_create knows no field `colour`", {"colour": "red"}),
    ]
    for field, sentence, fields in wrong:
        with pytest.raises(CommandError) as refused:
            await ask(world, "followup_create", **{"client": "tech", "title": "x", "due_at": "in 1h", **fields})
        assert sentence in str(refused.value)
        assert refused.value.field == field
    each = await promised(world)
    with pytest.raises(CommandError, match="which is missing"):
        await ask(world, "followup_update", followup=each["id"], zone="Europe/Madrid")
    await ask(world, "followup_done", followup=each["id"])
    assert (await ask(world, "followup_done", followup=each["id"]))["followup"]["revision"] == 2
    with pytest.raises(CommandError, match="it is done: reopen it first"):
        await ask(world, "followup_attempt", followup=each["id"], outcome="spoke")


@story()
async def test_lists_are_by_due_time_page_by_page_and_by_what_is_asked(world: World) -> None:
    await know_customers(world)
    await world.hire("amy", {"english": 5})
    made = [await promised(world, f"in {hours}h", queue=SALES) for hours in (3, 1, 2, 1)]
    hers = await promised(world, "in 4h", AMY, customer="t-1")
    first = await ask(world, "followup_list", limit=3)
    rest = await ask(world, "followup_list", limit=3, after=first["next"])
    ids = [each["id"] for each in (*first["items"], *rest["items"])]
    assert set(ids[:2]) == {made[1]["id"], made[3]["id"]}
    assert ids[2:] == [made[2]["id"], made[0]["id"], hers["id"]]
    assert rest["next"] is None
    until = utc(world.clock.now() + timedelta(hours=2, minutes=30))
    filters: list[tuple[dict[str, Any], int]] = [
        ({"agent": "amy"}, 1),
        ({"customer": "t-1"}, 1),
        ({"queue": SALES}, 4),
        ({"state": "done"}, 0),
        ({"due_before": until}, 3),
        ({"due_after": until}, 2),
        ({"kind": "callback"}, 0),
    ]
    for asked, count in filters:
        assert len((await ask(world, "followup_list", **asked))["items"]) == count, asked


@story()
async def test_promises_kept_late_and_open_are_counted_by_who_made_them(world: World) -> None:
    await world.hire("amy", {"english": 5})
    await world.hire("bob", {"english": 5})
    kept, late, still = [await promised(world, "in 10 min", AMY) for _ in range(3)]
    off = await promised(world, "in 10 min", AMY)
    bobs = await promised(world, "in 10 min", BOB)
    await promised(world, "in 9h", AMY)
    for each in (kept, bobs):
        await ask(world, "followup_done", followup=each["id"])
    await ask(world, "followup_cancel", followup=off["id"])
    await ask(world, "followup_assign", supervisor(), followup=still["id"], agent="bob")
    await world.sleep(900)
    await ask(world, "followup_done", followup=late["id"])
    by_agent = await ask(world, "followup_figures", by="agent")
    assert [(each["agent"], each["promised"], each["kept"], each["late"], each["open"], each["kept_share"])
            for each in by_agent["items"]] == [("amy", 3, 1, 1, 1, 0.3333), ("bob", 1, 1, 0, 0, 1.0)]  # fmt: skip
    assert by_agent["version"] == 2
    assert (await ask(world, "followup_figures"))["items"][0]["kept_share"] == 0.5


# The caller


async def calls_in(world: World, number: str) -> Any:
    caller = await world.phone(number)
    call = await caller.dial("1000")
    await caller.press("1")
    await world.settled()
    return caller, call


@story()
async def test_a_caller_with_an_open_promise_comes_to_who_made_it_and_the_screen_shows_it(world: World) -> None:
    await know_customers(world)
    tech = world.settings.calls.clients["tech"]
    world.furnish(clients={"tech": replace(tech, routing=Routing(prefer=(PROMISE,), prefer_for=20.0))})
    amy, bob = await world.agent("amy", english=5), await world.agent("bob", english=2)
    each = await promised(world, "in 2h", BOB, customer="t-1", title="Refund")
    later = await promised(world, "in 3h", AMY, number=GRACE, title="Invoice")
    caller, _ = await calls_in(world, GRACE)
    await bob.rings()
    await amy.rings_not()
    pop = await bob.screen_pop()
    assert pop["open_followups"] == 2
    assert [(one["id"], one["title"], one["made_by"]) for one in pop["followups"]] == [
        (each["id"], "Refund", "bob"),
        (later["id"], "Invoice", "amy"),
    ]
    caller.drops()
    await world.sleep(1)
    # Done, it is no promise any more; the other one is.
    await ask(world, "followup_done", BOB, followup=each["id"])
    caller, _ = await calls_in(world, GRACE)
    await rings_and_is_left(amy, caller)
    nobody, _ = await calls_in(world, ANN)
    await amy.rings()
    assert (await amy.screen_pop())["open_followups"] == 0
    nobody.drops()


async def rings_and_is_left(phone: AgentPhone, caller: Any) -> None:
    await phone.rings()
    caller.drops()
    await phone.is_hung_up()


@story()
async def test_a_follow_up_of_a_call_knows_its_customer_and_number(world: World) -> None:
    await know_customers(world)
    amy = await world.agent("amy", english=5)
    caller = await world.phone(GRACE)
    call = world.call_id(await world.connect(caller, amy))
    during = await promised(world, "in 1h", AMY, call=call)
    await caller.hangs_up()
    await world.settled()
    behind = await promised(world, "in 1h", AMY, call=call)
    for each in (during, behind):
        assert (each["call"], each["customer"], each["number"]) == (call, "t-1", GRACE)


@story()
async def test_many_that_are_due_at_once_are_told_some_at_a_time(world: World) -> None:
    for _ in range(250):
        await promised(world, "in 10 min", queue=SALES)
    await world.sleep(601)
    assert (await told(world)).count("due") == 250


# Callbacks


async def calls_out(world: World) -> Phone:
    """The company calls back; who has ANN's phone."""
    ann = await world.phone(ANN)
    reaches(world, ann.host.address)
    furnish(world)
    return ann


@story()
async def test_a_promised_call_is_dialled_when_it_is_due_and_then_the_promise_is_kept(world: World) -> None:
    ann = await calls_out(world)
    amy = await world.agent("amy", english=5)
    each = await promised(world, "in 10 min", AMY, kind="callback", number=ANN, queue=SALES)
    assert each["callback"] is not None
    planned = (await ask(world, "callback_get", callback=each["callback"]))["callback"]
    assert (planned["followup"], planned["source"], planned["prefer"]) == (each["id"], "follow_up", "amy")
    await amy.rings_not()
    await world.sleep(600)
    await talk(world, amy, ann)
    await ann.hangs_up()
    await world.settled()
    now = (await ask(world, "followup_get", followup=each["id"]))["followup"]
    assert (now["state"], now["done_by"], now["attempts"][0]["outcome"]) == ("done", "the switch", "reached")
    (figures,) = (await ask(world, "followup_figures"))["items"]
    assert (figures["kept"], figures["late"]) == (1, 0), "nobody is dialled before it is due"


@story()
async def test_a_promised_call_that_cannot_be_made_is_a_task_for_somebody_and_one_that_is_off_is_not_dialled(
    world: World,
) -> None:
    ann = await calls_out(world)
    amy = await world.agent("amy", english=5)
    each = await promised(world, "in 10 min", AMY, kind="callback", number=ANN, queue=SALES)
    await ask(world, "do_not_call_add", client="tech", number=ANN)
    await world.settled()
    now = (await ask(world, "followup_get", followup=each["id"]))["followup"]
    assert (now["state"], now["callback"]) == ("open", None)
    assert now["attempts"][0]["outcome"] == "removed: do_not_call"
    with pytest.raises(CommandError):
        await promised(world, "in 20 min", AMY, kind="callback", number=ANN, queue=SALES)
    await ask(world, "do_not_call_remove", client="tech", number=ANN)
    off = await promised(world, "in 20 min", AMY, kind="callback", number=ANN, queue=SALES)
    await ask(world, "followup_cancel", AMY, followup=off["id"])
    assert (await ask(world, "callback_get", callback=off["callback"]))["callback"]["state"] == "cancelled"
    await world.sleep(1800)
    assert (ann.call, amy.call) == (None, None)


@story()
async def test_the_outcome_of_a_promised_call_is_known_after_a_crash_that_cut_it_off(world: World) -> None:
    await calls_out(world)
    await world.agent("amy", english=5)
    each = await promised(world, "in 10 min", AMY, kind="callback", number=ANN, queue=SALES)
    # As if the power had failed between the end of the callback and what follows from it.
    world.house.followups.close()
    await ask(world, "callback_cancel", callback=each["callback"])
    await world.restart(crash=True)
    await world.settled()
    now = (await ask(world, "followup_get", followup=each["id"]))["followup"]
    assert (now["state"], now["callback"], now["attempts"][0]["outcome"]) == ("open", None, "cancelled")


@story()
async def test_what_is_reopened_whose_call_is_over_is_a_task_and_stays_open_over_a_restart(world: World) -> None:
    await calls_out(world)
    off = await promised(world, "in 20 min", AMY, kind="callback", number=ANN, queue=SALES)
    await ask(world, "followup_done", AMY, followup=off["id"], note="she rang in herself")
    again = (await ask(world, "followup_reopen", AMY, followup=off["id"]))["followup"]
    assert (again["state"], again["callback"]) == ("open", None)
    await ask(world, "followup_update", AMY, followup=off["id"], due_at="in 3h")
    await world.restart()
    await world.settled()
    now = (await ask(world, "followup_get", followup=off["id"]))["followup"]
    assert (now["state"], [each["outcome"] for each in now["attempts"]]) == ("open", ["done"])


@story()
async def test_one_that_is_created_when_its_call_is_over_already_knows_how_that_ended(world: World) -> None:
    """As when the power fails between the two, and the creation is asked for again when the customer was called."""
    await calls_out(world)
    each = await promised(world, "in 20 min", AMY, kind="callback", number=ANN, queue=SALES)
    await ask(world, "callback_cancel", callback=each["callback"])
    await world.settled()
    found = await world.house.followups.get(each["id"])
    assert found is not None
    await world.house.followups.create(replace(found, id="x-later", callback=each["callback"], attempts=()))
    await world.settled()
    now = (await ask(world, "followup_get", followup="x-later"))["followup"]
    assert (now["callback"], [one["outcome"] for one in now["attempts"]]) == (None, ["cancelled"])


@story()
async def test_a_call_that_was_promised_twice_is_dialled_though_one_promise_is_off(world: World) -> None:
    await calls_out(world)
    first = await promised(world, "in 20 min", AMY, kind="callback", number=ANN, queue=SALES)
    await world.sleep(1)
    second = await promised(world, "in 30 min", supervisor(), kind="callback", number=ANN, queue=SALES)
    assert first["callback"] == second["callback"]
    await ask(world, "followup_cancel", supervisor(), followup=second["id"])
    planned = (await ask(world, "callback_get", callback=first["callback"]))["callback"]
    assert planned["state"] == "planned"
    await ask(world, "followup_cancel", AMY, followup=first["id"])
    planned = (await ask(world, "callback_get", callback=first["callback"]))["callback"]
    assert planned["state"] == "cancelled"
    # One that was promised without a follow-up, and became one with it, is nobody's to call off by that.
    fields: dict[str, Any] = {"client": "tech", "number": ANN, "queue": SALES, "not_before": "2026-05-01T10:00"}
    alone = (await ask(world, "callback_schedule", **fields))["callback"]
    await world.sleep(1)
    third = await promised(world, "in 30 min", supervisor(), kind="callback", number=ANN, queue=SALES)
    assert third["callback"] == alone["id"]
    await ask(world, "followup_cancel", supervisor(), followup=third["id"])
    assert (await ask(world, "callback_get", callback=alone["id"]))["callback"]["state"] == "planned"


@story()
async def test_a_call_that_was_asked_for_beside_its_promise_is_dialled_though_the_promise_is_off(world: World) -> None:
    """The shop has Ann called about her invoice, and Amy, who was to call her, puts her own promise off the list."""
    await calls_out(world)
    each = await promised(world, "in 20 min", AMY, kind="callback", number=ANN, queue=SALES)
    fields: dict[str, Any] = {"client": "tech", "number": ANN, "queue": SALES, "reason": "the invoice"}
    asked = await ask(world, "callback_schedule", **fields, not_before=utc(world.clock.now() + timedelta(hours=2)))
    assert asked["callback"]["id"] == each["callback"]
    await ask(world, "followup_cancel", AMY, followup=each["id"])
    assert (await ask(world, "callback_get", callback=each["callback"]))["callback"]["state"] == "planned"


@story()
async def test_a_promised_call_whose_window_passed_while_we_were_down_is_a_task_at_the_start(world: World) -> None:
    await calls_out(world)
    furnish(world, rules=CallbackRules(outside=("+1",), missed=Missed.EXPIRE))
    until = utc(world.clock.now() + timedelta(minutes=20))
    each = await promised(world, "in 10 min", AMY, kind="callback", number=ANN, queue=SALES, not_after=until)
    await world.restart(down=3600)
    await world.settled()
    now = (await ask(world, "followup_get", followup=each["id"]))["followup"]
    assert (now["state"], now["callback"], now["attempts"][0]["outcome"]) == ("open", None, "expired")
