"""Days and intervals of every time zone are made of whole quarters of an hour, also when the clocks change."""

from __future__ import annotations

import zoneinfo
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.ledger.intervals import (
    LENGTHS,
    QUARTER_MS,
    begin,
    day_of,
    epoch_ms,
    first_quarter,
    interval,
    quarter_of,
    span,
    spread,
)

NEW_YORK = ZoneInfo("America/New_York")
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # 5:45 before UTC
KOLKATA = ZoneInfo("Asia/Kolkata")  # 5:30
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # changes its clocks by 30 minutes
CHATHAM = ZoneInfo("Pacific/Chatham")  # 12:45 and 13:45


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        (NEW_YORK, date(2026, 3, 8), 23),
        (NEW_YORK, date(2026, 11, 1), 25),
        (NEW_YORK, date(2026, 7, 4), 24),
        (KATHMANDU, date(2026, 3, 8), 24),
        (KOLKATA, date(2026, 3, 8), 24),
        (LORD_HOWE, date(2026, 4, 5), 24.5),
        (LORD_HOWE, date(2026, 10, 4), 23.5),
        (CHATHAM, date(2026, 4, 5), 25),
        (ZoneInfo("America/Santiago"), date(2026, 9, 6), 23),  # leaps at midnight: the day begins at 1:00
        (ZoneInfo("Pacific/Apia"), date(2011, 12, 30), 0),  # a day that never was
    ],
)
def test_a_day_has_as_many_hours_as_its_clocks_say(zone: ZoneInfo, day: date, hours: float) -> None:
    first, behind = span(day, day, zone)
    assert (behind - first) / 4 == hours
    assert {day_of(quarter, zone) for quarter in range(first, behind)} <= {day}


@pytest.mark.parametrize("minutes", LENGTHS)
@pytest.mark.parametrize("zone", [NEW_YORK, KATHMANDU, LORD_HOWE, CHATHAM])
def test_intervals_are_whole_and_lose_nothing(zone: ZoneInfo, minutes: int) -> None:
    """Each quarter of a year of days is in one interval, which begins on the clock there, and at most that long."""
    first, behind = span(date(2026, 1, 1), date(2026, 12, 31), zone)
    lengths = Counter(interval(quarter, zone, minutes) for quarter in range(first, behind))
    assert sum(lengths.values()) == behind - first
    assert max(lengths.values()) <= minutes // 15
    odd = [start for start in lengths if begin(start).astimezone(zone).minute % minutes]
    assert len(odd) <= 2  # cut by a change of the clocks
    assert all(interval(start, zone, minutes) == start for start in lengths)


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    """1:00 to 2:00 on the night that New York gives back the hour."""
    hours = {
        interval(quarter, NEW_YORK, 60) for quarter in range(*span(date(2026, 11, 1), date(2026, 11, 1), NEW_YORK))
    }
    told = Counter(begin(hour).astimezone(NEW_YORK).strftime("%H:%M") for hour in hours)
    assert told["01:00"] == 2
    assert len(hours) == 25


def test_half_hours_of_kathmandu_begin_by_its_own_clock() -> None:
    at = quarter_of(datetime(2026, 3, 2, 9, 40, tzinfo=UTC))  # 15:25 there
    assert begin(interval(at, KATHMANDU, 30)).astimezone(KATHMANDU).strftime("%H:%M") == "15:00"


@given(
    st.sampled_from(sorted(zoneinfo.available_timezones())).map(ZoneInfo),
    st.dates(date(2020, 1, 1), date(2037, 12, 31)),
)
def test_days_of_any_zone_follow_each_other(zone: ZoneInfo, day: date) -> None:
    begins, ends = first_quarter(day, zone), first_quarter(day + timedelta(days=1), zone)
    assert begins <= ends
    for quarter in (begins, ends - 1):
        assert day_of(quarter, zone) == day or begins == ends
    assert begin(begins).astimezone(zone).utcoffset() is not None
    # Today's zones are whole quarters away from UTC, which is what all of this is built on.
    offset = begin(begins).astimezone(zone).utcoffset()
    assert offset is not None
    assert offset % timedelta(minutes=15) == timedelta()


@given(st.integers(0, 10**13), st.integers(0, 10**8))
def test_a_stretch_is_spread_over_its_quarters_whole(begins: int, length: int) -> None:
    parts = list(spread(begins, begins + length))
    assert sum(passed for _, passed in parts) == length
    assert all(0 < passed <= QUARTER_MS for _, passed in parts)
    assert [quarter for quarter, _ in parts] == sorted({quarter for quarter, _ in parts})


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_an_instant_and_what_the_database_keeps_of_it_are_in_one_place(at: datetime) -> None:
    kept = datetime.fromisoformat(at.isoformat(timespec="milliseconds"))
    assert epoch_ms(at) == epoch_ms(kept)
