"""The ledger counts what happened where it began, and loses nothing, whatever breaks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from callcenter.ledger.figures import AgentTime, Callbacks, Handling, Visits
from callcenter.ledger.intervals import quarter_of
from callcenter.ledger.ledger import Ledger, fold
from callcenter.model.facts import (
    AgentLegEnded,
    AgentTookOver,
    CallbackAttempted,
    CallbackEnded,
    CallbackRequested,
    CallConnected,
    CallQueued,
    CallTransferred,
    QueueLeft,
    TransferFailed,
    WaitAnnounced,
)
from callcenter.model.states import (
    CallbackOutcome,
    Device,
    EndCause,
    Intent,
    OfferResult,
    Side,
    TransferKind,
    TransferTo,
    VisitOutcome,
    Work,
)
from tests.unit.ledger.told import NINE, Told


def test_a_caller_who_is_answered_counts_where_they_came_in() -> None:
    """Joined at 9:14:50, answered at 9:15:10: it is a call of the quarter before, and so is the agent's work on it."""
    floor = Told(NINE + timedelta(minutes=14, seconds=50))
    floor.joins("v1")
    floor.wait(20)
    offer = floor.connects("v1", "amy")
    floor.wait(100)
    floor.parts(offer, "amy")
    floor.wait(30)
    floor.is_at("amy")
    ledger = floor.ledger()
    quarter = quarter_of(NINE)
    assert ledger.visits == {(quarter, "acme", "sales"): Visits(offered=1, answered=1, waits=[20_000])}
    assert ledger.handling == {
        (quarter, "acme", "sales", "amy"): Handling(
            offers=1, results={"accepted": 1}, rang=1, handled=1, talk_ms=100_000, wrap_up_ms=30_000
        )
    }


def test_every_way_to_leave_a_queue_is_counted_once() -> None:
    floor = Told()
    for visit, outcome, reason in (
        ("v1", VisitOutcome.ANSWERED, ""),
        ("v2", VisitOutcome.ABANDONED, ""),
        ("v3", VisitOutcome.SHORT_ABANDONED, ""),
        ("v4", VisitOutcome.FLOWED_OUT, "timeout"),
        ("v5", VisitOutcome.REFUSED, "closed"),
        ("v6", VisitOutcome.LOST, "media_failed"),
    ):
        floor.joins(visit)
        floor.wait(3)
        floor.leaves(visit, outcome, reason)
        floor.leaves(visit, VisitOutcome.LOST, "told twice")
    floor.joins("v7")
    floor.wait(4)
    figures = floor.figures()
    assert figures.visits == Visits(
        offered=7,
        answered=1,
        abandoned=1,
        short_abandoned=1,
        flowed_out={"timeout": 1},
        refused={"closed": 1},
        lost={"media_failed": 1},
        waits=[3_000],
        given_up=[3_000, 3_000],
        moved_on=[3_000],
    )
    assert figures.waiting == [4_000]


def test_an_estimate_is_judged_by_how_long_it_then_took() -> None:
    """Told 1 to 3 minutes and it took 2; told 30 to 60 s and it took 90: right and 0 off; wrong, and 45 s too short."""
    floor = Told()
    floor.joins("v1")
    floor.tell(WaitAnnounced("v1", 60_000, 180_000), "call-v1")
    floor.wait(30)
    floor.tell(WaitAnnounced("v1", 30_000, 60_000), "call-v1")
    floor.wait(90)
    floor.connects("v1", "amy")
    floor.joins("v2")
    floor.tell(WaitAnnounced("v2", 60_000, 180_000), "call-v2")
    floor.wait(1)
    floor.leaves("v2", VisitOutcome.ABANDONED)
    visits = floor.figures().visits
    assert (visits.told, visits.told_off, visits.told_away) == (2, -45_000, 45_000)
    assert (visits.told_well, visits.told_right) == (1, 1)


def test_offers_that_fail_are_told_apart() -> None:
    floor = Told()
    floor.joins("v1")
    for result in (OfferResult.NO_ANSWER, OfferResult.DECLINED, OfferResult.BUSY, OfferResult.UNREACHABLE):
        offer = floor.offers_to("amy", "v1")
        if result is not OfferResult.UNREACHABLE:
            floor.rings(offer, "amy")
        floor.wait(5)
        floor.ends_offer(offer, "amy", result)
    floor.offers_to("bob", "v1")
    figures = floor.figures()
    assert figures.handling.results == {"no_answer": 1, "declined": 1, "busy": 1, "unreachable": 1}
    assert (figures.handling.offers, figures.pending) == (5, 1)
    assert (figures.handling.rang, figures.handling.ring_ms) == (3, 15_000)


