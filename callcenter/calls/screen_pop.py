"""The screen pop: what the agent's screen shows before the phone rings."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from callcenter.acd.events import Offer
from callcenter.calls.call import Call
from callcenter.model.facts import ScreenPopSent
from callcenter.publish.payloads import Pop

# A pop that reaches a screen later than this is about a call that is over or long begun (desk.md: 60 s).
POP_EXPIRES = 60.0


async def send_pop(call: Call, offer: Offer) -> None:
    """Publish the pop and wait for the broker's word, ``pop_wait`` seconds at most; then the phone rings anyway."""
    services = call.services
    began = services.clock.monotonic()
    pop = screen_pop(call, offer)
    acknowledged = False
    try:
        async with asyncio.timeout(call.settings.pop_wait):
            acknowledged = await services.publisher.publish_pop(pop.agent, pop.payload(), POP_EXPIRES)
    except TimeoutError:
        pass  # the broker is slow: the caller does not wait for it
    took = round((services.clock.monotonic() - began) * 1000)
    call.add(ScreenPopSent(offer.id, offer.agent_id, pop.id, acknowledged, took))


def screen_pop(call: Call, offer: Offer) -> Pop:
    """Everything the agent needs to greet this caller."""
    services, captured, known = call.services, call.captured, call.known
    now = services.clock.now()
    acd = services.dispatcher.acd
    agent = acd.plan.agents.get(offer.agent_id)
    return Pop(
        id=services.ids.new(),
        at=now,
        expires_at=now + timedelta(seconds=POP_EXPIRES),
        call=call.id,
        offer=offer.id,
        agent=offer.agent_id,
        rings_in_ms=round(call.settings.pop_wait * 1000),
        client=call.client.id,
        client_name=call.client.name,
        greeting=call.client.greeting_for(captured.language, agent.name if agent else offer.agent_id),
        queue=offer.queue,
        from_number=call.from_number,
        from_name=call.caller.leg.remote_name,
        to_number=call.number.number,
        language=captured.language,
        intent=captured.intent,
        skills={requirement.skill: requirement.minimum for requirement in offer.skills},
        waited_s=offer.waited,
        menu=captured.menus,
        entered=captured.entered,
        attributes=captured.told,
        match=known.match,
        customers=known.customers,
        interactions=known.recent,
        why=offer.why,
        position_was=acd.position(offer.ticket_id),
    )
