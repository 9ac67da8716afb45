"""What a forged source can make us send to somebody who never asked: weighed, for everything that we answer."""

from __future__ import annotations

from random import Random

import pytest

from callcenter.sip.digest import Algorithm, DigestServer
from callcenter.sip.endpoint import Endpoint, Limits, Refusal
from callcenter.sip.events import Effect, InviteReceived, RequestReceived, Send
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.message import Request
from callcenter.sip.parser import parse
from callcenter.sip.strangers import FACTOR, FOR_FINAL, MAX_UNHEARD, MESSAGES
from tests.unit.sip.lossy import ANSWER, OFFER

HERE = Address("192.0.2.1", 5060)
VICTIM = Flow(Transport.UDP, HERE, Address("192.0.2.2", 5060))
# As a phone of today names all that it can.
METHODS = ("REGISTER", "PRACK", "UPDATE", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE")
DIGEST = DigestServer("callcenter", b"a key of the nonces", algorithms=(Algorithm.MD5, Algorithm.SHA256))


class Switch:
    """An endpoint as the house has it, to which everybody is a stranger; calls are answered as told."""

    def __init__(self, answer: int = 200, limits: Limits | None = None) -> None:
        self.endpoint = Endpoint(random=Random(7), accept_methods=METHODS, limits=limits or Limits())
        self.endpoint.stranger = lambda flow: flow.remote.host
        self.endpoint.screen = self._screen
        self.answer = answer
        self.sessions: list[str] = []
        self.sent: list[bytes] = []

    def take(self, data: bytes, now: float = 0.0) -> list[bytes]:
        """What a datagram is answered with at once."""
        before = len(self.sent)
        self._perform(self.endpoint.receive(data, VICTIM, now), now)
        return self.sent[before:]

    def run_out(self, now: float = 0.0) -> list[bytes]:
        """What is sent afterwards, while nobody says anything."""
        before = len(self.sent)
        while (deadline := self.endpoint.deadline) is not None:
            now = max(now, deadline)
            self._perform(self.endpoint.expire(now), now)
        return self.sent[before:]

    def _screen(self, request: Request, _: Flow) -> str | Refusal:
        if request.uri.user == "*21":
            return Refusal(401, tuple(("WWW-Authenticate", each) for each in DIGEST.challenges(0.0)))
        return Refusal(404) if request.uri.user == "nobody" else ""

    def _perform(self, effects: list[Effect], now: float) -> None:
        for effect in effects:
            match effect:
                case Send(data=data):
                    self.sent.append(data)
                case InviteReceived(session=session):
                    self.sessions.append(session)
                    if not self.answer:
                        pass  # it rings
                    elif self.answer < 300:
                        self._perform(self.endpoint.answer(session, ANSWER, now), now)
                    else:
                        self._perform(self.endpoint.reject(session, self.answer, now), now)
                case RequestReceived(transaction=transaction, request=request):
                    if request.method == "REGISTER":
                        challenges = [("WWW-Authenticate", each) for each in DIGEST.challenges(0.0)]
                        self._perform(self.endpoint.respond(transaction, 401, now, headers=challenges), now)
                    else:
                        self._perform(self.endpoint.respond(transaction, 405, now), now)


def tiny(method: str, *more: str, user: str = "1", number: int = 1, body: bytes = b"") -> bytes:
    """The shortest request that is one: compact names, nothing that is not needed."""
    lines = [
        f"{method} sip:{user}@h SIP/2.0",
        f"v:SIP/2.0/UDP h;branch=z9hG4bK{number};rport",
        "f:<sip:a@h>;tag=1",
        f"t:<sip:{user}@h>",
        f"i:{number}",
        f"CSeq:1 {method}",
        *more,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def usual(method: str, *more: str, user: str = "1000", body: bytes = b"") -> bytes:
    """As a common softphone writes it."""
    lines = [
        f"{method} sip:{user}@switch.example.org SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK0a1b2c3d4e5f6071;rport",
        'From: "Ana Lopez" <sip:ana@switch.example.org>;tag=8a7b6c5d4e3f2a1b',
        f"To: <sip:{user}@switch.example.org>",
        "Call-ID: 6f1d2c3b4a5968778695a4b3",
        f"CSeq: 1711 {method}",
        "Contact: <sip:ana-0x55d0c8a1b2c3@192.0.2.2:5060>",
        "Max-Forwards: 70",
        "User-Agent: baresip v1.0.0 (x86_64/Linux)",
        "Allow: INVITE,ACK,BYE,CANCEL,OPTIONS,NOTIFY,SUBSCRIBE,INFO,MESSAGE,UPDATE,REFER",
        "Supported: gruu,replaces,norefersub",
        *more,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


SDP = "Content-Type: application/sdp"
CONTACT = "m:<sip:a@h>"
STATELESS = {
    "OPTIONS": ("OPTIONS", (), "1", b""),
    "REGISTER, challenged": ("REGISTER", (CONTACT,), "1", b""),
    "INVITE, challenged": ("INVITE", (CONTACT,), "*21", b""),
    "INVITE to nobody": ("INVITE", (CONTACT,), "nobody", b""),
    "INVITE without Contact": ("INVITE", (), "1", b""),
    "INVITE with an unknown body": ("INVITE", (CONTACT, "c:text/plain"), "1", b"hello"),
    "INVITE that reads no description": ("INVITE", (CONTACT, "Accept: text/plain"), "1", b""),
    "unknown extension": ("INVITE", (CONTACT, "Require: x"), "1", b""),
    "unknown method": ("FROBNICATE", (), "1", b""),
    "no hop left": ("INVITE", (CONTACT, "Max-Forwards: 0"), "1", b""),
    "BYE of no dialog": ("BYE", (), "1", b""),
    "CANCEL of nothing": ("CANCEL", (), "1", b""),
    "unreadable": ("INVITE", ("Max-Forwards: many",), "1", b""),
    "body cut off": ("INVITE", ("l: 9999",), "1", b""),
    "another version": ("OPTIONS", ("Max-Forwards: 70",), "1", b""),
}


@pytest.mark.parametrize("name", STATELESS)
@pytest.mark.parametrize("form", [tiny, usual])
def test_an_answer_that_needs_no_memory_is_never_longer_than_the_factor(name: str, form: object) -> None:
    method, more, user, body = STATELESS[name]
    data = form(method, *more, user=user, body=body)  # type: ignore[operator]
    if name == "another version":
        data = data.replace(b" SIP/2.0\r\n", b" SIP/7.0\r\n", 1)
    if name == "INVITE without Contact":
        data = b"".join(line for line in data.splitlines(keepends=True) if not line.startswith(b"Contact"))
    switch = Switch()
    answers = switch.take(data)
    assert len(answers) <= 1
    assert sum(map(len, answers)) <= FACTOR * len(data)
    assert switch.run_out() == [], "and it is said once"
    if form is usual:
        assert answers, "a real phone is answered"
        assert len(answers[0]) <= 1.25 * len(data), "and with hardly more than it sent"


def test_a_switch_that_is_full_says_so_within_the_factor() -> None:
    for limits in (Limits(sessions=0), Limits(transactions=0)):
        switch = Switch(limits=limits)
        for form in (tiny, usual):
            data = form("INVITE", CONTACT, SDP, body=OFFER)
            (answer,) = switch.take(data)
            assert answer.startswith(b"SIP/2.0 503")
            assert len(answer) <= FACTOR * len(data)
            assert switch.run_out() == []


def test_who_is_turned_away_for_a_flood_is_answered_within_the_factor() -> None:
    switch = Switch()
    for form in (tiny, usual):
        data = form("OPTIONS")
        message = parse(data)
        assert isinstance(message, Request)
        (send,) = switch.endpoint.turn_away(message, VICTIM, 5)
        assert isinstance(send, Send)
        assert len(send.data) <= FACTOR * len(data)


@pytest.mark.parametrize("status", [200, 404, 486, 503])
def test_an_invite_of_a_stranger_is_answered_with_few_messages_in_all(status: int) -> None:
    """Not eleven times in 32 s; and a call that was never acknowledged is taken back by one BYE, not by eleven."""
    switch = Switch(answer=status)
    data = usual("INVITE", SDP, body=OFFER)
    switch.take(data)
    switch.run_out()
    kinds = [line.split(b" ", 2)[1 if line.startswith(b"SIP/2.0") else 0] for line in switch.sent]
    assert kinds[0] == b"100"
    assert kinds.count(str(status).encode()) == MESSAGES
    assert kinds[1 + MESSAGES :] == ([b"BYE"] if status == 200 else [])
    assert switch.endpoint.status().sessions == 0


def test_a_stranger_for_whom_it_rings_long_still_gets_the_answer() -> None:
    switch = Switch(answer=0)
    switch.take(usual("INVITE", SDP, body=OFFER))
    (session,) = switch.sessions
    for minute in range(20):
        switch._perform(switch.endpoint.ring(session, minute * 60.0), minute * 60.0)
    assert sum(data.startswith(b"SIP/2.0 180") for data in switch.sent) == MESSAGES - FOR_FINAL
    switch._perform(switch.endpoint.answer(session, ANSWER, 1200.0), 1200.0)
    switch.run_out(1200.0)
    assert sum(data.startswith(b"SIP/2.0 200") for data in switch.sent) == FOR_FINAL


def test_so_many_calls_of_one_source_wait_for_their_ack_and_no_more() -> None:
    switch = Switch()
    answered = [switch.take(tiny("INVITE", CONTACT, number=number)) for number in range(100)]
    assert [len(each) for each in answered[:MAX_UNHEARD]] == [2] * MAX_UNHEARD
    assert all(each[0].startswith(b"SIP/2.0 503") for each in answered[MAX_UNHEARD:])
    total = sum(map(len, switch.run_out()))
    assert total < 32 * 2000, "below 2 kB/s to whoever is behind that address"
    (again, _) = switch.take(tiny("INVITE", CONTACT, number=1000), 100.0)
    assert again.startswith(b"SIP/2.0 100"), "then there is room again"


def test_a_caller_who_acknowledges_is_a_stranger_no_more() -> None:
    """Repetitions are counted up to the ACK alone; and ten callers behind one address do not wait for each other."""
    switch = Switch()
    for number in range(3 * MAX_UNHEARD):
        switch.take(tiny("INVITE", CONTACT, number=number))
        session = switch.sessions[-1]
        ack = tiny("ACK", number=number).replace(b"t:<sip:1@h>", f"t:<sip:1@h>;tag={session}".encode())
        switch.take(ack.replace(b"z9hG4bK", b"z9hG4bKack"))
    assert len(switch.sessions) == 3 * MAX_UNHEARD
    bye = switch.endpoint.hangup(switch.sessions[0], 0.0)
    assert sum(isinstance(effect, Send) for effect in bye) == 1
    assert sum(data.startswith(b"BYE") for data in switch.run_out()) > 1, "a BYE to who is there is repeated"


def acknowledged(switch: Switch, contact: str) -> str:
    """A caller who is there, and names this Contact; returns the session."""
    switch.take(usual("INVITE", SDP, body=OFFER).replace(b"<sip:ana-0x55d0c8a1b2c3@192.0.2.2:5060>", contact.encode()))
    (session,) = switch.sessions
    switch.take(within(switch, "ACK", "z9hG4bKack"))
    return session


def within(switch: Switch, method: str, branch: str, *more: str, number: int = 1711, body: bytes = b"") -> bytes:
    """A request of the caller within the dialog."""
    return (
        usual(method, *more, body=body)
        .replace(
            b"@switch.example.org>\r\nCall-ID", f"@switch.example.org>;tag={switch.sessions[0]}\r\nCall-ID".encode()
        )
        .replace(b"z9hG4bK0a1b2c3d4e5f6071", branch.encode())
        .replace(b"CSeq: 1711", f"CSeq: {number}".encode())
    )


def test_a_contact_at_somebody_elses_host_gets_each_message_once() -> None:
    """A caller who is there names whom he likes as the one to be told of the end."""
    switch = Switch()
    session = acknowledged(switch, "<sip:victim@198.51.100.9>")
    switch._perform(switch.endpoint.hangup(session, 1.0), 1.0)
    switch.run_out(1.0)
    assert sum(data.startswith(b"BYE") for data in switch.sent) == 1
    assert switch.endpoint.status().sessions == 0
    near = Switch()
    session = acknowledged(near, "<sip:ana@192.0.2.2:5070>")
    near._perform(near.endpoint.hangup(session, 1.0), 1.0)
    near.run_out(1.0)
    assert sum(data.startswith(b"BYE") for data in near.sent) > 5, "another port of the same host is that host"


def test_a_stranger_who_refers_us_somewhere_gets_one_word() -> None:
    """No NOTIFY, and nothing about the calls that there are, whatever dialog he names."""
    switch = Switch()
    acknowledged(switch, "<sip:ana@192.0.2.2>")
    for number, target in enumerate(("<sip:+4930@h>", "<sip:b@h?Replaces=1%3Bto-tag%3D1%3Bfrom-tag%3D1>"), start=1712):
        (answer,) = switch.take(within(switch, "REFER", f"z9hG4bK{number}", f"Refer-To: {target}", number=number), 1.0)
        assert answer.startswith(b"SIP/2.0 403")
    switch._perform(switch.endpoint.hangup(switch.sessions[0], 2.0), 2.0)
    switch.run_out(2.0)
    assert not any(data.startswith(b"NOTIFY") for data in switch.sent)


def test_a_caller_by_tcp_who_is_gone_has_one_word_sent_to_whom_he_named() -> None:
    switch = Switch()
    by_tcp = Flow(Transport.TCP, HERE, VICTIM.remote, 7)
    invite = usual("INVITE", SDP, body=OFFER).replace(b"192.0.2.2:5060>", b"198.51.100.9;transport=udp>")
    switch._perform(switch.endpoint.receive_message(parse(invite), by_tcp, 0.0), 0.0)
    switch._perform(switch.endpoint.receive_message(parse(within(switch, "ACK", "z9hG4bKa")), by_tcp, 0.0), 0.0)
    switch._perform(switch.endpoint.connection_lost(7, 1.0), 1.0)
    switch._perform(switch.endpoint.hangup(switch.sessions[0], 1.0), 1.0)
    switch.run_out(1.0)
    assert sum(data.startswith(b"BYE") for data in switch.sent) == 1


def test_a_caller_who_forges_the_source_of_his_next_invite_has_little_sent_there() -> None:
    switch = Switch()
    acknowledged(switch, "<sip:ana@192.0.2.2>")
    data = within(switch, "INVITE", "z9hG4bKforged", SDP, number=1712, body=OFFER)
    forged = Flow(Transport.UDP, HERE, Address("198.51.100.9", 5060))
    before = len(switch.sent)
    switch._perform(switch.endpoint.receive(data, forged, 1.0), 1.0)
    switch._perform(switch.endpoint.accept_reinvite(switch.sessions[0], ANSWER, 1.0), 1.0)
    switch.run_out(1.0)
    sent = switch.sent[before:]
    assert sum(data.startswith(b"SIP/2.0 200") for data in sent) == 1
    assert sum(map(len, sent)) < 3 * len(data)


def test_an_ack_that_knows_no_tag_of_ours_shows_nothing() -> None:
    """A forger knows the branch of his own INVITE, and by that alone pyVoIP's odd ACK is taken for what it means."""
    switch = Switch()
    switch.take(tiny("INVITE", CONTACT))
    odd = tiny("ACK").replace(b"t:<sip:1@h>", b"t:<sip:1@h>;tag=made-up")
    switch.take(odd)
    assert sum(data.startswith(b"SIP/2.0 200") for data in switch.run_out()) == MESSAGES - 1, "it is still repeated"
