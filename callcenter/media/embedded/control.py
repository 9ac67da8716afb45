"""What the plane and a worker say to each other: JSON lists in frames of four octets of length, over a socket pair.

A message is ``[op, number, ...]``. Down to the worker, ``number`` is a session, or a request that is answered with
``[OK, number, result]`` or ``[FAILED, number, kind, detail]``. Up come also the events of sessions.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypedDict

from callcenter.runtime.encoding import from_json, json_bytes, json_text

Message = list[Any]

# Down: to be answered.
OPEN: Final = "open"  # request, session, host, row of the board (-1: none) -> port
PREPARE: Final = "prepare"  # request, path -> seconds
BRIDGE: Final = "bridge"  # request, session, session
HEAR: Final = "hear"  # request, session, sessions whose sound its peer hears
STATS: Final = "stats"  # request, session -> list of counters
KEEP: Final = "keep"  # request, how many free ports to keep: another worker gets the others -> ports that are kept
RECORD: Final = "record"  # request, recording, session on the left, sessions on the right
REQUESTS: Final = frozenset((OPEN, PREPARE, BRIDGE, HEAR, STATS, KEEP, RECORD))
# Down: not answered.
REMOTE: Final = "remote"  # session, Remote
UNBRIDGE: Final = "unbridge"  # session
PLAY: Final = "play"  # session, play, paths, loop, seconds into them to begin at
STOP: Final = "stop"  # session
LISTEN: Final = "listen"  # session, whether tones in the sound are keys
PRESS: Final = "press"  # session, keys, seconds of each, seconds behind each
MASK: Final = "mask"  # session, whether what its peer presses is a secret
RELEASE: Final = "release"  # session
PORTS: Final = "ports"  # 0, ports that are another worker's, ports that are its own from now on
RECORD_HEARS: Final = "record hears"  # recording, sessions on the right from now on
RECORD_PAUSE: Final = "record pause"  # recording
RECORD_RESUME: Final = "record resume"  # recording
RECORD_STOP: Final = "record stop"  # recording
RECORD_DROP: Final = "record drop"  # recording, which has ended without the worker
QUIT: Final = "quit"
# Up: answers.
OK: Final = "ok"
FAILED: Final = "failed"
# Up: events.
READY: Final = "ready"  # capacity, seconds the imports took
LOAD: Final = "load"  # share of a core, lateness of nine of ten ticks and the worst (seconds), octets of memory
DIGIT: Final = "digit"  # session, key
ENDED: Final = "ended"  # session, play, complete
FIRST: Final = "first"  # session, source
MISSING: Final = "missing"  # session, seconds, who was refused, payload type not agreed on (-1: none), unauthentic
SILENT: Final = "silent"  # session, seconds
ONE_WAY: Final = "one_way"  # session, OneWay, whether it begins, seconds, whether reports come, packets sent
TROUBLE: Final = "trouble"  # session, what the operator should read

RECORD_LOST: Final = "record lost"  # recording, what the operator should read: the recorder does not take it any more
# Down to a recorder, to be answered.
RECORD_OPEN: Final = "record open"  # request, recording, path, encoding, samples a second, key -> path with suffix
# Down to a recorder.
RECORD_END: Final = "record end"  # recording, reason, detail
# Up from a recorder; also OK, FAILED, READY, LOAD, and TROUBLE (recording, what the operator should read).
RECORDER_ENDS: Final = "recorder ends"  # 0: the worker has ended, and all files are finished
RECORDED: Final = "recorded"  # recording, path, seconds, octets, SHA-256, reason, detail

# Kinds of failure.
CAPACITY: Final = "capacity"
MEDIA: Final = "media"

# What may come beside the sound of codecs.
EVENT: Final = "telephone-event"
COMFORT_NOISE: Final = "CN"

# Far above any message (a play of 200 long paths): a length beyond it means that the framing is lost.
_MAX_FRAME: Final = 8 << 20


class RemoteKeys(TypedDict):
    """SRTP: the crypto-suite, and the master keys with their salts, in hexadecimal digits. Never to be printed."""

    suite: str
    ours: str
    theirs: str


class Remote(TypedDict):
    """What a worker must know of a peer, from its session description."""

    host: str
    """Where sound goes until some was received; empty: nowhere."""
    port: int
    rtcp_host: str
    rtcp_port: int
    also_from: list[str]
    """Other hosts from which sound may come: where the signalling comes from, and loopback for who is here anyway."""
    codec: str
    payload_type: int
    event_type: int
    """Payload type of telephone events towards the peer; -1: it takes none."""
    event_rate: int
    """Timestamp units a second of their durations: 8000, or the codec's clock."""
    ptime: int
    """Milliseconds of sound that the peer wants in a packet: 10 to 60, in whole tens."""
    maxptime: int
    """The most that it takes; 0: it does not say."""
    fmtp: str
    """What the peer says of the codec, for whoever encodes."""
    rtcp_mux: bool
    """Whether reports come and go by the port of the sound."""
    accepts: list[tuple[int, str]]
    """Payload types that may come, each with its codec, ``telephone-event`` or ``CN``."""
    sends_to: bool
    """Whether the peer wants to hear."""
    due: bool
    """Whether the peer should send."""
    keys: RemoteKeys | None
    """How what goes and comes is encrypted; None: it is plain RTP."""


class WorkerSettings(TypedDict):
    """The argument of a worker process, as JSON."""

    version: int
    """Of what the switch says and understands, see ``version.py``."""
    control: int
    """Descriptor of the control socket."""
    first_port: int
    pairs: int
    port_rest: float
    """Seconds for which a pair that was given back is not used again."""
    codecs: list[str]
    silence_timeout: float
    missing_after: float
    rtcp_interval: float
    one_way_after: float
    board: int
    """Descriptor of the memory behind the board."""
    srtp: bool
    """Whether there may be SRTP."""
    recorder: int
    """Descriptor of the socket by which sound is handed over to the recorder."""


def frame(message: Message) -> bytes:
    """The octets of a message."""
    try:
        data = json_bytes(message)
    except UnicodeEncodeError:  # a file whose name is no UTF-8
        data = json_text(message).encode()
    return len(data).to_bytes(4, "big") + data


class Sender:
    """Writes what is said in one turn of the loop together: one system call, and one wake-up of the other process.

    On one core each wake-up takes the processor from us and back; a call costs a dozen messages either way.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []

    @property
    def unread(self) -> int:
        """Octets that were written and not taken yet."""
        return self._transport.get_write_buffer_size()

    def send(self, message: Message) -> None:
        """Say it, in this turn. Does nothing when the connection is closed."""
        if not self._waiting:
            self._loop.call_soon(self.flush)
        self._waiting.append(frame(message))

    def flush(self) -> None:
        """Write now what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting and not self._transport.is_closing():
            self._transport.write(b"".join(waiting))


class Frames:
    """Takes a stream of octets apart."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """The messages that are complete. Raises ValueError when the framing is lost."""
        self._buffer += data
        messages: list[Message] = []
        at = 0
        while len(self._buffer) - at >= 4:
            size = int.from_bytes(self._buffer[at : at + 4], "big")
            if size > _MAX_FRAME:
                raise ValueError("the framing is lost")
            if len(self._buffer) - at - 4 < size:
                break
            messages.append(from_json(self._buffer[at + 4 : at + 4 + size]))
            at += 4 + size
        del self._buffer[:at]
        return messages
