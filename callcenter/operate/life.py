"""Life: from ready, perhaps through a drain, to the end; what signals and operators ask of the whole switch."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import structlog

from callcenter.config.problems import many
from callcenter.control.systemd import Notifier
from callcenter.model.facts import DrainBegan, DrainEnded
from callcenter.model.interaction import Ending
from callcenter.model.states import DrainOutcome, EndCause, Side
from callcenter.operate.words import span
from callcenter.runtime.once import Once
from callcenter.runtime.scopes import Background

if TYPE_CHECKING:
    from callcenter.app.house import House

# How long calls may take to hang up when the limit of a drain is reached.
HANG_UP_PATIENCE = 5.0
# The service manager hears of us this often when it has no watchdog.
HEARTBEAT = 10.0
# Beyond the drain's limit: hanging up, the last facts to the database and to the broker, the workers and the broker.
GOING_DOWN_TAKES = 30.0

log = structlog.get_logger()


class Phase(StrEnum):
    """How far the switch has come in its life."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    ENDING = "ending"


@dataclass(slots=True)
class Drain:
    """A drain: since when (monotonic clock) and for how long at most, who wanted it, what comes behind it.

    ``calls`` were up when it began; ``empty`` once none is any more.
    """

    by: str
    since: float
    limit: float
    calls: int
    then_end: bool = False
    empty: bool = False


