"""Store: receivers of events, what each is still to be told, and what CRMs have answered, in the desk's database."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from callcenter.desk.integrations.lane import Attempt, Lane, Verdict
from callcenter.storage.database import Database, Row, Value, Writing

# What waits for one receiver. A receiver that is away for longer than these take hears of the oldest no more, unless
# they are replayed.
MOST_PENDING = 20_000
# How long is kept what was delivered, or given up: as long as it may be looked at and replayed.
KEPT_FOR = 14 * 86_400.0
# Rows that one statement of tidying takes away, so that no delivery waits for it.
TIDIED_AT_ONCE = 1_000

CURSOR = "webhooks"
# How far it was looked for who was erased, also while nobody is told of anything.
ERASURES = "erasures"


@dataclass(frozen=True, slots=True)
class Hook:
    """A receiver that was made by the API. ``former`` are the secrets of before, the latest first, with a space between
    them, good until ``former_until``.
    """

    id: str
    client: str
    url: str
    events: tuple[str, ...]
    description: str
    secret: str
    former: str
    former_until: float
    created_at: float
    created_by: str


@dataclass(frozen=True, slots=True)
class LaneRow:
    """How it goes with a receiver. It is told what happened after fact ``since``; ``enabled`` as somebody chose.

    ``removed_at``: since when it stands in the configuration no more (seconds since 1970); None: it does, or it was
    made by the API.
    """

    id: str
    since: int
    enabled: bool
    lane: Lane
    removed_at: float | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event for one receiver. ``n`` is its place in the order; times are seconds since 1970."""

    n: int
    id: str
    webhook: str
    client: str
    seq: int
    event: str
    call: str
    state: str
    attempts: int
    created_at: float
    queued_at: float
    attempted_at: float | None
    status: int
    error: str
    took_ms: int


@dataclass(frozen=True, slots=True)
class Event:
    """What a receiver is to be told of a fact: the delivery that it becomes."""

    id: str
    webhook: str
    client: str
    seq: int
    event: str
    call: str
    customer: str
    body: bytes
    state: Verdict = Verdict.RETRY
    error: str = ""


