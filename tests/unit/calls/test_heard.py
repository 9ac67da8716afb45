"""The words for a side that is not heard: from the plainest sign to a guess."""

from __future__ import annotations

import pytest

from callcenter.calls.heard import likely_reason
from callcenter.media.plane import NoPacket


def missing(described: str, listens: str, refused: str = "", payload_type: int = -1) -> NoPacket:
    return NoPacket("1", 5.0, described, listens, refused, payload_type)


@pytest.mark.parametrize(
    ("event", "signalled_from", "words"),
    [
        (
            missing("192.168.1.5:4000", "10.0.0.1:16384"),
            "192.168.1.5",
            "the phone said it sends from 192.168.1.5:4000: a firewall or NAT between, or a phone that sends nothing?",
        ),
        (
            missing("8.8.8.8:4000", "9.9.9.9:16384", refused="1.1.1.1:7000"),
            "8.8.8.8",
            (
                "the phone said it sends from 8.8.8.8:4000, but sound came from 1.1.1.1:7000, which nobody has named, "
                "and was not taken"
            ),
        ),
        (
            missing("192.168.1.5:4000", "192.168.1.1:16384", payload_type=18),
            "192.168.1.5",
            "the phone said it sends from 192.168.1.5:4000; what came was of payload type 18, which was not agreed on",
        ),
        (
            NoPacket("1", 5.0, "192.168.1.5:4000", "192.168.1.1:16384", unauthentic=240),
            "192.168.1.5",
            (
                "the phone said it sends from 192.168.1.5:4000; what came from there (240 packets) was not sealed with "
                "the key agreed on"
            ),
        ),
        (
            missing("192.168.1.5:4000", "172.16.0.1:16384"),
            "8.8.8.8",
            (
                "we say we are at 172.16.0.1, a private address, and the phone signals from 8.8.8.8: it cannot reach "
                "us there; set media.advertised to our public address"
            ),
        ),
        (
            missing("192.168.1.5:4000", "9.9.9.9:16384"),
            "8.8.8.8",
            (
                "the phone said it sends from 192.168.1.5:4000, an address of its own network, and signals from "
                "8.8.8.8: the NAT or firewall before it lets no sound out"
            ),
        ),
        (
            missing("[2620:fe::1]:4000", "[2620:fe::fe]:16384"),
            "2620:fe::1",
            "the phone said it sends from [2620:fe::1]:4000: a firewall or NAT between, or a phone that sends nothing?",
        ),
        (
            missing("[fd00::5]:4000", "[2620:fe::fe]:16384"),
            "2620:fe::1",
            (
                "the phone said it sends from [fd00::5]:4000, an address of its own network, and signals from "
                "2620:fe::1: the NAT or firewall before it lets no sound out"
            ),
        ),
    ],
)
def test_the_operator_reads_the_most_likely_reason(event: NoPacket, signalled_from: str, words: str) -> None:
    assert likely_reason(event, signalled_from) == words
