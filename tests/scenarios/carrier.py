"""Carrier: stands in for the trunks in stories: what is dialled outside rings on a simulated phone, or nowhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from callcenter.calls import own_call
from callcenter.calls.fork import first_answer
from callcenter.calls.outside import NotReached, Reached
from callcenter.calls.party import Party
from callcenter.calls.services import Services
from callcenter.calls.settings import Client, DialRules
from callcenter.calls.sound import Sound
from callcenter.model.states import Side
from callcenter.signaling.leg import Leg
from callcenter.signaling.outcome import Answered, Rejected
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import PORT, SWITCH, World
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import NameAddr
from callcenter.sip.uri import Uri


class Carrier:
    """Knows phones by their numbers, and remembers what was dialled, by whom."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.phones: dict[str, Phone] = {}
        self.dialled: list[tuple[str, str]] = []
        patch.setattr(own_call, "dial_outside", self.dial)

    async def phone(self, world: World, number: str) -> Phone:
        """A phone outside."""
        phone = self.phones[number] = await world.phone(number)
        return phone

    async def dial(
        self,
        services: Services,
        client: Client,
        number: str,
        call_id: str,
        *,
        beside: Sound | None = None,
        on_ringing: Callable[[], None] | None = None,
        on_early: Callable[[], None] | None = None,
        max_forwards: int = 70,
    ) -> Reached | NotReached:
        """What ``calls.outside.dial_outside`` does."""
        self.dialled.append((client.id, number))
        phone = self.phones.get(number)
        if phone is None:
            return NotReached(Rejected(404, "Not Found"), "nobody has it")
        flow = Flow(Transport.UDP, Address(SWITCH, PORT), Address(phone.host.address, PORT))
        sound = Sound()
        description = await sound.open(services.plane, call_id, flow, offer=None, beside=beside)
        here = NameAddr.parse(services.user_agent.contact(flow, None)).uri
        target = Uri(user=number, host=phone.host.address, port=PORT)
        leg = services.user_agent.dial(
            target, flow, from_=NameAddr(Uri(user="caller-id", host=here.host)), to=NameAddr(target), sdp=description
        )
        party = Party(Side.OUTSIDE, leg, sound)
        try:
            reached = await first_answer([leg], on_ringing or (lambda: None))
            outcome = await leg.outcome()
            if not isinstance(reached, Leg) or not isinstance(outcome, Answered) or outcome.sdp is None:
                party.close()
                return NotReached(outcome, "not taken")
            await sound.session.set_answer(outcome.sdp)
        except BaseException:
            party.close()
            raise
        return Reached(party, "carrier", number)


def permit(world: World, **rules: DialRules) -> None:
    """Let these agents dial by these rules from now on."""
    services = world.house.services
    services.settings = replace(services.settings, may_dial={**services.settings.may_dial, **rules})
