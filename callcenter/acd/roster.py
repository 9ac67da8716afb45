"""Who an agent is to the routing: as configured, or as it was changed at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from callcenter.acd.events import RosterChanged
from callcenter.acd.settings import AgentSettings
from callcenter.model.facts import AgentSkillsChanged

NONE_RENAMED: Mapping[str, str] = MappingProxyType({})
SKILLS, CLIENTS, QUEUES = "skills", "clients", "queues"


def effective(
    configured: AgentSettings, change: AgentSkillsChanged | None, renamed: Mapping[str, str] = NONE_RENAMED
) -> AgentSettings:
    """The agent with what was changed in place of what stands in the configuration; ``renamed`` are queues that have
    another name by now.
    """
    if change is None or not change.changed:
        return configured
    queues = frozenset(renamed.get(queue, queue) for queue in change.queues)
    return replace(
        configured,
        skills=dict(change.skills) if SKILLS in change.changed else configured.skills,
        clients=frozenset(change.clients) if CLIENTS in change.changed else configured.clients,
        queues=queues if QUEUES in change.changed else configured.queues,
    )


def change_of(event: RosterChanged) -> AgentSkillsChanged:
    """The fact that an event makes, in an order that is always the same."""
    told = {SKILLS: event.skills, CLIENTS: event.clients, QUEUES: event.queues}
    return AgentSkillsChanged(
        event.agent_id,
        event.by,
        changed=tuple(name for name, value in told.items() if value is not None),
        skills=tuple(sorted((event.skills or {}).items())),
        clients=tuple(sorted(event.clients or ())),
        queues=tuple(sorted(event.queues or ())),
    )


def roster_changed(change: AgentSkillsChanged) -> RosterChanged:
    """The event that tells a change again."""
    return RosterChanged(
        change.agent,
        dict(change.skills) if SKILLS in change.changed else None,
        frozenset(change.clients) if CLIENTS in change.changed else None,
        frozenset(change.queues) if QUEUES in change.changed else None,
        change.by,
    )


def same(one: AgentSkillsChanged, other: AgentSkillsChanged | None) -> bool:
    """Whether two changes come to the same, whoever made them; None is no change, as is a reset."""
    if other is None:
        return not one.changed
    return replace(one, by="") == replace(other, by="")
