"""Interactions: the saved record of each call, written by the log's writer, read by key."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from callcenter.model.facts import utc
from callcenter.model.interaction import Interaction
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import Database, Reading, Value, storable
from callcenter.storage.log import FactLog

# The most that one question returns: a screen shows some tens, a report asks again.
MAX_ROWS = 1_000


class Interactions:
    """What each call came to. Records are plain JSON values, as :meth:`Interaction.plain` gives them."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log

    def save(self, interaction: Interaction) -> None:
        """Write or overwrite a call's record, behind the facts written so far. Never waits.

        A record with ``ended_at`` is final: the call is closed for :meth:`unfinished`.
        """
        record = interaction.plain()
        ending = record["ending"] or {}
        values: tuple[Value, ...] = (
            record["call_id"],
            record["client"],
            storable(record["customer"]),
            storable(record["from_number"]),
            storable(record["to_number"]),
            record["arrived_at"],
            record["ended_at"],
            record["outcome"],
            storable(record["intent"]),
            record["queue"],
            record["agent"],
            record["wait_ms"],
            record["talk_ms"],
            record["hold_ms"],
            record["wrap_up_ms"],
            ending.get("by"),
            ending.get("cause"),
            json_text(record),
            record["direction"],
        )
        if record["ended_at"] is None:
            self._log.put((_UPSERT, values))
        else:
            self._log.put((_UPSERT, values), ("DELETE FROM open_calls WHERE call_id = ?", (record["call_id"],)))

    async def by_call(self, call_id: str) -> dict[str, Any] | None:
        """The record of one call, or None. Raises StorageError."""
        rows = await self._database.fetch_all("SELECT record FROM interactions WHERE call_id = ?", (call_id,))
        return from_json(rows[0][0]) if rows else None

    async def unfinished(self) -> list[str]:
        """The calls that arrived and have no final record, oldest first: what a restart has to close.

        Raises StorageError.
        """
        return [row[0] for row in await self._database.fetch_all("SELECT call_id FROM open_calls ORDER BY seq")]


# Who calls? Both are in the way of a call.


def recent_of_customer(reading: Reading, client: str, customer_id: str, limit: int = 5) -> list[dict[str, Any]]:
    """The last ended calls of a customer of this client, latest first."""
    if not customer_id:
        return []
    rows = reading.fetch_all(
        "SELECT record FROM interactions WHERE client = ? AND customer_id = ? AND customer_id <> ''"
        " AND ended_at IS NOT NULL ORDER BY arrived_at DESC, call_id DESC LIMIT ?",
        (client, storable(customer_id), min(limit, MAX_ROWS)),
    )
    return [from_json(row[0]) for row in rows]


def last_agent(reading: Reading, client: str, since: datetime, *, customer: str = "", number: str = "") -> str:
    """Who talked last in the last handled call of a customer of this client, or from a number, that arrived since.

    Calls that came in count, and those alone. ``number`` is as it was signalled. Empty when there was none, and for who
    has neither.
    """
    if not customer and not number:
        return ""
    params = (client, storable(customer), utc(since), client, storable(number), utc(since))
    rows = reading.fetch_all(WHO_ANSWERED_LAST, params)
    return rows[0][0] if rows else ""


# Each half is answered by the end of an index, of whom it asks for: the outcome has one too, of all that were handled,
# which is not to be taken.
WHO_ANSWERED_LAST = (
    "SELECT agent FROM ("
    + " UNION ALL ".join(
        "SELECT agent, arrived_at FROM (SELECT agent, arrived_at FROM interactions"
        f" WHERE client = ? AND {whose} AND arrived_at >= ? AND outcome || '' = 'handled' AND direction = 'inbound'"
        " AND agent <> '' ORDER BY arrived_at DESC LIMIT 1)"
        for whose in ("customer_id = ? AND customer_id <> ''", "from_number = ? AND from_number <> ''")
    )
    + ") ORDER BY arrived_at DESC LIMIT 1"
)
_COLUMNS = (
    "call_id, client, customer_id, from_number, to_number, arrived_at, ended_at, outcome, intent, queue, agent, "
    "wait_ms, talk_ms, hold_ms, wrap_up_ms, ended_by, cause, record, direction"
)
# Somebody may have become one with another customer while the call was up: it is that one's.
_OF_WHOM = "COALESCE((SELECT into_id FROM customer_merges WHERE client = ?2 AND id = ?3), ?3)"
_UPSERT = (
    f"INSERT INTO interactions ({_COLUMNS})"
    f" VALUES ({', '.join(_OF_WHOM if at == 3 else f'?{at}' for at in range(1, 20))})"
    " ON CONFLICT (call_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS.split(", ")[1:])
)
