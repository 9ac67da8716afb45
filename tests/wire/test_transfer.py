"""Agents with phones that are not ours hand a caller over, by the transfer command of baresip (REFER, RFC 3515)."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest

from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.switch import Switch
from tests.wire.told_phone import told_phone
from tests.wire.wait import stays, until

SECOND_HZ = 1320.0
# A colleague who serves the same company.
BEN = replace(TECH, agent="bruno")


async def test_agent_puts_a_caller_through_to_a_colleague(switch: Switch, tmp_path: Path) -> None:
    """The caller hears the colleague, the first phone is told so and is free, and there is one record with two legs."""
    async with (
        agent_phone(switch, tmp_path, TECH) as first,
        agent_phone(switch, tmp_path, BEN, hz=SECOND_HZ) as second,
        caller_phone(switch, tmp_path) as caller,
    ):
        await talk(caller, first, TECH)
        await second.registered()
        await first.command("transfer", f"sip:{BEN.agent}@{first.registrar}")
        ringing = await second.event("CALL_INCOMING")
        assert caller.user in ringing.peer, "the colleague sees who calls"
        await second.accept()
        await caller.heard(SECOND_HZ)
        await second.heard(caller.hz)
        await first.event("CALL_CLOSED")
        await caller.hangup()
        await second.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["outcome"], saved["ended_by"], saved["agent"]) == ("handled", "caller", BEN.agent)


async def test_caller_is_not_lost_by_a_phone_that_hangs_up_when_the_transfer_fails(
    switch: Switch, tmp_path: Path
) -> None:
    """As baresip does: the caller waits on, in the old place, for whoever is free next."""
    async with (
        agent_phone(switch, tmp_path, TECH) as first,
        agent_phone(switch, tmp_path, BEN, hz=SECOND_HZ) as second,
        caller_phone(switch, tmp_path) as caller,
    ):
        await talk(caller, first, TECH)
        await second.registered()
        await first.command("transfer", f"sip:{BEN.agent}@{first.registrar}")
        await second.event("CALL_INCOMING")
        await until(lambda: not caller.hears(first.hz), "the caller hears music meanwhile")
        await second.hangup()
        await first.event("TRANSFER_FAILED")
        await stays(lambda: caller.seen("CALL_CLOSED") is None, "the caller is still there", 2.0)
        await caller.hangup()
        saved = await switch.interaction()
        assert (saved["outcome"], saved["ended_by"], saved["agent"]) == ("handled", "caller", TECH.agent)
        assert saved["wait_ms"] > 500, "they waited again"


@pytest.mark.skipif(importlib.util.find_spec("baresip") is None, reason="baresip-python has no wheel for this machine")
async def test_agent_asks_a_colleague_first_and_puts_the_caller_through(switch: Switch, tmp_path: Path) -> None:
    """Replaces (RFC 3891) names the call in which they spoke: both its ends by the first agent are over then."""
    async with (
        told_phone(switch, tmp_path / "first", "asking_phone", 880.0) as first,
        agent_phone(switch, tmp_path, BEN, hz=SECOND_HZ) as second,
        caller_phone(switch, tmp_path) as caller,
    ):
        await second.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await first.told("taken")
        await caller.heard(880.0)
        first.tell(f"ask {BEN.agent}")
        await second.event("CALL_INCOMING")
        await second.accept()
        await first.told("asked")
        await second.heard(880.0)
        first.tell("put through")
        await caller.heard(SECOND_HZ)
        await second.heard(caller.hz)
        await first.told("put through")
        await caller.hangup()
        await second.event("CALL_CLOSED")
        asked, saved = sorted(await switch.interactions(2), key=lambda row: str(row["direction"]))[::-1]
        assert (asked["direction"], saved["direction"]) == ("internal", "inbound")
        assert (saved["outcome"], saved["ended_by"], saved["agent"]) == ("handled", "caller", BEN.agent)
