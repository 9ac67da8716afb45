"""What the floor sees of its queues: counts folded from facts, and told when they change."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo

from callcenter.acd.roster import effective
from callcenter.acd.rosters import Roster
from callcenter.acd.settings import Plan, QueueSettings
from callcenter.model.facts import (
    AgentLegEnded,
    AgentSkillsChanged,
    AgentStateChanged,
    AgentTookOver,
    CallConnected,
    CallQueued,
    Fact,
    QueueLeft,
)
from callcenter.model.states import Device, Intent, VisitOutcome, Work
from callcenter.runtime.clock import Clock

# The threshold of the service level: it stands in the name of the published figure.
ANSWERED_WITHIN_MS = 20_000
# A queue is told at most so often (seconds): a page that shows it counts the longest wait by itself.
TOLD_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """A queue at a moment.

    ``callbacks``: those of the ``waiting`` who are called back at their turn, and hold no phone.
    ``longest_since``: since when (UTC) the caller who waits longest has a place in line; None when nobody waits.
    ``ready``: agents who may serve the queue and could be offered a caller now; ``signed_in``: those of them who are
    not signed out. ``talking``: agents in a talk with a caller of this queue, holds included. ``service_level``: see
    :class:`Day`; None when nothing was counted yet.
    """

    waiting: int = 0
    callbacks: int = 0
    longest_since: datetime | None = None
    ready: int = 0
    signed_in: int = 0
    talking: int = 0
    service_level: float | None = None


@dataclass(slots=True)
class Day:
    """What the visits that began on one day came to, for the service level.

    Answered within 20 s, of all that were offered but for short abandons, callers refused because it is closed, and
    those who still wait and have not waited 20 s yet (``young``).
    """

    date: date
    offered: int = 0
    in_time: int = 0
    left_out: int = 0
    young: int = 0

    @property
    def service_level(self) -> float | None:
        """The share, between 0 and 1."""
        counted = self.offered - self.left_out - self.young
        return round(self.in_time / counted, 4) if counted > 0 else None


@dataclass(slots=True)
class _Visit:
    """``since``: the place in line, by the wall's clock at the moment of joining; a clock set later moves nobody."""

    queue: str
    joined_ms: int
    first_joined_ms: int
    since: datetime
    day: Day
    young: bool = True
    callback: bool = False


@dataclass(slots=True)
class _Queue:
    """``line``: (first joined, visit), the longest wait first."""

    line: list[tuple[int, str]] = field(default_factory=list)
    callbacks: int = 0
    talking: int = 0
    day: Day | None = None


class Calendar:
    """The present day in one time zone, and when it ends."""

    def __init__(self, zone: tzinfo, now: datetime) -> None:
        self.zone = zone
        self.today = now.astimezone(zone).date()
        self.ends = datetime.combine(self.today + timedelta(days=1), time(), zone).astimezone(now.tzinfo)

    def at(self, now: datetime) -> Calendar:
        """The calendar that holds now: this one until its day ends."""
        return self if now < self.ends else Calendar(self.zone, now)


