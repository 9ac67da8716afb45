"""The embedded plane alone: what only real sockets and real processes can show."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import time
from array import array
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pylibsrtp import Policy, Session

from callcenter.media.embedded import process
from callcenter.media.embedded.control import Frames, frame
from callcenter.media.embedded.plane import EmbeddedPlane, EmbeddedSession
from callcenter.media.plane import (
    Digit,
    FirstPacket,
    MediaError,
    MediaLost,
    MediaSession,
    NoCapacity,
    NoPacket,
    PlayEnded,
)
from callcenter.media.settings import MediaSettings
from callcenter.rtp.dtmf import event_payload
from callcenter.rtp.g711 import ALAW_TO_ULAW, encode_alaw, encode_ulaw
from callcenter.rtp.packet import Packet, sequence_step, timestamp_step
from callcenter.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    middle,
    parse_compound,
)
from callcenter.sip.sdp import PCMA, PCMU
from tests.unit.media.peers import LEVELS, MUST, PATIENCE, Call, RealHouse, RealPeer, free_ports, until, write_clip


@pytest.fixture
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RealHouse]:
    made = RealHouse(tmp_path, workers=1, **getattr(request, "param", {}))
    await made.plane.start()
    yield made
    await made.close()


def another_socket(host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    sock.bind((host, 0))
    return sock


def remote_of(peer: RealPeer) -> tuple[str, int]:
    assert peer.negotiated is not None
    assert peer.negotiated.remote is not None
    return peer.negotiated.remote


def silence(peer: RealPeer) -> bytes:
    return peer.frame(PCMU)


async def bridged(
    house: RealHouse, call: Call, amy: RealPeer, bob: RealPeer
) -> tuple[EmbeddedSession, EmbeddedSession]:
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    await until(lambda: amy.hears == bob.name and bob.hears == amy.name, "each other")
    assert isinstance(first, EmbeddedSession)
    assert isinstance(second, EmbeddedSession)
    return first, second


# Latching


async def test_sound_goes_to_the_signalled_address_until_some_comes(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    session = await call.incoming(amy)
    session.play([house.clip("music", 5.0)], loop=True)
    await until(lambda: amy.hears == "music", "music")
    assert not call.of(FirstPacket)


async def test_sound_follows_the_port_that_a_nat_gave(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    session = await call.incoming(amy)
    session.play([house.clip("music", 5.0)], loop=True)
    with another_socket() as nat:
        amy.send(silence(amy), 0, sock=nat)
        await until(lambda: bool(call.of(FirstPacket)), "the first packet")
        assert call.of(FirstPacket)[0].source == f"127.0.0.1:{nat.getsockname()[1]}"
        assert (await asyncio.wait_for(asyncio.get_running_loop().sock_recv(nat, 2048), 2))[:1] == b"\x80"


async def test_nobody_steals_a_stream(house: RealHouse) -> None:
    """Neither another host, nor another port of the signalled one with a stream of its own."""
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    await bridged(house, call, amy, bob)
    with another_socket() as thief, another_socket("127.0.0.2") as stranger:
        for index in range(20):
            for sock, ssrc in ((thief, 666), (stranger, 666), (stranger, amy.ssrc)):
                packet = Packet(0, (amy.sequence + index) & 0xFFFF, 160 * index, ssrc, bytes(160))
                sock.sendto(packet.to_bytes(), remote_of(amy))
            await asyncio.sleep(0.01)
        for sock in (thief, stranger):
            with pytest.raises(BlockingIOError):
                sock.recv(2048)
    assert bob.hears == "amy"
    assert all(packet.payload != bytes(160) for _, packet in bob.received)
    await until(lambda: amy.hears == "bob", "bob still")


async def test_a_host_that_was_not_signalled_cannot_begin(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    await call.incoming(amy)
    with another_socket("127.0.0.2") as stranger:
        amy.send(silence(amy), 0, sock=stranger)
        await asyncio.sleep(0.1)
    assert not call.of(FirstPacket)


@pytest.mark.parametrize("house", [{"missing_after": 0.3}], indirect=True)
async def test_what_came_instead_of_sound_is_told(house: RealHouse) -> None:
    """Whose sound was refused, and what was not agreed on: the operator's first question."""
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    await call.incoming(amy)
    with another_socket("127.0.0.2") as stranger:
        amy.send(silence(amy), 0, sock=stranger)
        amy.send(silence(amy), 18)
        await until(lambda: bool(call.of(NoPacket)), "the word that nothing came")
        (missing,) = call.of(NoPacket)
        assert missing.refused == f"127.0.0.2:{stranger.getsockname()[1]}"
        assert missing.payload_type == 18
    # What comes in the end is told all the same.
    amy.send(silence(amy), 0)
    await until(lambda: bool(call.of(FirstPacket)), "the first packet")


