"""The broker in the middle of calls: it dies, stays away, refuses; calls go on, and everything follows in order."""

from __future__ import annotations

from callcenter.publish import payloads, topics
from callcenter.publish.publisher import CURSOR, MAX_POPS, RECEIVE_MAXIMUM
from callcenter.simulation.world import World, story

FOR = 600.0  # s


async def a_minute_of_calls(world: World, number: int) -> None:
    """A caller talks to amy, and she is free again."""
    caller = await world.phone(f"+141555501{number:02d}")
    call = await world.connect(caller, world.phones[0])
    await world.sleep(20)
    await caller.hangs_up()
    await world.interaction(call)
    await world.sleep(32)


def events(world: World) -> list[int]:
    """The numbers of the events, as they came."""
    return [message.payload["seq"] for message in world.publisher.messages if message.topic.endswith("/event")]


async def story_of_calls(world: World) -> list[int]:
    """The numbers of all facts that are a part of a call's story."""
    return [fact.seq for fact in await world.logged() if payloads.call_event(fact) or payloads.followup_event(fact)]


@story()
async def test_ten_minutes_without_a_broker_and_all_of_it_follows_in_order(world: World) -> None:
    """Calls go on; nothing is lost, nothing comes twice, and no agent's screen shows a call of ten minutes ago."""
    await world.agent("amy", english=5)
    await a_minute_of_calls(world, 0)
    before = len(events(world))
    assert before
    world.publisher.die()
    went = world.clock.monotonic()
    number = 0
    while world.clock.monotonic() - went < FOR:
        number += 1
        await a_minute_of_calls(world, number)
    assert number >= 9
    assert len(events(world)) == before
    status = world.publisher.status()
    assert status.waiting > 100
    assert status.pops_waiting <= min(number, MAX_POPS)
    world.publisher.revive()
    await a_minute_of_calls(world, 99)
    assert events(world) == await story_of_calls(world), "each once, in the order of the log"
    pops = world.pops_of("amy")
    numbers = [pop["seq"] for pop in pops]
    assert (numbers[0], numbers[-1]) == (1, number + 2), "the numbers show how many were missed"
    assert len(numbers) == len(set(numbers)) <= 3, "of the outage at most the last one, which was not a minute old"
    assert world.publisher.retained[topics.agent_state("amy")]["work"] == "idle"
    assert world.publisher.status().waiting == 0


@story()
async def test_a_broker_that_dies_in_every_call_repeats_no_more_than_was_on_its_way(world: World) -> None:
    """It goes while an agent rings and while they talk, and is back after seconds."""
    amy = await world.agent("amy", english=5)
    world.publisher.delay = 0.01
    for number in range(4):
        caller = await world.phone(f"+141555502{number:02d}")
        call = await caller.dial("1000")
        await caller.press("1")
        await amy.rings()
        world.publisher.die()
        await amy.answers()
        await world.sleep(3)
        world.publisher.revive()
        await world.sleep(15)
        world.publisher.die()
        await caller.hangs_up()
        await world.interaction(call)
        world.publisher.revive()
        await world.sleep(50)
    seen = events(world)
    assert list(dict.fromkeys(seen)) == await story_of_calls(world)
    assert len(seen) - len(set(seen)) <= 8 * RECEIVE_MAXIMUM // 2, "a window for each time it went"


@story()
async def test_events_that_are_refused_cost_no_pop_and_no_call(world: World) -> None:
    """The rights of the broker are wrong for an hour: told once, and then everything follows."""
    amy = await world.agent("amy", english=5)
    world.publisher.refuse("/event")
    for number in range(3):
        await a_minute_of_calls(world, number)
    assert not events(world)
    assert len(world.pops_of(amy.name)) == 3
    assert world.storage.log.cursor(CURSOR) < world.storage.log.last_seq
    told = [fact.body for fact in world.facts if fact.kind == "BrokerStateChanged"]
    assert [(body.connected, body.detail) for body in told][1:] == [  # type: ignore[union-attr]
        (True, "the broker refuses events: Not authorized")
    ]
    world.publisher.refuse("/event", "")
    await world.sleep(20)
    assert events(world) == await story_of_calls(world)


@story()
async def test_an_agent_commands_over_mqtt_and_asks_twice(world: World) -> None:
    """Not ready by command, answered; the same command again, as QoS 1 may bring it, does nothing and says the same."""
    await world.agent("amy", english=5)
    command = {"id": "7", "do": "state", "chosen": "not_ready", "reason": next(iter(world.settings.calls.reasons))}
    assert world.publisher.command("amy", command) == {"id": "7", "ok": True}
    await world.sleep(1)
    state = world.publisher.retained[topics.agent_state("amy")]
    assert (state["chosen"], state["reason"]) == ("not_ready", command["reason"])
    assert world.publisher.command("amy", {"id": "8", "do": "state", "chosen": "ready"})["ok"]
    assert world.publisher.command("amy", command) == {"id": "7", "ok": True}
    await world.sleep(1)
    assert world.publisher.retained[topics.agent_state("amy")]["chosen"] == "ready"
    refused = world.publisher.command("nobody", {"id": "9", "do": "state", "chosen": "ready"})
    assert (refused["ok"], bool(refused["error"])) == (False, True)
    assert not world.publisher.command("amy", {"do": "dance"})["ok"]
