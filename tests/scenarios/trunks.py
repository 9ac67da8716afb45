"""What stories of trunks share: a trunk's settings in a word, and somebody in the house who calls out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any

from callcenter.calls.outside import NotReached, Reached, dial_outside
from callcenter.calls.sound import Sound
from callcenter.model.facts import TrunkStateChanged, TrunkTried
from callcenter.signaling.trunks.settings import Accept, Account, Peer, TrunkSecrets, TrunkSettings
from callcenter.simulation.trunk import SimTrunk
from callcenter.simulation.world import World

OUTSIDE = "(415) 555-0188"
IN_E164 = "+14155550188"


def trunk(carrier: SimTrunk, **more: Any) -> TrunkSettings:
    """A trunk to this carrier, which nobody looks after unless ``more`` says so."""
    return TrunkSettings(**{"id": carrier.name, "peers": (Peer(carrier.address),), "qualify": None, **more})


def accepts(carrier: SimTrunk) -> Accept:
    """Its calls are taken by their source."""
    return Accept(networks=(ip_network(carrier.address),))


def account(user: str, password: str) -> tuple[Account, TrunkSecrets]:
    """A login at a carrier."""
    return Account(user), TrunkSecrets(password)


@dataclass(slots=True)
class Dialled:
    """A call out, and what came of it."""

    rang: list[float] = field(default_factory=list)
    result: Reached | NotReached | None = None

    @property
    def reached(self) -> Reached:
        """Who was reached."""
        assert isinstance(self.result, Reached), self.result
        return self.result

    @property
    def failed(self) -> NotReached:
        """Why nobody was."""
        assert isinstance(self.result, NotReached), self.result
        return self.result


async def dial(world: World, number: str = OUTSIDE, *, beside: Sound | None = None, **more: Any) -> Dialled:
    """Somebody in the house dials a number outside, in the company's name."""
    services, dialled = world.house.services, Dialled()
    company = services.settings.clients["tech"]
    loop = asyncio.get_running_loop()
    dialled.result = await dial_outside(
        services,
        company,
        number,
        services.ids.call(),
        beside=beside,
        on_ringing=lambda: dialled.rang.append(loop.time()),
        **more,
    )
    return dialled


def tried(world: World) -> list[tuple[str, int]]:
    """By which trunks calls were tried, and what each said."""
    return [(fact.body.trunk, fact.body.status) for fact in world.facts if isinstance(fact.body, TrunkTried)]


def states(world: World) -> list[tuple[str, bool]]:
    """How trunks went up and down."""
    return [(fact.body.trunk, fact.body.up) for fact in world.facts if isinstance(fact.body, TrunkStateChanged)]
