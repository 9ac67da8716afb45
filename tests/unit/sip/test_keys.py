"""Keys in an INFO, as phones write them."""

from __future__ import annotations

import pytest

from callcenter.sip.keys import key_of


@pytest.mark.parametrize(
    ("content_type", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160", "5"),
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", "5"),
        ("application/dtmf-relay", b"Signal= 5\nDuration= 160\n", "5"),
        ("application/dtmf-relay", b"Duration=160\r\n signal =\t7 \r\n", "7"),
        ("Application/DTMF-Relay; charset=utf-8", b"SIGNAL=0\r\n", "0"),
        ("application/dtmf-relay", b"Signal=*\r\nDuration=100\r\n", "*"),
        ("application/dtmf-relay", b"Signal=#\r\nDuration=100\r\n", "#"),
        ("application/dtmf-relay", b"Signal=10\r\nDuration=100\r\n", "*"),
        ("application/dtmf-relay", b"Signal=11\r\nDuration=100\r\n", "#"),
        ("application/dtmf-relay", b"Signal=12\rDuration=100\r", "A"),
        ("application/dtmf-relay", b"Signal=d\r\n", "D"),
        ("application/dtmf", b"5", "5"),
        ("application/dtmf", b" # \r\n", "#"),
        ("application/dtmf", b"11", "#"),
        ("application/dtmf", b"Signal=3\r\nDuration=250\r\n", "3"),
        # What is no key.
        ("application/dtmf-relay", b"5", None),
        ("application/dtmf-relay", b"Signal=16\r\n", None),
        ("application/dtmf-relay", b"Signal=flash\r\n", None),
        ("application/dtmf-relay", b"Signal=\r\nDuration=160\r\n", None),
        ("application/dtmf-relay", b"NotSignal=5\r\n", None),
        ("application/dtmf-relay", b"", None),
        ("application/dtmf-relay", b"\xff\xfe\x00", None),
        ("application/dtmf", b"55", None),
        ("application/dtmf", b"hello", None),
        ("application/dtmf", b"5" + b" " * 300, None),
        ("application/media_control+xml", b"<picture_fast_update/>", None),
        ("", b"Signal=5\r\n", None),
    ],
)
def test_a_key_is_understood_and_anything_else_is_nothing(content_type: str, body: bytes, key: str | None) -> None:
    assert key_of(content_type, body) == key
