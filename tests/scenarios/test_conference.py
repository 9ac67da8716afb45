"""An agent asks somebody while the caller waits, joins all three, puts the caller through: all by one line."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from callcenter.calls.settings import DialRules
from callcenter.model.facts import (
    AgentLegEnded,
    CallTransferred,
    ConferenceLeft,
    FeatureCodeDialled,
    MediaMissing,
    OneWayAudio,
)
from callcenter.model.states import Outcome, Side, TransferKind, TransferTo, Work
from callcenter.simulation.phone import Manner, Phone
from callcenter.simulation.world import AgentPhone, World, story
from tests.scenarios.carrier import permit, somebody_outside
from tests.scenarios.test_agents_and_supervisors import bodies
from tests.scenarios.test_entry_in_a_talk import allow
from tests.scenarios.test_pulling import desk_phone
from tests.scenarios.test_supervision import has_supervisor, heard, talking

CALLER = "+14155550100"
NUMBERS = itertools.count(1)


def order(world: World, do: str, **fields: Any) -> Mapping[str, Any]:
    """What Amy's program is answered."""
    answer: Mapping[str, Any] = world.publisher.command("amy", {"id": f"{next(NUMBERS)}", "do": do, **fields})
    return {name: value for name, value in answer.items() if name != "id"}


def work(world: World, agent: str) -> Work:
    view = world.house.acd.agent(agent)
    assert view is not None
    return view.work


async def asking(world: World) -> tuple[Phone, AgentPhone, AgentPhone]:
    """Amy talks to Bob, whom she asks, while the caller hears music."""
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    assert order(world, "consult", to="bob") == {"ok": True}
    await bob.rings()
    await bob.answers()
    await world.settled()
    return caller, amy, bob


@story()
async def test_an_agent_with_one_line_asks_a_colleague_while_the_caller_hears_music(world: World) -> None:
    caller, amy, bob = await asking(world)
    assert heard(caller, amy, bob) == [("music",), ("bob",), ("amy",)]
    assert (work(world, "amy"), work(world, "bob")) == (Work.CONSULTING, Work.TALKING)
    assert order(world, "consult_drop") == {"ok": True}
    await bob.is_hung_up()
    await world.settled()
    assert world.hear_each_other(caller, amy)
    assert work(world, "amy") is Work.TALKING
    await caller.hangs_up()
    await world.settled()
    assert work(world, "amy") is Work.WRAP_UP


@story()
async def test_between_caller_and_colleague_the_agent_changes_as_often_as_wanted(world: World) -> None:
    """Whoever waits hears music, and for as long as it takes."""
    caller, amy, bob = await asking(world)
    for _ in range(2):
        assert order(world, "consult_swap") == {"ok": True}
        await world.sleep(100)
        assert heard(caller, amy, bob) == [("amy",), (CALLER,), ("music",)]
        assert (work(world, "amy"), work(world, "bob")) == (Work.CONSULTING, Work.HELD)
        assert order(world, "consult_swap") == {"ok": True}
        await world.sleep(100)
        assert heard(caller, amy, bob) == [("music",), ("bob",), ("amy",)]
        assert (work(world, "amy"), work(world, "bob")) == (Work.CONSULTING, Work.TALKING)
    await bob.hangs_up()
    await world.settled()
    assert world.hear_each_other(caller, amy)
    call = caller.this_call()
    await caller.hangs_up()
    told = await world.interaction(call)
    assert 199 < told.hold < 202
    assert 200 < told.talk < 203


@story()
async def test_all_three_hear_each_other_and_the_record_says_for_how_long(world: World) -> None:
    caller, amy, bob = await asking(world)
    assert order(world, "consult_join") == {"ok": True}
    await world.settled()
    assert heard(caller, amy, bob) == [("amy", "bob"), (CALLER, "bob"), (CALLER, "amy")]
    assert work(world, "amy") is Work.CONSULTING
    await world.sleep(60)
    call = caller.this_call()
    assert order(world, "consult_drop") == {"ok": True}
    await bob.is_hung_up()
    await world.settled()
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    (told,) = (await world.interaction(call)).conferences
    assert (told.agent, told.target) == ("amy", "bob")
    assert 60_000 < told.duration_ms < 61_000
    (left,) = bodies(world, ConferenceLeft)
    assert left.by is Side.OUTSIDE


