"""A supervisor at a real broker: commands for agents, and nobody else does; and phones that answer by themselves."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tests.wire import mosquitto, process
from tests.wire.baresip import Baresip
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.mosquitto import Subscriber
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import stays, until

ROOT = "callcenter/v1"
STATE = f"{ROOT}/agents/{TECH.agent}/state"
SUPERVISORS = ("--set", 'supervisors={"eva": {"name": "Eva"}, "tom": {"name": "Tom", "clients": ["casa-lumina"]}}')


def login(switch: Switch, supervisor: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in switch.ready["supervisors"] if each["user"] == supervisor)
    return found


def reader(switch: Switch, folder: Path, who: dict[str, Any], *topics: str) -> Subscriber:
    mqtt = switch.ready["mqtt"]
    return Subscriber(
        folder / f"reader-{who['user']}", mqtt["host"], mqtt["port"], who["user"], who["password"], topics
    )


async def command(switch: Switch, folder: Path, who: dict[str, Any], as_whom: str, **fields: Any) -> None:
    """A program commands at somebody's topic."""
    mqtt, topic = switch.ready["mqtt"], f"{ROOT}/supervisors/{as_whom}/cmd"
    sent = json.dumps({"agent": TECH.agent, **fields})
    await mosquitto.publish(folder, mqtt["host"], mqtt["port"], who["user"], who["password"], topic, sent)


def last(reader: Subscriber, topic: str) -> Any:
    told = [message.json for message in reader.messages if message.topic == topic]
    return told[-1] if told else None


def commanded(switch: Switch) -> list[tuple[str, str, str]]:
    """What was commanded, as the log has it."""
    rows = switch.query("SELECT body FROM facts WHERE kind = 'AgentCommanded' ORDER BY seq")
    return [(body["order"], body["by"], body["result"]) for row in rows if (body := json.loads(row["body"]))]


async def test_a_supervisor_commands_by_her_own_login_and_nobody_does_in_her_name(tmp_path: Path) -> None:
    """State and skills over MQTT; the agent's own login reads who did it; an agent, a monitor and another supervisor
    write to her topic in vain, and one who serves other clients is refused.
    """
    async with Switch(tmp_path / "switch", SUPERVISORS) as switch:
        ana, monitor = switch.agent(TECH.agent), switch.ready["mqtt"]["monitor"]
        eva, tom = login(switch, "eva"), login(switch, "tom")
        reply = f"{ROOT}/supervisors/{{}}/cmd/reply".format
        async with (
            reader(switch, tmp_path, ana["mqtt"], STATE, reply("eva")) as agent,
            reader(switch, tmp_path, eva, STATE, reply("eva"), reply("tom")) as hers,
            reader(switch, tmp_path, tom, reply("tom"), f"{ROOT}/supervisors/#") as his,
            Stub(switch.where, answers=lambda _: 180) as phone,
        ):
            assert (await phone.register(ana["user"], ana["password"])).status == 200
            await until(lambda: (last(agent, STATE) or {}).get("chosen") == "ready", "the agent is ready")
            sign_out = {"do": "state", "chosen": "signed_out"}
            for intruder in (ana["mqtt"], monitor, tom):
                await command(switch, tmp_path, intruder, "eva", id="x", **sign_out)
            await command(switch, tmp_path, tom, "tom", id="t1", **sign_out)
            await until(lambda: last(his, reply("tom")) is not None, "the other supervisor is answered")
            assert last(his, reply("tom"))["error"] == "no agent is named `ana`", "as of one whom there is not"
            await stays(lambda: last(agent, STATE)["chosen"] == "ready", "nobody else commands", 0.5)

            await command(switch, tmp_path, eva, "eva", id="e1", do="state", chosen="not_ready", reason="training")
            await until(lambda: last(hers, reply("eva")) == {"id": "e1", "ok": True}, "she is answered")
            await until(lambda: last(agent, STATE)["chosen"] == "not_ready", "the agent's program reads it")
            state = last(agent, STATE)
            assert (state["reason"], state["by"]) == ("training", "supervisor eva over MQTT")
            await command(switch, tmp_path, eva, "eva", id="e2", do="roster", skills={"english": 2})
            await until(lambda: last(hers, reply("eva")) == {"id": "e2", "ok": True}, "she is answered again")
            assert not [each for each in agent.messages if each.topic == reply("eva")], "her answers are hers alone"
            assert not [each for each in his.messages if each.topic == reply("eva")]
        await until(lambda: len(commanded(switch)) == 3, "every command is kept")
        assert commanded(switch) == [
            ("signed_out", "supervisor tom over MQTT", "not permitted"),
            ("not_ready training", "supervisor eva over MQTT", "done"),
            ("roster english=2", "supervisor eva over MQTT", "done"),
        ]
        acts = switch.query("SELECT user, role, via, action, target, outcome, command FROM audit ORDER BY id")
        assert [tuple(each) for each in acts] == [
            ("tom", "supervisor", "mqtt", "state", TECH.agent, "not_found", "t1"),
            ("eva", "supervisor", "mqtt", "state", TECH.agent, "done", "e1"),
            ("eva", "supervisor", "mqtt", "roster", TECH.agent, "done", "e2"),
        ]


