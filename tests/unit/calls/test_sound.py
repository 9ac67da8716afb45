"""What a party's sound offers to which phone: keys go by private signalling alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from random import Random

import pytest

from callcenter.calls.sound import Sound
from callcenter.media.settings import MediaSettings, Srtp
from callcenter.simulation.clock import run
from callcenter.simulation.media import SimEndpointMedia, SimMediaPlane, SimMediaWorld
from callcenter.sip.crypto import Security
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.sdp import SessionDescription

HERE = Address("10.0.0.1", 5060)
BY_TLS = Flow(Transport.TLS, HERE, Address("10.0.0.2", 5061))
BY_TCP = Flow(Transport.TCP, HERE, Address("10.0.0.3", 5060))
BY_UDP = Flow(Transport.UDP, HERE, Address("10.0.0.3", 5060))


def profile(sdp: bytes | None) -> tuple[str, int] | None:
    """Which profile is offered, and by how many keys."""
    if sdp is None:
        return None
    line = SessionDescription.parse(sdp).media[0]
    return line.protocol, len(line.cryptos())


def with_sound(tell: Callable[[SimMediaWorld, Sound], Awaitable[None]], flow: Flow, srtp: Srtp) -> None:
    async def told() -> None:
        world, sound = SimMediaWorld(), Sound()
        plane = SimMediaPlane(world, MediaSettings(workers=1, srtp=srtp), Random(1))
        await sound.open(plane, "call", flow, offer=None)
        await tell(world, sound)
        sound.release()
        await asyncio.sleep(1)

    run(told())


@pytest.mark.parametrize(
    ("flow", "srtp", "first", "second"),
    [
        (BY_TLS, Srtp.OPTIONAL, ("RTP/AVP", 3), ("RTP/SAVP", 3)),
        (BY_TLS, Srtp.REQUIRED, ("RTP/SAVP", 3), None),
        (BY_TLS, Srtp.OFF, ("RTP/AVP", 0), None),
        (BY_UDP, Srtp.OPTIONAL, ("RTP/AVP", 0), None),
        (BY_TCP, Srtp.OPTIONAL, ("RTP/AVP", 0), None),
    ],
)
def test_a_phone_is_offered_what_its_signalling_allows(
    flow: Flow, srtp: Srtp, first: tuple[str, int], second: tuple[str, int] | None
) -> None:
    async def tell(_: SimMediaWorld, sound: Sound) -> None:
        offer, then = sound.offer_to(flow)
        assert (profile(offer), profile(then)) == (first, second)

    with_sound(tell, flow, srtp)


@pytest.mark.parametrize("answered_by", [BY_TLS, BY_UDP])
def test_phones_that_ring_together_get_what_each_may_have(answered_by: Flow) -> None:
    """A desk phone by UDP beside a softphone by TLS: one session, and whoever answers has it as it was offered."""

    async def tell(world: SimMediaWorld, sound: Sound) -> None:
        phone = SimEndpointMedia(world, answered_by.remote.host, security=Security(os.urandom))
        offers = {flow: sound.offer_to(flow)[0] for flow in (BY_TLS, BY_UDP)}
        assert [profile(offer) for offer in offers.values()] == [("RTP/AVP", 3), ("RTP/AVP", 0)]
        await sound.take_answer(phone.answer(offers[answered_by]), answered_by)
        assert bool(sound.secure) is (answered_by is BY_TLS)
        again = await sound.session.offer_again()
        assert profile(again) == ("RTP/AVP", 3 if answered_by is BY_TLS else 0)

    with_sound(tell, BY_TLS, Srtp.OPTIONAL)
