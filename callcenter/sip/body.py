"""Body: the session description that a message carries, alone or as one part of several (RFC 5621)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import find_param, parse_params

if TYPE_CHECKING:
    from callcenter.sip.message import Message

SDP = "application/sdp"

# Parts that are looked at; trunks send two or three (SDP, ISUP, a location).
MAX_PARTS = 16


def sdp_of(message: Message) -> bytes | None:
    """The session description; None without one. A body without a type counts as one when it looks so.

    Parts of other types beside it are left aside: what they add, the call can do without.
    """
    body = message.body
    if not body:
        return None
    kind = message.content_type
    if kind == SDP:
        return body
    if kind is None:
        return body if body.startswith(b"v=") else None
    if kind.startswith("multipart/"):
        return _sdp_part(message.headers.get("Content-Type") or "", body)
    return None


def _sdp_part(content_type: str, body: bytes) -> bytes | None:
    _, semicolon, rest = content_type.partition(";")
    try:
        boundary = find_param(parse_params(semicolon + rest), "boundary")
    except SipParseError:
        return None
    if not boundary:
        return None
    # RFC 2046 5.1.1: the line end before a delimiter belongs to it.
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(), MAX_PARTS + 1)[1 : MAX_PARTS + 1]
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            kind = value.partition(b";")[0].strip().lower()
            if name.strip().lower() in (b"content-type", b"c") and kind == SDP.encode():
                return content
    return None
