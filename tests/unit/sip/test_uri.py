"""URIs: taken apart, put together, compared."""

from __future__ import annotations

import pytest
from hypothesis import given

from callcenter.sip.errors import SipParseError
from callcenter.sip.uri import MAX_URI, Uri
from tests.unit.sip.strategies import uris


@given(uris)
def test_a_uri_that_was_made_reads_back_as_itself(uri: Uri) -> None:
    text = str(uri)
    again = Uri.parse(text)
    assert again == uri
    assert str(again) == text


def test_every_part_of_a_sip_uri_is_found() -> None:
    uri = Uri.parse("sips:alice:se%20cret@atlanta.example.com:5061;transport=tcp;lr?subject=hi&priority=urgent")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == (
        "sips",
        "alice",
        "se cret",
        "atlanta.example.com",
        5061,
    )
    assert uri.param("Transport") == "tcp"
    assert uri.param("lr") == ""
    assert uri.has_param("LR")
    assert uri.param("maddr") is None
    assert uri.headers == "subject=hi&priority=urgent"
    assert uri.is_sip


def test_a_parsed_uri_goes_out_as_it_was_spelled() -> None:
    spelled = "SIP:%61lice@EXAMPLE.com;X=y"
    assert str(Uri.parse(spelled)) == spelled
    assert Uri.parse(spelled).user == "alice"


def test_an_unknown_scheme_is_kept_verbatim() -> None:
    uri = Uri.parse("soap.beep://192.0.2.103:3002")
    assert (uri.scheme, uri.opaque, uri.is_sip) == ("soap.beep", "//192.0.2.103:3002", False)
    assert str(uri) == "soap.beep://192.0.2.103:3002"


def test_ipv6_hosts_have_no_brackets_inside_and_brackets_outside() -> None:
    uri = Uri.parse("sip:bob@[2001:db8::10]:5070")
    assert (uri.host, uri.port) == ("2001:db8::10", 5070)
    assert str(Uri(user="bob", host="2001:db8::10", port=5070)) == "sip:bob@[2001:db8::10]:5070"
    assert Uri.parse("sip:[2001:db8::10:5070]").port is None
    # The grammar of RFC 3261 allowed this by mistake (RFC 5118 4.10).
    assert Uri.parse("sip:[2001:db8:::192.0.2.1]").host == "2001:db8::192.0.2.1"


def test_odd_users_of_odd_phones_are_borne() -> None:
    assert Uri.parse("sip:*98#@example.com").user == "*98#"
    assert Uri.parse("sip:josé@example.com").user == "josé"
    assert Uri.parse("sip:jos%E9@example.com").user == "josé"
    assert Uri.parse("sip:50%@example.com").user == "50%"
    assert Uri.parse("sip:user;par=u%40example.net@example.com").user == "user;par=u@example.net"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip",
        "sip:@example.com",
        "sip:a@b@example.com",
        "sip:alice@",
        "sip:alice@exam ple.com",
        "sip:2001:db8::10",
        "sip:[2001:db8::10",
        "sip:[2001:db8::zz]",
        "sip:alice@example.com:65536",
        "sip:alice@example.com:port",
        "sip:alice@example.com;",
        "sip:alice@example.com;;lr",
        "sip:alice@example.com;=x",
        "<sip:alice@example.com>",
        " sip:alice@example.com",
        "sip:alice@example.com\r\nX: y",
        "sip:al\x00ice@example.com",
        "tel:",
        "tel:nobody;x",
        "1sip:x",
        "alice@example.com",
    ],
)
def test_what_is_no_uri_is_refused_with_400(text: str) -> None:
    with pytest.raises(SipParseError) as refused:
        Uri.parse(text)
    assert refused.value.status == 400


def test_an_endless_uri_is_refused_with_414() -> None:
    for text in ("sip:" + "a" * MAX_URI + "@example.com", "urn:" + "a" * MAX_URI):
        with pytest.raises(SipParseError) as refused:
            Uri.parse(text)
        assert refused.value.status == 414


@pytest.mark.parametrize(
    ("text", "whom"),
    [
        ("tel:+1-201-555-0123;phone-context=x", "+12015550123"),
        ("sip:+1(415)555.0100@gw.example.com;user=phone", "+14155550100"),
        ("sip:+14155550100;phone-context=example.com@gw.example.com", "+14155550100"),
        ("sip:ana@example.com", "ana"),
        ("sip:ana-maria@example.com", "ana-maria"),
        ("sip:1000@example.com", "1000"),
        ("sip:example.com", ""),
    ],
)
def test_the_number_of_a_uri_is_free_of_separators(text: str, whom: str) -> None:
    assert Uri.parse(text).number_or_user == whom


def test_parameters_are_taken_away() -> None:
    uri = Uri.parse("sip:a@b.example;transport=udp;x=y")
    assert str(uri.without_params("TRANSPORT")) == "sip:a@b.example;x=y"


def test_a_user_of_ours_is_escaped_on_the_way_out() -> None:
    assert str(Uri(user="a b@c<d>:é", host="h")) == "sip:a%20b%40c%3Cd%3E%3A%C3%A9@h"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("isbn:2983792873", "isbn:2983792873"),
    ],
)
def test_uris_that_mean_the_same_match(one: str, other: str) -> None:
    assert Uri.parse(one).matches(Uri.parse(other))
    assert Uri.parse(other).matches(Uri.parse(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ("sip:null-%00-null@example.com", "sip:null-%00@example.com"),
        ("tel:+12015550123", "tel:+12015550124"),
        ("isbn:2983792873", "isbn:2983792874"),
    ],
)
def test_uris_that_mean_something_else_do_not_match(one: str, other: str) -> None:
    assert not Uri.parse(one).matches(Uri.parse(other))
    assert not Uri.parse(other).matches(Uri.parse(one))
