"""Who sent a call on before it came to us: History-Info (RFC 7044, RFC 4244) and Diversion (RFC 5806)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.sip.diversion import MAX_DIVERSIONS, MAX_TEXT, Diverted, diversions_of
from callcenter.sip.headers import Headers


def diverted(*lines: tuple[str, str]) -> tuple[Diverted, ...]:
    return diversions_of(Headers(lines))


def diversion(*values: str) -> tuple[Diverted, ...]:
    return diverted(*(("Diversion", value) for value in values))


def history(*values: str) -> tuple[Diverted, ...]:
    return diverted(*(("History-Info", value) for value in values))


def test_call_that_nobody_sent_on_says_nothing() -> None:
    assert diverted() == ()
    assert history("<sip:1000@h>;index=1") == ()
    assert history("<sip:1000@h>;index=1", "<sip:1000@192.0.2.1>;index=1.1;rc=1") == ()


def test_diversion_tells_the_last_one_first_with_the_reason() -> None:
    assert diversion(
        '"Bea" <sip:+1-415-555-0101@h;user=phone>;reason=no-answer;counter=1', "<tel:+14155550102>;reason=User-Busy"
    ) == (Diverted("+14155550101", "Bea", "no-answer"), Diverted("+14155550102", "", "user-busy"))
    assert diversion("<sip:a@h>;reason=because") == (Diverted("a", "", "unknown"),)
    assert diversion("<sip:a@h>;reason=away, <sip:b@h>") == (Diverted("a", "", "away"), Diverted("b"))


def test_who_diverts_and_wants_to_be_hidden_is() -> None:
    assert diversion('"Bea" <sip:+14155550101@h>;privacy=full;reason=away') == (Diverted("", "", "away"),)
    assert history(
        "<sip:bea@h?Privacy=history&Reason=SIP%3Bcause%3D302>;index=1", "<sip:1000@h;cause=302>;index=1.1;mp=1"
    ) == (Diverted("", "", "unconditional"),)


def test_history_tells_who_was_mapped_to_whom_and_why() -> None:
    """RFC 7044 with the causes of RFC 4458: ana was called, was busy, bea did not answer."""
    assert history(
        "<sip:ana@h>;index=1",
        "<sip:bea@h;cause=486>;index=1.1;mp=1",
        "<sip:1000@h;cause=408>;index=1.1.1;mp=1.1",
        "<sip:1000@192.0.2.1>;index=1.1.1.1;rc=1.1.1",
    ) == (Diverted("bea", "", "no-answer"), Diverted("ana", "", "user-busy"))


def test_history_of_older_networks_has_the_reason_at_the_one_who_diverted() -> None:
    """RFC 4244."""
    assert history(
        '"Ana" <sip:+14155550101@h?Reason=SIP%3Bcause%3D302%3Btext%3D%22Moved%22>;index=1, <sip:1000@h>;index=1.1'
    ) == (Diverted("+14155550101", "Ana", "unconditional"),)


def test_history_counts_before_diversion() -> None:
    both = (("Diversion", "<sip:b@h>"), ("History-Info", "<sip:a@h>;index=1, <sip:c@h;cause=302>;index=1.1"))
    assert diverted(*both) == (Diverted("a", "", "unconditional"),)


@pytest.mark.parametrize(
    "value",
    ["", "<", "<sip:a@h>", "<sip:a@h>;index=x", "<sip:a@h;cause=302>;index=1;mp=1", "<sip:a@h;cause=302>;index=1;mp=9"],
)
def test_history_that_makes_no_sense_says_nothing(value: str) -> None:
    assert history(value) == ()


def test_call_is_not_refused_for_a_bad_entry_among_good_ones() -> None:
    assert diversion("<sip:a b@h>", "<sip:c@h>") == (Diverted("c"),)


def test_length_is_limited() -> None:
    many = diversion(*(f'"{"n" * 200}" <sip:{"u" * 200}{number}@h>' for number in range(50)))
    assert len(many) == MAX_DIVERSIONS
    assert {(len(each.number), len(each.name)) for each in many} == {(MAX_TEXT, MAX_TEXT)}


@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n"), max_size=80))
def test_nothing_that_is_written_there_breaks_us(value: str) -> None:
    assert len(diversion(value)) <= 80
    assert len(history(value, "<sip:a@h;cause=302>;index=1.1")) <= 80
