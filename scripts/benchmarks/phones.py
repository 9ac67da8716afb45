"""Callers and agents: hundreds of telephones in one process, on one clock.

``Callers`` dial, press a key, talk and hang up; ``Agents`` register and pick up. Their sound goes through ``Sound``:
a few sockets for all, each telephone known by the port of the switch that speaks to it.
"""

from __future__ import annotations

import asyncio
import itertools
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from scripts.benchmarks import wire
from scripts.benchmarks.floor import NUMBER
from scripts.benchmarks.part import BenchError
from scripts.benchmarks.wire import HOST, Address, Udp

# RFC 3261: timer A and E begin with T1, and we give up after some repetitions.
T1 = 0.5
MAX_REPEATS = 5
SWEEP = 0.1
PACKET = 0.02
SLOTS = 20
SOUND_SOCKETS = 8
EVENT_TYPE = 101
# Packets of one press: five updates of 20 ms, then three ends (RFC 4733 2.5.1.4).
PRESS_PACKETS = 8
_RTP = struct.Struct("!BBHII")
CALLER_VOICE, AGENT_VOICE = b"\x31" * 160, b"\x52" * 160


@dataclass(slots=True)
class Tally:
    """What became of the calls."""

    started: int = 0
    answered: int = 0
    ended: int = 0
    failed: int = 0
    repeated: int = 0  # datagrams sent again, by either side
    talked: int = 0  # calls in which both sides heard each other
    reasons: dict[str, int] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        """Count a call that failed."""
        self.failed += 1
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    @property
    def clean(self) -> bool:
        """Whether nothing failed, nothing was repeated, and nothing is missing."""
        return not self.failed and not self.repeated and self.ended == self.started

    def __str__(self) -> str:
        words = [f"{self.ended} of {self.started} calls well ended"]
        if self.repeated:
            words.append(f"{self.repeated} repetitions")
        words += [f"{count} x {reason}" for reason, count in self.reasons.items()]
        return ", ".join(words)


class Voice:
    """The sound of one telephone: sends every 20 ms from ``start`` on, counts what it hears."""

    __slots__ = ("_key", "_pressed", "_sequence", "_ssrc", "_timestamp", "heard", "kept", "port", "slot", "socket",
                 "talks", "to", "voice")  # fmt: skip

    def __init__(self, socket: Udp, voice: bytes, ssrc: int) -> None:
        self.socket = socket
        self.port = socket.port
        self.voice = voice
        self.to: Address | None = None
        self.heard = 0  # packets of the other telephone, not of the switch
        self.kept: list[tuple[float, bytes]] | None = None  # all that comes, and when, where somebody wants to know
        self.talks = False
        self._ssrc = ssrc
        self._sequence = 0
        self._timestamp = 0
        self.slot = -1
        self._key = -1
        self._pressed = PRESS_PACKETS

    def press(self, key: int) -> None:
        """Press a key from the next packet on, which goes out at once."""
        self._key, self._pressed = key, 0
        self.tick()

    def tick(self) -> None:
        """Send the packet that is due."""
        if self.to is None:
            return
        self._sequence = self._sequence + 1 & 0xFFFF
        at = self._pressed
        if at < PRESS_PACKETS:
            end = at >= PRESS_PACKETS - 3
            head = _RTP.pack(0x80, EVENT_TYPE | (0x80 if at == 0 else 0), self._sequence, self._timestamp, self._ssrc)
            duration = min(at + 1, PRESS_PACKETS - 3) * 160
            packet = head + struct.pack("!BBH", self._key, 0x8A if end else 0x0A, duration)
            self._pressed += 1
            if self._pressed == PRESS_PACKETS:
                self._timestamp += 160 * PRESS_PACKETS
        else:
            self._timestamp = self._timestamp + 160 & 0xFFFFFFFF
            packet = _RTP.pack(0x80, 0, self._sequence, self._timestamp, self._ssrc) + self.voice
        self.socket.send_to(packet, self.to)


