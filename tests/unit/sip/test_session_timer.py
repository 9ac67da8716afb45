"""Session timers (RFC 4028): sessions are refreshed, and one whose peer has vanished ends by itself."""

from __future__ import annotations

import pytest

from callcenter.sip.errors import SipParseError
from callcenter.sip.events import (
    Answered,
    EndedBy,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    Rejected,
    Send,
)
from callcenter.sip.flow import Transport
from callcenter.sip.headers import Headers
from callcenter.sip.message import Request, Response
from callcenter.sip.session_timer import (
    Refreshing,
    SessionTimer,
    agreed_by,
    answer_to,
    min_se,
    offer_headers,
    session_expires,
    too_small,
)
from callcenter.sip.uri import Uri
from tests.unit.sip.lossy import ANSWER, HOLD, Phone, Wire
from tests.unit.sip.test_invite import ended
from tests.unit.sip.test_reliable import from_ana, to_bob

TIMER = SessionTimer(expires=180, least=90)


def request(*headers: tuple[str, str]) -> Request:
    return Request("INVITE", Uri.parse("sip:1000@192.0.2.1"), Headers(headers))


def response(*headers: tuple[str, str]) -> Response:
    return Response(200, "OK", Headers(headers))


# -- what two sides agree on ---------------------------------------------------------------------------------------

ABLE = ("Supported", "timer")


@pytest.mark.parametrize(
    ("headers", "agreed", "says"),
    [
        # Table 2 of RFC 4028: what the caller can, whom it names, and who refreshes then.
        ([("Session-Expires", "120")], Refreshing(120, True, False), "120;refresher=uas"),
        ([("Session-Expires", "120;refresher=uac")], Refreshing(120, True, False), "120;refresher=uas"),
        ([ABLE, ("Session-Expires", "120")], Refreshing(120, False, True), "120;refresher=uac"),
        ([ABLE, ("Session-Expires", "120;refresher=uac")], Refreshing(120, False, True), "120;refresher=uac"),
        ([ABLE, ("Session-Expires", "120;refresher=uas")], Refreshing(120, True, True), "120;refresher=uas"),
        # Without a wish of its own it gets ours; a longer one is cut, but not below its Min-SE.
        ([], Refreshing(180, True, False), "180;refresher=uas"),
        ([ABLE], Refreshing(180, False, True), "180;refresher=uac"),
        ([ABLE, ("x", "7200")], Refreshing(180, False, True), "180;refresher=uac"),
        ([ABLE, ("x", "7200"), ("Min-SE", "3600")], Refreshing(3600, False, True), "3600;refresher=uac"),
        ([("Min-SE", "600")], Refreshing(600, True, False), "600;refresher=uas"),
        # A proxy wrote too little for a caller that cannot help it.
        ([("Session-Expires", "5")], Refreshing(90, True, False), "90;refresher=uas"),
    ],
)
def test_answer_agrees_as_the_table_of_the_rfc_says(
    headers: list[tuple[str, str]], agreed: Refreshing, says: str
) -> None:
    got, written = answer_to(TIMER, request(*headers), None)
    assert got == agreed
    assert dict(written)["Session-Expires"] == says
    assert (("Require", "timer") in written) is (agreed.mutual and not agreed.ours)


@pytest.mark.parametrize(
    ("headers", "agreed"),
    [
        ([], Refreshing(180, True, False)),
        ([("Session-Expires", "120;refresher=uac")], Refreshing(120, True, True)),
        ([("Session-Expires", "120;refresher=uas")], Refreshing(120, False, True)),
        ([("Session-Expires", "120")], Refreshing(120, True, True)),
        ([("Session-Expires", "1;refresher=uac")], Refreshing(90, True, True)),
        ([("Session-Expires", "soon")], Refreshing(180, True, False)),
    ],
)
def test_answer_of_the_peer_decides_who_refreshes(headers: list[tuple[str, str]], agreed: Refreshing) -> None:
    assert agreed_by(TIMER, response(*headers), 0, None) == agreed


