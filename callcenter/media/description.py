"""Description: offer and answer of one leg, what we say and what the peer has said (RFC 3264)."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from random import Random

from callcenter.media.plane import BadDescription, NotAcceptable, host_port
from callcenter.media.settings import MediaSettings, Srtp
from callcenter.rtp.codecs import CODECS
from callcenter.sip.crypto import Security
from callcenter.sip.errors import SdpError, SdpNotAcceptable
from callcenter.sip.payload_types import PayloadTypes
from callcenter.sip.sdp import (
    G722,
    L16,
    OPUS,
    PCMA,
    PCMU,
    STATIC,
    TELEPHONE_EVENT,
    Codec,
    Negotiated,
    SessionDescription,
    make_offer,
    negotiate,
    read_answer,
    without_keys,
)

# An IPv6 address in text has 45 characters at most.
_LONGEST_ADDRESS = 45

# "Discard": our port until the real one is known.
_UNKNOWN = 9

_CODECS = {codec.name: codec for codec in (PCMU, PCMA, G722, OPUS, L16)}

# One is made of the other for nothing: where they stand side by side, the peer chooses.
_ALIKE = (PCMU.name, PCMA.name)


# Descriptions of one session that are kept unread.
_MOST_SAID = 6


class Description:
    """The description of one leg at ``host`` and, once it is known, ``port``; ``codecs`` in the order we like them.

    An answer takes what is in use, then the codec of the leg ``beside``, if it is offered, else the first of ``codecs``
    that is; of PCMU and PCMA side by side the one that the peer puts first. A description that cannot be taken leaves
    everything as it was. With ``security`` it speaks of SRTP.
    """

    def __init__(
        self,
        host: str,
        codecs: Sequence[str],
        session_id: int,
        *,
        beside: Description | None = None,
        security: Security | None = None,
        rtcp_mux: bool = False,
    ) -> None:
        self.host = host
        self.port = _UNKNOWN
        self.codecs = tuple(codecs)
        self.negotiated: Negotiated | None = None
        """What the latest offer and answer agree on."""
        self._session_id = session_id
        self._security = security
        self._beside = beside
        self.likes: str | None = None
        """The codec of a leg that was described beside this one."""
        self._ranks = _ranks(self.codecs)
        # What was described before, as long as nobody needs to know which number meant what.
        self._numbers: PayloadTypes | None = None
        self._said: list[bytes | SessionDescription] = []
        self._rtcp_mux = rtcp_mux
        self._ours: SessionDescription | None = None
        self._checked: tuple[bytes, Negotiated] | None = None

    @property
    def sdp(self) -> bytes:
        """Our latest description."""
        assert self._ours is not None, "nothing is described yet"
        return self._ours.to_bytes()

    @property
    def codec(self) -> str | None:
        """The codec agreed on."""
        return self.negotiated.codec.name if self.negotiated is not None else None

    @property
    def secure(self) -> str:
        """The suite of SRTP agreed on; empty for plain RTP."""
        keys = self.negotiated.keys if self.negotiated is not None else None
        return keys.suite.value if keys is not None else ""

    @property
    def remote_holds(self) -> bool:
        """Whether the peer's last description put us on hold."""
        return self.negotiated is not None and self.negotiated.remote_holds

    @property
    def ends(self) -> tuple[str, str]:
        """Where the peer says it is, and where we are: ``host:port`` of both; the peer's is empty while it holds."""
        remote = self.negotiated.remote if self.negotiated is not None else None
        return host_port(*remote) if remote is not None else "", host_port(self.host, self.port)

    @property
    def takes_events(self) -> bool:
        """Whether keys come and go as telephone events: that was agreed on."""
        return self.negotiated is not None and self.negotiated.telephone_event is not None

    @property
    def tones_are_keys(self) -> bool:
        """Whether keys can come as tones in the sound alone: the peer has no telephone events."""
        return self.negotiated is not None and self.negotiated.telephone_event is None

    def check(self, offer: bytes) -> None:
        """Whether the offer could be answered, once our port is known. Raises BadDescription, NotAcceptable."""
        self._checked = (offer, self._negotiate(offer))

    def answer(self, offer: bytes) -> bytes:
        """Take the peer's offer; returns our answer. Raises BadDescription, NotAcceptable."""
        checked, self._checked = self._checked, None
        if checked is not None and checked[0] == offer:
            self.negotiated = _at_port(checked[1], self.port)  # read and negotiated once, not twice
        else:
            self.negotiated = self._negotiate(offer)
        if self._ours is not None:
            self._note(self._ours)
        self._ours = self.negotiated.description
        self._note(offer)
        self._tell_beside()
        return self.sdp

    def offer(self) -> bytes:
        """Offer all that we can, what is agreed on or preferred first."""
        if self._ours is not None:
            self._note(self._ours)
            self._numbers = self._numbers or PayloadTypes()
            self._learn(self._numbers)
        first = self._liked
        names = sorted(self.codecs, key=lambda name: first is None or name != first.name)
        self._ours = make_offer(
            [_CODECS[name] for name in names],
            host=self.host,
            port=self.port,
            session_id=self._session_id,
            previous=self._ours,
            security=self._security,
            numbers=self._numbers,
            rtcp_mux=self.negotiated is not None and self.negotiated.rtcp_mux,
        )
        return self.sdp

    def take_answer(self, answer: bytes, *, private: bool = True) -> None:
        """Take the peer's answer to our latest offer, which held no keys for one that is not ``private``.

        Raises BadDescription, NotAcceptable.
        """
        assert self._ours is not None, "an answer without an offer"
        if not private:
            self._ours, self._security = without_keys(self._ours), None
        try:
            said = SessionDescription.parse(answer)
            self.negotiated = self._reachable(read_answer(self._ours, said, self._security, self._liked))
            self._ours = self.negotiated.description
            self._tell_beside()
        except SdpNotAcceptable as error:
            raise NotAcceptable(str(error)) from error
        except SdpError as error:
            raise BadDescription(str(error)) from error

    @property
    def accepts(self) -> dict[int, Codec]:
        """What may come, by payload type: what we have described, by our numbers and by the peer's."""
        negotiated = self.negotiated
        assert negotiated is not None, "nothing is agreed on yet"
        spoken = [_CODECS[name] for name in self.codecs]
        # Who has several codecs in common with us may send any of them, by the number that everybody knows it by.
        found = {codec.payload_type: codec for codec in spoken if codec.payload_type in STATIC}
        if negotiated.telephone_event is not None:
            event = Codec(TELEPHONE_EVENT, negotiated.telephone_event, negotiated.event_rate)
            found[event.payload_type] = event
        found[negotiated.payload_type] = negotiated.codec
        for line in negotiated.description.media:
            if line.kind.lower() == "audio" and line.port:
                known = {codec.encoding: codec for codec in spoken}
                found |= {codec.payload_type: known.get(codec.encoding, codec) for codec in line.codecs()}
        return found

    @property
    def _liked(self) -> Codec | None:
        """What needs no transcoding, and changes nothing."""
        if self.negotiated is not None:
            return self.negotiated.codec
        name = self.likes or (self._beside.codec if self._beside is not None else None)
        return _CODECS[name] if name in self.codecs else None

    def _note(self, described: bytes | SessionDescription) -> None:
        """Keep what was described, until the numbers in it are asked for: nearly never, and reading them takes time."""
        self._said.append(described)
        if len(self._said) > _MOST_SAID:
            self._numbers = self._numbers or PayloadTypes()
            self._learn(self._numbers)

    def _learn(self, numbers: PayloadTypes) -> None:
        for described in self._said:
            numbers.learn(SessionDescription.parse(described) if isinstance(described, bytes) else described)
        self._said.clear()

    def _tell_beside(self) -> None:
        """Whoever waits to be answered until we have spoken with this peer is best answered with the same codec."""
        if self._beside is not None and self._beside.negotiated is None:
            self._beside.likes = self.codec

    def _negotiate(self, offer: bytes) -> Negotiated:
        try:
            return self._reachable(
                negotiate(
                    SessionDescription.parse(offer),
                    [_CODECS[name] for name in self.codecs],
                    host=self.host,
                    port=self.port,
                    session_id=self._session_id,
                    prefer=self._liked,
                    previous=self._ours,
                    security=self._security,
                    rank=lambda codec: self._ranks[codec.name],
                    rtcp_mux=self._rtcp_mux,
                )
            )
        except SdpNotAcceptable as error:
            raise NotAcceptable(str(error)) from error
        except SdpError as error:
            raise BadDescription(str(error)) from error

    def _reachable(self, negotiated: Negotiated) -> Negotiated:
        """Raises NotAcceptable when the peer's address is of the other family, or no address."""
        if negotiated.remote is not None:
            host = numeric_host(negotiated.remote[0])
            if not host:
                raise NotAcceptable("sound can be sent to an IP address only, not to a host name")
            if (":" in host) != (":" in self.host):
                raise NotAcceptable("sound can be sent to an address of the signalling's family only")
        return negotiated


