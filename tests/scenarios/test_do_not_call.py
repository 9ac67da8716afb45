"""Who asked not to be called any more is not called: by no callback, by no agent's hand, over restarts too."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from callcenter.calls.settings import AddDoNotCall, DialRules, DoNotCallRule, Outbound, Say
from callcenter.control.protocol import CommandError, Reason
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.dial_plan import DialPlan
from callcenter.model.facts import DoNotCallAdded, DoNotCallDialled, DoNotCallRemoved, body_to_dict, utc
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, story
from tests.scenarios.callbacks import ANN, BEN, CLEO, furnish, has_asked, told
from tests.scenarios.carrier import permit, somebody_outside
from tests.scenarios.commands import agent, ask, supervisor

MAY = DialRules(outside=("+1415",))


def facts_of(world: World, *kinds: type) -> list[object]:
    return [fact.body for fact in world.facts if isinstance(fact.body, kinds)]


@story()
async def test_a_number_on_the_list_is_not_dialled_by_hand_and_the_phone_is_told_why(world: World) -> None:
    amy = await world.agent("amy", english=5)
    ann = await somebody_outside(world, ANN)
    permit(world, amy=MAY)
    answer = await ask(
        world, "do_not_call_add", client="tech", number="(415) 555-0101".replace("(", "+1 ("), reason="x"
    )
    assert answer["entry"]["number"] == ANN
    call = amy.starts_dialling(ANN)
    await amy.is_refused(403)
    assert call.leg.ending is not None
    assert call.leg.ending.reason == "On Do-Not-Call List"
    assert ann.call is None
    assert facts_of(world, DoNotCallDialled) == [DoNotCallDialled("tech", answer["entry"]["id"], "amy", True)]
    await ask(world, "do_not_call_remove", client="tech", number=ANN)
    amy.starts_dialling(ANN)
    await ann.rings()
    amy.drops()


@story()
async def test_where_a_company_only_warns_the_second_try_goes_through_and_a_late_one_is_a_first_again(
    world: World,
) -> None:
    amy = await world.agent("amy", english=5)
    ann = await somebody_outside(world, ANN)
    permit(world, amy=MAY)
    tech = world.settings.calls.clients["tech"]
    assert tech.outbound is not None
    world.furnish(clients={"tech": replace(tech, outbound=replace(tech.outbound, do_not_call=DoNotCallRule.WARN))})
    await ask(world, "do_not_call_add", client="tech", number=ANN)
    for wait in (0, 121):
        await world.sleep(wait)
        amy.starts_dialling(ANN)
        await amy.is_refused(403)
    await world.sleep(60)
    amy.starts_dialling(ANN)
    await ann.rings()
    amy.drops()
    refused = [body.refused for body in facts_of(world, DoNotCallDialled) if isinstance(body, DoNotCallDialled)]
    assert refused == [True, True, False]


@story()
async def test_a_caller_says_do_not_call_me_again_and_their_callback_is_off(world: World) -> None:
    ann = await has_asked_and_is_not_called(world)
    assert told(world) == ["requested 101", "removed: do_not_call"]
    entry = (await ask(world, "do_not_call", client="tech"))["items"][0]
    assert (entry["number"], entry["source"], entry["reason"]) == (ANN, "caller", "pressed 9")
    # Nobody who is on the list is promised to be called back.
    furnish(world)
    await ann.dial("1000")
    await ann.hears("music")
    await ann.press("1")
    await ann.hears("callback-choose")
    await ann.press("1")
    await ann.hears("callback-unavailable")
    ann.drops()


async def has_asked_and_is_not_called(world: World) -> Phone:
    await somebody_outside(world, BEN)
    furnish(world)
    ann = await has_asked(world, ANN)
    furnish(world, AddDoNotCall("goodbye", "pressed 9"), Say("nobody"))
    await ann.dial("1000")
    await ann.hears("goodbye")
    await ann.hears("nobody")
    await ann.is_hung_up()
    await world.settled()
    return ann


@story()
async def test_who_hides_the_number_comes_onto_no_list_and_is_promised_nothing(world: World) -> None:
    await somebody_outside(world, BEN)
    furnish(world, AddDoNotCall("goodbye"), Say("nobody"))
    ann = await world.phone("anonymous")
    await ann.dial("1000")
    await ann.hears("nobody")
    await ann.is_hung_up()
    assert (await ask(world, "do_not_call", client="tech"))["items"] == []


@story()
async def test_an_agent_has_whom_they_talk_to_put_on_the_list_and_nobody_elses_caller(world: World) -> None:
    amy = await world.agent("amy", english=5)
    ann = await world.phone(ANN)
    call = world.call_id(await world.connect(ann, amy))
    with pytest.raises(CommandError, match="none of yours") as mistake:
        await ask(world, "do_not_call_add", agent("bob"), call=call)
    assert mistake.value.reason is Reason.FORBIDDEN
    with pytest.raises(CommandError, match="no call") as mistake:
        await ask(world, "do_not_call_add", agent("amy", "others"), call=call)
    assert mistake.value.reason is Reason.NOT_FOUND
    entry = (await ask(world, "do_not_call_add", agent("amy"), call=call, reason="said so"))["entry"]
    assert (entry["number"], entry["call"], entry["source"], entry["added_by"]) == (ANN, call, "agent", "agent amy")
    ann.drops()
    added = facts_of(world, DoNotCallAdded)
    assert added == [DoNotCallAdded("tech", entry["id"], "agent", "agent amy")]
    assert not any(ANN[1:] in str(body_to_dict(body)) for body in added)  # type: ignore[arg-type]  # each is a body


@story()
async def test_who_may_take_nobody_off_the_list_does_not_do_so_by_an_entry_that_ends_sooner(world: World) -> None:
    """Ann has asked never to be called again: no agent, and no file, makes that a day."""
    day, week = (utc(world.clock.now() + timedelta(days=days)) for days in (1, 7))
    for number, before, given, ends in ((ANN, None, day, None), (BEN, week, day, week), (CLEO, day, week, week)):
        await ask(world, "do_not_call_add", client="tech", number=number, expires_at=before)
        added = await ask(world, "do_not_call_add", agent("amy"), client="tech", number=number, expires_at=given)
        assert added["entry"]["expires_at"] == ends
        entries = [{"number": number, "expires_at": day}]
        await ask(world, "do_not_call_import", supervisor(), client="tech", entries=entries)
        [listed] = (await ask(world, "do_not_call", client="tech", number=number))["items"]
        assert listed["expires_at"] == ends
    await world.sleep(2 * 86_400)
    assert world.house.do_not_call.forbids("tech", ANN)


@story()
async def test_the_list_is_there_after_a_crash_and_an_entry_ends_when_it_expires(world: World) -> None:
    soon = world.clock.now() + timedelta(hours=1)
    await ask(world, "do_not_call_add", client="tech", number=ANN)
    await ask(world, "do_not_call_add", client="tech", number=BEN, expires_at=utc(soon))
    await world.restart(crash=True)
    forbids = world.house.do_not_call.forbids
    assert [forbids(*each) for each in (("tech", ANN), ("tech", BEN), ("others", ANN))] == [True, True, False]
    await world.sleep(3601)
    assert [forbids("tech", each) for each in (ANN, BEN)] == [True, False]
    await world.restart()
    assert [each["number"] for each in (await ask(world, "do_not_call", client="tech"))["items"]] == [ANN]


@story()
async def test_a_file_is_tried_first_and_then_imported_with_what_is_wrong_told_by_line(world: World) -> None:
    entries = [
        {"line": 2, "number": ANN, "reason": "opted out"},
        {"line": 3, "number": "tomorrow"},
        {"line": 4, "number": BEN, "expires_at": "2001-01-01"},
        {"line": 5, "number": ANN},
    ]
    wrong = [
        {"line": 3, "why": "`tomorrow` is no telephone number: write e.g. +14155550100"},
        {"line": 4, "why": "`2001-01-01` is past: it would expire at once"},
    ]
    tried = await ask(world, "do_not_call_import", supervisor(), client="tech", entries=entries, dry=True)
    assert tried == {"dry": True, "added": 1, "known": 1, "rejected": wrong}
    assert len(world.storage.do_not_call) == 0
    done = await ask(world, "do_not_call_import", supervisor(), client="tech", entries=entries)
    assert done == {**tried, "dry": False}
    again = await ask(world, "do_not_call_import", supervisor(), client="tech", entries=entries[:1])
    assert (again["added"], again["known"]) == (0, 1)
    assert world.house.do_not_call.forbids("tech", ANN)


@story()
async def test_numbers_of_a_list_whose_plus_a_spreadsheet_took_away_are_not_called(world: World) -> None:
    tech, plan = world.settings.calls.clients["tech"], DialPlan("420")
    outbound, customers = Outbound(plan, "+420222333444", ()), replace(tech.customers, plan=plan)
    world.furnish(clients={"tech": replace(tech, outbound=outbound, customers=customers)})
    await ask(world, "do_not_call_import", supervisor(), client="tech", entries=[{"number": "420777123456"}])
    assert world.house.do_not_call.forbids("tech", "+420777123456")


@story()
async def test_who_takes_a_number_off_the_list_is_a_supervisor_and_sees_the_company(world: World) -> None:
    entry = (await ask(world, "do_not_call_add", client="tech", number=ANN))["entry"]["id"]
    with pytest.raises(CommandError, match="scope supervise"):
        await ask(world, "do_not_call_remove", agent("amy"), entry=entry)
    with pytest.raises(CommandError, match="no such number") as mistake:
        await ask(world, "do_not_call_remove", supervisor("sue", "others"), entry=entry)
    assert mistake.value.reason is Reason.NOT_FOUND
    reader = Actor("crm", Role.AGENT, frozenset({"tech"}), frozenset({Scope.CALLBACKS_READ}))
    assert len((await ask(world, "do_not_call", reader))["items"]) == 1
    with pytest.raises(CommandError, match="no client"):
        await ask(world, "do_not_call", agent("amy", "others"), client="tech")
    await ask(world, "do_not_call_remove", supervisor(), entry=entry)
    assert facts_of(world, DoNotCallRemoved) == [DoNotCallRemoved("tech", entry, "supervisor sue")]
    assert not world.house.do_not_call.forbids("tech", ANN)


@story()
async def test_the_list_is_read_page_by_page(world: World) -> None:
    numbers = [f"+1415555{number:04}" for number in range(5)]
    for each in reversed(numbers):
        await ask(world, "do_not_call_add", client="tech", number=each)
    first = await ask(world, "do_not_call", client="tech", limit=3)
    rest = await ask(world, "do_not_call", client="tech", limit=3, after=first["next"])
    assert [each["number"] for each in (*first["items"], *rest["items"])] == numbers
    assert rest["next"] is None
