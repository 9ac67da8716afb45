"""A call that was held, as its operator sees it on the wire: the ladder, the capture, the numbers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.wire.control import callcenter, control_of
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.test_control import begin_talk, hang_up


async def test_the_ladder_the_capture_and_the_metrics_of_a_call(switch: Switch, tmp_path: Path) -> None:
    socket, file = str(control_of(switch)), tmp_path / "call.pcap"
    async with Stub(switch.where) as agent, Stub(switch.where) as caller:
        invite, answer = await begin_talk(switch, agent, caller)
        await hang_up(caller, invite, answer)
        await switch.interaction()
        sip_call_id = answer.call_id
        ports = {switch.where[1], agent.port, caller.port}
        status, out, err = await callcenter(tmp_path, "trace", "--socket", socket, "--pcap", str(file))
        assert (status, err) == (0, "")
        arrows = [line for line in out.splitlines() if "->|" in line or "|<-" in line]
        for wanted in ("INVITE", "ACK", "BYE"):
            assert sum(f" {wanted} " in line for line in arrows) >= 2, f"{wanted} on both legs:\n{out}"
        assert "* call connected" in out
        status, out, err = await callcenter(tmp_path, "metrics", "--socket", socket)
        assert (status, err) == (0, "")
        assert 'callcenter_sip_requests_received_total{method="INVITE"} 1.0' in out.splitlines()
        status, out, err = await callcenter(tmp_path, "trace", "--socket", socket, "--number", "+19995550000")
        assert (status, out) == (1, "")
        assert "no call is known" in err
    if shutil.which("tshark") is None:
        pytest.skip("needs tshark to read the capture")
    decode = [part for port in ports for part in ("-d", f"udp.port=={port},sip")]
    fields = [part for field in ("sip.Method", "sip.Status-Code", "sip.Call-ID") for part in ("-e", field)]
    told = subprocess.run(
        ["tshark", "-r", str(file), *decode, "-T", "fields", *fields],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.splitlines()
    ours = ["".join(line.split("\t")[:2]) for line in told if line.endswith(sip_call_id)]
    assert list(dict.fromkeys(ours)) == ["INVITE", "100", "200", "ACK", "BYE"]
