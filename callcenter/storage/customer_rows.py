"""Rows of customers as a CSV has them: read one by one, and why a line is none."""

from __future__ import annotations

import codecs
import contextlib
import csv
import hashlib
import io
import itertools
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TextIO

from callcenter.model.customer import NO_RULES, WORDS, Rules, normalise_number
from callcenter.model.customer_form import MAX_ID, split, with_plus
from callcenter.model.ids import is_slug
from callcenter.storage.database import StorageError, storable

# What a file is read by, to see whether it can be; no line of a list is longer.
BLOCK = 1 << 20
# Lines that are read before it is looked whether the file is still as it was.
STEADY = 100

NUMBERS, ACCOUNTS = "numbers", "accounts"
_TITLES = {"number": NUMBERS, "account": ACCOUNTS}
COLUMNS = ("client", "id", "name", NUMBERS, ACCOUNTS, *WORDS)
# What a spreadsheet would take for a formula. Such a text gets an apostrophe in front, and so does one that has it.
_FORMULAS = ("=", "+", "-", "@", "'")
# What a spreadsheet writes in the place of what was there: a long number cut to what the column showed, or an error.
_SPOILT = re.compile(r"[+-]?\d([.,]\d+)?E[+-]\d{2,}|#(N/A|REF!|NAME\?|VALUE!|DIV/0!|NUM!|NULL!)")
# How it is kept from doing so: ="0123", or an apostrophe before the digits.
_AS_TEXT = re.compile(r'="((?:[^"]|"")*)"')
_FIGURES = re.compile(r"\d[\d., ]*")
# How a spreadsheet is told, in a line before the first, what separates columns.
_SEPARATOR = re.compile(r'"?sep=([,;\t])"?', re.IGNORECASE)
# The encodings that the first two octets of a file tell.
_MARKED = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
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
    """A row that can be a customer: ``written`` is what its columns say. ``derived``: it has no id of its own."""

    line: int
    client: str
    id: str
    written: Mapping[str, object]
    derived: bool = False


def is_encoding(name: str) -> bool:
    """Whether a file may be written in it."""
    try:
        return codecs.lookup(name).incrementaldecoder is not None and b"--".decode(name) is not None
    except (LookupError, ValueError):
        return False


@contextlib.contextmanager
def opened(source: Path | str, encoding: str = "") -> Iterator[Iterator[str]]:
    """The lines of a file or a text, when all of it can be read.

    ``encoding`` is what the file is written in; without, it is UTF-8, or the UTF-16 that its first octets say. Raises
    StorageError before the first line, and later when the file is changed while it is read: no line of that time comes.
    """
    if isinstance(source, str):
        yield iter(io.StringIO(source.removeprefix("\ufeff"), newline=""))
        return
    try:
        with source.open("rb") as file:
            named = _MARKED.get(file.read(2)) or encoding or "utf-8-sig"
            file.seek(0)
            before = os.fstat(file.fileno())
            _check(source, file, named)
            file.seek(0)
            with io.TextIOWrapper(file, named, newline="") as text:
                yield _steady(source, text, before)
    except (OSError, UnicodeError) as error:
        why = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        raise StorageError(f"cannot read {source}: {why}") from error


def _check(path: Path, file: BinaryIO, encoding: str) -> None:
    """Raises StorageError for what is not written in this encoding, or has no lines."""
    # Whatever lines end in: some spreadsheets still end them by a carriage return alone.
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)(), translate=True)
    line, length, block = 1, 0, b"-"
    while block:
        block = file.read(BLOCK)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line += len(re.findall(rb"\r\n|\r|\n", error.object[: error.start]))
            raise StorageError(f"{path}:{line}: {_not(encoding)}") from error
        first, *others = text.split("\n")
        if line == 1 and not length and "\0" in first:
            raise StorageError(f"{path}:1: {_not(encoding)}")  # UTF-16 that does not say so
        line += len(others)
        length = len(others[-1]) if others else length + len(first)
        if length > BLOCK:
            raise StorageError(f"{path}:{line}: a line is longer than {BLOCK >> 20} MB: this is no list")


def _not(encoding: str) -> str:
    if encoding != "utf-8-sig":
        return f"not {encoding}; save the file as CSV UTF-8"
    return "not UTF-8; save the file as CSV UTF-8, or tell its encoding, as cp1252 or cp1250"


def _steady(path: Path, file: TextIO, before: os.stat_result) -> Iterator[str]:
    """The lines, as long as the file is as it was when its first one was looked at."""
    while True:
        lines = list(itertools.islice(file, STEADY))
        now = os.fstat(file.fileno())
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise StorageError(f"{path} was changed while it was read; import it again")
        if not lines:
            return
        yield from lines


