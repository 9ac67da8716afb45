"""One leg in a worker: its two sockets, from whom it takes sound, who hears it, what it counts.

``readable`` runs for every packet and is written for speed: a packet is read into one buffer that all legs share,
renumbered there and sent on, no copy is made. What is rare is left to other methods.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from callcenter.media.embedded.control import FIRST, MISSING, ONE_WAY, SILENT, Remote, RemoteKeys, WorkerSettings
from callcenter.media.embedded.datagram import PACKET, USUAL, USUAL_PAYLOAD, USUAL_VIEW, VIEW
from callcenter.media.embedded.ear import NOWHERE, Address, Ear, House
from callcenter.media.embedded.keys import Keys
from callcenter.media.embedded.kinds import EVENT_KIND, KINDS, NO_KIND, NOISE_KIND, kinds, silence_of
from callcenter.media.embedded.reports import Reports, is_rtcp
from callcenter.media.embedded.voice import Voice
from callcenter.media.plane import host_port
from callcenter.rtp.codecs import CODECS
from callcenter.rtp.g711 import FRAME_SAMPLES, SAMPLE_RATE
from callcenter.rtp.oneway import OneWayWatch
from callcenter.rtp.outgoing import MAX_DROPOUT
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

if TYPE_CHECKING:
    from callcenter.media.embedded.srtp import Opener, Sealer

# Sound comes at 50 packets a second, 100 from some phones. What is more is not taken: legs whose peers' addresses
# make a ring would otherwise send to each other without end.
MAX_RATE: Final = 500

# Reports that come so often, in seconds, come.
_REPORTS_WITHIN: Final = 15.0

# Seconds after a new description in which what was on its way from the old address does not catch the leg again.
_FORMER_FOR: Final = 1.0

# Contexts of SRTP that a leg keeps: a peer that changes its key with every description is left with the latest.
MOST_CONTEXTS: Final = 16

_unpack: Final = HEADER.unpack_from
_unpack_lead: Final = LEAD.unpack_from
_monotonic: Final = time.monotonic

Tap = Callable[[str, int, int, bytes, float], None]
"""Takes codec, timestamp, sequence number, payload and time of arrival of each packet of sound."""


class _Hot:
    """What every packet needs, side by side in memory: of 1,600 legs hardly anything is still in a cache."""

    __slots__ = (
        "_accepts",
        "_budget",
        "_direct",
        "_source",
        "_usual",
        "ear",
        "opener",
        "reception",
        "rtp",
        "ssrc",
        "target",
    )


class Leg(_Hot):
    """The sound of one leg, through its two sockets, which it closes."""

    # With so many attributes slots are faster than a dictionary, and 2 kB smaller.
    __slots__ = (
        "_allowance",
        "_bursts_before",
        "_clock_rate",
        "_contexts",
        "_due",
        "_due_since",
        "_former",
        "_former_until",
        "_heard_at",
        "_house",
        "_keys",
        "_lost_before",
        "_missing_after",
        "_more_octets",
        "_one_way",
        "_packets_received",
        "_refused",
        "_remote",
        "_reports",
        "_rtcp",
        "_signalled",
        "_silence_timeout",
        "_strange",
        "_tap",
        "_told_first",
        "_told_missing",
        "_told_silent",
        "_unauthentic_before",
        "_worst_jitter_ms",
        "heard_by",
        "hosts",
        "number",
        "port",
        "row",
        "voice",
    )

    def __init__(
        self, number: int, port: int, rtp: socket.socket, rtcp: socket.socket, house: House, settings: WorkerSettings
    ) -> None:
        self.number = number
        self.port = port
        self.row = -1
        """Where on the board its counters are noted; -1: nowhere."""
        self._usual = -1
        """How the next packet of sound begins when it is like the one before; -1: each one is looked at."""
        self.ear = Ear(number, rtp, house)
        """What the peer hears."""
        self.heard_by: tuple[Ear, ...] = ()
        """Who hears the peer."""
        self.target: Ear | None = None
        """The only one who does, and hears nobody else; None: there are none, or more, or somebody takes notes."""
        self._direct: tuple[Ear, ...] = ()  # who hears the packets themselves
        self.voice: Voice | None = None
        """Decodes the peer's sound, for those who hear it mixed with that of others; None: there are none."""
        self._tap: Tap | None = None
        self._house = house
        self._silence_timeout = settings["silence_timeout"]
        self._missing_after = settings["missing_after"]
        self.rtp = rtp
        self._rtcp = rtcp
        # The peer, as signalled.
        self._remote: Remote | None = None
        self._signalled: Address | None = None
        self.hosts: frozenset[str] = frozenset()
        """From where the peer's packets may come."""
        self._accepts = kinds(())
        self._clock_rate = SAMPLE_RATE
        self._due = False
        self.opener: Opener | None = None
        """Opens what comes; None: it is plain RTP."""
        self._contexts: tuple[Opener | Sealer, ...] = ()
        self._unauthentic_before = 0
        # The peer, as it is.
        self._source: tuple[object, ...] | None = None
        self._former: Address | None = None
        self._former_until = 0.0
        self._told_first = False
        self._told_missing = False
        self._due_since = 0.0
        self._refused = ""
        self._strange = -1
        self.ssrc = -1
        """The peer's stream; -1: there is none yet."""
        self.reception = Reception(0, 0)
        """What was received of it."""
        self._heard_at = 0.0
        self._told_silent = False
        # Counted down, and what was used added up now and then; octets beside those of 20 ms a packet.
        self._budget = self._allowance = MAX_RATE
        self._packets_received = 0
        self._more_octets = 0
        self._lost_before = self._bursts_before = 0
        self._worst_jitter_ms = 0.0
        self._one_way = OneWayWatch(settings["one_way_after"])
        self._keys = Keys(number, house)
        self._reports = Reports(self, rtcp, settings["rtcp_interval"])

        house.poll.add(rtp, self.readable)
        house.poll.add(rtcp, self._reports.readable)

    def __repr__(self) -> str:
        return f"<Leg {self.number} port {self.port} {self.ear}>"

    # The peer

    def set_remote(self, remote: Remote) -> None:
        """The peer's description says this now."""
        self._usual = -1
        now = time.monotonic()
        former = self._remote
        self._remote = remote
        self._accepts = kinds(tuple((number, name) for number, name in remote["accepts"]))
        self.reception.rate = self._clock_rate = CODECS[remote["codec"]].clock_rate
        self.hosts = frozenset(filter(None, (remote["host"], *remote["also_from"])))
        if former is None or (former["host"], former["port"]) != (remote["host"], remote["port"]):
            self._signalled = (remote["host"], remote["port"]) if remote["host"] else None
            self._former = self.ear.destination if self._source is not None else None
            self._former_until = now + _FORMER_FOR
            self._source = None
            self.ear.destination = self._signalled or NOWHERE
        if former is None or (former["rtcp_host"], former["rtcp_port"]) != (remote["rtcp_host"], remote["rtcp_port"]):
            self._reports.destination = (remote["rtcp_host"], remote["rtcp_port"]) if remote["rtcp_port"] else None
        if remote["due"] and not self._due:
            self._heard_at, self._due_since, self._told_silent = now, now, False
        self._due = remote["due"]
        self._reports.mux = remote["rtcp_mux"]
        self._keys.clocks = remote["event_rate"], CODECS[remote["codec"]].clock_rate
        self.ear.set_remote(remote, wants=remote["sends_to"] and self._signalled is not None)
        for ear in self.heard_by:
            ear.tune()
        if remote["keys"] is not None or self.ear.sealer is not None:
            self._set_keys(remote["keys"])

    def _set_keys(self, keys: RemoteKeys | None) -> None:
        """SRTP with these keys from now on. A key that stays goes on with its count of packets (RFC 3711 3.2.1)."""
        ear = self.ear
        if keys is None:
            self._unauthentic_before = self.unauthentic
            self.opener = ear.sealer = None
            return
        from callcenter.media.embedded.srtp import Opener, Sealer

        suite, ours, theirs = keys["suite"], keys["ours"], keys["theirs"]
        if ear.sealer is None or ear.sealer.key != (suite, ours):
            former = (each for each in self._contexts if isinstance(each, Sealer) and each.key == (suite, ours))
            ear.sealer = next(former, None) or Sealer(suite, ours)
            self._keep(ear.sealer)
        if self.opener is None or self.opener.key != (suite, theirs):
            self._unauthentic_before = self.unauthentic
            again = (each for each in self._contexts if isinstance(each, Opener) and each.key == (suite, theirs))
            self.opener = next(again, None) or Opener(suite, theirs)
            self._unauthentic_before -= self.opener.unauthentic
            self._keep(self.opener)

    def _keep(self, context: Opener | Sealer) -> None:
        """A key may come back in a later description: then what was sealed with it before must not be taken, nor may we
        seal two packets by one number.
        """
        if context not in self._contexts:
            self._contexts = (*self._contexts[1 - MOST_CONTEXTS :], context)

    def readable(self) -> None:
        """A datagram waits on the RTP port."""
        try:
            size, addr = self.rtp.recvfrom_into(PACKET)
        except OSError:
            return
        # Nearly every packet is the next one of a stream that is relayed as it is. Each step costs: the processor
        # forgets what it has learnt of a program with every system call.
        lead, sequence, timestamp, ssrc = _unpack_lead(PACKET)
        reception, target = self.reception, self.target
        if (
            lead != self._usual
            or size != USUAL
            or ssrc != self.ssrc
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
            target.outgoing.go_on(PACKET, sequence, timestamp, now)
            try:
                target.rtp.sendto(USUAL_VIEW, target.destination)
            except OSError:
                pass  # the way is full, or there is none: a packet less

    def readable_for_tap(self) -> None:
        """The same, while somebody takes notes: written out once more, so that nobody else pays for it."""
        try:
            size, addr = self.rtp.recvfrom_into(PACKET)
        except OSError:
            return
        lead, sequence, timestamp, ssrc = _unpack_lead(PACKET)
        reception, target, tap = self.reception, self.target, self._tap
        if (
            lead != self._usual
            or size != USUAL
            or ssrc != self.ssrc
            or sequence - reception.highest != 1
            or target is None
            or target.fed_by is not reception
            or addr != self._source
            or tap is None
        ):
            self._take(size, addr)
            return
        budget = self._budget
        if budget:
            self._budget = budget - 1
            now = _monotonic()
            reception.receive(sequence, timestamp, now)
            target.outgoing.go_on(PACKET, sequence, timestamp, now)
            try:
                target.rtp.sendto(USUAL_VIEW, target.destination)
            except OSError:
                pass  # as above
            tap(KINDS[self._accepts[lead & 0x7F]], timestamp, sequence, USUAL_PAYLOAD.tobytes(), now)

    def _take(self, size: int, addr: tuple[object, ...]) -> None:
        """Take the datagram at hand, whatever it is."""
        if not HEADER_SIZE <= size <= MAX_PACKET:
            return
        if self.opener is not None:
            size = self._open(self.opener, size, addr)
            if not size:
                return
        header = first, second, sequence, timestamp, ssrc = _unpack(PACKET)
        if first != VERSION_2 and not (first & 0xC0 == VERSION_2 and _well_formed(PACKET[:size])):
            return
        kind = self._accepts[second & 0x7F]
        if kind == NO_KIND:
            self._stray(bytes(VIEW[:size]), addr)
            return
        # Some gateways send events as a stream apart, beside the sound.
        apart = kind == EVENT_KIND and ssrc != self.ssrc >= 0 and addr == self._source
        if not apart and (addr != self._source or ssrc != self.ssrc) and not self._admit(addr, ssrc, sequence):
            return
        budget = self._budget - 1
        if budget < 0:
            return
        self._budget = budget
        if size != USUAL:
            self._more_octets += size - USUAL
        now = time.monotonic()
        heard_by = self.heard_by
        if kind == EVENT_KIND:
            self._heard_at = now
            start, end = payload_bounds(PACKET[:size])
            payload, marker = bytes(VIEW[start:end]), bool(second & MARKER)
            if apart:
                self._keys.apart(ssrc, payload, timestamp, marker, heard_by, now)
                return
            self.reception.count(sequence)
            heard_by = self._keys.event(ssrc, payload, timestamp, marker, heard_by, now)
            for ear in self.heard_by:
                if ear not in heard_by:
                    ear.omit(self.reception)
        elif kind == NOISE_KIND:
            self._heard_at = now
            self.reception.count(sequence)
        else:
            self.reception.receive(sequence, timestamp, now)
            masked = self._keys.masks(now)
            plain = self._keys.tones is None and self.opener is None and not masked
            self._usual = second | VERSION_2 << 8 if plain and not second & MARKER else -1
            heard_by = self._direct
            if self._keys.tones is not None or self._tap is not None or self.voice is not None:
                start, end = payload_bounds(PACKET[:size])
                payload = bytes(VIEW[start:end])
                if self._keys.tones is not None:
                    self._keys.sound(payload, KINDS[kind], sequence, timestamp, now)
                if self._tap is not None and not masked:
                    self._tap(KINDS[kind], timestamp, sequence, payload, now)
                if self.voice is not None and not masked:
                    self.voice.take(KINDS[kind], sequence, timestamp, payload, now)
            if masked:
                size, header = self._hush(KINDS[kind], size, header)
        if len(heard_by) == 1:
            heard_by[0].hear(self, size, header, kind, now)
        elif heard_by:
            self._spread(heard_by, size, header, kind, now)

    def _hush(self, codec: str, size: int, header: Header) -> tuple[int, Header]:
        """Put silence in the place of the sound at hand: as long, and with nothing of it in the header either, where
        an extension may tell its level (RFC 6464). Returns the new size and header.
        """
        start, end = payload_bounds(PACKET[:size])
        quiet = silence_of(codec, end - start)
        size = HEADER_SIZE + len(quiet)
        VIEW[HEADER_SIZE:size] = quiet
        return size, (VERSION_2, *header[1:])

    def _spread(
        self, heard_by: tuple[Ear, ...], size: int, header: tuple[int, int, int, int, int], kind: int, now: float
    ) -> None:
        """Let several hear the packet at hand, each as if it were the only one."""
        packet = bytes(VIEW[:size])
        for ear in heard_by:
            VIEW[:size] = packet
            ear.hear(self, size, header, kind, now)

    def _open(self, opener: Opener, size: int, addr: tuple[object, ...]) -> int:
        """Open the sealed datagram at hand where it is; returns its new size, 0 when it is not the peer's."""
        # Ciphers are for hosts that were signalled: others would cost us time.
        if str(addr[0]) not in self.hosts:
            self._refused = host_port(str(addr[0]), int(str(addr[1])))
            return 0
        if is_rtcp(PACKET[1]):
            self._reports.received(bytes(VIEW[:size]), addr, False)
            return 0
        opened = opener.open(bytes(VIEW[:size]))
        if opened is None:
            return 0
        size = len(opened)
        VIEW[:size] = opened
        return size

    def _admit(self, addr: tuple[object, ...], ssrc: int, sequence: int) -> bool:
        """Whether to take sound from ``addr``, which is not what came so far: latching.

        The first packet from a host that was signalled latches. From then on another address is taken only when it is
        exactly the one signalled, or when it goes on with the same SSRC and number (a NAT that has moved the port).
        """
        if addr != self._source:
            address: Address = (sys.intern(str(addr[0])), int(str(addr[1])))
            if address[0] not in self.hosts:
                self._refused = host_port(*address)
                return False
            if address == self._signalled:
                pass
            elif self._source is None:
                if address == self._former and time.monotonic() < self._former_until:
                    return False
            elif not (ssrc == self.ssrc and 0 < sequence_step(sequence, self.reception.highest) < MAX_DROPOUT):
                return False
            self._source = address if len(addr) == 2 else addr  # one tuple of IPv4 for both ways
            self._former = None
            self.ear.destination = address
            if not self._told_first:
                self._told_first = True
                self._house.report([FIRST, self.number, host_port(*address)])
        if ssrc != self.ssrc:
            former = self.reception if self.ssrc >= 0 else None
            if former is not None:
                self._lost_before += former.lost
                self._bursts_before += former.bursts
            self.ssrc = ssrc
            self.reception = Reception(ssrc, sequence, self._clock_rate)
            self._keys.restart()
            self._reports.restart(former)
        return True

    def _stray(self, data: bytes, addr: tuple[object, ...]) -> None:
        """A packet of no payload type of ours: RTCP on the wrong port, comfort noise, a keep-alive (RFC 6263)."""
        if is_rtcp(data[1]):
            self._reports.received(data, addr, False)
        elif self._source is None:
            if str(addr[0]) in self.hosts:
                self._strange = data[1] & 0x7F
        elif addr == self._source:
            self._heard_at = time.monotonic()
            for ear in self.heard_by:
                ear.omit(self.reception)

    # Who hears, and who takes notes

    @property
    def tap(self) -> Tap | None:
        """Who gets each packet of sound that is taken; usually None. It must not take long."""
        return self._tap

    @tap.setter
    def tap(self, tap: Tap | None) -> None:
        self._tap = tap
        self._house.poll.change(self.rtp, self.readable_for_tap if tap is not None else self.readable)
        self.settle()

    def mask(self, on: bool) -> None:
        """Whether what the peer presses, and with it all its sound, is a secret."""
        self._keys.mask(on, time.monotonic())
        self._usual = -1

    def listen(self, on: bool) -> None:
        """Whether tones in the peer's sound are keys."""
        self._keys.listen(on)
        self._usual = -1

    def settle(self) -> None:
        """Who hears, or what has to be done with each packet, has changed."""
        self._usual = -1
        self._direct = tuple(ear for ear in self.heard_by if not ear.mixes)
        alone = len(self.heard_by) == len(self._direct) == 1
        self.target = self._direct[0] if alone else None
        rates = [ear.rate for ear in self.heard_by if ear.mixes]
        if not rates:
            self.voice = None
        elif self.voice is None or self.voice.rate < max(rates):
            self.voice = Voice(max(rates))

    def bridge(self, other: Leg) -> None:
        """Both hear each other, and nobody else."""
        if self.ear.sources == (other,) and other.ear.sources == (self,):
            return
        self.unbridge()
        other.unbridge()
        self.ear.listen_to((other,))
        other.ear.listen_to((self,))

    def unbridge(self) -> None:
        """Hear nobody; nor does who hears this leg alone, and is heard by it. Who listens to it goes on."""
        for other in self.ear.sources:
            if other.ear.sources == (self,):
                other.ear.listen_to(())
        self.ear.listen_to(())

    # Upkeep

    def upkeep(self, period: float) -> None:
        """Once every ``period`` seconds: notice silence, send a report when one is due."""
        now = time.monotonic()
        self._packets_received += self._allowance - self._budget
        self._budget = self._allowance = int(MAX_RATE * period) + 50
        silent = now - max(self._heard_at, self._reports.heard_at, self.reception.arrival)
        if not self._due or silent < self._silence_timeout:
            self._told_silent = False
        elif not self._told_silent:
            self._told_silent = True
            self._house.report([SILENT, self.number, round(silent, 3)])
        if self._due and not (self._told_first or self._told_missing) and now - self._due_since >= self._missing_after:
            self._told_missing = True
            seconds = round(now - self._due_since, 3)
            self._house.report([MISSING, self.number, seconds, self._refused, self._strange, self.unauthentic])
        self._worst_jitter_ms = max(self._worst_jitter_ms, self.reception.jitter_ms)
        heard_at = max(self._heard_at, self.reception.arrival)
        peer = self._reports.peer
        for kind, begins, seconds in self._one_way.look(
            now, now - heard_at if self._due and self._told_first else None, peer
        ):
            reports = now - self._reports.heard_at < _REPORTS_WITHIN
            told = [ONE_WAY, self.number, kind.value, begins, round(seconds, 3), reports, self.ear.outgoing.packets]
            self._house.report(told)
        self._reports.upkeep(now)

    @property
    def unauthentic(self) -> int:
        """How many packets the peer's key has not sealed, or had sealed for once only."""
        return self._unauthentic_before + (self.opener.unauthentic if self.opener is not None else 0)

    def counters(self) -> list[float]:
        """The fields of MediaStats, in their order."""
        reception, peer = self.reception, self._reports.peer
        received = self._packets_received + self._allowance - self._budget
        return [
            received,
            self.ear.outgoing.packets,
            received * FRAME_SAMPLES + self._more_octets,
            self.ear.outgoing.octets,
            self._lost_before + (reception.lost if self.ssrc >= 0 else 0),
            round(reception.jitter_ms, 3),
            peer.lost if peer is not None else 0,
            round(peer.jitter * 1000 / self.ear.outgoing.rate, 3) if peer is not None else 0.0,
            round(peer.round_trip * 1000, 3) if peer is not None else 0.0,
            self.unauthentic,
            self._bursts_before + reception.bursts,
            round(max(self._worst_jitter_ms, reception.jitter_ms), 3),
            peer.expected if peer is not None else 0,
            peer.blocks if peer is not None else 0,
        ]

    def close(self) -> None:
        """Say goodbye and close the sockets."""
        self.tap = None
        for ear in self.heard_by:
            ear.listen_to(tuple(leg for leg in ear.sources if leg is not self))
        self.ear.close()
        self._reports.goodbye()
        for sock in (self.rtp, self._rtcp):
            self._house.poll.remove(sock)
            sock.close()


def _well_formed(data: bytes | bytearray) -> bool:
    """Whether a packet with CSRC list, extension or padding keeps to its length."""
    try:
        payload_bounds(data)
    except RtpError:
        return False
    return True
