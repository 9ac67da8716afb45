"""MediaPlane: the interface of everything that carries sound; nothing else knows RTP.

Session descriptions (SDP bytes) and plain values cross it, no object of the other side does, so that a worker
process, an rtpengine or a simulated plane fits behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from callcenter.model.states import OneWay


class MediaError(Exception):
    """The plane could not do it."""


class NoCapacity(MediaError):
    """No port or no worker is free: answer 503 with ``Retry-After: retry_after`` (seconds)."""

    def __init__(self, detail: str, retry_after: int = 5) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class NotAcceptable(MediaError):
    """The offer has nothing in common with us: answer 488."""


class BadDescription(MediaError):
    """The session description cannot be read: answer 400."""


class MediaGone(MediaError):
    """The session's worker is dead: its calls end."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A piece of sound on disk: a WAV file, 8 or 16 kHz, mono, 16 bit. ``seconds`` is its length."""

    path: str
    seconds: float


LONG_PAUSE = ","
"""Among keys that are sent: wait for two seconds, as the phones have it."""
MOST_KEYS = 64
"""That are sent at once: a number, a PIN and an extension, and far too few to keep a line busy."""


def checked_keys(keys: str) -> str:
    """Keys as they may be sent, letters made large. Raises ValueError, one clear line."""
    keys = keys.upper()
    if len(keys) > MOST_KEYS:
        raise ValueError(f"{len(keys)} keys are too many: {MOST_KEYS} are sent at once")
    for key in keys:
        if key not in "0123456789*#ABCD,":
            raise ValueError(f"{key!r} is no key: write 0-9, *, #, A-D, and a comma for a pause of two seconds")
    return keys


@dataclass(frozen=True, slots=True)
class Digit:
    """The peer pressed a key, ``0``-``9``, ``*``, ``#``, ``A``-``D``: told once per press, as soon as it is known."""

    session: str
    key: str


@dataclass(frozen=True, slots=True)
class PlayEnded:
    """A play ran to its end (``complete``) or was stopped or replaced."""

    session: str
    play: int
    complete: bool


@dataclass(frozen=True, slots=True)
class FirstPacket:
    """The first valid RTP packet came in, from ``source`` (``host:port``)."""

    session: str
    source: str


@dataclass(frozen=True, slots=True)
class NoPacket:
    """Some RTP was due for ``seconds``, and none came in at all: told once, FirstPacket may still follow.

    ``described`` is where the peer's description says it is, ``listens`` where we take its sound (``host:port``);
    ``refused`` is who sent to us although neither the description nor the signalling names that host, and
    ``payload_type`` what came that was not agreed on; empty, or -1, when there was nothing of the kind;
    ``unauthentic`` how many packets came by SRTP with another key, or without any.
    """

    session: str
    seconds: float
    described: str
    listens: str
    refused: str = ""
    payload_type: int = -1
    unauthentic: int = 0


@dataclass(frozen=True, slots=True)
class MediaSilent:
    """No RTP for the configured time although some was due (not while the peer holds or is inactive)."""

    session: str
    seconds: float


@dataclass(frozen=True, slots=True)
class OneWayBegan:
    """Sound that was there goes one way only, and has for ``seconds``: see OneWay. Told again after it has ended.

    ``reports``: whether the peer's RTCP still comes. ``sent``: packets that we had sent by then.
    """

    session: str
    kind: OneWay
    seconds: float
    reports: bool = False
    sent: int = 0


@dataclass(frozen=True, slots=True)
class OneWayEnded:
    """What OneWayBegan told of is over, ``seconds`` after it was told."""

    session: str
    kind: OneWay
    seconds: float


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The worker of this session died."""

    session: str
    detail: str


class RecordingReason(StrEnum):
    """Why a recording has ended."""

    STOPPED = "stopped"
    """It was asked to, or the caller's session was released."""
    DISK_FULL = "disk_full"
    SLOW_DISK = "slow_disk"
    """The disk did not take the sound as fast as it came: what was handed over until then is kept."""
    FAILED = "failed"
    """Anything else: ``detail`` says what."""
    WORKER_LOST = "worker_lost"
    """The worker of its sessions died: what was handed over until then is kept."""


