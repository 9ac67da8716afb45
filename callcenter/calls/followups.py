"""Follow-ups: each is told when it is due, once, whatever happens to us or to the clock; and who has how many."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

import structlog

from callcenter.calls.services import Services
from callcenter.calls.settings import Client
from callcenter.model.facts import (
    CallbackEnded,
    Fact,
    FollowupCancelled,
    FollowupChanged,
    FollowupCreated,
    FollowupDone,
    FollowupDue,
    FollowupOverdue,
    FollowupReminded,
    reads,
    utc,
)
from callcenter.model.followup import USUAL_RULES, Attempt, Followup, FollowupRules, FollowupState, Told
from callcenter.model.states import CallbackOutcome
from callcenter.runtime.scopes import Background
from callcenter.storage.database import StorageError
from callcenter.storage.followups import Followups as Store
from callcenter.storage.followups import Open

# So many are looked after at once: some 40 MB; who wants more of them open is refused.
MOST_OPEN = 200_000
# The wall's clock may be set meanwhile: so often it is looked at.
LOOKS_EVERY = 60.0
# Told in one turn of the loop (some 5 ms), of those that all are due at once: after a night that we were down.
AT_ONCE = 100
# Nothing is promised before it is in the database; one that takes longer is taken to be away.
WRITTEN_WITHIN = 5.0
# By whom it is done that follows from something else.
BY_SWITCH = "the switch"
BY_CONFIGURATION = "the configuration"
# Changed by themselves with everything else.
_KEPT_ASIDE = frozenset({"revision", "told", "done_by", "done_at"})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Counts:
    """How many open follow-ups an agent has, and how many of them are due, and overdue."""

    open: int = 0
    due: int = 0
    overdue: int = 0


class TooMany(Exception):
    """There are so many open already that no other is taken."""


class Stale(Exception):
    """It was changed since it was read; ``revision`` is the one that it has now."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"it has the revision {revision} by now")
        self.revision = revision