def test_hold_is_no_talk_also_when_both_hold() -> None:
    floor = Told()
    floor.joins("v1")
    offer = floor.connects("v1", "amy")
    floor.wait(10)
    floor.holds(offer, "amy")
    floor.wait(5)
    floor.holds(offer, "amy", by=Side.CALLER)
    floor.wait(5)
    floor.resumes(offer, "amy")
    floor.wait(5)
    floor.resumes(offer, "amy", by=Side.CALLER)
    floor.wait(10)
    floor.holds(offer, "amy")
    floor.wait(2)
    floor.parts(offer, "amy", wraps_up=False)
    handling = floor.figures().handling
    assert (handling.talk_ms, handling.hold_ms, handling.wrap_up_ms, handling.handled) == (20_000, 17_000, 0, 1)


def test_a_leg_is_handled_when_its_wrap_up_is_over() -> None:
    """The mean handling time of a busy moment is of whole legs, not of what there is of them so far."""
    floor = Told()
    floor.joins("v1")
    offer = floor.connects("v1", "amy")
    floor.wait(60)
    floor.parts(offer, "amy")
    floor.wait(10)
    assert floor.figures().handling.handled == 0
    floor.is_at("amy")
    assert (floor.figures().handling.handled, floor.figures().handling.wrap_up_ms) == (1, 10_000)


def test_an_agent_s_time_adds_up_to_what_they_were_signed_in_for() -> None:
    floor = Told()
    floor.is_at("amy")
    floor.wait(60)
    floor.is_at("amy", intent=Intent.NOT_READY, reason="lunch")
    floor.wait(1_800)
    floor.is_at("amy", intent=Intent.NOT_READY, reason="lunch", device=Device.UNREACHABLE)
    floor.wait(10)
    floor.is_at("amy", device=Device.UNREACHABLE)
    floor.wait(20)
    floor.is_at("amy", remaining_ms=10_000)
    floor.wait(10)
    floor.is_at("amy", intent=Intent.NOT_READY, reason="unreachable", forced=True)
    floor.wait(30)
    floor.is_at("amy", Work.OUTBOUND)
    floor.wait(40)
    floor.is_at("amy", intent=Intent.SIGNED_OUT)
    floor.wait(1_000)
    floor.is_at("amy", Work.OUTBOUND, Intent.SIGNED_OUT)
    floor.wait(1_000)
    assert floor.figures().time == AgentTime(
        signed_in=1_970_000,
        parts={"ready_idle": 60_000, "break:lunch": 1_810_000, "unreachable": 50_000, "other": 10_000,
               "outbound": 40_000},
    )  # fmt: skip


def test_agent_time_belongs_to_the_quarter_that_it_passes_in() -> None:
    floor = Told(NINE + timedelta(minutes=10))
    floor.is_at("amy")
    floor.wait(25 * 60)
    cells = floor.ledger().figures(floor.ms).time
    assert [figures.time.signed_in for figures in cells.values()] == [300_000, 900_000, 300_000]


def test_a_wall_clock_that_is_set_moves_no_second_of_anybody_s_time() -> None:
    """The clock is an hour wrong and is put right: what was worked is what was worked."""
    floor = Told()
    floor.is_at("amy")
    floor.wait(600)
    floor.at += timedelta(hours=1)
    floor.is_at("amy", intent=Intent.NOT_READY, reason="lunch")
    floor.wait(600)
    floor.is_at("amy", intent=Intent.SIGNED_OUT)
    assert floor.figures().time == AgentTime(1_200_000, {"ready_idle": 600_000, "break:lunch": 600_000})
    assert {key[0] for key in floor.ledger().time} == {quarter_of(NINE), quarter_of(NINE + timedelta(hours=1)),
                                                      quarter_of(NINE + timedelta(hours=1, minutes=15))}  # fmt: skip


def test_calls_that_a_crash_cut_off_are_lost_and_none_is_counted_as_abandoned() -> None:
    """The books of the boot before are closed by the next one, at the last sign of life."""
    floor = Told()
    floor.is_at("amy")
    floor.joins("v1")
    floor.wait(10)
    offer = floor.connects("v1", "amy")
    floor.joins("v2")
    floor.wait(30)
    floor.holds(offer, "amy")
    floor.wait(5)
    floor.joins("v3")
    floor.reboot()
    floor.tell(AgentLegEnded(offer, "amy", Side.SYSTEM, EndCause.RESTART), "call-v1")
    floor.leaves("v2", VisitOutcome.LOST, "restart")
    floor.leaves("v3", VisitOutcome.LOST, "restart")
    floor.started()
    figures = floor.figures()
    assert figures.visits == Visits(offered=3, answered=1, lost={"restart": 2}, waits=[10_000])
    assert (figures.handling.talk_ms, figures.handling.hold_ms, figures.handling.handled) == (30_000, 5_000, 1)
    assert figures.time == AgentTime(45_000, {"ready_idle": 10_000, "talk": 30_000, "hold": 5_000})


