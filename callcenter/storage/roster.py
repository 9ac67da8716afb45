"""Roster: what was changed of agents at run time, kept over restarts until it is reset."""

from __future__ import annotations

import json
from collections.abc import Container
from typing import Any

from callcenter.model.facts import AgentSkillsChanged, Fact, reads, utc
from callcenter.storage.database import Database, storable
from callcenter.storage.log import FactLog


class Roster:
    """A reader of facts that keeps for each agent the last change that is no reset."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log

    @reads(AgentSkillsChanged)
    def take(self, fact: Fact) -> None:
        """Read one fact. Never waits."""
        body = fact.body
        if not isinstance(body, AgentSkillsChanged):
            return
        agent = storable(body.agent)
        if not body.changed:
            self._log.put(("DELETE FROM agent_roster WHERE agent = ?", (agent,)))
            return
        kept = (
            _text(body, "skills", dict(body.skills)),
            _text(body, "clients", list(body.clients)),
            _text(body, "queues", list(body.queues)),
        )
        self._log.put((_UPSERT, (agent, *kept, storable(body.by), utc(fact.at))))

    async def load_all(self, agents: Container[str]) -> list[AgentSkillsChanged]:
        """What is changed of these agents; of anybody else it is forgotten. Raises StorageError."""
        rows = await self._database.fetch_all(
            "SELECT agent, skills, clients, queues, changed_by FROM agent_roster ORDER BY agent"
        )
        found = []
        for agent, skills, clients, queues, by in rows:
            if agent not in agents:
                self._log.put(("DELETE FROM agent_roster WHERE agent = ?", (agent,)))
                continue
            texts = {"skills": skills, "clients": clients, "queues": queues}
            found.append(
                AgentSkillsChanged(
                    agent,
                    by,
                    changed=tuple(name for name, text in texts.items() if text is not None),
                    skills=tuple((json.loads(skills) if skills else {}).items()),
                    clients=tuple(json.loads(clients) if clients else ()),
                    queues=tuple(json.loads(queues) if queues else ()),
                )
            )
        return found


def _text(body: AgentSkillsChanged, name: str, value: Any) -> str | None:
    return storable(json.dumps(value)) if name in body.changed else None


_UPSERT = (
    "INSERT INTO agent_roster (agent, skills, clients, queues, changed_by, changed_at) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (agent) DO UPDATE SET skills = excluded.skills, clients = excluded.clients,"
    " queues = excluded.queues, changed_by = excluded.changed_by, changed_at = excluded.changed_at"
)
