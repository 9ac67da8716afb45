"""When a customer may be called, over every zone, leap and fold; and the times that callers choose."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callcenter.calls.hours import Door, Holiday, Hours, Interval, look
from callcenter.calls.windows import Local, Wish, allowed, closing, moment, next_allowed
from callcenter.model.number_zone import zone_of_number

ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC", "Europe/Prague", "Europe/Lisbon", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo",
        "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati",
        "America/St_Johns", "Africa/Casablanca", "America/Santiago",
    )
]  # fmt: skip
PRAGUE = ZoneInfo("Europe/Prague")
OFFICE = Hours("office", (*[(Interval(540, 1080),)] * 5, (), ()))

intervals = st.builds(
    lambda start, length: Interval(start, start + length), st.integers(0, 1439), st.integers(15, 1440)
)
weeks = st.lists(st.lists(intervals, max_size=2).map(tuple), min_size=7, max_size=7).map(tuple)
days = st.dates(date(2025, 1, 1), date(2027, 12, 31))
hours = st.builds(
    lambda week, dates, zone: Hours("h", week, {day: Holiday("off") for day in dates}, zone=zone),
    weeks,
    st.lists(days, max_size=3),
    st.none(),
)
locals_ = st.lists(st.builds(Local, hours, st.sampled_from(ZONES)), max_size=2)
# Every leap and fold of these zones lies in these years; half of the instants are drawn close to one.
LEAPS = [
    datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC), datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, tzinfo=UTC),
]  # fmt: skip
instants = st.one_of(
    st.integers(0, 365 * 1440).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)),
    st.builds(
        lambda leap, minutes: leap + timedelta(minutes=minutes), st.sampled_from(LEAPS), st.integers(-1500, 1500)
    ),
)


@settings(max_examples=150, deadline=None)
@given(locals_, instants)
def test_the_next_moment_is_one_at_which_all_are_open_and_none_before_it_is(every: list[Local], at: datetime) -> None:
    found = next_allowed(every, at)
    probes = [at + timedelta(minutes=each) for each in range(0, 48 * 60, 97)]
    for probe in probes:
        if found is None or probe < found:
            doors = [look(each.hours, each.zone, probe).door for each in every]
            assert any(door is not Door.OPEN for door in doors), f"it was open at {probe} already, told was {found}"
    if found is not None:
        assert found >= at
        assert all(look(each.hours, each.zone, found).door is Door.OPEN for each in every)
        assert allowed(every, found)
        end = closing(every, found)
        if end is not None:
            assert end > found
            assert allowed(every, end - timedelta(seconds=1))
            assert not allowed(every, end)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(ZONES), instants, st.integers(0, 1439), st.integers(15, 600), st.integers(0, 6))
def test_a_wish_is_a_window_that_is_not_over_and_says_what_the_clocks_there_say(
    zone: ZoneInfo, at: datetime, start: int, length: int, weekday: int
) -> None:
    for wish in (Wish(start, start + length, day=0), Wish(start, start + length, weekday=weekday)):
        begin, end = wish.window(at, zone)
        assert begin is not None
        assert end is not None
        assert begin <= end
        assert end > at
        if wish.weekday is not None and begin < end:
            # A day that a zone has left out altogether (none does in these years) would be the next.
            assert begin.astimezone(zone).weekday() in (weekday, (weekday + 1) % 7)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-03-29T01:30", "2026-03-29T00:30"),
        ("2026-03-29T02:30", "2026-03-29T01:00"),  # left out: the moment of the leap
        ("2026-10-25T02:30", "2026-10-25T00:30"),  # shown twice: the first
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30"),
        ("2026-06-01 10:00:30", "2026-06-01T08:00"),
        ("2026-06-01T10:00Z", "2026-06-01T10:00"),
    ],
)
def test_a_moment_is_read_by_the_clocks_of_the_zone(text: str, told: str) -> None:
    assert moment(text, PRAGUE).isoformat()[:16] == told


@pytest.mark.parametrize("text", ["soon", "2026-02-30T10:00", "2026-06-01", "10:00", "2026-06-01T25:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        moment(text, PRAGUE)


def test_hours_that_never_meet_allow_nothing_and_one_is_not_kept_looking() -> None:
    both = [Local(OFFICE, PRAGUE), Local(OFFICE, ZoneInfo("Pacific/Auckland"))]
    assert next_allowed(both, datetime(2026, 11, 30, 12, tzinfo=UTC)) is None
    at = datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert next_allowed(both[:1], at) == datetime(2026, 11, 30, 8, tzinfo=UTC)
    assert next_allowed(both[:1], at, datetime(2026, 11, 30, 8, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("number", "zone"),
    [
        ("+420800123456", "Europe/Prague"),
        ("+14155550101", "America/Los_Angeles"),
        ("+18005550100", ""),  # a freephone number is nowhere
        ("+4930123456", "Europe/Berlin"),
        ("+870773111632", ""),
        ("+1", ""),
    ],
)
def test_a_number_says_where_it_is_or_nothing(number: str, zone: str) -> None:
    assert zone_of_number(number, 2026) == zone


def test_hours_with_clocks_of_their_own_close_by_the_clocks_that_they_are_asked_for() -> None:
    """As the hours for callbacks do: they are the customer's, also where the hours themselves name a zone."""
    local = Local(Hours("office", OFFICE.week, zone=PRAGUE), ZoneInfo("America/New_York"))
    at = datetime(2026, 3, 2, 16, tzinfo=UTC)
    assert allowed([local], at)
    assert closing([local], at) == datetime(2026, 3, 2, 23, tzinfo=UTC)
