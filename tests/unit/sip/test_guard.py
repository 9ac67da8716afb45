"""The guard: floods cost who sends them, and nobody is shut out by what others send in their name."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from callcenter.sip import guard as guarding
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.guard import LOOPBACK, BanBegan, BanEnded, Guard, GuardRules, Kind, Verdict, kind_of, kind_of_method

HERE = Address("192.0.2.1", 5060)
RULES = GuardRules(
    requests_per_second=10, burst=20, failures=3, ban=60.0, exempt=(*LOOPBACK, ip_network("198.51.100.0/24"))
)


def udp(host: str = "192.0.2.2", port: int = 5060) -> Flow:
    return Flow(Transport.UDP, HERE, Address(host, port))


def tcp(host: str = "192.0.2.2", port: int = 40_000) -> Flow:
    return Flow(Transport.TCP, HERE, Address(host, port), 7)


def asked(guard: Guard, flow: Flow, times: int, kind: Kind = Kind.REQUEST, now: float = 0.0) -> list[Verdict]:
    return [guard.admit(flow, kind, now) for _ in range(times)]


def passed(verdicts: list[Verdict]) -> int:
    return verdicts.count(Verdict.PASS)


def test_a_flood_gets_its_burst_and_then_its_rate_and_others_do_not_notice() -> None:
    guard = Guard(RULES)
    assert passed(asked(guard, udp(), 1000)) == 20
    assert passed(asked(guard, udp(port=9), 1000, now=1.0)) == 10, "another port is the same source"
    assert passed(asked(guard, udp("192.0.2.3"), 20, now=1.0)) == 20
    assert guard.counts.over_rate == 980 + 990
    assert guard.bans == (), "volume alone bans nobody: its source may be forged"


def test_what_a_forged_source_gets_is_silence_and_what_a_connection_gets_is_503() -> None:
    guard = Guard(RULES)
    assert set(asked(guard, udp(), 1000)[20:]) == {Verdict.DROP}
    verdicts = asked(guard, tcp("192.0.2.3"), 1000)
    assert verdicts[20:40] == [Verdict.REFUSE] * 20
    assert set(verdicts[40:]) == {Verdict.DROP}, "and that has an end as well"
    assert guard.retry_after(tcp("192.0.2.3"), 0.0) == 5


def test_a_flood_in_the_name_of_a_phones_address_does_not_drain_what_the_phone_is_owed() -> None:
    guard = Guard(RULES)
    guard.know("amy", [Address("192.0.2.2", 5062)])
    asked(guard, udp(), 1000)
    assert passed(asked(guard, udp(port=5062), 15)) == 15
    assert asked(guard, udp(port=5062), 10)[-1] is Verdict.REFUSE, "too much of a phone that is known is told so"
    guard.know("amy", [])
    assert passed(asked(guard, udp(port=5062), 5)) == 0, "it is gone"


def test_a_phone_that_two_agents_share_is_known_until_both_have_left() -> None:
    guard = Guard(RULES)
    for agent in ("amy", "bob"):
        guard.know(agent, [Address("192.0.2.2", 5062)])
    guard.know("amy", [])
    assert guard.stranger(udp(port=5062)) == ""
    guard.know("bob", [])
    assert guard.stranger(udp(port=5062)) == "192.0.2.2"


def test_calls_that_are_up_can_end_while_their_address_is_flooded_or_banned() -> None:
    guard = Guard(RULES)
    asked(guard, udp(), 1000)
    assert passed(asked(guard, udp(), 10, Kind.WITHIN_CALL)) == 10
    assert passed(asked(guard, udp(), 5, Kind.RESPONSE)) == 5
    for _ in range(3):
        guard.failed(udp("192.0.2.3"), 0.0)
    assert passed(asked(guard, udp("192.0.2.3"), 5)) == 0
    assert passed(asked(guard, udp("192.0.2.3"), 5, Kind.WITHIN_CALL)) == 5


def test_who_fails_too_often_is_shut_out_for_a_time_and_then_taken_again() -> None:
    guard = Guard(RULES)
    assert guard.failed(udp(), 0.0) == guard.failed(udp(), 1.0) == []
    assert guard.failed(udp(), 2.0) == [BanBegan("192.0.2.2", "wrong passwords", 60.0)]
    assert "192.0.2.2" in guard.bans
    assert not guard.may_try(udp())
    assert asked(guard, udp(), 1, now=3.0) == [Verdict.DROP]
    assert asked(guard, tcp(), 1, now=3.0) == [Verdict.REFUSE]
    assert guard.retry_after(tcp(), 3.0) == 59
    assert guard.deadline == 62.0
    assert guard.expire(61.0) == []
    assert guard.expire(62.0) == [BanEnded("192.0.2.2")]
    assert not guard.bans
    assert asked(guard, udp(), 1, now=62.0) == [Verdict.PASS]


def test_wrong_passwords_of_a_whole_day_do_not_add_up() -> None:
    guard = Guard(RULES)
    for minute in range(100):
        assert guard.failed(udp(), minute * 61.0) == []
        assert guard.failed(udp(), minute * 61.0 + 1) == []


def test_a_phone_that_is_known_is_never_shut_out_by_a_ban_of_its_address() -> None:
    guard = Guard(RULES)
    guard.know("amy", [Address("192.0.2.2", 5062)])
    for _ in range(3):
        guard.failed(udp(port=9), 0.0)
    assert guard.bans == ("192.0.2.2",)
    assert asked(guard, udp(port=5062), 1) == [Verdict.PASS]
    assert guard.may_try(udp(port=5062))
    for _ in range(3):
        guard.failed(udp(port=5062), 0.0)
    assert not guard.may_try(udp(port=5062)), "what it guesses itself is not looked at any more,"
    assert asked(guard, udp(port=5062), 1) == [Verdict.PASS], "but it can call"


def test_rubbish_bans_a_connection_and_only_costs_a_source_that_may_be_forged() -> None:
    guard = Guard(RULES)
    for _ in range(10):
        assert guard.unreadable(udp(), 0.0) == []
    assert passed(asked(guard, udp(), 5)) == 0
    assert [guard.unreadable(tcp("192.0.2.3"), 0.0) for _ in range(3)][-1] == [
        BanBegan("192.0.2.3", "unreadable messages", 60.0)
    ]


def test_rubbish_costs_five_times_as_much_as_a_request() -> None:
    guard = Guard(RULES)
    assert passed(asked(guard, udp(), 100, Kind.UNREADABLE)) == 4


def test_loopback_and_configured_networks_and_trunks_are_never_limited() -> None:
    guard = Guard(RULES)
    guard.trust("carrier", [ip_network("203.0.113.7/32")])
    for host in ("127.0.0.1", "::1", "198.51.100.9", "203.0.113.7", "::ffff:203.0.113.7"):
        assert passed(asked(guard, udp(host), 1000)) == 1000
        assert guard.stranger(udp(host)) == ""
        for _ in range(10):
            assert guard.failed(udp(host), 0.0) == guard.unreadable(tcp(host), 0.0) == []
        assert guard.may_try(udp(host))
    assert guard.stranger(udp("203.0.113.8")) == "203.0.113.8"


def test_a_network_of_ipv6_is_one_source() -> None:
    guard = Guard(RULES)
    verdicts = [guard.admit(udp(f"2001:db8::{number:x}"), Kind.REQUEST, 0.0) for number in range(100)]
    assert passed(verdicts) == 20
    assert guard.stranger(udp("2001:db8::1")) == "2001:db8::/64"
    assert passed(asked(guard, udp("2001:db8:0:1::1"), 5)) == 5


def test_switched_off_it_lets_everything_pass() -> None:
    guard = Guard(GuardRules(enabled=False, burst=10))
    assert passed(asked(guard, udp(), 1000)) == 1000
    assert guard.stranger(udp()) == ""
    assert [guard.failed(udp(), 0.0) for _ in range(100)] == [[]] * 100


def test_a_million_sources_take_no_more_memory_than_those_it_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "MAX_SOURCES", 100)
    monkeypatch.setattr(guarding, "MAX_BANS", 10)
    guard = Guard(RULES)
    for number in range(1000):
        host = f"10.1.{number // 250}.{number % 250}"
        guard.admit(udp(host), Kind.REQUEST, 0.0)
        news = [guard.failed(udp(host), 0.0) for _ in range(3)][-1]
        assert [type(each) for each in news] == [BanBegan, BanEnded][: 1 if number < 10 else 2]
    assert len(guard) == 100
    assert len(guard.bans) == 10


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"INVITE sip:1 SIP/2.0\r\n", Kind.REQUEST),
        (b"\r\nOPTIONS sip:1 SIP/2.0\r\n", Kind.REQUEST),
        (b"ACK sip:1 SIP/2.0\r\n", Kind.WITHIN_CALL),
        (b"BYE sip:1 SIP/2.0\r\n", Kind.WITHIN_CALL),
        (b"SIP/2.0 200 OK\r\n", Kind.RESPONSE),
        (b"\x00\x01\x02", Kind.UNREADABLE),
        (b"x" * 5000, Kind.UNREADABLE),
    ],
)
def test_the_first_word_tells_what_a_datagram_is(data: bytes, kind: Kind) -> None:
    assert kind_of(data) is kind


def test_a_request_that_was_read_is_told_by_its_method() -> None:
    assert kind_of_method("REGISTER") is Kind.REQUEST
    assert kind_of_method("BYE") is Kind.WITHIN_CALL
