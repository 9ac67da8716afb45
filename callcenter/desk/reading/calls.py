"""Calls as they are read: pages of them by what is asked for, and one with all that is kept of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callcenter.desk.reading.paging import DEFAULT_LIMIT, Part, Table, read_page
from callcenter.model.facts import BODIES, CallArrived, utc
from callcenter.model.interaction import Interaction
from callcenter.model.states import Direction
from callcenter.runtime.encoding import from_json
from callcenter.storage.database import Database, Row, Value, storable
from callcenter.storage.log import fact_of

_COLUMNS = (
    "call_id", "client", "customer_id", "direction", "from_number", "to_number", "arrived_at", "ended_at", "outcome",
    "intent", "queue", "agent", "wait_ms", "talk_ms", "hold_ms", "wrap_up_ms", "ended_by", "cause",
)  # fmt: skip
_NAMES = {"call_id": "call", "customer_id": "customer", "from_number": "from", "to_number": "to"}
# Of one call: a caller who presses keys all day makes no more.
MAX_FACTS = 10_000
TABLE = Table("interactions", ", ".join(_COLUMNS), "arrived_at", "call_id")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which calls: what is empty is not asked for.

    ``agent`` is the one who talked last, ``number`` the customer's, as it was signalled or dialled, ``since`` and
    ``until`` when the call arrived (from then on, and before).
    """

    client: str = ""
    queue: str = ""
    agent: str = ""
    customer: str = ""
    number: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def parts(self, client: str) -> list[Part]:
        """The question as pieces, each of which an index answers."""
        asked: list[tuple[str, tuple[Value, ...]]] = [("client = ?", (client,))]
        for column, value in (("queue", self.queue), ("agent", self.agent), ("customer_id", self.customer)):
            if value:
                # What a partial index leaves out must be left out here too, by name.
                asked.append((f"{column} = ? AND {column} <> ''", (storable(value),)))
        if self.outcome:
            asked.append(("outcome = ?", (self.outcome,)))
        if self.since is not None:
            asked.append(("arrived_at >= ?", (utc(self.since),)))
        if self.until is not None:
            asked.append(("arrived_at < ?", (utc(self.until),)))
        if not self.number:
            return [_part(asked)]
        number = (storable(self.number),)
        return [
            _part([*asked, ("from_number = ? AND from_number <> ''", number)]),
            _part([*asked, ("to_number = ? AND direction <> 'inbound'", number)]),
        ]


def _part(asked: Sequence[tuple[str, tuple[Value, ...]]]) -> Part:
    return Part(" AND ".join(sql for sql, _ in asked), tuple(value for _, values in asked for value in values))


class Calls:
    """Questions about calls. ``clients``: whose calls may be seen; None: everybody's. All of it raises StorageError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        asked: Filter,
        clients: frozenset[str] | None,
        *,
        after: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Calls, the latest first, and the cursor of the next ones. Raises BadCursor."""
        seen = [asked.client] if asked.client else await self.clients() if clients is None else clients
        parts = [part for client in sorted(seen) if _may(client, clients) for part in asked.parts(client)]
        page = await read_page(self._database, TABLE, parts, after, limit)
        return [_summary(row) for row in page.rows], page.next

    async def clients(self) -> list[str]:
        """Whose calls there are; the index is entered once for each."""
        return [row[0] for row in await self._database.fetch_all(_CLIENTS)]

    async def one(self, call_id: str, clients: frozenset[str] | None) -> dict[str, Any] | None:
        """The record of a call, as :meth:`Interaction.plain` gives it; None when there is none to be seen.

        Of a call that is up it is what it has come to by now.
        """
        rows = await self._database.fetch_all(
            "SELECT client, record FROM interactions WHERE call_id = ?", (storable(call_id),)
        )
        if rows:
            record: dict[str, Any] = from_json(rows[0][1])
            return record if _may(rows[0][0], clients) else None
        rows = await self._database.fetch_all(_FACTS, (storable(call_id), MAX_FACTS))
        facts = [fact_of(row) for row in rows if row[5] in BODIES]
        if not facts or not isinstance(facts[0].body, CallArrived) or not _may(facts[0].body.client, clients):
            return None
        return Interaction.from_facts(facts).plain()


def _may(client: str, clients: frozenset[str] | None) -> bool:
    return clients is None or client in clients


def _summary(row: Row) -> dict[str, Any]:
    return {_NAMES.get(name, name): value for name, value in zip(_COLUMNS, row, strict=True)}


def summary_for_client(call: dict[str, Any]) -> dict[str, Any]:
    """A call of a list for the client company: without the house's people."""
    ours = {} if call["direction"] == "inbound" else {"from": ""}
    return {**call, "agent": "", **ours}


def for_agent(record: Mapping[str, Any], agent: str) -> dict[str, Any]:
    """A call's record for an agent: as its timeline, with what the caller entered only for who has talked in it.

    Whether an agent is to know that somebody listens is the company's to say, and the agent's state says it.
    """
    shown = {**record, "supervisions": []}
    if not agent or agent not in {record.get("dialled_by"), *(leg["agent"] for leg in record["legs"])}:
        shown |= _in_stars(record)
    return shown


def _in_stars(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the caller entered, and what was noted of it, in as many stars: as in the call's timeline."""
    return {
        "digits": ["*" * len(each) for each in record["digits"]],
        "attributes": {name: "*" * len(value) for name, value in record["attributes"].items()},
    }


def for_client(record: Mapping[str, Any]) -> dict[str, Any]:
    """A call's record for the client company: what its customer did and got, and nobody of the house.

    Who answered, was offered the call, listened in, or corrected what, is the house's own, and so is how it sounded to
    whom. What was entered is for who talked to them: the company sees stars, here as in the timeline. What is added to
    records is not told before it is named here.
    """
    shown = {**_only(record, _OF_A_CALL), **_in_stars(record)}
    for name, fields in _OF_ITS_PARTS.items():
        shown[name] = [_only(each, fields) for each in record.get(name, ())]
    if record.get("direction") != Direction.INBOUND:
        shown["from_number"] = shown["from_name"] = ""
    return shown


_OF_A_CALL = (
    "call_id", "client", "flow", "from_number", "from_name", "to_number", "arrived_at", "answered_at", "ended_at",
    "language", "intent", "customer", "match", "ivr_ms", "duration_ms", "outcome", "ending", "direction",
    "diverted_number", "diverted_why", "callback", "queue", "wait_ms", "talk_ms", "hold_ms", "wrap_up_ms",
)  # fmt: skip
_OF_ITS_PARTS: Mapping[str, tuple[str, ...]] = {
    "visits": ("id", "queue", "wait_ms", "outcome", "reason", "positions", "number"),
    "legs": ("talk_ms", "hold_ms", "wrap_up_ms", "ended_by", "disposition", "queue"),
    "outside": ("number", "talk_ms", "hold_ms", "ended_by"),
    "transfers": ("kind", "to", "failed"),
    "recordings": ("id", "from_ms", "length_ms", "paused_ms", "state"),
}


def _only(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


# One step of the index for each client, however many calls there are.
_CLIENTS = (
    "WITH RECURSIVE found (client) AS (SELECT MIN(client) FROM interactions UNION ALL SELECT"
    " (SELECT MIN(client) FROM interactions WHERE client > found.client) FROM found WHERE found.client IS NOT NULL)"
    " SELECT client FROM found WHERE client IS NOT NULL ORDER BY client"
)
_FACTS = "SELECT seq, at, boot, ms, call_id, kind, body FROM facts WHERE call_id = ? ORDER BY seq LIMIT ?"
