"""Trunks on the wire: we register at sipp, call out by it, and are called by the source that a trunk has."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.wire.carrier import HZ, Carrier
from tests.wire.control import ask
from tests.wire.floor import TECH, agent_phone
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import until

PASSWORD = "CALLCENTER_TEST_TRUNK_PASSWORD"
LOGIN = f"{{user: acme, password_env: {PASSWORD}}}"
OUR_HZ = 440.0


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "open sesame")


async def test_the_switch_registers_comes_again_in_time_and_takes_it_back_when_it_ends(tmp_path: Path) -> None:
    async with Carrier(tmp_path / "registrar", "registrar") as registrar:
        trunk = trunk_at(registrar.port, f", login: {LOGIN}, register: {{}}")
        async with Switch(tmp_path / "switch", ("--set", f"trunks={{carrier: {trunk}}}")) as switch:
            await until(
                lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'TrunkStateChanged'"),
                lambda: f"it registers: {registrar.errors()} {switch.log()[-1500:]}",
            )
            # The second one is due when about half of the two seconds is over; the third is the goodbye.
            await until(lambda: "nc=00000002" in registrar.told(), lambda: f"it comes again: {registrar.errors()}")
        await registrar.done()
        assert "left" in registrar.told()


async def test_a_call_from_a_trunks_address_is_the_trunks_whatever_form_its_numbers_have(tmp_path: Path) -> None:
    trunk = '{peers: [127.0.0.3], qualify: never, accept: {networks: [127.0.0.3]}, number_format: {country: "1"}}'
    async with (
        Switch(tmp_path / "switch", ("--set", f"trunks={{carrier: {trunk}}}")) as switch,
        Stub(switch.where, at="127.0.0.3") as carrier,
        Stub(switch.where) as stranger,
    ):
        number = switch.number(TECH.alias)
        for phone, dialled in ((carrier, number.removeprefix("+1")), (stranger, number)):
            invite = phone.invite(dialled, user="4155550199")
            answer = await phone.final(invite)
            assert answer.status == 200, answer.text
            assert (await phone.final(phone.in_dialog("BYE", invite, answer))).status == 200
        await switch.interactions(2)
        rows = switch.query("SELECT body FROM facts WHERE kind = 'CallArrived' ORDER BY seq")
        assert [re.findall(r'"trunk": ?"(\w*)"', row["body"]) for row in rows] == [["carrier"], [""]]
        assert '"from_number":"+14155550199"' in rows[0]["body"].replace(": ", ":")


async def test_an_agent_calls_out_by_the_second_trunk_when_the_first_is_unavailable_and_the_carrier_knows_who_calls(
    tmp_path: Path,
) -> None:
    async with (
        Carrier(tmp_path / "first", "unavailable") as first,
        Carrier(tmp_path / "second", "carrier") as second,
    ):
        trunks = f"{{first: {trunk_at(first.port)}, second: {trunk_at(second.port, f', login: {LOGIN}')}}}"
        outbound = '{country: "1", caller_id: "+18005550100", trunks: [first, second]}'
        options = (
            *("--set", f"trunks={trunks}", "--set", f"clients.{TECH.id}.outbound={outbound}"),
            *("--set", 'acd.may_dial={outside: ["+1415"]}'),
        )
        async with (
            Switch(tmp_path / "switch", options) as switch,
            agent_phone(switch, tmp_path, TECH, hz=OUR_HZ) as agent,
        ):
            await agent.registered()
            await agent.dial("+14155550188")
            await agent.event("CALL_RINGING")
            await agent.event("CALL_ESTABLISHED")
            await agent.heard(HZ)
            await agent.hangup()
            await first.done()
            await second.done()
            saved = await switch.interaction()
            assert (saved["direction"], saved["outcome"]) == ("outbound", "handled")
            rows = switch.query("SELECT body FROM facts WHERE kind = 'TrunkTried' ORDER BY seq")
            tried = [json.loads(row["body"]) for row in rows]
            assert [(each["trunk"], each["status"]) for each in tried] == [("first", 503), ("second", 200)]
    told = second.told()
    assert_right_answer(told)
    first_tag, second_tag = re.search(r"one dialog to be: (\S+) (\S+)", told).groups()  # type: ignore[union-attr]
    assert first_tag == second_tag, "RFC 3261 22.2: the INVITE that proves who calls is of the same dialog to be"
    assert "the BYE proves nothing" not in told


async def test_a_pbx_that_registers_here_is_called_where_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its own address nobody could find it: an agent's call goes where the REGISTER came from."""
    monkeypatch.setenv("CALLCENTER_TEST_PBX_PASSWORD", "sesame")  # sipp knows no space in a password
    account = "account: {user: pbx, password_env: CALLCENTER_TEST_PBX_PASSWORD}"
    trunk = f"{{register_here: true, qualify: never, accept: {{{account}}}, login: {LOGIN}}}"
    outbound = '{country: "1", caller_id: "+18005550100", trunks: [pbx]}'
    options = (
        *("--set", f"trunks={{pbx: {trunk}}}", "--set", f"clients.{TECH.id}.outbound={outbound}"),
        *("--set", 'acd.may_dial={outside: ["+1415"]}'),
    )
    async with (
        Switch(tmp_path / "switch", options) as switch,
        agent_phone(switch, tmp_path, TECH, hz=OUR_HZ) as agent,
    ):
        await agent.registered()
        (before,) = (await ask(switch, "status"))["trunks"]
        assert (before["up"], before["registered_here"]) == (False, [])
        words = {"USER": "pbx", "PASSWORD": "sesame"}
        async with Carrier(tmp_path / "registers", "register", calls=switch.address(), words=words) as pbx:
            await pbx.done()
        (after,) = (await ask(switch, "status"))["trunks"]
        assert (after["up"], after["registered_here"]) == (True, [f"127.0.0.1:{pbx.port}"])
        async with Carrier(tmp_path / "pbx", "carrier", port=pbx.port) as called:
            await agent.dial("+14155550188")
            await agent.event("CALL_ESTABLISHED")
            await agent.heard(HZ)
            await agent.hangup()
            await called.done()
        saved = await switch.interaction()
        assert (saved["direction"], saved["outcome"]) == ("outbound", "handled")


def trunk_at(port: int, more: str = "") -> str:
    return f"{{peers: [{{host: 127.0.0.1, port: {port}}}], qualify: never{more}}}"


def assert_right_answer(told: str) -> None:
    """What sipp was answered is what RFC 7616 says; worked out here, beside the switch's own code."""
    uri, answer = re.search(r"(sip:\S+).* (Digest .*)", told).groups()  # type: ignore[union-attr]
    found = dict(re.findall(r'(\w+)="?([^",\s]*)"?', answer))
    assert (found["username"], found["uri"], found["opaque"]) == ("acme", uri, "0paque")
    assert uri.startswith("sip:+14155550188@127.0.0.1:")

    def h(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    ha1, ha2 = h("acme:carrier.example:open sesame"), h(f"INVITE:{uri}")
    assert found["response"] == h(f"{ha1}:{found['nonce']}:{found['nc']}:{found['cnonce']}:auth:{ha2}")
