"""Provisional answers that arrive for sure (RFC 3262), both ways, over a wire that loses and doubles datagrams."""

from __future__ import annotations

import pytest

from callcenter.sip.events import (
    Acknowledged,
    Answered,
    EndedBy,
    InviteReceived,
    ProgressAnswered,
    Progressed,
    ReinviteReceived,
    Rejected,
    SessionEnded,
)
from callcenter.sip.flow import Flow, Transport
from callcenter.sip.message import Request, Response
from callcenter.sip.parser import parse
from tests.unit.sip.lossy import ANSWER, HOLD, OFFER, Fate, Phone, Wire, passes
from tests.unit.sip.test_invite import ended, forked

REQUIRED = [("Require", "100rel")]


def ringing(
    status: int = 183, sdp: bytes | None = ANSWER, fate: Fate = passes, offer: bytes | None = OFFER, **call: object
) -> tuple[Wire, Phone, Phone, str]:
    """A call that got a provisional answer."""
    wire = Wire(fate)
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session, status=status, sdp=sdp)
    session = ana.call(bob, offer, **call)
    return wire, ana, bob, session


def from_ana(ana: Phone, bob: Phone, method: str, cseq: int, *headers: str, body: bytes = b"") -> bytes:
    """A request of the caller's in the early dialog of the call."""
    answer = next(message for _, message in bob.sent if isinstance(message, Response) and message.status > 100)
    kind = ["Content-Type: application/sdp"] if body else []
    lines = [
        f"{method} sip:bob@192.0.2.2 SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}{cseq};rport",
        f"From: {answer.headers.get('From')}",
        f"To: {answer.headers.get('To')}",
        f"Call-ID: {answer.call_id}",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:ana@192.0.2.1:5060>",
        "Max-Forwards: 70",
        *headers,
        *kind,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def to_bob(ana: Phone, bob: Phone) -> Flow:
    return Flow(Transport.UDP, bob.address, ana.address)


# -- we are called -------------------------------------------------------------------------------------------------


def test_early_media_is_told_reliably_and_acknowledged_once() -> None:
    wire, ana, bob, session = ringing()
    wire.run(5)
    ((_, progress),) = bob.sent_of("INVITE", 183)
    assert progress.headers.get("Require") == "100rel"
    assert 0 < int(progress.headers.get("RSeq")) < 2**31
    assert "UPDATE" in progress.headers.get("Allow")
    assert (ana.one(Progressed).status, ana.one(Progressed).sdp) == (183, ANSWER)
    ((_, prack),) = ana.sent_of("PRACK")
    assert prack.headers.get("RAck") == f"{progress.headers.get('RSeq')} 1 INVITE"
    assert len(bob.sent_of("PRACK", 200)) == 1
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    # The answer was given: the 200 does not say it again.
    ((_, answer),) = bob.sent_of("INVITE", 200)
    assert answer.body == b""
    assert ana.one(Answered).sdp == ANSWER
    ana.do("hangup", session)
    wire.settle()
    assert ended(bob) == (EndedBy.PEER, 200)
    wire.nothing_is_left()


def test_plain_ringing_asks_for_no_prack() -> None:
    wire, ana, bob, _session = ringing(180, None)
    wire.run(5)
    ((_, progress),) = bob.sent_of("INVITE", 180)
    assert progress.headers.get("RSeq") is None
    assert not ana.sent_of("PRACK")


def test_peer_that_insists_gets_even_plain_ringing_reliably() -> None:
    wire, ana, bob, _session = ringing(180, None, headers=REQUIRED)
    wire.run(5)
    assert bob.sent_of("INVITE", 180)[0][1].headers.get("RSeq")
    assert len(ana.sent_of("PRACK")) == 1


def test_peer_without_100rel_gets_early_media_all_the_same() -> None:
    wire = Wire()
    ana, bob = wire.phone("ana", "192.0.2.1", supported=()), wire.phone("bob", "192.0.2.2")
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session, status=183, sdp=ANSWER)
    ana.call(bob)
    wire.run(5)
    assert ana.one(Progressed).sdp == ANSWER
    assert not ana.sent_of("PRACK")
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    assert ana.one(Answered).sdp == ANSWER


@pytest.mark.parametrize("transport", [Transport.UDP, Transport.TCP])
def test_progress_that_nobody_acknowledges_is_repeated_ever_slower_and_the_call_refused_after_32_seconds(
    transport: Transport,
) -> None:
    """RFC 3262 3: T1, doubled without a cap, for 64*T1, whatever the transport; then a 5xx."""
    wire = Wire(lambda _index, data: [] if data.startswith(b"PRACK") else [0.01], transport)
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session, status=183, sdp=ANSWER)
    ana.call(bob)
    wire.settle()
    times = [round(at - 1000.01, 3) for at, _ in bob.sent_of("INVITE", 183)]
    assert times == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert ended(bob) == (EndedBy.TIMEOUT, 504)
    assert ana.one(Rejected).status == 504
    # Each repetition was absorbed: the PRACK's own transaction repeats it.
    assert len(ana.heard(Progressed)) == 1
    assert len({data for data in wire.carried if data.startswith(b"PRACK")}) == 1
    wire.nothing_is_left()


