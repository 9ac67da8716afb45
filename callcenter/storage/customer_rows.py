"""Rows of customers as a CSV has them: read one by one, and why a line is none."""

from __future__ import annotations

import codecs
import contextlib
import csv
import hashlib
import io
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from callcenter.model.customer import NO_RULES, WORDS, Rules, normalise_number
from callcenter.model.customer_form import MAX_ID, split
from callcenter.model.ids import is_slug
from callcenter.storage.database import StorageError, storable

# What a file is read by, to see whether it is UTF-8.
BLOCK = 1 << 20


NUMBERS, ACCOUNTS = "numbers", "accounts"
_TITLES = {"number": NUMBERS, "account": ACCOUNTS}
COLUMNS = ("client", "id", "name", NUMBERS, ACCOUNTS, *WORDS)
# What a spreadsheet would take for a formula. Such a text gets an apostrophe in front, and so does one that has it.
FORMULAS = ("=", "+", "-", "@", "'")
# How the id of a row begins that has none of its own.
DERIVED = "c-"


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A line of the file that is no customer, and why."""

    file: str
    line: int
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.why}"


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A row that can be a customer: ``written`` is what its columns say."""

    line: int
    client: str
    id: str
    written: Mapping[str, object]


def check_readable(path: Path) -> None:
    """Raises StorageError for a file that is not there, is not UTF-8, or has no lines: before any of it is taken."""
    decoder, line, length = codecs.getincrementaldecoder("utf-8")(), 1, 0
    try:
        with path.open("rb") as file:
            while True:
                block = file.read(BLOCK)
                try:
                    decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    held = len(error.object) - len(block)
                    line += block[: max(0, error.start - held)].count(b"\n")
                    raise StorageError(f"{path}:{line}: not UTF-8; save the file as CSV UTF-8") from error
                if not block:
                    return
                line += block.count(b"\n")
                first, *others = block.split(b"\n")
                length = length + len(first) if not others else len(others[-1])
                if length > BLOCK:
                    raise StorageError(f"{path}:{line}: a line is longer than {BLOCK >> 20} MB: this is no list")
    except OSError as error:
        raise StorageError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error


@contextlib.contextmanager
def opened(source: Path | str) -> Iterator[Iterator[str]]:
    """The lines of a file or a text. Raises StorageError, also while they are read."""
    if isinstance(source, str):
        yield iter(io.StringIO(source.removeprefix("\ufeff"), newline=""))
        return
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            yield iter(file)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read {source}: {error}") from error


def read_rows(
    lines: Iterator[str], file: str, clients: Mapping[str, Rules] | None
) -> Iterator[ImportRow | RejectedRow]:
    """The rows of a CSV, as they are read: those that may be customers, and why the others are none."""
    head = next((line for line in lines if line.strip("\r\n")), None)
    if head is None:
        yield RejectedRow(file, 1, "the file is empty")
        return
    separator = max(",;\t", key=head.count)
    reader = csv.reader(itertools.chain([head], lines), delimiter=separator, strict=True)
    columns: list[str] = []
    while True:
        try:
            values = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield RejectedRow(file, reader.line_num, f"not CSV: {error}")
            continue
        if not any(value.strip() for value in values):
            continue
        if not columns:
            columns = [_column(value) for value in values]
            missing = [name for name in ("client", "name", NUMBERS) if name not in columns]
            twice = sorted({name for name in columns if name and columns.count(name) > 1})
            if missing or twice:
                what = f"has no column {', '.join(missing)}" if missing else f"names the column {twice[0]} twice"
                yield RejectedRow(file, reader.line_num, f"the first line {what}")
                return
        elif len(values) > len(columns):
            yield RejectedRow(file, reader.line_num, f"{len(values)} values for {len(columns)} columns")
        else:
            cells = {name: storable(value.strip()) for name, value in zip(columns, values, strict=False)}
            row = _row(cells, reader.line_num, clients)
            yield RejectedRow(file, reader.line_num, row) if isinstance(row, str) else row


def _column(title: str) -> str:
    name = title.strip().lower()
    return _TITLES.get(name, name)


def _row(cells: Mapping[str, str], line: int, clients: Mapping[str, Rules] | None) -> ImportRow | str:
    """A row of cells by their columns, or why it is no customer's."""
    client = cells.get("client", "")
    if not is_slug(client):
        return f"client {client!r}: write the client's id, lower-case letters, digits and dashes"
    if clients is not None and client not in clients:
        return f"client {client!r} is not configured; there are: {', '.join(sorted(clients)) or 'none'}"
    cells = {name: value if name == NUMBERS else _plain(value) for name, value in cells.items()}
    own = (clients or {}).get(client, NO_RULES).fields.rules
    # A row that ends early says nothing of the columns behind; one that has nothing in a column says that.
    written: dict[str, object] = {name: cells[name] for name in ("name", *WORDS) if name in cells}
    written |= {name: split(cells[name]) for name in (NUMBERS, ACCOUNTS) if name in cells}
    fields = {name: cells[name] for name in own if name in cells}
    if fields:
        written["fields"] = fields
    numbers, accounts = split(cells.get(NUMBERS, "")), split(cells.get(ACCOUNTS, ""))
    own_id = cells.get("id", "")
    if len(own_id) > MAX_ID:
        return f"id: longer than {MAX_ID} characters"
    known_by = accounts[0] if accounts else normalise_number(numbers[0]) if numbers else ""
    if not own_id and not known_by:
        return "name: is empty" if not cells.get("name") else "numbers: is empty"
    return ImportRow(line, client, own_id or derived_from(known_by), written)


def derived_from(known_by: str) -> str:
    """The id of a row that has none, by what the customer is known by."""
    return DERIVED + hashlib.sha256(known_by.encode()).hexdigest()[:12]


def _plain(text: str) -> str:
    """A text as it is meant: without the apostrophe that keeps a spreadsheet from taking it for a formula."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULAS) else text
