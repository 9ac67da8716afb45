"""The record of a call, folded from its facts."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from callcenter.model.customer import Match
from callcenter.model.facts import (
    AgentLegEnded,
    AgentMediaStarted,
    AgentTookOver,
    Body,
    CallAnswered,
    CallArrived,
    CallConnected,
    CallEnded,
    CallerMediaStarted,
    CallHeld,
    CallQueued,
    CallResumed,
    CallTransferred,
    CustomerFound,
    DigitsEntered,
    Fact,
    IntentCaptured,
    LanguageChosen,
    LegQuality,
    MediaMissing,
    OfferEnded,
    OfferMade,
    OneWayAudio,
    OneWayAudioEnded,
    OutsideConnected,
    OutsideLegEnded,
    PhoneChanged,
    QueueLeft,
    ScreenPopSent,
    TransferFailed,
    WrapUpEnded,
)
from callcenter.model.interaction import Ending, Interaction, Transfer
from callcenter.model.states import (
    Direction,
    EndCause,
    OfferResult,
    OneWay,
    Outcome,
    Side,
    TransferKind,
    TransferTo,
    VisitOutcome,
)

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ARRIVED = CallArrived("tech", "tech-flow", "+14155550100", "Jo", "+18005550100", "UDP", "127.0.0.1:5080", "x@y")
QUEUED = CallQueued("v1", "sales", "tech", 0, (("english", 3),), 5000)


def facts(*told: tuple[int, Body], boot: str = "b1", first: int = 1) -> list[Fact]:
    """Facts of one call at milliseconds after its arrival at 1,000 ms of the boot's clock."""
    return [
        Fact(first + n, START + timedelta(milliseconds=ms), boot, 1000 + ms, "cc1-x", body)
        for n, (ms, body) in enumerate(told)
    ]


def offer(name: str, agent: str) -> OfferMade:
    return OfferMade("v1", name, 1, "sales", agent, 20000, 25000)


HANDLED = (
    (0, ARRIVED),
    (10, CallAnswered()),
    (11, CustomerFound("c-1", Match.SURE)),
    (900, LanguageChosen("es")),
    (2000, DigitsEntered("main", "1", True)),
    (2001, IntentCaptured("sales", "main")),
    (2010, QUEUED),
    (2010, offer("o1", "amy")),
    (2015, ScreenPopSent("o1", "amy", "p1", True, 4)),
    (22010, OfferEnded("v1", "o1", "amy", OfferResult.NO_ANSWER, "20 s")),
    (22010, offer("o2", "bob")),
    (25010, OfferEnded("v1", "o2", "bob", OfferResult.ACCEPTED)),
    (25010, CallConnected("v1", "o2", "bob")),
    (35010, CallHeld(Side.AGENT)),
    (36010, CallHeld(Side.CALLER)),
    (40010, CallResumed(Side.AGENT)),
    (41010, CallResumed(Side.CALLER)),
    (85010, AgentLegEnded("o2", "bob", Side.CALLER, EndCause.HANGUP)),
    (85010, CallEnded(Side.CALLER, EndCause.HANGUP)),
    (95010, WrapUpEnded("bob", "o2", "solved")),
)


def test_a_handled_call_tells_who_when_and_how_long() -> None:
    saved = Interaction.from_facts(facts(*HANDLED))

    assert (saved.client, saved.queue, saved.agent, saved.intent, saved.language) == (
        "tech",
        "sales",
        "bob",
        "sales",
        "es",
    )
    assert saved.offers == (("amy", OfferResult.NO_ANSWER), ("bob", OfferResult.ACCEPTED))
    assert saved.told[0].pop_acknowledged is True
    assert saved.told[1].pop_acknowledged is None
    assert (saved.wait_ms, saved.talk_ms, saved.hold_ms, saved.wrap_up_ms) == (23000, 54000, 6000, 10000)
    assert saved.legs[0].disposition == "solved"
    assert saved.outcome is Outcome.HANDLED
    assert saved.ending == Ending(Side.CALLER, EndCause.HANGUP)


