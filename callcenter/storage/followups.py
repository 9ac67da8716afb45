"""Follow-ups: the table, which alone holds what they say of customers; written behind the facts that tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from callcenter.model.facts import utc
from callcenter.model.followup import CALLED_WITHIN, Attempt, Followup, FollowupKind, FollowupState, Promises, Told
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import Database, Reading, Row, Value, storable
from callcenter.storage.keeper import Keeper
from callcenter.storage.log import FactLog

# The most that one question returns.
MAX_ROWS = 500
# Read at once at the start.
CHUNK = 5_000
# What a screen shows of a caller's open ones.
MOST_OF_CALLER = 5


@dataclass(slots=True)
class Open:
    """What is kept in memory of one that is open: what its timer and the counts need, and nothing it says."""

    id: str
    client: str
    agent: str
    queue: str
    callback: str
    due: float
    told: int
    revision: int


@dataclass(frozen=True, slots=True)
class Asked:
    """Which follow-ups are asked for; what is empty asks nothing. ``clients`` None: all."""

    clients: frozenset[str] | None = None
    state: str = ""
    agent: str = ""
    queue: str = ""
    customer: str = ""
    call: str = ""
    kind: str = ""
    due_after: datetime | None = None
    due_before: datetime | None = None


class Followups:
    """One row for each follow-up, open or not."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log
        self._keeper = Keeper(log)

    def keep(self, followup: Followup) -> None:
        """This is how it stands with a follow-up from now on. Never waits."""
        values: tuple[Value, ...] = (
            followup.id,
            followup.client,
            followup.kind.value,
            followup.state.value,
            storable(followup.title),
            storable(followup.text),
            utc(followup.due_at),
            followup.due_local,
            followup.zone,
            storable(followup.customer),
            storable(followup.number),
            storable(followup.call),
            followup.queue,
            followup.agent,
            followup.made_by,
            followup.callback,
            json_text([each.plain() for each in followup.attempts]),
            storable(followup.created_by),
            utc(followup.created_at),
            storable(followup.done_by),
            None if followup.done_at is None else utc(followup.done_at),
            followup.revision,
            int(followup.told),
        )
        self._keeper.put((_UPSERT, values))

    def mark(self, followup: str, told: Told) -> None:
        """So much was told of one. Never waits; written together with the fact before it."""
        self._log.put(("UPDATE followups SET told = ? WHERE id = ?", (int(told), followup)))

    def hand(self, followup: str, agent: str, queue: str, revision: int) -> None:
        """One has another owner. Never waits."""
        sql = "UPDATE followups SET agent = ?, queue = ?, revision = ? WHERE id = ?"
        self._log.put((sql, (agent, queue, revision, followup)))

    async def kept(self, within: float) -> None:
        """Until all that was told so far is in the database, :meth:`Keeper.kept`. Raises TimeoutError, StorageError."""
        await self._keeper.kept(within)

    async def load_open(self) -> list[Open]:
        """All that are open, without what they say. Raises StorageError."""
        found: list[Open] = []
        after = ""
        while True:
            rows = await self._database.fetch_all(
                "SELECT id, client, agent, queue, callback, due_at, told, revision FROM followups"
                f" WHERE state = 'open' AND id > ? ORDER BY id LIMIT {CHUNK}",
                (after,),
            )
            for name, client, agent, queue, callback, due, told, revision in rows:
                at = datetime.fromisoformat(due).timestamp()
                found.append(Open(name, client, agent, queue, callback, at, told, revision))
            if len(rows) < CHUNK:
                return found
            after = rows[-1][0]

    async def by_id(self, followup: str) -> Followup | None:
        """One of them, or None. Raises StorageError."""
        found = await self._rows("id = ?", (storable(followup),), 1)
        return found[0] if found else None

    async def find(self, asked: Asked, *, after: tuple[str, str] = ("", ""), limit: int = 50) -> list[Followup]:
        """Those that are asked for, by due time, from behind (due_at, id) on. Raises StorageError."""
        where, params = _where(asked)
        where.append("(due_at, id) > (?, ?)")
        params += map(storable, after)
        return await self._rows(" AND ".join(where), params, min(limit, MAX_ROWS), index=_index(asked))

    async def promises(self, asked: Asked, *, by_agent: bool = False) -> list[Promises]:
        """How those that fell due in a time were kept, by client and, where asked for, agent. Raises StorageError."""
        where, params = _where(asked)
        where.append("state <> 'cancelled'")
        # Whose promise it was: who made it, else who has it.
        agent = "CASE WHEN made_by <> '' THEN made_by ELSE agent END" if by_agent else "''"
        rows = await self._database.fetch_all(
            f"SELECT client, {agent}, SUM(state = 'done' AND ({_IN_TIME})),"
            f" SUM(state = 'done' AND NOT ({_IN_TIME})), SUM(state = 'open')"
            f" FROM followups WHERE {' AND '.join(where)} GROUP BY 1, 2 ORDER BY 1, 2",
            params,
        )
        return [Promises(*row) for row in rows]

    async def knows_customer(self, client: str, customer: str) -> bool:
        """Whether this client has such a customer. Raises StorageError."""
        params = (client, storable(customer))
        return bool(await self._database.fetch_all("SELECT 1 FROM customers WHERE client = ? AND id = ?", params))

    async def _rows(self, where: str, params: Sequence[Value], limit: int, *, index: str = "") -> list[Followup]:
        sql = f"SELECT {_COLUMNS} FROM followups {index} WHERE {where} ORDER BY due_at, id LIMIT ?"
        return [_followup(row) for row in await self._database.fetch_all(sql, (*params, limit))]


