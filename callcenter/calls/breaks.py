"""Breaks: how long one may last, and whether one may begin, by the limits of its reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, tzinfo
from typing import Protocol

from callcenter.acd.core import Acd
from callcenter.calls.settings import NO_LIMITS, BreakLimits, CallsSettings
from callcenter.runtime.clock import Clock


class TakenBreaks(Protocol):
    """What was taken of breaks already."""

    def since(self, agent: str, reason: str) -> datetime | None:
        """Since when an agent is out for this reason; None when he is not."""
        ...

    def taken(self, agent: str, reason: str, since: datetime, now: datetime) -> float:
        """How many seconds an agent was out for this reason since a moment of the last day."""
        ...


class BreakRules:
    """The limits of breaks as they bind an agent now. A day is one of the time zone of the agent's first client."""

    def __init__(self, settings: Callable[[], CallsSettings], acd: Acd, taken: TakenBreaks, clock: Clock) -> None:
        self._settings = settings
        self._acd = acd
        self._taken = taken
        self._clock = clock

    def lasts(self, agent: str, reason: str) -> float | None:
        """For how many seconds an agent may be out who goes, or has gone, for this reason; None: without limit."""
        limits, now = self._limits(reason), self._clock.now()
        left = []
        if limits.longest is not None:
            began = self._taken.since(agent, reason)
            left.append(limits.longest - ((now - began).total_seconds() if began is not None else 0.0))
        if limits.a_day is not None:
            left.append(limits.a_day - self._taken.taken(agent, reason, midnight(now, self._zone(agent)), now))
        return max(0.0, min(left)) if left else None

    def crowd(self, agent: str, reason: str) -> tuple[int, int] | None:
        """How many others are out for this reason, or go when their work ends, and how many may be: one too many.

        None when there is room.
        """
        most = self._limits(reason).at_once
        if most is None:
            return None
        out = self._acd.out(reason) - {agent}
        return (len(out), most) if len(out) >= most else None

    def _limits(self, reason: str) -> BreakLimits:
        return self._settings().break_limits.get(reason, NO_LIMITS)

    def _zone(self, agent: str) -> tzinfo:
        settings = self._settings()
        client = settings.clients.get(settings.home_clients.get(agent, ""))
        return (client.zone if client is not None else None) or UTC


def midnight(now: datetime, zone: tzinfo) -> datetime:
    """When the day began that ``now`` is in."""
    return datetime.combine(now.astimezone(zone).date(), time(), zone)
