"""Sessions between two endpoints over a wire that loses and doubles datagrams, in injected time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.sip.events import (
    Acknowledged,
    Answered,
    EndedBy,
    InfoReceived,
    InviteReceived,
    ProgressAnswered,
    Progressed,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    Rejected,
    Send,
    SessionEnded,
)
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Response
from callcenter.sip.session_timer import SessionTimer
from callcenter.sip.uri import Uri
from tests.unit.sip.lossy import ANSWER, HOLD, OFFER, Fate, Phone, Wire


def first_line(data: bytes) -> str:
    return data.split(b"\r\n", 1)[0].decode()


def ended(phone: Phone) -> tuple[EndedBy, int]:
    """How the one session of the phone ended."""
    event = phone.one(SessionEnded)
    return event.by, event.status


# -- the good call -------------------------------------------------------------------------------------------------


def test_good_call_rings_is_answered_acknowledged_and_hung_up() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(5)
    assert ana.one(Progressed).status == 180
    assert ana.one(Answered).sdp == ANSWER
    assert bob.one(InviteReceived).offer == OFFER
    assert bob.one(Acknowledged).sdp is None
    ana.do("hangup", session)
    # Told at once: nobody waits for the answer of the BYE.
    assert ended(ana) == (EndedBy.LOCAL, 200)
    wire.run(1)
    assert ended(bob) == (EndedBy.PEER, 200)
    assert [first_line(data) for data in wire.carried] == [
        "INVITE sip:bob@192.0.2.2:5060 SIP/2.0",
        "SIP/2.0 100 Trying",
        "SIP/2.0 180 Ringing",
        "SIP/2.0 200 OK",
        "ACK sip:bob@192.0.2.2:5060 SIP/2.0",
        "BYE sip:bob@192.0.2.2:5060 SIP/2.0",
        "SIP/2.0 200 OK",
    ]
    wire.settle()
    wire.nothing_is_left()


def test_called_side_can_hang_up_too() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    ana.call(bob)
    wire.run(5)
    bob.do("hangup", bob.session)
    wire.run(1)
    assert (ended(ana), ended(bob)) == ((EndedBy.PEER, 200), (EndedBy.LOCAL, 200))
    wire.settle()
    wire.nothing_is_left()


def test_both_hanging_up_at_once_end_the_call_once_each() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(5)
    ana.do("hangup", session)
    bob.do("hangup", bob.session)
    ana.do("hangup", session)
    wire.settle()
    assert (ended(ana), ended(bob)) == ((EndedBy.LOCAL, 200), (EndedBy.LOCAL, 200))
    wire.nothing_is_left()


def test_messages_of_one_dialog_share_tags_and_count_up() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(5)
    ana.do("hangup", session)
    wire.run(1)
    (_, invite), (_, ack), (_, bye) = (ana.sent_of(method)[0] for method in ("INVITE", "ACK", "BYE"))
    assert ack.cseq.number == invite.cseq.number
    assert bye.cseq.number == invite.cseq.number + 1
    assert len({message.call_id for message in (invite, ack, bye)}) == 1
    assert ack.to_tag == bye.to_tag == bob.session
    assert ack.from_tag == bye.from_tag == invite.from_tag == session
    assert len({message.via.branch for message in (invite, ack, bye)}) == 3


def test_reason_of_a_hang_up_reaches_the_other_side() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(5)
    ana.do("hangup", session, status=503, reason='no "media"', headers=[("X-Cause", "1")])
    wire.settle()
    assert bob.one(SessionEnded).reason == r'SIP;cause=503;text="no \"media\""'
    assert ana.sent_of("BYE")[0][1].headers.get("X-Cause") == "1"


# -- refusals, cancelling ------------------------------------------------------------------------------------------


def test_refused_call_tells_the_caller_status_and_reason() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do(
        "reject", event.session, 486, reason="On a call", headers=[("Retry-After", "30")]
    )
    ana.call(bob)
    wire.settle()
    rejected = ana.one(Rejected)
    assert (rejected.status, rejected.reason) == (486, "On a call")
    assert rejected.response is not None
    assert rejected.response.headers.get("Retry-After") == "30"
    assert (ended(ana), ended(bob)) == ((EndedBy.PEER, 486), (EndedBy.LOCAL, 486))
    assert len(ana.sent_of("ACK")) == 1
    wire.nothing_is_left()


def test_hang_up_of_a_call_that_rings_here_refuses_it() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session)
    ana.call(bob)
    wire.run(1)
    bob.do("hangup", bob.session)
    wire.settle()
    assert (ended(ana), ended(bob)) == ((EndedBy.PEER, 480), (EndedBy.LOCAL, 480))
    wire.nothing_is_left()


def test_call_answered_elsewhere_is_refused_when_it_rings_and_taken_back_with_the_reason_when_it_goes_out() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session)
    session = ana.call(bob)
    wire.run(1)
    ana.do("hangup", session, status=200, reason="Call completed elsewhere")
    wire.settle()
    assert bob.one(SessionEnded).reason == 'SIP;cause=200;text="Call completed elsewhere"'

    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("hangup", event.session, status=200)
    ana.call(bob)
    wire.settle()
    assert ended(ana) == (EndedBy.PEER, 480)
    wire.nothing_is_left()


def test_call_to_nobody_times_out_as_408() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    wire.phones.pop(bob.address)
    ana.call(bob)
    wire.settle()
    assert (ana.one(Rejected).status, ana.one(Rejected).response) == (408, None)
    assert ended(ana) == (EndedBy.TIMEOUT, 408)
    assert [round(at - 1000, 3) for at, _ in ana.sent_of("INVITE")] == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    wire.nothing_is_left()


def test_call_that_cannot_be_sent_is_refused_503() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    wire.phones.pop(bob.address)
    session, effects = ana.endpoint.invite(
        target=Uri.parse("sip:bob@192.0.2.2"),
        flow=ana.flow_to(bob),
        from_=NameAddr.parse("<sip:ana@192.0.2.1>"),
        to=NameAddr.parse("<sip:bob@192.0.2.2>"),
        sdp=OFFER,
        now=0.0,
    )
    (send,) = effects
    assert isinstance(send, Send)
    told = ana.endpoint.send_failed(send.key, 0.0)
    assert told == [
        Rejected(session, 503, "Service Unavailable", None),
        SessionEnded(session, EndedBy.TRANSPORT, 503, "Service Unavailable"),
    ]
    wire.nothing_is_left()


@pytest.mark.parametrize("step", range(45))
def test_caller_may_hang_up_at_every_moment(step: int) -> None:
    """At each 10 ms of ringing and answering: the call ends for both, whatever was on its way then."""
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.later(step * 0.01 + 0.001, lambda: ana.do("hangup", session))
    wire.settle()
    assert ana.one(SessionEnded).by is EndedBy.LOCAL
    assert bob.one(SessionEnded).by is EndedBy.PEER
    assert not ana.heard(Rejected)
    wire.nothing_is_left()


@pytest.mark.parametrize("step", range(45))
def test_called_side_may_hang_up_at_every_moment(step: int) -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    ana.call(bob)

    def hang_up() -> None:
        for event in bob.heard(InviteReceived):
            bob.do("hangup", event.session)

    wire.later(step * 0.01 + 0.011, hang_up)
    wire.settle()
    assert ana.one(SessionEnded).by is EndedBy.PEER
    assert bob.one(SessionEnded).by is EndedBy.LOCAL
    wire.nothing_is_left()


def test_cancel_waits_for_a_provisional_answer() -> None:
    """The first answers are late: no CANCEL before one came, then at once."""
    wire = Wire(lambda _index, data: [2.0] if data.startswith(b"SIP/2.0 1") else [0.01])
    ana, bob = wire.pair()
    session = ana.call(bob)
    wire.run(0.1)
    ana.do("hangup", session)
    assert ended(ana) == (EndedBy.LOCAL, 487)
    wire.run(1.0)
    assert not ana.sent_of("CANCEL")
    wire.settle()
    ((at, cancel),) = ana.sent_of("CANCEL")
    invite = ana.sent_of("INVITE")[0][1]
    assert at == pytest.approx(1002.01)
    assert cancel.via == invite.via
    assert (cancel.cseq.number, cancel.to_tag) == (invite.cseq.number, None)
    assert ended(bob) == (EndedBy.PEER, 487)
    wire.nothing_is_left()


def test_200_that_crosses_the_cancel_is_acknowledged_and_hung_up() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session)
    session = ana.call(bob)
    wire.run(1)
    ana.do("hangup", session)
    bob.do("answer", bob.session, ANSWER)
    wire.settle()
    assert len(ana.sent_of("CANCEL")) == len(ana.sent_of("ACK")) == len(ana.sent_of("BYE")) == 1
    assert not ana.heard(Answered)
    assert ended(ana) == (EndedBy.LOCAL, 487)
    assert ended(bob) == (EndedBy.PEER, 200)
    wire.nothing_is_left()


def test_cancel_that_is_never_answered_lets_the_call_go_after_32_seconds() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session)
    session = ana.call(bob)
    wire.run(1)
    wire.fate = lambda _index, _data: []
    ana.do("hangup", session)
    wire.run(31.9)
    assert ana.endpoint.status().sessions == 1
    wire.run(0.2)
    assert ana.endpoint.status().sessions == 0
    # The called side has heard nothing of it, and still rings.
    bob.do("hangup", bob.session)
    wire.settle()
    wire.nothing_is_left()


def test_invitation_is_refused_when_its_time_has_run_out() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session)
    ana.call(bob, headers=[("Expires", "20")])
    wire.run(19)
    assert not bob.heard(SessionEnded)
    wire.settle()
    assert ended(bob) == (EndedBy.TIMEOUT, 487)
    assert ended(ana) == (EndedBy.PEER, 487)
    wire.nothing_is_left()


def test_ringing_is_said_again_every_minute() -> None:
    wire = Wire()
    ana, bob = wire.pair(supported=())
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session, status=183, sdp=ANSWER)
    ana.call(bob)
    wire.run(130)
    assert [(event.status, event.sdp) for event in ana.heard(Progressed)] == [(183, ANSWER)] * 3
    bob.do("answer", bob.session, ANSWER)
    wire.run(100)
    assert len(ana.heard(Progressed)) == 3


# -- loss ----------------------------------------------------------------------------------------------------------

Story = Callable[[Wire, Phone, Phone], None]


def whole_call(wire: Wire, ana: Phone, bob: Phone) -> None:
    """Ring, answer, a re-INVITE each way, and a hang-up; with time to mend between."""
    bob.answers_by_itself()
    ana.accepts_reinvites()
    session = ana.call(bob)
    wire.run(10)
    ana.do("reinvite", session, HOLD)
    wire.run(10)
    bob.do("reinvite", bob.session, OFFER)
    wire.run(10)
    ana.do("hangup", session)
    wire.settle()
    assert ana.one(Answered).sdp == ANSWER
    assert bob.one(Acknowledged).sdp is None
    assert ana.one(ReinviteAnswered).sdp == bob.one(ReinviteAnswered).sdp == ANSWER
    assert bob.one(ReinviteReceived).offer == HOLD
    assert ana.one(ReinviteReceived).offer == OFFER
    assert (ended(ana), ended(bob)) == ((EndedBy.LOCAL, 200), (EndedBy.PEER, 200))


def cancelled_call(wire: Wire, ana: Phone, bob: Phone) -> None:
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session)
    session = ana.call(bob)
    wire.run(10)
    ana.do("hangup", session)
    wire.settle()
    assert (ended(ana), ended(bob)) == ((EndedBy.LOCAL, 487), (EndedBy.PEER, 487))


def refused_call(wire: Wire, ana: Phone, bob: Phone) -> None:
    bob.on[InviteReceived] = lambda event: bob.do("reject", event.session, 486)
    ana.call(bob)
    wire.settle()
    assert ana.one(Rejected).status == 486
    assert (ended(ana), ended(bob)) == ((EndedBy.PEER, 486), (EndedBy.LOCAL, 486))


def early_call(wire: Wire, ana: Phone, bob: Phone) -> None:
    """Early media that is acknowledged, a change before the answer each way, the answer, and a hang-up."""
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session, status=183, sdp=ANSWER)
    for phone in (ana, bob):
        phone.accepts_reinvites()
    session = ana.call(bob)
    wire.run(10)
    ana.do("reinvite", session, HOLD)
    wire.run(10)
    bob.do("reinvite", bob.session, OFFER)
    wire.run(10)
    bob.do("answer", bob.session, ANSWER)
    wire.run(10)
    ana.do("hangup", session)
    wire.settle()
    assert ana.one(Progressed).sdp == ANSWER
    assert ana.one(ReinviteAnswered).sdp == bob.one(ReinviteAnswered).sdp == ANSWER
    assert (bob.one(ReinviteReceived).offer, ana.one(ReinviteReceived).offer) == (HOLD, OFFER)
    assert ana.one(Answered).sdp == OFFER
    assert (ended(ana), ended(bob)) == ((EndedBy.LOCAL, 200), (EndedBy.PEER, 200))


def delayed_call(wire: Wire, ana: Phone, bob: Phone) -> None:
    """The called side offers in its early media, and the caller answers in the PRACK."""
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session, status=183, sdp=OFFER)
    ana.on[Progressed] = lambda event: ana.do("acknowledge", event.session, ANSWER)
    session = ana.call(bob, None)
    wire.run(10)
    bob.do("answer", bob.session, OFFER)
    wire.run(10)
    ana.do("hangup", session)
    wire.settle()
    assert bob.one(ProgressAnswered).sdp == ANSWER
    assert ana.one(Answered).sdp == OFFER
    assert (ended(ana), ended(bob)) == ((EndedBy.LOCAL, 200), (EndedBy.PEER, 200))


def called_side_hangs_up(wire: Wire, ana: Phone, bob: Phone) -> None:
    bob.answers_by_itself(ring=False)
    ana.call(bob)
    wire.run(10)
    bob.do("hangup", bob.session)
    wire.settle()
    assert (ended(ana), ended(bob)) == ((EndedBy.PEER, 200), (EndedBy.LOCAL, 200))


STORIES: list[Story] = [whole_call, cancelled_call, refused_call, called_side_hangs_up, early_call, delayed_call]


def datagrams_of(story: Story) -> int:
    wire = Wire()
    story(wire, *wire.pair())
    wire.nothing_is_left()
    return len(wire.carried)


FATES: dict[str, list[float]] = {"lost": [], "doubled": [0.01, 0.02], "late": [0.8], "repeated late": [0.01, 4.9]}

# A network holds no datagram longer than T4, 5 s: after that, timers I and K let a transaction go.
HURT = [
    pytest.param(story, index, fate, id=f"{story.__name__}-{index}-{fate}")
    for story in STORIES
    for index in range(datagrams_of(story))
    for fate in FATES
]


@pytest.mark.parametrize(("story", "index", "fate"), HURT)
def test_one_datagram_lost_doubled_or_late_changes_nothing(story: Story, index: int, fate: str) -> None:
    wire = Wire(lambda number, _data: FATES[fate] if number == index else [0.01])
    story(wire, *wire.pair())
    wire.nothing_is_left()


@pytest.mark.parametrize("seed", range(20))
def test_a_third_of_all_datagrams_lost_only_takes_longer(seed: int) -> None:
    """No message is lost more than three times in a row: so long the patience of 32 s lasts."""
    random = Random(seed)
    misses: dict[str, int] = {}

    def fate(_index: int, data: bytes) -> list[float]:
        line = first_line(data)
        lost = random.random() < 0.33 and misses.get(line, 0) < 3
        misses[line] = misses.get(line, 0) + 1 if lost else 0
        return [] if lost else [0.01]

    wire = Wire(fate)
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(60)
    ana.one(Answered)
    bob.one(Acknowledged)
    ana.do("hangup", session)
    wire.settle()
    assert (ended(ana), ended(bob)) == ((EndedBy.LOCAL, 200), (EndedBy.PEER, 200))
    wire.nothing_is_left()


def test_200_is_repeated_until_the_ack_then_for_32_seconds_then_the_call_is_hung_up() -> None:
    wire = Wire(lambda _index, data: [] if data.startswith(b"ACK") else [0.01])
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("answer", event.session, ANSWER)
    ana.call(bob)
    wire.settle()
    times = [round(at - 1000.01, 3) for at, _ in bob.sent_of("INVITE", 200)]
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    # Each repeated 200 was acknowledged again.
    assert len(ana.sent_of("ACK")) == len(times)
    assert len({data for data in wire.carried if data.startswith(b"ACK")}) == 1
    assert bob.sent_of("BYE")[0][0] == pytest.approx(1032.01)
    assert ended(bob) == (EndedBy.TIMEOUT, 408)
    assert ended(ana) == (EndedBy.PEER, 200)
    wire.nothing_is_left()


def test_hang_up_before_the_ack_waits_for_it_with_the_bye() -> None:
    wire = Wire(lambda _index, data: [3.0] if data.startswith(b"ACK") else [0.01])
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("answer", event.session, ANSWER)
    ana.call(bob)
    wire.run(0.5)
    bob.do("hangup", bob.session)
    assert ended(bob) == (EndedBy.LOCAL, 200)
    wire.run(1.0)
    assert not bob.sent_of("BYE")
    wire.settle()
    assert bob.sent_of("BYE")[0][0] == pytest.approx(1003.02)
    assert not bob.heard(Acknowledged)
    wire.nothing_is_left()


def test_hang_up_before_an_ack_that_never_comes_says_bye_after_32_seconds() -> None:
    wire = Wire(lambda _index, data: [] if data.startswith(b"ACK") else [0.01])
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("answer", event.session, ANSWER)
    ana.call(bob)
    wire.run(0.5)
    bob.do("hangup", bob.session)
    wire.settle()
    assert bob.sent_of("BYE")[0][0] == pytest.approx(1032.01)
    wire.nothing_is_left()


def test_bye_to_somebody_who_is_gone_is_given_up() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(5)
    wire.fate = lambda _index, _data: []
    ana.do("hangup", session)
    wire.settle()
    assert len(ana.sent_of("BYE")) == 11
    assert ana.endpoint.status().sessions == 0


# -- TCP -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("story", STORIES)
def test_over_tcp_nothing_is_repeated(story: Story) -> None:
    wire = Wire(transport=Transport.TCP)
    ana, bob = wire.pair()
    story(wire, ana, bob)
    assert len(wire.carried) == len(set(wire.carried)) == datagrams_of(story)
    wire.nothing_is_left()
    for _, message in ana.sent + bob.sent:
        assert message.via.transport == "TCP"
        for contact in message.contacts:
            assert "transport=tcp" in str(contact)


def test_over_tcp_the_200_is_repeated_all_the_same() -> None:
    """What is lost may be lost behind a proxy."""
    wire = Wire(lambda _index, data: [] if data.startswith(b"ACK") else [0.01], Transport.TCP)
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("answer", event.session, ANSWER)
    ana.call(bob)
    wire.settle()
    assert len(bob.sent_of("INVITE", 200)) == 11
    wire.nothing_is_left()


# -- re-INVITE -----------------------------------------------------------------------------------------------------


def talking(fate: Fate | None = None) -> tuple[Wire, Phone, Phone, str]:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    ana.accepts_reinvites()
    session = ana.call(bob)
    wire.run(5)
    if fate is not None:
        wire.fate = fate
    return wire, ana, bob, session


def hang_up(wire: Wire, phone: Phone, session: str) -> None:
    phone.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_hold_and_resume_are_told_and_answered() -> None:
    wire, ana, bob, session = talking()
    for offer in (HOLD, OFFER):
        ana.do("reinvite", session, offer)
        wire.run(1)
    assert [event.offer for event in bob.heard(ReinviteReceived)] == [HOLD, OFFER]
    assert len(ana.heard(ReinviteAnswered)) == 2
    numbers = [message.cseq.number for _, message in ana.sent_of("INVITE")]
    assert numbers == [1, 2, 3]
    # Told of the ACK to the first 200 only: to the others there is nothing in it.
    bob.one(Acknowledged)
    hang_up(wire, ana, session)


def test_refused_reinvite_leaves_the_session_as_it_was() -> None:
    wire, ana, bob, session = talking()
    bob.on[ReinviteReceived] = lambda event: bob.do("reject_reinvite", event.session, 488)
    ana.do("reinvite", session, HOLD)
    wire.run(1)
    assert ana.one(ReinviteRejected).status == 488
    state = ana.endpoint.dialog_state(session)
    assert state is not None
    assert state.local_sdp == OFFER
    hang_up(wire, ana, session)


def test_reinvite_without_offer_gets_ours_and_brings_the_answer_in_the_ack() -> None:
    wire, ana, bob, session = talking()
    dialog = ana.endpoint.dialog_state(session)
    assert dialog is not None
    reinvite = (
        f"INVITE {dialog.target} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx;rport\r\n"
        f"From: {dialog.local}\r\nTo: {dialog.remote}\r\nCall-ID: {dialog.call_id}\r\nCSeq: 9 INVITE\r\n"
        "Contact: <sip:ana@192.0.2.1:5060>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    flow = Flow(Transport.UDP, bob.address, ana.address)
    wire.deliver(bob, reinvite.encode(), flow)
    assert bob.one(ReinviteReceived).offer is None
    ack = reinvite.replace("INVITE", "ACK").replace("Kx", "Ky").replace("Length: 0\r\n", f"Length: {len(ANSWER)}\r\n")
    ack = ack.replace("Max-Forwards", "Content-Type: application/sdp\r\nMax-Forwards")
    wire.deliver(bob, ack.encode() + ANSWER, flow)
    assert bob.heard(Acknowledged)[-1].sdp == ANSWER
    wire.run(40)
    assert not bob.heard(SessionEnded)
    bob.do("hangup", bob.session)
    wire.settle()
    wire.nothing_is_left()


@pytest.mark.parametrize("seed", range(5))
def test_reinvites_that_collide_are_both_made_in_the_end(seed: int) -> None:
    """RFC 3261 14.1: both get 491; who made the Call-ID waits 2.1 to 4 s, the other up to 2 s."""
    wire, ana, bob, session = talking()
    ana.endpoint._core.random.seed(seed + 100)
    bob.endpoint._core.random.seed(seed + 200)
    start = wire.now
    ana.do("reinvite", session, HOLD)
    bob.do("reinvite", bob.session, OFFER)
    wire.run(10)
    assert len(ana.sent_of("INVITE", 491)) == len(bob.sent_of("INVITE", 491)) == 1
    assert len(ana.heard(ReinviteAnswered)) == len(bob.heard(ReinviteAnswered)) == 1
    assert 2.1 <= ana.sent_of("INVITE")[-1][0] - start - 0.02 <= 4.0
    assert 0.0 <= bob.sent_of("INVITE")[-1][0] - start - 0.02 <= 2.0
    hang_up(wire, ana, session)


def test_peer_that_always_answers_491_is_given_up() -> None:
    wire, ana, bob, session = talking()
    bob.on[ReinviteReceived] = lambda event: bob.do("reject_reinvite", event.session, 491)
    ana.do("reinvite", session, HOLD)
    wire.run(60)
    assert ana.one(ReinviteRejected).status == 491
    assert len(bob.sent_of("INVITE", 491)) == 6
    hang_up(wire, ana, session)


def test_second_change_waits_for_the_first_and_only_the_latest_is_made() -> None:
    wire, ana, bob, session = talking()
    for offer in (HOLD, OFFER, HOLD + b"a=x\r\n"):
        ana.do("reinvite", session, offer)
    wire.run(5)
    assert [event.offer for event in bob.heard(ReinviteReceived)] == [HOLD, HOLD + b"a=x\r\n"]
    assert len(ana.heard(ReinviteAnswered)) == 2
    hang_up(wire, ana, session)


def test_change_wanted_before_the_ack_is_made_after_it() -> None:
    wire = Wire(lambda _index, data: [2.0] if data.startswith(b"ACK") else [0.01])
    ana, bob = wire.pair()
    ana.accepts_reinvites()
    bob.on[InviteReceived] = lambda event: bob.do("answer", event.session, ANSWER)
    session = ana.call(bob)
    wire.run(1)
    bob.do("reinvite", bob.session, HOLD)
    assert not bob.sent_of("INVITE")
    wire.run(5)
    assert ana.one(ReinviteReceived).offer == HOLD
    hang_up(wire, ana, session)


def test_second_invite_before_the_first_is_answered_gets_500_with_retry_after() -> None:
    wire, ana, bob, session = talking()
    bob.on.pop(ReinviteReceived)
    ana.do("reinvite", session, HOLD)
    wire.run(1)
    again = next(data for data in wire.carried[::-1] if data.startswith(b"INVITE"))
    again = again.replace(b"CSeq: 2", b"CSeq: 3").replace(b"branch=z9hG4bK", b"branch=z9hG4bKx")
    wire.deliver(bob, again, Flow(Transport.UDP, bob.address, ana.address))
    refusal = bob.sent_of("INVITE", 500)[0][1]
    assert 0 <= int(refusal.headers.get("Retry-After")) <= 10
    bob.do("accept_reinvite", bob.session, ANSWER)
    wire.run(1)
    ana.one(ReinviteAnswered)
    hang_up(wire, ana, session)


def test_reinvite_to_somebody_who_is_gone_ends_the_call() -> None:
    wire, ana, _bob, session = talking(lambda _index, _data: [])
    ana.do("reinvite", session, HOLD)
    wire.settle()
    assert ended(ana) == (EndedBy.TIMEOUT, 408)
    assert ana.endpoint.status().sessions == 0


def test_reinvite_to_a_phone_that_forgot_the_call_ends_it() -> None:
    wire, ana, bob, session = talking()
    bob.endpoint._core.dialogs.clear()
    ana.do("reinvite", session, HOLD)
    wire.run(1)
    assert ended(ana) == (EndedBy.PEER, 481)
    assert ana.endpoint.status().sessions == 0


def test_hang_up_while_a_reinvite_is_open_leaves_nothing_open() -> None:
    for hurry in (0.0, 0.005, 0.015):
        wire, ana, bob, session = talking()
        bob.on.pop(ReinviteReceived)
        ana.do("reinvite", session, HOLD)
        wire.run(hurry)
        ana.do("hangup", session)
        wire.settle()
        wire.nothing_is_left()

        wire, ana, bob, session = talking()
        bob.on.pop(ReinviteReceived)
        ana.do("reinvite", session, HOLD)
        wire.run(hurry)
        bob.do("hangup", bob.session)
        wire.settle()
        wire.nothing_is_left()


def test_hang_up_while_a_reinvite_is_open_at_somebody_who_is_gone_lets_it_go() -> None:
    wire, ana, bob, session = talking()
    bob.on.pop(ReinviteReceived)
    ana.do("reinvite", session, HOLD)
    wire.run(1)
    wire.fate = lambda _index, _data: []
    ana.do("hangup", session)
    bob.do("hangup", bob.session)
    wire.settle()
    wire.nothing_is_left()


def test_change_wanted_while_the_peers_is_open_waits_for_its_ack() -> None:
    wire, ana, bob, session = talking()
    bob.on.pop(ReinviteReceived)
    ana.do("reinvite", session, HOLD)
    wire.run(1)
    bob.do("reinvite", bob.session, OFFER)
    wire.run(1)
    assert not bob.sent_of("INVITE")
    bob.do("accept_reinvite", bob.session, ANSWER)
    assert not bob.sent_of("INVITE")
    wire.run(1)
    assert ana.one(ReinviteReceived).offer == OFFER
    hang_up(wire, ana, session)


def test_reinvite_and_its_answer_may_move_either_side() -> None:
    """RFC 3261 12.2: the Contact of an accepted re-INVITE and of its 200 are the new targets."""
    wire, ana, bob, session = talking()
    away = {"192.0.2.1": "192.0.2.11", "192.0.2.2": "192.0.2.22"}
    for old, new in away.items():
        wire.phones[Address(new, 5060)] = wire.phones[Address(old, 5060)]
    carry = wire.carry

    def moved(sender: Phone, send: Send) -> None:
        data = send.data
        for old, new in away.items():
            data = data.replace(f"{old}:5060>".encode(), f"{new}:5060>".encode())
        carry(sender, replace(send, data=data))

    wire.carry = moved  # type: ignore[method-assign]
    ana.do("reinvite", session, HOLD)
    wire.run(1)
    wire.carry = carry  # type: ignore[method-assign]
    targets = [
        phone.endpoint.dialog_state(phone_session) for phone, phone_session in ((ana, session), (bob, bob.session))
    ]
    assert [state.target for state in targets if state is not None] == [
        "sip:bob@192.0.2.22:5060",
        "sip:ana@192.0.2.11:5060",
    ]
    hang_up(wire, ana, session)


def test_refused_reinvite_does_not_move_the_target() -> None:
    wire, ana, bob, session = talking()
    bob.on[ReinviteReceived] = lambda event: bob.do("reject_reinvite", event.session, 488)
    carry = wire.carry

    def moved(sender: Phone, send: Send) -> None:
        carry(sender, replace(send, data=send.data.replace(b"192.0.2.1:5060>", b"192.0.2.11:5060>")))

    wire.carry = moved  # type: ignore[method-assign]
    ana.do("reinvite", session, HOLD)
    wire.run(1)
    wire.carry = carry  # type: ignore[method-assign]
    state = bob.endpoint.dialog_state(bob.session)
    assert state is not None
    assert state.target == "sip:ana@192.0.2.1:5060"
    hang_up(wire, bob, bob.session)


def test_200_to_a_reinvite_that_is_never_acknowledged_ends_the_call() -> None:
    wire, ana, bob, session = talking(lambda _index, data: [] if data.startswith(b"ACK") else [0.01])
    ana.do("reinvite", session, HOLD)
    wire.settle()
    assert ended(bob) == (EndedBy.TIMEOUT, 408)
    assert ended(ana) == (EndedBy.PEER, 200)
    wire.nothing_is_left()


def test_cancelled_reinvite_is_refused_487_and_the_call_goes_on() -> None:
    wire, ana, bob, session = talking()
    bob.on.pop(ReinviteReceived)
    ana.do("reinvite", session, HOLD)
    wire.run(0.5)
    invite = ana.sent_of("INVITE")[-1][1]
    cancel = invite.to_bytes().replace(b"INVITE", b"CANCEL").split(b"Content-Type")[0] + b"Content-Length: 0\r\n\r\n"
    wire.deliver(bob, cancel, Flow(Transport.UDP, bob.address, ana.address))
    wire.run(1)
    assert len(bob.sent_of("CANCEL", 200)) == 1
    assert ana.one(ReinviteRejected).status == 487
    bob.do("accept_reinvite", bob.session, ANSWER)
    assert not bob.heard(SessionEnded)
    hang_up(wire, ana, session)


# -- delayed offer, forks, early dialogs ---------------------------------------------------------------------------


def test_invite_without_offer_gets_one_in_the_200_and_answers_it_in_the_ack() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob, None)
    wire.run(2)
    assert bob.one(InviteReceived).offer is None
    assert ana.one(Answered).sdp == ANSWER
    assert not ana.sent_of("ACK")
    ana.do("acknowledge", session, OFFER)
    ana.do("acknowledge", session, OFFER)
    wire.run(5)
    assert bob.one(Acknowledged).sdp == OFFER
    assert len(ana.sent_of("ACK")) == 1
    hang_up(wire, ana, session)


def test_hang_up_before_the_offer_of_the_200_was_answered_still_acknowledges_it() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob, None)
    wire.run(1)
    ana.do("hangup", session)
    wire.settle()
    assert len(ana.sent_of("ACK")) == len(ana.sent_of("BYE")) == 1
    wire.nothing_is_left()


def forked(answer: Response, tag: str) -> bytes:
    """The same answer from another branch of the INVITE."""
    return answer.to_bytes().replace(f"tag={answer.to_tag}".encode(), f"tag={tag}".encode())


def test_other_branches_that_answer_too_are_acknowledged_and_hung_up() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(2)
    answer = bob.sent_of("INVITE", 200)[0][1]
    flow = ana.flow_to(bob)
    for _ in range(2):
        for tag in ("second", "third"):
            wire.deliver(ana, forked(answer, tag), flow)
    wire.run(1)
    acks = [message.to_tag for _, message in ana.sent_of("ACK")]
    assert acks == [bob.session, "second", "third", "second", "third"]
    assert sorted({message.to_tag for _, message in ana.sent_of("BYE")}) == ["second", "third"]
    ana.one(Answered)
    assert not ana.heard(SessionEnded)
    hang_up(wire, ana, session)


def test_early_dialogs_of_other_branches_end_with_the_first_200() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(0.1)
    ringing = bob.sent_of("INVITE", 180)[0][1]
    for tag in ("second", "third"):
        wire.deliver(ana, forked(ringing, tag), ana.flow_to(bob))
    assert ana.endpoint.status().dialogs == 3
    wire.run(1)
    assert ana.endpoint.status().dialogs == 1
    hang_up(wire, ana, session)


def test_numbers_of_the_early_dialog_count_on_in_the_established_one() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(0.1)
    ringing = bob.sent_of("INVITE", 180)[0][1]

    def info(number: int) -> bytes:
        return (
            f"INFO sip:ana@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKi{number};rport\r\n"
            f"From: {ringing.headers.get('To')}\r\nTo: {ringing.headers.get('From')}\r\n"
            f"Call-ID: {ringing.call_id}\r\nCSeq: {number} INFO\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        ).encode()

    wire.deliver(ana, info(5), ana.flow_to(bob))
    wire.run(1)
    wire.deliver(ana, info(4), ana.flow_to(bob))
    assert len(ana.sent_of("INFO", 200)) == len(ana.sent_of("INFO", 500)) == 1
    assert len(ana.heard(InfoReceived)) == 1
    hang_up(wire, ana, session)


def test_a_peer_that_makes_up_branches_without_end_is_not_followed() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(0.1)
    ringing = bob.sent_of("INVITE", 180)[0][1]
    for number in range(100):
        wire.deliver(ana, forked(ringing, f"early{number}"), ana.flow_to(bob))
    assert ana.endpoint.status().dialogs <= 16
    wire.run(2)
    answer = bob.sent_of("INVITE", 200)[0][1]
    for number in range(100):
        wire.deliver(ana, forked(answer, f"fork{number}"), ana.flow_to(bob))
    assert ana.endpoint.status().transactions <= 17
    hang_up(wire, ana, session)


def test_info_is_answered_and_told_once_however_often_it_is_repeated() -> None:
    wire, ana, bob, session = talking()
    state = ana.endpoint.dialog_state(session)
    assert state is not None
    for number in (5, 6):
        body = b"Signal=4\r\n"
        info = (
            f"INFO {state.target} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKi{number};rport\r\n"
            f"From: {state.local}\r\nTo: {state.remote}\r\nCall-ID: {state.call_id}\r\nCSeq: {number} INFO\r\n"
            f"Max-Forwards: 70\r\nContent-Type: application/dtmf-relay\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        for _ in range(2):
            wire.deliver(bob, info, Flow(Transport.UDP, bob.address, ana.address))
    assert [(event.content_type, event.body) for event in bob.heard(InfoReceived)] == [
        ("application/dtmf-relay", b"Signal=4\r\n")
    ] * 2
    assert len(bob.sent_of("INFO", 200)) == 4
    hang_up(wire, bob, bob.session)


@pytest.mark.parametrize("who", ["caller", "called"])
def test_a_peer_that_is_asked_and_there_changes_nothing(who: str) -> None:
    """Both sides may ask; the question is answered within the dialog, and nobody is told anything."""
    wire, ana, bob, session = talking()
    asker, asked, asking = (ana, bob, session) if who == "caller" else (bob, ana, bob.session)
    told = len(ana.told), len(bob.told)
    for _ in range(3):
        asker.do("ask", asking)
        wire.run(20)
    assert len(asked.sent_of("OPTIONS", 200)) == 3
    assert (len(ana.told), len(bob.told)) == told
    hang_up(wire, ana, session)


def test_a_peer_that_is_asked_and_gone_ends_the_session() -> None:
    """No answer in 32 s: the dialog is over (12.2.1.2), and a BYE says so to whoever may still hear it."""
    wire, ana, bob, session = talking()
    wire.fate = lambda _index, _data: []
    ana.do("ask", session)
    wire.run(31)
    assert not ana.heard(SessionEnded)
    wire.run(2)
    assert ended(ana) == (EndedBy.TIMEOUT, 408)
    wire.fate = lambda _index, _data: [0.01]
    bob.do("hangup", bob.session)
    wire.settle()
    wire.nothing_is_left()


@pytest.mark.parametrize("speaks_at", [0.0, 15.0, 31.0])
def test_a_peer_that_answers_no_question_and_says_something_else_is_there(speaks_at: float) -> None:
    """It takes us back from hold before the question times out: that is an answer too, and the call goes on."""
    wire, ana, bob, session = talking()
    wire.fate = lambda _index, data: [] if data.startswith(b"SIP/2.0") and b" OPTIONS\r\n" in data else [0.01]
    ana.on[ReinviteReceived] = lambda event: ana.do("accept_reinvite", event.session, ANSWER)
    ana.do("ask", session)
    wire.run(speaks_at)
    bob.do("reinvite", bob.session, HOLD)
    wire.run(60)
    assert not ana.heard(SessionEnded)
    ana.do("ask", session)
    wire.run(40)
    assert ended(ana) == (EndedBy.TIMEOUT, 408)
    wire.settle()
    wire.nothing_is_left()


def test_a_peer_that_does_not_know_the_dialog_any_more_has_hung_up() -> None:
    wire, ana, bob, session = talking(lambda _index, data: [] if first_line(data).startswith("BYE") else [0.01])
    bob.do("hangup", bob.session)
    wire.run(40)
    ana.do("ask", session)
    wire.run(1)
    assert ended(ana) == (EndedBy.PEER, 481)
    wire.settle()
    wire.nothing_is_left()


@pytest.mark.parametrize("status", [200, 405, 486, 501, 503])
def test_whatever_a_peer_answers_it_is_there(status: int) -> None:
    """A phone that does not know OPTIONS, or is busy, is a phone that is there."""
    wire, ana, bob, session = talking()

    def another(_index: int, data: bytes) -> list[float]:
        return [] if data.startswith(b"SIP/2.0 200") and b"OPTIONS" in data else [0.01]

    wire.fate = another
    ana.do("ask", session)
    wire.run(0.2)
    [(_, answer)] = bob.sent_of("OPTIONS", 200)[:1]
    data = answer.to_bytes().replace(b"SIP/2.0 200 OK", b"SIP/2.0 %d Whatever" % status)
    wire.deliver(ana, data, ana.flow_to(bob))
    wire.run(60)
    assert not ana.heard(SessionEnded)
    hang_up(wire, ana, session)


def test_nobody_is_asked_before_the_session_is_up_nor_after_its_end() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    session = ana.call(bob)
    wire.run(1)
    ana.do("ask", session)
    ana.do("hangup", session)
    wire.settle()
    ana.do("ask", session)
    wire.settle()
    assert not ana.sent_of("OPTIONS")
    wire.nothing_is_left()


def test_bye_in_an_early_dialog_takes_the_invite_back() -> None:
    """A called phone must not do that; if one does, the call is over all the same."""
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session)
    session = ana.call(bob)
    wire.run(1)
    ringing = bob.sent_of("INVITE", 180)[0][1]
    bye = (
        f"BYE sip:ana@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKb;rport\r\n"
        f"From: {ringing.headers.get('To')}\r\nTo: {ringing.headers.get('From')}\r\nCall-ID: {ringing.call_id}\r\n"
        "CSeq: 1 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    wire.deliver(ana, bye.encode(), ana.flow_to(bob))
    assert ana.one(SessionEnded).session == session
    assert ended(ana) == (EndedBy.PEER, 200)
    wire.settle()
    assert len(ana.sent_of("CANCEL")) == 1
    assert ended(bob) == (EndedBy.PEER, 487)
    wire.nothing_is_left()


def test_caller_may_say_bye_instead_of_cancel() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session)
    ana.call(bob)
    wire.run(1)
    ringing = bob.sent_of("INVITE", 180)[0][1]
    bye = (
        f"BYE sip:bob@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKb;rport\r\n"
        f"From: {ringing.headers.get('From')}\r\nTo: {ringing.headers.get('To')}\r\nCall-ID: {ringing.call_id}\r\n"
        "CSeq: 2 BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    wire.deliver(bob, bye.encode(), Flow(Transport.UDP, bob.address, ana.address))
    wire.settle()
    assert len(bob.sent_of("BYE", 200)) == 1
    assert ended(bob) == (EndedBy.PEER, 200)
    assert ended(ana) == (EndedBy.PEER, 487)
    wire.nothing_is_left()


# -- moving --------------------------------------------------------------------------------------------------------


def test_session_adopted_by_another_process_goes_on() -> None:
    """The switch dies; its successor has the dialog's state, holds, and hangs up."""
    wire, ana, bob, session = talking()
    state = bob.endpoint.dialog_state(bob.session)
    assert state is not None
    assert (state.local_sdp, state.remote_sdp, state.incoming) == (ANSWER, OFFER, True)
    successor = wire.phone("bob", "192.0.2.2")
    adopted = successor.endpoint.adopt(state, wire.now)
    assert successor.endpoint.adopt(state, wire.now) == adopted
    successor.do("reinvite", adopted, HOLD)
    wire.run(2)
    assert ana.one(ReinviteReceived).offer == HOLD
    assert successor.sent_of("INVITE")[0][1].cseq.number > 1000
    ana.do("reinvite", session, OFFER)
    wire.run(2)
    assert successor.one(ReinviteReceived).offer == OFFER
    successor.do("hangup", adopted)
    wire.settle()
    assert ended(ana) == (EndedBy.PEER, 200)
    wire.nothing_is_left()


