"""RFC 4475, message by message, by the names of the RFC: what each says, and what becomes of it here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest

from callcenter.sip.digest import Challenge, Credentials, DigestServer
from callcenter.sip.endpoint import Endpoint, EndpointStatus
from callcenter.sip.errors import SipParseError
from callcenter.sip.events import Acknowledged, Answered, Effect, InviteReceived, RequestReceived, Send, SessionEnded
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import CSeq, NameAddr
from callcenter.sip.message import Message, Request, Response
from callcenter.sip.parser import KeepAlive, StreamParser, check, parse
from callcenter.sip.registrar import RegisterAnswer, Registrar
from callcenter.sip.uri import Uri
from tests.unit.sip import torture
from tests.unit.sip.lossy import ANSWER, OFFER

HERE = Address("198.51.100.1", 5060)
SOURCE = Address("198.51.100.2", 5060)
UDP = Flow(Transport.UDP, HERE, SOURCE)
TCP = Flow(Transport.TCP, HERE, SOURCE, 1)
NOTHING = EndpointStatus(0, 0, 0)

# The messages as the RFC's archive has them (its appendix A.1).
ARCHIVE = {
    "wsinv": "d6f6cdee99cd0a1f8e3d9a0fdd67c877700e19ab86d8186dada06f61260e3e61",
    "intmeth": "b957a8292c1c0a9851fe94705b90f94320738f43aacde64998e401f742ef688d",
    "esc01": "be3a316d4ce5f69cad474646191e390dd4b50fc8371e44b5197fe1237781973e",
    "escnull": "263fe2ecd12a5ccbb6c67b3174e9211d11da9b600e7d69666a86d2ee42873e90",
    "esc02": "9a9c59449f00327b02071feafc8e5c2a261c98c818044167894cc17809a12199",
    "lwsdisp": "d1b36b6316c12824f6f04bf6b1fd1f021cade9b74871693b9c3474cd9fa7f4e6",
    "longreq": "185739292bc676760e5b1cca77c87705aa570240171c506ad76f8c35af0ecdaa",
    "dblreq": "a6be48426565c2a705389c4ce2ea17e57b891cb13f80490a2cb9392c797b46ef",
    "semiuri": "87bbaed6b4b354dbd3c5c7a20e66686303c63e43a0aa19b89de1ac75231611a2",
    "transports": "33b4553a3b9418121b099ff07882535151edd6a1e81898c63a916aad2cbf90bc",
    "mpart01": "92147c8e24997bac59629e1b163767697d0d6d499af87f89e325d69968bec3ba",
    "unreason": "4f939d6ebf4817eea70f011d3209e83732872ffc20ffd304b244084dc392f4d7",
    "noreason": "07e11e470a69fffa3674de805e5165d1351a9439a91045ee70c9570ea24ab4fe",
}


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


def told(items: list[Message | KeepAlive | SipParseError]) -> list[object]:
    """Items made comparable."""
    return [(item.status, item.reason) if isinstance(item, SipParseError) else item for item in items]


def endpoint() -> Endpoint:
    """An element that calls, is called, and takes registrations."""
    return Endpoint(random=Random(7))


def sent(effects: Iterable[Effect]) -> list[Message]:
    """What goes out."""
    return [parse(effect.data) for effect in effects if isinstance(effect, Send)]


def answers(effects: Iterable[Effect]) -> list[int]:
    """The statuses that go out."""
    return [message.status for message in sent(effects) if isinstance(message, Response)]


def events(effects: Iterable[Effect]) -> list[type[Effect]]:
    """What the application is told of."""
    return [type(effect) for effect in effects if not isinstance(effect, Send)]


def registered(data: bytes) -> RegisterAnswer:
    """What the registrar makes of a REGISTER whose sender it knows."""
    return Registrar().register("somebody", request(data), UDP, 0.0)


def test_they_are_all_there() -> None:
    assert (len(torture.VALID), len(torture.INVALID), len(torture.BY_RULE)) == (13, 19, 17)
    assert {name: hashlib.sha256(data).hexdigest() for name, data in torture.VALID.items()} == ARCHIVE


# -- 3.1.1: valid


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
    message = request(torture.LWSDISP)
    assert (message.from_.display, message.from_tag, str(message.from_.uri)) == (
        "caller",
        "323",
        "sip:caller@example.com",
    )


def test_longreq() -> None:
    message = request(torture.LONGREQ)
    assert message.to.display == f"I have a user name of {'extreme' * 10} proportion"
    assert (message.to.uri.user, message.to.uri.port) == ("user", 6000)
    assert message.to.uri.param("unknownparam1") == f"very{'long' * 20}value"
    assert message.to.uri.param("longparam" + "name" * 25) == "shortvalue"
    assert message.to.uri.param(f"very{'long' * 25}ParameterNameWithNoValue") == ""
    assert message.from_.uri.user == "amazinglylongcallername" * 5
    assert message.from_tag == f"1{'298' * 50}2424"
    assert message.from_.param("unknownheaderparam" + "name" * 20) == "unknowheaderparam" + "value" * 15
    assert message.from_.param("unknownValueless" + "paramname" * 10) == ""
    assert message.call_id == f"longreq.one{'really' * 20}longcallid"
    assert message.cseq == CSeq(3882340, "INVITE")
    assert message.headers.get(f"Unknown-{'Long' * 20}-Name") == (
        f"unknown-{'long' * 20}-value; unknown-{'long' * 20}-parameter-name = unknown-{'long' * 20}-parameter-value"
    )
    assert [via.host for via in message.vias] == [
        *(f"sip{number}.example.com" for number in range(33, 0, -1)),
        "host.example.com",
    ]
    assert (message.vias[-1].received, message.vias[-1].branch) == ("192.0.2.5", f"very{'long' * 50}branchvalue")
    assert message.contact is not None
    assert message.contact.uri.host == "host5.example.net"
    assert len(message.body) == 150


def test_dblreq() -> None:
    """The datagram holds two requests: the second one lies behind the end of the first and is none."""
    message = request(torture.DBLREQ)
    assert (message.method, message.body, message.max_forwards) == ("REGISTER", b"", 8)
    assert message.call_id == "dblreq.0ha0isndaksdj99sdfafnl3lk233412"
    assert events(endpoint().receive(torture.DBLREQ, UDP, 0.0)) == [RequestReceived]


def test_semiuri() -> None:
    message = request(torture.SEMIURI)
    assert (message.uri.user, message.uri.host, message.uri.params) == ("user;par=u@example.net", "example.com", ())
    assert message.headers.values("Accept") == [
        "application/sdp",
        "application/pkcs7-mime",
        "multipart/mixed",
        "multipart/signed",
        "message/sip",
        "message/sipfrag",
    ]


def test_transports() -> None:
    vias = request(torture.TRANSPORTS).vias
    assert [via.transport for via in vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]
    assert [via.branch for via in vias] == [
        "z9hG4bKkdjuw",
        "z9hG4bKklasjdhf",
        "z9hG4bK2980unddj",
        "z9hG4bKasd0f3en",
        "z9hG4bK0a9idfnee",
    ]
    assert request(torture.TRANSPORTS).call_id == "transports.kijh4akdnaqjkwendsasfdj"


def test_mpart01() -> None:
    """The body keeps every octet, those that look like line ends too."""
    message = request(torture.MPART01)
    assert message.body == torture.MPART01_BODY
    assert len(message.body) == 553
    assert message.body.count(b"\n") - message.body.count(b"\r\n") == 3
    assert message.content_type == "multipart/mixed"
    assert message.headers.get("Content-Type") == "multipart/mixed;boundary=7a9cbec02ceef655"
    assert message.to_bytes().endswith(torture.MPART01_BODY)


def test_unreason() -> None:
    message = parse(torture.UNREASON)
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (200, "= 2**3 * 5**2 но сто девяносто девять - простое")
    assert (message.from_tag, message.to_tag, len(message.body)) == ("11141343", "2229", 154)


def test_noreason() -> None:
    message = parse(torture.NOREASON)
    assert isinstance(message, Response)
    assert (message.status, message.reason, message.cseq) == (100, "", CSeq(35, "INVITE"))
    assert isinstance(parse(torture.NOREASON.replace(b"100 \r\n", b"100\r\n")), Response)


# What the endpoint does with each: the statuses that it answers, and what it tells the application.
TREATED: dict[str, tuple[list[int], list[type[Effect]]]] = {
    "wsinv": ([481], []),  # its To has a tag: a dialog that we do not have
    "intmeth": ([405], []),
    "esc01": ([100], [InviteReceived]),
    "escnull": ([], [RequestReceived]),
    "esc02": ([405], []),  # an escaped REGISTER is none
    "lwsdisp": ([200], []),
    "longreq": ([100], [InviteReceived]),
    "dblreq": ([], [RequestReceived]),
    "semiuri": ([200], []),
    "transports": ([200], []),
    "mpart01": ([405], []),
    "unreason": ([], []),  # answers to what we never asked
    "noreason": ([], []),
}


@pytest.mark.parametrize("name", torture.VALID)
def test_valid_torture_messages_are_treated_as_any_other(name: str) -> None:
    effects = endpoint().receive(torture.VALID[name], UDP, 0.0)
    assert (answers(effects), events(effects)) == TREATED[name]
    for answer, asked in ((answer, parse(torture.VALID[name])) for answer in sent(effects)):
        assert (answer.call_id, answer.cseq, answer.from_) == (asked.call_id, asked.cseq, asked.from_)
        # Every Via goes back as it came; the top one says where it was seen.
        assert [replace(via, params=()) for via in answer.vias] == [replace(via, params=()) for via in asked.vias]
        assert answer.vias[1:] == asked.vias[1:]


# -- 3.1.2: invalid


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


@pytest.mark.parametrize("name", torture.INVALID)
def test_invalid_torture_messages_are_answered_once_and_leave_nothing(name: str) -> None:
    data, status, can_be_answered = torture.INVALID[name]
    it = endpoint()
    effects = it.receive(data, UDP, 0.0)
    assert answers(effects) == ([status] if can_be_answered else [])
    assert events(effects) == []
    assert it.status() == NOTHING


# -- 3.2 to 3.4: what a rule decides


def test_badbranch() -> None:
    """The cookie alone is no identifier: requests are told apart by what they ask, as those of RFC 2543."""
    it = endpoint()
    assert answers(it.receive(torture.BADBRANCH, UDP, 0.0)) == [200]
    branch = b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK\r\n"
    one = torture.ESC01.replace(b"Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw\r\n", branch)
    other = one.replace(b"i: esc01.", b"i: another.")
    assert branch in one
    sessions = [
        effect.session
        for data in (one, other, one)
        for effect in it.receive(data, UDP, 0.0)
        if isinstance(effect, InviteReceived)
    ]
    assert len(set(sessions)) == len(sessions) == 2


def test_insuf() -> None:
    error = refused(torture.INSUF)
    assert error.partial is not None
    assert error.partial.via.branch == "z9hG4bKkdj.insuf"
    it = endpoint()
    assert answers(it.receive(torture.INSUF, UDP, 0.0)) == [400]
    assert it.status() == NOTHING


@pytest.mark.parametrize("name", ["unkscm", "novelsc"])
def test_unkscm_and_novelsc(name: str) -> None:
    data = torture.BY_RULE[name]
    assert not request(data).uri.is_sip
    it = endpoint()
    assert answers(it.receive_message(parse(data), TCP, 0.0)) == [416]
    assert it.status() == NOTHING


def test_unksm2() -> None:
    """Any URI may stand in From, To and Contact, but only a sip or sips URI can be registered."""
    message = request(torture.UNKSM2)
    assert (str(message.to.uri), str(message.from_.uri), message.from_tag) == (
        "isbn:2983792873",
        "http://www.example.com",
        "3234233",
    )
    assert message.contact is not None
    assert str(message.contact.uri) == "name:John_Smith"
    assert (registered(torture.UNKSM2).status, registered(torture.UNKSM2).bindings) == (400, ())


def test_bext01() -> None:
    """What is required of proxies is no matter of ours: only what we miss ourselves is told."""
    it = endpoint()
    (answer,) = sent(it.receive_message(parse(torture.BEXT01), TCP, 0.0))
    assert isinstance(answer, Response)
    assert answer.status == 420
    assert answer.option_tags("Unsupported") == ("nothingsupportsthis", "nothingsupportsthiseither")
    assert it.status() == NOTHING


def test_invut() -> None:
    it = endpoint()
    (answer,) = sent(it.receive(torture.INVUT, UDP, 0.0))
    assert isinstance(answer, Response)
    assert answer.status == 415
    assert "application/sdp" in answer.headers.values("Accept")
    assert it.status() == NOTHING


def test_regaut01() -> None:
    """Credentials of a scheme that nobody knows are as good as none: a challenge follows."""
    server = DigestServer("example.com", b"a key of the nonces")
    known = Credentials.of("j.user", "example.com", "secret")
    assert server.verify(request(torture.REGAUT01), lambda _user: known, 1_000.0) == Challenge(stale=False)


def test_multi01() -> None:
    assert refused(torture.MULTI01).reason.startswith("More than one ")
    it = endpoint()
    assert answers(it.receive(torture.MULTI01, UDP, 0.0)) == [400]
    assert it.status() == NOTHING


def test_mcl01() -> None:
    """Over UDP it is refused; over a stream nobody knows where the next message begins."""
    it = endpoint()
    assert answers(it.receive(torture.MCL01, UDP, 0.0)) == [400]
    assert it.status() == NOTHING
    parser = StreamParser()
    (error,) = parser.feed(torture.MCL01 + torture.LWSDISP)
    assert isinstance(error, SipParseError)
    assert parser.fatal


def test_bcast() -> None:
    """An answer with a second Via is not for us, even when we wait for an answer; it goes nowhere."""
    it = endpoint()
    assert it.receive(torture.BCAST, UDP, 0.0) == []
    me = NameAddr(Uri("sip", user="user", host="example.com"))
    session, effects = it.invite(target=me.uri, flow=UDP, from_=me, to=me, sdp=OFFER, now=0.0)
    (invite,) = sent(effects)
    assert isinstance(invite, Request)
    good = invite.response(200, to_tag="2229", headers=[("Contact", "<sip:user@198.51.100.2>")], body=ANSWER)
    good.headers.add("Content-Type", "application/sdp")
    via = f"Via: {invite.via}\r\n".encode()
    assert via in good.to_bytes()
    bad = good.to_bytes().replace(via, via + b"Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23\r\n")
    assert it.receive(bad, UDP, 0.1) == []
    assert Answered in events(it.receive(good.to_bytes(), UDP, 0.2))
    assert events(it.hangup(session, 0.3)) == [SessionEnded]


def test_zeromf() -> None:
    """Whoever is asked is the end of the way, so nothing is left to count; a call would go on from here."""
    it = endpoint()
    assert answers(it.receive(torture.ZEROMF, UDP, 0.0)) == [200]
    call = torture.ESC01.replace(b"Max-Forwards: 87", b"Max-Forwards: 0")
    assert answers(it.receive(call, UDP, 0.0)) == [483]
    assert it.status() == NOTHING


def test_cparam01() -> None:
    """Without angle brackets the parameter is the header's: no part of what is registered."""
    contact = request(torture.CPARAM01).contact
    assert contact is not None
    assert (contact.param("unknownparam"), contact.uri.params) == ("", ())
    (binding,) = registered(torture.CPARAM01).bindings
    assert str(binding.contact) == "sip:+19725552222@gw1.example.net"


