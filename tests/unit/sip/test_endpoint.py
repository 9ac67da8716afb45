"""The endpoint against single messages: what is answered, with what, to where, and that nothing is kept of nonsense."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.sip.endpoint import Endpoint, EndpointStatus, Limits, Refusal
from callcenter.sip.errors import SipParseError
from callcenter.sip.events import (
    Acknowledged,
    Answered,
    Effect,
    EndedBy,
    InviteReceived,
    ReinviteRejected,
    Rejected,
    RequestReceived,
    ResponseReceived,
    Send,
    SessionEnded,
)
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Request, Response
from callcenter.sip.parser import parse
from callcenter.sip.uri import Uri
from tests.unit.sip.lossy import ANSWER, OFFER, Phone, Wire

HERE = Address("192.0.2.1", 5060)
SOURCE = Address("192.0.2.2", 5060)
UDP = Flow(Transport.UDP, HERE, SOURCE)
TCP = Flow(Transport.TCP, HERE, Address("192.0.2.2", 40_000), 1)
NOTHING = EndpointStatus(0, 0, 0)


def endpoint(**options: Any) -> Endpoint:
    return Endpoint(random=Random(7), **options)


def text(
    method: str = "INVITE",
    *more: str,
    uri: str = "sip:1000@192.0.2.1",
    via: str = "SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1;rport",
    from_: str = "<sip:ana@192.0.2.2>;tag=a",
    to: str = "<sip:1000@192.0.2.1>",
    call_id: str = "call",
    cseq: str | None = None,
    contact: str = "<sip:ana@192.0.2.2>",
    forwards: int = 70,
    body: bytes = b"",
) -> bytes:
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: {via}",
        f"From: {from_}",
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq or '1 ' + method}",
        f"Max-Forwards: {forwards}",
        *([f"Contact: {contact}"] if contact else []),
        *more,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def invite(*more: str, **named: Any) -> bytes:
    named.setdefault("body", OFFER)
    return text("INVITE", "Content-Type: application/sdp", *more, **named)


def sent(effects: Iterable[Effect]) -> list[Any]:
    return [parse(effect.data) for effect in effects if isinstance(effect, Send)]


def only(effects: Iterable[Effect]) -> Response:
    (message,) = sent(effects)
    assert isinstance(message, Response)
    return message


def run_out(it: Endpoint, now: float = 0.0) -> list[Effect]:
    """Let every timer run out."""
    effects: list[Effect] = []
    for _ in range(1000):
        deadline = it.deadline
        if deadline is None:
            break
        now = max(now, deadline)
        effects += it.expire(now)
    assert it.deadline is None
    assert not it._core.merges
    return effects


def invited(effects: Iterable[Effect]) -> str:
    """The session of the one InviteReceived."""
    (event,) = [effect for effect in effects if isinstance(effect, InviteReceived)]
    return event.session


def established(it: Endpoint, **named: Any) -> str:
    """The session of a call that came in and is up."""
    session = invited(it.receive(invite(**named), UDP, 0.0))
    it.answer(session, ANSWER, 0.0)
    assert it.receive(within("ACK", session, cseq=1), UDP, 0.1) == [Acknowledged(session, None)]
    return session


def within(method: str, session: str, *more: str, cseq: int = 2, **named: Any) -> bytes:
    """A request within the dialog of an incoming session."""
    named.setdefault("via", f"SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{method}{cseq};rport")
    return text(method, *more, to=f"<sip:1000@192.0.2.1>;tag={session}", cseq=f"{cseq} {method}", **named)


# -- where answers go ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("via", "received", "rport", "port"),
    [
        ("192.0.2.2:5060;branch=z9hG4bK1", None, None, 5060),
        ("192.0.2.2;branch=z9hG4bK1", None, None, 5060),
        ("192.0.2.2:5090;branch=z9hG4bK1", None, None, 5090),
        ("10.0.0.7:5090;branch=z9hG4bK1", "192.0.2.2", None, 5090),
        ("phone.example.com;branch=z9hG4bK1", "192.0.2.2", None, 5060),
        ("192.0.2.2:5090;branch=z9hG4bK1;rport", "192.0.2.2", "40000", 40_000),
        ("10.0.0.7;rport;branch=z9hG4bK1", "192.0.2.2", "40000", 40_000),
    ],
)
def test_answer_goes_to_the_source_by_the_port_that_via_or_rport_say(
    via: str, received: str | None, rport: str | None, port: int
) -> None:
    flow = Flow(Transport.UDP, HERE, Address("192.0.2.2", 40_000))
    (effect,) = endpoint().receive(text("OPTIONS", via=f"SIP/2.0/UDP {via}"), flow, 0.0)
    assert isinstance(effect, Send)
    assert effect.flow == Flow(Transport.UDP, HERE, Address("192.0.2.2", port))
    answer = parse(effect.data).via
    assert (answer.param("received"), answer.param("rport")) == (received, rport)


def test_received_of_a_liar_is_put_right() -> None:
    (effect,) = endpoint().receive(
        text("OPTIONS", via="SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1;received=198.51.100.66;rport"), UDP, 0.0
    )
    assert isinstance(effect, Send)
    assert effect.flow == UDP
    assert parse(effect.data).via.received == "192.0.2.2"


def test_answer_over_tcp_goes_by_the_connection_of_the_request() -> None:
    request = parse(text("OPTIONS", via="SIP/2.0/TCP 192.0.2.2:5060;branch=z9hG4bK1"))
    (effect,) = endpoint().receive_message(request, TCP, 0.0)
    assert isinstance(effect, Send)
    assert effect.flow == TCP


def test_ipv6_peers_are_answered_with_brackets_where_they_belong() -> None:
    flow = Flow(Transport.UDP, Address("2001:db8::1", 5060), Address("2001:db8::2", 5080))
    it = endpoint()
    effects = it.receive(
        invite(via="SIP/2.0/UDP [2001:db8::3]:5080;branch=z9hG4bK1;rport", contact="<sip:a@[2001:db8::2]:5080>"),
        flow,
        0.0,
    )
    (event,) = [effect for effect in effects if isinstance(effect, InviteReceived)]
    ringing = only(it.ring(event.session, 0.0))
    assert ringing.via.received == "2001:db8::2"
    # An address is no quoted string (RFC 3261 25.1, via-received; RFC 5118 4.5).
    assert b";received=2001:db8::2\r\n" in ringing.to_bytes()
    assert ringing.headers.get("Contact") == "<sip:1000@[2001:db8::1]:5060>"


def test_contact_and_via_show_the_advertised_address_and_the_transport() -> None:
    it = endpoint(advertised=lambda _flow: Address("sip.example.com", 5070))
    _, effects = it.request(
        method="OPTIONS", target=Uri.parse("sip:b@192.0.2.2"), flow=TCP, from_=me(), to=me(), now=0.0
    )
    (request,) = sent(effects)
    assert str(request.via).startswith("SIP/2.0/TCP sip.example.com:5070;branch=z9hG4bK")
    assert it.contact(TCP, "1000") == "<sip:1000@sip.example.com:5070;transport=tcp>"
    assert it.contact(UDP, None) == "<sip:sip.example.com:5070>"


TLS = Flow(Transport.TLS, Address("192.0.2.1", 5061), Address("192.0.2.2", 40_000), 1)


@pytest.mark.parametrize(
    ("flow", "target", "contact"),
    [
        (TLS, "sip:b@192.0.2.2", "<sip:here@192.0.2.1:5061;transport=tls>"),
        (TLS, "sips:b@192.0.2.2", "<sips:here@192.0.2.1:5061>"),
    ],
)
def test_call_by_tls_says_so_in_via_and_contact(flow: Flow, target: str, contact: str) -> None:
    _, effects = endpoint().invite(target=Uri.parse(target), flow=flow, from_=me(), to=me(), sdp=OFFER, now=0.0)
    (request,) = sent(effects)
    assert str(request.via).startswith("SIP/2.0/TLS 192.0.2.1:5061;branch=")
    assert request.headers.get("Contact") == contact


@pytest.mark.parametrize(
    ("uri", "contact", "route", "answered"),
    [
        ("sip:1000@192.0.2.1", "<sip:ana@192.0.2.2>", "", "sip"),
        ("sips:1000@192.0.2.1", "<sip:ana@192.0.2.2>", "", "sips"),
        ("sip:1000@192.0.2.1", "<sips:ana@192.0.2.2>", "", "sips"),
        ("sip:1000@192.0.2.1", "<sip:ana@192.0.2.2>", "<sips:edge;lr>", "sips"),
        ("sip:1000@192.0.2.1", "<sips:ana@192.0.2.2>", "<sip:edge;lr>", "sip"),
    ],
)
def test_who_calls_securely_is_answered_so(uri: str, contact: str, route: str, answered: str) -> None:
    """RFC 3261 12.1.1."""
    it = endpoint()
    routes = [f"Record-Route: {route}"] if route else []
    via = "SIP/2.0/TLS 192.0.2.2:5061;branch=z9hG4bK1;rport"
    session = invited(it.receive(invite(*routes, uri=uri, contact=contact, via=via), TLS, 0.0))
    (answer,) = sent(it.answer(session, ANSWER, 0.0))
    ours = answer.contact.uri
    assert (ours.scheme, ours.port, ours.param("transport")) == (answered, 5061, "tls" if answered == "sip" else None)


def me() -> NameAddr:
    return NameAddr.parse("<sip:here@192.0.2.1>")


# -- what is refused, and with what --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "status", "header"),
    [
        (text("PUBLISH"), 405, "Allow"),
        (text("FOO"), 405, "Allow"),
        (text("BYE"), 481, None),
        (text("BYE", to="<sip:1000@192.0.2.1>;tag=unknown"), 481, None),
        (text("INFO"), 481, None),
        (invite(to="<sip:1000@192.0.2.1>;tag=unknown"), 481, None),
        (text("OPTIONS", to="<sip:1000@192.0.2.1>;tag=unknown"), 481, None),
        (text("REGISTER", to="<sip:1000@192.0.2.1>;tag=unknown"), 481, None),
        (text("CANCEL"), 481, None),
        (invite(uri="http://example.com/"), 416, None),
        (invite(uri="nobodyKnowsThisScheme:totallyopaquecontent"), 416, None),
        (invite("Require: 100rel, foo"), 420, "Unsupported"),
        (text("REGISTER", "Require: gruu"), 420, "Unsupported"),
        (invite(forwards=0), 483, None),
        (invite(contact=""), 400, None),
        (invite(contact="<mailto:ana@example.com>"), 400, None),
        (invite("Contact: <sip:*"), 400, None),
        (text("INVITE", "Content-Type: text/plain", body=b"hello"), 415, "Accept"),
        (invite("Content-Encoding: gzip"), 415, "Accept-Encoding"),
        (text("OPTIONS", cseq="1 INVITE"), 400, None),
        (text("OPTIONS", "Call-ID: second"), 400, None),
        (text("OPTIONS").replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"), 505, None),
        (text("OPTIONS", from_="<sip:broken"), 400, None),
    ],
)
def test_refusal(data: bytes, status: int, header: str | None) -> None:
    it = endpoint()
    effects = it.receive(data, UDP, 0.0)
    answer = only(effects)
    assert answer.status == status
    if header is not None:
        assert answer.headers.get(header)
    # A refusal leaves nothing behind, and its tag is the same when the request is repeated.
    assert it.status() == NOTHING
    assert sent(it.receive(data, UDP, 0.5)) == [answer]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"hello",
        text("ACK"),
        text("ACK", to="<sip:1000@192.0.2.1>;tag=unknown"),
        text("ACK", "Call-ID: second"),
        text("ACK", uri="foo:bar", forwards=0),
        text("OPTIONS", via="nonsense"),
        b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nCSeq: 1 INVITE\r\n\r\n",
        b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"SIP/2.0 999 Odd\r\nVia: SIP/2.0/UDP a\r\n\r\n",
    ],
)
def test_what_cannot_be_answered_is_met_with_silence(data: bytes) -> None:
    it = endpoint()
    assert it.receive(data, UDP, 0.0) == []
    assert it.status() == NOTHING
    assert it.deadline is None


def test_body_that_may_be_ignored_is() -> None:
    it = endpoint()
    data = text("INVITE", "Content-Type: text/plain", "Content-Disposition: render; handling=optional", body=b"hello")
    (event,) = [effect for effect in it.receive(data, UDP, 0.0) if isinstance(effect, InviteReceived)]
    assert event.offer is None


MIXED = (
    b"preamble\r\n--b1\r\nContent-Type: application/isup;version=x\r\nContent-Disposition: signal\r\n\r\n\x01\x02\r\n"
    b"--b1\r\nContent-Disposition: session\r\nc: Application/SDP;charset=utf-8\r\n\r\n" + OFFER + b"\r\n--b1--\r\n"
)


@pytest.mark.parametrize("boundary", ["b1", '"b1"'])
def test_offer_among_other_parts_of_the_body_is_found(boundary: str) -> None:
    data = text("INVITE", f"Content-Type: multipart/mixed;boundary={boundary}", body=MIXED)
    (event,) = [effect for effect in endpoint().receive(data, UDP, 0.0) if isinstance(effect, InviteReceived)]
    assert event.offer == OFFER


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", MIXED),
        ("multipart/mixed;boundary=b2", MIXED),
        ("multipart/mixed;boundary=", MIXED),
        ('multipart/mixed;boundary="b1', MIXED),
        ("multipart/mixed;boundary=b1", MIXED.replace(b"SDP", b"xml")),
        ("multipart/mixed;boundary=b1", b"--b1\r\n" * 1000 + MIXED),
    ],
)
def test_parts_without_an_offer_that_can_be_found_are_refused(kind: str, body: bytes) -> None:
    assert only(endpoint().receive(text("INVITE", f"Content-Type: {kind}", body=body), UDP, 0.0)).status == 415


def test_ping_is_answered_with_what_we_can_and_with_503_when_we_are_not_well() -> None:
    it = endpoint()
    answer = only(it.receive(text("OPTIONS", forwards=0), UDP, 0.0))
    assert answer.status == 200
    allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY, SUBSCRIBE, REGISTER"
    assert answer.headers.get("Allow") == allowed
    assert answer.headers.get("Accept") == "application/sdp, multipart/mixed"
    assert answer.to_tag
    it.healthy = False
    answer = only(it.receive(text("OPTIONS"), UDP, 0.0))
    assert (answer.status, answer.headers.get("Retry-After")) == (503, "5")
    assert it.status() == NOTHING


def test_nameless_endpoint_names_itself_in_no_message() -> None:
    for name in ("", "Acme"):
        it = endpoint(agent_name=name)
        answer = only(it.receive(text("OPTIONS"), UDP, 0.0))
        assert (answer.headers.get("Server") or "") == name
        _, effects = it.request(
            method="OPTIONS", target=Uri.parse("sip:b@192.0.2.2"), flow=UDP, from_=me(), to=me(), now=0.0
        )
        assert (sent(effects)[0].headers.get("User-Agent") or "") == name


def test_unreadable_message_of_a_stream_is_answered_once_it_is_told() -> None:
    it = endpoint()
    with pytest.raises(SipParseError) as raised:
        parse(text("OPTIONS").replace(b"CSeq: 1 OPTIONS", b"CSeq 1 OPTIONS"))
    assert only(it.receive_error(raised.value, TCP, 0.0)).status == 400
    assert it.receive_error(SipParseError("nothing readable"), TCP, 0.0) == []


# -- transactions --------------------------------------------------------------------------------------------------


def test_repeated_invite_rings_once_and_gets_the_last_answer_again() -> None:
    it = endpoint()
    data = invite()
    effects = it.receive(data, UDP, 0.0)
    assert [answer.status for answer in sent(effects)] == [100]
    (event,) = [effect for effect in effects if isinstance(effect, InviteReceived)]
    assert [answer.status for answer in sent(it.receive(data, UDP, 0.5))] == [100]
    ringing = only(it.ring(event.session, 0.6))
    assert it.receive(data, UDP, 1.5)[0].data == ringing.to_bytes()  # type: ignore[union-attr]
    assert ringing.to_tag == event.session
    assert it.status() == EndpointStatus(1, 1, 1)


def test_repeated_invite_of_an_rfc_2543_phone_rings_once_too() -> None:
    it = endpoint()
    data = invite(via="SIP/2.0/UDP 10.0.0.7:5060")
    session = invited(it.receive(data, UDP, 0.0))
    assert [answer.status for answer in sent(it.receive(data, UDP, 0.5))] == [100]
    it.reject(session, 486, 1.0)
    ack = text("ACK", via="SIP/2.0/UDP 10.0.0.7:5060", to=f"<sip:1000@192.0.2.1>;tag={session}", cseq="1 ACK")
    assert it.receive(ack, UDP, 1.1) == []
    assert run_out(it, 1.1) == []
    assert it.status() == NOTHING


def test_same_invite_by_another_way_is_a_loop() -> None:
    it = endpoint()
    it.receive(invite(), UDP, 0.0)
    other = invite(via="SIP/2.0/UDP 192.0.2.3:5060;branch=z9hG4bK2;rport")
    assert only(it.receive(other, UDP, 0.1)).status == 482
    assert it.status().sessions == 1


def test_challenged_request_repeated_without_counting_up_is_no_loop() -> None:
    it = endpoint()
    (event,) = it.receive(text("REGISTER"), UDP, 0.0)
    assert isinstance(event, RequestReceived)
    assert only(it.respond(event.transaction, 401, 0.0, headers=[("WWW-Authenticate", "Digest x")])).status == 401
    again = text("REGISTER", "Authorization: Digest y", via="SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK2")
    (event,) = it.receive(again, UDP, 0.1)
    assert isinstance(event, RequestReceived)


def test_who_has_shown_no_password_gets_no_memory_and_one_and_the_same_tag() -> None:
    it = endpoint()
    tags = set()
    for _ in range(2):
        (event,) = it.receive(text("REGISTER"), UDP, 0.0)
        assert isinstance(event, RequestReceived)
        answer = only(it.respond(event.transaction, 401, 0.0, headers=[("WWW-Authenticate", "Digest x")]))
        assert (answer.status, answer.headers.get("WWW-Authenticate")) == (401, "Digest x")
        tags.add(answer.to_tag)
        assert it.status() == NOTHING
    assert len(tags) == 1
    assert run_out(it) == []


def test_request_that_is_asked_for_a_password_first_is_not_told() -> None:
    it = endpoint()
    challenge = Refusal(401, (("WWW-Authenticate", "Digest x"),))
    it.ask_first = lambda request, _: None if "Authorization" in request.headers else challenge
    tags = set()
    for _ in range(2):
        answer = only(it.receive(text("REGISTER"), UDP, 0.0))
        assert (answer.status, answer.headers.get("WWW-Authenticate")) == (401, "Digest x")
        tags.add(answer.to_tag)
    assert len(tags) == 1
    assert it.status() == NOTHING
    (event,) = it.receive(text("REGISTER", "Authorization: Digest y"), UDP, 0.1)
    assert isinstance(event, RequestReceived)


def test_request_is_told_once_answered_and_its_answer_repeated() -> None:
    it = endpoint()
    data = text("REGISTER")
    (event,) = it.receive(data, UDP, 0.0)
    assert isinstance(event, RequestReceived)
    assert it.receive(data, UDP, 0.5) == []
    effects = it.respond(event.transaction, 200, 1.0, headers=[("Contact", "<sip:ana@192.0.2.2>;expires=60")])
    answer = only(effects)
    assert answer.to_tag
    assert it.receive(data, UDP, 1.5) == effects
    assert it.respond(event.transaction, 500, 1.6) == []
    run_out(it, 2.0)
    assert it.status() == NOTHING
    assert it.respond(event.transaction, 200, 100.0) == []


@pytest.mark.parametrize("second", [200, 401])
def test_request_that_has_its_answer_gets_no_second_one(second: int) -> None:
    it = endpoint()
    (event,) = it.receive(text("REGISTER"), UDP, 0.0)
    assert isinstance(event, RequestReceived)
    assert only(it.respond(event.transaction, 403, 0.0)).status == 403
    assert it.respond(event.transaction, second, 0.1) == []


def test_request_that_is_never_answered_is_let_go() -> None:
    it = endpoint()
    it.receive(text("REGISTER"), UDP, 0.0)
    assert it.deadline == 32.0
    run_out(it)
    assert it.status() == NOTHING


def test_our_request_is_answered_once_to_whom_asked() -> None:
    it = endpoint()
    request_id, effects = it.request(
        method="REGISTER",
        target=Uri.parse("sip:example.com"),
        flow=UDP,
        from_=me(),
        to=me(),
        headers=[("Contact", "<sip:here@192.0.2.1>"), ("Expires", "60")],
        routes=["<sip:192.0.2.2;lr>"],
        call_id="mine",
        cseq=5,
        now=0.0,
    )
    (request,) = sent(effects)
    assert (request.call_id, request.cseq.number) == ("mine", 5)
    assert request.headers.get("Route") == "<sip:192.0.2.2;lr>"
    assert it.receive(request.response(100).to_bytes(), UDP, 0.1) == []
    answer = request.response(200, to_tag="x").to_bytes()
    (event,) = it.receive(answer, UDP, 0.2)
    assert isinstance(event, ResponseReceived)
    assert (event.request_id, event.response is not None) == (request_id, True)
    assert it.receive(answer, UDP, 0.3) == []
    run_out(it, 0.3)
    assert it.status() == NOTHING


def test_our_request_that_fails_is_told_with_no_response() -> None:
    it = endpoint()
    request_id, effects = it.request(
        method="OPTIONS", target=Uri.parse("sip:b@192.0.2.2"), flow=UDP, from_=me(), to=me(), now=0.0
    )
    assert [effect for effect in run_out(it) if not isinstance(effect, Send)] == [ResponseReceived(request_id, None)]
    request_id, effects = it.request(
        method="OPTIONS", target=Uri.parse("sip:b@192.0.2.2"), flow=UDP, from_=me(), to=me(), now=0.0
    )
    assert isinstance(effects[0], Send)
    assert it.send_failed(effects[0].key, 0.0) == [ResponseReceived(request_id, None)]
    assert it.send_failed(effects[0].key, 0.0) == []
    assert it.send_failed("", 0.0) == []
    assert it.status() == NOTHING


def test_foreign_answers_to_our_request_are_ignored() -> None:
    it = endpoint()
    _, effects = it.request(
        method="OPTIONS", target=Uri.parse("sip:b@192.0.2.2"), flow=UDP, from_=me(), to=me(), now=0.0
    )
    (request,) = sent(effects)
    for change in (
        ("CSeq: 1 ", "CSeq: 2 "),
        ("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"),
        ("z9hG4bK", "z9hG4bKz"),
        ("From:", "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK8\r\nFrom:"),
        ("From:", "Frm:"),
    ):
        answer = request.response(200, to_tag="x").to_bytes().replace(*(part.encode() for part in change))
        assert it.receive(answer, UDP, 0.1) == [], change
    assert it.status().transactions == 1


# -- within dialogs ------------------------------------------------------------------------------------------------


def test_number_that_fell_is_answered_500_and_changes_nothing() -> None:
    it = endpoint()
    session = established(it)
    assert only(it.receive(within("INFO", session, cseq=20), UDP, 1.0)).status == 200
    assert only(it.receive(within("BYE", session, cseq=19), UDP, 1.0)).status == 500
    assert it.status().sessions == 1
    effects = it.receive(within("BYE", session, cseq=21), UDP, 1.0)
    assert SessionEnded(session, EndedBy.PEER, 200, "OK") in effects


def test_wrong_tag_or_call_id_is_another_dialog() -> None:
    it = endpoint()
    session = established(it)
    for data in (
        within("BYE", session + "x"),
        within("BYE", session, from_="<sip:ana@192.0.2.2>;tag=other"),
        within("BYE", session, call_id="other"),
    ):
        assert only(it.receive(data, UDP, 1.0)).status == 481
    assert it.status().sessions == 1


def test_bye_that_is_repeated_after_the_call_gets_its_answer_again() -> None:
    it = endpoint()
    session = established(it)
    bye = within("BYE", session, "Reason: Q.850;cause=16")
    effects = it.receive(bye, UDP, 1.0)
    assert SessionEnded(session, EndedBy.PEER, 200, "normal call clearing (Q.850 16)") in effects
    assert [answer.status for answer in sent(it.receive(bye, UDP, 1.5))] == [200]
    assert only(it.receive(within("BYE", session, cseq=3), UDP, 2.0)).status == 481


def test_what_we_cannot_do_is_refused_within_a_dialog_too() -> None:
    it = endpoint()
    session = established(it)
    assert only(it.receive(within("MESSAGE", session, cseq=2), UDP, 1.0)).status == 405
    assert only(it.receive(within("INFO", session, "Require: foo", cseq=3), UDP, 1.0)).status == 420
    assert only(it.receive(within("OPTIONS", session, cseq=4), UDP, 1.0)).status == 200
    reinvite = within("INVITE", session, "Content-Type: text/html", cseq=5, body=b"<html>")
    assert only(it.receive(reinvite, UDP, 1.0)).status == 415


def test_a_call_that_is_up_is_told_to_be_well_while_no_new_ones_are_taken() -> None:
    """11.2: an OPTIONS within a dialog asks for that dialog; a peer that heard 503 there might let its call go."""
    it = endpoint()
    session = established(it)
    it.healthy = False
    answer = only(it.receive(within("OPTIONS", session, cseq=2), UDP, 1.0))
    assert (answer.status, answer.headers.get("Retry-After")) == (200, None)
    assert answer.headers.get("Allow")


def test_ack_with_the_branch_of_its_invite_is_taken() -> None:
    """Some phones use the INVITE's branch for the ACK to a 200."""
    it = endpoint()
    session = invited(it.receive(invite(), UDP, 0.0))
    it.answer(session, ANSWER, 0.0)
    ack = text("ACK", to=f"<sip:1000@192.0.2.1>;tag={session}", cseq="1 ACK")
    assert it.receive(ack, UDP, 0.1) == [Acknowledged(session, None)]
    assert it.receive(ack, UDP, 0.2) == []