async def test_an_operator_commands_for_an_agent_by_a_word_on_the_machine(tmp_path: Path) -> None:
    """``callcenter agent``: a state and other skills, shown, and refused with what to write."""
    async with Switch(tmp_path / "switch") as switch:
        said = await agent_verb(switch, TECH.agent, "sign-out", "--skills", "english=5", "german=0")
        assert said[0] == 1
        assert "no skill is named `german`" in said[1]
        code, out = await agent_verb(switch, TECH.agent, "not-ready", "training", "--skills", "english=5", "support=0")
        assert code == 0, out
        assert "not ready: training" in out
        assert ", by supervisor " in out
        assert "english 5" in out
        assert "changed by supervisor " in out
        code, out = await agent_verb(switch, TECH.agent, "ready", "--reset")
        assert (code, "changed by" in out) == (0, False)
        code, out = await agent_verb(switch, "anna")
        assert code == 1
        assert "no agent is named `anna`" in out


async def agent_verb(switch: Switch, *words: str) -> tuple[int, str]:
    """The exit status of ``callcenter agent``, and what it said."""
    running = await process.start(
        [sys.executable, "-m", "callcenter", "agent", *words, "--socket", switch.ready["control"]],
        folder=switch.folder,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert running.stdout is not None
    said = (await running.stdout.read()).decode()
    return await running.wait(), said


async def test_a_phone_of_an_agent_with_a_headset_is_asked_to_answer_by_itself(tmp_path: Path) -> None:
    """Each header that phones know, on the INVITE that a queue brings."""
    async with Switch(tmp_path / "switch", ("--set", f"agents.{TECH.agent}.auto_answer=true")) as switch:
        line = switch.agent(TECH.agent)
        async with (
            Stub(switch.where, answers=lambda _: 180) as phone,
            caller_phone(switch, tmp_path) as caller,
        ):
            assert (await phone.register(line["user"], line["password"])).status == 200
            await caller.dial(TECH.alias)
            await caller.event("CALL_ESTABLISHED")
            await caller.press(TECH.keys)
            invite = await phone.request("INVITE")
            assert invite.header("Answer-Mode") == "Auto"
            assert invite.header("Call-Info").endswith(";answer-after=0")
            assert invite.header("Alert-Info").endswith(";info=alert-autoanswer;delay=0")
            await caller.hangup()
            await phone.request("CANCEL")


async def dials(agent: Baresip, code: str) -> None:
    """From dialling the code to being hung up."""
    told = len(agent.events)
    await agent.dial(code)
    await agent.event("CALL_ESTABLISHED", after=told)
    await agent.event("CALL_CLOSED", after=told)


async def test_an_agent_asks_for_time_after_the_call_on_the_own_phone_and_says_when_it_is_done(tmp_path: Path) -> None:
    """An optional wrap-up by telephone: the choice, the time that was asked for, and the word that ends it."""
    optional = '{"mode": "optional", "time": "10m", "choice": "20s"}'
    async with Switch(tmp_path / "switch", ("--set", f"acd.wrap_up={optional}")) as switch:
        ana = switch.agent(TECH.agent)["mqtt"]
        async with (
            reader(switch, tmp_path, ana, STATE) as program,
            agent_phone(switch, tmp_path, TECH) as agent,
            caller_phone(switch, tmp_path) as caller,
        ):
            await agent.registered()
            await talk(caller, agent, TECH)
            await caller.hangup()
            await until(lambda: last(program, STATE)["wrap_up"] == "optional", "the choice is shown")
            assert 0 < last(program, STATE)["wrap_up_remaining_s"] <= 20
            await dials(agent, "*31")
            await until(lambda: last(program, STATE)["wrap_up"] == "timed", "the time that was asked for is shown")
            assert 500 < last(program, STATE)["wrap_up_remaining_s"] <= 600
            await dials(agent, "*30")
            await until(lambda: last(program, STATE)["work"] == "idle", "the agent is through")
