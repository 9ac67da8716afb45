"""The ports of one worker: drawn at first, then the one that was free for longest."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from random import Random

import pytest

from callcenter.media.embedded.ports import Ports, PortsExhausted
from tests.unit.media.peers import free_ports

HOST = "127.0.0.1"


@pytest.fixture
def pairs() -> range:
    first, last = free_ports(8)
    return range(first, last, 2)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


class Clock:
    """A clock that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def take(ports: Ports) -> int:
    port, rtp, rtcp = ports.open(HOST)
    assert (rtp.getsockname(), rtcp.getsockname()) == ((HOST, port), (HOST, port + 1))
    rtp.close()
    rtcp.close()
    return port


def test_two_switches_do_not_begin_with_the_same_pair(pairs: range) -> None:
    first = {take(Ports(pairs, Random(seed))) for seed in range(40)}
    assert len(first) > 4
    assert first <= set(pairs)


def test_from_there_on_every_pair_has_its_turn(pairs: range) -> None:
    ports = Ports(pairs, Random(3))
    taken = [take(ports) for _ in pairs]
    assert sorted(taken) == list(pairs)
    start = pairs.index(taken[0])
    assert taken == [*pairs[start:], *pairs[:start]]


def test_the_pair_that_was_given_back_longest_ago_comes_first(pairs: range) -> None:
    ports = Ports(pairs, Random(1))
    taken = [take(ports) for _ in pairs]
    for index in (4, 2, 6):
        ports.give_back(taken[index])
    assert [take(ports) for _ in range(3)] == [taken[4], taken[2], taken[6]]
    with pytest.raises(PortsExhausted):
        ports.open(HOST)


@pytest.mark.parametrize("odd", [0, 1])
def test_pairs_of_which_others_hold_a_port_are_passed_over(pairs: range, stack: ExitStack, odd: int) -> None:
    for pair in pairs[2:6]:
        other = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        other.bind((HOST, pair + odd))
    for seed in range(8):
        ports = Ports(pairs, Random(seed))
        assert {take(ports) for _ in range(4)} == {*pairs[:2], *pairs[6:]}
        with pytest.raises(PortsExhausted):
            ports.open(HOST)


def test_what_others_have_let_go_is_used_again(pairs: range, stack: ExitStack) -> None:
    ports = Ports(pairs[:1], Random(0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, pairs[0]))
        with pytest.raises(PortsExhausted):
            ports.open(HOST)
    assert take(ports) == pairs[0]


def test_a_pair_that_was_given_back_rests(pairs: range) -> None:
    """What still comes for the call that has left it reaches nobody, also when no other pair is left."""
    clock = Clock()
    ports = Ports(pairs[:3], Random(2), rest=5.0, clock=clock)
    taken = [take(ports) for _ in range(3)]
    ports.give_back(taken[1])
    clock.now += 2.0
    ports.give_back(taken[0])
    clock.now += 2.9
    with pytest.raises(PortsExhausted, match="2 rest"):
        ports.open(HOST)
    clock.now += 0.2
    assert take(ports) == taken[1]
    with pytest.raises(PortsExhausted):
        ports.open(HOST)
    clock.now += 2.0
    assert take(ports) == taken[0]
