"""An operator who wants to see a call on the wire: which ladder is shown, and that no secret is in it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from callcenter.cli.trace import Ladder
from callcenter.control.protocol import Asked, CommandError
from callcenter.operate.trace import trace
from callcenter.simulation.world import World, story


async def look(world: World, **which: Any) -> dict[str, Any]:
    """What the control socket answers."""
    return await trace(world.house, Asked("trace", "operator", "1", which))


def labels(found: dict[str, Any]) -> list[str]:
    """The ladder's arrows and notes without their times, one party's messages as the other's."""
    return [line[9:].strip(" |") for line in Ladder(found).lines(found) if line[:9].strip()]


@story()
async def test_the_ladder_of_a_call_shows_both_legs_and_what_happened_between(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    await caller.hangs_up()
    await world.settled()
    found = await look(world, call=world.call_id(call)[-6:])
    assert (found["call"], found["agents"], found["up"]) == (world.call_id(call), ["amy"], False)
    assert len(found["sip_call_ids"]) == 2
    told = "\n".join(labels(found))
    order = [
        *("INVITE -", "100 Trying (INVITE)", "200 OK (INVITE)", "ACK -"),
        *("* call queued", "* offer made", "INVITE -", "200 OK (INVITE)", "* call connected", "BYE -", "* call ended"),
    ]
    at = 0
    for each in order:
        assert each in told[at:], f"{each} is not behind the others in\n{told}"
        at = told.index(each, at) + 1
    picture = Ladder(found).lines(found)
    assert any("caller" in line and "switch" in line and "amy" in line for line in picture)
    assert any("audio 10.0.1.2:" in line and "PCMU" in line for line in picture)
    assert "+14155550100" not in "\n".join([*Ladder(found).head(), *picture])


@story()
async def test_a_call_is_found_by_number_by_agent_and_as_the_last(world: World) -> None:
    amy = await world.agent("amy", english=5)
    first, second = await world.phone("+14155550100"), await world.phone("+14155550101")
    one = await world.connect(first, amy)
    await first.hangs_up()
    other = await second.dial("1000")
    await world.settled()
    assert (await look(world, number="+14155550100"))["call"] == world.call_id(one)
    assert (await look(world, agent="amy"))["call"] == world.call_id(one)
    latest = await look(world)
    assert (latest["call"], latest["up"]) == (world.call_id(other), True)
    assert (await look(world, call=one.sip_call_id))["call"] == world.call_id(one)
    with pytest.raises(CommandError, match="no call is known of number \\+19995550000"):
        await look(world, number="+19995550000")
    with pytest.raises(CommandError, match="is a text"):
        await look(world, agent=7)
    await second.hangs_up()


@story()
async def test_what_was_refused_at_the_door_is_found_too(world: World) -> None:
    """A number that nobody has makes no call; why it does not ring is what is asked most."""
    caller = await world.phone("+14155550100")
    await caller.dial_beside("7777")
    await world.settled()
    found = await look(world, number="7777")
    assert found["call"] is None
    assert "404 Not Found (INVITE)" in "\n".join(labels(found))
    assert Ladder(found).head()[0].startswith("no call of ours")


@story()
async def test_a_registration_is_found_by_its_agent_and_keeps_its_secret(world: World) -> None:
    await world.agent("amy", english=5)
    found = await look(world, agent="amy")
    told = b"\n".join(base64.b64decode(message["data"]) for message in found["messages"])
    assert b'username="amy"' in told
    assert b'response="***"' in told


@story()
async def test_who_follows_gets_each_message_and_each_fact_once(world: World) -> None:
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await world.settled()
    found = await look(world)
    ladder = Ladder(found)
    lines = ladder.lines(found)
    assert ladder.lines(await look(world, after=ladder.last, after_fact=ladder.last_fact)) == []
    await caller.hangs_up()
    await world.settled()
    more = ladder.lines(await look(world, after=ladder.last, after_fact=ladder.last_fact))
    assert [line for line in more if "BYE" in line]
    assert not set(lines) & set(more)


@story()
async def test_a_repeated_message_is_marked(world: World) -> None:
    caller = await world.phone("+14155550100")
    world.network.weather.loss = 1.0
    caller.starts_dialling("1000")
    await world.sleep(1.7)
    world.network.weather.loss = 0.0
    await world.sleep(5)
    assert "no call yet" not in "\n".join(labels(await look(world)))
    world.network.weather.duplicate = 1.0
    await caller.hangs_up()
    await world.sleep(2)
    told = "\n".join(labels(await look(world)))
    assert "BYE (again)" in told
