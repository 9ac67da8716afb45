"""Requests and responses: typed headers, responses to requests, the way out."""

from __future__ import annotations

import pytest
from hypothesis import given

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import CSeq, Headers, Via
from callcenter.sip.message import MAX_EXPIRES, REASONS, Message, Request, Response
from callcenter.sip.parser import check, parse
from callcenter.sip.uri import Uri
from tests.unit.sip.strategies import messages, requests

INVITE = (
    ("Via", "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1;rport, SIP/2.0/TCP 192.0.2.2;branch=z9hG4bK2"),
    ("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"),
    ("From", '"Ana" <sip:ana@example.com>;tag=a1'),
    ("To", "sip:1000@example.com"),
    ("Call-ID", "c1"),
    ("CSeq", "7 INVITE"),
    ("Contact", "<sip:ana@192.0.2.1:5070>"),
    ("Timestamp", "54"),
    ("Subject", "not copied"),
)


def invite(*more: tuple[str, str], body: bytes = b"", without: str = "") -> Request:
    headers = Headers([*INVITE, *more])
    if without:
        headers.remove(without)
    return Request("INVITE", Uri(user="1000", host="example.com"), headers, body)


@given(messages)
def test_a_message_reads_back_as_itself(message: Message) -> None:
    wire = message.to_bytes()
    again = parse(wire)
    assert again == message
    check(again)
    assert parse(again.to_bytes()) == again
    assert again.vias == message.vias
    assert again.from_ == message.from_
    assert again.contacts == message.contacts


@given(requests())
def test_every_response_to_a_request_is_well_formed(request: Request) -> None:
    response = request.response(486, to_tag="t1")
    again = parse(response.to_bytes())
    check(again)
    assert again == response
    assert again.vias == request.vias
    assert again.cseq == request.cseq
    assert again.to_tag == (request.to_tag if request.to_tag is not None else "t1")


def test_typed_headers_of_an_invite() -> None:
    request = invite(("Route", "<sip:r1;lr>,<sip:r2;lr>"), ("Max-Forwards", "70"), ("Expires", "120"))
    assert request.call_id == "c1"
    assert request.cseq == CSeq(7, "INVITE")
    assert request.via.branch == "z9hG4bK1"
    assert [via.transport for via in request.vias] == ["UDP", "TCP"]
    assert (request.from_.display, request.from_tag, request.to_tag) == ("Ana", "a1", None)
    assert request.contact is not None
    assert request.contact.uri.port == 5070
    assert [str(route.uri) for route in request.routes] == ["sip:r1;lr", "sip:r2;lr"]
    assert [str(route.uri) for route in request.record_routes] == ["sip:p1;lr", "sip:p2;lr"]
    assert (request.max_forwards, request.expires, request.content_type) == (70, 120, None)


def test_what_is_absent_is_none() -> None:
    request = invite(without="Contact")
    assert (request.contacts, request.contact, request.routes) == ((), None, ())
    assert (request.max_forwards, request.expires, request.content_type) == (None, None, None)
    assert request.option_tags("Require") == ()


def test_lists_and_numbers_are_read_with_care() -> None:
    request = invite(
        ("Require", "100rel, Timer"), ("Expires", "1" + "0" * 40), ("c", "Application/SDP ; charset=utf-8")
    )
    assert request.option_tags("require") == ("100rel", "timer")
    assert request.expires == MAX_EXPIRES
    assert request.content_type == "application/sdp"
    assert invite(("Expires", "soon")).expires is None
    assert invite(("Expires", "٣")).expires is None
    for bad in ("256", "-1", "x", "9999999999999", "٣"):
        with pytest.raises(SipParseError):
            invite(("Max-Forwards", bad)).max_forwards  # noqa: B018


def test_a_star_contact_stands_alone() -> None:
    star = Request("REGISTER", Uri(host="h"), Headers([("Contact", "*")]))
    assert star.contact is None
    assert star.contacts == "*"
    beside = Request("REGISTER", Uri(host="h"), Headers([("Contact", "*"), ("Contact", "<sip:a@b>")]))
    with pytest.raises(SipParseError):
        beside.contacts  # noqa: B018


def test_typed_headers_follow_changes() -> None:
    request = invite()
    first = request.to_bytes()
    assert b"received" not in first
    assert request.via.host == "192.0.2.1"
    request.headers.replace_first("Via", str(request.via.with_param("received", "192.0.2.9")))
    assert request.via.received == "192.0.2.9"
    assert [via.host for via in request.vias] == ["192.0.2.1", "192.0.2.2"]
    assert request.to_bytes() != first
    assert b"received=192.0.2.9" in request.to_bytes()


