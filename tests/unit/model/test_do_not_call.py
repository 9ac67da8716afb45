"""A do-not-call list as a file: with and without a first line, whatever separates the columns."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from callcenter.model.do_not_call import Line, NotAList, read_csv, read_expiry


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("number,reason,expires\n+1415,no,2027-01-01\n", [Line(2, "+1415", "no", "2027-01-01")]),
        ("\ufeffReason;Number;team\nno; 0800 1 ;x\n\n;+2;\n", [Line(2, "0800 1", "no", ""), Line(4, "+2", "", "")]),
        ("+1415\n+1416\n", [Line(1, "+1415", "", ""), Line(2, "+1416", "", "")]),
        ("", []),
    ],
)
def test_a_file_is_read_line_by_line(text: str, lines: list[Line]) -> None:
    assert list(read_csv(text)) == lines


def test_what_is_no_csv_is_told_with_its_line() -> None:
    with pytest.raises(NotAList, match="line 2: not CSV"):
        list(read_csv('number\n"+1415'))


def test_an_expiry_is_a_day_or_a_moment_of_utc_where_no_zone_is_named() -> None:
    assert read_expiry("") is None
    assert read_expiry("2027-11-30") == datetime(2027, 11, 30, tzinfo=UTC)
    assert read_expiry("2027-11-30T10:00+02:00") == datetime(2027, 11, 30, 8, tzinfo=UTC)
    with pytest.raises(ValueError, match="`soon` is no moment: write"):
        read_expiry("soon")