def of_caller(reading: Reading, client: str, customer: str, number: str) -> tuple[int, list[Followup]]:
    """How many are open for a customer of this client, or a number, and the next of them."""
    if not customer and not number:
        return 0, []
    rows = reading.fetch_all(
        _OF_CALLER, (client, storable(customer), client, storable(customer), client, storable(number))
    )
    return (rows[0][-1] if rows else 0), [_followup(row[:-1]) for row in rows]


def _where(asked: Asked) -> tuple[list[str], list[Value]]:
    where, params = [], list[Value]()
    if asked.customer and asked.clients is not None and len(asked.clients) == 1:
        where.append(f"customer <> '' AND {_OF_CUSTOMER}")
        params += [storable(asked.customer), *asked.clients, storable(asked.customer)]
    elif asked.customer:
        where.append("customer = ?")
        params.append(storable(asked.customer))
    for name in ("state", "agent", "queue", "kind"):
        if value := getattr(asked, name):
            where.append(f"{name} = ?")
            params.append(storable(value))
    if asked.call:
        where.append("call_id <> '' AND call_id = ?")
        params.append(storable(asked.call))
    if asked.due_after is not None:
        where.append("due_at >= ?")
        params.append(utc(asked.due_after))
    if asked.due_before is not None:
        where.append("due_at < ?")
        params.append(utc(asked.due_before))
    if asked.clients is not None:
        where.append(f"client IN ({', '.join('?' * len(asked.clients))})")
        params.extend(sorted(asked.clients))
    return where or ["1"], params


def _followup(row: Row) -> Followup:
    (name, client, kind, state, title, text, due_at, due_local, zone, customer, number, call, queue, agent, made_by,
     callback, attempts, created_by, created_at, done_by, done_at, revision, told) = row  # fmt: skip
    return Followup(
        id=name,
        client=client,
        kind=FollowupKind(kind),
        state=FollowupState(state),
        title=title,
        text=text,
        due_at=datetime.fromisoformat(due_at),
        due_local=due_local,
        zone=zone,
        customer=customer,
        number=number,
        call=call,
        queue=queue,
        agent=agent,
        made_by=made_by,
        callback=callback,
        attempts=tuple(Attempt.from_plain(each) for each in from_json(attempts)),
        created_by=created_by,
        created_at=datetime.fromisoformat(created_at),
        done_by=done_by,
        done_at=None if done_at is None else datetime.fromisoformat(done_at),
        revision=revision,
        told=Told(told),
    )


_COLUMNS = (
    "id, client, kind, state, title, text, due_at, due_local, zone, customer, number, call_id, queue, agent, made_by,"
    " callback, attempts, created_by, created_at, done_by, done_at, revision, told"
)
# What is SQLite's own, all of it here; elsewhere other words stand in these places. Instants are text, and are reckoned
# with as days. And which index, where an order or a state has one too.
_WITHIN = f"julianday(done_at) <= julianday(due_at) + {CALLED_WITHIN} / 86400.0"


def _index(asked: Asked) -> str:
    """Of one call, or one customer, there are few: their index is the one to use, and not that by due time."""
    if asked.call:
        return "INDEXED BY followups_of_call"
    one_client = asked.clients is not None and len(asked.clients) == 1
    return "INDEXED BY followups_of_customer" if asked.customer and one_client else ""


# The customer's own, and those of records that became one with it.
_OF_CUSTOMER = "customer IN (SELECT ? UNION ALL SELECT id FROM customer_merges WHERE client = ? AND into_id = ?)"
# Each half is answered by the index of whom it asks for; the state has one too, of all that are open, which is not to
# be taken: a caller waits.
_OF_CALLER = (
    f"SELECT {_COLUMNS}, COUNT(*) OVER () FROM followups WHERE id IN ("
    f"SELECT id FROM followups WHERE client = ? AND customer <> '' AND {_OF_CUSTOMER} AND state || '' = 'open' UNION "
    "SELECT id FROM followups WHERE client = ? AND number <> '' AND number = ? AND state || '' = 'open'"
    f") ORDER BY due_at, id LIMIT {MOST_OF_CALLER}"
)
_IN_TIME = f"done_at <= due_at OR kind = 'callback' AND {_WITHIN}"
_UPSERT = (
    f"INSERT INTO followups ({_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS.split(', ')))})"
    f" ON CONFLICT (id) DO UPDATE SET "
    + ", ".join(f"{each.strip()} = excluded.{each.strip()}" for each in _COLUMNS.split(",")[1:])
)
