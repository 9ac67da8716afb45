"""Quality with real sockets: what a network inflicts on the sound comes out of the counters, reports and scores."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from callcenter.calls.quality import streams
from callcenter.media.embedded.plane import EmbeddedSession
from callcenter.media.plane import MediaSession, OneWayBegan, OneWayEnded
from callcenter.model.states import OneWay
from callcenter.rtp.packet import Packet
from callcenter.rtp.quality import score
from callcenter.rtp.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    build_compound,
    middle,
    parse_compound,
)
from callcenter.sip.sdp import PCMU
from tests.unit.media.peers import MUST, Call, RealHouse, RealPeer, until


@pytest.fixture
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RealHouse]:
    made = RealHouse(tmp_path, **{"workers": 1, "rtcp_interval": 0.3, **getattr(request, "param", {})})
    await made.plane.start()
    yield made
    await made.close()


def remote_of(peer: RealPeer) -> tuple[str, int]:
    assert peer.negotiated is not None
    assert peer.negotiated.remote is not None
    return peer.negotiated.remote


class Lossy:
    """A network between a phone and the switch: it loses, doubles and delays by chance."""

    def __init__(self, peer: RealPeer, random: Random) -> None:
        self.peer = peer
        self.random = random

    def stream(self, packets: int, *, loss: float = 0.0, burst: int = 1, double: float = 0.0) -> tuple[int, int, int]:
        """Send so many packets at once; returns how many were lost, in how many runs, and how many went through."""
        peer, random = self.peer, self.random
        remote, lost, runs, through, left, apart = remote_of(peer), 0, 0, 0, 0, True
        for number in range(packets):
            # The first and the last are seen: of what is lost at the ends nobody can know.
            if apart and 0 < number < packets - burst - 1 and random.random() < loss / burst:
                left, runs = burst, runs + 1
            packet = Packet(0, peer.sequence & 0xFFFF, peer.timestamp, peer.ssrc, peer.frame(PCMU)).to_bytes()
            peer.sequence, peer.timestamp = peer.sequence + 1, (peer.timestamp + 160) & 0xFFFFFFFF
            apart = not left
            if left:
                left, lost = left - 1, lost + 1
                continue
            for _ in range(1 + (random.random() < double)):
                peer.rtp.sendto(packet, remote)
                through += 1
        return lost, runs, through


async def counted(session: MediaSession, packets: int) -> None:
    await until(lambda: session.counted.packets_received >= packets, "the counters")


@pytest.mark.parametrize(("loss", "burst", "double"), [(0.0, 1, 0.0), (0.1, 1, 0.1), (0.1, 5, 0.0)])
async def test_loss_comes_out_as_inflicted(house: RealHouse, loss: float, burst: int, double: float) -> None:
    """Also where doubled packets come beside it; and in bursts it sounds worse than one by one."""
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    session = await call.incoming(amy)
    network, lost, runs, through = Lossy(amy, Random(5)), 0, 0, 0
    for _ in range(10):
        more = network.stream(40, loss=loss, burst=burst, double=double)
        lost, runs, through = lost + more[0], runs + more[1], through + more[2]
        await asyncio.sleep(0.1)  # no faster than a leg takes
    await counted(session, through)
    told = session.counted
    assert told == await session.stats()
    assert (told.lost, told.bursts) == (lost, runs)
    theirs, _ = streams(told)
    assert theirs.loss == pytest.approx(loss, abs=0.05)
    quiet = replace(theirs, jitter_ms=0.0)
    if burst == 1:
        # G.113 has 25 for G.711 at 10 %, so R = 67 of 92, and a score of 3.5.
        assert score("PCMU", quiet) == pytest.approx(3.5 if loss else 4.39, abs=0.3)
    else:
        assert score("PCMU", quiet) < score("PCMU", replace(quiet, bursts=lost))


async def test_jitter_comes_out_as_inflicted(house: RealHouse) -> None:
    """Every other packet 10 ms late: that is the mean deviation (RFC 3550 6.4.1)."""
    call, amy = Call(house), house.peer("amy")
    amy.vanish()
    session = await call.incoming(amy)
    began = time.monotonic()
    for number in range(80):
        at = began + 0.01 * number + (0.01 if number % 2 else 0.0)
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        amy.timestamp = 80 * number
        amy.send(amy.frame(PCMU)[:80], 0)
    await counted(session, 80)
    assert session.counted.jitter_ms == pytest.approx(10, abs=3)
    assert session.counted.worst_jitter_ms >= session.counted.jitter_ms - 0.01


async def test_what_the_peer_reports_is_what_it_hears(house: RealHouse) -> None:
    """Its loss of ours, its jitter, and the round trip through its delay."""
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy)
    session.play([house.clip("music", 5.0)], loop=True)
    await until(lambda: bool(amy.control) and len(amy.received) > 20, "a report of ours")
    report = parse_compound(amy.control[-1])[0]
    assert isinstance(report, SenderReport)
    ssrc, first = amy.received[0][1].ssrc, amy.received[0][1].sequence
    await asyncio.sleep(0.1)
    block = ReportBlock(ssrc, 25, 20, first + 199, 160, middle(report.ntp), round(0.05 * 65536))
    where = (remote_of(amy)[0], remote_of(amy)[1] + 1)
    amy.rtcp.sendto(build_compound([ReceiverReport(amy.ssrc, (block,)), SourceDescription(amy.ssrc, "amy")]), where)
    await until(lambda: session.counted.reports == 1, "the report")
    told = session.counted
    assert (told.remote_lost, told.remote_expected, told.remote_jitter_ms) == (20, 200, 20.0)
    assert 40 < told.round_trip_ms < 1000
    _, ours = streams(told)
    assert ours.loss == 0.1
    assert 3.0 < score("PCMU", ours, 50.0) < 3.4


async def test_our_reports_are_whole(house: RealHouse) -> None:
    """SR or RR, a block for all that was received since the last one, a canonical name, and BYE in the end."""
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy)
    await until(lambda: bool(amy.control), "a report")
    first = amy.ssrc
    report, name = parse_compound(amy.control[-1])[:2]
    assert isinstance(report, ReceiverReport), "nothing was sent to her"
    assert [block.ssrc for block in report.blocks] == [first]
    assert isinstance(name, SourceDescription)
    assert name.cname
    session.play([house.clip("music", 5.0)], loop=True)
    amy.ssrc = 4711

    def of_both() -> list[set[int]]:
        reports = [parse_compound(data)[0] for data in amy.control]
        blocks = [report.blocks for report in reports if isinstance(report, SenderReport)]
        return [{block.ssrc for block in each} for each in blocks if len(each) == 2]

    await until(lambda: bool(of_both()), "both streams")
    assert of_both()[0] == {first, 4711}
    session.release()
    await until(lambda: isinstance(parse_compound(amy.control[-1])[-1], Goodbye), "the goodbye")


@contextmanager
def muxing(peer: RealPeer) -> Iterator[list[bytes]]:
    """The phone's RTCP comes to its RTP port; nothing may come to the other one."""
    reports: list[bytes] = []
    read, taken = peer.rtp.recv, reports

    class Socket:
        def recv(self, size: int) -> bytes:
            data = read(size)
            while 192 <= data[1] <= 223:
                taken.append(peer.open(data, report=True))
                data = read(size)
            return data

        def __getattr__(self, name: str) -> object:
            return getattr(peer_socket, name)

    peer_socket = peer.rtp
    peer.rtp = Socket()  # type: ignore[assignment]
    try:
        yield reports
    finally:
        peer.rtp = peer_socket


