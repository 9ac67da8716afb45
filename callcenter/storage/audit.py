"""Audit: who had what changed and what came of it; and the answers of a day, for who asks the same again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from callcenter.model.facts import utc
from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import Database, Row, Value, storable
from callcenter.storage.log import FactLog

# Long enough for what somebody finds in the books of last year.
KEPT = timedelta(days=800)
# Who repeats a request does so within minutes; a day is for a machine that was down over night.
ANSWERS_KEPT = timedelta(days=1)
# A result that is longer is a list, and is looked up again.
LONGEST_RESULT = 64 * 1024
MOST = 500
DONE = "done"


@dataclass(frozen=True, slots=True)
class Act:
    """Something that was asked for. ``at`` is ISO 8601 UTC; ``via``: control, desk or mqtt; ``outcome``: done, or why
    not in a word. ``target`` is the id of what was to be changed, ``command`` the request's own.
    """

    id: int
    at: str
    user: str
    role: str
    via: str
    action: str
    client: str = ""
    target: str = ""
    outcome: str = DONE
    command: str = ""

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command was answered: its name (empty: written by a program that did not say), the digest of all that was
    asked (empty: forgotten), and the result.
    """

    do: str
    digest: bytes
    result: Mapping[str, Any]


class Audit:
    """The two tables. What is written goes behind the facts so far: an act is not kept without what came of it."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log

    def note(self, act: Act) -> None:
        """Write an act down; its ``id`` is given here. Never waits."""
        words = (act.at, act.user, act.role, act.via, act.action, act.client, act.target, act.outcome, act.command)
        self._log.put((_NOTE, tuple(storable(word) for word in words)))

    def keep(self, asked_by: str, command: str, answer: Answer, skeleton: Mapping[str, Any], at: datetime) -> None:
        """Keep an answer for a day, or its ``skeleton`` where it must be forgotten meanwhile. Never waits."""
        text, rest = json_text(answer.result), json_text(skeleton)
        kept = text if len(text) <= LONGEST_RESULT else rest
        self._log.put((_KEEP, (storable(asked_by), command, answer.do, answer.digest, kept, rest, utc(at))))

    def forget_answers(self) -> None:
        """Let go of what was asked and answered, but that it was done: somebody is erased, and may stand in it.

        Never waits.
        """
        self._log.put(("DELETE FROM answers WHERE do = ''", ()), (_FORGET, ()))

    def prune(self, now: datetime) -> None:
        """Let go of what is older than it need be kept. Never waits."""
        self._log.put(
            ("DELETE FROM audit WHERE at < ?", (utc(now - KEPT),)),
            ("DELETE FROM answers WHERE at < ?", (utc(now - ANSWERS_KEPT),)),
        )

    async def answer(self, asked_by: str, command: str, now: datetime) -> Answer | None:
        """What was answered within a day. Raises StorageError."""
        rows = await self._database.fetch_all(
            "SELECT do, digest, result FROM answers WHERE asked_by = ? AND command = ? AND at >= ?",
            (storable(asked_by), command, utc(now - ANSWERS_KEPT)),
        )
        return Answer(rows[0][0], rows[0][1], from_json(rows[0][2])) if rows else None


async def find_acts(
    database: Database,
    *,
    clients: frozenset[str] | None = None,
    user: str = "",
    action: str = "",
    target: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Act]:
    """What was asked for, the latest first; of these ``clients`` alone (None: all, and what is no client's).

    ``before`` is the id of the last one that is known. What is empty is not asked for. Raises StorageError.
    """
    asked: list[tuple[str, Value]] = []
    for column, value in (("user", user), ("action", action), ("target", target)):
        if value:
            asked.append((f"{column} = ?", storable(value)))
    if since is not None:
        asked.append(("at >= ?", utc(since)))
    if until is not None:
        asked.append(("at < ?", utc(until)))
    if before is not None:
        asked.append(("id < ?", before))
    where = [sql for sql, _ in asked]
    params = [value for _, value in asked]
    if clients is not None:
        where.append(f"client IN ({', '.join('?' for _ in clients)})")
        params += sorted(clients)
    rows = await database.fetch_all(
        f"SELECT {_COLUMNS} FROM audit WHERE {' AND '.join(where) or '1'} ORDER BY id DESC LIMIT ?",
        (*params, min(limit, MOST)),
    )
    return [_act(row) for row in rows]


def _act(row: Row) -> Act:
    return Act(*row)


_COLUMNS = "id, at, user, role, via, action, client, target, outcome, command"
_NOTE = (
    "INSERT INTO audit (at, user, role, via, action, client, target, outcome, command)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_KEEP = (
    "INSERT INTO answers (asked_by, command, do, digest, result, skeleton, at) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (asked_by, command) DO UPDATE SET do = excluded.do,"
    " digest = excluded.digest, result = excluded.result, skeleton = excluded.skeleton, at = excluded.at"
)
_FORGET = "UPDATE answers SET result = skeleton, digest = X'' WHERE digest <> X''"
