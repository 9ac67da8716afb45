"""What the endpoint counts, seen at one call and at one that nobody answers."""

from __future__ import annotations

from callcenter.sip.events import InviteReceived
from callcenter.sip.metrics import MAX_REASONS, OTHER, Metrics
from tests.unit.sip.lossy import ANSWER, Wire
from tests.unit.sip.test_endpoint import UDP, endpoint, invite, run_out, text


def test_a_call_is_counted_on_both_sides_by_method_and_class() -> None:
    wire = Wire()
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("answer", event.session, ANSWER)
    session = ana.call(bob)
    wire.run(1.0)
    ana.do("hangup", session)
    wire.run(60.0)
    caller, called = ana.endpoint.metrics, bob.endpoint.metrics
    assert caller.requests_out == called.requests_in == {"INVITE": 1, "ACK": 1, "BYE": 1}
    assert caller.responses_in == called.responses_out == {("INVITE", 1): 1, ("INVITE", 2): 1, ("BYE", 2): 1}
    assert caller.repeated_by_us == called.repeated_by_us == {}
    took, answered = caller.response_times["INVITE"].plain(), called.answer_times["INVITE"].plain()
    assert took["count"] == answered["count"] == 1
    assert took["sum"] > 0.019


def test_repetitions_are_told_from_what_is_new() -> None:
    it = endpoint()
    data = invite()
    for _ in range(3):
        it.receive(data, UDP, 0.0)
    (session,) = it._core.sessions
    it.answer(session, ANSWER, 0.0)
    run_out(it)
    assert it.metrics.requests_in == {"INVITE": 1}
    assert it.metrics.repeated_by_peers == {"INVITE": 2}
    assert it.metrics.repeated_by_us["INVITE"] == 10, "the 200, until its time was over"
    assert it.metrics.repeated_by_us["BYE"] == 10


def test_provisional_answer_that_no_prack_came_for_is_repeated_by_us_and_by_no_peer() -> None:
    wire = Wire(lambda _i, data: [] if data.startswith(b"PRACK") else [0.01])
    ana, bob = wire.pair()
    bob.on[InviteReceived] = lambda event: bob.do("ring", event.session, status=183, sdp=ANSWER)
    ana.call(bob)
    wire.run(2.0)
    again = len(bob.sent_of("INVITE", 183)) - 1
    assert again == 2
    assert bob.endpoint.metrics.repeated_by_us == {"INVITE": again}
    assert bob.endpoint.metrics.repeated_by_peers == {}
    assert bob.endpoint.metrics.responses_out["INVITE", 1] == 2, "the 100, and the 183 once"


def test_what_peers_make_up_is_counted_under_one_name() -> None:
    it = endpoint()
    for number in range(200):
        it.receive(text(f"MADEUP{number}", call_id=str(number)), UDP, 0.0)
    assert it.metrics.requests_in == {OTHER: 200}
    assert it.metrics.responses_out == {(OTHER, 4): 200}
    metrics = Metrics()
    for number in range(1000):
        metrics.could_not_read(f"reason {number}")
    assert len(metrics.unreadable) == MAX_REASONS + 1


def test_unreadable_messages_are_counted_by_what_was_wrong() -> None:
    it = endpoint()
    it.receive(b"nonsense", UDP, 0.0)
    it.receive(invite(forwards=999), UDP, 0.0)
    it.receive(b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nCSeq: 1 BYE\r\n\r\n", UDP, 0.0)
    assert it.metrics.unreadable["Bad Max-Forwards"] == 1
    assert sum(it.metrics.unreadable.values()) == 2
    assert it.metrics.late_responses == 1