def test_roles_stay_as_they_are_whoever_asks_next() -> None:
    for ours, says in ((True, "uac"), (False, "uas")):
        agreed = Refreshing(120, ours, True)
        assert offer_headers(TIMER, 0, agreed) == [("Session-Expires", f"120;refresher={says}")]
        got, _ = answer_to(TIMER, request(ABLE, ("Session-Expires", "120")), agreed)
        assert got == agreed
    assert offer_headers(TIMER, 0, None) == [("Session-Expires", "180")]
    assert offer_headers(TIMER, 400, None) == [("Session-Expires", "400"), ("Min-SE", "400")]


def test_interval_that_is_too_short_is_refused_only_where_the_peer_can_do_better() -> None:
    assert too_small(TIMER, request(ABLE, ("Session-Expires", "89")))
    assert not too_small(TIMER, request(ABLE, ("Session-Expires", "90")))
    assert not too_small(TIMER, request(("Session-Expires", "89")))
    assert not too_small(TIMER, request(ABLE))


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1.5", "90 s", ";refresher=uac"])
def test_interval_that_is_none_is_no_interval(text: str) -> None:
    with pytest.raises(SipParseError):
        session_expires(request(("Session-Expires", text)))


def test_min_se_is_read_with_parameters_and_refused_without_a_number() -> None:
    assert min_se(request(("Min-SE", "120;lr"))) == 120
    assert min_se(request()) == 0
    with pytest.raises(SipParseError):
        min_se(request(("Min-SE", "x")))


def test_side_that_waits_gives_up_shortly_before_the_end() -> None:
    """RFC 4028 10: 32 s before, or a third of the interval."""
    assert Refreshing(1800, False, True).ends_after == 1768
    assert Refreshing(90, False, True).ends_after == 60
    assert Refreshing(1800, True, True).refresh_after == 900


# -- sessions ------------------------------------------------------------------------------------------------------


def talking(
    ours: SessionTimer | None = TIMER, theirs: SessionTimer | None = TIMER, transport: Transport = Transport.UDP
) -> tuple[Wire, Phone, Phone, str]:
    wire = Wire(transport=transport)
    ana = wire.phone("ana", "192.0.2.1", session_timer=ours)
    bob = wire.phone("bob", "192.0.2.2", session_timer=theirs)
    bob.answers_by_itself()
    ana.accepts_reinvites()
    session = ana.call(bob)
    wire.run(2)
    return wire, ana, bob, session


def refreshes(phone: Phone) -> list[float]:
    """When it sent one, in seconds since the answer; a repeated one counts once."""
    times = {
        message.cseq.number: at
        for at, message in reversed(phone.sent)
        if isinstance(message, Request) and message.method in ("UPDATE", "INVITE") and message.to_tag is not None
    }
    return [round(at - 1000.2, 1) for at in sorted(times.values())]


def test_caller_refreshes_at_half_time_by_update_and_nobody_is_told() -> None:
    wire, ana, bob, session = talking()
    assert ana.sent_of("INVITE")[0][1].headers.get("Session-Expires") == "180"
    answer = bob.sent_of("INVITE", 200)[0][1]
    assert answer.headers.get("Session-Expires") == "180;refresher=uac"
    assert answer.headers.get("Require") == "timer"
    told = len(ana.told), len(bob.told)
    wire.run(600)
    assert refreshes(ana) == pytest.approx([90, 180, 270, 360, 450, 540], abs=0.5)
    assert not refreshes(bob)
    assert all(message.body == b"" for _, message in ana.sent_of("UPDATE"))
    assert (len(ana.told), len(bob.told)) == told
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_peer_without_session_timers_is_looked_after_by_us_alone() -> None:
    for ours, theirs in ((TIMER, None), (None, TIMER)):
        wire, ana, bob, session = talking(ours, theirs)
        alone, other = (ana, bob) if ours else (bob, ana)
        wire.run(600)
        assert len(refreshes(alone)) == 6
        assert not refreshes(other)
        ana.do("hangup", session)
        wire.settle()
        wire.nothing_is_left()


def test_without_session_timers_nobody_refreshes() -> None:
    wire, ana, bob, session = talking(None, None)
    wire.run(5000)
    assert not refreshes(ana)
    assert not refreshes(bob)
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def without_update(wire: Wire) -> None:
    carry = wire.carry
    wire.carry = lambda sender, send: carry(  # type: ignore[method-assign]
        sender, Send(send.flow, send.data.replace(b", UPDATE", b""), send.key)
    )


