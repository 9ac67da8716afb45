"""Octets to messages: RFC 4475, datagrams, streams, limits, and whatever else comes."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import CSeq, NameAddr
from callcenter.sip.message import Message, Request, Response
from callcenter.sip.parser import (
    MAX_BODY,
    MAX_HEAD,
    MAX_HEADERS,
    MAX_LINE,
    MAX_MESSAGE,
    KeepAlive,
    StreamParser,
    check,
    parse,
)
from tests.unit.sip import torture
from tests.unit.sip.strategies import messages

Item = Message | KeepAlive | SipParseError


def request(data: bytes) -> Request:
    """Read a request that must be right."""
    message = parse(data)
    check(message)
    assert isinstance(message, Request)
    return message


def contacts(message: Message) -> tuple[NameAddr, ...]:
    """The contacts of a message that has no star."""
    found = message.contacts
    assert found != "*"
    return found


def refused(data: bytes) -> SipParseError:
    """Read what must be refused, by the parser or by the check."""
    with pytest.raises(SipParseError) as caught:
        check(parse(data))
    return caught.value


def told(items: list[Item]) -> list[object]:
    """Items made comparable."""
    return [(item.status, item.reason) if isinstance(item, SipParseError) else item for item in items]


# -- RFC 4475: valid


@pytest.mark.parametrize("name", torture.VALID)
def test_valid_torture_messages_are_accepted_and_survive_the_way_out(name: str) -> None:
    message = parse(torture.VALID[name])
    check(message)
    again = parse(message.to_bytes())
    check(again)
    assert again == message
    assert (again.vias, again.from_, again.to, again.contacts) == (
        message.vias,
        message.from_,
        message.to,
        message.contacts,
    )


def test_wsinv() -> None:
    message = request(torture.WSINV)
    assert message.method == "INVITE"
    assert (message.uri.user, message.uri.host, message.uri.param("unknownparam")) == (
        "vivekg",
        "chair-dnrc.example.com",
        "",
    )
    assert (message.to.uri.user, message.to_tag) == ("vivekg", "1918181833n")
    assert (message.from_.display, message.from_.uri.user, message.from_tag) == (
        'J Rosenberg \\"',
        "jdrosen",
        "98asjd8",
    )
    assert message.max_forwards == 68
    assert message.call_id == "wsinv.ndaksdj@192.0.2.1"
    assert message.cseq == CSeq(9, "INVITE")
    assert [(via.transport, via.host, via.port, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", None, "390skdjuw"),
        ("TCP", "spindle.example.com", None, "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", None, "z9hG4bK30239"),
    ]
    assert message.headers.get("Subject") == ""
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("UnknownHeaderWithUnusualValue") == ";;,,;;,;"
    (route,) = message.routes
    assert (route.uri.host, route.uri.param("lr"), route.uri.param("unknownwith")) == (
        "services.example.com",
        "",
        "value",
    )
    assert message.contact is not None
    assert message.contact.display == 'Quoted string ""'
    assert [message.contact.param(name) for name in ("newparam", "secondparam", "q")] == ["newvalue", "", "0.33"]
    assert len(message.body) == 150


def test_intmeth() -> None:
    message = request(torture.INTMETH)
    assert message.method == message.cseq.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.uri.host == "example.com"
    assert message.via.branch == "z9hG4bK-.!%66*_+`'~"
    assert message.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.to.label == "BEL:  NUL:  DEL:"
    assert message.from_.display == "token1~` token2'+_ token3*%!.-"
    assert message.from_.param("fromParam''~+*_!.-%") == "работающий"
    assert message.from_tag == "_token~1'+`*%!-."
    assert message.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
    assert message.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"


def test_esc01() -> None:
    message = request(torture.ESC01)
    assert (message.uri.user, message.uri.host) == ("sips:user@example.com", "example.net")
    assert message.to.uri.user == "user"
    assert message.from_.uri.user == "I have spaces"
    assert message.contact is not None
    assert message.contact.uri.user == "caller"
    assert message.contact.uri.has_param("lr")
    assert message.contact.uri.param("name") == "value%41"
    assert b"sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31" in message.to_bytes()


def test_escnull() -> None:
    message = request(torture.ESCNULL)
    assert message.to.uri.user == "null-\x00-null"
    assert [contact.uri.user for contact in contacts(message)] == ["\x00", "\x00\x00"]


def test_esc02() -> None:
    message = request(torture.ESC02)
    assert message.method == "RE%47IST%45R"
    assert (message.to.display, message.from_.display) == ("%Z%45", "%Z%45")
    assert message.via.branch == "z9hG4bK209%fzsnel234"
    assert [contact.uri.user for contact in contacts(message)] == ["alias1", "alias3"]


def test_lwsdisp() -> None:
    assert (request(torture.LWSDISP).from_.display, request(torture.LWSDISP).from_tag) == ("caller", "323")


def test_longreq() -> None:
    message = request(torture.LONGREQ)
    assert len(message.vias) == 34
    assert [via.host for via in message.vias[:2]] == ["sip33.example.com", "sip32.example.com"]
    assert message.vias[-1].received == "192.0.2.5"
    assert message.to.uri.port == 6000
    assert message.from_tag is not None
    assert len(message.from_tag) == 154


def test_dblreq_is_cut_at_content_length() -> None:
    message = request(torture.DBLREQ)
    assert (message.method, message.body) == ("REGISTER", b"")
    assert message.call_id == "dblreq.0ha0isndaksdj99sdfafnl3lk233412"


def test_semiuri() -> None:
    message = request(torture.SEMIURI)
    assert (message.uri.user, message.uri.host, message.uri.params) == ("user;par=u@example.net", "example.com", ())
    assert message.headers.values("Accept")[-1] == "message/sipfrag"


def test_transports() -> None:
    assert [via.transport for via in request(torture.TRANSPORTS).vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_mpart01_keeps_every_octet_of_the_body() -> None:
    message = request(torture.MPART01)
    assert message.body == torture.MPART01_BODY
    assert message.content_type == "multipart/mixed"
    assert message.to_bytes().endswith(torture.MPART01_BODY)


def test_unreason_and_noreason() -> None:
    unreason, noreason = parse(torture.UNREASON), parse(torture.NOREASON)
    assert isinstance(unreason, Response)
    assert isinstance(noreason, Response)
    assert (unreason.status, unreason.reason) == (200, "= 2**3 * 5**2 но сто девяносто девять - простое")
    assert (noreason.status, noreason.reason) == (100, "")
    assert isinstance(parse(torture.NOREASON.replace(b"100 \r\n", b"100\r\n")), Response)


# -- RFC 4475: invalid


@pytest.mark.parametrize("name", torture.INVALID)
def test_invalid_torture_messages_are_refused_with_the_right_status(name: str) -> None:
    data, status, can_be_answered = torture.INVALID[name]
    error = refused(data)
    assert error.status == status
    assert (error.partial is not None) is can_be_answered
    if error.partial is not None:
        answer = parse(error.partial.response(error.status, to_tag="t1").to_bytes())
        assert isinstance(answer, Response)
        assert answer.status == status
        assert answer.via == error.partial.via
        assert answer.call_id == error.partial.call_id


@pytest.mark.parametrize("name", torture.INVALID)
def test_invalid_torture_messages_on_a_stream_do_not_spoil_what_follows(name: str) -> None:
    data, status, _ = torture.INVALID[name]
    head, _, body = data.partition(b"\r\n\r\n")
    # Lengths that agree with the body, so that the fault under test is the only one.
    if name not in ("clerr", "ncl"):
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"content-length", b"l:"))]
        data = b"\r\n".join([*lines, b"l: %d" % len(body), b"", b""]) + body
    parser = StreamParser()
    items = parser.feed(data + torture.LWSDISP)
    if name == "clerr":
        assert items == []
    elif name == "ncl":
        assert parser.fatal
        assert told(items) == [(400, "Bad Content-Length")]
    else:
        assert not parser.fatal
        first, second = items
        assert second == parse(torture.LWSDISP)
        if isinstance(first, SipParseError):
            assert first.status == status
        else:
            assert not isinstance(first, KeepAlive)
            with pytest.raises(SipParseError) as caught:
                check(first)
            assert caught.value.status == status


# -- RFC 4475: what a rule decides


def test_insuf_is_answered_as_far_as_it_goes() -> None:
    error = refused(torture.INSUF)
    assert error.status == 400
    assert error.partial is not None
    assert error.partial.via.branch == "z9hG4bKkdj.insuf"


def test_unknown_schemes_are_read_and_told_apart_above() -> None:
    assert not request(torture.UNKSCM).uri.is_sip
    assert not request(torture.NOVELSC).uri.is_sip
    message = request(torture.UNKSM2)
    assert (str(message.to.uri), str(message.from_.uri), message.from_tag) == (
        "isbn:2983792873",
        "http://www.example.com",
        "3234233",
    )
    assert message.contact is not None
    assert str(message.contact.uri) == "name:John_Smith"


def test_multi01_and_mcl01_are_ambiguous() -> None:
    assert refused(torture.MULTI01).status == 400
    assert refused(torture.MULTI01.replace(b"l: 154", b"l: 152")).reason == "More than one cseq"
    assert refused(torture.MCL01).status == 400


def test_parameters_of_header_and_uri_are_told_apart() -> None:
    header, uri = request(torture.CPARAM01).contact, request(torture.CPARAM02).contact
    assert header is not None
    assert uri is not None
    assert (header.param("unknownparam"), header.uri.params) == ("", ())
    assert (uri.params, uri.uri.param("unknownparam")) == ((), "")
    escaped = request(torture.REGESCRT).contact
    assert escaped is not None
    assert escaped.uri.headers == "Route=%3Csip:sip.example.com%3E"


def test_inv2543_comes_from_an_old_peer() -> None:
    message = request(torture.INV2543)
    assert (message.from_tag, message.via.branch, message.max_forwards, message.contact) == (None, None, None, None)
    assert message.from_.param("user") is None
    assert message.to.param("user") == "phone"
    assert len(message.body) == 150


# -- datagrams

OPTIONS = (
    b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:h>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n"
)


def with_headers(*lines: bytes, body: bytes = b"") -> bytes:
    """An OPTIONS with further headers."""
    return OPTIONS + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def test_without_content_length_a_datagram_ends_the_body() -> None:
    assert parse(with_headers(body=b"abc")).body == b"abc"


def test_leading_line_ends_are_skipped() -> None:
    assert parse(b"\r\n\r\n" + with_headers()) == parse(with_headers())


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r\n\r\n", b"\x00", b"\x00\x00\x00\x00", b"jak", b"\x80" * 20])
def test_keep_alives_and_noise_are_not_answered(data: bytes) -> None:
    assert refused(data).partial is None


def test_half_a_datagram_is_answered_400() -> None:
    error = refused(OPTIONS)
    assert error.status == 400
    assert error.partial is not None
    assert refused(OPTIONS.removesuffix(b"\r\n")).reason == "Headers without end"


def test_an_ack_is_never_answered() -> None:
    ack = with_headers().replace(b"OPTIONS", b"ACK").replace(b"1 ACK", b"1 INVITE")
    assert refused(ack).partial is None
    assert refused(with_headers().replace(b"OPTIONS sip:h", b"ACK <sip:h>")).partial is None


def test_the_version_is_read_in_any_case() -> None:
    assert parse(with_headers().replace(b"sip:h SIP/2.0", b"sip:h sip/2.0")) == parse(with_headers())
    assert refused(with_headers().replace(b"sip:h SIP/2.0", b"sip:h SIP/3.0")).status == 505
    assert refused(with_headers().replace(b"sip:h SIP/2.0", b"sip:h HTTP/1.1")).status == 400


@pytest.mark.parametrize(
    "line", [b"Subject: a\nb", b"Subject: a\rb", b"no colon", b": no name", b"two words: x", "é: x".encode(), b"a,b: c"]
)
def test_a_bad_header_line_is_refused_and_answered(line: bytes) -> None:
    error = refused(with_headers(line))
    assert error.status == 400
    assert error.partial is not None
    assert error.partial.call_id == "x"


def test_latin_1_names_are_readable() -> None:
    message = request(with_headers().replace(b"From: <", b'From: "Jos\xe9" <'))
    assert message.from_.display == "José"
    check(parse(message.to_bytes()))


def test_folded_lines_are_one() -> None:
    message = request(with_headers(b"Subject:", b"\tone", b"  two", b"Supported: a,", b" b"))
    assert message.headers.get("Subject") == "one two"
    assert message.headers.values("Supported") == ["a", "b"]


def test_every_limit_holds() -> None:
    request(with_headers(b"X: " + b"a" * (MAX_LINE - 1)))
    assert refused(with_headers(b"X: " + b"a" * (MAX_LINE + 1))).status == 513
    request(with_headers(*[b"X: y"] * (MAX_HEADERS - 5)))
    assert refused(with_headers(*[b"X: y"] * (MAX_HEADERS - 4))).status == 513
    fat = refused(with_headers(*[b"X: " + b"a" * 8000] * 5))
    assert fat.status == 513
    assert fat.partial is not None
    assert refused(with_headers(body=b"a" * MAX_MESSAGE)).status == 513
    long_uri = refused(with_headers().replace(b"sip:h SIP", b"sip:" + b"a" * 5000 + b"@h SIP"))
    assert long_uri.status == 414
    assert long_uri.partial is not None


@pytest.mark.parametrize(
    "filling", [b" " * 30000, b"\t," * 9000, b'"\\' * 9000, b"\r\n " * 9000, b";a=" * 9000, b"<" * 30000, b"(" * 30000]
)
def test_hostile_fillings_cost_no_time(filling: bytes) -> None:
    for name in (b"Via", b"Contact", b"From", b"Route", b"CSeq"):
        begin = time.process_time()
        try:
            check(parse(with_headers(name + b": x\r\n " + filling[:8000], b"Y: " + filling)))
        except SipParseError:
            pass
        # Below a millisecond; matching that goes back over its steps needs a second and more.
        assert time.process_time() - begin < 0.1


_SEEDS = [*torture.VALID.values(), *(data for data, _, _ in torture.INVALID.values()), torture.MULTI01]


@given(st.sampled_from(_SEEDS), st.randoms(use_true_random=False), st.integers(1, 12))
@example(torture.WSINV, random.Random(1), 1)
def test_mutated_messages_raise_nothing_but_parse_errors(data: bytes, chance: random.Random, times: int) -> None:
    octets = bytearray(data)
    for _ in range(times):
        at = chance.randrange(len(octets) + 1)
        match chance.randrange(4):
            case 0:
                octets[at:at] = chance.choice(
                    [b"\r\n", b"\x00", b'"', b"<", b";", b",", b":", b" ", b"%", b"\xff", b"9" * 30]
                )
            case 1:
                del octets[at : at + chance.randrange(1, 20)]
            case 2:
                octets[at : at + 1] = bytes([chance.randrange(256)])
            case _:
                begin = chance.randrange(len(octets) + 1)
                octets[at:at] = octets[begin : begin + chance.randrange(40)]
    read_whole(bytes(octets))


@given(st.binary(max_size=300))
def test_any_octets_raise_nothing_but_parse_errors(data: bytes) -> None:
    read_whole(data)
    read_whole(with_headers(b"Contact: " + data, b"Via: " + data))


def read_whole(data: bytes) -> None:
    """Read everything that can be read; only a SipParseError may stop it, and none may come after the check."""
    StreamParser().feed(data)
    try:
        message = parse(data)
    except SipParseError as error:
        answer_if_possible(error)
        return
    try:
        check(message)
    except SipParseError as error:
        answer_if_possible(error)
        return
    assert message.via is not None
    assert (message.call_id, message.cseq, message.from_tag, message.to_tag) is not None
    assert (message.contacts, message.routes, message.record_routes, message.expires) is not None
    assert (message.content_type, message.max_forwards, message.contact) is not None
    again = parse(message.to_bytes())
    check(again)
    assert again == message
    if isinstance(message, Request):
        check(parse(message.response(500, to_tag="x").to_bytes()))


def answer_if_possible(error: SipParseError) -> None:
    """What the error says can be answered can be."""
    assert 400 <= error.status < 600
    if error.partial is not None:
        assert error.partial.via is not None
        parse(error.partial.response(error.status, to_tag="x").to_bytes())


# -- streams


@given(st.lists(messages, max_size=4), st.data())
def test_a_stream_gives_the_same_messages_however_it_is_cut(sent: list[Message], data: st.DataObject) -> None:
    between = [data.draw(st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n"])) for _ in sent]
    stream = b"".join(gap + message.to_bytes() for gap, message in zip(between, sent, strict=True))
    whole = StreamParser().feed(stream)
    assert [item for item in whole if not isinstance(item, KeepAlive)] == sent
    assert len(whole) - len(sent) == sum(len(gap) // 4 for gap in between)
    assert in_pieces(stream, data) == told(whole)


@given(st.sampled_from(_SEEDS), st.sampled_from(_SEEDS), st.binary(max_size=20), st.data())
def test_broken_streams_break_the_same_way_however_they_are_cut(
    one: bytes, other: bytes, noise: bytes, data: st.DataObject
) -> None:
    stream = one + other + noise + one
    assert in_pieces(stream, data) == told(StreamParser().feed(stream))


def in_pieces(stream: bytes, data: st.DataObject) -> list[object]:
    """What a parser says that is fed piece by piece."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    parser = StreamParser()
    items: list[Item] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        items += parser.feed(stream[begin:end])
    return told(items)