async def test_a_phone_that_says_how_its_silence_sounds_is_there(house: RealHouse) -> None:
    """Comfort noise (RFC 3389) comes by 13, agreed on or not: it is no sound for the other phone, and no loss."""
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    await bridged(house, call, amy, bob)
    amy.vanish()
    one, two = b"\x11" * 160, b"\x22" * 160
    amy.send(one, 0)
    amy.send(b"\x40", 13)
    amy.send(two, 0)
    await until(lambda: any(packet.payload == two for _, packet in bob.received), "sound again")
    before, after = (packet for _, packet in bob.received if packet.payload in (one, two))
    assert {packet.payload_type for _, packet in bob.received} == {0}
    assert after.sequence == (before.sequence + 1) & 0xFFFF


@pytest.mark.parametrize("house", [{"missing_after": 0.3}], indirect=True)
async def test_comfort_noise_alone_is_somebody(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    await call.incoming(amy)
    amy.send(b"\x40", 13)
    await until(lambda: bool(call.of(FirstPacket)), "the first packet")
    assert not call.of(NoPacket)


@pytest.mark.parametrize("house", [{"missing_after": 0.3}], indirect=True)
async def test_sound_sealed_by_another_key_is_told(house: RealHouse) -> None:
    """Or not sealed at all: the phone and we have understood each other differently."""
    call, amy = Call(house), house.peer("amy", security=MUST)
    amy.vanish()
    session = await call.incoming(amy, private=True)
    amy.rtp.sendto(Packet(0, 1, 160, 5, bytes(160)).to_bytes(), remote_of(amy))
    await until(lambda: bool(call.of(NoPacket)), "the word that nothing came")
    (missing,) = call.of(NoPacket)
    assert (missing.unauthentic, missing.refused, missing.payload_type) == (1, "", -1)
    assert (await session.stats()).unauthentic == 1, "as the counters have it"


async def test_the_host_of_the_signalling_may_begin(house: RealHouse) -> None:
    """A phone behind a NAT describes an address of its own network."""
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    offer = amy.offer().replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 192.0.2.10")
    session = await house.plane.open(
        call.id, local="127.0.0.1", on_event=call.events.append, offer=offer, peer="127.0.0.2"
    )
    amy.take_answer(session.sdp)
    with another_socket("127.0.0.2") as nat:
        amy.send(silence(amy), 0, sock=nat)
        await until(lambda: bool(call.of(FirstPacket)), "the first packet")
        session.play([house.clip("music", 5.0)], loop=True)
        assert (await asyncio.wait_for(asyncio.get_running_loop().sock_recv(nat, 2048), 2))[:1] == b"\x80"


async def test_a_phone_on_this_machine_may_describe_its_address_in_the_network(house: RealHouse) -> None:
    """Some phones write the first address they find, and send from the one by which they reach us."""
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    offer = amy.offer().replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 192.0.2.10")
    session = await house.plane.open(
        call.id, local="127.0.0.1", on_event=call.events.append, offer=offer, peer="192.0.2.10"
    )
    amy.take_answer(session.sdp)
    with another_socket() as phone:
        amy.send(silence(amy), 0, sock=phone)
        await until(lambda: bool(call.of(FirstPacket)), "the first packet")


async def test_the_same_stream_from_a_moved_port_is_followed(house: RealHouse) -> None:
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    await bridged(house, call, amy, bob)
    amy.vanish()
    with another_socket() as moved:
        for _ in range(3):
            amy.send(silence(amy), 0, sock=moved)
        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(moved, 2048), 2)


async def test_a_new_address_in_a_new_offer_is_followed_at_once(house: RealHouse) -> None:
    call, amy, carol = Call(house), house.peer("amy"), house.peer("carol")
    session = await call.incoming(amy)
    session.play([house.clip("music", 5.0)], loop=True)
    await until(lambda: amy.hears == "music" and bool(call.of(FirstPacket)), "music")
    carol.vanish()
    carol.take_answer(await session.reoffer(carol.offer()))
    await until(lambda: carol.hears == "music", "music at the new phone")
    await asyncio.sleep(0.1)  # the old one still sends, from the host that is signalled
    assert carol.hears == "music"
    assert amy.hears is None


