"""Trunks that register at us: a customer's PBX without a fixed address, which is called where it has registered."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from callcenter.model.facts import CallArrived
from callcenter.signaling.outcome import Answered, Rejected
from callcenter.signaling.trunks.settings import Accept, Account, TrunkSecrets, TrunkSettings
from callcenter.simulation.trunk import Manners, SimTrunk
from callcenter.simulation.world import World, story
from callcenter.sip.digest import Credentials
from tests.scenarios.trunks import IN_E164, dial, states, tried, trunk

NUMBER = "+18005550100"
KNOWN = TrunkSecrets(account=Credentials.of("pbx", "callcenter", "open sesame"))


def here(*, networks: tuple[str, ...] = (), qualify: float | None = None, register_here: bool = True) -> TrunkSettings:
    """A trunk that registers here as the user pbx."""
    accept = Accept(networks=tuple(map(ip_network, networks)), account=Account("pbx"))
    return TrunkSettings("pbx", (), accept=accept, qualify=qualify, register_here=register_here)


async def pbx_of(world: World, *, networks: tuple[str, ...] = (), qualify: float | None = None) -> SimTrunk:
    """A PBX that is a trunk, and has not registered yet."""
    pbx = await world.carrier("pbx")
    world.trunks(here(networks=networks, qualify=qualify), secrets={"pbx": KNOWN})
    return pbx


def state(world: World) -> tuple[bool | None, str]:
    found = world.house.trunks.get("pbx")
    assert found is not None
    return found.up, found.detail


@story()
async def test_a_call_goes_out_to_where_the_pbx_has_registered(world: World) -> None:
    pbx = await pbx_of(world)
    assert state(world) == (False, "it has not registered here")
    assert await pbx.registers("pbx", "open sesame") == 200
    assert state(world) == (True, f"registered here, at {pbx.address}:5060")
    dialled = await dial(world)
    assert dialled.reached.trunk == "pbx"
    (invite,) = pbx.seen.invites
    assert str(invite.uri) == f"sip:{IN_E164}@{pbx.address};line=7;user=phone", "its Contact, with the number in it"
    assert invite.to.uri.user == IN_E164
    assert tried(world) == [("pbx", 200)]
    assert states(world) == [("pbx", False), ("pbx", True)]
    dialled.reached.party.close()


@story()
async def test_as_long_as_it_has_not_registered_calls_go_by_the_next_trunk(world: World) -> None:
    pbx, carrier = await world.carrier("pbx"), await world.carrier("carrier")
    world.trunks(here(), trunk(carrier), secrets={"pbx": KNOWN})
    first = await dial(world)
    assert first.reached.trunk == "carrier"
    await pbx.registers("pbx", "open sesame", expires=120)
    second = await dial(world)
    assert second.reached.trunk == "pbx"
    await world.sleep(121)
    third = await dial(world)
    assert third.reached.trunk == "carrier", "its registration has run out"
    await pbx.registers("pbx", "open sesame")
    await pbx.registers("pbx", "open sesame", expires=0)
    fourth = await dial(world)
    assert fourth.reached.trunk == "carrier", "it has taken it back"
    for each in (first, second, third, fourth):
        each.reached.party.close()


@story()
async def test_only_who_knows_the_password_and_may_registers_as_the_trunk(world: World) -> None:
    pbx = await pbx_of(world)
    await world.agent("amy", english=5)
    assert await pbx.registers("pbx", "guessed") == 403
    assert await pbx.registers("nobody", "open sesame") == 403
    # One of our agents is one, and no trunk.
    assert await pbx.registers("amy", "secret of amy") == 200
    assert state(world)[0] is False
    # A trunk of which nobody said that it registers here does not.
    world.trunks(replace(here(register_here=False), peers=()), secrets={"pbx": KNOWN})
    assert await pbx.registers("pbx", "open sesame") == 403


@story()
async def test_a_pbx_that_has_networks_registers_from_there_alone(world: World) -> None:
    pbx = await pbx_of(world, networks=("192.0.2.0/24",))
    assert await pbx.registers("pbx", "open sesame") == 403
    world.trunks(here(networks=(f"{pbx.address}/32",)), secrets={"pbx": KNOWN})
    assert await pbx.registers("pbx", "open sesame") == 200


@story()
async def test_calls_from_where_it_has_registered_are_its_own_once_they_are_proved(world: World) -> None:
    """A PBX shows its own caller in From: it is known by the way that it comes, and asked for the password."""
    pbx = await pbx_of(world)
    call, outcome = await pbx.calls_in(NUMBER)
    assert isinstance(outcome, Answered), "as anybody else who dials one of our numbers"
    call.leg.hangup()
    await pbx.registers("pbx", "open sesame")
    _, outcome = await pbx.calls_in(NUMBER)
    assert isinstance(outcome, Rejected)
    call, outcome = await pbx.calls_in(NUMBER, user="pbx", password="open sesame")
    assert isinstance(outcome, Answered)
    arrived = [fact.body.trunk for fact in world.facts if isinstance(fact.body, CallArrived)]
    assert arrived == ["", "pbx"]
    call.leg.hangup()
    # By its account it dials nothing that only agents may.
    call, outcome = await pbx.calls_in("*21", user="pbx", password="open sesame")
    assert not isinstance(outcome, Answered)


@story()
async def test_a_pbx_that_answers_no_more_is_out_until_it_registers_anew(world: World) -> None:
    pbx = await pbx_of(world, qualify=30.0)
    await pbx.registers("pbx", "open sesame", expires=3600)
    await world.sleep(60)
    assert state(world)[0] is True
    assert world.hosts["pbx"] is pbx.host
    pbx.host.vanish()
    await world.sleep(60)
    assert state(world)[0] is False
    assert "no answer" in state(world)[1]


@story()
async def test_a_pbx_that_comes_back_is_called_at_once_and_not_after_the_next_ping(world: World) -> None:
    pbx = await pbx_of(world, qualify=300.0)
    await world.sleep(400)
    assert state(world)[0] is False
    await pbx.registers("pbx", "open sesame")
    assert state(world)[0] is True
    dialled = await dial(world)
    dialled.reached.party.close()


@story()
async def test_its_registration_is_kept_over_a_restart_of_the_switch(world: World) -> None:
    pbx = await pbx_of(world)
    await pbx.registers("pbx", "open sesame", expires=3600)
    await world.settled()
    await world.restart()
    assert state(world) == (True, f"registered here, at {pbx.address}:5060")
    pbx.manners = Manners(rings=0.1)
    dialled = await dial(world)
    assert dialled.reached.trunk == "pbx"
    dialled.reached.party.close()


@story()
async def test_a_reload_keeps_the_registration_of_a_trunk_that_stays_and_forgets_that_of_one_that_goes(
    world: World,
) -> None:
    pbx = await pbx_of(world)
    house = world.house
    await pbx.registers("pbx", "open sesame", expires=3600)
    stays = replace(house.settings, trunks={"pbx": replace(here(), max_calls=3)}, plan=world.plan)
    secrets = replace(house.secrets, trunks={"pbx": KNOWN})
    house.reconfigure(stays, secrets, "the test")
    assert state(world)[0] is True
    house.reconfigure(replace(stays, trunks={}), replace(secrets, trunks={}), "the test")
    assert house.registrar.bindings("pbx") == ()
    house.reconfigure(stays, secrets, "the test")
    assert state(world) == (False, "it has not registered here")
