"""Estimate: how long a waiting caller may still have to wait, as a range; nothing where it is not known well enough.

Whoever stands at place n is taken when the n-th of the talks ends that go on or follow. How long talks take is known
from the last ones of the queue, and of each that goes on, how long it lasts already: so the number of ends that are to
be expected by a time can be told for every time. Around that number the ends scatter, the more so the more the talks
themselves do; and a mean of few talks is not sure itself. Both give the range in which the wait lies with nine chances
of ten: of what is announced at least ``SHARE`` comes true.

What is not foreseen: callers with a higher priority who come later, and agents who go or come.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import exp, sqrt

from callcenter.model.facts import AgentStateChanged, CallConnected, Fact, OfferEnded, OfferMade, QueueLeft, reads
from callcenter.model.states import OfferResult, VisitOutcome

MINUTE = 60_000

BOUNDS = (0, 2, 5, 10, 15, 20, 30, 60)
"""The minutes at which an announced range may begin and end."""

RANGES: tuple[tuple[int, int], ...] = tuple(
    (low, high) for low in BOUNDS for high in BOUNDS if low < high <= max(4 * low, 10)
)
"""The ranges that may be announced: wider ones say nothing."""

SHARE = 0.8
"""At least so many of the announced ranges hold what the wait comes to be."""

# How far from the mean, in standard deviations, the ends of the range lie: 5 % of the waits are beyond each.
_SPREAD = 1.645
# Fewer talks say nothing of how long talks take; more say nothing of today. Of the patience of callers likewise.
FEWEST_TALKS = 10
MOST_TALKS = 50
MOST_VISITS = 50
# Of more agents the first ones stand for all.
MOST_SERVERS = 64
# Talks that were all alike by chance are not taken to go on so.
LEAST_SCATTER = 0.2
# With fewer of the known talks that lasted so long, how long this one still takes is taken from the mean.
_FEWEST_LONGER = 5


@dataclass(frozen=True, slots=True)
class Server:
    """An agent who may take the caller; ``left`` are the milliseconds until he is free, where they are known."""

    agent: str
    left: int | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a waiting caller has before them.

    ``position`` counts from 1; ``rivals`` are callers before them in other queues, whom some of the same agents may
    take. ``servers`` are some of the agents who serve the queue, ``agents`` is how many there are.
    """

    queue: str
    position: int
    rivals: int
    servers: tuple[Server, ...]
    agents: int


@dataclass(frozen=True, slots=True)
class Range:
    """From ``low`` to ``high`` minutes."""

    low: int
    high: int

    def no_longer_than(self, told: Range | None) -> bool:
        """Whether it may be told after what was told: it ends no later, and is not the later half of it."""
        return told is None or (self.high <= told.high and self.low + self.high <= told.low + told.high)


@dataclass(slots=True)
class _Recent:
    """The last talks of a queue, from the offer to the end of the wrap-up (ms), and how the last visits ended."""

    talks: deque[int]
    abandoned: deque[bool]


@dataclass(slots=True)
class _Engaged:
    queue: str
    agent: str
    since: int
    connected: bool = False


