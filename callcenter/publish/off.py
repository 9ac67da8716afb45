"""NoPublisher: the publisher of a switch that was configured to have no broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from callcenter.publish import payloads
from callcenter.publish.commands import OnCommand
from callcenter.publish.publisher import CURSOR, OnCleared, OnState, Outbox, PublisherStatus, Status


class NoPublisher:
    """Publishes nothing. Facts of that time are not published later either, when a broker is configured again."""

    def __init__(self, outbox: Outbox) -> None:
        self.on_state: OnState | None = None
        self.on_command: OnCommand | None = None
        self.on_supervisor: OnCommand | None = None
        self.supervised = False
        self.on_cleared: OnCleared | None = None
        self._outbox = outbox
        self._states: dict[str, bytes] = {}

    async def start(self) -> None:
        """Nothing to connect to."""

    async def ready(self, within: float) -> bool:
        """Never, and at once."""
        return False

    def publish_pop(self, agent: str, payload: Mapping[str, Any], expires_s: float) -> asyncio.Future[bool]:
        """No pop: False at once."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        answer.set_result(False)
        return answer

    def set_state(self, topic: str, payload: Mapping[str, Any] | None) -> None:
        """No broker retains it; who asks for a snapshot reads it."""
        if payload is None:
            self._states.pop(topic, None)
        else:
            self._states[topic] = payloads.encode(payload)

    def states(self) -> Mapping[str, bytes]:
        """What a broker would retain."""
        return self._states.copy()

    def set_status(self, status: Status) -> None:
        """Nobody reads it."""

    def status(self) -> PublisherStatus:
        """Never connected."""
        return PublisherStatus(False, "MQTT is off", 0, 0, 0)

    async def close(self) -> None:
        """Pass over the facts of this run."""
        self._outbox.move_cursor(CURSOR, self._outbox.last_seq)
