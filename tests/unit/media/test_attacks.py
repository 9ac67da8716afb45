"""What attackers try on the media ports, and that nothing comes of it: bleeding, injection, floods and nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.media.embedded.control import Message, Remote, WorkerSettings
from callcenter.media.embedded.leg import Leg
from callcenter.media.plane import Digit, FirstPacket, MediaSilent
from callcenter.rtp.dtmf import event_payload
from callcenter.rtp.packet import Packet
from callcenter.rtp.rtcp import Goodbye, ReceiverReport, ReportBlock, SenderReport
from callcenter.sip.sdp import SessionDescription
from tests.unit.media.peers import MUST, Call, RealHouse, RealPeer, until

ELSEWHERE = "127.0.0.2"
NOTHING = bytes(160)


@pytest.fixture
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RealHouse]:
    made = RealHouse(tmp_path, workers=1, **getattr(request, "param", {}))
    await made.plane.start()
    yield made
    await made.close()


@contextlib.contextmanager
def attacker(host: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sock:
        sock.bind((host, port))
        yield sock


def port_of(peer: RealPeer) -> tuple[str, int]:
    """Where the plane listens for this phone."""
    assert peer.negotiated is not None
    assert peer.negotiated.remote is not None
    return peer.negotiated.remote


def got_nothing(sock: socket.socket) -> bool:
    with contextlib.suppress(BlockingIOError):
        return not sock.recv(2048)
    return True


def forged(peer: RealPeer, *, ssrc: int, ahead: int = 1) -> list[bytes]:
    """Sound and a key, as if they were the phone's next."""
    number = (peer.sequence + ahead) & 0xFFFF
    sound = Packet(0, number, (peer.timestamp + 160 * ahead) & 0xFFFFFFFF, ssrc, NOTHING)
    key = Packet(101, (number + 1) & 0xFFFF, peer.timestamp, ssrc, event_payload("9", 160), marker=True)
    return [sound.to_bytes(), key.to_bytes()]


async def talking(house: RealHouse, call: Call, amy: RealPeer, bob: RealPeer) -> tuple[Any, Any]:
    first = await call.incoming(amy)
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    await until(lambda: amy.hears == bob.name and bob.hears == amy.name, "each other")
    return first, second


async def attack(amy: RealPeer, attackers: list[tuple[socket.socket, int, int]], times: int = 10) -> None:
    """Each of them sends as if they were Amy: by which source, and so far ahead of her."""
    for _ in range(times):
        for sock, ssrc, ahead in attackers:
            for packet in forged(amy, ssrc=ssrc, ahead=ahead):
                sock.sendto(packet, port_of(amy))
        await asyncio.sleep(0.005)


async def test_nobody_speaks_or_presses_keys_for_a_phone_that_talks(house: RealHouse) -> None:
    """Not from another host, with the phone's own port, source and numbers; nor from the same host by guessing. Before
    a re-INVITE and after one. Nobody who tries is sent anything (RTP bleed).
    """
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first, _ = await talking(house, call, amy, bob)
    with attacker(ELSEWHERE, amy.port) as spoofer, attacker() as guesser, attacker("127.0.0.3") as third:
        everyone = [
            (spoofer, amy.ssrc, 1),
            (third, amy.ssrc, 1),
            (guesser, amy.ssrc ^ 1, 1),
            (guesser, amy.ssrc, 20_000),
            (guesser, amy.ssrc, -500),
        ]
        await attack(amy, everyone)
        amy.take_answer(await first.reoffer(amy.offer()))
        await attack(amy, everyone)
        await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other still")
        assert all(got_nothing(sock) for sock in (spoofer, guesser, third))
    assert NOTHING not in {packet.payload for _, packet in bob.received}
    assert (bob.digits, call.of(Digit)) == ("", [])


async def test_nobody_latches_in_place_of_a_phone_that_moves(house: RealHouse) -> None:
    """The moment behind a re-INVITE with another address is when anybody could: only who was named is waited for."""
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first, _ = await talking(house, call, amy, bob)
    amy.vanish()
    moved = house.peer("carol")
    moved.vanish()
    moved.take_answer(await first.reoffer(moved.offer()))
    with attacker(ELSEWHERE, moved.port) as spoofer, attacker("127.0.0.3") as third:
        await attack(moved, [(spoofer, moved.ssrc, 1), (third, amy.ssrc, 1)])
        await until(lambda: moved.hears == "bob", "what goes to the new address")
        assert got_nothing(spoofer)
        assert got_nothing(third)
    assert len(call.of(FirstPacket)) == 2, "of each phone the first, and of nobody else"


