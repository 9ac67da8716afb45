"""Integrations: the CRMs that are asked and the receivers that are told, of one desk."""

from __future__ import annotations

from collections.abc import Callable
from random import Random, SystemRandom

from callcenter.config.settings import Settings
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
        self.web = Web()
        self.store = Store(own)
        self.look_ups = LookUps(settings, switch, reader, self.store, clock, self.web)
        self.webhooks = Webhooks(settings, switch, reader, self.store, clock, self.web, random or SystemRandom())