def test_ivr_wait_talk_and_hold_add_up_to_the_answered_time() -> None:
    saved = Interaction.from_facts(facts(*HANDLED))

    assert saved.ivr_ms + saved.wait_ms + saved.talk_ms + saved.hold_ms == 85000
    assert saved.duration_ms == 85010


def test_a_talk_cut_while_held_counts_the_hold_up_to_the_end() -> None:
    told = (*HANDLED[:14], (45010, CallEnded(Side.CALLER, EndCause.HANGUP)))
    saved = Interaction.from_facts(facts(*told))

    assert (saved.talk_ms, saved.hold_ms) == (10000, 10000)


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        (((500, CallEnded(Side.CALLER, EndCause.HANGUP)),), Outcome.LEFT_IN_MENU),
        (((500, CallEnded(Side.SYSTEM, EndCause.FLOW_ENDED)),), Outcome.SELF_SERVED),
        (
            (
                (500, QUEUED),
                (900, QueueLeft("v1", "sales", VisitOutcome.ABANDONED)),
                (900, CallEnded(Side.CALLER, EndCause.HANGUP)),
            ),
            Outcome.ABANDONED,
        ),
        (
            (
                (500, QUEUED),
                (900, QueueLeft("v1", "sales", VisitOutcome.FLOWED_OUT, "timeout")),
                (999, CallEnded(Side.SYSTEM, EndCause.FLOW_ENDED)),
            ),
            Outcome.UNSERVED,
        ),
        (
            (
                (500, QUEUED),
                (500, QueueLeft("v1", "sales", VisitOutcome.REFUSED, "full")),
                (999, CallEnded(Side.SYSTEM, EndCause.FLOW_ENDED)),
            ),
            Outcome.REFUSED,
        ),
    ],
)
def test_each_way_out_has_its_own_outcome(told: tuple[tuple[int, Body], ...], outcome: Outcome) -> None:
    saved = Interaction.from_facts(facts((0, ARRIVED), (10, CallAnswered()), *told))

    assert saved.outcome is outcome


def test_a_call_refused_before_the_answer_is_refused_not_lost() -> None:
    saved = Interaction.from_facts(facts((0, ARRIVED), (1, CallEnded(Side.SYSTEM, EndCause.REJECTED, 503))))

    assert saved.outcome is Outcome.REFUSED
    assert saved.ivr_ms == 0


def test_a_call_cut_by_a_crash_ends_at_the_last_sign_of_life_of_its_boot() -> None:
    """The next boot's clock and an hour of darkness do not become talk time."""
    before = facts(*HANDLED[:13])
    later = [
        Fact(
            99, START + timedelta(hours=1), "b2", 7, "cc1-x", AgentLegEnded("o2", "bob", Side.SYSTEM, EndCause.RESTART)
        ),
        Fact(
            100,
            START + timedelta(hours=1),
            "b2",
            8,
            "cc1-x",
            CallEnded(Side.SYSTEM, EndCause.RESTART, alive_ms=1000 + 31010),
        ),
    ]
    saved = Interaction.from_facts([*before, *later])

    assert saved.outcome is Outcome.HANDLED
    assert saved.talk_ms == 6000
    assert saved.duration_ms == 31010


def test_an_unfinished_call_has_no_outcome_yet() -> None:
    saved = Interaction.from_facts(facts(*HANDLED[:9]))

    assert saved.outcome is None
    assert saved.ending is None


def test_facts_without_an_arrival_are_no_call() -> None:
    with pytest.raises(ValueError, match="CallArrived"):
        Interaction.from_facts(facts((0, CallAnswered())))


def test_the_plain_record_is_json_with_the_sums_beside_it() -> None:
    plain = Interaction.from_facts(facts(*HANDLED)).plain()

    assert plain["arrived_at"] == "2026-11-21T09:00:00.000Z"
    assert plain["talk_ms"] == 54000
    assert plain["legs"][0]["agent"] == "bob"
    assert plain["ending"] == {"by": "caller", "cause": "hangup", "sip_status": 0, "detail": ""}