class Sound:
    """All sound of one side: some sockets, and a wheel of 1 ms slots that sends for whoever talks."""

    def __init__(self, voice: bytes, other: bytes) -> None:
        self._voice = voice
        self._other = other[:1]
        self._loop = asyncio.get_running_loop()
        self._sockets = [Udp(self._heard) for _ in range(SOUND_SOCKETS)]
        self._next_socket = itertools.cycle(self._sockets)
        self._ssrc = itertools.count(0x1000 if voice is CALLER_VOICE else 0x4000_0000)
        self._voices: dict[int, Voice] = {}
        self._slots: list[set[Voice]] = [set() for _ in range(SLOTS)]
        self._next_slot = itertools.cycle(range(SLOTS))
        self._at = 0
        self._due = time.monotonic()
        self._timer = self._loop.call_later(PACKET / SLOTS, self._turn)

    def new(self) -> Voice:
        """A telephone's sound, silent as yet."""
        return Voice(next(self._next_socket), self._voice, next(self._ssrc))

    def connect(self, voice: Voice, port: int, *, talks: bool = True) -> None:
        """Send to the switch's ``port``, and hear what comes from there."""
        voice.to = (HOST, port)
        self._voices[port] = voice
        if talks and not voice.talks:
            voice.talks = True
            voice.slot = next(self._next_slot)
            self._slots[voice.slot].add(voice)

    def drop(self, voice: Voice) -> None:
        """Be silent and deaf."""
        if voice.to is not None:
            self._voices.pop(voice.to[1], None)
            voice.to = None
        if voice.talks:
            self._slots[voice.slot].discard(voice)
            voice.talks = False

    def close(self) -> None:
        """Close all."""
        self._timer.cancel()
        for each in self._sockets:
            each.close()

    def _heard(self, data: bytes, address: Address) -> None:
        voice = self._voices.get(address[1])
        if voice is None:
            return
        if data[12:13] == self._other:
            voice.heard += 1
        if voice.kept is not None:
            voice.kept.append((time.monotonic(), data))

    def _turn(self) -> None:
        now = time.monotonic()
        while self._due <= now:
            for voice in self._slots[self._at]:
                voice.tick()
            self._at = (self._at + 1) % SLOTS
            self._due += PACKET / SLOTS
        self._timer = self._loop.call_later(max(0.0, self._due - time.monotonic()), self._turn)


class Repeats:
    """Requests without an answer yet: sent again after T1, 2 T1 and so on, each counted."""

    def __init__(self, socket: Udp, server: Address, tally: Tally) -> None:
        self._socket = socket
        self._server = server
        self.tally = tally
        self._loop = asyncio.get_running_loop()
        # In the order of sending, so that the sweep stops at the first that is young.
        self._waiting: dict[str, tuple[float, bytes, int, Callable[[], None]]] = {}
        self._timer = self._loop.call_later(SWEEP, self._sweep)

    def send(self, key: str, data: bytes, on_failure: Callable[[], None]) -> None:
        """Send, until ``done`` is told."""
        self._waiting[key] = (time.monotonic(), data, 0, on_failure)
        self._socket.send_to(data, self._server)

    def done(self, key: str) -> bool:
        """An answer came; whether it was waited for."""
        return self._waiting.pop(key, None) is not None

    def close(self) -> None:
        """Repeat nothing any more."""
        self._timer.cancel()

    def _sweep(self) -> None:
        now = time.monotonic()
        due = []
        for key, entry in self._waiting.items():
            if now - entry[0] < T1:
                break
            due.append((key, entry))
        for key, (_, data, tries, on_failure) in due:
            del self._waiting[key]
            if tries == MAX_REPEATS:
                on_failure()
                continue
            # Each repetition waits T1 again and not twice as long: enough for a count, and it keeps the order.
            self._waiting[key] = (now, data, tries + 1, on_failure)
            self.tally.repeated += 1
            self._socket.send_to(data, self._server)
        self._timer = self._loop.call_later(SWEEP, self._sweep)


class Caller:
    """One call of a caller."""

    __slots__ = ("ack", "answered_at", "bye_sent", "id", "number", "pressed_at", "target", "to", "voice")

    def __init__(self, id: str, number: str) -> None:
        self.id = id
        self.number = number
        self.voice: Voice | None = None
        self.target = ""
        self.to = ""
        self.ack = b""
        self.answered_at = 0.0
        self.pressed_at = 0.0
        self.bye_sent = False


OnCaller = Callable[[Caller], None]


