"""Somebody asks to be forgotten, or was kept as long as they may be: what goes, and what stays and is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from callcenter.acd.settings import WrapUpSettings
from callcenter.calls.erasure import ELSEWHERE, SWEEP_EVERY
from callcenter.calls.record_policy import ALWAYS, RecordingSettings
from callcenter.control.protocol import CommandError, Reason
from callcenter.model.access import Actor, Role
from callcenter.model.customer import Rules
from callcenter.model.facts import CustomerErased, body_to_dict, utc
from callcenter.model.states import WrapUpMode
from callcenter.simulation.world import AgentPhone, World, story, tell
from callcenter.storage.database import StorageError
from tests.scenarios.callbacks import furnish as furnish_callbacks
from tests.scenarios.commands import ask, supervisor
from tests.scenarios.test_agents_choose import has_wrap_up
from tests.scenarios.test_callback import asks_for
from tests.scenarios.test_customers import GRACE, create, furnish
from tests.scenarios.test_recording import records
from tests.scenarios.trunks import trunk

DAY = 86_400.0
ADMIN = Actor("ada", Role.ADMIN, frozenset({"tech"}))


async def has_called(world: World, amy: AgentPhone, number: str = GRACE) -> str:
    """Somebody has called, talked to Amy, and it is all over; the call."""
    caller = await world.phone(number, "Grace Whitfield" if number == GRACE else "Somebody")
    call = await world.connect(caller, amy)
    await world.sleep(5)
    await caller.hangs_up()
    await world.sleep(60)
    return world.call_id(call)


async def erase(world: World, actor: Actor | None = None, **fields: Any) -> dict[str, Any]:
    answer: dict[str, Any] = await ask(world, "customer_erase", actor or ADMIN, client="tech", **fields)
    return answer


async def named(world: World, *secrets: str) -> list[str]:
    """Tables in which one of these stands."""
    found = []
    for (table,) in await world.database.fetch_all("SELECT name FROM sqlite_master WHERE type = 'table'"):
        rows = await world.database.fetch_all(f"SELECT * FROM {table}")
        if any(secret in repr(rows) for secret in secrets):
            found.append(table)
    return sorted(found)


@story()
async def test_who_asks_to_be_forgotten_stands_nowhere_any_more_and_it_is_told_what_went(world: World) -> None:
    furnish(world)
    records(world, RecordingSettings(Path("/var/recordings"), clients={"tech": ALWAYS}))
    amy = await world.agent("amy", english=5)
    await create(world, "grace", GRACE, notes="likes tea")
    await create(world, "gracie", "+12025550112", accounts=["TG-48213"])
    await ask(world, "customer_merge", client="tech", customer="grace", other="gracie")
    call = await has_called(world, amy)
    other = await has_called(world, amy, "+14155550100")
    secrets = ("2025550111", "2025550112", "Grace Whitfield", "likes tea", "TG-48213")
    assert await named(world, *secrets) != []
    before = await world.storage.interactions.by_call(call)

    dry = await erase(world, customer="gracie", dry=True)
    assert await world.storage.interactions.by_call(call) == before
    told = await erase(world, customer="gracie")
    assert {**dry, "dry": False} == told, "what a dry run tells comes true"
    assert told["customers"] == ["grace", "gracie"]
    assert told["erased"] == {"calls": 1, "recordings": 1, "customers": 1, "former records": 1}
    assert told["kept"] == [ELSEWHERE]
    await world.settled()

    assert await named(world, *secrets) == []
    after = await world.storage.interactions.by_call(call)
    assert before is not None
    assert after is not None
    figures = [name for name in before if name.endswith("_ms") or name in ("outcome", "queue", "agent", "visits")]
    assert {name: after[name] for name in figures} == {name: before[name] for name in figures}
    assert after["from_number"].startswith("erased-")
    [recording] = await world.storage.recordings.find(call=call)
    assert (recording.state, recording.deleted_by) == ("deleted", "admin ada")
    [untouched] = await world.storage.recordings.find(call=other)
    assert untouched.state == "kept"

    again = await erase(world, customer="gracie")
    assert (again["found"], again["erased"]) == (False, {})
    [fact] = [fact.body for fact in world.facts if isinstance(fact.body, CustomerErased)]
    assert body_to_dict(fact) == {
        "client": "tech",
        "ids": ["grace", "gracie"],
        "by": "admin ada",
        "reason": "request",
        "calls": 1,
        "recordings": 1,
        "kept": ["elsewhere"],
    }
    with pytest.raises(CommandError):
        await create(world, "grace", GRACE)


@story()
async def test_a_recording_that_is_held_stays_and_so_does_a_call_that_is_not_over_and_both_are_told(
    world: World,
) -> None:
    furnish(world)
    records(world, RecordingSettings(Path("/var/recordings"), clients={"tech": ALWAYS}))
    amy = await world.agent("amy", english=5)
    await create(world, "grace", GRACE)
    call = await has_called(world, amy)
    [row] = await world.storage.recordings.find(call=call)
    await ask(world, "recording_hold", recording=row.recording, why="claim 4711")
    caller = await world.phone(GRACE, "Grace Whitfield")
    talk = await world.connect(caller, amy)
    told = await erase(world, customer="grace")
    assert told["erased"] == {"calls": 1, "customers": 1}
    held, up, _ = sorted(told["kept"], reverse=True)
    assert (
        held == f"recording {row.recording}: it is held by olga: claim 4711; when it is released, delete it by its id"
    )
    assert up == f"call {world.call_id(talk)}: it is not over; ask again when it is"
    await caller.hangs_up()
    await world.sleep(60)
    again = await erase(world, customer="grace")
    assert again["erased"] == {"calls": 1, "recordings": 1}
    assert await named(world, "2025550111", "Grace Whitfield") == []
    [row] = await world.storage.recordings.find(call=call)
    assert row.state == "kept"


@story()
async def test_a_number_erases_whoever_has_it_and_nobody_where_several_do(world: World) -> None:
    furnish(world)
    amy = await world.agent("amy", english=5)
    await create(world, "one", GRACE)
    await create(world, "two", GRACE, "+12025550112")
    with pytest.raises(CommandError) as caught:
        await erase(world, number=GRACE)
    assert (caught.value.reason, caught.value.details) == (Reason.CONFLICT, {"customers": ["one", "two"]})
    shared = await has_called(world, amy)
    told = await erase(world, customer="one")
    assert told["erased"] == {"customers": 1}
    assert told["kept"][0] == f"calls of {GRACE} that are not known to be theirs: another customer has this number too"
    record = await world.storage.interactions.by_call(shared)
    assert record is not None
    assert record["from_number"] == GRACE
    told = await erase(world, number="(202) 555-0111")
    assert (told["customers"], told["erased"]) == (["two"], {"calls": 1, "customers": 1})
    await has_called(world, amy, "+14155550100")
    await ask(world, "do_not_call_add", client="tech", number="+14155550100")
    told = await erase(world, number="+14155550100")
    assert told["erased"] == {"calls": 1}, "of nobody whom we know, too"
    assert told["kept"][0] == "+14155550100 on the list of whom nobody calls: it is kept for their sake"
    assert not (await erase(world, number="+14155550100"))["found"]


@story()
async def test_who_has_asked_to_be_called_at_another_number_stands_in_no_callback_any_more(world: World) -> None:
    world.trunks(trunk(await world.carrier("carrier")))
    furnish_callbacks(world)
    grace = await world.phone(GRACE)
    assert await asks_for(world, grace, "+14155550177")
    assert await asks_for(world, grace, "+14155550178")
    first, _ = [each.value.id for each in world.house.callbacks]
    await ask(world, "callback_cancel", callback=first)
    told = await erase(world, number=GRACE)
    assert told["erased"]["callbacks"] == 2
    assert list(world.house.callbacks) == []
    assert "callbacks" not in await named(world, GRACE)


@story()
async def test_notes_and_callbacks_go_with_who_becomes_one_with_another_and_are_erased_with_them(world: World) -> None:
    world.trunks(trunk(await world.carrier("carrier")))
    furnish_callbacks(world)
    furnish(world)
    amy = await world.agent("amy", english=5)
    await create(world, "grace", "+14155550101")
    await create(world, "gracie", "+14155550102")
    call = await has_called(world, amy, "+14155550102")
    await ask(world, "note", id="n1", call=call, agent="amy", text="secret one")
    await ask(world, "note", id="n2", client="tech", customer="gracie", text="secret two")
    later = utc(world.clock.now() + timedelta(hours=2))
    asked: dict[str, Any] = {"client": "tech", "queue": "sales-english", "customer": "gracie", "reason": "secret three"}
    await ask(world, "callback_schedule", id="b1", number="+14155550102", not_before=later, **asked)
    gone = await ask(world, "callback_schedule", id="b2", number="+14155550103", not_before=later, **asked)
    await ask(world, "callback_cancel", callback=gone["callback"]["id"], why="secret four")

    promise: dict[str, Any] = {"client": "tech", "customer": "gracie", "title": "secret five", "agent": "amy"}
    promised = await ask(world, "followup_create", id="f1", due_at=later, **promise)
    await ask(world, "customer_merge", client="tech", customer="grace", other="gracie")
    [pending] = world.house.callbacks
    assert pending.value.customer == "grace"
    await world.settled()
    notes = await ask(world, "notes", client="tech", customer="grace")
    assert sorted(each["text"] for each in notes["notes"]) == ["secret one", "secret two"]
    for table, column in (("notes", "customer_id"), ("callbacks", "customer"), ("followups", "customer")):
        assert await world.database.fetch_all(f"SELECT DISTINCT {column} FROM {table}") == [("grace",)]

    dry = await erase(world, customer="gracie", dry=True)
    told = await erase(world, customer="gracie")
    assert {**dry, "dry": False} == told
    assert told["erased"] == {
        "callbacks": 2,
        "follow-ups": 1,
        "notes": 2,
        "calls": 1,
        "customers": 1,
        "former records": 1,
    }
    assert list(world.house.callbacks) == []
    followup = await ask(world, "followup_get", followup=promised["followup"]["id"])
    assert (followup["followup"]["title"], followup["followup"]["state"]) == ("erased", "cancelled")
    assert await named(world, "secret", "4155550102", "4155550103") == []


@story()
async def test_nobody_is_erased_by_who_may_not_or_for_another_company(world: World) -> None:
    furnish(world)
    await create(world, "grace", GRACE)
    for actor, reason in (
        (supervisor(), Reason.FORBIDDEN),
        (Actor("zoe", Role.ADMIN, frozenset({"other"})), Reason.NOT_FOUND),
    ):
        with pytest.raises(CommandError) as caught:
            await erase(world, actor, customer="grace")
        assert caught.value.reason is reason
    stranger = Actor("zoe", Role.ADMIN, frozenset({"other"}))
    told = await ask(world, "customer_erase", stranger, client="other", customer="grace")
    assert not told["found"]
    for fields in ({}, {"customer": "grace", "number": GRACE}, {"customer": "grace", "dry": 1}, {"nmae": "x"}):
        with pytest.raises(CommandError) as caught:
            await erase(world, **fields)
        assert caught.value.reason is Reason.INVALID
    assert await ask(world, "customer_get", client="tech", customer="grace")


@story()
async def test_what_is_old_enough_is_erased_by_the_day_and_what_is_not_stays(world: World) -> None:
    furnish(world, calls_retention=1, retention=2)
    amy = await world.agent("amy", english=5)
    await create(world, "grace", GRACE)
    await create(world, "ray", "+12025550145")
    old = await has_called(world, amy)
    await world.sleep(1.5 * DAY)
    recent = await has_called(world, amy)
    records_now = [await world.storage.interactions.by_call(each) for each in (old, recent)]
    assert [each is not None and each["from_number"].startswith("erased-") for each in records_now] == [True, False]
    assert [each is not None and each["customer"] for each in records_now] == ["grace", "grace"]
    assert len((await ask(world, "customer_find", client="tech"))["customers"]) == 2
    await amy.unregister()
    await world.sleep(DAY)
    left = (await ask(world, "customer_find", client="tech"))["customers"]
    assert [each["id"] for each in left] == ["grace"], "who has called since stays"
    await world.sleep(2 * DAY)
    assert (await ask(world, "customer_find", client="tech"))["customers"] == []
    erased = [fact.body for fact in world.facts if isinstance(fact.body, CustomerErased)]
    assert [(body.ids, body.reason, body.by) for body in erased] == [
        (("ray",), "retention", "retention"),
        (("grace",), "retention", "retention"),
    ]
    assert await named(world, "2025550111", "Grace Whitfield") == []


@story()
async def test_a_company_that_keeps_everything_loses_nothing(world: World) -> None:
    clients = world.settings.calls.clients
    world.furnish(clients={"tech": replace(clients["tech"], customers=Rules())})
    amy = await world.agent("amy", english=5)
    call = await has_called(world, amy)
    await world.sleep(SWEEP_EVERY + DAY / 24)
    record = await world.storage.interactions.by_call(call)
    assert record is not None
    assert record["from_number"] == GRACE


@story()
async def test_a_call_that_is_never_wrapped_up_is_over_with_its_talk_and_what_is_said_later_brings_nobody_back(
    world: World,
) -> None:
    furnish(world)
    amy = await world.agent("amy", english=5)
    has_wrap_up(world, WrapUpSettings(WrapUpMode.NONE))
    await create(world, "grace", GRACE)
    call = await has_called(world, amy)
    told = await erase(world, customer="grace")
    assert (told["erased"], told["kept"]) == ({"calls": 1, "customers": 1}, [ELSEWHERE])
    await ask(world, "disposition", supervisor("sue", "tech"), call=call, disposition="solved", why="said on the phone")
    await world.settled()
    record = await world.storage.interactions.by_call(call)
    assert record is not None
    assert record["legs"][0]["disposition"] == "solved"
    assert await named(world, "2025550111", "Grace Whitfield") == []


def test_an_erasure_that_is_cut_before_its_end_is_asked_for_again_and_told_to_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def cut_short(world: World) -> None:
        async def crash(*_: object) -> None:
            raise StorageError("the switch is gone")

        furnish(world)
        amy = await world.agent("amy", english=5)
        await create(world, "grace", GRACE)
        await has_called(world, amy)
        with monkeypatch.context() as patch:
            patch.setattr(world.storage.erasure, "erase_customer", crash)
            with pytest.raises(CommandError):
                await erase(world, customer="grace")
        assert [fact.body.ids for fact in world.facts if isinstance(fact.body, CustomerErased)] == [("grace",)]
        again = await erase(world, customer="grace")
        assert again["erased"] == {"customers": 1}
        assert await named(world, "2025550111", "Grace Whitfield") == []

    tell(cut_short)
