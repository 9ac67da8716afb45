"""Opening hours, as they are written, and as calls go by them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from callcenter.calls.hours import Holiday as HolidaySettings
from callcenter.calls.hours import Hours as HoursSettings
from callcenter.calls.hours import Interval
from callcenter.config import calendar
from callcenter.config.calendar import NotWrittenSo
from callcenter.config.problems import Code
from callcenter.config.shape import Name, Shape, as_list, mistake, some, word_as


def _written_so(parse: Callable[[str], object]) -> AfterValidator:
    """A text that a parser of ours can read; it is kept as it is written."""

    def check(value: str) -> str:
        try:
            parse(value)
        except NotWrittenSo as error:
            raise mistake(Code.FORM, str(error), error.hint) from None
        return value

    return AfterValidator(check)


def _each_day_once(value: dict[str, Any]) -> dict[str, Any]:
    lines: dict[int, str] = {}
    for line in value:
        for day in calendar.days(line):
            if day in lines:
                name = calendar.DAYS[day]
                raise mistake(Code.FORM, f"`{name}` stands in `{lines[day]}` and in `{line}`", "write each day once")
            lines[day] = line
    return value


Days = Annotated[str, _written_so(calendar.days)]
Span = Annotated[str, _written_so(calendar.interval)]
Spans = Annotated[tuple[Span, ...], BeforeValidator(as_list)]
CalendarDay = Annotated[str, _written_so(calendar.day_of_calendar)]
TimeZone = Annotated[str, _written_so(calendar.zone)]


class Holiday(Shape):
    """A day that is not as the week says; open in some hours of its own, or not at all."""

    name: Name
    open: Spans = ()


class Hours(Shape):
    """Opening hours: a week, and the days that are not like it."""

    open: Annotated[dict[Days, Spans], AfterValidator(_each_day_once)]
    holidays: Annotated[dict[CalendarDay, Annotated[Holiday, word_as("name")]], some(1000)] = {}
    time_zone: TimeZone | None = None


def hours_settings(name: str, hours: Hours) -> HoursSettings:
    """The same as calls go by it."""
    week: list[tuple[Interval, ...]] = [()] * 7
    for line, spans in hours.open.items():
        for day in calendar.days(line):
            week[day] = _intervals(spans)
    days = {calendar.day_of_calendar(day): about for day, about in hours.holidays.items()}
    holidays = {day: HolidaySettings(about.name, _intervals(about.open)) for day, about in days.items()}
    return HoursSettings(
        id=name,
        week=tuple(week),
        dates={day: holiday for day, holiday in holidays.items() if isinstance(day, date)},
        yearly={day: holiday for day, holiday in holidays.items() if isinstance(day, tuple)},
        zone=calendar.zone(hours.time_zone) if hours.time_zone else None,
    )


def _intervals(spans: Iterable[str]) -> tuple[Interval, ...]:
    return tuple(calendar.interval(span) for span in spans)
