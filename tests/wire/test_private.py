"""Private calls with baresip: SRTP by keys over TLS, on either side or both, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.switch import Switch
from tests.wire.wait import until

CALLER_HZ = 440.0
AGENT_HZ = 880.0
SUITE = "AES_CM_128_HMAC_SHA1"


def suites(switch: Switch) -> tuple[str, ...]:
    """By what the sound of the caller and of the agent is encrypted, without the length of the tag."""
    found = []
    for kind in ("CallerMediaStarted", "AgentMediaStarted"):
        (row,) = switch.query("SELECT body FROM facts WHERE kind = ?", kind)
        found.append(json.loads(row["body"])["srtp"].removesuffix("_80").removesuffix("_32"))
    return tuple(found)


@pytest.mark.parametrize(
    ("caller_srtp", "agent_srtp"),
    [("srtp-mand", ""), ("", "srtp-mand"), ("srtp-mandf", "srtp")],
)
async def test_a_call_that_is_private_on_one_side_or_on_both_has_sound_both_ways(
    switch: Switch, tmp_path: Path, caller_srtp: str, agent_srtp: str
) -> None:
    """The tones are measured in what each phone has decrypted; a hold begins no key anew."""
    agent = agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ, transport="tls" if agent_srtp else "udp")
    caller = caller_phone(switch, tmp_path, hz=CALLER_HZ, transport="tls" if caller_srtp else "udp")
    async with replace(agent, srtp=agent_srtp) as agent, replace(caller, srtp=caller_srtp) as caller:
        await talk(caller, agent, TECH)
        await until(lambda: len(switch.query("SELECT 1 FROM facts WHERE kind = 'AgentMediaStarted'")) == 1, "its fact")
        assert suites(switch) == (SUITE if caller_srtp else "", SUITE if agent_srtp else "")
        await agent.hold()
        await until(lambda: not caller.hears(AGENT_HZ), "the caller no longer hears the agent")
        await agent.resume()
        await caller.heard(AGENT_HZ)
        await agent.heard(CALLER_HZ)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        assert (await switch.interaction())["outcome"] == "handled"
    assert "inline:" not in switch.log()


async def test_srtp_by_open_signalling_is_refused(switch: Switch, tmp_path: Path) -> None:
    """The keys could be read by anybody on the way."""
    async with replace(caller_phone(switch, tmp_path), srtp="srtp-mand") as caller:
        await caller.dial(TECH.alias)
        closed = await caller.event("CALL_CLOSED")
        assert "488" in closed.param
        ending = json.loads((await switch.interaction())["record"])["ending"]
        assert ending["sip_status"] == 488
        assert "the signalling is not TLS" in ending["detail"]
