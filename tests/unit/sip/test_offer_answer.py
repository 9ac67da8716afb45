"""Offer and answer: every pattern of RFC 6337 table 1 is made, every offer out of turn is refused with its status.

Third-party call control (RFC 3725) is made of these: its flow I is the INVITE without offer whose 2xx brings one, and
the answer in the ACK; the re-INVITE without offer of flow III is among the changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from callcenter.sip.events import (
    Acknowledged,
    Answered,
    InviteReceived,
    ProgressAnswered,
    Progressed,
    ReinviteAnswered,
    ReinviteReceived,
)
from callcenter.sip.message import Request
from callcenter.sip.offer_answer import Exchange, status_of_offer
from tests.unit.sip.lossy import ANSWER, HOLD, OFFER, Fate, Phone, Wire, passes
from tests.unit.sip.test_reliable import from_ana, to_bob

# -- what is allowed -----------------------------------------------------------------------------------------------


@dataclass
class Call:
    """Two phones, and the caller's session."""

    wire: Wire
    ana: Phone
    bob: Phone
    session: str = ""

    def dial(self, offer: bytes | None, **ring: object) -> None:
        self.bob.on[InviteReceived] = lambda event: self.bob.do("ring", event.session, **ring)
        self.session = self.ana.call(self.bob, offer)
        self.wire.run(1)

    def answer(self, sdp: bytes) -> None:
        self.bob.do("answer", self.bob.session, sdp)
        self.wire.run(1)


def two_phones(fate: Fate = passes) -> Call:
    wire = Wire(fate)
    ana, bob = wire.pair()
    return Call(wire, ana, bob)


def in_invite_and_2xx(call: Call) -> tuple[bytes | None, bytes | None]:
    call.dial(OFFER)
    call.answer(ANSWER)
    return call.bob.one(InviteReceived).offer, call.ana.one(Answered).sdp


def in_2xx_and_ack(call: Call) -> tuple[bytes | None, bytes | None]:
    call.dial(None)
    call.answer(OFFER)
    offer = call.ana.one(Answered).sdp
    call.ana.do("acknowledge", call.session, ANSWER)
    call.wire.run(1)
    return offer, call.bob.one(Acknowledged).sdp


def in_invite_and_reliable_1xx(call: Call) -> tuple[bytes | None, bytes | None]:
    call.dial(OFFER, status=183, sdp=ANSWER)
    answer = call.ana.one(Progressed).sdp
    call.answer(ANSWER)
    return call.bob.one(InviteReceived).offer, answer


def in_reliable_1xx_and_prack(call: Call) -> tuple[bytes | None, bytes | None]:
    call.dial(None, status=183, sdp=OFFER)
    offer = call.ana.one(Progressed).sdp
    call.ana.do("acknowledge", call.session, ANSWER)
    call.wire.run(1)
    call.answer(OFFER)
    return offer, call.bob.one(ProgressAnswered).sdp


def in_prack_and_its_2xx(call: Call) -> tuple[bytes | None, bytes | None]:
    call.wire.fate = lambda _i, data: [] if data.startswith(b"PRACK") else [0.01]
    call.dial(OFFER, status=183, sdp=ANSWER)
    rseq = call.bob.sent_of("INVITE", 183)[0][1].headers.get("RSeq")
    prack = from_ana(call.ana, call.bob, "PRACK", 2, f"RAck: {rseq} 1 INVITE", body=HOLD)
    call.wire.deliver(call.bob, prack, to_bob(call.ana, call.bob))
    call.bob.do("accept_reinvite", call.bob.session, ANSWER)
    answer = call.bob.sent_of("PRACK", 200)[0][1].body
    call.answer(ANSWER)
    return call.bob.one(ReinviteReceived).offer, answer


def in_update_and_its_2xx(call: Call) -> tuple[bytes | None, bytes | None]:
    call.bob.accepts_reinvites()
    call.dial(OFFER, status=183, sdp=ANSWER)
    call.ana.do("reinvite", call.session, HOLD)
    call.wire.run(1)
    call.answer(ANSWER)
    return call.bob.one(ReinviteReceived).offer, call.ana.one(ReinviteAnswered).sdp


def in_update_of_the_called_side(call: Call) -> tuple[bytes | None, bytes | None]:
    call.ana.accepts_reinvites()
    call.dial(OFFER, status=183, sdp=ANSWER)
    call.bob.do("reinvite", call.bob.session, HOLD)
    call.wire.run(1)
    call.answer(ANSWER)
    return call.ana.one(ReinviteReceived).offer, call.bob.one(ReinviteAnswered).sdp


def in_reinvite_and_2xx(call: Call) -> tuple[bytes | None, bytes | None]:
    call.bob.accepts_reinvites()
    call.dial(OFFER)
    call.answer(ANSWER)
    call.ana.do("reinvite", call.session, HOLD)
    call.wire.run(1)
    return call.bob.one(ReinviteReceived).offer, call.ana.one(ReinviteAnswered).sdp


