"""Customers: what a CSV may look like, and who is found by which spelling of a number."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.model.customer import NO_RULES, Match
from callcenter.storage import customer_csv
from callcenter.storage.customer_csv import CustomerFiles, ImportReport
from callcenter.storage.customer_rows import read_rows
from callcenter.storage.customers import BY_NUMBER, BY_TAIL, MAX_FOUND, MOST_ALIKE, Customers
from callcenter.storage.database import InlineDatabase, StorageError
from callcenter.storage.migrate import migrate, shipped
from tests.unit.storage.support import NOON


class Both(Customers):
    """Customers of a database, and files of them, by whichever clients."""

    async def import_csv(self, source: Path | str, now: datetime, clients: Iterable[str] | None = None) -> ImportReport:
        return await self.files(clients).import_csv(source, now)

    async def import_changed(self, path: Path, now: datetime, clients: Iterable[str]) -> ImportReport | None:
        return await self.files(clients).import_changed(path, now)

    def files(self, clients: Iterable[str] | None) -> CustomerFiles:
        return CustomerFiles(self._database, None if clients is None else dict.fromkeys(clients, NO_RULES))


@pytest.fixture
async def customers() -> AsyncIterator[Both]:
    database = InlineDatabase()
    await migrate(database, NOON)
    yield Both(database)
    await database.close()


CSV = """\
client,id,name,numbers,account,tier,language,since,notes,colour
acme,c-1,Jana Nováková,+420 777 123 456; 00420 222 333 444,A-1,gold,cs,2019,"likes ""tea"", no sugar",blue
acme,c-2,Petr Malý,+420777999888,,,,,,
acme,c-3,Petra Malá,+420 777-999-888,,,,,,
globex,c-1,Hans,+420777123456,,,,,,
"""


HEAD = CSV.split("\n", 1)[0]


async def found(customers: Both, client: str, number: str) -> tuple[Match, list[str]]:
    match, list_ = await customers.find(client, number)
    return match, [customer.id for customer in list_]


async def test_a_number_finds_its_customer_of_this_client_only(customers: Both) -> None:
    report = await customers.import_csv(CSV, NOON)
    assert (report.added, report.rejected) == (4, [])
    match, [jana] = await customers.find("acme", "+420 777 123 456")
    assert match is Match.SURE
    assert (jana.name, jana.numbers) == ("Jana Nováková", ("+420777123456", "+420222333444"))
    assert (jana.account, jana.tier, jana.language, jana.since) == ("A-1", "gold", "cs", "2019")
    assert jana.notes == 'likes "tea", no sugar'
    assert await found(customers, "globex", "+420777123456") == (Match.SURE, ["c-1"])
    assert await found(customers, "initech", "+420777123456") == (Match.NONE, [])


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("+420777999888", (Match.MAYBE, ["c-2", "c-3"])),  # two have it
        ("00420222333444", (Match.SURE, ["c-1"])),  # the same number, spelt with 00
        ("777123456", (Match.MAYBE, ["c-1"])),  # national
        ("0777123456", (Match.MAYBE, ["c-1"])),  # national with its trunk prefix
        ("420777123456", (Match.MAYBE, ["c-1"])),  # international without the plus
        ("+421777123456", (Match.NONE, [])),  # another country
        ("+777123456", (Match.NONE, [])),
        ("123456", (Match.NONE, [])),  # too short to be anyone's
        ("888777123456", (Match.NONE, [])),
        ("anonymous", (Match.NONE, [])),
        ("", (Match.NONE, [])),
        ("+", (Match.NONE, [])),
        ("\udc80", (Match.NONE, [])),
        ("' OR 1=1 --", (Match.NONE, [])),
    ],
)
async def test_how_sure_a_number_is(customers: Both, number: str, expected: tuple[Match, list[str]]) -> None:
    await customers.import_csv(CSV, NOON)
    assert await found(customers, "acme", number) == expected


async def test_a_nationally_spelt_import_is_found_by_an_international_caller_as_maybe(customers: Both) -> None:
    await customers.import_csv("client;name;number\nacme;Jana;0777 123 456\n", NOON)
    match, [jana] = await customers.find("acme", "+420777123456")
    assert (match, jana.name) == (Match.MAYBE, "Jana")
    assert (await customers.find("acme", "0777123456"))[0] is Match.SURE


async def test_an_import_again_changes_what_changed_and_takes_numbers_away(customers: Both) -> None:
    first = "client,account,name,numbers\nacme,A-1,Jana,+420777123456;+420777123457\nacme,,Petr,+420777000111\n"
    second = "client,account,name,numbers\nacme,A-1,Jana Nová,+420777123457\nacme,,Petr,+420777000111\n"
    await customers.import_csv(first, NOON)
    report = await customers.import_csv(second, NOON)
    assert str(report) == "0 added, 1 changed, 1 as before, 0 rejected"
    match, [jana] = await customers.find("acme", "+420777123457")
    assert (match, jana.name, jana.numbers) == (Match.SURE, "Jana Nová", ("+420777123457",))
    assert await customers.find("acme", "+420777123456") == (Match.NONE, [])


async def test_whom_a_customer_would_rather_talk_to_is_kept_and_changed_and_taken_away(customers: Both) -> None:
    for agent in ("ana", "bob", ""):
        report = await customers.import_csv(f"client,id,name,number,agent\nacme,c-1,Jana,+420777123456,{agent}\n", NOON)
        assert report.added + report.changed == 1
        _, [jana] = await customers.find("acme", "+420777123456")
        assert jana.agent == agent
    report = await customers.import_csv("client,name,number,agent\nacme,Petr,+420777123457,Ana P\n", NOON)
    assert [str(row) for row in report.rejected] == [
        "text:2: agent: 'Ana P': write the agent's id, lower-case letters, digits and dashes, or nothing"
    ]


async def test_rows_that_are_no_customers_are_told_by_line_and_the_others_taken(
    customers: Both, tmp_path: Path
) -> None:
    path = tmp_path / "customers.csv"
    path.write_bytes(
        b"\xef\xbb\xbfClient,Name,Number\r\n"
        b"acme,Jana,+420777123456\r\n"
        b"ACME,Petr,+420777000111\r\n"
        b"\r\n"
        b"acme,,+420777000112\r\n"
        b"acme,Eva,\r\n"
        b"acme,Olga,call me\r\n"
        b"acme,Ivo,+420777000113,too,much\r\n"
        b'acme,"Milan\r\nthe Tall",+420777000114\r\n'
        b"globex,Hans,+420777000115\r\n"
    )
    report = await customers.import_csv(path, NOON, clients={"acme"})
    assert (report.added, report.refused) == (2, 6)
    assert [str(row).removeprefix(f"{path}:") for row in report.rejected] == [
        "3: client 'ACME': write the client's id, lower-case letters, digits and dashes",
        "5: name: is empty",
        "6: numbers: is empty",
        "7: numbers: 'call me' is no telephone number; write +420777123456",
        "8: 5 values for 3 columns",
        "11: client 'globex': customers of acme are taken in, of no others",
    ]
    _, [milan] = await customers.find("acme", "+420777000114")
    assert milan.name == "Milan the Tall"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "text:1: the file is empty"),
        ("\n\n", "text:1: the file is empty"),
        ("name,number\nJana,1\n", "text:1: the first line has no column client; it names: name, numbers"),
        ("client,name\nacme,Jana\n", "text:1: the first line has no column numbers; it names: client, name"),
        ('client,name,number\nacme,"Jana\n', "text:2: a quotation mark is opened here and not closed"),
    ],
)
async def test_a_text_that_is_no_list_of_customers_is_rejected_in_words(customers: Both, text: str, why: str) -> None:
    report = await customers.import_csv(text, NOON)
    assert ([str(row) for row in report.rejected], report.added) == ([why], 0)


async def test_a_file_that_cannot_be_read_is_one_line(customers: Both, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot read .*: no such file or directory"):
        await customers.import_csv(tmp_path / "nowhere.csv", NOON)
    path = tmp_path / "windows.csv"
    path.write_bytes("client,name,number\nacme,Novák,1\n".encode("cp1250"))
    with pytest.raises(StorageError, match=r"windows.csv:2: not UTF-8; save the file as CSV UTF-8"):
        await customers.import_csv(path, NOON)


async def test_a_large_import_goes_in_pieces_and_the_report_stays_bounded(
    customers: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_csv, "CHUNK", 7)
    lines = ["client,name,number"]
    lines += [f"acme,Name {n},+4207770{n:05d}" for n in range(50)] + ["acme,,"] * 150
    report = await customers.import_csv("\n".join(lines), NOON)
    assert (report.added, report.refused, len(report.rejected)) == (50, 150, 100)
    assert (await customers.find("acme", "+420777000049"))[0] is Match.SURE


@given(st.text())
def test_no_text_makes_the_reader_of_csv_fail(text: str) -> None:
    for each in (text, "client,name,number\n" + text):
        list(read_rows(iter(io.StringIO(each, newline="")), "text", None))


ACCOUNTS = """\
client,id,name,numbers,account
acme,c-1,Jana,+420777123456,A-4711
acme,c-2,Petr,+420777999888,B/47 12
acme,c-3,Petra,+420777999887,X-55
acme,c-4,Pavel,+420777999886,Y-55
acme,c-5,Without,+420777999885,
acme,c-6,Letters,+420777999884,ABC
globex,g-1,Hans,+420777123456,G-9
"""


@pytest.mark.parametrize(
    ("digits", "customer"),
    [("4711", "c-1"), ("4712", "c-2"), ("471", None), ("55", None), ("9", None), ("", None), ("' OR 1=1", None)],
)
async def test_an_account_is_found_by_the_digits_that_a_telephone_can_send(
    digits: str, customer: str | None, customers: Both
) -> None:
    """Of this client only, and only where there is no doubt."""
    await customers.import_csv(ACCOUNTS, NOON)
    found = await customers.find_account("acme", digits)
    assert (found.id if found is not None else None) == customer


async def test_an_account_that_changed_is_found_by_the_new_one_alone(customers: Both) -> None:
    await customers.import_csv(ACCOUNTS, NOON)
    await customers.import_csv(ACCOUNTS.replace("A-4711", "A-4799"), NOON)
    assert await customers.find_account("acme", "4711") is None
    assert (await customers.find_account("acme", "4799")) is not None


async def test_accounts_of_an_older_database_can_be_keyed_in_too() -> None:
    """Those who were imported before accounts had digits, and never change."""
    database = InlineDatabase()
    await migrate(database, NOON, shipped()[:6])
    for number, account in enumerate(("TG-48213", "", "Ä7-ß8", "no digits")):
        await database.execute(
            "INSERT INTO customers VALUES ('acme', ?, 'Name', ?, '', '', '', '', '')", (f"c-{number}", account)
        )
    await migrate(database, NOON)
    rows = await database.fetch_all("SELECT account_digits FROM customers ORDER BY id")
    assert [row[0] for row in rows] == ["48213", "", "78", ""]
    await database.close()


async def test_a_file_that_was_imported_whole_is_not_read_into_the_base_again(customers: Both, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("client,name,number\nacme,Jana,+420777123456\n")
    first = await customers.import_changed(path, NOON, ["acme"])
    assert first is not None
    assert first.added == 1
    assert await customers.import_changed(path, NOON, ["acme"]) is None
    path.write_text("client,name,number\nacme,Jana Nova,+420777123456\n")
    changed = await customers.import_changed(path, NOON, ["acme"])
    assert changed is not None
    assert changed.changed == 1


async def test_the_file_of_every_start_has_the_last_word_after_another_import(customers: Both, tmp_path: Path) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("client,name,number\nacme,Jana,+420777123456\n")
    await customers.import_changed(path, NOON, ["acme"])
    await customers.import_csv("client,name,number\nacme,Somebody,+420777123456\n", NOON)
    await customers.import_changed(path, NOON, ["acme"])
    _, [jana] = await customers.find("acme", "+420777123456")
    assert jana.name == "Jana"


async def test_rows_that_are_left_out_are_told_at_every_start_and_other_clients_are_another_file(
    customers: Both, tmp_path: Path
) -> None:
    path = tmp_path / "customers.csv"
    path.write_text("client,name,number\nglobex,Hans,+420777000115\n")
    for _ in range(2):
        report = await customers.import_changed(path, NOON, ["acme"])
        assert report is not None
        assert report.refused == 1
    report = await customers.import_changed(path, NOON, ["acme", "globex"])
    assert report is not None
    assert report.added == 1


async def test_a_look_up_by_number_reads_those_of_its_tail_alone(customers: Both) -> None:
    """It stands in the way of every call: with a million customers, too, it is a matter of microseconds."""
    plans = [
        await customers._database.fetch_all(f"EXPLAIN QUERY PLAN {sql}", ("acme", wanted))
        for sql, wanted in ((BY_NUMBER, "+420777123456"), (BY_TAIL, "7123456"))
    ]
    assert [row[3] for plan in plans for row in plan] == [
        "SEARCH customer_numbers USING INDEX customer_numbers_by_number (client=? AND number=?)",
        "SEARCH customer_numbers USING INDEX customer_numbers_by_tail (client=? AND tail=?)",
    ]


async def test_what_a_file_has_for_no_number_makes_nobody_wait_and_hides_nobody(customers: Both) -> None:
    rows = "".join(f"acme,c-{at:04},Somebody,+420777777777,,,,\n" for at in range(MOST_ALIKE + 50))
    await customers.import_csv(f"{HEAD}\n{rows}acme,c-real,Jana,+430777777777,,,,\n", NOON)
    assert [each.id for each in (await customers.find("acme", "+430777777777"))[1]] == ["c-real"]
    assert (await customers.find("acme", "+430777777777"))[0] is Match.SURE
    match, found = await customers.find("acme", "+420777777777")
    assert (match, len(found)) == (Match.MAYBE, MAX_FOUND)