def test_cparam02() -> None:
    """Within angle brackets it is the URI's, and comes back with each request to it."""
    contact = request(torture.CPARAM02).contact
    assert contact is not None
    assert (contact.params, contact.uri.param("unknownparam")) == ((), "")
    answer = registered(torture.CPARAM02)
    assert [str(binding.contact) for binding in answer.bindings] == ["sip:+19725552222@gw1.example.net;unknownparam"]
    assert "<sip:+19725552222@gw1.example.net;unknownparam>" in dict(answer.headers)["Contact"]


def test_regescrt() -> None:
    """The header in the URI is registered with it, but stands in no Request-URI, nor does it become a Route."""
    escaped = request(torture.REGESCRT).contact
    assert escaped is not None
    assert escaped.uri.headers == "Route=%3Csip:sip.example.com%3E"
    (binding,) = registered(torture.REGESCRT).bindings
    assert str(binding.contact) == "sip:user@example.com?Route=%3Csip:sip.example.com%3E"
    me = NameAddr(Uri("sip", user="here", host="198.51.100.1"))
    _, effects = endpoint().invite(
        target=binding.contact, flow=binding.flow, from_=me, to=me, sdp=OFFER, now=0.0, routes=binding.path
    )
    (invite,) = sent(effects)
    assert isinstance(invite, Request)
    assert str(invite.uri) == "sip:user@example.com"
    assert invite.routes == ()


