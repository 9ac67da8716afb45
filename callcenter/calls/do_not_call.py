"""Do not call: who has a number added to a client's list or taken off, and what follows for whoever would dial it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from callcenter.calls.call import Call
from callcenter.calls.dialled import Forbidden, Outside, e164, plan_of
from callcenter.calls.services import Services
from callcenter.calls.settings import DoNotCallRule
from callcenter.model.do_not_call import Entry, Source
from callcenter.model.facts import DoNotCallAdded, DoNotCallDialled, DoNotCallRemoved
from callcenter.model.states import Direction
from callcenter.storage.do_not_call import DoNotCall as Store

# Who was warned and dials the same number again within this has understood the warning.
MEANT_WITHIN = timedelta(minutes=2)
# What a phone shows then.
ON_THE_LIST = "On Do-Not-Call List"
# Warnings that are remembered, the latest of them.
MOST_WARNED = 1_000


class DoNotCall:
    """Each client's list, changed here alone. ``on_added(client, number)`` is told of each number that is added."""

    def __init__(self, services: Services, store: Store) -> None:
        self.on_added: Callable[[str, str], None] = lambda client, number: None
        self._services = services
        self._store = store
        # When an agent was warned of a number.
        self._warned: dict[tuple[str, str], datetime] = {}

    def forbids(self, client: str, number: str) -> bool:
        """Whether this client is not to call ``number`` (E.164)."""
        return self._store.forbids(client, number)

    def add(
        self, client: str, number: str, *, reason: str, source: Source, by: str, call: str = "",
        expires_at: datetime | None = None,
    ) -> Entry:  # fmt: skip
        """Put a number (E.164) on the list; what was known of it before is written over. Never waits.

        It stays there as long as it was to stay before at least: who may take it off does that.
        """
        now = self._services.clock.now()
        name = self._store.entry_of(client, number) or self._services.ids.new()
        until = self._store.at_least(client, number, expires_at)
        entry = Entry(name, client, number, reason.strip(), source, call, by, now, until)
        self._services.stream.append(DoNotCallAdded(client, entry.id, source.value, by), call or None)
        self._store.keep(entry)
        self.on_added(client, number)
        return entry

    def remove(self, entry: Entry, by: str) -> None:
        """Take a number off the list. Never waits."""
        self._services.stream.append(DoNotCallRemoved(entry.client, entry.id, by))
        self._store.forget(entry.client, entry.number)

    def asked_by_caller(self, call: Call, reason: str) -> Entry | None:
        """The caller of a call wants to be called no more; None where the number is hidden, or is none."""
        number = self.number_of(call)
        if number is None:
            return None
        return self.add(call.client.id, number, reason=reason, source=Source.CALLER, by="the caller", call=call.id)

    def number_of(self, call: Call) -> str | None:
        """The number of whom one of our agents talks to in a call, in E.164; None where it is hidden, or is none."""
        plan = call.client.outbound.plan if call.client.outbound is not None else None
        if call.direction is not Direction.INBOUND and call.callback is None:
            return e164(call.number.number, plan)
        return None if call.caller.leg.withheld else e164(call.from_number, plan)

    def written(self, client: str, number: str) -> str | None:
        """A number as somebody of the company writes it, in E.164; None when it is none."""
        return e164(number, plan_of(self._services.settings, client))

    def dialled(self, agent: str, meant: Outside) -> Forbidden | None:
        """What becomes of an agent who dials a number outside by hand; None: it is dialled.

        Where the company only warns, it is refused once, and dialled when the agent dials it again soon after.
        """
        services = self._services
        entry = self._store.entry_of(meant.client, meant.number)
        if entry is None:
            return None
        outbound = services.settings.clients[meant.client].outbound
        now, key = services.clock.now(), (agent, meant.number)
        warns = outbound is not None and outbound.do_not_call is DoNotCallRule.WARN
        warned = self._warned.pop(key, None)
        goes = warns and warned is not None and now - warned <= MEANT_WITHIN
        services.stream.append(DoNotCallDialled(meant.client, entry, agent, refused=not goes))
        if goes:
            return None
        if warns:
            self._warned[key] = now
            if len(self._warned) > MOST_WARNED:
                del self._warned[next(iter(self._warned))]
        again = ": dial it again to call all the same" if warns else ""
        return Forbidden(403, f"the number is on the do-not-call list of {meant.client}{again}", ON_THE_LIST)