class Life:
    """The life of one switch. Everything here is a plain call that never waits, but :meth:`over` and :meth:`drained`.

    A drain takes no new calls; phones go on to register, for those who wait are still served, and nobody's phone is
    lost behind a restart. It ends when no call is up, or at its limit, which ends the calls that are. A switch that was
    told to end drains first; told again, it ends at once.
    """

    def __init__(self, notifier: Notifier | None = None) -> None:
        self.phase = Phase.STARTING
        self.drain: Drain | None = None
        self._notifier = notifier or Notifier()
        self._house: House | None = None
        self._over: Once[str] = Once()
        self._drained = asyncio.Event()
        self._told_reloading = False
        self._draining = Background(limit=1)
        self._beating = Background(limit=1)

    async def over(self) -> str:
        """Wait for the end to be asked for; why it was."""
        return await self._over.future

    async def drained(self) -> None:
        """Wait until a drain has let every call end. Returns also when it is cancelled."""
        await self._drained.wait()

    def begin(self, house: House) -> None:
        """The house stands and takes calls."""
        self._house = house
        if self.phase is Phase.STARTING:
            self.phase = Phase.RUNNING
        self._notifier.tell(READY=1, STATUS=self.words())
        self._beating.start(self._beat(), name="heartbeat")

    def begin_drain(self, by: str, limit: float, *, then_end: bool = False) -> None:
        """Take no new calls, and give those that are up ``limit`` seconds.

        While draining: another limit, counted from now.
        """
        house = self._house
        if house is None or self.phase is Phase.ENDING:
            return
        calls = house.supervisor.lines
        then_end = then_end or (self.drain is not None and self.drain.then_end)
        self._draining.cancel()
        self._drained.clear()
        self._draining = Background(limit=1)
        self.phase = Phase.DRAINING
        self.drain = Drain(by, house.edges.clock.monotonic(), limit, calls, then_end)
        house.take_calls(False)
        house.stream.append(DrainBegan(by, calls, round(limit * 1000)))
        self._say_stopping()
        self._draining.start(self._drain(house, self.drain), name="drain")

    def cancel_drain(self, by: str) -> bool:
        """Take calls again; False when there was no drain, or its end is the switch's own."""
        if self._house is None or self.phase is not Phase.DRAINING or self.drain is None or self.drain.then_end:
            return False
        self._draining.cancel()
        self.phase, self.drain = Phase.RUNNING, None
        self._house.take_calls(True)
        self._house.stream.append(DrainEnded(DrainOutcome.CANCELLED, by=by))
        self._drained.set()
        return True

    def ask_to_end(self, by: str) -> None:
        """End when the calls that are up have ended, at the limit at the latest; asked again, end at once."""
        house, drain = self._house, self.drain
        match self.phase:
            case Phase.STARTING:
                self.end(by)
            case Phase.RUNNING:
                assert house is not None
                calls, limit = house.supervisor.lines, house.settings.switch.drain_limit
                if not calls or not limit:
                    self.end(by)
                    return
                self.begin_drain(by, limit, then_end=True)
                log.info("ending when the calls have ended; once more ends now", calls=calls, within=span(limit), by=by)
            case Phase.DRAINING:
                assert drain is not None
                assert house is not None
                if drain.empty:
                    self.end(by)
                elif drain.then_end:
                    house.stream.append(DrainEnded(DrainOutcome.CUT_SHORT, len(house.supervisor.calls), by))
                    self.end(f"{by}, again")
                else:
                    drain.then_end = True
                    self._say_stopping()
            case Phase.ENDING:
                pass  # It is under way, and takes seconds.

    def end(self, reason: str) -> None:
        """End now: calls are hung up."""
        if self.phase is not Phase.ENDING:
            self.phase = Phase.ENDING
            self._draining.cancel()
            self._notifier.tell(STOPPING=1, STATUS="going down", EXTEND_TIMEOUT_USEC=round(GOING_DOWN_TAKES * 1e6))
            self._over.resolve(reason)

    def reloading(self, on: bool) -> None:
        """Tell the service manager that the configuration is being loaded, or that this is over."""
        if on and self._house is not None and self.phase is Phase.RUNNING:
            self._told_reloading = True
            now = self._house.edges.clock.monotonic()
            self._notifier.tell(RELOADING=1, MONOTONIC_USEC=round(now * 1e6))
        elif not on and self._told_reloading:
            # Also when a drain has begun meanwhile: it would wait for this word. Who stops is not ready again.
            self._told_reloading = False
            if self.phase is not Phase.ENDING and not (self.drain is not None and self.drain.then_end):
                self._notifier.tell(READY=1, STATUS=self.words())

    def close(self) -> None:
        """The house is gone."""
        self._draining.cancel()
        self._beating.cancel()
        self._notifier.close()

    def words(self) -> str:
        """How it goes, in one line."""
        if self._house is None:
            return str(self.phase)
        acd, calls = self._house.acd, self._house.supervisor.lines
        waiting = sum(len(acd.waiting(queue)) for queue in acd.plan.queues)
        ready = sum(acd.available(agent) for agent in acd.plan.agents)
        state = "" if self.phase is Phase.RUNNING else f"{self.phase}: "
        return (
            f"{state}{many(calls, 'call')}, {waiting} waiting, {ready} of {many(len(acd.plan.agents), 'agent')} ready"
        )

    def __repr__(self) -> str:
        return f"<Life {self.words()}>"

    async def _drain(self, house: House, drain: Drain) -> None:
        outcome, left = DrainOutcome.EMPTY, 0
        try:
            async with asyncio.timeout(drain.limit):
                await house.supervisor.empty()
        except TimeoutError:
            outcome, left = DrainOutcome.LIMIT, len(house.supervisor.calls)
            reason = f"the drain's limit of {span(drain.limit)} was reached"
            house.supervisor.end_all(Ending(Side.SYSTEM, EndCause.SHUTDOWN, 503, reason))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANG_UP_PATIENCE):
                    await house.supervisor.empty()
        drain.empty = True
        house.stream.append(DrainEnded(outcome, left))
        self._drained.set()
        if drain.then_end:
            self.end(
                f"{drain.by}: {'no call is up any more' if outcome is DrainOutcome.EMPTY else 'drained to the limit'}"
            )

    def _say_stopping(self) -> None:
        """The service manager gives us the time that we give the calls."""
        if self.drain is not None and self.drain.then_end:
            usec = round((self.drain.limit + GOING_DOWN_TAKES) * 1e6)
            self._notifier.tell(STOPPING=1, STATUS=self.words(), EXTEND_TIMEOUT_USEC=usec)

    async def _beat(self) -> None:
        """Tell the service manager that the loop turns: this is what does not happen when it hangs."""
        watchdog = self._notifier.watchdog
        while True:
            await asyncio.sleep(HEARTBEAT if watchdog is None else min(HEARTBEAT, watchdog / 3))
            self._notifier.tell(**({} if watchdog is None else {"WATCHDOG": 1}), STATUS=self.words())