def test_what_nobody_closed_is_lost_when_the_next_boot_has_started() -> None:
    """Facts that never got into the database leave visits, offers and legs without an end."""
    floor = Told()
    floor.joins("v1")
    floor.joins("v2")
    floor.joins("v3")
    floor.offers_to("amy", "v1")
    talk = floor.connects("v2", "bob")
    floor.wait(60)
    over = floor.connects("v3", "cas")
    floor.parts(over, "cas")
    floor.reboot()
    floor.started()
    figures = floor.figures()
    assert (figures.visits.lost, figures.waiting) == ({"restart": 1}, [])
    assert (figures.handling.results["lost_race"], figures.pending) == (1, 0)
    assert (figures.handling.handled, figures.handling.talk_ms) == (2, 60_000)
    assert talk


def test_an_agent_who_takes_over_begins_a_leg_of_his_own() -> None:
    """Amy asks Bob, and puts the caller through to him: two legs for the caller's queue, in the caller's interval."""
    floor = Told()
    floor.joins("v1")
    first = floor.connects("v1", "amy")
    floor.wait(60)
    floor.joins("v2", "", "", agent="bob")
    asked = floor.connects("v2", "bob", "")
    floor.wait(3_600)
    floor.tell(CallTransferred(first, "amy", TransferKind.ATTENDED, TransferTo.AGENT, "bob"), "call-v1")
    floor.tell(AgentLegEnded(first, "amy", Side.AGENT, EndCause.TRANSFERRED), "call-v1")
    floor.is_at("amy", Work.WRAP_UP, offer=first)
    floor.tell(AgentLegEnded(asked, "bob", Side.SYSTEM, EndCause.TRANSFERRED), "call-v2")
    floor.tell(AgentTookOver(asked, "bob", "sales"), "call-v1")
    floor.is_at("bob", Work.TALKING, offer=asked)
    floor.wait(30)
    floor.tell(AgentLegEnded(asked, "bob", Side.CALLER, EndCause.HANGUP), "call-v1")
    floor.is_at("bob", Work.WRAP_UP, offer=asked)
    floor.hangs_up("v1")
    floor.wait(10)
    floor.is_at("bob")
    floor.is_at("amy")
    quarter = quarter_of(NINE)
    handling = floor.ledger().handling
    assert handling[quarter, "acme", "sales", "bob"] == Handling(handled=1, talk_ms=30_000, wrap_up_ms=10_000)
    assert handling[quarter, "", "", "bob"].talk_ms == 3_600_000
    amy = handling[quarter, "acme", "sales", "amy"]
    assert (amy.handled, amy.talk_ms, amy.wrap_up_ms) == (1, 3_660_000, 40_000)
    assert amy.transfers == {"attended to agent": 1}
    assert not floor.ledger().figures(floor.ms).gaps()


def test_a_transfer_that_nobody_took_is_counted_beside() -> None:
    floor = Told()
    floor.joins("v1")
    first = floor.connects("v1", "amy")
    floor.tell(CallTransferred(first, "amy", TransferKind.BLIND, TransferTo.OUTSIDE, "+14155550100"), "call-v1")
    floor.tell(TransferFailed(first, "amy", "+14155550100", 486, "busy"), "call-v1")
    handling = floor.figures().handling
    assert (handling.transfers, handling.transfers_failed) == ({"blind to outside": 1}, 1)


def test_a_callback_is_no_caller_who_waits_and_outlives_the_boot_that_promised_it() -> None:
    """The visit that asked for it flowed out; the turn in line has no part in the service level or the ASA."""
    floor = Told()
    floor.joins("v1")
    floor.wait(40)
    floor.tell(CallbackRequested("c1", "v1", "acme", "sales", "+14155550100", floor.ms), "call-v1")
    floor.leaves("v1", VisitOutcome.FLOWED_OUT, "callback")
    floor.hangs_up("v1")
    floor.tell(CallQueued("v2", "sales", "acme", 0, (), floor.ms, callback="c1"), "call-v2")
    floor.wait(20)
    assert floor.figures().in_line == 1
    floor.reboot()
    floor.leaves("v2", VisitOutcome.FLOWED_OUT, "restart")
    floor.started()
    floor.wait(5)
    floor.tell(CallQueued("v3", "sales", "acme", 0, (), floor.ms, callback="c1"), "call-v3")
    offer = floor.offers_to("amy", "v3")
    floor.rings(offer, "amy")
    floor.wait(35)
    floor.tell(CallbackAttempted("c1", 1, "amy", offer, "+14155550100", 60_000), "call-v3")
    floor.answers(offer, "amy")
    floor.tell(CallbackEnded("c1", "acme", "sales", CallbackOutcome.REACHED, 1), "call-v3")
    figures = floor.figures()
    assert figures.visits == Visits(offered=1, flowed_out={"callback": 1}, moved_on=[40_000])
    assert figures.callbacks == Callbacks(
        requested=1,
        turns=2,
        turns_over={"flowed_out": 1, "answered": 1},
        attempted=1,
        ended={"reached": 1},
        waits=[60_000],
    )
    assert figures.handling.offers == 1