def test_sdp01() -> None:
    """Who takes no session description cannot be answered with one."""
    it = endpoint()
    assert answers(it.receive(torture.SDP01, UDP, 0.0)) == [406]
    assert it.status() == NOTHING
    for good in (b"text/nobodyKnowsThis, application/sdp;q=0.5", b"application/*", b"*/*", b"APPLICATION/SDP", b""):
        data = torture.SDP01.replace(b"text/nobodyKnowsThis", good)
        assert events(endpoint().receive(data, UDP, 0.0)) == [InviteReceived], good


def test_inv2543() -> None:
    """A caller of the old days: no branch, no tag, no length, no Max-Forwards, no Contact; it is taken and hung up."""
    message = request(torture.INV2543)
    assert (message.from_tag, message.via.branch, message.max_forwards, message.contact) == (None, None, None, None)
    assert message.from_.param("user") is None
    assert message.from_.uri.param("user") == "phone"
    assert message.to.param("user") == "phone"
    assert message.body.endswith(b"m=audio 49217 RTP/AVP 0\r\n")
    it = endpoint()
    effects = it.receive(torture.INV2543, UDP, 0.0)
    assert answers(effects) == [100]
    (event,) = [effect for effect in effects if isinstance(effect, InviteReceived)]
    assert event.offer == message.body
    (accepted,) = sent(it.answer(event.session, ANSWER, 0.1))
    ack, _, _ = torture.INV2543.replace(b"INVITE", b"ACK").partition(b"\r\nContent-Type")
    old, new = b"To: sip:+16505552222@ss1.example.net;user=phone", f"To: {accepted.to}".encode()
    assert events(it.receive(ack.replace(old, new) + b"\r\n\r\n", UDP, 0.2)) == [Acknowledged]
    (bye,) = [message for message in sent(it.hangup(event.session, 0.3)) if isinstance(message, Request)]
    assert (bye.method, bye.from_tag) == ("BYE", accepted.to_tag)
    # What it never had in its INVITE is its address: From stands for it, behind the strict router that it came by.
    assert str(bye.uri) == "sip:UserB@example.com;maddr=ss1.example.com"
    assert [str(route.uri) for route in bye.routes] == ["sip:+13035551111@ift.client.example.net;user=phone"]
    assert request(bye.to_bytes()).to_tag is None
    # A caller of today, who tags its From, lacks a Contact.
    today = torture.INV2543.replace(b"net;user=phone>", b"net;user=phone>;tag=1")
    assert answers(endpoint().receive(today, UDP, 0.0)) == [400]