class QueueCounts:
    """The fold. Agents are bits of whole numbers, so that a count over a thousand of them is one operation.

    It counts from the moment it was made: visits of an earlier boot are not its own. ``zone_of`` tells the time zone
    of a client, whose days the service level goes by.
    """

    def __init__(self, plan: Plan, zone_of: Callable[[str], tzinfo]) -> None:
        self._changed: set[str] = set()
        self._all_changed = False
        self._zone_of = zone_of
        self._calendars: dict[str, Calendar] = {}
        self._visits: dict[str, _Visit] = {}
        self._young: deque[tuple[int, str]] = deque()
        self._talks: dict[str, str] = {}
        self._queues: dict[str, _Queue] = {}
        self._states: dict[str, tuple[bool, bool]] = {}
        self._changes: dict[str, AgentSkillsChanged] = {}
        self.reconfigure(plan)

    def reconfigure(self, plan: Plan) -> None:
        """Another plan: who may serve which queue is worked out anew, and every queue counts as changed."""
        self.plan = plan
        roster = Roster(effective(agent, self._changes.get(agent.id)) for agent in plan.agents.values())
        self._bits = {agent: 1 << number for agent, number in roster.number.items()}
        # Also of those who are gone: whoever is back before the talk is over is what they were.
        states = [(self._bits[agent], state) for agent, state in self._states.items() if agent in self._bits]
        self._ready = sum(bit for bit, (ready, _) in states if ready)
        self._signed_in = sum(bit for bit, (_, signed_in) in states if signed_in)
        self._servers: dict[str, int] = {
            queue.id: roster.able(queue.client, queue.id, queue.requirements) for queue in plan.queues.values()
        }
        self._calendars.clear()
        self._all_changed = True

    @property
    def changed(self) -> bool:
        """Whether some queue changed since :meth:`news` was asked for."""
        return self._all_changed or bool(self._changed)

    def news(self) -> list[tuple[QueueSettings, QueueStatus]]:
        """The queues that may have changed since this was asked for the last time, in the order of the plan."""
        queues = self.plan.queues.values()
        found = [(each, self.status(each.id)) for each in queues if self._all_changed or each.id in self._changed]
        self._all_changed = False
        self._changed.clear()
        return found

    def take(self, fact: Fact) -> None:
        """Read one fact."""
        match fact.body:
            case AgentStateChanged() as body:
                self._take_agent(body)
            case AgentSkillsChanged() as body:
                self._changes[body.agent] = body
                self.reconfigure(self.plan)
            case CallQueued() as body:
                self._join(body, fact)
            case CallConnected(visit=visit_id, offer=offer) if visit := self._visits.get(visit_id):
                self._talks[offer] = visit.queue
                self._queue(visit.queue).talking += 1
            case AgentTookOver(offer=offer, queue=name) if name:
                self._talks[offer] = name
                self._queue(name).talking += 1
            case AgentLegEnded(offer=offer) if queue := self._talks.pop(offer, None):
                self._queue(queue).talking -= 1
            case QueueLeft(visit=visit_id, outcome=outcome, reason=reason):
                if visit := self._visits.pop(visit_id, None):
                    self._leave(visit_id, visit, outcome, reason, fact.ms)
            case _:
                pass

    @property
    def next_aging(self) -> int | None:
        """When (ms) the next caller will have waited so long that the service level counts them; None: nobody."""
        while self._young and self._young[0][1] not in self._visits:
            self._young.popleft()
        return self._young[0][0] if self._young else None

    @property
    def next_midnight(self) -> datetime | None:
        """When the next day ends that something was counted on; None when nothing was."""
        counted = {self.plan.queues[name].client for name, queue in self._queues.items()
                   if queue.day is not None and name in self.plan.queues}  # fmt: skip
        return min((self._calendars[client].ends for client in counted if client in self._calendars), default=None)

    def pass_time(self, ms: int, now: datetime) -> None:
        """It is now ``ms`` on the clock of the facts, and ``now`` on the wall."""
        while (aged := self.next_aging) is not None and aged <= ms:
            visit = self._visits[self._young.popleft()[1]]
            self._grow_up(visit)
            self._changed.add(visit.queue)
        for name, queue in self._queues.items():
            settings = self.plan.queues.get(name)
            if queue.day is None or settings is None:
                continue
            if self._calendar(settings.client, now).today != queue.day.date:
                queue.day = None
                self._changed.add(name)

    def status(self, queue: str) -> QueueStatus:
        """A queue now."""
        counts, servers = self._queues.get(queue) or _Queue(), self._servers.get(queue, 0)
        return QueueStatus(
            waiting=len(counts.line),
            callbacks=counts.callbacks,
            longest_since=self._visits[counts.line[0][1]].since if counts.line else None,
            ready=(servers & self._ready).bit_count(),
            signed_in=(servers & self._signed_in).bit_count(),
            talking=counts.talking,
            service_level=counts.day.service_level if counts.day is not None else None,
        )

    def _queue(self, name: str) -> _Queue:
        self._changed.add(name)
        queue = self._queues.get(name)
        if queue is None:
            queue = self._queues[name] = _Queue()
        return queue

    def _calendar(self, client: str, now: datetime) -> Calendar:
        calendar = self._calendars.get(client)
        current = Calendar(self._zone_of(client), now) if calendar is None else calendar.at(now)
        self._calendars[client] = current
        return current

    def _join(self, body: CallQueued, fact: Fact) -> None:
        if not body.queue:
            return  # asks for an agent, and stands in no queue
        queue = self._queue(body.queue)
        today = self._calendar(body.client, fact.at).today
        if queue.day is None or queue.day.date != today:
            queue.day = Day(today)
        queue.day.offered += 1
        queue.day.young += 1
        since = fact.at - timedelta(milliseconds=fact.ms - body.first_joined_ms)
        called_back = bool(body.callback)
        queue.callbacks += called_back
        visit = _Visit(body.queue, fact.ms, body.first_joined_ms, since, queue.day, callback=called_back)
        self._visits[body.visit] = visit
        self._young.append((fact.ms + ANSWERED_WITHIN_MS, body.visit))
        insort(queue.line, (body.first_joined_ms, body.visit))

    def _leave(self, visit_id: str, visit: _Visit, outcome: VisitOutcome, reason: str, ms: int) -> None:
        queue = self._queue(visit.queue)
        at = bisect_left(queue.line, (visit.first_joined_ms, visit_id))
        del queue.line[at]
        queue.callbacks -= visit.callback
        self._grow_up(visit)
        if outcome is VisitOutcome.ANSWERED and ms - visit.joined_ms <= ANSWERED_WITHIN_MS:
            visit.day.in_time += 1
        elif outcome is VisitOutcome.SHORT_ABANDONED or (outcome is VisitOutcome.REFUSED and reason == "closed"):
            visit.day.left_out += 1

    @staticmethod
    def _grow_up(visit: _Visit) -> None:
        if visit.young:
            visit.young = False
            visit.day.young -= 1

    def _take_agent(self, body: AgentStateChanged) -> None:
        bit = self._bits.get(body.agent, 0)
        signed_in = body.intent is not Intent.SIGNED_OUT
        ready = (
            body.intent is Intent.READY
            and body.work is Work.IDLE
            and body.device is Device.REGISTERED
            and not body.remaining_ms
        )
        if self._states.get(body.agent, (False, False)) == (ready, signed_in):
            return
        if ready or signed_in:
            self._states[body.agent] = (ready, signed_in)
        else:
            del self._states[body.agent]
        if bit:
            self._ready = self._ready | bit if ready else self._ready & ~bit
            self._signed_in = self._signed_in | bit if signed_in else self._signed_in & ~bit
            self._all_changed = True


