"""Opening hours: open and closed to the second, on the days when the clocks leap, behind midnight, on holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcenter.calls.hours import Door, Holiday, Hours, Interval, Standing, closes, instant, look
from callcenter.config import calendar

NEW_YORK, MADRID, SAO_PAULO = ZoneInfo("America/New_York"), ZoneInfo("Europe/Madrid"), ZoneInfo("America/Sao_Paulo")
CLOSED: tuple[Interval, ...] = ()


def week(**spans: str) -> tuple[tuple[Interval, ...], ...]:
    return tuple(tuple(map(calendar.interval, spans.get(day, "").split())) for day in calendar.DAYS)


def daily(spans: str) -> Hours:
    return Hours("office", week(**dict.fromkeys(calendar.DAYS, spans)))


def at(zone: ZoneInfo, text: str, fold: int = 0) -> datetime:
    """An instant by what the clocks on the wall show."""
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def open_at(hours: Hours, zone: ZoneInfo, text: str, fold: int = 0) -> bool:
    return look(hours, zone, at(zone, text, fold)).door is Door.OPEN


def test_it_opens_with_the_minute_and_closes_with_the_minute() -> None:
    hours = Hours("office", week(mon="09:00-18:00", tue="09:00-18:00"))
    assert not open_at(hours, MADRID, "2026-11-23 08:59:59")
    assert open_at(hours, MADRID, "2026-11-23 09:00:00")
    assert open_at(hours, MADRID, "2026-11-23 17:59:59.999")
    assert not open_at(hours, MADRID, "2026-11-23 18:00:00")
    assert not open_at(hours, MADRID, "2026-11-25 12:00:00"), "a Wednesday"


def test_a_company_in_new_york_is_open_when_it_is_night_in_madrid() -> None:
    hours = daily("09:00-18:00")
    moment = at(NEW_YORK, "2026-11-23 17:30")
    assert look(hours, NEW_YORK, moment).door is Door.OPEN
    assert look(hours, MADRID, moment).door is Door.CLOSED


def test_hours_with_a_zone_of_their_own_do_not_ask_for_the_company_s() -> None:
    hours = Hours("office", daily("09:00-18:00").week, zone=NEW_YORK)
    assert look(hours, MADRID, at(NEW_YORK, "2026-11-23 17:30")).door is Door.OPEN


def test_friday_night_goes_on_behind_midnight_and_belongs_to_friday() -> None:
    hours = Hours("bar", week(fri="22:00-02:00"))
    assert open_at(hours, MADRID, "2026-11-27 23:30")
    assert open_at(hours, MADRID, "2026-11-28 01:59")
    assert not open_at(hours, MADRID, "2026-11-28 02:00")
    assert not open_at(hours, MADRID, "2026-11-28 23:30"), "Saturday has none"
    assert not open_at(hours, MADRID, "2026-11-27 01:00"), "Thursday has none"


def test_around_the_clock_has_no_second_without() -> None:
    hours = daily("00:00-24:00")
    begin = at(NEW_YORK, "2026-10-31 00:00")
    assert all(look(hours, NEW_YORK, begin + timedelta(minutes=10 * n)).door is Door.OPEN for n in range(3 * 144))


def test_at_noon_there_is_a_break() -> None:
    hours = daily("09:00-12:00 13:00-18:00")
    assert [open_at(hours, MADRID, f"2026-11-23 {hour}:30") for hour in (11, 12, 13)] == [True, False, True]


# The clocks leap forward: in New York 02:00 becomes 03:00, in Madrid too, in Sao Paulo midnight became 01:00.


def test_what_opens_in_the_hour_that_is_left_out_opens_with_the_leap() -> None:
    hours = daily("02:30-18:00")
    assert not open_at(hours, NEW_YORK, "2026-03-08 01:59:59")
    assert open_at(hours, NEW_YORK, "2026-03-08 03:00:00")


def test_what_closes_in_the_hour_that_is_left_out_closes_with_the_leap() -> None:
    hours = daily("20:00-02:30")
    assert open_at(hours, MADRID, "2026-03-29 01:59:59")
    assert not open_at(hours, MADRID, "2026-03-29 03:00:00")


def test_sao_paulo_began_its_summer_at_a_midnight_that_was_not() -> None:
    """On 4 November 2018 the clocks went from 23:59:59 to 01:00:00."""
    midnight = at(SAO_PAULO, "2018-11-03 23:59:59") + timedelta(seconds=1)
    assert midnight.astimezone(SAO_PAULO).hour == 1
    assert instant(date(2018, 11, 4), 0, SAO_PAULO) == instant(date(2018, 11, 3), 1440, SAO_PAULO) == midnight
    until_midnight, from_midnight = daily("08:00-24:00"), daily("00:00-08:00")
    for hours, before, after in ((until_midnight, True, False), (from_midnight, False, True)):
        assert (look(hours, SAO_PAULO, midnight - timedelta(seconds=1)).door is Door.OPEN) is before
        assert (look(hours, SAO_PAULO, midnight).door is Door.OPEN) is after


def test_sao_paulo_has_no_summer_time_any_more() -> None:
    hours = daily("09:00-18:00")
    assert look(hours, SAO_PAULO, datetime(2026, 1, 15, 12, 0, tzinfo=UTC)).door is Door.OPEN
    assert look(hours, SAO_PAULO, datetime(2026, 1, 15, 11, 59, tzinfo=UTC)).door is Door.CLOSED


# The clocks leap back: in New York and Madrid an hour is shown twice.


def test_in_the_hour_that_comes_twice_it_does_not_open_twice() -> None:
    hours = daily("20:00-01:30")
    first, second = at(NEW_YORK, "2026-11-01 01:15"), at(NEW_YORK, "2026-11-01 01:15", fold=1)
    assert second - first == timedelta(hours=1)
    assert look(hours, NEW_YORK, first).door is Door.OPEN
    assert look(hours, NEW_YORK, second).door is Door.CLOSED


def test_what_opens_in_the_hour_that_comes_twice_stays_open() -> None:
    hours = daily("02:30-18:00")
    assert not open_at(hours, MADRID, "2026-10-25 02:29")
    assert open_at(hours, MADRID, "2026-10-25 02:30")
    assert open_at(hours, MADRID, "2026-10-25 02:10", fold=1), "half past two has been, once"


@given(
    zone=st.sampled_from([NEW_YORK, MADRID, SAO_PAULO]),
    day=st.dates(date(2016, 1, 1), date(2028, 12, 31)),
    cut=st.integers(1, 1439),
    second=st.integers(0, 86399),
)
def test_hours_that_meet_leave_no_gap_and_never_overlap(zone: ZoneInfo, day: date, cut: int, second: int) -> None:
    """Whoever is closed until a time and open from it on is one of both at every moment, whatever the clocks do."""
    early = Hours("early", ((Interval(0, cut),),) * 7)
    late = Hours("late", ((Interval(cut, 1440),),) * 7)
    moment = instant(day, 0, zone) + timedelta(seconds=second)
    doors = [look(hours, zone, moment).door is Door.OPEN for hours in (early, late)]
    assert sum(doors) == 1


@given(
    zone=st.sampled_from([NEW_YORK, MADRID, SAO_PAULO]),
    day=st.dates(date(2016, 1, 1), date(2028, 12, 31)),
    minutes=st.lists(st.integers(0, 2880), min_size=2, max_size=2, unique=True).map(sorted),
)
def test_later_on_the_wall_is_never_earlier_in_truth(zone: ZoneInfo, day: date, minutes: list[int]) -> None:
    assert instant(day, minutes[0], zone) <= instant(day, minutes[1], zone)


# Holidays.

CHRISTMAS, EVE = Holiday("Christmas Day"), Holiday("Christmas Eve", (Interval(9 * 60, 13 * 60),))
WITH_HOLIDAYS = Hours(
    "office",
    daily("08:00-20:00").week,
    dates={date(2026, 11, 26): Holiday("Thanksgiving"), date(2027, 12, 25): Holiday("A Christmas of its own")},
    yearly={(12, 25): CHRISTMAS, (12, 24): EVE},
)


@pytest.mark.parametrize(
    ("moment", "standing"),
    [
        ("2026-11-26 10:00", Standing(Door.HOLIDAY, "Thanksgiving")),
        ("2026-11-27 10:00", Standing(Door.OPEN)),
        ("2027-11-26 10:00", Standing(Door.OPEN)),
        ("2026-12-25 10:00", Standing(Door.HOLIDAY, "Christmas Day")),
        ("2030-12-25 10:00", Standing(Door.HOLIDAY, "Christmas Day")),
        ("2027-12-25 10:00", Standing(Door.HOLIDAY, "A Christmas of its own")),
        ("2026-12-24 08:30", Standing(Door.HOLIDAY, "Christmas Eve")),
        ("2026-12-24 12:59", Standing(Door.OPEN, "Christmas Eve")),
        ("2026-12-24 13:00", Standing(Door.HOLIDAY, "Christmas Eve")),
        ("2026-11-27 21:00", Standing(Door.CLOSED)),
    ],
)
def test_a_holiday_counts_before_the_week(moment: str, standing: Standing) -> None:
    assert look(WITH_HOLIDAYS, NEW_YORK, at(NEW_YORK, moment)) == standing


def test_a_holiday_is_a_day_where_the_company_is() -> None:
    """It is still the 24th in New York when the 25th has begun in Madrid."""
    moment = at(MADRID, "2026-12-25 00:30")
    assert look(WITH_HOLIDAYS, MADRID, moment).holiday == "Christmas Day"
    assert look(WITH_HOLIDAYS, NEW_YORK, moment).holiday == "Christmas Eve"


def test_the_night_before_a_holiday_is_served_to_its_end() -> None:
    hours = Hours("bar", daily("22:00-02:00").week, yearly={(12, 25): CHRISTMAS})
    assert open_at(hours, MADRID, "2026-12-25 01:00")
    assert not open_at(hours, MADRID, "2026-12-25 22:30")
    assert not open_at(hours, MADRID, "2026-12-26 01:00"), "the night of the holiday is part of it"


def test_it_is_known_when_it_closes() -> None:
    hours = Hours("office", week(mon="09:00-12:00 13:00-18:00", tue="22:00-02:00"))
    assert closes(hours, MADRID, at(MADRID, "2026-11-23 10:00")) == at(MADRID, "2026-11-23 12:00")
    assert closes(hours, MADRID, at(MADRID, "2026-11-23 17:59:59")) == at(MADRID, "2026-11-23 18:00")
    assert closes(hours, MADRID, at(MADRID, "2026-11-24 23:00")) == at(MADRID, "2026-11-25 02:00")
    assert closes(hours, MADRID, at(MADRID, "2026-11-25 01:00")) == at(MADRID, "2026-11-25 02:00")
    assert closes(hours, MADRID, at(MADRID, "2026-11-23 12:30")) is None


def test_days_that_meet_at_midnight_are_one_time_of_being_open() -> None:
    hours = Hours("office", week(mon="09:00-24:00", tue="00:00-10:00"))
    assert closes(hours, MADRID, at(MADRID, "2026-11-23 10:00")) == at(MADRID, "2026-11-24 10:00")


def test_what_never_closes_has_no_closing() -> None:
    assert closes(daily("00:00-24:00"), MADRID, at(MADRID, "2026-11-23 10:00")) is None


@given(st.integers(0, 370 * 24 * 4), st.sampled_from((NEW_YORK, MADRID, SAO_PAULO)))
def test_until_it_closes_it_is_open_and_then_it_is_not(quarters: int, zone: ZoneInfo) -> None:
    """On every day of the year, those included on which the clocks leap."""
    hours = daily("01:30-03:15 09:00-12:30")
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarters)
    end = closes(hours, zone, now)
    if look(hours, zone, now).door is not Door.OPEN:
        assert end is None
        return
    assert end is not None
    step = now
    while step < end:
        assert look(hours, zone, step).door is Door.OPEN
        step += timedelta(minutes=15)
    assert look(hours, zone, end).door is not Door.OPEN
