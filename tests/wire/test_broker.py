"""The broker on the wire: killed in the middle of calls, somebody else's with TLS, and commands of agents' programs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from callcenter.model.facts import body_from_dict
from callcenter.publish import events
from tests.unit.publish.external import PASSWORD, USER, Authority, External
from tests.wire import mosquitto
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.mosquitto import Subscriber
from tests.wire.process import free_port
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import stays, until

ROOT = "callcenter/v1"
ALL = f"user {USER}\ntopic readwrite {ROOT}/#\nuser wall\ntopic read #\nuser ana\ntopic read #\n"
USERS = {USER: PASSWORD, "wall": "wall", "ana": "ana"}


def reader(switch: Switch, folder: Path, login: dict[str, Any], *topics: str, name: str = "reader") -> Subscriber:
    """mosquitto_sub with a login of the trial."""
    mqtt = switch.ready["mqtt"]
    return Subscriber(folder / name, mqtt["host"], mqtt["port"], login["user"], login["password"], topics)


async def command(switch: Switch, folder: Path, login: dict[str, Any], agent: str, **fields: Any) -> None:
    """An agent's program asks for something."""
    mqtt = switch.ready["mqtt"]
    topic = f"{ROOT}/agents/{agent}/cmd"
    await mosquitto.publish(
        folder, mqtt["host"], mqtt["port"], login["user"], login["password"], topic, json.dumps(fields)
    )


def story_of_calls(switch: Switch) -> list[int]:
    """The numbers of all facts in the log that are a part of a call's story."""
    rows = switch.query("SELECT seq, kind, body FROM facts WHERE call_id IS NOT NULL ORDER BY seq")
    return [row["seq"] for row in rows if type(body_from_dict(row["kind"], json.loads(row["body"]))) in events.EVENTS]


def delivered(switch: Switch) -> int:
    """The last fact that the broker has confirmed."""
    rows = switch.query("SELECT seq FROM cursors WHERE name = 'mqtt'")
    return int(rows[0]["seq"]) if rows else 0


def numbers(wall: Subscriber) -> list[int]:
    """The numbers of the events, as they came."""
    return [message.json["seq"] for message in wall.messages if message.topic.endswith("/event")]


def broker_said(switch: Switch) -> list[tuple[bool, str]]:
    """What the switch told of its broker, by the log of facts."""
    rows = switch.query("SELECT body FROM facts WHERE kind = 'BrokerStateChanged' ORDER BY seq")
    return [(bool(body["connected"]), body["detail"]) for row in rows if (body := json.loads(row["body"])) is not None]


async def test_an_agent_changes_state_by_command_and_another_cannot(switch: Switch, tmp_path: Path) -> None:
    """The reply comes at the agent's own topic, by the agent's own login; nobody else commands or reads it."""
    ana = switch.agent(TECH.agent)["mqtt"]
    other = next(agent for agent in switch.ready["agents"] if agent["user"] != TECH.agent)["mqtt"]
    state, reply = f"{ROOT}/agents/{TECH.agent}/state", f"{ROOT}/agents/{TECH.agent}/cmd/reply"
    line = switch.agent(TECH.agent)
    async with (
        reader(switch, tmp_path, ana, state, reply, name="ana") as mine,
        reader(switch, tmp_path, other, reply, f"{ROOT}/agents/+/cmd", "#", name="other") as spy,
        Stub(switch.where, answers=lambda _: 180) as phone,
    ):
        assert (await phone.register(line["user"], line["password"])).status == 200
        await until(lambda: [m for m in mine.on(state) if m.json["chosen"] == "ready"], "ana is ready")
        await command(switch, tmp_path, other, TECH.agent, id="1", do="state", chosen="signed_out")
        await command(switch, tmp_path, ana, TECH.agent, id="2", do="state", chosen="signed_out")
        assert (await mine.message(reply)).json == {"id": "2", "ok": True}
        await until(lambda: mine.on(state)[-1].json["chosen"] == "signed_out", "ana is signed out")
        for _ in range(2):
            await command(switch, tmp_path, ana, TECH.agent, id="3", do="state", chosen="ready")
        await until(lambda: len(mine.on(reply)) == 3, "a reply to each")
        assert [message.json["ok"] for message in mine.on(reply)] == [True, True, True]
        await command(switch, tmp_path, ana, TECH.agent, id="4", do="dance")
        refused = (await mine.message(reply, after=3)).json
        assert (refused["id"], refused["ok"], bool(refused["error"])) == ("4", False, True)
        assert not [message.topic for message in spy.messages if "/cmd" in message.topic]
        chosen = "SELECT 1 FROM facts WHERE kind = 'AgentStateChanged' AND json_extract(body, '$.cause') LIKE '%MQTT%'"
        # The answer does not wait for the database.
        await until(lambda: len(switch.query(chosen)) >= 2, "both that were obeyed are written")
        assert len(switch.query(chosen)) == 2, "the one who was doubled did nothing"


