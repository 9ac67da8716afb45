"""Files of customers as spreadsheets and other programs write them: what is read, and what is told of the rest."""

from __future__ import annotations

import io
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from callcenter.model.customer import NO_RULES, Customer, Rules
from callcenter.model.customer_fields import CustomerFields, FieldRule
from callcenter.model.dial_plan import DialPlan
from callcenter.storage import customer_rows
from callcenter.storage.customer_csv import CustomerFiles, ImportReport, Mode
from callcenter.storage.customers import Customers
from callcenter.storage.database import InlineDatabase, StorageError
from callcenter.storage.migrate import migrate
from tests.unit.storage.support import NOON

ACME = {"acme": Rules(fields=CustomerFields({"motto": FieldRule("motto")}))}
HEAD = "client;id;name;numbers;accounts;motto\r\n"
JANA = "acme;c-1;Jana Nováková;+420777000001;A-1;káva\r\n"


@pytest.fixture
async def database() -> AsyncIterator[InlineDatabase]:
    database = InlineDatabase()
    await migrate(database, NOON)
    yield database
    await database.close()


async def taken(database: InlineDatabase, source: str | Path, **options: Any) -> ImportReport:
    return await CustomerFiles(database, ACME).import_csv(source, NOON, **options)


async def everybody(database: InlineDatabase) -> list[Customer]:
    return await Customers(database).listed("acme")


def told(report: ImportReport) -> list[str]:
    return [str(row) for row in report.rejected]


@pytest.mark.parametrize(
    ("written", "encoding"),
    [
        ("utf-8-sig", ""),  # "CSV UTF-8"
        ("utf-16", ""),  # "Unicode text"
        ("cp1250", "cp1250"),  # "CSV", in Central Europe
    ],
)
async def test_a_file_is_read_in_what_its_spreadsheet_writes(
    database: InlineDatabase, tmp_path: Path, written: str, encoding: str
) -> None:
    path = tmp_path / "customers.csv"
    path.write_bytes((HEAD + JANA).encode(written))
    assert told(await taken(database, path, encoding=encoding)) == []
    [jana] = await everybody(database)
    assert (jana.name, jana.fields) == ("Jana Nováková", {"motto": "káva"})


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ((HEAD + JANA).encode("cp1250"), r":2: not UTF-8; save the file as CSV UTF-8, or tell its encoding, as cp1252"),
        (HEAD.encode("utf-16-le"), r":1: not UTF-8"),
    ],
)
async def test_what_it_is_written_in_is_asked_for_where_the_file_does_not_say(
    database: InlineDatabase, tmp_path: Path, octets: bytes, why: str
) -> None:
    path = tmp_path / "customers.csv"
    path.write_bytes(octets)
    with pytest.raises(StorageError, match=why):
        await taken(database, path)


async def test_lines_that_a_carriage_return_ends_are_lines_of_a_large_file_too(
    database: InlineDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_rows, "BLOCK", 100)
    path = tmp_path / "customers.csv"
    path.write_text((HEAD + JANA * 20).replace("\r\n", "\r"), encoding="utf-8", newline="")
    report = await taken(database, path)
    assert (report.added, report.unchanged, report.refused) == (1, 19, 0)


async def test_lines_before_the_first_and_rows_of_several_lines_do_not_shift_what_is_told(
    database: InlineDatabase,
) -> None:
    text = (
        "sep=;\r\n\r\n" + HEAD + 'acme;c-1;"Jana\r\nthe Tall";+420777000001;;\r\nacme;c-2;"Petr\r\nMalý";call me;;\r\n'
    )
    report = await taken(database, text)
    assert told(report) == ["text:6: numbers: 'call me' is no telephone number; write +420777123456"]
    assert [each.name for each in await everybody(database)] == ["Jana the Tall"]


async def test_a_quotation_mark_that_is_not_closed_is_told_where_it_stands_and_with_what_is_lost(
    database: InlineDatabase,
) -> None:
    rows = "".join(f"acme;c-{at};Name {at};+42077700{at:04};;\r\n" for at in range(4000))
    text = HEAD + JANA + 'acme;c-0;"Petr;+420777000002;;\r\n' + rows
    report = await taken(database, text)
    first, *others = told(report)
    assert others == []
    assert first.startswith("text:3: a quotation mark is opened here and not closed: nothing is taken of lines 3 to ")
    lost = int(first.rsplit(" ", 1)[1]) - 3
    assert report.added == 1 + 4000 - lost


