"""What the floor sees of its queues: counts folded from facts, and told when they change."""

from __future__ import annotations

import asyncio
import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, tzinfo

from callcenter.acd.roster import effective
from callcenter.acd.rosters import Roster
from callcenter.acd.settings import Plan, QueueSettings
from callcenter.calls.live_ledger import threshold_ms
from callcenter.ledger.agent_time import PARTS, READY_IDLE, kind, part_of
from callcenter.ledger.definitions import ANSWERED_WITHIN_MS
from callcenter.ledger.figures import Figures
from callcenter.ledger.intervals import begin, span
from callcenter.ledger.ledger import Ledger
from callcenter.ledger.metrics import Group
from callcenter.model.facts import (
    AgentLegEnded,
    AgentSkillsChanged,
    AgentStateChanged,
    AgentTookOver,
    CallbackChanged,
    CallbackEnded,
    CallbackRequested,
    CallConnected,
    CallQueued,
    Fact,
    QueueLeft,
)
from callcenter.runtime.clock import Clock

# A queue is told at most so often (seconds): a page that shows it counts the longest wait by itself.
TOLD_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Today:
    """The figures of the visits that began today in the client's time zone, by the ledger's definitions.

    ``service_level`` by the queue's own threshold, ``service_level_20s`` by 20 s; None when nothing was counted yet.
    """

    offered: int = 0
    answered: int = 0
    abandoned: int = 0
    asa_ms: int | None = None
    service_level: float | None = None
    service_level_20s: float | None = None

    @classmethod
    def of(cls, figures: Iterable[tuple[Figures, int]]) -> Today:
        """Of queues with their thresholds (ms)."""
        group, by_20s = Group(), Group()
        for each, threshold in figures:
            group.add(each, threshold)
            by_20s.add(each, ANSWERED_WITHIN_MS)
        asa, level, level_20s = group.value("asa"), group.value("service_level"), by_20s.value("service_level")
        offered, answered, abandoned = (int(group.value(name) or 0) for name in ("offered", "answered", "abandoned"))
        return cls(offered, answered, abandoned, None if asa is None else round(asa), level, level_20s)


NOTHING_YET = Today()


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """A queue at a moment, or all queues of a client.

    ``callbacks``: those of the ``waiting`` who are called back at their turn, and hold no phone. ``planned`` are those
    who do not wait, as they are called back later.
    ``longest_since``: since when (UTC) the caller who waits longest has a place in line; None when nobody waits.
    ``ready``: agents who may serve the queue and could be offered a caller now; ``signed_in``: those of them who are
    not signed out; ``agents``: these by what they are at. ``talking``: agents in a talk with a caller of this queue,
    holds included. ``today``: what the visits that began today have come to so far.
    """

    waiting: int = 0
    callbacks: int = 0
    longest_since: datetime | None = None
    ready: int = 0
    signed_in: int = 0
    talking: int = 0
    today: Today = NOTHING_YET
    agents: tuple[tuple[str, int], ...] = ()
    planned: int = 0


@dataclass(slots=True)
class _Visit:
    """``since``: the place in line, by the wall's clock at the moment of joining; a clock set later moves nobody."""

    queue: str
    first_joined_ms: int
    since: datetime
    callback: bool = False


@dataclass(slots=True)
class _Queue:
    """``line``: (first joined, visit), the longest wait first. ``dated``: the day that figures were told of last."""

    line: list[tuple[int, str]] = field(default_factory=list)
    callbacks: int = 0
    talking: int = 0
    dated: date | None = None


class Calendar:
    """The present day in one time zone, and when it ends."""

    def __init__(self, zone: tzinfo, now: datetime) -> None:
        self.zone = zone
        self.today = now.astimezone(zone).date()
        self.quarters = span(self.today, self.today, zone)
        self.ends = begin(self.quarters[1])

    def at(self, now: datetime) -> Calendar:
        """The calendar that holds now: this one until its day ends."""
        return self if now < self.ends else Calendar(self.zone, now)