def test_ack_with_another_number_or_twice_changes_nothing() -> None:
    it = endpoint()
    session = invited(it.receive(invite(), UDP, 0.0))
    assert it.receive(within("ACK", session, cseq=1), UDP, 0.0) == []
    it.answer(session, ANSWER, 0.0)
    assert it.receive(within("ACK", session, cseq=7), UDP, 0.1) == []
    assert it.receive(within("ACK", session, cseq=1), UDP, 0.1) == [Acknowledged(session, None)]
    assert it.receive(within("ACK", session, cseq=1), UDP, 0.2) == []


def test_cancel_after_the_answer_is_answered_and_has_no_effect() -> None:
    it = endpoint()
    session = established(it)
    cancel = text("CANCEL")
    answer = only(it.receive(cancel, UDP, 1.0))
    assert (answer.status, answer.to_tag) == (200, session)
    assert it.status().sessions == 1


def test_200_carries_contact_allow_supported_and_record_routes_and_rings_do_too() -> None:
    it = endpoint()
    session = invited(it.receive(invite("Record-Route: <sip:p2;lr>", "Record-Route: <sip:p1;lr>"), UDP, 0.0))
    for answer in (only(it.ring(session, 0.0)), only(it.answer(session, ANSWER, 0.0))):
        assert answer.headers.all("Record-Route") == ["<sip:p2;lr>", "<sip:p1;lr>"]
        assert answer.headers.get("Contact") == "<sip:1000@192.0.2.1:5060>"
    assert "INFO" in (answer.headers.get("Allow") or "")
    assert answer.headers.get("Supported") == "100rel, path, outbound, replaces, norefersub"
    bye = sent(run_out(it))[-1]
    assert isinstance(bye, Request)


