"""LiveLedger: the ledger of a running switch, begun with what the log tells of the days that are not over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, tzinfo

import structlog

from callcenter.acd.settings import Plan, QueueSettings
from callcenter.ledger import days
from callcenter.ledger.definitions import NEWEST
from callcenter.ledger.intervals import QUARTER_MS, day_of, epoch_ms, quarter_of
from callcenter.ledger.ledger import Ledger
from callcenter.model.facts import Fact
from callcenter.storage.database import StorageError
from callcenter.storage.metrics import Metrics

# Facts of this boot that wait while the log of the ones before is folded; what is more is read from the log again.
MAX_PENDING = 50_000
# The log is asked again after this (seconds) when it could not be read, or has not written yet what is awaited.
LOG_RETRY = 1.0
# Until a day is looked at again (ms) of which some call is not over yet.
LOOK_AGAIN = 60_000
# How many batches of an old log are folded before the days that are over are published, so that memory is bounded.
PUBLISH_EVERY = 200

log = structlog.get_logger()


class LiveLedger:
    """A reader of facts: the same fold as over the log, fact by fact.

    Until :meth:`catch_up` is through with the log of earlier boots it is not :attr:`ready`, and has no figures; the
    start of the switch does not wait for it. A day is published when all that began in it is over, soon after
    midnight.
    """

    def __init__(
        self, store: Metrics, plan: Callable[[], Plan], zone_of: Callable[[str], tzinfo], group: asyncio.TaskGroup
    ) -> None:
        self.ledger = Ledger()
        self.ready = False
        self.on_ready: Callable[[], None] = lambda: None
        self._store = store
        self._plan = plan
        self._zone_of = zone_of
        self._group = group
        self._publishing: asyncio.Task[None] | None = None
        self._seq = 0
        # Whether facts wait, because what the ledger holds is being written down.
        self._held = False
        self._pending: list[Fact] = []
        self._log_reaches = 0
        self._next_look = 0

    def take(self, fact: Fact) -> None:
        """Read one fact. Never waits."""
        if self.ready and not self._held:
            self._take(fact)
        elif self.ready or len(self._pending) < MAX_PENDING:
            self._pending.append(fact)
        else:
            self._log_reaches = fact.seq
            self._pending.clear()

    async def published(self) -> None:
        """Until the days that are being published are with the log."""
        if self._publishing is not None:
            await asyncio.wait({self._publishing})

    async def catch_up(self, last_seq: int) -> None:
        """Fold what the log holds up to fact ``last_seq``, the last one before this boot, and what came meanwhile."""
        self._log_reaches = max(last_seq, self._log_reaches)
        while True:
            try:
                await self._fold_log()
                break
            except StorageError as error:
                log.warning("the figures of today are not there yet: the log cannot be read", detail=str(error))
                await asyncio.sleep(LOG_RETRY)
        self.ready = True
        self._go_on()

    def _go_on(self) -> None:
        """Take what came meanwhile, and say that the figures are there."""
        pending, self._pending = self._pending, []
        for number, fact in enumerate(pending):
            if self._held:
                self._pending = pending[number:]
                return
            self._take(fact)
        self.on_ready()

    async def _fold_log(self) -> None:
        position, ledger = await self._store.state()
        if ledger is None:
            # Another program's fold: from the start, without the days that stand as they were published.
            ledger, published_at, position = Ledger(), position, 0
            while position < published_at:
                position = await self._store.read(ledger, position, published_at)
                await asyncio.sleep(0)
            await self._store.forget_published(ledger)
            # Else every report would fold the whole log anew, until a day is over.
            await self._store.publish((), ledger, position)
        self.ledger = ledger
        batches = 0
        while position < self._log_reaches:
            before, position = position, await self._store.read(ledger, position, self._log_reaches)
            batches += 1
            if not batches % PUBLISH_EVERY:
                self._seq = position
                await self._publish(self._over(ledger.last_quarter))
            if position == before and self._store.last_seq >= self._log_reaches:
                return  # those that are missing were never written
            await asyncio.sleep(0 if position > before else LOG_RETRY)

    def _take(self, fact: Fact) -> None:
        self.ledger.take(fact)
        self._seq = fact.seq
        if fact.ms >= self._next_look:
            self._next_look = fact.ms + self._patience(fact)
            if over := self._over(quarter_of(fact.at)):
                self._held = True
                self._publishing = self._group.create_task(self._publish_live(over), name="publish figures")

    def _patience(self, fact: Fact) -> int:
        """Until when days are looked for again: the next quarter, or soon, while calls of a day before are not over."""
        now = quarter_of(fact.at)
        for client, quarter in self.ledger.oldest_open.items():
            zone = self._zone(client)
            if day_of(quarter, zone) < day_of(now, zone):
                return LOOK_AGAIN
        return QUARTER_MS - epoch_ms(fact.at) % QUARTER_MS

    def _over(self, quarter: int) -> list[tuple[str, date]]:
        """Clients and their days that are over; none while it is not sure that they will be in the database soon."""
        return days.over(self.ledger, self._zone, quarter) if self._store.well else []

    async def _publish(self, over: Sequence[tuple[str, date]]) -> None:
        """Keep these days for good. Each is taken out of the ledger whole."""
        thresholds = {queue.id: threshold_ms(queue) for queue in self._plan().queues.values()}
        published = []
        for client, day in over:
            zone = self._zone(client)
            parts = days.forget(self.ledger, client, day, zone)
            published.append(days.Day(client, day, name_of(zone), self._seq, NEWEST, parts, thresholds))
            await asyncio.sleep(0)
        if published:
            await self._store.publish(published, self.ledger, self._seq)

    async def _publish_live(self, over: Sequence[tuple[str, date]]) -> None:
        """The same while the switch runs: for the moments that it takes, figures stand still."""
        try:
            await self._publish(over)
        finally:
            self._held = False
            self._go_on()

    def _zone(self, client: str) -> tzinfo:
        return UTC if client == days.AGENTS else self._zone_of(client)


def threshold_ms(queue: QueueSettings) -> int:
    """The threshold of a queue's service level, in milliseconds."""
    return queue.service_level_ms


def name_of(zone: tzinfo) -> str:
    """The name by which a time zone is found again."""
    return str(getattr(zone, "key", None) or "UTC")
