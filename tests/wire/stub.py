"""A SIP phone on the level of packets, over UDP: knows when each datagram came, and says only what a test wants said.

It shares no line with callcenter.sip, so that a mistake there is not made twice.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import re
import secrets
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self, cast

from tests.wire import tone
from tests.wire.wait import PATIENCE, until

Where = tuple[str, int]

KEPT_PACKETS = 10_000  # of RTP: 200 s of one call


@dataclass(frozen=True, slots=True)
class Message:
    """One datagram, read just well enough; ``at`` is ``time.time()`` when it was taken from the socket."""

    at: float
    text: str
    source: Where

    @property
    def first(self) -> str:
        """The start line."""
        return self.text.split("\r\n", 1)[0]

    @property
    def method(self) -> str | None:
        """The method of a request."""
        return None if self.first.startswith("SIP/2.0") else self.first.split(" ", 1)[0]

    @property
    def status(self) -> int | None:
        """The status of a response."""
        return int(self.first.split(" ")[1]) if self.first.startswith("SIP/2.0") else None

    def all(self, name: str) -> list[str]:
        """Every line of a header, as it stands."""
        head = self.text.split("\r\n\r\n", 1)[0].split("\r\n")[1:]
        return [line.split(":", 1)[1].strip() for line in head if line.split(":", 1)[0].strip().lower() == name.lower()]

    def header(self, name: str) -> str:
        """A header's first line; empty when there is none."""
        return next(iter(self.all(name)), "")

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.header("Call-ID")

    @property
    def body(self) -> str:
        """What follows the empty line."""
        return self.text.partition("\r\n\r\n")[2]


class _Media(asyncio.DatagramProtocol):
    """Keeps the RTP that comes, whose-ever it is."""

    def __init__(self, packets: list[bytes]) -> None:
        self._packets = packets

    def datagram_received(self, data: bytes, addr: Where) -> None:
        if len(self._packets) < KEPT_PACKETS:
            self._packets.append(data)