def read_rows(
    lines: Iterator[str],
    file: str,
    clients: Mapping[str, Rules] | None,
    on_passed_over: Callable[[list[str]], None] | None = None,
) -> Iterator[ImportRow | RejectedRow]:
    """The rows of a CSV, as they are read: those that may be customers, and why the others are none.

    ``clients`` are those that are taken in; None: whoever is named. A row of the only one need not name it.
    ``on_passed_over`` is told of columns that mean nothing.
    """
    skipped, separator, head = _head(lines)
    if head is None:
        yield RejectedRow(file, 1, "the file is empty")
        return
    reader = csv.reader(itertools.chain([head], lines), delimiter=separator, strict=True)
    columns: list[str] = []
    only = next(iter(clients)) if clients is not None and len(clients) == 1 else ""
    while True:
        begins = skipped + reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            yield RejectedRow(file, begins, _no_csv(str(error), begins, skipped + reader.line_num))
            continue
        if not any(value.strip() for value in values):
            continue
        while len(values) > len(columns) > 0 and not values[-1].strip():
            values.pop()
        if not columns:
            columns = [_column(value) for value in values]
            if wrong := _wrong_head(columns, only):
                yield RejectedRow(file, begins, wrong)
                return
            passed_over = [name for name in columns if name and name not in _known(clients)]
            if passed_over and on_passed_over is not None:
                on_passed_over(passed_over)
        elif len(values) > len(columns):
            yield RejectedRow(file, begins, f"{len(values)} values for {len(columns)} columns")
        else:
            cells = {name: storable(value.strip()) for name, value in zip(columns, values, strict=False)}
            row = _row(cells, begins, clients, only)
            yield RejectedRow(file, begins, row) if isinstance(row, str) else row


def _head(lines: Iterator[str]) -> tuple[int, str, str | None]:
    """How many lines stand before the first one that says something, what separates columns, and that line."""
    skipped, separator = 0, ""
    for line in lines:
        if told := _SEPARATOR.fullmatch(line.strip()):
            separator = told[1]
        elif line.strip("\r\n"):
            return skipped, separator or max(",;\t", key=line.count), line
        skipped += 1
    return skipped, separator, None


def _column(title: str) -> str:
    name = title.strip().lower()
    return _TITLES.get(name, name)


def _known(clients: Mapping[str, Rules] | None) -> set[str]:
    return {*COLUMNS, *(name for rules in (clients or {}).values() for name in rules.fields.rules)}


def _wrong_head(columns: Sequence[str], only: str) -> str:
    """Why the first line names no columns of customers; empty when it does."""
    missing = [name for name in ("client", "name", NUMBERS) if name not in columns and not (name == "client" and only)]
    if missing:
        named = ", ".join(name for name in columns if name)
        return f"the first line has no column {', '.join(missing)}; it names: {named[:200]}"
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    return f"the first line names the column {twice[0]} twice" if twice else ""


def _no_csv(error: str, begins: int, ends: int) -> str:
    """What is wrong with a row that is none, in the words of who wrote it."""
    if "end of data" in error or "field limit" in error:
        lost = f": nothing is taken of lines {begins} to {ends}" if ends > begins else ""
        return f"a quotation mark is opened here and not closed{lost}"
    return f"not CSV: {error}"


def _row(cells: Mapping[str, str], line: int, clients: Mapping[str, Rules] | None, only: str) -> ImportRow | str:
    """A row of cells by their columns, or why it is no customer's."""
    client = cells.get("client", "") or only
    if not is_slug(client):
        return f"client {client!r}: write the client's id, lower-case letters, digits and dashes"
    if clients is not None and client not in clients:
        return f"client {client!r}: customers of {', '.join(sorted(clients)) or 'nobody'} are taken in, of no others"
    rules = (clients or {}).get(client, NO_RULES)
    own = rules.fields.rules
    cells = {name: value for name, value in cells.items() if name in COLUMNS or name in own}
    for name, value in cells.items():
        if _SPOILT.fullmatch(value):
            return f"{name}: {value!r} is what a spreadsheet made of it; make the column text there, and write it anew"
    cells = {name: _plain(value) for name, value in cells.items()}
    # A row that ends early says nothing of the columns behind; one that has nothing in a column says that.
    written: dict[str, object] = {name: cells[name] for name in ("name", *WORDS) if name in cells}
    numbers = [each.removeprefix("'") for each in split(cells.get(NUMBERS, ""))]
    accounts = split(cells.get(ACCOUNTS, ""))
    written |= {name: values for name, values in ((NUMBERS, numbers), (ACCOUNTS, accounts)) if name in cells}
    fields = {name: cells[name] for name in own if name in cells}
    if fields:
        written["fields"] = fields
    own_id = cells.get("id", "")
    if len(own_id) > MAX_ID or not own_id.isprintable():
        return f"id: {own_id[:40]!r}: write it in one line of up to {MAX_ID} characters"
    known_by = accounts[0] if accounts else normalise_number(with_plus(numbers[0], rules)) if numbers else ""
    if not own_id and not known_by:
        return "name: is empty" if not cells.get("name") else "numbers: is empty"
    return ImportRow(line, client, own_id or derived_from(known_by), written, derived=not own_id)


def derived_from(known_by: str) -> str:
    """The id of a row that has none, by what the customer is known by."""
    return DERIVED + hashlib.sha256(known_by.encode()).hexdigest()[:12]


def escaped(text: str) -> str:
    """A text as a spreadsheet takes it for that, and :func:`read_rows` reads it again to the same."""
    return f"'{text}" if text.startswith(_FORMULAS) or _SPOILT.fullmatch(text) else text


def _plain(text: str) -> str:
    """A text as it is meant: without what keeps a spreadsheet from taking it for a formula or a number."""
    if told := _AS_TEXT.fullmatch(text):
        return told[1].replace('""', '"').strip()
    rest = text.removeprefix("'")
    meant = rest != text and (rest.startswith(_FORMULAS) or _SPOILT.fullmatch(rest) or _FIGURES.fullmatch(rest))
    return rest if meant else text