def test_requests_of_a_moved_nat_phone_are_followed() -> None:
    it = endpoint()
    named = {"via": "SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bK1;rport", "contact": "<sip:ana@10.0.0.7>"}
    session = established(it, **named)
    moved = Flow(Transport.UDP, HERE, Address("192.0.2.2", 41_000))
    it.receive(within("INFO", session, via="SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bKi;rport"), moved, 1.0)
    (effect,) = [effect for effect in it.hangup(session, 2.0) if isinstance(effect, Send)]
    assert effect.flow == moved


# -- bounds --------------------------------------------------------------------------------------------------------


def test_too_many_sessions_are_refused_without_a_trace() -> None:
    it = endpoint(limits=Limits(sessions=3, retry_after=9))
    statuses = []
    for number in range(5):
        data = invite(via=f"SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{number};rport", call_id=f"call{number}")
        statuses.append(sent(it.receive(data, UDP, 0.0))[0])
    assert [answer.status for answer in statuses] == [100, 100, 100, 503, 503]
    assert statuses[-1].headers.get("Retry-After") == "9"
    assert it.status() == EndpointStatus(3, 3, 3)


def test_when_transactions_run_out_new_requests_are_refused_and_calls_can_still_end() -> None:
    it = endpoint(limits=Limits(transactions=4))
    session = established(it)
    for number in range(10):
        data = text("REGISTER", via=f"SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{number}r", call_id=f"call{number}")
        it.receive(data, UDP, 0.0)
    assert it.status().transactions == 4
    assert only(it.receive(text("REGISTER", call_id="x", via="SIP/2.0/UDP a;branch=z9hG4bKx"), UDP, 0.0)).status == 503
    answers = [only(it.receive(within("INFO", session, cseq=number), UDP, 0.0)).status for number in range(2, 6)]
    assert answers == [200, 200, 503, 503]
    assert it.status().transactions == 6
    run_out(it)
    assert only(it.receive(within("BYE", session, cseq=30), UDP, 200.0)).status == 200


