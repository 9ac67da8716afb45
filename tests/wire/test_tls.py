"""TLS with phones and tools that are not ours: whole calls, and how a certificate and its renewal look outside."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from callcenter.control.client import ControlError
from tests.unit.signaling.authority import Authority
from tests.wire.control import ask
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.switch import Switch
from tests.wire.wait import until

CALLER_HZ = 440.0
AGENT_HZ = 880.0


@pytest.mark.parametrize(("caller_by", "outbound"), [("tls", False), ("udp", True)])
async def test_agent_whose_phone_registered_by_tls_is_called_over_it(
    switch: Switch, tmp_path: Path, caller_by: str, outbound: bool
) -> None:
    trusted = switch.ready["sip"]["certificate"]["file"]
    agent = agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ, transport="tls")
    agent = replace(agent, ca_file=trusted, outbound=outbound)
    async with agent, caller_phone(switch, tmp_path, hz=CALLER_HZ, transport=caller_by) as caller:
        await talk(caller, agent, TECH)
        await agent.heard(CALLER_HZ)
        await caller.heard(AGENT_HZ)
        await agent.hold()
        await agent.resume()
        await caller.heard(AGENT_HZ)
        await agent.hangup()
        await caller.event("CALL_CLOSED")
        ((binding,),) = switch.query("SELECT binding FROM locations")
        assert (json.loads(binding)["flow"]["transport"], json.loads(binding)["reg_id"]) == ("TLS", int(outbound))
        assert (await switch.interaction())["outcome"] == "handled"


@pytest.mark.parametrize(("caller_by", "agent_by"), [("tcp", "tls"), ("udp", "udp")])
async def test_call_over_ipv6_has_sound_both_ways(
    switch: Switch, tmp_path: Path, caller_by: str, agent_by: str
) -> None:
    """These phones signal by IPv6, and the caller describes its sound by IPv4: it is answered where it listens."""
    if switch.where_ipv6 is None:
        pytest.skip("this machine has no IPv6 on its loopback")
    there, here = (_ipv6(switch.ready["sip"][by]) for by in (agent_by, caller_by))
    agent = replace(agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ, transport=agent_by), registrar=there)
    calling = replace(caller_phone(switch, tmp_path, hz=CALLER_HZ, transport=caller_by), registrar=here)
    async with agent, calling as caller:
        await talk(caller, agent, TECH)
        await agent.heard(CALLER_HZ)
        await caller.heard(AGENT_HZ)
        await caller.hangup()
        await agent.event("CALL_CLOSED")


def _ipv6(addresses: list[str]) -> str:
    return next(address for address in addresses if address.startswith("["))


async def openssl(address: str, *options: str) -> str:
    """What ``openssl s_client`` says of a connection: without a word of ours it leaves again."""
    asked = await asyncio.create_subprocess_exec(
        "openssl", "s_client", "-connect", address, *options,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await asyncio.wait_for(asked.communicate(), 10)
    return said.decode(errors="replace")


def subject(said: str) -> str:
    found = re.search(r"^subject=.*?CN ?= ?(\S+)", said, re.MULTILINE)
    return found[1] if found else ""


async def test_certificates_are_chosen_by_name_renewed_by_a_reload_and_old_tls_is_refused(tmp_path: Path) -> None:
    authority = Authority.made(tmp_path)
    tech, lumina = authority.sign("sip.tech.example", name="tech"), authority.sign("sip.lumina.example", name="lumina")
    certificates = json.dumps([{"cert": str(each.cert), "key": str(each.key)} for each in (tech, lumina)])
    trust = ("-CAfile", str(authority.file))
    async with Switch(tmp_path / "switch", options=("--set", f"sip.tls.certificates={certificates}")) as switch:
        address = switch.address("tls")
        assert subject(await openssl(address, *trust)) == "tech"
        for name, held in (("sip.tech.example", "tech"), ("sip.lumina.example", "lumina")):
            said = await openssl(address, *trust, "-servername", name, "-verify_hostname", name)
            assert (subject(said), "Verify return code: 0 (ok)" in said) == (held, True), said
        assert "BEGIN CERTIFICATE" not in await openssl(address, "-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0")
        await until(lambda: "sip.tls.min_version" in switch.log(), "the operator is told of it")
        _, plain = await asyncio.open_connection(*address.split(":"))
        plain.write(b"OPTIONS sip:here SIP/2.0\r\n\r\n")
        await until(lambda: "plain text on the TLS port" in switch.log(), "and of a phone that is set to TCP")
        plain.close()
        renewed = authority.sign("sip.tech.example", name="renewed")
        assert renewed.key is not None
        assert tech.key is not None
        renewed.cert.replace(tech.cert)
        with pytest.raises(ControlError, match="is not that of the certificate"):
            await ask(switch, "reload")
        assert subject(await openssl(address, *trust)) == "tech", "the one in force stays"
        renewed.key.replace(tech.key)
        (told,) = (await ask(switch, "reload"))["certificates"]
        assert told.startswith("certificate for sip.tech.example, until ")
        shown = (await ask(switch, "status"))["certificates"]
        assert [(each["subject"], each["names"]) for each in shown] == [
            ("CN=renewed", ["sip.tech.example"]),
            ("CN=lumina", ["sip.lumina.example"]),
        ]
        assert all(0 <= each["days_left"] < 4000 for each in shown)
        assert subject(await openssl(address, *trust)) == "renewed"
