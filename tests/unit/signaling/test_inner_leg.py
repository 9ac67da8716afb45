"""A leg without a network: what the call sees that is dialled within the switch."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from callcenter.signaling.inner_leg import InnerLeg
from callcenter.signaling.leg import LegEnded, LegState
from callcenter.sip.events import EndedBy
from callcenter.sip.flow import Address, Flow, Transport

HERE = Flow(Transport.UDP, Address("127.0.0.1", 0), Address("127.0.0.1", 0))


class Dialler:
    """Who dials, and what is told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        nowhere = cast(Any, SimpleNamespace(endpoint=None, driver=None))
        self.leg = InnerLeg(
            "name", HERE, nowhere, offer=b"offer", user="amy", dialled="bob", remote_name="Amy",
            on_ring=self.told.append, on_answer=self.told.append,
        )  # fmt: skip


async def test_it_rings_is_answered_and_left() -> None:
    dialler = Dialler()
    leg = dialler.leg
    assert (leg.incoming, leg.offer, leg.dialled, leg.user, leg.remote_name) == (True, b"offer", "bob", "amy", "Amy")
    leg.ring()
    leg.ring(status=183, sdp=b"early")
    leg.answer(b"answer")
    assert dialler.told == [None, b"early", b"answer"]
    assert await leg.acknowledged is None
    leg.ring()
    assert (leg.state, len(dialler.told)) == (LegState.UP, 3), "what is answered rings no more"
    assert (await leg.reinvite(b"other")).status == 488
    leg.leave()
    leg.leave()
    leg.hangup()
    leg.answer(b"too late")
    assert await leg.ended == LegEnded(EndedBy.PEER, 200, "")
    assert len(dialler.told) == 3


async def test_it_is_refused_or_hung_up_on_or_given_up() -> None:
    refused, hung_up, given_up = Dialler().leg, Dialler().leg, Dialler().leg
    refused.reject(486)
    hung_up.answer(b"answer")
    hung_up.hangup(cause="over")
    given_up.leave()
    await asyncio.sleep(0)
    assert refused.ending == LegEnded(EndedBy.LOCAL, 486, "")
    assert hung_up.ending == LegEnded(EndedBy.LOCAL, 200, "over")
    assert given_up.ending == LegEnded(EndedBy.PEER, 487, "")