# -- transport -----------------------------------------------------------------------------------------------------


def tcp_invite() -> bytes:
    return invite(via="SIP/2.0/TCP 192.0.2.2:5070;branch=z9hG4bK1", contact="<sip:ana@192.0.2.2:5070;transport=tcp>")


def test_answer_whose_connection_is_gone_goes_by_a_new_one_to_the_via() -> None:
    it = endpoint()
    session = invited(it.receive_message(parse(tcp_invite()), TCP, 0.0))
    (again,) = it.connection_lost(1, 1.0)
    other = Flow(Transport.TCP, HERE, Address("192.0.2.2", 5070), 0)
    assert isinstance(again, Send)
    assert again.flow == other
    (effect,) = it.answer(session, ANSWER, 2.0)
    assert isinstance(effect, Send)
    assert effect.flow == other
    # That one cannot be opened either: the call is over.
    told = it.send_failed(effect.key, 2.1)
    assert SessionEnded(session, EndedBy.TRANSPORT, 503, "Service Unavailable") in told
    (bye,) = [effect for effect in told if isinstance(effect, Send)]
    assert bye.flow == other
    assert it.send_failed(bye.key, 2.2) == []
    run_out(it, 2.2)
    assert it.status() == NOTHING
    assert not it._core._by_connection


