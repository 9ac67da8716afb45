"""Number zone: the time zone that a telephone number is in, where the number says so without a doubt."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from phonenumbers import timezone

# What numbers are counted in that belong to nobody's country (satellites, freephone).
_UNKNOWN = "Etc/Unknown"
# Zones that show the same time in both halves of a year are one to whoever is called.
_HALVES = (1, 7)


@lru_cache(maxsize=4096)
def zone_of_number(number: str, year: int) -> str:
    """The IANA time zone of a number in E.164 by its country or area; empty where there may be several.

    Zones of which the clocks agree in ``year`` are no doubt: the first of them is told. The data is libphonenumber's;
    a number takes a millisecond when it is the first of its area, and microseconds from then on.
    """
    try:
        zones = timezone.time_zones_for_number(phonenumbers.parse(number))
        found = [ZoneInfo(name) for name in zones if name != _UNKNOWN]
    except (phonenumbers.NumberParseException, ZoneInfoNotFoundError):
        return ""
    moments = [datetime(year, month, 1, tzinfo=UTC) for month in _HALVES]
    clocks = {tuple(moment.astimezone(zone).utcoffset() for moment in moments) for zone in found}
    return found[0].key if len(clocks) == 1 else ""
