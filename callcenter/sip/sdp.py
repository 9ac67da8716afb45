"""Session descriptions (RFC 4566) and what two of them agree on (RFC 3264): read tolerantly, written strictly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from itertools import pairwise

from callcenter.sip.crypto import MAX_CRYPTO, OFFERED, Crypto, Keys, Security, Suite
from callcenter.sip.errors import SdpError, SdpNotAcceptable
from callcenter.sip.payload_types import PayloadTypes

# A browser's offer has some 6 KiB and 200 lines, a phone's below 1 KiB.
MAX_SDP = 32_768
MAX_LINES = 1_000
# Media lines of one description, and formats of one media line.
MAX_MEDIA = 32
MAX_FORMATS = 64
# An IPv6 address in text has 45 characters at most, and perhaps the name of an interface behind it.
MAX_ADDRESS = 64
# Version and session id are 64-bit numbers in earnest.
MAX_DIGITS = 20

# The order of the lines that are only carried along (RFC 4566 5): i u e p stand before c, b after it, r z k after t.
_OTHERS = "iuepbrzk"

DEFAULT_PTIME = 20
"""Milliseconds of sound in a packet when nobody says otherwise (RFC 3551 4.2)."""

Attributes = tuple[tuple[str, str | None], ...]
Encoding = tuple[str, int, int]
"""Name, clock rate and channels: what a codec is, by whatever payload type."""

# The profiles of RTP that we speak, with feedback (RFC 4585) or without: plain, and by SRTP (RFC 3711, 5124).
_PLAIN = ("RTP/AVP", "RTP/AVPF")
_SECURE = ("RTP/SAVP", "RTP/SAVPF")

_NO_KEYS = "SRTP is offered, and no keys are taken: it is off, or the signalling is not TLS"


class Direction(StrEnum):
    """Which way the sound goes, seen from whoever says it."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @staticmethod
    def of(*, sends: bool, receives: bool) -> Direction:
        """The direction of one who sends, receives, both or neither."""
        if sends:
            return Direction.SENDRECV if receives else Direction.SENDONLY
        return Direction.RECVONLY if receives else Direction.INACTIVE

    @property
    def sends(self) -> bool:
        """Whether the one who says it sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the one who says it receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    def answered_by(self, wish: Direction) -> Direction:
        """Our side of it: what the peer's direction leaves of our wish (RFC 3264 6.1)."""
        return Direction.of(sends=self.receives and wish.sends, receives=self.sends and wish.receives)


@dataclass(frozen=True, slots=True)
class Codec:
    """A way to encode sound, and the payload type by which we offer it."""

    name: str
    payload_type: int
    rate: int = 8000
    channels: int = 1
    fmtp: str = ""

    @property
    def encoding(self) -> Encoding:
        """What it is, by whatever payload type, and however it is spelled."""
        name = self.name.lower()
        if name == "opus":
            return name, self.rate, 2  # says always two (RFC 7587 7), and some leave them out
        if name == "g722" and self.rate == 16000:
            return name, 8000, self.channels  # some say how often it samples; its clock is 8000 (RFC 3551 4.5.2)
        return name, self.rate, self.channels

    def same_as(self, other: Codec) -> bool:
        """Whether both are the same encoding, by whatever payload type."""
        return self.encoding == other.encoding

    def by(self, payload_type: int) -> Codec:
        """The same codec by this payload type."""
        return self if payload_type == self.payload_type else replace(self, payload_type=payload_type)

    @property
    def rtpmap(self) -> str:
        """The value of the rtpmap attribute, without the payload type."""
        return f"{self.name}/{self.rate}" + (f"/{self.channels}" if self.channels > 1 else "")


PCMU = Codec("PCMU", 0)
PCMA = Codec("PCMA", 8)
G722 = Codec("G722", 9)
OPUS = Codec("opus", 111, 48000, 2, "maxplaybackrate=16000;sprop-maxcapturerate=16000")
"""As we take and send it: wide-band, by the number that browsers use."""
L16 = Codec("L16", 112, 16000)
COMFORT_NOISE = Codec("CN", 13)
TELEPHONE_EVENT = "telephone-event"
TELEPHONE_EVENT_TYPE = 101
"""The payload type that nearly everybody uses for telephone events."""
DIGIT_EVENTS = "0-15"
"""The events of RFC 4733 that we understand: 0-9, *, #, A-D."""

# The usual payload types of telephone events with the clock of wide-band codecs.
_WIDE_EVENTS = {48000: 110, 16000: 113}

# Where RTP and RTCP share a port, these payload types would be taken for reports (RFC 5761 4).
_LIKE_REPORTS = range(64, 96)

