"""Simulated media: a plane that knows who hears whom, and the sound side of simulated phones.

Sound is symbolic. Every address of a session description is an endpoint of the world: a session of a plane, or a
phone's. What a phone hears is found by asking what is sent to its address now: clips, another phone's voice, several of
them at once, nothing. Two sessions may also be each other's peers: what the one is sent, the other takes in.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from random import Random
from typing import Any, Final

from callcenter.media.description import Description, chosen_codecs, numeric_host, security_of
from callcenter.media.plane import (
    LONG_PAUSE,
    Clip,
    Digit,
    FirstPacket,
    MediaError,
    MediaEvent,
    MediaGone,
    MediaLost,
    MediaSession,
    MediaSilent,
    MediaStats,
    NoCapacity,
    NoPacket,
    OneWayBegan,
    OneWayEnded,
    OnMediaEvent,
    OnRecordingEnded,
    PlaneStatus,
    PlayEnded,
    RecordingOrder,
    RecordingReason,
    WorkerStatus,
    checked_keys,
    host_port,
)
from callcenter.media.settings import MediaSettings
from callcenter.model.states import OneWay
from callcenter.simulation.recording import SimMediaRecording
from callcenter.sip.advertised import Advertised
from callcenter.sip.crypto import Keys, Security
from callcenter.sip.errors import SdpNotAcceptable
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

Address = tuple[str, int]

PACKETS_PER_SECOND: Final = 50
_OCTETS: Final = 160

# A press of a key takes 100 ms, and so does the pause before the next.
KEY_EVERY: Final = 0.2

# What an endpoint heard is kept for tests to look at; older things are forgotten.
_MOST_HEARD: Final = 10_000

_LEGS_PER_CALL: Final = 2


@dataclass(frozen=True, slots=True)
class ClipSound:
    """Clips are played: all of the play, and which one sounds now."""

    paths: tuple[str, ...]
    now: str

    def __str__(self) -> str:
        return PurePath(self.now).stem


@dataclass(frozen=True, slots=True)
class VoiceSound:
    """The voice of the phone at this address."""

    address: Address

    def __str__(self) -> str:
        return f"voice of {self.address[0]}:{self.address[1]}"


@dataclass(frozen=True, slots=True)
class MixSound:
    """Several are heard at once."""

    parts: frozenset[ClipSound | VoiceSound]

    def __str__(self) -> str:
        return " and ".join(sorted(map(str, self.parts)))


Sound = ClipSound | VoiceSound | MixSound | None


def mixed(sounds: Iterable[Sound]) -> Sound:
    """What is heard where all of these are."""
    parts: set[ClipSound | VoiceSound] = set()
    for sound in sounds:
        if isinstance(sound, MixSound):
            parts |= sound.parts
        elif sound is not None:
            parts.add(sound)
    return MixSound(frozenset(parts)) if len(parts) > 1 else next(iter(parts), None)


@dataclass(frozen=True, slots=True)
class Heard:
    """From this moment of the loop's clock on, this was heard."""

    at: float
    sound: Sound


