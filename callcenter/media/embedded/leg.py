"""One leg in a worker: its two sockets, from whom it takes sound, where it sends, what it plays and counts.

``readable`` and ``hear`` run for every packet and are written for speed: a packet is read into one buffer that all legs
share, renumbered there and sent on, no copy is made. What is rare is left to other methods.
"""

from __future__ import annotations

import contextlib
import functools
import random
import socket
import sys
import time
from typing import TYPE_CHECKING, Final, Protocol

from callcenter.media.embedded.clips import LoadedClip
from callcenter.media.embedded.control import (
    DIGIT,
    ENDED,
    EVENT,
    FIRST,
    MISSING,
    SILENT,
    Message,
    Remote,
    RemoteKeys,
    WorkerSettings,
)
from callcenter.media.embedded.poll import Poll
from callcenter.media.embedded.wheel import Wheel
from callcenter.media.plane import host_port
from callcenter.rtp import rtcp
from callcenter.rtp.dtmf import EventReceiver
from callcenter.rtp.g711 import ALAW_TO_ULAW, FRAME_SAMPLES, ULAW_TO_ALAW
from callcenter.rtp.outgoing import MAX_DROPOUT, Outgoing
from callcenter.rtp.packet import (
    HEADER,
    HEADER_SIZE,
    LEAD,
    MARKER,
    MAX_PACKET,
    VERSION_2,
    Header,
    RtpError,
    payload_bounds,
    sequence_step,
)
from callcenter.rtp.statistics import Reception
from callcenter.rtp.tones import ToneReceiver

if TYPE_CHECKING:
    from callcenter.media.embedded.srtp import Opener, Sealer

# Sound comes at 50 packets a second, 100 from some phones. What is more is not taken: legs whose peers' addresses
# make a ring would otherwise send to each other without end.
MAX_RATE: Final = 500

# Seconds after a new description in which what was on its way from the old address does not catch the leg again.
_FORMER_FOR: Final = 1.0

# What may come, by number: a payload type that was not agreed on is none of them.
_KINDS: Final = ("PCMU", "PCMA", EVENT)
_SPOKEN: Final = _KINDS[:2]
_EVENT_KIND: Final = 2
_NO_KIND: Final = -1

_TABLES: Final = {("PCMU", "PCMA"): ULAW_TO_ALAW, ("PCMA", "PCMU"): ALAW_TO_ULAW}

# NTP time of the steady clock's zero: reports must not jump when the wall clock is set.
_EPOCH: Final = time.time() - time.monotonic()

# Octets of a packet of 20 ms.
_USUAL: Final = HEADER_SIZE + FRAME_SAMPLES

# The datagram at hand. It is dealt with before the next one is read.
_PACKET: Final = bytearray(MAX_PACKET + 1)
_VIEW: Final = memoryview(_PACKET)
_USUAL_VIEW: Final = _VIEW[:_USUAL]
_unpack: Final = HEADER.unpack_from
_unpack_lead: Final = LEAD.unpack_from
_monotonic: Final = time.monotonic

Address = tuple[str, int]
Ways = tuple[tuple[int, bytes | None] | None, ...]
"""Of each kind that another leg relays: by what payload type the peer takes it, and how it is translated."""

NOWHERE: Final[Address] = ("", 0)
"""Nothing is sent there: ``_sends_to`` is false."""


class House(Protocol):
    """What a leg needs of its worker."""

    poll: Poll
    """Tells when a datagram waits on a socket."""
    playout: Wheel[Leg]
    """Turns every 20 ms for legs that play."""

    def report(self, message: Message) -> None:
        """Tell the plane."""
        ...


class Play:
    """What is played: clips one after the other, frame by frame; from ``start`` seconds into them on."""

    __slots__ = ("_at", "_clips", "_index", "_loop", "number")

    def __init__(self, number: int, clips: list[LoadedClip], loop: bool, start: float = 0.0) -> None:
        self.number = number
        self._clips = clips
        self._loop = loop
        self._index = 0
        self._at = round(start * 50)
        if loop:
            self._at %= sum(clip.frames for clip in clips) or 1
        while self._index < len(clips) and self._at >= clips[self._index].frames:
            self._at -= clips[self._index].frames
            self._index += 1

    def next_frame(self, codec: str | None) -> bytes | None:
        """The next 20 ms, empty without a codec; None at the end."""
        if self._index == len(self._clips):
            if not self._loop or not self._clips:
                return None
            self._index = 0
        clip = self._clips[self._index]
        start = self._at * FRAME_SAMPLES
        self._at += 1
        if self._at >= clip.frames:
            self._at = 0
            self._index += 1
        return b"" if codec is None else clip.encoded[codec][start : start + FRAME_SAMPLES]