def test_a_day_is_open_until_its_calls_are_over() -> None:
    floor = Told(datetime(2026, 3, 2, 23, 50, tzinfo=UTC))
    floor.joins("v1")
    floor.wait(10)
    offer = floor.connects("v1", "amy")
    floor.wait(3_600)
    assert floor.ledger().oldest_open == {"acme": quarter_of(datetime(2026, 3, 2, 23, 45, tzinfo=UTC))}
    floor.parts(offer, "amy")
    assert floor.ledger().oldest_open
    floor.is_at("amy")
    assert not floor.ledger().oldest_open


def test_facts_told_twice_or_of_nobody_change_nothing() -> None:
    floor = Told()
    floor.joins("v1")
    floor.joins("v1")
    floor.leaves("v9", VisitOutcome.ABANDONED)
    floor.tell(AgentLegEnded("v9-1", "amy", Side.SYSTEM, EndCause.RESTART))
    assert floor.figures().visits == Visits(offered=1)


def test_a_ledger_tells_what_it_holds() -> None:
    floor = Told()
    floor.joins("v1")
    assert str(floor.ledger()) == "<Ledger 1 cells of visits, 1 waiting, 0 legs>"
    assert fold([]).plain() == Ledger().plain()


def test_whom_a_supervisor_has_somebody_take_is_one_caller_who_waited_all_the_while() -> None:
    """75 s in line, offered to bob by her choice, who declined, and to amy: answered late, and not four times there."""
    floor = Told()
    floor.joins("v1")
    floor.wait(60)
    floor.leaves("v1", VisitOutcome.FLOWED_OUT, "taken")
    assert floor.figures().waiting == [60_000]
    floor.tell(CallQueued("v2", "sales", "acme", 100, (), floor.ms, "bob"), "call-v1")
    floor.tell(QueueLeft("v2", "sales", VisitOutcome.FLOWED_OUT, "declined"), "call-v1")
    floor.tell(CallQueued("v3", "sales", "acme", 0, (), floor.ms), "call-v1")
    floor.wait(15)
    assert Ledger.of(floor.ledger().plain()).plain() == floor.ledger().plain()
    floor.tell(QueueLeft("v3", "sales", VisitOutcome.FLOWED_OUT, "taken"), "call-v1")
    floor.tell(CallQueued("v4", "sales", "acme", 100, (), floor.ms, "amy"), "call-v1")
    floor.tell(CallConnected("v4", "v4-1", "amy"), "call-v1")
    floor.tell(QueueLeft("v4", "sales", VisitOutcome.ANSWERED), "call-v1")
    figures = floor.figures()
    assert figures.visits == Visits(offered=1, answered=1, waits=[75_000])
    assert not figures.waiting


def test_who_is_moved_has_left_the_one_queue_and_comes_into_the_other() -> None:
    floor = Told()
    floor.joins("v1")
    floor.wait(30)
    floor.leaves("v1", VisitOutcome.FLOWED_OUT, "moved")
    floor.tell(CallQueued("v2", "support", "acme", 0, (), floor.ms), "call-v1")
    floor.wait(5)
    floor.tell(QueueLeft("v2", "support", VisitOutcome.ANSWERED), "call-v1")
    ledger, quarter = floor.ledger(), quarter_of(NINE)
    assert ledger.visits[quarter, "acme", "sales"] == Visits(offered=1, flowed_out={"moved": 1}, moved_on=[30_000])
    assert ledger.visits[quarter, "acme", "support"] == Visits(offered=1, answered=1, waits=[5_000])


def test_who_was_to_be_taken_when_the_switch_fell_is_lost_once() -> None:
    floor = Told()
    floor.joins("v1")
    floor.wait(30)
    floor.leaves("v1", VisitOutcome.FLOWED_OUT, "taken")
    floor.reboot()
    floor.hangs_up("v1")
    floor.started()
    assert floor.figures().visits == Visits(offered=1, flowed_out={"taken": 1}, moved_on=[30_000])
    assert not floor.figures().waiting
