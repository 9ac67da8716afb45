"""The two houses that the conformance suite visits, each with phones of its own: real sockets, and the simulation."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import signal
import socket
import time
import wave
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pylibsrtp import Error, Policy, Session

from callcenter.media.embedded.plane import EmbeddedPlane, EmbeddedSession
from callcenter.media.plane import Clip, MediaEvent, MediaPlane, MediaSession
from callcenter.media.settings import MediaSettings
from callcenter.rtp.dtmf import EventReceiver, event_payload
from callcenter.rtp.g711 import ALAW_SAMPLES, ULAW_SAMPLES, encode_alaw, encode_ulaw
from callcenter.rtp.packet import Packet, RtpError
from callcenter.rtp.tones import ToneReceiver
from callcenter.simulation.media import (
    ClipSound,
    MixSound,
    SimEndpointMedia,
    SimMediaPlane,
    SimMediaSession,
    SimMediaWorld,
    VoiceSound,
)
from callcenter.sip.crypto import Crypto, Keys, Security, Suite
from callcenter.sip.sdp import (
    PCMA,
    PCMU,
    TELEPHONE_EVENT_TYPE,
    Codec,
    Direction,
    Negotiated,
    SessionDescription,
    make_offer,
    negotiate,
    read_answer,
)

# Whoever is heard is known by the level of a constant sound.
LEVELS = {"greeting": 2000, "menu": 3000, "music": 4000, "amy": 8000, "bob": 12000, "carol": 16000, "dave": 24000}
PATIENCE = 15.0

PROFILES = {
    Suite.AES_CM_128_HMAC_SHA1_80: Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32: Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    Suite.AEAD_AES_128_GCM: Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Suite.AEAD_AES_256_GCM: Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}

CAN = Security(os.urandom)
"""A phone that speaks SRTP where the other side does."""
MUST = Security(os.urandom, required=True)
"""One that speaks nothing else."""


Test = TypeVar("Test", bound=Callable[..., Any])


async def until(test: Callable[[], bool], what: str = "it") -> None:
    """Wait for something that must come soon."""
    deadline = time.monotonic() + PATIENCE
    while not test():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.005)


def free_ports(pairs: int, host: str = "127.0.0.1") -> tuple[int, int]:
    """The first and last of a run of ports that are free now."""
    for _ in range(200):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((host, 0))
            first = (probe.getsockname()[1] + 1) & ~1
        last = first + 2 * pairs - 1
        if last < 65535 and all(_is_free(host, port) for port in range(first, last + 1)):
            return first, last
    raise AssertionError("no free ports")


def _is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def tones_of(key: str, samples: int, amplitude: int = 8000) -> list[bytes]:
    """The frames of a key's two tones (ITU-T Q.23), 16 bit."""
    row = next(row for row, keys in enumerate(("123A", "456B", "789C", "*0#D")) if key in keys)
    column = ("123A", "456B", "789C", "*0#D")[row].index(key)
    pair = (697, 770, 852, 941)[row], (1209, 1336, 1477, 1633)[column]
    pcm = array(
        "h", (round(sum(amplitude * math.sin(math.tau * hz * at / 8000) for hz in pair)) for at in range(samples))
    )
    return [pcm[at : at + 160].tobytes() for at in range(0, samples, 160)]


def write_clip(folder: Path, name: str, seconds: float, level: int | None = None) -> Clip:
    """A WAV file of a constant sound."""
    path = folder / f"{name}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(array("h", [LEVELS[name] if level is None else level] * int(seconds * 8000)).tobytes())
    return Clip(str(path), seconds)