def test_octet_by_octet_is_no_different() -> None:
    stream = b"\r\n\r\n" + torture.MPART01 + b"\r\n" + torture.WSINV + b"\r\n\r\n\r\n" + torture.NOREASON
    parser = StreamParser()
    items = [item for octet in stream for item in parser.feed(bytes([octet]))]
    assert items == StreamParser().feed(stream)
    assert [type(item) for item in items] == [KeepAlive, Request, Request, KeepAlive, Response]
    assert not parser.fatal


def test_a_single_line_end_is_no_keep_alive() -> None:
    parser = StreamParser()
    assert parser.feed(b"\r\n") == []
    assert parser.feed(b"\r\n") == [KeepAlive()]
    assert parser.feed(b"\r\n" + torture.NOREASON) == [parse(torture.NOREASON)]


def test_dblreq_on_a_stream_is_two_requests() -> None:
    items = StreamParser().feed(torture.DBLREQ)
    assert [item.method for item in items if isinstance(item, Request)] == ["REGISTER", "INVITE"]


def test_a_stream_without_content_length_is_lost() -> None:
    parser = StreamParser()
    (error,) = parser.feed(with_headers())
    assert isinstance(error, SipParseError)
    assert error.partial is not None
    assert parser.fatal
    assert parser.feed(torture.LWSDISP) == []


