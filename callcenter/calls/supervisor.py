"""Supervisor: one task per call; the only place that catches Exception."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from callcenter.calls.call import Call
from callcenter.media.plane import MediaError
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side
from callcenter.runtime.scopes import until
from callcenter.signaling.leg import Leg

Script = Callable[[Call], Awaitable[Ending]]

log = structlog.get_logger()


class Supervisor:
    """Runs calls. A call that fails ends alone; the house stands."""

    def __init__(self, group: asyncio.TaskGroup) -> None:
        self.calls: dict[str, Call] = {}
        self.aside: set[str] = set()
        """Calls in which nobody is on the phone yet: callbacks that stand in line."""
        self._group = group
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def lines(self) -> int:
        """How many calls are up that somebody is on the phone in."""
        return len(self.calls) - len(self.aside)

    def start(self, call: Call, script: Script) -> None:
        """Run ``script`` for ``call`` in a task of its own."""
        self.calls[call.id] = call
        self._empty.clear()
        self._group.create_task(self._run(call, script), name=f"call {call.id}")

    def call_of(self, leg: Leg) -> Call | None:
        """The call in which somebody talks by this leg."""
        for call in self.calls.values():
            if call.caller.leg is leg or (call.talk is not None and call.talk.party.leg is leg):
                return call
        return None

    async def empty(self) -> None:
        """Wait until no call is up."""
        await self._empty.wait()

    def end_all(self, ending: Ending) -> None:
        """Hang up every call: the switch goes down. Never waits; :meth:`empty` tells when all are gone."""
        for call in list(self.calls.values()):
            call.end(ending)
            call.caller.leg.hangup(status=503, reason="Shutting Down")

    async def _run(self, call: Call, script: Script) -> None:
        structlog.contextvars.bind_contextvars(call_id=call.id)
        try:
            await run_call(call, script)
        finally:
            del self.calls[call.id]
            self.aside.discard(call.id)
            if not self.calls:
                self._empty.set()


async def run_call(call: Call, script: Script) -> None:
    """Run a call's script until it ends, the caller hangs up, or the caller's sound is gone."""
    try:
        async with until(call.caller.ended), until(call.caller.trouble):
            call.end(await script(call))
    except asyncio.CancelledError:
        call.end(Ending(Side.SYSTEM, EndCause.SHUTDOWN, 503))
        raise
    except MediaError as error:
        call.end(Ending(Side.SYSTEM, EndCause.MEDIA_FAILED, 500, str(error)))
    except Exception as error:
        log.exception("call script failed", call=repr(call))
        call.end(Ending(Side.SYSTEM, EndCause.ERROR, 500, type(error).__name__))
    finally:
        call.close()
