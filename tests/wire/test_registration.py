"""Registering with digest, and what is told to those who may not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.wire.floor import TECH, agent_phone
from tests.wire.stub import Message, Stub
from tests.wire.switch import Switch
from tests.wire.wait import until


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_baresip_registers_and_unregisters(switch: Switch, tmp_path: Path, transport: str) -> None:
    def devices() -> list[str]:
        sql = "SELECT json_extract(body, '$.device') AS device FROM facts WHERE kind = 'AgentStateChanged' ORDER BY seq"
        return [row["device"] for row in switch.query(sql)]

    async with agent_phone(switch, tmp_path, TECH, transport=transport) as agent:
        await agent.registered()
        await until(lambda: devices()[-1:] == ["registered"], "the agent's phone is known")
    await until(lambda: devices()[-1:] == ["unreachable"], "the agent's phone is gone")


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
async def test_both_algorithms_register_where_both_are_offered(tmp_path: Path, algorithm: str) -> None:
    options = ("--set", "sip.digest=[MD5, SHA-256]")
    async with Switch(tmp_path / "switch", options=options) as switch, Stub(switch.where) as phone:
        line = switch.agent(TECH.agent)
        answer = await phone.register(line["user"], line["password"], algorithm=algorithm)
        assert answer.status == 200
        assert f"<sip:{TECH.agent}@127.0.0.1:{phone.port}>" in answer.header("Contact")
        assert "expires=" in answer.header("Contact")


async def test_unknown_agent_and_wrong_password_get_the_same_answer(switch: Switch) -> None:
    def bare(answer: Message) -> str:
        """The answer without what differs in any two answers."""
        text = re.sub(r'(nonce|opaque)="[^"]*"', r"\1", answer.text)
        text = re.sub(r"(branch|tag|rport|received)=[^;\s>]*", r"\1", text)
        return re.sub(r"(?m)^(Call-ID|From|To|Date): .*$", r"\1", text, flags=re.IGNORECASE)

    async with Stub(switch.where) as phone:
        wrong = await phone.register(TECH.agent, "not-it")
        unknown = await phone.register("nobody-here", "not-it")
        assert wrong.status == unknown.status == 403
        assert bare(wrong) == bare(unknown)


async def test_an_agent_may_not_register_another(switch: Switch) -> None:
    """Right password, wrong address of record."""
    line, other = switch.agent(TECH.agent), next(a for a in switch.ready["agents"] if a["user"] != TECH.agent)
    async with Stub(switch.where) as phone:
        answer = await phone.register(line["user"], line["password"], as_user=other["user"])
        assert answer.status == 403


async def test_too_short_a_life_is_refused_with_the_shortest(switch: Switch) -> None:
    line = switch.agent(TECH.agent)
    async with Stub(switch.where) as phone:
        answer = await phone.register(line["user"], line["password"], expires=5)
        assert answer.status == 423
        assert int(answer.header("Min-Expires")) >= 30
