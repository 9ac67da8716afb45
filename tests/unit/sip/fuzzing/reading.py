"""What reads octets, asked to read wrong ones: it reads or says why not, and what it read goes out and comes back."""

from __future__ import annotations

import contextlib
from random import Random

from callcenter.sip.body import sdp_of
from callcenter.sip.digest import Credentials, DigestServer, authorize
from callcenter.sip.errors import SdpError, SdpNotAcceptable, SipParseError
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import CSeq, NameAddr, Via, parse_name_addr_list, parse_params, parse_via_list, split_list
from callcenter.sip.message import Message, Request, Response
from callcenter.sip.parser import MAX_BODY, MAX_HEAD, MAX_HEADERS, KeepAlive, StreamParser, check, parse
from callcenter.sip.registrar import Registrar
from callcenter.sip.sdp import (
    PCMA,
    PCMU,
    Direction,
    SessionDescription,
    make_offer,
    negotiate,
    read_answer,
)
from callcenter.sip.uri import Uri
from tests.unit.sip.fuzzing.mutation import ORDINARY, SDP_CORPUS, SIP_CORPUS, Mutator

UDP = Flow(Transport.UDP, Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))
TCP = Flow(Transport.TCP, Address("192.0.2.1", 5060), Address("192.0.2.2", 40000), 3)


def datagram(random: Random) -> None:
    """A message is read and checked, or refused with something to answer; what was checked holds what it promises."""
    message = checked(Mutator(random).message())
    if isinstance(message, SipParseError):
        refusable(message)
        return
    holds(message)
    again = parse(message.to_bytes())
    check(again)
    assert again == message
    assert again.to_bytes() == message.to_bytes()
    assert (again.vias, again.from_, again.to, again.contacts, again.routes, again.record_routes) == (
        *(message.vias, message.from_, message.to, message.contacts, message.routes, message.record_routes),
    )
    registered(message)


def checked(data: bytes) -> Message | SipParseError:
    """The message, or what is wrong with it."""
    try:
        message = parse(data)
        check(message)
    except SipParseError as error:
        return error
    return message


def refusable(error: SipParseError) -> None:
    """What is wrong has a status, and goes back to where its Via says if it can be answered at all."""
    assert 400 <= error.status < 700
    if error.partial is not None:
        answer = sent(error.partial.response(error.status, error.reason, to_tag="t").to_bytes())
        assert isinstance(answer, Response | None)
        assert answer is None or answer.via == error.partial.via


def sent(data: bytes) -> Message | None:
    """What goes out, read again; None where a peer's many Via or Record-Route come to more lines than we read."""
    try:
        return parse(data)
    except SipParseError as error:
        if error.reason == "Too many headers" and data.count(b"Via: ") + data.count(b"Route: ") > MAX_HEADERS // 2:
            return None
        raise AssertionError(f"{error}: {data!r}") from error


def holds(message: Message) -> None:
    """What a checked message tells without an error."""
    assert message.call_id
    assert message.via == message.vias[0]
    assert 0 <= message.cseq.number < 2**32
    _ = message.from_tag, message.to_tag, message.contact, message.contacts, message.routes, message.record_routes
    _ = (
        message.max_forwards,
        message.expires,
        message.content_type,
        message.from_.label,
        message.to.label,
        repr(message),
    )
    assert (sdp_of(message) or b"") in message.body
    for via in message.vias:
        assert via.rport is None or 0 <= via.rport <= 65535
        _ = via.branch, via.received, via.sent_by, via.seen_from("192.0.2.9", 5060)
    for name_addr in (message.from_, message.to, *message.routes):
        _ = name_addr.uri.number_or_user, name_addr.uri.param("transport"), name_addr.uri.matches(message.from_.uri)
    if isinstance(message, Request):
        answer = parse(message.response(200, to_tag="t").to_bytes())
        check(answer)
        assert (answer.vias, answer.call_id, answer.cseq, answer.from_) == (
            *(message.vias, message.call_id, message.cseq, message.from_),
        )
        assert answer.to_tag == (message.to_tag if message.to_tag is not None else "t")


def registered(message: Message) -> None:
    """A registrar takes or refuses it, whatever its method, and gives all back that it kept."""
    if not isinstance(message, Request):
        return
    registrar = Registrar()
    answer = registrar.register("somebody", message, UDP, 0.0)
    reply = message.response(answer.status, answer.reason, to_tag="t", headers=answer.headers)
    check(parse(reply.to_bytes()))
    assert registrar.bindings("somebody", 0.0) == answer.bindings if answer.status == 200 else True
    server = DigestServer("example.com", b"a key of the nonces")
    server.verify(message, lambda _user: Credentials.of("somebody", "example.com", "secret"), 1_000.0)
    authorize(message.headers.all("WWW-Authenticate"), method="X", uri="sip:x", user="u", cnonce="c", password="p")
    registrar.expire(10**10)
    assert registrar.deadline is None
    assert registrar.bindings("somebody", 10**10) == ()


