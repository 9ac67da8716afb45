"""The four transaction machines, each alone, in injected time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from callcenter.sip.events import EndedBy, Send
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.message import Request, Response
from callcenter.sip.parser import parse
from callcenter.sip.timers import RFC_TIMERS, Deadlines, SipTimers
from callcenter.sip.transaction import Deliver, Failed, Input, Output, State, Transaction
from callcenter.sip.transaction_client import (
    ClientInvite,
    ClientRequest,
    ack_to_failure,
    cancel_of,
    client_key,
)
from callcenter.sip.transaction_server import ServerInvite, ServerRequest, server_key

UDP = Flow(Transport.UDP, Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))
TCP = Flow(Transport.TCP, Address("192.0.2.1", 5060), Address("192.0.2.2", 5060), 3)


def request(
    method: str = "INVITE", via: str = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone", more: str = ""
) -> Request:
    message = parse(
        (
            f"{method} sip:bob@example.com SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n"
            "From: <sip:ana@example.com>;tag=a\r\nTo: <sip:bob@example.com>\r\n"
            f"Call-ID: call-1\r\nCSeq: 7 {method}\r\n{more}Content-Length: 0\r\n\r\n"
        ).encode()
    )
    assert isinstance(message, Request)
    return message


def response(to: Request, status: int, tag: str = "b") -> Response:
    return to.response(status, to_tag=tag)


class Nobody:
    """A user who does not care."""

    def on_response(self, transaction: ClientInvite | ClientRequest, answer: Response, now: float) -> None:
        raise AssertionError("told by the core, not by the machine")

    def on_failure(self, transaction: ClientInvite | ClientRequest, cause: EndedBy, now: float) -> None:
        raise AssertionError("told by the core, not by the machine")


def client_invite(flow: Flow = UDP) -> ClientInvite:
    return ClientInvite("k", request(), flow, RFC_TIMERS, Nobody())


def client_request(flow: Flow = UDP) -> ClientRequest:
    return ClientRequest("k", request("BYE"), flow, RFC_TIMERS, None)


def server_invite(flow: Flow = UDP) -> ServerInvite:
    return ServerInvite("k", request(), flow, RFC_TIMERS)


def server_request(flow: Flow = UDP) -> ServerRequest:
    return ServerRequest("k", request("BYE"), flow, RFC_TIMERS, 0.0)


def live(machine: Transaction, until: float) -> list[tuple[float, Output]]:
    """Let the machine's timers fire up to ``until``; what it does, with the time."""
    done: list[tuple[float, Output]] = []
    while (at := machine.deadline) is not None and at <= until:
        done += [(at, output) for output in machine.expire(at)]
    return done


def sends(done: list[tuple[float, Output]]) -> list[float]:
    return [at for at, output in done if isinstance(output, Send)]


def failures(done: list[tuple[float, Output]]) -> list[tuple[float, EndedBy]]:
    return [(at, output.cause) for at, output in done if isinstance(output, Failed)]