def test_connection_that_only_refuses_to_carry_the_answer_is_left_alone() -> None:
    it = endpoint()
    session = invited(it.receive_message(parse(tcp_invite()), TCP, 0.0))
    (effect,) = it.ring(session, 0.1)
    assert isinstance(effect, Send)
    (again,) = it.send_failed(effect.key, 0.2)
    assert isinstance(again, Send)
    assert (again.data, again.flow.connection, again.flow.remote) == (effect.data, 0, Address("192.0.2.2", 5070))
    it.receive_message(parse(text("CANCEL", via="SIP/2.0/TCP 192.0.2.2:5070;branch=z9hG4bK1")), TCP, 0.3)
    run_out(it, 0.3)
    assert it.status() == NOTHING
    assert not it._core._by_connection


def test_call_survives_its_lost_connection_and_the_next_request_opens_one() -> None:
    it = endpoint()
    effects = it.receive_message(parse(tcp_invite()), TCP, 0.0)
    session = invited(effects)
    it.answer(session, ANSWER, 0.0)
    it.receive_message(parse(within("ACK", session, cseq=1)), TCP, 0.0)
    it.expire(40.0)
    assert it.connection_lost(1, 41.0) == []
    assert it.connection_lost(1, 41.0) == []
    (bye,) = [effect for effect in it.hangup(session, 42.0) if isinstance(effect, Send)]
    assert bye.flow == Flow(Transport.TCP, HERE, Address("192.0.2.2", 5070), 0)
    assert it.send_failed(bye.key, 42.0) == []
    run_out(it, 42.0)
    assert it.status() == NOTHING


