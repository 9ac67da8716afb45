"""Whole calls between phones that are not ours: what rings, who hears whom, what is saved."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wire.baresip import Baresip
from tests.wire.floor import LUMINA, TECH, Company, agent_phone, caller_phone, talk
from tests.wire.switch import Switch
from tests.wire.wait import stays, until

CALLER_HZ = 440.0
AGENT_HZ = 880.0
MUSIC_AT_LEAST = 30.0  # root mean square: quiet, but not silence


@pytest.mark.parametrize(("caller_by", "agent_by"), [("udp", "tcp"), ("tcp", "udp")])
async def test_caller_presses_a_key_and_talks_to_the_right_agent(
    switch: Switch, tmp_path: Path, caller_by: str, agent_by: str
) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ, transport=agent_by) as agent,
        caller_phone(switch, tmp_path, hz=CALLER_HZ, transport=caller_by) as caller,
    ):
        await agent.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await until(lambda: caller.loudness() > MUSIC_AT_LEAST, "the caller hears the greeting")
        await caller.press(TECH.keys)
        ringing = await agent.event("CALL_INCOMING")
        assert TECH.name in agent.log(), "the phone shows for which company it rings"
        assert caller.user in ringing.peer, "and the caller's number"
        await agent.accept()
        await agent.event("CALL_ESTABLISHED")
        await caller.heard(AGENT_HZ)
        await agent.heard(CALLER_HZ)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["client"], saved["outcome"], saved["ended_by"]) == (TECH.id, "handled", "caller")
        assert (saved["agent"], saved["from_number"], saved["to_number"]) == (
            TECH.agent,
            caller.user,
            switch.number(TECH.alias),
        )
        assert saved["intent"] == TECH.intent
        assert saved["talk_ms"] > 0


async def test_agent_hangs_up_and_the_caller_is_told(switch: Switch, tmp_path: Path) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ) as agent,
        caller_phone(switch, tmp_path, hz=CALLER_HZ) as caller,
    ):
        await talk(caller, agent, TECH)
        await agent.hangup()
        await caller.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["outcome"], saved["ended_by"], saved["cause"]) == ("handled", "agent", "agent_hangup")


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_agent_holds_and_resumes(switch: Switch, tmp_path: Path, transport: str) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ, transport=transport) as agent,
        caller_phone(switch, tmp_path, hz=CALLER_HZ, transport=transport) as caller,
    ):
        await talk(caller, agent, TECH)
        await agent.hold()
        await until(
            lambda: not caller.hears(AGENT_HZ) and caller.loudness() > MUSIC_AT_LEAST,
            "the held caller hears music in the agent's place",
        )
        await agent.resume()
        await caller.heard(AGENT_HZ)
        await agent.heard(CALLER_HZ)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert saved["hold_ms"] > 0
        assert saved["outcome"] == "handled"


async def test_caller_holds_and_resumes(switch: Switch, tmp_path: Path) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ) as agent,
        caller_phone(switch, tmp_path, hz=CALLER_HZ) as caller,
    ):
        await talk(caller, agent, TECH)
        await caller.hold()
        await until(lambda: not agent.hears(CALLER_HZ), "the agent no longer hears the caller")
        await caller.resume()
        await agent.heard(CALLER_HZ)
        await caller.heard(AGENT_HZ)
        await caller.hangup()
        await agent.event("CALL_CLOSED")


async def test_caller_who_hangs_up_while_it_rings_frees_the_agent(switch: Switch, tmp_path: Path) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ) as agent,
        caller_phone(switch, tmp_path, hz=CALLER_HZ) as caller,
    ):
        await agent.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await agent.event("CALL_INCOMING")
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert saved["ended_by"] == "caller"
        assert saved["talk_ms"] == 0
        # Free for the next in line, at once.
        before, told = len(agent.events), len(caller.events)
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED", after=told)
        await caller.press(TECH.keys)
        await agent.event("CALL_INCOMING", after=before)


async def test_agent_who_declines_is_left_alone_and_the_caller_keeps_waiting(switch: Switch, tmp_path: Path) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ) as agent,
        caller_phone(switch, tmp_path, hz=CALLER_HZ) as caller,
    ):
        await agent.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await agent.event("CALL_INCOMING")
        await agent.hangup()
        await agent.event("CALL_CLOSED")
        await until(lambda: caller.loudness() > MUSIC_AT_LEAST, "the caller hears music")
        await stays(lambda: caller.seen("CALL_CLOSED") is None, "the caller is still there", 1.0)
        await caller.hangup()
        saved = await switch.interaction()
        assert saved["outcome"] == "abandoned"


async def test_two_calls_to_two_companies_do_not_hear_each_other(switch: Switch, tmp_path: Path) -> None:
    pairs: list[tuple[Company, float, float]] = [(TECH, 440.0, 880.0), (LUMINA, 620.0, 1150.0)]
    async with (
        agent_phone(switch, tmp_path, TECH, hz=880.0) as tech_agent,
        agent_phone(switch, tmp_path, LUMINA, hz=1150.0, transport="tcp") as lumina_agent,
        caller_phone(switch, tmp_path, "+14155550101", hz=440.0) as tech_caller,
        caller_phone(switch, tmp_path, "+5511955550102", hz=620.0, transport="tcp") as lumina_caller,
    ):
        agents: list[Baresip] = [tech_agent, lumina_agent]
        callers: list[Baresip] = [tech_caller, lumina_caller]
        for agent in agents:
            await agent.registered()
        for caller, (company, _, _) in zip(callers, pairs, strict=True):
            await caller.dial(company.alias)
        for caller, agent, (company, _, _) in zip(callers, agents, pairs, strict=True):
            await caller.event("CALL_ESTABLISHED")
            await caller.press(company.keys)
            await agent.event("CALL_INCOMING")
            assert company.name in agent.log()
            await agent.accept()
        for caller, agent, (_, caller_hz, agent_hz) in zip(callers, agents, pairs, strict=True):
            await caller.heard(agent_hz)
            await agent.heard(caller_hz)
        await tech_caller.hangup()
        await tech_agent.event("CALL_CLOSED")
        await stays(lambda: lumina_agent.hears(620.0) and lumina_caller.hears(1150.0), "the other call goes on", 0.5)
        await lumina_agent.hangup()
        await lumina_caller.event("CALL_CLOSED")
        saved = await switch.interactions(2)
        assert {(row["client"], row["agent"], row["ended_by"]) for row in saved} == {
            (TECH.id, TECH.agent, "caller"),
            (LUMINA.id, LUMINA.agent, "agent"),
        }


async def test_mu_law_caller_and_a_law_agent_hear_each_other(switch: Switch, tmp_path: Path) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ, codec="PCMA") as agent,
        caller_phone(switch, tmp_path, hz=CALLER_HZ, codec="PCMU") as caller,
    ):
        await talk(caller, agent, TECH)
        await agent.hangup()
        await caller.event("CALL_CLOSED")


async def test_caller_waits_to_music_until_an_agent_comes(switch: Switch, tmp_path: Path) -> None:
    async with caller_phone(switch, tmp_path, hz=CALLER_HZ) as caller:
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await until(lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'CallQueued'"), "the caller is in line")
        await until(lambda: caller.loudness() > MUSIC_AT_LEAST, "the caller hears music")
        async with agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ) as agent:
            await until(lambda: "Incoming call" in agent.log(), "it rings as soon as the phone is there")
            await agent.accept()
            await caller.heard(AGENT_HZ)
            await agent.heard(CALLER_HZ)
            await caller.hangup()
            await agent.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert saved["wait_ms"] > 0
