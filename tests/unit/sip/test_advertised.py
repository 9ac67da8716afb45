"""What we call ourselves: outside of a NAT by one name, inside by another, by each family what it can reach."""

from __future__ import annotations

import pytest

from callcenter.sip.advertised import Advertised
from callcenter.sip.flow import Address, Flow, Transport

BOTH = ("203.0.113.7", "2001:db8::7")


def flow(local: str, remote: str, transport: Transport = Transport.UDP, port: int = 5060) -> Flow:
    return Flow(transport, Address(local, port), Address(remote, 5060))


@pytest.mark.parametrize(
    ("hosts", "local", "remote", "ours"),
    [
        ((), "192.168.1.5", "198.51.100.9", "192.168.1.5"),
        (BOTH, "192.168.1.5", "198.51.100.9", "203.0.113.7"),
        (BOTH, "fd00::5", "2001:db8:9::9", "2001:db8::7"),
        (BOTH[:1], "fd00::5", "2001:db8:9::9", "fd00::5"),
        (("pbx.example.org",), "192.168.1.5", "198.51.100.9", "pbx.example.org"),
        (("pbx.example.org",), "fd00::5", "2001:db8:9::9", "pbx.example.org"),
        (BOTH, "192.168.1.5", "192.168.1.77", "192.168.1.5"),
        (BOTH, "fd00::5", "fd00::77", "fd00::5"),
        (BOTH, "192.168.1.5", "192.169.1.77", "203.0.113.7"),
        (BOTH, "192.168.1.5", "phone.example", "203.0.113.7"),
    ],
)
def test_phone_is_told_the_address_that_it_can_reach(
    hosts: tuple[str, ...], local: str, remote: str, ours: str
) -> None:
    known = Advertised(hosts, ("192.168.0.0/16", "fd00::/8"))
    assert known.host(local, remote) == ours
    assert known.address(flow(local, remote)) == Address(ours, 5060)


def test_listener_whose_port_the_nat_maps_is_told_with_that_port() -> None:
    known = Advertised(
        BOTH,
        ("192.168.0.0/16",),
        {(Transport.UDP, 5060): Address("203.0.113.9", 15060), (Transport.TLS, 5061): Address("sip.example.org", 0)},
    )
    assert known.address(flow("192.168.1.5", "198.51.100.9")) == Address("203.0.113.9", 15060)
    assert known.address(flow("192.168.1.5", "192.168.1.77")) == Address("192.168.1.5", 5060)
    # Another family, another listener: what holds for all.
    assert known.address(flow("fd00::5", "2001:db8:9::9")) == Address("2001:db8::7", 5060)
    assert known.address(flow("192.168.1.5", "198.51.100.9", Transport.TCP)) == Address("203.0.113.7", 5060)
    tls = flow("192.168.1.5", "198.51.100.9", Transport.TLS, 5061)
    assert known.address(tls) == Address("sip.example.org", 5061)


def test_flow_that_was_turned_to_another_transport_is_told_the_port_of_that() -> None:
    for known, host in ((Advertised(), "192.168.1.5"), (Advertised(("203.0.113.7",)), "203.0.113.7")):
        known.listening = {Transport.UDP: (5060, 5080), Transport.TLS: (5061,)}
        for transport, port, ours in ((Transport.TLS, 5060, 5061), (Transport.UDP, 5080, 5080)):
            assert known.address(flow("192.168.1.5", "198.51.100.9", transport, port)) == Address(host, ours)
