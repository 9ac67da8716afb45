"""MediaSettings: what makes no sense is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from callcenter.media.settings import MediaSettings, Srtp


def test_the_defaults_are_good() -> None:
    assert MediaSettings().codecs == ("PCMU", "PCMA", "G722", "opus")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ports": (20000, 20000)}, "ports"),
        ({"ports": (80, 20000)}, "ports"),
        ({"ports": (20000, 70000)}, "ports"),
        ({"ports": (20001, 20002)}, "0 pairs"),
        ({"ports": (20000, 20003), "workers": 3}, "too few"),
        ({"advertised": ("pbx.example.com",)}, "advertised"),
        ({"workers": 0}, "workers"),
        ({"port_rest": -1.0}, "port_rest"),
        ({"port_rest": 301.0}, "port_rest"),
        ({"silence_timeout": 0.0}, "silence_timeout"),
        ({"max_sessions": 0}, "max_sessions"),
        ({"max_load": 1.5}, "max_load"),
        ({"rtcp_interval": -1.0}, "rtcp_interval"),
        ({"codecs": ()}, "codecs"),
        ({"codecs": ("PCMU", "PCMU")}, "codecs"),
        ({"codecs": ("G729",)}, "codecs"),
        ({"srtp": Srtp.OFF, "srtp_without_tls": True}, "srtp_without_tls"),
    ],
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        MediaSettings(**settings)