def in_2xx_to_a_reinvite_and_ack(call: Call) -> tuple[bytes | None, bytes | None]:
    call.bob.accepts_reinvites()
    call.dial(OFFER)
    call.answer(ANSWER)
    call.wire.deliver(call.bob, from_ana(call.ana, call.bob, "INVITE", 2), to_bob(call.ana, call.bob))
    offer = call.bob.sent_of("INVITE", 200)[-1][1].body
    call.wire.deliver(call.bob, from_ana(call.ana, call.bob, "ACK", 2, body=ANSWER), to_bob(call.ana, call.bob))
    assert call.bob.one(ReinviteReceived).offer is None
    return offer, call.bob.heard(Acknowledged)[-1].sdp


PATTERNS: dict[Callable[[Call], tuple[bytes | None, bytes | None]], tuple[bytes, bytes]] = {
    in_invite_and_2xx: (OFFER, ANSWER),
    in_2xx_and_ack: (OFFER, ANSWER),
    in_invite_and_reliable_1xx: (OFFER, ANSWER),
    in_reliable_1xx_and_prack: (OFFER, ANSWER),
    in_prack_and_its_2xx: (HOLD, ANSWER),
    in_update_and_its_2xx: (HOLD, ANSWER),
    in_update_of_the_called_side: (HOLD, ANSWER),
    in_reinvite_and_2xx: (HOLD, ANSWER),
    in_2xx_to_a_reinvite_and_ack: (ANSWER, ANSWER),
}


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.__name__)
def test_offer_and_answer_arrive_by_every_way_that_is_allowed(
    pattern: Callable[[Call], tuple[bytes | None, bytes | None]],
) -> None:
    call = two_phones()
    wire = call.wire
    assert pattern(call) == PATTERNS[pattern]
    assert call.ana.heard(Answered)
    # One description each way and no more: neither side says again what was agreed.
    call.bob.do("hangup", call.bob.session)
    wire.settle()
    wire.nothing_is_left()


# -- what is not ---------------------------------------------------------------------------------------------------


def invite_unanswered(call: Call) -> None:
    call.dial(OFFER, status=180)


def no_offer_yet(call: Call) -> None:
    call.dial(None, status=180)


def our_offer_in_a_1xx_out(call: Call) -> None:
    call.dial(None, status=183, sdp=OFFER)


def our_offer_in_a_2xx_out(call: Call) -> None:
    call.dial(None, status=180)
    call.answer(OFFER)


def our_2xx_unacknowledged(call: Call) -> None:
    call.wire.fate = lambda _i, data: [] if data.startswith(b"ACK") else [0.01]
    call.dial(OFFER, status=180)
    call.answer(ANSWER)


def up(call: Call) -> None:
    call.dial(OFFER, status=180)
    call.answer(ANSWER)


def our_reinvite_out(call: Call) -> None:
    up(call)
    call.wire.fate = lambda _i, _d: []
    call.bob.do("reinvite", call.bob.session, HOLD)


def our_update_out(call: Call) -> None:
    call.dial(OFFER, status=183, sdp=ANSWER)
    call.wire.fate = lambda _i, _d: []
    call.bob.do("reinvite", call.bob.session, HOLD)


def their_update_unanswered(call: Call) -> None:
    up(call)
    call.wire.deliver(call.bob, from_ana(call.ana, call.bob, "UPDATE", 2, body=HOLD), to_bob(call.ana, call.bob))


def their_reinvite_unanswered(call: Call) -> None:
    up(call)
    call.wire.deliver(call.bob, from_ana(call.ana, call.bob, "INVITE", 2, body=HOLD), to_bob(call.ana, call.bob))


def their_reinvite_without_offer_unanswered(call: Call) -> None:
    up(call)
    call.wire.deliver(call.bob, from_ana(call.ana, call.bob, "INVITE", 2), to_bob(call.ana, call.bob))


# Where the called side stands; what comes from the caller then; what it is refused with.
OUT_OF_TURN: list[tuple[Callable[[Call], None], str, bytes, int]] = [
    (invite_unanswered, "UPDATE", HOLD, 500),
    (invite_unanswered, "INVITE", HOLD, 500),
    (no_offer_yet, "UPDATE", HOLD, 491),
    (no_offer_yet, "INVITE", HOLD, 500),
    (our_offer_in_a_1xx_out, "UPDATE", HOLD, 491),
    (our_offer_in_a_2xx_out, "UPDATE", HOLD, 491),
    (our_offer_in_a_2xx_out, "INVITE", HOLD, 491),
    (our_offer_in_a_2xx_out, "INVITE", b"", 491),
    (our_2xx_unacknowledged, "INVITE", HOLD, 491),
    (our_reinvite_out, "UPDATE", HOLD, 491),
    (our_reinvite_out, "INVITE", HOLD, 491),
    (our_reinvite_out, "INVITE", b"", 491),
    (our_update_out, "UPDATE", HOLD, 491),
    (their_update_unanswered, "UPDATE", OFFER, 500),
    (their_update_unanswered, "UPDATE", b"", 500),
    (their_update_unanswered, "INVITE", OFFER, 500),
    (their_update_unanswered, "INVITE", b"", 500),
    (their_reinvite_unanswered, "UPDATE", OFFER, 500),
    (their_reinvite_unanswered, "INVITE", OFFER, 500),
    (their_reinvite_without_offer_unanswered, "UPDATE", OFFER, 491),
    (their_reinvite_without_offer_unanswered, "INVITE", OFFER, 500),
]


