"""A desk phone that is not ours takes a talk from a softphone that is not ours either (INVITE with Replaces)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from callcenter.sip.message import Request
from callcenter.sip.parser import parse
from tests.wire.baresip import Baresip
from tests.wire.carrier import HZ, Carrier
from tests.wire.control import ask
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.switch import Switch
from tests.wire.wait import until

SOFT_HZ = 1320.0


async def talk_of(switch: Switch, phone: Baresip) -> str:
    """The dialog of a phone's talk as the switch knows it: Call-ID, the tag of the switch, the tag of the phone."""
    for each in reversed((await ask(switch, "trace"))["messages"]):
        message = parse(base64.b64decode(each["data"]))
        if isinstance(message, Request) or (message.status, message.cseq.method) != (200, "INVITE"):
            continue
        if message.to.uri.user == phone.user:
            return f"{message.call_id};to-tag={message.from_tag};from-tag={message.to_tag}"
    raise AssertionError("it answered nothing")


async def test_desk_phone_takes_the_talk_of_the_softphone(switch: Switch, tmp_path: Path) -> None:
    """The softphone is hung up, the caller hears the desk phone, and it is one talk of one agent."""
    async with (
        agent_phone(switch, tmp_path, TECH, hz=SOFT_HZ) as soft,
        caller_phone(switch, tmp_path) as caller,
    ):
        await talk(caller, soft, TECH)
        words = {
            "AGENT": TECH.agent,
            "PASSWORD": switch.agent(TECH.agent)["password"],
            "REPLACES": await talk_of(switch, soft),
        }
        async with Carrier(tmp_path / "desk", "pull", calls=switch.address(), words=words) as desk:
            await soft.event("CALL_CLOSED")
            await caller.heard(HZ)
            assert "has it" in desk.told()
            await caller.hangup()
            await desk.done()
        saved = await switch.interaction()
        assert (saved["outcome"], saved["ended_by"], saved["agent"]) == ("handled", "caller", TECH.agent)
        rows = switch.query("SELECT kind, body FROM facts WHERE kind IN ('CallConnected', 'PhoneChanged') ORDER BY seq")
        assert [row["kind"] for row in rows] == ["CallConnected", "PhoneChanged"]
        assert json.loads(rows[1]["body"])["source"] == f"127.0.0.1:{desk.port}"


async def test_desk_phone_of_a_colleague_takes_nothing(switch: Switch, tmp_path: Path) -> None:
    """It knows its own password and all names of the talk, and hears 481, as it would of a talk that is none."""
    async with (
        agent_phone(switch, tmp_path, TECH, hz=SOFT_HZ) as soft,
        caller_phone(switch, tmp_path) as caller,
    ):
        await talk(caller, soft, TECH)
        words = {
            "AGENT": "bruno",
            "PASSWORD": switch.agent("bruno")["password"],
            "REPLACES": await talk_of(switch, soft),
        }
        async with Carrier(tmp_path / "desk", "pull", calls=switch.address(), words=words) as desk:
            await until(lambda: "SIP/2.0 481" in desk.errors(), lambda: f"it is refused: {desk.errors()}")
        assert soft.seen("CALL_CLOSED") is None
        await caller.hangup()