class QueueBoard:
    """A reader of facts who tells of each queue that changed, together and at most once a second.

    ``show`` is told a queue of the plan with its status, and None for one that is gone from it. A timer is armed only
    when something changed, when a caller will soon have waited 20 s, or when a day ends that has figures.
    """

    def __init__(
        self,
        plan: Callable[[], Plan],
        zone_of: Callable[[str], tzinfo],
        clock: Clock,
        show: Callable[[QueueSettings, QueueStatus | None], None],
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._show = show
        self._counts = QueueCounts(plan(), zone_of)
        self._shown: dict[str, tuple[QueueSettings, QueueStatus]] = {}
        self._told_at = -TOLD_EVERY
        self._timer: asyncio.TimerHandle | None = None
        self._soon = False

    def take(self, fact: Fact) -> None:
        """Read one fact. Never waits."""
        self._follow_plan()
        self._counts.take(fact)
        if self._counts.changed and not self._soon:
            self._soon = True
            self._wake_in(self._told_at + TOLD_EVERY - self._clock.monotonic())

    def refresh(self) -> None:
        """Tell everything that changed now: at the start, after a reload, at the end."""
        self._cancel()
        moment, now = self._clock.monotonic(), self._clock.now()
        self._follow_plan()
        self._counts.pass_time(round(moment * 1000), now)
        for name in [name for name in self._shown if name not in self._counts.plan.queues]:
            self._show(self._shown.pop(name)[0], None)
        for settings, status in self._counts.news():
            if self._shown.get(settings.id) != (settings, status):
                self._shown[settings.id] = (settings, status)
                self._show(settings, status)
        self._told_at = moment
        self._wake_for_time(moment, now)

    def status(self, queue: str) -> QueueStatus:
        """A queue as it is now, told or not."""
        return self._counts.status(queue)

    def shown(self, queue: str) -> QueueStatus | None:
        """A queue as it was told last; None when it never was."""
        found = self._shown.get(queue)
        return found[1] if found is not None else None

    @property
    def quiet(self) -> bool:
        """Whether nothing is going to be told unless something happens."""
        return self._timer is None

    def close(self) -> None:
        """Tell the last word. May be called twice."""
        self.refresh()
        self._cancel()

    def _follow_plan(self) -> None:
        """The plan of the facts that follow: a fact of an agent who is new comes right behind him."""
        plan = self._plan()
        if plan is not self._counts.plan:
            self._counts.reconfigure(plan)

    def _wake_for_time(self, moment: float, now: datetime) -> None:
        waits = []
        if (aging := self._counts.next_aging) is not None:
            waits.append(max(TOLD_EVERY, aging / 1000 - moment))
        if (midnight := self._counts.next_midnight) is not None:
            waits.append(max(TOLD_EVERY, (midnight - now).total_seconds()))
        if waits:
            self._wake_in(min(waits))

    def _wake_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self.refresh)

    def _cancel(self) -> None:
        self._soon = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
