"""Commands over MQTT: whatever an agent's program sends, it gets an answer in words, and the switch its peace."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.publish import topics
from callcenter.publish.commands import (
    ANSWERED_WITHIN,
    BURST,
    BURST_OF_ALL,
    MAX_COMMAND,
    MOST_WAITING,
    RATE,
    Commands,
)
from callcenter.publish.mosquitto import MosquittoBroker
from callcenter.publish.mqtt import MqttPublisher
from callcenter.publish.publisher import FIRST_PAUSE, Heard
from callcenter.publish.settings import MqttLogin, Role
from callcenter.runtime.clock import SystemClock
from callcenter.simulation.clock import SimClock, run
from tests.unit.publish.mosquitto_clients import publish, reader
from tests.unit.publish.support import Log, until
from tests.unit.publish.test_publisher import in_virtual_time, publisher, told

READY = {"id": "1", "do": "state", "chosen": "ready"}


class Desk:
    """Who obeys: it remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    def take(self, agent: str, command: Mapping[str, Any]) -> Mapping[str, Any]:
        self.told.append((agent, dict(command)))
        return {"id": command.get("id"), "ok": True}


@in_virtual_time
async def test_a_command_is_obeyed_and_answered_at_the_agents_own_topic() -> None:
    desk = Desk()
    async with publisher(Log()) as made:
        made.on_command = desk.take
        await until(lambda: made.status().connected)
        assert made.command("ana", READY) == {"id": "1", "ok": True}
        (reply,) = (message for message in made.messages if "cmd" in message.topic)
        assert (reply.topic, reply.retain, reply.expires_s) == ("callcenter/v1/agents/ana/cmd/reply", False, 60)
    assert desk.told == [("ana", READY)]


@pytest.mark.parametrize(
    ("payload", "id_", "words"),
    [
        (b"ready", None, "is not JSON: write an object such as {"),
        (b"", None, "is not JSON"),
        (b"\xff\xfe{}", None, "not UTF-8"),
        (b"\xff", None, "not UTF-8"),
        (b'"ready"', None, "not a JSON object"),
        (b"[1]", None, "not a JSON object"),
        (b'{"id": "7", "x": NaN}', None, "is not JSON"),
        (b"[" * MAX_COMMAND, None, "is not JSON"),
        (b'{"id": "7", "note": "' + b"x" * MAX_COMMAND + b'"}', None, f"{MAX_COMMAND} at most"),
    ],
)
def test_what_is_no_command_is_answered_in_words(payload: bytes, id_: str | None, words: str) -> None:
    async def main() -> None:
        desk = Desk()
        door = Commands(SimClock(asyncio.get_running_loop()))
        door.on_command = desk.take
        reply = door.answer("ana", payload)
        assert reply is not None
        told = json.loads(reply)
        assert (told["id"], told["ok"]) == (id_, False)
        assert words in told["error"]
        assert "xxxx" not in told["error"], "what was sent is not sent back"
        assert not desk.told

    run(main())


@given(st.one_of(st.binary(max_size=200), st.text().map(lambda text: json.dumps({"id": text}).encode())))
def test_whatever_is_sent_the_answer_is_a_json_object(payload: bytes) -> None:
    async def main() -> None:
        door = Commands(SimClock(asyncio.get_running_loop()))
        door.on_command = Desk().take
        reply = door.answer("ana", payload)
        assert reply is not None
        assert isinstance(json.loads(reply)["ok"], bool)

    run(main())


@in_virtual_time
async def test_a_retained_command_is_refused_for_it_would_come_again() -> None:
    desk = Desk()
    async with publisher(Log()) as made:
        made.on_command = desk.take
        await until(lambda: made.status().connected)
        reply = made.command("ana", READY, retained=True)
        assert (reply["id"], reply["ok"]) == ("1", False)
        assert "without the retain flag" in reply["error"]
    assert not desk.told


@in_virtual_time
async def test_a_mistake_of_who_obeys_costs_one_answer_and_not_the_link() -> None:
    said: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["message"]))

    def fail(_: str, __: Mapping[str, Any]) -> Mapping[str, Any]:
        raise RuntimeError("a mistake")

    async with publisher(Log()) as made:
        await until(lambda: made.status().connected)
        states = told(made)
        assert "just starting" in made.command("ana", READY)["error"]
        made.on_command = fail
        assert made.command("ana", READY) == {
            "id": "1",
            "ok": False,
            "error": "the switch made a mistake; its log tells which",
            "reason": "unavailable",
        }  # fmt: skip
        assert (states, said) == ([], ["a command of ana over MQTT failed"])


