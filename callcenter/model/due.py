"""Due: when something is to be done, as people write it in their own time zone, and as the clock has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME = r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?"
_ON_A_DAY = re.compile(rf"(?P<day>today|tomorrow|{'|'.join(_DAYS)}|\d{{4}}-\d{{2}}-\d{{2}})(?: at)? {_TIME}")
_AT = re.compile(r"(?:at )?(?P<hour>\d{1,2}):(?P<minute>\d{2})")
_IN = re.compile(r"in (?P<count>\d{1,4}) ?(?P<unit>m|min|minutes?|h|hours?|d|days?|weeks?)")
_HINT = "write e.g. 2026-12-01T10:00, tomorrow 10:00, friday 9:30, 17:00, in 2h or in 3 days"


class NotADue(ValueError):
    """A text that is no moment; one sentence says what to write."""


@dataclass(frozen=True, slots=True)
class Due:
    """A moment: ``at`` in UTC, and the same ``local``, without an offset, in the time zone in which it is meant."""

    at: datetime
    local: str
    zone: str


def read_due(written: str, zone: ZoneInfo, now: datetime) -> Due:
    """What somebody means who writes this in ``zone``, at the moment ``now``. Raises NotADue.

    A day of the week, or a time alone, is the next such moment. A time that the clocks leave out in spring is as much
    later as they are put forward; of one that comes twice in autumn the first is meant.
    """
    text = " ".join(written.lower().split())
    here = now.astimezone(zone)
    if (found := _ON_A_DAY.fullmatch(text)) is not None:
        return _on(found["day"], _time(found), zone, here)
    if (found := _AT.fullmatch(text)) is not None:
        wanted = _time(found)
        due = _local(here.date(), wanted, zone)
        return due if due.at > now else _local(here.date() + timedelta(days=1), wanted, zone)
    if (found := _IN.fullmatch(text)) is not None:
        count, unit = int(found["count"]), found["unit"]
        if unit.startswith(("d", "w")):
            days = count * (7 if unit.startswith("w") else 1)
            return _local(here.date() + timedelta(days=days), here.time().replace(second=0, microsecond=0), zone)
        return _instant(now + (timedelta(hours=count) if unit.startswith("h") else timedelta(minutes=count)), zone)
    try:
        moment = datetime.fromisoformat(written.strip())
    except ValueError:
        raise NotADue(f"`{written}` is no moment: {_HINT}") from None
    if re.fullmatch(r"[0-9W-]+", written.strip()):
        raise NotADue(f"`{written}` has no time of day: {_HINT}")
    return _instant(moment, zone) if moment.tzinfo is not None else _local(moment.date(), moment.time(), zone)


def _on(day: str, wanted: time, zone: ZoneInfo, here: datetime) -> Due:
    if day == "today":
        return _local(here.date(), wanted, zone)
    if day == "tomorrow":
        return _local(here.date() + timedelta(days=1), wanted, zone)
    if day in _DAYS:
        ahead = (_DAYS.index(day) - here.weekday()) % 7
        due = _local(here.date() + timedelta(days=ahead), wanted, zone)
        return due if due.at > here else _local(here.date() + timedelta(days=7), wanted, zone)
    try:
        return _local(date.fromisoformat(day), wanted, zone)
    except ValueError:
        raise NotADue(f"`{day}` is no day: {_HINT}") from None


def _time(found: re.Match[str]) -> time:
    try:
        return time(int(found["hour"]), int(found["minute"] or 0))
    except ValueError:
        raise NotADue(f"`{found[0]}` has no such time of day: {_HINT}") from None


def _local(day: date, wanted: time, zone: ZoneInfo) -> Due:
    # The offset that held before a gap carries a time within it behind the gap (PEP 495, fold=0).
    return _instant(datetime.combine(day, wanted.replace(tzinfo=None), zone), zone)


def _instant(moment: datetime, zone: ZoneInfo) -> Due:
    try:
        at = moment.astimezone(UTC)
        return Due(at, at.astimezone(zone).replace(tzinfo=None).isoformat(timespec="minutes"), zone.key)
    except OverflowError:
        raise NotADue(f"`{moment}` is out of all time: {_HINT}") from None