@dataclass(slots=True)
class Stub(asyncio.DatagramProtocol):
    """One socket, any number of users. ``async with Stub(("127.0.0.1", port)) as phone``."""

    switch: Where
    at: str = ""  # our own address, when it is not the switch's too
    answers: Callable[[Message], int] = lambda _invite: 200  # 180: rings only; 486 and the like: refuses; 0: is silent
    received: list[Message] = field(default_factory=list)
    transport: asyncio.DatagramTransport | None = None
    port: int = 0
    media_port: int = 0
    media: list[bytes] = field(default_factory=list)
    _media: asyncio.DatagramTransport | None = None
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _last_answer: dict[str, bytes] = field(default_factory=dict)
    _acknowledged: set[str] = field(default_factory=set)

    @property
    def host(self) -> str:
        """Our address, as it stands in a URI."""
        return f"[{self.own}]" if ":" in self.own else self.own

    @property
    def _switch_host(self) -> str:
        return f"[{self.switch[0]}]" if ":" in self.switch[0] else self.switch[0]

    @property
    def own(self) -> str:
        """Our address."""
        return self.at or self.switch[0]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(self.own, 0))
        self._media, _ = await loop.create_datagram_endpoint(lambda: _Media(self.media), local_addr=(self.own, 0))
        self.media_port = self._media.get_extra_info("sockname")[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.transport is not None:
            self.transport.close()
        if self._media is not None:
            self._media.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket stands."""
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Where) -> None:
        """Keeps the message and, for a request, answers it as a phone would."""
        message = Message(time.time(), data.decode(errors="replace"), addr)
        self.received.append(message)
        match message.method:
            case "INVITE":
                self._invited(message)
            case "ACK":
                self._acknowledged.add(message.call_id)
            case "BYE" | "OPTIONS" | "CANCEL":
                self.reply(message, 200)
                if message.method == "CANCEL":
                    invite = self.find(method="INVITE", call_id=message.call_id)
                    if invite is not None:
                        self.reply(invite, 487)
            case _:
                pass

    def _invited(self, invite: Message) -> None:
        branch = invite.header("Via")
        if branch in self._last_answer:
            self.send(self._last_answer[branch], invite.source)
            return
        status = self.answers(invite)
        if status and status != 180:
            self.reply(invite, 180)
        if status:
            self.reply(invite, status, self.sdp() if status == 200 else "")
        if status == 200:
            self._repeat(invite, 0.5)

    def _repeat(self, invite: Message, after: float, waited: float = 0.0) -> None:
        """The 200 is repeated until its ACK comes, for 32 s at most (RFC 3261 13.3.1.4)."""

        def once_more() -> None:
            gone = self.transport is None or self.transport.is_closing()
            if not gone and waited < 32 and invite.call_id not in self._acknowledged:
                self.send(self._last_answer[invite.header("Via")], invite.source)
                self._repeat(invite, min(2 * after, 4.0), waited + after)

        asyncio.get_running_loop().call_later(after, once_more)

    def send(self, data: bytes | str, to: Where | None = None) -> None:
        """Sends a datagram, to the switch unless told otherwise."""
        assert self.transport is not None
        self.transport.sendto(data.encode() if isinstance(data, str) else data, to or self.switch)

    def sdp(self, direction: str = "sendrecv", codecs: str = "0 101") -> str:
        """A session description with a port that listens and says nothing."""
        address = f"IN IP{6 if ':' in self.own else 4} {self.own}"
        return "\r\n".join(
            [
                "v=0",
                f"o=stub 1 1 {address}",
                "s=-",
                f"c={address}",
                "t=0 0",
                f"m=audio {self.media_port} RTP/AVP {codecs}",
                "a=rtpmap:101 telephone-event/8000",
                f"a={direction}",
                "",
            ]
        )

    def reply(self, request: Message, status: int, body: str = "", headers: tuple[str, ...] = ()) -> None:
        """Answers a request; a repeated INVITE gets the same once more."""
        to = request.header("To")
        if ";tag=" not in to and status != 100:
            to += f";tag=stub{hashlib.md5(request.call_id.encode()).hexdigest()[:8]}"
        lines = [f"SIP/2.0 {status} Answer"]
        lines += [f"Via: {via}" for via in request.all("Via")]
        lines += [f"Record-Route: {route}" for route in request.all("Record-Route")]
        lines += [
            f"From: {request.header('From')}",
            f"To: {to}",
            f"Call-ID: {request.call_id}",
            f"CSeq: {request.header('CSeq')}",
            f"Contact: <sip:stub@{self.host}:{self.port}>",
            *headers,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        data = ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
        if request.method == "INVITE":
            self._last_answer[request.header("Via")] = data
        self.send(data, request.source)

    def find(self, *, method: str | None = None, call_id: str | None = None, after: int = 0) -> Message | None:
        """The first request received with that method (and Call-ID)."""
        return next(
            (
                message
                for message in self.received[after:]
                if message.method is not None
                and message.method == (method or message.method)
                and (call_id is None or message.call_id == call_id)
            ),
            None,
        )

    async def request(self, method: str, *, after: int = 0, seconds: float = PATIENCE) -> Message:
        """Waits for a request from the switch."""
        return await until(
            lambda: self.find(method=method, after=after),
            lambda: f"{method}; there came {[message.first for message in self.received[after:]]}",
            seconds,
        )

    def compose(
        self,
        method: str,
        uri: str,
        *,
        user: str = "caller",
        to: str | None = None,
        call_id: str | None = None,
        cseq: int = 1,
        headers: tuple[str, ...] = (),
        body: str = "",
        tag: str | None = None,
        branch: str | None = None,
    ) -> str:
        """A request as a phone would write it."""
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};branch={branch or 'z9hG4bK' + secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            f"From: <sip:{user}@{self.host}>;tag={tag or secrets.token_hex(4)}",
            f"To: {to or f'<{uri}>'}",
            f"Call-ID: {call_id or secrets.token_hex(8)}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:{user}@{self.host}:{self.port}>",
            *headers,
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines) + "\r\n\r\n" + body

    def answers_to(self, request: str) -> list[Message]:
        """The responses to what was sent, by Call-ID and CSeq."""
        call_id = _header(request, "Call-ID")
        cseq = _header(request, "CSeq")
        return [m for m in self.received if m.status is not None and m.call_id == call_id and m.header("CSeq") == cseq]

    async def final(self, request: str, seconds: float = PATIENCE) -> Message:
        """Sends a request, repeated as UDP wants it, and returns its final answer; an INVITE's refusal is ACKed."""
        repeat = asyncio.get_running_loop()
        deadline = repeat.time() + seconds
        pause = 0.5
        while repeat.time() < deadline:
            self.send(request)
            try:
                found = await until(
                    lambda: next((m for m in self.answers_to(request) if (m.status or 0) >= 200), None), "", pause
                )
            except AssertionError:
                if self.answers_to(request):
                    pause = max(0.1, deadline - repeat.time())
                else:
                    pause = min(4.0, pause * 2)
                continue
            if request.startswith("INVITE"):
                self.send(self.ack(request, found))
            return found
        raise AssertionError(f"no answer within {seconds:g} s to: {request.splitlines()[0]}")

    def ack(self, invite: str, answer: Message) -> str:
        """The ACK to an INVITE's final answer (RFC 3261 17.1.1.3 for a refusal, 13.2.2.4 for a 2xx)."""
        refused = (answer.status or 0) >= 300
        contact = re.search(r"<([^>]+)>", answer.header("Contact"))
        uri = invite.split(" ", 2)[1] if refused or contact is None else contact[1]
        branch = re.search(r"branch=([^;\s]+)", invite)
        lines = [
            f"ACK {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.host}:{self.port};rport;branch="
            + (branch[1] if refused and branch else "z9hG4bK" + secrets.token_hex(8)),
            "Max-Forwards: 70",
            f"From: {_header(invite, 'From')}",
            f"To: {answer.header('To')}",
            f"Call-ID: {answer.call_id}",
            f"CSeq: {_header(invite, 'CSeq').split()[0]} ACK",
            "Content-Length: 0",
        ]
        return "\r\n".join(lines) + "\r\n\r\n"

    def in_dialog(self, method: str, invite: str, answer: Message, *, cseq: int = 2, body: str = "") -> str:
        """A request within the dialog that an INVITE of ours and its 2xx made."""
        contact = re.search(r"<([^>]+)>", answer.header("Contact"))
        assert contact is not None
        text = self.compose(method, contact[1], to=answer.header("To"), call_id=answer.call_id, cseq=cseq, body=body)
        return re.sub(r"\r\nFrom: [^\r]+", lambda _: f"\r\nFrom: {_header(invite, 'From')}", text, count=1)

    def invite(self, number: str, *, user: str = "+14155550199", body: str | None = None) -> str:
        """An INVITE to a number of the switch."""
        return self.compose(
            "INVITE",
            f"sip:{number}@{self._switch_host}:{self.switch[1]}",
            user=user,
            body=self.sdp() if body is None else body,
        )

    def press(self, answer: Message, keys: str) -> None:
        """Sends keys (RFC 4733), the first ones of a call, to where a 2xx said that it wants its sound."""
        assert self._media is not None
        for nth, key in enumerate(keys):
            for packet in tone.rtp_of_key(key, nth=nth):
                self._media.sendto(packet, self._ear(answer))

    async def speak(self, answer: Message, samples: tone.Samples) -> None:
        """Sends sound (PCMU) to where a 2xx said that it wants its sound, as fast as it is spoken."""
        assert self._media is not None
        loop, coded = asyncio.get_running_loop(), tone.mu_law(samples)
        begin = loop.time()
        for number, at in enumerate(range(0, len(coded), 160)):
            header = struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, at, 0x5EEDCAFE)
            self._media.sendto(header + coded[at : at + 160], self._ear(answer))
            await asyncio.sleep(max(0.0, begin + 0.02 * (number + 1) - loop.time()))

    def _ear(self, answer: Message) -> Where:
        line = re.search(r"m=audio (\d+)", answer.body)
        assert line is not None
        return self.switch[0], int(line[1])

    def dialogs(self) -> int:
        """How many calls that rang here were neither cancelled nor ended by the switch."""
        rang = {m.call_id for m in self.received if m.method == "INVITE"}
        return len(rang - {m.call_id for m in self.received if m.method in {"BYE", "CANCEL"}})

    def talked(self) -> int:
        """How many calls were taken here: answered with 200, and acknowledged."""
        return len({m.call_id for m in self.received if m.method == "INVITE"} & self._acknowledged)

    async def register(
        self, user: str, password: str, *, expires: int = 300, algorithm: str = "MD5", as_user: str | None = None
    ) -> Message:
        """Registers with digest; the final answer to the second try (or to the first, when it needs no second).

        ``as_user``: the address of record, when it is not the user's own.
        """
        uri = f"sip:{self._switch_host}:{self.switch[1]}"
        call_id, tag = secrets.token_hex(8), secrets.token_hex(4)
        expiry = f"Expires: {expires}"
        aor = f"<sip:{as_user or user}@{self.host}>"
        first = await self.final(
            self.compose("REGISTER", uri, user=user, to=aor, call_id=call_id, tag=tag, headers=(expiry,))
        )
        if first.status != 401:
            return first
        challenge = next(
            line for line in first.all("WWW-Authenticate") if f"algorithm={algorithm}" in line.replace('"', "")
        )
        header = f"Authorization: {digest(challenge, 'REGISTER', uri, user, password, algorithm)}"
        return await self.final(
            self.compose("REGISTER", uri, user=user, to=aor, call_id=call_id, tag=tag, cseq=2, headers=(expiry, header))
        )