async def test_columns_that_mean_nothing_are_told_and_empty_ones_at_the_end_are_none(database: InlineDatabase) -> None:
    report = await taken(database, "Client;Name;Numbers;Tear;mottto;;\nacme;Jana;+420777000001;gold;x;;;;\n")
    assert (report.added, told(report), report.passed_over) == (1, [], ["tear", "mottto"])
    assert report.plain()["passed_over"] == ["tear", "mottto"]


async def test_whose_customers_they_are_need_not_stand_in_a_file_of_the_only_client(database: InlineDatabase) -> None:
    text = "name;numbers\nJana;+420777000001\n"
    assert (await taken(database, text)).added == 1
    two = CustomerFiles(database, {**ACME, "globex": NO_RULES})
    assert told(await two.import_csv(text, NOON)) == [
        "text:1: the first line has no column client; it names: name, numbers"
    ]


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("c-1;Jana;4,20777E+11;", "numbers: '4,20777E+11' is what"),
        ("c-1;Jana;4.20777E+11;", "numbers: '4.20777E+11' is what"),
        ("4,2E+11;Jana;+420777000001;", "id: '4,2E+11' is what"),
        ("c-1;Jana;+420777000001;1E+15", "accounts: '1E+15' is what"),
        ("c-1;#NAME?;+420777000001;", "name: '#NAME?' is what"),
    ],
)
async def test_what_a_spreadsheet_has_spoilt_is_nobodys_id_number_or_account(
    database: InlineDatabase, cells: str, why: str
) -> None:
    report = await taken(database, f"{HEAD}acme;{cells};\n{HEAD}")
    assert told(report)[0] == f"text:2: {why} a spreadsheet made of it; make the column text there, and write it anew"
    assert await everybody(database) == []


async def test_an_id_is_one_line_for_it_is_asked_for_by_it(database: InlineDatabase) -> None:
    report = await taken(database, f'{HEAD}acme;"c\n1";Jana;+420777000001;;\nacme;{"9" * 129};Petr;+1;;\n')
    assert [row.why for row in report.rejected] == [
        "id: 'c\\n1': write it in one line of up to 128 characters",
        f"id: '{'9' * 40}': write it in one line of up to 128 characters",
    ]


async def test_what_keeps_a_spreadsheet_from_counting_is_no_part_of_a_text(database: InlineDatabase) -> None:
    text = HEAD + 'acme;\'0012;"=""Jana """"J."""" N.""";\'+420777000001|\'777000002;="0042";\'t Hart\n'
    assert told(await taken(database, text)) == []
    [jana] = await everybody(database)
    assert (jana.id, jana.name, jana.account) == ("0012", 'Jana "J." N.', "0042")
    assert jana.numbers == ("+420777000001", "777000002")
    assert jana.fields == {"motto": "'t Hart"}


@pytest.mark.parametrize(
    "motto",
    ["=cmd", "+1", "-1", "@SUM(A1)", "'=1", "'0123", '="0123"', "1,5E+10", "#N/A", "'#N/A", "'t Hart", "''", "0123"],
)
async def test_a_text_that_a_spreadsheet_would_take_for_something_else_comes_out_and_in_again(
    database: InlineDatabase, motto: str
) -> None:
    jana = Customer("c-1", "acme", "Jana", ("+420777000001",), account=motto, fields={"motto": motto})
    await Customers(database).create(jana, NOON)
    files = CustomerFiles(database, ACME)
    text = "".join([part async for part in files.export(["acme"])])
    report = await files.import_csv(text, NOON)
    assert (report.unchanged, told(report)) == (1, [])
    await database.execute("DELETE FROM customers")
    await files.import_csv(text, NOON)
    assert await everybody(database) == [jana]


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize("mode", list(Mode))
async def test_two_people_who_share_what_a_row_without_an_id_is_known_by_do_not_become_one(
    database: InlineDatabase, monkeypatch: pytest.MonkeyPatch, mode: Mode, dry: bool
) -> None:
    """The second one would have taken the place of the first, and nobody would have been told."""
    monkeypatch.setattr("callcenter.storage.customer_csv.CHUNK", 1)
    rows = ("Jana;+420777000001;", "Petr;+420 777 000 001;", "Jana;00420777000001;", "Eva;1;A-1", "Ota;2;A-1")
    text = HEAD + "".join(f"acme;;{row};\n" for row in rows)
    report = await taken(database, text, mode=mode, dry=dry)
    assert told(report) == [
        "text:3: numbers: line 2 has it too; write them as one, or give each an id",
        "text:6: accounts: line 5 has it too; write them as one, or give each an id",
    ]
    assert (report.added, report.changed, report.unchanged) == (2, 0, 1)
    assert sorted(each.name for each in await everybody(database)) == ([] if dry else ["Eva", "Jana"])