class SimMediaWorld:
    """Every address where sound is, and what is sent to it. ``delay``: seconds from one to the other."""

    def __init__(self, *, delay: float = 0.02) -> None:
        self.delay = delay
        self.sessions: dict[Address, SimMediaSession] = {}
        self.endpoints: dict[Address, SimEndpointMedia] = {}
        self._ports: dict[str, itertools.count[int]] = {}

    def heard_by(self, address: Address) -> Sound:
        """What is sent to this endpoint now, and heard there."""
        endpoint = self.endpoints.get(address)
        if endpoint is None or not endpoint.listens or endpoint.remote is None:
            return None
        session = self.sessions.get(endpoint.remote)
        if session is not None:
            return session.sound if session.sends_to == address and _fit(session.keys, endpoint.keys) else None
        other = self.endpoints.get(endpoint.remote)
        if other is None or other.speaks_to != address or not _fit(other.keys, endpoint.keys):
            return None
        return VoiceSound(other.address)

    def hear_each_other(self, one: SimEndpointMedia, other: SimEndpointMedia) -> bool:
        """Whether both hear the other's voice now."""
        return one.hears == VoiceSound(other.address) and other.hears == VoiceSound(one.address)

    def press(self, endpoint: SimEndpointMedia, keys: str) -> None:
        """The phone's keys are pressed, one after the other; each is told after the delay."""
        loop = asyncio.get_running_loop()
        for index, key in enumerate(keys):
            loop.call_later(self.delay + index * KEY_EVERY, self._pressed, endpoint, key)

    def port(self, host: str) -> int:
        """A port for a phone on ``host``."""
        return next(self._ports.setdefault(host, itertools.count(40000, 2)))

    def changed(self, session: SimMediaSession) -> None:
        """Something about a session is different: look who hears something else, and who is heard no more."""
        todo, seen = [session], set[SimMediaSession]()
        while todo:
            each = todo.pop()
            if each in seen:
                continue
            seen.add(each)
            each.refresh()
            todo += each.listeners
            if each.remote is None:
                continue
            if (endpoint := self.endpoints.get(each.remote)) is not None:
                endpoint.refresh()
            elif (far := self.sessions.get(each.remote)) is not None:
                todo.append(far)

    def endpoint_changed(self, endpoint: SimEndpointMedia) -> None:
        """Something about a phone's sound is different."""
        endpoint.refresh()
        for address in dict.fromkeys((endpoint.remote, endpoint.former_remote)):
            if address is None:
                continue
            if (session := self.sessions.get(address)) is not None:
                self.changed(session)
            elif (other := self.endpoints.get(address)) is not None:
                other.refresh()

    def _pressed(self, endpoint: SimEndpointMedia, key: str) -> None:
        speaks_to = endpoint.speaks_to
        if speaks_to is None:
            return
        session = self.sessions.get(speaks_to)
        if endpoint.digits_type is None:
            if session is None:
                self._hear_tone(speaks_to, key)
            elif session.understands(endpoint):
                self._took_tone(session, key)
            return
        if session is not None and session.understands(endpoint):
            self._took(session, key)
        elif session is None:
            self._deliver(speaks_to, key)

    def _took(self, session: SimMediaSession, key: str) -> None:
        """A key came to a session. It goes on to who hears this one alone: of several at once no events are made."""
        session.tell(Digit(session.id, key))
        for listener in session.listeners if not session.masked else ():
            if listener.sources != (session,) or listener.plays or (to := listener.sends_to) is None:
                continue
            if (far := self.sessions.get(to)) is not None:
                self._took(far, key)
            else:
                self._deliver(to, key)

    def _took_tone(self, session: SimMediaSession, key: str) -> None:
        """A tone in the voice came to a session: whoever hears the voice hears it, and it may be a key to us."""
        if session.listens_for_tones:
            session.tell(Digit(session.id, key))
        for listener in session.listeners if not session.masked else ():
            if not listener.plays and (to := listener.sends_to) is not None:
                self._hear_tone(to, key)

    def press_from(self, session: SimMediaSession, keys: str) -> None:
        """A session presses keys: as events where the peer takes any, else as tones."""
        loop, at = asyncio.get_running_loop(), self.delay
        for key in keys:
            if key == LONG_PAUSE:
                at += 2.0
            else:
                loop.call_later(at, self._press_from, session, key)
                at += KEY_EVERY

    def _press_from(self, session: SimMediaSession, key: str) -> None:
        to = session.sends_to
        if to is None:
            return
        if session.description.tones_are_keys:
            self._hear_tone(to, key)
        elif (far := self.sessions.get(to)) is not None:
            self._took(far, key)
        else:
            self._deliver(to, key)

    def _hear_tone(self, address: Address, key: str) -> None:
        endpoint = self.endpoints.get(address)
        if (far := self.sessions.get(address)) is not None:
            self._took_tone(far, key)
        elif endpoint is not None and endpoint.listens:
            endpoint.tones += key

    def _deliver(self, address: Address, key: str) -> None:
        endpoint = self.endpoints.get(address)
        if endpoint is not None and endpoint.listens and endpoint.digits_type is not None:
            endpoint.digits += key


