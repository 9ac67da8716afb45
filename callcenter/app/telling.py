"""Telling: the states that the broker keeps of agents, queues, clients, trunks, recordings and the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from callcenter.acd.core import Acd
from callcenter.acd.settings import QueueSettings
from callcenter.calls.followups import Counts
from callcenter.calls.live_ledger import threshold_ms
from callcenter.calls.queue_status import QueueStatus
from callcenter.calls.recordings import RecordingsStatus
from callcenter.config.settings import Settings
from callcenter.publish import payloads, topics
from callcenter.publish.agent_states import AgentStates
from callcenter.publish.publisher import Publisher
from callcenter.runtime.clock import Clock
from callcenter.signaling.trunks.trunk import Trunk


class Telling:
    """Publishes our states; the publisher keeps the latest of each until the broker has it."""

    def __init__(self, publisher: Publisher, clock: Clock, acd: Acd) -> None:
        self._publisher = publisher
        self._clock = clock
        self._acd = acd
        self._recordings_told: dict[str, object] = {}
        self.agent_states = AgentStates(publisher.set_state)

    def topics(self, settings: Settings) -> tuple[str, ...]:
        """The topics that hold a state of ours."""
        return (
            *map(topics.agent_state, self._acd.plan.agents),
            *map(topics.queue_state, self._acd.plan.queues),
            *map(topics.client_state, {queue.client: None for queue in self._acd.plan.queues.values()}),
            *map(topics.trunk_state, settings.trunks),
            topics.CONFIG,
            topics.RECORDINGS,
            *map(topics.agent_entry, self._acd.plan.agents),
            *map(topics.agent_followups, self._acd.plan.agents),
        )

    def newcomers(self, agents: Iterable[str], counts: Callable[[str], Counts]) -> None:
        """Agents who were not there before; ``counts`` of their follow-ups."""
        agents = tuple(agents)
        for agent in agents:
            # What a crash has left there is asked no more.
            self._publisher.set_state(topics.agent_entry(agent), None)
            self.followups(agent, counts(agent))
        self.agent_states.begin(agents, self._clock.now())

    def followups(self, agent: str, counts: Counts) -> None:
        """How many follow-ups an agent has; nothing of one who has none, or is gone."""
        there = agent in self._acd.plan.agents and counts != Counts()
        told = payloads.agent_followups(agent, counts.open, counts.due, counts.overdue, at=self._clock.now())
        self._publisher.set_state(topics.agent_followups(agent), told if there else None)

    def trunks(self, trunks: Iterable[Trunk]) -> None:
        """Each of the trunks."""
        for trunk in trunks:
            self.trunk(trunk)

    def trunk(self, trunk: Trunk) -> None:
        """Whether a trunk is there."""
        state = payloads.trunk_state(trunk.id, up=trunk.up, detail=trunk.detail, at=trunk.since)
        self._publisher.set_state(topics.trunk_state(trunk.id), state)

    def config(self, revision: str, loaded_at: datetime, by: str) -> None:
        """Which configuration is in force."""
        config = payloads.config_state(revision, loaded_at=loaded_at, by=by)
        self._publisher.set_state(topics.CONFIG, config)

    def recordings(self, state: RecordingsStatus) -> None:
        """Whether talks can be recorded."""
        failure, told_failure = state.last_failure, None
        if failure is not None:
            told_failure = payloads.failure_told(failure.at, failure.call, failure.reason, failure.detail)
        told = payloads.recordings_state(
            on=state.on,
            enough=state.enough,
            free=state.space.free if state.space is not None else None,
            wanted=state.wanted,
            detail=state.detail,
            failures=state.failures,
            last_failure=told_failure,
            at=self._clock.now(),
        )
        # Since when it is so: a reload that changes nothing of it is no news.
        if told | {"at": ""} != self._recordings_told:
            self._recordings_told = told | {"at": ""}
            self._publisher.set_state(topics.RECORDINGS, told)

    def queue(self, queue: QueueSettings, status: QueueStatus | None) -> None:
        """How a queue stands; None: it is gone."""
        topic = topics.queue_state(queue.id)
        if status is None:
            self._publisher.set_state(topic, None)
            return
        state = payloads.queue_state(
            queue.id,
            line_state(status),
            client=queue.client,
            threshold_ms=threshold_ms(queue),
            at=self._clock.now(),
        )
        self._publisher.set_state(topic, state)

    def client(self, client: str, status: QueueStatus | None) -> None:
        """How all queues of a client stand; None: it has none any more."""
        state = payloads.client_state(client, line_state(status), at=self._clock.now()) if status else None
        self._publisher.set_state(topics.client_state(client), state)


def line_state(status: QueueStatus) -> payloads.LineState:
    """What is published of a queue's status."""
    today = status.today
    return payloads.LineState(
        waiting=status.waiting,
        callbacks=status.callbacks,
        planned=status.planned,
        longest_since=status.longest_since,
        ready=status.ready,
        signed_in=status.signed_in,
        talking=status.talking,
        agents=dict(status.agents),
        offered=today.offered,
        answered=today.answered,
        abandoned=today.abandoned,
        asa_ms=today.asa_ms,
        service_level=today.service_level,
        service_level_20s=today.service_level_20s,
    )
