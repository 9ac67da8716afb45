"""UPDATE (RFC 3311): changes before the answer and after it, both ways, and what happens when two collide."""

from __future__ import annotations

import pytest

from callcenter.sip.events import (
    Answered,
    EndedBy,
    InviteReceived,
    Progressed,
    ReinviteAnswered,
    ReinviteReceived,
    ReinviteRejected,
    SessionEnded,
)
from callcenter.sip.message import Response
from callcenter.sip.session_timer import SessionTimer
from tests.unit.sip.lossy import ANSWER, HOLD, OFFER, Phone, Wire
from tests.unit.sip.test_invite import ended, talking
from tests.unit.sip.test_reliable import from_ana, ringing, to_bob

LATER = OFFER.replace(b"4000", b"4444")


def early() -> tuple[Wire, Phone, Phone, str]:
    """A call that rings, both sides of which have agreed on the sound already."""
    wire, ana, bob, session = ringing()
    for phone in (ana, bob):
        phone.accepts_reinvites()
    wire.run(1)
    return wire, ana, bob, session


def finish(wire: Wire, ana: Phone, session: str) -> None:
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


# -- before the answer ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["caller", "called"])
def test_sound_is_changed_before_the_answer_by_update(who: str) -> None:
    wire, ana, bob, session = early()
    changes, hears = (ana, bob) if who == "caller" else (bob, ana)
    changes.do("reinvite", session if changes is ana else bob.session, LATER)
    wire.run(1)
    assert hears.one(ReinviteReceived).offer == LATER
    assert changes.one(ReinviteAnswered).sdp == ANSWER
    assert len(changes.sent_of("UPDATE")) == 1
    assert len(ana.sent_of("INVITE")) == 1
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    # What was agreed last is what the answer comes with.
    assert ana.one(Answered).sdp == (ANSWER if who == "caller" else LATER)
    finish(wire, ana, session)


def test_change_wanted_before_anything_is_agreed_waits_for_the_answer() -> None:
    wire, ana, bob, session = ringing(180, None)
    ana.accepts_reinvites()
    bob.accepts_reinvites()
    wire.run(1)
    ana.do("reinvite", session, LATER)
    wire.run(1)
    assert not ana.sent_of("UPDATE")
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    assert bob.one(ReinviteReceived).offer == LATER
    assert len(ana.sent_of("INVITE")) == 2
    finish(wire, ana, session)


def test_peer_that_does_not_take_update_is_asked_by_reinvite_after_the_answer() -> None:
    wire, ana, bob, session = ringing(fate=lambda _i, _d: [0.01])
    bob.accepts_reinvites()
    carry = wire.carry
    wire.carry = lambda sender, send: carry(  # type: ignore[method-assign]
        sender, type(send)(send.flow, send.data.replace(b", UPDATE", b""), send.key)
    )
    wire.run(1)
    ana.do("reinvite", session, LATER)
    wire.run(1)
    assert not ana.sent_of("UPDATE")
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    assert bob.one(ReinviteReceived).offer == LATER
    finish(wire, ana, session)


def test_change_waits_while_more_than_one_branch_rings() -> None:
    wire, ana, bob, session = early()
    progress = bob.sent_of("INVITE", 183)[0][1]
    other = progress.to_bytes().replace(f"tag={progress.to_tag}".encode(), b"tag=second")
    wire.deliver(ana, other, ana.flow_to(bob))
    ana.do("reinvite", session, LATER)
    wire.run(1)
    assert not ana.sent_of("UPDATE")
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    assert bob.one(ReinviteReceived).offer == LATER
    finish(wire, ana, session)


def test_answer_waits_for_the_answer_to_our_update() -> None:
    wire, ana, bob, session = early()
    ana.on.pop(ReinviteReceived)
    bob.do("reinvite", bob.session, LATER)
    wire.run(1)
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    assert not ana.heard(Answered)
    ana.do("accept_reinvite", session, ANSWER)
    wire.run(1)
    assert ana.one(Answered).sdp == LATER
    finish(wire, ana, session)


def test_call_that_ends_while_an_update_is_open_leaves_nothing_open() -> None:
    for deed in ("cancel", "reject", "wait"):
        wire, ana, bob, session = early()
        ana.on.pop(ReinviteReceived)
        bob.do("reinvite", bob.session, LATER)
        wire.run(1)
        if deed == "cancel":
            ana.do("hangup", session)
        elif deed == "reject":
            bob.do("reject", bob.session, 486)
        else:
            wire.run(40)
            ana.do("hangup", session)
        wire.settle()
        bob.one(SessionEnded)
        wire.nothing_is_left()