DIALLED = replace(ARRIVED, from_number="amy", to_number="+34911223344", direction=Direction.OUTBOUND, agent="amy")
OUTSIDE = (
    (0, DIALLED),
    (4000, CallAnswered()),
    (4000, OutsideConnected("l1", "+34911223344", "madrid")),
    (10_000, CallHeld(Side.OUTSIDE, "l1")),
    (12_000, CallResumed(Side.OUTSIDE, "l1")),
)


def test_a_call_outside_tells_who_dialled_and_how_long_both_talked() -> None:
    ended = (OutsideLegEnded("l1", Side.OUTSIDE, EndCause.HANGUP), CallEnded(Side.OUTSIDE, EndCause.HANGUP))
    record = Interaction.from_facts(facts(*OUTSIDE, *((20_000, body) for body in ended)))
    assert (record.direction, record.dialled_by, record.agent) == (Direction.OUTBOUND, "amy", "amy")
    assert (record.outcome, record.talk_ms, record.hold_ms, record.ivr_ms) == (Outcome.HANDLED, 14_000, 2000, 0)
    (leg,) = record.outside
    assert (leg.number, leg.trunk, leg.ended_by) == ("+34911223344", "madrid", Side.OUTSIDE)


def test_a_call_outside_that_is_cut_while_held_counts_up_to_the_end() -> None:
    record = Interaction.from_facts(facts(*OUTSIDE[:4], (15_000, CallEnded(Side.CALLER, EndCause.HANGUP))))
    assert (record.talk_ms, record.hold_ms) == (6000, 5000)


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (CallEnded(Side.OUTSIDE, EndCause.REJECTED, 486), Outcome.NOT_REACHED),
        (CallEnded(Side.CALLER, EndCause.CANCELLED, 487), Outcome.NOT_REACHED),
        (CallEnded(Side.SYSTEM, EndCause.RESTART), Outcome.LOST),
    ],
)
def test_an_agent_who_reached_nobody_left_no_menu(ending: CallEnded, outcome: Outcome) -> None:
    assert Interaction.from_facts(facts((0, DIALLED), (9000, ending))).outcome is outcome


def test_an_agent_who_waited_in_a_queue_in_vain_has_abandoned_it() -> None:
    told = ((0, replace(DIALLED, direction=Direction.INTERNAL)), (10, CallAnswered()), (20, QUEUED))
    left = (QueueLeft("v1", "sales", VisitOutcome.ABANDONED), CallEnded(Side.CALLER, EndCause.HANGUP))
    assert Interaction.from_facts(facts(*told, *((9000, body) for body in left))).outcome is Outcome.ABANDONED


def test_an_agent_who_came_out_of_another_call_talks_from_then_on() -> None:
    until_transfer = HANDLED[:13]
    more = (
        (55_010, AgentLegEnded("o2", "bob", Side.SYSTEM, EndCause.TRANSFERRED)),
        (55_010, AgentTookOver("o9", "cas", "sales")),
        (85_010, AgentLegEnded("o9", "cas", Side.CALLER, EndCause.HANGUP)),
        (85_010, CallEnded(Side.CALLER, EndCause.HANGUP)),
        (90_010, WrapUpEnded("cas", "o9", "solved")),
    )
    record = Interaction.from_facts(facts(*until_transfer, *more))
    assert [(leg.agent, leg.talk_ms, leg.wrap_up_ms) for leg in record.legs] == [
        ("bob", 30_000, 0),
        ("cas", 30_000, 5000),
    ]
    assert record.agent == "cas"