def test_answer_waits_for_the_prack_of_the_early_media() -> None:
    """RFC 3262 5: no 2xx before the PRACK of a provisional answer that describes."""
    wire, ana, bob, session = ringing(fate=lambda _i, data: [3.0] if data.startswith(b"PRACK") else [0.01])
    wire.run(1)
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    assert not bob.sent_of("INVITE", 200)
    wire.run(3)
    assert ana.one(Answered).sdp == ANSWER
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_answer_does_not_wait_for_the_prack_of_plain_ringing_and_a_late_one_is_still_taken() -> None:
    late: Fate = lambda _i, data: [0.3] if data.startswith(b"PRACK") else [0.01]  # noqa: E731
    wire, ana, bob, session = ringing(180, None, late, headers=REQUIRED)
    wire.run(0.1)
    bob.do("answer", bob.session, ANSWER)
    wire.run(5)
    assert ana.one(Answered).sdp == ANSWER
    assert len(bob.sent_of("PRACK", 200)) == 1
    assert len(bob.sent_of("INVITE", 180)) == 1
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_call_may_be_refused_taken_back_or_hung_up_while_a_prack_is_awaited() -> None:
    for deed in ("reject", "cancel", "hangup", "hang up the answered"):
        wire, ana, bob, session = ringing(fate=lambda _i, data: [] if data.startswith(b"PRACK") else [0.01])
        wire.run(1)
        match deed:
            case "reject":
                bob.do("reject", bob.session, 486)
            case "cancel":
                ana.do("hangup", session)
            case "hangup":
                bob.do("hangup", bob.session)
            case _:
                bob.do("answer", bob.session, ANSWER)
                bob.do("hangup", bob.session)
        wire.settle()
        assert not ana.heard(Answered)
        ana.one(SessionEnded)
        bob.one(SessionEnded)
        wire.nothing_is_left()


def test_one_is_out_at_a_time_and_the_next_follows_its_prack() -> None:
    wire, ana, bob, _session = ringing(fate=lambda _i, data: [0.3] if data.startswith(b"PRACK") else [0.01])
    wire.run(0.1)
    assert ana.heard(Progressed)
    for status in (180, 182):
        bob.do("ring", bob.session, status=status)
    assert len([1 for _, m in bob.sent if isinstance(m, Response) and m.headers.get("RSeq")]) == 1
    # What carries no description to a peer that does not insist need not wait.
    assert [m.status for _, m in bob.sent if isinstance(m, Response)][-2:] == [180, 182]

    late: Fate = lambda _i, data: [0.3] if data.startswith(b"PRACK") else [0.01]  # noqa: E731
    wire, ana, bob, _session = ringing(180, None, late, headers=REQUIRED)
    wire.run(0.1)
    for status in (181, 182):
        bob.do("ring", bob.session, status=status)
    wire.run(0.1)
    assert [event.status for event in ana.heard(Progressed)] == [180]
    wire.run(3)
    assert [event.status for event in ana.heard(Progressed)] == [180, 181, 182]
    numbers = [int(rseq) for _, m in bob.sent if isinstance(m, Response) and (rseq := m.headers.get("RSeq"))]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


@pytest.mark.parametrize(
    ("rack", "status"),
    [
        ("{rseq} 1 INVITE", 200),
        ("{other} 1 INVITE", 481),
        ("{rseq} 2 INVITE", 481),
        ("{rseq} 1 UPDATE", 481),
        ("{rseq} 1", 400),
        ("x 1 INVITE", 400),
        ("99999999999 1 INVITE", 400),
        ("", 400),
    ],
)
def test_prack_is_matched_by_what_it_names(rack: str, status: int) -> None:
    wire, ana, bob, _session = ringing(fate=lambda _i, data: [] if data.startswith(b"PRACK") else [0.01])
    wire.run(0.1)
    rseq = int(bob.sent_of("INVITE", 183)[0][1].headers.get("RSeq"))
    header = [f"RAck: {rack.format(rseq=rseq, other=rseq + 1)}"] if rack else []
    wire.deliver(bob, from_ana(ana, bob, "PRACK", 5, *header), to_bob(ana, bob))
    assert len(bob.sent_of("PRACK", status)) == 1
    if status == 200:
        # Another for the same one is for none; the same again gets the same answer.
        for cseq, again in ((5, 200), (6, 481)):
            wire.deliver(bob, from_ana(ana, bob, "PRACK", cseq, *header), to_bob(ana, bob))
            assert bob.sent_of("PRACK", again)
        assert len(bob.sent_of("PRACK", 200)) == 2


