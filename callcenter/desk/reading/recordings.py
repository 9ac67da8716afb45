"""Recordings as they are read: pages of the index, and the sound of a file from any place on, unsealed as it goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from callcenter.desk.reading.paging import DEFAULT_LIMIT, Part, Table, read_page
from callcenter.media.embedded.recorder.files import wav_header
from callcenter.media.embedded.recorder.keys import MasterKeys
from callcenter.media.embedded.recorder.sealing import CHUNK, MAGIC, Opened, SealError
from callcenter.model.facts import utc
from callcenter.runtime.encoding import from_json
from callcenter.storage.database import Database, Row, Value, storable

_COLUMNS = (
    "recording", "call_id", "client", "queue", "agents", "started_by", "started_at", "ended_at", "length_ms",
    "channels", "octets", "sha256", "key_id", "state", "reason", "detail", "held_by", "held_why", "held_at",
    "deleted_by", "deleted_why", "deleted_at",
)  # fmt: skip
_NAMES = {"call_id": "call", "key_id": "key"}
TABLE = Table("recordings", ", ".join(_COLUMNS), "started_at", "recording")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which recordings: what is empty is not asked for; ``since`` and ``until`` when they began."""

    client: str = ""
    call: str = ""
    agent: str = ""
    queue: str = ""
    state: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def part(self, client: str) -> Part:
        """The question for one client."""
        # Of one call there are few, and its own index finds them: the other one is not to be taken for the order.
        asked: list[tuple[str, Value]] = [("+client = ?" if self.call else "client = ?", client)]
        for column, value in (("call_id", self.call), ("queue", self.queue), ("state", self.state)):
            if value:
                asked.append((f"{column} = ?", storable(value)))
        if self.agent:
            asked.append(("EXISTS (SELECT 1 FROM json_each(agents) WHERE value = ?)", storable(self.agent)))
        if self.since is not None:
            asked.append(("started_at >= ?", utc(self.since)))
        if self.until is not None:
            asked.append(("started_at < ?", utc(self.until)))
        return Part(" AND ".join(sql for sql, _ in asked), tuple(value for _, value in asked))


class Recordings:
    """Questions about recordings. ``clients`` are those whose may be seen; None: all. All of it raises StorageError."""

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
        """Recordings, the latest first, and the cursor of the next ones. Raises BadCursor."""
        if asked.client:
            seen = [asked.client]
        elif clients is not None:
            seen = sorted(clients)
        else:
            seen = [row[0] for row in await self._database.fetch_all(_CLIENTS)]
        parts = [asked.part(client) for client in seen if clients is None or client in clients]
        page = await read_page(self._database, TABLE, parts, after, limit)
        return [_plain(row) for row in page.rows], page.next

    async def one(self, recording: str, clients: frozenset[str] | None) -> dict[str, Any] | None:
        """One recording; None when there is none to be seen."""
        rows = await self._database.fetch_all(
            f"SELECT {TABLE.columns} FROM recordings WHERE recording = ?", (storable(recording),)
        )
        if not rows or (clients is not None and rows[0][2] not in clients):
            return None
        return _plain(rows[0])

    async def path(self, recording: str) -> str:
        """Where its file stands, below the folder of recordings; empty: there is none."""
        rows = await self._database.fetch_all(
            "SELECT path FROM recordings WHERE recording = ? AND state IN ('kept', 'cut')", (storable(recording),)
        )
        return str(rows[0][0]) if rows else ""


def for_client(recording: dict[str, Any]) -> dict[str, Any]:
    """A recording for the client company: without the house's people, and what they have noted of it."""
    hidden = dict.fromkeys(("started_by", "held_by", "held_why", "deleted_by", "deleted_why"))
    return {**recording, **hidden, "agents": [], "detail": ""}


def _plain(row: Row) -> dict[str, Any]:
    values = {_NAMES.get(name, name): value for name, value in zip(_COLUMNS, row, strict=True)}
    return {**values, "agents": from_json(values["agents"])}


class NotThere(Exception):
    """There is no sound to be given; one line."""


class Sound:
    """The file of a recording as a WAV file, whose octets can be read from any place on.

    A sealed one is opened chunk by chunk, where it is read; nothing of it is written anywhere. ``size`` is in octets.
    Use it by ``with``. What reads files takes its time: not on a loop.
    """

    def __init__(self, path: Path, keys: MasterKeys) -> None:
        """Open a file. Raises NotThere."""
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise NotThere(
                f"the file of the recording cannot be read: {(error.strerror or str(error)).lower()}"
            ) from None
        try:
            sealed = self._file.read(len(MAGIC)) == MAGIC
            self._file.seek(0)
            self._opened = Opened(self._file, keys) if sealed else None
            if self._opened is None:
                self._header = b""
                self.size = os.fstat(self._file.fileno()).st_size
            else:
                octets = self._opened.octets
                self._header = wav_header(self._opened.format, octets)
                self.size = len(self._header) + octets
        except (SealError, OSError) as error:
            self._file.close()
            raise NotThere(f"the recording {error}") from None

    def __enter__(self) -> Sound:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close. May be called twice."""
        self._file.close()

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """The octets from ``start`` on, piece by piece. Raises NotThere where a piece does not open."""
        end = min(start + length, self.size)
        head = len(self._header)
        if start < min(head, end):
            yield self._header[start : min(head, end)]
            start = head
        while start < end:
            piece = self._piece(start - head)[: end - start]
            if not piece:
                raise NotThere("the recording is shorter than it was")
            yield piece
            start += len(piece)

    def _piece(self, place: int) -> bytes:
        """What is stored from ``place`` of the sound on, to the end of its chunk."""
        if self._opened is None:
            self._file.seek(place)
            return self._file.read(CHUNK)
        number, within = divmod(place, CHUNK)
        try:
            return self._opened.chunk(number)[within:]
        except SealError as error:
            raise NotThere(f"the recording {error}") from None


def sound_of(folder: Path, path: str, keys: MasterKeys | None) -> Sound:
    """The sound of the file at ``path`` below the folder of recordings. Raises NotThere."""
    whole = (folder / path).resolve()
    if not whole.is_relative_to(folder.resolve()):
        raise NotThere("the recording stands outside of the folder of recordings")
    return Sound(whole, keys or MasterKeys(()))


# One step of the index for each client, however many recordings there are.
_CLIENTS = (
    "WITH RECURSIVE found (client) AS (SELECT MIN(client) FROM recordings UNION ALL SELECT"
    " (SELECT MIN(client) FROM recordings WHERE client > found.client) FROM found WHERE found.client IS NOT NULL)"
    " SELECT client FROM found WHERE client IS NOT NULL ORDER BY client"
)