class Followups:
    """All follow-ups. Of those that are open what the timer needs stands in memory; what they say, in the table alone.

    ``on_counts(agent, counts)`` is told of each agent whose numbers have changed.
    """

    def __init__(self, services: Services, store: Store) -> None:
        self.on_counts: Callable[[str, Counts], None] = lambda agent, counts: None
        self._services = services
        self._store = store
        self._open: dict[str, Open] = {}
        self._of_client: Counter[str] = Counter()
        # Whom each callback carries out: one for a number may be one for several follow-ups.
        self._of_callback: dict[str, set[str]] = {}
        # When each is to be told of next, by the wall's clock; what holds no more is passed over.
        self._heap: list[tuple[float, str]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._counts: dict[str, list[int]] = {}
        self._changed: set[str] = set()
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}
        self._rules: dict[str, FollowupRules] = {}
        # The agents and queues that there were when all was looked at for whose owner is gone.
        self._owners: object = None
        self._following = Background()
        self._closed = False

    def __len__(self) -> int:
        return len(self._open)

    async def open(self) -> None:
        """Take up those that are open, and tell what fell due meanwhile. Raises StorageError."""
        self._rules = self._rules_now()
        for each in await self._store.load_open():
            self._add(each)
        self._hand_over(self._open.values())
        self._arrange()
        self._tick()
        if self._of_callback:
            # Beside the start: of a callback that ended just before we did.
            self._following.start(self._catch_up(*self._of_callback), name="outcomes of follow-ups")

    def close(self) -> None:
        """Tell of nothing more. May be called twice."""
        self._closed = True
        self._following.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reconfigured(self) -> None:
        """Another configuration is in force: those of agents and queues that are gone are handed over. Never waits."""
        self._hand_over(self._open.values())
        if self._rules != (rules := self._rules_now()):
            self._rules = rules
            self._arrange()
        self._tick()

    @reads(CallbackEnded)
    def take(self, fact: Fact) -> None:
        """Read one fact: how the callback ended that carries one out. Never waits."""
        if isinstance(fact.body, CallbackEnded) and fact.body.callback in self._of_callback:
            body = fact.body
            word = f"{body.outcome}: {body.detail}" if body.detail else str(body.outcome)
            self._following.start(
                self._follow(body.callback, word, reached=body.outcome is CallbackOutcome.REACHED),
                name=f"outcome of callback {body.callback}",
            )

    def counts(self, agent: str) -> Counts:
        """How many an agent has."""
        return Counts(*self._counts.get(agent, ()))

    def any_open(self, client: str) -> bool:
        """Whether anything is to be done for anybody of this client: else no caller has to be looked for."""
        return bool(self._of_client[client])

    def carried_out_by(self, callback: str) -> frozenset[str]:
        """The open ones that a callback carries out."""
        return frozenset(self._of_callback.get(callback, ()))

    # What they say

    async def get(self, followup: str) -> Followup | None:
        """One of them as it stands now; None when there is none. Raises StorageError and TimeoutError."""
        for _ in range(10):
            await self._store.kept(WRITTEN_WITHIN)
            found, there = await self._store.by_id(followup), self._open.get(followup)
            if found is None or there is None:
                return found
            if found.revision == there.revision:
                return replace(found, told=Told(there.told))
        raise StorageError("it is changed all the time: ask again")

    # What is done to them

    async def create(self, followup: Followup) -> Followup:
        """A new one; the one that there is, when its id is known. Raises TooMany, StorageError and TimeoutError."""
        async with self._alone(followup.id):
            if (known := await self.get(followup.id)) is not None:
                return known
            if len(self._open) >= MOST_OPEN:
                raise TooMany(f"{MOST_OPEN} follow-ups are open")
            followup = replace(followup, told=self._told_at_first(followup))
            created = FollowupCreated(
                followup.client,
                followup.id,
                followup.kind.value,
                utc(followup.due_at),
                followup.created_by,
                agent=followup.agent,
                queue=followup.queue,
                customer=followup.customer,
                call=followup.call,
            )
            self._services.stream.append(created)
            self._put(followup)
            if followup.callback:
                # It may have ended before this stood here: asked for again behind a crash, it has rung already.
                self._following.start(self._catch_up(followup.callback), name=f"outcome for {followup.id}")
            await self._store.kept(WRITTEN_WITHIN)
            return followup

    async def change(
        self, followup: str, by: str, edit: Callable[[Followup], Followup], *, revision: int | None = None
    ) -> Followup | None:
        """What ``edit`` makes of one; None when there is none. Nothing is told where it changes nothing.

        With ``revision``, only of that one. Raises what ``edit`` raises, Stale, StorageError and TimeoutError.
        """
        async with self._alone(followup):
            before = await self.get(followup)
            if before is None:
                return None
            if revision is not None and revision != before.revision:
                raise Stale(before.revision)
            after = edit(before)
            if after == before:
                return before
            after = self._changed_to(before, after, by)
            await self._store.kept(WRITTEN_WITHIN)
            return after

    def _changed_to(self, before: Followup, after: Followup, by: str) -> Followup:
        """Tell a change, and keep it. Never waits."""
        now = self._services.clock.now()
        after = replace(after, revision=before.revision + 1)
        if after.state is not before.state:
            is_open = after.state is FollowupState.OPEN
            after = replace(after, done_by="" if is_open else by, done_at=None if is_open else now)
        if after.due_at != before.due_at:
            after = replace(after, told=self._told_at_first(after))
        match after.state:
            case FollowupState.DONE if before.state is not after.state:
                in_time = now <= after.due_at
                done = FollowupDone(after.client, after.id, by, in_time, agent=after.agent, queue=after.queue)
                self._services.stream.append(done)
            case FollowupState.CANCELLED if before.state is not after.state:
                self._services.stream.append(FollowupCancelled(after.client, after.id, by))
            case _:
                what = tuple(
                    each.name
                    for each in fields(Followup)
                    if each.name not in _KEPT_ASIDE and getattr(before, each.name) != getattr(after, each.name)
                )
                self._services.stream.append(_change_of(after, what, by))
        self._put(after)
        return after

    async def _follow(self, callback: str, word: str, *, reached: bool) -> None:
        """The callback that carries some out has ended: reached, they are done; else each is a task for somebody."""

        def edit(before: Followup) -> Followup:
            if before.callback != callback or before.state is not FollowupState.OPEN:
                return before
            tried = before.tried(Attempt(self._services.clock.now(), BY_SWITCH, word))
            return replace(tried, state=FollowupState.DONE) if reached else replace(tried, callback="")

        for name in sorted(self._of_callback.get(callback, ())):
            try:
                await self.change(name, BY_SWITCH, edit)
            except (StorageError, TimeoutError) as error:
                log.warning("a follow-up does not know how its callback ended", followup=name, why=str(error))

    async def _catch_up(self, *callbacks: str) -> None:
        for callback in callbacks:
            try:
                await self._store.kept(WRITTEN_WITHIN)  # its end may be on the way to the table
                value = await self._services.callbacks.look_up(callback)
            except (StorageError, TimeoutError) as error:
                log.warning("a callback's outcome cannot be read", callback=callback, why=str(error))
                continue
            if value is None or value.outcome:
                outcome = "lost" if value is None else value.outcome
                await self._follow(callback, outcome, reached=outcome == CallbackOutcome.REACHED)

    # Owners

    def _hand_over(self, followups: Iterable[Open]) -> None:
        """Give those to a queue whose agent is gone, and those to another whose queue is."""
        plan = self._services.dispatcher.acd.plan
        owners = (set(plan.agents), {name: queue.client for name, queue in plan.queues.items()}, dict(plan.renamed))
        if owners == self._owners:
            return
        self._owners = owners
        for each in followups:
            agent = each.agent if each.agent in plan.agents else ""
            queue = plan.renamed.get(each.queue, each.queue)
            there = plan.queues.get(queue)
            if there is None or there.client != each.client:
                queue = ""
            if not agent and not queue:
                queue = self.queue_of(each.client)
            if (agent, queue) == (each.agent, each.queue) or not (agent or queue):
                continue
            self._count(each, -1)
            each.agent, each.queue, each.revision = agent, queue, each.revision + 1
            self._count(each, 1)
            due_at = utc(datetime.fromtimestamp(each.due, UTC))
            changed = FollowupChanged(
                each.client, each.id, each.revision, ("agent", "queue"), due_at, BY_CONFIGURATION, agent, queue
            )
            self._services.stream.append(changed)
            self._store.hand(each.id, agent, queue, each.revision)

    def queue_of(self, client: str) -> str:
        """The queue that has those of a client which are nobody's; empty where it has none."""
        plan = self._services.dispatcher.acd.plan
        own = [name for name, queue in plan.queues.items() if queue.client == client]
        wanted = self._rules_of(client).queue
        return wanted if wanted in own else next(iter(own), "")

    # Time

    def _told_at_first(self, followup: Followup) -> Told:
        """Of what is due so soon that nobody need be reminded, nobody is."""
        remind = self._rules_of(followup.client).remind
        soon = (followup.due_at - self._services.clock.now()).total_seconds() <= remind
        return Told.REMINDED if remind and soon else Told.NOTHING

    def _next(self, each: Open) -> float | None:
        """When one is to be told of next; None: never again."""
        rules = self._rules_of(each.client)
        match each.told:
            case Told.OVERDUE:
                return None
            case Told.DUE:
                return each.due + rules.overdue_after
            case Told.NOTHING if rules.remind:
                return each.due - rules.remind
            case _:
                return each.due

    def _tick(self) -> None:
        """Tell what is due, some at a time, and wait for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._closed:
            return
        now, told = self._services.clock.now().timestamp(), 0
        while self._heap and self._heap[0][0] <= now and told < AT_ONCE:
            moment, name = heapq.heappop(self._heap)
            each = self._open.get(name)
            if each is not None and self._next(each) == moment:
                self._reach(each, now)
                told += 1
        self._publish()
        if self._heap:
            wait = max(0.0, self._heap[0][0] - now)
            self._timer = asyncio.get_running_loop().call_later(min(wait, LOOKS_EVERY), self._tick)

    def _reach(self, each: Open, now: float) -> None:
        """Tell of one whatever is due by now: each once, and nobody is reminded of what is due already."""
        self._count(each, -1)
        due_at = utc(datetime.fromtimestamp(each.due, UTC))
        while (moment := self._next(each)) is not None and moment <= now:
            about = (each.client, each.id, due_at, each.agent, each.queue)
            if each.told == Told.DUE:
                each.told = Told.OVERDUE
                self._services.stream.append(FollowupOverdue(*about))
            elif now >= each.due:
                each.told = Told.DUE
                self._services.stream.append(FollowupDue(*about))
            else:
                each.told = Told.REMINDED
                self._services.stream.append(FollowupReminded(*about))
            # In one transaction with the fact: see FactLog.
            self._store.mark(each.id, Told(each.told))
        self._count(each, 1)
        if moment is not None:
            heapq.heappush(self._heap, (moment, each.id))

    def _arrange(self) -> None:
        """All anew, in the order of time."""
        moments = ((self._next(each), each.id) for each in self._open.values())
        self._heap = [(moment, name) for moment, name in moments if moment is not None]
        heapq.heapify(self._heap)

    def _rules_of(self, client: str) -> FollowupRules:
        return self._rules.get(client) or USUAL_RULES

    def _rules_now(self) -> dict[str, FollowupRules]:
        clients: Iterable[Client] = self._services.settings.clients.values()
        return {client.id: client.followups for client in clients}

    # In memory

    def _put(self, followup: Followup) -> None:
        """This is how it stands with one from now on, here and in the table. Never waits."""
        self._store.keep(followup)
        if (before := self._open.pop(followup.id, None)) is not None:
            self._count(before, -1)
            self._of_client[before.client] -= 1
            carried_out = self._of_callback.get(before.callback, set())
            carried_out.discard(before.id)
            if not carried_out:
                self._of_callback.pop(before.callback, None)
        if followup.state is FollowupState.OPEN:
            each = Open(
                followup.id,
                followup.client,
                followup.agent,
                followup.queue,
                followup.callback,
                followup.due_at.timestamp(),
                int(followup.told),
                followup.revision,
            )
            self._add(each)
            if (moment := self._next(each)) is not None:
                heapq.heappush(self._heap, (moment, each.id))
        if len(self._heap) > 2 * len(self._open) + 1_000:
            self._arrange()
        self._tick()

    def _add(self, each: Open) -> None:
        self._open[each.id] = each
        self._count(each, 1)
        self._of_client[each.client] += 1
        if each.callback:
            self._of_callback.setdefault(each.callback, set()).add(each.id)

    def _count(self, each: Open, by: int) -> None:
        if each.agent:
            counts = self._counts.setdefault(each.agent, [0, 0, 0])
            for at, counted in enumerate((True, each.told >= Told.DUE, each.told >= Told.OVERDUE)):
                counts[at] += by if counted else 0
            self._changed.add(each.agent)

    def _publish(self) -> None:
        for agent in self._changed:
            counts = self._counts[agent]
            self.on_counts(agent, Counts(*counts))
            if not any(counts):
                del self._counts[agent]
        self._changed.clear()

    @contextlib.asynccontextmanager
    async def _alone(self, followup: str) -> AsyncIterator[None]:
        """One change of one follow-up at a time."""
        lock, users = self._locks.get(followup, (asyncio.Lock(), 0))
        self._locks[followup] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._locks[followup]
            if users > 1:
                self._locks[followup] = lock, users - 1
            else:
                del self._locks[followup]


def _change_of(after: Followup, what: tuple[str, ...], by: str) -> FollowupChanged:
    return FollowupChanged(
        after.client, after.id, after.revision, what, utc(after.due_at), by, after.agent, after.queue
    )
