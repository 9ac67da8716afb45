"""The agent's table walked whole, and what makes an agent available."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import callcenter
from callcenter.acd.agents import MOVES, Agent, Move, diagram
from callcenter.model.facts import AgentStateChanged
from callcenter.model.states import Device, Intent, OfferResult, Work

# Written out once more, by hand, so that a changed table is noticed: for each work, what moves it and where to.
TABLE = {
    Work.IDLE: {Move.RESERVE: Work.RESERVED, Move.DIAL: Work.OUTBOUND},
    Work.RESERVED: {Move.RING: Work.RINGING, Move.PICK_UP: Work.TALKING, Move.RELEASE: Work.IDLE},
    Work.RINGING: {Move.PICK_UP: Work.TALKING, Move.RELEASE: Work.IDLE},
    Work.TALKING: {
        Move.HOLD: Work.HELD,
        Move.WRAP_UP: Work.WRAP_UP,
        Move.RELEASE: Work.IDLE,
        Move.DIAL: Work.CONSULTING,
    },
    Work.HELD: {
        Move.RESUME: Work.TALKING,
        Move.WRAP_UP: Work.WRAP_UP,
        Move.RELEASE: Work.IDLE,
        Move.DIAL: Work.CONSULTING,
    },
    Work.WRAP_UP: {Move.FINISH: Work.IDLE, Move.DIAL: Work.OUTBOUND},
    Work.CONSULTING: {
        Move.HOLD: Work.HELD,
        Move.RESUME: Work.TALKING,
        Move.WRAP_UP: Work.WRAP_UP,
        Move.RELEASE: Work.OUTBOUND,
    },
    Work.OUTBOUND: {Move.HANG_UP: Work.IDLE},
}


@pytest.mark.parametrize(("work", "move"), list(itertools.product(Work, Move)))
def test_every_pair_of_work_and_move_goes_where_it_must_or_nowhere(work: Work, move: Move) -> None:
    assert MOVES.get((work, move)) == TABLE[work].get(move)


def test_from_every_work_that_can_be_reached_a_way_leads_back_to_idle() -> None:
    reached = {Work.IDLE} | set(MOVES.values())
    for work in reached:
        homeward, seen = {work}, set[Work]()
        while homeward:
            here = homeward.pop()
            seen.add(here)
            homeward |= {then for (at, _), then in MOVES.items() if at is here} - seen
        assert Work.IDLE in seen, work


def test_the_map_shows_the_diagram_as_it_is() -> None:
    assert diagram().strip() in (Path(callcenter.__file__).parent / "README.md").read_text()


def test_the_diagram_shows_every_move_once() -> None:
    lines = diagram().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> idle"]
    assert sorted(lines[2:]) == sorted(f"    {work} --> {then}: {move}" for (work, move), then in MOVES.items())


@pytest.mark.parametrize(
    ("intent", "work", "device", "until"), list(itertools.product(Intent, Work, Device, (None, 5000)))
)
def test_available_is_what_intent_work_and_device_say_together(
    intent: Intent, work: Work, device: Device, until: int | None
) -> None:
    agent = Agent("amy", intent=intent, work=work, device=device, until=until)
    able = intent is Intent.READY and work is Work.IDLE and device is Device.REGISTERED and until is None
    assert agent.available is able
    assert bool(agent.hindrances()) is not able, "whoever is not available has a reason, and only he"


def test_hindrances_are_words_that_a_supervisor_understands() -> None:
    agent = Agent("amy", intent=Intent.NOT_READY, reason="lunch", work=Work.TALKING, device=Device.UNREACHABLE)
    assert agent.hindrances() == ("not_ready: lunch", "talking", "phone unreachable")
    assert str(agent) == "<Agent amy not_ready(lunch) talking unreachable>"


def test_an_agent_takes_over_the_very_state_that_he_tells() -> None:
    amy = Agent("amy", intent=Intent.READY, reason="", forced=False, next=Intent.NOT_READY, next_reason="lunch")
    amy.work, amy.device, amy.offer, amy.until, amy.extension = Work.WRAP_UP, Device.REGISTERED, "v-1", 9000, 5000
    amy.own_calls = ("c1", "c2")
    twin = Agent("amy", device=Device.REGISTERED)
    twin.take(amy.state("because", 4000), 4000)
    twin.since = twin.idle_since = 0
    assert twin == amy


def test_an_end_that_is_due_already_is_not_told_as_no_end() -> None:
    amy = Agent("amy", work=Work.WRAP_UP, until=4000)
    assert amy.state("phone lost", 4000).remaining_ms == 1
    assert amy.state("phone lost", 4500).remaining_ms == 1


def told(intent: Intent, device: Device = Device.REGISTERED, work: Work = Work.IDLE) -> AgentStateChanged:
    return AgentStateChanged("amy", intent, "", work, device, "")


def test_time_idle_counts_from_getting_ready_the_phones_return_and_the_end_of_the_wrap_up() -> None:
    amy = Agent("amy")
    amy.take(told(Intent.READY, Device.UNREACHABLE), 1000)
    assert amy.idle_since == 1000
    amy.take(told(Intent.READY), 2000)
    assert amy.idle_since == 2000
    amy.take(told(Intent.READY, work=Work.RESERVED), 3000)
    amy.take(told(Intent.READY), 4000)
    assert amy.idle_since == 2000, "an offer alone takes nobody's place among the idle"
    amy.take(told(Intent.READY, work=Work.WRAP_UP), 5000)
    amy.take(told(Intent.READY), 6000)
    assert amy.idle_since == 6000


def test_only_offers_that_failed_by_the_agent_are_counted() -> None:
    amy = Agent("amy", idle_since=7)
    for result in (OfferResult.ACCEPTED, OfferResult.CALLER_GONE, OfferResult.LOST_RACE):
        amy.missed(result, 1000)
    assert (amy.misses, amy.idle_since) == ({}, 7)
    amy.missed(OfferResult.BUSY, 2000)
    amy.missed(OfferResult.BUSY, 3000)
    amy.missed(OfferResult.DECLINED, 4000)
    assert (amy.misses, amy.idle_since) == ({OfferResult.BUSY: 2, OfferResult.DECLINED: 1}, 4000)