def test_a_typed_header_is_read_once() -> None:
    request = invite()
    assert request.from_ is request.from_
    assert request.vias is request.vias
    assert request.to_bytes() is request.to_bytes()


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_a_missing_core_header_is_told_by_name(name: str) -> None:
    request = invite(without=name)
    with pytest.raises(SipParseError, match=f"Missing {name}"):
        check(request)


def test_a_response_copies_what_it_must() -> None:
    response = invite().response(
        200, to_tag="t1", headers=[("Server", "x")], body=b"v=0", content_type="application/sdp"
    )
    assert response.headers.items() == [
        *INVITE[:3],
        ("To", "sip:1000@example.com;tag=t1"),
        *INVITE[4:6],
        ("Server", "x"),
        ("Content-Type", "application/sdp"),
    ]
    assert (response.status, response.reason, response.body) == (200, "OK", b"v=0")
    assert response.to_bytes().endswith(b"Content-Type: application/sdp\r\nContent-Length: 3\r\n\r\nv=0")


def test_100_carries_timestamp_and_no_tag() -> None:
    response = invite().response(100, to_tag="t1")
    assert response.to_tag is None
    assert response.headers.get("Timestamp") == "54"
    assert "Record-Route" not in response.headers


@pytest.mark.parametrize(
    ("method", "status", "copied"),
    [
        ("INVITE", 180, True),
        ("INVITE", 486, False),
        ("BYE", 200, False),
        ("SUBSCRIBE", 200, True),
        ("REFER", 202, True),
    ],
)
def test_record_route_is_copied_where_a_dialog_may_begin(method: str, status: int, copied: bool) -> None:
    request = Request(method, Uri(host="h"), Headers(INVITE))
    assert ("Record-Route" in request.response(status).headers) is copied


def test_a_tag_that_is_there_stays() -> None:
    headers = Headers(INVITE)
    headers.set("To", "<sip:1000@example.com>;tag=old")
    assert Request("BYE", Uri(host="h"), headers).response(200, to_tag="new").to_tag == "old"


def test_a_response_to_half_a_request_leaves_out_what_is_missing() -> None:
    request = Request("INVITE", Uri(host="h"), Headers([("Via", "SIP/2.0/UDP h"), ("To", '"x <sip:a@b>')]))
    response = request.response(400, to_tag="t")
    assert response.headers.items() == [("Via", "SIP/2.0/UDP h"), ("To", '"x <sip:a@b>')]


def test_content_length_is_always_right() -> None:
    request = invite(("Content-Length", "999"), ("l", "1"), body=b"\x00\xff\r\n\r\n")
    wire = request.to_bytes()
    assert wire.count(b"Content-Length") == 1
    assert wire.endswith(b"Content-Length: 6\r\n\r\n\x00\xff\r\n\r\n")
    assert parse(wire).body == request.body


def test_reason_phrases_are_ours_or_the_callers() -> None:
    request = invite()
    assert request.response(503).reason == REASONS[503]
    assert request.response(299).reason == ""
    assert request.response(486, "Gone fishing").reason == "Gone fishing"
    with pytest.raises(ValueError, match="line end"):
        Response(200, "OK\r\nX: y", Headers())


def test_messages_are_equal_by_content() -> None:
    assert invite() == invite()
    assert invite() != invite(("X", "y"))
    assert invite() != invite(body=b"x")
    assert invite().response(200) != invite().response(200, "Fine")
    assert invite().response(200) != invite()
    assert repr(invite()) == "<Request INVITE sip:1000@example.com c1>"
    assert repr(invite().response(404)) == "<Response 404 Not Found c1>"


def test_vias_are_made_as_they_are_read() -> None:
    via = Via("TCP", "2001:db8::1", 5060, (("branch", "z9hG4bK3"), ("rport", None)))
    assert str(via) == "SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bK3;rport"


def test_a_refusal_of_a_request_that_has_everything_many_times_has_it_once() -> None:
    """Found by the fuzzer: it went out with 160 From, and nobody could read it, not even we."""
    once = b"\r\n".join(
        (
            b"OPTIONS sip:1000@192.0.2.1 SIP/2.0",
            b"Via: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK2",
            b"Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bK1",
            *[b"To: <sip:1000@192.0.2.1>", b"Call-ID: c", b"CSeq: 1 OPTIONS"] * 2,
            *[b"From: <sip:ana@example.com>;tag=a"] * 160,
            b"Content-Length: 0\r\n\r\n",
        )
    )
    with pytest.raises(SipParseError) as caught:
        parse(once)
    assert caught.value.partial is not None
    answer = parse(caught.value.partial.response(513, to_tag="t").to_bytes())
    assert len(answer.vias) == 2
    assert [len(answer.headers.all(name)) for name in ("From", "To", "Call-ID", "CSeq")] == [1, 1, 1, 1]
    assert answer.to_tag == "t"