def registrations(random: Random) -> None:
    """One who registers again and again, and wrongly: what is kept is bounded, and runs out."""
    registrar, mutator, now = Registrar(), Mutator(random), 0.0
    for _ in range(random.randint(1, 15)):
        read = checked(mutator.spoil(random.choice(ORDINARY[:3]), ORDINARY[:3]))
        if isinstance(read, Request):
            flow = random.choice((UDP, TCP))
            answer = registrar.register("ana", read, flow, now)
            reply = parse(read.response(answer.status, answer.reason, to_tag="t", headers=answer.headers).to_bytes())
            check(reply)
            assert answer.status != 200 or (
                answer.bindings == registrar.bindings("ana", now) and len(answer.bindings) <= 10
            )
            for binding in answer.bindings:
                assert Uri.parse(str(binding.contact)) == binding.contact
                assert all(NameAddr.parse(hop).uri.is_sip for hop in binding.path)
        if random.random() < 0.1:
            registrar.drop_connection(TCP.connection)
        now += random.choice((0.0, 1.0, 30.0, 100.0, 5_000.0))
        registrar.expire(now)
        assert registrar.deadline is None or registrar.deadline > now
    registrar.expire(10**10)
    assert registrar.deadline is None
    assert registrar.bindings("ana", 10**10) == ()


def stream(random: Random) -> None:
    """However the octets of a stream come, the same is read of them, and no more is kept than one message has."""
    mutator = Mutator(random)
    data = b"".join(
        random.choice((b"", b"\r\n", b"\r\n\r\n"))
        + (mutator.message() if random.random() < 0.4 else random.choice(SIP_CORPUS))
        for _ in range(random.randint(1, 4))
    )
    at_once, in_parts = StreamParser(), StreamParser()
    expected = at_once.feed(data)
    read: list[Message | KeepAlive | SipParseError] = []
    at = 0
    while at < len(data):
        step = random.choice((1, 1, 2, 3, 10, 100, 1000))
        read += in_parts.feed(data[at : at + step])
        assert len(in_parts._buffer) <= MAX_HEAD + MAX_BODY + step + 4
        at += step
    assert at_once.fatal == in_parts.fatal
    assert [_told(item) for item in read] == [_told(item) for item in expected]
    for item in read:
        if isinstance(item, SipParseError):
            refusable(item)


def _told(item: Message | KeepAlive | SipParseError) -> object:
    return (item.status, item.reason) if isinstance(item, SipParseError) else item


def description(random: Random) -> None:
    """A description is read or refused; an answer to it, and to an offer of ours by it, is made or refused."""
    data = Mutator(random).message(SDP_CORPUS)
    try:
        read = SessionDescription.parse(data)
    except SdpError:
        return
    again = SessionDescription.parse(read.to_bytes())
    assert again == read
    for media in read.media:
        _ = media.codecs(), media.direction, media.ptime, media.maxptime, media.telephone_event(8000)
        _ = read.address_of(media), read.direction_of(media), read.rtcp_of(media)
    wish = random.choice(list(Direction))
    try:
        agreed = negotiate(read, [PCMU, PCMA], host="192.0.2.9", port=4000, session_id=1, direction=wish)
    except (SdpError, SdpNotAcceptable):
        pass
    else:
        ours = SessionDescription.parse(agreed.description.to_bytes())
        assert len(ours.media) == len(read.media)
        assert sum(media.port != 0 for media in ours.media) == 1
        assert agreed.ptime in range(10, 61, 10)
        assert agreed.remote is None or 0 < agreed.remote[1] <= 65535
        changed = make_offer(
            [PCMU, PCMA], host="192.0.2.9", port=4000, session_id=1, previous=agreed.description, direction=wish
        )
        assert len(SessionDescription.parse(changed.to_bytes()).media) == len(read.media)
    offer = make_offer([PCMU, PCMA], host="192.0.2.9", port=4000, session_id=1)
    with contextlib.suppress(SdpError, SdpNotAcceptable):
        read_answer(offer, read)


def value(random: Random) -> None:
    """A URI, an address or a Via out of a message is read or refused, and what was read means the same when written."""
    mutator = Mutator(random)
    data = random.choice(SIP_CORPUS)
    lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    text = random.choice(lines).partition(b":")[2].strip() or lines[0]
    for _ in range(random.randint(1, 3)):
        text = mutator.spoil(text, tuple(line.partition(b":")[2] for line in lines))
    # No line end gets into a value: it would have ended it.
    text = text.replace(b"\r", b"").replace(b"\n", b"")
    spelled = text.decode("latin-1" if random.random() < 0.5 else "utf-8", errors="replace")
    with contextlib.suppress(SipParseError):
        uri = Uri.parse(spelled)
        assert Uri.parse(str(uri)) == uri
        plain = uri.without_params()
        if uri.user != "":
            assert Uri.parse(str(plain)).matches(plain), plain
        assert uri.matches(uri)
    with contextlib.suppress(SipParseError):
        name_addr = NameAddr.parse(spelled)
        assert NameAddr.parse(str(name_addr)) == name_addr
        assert NameAddr.parse(str(name_addr.with_tag("x"))).tag == "x"
    with contextlib.suppress(SipParseError):
        via = Via.parse(spelled)
        assert Via.parse(str(via)) == via
        seen = via.seen_from("2001:db8::1", 5061)
        assert Via.parse(str(seen)).received in ("2001:db8::1", via.received)
    with contextlib.suppress(SipParseError):
        Via.salvage(spelled)
    for read in (split_list, parse_name_addr_list, parse_via_list, parse_params, CSeq.parse):
        with contextlib.suppress(SipParseError):
            read(spelled)
