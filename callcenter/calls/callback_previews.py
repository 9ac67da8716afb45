"""Callback previews: an agent sees whom he is to call before anybody is dialled, and accepts or declines."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from callcenter.calls.call import Call
from callcenter.calls.callback_history import noted
from callcenter.calls.callback_pending import Pending
from callcenter.model.callback import Attempt
from callcenter.model.facts import CallbackDeclined

if TYPE_CHECKING:
    from callcenter.acd.events import Offer
    from callcenter.calls.services import Services
    from callcenter.storage.callbacks import Callbacks as Store


class CallbackPreviews:
    """Who is asked about whom, of all that are ``pending``."""

    def __init__(self, services: Services, store: Store, pending: Iterable[Pending]) -> None:
        self._services = services
        self._store = store
        self._pending = pending

    def show(self, each: Pending, agent: str) -> asyncio.Future[bool]:
        """Ask an agent whether he calls this customer; what he says is in the future."""
        each.shown_to, each.verdict = agent, asyncio.get_running_loop().create_future()
        return each.verdict

    def shown(self, each: Pending) -> None:
        """He is asked no more. May be called twice."""
        each.shown_to, each.verdict = "", None

    def shown_to(self, agent: str) -> Pending | None:
        """What this agent is asked about now."""
        return next((each for each in self._pending if each.shown_to == agent and each.verdict is not None), None)

    def decide(self, agent: str, accepts: bool, reason: str = "") -> bool:
        """An agent accepts or declines whom he is shown, with a ``reason``; False when he is shown nobody."""
        each = self.shown_to(agent)
        if each is None or each.verdict is None or each.verdict.done():
            return False
        each.verdict.set_result(accepts)
        if not accepts:
            each.value = noted(
                each.value, Attempt(0, self._services.clock.now(), agent, cause="declined_by_agent", detail=reason)
            )
        return True

    def declined(self, each: Pending, call: Call, offer: Offer) -> None:
        """The agent does not call this customer: it is another's for a while."""
        rules = call.client.callbacks
        until = self._services.clock.monotonic() + (rules.preview_again if rules is not None else 0.0)
        each.declined[offer.agent_id] = until
        if not each.value.history or each.value.history[-1].number or each.value.history[-1].agent != offer.agent_id:
            each.value = noted(
                each.value, Attempt(0, self._services.clock.now(), offer.agent_id, cause="declined_by_agent")
            )
        call.add(CallbackDeclined(each.value.id, each.value.client, offer.agent_id, offer.id))
        self._store.keep(each.value)

    def without(self, each: Pending) -> tuple[tuple[str, ...], float | None]:
        """Who is not asked now, and how long (seconds) until one of them is again; None: nobody declined."""
        now = self._services.clock.monotonic()
        each.declined = {agent: until for agent, until in each.declined.items() if until > now}
        ends = min(each.declined.values(), default=None)
        return tuple(sorted(each.declined)), None if ends is None else ends - now
