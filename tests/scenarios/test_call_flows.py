"""The call flows of RFC 3665 and RFC 5359, each by its section: the stories that tell it here, or why none does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from callcenter.model.states import OfferResult, Outcome
from callcenter.simulation.world import World, story
from callcenter.sip.endpoint import Endpoint, EndpointStatus
from callcenter.sip.events import Acknowledged, InviteReceived, Send, SessionEnded
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.message import Request, Response
from callcenter.sip.parser import parse

TESTS = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class CallFlow:
    """A flow by its title; ``told`` by stories (file::name under tests), or not, and then ``why``."""

    title: str
    told: tuple[str, ...] = ()
    why: str = ""


MAIN = "scenarios/test_main_job.py::"
SHELL = "unit/signaling/test_registrar_shell.py::"
REGISTRAR = "unit/sip/test_registrar.py::"
DOOR = "unit/signaling/test_doorkeeper.py::"
INVITE = "unit/sip/test_invite.py::"
TRANSFER = "scenarios/test_transfer.py::"
TO_OUTSIDE = "scenarios/test_transfer_outside.py::"
OUT = "scenarios/test_calls_outside.py::"
OWN = "scenarios/test_own_calls.py::"
TWO = "scenarios/test_two_phones.py::"
PERMITTED = "scenarios/test_who_may_dial.py::"
PULL = "scenarios/test_pulling.py::"
HERE = "scenarios/test_call_flows.py::"

RFC_3665 = {
    "2.1": CallFlow(
        "Successful New Registration",
        (
            SHELL + "test_phone_registers_is_known_and_is_saved",
            REGISTRAR + "test_phone_registers_refreshes_and_signs_off",
            "wire/test_tls.py::test_agent_whose_phone_registered_by_tls_is_called_over_it",
        ),
    ),
    "2.2": CallFlow(
        "Update of Contact List",
        (
            SHELL + "test_two_phones_of_one_user_are_both_known",
            REGISTRAR + "test_phone_that_moved_replaces_its_old_binding_by_its_instance",
        ),
    ),
    "2.3": CallFlow("Request for Current Contact List", (REGISTRAR + "test_query_without_contact_changes_nothing",)),
    "2.4": CallFlow(
        "Cancellation of Registration",
        (
            SHELL + "test_unregistering_takes_the_phone_away",
            REGISTRAR + "test_star_removes_all_but_only_with_expires_0",
            MAIN + "test_a_phone_that_unregisters_takes_its_agent_off_the_floor",
        ),
    ),
    "2.5": CallFlow(
        "Unsuccessful Registration",
        (
            SHELL + "test_unknown_user_and_wrong_password_get_the_same_answer",
            "wire/test_guard.py::test_the_answer_takes_as_long_for_an_unknown_agent",
        ),
    ),
    "3.1": CallFlow(
        "Successful Session Establishment",
        (
            MAIN + "test_a_caller_hears_the_greeting_presses_a_key_and_talks_to_the_agent",
            INVITE + "test_good_call_rings_is_answered_acknowledged_and_hung_up",
            "wire/test_private.py::test_a_call_that_is_private_on_one_side_or_on_both_has_sound_both_ways",
        ),
    ),
    "3.2": CallFlow(
        "Session Establishment Through Two Proxies",
        (
            HERE + "test_a_call_that_came_through_two_proxies_is_hung_up_through_them",
            OUT + "test_a_call_goes_by_the_outbound_proxy_and_names_the_carrier_behind_it",
        ),
    ),
    "3.3": CallFlow(
        "Session with Multiple Proxy Authentication",
        (
            DOOR + "test_who_answers_the_challenge_is_let_in_by_name",
            OUT + "test_a_carrier_that_asks_who_calls_is_told_and_takes_the_call",
            "unit/sip/test_challenged.py::test_proxy_and_the_server_behind_it_are_both_answered",
            "unit/sip/test_challenged.py::test_invite_that_is_challenged_is_the_same_call_with_the_next_number",
        ),
        why="as either end: one that challenges, or that answers 401 and 407; no proxy passes our users' proofs on",
    ),
    "3.4": CallFlow(
        "Successful Session with Proxy Failure",
        (
            HERE + "test_a_call_that_a_second_proxy_takes_up_rings_once",
            OUT + "test_a_carrier_that_is_silent_costs_four_seconds_and_the_next_call_nothing",
        ),
    ),
    "3.5": CallFlow(
        "Session Through a SIP ALG",
        ("unit/sip/test_dialog.py::test_phone_behind_a_nat_is_reached_by_the_flow_it_uses",),
        why="what an ALG has put into Contact, Via and description is what we see, as of any other peer",
    ),
    "3.6": CallFlow(
        "Session via Redirect and Proxy Servers with SDP in ACK",
        (
            INVITE + "test_reinvite_without_offer_gets_ours_and_brings_the_answer_in_the_ack",
            INVITE + "test_invite_without_offer_gets_one_in_the_200_and_answers_it_in_the_ack",
            HERE + "test_a_phone_that_sends_the_call_elsewhere_is_passed_over_and_nobody_else_rings",
        ),
        why="the SDP in the ACK; a redirection of ours is followed nowhere, see RFC 5359 2.7",
    ),
    "3.7": CallFlow(
        "Session with re-INVITE (IP Address Change)",
        (
            INVITE + "test_reinvite_and_its_answer_may_move_either_side",
            "scenarios/test_odd_moments.py::test_a_caller_renegotiates_while_the_agents_phone_rings",
        ),
    ),
    "3.8": CallFlow(
        "Unsuccessful No Answer",
        (
            MAIN + "test_unanswered_offer_moves_on_and_the_call_is_saved",
            MAIN + "test_caller_who_hangs_up_while_it_rings_frees_the_agent",
        ),
    ),
    "3.9": CallFlow("Unsuccessful Busy", (MAIN + "test_a_busy_or_declining_agent_is_passed_over",)),
    "3.10": CallFlow(
        "Unsuccessful No Response from User Agent", (MAIN + "test_the_agents_phone_is_gone_while_it_should_ring",)
    ),
    "3.11": CallFlow(
        "Unsuccessful Temporarily Unavailable",
        (HERE + "test_an_agent_who_is_temporarily_unavailable_is_passed_over",),
    ),
}

RFC_5359 = {
    "2.1": CallFlow(
        "Call Hold",
        (MAIN + "test_the_agent_holds_and_resumes", MAIN + "test_the_caller_holds_and_the_agent_hears_music"),
    ),
    "2.2": CallFlow(
        "Consultation Hold", (OWN + "test_an_agent_asks_a_colleague_beside_a_talk_and_goes_back_to_the_caller",)
    ),
    "2.3": CallFlow(
        "Music on Hold",
        (MAIN + "test_the_agent_holds_and_resumes",),
        why="the switch plays it itself: no third party is invited for it",
    ),
    "2.4": CallFlow(
        "Transfer - Unattended",
        (
            TRANSFER + "test_caller_is_put_through_to_a_colleague_and_the_first_agent_is_free",
            TRANSFER + "test_caller_goes_back_to_the_agent_when_the_colleague_does_not_answer",
            TO_OUTSIDE + "test_caller_is_put_through_to_somebody_outside",
            "wire/test_transfer.py::test_agent_puts_a_caller_through_to_a_colleague",
        ),
        why="the caller is not referred: the switch stands between, calls the colleague itself and tells the agent",
    ),
    "2.5": CallFlow(
        "Transfer - Attended",
        (
            TRANSFER + "test_agent_asks_a_colleague_first_and_then_puts_both_through",
            TRANSFER + "test_agent_whose_phone_refers_by_the_call_of_the_colleague_puts_both_through_too",
            TO_OUTSIDE + "test_agent_asks_somebody_outside_first_and_then_puts_both_through",
            TRANSFER + "test_agent_who_does_not_wait_for_the_colleague_to_answer_leaves_the_caller_to_it",
            TO_OUTSIDE + "test_agent_who_does_not_wait_for_somebody_outside_to_answer_leaves_the_caller_to_it",
        ),
        why="the colleague gets no INVITE with Replaces: both calls are the switch's, which joins them",
    ),
    "2.6": CallFlow("Transfer - Instant Messaging", why="there are no messages: MESSAGE is answered 405"),
    "2.7": CallFlow(
        "Call Forwarding Unconditional",
        (HERE + "test_a_phone_that_sends_the_call_elsewhere_is_passed_over_and_nobody_else_rings",),
        why="who takes a call in an agent's place the queue decides, not the phone: else it could call anybody",
    ),
    "2.8": CallFlow("Call Forwarding - Busy", (MAIN + "test_a_busy_or_declining_agent_is_passed_over",)),
    "2.9": CallFlow(
        "Call Forwarding - No Answer",
        (
            MAIN + "test_unanswered_offer_moves_on_and_the_call_is_saved",
            TO_OUTSIDE + "test_agent_is_told_who_sent_the_call_on_and_why",
        ),
    ),
    "2.10": CallFlow("3-Way Conference - Third Party Is Added", why="no conferences: two parties hear each other"),
    "2.11": CallFlow("3-Way Conference - Third Party Joins", why="no conferences: Join (RFC 3911) is not supported"),
    "2.12": CallFlow(
        "Find-Me",
        (
            MAIN + "test_unanswered_offer_moves_on_and_the_call_is_saved",
            TWO + "test_both_phones_ring_and_the_other_is_told_that_the_call_went_elsewhere",
        ),
        why="one agent after the other is looked for, by skill, and each on all phones at once",
    ),
    "2.13": CallFlow(
        "Call Management (Incoming Call Screening)", ("scenarios/test_flow_steps.py::test_a_branch_goes_by",)
    ),
    "2.14": CallFlow(
        "Call Management (Outgoing Call Screening)",
        (PERMITTED + "test_an_agent_dials_what_is_permitted_and_nothing_else",),
    ),
    "2.15": CallFlow(
        "Call Park",
        (PULL + "test_caller_who_is_on_hold_hears_the_agent_again_from_the_other_phone",),
        why="a caller waits in a queue, or on hold for the agent alone, who may take the call up at another phone",
    ),
    "2.16": CallFlow(
        "Call Pickup",
        (
            PULL + "test_agent_picks_up_at_a_phone_that_does_not_ring_what_rings_at_another",
            "unit/sip/test_replaces.py::test_call_of_ours_that_rings_can_be_replaced_and_one_that_rings_here_cannot",
        ),
        why="at another phone of one's own: a call that rings is the agent's to whom it was offered",
    ),
    "2.17": CallFlow("Automatic Redial", why="no dialog events (RFC 4235): the queue keeps the caller's place instead"),
    "2.18": CallFlow("Click to Dial", why="REFER outside a dialog would let others make calls with our phones"),
}


@pytest.mark.parametrize(
    ("section", "flow"), [*RFC_3665.items(), *RFC_5359.items()], ids=[*(f"3665-{n}" for n in RFC_3665), *RFC_5359]
)
def test_every_flow_is_told_or_left_out_for_a_reason(section: str, flow: CallFlow) -> None:
    assert flow.told or flow.why, f"{section} {flow.title}"
    for each in flow.told:
        file, _, name = each.partition("::")
        assert re.search(rf"^(async )?def {name}\(", (TESTS / file).read_text(), re.MULTILINE), each


def test_no_flow_is_forgotten() -> None:
    assert list(RFC_3665) == [*(f"2.{n}" for n in range(1, 6)), *(f"3.{n}" for n in range(1, 12))]
    assert list(RFC_5359) == [f"2.{n}" for n in range(1, 19)]


# -- through proxies

US = Address("192.0.2.201", 5060)
PROXY = Flow(Transport.UDP, US, Address("192.0.2.222", 5060))
OTHER_PROXY = Flow(Transport.UDP, US, Address("192.0.2.223", 5060))
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.101\r\ns=-\r\nc=IN IP4 192.0.2.101\r\nt=0 0\r\nm=audio 49172 RTP/AVP 0\r\n"


def from_alice(method: str, *headers: str, via: str = "ss2.biloxi.example.com", branch: str, cseq: int = 1) -> bytes:
    """A request of Alice's as the second of two proxies passes it on."""
    body = SDP if method == "INVITE" else b""
    lines = [
        f"{method} sip:bob@192.0.2.201 SIP/2.0",
        f"Via: SIP/2.0/UDP {via}:5060;branch=z9hG4bK{branch}.2",
        f"Via: SIP/2.0/UDP ss1.atlanta.example.com:5060;branch=z9hG4bK{branch}.1;received=192.0.2.111",
        f"Via: SIP/2.0/UDP client.atlanta.example.com:5060;branch=z9hG4bK{branch};received=192.0.2.101",
        "Max-Forwards: 68",
        "From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl",
        "Call-ID: 2xTb9vxSit55XU7p8@atlanta.example.com",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:alice@client.atlanta.example.com>",
        *headers,
        *(["Content-Type: application/sdp"] if body else []),
        f"Content-Length: {len(body)}\r\n\r\n",
    ]
    return "\r\n".join(lines).encode() + body


