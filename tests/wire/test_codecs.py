"""Wide-band phones that are not ours: they hear prompts, press keys, and talk to agents who have G.711 alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wire.floor import TECH, agent_phone, caller_phone
from tests.wire.switch import Switch
from tests.wire.wait import until

CALLER_HZ = 440.0
AGENT_HZ = 880.0
PROMPT_AT_LEAST = 30.0  # root mean square: quiet, but not silence


@pytest.mark.parametrize(("caller_has", "agent_has"), [("G722", "PCMU"), ("opus", "PCMA")])
async def test_phones_with_other_codecs_hear_prompts_press_keys_and_talk(
    switch: Switch, tmp_path: Path, caller_has: str, agent_has: str
) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ, codec=agent_has) as agent,
        caller_phone(switch, tmp_path, hz=CALLER_HZ, codec=caller_has) as caller,
    ):
        await agent.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await until(lambda: caller.loudness() > PROMPT_AT_LEAST, "the caller hears the greeting")
        await caller.press(TECH.keys)
        await agent.event("CALL_INCOMING")
        await agent.accept()
        await agent.event("CALL_ESTABLISHED")
        await caller.heard(AGENT_HZ)
        await agent.heard(CALLER_HZ)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["outcome"], saved["intent"]) == ("handled", TECH.intent)