class SimEndpointMedia:
    """The sound side of a simulated phone on ``host``: offers, answers, hears, presses keys."""

    def __init__(
        self,
        world: SimMediaWorld,
        host: str,
        *,
        codecs: Sequence[Codec] = (PCMU, PCMA),
        events: bool = True,
        security: Security | None = None,
    ) -> None:
        self.world = world
        self.security = security
        """Whether it speaks SRTP; one that insists on it refuses RTP/AVP, whatever keys stand beside it."""
        self.events = events
        """Whether keys are sent as telephone events; else as tones in the voice."""
        self.mute = False
        """Whether no sound leaves this phone, although all else works."""
        self.address: Address = (numeric_host(host), world.port(host))
        self.digits = ""
        """Keys that reached this phone from the other side as telephone events."""
        self.tones = ""
        """Keys whose tones were heard from the other side."""
        self.heard: deque[Heard] = deque(maxlen=_MOST_HEARD)
        """What was heard from when on, the silence between included."""
        self.former_remote: Address | None = None
        self._codecs = tuple(codecs)
        self._wish = Direction.SENDRECV
        self._ours: SessionDescription | None = None
        self._negotiated: Negotiated | None = None
        self._vanished = False
        self._last: Sound = None
        self._waiting: list[asyncio.Event] = []
        world.endpoints[self.address] = self

    def __repr__(self) -> str:
        return f"<SimEndpointMedia {self.address[0]}:{self.address[1]} hears {self.hears}>"

    @property
    def hears(self) -> Sound:
        """What is heard now."""
        return self.world.heard_by(self.address)

    @property
    def keys(self) -> Keys | None:
        """The keys of SRTP agreed on; None for plain RTP."""
        return self._negotiated.keys if self._negotiated is not None else None

    @property
    def holds(self) -> bool:
        """Whether this phone has put the other side on hold."""
        return self._wish is not Direction.SENDRECV

    @property
    def remote(self) -> Address | None:
        """Where sound is sent."""
        if self._negotiated is None or self._negotiated.remote is None:
            return None
        host, port = self._negotiated.remote
        return numeric_host(host), port

    @property
    def listens(self) -> bool:
        """Whether sound that comes is heard."""
        return not self._vanished and self._negotiated is not None and self._negotiated.direction.receives

    @property
    def speaks_to(self) -> Address | None:
        """Where the voice goes now; a phone that holds sends nothing."""
        if self._vanished or self.mute or self._negotiated is None:
            return None
        if self._negotiated.direction is not Direction.SENDRECV:
            return None
        return self.remote

    @property
    def digits_type(self) -> int | None:
        """The payload type of telephone events agreed on."""
        return self._negotiated.telephone_event if self._negotiated is not None else None

    def offer(self) -> bytes:
        """Our offer, for an INVITE or a re-INVITE."""
        self._ours = make_offer(
            self._codecs,
            host=self.address[0],
            port=self.address[1],
            session_id=self.address[1],
            direction=self._wish,
            telephone_event=TELEPHONE_EVENT_TYPE if self.events else None,
            previous=self._ours,
            security=self.security,
        )
        return self._ours.to_bytes()

    def answer(self, offer: bytes) -> bytes:
        """Take an offer; returns our answer. Raises SdpError, SdpNotAcceptable."""
        described = SessionDescription.parse(offer)
        if self.security is not None and self.security.insists and described.media[0].protocol == "RTP/AVP":
            raise SdpNotAcceptable("this phone looks at the profile alone")
        negotiated = negotiate(
            described if self.events else _without_events(described),
            self._codecs,
            host=self.address[0],
            port=self.address[1],
            session_id=self.address[1],
            direction=self._wish,
            previous=self._ours,
            security=self.security,
        )
        self._ours = negotiated.description
        self._agree(negotiated)
        return self._ours.to_bytes()

    def take_answer(self, answer: bytes) -> None:
        """Take the answer to our offer. Raises SdpError, SdpNotAcceptable."""
        assert self._ours is not None, "an answer without an offer"
        self._agree(read_answer(self._ours, SessionDescription.parse(answer), self.security))

    def says(self, sdp: bytes) -> bytes:
        """Our own description is this one from now on, whatever it says; returned for the message that carries it."""
        self._ours = SessionDescription.parse(sdp)
        return sdp

    def hold(self) -> bytes:
        """The offer that puts the other side on hold; it counts when the answer is taken."""
        self._wish = Direction.SENDONLY
        return self.offer()

    def resume(self) -> bytes:
        """The offer that ends the hold."""
        self._wish = Direction.SENDRECV
        return self.offer()

    def press(self, keys: str) -> None:
        """Press keys."""
        self.world.press(self, keys)

    def vanish(self) -> None:
        """Send and hear nothing from now on, without a word."""
        self._vanished = True
        self.world.endpoint_changed(self)

    def close(self) -> None:
        """The call is over. May be called twice."""
        self._negotiated, self.former_remote = None, self.remote
        self.world.endpoint_changed(self)
        self.world.endpoints.pop(self.address, None)

    def has_heard(self, name: str) -> bool:
        """Whether a clip whose file is called so (without its ending) sounds or has sounded."""
        return any(_is_clip(heard.sound, name) for heard in self.heard)

    async def until_hears(self, what: str | Callable[[Sound], bool]) -> Sound:
        """Wait until this is heard: the name of a clip's file without its ending, or what a test accepts."""
        test = what if callable(what) else lambda sound: _is_clip(sound, what)
        return await self._until(test)

    async def until_hears_voice(self, other: SimEndpointMedia) -> None:
        """Wait until the other's voice is heard."""
        await self._until(lambda sound: sound == VoiceSound(other.address))

    def refresh(self) -> None:
        """Called by the world when something may sound different."""
        sound = self.hears
        if sound == self._last:
            return
        self._last = sound
        self.heard.append(Heard(asyncio.get_running_loop().time(), sound))
        for event in self._waiting:
            event.set()

    async def _until(self, test: Callable[[Sound], bool]) -> Sound:
        event = asyncio.Event()
        self._waiting.append(event)
        try:
            while not test(sound := self.hears):
                event.clear()
                await event.wait()
            return sound
        finally:
            self._waiting.remove(event)

    def _agree(self, negotiated: Negotiated) -> None:
        self.former_remote = self.remote
        self._negotiated = negotiated
        self.world.endpoint_changed(self)


