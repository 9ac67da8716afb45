"""REFER between two endpoints (RFC 3515): who is called, what is told of it by NOTIFY, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from callcenter.sip.endpoint import Endpoint
from callcenter.sip.events import Answered, Notified, ReferAnswered, ReferReceived, SessionEnded
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Request
from callcenter.sip.refer import LIFETIME, MAX_REFERENCES
from tests.unit.sip.lossy import ANSWER, Phone, Wire
from tests.unit.sip.test_endpoint import (
    NOTHING,
    UDP,
    endpoint,
    established,
    invite,
    invited,
    only,
    run_out,
    sent,
    text,
    within,
)

CAROL = NameAddr.parse("<sip:carol@example.com>")


def talking() -> tuple[Wire, Phone, Phone, str]:
    """Ana has called bob, who may refer her."""
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(2)
    assert ana.one(Answered)
    return wire, ana, bob, session


def refer(phone: Phone, session: str, target: NameAddr = CAROL, **more: Any) -> int:
    number, effects = phone.endpoint.refer(session, target, phone.wire.now, **more)
    phone.perform(effects)
    return number


def accept(phone: Phone, *progress: int) -> None:
    """Accept what is asked, and tell so much of it at once."""

    def accepted(event: ReferReceived) -> None:
        phone.do("accept_refer", event.session, event.number)
        for status in progress:
            phone.do("notify_refer", event.session, event.number, status)

    phone.on[ReferReceived] = accepted


def notifies(phone: Phone) -> list[tuple[str, bytes]]:
    """The NOTIFYs that a phone sent: state and body."""
    return [
        (request.headers.get("Subscription-State") or "", request.body)
        for _, request in phone.sent_of("NOTIFY")
        if isinstance(request, Request)
    ]


def test_whoever_is_referred_says_so_at_once_and_tells_the_end_in_the_last_notify() -> None:
    wire, ana, bob, _ = talking()
    accept(ana)
    number = refer(bob, bob.session)
    wire.run(1)
    asked = ana.one(ReferReceived)
    assert (str(asked.refer.target), asked.replaces) == ("sip:carol@example.com", "")
    assert bob.one(ReferAnswered) == ReferAnswered(bob.session, number, 202)
    assert [(told.status, told.last) for told in bob.heard(Notified)] == [(100, False)]
    ana.do("notify_refer", asked.session, asked.number, 180)
    wire.run(1)
    ana.do("notify_refer", asked.session, asked.number, 200)
    wire.run(1)
    assert [(told.status, told.reason, told.last) for told in bob.heard(Notified)] == [
        (100, "Trying", False),
        (180, "Ringing", False),
        (200, "OK", True),
    ]
    assert notifies(ana) == [
        (f"active;expires={LIFETIME}", b"SIP/2.0 100 Trying\r\n"),
        (f"active;expires={LIFETIME - 1}", b"SIP/2.0 180 Ringing\r\n"),
        ("terminated;reason=noresource", b"SIP/2.0 200 OK\r\n"),
    ]
    ana.do("notify_refer", asked.session, asked.number, 500)
    ana.do("hangup", ana.session)
    wire.settle()
    assert len(notifies(ana)) == 3, "the last word is the last"
    wire.nothing_is_left()


def test_what_happens_while_a_notify_is_out_is_told_after_it_and_only_the_latest_of_it() -> None:
    wire, ana, bob, _ = talking()
    accept(ana, 180, 183, 486)
    refer(bob, bob.session)
    wire.run(1)
    assert [told.status for told in bob.heard(Notified)] == [100, 486]


def test_each_lost_message_of_a_reference_is_sent_again() -> None:
    for lost in range(6):
        wire, ana, bob, _ = talking()
        first = len(wire.carried)
        wire.fate = lambda index, _, lost=lost, first=first: [] if index == first + lost else [0.01]  # type: ignore[misc]
        accept(ana, 200)
        refer(bob, bob.session)
        wire.run(10)
        assert [told.status for told in bob.heard(Notified) if told.last] == [200], lost
        bob.do("hangup", bob.session)
        wire.settle()
        wire.nothing_is_left()


def test_several_references_of_one_dialog_are_told_apart_by_their_numbers() -> None:
    wire, ana, bob, _ = talking()
    accept(ana)
    first, second = refer(bob, bob.session), refer(bob, bob.session, NameAddr.parse("<tel:+14155550123>"))
    wire.run(1)
    for event, status in zip(ana.heard(ReferReceived), (404, 200), strict=True):
        ana.do("notify_refer", event.session, event.number, status)
    wire.run(1)
    assert {told.number: told.status for told in bob.heard(Notified) if told.last} == {first: 404, second: 200}
    events = [request.headers.get("Event") for _, request in ana.sent_of("NOTIFY")]
    assert set(events) == {"refer", f"refer;id={second}"}


def test_refused_reference_brings_no_notify() -> None:
    wire, ana, bob, _ = talking()
    ana.on[ReferReceived] = lambda event: ana.do("reject_refer", event.session, event.number, 603)
    number = refer(bob, bob.session)
    wire.run(1)
    assert bob.one(ReferAnswered) == ReferAnswered(bob.session, number, 603)
    assert notifies(ana) == []
    ana.do("hangup", ana.session)
    wire.settle()
    wire.nothing_is_left()


def test_who_asks_for_no_notify_gets_none() -> None:
    """RFC 4488: norefersub."""
    wire, ana, bob, _ = talking()
    accept(ana, 200)
    refer(bob, bob.session, headers=[("Refer-Sub", "false"), ("Require", "norefersub")])
    wire.run(1)
    (_, answer), *_ = ana.sent_of("REFER", 202)
    assert answer.headers.get("Refer-Sub") == "false"
    assert notifies(ana) == []


def test_phone_that_hangs_up_after_its_refer_still_hears_how_it_went() -> None:
    """RFC 5057: the subscription is a usage of the dialog of its own."""
    it = endpoint()
    session = established(it)
    number = told(it.receive(within("REFER", session, "Refer-To: <sip:carol@example.com>"), UDP, 1.0)).number
    answer, notify = sent(it.accept_refer(session, number, 1.0))
    assert (answer.status, notify.method) == (202, "NOTIFY")
    it.receive(ok_to(notify), UDP, 1.1)
    assert any(isinstance(effect, SessionEnded) for effect in it.receive(within("BYE", session, cseq=3), UDP, 1.2))
    (last,) = sent(it.notify_refer(session, number, 200, 1.3))
    assert (last.method, last.cseq.number, last.body) == ("NOTIFY", 2, b"SIP/2.0 200 OK\r\n")
    it.receive(ok_to(last, 481), UDP, 1.4)
    run_out(it, 1.4)
    assert it.status() == NOTHING


def test_notify_that_is_refused_with_481_ends_the_subscription() -> None:
    it = endpoint()
    session = established(it)
    number = told(it.receive(within("REFER", session, "Refer-To: <sip:carol@example.com>"), UDP, 1.0)).number
    _, notify = sent(it.accept_refer(session, number, 1.0))
    it.receive(ok_to(notify, 481), UDP, 1.1)
    assert it.notify_refer(session, number, 200, 1.2) == []
    assert it.status().sessions == 1, "the call goes on"


def test_subscription_that_nobody_ends_runs_out() -> None:
    it = endpoint()
    session = established(it)
    asked = it.receive(within("REFER", session, "Refer-To: <sip:carol@example.com>", "Expires: 60"), UDP, 1.0)
    _, notify = sent(it.accept_refer(session, told(asked).number, 1.0))
    assert notify.headers.get("Subscription-State") == "active;expires=60"
    it.receive(ok_to(notify), UDP, 1.1)
    later = [message for message in sent(it.expire(61.0)) if isinstance(message, Request)]
    assert [message.headers.get("Subscription-State") for message in later] == ["terminated;reason=timeout"]


def test_peer_may_subscribe_longer_and_end_the_subscription() -> None:
    it = endpoint()
    session = established(it)
    number = told(it.receive(within("REFER", session, "Refer-To: <sip:carol@example.com>"), UDP, 1.0)).number
    _, notify = sent(it.accept_refer(session, number, 1.0))
    it.receive(ok_to(notify), UDP, 1.1)
    answer, again = sent(it.receive(within("SUBSCRIBE", session, "Event: refer", "Expires: 90", cseq=3), UDP, 2.0))
    assert (answer.status, answer.headers.get("Expires")) == (200, "90")
    assert (again.headers.get("Subscription-State"), again.body) == ("active;expires=90", b"SIP/2.0 100 Trying\r\n")
    it.receive(ok_to(again), UDP, 2.1)
    answer, last = sent(
        it.receive(within("SUBSCRIBE", session, f"Event: refer;id={number}", "Expires: 0", cseq=4), UDP, 3.0)
    )
    assert last.headers.get("Subscription-State") == "terminated;reason=timeout"
    it.receive(ok_to(last), UDP, 3.1)
    assert it.notify_refer(session, number, 200, 3.2) == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 400),
        (("Refer-To: <sip:a@example.com>", "Refer-To: <sip:b@example.com>"), 400),
        (("Refer-To: <sip:a@example.com>, <sip:b@example.com>",), 400),
        (("Refer-To: sip:a@example.com?Replaces=x",), 400),
        (("Refer-To: <sip:a b@example.com>",), 400),
        (("Refer-To: <http://example.com/>",), 416),
        (("Refer-To: <mailto:a@example.com>",), 416),
        (("Refer-To: <sip:a@example.com;method=SUBSCRIBE>",), 501),
        (("r: <sip:a@example.com?Replaces=c%3Bto-tag%3Da>",), 400),
        (("r: <sip:a@example.com?Replaces=c%3Bto-tag%3Da%3Bfrom-tag%3Db&Replaces=d>",), 400),
        (("r: <sip:a@example.com>", "b: <sip:x@example.com>", "Referred-By: <sip:y@example.com>"), 400),
        (("r: <sip:a@example.com>", "Require: multiple-refer"), 420),
        (("r: <sip:a@example.com>", "Replaces: c;to-tag=a;from-tag=b"), 400),
    ],
)
def test_refer_that_asks_for_nothing_clear_is_refused(headers: tuple[str, ...], status: int) -> None:
    it = endpoint()
    session = established(it)
    assert only(it.receive(within("REFER", session, *headers), UDP, 1.0)).status == status
    assert it.status().sessions == 1


@pytest.mark.parametrize(
    ("value", "target", "number"),
    [
        ("<tel:+1-415-555-0123>", "tel:+1-415-555-0123", "+14155550123"),
        ("<tel:555-0123;phone-context=example.com>", "tel:555-0123;phone-context=example.com", "5550123"),
        ("<sip:+1(415)555.0123@example.com;user=phone>", None, "+14155550123"),
        ("sip:carol@example.com", "sip:carol@example.com", "carol"),
        (
            '"Carol" <sip:carol@example.com;method=INVITE?Subject=x&Route=%3Csip:evil%3E>',
            "sip:carol@example.com",
            "carol",
        ),
    ],
)
def test_target_of_a_refer_is_a_number_or_a_name_and_brings_no_headers_of_its_own(
    value: str, target: str | None, number: str
) -> None:
    it = endpoint()
    session = established(it)
    event = told(it.receive(within("REFER", session, f"Refer-To: {value}", "b: <tel:+14155550100>"), UDP, 1.0))
    assert event.refer.target.number_or_user == number
    assert target is None or str(event.refer.target) == target
    assert event.refer.referred_by == "+14155550100"


def test_stranger_makes_us_call_nobody_by_a_refer_outside_of_any_call() -> None:
    it = endpoint()
    assert only(it.receive(text("REFER", "Refer-To: <tel:+19005550100>"), UDP, 0.0)).status == 403
    assert only(it.receive(within("REFER", "unknown", "Refer-To: <sip:a@b>"), UDP, 0.0)).status == 481
    assert it.status() == NOTHING


@pytest.mark.parametrize(
    ("method", "event", "status"),
    [
        ("SUBSCRIBE", "presence", 489),
        ("SUBSCRIBE", "message-summary", 489),
        ("SUBSCRIBE", None, 489),
        ("SUBSCRIBE", "refer", 403),
        ("SUBSCRIBE", "refer;id=x", 400),
        ("NOTIFY", "message-summary", 489),
        ("NOTIFY", "refer", 481),
    ],
)
def test_what_nobody_subscribed_to_is_refused(method: str, event: str | None, status: int) -> None:
    headers = () if event is None else (f"Event: {event}",)
    it = endpoint()
    for data in (text(method, *headers, call_id="another"), within(method, established(it), *headers)):
        answer = only(it.receive(data, UDP, 1.0))
        assert answer.status == status
        assert (answer.headers.get("Allow-Events") == "refer") is (status == 489)


def test_peer_cannot_pile_references_up() -> None:
    it = endpoint()
    session = established(it)
    for cseq in range(2, 2 + MAX_REFERENCES):
        told(it.receive(within("REFER", session, "Refer-To: <sip:a@example.com>", cseq=cseq), UDP, 1.0))
    late = within("REFER", session, "Refer-To: <sip:a@example.com>", cseq=99)
    assert only(it.receive(late, UDP, 1.0)).status == 491


def test_refer_names_the_call_of_ours_that_it_wants_replaced() -> None:
    it = endpoint()
    other, session = up(it, "other"), up(it, "this")
    value = f"<sip:b@192.0.2.1?Replaces=other%3Bto-tag%3D{other}%3Bfrom-tag%3Da>"
    event = told(it.receive(within("REFER", session, f"Refer-To: {value}", call_id="this"), UDP, 1.0))
    assert event.replaces == other
    assert str(event.refer.target) == "sip:b@192.0.2.1"


def test_refer_that_replaces_a_call_we_do_not_have_is_told_481_and_ends_nothing() -> None:
    """A 481 to the REFER itself would end the call that it came in (RFC 5057 5.1)."""
    it = endpoint()
    session = established(it)
    value = "<sip:b@192.0.2.1?Replaces=guessed%3Bto-tag%3Dx%3Bfrom-tag%3Dy>"
    answer, _, last = sent(it.receive(within("REFER", session, f"Refer-To: {value}"), UDP, 1.0))
    assert answer.status == 202
    assert last.body == b"SIP/2.0 481 Call/Transaction Does Not Exist\r\n"
    assert last.headers.get("Subscription-State") == "terminated;reason=noresource"


# -- helpers -------------------------------------------------------------------------------------------------------


def told(effects: list[Any]) -> ReferReceived:
    (event,) = [effect for effect in effects if isinstance(effect, ReferReceived)]
    return event


def ok_to(request: Request, status: int = 200) -> bytes:
    return request.response(status).to_bytes()


def up(it: Endpoint, call_id: str) -> str:
    """The session of one call of several that came in and are up."""
    via = f"SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{call_id};rport"
    session = invited(it.receive(invite(call_id=call_id, via=via), UDP, 0.0))
    it.answer(session, ANSWER, 0.0)
    it.receive(within("ACK", session, cseq=1, call_id=call_id, via=via + "x"), UDP, 0.1)
    return session
