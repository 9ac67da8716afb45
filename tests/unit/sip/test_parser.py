"""Octets to messages: datagrams, streams, limits, and whatever else comes (RFC 4475 is in test_torture.py)."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import NameAddr
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


def test_a_header_that_is_there_a_hundred_times_is_answered_once() -> None:
    head = b"OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:h>\r\n"
    with pytest.raises(SipParseError) as refused:
        check(parse(head + b"CSeq: 1 OPTIONS\r\n" + b"Call-ID: 1\r\n" * 100 + b"\r\n"))
    assert refused.value.partial is not None
    answer = refused.value.partial.response(400)
    assert answer.headers.all("Call-ID") == ["1"]