@in_virtual_time
async def test_one_agent_who_floods_is_told_once_and_takes_nothing_from_another() -> None:
    desk = Desk()
    async with publisher(Log()) as made:
        made.on_command = desk.take
        await until(lambda: made.status().connected)
        answers = [made.command("ana", {**READY, "id": str(number)}) for number in range(BURST + 50)]
        assert all(answer["ok"] for answer in answers[:BURST])
        assert "too many commands" in answers[BURST]["error"]
        assert answers[BURST + 1 :] == [None] * 49, "told once"
        assert made.command("bob", READY)["ok"]
        await asyncio.sleep(2 / RATE)
        assert made.command("ana", READY)["ok"]
        await asyncio.sleep(BURST / RATE)
        assert [made.command("ana", READY)["ok"] for _ in range(BURST)] == [True] * BURST
        assert not made.command("ana", READY)["ok"], "told again after a pause"


@in_virtual_time
async def test_a_flood_of_many_is_not_listened_to_for_a_while_and_pops_go_on() -> None:
    desk = Desk()
    async with publisher(Log()) as made:
        made.on_command = desk.take
        await until(lambda: made.status().connected and bool(made.retained))
        states = told(made)
        for number in range(BURST_OF_ALL + 100):
            made.command(f"a{number}", READY)
        assert len(desk.told) == BURST_OF_ALL
        await until(lambda: states)
        assert states == [(True, "agents' commands are not heard for a while: far too many came")]
        assert made.status().detail == states[0][1]
        assert made.command("ana", READY) is None
        assert await made.publish_pop("ana", {}, 60.0)
        await asyncio.sleep(FIRST_PAUSE + 0.1)
        assert made.command("ana", READY)["ok"]
        assert states[1:] == [(True, "")]


@in_virtual_time
async def test_commands_of_an_outage_are_lost_and_those_after_it_heard() -> None:
    desk = Desk()
    async with publisher(Log()) as made:
        made.on_command = desk.take
        await until(lambda: made.status().connected)
        made.die()
        await asyncio.sleep(0.01)
        assert made.command("ana", READY) is None
        made.revive()
        await until(lambda: made.status().connected)
        await asyncio.sleep(0.01)
        assert made.command("ana", {**READY, "id": "2"}) == {"id": "2", "ok": True}
    assert [command["id"] for _, command in desk.told] == ["2"]


@pytest.mark.parametrize(("supervised", "whose"), [(False, ["agents'"]), (True, ["agents'", "supervisors'"])])
def test_a_broker_that_lets_us_hear_no_commands_is_told_of_and_all_else_goes_on(
    supervised: bool, whose: list[str]
) -> None:
    """Of supervisors' commands only where there are supervisors."""

    @in_virtual_time
    async def told_of() -> None:
        log = Log()
        async with publisher(log, dead=True) as made:
            states = told(made)
            made.supervised = supervised
            made.refuse("/cmd")
            made.revive()
            log.add(3)
            await until(lambda: states and not made.status().waiting)
            assert states == [
                (True, "; ".join(f"the broker does not let us hear {each} commands: Not authorized" for each in whose))
            ]
            assert made.status().connected

    told_of()


# ------------------------------------------------------------------------------------------------- a real broker


@pytest.fixture
async def broker(tmp_path: Any) -> AsyncIterator[MosquittoBroker]:
    logins = [MqttLogin("ana", Role.AGENT, password="ana"), MqttLogin("bob", Role.AGENT, password="bob")]
    made = MosquittoBroker(tmp_path / "broker", logins)
    assert await made.start(), made.detail
    yield made
    await made.close()


@pytest.fixture
async def made(broker: MosquittoBroker) -> AsyncIterator[tuple[MqttPublisher, Desk]]:
    found, desk = MqttPublisher(broker.address, Log(), SystemClock()), Desk()
    found.on_command = desk.take
    await found.start()
    assert await found.ready(10)
    yield found, desk
    await found.close()


COMMAND = topics.agent_command("ana")
REPLY = topics.agent_reply("ana")


async def test_an_agent_commands_itself_and_nobody_else(
    broker: MosquittoBroker, made: tuple[MqttPublisher, Desk]
) -> None:
    """Nor does it read another's answers, nor is answered where it likes."""
    _, desk = made
    async with (
        reader(broker.port, "ana", "ana", "callcenter/v1/agents/#", "elsewhere") as ana,
        reader(broker.port, "bob", "bob", "callcenter/v1/agents/#", "callcenter/v1/#", REPLY) as bob,
    ):
        await publish(broker.port, "bob", "bob", COMMAND, json.dumps({"id": "b", "do": "state"}))
        await publish(broker.port, "ana", "ana", COMMAND, json.dumps(READY))
        await until(lambda: ana.of(REPLY))
        assert ana.of(REPLY) == ['{"id":"1","ok":true}']
        assert desk.told == [("ana", READY)]
        await publish(
            broker.port, "ana", "ana", COMMAND, "{}",
            options=("-D", "publish", "response-topic", topics.STATUS, "-D", "publish", "correlation-data", "7"),
        )  # fmt: skip
        await until(lambda: len(ana.of(REPLY)) == 2)
        assert not [topic for _, topic, _ in bob.got if "/cmd" in topic]
        await publish(broker.port, "bob", "bob", topics.agent_command("bob"), "what?")
        await until(lambda: bob.of(topics.agent_reply("bob")))
        assert "not JSON" in bob.of(topics.agent_reply("bob"))[0]


