"""Codecs of trunks and agents: who has some of their own is offered those and no others, in that order."""

from __future__ import annotations

from dataclasses import replace

from callcenter.signaling.outcome import Answered
from callcenter.simulation.media import SimMediaPlane
from callcenter.simulation.world import World, story
from callcenter.sip.sdp import SessionDescription
from tests.scenarios.trunks import accepts, trunk

NUMBER = "+18005550100"


def formats(sdp: bytes | None) -> tuple[str, ...]:
    assert sdp is not None
    (audio,) = SessionDescription.parse(sdp).media
    return audio.formats


@story()
async def test_a_call_from_a_carrier_is_answered_by_the_carriers_codecs(world: World) -> None:
    carrier, other = await world.carrier("carrier"), await world.carrier("other")
    world.trunks(trunk(carrier, accept=accepts(carrier), codecs=("PCMA",)), trunk(other, accept=accepts(other)))
    for calls, codec in ((carrier, "8"), (other, "0")):
        call, outcome = await calls.calls_in(NUMBER)
        assert isinstance(outcome, Answered)
        assert formats(outcome.sdp) == (codec, "101")
        call.leg.hangup()
        await world.settled()


@story()
async def test_an_agents_phones_are_offered_the_agents_codecs_the_callers_first(world: World) -> None:
    amy = await world.agent("amy", english=5)
    services = world.house.services
    services.settings = replace(services.settings, agent_codecs={"amy": ("G722", "PCMA", "PCMU")})
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.hears("greeting")
    await caller.press("1")
    await amy.rings()
    assert formats(amy.calls[-1].leg.offer) == ("0", "9", "8", "101")
    await amy.answers()
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    assert call.over


@story()
async def test_an_agent_who_calls_is_answered_by_the_agents_codecs(world: World) -> None:
    amy, bob = await world.agent("amy", english=5), await world.agent("bob", english=4)
    services = world.house.services
    services.settings = replace(services.settings, agent_codecs={"amy": ("PCMA",)})
    amy.starts_dialling("bob")
    await bob.rings()
    await bob.answers()
    assert world.hear_each_other(amy, bob)
    assert isinstance(services.plane, SimMediaPlane)
    sides = [formats(session.sdp) for session in services.plane.world.sessions.values()]
    assert ("8", "101") in sides
    await amy.hangs_up()
