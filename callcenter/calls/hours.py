"""Opening hours: a week of intervals, holidays, and whether it is open at an instant; pure, whatever the clocks do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

DAY_MINUTES = 24 * 60
# Whoever waits does not wait for a closing that is further away (days).
LOOKS_AHEAD = 9


class Door(StrEnum):
    """How one stands before the door. ``HOLIDAY``: closed on a day that is named in the calendar."""

    OPEN = "open"
    CLOSED = "closed"
    HOLIDAY = "holiday"


@dataclass(frozen=True, slots=True)
class Interval:
    """Minutes of the local day, ``start`` within it; an ``end`` behind midnight is more than a day's minutes."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day that is not as the week says: closed, or open in these intervals only."""

    name: str
    open: tuple[Interval, ...] = ()


@dataclass(frozen=True, slots=True)
class Hours:
    """Named opening hours. ``week`` is from Monday on; an interval belongs to the day on which it begins.

    ``dates`` are holidays of one year, ``yearly`` those of every year by (month, day). ``zone``: None takes the zone
    of the company that is called.
    """

    id: str
    week: tuple[tuple[Interval, ...], ...]
    dates: Mapping[date, Holiday] = field(default_factory=dict)
    yearly: Mapping[tuple[int, int], Holiday] = field(default_factory=dict)
    zone: ZoneInfo | None = None

    def holiday(self, day: date) -> Holiday | None:
        """The holiday of a day; one that is named with its year counts before one of every year."""
        return self.dates.get(day) or self.yearly.get((day.month, day.day))

    def intervals(self, day: date) -> tuple[Interval, ...]:
        """When it is open on a day."""
        holiday = self.holiday(day)
        return holiday.open if holiday is not None else self.week[day.weekday()]


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether it is open, and the name of the holiday it is."""

    door: Door
    holiday: str = ""


def look(hours: Hours, zone: ZoneInfo, at: datetime) -> Standing:
    """How things stand at an instant, in the hours' own zone, or in ``zone`` where they have none."""
    zone = hours.zone or zone
    today = at.astimezone(zone).date()
    holiday = hours.holiday(today)
    name = holiday.name if holiday is not None else ""
    if any(start <= at < end for start, end in _spans(hours, zone, today)):
        return Standing(Door.OPEN, name)
    return Standing(Door.HOLIDAY if name else Door.CLOSED, name)


def closes(hours: Hours, zone: ZoneInfo, at: datetime) -> datetime | None:
    """When what is open at an instant closes next, in UTC; None when it is not open, or never closes.

    Intervals that meet or overlap, as those of two days round the clock, are one.
    """
    zone = hours.zone or zone
    end = at
    for ahead in range(LOOKS_AHEAD):
        before = end
        day = at.astimezone(zone).date() + timedelta(days=ahead)
        for start, stop in sorted(_spans(hours, zone, day)):
            if start <= end < stop:
                end = stop
        if end == before and ahead:
            break
    else:
        return None
    return end if end > at else None


def _spans(hours: Hours, zone: ZoneInfo, today: date) -> Iterator[tuple[datetime, datetime]]:
    """What may be open now: today's intervals, and yesterday's that go on behind midnight."""
    for day in (today - timedelta(days=1), today):
        for interval in hours.intervals(day):
            yield instant(day, interval.start, zone), instant(day, interval.end, zone)


def instant(day: date, minute: int, zone: ZoneInfo) -> datetime:
    """When the clocks on the wall first show this minute of the day, in UTC.

    A time that is shown twice is the first of both, one that is left out is the moment of the leap: so that what ends
    at a time and what begins at it meet, on every day of the year.
    """
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)  # noqa: DTZ001  the zone follows
    first = wall.replace(tzinfo=zone).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    return first if first <= second else _leap(second, first, zone)


def _leap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The second of the leap between two instants, which lie on both sides of it (PEP 495)."""
    offset = after.astimezone(zone).utcoffset()
    low, high = 0, round((after - before).total_seconds())
    while low < high:
        middle = (low + high) // 2
        if (before + timedelta(seconds=middle)).astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle + 1
    return before + timedelta(seconds=low)
