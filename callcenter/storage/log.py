"""FactLog: the one writer of the database; facts first, and the log is the outbox of MQTT."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from callcenter.model.facts import BODIES, CallArrived, Fact, body_from_dict, utc
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import (
    Database,
    RejectedStatement,
    Row,
    StaleWriter,
    Statement,
    StorageError,
    Value,
    Writing,
    storable,
)

OnState = Callable[[bool, str], None]
Item = Fact | Sequence[Statement]

# What waits in memory while the database is away: an hour of a floor that makes 25 facts a second, some 100 MB.
MAX_WAITING = 100_000
# One transaction: large enough that a burst costs one commit, small enough that its first fact waits a few ms.
MAX_BATCH = 500
# What nobody waits for gathers so long before it is written: a transaction costs as much as some twenty facts. A crash
# loses no more than this, and no offer: those are waited for. (Whole calls: 1.6 ms of CPU each in the writer before.)
GATHER = 0.01
# Committed facts kept in memory for readers that follow closely, so that they cost no query.
TAIL = 2_048
# Stretches of facts that were let go, remembered for who still asks for one.
MISSING = 100
# Cursors ride with the next facts; alone they are written this much later. A crash repeats no more than this.
CURSOR_DELAY = 0.5
FIRST_RETRY = 0.1
LAST_RETRY = 5.0
# How long close() goes on trying to write what waits while the database fails.
CLOSE_PATIENCE = 5.0


class FactLog:
    """Facts in order, grouped into transactions; whatever else is written goes the same way.

    Nothing that writes here waits: :meth:`write`, :meth:`put` and :meth:`move_cursor` are plain calls. While the
    database fails, what was written waits in memory and is tried again, and ``on_state`` is told (healthy, detail).
    """

    def __init__(self, database: Database, *, epoch: int, head: int, cursors: dict[str, int]) -> None:
        self.epoch = epoch
        self.on_state: OnState | None = None
        self.healthy = True
        self.detail = ""
        self.lost = 0
        self.start_seq = head
        self._database = database
        self._committed = head
        self._last_written = head
        self._waiting: deque[Item] = deque()
        self._taken = 0
        self._done = 0
        self._cursors = cursors
        self._moved: dict[str, int] = {}
        self._cursor_timer: asyncio.TimerHandle | None = None
        self._tail: deque[Fact] = deque(maxlen=TAIL)
        self._flushers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._drainers: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._followers: set[asyncio.Future[None]] = set()
        self._order = itertools.count()
        self._missing: deque[tuple[int, int]] = deque(maxlen=MISSING)
        self._ended: StorageError | None = None
        self._wake = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None
        self._closing = False
        # The log outlives every task group of the switch: it commits their last words when they are gone.
        self._task = asyncio.get_running_loop().create_task(self._run(), name="fact log")
        self._task.add_done_callback(self._writer_ended)

    @classmethod
    async def open(cls, database: Database) -> FactLog:
        """Take the log over: a new epoch, from the last fact on. Raises StorageError."""
        async with database.transaction() as transaction:
            head: int = (await transaction.execute("SELECT COALESCE(MAX(seq), 0) FROM facts"))[0][0]
            claimed = await transaction.execute(
                "UPDATE writers SET epoch = epoch + 1, head = ? WHERE log = 'facts' RETURNING epoch", (head,)
            )
            cursors = await transaction.execute("SELECT name, seq FROM cursors")
        return cls(database, epoch=claimed[0][0], head=head, cursors=dict(cursors))

    def __repr__(self) -> str:
        state = "well" if self.healthy else self.detail
        return f"<FactLog {self._committed} committed, {len(self._waiting)} waiting, epoch {self.epoch}, {state}>"

    # What is written: plain calls that never wait and never raise on a failing database.

    def write(self, fact: Fact) -> None:
        """Append a fact; facts are numbered upwards."""
        assert fact.seq > self._last_written, f"fact {fact.seq} comes after fact {self._last_written}"
        self._last_written = fact.seq
        if not self._take(fact):
            self._lose(fact.seq)

    def put(self, *statements: Statement) -> None:
        """Write these statements together, not before the facts written so far. They may run twice after a failure."""
        if not self._take(statements):
            self.lost += 1

    def move_cursor(self, name: str, seq: int) -> None:
        """Remember how far the reader ``name`` has come; written with the next facts or half a second later."""
        self._cursors[name] = seq
        if self._ended is not None:
            return
        self._moved[name] = seq
        if self._cursor_timer is None:
            self._cursor_timer = asyncio.get_running_loop().call_later(CURSOR_DELAY, self._wake.set)

    # What is read.

    @property
    def last_seq(self) -> int:
        """The last committed fact; right after :meth:`open`, where the numbering goes on."""
        return self._committed

    @property
    def waiting(self) -> int:
        """How much is written but not committed yet: grows while the database is away."""
        return len(self._waiting)

    @property
    def waiting_since(self) -> int | None:
        """When (ms of the boot's clock) the oldest fact happened that is not committed yet; None: all are."""
        return next((item.ms for item in self._waiting if isinstance(item, Fact)), None)

    def cursor(self, name: str) -> int:
        """How far the reader ``name`` has come; 0 when it never came."""
        return self._cursors.get(name, 0)

    async def flushed(self, seq: int) -> None:
        """Until fact ``seq`` and all before it are committed.

        Raises StorageError when the log was closed or taken over by another writer before that, or when that fact
        had to be let go.
        """
        if seq > self._committed and self._ended is not None:
            raise self._ended
        if any(first <= seq <= last for first, last in self._missing):
            raise StorageError(f"fact {seq} was not written: {self.detail}")
        if seq > self._committed:
            waiter = asyncio.get_running_loop().create_future()
            heapq.heappush(self._flushers, (seq, next(self._order), waiter))
            self._wake.set()
            await waiter

    async def drained(self) -> None:
        """Until all that was written so far, facts and statements, is committed. Raises StorageError as flushed."""
        if self._done < self._taken:
            if self._ended is not None:
                raise self._ended
            waiter = asyncio.get_running_loop().create_future()
            self._drainers.append((self._taken, waiter))
            self._wake.set()
            await waiter

    async def beyond(self, seq: int) -> int:
        """Until a fact after ``seq`` is committed; returns the last committed one. Raises StorageError when closed."""
        while self._committed <= seq:
            if self._ended is not None:
                raise self._ended
            follower = asyncio.get_running_loop().create_future()
            self._followers.add(follower)
            try:
                await follower
            finally:
                self._followers.discard(follower)
        return self._committed

    async def read(self, after: int, limit: int, call_id: str | None = None) -> list[Fact]:
        """The next committed facts after ``after``, at most ``limit``, of one call or of all. Raises StorageError.

        Kinds that this program does not know are left out.
        """
        if call_id is None and self._tail and after >= self._tail[0].seq - 1:
            recent = list(itertools.takewhile(lambda fact: fact.seq > after, reversed(self._tail)))
            return recent[: -limit - 1 : -1]
        found: list[Fact] = []
        while len(found) < limit:
            room = limit - len(found)
            rows = await self._rows(after, room, call_id)
            found.extend(fact_of(row) for row in rows if row[5] in BODIES)
            if len(rows) < room:
                break
            after = rows[-1][0]
        return found

    def replace(self, facts: Sequence[Fact]) -> None:
        """These facts say less in the database now: let no reader have from memory what they said. Never waits."""
        said = {fact.seq: fact for fact in facts}
        for at, fact in enumerate(self._tail):
            if fact.seq in said:
                self._tail[at] = said[fact.seq]

    async def last_at(self) -> datetime | None:
        """When the last committed fact happened; None when there is none. Raises StorageError."""
        rows = await self._database.fetch_all("SELECT at FROM facts WHERE seq = ?", (self._committed,))
        return datetime.fromisoformat(rows[0][0]) if rows else None

    async def since(self, at: datetime, kind: type[Any], most: int) -> list[Fact]:
        """The facts of one kind since then, looked for among the last ``most`` committed ones. Raises StorageError."""
        rows = await self._database.fetch_all(
            f"{_SELECT} WHERE seq > ? AND kind = ? AND at >= ? ORDER BY seq",
            (self._committed - most, kind.__name__, utc(at)),
        )
        return [fact_of(row) for row in rows]

    async def last_ms(self, boot: str) -> int:
        """The last moment known of a boot, in milliseconds of its own monotonic clock; 0 when it left no fact."""
        rows = await self._database.fetch_all("SELECT ms FROM facts WHERE boot = ? ORDER BY seq DESC LIMIT 1", (boot,))
        return int(rows[0][0]) if rows else 0

    async def close(self) -> None:
        """Commit the last word and stop. Raises StorageError when something could not be written in five seconds."""
        if self._ended is not None:
            return
        self._closing = True
        self._wake.set()
        await asyncio.wait({self._task}, timeout=CLOSE_PATIENCE)
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait({self._task})
        left = len(self._waiting)
        self._end(StorageError("the log is closed"))
        if left:
            raise StorageError(f"{left} facts and records could not be written: {self.detail}")

    # The writer.

    async def _run(self) -> None:
        retry = FIRST_RETRY
        one_by_one = 0
        while self._ended is None:
            await self._wake.wait()
            self._wake.clear()
            if self._gathering is not None:
                self._gathering.cancel()
                self._gathering = None
            while self._waiting or self._moved:
                # A batch that failed is tried again as it was: it may be in the database although that said no.
                batch = self._batch(1 if one_by_one else MAX_BATCH)
                moved = dict(self._moved)
                while True:
                    try:
                        await self._commit(batch, moved)
                    except StaleWriter as error:
                        self._end(error)
                        self._tell(False, str(error))
                        return
                    except RejectedStatement as error:
                        if len(batch) > 1:
                            one_by_one = len(batch)
                        else:
                            self._reject(batch, error)
                            one_by_one = max(0, one_by_one - 1)
                        break
                    except StorageError as error:
                        self._tell(False, str(error))
                        await asyncio.sleep(min(retry, FIRST_RETRY) if self._closing else retry)
                        retry = min(retry * 2, LAST_RETRY)
                        continue
                    retry = FIRST_RETRY
                    one_by_one = max(0, one_by_one - len(batch))
                    self._tell(True, "")
                    self._settle(batch, moved)
                    break
                if not (one_by_one or self._pressing()):
                    break
            if self._closing:
                return
            if self._waiting:
                self._gather()

    def _batch(self, most: int) -> list[Item]:
        """What is written next. The statements right behind a fact go with it: a row says whether it was told."""
        batch = list(itertools.islice(self._waiting, most))
        if most > 1:
            behind = itertools.islice(self._waiting, most, 2 * MAX_BATCH)
            batch.extend(itertools.takewhile(lambda item: not isinstance(item, Fact), behind))
        return batch

    async def _commit(self, batch: Sequence[Item], moved: dict[str, int]) -> None:
        rows: list[Sequence[Value]] = []
        arrived: list[Sequence[Value]] = []
        statements: list[Statement] = []
        for item in batch:
            if isinstance(item, Fact):
                rows.append(_row(item))
                if isinstance(item.body, CallArrived):
                    arrived.append((item.call_id, item.seq))
            else:
                statements.extend(item)
        epoch, committed, cursors = self.epoch, self._committed, list(moved.items())

        def write(writing: Writing) -> None:
            if rows:
                head = rows[-1][0]
                if not writing.execute(_ADVANCE, (head, epoch, committed, committed)):
                    writer = writing.execute("SELECT epoch, head FROM writers WHERE log = 'facts'")
                    if writer == [(epoch, head)]:
                        return  # This batch was committed by an attempt that was reported as failed.
                    raise StaleWriter("another switch has taken this database over; this one writes nothing more")
                for sql, values in _inserts(rows):
                    writing.execute(sql, values)
            if arrived:
                writing.execute_many(_ARRIVED, arrived)
            for sql, params in statements:
                writing.execute(sql, params)
            if cursors:
                writing.execute_many(_CURSOR, cursors)

        await self._database.write(write)

    def _settle(self, batch: Sequence[Item], moved: dict[str, int]) -> None:
        for item in batch:
            self._waiting.popleft()
            if isinstance(item, Fact):
                self._committed = item.seq
                self._tail.append(item)
        for name, seq in moved.items():
            if self._moved.get(name) == seq:
                del self._moved[name]
        if moved and self._cursor_timer is not None:
            self._cursor_timer.cancel()
            self._cursor_timer = None
        if self._moved and self._cursor_timer is None:
            self._cursor_timer = asyncio.get_running_loop().call_later(CURSOR_DELAY, self._wake.set)
        self._done += len(batch)
        while self._flushers and self._flushers[0][0] <= self._committed:
            _resolve(heapq.heappop(self._flushers)[2])
        while self._drainers and self._drainers[0][0] <= self._done:
            _resolve(self._drainers.popleft()[1])
        for follower in self._followers:
            _resolve(follower)

    def _reject(self, batch: Sequence[Item], error: RejectedStatement) -> None:
        """Let go of the one item that the database will never take, so that the others get through."""
        if not batch:
            self._moved.clear()
            return
        item = self._waiting.popleft()
        self._done += 1
        self._tell(False, f"a record was let go: {error}")
        if isinstance(item, Fact):
            self._lose(item.seq)
        else:
            self.lost += 1

    def _take(self, item: Item) -> bool:
        if self._ended is not None or self._closing or len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append(item)
        self._taken += 1
        self._gather()
        return True

    def _gather(self) -> None:
        """Write soon, or now when somebody waits for it."""
        if self._pressing():
            self._wake.set()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER, self._wake.set)

    def _pressing(self) -> bool:
        return self._closing or len(self._waiting) >= MAX_BATCH or bool(self._flushers or self._drainers)

    def _lose(self, seq: int) -> None:
        """Remember that a fact is not written, as a stretch from first to last."""
        self.lost += 1
        if self._missing and self._missing[-1][1] == seq - 1:
            self._missing.append((self._missing.pop()[0], seq))
        else:
            self._missing.append((seq, seq))
        for _, _, waiter in [each for each in self._flushers if each[0] == seq]:
            if not waiter.done():
                waiter.set_exception(StorageError(f"fact {seq} was not written: {self.detail}"))

    def _tell(self, healthy: bool, detail: str) -> None:
        if (healthy, detail) != (self.healthy, self.detail):
            self.healthy, self.detail = healthy, detail
            if self.on_state is not None:
                self.on_state(healthy, detail)

    def _end(self, error: StorageError) -> None:
        self._ended = error
        for timer in (self._cursor_timer, self._gathering):
            if timer is not None:
                timer.cancel()
        self._waiting.clear()
        waiters = [waiter for _, _, waiter in self._flushers]
        waiters += [waiter for _, waiter in self._drainers]
        waiters += self._followers
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)
        self._flushers.clear()
        self._drainers.clear()

    def _writer_ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end(StorageError(f"the log's writer failed: {error!r}"))
            self._tell(False, str(self._ended))

    async def _rows(self, after: int, limit: int, call_id: str | None) -> list[Row]:
        if call_id is None:
            return await self._database.fetch_all(f"{_SELECT} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
        return await self._database.fetch_all(
            f"{_SELECT} WHERE call_id = ? AND seq > ? ORDER BY seq LIMIT ?", (call_id, after, limit)
        )


_SELECT = "SELECT seq, at, boot, ms, call_id, kind, body FROM facts"
_INSERT = "INSERT INTO facts (seq, at, boot, ms, call_id, kind, body) VALUES "
_ROW = "(?, ?, ?, ?, ?, ?, ?)"
# Most rows of one statement.
_ROWS = 32
_ARRIVED = "INSERT INTO open_calls (call_id, seq) VALUES (?, ?) ON CONFLICT (call_id) DO NOTHING"
_CURSOR = "INSERT INTO cursors (name, seq) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq"
# Compare and set: our epoch, the head we left, and nothing in the table beyond it.
_ADVANCE = (
    "UPDATE writers SET head = ? WHERE log = 'facts' AND epoch = ? AND head = ?"
    " AND NOT EXISTS (SELECT 1 FROM facts WHERE seq > ?) RETURNING head"
)


def _inserts(rows: Sequence[Sequence[Value]]) -> Iterator[Statement]:
    """Statements of so many rows as there are powers of two in them.

    With each the thread gives up the interpreter's lock, and waits until the loop has a moment for it: a statement for
    each row made six facts take 2.7 ms beside a busy loop (nine in ten), one for all of them 0.13.
    """
    at = 0
    while at < len(rows):
        count = min(_ROWS, 1 << (len(rows) - at).bit_length() - 1)
        yield _INSERT + ", ".join([_ROW] * count), list(itertools.chain.from_iterable(rows[at : at + count]))
        at += count


def _row(fact: Fact) -> tuple[int, str, str, int, str | None, str, str]:
    # JSON in ASCII carries whatever a peer sent, broken UTF-8 too, and gives it back unchanged.
    body = json_text(fact.body)
    call_id = None if fact.call_id is None else storable(fact.call_id)
    return fact.seq, utc(fact.at), fact.boot, fact.ms, call_id, fact.kind, body


def fact_of(row: Row) -> Fact:
    """A fact as the table holds it. Raises KeyError for a kind that this program does not know."""
    seq, at, boot, ms, call_id, kind, body = row
    return Fact(seq, datetime.fromisoformat(at), boot, ms, call_id, body_from_dict(kind, from_json(body)))


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
