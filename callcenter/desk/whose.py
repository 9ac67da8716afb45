"""Whose: of which client each fact is, and what of it somebody sees.

A fact of a call is of the call's client. What an agent does is seen by who sees a client that the agent serves. What
names a client is of that one. All else concerns the house, and is for those who work on the floor.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from callcenter.config.settings import Settings
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.facts import (
    BODIES,
    AgentCommanded,
    AgentSkillsChanged,
    AgentStateChanged,
    AttributeSet,
    BranchTaken,
    BreakOverran,
    BreakRefused,
    CallArrived,
    CallTransferred,
    ConferenceJoined,
    ConferenceLeft,
    DigitsEntered,
    Fact,
    FeatureCodeDialled,
    RecordingOpened,
    SupervisionChanged,
    SupervisionEnded,
    SupervisionStarted,
    TransferFailed,
)
from callcenter.publish.shown import OF_THE_HOUSE, Floor

# Calls whose client is remembered: those of some hours of a busy floor. Of older ones the log is asked.
MAX_CALLS = 50_000

# Fields that say who a customer is, or what they entered, by their names and of these facts beside: nothing for who may
# not see calls. They are texts: other values of such a name are counts.
SPEAKING = frozenset(
    {"customer", "number", "from_number", "from_name", "digits", "value", "diverted_number", "diverted_name"}
)
SPEAKING_OF: Mapping[type[Any], frozenset[str]] = {
    CallArrived: frozenset({"source", "sip_call_id"}),
    CallTransferred: frozenset({"target"}),
    TransferFailed: frozenset({"target"}),
    ConferenceJoined: frozenset({"target"}),
    ConferenceLeft: frozenset({"target"}),
}
OF_CUSTOMERS: Mapping[type[Any], tuple[str, ...]] = {
    kind: tuple(
        each.name
        for each in dataclasses.fields(kind)
        if each.type == "str" and each.name in SPEAKING | SPEAKING_OF.get(kind, frozenset())
    )
    for kind in BODIES.values()
}
# Who listens to whom, or hears it later, is for those who supervise: whether an agent is to know says his own state.
_SUPERVISION = (SupervisionStarted, SupervisionChanged, SupervisionEnded, RecordingOpened)
_ENTERED = (DigitsEntered, AttributeSet)
_STATES = (AgentStateChanged, BreakOverran, BreakRefused)
# Told in words, or naming all clients and queues of an agent: for who sees all of them.
_TOLD_OF_AGENTS = (AgentCommanded, AgentSkillsChanged, FeatureCodeDialled)


class Whose:
    """What is known of whose is what: agents and queues by the configuration and its changes, calls by their facts."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        """``settings`` are those in force: asked for each time, for they are replaced as a whole."""
        self._settings = settings
        self._calls: OrderedDict[str, str] = OrderedDict()
        self._changed: dict[str, frozenset[str]] = {}
        self._floor: tuple[Settings, Floor] | None = None

    @property
    def floor(self) -> Floor:
        """Whose agents and queues are now."""
        settings = self._settings()
        if self._floor is None or self._floor[0] is not settings:
            plan = settings.plan
            agents = {agent.id: self._changed.get(agent.id, agent.clients) for agent in plan.agents.values()}
            self._floor = settings, Floor(agents, {queue.id: queue.client for queue in plan.queues.values()})
        return self._floor[1]

    def take(self, fact: Fact) -> None:
        """Note what a fact tells of whose is what."""
        match fact.body:
            case CallArrived(client=client) if fact.call_id:
                self.know(fact.call_id, client)
            case AgentSkillsChanged(agent=agent, changed=changed, clients=clients):
                self._change(agent, frozenset(clients) if "clients" in changed else None)
            case _:
                pass

    def begin(self, roster: Mapping[str, frozenset[str]]) -> None:
        """The agents who serve other clients than those that are configured; all others serve these."""
        self._changed = dict(roster)
        self._floor = None

    def know(self, call_id: str, client: str) -> None:
        """Whose a call is."""
        self._calls[call_id] = client
        self._calls.move_to_end(call_id)
        if len(self._calls) > MAX_CALLS:
            self._calls.popitem(last=False)

    def _change(self, agent: str, clients: frozenset[str] | None) -> None:
        self._changed.pop(agent, None)
        if clients is not None:
            self._changed[agent] = clients
        self._floor = None

    def unknown(self, facts: Iterable[Fact]) -> set[str]:
        """The calls of these facts of which nobody has said whose they are."""
        return {fact.call_id for fact in facts if fact.call_id and fact.call_id not in self._calls}

    def seen(self, fact: Fact, actor: Actor) -> Fact | None:
        """The fact as ``actor`` sees it; None: not at all."""
        body = fact.body
        if isinstance(body, _SUPERVISION) and actor.role not in OF_THE_HOUSE:
            return None
        if isinstance(body, _TOLD_OF_AGENTS):
            return fact if self._of_agent(body.agent, actor, all_of=True) else None
        if isinstance(body, _STATES):
            return self._state(fact, body, actor)
        client = self._calls.get(fact.call_id, "") if fact.call_id else getattr(body, "client", "")
        if fact.call_id or client:
            # A call that nobody answers for, as one of two agents, is no client's: who sees all sees it.
            if not (actor.sees(client) if client else actor.clients is None):
                return None
        elif actor.role not in OF_THE_HOUSE:
            return None
        if actor.role is Role.AGENT and isinstance(body, _ENTERED):
            # Whose call it will be is not known yet: the pop tells it to whom it is offered.
            name = "digits" if isinstance(body, DigitsEntered) else "value"
            stars: Any = {name: "*" * len(getattr(body, name))}
            fact = dataclasses.replace(fact, body=dataclasses.replace(body, **stars))
        if isinstance(body, BranchTaken) and (actor.role is Role.AGENT or not actor.may(Scope.CALLS_READ)):
            # In words, which may name what was entered, or who it is.
            fact = dataclasses.replace(fact, body=dataclasses.replace(body, why=()))
        return self._without_customers(fact, actor)

    def _of_agent(self, agent: str, actor: Actor, *, all_of: bool) -> bool:
        if actor.role is Role.CLIENT:
            return False
        if all_of and actor.role is Role.AGENT:
            return actor.agent == agent
        return (self.floor.sees_all_of if all_of else self.floor.sees_agent)(actor, agent)

    def _state(self, fact: Fact, body: AgentStateChanged | BreakOverran | BreakRefused, actor: Actor) -> Fact | None:
        if not self._of_agent(body.agent, actor, all_of=False):
            return None
        if actor.clients is None or not isinstance(body, AgentStateChanged) or body.agent == actor.agent:
            return fact
        client = self._calls.get(fact.call_id, "") if fact.call_id else ""
        call_id = fact.call_id if client and actor.sees(client) else None
        own = tuple(each for each in body.own_calls if actor.sees(self._calls.get(each) or "\0"))
        hidden = dataclasses.replace(body, offer=body.offer if call_id else "", own_calls=own)
        return dataclasses.replace(fact, call_id=call_id, body=hidden)

    def _without_customers(self, fact: Fact, actor: Actor) -> Fact:
        fields = OF_CUSTOMERS[type(fact.body)]
        if not fields or actor.may(Scope.CALLS_READ):
            return fact
        body: Any = fact.body
        return dataclasses.replace(fact, body=dataclasses.replace(body, **dict.fromkeys(fields, "")))
