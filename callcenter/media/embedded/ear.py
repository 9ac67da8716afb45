"""Ear: what the peer of one leg hears. Nobody, another leg, the sum of several, or a play that stands in for them.

One leg whose codec is the peer's is relayed as it is, whatever the length of its packets; one of another codec is
decoded and encoded packet by packet, without waiting for what may be late, which is left to the peer. Several are
mixed at the peer's pace, each from the jitter buffer of its voice; and so is one whose packets the peer cannot take.

``hear`` runs for packets that are not like the one before; what is like it goes past, see ``Leg.readable``.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

from callcenter.media.embedded.clips import FRAME_MS
from callcenter.media.embedded.control import ENDED, Message, Remote
from callcenter.media.embedded.datagram import PACKET, VIEW
from callcenter.media.embedded.kinds import EVENT_KIND, KINDS, NO_WAYS, Ways, ways_to
from callcenter.media.embedded.play import Play
from callcenter.media.embedded.poll import Poll
from callcenter.media.embedded.presses import Presses, Rest
from callcenter.media.embedded.voice import UNIT
from callcenter.media.embedded.wheel import Turning, Wheel, Wheels
from callcenter.rtp.codecs import CODECS, AudioCodec, Decoder, Encoder
from callcenter.rtp.dtmf import EventPacket
from callcenter.rtp.mixer import mix
from callcenter.rtp.outgoing import Outgoing
from callcenter.rtp.packet import HEADER_SIZE, MAX_PACKET, VERSION_2, Header, payload_bounds, timestamp_step
from callcenter.rtp.resample import NARROW, WIDE
from callcenter.rtp.statistics import Reception

if TYPE_CHECKING:
    from callcenter.media.embedded.leg import Leg
    from callcenter.media.embedded.srtp import Sealer

Address = tuple[str, int]

NOWHERE: Final[Address] = ("", 0)
"""Nothing is sent there: the peer does not want to hear."""

# Of a payload.
_MOST_OCTETS: Final = MAX_PACKET - HEADER_SIZE

# Milliseconds of sound that a packet may hold: Opus has frames of no other length (RFC 6716 2.1.4).
_LENGTHS: Final = (10, 20, 30, 40, 50, 60)
_WHOLE_LENGTHS: Final = (10, 20, 40, 60)

_OCTETS: Final = 2  # of a sample
_UNIT_MS: Final = 10


class House(Protocol):
    """What a leg needs of its worker."""

    poll: Poll
    """Tells when a datagram waits on a socket."""
    wheels: Wheels
    """Turn at their pace for ears to which something is played or mixed."""

    def report(self, message: Message) -> None:
        """Tell the plane."""
        ...


class Ear:
    """What is sent to the peer of leg ``number``, through its socket."""

    __slots__ = (
        "_clock",
        "_codec",
        "_decoders",
        "_encoder",
        "_event_rate",
        "_event_type",
        "_fmtp",
        "_house",
        "_most",
        "_most_ms",
        "_number",
        "_payload_type",
        "_play",
        "_presses",
        "_pressing",
        "_ptime",
        "_repacks",
        "_sends_to",
        "_until",
        "_ways",
        "_wheel",
        "destination",
        "fed_by",
        "mixes",
        "outgoing",
        "rate",
        "rtp",
        "sealer",
        "sources",
        "waiting_play",
    )

    def __init__(self, number: int, rtp: socket.socket, house: House) -> None:
        self._number = number
        self._house = house
        self.rtp = rtp
        self.destination = NOWHERE
        """Where the peer is, as far as is known."""
        self.sources: tuple[Leg, ...] = ()
        """Whose sound is heard."""
        self.fed_by: Reception | None = None
        """Whose packets of sound the peer hears at present, untranslated and unless a play stands in for them."""
        self.sealer: Sealer | None = None
        """Seals what is sent; None: it is plain RTP."""
        self.waiting_play = 0
        """Number of the play whose clips are still being loaded; 0: none."""
        self._play: Play | None = None
        self._presses: Presses | None = None
        # Whether keys are heard now in place of all else.
        self._pressing = False
        self._sends_to = False
        self._codec: AudioCodec | None = None
        self._fmtp = ""
        self._payload_type = 0
        self._event_type = -1
        self._event_rate = 0
        self._ptime = FRAME_MS
        # Of sound that the peer takes in one packet: milliseconds, and octets where they tell how long it is.
        self._most_ms = _LENGTHS[-1]
        self._most = _MOST_OCTETS
        self._ways: Ways = NO_WAYS
        # What is decoded and encoded, and at which rate.
        self.rate = NARROW
        """Samples a second of sound that is not relayed as it is."""
        self.mixes = False
        """Whether the peer hears what is mixed, at its own pace."""
        self._repacks = False  # whether a single source's packets are not the peer's
        self._encoder: Encoder | None = None
        self._decoders: dict[str, Decoder] | None = None
        self._clock: _Clock | None = None
        self._until = 0  # the unit up to which the peer was sent what is mixed
        self._wheel: Wheel[Turning] | None = None
        # The number begins in the lower half: with SRTP a peer that misses the first packets would take a wrap soon
        # after for none, and open nothing from there on (RFC 3711 3.3.1).
        self.outgoing = Outgoing(random.getrandbits(32), random.getrandbits(15), random.getrandbits(32))

    def __repr__(self) -> str:
        heard = ", ".join(str(leg.number) for leg in self.sources) or "nobody"
        return f"<Ear {self._number} at {self.destination} hears {'a play' if self._play else heard}>"

    @property
    def codec(self) -> AudioCodec | None:
        """What the peer is sent; None before its description is known."""
        return self._codec

    @property
    def wide(self) -> bool:
        """Whether the peer hears more than a telephone's 3.4 kHz."""
        return self._codec is not None and self._codec.wide

    def set_remote(self, remote: Remote, *, wants: bool) -> None:
        """The peer's description says this now; ``wants``: the peer wants to hear."""
        self._sends_to = wants
        codec = CODECS[remote["codec"]]
        if (codec, remote["fmtp"]) != (self._codec, self._fmtp):
            self._codec, self._fmtp, self._encoder = codec, remote["fmtp"], None
            self.outgoing.count_at(codec.clock_rate, random.getrandbits(32))
        self._payload_type = remote["payload_type"]
        self._event_type, self._event_rate = remote["event_type"], remote["event_rate"]
        self._ptime, self._most = remote["ptime"], _MOST_OCTETS
        self._most_ms = remote["maxptime"] or _LENGTHS[-1]
        if codec.octets is not None:
            self._most_ms = min(self._most_ms, _MOST_OCTETS // codec.octets)
            self._ptime = min(self._ptime, self._most_ms // _UNIT_MS * _UNIT_MS or _UNIT_MS)
            if remote["maxptime"]:
                self._most = self._most_ms * codec.octets
        self._ways = ways_to(remote["codec"], remote["payload_type"], remote["event_type"])
        self._repacks = False
        self.tune()

    @property
    def event_clocks(self) -> tuple[int, int]:
        """Units a second in which the peer counts durations of events, and their timestamps; nothing: it takes none."""
        taken = self._event_type >= 0 and self._codec is not None
        return (self._event_rate, self._codec.clock_rate) if taken and self._codec is not None else (0, 0)

    # Other legs

    def listen_to(self, sources: Sequence[Leg]) -> None:
        """Hear these legs from now on, and nobody else."""
        former, self.sources = self.sources, tuple(sources)
        if self.sources == former:
            return
        for leg in former:
            if leg not in self.sources:
                leg.heard_by = tuple(ear for ear in leg.heard_by if ear is not self)
        for leg in self.sources:
            if self not in leg.heard_by:
                leg.heard_by = (*leg.heard_by, self)
        self._repacks = False
        self._decoders = self._clock = None
        self.tune()
        for leg in former:
            leg.settle()

    def tune(self) -> None:
        """Who is heard, or the codec of one of them or of the peer, has changed."""
        self.fed_by = None
        rate = WIDE if self.wide and any(leg.ear.wide for leg in self.sources) else NARROW
        if rate != self.rate:
            self.rate = rate
            self._encoder = self._decoders = None
        self.mixes = self._codec is not None and (len(self.sources) > 1 or (self._repacks and bool(self.sources)))
        for leg in self.sources:
            leg.settle()
        self._go_round()

    def hear(self, leg: Leg, size: int, header: Header, kind: int, now: float) -> None:
        """Send the peer the packet at hand, which another leg received; not while something is played to it."""
        if self._play is not None or self._pressing or not self._sends_to:
            return
        way, feed = self._ways[kind], leg.reception
        if way is None or self.mixes:
            self.outgoing.omit(feed)
            return
        payload_type, table, anew = way
        if anew:
            self._hear_anew(leg, size, header, KINDS[kind], now)
            return
        if size - HEADER_SIZE > self._most:
            self._repack()
            return
        event = kind == EVENT_KIND
        self.fed_by = feed if table is None and not event and self.sealer is None else None
        if self.outgoing.relay(feed, PACKET, size, header, payload_type, table, event, now):
            self._send(VIEW[:size])

    def _hear_anew(self, leg: Leg, size: int, header: Header, codec: str, now: float) -> None:
        """Send the peer the packet at hand, in the peer's codec."""
        assert self._codec is not None, "nothing is sent without a codec"
        if self._decoders is None:
            self._decoders = {}
        decoder = self._decoders.get(codec)
        if decoder is None:
            decoder = self._decoders[codec] = CODECS[codec].decoder(self.rate)
        start, end = payload_bounds(PACKET[:size])
        sound = decoder.decode(bytes(VIEW[start:end]))
        ms = len(sound) / _OCTETS * 1000 / self.rate
        if ms > self._most_ms or ms not in (_LENGTHS if self._codec.octets is not None else _WHOLE_LENGTHS):
            self._repack()
            return
        payload = self._encode(sound)
        size = HEADER_SIZE + len(payload)
        VIEW[HEADER_SIZE:size] = payload
        _, second, sequence, timestamp, ssrc = header
        timestamp = self._clock_from(CODECS[codec].clock_rate).time(timestamp)
        header = (VERSION_2, second, sequence, timestamp, ssrc)
        if self.outgoing.relay(leg.reception, PACKET, size, header, self._payload_type, None, False, now):
            self._send(VIEW[:size])

    def _encode(self, sound: bytes) -> bytes:
        assert self._codec is not None, "nothing is sent without a codec"
        if self._encoder is None:
            self._encoder = self._codec.encoder(self.rate, self._fmtp)
        return self._encoder.encode(sound)

    def _clock_from(self, rate: int) -> _Clock:
        assert self._codec is not None, "nothing is sent without a codec"
        if self._clock is None or (self._clock.rate, self._clock.to) != (rate, self._codec.clock_rate):
            self._clock = _Clock(rate, self._codec.clock_rate)
        return self._clock

    def _repack(self) -> None:
        """The packets of the only source are not of a length that the peer takes: make others of their sound."""
        self._repacks = True
        self.tune()

    def omit(self, feed: Reception) -> None:
        """A packet of the other leg is not for the peer."""
        self.outgoing.omit(feed)

    def _send(self, packet: bytes | memoryview) -> None:
        if self.sealer is not None:
            sealed = self.sealer.seal(bytes(packet))
            if sealed is None:
                return
            packet = sealed
        try:
            self.rtp.sendto(packet, self.destination)
        except OSError:
            pass  # the way is full, or there is none: a packet less

    # At the peer's pace

    def play(self, play: Play) -> None:
        """Play this in place of what plays now."""
        self.stop()
        self._play, self.fed_by = play, None
        self._go_round()

    def stop(self) -> None:
        """Stop what plays or waits to be played."""
        number, self.waiting_play = self.waiting_play, 0
        if number:
            self._house.report([ENDED, self._number, number, False])
        if self._play is not None:
            self._end_play(complete=False)

    def turn(self, at: float) -> None:
        """The next packet's turn, its deadline ``at``. A peer that does not want to hear misses it."""
        if self._presses is not None and self._press_on(self._presses, at):
            return
        if self._play is not None:
            self._play_on(self._play, at)
        elif self.mixes and self._sends_to and self._pace == self._ptime:
            self._mix(at)

    def _play_on(self, play: Play, at: float) -> None:
        payload = play.next_packet(self._codec, self._pace)
        if payload is None:
            self._end_play(complete=True)
        elif self._sends_to and self._codec is not None:
            ticks = self._codec.ticks(self._pace)
            self._send(self.outgoing.frame(play, self._payload_type, payload, at, ticks))

    def _end_play(self, complete: bool) -> None:
        play, self._play = self._play, None
        self._go_round()
        if play is not None:
            self._house.report([ENDED, self._number, play.number, complete])

    def _mix(self, at: float) -> None:
        assert self._codec is not None, "nothing is mixed without a codec"
        count = self._ptime // _UNIT_MS
        until, latest = self._until + count, int(at / UNIT)
        if abs(latest - until) > 1:
            until = latest  # it begins, or what was missed is left out
        self._until = until
        voices = [leg.voice for leg in self.sources]
        sounds = [voice.read(self.rate, until, count, at) for voice in voices if voice is not None]
        sounds = [sound for sound in sounds if sound]
        if not sounds:
            self.outgoing.rest()
            return
        payload = self._encode(mix(sounds))
        self._send(self.outgoing.frame(self, self._payload_type, payload, at, self._codec.ticks(self._ptime)))

    @property
    def _pace(self) -> int:
        """Milliseconds from packet to packet: of a clip, whose packets may be whole, a frame."""
        if self._presses is not None:
            return self._presses.ms
        whole = self._play is not None and self._codec is not None and self._codec.octets is None
        return FRAME_MS if whole else self._ptime

    def _go_round(self) -> None:
        """Be on the wheel of the right pace, or on none."""
        needed = self._play is not None or self._presses is not None or self.mixes
        wheel = self._house.wheels.every(self._pace) if needed else None
        if wheel is not self._wheel:
            if self._wheel is not None:
                self._wheel.remove(self)
            self._wheel = wheel
            if wheel is not None:
                wheel.add(self)

    # Keys

    def press(self, keys: str, duration: float, pause: float) -> None:
        """Press keys, behind those that are being pressed; the peer hears nothing else meanwhile, a play waits."""
        if self._codec is None:
            return
        if self._presses is None:
            # Of a codec whose packets are whole, a frame; else the peer's own length.
            ms = FRAME_MS if self._codec.octets is None else self._ptime
            rate = self._event_rate if self._event_type >= 0 else 0
            self._presses = Presses(self._codec, self._fmtp, rate, ms)
            self._pressing, self.fed_by = True, None
            self._go_round()
        self._presses.add(keys, duration, pause)

    def _press_on(self, presses: Presses, at: float) -> bool:
        """The next packet of the keys; False when they let the peer hear something else."""
        frame = presses.next_frame()
        self._pressing = frame is not None and frame is not Rest.LONG
        if frame is None:
            self._presses = None
            self._go_round()
            return False
        if not self._pressing:
            return False
        self.fed_by = None
        if not self._sends_to or self._codec is None:
            return True
        if isinstance(frame, EventPacket):
            if frame.marker:
                presses.start = self.outgoing.begin_event(at)
            # Durations may be counted more slowly than the time of the sound.
            timestamp = presses.start + frame.offset * self._codec.clock_rate // presses.event_rate
            self._send(self.outgoing.event(presses, self._event_type, frame, timestamp))
        elif isinstance(frame, bytes):
            self._send(self.outgoing.frame(presses, self._payload_type, frame, at, self._codec.ticks(presses.ms)))
        return True

    def close(self) -> None:
        """Hear nothing any more; nothing is told."""
        self._play, self._presses, self.waiting_play = None, None, 0
        self.listen_to(())
        self._go_round()


class _Clock:
    """Tells the timestamps of a stream of ``rate`` units a second by those of one of ``to``."""

    __slots__ = ("_time", "rate", "to")

    def __init__(self, rate: int, to: int) -> None:
        self.rate = rate
        self.to = to
        self._time = 0  # of the latest packet, over the wrap

    def time(self, timestamp: int) -> int:
        """The time of this packet, one that overtook or was overtaken included."""
        self._time += timestamp_step(timestamp, self._time & 0xFFFFFFFF)
        return self._time * self.to // self.rate & 0xFFFFFFFF
