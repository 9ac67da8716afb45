"""What agents write of a talk: notes, what it came to, and the fields of its wrap-up; nothing of it is lost."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from callcenter.acd.settings import Dispositions, WrapUpSettings
from callcenter.calls.settings import FollowUpDemand
from callcenter.calls.wrap_up_fields import WrapUpField
from callcenter.control.protocol import Asked, CommandError
from callcenter.control.server import Command
from callcenter.model.access import Actor, Role
from callcenter.model.customer import Customer
from callcenter.model.customer_fields import FieldKind
from callcenter.model.facts import (
    DispositionChosen,
    DispositionCorrected,
    FieldsWritten,
    FollowupCreated,
    NoteWritten,
    WrapUpEnded,
    body_to_dict,
)
from callcenter.model.states import WrapUpMode
from callcenter.operate.commands import Commands
from callcenter.operate.life import Life
from callcenter.operate.paperwork import FOLLOW_UP, paperwork_commands, promises
from callcenter.operate.reload import Reloader
from callcenter.simulation.world import AgentPhone, World, story
from tests.scenarios.test_agents_and_supervisors import bodies, has_dispositions
from tests.scenarios.test_agents_choose import has_wrap_up

NUMBERS = itertools.count(1)
TREE = Dispositions({"sold": "Sold", "refund": "Refund", "complaint": "Complaint"})
AMY = Actor("amy", Role.AGENT, frozenset({"tech"}), agent="amy")
BOB = Actor("bob", Role.AGENT, frozenset({"tech"}), agent="bob")
EVA = Actor("eva", Role.SUPERVISOR, frozenset({"tech"}))
STRANGER = Actor("max", Role.SUPERVISOR, frozenset({"lumina"}))
FIELDS = {
    "order": WrapUpField("order", "Order", required=True),
    "amount": WrapUpField("amount", "Amount", FieldKind.NUMBER),
    "pin": WrapUpField("pin", "PIN", mask=True),
}


async def asks(world: World, actor: Actor | None, do: str, *, id: str = "", **fields: Any) -> dict[str, Any]:
    """What somebody is answered, or why not: the reason in a word, and which field."""
    commands = Commands(world.house, Life(), Reloader(world.house, Life(), lambda: world.settings)).all()
    return await run(commands, actor, do, id or f"command {next(NUMBERS)}", fields)


async def run(
    commands: Mapping[str, Command], actor: Actor | None, do: str, id: str, fields: Mapping[str, Any]
) -> dict[str, Any]:
    by = "olga" if actor is None else f"{actor.role} {actor.user}"
    asked = Asked(do, by, id, fields, actor)
    try:
        commands[do].check(asked)
        return dict(await commands[do].run(asked))
    except CommandError as error:
        return {"error": str(error), "reason": error.reason.value, "field": error.field, **error.details}


def has_client(world: World, **settings: Any) -> None:
    """Let the company be different, from now on and over restarts."""
    company = replace(world.settings.calls.clients["tech"], **settings)
    world.furnish(clients={**world.settings.calls.clients, "tech": company})


async def talks(world: World, amy: AgentPhone, number: str = "+14155550100") -> tuple[str, Any]:
    """Amy talks to a caller: the call's id, and the caller's phone."""
    caller = await world.phone(number)
    call = await world.connect(caller, amy)
    return world.call_id(call), caller


async def record(world: World, call: str) -> dict[str, Any]:
    await world.settled()
    found = await world.storage.interactions.by_call(call)
    assert found is not None
    return found


@story()
async def test_a_note_is_kept_as_it_is_typed_and_when_its_agent_is_done(world: World) -> None:
    """The link broke in the middle of a long note, and all of it was gone: here each autosave stays."""
    amy = await world.agent("amy", english=5)
    call, caller = await talks(world, amy)
    first = await asks(world, AMY, "note", call=call, text="late", draft=True, revision=0)
    again = await asks(world, AMY, "note", call=call, text="late again", draft=True, revision=1)
    assert (first["note"]["id"], first["note"]["revision"]) == (again["note"]["id"], 1)
    assert (again["note"]["revision"], again["note"]["draft"]) == (2, True)
    assert not bodies(world, NoteWritten), "a draft is nobody's business yet"
    other = await asks(world, AMY, "note", call=call, text="refund promised", more=True, id="second")
    assert other["note"]["id"] != again["note"]["id"]
    assert not other["note"]["draft"]
    repeated = await asks(world, AMY, "note", call=call, text="refund promised", more=True, id="second")
    assert repeated == other, "the same command makes no second note"
    await caller.hangs_up()
    await world.sleep(31)
    read = await asks(world, AMY, "notes", call=call, history=True)
    assert [(each["text"], each["draft"], each["revision"]) for each in read["notes"]] == [
        ("late again", False, 3),
        ("refund promised", False, 1),
    ]
    assert [one["text"] for each in read["notes"] for one in each["revisions"]] == ["late again", "refund promised"]
    told = bodies(world, NoteWritten)
    assert [(each.revision, each.agent, each.corrects) for each in told] == [(1, "amy", False), (3, "amy", False)]
    assert "refund" not in str([body_to_dict(each) for each in told])
    notes = (await record(world, call))["notes"]
    assert {(each["id"], each["revision"]) for each in notes} == {
        (each["id"], each["revision"]) for each in read["notes"]
    }


@story()
async def test_two_windows_do_not_overwrite_each_others_note(world: World) -> None:
    amy = await world.agent("amy", english=5)
    call, caller = await talks(world, amy)
    await asks(world, AMY, "note", call=call, text="from the first", revision=0)
    refused = await asks(world, AMY, "note", call=call, text="from the second", revision=0)
    assert (refused["reason"], refused["field"]) == ("conflict", "revision")
    assert refused["text"] == "from the first", "what stands there is shown"
    taken = await asks(world, AMY, "note", call=call, text="from both", revision=1)
    assert taken["note"]["revision"] == 2
    await caller.hangs_up()
    await world.sleep(31)
    read = await asks(world, AMY, "notes", call=call, history=True)
    assert [each["text"] for each in read["notes"][0]["revisions"]] == ["from the first", "from both"]


@story()
async def test_a_note_half_typed_when_the_power_fails_is_kept(world: World) -> None:
    amy = await world.agent("amy", english=5)
    call, caller = await talks(world, amy)
    await asks(world, AMY, "note", call=call, text="half a sen", draft=True)
    await asks(world, AMY, "disposition", call=call, disposition="refund")
    await asks(world, AMY, "fields", call=call, values={})
    await world.restart(crash=True)
    await world.settled()
    read = await asks(world, AMY, "notes", call=call)
    assert [(each["text"], each["draft"]) for each in read["notes"]] == [("half a sen", False)]
    assert (await record(world, call))["legs"][0]["disposition"] == "refund"
    await caller.hangs_up()
    await amy.hangs_up()


@story()
async def test_what_a_talk_comes_to_is_said_while_it_goes_on_and_holds_when_the_wrap_up_ends_by_itself(
    world: World,
) -> None:
    amy = await world.agent("amy", english=5)
    has_dispositions(world, replace(TREE, required=True))
    call, caller = await talks(world, amy)
    chosen = await asks(world, AMY, "disposition", disposition="refund")
    assert (chosen["call"], chosen["label"], chosen["corrects"]) == (call, "Refund", False)
    await asks(world, AMY, "disposition", call=call, disposition="sold")
    await caller.hangs_up()
    await world.settled()
    assert world.publisher.command("amy", {"id": "1", "do": "dispositions"})["chosen"] == "sold"
    await world.sleep(31)
    assert [each.disposition for each in bodies(world, WrapUpEnded)] == ["sold"], "not WRAPUP_TIMEOUT"
    assert [each.disposition for each in bodies(world, DispositionChosen)] == ["refund", "sold"]
    saved = await record(world, call)
    assert (saved["legs"][0]["disposition"], saved["revision"], saved["corrections"]) == ("sold", 1, [])


@story()
async def test_who_said_it_in_the_talk_ends_a_wrap_up_that_takes_one_without_saying_it_again(world: World) -> None:
    amy = await world.agent("amy", english=5)
    has_dispositions(world, TREE)
    has_wrap_up(world, WrapUpSettings(WrapUpMode.MANDATORY))
    call, caller = await talks(world, amy)
    await asks(world, AMY, "disposition", call=call, disposition="sold")
    await caller.hangs_up()
    await world.settled()
    assert world.publisher.command("amy", {"id": "1", "do": "wrap_up_done"})["ok"]
    await world.settled()
    assert [each.disposition for each in bodies(world, WrapUpEnded)] == ["sold"]


@story()
async def test_a_disposition_is_corrected_with_the_one_before_beside_it(world: World) -> None:
    """Somebody changed the outcome afterwards, and nobody can tell any more what it was."""
    amy = await world.agent("amy", english=5)
    has_dispositions(world, TREE)
    call, caller = await talks(world, amy)
    await caller.hangs_up()
    await world.settled()
    world.publisher.command("amy", {"id": "1", "do": "wrap_up_done", "disposition": "sold"})
    await world.settled()
    unknown = await asks(world, AMY, "disposition", call=call, disposition="solt")
    assert unknown["error"].startswith("no disposition is named `solt` (did you mean `sold`?)")
    mine = await asks(world, AMY, "disposition", call=call, disposition="refund")
    assert (mine["before"], mine["disposition"], mine["corrects"]) == ("sold", "refund", True)
    assert (await asks(world, BOB, "disposition", call=call, disposition="sold"))["reason"] == "forbidden"
    assert (await asks(world, STRANGER, "disposition", call=call, disposition="sold", why="x"))["reason"] == "not_found"
    unasked = await asks(world, EVA, "disposition", call=call, disposition="complaint")
    assert unasked["field"] == "why"
    await world.restart()
    await asks(world, EVA, "disposition", call=call, disposition="complaint", why="heard it again")
    same = await asks(world, EVA, "disposition", call=call, disposition="complaint", why="heard it again")
    assert not same["corrects"]
    saved = await record(world, call)
    assert (saved["legs"][0]["disposition"], saved["revision"]) == ("complaint", 3)
    assert [(each["before"], each["after"], each["by"], each["why"]) for each in saved["corrections"]] == [
        ("sold", "refund", "agent amy", ""),
        ("refund", "complaint", "supervisor eva", "heard it again"),
    ]
    facts = [fact for fact in await world.logged() if isinstance(fact.body, DispositionCorrected)]
    assert len(facts) == 2
    assert {fact.call_id for fact in facts} == {call}


@story()
async def test_each_agent_of_a_call_has_a_disposition_of_the_own_talk(world: World) -> None:
    amy, bob = await world.agent("amy", english=5), await world.agent("bob", spanish=5)
    call, caller = await talks(world, amy)
    await asks(world, AMY, "disposition", call=call, disposition="passed on")
    assert amy.call is not None
    amy.transfers("bob")
    await bob.rings()
    await bob.answers()
    await world.settled()
    await asks(world, BOB, "disposition", call=call, disposition="solved")
    await caller.hangs_up()
    await world.sleep(31)
    saved = await record(world, call)
    assert {leg["agent"]: leg["disposition"] for leg in saved["legs"]} == {"amy": "passed on", "bob": "solved"}


@story()
async def test_a_wrap_up_asks_for_its_fields_and_keeps_no_secret(world: World) -> None:
    amy = await world.agent("amy", english=5)
    has_client(world, wrap_up_fields=FIELDS)
    call, caller = await talks(world, amy)
    wrong = await asks(world, AMY, "fields", call=call, values={"amount": "much"})
    assert (wrong["field"], wrong["error"]) == ("amount", "amount: 'much' is no number; write 12 or -3.5")
    await asks(world, AMY, "fields", call=call, values={"pin": "4711", "amount": 12.5})
    await caller.hangs_up()
    await world.settled()
    refused = world.publisher.command("amy", {"id": "1", "do": "wrap_up_done", "disposition": "solved"})
    assert refused["error"].endswith("send them by `fields`; missing: order")
    filled = await asks(world, AMY, "fields", values={"order": "A-1 paid by 4111 1111 1111 1111"})
    assert filled["missing"] == []
    assert {each["name"]: each["value"] for each in filled["fields"]} == {
        "order": "A-1 paid by ************1111",
        "amount": "12.5",
        "pin": "****",
    }
    assert world.publisher.command("amy", {"id": "2", "do": "wrap_up_done", "disposition": "solved"})["ok"]
    await world.settled()
    changed = await asks(world, AMY, "fields", call=call, values={"order": "A-2", "amount": None}, why="misread")
    assert [(each["field"], each["revision"], each["value"]) for each in changed["history"]] == [
        ("amount", 1, "12.5"),
        ("amount", 2, None),
        ("order", 1, "A-1 paid by ************1111"),
        ("order", 2, "A-2"),
        ("pin", 1, "****"),
    ]
    saved = await record(world, call)
    assert (saved["legs"][0]["fields"], saved["revision"]) == (["pin", "order"], 2)
    [correction] = saved["corrections"]
    assert (correction["what"], correction["after"], correction["why"]) == ("fields", "order, -amount", "misread")
    assert "A-1" not in str([body_to_dict(each) for each in bodies(world, FieldsWritten)])


@story()
async def test_a_customers_last_note_stands_in_the_pop_of_their_next_call(world: World) -> None:
    amy = await world.agent("amy", english=5)
    await world.storage.customers.create(Customer("c-1", "tech", "Jo", ("+14155550100",)), world.clock.now())
    call, caller = await talks(world, amy)
    await asks(world, AMY, "note", call=call, text="wants a quieter fan")
    await caller.hangs_up()
    await world.sleep(31)
    read = await asks(world, EVA, "notes", client="tech", customer="c-1")
    assert [each["text"] for each in read["notes"]] == ["wants a quieter fan"]
    mine = await asks(world, AMY, "note", client="tech", customer="c-1", text="called back by mail")
    assert (mine["note"]["customer"], mine["note"]["call"]) == ("c-1", "")
    nobody = await asks(world, AMY, "note", client="tech", customer="c-2", text="x")
    assert nobody["reason"] == "not_found"
    await world.connect(caller, amy)
    pop = await amy.screen_pop()
    assert pop["customer"]["note"]["text"] == "called back by mail"
    await caller.hangs_up()
    await amy.is_hung_up()


@story()
async def test_a_disposition_that_wants_a_follow_up_is_not_taken_without(world: World) -> None:
    amy = await world.agent("amy", english=5)
    has_dispositions(world, TREE)
    has_client(world, follow_ups={"refund": FollowUpDemand(due=86_400.0), "complaint": FollowUpDemand()})
    call, caller = await talks(world, amy)
    made: list[Asked] = []

    async def create(asked: Asked) -> dict[str, Any]:
        made.append(asked)
        return {"id": "f1"}

    commands = paperwork_commands(world.house, lambda: {FOLLOW_UP: Command(create)})

    async def says(**fields: Any) -> dict[str, Any]:
        return await run(commands, None, "disposition", f"d{next(NUMBERS)}", {"call": call, "why": "test", **fields})

    refused = await says(disposition="complaint")
    assert refused["field"] == "follow_up.due_at"
    assert not made
    taken = await says(disposition="refund")
    assert taken["follow_up"] == {"id": "f1"}
    assert made[0].fields["agent"] == "amy"
    assert made[0].fields["title"] == "Refund"
    await says(disposition="complaint", follow_up={"due_at": "2026-12-01T10:00Z", "title": "call the boss"})
    assert (made[1].fields["due_at"], made[1].fields["call"]) == ("2026-12-01T10:00Z", call)
    await caller.hangs_up()
    await world.settled()
    has_client(world, follow_ups={"sold": FollowUpDemand()})
    owed = world.publisher.command("amy", {"id": "1", "do": "wrap_up_done", "disposition": "sold"})
    assert "takes a follow-up" in owed["error"]
    await world.sleep(31)


@story()
async def test_a_disposition_that_is_followed_up_by_itself_makes_one_follow_up(world: World) -> None:
    """The promise was made on the telephone, and stood nowhere."""
    amy = await world.agent("amy", english=5)
    has_dispositions(world, TREE)
    has_client(world, follow_ups={"refund": FollowUpDemand(due=86_400.0)})
    everything = Commands(world.house, Life(), Reloader(world.house, Life(), lambda: world.settings)).all
    world.house.paperwork.on_owed = promises(world.house, everything)
    call, caller = await talks(world, amy)
    await caller.hangs_up()
    await world.settled()
    assert world.publisher.command("amy", {"id": "1", "do": "wrap_up_done", "disposition": "refund"})["ok"]
    await world.settled()
    made = [fact.body for fact in await world.logged() if isinstance(fact.body, FollowupCreated)]
    assert [(each.agent, each.call, each.kind) for each in made] == [("amy", call, "task")]
    second, caller = await talks(world, amy, "+14155550101")
    said = await asks(world, AMY, "disposition", call=second, disposition="refund", follow_up={"title": "the refund"})
    assert said["follow_up"]["title"] == "the refund"
    await caller.hangs_up()
    await world.settled()
    assert world.publisher.command("amy", {"id": "2", "do": "wrap_up_done", "disposition": "refund"})["ok"]
    await world.settled()
    made = [fact.body for fact in await world.logged() if isinstance(fact.body, FollowupCreated)]
    assert [each.call for each in made] == [call, second], "one for each, and no second one"
    done = await asks(world, AMY, "followup_done", followup=said["follow_up"]["id"])
    assert "error" not in done
    await world.settled()
    told = (await asks(world, AMY, "timeline", call=second))["entries"]
    words = [entry["words"] for entry in told if entry["kind"] == "follow_up"]
    assert [sentence.rpartition(": ")[2] for sentence in words] == ["the refund", "the refund"]
    assert words[-1].startswith("task done by agent amy")
    moments = [entry["at"] for entry in told]
    assert moments == sorted(moments)