# Milliseconds of sound that a packet of Opus can hold and that we send (RFC 7587 6.1: whole frames).
_OPUS_PTIMES = (60, 40, 20, 10)

# Payload types that mean something without rtpmap (RFC 3551 6).
STATIC = {
    codec.payload_type: codec
    for codec in (
        PCMU,
        Codec("GSM", 3),
        Codec("G723", 4),
        PCMA,
        G722,
        Codec("L16", 10, 44100, 2),
        Codec("L16", 11, 44100),
        COMFORT_NOISE,
        Codec("G728", 15),
        Codec("G729", 18),
    )
}


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line: who describes, and the version, which grows by one with every change (RFC 3264 8)."""

    session_id: int
    version: int
    address: str
    username: str = "-"

    def __str__(self) -> str:
        return f"{self.username} {self.session_id} {self.version} IN {_family(self.address)} {self.address}"


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One m= line and what stands below it. ``port`` 0: refused, or taken away."""

    kind: str
    port: int
    protocol: str = "RTP/AVP"
    formats: tuple[str, ...] = ("0",)
    connection: str | None = None
    attributes: Attributes = ()
    port_count: int = 1
    others: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        shown = _without_keys(self.attributes)
        return f"<m={self.kind} {self.port} {self.protocol} {self.formats} {self.connection} {shown}>"

    def attribute(self, name: str) -> str | None:
        """The value of the first attribute of that name; ``""`` for one without value, None when it is not there."""
        return _attribute(self.attributes, name)

    @property
    def direction(self) -> Direction | None:
        """The direction, when this line says one of its own."""
        return _direction(self.attributes)

    @property
    def ptime(self) -> int | None:
        """Milliseconds of sound that the describer wants in a packet."""
        return _milliseconds(self.attribute("ptime"))

    @property
    def maxptime(self) -> int | None:
        """Milliseconds of sound that the describer takes in a packet at most."""
        return _milliseconds(self.attribute("maxptime"))

    def codec(self, format: str) -> Codec | None:
        """The codec of a format of this line, by rtpmap or, without one, by its static payload type."""
        return _codec(format, self.attributes)

    def fmtp(self, format: str) -> str:
        """The parameters of a format; empty when there are none."""
        return _about(format, "fmtp", self.attributes) or ""

    def codecs(self) -> list[Codec]:
        """The codecs in order of preference; formats that mean nothing to us are left out."""
        return list(_codecs(self.formats, tuple([pair for pair in self.attributes if pair[0] in _OF_CODECS])))

    def telephone_event(self, rate: int) -> int | None:
        """The payload type of telephone events at this clock rate (RFC 4733)."""
        return next((event.payload_type for event in self.events() if event.rate == rate), None)

    def events(self) -> list[Codec]:
        """Telephone events, one for each clock rate."""
        return [codec for codec in self.codecs() if codec.name.lower() == TELEPHONE_EVENT]

    def events_beside(self, codec: Codec) -> Codec | None:
        """The telephone events that go with a codec: with its clock (RFC 4733 2.1), else, as many say, with 8000."""
        events = {event.rate: event for event in reversed(self.events())}
        return events.get(codec.rate) or (events.get(8000) if codec.rate > 8000 else None)

    @property
    def rtcp_mux(self) -> bool:
        """Whether its RTCP can come and go by the port of its RTP (RFC 5761)."""
        return self.attribute("rtcp-mux") is not None

    def cryptos(self) -> list[Crypto]:
        """The crypto lines that we can use, in the describer's order."""
        values = [value for name, value in self.attributes if name.lower() == "crypto" and value is not None]
        return [crypto for crypto in map(Crypto.parse, values[:MAX_CRYPTO]) if crypto is not None]

    def refused(self) -> MediaDescription:
        """The answer to this line that says no (RFC 3264 6): port 0, the formats repeated."""
        return MediaDescription(self.kind, 0, self.protocol, self.formats)

    def lines(self) -> list[str]:
        """The m= line and what stands below it."""
        count = f"/{self.port_count}" if self.port_count != 1 else ""
        out = [f"m={self.kind} {self.port}{count} {self.protocol} {' '.join(self.formats)}"]
        out += [f"i={value}" for key, value in self.others if key == "i"]
        if self.connection is not None:
            out.append(f"c=IN {_family(self.connection)} {self.connection}")
        out += [f"{key}={value}" for key, value in self.others if key != "i"]
        return out + _attribute_lines(self.attributes)


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A session description. ``connection`` is the address that media lines without their own have."""

    origin: Origin
    media: tuple[MediaDescription, ...] = ()
    connection: str | None = None
    attributes: Attributes = ()
    name: str = "-"
    times: tuple[str, ...] = ("0 0",)
    others: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"<SessionDescription {self.origin} {self.connection} {_without_keys(self.attributes)} {self.media}>"

    @classmethod
    def parse(cls, data: bytes) -> SessionDescription:
        """Read a description. Bare LF, missing s= and t= and unknown lines are borne. Raises SdpError."""
        return _Reader(data).read()

    def to_bytes(self) -> bytes:
        """The description as it goes out. Raises ValueError when a value holds a line end."""
        out = ["v=0", f"o={self.origin}", f"s={self.name}"]
        out += [f"{key}={value}" for key, value in self.others if key in "iuep"]
        if self.connection is not None:
            out.append(f"c=IN {_family(self.connection)} {self.connection}")
        out += [f"b={value}" for key, value in self.others if key == "b"]
        out += [f"t={value}" for value in self.times]
        out += [f"{key}={value}" for key, value in self.others if key in "rzk"]
        out += _attribute_lines(self.attributes)
        for media in self.media:
            out += media.lines()
        text = "\n".join(out)
        if "\r" in text or text.count("\n") != len(out) - 1:
            raise ValueError("line end in a value of a session description")
        return (text.replace("\n", "\r\n") + "\r\n").encode()

    def direction_of(self, media: MediaDescription) -> Direction:
        """The direction of a media line: its own, else the session's, else sendrecv."""
        return media.direction or _direction(self.attributes) or Direction.SENDRECV

    def address_of(self, media: MediaDescription) -> str | None:
        """The address of a media line: its own, else the session's."""
        return media.connection or self.connection

    def rtcp_of(self, media: MediaDescription) -> tuple[str, int] | None:
        """Where RTCP of a media line goes: the rtcp attribute (RFC 3605), else the next port."""
        address = self.address_of(media)
        if address is None:
            return None
        port, _, rest = (media.attribute("rtcp") or "").partition(" ")
        if port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65535:
            words = rest.split()
            return (words[2] if len(words) == 3 and _is_address(words[2]) else address), int(port)
        return (address, media.port + 1) if media.port < 65535 else None

    def after(self, previous: SessionDescription) -> SessionDescription:
        """The description as successor of our last one: same session, the version raised by one if anything changed."""
        unchanged = replace(self, origin=previous.origin)
        if unchanged == previous:
            return previous
        return replace(self, origin=replace(previous.origin, version=previous.origin.version + 1))


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What an offer and its answer agree on, seen from our side.

    ``description`` is ours: the answer to send, or the offer that was answered. Packets that we send carry
    ``payload_type`` (digits ``telephone_event``) and go to ``remote``; those that we receive carry the ``receive_``
    ones. ``remote`` and ``rtcp`` are None while the peer takes nothing (address 0.0.0.0). ``direction`` is our side.
    With ``keys`` all of it is SRTP, without it is plain RTP. ``ptime``: milliseconds of sound in a packet that we send.
    ``maxptime``: the most that the peer takes; 0: it does not say. ``event_rate``: timestamp units a second of
    telephone events. ``fmtp``: what the peer says of the codec. With ``rtcp_mux`` reports come and go by the port of
    the sound, both ways.
    """

    description: SessionDescription
    codec: Codec
    payload_type: int
    receive_payload_type: int
    telephone_event: int | None
    receive_telephone_event: int | None
    remote: tuple[str, int] | None
    rtcp: tuple[str, int] | None
    direction: Direction
    remote_holds: bool
    ptime: int
    keys: Keys | None = None
    event_rate: int = 8000
    maxptime: int = 0
    fmtp: str = ""
    rtcp_mux: bool = False


def negotiate(
    offer: SessionDescription,
    supported: Sequence[Codec],
    *,
    host: str,
    port: int,
    session_id: int,
    version: int = 0,
    direction: Direction = Direction.SENDRECV,
    prefer: Codec | None = None,
    rtcp_port: int | None = None,
    previous: SessionDescription | None = None,
    security: Security | None = None,
    rank: Callable[[Codec], int] | None = None,
    rtcp_mux: bool = False,
) -> Negotiated:
    """Answer an offer (RFC 3264 6): the first audio line that we can serve is taken, every other one refused.

    The codec is ``prefer`` if it is offered, else the first of the offer that is ``supported``, of those with the
    lowest ``rank``; telephone events are taken by whatever payload type they are offered. ``host`` and ``port`` are
    where we receive, ``direction`` is what we wish. With ``previous``, our last description of this session, the answer
    follows on it (session id, version). ``rtcp_mux``: we can do with one port, if that is offered.

    With ``security`` the first crypto line that we speak is taken, whatever the profile (RFC 4568 5.1.2, RFC 8643),
    and answered with our own key: the one that we had for this suite, else a new one. Without it, or without such a
    line, RTP/SAVP is refused and RTP/AVP answered in plain, which ``security.required`` refuses as well.

    Raises SdpNotAcceptable (488) when no line can be served, SdpError (400) when the offer makes no sense.
    """
    index, common, crypto = _first_served(offer, supported, security)
    theirs = offer.media[index]
    own = _own_crypto(crypto, previous, security)
    codec, said = _chosen(common, prefer, rank)
    events = theirs.events_beside(codec)
    mux = rtcp_mux and _can_mux(theirs, (codec, *(() if events is None else (events,))))
    ptime = _packet_time(theirs, codec)
    peer = _peer_direction(offer, theirs)
    ours = MediaDescription(
        "audio",
        port,
        theirs.protocol,
        (str(codec.payload_type), *(() if events is None else (str(events.payload_type),))),
        attributes=(
            *_crypto_attributes(own),
            *_audio_attributes([codec], [] if events is None else [events], ptime, peer.answered_by(direction)),
            *_rtcp_attributes(port, rtcp_port, mux),
        ),
    )
    answer = SessionDescription(
        Origin(session_id, version, host),
        tuple(ours if each == index else media.refused() for each, media in enumerate(offer.media)),
        host,
    )
    if previous is not None:
        answer = answer.after(previous)
    return Negotiated(
        answer,
        codec,
        codec.payload_type,
        codec.payload_type,
        None if events is None else events.payload_type,
        None if events is None else events.payload_type,
        *_remote(offer, theirs, mux),
        direction=peer.answered_by(direction),
        remote_holds=not peer.receives,
        ptime=ptime,
        maxptime=theirs.maxptime or 0,
        keys=None if crypto is None else Keys(crypto.suite, own[0].key, crypto.key),
        event_rate=8000 if events is None else events.rate,
        fmtp=said,
        rtcp_mux=mux,
    )


def make_offer(
    codecs: Sequence[Codec],
    *,
    host: str,
    port: int,
    session_id: int,
    version: int = 0,
    direction: Direction = Direction.SENDRECV,
    telephone_event: int | None = TELEPHONE_EVENT_TYPE,
    rtcp_port: int | None = None,
    previous: SessionDescription | None = None,
    security: Security | None = None,
    numbers: PayloadTypes | None = None,
    rtcp_mux: bool = False,
) -> SessionDescription:
    """An offer of one audio line, the codecs in order of preference, each with the telephone events of its clock.

    With ``previous``, our last description of this session, the offer follows on it (RFC 3264 8): its session id, the
    version raised by one if anything changed, its media lines kept in place, its payload types, profile and keys kept.
    ``numbers`` know the payload types of the whole session, where they are to stay although they were not in
    ``previous``. With ``security`` keys are offered, the suite in use first; see there for the profile. ``rtcp_mux``
    offers to do with one port.
    """
    protocol = "RTP/SAVP" if security is not None and (security.required or security.insists) else "RTP/AVP"
    line = None if previous is None else _audio_line(previous)
    if numbers is None:
        numbers = PayloadTypes()
        if previous is not None:
            numbers.learn(previous)
    ptime = DEFAULT_PTIME
    if previous is not None and line is not None:
        before = previous.media[line]
        ptime = before.ptime or ptime
        if before.port:
            protocol = before.protocol
    wished = [*codecs, *([] if telephone_event is None else _offered_events(codecs, telephone_event))]
    numbered = list(numbers.numbered(wished))
    events = [each for each in numbered if each.name == TELEPHONE_EVENT]
    audio = MediaDescription(
        "audio",
        port,
        protocol,
        tuple(str(each.payload_type) for each in numbered),
        attributes=(
            *_crypto_attributes(_offered_cryptos(previous, security)),
            *_audio_attributes(numbered[: len(numbered) - len(events)], events, ptime, direction),
            *_rtcp_attributes(port, rtcp_port, rtcp_mux),
        ),
    )
    media = [] if previous is None else [each.refused() for each in previous.media]
    if line is None:
        media.append(audio)
    else:
        media[line] = audio
    offer = SessionDescription(Origin(session_id, version, host), tuple(media), host)
    return offer if previous is None else offer.after(previous)


def read_answer(
    offer: SessionDescription,
    answer: SessionDescription,
    security: Security | None = None,
    prefer: Codec | None = None,
) -> Negotiated:
    """What the peer's answer to our offer leaves (RFC 3264 7).

    Its ``description`` is our offer, with the profile of the answer where that may differ. The codec is ``prefer`` if
    the answer takes it at all, since any that it takes may be sent, else the answer's first.

    Raises SdpNotAcceptable when our audio line was refused, or would be plain where ``security`` requires SRTP;
    SdpError when the answer does not fit the offer.
    """
    if len(answer.media) != len(offer.media):
        raise SdpError("the answer has not as many media lines as the offer")
    line = _audio_line(offer)
    if line is None or offer.media[line].port == 0:
        raise SdpError("the offer has no audio line")
    ours, theirs = offer.media[line], answer.media[line]
    if theirs.kind.lower() != "audio":
        raise SdpError("the answer changes the kind of a media line")
    if theirs.port == 0:
        raise SdpNotAcceptable("the audio line was refused")
    keys = _agreed_keys(ours, theirs)
    if theirs.protocol.upper() != ours.protocol.upper():
        if keys is None or theirs.protocol.upper() not in _SECURE:
            raise SdpError("the answer changes the protocol of a media line")
        # Some answer RTP/SAVP to RTP/AVP with keys; so does who refused that and was offered RTP/SAVP next.
        secured = replace(ours, protocol=theirs.protocol)
        offer = replace(offer, media=(*offer.media[:line], secured, *offer.media[line + 1 :]))
    if keys is None and (ours.protocol.upper() in _SECURE or (security is not None and security.required)):
        raise SdpNotAcceptable("the answer takes no key of the offer")
    found = _answered_codec(ours, theirs, prefer)
    if found is None:
        raise SdpNotAcceptable("the answer takes no codec of the offer")
    codec, payload_type, said = found
    address = answer.address_of(theirs)
    if address is None or not _is_unicast(address):
        raise SdpError("no address to send sound to")
    peer = _peer_direction(answer, theirs)
    events = theirs.events_beside(codec)
    expected = ours.events_beside(codec) if events is None else None
    mux = ours.rtcp_mux and theirs.rtcp_mux
    return Negotiated(
        offer,
        codec,
        payload_type,
        codec.payload_type,
        None if events is None else events.payload_type,
        ours.telephone_event(events.rate) if events is not None else expected.payload_type if expected else None,
        *_remote(answer, theirs, mux),
        direction=peer.answered_by(offer.direction_of(ours)),
        remote_holds=not peer.receives,
        ptime=_packet_time(theirs, codec),
        maxptime=theirs.maxptime or 0,
        keys=keys,
        event_rate=8000 if events is None else events.rate,
        fmtp=said,
        rtcp_mux=mux,
    )


def without_keys(description: SessionDescription) -> SessionDescription:
    """The description for one who must not see its keys: as long as it says RTP/AVP, an offer of plain RTP."""
    media = tuple(
        replace(each, attributes=tuple(pair for pair in each.attributes if pair[0].lower() != "crypto"))
        for each in description.media
    )
    return replace(description, media=media)


def insisting_on_srtp(description: SessionDescription) -> SessionDescription | None:
    """An offer that can be taken with SRTP or without, as one that leaves the peer no choice; None for any other.

    Some phones that want SRTP refuse RTP/AVP even with keys. The keys stay: :func:`read_answer` takes the answer to
    either as one to the first.
    """
    secure = tuple(
        replace(each, protocol=_SECURE[_PLAIN.index(each.protocol.upper())])
        if each.protocol.upper() in _PLAIN and each.cryptos()
        else each
        for each in description.media
    )
    return replace(description, media=secure) if secure != description.media else None


def _first_served(
    offer: SessionDescription, supported: Sequence[Codec], security: Security | None
) -> tuple[int, list[tuple[Codec, str]], Crypto | None]:
    """The first audio line that we can serve, with the codecs of it that we have, and the crypto line that we take.

    A codec is ours, by the offer's payload type, beside the offer's fmtp of it.

    Raises SdpNotAcceptable when there is none.
    """
    missing = "no audio line with a codec that we have"
    for index, media in enumerate(offer.media):
        protocol = media.protocol.upper()
        if media.kind.lower() != "audio" or protocol not in _PLAIN + _SECURE or media.port == 0:
            continue
        crypto = next(iter(media.cryptos()), None) if security is not None else None
        if crypto is None and protocol in _SECURE:
            missing = "SRTP is offered by no key that we take" if security else _NO_KEYS
            continue
        if crypto is None and security is not None and security.required:
            missing = "SRTP is required here, and plain RTP is offered"
            continue
        address = offer.address_of(media)
        if address is None:
            raise SdpError("no address to send sound to")
        # Sound sent to a group or to everybody would serve an attacker, not a caller.
        if not _is_unicast(address):
            continue
        common = [
            (ours.by(codec.payload_type), codec.fmtp)
            for codec in media.codecs()
            for ours in supported
            if codec.same_as(ours)
        ]
        if common:
            return index, common, crypto
    raise SdpNotAcceptable(missing)


def _chosen(
    common: list[tuple[Codec, str]], prefer: Codec | None, rank: Callable[[Codec], int] | None
) -> tuple[Codec, str]:
    """The codec of an answer."""
    for found in common:
        if prefer is not None and found[0].same_as(prefer):
            return found
    return common[0] if rank is None else min(common, key=lambda found: rank(found[0]))


def _can_mux(theirs: MediaDescription, codecs: Iterable[Codec]) -> bool:
    """Whether RTCP by the port of the RTP is offered, and can be told from it."""
    return theirs.rtcp_mux and not any(codec.payload_type in _LIKE_REPORTS for codec in codecs)


def _offered_events(codecs: Sequence[Codec], usual: int) -> list[Codec]:
    """Telephone events for the clocks of these codecs; those of 8000 always, since many have no other."""
    rates = dict.fromkeys((*(codec.rate for codec in codecs), 8000))
    return [Codec(TELEPHONE_EVENT, _WIDE_EVENTS.get(rate, usual), rate, fmtp=DIGIT_EVENTS) for rate in rates]


def _own_crypto(
    crypto: Crypto | None, previous: SessionDescription | None, security: Security | None
) -> tuple[Crypto, ...]:
    """Our answer to a crypto line: its tag and suite, and our own key (RFC 4568 5.1.2)."""
    if crypto is None or security is None:
        return ()
    return (Crypto(crypto.tag, crypto.suite, _key(crypto.suite, _cryptos_in_use(previous), security)),)


def _offered_cryptos(previous: SessionDescription | None, security: Security | None) -> tuple[Crypto, ...]:
    """The crypto lines of an offer: what is in use stays as it is and comes first, tags count from 1."""
    if security is None:
        return ()
    used = _cryptos_in_use(previous)
    suites = dict.fromkeys((*(crypto.suite for crypto in used), *OFFERED))
    return tuple(Crypto(tag, suite, _key(suite, used, security)) for tag, suite in enumerate(suites, 1))


def _cryptos_in_use(previous: SessionDescription | None) -> list[Crypto]:
    """The crypto lines of our last description."""
    line = _audio_line(previous) if previous is not None else None
    return previous.media[line].cryptos() if previous is not None and line is not None else []


def _key(suite: Suite, used: Iterable[Crypto], security: Security) -> bytes:
    """Our key for a suite: a new one only where we had none, since another key begins the packets' count anew."""
    return next((crypto.key for crypto in used if crypto.suite is suite), None) or security.new_key(suite.key_size)