@pytest.mark.parametrize(("stands", "method", "sdp", "status"), OUT_OF_TURN)
def test_offer_out_of_turn_is_refused_and_changes_nothing(
    stands: Callable[[Call], None], method: str, sdp: bytes, status: int
) -> None:
    call = two_phones()
    wire = call.wire
    stands(call)
    told = len(call.bob.told)
    wire.deliver(call.bob, from_ana(call.ana, call.bob, method, 7, body=sdp), to_bob(call.ana, call.bob))
    ((_, refusal),) = call.bob.sent_of(method, status)
    assert (refusal.headers.get("Retry-After") is not None) is (status == 500)
    assert len(call.bob.told) == told


# What needs no turn: without an offer there is nothing to collide.
IN_TURN: list[tuple[Callable[[Call], None], str, bytes]] = [
    (invite_unanswered, "UPDATE", b""),
    (our_offer_in_a_2xx_out, "UPDATE", b""),
    (our_2xx_unacknowledged, "UPDATE", HOLD),
    (our_reinvite_out, "UPDATE", b""),
    (their_reinvite_unanswered, "UPDATE", b""),
    (up, "UPDATE", HOLD),
    (up, "INVITE", HOLD),
    (up, "INVITE", b""),
]


@pytest.mark.parametrize(("stands", "method", "sdp"), IN_TURN)
def test_what_does_not_collide_is_taken(stands: Callable[[Call], None], method: str, sdp: bytes) -> None:
    call = two_phones()
    wire = call.wire
    stands(call)
    call.bob.accepts_reinvites()
    wire.deliver(call.bob, from_ana(call.ana, call.bob, method, 7, body=sdp), to_bob(call.ana, call.bob))
    assert call.bob.sent_of(method, 200)
    assert not [m for m in call.bob.sent if not isinstance(m[1], Request) and m[1].status >= 300]


def test_second_offer_in_a_prack_before_ours_was_answered_is_refused_but_acknowledges() -> None:
    """A reliable 180 says nothing of the sound: the offer of the INVITE still waits, so that none may follow it."""
    call = two_phones(lambda _i, data: [] if data.startswith(b"PRACK") else [0.01])
    wire = call.wire
    call.bob.on[InviteReceived] = lambda event: call.bob.do("ring", event.session)
    call.session = call.ana.call(call.bob, OFFER, headers=[("Require", "100rel")])
    wire.run(0.1)
    rseq = call.bob.sent_of("INVITE", 180)[0][1].headers.get("RSeq")
    prack = from_ana(call.ana, call.bob, "PRACK", 2, f"RAck: {rseq} 1 INVITE", body=HOLD)
    wire.deliver(call.bob, prack, to_bob(call.ana, call.bob))
    assert len(call.bob.sent_of("PRACK", 500)) == 1
    wire.run(2)
    assert len(call.bob.sent_of("INVITE", 180)) == 1


def test_whose_turn_it_is_says_the_status() -> None:
    assert {each: status_of_offer(each) for each in Exchange} == {
        Exchange.OPEN: 491,
        Exchange.OFFERED: 491,
        Exchange.ASKED: 500,
        Exchange.AGREED: None,
    }


@pytest.mark.parametrize("reason", ["refused", "cancelled", "glare given up"])
def test_change_that_fails_leaves_the_session_as_it_was_and_the_next_may_follow(reason: str) -> None:
    """RFC 6141 3: the state before the re-INVITE is the state after it."""
    call = two_phones()
    wire = call.wire
    up(call)
    status = {"refused": 488, "cancelled": 487, "glare given up": 491}[reason]
    call.bob.on[ReinviteReceived] = lambda event: call.bob.do("reject_reinvite", event.session, status)
    call.ana.do("reinvite", call.session, HOLD)
    wire.run(60)
    states = [
        call.ana.endpoint.dialog_state(call.session),
        call.bob.endpoint.dialog_state(call.bob.session),
    ]
    assert [(state.local_sdp, state.remote_sdp) for state in states if state is not None] == [
        (OFFER, ANSWER),
        (ANSWER, OFFER),
    ]
    call.bob.accepts_reinvites()
    call.ana.do("reinvite", call.session, HOLD)
    wire.run(5)
    assert call.ana.one(ReinviteAnswered).sdp == ANSWER
