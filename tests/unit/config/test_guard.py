"""``sip.guard`` and ``sip.trace`` as they are written, and as they are written wrongly."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from callcenter.config import ConfigError, load
from callcenter.sip.guard import GuardRules


def test_what_ships_is_the_default() -> None:
    settings = load()
    assert settings.sip.guard == GuardRules()
    assert settings.sip.trace_messages == 20_000


def test_it_is_set_to_what_is_written() -> None:
    settings = load(
        overrides=[
            "sip.guard.exempt=[10.0.0.0/8, 203.0.113.7]",
            "sip.guard.requests_per_second=7",
            "sip.guard.ban=90s",
            "sip.trace.messages=0",
        ]
    )
    guard = settings.sip.guard
    assert guard.exempt == (ip_network("10.0.0.0/8"), ip_network("203.0.113.7/32"))
    assert (guard.requests_per_second, guard.ban) == (7, 90.0)
    assert settings.sip.trace_messages == 0


def test_a_word_turns_each_off() -> None:
    sip = load(overrides=["sip.guard=off", "sip.trace=off", "sip.session_timer=off"]).sip
    assert (sip.guard.enabled, sip.trace_messages, sip.session_timer) == (False, 0, None)


def test_of_a_session_timer_a_time_alone_will_do() -> None:
    timer = load(overrides=["sip.session_timer=20m"]).sip.session_timer
    assert timer is not None
    assert timer.expires == 1200


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("sip.guard.exempt=[10.0.0.1/8]", "write it as 10.0.0.0/8"),
        ("sip.guard.exempt=[office]", "neither an address nor a network"),
        ("sip.guard.ban=600", "has no unit"),
        ("sip.guard.failures=0", "write at least 1"),
        ("sip.guard.limit=3", "not known here"),
        ("sip.trace.messages=-1", "write at least 0"),
        (
            "sip.listen=[{transport: tcp, host: 0.0.0.0, port: 5060}, {transport: tls, host: 0.0.0.0, port: 5060}]",
            "tcp and tls would listen on port 5060",
        ),
        ("sip.listen=[{transport: udp, host: 0.0.0.0}, {transport: udp, host: 0.0.0.0, port: 5060}]", "two of udp"),
    ],
)
def test_a_mistake_is_told_with_its_remedy(written: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(overrides=[written])
    told = "\n".join(problem.excerpt() for problem in caught.value.problems)
    assert says in told, told
