"""The wire of the generators: UDP read until it is empty, SIP from templates, RTP from bytes made beforehand.

Written for speed: a generator must do twice what it measures on one core. A message is never parsed, only searched
for what is needed; what we send is one f-string.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
import socket
from collections.abc import Callable

Address = tuple[str, int]
OnDatagram = Callable[[bytes, Address], None]

HOST = "127.0.0.1"
# Read at once before the loop sees to others.
BURST = 128
RECEIVE_BUFFER = 8 << 20
MAX_DATAGRAM = 4096

_NONCE = re.compile(rb'nonce="([^"]+)"')
_REALM = re.compile(rb'realm="([^"]+)"')
_MEDIA_PORT = re.compile(rb"m=audio (\d+) ")


class Udp:
    """A socket of the generator. What comes is given to ``on_datagram`` one by one."""

    def __init__(self, on_datagram: OnDatagram) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        # SO_RCVBUFFORCE, where we may: a generator that is late must not be what loses packets.
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            self._socket.setsockopt(socket.SOL_SOCKET, 33, RECEIVE_BUFFER)
        self._socket.bind((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self._on_datagram = on_datagram
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)

    def send_to(self, data: bytes, address: Address) -> None:
        """Send; to a port that is closed already, or when we are, is lost as datagrams are."""
        try:
            self._socket.sendto(data, address)
        except OSError:
            pass

    def close(self) -> None:
        """Close."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _readable(self) -> None:
        receive, take = self._socket.recvfrom, self._on_datagram
        for _ in range(BURST):
            try:
                data, address = receive(MAX_DATAGRAM)
            except (BlockingIOError, ConnectionRefusedError):
                return
            take(data, address)


def header(data: bytes, name: bytes) -> str:
    """The value of a header as the switch spells it; empty when it is not there."""
    at = data.find(b"\r\n" + name + b": ")
    if at < 0:
        return ""
    at += len(name) + 4
    return data[at : data.find(b"\r\n", at)].decode()


def status_of(data: bytes) -> int:
    """The status of a response; 0 for a request."""
    return int(data[8:11]) if data.startswith(b"SIP/2.0 ") else 0


def contact_uri(data: bytes) -> str:
    """The URI of the Contact."""
    return header(data, b"Contact").partition("<")[2].partition(">")[0]


def media_port(data: bytes) -> int:
    """The port of the sound in the body; 0 when there is none."""
    found = _MEDIA_PORT.search(data)
    return int(found[1]) if found else 0


def reply(data: bytes, status: str, tag: str, *, contact: str = "", body: str = "") -> bytes:
    """The answer to a request: Via, From, To, Call-ID and CSeq as they came."""
    lines = [f"SIP/2.0 {status}"]
    for line in data.split(b"\r\n\r\n", 1)[0].decode().split("\r\n")[1:]:
        name = line.partition(":")[0]
        if name in ("Via", "From", "Call-ID", "CSeq"):
            lines.append(line)
        elif name == "To":
            lines.append(line if ";tag=" in line else f"{line};tag={tag}")
    if contact:
        lines.append(f"Contact: <{contact}>")
    if body:
        lines.append("Content-Type: application/sdp")
    lines.append(f"Content-Length: {len(body)}\r\n\r\n{body}")
    return "\r\n".join(lines).encode()


def sdp(port: int) -> str:
    """A description of G.711 and telephone events at our ``port``."""
    return (
        f"v=0\r\no=bench 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n"
        "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )


def register(user: str, server: str, port: int, call_id: str, cseq: int, authorization: str = "") -> bytes:
    """A REGISTER of ``user`` at ``HOST:port``."""
    return (
        f"REGISTER sip:{server} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {HOST}:{port};branch=z9hG4bK{call_id}.{cseq};rport\r\nMax-Forwards: 70\r\n"
        f"From: <sip:{user}@{server}>;tag={call_id}\r\nTo: <sip:{user}@{server}>\r\nCall-ID: {call_id}\r\n"
        f"CSeq: {cseq} REGISTER\r\nContact: <sip:{user}@{HOST}:{port}>\r\nExpires: 3600\r\n"
        f"{authorization}Content-Length: 0\r\n\r\n"
    ).encode()


def authorization(challenge: bytes, user: str, password: str, server: str) -> str:
    """The Authorization line that answers a 401 to a REGISTER: MD5, qop=auth (RFC 3261 22.4, RFC 2617)."""
    realm, nonce = _REALM.search(challenge), _NONCE.search(challenge)
    assert realm is not None
    assert nonce is not None
    r, n = realm[1].decode(), nonce[1].decode()
    ha1, ha2 = _md5(f"{user}:{r}:{password}"), _md5(f"REGISTER:sip:{server}")
    response = _md5(f"{ha1}:{n}:00000001:0a4f113b:auth:{ha2}")
    return (
        f'Authorization: Digest username="{user}", realm="{r}", nonce="{n}", uri="sip:{server}", '
        f'response="{response}", algorithm=MD5, cnonce="0a4f113b", qop=auth, nc=00000001\r\n'
    )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