class QueueCounts:
    """The fold. Agents are bits of whole numbers, so that a count over a thousand of them is one operation.

    Who waits, talks and is there it counts itself, from the moment it was made: those of an earlier boot are gone. What
    today has come to is the ledger's, which has taken every fact before this does; ``ledger`` gives None as long as
    that does not know it all. ``zone_of`` tells the time zone of a client, whose days the figures go by.
    """

    def __init__(self, plan: Plan, zone_of: Callable[[str], tzinfo], ledger: Callable[[], Ledger | None]) -> None:
        self.planned: Callable[[str], int] = lambda queue: 0
        """How many of a queue are to be called back later."""
        self._changed: set[str] = set()
        self._all_changed = False
        self._zone_of = zone_of
        self._ledger = ledger
        self._calendars: dict[str, Calendar] = {}
        self._visits: dict[str, _Visit] = {}
        self._aging: list[tuple[int, str]] = []
        self._talks: dict[str, str] = {}
        self._queues: dict[str, _Queue] = {}
        self._changes: dict[str, AgentSkillsChanged] = {}
        # What each agent is at, but for those who are signed out.
        self._parts: dict[str, str] = {}
        self.reconfigure(plan)

    def reconfigure(self, plan: Plan) -> None:
        """Another plan: who may serve which queue is worked out anew, and every queue counts as changed."""
        self.plan = plan
        roster = Roster(effective(agent, self._changes.get(agent.id), plan.renamed) for agent in plan.agents.values())
        self._bits = {agent: 1 << number for agent, number in roster.number.items()}
        # Also of those who are gone: whoever is back before the talk is over is what they were.
        self._masks = dict.fromkeys(PARTS, 0)
        for agent, part in self._parts.items():
            self._masks[part] |= self._bits.get(agent, 0)
        self._servers: dict[str, int] = {
            queue.id: roster.able(queue.client, queue.id, queue.requirements) for queue in plan.queues.values()
        }
        self._of_client: dict[str, int] = {}
        for each in plan.agents.values():
            for client in each.clients:
                self._of_client[client] = self._of_client.get(client, 0) | self._bits[each.id]
        self._calendars.clear()
        self.recount()

    def recount(self) -> None:
        """Every queue counts as changed."""
        self._all_changed = True

    @property
    def changed(self) -> bool:
        """Whether some queue changed since :meth:`news` was asked for."""
        return self._all_changed or bool(self._changed)

    def news(self, ms: int, now: datetime) -> list[tuple[QueueSettings, QueueStatus]]:
        """The queues that may have changed since this was asked for the last time, in the order of the plan."""
        queues = self.plan.queues.values()
        found = [each for each in queues if self._all_changed or each.id in self._changed]
        self._all_changed = False
        self._changed.clear()
        return [(each, self.status(each.id, ms, now)) for each in found]

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
            case AgentLegEnded(offer=offer) if talked := self._talks.pop(offer, None):
                self._queue(talked).talking -= 1
            case CallbackRequested(queue=name) | CallbackEnded(queue=name):
                self._queue(name)
            case CallbackChanged():
                self._all_changed = True  # it may be another queue's now
            case QueueLeft(visit=visit_id):
                if visit := self._visits.pop(visit_id, None):
                    queue = self._queue(visit.queue)
                    del queue.line[bisect_left(queue.line, (visit.first_joined_ms, visit_id))]
                    queue.callbacks -= visit.callback
            case _:
                pass

    @property
    def next_aging(self) -> int | None:
        """When (ms) the next caller will have waited so long that a service level counts them; None: nobody."""
        while self._aging and self._aging[0][1] not in self._visits:
            heapq.heappop(self._aging)
        return self._aging[0][0] if self._aging else None

    @property
    def next_midnight(self) -> datetime | None:
        """When the next day ends that figures were told of; None when there are none."""
        counted = {self.plan.queues[name].client for name, queue in self._queues.items()
                   if queue.dated is not None and name in self.plan.queues}  # fmt: skip
        return min((self._calendars[client].ends for client in counted if client in self._calendars), default=None)

    def pass_time(self, ms: int, now: datetime) -> None:
        """It is now ``ms`` on the clock of the facts, and ``now`` on the wall."""
        while (aged := self.next_aging) is not None and aged <= ms:
            self._changed.add(self._visits[heapq.heappop(self._aging)[1]].queue)
        for name, queue in self._queues.items():
            settings = self.plan.queues.get(name)
            if queue.dated is None or settings is None:
                continue
            if self._calendar(settings.client, now).today != queue.dated:
                queue.dated = None
                self._changed.add(name)

    def status(self, queue: str, ms: int, now: datetime) -> QueueStatus:
        """A queue now: ``ms`` on the clock of the facts, ``now`` on the wall."""
        figures = self._today(queue, ms, now)
        return self._status([queue], self._servers.get(queue, 0), figures)

    def client_status(self, client: str, ms: int, now: datetime) -> QueueStatus:
        """All queues of a client now, and the agents who answer for it."""
        queues = [queue.id for queue in self.plan.queues.values() if queue.client == client]
        figures = [piece for queue in queues for piece in self._today(queue, ms, now)]
        return self._status(queues, self._of_client.get(client, 0), figures)

    def _status(self, queues: Sequence[str], servers: int, figures: Sequence[tuple[Figures, int]]) -> QueueStatus:
        counts = [self._queues.get(queue) or _Queue() for queue in queues]
        first = [self._visits[each.line[0][1]].since for each in counts if each.line]
        at = {part: (servers & mask).bit_count() for part, mask in self._masks.items()}
        return QueueStatus(
            waiting=sum(len(each.line) for each in counts),
            callbacks=sum(each.callbacks for each in counts),
            longest_since=min(first, default=None),
            ready=at[READY_IDLE],
            signed_in=sum(at.values()),
            talking=sum(each.talking for each in counts),
            today=Today.of(figures) if figures else NOTHING_YET,
            agents=tuple((part, number) for part, number in at.items() if number),
            planned=sum(map(self.planned, queues)),
        )

    def _today(self, queue: str, ms: int, now: datetime) -> list[tuple[Figures, int]]:
        """What the ledger has of the queue's visits that began today."""
        ledger, settings = self._ledger(), self.plan.queues.get(queue)
        if ledger is None or settings is None:
            return []
        calendar = self._calendar(settings.client, now)
        figures = ledger.visits_of(settings.client, queue, *calendar.quarters, ms)
        if not figures.visits.offered:
            return []
        self._queues.setdefault(queue, _Queue()).dated = calendar.today
        return [(figures, threshold_ms(settings))]

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
        since = fact.at - timedelta(milliseconds=fact.ms - body.first_joined_ms)
        called_back = bool(body.callback)
        queue.callbacks += called_back
        self._visits[body.visit] = _Visit(body.queue, body.first_joined_ms, since, called_back)
        settings = self.plan.queues.get(body.queue)
        for threshold in {ANSWERED_WITHIN_MS, threshold_ms(settings) if settings else ANSWERED_WITHIN_MS}:
            heapq.heappush(self._aging, (fact.ms + threshold, body.visit))
        insort(queue.line, (body.first_joined_ms, body.visit))

    def _take_agent(self, body: AgentStateChanged) -> None:
        part = kind(part_of(body))
        before = self._parts.get(body.agent, "")
        if part == before:
            return
        if part:
            self._parts[body.agent] = part
        else:
            del self._parts[body.agent]
        if bit := self._bits.get(body.agent, 0):
            if before:
                self._masks[before] &= ~bit
            if part:
                self._masks[part] |= bit
            self._all_changed = True