@dataclass(frozen=True, slots=True)
class RecordingEnded:
    """A recording has ended, whoever ended it: told once, when nothing more is written to its file.

    ``path`` is where the file stands: under its name when it is whole, else under its name with ``.part`` (``octets``
    0, ``sha256`` empty), which ``callcenter recordings mend`` finishes. ``seconds`` is the length of the sound, from
    the start on, pauses among it; ``octets`` and ``sha256`` (hexadecimal digits) are those of the file as it is stored.
    """

    recording: str
    path: str
    seconds: float
    octets: int
    sha256: str
    reason: RecordingReason
    detail: str = ""
    """What an operator should read of it; empty when it was stopped."""


MediaEvent = Digit | PlayEnded | FirstPacket | NoPacket | MediaSilent | OneWayBegan | OneWayEnded | MediaLost


@dataclass(frozen=True, slots=True)
class MediaStats:
    """Counters of one session since it was opened; the peer's view comes from its RTCP reports."""

    packets_received: int = 0
    packets_sent: int = 0
    octets_received: int = 0
    octets_sent: int = 0
    lost: int = 0
    jitter_ms: float = 0.0
    remote_lost: int = 0
    remote_jitter_ms: float = 0.0
    round_trip_ms: float = 0.0
    unauthentic: int = 0
    """Packets thrown away because the peer's key has not signed them, or had sent them before."""
    bursts: int = 0
    """In how many runs the lost packets were lost."""
    worst_jitter_ms: float = 0.0
    remote_expected: int = 0
    """Packets that should have reached the peer by its latest report."""
    reports: int = 0
    """How many reports of the peer speak of what we send."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker now. ``pid`` 0: it is being replaced. ``capacity``: most sessions."""

    index: int
    pid: int
    alive: bool
    sessions: int
    capacity: int
    load: float
    """Share of a core."""
    late_ms: float
    """By how much its work is late: nine of ten ticks of the last second were late by less."""
    restarts: int
    """How often it has died and was replaced since the switch started."""
    draining: bool = False
    """It takes no new call."""
    retiring: bool = False
    """Another one has its place: it ends with its last call."""
    memory: int = 0
    """Octets that it has in memory."""
    worst_late_ms: float = 0.0
    """By how much the worst tick of the last second was late."""
    age: float = 0.0
    """Seconds since it was started."""


@dataclass(frozen=True, slots=True)
class PlaneStatus:
    """What the plane carries now, for health and ``status``; ``capacity`` is that of the workers that take calls."""

    workers: tuple[WorkerStatus, ...]
    sessions: int
    capacity: int

    @property
    def alive(self) -> int:
        """How many workers take calls."""
        return sum(worker.alive and not worker.draining for worker in self.workers)