async def test_a_phone_behind_a_nat_that_describes_another_address_is_found_again(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    offer = amy.offer().replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 192.0.2.10")
    session = await house.plane.open(
        call.id, local="127.0.0.1", on_event=call.events.append, offer=offer, peer="127.0.0.2"
    )
    amy.take_answer(session.sdp)
    session.play([house.clip("music", 10.0)], loop=True)
    with another_socket("127.0.0.2") as nat:

        async def is_found() -> None:
            while select.select([nat], [], [], 0)[0]:
                nat.recv(2048)
            deadline = time.monotonic() + 3
            while not select.select([nat], [], [], 0)[0]:
                assert time.monotonic() < deadline
                amy.send(silence(amy), 0, sock=nat)
                await asyncio.sleep(0.02)

        await is_found()
        await session.reoffer(offer.replace(b"192.0.2.10", b"0.0.0.0"))
        await asyncio.sleep(0.1)
        await session.reoffer(offer)
        await is_found()
        await session.reoffer(offer.replace(b"192.0.2.10", b"192.0.2.11"))
        await asyncio.sleep(0.1)
        await is_found()


async def test_nobody_presses_keys_for_somebody_else(house: RealHouse) -> None:
    """Digits are sound too: of another host, or of another port with numbers of its own, they are not taken."""
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    await bridged(house, call, amy, bob)
    with another_socket() as thief, another_socket("127.0.0.2") as stranger:
        for index in range(3):
            payload = event_payload("9", 160 * (index + 1), end=index == 2)
            for sock, ssrc, sequence in (
                (stranger, amy.ssrc, amy.sequence + index),
                (thief, amy.ssrc ^ 1, amy.sequence + index),
                (thief, amy.ssrc, amy.sequence + 4000 + index),
                (thief, amy.ssrc, amy.sequence - 4000 + index),
            ):
                packet = Packet(101, sequence & 0xFFFF, 777, ssrc, payload, index == 0)
                sock.sendto(packet.to_bytes(), remote_of(amy))
        amy.press("1")
        await until(lambda: bob.digits != "", "a digit")
        assert bob.digits == "1"
        assert [digit.key for digit in call.of(Digit)] == ["1"]
        for sock in (thief, stranger):
            with pytest.raises(BlockingIOError):
                sock.recv(2048)


@pytest.mark.parametrize("house", [{"rtcp_interval": 0.2}], indirect=True)
async def test_reports_go_where_the_description_says_whoever_else_reports(house: RealHouse) -> None:
    """No report of a stranger is answered, moves ours elsewhere, or ends anything; nor one about another source."""
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first, _ = await bridged(house, call, amy, bob)
    where = (remote_of(amy)[0], remote_of(amy)[1] + 1)
    with another_socket() as thief, another_socket("127.0.0.2") as stranger:
        before = len(amy.control)
        began = time.monotonic()
        for _ in range(200):
            for sock, ssrc in ((stranger, amy.ssrc), (thief, amy.ssrc ^ 1)):
                report = SenderReport(ssrc, 1 << 32, 0, 1, 1, (ReportBlock(amy.ssrc, 255, 1000, 0, 0, 0, 0),))
                sock.sendto(report.to_bytes() + Goodbye((ssrc, amy.ssrc)).to_bytes(), where)
                sock.sendto(report.to_bytes(), remote_of(amy))
            await asyncio.sleep(0.002)
        await until(lambda: len(amy.control) > before + 2, "our reports")
        # By the clock, each some 0.1 to 0.3 s after the one before.
        assert len(amy.control) - before <= 2 + (time.monotonic() - began) / 0.1
        for sock in (thief, stranger):
            with pytest.raises(BlockingIOError):
                sock.recv(2048)
    assert (await first.stats()).remote_lost == 0
    assert amy.hears == "bob"


async def test_whoever_knocks_gets_no_sound(house: RealHouse) -> None:
    """What is played goes to the address that was described, however often others ask for it."""
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    session = await call.incoming(amy)
    session.play([house.clip("music", 10.0)], loop=True)
    await until(lambda: amy.hears == "music", "music")
    with another_socket("127.0.0.2") as stranger:
        for index in range(50):
            packet = Packet(0, index, 160 * index, 5, bytes(160))
            stranger.sendto(packet.to_bytes(), remote_of(amy))
            stranger.sendto(b"\x80\xc8", remote_of(amy))
            await asyncio.sleep(0.004)
        with pytest.raises(BlockingIOError):
            stranger.recv(2048)
    assert not call.of(FirstPacket)
    await until(lambda: amy.hears == "music", "music still")


# SRTP


async def private_bridged(
    house: RealHouse, call: Call, amy: RealPeer, bob: RealPeer
) -> tuple[EmbeddedSession, EmbeddedSession]:
    first = await call.incoming(amy, private=True)
    second = await call.outgoing(bob, beside=first, private=True)
    await first.bridge(second)
    await until(lambda: amy.hears == bob.name and bob.hears == amy.name, "each other")
    assert isinstance(first, EmbeddedSession)
    assert isinstance(second, EmbeddedSession)
    return first, second


async def unauthentic(session: MediaSession, at_least: int) -> int:
    """How many packets were thrown away, once so many were."""
    deadline, count = time.monotonic() + PATIENCE, 0
    while count < at_least and time.monotonic() < deadline:
        count = (await session.stats()).unauthentic
    return count


async def test_only_who_has_the_key_is_heard(house: RealHouse) -> None:
    """Neither plain RTP, nor what another key has sealed, nor a repeat: not even from the phone's own address."""
    call, amy, bob = Call(house), house.peer("amy", security=MUST), house.peer("bob")
    first, _ = await private_bridged(house, call, amy, bob)
    assert amy.negotiated is not None
    assert amy.negotiated.keys is not None
    twin = Session(Policy(amy.negotiated.keys.ours, Policy.SSRC_ANY_OUTBOUND))
    other = Session(Policy(os.urandom(30), Policy.SSRC_ANY_OUTBOUND))
    repeated = amy.seal(Packet(101, amy.sequence, 5, amy.ssrc, event_payload("7", 160, end=False), True).to_bytes())
    amy.sequence += 1
    for index in range(30):
        forged = Packet(0, (amy.sequence + index) & 0xFFFF, 160 * index, amy.ssrc, bytes(160)).to_bytes()
        press = Packet(101, (amy.sequence + index) & 0xFFFF, 9, amy.ssrc, event_payload("9", 160, end=True)).to_bytes()
        sealed = twin.protect(forged)
        # One bit is another one: a byte of our choice would be the right one once in 256 times.
        spoiled = sealed[:-1] + bytes([sealed[-1] ^ 1])
        for packet in (forged, press, other.protect(forged), repeated, spoiled):
            amy.rtp.sendto(packet, remote_of(amy))
        await asyncio.sleep(0.005)
    await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other still")
    assert [digit.key for digit in call.of(Digit)] == ["7"], "pressed once, however often it came"
    assert bytes(160) not in {packet.payload for _, packet in bob.received}
    assert await unauthentic(first, 30 * 5 - 1) == 30 * 5 - 1


async def test_a_forger_does_not_latch(house: RealHouse) -> None:
    """Before the phone has sent anything: the stream goes where it was described, until the phone itself sends."""
    call, amy = Call(house), house.peer("amy", security=MUST)
    amy.vanish()
    session = await call.incoming(amy, private=True)
    session.play([house.clip("music", 10.0)], loop=True)
    with another_socket() as thief, another_socket("127.0.0.2") as stranger, another_socket() as nat:
        for index in range(20):
            packet = Packet(0, index, 160 * index, 5, bytes(160)).to_bytes()
            thief.sendto(packet, remote_of(amy))
            stranger.sendto(packet, remote_of(amy))
            await asyncio.sleep(0.005)
        await until(lambda: amy.hears == "music", "music")
        for sock in (thief, stranger):
            with pytest.raises(BlockingIOError):
                sock.recv(2048)
        assert not call.of(FirstPacket)
        assert await unauthentic(session, 20) == 20, "no cipher is run for a host that nobody has named"
        amy.send(silence(amy), 0, sock=nat)
        await until(lambda: bool(call.of(FirstPacket)), "the phone itself")
        assert call.of(FirstPacket)[0].source == f"127.0.0.1:{nat.getsockname()[1]}"
        assert (await asyncio.wait_for(asyncio.get_running_loop().sock_recv(nat, 2048), 2))[:1] == b"\x80"


async def test_nothing_goes_to_a_private_phone_in_the_clear(house: RealHouse) -> None:
    call, amy, bob = Call(house), house.peer("amy", security=MUST), house.peer("bob", security=MUST)
    first, second = await private_bridged(house, call, amy, bob)
    first.play([house.clip("menu", 0.2)])
    await until(lambda: bool(call.of(PlayEnded)), "the end of a prompt")
    bob.press("5")
    await until(lambda: amy.digits == "5", "a digit")
    first.release()
    second.release()
    await until(lambda: bool(amy.control) and bool(bob.control), "the goodbyes")
    for peer in (amy, bob):
        assert peer.unreadable == 0
        assert isinstance(parse_compound(peer.control[-1])[-1], Goodbye), "sealed, too"


@pytest.mark.parametrize("house", [{"rtcp_interval": 0.2}], indirect=True)
async def test_reports_of_a_private_phone_are_read_and_those_of_others_not(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy", security=MUST)
    session = await call.incoming(amy, private=True)
    session.play([house.clip("music", 5.0)])
    await until(lambda: bool(amy.control) and bool(amy.received), "a report")
    ours = amy.received[0][1].ssrc
    assert amy.negotiated is not None
    assert amy.negotiated.rtcp is not None

    def report(lost: int) -> bytes:
        return SenderReport(amy.ssrc, 1 << 32, 0, 1, 1, (ReportBlock(ours, 10, lost, 0, 80, 0, 0),)).to_bytes()

    amy.rtcp.sendto(report(99), amy.negotiated.rtcp)
    amy.rtcp.sendto(amy.seal(report(7), report=True), amy.negotiated.rtcp)
    await until(lambda: len(amy.control) > 3, "more reports")
    assert (await session.stats()).remote_lost == 7
    amy.rtcp.sendto(report(99), amy.negotiated.rtcp)
    assert await unauthentic(session, 2) == 2
    assert (await session.stats()).remote_lost == 7
    amy.rtp.sendto(amy.seal(report(8), report=True), remote_of(amy))  # RTCP on the port of RTP
    before = len(amy.control)
    await until(lambda: len(amy.control) > before + 1, "a report after that")
    assert (await session.stats()).remote_lost == 8
    assert amy.unreadable == 0


async def test_a_private_phone_may_begin_a_new_stream_at_any_time(house: RealHouse) -> None:
    """After a hold many phones do: another source, numbers from anywhere, and the key as before."""
    call, amy, bob = Call(house), house.peer("amy", security=MUST), house.peer("bob")
    first, _ = await private_bridged(house, call, amy, bob)
    for _ in range(3):
        amy.ssrc = (amy.ssrc * 5 + 1) & 0xFFFFFFFF
        amy.sequence = (amy.sequence * 77 + 12345) & 0xFFFF
        at = time.monotonic()
        await until(lambda at=at: bob.received[-1][0] > at + 0.1 and bob.hears == "amy", "the new stream")  # type: ignore[misc]
    assert (await first.stats()).unauthentic == 0
    assert {sequence_step(b.sequence, a.sequence) for (_, a), (_, b) in pairwise(bob.received)} == {1}


async def test_a_mistake_in_a_worker_shows_no_key(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    house = RealHouse(tmp_path, workers=1)
    await house.plane.start()
    try:
        session = await Call(house).incoming(house.peer("amy"))
        assert isinstance(session, EmbeddedSession)
        secret = os.urandom(30).hex()
        keys = {"suite": "AES_CM_128_HMAC_SHA1_80", "ours": secret, "theirs": secret}
        session.worker.send(["remote", session.number, {"keys": keys}])
        await session.stats()  # the worker lives on
    finally:
        await house.close()
    complaint = capfd.readouterr().err
    assert "was not obeyed" in complaint
    assert secret not in complaint


# What is sent


async def test_the_peer_hears_one_stream_through_play_and_relay(house: RealHouse) -> None:
    call, amy, bob = Call(house), house.peer("amy", codecs=[PCMU]), house.peer("bob", codecs=[PCMA])
    first, second = await bridged(house, call, amy, bob)
    menu = house.clip("menu", 0.2)
    await house.plane.prepare([menu])
    for _ in range(2):
        first.play([menu])
        await until(lambda: amy.hears == "menu", "the menu")
        await until(lambda: amy.hears == "bob", "bob")
    await second.unbridge()
    first.play([menu])
    await until(lambda: len(call.of(PlayEnded)) == 3, "the end")
    packets = [packet for _, packet in amy.received]
    assert {packet.ssrc for packet in packets} == {packets[0].ssrc}
    assert {packet.payload_type for packet in packets} == {0}
    assert [sequence_step(later.sequence, earlier.sequence) for earlier, later in pairwise(packets)] == [1] * (
        len(packets) - 1
    )
    assert all(160 <= timestamp_step(later.timestamp, earlier.timestamp) < 2000 for earlier, later in pairwise(packets))
    assert sum(packet.marker for packet in packets) == 6
    # The numbers fit the time that passed, else the peer's buffer would run empty or over.
    arrived = [at for at, _ in amy.received]
    told = timestamp_step(packets[-1].timestamp, packets[0].timestamp) / 8000
    assert told == pytest.approx(arrived[-1] - arrived[0], abs=0.1)


async def test_nothing_of_the_other_phone_is_mixed_into_a_play(house: RealHouse) -> None:
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first, _ = await bridged(house, call, amy, bob)
    menu = house.clip("menu", 5.0)
    await house.plane.prepare([menu])
    first.play([menu])
    await until(lambda: amy.hears == "menu", "the menu")
    before = len(amy.received)
    await until(lambda: len(amy.received) > before + 15, "sound")
    assert {amy.name_of(packet) for _, packet in list(amy.received)[before:]} == {"menu"}


async def test_the_relayed_sound_is_untouched_or_translated_once(house: RealHouse) -> None:
    call, amy, bob = Call(house), house.peer("amy", codecs=[PCMU]), house.peer("bob", codecs=[PCMA])
    await bridged(house, call, amy, bob)
    pcm = array("h", [LEVELS["bob"]] * 160).tobytes()
    await until(lambda: len(bob.received) > 10, "sound")
    assert {bytes(packet.payload[:1]) for _, packet in amy.received} <= {encode_ulaw(pcm)[:1]}
    assert len(encode_alaw(pcm)) == len(bob.received[0][1].payload)


async def test_a_phone_that_changes_its_codec_from_packet_to_packet_is_understood(house: RealHouse) -> None:
    """It may: both were agreed on. What comes untranslated now may need translation in the next packet."""
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob", codecs=[PCMU])
    amy.vanish()
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    pcm = array("h", [LEVELS["amy"]] * 160).tobytes()
    for codec in (PCMU, PCMU, PCMU, PCMA, PCMA, PCMA, PCMU, PCMU, PCMA, PCMU):
        amy.timestamp = (amy.timestamp + 160) & 0xFFFFFFFF
        amy.send(encode_ulaw(pcm) if codec is PCMU else encode_alaw(pcm), codec.payload_type)
    await until(lambda: len(bob.received) == 10, "the packets")
    packets = [packet for _, packet in bob.received]
    assert {packet.payload_type for packet in packets} == {0}
    for packet in packets:
        assert set(packet.payload) <= {encode_ulaw(pcm)[0], ALAW_TO_ULAW[encode_alaw(pcm)[0]]}
    assert [sequence_step(b.sequence, a.sequence) for a, b in pairwise(packets)] == [1] * 9


async def test_losses_of_one_phone_are_seen_by_the_other(house: RealHouse) -> None:
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first, _ = await bridged(house, call, amy, bob)
    before = len(bob.received)
    amy.sequence += 3
    await until(lambda: len(bob.received) > before + 10, "sound")
    steps = [sequence_step(later.sequence, earlier.sequence) for (_, earlier), (_, later) in pairwise(bob.received)]
    assert sorted(steps)[-2:] == [1, 4]
    assert (await first.stats()).lost == 3


async def test_digits_are_not_sent_to_a_phone_that_has_none_and_are_no_loss(house: RealHouse) -> None:
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy)
    second = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, beside=first)
    answer = bob.answer(second.sdp)
    lines = [line for line in answer.split(b"\r\n") if b"101" not in line or line.startswith(b"m=")]
    await second.set_answer(b"\r\n".join(lines).replace(b" 0 101", b" 0"))
    await first.bridge(second)
    await until(lambda: bob.hears == "amy", "amy")
    amy.press("5")
    await until(lambda: call.of(Digit) == [Digit(first.id, "5")], "the digit")
    before = len(bob.received)
    await until(lambda: len(bob.received) > before + 10, "sound")
    assert {packet.payload_type for _, packet in bob.received} == {0}
    assert {sequence_step(b.sequence, a.sequence) for (_, a), (_, b) in pairwise(bob.received)} == {1}


async def test_the_rest_of_a_press_before_the_bridge_is_not_passed_on(house: RealHouse) -> None:
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    amy.press("1")
    await until(lambda: bool(call.of(Digit)), "the digit")
    await first.bridge(second)
    amy.press("2")
    await until(lambda: bob.digits != "", "a digit")
    assert bob.digits == "2"


async def test_frames_leave_on_time(house: RealHouse) -> None:
    call = Call(house)
    music = house.clip("music", 5.0)
    await house.plane.prepare([music])
    peers = [house.peer("amy") for _ in range(10)]
    for peer in peers:
        peer.vanish()
        (await call.incoming(peer)).play([music])
    await asyncio.sleep(1.0)
    for peer in peers:
        assert len(peer.received) >= 40
        first = peer.received[0][1].timestamp
        delays = [at - timestamp_step(packet.timestamp, first) / 8000 for at, packet in peer.received]
        # A busy machine makes some late; the deadlines do not drift.
        assert min(delays[-15:]) == pytest.approx(min(delays[:15]), abs=0.01)


async def test_a_clip_that_was_rendered_anew_is_heard_anew(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy)
    clip = house.clip("menu", 5.0)
    await house.plane.prepare([clip])
    session.play([clip])
    await until(lambda: amy.hears == "menu", "the menu")
    write_clip(house.folder, "menu", 5.5, LEVELS["greeting"])
    await house.plane.prepare([clip])
    session.play([clip])
    await until(lambda: amy.hears == "greeting", "the new one")


# RTCP


@pytest.mark.parametrize("house", [{"rtcp_interval": 0.2}], indirect=True)
async def test_reports_are_sent_and_read(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy)
    session.play([house.clip("music", 5.0)])
    amy.sequence += 5

    def reports() -> list[SenderReport]:
        compounds = [parse_compound(data) for data in amy.control]
        return [each[0] for each in compounds if isinstance(each[0], SenderReport) and each[0].blocks]

    await until(lambda: len(reports()) >= 2, "reports")
    report = reports()[-1]
    assert report.ssrc == amy.received[0][1].ssrc
    assert report.blocks[0].ssrc == amy.ssrc
    assert 0 < report.packets <= len(amy.received) + 1
    assert report.octets == 160 * report.packets
    assert report.ntp >> 32 == pytest.approx(time.time() + 2_208_988_800, abs=3)
    # The peer's view, with a second between its report and ours.
    block = ReportBlock(report.ssrc, 10, 7, 0, 80, middle(report.ntp), 0)
    assert amy.negotiated is not None
    assert amy.negotiated.rtcp is not None
    theirs = SenderReport(amy.ssrc, 0x1234_5678_9ABC_DEF0, 0, 1, 1, (block,)).to_bytes()
    amy.rtcp.sendto(theirs + b"junk", amy.negotiated.rtcp)
    amy.rtcp.sendto(theirs, amy.negotiated.rtcp)
    await asyncio.sleep(0.02)
    stats = await session.stats()
    assert stats.remote_lost == 7
    assert stats.remote_jitter_ms == 10
    assert 0 < stats.round_trip_ms < 2000
    assert stats.jitter_ms < 20
    await until(lambda: reports()[-1].blocks[0].last_report == 0x56789ABC, "an echo of our report")
    assert reports()[-1].blocks[0].delay < 65536


@pytest.mark.parametrize("house", [{"rtcp_interval": 0.1}], indirect=True)
async def test_an_address_that_was_only_described_gets_no_reports(house: RealHouse) -> None:
    """Whoever describes somebody else's address makes us send nothing there."""
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    session = await call.incoming(amy)
    await asyncio.sleep(0.4)
    assert not amy.control
    session.play([house.clip("music", 5.0)])
    await until(lambda: bool(amy.control), "reports of what is played")


async def test_a_released_leg_says_goodbye(house: RealHouse) -> None:
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first, second = await bridged(house, call, amy, bob)
    first.release()
    await until(lambda: bool(amy.control), "the goodbye")
    report, description, goodbye = parse_compound(amy.control[-1])
    assert isinstance(report, SenderReport)
    assert isinstance(description, SourceDescription)
    assert goodbye == Goodbye((report.ssrc,))
    await house.plane.close()
    await until(lambda: bool(bob.control), "the goodbye of the end")
    assert isinstance(parse_compound(bob.control[-1])[-1], Goodbye)
    second.release()


async def test_who_was_never_spoken_to_hears_no_goodbye(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy)
    session.release()
    await asyncio.sleep(0.1)
    assert not amy.control


# Hostile peers


async def test_nothing_is_ever_answered_by_itself(house: RealHouse) -> None:
    """Junk of every kind on both ports: no packet comes back, and the leg works on."""
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    await call.incoming(amy)
    random = Random(7)
    rtp, rtcp = remote_of(amy), (remote_of(amy)[0], remote_of(amy)[1] + 1)
    report = ReceiverReport(5, (ReportBlock(1, 2, 3, 4, 5, 6, 7),)).to_bytes()
    for index in range(400):
        size = random.randrange(0, 60)
        data = bytes([random.choice((0x80, 0x90, 0xA0, 0xBF, 0x00))]) + random.randbytes(size)
        amy.rtp.sendto(data, rtp)
        amy.rtp.sendto(data[:1] + bytes([random.choice((0, 8, 101))]) + data[2:], rtp)
        amy.rtcp.sendto(data, rtcp)
        amy.rtcp.sendto(report[: random.randrange(len(report) + 1)] + data, rtcp)
        amy.rtp.sendto(report, rtp)
        if index % 50 == 0:
            await asyncio.sleep(0.005)
    await asyncio.sleep(0.1)
    assert not amy.received
    assert not amy.control
    # Junk from the signalled address may have latched with an SSRC of its own; the phone is taken all the same.
    amy.speaking = True
    amy.press("9")
    await until(lambda: bool(call.of(Digit)) and call.of(Digit)[-1].key == "9", "a digit")


async def test_two_legs_whose_peers_are_each_other_do_not_storm(house: RealHouse) -> None:
    """A ring of addresses would relay one packet for ever, as fast as the machine can."""
    call, amy = Call(house), house.peer("amy")
    first = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, offer=amy.offer())
    second = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, offer=amy.offer())
    for session in (first, second):
        own = session.description.port
        await session.reoffer(amy.offer().replace(b"m=audio %d " % amy.port, b"m=audio %d " % own))
    await first.bridge(second)
    first.play([house.clip("music", 0.5)])
    await asyncio.sleep(0.8)
    stats = await first.stats()
    assert stats.packets_received < 1500
    assert house.plane.workers[0].alive