@story()
async def test_the_agent_leaves_a_conference_and_the_other_two_go_on(world: World) -> None:
    """That is a transfer, and each talk is counted once."""
    caller, amy, bob = await asking(world)
    call = caller.this_call()
    order(world, "consult_join")
    await world.sleep(30)
    await amy.hangs_up()
    await world.settled()
    assert world.hear_each_other(caller, bob)
    assert work(world, "amy") is Work.WRAP_UP
    await world.sleep(30)
    await caller.hangs_up()
    await world.settled()
    (handed,) = bodies(world, CallTransferred)
    assert (handed.by, handed.kind, handed.to, handed.target) == ("amy", TransferKind.ATTENDED, TransferTo.AGENT, "bob")
    told = await world.interaction(call)
    assert [leg.agent for leg in told.legs] == ["amy", "bob"]
    assert told.outcome is Outcome.HANDLED
    (left,) = bodies(world, ConferenceLeft)
    assert left.by is Side.AGENT


@story()
async def test_the_caller_leaves_a_conference_and_the_agents_talk_on(world: World) -> None:
    caller, amy, bob = await asking(world)
    order(world, "consult_join")
    await world.settled()
    await caller.hangs_up()
    await world.settled()
    assert world.hear_each_other(amy, bob)
    assert [body.by for body in bodies(world, ConferenceLeft)] == [Side.CALLER]
    await world.sleep(100)
    assert world.hear_each_other(amy, bob)
    await bob.hangs_up()
    await amy.is_hung_up()


@story()
async def test_the_caller_hangs_up_while_the_agent_asks_and_the_two_talk_on(world: World) -> None:
    caller, amy, bob = await asking(world)
    order(world, "consult_swap")
    await world.settled()
    await caller.hangs_up()
    await world.settled()
    assert world.hear_each_other(amy, bob), "bob waited, and does no more"
    await amy.hangs_up()
    await bob.is_hung_up()


@story()
async def test_the_caller_hangs_up_before_the_colleague_has_answered_and_nothing_rings_on(world: World) -> None:
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    order(world, "consult", to="bob")
    await bob.rings()
    await caller.hangs_up()
    await bob.stops_ringing()
    await amy.is_hung_up()


@story()
async def test_the_agent_hangs_up_and_the_caller_is_with_the_colleague(world: World) -> None:
    """As with most systems: to hang up on whom one has asked puts the caller through to them."""
    caller, amy, bob = await asking(world)
    await amy.hangs_up()
    await world.settled()
    assert world.hear_each_other(caller, bob)
    (ended,) = (body for body in bodies(world, AgentLegEnded) if body.agent == "amy")
    assert ended.by is Side.AGENT
    await bob.hangs_up()
    await caller.is_hung_up()


@story()
async def test_the_agent_hangs_up_on_the_caller_while_the_colleague_waits_and_both_are_free(world: World) -> None:
    """Who says goodbye to the caller does not send them on."""
    caller, amy, bob = await asking(world)
    order(world, "consult_swap")
    await world.settled()
    await amy.hangs_up()
    await caller.is_hung_up()
    await bob.is_hung_up()
    assert bodies(world, CallTransferred) == []


@story()
async def test_by_an_order_the_caller_is_put_through_and_the_agent_is_free(world: World) -> None:
    caller, amy, bob = await asking(world)
    assert order(world, "consult_transfer") == {"ok": True}
    await amy.is_hung_up()
    await world.settled()
    assert world.hear_each_other(caller, bob)
    await caller.hangs_up()
    await bob.is_hung_up()


@story()
async def test_a_caller_who_is_put_through_while_it_rings_comes_back_to_the_agent_if_nobody_takes_them(
    world: World,
) -> None:
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    order(world, "consult", to="bob")
    await bob.rings()
    await world.settled()
    order(world, "consult_transfer")
    await world.settled()
    await bob.rings()
    await bob.declines()
    await world.sleep(3)
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()


@story()
async def test_a_colleague_who_is_busy_costs_nobody_anything(world: World) -> None:
    """Refused, declined, not there: the agent is with the caller again, at once."""
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    bob.manner = Manner.DECLINES
    order(world, "consult", to="bob")
    await world.sleep(1)
    assert world.hear_each_other(caller, amy)
    for whom in ("nobody", "amy", "*71bob"):
        refused = order(world, "consult", to=whom)
        assert refused["error"].startswith("whom you want to ask cannot be reached")
    assert order(world, "consult_swap")["error"] == "nobody is asked now: `consult` comes first"
    assert world.hear_each_other(caller, amy)
    assert work(world, "amy") is Work.TALKING
    await caller.hangs_up()
    await world.settled()
    assert order(world, "consult", to="bob")["error"] == "the agent talks to no caller now"


@story()
async def test_what_cannot_be_done_is_refused_in_words(world: World) -> None:
    caller, _amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    assert "`to` is missing" in order(world, "consult")["error"]
    order(world, "consult", to="bob")
    await bob.rings()
    assert order(world, "consult_join")["error"].startswith("nobody has answered yet")
    assert order(world, "consult", to="bob")["error"].startswith("somebody is asked already")
    await caller.hangs_up()
    await world.settled()


