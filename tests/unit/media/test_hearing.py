"""What is heard, sample by sample: what only real sockets and real processes can show."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callcenter.media.plane import MediaSession
from callcenter.rtp.opus import library
from callcenter.rtp.packet import Packet, sequence_step, timestamp_step
from callcenter.sip.sdp import G722, L16, OPUS, PCMA, PCMU, Codec
from tests.unit.media.peers import MUST, Call, RealHouse, RealPeer, free_ports, until
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
        # The two ways in which mu-law says nothing are one when it is decoded.
        self.said.append(os.urandom(8 * self.ptime).replace(b"\x7f", b"\xff"))
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


async def test_packets_of_any_length_are_relayed_as_they_are(house: RealHouse) -> None:
    pairs = []
    for ptime in (10, 30, 40, 60):
        call, amy, bob = Call(house), murmurer(house, "amy"), murmurer(house, "bob")
        amy.ptime = ptime
        first = await call.incoming(amy)
        await first.bridge(await call.outgoing(bob, beside=first))
        pairs.append((amy, bob))
    await until(lambda: all(min(len(amy.heard), len(bob.heard)) >= 8 for amy, bob in pairs), "each other")
    for amy, bob in pairs:
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


async def test_two_seconds_of_a_mix_are_whole(house: RealHouse) -> None:
    """Nothing is lost or doubled; what came too late, this machine being busy, is waited for."""
    call = Call(house)
    amy, bob, carol = (murmurer(house, name) for name in ("amy", "bob", "carol"))
    carol.speaking = False
    first = await call.incoming(amy)
    second, third = [await call.outgoing(peer, beside=first) for peer in (bob, carol)]
    await second.hear([first, third])
    await until(lambda: len(bob.heard) >= 100, "two seconds")
    # Sound that is waited for is faded in: by the rest of a packet it is known.
    said = [payload[60:] for payload in amy.said]
    heard = [packet.payload[60:] for packet in bob.heard]
    known = [said.index(each) for each in heard if each in said]
    assert known == list(range(known[0], known[0] + len(known)))
    assert len(known) > len(heard) - 15
    for earlier, later in pairwise(bob.heard):
        assert sequence_step(later.sequence, earlier.sequence) == 1
        assert timestamp_step(later.timestamp, earlier.timestamp) == 160


@pytest.mark.parametrize("house", [{"ports": free_ports(32)}], indirect=True)
async def test_a_play_and_a_mix_come_in_packets_as_the_peer_asks(house: RealHouse) -> None:
    trios = []
    clip = house.clip("greeting", 0.3)
    await house.plane.prepare([clip])
    for asks in (10, 20, 30, 40, 60):
        amy, bob = duet(house, asks=asks)
        first, second, third = await singing(house, amy, bob, singer(house, "carol"))
        second.play([clip])
        trios.append((asks, bob, first, second, third))
    for asks, bob, first, second, third in trios:
        await until(lambda: sum(len(packet.payload) for _, packet in bob.received) == 2400, "all of the clip")  # noqa: B023
        sizes = [len(packet.payload) for _, packet in bob.received]
        assert sizes == [8 * asks] * (300 // asks) + ([8 * (300 % asks)] if 300 % asks else [])
        bob.received.clear()
        await second.hear([first, third])
    for asks, bob, *_ in trios:
        await until(lambda: bob.hears_all == {"amy", "carol"}, "both")  # noqa: B023
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


EVERY = tuple(codec for codec in (PCMU, PCMA, G722, OPUS, L16) if codec is not OPUS or library() is not None)


@pytest.mark.parametrize(
    "house", [{"codecs": tuple(codec.name for codec in EVERY), "ports": free_ports(48)}], indirect=True
)
async def test_every_codec_is_made_of_every_other_at_the_same_level(house: RealHouse) -> None:
    """To 1 dB, both ways, and both have nothing in common."""
    duets = []
    for one, other in combinations(EVERY, 2):
        amy, bob = singer(house, "amy", codecs=[one]), singer(house, "bob", codecs=[other])
        assert isinstance(amy, Singer)
        assert isinstance(bob, Singer)
        first, second = await singing(house, amy, bob)
        await first.bridge(second)
        duets.append((amy, bob))

    def heard(ear: Singer, voice: Singer) -> bool:
        return ear.hears_all == {voice.name} and abs(ear.level(voice.name)) < 1

    await until(lambda: all(heard(*duet) and heard(*reversed(duet)) for duet in duets), "each other")


async def test_a_whisper_comes_and_goes_without_a_gap_or_a_click(house: RealHouse) -> None:
    """The agent hears the caller all the time: by the times in the packets no more than 20 ms are missing anywhere, but
    for what the caller's phone itself was late; and the caller's tone has no step in it.
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
    most = 20 + 1000 * max(later - earlier for earlier, later in pairwise(amy.sang_at))
    for earlier, later in pairwise(heard):
        assert sequence_step(later.sequence, earlier.sequence) == 1
        assert timestamp_step(later.timestamp, earlier.timestamp) <= 8 * most + 16
    samples = np.frombuffer(bob.sound, "<i2").astype(int)
    assert max(abs(np.diff(samples))) < LOUDNESS / 2, "a step"


@pytest.mark.parametrize(
    "house", [{"codecs": tuple(codec.name for codec in EVERY), "ports": free_ports(24)}], indirect=True
)
async def test_all_codecs_meet_in_a_conference_at_their_level(house: RealHouse) -> None:
    """Narrow and wide, with SRTP and without; each hears all others as loud as they are."""
    peers: list[Any] = [
        singer(house, "amy", codecs=[PCMU], security=MUST),
        singer(house, "bob", codecs=[G722]),
        singer(house, "carol", codecs=[OPUS, L16]),
        singer(house, "dave", codecs=[PCMA], ptime=30, asks=30),
    ]
    call = Call(house)
    sessions = [await call.incoming(peers[0], private=True)]
    for peer in peers[1:]:
        sessions.append(await call.outgoing(peer, beside=sessions[0]))
    for session in sessions:
        await session.hear([other for other in sessions if other is not session])

    def heard(ear: Any) -> bool:
        others = {peer.name for peer in peers if peer is not ear}
        return ear.hears_all == others and all(abs(ear.level(name)) < 1 for name in others)

    for peer in peers:
        await until(lambda: heard(peer), f"all by {peer.name}")  # noqa: B023