def sent(effects: list[object]) -> list[Request | Response]:
    """What goes out."""
    return [parse(effect.data) for effect in effects if isinstance(effect, Send)]


def test_a_call_that_came_through_two_proxies_is_hung_up_through_them() -> None:
    """Each Via and Record-Route goes back as it came; the BYE takes the way of the routes, to the caller's Contact."""
    it = Endpoint(random=Random(3665))
    routes = "Record-Route: <sip:ss2.biloxi.example.com;lr>, <sip:ss1.atlanta.example.com;lr>"
    effects = it.receive(from_alice("INVITE", "To: Bob <sip:bob@biloxi.example.com>", routes, branch="a"), PROXY, 0.0)
    (invited,) = [effect for effect in effects if isinstance(effect, InviteReceived)]
    (trying,) = sent([*effects])
    (ringing,) = sent([*it.ring(invited.session, 0.1)])
    (answered,) = sent([*it.answer(invited.session, SDP, 0.2)])
    for answer in (trying, ringing, answered):
        assert [via.host for via in answer.vias] == [
            "ss2.biloxi.example.com",
            "ss1.atlanta.example.com",
            "client.atlanta.example.com",
        ]
    for answer in (ringing, answered):
        assert [route.uri.host for route in answer.record_routes] == [
            "ss2.biloxi.example.com",
            "ss1.atlanta.example.com",
        ]
    ack = from_alice("ACK", f"To: {answered.to}", branch="b")
    assert [type(effect) for effect in it.receive(ack, PROXY, 0.3)] == [Acknowledged]
    (bye,) = sent([*it.hangup(invited.session, 60.0)])
    assert isinstance(bye, Request)
    assert (bye.method, str(bye.uri)) == ("BYE", "sip:alice@client.atlanta.example.com")
    assert [str(route.uri) for route in bye.routes] == [
        "sip:ss2.biloxi.example.com;lr",
        "sip:ss1.atlanta.example.com;lr",
    ]
    assert it.receive(bye.response(200).to_bytes(), PROXY, 60.1) == []


