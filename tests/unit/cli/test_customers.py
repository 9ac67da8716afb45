"""``callcenter customers``: files in and out beside a switch, and what is told of one customer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from callcenter.cli import main
from callcenter.cli.customers import erased, shown
from tests.unit.config.floor import GOOD, write_floor

FLOOR = GOOD.replace(
    "languages: [en]}", "languages: [en], customers: {fields: {seats: {type: number, show: true}}}}", 1
)
TEXT = "client,id,name,numbers,accounts,tier,language,since,notes,agent,seats\nacme,c-1,Jana,+420777123456,A-1,,,,,,3\n"


@pytest.fixture
def floor(tmp_path: Path) -> list[str]:
    """The options that name a floor of one company."""
    return ["--config", str(write_floor(tmp_path / "config", FLOOR)), "--data", str(tmp_path / "data")]


def test_a_file_comes_in_and_out_again_and_every_line_that_is_none_is_told(
    floor: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "in.csv"
    file.write_text(TEXT + "acme,c-2,Petr,+420777000001,,,,,,,many\n")
    assert main(["customers", "import", str(file), "--dry", *floor]) == 1
    told = capsys.readouterr()
    assert told.out == "1 added, 0 changed, 0 as before, 1 rejected (nothing is written)\n"
    assert told.err == f"{file}:3: seats: 'many' is no number; write 12 or -3.5\n"
    file.write_text(TEXT)
    assert main(["customers", "import", str(file), "--json", *floor]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "added": 1,
        "changed": 0,
        "unchanged": 0,
        "refused": 0,
        "dry": False,
        "rejected": [],
        "passed_over": [],
        "clients": {"acme": 1},
    }
    out = tmp_path / "out.csv"
    assert main(["customers", "export", str(out), "--client", "acme", *floor]) == 0
    assert out.read_text() == TEXT
    assert main(["customers", "import", str(out), "--mode", "add", *floor]) == 0
    assert capsys.readouterr().out == "0 added, 0 changed, 1 as before, 0 rejected\n"


def test_a_file_of_a_spreadsheet_comes_in_as_it_is_written_and_what_it_means_nothing_by_is_told(
    floor: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "in.csv"
    file.write_bytes("Name;Numbers;Seat;Notes\r\nJana Nováková;+420777123456;3;káva\r\n".encode("cp1250"))
    assert main(["customers", "import", str(file), "--client", "acme", *floor]) == 1
    assert capsys.readouterr().err == (
        f"callcenter: {file}:2: not UTF-8; save the file as CSV UTF-8, or tell its encoding, as cp1252 or cp1250\n"
    )
    assert main(["customers", "import", str(file), "--client", "acme", "--encoding", "cp1250", *floor]) == 0
    told = capsys.readouterr()
    assert told.err == "passed over, as nothing is known of such columns: seat\n"
    assert told.out == "1 added, 0 changed, 0 as before, 0 rejected\n"
    assert main(["customers", "export", "--client", "acme", *floor]) == 0
    assert "Jana Nováková,+420777123456,,,,,káva," in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["customers", "import", str(file), "--encoding", "hex", *floor])
    assert "there is no encoding 'hex'; write utf-8, cp1252 or cp1250" in capsys.readouterr().err


def test_what_cannot_be_done_is_one_line(floor: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for asked, told in (
        (["import", str(tmp_path / "none.csv")], f"cannot read {tmp_path}/none.csv: no such file or directory"),
        (["export", "--client", "nobody"], "there is no client nobody"),
        (["export", str(tmp_path)], f"cannot write {tmp_path}: Is a directory"),
    ):
        assert main(["customers", *asked, *floor]) == 1
        assert capsys.readouterr().err == f"callcenter: {told}\n"
    assert main(["customers", "find", "acme", "--number", "1", *floor]) == 1
    assert "callcenter: " in capsys.readouterr().err, "no switch runs"


def test_a_customer_is_told_in_some_lines() -> None:
    customer = {
        "id": "c-1",
        "name": "Jana",
        "numbers": ["+1", "+2"],
        "accounts": [],
        "tier": "gold",
        "language": "",
        "since": "",
        "agent": "",
        "fields": {"seats": 3, "vip": True},
        "notes": "likes tea\nand cake",
        "merged": [{"id": "c-2", "at": "2026", "by": "ana", "conflicts": {"name": ["Jana", "J."]}, "record": {}}],
    }
    assert list(shown(customer)) == [
        "c-1: Jana",
        "  numbers +1, +2",
        "  tier gold",
        "  seats 3",
        "  vip yes",
        "  | likes tea",
        "  | and cake",
        "  was c-2 too, until 2026 (ana); name was 'J.'",
    ]


def test_what_was_erased_and_what_was_not_is_told() -> None:
    told = {"found": True, "dry": False, "erased": {"calls": 2, "customers": 1}, "kept": ["recording r: it is held"]}
    assert list(erased(told)) == ["erased: 2 calls, 1 customers", "  not erased: recording r: it is held"]
    assert next(erased({**told, "dry": True})) == "would be erased: 2 calls, 1 customers"
    assert list(erased({**told, "found": False, "kept": []})) == ["there is nothing of them"]
