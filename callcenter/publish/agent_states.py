"""AgentStates: each agent's retained state, told anew with every fact that changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from callcenter.model.facts import (
    AgentStateChanged,
    Fact,
    RecordingEnded,
    RecordingPaused,
    RecordingResumed,
    RecordingStarted,
    SupervisionChanged,
    SupervisionEnded,
    SupervisionStarted,
    reads,
)
from callcenter.model.states import Device, Intent, Work
from callcenter.publish import payloads, topics

SetState = Callable[[str, Mapping[str, Any] | None], None]


class AgentStates:
    """A reader of facts."""

    def __init__(self, set_state: SetState) -> None:
        self._set_state = set_state
        # What `since` is about, and since when.
        self._since: dict[str, tuple[tuple[str, ...], datetime]] = {}
        # What is recorded of their talks, by agent and the ids of the recordings.
        self._recordings: dict[str, dict[str, dict[str, str]]] = {}
        # What was told last, and who hears the agent of whom the agent is to know, with how: by agent.
        self._told: dict[str, tuple[AgentStateChanged, datetime, str | None]] = {}
        self._heard_by: dict[str, dict[str, tuple[str, str]]] = {}

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

    @reads(
        AgentStateChanged,
        RecordingEnded,
        RecordingPaused,
        RecordingResumed,
        RecordingStarted,
        SupervisionChanged,
        SupervisionEnded,
        SupervisionStarted,
    )
    def take(self, fact: Fact) -> None:
        """Read one fact."""
        match fact.body:
            case AgentStateChanged() as state:
                self._tell(state, fact.at, fact.call_id)
            case (
                RecordingStarted(recording=recording, agent=agent, by=by)
                | RecordingResumed(recording=recording, agent=agent, by=by)
            ) if agent:
                self._recorded(agent, recording, {"id": recording, "state": "on", "by": by})
            case RecordingPaused(recording=recording, agent=agent, by=by) if agent:
                self._recorded(agent, recording, {"id": recording, "state": "paused", "by": by})
            case RecordingEnded(recording=recording, agent=agent) if agent:
                self._recorded(agent, recording, None)
            case SupervisionStarted(supervision=part, supervisor=who, agent=agent, mode=mode, agent_sees=True):
                self._heard_by.setdefault(agent, {})[part] = (who, mode.value)
                self._tell_again(agent)
            case SupervisionChanged(supervision=part, supervisor=who, agent=agent, mode=mode):
                if part in self._heard_by.get(agent, {}):
                    self._heard_by[agent][part] = (who, mode.value)
                    self._tell_again(agent)
            case SupervisionEnded(supervision=part, agent=agent):
                if self._heard_by.get(agent, {}).pop(part, None) is not None:
                    self._tell_again(agent)
            case _:
                pass

    def forget(self, agent: str) -> None:
        """An agent is gone from the configuration."""
        self._since.pop(agent, None)
        self._recordings.pop(agent, None)
        self._told.pop(agent, None)
        self._heard_by.pop(agent, None)
        self._set_state(topics.agent_state(agent), None)

    def _tell(self, state: AgentStateChanged, at: datetime, call: str | None) -> None:
        # A phone that is busy for a moment, with a code, does not begin the lunch anew.
        there = "" if state.device is Device.UNREACHABLE else "there"
        what = (state.intent, state.reason, state.work, there)
        before, since = self._since.get(state.agent, (None, at))
        if before != what:
            since = at
            self._since[state.agent] = (what, since)
        self._told[state.agent] = state, at, call
        heard_by = tuple(self._heard_by.get(state.agent, {}).values())
        recordings = self._recordings.get(state.agent)
        recording = next(reversed(recordings.values())) if recordings else None
        told = payloads.agent_state(state, at=at, since=since, call=call, heard_by=heard_by, recording=recording)
        self._set_state(topics.agent_state(state.agent), told)

    def _tell_again(self, agent: str) -> None:
        # As of then: what is left of a pause or a break runs from there.
        if agent in self._told:
            self._tell(*self._told[agent])

    def _recorded(self, agent: str, recording: str, state: dict[str, str] | None) -> None:
        """What is recorded of an agent's talk is different; his own state is as it was."""
        recordings = self._recordings.setdefault(agent, {})
        if state is not None:
            recordings[recording] = state
        elif recordings.pop(recording, None) is None:
            return
        if not recordings:
            del self._recordings[agent]
        self._tell_again(agent)
