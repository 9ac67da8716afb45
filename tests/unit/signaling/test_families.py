"""A phone with both families may signal by one and speak by the other."""

from __future__ import annotations

import pytest

from callcenter.signaling.families import host_for_sound
from callcenter.sip.flow import Address, Flow, Transport


@pytest.mark.parametrize(
    ("signals_by", "described", "ours"),
    [
        ("::1", "c=IN IP6 ::1\r\n", "::1"),
        ("::1", "c=IN IP4 127.0.0.1\r\n", "127.0.0.1"),
        ("127.0.0.1", "c=IN IP6 ::1\r\n", "::1"),
        # Both: that of the signalling has come through already.
        ("::1", "c=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\nc=IN IP6 ::1\r\n", "::1"),
        ("::1", "c=IN IP4 phone.example\r\n", "::1"),
        ("::1", "", "::1"),
    ],
)
def test_sound_is_expected_where_the_phone_sends_it(signals_by: str, described: str, ours: str) -> None:
    flow = Flow(Transport.UDP, Address(signals_by, 5060), Address(signals_by, 5062))
    offer = f"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n{described}t=0 0\r\n".encode()
    assert host_for_sound(flow, offer) == ours
    assert host_for_sound(flow, None) == signals_by
