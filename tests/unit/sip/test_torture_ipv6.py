"""RFC 5118, message by message, by the names of the RFC: what each says, and what becomes of it here."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from callcenter.sip.endpoint import Endpoint
from callcenter.sip.errors import SdpNotAcceptable, SipParseError
from callcenter.sip.events import Effect, InviteReceived, RequestReceived, Send
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import CSeq, Via
from callcenter.sip.message import Message, Request, Response
from callcenter.sip.parser import StreamParser, check, parse
from callcenter.sip.registrar import Registrar
from callcenter.sip.sdp import PCMU, Codec, SessionDescription, negotiate
from callcenter.sip.uri import Uri
from tests.unit.sip import torture, torture_ipv6

HERE = Address("2001:db8::10", 5060)
SOURCE = Address("2001:db8::9:1", 5060)
UDP = Flow(Transport.UDP, HERE, SOURCE)
TCP = Flow(Transport.TCP, HERE, SOURCE, 1)


def request(data: bytes) -> Request:
    """Read a request that must be right."""
    message = parse(data)
    check(message)
    assert isinstance(message, Request)
    return message


def received(data: bytes, flow: Flow) -> list[Effect]:
    """What an endpoint makes of it, as datagram or as stream, in octets that come one by one."""
    it = Endpoint(random=Random(5118))
    if flow.transport is Transport.UDP:
        return it.receive(data, flow, 0.0)
    stream = StreamParser()
    items = [item for octet in data for item in stream.feed(bytes([octet]))]
    assert not stream.fatal
    effects: list[Effect] = []
    for item in items:
        if isinstance(item, SipParseError):
            effects += it.receive_error(item, flow, 0.0)
        elif isinstance(item, Request | Response):
            effects += it.receive_message(item, flow, 0.0)
    return effects


def answers(effects: list[Effect]) -> list[Response]:
    """The answers that go out."""
    sent = [parse(effect.data) for effect in effects if isinstance(effect, Send)]
    return [message for message in sent if isinstance(message, Response)]


def test_they_are_all_there() -> None:
    assert len(torture_ipv6.VALID) + len([torture_ipv6.IPV6_BAD]) == 12


@pytest.mark.parametrize("name", torture_ipv6.VALID)
def test_valid_messages_survive_the_way_out(name: str) -> None:
    message = request(torture_ipv6.VALID[name])
    again = request(message.to_bytes())
    assert again == message
    assert (again.vias, again.from_, again.to, again.contacts) == (
        message.vias,
        message.from_,
        message.to,
        message.contacts,
    )


# What the endpoint does with each: the statuses that it answers, and what it tells the application.
TREATED: dict[str, tuple[list[int], list[type[Effect]]]] = {
    "ipv6-good": ([], [RequestReceived]),
    "port-ambiguous": ([], [RequestReceived]),
    "port-unambiguous": ([], [RequestReceived]),
    "via-received-param-with-delim": ([481], []),  # a dialog that we do not have
    "via-received-param-no-delim": ([200], []),
    "ipv6-in-sdp": ([100], [InviteReceived]),
    "mult-ip-in-header": ([481], []),
    "mult-ip-in-sdp": ([100], [InviteReceived]),
    "ipv4-mapped-ipv6": ([100], [InviteReceived]),
    "ipv6-bug-abnf-3-colons": ([200], []),
    "ipv6-correct-abnf-2-colons": ([200], []),
}


@pytest.mark.parametrize("flow", [UDP, TCP], ids=["udp", "tcp"])
@pytest.mark.parametrize("name", torture_ipv6.VALID)
def test_valid_messages_are_treated_as_any_other(name: str, flow: Flow) -> None:
    effects = received(torture_ipv6.VALID[name], flow)
    statuses, told = TREATED[name]
    assert [answer.status for answer in answers(effects)] == statuses
    assert [type(effect) for effect in effects if not isinstance(effect, Send)] == told
    asked = request(torture_ipv6.VALID[name])
    for answer in answers(effects):
        assert (answer.call_id, answer.cseq, answer.from_) == (asked.call_id, asked.cseq, asked.from_)
        assert [replace(via, params=()) for via in answer.vias] == [replace(via, params=()) for via in asked.vias]
        assert answer.vias[1:] == asked.vias[1:]


def test_ipv6_good() -> None:
    message = request(torture_ipv6.IPV6_GOOD)
    assert (message.method, message.uri) == ("REGISTER", Uri(host="2001:db8::10"))
    assert (message.via.transport, message.via.host, message.via.port) == ("UDP", "2001:db8::9:1", None)
    assert message.via.branch == "z9hG4bKas3-111"
    assert (str(message.to.uri), str(message.from_.uri), message.from_tag) == (
        "sip:user@example.com",
        "sip:user@example.com",
        "81x2",
    )
    assert (message.call_id, message.cseq) == ("SSG9559905523997077@hlau_4100", CSeq(98176, "REGISTER"))
    assert message.contact is not None
    assert (message.contact.display, message.contact.uri) == ("Caller", Uri(user="caller", host="2001:db8::1"))
    answer = Registrar().register("user", message, UDP, 0.0)
    assert [str(binding.contact) for binding in answer.bindings] == ["sip:caller@[2001:db8::1]"]


@pytest.mark.parametrize("flow", [UDP, TCP], ids=["udp", "tcp"])
def test_ipv6_bad(flow: Flow) -> None:
    """Without brackets nobody can tell where the address ends and the port begins."""
    with pytest.raises(SipParseError, match="Bad URI"):
        request(torture_ipv6.IPV6_BAD)
    effects = received(torture_ipv6.IPV6_BAD, flow)
    assert [(type(effect), flow) for effect in effects] == [(Send, flow)]
    (answer,) = answers(effects)
    assert (answer.status, answer.cseq) == (400, CSeq(98176, "REGISTER"))


def test_ipv6_bad_does_not_spoil_what_follows_on_a_stream() -> None:
    stream = StreamParser()
    error, good = stream.feed(torture_ipv6.IPV6_BAD + torture_ipv6.IPV6_GOOD)
    assert isinstance(error, SipParseError)
    assert good == request(torture_ipv6.IPV6_GOOD)


def test_port_ambiguous() -> None:
    """What stands within the brackets is the address, however much its end looks like a port."""
    uri = request(torture_ipv6.PORT_AMBIGUOUS).uri
    assert (uri.host, uri.port) == ("2001:db8::10:5070", None)
    assert str(replace(uri, raw="")) == "sip:[2001:db8::10:5070]"


def test_port_unambiguous() -> None:
    uri = request(torture_ipv6.PORT_UNAMBIGUOUS).uri
    assert (uri.host, uri.port) == ("2001:db8::10", 5070)
    assert str(replace(uri, raw="")) == "sip:[2001:db8::10]:5070"


@pytest.mark.parametrize(
    ("name", "branch"),
    [("via-received-param-with-delim", "z9hG4bKas3-111"), ("via-received-param-no-delim", "z9hG4bKas3")],
)
def test_via_received_param_with_and_without_delim(name: str, branch: str) -> None:
    """Both are read; what we write ourselves has no brackets (RFC 5118 4.5)."""
    via = request(torture_ipv6.VALID[name]).via
    assert (via.host, via.received, via.branch) == ("2001:db8::9:1", "2001:db8::9:255", branch)
    assert via.seen_from("2001:db8::9:77", 5060).param("received") == "2001:db8::9:77"
    assert str(Via.parse("SIP/2.0/UDP a.example.com;branch=z9hG4bK1").seen_from("2001:db8::7", 5060)) == (
        "SIP/2.0/UDP a.example.com;branch=z9hG4bK1;received=2001:db8::7"
    )


def test_ipv6_in_sdp() -> None:
    message = request(torture_ipv6.IPV6_IN_SDP)
    assert message.uri == message.to.uri == Uri(user="user", host="2001:db8::10")
    sdp = SessionDescription.parse(message.body)
    assert (sdp.origin.session_id, sdp.origin.address, sdp.connection) == (
        971731711378798081,
        "2001:db8::20",
        "2001:db8::20",
    )
    assert sdp.name == "Live video feed for today's meeting"
    audio, video = sdp.media
    assert (audio.kind, audio.port, audio.codecs()) == ("audio", 6000, [Codec("G726-32", 2)])
    assert (video.kind, video.port, video.formats) == ("video", 6024, ("107",))
    assert [sdp.address_of(media) for media in sdp.media] == ["2001:db8::20"] * 2
    assert b"o=assistant 971731711378798081 0 IN IP6 2001:db8::20\r\n" in sdp.to_bytes()
    assert b"\r\nc=IN IP6 2001:db8::20\r\n" in sdp.to_bytes()
    with pytest.raises(SdpNotAcceptable):
        negotiate(sdp, [PCMU], host="2001:db8::10", port=4000, session_id=1)


def test_mult_ip_in_header() -> None:
    message = request(torture_ipv6.MULT_IP_IN_HEADER)
    assert [(via.transport, via.host, via.port, via.received) for via in message.vias] == [
        ("UDP", "2001:db8::9:1", 6050, None),
        ("UDP", "192.0.2.1", None, None),
        ("TCP", "2001:db8::9:255", None, "192.0.2.200"),
    ]
    assert [via.branch for via in message.vias] == ["z9hG4bKas3-111", "z9hG4bKjhja8781hjuaij65144", "z9hG4bK451jj"]
    # Over UDP its answer goes to the port that the top Via names (RFC 3261 18.2.2).
    (effect,) = received(torture_ipv6.MULT_IP_IN_HEADER, UDP)
    assert isinstance(effect, Send)
    assert effect.flow.remote == Address("2001:db8::9:1", 6050)


def test_mult_ip_in_sdp() -> None:
    """Sound goes to the IPv4 address of its line, the picture would go to the IPv6 address of its own."""
    sdp = SessionDescription.parse(request(torture_ipv6.MULT_IP_IN_SDP).body)
    assert (sdp.origin.address, sdp.name, sdp.connection) == ("host.example.com", "-", None)
    assert [(media.kind, media.port, sdp.address_of(media)) for media in sdp.media] == [
        ("audio", 22334, "192.0.2.1"),
        ("video", 6024, "2001:db8::1"),
    ]
    agreed = negotiate(sdp, [PCMU], host="2001:db8::10", port=4000, session_id=1)
    assert agreed.remote == ("192.0.2.1", 22334)
    assert [media.port for media in agreed.description.media] == [4000, 0]


def test_ipv4_mapped_ipv6() -> None:
    message = request(torture_ipv6.IPV4_MAPPED_IPV6)
    assert [(via.host, via.port, via.branch) for via in message.vias] == [
        ("::ffff:192.0.2.10", 19823, "z9hG4bKbh19"),
        ("::ffff:192.0.2.2", None, "z9hG4bKas3-111"),
    ]
    assert message.contact is not None
    assert (message.contact.display, message.contact.uri) == ("T. desk phone", Uri(user="ted", host="::ffff:192.0.2.2"))
    sdp = SessionDescription.parse(message.body)
    assert (sdp.origin.address, sdp.connection) == ("::ffff:192.0.2.2", "::ffff:192.0.2.2")
    assert [(media.kind, media.port) for media in sdp.media] == [("audio", 6000), ("video", 6024)]


def test_ipv6_bug_abnf_3_colons_and_ipv6_correct_abnf_2_colons() -> None:
    """The old grammar has a colon too many before an IPv4 part: it is borne, and both name the same address."""
    bug, correct = request(torture_ipv6.IPV6_BUG_ABNF_3_COLONS), request(torture_ipv6.IPV6_CORRECT_ABNF_2_COLONS)
    assert bug.uri == bug.to.uri == correct.uri == correct.to.uri == Uri(user="user", host="2001:db8::192.0.2.1")
    assert bug.uri.matches(correct.uri)
    assert str(replace(bug.uri, raw="")) == "sip:user@[2001:db8::192.0.2.1]"


@pytest.mark.parametrize("name", torture_ipv6.PRINTED_LENGTHS)
def test_lengths_as_printed_are_refused_or_cut_the_body(name: str) -> None:
    """What lies behind the end of a body is none of it; a body that ends before its end is refused (RFC 3261 18.3)."""
    counted, printed = torture_ipv6.PRINTED_LENGTHS[name]
    data = torture_ipv6.VALID[name]
    assert len(request(data).body) == counted
    wrong = data.replace(b"Content-Length: %d\r\n" % counted, b"Content-Length: %d\r\n" % printed)
    if printed < counted:
        assert request(wrong).body == request(data).body[:printed]
    else:
        with pytest.raises(SipParseError, match="Body shorter"):
            request(wrong)
        # A stream waits for the rest of it.
        assert StreamParser().feed(wrong) == []


def test_a_stream_of_all_of_them_is_cut_into_each_of_them() -> None:
    expected: list[Message] = [parse(data) for data in torture_ipv6.VALID.values()]
    assert StreamParser().feed(b"".join(torture_ipv6.VALID.values()) + torture.crlf("\n")) == expected