def _nobody(_: MediaEvent) -> None:
    """Nobody wants to hear of it any more."""


class SimMediaSession:
    """A session of a simulated plane. Made by ``SimMediaPlane.open``."""

    def __init__(
        self,
        plane: SimMediaPlane,
        number: int,
        call_id: str,
        worker: int,
        description: Description,
        on_event: OnMediaEvent,
        settings: MediaSettings,
    ) -> None:
        self.call_id = call_id
        self.worker = worker
        self.description = description
        self.sources: tuple[SimMediaSession, ...] = ()
        """Whose sound the peer hears, unless a play stands in for it."""
        self.listeners: list[SimMediaSession] = []
        """Whose peers hear this one's."""
        self.wants_digits = False
        self.masked = False
        """Whether what the peer presses and says reaches nobody else."""
        self.lost = False
        self.suffered: dict[str, Any] = {}
        """Counters that are to be other than those of a network without fault, by their names in MediaStats."""
        self._plane = plane
        self._world = plane.world
        self._number = number
        self._on_event = on_event
        self._silence_timeout = settings.silence_timeout
        self._missing_after = settings.missing_after
        self._loop = asyncio.get_running_loop()
        self._released = False
        self._numbers = itertools.count(1)
        self._play = 0
        self._clips: tuple[Clip, ...] = ()
        self._playing = 0
        self._repeats = False
        self._play_timer: asyncio.TimerHandle | None = None
        self._silence_timer: asyncio.TimerHandle | None = None
        self._first_timer: asyncio.TimerHandle | None = None
        self._missing_timer: asyncio.TimerHandle | None = None
        self._stopped_timer: asyncio.TimerHandle | None = None
        self._one_way: dict[OneWay, float] = {}
        self._one_way_after = settings.one_way_after
        self._told_first = False
        self._told_missing = False
        self._received = _Meter(self._loop)
        self._sent = _Meter(self._loop)

    def __repr__(self) -> str:
        state = "released" if self._released else f"sends {self.sound}"
        return f"<SimMediaSession {self._number} of {self.call_id} {state}>"

    @property
    def id(self) -> str:
        """The session's number."""
        return str(self._number)

    @property
    def address(self) -> Address:
        """Where this session receives."""
        return numeric_host(self.description.host), self.description.port

    @property
    def remote(self) -> Address | None:
        """The peer's address, as described."""
        negotiated = self.description.negotiated
        if negotiated is None or negotiated.remote is None:
            return None
        return numeric_host(negotiated.remote[0]), negotiated.remote[1]

    @property
    def keys(self) -> Keys | None:
        """The keys of SRTP agreed on; None for plain RTP."""
        return self.description.negotiated.keys if self.description.negotiated is not None else None

    @property
    def sends_to(self) -> Address | None:
        """Where sound goes, if the peer wants to hear any."""
        negotiated = self.description.negotiated
        return self.remote if negotiated is not None and negotiated.direction.sends else None

    @property
    def speaker(self) -> SimEndpointMedia | None:
        """The phone whose voice comes in now."""
        endpoint = self._world.endpoints.get(self.remote) if self.remote is not None else None
        if endpoint is None or endpoint.speaks_to != self.address or not self.understands(endpoint):
            return None
        return endpoint

    @property
    def comes_in(self) -> Sound:
        """What the peer lets others hear now: a phone its voice, another session what it sends; masked: nothing."""
        if self.masked:
            return None
        if (speaker := self.speaker) is not None:
            return VoiceSound(speaker.address)
        far = self._world.sessions.get(self.remote) if self.remote is not None else None
        return far.sound if far is not None and far.sends_to == self.address and _fit(self.keys, far.keys) else None

    @property
    def listens_for_tones(self) -> bool:
        """Whether a tone in the peer's voice is a key."""
        return self.wants_digits and self.description.tones_are_keys

    @property
    def plays(self) -> bool:
        """Whether a play runs."""
        return bool(self._play)

    @property
    def sound(self) -> Sound:
        """What is sent to the peer now."""
        if self._play:
            return ClipSound(tuple(clip.path for clip in self._clips), self._clips[self._playing].path)
        return mixed(source.comes_in for source in self.sources)

    @property
    def sdp(self) -> bytes:
        """Our present description."""
        return self.description.sdp

    @property
    def secure(self) -> str:
        """The crypto-suite of SRTP agreed on; empty for plain RTP."""
        return self.description.secure

    @property
    def remote_holds(self) -> bool:
        """Whether the peer's last description put us on hold."""
        return self.description.remote_holds

    @property
    def events(self) -> bool:
        """Whether keys come and go as telephone events."""
        return self.description.takes_events

    async def set_answer(self, sdp: bytes, *, private: bool = True) -> None:
        """Take the peer's answer. Raises BadDescription, NotAcceptable, MediaGone."""
        self.check()
        self.description.take_answer(sdp, private=private)
        self._world.changed(self)

    async def reoffer(self, sdp: bytes) -> bytes:
        """Take a new offer; returns our answer. Raises BadDescription, NotAcceptable, MediaGone."""
        self.check()
        answer = self.description.answer(sdp)
        self._world.changed(self)
        return answer

    async def offer_again(self) -> bytes:
        """Our present description as a new offer. Raises MediaGone."""
        self.check()
        return self.description.offer()

    async def bridge(self, other: MediaSession) -> None:
        """Relay both ways. Raises MediaGone, MediaError when the sessions are on different workers."""
        assert isinstance(other, SimMediaSession), "sessions of one plane are bridged"
        self._check_beside(other)
        for each in (self, other):
            each.end_bridge()
        self.take_sources((other,))
        other.take_sources((self,))
        # The worker's answer takes a moment; a caller who is cancelled meanwhile has bridged nevertheless.
        await asyncio.sleep(self._plane.control_delay)

    async def unbridge(self) -> None:
        """End the relay on both sides."""
        self.end_bridge()

    async def hear(self, sources: Sequence[MediaSession]) -> None:
        """Hear these, and nobody else. Raises MediaGone, MediaError when one of them is on a different worker."""
        self.check()
        heard: list[SimMediaSession] = []
        for source in sources:
            assert isinstance(source, SimMediaSession), "sessions of one plane hear each other"
            self._check_beside(source)
            heard.append(source)
        self.take_sources(tuple(heard))
        await asyncio.sleep(self._plane.control_delay)

    def end_bridge(self) -> None:
        """Hear nobody; nor does whoever hears this one alone, and is heard by it."""
        for other in self.sources:
            if other.sources == (self,):
                other.take_sources(())
        self.take_sources(())

    def _check_beside(self, other: SimMediaSession) -> None:
        self.check()
        other.check()
        if other.worker != self.worker:
            raise MediaError("sessions of different calls, on different workers, cannot be bridged")

    def take_sources(self, sources: tuple[SimMediaSession, ...]) -> None:
        """Hear these from now on."""
        if sources == self.sources:
            return
        for source in self.sources:
            source.listeners.remove(self)
        self.sources = sources
        for source in sources:
            source.listeners.append(self)
        self._world.changed(self)

    def play(self, clips: Sequence[Clip], *, loop: bool = False, start: float = 0.0) -> int:
        """Play the clips to the peer; PlayEnded tells the end."""
        number = next(self._numbers)
        if self._released:
            return number
        self._end_play(complete=False)
        unreadable = any(clip.path in self._plane.unreadable for clip in clips)
        if unreadable or not clips:
            self._loop.call_soon(self.tell, PlayEnded(self.id, number, not unreadable))
        else:
            self._play, self._clips, self._playing, self._repeats = number, tuple(clips), 0, loop
            self._begin(start % (sum(clip.seconds for clip in clips) or 1.0) if loop else start)
        self._world.changed(self)
        return number

    def stop(self) -> None:
        """Stop what plays."""
        if self._end_play(complete=False):
            self._world.changed(self)

    def listen_for_digits(self, on: bool) -> None:
        """Whether tones in the voice are keys, on a leg without telephone events."""
        self.wants_digits = on

    def send_digits(self, keys: str, *, duration: float = 0.1, pause: float = 0.1) -> None:
        """Press keys towards the peer."""
        keys = checked_keys(keys)
        if not self._released:
            self._world.press_from(self, keys)

    def mask_digits(self, on: bool) -> None:
        """Whether what the peer presses, and all its sound, reaches nobody else."""
        if on != self.masked and not self._released:
            self.masked = on
            self._world.changed(self)

    @property
    def codec(self) -> str | None:
        """The codec that the peer speaks; None: not agreed on yet."""
        return self.description.codec

    @property
    def counted(self) -> MediaStats:
        """The counters now; of a session that is released, as they were then."""
        received, sent = self._received.packets, self._sent.packets
        counted = MediaStats(received, sent, received * _OCTETS, sent * _OCTETS)
        return replace(counted, **self.suffered)

    async def stats(self) -> MediaStats:
        """The counters now. Raises MediaGone."""
        self.check()
        return self.counted

    def release(self) -> None:
        """Give the port back. May be called twice."""
        if self._released:
            return
        self._released = True
        self._on_event = _nobody  # its owner holds us
        self._play = 0
        self._received.run(False)
        self._sent.run(False)
        timers = (self._play_timer, self._silence_timer, self._first_timer, self._missing_timer, self._stopped_timer)
        for timer in timers:
            if timer is not None:
                timer.cancel()
        remote = self.remote
        self.end_bridge()
        for listener in tuple(self.listeners):
            listener.take_sources(tuple(source for source in listener.sources if source is not self))
        self._plane.forget(self)
        if remote is not None and (endpoint := self._world.endpoints.get(remote)) is not None:
            endpoint.refresh()

    def lose(self, detail: str) -> None:
        """The worker dies."""
        self.tell(MediaLost(self.id, detail))
        self.release()

    def understands(self, endpoint: SimEndpointMedia) -> bool:
        """Whether what comes from this phone is taken: it is the peer, and holds the keys that were agreed on."""
        return self.remote == endpoint.address and _fit(self.keys, endpoint.keys)

    def check(self) -> None:
        """Raises MediaGone when the session is released or its worker dead."""
        if self._released:
            raise MediaGone(f"media session {self.id} is gone")

    def tell(self, event: MediaEvent) -> None:
        """Hand an event to the owner."""
        if not self._released:
            self._on_event(event)

    def refresh(self) -> None:
        """Called by the world when the peer may have begun or ceased to speak, or to be spoken to."""
        if self._released:
            return
        speaks = self.comes_in is not None
        self._received.run(speaks)
        self._sent.run(self.sends_to is not None and self.sound is not None)
        if speaks and not self._told_first and self._first_timer is None:
            self._first_timer = self._loop.call_later(self._world.delay, self._first)
        negotiated = self.description.negotiated
        due = negotiated is not None and negotiated.direction.receives and not negotiated.remote_holds
        if due and not speaks:
            if self._silence_timer is None:
                self._silence_timer = self._loop.call_later(self._silence_timeout, self._silent)
        elif self._silence_timer is not None:
            self._silence_timer.cancel()
            self._silence_timer = None
        if due and not self._told_first and not self._told_missing:
            if self._missing_timer is None:
                self._missing_timer = self._loop.call_later(self._missing_after, self._missing)
        elif self._missing_timer is not None:
            self._missing_timer.cancel()
            self._missing_timer = None
        if due and self._told_first and not speaks:
            if self._stopped_timer is None and OneWay.STOPPED not in self._one_way:
                self._stopped_timer = self._loop.call_later(self._one_way_after, self._stopped)
        else:
            if self._stopped_timer is not None:
                self._stopped_timer.cancel()
                self._stopped_timer = None
            self.two_ways(OneWay.STOPPED)

    def _first(self) -> None:
        self._first_timer = None
        if self.comes_in is not None and self.remote is not None:
            self._told_first = True
            self.tell(FirstPacket(self.id, host_port(*self.remote)))

    def _missing(self) -> None:
        if not self._told_first:
            self._told_missing = True
            self.tell(NoPacket(self.id, self._missing_after, *self.description.ends))

    def _stopped(self) -> None:
        self._stopped_timer = None
        self.one_way(OneWay.STOPPED, self._one_way_after)

    def one_way(self, kind: OneWay, seconds: float) -> None:
        """Sound goes one way only, in this way, and has for ``seconds``."""
        if kind not in self._one_way:
            self._one_way[kind] = self._loop.time()
            self.tell(OneWayBegan(self.id, kind, seconds, kind is not OneWay.STOPPED, self._sent.packets))

    def two_ways(self, kind: OneWay) -> None:
        """It does no more."""
        began = self._one_way.pop(kind, None)
        if began is not None:
            self.tell(OneWayEnded(self.id, kind, self._loop.time() - began))

    def _silent(self) -> None:
        # The timer stays set: silence is told once, until something is heard again.
        self.tell(MediaSilent(self.id, self._silence_timeout))

    def _begin(self, start: float) -> None:
        """Begin so many seconds into the clips."""
        while self._playing < len(self._clips) - 1 and start >= self._clips[self._playing].seconds:
            start -= self._clips[self._playing].seconds
            self._playing += 1
        left = max(0.0, self._clips[self._playing].seconds - start)
        self._play_timer = self._loop.call_later(left, self._next_clip)

    def _next_clip(self) -> None:
        self._playing += 1
        if self._playing == len(self._clips):
            self._playing = 0
            if not self._repeats or not any(clip.seconds for clip in self._clips):
                self._end_play(complete=True)
                self._world.changed(self)
                return
        self._play_timer = self._loop.call_later(self._clips[self._playing].seconds, self._next_clip)
        self._world.changed(self)

    def _end_play(self, *, complete: bool) -> bool:
        number, self._play = self._play, 0
        if not number:
            return False
        if self._play_timer is not None:
            self._play_timer.cancel()
        self._loop.call_soon(self.tell, PlayEnded(self.id, number, complete))
        return True