def test_transfers_are_told_with_what_became_of_them_and_no_time_counts_twice() -> None:
    second = CallQueued("v2", "sales", "tech", 100, (), 5000, agent="bob")
    told = Interaction.from_facts(
        facts(
            (0, replace(ARRIVED, diverted_number="+14155550188", diverted_why="away")),
            (0, CallAnswered()),
            (1000, QUEUED),
            (2000, CallConnected("v1", "o1", "amy")),
            (5000, CallTransferred("o1", "amy", TransferKind.BLIND, TransferTo.AGENT, "bob")),
            (5000, AgentLegEnded("o1", "amy", Side.AGENT, EndCause.TRANSFERRED)),
            (5000, second),
            (9000, QueueLeft("v2", "sales", VisitOutcome.FLOWED_OUT, "no_answer")),
            (9000, TransferFailed("o1", "amy", "bob", 408, "no_answer")),
            (9000, CallTransferred("o1", "amy", TransferKind.ATTENDED, TransferTo.AGENT, "cid")),
            (9000, AgentTookOver("o3", "cid", "sales")),
            (15000, AgentLegEnded("o3", "cid", Side.CALLER, EndCause.HANGUP)),
            (15000, CallEnded(Side.CALLER, EndCause.HANGUP)),
        )
    )
    assert told.transfers == (
        Transfer("o1", "amy", TransferKind.BLIND, TransferTo.AGENT, "bob", "no_answer"),
        Transfer("o1", "amy", TransferKind.ATTENDED, TransferTo.AGENT, "cid"),
    )
    assert [(leg.agent, leg.talk_ms) for leg in told.legs] == [("amy", 3000), ("cid", 6000)]
    assert (told.ivr_ms, told.wait_ms, told.talk_ms, told.duration_ms) == (1000, 5000, 9000, 15000)
    assert (told.diverted_number, told.diverted_why) == ("+14155550188", "away")
    assert told.plain()["transfers"][0]["kind"] == "blind"


def test_each_part_tells_whether_its_sound_was_encrypted_all_the_time() -> None:
    """Another phone that took the talk over counts too, and a part that was never heard is not called private."""
    suite = "AES_CM_128_HMAC_SHA1_80"
    told = Interaction.from_facts(
        facts(
            (0, ARRIVED),
            (0, CallAnswered()),
            (10, CallerMediaStarted("192.0.2.1:4000", suite)),
            (1000, QUEUED),
            (1900, AgentMediaStarted("o1", "amy", "192.0.2.2:4000", suite)),
            (2000, CallConnected("v1", "o1", "amy")),
            (3000, PhoneChanged(Side.AGENT, "amy", "o1")),
            (3010, AgentMediaStarted("o1", "amy", "192.0.2.3:4000", "")),
            (4000, PhoneChanged(Side.AGENT, "amy", "o1")),
            (4010, AgentMediaStarted("o1", "amy", "192.0.2.2:4000", suite)),
            (5000, AgentLegEnded("o1", "amy", Side.AGENT, EndCause.TRANSFERRED)),
            (5000, AgentMediaStarted("o3", "cid", "192.0.2.4:4000", suite)),
            (5000, AgentTookOver("o3", "cid", "sales")),
            (6000, AgentLegEnded("o3", "cid", Side.AGENT, EndCause.TRANSFERRED)),
            (7000, OutsideConnected("l1", "+14155550188", "carrier", suite)),
            (8000, OutsideLegEnded("l1", Side.OUTSIDE, EndCause.HANGUP)),
            (8000, CallEnded(Side.OUTSIDE, EndCause.HANGUP)),
        )
    )
    assert told.srtp == suite
    assert [(leg.agent, leg.srtp) for leg in told.legs] == [("amy", ""), ("cid", suite)]
    assert [leg.srtp for leg in told.outside] == [suite]
    assert told.plain()["legs"][1]["srtp"] == suite


