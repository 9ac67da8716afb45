"""Reason (RFC 3326): what peers say why they end a call, in words."""

from __future__ import annotations

import pytest

from callcenter.sip.headers import Headers
from callcenter.sip.reason import MAX_TEXT, Q850, in_words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ((), ""),
        (("Q.850;cause=16",), "normal call clearing (Q.850 16)"),
        (('q.850 ; cause=17 ; text="Busy, sorry"',), "Busy, sorry (q.850 17)"),
        (("Q.850;cause=126",), "Q.850 126"),
        (("SIP;cause=200;text=\"Call completed elsewhere\"",), "Call completed elsewhere (SIP 200)"),
        (("SIP;cause=603",), "Decline (SIP 603)"),
        (("Preemption;cause=1;text=\"UA Preemption\"",), "UA Preemption (Preemption 1)"),
        (("Q.850;cause=16, SIP;cause=486",), "normal call clearing (Q.850 16), Busy Here (SIP 486)"),
        (("Q.850;cause=16", "SIP;cause=486"), "normal call clearing (Q.850 16), Busy Here (SIP 486)"),
        (("Q.850;cause=one",), ""),
        (("bad protocol;cause=1", "Q.850;cause=31"), "normal, unspecified (Q.850 31)"),
        (("Q.850",), "Q.850"),
        (('SIP;cause=500;text="\x1b[31mred"',), "[31mred (SIP 500)"),
    ],
)  # fmt: skip
def test_reasons_are_told_in_words(values: tuple[str, ...], words: str) -> None:
    assert in_words(Headers(("Reason", value) for value in values)) == words


def test_long_text_is_cut() -> None:
    told = in_words(Headers([("Reason", f'SIP;cause=500;text="{"x" * 500}"')]))
    assert told == f"{'x' * MAX_TEXT} (SIP 500)"


def test_table_knows_what_carriers_send() -> None:
    assert {1, 16, 17, 18, 19, 21, 27, 31, 34, 38, 41, 102, 127} <= set(Q850)
