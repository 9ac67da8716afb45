"""BusyLines: agents' phones that are busy with the house, and with no caller: nobody is offered to them meanwhile."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from callcenter.acd.events import DeviceChanged
from callcenter.calls.services import Services
from callcenter.model.states import Device


class BusyLines:
    """Who has dialled a code or hears a talk of others. A phone with one line would refuse an offer, and it would
    count.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._taken: Counter[str] = Counter()
        self._empty = asyncio.Event()
        self._empty.set()

    def occupied(self, agent: str) -> bool:
        """Whether an agent's phone is busy with us now."""
        return self._taken[agent] > 0

    async def empty(self) -> None:
        """Wait until none is."""
        await self._empty.wait()

    @contextmanager
    def taken(self, agent: str, doing: str, done: str) -> Iterator[None]:
        """While the block lasts, the agent's phone is busy; ``doing`` and ``done`` say in words with what."""
        dispatcher = self._services.dispatcher
        view = dispatcher.acd.agent(agent)
        self._taken[agent] += 1
        self._empty.clear()
        if view is not None and view.device is Device.REGISTERED:
            dispatcher.tell(DeviceChanged(agent, Device.BUSY_ELSEWHERE, doing))
        try:
            yield
        finally:
            self._taken[agent] -= 1
            if not self._taken[agent]:
                del self._taken[agent]
                self._free(agent, done)
            if not self._taken:
                self._empty.set()

    def _free(self, agent: str, done: str) -> None:
        dispatcher = self._services.dispatcher
        dispatcher.decide()
        view = dispatcher.acd.agent(agent)
        if view is not None and view.device is Device.BUSY_ELSEWHERE:
            device = Device.REGISTERED if self._services.phones_of(agent) else Device.UNREACHABLE
            dispatcher.tell(DeviceChanged(agent, device, done))
