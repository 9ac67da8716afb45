"""Keys by INFO: one after the other, in the body that the peer understands."""

from __future__ import annotations

import asyncio

from callcenter.signaling.info_keys import MOST_WAITING, InfoKeys
from callcenter.simulation.clock import run
from callcenter.sip.keys import DTMF, DTMF_RELAY, body_of, key_of


class Peer:
    """What was sent, and is still to be answered."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str | None]] = []
        self.keys = InfoKeys(lambda kind, body: self.sent.append((kind, key_of(kind, body))))


def test_the_next_key_goes_when_the_one_before_is_answered() -> None:
    """Also when it never was: a key that is lost holds up no other."""
    peer = Peer()
    peer.keys.press("12")
    peer.keys.press("#")
    assert peer.sent == [(DTMF_RELAY, "1")]
    peer.keys.answered(200)
    peer.keys.answered(408)
    assert peer.sent == [(DTMF_RELAY, key) for key in "12#"]
    peer.keys.answered(200)
    peer.keys.answered(200)  # of an INFO that was none of ours
    assert len(peer.sent) == 3


def test_a_peer_is_told_as_it_tells() -> None:
    peer = Peer()
    asked = []
    for kind in ("", "text/plain", "application/dtmf; charset=utf-8", DTMF_RELAY):
        peer.keys.told(kind)
        asked.append(peer.keys.asked)
    assert asked == [False, False, True, True]
    peer.keys.press("7")
    assert peer.sent == [(DTMF, "7")]


def test_a_body_that_is_not_understood_is_followed_by_the_other_kind_and_then_by_none() -> None:
    peer = Peer()
    peer.keys.press("78")
    peer.keys.answered(415)
    assert peer.sent == [(DTMF_RELAY, "7"), (DTMF, "7")]
    refused = [peer.keys.refused]
    peer.keys.answered(501)
    assert [*refused, peer.keys.refused] == [False, True]
    assert len(peer.sent) == 2


def test_a_comma_is_a_pause_and_too_many_keys_are_not_kept() -> None:
    async def told() -> None:
        peer = Peer()
        peer.keys.press("1,2" + "3" * 2 * MOST_WAITING)
        peer.keys.answered(200)
        await asyncio.sleep(1.9)
        assert len(peer.sent) == 1
        await asyncio.sleep(0.2)
        assert [key for _, key in peer.sent] == ["1", "2"]
        for _ in range(3 * MOST_WAITING):
            peer.keys.answered(200)
        assert len(peer.sent) == MOST_WAITING - 1
        assert "3" not in repr(peer.keys)

    run(told())


def test_every_key_has_a_body_that_is_read_as_it() -> None:
    for kind in (DTMF, DTMF_RELAY):
        assert all(key_of(kind, body_of(key, kind)) == key for key in "0123456789*#ABCD")
        assert body_of("x", kind) == b""
