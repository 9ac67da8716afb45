"""The story of a call, as people read it: complete, in order, with what was said of it, and nothing that is secret."""

from __future__ import annotations

from typing import Any

from callcenter.model.access import Actor, Role
from callcenter.model.timeline import lines
from callcenter.simulation.world import World, story
from tests.scenarios.test_agents_and_supervisors import has_dispositions
from tests.scenarios.test_paperwork import AMY, BOB, EVA, FIELDS, STRANGER, TREE, asks, has_client, talks
from tests.scenarios.test_supervision import has_rules, has_supervisor

CLIENT = Actor("boss", Role.CLIENT, frozenset({"tech"}))


def words(answer: dict[str, Any]) -> list[str]:
    return [entry["words"] for entry in answer["entries"]]


@story()
async def test_a_call_is_told_from_the_first_ring_to_the_correction_an_hour_later(world: World) -> None:
    """One had to look in four places to know what happened in a call."""
    amy = await world.agent("amy", english=5)
    has_dispositions(world, TREE)
    call, caller = await talks(world, amy)
    await asks(world, AMY, "note", call=call, text="late again")
    await world.sleep(20)
    await amy.hold()
    await world.sleep(5)
    await amy.resume()
    await world.sleep(5)
    await caller.hangs_up()
    await world.sleep(3)
    world.publisher.command("amy", {"id": "1", "do": "wrap_up_done", "disposition": "sold"})
    await world.sleep(3_600)
    await asks(world, EVA, "disposition", call=call, disposition="refund", why="heard it again")
    told = await asks(world, EVA, "timeline", call=call)
    said = words(told)
    for sentence in (
        "+14155550100 calls +18005550100",
        "pressed 1 at main",
        "wants sales",
        "waits in sales-english, priority 0",
        "offered to amy: english 5 of 2 needed; idle for 0 s",
        "amy's phone rings",
        "talks to amy",
        "note written by agent amy, revision 1: late again",
        "on hold by the agent",
        "taken back by the agent after 5.0 s",
        "talk with amy over after 30 s, 5.0 s of it on hold: hangup by the caller",
        "amy is through after 3.0 s of wrap-up: sold",
        "corrected by supervisor eva: amy's talk came to refund, not sold (heard it again)",
    ):
        assert sentence in said, said
    assert [entry["seq"] for entry in told["entries"]] == sorted(entry["seq"] for entry in told["entries"])
    written = next(entry for entry in told["entries"] if entry["kind"] == "note_written")
    assert written["data"]["text"] == "late again"
    assert told["lines"][-1].strip().startswith("1:00:")
    assert told["calls"][0]["why"] == "asked"
    again = await asks(world, EVA, "timeline", call=call)
    assert again["revision"] == told["revision"]


@story()
async def test_who_may_see_less_of_a_call_is_told_less_of_it(world: World) -> None:
    amy = await world.agent("amy", english=5)
    await world.agent("bob", spanish=5)
    eve = await has_supervisor(world)
    has_rules(world, agent_sees=False)
    call, caller = await talks(world, amy)
    await asks(world, AMY, "note", call=call, text="late again")
    await eve.dial("*71amy")
    await world.sleep(5)
    await eve.hangs_up()
    await caller.hangs_up()
    await world.sleep(31)
    own = await asks(world, AMY, "timeline", call=call)
    assert "pressed 1 at main" in words(own)
    assert "eva" not in str(own), "the client wants agents not to see who listens"
    assert "eva takes part with amy: listen" in words(await asks(world, EVA, "timeline", call=call))
    other = await asks(world, BOB, "timeline", call=call)
    assert "pressed * at main" in words(other)
    theirs = await asks(world, CLIENT, "timeline", call=call)
    assert "amy" not in str(theirs)
    assert "late again" not in str(theirs)
    assert any(sentence.startswith("waited") for sentence in words(theirs))
    assert "talks to an agent" in words(theirs)
    assert (await asks(world, STRANGER, "timeline", call=call))["reason"] == "not_found"


@story()
async def test_calls_that_belong_together_are_one_journey(world: World) -> None:
    """The caller was cut off, rang again and kept the place; the agent asked a colleague: one story."""
    amy, bob = await world.agent("amy", english=5), await world.agent("bob", spanish=5)
    call, caller = await talks(world, amy)
    assert world.publisher.command("amy", {"id": "1", "do": "consult", "to": "bob"})["ok"]
    await bob.rings()
    await bob.answers()
    await world.sleep(5)
    assert world.publisher.command("amy", {"id": "2", "do": "consult_join"})["ok"]
    await world.sleep(5)
    assert world.publisher.command("amy", {"id": "3", "do": "consult_drop"})["ok"]
    await world.sleep(1)
    await caller.hangs_up()
    await world.sleep(31)
    told = await asks(world, EVA, "timeline", call=call)
    assert [each["why"] for each in told["calls"]] == ["asked", "consulted"]
    consulted = told["calls"][1]["call"]
    moments = [entry["at"] for entry in told["entries"]]
    assert moments == sorted(moments)
    assert "[2] amy dials bob" in "\n".join(told["lines"])
    from_there = await asks(world, EVA, "timeline", call=consulted)
    assert {each["call"] for each in from_there["calls"]} >= {consulted}
    alone = await asks(world, EVA, "timeline", call=call, alone=True)
    assert {entry["call"] for entry in alone["entries"]} == {call}


@story()
async def test_what_was_filled_in_stands_in_the_story_as_it_was_then(world: World) -> None:
    amy = await world.agent("amy", english=5)
    has_client(world, wrap_up_fields=FIELDS)
    call, caller = await talks(world, amy)
    await asks(world, AMY, "fields", call=call, values={"order": "A-1", "pin": "4711"})
    await asks(world, AMY, "fields", call=call, values={"order": "A-2"})
    await caller.hangs_up()
    await world.sleep(31)
    told = await asks(world, EVA, "timeline", call=call)
    filled = [entry["data"]["values"] for entry in told["entries"] if entry["kind"] == "fields_written"]
    assert filled == [{"order": "A-1", "pin": "****"}, {"order": "A-2"}]
    assert [sentence for sentence in words(told) if sentence.startswith("filled in")] == [
        "filled in by agent amy, of amy's talk: order is A-1; pin is ****",
        "filled in by agent amy, of amy's talk: order is A-2, not A-1",
    ]
    timeline = await world.storage.timelines.of_call(call, EVA)
    assert timeline is not None
    assert len(list(lines(timeline.entries))) == len(timeline.entries)