# Ports and capacity


async def test_ports_that_others_hold_are_passed_over(tmp_path: Path) -> None:
    low, high = free_ports(4)
    taken = []
    for port in (low, low + 3):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", port))
        taken.append(sock)
    house = RealHouse(tmp_path, ports=(low, high), workers=1)
    await house.plane.start()
    try:
        call = Call(house)
        sessions = [await call.incoming(house.peer("amy")) for _ in range(2)]
        assert {session.sdp.split(b"m=audio ")[1].split()[0] for session in sessions} == {
            b"%d" % (low + 4),
            b"%d" % (low + 6),
        }
        with pytest.raises(NoCapacity, match="no pair of ports is free"):
            await call.incoming(house.peer("amy"))
        assert house.plane.status().sessions == 2
        for sock in taken:
            sock.close()
        await call.incoming(house.peer("amy"))
    finally:
        for sock in taken:
            sock.close()
        await house.close()


async def test_a_local_address_that_is_not_ours_is_listened_for_on_all(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy, local="192.0.2.1")
    assert b"c=IN IP4 192.0.2.1" in session.sdp


async def test_who_leaves_while_a_leg_is_opened_gives_its_ports_back(tmp_path: Path) -> None:
    house = RealHouse(tmp_path, ports=free_ports(2), workers=1, port_rest=0.0)
    await house.plane.start()
    try:
        for steps in (1, 2, 3) * 3:
            task = asyncio.ensure_future(Call(house).incoming(house.peer("amy")))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        call, there = Call(house), 0
        async with asyncio.timeout(10):
            while there < 2:  # the worker has them in a moment
                try:
                    await call.incoming(house.peer("amy"))
                    there += 1
                except NoCapacity:
                    await asyncio.sleep(0.05)
    finally:
        await house.close()