class MediaSession(Protocol):
    """The sound of one leg."""

    @property
    def id(self) -> str:
        """Unique over the life of the plane."""
        ...

    @property
    def sdp(self) -> bytes:
        """Our present description: the answer to the peer's offer, or our own offer."""
        ...

    @property
    def secure(self) -> str:
        """The crypto-suite of SRTP agreed on with the peer; empty for plain RTP."""
        ...

    @property
    def remote_holds(self) -> bool:
        """Whether the peer's last description put us on hold (sendonly, inactive, or address 0.0.0.0)."""
        ...

    @property
    def events(self) -> bool:
        """Whether keys come and go as telephone events (RFC 4733); if not, as tones in the sound."""
        ...

    async def set_answer(self, sdp: bytes, *, private: bool = True) -> None:
        """Take the peer's answer to our offer. Raises BadDescription, NotAcceptable, MediaGone.

        Not ``private``: of the phones to which a private offer went, one has answered that was offered no keys, since
        others read what it is told. From now on none stand in our descriptions.
        """
        ...

    async def reoffer(self, sdp: bytes) -> bytes:
        """Take a new offer of the peer (re-INVITE); returns our answer, its version raised.

        Raises BadDescription, NotAcceptable (the old state stays in force), MediaGone.
        """
        ...

    async def offer_again(self) -> bytes:
        """Our present description as a new offer (answer to a re-INVITE without offer)."""
        ...

    async def bridge(self, other: MediaSession) -> None:
        """Let this session's peer and that of ``other`` (beside it) hear each other, until unbridged or released.

        Neither hears anybody else from now on, and whoever was bridged to one of them before hears nobody; who listens
        to them goes on. A play on either session is heard by that session's peer in place of the other. Raises
        MediaGone, MediaError when the sessions do not stand beside each other.
        """
        ...

    async def hear(self, sources: Sequence[MediaSession]) -> None:
        """What this session's peer hears from now on: nobody, one, or the sum of several, all beside this session.

        It is one way: what others hear stays as it is. A play stands in for it. Raises MediaGone, MediaError when a
        session does not stand beside this one.
        """
        ...

    async def unbridge(self) -> None:
        """Hear nobody any more; nor does the one that this session is bridged to. Who listens to it goes on."""
        ...

    def play(self, clips: Sequence[Clip], *, loop: bool = False, start: float = 0.0) -> int:
        """Play the clips one after the other to the peer; replaces what plays now. Returns the number of the play.

        ``start``: begin so many seconds into them, as if they had been playing; with ``loop`` round and round.
        Never waits: PlayEnded tells the end.
        """
        ...

    def stop(self) -> None:
        """Stop what plays. Does nothing when nothing does."""
        ...

    def listen_for_digits(self, on: bool) -> None:
        """Whether keys are wanted now: only then tones in the sound itself are looked for, and only on a leg whose peer
        has no telephone events. Never waits; off at first. Keys that come as telephone events are told always.
        """
        ...

    def send_digits(self, keys: str, *, duration: float = 0.1, pause: float = 0.1) -> None:
        """Press keys towards the peer, behind those that are still being sent: as telephone events, or as tones to a
        peer that has none; meanwhile it hears nothing else.

        ``duration`` of each and ``pause`` behind it in seconds; ``,`` is a pause of two seconds, in which it hears what
        there is. Never waits. Raises ValueError for what is no key, and for more than MOST_KEYS.
        """
        ...

    def mask_digits(self, on: bool) -> None:
        """Whether what the peer presses is a secret: told to the owner, and to nobody else. Never waits.

        Nobody who hears the peer gets an event, nor any sound: keys may be heard in it, or come both ways. They hear
        silence instead, packet for packet, so that no line seems dead; nor is anything recorded. It goes on for half a
        second after the end, and while a key is still held then. What the peer hears is as ever.
        """
        ...

    @property
    def codec(self) -> str | None:
        """The name of the codec that the peer speaks; None: not agreed on yet."""
        ...

    @property
    def counted(self) -> MediaStats:
        """The counters as they were at most a second or so ago; also of a session that is released, or lost. Costs
        nobody anything: the sound of all legs can be looked at as often as one likes.
        """
        ...

    async def stats(self) -> MediaStats:
        """The counters now. Raises MediaGone."""
        ...

    def release(self) -> None:
        """Give the ports back; no event of this session comes afterwards. May be called twice."""
        ...


OnMediaEvent = Callable[[MediaEvent], None]
OnRecordingEnded = Callable[[RecordingEnded], None]


class RecordingEncoding(StrEnum):
    """How sound is written."""

    PCM = "pcm"
    """16 bits a sample: 32 kB a second at 8 kHz."""
    ULAW = "ulaw"
    """8 bits a sample by mu-law, always at 8 kHz: 16 kB a second."""