def test_peer_that_takes_no_update_is_refreshed_by_the_same_description_and_nobody_is_told() -> None:
    wire = Wire()
    ana, bob = wire.pair(session_timer=TIMER)
    without_update(wire)
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(2)
    told = len(ana.told), len(bob.told)
    wire.run(200)
    first, *again = [message for _, message in ana.sent_of("INVITE")]
    assert [message.body for message in again] == [first.body] * 2
    assert (len(ana.told), len(bob.told)) == told
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_peer_that_refuses_update_after_all_is_refreshed_by_reinvite() -> None:
    wire, ana, bob, session = talking(TIMER, None)
    wire.fate = lambda _i, data: [] if data.startswith(b"UPDATE") else [0.01]
    wire.run(90)
    refused = ana.sent_of("UPDATE")[0][1].response(405)
    wire.deliver(ana, refused.to_bytes(), ana.flow_to(bob))
    wire.run(1)
    assert len(ana.sent_of("INVITE")) == 2
    wire.run(500)
    assert {message.cseq.number for _, message in ana.sent_of("UPDATE")} == {2}
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_held_call_stays_held_when_it_is_refreshed() -> None:
    wire = Wire()
    ana, bob = wire.pair(session_timer=TIMER)
    without_update(wire)
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(2)
    ana.do("reinvite", session, HOLD)
    wire.run(200)
    assert [message.body for _, message in ana.sent_of("INVITE")][-1] == HOLD
    assert [event.offer for event in bob.heard(ReinviteReceived)] == [HOLD]
    ana.one(ReinviteAnswered)


@pytest.mark.parametrize("vanished", ["caller", "called"])
def test_call_whose_peer_has_vanished_ends_by_itself(vanished: str) -> None:
    """The caller refreshes: it hears no answer; the called side hears no refresh."""
    wire, ana, bob, _session = talking()
    stays = bob if vanished == "caller" else ana
    wire.phones.pop((ana if vanished == "caller" else bob).address)
    wire.run(300)
    assert ended(stays)[0] is EndedBy.TIMEOUT
    assert ended(stays)[1] == 408
    ((at, bye),) = stays.sent_of("BYE")[:1]
    if vanished == "caller":
        assert at - 1000.2 == pytest.approx(180 - 32, abs=0.5)
        assert bye.headers.get("Reason") == 'SIP;cause=408;text="Session timer expired"'
    else:
        # No answer to the refresh within 64*T1 says it first.
        assert at - 1000.2 == pytest.approx(90 + 32, abs=0.5)
    wire.settle()
    assert stays.endpoint.status().sessions == 0


def test_short_interval_is_over_before_the_refresh_has_timed_out() -> None:
    short = SessionTimer(expires=6, least=4)
    wire, ana, bob, _session = talking(short, short)
    wire.phones.pop(bob.address)
    wire.run(6)
    assert ended(ana) == (EndedBy.TIMEOUT, 408)
    wire.settle()
    assert ana.endpoint.status().sessions == 0


@pytest.mark.parametrize("kind", ["UPDATE", "200"])
def test_refresh_that_gets_lost_is_sent_again(kind: str) -> None:
    wire, ana, bob, session = talking()
    lost: list[bytes] = []

    def fate(_index: int, data: bytes) -> list[float]:
        matches = data.startswith(b"UPDATE") if kind == "UPDATE" else b"CSeq: 2 UPDATE" in data and data[:3] == b"SIP"
        if matches and len(lost) < 3:
            lost.append(data)
            return []
        return [0.01]

    wire.fate = fate
    wire.run(400)
    assert len(lost) == 3
    assert len(refreshes(ana)) == 4
    ana.do("hangup", session)
    wire.settle()
    assert ended(bob) == (EndedBy.PEER, 200)
    wire.nothing_is_left()


def test_refresh_that_meets_a_change_of_the_peer_is_made_after_it() -> None:
    wire = Wire()
    ana, bob = wire.pair(session_timer=TIMER)
    without_update(wire)
    bob.answers_by_itself()
    ana.accepts_reinvites()
    session = ana.call(bob)
    wire.run(90.215)
    bob.do("reinvite", bob.session, HOLD)
    wire.run(20)
    assert len(ana.sent_of("INVITE", 491)) == len(bob.sent_of("INVITE", 491)) == 1
    assert len(ana.heard(ReinviteReceived)) == 1
    wire.run(300)
    assert not ana.heard(ReinviteRejected)
    ana.do("hangup", session)
    wire.settle()
    assert ended(bob) == (EndedBy.PEER, 200)
    wire.nothing_is_left()