def test_prack_for_no_call_or_no_progress_of_ours_is_refused_481() -> None:
    wire, ana, bob, _session = ringing(180, None)
    wire.run(0.1)
    wire.deliver(bob, from_ana(ana, bob, "PRACK", 5, "RAck: 7 1 INVITE"), to_bob(ana, bob))
    assert len(bob.sent_of("PRACK", 481)) == 1
    stranger = from_ana(ana, bob, "PRACK", 6, "RAck: 7 1 INVITE").replace(b"Call-ID: ", b"Call-ID: x")
    wire.deliver(bob, stranger, to_bob(ana, bob))
    assert len(bob.sent_of("PRACK", 481)) == 2


# -- we call -------------------------------------------------------------------------------------------------------


def progress_of(bob: Phone, status: int = 183) -> Response:
    found = bob.sent_of("INVITE", status)[0][1]
    assert isinstance(found, Response)
    return found


def numbered(answer: Response, rseq: int, status: int = 183) -> bytes:
    data = answer.to_bytes().replace(f"RSeq: {answer.headers.get('RSeq')}".encode(), b"RSeq: %d" % rseq)
    return data.replace(b"SIP/2.0 183", b"SIP/2.0 %d" % status)


def test_repeated_and_skipped_progress_is_told_and_acknowledged_in_order_and_once() -> None:
    """RFC 3262 4: what is repeated is absorbed, what comes before its turn is not acknowledged."""
    wire, ana, bob, _session = ringing()
    wire.run(1)
    answer = progress_of(bob)
    first = int(answer.headers.get("RSeq") or "")
    for rseq in (first, first + 2, first - 1, first + 1, first + 1, first + 2):
        wire.deliver(ana, numbered(answer, rseq, 180), ana.flow_to(bob))
    assert [message.headers.get("RAck").split()[0] for _, message in ana.sent_of("PRACK")] == [
        str(first),
        str(first + 1),
        str(first + 2),
    ]
    assert [event.status for event in ana.heard(Progressed)] == [183, 180, 180]
    # The first answer counts; nothing that follows is looked at (RFC 3261 13.2.1).
    assert [event.sdp for event in ana.heard(Progressed)] == [ANSWER, None, None]


def test_each_branch_of_a_forked_call_has_its_own_numbers_and_pracks() -> None:
    wire, ana, bob, session = ringing()
    wire.run(1)
    answer = progress_of(bob)
    other = parse(numbered(answer, 77))
    assert isinstance(other, Response)
    wire.deliver(ana, forked(other, "second"), ana.flow_to(bob))
    second = [message for _, message in ana.sent_of("PRACK") if message.to_tag == "second"]
    assert [message.headers.get("RAck") for message in second] == ["77 1 INVITE"]
    assert len(ana.sent_of("PRACK")) == 2
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    late = bob.sent_of("INVITE", 200)[0][1]
    wire.deliver(ana, forked(late, "second"), ana.flow_to(bob))
    ((_, bye),) = ana.sent_of("BYE")
    assert bye.to_tag == "second"
    assert bye.cseq.number > second[0].cseq.number
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_numbers_go_on_from_the_prack_in_the_established_dialog() -> None:
    wire, ana, bob, session = ringing()
    wire.run(1)
    bob.do("answer", bob.session, ANSWER)
    wire.run(1)
    ana.do("hangup", session)
    wire.settle()
    assert [message.cseq.number for _, message in ana.sent if isinstance(message, Request)] == [1, 2, 1, 3]


def test_progress_that_requires_100rel_without_a_number_is_taken_as_unreliable() -> None:
    wire, ana, bob, _session = ringing(fate=lambda _i, data: [] if b"RSeq" in data else [0.01])
    wire.run(0.1)
    spoiled = progress_of(bob).to_bytes().replace(b"RSeq: ", b"RSeq: x")
    wire.deliver(ana, spoiled, ana.flow_to(bob))
    assert ana.one(Progressed).sdp == ANSWER
    assert not ana.sent_of("PRACK")


def test_progress_after_we_hung_up_is_not_acknowledged() -> None:
    wire, ana, _bob, session = ringing(fate=lambda _i, data: [1.0] if b"RSeq" in data else [0.01])
    wire.run(0.1)
    ana.do("hangup", session)
    wire.settle()
    assert not ana.sent_of("PRACK")
    wire.nothing_is_left()


# -- offers in provisional answers and PRACKs ----------------------------------------------------------------------