def test_a_stream_with_two_content_lengths_is_lost() -> None:
    parser = StreamParser()
    (error,) = parser.feed(with_headers(b"l: 2", b"Content-Length: 2", body=b"ab") + torture.LWSDISP)
    assert isinstance(error, SipParseError)
    assert error.partial is not None
    assert parser.fatal


@pytest.mark.parametrize("data", [b"\nINVITE", b"\rINVITE", b"A" * (MAX_HEAD + 4), b"\r\n\nX"])
def test_a_stream_that_is_no_sip_is_lost(data: bytes) -> None:
    parser = StreamParser()
    (error,) = parser.feed(data)
    assert isinstance(error, SipParseError)
    assert error.partial is None
    assert parser.fatal


def test_a_head_of_just_the_limit_passes_a_stream() -> None:
    lines = [b"l: 0", *[b"X: " + b"a" * 7000] * 4, b"Y: "]
    lines[-1] += b"a" * (MAX_HEAD + 4 - len(with_headers(*lines)))
    whole = with_headers(*lines)
    assert len(whole) == MAX_HEAD + 4
    parser = StreamParser()
    assert parser.feed(whole[:-1]) == []
    (message,) = parser.feed(whole[-1:])
    assert isinstance(message, Request)
    longer = with_headers(*lines[:-1], lines[-1] + b"a")
    parser = StreamParser()
    (error,) = parser.feed(longer)
    assert isinstance(error, SipParseError)
    assert (error.status, parser.fatal) == (513, True)


def test_a_body_beyond_the_limit_is_not_waited_for() -> None:
    parser = StreamParser()
    (error,) = parser.feed(with_headers(b"Content-Length: %d" % (MAX_BODY + 1)))
    assert isinstance(error, SipParseError)
    assert (error.status, parser.fatal) == (513, True)
    assert error.partial is not None