def digest(challenge: str, method: str, uri: str, user: str, password: str, algorithm: str = "MD5") -> str:
    """The Authorization value for a challenge with qop=auth (RFC 7616 3.4)."""
    hashed = hashlib.sha256 if algorithm == "SHA-256" else hashlib.md5

    def h(text: str) -> str:
        return hashed(text.encode()).hexdigest()

    realm, nonce = _param(challenge, "realm"), _param(challenge, "nonce")
    cnonce = secrets.token_hex(8)
    ha1, ha2 = h(f"{user}:{realm}:{password}"), h(f"{method}:{uri}")
    response = h(f"{ha1}:{nonce}:00000001:{cnonce}:auth:{ha2}")
    opaque = f', opaque="{_param(challenge, "opaque")}"' if "opaque=" in challenge else ""
    return (
        f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{uri}", response="{response}", '
        f'algorithm={algorithm}, cnonce="{cnonce}", qop=auth, nc=00000001{opaque}'
    )


def _param(challenge: str, name: str) -> str:
    found = re.search(rf'\b{name}="([^"]*)"', challenge)
    assert found is not None, challenge
    return found[1]


def _header(text: str, name: str) -> str:
    found = re.search(rf"\r\n{name}: ?([^\r]*)", text, re.IGNORECASE)
    return found[1] if found else ""
