"""The screen pop: what the agent's screen shows before the phone rings."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from callcenter.acd.events import Offer
from callcenter.calls.call import CRM, CRM_ACCOUNT, Call
from callcenter.model.callback import Mode
from callcenter.model.customer import Customer
from callcenter.model.facts import ScreenPopSent, ScreenPopUpdated, utc
from callcenter.model.followup import Followup
from callcenter.publish.payloads import Pop

# A pop that reaches a screen later than this is about a call that is over or long begun (desk.md: 60 s).
POP_EXPIRES = 60.0


class SentPop:
    """A pop on its way to the broker: sent when made, and told as a fact once, at the latest by :meth:`close`.

    What else the phone needs is made ready while the broker answers (a third of a millisecond of the three from the
    caller's key to the INVITE).
    """

    __slots__ = ("_acknowledged", "_began", "_call", "_id", "_offer", "_position_was", "_told")

    def __init__(self, call: Call, offer: Offer) -> None:
        self._call = call
        self._offer = offer
        self._began = call.services.clock.monotonic()
        pop = screen_pop(call, offer)
        self._acknowledged = call.services.publisher.publish_pop(pop.agent, pop.payload(), POP_EXPIRES)
        self._told = False
        # What the screen was shown is made anew for whoever asks: a talk holds on to this as long as it lasts.
        self._id, self._position_was = pop.id, pop.position_was
        call.pops[offer.agent_id] = self

    async def confirmed(self) -> None:
        """Until the broker has it, ``pop_wait`` seconds from the sending at most; then the phone rings anyway."""
        left = self._began + self._call.settings.pop_wait - self._call.services.clock.monotonic()
        try:
            async with asyncio.timeout(max(0.0, left)):
                await asyncio.shield(self._acknowledged)
        except TimeoutError:
            pass  # the broker is slow: the caller does not wait for it
        self.close()

    def close(self) -> None:
        """Tell what became of it. May be called twice."""
        if self._told:
            return
        self._told = True
        sent = self._acknowledged
        acknowledged = sent.done() and not sent.cancelled() and sent.result()
        took = round((self._call.services.clock.monotonic() - self._began) * 1000)
        self._call.add(ScreenPopSent(self._offer.id, self._offer.agent_id, self._id, acknowledged, took))

    def renew(self) -> None:
        """Send it again under its id, with what is known by now. Never waits, and no phone rings later for it."""
        now = screen_pop(self._call, self._offer)
        pop = replace(now, id=self._id, position_was=self._position_was, update=True)
        _ = self._call.services.publisher.publish_pop(pop.agent, pop.payload(), POP_EXPIRES)
        self._call.add(ScreenPopUpdated(self._offer.id, self._offer.agent_id, self._id))


def screen_pop(call: Call, offer: Offer) -> Pop:
    """Everything the agent needs to greet this caller."""
    services, captured, known = call.services, call.captured, call.known
    now = services.clock.now()
    acd = services.dispatcher.acd
    agent = acd.plan.agents.get(offer.agent_id)
    name = agent.name if agent else offer.agent_id
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
        greeting=call.client.greeting_for(captured.language, name) if not call.agent else "",
        queue=offer.queue,
        from_number=call.from_number,
        from_name=call.from_name,
        to_number=call.number.number,
        diverted=_diverted(call),
        language=captured.language,
        intent=captured.intent,
        skills={requirement.skill: requirement.minimum for requirement in offer.skills},
        waited_s=offer.waited,
        menu=captured.menus,
        entered=captured.entered,
        attributes=captured.told,
        match=known.match,
        customers=known.customers,
        fields={each.id: _fields(call, each) for each in known.customers},
        interactions=known.recent,
        note=known.note,
        why=offer.why,
        position_was=acd.position(offer.ticket_id),
        callback=_callback(call),
        srtp=call.caller.sound.secure,
        record=_record(call, offer),
        open_followups=known.open_followups,
        followups=[_followup(each, now) for each in known.followups],
    )


def _followup(followup: Followup, now: datetime) -> dict[str, Any]:
    """What the agent's screen shows of something that is still to be done for the caller."""
    return {
        "id": followup.id,
        "kind": followup.kind.value,
        "title": followup.title,
        "due": utc(followup.due_at),
        "overdue": followup.due_at < now,
        "agent": followup.agent or None,
        "made_by": followup.made_by or None,
    }


def _fields(call: Call, customer: Customer) -> list[dict[str, Any]]:
    """What the client has declared to be shown of a customer."""
    if call.known.by in (CRM, CRM_ACCOUNT):
        # Of what the CRM's answer holds the configuration has named those that matter.
        return [{"name": name, "label": name, "value": value} for name, value in customer.fields.items()]
    return [
        {"name": rule.name, "label": rule.label, "value": rule.choices.get(str(value), value)}
        for rule, value in call.client.customers.fields.shown(customer.fields)
    ]


def _record(call: Call, offer: Offer) -> str:
    recordings = call.services.recordings
    if recordings.wants(call, offer.queue, offer.agent_id):
        return "yes"
    return "on_demand" if recordings.rule(call, offer.queue, offer.agent_id).on_demand else ""


def _diverted(call: Call) -> dict[str, str] | None:
    diverted = call.caller.leg.diverted
    return None if not diverted else {"from": diverted[0].number, "name": diverted[0].name, "why": diverted[0].why}


def _callback(call: Call) -> dict[str, Any] | None:
    """That the customer is called back: since when, what for, and the how-manieth attempt it will be.

    ``rang_in``: we had planned to call them, and they were faster. ``preview_s``: the agent has so many seconds to say
    whether he calls them (`callback_accept`, `callback_decline`); None: he is not asked.
    """
    asked = call.callback or call.promised
    if asked is None or (call.caller.leg.answered and call.callback is not None and asked.mode is Mode.AGENT_FIRST):
        return None
    rules, answered = call.client.callbacks, call.caller.leg.answered
    shown = asked.preview and not answered and rules is not None
    return {
        "id": asked.id,
        "number": asked.number,
        "requested": utc(asked.requested_at),
        "since": utc(asked.first_joined_at),
        "attempt": asked.attempts + 1,
        "call": asked.requested_in,
        "source": str(asked.source),
        "mode": str(asked.mode),
        "reason": asked.reason,
        "rang_in": call.callback is None,
        "preview_s": rules.preview_for if shown and rules is not None else None,
        "followup": asked.followup,
    }
