"""The screen pop as somebody else's MQTT client reads it: in time, complete, and by nobody else."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.wire import mosquitto
from tests.wire.floor import CALLER, TECH, agent_phone, caller_phone, known_customer, talk
from tests.wire.mosquitto import Subscriber
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import stays, until

ROOT = "callcenter/v1"
CALLS = 3


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[Switch]:
    """A switch that waits for the broker's word as long as a busy machine may need for it."""
    async with Switch(tmp_path / "switch", ("--set", "mqtt.pop_wait=10s")) as running:
        yield running


def broker_of(switch: Switch) -> int:
    """The process of the broker that it has brought along."""
    return next(pid for pid in switch.processes() if Path(f"/proc/{pid}/comm").read_text().strip() == "mosquitto")


def reader(
    switch: Switch, folder: Path, login: dict[str, Any], *topics: str, name: str = "reader", version: str = "5"
) -> Subscriber:
    """mosquitto_sub with a login of the trial."""
    mqtt = switch.ready["mqtt"]
    return Subscriber(folder / name, mqtt["host"], mqtt["port"], login["user"], login["password"], topics, version)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_the_pop_is_there_when_the_phone_rings_and_tells_all(
    switch: Switch, tmp_path: Path, version: str
) -> None:
    topic = f"{ROOT}/agents/{TECH.agent}/pop"
    login = switch.agent(TECH.agent)["mqtt"]
    async with (
        reader(switch, tmp_path, login, topic, version=version) as pops,
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        await agent.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await agent.event("CALL_INCOMING")
        message = await pops.message(topic)
        assert not message.retained
        pop = message.json
        assert pop["schema"] == "pop.v1"
        assert pop["agent"] == TECH.agent
        assert pop["from"] == CALLER
        assert pop["to"] == switch.number(TECH.alias)
        assert pop["queue"] == TECH.queue
        assert pop["intent"] == TECH.intent
        assert pop["client"]["id"] == TECH.id
        assert pop["client"]["name"] == TECH.name
        assert TECH.name in pop["client"]["greeting"]
        assert pop["customer"]["match"] == "none"
        assert pop["skills"]
        assert pop["why"]
        assert pop["waited_s"] >= 0
        assert pop["seq"] == 1
        assert pop["id"]
        saved_call = switch.query("SELECT call_id FROM facts WHERE kind = 'CallArrived'")
        assert pop["call"] == saved_call[0]["call_id"]
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        # Customer data is never retained: who comes later reads nothing.
        async with reader(switch, tmp_path, login, topic, name="late", version=version) as late:
            await stays(lambda: not late.messages, "a pop is not retained", 0.5)


async def test_no_phone_is_called_before_the_broker_has_the_pop(switch: Switch, tmp_path: Path) -> None:
    """The broker is held still when the offer is made: nothing rings until it goes on, then it has the pop."""
    topic = f"{ROOT}/agents/{TECH.agent}/pop"
    line, broker = switch.agent(TECH.agent), broker_of(switch)

    async with (
        reader(switch, tmp_path, line["mqtt"], topic) as pops,
        Stub(switch.where, answers=lambda _: 180) as phone,
        caller_phone(switch, tmp_path) as caller,
    ):
        assert (await phone.register(line["user"], line["password"])).status == 200
        for number in range(CALLS):
            seen, told = len(phone.received), len(caller.events)
            await caller.dial(TECH.alias)
            await caller.event("CALL_ESTABLISHED", after=told)
            os.kill(broker, signal.SIGSTOP)
            try:
                await caller.press(TECH.keys)
                offers = "SELECT 1 FROM facts WHERE kind = 'OfferMade'"
                await until(lambda: len(switch.query(offers)) > number, "the offer is made")  # noqa: B023
                await stays(lambda: phone.find(method="INVITE", after=seen) is None, "no phone is called", 0.5)  # noqa: B023
            finally:
                os.kill(broker, signal.SIGCONT)
            await phone.request("INVITE", after=seen)
            assert (await pops.message(topic, after=number)).json["seq"] == number + 1
            await caller.hangup()
            await phone.request("CANCEL", after=seen)
            await caller.event("CALL_CLOSED", after=told)
            await switch.interactions(number + 1)
        confirmed = switch.query(
            "SELECT json_extract(body, '$.acknowledged') AS yes FROM facts WHERE kind = 'ScreenPopSent' ORDER BY seq"
        )
        assert [row["yes"] for row in confirmed] == [1] * CALLS


async def test_a_known_caller_is_shown_with_the_last_calls(switch: Switch, tmp_path: Path) -> None:
    topic = f"{ROOT}/agents/{TECH.agent}/pop"
    number, name = known_customer(TECH)
    line = switch.agent(TECH.agent)
    async with (
        reader(switch, tmp_path, line["mqtt"], topic) as pops,
        Stub(switch.where, answers=lambda _: 180) as phone,
        caller_phone(switch, tmp_path, number) as caller,
    ):
        assert (await phone.register(line["user"], line["password"])).status == 200
        pop: dict[str, Any] = {}
        for calls in (1, 2):
            seen, told = len(phone.received), len(caller.events)
            await caller.dial(TECH.alias)
            await caller.event("CALL_ESTABLISHED", after=told)
            await caller.press(TECH.keys)
            await phone.request("INVITE", after=seen)
            pop = (await pops.message(topic, after=calls - 1)).json
            assert (pop["customer"]["name"], pop["customer"]["match"]) == (name, "sure")
            assert len(pop["customer"]["interactions"]) == calls - 1
            await caller.hangup()
            await caller.event("CALL_CLOSED", after=told)
            await switch.interactions(calls)
        assert pop["customer"]["last"]["outcome"] == "abandoned"
        assert pop["customer"]["last"]["intent"] == TECH.intent


async def test_another_agents_login_reads_nothing_of_it_and_no_login_reads_nothing_at_all(
    switch: Switch, tmp_path: Path
) -> None:
    mine = f"{ROOT}/agents/{TECH.agent}/pop"
    other = next(agent for agent in switch.ready["agents"] if agent["user"] != TECH.agent)
    stranger = {"user": "nobody", "password": "nothing"}
    everything = (mine, f"{ROOT}/agents/+/pop", f"{ROOT}/calls/#", "#")
    async with (
        reader(switch, tmp_path, switch.agent(TECH.agent)["mqtt"], mine, name="mine") as pops,
        reader(switch, tmp_path, other["mqtt"], *everything, name="other") as spy,
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        await talk(caller, agent, TECH)
        await pops.message(mine)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        await switch.interaction()
        allowed = (f"{ROOT}/status", f"{ROOT}/agents/{other['user']}/")
        assert not [message.topic for message in spy.messages if not message.topic.startswith(allowed)]
        async with reader(switch, tmp_path, stranger, mine, name="stranger") as refused:
            assert refused.granted is False
        # Nor may an agent speak in the switch's name.
        mqtt, login = switch.ready["mqtt"], other["mqtt"]
        await mosquitto.publish(
            tmp_path, mqtt["host"], mqtt["port"], login["user"], login["password"], mine, '{"schema": "pop.v1"}'
        )
        await stays(lambda: len(pops.on(mine)) == 1, "a forged pop is not delivered", 0.5)


async def test_monitor_sees_states_and_numbered_events_without_a_gap(switch: Switch, tmp_path: Path) -> None:
    state = f"{ROOT}/agents/{TECH.agent}/state"
    monitor = switch.ready["mqtt"]["monitor"]
    topics = (f"{ROOT}/status", f"{ROOT}/agents/+/state", f"{ROOT}/calls/+/event")
    async with (
        reader(switch, tmp_path, monitor, *topics) as floor,
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        assert (await floor.message(f"{ROOT}/status")).payload == b"online"
        async with reader(switch, tmp_path, monitor, f"{ROOT}/status") as late:
            assert (await late.message(f"{ROOT}/status")).retained
        await talk(caller, agent, TECH)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        call = (await switch.interaction())["call_id"]
        events = f"{ROOT}/calls/{call}/event"
        names = ["arrived", "accepted", "intent_captured", "queued", "offered", "pop_sent", "answered", "ended"]
        await until(lambda: "ended" in [m.json["event"] for m in floor.on(events)], "the call's last event")
        told = [message.json["event"] for message in floor.on(events)]
        assert [name for name in told if name in names] == names
        numbers = [message.json["seq"] for message in floor.on(events)]
        assert numbers == sorted(set(numbers)), "each once, in order"
        facts = [row["seq"] for row in switch.query("SELECT seq FROM facts WHERE call_id = ?", call)]
        assert set(numbers) <= set(facts), "the numbers are those of the log"
        assert not any(message.retained for message in floor.on(events))
        work = [message.json["work"] for message in floor.on(state)]
        assert work.index("ringing") < work.index("talking") < work.index("wrap_up")
        assert "+1415" not in "".join(message.topic for message in floor.messages), "no number stands in a topic"


async def test_a_dead_broker_delays_no_call_and_what_was_missed_follows(switch: Switch, tmp_path: Path) -> None:
    def delivered() -> int:
        """How far the outbox has come: the last fact that the broker has confirmed."""
        rows = switch.query("SELECT MAX(seq) AS seq FROM cursors")
        return int(rows[0]["seq"] or 0)

    monitor = switch.ready["mqtt"]["monitor"]
    broker = [pid for pid in switch.processes() if b"mosquitto" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(broker) == 1
    async with (
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        await agent.registered()
        switch.kill_child(broker[0])
        await talk(caller, agent, TECH)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        call = (await switch.interaction())["call_id"]
        async with asyncio.timeout(30):
            while True:  # the broker comes back by itself
                async with reader(switch, tmp_path, monitor, f"{ROOT}/status", name="again") as floor:
                    if floor.granted:
                        break
        written = switch.query("SELECT MAX(seq) AS seq FROM facts WHERE call_id = ?", call)[0]["seq"]
        await until(lambda: delivered() >= written, lambda: f"what the broker missed follows: {delivered()}")