async def test_forged_reports_end_nothing_and_go_into_no_figure(house: RealHouse) -> None:
    """BYE, a loss of everything, a round trip of ages: from another host, and from this one by guessing."""
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    first, _ = await talking(house, call, amy, bob)
    host, port = port_of(amy)
    ours = amy.received[-1][1].ssrc
    with attacker(ELSEWHERE, amy.port + 1) as spoofer, attacker() as guesser:
        for sock, ssrc in ((spoofer, amy.ssrc), (guesser, amy.ssrc ^ 1)):
            blocks = (ReportBlock(ours, 255, 9999, 0, 8_000_000, 1, 0),)
            for report in (SenderReport(ssrc, 1 << 32, 0, 1, 1, blocks), ReceiverReport(ssrc, blocks)):
                for to in ((host, port + 1), (host, port)):
                    sock.sendto(report.to_bytes() + Goodbye((ssrc, amy.ssrc)).to_bytes(), to)
        before = (await first.stats()).packets_received
        await until(lambda: amy.hears == "bob" and bob.hears == "amy", "each other")
        stats = await first.stats()
        assert stats.packets_received >= before
        assert (stats.remote_lost, stats.remote_jitter_ms) == (0, 0.0)
        assert got_nothing(spoofer)
        assert got_nothing(guesser)


@pytest.mark.parametrize("house", [{"silence_timeout": 0.5}], indirect=True)
async def test_reports_of_others_do_not_keep_a_dead_call_alive(house: RealHouse) -> None:
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    await talking(house, call, amy, bob)
    host, port = port_of(amy)
    amy.vanish()
    with attacker() as other:
        while not call.of(MediaSilent):
            other.sendto(ReceiverReport(amy.ssrc ^ 1).to_bytes(), (host, port + 1))
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("house", [{"rtcp_interval": 0.2}], indirect=True)
async def test_a_third_host_that_is_only_described_gets_no_reports(house: RealHouse) -> None:
    """Who describes somebody else's address for reports (RFC 3605) makes us send nothing there, nor say goodbye."""
    call, amy = Call(house), house.peer("amy")
    with attacker(ELSEWHERE) as victim:
        offer = amy.offer().replace(
            b"a=sendrecv", f"a=rtcp:{victim.getsockname()[1]} IN IP4 {ELSEWHERE}\r\na=sendrecv".encode()
        )
        assert b"a=rtcp:" in offer
        session = await house.plane.open(call.id, local="127.0.0.1", on_event=call.events.append, offer=offer)
        amy.take_answer(session.sdp)
        session.play([house.clip("music", 5.0)], loop=True)
        await until(lambda: amy.hears == "music" and bool(call.of(FirstPacket)), "sound both ways")
        began = time.monotonic()
        # Our own reports of another leg show that the time for them has come.
        bob = house.peer("bob")
        await call.incoming(bob)
        await until(lambda: len(bob.control) > 3 and time.monotonic() - began > 0.6, "reports")
        session.release()
        await call.incoming(house.peer("carol"))
        assert got_nothing(victim)


async def test_more_never_goes_to_whoever_has_not_proved_to_be_there(house: RealHouse) -> None:
    """No octet for those that an attacker sends, whatever it looks like, on either port."""
    call, amy, bob = Call(house), house.peer("amy"), house.peer("bob")
    await talking(house, call, amy, bob)
    host, port = port_of(amy)
    request = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)  # STUN (RFC 8489)
    with attacker(ELSEWHERE) as stranger, attacker() as neighbour:
        for data in (request, b"", b"\x80", b"INVITE sip:a SIP/2.0\r\n\r\n", *forged(amy, ssrc=5), bytes(1500)):
            for sock in (stranger, neighbour):
                for to in ((host, port), (host, port + 1)):
                    sock.sendto(data, to)
        before = len(amy.received)
        await until(lambda: len(amy.received) > before + 10, "the talk to go on")
        assert got_nothing(stranger)
        assert got_nothing(neighbour)


@pytest.mark.parametrize("house", [{"port_rest": 1.0}], indirect=True)
async def test_who_goes_on_sending_to_the_port_of_an_ended_call_reaches_nobody(house: RealHouse) -> None:
    """All ports are used in turn meanwhile, and none that rests."""
    amy, others = house.peer("amy"), house.peer("bob")
    session = await Call(house).incoming(amy)
    port = port_of(amy)[1]
    session.release()
    began, used = time.monotonic(), set()
    while time.monotonic() - began < 0.8:
        for _ in range(4):
            call = Call(house)
            each = await call.incoming(others)
            used.add(SessionDescription.parse(each.sdp).media[0].port)
            each.release()
        if len(used) > 18:
            break  # the rest of them rests
    assert len(used) > 4
    assert port not in used


async def test_what_a_key_has_sealed_is_not_taken_again_when_it_comes_back(house: RealHouse) -> None:
    """A phone turns plain and private again by the key that it had: what was recorded of it then is no sound now."""
    call, amy, bob = Call(house), house.peer("amy", security=MUST), house.peer("bob")
    first = await call.incoming(amy, private=True)
    second = await call.outgoing(bob, beside=first)
    await first.bridge(second)
    await until(lambda: bob.hears == "amy", "amy")
    private, packet = amy.says(amy.offer()), Packet(0, amy.sequence, amy.timestamp, amy.ssrc, NOTHING)
    recorded = amy.seal(packet.to_bytes())
    amy.sequence += 1
    amy.rtp.sendto(recorded, port_of(amy))
    await until(lambda: NOTHING in {each.payload for _, each in bob.received}, "what is recorded")
    amy.vanish()
    plain = SessionDescription.parse(private)
    assert plain.media[0].cryptos()
    answer = await first.reoffer(private.replace(b"RTP/SAVP", b"RTP/AVP").replace(b"a=crypto", b"a=x-crypto"))
    assert b"crypto" not in answer
    await first.reoffer(private)
    before = (await first.stats()).unauthentic
    bob.received.clear()
    for _ in range(20):
        amy.rtp.sendto(recorded, port_of(amy))
        await asyncio.sleep(0.005)
    assert (await first.stats()).unauthentic >= before + 20
    assert NOTHING not in {each.payload for _, each in bob.received}


