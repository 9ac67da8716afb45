"""Intents: what each agent chose to be, kept over a restart."""

from __future__ import annotations

from collections.abc import Container

from callcenter.model.facts import AgentStateChanged, Fact, reads
from callcenter.model.states import Intent
from callcenter.storage.database import Database, Statement, storable
from callcenter.storage.log import FactLog

Choice = tuple[Intent, str]


class Intents:
    """A reader of facts that keeps each agent's own choice; what the system chose for an agent is kept for nobody.

    A choice that waits for the end of the present work is kept at once: no work outlasts a restart.
    """

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log
        self._kept: dict[str, Choice] = {}

    @reads(AgentStateChanged)
    def take(self, fact: Fact) -> None:
        """Read one fact. Never waits."""
        body = fact.body
        if isinstance(body, AgentStateChanged):
            choice = own_choice(body)
            if choice != self._kept.get(body.agent):
                self._log.put(_statement(body.agent, choice))
                if choice is None:
                    del self._kept[body.agent]
                else:
                    self._kept[body.agent] = choice

    async def load_all(self, agents: Container[str]) -> dict[str, Choice]:
        """What these agents chose, by agent; what anybody else once chose is forgotten. Raises StorageError."""
        rows = await self._database.fetch_all("SELECT agent, intent, reason FROM agent_intents ORDER BY agent")
        for agent, intent, reason in rows:
            if agent in agents and intent in list(Intent):
                self._kept[agent] = (Intent(intent), reason)
            else:
                self._log.put(_statement(agent, None))
        return dict(self._kept)


def own_choice(state: AgentStateChanged) -> Choice | None:
    """What an agent's state tells of the agent's own choice; None when the system chose."""
    if (state.next, state.next_reason) != (state.intent, state.reason):
        return state.next, state.next_reason
    return None if state.forced else (state.intent, state.reason)


def _statement(agent: str, choice: Choice | None) -> Statement:
    agent = storable(agent)
    if choice is None:
        return "DELETE FROM agent_intents WHERE agent = ?", (agent,)
    intent, reason = choice
    return _UPSERT, (agent, intent.value, storable(reason))


_UPSERT = (
    "INSERT INTO agent_intents (agent, intent, reason) VALUES (?, ?, ?)"
    " ON CONFLICT (agent) DO UPDATE SET intent = excluded.intent, reason = excluded.reason"
)
