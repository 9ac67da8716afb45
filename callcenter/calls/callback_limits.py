"""Callback limits: nobody has strangers rung, nor runs up a bill, by asking for callbacks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from callcenter.calls.call import Call
from callcenter.calls.callback_numbers import own_number, shown_number
from callcenter.calls.callback_pending import Pending
from callcenter.calls.settings import Client

if TYPE_CHECKING:
    from callcenter.calls.services import Services

# Requests for one number are counted for so long; of so many numbers, those that were asked for last.
DAY = timedelta(hours=24)
MOST_COUNTED = 20_000
# Callers who hide their number are one caller to us, who may ask for so many times as much.
WITHHELD = "withheld"
SHARE_WITHHELD = 10


class CallbackLimits:
    """How often each number was asked for in the last day; ``pending`` are all callbacks that have not ended."""

    def __init__(self, services: Services, pending: Iterable[Pending]) -> None:
        self._services = services
        self._pending = pending
        # By client and number.
        self._asked: dict[tuple[str, str], list[datetime]] = {}

    def asker(self, call: Call, number: str) -> str:
        """Who asks to be called back at a number that is not the own one; empty for all others."""
        if number == own_number(call):
            return ""
        return WITHHELD if call.caller.leg.withheld else shown_number(call) or call.from_number or WITHHELD

    def too_many(self, client: Client, number: str, asker: str) -> str:
        """Why this is one callback too many, in words: nobody has strangers rung, nor runs up a bill; empty if not."""
        rules = client.callbacks
        if rules is None:
            return "nobody is called back"
        if self._services.do_not_call.forbids(client.id, number):
            return "the number is on the do-not-call list"
        if asker:
            most = rules.per_caller * (SHARE_WITHHELD if asker == WITHHELD else 1)
            asked = sum(each.value.asked_by == asker and each.value.client == client.id for each in self._pending)
            if asked >= most:
                return f"{asked} by one caller at other numbers"
        since = self._services.clock.now() - DAY
        lately = sum(at > since for at in self._asked.get((client.id, number), ()))
        return f"{lately} for one number in 24 hours" if lately >= rules.per_day else ""

    def count(self, client: str, number: str, at: datetime) -> None:
        """Remember when a number was asked for."""
        since, name = self._services.clock.now() - DAY, (client, number)
        self._asked[name] = [*(each for each in self._asked.pop(name, ()) if each > since), at]
        if len(self._asked) > MOST_COUNTED:
            del self._asked[next(iter(self._asked))]
