"""When something is due: as people write it, in their own zone, on days with 23 and 25 hours too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.model.due import NotADue, read_due

PRAGUE = ZoneInfo("Europe/Prague")
# A Monday, 12:20 in Prague.
NOW = datetime(2026, 11, 30, 11, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "local"),
    [
        ("2026-12-01T10:00", "2026-12-01T10:00"),
        ("2026-12-01 10:00", "2026-12-01T10:00"),
        ("2026-12-01T10:00Z", "2026-12-01T11:00"),
        ("2026-12-01T10:00-05:00", "2026-12-01T16:00"),
        ("tomorrow 10:00", "2026-12-01T10:00"),
        ("Tomorrow at 10", "2026-12-01T10:00"),
        ("today 17:30", "2026-11-30T17:30"),
        ("monday 9:00", "2026-12-07T09:00"),
        ("monday 17:00", "2026-11-30T17:00"),
        ("friday 9:30", "2026-12-04T09:30"),
        ("17:00", "2026-11-30T17:00"),
        ("9:00", "2026-12-01T09:00"),
        ("in 2h", "2026-11-30T14:20"),
        ("in 45 min", "2026-11-30T13:05"),
        ("in 3 days", "2026-12-03T12:20"),
        ("in 2 weeks", "2026-12-14T12:20"),
    ],
)
def test_what_people_write_is_a_moment_in_their_zone(written: str, local: str) -> None:
    due = read_due(written, PRAGUE, NOW)
    assert (due.local, due.zone) == (local, "Europe/Prague")
    assert due.at.astimezone(PRAGUE).replace(tzinfo=None).isoformat(timespec="minutes") == local


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("soon", "is no moment: write e.g."),
        ("2026-12-01", "has no time of day"),
        ("tomorrow 25:00", "no such time of day"),
        ("2026-02-30 10:00", "is no day"),
        ("9999-12-31T23:59-14:00", "out of all time"),
        ("in 99999h", "is no moment"),
    ],
)
def test_what_is_no_moment_is_refused_with_what_to_write(written: str, why: str) -> None:
    with pytest.raises(NotADue, match=why) as refused:
        read_due(written, PRAGUE, NOW)
    assert "tomorrow 10:00" in str(refused.value)


def test_a_time_that_the_clocks_leave_out_is_as_much_later_and_of_one_that_comes_twice_the_first_counts() -> None:
    spring, autumn = datetime(2027, 3, 27, 12, tzinfo=UTC), datetime(2026, 10, 24, 12, tzinfo=UTC)
    gap = read_due("tomorrow 2:30", PRAGUE, spring)
    assert (gap.at, gap.local) == (datetime(2027, 3, 28, 1, 30, tzinfo=UTC), "2027-03-28T03:30")
    twice = read_due("tomorrow 2:30", PRAGUE, autumn)
    assert (twice.at, twice.local) == (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "2026-10-25T02:30")
    # The same time of day, an hour more or less away.
    for before, hours in ((spring, 23), (autumn, 25)):
        assert read_due("in 1 day", PRAGUE, before).at - before == timedelta(hours=hours)
        assert read_due("in 24h", PRAGUE, before).at - before == timedelta(hours=24)


@given(
    st.datetimes(timezones=st.just(UTC), min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1)),  # noqa: DTZ001  hypothesis adds it
    st.sampled_from(["Europe/Prague", "America/Sao_Paulo", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]),
    st.sampled_from(["tomorrow 2:30", "friday 1:15", "0:00", "23:59", "in 3h", "in 1 min"]),
)
def test_what_is_to_come_is_never_past_and_told_as_the_clock_on_the_wall_has_it(
    now: datetime, zone: str, written: str
) -> None:
    here = ZoneInfo(zone)
    due = read_due(written, here, now.replace(tzinfo=UTC))
    assert due.at > now.replace(tzinfo=UTC)
    assert due.at - now.replace(tzinfo=UTC) < timedelta(days=8, hours=2)
    assert due.local == due.at.astimezone(here).replace(tzinfo=None).isoformat(timespec="minutes")
