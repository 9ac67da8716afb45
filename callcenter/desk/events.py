"""Events: the facts as they come, for any number of readers, each of whom is told what they may see.

The hub follows the facts once. The latest stand in a ring, as they came; whoever is further behind reads the database
until the ring has what comes next. A reader is a position and nothing else: a slow one costs no memory.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from callcenter.desk.whose import Whose
from callcenter.model.access import Actor
from callcenter.model.facts import BODIES, CallArrived, CustomerErased, Fact, body_to_dict, utc
from callcenter.publish.events import EVENTS
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import Database
from callcenter.storage.log import fact_of

log = structlog.get_logger()

# The most parameters of one question; SQLite takes more.
MAX_ASKED = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the live stream. Times are seconds."""

    ring: int = 4_096
    """Facts that are kept for readers that follow closely: some minutes of a busy floor."""
    page: int = 200
    """Facts that a reader is told at once."""
    heartbeat: float = 15.0
    """After so long without anything to tell, the position is: proxies close what is silent for 30 s and more."""
    patience: float = 10.0
    """How long a reader may leave what is sent unread; then it is cut."""
    farewell: float = 5.0
    """How long a reader that was cut may take to read the word that says so."""
    readers: int = 500
    """Readers at once."""
    readers_of_one: int = 20
    """Readers at once of one user: some browsers open that many pages and no more."""
    behind: float = 5.0
    """How long a reader waits for a fact that they know of and the hub does not yet."""


class TooMany(Exception):
    """No more readers are taken; one line."""


class Unwritten(Exception):
    """A reader asks for what comes after a fact that there is not: the numbers are another switch's."""