def test_offer_in_early_media_is_answered_in_the_prack_when_the_caller_made_none() -> None:
    wire, ana, bob, session = ringing(sdp=OFFER, offer=None)
    wire.run(1)
    assert ana.one(Progressed).sdp == OFFER
    assert not ana.sent_of("PRACK")
    ana.do("acknowledge", session, ANSWER)
    ana.do("acknowledge", session, ANSWER)
    wire.run(1)
    assert len(ana.sent_of("PRACK")) == 1
    assert bob.one(ProgressAnswered).sdp == ANSWER
    bob.do("answer", bob.session, OFFER)
    wire.run(1)
    assert bob.sent_of("INVITE", 200)[0][1].body == b""
    assert (ana.one(Answered).sdp, bob.one(Acknowledged).sdp) == (OFFER, None)
    assert len(ana.sent_of("ACK")) == 1
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_prack_that_owes_an_answer_and_has_none_is_refused_and_does_not_count() -> None:
    wire, ana, bob, session = ringing(sdp=OFFER, offer=None)
    wire.run(0.1)
    rseq = progress_of(bob).headers.get("RSeq")
    wire.deliver(bob, from_ana(ana, bob, "PRACK", 5, f"RAck: {rseq} 1 INVITE"), to_bob(ana, bob))
    assert len(bob.sent_of("PRACK", 400)) == 1
    wire.run(1)
    assert len(bob.sent_of("INVITE", 183)) > 1
    prack = from_ana(ana, bob, "PRACK", 6, f"RAck: {rseq} 1 INVITE", body=ANSWER)
    wire.deliver(bob, prack, to_bob(ana, bob))
    assert bob.one(ProgressAnswered).sdp == ANSWER
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_caller_without_100rel_and_without_offer_hears_ours_in_the_200_alone() -> None:
    """An offer of ours has to arrive: it is not put where it may get lost (RFC 3261 13.2.1)."""
    wire = Wire()
    ana, bob = wire.phone("ana", "192.0.2.1", supported=()), wire.phone("bob", "192.0.2.2")
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session, status=183, sdp=OFFER)
    session = ana.call(bob, None)
    wire.run(1)
    assert ana.one(Progressed).sdp is None
    bob.do("answer", bob.session, OFFER)
    wire.run(1)
    assert ana.one(Answered).sdp == OFFER
    ana.do("acknowledge", session, ANSWER)
    wire.run(1)
    assert bob.one(Acknowledged).sdp == ANSWER


@pytest.mark.parametrize("accepts", [True, False])
def test_new_offer_in_a_prack_is_told_like_a_reinvite_and_the_answer_waits_for_it(accepts: bool) -> None:
    wire, ana, bob, session = ringing(fate=lambda _i, data: [] if data.startswith(b"PRACK") else [0.01])
    wire.run(0.1)
    rseq = progress_of(bob).headers.get("RSeq")
    prack = from_ana(ana, bob, "PRACK", 2, f"RAck: {rseq} 1 INVITE", body=HOLD)
    wire.deliver(bob, prack, to_bob(ana, bob))
    assert bob.one(ReinviteReceived).offer == HOLD
    bob.do("answer", bob.session, ANSWER)
    wire.run(0.1)
    assert not bob.sent_of("INVITE", 200)
    if accepts:
        bob.do("accept_reinvite", bob.session, ANSWER)
        assert bob.sent_of("PRACK", 200)[0][1].body == ANSWER
    else:
        # The offer is refused; that the provisional answer arrived stays true.
        bob.do("reject_reinvite", bob.session, 488)
        assert len(bob.sent_of("PRACK", 488)) == 1
    wire.run(1)
    ana.one(Answered)
    state = bob.endpoint.dialog_state(bob.session)
    assert state is not None
    assert state.remote_sdp == (HOLD if accepts else OFFER)
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()


def test_reinvite_answered_reliably_first_is_acknowledged_too() -> None:
    """RFC 6141: a phone may ask its user before it takes a change, and says so reliably."""
    wire = Wire()
    ana, bob = wire.pair()
    bob.answers_by_itself()
    session = ana.call(bob)
    wire.run(2)
    bob.on.pop(ReinviteReceived)
    ana.do("reinvite", session, HOLD)
    wire.run(0.1)
    trying = bob.sent_of("INVITE", 100)[-1][1].to_bytes().replace(b"100 Trying", b"183 Session Progress")
    progress = trying.replace(b"Content-Length", b"Require: 100rel\r\nRSeq: 9\r\nContent-Length")
    for _ in range(2):
        wire.deliver(ana, progress, ana.flow_to(bob))
    assert [message.headers.get("RAck") for _, message in ana.sent_of("PRACK")] == ["9 2 INVITE"]
    bob.do("accept_reinvite", bob.session, ANSWER)
    wire.run(1)
    ana.do("hangup", session)
    wire.settle()
    wire.nothing_is_left()