def test_refused_refresh_is_tried_again_and_the_call_ends_when_the_peer_keeps_refusing() -> None:
    wire, ana, bob, _session = talking()
    wire.phones.pop(bob.address)
    refused: set[int] = set()
    for _ in range(400):
        wire.run(0.4)
        for message in [each for _, each in ana.sent if isinstance(each, Request) and each.to_tag is not None]:
            if message.method in ("UPDATE", "INVITE") and message.cseq.number not in refused:
                refused.add(message.cseq.number)
                wire.deliver(ana, message.response(488).to_bytes(), ana.flow_to(bob))
    assert len(refused) >= 3
    assert ended(ana) == (EndedBy.TIMEOUT, 408)


def test_peer_that_knows_no_session_timers_and_refuses_every_refresh_is_there_all_the_same() -> None:
    wire, ana, bob, session = talking(TIMER, None)
    bob.on[ReinviteReceived] = lambda event: bob.do("reject_reinvite", event.session, 488)
    wire.fate = lambda _i, data: [] if data.startswith(b"UPDATE") else [0.01]
    refused: set[int] = set()
    for _ in range(500):
        wire.run(1)
        for _, message in ana.sent_of("UPDATE"):
            if message.cseq.number not in refused:
                refused.add(message.cseq.number)
                wire.deliver(ana, message.response(403).to_bytes(), ana.flow_to(bob))
    assert not ana.heard(ReinviteRejected)
    ana.do("hangup", session)
    wire.settle()
    assert ended(bob) == (EndedBy.PEER, 200)


def test_proxy_that_wants_a_password_for_every_refresh_does_not_end_the_call() -> None:
    wire, ana, bob, session = talking()
    wire.fate = lambda _i, data: [] if data.startswith(b"UPDATE") else [0.01]
    challenged: set[int] = set()
    for _ in range(130):
        wire.run(1)
        for _, message in ana.sent_of("UPDATE"):
            if message.cseq.number not in challenged:
                challenged.add(message.cseq.number)
                wire.deliver(ana, message.response(407).to_bytes(), ana.flow_to(bob))
    assert len(challenged) == 1
    assert len(ana.sent_of("INVITE")) == 1
    ana.do("hangup", session)
    wire.settle()
    assert ended(bob) == (EndedBy.PEER, 200)


# -- 422 -----------------------------------------------------------------------------------------------------------


def test_call_with_too_short_an_interval_is_refused_422_and_made_again_with_a_longer_one() -> None:
    wire = Wire()
    ana = wire.phone("ana", "192.0.2.1", session_timer=SessionTimer(expires=100, least=90))
    bob = wire.phone("bob", "192.0.2.2", session_timer=SessionTimer(expires=1800, least=600))
    bob.answers_by_itself()
    session = ana.call(bob, headers=[("X-Note", "kept")])
    wire.run(2)
    ((_, refusal),) = bob.sent_of("INVITE", 422)
    assert refusal.headers.get("Min-SE") == "600"
    first, second = [message for _, message in ana.sent_of("INVITE")]
    assert (second.headers.get("Session-Expires"), second.headers.get("Min-SE")) == ("600", "600")
    assert second.headers.get("X-Note") == "kept"
    assert (second.call_id, second.from_tag, second.cseq.number) == (first.call_id, first.from_tag, 2)
    assert len(second.headers.all("User-Agent")) == len(second.headers.all("Supported")) == 1
    assert ana.one(Answered).sdp == ANSWER
    wire.run(900)
    assert refreshes(ana) == pytest.approx([300, 600, 900], abs=1)
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_peer_that_refuses_every_interval_is_called_no_more() -> None:
    wire = Wire()
    ana, bob = wire.pair(session_timer=TIMER)
    wire.phones.pop(bob.address)
    ana.call(bob)
    for number in range(10):
        message = ana.sent_of("INVITE")[-1][1]
        refusal = message.response(422, to_tag="x", headers=[("Min-SE", str(500 + min(number, 3)))])
        wire.deliver(ana, refusal.to_bytes(), ana.flow_to(bob))
    assert ana.one(Rejected).status == 422
    assert len({message.cseq.number for _, message in ana.sent_of("INVITE")}) == 5


