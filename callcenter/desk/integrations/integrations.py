"""Integrations: the CRMs that are asked and the receivers that are told, of one desk."""

from __future__ import annotations

from collections.abc import Callable
from random import Random, SystemRandom

from callcenter.config.settings import Settings
from callcenter.desk.integrations.figures import CrmFigures, Figures, WebhookFigures, state_of
from callcenter.desk.integrations.lane import Verdict
from callcenter.desk.integrations.lookup import LookUps
from callcenter.desk.integrations.store import Store
from callcenter.desk.integrations.web import Web
from callcenter.desk.integrations.webhooks import Webhooks
from callcenter.desk.switch import Switch
from callcenter.runtime.clock import Clock
from callcenter.storage.database import Database


class Integrations:
    """What the desk has to do with other systems: ``look_ups`` asks CRMs, ``webhooks`` tells receivers."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        switch: Switch,
        reader: Database,
        own: Database,
        clock: Clock,
        *,
        random: Random | None = None,
    ) -> None:
        self._clock = clock
        self.web = Web()
        self.store = Store(own)
        self.look_ups = LookUps(settings, switch, reader, self.store, clock, self.web)
        self.webhooks = Webhooks(settings, switch, reader, self.store, clock, self.web, random or SystemRandom())

    async def figures(self) -> Figures:
        """How it goes with each of them now, in numbers. Raises StorageError."""
        counts, oldest = await self.store.counts(), await self.store.oldest_pending()
        hooks, now = self.webhooks, self._clock.now().timestamp()
        receivers = []
        for name in sorted({*hooks.receivers, *hooks.removed}):
            receiver, row, of = hooks.receivers.get(name), hooks.lanes.get(name), counts.get(name, {})
            client = receiver.client if receiver is not None else name.partition(".")[0]
            since = oldest.get(name)
            receivers.append(
                WebhookFigures(
                    name,
                    client,
                    state_of(receiver, row).value,
                    of.get(Verdict.RETRY.value, 0),
                    of.get(Verdict.GIVEN_UP.value, 0),
                    max(0.0, now - since) if since is not None else 0.0,
                    row.lane.failures if row is not None else 0,
                )
            )
        crms = [
            CrmFigures(name, "unused" if crm.trouble else crm.breaker.state.value, crm.under_way, crm.tally)
            for name, crm in sorted(self.look_ups.crms.items())
        ]
        return Figures(tuple(receivers), hooks.sent, hooks.failed, tuple(crms))
