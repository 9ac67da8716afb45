"""How days, hours and dates are written."""

from __future__ import annotations

from datetime import date

import pytest

from callcenter.calls.hours import Interval
from callcenter.config import calendar
from callcenter.config.calendar import NotWrittenSo


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon", (0,)),
        ("mon-fri", (0, 1, 2, 3, 4)),
        ("sat, sun", (5, 6)),
        ("fri - mon", (4, 5, 6, 0)),
        ("Tue,thu-FRI", (1, 3, 4)),
        ("mon-sun", (0, 1, 2, 3, 4, 5, 6)),
        ("daily", (0, 1, 2, 3, 4, 5, 6)),
    ],
)
def test_days(text: str, days: tuple[int, ...]) -> None:
    assert calendar.days(text) == days


@pytest.mark.parametrize("text", ["", "monday", "mon-", "-fri", "mo", "mon fri", "lun-vie", "mon;tue"])
def test_what_are_no_days(text: str) -> None:
    with pytest.raises(NotWrittenSo):
        calendar.days(text)


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("09:00-18:00", Interval(540, 1080)),
        ("9:05 - 18:30", Interval(545, 1110)),
        ("00:00-24:00", Interval(0, 1440)),
        ("22:00-02:00", Interval(1320, 1560)),
        ("20:00-00:00", Interval(1200, 1440)),
        ("20:00-24:00", Interval(1200, 1440)),
    ],
)
def test_intervals(text: str, interval: Interval) -> None:
    assert calendar.interval(text) == interval


@pytest.mark.parametrize("text", ["9-18", "09:00", "09:00-25:00", "24:00-02:00", "09:60-18:00", "10:00-10:00", "x"])
def test_what_are_no_hours(text: str) -> None:
    with pytest.raises(NotWrittenSo):
        calendar.interval(text)


def test_dates_of_one_year_and_of_every_year() -> None:
    assert calendar.day_of_calendar("2026-12-25") == date(2026, 12, 25)
    assert calendar.day_of_calendar("12-25") == (12, 25)
    assert calendar.day_of_calendar("02-29") == (2, 29)
    for text in ("25-12", "2026-02-29", "02-30", "2026-12", "christmas", "0000-01-01", "13-01", "00-10"):
        with pytest.raises(NotWrittenSo):
            calendar.day_of_calendar(text)


def test_zones_are_those_of_the_iana_list_and_a_city_is_enough_for_a_hint() -> None:
    assert calendar.zone("America/Sao_Paulo").key == "America/Sao_Paulo"
    for text, better in (("Madrid", "Europe/Madrid"), ("new york", "America/New_York"), ("Europe/Madird", "Madrid")):
        with pytest.raises(NotWrittenSo) as caught:
            calendar.zone(text)
        assert better in caught.value.hint
    for text in ("", "../../etc/passwd", "/etc/localtime", "Nowhere/At_All", "x" * 300):
        with pytest.raises(NotWrittenSo):
            calendar.zone(text)