async def test_what_was_retained_is_not_obeyed_at_the_next_link(broker: MosquittoBroker) -> None:
    """A program that sets the flag by mistake: it is told while we hear it, and nothing is obeyed a day later."""
    await publish(broker.port, "ana", "ana", COMMAND, json.dumps(READY), options=("-r",))
    desk = Desk()
    found = MqttPublisher(broker.address, Log(), SystemClock())
    found.on_command = desk.take
    async with reader(broker.port, "ana", "ana", REPLY) as ana:
        await found.start()
        assert await found.ready(10)
        await publish(broker.port, "ana", "ana", COMMAND, json.dumps({**READY, "id": "2"}), options=("-r",))
        await publish(broker.port, "ana", "ana", COMMAND, json.dumps({**READY, "id": "3"}))
        await until(lambda: len(ana.of(REPLY)) == 2)
        refused, obeyed = map(json.loads, ana.of(REPLY))
        assert (refused["id"], refused["ok"], obeyed) == ("2", False, {"id": "3", "ok": True})
    assert [command["id"] for _, command in desk.told] == ["3"]
    await found.close()


async def test_a_correlation_comes_back_with_the_answer(
    broker: MosquittoBroker, made: tuple[MqttPublisher, Desk]
) -> None:
    async with reader(broker.port, "ana", "ana", REPLY, form="GOT %r %t %D=%p") as ana:
        await publish(
            broker.port, "ana", "ana", COMMAND, json.dumps(READY),
            options=("-D", "publish", "correlation-data", "42"),
        )  # fmt: skip
        await until(lambda: ana.of(REPLY))
        assert ana.of(REPLY)[0].startswith("42=")


@pytest.mark.parametrize("qos", ["0", "1"])
async def test_a_flood_over_the_wire_stops_neither_pops_nor_who_asks_after_it(
    broker: MosquittoBroker, made: tuple[MqttPublisher, Desk], qos: str
) -> None:
    found, desk = made
    program = await asyncio.create_subprocess_exec(
        *("mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-u", "ana", "-P", "ana", "-V", "mqttv5"),
        *("-q", qos, "-t", COMMAND, "-l"),
        stdin=asyncio.subprocess.PIPE,
    )
    assert program.stdin is not None
    program.stdin.write(b'{"id": "1", "do": "state"}\n' * 20_000)
    program.stdin.close()
    pops = 0
    while program.returncode is None:
        assert await found.publish_pop("bob", {}, 60.0)
        pops += 1
        await asyncio.sleep(0.01)
    assert pops, "one came through in the midst of it"
    assert desk.told, "the first ones were obeyed"
    assert len(desk.told) <= BURST + RATE * 30
    async with reader(broker.port, "bob", "bob", topics.agent_reply("bob")) as bob:
        await until(lambda: not found.status().detail, within=FIRST_PAUSE * 3)
        await publish(broker.port, "bob", "bob", topics.agent_command("bob"), json.dumps(READY))
        await until(lambda: bob.of(topics.agent_reply("bob")))


# Answers that take their time, and where they go


class SlowDesk:
    """Who obeys after a while, but a ``state`` at once; ``done`` is what was done, in order."""

    def __init__(self, takes: float = 0.5) -> None:
        self.takes = takes
        self.done: list[str] = []

    def take(self, agent: str, command: Mapping[str, Any]) -> Any:
        if command["do"] == "state":
            return self.obey(agent, command)
        return self._later(agent, command)

    def obey(self, agent: str, command: Mapping[str, Any]) -> Mapping[str, Any]:
        self.done.append(f"{agent} {command['id']}")
        return {"id": command["id"], "ok": True}

    async def _later(self, agent: str, command: Mapping[str, Any]) -> Mapping[str, Any]:
        await asyncio.sleep(self.takes)
        if command["do"] == "fail":
            raise RuntimeError("a mistake")
        return self.obey(agent, command)


def sent(**command: Any) -> bytes:
    return json.dumps({"do": "note", **command}).encode()


