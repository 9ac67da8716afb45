"""The DNS of trunks on the wire: questions to a real server on loopback, and what is made of its answers."""

from __future__ import annotations

from random import Random

import pytest

from callcenter.runtime.clock import SystemClock
from callcenter.signaling.trunks.records import Naptr, Srv
from callcenter.signaling.trunks.resolver import DnsResolver, RememberingResolver, ResolveError
from callcenter.signaling.trunks.settings import Peer
from callcenter.signaling.trunks.ways import Ways
from tests.unit.signaling.trunks.edges import Listening
from tests.wire.dns_server import DnsServer

RECORDS = {
    ("carrier.example", "NAPTR"): [
        '20 10 "s" "SIP+D2U" "" _sip._udp.carrier.example.',
        '10 10 "s" "SIP+D2T" "" _sip._tcp.carrier.example.',
    ],
    ("_sip._udp.carrier.example", "SRV"): ["10 0 5060 a.carrier.example.", "20 0 5070 b.carrier.example."],
    ("_sip._tcp.carrier.example", "SRV"): ["10 0 5080 a.carrier.example."],
    ("a.carrier.example", "A"): ["198.51.100.1"],
    ("a.carrier.example", "AAAA"): ["2001:db8::1"],
    ("b.carrier.example", "A"): ["198.51.100.2"],
}


async def test_a_domain_becomes_the_addresses_of_its_servers_and_each_question_is_asked_once() -> None:
    async with DnsServer(RECORDS) as server:
        resolver = RememberingResolver(DnsResolver(("127.0.0.1",), server.port), SystemClock())
        ways = Ways(resolver, Listening("udp", "tcp"), Random(1))
        for _ in range(2):
            assert [str(hop) for hop in await ways.to(Peer("carrier.example"))] == [
                "tcp 198.51.100.1:5080",
                "tcp [2001:db8::1]:5080",
                "udp 198.51.100.1:5060",
                "udp [2001:db8::1]:5060",
                "udp 198.51.100.2:5070",
            ]
        assert len(server.asked) == len(set(server.asked)) == 7


async def test_records_are_read_as_they_are_written() -> None:
    async with DnsServer(RECORDS, ttl=77) as server:
        resolver = DnsResolver(("127.0.0.1",), server.port)
        naptr = await resolver.naptr("carrier.example")
        assert Naptr(20, 10, "s", "SIP+D2U", "_sip._udp.carrier.example.") in naptr.records
        srv = await resolver.srv("_sip._tcp.carrier.example")
        assert (srv.records, srv.ttl) == ((Srv(10, 0, 5080, "a.carrier.example."),), 77.0)
        assert (await resolver.srv("nothing.example")).records == ()
        assert (await resolver.naptr("a.carrier.example")).records == ()


async def test_a_server_that_fails_or_is_silent_is_told_as_that() -> None:
    async with DnsServer(RECORDS, failing={"broken.example"}, mute={"silent.example"}) as server:
        resolver = DnsResolver(("127.0.0.1",), server.port)
        with pytest.raises(ResolveError, match=r"does not answer for broken\.example SRV"):
            await resolver.srv("broken.example")
        with pytest.raises(ResolveError, match=r"does not answer for silent\.example SRV"):
            await resolver.srv("silent.example")


async def test_a_name_of_the_machines_own_table_of_hosts_is_known_too() -> None:
    async with DnsServer(RECORDS) as server:
        found = await DnsResolver(("127.0.0.1",), server.port).addresses("localhost")
        assert "127.0.0.1" in found.records