class _Hot:
    """What every packet needs, side by side in memory: of 1,600 legs hardly anything is still in a cache."""

    __slots__ = (
        "_accepts",
        "_budget",
        "_opener",
        "_play",
        "_reception",
        "_sealer",
        "_sends_to",
        "_source",
        "_ssrc",
        "_tones",
        "_usual",
        "_ways",
        "destination",
        "fed_by",
        "outgoing",
        "rtp",
        "target",
    )


class Leg(_Hot):
    """The sound of one leg, through its two sockets, which it closes."""

    # With so many attributes slots are faster than a dictionary, and 2 kB smaller.
    __slots__ = (
        "_allowance",
        "_cname",
        "_due",
        "_due_since",
        "_events",
        "_former",
        "_former_until",
        "_heard_at",
        "_hosts",
        "_house",
        "_last_report",
        "_last_report_at",
        "_lost_before",
        "_missing_after",
        "_more_octets",
        "_next_report",
        "_packets_received",
        "_pressed_for",
        "_refused",
        "_remote",
        "_remote_jitter",
        "_remote_lost",
        "_reported",
        "_round_trip",
        "_rtcp",
        "_rtcp_destination",
        "_rtcp_interval",
        "_sent_before",
        "_signalled",
        "_silence_timeout",
        "_strange",
        "_told_first",
        "_told_missing",
        "_told_silent",
        "_unauthentic_before",
        "number",
        "port",
        "waiting_play",
    )

    def __init__(
        self, number: int, port: int, rtp: socket.socket, rtcp: socket.socket, house: House, settings: WorkerSettings
    ) -> None:
        self.number = number
        self.port = port
        self.waiting_play = 0
        """Number of the play whose clips are still being loaded; 0: none."""
        self._usual = -1
        """How the next packet of sound begins when it is like the one before; -1: each one is looked at."""
        self.fed_by: Reception | None = None
        """Whose packets of sound the peer hears at present, untranslated and unless a play stands in for them."""
        self.target: Leg | None = None
        """The leg to which what comes in is relayed."""
        self._house = house
        self._silence_timeout = settings["silence_timeout"]
        self._missing_after = settings["missing_after"]
        self._rtcp_interval = settings["rtcp_interval"]
        self.rtp = rtp
        self._rtcp = rtcp
        # The peer, as signalled.
        self._remote: Remote | None = None
        self._signalled: Address | None = None
        self._hosts: frozenset[str] = frozenset()
        self._accepts = _kinds(())
        self._sends_to = False
        self._due = False
        # How what comes is opened, and what goes is sealed; None: it is plain RTP.
        self._opener: Opener | None = None
        self._sealer: Sealer | None = None
        self._unauthentic_before = 0
        # The peer, as it is.
        self._source: tuple[object, ...] | None = None
        self._former: Address | None = None
        self._former_until = 0.0
        self.destination = NOWHERE
        self._rtcp_destination: Address | None = None
        self._told_first = False
        self._told_missing = False
        self._due_since = 0.0
        self._refused = ""
        self._strange = -1
        self._ssrc = -1
        self._reception = Reception(0, 0)
        self._events = EventReceiver()
        self._pressed_for: Leg | None = None
        self._tones: ToneReceiver | None = None
        self._heard_at = 0.0
        self._told_silent = False
        # Counted down, and what was used added up now and then; octets beside those of 20 ms a packet.
        self._budget = self._allowance = MAX_RATE
        self._packets_received = 0
        self._more_octets = 0
        self._lost_before = 0
        # What we send.
        self._play: Play | None = None
        # The number begins in the lower half: with SRTP a peer that misses the first packets would take a wrap soon
        # after for none, and open nothing from there on (RFC 3711 3.3.1).
        self.outgoing = Outgoing(random.getrandbits(32), random.getrandbits(15), random.getrandbits(32))
        self._cname = f"{random.getrandbits(64):016x}"
        self._ways: Ways = (None,) * len(_KINDS)
        # RTCP.
        self._next_report = time.monotonic() + self._rtcp_interval * random.uniform(0.5, 1.0)
        self._reported = False
        self._sent_before = 0
        self._last_report = 0
        self._last_report_at = 0.0
        self._remote_lost = 0
        self._remote_jitter = 0.0
        self._round_trip = 0.0

        house.poll.add(rtp, self.readable)
        house.poll.add(rtcp, self.rtcp_readable)

    def __repr__(self) -> str:
        return f"<Leg {self.number} port {self.port} peer {self.destination} {'plays' if self._play else ''}>"

    # The peer

    def set_remote(self, remote: Remote) -> None:
        """The peer's description says this now."""
        self._usual, self.fed_by = -1, None
        now = time.monotonic()
        former = self._remote
        self._remote = remote
        self._accepts = _kinds(tuple((number, name) for number, name in remote["accepts"]))
        self._hosts = frozenset(filter(None, (remote["host"], *remote["also_from"])))
        if former is None or (former["host"], former["port"]) != (remote["host"], remote["port"]):
            self._signalled = (remote["host"], remote["port"]) if remote["host"] else None
            self._former = self.destination if self._source is not None else None
            self._former_until = now + _FORMER_FOR
            self._source = None
            self.destination = self._signalled or NOWHERE
        if former is None or (former["rtcp_host"], former["rtcp_port"]) != (remote["rtcp_host"], remote["rtcp_port"]):
            self._rtcp_destination = (remote["rtcp_host"], remote["rtcp_port"]) if remote["rtcp_port"] else None
        self._sends_to = remote["sends_to"] and self._signalled is not None
        if remote["due"] and not self._due:
            self._heard_at, self._due_since, self._told_silent = now, now, False
        self._due = remote["due"]
        self._ways = _ways_to(remote["codec"], remote["payload_type"], remote["event_type"])
        if remote["keys"] is not None or self._sealer is not None:
            self._set_keys(remote["keys"])

    def _set_keys(self, keys: RemoteKeys | None) -> None:
        """SRTP with these keys from now on. A key that stays goes on with its count of packets (RFC 3711 3.2.1)."""
        if keys is None:
            self._unauthentic_before = self.unauthentic
            self._opener = self._sealer = None
            return
        from callcenter.media.embedded.srtp import Opener, Sealer

        suite, ours, theirs = keys["suite"], keys["ours"], keys["theirs"]
        if self._sealer is None or self._sealer.key != (suite, ours):
            self._sealer = Sealer(suite, ours)
        if self._opener is None or self._opener.key != (suite, theirs):
            self._unauthentic_before = self.unauthentic
            self._opener = Opener(suite, theirs)

    def readable(self) -> None:
        """A datagram waits on the RTP port."""
        try:
            size, addr = self.rtp.recvfrom_into(_PACKET)
        except OSError:
            return
        # Nearly every packet is the next one of a stream that is relayed as it is. Each step costs: the processor
        # forgets what it has learnt of a program with every system call.
        lead, sequence, timestamp, ssrc = _unpack_lead(_PACKET)
        reception, target = self._reception, self.target
        if (
            lead != self._usual
            or size != _USUAL
            or ssrc != self._ssrc
            or sequence - reception.highest != 1
            or target is None
            or target.fed_by is not reception
            or addr != self._source
        ):
            self._take(size, addr)
            return
        budget = self._budget
        if budget:
            self._budget = budget - 1
            now = _monotonic()
            reception.receive(sequence, timestamp, now)
            target.outgoing.go_on(_PACKET, sequence, timestamp, now)
            try:
                target.rtp.sendto(_USUAL_VIEW, target.destination)
            except OSError:
                pass  # the way is full, or there is none: a packet less

    def _take(self, size: int, addr: tuple[object, ...]) -> None:
        """Take the datagram at hand, whatever it is."""
        if not HEADER_SIZE <= size <= MAX_PACKET:
            return
        if self._opener is not None:
            size = self._open(self._opener, size, addr)
            if not size:
                return
        header = first, second, sequence, timestamp, ssrc = _unpack(_PACKET)
        if first != VERSION_2 and not (first & 0xC0 == VERSION_2 and _well_formed(_PACKET[:size])):
            return
        kind = self._accepts[second & 0x7F]
        if kind == _NO_KIND:
            self._stray(bytes(_VIEW[:size]), addr)
            return
        if (addr != self._source or ssrc != self._ssrc) and not self._admit(addr, ssrc, sequence):
            return
        budget = self._budget - 1
        if budget < 0:
            return
        self._budget = budget
        if size != _USUAL:
            self._more_octets += size - _USUAL
        now = time.monotonic()
        if kind == _EVENT_KIND:
            self._heard_at = now
            self._reception.count(sequence)
            if not self._event(bytes(_VIEW[:size]), timestamp, bool(second & 0x80)):
                return
        else:
            self._reception.receive(sequence, timestamp, now)
            plain = self._tones is None and self._opener is None
            self._usual = second | VERSION_2 << 8 if plain and not second & MARKER else -1
            if self._tones is not None:
                start, end = payload_bounds(_PACKET[:size])
                for key in self._tones.receive(bytes(_VIEW[start:end]), _KINDS[kind], sequence, timestamp):
                    self._house.report([DIGIT, self.number, key])
        target = self.target
        if target is not None:
            target.hear(self._reception, size, header, kind, now)

    def hear(self, feed: Reception, size: int, header: Header, kind: int, now: float) -> None:
        """Send the peer the packet at hand, which another leg received; not while something is played to it."""
        if self._play is not None or not self._sends_to:
            return
        way = self._ways[kind]
        if way is None:
            self.outgoing.omit(feed)
            return
        self.fed_by = feed if way[1] is None and kind != _EVENT_KIND and self._sealer is None else None
        if self.outgoing.relay(feed, _PACKET, size, header, way[0], way[1], kind == _EVENT_KIND, now):
            if self._sealer is not None:
                self._seal_and_send(self._sealer, bytes(_VIEW[:size]))
                return
            try:
                self.rtp.sendto(_VIEW[:size], self.destination)
            except OSError:
                pass  # as above

    def _seal_and_send(self, sealer: Sealer, packet: bytes) -> None:
        """Send the peer a packet by SRTP."""
        sealed = sealer.seal(packet)
        if sealed is not None:
            try:
                self.rtp.sendto(sealed, self.destination)
            except OSError:
                pass  # as above

    def _open(self, opener: Opener, size: int, addr: tuple[object, ...]) -> int:
        """Open the sealed datagram at hand where it is; returns its new size, 0 when it is not the peer's."""
        # Ciphers are for hosts that were signalled: others would cost us time.
        if str(addr[0]) not in self._hosts:
            self._refused = host_port(str(addr[0]), int(str(addr[1])))
            return 0
        if 200 <= _PACKET[1] <= 204:
            self.rtcp_received(bytes(_VIEW[:size]), addr, False)  # RTCP on the wrong port
            return 0
        opened = opener.open(bytes(_VIEW[:size]))
        if opened is None:
            return 0
        size = len(opened)
        _VIEW[:size] = opened
        return size

    def omit(self, feed: Reception) -> None:
        """A packet of the other leg is not for the peer."""
        self.outgoing.omit(feed)

    def _admit(self, addr: tuple[object, ...], ssrc: int, sequence: int) -> bool:
        """Whether to take sound from ``addr``, which is not what came so far: latching.

        The first packet from a host that was signalled latches. From then on another address is taken only when it is
        exactly the one signalled, or when it goes on with the same SSRC and number (a NAT that has moved the port).
        """
        if addr != self._source:
            address: Address = (sys.intern(str(addr[0])), int(str(addr[1])))
            if address[0] not in self._hosts:
                self._refused = host_port(*address)
                return False
            if address == self._signalled:
                pass
            elif self._source is None:
                if address == self._former and time.monotonic() < self._former_until:
                    return False
            elif not (ssrc == self._ssrc and 0 < sequence_step(sequence, self._reception.highest) < MAX_DROPOUT):
                return False
            self._source = address if len(addr) == 2 else addr  # one tuple of IPv4 for both ways
            self._former = None
            self.destination = address
            if not self._told_first:
                self._told_first = True
                self._house.report([FIRST, self.number, host_port(*address)])
        if ssrc != self._ssrc:
            if self._ssrc >= 0:
                self._lost_before += self._reception.lost
            self._ssrc = ssrc
            self._reception = Reception(ssrc, sequence)
            self._events = EventReceiver()
            if self._tones is not None:
                self._tones = ToneReceiver()
            self._last_report = 0
        return True

    def _stray(self, data: bytes, addr: tuple[object, ...]) -> None:
        """A packet of no payload type of ours: RTCP on the wrong port, comfort noise, a keep-alive (RFC 6263)."""
        if 200 <= data[1] <= 204:
            self.rtcp_received(data, addr, False)
        elif self._source is None:
            if str(addr[0]) in self._hosts:
                self._strange = data[1] & 0x7F
        elif addr == self._source:
            self._heard_at = time.monotonic()
            if self.target is not None:
                self.target.omit(self._reception)

    def _event(self, data: bytes, timestamp: int, marker: bool) -> bool:
        """Tell a press; returns whether to relay the packet: not the rest of a press that began before the bridge."""
        start, end = payload_bounds(data)
        before = self._events.begun
        key = self._events.receive(data[start:end], timestamp, marker)
        if key is not None:
            self._house.report([DIGIT, self.number, key])
        if self._events.begun != before:
            self._pressed_for = self.target
        if self.target is None or self._pressed_for is self.target:
            return True
        self.target.omit(self._reception)
        return False

    def listen(self, on: bool) -> None:
        """Whether tones in the peer's sound are keys."""
        self._tones = ToneReceiver() if on else None
        self._usual = -1

    # Bridging

    def bridge(self, other: Leg) -> None:
        """Relay both ways."""
        if self.target is other:
            return
        self.unbridge()
        other.unbridge()
        self.target, other.target = other, self

    def unbridge(self) -> None:
        """Relay no more, both ways."""
        if self.target is not None:
            self.target.target = self.target.fed_by = self.fed_by = None
            self.target = None

    # Playing

    def play(self, play: Play) -> None:
        """Play this in place of what plays now."""
        self.stop()
        self._play, self.fed_by = play, None
        self._house.playout.add(self)

    def stop(self) -> None:
        """Stop what plays or waits to be played."""
        number, self.waiting_play = self.waiting_play, 0
        if number:
            self._house.report([ENDED, self.number, number, False])
        if self._play is not None:
            self._end_play(complete=False)

    def play_frame(self, at: float) -> None:
        """The next frame's turn, its deadline ``at``. A peer that does not want to hear misses it."""
        play = self._play
        if play is None:
            return
        payload = play.next_frame(self._remote["codec"] if self._remote is not None else None)
        if payload is None:
            self._end_play(complete=True)
        elif self._sends_to and self._remote is not None:
            packet = self.outgoing.frame(play, self._remote["payload_type"], payload, at)
            if self._sealer is not None:
                self._seal_and_send(self._sealer, packet)
                return
            try:
                self.rtp.sendto(packet, self.destination)
            except OSError:
                pass  # as above

    def _end_play(self, complete: bool) -> None:
        play, self._play = self._play, None
        self._house.playout.remove(self)
        if play is not None:
            self._house.report([ENDED, self.number, play.number, complete])

    # Upkeep and RTCP

    def upkeep(self, period: float) -> None:
        """Once every ``period`` seconds: notice silence, send a report when one is due."""
        now = time.monotonic()
        self._packets_received += self._allowance - self._budget
        self._budget = self._allowance = int(MAX_RATE * period) + 50
        silent = now - max(self._heard_at, self._reception.arrival)
        if not self._due or silent < self._silence_timeout:
            self._told_silent = False
        elif not self._told_silent:
            self._told_silent = True
            self._house.report([SILENT, self.number, round(silent, 3)])
        if self._due and not (self._told_first or self._told_missing) and now - self._due_since >= self._missing_after:
            self._told_missing = True
            seconds = round(now - self._due_since, 3)
            self._house.report([MISSING, self.number, seconds, self._refused, self._strange, self.unauthentic])
        # Before anything was said either way there is nothing to report, and the address is but somebody's word.
        if now >= self._next_report and (self.outgoing.packets or self._ssrc >= 0):
            self._next_report = now + self._rtcp_interval * random.uniform(0.5, 1.5)
            self._send_report(now)

    def rtcp_readable(self) -> None:
        """A datagram waits on the RTCP port."""
        try:
            data, addr = self._rtcp.recvfrom(MAX_PACKET)
        except OSError:
            return
        self.rtcp_received(data, addr)

    def rtcp_received(self, data: bytes, addr: tuple[object, ...], own_port: bool = True) -> None:
        """A datagram for the RTCP port. Reports are never answered, only sent by the clock."""
        host = str(addr[0])
        if host not in self._hosts:
            return
        if self._opener is not None:
            opened = self._opener.open_report(data)
            if opened is None:
                return
            data = opened
        try:
            packets = rtcp.parse_compound(data)
        except rtcp.RtcpError:
            return
        now = time.monotonic()
        ntp = rtcp.ntp_time(now + _EPOCH)
        self._heard_at = now
        for packet in packets:
            if isinstance(packet, rtcp.SenderReport) and packet.ssrc == self._ssrc:
                self._last_report = rtcp.middle(packet.ntp)
                self._last_report_at = now
                if own_port:
                    self._rtcp_destination = (host, int(str(addr[1])))
            if isinstance(packet, rtcp.SenderReport | rtcp.ReceiverReport):
                for block in packet.blocks:
                    if block.ssrc == self.outgoing.ssrc:
                        self._remote_lost = max(0, block.cumulative_lost)
                        self._remote_jitter = block.jitter / 8.0
                        self._round_trip = rtcp.round_trip(block, rtcp.middle(ntp)) or self._round_trip

    def _send_report(self, now: float, *, goodbye: bool = False) -> None:
        if self._rtcp_destination is None:
            return
        outgoing = self.outgoing
        blocks = (self._reception.report(self._last_report, now - self._last_report_at),) if self._ssrc >= 0 else ()
        report: rtcp.SenderReport | rtcp.ReceiverReport
        if outgoing.packets > self._sent_before:
            ntp = rtcp.ntp_time(now + _EPOCH)
            timestamp = outgoing.timestamp_at(now)
            report = rtcp.SenderReport(outgoing.ssrc, ntp, timestamp, outgoing.packets, outgoing.octets, blocks)
        else:
            report = rtcp.ReceiverReport(outgoing.ssrc, blocks)
        self._sent_before = outgoing.packets
        packets: list[rtcp.RtcpPacket] = [report, rtcp.SourceDescription(outgoing.ssrc, self._cname)]
        if goodbye:
            packets.append(rtcp.Goodbye((outgoing.ssrc,)))
        self._reported = True
        compound: bytes | None = rtcp.build_compound(packets)
        if self._sealer is not None:
            compound = self._sealer.seal_report(rtcp.build_compound(packets))
        if compound is not None:
            with contextlib.suppress(OSError):
                self._rtcp.sendto(compound, self._rtcp_destination)

    @property
    def unauthentic(self) -> int:
        """How many packets the peer's key has not sealed, or had sealed for once only."""
        return self._unauthentic_before + (self._opener.unauthentic if self._opener is not None else 0)

    def counters(self) -> list[float]:
        """The fields of MediaStats, in their order."""
        heard = self._ssrc >= 0
        received = self._packets_received + self._allowance - self._budget
        return [
            received,
            self.outgoing.packets,
            received * FRAME_SAMPLES + self._more_octets,
            self.outgoing.octets,
            self._lost_before + (self._reception.lost if heard else 0),
            round(self._reception.jitter_ms, 3),
            self._remote_lost,
            round(self._remote_jitter, 3),
            round(self._round_trip * 1000, 3),
            self.unauthentic,
        ]

    def close(self) -> None:
        """Say goodbye and close the sockets."""
        self.unbridge()
        self._house.playout.remove(self)
        self._play, self.waiting_play = None, 0
        # Who has sent nothing at all leaves without a word (RFC 3550 6.3.7).
        if self.outgoing.packets or self._reported:
            self._send_report(time.monotonic(), goodbye=True)
        for sock in (self.rtp, self._rtcp):
            self._house.poll.remove(sock)
            sock.close()


@functools.lru_cache(maxsize=256)
def _kinds(accepts: tuple[tuple[int, str], ...]) -> tuple[int, ...]:
    """The kind of every payload type; there are few such lists, and many legs that share them."""
    names = dict(accepts)
    return tuple(_KINDS.index(names[number]) if number in names else _NO_KIND for number in range(128))


@functools.lru_cache(maxsize=256)
def _ways_to(codec: str, payload_type: int, event_type: int) -> Ways:
    """The ways to a peer; many legs share them, too."""
    spoken = [(payload_type, _TABLES.get((name, codec))) for name in _SPOKEN]
    return (*spoken, (event_type, None) if event_type >= 0 else None)


def _well_formed(data: bytes | bytearray) -> bool:
    """Whether a packet with CSRC list, extension or padding keeps to its length."""
    try:
        payload_bounds(data)
    except RtpError:
        return False
    return True