def test_update_of_a_branch_that_lost_is_made_with_the_one_that_answered() -> None:
    wire, ana, bob, session = early()
    ana.do("reinvite", session, LATER)
    answer = Response(200, "OK", bob.sent_of("INVITE", 183)[0][1].headers.copy(), ANSWER)
    answer.headers.remove("Require")
    data = answer.to_bytes().replace(f"tag={bob.session}".encode(), b"tag=second")
    wire.deliver(ana, data, ana.flow_to(bob))
    assert ana.one(Answered).response.to_tag == "second"
    assert [message.to_tag for _, message in ana.sent_of("INVITE")][-1] == "second"


# -- once it is up -------------------------------------------------------------------------------------------------


def update(ana: Phone, bob: Phone, cseq: int, *headers: str, offer: bytes = b"") -> bytes:
    return from_ana(ana, bob, "UPDATE", cseq, *headers, body=offer)


def test_update_changes_and_moves_a_session_that_is_up() -> None:
    wire, ana, bob, _session = talking()
    wire.deliver(bob, update(ana, bob, 9, offer=HOLD), to_bob(ana, bob))
    assert bob.one(ReinviteReceived).offer == HOLD
    ((_, answer),) = bob.sent_of("UPDATE", 200)
    assert answer.body == ANSWER
    assert "UPDATE" in answer.headers.get("Allow")
    moved = update(ana, bob, 10).replace(b"Contact: <sip:ana@192.0.2.1", b"Contact: <sip:ana@192.0.2.77")
    wire.deliver(bob, moved, to_bob(ana, bob))
    # Without an offer there is nothing to tell anybody.
    bob.one(ReinviteReceived)
    state = bob.endpoint.dialog_state(bob.session)
    assert state is not None
    assert (state.target, state.remote_sdp, state.updates) == ("sip:ana@192.0.2.77:5060", HOLD, True)


def test_refused_update_leaves_the_session_as_it_was() -> None:
    wire, ana, bob, _session = talking()
    bob.on[ReinviteReceived] = lambda event: bob.do("reject_reinvite", event.session, 488)
    moved = update(ana, bob, 9, offer=HOLD).replace(b"Contact: <sip:ana@192.0.2.1", b"Contact: <sip:ana@192.0.2.77")
    wire.deliver(bob, moved, to_bob(ana, bob))
    assert len(bob.sent_of("UPDATE", 488)) == 1
    state = bob.endpoint.dialog_state(bob.session)
    assert state is not None
    assert (state.target, state.remote_sdp) == ("sip:ana@192.0.2.1:5060", OFFER)
    bob.accepts_reinvites()
    wire.deliver(bob, update(ana, bob, 10, offer=HOLD), to_bob(ana, bob))
    assert len(bob.sent_of("UPDATE", 200)) == 1
    bob.do("hangup", bob.session)
    wire.settle()
    assert ended(ana) == (EndedBy.PEER, 200)
    wire.nothing_is_left()


def test_same_offer_again_is_answered_as_before_and_nobody_told() -> None:
    wire, ana, bob, session = talking()
    wire.deliver(bob, update(ana, bob, 2, offer=OFFER), to_bob(ana, bob))
    assert bob.sent_of("UPDATE", 200)[0][1].body == ANSWER
    ana.do("reinvite", session, OFFER)
    wire.run(1)
    assert not bob.heard(ReinviteReceived)
    assert ana.one(ReinviteAnswered).sdp == ANSWER
    # After a change of ours the same words would mean another thing.
    bob.do("reinvite", bob.session, HOLD)
    wire.run(1)
    ana.do("reinvite", session, OFFER)
    wire.run(1)
    assert bob.one(ReinviteReceived).offer == OFFER
    finish_plain(wire, bob)


def finish_plain(wire: Wire, bob: Phone) -> None:
    bob.do("hangup", bob.session)
    wire.settle()
    wire.nothing_is_left()


def test_update_with_a_body_that_is_no_description_is_refused_415() -> None:
    wire, ana, bob, _session = talking()
    spoiled = update(ana, bob, 9, offer=OFFER).replace(b"application/sdp", b"text/plain     ")
    wire.deliver(bob, spoiled, to_bob(ana, bob))
    assert len(bob.sent_of("UPDATE", 415)) == 1


def test_update_outside_or_after_the_call_is_refused_481() -> None:
    wire, ana, bob, session = talking()
    stranger = update(ana, bob, 9).replace(b"Call-ID: ", b"Call-ID: x")
    wire.deliver(bob, stranger, to_bob(ana, bob))
    ana.do("hangup", session)
    wire.run(1)
    wire.deliver(bob, update(ana, bob, 10), to_bob(ana, bob))
    assert len(bob.sent_of("UPDATE", 481)) == 2


# -- glare ---------------------------------------------------------------------------------------------------------