class Cut(Exception):
    """A reader is sent away; the text says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """What comes next: facts as the reader may see them, and the position behind them; none is a heartbeat."""

    facts: Sequence[Fact]
    position: int


class Hub:
    """Follows ``facts`` (those after a number, in order, without a gap) over the database that they stand in."""

    def __init__(
        self,
        facts: Callable[[int], AsyncIterator[Fact]],
        database: Database,
        whose: Whose,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.whose = whose
        self._facts = facts
        self._database = database
        self._ring: deque[Fact] = deque()
        # All facts that are known and behind this one stand in the ring.
        self._floor = 0
        self._last = 0
        self._began = asyncio.Event()
        self._news = asyncio.Event()
        # Counts how often the log began anew: readers of another one are sent away.
        self._log_no = 0
        self._readers: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Hub {self._last} facts, {len(self._ring)} in the ring, {sum(self._readers.values())} readers>"

    @property
    def position(self) -> int:
        """The last fact that is known here."""
        return self._last

    async def run(self) -> None:
        """Follow the facts, for as long as they come. Raises what following raises, and StorageError."""
        last = await self._last_written()
        await self.load_roster()
        if last < self._last:
            log.warning("the log began anew", last=last, before=self._last)
            self._log_no += 1
        if last != self._last:
            self._ring.clear()
            self._floor = self._last = last
        self._began.set()
        self._wake()
        async for fact in self._facts(self._last):
            self.take(fact)

    async def load_roster(self) -> None:
        """Learn which companies agents serve who were lent to others. Raises StorageError."""
        rows = await self._database.fetch_all("SELECT agent, clients FROM agent_roster WHERE clients IS NOT NULL")
        self.whose.begin({agent: frozenset(from_json(clients)) for agent, clients in rows})

    def take(self, fact: Fact) -> None:
        """The next fact."""
        if fact.seq <= self._last:
            return
        self.whose.take(fact)
        if isinstance(fact.body, CustomerErased):
            # Who comes back for what was before reads it in the database, where nobody is named any more.
            self._ring.clear()
            self._floor = self._last
        self._ring.append(fact)
        self._last = fact.seq
        if len(self._ring) > self.limits.ring:
            self._floor = self._ring.popleft().seq
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()

    async def position_of(self, actor: Actor, after: int | None) -> int:
        """Where a reader begins who asks for what comes after fact ``after`` (None: from now on).

        Raises TooMany, Unwritten, StorageError.
        """
        _Place(self._readers, actor.user, self.limits).check()
        return await self._begin(after)

    async def read(self, actor: Actor, position: int) -> AsyncGenerator[Page, None]:
        """What comes after ``position``, page by page, for as long as it is asked for. Raises Cut, StorageError.

        A page without facts comes when nothing else has come for a heartbeat's time.
        """
        time = asyncio.get_running_loop().time
        with _Place(self._readers, actor.user, self.limits):
            log_no, told_at = self._log_no, time()
            while True:
                page = await self._next(position, actor, told_at + self.limits.heartbeat - time())
                if self._log_no != log_no:
                    raise Cut("the log began anew: take a snapshot, and follow from there")
                position = page.position
                if page.facts or time() - told_at >= self.limits.heartbeat:
                    yield page
                    told_at = time()

    async def _begin(self, after: int | None) -> int:
        try:
            async with asyncio.timeout(self.limits.behind):
                await self._began.wait()
                if after is None:
                    return self._last
                while after > self._last:
                    # The snapshot that they come from may be ahead of us, by as much as a fact takes to get here.
                    news = self._news
                    await news.wait()
        except TimeoutError:
            if after is None or after <= await self._last_written():
                return self._last if after is None else after
            raise Unwritten(
                f"fact {after} is not written, the last one is {self._last}: take a snapshot, and follow from there"
            ) from None
        return after

    async def _next(self, position: int, actor: Actor, patience: float) -> Page:
        """The next page; an empty one when nothing has come within ``patience``."""
        if position >= self._last:
            news = self._news
            try:
                async with asyncio.timeout(patience):
                    await news.wait()
            except TimeoutError:
                return Page((), position)
            if position >= self._last:
                return Page((), position)
        if position >= self._floor:
            recent = list(itertools.takewhile(lambda fact: fact.seq > position, reversed(self._ring)))
            facts: Sequence[Fact] = recent[: -self.limits.page - 1 : -1]
            behind = facts[-1].seq if facts else self._last
        else:
            until = self._last
            rows = await self._database.fetch_all(_NEXT, (position, until, self.limits.page))
            facts = [fact_of(row) for row in rows if row[5] in BODIES]
            behind = rows[-1][0] if len(rows) == self.limits.page else until
        await self._learn(facts)
        seen = [fact for each in facts if (fact := self.whose.seen(each, actor)) is not None]
        return Page(seen, behind)

    async def _learn(self, facts: Sequence[Fact]) -> None:
        """Ask the log whose the calls are that began before we followed it."""
        unknown = sorted(self.whose.unknown(facts))
        for start in range(0, len(unknown), MAX_ASKED):
            asked = unknown[start : start + MAX_ASKED]
            marks = ", ".join("?" * len(asked))
            rows = await self._database.fetch_all(f"{_ARRIVED} AND call_id IN ({marks})", asked)
            for call_id, body in rows:
                self.whose.know(call_id, from_json(body).get("client", ""))

    async def _last_written(self) -> int:
        rows = await self._database.fetch_all("SELECT COALESCE(MAX(seq), 0) FROM facts")
        return int(rows[0][0])


class _Place:
    """A reader's place among those that may be there at once."""

    def __init__(self, readers: dict[str, int], user: str, limits: Limits) -> None:
        self._readers = readers
        self._user = user
        self._limits = limits

    def check(self) -> None:
        """Raises TooMany when there is none."""
        mine = self._readers.get(self._user, 0)
        if mine >= self._limits.readers_of_one:
            raise TooMany(f"you follow the events {mine} times already: end one of them")
        if sum(self._readers.values()) >= self._limits.readers:
            raise TooMany(f"{self._limits.readers} follow the events, and no more are taken: ask again later")

    def __enter__(self) -> None:
        try:
            self.check()
        except TooMany as error:
            raise Cut(str(error)) from None
        self._readers[self._user] = self._readers.get(self._user, 0) + 1

    def __exit__(self, *_: object) -> None:
        self._readers[self._user] -= 1
        if not self._readers[self._user]:
            del self._readers[self._user]


def plain(fact: Fact) -> dict[str, Any]:
    """A fact as it is told over HTTP: ``event`` is its word in a call's story (as by MQTT), null where it has none."""
    return {
        "seq": fact.seq,
        "at": utc(fact.at),
        "boot": fact.boot,
        "ms": fact.ms,
        "call": fact.call_id,
        "kind": fact.kind,
        "event": EVENTS.get(type(fact.body)),
        "data": body_to_dict(fact.body),
    }


def encoded(page: Page) -> bytes:
    """A page as server-sent events, each with its number as ``id``.

    The position stands at the end, without data: nothing is told by it, but who comes back asks from there.
    """
    lines = [f"id: {fact.seq}\ndata: {json_text(plain(fact))}\n\n" for fact in page.facts]
    if not page.facts or page.facts[-1].seq != page.position:
        lines.append(f"id: {page.position}\n\n")
    return "".join(lines).encode("ascii")


def cut(words: str) -> bytes:
    """The last event of a reader who is sent away."""
    return f"event: cut\ndata: {json_text({'detail': words})}\n\n".encode("ascii")


_NEXT = "SELECT seq, at, boot, ms, call_id, kind, body FROM facts WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
_ARRIVED = f"SELECT call_id, body FROM facts WHERE kind = '{CallArrived.__name__}'"
