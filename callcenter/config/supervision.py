"""Supervision: what supervisors may do in whose calls, and who they are."""

from __future__ import annotations

from typing import Annotated, Literal

from callcenter.calls.supervision_rules import ALL_ALLOWED, SupervisionRules
from callcenter.config.hashes import DeskHash, MosquittoHash
from callcenter.config.names import AgentName, ClientName, PromptName
from callcenter.config.shape import Name, Shape, some
from callcenter.model.states import SupervisionMode


class Supervision(Shape):
    """What supervisors may do in a client's calls, whether the agent sees it, and what caller and agent are told."""

    agent_sees: bool = True
    allowed: tuple[Literal["listen", "whisper", "barge"], ...] = ("listen", "whisper", "barge")
    announce: PromptName | None = None


class Supervisor(Shape):
    """Who may command for agents; with ``clients`` for those alone who serve no others. ``agent``: whose phone is hers,
    to hear talks by. ``desk``: a hash of the password for the desk, else that for MQTT serves there too.
    """

    name: Name
    clients: Annotated[tuple[ClientName, ...], some(1000)] | None = None
    agent: AgentName | None = None
    mqtt: MosquittoHash | None = None
    desk: DeskHash | None = None


def supervision_rules(written: Supervision | None) -> SupervisionRules:
    """The same as calls go by it; where nothing is said all is allowed."""
    if written is None:
        return ALL_ALLOWED
    allowed = frozenset(map(SupervisionMode, written.allowed))
    return SupervisionRules(written.agent_sees, allowed, written.announce or "")
