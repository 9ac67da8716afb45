"""The address that we call ourselves is the one by which the peer reached us, or the configured one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wire.floor import LUMINA, TECH
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import until


async def test_a_call_over_ipv6_is_answered_and_rings_over_ipv6(switch: Switch) -> None:
    if switch.where_ipv6 is None:
        pytest.skip("this machine has no IPv6 on its loopback")
    line = switch.agent(LUMINA.agent)
    async with Stub(switch.where_ipv6) as agent, Stub(switch.where_ipv6) as caller:
        assert (await agent.register(line["user"], line["password"])).status == 200
        invite = caller.invite(LUMINA.alias)
        answer = await caller.final(invite)
        assert answer.status == 200
        assert "[::1]:" in answer.header("Contact")
        assert "c=IN IP6 ::1" in answer.body
        caller.press(answer, LUMINA.keys)
        rung = await agent.request("INVITE")
        assert "c=IN IP6 ::1" in rung.body
        await until(lambda: caller.media, "the caller hears something")
        await until(lambda: agent.find(method="ACK"), "the agent's answer is acknowledged")
        await until(lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'CallConnected'"), "they talk")
        assert (await caller.final(caller.in_dialog("BYE", invite, answer))).status == 200
        await until(lambda: agent.dialogs() == 0, "the agent's phone is hung up")
        assert (await switch.interaction())["outcome"] == "handled"


async def test_the_configured_address_stands_in_contact_and_description(tmp_path: Path) -> None:
    options = ("--set", "sip.advertised=203.0.113.7", "--set", "media.advertised=203.0.113.8")
    async with Switch(tmp_path, options=options) as switch, Stub(switch.where) as phone:
        invite = phone.invite(TECH.alias)
        answer = await phone.final(invite)
        assert answer.status == 200
        assert "203.0.113.7" in answer.header("Contact")
        assert "c=IN IP4 203.0.113.8" in answer.body
        # What is advertised cannot be reached from here; the dialog is, by the way that it came.
        bye = phone.in_dialog("BYE", invite, answer)
        assert (await phone.final(bye)).status == 200


async def test_phones_on_our_side_of_the_nat_are_told_the_inner_address(tmp_path: Path) -> None:
    options = (
        "--set", 'sip.advertised=[203.0.113.7, "2001:db8::7"]',
        "--set", 'media.advertised=[203.0.113.8, "2001:db8::8"]',
        "--set", "sip.local_networks=[127.0.0.0/8]",
    )  # fmt: skip
    async with Switch(tmp_path, options=options) as switch:
        inside = [(switch.where, "127.0.0.1", "c=IN IP4 127.0.0.1")]
        outside = [(switch.where_ipv6, "[2001:db8::7]", "c=IN IP6 2001:db8::8")] if switch.where_ipv6 else []
        for where, contact, sound in (*inside, *outside):
            assert where is not None
            async with Stub(where) as phone:
                invite = phone.invite(TECH.alias)
                answer = await phone.final(invite)
                assert answer.status == 200
                assert f"@{contact}:" in answer.header("Contact")
                assert sound in answer.body
                assert (await phone.final(phone.in_dialog("BYE", invite, answer))).status == 200