@in_virtual_time
async def test_what_takes_its_time_is_answered_later_and_keeps_the_order_of_who_asked() -> None:
    desk, door, told = SlowDesk(), Commands(SimClock(asyncio.get_running_loop())), []
    door.on_command = desk.take
    for number in range(3):
        door.take("ana", sent(id=str(number)), lambda reply: told.append(json.loads(reply)["id"]))
    door.take("ana", sent(id="3", do="state"), lambda reply: told.append(json.loads(reply)["id"]))
    door.take("bob", sent(id="b", do="state"), lambda reply: told.append(json.loads(reply)["id"]))
    assert told == ["b"], "nobody waits for others"
    await until(lambda: len(told) == 5)
    assert told == ["b", "0", "1", "2", "3"]
    assert desk.done == ["bob b", "ana 0", "ana 1", "ana 2", "ana 3"]
    door.take("ana", sent(id="4", do="state"), lambda reply: told.append(json.loads(reply)["id"]))
    assert told[-1] == "4", "nothing is before it any more"


@in_virtual_time
async def test_of_one_agent_no_more_commands_wait_than_may() -> None:
    desk, door, told = SlowDesk(), Commands(SimClock(asyncio.get_running_loop())), []
    door.on_command = desk.take
    for number in range(MOST_WAITING + 2):
        if number % BURST == BURST - 1:
            await asyncio.sleep(0)
        door.take("ana", sent(id=str(number)), lambda reply: told.append(json.loads(reply)))
        desk.takes = 100.0
    refused = [each for each in told if not each["ok"]]
    assert refused, "the ration, or the lane, has an end"
    assert {each["reason"] for each in refused} == {"too_many"}
    door.close()


@in_virtual_time
async def test_what_is_never_done_and_what_fails_cost_one_answer_each() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    desk, door, told = SlowDesk(1000.0), Commands(SimClock(asyncio.get_running_loop())), []
    door.on_command = desk.take
    door.take("ana", sent(id="1"), lambda reply: told.append(json.loads(reply)))
    await asyncio.sleep(ANSWERED_WITHIN + 1)
    desk.takes = 0.1
    door.take("ana", sent(id="2", do="fail"), lambda reply: told.append(json.loads(reply)))
    door.take("ana", sent(id="3"), lambda reply: told.append(json.loads(reply)))
    await until(lambda: len(told) == 3)
    assert [(each["id"], each["ok"], each.get("reason")) for each in told] == [
        ("1", False, "unavailable"),
        ("2", False, "unavailable"),
        ("3", True, None),
    ]
    assert "ask again with the same id" in told[0]["error"]


ANAS = "callcenter/v1/agents/ana/cmd"


@pytest.mark.parametrize(
    ("wanted", "goes_to"),
    [
        (None, f"{ANAS}/reply"),
        (f"{ANAS}/reply", f"{ANAS}/reply"),
        (f"{ANAS}/reply/window-2", f"{ANAS}/reply/window-2"),
        (f"{ANAS}/reply/a/b/c", f"{ANAS}/reply/a/b/c"),
        (f"{ANAS}/reply/a/b/c/d", f"{ANAS}/reply"),
        (f"{ANAS}/reply/", f"{ANAS}/reply"),
        (f"{ANAS}/reply/#", f"{ANAS}/reply"),
        (f"{ANAS}/reply/+14155550100", f"{ANAS}/reply"),
        (f"{ANAS}/replyto", f"{ANAS}/reply"),
        (ANAS, f"{ANAS}/reply"),
        ("callcenter/v1/agents/ana/state", f"{ANAS}/reply"),
        ("callcenter/v1/agents/ana/pop", f"{ANAS}/reply"),
        ("callcenter/v1/agents/bob/cmd/reply", f"{ANAS}/reply"),
        ("callcenter/v1/status", f"{ANAS}/reply"),
        ("", f"{ANAS}/reply"),
    ],
)
def test_an_answer_goes_where_the_asker_wants_it_and_alone_can_read_it(wanted: str | None, goes_to: str) -> None:
    assert topics.reply_topic(f"{ANAS}/reply", wanted) == goes_to


@in_virtual_time
async def test_response_topic_correlation_and_an_id_beside_the_command_are_taken() -> None:
    desk = Desk()
    async with publisher(Log()) as made:
        made.on_command = desk.take
        await until(lambda: made.status().connected)
        command = json.dumps({"do": "state", "chosen": "ready"}).encode()
        made.send(Heard(ANAS, command, correlation=b"c", response=f"{ANAS}/reply/one", id="p1"))
        (reply,) = (message for message in made.messages if message.topic == f"{ANAS}/reply/one")
        assert reply.payload == {"id": "p1", "ok": True}
        made.send(Heard(ANAS, b'{"id": "in it", "do": "state"}', id="p2"))
    assert [command["id"] for _, command in desk.told] == ["p1", "in it"]
