"""Files of customers: in and out again to the same, dry runs, modes, and imports that are cut or come twice."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.model.customer import Customer, Match, Rules
from callcenter.model.customer_fields import BadField, CustomerFields, FieldKind, FieldRule
from callcenter.model.customer_form import read_customer
from callcenter.storage import customer_csv
from callcenter.storage.customer_csv import CustomerFiles, ImportReport, Mode
from callcenter.storage.customer_rows import ImportRow, RejectedRow
from callcenter.storage.customers import Customers, write_all
from callcenter.storage.database import InlineDatabase, StorageError, Writing
from callcenter.storage.migrate import migrate
from tests.unit.storage.support import NOON

RULES = {
    "acme": Rules(
        fields=CustomerFields(
            {
                "seats": FieldRule("seats", FieldKind.NUMBER),
                "vip": FieldRule("vip", FieldKind.YES_NO),
                "motto": FieldRule("motto"),
            }
        )
    ),
    "globex": Rules(fields=CustomerFields({"born": FieldRule("born", FieldKind.DATE, required=True)})),
}
HEAD = "client,id,name,numbers,accounts,tier,notes,seats\n"


@pytest.fixture
async def database() -> AsyncIterator[InlineDatabase]:
    database = await opened()
    yield database
    await database.close()


async def opened() -> InlineDatabase:
    database = InlineDatabase()
    await migrate(database, NOON)
    return database


async def everybody(database: InlineDatabase, client: str = "acme") -> list[Customer]:
    return await Customers(database).listed(client, limit=500)


async def test_fields_are_columns_by_their_names_and_mistakes_are_told_by_line(database: InlineDatabase) -> None:
    told: list[RejectedRow] = []
    text = (
        "client,id,name,numbers,Seats,vip,born,motto\n"
        "acme,c-1,Jana,+420777000001,12,yes,,'=cmd\n"
        "acme,c-2,Petr,+420777000002,a dozen,,,\n"
        "globex,g-1,Hans,+420777000003,99,,1984-02-29,\n"
        "globex,g-2,Grete,+420777000004,,,,\n"
        "initech,i-1,Bill,+420777000005,,,,\n"
    )
    report = ImportReport(on_rejected=told.append)
    await CustomerFiles(database, RULES).import_csv(text, NOON, report=report)
    assert [str(row) for row in told] == [
        "text:3: seats: 'a dozen' is no number; write 12 or -3.5",
        "text:5: born: is missing",
        "text:6: client 'initech': customers of acme, globex are taken in, of no others",
    ]
    [jana] = await everybody(database)
    assert jana.fields == {"seats": 12, "vip": True, "motto": "=cmd"}
    [hans] = await everybody(database, "globex")
    assert hans.fields == {"born": "1984-02-29"}, "a column of another client's is passed over"


async def test_a_dry_run_tells_the_same_and_writes_nothing(database: InlineDatabase) -> None:
    files = CustomerFiles(database, RULES)
    await files.import_csv(HEAD + "acme,c-1,Jana,+420777000001,,,,\n", NOON)
    text = HEAD + "acme,c-1,Jana Nová,+420777000001,,,,\nacme,c-2,Petr,+420777000002,,,,\nacme,c-3,,+1,,,,\n"
    dry = await files.import_csv(text, NOON, dry=True)
    assert [each.name for each in await everybody(database)] == ["Jana"]
    wet = await files.import_csv(text, NOON)
    assert {**dry.plain(), "dry": False} == wet.plain()
    assert str(wet) == "1 added, 1 changed, 0 as before, 1 rejected"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Mode.REPLACE, ("Jana Nová", ("+420777000009",), ("B",), "silver", "", {"seats": 5})),
        (Mode.FILL, ("Jana", ("+420777000001", "+420777000009"), ("A", "B"), "gold", "tea", {"seats": 5})),
        (Mode.ADD, ("Jana", ("+420777000001",), ("A",), "gold", "tea", {})),
    ],
)
async def test_what_becomes_of_whom_there_is_goes_by_the_mode(
    database: InlineDatabase, mode: Mode, expected: tuple[object, ...]
) -> None:
    files = CustomerFiles(database, RULES)
    await files.import_csv(HEAD + "acme,c-1,Jana,+420777000001,A,gold,tea,\n", NOON)
    text = HEAD + "acme,c-1,Jana Nová,+420777000009,B,silver,,5\nacme,c-2,Petr,+420777000002,,,,\n"
    await files.import_csv(text, NOON, mode=mode)
    report = await files.import_csv(text, NOON, mode=mode)
    assert (report.added, report.changed, report.unchanged) == (0, 0, 2), "the same again changes nothing"
    jana, petr = await everybody(database)
    assert (jana.name, jana.numbers, jana.accounts, jana.tier, jana.notes, jana.fields) == expected
    assert petr.name == "Petr"


async def test_what_the_file_has_no_column_for_stays(database: InlineDatabase) -> None:
    files = CustomerFiles(database, RULES)
    await files.import_csv(HEAD + "acme,c-1,Jana,+420777000001,A,gold,tea,7\n", NOON)
    await files.import_csv("client,id,name,numbers\nacme,c-1,Jana Nová,+420777000002\n", NOON)
    [jana] = await everybody(database)
    assert (jana.name, jana.numbers, jana.accounts, jana.tier) == ("Jana Nová", ("+420777000002",), ("A",), "gold")
    assert jana.fields == {"seats": 7}
    assert jana.revision == 2


async def test_a_file_that_knows_both_records_of_one_person_neither_parts_nor_robs_them(
    database: InlineDatabase,
) -> None:
    files, customers = CustomerFiles(database, RULES), Customers(database)
    text = HEAD + "acme,c-1,Jana,+420777000001,A,,,\nacme,c-2,J. Nová,+420777000002,B,gold,,\n"
    await files.import_csv(text, NOON)
    await customers.merge("acme", "c-1", "c-2", NOON, "ana")
    await files.import_csv(text, NOON)
    [jana] = await everybody(database)
    assert (jana.name, jana.numbers, jana.accounts) == ("Jana", ("+420777000001", "+420777000002"), ("A", "B"))
    await files.import_csv(text + "acme,c-2,J. Nová,+420777000003,,,,\n", NOON)
    [jana] = await everybody(database)
    assert (jana.name, jana.tier, jana.revision) == ("Jana", "gold", 3)
    assert jana.numbers == ("+420777000001", "+420777000002", "+420777000003")


async def test_who_was_erased_is_not_brought_back_by_a_file(database: InlineDatabase) -> None:
    await database.execute("INSERT INTO customers_erased VALUES ('acme', 'c-1', '2026-11-21T12:00:00.000Z')")
    report = await CustomerFiles(database, RULES).import_csv(HEAD + "acme,c-1,Jana,+420777000001,,,,\n", NOON)
    assert [str(row) for row in report.rejected] == [
        "text:2: id: c-1 was erased on request; take the row out of the file"
    ]
    assert await everybody(database) == []


class _Cut(Exception):
    pass


async def test_an_import_that_was_cut_is_finished_by_doing_it_again(
    database: InlineDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_csv, "CHUNK", 10)
    text = HEAD + "".join(f"acme,c-{n},Name {n},+42077700{n:04d},,,,\n" for n in range(35))
    files, left = CustomerFiles(database, RULES), 2

    def cut(writing: Writing, *rest: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise _Cut
        write_all(writing, *rest)

    monkeypatch.setattr(customer_csv, "write_all", cut)
    with pytest.raises(_Cut):
        await files.import_csv(text, NOON)
    assert len(await everybody(database)) == 20
    monkeypatch.setattr(customer_csv, "write_all", write_all)
    assert str(await files.import_csv(text, NOON)) == "15 added, 0 changed, 20 as before, 0 rejected"
    assert str(await files.import_csv(text, NOON)) == "0 added, 0 changed, 35 as before, 0 rejected"


async def test_ten_thousand_rows_are_taken_from_a_file_with_little_of_it_in_memory(
    database: InlineDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "customers.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write(HEAD)
        for n in range(10_000):
            file.write(f"acme,c-{n},Name {n},+42077{n:07d};+42088{n:07d},A{n},gold,,{n}\n" if n % 1000 else "acme,,,\n")
    most, taken = 0, customer_csv._by_client

    def counted(rows: list[ImportRow]) -> dict[str, list[str]]:
        nonlocal most
        most = max(most, len(rows))
        return taken(rows)

    monkeypatch.setattr(customer_csv, "_by_client", counted)
    report = await CustomerFiles(database, RULES).import_csv(path, NOON)
    assert str(report) == "9990 added, 0 changed, 0 as before, 10 rejected"
    assert [row.line for row in report.rejected] == [n * 1000 + 2 for n in range(10)]
    assert most == customer_csv.CHUNK
    match, [one] = await Customers(database).find("acme", "+420880009999")
    assert (match, one.id, one.fields) == (Match.SURE, "c-9999", {"seats": 9999})


async def test_a_file_with_an_endless_line_is_refused_before_any_of_it_is_taken(
    database: InlineDatabase, tmp_path: Path
) -> None:
    path = tmp_path / "customers.csv"
    path.write_text(HEAD + "acme,c-1,Jana,+420777000001,,,,\n" + "x" * 3_000_000)
    with pytest.raises(StorageError, match=r"customers.csv:3: a line is longer than 1 MB"):
        await CustomerFiles(database, RULES).import_csv(path, NOON)
    assert await everybody(database) == []


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
values = st.fixed_dictionaries(
    {
        "name": texts,
        "numbers": st.lists(st.sampled_from(["+420777000001", "+14155550100", "0777"]), max_size=3),
        "accounts": st.lists(texts, max_size=3),
        "notes": texts,
        "tier": texts,
        "fields": st.fixed_dictionaries(
            {},
            optional={
                "seats": st.one_of(st.integers(-(10**9), 10**9), st.floats(-1e6, 1e6)),
                "vip": st.booleans(),
                "motto": texts,
            },
        ),
    }
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(values, max_size=4))
async def test_whatever_is_exported_is_imported_to_the_same(written: list[dict[str, object]]) -> None:
    database, other = await opened(), await opened()
    try:
        for at, each in enumerate(written):
            try:
                await Customers(database).create(read_customer("acme", f"c-{at}", each, RULES["acme"]), NOON)
            except BadField:
                continue
        text = "".join([part async for part in CustomerFiles(database, RULES).export(["acme"])])
        for row in list(csv.reader(io.StringIO(text, newline="")))[1:]:
            assert not any(cell.startswith(("=", "@")) for cell in row), "no spreadsheet takes it for a formula"
        report = await CustomerFiles(other, RULES).import_csv(text, NOON)
        assert await everybody(other) == await everybody(database)
        assert report.refused == 0
        assert (await CustomerFiles(database, RULES).import_csv(text, NOON)).unchanged == report.added
    finally:
        await database.close()
        await other.close()
