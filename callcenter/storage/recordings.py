"""Recordings: the index of what was recorded, kept by the facts that tell of it; a row outlives its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from callcenter.model.facts import (
    Fact,
    RecordingDeleted,
    RecordingEnded,
    RecordingHeld,
    RecordingReleased,
    RecordingStarted,
    reads,
    utc,
)
from callcenter.storage.database import Database, Row, Value, storable
from callcenter.storage.log import FactLog

# The most that one question returns.
MAX_ROWS = 1_000
# Caller on the left, agent on the right.
CHANNELS = 2

RECORDING, KEPT, CUT, FAILED, DELETED = "recording", "kept", "cut", "failed", "deleted"


@dataclass(frozen=True, slots=True)
class Recording:
    """One row of the index. Times are UTC in ISO 8601; what has not happened is None.

    ``state``: ``recording``, ``kept``, ``cut`` (it ended before the talk did; what is there can be heard), ``failed``
    (there is no file), ``deleted``. ``path`` is below the folder of recordings. ``held_...``: who keeps it from being
    deleted by age or by hand.
    """

    recording: str
    call: str
    client: str
    queue: str
    agents: tuple[str, ...]
    started_by: str
    started_at: str
    ended_at: str | None
    length_ms: int
    channels: int
    octets: int
    sha256: str
    key: str
    path: str
    state: str
    reason: str
    detail: str
    held_by: str | None
    held_why: str | None
    held_at: str | None
    deleted_by: str | None
    deleted_why: str | None
    deleted_at: str | None

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in zip(
            self.__slots__, (getattr(self, name) for name in self.__slots__), strict=True
        )}  # fmt: skip


class Recordings:
    """A reader of facts, and the questions that are asked of what it wrote."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log

    @reads(RecordingDeleted, RecordingEnded, RecordingHeld, RecordingReleased, RecordingStarted)
    def take(self, fact: Fact) -> None:
        """Read one fact. Never waits."""
        at = utc(fact.at)
        match fact.body:
            case RecordingStarted() as body:
                self._log.put((_BEGIN, self._begun(body, fact.call_id or "", at)))
            case RecordingEnded() as body:
                state = KEPT if body.reason == "stopped" else CUT if body.octets else FAILED
                values = (at, body.length_ms, body.octets, body.sha256, storable(body.path), state, body.reason)
                self._log.put((_END, (*values, storable(body.detail), body.recording)))
            case RecordingHeld(recording=recording, by=by, why=why):
                self._log.put((_HOLD, (storable(by), storable(why), at, recording)))
            case RecordingReleased(recording=recording):
                self._log.put((_HOLD, (None, None, None, recording)))
            case RecordingDeleted(recording=recording, by=by, why=why):
                self._log.put((_DELETE, (DELETED, storable(by), storable(why), at, recording)))
            case _:
                pass

    def _begun(self, body: RecordingStarted, call_id: str, at: str) -> tuple[Value, ...]:
        agents = json.dumps([body.agent] if body.agent else [])
        of_whom = (body.recording, storable(call_id), storable(body.client), storable(body.queue), storable(agents))
        return (*of_whom, storable(body.by), at, CHANNELS, storable(body.key), storable(body.path), RECORDING)

    async def by_id(self, recording: str) -> Recording | None:
        """One recording, or None. Raises StorageError."""
        found = await self._rows("recording = ?", (storable(recording),), 1)
        return found[0] if found else None

    async def by_end(self, end: str) -> Recording | None:
        """The only recording whose id ends so, or None. Raises StorageError."""
        found = await self._rows("substr(recording, -length(?)) = ?", (storable(end), storable(end)), 2) if end else []
        return found[0] if len(found) == 1 else None

    async def find(
        self,
        *,
        client: str = "",
        agent: str = "",
        call: str = "",
        state: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
    ) -> list[Recording]:
        """Recordings of these, that began since and before, the latest first. Raises StorageError.

        ``call`` may be the end of a call's id. What is empty is not asked for.
        """
        asked: list[tuple[str, Value]] = []
        if client:
            asked.append(("client = ?", storable(client)))
        if agent:
            asked.append(("EXISTS (SELECT 1 FROM json_each(agents) WHERE value = ?)", storable(agent)))
        if call:
            asked.append(("substr(call_id, -length(?)) = ?", storable(call)))
        if state:
            asked.append(("state = ?", state))
        if since is not None:
            asked.append(("started_at >= ?", utc(since)))
        if until is not None:
            asked.append(("started_at < ?", utc(until)))
        where = " AND ".join(sql for sql, _ in asked) or "1"
        params = tuple(value for sql, value in asked for _ in range(sql.count("?")))
        return await self._rows(where, params, limit)

    async def unfinished(self) -> list[Recording]:
        """What a crash has cut: recordings that began and never ended. Raises StorageError."""
        return await self._rows("state = ?", (RECORDING,), MAX_ROWS)

    async def due(self, client: str, before: datetime, limit: int) -> list[Recording]:
        """A client's recordings that ended before, and are neither held nor deleted; the oldest first. Raises
        StorageError.

        Of one that failed, too, a piece may be there that could not be mended.
        """
        where = "client = ? AND ended_at < ? AND state IN ('kept', 'cut', 'failed') AND held_at IS NULL"
        return await self._rows(where, (storable(client), utc(before)), limit, order="ended_at")

    async def clients(self) -> list[str]:
        """Whose recordings there are. Raises StorageError."""
        return [row[0] for row in await self._database.fetch_all("SELECT DISTINCT client FROM recordings")]

    async def _rows(
        self, where: str, params: Sequence[Value], limit: int, *, order: str = "started_at DESC, recording DESC"
    ) -> list[Recording]:
        sql = f"SELECT {_COLUMNS} FROM recordings WHERE {where} ORDER BY {order} LIMIT ?"
        return [_recording(row) for row in await self._database.fetch_all(sql, (*params, min(limit, MAX_ROWS)))]


def _recording(row: Row) -> Recording:
    recording, call_id, client, queue, agents, *rest = row
    return Recording(recording, call_id, client, queue, tuple(json.loads(agents)), *rest)


_COLUMNS = (
    "recording, call_id, client, queue, agents, started_by, started_at, ended_at, length_ms, channels, octets, sha256,"
    " key_id, path, state, reason, detail, held_by, held_why, held_at, deleted_by, deleted_why, deleted_at"
)
# A statement may run twice: what is known of the row by then stays.
_BEGIN = (
    "INSERT INTO recordings (recording, call_id, client, queue, agents, started_by, started_at, channels, key_id, path,"
    " state, length_ms, octets, sha256, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '', '', '')"
    " ON CONFLICT (recording) DO NOTHING"
)
_END = (
    "UPDATE recordings SET ended_at = ?, length_ms = ?, octets = ?, sha256 = ?, path = ?, state = ?, reason = ?,"
    " detail = ? WHERE recording = ?"
)
_HOLD = "UPDATE recordings SET held_by = ?, held_why = ?, held_at = ? WHERE recording = ?"
_DELETE = "UPDATE recordings SET state = ?, deleted_by = ?, deleted_why = ?, deleted_at = ? WHERE recording = ?"