# -- all of them, through the endpoint: as datagrams, and as a stream in octets that come one by one

# What the endpoint does with those that a rule decides.
RULED: dict[str, tuple[list[int], list[type[Effect]]]] = {
    "badbranch": ([200], []),
    "insuf": ([400], []),
    "unkscm": ([416], []),
    "novelsc": ([416], []),
    "unksm2": ([], [RequestReceived]),  # what can be registered, the registrar knows
    "bext01": ([420], []),
    "invut": ([415], []),
    "regaut01": ([], [RequestReceived]),
    "multi01": ([400], []),
    "mcl01": ([400], []),
    "bcast": ([], []),
    "zeromf": ([200], []),
    "cparam01": ([], [RequestReceived]),
    "cparam02": ([], [RequestReceived]),
    "regescrt": ([], [RequestReceived]),
    "sdp01": ([406], []),
    "inv2543": ([100], [InviteReceived]),
}
MESSAGES = {**torture.VALID, **{name: data for name, (data, _, _) in torture.INVALID.items()}, **torture.BY_RULE}
AS_DATAGRAM: dict[str, tuple[list[int], list[type[Effect]]]] = {
    **TREATED,
    **{name: ([status] if answered else [], []) for name, (_, status, answered) in torture.INVALID.items()},
    **RULED,
}
# A stream asks for a length that is right (RFC 3261 18.3), and reads all that comes.
AS_STREAM = AS_DATAGRAM | {
    "dblreq": ([400], [RequestReceived]),  # the second request has no Contact
    "clerr": ([], []),  # the rest of its body may still come
    "inv2543": ([400], []),
}
# Where the stream is read no further: no length, two of them, octets behind the body that begin no message.
LOST = {"dblreq", "ncl", "mcl01", "inv2543"}


def test_what_becomes_of_each_is_said() -> None:
    assert MESSAGES.keys() == AS_DATAGRAM.keys() == AS_STREAM.keys()
    assert len(MESSAGES) == 49


@pytest.mark.parametrize("name", MESSAGES)
def test_every_torture_message_as_a_datagram(name: str) -> None:
    effects = endpoint().receive(MESSAGES[name], UDP, 0.0)
    assert (answers(effects), events(effects)) == AS_DATAGRAM[name]


@pytest.mark.parametrize("name", MESSAGES)
def test_every_torture_message_as_a_stream(name: str) -> None:
    it, stream, effects = endpoint(), StreamParser(), list[Effect]()
    for octet in MESSAGES[name]:
        for item in stream.feed(bytes([octet])):
            if isinstance(item, SipParseError):
                effects += it.receive_error(item, TCP, 0.0)
            elif not isinstance(item, KeepAlive):
                effects += it.receive_message(item, TCP, 0.0)
    assert (answers(effects), events(effects)) == AS_STREAM[name]
    assert stream.fatal is (name in LOST)
    assert {effect.flow for effect in effects if isinstance(effect, Send)} <= {TCP}, (
        "answers go back where it came from"
    )