def _crypto_attributes(cryptos: Iterable[Crypto]) -> Attributes:
    return tuple(("crypto", str(crypto)) for crypto in cryptos)


def _agreed_keys(ours: MediaDescription, theirs: MediaDescription) -> Keys | None:
    """The keys by which the answer takes one of our crypto lines: its tag and suite tell which (RFC 4568 5.1.3)."""
    offered = {(crypto.tag, crypto.suite): crypto.key for crypto in ours.cryptos()}
    for crypto in theirs.cryptos():
        key = offered.get((crypto.tag, crypto.suite))
        if key is not None:
            return Keys(crypto.suite, key, crypto.key)
    return None


def _answered_codec(
    ours: MediaDescription, theirs: MediaDescription, prefer: Codec | None
) -> tuple[Codec, int, str] | None:
    """The codec of the offer that the answer takes, the answer's payload type for it, and what it says of it."""
    offered = [codec for codec in ours.codecs() if codec.name.lower() != TELEPHONE_EVENT]
    taken: list[tuple[Codec, int, str]] = []
    for each_format in theirs.formats:
        number = _payload_type(each_format)
        # An answer that says no rtpmap means the offer's.
        codec = theirs.codec(each_format) or ours.codec(each_format)
        if number is None or codec is None:
            continue
        taken += [(each, number, theirs.fmtp(each_format)) for each in offered if each.same_as(codec)]
    preferred = (found for found in taken if prefer is not None and found[0].same_as(prefer))
    return next(preferred, taken[0] if taken else None)