class Pace:
    """How fast callers are served, learnt from facts. Its memory is bounded by the queues and agents that there are."""

    def __init__(self) -> None:
        self._recent: dict[str, _Recent] = {}
        self._offers: dict[str, _Engaged] = {}
        self._engaged: dict[str, str] = {}

    @reads(AgentStateChanged, CallConnected, OfferEnded, OfferMade, QueueLeft)
    def take(self, fact: Fact) -> None:
        """Read one fact."""
        match fact.body:
            case OfferMade(offer=offer, queue=queue, agent=agent):
                self._offers[offer] = _Engaged(queue, agent, fact.ms)
                self._engaged[agent] = offer
            case OfferEnded(offer=offer, result=result) if result is not OfferResult.ACCEPTED:
                self._drop(offer)
            case CallConnected(offer=offer) if engaged := self._offers.get(offer):
                engaged.connected = True
            case AgentStateChanged(agent=agent, offer="") if agent in self._engaged:
                ended = self._drop(self._engaged[agent])
                if ended is not None and ended.connected:
                    self._of(ended.queue).talks.append(fact.ms - ended.since)
            case QueueLeft(queue=queue, outcome=VisitOutcome.ANSWERED | VisitOutcome.ABANDONED as outcome) if queue:
                self._of(queue).abandoned.append(outcome is VisitOutcome.ABANDONED)
            case _:
                pass

    def range(self, outlook: Outlook, now: int) -> Range | None:
        """How long the wait may still be, at ``now`` (ms); None when that is not known well enough to be told."""
        between = self.between(outlook, now)
        if between is None:
            return None
        low = max(bound for bound in BOUNDS if bound * MINUTE <= between[0])
        high = next((bound for bound in BOUNDS if bound * MINUTE >= between[1] and bound), None)
        return Range(low, high) if high is not None and (low, high) in RANGES else None

    def between(self, outlook: Outlook, now: int) -> tuple[float, float] | None:
        """The milliseconds between which the wait lies with nine chances of ten; None with too little to go by."""
        recent = self._recent.get(outlook.queue)
        if recent is None or len(recent.talks) < FEWEST_TALKS or not outlook.servers:
            return None
        ends = _Ends(recent.talks, [self._age(server, now) for server in outlook.servers], outlook.agents)
        # Some of those before hang up, as some have lately; some who wait for the same agents elsewhere come before.
        impatient = sum(recent.abandoned) / max(len(recent.abandoned), 1)
        few = 1 + (outlook.position - 1) * (1 - impatient)
        many = outlook.position + outlook.rivals
        return ends.when(_quantile(few, ends.doubt(few), -_SPREAD)), ends.when(
            _quantile(many, ends.doubt(many), _SPREAD)
        )

    def _age(self, server: Server, now: int) -> tuple[int | None, int]:
        """How long he will be busy, where that is known, and how long he is busy already."""
        engaged = self._offers.get(self._engaged.get(server.agent, ""))
        return server.left, 0 if engaged is None else max(0, now - engaged.since)

    def _of(self, queue: str) -> _Recent:
        recent = self._recent.get(queue)
        if recent is None:
            recent = self._recent[queue] = _Recent(deque(maxlen=MOST_TALKS), deque(maxlen=MOST_VISITS))
        return recent

    def _drop(self, offer: str) -> _Engaged | None:
        engaged = self._offers.pop(offer, None)
        if engaged is not None and self._engaged.get(engaged.agent) == offer:
            del self._engaged[engaged.agent]
        return engaged


class _Ends:
    """How many ends of talks are to be expected by a time."""

    def __init__(self, talks: Sequence[int], busy: Sequence[tuple[int | None, int]], agents: int) -> None:
        self._talks = sorted(talks)
        self._sums = [0, *accumulate(self._talks)]
        self._busy = busy
        # Each of the agents that are looked at stands for so many.
        self._times = agents / len(busy)
        self.mean = max(1.0, self._sums[-1] / len(talks))
        self._measured = sum((talk - self.mean) ** 2 for talk in talks) / (len(talks) - 1) / self.mean**2
        self._scatter = max(LEAST_SCATTER, self._measured)
        self._unsure = self._scatter / len(talks)

    def doubt(self, number: float) -> float:
        """The variance, relative to the mean, of how many ends there are when so many are to be expected.

        The present talk of each agent is over or not; those that follow scatter as talks do. Where they do as by chance
        alone (exponentially), so do the ends: the variance is the number.
        """
        time, variance = self.when(number), 0.0
        for left, age in self._busy:
            first, ends = self._over(left, age, time), self._of_one(left, age, time)
            variance += first * (1 - first) + self._scatter * max(0.0, ends - first)
            if left is None:
                variance += self._measured * first**2  # who is free earlier ends more of those that follow
        return self._times * variance / number**2 + self._unsure

    def when(self, number: float) -> float:
        """By when (ms from now) so many ends are to be expected."""
        low, high = 0.0, self.mean
        while self._by(high) < number:
            low, high = high, 2 * high
        while high - low > 1000.0:
            middle = (low + high) / 2
            low, high = (low, middle) if self._by(middle) >= number else (middle, high)
        return high

    def _by(self, time: float) -> float:
        return self._times * sum(self._of_one(left, age, time) for left, age in self._busy)

    def _over(self, left: int | None, age: int, time: float) -> float:
        """With which probability one agent's present talk is over by a time."""
        if left is not None:
            return float(time >= left)
        known = bisect_right(self._talks, age)
        longer = len(self._talks) - known
        if longer < _FEWEST_LONGER:
            return 1 - exp(-time / self.mean)
        return (bisect_right(self._talks, age + time) - known) / longer

    def _of_one(self, left: int | None, age: int, time: float) -> float:
        """The ends of one agent's talks by a time: of the present one, and of those that follow, one each mean."""
        if left is not None:
            return 1 + (time - left) / self.mean if time >= left else 0.0
        known = bisect_right(self._talks, age)
        longer = len(self._talks) - known
        if longer < _FEWEST_LONGER:
            return time / self.mean  # as if talks had no memory of how long they last
        over = bisect_right(self._talks, age + time)
        free = (over - known) * (age + time) - (self._sums[over] - self._sums[known])
        return ((over - known) + free / self.mean) / longer


def _quantile(mean: float, doubt: float, spread: float) -> float:
    """What a sum with this mean and relative variance stays below, as a gamma distribution (Wilson and Hilferty)."""
    return mean * max(0.0, 1 - doubt / 9 + spread * sqrt(doubt) / 3) ** 3
