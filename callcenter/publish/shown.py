"""Shown: which retained states somebody sees who does not see all companies, and what of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
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


class Seen(Enum):
    """What somebody sees of a state. ``WITHOUT_CALL``: an agent's who serves other clients too; the call that he is in,
    and what is recorded of it, may be another's.
    """

    ALL = auto()
    WITHOUT_CALL = auto()
    NOTHING = auto()


def seen(topic: str, actor: Actor, floor: Floor) -> Seen:
    """What ``actor`` sees of the state of a topic."""
    kind, _, rest = topic.removeprefix(f"{PREFIX}/").partition("/")
    name, _, what = rest.partition("/")
    match kind:
        case "queues":
            client = floor.queues.get(name)
            return Seen.ALL if client is not None and actor.sees(client) else Seen.NOTHING
        case "clients":
            return Seen.ALL if actor.sees(name) else Seen.NOTHING
        case "agents" if actor.role is Role.CLIENT:
            return Seen.NOTHING
        case "agents" if floor.sees_all_of(actor, name):
            return Seen.ALL
        case "agents" if floor.sees_agent(actor, name) and what == "state":
            return Seen.WITHOUT_CALL
        case "agents":
            return Seen.NOTHING
        case _:
            return Seen.ALL if actor.role in OF_THE_HOUSE else Seen.NOTHING


def without_call(state: Mapping[str, Any]) -> dict[str, Any]:
    """An agent's state without the call that he is in."""
    return {**state, "call": None, "recording": None, "supervised": []}


def shown(topic: str, data: bytes, actor: Actor, floor: Floor) -> bytes | None:
    """The state of ``topic``, as it is published, as ``actor`` sees it; None: not at all."""
    match seen(topic, actor, floor):
        case Seen.ALL:
            return data
        case Seen.WITHOUT_CALL:
            return encode(without_call(from_json(data)))
        case Seen.NOTHING:
            return None