def _audio_line(description: SessionDescription) -> int | None:
    """The audio line in use, or else one that may be taken into use again."""
    lines = [index for index, media in enumerate(description.media) if media.kind.lower() == "audio"]
    return next((index for index in lines if description.media[index].port), lines[0] if lines else None)


def _peer_direction(description: SessionDescription, media: MediaDescription) -> Direction:
    """What the peer does; the address 0.0.0.0 is the hold of RFC 2543: it takes nothing (RFC 3264 8.4)."""
    said = description.direction_of(media)
    if _is_nowhere(description.address_of(media)):
        return Direction.of(sends=said.sends, receives=False)
    return said


def _remote(
    description: SessionDescription, media: MediaDescription, mux: bool
) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    """Where RTP and RTCP go."""
    address = description.address_of(media)
    if address is None or _is_nowhere(address):
        return None, None
    if mux:
        return (address, media.port), (address, media.port)
    rtcp = description.rtcp_of(media)
    return (address, media.port), rtcp if rtcp is not None and _is_unicast(rtcp[0]) else None


def _packet_time(media: MediaDescription, codec: Codec) -> int:
    """Milliseconds of sound in the packets that we send: what the peer wishes, in whole tens from 10 to 60.

    The answer tells it as our wish too: many want what they get to be as long as what they send.
    """
    wish = media.ptime or DEFAULT_PTIME
    if media.maxptime is not None:
        wish = min(wish, media.maxptime)
    if codec.same_as(OPUS):
        return next((each for each in _OPUS_PTIMES if each <= wish), 10)
    return max(10, min(wish, 60) // 10 * 10)


def _audio_attributes(codecs: Sequence[Codec], events: Sequence[Codec], ptime: int, direction: Direction) -> Attributes:
    out: list[tuple[str, str | None]] = []
    for codec in (*codecs, *events):
        fmtp = DIGIT_EVENTS if codec.name.lower() == TELEPHONE_EVENT else codec.fmtp
        out.append(("rtpmap", f"{codec.payload_type} {codec.rtpmap}"))
        if fmtp:
            out.append(("fmtp", f"{codec.payload_type} {fmtp}"))
    return (*out, ("ptime", str(ptime)), (direction.value, None))


def _rtcp_attributes(port: int, rtcp_port: int | None, mux: bool) -> Attributes:
    """The rtcp attribute, which is needed only where RTCP has not the next port, and that it can have the same."""
    own: Attributes = () if rtcp_port is None or rtcp_port == port + 1 else (("rtcp", str(rtcp_port)),)
    return (*own, ("rtcp-mux", None)) if mux else own


class _Reader:
    """Reads one description line by line."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_SDP:
            raise SdpError("session description too long")
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("latin-1")
        self._lines = [line for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n") if line.strip()]
        if len(self._lines) > MAX_LINES:
            raise SdpError("session description of too many lines")

    def read(self) -> SessionDescription:
        """The description."""
        lines = self._lines
        if not lines or lines[0].rstrip(" ") != "v=0":
            raise SdpError("a session description begins with v=0")
        starts = [index for index, line in enumerate(lines) if line.startswith("m=")]
        if len(starts) > MAX_MEDIA:
            raise SdpError("too many media lines")
        session = lines[1 : starts[0]] if starts else lines[1:]
        parts = [lines[begin:end] for begin, end in pairwise([*starts, len(lines)])]
        origin, name, times = Origin(0, 0, "0.0.0.0"), "-", []
        for line in session:
            kind, value = _split_line(line)
            if kind == "o":
                origin = _read_origin(value)
            elif kind == "s":
                name = value
            elif kind == "t":
                times.append(value)
        connection, attributes, others = _read_common(session)
        media = tuple(_read_media(part) for part in parts)
        return SessionDescription(origin, media, connection, attributes, name or "-", tuple(times) or ("0 0",), others)


def _split_line(line: str) -> tuple[str, str]:
    if len(line) < 2 or line[1] != "=" or not line[0].isalpha():
        raise SdpError("a line of a session description begins with a letter and an equals sign")
    return line[0], line[2:]


def _read_common(lines: Iterable[str]) -> tuple[str | None, Attributes, tuple[tuple[str, str], ...]]:
    """What session and media lines have alike: connection, attributes, lines only carried along."""
    connection: str | None = None
    attributes: list[tuple[str, str | None]] = []
    others: list[tuple[str, str]] = []
    for line in lines:
        kind, value = _split_line(line)
        if kind == "c" and connection is None:
            connection = _read_connection(value)
        elif kind == "a":
            name, colon, rest = value.strip(" ").partition(":")
            attributes.append((name, rest.strip(" ") if colon else None))
        elif kind in _OTHERS:
            others.append((kind, value))
    others.sort(key=lambda other: _OTHERS.index(other[0]))
    return connection, tuple(attributes), tuple(others)


def _read_origin(value: str) -> Origin:
    words = value.split()
    if len(words) != 6 or not _is_address(words[5]):
        raise SdpError("bad origin line")
    return Origin(_number(words[1]), _number(words[2]), words[5], words[0])


def _number(text: str) -> int:
    # Nothing depends on the peer's numbers: odd ones are borne.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS else 0


def _read_connection(value: str) -> str:
    words = value.split()
    if len(words) != 3 or words[0].upper() != "IN" or words[1].upper() not in ("IP4", "IP6"):
        raise SdpError("bad connection line")
    address = words[2].partition("/")[0]
    if not _is_address(address):
        raise SdpError("bad address in the connection line")
    return address


def _read_media(lines: Sequence[str]) -> MediaDescription:
    words = lines[0][2:].split()
    if len(words) < 4 or len(words) > MAX_FORMATS + 3:
        raise SdpError("bad media line")
    port, slash, count = words[1].partition("/")
    numbers = [port, count] if slash else [port]
    if not all(each.isascii() and each.isdigit() and len(each) <= 5 for each in numbers) or int(port) > 65535:
        raise SdpError("bad port in a media line")
    connection, attributes, others = _read_common(lines[1:])
    return MediaDescription(
        words[0],
        int(port),
        words[2],
        tuple(words[3:]),
        connection,
        attributes,
        int(count) if slash else 1,
        others,
    )


# The same phones say the same of their codecs in every call.
@lru_cache(256)
def _codecs(formats: tuple[str, ...], attributes: Attributes) -> tuple[Codec, ...]:
    return tuple(codec for each in formats if (codec := _codec(each, attributes)) is not None)


_OF_CODECS = frozenset(("rtpmap", "fmtp"))


def _codec(format: str, attributes: Attributes) -> Codec | None:
    number = _payload_type(format)
    if number is None:
        return None
    encoding = _about(format, "rtpmap", attributes)
    if encoding is None:
        return STATIC.get(number)
    return _read_codec(number, encoding, _about(format, "fmtp", attributes) or "")


def _about(format: str, attribute: str, attributes: Attributes) -> str | None:
    """What an attribute says of a format; None when there is none."""
    for name, value in attributes:
        if name == attribute and value is not None:
            key, _, said = value.partition(" ")
            if key == format:
                return said.strip(" ")
    return None


def _read_codec(number: int, encoding: str, fmtp: str) -> Codec | None:
    name, _, rest = encoding.partition("/")
    rate, slash, channels = rest.partition("/")
    if not name or not all(
        each.isascii() and each.isdigit() and len(each) <= 7 for each in ([rate, channels] if slash else [rate])
    ):
        return None
    return Codec(name, number, int(rate), int(channels) if slash else 1, fmtp)


def _payload_type(format: str) -> int | None:
    if not (format.isascii() and format.isdigit()) or len(format) > 3 or int(format) > 127:
        return None
    return int(format)


def _attribute(attributes: Attributes, name: str) -> str | None:
    for key, value in attributes:
        if key == name:
            return "" if value is None else value
    return None


def _without_keys(attributes: Attributes) -> Attributes:
    """The attributes as they may be printed."""
    return tuple((name, "***" if name.lower() == "crypto" else value) for name, value in attributes)


def _direction(attributes: Attributes) -> Direction | None:
    for name, _ in attributes:
        if name in _DIRECTIONS:
            return Direction(name)
    return None


_DIRECTIONS = frozenset(direction.value for direction in Direction)


def _milliseconds(text: str | None) -> int | None:
    whole = (text or "").partition(".")[0]
    if not (whole.isascii() and whole.isdigit()) or len(whole) > 4 or int(whole) == 0:
        return None
    return int(whole)


def _attribute_lines(attributes: Attributes) -> list[str]:
    return [f"a={name}" if value is None else f"a={name}:{value}" for name, value in attributes]


def _family(address: str) -> str:
    return "IP6" if ":" in address else "IP4"


def _is_address(text: str) -> bool:
    """Whether it is an IP address or could be a host name."""
    if ":" in text:
        try:
            ip_address(text)
        except ValueError:
            return False
        return True
    return text.isascii() and text.replace(".", "").replace("-", "").replace("_", "").isalnum()


def _is_nowhere(address: str | None) -> bool:
    return address in ("0.0.0.0", "::")


def _is_unicast(address: str) -> bool:
    # A name is not looked at; the same few addresses come with every call.
    return len(address) > MAX_ADDRESS or _known_unicast(address)


@lru_cache(256)
def _known_unicast(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return True
    return not parsed.is_multicast and address != "255.255.255.255"
