"""Random histories of a small floor: every figure adds up at every moment; a fold from anywhere is the same fold."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.calls.books import closing_facts
from callcenter.ledger import days
from callcenter.ledger.figures import Figures, total
from callcenter.ledger.intervals import day_of
from callcenter.ledger.ledger import Cells, Ledger, fold
from callcenter.model.facts import Fact, SwitchStarted
from tests.unit.acd.floor import Floor
from tests.unit.acd.test_history import one_event, pass_time, plans, through_json

# Moments around which clocks change, days end, and nothing happens.
MOMENTS = (
    datetime(2026, 3, 8, 6, 59, 30, tzinfo=UTC),  # New York leaps
    datetime(2026, 11, 1, 5, 59, 30, tzinfo=UTC),  # and gives the hour back
    datetime(2026, 4, 4, 14, 59, 30, tzinfo=UTC),  # Lord Howe, by half an hour
    datetime(2026, 3, 2, 23, 59, 0, tzinfo=UTC),
    datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
)
ZONES = tuple(map(ZoneInfo, ("America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Asia/Kolkata", "UTC")))


# Each example is a day of a floor.
SPARING = settings(max_examples=min(60, settings().max_examples))


def dated(facts: Sequence[Fact], begins: datetime, boot: str = "boot", seq: int = 0) -> list[Fact]:
    """The facts of a floor, from an instant on; a decision is told some milliseconds after it was made."""
    return [
        replace(
            fact,
            seq=seq + number,
            boot=boot,
            at=begins + timedelta(milliseconds=fact.ms - 1_000_000 + number % 7, microseconds=number),
        )
        for number, fact in enumerate(facts, start=1)
    ]


def history(data: st.DataObject, *, most: int = 40) -> list[Fact]:
    """What happens on some floor."""
    floor = Floor(data.draw(plans()))
    floor.join("first", "nowhere")
    for _ in range(data.draw(st.integers(5, most))):
        one_event(floor, data)
        if data.draw(st.integers(0, 9)) == 0:
            floor.sleep(600)
    if data.draw(st.booleans()):
        pass_time(floor)
    return dated(floor.facts, data.draw(st.sampled_from(MOMENTS)))


def cut_off(facts: Sequence[Fact]) -> list[Fact]:
    """A crash, and what the next boot tells of the calls that it cut."""
    last = facts[-1]
    calls: dict[str, list[Fact]] = {}
    for fact in facts:
        if fact.call_id is not None:
            calls.setdefault(fact.call_id, []).append(fact)
    drafts = [draft for told in calls.values() for draft in closing_facts(told, last.ms)]
    bodies = [(draft.body, draft.call_id) for draft in drafts]
    told = [*bodies, (SwitchStarted("cc1", "0", "digest"), None)]
    return [
        Fact(last.seq + number, last.at + timedelta(seconds=3), f"{last.boot}+", 20 + number, call_id, body)
        for number, (body, call_id) in enumerate(told, start=1)
    ]


def everything(cells: Cells) -> Figures:
    return total(figures for _, figures in cells.every)


@SPARING
@given(st.data())
def test_every_figure_adds_up_at_every_moment(data: st.DataObject) -> None:
    ledger = Ledger()
    for fact, then in itertools.pairwise((*history(data), None)):
        assert fact is not None
        ledger.take(fact)
        later = fact.ms if then is None else (fact.ms + max(fact.ms, then.ms)) // 2
        assert not ledger.figures(later).gaps(), fact


@SPARING
@given(st.data())
def test_a_fold_that_goes_on_from_what_was_kept_is_the_fold_from_the_start(data: st.DataObject) -> None:
    """Kept as JSON at some moment, and the facts as the database gives them: bit for bit what the live one has."""
    facts = history(data)
    live = Ledger()
    kept = json.dumps(live.plain())
    at = data.draw(st.integers(0, len(facts)))
    for number, fact in enumerate(facts, start=1):
        live.take(fact)
        if data.draw(st.integers(0, 5)) == 0:
            live.figures(fact.ms)  # who looks changes nothing
        if number == at:
            kept = json.dumps(live.plain())
    again = fold(map(stored, facts[at:]), Ledger.of(json.loads(kept)))
    whole = fold(map(stored, facts))
    for each in (live, again, whole):
        each.settle(facts[-1].ms)
    assert live.plain() == again.plain() == whole.plain()


@SPARING
@given(st.data())
def test_a_crash_in_the_middle_leaves_nothing_open_and_nothing_out(data: st.DataObject) -> None:
    """Whoever waited is lost, whoever talked was answered, and the identity holds in every cell of every boot."""
    before = history(data)
    before = before[: data.draw(st.integers(1, len(before)))]
    crashed = [*before, *cut_off(before)]
    ledger = fold(crashed)
    cells = ledger.figures(crashed[-1].ms)
    assert not cells.gaps()
    assert not ledger.oldest_open
    figures = everything(cells)
    assert not figures.waiting
    assert not figures.pending
    still = everything(fold(before).figures(before[-1].ms))
    assert figures.visits.lost.get("restart", 0) == len(still.waiting)
    assert figures.visits.answered == still.visits.answered
    assert figures.time == still.time


@SPARING
@given(st.data(), st.sampled_from(ZONES))
def test_days_that_are_taken_out_and_what_stays_are_the_whole(data: st.DataObject, zone: ZoneInfo) -> None:
    """Days are published while the floor goes on, over a change of the clocks too; none holds anything unfinished."""
    facts = history(data)
    live, published = Ledger(), [Figures()]
    for fact in facts:
        live.take(fact)
        if data.draw(st.integers(0, 3)) == 0:
            for client, day in days.over(live, lambda _: zone, live.last_quarter):
                for (quarter, _), parts in days.forget(live, client, day, zone).items():
                    assert day_of(quarter, zone) == day
                    for kind, by_agent in parts.items():
                        kept = (json.loads(json.dumps(part.plain())) for part in by_agent.values())
                        figures = [days.figures_of(kind, values) for values in kept]
                        assert not any(each.gaps for each in figures)
                        published += figures
    last = facts[-1].ms
    published.append(everything(live.figures(last)))
    assert total(published) == everything(fold(facts).figures(last))


def stored(fact: Fact) -> Fact:
    """The fact as it comes back from the database."""
    told = through_json(fact)
    return replace(told, at=datetime.fromisoformat(fact.at.isoformat(timespec="milliseconds")))
