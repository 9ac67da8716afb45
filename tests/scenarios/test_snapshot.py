"""A snapshot at any moment, and the facts behind it, come to what is: nothing is missed, nothing comes twice."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest

from callcenter.control.protocol import Asked, CommandError, Reason, answer_line, done
from callcenter.model.access import Actor, Role
from callcenter.model.facts import AgentStateChanged, Fact
from callcenter.operate.snapshot import snapshot
from callcenter.operate.trace import trace
from callcenter.operate.waiting import waiting
from callcenter.operate.why import why
from callcenter.publish import topics
from callcenter.publish.agent_states import AgentStates
from callcenter.simulation.world import World, story

TECH = Actor("sam", Role.SUPERVISOR, frozenset({"tech"}))
STRANGER = Actor("sue", Role.SUPERVISOR, frozenset({"another"}))


async def taken(world: World, behalf: Actor | None = None) -> dict[str, Any]:
    """A snapshot as a program reads it from the socket."""
    answer = await snapshot(world.house, Asked("snapshot", "desk", "1", {}, behalf))
    read: dict[str, Any] = json.loads(answer_line(done("1", answer)))
    assert (read["id"], read["ok"]) == ("1", True)
    result: dict[str, Any] = read["result"]
    return result


def came_to(before: dict[str, Any], facts: list[Fact]) -> dict[str, tuple[Any, ...]]:
    """What each agent wants, does, and can be reached by, by whoever took a snapshot and has read all since."""
    found = {
        state["agent"]: (state["chosen"], state["work"], state["device"], state["at"])
        for topic, state in before["states"].items()
        if topic.endswith("/state") and "/agents/" in topic
    }
    told: dict[str, Any] = {}
    fold = AgentStates(lambda topic, state: told.update({topic: state}))
    for fact in facts:
        if fact.seq > before["seq"] and isinstance(fact.body, AgentStateChanged):
            fold.take(fact)
            state = told[topics.agent_state(fact.body.agent)]
            found[fact.body.agent] = (state["chosen"], state["work"], state["device"], state["at"])
    return found


@story()
async def test_a_snapshot_of_any_moment_and_what_follows_come_to_what_is(world: World) -> None:
    """At odd moments of calls that come, wait, are answered, and end: each agent's state is that of the broker."""
    random = Random(7)
    agents = [await world.agent(name, english=5) for name in ("amy", "bob")]
    snapshots = [await taken(world)]
    for number in range(4):
        callers = [await world.phone(f"+1415555{number}{each:03d}") for each in range(3)]
        for caller in callers:
            await caller.dial("1000")
            await world.sleep(3 + random.random())
            await caller.press("1")
            snapshots.append(await taken(world))
        for agent in agents:
            await agent.rings()
            snapshots.append(await taken(world))
            await agent.answers()
            snapshots.append(await taken(world))
            await world.sleep(random.random() * 10)
        for caller in callers:
            await caller.hangs_up()
            snapshots.append(await taken(world))
            await world.sleep(random.random())
        await world.sleep(60)
    last = await taken(world)
    facts = await world.logged()
    for each in snapshots:
        assert each["seq"] <= facts[-1].seq
        assert came_to(each, facts) == came_to(last, [])
    assert len({each["seq"] for each in snapshots}) > 20
    retained = {topic: state for topic, state in world.publisher.retained.items() if topic != topics.STATUS}
    assert {topic: last["states"][topic] for topic in retained} == retained, "exactly as they are published"


@story()
async def test_each_is_given_what_is_theirs(world: World) -> None:
    """Queues and agents of another company are not there, and neither is a queue's line."""
    await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await world.sleep(3)
    await caller.press("1")
    await world.sleep(1)
    whole, theirs, nothing = await taken(world), await taken(world, TECH), await taken(world, STRANGER)
    assert theirs["states"] == whole["states"], "there is one company here"
    assert {topic.split("/")[2] for topic in nothing["states"]} <= {"system", "trunks"}
    line_up = await waiting(world.house, Asked("waiting", "sam", None, {"queue": "sales-english"}, TECH))
    assert (line_up["waiting"], line_up["callers"][0]["from"]) == (1, "+14155550100")
    with pytest.raises(CommandError) as refused:
        await waiting(world.house, Asked("waiting", "sue", None, {"queue": "sales-english"}, STRANGER))
    assert refused.value.reason is Reason.NOT_FOUND
    assert "sales" not in str(refused.value).replace("`sales-english`", ""), "nothing near is named"
    await caller.hangs_up()
    await world.settled()


@story()
async def test_of_a_call_of_another_company_nothing_is_explained_nor_traced(world: World) -> None:
    """Whoever asks for it hears what they hear of a call that there is not."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = world.call_id(await world.connect(caller, amy))
    for command, takes in ((why, TECH), (trace, TECH)):
        assert (await command(world.house, Asked("ask", "sam", None, {"call": call}, takes)))["call"] == call
        words = []
        for name in (call, "cc1-none"):
            with pytest.raises(CommandError) as refused:
                await command(world.house, Asked("ask", "sue", None, {"call": name}, STRANGER))
            words.append((refused.value.reason, str(refused.value).replace(name, "-")))
        assert words[0] == words[1]
        assert words[0][0] is Reason.NOT_FOUND
    for thing, name in (("agent", "amy"), ("queue", "sales-english")):
        assert (await why(world.house, Asked("why", "sam", None, {thing: name}, TECH)))["lines"]
        with pytest.raises(CommandError, match=f"no {thing} is named `{name}`$"):
            await why(world.house, Asked("why", "sue", None, {thing: name}, STRANGER))
    await caller.hangs_up()
    await world.settled()


@story(broker_dead=True)
async def test_without_a_broker_a_snapshot_is_what_it_would_retain(world: World) -> None:
    """Whoever goes by the API alone misses nothing."""
    await world.agent("amy", english=5)
    assert (await taken(world))["states"][topics.agent_state("amy")]["device"] == "registered"
