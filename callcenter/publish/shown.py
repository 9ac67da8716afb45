"""Shown: which retained states somebody sees who does not see all companies, and what of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from callcenter.model.access import Actor, Role
from callcenter.publish.payloads import encode
from callcenter.publish.topics import PREFIX
from callcenter.runtime.encoding import from_json

# Who works on the floor: to them, and nobody else, what concerns the whole house is told.
OF_THE_HOUSE = frozenset({Role.SUPERVISOR, Role.ADMIN})


@dataclass(frozen=True, slots=True)
class Floor:
    """Whose is what: the clients that each agent serves, and the one that each queue is of."""

    agents: Mapping[str, frozenset[str]] = field(default_factory=dict)
    queues: Mapping[str, str] = field(default_factory=dict)

    def sees_agent(self, actor: Actor, agent: str) -> bool:
        """Whether an agent is anybody to ``actor``: himself, or one who serves a client of theirs."""
        if actor.clients is None or (actor.agent and actor.agent == agent):
            return True
        return not actor.clients.isdisjoint(self.agents.get(agent, frozenset()))

    def sees_all_of(self, actor: Actor, agent: str) -> bool:
        """Whether all clients that the agent serves are ``actor``'s to see, so that nothing of the agent is another's.

        Everything of oneself is.
        """
        if actor.clients is None or (actor.agent and actor.agent == agent):
            return True
        served = self.agents.get(agent)
        return served is not None and served <= actor.clients


def shown(topic: str, data: bytes, actor: Actor, floor: Floor) -> bytes | None:
    """The state of ``topic`` as ``actor`` sees it; None: not at all.

    Of an agent who serves other clients too it is not told which call he is in, nor what is recorded of it.
    """
    kind, _, rest = topic.removeprefix(f"{PREFIX}/").partition("/")
    name, _, what = rest.partition("/")
    match kind:
        case "queues":
            queue_of = floor.queues.get(name)
            return data if queue_of is not None and actor.sees(queue_of) else None
        case "clients":
            return data if actor.sees(name) else None
        case "agents" if floor.sees_all_of(actor, name):
            return data
        case "agents" if floor.sees_agent(actor, name) and what == "state":
            return encode(hidden(from_json(data)))
        case "agents":
            return None
        case _:
            return data if actor.role in OF_THE_HOUSE else None


def hidden(state: Mapping[str, Any]) -> dict[str, Any]:
    """An agent's state without the call that he is in, which may be of anybody."""
    return {**state, "call": None, "recording": None, "supervised": []}