def test_a_call_that_a_second_proxy_takes_up_rings_once() -> None:
    """The first proxy went down with the answer: the caller asks by the second, under a Call-ID of its own."""
    it = Endpoint(random=Random(3665))
    first = from_alice("INVITE", "To: Bob <sip:bob@biloxi.example.com>", branch="a")
    lost = [effect for effect in it.receive(first, PROXY, 0.0) if isinstance(effect, InviteReceived)]
    assert len(lost) == 1
    # The same request by another way is a loop; the caller's next attempt is a call of its own.
    again = first.replace(b"z9hG4bKa", b"z9hG4bKb").replace(b"ss2.biloxi", b"ss3.biloxi")
    (refused,) = sent([*it.receive(again, OTHER_PROXY, 4.0)])
    assert isinstance(refused, Response)
    assert refused.status == 482
    gave_up = from_alice("CANCEL", "To: Bob <sip:bob@biloxi.example.com>", branch="a")
    assert [effect.status for effect in it.receive(gave_up, PROXY, 8.0) if isinstance(effect, SessionEnded)] == [487]
    anew = again.replace(b"2xTb9vxSit55XU7p8", b"4Fde34wkd11wsGFDs3")
    (taken,) = [effect for effect in it.receive(anew, OTHER_PROXY, 8.1) if isinstance(effect, InviteReceived)]
    (answered,) = [answer for answer in sent([*it.answer(taken.session, SDP, 9.0)]) if isinstance(answer, Response)]
    assert answered.status == 200
    assert it.status().sessions == 1
    it.hangup(taken.session, 10.0)
    while it.deadline is not None:
        it.expire(it.deadline)
    assert it.status() == EndpointStatus(0, 0, 0)


# -- stories


@story()
async def test_an_agent_who_is_temporarily_unavailable_is_passed_over(world: World) -> None:
    """The phone is there and says 480: somebody else takes the call, and the record tells why."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await amy.declines(480)
    await bob.rings()
    await bob.answers()
    await caller.hears(bob)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.HANDLED
    assert [agent for agent, _ in saved.offers] == ["amy", "bob"]
    assert saved.offers[0][1] is not OfferResult.ACCEPTED
    assert saved.offers[1][1] is OfferResult.ACCEPTED


@story()
async def test_a_phone_that_sends_the_call_elsewhere_is_passed_over_and_nobody_else_rings(world: World) -> None:
    """A 302 is a refusal like any other: whoever can make a phone forward does not make the switch call."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    dear = await world.phone("+19005550100")
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    await amy.declines(302, [("Contact", f"<sip:{dear.name}@{world.hosts[dear.name].address}:5060>")])
    await bob.rings()
    await bob.answers()
    await dear.rings_not()
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert saved.offers == (("amy", OfferResult.UNREACHABLE), ("bob", OfferResult.ACCEPTED))
