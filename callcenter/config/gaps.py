"""Gaps: opening hours that are closed, or said twice, where nobody means it, and holidays that end with the year."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import pairwise

from callcenter.calls.hours import DAY_MINUTES, Interval
from callcenter.config import calendar
from callcenter.config.explain import KeyPath
from callcenter.config.hours import Hours
from callcenter.config.problems import Code
from callcenter.config.things import Notes, Things

# Nobody closes for less: 23:59 is written for midnight, 12:59 for one.
SHORTEST_BREAK = 5
# From this month on who writes dates knows those of the next year.
AUTUMN = 10


def hours(things: Things, notes: Notes, today: date) -> None:
    """Note what is odd about each set of opening hours."""
    for name, each in things.hours.items():
        path: KeyPath = ("hours", name)
        if not any(each.open.values()) and not any(holiday.open for holiday in each.holidays.values()):
            hint = 'write days and hours, e.g. mon-fri: ["09:00-18:00"]'
            notes.warn(Code.HOURS, (*path, "open"), "it is never open", hint)
        else:
            _Week(each, path, notes).look()
        _holidays(each, (*path, "holidays"), notes, today)


class _Week:
    """The week of one set of hours: for each day where it is written, and its intervals."""

    def __init__(self, written: Hours, path: KeyPath, notes: Notes) -> None:
        self._written = written
        self._path = (*path, "open")
        self._notes = notes
        self._lines = {day: line for line in written.open for day in calendar.days(line)}

    def look(self) -> None:
        """Note days that were forgotten, times that are said twice, and minutes that are closed by a slip."""
        for line, spans in self._written.open.items():
            _spans(tuple(map(calendar.interval, spans)), (*self._path, line), self._notes)
        for day in range(7):
            self._forgotten(day)
            self._over_midnight(day)

    def _intervals(self, day: int) -> tuple[Interval, ...]:
        line = self._lines.get(day % 7)
        return () if line is None else tuple(sorted(map(calendar.interval, self._written.open[line]), key=_start))

    def _forgotten(self, day: int) -> None:
        """A weekday that is named nowhere, between two that are open; Monday and the weekend may well be free."""
        if 0 < day < 5 and day not in self._lines and self._intervals(day - 1) and self._intervals(day + 1):
            name = calendar.DAYS[day]
            self._notes.warn(
                Code.HOURS,
                self._path,
                f"on {name} it is never open, on the days before and after it is",
                f"add `{name}: 09:00-18:00`; or `{name}: []`, when it is meant so",
            )

    def _over_midnight(self, day: int) -> None:
        before, after = self._intervals(day), self._intervals(day + 1)
        if not before or not after:
            return
        last, first = max(before, key=lambda each: each.end), after[0]
        closed = first.start + DAY_MINUTES - last.end
        path, names = (*self._path, self._lines[day]), [calendar.DAYS[day], calendar.DAYS[(day + 1) % 7]]
        if closed < 0:
            self._notes.warn(
                Code.HOURS,
                path,
                f"the hours of {names[0]} go on until {_clock(last.end)}, when those of {names[1]} have begun",
                f"end them at {_clock(first.start)}, or begin those of {names[1]} later",
            )
        elif 0 < closed < SHORTEST_BREAK:
            _slip(last.end, first.start + DAY_MINUTES, path, self._notes)


def _spans(spans: Sequence[Interval], path: KeyPath, notes: Notes) -> None:
    """What of one day is said twice, or left out by a slip."""
    order = sorted(enumerate(spans), key=lambda each: _start(each[1]))
    for (_, before), (at, after) in pairwise(order):
        if after.start < before.end:
            notes.warn(
                Code.HOURS,
                (*path, at),
                f"it is open already from {_clock(before.start)} to {_clock(before.end)}",
                "write each time once",
            )
        elif 0 < after.start - before.end < SHORTEST_BREAK:
            _slip(before.end, after.start, (*path, at), notes)


def _slip(closed: int, opened: int, path: KeyPath, notes: Notes) -> None:
    notes.warn(
        Code.HOURS,
        path,
        f"it is closed from {_clock(closed)} to {_clock(opened)}",
        f"an end is the first minute that is closed: write {_clock(opened)} for the end before",
    )


def _holidays(written: Hours, path: KeyPath, notes: Notes, today: date) -> None:
    dated: dict[str, list[tuple[date, str]]] = defaultdict(list)
    yearly: set[str] = set()
    for text, holiday in written.holidays.items():
        day = calendar.day_of_calendar(text)
        _spans(tuple(map(calendar.interval, holiday.open)), (*path, text, "open"), notes)
        if isinstance(day, date):
            dated[holiday.name].append((day, text))
        else:
            yearly.add(holiday.name)
    days = [day for each in dated.values() for day, _ in each]
    if days and not yearly and max(days) < today:
        hint = "add those to come; 12-25 without a year is every year's"
        notes.warn(Code.HOURS, path, "all of these holidays are over", hint)
        return
    for name, each in dated.items():
        last, text = max(each)
        if last < today and name not in yearly:
            notes.warn(Code.HOURS, (*path, text), f"the last `{name}` is over", "add the next one, or take it away")
    _next_year({name: [day for day, _ in each] for name, each in dated.items()}, path, notes, today)


def _next_year(dated: dict[str, list[date]], path: KeyPath, notes: Notes, today: date) -> None:
    """Holidays that have a date this year and none in the next, when that is near."""
    coming = today.year + 1
    now = {name for name, days in dated.items() if any(day.year == today.year for day in days)}
    then = {name for name, days in dated.items() if any(day.year >= coming for day in days)}
    if today.month < AUTUMN or len(now) < 2 or not now - then:
        return
    if not then:
        last = max(day for days in dated.values() for day in days)
        notes.warn(Code.HOURS, path, f"no holiday has a date behind {last}", f"add those of {coming}")
        return
    names = sorted(now - then)
    message = f"{', '.join(f'`{name}`' for name in names)} {'has' if len(names) == 1 else 'have'} no date in {coming}"
    notes.warn(Code.HOURS, path, message, "as others have: add it, or take those away that come no more")


def _start(interval: Interval) -> int:
    return interval.start


def _clock(minute: int) -> str:
    """A minute as a clock shows it; 24:00 is the end of a day."""
    hour, minute = divmod(minute if minute <= DAY_MINUTES else minute - DAY_MINUTES, 60)
    return f"{hour:02}:{minute:02}"