class Callers:
    """Everybody who dials. ``on_answer`` and ``on_end`` are told of each call; without them nothing is pressed."""

    def __init__(self, server: Address, tally: Tally, *, sound: Sound | None = None) -> None:
        self.tally = tally
        self.calls: dict[str, Caller] = {}
        self.by_number: dict[str, Caller] = {}
        self.on_answer: OnCaller = lambda call: None
        self.on_end: OnCaller = lambda call: None
        self.answer_seconds: list[float] = []
        self._server = server
        self._where = f"{server[0]}:{server[1]}"
        self._sound = sound
        self._socket = Udp(self._received)
        self._me = f"{HOST}:{self._socket.port}"
        self._repeats = Repeats(self._socket, server, tally)
        self._serial = itertools.count(1)
        self._run = f"{self._socket.port}x{time.monotonic_ns() & 0xFFFFFF:x}"
        self._loop = asyncio.get_running_loop()

    def dial(self) -> Caller:
        """Call the company."""
        serial = next(self._serial)
        call = Caller(f"{serial}.{self._run}", f"+1415{serial % 10_000_000:07d}")
        self.calls[call.id] = self.by_number[call.number] = call
        port = 9
        if self._sound is not None:
            call.voice = self._sound.new()
            port = call.voice.port
        body = wire.sdp(port)
        call.answered_at = time.monotonic()  # for the time being, when it was dialled
        self.tally.started += 1
        invite = (
            f"INVITE sip:{NUMBER}@{self._where} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self._me};branch=z9hG4bK{call.id}.i;rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:{call.number}@{self._me}>;tag={call.id}\r\nTo: <sip:{NUMBER}@{self._where}>\r\n"
            f"Call-ID: {call.id}\r\nCSeq: 1 INVITE\r\nContact: <sip:{call.number}@{self._me}>\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        self._repeats.send(call.id, invite, lambda: self._fail(call, "no answer to INVITE"))
        return call

    def press(self, call: Caller, key: int) -> None:
        """Press a key."""
        if call.voice is not None and call.voice.to is not None:
            call.pressed_at = time.monotonic()
            call.voice.press(key)

    def hang_up(self, call: Caller) -> None:
        """Say BYE, once."""
        if call.bye_sent or call.id not in self.calls or not call.to:
            return
        call.bye_sent = True
        if self._sound is not None and call.voice is not None:
            self._sound.drop(call.voice)
        self._repeats.send(call.id, self._request("BYE", call, 2), lambda: self._fail(call, "no answer to BYE"))

    def close(self) -> None:
        """Close all; calls that are left are not hung up."""
        self._repeats.close()
        self._socket.close()

    def _received(self, data: bytes, _: Address) -> None:
        status = wire.status_of(data)
        call = self.calls.get(wire.header(data, b"Call-ID"))
        if not status:
            self._asked(data, call)
            return
        if call is None:
            return
        if b"CSeq: 1 INVITE" not in data:
            if status == 200 and self._repeats.done(call.id):
                self._end(call)
        elif status < 200:
            self._repeats.done(call.id)
        elif call.to:
            self.tally.repeated += 1  # a 200 again: our ACK was late for it
            self._socket.send_to(call.ack, self._server)
        elif status == 200:
            self._repeats.done(call.id)
            self._answered(call, data)
        else:
            self._repeats.done(call.id)
            call.to = wire.header(data, b"To")
            call.target = f"sip:{NUMBER}@{self._where}"
            self._socket.send_to(self._request("ACK", call, 1, branch="i"), self._server)
            self._fail(call, f"refused with {status}")

    def _answered(self, call: Caller, data: bytes) -> None:
        now = time.monotonic()
        self.answer_seconds.append(now - call.answered_at)
        call.answered_at = now
        call.to = wire.header(data, b"To")
        call.target = wire.contact_uri(data)
        call.ack = self._request("ACK", call, 1)
        self._socket.send_to(call.ack, self._server)
        self.tally.answered += 1
        if self._sound is not None and call.voice is not None:
            self._sound.connect(call.voice, wire.media_port(data))
        self.on_answer(call)

    def _asked(self, data: bytes, call: Caller | None) -> None:
        """The switch hangs up."""
        self._socket.send_to(wire.reply(data, "200 OK", "x"), self._server)
        if data.startswith(b"BYE") and call is not None and not call.bye_sent:
            self._end(call)

    def _end(self, call: Caller) -> None:
        self.tally.ended += 1
        self._forget(call)
        self.on_end(call)

    def _fail(self, call: Caller, reason: str) -> None:
        self.tally.fail(reason)
        self._forget(call)

    def _forget(self, call: Caller) -> None:
        self.calls.pop(call.id, None)
        self.by_number.pop(call.number, None)
        if self._sound is not None and call.voice is not None:
            self._sound.drop(call.voice)

    def _request(self, method: str, call: Caller, cseq: int, branch: str = "") -> bytes:
        return (
            f"{method} {call.target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {self._me};branch=z9hG4bK{call.id}.{branch or method};rport\r\nMax-Forwards: 70\r\n"
            f"From: <sip:{call.number}@{self._me}>;tag={call.id}\r\nTo: {call.to}\r\n"
            f"Call-ID: {call.id}\r\nCSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
        ).encode()


class AgentCall:
    """One call at an agent's telephone."""

    __slots__ = ("agent", "bye_sent", "call_id", "caller", "first", "rang_at", "remote", "tag", "target", "voice")

    def __init__(self, agent: str, call_id: str, caller: str, first: bytes, rang_at: float, voice: Voice) -> None:
        self.agent = agent
        self.call_id = call_id
        self.caller = caller
        self.first = first
        self.rang_at = rang_at
        self.voice = voice
        self.tag = f"a{call_id[:8]}"
        self.target = wire.contact_uri(first)
        self.remote = wire.header(first, b"From")
        self.bye_sent = False


OnAgentCall = Callable[[AgentCall], None]


class Agents:
    """Everybody who answers. ``on_invite`` is told when a telephone rings, ``on_up`` when its ACK came."""

    def __init__(self, server: Address, tally: Tally, sound: Sound, *, pick_up_after: float) -> None:
        self.on_invite: OnAgentCall = lambda call: None
        self.on_up: OnAgentCall = lambda call: None
        self.on_end: OnAgentCall = lambda call: None
        self.calls: dict[str, AgentCall] = {}
        self._server = server
        self.tally = tally
        self._sound = sound
        self._pick_up_after = pick_up_after
        self._socket = Udp(self._received)
        self._repeats = Repeats(self._socket, server, tally)
        self._loop = asyncio.get_running_loop()
        self._where = f"{server[0]}:{server[1]}"

    async def sign_in(self, agents: tuple[str, ...], password: str, within: float = 30.0) -> None:
        """Register everybody, each from the socket that takes their calls. Raises BenchError."""
        registering = Registering(self._server, password)
        try:
            async with asyncio.timeout(within):
                await registering.all(agents, contact_port=self._socket.port)
        except TimeoutError:
            raise BenchError(f"not every agent could register: {registering.tally}") from None
        finally:
            registering.close()

    def hang_up(self, call: AgentCall) -> None:
        """Say BYE, once."""
        if call.bye_sent or call.call_id not in self.calls:
            return
        call.bye_sent = True
        self._sound.drop(call.voice)
        to = wire.header(call.first, b"To")
        bye = (
            f"BYE {call.target} SIP/2.0\r\n"
            f"Via: SIP/2.0/UDP {HOST}:{self._socket.port};branch=z9hG4bK{call.call_id}.b;rport\r\nMax-Forwards: 70\r\n"
            f"From: {to};tag={call.tag}\r\nTo: {call.remote}\r\nCall-ID: {call.call_id}\r\nCSeq: 1 BYE\r\n"
            "Content-Length: 0\r\n\r\n"
        ).encode()
        self._repeats.send(call.call_id, bye, lambda: self.tally.fail("no answer to the agent's BYE"))

    def close(self) -> None:
        """Close all."""
        self._repeats.close()
        self._socket.close()

    def _received(self, data: bytes, _: Address) -> None:
        call_id = wire.header(data, b"Call-ID")
        call = self.calls.get(call_id)
        if data.startswith(b"INVITE"):
            if call is None:
                self._invited(data, call_id)
            else:
                self.tally.repeated += 1
                self._socket.send_to(self._ok(call), self._server)
        elif call is None:
            if not wire.status_of(data) and not data.startswith(b"ACK"):
                self._socket.send_to(wire.reply(data, "481 Nothing", "x"), self._server)
        elif data.startswith(b"ACK"):
            if not call.voice.talks:
                self._sound.connect(call.voice, wire.media_port(call.first))
                self.on_up(call)
        elif data.startswith((b"BYE", b"CANCEL")):
            self._socket.send_to(wire.reply(data, "200 OK", call.tag), self._server)
            if data.startswith(b"CANCEL"):
                self.tally.fail("the agent's call was taken back")
            self._end(call)
        elif wire.status_of(data) == 200 and self._repeats.done(call_id):
            self._end(call)

    def _invited(self, data: bytes, call_id: str) -> None:
        agent = data[11 : data.find(b"@")].decode()  # INVITE sip:AGENT@...
        caller = wire.header(data, b"From").partition("sip:")[2].partition("@")[0]
        call = AgentCall(agent, call_id, caller, data, time.monotonic(), self._sound.new())
        self.calls[call_id] = call
        self.on_invite(call)
        if self._pick_up_after:
            self._socket.send_to(wire.reply(data, "180 Ringing", call.tag, contact=self._contact(call)), self._server)
            self._loop.call_later(self._pick_up_after, self._pick_up, call)
        else:
            self._pick_up(call)

    def _pick_up(self, call: AgentCall) -> None:
        if call.call_id in self.calls:
            self._socket.send_to(self._ok(call), self._server)

    def _ok(self, call: AgentCall) -> bytes:
        return wire.reply(call.first, "200 OK", call.tag, contact=self._contact(call), body=wire.sdp(call.voice.port))

    def _contact(self, call: AgentCall) -> str:
        return f"sip:{call.agent}@{HOST}:{self._socket.port}"

    def _end(self, call: AgentCall) -> None:
        del self.calls[call.call_id]
        self._sound.drop(call.voice)
        self.on_end(call)


class Registering:
    """REGISTER, 401, REGISTER with the digest, 200: at a rate, or as fast as answers come."""

    def __init__(self, server: Address, password: str) -> None:
        self.tally = Tally()
        self._server = server
        self._where = f"{server[0]}:{server[1]}"
        self._password = password
        self._socket = Udp(self._received)
        self._repeats = Repeats(self._socket, server, self.tally)
        self._users: dict[str, tuple[str, int]] = {}
        self._serial = itertools.count(1)
        self._run = f"r{self._socket.port}x{time.monotonic_ns() & 0xFFFFFF:x}"
        self._progress = asyncio.Event()

    async def all(self, users: tuple[str, ...], *, contact_port: int) -> None:
        """Register each user once, some at a time."""
        for user in users:
            self.register(user, contact_port)
            while len(self._users) >= 20:
                await self._next()
        while self._users:
            await self._next()
        if self.tally.failed:
            raise BenchError(f"agents could not register: {self.tally}")

    def register(self, user: str, contact_port: int) -> None:
        """Begin one registration."""
        call_id = f"{next(self._serial)}.{self._run}"
        self._users[call_id] = (user, contact_port)
        self.tally.started += 1
        data = wire.register(user, self._where, contact_port, call_id, 1)
        self._repeats.send(call_id, self._from_here(data, contact_port), lambda: self._fail(call_id, "no answer"))

    @property
    def open(self) -> int:
        """How many are under way."""
        return len(self._users)

    def close(self) -> None:
        """Close."""
        self._repeats.close()
        self._socket.close()

    async def _next(self) -> None:
        self._progress.clear()
        await self._progress.wait()

    def _from_here(self, data: bytes, contact_port: int) -> bytes:
        # The Contact is the socket that takes calls, the Via the one that registers.
        return data.replace(f"UDP {HOST}:{contact_port}".encode(), f"UDP {HOST}:{self._socket.port}".encode(), 1)

    def _received(self, data: bytes, _: Address) -> None:
        call_id = wire.header(data, b"Call-ID")
        entry = self._users.get(call_id)
        if entry is None or not self._repeats.done(call_id):
            return
        user, port = entry
        status = wire.status_of(data)
        if status == 401 and b"CSeq: 1 " in data:
            line = wire.authorization(data, user, self._password, self._where)
            again = wire.register(user, self._where, port, call_id, 2, line)
            self._repeats.send(call_id, self._from_here(again, port), lambda: self._fail(call_id, "no answer"))
        elif status == 200:
            del self._users[call_id]
            self.tally.ended += 1
            self._progress.set()
        else:
            self._fail(call_id, f"refused with {status}")

    def _fail(self, call_id: str, reason: str) -> None:
        if self._users.pop(call_id, None) is not None:
            self.tally.fail(reason)
            self._progress.set()