def test_each_visit_tells_which_one_it_is_and_whose_place_it_went_on_with() -> None:
    """From a call of before, through two queues of this one: the visits are a chain."""
    first = replace(QUEUED, first_joined_ms=-59_000, visit_no=1, place_of="cc1-before/2")
    second = replace(QUEUED, visit="v2", queue="help", first_joined_ms=-59_000, visit_no=2, place_of="cc1-this/1")
    fresh = replace(QUEUED, visit="v3", first_joined_ms=10_000, visit_no=3)
    told = Interaction.from_facts(
        facts(
            (0, ARRIVED),
            (0, CallAnswered()),
            (1000, first),
            (5000, QueueLeft("v1", "sales", VisitOutcome.FLOWED_OUT, "timeout")),
            (5000, second),
            (8000, QueueLeft("v2", "help", VisitOutcome.FLOWED_OUT, "key")),
            (9000, fresh),
            (9500, QueueLeft("v3", "sales", VisitOutcome.ABANDONED)),
            (9500, CallEnded(Side.CALLER, EndCause.HANGUP)),
        )
    )
    assert [(visit.number, visit.place_of, visit.before_ms) for visit in told.visits] == [
        (1, "cc1-before/2", 61_000),
        (2, "cc1-this/1", 65_000),
        (3, "", 0),
    ]
    assert told.plain()["visits"][0]["place_of"] == "cc1-before/2"


def quality(side: Side, mos: float, remote_mos: float = 0.0, **more: Any) -> LegQuality:
    values: dict[str, Any] = {
        "codec": "PCMU", "received": 900, "lost": 100, "jitter_ms": 5.0, "worst_jitter_ms": 9.0, "sent": 1000,
        "remote_lost": 20, "remote_jitter_ms": 3.0, "round_trip_ms": 40.0, "reports": 3, **more,
    }  # fmt: skip
    return LegQuality(side, mos=mos, remote_mos=remote_mos, **values)


def test_each_leg_tells_how_it_sounded_how_soon_and_which_way_was_missing() -> None:
    """Of an agent's two phones the worse one counts; a leg of which nothing was counted has no quality."""
    told = Interaction.from_facts(
        facts(
            (0, ARRIVED),
            (100, CallAnswered()),
            (160, CallerMediaStarted("192.0.2.1:4000")),
            (1000, QUEUED),
            (2000, CallConnected("v1", "o1", "amy")),
            (2300, AgentMediaStarted("o1", "amy", "192.0.2.2:4000")),
            (3000, OneWayAudio(Side.AGENT, OneWay.UNHEARD, "", "o1", "amy")),
            (3500, OneWayAudioEnded(Side.AGENT, OneWay.UNHEARD, 500, "o1", "amy")),
            (4000, quality(Side.AGENT, 4.0, 3.1, offer="o1", agent="amy")),
            (4000, PhoneChanged(Side.AGENT, "amy", "o1")),
            (5000, quality(Side.AGENT, 4.3, 4.2, offer="o1", agent="amy")),
            (5000, AgentLegEnded("o1", "amy", Side.AGENT, EndCause.TRANSFERRED)),
            (5000, OutsideConnected("l1", "+14155550188", "carrier")),
            (5500, MediaMissing(Side.CALLER, "")),
            (8000, quality(Side.OUTSIDE, 0.0, received=0, lost=0, leg="l1", trunk="carrier")),
            (8000, OutsideLegEnded("l1", Side.OUTSIDE, EndCause.HANGUP)),
            (8000, quality(Side.CALLER, 3.3)),
            (8000, CallEnded(Side.OUTSIDE, EndCause.HANGUP)),
        )
    )
    caller, amy, outside = told.quality, told.legs[0].quality, told.outside[0].quality
    assert caller is not None
    assert amy is not None
    assert outside is not None
    assert (caller.mos, caller.worst, caller.loss, caller.remote_loss) == (3.3, 3.3, 0.1, 0.02)
    assert (caller.first_ms, caller.one_way) == (60, ("missing",))
    assert (amy.mos, amy.worst, amy.first_ms, amy.one_way) == (4.0, 3.1, 300, ("unheard",))
    assert (outside.worst, outside.first_ms, outside.loss) == (0.0, None, 0.0)
    assert told.plain()["legs"][0]["quality"]["remote_mos"] == 3.1
    assert told.plain()["quality"]["one_way"] == ["missing"]


def test_a_call_of_before_there_were_figures_has_none() -> None:
    told = Interaction.from_facts(
        facts((0, ARRIVED), (0, CallAnswered()), (1, CallEnded(Side.CALLER, EndCause.HANGUP)))
    )
    assert told.quality is None
    assert told.plain()["quality"] is None
