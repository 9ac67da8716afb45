"""Intervals: quarters of an hour in UTC, and the days and intervals of a time zone that they make up.

Every zone of today is a whole number of quarters away from UTC, so that whatever is counted by the quarter can be put
together to the intervals and days of any of them, also to days of 23 and 25 hours: nothing is split, nothing is lost.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta, tzinfo

QUARTER_MS = 900_000
# What a report may go by, in minutes; each is made of whole quarters and fits into an hour.
LENGTHS = (15, 30, 60)
# A report asks for the same quarters again and again: two months of them.
REMEMBERED = 6_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_ms(at: datetime) -> int:
    """Whole milliseconds since 1970, rounded down, so that what a database keeps of an instant gives the same."""
    passed = at - _EPOCH
    return passed.days * 86_400_000 + passed.seconds * 1000 + passed.microseconds // 1000


def instant(ms: int) -> datetime:
    """The instant of so many milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=ms)


def quarter_of(at: datetime) -> int:
    """The quarter of an hour that an instant lies in, counted from 1970."""
    return epoch_ms(at) // QUARTER_MS


def begin(quarter: int) -> datetime:
    """When a quarter begins, in UTC."""
    return instant(quarter * QUARTER_MS)


@functools.lru_cache(maxsize=REMEMBERED)
def day_of(quarter: int, zone: tzinfo) -> date:
    """The day that a quarter belongs to, in a time zone."""
    return begin(quarter).astimezone(zone).date()


def first_quarter(day: date, zone: tzinfo) -> int:
    """The first quarter of a day in a time zone; where the clocks leap at midnight, the first one after the leap."""
    quarter = quarter_of(datetime.combine(day, time(), zone))
    while day_of(quarter, zone) < day:
        quarter += 1
    while day_of(quarter - 1, zone) >= day:
        quarter -= 1
    return quarter


def span(first: date, last: date, zone: tzinfo) -> tuple[int, int]:
    """The quarters of the days from ``first`` to ``last``: the first of them, and the first behind them."""
    return first_quarter(first, zone), first_quarter(last + timedelta(days=1), zone)


@functools.lru_cache(maxsize=REMEMBERED)
def interval(quarter: int, zone: tzinfo, minutes: int) -> int:
    """The first quarter of the interval of so many minutes, by the clock on the wall there, that a quarter is in.

    An interval that a change of the clocks cuts ends there: what follows is another one, also with the same name.
    """
    here = begin(quarter).astimezone(zone)
    back = here.minute % minutes // 15
    while back and begin(quarter - back).astimezone(zone).utcoffset() != here.utcoffset():
        back -= 1
    return quarter - back


def spread(begins: int, ends: int) -> Iterator[tuple[int, int]]:
    """The quarters that a stretch of milliseconds since 1970 lies in, each with its share of it."""
    while begins < ends:
        quarter = begins // QUARTER_MS
        until = min(ends, (quarter + 1) * QUARTER_MS)
        yield quarter, until - begins
        begins = until
