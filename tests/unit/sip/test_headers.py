"""Header fields: order, names, lists, and the typed values."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import (
    COMPACT,
    MAX_PARAMS,
    MAX_VALUES,
    CSeq,
    Headers,
    NameAddr,
    Via,
    header_key,
    parse_name_addr_list,
    parse_params,
    parse_via_list,
    quote_string,
    split_list,
    unquote_string,
)
from callcenter.sip.uri import Uri
from tests.unit.sip.strategies import name_addrs, texts, vias


@given(name_addrs)
def test_a_name_addr_reads_back_as_itself(value: NameAddr) -> None:
    again = NameAddr.parse(str(value))
    # White space around words and what cannot be sent in a quoted string are the only things lost.
    assert again == value


@given(vias)
def test_a_via_reads_back_as_itself(value: Via) -> None:
    assert Via.parse(str(value)) == value


@given(st.lists(name_addrs, max_size=5))
def test_a_list_falls_apart_only_at_its_own_commas(values: list[NameAddr]) -> None:
    assert parse_name_addr_list(", ".join(map(str, values))) == values


@given(texts)
def test_a_quoted_string_reads_back_as_itself(text: str) -> None:
    assert unquote_string(quote_string(text)) == text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_reading_values_raises_nothing_but_parse_errors(text: str) -> None:
    for read in (NameAddr.parse, Via.parse, CSeq.parse, Uri.parse, parse_name_addr_list, parse_via_list, split_list):
        try:
            read(text)
        except SipParseError:
            pass


def test_names_are_found_in_any_case_and_by_their_compact_form() -> None:
    headers = Headers([("v", "SIP/2.0/UDP a"), ("CONTACT", "<sip:a>"), ("X-Odd", "1"), ("i", "abc")])
    assert headers.get("Via") == headers.get("V") == headers.get("vIA") == "SIP/2.0/UDP a"
    assert headers.get("m") == "<sip:a>"
    assert headers.get("x-odd") == "1"
    assert "call-id" in headers
    assert "To" not in headers
    assert headers.get("To") is None
    assert all(header_key(letter) == header_key(letter.upper()) == name for letter, name in COMPACT.items())


def test_lines_keep_their_order_and_spelling() -> None:
    headers = Headers([("via", "1"), ("To", "x"), ("VIA", "2")])
    headers.add("Via", "3")
    assert headers.items() == [("via", "1"), ("To", "x"), ("VIA", "2"), ("Via", "3")]
    assert headers.all("Via") == ["1", "2", "3"]


def test_setting_leaves_one_line_in_the_old_place() -> None:
    headers = Headers([("To", "a"), ("Via", "1"), ("Subject", "s"), ("v", "2")])
    headers.set("Via", "3")
    assert headers.items() == [("To", "a"), ("Via", "3"), ("Subject", "s")]
    headers.set("Expires", "5")
    headers.remove("to")
    assert headers.items() == [("Via", "3"), ("Subject", "s"), ("Expires", "5")]


def test_the_first_element_of_a_list_is_replaced_alone() -> None:
    headers = Headers([("Via", "SIP/2.0/UDP a;rport, SIP/2.0/UDP b"), ("Via", "SIP/2.0/UDP c")])
    headers.replace_first("Via", "SIP/2.0/UDP a;rport=5;received=1.2.3.4")
    assert headers.values("Via") == ["SIP/2.0/UDP a;rport=5;received=1.2.3.4", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]


def test_a_copy_is_independent() -> None:
    headers = Headers([("To", "a")])
    other = headers.copy()
    other.add("From", "b")
    assert headers.items() == [("To", "a")]
    assert headers != other
    assert headers == Headers([("t", "a")])


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\rb"])
def test_a_line_end_in_a_value_is_our_own_mistake(value: str) -> None:
    with pytest.raises(ValueError, match="line end"):
        Headers([("Subject", value)])


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r\nb"])
def test_a_name_that_is_no_token_is_our_own_mistake(name: str) -> None:
    with pytest.raises(ValueError, match="header name"):
        Headers([(name, "x")])


def test_commas_part_lists_but_not_texts() -> None:
    headers = Headers(
        [
            ("Contact", '"a, \\"b" <sip:x,y@h;p=1,2>;q=1, <sip:z@h>,, <sip:w@h>'),
            ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
            ("Supported", "timer , replaces"),
            ("Supported", ""),
        ]
    )
    assert headers.values("Contact") == ['"a, \\"b" <sip:x,y@h;p=1,2>;q=1', "<sip:z@h>", "<sip:w@h>"]
    assert headers.values("Date") == ["Sat, 13 Nov 2010 23:29:00 GMT"]
    assert headers.values("k") == ["timer", "replaces"]


def test_a_list_without_end_is_refused() -> None:
    with pytest.raises(SipParseError):
        split_list(",".join("a" * (MAX_VALUES + 1)))
    with pytest.raises(SipParseError):
        Headers([("Supported", "a, b"), *[("Supported", "c")] * MAX_VALUES]).values("Supported")
    with pytest.raises(SipParseError):
        NameAddr.parse("<sip:a@b>" + ";x" * (MAX_PARAMS + 1))


@pytest.mark.parametrize(
    "text",
    ['"' * 90_000, '"' + '\\"' * 90_000, "<" * 90_000, "<a," * 30_000, "," * 90_000, "\\" * 90_000, "=" * 90_000],
)
def test_hostile_quotes_and_brackets_cost_no_time(text: str) -> None:
    for read in (split_list, parse_name_addr_list, parse_via_list, parse_params, Via.salvage, CSeq.parse):
        for spelled in (text, "a," + text, "<sip:a@b>;" + text, "SIP/2.0/UDP h;" + text, ";" + text):
            begin = time.process_time()
            try:
                read(spelled)
            except SipParseError:
                pass
            # Some milliseconds; matching that goes back over its steps needs seconds to minutes.
            assert time.process_time() - begin < 0.2


def test_name_addrs_as_phones_write_them() -> None:
    full = NameAddr.parse('"Ana \\"A\\" Ruiz" <sip:ana@h;lr>;tag=1;+sip.instance="<urn:uuid:0>";flag')
    assert (full.display, full.tag, full.uri.user) == ('Ana "A" Ruiz', "1", "ana")
    assert full.param("+sip.instance") == "<urn:uuid:0>"
    assert full.param("FLAG") == ""
    assert full.param("none") is None
    assert NameAddr.parse("caller<sip:c@h>").display == "caller"
    assert NameAddr.parse("Ana María Ruiz  <sip:c@h>").display == "Ana María Ruiz"
    bare = NameAddr.parse("sip:c@h;tag=2")
    assert (bare.uri.params, bare.tag, str(bare)) == ((), "2", "<sip:c@h>;tag=2")
    spaced = NameAddr.parse("sip:c@h ;   tag    = 3 ; x")
    assert (spaced.tag, spaced.param("x")) == ("3", "")
    assert NameAddr.parse("<sip:c@h>;tag=YWJj==").with_param("x", "y").tag == "YWJj=="
    assert NameAddr.parse("tel:+1-415;tag=4").tag == "4"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        '"open <sip:a@b>',
        "< sip:a@b >",
        "<sip:a@b",
        "sip:a@b>",
        "<>",
        "a, b <sip:a@b>",
        "<sip:a@b> x",
        "<sip:a@b>;;",
        "<sip:a@b>;tag=a b",
        '<sip:a@b>;tag="a',
        "sip:a@b?x=y",
        "sip:a@b;tag=a,b",
    ],
)
def test_what_is_no_name_addr_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        NameAddr.parse(text)


def test_tags_and_parameters_are_set_in_place() -> None:
    value = NameAddr(Uri(user="a", host="b"), "A", (("TAG", "1"), ("x", None)))
    assert str(value.with_tag("2")) == '"A" <sip:a@b>;TAG=2;x'
    assert str(value.without_params()) == '"A" <sip:a@b>'
    assert str(value.with_param("y", "two words")) == '"A" <sip:a@b>;TAG=1;x;y="two words"'


def test_a_display_name_cannot_break_out_of_its_header() -> None:
    value = NameAddr(Uri(user="a", host="b"), 'x" <sip:evil@h>\r\nVia: y\x07')
    text = str(value)
    assert "\r" not in text
    assert "\n" not in text
    assert NameAddr.parse(text).uri.host == "b"
    assert NameAddr.parse(text).label == 'x" <sip:evil@h>  Via: y'


def test_vias_as_peers_write_them() -> None:
    via = Via.parse("SIP  /  2.0 /udp   [2001:db8::1] : 5062 ; branch = z9hG4bK1;rport ;received=[::1]")
    assert (via.transport, via.host, via.port, via.branch) == ("UDP", "2001:db8::1", 5062, "z9hG4bK1")
    assert (via.rport, via.received, via.sent_by) == (0, "::1", "2001:db8::1:5062")
    assert Via.parse("SIP/2.0/UDP h;rport=5070").rport == 5070
    assert Via.parse("SIP/2.0/UDP h;rport=99999").rport is None
    assert Via.parse("SIP/2.0/UDP h;rport=x").rport is None
    assert Via.parse("SIP/2.0/UDP H").sent_by == "h"
    assert Via.parse("SIP/2.0/UDP h").rport is None
    stamped = via.with_param("rport", "9").with_param("received", "192.0.2.1")
    assert str(stamped) == "SIP/2.0/UDP [2001:db8::1]:5062;branch=z9hG4bK1;rport=9;received=192.0.2.1"


@pytest.mark.parametrize(
    "text", ["", "SIP/2.0/UDP", "SIP/2.0 UDP h", "SIP/2.0/UDP h:x", "SIP/2.0/UDP h:65536", "SIP/2.0/UDP h;;", "x"]
)
def test_what_is_no_via_is_refused(text: str) -> None:
    with pytest.raises(SipParseError):
        Via.parse(text)


def test_of_a_broken_via_the_sender_is_saved() -> None:
    assert str(Via.salvage("SIP/2.0/UDP 192.0.2.15;;,;,,")) == "SIP/2.0/UDP 192.0.2.15"
    assert str(Via.salvage('SIP/2.0/UDP h:5070;x=";branch=z9hG4bK7')) == "SIP/2.0/UDP h:5070;branch=z9hG4bK7"
    for hopeless in ("", "SIP/2.0/UDP", "SIP/2.0/UDP <h>"):
        with pytest.raises(SipParseError):
            Via.salvage(hopeless)


def test_cseq_is_a_number_below_two_to_the_31_and_a_method() -> None:
    assert CSeq.parse("0009  INVITE") == CSeq(9, "INVITE")
    assert str(CSeq(1, "BYE")) == "1 BYE"
    assert CSeq.parse("2147483647 BYE").number == 2**31 - 1
    for text in ("2147483648 BYE", "-1 BYE", "1", "BYE", "1BYE", "٣ BYE", "1 BY,E", "1 BYE x", "9" * 30 + " BYE"):
        with pytest.raises(SipParseError):
            CSeq.parse(text)
