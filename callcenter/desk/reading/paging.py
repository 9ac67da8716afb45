"""Paging: lists in pages, latest first, each with a cursor from where the next one goes on."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from callcenter.runtime.encoding import from_json, json_text
from callcenter.storage.database import Database, Row, Value, storable

DEFAULT_LIMIT = 50
MAX_LIMIT = 500
# A cursor is a moment and an id; whatever is longer is none of ours.
MAX_CURSOR = 400
# Parts of one question; SQLite joins no more than 500.
MAX_PARTS = 200


class BadCursor(ValueError):
    """A cursor that was not given out here; one line."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and the cursor of the next ones; None: there are no more."""

    rows: Sequence[Row]
    next: str | None


def cursor_of(at: str, id: str) -> str:
    """The cursor behind a row."""
    return base64.urlsafe_b64encode(json_text([at, id]).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[str, str]:
    """The moment and the id of the row that a cursor stands behind. Raises BadCursor."""
    try:
        if len(cursor) > MAX_CURSOR:
            raise BadCursor
        padded = cursor + "=" * (-len(cursor) % 4)
        at, name = from_json(base64.b64decode(padded, altchars=b"-_", validate=True))
        if not (isinstance(at, str) and isinstance(name, str)):
            raise BadCursor
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise BadCursor("`after` is a cursor as `next` gives it: ask without it for the first page") from None
    # What is no text anywhere is none in a database either, and no row stands behind it.
    return storable(at), storable(name)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a question: rows of one client by one index. ``where`` has a ``?`` for each of ``params``."""

    where: str
    params: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Where the rows stand: ``at`` and ``id`` are the columns that they are put in order by."""

    name: str
    columns: str
    at: str
    id: str


async def read_page(database: Database, table: Table, parts: Sequence[Part], after: str | None, limit: int) -> Page:
    """A page of the rows of all parts, each read by its own index, as far as the page goes and no further.

    A row that several parts have comes once. Raises BadCursor, StorageError.
    """
    behind, behind_params = "", list[Value]()
    if after is not None:
        at, name = read_cursor(after)
        # The first comparison alone is one that an index is entered by.
        behind, behind_params = f" AND {table.at} <= ? AND ({table.at} < ? OR {table.id} < ?)", [at, at, name]
    columns = f"{table.at} AS page_at, {table.id} AS page_id, {table.columns}"
    order = f"ORDER BY {table.at} DESC, {table.id} DESC LIMIT ?"
    found: dict[tuple[str, str], Row] = {}
    for start in range(0, len(parts), MAX_PARTS):
        selects: list[str] = []
        params: list[Value] = []
        for part in parts[start : start + MAX_PARTS]:
            selects.append(f"SELECT * FROM (SELECT {columns} FROM {table.name} WHERE {part.where}{behind} {order})")
            # One row more than is wanted: it tells that there is another page.
            params += [*part.params, *behind_params, limit + 1]
        for row in await database.fetch_all(" UNION ALL ".join(selects), params):
            found[row[0], row[1]] = row[2:]
    keys = sorted(found, reverse=True)
    following = cursor_of(*keys[limit - 1]) if len(keys) > limit else None
    return Page([found[key] for key in keys[:limit]], following)