def test_phone_that_comes_back_by_another_connection_is_reached_by_that_one() -> None:
    it = endpoint()
    session = invited(it.receive_message(parse(tcp_invite()), TCP, 0.0))
    it.answer(session, ANSWER, 0.0)
    it.receive_message(parse(within("ACK", session, cseq=1)), TCP, 0.0)
    it.connection_lost(1, 1.0)
    back = Flow(Transport.TCP, HERE, Address("192.0.2.2", 40_001), 2)
    it.receive_message(parse(within("OPTIONS", session, cseq=2)), back, 2.0)
    (again,) = [effect for effect in it.reinvite(session, OFFER, 3.0) if isinstance(effect, Send)]
    assert again.flow == back
    # And when that one is lost too, the next is opened.
    assert ReinviteRejected(session, 503) in it.connection_lost(2, 4.0)
    (bye,) = [effect for effect in it.hangup(session, 5.0) if isinstance(effect, Send)]
    assert bye.flow == Flow(Transport.TCP, HERE, Address("192.0.2.2", 5070), 0)


def test_call_to_a_phone_whose_connection_breaks_is_over_at_once() -> None:
    it = endpoint()
    session, effects = it.invite(
        target=Uri.parse("sip:bob@192.0.2.2"), flow=TCP, from_=me(), to=me(), sdp=OFFER, now=0.0
    )
    (request,) = sent(effects)
    it.receive_message(request.response(180, to_tag="b"), TCP, 0.1)
    assert it.connection_lost(1, 1.0) == [
        Rejected(session, 503, "Service Unavailable", None),
        SessionEnded(session, EndedBy.TRANSPORT, 503, "Service Unavailable"),
    ]
    assert it.status() == NOTHING