class Store:
    """The tables of the integrations. Every method raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Receivers

    async def hooks(self) -> list[Hook]:
        """Those that were made by the API, the oldest first."""
        rows = await self._database.fetch_all(f"SELECT {_HOOK} FROM webhooks ORDER BY created_at, id")
        return [_hook(row) for row in rows]

    async def save_hook(self, hook: Hook) -> None:
        """Write or overwrite one."""
        values = (
            hook.id,
            hook.client,
            hook.url,
            json.dumps(hook.events),
            hook.description,
            hook.secret,
            hook.former,
            hook.former_until,
            hook.created_at,
            hook.created_by,
        )
        names = _HOOK.split(", ")
        changed = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
        await self._database.execute(
            f"INSERT INTO webhooks ({_HOOK}) VALUES ({', '.join('?' * len(names))})"
            f" ON CONFLICT (id) DO UPDATE SET {changed}",
            values,
        )

    async def delete_hook(self, hook: str) -> None:
        """Away with a receiver, and with all that it was told or is to be told."""

        def write(writing: Writing) -> None:
            for table, column in (("webhooks", "id"), ("webhook_lanes", "id"), ("deliveries", "webhook")):
                writing.execute(f"DELETE FROM {table} WHERE {column} = ?", (hook,))

        await self._database.write(write)

    async def lanes(self) -> dict[str, LaneRow]:
        """How it goes with each."""
        rows = await self._database.fetch_all(
            "SELECT id, since, enabled, failures, failing_since, retry_at, disabled, removed_at FROM webhook_lanes"
        )
        return {row[0]: LaneRow(row[0], row[1], bool(row[2]), Lane(*row[3:7]), row[7]) for row in rows}

    async def begin_lane(self, hook: str, since: int) -> None:
        """The receiver is told what happens after fact ``since``; nothing changes when it is known already."""
        await self._database.execute(
            "INSERT INTO webhook_lanes (id, since) VALUES (?, ?) ON CONFLICT (id) DO NOTHING", (hook, since)
        )

    async def mark_removed(self, hook: str, at: float) -> None:
        """The receiver stands in the configuration no more."""
        await self._database.execute(
            "UPDATE webhook_lanes SET removed_at = ? WHERE id = ? AND removed_at IS NULL", (at, hook)
        )

    async def bring_back(self, hook: str, since: int) -> None:
        """It does again: it is told what waits for it still, and what happens after fact ``since``."""
        await self._database.execute(
            "UPDATE webhook_lanes SET removed_at = NULL, since = ? WHERE id = ? AND removed_at IS NOT NULL",
            (since, hook),
        )

    async def set_lane(self, hook: str, lane: Lane, *, enabled: bool) -> None:
        """Somebody turned it on or off."""
        await self._database.execute(
            "UPDATE webhook_lanes SET enabled = ?, failures = ?, failing_since = ?, retry_at = ?, disabled = ?"
            " WHERE id = ?",
            (int(enabled), *_lane(lane), hook),
        )

    # Deliveries

    async def cursor(self, name: str = CURSOR) -> int | None:
        """The last fact that was made deliveries of; None: none ever."""
        rows = await self._database.fetch_all("SELECT seq FROM integration_cursors WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else None

    async def set_cursor(self, name: str, seq: int) -> None:
        """A reader has come so far; it may be less than before."""
        await self._database.execute(
            "INSERT INTO integration_cursors (name, seq) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
            (name, seq),
        )

    async def take(self, events: Sequence[Event], cursor: int, now: float) -> None:
        """Queue what happened, and remember that we have come so far: both or neither.

        What is queued already stays as it is, so that facts may be read twice.
        """

        def write(writing: Writing) -> None:
            rows = [
                (
                    *(each.id, each.webhook, each.client, each.seq, each.event, each.call, each.customer, each.body),
                    *(each.state.value, each.error, now, now),
                )
                for each in events
            ]
            writing.execute_many(_QUEUE, rows)
            writing.execute(_MOVE_CURSOR, (CURSOR, cursor))
            for webhook in {each.webhook for each in events}:
                writing.execute(_SPILL, (webhook, webhook, MOST_PENDING))

        await self._database.write(write)

    async def begin_anew(self, head: int) -> None:
        """Go on behind this fact: the switch has none that we have come to."""

        def write(writing: Writing) -> None:
            writing.execute("UPDATE integration_cursors SET seq = ? WHERE name = ?", (head, CURSOR))
            writing.execute("UPDATE webhook_lanes SET since = MIN(since, ?)", (head,))

        await self._database.write(write)

    async def first(self, webhook: str) -> tuple[Delivery, bytes] | None:
        """What goes next to a receiver, with its body; None: nothing waits."""
        rows = await self._database.fetch_all(
            f"SELECT {_DELIVERY}, body FROM deliveries WHERE webhook = ? AND state = 'pending' ORDER BY n LIMIT 1",
            (webhook,),
        )
        return (Delivery(*rows[0][:-1]), bytes(rows[0][-1])) if rows else None

    async def settle(
        self, delivery: Delivery, attempt: Attempt, verdict: Verdict, lane: Lane, now: float, took_ms: int
    ) -> None:
        """What came of an attempt, and how it goes on with the receiver.

        What somebody has replayed, turned off or erased meanwhile stays so.
        """

        def write(writing: Writing) -> None:
            values = (verdict.value, now, attempt.status, attempt.why, took_ms, delivery.n, delivery.id)
            writing.execute(_SETTLE, values)
            writing.execute(
                "UPDATE webhook_lanes SET failures = ?, failing_since = ?, retry_at = ?, disabled = ? WHERE id = ?",
                (*_lane(lane), delivery.webhook),
            )

        await self._database.write(write)

    async def deliveries(self, webhook: str, *, before: int | None, state: str, limit: int) -> list[Delivery]:
        """The last ones of a receiver, the latest first, before number ``before``; of one ``state``, or of all."""
        rows = await self._database.fetch_all(
            f"SELECT {_DELIVERY} FROM deliveries WHERE webhook = ? AND n < ? AND (? = '' OR state = ?)"
            " ORDER BY n DESC LIMIT ?",
            (webhook, before if before is not None else 2**62, state, state, limit),
        )
        return [Delivery(*row) for row in rows]

    async def replay(self, webhook: str, delivery: str, now: float) -> Delivery | None:
        """Send one again, behind what waits, under the same id; None when there is none, or it was erased."""
        rows = await self._database.execute(
            "UPDATE deliveries SET n = (SELECT MAX(n) + 1 FROM deliveries), state = 'pending', attempts = 0,"
            " queued_at = ?, error = '' WHERE webhook = ? AND id = ? AND state IN ('delivered', 'given_up')"
            f" RETURNING {_DELIVERY}",
            (now, webhook, delivery),
        )
        return Delivery(*rows[0]) if rows else None

    async def replay_given_up(self, webhook: str, now: float) -> int:
        """Send all again that were given up, in the order in which they happened; how many."""

        def write(writing: Writing) -> int:
            found = writing.execute(
                "SELECT n FROM deliveries WHERE webhook = ? AND state = 'given_up' ORDER BY seq, n LIMIT ?",
                (webhook, MOST_PENDING),
            )
            last: int = writing.execute("SELECT COALESCE(MAX(n), 0) FROM deliveries")[0][0]
            writing.execute_many(
                "UPDATE deliveries SET n = ?, state = 'pending', attempts = 0, queued_at = ?, error = '' WHERE n = ?",
                [(last + place, now, row[0]) for place, row in enumerate(found, 1)],
            )
            return len(found)

        return await self._database.write(write)

    async def counts(self) -> dict[str, dict[str, int]]:
        """How many deliveries of each receiver are in each state."""
        found: dict[str, dict[str, int]] = {}
        rows = await self._database.fetch_all("SELECT webhook, state, COUNT(*) FROM deliveries GROUP BY webhook, state")
        for webhook, state, number in rows:
            found.setdefault(webhook, {})[state] = number
        return found

    async def oldest_pending(self) -> dict[str, float]:
        """Since when the first one waits, by receiver."""
        rows = await self._database.fetch_all(
            "SELECT webhook, MIN(created_at) FROM deliveries WHERE state = 'pending' GROUP BY webhook"
        )
        return dict(rows)

    async def tidy(self, now: float) -> None:
        """Away with what was kept for long enough: with receivers that were removed also what they were to be told."""
        for (hook,) in await self._database.fetch_all(
            "SELECT id FROM webhook_lanes WHERE removed_at < ?", (now - KEPT_FOR,)
        ):
            await self.delete_hook(hook)
        await self._database.execute(
            "DELETE FROM deliveries WHERE n IN (SELECT n FROM deliveries WHERE state <> 'pending'"
            " AND COALESCE(attempted_at, created_at) < ? LIMIT ?)",
            (now - KEPT_FOR, TIDIED_AT_ONCE),
        )
        await self._database.execute("DELETE FROM crm_answers WHERE kept_until < ?", (now,))

    # What CRMs answered

    async def remembered(self, client: str, key: str, now: float) -> Mapping[str, Any] | None:
        """The last good answer to the same question, while it is kept."""
        rows = await self._database.fetch_all(
            "SELECT customer FROM crm_answers WHERE client = ? AND key = ? AND kept_until >= ?", (client, key, now)
        )
        found: Mapping[str, Any] | None = json.loads(rows[0][0]) if rows else None
        return found

    async def remember(self, client: str, key: str, customer: Mapping[str, Any], kept_until: float) -> None:
        """Keep an answer."""
        await self._database.execute(
            "INSERT INTO crm_answers (client, key, customer_id, customer, kept_until) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (client, key) DO UPDATE SET customer_id = excluded.customer_id,"
            " customer = excluded.customer, kept_until = excluded.kept_until",
            (client, key, str(customer["id"]), json.dumps(customer), kept_until),
        )

    async def told_of(self, client: str) -> list[str]:
        """The calls of a client of which there is an event here that still says something."""
        rows = await self._database.fetch_all(
            "SELECT DISTINCT call_id FROM deliveries WHERE client = ? AND call_id <> '' AND state <> 'erased'",
            (client,),
        )
        return [row[0] for row in rows]

    async def erase(self, client: str, customers: Collection[str], calls: Collection[str] = ()) -> int:
        """Nothing of customers and of calls stays here: no event about them, sent or not; how many there were.

        With them goes what the client's CRM has answered, whomever it was about: it is kept by numbers and by the CRM's
        own ids, and is soon asked for again.
        """

        def write(writing: Writing) -> int:
            gone = writing.execute("DELETE FROM crm_answers WHERE client = ? RETURNING 1", (client,))
            emptied = [
                row
                for column, named in (("customer", customers), ("call_id", calls))
                for row in writing.execute(
                    "UPDATE deliveries SET body = x'', state = 'erased', error = '' WHERE client = ?"
                    f" AND {column} <> '' AND {column} IN (SELECT value FROM json_each(?)) AND state <> 'erased'"
                    " RETURNING 1",
                    (client, json.dumps(list(named))),
                )
            ]
            return len(gone) + len(emptied)

        found = await self._database.write(write)
        if found:
            # Nor in the log of what was written; where somebody reads just now, by the next checkpoint.
            await self._database.scrub()
        return found


_HOOK = "id, client, url, events, description, secret, former, former_until, created_at, created_by"
_DELIVERY = (
    "n, id, webhook, client, seq, event, call_id, state, attempts, created_at, queued_at, attempted_at, status, error,"
    " took_ms"
)
_QUEUE = (
    "INSERT INTO deliveries (id, webhook, client, seq, event, call_id, customer, body, state, error, created_at,"
    " queued_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"
)
_MOVE_CURSOR = (
    "INSERT INTO integration_cursors (name, seq) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET seq = MAX(seq, excluded.seq)"
)
_SPILL = (
    "UPDATE deliveries SET state = 'given_up', error = 'too many wait' WHERE webhook = ? AND state = 'pending'"
    " AND n <= (SELECT n FROM deliveries WHERE webhook = ? AND state = 'pending' ORDER BY n DESC LIMIT 1 OFFSET ?)"
)
_SETTLE = (
    "UPDATE deliveries SET state = ?, attempts = attempts + 1, attempted_at = ?, status = ?, error = ?, took_ms = ?"
    " WHERE n = ? AND id = ? AND state = 'pending'"
)


def _hook(row: Row) -> Hook:
    hook, client, url, events, *rest = row
    return Hook(hook, client, url, tuple(json.loads(events)), *rest)


def _lane(lane: Lane) -> tuple[Value, ...]:
    return lane.failures, lane.failing_since, lane.retry_at, lane.disabled
