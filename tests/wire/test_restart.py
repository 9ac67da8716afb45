"""The switch is killed in the middle of it all and started again."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from tests.wire import process
from tests.wire.floor import TECH
from tests.wire.stub import Stub, digest
from tests.wire.switch import Switch
from tests.wire.wait import until


async def test_killed_and_started_again_it_keeps_registrations_and_closes_the_books(tmp_path: Path) -> None:
    port = process.free_port()
    listen = f"[{{transport: udp, host: 127.0.0.1, port: {port}}}, {{transport: tcp, host: 127.0.0.1, port: {port}}}]"
    options = ("--set", f"sip.listen={listen}", "--set", "mqtt.port=0")
    async with Switch(tmp_path / "switch", options=options, data=tmp_path / "data") as switch:
        line = switch.agent(TECH.agent)
        async with Stub(switch.where) as agent, Stub(switch.where) as caller:
            assert (await agent.register(line["user"], line["password"])).status == 200
            talking = caller.invite(TECH.alias)
            caller.press(await caller.final(talking), TECH.keys)
            await until(lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'CallConnected'"), "one call talks")
            listening = caller.invite(TECH.alias)
            assert (await caller.final(listening)).status == 200
            await until(
                lambda: len(switch.query("SELECT 1 FROM facts WHERE kind = 'CallAnswered'")) == 2, "one is in the menu"
            )
            await switch.kill()

            await switch.start()
            talked, listened = await switch.interactions(2)
            for saved in (talked, listened):
                assert (saved["ended_by"], saved["cause"]) == ("system", "restart")
            assert (talked["outcome"], talked["agent"]) == ("handled", TECH.agent)
            assert talked["talk_ms"] >= 0
            assert listened["outcome"] == "lost"
            assert not switch.query("SELECT 1 FROM open_calls")
            numbers = [row["seq"] for row in switch.query("SELECT seq FROM facts ORDER BY seq")]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "facts go on being numbered"

            # The phone has not registered again, and is rung.
            seen = len(agent.received)
            again = caller.invite(TECH.alias)
            answer = await caller.final(again)
            assert answer.status == 200
            caller.press(answer, TECH.keys)
            await agent.request("INVITE", after=seen)
            assert (await caller.final(caller.in_dialog("BYE", again, answer))).status == 200
            assert len(await switch.interactions(3)) == 3


async def dial_code(phone: Stub, code: str, user: str, password: str) -> None:
    """Dials a feature code as an agent's phone: challenged, answered, told, and hung up by the switch."""
    uri = f"sip:{code}@{phone.switch[0]}:{phone.switch[1]}"
    call_id, tag, seen = secrets.token_hex(8), secrets.token_hex(4), len(phone.received)
    challenge = await phone.final(
        phone.compose("INVITE", uri, user=user, call_id=call_id, tag=tag, body=phone.sdp()),
    )
    assert challenge.status == 401
    proof = f"Authorization: {digest(challenge.header('WWW-Authenticate'), 'INVITE', uri, user, password)}"
    answer = await phone.final(
        phone.compose("INVITE", uri, user=user, call_id=call_id, tag=tag, cseq=2, headers=(proof,), body=phone.sdp()),
    )
    assert answer.status == 200
    await phone.request("BYE", after=seen)


async def test_what_agents_dialled_holds_after_a_kill(tmp_path: Path) -> None:
    """One at lunch, one signed out: both phones are still registered, and neither is rung."""
    port = process.free_port()
    listen = f"[{{transport: udp, host: 127.0.0.1, port: {port}}}]"
    async with Switch(
        tmp_path / "switch",
        options=("--set", f"sip.listen={listen}", "--set", "mqtt.broker=off"),
        data=tmp_path / "data",
    ) as switch:
        agents = (TECH.agent, "emma")
        async with Stub(switch.where) as phone:
            for name, code in zip(agents, ("*21", "*29"), strict=True):
                line = switch.agent(name)
                assert (await phone.register(line["user"], line["password"])).status == 200
                await dial_code(phone, code, line["user"], line["password"])
            kept = "SELECT agent, intent, reason FROM agent_intents ORDER BY agent"
            await until(lambda: len(switch.query(kept)) == 2, "both choices are written")
            await switch.kill()
            await switch.start()

            def states() -> dict[str, tuple[str, str, str]]:
                rows = switch.query("SELECT body FROM facts WHERE kind = 'AgentStateChanged' ORDER BY seq")
                bodies = [json.loads(row["body"]) for row in rows]
                return {body["agent"]: (body["intent"], body["reason"], body["device"]) for body in bodies}

            await until(
                lambda: states() == {
                    TECH.agent: ("not_ready", "lunch", "registered"),
                    "emma": ("signed_out", "", "registered"),
                },
                lambda: f"what they chose; they are {states()}",
            )  # fmt: skip