@story()
async def test_the_codes_are_pressed_in_the_talk(world: World) -> None:
    """A phone with one line has keys."""
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    world.house.services.settings = replace(world.house.services.settings, agent_extensions={"206": "bob"})
    await amy.press("1*8")
    await world.sleep(6)
    await amy.press("*80206#")
    await bob.rings()
    await bob.answers()
    await world.settled()
    assert heard(caller, amy, bob) == [("music",), ("bob",), ("amy",)]
    await amy.press("*81")
    await world.settled()
    assert heard(caller, amy, bob) == [("amy",), (CALLER,), ("music",)]
    await amy.press("*82")
    await world.settled()
    assert heard(caller, amy, bob) == [("amy", "bob"), (CALLER, "bob"), (CALLER, "amy")]
    await amy.press("*83")
    await bob.is_hung_up()
    await world.settled()
    assert world.hear_each_other(caller, amy)
    assert [(body.code, body.result) for body in bodies(world, FeatureCodeDialled)] == [
        ("*80206#", "done"), ("*81", "done"), ("*82", "done"), ("*83", "done"),
    ]  # fmt: skip
    await caller.hangs_up()


@story()
async def test_the_codes_are_dialled_on_a_second_line(world: World) -> None:
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    assert await amy.dials_code("*80bob") == []
    await bob.rings()
    await bob.answers()
    await world.settled()
    assert heard(caller, amy, bob) == [("music",), ("bob",), ("amy",)]
    await amy.dials_code("*84")
    await world.settled()
    assert world.hear_each_other(caller, bob)
    await caller.hangs_up()


@story()
async def test_a_queue_is_asked_and_whoever_answers_there_is_put_through(world: World) -> None:
    caller, amy = await talking(world)
    cas = await world.agent("cas", spanish=5)
    order(world, "consult", to="sales-spanish")
    await cas.rings()
    assert heard(caller, amy) == [("music",), ("music",)]
    await cas.answers()
    await world.settled()
    assert heard(amy, cas) == [("cas",), ("amy",)]
    order(world, "consult_join")
    await world.settled()
    assert heard(caller) == [("amy", "cas")]
    order(world, "consult_transfer")
    await world.settled()
    assert world.hear_each_other(caller, cas)
    await caller.hangs_up()


@story()
async def test_somebody_outside_is_asked_joined_and_left_with_the_caller(world: World) -> None:
    caller, amy = await talking(world)
    outside = await somebody_outside(world, "+14155550300")
    permit(world, amy=DialRules(outside=("+1",)))
    order(world, "consult", to=outside.number)
    await outside.rings()
    await outside.answers()
    await world.settled()
    assert heard(caller, amy, outside) == [("music",), (outside.name,), ("amy",)]
    order(world, "consult_join")
    await world.settled()
    assert heard(outside) == [(CALLER, "amy")]
    await amy.hangs_up()
    await world.settled()
    assert world.hear_each_other(caller, outside)
    await outside.hangs_up()
    await caller.is_hung_up()


@story()
async def test_of_three_two_talk_on_while_one_holds_and_nobody_hears_music(world: World) -> None:
    caller, amy, bob = await asking(world)
    order(world, "consult_join")
    await world.settled()
    await bob.hold()
    await world.settled()
    assert heard(caller, amy) == [("amy",), (CALLER,)]
    await bob.resume()
    await amy.hold()
    await world.settled()
    assert heard(caller, bob) == [("bob",), (CALLER,)]
    await amy.resume()
    await world.settled()
    assert heard(caller, amy, bob) == [("amy", "bob"), (CALLER, "bob"), (CALLER, "amy")]
    await caller.hangs_up()
    await amy.hangs_up()