@pytest.mark.parametrize("private", [False, True])
async def test_with_mux_all_goes_by_one_port(house: RealHouse, private: bool) -> None:
    """RFC 5761, also sealed by SRTCP: reports both ways, and not a packet at the second port."""
    call = Call(house)
    amy = house.peer("amy", security=MUST) if private else house.peer("amy")
    offer = amy.offer() + b"a=rtcp-mux\r\n"
    session = await house.plane.open(
        call.id, local="127.0.0.1", on_event=call.events.append, offer=offer, private=private
    )
    assert b"a=rtcp-mux" in session.sdp
    amy.take_answer(session.sdp)
    with muxing(amy) as reports:
        session.play([house.clip("music", 5.0)], loop=True)
        await until(lambda: bool(reports), "a report at the port of sound")
        report = parse_compound(reports[-1])[0]
        assert isinstance(report, SenderReport | ReceiverReport)
        block = ReportBlock(report.ssrc, 0, 3, 70000, 80, 0, 0)
        compound = build_compound([ReceiverReport(amy.ssrc, (block,)), SourceDescription(amy.ssrc, "amy")])
        amy.rtp.sendto(amy.seal(compound, report=True), remote_of(amy))
        await until(lambda: session.counted.reports == 1, "the report")
        assert (session.counted.remote_lost, session.counted.remote_jitter_ms) == (3, 10.0)
        assert not amy.control
        assert amy.hears == "music"
        session.release()
        await until(lambda: isinstance(parse_compound(reports[-1])[-1], Goodbye), "the goodbye")
    assert not amy.control


