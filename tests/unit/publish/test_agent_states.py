"""Each agent's retained state: since when, and what a restart clears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from callcenter.model.facts import AgentStateChanged, Fact, SwitchStopped
from callcenter.model.states import Device, Intent, Work
from callcenter.publish.agent_states import AgentStates

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
READY = AgentStateChanged("amy", Intent.READY, "", Work.IDLE, Device.REGISTERED, "phone registered")


def test_since_is_when_the_state_began_and_not_when_it_was_told_again() -> None:
    told: list[tuple[str, Mapping[str, Any] | None]] = []
    states = AgentStates(lambda topic, state: told.append((topic, state)))
    states.begin(["amy"], NOON)
    talking = replace(READY, work=Work.TALKING, cause="picked up")
    busy = replace(READY, device=Device.BUSY_ELSEWHERE, cause="dials a code")
    pending = replace(talking, next=Intent.NOT_READY, next_reason="lunch", cause="not_ready chosen by agent")
    for minute, body in enumerate((READY, busy, talking, pending, replace(pending, work=Work.WRAP_UP)), start=1):
        at = NOON + timedelta(minutes=minute)
        states.take(Fact(minute, at, "b", minute * 60_000, "cc1-1" if minute > 2 else None, body))
    states.take(Fact(9, NOON, "b", 9, None, SwitchStopped("done")))
    states.forget("amy")
    assert {topic for topic, _ in told} == {"callcenter/v1/agents/amy/state"}
    shown = [state and (state["chosen"], state["work"], state["since"][11:16], state["call"]) for _, state in told]
    assert shown == [
        ("signed_out", "idle", "12:00", None),
        ("ready", "idle", "12:01", None),
        ("ready", "idle", "12:01", None),
        ("ready", "talking", "12:03", "cc1-1"),
        ("ready", "talking", "12:03", "cc1-1"),
        ("ready", "wrap_up", "12:05", "cc1-1"),
        None,
    ]
