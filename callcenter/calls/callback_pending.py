"""Pending callbacks: one that has not ended, and what is done about it now."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from callcenter.calls.call import Call
from callcenter.model.callback import Callback
from callcenter.signaling.leg import EndedBy, Leg, LegEnded
from callcenter.sip.flow import Address, Flow, Transport

if TYPE_CHECKING:
    from callcenter.signaling.user_agent import UserAgent

NOWHERE = Flow(Transport.UDP, Address("0.0.0.0", 0), Address("0.0.0.0", 0))


class NotDialled(Leg):
    """The leg of whoever is called back and was not dialled yet: nobody, who can be hung up on all the same."""

    def __init__(self, callback: Callback, user_agent: UserAgent) -> None:
        super().__init__(
            f"callback {callback.id}",
            NOWHERE,
            user_agent.endpoint,
            user_agent.driver,
            remote_number=callback.number,
            remote_name=callback.name,
        )

    def hangup(self, *, status: int | None = None, reason: str | None = None, cause: str = "") -> None:
        """Give up. Never waits; may be called twice."""
        if self.ending is None:
            self._take_end(LegEnded(EndedBy.LOCAL, status or 487, reason or cause))


class Pending:
    """A callback that has not ended, and the ``call`` that carries it out while it stands in line or is dialled.

    ``holders`` are calls of the customer's own that are up: nobody is called back who is on the phone with us.
    ``attempted``: they were dialled in this call; ``why`` it is cut short, in a word. ``opens`` is when it joins the
    line next, as far as is known. ``shown_to`` is the agent who is to say whether to call, and ``verdict`` what he
    says; ``declined`` are those who said no, and until when (monotonic) they are not asked again.
    """

    def __init__(self, value: Callback) -> None:
        self.value = value
        self.call: Call | None = None
        self.holders: set[str] = set()
        self.attempted = False
        self.why = ""
        self.timer: asyncio.TimerHandle | None = None
        self.opens: datetime | None = None
        self.paused_until: datetime | None = None
        self.deferred_to: datetime | None = None
        self.shown_to = ""
        self.verdict: asyncio.Future[bool] | None = None
        self.declined: dict[str, float] = {}

    @property
    def dialling(self) -> bool:
        """Whether the customer is being dialled."""
        return self.value.dialling

    @property
    def state(self) -> str:
        """What is done about it now, in words."""
        if self.call is not None:
            return self.call.stage
        if self.holders:
            return "the customer is on the phone with us"
        return "planned" if self.value.scheduled and not self.value.attempts else "waiting for the next attempt"

    def __repr__(self) -> str:
        return f"<Pending {self.value.id} {self.value.queue} {self.value.number} {self.state}>"
