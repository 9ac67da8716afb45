"""Masking: a SIP message as it may be shown: what opens a door, a stream of sound, or an account is stars."""

from __future__ import annotations

import re

# What an Authorization proves, and what it can be guessed from; the user and the realm stay to be seen.
_PROOF = re.compile(
    rb'(?<![A-Za-z])((?:response|cnonce|nextnonce|rspauth)[ \t]*=[ \t]*)("[^"\r\n]*"|[^\s,"]+)', re.IGNORECASE
)
_CREDENTIALS = re.compile(rb"^(?:proxy-)?(?:authorization|authentication-info)[ \t]*:", re.IGNORECASE)
# The key of SRTP (RFC 4568 9.1), with whatever follows it up to the next parameter; and those of RFC 4566 5.12 and of
# RFC 4567, which others send. As many x stand for it: Wireshark reads a description whose keys are base64 and whose
# length is right, or none.
_INLINE = re.compile(rb"(inline:|^k=[a-z0-9]+:|^a=key-mgmt:[^ ]+ )([^\s|;]+)", re.IGNORECASE | re.MULTILINE)
# A key of the telephone in an INFO: it may belong to a PIN or to a card.
_SIGNAL = re.compile(rb"^([ \t]*signal[ \t]*=[ \t]*)\S+", re.IGNORECASE)
_DTMF = re.compile(rb"^(?:content-type|c)[ \t]*:\s*application/dtmf(-relay)?\b", re.IGNORECASE | re.MULTILINE)
# RFC 4474 and STIR: whole tokens that somebody signed; passwords in URIs (RFC 3261 19.1.1).
_PASSWORD = re.compile(rb"(sips?:[^\s:@<>;]+:)[^\s@<>;]+(@)", re.IGNORECASE)
# Headers that a URI brings along (19.1.1).
_BROUGHT = re.compile(rb"([?&](?:proxy-)?authorization=)[^&>;\s]+", re.IGNORECASE)
# What ends a line and the headers, also for a peer who does not know how to: such a message is kept as well.
_END_OF_LINE = re.compile(rb"(\r\n|\r|\n)")
_END_OF_HEAD = re.compile(rb"\r\n\r\n|\n\r?\n|\r\r")


def masked(message: bytes) -> bytes:
    """The message, each secret in it replaced by ``***``, or a key of SRTP by ``xxx``; all else as it is."""
    # Empty lines before a message are skipped by its reader (7.5).
    start = len(message) - len(message.lstrip(b"\r\n"))
    end = _END_OF_HEAD.search(message, start)
    head, rest = (message[start : end.start()], end.end()) if end is not None else (message[start:], len(message))
    gap, body = message[start + len(head) : rest], message[rest:]
    # Every other one is what ends the line before.
    lines = _END_OF_LINE.split(head)
    credentials = False
    for at in range(0, len(lines), 2):
        line = lines[at]
        # A folded line goes on with the header before it.
        if line[:1] not in (b" ", b"\t"):
            credentials = _CREDENTIALS.match(line) is not None
        if credentials:
            line = _without_proof(line)
        lines[at] = _BROUGHT.sub(rb"\1***", _PASSWORD.sub(rb"\1***\2", line))
    if body:
        if (dtmf := _DTMF.search(head)) is not None:
            told = [_SIGNAL.sub(rb"\1***", line) for line in _END_OF_LINE.split(body)]
            # In application/dtmf the body is the key itself.
            body = b"".join(told) if dtmf[1] or b"=" in body else b"***"
        body = _INLINE.sub(lambda found: found[1] + b"x" * len(found[2]), body)
    return message[:start] + b"".join(lines) + gap + body


def _without_proof(line: bytes) -> bytes:
    """Of a Digest the proof is hidden, of any other scheme all that is behind its name."""
    name, colon, value = line.partition(b":")
    if colon and not re.match(rb"[ \t]*(digest\b|[a-z]+[ \t]*=)", value, re.IGNORECASE):
        scheme = value.split(None, 1)[:1]
        return name + colon + b" " + b" ".join([*scheme, b"***"])
    return _PROOF.sub(rb'\1"***"', line)