# -- any order, any loss -------------------------------------------------------------------------------------------

DEEDS = (
    "ring",
    "early",
    "acknowledge",
    "answer",
    "reject",
    "hangup",
    "reinvite",
    "accept",
    "refuse",
    "ask",
    "wait",
    "linger",
    "patience",
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    deeds=st.lists(st.tuples(st.sampled_from(("ana", "bob")), st.sampled_from(DEEDS)), max_size=14),
    losses=st.lists(st.sampled_from(([], [0.01], [0.01], [0.01], [0.3], [0.01, 0.4], [5.5])), max_size=40),
    delayed=st.booleans(),
    required=st.booleans(),
    timer=st.sampled_from((None, SessionTimer(expires=10, least=4))),
    transport=st.sampled_from((Transport.UDP, Transport.UDP, Transport.TCP)),
)
def test_whatever_happens_each_session_ends_once_and_nothing_is_left(
    deeds: list[tuple[str, str]],
    losses: list[list[float]],
    delayed: bool,
    required: bool,
    timer: SessionTimer | None,
    transport: Transport,
) -> None:
    lots = itertools.chain(losses, itertools.repeat([0.01]))
    wire = Wire(lambda _index, _data: next(lots), transport)
    ana, bob = wire.pair(session_timer=timer)
    phones = {"ana": ana, "bob": bob}
    sessions = {"ana": ana.call(bob, None if delayed else OFFER, headers=[("Require", "100rel")] if required else [])}
    for name_, deed in deeds:
        phone = phones[name_]
        for event in bob.heard(InviteReceived):
            sessions["bob"] = event.session
        session = sessions.get(name_, "unknown")
        match deed:
            case "ring":
                phone.do("ring", session)
            case "early":
                phone.do("ring", session, status=183, sdp=ANSWER)
            case "answer":
                phone.do("answer", session, ANSWER)
                phone.do("acknowledge", session, OFFER)
            case "acknowledge":
                phone.do("acknowledge", session, ANSWER)
            case "reject":
                phone.do("reject", session, 486)
            case "hangup":
                phone.do("hangup", session)
            case "reinvite":
                phone.do("reinvite", session, HOLD)
            case "accept":
                phone.do("accept_reinvite", session, ANSWER)
            case "refuse":
                phone.do("reject_reinvite", session, 488)
            case "ask":
                phone.do("ask", session)
            case "wait":
                wire.run(0.02)
            case "linger":
                wire.run(1.1)
            case _:
                wire.run(40)
    wire.run(1)
    for phone in phones.values():
        for session in {sessions["ana"]} if phone is ana else {e.session for e in bob.heard(InviteReceived)}:
            phone.do("hangup", session)
    wire.settle()
    for event in bob.heard(InviteReceived):
        # An INVITE that arrived after the last hang-up.
        bob.do("hangup", event.session)
    wire.settle()
    ana.one(SessionEnded)
    wire.nothing_is_left()
    for phone in phones.values():
        for end in phone.heard(SessionEnded):
            last = [event for event in phone.told if getattr(event, "session", None) == end.session][-1]
            assert last is end


def test_unknown_sessions_and_repeated_wishes_are_ignored() -> None:
    wire = Wire()
    ana, _bob = wire.pair()
    for verb, args in (
        ("ring", ()),
        ("answer", (ANSWER,)),
        ("hangup", ()),
        ("reinvite", (OFFER,)),
        ("accept_reinvite", (ANSWER,)),
        ("reject_reinvite", (488,)),
        ("acknowledge", (ANSWER,)),
        ("reject", (486,)),
    ):
        ana.do(verb, "nobody", *args)
    assert not ana.sent
    assert not ana.told
    assert ana.endpoint.dialog_state("nobody") is None