class SimMediaPlane:
    """The switch's side: a MediaPlane without sound."""

    def __init__(
        self, world: SimMediaWorld, settings: MediaSettings | None = None, random: Random | None = None
    ) -> None:
        self.world = world
        self.settings = settings or MediaSettings(workers=1)
        self.control_delay = 0.0005
        """Seconds that a worker takes to answer."""
        self.unreadable: set[str] = set()
        """Paths of clips that cannot be read."""
        self.unwritable: set[str] = set()
        """Paths of recordings that cannot be made."""
        self.recordings: list[SimMediaRecording] = []
        """Those that run."""
        self.made: list[SimMediaRecording] = []
        """All that ever ran."""
        self.prepared: set[str] = set()
        self._random = random or Random(0)
        self._numbers = itertools.count(1)
        self._sessions: dict[int, SimMediaSession] = {}
        self._calls: dict[str, list[SimMediaSession]] = {}
        self._workers: dict[str, int] = {}
        self._restarts: Counter[int] = Counter()
        self._draining: set[int] = set()
        self._closed = False
        low, high = self.settings.ports
        self._free = deque(range(low + low % 2, high, 2))
        self._capacity = min(len(self._free), self.settings.max_sessions or len(self._free))

    def __repr__(self) -> str:
        return f"<SimMediaPlane {len(self._sessions)} of {self._capacity} sessions>"

    @property
    def sessions(self) -> tuple[SimMediaSession, ...]:
        """The sessions that are open."""
        return tuple(self._sessions.values())

    async def start(self) -> None:
        """Nothing needs to be started."""

    async def prepare(self, clips: Iterable[Clip]) -> None:
        """Note the clips. Raises MediaError for those that are to be unreadable."""
        for clip in clips:
            if clip.path in self.unreadable:
                raise MediaError(f"{clip.path}: cannot be read: No such file or directory")
            self.prepared.add(clip.path)

    async def open(
        self,
        call_id: str,
        *,
        local: str,
        on_event: OnMediaEvent,
        offer: bytes | None = None,
        beside: MediaSession | None = None,
        peer: str | None = None,
        codecs: Sequence[str] | None = None,
        private: bool = False,
        insists: bool = False,
    ) -> SimMediaSession:
        """A session for one leg. Raises NoCapacity, NotAcceptable, BadDescription."""
        assert beside is None or isinstance(beside, SimMediaSession), "sessions of one plane stand beside each other"
        advertised = Advertised(self.settings.advertised, self.settings.local_networks)
        description = Description(
            advertised.host(local, peer or ""),
            chosen_codecs(self.settings, codecs),
            self._random.getrandbits(48),
            beside=beside.description if beside is not None else None,
            security=security_of(self.settings, self._random, private=private, insists=insists),
        )
        if offer is not None:
            description.check(offer)
        if beside is not None:
            call_id = beside.call_id
        self._check_room(call_id)
        number = next(self._numbers)
        session = SimMediaSession(self, number, call_id, self._worker(call_id), description, on_event, self.settings)
        description.port = self._free.popleft()
        self._sessions[number] = session
        self._calls.setdefault(call_id, []).append(session)
        try:
            await asyncio.sleep(self.control_delay)
            session.check()
            if offer is not None:
                description.answer(offer)
            else:
                description.offer()
        except BaseException as error:
            session.release()
            if isinstance(error, MediaGone):
                raise NoCapacity(str(error)) from error
            raise
        self.world.sessions[session.address] = session
        self.world.changed(session)
        return session

    async def record(
        self, order: RecordingOrder, left: MediaSession, right: Sequence[MediaSession], on_end: OnRecordingEnded
    ) -> SimMediaRecording:
        """Note who is recorded from now on. Raises MediaGone, and MediaError for a path that is to be unwritable."""
        sessions = [_ours(session) for session in (left, *right)]
        await asyncio.sleep(self.control_delay)
        for session in sessions:
            session.check()
        if order.path in self.unwritable:
            raise MediaError(f"{order.path}: cannot be made: Permission denied")
        recording = SimMediaRecording(order, sessions[0], sessions[1:], on_end, self.recordings.remove)
        self.recordings.append(recording)
        self.made.append(recording)
        return recording

    def status(self) -> PlaneStatus:
        """What the plane carries now."""
        workers = self._worker_count()
        sessions = Counter(session.worker for session in self.sessions)
        each = tuple(
            WorkerStatus(
                index=index,
                pid=index + 1,
                alive=not self._closed,
                sessions=sessions[index],
                capacity=self._capacity // workers,
                load=0.0,
                late_ms=0.0,
                restarts=self._restarts[index],
                draining=index in self._draining,
            )
            for index in range(workers)
        )
        return PlaneStatus(each, len(self._sessions), self._capacity)

    def worker_of(self, call_id: str) -> int | None:
        """The index of the worker that carries a call; None when it has no sound."""
        return self._workers.get(call_id)

    def drain_worker(self, index: int, *, cancel: bool = False) -> None:
        """No new call goes to this worker; with ``cancel`` they do again. Raises MediaError when there is no such."""
        self._check_index(index)
        (self._draining.discard if cancel else self._draining.add)(index)

    async def replace_worker(self, index: int, limit: float) -> None:
        """A new worker is there at once; the former's calls go on as if it were the same."""
        self._check_index(index)
        await asyncio.sleep(self.control_delay)
        self._draining.discard(index)

    def _check_index(self, index: int) -> None:
        if not 0 <= index < self._worker_count():
            raise MediaError(f"there is no media worker {index}: they are 0 to {self._worker_count() - 1}")

    async def close(self) -> None:
        """Release everything. May be called twice."""
        self._closed = True
        for session in self.sessions:
            session.release()

    def kill_worker(self, worker: int = 0) -> None:
        """A worker dies; another takes its place at once."""
        self._restarts[worker] += 1
        for session in self.sessions:
            if session.worker == worker:
                for recording in [each for each in self.recordings if each.left is session]:
                    recording.end(RecordingReason.WORKER_LOST, f"media worker {worker} died")
                session.lose(f"media worker {worker} died")

    def forget(self, session: SimMediaSession) -> None:
        """The session is released."""
        if self._sessions.pop(int(session.id), None) is None:
            return
        for recording in [each for each in self.recordings if each.left is session]:
            recording.stop()
        self.world.sessions.pop(session.address, None)
        self._free.append(session.description.port)
        legs = self._calls[session.call_id]
        legs.remove(session)
        if not legs:
            del self._calls[session.call_id]
            self._workers.pop(session.call_id, None)

    def _check_room(self, call_id: str) -> None:
        if self._closed:
            raise NoCapacity("the media plane is closed")
        if call_id not in self._workers and len(self._draining) == self._worker_count():
            raise NoCapacity("no media worker takes calls")
        reserved = sum(max(len(legs), _LEGS_PER_CALL) for legs in self._calls.values())
        legs = self._calls.get(call_id)
        needed = _LEGS_PER_CALL if legs is None else int(len(legs) >= _LEGS_PER_CALL)
        if reserved + needed > self._capacity:
            raise NoCapacity("no media session is free")

    def _worker(self, call_id: str) -> int:
        if call_id not in self._workers:
            taken = {index: 0 for index in range(self._worker_count()) if index not in self._draining}
            for worker in self._workers.values():
                if worker in taken:
                    taken[worker] += 1
            self._workers[call_id] = min(taken, key=taken.__getitem__)
        return self._workers[call_id]

    def _worker_count(self) -> int:
        return self.settings.workers or 1


