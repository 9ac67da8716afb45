"""Callback times: when each customer may be called back by the configuration in force."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from callcenter.calls.hours import instant
from callcenter.calls.settings import CallsSettings
from callcenter.calls.windows import UTC_ZONE, Local, closing, next_allowed
from callcenter.model.callback import Callback
from callcenter.model.number_zone import zone_of_number


class CallbackTimes:
    """Answers when: inside of the window, the company's hours for calling back, and those of the queue.

    The former are meant by the customer's clocks, the latter by the company's. ``settings`` are those in force.
    """

    def __init__(self, settings: Callable[[], CallsSettings]) -> None:
        self._settings = settings

    def zone_for(self, client: str, number: str, given: str, now: datetime) -> str:
        """The zone that a callback is planned in: what was given, else that of the number; empty: the company's."""
        return given or zone_of_number(number, now.year)

    def zone(self, value: Callback) -> ZoneInfo:
        """The customer's time zone."""
        return ZoneInfo(value.zone) if value.zone else self.home(value.client)

    def home(self, client: str) -> ZoneInfo:
        """The company's."""
        about = self._settings().clients.get(client)
        return (about.zone if about is not None else None) or UTC_ZONE

    def allowed(self, value: Callback, now: datetime) -> bool:
        """Whether the customer may be called at this moment."""
        return self.next(value, now) == now

    def next(self, value: Callback, now: datetime) -> datetime | None:
        """When the customer may be called next, in UTC, at the earliest ``now``; None: not within the window."""
        # Before the first attempt there is no spacing: a clock that is set back throws nobody out of the line.
        at = max(now.astimezone(UTC), value.due_at if value.attempts else now, value.not_before or now)
        return next_allowed(list(self._hours(value)), self._on_another_day(value, at), value.not_after)

    def until(self, value: Callback, now: datetime) -> datetime | None:
        """Until when they may be, who may be now; None: as long as one looks ahead."""
        ends = [closing(list(self._hours(value)), now), value.not_after]
        return min((end for end in ends if end is not None), default=None)

    def _hours(self, value: Callback) -> Iterator[Local]:
        settings = self._settings()
        client, treatment = settings.clients.get(value.client), settings.treatments.get(value.queue)
        home = self.home(value.client)
        if client is not None and client.callbacks is not None and client.callbacks.hours:
            hours = settings.hours.get(client.callbacks.hours)
            if hours is not None:
                yield Local(hours, ZoneInfo(value.zone) if value.zone else hours.zone or home)
        if treatment is not None and (open_at := settings.hours.get(treatment.hours)) is not None:
            yield Local(open_at, open_at.zone or home)

    def _on_another_day(self, value: Callback, at: datetime) -> datetime:
        """Not on a day of the customer's on which they were dialled as often as they may be."""
        client = self._settings().clients.get(value.client)
        most = client.callbacks.tries_per_day if client is not None and client.callbacks is not None else None
        if most is None:
            return at
        zone = self.zone(value)
        day = at.astimezone(zone).date()
        tried = [each.at.astimezone(zone).date() for each in value.history if each.number]
        if tried.count(day) < most:
            return at
        return instant(day + timedelta(days=1), 0, zone)
