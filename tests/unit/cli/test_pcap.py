"""The capture as a program that is not ours reads it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from callcenter.cli.pcap import MAX_PAYLOAD, Datagram, capture

MESSAGE = (
    b"INVITE sip:1000@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1\r\n"
    b"From: <sip:ana@192.0.2.2>;tag=a\r\nTo: <sip:1000@192.0.2.1>\r\nCall-ID: one\r\nCSeq: 1 INVITE\r\n\r\n"
)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")
def test_wireshark_reads_addresses_times_and_messages(tmp_path: Path) -> None:
    file = tmp_path / "call.pcap"
    datagrams = [
        Datagram(1_700_000_000.25, ("192.0.2.2", 5060), ("192.0.2.1", 5060), MESSAGE),
        Datagram(1_700_000_001.5, ("2001:db8::1", 5060), ("2001:db8::2", 5070), MESSAGE + b"odd"),
    ]
    file.write_bytes(capture(datagrams))
    fields = ["frame.time_epoch", "ip.src", "ipv6.src", "udp.srcport", "udp.dstport", "sip.Method", "sip.Call-ID"]
    told = subprocess.run(
        ["tshark", "-r", str(file), "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-T", "fields"]
        + [part for field in [*fields, "udp.checksum.status", "ip.checksum.status"] for part in ("-e", field)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.splitlines()
    rows = [line.split("\t") for line in told]
    assert [row[1:7] for row in rows] == [
        ["192.0.2.2", "", "5060", "5060", "INVITE", "one"],
        ["", "2001:db8::1", "5060", "5070", "INVITE", "one"],
    ]
    assert [float(row[0]) for row in rows] == [1_700_000_000.25, 1_700_000_001.5]
    assert [row[7] for row in rows] == ["1", "1"], "the checksums of UDP are good"
    assert rows[0][8] == "1", "and that of IPv4"


def test_odd_addresses_and_lengths_make_a_file_all_the_same() -> None:
    for source, target in ((("pbx.example.org", 1), ("2001:db8::2", 2)), (("fe80::1%eth0", 1), ("192.0.2.1", 2))):
        file = capture([Datagram(0.0, source, target, b"x" * 70_000)])
        assert MAX_PAYLOAD < len(file) < MAX_PAYLOAD + 100