class _Meter:
    """Counts the packets of a stream that runs and pauses."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._since: float | None = None
        self._seconds = 0.0

    @property
    def packets(self) -> int:
        """Packets so far."""
        running = self._loop.time() - self._since if self._since is not None else 0.0
        return int((self._seconds + running) * PACKETS_PER_SECOND)

    def run(self, on: bool) -> None:
        """Run or pause."""
        if on and self._since is None:
            self._since = self._loop.time()
        elif not on and self._since is not None:
            self._seconds += self._loop.time() - self._since
            self._since = None


def _fit(one: Keys | None, other: Keys | None) -> bool:
    """Whether one end opens what the other seals."""
    if one is None or other is None:
        return one is other
    return (one.suite, one.ours, one.theirs) == (other.suite, other.theirs, other.ours)


def _without_events(offer: SessionDescription) -> SessionDescription:
    """The offer as a phone reads it that knows no telephone events."""
    media = []
    for each in offer.media:
        events = {str(event.payload_type) for event in each.events()}
        media.append(replace(each, formats=tuple(name for name in each.formats if name not in events)))
    return replace(offer, media=tuple(media))


def _ours(session: MediaSession) -> SimMediaSession:
    assert isinstance(session, SimMediaSession), "sessions of one plane are recorded"
    return session


def _is_clip(sound: Sound, name: str) -> bool:
    return isinstance(sound, ClipSound) and PurePath(sound.now).stem == name