def test_invite_without_answer_is_sent_seven_times_in_32_seconds_then_fails() -> None:
    machine = client_invite()
    assert len(machine.start(0.0)) == 1
    done = live(machine, 100.0)
    assert sends(done) == [0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert failures(done) == [(32.0, EndedBy.TIMEOUT)]
    assert machine.state is State.TERMINATED


def test_invite_over_tcp_is_sent_once() -> None:
    machine = client_invite(TCP)
    assert len(machine.start(0.0)) == 1
    done = live(machine, 100.0)
    assert sends(done) == []
    assert failures(done) == [(32.0, EndedBy.TIMEOUT)]


def test_provisional_answer_stops_the_invite_from_being_repeated_and_from_timing_out() -> None:
    machine = client_invite()
    machine.start(0.0)
    assert machine.receive(response(machine.request, 100), 0.1) == [Deliver(response(machine.request, 100))]
    assert machine.deadline is None


def test_refused_invite_is_acknowledged_at_once_and_each_time_the_refusal_is_repeated() -> None:
    machine = client_invite()
    machine.start(0.0)
    refusal = response(machine.request, 486)
    ack, told = machine.receive(refusal, 1.0)
    assert isinstance(ack, Send)
    assert told == Deliver(refusal)
    assert machine.receive(refusal, 2.0) == [ack]
    assert live(machine, 100.0) == []
    assert machine.state is State.TERMINATED


def test_refused_invite_over_tcp_is_over_at_once() -> None:
    machine = client_invite(TCP)
    machine.start(0.0)
    machine.receive(response(machine.request, 486), 1.0)
    assert machine.state is State.TERMINATED


def test_every_2xx_is_told_for_32_seconds_also_those_of_other_branches() -> None:
    machine = client_invite()
    machine.start(0.0)
    first, other = response(machine.request, 200, "b"), response(machine.request, 200, "c")
    assert machine.receive(first, 1.0) == [Deliver(first)]
    assert machine.receive(first, 1.5) == [Deliver(first)]
    assert machine.receive(other, 2.0) == [Deliver(other)]
    assert machine.receive(response(machine.request, 486), 2.0) == []
    assert machine.deadline == 33.0
    live(machine, 33.0)
    assert machine.state is State.TERMINATED
    assert machine.receive(first, 34.0) == []


def test_invite_given_up_after_cancel_fails_64_t1_later() -> None:
    machine = client_invite()
    machine.start(0.0)
    machine.receive(response(machine.request, 180), 1.0)
    machine.give_up_later(10.0)
    machine.give_up_later(20.0)
    assert failures(live(machine, 100.0)) == [(42.0, EndedBy.TIMEOUT)]


def test_acknowledgement_of_a_refusal_has_the_invites_via_and_routes_and_the_answers_to() -> None:
    invite = request(more="Route: <sip:p1;lr>\r\nRoute: <sip:p2;lr>\r\nSubject: secret\r\n")
    ack = ack_to_failure(invite, response(invite, 486))
    assert (ack.method, str(ack.uri)) == ("ACK", "sip:bob@example.com")
    assert ack.headers.items() == [
        ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKone"),
        ("Max-Forwards", "70"),
        ("Route", "<sip:p1;lr>"),
        ("Route", "<sip:p2;lr>"),
        ("From", "<sip:ana@example.com>;tag=a"),
        ("To", "<sip:bob@example.com>;tag=b"),
        ("Call-ID", "call-1"),
        ("CSeq", "7 ACK"),
    ]


def test_cancel_is_the_invite_but_for_the_method() -> None:
    invite = request(more="Route: <sip:p1;lr>\r\nRequire: foo\r\n")
    cancel = cancel_of(invite)
    assert cancel.headers.all("Via") == invite.headers.all("Via")
    assert cancel.headers.all("Route") == invite.headers.all("Route")
    assert cancel.headers.get("To") == "<sip:bob@example.com>"
    assert (cancel.cseq.number, cancel.cseq.method) == (7, "CANCEL")
    # 9.1: a CANCEL never requires anything.
    assert "Require" not in cancel.headers


def test_request_without_answer_is_sent_eleven_times_then_fails() -> None:
    machine = client_request()
    machine.start(0.0)
    done = live(machine, 100.0)
    assert sends(done) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert failures(done) == [(32.0, EndedBy.TIMEOUT)]


def test_request_over_tcp_is_sent_once_and_over_with_its_answer() -> None:
    machine = client_request(TCP)
    machine.start(0.0)
    assert sends(live(machine, 31.0)) == []
    machine.receive(response(machine.request, 200), 31.0)
    assert machine.state is State.TERMINATED


def test_request_that_is_known_to_have_arrived_is_repeated_every_t2() -> None:
    machine = client_request()
    machine.start(0.0)
    machine.receive(response(machine.request, 100), 0.1)
    done = live(machine, 100.0)
    assert sends(done)[:4] == [0.5, 4.5, 8.5, 12.5]
    assert failures(done) == [(32.0, EndedBy.TIMEOUT)]


def test_repeated_answers_to_a_request_are_absorbed_for_t4() -> None:
    machine = client_request()
    machine.start(0.0)
    answer = response(machine.request, 200)
    assert machine.receive(answer, 1.0) == [Deliver(answer)]
    assert machine.receive(answer, 2.0) == []
    live(machine, 6.0)
    assert machine.state is State.TERMINATED


def test_repeated_invite_gets_the_last_answer_again() -> None:
    machine = server_invite()
    assert machine.receive("INVITE", 0.0) == []
    machine.respond(100, b"trying", 0.0)
    assert machine.receive("INVITE", 0.5) == [Send(UDP, b"trying", "k")]
    machine.respond(180, b"ringing", 1.0)
    assert machine.receive("INVITE", 1.5) == [Send(UDP, b"ringing", "k")]
    machine.respond(486, b"busy", 2.0)
    assert machine.receive("INVITE", 2.1) == [Send(UDP, b"busy", "k")]


def test_refusal_is_repeated_until_the_ack_or_for_32_seconds() -> None:
    machine = server_invite()
    machine.respond(486, b"busy", 0.0)
    done = live(machine, 100.0)
    assert sends(done) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert machine.state is State.TERMINATED

    machine = server_invite()
    machine.respond(486, b"busy", 0.0)
    live(machine, 2.0)
    assert machine.receive("ACK", 2.0) == []
    assert machine.receive("ACK", 3.0) == []
    assert machine.receive("INVITE", 3.0) == []
    assert live(machine, 6.9) == []
    assert machine.state is State.CONFIRMED
    live(machine, 7.0)
    assert gone(machine)


def test_refusal_over_tcp_is_sent_once_and_over_with_the_ack() -> None:
    machine = server_invite(TCP)
    machine.respond(486, b"busy", 0.0)
    assert sends(live(machine, 31.0)) == []
    machine.receive("ACK", 31.0)
    assert machine.state is State.TERMINATED


def test_answered_invite_absorbs_repeated_ones_until_timer_l() -> None:
    machine = server_invite()
    assert machine.respond(200, b"ok", 0.0) == [Send(UDP, b"ok", "k")]
    assert machine.receive("INVITE", 0.5) == []
    assert machine.repeat(0.5) == [Send(UDP, b"ok", "k")]
    assert machine.respond(486, b"no", 1.0) == []
    assert machine.deadline == 32.0
    live(machine, 32.0)
    assert machine.state is State.TERMINATED
    assert machine.repeat(33.0) == []


def test_final_answer_cannot_be_changed() -> None:
    machine = server_invite()
    machine.respond(486, b"busy", 0.0)
    assert machine.respond(200, b"ok", 0.1) == []
    assert machine.receive("INVITE", 0.2) == [Send(UDP, b"busy", "k")]


def test_answered_request_is_answered_the_same_again_for_32_seconds() -> None:
    machine = server_request()
    assert machine.receive(0.1) == []
    assert machine.respond(200, b"ok", 1.0) == [Send(UDP, b"ok", "k")]
    assert machine.respond(500, b"no", 1.1) == []
    assert machine.receive(2.0) == [Send(UDP, b"ok", "k")]
    assert live(machine, 32.9) == []
    assert machine.state is State.COMPLETED
    live(machine, 33.0)
    assert gone(machine)


def test_answered_request_over_tcp_is_over_at_once() -> None:
    machine = server_request(TCP)
    machine.respond(200, b"ok", 1.0)
    assert machine.state is State.TERMINATED


def test_request_that_nobody_answers_is_let_go_when_the_client_has_given_up() -> None:
    machine = server_request()
    machine.respond(100, b"trying", 4.0)
    assert live(machine, 100.0) == []
    assert machine.state is State.TERMINATED


def test_transport_error_fails_what_waits_and_leaves_the_rest() -> None:
    for client in (client_invite(), client_request()):
        client.start(0.0)
        assert client.transport_failed(0.1) == [Failed(EndedBy.TRANSPORT)]
        assert client.state is State.TERMINATED
    server = server_invite()
    server.respond(180, b"ringing", 0.0)
    assert server.transport_failed(0.1) == [Failed(EndedBy.TRANSPORT)]
    assert server.state is State.PROCEEDING


def gone(machine: Transaction) -> bool:
    return machine.state is State.TERMINATED


def take(machine: Transaction, given: Input, now: float) -> list[Output]:
    """Give the machine any input, whether it can come now or not."""
    answer = response(request(), STATUS[given]) if given in STATUS else None
    return machine._step(given, answer, now)


# How each machine is brought into each state it has.
WAYS: list[tuple[Callable[[Flow], Transaction], dict[State, list[Input]]]] = [
    (
        client_invite,
        {
            State.CALLING: [Input.START],
            State.PROCEEDING: [Input.START, Input.PROVISIONAL],
            State.ACCEPTED: [Input.START, Input.SUCCESS],
            State.COMPLETED: [Input.START, Input.FAILURE],
            State.TERMINATED: [Input.START, Input.TRANSPORT_ERROR],
        },
    ),
    (
        client_request,
        {
            State.TRYING: [Input.START],
            State.PROCEEDING: [Input.START, Input.PROVISIONAL],
            State.COMPLETED: [Input.START, Input.SUCCESS],
            State.TERMINATED: [Input.START, Input.TIMER_F],
        },
    ),
    (
        server_invite,
        {
            State.PROCEEDING: [],
            State.ACCEPTED: [Input.SUCCESS],
            State.COMPLETED: [Input.FAILURE],
            State.CONFIRMED: [Input.FAILURE, Input.ACK],
            State.TERMINATED: [Input.SUCCESS, Input.TIMER_L],
        },
    ),
    (
        server_request,
        {
            State.TRYING: [],
            State.PROCEEDING: [Input.PROVISIONAL],
            State.COMPLETED: [Input.FAILURE],
            State.TERMINATED: [Input.GIVE_UP],
        },
    ),
]

STATUS = {Input.PROVISIONAL: 180, Input.SUCCESS: 200, Input.FAILURE: 486}


@pytest.mark.parametrize(
    ("make", "state", "way"),
    [(make, state, way) for make, ways in WAYS for state, way in ways.items()],
    ids=lambda value: value.name if isinstance(value, State) else getattr(value, "__name__", ""),
)
def test_every_input_in_every_state_is_borne_and_ends_by_itself(
    make: Callable[[Flow], Transaction], state: State, way: list[Input]
) -> None:
    for given in Input:
        machine = make(UDP)
        for step in way:
            take(machine, step, 0.0)
        assert machine.state is state
        take(machine, given, 0.0)
        if gone(machine):
            assert machine.deadline is None
            for late in Input:
                assert take(machine, late, 1.0) == []
        live(machine, 1000.0)
        # What waits for its user waits; everything else runs out.
        assert gone(machine) or machine.state in (State.PROCEEDING, State.CALLING)
        assert machine.deadline is None


def test_machines_are_found_by_branch_sent_by_and_method() -> None:
    invite = request()
    assert server_key(invite, "INVITE") == server_key(request("ACK"), "INVITE")
    assert server_key(invite, "INVITE") == server_key(request("CANCEL"), "INVITE")
    assert server_key(invite, "INVITE") != server_key(request("CANCEL"), "CANCEL")
    assert server_key(invite, "INVITE") != server_key(
        request(via="SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKone"), "INVITE"
    )
    assert client_key("z", "INVITE") != client_key("z", "CANCEL")


@pytest.mark.parametrize("branch", ["", ";branch=1", ";branch=z9hG4bK"])
def test_requests_of_an_rfc_2543_client_are_told_apart_by_what_they_ask(branch: str) -> None:
    via = f"SIP/2.0/UDP 192.0.2.1:5060{branch}"
    invite = request(via=via)
    key = server_key(invite, "INVITE")
    assert key == server_key(request("ACK", via=via), "INVITE")
    # That we note in its Via where it came from changes nothing.
    invite.headers.replace_first("Via", via + ";received=203.0.113.9")
    assert server_key(invite, "INVITE") == key
    other = request(via=via)
    other.headers.set("Call-ID", "call-2")
    assert server_key(other, "INVITE") != key


class Bell:
    """Something with a deadline."""

    def __init__(self) -> None:
        self.queued: float | None = None
        self.deadline: float | None = None


def test_the_heap_finds_the_next_deadline_however_often_deadlines_move() -> None:
    heap: Deadlines[Bell] = Deadlines()
    bells = [Bell() for _ in range(5)]
    assert heap.earliest is None
    for turn in range(200):
        bell = bells[turn % 5]
        bell.deadline = None if turn % 7 == 0 else float((turn * 37) % 101)
        heap.watch(bell)
        wanted = min((b.deadline for b in bells if b.deadline is not None), default=None)
        assert heap.earliest == wanted
    assert len(heap._heap) <= 2 * len(heap) + 64
    rung: list[float] = []
    while (due := heap.pop_due(1000.0)) is not None:
        assert due.deadline is not None
        rung.append(due.deadline)
        due.deadline = None
        heap.watch(due)
    assert rung == sorted(rung)
    assert heap.pop_due(1000.0) is None
    assert len(heap) == 0


def test_timers_follow_t1() -> None:
    timers = SipTimers(t1=0.1, t2=1.0, t4=1.5)
    assert (timers.timeout, timers.timer_d, timers.timer_i, timers.timer_k) == (6.4, 32.0, 1.5, 1.5)
