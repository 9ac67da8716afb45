"""The races of RFC 5407, by their names there; those that apply to an endpoint that makes and takes calls.

Left out: 3.3.3 (REFER while in the mortal state) is refused 481 like any request after the end, see the tests of that;
appendix D (a new To tag from another branch) is among the forks of test_invite and test_reliable.
"""

from __future__ import annotations

from callcenter.sip.events import (
    Answered,
    EndedBy,
    InviteReceived,
    Progressed,
    ReinviteAnswered,
    ReinviteReceived,
)
from tests.unit.sip.lossy import ANSWER, HOLD, OFFER, Fate, Phone, Wire
from tests.unit.sip.test_invite import ended, hang_up, talking
from tests.unit.sip.test_reliable import from_ana, to_bob
from tests.unit.sip.test_update import early

LATER = OFFER.replace(b"4000", b"4444")


def late(start: bytes, seconds: float = 1.0) -> Fate:
    """Datagrams that begin so are late; the rest is not."""
    return lambda _index, data: [seconds] if data.startswith(start) else [0.01]


def answered_before_the_ack(fate: Fate) -> tuple[Wire, Phone, Phone, str]:
    """Bob is in the moratorium: his 200 is out, and no ACK has come."""
    wire = Wire(fate)
    ana, bob = wire.pair()
    for phone in (ana, bob):
        phone.accepts_reinvites()
    bob.on[InviteReceived] = lambda event: bob.do("answer", event.session, ANSWER)
    return wire, ana, bob, ana.call(bob)


def test_3_1_1_callee_receives_initial_invite_retransmission_while_in_moratorium() -> None:
    """The first 200 is late, so that the INVITE comes again: it rings no second time."""
    first: list[bytes] = []

    def fate(_index: int, data: bytes) -> list[float]:
        if data.startswith(b"SIP/2.0 1"):
            return []
        if data.startswith(b"SIP/2.0 200") and not first:
            first.append(data)
            return [0.7]
        return [0.01]

    wire, ana, bob, session = answered_before_the_ack(fate)
    wire.run(5)
    assert len(ana.sent_of("INVITE")) > 1
    bob.one(InviteReceived)
    ana.one(Answered)
    hang_up(wire, ana, session)


def test_3_1_2_callee_receives_cancel_while_in_moratorium() -> None:
    """The CANCEL crosses the 200: it has no effect, and the caller ends the call by BYE."""
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session)
    session = ana.call(bob)
    wire.run(1)
    bob.do("answer", bob.session, ANSWER)
    ana.do("hangup", session)
    wire.settle()
    assert len(bob.sent_of("CANCEL", 200)) == len(ana.sent_of("ACK")) == len(ana.sent_of("BYE")) == 1
    assert (ended(ana), ended(bob)) == ((EndedBy.LOCAL, 487), (EndedBy.PEER, 200))
    wire.nothing_is_left()


def test_3_1_3_callee_receives_bye_of_the_early_dialog_while_in_moratorium() -> None:
    wire, ana, bob, _session = answered_before_the_ack(late(b"SIP/2.0 200", 2.0))
    wire.run(0.1)
    wire.deliver(bob, from_ana(ana, bob, "BYE", 2), to_bob(ana, bob))
    assert ended(bob) == (EndedBy.PEER, 200)
    wire.settle()
    assert len(bob.sent_of("BYE", 200)) == 1


def test_3_1_4_callee_receives_reinvite_while_in_moratorium_with_the_offer_answered() -> None:
    """The ACK is overtaken: the change is made in the end, after one 491."""
    wire, ana, bob, session = answered_before_the_ack(late(b"ACK", 0.3))
    wire.run(0.1)
    ana.do("reinvite", session, HOLD)
    wire.run(10)
    assert len(bob.sent_of("INVITE", 491)) == 1
    assert bob.one(ReinviteReceived).offer == HOLD
    ana.one(ReinviteAnswered)
    hang_up(wire, ana, session)


def test_3_1_5_callee_receives_reinvite_while_in_moratorium_with_its_own_offer_open() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("answer", event.session, OFFER)
    bob.accepts_reinvites()
    session = ana.call(bob, None)
    wire.run(0.1)
    wire.fate = late(b"ACK", 0.3)
    ana.do("acknowledge", session, ANSWER)
    ana.do("reinvite", session, HOLD)
    wire.run(10)
    assert len(bob.sent_of("INVITE", 491)) == 1
    assert bob.one(ReinviteReceived).offer == HOLD
    hang_up(wire, ana, session)


