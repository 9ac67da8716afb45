"""Private calls: SRTP by keys in the descriptions, where the signalling is TLS: whom it concerns, who hears whom."""

from __future__ import annotations

import os

from callcenter.model.facts import AgentMediaStarted, CallerMediaStarted
from callcenter.signaling.leg import LegState
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import AgentPhone, World, story
from callcenter.sip.crypto import Security, Suite
from callcenter.sip.flow import Transport
from callcenter.sip.sdp import SessionDescription

CAN = Security(os.urandom)
MUST = Security(os.urandom, required=True)
INSISTS = Security(os.urandom, required=True, insists=True)


async def agent_by_tls(world: World, name: str) -> AgentPhone:
    phone = await world.hire(name, {"english": 5}, transport=Transport.TLS)
    await phone.register(name, f"secret of {name}")
    await world.settled()
    return phone


def secure(world: World) -> set[str]:
    """By which suites the sound of the sessions that are open is encrypted."""
    return {session.secure for session in world.plane.sessions}


def offered(phone: Phone) -> list[str]:
    """The profiles of the INVITEs that reached the phone."""
    offers = [call.leg.offer for call in phone.calls if call.leg.incoming]
    return [SessionDescription.parse(offer).media[0].protocol for offer in offers if offer is not None]


@story()
async def test_a_private_caller_and_a_plain_agent_hear_each_other(world: World) -> None:
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100", transport=Transport.TLS)
    world.private_phones[caller.name] = MUST
    call = await world.connect(caller, amy)
    assert world.hear_each_other(caller, amy)
    assert secure(world) == {Suite.AES_CM_128_HMAC_SHA1_80, ""}
    await world.settled()
    started = {type(fact.body): fact.body for fact in world.facts}
    heard = [started[kind] for kind in (CallerMediaStarted, AgentMediaStarted)]
    assert [getattr(body, "srtp", None) for body in heard] == [Suite.AES_CM_128_HMAC_SHA1_80, ""]
    assert (await amy.screen_pop())["srtp"] == Suite.AES_CM_128_HMAC_SHA1_80, "the agent knows before the phone rings"
    await caller.hold()
    await amy.hears("music")
    await caller.resume()
    await caller.hears(amy)
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert (saved.srtp, [leg.srtp for leg in saved.legs]) == (Suite.AES_CM_128_HMAC_SHA1_80, [""])


@story()
async def test_an_agents_phone_by_tls_takes_srtp_if_it_can(world: World) -> None:
    amy = await agent_by_tls(world, "amy")
    caller = await world.phone("+14155550100")
    for security, suite in ((CAN, {Suite.AES_CM_128_HMAC_SHA1_80, ""}), (None, {""})):
        if security is not None:
            world.private_phones["amy"] = security
        else:
            del world.private_phones["amy"]
        await world.connect(caller, amy)
        assert world.hear_each_other(caller, amy)
        assert secure(world) == suite
        await caller.hangs_up()
        await world.sleep(60)
    assert offered(amy) == ["RTP/AVP", "RTP/AVP"], "one INVITE is enough for both"


@story()
async def test_an_agents_phone_that_insists_on_srtp_is_offered_it_at_once_when_it_refuses(world: World) -> None:
    """Some phones look at the profile alone, and refuse RTP/AVP with 488: the agent notices nothing of that."""
    amy = await agent_by_tls(world, "amy")
    world.private_phones["amy"] = INSISTS
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    amy.picks_up()
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    assert offered(amy) == ["RTP/AVP", "RTP/SAVP"]
    assert {call.sip_call_id for call in amy.calls} == {amy.calls[0].sip_call_id}
    assert secure(world) == {Suite.AES_CM_128_HMAC_SHA1_80, ""}
    await caller.hangs_up()


@story()
async def test_a_key_never_goes_by_udp(world: World) -> None:
    """A phone by UDP that insists is refused, one that does not gets plain sound."""
    amy = await world.agent("amy", english=5)
    world.private_phones["amy"] = CAN
    caller = await world.phone("+14155550100")
    world.private_phones[caller.name] = MUST
    refused = caller.starts_dialling("1000")
    await caller.is_refused(488)
    assert refused.leg.state is LegState.ENDED
    world.private_phones[caller.name] = CAN
    await world.connect(caller, amy)
    assert secure(world) == {""}
    assert b"a=crypto" not in (amy.calls[-1].leg.offer or b"")
    await caller.hangs_up()


@story()
async def test_two_private_phones_talk_by_keys_of_their_own(world: World) -> None:
    amy = await agent_by_tls(world, "amy")
    caller = await world.phone("+14155550100", transport=Transport.TLS)
    world.private_phones.update({"amy": MUST, caller.name: MUST})
    await world.connect(caller, amy)
    assert world.hear_each_other(caller, amy)
    assert secure(world) == {Suite.AES_CM_128_HMAC_SHA1_80}
    keys = [session.keys for session in world.plane.sessions]
    assert len({key for each in keys if each is not None for key in (each.ours, each.theirs)}) == 4
    await amy.hangs_up()
