"""pyVoIP as an agent's phone: it answers MD5 without qop, ignores Via, and must be served all the same."""

from __future__ import annotations

from pathlib import Path

from tests.wire.floor import TECH, caller_phone
from tests.wire.switch import Switch
from tests.wire.told_phone import told_phone
from tests.wire.wait import stays, until


async def test_the_odd_phone_registers_answers_and_is_heard(switch: Switch, tmp_path: Path) -> None:
    async with (
        told_phone(switch, tmp_path / "odd", "odd_phone", 880.0) as odd,
        caller_phone(switch, tmp_path, hz=440.0) as caller,
    ):
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await odd.told("ringing")
        await caller.heard(880.0)
        await odd.told("heard 440")
        await caller.hangup()
        await odd.told("ended")
        assert (await switch.interaction())["outcome"] == "handled"


async def test_the_odd_phone_goes_to_lunch_comes_back_takes_a_call_and_hangs_up(switch: Switch, tmp_path: Path) -> None:
    """The codes are dialled, proved with the password, and answered in words."""
    async with (
        told_phone(switch, tmp_path / "odd", "odd_phone", 880.0) as odd,
        caller_phone(switch, tmp_path, hz=440.0) as caller,
    ):
        odd.tell("dial *21")
        await odd.told("taken")
        await odd.told("ended")
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await until(lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'CallQueued'"), "the caller waits")
        await stays(lambda: "ringing" not in odd.lines, "who is at lunch is not rung", 1.0)
        odd.tell("dial *20")
        await odd.told("ringing")
        await caller.heard(880.0)
        odd.tell("hangup")
        await caller.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["outcome"], saved["ended_by"], saved["agent"]) == ("handled", "agent", TECH.agent)