def test_3_1_6_callee_receives_bye_while_in_moratorium() -> None:
    """The BYE overtakes the ACK: the call is over, and the late ACK harms nobody."""
    wire, ana, bob, session = answered_before_the_ack(late(b"ACK"))
    wire.run(0.1)
    ana.do("hangup", session)
    wire.settle()
    assert (ended(ana), ended(bob)) == ((EndedBy.LOCAL, 200), (EndedBy.PEER, 200))
    wire.nothing_is_left()


def test_3_2_1_ua_receives_bye_while_in_mortal_state() -> None:
    wire, ana, bob, session = talking()
    ana.do("hangup", session)
    bob.do("hangup", bob.session)
    wire.settle()
    assert len(ana.sent_of("BYE", 200)) == len(bob.sent_of("BYE", 200)) == 1
    wire.nothing_is_left()


def test_3_2_2_ua_receives_reinvite_while_in_mortal_state() -> None:
    """The BYE crosses a re-INVITE: that gets 481, and both have ended."""
    wire, ana, bob, session = talking()
    ana.do("hangup", session)
    bob.do("reinvite", bob.session, HOLD)
    wire.settle()
    assert len(ana.sent_of("INVITE", 481)) == 1
    assert ended(bob)[0] is EndedBy.PEER
    wire.nothing_is_left()


def test_3_2_3_ua_receives_200_for_reinvite_while_in_mortal_state() -> None:
    """It is acknowledged all the same."""
    wire, ana, bob, session = talking()
    ana.do("reinvite", session, HOLD)
    wire.run(0.011)
    ana.do("hangup", session)
    wire.settle()
    assert len(ana.sent_of("ACK")) == 2
    assert ended(bob) == (EndedBy.PEER, 200)
    wire.nothing_is_left()


def test_3_2_4_callee_receives_ack_while_in_mortal_state() -> None:
    wire, _ana, bob, _session = answered_before_the_ack(late(b"ACK"))
    wire.run(0.1)
    bob.do("hangup", bob.session)
    wire.settle()
    assert len(bob.sent_of("BYE")) == 1
    wire.nothing_is_left()


def test_3_3_1_reinvites_cross() -> None:
    """RFC 3261 14.1: both are refused, and come again one after the other."""
    wire, ana, bob, session = talking()
    ana.do("reinvite", session, HOLD)
    bob.do("reinvite", bob.session, LATER)
    wire.run(10)
    assert len(ana.sent_of("INVITE", 491)) == len(bob.sent_of("INVITE", 491)) == 1
    assert len(ana.heard(ReinviteAnswered)) == len(bob.heard(ReinviteAnswered)) == 1
    hang_up(wire, ana, session)


def test_3_3_2_update_and_reinvite_cross() -> None:
    wire, ana, bob, _session = talking()
    bob.do("reinvite", bob.session, HOLD)
    wire.deliver(bob, from_ana(ana, bob, "UPDATE", 2, body=LATER), to_bob(ana, bob))
    assert len(bob.sent_of("UPDATE", 491)) == 1
    wire.run(10)
    assert bob.one(ReinviteAnswered).sdp == ANSWER
    hang_up(wire, bob, bob.session)


def test_appendix_a_bye_in_an_early_dialog_ends_what_rings() -> None:
    wire, ana, bob, _session = early()
    wire.deliver(bob, from_ana(ana, bob, "BYE", 7), to_bob(ana, bob))
    assert len(bob.sent_of("BYE", 200)) == 1
    wire.settle()
    assert len(bob.sent_of("INVITE", 487)) >= 1
    wire.nothing_is_left()


def test_appendix_b_bye_while_a_reinvite_is_open_answers_it_487() -> None:
    wire, ana, bob, session = talking()
    bob.on.pop(ReinviteReceived)
    ana.do("reinvite", session, HOLD)
    wire.run(1)
    ana.do("hangup", session)
    wire.settle()
    assert len(bob.sent_of("INVITE", 487)) >= 1
    wire.nothing_is_left()


def test_200_overtakes_the_pracked_progress_and_the_late_one_changes_nothing() -> None:
    wire = Wire(lambda _i, data: [0.5] if data.startswith(b"SIP/2.0 180") else [0.01])
    ana, bob = wire.pair()

    def rings_and_answers(event: InviteReceived) -> None:
        bob.do("ring", event.session)
        bob.do("answer", event.session, ANSWER)

    bob.on[InviteReceived] = rings_and_answers
    session = ana.call(bob, headers=[("Require", "100rel")])
    wire.run(5)
    ana.one(Answered)
    assert not ana.heard(Progressed)
    assert not ana.sent_of("PRACK")
    hang_up(wire, ana, session)
