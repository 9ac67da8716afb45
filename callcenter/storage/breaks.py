"""Breaks: when each agent was out for which reason, for what a break may last and all of a day together."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from callcenter.model.facts import AgentStateChanged, Fact, reads, utc
from callcenter.model.states import Intent
from callcenter.storage.database import Database, storable
from callcenter.storage.log import FactLog

# Nothing older is asked for: a day has 25 hours at the most, wherever it begins.
KEPT = timedelta(hours=25)


@dataclass(frozen=True, slots=True)
class Break:
    """One break; ``ended`` None: it goes on."""

    reason: str
    began: datetime
    ended: datetime | None = None


class Breaks:
    """A reader of facts that keeps the breaks of the last day, over restarts.

    A break is the time that an agent, or who commands for him, has chosen to be not ready for a reason. It goes on
    while the switch is down: whoever is out is out.
    """

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log
        self._of: dict[str, list[Break]] = {}

    @reads(AgentStateChanged)
    def take(self, fact: Fact) -> None:
        """Read one fact. Never waits."""
        body = fact.body
        if isinstance(body, AgentStateChanged):
            out = body.intent is Intent.NOT_READY and not body.forced
            self._follow(body.agent, body.reason if out else "", fact.at)

    async def load_all(self, agents: Container[str], now: datetime) -> None:
        """Read what an earlier run kept. Raises StorageError."""
        self._log.put(("DELETE FROM agent_breaks WHERE ended_at < ?", (utc(now - KEPT),)))
        rows = await self._database.fetch_all(
            "SELECT agent, reason, began_at, ended_at FROM agent_breaks WHERE ended_at IS NULL OR ended_at >= ?"
            " ORDER BY agent, began_at",
            (utc(now - KEPT),),
        )
        for agent, reason, began, ended in rows:
            if agent in agents:
                told = Break(reason, datetime.fromisoformat(began), datetime.fromisoformat(ended) if ended else None)
                self._of.setdefault(agent, []).append(told)
            else:
                self._log.put(("DELETE FROM agent_breaks WHERE agent = ?", (agent,)))

    def since(self, agent: str, reason: str) -> datetime | None:
        """Since when an agent is out for this reason; None when he is not."""
        last = self._last(agent)
        return last.began if last is not None and last.ended is None and last.reason == reason else None

    def taken(self, agent: str, reason: str, since: datetime, now: datetime) -> float:
        """How many seconds an agent was out for this reason since a moment of the last day."""
        times = [
            ((each.ended or now) - max(each.began, since)).total_seconds()
            for each in self._of.get(agent, ())
            if each.reason == reason
        ]
        return sum(time for time in times if time > 0)

    def _follow(self, agent: str, reason: str, at: datetime) -> None:
        last = self._last(agent)
        if last is not None and last.ended is None:
            if last.reason == reason:
                return
            self._of[agent][-1] = replace(last, ended=at)
            ended = "UPDATE agent_breaks SET ended_at = ? WHERE agent = ? AND began_at = ?"
            self._log.put((ended, (utc(at), storable(agent), utc(last.began))))
        if reason:
            kept = [each for each in self._of.get(agent, ()) if each.ended is None or each.ended >= at - KEPT]
            self._of[agent] = [*kept, Break(reason, at)]
            began = (
                "INSERT INTO agent_breaks (agent, reason, began_at) VALUES (?, ?, ?)"
                " ON CONFLICT (agent, began_at) DO UPDATE SET reason = excluded.reason"
            )
            over = "DELETE FROM agent_breaks WHERE agent = ? AND ended_at < ?"
            self._log.put(
                (over, (storable(agent), utc(at - KEPT))), (began, (storable(agent), storable(reason), utc(at)))
            )

    def _last(self, agent: str) -> Break | None:
        breaks = self._of.get(agent)
        return breaks[-1] if breaks else None
