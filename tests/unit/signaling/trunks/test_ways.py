"""From a host of a trunk to the addresses that are called, in order: RFC 3263, and RFC 2782 for the dice."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from callcenter.signaling.trunks.records import Naptr, Srv, in_naptr_order, in_srv_order
from callcenter.signaling.trunks.resolver import RememberingResolver, ResolveError
from callcenter.signaling.trunks.settings import Peer
from callcenter.signaling.trunks.ways import Ways, routes_by, uri_of
from callcenter.simulation.resolver import SimResolver
from callcenter.sip.flow import Transport
from tests.unit.signaling.trunks.edges import HandClock, Listening

DOMAIN = "carrier.example"


async def found(peer: Peer, resolver: SimResolver, *transports: str) -> list[str]:
    ways = Ways(resolver, Listening(*(transports or ("udp", "tcp"))), Random(1))
    return [str(hop) for hop in await ways.to(peer)]


async def test_an_address_needs_no_dns() -> None:
    resolver = SimResolver()
    assert await found(Peer("198.51.100.7"), resolver) == ["udp 198.51.100.7:5060"]
    assert await found(Peer("2001:db8::7", 5070), resolver) == ["udp [2001:db8::7]:5070"]
    assert await found(Peer("198.51.100.7", None, Transport.TLS), resolver) == ["tls 198.51.100.7:5061"]
    assert resolver.asked == []


async def test_who_names_a_port_wants_no_srv() -> None:
    resolver = SimResolver(hosts={DOMAIN: ("198.51.100.7", "2001:db8::7")})
    assert await found(Peer(DOMAIN, 5070), resolver) == ["udp 198.51.100.7:5070", "udp [2001:db8::7]:5070"]
    assert await found(Peer(DOMAIN, 5070, Transport.TCP), resolver) == [
        "tcp 198.51.100.7:5070",
        "tcp [2001:db8::7]:5070",
    ]
    assert resolver.asked == [("A", DOMAIN), ("A", DOMAIN)]


def with_everything() -> SimResolver:
    return SimResolver(
        naptrs={
            DOMAIN: (
                Naptr(50, 50, "s", "SIPS+D2T", f"_sips._tcp.{DOMAIN}."),
                Naptr(100, 50, "s", "SIP+D2U", f"_sip._udp.{DOMAIN}."),
                Naptr(90, 50, "S", "sip+d2t", f"_sip._tcp.{DOMAIN}."),
                Naptr(10, 10, "u", "E2U+sip", "!.*!sip:else@where!"),
            )
        },
        srvs={
            f"_sip._udp.{DOMAIN}": (Srv(1, 0, 5060, "u.carrier.example."),),
            f"_sip._tcp.{DOMAIN}": (Srv(1, 0, 5080, "t.carrier.example."),),
            f"_sips._tcp.{DOMAIN}": (Srv(1, 0, 5061, "s.carrier.example."),),
        },
        hosts={
            "u.carrier.example": ("198.51.100.1",),
            "t.carrier.example": ("198.51.100.2",),
            "s.carrier.example": ("198.51.100.3",),
        },
    )


async def test_naptr_says_which_transport_the_carrier_likes_best_among_those_we_speak() -> None:
    assert await found(Peer(DOMAIN), with_everything(), "udp", "tcp", "tls") == [
        "tls 198.51.100.3:5061",
        "tcp 198.51.100.2:5080",
        "udp 198.51.100.1:5060",
    ]
    assert await found(Peer(DOMAIN), with_everything(), "udp") == ["udp 198.51.100.1:5060"]


async def test_without_naptr_srv_is_asked_for_each_transport_that_we_speak() -> None:
    resolver = with_everything()
    resolver.naptrs.clear()
    assert await found(Peer(DOMAIN), resolver, "udp", "tcp") == ["udp 198.51.100.1:5060", "tcp 198.51.100.2:5080"]


async def test_a_transport_that_is_configured_is_the_only_one() -> None:
    resolver = with_everything()
    assert await found(Peer(DOMAIN, None, Transport.TCP), resolver) == ["tcp 198.51.100.2:5080"]
    assert ("NAPTR", DOMAIN) not in resolver.asked


async def test_without_srv_the_domain_itself_is_a_host() -> None:
    resolver = SimResolver(hosts={DOMAIN: ("198.51.100.9",)})
    assert await found(Peer(DOMAIN), resolver) == ["udp 198.51.100.9:5060"]
    assert await found(Peer(DOMAIN, None, Transport.TLS), resolver) == ["tls 198.51.100.9:5061"]


@pytest.mark.parametrize("away", [{"NAPTR"}, {"SRV"}, {"NAPTR", "SRV"}])
async def test_a_dns_that_does_not_answer_for_services_is_asked_for_the_address(away: set[str]) -> None:
    resolver = with_everything()
    resolver.hosts[DOMAIN] = ("198.51.100.9",)
    resolver.away = away
    assert await found(Peer(DOMAIN), resolver) == ["udp 198.51.100.9:5060"]


async def test_a_server_without_address_keeps_nobody_from_the_next() -> None:
    resolver = with_everything()
    del resolver.hosts["t.carrier.example"]
    assert await found(Peer(DOMAIN), resolver) == ["udp 198.51.100.1:5060"]


async def test_a_name_that_nobody_knows_is_told_as_that() -> None:
    with pytest.raises(ResolveError, match="knows no address of carrier"):
        await found(Peer(DOMAIN), SimResolver())


async def test_a_host_with_a_thousand_addresses_is_tried_at_a_few() -> None:
    resolver = SimResolver(hosts={DOMAIN: tuple(f"198.51.100.{last}" for last in range(200))})
    assert len(await found(Peer(DOMAIN), resolver)) == 8
    resolver = SimResolver(
        srvs={f"_sip._udp.{DOMAIN}": tuple(Srv(1, 1, port, f"{DOMAIN}.") for port in range(5060, 5160))},
        hosts={DOMAIN: ("198.51.100.1",)},
    )
    assert len(await found(Peer(DOMAIN), resolver)) == 8


def test_priority_goes_before_weight_and_weight_is_a_share_of_the_calls() -> None:
    records = [Srv(10, 60, 1, "a."), Srv(10, 30, 2, "b."), Srv(10, 0, 3, "c."), Srv(20, 100, 4, "last.")]
    random, first = Random(7), Counter[str]()
    for _ in range(2000):
        ordered = in_srv_order(records, random)
        assert {each.target for each in ordered[:3]} == {"a.", "b.", "c."}
        assert ordered[3].target == "last."
        first[ordered[0].target] += 1
    assert 1230 < first["a."] < 1430
    assert 570 < first["b."] < 770
    assert 0 < first["c."] < 90


def test_a_service_that_is_said_not_to_be_there_is_not() -> None:
    assert in_srv_order([Srv(0, 0, 0, ".")], Random(1)) == []


def test_naptr_records_without_a_name_lead_nowhere() -> None:
    assert in_naptr_order([Naptr(1, 1, "s", "SIP+D2U", ""), Naptr(1, 1, "a", "SIP+D2U", "x.")], Transport) == []


# The memory


async def test_an_answer_is_believed_for_its_time_to_live() -> None:
    resolver, clock = SimResolver(hosts={DOMAIN: ("198.51.100.1",)}, ttl=60.0), HandClock()
    remembering = RememberingResolver(resolver, clock)
    assert (await remembering.addresses(DOMAIN)).records == ("198.51.100.1",)
    resolver.hosts[DOMAIN] = ("198.51.100.2",)
    clock.seconds += 59
    assert (await remembering.addresses("Carrier.Example")).records == ("198.51.100.1",)
    clock.seconds += 2
    assert (await remembering.addresses(DOMAIN)).records == ("198.51.100.2",)
    assert len(resolver.asked) == 2


async def test_while_the_dns_is_away_what_was_known_last_still_holds() -> None:
    resolver, clock = SimResolver(hosts={DOMAIN: ("198.51.100.1",)}, ttl=60.0), HandClock()
    remembering = RememberingResolver(resolver, clock)
    await remembering.addresses(DOMAIN)
    resolver.away = {"A"}
    clock.seconds += 100_000
    assert (await remembering.addresses(DOMAIN)).records == ("198.51.100.1",)
    assert (await remembering.addresses(DOMAIN)).records == ("198.51.100.1",)
    assert len(resolver.asked) == 2, "a DNS that is away is not asked for each call"
    for _ in range(3):
        with pytest.raises(ResolveError, match="does not answer"):
            await remembering.addresses("never.known.example")
    assert len(resolver.asked) == 3
    resolver.away.clear()
    clock.seconds += 11
    assert (await remembering.addresses("never.known.example")).records == ()


async def test_a_time_to_live_of_nothing_does_not_ask_for_every_call() -> None:
    resolver, clock = SimResolver(hosts={DOMAIN: ("198.51.100.1",)}, ttl=0.0), HandClock()
    remembering = RememberingResolver(resolver, clock)
    for _ in range(3):
        await remembering.addresses(DOMAIN)
    assert len(resolver.asked) == 1


async def test_the_memory_is_bounded() -> None:
    resolver, clock = SimResolver(), HandClock()
    remembering = RememberingResolver(resolver, clock)
    for number in range(1_500):
        await remembering.srv(f"{number}.example")
    assert repr(remembering) == "<RememberingResolver 1000 names>"


# How it is written


def test_a_peer_is_written_as_it_is_configured() -> None:
    assert str(uri_of(Peer(DOMAIN), "+14155550188")) == f"sip:+14155550188@{DOMAIN}"
    assert str(uri_of(Peer("2001:db8::7", 5070, Transport.UDP))) == "sip:[2001:db8::7]:5070"
    assert str(uri_of(Peer(DOMAIN, None, Transport.TCP), "1", ("user", "phone"))) == (
        f"sip:1@{DOMAIN};transport=tcp;user=phone"
    )
    assert routes_by(Peer(DOMAIN, 5070, Transport.TCP)) == (f"<sip:{DOMAIN}:5070;transport=tcp;lr>",)
    assert routes_by(None) == ()