class QueueBoard:
    """A reader of facts who tells of each queue that changed, together and at most once a second.

    ``show`` is told a queue of the plan with its status, and None for one that is gone from it. A timer is armed only
    when something changed, when a caller will soon have waited as long as a service level lets them, or when a day ends
    that has figures. ``show_client`` is told all queues of a client in the same way.
    """

    def __init__(
        self,
        plan: Callable[[], Plan],
        zone_of: Callable[[str], tzinfo],
        clock: Clock,
        ledger: Callable[[], Ledger | None],
        show: Callable[[QueueSettings, QueueStatus | None], None],
        show_client: Callable[[str, QueueStatus | None], None],
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._show = show
        self._show_client = show_client
        self._counts = QueueCounts(plan(), zone_of, ledger)
        self._clients: dict[str, QueueStatus] = {}
        self._shown: dict[str, tuple[QueueSettings, QueueStatus]] = {}
        self._told_at = -TOLD_EVERY
        self._timer: asyncio.TimerHandle | None = None
        self._soon = False

    def count_planned(self, planned: Callable[[str], int]) -> None:
        """Who knows how many of a queue are to be called back later; all queues are told anew."""
        self._counts.planned = planned
        self.recount()

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
        ms = round(moment * 1000)
        self._counts.pass_time(ms, now)
        for name in [name for name in self._shown if name not in self._counts.plan.queues]:
            self._show(self._shown.pop(name)[0], None)
        news = self._counts.news(ms, now)
        for settings, status in news:
            if self._shown.get(settings.id) != (settings, status):
                self._shown[settings.id] = (settings, status)
                self._show(settings, status)
        clients = {queue.client for queue in self._counts.plan.queues.values()}
        for client in [client for client in self._clients if client not in clients]:
            del self._clients[client]
            self._show_client(client, None)
        for client in dict.fromkeys(settings.client for settings, _ in news):
            status = self._counts.client_status(client, ms, now)
            if self._clients.get(client) != status:
                self._clients[client] = status
                self._show_client(client, status)
        self._told_at = moment
        self._wake_for_time(moment, now)

    def status(self, queue: str) -> QueueStatus:
        """A queue as it is now, told or not."""
        self._follow_plan()
        return self._counts.status(queue, round(self._clock.monotonic() * 1000), self._clock.now())

    def recount(self) -> None:
        """Tell every queue anew: the ledger knows what earlier boots had of today."""
        self._counts.recount()
        self.refresh()

    def shown_client(self, client: str) -> QueueStatus | None:
        """The queues of a client as they were told last; None when they never were."""
        return self._clients.get(client)

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