def _at_port(negotiated: Negotiated, port: int) -> Negotiated:
    """What was negotiated before our port was known."""
    description = negotiated.description
    media = tuple(replace(line, port=port) if line.port == _UNKNOWN else line for line in description.media)
    return replace(negotiated, description=replace(description, media=media))


@lru_cache(64)
def _ranks(codecs: tuple[str, ...]) -> dict[str, int]:
    """Whom an answer prefers, by names: the lowest."""
    ranks: dict[str, int] = {}
    for index, name in enumerate(codecs):
        beside = index > 0 and name in _ALIKE and codecs[index - 1] in _ALIKE
        ranks[name] = ranks[codecs[index - 1]] if beside else index
    return ranks


def chosen_codecs(settings: MediaSettings, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Those ``wanted`` for one leg that the plane speaks, in their order; without, those of the settings.

    Raises NotAcceptable when none is left.
    """
    names = settings.codecs if wanted is None else wanted
    chosen = tuple(dict.fromkeys(name for name in names if name in CODECS and not CODECS[name].missing))
    if not chosen:
        raise NotAcceptable(f"none of the codecs {', '.join(names)} is spoken here")
    return chosen


def security_of(settings: MediaSettings, random: Random, *, private: bool, insists: bool) -> Security | None:
    """What a leg may do of SRTP: nothing, where its signalling is not ``private`` and that is not allowed for.

    Raises NotAcceptable when SRTP is required and its keys could be read on the way.
    """
    if settings.srtp is Srtp.OFF:
        return None
    if private or settings.srtp_without_tls:
        return Security(random.randbytes, required=settings.srtp is Srtp.REQUIRED, insists=insists)
    if settings.srtp is Srtp.REQUIRED:
        raise NotAcceptable("SRTP is required here (media.srtp), and its keys are given by TLS only")
    return None


def numeric_host(host: str) -> str:
    """An IP address as the kernel spells it; empty when it is none."""
    return _numeric_host(host) if len(host) <= _LONGEST_ADDRESS else ""


# The same few come with every call.
@lru_cache(256)
def _numeric_host(host: str) -> str:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_ntop(family, socket.inet_pton(family, host))
        except (OSError, ValueError):
            continue
    return ""
