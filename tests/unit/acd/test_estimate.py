"""The estimate of a wait: honest on simulated days, silent where it cannot be, and never longer than told before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from heapq import heappop, heappush
from itertools import count
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.acd.core import Acd
from callcenter.acd.estimate import (
    BOUNDS,
    FEWEST_TALKS,
    MINUTE,
    MOST_SERVERS,
    MOST_TALKS,
    RANGES,
    SHARE,
    Outlook,
    Pace,
    Range,
    Server,
)
from callcenter.acd.events import (
    AcdEvent,
    Connected,
    DeviceChanged,
    Join,
    Leave,
    MakeOffer,
    OfferAccepted,
    TalkEnded,
    Ticket,
)
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings
from callcenter.model.facts import AgentStateChanged, Body, CallConnected, Fact, OfferMade, QueueLeft
from callcenter.model.states import Device, EndCause, Intent, Side, VisitOutcome, Work
from tests.unit.acd.floor import numbered, plan

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Talk = Callable[[Random], float]


@dataclass
class Announced:
    """What a caller was told, or would have been: at (s) and the range."""

    visit: str
    at: float
    range: Range


class Day:
    """A floor on which callers come by chance, wait in order, and talk as long as it happens; in virtual time."""

    def __init__(
        self,
        seed: int,
        floor: Plan,
        *,
        every: dict[str, float],
        talk: Talk,
        patience: float | None = None,
        announce: float = 30.0,
    ) -> None:
        self.random = Random(seed)
        self.acd, self.pace = Acd(floor), Pace()
        self.now, self._numbers, self._seq = 0.0, count(), count(1)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._every, self._talk, self._patience, self._announce = every, talk, patience, announce
        self.joined: dict[str, float] = {}
        self.served: dict[str, float] = {}
        self.announced: list[Announced] = []
        self.asked = 0
        for agent in floor.agents:
            self._tell(DeviceChanged(agent, Device.REGISTERED, ""))
        for queue, mean in every.items():
            self._at(self.random.expovariate(1 / mean), partial(self._arrive, queue))

    def run(self, hours: float) -> Day:
        while self._agenda[0][0] < hours * 3600:
            self.now, _, what = heappop(self._agenda)
            what()
        return self

    @property
    def share(self) -> float:
        """Which part of what was told came true, of those who were served in the end."""
        told = [each for each in self.announced if each.visit in self.served]
        waits = [(self.served[each.visit] - each.at, each.range) for each in told]
        return sum(told.low * 60 <= wait <= told.high * 60 for wait, told in waits) / max(1, len(waits))

    def _at(self, when: float, what: Callable[[], None]) -> None:
        heappush(self._agenda, (when, next(self._numbers), what))

    def _arrive(self, queue: str) -> None:
        visit = f"{queue}-{next(self._numbers)}"
        self.joined[visit] = self.now
        self._at(self.now + self.random.expovariate(1 / self._every[queue]), lambda: self._arrive(queue))
        self._tell(Join(Ticket(visit, f"call-{visit}", queue, "acme")))
        self._at(self.now + self._announce / 2, lambda: self._tell_wait(visit))
        if self._patience is not None:
            gone = self.now + self.random.expovariate(1 / self._patience)
            self._at(gone, lambda: self._tell(Leave(visit, VisitOutcome.ABANDONED)))

    def _tell_wait(self, visit: str) -> None:
        outlook = self.acd.outlook(visit)
        if outlook is None or visit in self.served:
            return
        self.asked += 1
        found = self.pace.range(outlook, round(self.now * 1000))
        if found is not None:
            self.announced.append(Announced(visit, self.now, found))
        self._at(self.now + self._announce, lambda: self._tell_wait(visit))

    def _tell(self, event: AcdEvent) -> None:
        decision = self.acd.handle(event, self.now)
        for draft in decision.facts:
            self.pace.take(numbered(next(self._seq), draft, self.now))
        for effect in decision.effects:
            if isinstance(effect, MakeOffer):
                self._at(self.now, partial(self._serve, effect.offer.id, effect.offer.ticket_id))

    def _serve(self, offer: str, visit: str) -> None:
        self.served[visit] = self.now
        self._tell(OfferAccepted(offer))
        self._tell(Connected(offer))
        ends = self.now + self._talk(self.random)
        self._at(ends, lambda: self._tell(TalkEnded(offer, Side.CALLER, EndCause.HANGUP)))


def exponential(mean: float) -> Talk:
    return lambda random: random.expovariate(1 / mean)


def regular(mean: float) -> Talk:
    return lambda random: random.uniform(0.7, 1.3) * mean


def mixed(mean: float) -> Talk:
    """Most calls short, some very long, as calls are."""
    return lambda random: random.lognormvariate(0, 1) * mean / 1.65


def floor_of(agents: int, *queues: QueueSettings) -> Plan:
    named = queues or (QueueSettings("sales", "acme"),)
    return plan(*named, *(AgentSettings(f"a{n}", "", {}, frozenset({"acme"})) for n in range(agents)))


TALKS = [exponential, regular, mixed]


@pytest.mark.parametrize(("agents", "hours"), [(1, 10.0), (3, 4.0), (10, 1.5)])
@pytest.mark.parametrize("talk", TALKS)
def test_what_is_told_comes_true_as_often_as_is_said(agents: int, hours: float, talk: Callable[[float], Talk]) -> None:
    """A day at the limit of what a floor can do: of what callers were told four of five and more were right."""
    comes_true(agents, talk, hours, days=1)


@pytest.mark.long
@pytest.mark.parametrize(("agents", "days", "hours"), [(1, 6, 10.0), (3, 3, 5.0), (10, 2, 3.0), (25, 1, 2.0)])
@pytest.mark.parametrize("talk", TALKS)
def test_what_is_told_comes_true_on_many_days(
    agents: int, days: int, hours: float, talk: Callable[[float], Talk]
) -> None:
    comes_true(agents, talk, hours, days=days)


def comes_true(agents: int, talk: Callable[[float], Talk], hours: float, *, days: int) -> None:
    """The same floor on so many days: as much was right as is said, and enough was told for that to mean something."""
    mean, right, told, asked = 240.0, 0.0, 0, 0
    for seed in range(days):
        every = {"sales": mean / agents / 0.95}
        day = Day(seed, floor_of(agents), every=every, talk=talk(mean), announce=60.0).run(hours)
        heard = len([each for each in day.announced if each.visit in day.served])
        right, told, asked = right + day.share * heard, told + heard, asked + day.asked
    assert told >= 50, f"{told} of {asked}"
    assert right >= SHARE * told, f"{right / told:.3f} of {told}"
    # Where talks may take any time and agents are few, little can be said, and little is.
    assert talk is not regular or told >= 0.5 * asked, f"{told} of {asked}"


@pytest.mark.parametrize("seed", range(3))
def test_callers_who_give_up_make_no_liars_of_us(seed: int) -> None:
    """A third of those in front hangs up: who stays is served earlier, and was told so."""
    day = Day(seed, floor_of(5), every={"sales": 35.0}, talk=exponential(240.0), patience=400.0, announce=60.0).run(5)
    assert sum(each.visit not in day.served for each in day.announced) > 50
    assert day.share >= SHARE, day.share


@pytest.mark.parametrize("seed", range(3))
def test_agents_who_serve_two_queues_are_not_counted_twice(seed: int) -> None:
    day = Day(
        seed,
        floor_of(6, QueueSettings("sales", "acme"), QueueSettings("help", "acme")),
        every={"sales": 85.0, "help": 85.0},
        talk=exponential(240.0),
        announce=60.0,
    ).run(4)
    assert {each.visit.partition("-")[0] for each in day.announced} == {"sales", "help"}
    assert day.share >= SHARE, day.share


# What it is made of


def pace(talks: list[int], queue: str = "sales") -> Pace:
    """A pace that has seen talks of these lengths (ms), each with another agent."""
    found = Pace()
    for number, talk in enumerate(talks):
        offer, agent = f"v{number}-1", f"old-{number}"
        began = 1_000_000 * (number + 1)
        told: list[tuple[int, Body]] = [
            (began, OfferMade(f"v{number}", offer, number, queue, agent, 20_000, 25_000)),
            (began, CallConnected(f"v{number}", offer, agent)),
            (began + talk, state(agent)),
        ]
        for ms, body in told:
            found.take(Fact(1, NOON, "boot", ms, None, body))
    return found


def state(agent: str) -> AgentStateChanged:
    return AgentStateChanged(agent, Intent.READY, "", Work.IDLE, Device.REGISTERED, "")


def outlook(position: int, agents: int, *, rivals: int = 0, left: int | None = None) -> Outlook:
    servers = tuple(Server(f"a{number}", left) for number in range(min(agents, MOST_SERVERS)))
    return Outlook("sales", position, rivals, servers, agents)


def spread(mean: int) -> list[int]:
    return [mean * (50 + number * 4) // 100 for number in range(26)]


def test_with_few_talks_nothing_is_said() -> None:
    known = spread(240_000)
    assert pace(known[: FEWEST_TALKS - 1]).range(outlook(3, 10), 0) is None
    assert pace(known[:FEWEST_TALKS]).range(outlook(3, 10), 0) is not None
    assert Pace().range(outlook(3, 10), 0) is None
    assert pace(known, queue="help").range(outlook(3, 10), 0) is None


def test_with_nobody_at_work_nothing_is_said() -> None:
    assert pace(spread(240_000)).range(outlook(3, 0), 0) is None


def test_what_is_too_wide_or_too_far_is_not_said() -> None:
    wild = [1_000] * 20 + [3_600_000] * 6
    assert pace(wild).range(outlook(2, 1), 0) is None
    assert pace(spread(240_000)).range(outlook(100, 1), 0) is None


def test_of_an_agent_in_the_wrap_up_it_is_known_when_he_is_free() -> None:
    assert pace(spread(240_000)).range(outlook(1, 1, left=20_000), 0) == Range(0, 2)


def test_a_talk_that_has_lasted_long_is_soon_over() -> None:
    known = pace([200_000 + 1_000 * number for number in range(40)])
    known.take(Fact(1, NOON, "boot", 0, None, OfferMade("v", "v-1", 99, "sales", "a0", 20_000, 25_000)))
    early, late = known.between(outlook(1, 1), 10_000), known.between(outlook(1, 1), 190_000)
    assert early is not None
    assert late is not None
    assert late[1] < early[0]
    assert known.range(outlook(1, 1), 190_000) == Range(0, 5)


@given(
    st.lists(st.integers(1_000, 1_800_000), min_size=FEWEST_TALKS, max_size=MOST_TALKS),
    st.integers(1, 60),
    st.integers(1, 80),
    st.integers(0, 20),
)
@settings(max_examples=50)
def test_what_is_told_holds_what_is_known_and_is_one_of_the_ranges_that_have_words(
    talks: list[int], position: int, agents: int, rivals: int
) -> None:
    known, here = pace(talks), outlook(position, agents, rivals=rivals)
    between, found = known.between(here, 0), known.range(here, 0)
    assert between is not None
    assert 0 <= between[0] <= between[1]
    if found is not None:
        assert (found.low, found.high) in RANGES
        assert found.low * MINUTE <= between[0]
        assert between[1] <= found.high * MINUTE


def test_further_back_and_with_fewer_agents_it_takes_longer() -> None:
    known = pace(spread(240_000))
    waits = [known.between(outlook(position, 5), 0) for position in (1, 3, 9, 27)]
    waits += [known.between(outlook(27, agents), 0) for agents in (4, 2, 1)]
    waits += [known.between(outlook(27, 1, rivals=rivals), 0) for rivals in (1, 20)]
    ends = [wait[1] for wait in waits if wait is not None]
    assert len(ends) == 9
    assert ends == sorted(ends)


@given(st.sampled_from(RANGES), st.sampled_from(RANGES))
def test_what_is_told_next_is_never_longer(one: tuple[int, int], other: tuple[int, int]) -> None:
    before, now = Range(*one), Range(*other)
    assert now.no_longer_than(None)
    if now.no_longer_than(before):
        assert now.high <= before.high
        assert (now.low + now.high) / 2 <= (before.low + before.high) / 2
    assert before.no_longer_than(before)
    assert now == before or not (now.no_longer_than(before) and before.no_longer_than(now))
    assert set(one) <= set(BOUNDS)


def test_it_remembers_no_more_than_the_last_talks_of_each_queue() -> None:
    old = pace([3_000_000] * 200 + [60_000 + number for number in range(MOST_TALKS)])
    new = pace([60_000 + number for number in range(MOST_TALKS)])
    assert old.between(outlook(5, 2), 0) == new.between(outlook(5, 2), 0)


def test_an_offer_that_nobody_took_is_no_talk() -> None:
    known = pace(spread(240_000)[: FEWEST_TALKS - 1])
    made = OfferMade("v", "v-1", 99, "sales", "a0", 20_000, 25_000)
    told: tuple[Body, ...] = (made, state("a0"), QueueLeft("v", "sales", VisitOutcome.ABANDONED))
    for body in told:
        known.take(Fact(1, NOON, "boot", 1_000, None, body))
    assert known.range(outlook(3, 10), 0) is None