@story(media_workers=2)
async def test_a_supervisor_hears_all_of_it_and_whispers_to_the_agent_alone(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy, bob = await asking(world)
    await eve.dial("*72amy")
    await world.settled()
    assert heard(eve, amy, bob, caller) == [("amy", "bob"), ("bob", "eve"), ("amy",), ("music",)]
    order(world, "consult_join")
    await world.settled()
    assert heard(eve, amy, bob, caller) == [
        (CALLER, "amy", "bob"), (CALLER, "bob", "eve"), (CALLER, "amy"), ("amy", "bob"),
    ]  # fmt: skip
    await amy.hangs_up()
    await world.settled()
    assert heard(eve) == [("music",)]
    assert world.hear_each_other(caller, bob)
    await caller.hangs_up()
    await eve.hangs_up()


@story()
async def test_the_agents_phone_is_lost_and_the_caller_waits_again(world: World) -> None:
    caller, amy, bob = await asking(world)
    order(world, "consult_swap")
    await world.settled()
    world.unplug(amy)
    await caller.hears("music", after=61)
    await bob.is_hung_up(within=5)
    await world.sleep(20)
    await caller.hangs_up()


@story(media_workers=2)
async def test_an_attended_transfer_on_two_lines_finds_both_talks_on_one_core(world: World) -> None:
    """The call by which an agent asks is opened where the caller is: else the two could never hear each other."""
    others = [await world.phone(f"+1415555020{number}") for number in range(3)]
    for other in others:
        await other.dial("1000")
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    await amy.hold()
    world.loop.call_later(0.5, bob.picks_up)
    await amy.dial_beside("bob")
    await world.settled()
    amy.joins_both()
    await world.sleep(3)
    assert world.hear_each_other(caller, bob)
    assert len({session.worker for session in world.plane.sessions}) == 2, "the story is about two"
    for phone in (caller, *others):
        await phone.hangs_up()


@story()
async def test_a_supervisor_stays_with_the_agent_who_talks_on_without_the_caller(world: World) -> None:
    eve = await has_supervisor(world)
    caller, amy, bob = await asking(world)
    await eve.dial("*72amy")
    await world.settled()
    await caller.hangs_up()
    await world.settled()
    assert heard(eve, amy, bob) == [("amy", "bob"), ("bob", "eve"), ("amy",)]
    await bob.hangs_up()
    await world.sleep(1)
    await eve.hangs_up()


@story()
async def test_the_agent_goes_on_by_another_phone_while_asking_and_hears_whom_he_heard(world: World) -> None:
    caller, amy, bob = await asking(world)
    desk = await desk_phone(world, "amy")
    await desk.pulls(amy)
    await world.settled()
    assert heard(caller, desk, bob) == [("music",), ("bob",), ("amy-desk",)]
    await desk.press("*82")
    await world.settled()
    assert heard(caller, desk, bob) == [("amy-desk", "bob"), (CALLER, "bob"), (CALLER, "amy-desk")]
    await caller.hangs_up()
    await desk.hangs_up()


@story()
async def test_nobody_is_told_to_be_missed_who_only_waits_or_listens(world: World) -> None:
    """No sound is due from who is asked before they answer, and none from a caller who is on hold, however long."""
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    order(world, "consult", to="bob")
    await bob.rings()
    await world.sleep(15)
    await bob.answers()
    await world.sleep(90)
    order(world, "consult_swap")
    await world.sleep(90)
    order(world, "consult_join")
    await world.sleep(90)
    assert heard(caller, amy, bob) == [("amy", "bob"), (CALLER, "bob"), (CALLER, "amy")]
    await caller.hangs_up()
    await amy.hangs_up()
    await world.settled()
    assert bodies(world, MediaMissing) == bodies(world, OneWayAudio) == []


@story()
async def test_an_agent_who_asks_hears_whom_she_asks_whatever_the_caller_does_meanwhile(world: World) -> None:
    """A caller who waited and put us on hold had her hear music instead of her colleague."""
    caller, amy = await talking(world)
    bob = await world.agent("bob", spanish=5)
    order(world, "consult", to="bob")
    await bob.rings()
    await bob.answers()
    await caller.hold()
    await world.settled()
    assert heard(amy, bob) == [("bob",), ("amy",)]
    order(world, "consult_swap")
    await world.settled()
    assert heard(amy, bob) == [("music",), ("music",)]
    order(world, "consult_join")
    await world.settled()
    assert heard(amy, bob) == [("bob",), ("amy",)]
    order(world, "consult_drop")
    await world.settled()
    assert heard(amy) == [("music",)], "she is alone with the caller, who holds"
    await caller.resume()
    await world.settled()
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()


@story()
async def test_an_entry_and_a_question_that_end_at_once_leave_agent_and_caller_together(world: World) -> None:
    """In one moment: neither heard the other any more."""
    bob = await world.agent("bob", spanish=5)
    allow(world)
    caller, amy = await talking(world)
    assert order(world, "entry_start", entry="take-card")["ok"]
    await world.sleep(1.5)
    order(world, "consult", to="bob")
    await bob.rings()
    await bob.answers()
    await world.settled()
    assert heard(bob, amy) == [("amy",), ("bob",)]
    (call,) = (each for each in world.house.supervisor.calls.values() if each.entry is not None)
    assert call.entry is not None
    order(world, "consult_drop")
    # As when the caller is through in the same moment.
    call.entry.close()
    await world.settled()
    assert heard(caller, amy) == [("amy",), (CALLER,)]
    await caller.hangs_up()