@dataclass(frozen=True, slots=True)
class RecordingOrder:
    """What to record as, and where to."""

    id: str
    """Of the caller's choice: events name it."""
    path: str
    """Absolute, without suffix; folders are made (0700), the file is its owner's alone (0600)."""
    encoding: RecordingEncoding = RecordingEncoding.PCM
    key: bytes | None = field(default=None, repr=False)
    """The master key that the file is encrypted under: 32 octets (AES-256-GCM); None: it is a plain WAV file."""


class MediaRecording(Protocol):
    """A recording of two channels, the caller left and the agent right.

    Sound at ``t`` seconds in it was said ``t`` seconds after its start: pauses, holds and losses are silence as long.
    Its methods never wait; they may be called twice, and do nothing once it has ended.
    """

    @property
    def id(self) -> str:
        """As it was ordered."""
        ...

    @property
    def path(self) -> str:
        """The file's name once the recording has ended; until then ``.part`` stands behind it."""
        ...

    def pause(self) -> None:
        """Nothing that is said from now on reaches the file, nor the process that writes it."""
        ...

    def resume(self) -> None:
        """Record again."""
        ...

    def hears(self, right: Sequence[MediaSession]) -> None:
        """Who is on the right channel from now on, mixed when they are several; all of the left session's worker."""
        ...

    def stop(self) -> None:
        """End it: RecordingEnded follows when the file is safe."""
        ...


class MediaPlane(Protocol):
    """Where media sessions come from."""

    async def start(self) -> None:
        """Bring the workers up. Raises MediaError with one clear line."""
        ...

    async def prepare(self, clips: Iterable[Clip]) -> None:
        """Load and encode clips before the first call needs them. Raises MediaError naming the file."""
        ...

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
    ) -> MediaSession:
        """A session for one leg of ``call_id``.

        ``local`` is our address by which the peer is reached, written into the description unless the configuration
        advertises another. With ``offer`` the session's ``sdp`` is the answer, without it our offer. ``beside`` is the
        session it may be bridged to: it shares its worker, and its codec comes first in our offer. ``peer`` is the
        host that the signalling comes from: sound is taken from there too, since a phone behind a NAT describes an
        address of its own network. ``codecs`` are the only ones for this leg, in this order; None: those of the
        settings.
        ``private``: nobody but the peer reads the descriptions, so that keys for SRTP may stand in them. Our own offer
        can then be taken with SRTP or without, unless it ``insists`` on SRTP.

        Raises NoCapacity, NotAcceptable, BadDescription.
        """
        ...

    async def record(
        self, order: RecordingOrder, left: MediaSession, right: Sequence[MediaSession], on_end: OnRecordingEnded
    ) -> MediaRecording:
        """Record what comes in from the peers of ``left`` (the caller) and ``right`` (the agent; mixed when several).

        All are of one worker. It ends by ``stop``, or when ``left`` is released: ``on_end`` is told how.
        16 kHz when the left peer, or one of the right, speaks a wide-band codec at the start; else 8 kHz.

        Raises MediaGone, MediaError: the file cannot be made, in words for an operator.
        """
        ...

    def status(self) -> PlaneStatus:
        """What the plane carries now."""
        ...

    def worker_of(self, call_id: str) -> int | None:
        """The index of the worker that carries a call; None when it has no sound."""
        ...

    def drain_worker(self, index: int, *, cancel: bool = False) -> None:
        """No new call goes to this worker; with ``cancel`` they do again. Raises MediaError when there is no such."""
        ...

    async def replace_worker(self, index: int, limit: float) -> None:
        """Start a new worker in the place of this one, which ends by itself when its last call has, at the latest after
        ``limit`` seconds: then the calls that are left have MediaLost. Raises MediaError, and all is as before.
        """
        ...

    async def close(self) -> None:
        """Release everything and end the workers."""
        ...


def host_port(host: str, port: int) -> str:
    """How events name an address: ``192.0.2.1:4000``, ``[2001:db8::1]:4000``."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
