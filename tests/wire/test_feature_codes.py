"""An agent says by telephone how things are: baresip dials a code, is challenged, hears the answer, and is hung up."""

from __future__ import annotations

import json
from pathlib import Path

from tests.wire.baresip import Baresip
from tests.wire.floor import TECH, agent_phone, caller_phone
from tests.wire.switch import Switch
from tests.wire.wait import stays, until

LUNCH, READY, SIGN_OUT = "*21", "*20", "*29"
SPOKEN_AT_LEAST = 30.0  # root mean square: a voice, not silence


def state(switch: Switch) -> tuple[str, str, str]:
    """What the agent chose, why, and does, as the last fact has it."""
    rows = switch.query("SELECT body FROM facts WHERE kind = 'AgentStateChanged' ORDER BY seq")
    bodies = [body for row in rows if (body := json.loads(row["body"]))["agent"] == TECH.agent]
    return bodies[-1]["intent"], bodies[-1].get("reason", ""), bodies[-1]["work"]


async def dials(agent: Baresip, code: str) -> None:
    """From dialling the code to being hung up; an answer is spoken meanwhile."""
    told = len(agent.events)
    await agent.dial(code)
    await agent.event("CALL_ESTABLISHED", after=told)
    await until(lambda: agent.loudness() > SPOKEN_AT_LEAST, "the answer is spoken")
    await agent.event("CALL_CLOSED", after=told)


async def test_an_agent_at_lunch_is_not_rung_and_one_who_is_back_is(switch: Switch, tmp_path: Path) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
    ):
        await agent.registered()
        await dials(agent, LUNCH)
        assert state(switch) == ("not_ready", "lunch", "idle")
        told = len(agent.events)
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await until(lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'CallQueued'"), "the caller waits")
        await stays(lambda: agent.seen("CALL_INCOMING", told) is None, "who is at lunch is not rung", 1.0)
        await agent.dial(READY)
        await agent.event("CALL_INCOMING", after=told)
        await agent.accept()
        await caller.heard(agent.hz)
        await agent.heard(caller.hz)
        await caller.hangup()
        assert (await switch.interaction())["outcome"] == "handled"


async def test_a_code_dialled_by_a_stranger_is_challenged_and_changes_nothing(switch: Switch, tmp_path: Path) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as stranger,
    ):
        await agent.registered()
        await until(lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'AgentStateChanged'"), "the agent is there")
        await stranger.dial(SIGN_OUT)
        await stranger.event("CALL_CLOSED")
        assert stranger.seen("CALL_ESTABLISHED") is None
        assert state(switch)[0] == "ready"
        assert not switch.query("SELECT 1 FROM interactions")