async def test_a_dry_run_tells_a_row_that_comes_again_from_one_that_changes(
    database: InlineDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcenter.storage.customer_csv.CHUNK", 1)
    text = HEAD + JANA + JANA + JANA.replace("káva", "čaj")
    dry, wet = await taken(database, text, dry=True), await taken(database, text)
    assert str(dry) == str(wet) == "1 added, 1 changed, 1 as before, 0 rejected"


async def test_a_file_that_is_cut_off_while_it_is_read_leaves_no_half_row(
    database: InlineDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_rows, "STEADY", 1)
    monkeypatch.setattr("callcenter.storage.customer_csv.CHUNK", 1)
    path = tmp_path / "customers.csv"
    whole = HEAD + "".join(f"acme;c-{at:05};Name {at};+42077{at:07};;{'x' * 50}\r\n" for at in range(200))
    path.write_text(whole, encoding="utf-8")
    report, number = ImportReport(), itertools.count()
    execute, size = database.execute, len(whole)

    async def cut(sql: str, *rest: Any) -> None:
        path.write_text(whole[: size // 2 + next(number)], encoding="utf-8")
        await execute(sql, *rest)

    monkeypatch.setattr(database, "execute", cut)
    with pytest.raises(StorageError, match=r"customers.csv was changed while it was read; import it again"):
        await taken(database, path, report=report)
    assert all(len(each.numbers[0]) == 13 for each in await everybody(database))
    monkeypatch.undo()
    path.write_text(whole, encoding="utf-8")
    await taken(database, path)
    assert len(await Customers(database).listed("acme", limit=500)) == 200


@pytest.mark.parametrize(
    ("plan", "written", "kept"),
    [
        (DialPlan("420"), "420777123456", "+420777123456"),
        (DialPlan("420"), "777123456", "+420777123456"),
        (DialPlan("34"), "34912345678", "+34912345678"),
        (DialPlan("49", "0"), "4915112345678", "+4915112345678"),
        (DialPlan("49", "0"), "04915112345", "+494915112345"),
        (DialPlan("55", "0"), "55991234567", "+5555991234567"),
        (DialPlan("39"), "3921234567", "+393921234567"),  # a number of the country that begins like its code
        (DialPlan("420"), "14155550100", "+42014155550100"),  # of another country: nothing says so
        (None, "420777123456", "420777123456"),
    ],
)
async def test_a_plus_that_a_spreadsheet_took_away_is_put_back_where_the_number_is_none_without(
    database: InlineDatabase, plan: DialPlan | None, written: str, kept: str
) -> None:
    files = CustomerFiles(database, {"acme": Rules(plan=plan)})
    await files.import_csv(f"name,numbers\nJana,{written}\n", NOON)
    [jana] = await everybody(database)
    assert jana.numbers == (kept,)


async def test_who_is_known_by_a_number_is_the_same_when_a_spreadsheet_has_taken_its_plus_away(
    database: InlineDatabase,
) -> None:
    # A second one with the same number would make a maybe of each of their calls.
    files = CustomerFiles(database, {"acme": Rules(plan=DialPlan("420"))})
    await files.import_csv("name,numbers\nJana,+420777123456\n", NOON)
    report = await files.import_csv("name,numbers\nJana,420777123456\nPetr,777123456\n", NOON)
    assert (report.unchanged, report.added) == (1, 1)


def test_a_text_is_read_as_a_file_is() -> None:
    with customer_rows.opened("\ufeffclient\n") as lines:
        assert list(lines) == ["client\n"]
    assert list(customer_rows.read_rows(iter(io.StringIO("sep=;\n")), "text", None)) == [
        customer_rows.RejectedRow("text", 1, "the file is empty")
    ]
