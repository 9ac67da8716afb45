"""Masking: a SIP message as it may be shown: what opens a door, a stream of sound, or an account is stars."""

from __future__ import annotations

import re

# What an Authorization proves, and what it can be guessed from; the user and the realm stay to be seen.
_PROOF = re.compile(
    rb'(?<![A-Za-z])((?:response|cnonce|nextnonce|rspauth)[ \t]*=[ \t]*)("[^"\r\n]*"|[^\s,"]+)', re.IGNORECASE
)
_CREDENTIALS = re.compile(rb"^(?:proxy-)?(?:authorization|authentication-info)[ \t]*:", re.IGNORECASE)
# The key of SRTP (RFC 4568 9.1), with whatever follows it up to the next parameter.
# As many x stand for it: Wireshark reads a description whose keys are base64 and whose length is right, or none.
_INLINE = re.compile(rb"(inline:)([^\s|;]+)", re.IGNORECASE)
# A key of the telephone in an INFO: it may belong to a PIN or to a card.
_SIGNAL = re.compile(rb"^([ \t]*signal[ \t]*=[ \t]*)\S+", re.IGNORECASE)
_DTMF = re.compile(rb"^(?:content-type|c)[ \t]*:[ \t]*application/dtmf(-relay)?\b", re.IGNORECASE | re.MULTILINE)
# RFC 4474 and STIR: whole tokens that somebody signed; passwords in URIs (RFC 3261 19.1.1).
_PASSWORD = re.compile(rb"(sips?:[^\s:@<>;]+:)[^\s@<>;]+(@)", re.IGNORECASE)


def masked(message: bytes) -> bytes:
    """The message, each secret in it replaced by ``***``, or a key of SRTP by ``xxx``; all else as it is."""
    head, gap, body = message.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    credentials = False
    for at, line in enumerate(lines):
        # A folded line goes on with the header before it.
        if line[:1] not in (b" ", b"\t"):
            credentials = _CREDENTIALS.match(line) is not None
        if credentials:
            line = _without_proof(line)
        lines[at] = _PASSWORD.sub(rb"\1***\2", line)
    if body:
        if (dtmf := _DTMF.search(head)) is not None:
            told = [_SIGNAL.sub(rb"\1***", line) for line in body.split(b"\n")]
            # In application/dtmf the body is the key itself.
            body = b"\n".join(told) if dtmf[1] or b"=" in body else b"***"
        body = _INLINE.sub(lambda found: found[1] + b"x" * len(found[2]), body)
    return b"\r\n".join(lines) + gap + body


def _without_proof(line: bytes) -> bytes:
    """Of a Digest the proof is hidden, of any other scheme all that is behind its name."""
    name, colon, value = line.partition(b":")
    if colon and not re.match(rb"[ \t]*(digest\b|[a-z]+[ \t]*=)", value, re.IGNORECASE):
        scheme = value.split(None, 1)[:1]
        return name + colon + b" " + b" ".join([*scheme, b"***"])
    return _PROOF.sub(rb'\1"***"', line)
