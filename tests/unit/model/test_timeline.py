"""The story of a call in words, as facts tell it: nothing left out, and no names where there may be none."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from callcenter.model.access import Actor, Role
from callcenter.model.facts import (
    BODIES,
    AgentLegEnded,
    Body,
    BranchTaken,
    CallArrived,
    CallbackRequested,
    CallCommanded,
    CallConnected,
    CallEnded,
    CallQueued,
    ConferenceJoined,
    DispositionCorrected,
    Fact,
    FieldsWritten,
    MediaMissing,
    NoteWritten,
    QueueLeft,
    RecordingStarted,
    StateRepaired,
    SupervisionStarted,
)
from callcenter.model.interaction import Interaction
from callcenter.model.states import EndCause, Side, SupervisionMode, VisitOutcome
from callcenter.model.timeline import (
    LEFT_OUT,
    OF_THE_HOUSE,
    Link,
    Sight,
    clock,
    filled_in,
    journey,
    lines,
    links,
    noted,
    span,
    timeline,
)
from tests.unit.model.test_interaction import ARRIVED, HANDLED, QUEUED, START, facts, offer

FLOWED_OUT = VisitOutcome.FLOWED_OUT


def test_every_fact_is_told_once_and_in_order_with_the_durations_of_the_record() -> None:
    told = facts(*HANDLED, (99_000, NoteWritten("tech", "x-1", "agent bob", 1, "bob")))
    entries, call = timeline(told), Interaction.from_facts(told)
    assert [entry.seq for entry in entries] == [fact.seq for fact in told]
    for name in ("talk_ms", "hold_ms", "wrap_up_ms"):
        assert sum(entry.data.get(name, 0) for entry in entries) == getattr(call, name) > 0
    words = [entry.words for entry in entries]
    assert "amy: no answer (20 s), after 20 s" in words
    assert "talk with bob over after 1:00, 6.0 s of it on hold: hangup by the caller" in words
    assert "bob is through after 10 s of wrap-up: solved" in words
    assert list(lines(entries))[-1] == "    1:39.000  note written by agent bob, revision 1"


def test_what_is_left_out_is_left_out_by_name() -> None:
    told = facts(*HANDLED, (99_000, StateRepaired("an offer", "bob")))
    assert StateRepaired in LEFT_OUT
    assert len(timeline(told)) == len(told) - 1
    assert set(LEFT_OUT) <= set(BODIES.values())
    assert set(BODIES.values()) >= OF_THE_HOUSE


def test_a_call_that_a_crash_cut_ends_at_the_last_sign_of_life_and_is_corrected_by_the_wall_clock() -> None:
    before = facts((0, ARRIVED), (10, QUEUED), (20, offer("o1", "bob")), (30, CallConnected("v1", "o1", "bob")))
    at = START + timedelta(hours=1)
    later = [
        Fact(9, at, "b2", 50, "cc1-x", AgentLegEnded("o1", "bob", Side.SYSTEM, EndCause.RESTART)),
        Fact(10, at, "b2", 51, "cc1-x", CallEnded(Side.SYSTEM, EndCause.RESTART, 0, "restarted", 6000)),
        Fact(11, at, "b2", 90, "cc1-x", DispositionCorrected("tech", "bob", "o1", "", "sold", "agent bob")),
    ]
    entries = timeline([*before, *later])
    assert [entry.ms for entry in entries[-3:]] == [5000, 5000, 3_600_000]
    assert entries[-1].words == "corrected by agent bob: bob's talk came to sold, not nothing"


def test_a_client_company_reads_of_nobody_who_works_for_the_house() -> None:
    boss = Actor("boss", Role.CLIENT, frozenset({"tech"}))
    told = facts(
        *HANDLED[:-2],
        (80_000, SupervisionStarted("s1", "eva", "bob", "tech", SupervisionMode.LISTEN, True)),
        (81_000, RecordingStarted("r1", "p", "tech", "agent bob", "o2", "bob")),
        *HANDLED[-2:],
        (99_000, NoteWritten("tech", "x-1", "agent bob", 1, "bob")),
        (99_500, DispositionCorrected("tech", "bob", "o2", "solved", "sold", "supervisor eva", "bob was wrong")),
    )
    sight = Sight.of(boss, Interaction.from_facts(told))
    shown = str([entry.plain() for entry in timeline(told, sight)])
    assert "the talk came to sold" in shown
    for name in ("bob", "amy", "eva"):
        assert name not in shown


def test_the_calls_that_a_call_names_belong_to_its_journey() -> None:
    told = facts(
        (0, replace(ARRIVED, callback="k1")),
        (10, replace(QUEUED, place_of="cc1-before/2")),
        (20, CallbackRequested("k1", "v1", "tech", "sales", "+14155550100", 0)),
        (30, ConferenceJoined("o1", "bob", "cc1-asked", "amy")),
        (40, replace(QUEUED, visit="v2", place_of="cc1-x/1")),
    )
    assert links(told) == (
        Link("callback", callback="k1"),
        Link("earlier", "cc1-before"),
        Link("consulted", "cc1-asked"),
    )


def test_a_journey_is_in_the_order_in_which_everything_happened() -> None:
    one = facts((0, ARRIVED), (10, QUEUED))
    other = [replace(fact, seq=fact.seq + 1, call_id="cc1-y") for fact in facts((0, ARRIVED), (5, QUEUED))]
    other = [replace(other[0], seq=5), replace(other[1], seq=6)]
    both = journey([timeline(other), timeline(one)])
    assert [entry.seq for entry in both] == [1, 2, 5, 6]
    assert [line.strip().split("  ")[1][:3] for line in lines(both)] == ["[1]", "[1]", "[2]", "[2]"]


def test_facts_of_no_call_tell_no_story() -> None:
    with pytest.raises(ValueError, match="CallArrived"):
        timeline(facts((0, QUEUED)))
    assert isinstance(QUEUED, CallQueued)
    assert isinstance(ARRIVED, CallArrived)


@pytest.mark.parametrize(
    ("ms", "said", "shown"),
    [
        (0, "0.0 s", "0:00.000"),
        (9_949, "9.9 s", "0:09.949"),
        (59_400, "59 s", "0:59.400"),
        (61_000, "1:01", "1:01.000"),
        (3_661_000, "1:01:01", "1:01:01.000"),
        (90_061_000, "25:01:01", "1d 01:01:01"),
    ],
)
def test_times_are_said_as_people_read_them(ms: int, said: str, shown: str) -> None:
    assert (span(ms), clock(ms)) == (said, shown)


def test_why_a_branch_was_taken_is_told_to_nobody_from_whom_is_kept_what_was_entered() -> None:
    told = facts((0, ARRIVED), (5, BranchTaken("check", 2, ("order is A-1881", "caller +420777123456"))))
    for sight in (Sight(digits=False), Sight(digits=False, supervision=False, house=False)):
        assert "1881" not in str(timeline(told, sight))
        assert "777" not in str(timeline(told, sight)[1])
    assert timeline(told)[1].words == "branch check: case 2 (order is A-1881; caller +420777123456)"


def words_of(*bodies: tuple[int, Body]) -> list[str]:
    return [entry.words for entry in timeline(facts((0, ARRIVED), *bodies))][1:]


def test_a_caller_whom_a_supervisor_sends_on_is_told_as_sent_on() -> None:
    moved, taken = QueueLeft("v1", "sales", FLOWED_OUT, "moved"), QueueLeft("v1", "sales", FLOWED_OUT, "taken")
    by = "supervisor eva over MQTT"
    assert words_of((10, QUEUED), (5_010, moved), (5_010, CallCommanded("move to billing", by, "done")))[1:] == [
        "sent on to another queue by a supervisor, after 5.0 s in sales",
        "supervisor eva over MQTT orders: move to billing",
    ]
    for_amy = replace(QUEUED, visit="v2", agent="amy", priority=100, place_of="cc1-x/1")
    assert words_of((10, QUEUED), (5_010, taken), (5_010, for_amy),
                    (6_010, QueueLeft("v2", "sales", FLOWED_OUT, "declined")))[1:] == [
        "offered by a supervisor to somebody of her choice, after 5.0 s in sales",
        "waits for amy alone, on the same place",
        "not taken by whom they waited for (declined), after 1.0 s",
    ]  # fmt: skip
    assert words_of((10, CallCommanded("hang_up", by, "no such call"))) == [f"{by} orders: hang up (no such call)"]


def test_who_comes_back_to_a_kept_place_is_told_as_that() -> None:
    (said,) = words_of((10, replace(QUEUED, place_of="cc1-before/2")))
    assert said.endswith(", on the place of an earlier call")


def test_what_was_filled_in_is_told_with_who_did_and_a_correction_with_what_stood_there() -> None:
    first = FieldsWritten("tech", "bob", "o1", ("order",), "agent bob")
    mended = FieldsWritten("tech", "bob", "o1", ("order",), "supervisor eva", ("reason",), True, "heard it again")
    assert words_of((10, first), (20, mended)) == [
        "filled in by agent bob, of bob's talk: order",
        "corrected by supervisor eva, of bob's talk: order, reason taken away (heard it again)",
    ]
    assert filled_in(first, {"order": ("A-1881", None)}).endswith("talk: order is A-1881")
    assert "order is A-1882, not A-1881; reason taken away, was late" in filled_in(
        mended, {"order": ("A-1882", "A-1881"), "reason": (None, "late")}
    )


def test_that_nothing_is_heard_of_somebody_is_said_once() -> None:
    detail = "nothing is heard from the caller: no sound came in 5 s at 127.0.0.1:18470; a firewall?"
    told = timeline(
        facts((0, ARRIVED), (5000, MediaMissing(Side.CALLER, detail)), (6000, MediaMissing(Side.CALLER, "")))
    )
    assert [entry.words for entry in told][1:] == [detail, "nothing is heard from the caller"]


def test_a_note_is_told_with_its_text_on_one_line() -> None:
    said = noted(NoteWritten("tech", "x-1", "agent bob", 2, "bob", corrects=True), "late again\nhe says " + "so " * 200)
    assert said.startswith("note corrected by agent bob, revision 2: late again he says so so")
    assert len(said) < 300
    assert said.endswith("…")
    assert noted(NoteWritten("tech", "x-1", "agent bob", 3), "") == "note taken away by agent bob, revision 3"
