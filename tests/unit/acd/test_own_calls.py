"""Agents who dial, and agents who are asked for by name, told as complaints that would reach us."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcenter.acd.events import (
    DeviceChanged,
    Held,
    OfferFailed,
    OfferRinging,
    Reconfigured,
    Resumed,
    TalkMoved,
    TicketExpired,
    TicketRefused,
    WrapUpDone,
)
from callcenter.acd.settings import DIRECT, AgentSettings, Plan, WrapUpSettings
from callcenter.model.facts import AgentLegEnded, AgentStateChanged, AgentTookOver, OfferMade
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Side, VisitOutcome, Work
from tests.unit.acd.floor import AMY, BOB, SALES, Floor, check_refold, plan

NO_WRAP_UP = replace(SALES, wrap_up=None)


@pytest.fixture
def floor() -> Floor:
    """Sales with Amy (english 5) and Bob (english 3), both ready."""
    return Floor(plan(), ready=("amy", "bob"))


@pytest.fixture
def amy_alone() -> Floor:
    return Floor(plan(SALES, AMY), ready=("amy",))


# Dialling


def test_nobody_is_offered_to_an_agent_who_dials_and_the_next_caller_comes_when_he_is_through(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.dial("amy", "c1")
    amy = floor.agent("amy")
    assert (amy.work, amy.available, amy.own_calls, amy.call_id) == (Work.OUTBOUND, False, ("c1",), "c1")
    assert floor.acd.dialled_by("c1") == "amy"
    floor.join("v1")
    assert floor.offered("v1") == ""
    assert floor.acd.explain("v1") == {"amy": ("outbound",)}
    floor.leave_off("amy", "c1")
    assert floor.offered("v1") == "amy"
    assert floor.acd.dialled_by("c1") == ""
    check_refold(floor)


def test_a_call_that_failed_makes_nobody_ready_who_was_not(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.dial("amy", "c1")
    floor.leave_off("amy", "c1")
    amy = floor.agent("amy")
    assert (amy.work, amy.intent, amy.reason, amy.forced) == (Work.IDLE, Intent.NOT_READY, "lunch", False)


def test_what_an_agent_chose_while_dialling_holds_when_the_call_is_over(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.dial("amy", "c1")
    floor.choose("amy", Intent.NOT_READY, "lunch")
    assert (floor.agent("amy").intent, floor.agent("amy").pending) == (Intent.READY, True)
    floor.leave_off("amy", "c1")
    amy = floor.agent("amy")
    assert (amy.work, amy.intent, amy.reason, amy.pending) == (Work.IDLE, Intent.NOT_READY, "lunch", False)


def test_a_call_beside_a_talk_is_a_consultation_and_leads_back_to_the_hold(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    offer = floor.answer("v1")
    floor.tell(Held(offer, Side.AGENT))
    floor.dial("amy", "c1")
    amy = floor.agent("amy")
    assert (amy.work, amy.call_id, amy.own_calls) == (Work.CONSULTING, "call-v1", ("c1",))
    floor.leave_off("amy", "c1")
    assert floor.agent("amy").work is Work.HELD
    floor.dial("amy", "c2")
    floor.tell(Resumed(offer, Side.AGENT))
    assert floor.agent("amy").work is Work.CONSULTING, "he swaps between the two"
    floor.leave_off("amy", "c2")
    assert floor.agent("amy").work is Work.TALKING


def test_a_caller_who_hangs_up_while_the_agent_consults_does_not_end_the_consultation(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    offer = floor.answer("v1")
    floor.dial("amy", "c1")
    floor.part(offer)
    assert floor.agent("amy").work is Work.WRAP_UP
    floor.tell(WrapUpDone("amy"))
    assert floor.agent("amy").work is Work.OUTBOUND, "through with the caller, but not with the colleague"
    floor.join("v2")
    assert floor.offered("v2") == ""
    floor.leave_off("amy", "c1")
    assert floor.offered("v2") == "amy"


def test_without_a_wrap_up_the_consultation_goes_on_as_a_call_of_his_own() -> None:
    floor = Floor(plan(NO_WRAP_UP, AMY), ready=("amy",))
    floor.join("v1")
    offer = floor.answer("v1")
    floor.dial("amy", "c1")
    floor.choose("amy", Intent.NOT_READY, "lunch")
    floor.part(offer)
    assert floor.agent("amy").work is Work.OUTBOUND
    floor.leave_off("amy", "c1")
    assert (floor.agent("amy").work, floor.agent("amy").reason) == (Work.IDLE, "lunch")


def test_a_call_dialled_in_the_wrap_up_and_over_with_it_leaves_the_wrap_up_alone(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.part(floor.answer("v1"))
    until = floor.agent("amy").until
    floor.dial("amy", "c1")
    assert (floor.agent("amy").work, floor.agent("amy").until) == (Work.WRAP_UP, until)
    floor.leave_off("amy", "c1")
    assert (floor.agent("amy").work, floor.agent("amy").until) == (Work.WRAP_UP, until)
    floor.sleep(30)
    assert floor.agent("amy").available


def test_the_wrap_up_that_runs_out_in_a_call_lets_the_call_go_on(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.part(floor.answer("v1"))
    floor.dial("amy", "c1")
    floor.sleep(60)
    assert (floor.agent("amy").work, floor.agent("amy").until) == (Work.OUTBOUND, None)


def test_an_agent_who_dials_while_the_phone_rings_gives_the_caller_back_without_blame(floor: Floor) -> None:
    floor.join("v1")
    floor.tell(OfferRinging("v1-1"))
    floor.dial("amy", "c1")
    assert floor.withdrawn() == [("amy", OfferResult.LOST_RACE)]
    assert floor.agent("amy").work is Work.OUTBOUND
    assert floor.offered("v1") == "bob"
    floor.leave_off("amy", "c1")
    assert floor.agent("amy").available


def test_two_lines_of_one_agent_are_one_piece_of_work(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.dial("amy", "c1")
    floor.dial("amy", "c2")
    floor.leave_off("amy", "c1")
    assert (floor.agent("amy").work, floor.agent("amy").own_calls) == (Work.OUTBOUND, ("c2",))
    floor.leave_off("amy", "c1")
    floor.leave_off("amy", "c2")
    assert floor.agent("amy").available


def test_a_call_is_one_agents_own_and_nobody_elses(floor: Floor) -> None:
    floor.dial("amy", "c1")
    floor.dial("bob", "c1")
    floor.leave_off("bob", "c1")
    assert (floor.agent("amy").work, floor.agent("bob").work) == (Work.OUTBOUND, Work.IDLE)


def test_an_agent_removed_while_dialling_is_gone_when_the_call_is_over(floor: Floor) -> None:
    floor.dial("amy", "c1")
    floor.tell(Reconfigured(plan(SALES, BOB)))
    assert floor.agent("amy").work is Work.OUTBOUND
    floor.leave_off("amy", "c1")
    assert floor.acd.agent("amy") is None
    assert floor.bodies(AgentStateChanged)[-1].intent is Intent.SIGNED_OUT


def test_dialling_costs_no_place_among_the_idle() -> None:
    twin = replace(AMY, id="ann")
    floor = Floor(plan(SALES, AMY, twin), ready=("amy",))
    floor.sleep(1)
    floor.phone("ann", Device.REGISTERED)
    floor.dial("amy", "c1")
    floor.sleep(5)
    floor.leave_off("amy", "c1")
    floor.join("v1")
    assert floor.offered("v1") == "amy"


# Asked for by name


def test_a_colleague_who_asks_for_an_agent_gets_no_other(floor: Floor) -> None:
    floor.tell(DeviceChanged("bob", Device.BUSY_ELSEWHERE))
    floor.ask_for("bob", "d1")
    assert floor.offered("d1") == ""
    assert floor.acd.explain("d1") == {
        "amy": ("the call is for bob alone",),
        "bob": ("phone busy_elsewhere",),
    }
    assert [ticket.only for ticket in floor.acd.waiting("")] == ["bob"]
    floor.tell(DeviceChanged("bob", Device.REGISTERED))
    assert floor.offered("d1") == "bob"
    assert floor.bodies(OfferMade)[-1].why[0] == "asked for by name"
    floor.part(floor.answer("d1"))
    assert floor.agent("bob").work is Work.IDLE, "colleagues owe each other no wrap-up"
    check_refold(floor)


def test_an_agent_who_is_asked_for_takes_that_call_before_those_that_others_can_take_too(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    offer = floor.answer("v1")
    floor.join("v2")
    floor.ask_for("amy", "d1")
    floor.part(offer)
    floor.tell(WrapUpDone("amy"))
    assert (floor.offered("d1"), floor.offered("v2")) == ("amy", "")


@pytest.mark.parametrize("away", ["unknown_agent", "signed_out", "not_ready", "unreachable", "wrong_client"])
def test_who_asks_for_an_agent_that_will_not_come_is_told_so_at_once(floor: Floor, away: str) -> None:
    match away:
        case "unknown_agent":
            floor.ask_for("nobody", "d1")
        case "wrong_client":
            floor.tell(Reconfigured(plan(SALES, AMY, replace(BOB, clients=frozenset({"other"})))))
            floor.ask_for("bob", "d1", "sales")
        case "unreachable":
            floor.phone("bob", Device.UNREACHABLE)
            floor.ask_for("bob", "d1")
        case _:
            floor.choose("bob", Intent(away))
            floor.ask_for("bob", "d1")
    assert floor.effects == [TicketRefused("d1", "sorry" if away == "wrong_client" else "", away)]
    assert floor.outcome("d1") == (VisitOutcome.REFUSED, away)
    check_refold(floor)


def test_who_waits_for_a_busy_agent_goes_on_after_the_longest_wait(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.join("v1")
    floor.answer("v1")
    floor.ask_for("amy", "d1")
    floor.sleep(29.999)
    assert floor.offered("d1") == ""
    floor.sleep(0.001)
    assert floor.effects[-1] == TicketExpired("d1", "", "timeout")
    assert floor.outcome("d1") == (VisitOutcome.FLOWED_OUT, "timeout")


def test_who_waits_for_a_busy_agent_goes_on_when_he_leaves_for_lunch(amy_alone: Floor) -> None:
    floor = amy_alone
    floor.dial("amy", "c1")
    floor.ask_for("amy", "d1")
    floor.choose("amy", Intent.NOT_READY, "lunch")
    assert floor.ticket("d1") is not None
    floor.leave_off("amy", "c1")
    assert floor.effects[-1] == TicketExpired("d1", "", "not_ready")
    assert floor.outcome("d1") == (VisitOutcome.FLOWED_OUT, "not_ready")


def test_who_waits_for_an_agent_that_is_removed_goes_on(floor: Floor) -> None:
    floor.tell(DeviceChanged("amy", Device.BUSY_ELSEWHERE))
    floor.ask_for("amy", "d1")
    floor.tell(Reconfigured(plan(SALES, BOB)))
    assert floor.outcome("d1") == (VisitOutcome.FLOWED_OUT, "unknown_agent")


@pytest.mark.parametrize("result", [OfferResult.DECLINED, OfferResult.BUSY, OfferResult.UNREACHABLE])
def test_an_agent_who_does_not_want_the_colleague_is_not_rung_again(floor: Floor, result: OfferResult) -> None:
    floor.ask_for("bob", "d1")
    floor.tell(OfferFailed("d1-1", result))
    assert floor.effects[-1] == TicketExpired("d1", "", str(result))
    assert floor.outcome("d1") == (VisitOutcome.FLOWED_OUT, str(result))
    floor.sleep(60)
    assert floor.agent("bob").available


def test_an_agent_who_does_not_answer_a_colleague_is_not_rung_again(floor: Floor) -> None:
    floor.ask_for("bob", "d1")
    floor.tell(OfferRinging("d1-1"))
    floor.sleep(20)
    assert floor.outcome("d1") == (VisitOutcome.FLOWED_OUT, "no_answer")


def test_an_agent_who_picks_up_and_hangs_up_before_a_word_is_not_rung_again(floor: Floor) -> None:
    floor.ask_for("bob", "d1")
    offer = floor.offer_of("d1")
    floor.tell(OfferRinging(offer))
    floor.part(offer, Side.AGENT)
    assert floor.outcome("d1") == (VisitOutcome.FLOWED_OUT, "declined")


def test_an_offer_that_was_nobodys_fault_is_made_again(floor: Floor) -> None:
    floor.ask_for("bob", "d1")
    floor.tell(OfferFailed("d1-1", OfferResult.LOST_RACE))
    floor.sleep(1)
    assert floor.offered("d1") == "bob"


def test_a_caller_passed_on_to_an_agent_owes_him_the_wrap_up_of_the_queue(floor: Floor) -> None:
    unskilled = AgentSettings("eve", "Eve", {}, frozenset({"acme"}))
    floor.tell(Reconfigured(plan(SALES, AMY, unskilled)))
    floor.phone("eve", Device.REGISTERED)
    floor.ask_for("eve", "d1", "sales")
    assert floor.offered("d1") == "eve", "whoever passed the caller on knows why"
    floor.part(floor.answer("d1"))
    assert floor.agent("eve").work is Work.WRAP_UP


def test_the_empty_queue_is_for_those_alone_who_ask_for_somebody(floor: Floor) -> None:
    floor.join("v1", "")
    assert floor.outcome("v1") == (VisitOutcome.REFUSED, "unknown_queue")


def test_too_many_who_ask_for_agents_are_refused() -> None:
    settings = plan(SALES, AMY)
    settings = Plan(settings.queues, settings.agents, direct=replace(DIRECT, max_waiting=1, wrap_up=WrapUpSettings()))
    floor = Floor(settings, ready=("amy",))
    floor.dial("amy", "c1")
    floor.ask_for("amy", "d1")
    floor.ask_for("amy", "d2")
    assert floor.outcome("d2") == (VisitOutcome.REFUSED, "full")


# Handed over


def test_an_agent_who_is_handed_over_talks_on_in_the_other_call_and_owes_its_wrap_up(floor: Floor) -> None:
    floor.ask_for("bob", "d1")
    offer = floor.answer("d1")
    floor.tell(Held(offer, Side.CALLER))
    floor.tell(TalkMoved(offer, "call-v1", "sales"))
    bob = floor.agent("bob")
    assert (bob.work, bob.call_id, bob.queue) == (Work.TALKING, "call-v1", "sales")
    told = [fact for fact in floor.facts if isinstance(fact.body, AgentLegEnded | AgentTookOver)]
    assert [(fact.body, fact.call_id) for fact in told] == [
        (AgentLegEnded(offer, "bob", Side.SYSTEM, EndCause.TRANSFERRED), "call-d1"),
        (AgentTookOver(offer, "bob", "sales"), "call-v1"),
    ]
    floor.part(offer)
    assert floor.agent("bob").work is Work.WRAP_UP
    check_refold(floor)


def test_who_has_not_heard_anybody_yet_is_not_handed_over(floor: Floor) -> None:
    floor.ask_for("bob", "d1")
    floor.tell(TalkMoved("d1-1", "call-v1", "sales"))
    assert floor.agent("bob").call_id == "call-d1"
