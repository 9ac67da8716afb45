"""Windows: when a customer may be called: opening hours that must all be open, and what was wished; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from callcenter.calls.hours import Hours, closes, instant

# Nothing is promised for a day that is further away, nor looked for there: hours that are never open on one day of a
# hundred are a mistake.
LOOKS_AHEAD = 100
# Two sets of hours that follow each other round the clock without ever meeting; no true ones take more turns.
MOST_TURNS = 2 * LOOKS_AHEAD
UTC_ZONE = ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Local:
    """Opening hours, and the time zone that their clocks go by."""

    hours: Hours
    zone: ZoneInfo


def opens(local: Local, at: datetime) -> datetime | None:
    """The first instant from ``at`` on at which it is open, in UTC; None when there is none in sight."""
    hours, zone = local.hours, local.zone
    first = at.astimezone(zone).date() - timedelta(days=1)  # its hours may go on behind midnight
    found: datetime | None = None
    for ahead in range(LOOKS_AHEAD + 1):
        day = first + timedelta(days=ahead)
        for interval in hours.intervals(day):
            start, end = instant(day, interval.start, zone), instant(day, interval.end, zone)
            if end > at and start < end and (found is None or start < found):
                found = start
        # One day more: intervals of a day need not stand in order, but those of the next begin later.
        if found is not None:
            return max(found, at).astimezone(UTC)
    return None


def allowed(every: Sequence[Local], at: datetime) -> bool:
    """Whether all are open at an instant."""
    return all(opens(each, at) == at for each in every)


def next_allowed(every: Sequence[Local], at: datetime, until: datetime | None = None) -> datetime | None:
    """The first instant from ``at`` on at which all are open, in UTC; None when none comes before ``until``."""
    end = at + timedelta(days=LOOKS_AHEAD)
    end = end if until is None else min(end, until)
    moment = at.astimezone(UTC)
    for _ in range(MOST_TURNS):
        if moment >= end:
            return None
        before = moment
        for each in every:
            opened = opens(each, moment)
            if opened is None:
                return None
            moment = opened
        if moment == before:
            return moment
    return None


def closing(every: Sequence[Local], at: datetime) -> datetime | None:
    """When the first of them closes that are all open at ``at``; None when none does within days."""
    ends = [closes(replace(each.hours, zone=None), each.zone, at) for each in every]  # by the zone that is given here
    return min((end for end in ends if end is not None), default=None)


@dataclass(frozen=True, slots=True)
class Wish:
    """A window that a caller may choose: minutes of the customer's local day, ``start`` to ``end``.

    ``day`` counts from today (0); None with a ``weekday`` (Monday is 0) is the next of that name. What is over today is
    meant on the day after, or a week later. With ``after`` alone (seconds) it is from then on, whatever the day.
    """

    start: int = 0
    end: int = 0
    day: int | None = None
    weekday: int | None = None
    after: float | None = None

    @property
    def at_once(self) -> bool:
        """Whether it is no wish for a time at all: the place in line is kept."""
        return self.day is None and self.weekday is None and self.after is None

    def window(self, now: datetime, zone: ZoneInfo) -> tuple[datetime | None, datetime | None]:
        """Not before, and not after, in UTC."""
        if self.after is not None:
            return now + timedelta(seconds=self.after), None
        if self.at_once:
            return None, None
        today = now.astimezone(zone).date()
        ahead = self.day if self.day is not None else ((self.weekday or 0) - today.weekday()) % 7
        step = 1 if self.day is not None else 7
        while instant(today + timedelta(days=ahead), self.end, zone) <= now:
            ahead += step
        day = today + timedelta(days=ahead)
        return instant(day, self.start, zone), instant(day, self.end, zone)


_WALL = re.compile(r"(\d{4})-(\d{2})-(\d{2})[T ](\d{2}):(\d{2})(?::(\d{2}))?")


def moment(text: str, zone: ZoneInfo) -> datetime:
    """An instant as somebody wrote it: with an offset or Z, or by the clocks of a zone. Raises ValueError.

    By the clocks it is what :func:`instant` says: shown twice is the first, left out is the moment of the leap.
    """
    wall = _WALL.fullmatch(text.strip())
    if wall is None:
        found = datetime.fromisoformat(text.strip())
        if found.tzinfo is None:
            raise ValueError(text)
        return found.astimezone(UTC)
    year, month, day, hour, minute = map(int, wall.groups()[:5])
    seconds = int(wall[6] or 0)
    datetime(year, month, day, hour, minute, seconds)  # noqa: DTZ001  raises for what no clock shows
    return instant(date(year, month, day), hour * 60 + minute, zone) + timedelta(seconds=seconds)
