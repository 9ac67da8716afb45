"""The ladder as a terminal shows it: straight, safe, and with what is needed to read it."""

from __future__ import annotations

import base64
from typing import Any

from callcenter.cli.trace import Ladder


def message(
    number: int, data: bytes, *, sent: bool = False, remote: str = "192.0.2.2", at: float = 0.0
) -> dict[str, Any]:
    return {
        "number": number,
        "at": 1000.0 + at,
        "sent": sent,
        "transport": "UDP",
        "local": ["192.0.2.1", 5060],
        "remote": [remote, 5060],
        "data": base64.b64encode(data).decode(),
    }


def found(*messages: dict[str, Any], facts: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "call": "cc1-x",
        "from": "+14155550100",
        "to": "1000",
        "agents": ["amy"],
        "sip_call_ids": ["one"],
        "kept_since": 0.0,
        "names": {"192.0.2.3:5060": "amy"},
        "messages": list(messages),
        "facts": list(facts),
        "up": True,
    }


SDP = (
    b"v=0\r\nc=IN IP4 192.0.2.9\r\na=sendonly\r\nm=audio 4000 RTP/SAVP 0 96\r\na=rtpmap:96 opus/48000\r\n"
    b"m=video 0 RTP/AVP 31\r\n"
)
INVITE = b"INVITE sip:1 SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n" + SDP


def test_arrows_point_from_who_sent_to_who_got_it() -> None:
    picture = found(
        message(1, INVITE),
        message(2, b"SIP/2.0 180 Ringing\r\nCSeq: 1 INVITE\r\n\r\n", sent=True, at=0.25),
        message(3, b"BYE sip:1 SIP/2.0\r\n\r\n", sent=True, remote="192.0.2.3", at=1.5),
    )
    lines = Ladder(picture).lines(picture)
    assert [line for line in lines if "->|" in line or "|<-" in line] == [
        "    0.000         |---------- INVITE ---------->|                             |",
        "    0.250         |<--- 180 Ringing (INVITE) ---|                             |",
        "    1.500         |                             |----------- BYE ------------>|",
    ]


def test_a_description_is_told_in_a_line_for_each_medium() -> None:
    picture = found(message(1, INVITE))
    told = "\n".join(Ladder(picture).lines(picture))
    assert "192.0.2.9:4000 SRTP PCMU" in told
    assert "video refused" in told


def test_nothing_that_a_peer_sends_is_obeyed_by_the_terminal() -> None:
    evil = b"INVITE\x1b[2J sip:1 SIP/2.0\r\nSubject: \x1b]0;owned\x07\r\n\r\n\x9b31m"
    picture = found(message(1, evil, remote="192.0.2.2\x1b[0m"))
    for line in Ladder(picture, messages=True).lines(picture):
        assert line.isprintable()


def test_each_message_in_full_when_that_is_wanted() -> None:
    picture = found(message(1, INVITE))
    lines = Ladder(picture, messages=True).lines(picture)
    assert "    CSeq: 1 INVITE" in lines
    assert "    m=audio 4000 RTP/SAVP 0 96" in lines


def test_it_says_so_when_the_beginning_is_not_kept_any_more() -> None:
    fact = {"seq": 1, "at": "1970-01-01T00:10:00.000Z", "kind": "CallArrived", "body": {"client": "tech"}}
    picture = found(message(1, INVITE), facts=(fact,))
    assert Ladder(picture).lines(picture)[0] == "(the first messages are no longer kept)"