def test_422_without_a_number_is_a_refusal_like_any_other() -> None:
    for header in ([], [("Min-SE", "x")]):
        wire = Wire()
        ana, bob = wire.pair(session_timer=TIMER)
        wire.phones.pop(bob.address)
        ana.call(bob)
        refusal = ana.sent_of("INVITE")[0][1].response(422, to_tag="x", headers=header)
        wire.deliver(ana, refusal.to_bytes(), ana.flow_to(bob))
        assert ana.one(Rejected).status == 422
        wire.settle()
        wire.nothing_is_left()


def test_hang_up_between_a_422_and_the_answer_takes_the_second_invite_back() -> None:
    wire = Wire()
    ana = wire.phone("ana", "192.0.2.1", session_timer=SessionTimer(expires=100, least=90))
    bob = wire.phone("bob", "192.0.2.2", session_timer=SessionTimer(expires=1800, least=600))
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(0.1)
    assert len(ana.sent_of("INVITE")) == 2
    ana.do("hangup", session)
    wire.settle()
    assert ended(bob) == (EndedBy.PEER, 487)
    wire.nothing_is_left()


def test_update_and_reinvite_with_too_short_an_interval_are_refused_too() -> None:
    wire, ana, bob, _session = talking()
    for cseq, method in ((9, "UPDATE"), (11, "INVITE")):
        short = from_ana(ana, bob, method, cseq, "Session-Expires: 30", "Supported: timer")
        wire.deliver(bob, short, to_bob(ana, bob))
        assert bob.sent_of(method, 422)[0][1].headers.get("Min-SE") == "90"
        spoiled = from_ana(ana, bob, method, cseq + 1, "Session-Expires: x", "Supported: timer")
        wire.deliver(bob, spoiled, to_bob(ana, bob))
        assert len(bob.sent_of(method, 400)) == 1
    assert not bob.heard(ReinviteReceived)


def test_refresh_refused_422_is_made_again_at_once_with_what_the_peer_wants() -> None:
    wire, ana, bob, session = talking()
    wire.fate = lambda _i, data: [] if data.startswith(b"UPDATE") and b"Min-SE" not in data else [0.01]
    wire.run(90)
    refusal = ana.sent_of("UPDATE")[0][1].response(422, headers=[("Min-SE", "300")])
    wire.deliver(ana, refusal.to_bytes(), ana.flow_to(bob))
    wire.run(1)
    last = ana.sent_of("UPDATE")[-1][1]
    assert last.headers.get("Session-Expires") == "300;refresher=uac"
    assert len(bob.sent_of("UPDATE", 200)) == 1
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_whoever_must_have_session_timers_is_refused_where_they_are_off() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    ana.call(bob, headers=[("Require", "timer")])
    wire.settle()
    assert ana.one(Rejected).status == 420
    wire.nothing_is_left()


# -- moving --------------------------------------------------------------------------------------------------------


def test_adopted_session_is_refreshed_soon_and_by_the_side_that_did_it_before() -> None:
    wire, ana, bob, session = talking()
    wire.run(60)
    for old, name, host, own, ours in (
        (ana, "ana", "192.0.2.1", session, True),
        (bob, "bob", "192.0.2.2", bob.session, False),
    ):
        state = old.endpoint.dialog_state(own)
        assert state is not None
        assert (state.session_interval, state.refreshes, state.mutual, state.updates) == (180, ours, True, True)
        wire.phones.pop(old.address)
        successor = wire.phone(name, host, session_timer=TIMER)
        adopted = successor.endpoint.adopt(state, wire.now)
        if ours:
            wire.run(25)
            assert len(successor.sent_of("UPDATE")) == 1
            ana = successor
        else:
            wire.run(500)
            assert not successor.sent_of("UPDATE")
            successor.do("hangup", adopted)
            wire.settle()
            assert ended(ana) == (EndedBy.PEER, 200)


def test_refresh_over_tcp_needs_no_repetition() -> None:
    wire, ana, bob, session = talking(transport=Transport.TCP)
    wire.run(400)
    assert len(ana.sent_of("UPDATE")) == len(refreshes(ana)) == 4
    ana.do("hangup", session)
    wire.settle()
    assert ended(bob) == (EndedBy.PEER, 200)
    wire.nothing_is_left()
