"""The ACD told as complaints that would reach us."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.acd.core import Acd
from callcenter.acd.events import (
    Connected,
    DeviceChanged,
    Held,
    IntentChosen,
    Join,
    Leave,
    MakeOffer,
    OfferAccepted,
    OfferFailed,
    OfferRinging,
    Reconfigured,
    Resumed,
    TalkEnded,
    Ticket,
    TicketExpired,
    TicketRefused,
    WithdrawOffer,
    WrapUpDone,
    WrapUpExtended,
)
from callcenter.acd.requirements import Requirement
from callcenter.acd.settings import AgentSettings, Plan, RnaRule, RnaSettings, WrapUpSettings
from callcenter.acd.wrap_up import WRAPUP_TIMEOUT
from callcenter.model.facts import (
    AgentLegEnded,
    AgentRang,
    AgentStateChanged,
    Body,
    CallConnected,
    CallEnded,
    CallHeld,
    CallQueued,
    CallResumed,
    Fact,
    OfferEnded,
    OfferMade,
    QueueLeft,
    WrapUpEnded,
)
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Side, VisitOutcome, Work, WrapUpMode
from tests.unit.acd.floor import AMY, BOB, EPOCH, SALES, START, Floor, check_refold, plan

SUPPORT = replace(SALES, id="support", requirements=(), wrap_up=None)


@pytest.fixture
def floor() -> Floor:
    """Sales with Amy (english 5) and Bob (english 3), both ready."""
    return Floor(plan(), ready=("amy", "bob"))


@pytest.fixture
def amy_alone() -> Floor:
    return Floor(plan(SALES, AMY), ready=("amy",))


# The good call


def without_explanation(body: Body) -> Body:
    return replace(body, explanation="") if isinstance(body, OfferMade) else body


def test_a_call_from_joining_to_the_end_of_the_wrap_up(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.sleep(0.2)
    floor.tell(OfferRinging("v1-1"))
    floor.sleep(3)
    floor.tell(OfferAccepted("v1-1"))
    floor.sleep(0.1)
    floor.tell(Connected("v1-1"))
    floor.sleep(60)
    floor.part("v1-1")
    assert floor.agent("amy").work is Work.WRAP_UP
    assert floor.agent("amy").until == floor.now + 30
    floor.sleep(10)
    floor.tell(WrapUpDone("amy", "solved"))
    assert floor.agent("amy").available
    of_the_call = [fact for fact in floor.facts if not isinstance(fact.body, AgentStateChanged)]
    assert [without_explanation(fact.body) for fact in of_the_call] == [
        CallQueued("v1", "sales", "acme", 0, (("english", 2),), 1_000_000, origins=(("queue", "english>=2"),)),
        OfferMade("v1", "v1-1", 1, "sales", "amy", 20_000, 25_000, ("english 5 of 2 needed", "idle for 0 s")),
        AgentRang("v1-1", "amy"),
        OfferEnded("v1", "v1-1", "amy", OfferResult.ACCEPTED),
        CallConnected("v1", "v1-1", "amy"),
        QueueLeft("v1", "sales", VisitOutcome.ANSWERED),
        AgentLegEnded("v1-1", "amy", Side.CALLER, EndCause.HANGUP),
        WrapUpEnded("amy", "v1-1", "solved"),
    ]
    assert {fact.call_id for fact in of_the_call} == {"call-v1"}
    works = [body.work for body in floor.bodies(AgentStateChanged)]
    assert works == [Work.IDLE, Work.RESERVED, Work.RINGING, Work.TALKING, Work.WRAP_UP, Work.IDLE]
    check_refold(floor)


def test_the_offer_tells_what_the_screen_and_the_phone_need(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.choose("amy", Intent.NOT_READY, "coffee")
    floor.join("v1", asked=(Requirement("english", 4),))
    floor.sleep(12)
    floor.choose("amy", Intent.READY)
    offer = floor.made["v1-1"]
    assert (offer.ticket_id, offer.call_id, offer.queue, offer.agent_id) == ("v1", "call-v1", "sales", "amy")
    assert (offer.epoch, offer.generation, offer.ring_for, offer.waited) == (1, 1, 20.0, 12.0)
    assert offer.expires_at == floor.now + 25
    assert offer.skills == (Requirement("english", 4),)
    assert offer.why == ("english 5 of 4 needed", "idle for 0 s")
    assert floor.agent("amy").call_id == "call-v1"


def test_the_better_match_comes_first_and_of_equals_the_one_idle_longest() -> None:
    cas = replace(BOB, id="cas")
    floor = Floor(plan(SALES, cas, BOB, AMY), ready=("amy",))
    floor.sleep(1)
    floor.phone("bob", Device.REGISTERED)
    floor.sleep(1)
    floor.phone("cas", Device.REGISTERED)
    for visit in ("v1", "v2", "v3"):
        floor.join(visit)
    assert [floor.offered(visit) for visit in ("v1", "v2", "v3")] == ["amy", "bob", "cas"]


def test_a_talk_moves_an_agent_behind_those_idle_longer_but_a_caller_gone_does_not() -> None:
    twin = replace(AMY, id="ann")
    floor = Floor(plan(SUPPORT, AMY, twin), ready=("amy",))
    floor.sleep(1)
    floor.phone("ann", Device.REGISTERED)
    floor.join("v1", "support")
    floor.hang_up("v1")
    floor.join("v2", "support")
    assert floor.offered("v2") == "amy", "the caller who hung up cost Amy no place"
    floor.sleep(1)
    floor.part(floor.answer("v2"))
    floor.join("v3", "support")
    assert floor.offered("v3") == "ann"


def test_the_higher_priority_goes_first_then_whoever_joined_first(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    offer = floor.answer("v1")
    floor.join("v2")
    floor.sleep(1)
    floor.join("v3")
    floor.join("v4", priority=5)
    floor.join("v5", first_joined=START - 60)
    assert [ticket.id for ticket in floor.acd.waiting("sales")] == ["v4", "v5", "v2", "v3"]
    assert [floor.acd.position(visit) for visit in ("v4", "v5", "v2", "v3", "v9")] == [1, 2, 3, 4, None]
    floor.part(offer)
    floor.tell(WrapUpDone("amy"))
    assert floor.offered("v4") == "amy"


def test_nobody_is_offered_a_caller_of_a_client_that_is_not_theirs() -> None:
    stranger = AgentSettings("eve", "Eve", {"english": 5}, frozenset({"other"}))
    floor = Floor(plan(SALES, stranger), ready=("eve",))
    floor.join("v1")
    assert floor.offered("v1") == ""
    assert floor.acd.explain("v1") == {"eve": ("does not serve acme",)}
    assert floor.acd.explain("v2") == {}


def test_a_place_kept_from_the_future_is_a_place_of_now(amy_alone: Floor) -> None:
    amy_alone.join("v1", first_joined=START + 100)
    ticket = amy_alone.ticket("v1")
    assert ticket is not None
    assert ticket.first_joined == START


def test_the_phone_that_connects_at_once_is_taken_as_having_rung(amy_alone: Floor) -> None:
    amy_alone.join("v1")
    amy_alone.tell(Connected("v1-1"))
    assert amy_alone.agent("amy").work is Work.TALKING
    assert amy_alone.outcome("v1") == (VisitOutcome.ANSWERED, "")
    assert amy_alone.bodies(AgentRang) == [AgentRang("v1-1", "amy")]
    assert amy_alone.results() == [("amy", OfferResult.ACCEPTED)]


# Joining


def test_one_caller_too_many_is_refused_and_ends_there() -> None:
    floor = Floor(plan(replace(SALES, max_waiting=1), AMY))
    floor.join("v1")
    floor.join("v2")
    assert floor.effects == [TicketRefused("v2", "sorry", "full")]
    assert floor.outcome("v2") == (VisitOutcome.REFUSED, "full")
    assert floor.ticket("v1") is not None


def test_a_queue_that_is_not_there_refuses_by_name(floor: Floor) -> None:
    floor.join("v1", "nowhere")
    assert floor.effects == [TicketRefused("v1", "", "unknown_queue")]
    assert floor.outcome("v1") == (VisitOutcome.REFUSED, "unknown_queue")
    check_refold(floor)


def test_a_join_repeated_brings_no_second_place_and_no_ghost(floor: Floor) -> None:
    floor.join("v1")
    floor.join("v1")
    floor.hang_up("v1")
    floor.join("v1")
    assert floor.acd.waiting("sales") == ()
    assert len(floor.bodies(CallQueued)) == 1


def test_visits_that_ended_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcenter.acd.floor.REMEMBERED_VISITS", 2)
    acd = Acd(plan())
    for number in range(5):
        acd.handle(Join(Ticket(f"v{number}", "call", "sales", "acme")), START)
        acd.handle(Leave(f"v{number}", VisitOutcome.ABANDONED), START)
    assert acd.handle(Join(Ticket("v4", "call", "sales", "acme")), START).facts == ()
    assert acd.handle(Join(Ticket("v0", "call", "sales", "acme")), START).facts != ()


# Hanging up


def test_a_caller_who_hangs_up_while_ringing_frees_the_agent_without_blame(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.sleep(10)
    floor.hang_up("v1")
    assert floor.withdrawn() == [("amy", OfferResult.CALLER_GONE)]
    assert floor.results() == [("amy", OfferResult.CALLER_GONE)]
    assert floor.agent("amy").available
    assert floor.outcome("v1") == (VisitOutcome.ABANDONED, "")


@pytest.mark.parametrize(("waited", "outcome"), [(4.999, VisitOutcome.SHORT_ABANDONED), (5.0, VisitOutcome.ABANDONED)])
def test_who_hangs_up_within_five_seconds_is_a_short_abandon(waited: float, outcome: VisitOutcome) -> None:
    floor = Floor(plan())
    floor.join("v1")
    floor.sleep(waited)
    floor.hang_up("v1")
    floor.hang_up("v1")
    assert floor.outcome("v1") == (outcome, "")


def test_a_caller_who_moved_on_or_was_lost_is_booked_as_such(floor: Floor) -> None:
    floor.join("v1")
    floor.join("v2")
    floor.tell(Leave("v1", VisitOutcome.FLOWED_OUT, "key"))
    floor.tell(Leave("v2", VisitOutcome.LOST, "media"))
    assert floor.outcome("v1") == (VisitOutcome.FLOWED_OUT, "key")
    assert floor.outcome("v2") == (VisitOutcome.LOST, "media")
    assert floor.agent("amy").available
    assert floor.agent("bob").available


def test_a_leave_cannot_claim_an_answer() -> None:
    with pytest.raises(AssertionError):
        Leave("v1", VisitOutcome.ANSWERED)
    with pytest.raises(AssertionError):
        OfferFailed("v1-1", OfferResult.ACCEPTED)


def test_a_caller_gone_told_by_the_offer_is_an_abandoned_visit(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferFailed("v1-1", OfferResult.CALLER_GONE))
    floor.hang_up("v1")
    assert floor.outcome("v1") == (VisitOutcome.SHORT_ABANDONED, "")
    assert floor.agent("amy").available
    assert floor.withdrawn() == [], "who told it need not be told"


def test_a_caller_who_hangs_up_before_the_bridge_leaves_the_agent_on_the_phone_until_the_leg_ends(
    floor: Floor,
) -> None:
    floor.join("v1")
    floor.tell(OfferAccepted("v1-1"))
    floor.hang_up("v1")
    assert floor.withdrawn() == [("amy", OfferResult.CALLER_GONE)]
    assert floor.agent("amy").work is Work.TALKING
    floor.tell(Connected("v1-1"))
    assert floor.bodies(CallConnected) == [], "nobody is there to be connected"
    floor.part("v1-1", Side.SYSTEM)
    assert floor.agent("amy").available
    assert floor.agent("amy").until is None, "no wrap-up without a talk, and no pause without blame"


def test_a_hang_up_told_by_the_end_of_the_leg_before_the_bridge_is_an_abandoned_visit(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferAccepted("v1-1"))
    floor.sleep(6)
    floor.part("v1-1", Side.CALLER)
    assert floor.outcome("v1") == (VisitOutcome.ABANDONED, "")
    assert floor.agent("amy").available


# Offers that fail


def test_an_unanswered_offer_moves_on_the_caller_keeps_the_place_the_agent_goes_not_ready(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.join("v2")
    floor.tell(OfferFailed("v2-1", OfferResult.BUSY, "486"))
    floor.sleep(9)
    assert floor.offered("v2") == ""
    floor.sleep(11)
    assert floor.withdrawn() == [("amy", OfferResult.NO_ANSWER)]
    amy = floor.agent("amy")
    assert (amy.intent, amy.reason, amy.forced) == (Intent.NOT_READY, "no_answer", True)
    assert floor.acd.position("v1") == 1
    assert floor.offered("v2") == "bob", "Bob's pause was over before; the place of v1 is kept for the next"


def test_ring_time_counts_from_the_ringing(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.sleep(3)
    floor.tell(OfferRinging("v1-1"))
    floor.sleep(19.999)
    assert floor.agent("amy").work is Work.RINGING
    floor.sleep(0.001)
    assert floor.results() == [("amy", OfferResult.NO_ANSWER)]


def test_ring_time_does_not_outlast_the_lease(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.sleep(24)
    floor.tell(OfferRinging("v1-1"))
    floor.sleep(1)
    assert floor.results() == [("amy", OfferResult.NO_ANSWER)]


def test_a_script_that_died_cannot_keep_an_agent(amy_alone: Floor) -> None:
    """Nothing is heard of the offer: the lease ends it, Amy rests, and then is tried again."""
    floor = amy_alone
    floor.join("v1")
    floor.sleep(25)
    assert floor.withdrawn() == [("amy", OfferResult.UNREACHABLE)]
    assert (floor.agent("amy").work, floor.agent("amy").until) == (Work.IDLE, floor.now + 30)
    floor.sleep(30)
    assert floor.offered("v1") == "amy"


def test_an_answer_in_the_moment_of_the_ring_times_end_is_an_answer(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.now += 20.010
    floor.tell(OfferAccepted("v1-1"))
    assert floor.agent("amy").work is Work.TALKING
    assert floor.results() == [("amy", OfferResult.ACCEPTED)]


def test_an_answer_that_comes_after_the_withdrawal_changes_nothing(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.sleep(20)
    seen = len(floor.facts)
    for late in (OfferAccepted("v1-1"), Connected("v1-1"), TalkEnded("v1-1", Side.AGENT, EndCause.AGENT_HANGUP)):
        floor.tell(late)
    assert len(floor.facts) == seen
    assert floor.offered("v1") == "bob"


@pytest.mark.parametrize(
    ("result", "pause"),
    [
        (OfferResult.BUSY, 10),
        (OfferResult.DECLINED, 10),
        (OfferResult.UNREACHABLE, 30),
        (OfferResult.LOST_RACE, 1),
    ],
)
def test_after_a_refusal_the_agent_rests_and_is_tried_again(
    amy_alone: Floor, result: OfferResult, pause: float
) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.tell(OfferFailed("v1-1", result, "told by the phone"))
    assert not floor.agent("amy").available
    assert floor.agent("amy").until == floor.now + pause
    assert floor.acd.explain("v1") == {"amy": ("pausing after an offer that failed",)}
    floor.sleep(pause)
    assert floor.offered("v1") == "amy"
    assert floor.offer_of("v1") == "v1-2"


def test_three_refusals_in_a_row_make_not_ready_but_a_talk_between_them_forgives(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")

    def decline() -> None:
        floor.tell(OfferFailed(floor.offer_of("v1"), OfferResult.DECLINED))

    decline()
    floor.sleep(10)
    decline()
    floor.sleep(10)
    floor.part(floor.answer("v1"))
    floor.tell(WrapUpDone("amy"))
    floor.join("v1b")
    for number in range(1, 4):
        assert floor.agent("amy").intent is Intent.READY
        floor.tell(OfferFailed(f"v1b-{number}", OfferResult.DECLINED))
        floor.sleep(10)
    assert (floor.agent("amy").intent, floor.agent("amy").reason) == (Intent.NOT_READY, "declined")
    floor.choose("amy", Intent.READY)
    assert floor.offered("v1b") == "amy"


def test_a_phone_that_comes_back_starts_with_a_clean_sheet(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    for number in (1, 2):
        floor.tell(OfferFailed(f"v1-{number}", OfferResult.DECLINED))
        floor.sleep(10)
    floor.tell(Leave("v1", VisitOutcome.ABANDONED))
    floor.phone("amy", Device.UNREACHABLE)
    floor.phone("amy", Device.REGISTERED)
    floor.join("v2")
    floor.tell(OfferFailed("v2-1", OfferResult.DECLINED))
    assert floor.agent("amy").intent is Intent.READY


def test_whoever_says_ready_ends_the_pause(amy_alone: Floor) -> None:
    amy_alone.join("v1")
    amy_alone.tell(OfferFailed("v1-1", OfferResult.BUSY))
    amy_alone.choose("amy", Intent.READY)
    assert amy_alone.offered("v1") == "amy"


def test_an_agent_who_hangs_up_before_the_bridge_returns_the_caller_to_the_old_place(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferAccepted("v1-1"))
    floor.part("v1-1", Side.AGENT)
    assert floor.outcome("v1") is None
    assert floor.offered("v1") == "bob"
    assert floor.agent("amy").until == floor.now + 10, "as if she had declined"
    assert floor.bodies(AgentLegEnded) == [AgentLegEnded("v1-1", "amy", Side.AGENT, EndCause.HANGUP)]


def test_an_agent_who_keeps_hanging_up_before_the_bridge_goes_not_ready(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    for number in range(1, 4):
        floor.tell(OfferAccepted(f"v1-{number}"))
        floor.part(f"v1-{number}", Side.AGENT)
        floor.sleep(10)
    assert floor.agent("amy").reason == "declined"


def test_a_leg_that_the_system_ends_before_the_bridge_is_an_agent_out_of_reach(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferAccepted("v1-1"))
    floor.part("v1-1", Side.SYSTEM)
    assert floor.agent("amy").until == floor.now + 30
    assert floor.offered("v1") == "bob"


@pytest.mark.parametrize(("by", "result"), [(Side.AGENT, OfferResult.DECLINED), (Side.SYSTEM, OfferResult.UNREACHABLE)])
def test_the_end_of_a_talk_told_before_the_pick_up_ends_the_offer(floor: Floor, by: Side, result: OfferResult) -> None:
    floor.join("v1")
    floor.part("v1-1", by)
    assert floor.results() == [("amy", result)]
    assert floor.offered("v1") == "bob"


def test_a_refusal_told_after_the_pick_up_is_ignored(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferAccepted("v1-1"))
    floor.tell(OfferFailed("v1-1", OfferResult.DECLINED))
    assert floor.agent("amy").work is Work.TALKING


# Waiting too long


def test_who_waits_too_long_flows_out_with_the_queues_action() -> None:
    floor = Floor(plan())
    floor.join("v1")
    floor.sleep(120)
    assert floor.effects == [TicketExpired("v1", "sorry", "timeout")]
    assert floor.outcome("v1") == (VisitOutcome.FLOWED_OUT, "timeout")
    assert floor.acd.deadline is None


def test_the_longest_wait_ends_a_ringing_offer_without_blame() -> None:
    floor = Floor(plan(replace(SALES, max_wait=15.0), AMY), ready=("amy",))
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.sleep(15)
    assert floor.effects[1:] == [
        WithdrawOffer("v1-1", "v1", "amy", OfferResult.CALLER_GONE),
        TicketExpired("v1", "sorry", "timeout"),
    ]
    assert floor.agent("amy").available


def test_the_longest_wait_does_not_take_a_caller_from_an_agent_who_picked_up() -> None:
    floor = Floor(plan(replace(SALES, max_wait=15.0), AMY), ready=("amy",))
    floor.join("v1")
    floor.tell(OfferAccepted("v1-1"))
    floor.sleep(20)
    assert floor.outcome("v1") is None
    floor.tell(Connected("v1-1"))
    assert floor.outcome("v1") == (VisitOutcome.ANSWERED, "")


def test_a_caller_given_back_after_the_longest_wait_goes_on_and_is_not_offered_again() -> None:
    floor = Floor(plan(replace(SALES, max_wait=15.0), AMY, BOB), ready=("amy", "bob"))
    floor.join("v1")
    floor.tell(OfferAccepted("v1-1"))
    floor.sleep(20)
    floor.part("v1-1", Side.AGENT)
    assert floor.outcome("v1") == (VisitOutcome.FLOWED_OUT, "timeout")
    assert floor.agent("bob").available
    assert len(floor.made) == 1


def test_an_agent_freed_in_the_moment_a_caller_must_go_is_not_rung_for_him() -> None:
    floor = Floor(plan(replace(SALES, max_wait=30.0), AMY), ready=("amy",))
    floor.join("v1")
    floor.part(floor.answer("v1"))
    floor.join("v2")
    floor.sleep(30)
    assert floor.outcome("v2") == (VisitOutcome.FLOWED_OUT, "timeout")
    assert floor.agent("amy").available
    assert list(floor.made) == ["v1-1"]


# Talking


def test_hold_counts_from_the_first_side_to_the_last(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    offer = floor.answer("v1")
    for event, work in (
        (Held(offer, Side.AGENT), Work.HELD),
        (Held(offer, Side.AGENT), Work.HELD),
        (Held(offer, Side.CALLER), Work.HELD),
        (Resumed(offer, Side.AGENT), Work.HELD),
        (Resumed(offer, Side.AGENT), Work.HELD),
        (Resumed(offer, Side.CALLER), Work.TALKING),
        (Resumed(offer, Side.CALLER), Work.TALKING),
    ):
        floor.tell(event)
        assert floor.agent("amy").work is work, event
    assert floor.bodies(CallHeld) == [CallHeld(Side.AGENT, offer), CallHeld(Side.CALLER, offer)]
    assert floor.bodies(CallResumed) == [CallResumed(Side.AGENT, offer), CallResumed(Side.CALLER, offer)]
    check_refold(floor)


def test_a_hang_up_on_hold_leads_into_the_wrap_up(amy_alone: Floor) -> None:
    amy_alone.join("v1")
    offer = amy_alone.answer("v1")
    amy_alone.tell(Held(offer, Side.AGENT))
    amy_alone.part(offer)
    assert amy_alone.agent("amy").work is Work.WRAP_UP
    amy_alone.tell(Resumed(offer, Side.AGENT))
    amy_alone.part(offer)
    assert amy_alone.agent("amy").work is Work.WRAP_UP


def test_a_talk_has_no_lease_of_its_own(amy_alone: Floor) -> None:
    amy_alone.join("v1")
    amy_alone.answer("v1")
    assert amy_alone.acd.deadline is None
    amy_alone.sleep(7200)
    assert amy_alone.agent("amy").work is Work.TALKING


def test_a_phone_whose_registration_lapses_in_a_talk_keeps_the_talk(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    offer = floor.answer("v1")
    floor.phone("amy", Device.UNREACHABLE)
    assert floor.agent("amy").work is Work.TALKING
    floor.join("v2")
    floor.part(offer)
    floor.sleep(30)
    assert floor.offered("v2") == "", "idle again, but not to be rung"
    floor.phone("amy", Device.REGISTERED)
    assert floor.offered("v2") == "amy"


# Wrap-up


def test_two_agents_whose_wrap_ups_end_in_one_moment_both_get_a_caller() -> None:
    floor = Floor(plan(), ready=("amy", "bob"))
    floor.join("v1")
    floor.join("v2")
    for offer in (floor.answer("v1"), floor.answer("v2")):
        floor.part(offer)
    floor.join("v3")
    floor.join("v4")
    floor.sleep(30)
    assert [floor.offered("v3"), floor.offered("v4")] == ["amy", "bob"]


def test_a_timed_wrap_up_ends_by_itself_and_says_so(amy_alone: Floor) -> None:
    amy_alone.join("v1")
    amy_alone.part(amy_alone.answer("v1"))
    amy_alone.sleep(30)
    assert amy_alone.agent("amy").available
    assert amy_alone.bodies(WrapUpEnded) == [WrapUpEnded("amy", "v1-1", WRAPUP_TIMEOUT)]


def test_a_wrap_up_is_extended_once() -> None:
    queue = replace(SALES, wrap_up=WrapUpSettings(seconds=30, extend_once=20))
    floor = Floor(plan(queue, AMY), ready=("amy",))
    floor.join("v1")
    floor.part(floor.answer("v1"))
    ends = floor.now + 30
    floor.sleep(10)
    assert floor.agent("amy").extension == 20
    floor.tell(WrapUpExtended("amy"))
    floor.tell(WrapUpExtended("amy"))
    assert (floor.agent("amy").until, floor.agent("amy").extension) == (ends + 20, 0)
    check_refold(floor)
    floor.sleep(40)
    assert floor.agent("amy").available


def test_a_mandatory_wrap_up_ends_with_a_disposition_and_with_nothing_else() -> None:
    queue = replace(SALES, wrap_up=WrapUpSettings(WrapUpMode.MANDATORY, extend_once=10))
    floor = Floor(plan(queue, AMY), ready=("amy",))
    floor.join("v1")
    floor.part(floor.answer("v1"))
    floor.tell(WrapUpExtended("amy"))
    floor.tell(WrapUpDone("amy", ""))
    floor.sleep(3600)
    assert floor.agent("amy").work is Work.WRAP_UP
    check_refold(floor)
    floor.tell(WrapUpDone("amy", "complaint"))
    assert floor.agent("amy").available


@pytest.mark.parametrize(
    "wrap_up", [None, WrapUpSettings(WrapUpMode.NONE), WrapUpSettings(WrapUpMode.TIMED, seconds=0)]
)
def test_without_wrap_up_the_agent_is_free_at_once(wrap_up: WrapUpSettings | None) -> None:
    floor = Floor(plan(replace(SALES, wrap_up=wrap_up), AMY), ready=("amy",))
    floor.join("v1")
    floor.join("v2")
    floor.part(floor.answer("v1"))
    assert floor.offered("v2") == "amy"
    assert floor.bodies(WrapUpEnded) == []


def test_done_and_extend_mean_nothing_outside_the_wrap_up(floor: Floor) -> None:
    floor.join("v1")
    floor.answer("v1")
    seen = len(floor.facts)
    for agent in ("amy", "bob", "nobody"):
        floor.tell(WrapUpDone(agent, "solved"))
        floor.tell(WrapUpExtended(agent))
    assert len(floor.facts) == seen


def test_a_phone_lost_as_the_wrap_up_falls_due_does_not_make_it_endless(amy_alone: Floor) -> None:
    amy_alone.join("v1")
    amy_alone.part(amy_alone.answer("v1"))
    amy_alone.now += 30.005
    amy_alone.phone("amy", Device.UNREACHABLE)
    amy_alone.sleep(1)
    assert amy_alone.agent("amy").work is Work.IDLE


# What agents choose


def test_not_ready_pressed_in_a_call_waits_for_its_end_and_can_be_taken_back(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    offer = floor.answer("v1")
    floor.choose("amy", Intent.NOT_READY, "lunch")
    amy = floor.agent("amy")
    assert (amy.intent, amy.next, amy.next_reason) == (Intent.READY, Intent.NOT_READY, "lunch")
    floor.choose("amy", Intent.READY)
    assert floor.agent("amy").next is Intent.READY
    floor.choose("amy", Intent.NOT_READY, "lunch")
    check_refold(floor)
    floor.part(offer)
    assert floor.agent("amy").work is Work.WRAP_UP
    floor.tell(WrapUpDone("amy"))
    amy = floor.agent("amy")
    assert (amy.intent, amy.reason, amy.forced, amy.work) == (Intent.NOT_READY, "lunch", False, Work.IDLE)


def test_not_ready_pressed_while_it_rings_holds_also_when_it_is_not_answered(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.choose("amy", Intent.NOT_READY, "lunch")
    assert floor.agent("amy").work is Work.RINGING
    floor.sleep(20)
    amy = floor.agent("amy")
    assert (amy.intent, amy.reason, amy.forced) == (Intent.NOT_READY, "lunch", False)


@pytest.mark.parametrize("ringing", [True, False])
def test_signing_out_while_it_rings_passes_the_caller_on_at_once(floor: Floor, ringing: bool) -> None:
    floor.join("v1")
    if ringing:
        floor.tell(OfferRinging("v1-1"))
    floor.choose("amy", Intent.SIGNED_OUT)
    assert floor.withdrawn() == [("amy", OfferResult.DECLINED)]
    assert floor.agent("amy").intent is Intent.SIGNED_OUT
    assert floor.offered("v1") == "bob"


def test_signing_out_in_a_talk_waits_for_its_end(amy_alone: Floor) -> None:
    amy_alone.join("v1")
    offer = amy_alone.answer("v1")
    amy_alone.choose("amy", Intent.SIGNED_OUT)
    assert amy_alone.agent("amy").intent is Intent.READY
    amy_alone.part(offer)
    amy_alone.sleep(30)
    assert amy_alone.agent("amy").intent is Intent.SIGNED_OUT


def test_a_choice_that_changes_nothing_is_no_fact(floor: Floor) -> None:
    floor.choose("amy", Intent.NOT_READY, "lunch")
    seen = len(floor.facts)
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.tell(IntentChosen("nobody", Intent.READY))
    floor.tell(DeviceChanged("nobody", Device.REGISTERED))
    floor.phone("amy", Device.REGISTERED)
    assert len(floor.facts) == seen
    floor.choose("amy", Intent.NOT_READY, "training")
    assert floor.agent("amy").reason == "training"


# Phones


def test_a_registered_phone_signs_its_agent_in_as_configured() -> None:
    settings = plan(
        SALES,
        AMY,
        replace(AMY, id="ben", sign_in=Intent.NOT_READY),
        replace(AMY, id="cas", sign_in=Intent.SIGNED_OUT),
    )
    floor = Floor(settings, ready=("amy", "ben", "cas"))
    states = [(view.intent, view.reason) for view in floor.acd.agents()]
    assert states == [(Intent.READY, ""), (Intent.NOT_READY, "signed_in"), (Intent.SIGNED_OUT, "")]


def test_a_phone_that_is_lost_while_ringing_passes_the_caller_on(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.phone("amy", Device.UNREACHABLE)
    assert floor.withdrawn() == [("amy", OfferResult.UNREACHABLE)]
    assert floor.offered("v1") == "bob"
    floor.phone("amy", Device.REGISTERED)
    assert floor.agent("amy").available, "back at once: the pause was for the phone, and the phone is back"


def test_after_no_answer_a_refreshed_registration_is_not_enough_but_a_new_one_signs_in(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.sleep(20)
    floor.phone("amy", Device.REGISTERED)
    assert floor.agent("amy").intent is Intent.NOT_READY
    floor.phone("amy", Device.UNREACHABLE)
    floor.phone("amy", Device.REGISTERED)
    assert floor.offered("v1") == "amy"


def test_a_flickering_phone_does_not_call_an_agent_back_from_lunch(amy_alone: Floor) -> None:
    amy_alone.choose("amy", Intent.NOT_READY, "lunch")
    amy_alone.phone("amy", Device.UNREACHABLE)
    amy_alone.phone("amy", Device.REGISTERED)
    assert amy_alone.agent("amy").reason == "lunch"


def test_a_flickering_phone_does_not_sign_an_agent_in_who_signed_out(amy_alone: Floor) -> None:
    amy_alone.choose("amy", Intent.SIGNED_OUT)
    amy_alone.phone("amy", Device.UNREACHABLE)
    amy_alone.phone("amy", Device.REGISTERED)
    assert amy_alone.agent("amy").intent is Intent.SIGNED_OUT
    amy_alone.choose("amy", Intent.READY)
    assert amy_alone.agent("amy").available


def test_a_choice_known_from_before_the_start_is_not_undone_by_the_phone_that_comes() -> None:
    floor = Floor(plan())
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.choose("bob", Intent.READY)
    for name in ("amy", "bob"):
        floor.phone(name, Device.REGISTERED)
    states = [(view.intent, view.reason, view.forced) for view in floor.acd.agents()]
    assert states == [(Intent.NOT_READY, "lunch", False), (Intent.READY, "", False)]


def test_who_ended_or_extended_a_wrap_up_is_told_with_the_state(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.tell(Reconfigured(plan(replace(SALES, wrap_up=WrapUpSettings(extend_once=10.0)), AMY)))
    floor.join("v1")
    floor.part(floor.answer("v1"))
    floor.tell(WrapUpExtended("amy", "the supervisor"))
    floor.tell(WrapUpDone("amy", "solved", "agent's phone"))
    causes = [fact.body.cause for fact in floor.facts if isinstance(fact.body, AgentStateChanged)]
    assert causes[-2:] == ["wrap-up extended by the supervisor", "wrap-up done by agent's phone"]


def test_an_agent_who_makes_the_forced_not_ready_his_own_stays_there(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.sleep(20)
    floor.choose("amy", Intent.NOT_READY, "no_answer")
    floor.phone("amy", Device.UNREACHABLE)
    floor.phone("amy", Device.REGISTERED)
    assert floor.agent("amy").intent is Intent.NOT_READY


def test_a_phone_busy_elsewhere_is_not_rung_and_its_end_is_no_sign_in(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.choose("amy", Intent.SIGNED_OUT)
    floor.phone("amy", Device.BUSY_ELSEWHERE)
    floor.phone("amy", Device.REGISTERED)
    assert floor.agent("amy").intent is Intent.SIGNED_OUT
    floor.choose("amy", Intent.READY)
    floor.phone("amy", Device.BUSY_ELSEWHERE)
    floor.join("v1")
    assert floor.offered("v1") == ""
    floor.phone("amy", Device.REGISTERED)
    assert floor.offered("v1") == "amy"


# Reload


def test_a_reload_keeps_places_offers_and_talks(floor: Floor) -> None:
    floor.join("v1")
    talk = floor.answer("v1")
    floor.join("v2")
    floor.tell(OfferRinging("v2-1"))
    floor.join("v3")
    floor.sleep(5)
    before = floor.acd.snapshot()
    floor.tell(Reconfigured(plan(replace(SALES, wrap_up=None), AMY, BOB)))
    assert floor.acd.snapshot() == before
    floor.part(talk)
    assert floor.offered("v3") == "amy", "no wrap-up any more"
    floor.sleep(15)
    assert floor.results()[-1] == ("bob", OfferResult.NO_ANSWER), "what is out keeps its ring time"
    check_refold(floor)


def test_a_reload_that_gives_an_agent_the_skill_gives_him_the_caller() -> None:
    floor = Floor(plan(SALES, replace(AMY, skills={})), ready=("amy",))
    floor.join("v1")
    assert floor.offered("v1") == ""
    floor.tell(Reconfigured(plan()))
    assert floor.offered("v1") == "amy"


def test_a_reload_that_shortens_the_longest_wait_holds_for_who_waits() -> None:
    floor = Floor(plan())
    floor.join("v1")
    floor.sleep(60)
    floor.tell(Reconfigured(plan(replace(SALES, max_wait=50.0))))
    assert floor.outcome("v1") == (VisitOutcome.FLOWED_OUT, "timeout")


def test_callers_of_a_queue_that_is_gone_flow_out(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.join("v2")
    floor.tell(OfferAccepted("v2-1"))
    floor.join("v3")
    floor.tell(Reconfigured(plan(SUPPORT, AMY, BOB)))
    expired = [each for each in floor.effects if isinstance(each, TicketExpired)]
    assert expired == [TicketExpired("v1", "", "queue_removed"), TicketExpired("v3", "", "queue_removed")]
    assert floor.agent("amy").available
    floor.tell(Connected("v2-1"))
    assert floor.outcome("v2") == (VisitOutcome.ANSWERED, ""), "who is with an agent already stays"
    floor.part("v2-1")
    assert floor.agent("bob").available
    check_refold(floor)


def test_a_caller_given_back_to_a_queue_that_is_gone_flows_out(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferAccepted("v1-1"))
    floor.tell(Reconfigured(plan(SUPPORT, AMY, BOB)))
    floor.part("v1-1", Side.AGENT)
    assert floor.outcome("v1") == (VisitOutcome.FLOWED_OUT, "queue_removed")
    assert floor.bodies(QueueLeft) == [QueueLeft("v1", "sales", VisitOutcome.FLOWED_OUT, "queue_removed")]


def test_an_agent_who_is_gone_is_signed_out_when_the_work_ends(floor: Floor) -> None:
    floor.join("v1")
    talk = floor.answer("v1")
    floor.join("v2")
    floor.tell(OfferRinging("v2-1"))
    floor.tell(Reconfigured(plan(SALES)))
    assert floor.withdrawn() == [("bob", OfferResult.UNREACHABLE)]
    assert floor.acd.agent("bob") is None
    assert floor.agent("amy").work is Work.TALKING
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.part(talk)
    floor.tell(WrapUpDone("amy", "solved"))
    assert floor.acd.agents() == ()
    last = floor.bodies(AgentStateChanged)[-1]
    assert (last.agent, last.intent, last.device) == ("amy", Intent.SIGNED_OUT, Device.UNREACHABLE)
    check_refold(floor)
    floor.tell(Reconfigured(plan()))
    assert floor.offered("v2") == ""
    floor.phone("amy", Device.REGISTERED)
    assert floor.offered("v2") == "amy", "back in the configuration and on the phone"
    check_refold(floor)


def test_an_idle_agent_who_is_gone_is_signed_out_at_once(floor: Floor) -> None:
    floor.tell(Reconfigured(plan(SALES, BOB)))
    assert floor.acd.agent("amy") is None
    assert not floor.acd.available("amy")
    assert floor.bodies(AgentStateChanged)[-1].intent is Intent.SIGNED_OUT
    floor.tell(Reconfigured(plan(SALES, BOB)))
    assert len([body for body in floor.bodies(AgentStateChanged) if body.agent == "amy"]) == 2
    check_refold(floor)


@pytest.mark.parametrize("removed_in", [Work.TALKING, Work.WRAP_UP])
def test_an_agent_who_is_gone_does_not_owe_a_disposition_for_ever(removed_in: Work) -> None:
    """The phone and the program of who is gone are not let in any more: nobody could end that wrap-up."""
    queue = replace(SALES, wrap_up=WrapUpSettings(WrapUpMode.MANDATORY))
    floor = Floor(plan(queue, AMY), ready=("amy",))
    floor.join("v1")
    talk = floor.answer("v1")
    if removed_in is Work.WRAP_UP:
        floor.part(talk)
    assert floor.agent("amy").work is removed_in
    floor.tell(Reconfigured(plan(queue)))
    if removed_in is Work.TALKING:
        assert floor.agent("amy").work is Work.TALKING
        floor.part(talk)
    assert floor.acd.agents() == ()
    last = floor.bodies(AgentStateChanged)[-1]
    assert (last.intent, last.work, last.device) == (Intent.SIGNED_OUT, Work.IDLE, Device.UNREACHABLE)
    assert [body.disposition for body in floor.bodies(WrapUpEnded)] == ([""] if removed_in is Work.WRAP_UP else [])
    check_refold(floor)


def test_an_agent_who_returns_to_the_configuration_during_his_talk_stays_ready(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    offer = floor.answer("v1")
    floor.tell(Reconfigured(plan(SALES)))
    floor.tell(Reconfigured(plan()))
    floor.part(offer)
    floor.sleep(30)
    assert floor.agent("amy").available


# The log


def test_facts_of_others_and_of_an_earlier_boot_are_passed_over() -> None:
    acd = Acd(plan())
    empty = acd.snapshot()
    for body in (
        CallEnded(Side.CALLER, EndCause.HANGUP),
        QueueLeft("old", "sales", VisitOutcome.LOST, "restart"),
        OfferEnded("old", "old-1", "amy", OfferResult.UNREACHABLE),
        AgentLegEnded("old-1", "amy", Side.SYSTEM, EndCause.RESTART),
        WrapUpEnded("amy", "old-1", "solved"),
    ):
        acd.apply(Fact(1, EPOCH, "boot", 5, "call", body))
    assert acd.snapshot() == empty
    assert acd.deadline is None


def test_a_log_that_breaks_off_before_the_offer_is_gone_on_with(amy_alone: Floor) -> None:
    """Killed between CallQueued and OfferMade: who reads the log makes the offer."""
    amy_alone.join("v1")
    upto = next(n for n, fact in enumerate(amy_alone.facts) if isinstance(fact.body, OfferMade))
    again = Acd(plan(SALES, AMY))
    for fact in amy_alone.facts[:upto]:
        again.apply(fact)
    decision = again.expire(amy_alone.now)
    assert [effect for effect in decision.effects if isinstance(effect, MakeOffer)]


def test_time_does_not_go_back() -> None:
    acd = Acd(plan(), epoch=7)
    acd.handle(DeviceChanged("amy", Device.REGISTERED), 50.0)
    decision = acd.handle(Join(Ticket("v1", "call", "sales", "acme")), 40.0)
    (made,) = (effect for effect in decision.effects if isinstance(effect, MakeOffer))
    assert made.offer.expires_at == 75.0
    assert made.offer.epoch == 7


def test_an_acd_says_in_one_line_how_it_stands(floor: Floor) -> None:
    floor.join("v1")
    assert str(floor.acd) == "<Acd 1 waiting, 1 of 2 agents free>"
    assert floor.acd.plan.queues["sales"] is SALES


def test_rules_after_offers_that_failed_are_the_plans() -> None:
    settings = Plan(plan().queues, plan().agents, rna=RnaSettings(no_answer=RnaRule(delay=60, limit=2)))
    floor = Floor(settings, ready=("amy",))
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.sleep(20)
    assert (floor.agent("amy").intent, floor.agent("amy").until) == (Intent.READY, floor.now + 60)
    floor.sleep(60)
    floor.tell(OfferRinging("v1-2"))
    floor.sleep(20)
    assert floor.agent("amy").reason == "no_answer"
