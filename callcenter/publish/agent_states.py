"""AgentStates: each agent's retained state, told anew with every fact that changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from callcenter.model.facts import AgentStateChanged, Fact
from callcenter.model.states import Device, Intent, Work
from callcenter.publish import payloads, topics

SetState = Callable[[str, Mapping[str, Any] | None], None]


class AgentStates:
    """A reader of facts."""

    def __init__(self, set_state: SetState) -> None:
        self._set_state = set_state
        # What `since` is about, and since when.
        self._since: dict[str, tuple[tuple[str, ...], datetime]] = {}

    def begin(self, agents: Iterable[str], now: datetime) -> None:
        """Nobody is there yet: what the last run told holds no more."""
        for agent in agents:
            nobody = AgentStateChanged(
                agent,
                Intent.SIGNED_OUT,
                "",
                Work.IDLE,
                Device.UNREACHABLE,
                "the switch started",
                forced=True,
                next=Intent.SIGNED_OUT,
            )
            self._tell(nobody, now, None)

    def take(self, fact: Fact) -> None:
        """Read one fact."""
        if isinstance(fact.body, AgentStateChanged):
            self._tell(fact.body, fact.at, fact.call_id)

    def forget(self, agent: str) -> None:
        """An agent is gone from the configuration."""
        self._since.pop(agent, None)
        self._set_state(topics.agent_state(agent), None)

    def _tell(self, state: AgentStateChanged, at: datetime, call: str | None) -> None:
        # A phone that is busy for a moment, with a code, does not begin the lunch anew.
        there = "" if state.device is Device.UNREACHABLE else "there"
        what = (state.intent, state.reason, state.work, there)
        before, since = self._since.get(state.agent, (None, at))
        if before != what:
            since = at
            self._since[state.agent] = (what, since)
        self._set_state(topics.agent_state(state.agent), payloads.agent_state(state, at=at, since=since, call=call))
