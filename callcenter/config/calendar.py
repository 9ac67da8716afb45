"""How days, hours and holidays are written: ``mon-fri``, ``09:00-18:00``, ``12-25``; and what is written wrongly."""

from __future__ import annotations

import difflib
import re
from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from callcenter.calls.hours import DAY_MINUTES, Interval

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class NotWrittenSo(ValueError):
    """What is wrong, and in ``hint`` how it is written."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def days(text: str) -> tuple[int, ...]:
    """Weekdays, Monday is 0: ``mon``, ``mon-fri``, ``sat, sun``, ``daily``. Raises NotWrittenSo."""
    if text == "daily":
        return tuple(range(7))
    found: list[int] = []
    for part in re.split(r"\s*,\s*", text.strip()):
        first, dash, last = (word.strip() for word in part.partition("-"))
        start = _day(first, text)
        count = (_day(last, text) - start) % 7 + 1 if dash else 1
        found += [(start + after) % 7 for after in range(count)]
    return tuple(dict.fromkeys(found))


def interval(text: str) -> Interval:
    """``09:00-18:00``; ``22:00-02:00`` goes on behind midnight. Raises NotWrittenSo."""
    found = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", text)
    if not found:
        raise NotWrittenSo(f"`{text}` are not hours of a day", "write from and to, as in 09:00-18:00")
    from_hour, from_minute, to_hour, to_minute = map(int, found.groups())
    start, end = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if max(from_minute, to_minute) > 59 or start >= DAY_MINUTES or end > DAY_MINUTES:
        raise NotWrittenSo(f"`{text}` is no time that a clock shows", "a day goes from 00:00 to 24:00")
    if start == end:
        raise NotWrittenSo(f"`{text}` ends as it begins", "write 00:00-24:00 for a whole day")
    return Interval(start, end if end > start else end + DAY_MINUTES)


def day_of_calendar(text: str) -> date | tuple[int, int]:
    """``2026-12-25``, or ``12-25`` for every year: (month, day). Raises NotWrittenSo."""
    found = re.fullmatch(r"(?:(\d{4})-)?(\d{1,2})-(\d{1,2})", text.strip())
    hint = "write 2026-12-25, or 12-25 for every year: month, then day"
    if not found:
        raise NotWrittenSo(f"`{text}` is not a date", hint)
    month, day = int(found[2]), int(found[3])
    if found[1]:
        try:
            return date(int(found[1]), month, day)
        except ValueError:
            pass
    elif 1 <= month <= 12 and 1 <= day <= LONGEST_MONTHS[month - 1]:
        return month, day
    raise NotWrittenSo(f"`{text}` is in no calendar", hint)


def zone(text: str) -> ZoneInfo:
    """A time zone by its name in the IANA list. Raises NotWrittenSo."""
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        wanted = text.lower().replace(" ", "_")
        known = {name.lower(): name for name in sorted(available_timezones())}
        cities = [name for name in known if name.endswith(f"/{wanted}")]
        near = cities or difflib.get_close_matches(wanted, known, n=1, cutoff=0.6)
        better = known[near[0]] if near else ""
        hint = f"did you mean `{better}`?" if better else "write it as in Europe/Madrid or America/New_York"
        raise NotWrittenSo(f"`{text}` is not the name of a time zone", hint) from None


def _day(word: str, text: str) -> int:
    if word.lower() not in DAYS:
        raise NotWrittenSo(f"`{text}` are not days of a week", f"write {', '.join(DAYS)}, mon-fri, or daily")
    return DAYS.index(word.lower())
