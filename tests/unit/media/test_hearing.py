"""What is heard, sample by sample: what only real sockets and real processes can show."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callcenter.media.plane import MediaSession
from callcenter.rtp.packet import Packet, sequence_step, timestamp_step
from callcenter.sip.sdp import PCMU, Codec
from tests.unit.media.peers import Call, RealHouse, RealPeer, until
from tests.unit.media.singers import LOUDNESS, RATE, Singer, singer


@pytest.fixture
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RealHouse]:
    made = RealHouse(tmp_path, workers=1, **getattr(request, "param", {}))
    await made.plane.start()
    yield made
    await made.close()


class Murmurer(RealPeer):
    """A phone each of whose packets is unlike all others."""

    def __init__(self, name: str, codec: Codec = PCMU) -> None:
        super().__init__(name, "127.0.0.1", [codec])
        self.said: list[bytes] = []

    def frame(self, codec: Codec) -> bytes:
        self.said.append(os.urandom(8 * self.ptime))
        return self.said[-1]

    @property
    def heard(self) -> list[Packet]:
        return [packet for _, packet in self.received]


def murmurer(house: RealHouse, name: str) -> Murmurer:
    peer = Murmurer(name)
    house.peers.append(peer)
    return peer


def whole(heard: list[Packet], said: list[bytes]) -> None:
    """What was heard is what was said, packet by packet, without a gap in numbers or times."""
    first = said.index(heard[0].payload)
    assert [packet.payload for packet in heard] == said[first : first + len(heard)]
    for earlier, later in pairwise(heard):
        assert sequence_step(later.sequence, earlier.sequence) == 1
        assert timestamp_step(later.timestamp, earlier.timestamp) == len(earlier.payload)


async def test_who_listens_changes_nothing_of_what_others_hear(house: RealHouse) -> None:
    """Not by one packet: whoever comes to listen, begins and ends, leaves."""
    call = Call(house)
    amy, bob, carol = (murmurer(house, name) for name in ("amy", "bob", "carol"))
    first = await call.incoming(amy)
    second, third = [await call.outgoing(peer, beside=first) for peer in (bob, carol)]
    await first.bridge(second)
    await until(lambda: len(bob.heard) > 5 and len(amy.heard) > 5, "each other")
    for sources in ([first, second], [], [first], [first, second]):
        await third.hear(sources)
        before = len(carol.heard), len(bob.heard)
        wanted = 6 if sources else 0
        await until(lambda: len(carol.heard) >= before[0] + wanted and len(bob.heard) > before[1] + 5, "more")  # noqa: B023
    third.release()
    before = len(bob.heard), len(amy.heard)
    await until(lambda: len(bob.heard) > before[0] + 5 and len(amy.heard) > before[1] + 5, "more")
    whole(bob.heard, amy.said)
    whole(amy.heard, bob.said)


async def test_ten_seconds_of_a_talk_are_whole(house: RealHouse) -> None:
    """No 20 ms are lost, nor doubled."""
    call = Call(house)
    amy, bob = murmurer(house, "amy"), murmurer(house, "bob")
    first = await call.incoming(amy)
    await first.bridge(await call.outgoing(bob, beside=first))
    await until(lambda: len(bob.heard) >= 500 and len(amy.heard) >= 500, "ten seconds")
    whole(bob.heard, amy.said)
    whole(amy.heard, bob.said)


@pytest.mark.parametrize("ptime", [10, 30, 40, 60])
async def test_packets_of_any_length_are_relayed_as_they_are(house: RealHouse, ptime: int) -> None:
    call = Call(house)
    amy, bob = murmurer(house, "amy"), murmurer(house, "bob")
    amy.ptime = ptime
    first = await call.incoming(amy)
    await first.bridge(await call.outgoing(bob, beside=first))
    await until(lambda: len(bob.heard) >= 8 and len(amy.heard) >= 8, "each other")
    whole(bob.heard, amy.said)
    whole(amy.heard, bob.said)


async def singing(house: RealHouse, *peers: Any) -> list[MediaSession]:
    """Sessions for these phones, beside each other."""
    call = Call(house)
    sessions = [await call.incoming(peers[0])]
    for peer in peers[1:]:
        sessions.append(await call.outgoing(peer, beside=sessions[0]))
    return sessions


def duet(house: RealHouse, **options: Any) -> tuple[Singer, Singer]:
    amy, bob = singer(house, "amy"), singer(house, "bob", **options)
    assert isinstance(amy, Singer)
    assert isinstance(bob, Singer)
    return amy, bob


@pytest.mark.parametrize("asks", [10, 20, 30, 40, 60])
async def test_a_play_and_a_mix_come_in_packets_as_the_peer_asks(house: RealHouse, asks: int) -> None:
    amy, bob = duet(house, asks=asks)
    carol = singer(house, "carol")
    first, second, third = await singing(house, amy, bob, carol)
    clip = house.clip("greeting", 0.3)
    await house.plane.prepare([clip])
    second.play([clip])
    await until(lambda: sum(len(packet.payload) for _, packet in bob.received) == 2400, "all of the clip")
    sizes = [len(packet.payload) for _, packet in bob.received]
    assert sizes == [8 * asks] * (300 // asks) + ([8 * (300 % asks)] if 300 % asks else [])
    bob.received.clear()
    await second.hear([first, third])
    await until(lambda: bob.hears_all == {"amy", "carol"}, "both")
    heard = [packet for _, packet in bob.received]
    assert {len(packet.payload) for packet in heard} == {8 * asks}
    for earlier, later in pairwise(heard):
        assert sequence_step(later.sequence, earlier.sequence) == 1
        assert timestamp_step(later.timestamp, earlier.timestamp) == 8 * asks


async def test_a_peer_gets_no_longer_packets_than_it_takes(house: RealHouse) -> None:
    """Although the other one's codec is the same."""
    amy, bob = duet(house, most=20)
    amy.ptime = 60
    first, second = await singing(house, amy, bob)
    await first.bridge(second)
    await until(lambda: bob.hears_all == {"amy"} and amy.hears_all == {"bob"}, "each other")
    assert {len(packet.payload) for _, packet in bob.received} == {160}
    amy.press("7")
    await until(lambda: bob.digits == "7", "the key")


async def test_a_whisper_comes_and_goes_without_a_gap_or_a_click(house: RealHouse) -> None:
    """The agent hears the caller all the time: by the times in the packets no more than 20 ms are missing anywhere, and
    the caller's tone has no step in it.
    """
    amy, bob = duet(house)
    carol = singer(house, "carol")
    assert isinstance(carol, Singer)
    carol.speaking = False
    caller, agent, supervisor = await singing(house, amy, bob, carol)
    await caller.bridge(agent)
    await until(lambda: bob.hears_all == {"amy"}, "amy")
    for _ in range(3):
        await agent.hear([caller, supervisor])
        size = len(bob.sound)
        await until(lambda: len(bob.sound) > size + 2 * RATE // 5, "the mix")  # noqa: B023
        await agent.hear([caller])
        size = len(bob.sound)
        await until(lambda: len(bob.sound) > size + 2 * RATE // 5, "the caller alone")  # noqa: B023
    heard = [packet for _, packet in bob.received]
    for earlier, later in pairwise(heard):
        assert sequence_step(later.sequence, earlier.sequence) == 1
        assert timestamp_step(later.timestamp, earlier.timestamp) <= 320 + 16
    samples = np.frombuffer(bob.sound, "<i2").astype(int)
    assert max(abs(np.diff(samples))) < LOUDNESS / 2, "a step"
