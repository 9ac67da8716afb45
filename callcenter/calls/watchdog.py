"""Watchdog: looks from time to time whether anybody is held by a call that is gone, lets them go, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container

from callcenter.acd.audit import Audit
from callcenter.calls.dispatcher import Dispatcher
from callcenter.model.facts import StateRepaired
from callcenter.runtime.clock import Clock

# Seconds between two looks; it takes two of them to let somebody go.
EVERY = 30.0


class Watchdog:
    """The shell of the audit. ``calls`` are the ids of those that are up."""

    def __init__(self, dispatcher: Dispatcher, calls: Callable[[], Container[str]], clock: Clock) -> None:
        self._dispatcher = dispatcher
        self._calls = calls
        self._clock = clock
        self._audit = Audit()

    async def run(self) -> None:
        """Look for ever; cancelled at the end of the switch."""
        while True:
            await asyncio.sleep(EVERY)
            self.look()

    def look(self) -> None:
        """Look once. Never waits."""
        dispatcher = self._dispatcher
        if dispatcher.closed:
            return
        # Whatever was told already is no trouble.
        dispatcher.decide()
        for each in self._audit.look(dispatcher.acd.stuck(self._calls(), self._clock.monotonic())):
            dispatcher.tell(each.remedy)
            dispatcher.note(StateRepaired(each.what, each.agent, each.offer, each.visit))
