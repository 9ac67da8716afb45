"""Do not call: numbers that a client is not to call any more, and how a list of them is written as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from callcenter.model.facts import utc

# What a reason may say; more belongs into a note.
MAX_REASON = 500
COLUMNS = ("number", "reason", "expires")


class Source(StrEnum):
    """Where an entry comes from: the caller's own word in a flow, an agent's talk, a program or a person, a file."""

    CALLER = "caller"
    AGENT = "agent"
    API = "api"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class Entry:
    """A number, in E.164, that ``client`` is not to call; until ``expires_at``, or for good.

    ``added_by`` says in words who had it added; ``call`` is where the caller asked for it, empty elsewhere.
    """

    id: str
    client: str
    number: str
    reason: str
    source: Source
    call: str
    added_by: str
    added_at: datetime
    expires_at: datetime | None = None

    def plain(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "id": self.id,
            "client": self.client,
            "number": self.number,
            "reason": self.reason,
            "source": self.source.value,
            "call": self.call or None,
            "added_by": self.added_by,
            "added_at": utc(self.added_at),
            "expires_at": None if self.expires_at is None else utc(self.expires_at),
        }


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a file, as it is written there."""

    line: int
    number: str
    reason: str
    expires: str


class NotAList(ValueError):
    """A text that is no list of numbers; one sentence says why, with the line."""


def read_csv(text: str) -> Iterator[Line]:
    """The lines of a CSV file with the columns ``number`` and, if any, ``reason`` and ``expires``.

    Comma, semicolon and tab separate; other columns are passed over; without a first line that names the columns the
    first column is the number. Raises NotAList.
    """
    text = text.removeprefix("\ufeff")
    head = text.lstrip("\r\n").split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=head.count), strict=True)
    columns: Sequence[str] = ()
    try:
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if not columns:
                columns = [value.strip().lower() for value in values]
                if "number" in columns:
                    continue
                columns = COLUMNS[:1]
            row = dict(zip(columns, (value.strip() for value in values), strict=False))
            yield Line(reader.line_num, row.get("number", ""), row.get("reason", ""), row.get("expires", ""))
    except csv.Error as error:
        raise NotAList(f"line {reader.line_num}: not CSV: {error}") from error


def read_expiry(text: str) -> datetime | None:
    """When an entry ends: a day, or a moment, of UTC where it names no zone; None for an empty text.

    Raises ValueError with a sentence that says what to write.
    """
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"`{text}` is no moment: write e.g. 2027-11-30 or 2027-11-30T10:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