class Peer(Protocol):
    """A phone's sound, seen by a test."""

    @property
    def hears(self) -> str | None:
        """The clip or the phone that is heard now."""
        ...

    @property
    def tones(self) -> str:
        """The keys whose tones were heard so far."""
        ...

    digits: str
    security: Security | None

    def says(self, sdp: bytes) -> bytes:
        """This is the phone's own description from now on."""
        ...

    def offer(self) -> bytes: ...
    def answer(self, offer: bytes) -> bytes: ...
    def take_answer(self, answer: bytes) -> None: ...
    def hold(self) -> bytes: ...
    def resume(self) -> bytes: ...
    def press(self, keys: str) -> None: ...
    def vanish(self) -> None: ...
    def close(self) -> None: ...


class House(Protocol):
    """A plane and the phones around it."""

    @property
    def plane(self) -> MediaPlane: ...

    def peer(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        codecs: Sequence[Codec] = (PCMU, PCMA),
        events: bool = True,
        security: Security | None = None,
    ) -> Peer: ...
    def clip(self, name: str, seconds: float) -> Clip: ...
    def missing_clip(self) -> Clip: ...
    def kill_worker_of(self, session: MediaSession) -> None: ...


class RealPeer(asyncio.DatagramProtocol):
    """A phone with real sockets that says one level all the time."""

    def __init__(
        self,
        name: str,
        host: str,
        codecs: Sequence[Codec] = (PCMU, PCMA),
        *,
        events: bool = True,
        security: Security | None = None,
    ) -> None:
        self.name = name
        self.security = security
        self.unreadable = 0
        self._keys: Keys | None = None
        self._seal: Session | None = None
        self._open: Session | None = None
        self.host = host
        self.codecs = tuple(codecs)
        self.events = events
        self.digits = ""
        self.received: deque[tuple[float, Packet]] = deque(maxlen=5000)
        self.control: list[bytes] = []
        self.ssrc = hash(name) & 0xFFFFFFFF
        self.sequence = 65530
        self.timestamp = 4294967000
        self.negotiated: Negotiated | None = None
        self.speaking = True
        self.ptime = 20
        """Milliseconds of sound in a packet that it sends."""
        self._wish = Direction.SENDRECV
        self._ours: SessionDescription | None = None
        self._events = EventReceiver()
        self._pressing: deque[bytes] = deque()
        self._saying: deque[bytes] = deque()
        self._event_timestamp = 0
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.rtp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.rtcp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        while True:
            self.rtp.bind((host, 0))
            try:
                self.rtcp.bind((host, self.rtp.getsockname()[1] + 1))
                break
            except OSError:
                self.rtp.close()
                self.rtp = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.port = self.rtp.getsockname()[1]
        loop = asyncio.get_running_loop()
        loop.add_reader(self.rtp, self._read)
        loop.add_reader(self.rtcp, self._read_control)
        self._next = time.monotonic()
        self._timer = loop.call_later(0, self._speak)

    @property
    def hears(self) -> str | None:
        since = time.monotonic() - 0.07
        sound = [packet for at, packet in self.received if at > since and packet.payload_type in (0, 8)]
        return self.name_of(sound[-1]) if sound else None

    @property
    def saying(self) -> bool:
        """Whether tones are still to be said."""
        return bool(self._saying)

    @property
    def tones(self) -> str:
        receiver, sound = ToneReceiver(), [packet for _, packet in self.received if packet.payload_type in (0, 8)]
        return "".join(
            receiver.receive(each.payload, "PCMU" if each.payload_type == 0 else "PCMA", each.sequence, each.timestamp)
            for each in sound
        )

    @staticmethod
    def name_of(packet: Packet) -> str:
        samples = ULAW_SAMPLES if packet.payload_type == 0 else ALAW_SAMPLES
        level = samples[packet.payload[len(packet.payload) // 2]]
        return min(LEVELS, key=lambda name: abs(LEVELS[name] - level))

    def offer(self) -> bytes:
        self._ours = make_offer(
            self.codecs,
            host=self.host,
            port=self.port,
            session_id=1,
            direction=self._wish,
            telephone_event=TELEPHONE_EVENT_TYPE if self.events else None,
            previous=self._ours,
            security=self.security,
        )
        return self._ours.to_bytes()

    def answer(self, offer: bytes) -> bytes:
        described = SessionDescription.parse(offer)
        if not self.events:
            events = {str(event.payload_type) for each in described.media for event in each.events()}
            media = tuple(
                replace(each, formats=tuple(name for name in each.formats if name not in events))
                for each in described.media
            )
            described = replace(described, media=media)
        self.negotiated = negotiate(
            described,
            self.codecs,
            host=self.host,
            port=self.port,
            session_id=1,
            direction=self._wish,
            previous=self._ours,
            security=self.security,
        )
        self._ours = self.negotiated.description
        self._set_keys(self.negotiated.keys)
        return self._ours.to_bytes()

    def says(self, sdp: bytes) -> bytes:
        self._ours = SessionDescription.parse(sdp)
        return sdp

    def take_answer(self, answer: bytes) -> None:
        assert self._ours is not None
        self.negotiated = read_answer(self._ours, SessionDescription.parse(answer), self.security)
        self._set_keys(self.negotiated.keys)

    def _set_keys(self, keys: Keys | None) -> None:
        """A key that stays keeps its context."""
        former, self._keys = self._keys, keys
        if keys is None:
            self._seal = self._open = None
            return
        profile = PROFILES[keys.suite]
        if former is None or (former.suite, former.ours) != (keys.suite, keys.ours):
            self._seal = Session(Policy(keys.ours, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        if former is None or (former.suite, former.theirs) != (keys.suite, keys.theirs):
            self._open = Session(Policy(keys.theirs, Policy.SSRC_ANY_INBOUND, srtp_profile=profile))

    def seal(self, packet: bytes, *, report: bool = False) -> bytes:
        """The packet as it goes out now."""
        if self._seal is None:
            return packet
        return self._seal.protect_rtcp(packet) if report else self._seal.protect(packet)

    def open(self, data: bytes, *, report: bool = False) -> bytes:
        """What came, opened; empty when it cannot be."""
        if self._open is None:
            return data
        try:
            return self._open.unprotect_rtcp(data) if report else self._open.unprotect(data)
        except Error:
            self.unreadable += 1
            return b""

    def hold(self) -> bytes:
        self._wish = Direction.SENDONLY
        return self.offer()

    def resume(self) -> bytes:
        self._wish = Direction.SENDRECV
        return self.offer()

    def press(self, keys: str) -> None:
        """Five packets a key, the last three of them its end; or 80 ms of its tones and as much silence."""
        for key in keys:
            if not self.events:
                self._saying.extend(tones_of(key, 640) + [b""] * 4)
                continue
            for step, end in ((1, False), (2, False), (3, True), (3, True), (3, True)):
                self._pressing.append(event_payload(key, 160 * step, end=end))

    def vanish(self) -> None:
        self.speaking = False

    def close(self) -> None:
        self._timer.cancel()
        loop = asyncio.get_running_loop()
        for sock in (self.rtp, self.rtcp):
            if sock.fileno() >= 0:
                loop.remove_reader(sock)
                sock.close()

    def frame(self, codec: Codec) -> bytes:
        pcm = array("h", [LEVELS[self.name]] * 160).tobytes()
        if self._saying:
            pcm = self._saying.popleft() or bytes(320)
        return encode_ulaw(pcm) if codec.name == "PCMU" else encode_alaw(pcm)

    def send(
        self, payload: bytes, payload_type: int, *, sock: socket.socket | None = None, marker: bool = False
    ) -> None:
        """Send one packet now."""
        assert self.negotiated is not None
        assert self.negotiated.remote is not None
        self.sequence &= 0xFFFF  # tests leave some out
        packet = Packet(payload_type, self.sequence, self.timestamp, self.ssrc, payload, marker)
        self.sequence = (self.sequence + 1) & 0xFFFF
        (sock or self.rtp).sendto(self.seal(packet.to_bytes()), self.negotiated.remote)

    def _speak(self) -> None:
        self._next += self.ptime / 1000
        self._timer = asyncio.get_running_loop().call_later(max(0.0, self._next - time.monotonic()), self._speak)
        negotiated = self.negotiated
        ticks = negotiated.codec.rate * self.ptime // 1000 if negotiated is not None else 160
        self.timestamp = (self.timestamp + ticks) & 0xFFFFFFFF
        if not self.speaking or negotiated is None or negotiated.remote is None:
            return
        if negotiated.direction is not Direction.SENDRECV:
            return
        if self._pressing and negotiated.telephone_event is not None:
            payload = self._pressing.popleft()
            now = self.timestamp
            if payload[2:] == b"\x00\xa0":
                self._event_timestamp = now
            self.timestamp = self._event_timestamp
            self.send(payload, negotiated.telephone_event, marker=payload[2:] == b"\x00\xa0")
            self.timestamp = now
        else:
            self.send(self.frame(negotiated.codec), negotiated.payload_type)

    def _read(self) -> None:
        while True:
            try:
                data = self.open(self.rtp.recv(2048))
            except BlockingIOError:
                return
            try:
                packet = Packet.parse(data)
            except RtpError:
                continue
            if self.negotiated is not None and packet.payload_type == self.negotiated.receive_telephone_event:
                self.digits += self._events.receive(packet.payload, packet.timestamp, packet.marker) or ""
            self.received.append((time.monotonic(), packet))
            self.listen_to(packet)

    def listen_to(self, packet: Packet) -> None:
        """A packet came."""

    def _read_control(self) -> None:
        while True:
            try:
                self.control.append(self.open(self.rtcp.recv(2048), report=True))
            except BlockingIOError:
                return


class RealHouse:
    """The embedded plane and phones on loopback."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.peers: list[RealPeer] = []
        self.plane = EmbeddedPlane(MediaSettings(**{"ports": free_ports(24), "workers": 1, **settings}))

    def peer(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        codecs: Sequence[Codec] = (PCMU, PCMA),
        events: bool = True,
        security: Security | None = None,
    ) -> RealPeer:
        peer = RealPeer(name, host, codecs, events=events, security=security)
        self.peers.append(peer)
        return peer

    def clip(self, name: str, seconds: float) -> Clip:
        return write_clip(self.folder, name, seconds)

    def missing_clip(self) -> Clip:
        return Clip(str(self.folder / "missing.wav"), 1.0)

    def kill_worker_of(self, session: MediaSession) -> None:
        assert isinstance(session, EmbeddedSession)
        os.kill(session.worker.pid, signal.SIGKILL)

    async def close(self) -> None:
        for peer in self.peers:
            peer.close()
        await self.plane.close()


class SimPeer:
    """A simulated phone, as the suite sees one."""

    def __init__(
        self,
        house: SimHouse,
        name: str,
        host: str,
        codecs: Sequence[Codec],
        *,
        events: bool,
        security: Security | None,
    ) -> None:
        self.name = name
        self.media = SimEndpointMedia(house.world, host, codecs=codecs, events=events, security=security)
        self._house = house

    @property
    def hears(self) -> str | None:
        match self.media.hears:
            case ClipSound() | MixSound() as sound:
                return str(sound)
            case VoiceSound(address):
                return next(peer.name for peer in self._house.peers if peer.media.address == address)
            case None:
                return None

    @property
    def tones(self) -> str:
        return self.media.tones

    @property
    def hears_all(self) -> set[str]:
        """The names of all that are heard at once."""
        sound = self.media.hears
        parts = sound.parts if isinstance(sound, MixSound) else {sound} if sound is not None else set()
        names = {peer.media.address: peer.name for peer in self._house.peers}
        return {names[part.address] if isinstance(part, VoiceSound) else str(part) for part in parts}

    @property
    def digits(self) -> str:
        return self.media.digits

    @digits.setter
    def digits(self, value: str) -> None:
        self.media.digits = value

    @property
    def security(self) -> Security | None:
        return self.media.security

    @security.setter
    def security(self, value: Security | None) -> None:
        self.media.security = value

    def says(self, sdp: bytes) -> bytes:
        return self.media.says(sdp)

    def offer(self) -> bytes:
        return self.media.offer()

    def answer(self, offer: bytes) -> bytes:
        return self.media.answer(offer)

    def take_answer(self, answer: bytes) -> None:
        self.media.take_answer(answer)

    def hold(self) -> bytes:
        return self.media.hold()

    def resume(self) -> bytes:
        return self.media.resume()

    def press(self, keys: str) -> None:
        self.media.press(keys)

    def vanish(self) -> None:
        self.media.vanish()

    def close(self) -> None:
        self.media.close()


class SimHouse:
    """The simulated plane and phones."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.peers: list[SimPeer] = []
        self.world = SimMediaWorld()
        self.plane = SimMediaPlane(self.world, MediaSettings(**{"ports": (20000, 20047), "workers": 1, **settings}))

    def peer(
        self,
        name: str,
        *,
        host: str = "127.0.0.1",
        codecs: Sequence[Codec] = (PCMU, PCMA),
        events: bool = True,
        security: Security | None = None,
    ) -> SimPeer:
        peer = SimPeer(self, name, host, codecs, events=events, security=security)
        self.peers.append(peer)
        return peer

    def clip(self, name: str, seconds: float) -> Clip:
        return Clip(str(self.folder / f"{name}.wav"), seconds)

    def missing_clip(self) -> Clip:
        clip = Clip(str(self.folder / "missing.wav"), 1.0)
        self.plane.unreadable.add(clip.path)
        return clip

    def kill_worker_of(self, session: MediaSession) -> None:
        assert isinstance(session, SimMediaSession)
        self.plane.kill_worker(session.worker)

    async def close(self) -> None:
        for peer in self.peers:
            peer.close()
        await self.plane.close()


class Call:
    """One call of a test: legs with their peers, and every event that came."""

    _numbers = itertools.count(1)

    def __init__(self, house: House) -> None:
        self.house = house
        self.id = f"call-{next(self._numbers)}"
        self.events: list[MediaEvent] = []

    def of(self, kind: type[MediaEvent], session: MediaSession | None = None) -> list[Any]:
        """The events of one kind, of one session or of all."""
        events = [event for event in self.events if isinstance(event, kind)]
        return events if session is None else [event for event in events if event.session == session.id]

    async def incoming(self, peer: Peer, *, local: str = "127.0.0.1", **options: Any) -> MediaSession:
        """The peer calls: it offers."""
        session = await self.house.plane.open(
            self.id, local=local, on_event=self.events.append, offer=peer.offer(), **options
        )
        peer.take_answer(session.sdp)
        return session

    async def outgoing(self, peer: Peer, *, local: str = "127.0.0.1", **options: Any) -> MediaSession:
        """The peer is called: we offer."""
        session = await self.house.plane.open(self.id, local=local, on_event=self.events.append, **options)
        await session.set_answer(peer.answer(session.sdp))
        return session


def with_settings(**settings: Any) -> Callable[[Test], Test]:
    """The house of this test is built with these settings."""

    def mark(function: Test) -> Test:
        function.settings = settings  # type: ignore[attr-defined]
        return function

    return mark


def holds(session: MediaSession) -> bool:
    return session.remote_holds


def audio(sdp: bytes) -> Any:
    return SessionDescription.parse(sdp).media[0]


def by_key(sdp: bytes, suite: Suite) -> bytes:
    """The description with one key, a new one."""
    described = SessionDescription.parse(sdp)
    crypto = Crypto(7, suite, os.urandom(suite.key_size))
    rest = [each for each in described.media[0].attributes if each[0] != "crypto"]
    media = replace(described.media[0], attributes=(("crypto", str(crypto)), *rest))
    return replace(described, media=(media,)).to_bytes()