def test_datagram_of_an_answer_that_could_not_be_sent_is_tried_again_later() -> None:
    it = endpoint()
    session = invited(it.receive(invite(), UDP, 0.0))
    (effect,) = it.answer(session, ANSWER, 0.0)
    assert isinstance(effect, Send)
    assert it.send_failed(effect.key, 0.0) == []
    (again,) = it.expire(0.5)
    assert isinstance(again, Send)
    assert again.data == effect.data


# -- preloaded routes ----------------------------------------------------------------------------------------------


def test_call_by_a_path_carries_the_routes_and_a_strict_first_router_is_borne() -> None:
    it = endpoint()
    _, effects = it.invite(
        target=Uri.parse("sip:bob@10.0.0.7"),
        flow=UDP,
        from_=me(),
        to=me(),
        sdp=OFFER,
        now=0.0,
        routes=["<sip:192.0.2.2;lr>", "<sip:edge;lr>"],
    )
    (request,) = sent(effects)
    assert str(request.uri) == "sip:bob@10.0.0.7"
    assert request.headers.all("Route") == ["<sip:192.0.2.2;lr>", "<sip:edge;lr>"]
    _, effects = it.invite(
        target=Uri.parse("sip:bob@10.0.0.7"),
        flow=UDP,
        from_=me(),
        to=me(),
        sdp=OFFER,
        now=0.0,
        routes=["<sip:192.0.2.2>"],
    )
    (request,) = sent(effects)
    assert (str(request.uri), request.headers.all("Route")) == ("sip:192.0.2.2", ["<sip:bob@10.0.0.7>"])
    # The refusal and the CANCEL take the same way.
    ack = sent(it.receive(request.response(486, to_tag="b").to_bytes(), UDP, 0.1))[0]
    assert (str(ack.uri), ack.headers.all("Route")) == ("sip:192.0.2.2", ["<sip:bob@10.0.0.7>"])
    assert it.status().sessions == 1


# -- hostility -----------------------------------------------------------------------------------------------------


def conversation() -> list[tuple[bool, bytes]]:
    """Every datagram of a call with two re-INVITEs, with who received it (whether it was the called side)."""
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    ana.accepts_reinvites()
    log: list[tuple[bool, bytes]] = []
    deliver = wire.deliver

    def noted(receiver: Phone, data: bytes, flow: Flow) -> None:
        log.append((receiver is bob, data))
        deliver(receiver, data, flow)

    wire.deliver = noted  # type: ignore[method-assign]
    session = ana.call(bob)
    wire.run(2)
    ana.do("reinvite", session, OFFER)
    wire.run(2)
    bob.do("reinvite", bob.session, OFFER)
    wire.run(2)
    bob.do("hangup", bob.session)
    wire.settle()
    return log


CONVERSATION = conversation()

