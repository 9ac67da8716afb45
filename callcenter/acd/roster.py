"""Who an agent is to the routing: as configured, or as it was changed at run time."""

from __future__ import annotations

from dataclasses import replace

from callcenter.acd.settings import AgentSettings
from callcenter.model.facts import AgentSkillsChanged

SKILLS, CLIENTS, QUEUES = "skills", "clients", "queues"


def effective(configured: AgentSettings, change: AgentSkillsChanged | None) -> AgentSettings:
    """The agent with what was changed in place of what stands in the configuration."""
    if change is None or not change.changed:
        return configured
    return replace(
        configured,
        skills=dict(change.skills) if SKILLS in change.changed else configured.skills,
        clients=frozenset(change.clients) if CLIENTS in change.changed else configured.clients,
        queues=frozenset(change.queues) if QUEUES in change.changed else configured.queues,
    )
