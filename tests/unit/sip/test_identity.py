"""Who calls: what a caller claims, what a trusted network asserts, and what is not to be shown (RFC 3323, RFC 3325)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.sip.identity import ANONYMOUS, Identity, identity_of
from callcenter.sip.message import Request
from callcenter.sip.parser import parse
from tests.unit.sip.test_endpoint import text

CLAIM = Identity("+14155550100", "Ana")


def identity(*headers: str, from_: str = '"Ana" <sip:+14155550100@192.0.2.2>;tag=a', trusted: bool = True) -> Identity:
    request = parse(text("INVITE", *headers, from_=from_))
    assert isinstance(request, Request)
    return identity_of(request, trusted=trusted)


@pytest.mark.parametrize(
    "headers",
    [
        ("P-Asserted-Identity: <tel:+19995550199>",),
        ("Remote-Party-ID: <sip:+19995550199@h>;party=calling;screen=yes",),
        ("P-Preferred-Identity: <tel:+19995550199>",),
    ],
)
def test_stranger_who_asserts_to_be_somebody_is_not_believed(headers: tuple[str, ...]) -> None:
    assert identity(*headers, trusted=False) == CLAIM


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ((), CLAIM),
        (("P-Asserted-Identity: <tel:+1-415-555-0177>",), Identity("+14155550177", "Ana", "+14155550177")),
        (
            ('P-Asserted-Identity: "Bea" <sip:+14155550177@h;user=phone>',),
            Identity("+14155550177", "Bea", "+14155550177"),
        ),
        (
            ('P-Asserted-Identity: "Bea" <sip:bea@h>, <tel:+14155550177>',),
            Identity("+14155550177", "Bea", "+14155550177"),
        ),
        (
            ("P-Asserted-Identity: <sip:bea@h>", "P-Asserted-Identity: <tel:5550177;phone-context=h>"),
            Identity("5550177", "Ana", "5550177"),
        ),
        (("P-Asserted-Identity: <sip:h>",), CLAIM),
        (("P-Asserted-Identity: not a uri",), CLAIM),
        (("P-Preferred-Identity: <tel:+19995550199>",), CLAIM),
        (
            ('Remote-Party-ID: "Bea" <sip:+14155550177@h>;party=calling;screen=yes;privacy=off',),
            Identity("+14155550177", "Bea", "+14155550177"),
        ),
        (("Remote-Party-ID: <sip:+14155550177@h>;party=called",), CLAIM),
        (("Remote-Party-ID: <sip:+14155550177@h>;screen=no",), CLAIM),
        (
            ("P-Asserted-Identity: <tel:+14155550177>", "Remote-Party-ID: <sip:+14155550188@h>"),
            Identity("+14155550177", "Ana", "+14155550177"),
        ),
    ],
)
def test_trusted_network_says_who_calls(headers: tuple[str, ...], wanted: Identity) -> None:
    assert identity(*headers) == replace(wanted, attested=bool(wanted.asserted))


@pytest.mark.parametrize(
    "headers",
    [
        ("P-Asserted-Identity: <tel:+14155550177>", "Privacy: id"),
        ("P-Asserted-Identity: <tel:+14155550177>", "Privacy: header;Critical; ID"),
        ("P-Asserted-Identity: <tel:+14155550177>", "Privacy: user"),
        ("Remote-Party-ID: <sip:+14155550177@h>;privacy=full",),
    ],
)
def test_number_that_is_withheld_is_known_to_the_switch_and_shown_to_nobody(headers: tuple[str, ...]) -> None:
    assert identity(*headers) == Identity(ANONYMOUS, "", "+14155550177", withheld=True)


def test_privacy_that_hides_nothing_of_who_calls_hides_nothing() -> None:
    for value in ("none", "session", "history", "critical"):
        assert identity(f"Privacy: {value}") == CLAIM


def test_stranger_may_be_anonymous_too() -> None:
    assert identity("Privacy: id", trusted=False) == Identity(ANONYMOUS, withheld=True)
    nobody = '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=a'
    assert identity(from_=nobody, trusted=False) == Identity(ANONYMOUS, withheld=True)
    assert identity("P-Asserted-Identity: <tel:+14155550177>", from_=nobody).asserted == "+14155550177"


@pytest.mark.parametrize(
    "from_",
    [
        "<tel:+1-415-555-0100>;tag=a",
        "<tel:+1(415)555.0100;ext=7>;tag=a",
        "<sip:+1-415-555-0100@h;user=phone>;tag=a",
        "<sip:+14155550100;phone-context=h@192.0.2.2;user=phone>;tag=a",
        "tel:+14155550100;tag=a",
    ],
)
def test_number_is_read_from_every_way_to_write_it(from_: str) -> None:
    assert identity(from_=from_, trusted=False).number == "+14155550100"


@pytest.mark.parametrize(
    ("headers", "from_", "attested"),
    [
        (("P-Asserted-Identity: <tel:+14155550100>",), "", True),
        (("P-Asserted-Identity: <tel:+14155550100;verstat=TN-Validation-Passed>",), "", True),
        (("P-Asserted-Identity: <tel:+14155550100;verstat=TN-Validation-Failed>",), "", False),
        (("P-Asserted-Identity: <sip:+14155550100;verstat=No-TN-Validation@h;user=phone>",), "", False),
        (("P-Asserted-Identity: <sip:+14155550100@h>;verstat=TN-Validation-Failed",), "", False),
        (("P-Asserted-Identity: <tel:+14155550100>",), ";verstat=TN-Validation-Failed", False),
        ((), ";verstat=TN-Validation-Passed", True),
        ((), ";verstat=TN-Validation-Failed", False),
        ((), "", False),
    ],
)
def test_a_number_is_attested_by_a_trusted_network_that_does_not_doubt_its_signature(
    headers: tuple[str, ...], from_: str, *, attested: bool
) -> None:
    """SHAKEN's verdict as trunks pass it on (3GPP TS 24.229, 7.2A.20); of a stranger it is worth nothing."""
    who = f"<sip:+14155550100{from_}@192.0.2.2;user=phone>;tag=a"
    assert identity(*headers, from_=who).attested is attested
    assert not identity(*headers, from_=who, trusted=False).attested
    assert identity(*headers, from_=who).number == "+14155550100"