async def test_a_local_address_of_no_use_is_told(house: RealHouse) -> None:
    with pytest.raises(NoCapacity, match="no port of nowhere can be opened"):
        await Call(house).incoming(house.peer("amy"), local="nowhere")
    assert house.plane.status().sessions == 0


async def test_calls_are_spread_over_the_workers_and_a_busy_one_takes_no_new(tmp_path: Path) -> None:
    house = RealHouse(tmp_path, workers=2)
    await house.plane.start()
    try:
        calls = [Call(house) for _ in range(4)]
        sessions = [await call.incoming(house.peer("amy")) for call in calls]
        first, second = house.plane.workers
        assert [session.worker for session in sessions if isinstance(session, EmbeddedSession)] == [
            first,
            second,
            first,
            second,
        ]
        first.load = 0.9
        assert (await house.plane.open(Call(house).id, local="127.0.0.1", on_event=print)).worker is second
        second.load = 0.9
        with pytest.raises(NoCapacity, match="busy"):
            await Call(house).incoming(house.peer("amy"))
        await calls[0].outgoing(house.peer("bob"), beside=sessions[0])
        assert house.plane.status().capacity == 24
    finally:
        await house.close()


async def test_load_and_lateness_are_reported(house: RealHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = house.plane.workers[0]
    worker.load = 1.0
    await until(lambda: worker.load < 0.9, "a report")
    assert worker.imports < 5


# Processes


def running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_close_leaves_no_process(tmp_path: Path) -> None:
    plane = EmbeddedPlane(MediaSettings(ports=free_ports(4), workers=2))
    await plane.start()
    pids = [worker.pid for worker in plane.workers]
    assert all(map(running, pids))
    await plane.close()
    assert not any(map(running, pids))


async def test_a_worker_minds_no_signal_of_the_terminal(house: RealHouse) -> None:
    pid = house.plane.workers[0].pid
    assert os.getsid(pid) != os.getsid(0)
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    amy = house.peer("amy")
    (await Call(house).incoming(amy)).play([house.clip("music", 5.0)])
    await until(lambda: amy.hears == "music", "music")


async def test_workers_do_not_outlive_a_killed_switch(tmp_path: Path) -> None:
    low, high = free_ports(4)
    script = (
        "import asyncio\n"
        "from callcenter.media.embedded.plane import EmbeddedPlane\n"
        "from callcenter.media.settings import MediaSettings\n"
        "async def main():\n"
        f"    plane = EmbeddedPlane(MediaSettings(ports=({low}, {high}), workers=2))\n"
        "    await plane.start()\n"
        "    print(*(worker.pid for worker in plane.workers), flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    root = str(Path(__file__).resolve().parents[3])
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": root}, cwd=tmp_path
    ) as switch:
        assert switch.stdout is not None
        pids = [int(word) for word in (await asyncio.to_thread(switch.stdout.readline)).split()]
        assert len(pids) == 2
        assert all(map(running, pids))
        switch.kill()
        await until(lambda: not any(map(running, pids)), "the workers' end")


async def test_a_worker_that_hangs_is_killed_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(process, "_SILENT_CHECKS", 1)
    house = RealHouse(tmp_path, workers=1)
    await house.plane.start()
    try:
        call = Call(house)
        await call.incoming(house.peer("amy"))
        pid = house.plane.workers[0].pid
        os.kill(pid, signal.SIGSTOP)
        await until(lambda: bool(call.of(MediaLost)), "the loss")
        assert house.plane.status().sessions == 0
        await until(lambda: house.plane.status().alive == 1, "the new worker")
        assert house.plane.workers[0].pid != pid
        await Call(house).incoming(house.peer("bob"))
    finally:
        await house.close()


async def test_a_worker_that_cannot_start_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    plane = EmbeddedPlane(MediaSettings(ports=free_ports(4), workers=2))
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(MediaError, match="media worker 0 cannot be started"):
        await plane.start()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MediaError, match="ended while it started, with status 1"):
        await plane.start()
    assert plane.status().alive == 0


async def test_a_mistake_of_one_owner_is_not_the_others(house: RealHouse) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

    def clumsy(event: object) -> None:
        raise RuntimeError("clumsy")

    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    session = await house.plane.open(call.id, local="127.0.0.1", on_event=clumsy, offer=amy.offer())
    amy.take_answer(session.sdp)
    await until(lambda: bool(told), "the mistake")
    await call.incoming(bob)
    await until(lambda: bool(call.of(FirstPacket)), "the other's event")


def test_frames_are_put_together_from_any_pieces() -> None:
    messages = [["digit", 1, "5"], ["ok", 2, None], ["load", 0.5, 0.001]]
    stream = b"".join(map(frame, messages))
    for size in (1, 3, 7, 1000):
        frames = Frames()
        found = [message for at in range(0, len(stream), size) for message in frames.feed(stream[at : at + size])]
        assert found == messages
    with pytest.raises(ValueError, match="framing"):
        Frames().feed(b"\xff\xff\xff\xff")
