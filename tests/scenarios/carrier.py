"""What stories of calls to the outside share: a trunk with somebody at its other end, or with nobody."""

from __future__ import annotations

from callcenter.calls.settings import DialRules
from callcenter.signaling.trunks.settings import Peer, TrunkSettings
from callcenter.simulation.phone import Phone
from callcenter.simulation.trunk import Manners, SimTrunk
from callcenter.simulation.world import World


def reaches(world: World, address: str) -> None:
    """The company's calls go out by a carrier whose server is at this address."""
    world.trunks(TrunkSettings("carrier", peers=(Peer(address),), qualify=None))


async def somebody_outside(world: World, number: str) -> Phone:
    """A phone outside, at which every call rings that goes out from now on."""
    phone = await world.phone(number)
    reaches(world, phone.host.address)
    return phone


async def nobody_outside(world: World) -> SimTrunk:
    """A carrier that knows none of the numbers that are called from now on, but remembers them."""
    carrier = await world.carrier("carrier")
    carrier.manners = Manners(status=404)
    reaches(world, carrier.address)
    return carrier


def permit(world: World, **rules: DialRules) -> None:
    """Let these agents dial by these rules from now on."""
    world.permit(**rules)