@pytest.mark.parametrize("house", [{"one_way_after": 0.4}], indirect=True)
async def test_sound_that_stops_is_told_and_that_it_comes_again(house: RealHouse) -> None:
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy)
    await until(lambda: session.counted.packets_received > 0, "sound")
    assert not call.of(OneWayBegan)
    amy.vanish()
    await until(lambda: bool(call.of(OneWayBegan)), "the word that nothing comes any more")
    (began,) = call.of(OneWayBegan)
    assert (began.kind, began.reports) == (OneWay.STOPPED, False)
    assert began.seconds >= 0.4
    amy.speaking = True
    await until(lambda: bool(call.of(OneWayEnded)), "the word that it comes again")
    assert call.of(OneWayEnded)[0].kind is OneWay.STOPPED


async def test_a_peer_that_reports_to_get_nothing_is_told_of(house: RealHouse) -> None:
    """A firewall lets its sound out and ours not in: what we hear from it is fine."""
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy)
    session.play([house.clip("music", 5.0)], loop=True)
    await until(lambda: len(amy.received) > 60, "music")
    where = (remote_of(amy)[0], remote_of(amy)[1] + 1)
    empty = build_compound([SenderReport(amy.ssrc, 1 << 40, 0, 1, 1), SourceDescription(amy.ssrc, "amy")])
    for _ in range(3):
        assert not call.of(OneWayBegan)
        amy.rtcp.sendto(empty, where)
        await asyncio.sleep(0.02)
    await until(lambda: bool(call.of(OneWayBegan)), "the word that it hears nothing")
    (began,) = call.of(OneWayBegan)
    assert (began.kind, began.reports) == (OneWay.UNHEARD, True)
    assert began.sent >= 50
    heard = ReportBlock(amy.received[0][1].ssrc, 0, 0, 70000, 0, 0, 0)
    amy.rtcp.sendto(build_compound([ReceiverReport(amy.ssrc, (heard,))]), where)
    await until(lambda: bool(call.of(OneWayEnded)), "the word that it does")


async def test_to_look_at_all_legs_costs_the_worker_nothing(house: RealHouse) -> None:
    """Counters are read out of shared memory: no message goes either way."""
    call, amy = Call(house), house.peer("amy")
    session = await call.incoming(amy)
    await until(lambda: session.counted.packets_received > 0, "sound")
    assert isinstance(session, EmbeddedSession)
    asked: list[object] = []
    session.worker.send = asked.append  # type: ignore[method-assign,assignment]
    began = time.process_time()
    for _ in range(1000):
        assert session.counted.packets_received
    assert time.process_time() - began < 0.5
    assert not asked
    del session.worker.send
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM):
        session.release()
    assert session.counted.packets_received, "as it was in the end"
