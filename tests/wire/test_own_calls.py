"""Agents call each other, and are rung on two phones at once: between phones that are not ours."""

from __future__ import annotations

import json
from pathlib import Path

from tests.wire.baresip import Baresip
from tests.wire.floor import TECH, agent_phone, caller_phone
from tests.wire.switch import Switch
from tests.wire.wait import until

COLLEAGUE = "felipe"


def phone_of(switch: Switch, folder: Path, agent: str, *, hz: float, name: str = "") -> Baresip:
    """A phone of an agent's; ``name`` tells several of one agent apart."""
    line = switch.agent(agent)
    return Baresip(folder / (name or agent), line["user"], switch.address(), password=line["password"], hz=hz)


async def test_an_agent_dials_a_colleague_by_name_and_both_hear_each_other(switch: Switch, tmp_path: Path) -> None:
    async with (
        agent_phone(switch, tmp_path, TECH, hz=440.0) as ana,
        phone_of(switch, tmp_path, COLLEAGUE, hz=880.0) as felipe,
    ):
        await ana.registered()
        await felipe.registered()
        await ana.dial(COLLEAGUE)
        ringing = await felipe.event("CALL_INCOMING")
        assert f"sip:{TECH.agent}@" in ringing.peer
        assert str(switch.agent(TECH.agent)["name"]) in felipe.log()
        await ana.event("CALL_RINGING")
        await felipe.accept()
        await ana.event("CALL_ESTABLISHED")
        await ana.heard(felipe.hz)
        await felipe.heard(ana.hz)
        await felipe.hold()
        await until(lambda: not ana.hears(felipe.hz), "the held colleague does not hear the other any more")
        await felipe.resume()
        await ana.heard(felipe.hz)
        await felipe.hangup()
        await ana.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["direction"], saved["outcome"], saved["agent"]) == ("internal", "handled", COLLEAGUE)
        record = json.loads(saved["record"])
        assert record["dialled_by"] == TECH.agent
        assert record["hold_ms"] > 0
        # Nobody who proves nothing gets so far: see test_who_may_dial.py; the outside is closed as shipped.
        told = len(ana.events)
        await ana.dial("+34911223344")
        await ana.event("CALL_CLOSED", after=told)
        assert ana.seen("CALL_ESTABLISHED", told) is None


async def test_both_phones_of_an_agent_ring_and_the_first_has_the_call(switch: Switch, tmp_path: Path) -> None:
    async with (
        phone_of(switch, tmp_path, TECH.agent, hz=880.0, name="desk") as desk,
        phone_of(switch, tmp_path, TECH.agent, hz=1320.0, name="soft") as soft,
        caller_phone(switch, tmp_path) as caller,
    ):
        await desk.registered()
        await soft.registered()
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await desk.event("CALL_INCOMING")
        await soft.event("CALL_INCOMING")
        await soft.accept()
        await soft.event("CALL_ESTABLISHED")
        await desk.event("CALL_CLOSED")
        await caller.heard(soft.hz)
        await soft.heard(caller.hz)
        await caller.hangup()
        await soft.event("CALL_CLOSED")
        assert (await switch.interaction())["outcome"] == "handled"
        assert len(switch.query("SELECT 1 FROM facts WHERE kind = 'ScreenPopSent'")) == 1