async def test_our_own_broker_killed_in_the_middle_of_a_talk_gets_all_of_the_call(
    switch: Switch, tmp_path: Path
) -> None:
    """Kill -9; it is back by itself, the talk does not notice, the events follow in order, the states are there."""
    monitor = switch.ready["mqtt"]["monitor"]
    (broker,) = [pid for pid in switch.processes() if b"mosquitto" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    topics = (f"{ROOT}/calls/+/event", f"{ROOT}/agents/{TECH.agent}/state", f"{ROOT}/status")
    async with (
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
        # mosquitto_sub comes back by itself, and subscribes again.
        reader(switch, tmp_path, monitor, *topics, name="floor") as floor,
    ):
        await talk(caller, agent, TECH)
        await until(lambda: numbers(floor) == story_of_calls(switch), "the events up to the talk")
        switch.kill_child(broker)
        await until(lambda: floor.on(f"{ROOT}/status")[1:], "online again")
        await until(lambda: [m for m in floor.on(f"{ROOT}/status")[1:] if m.payload == b"online"], "online again")
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        await switch.interaction()
        await until(
            lambda: numbers(floor) == story_of_calls(switch), lambda: f"{numbers(floor)} {story_of_calls(switch)}"
        )
        states = [message.json["work"] for message in floor.on(f"{ROOT}/agents/{TECH.agent}/state")]
        assert states[-1] == "wrap_up"
        assert broker_said(switch)[0] == (True, "")


async def test_somebody_elses_broker_with_tls_restarts_twice_while_calls_go_on(tmp_path: Path) -> None:
    """Killed, then stopped; away for seconds. A reader with a lasting session misses nothing; a pop is not doubled."""
    authority, port = Authority.found(tmp_path / "authority"), free_port()
    certificate = authority.issue("broker", of="DNS:localhost,IP:127.0.0.1")
    password = tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    password.chmod(0o600)
    # Beside TLS a plain port: mosquitto_sub gives up at the second refusal of a handshake.
    plain = free_port()
    more = (
        f"persistence true\npersistence_location {tmp_path}/\nautosave_interval 1\nmax_inflight_messages 0\n"
        f"listener {plain} 127.0.0.1"
    )
    options = (
        *("--set", f"mqtt.url=mqtts://localhost:{port}", "--set", f"mqtt.user={USER}"),
        *("--set", f"mqtt.password_file={password}", "--set", f"mqtt.ca_file={authority.certificate}"),
    )
    login = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(plain), "-V", "mqttv5"]
    async with External(tmp_path / "broker", port, certificate, acl=ALL, users=USERS, more=more) as broker:
        wall = await asyncio.create_subprocess_exec(
            *("stdbuf", "-oL", *login, "-u", "wall", "-P", "wall", "-q", "1", "-i", "wall", "-c", "-x", "3600"),
            *("-t", f"{ROOT}/calls/+/event", "-t", f"{ROOT}/agents/+/pop", "-F", "%t %p"),
            stdout=asyncio.subprocess.PIPE,
        )
        got: list[tuple[str, dict[str, Any]]] = []

        async def read() -> None:
            assert wall.stdout is not None
            async for line in wall.stdout:
                topic, _, payload = line.decode().partition(" ")
                got.append((topic, json.loads(payload)))

        def seqs() -> list[int]:
            return list(dict.fromkeys(payload["seq"] for topic, payload in got if topic.endswith("/event")))

        reading = asyncio.create_task(read())
        try:
            async with Switch(tmp_path / "switch", options) as switch:
                began, saved = time.time(), tmp_path / "mosquitto.db"
                line = switch.agent(TECH.agent)
                async with (
                    Stub(switch.where, answers=lambda _: 180) as phone,
                    caller_phone(switch, tmp_path) as caller,
                ):
                    assert (await phone.register(line["user"], line["password"])).status == 200
                    await until(lambda: broker_said(switch) == [(True, "")], lambda: f"{broker_said(switch)}")
                    for number, how in enumerate((signal.SIGKILL, signal.SIGTERM, None)):
                        seen, told = len(phone.received), len(caller.events)
                        await caller.dial(TECH.alias)
                        await caller.event("CALL_ESTABLISHED", after=told)
                        await caller.press(TECH.keys)
                        await phone.request("INVITE", after=seen)
                        await until(
                            lambda: (
                                seqs() == story_of_calls(switch) and saved.exists() and saved.stat().st_mtime > began
                            ),
                            lambda: f"{seqs()} {story_of_calls(switch)}",
                        )
                        if how is not None:
                            await broker.stop(how)
                        await caller.hangup()
                        await phone.request("CANCEL", after=seen)
                        await caller.event("CALL_CLOSED", after=told)
                        await switch.interactions(number + 1)
                        if how is not None:
                            await until(lambda: not broker_said(switch)[-1][0], "the broker's end is told")
                            await broker.start()
                        await until(
                            lambda: seqs() == story_of_calls(switch), lambda: f"{seqs()} {story_of_calls(switch)}", 30
                        )
                    pops = [payload["id"] for topic, payload in got if topic.endswith("/pop")]
                    assert len(pops) == len(set(pops)) == 3
                    assert PASSWORD not in switch.log()
                    assert "connection lost" in broker_said(switch)[1][1]
        finally:
            wall.terminate()
            await wall.wait()
            await reading


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_broker_that_is_not_there_or_hangs_delays_the_ring_by_pop_wait_at_most(
    tmp_path: Path, hangs: bool
) -> None:
    """Its port is closed: the phone rings at once. It hangs, connected: 150 ms, and it is left soon."""
    port = free_port()
    options = ("--set", f"mqtt.url=mqtt://127.0.0.1:{port}", "--set", "mqtt.pop_wait=150ms")
    folder = tmp_path / "broker"
    async with External(folder, port, users={}, more="allow_anonymous true") as broker:
        if not hangs:
            await broker.stop(signal.SIGTERM)
        async with Switch(tmp_path / "switch", options) as switch:
            line = switch.agent(TECH.agent)
            async with Stub(switch.where, answers=lambda _: 180) as phone, caller_phone(switch, tmp_path) as caller:
                assert (await phone.register(line["user"], line["password"])).status == 200
                await until(lambda: broker_said(switch), "the broker's state")
                assert broker_said(switch)[0][0] is hangs
                if hangs:
                    broker.hang()
                await caller.dial(TECH.alias)
                await caller.event("CALL_ESTABLISHED")
                await caller.press(TECH.keys)
                await phone.request("INVITE")
                (pop,) = switch.query("SELECT body FROM facts WHERE kind = 'ScreenPopSent'") or await until(
                    lambda: switch.query("SELECT body FROM facts WHERE kind = 'ScreenPopSent'"), "the pop's fact"
                )
                told = json.loads(pop["body"])
                assert told["acknowledged"] is False
                assert told["took_ms"] < 2_500, "not the 5 s after which the broker is given up"
                if hangs:
                    await until(lambda: not broker_said(switch)[-1][0], "it is left")
                    assert "no acknowledgement within 5 s" in broker_said(switch)[-1][1]
                    broker.go_on()
                    await until(lambda: broker_said(switch)[-1][0], "it is found again")
                await caller.hangup()
                await switch.interaction()


async def test_a_password_that_the_environment_lacks_is_said_before_the_first_call(tmp_path: Path) -> None:
    """One line, that names the setting and the variable, and where it was promised."""
    variable = "NO_SUCH_WORD_IS_SET"
    environment = {name: value for name, value in os.environ.items() if name != variable}
    switch = Switch(
        tmp_path / "switch",
        ("--set", "mqtt.url=mqtt://127.0.0.1", "--set", "mqtt.user=u", "--set", f"mqtt.password_env={variable}"),
    )
    assert variable not in environment
    with pytest.raises(AssertionError):
        await switch.__aenter__()
    assert f"mqtt.password_env: the environment has no variable {variable}" in switch.log()
    assert "CFG011" in switch.log()
    await stays(lambda: not switch.processes(), "nothing runs", 0.1)