def test_second_update_before_the_first_is_answered_gets_500_and_a_time_to_come_again() -> None:
    """RFC 3311 5.2."""
    wire, ana, bob, _session = talking()
    bob.on.pop(ReinviteReceived)
    wire.deliver(bob, update(ana, bob, 9, offer=HOLD), to_bob(ana, bob))
    for cseq, offer in ((10, LATER), (11, b"")):
        wire.deliver(bob, update(ana, bob, cseq, offer=offer), to_bob(ana, bob))
    refused = bob.sent_of("UPDATE", 500)
    assert len(refused) == 2
    assert all(0 <= int(message.headers.get("Retry-After")) <= 10 for _, message in refused)
    bob.one(ReinviteReceived)


def test_update_with_offer_that_meets_our_offer_gets_491() -> None:
    wire, ana, bob, _session = talking()
    wire.fate = lambda _i, _d: []
    bob.do("reinvite", bob.session, HOLD)
    wire.deliver(bob, update(ana, bob, 9, offer=LATER), to_bob(ana, bob))
    assert len(bob.sent_of("UPDATE", 491)) == 1
    # Without an offer there is nothing to collide.
    wire.deliver(bob, update(ana, bob, 10), to_bob(ana, bob))
    assert len(bob.sent_of("UPDATE", 200)) == 1


def test_reinvite_that_meets_an_update_waits_for_its_turn() -> None:
    wire, ana, bob, session = talking()
    bob.on.pop(ReinviteReceived)
    wire.deliver(bob, update(ana, bob, 2, offer=LATER), to_bob(ana, bob))
    ana.do("reinvite", session, HOLD)
    wire.run(0.1)
    assert len(bob.sent_of("INVITE", 500)) == 1
    bob.do("accept_reinvite", bob.session, ANSWER)
    bob.accepts_reinvites()
    wire.run(15)
    # It comes again when it was told to.
    assert [event.offer for event in bob.heard(ReinviteReceived)] == [LATER, HOLD]
    assert ana.one(ReinviteAnswered).sdp == ANSWER
    finish_plain(wire, bob)


@pytest.mark.parametrize("seed", range(3))
def test_updates_that_collide_before_the_answer_are_both_made_in_the_end(seed: int) -> None:
    wire, ana, bob, session = early()
    ana.endpoint._core.random.seed(seed)
    bob.endpoint._core.random.seed(seed + 50)
    ana.do("reinvite", session, LATER)
    bob.do("reinvite", bob.session, HOLD)
    wire.run(10)
    assert len(ana.sent_of("UPDATE", 491)) == len(bob.sent_of("UPDATE", 491)) == 1
    ana.one(ReinviteAnswered)
    bob.one(ReinviteAnswered)
    finish(wire, ana, session)


@pytest.mark.parametrize("status", [481, 408, 488, 603])
def test_update_refused_before_the_answer_leaves_the_call_ringing(status: int) -> None:
    wire, ana, bob, session = early()
    bob.on[ReinviteReceived] = lambda event: bob.do("reject_reinvite", event.session, status)
    ana.do("reinvite", session, LATER)
    wire.run(1)
    assert ana.one(ReinviteRejected).status == status
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    assert ana.one(Answered).sdp == ANSWER
    finish(wire, ana, session)


def test_update_that_nobody_answers_before_the_answer_is_given_up_and_the_call_goes_on() -> None:
    wire, ana, bob, session = early()
    bob.on.pop(ReinviteReceived)
    wire.fate = lambda _i, data: [] if b" UPDATE\r\n" in data else [0.01]
    ana.do("reinvite", session, LATER)
    wire.run(40)
    assert ana.one(ReinviteRejected).status == 408
    assert ana.one(Progressed).status == 183
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    ana.one(Answered)
    wire.fate = lambda _i, _d: [0.01]
    finish(wire, ana, session)


def test_peer_that_says_500_without_end_is_given_up() -> None:
    wire, ana, bob, session = talking()
    wire.fate = lambda _i, data: [] if data.startswith(b"INVITE") else [0.01]
    ana.do("reinvite", session, HOLD)
    for _ in range(7):
        request = ana.sent_of("INVITE")[-1][1]
        if request.to_tag is not None:
            answer = request.response(500, headers=[("Retry-After", "1")])
            wire.deliver(ana, answer.to_bytes(), ana.flow_to(bob))
        wire.run(3)
    assert ana.one(ReinviteRejected).status == 500
    assert not ana.heard(SessionEnded)


# -- any peer that calls -------------------------------------------------------------------------------------------


def test_every_invite_and_answer_names_prack_and_update() -> None:
    wire = Wire()
    ana, bob = wire.pair(session_timer=SessionTimer())
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session, status=183, sdp=ANSWER)
    session = ana.call(bob)
    wire.run(1)
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    for _, message in (*ana.sent_of("INVITE"), *bob.sent_of("INVITE", 183), *bob.sent_of("INVITE", 200)):
        assert {"PRACK", "UPDATE"} <= set(message.headers.values("Allow"))
        assert {"100rel", "timer"} <= set(message.headers.values("Supported"))
    finish(wire, ana, session)