# What turns a valid message into one that asks for trouble.
SPOILS = [
    (b"CSeq: 1", b"CSeq: 0"),
    (b"CSeq: ", b"CSeq: 99"),
    (b"tag=", b"tag=x"),
    (b";tag=", b";gat="),
    (b"Contact: <sip:", b"Contact: <tel:"),
    (b"Contact: ", b"Contact: *,"),
    (b"Contact: ", b"X: "),
    (b"Call-ID: ", b"Call-ID: x"),
    (b"branch=", b"hcnarb="),
    (b"SIP/2.0/UDP", b"SIP/2.0/TCP"),
    (b"Via: ", b"Via: SIP/2.0/UDP x;branch=z9hG4bKz\r\nVia: "),
    (b"Max-Forwards: 70", b"Max-Forwards: 0"),
    (b"From: ", b"Record-Route: <sip:\xff>, <tel:1>\r\nFrom: "),
    (b"From: ", b"Record-Route: <sip:10.0.0.1>, <sip:a;lr>\r\nFrom: "),
    (b"From: ", b"Require: nothing\r\nFrom: "),
    (b"From: ", b"Expires: 1\r\nFrom: "),
    (b"application/sdp", b"text/plain"),
    (b"v=0", b"\0\0\0"),
    (b"200 OK", b"408 Late"),
    (b"200 OK", b"481 Gone"),
    (b"200 OK", b"491 Pending"),
    (b"200 OK", b"180 Again"),
    (b"180 Ringing", b"200 OK"),
    (b"180 Ringing", b"699 No"),
    (b"INVITE", b"BYE"),
    (b"INVITE", b"CANCEL"),
    (b"BYE", b"INVITE"),
    (b"ACK", b"INFO"),
    (b"ACK", b"PRACK"),
]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(
        st.tuples(
            st.integers(0, len(CONVERSATION) - 1),
            st.booleans(),
            st.lists(st.sampled_from(SPOILS), max_size=2),
            st.sampled_from((0.0, 0.3, 5.1)),
        ),
        max_size=12,
    ),
    at=st.integers(0, 12),
    over_tcp=st.booleans(),
)
def test_spoiled_and_misplaced_messages_never_raise_and_leave_nothing(
    steps: list[tuple[int, bool, list[tuple[bytes, bytes]], float]], at: int, over_tcp: bool
) -> None:
    """A call goes on while pieces of it, spoiled, turned around and out of place, come in between."""
    wire = Wire(transport=Transport.TCP if over_tcp else Transport.UDP)
    ana, bob = wire.pair()
    bob.answers_by_itself()
    ana.accepts_reinvites()
    session = ana.call(bob)
    wire.run(at * 0.03)
    for index, to_bob, spoils, pause in steps:
        _, data = CONVERSATION[index]
        for old, new in spoils:
            data = data.replace(old, new)
        receiver, sender = (bob, ana) if to_bob else (ana, bob)
        receiver.perform(
            receiver.endpoint.receive(data, Flow(Transport.UDP, receiver.address, sender.address), wire.now)
        )
        wire.run(pause)
    wire.run(1)
    ana.do("hangup", session)
    for event in bob.heard(InviteReceived) + ana.heard(InviteReceived):
        for phone in (ana, bob):
            phone.do("hangup", event.session)
    wire.settle()
    for event in bob.heard(InviteReceived) + ana.heard(InviteReceived):
        for phone in (ana, bob):
            phone.do("hangup", event.session)
    wire.settle()
    assert session in {event.session for event in ana.heard(SessionEnded)}
    wire.nothing_is_left()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.binary(max_size=300), index=st.integers(0, len(CONVERSATION) - 1), at=st.integers(0, 400))
def test_octets_of_chance_never_raise(data: bytes, index: int, at: int) -> None:
    it = endpoint()
    original = CONVERSATION[index][1]
    for hurt in (data, original[:at] + data, original[:at] + data + original[at + len(data) :]):
        for effect in it.receive(hurt, UDP, 0.0):
            if isinstance(effect, InviteReceived):
                it.hangup(effect.session, 0.0)
    run_out(it)
    assert it.status() == NOTHING


def test_answers_of_many_kinds_to_nothing_leave_nothing() -> None:
    it = endpoint()
    for _, data in CONVERSATION:
        if data.startswith(b"SIP/"):
            assert it.receive(data, UDP, 0.0) == []
    assert it.status() == NOTHING


def test_answered_call_without_contact_in_the_200_can_be_hung_up() -> None:
    it = endpoint()
    session, effects = it.invite(
        target=Uri.parse("sip:bob@192.0.2.2"), flow=UDP, from_=me(), to=me(), sdp=OFFER, now=0.0
    )
    (request,) = sent(effects)
    told = it.receive(request.response(200, to_tag="b", body=ANSWER).to_bytes(), UDP, 0.1)
    assert [effect.sdp for effect in told if isinstance(effect, Answered)] == [ANSWER]
    (bye,) = sent(it.hangup(session, 1.0))
    assert (bye.method, str(bye.uri)) == ("BYE", "sip:bob@192.0.2.2")


def test_every_live_thing_prints_itself() -> None:
    it = endpoint()
    session = established(it)
    assert repr(it) == "<Endpoint 1 sessions, 1 transactions>"
    assert repr(it._core.sessions[session]) == f"<Session {session} <sip:ana@192.0.2.2>;tag=a established>"
    assert "accepted" in repr(next(iter(it._core.servers.values())))
    ana, bob = NameAddr.parse("<sip:ana@192.0.2.2>"), NameAddr.parse("<sip:bob@192.0.2.1>")
    called, _ = it.invite(target=ana.uri, flow=UDP, from_=bob, to=ana, sdp=OFFER, now=0.0)
    assert repr(it._core.sessions[called]) == f"<Session {called} sip:ana@192.0.2.2 calling>"


def test_an_ack_with_an_invented_to_tag_and_the_branch_of_its_invite_is_taken() -> None:
    """The complaint would be: pyVoIP calls, hears everything, and is hung up half a minute too late."""
    it = endpoint()
    (invited,) = [effect for effect in it.receive(invite(), UDP, 0.0) if isinstance(effect, InviteReceived)]
    it.answer(invited.session, ANSWER, 0.1)
    assert it.receive(text("ACK", to="<sip:1000@192.0.2.1>;tag=mine", call_id="other", cseq="1 ACK"), UDP, 0.2) == []
    odd = text("ACK", to="<sip:1000@192.0.2.1>;tag=mine", cseq="1 ACK")
    assert it.receive(odd, UDP, 0.2) == [Acknowledged(invited.session, None)]
    assert it.receive(odd, UDP, 0.3) == []
    (bye,) = sent(it.hangup(invited.session, 1.0))
    assert bye.method == "BYE"