# Nonsense


class _Poll:
    def add(self, sock: socket.socket, readable: object) -> None: ...
    def change(self, sock: socket.socket, readable: object) -> None: ...
    def remove(self, sock: socket.socket) -> None: ...


class _Wheel:
    def add(self, item: object) -> None: ...
    def remove(self, item: object) -> None: ...


class _Wheels:
    def every(self, ms: int) -> _Wheel:
        return _Wheel()


class _House:
    """A worker without a loop: the test reads for it."""

    def __init__(self) -> None:
        self.poll, self.wheels = _Poll(), _Wheels()
        self.told: list[Message] = []

    def report(self, message: Message) -> None:
        self.told.append(message)


class _Lab:
    """Two legs that are bridged, with the sockets of their peers."""

    def __init__(self) -> None:
        self.house = _House()
        self.peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
        self.legs, self.ports, self.rtcp = [], [], []
        given = {"silence_timeout": 60.0, "missing_after": 5.0, "one_way_after": 5.0, "rtcp_interval": 5.0}
        for number, peer in enumerate(self.peers):
            peer.bind(("127.0.0.1", 0))
            peer.setblocking(False)
            rtp, rtcp = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) for _ in range(2))
            rtp.bind(("127.0.0.1", 0))
            rtcp.bind(("127.0.0.1", 0))
            self.ports.append((rtp.getsockname(), rtcp.getsockname()))
            settings = cast("WorkerSettings", given)
            leg = Leg(number, rtp.getsockname()[1], rtp, rtcp, cast("Any", self.house), settings)
            host, port = peer.getsockname()
            leg.set_remote(
                Remote(
                    host=host, port=port, rtcp_host=host, rtcp_port=port, also_from=[], codec="PCMU", payload_type=0,
                    event_type=101, event_rate=8000, ptime=20, maxptime=0, fmtp="", rtcp_mux=False,
                    accepts=[(0, "PCMU"), (8, "PCMA"), (9, "G722"), (101, "telephone-event"), (13, "CN")],
                    sends_to=True, due=True, keys=None,
                )
            )  # fmt: skip
            self.legs.append(leg)
            self.rtcp.append(rtcp)
        self.legs[0].bridge(self.legs[1])
        self.legs[0].listen(True)

    def take(self, data: bytes, *, reports: bool) -> None:
        """The first peer sends this, and the leg reads it."""
        self.peers[0].sendto(data, self.ports[0][reports])
        if reports:
            self.legs[0]._reports.readable()
        else:
            self.legs[0].readable()

    def close(self) -> None:
        for leg in self.legs:
            leg.close()
        for peer in self.peers:
            peer.close()


@pytest.fixture(scope="module")
def lab() -> Iterator[_Lab]:
    made = _Lab()
    yield made
    made.close()


LIKE_RTP = st.builds(
    lambda first, second, rest: bytes((first, second)) + rest,
    st.sampled_from([0x80, 0x81, 0x8F, 0x90, 0xA0, 0xBF]),
    st.sampled_from([0, 8, 9, 13, 101, 0x80, 0xE5, 200, 201, 203]),
    st.binary(min_size=0, max_size=400),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(st.tuples(st.one_of(LIKE_RTP, st.binary(max_size=1600)), st.booleans()), max_size=8), st.booleans())
def test_nonsense_of_every_kind_raises_nothing_and_stops_nothing(
    lab: _Lab, datagrams: list[tuple[bytes, bool]], masked: bool
) -> None:
    """From the phone's own address, on both ports, bridged and listened to, also while it is a secret."""
    leg = lab.legs[0]
    leg.mask(masked)
    for data, reports in datagrams:
        leg.upkeep(1.0)
        lab.take(data, reports=reports)
    for ear in (each.ear for each in lab.legs):
        while ear._presses is not None:  # what were keys are pressed anew
            ear.turn(time.monotonic())
    for peer in lab.peers:
        with contextlib.suppress(BlockingIOError):
            while peer.recv(2048):
                pass
    leg.mask(False)
    leg._keys._masked_until = None
    before = leg.reception.highest
    for step in range(4):
        leg.upkeep(1.0)
        lab.take(
            Packet(0, (leg.reception.highest + 1 + step) & 0xFFFF, 160 * step, 77, b"\x55" * 160).to_bytes(),
            reports=False,
        )
    if lab.legs[1].ear.mixes:  # nonsense of another length was sound too: what comes now is heard by the clock
        assert leg.reception.ssrc == 77
        assert leg.reception.highest != before
    else:
        assert lab.peers[1].recv(2048)[12:] == b"\x55" * 160
