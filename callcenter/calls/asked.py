"""Asked: what a call asks of the agent beyond its queue, how urgent it is, whom it prefers, and who says so."""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.acd.requirements import Needs, text
from callcenter.calls.call import Call
from callcenter.calls.settings import CUSTOMERS_AGENT, LAST_AGENT, PROMISE, ToQueue

# The most points of priority that anybody has who can be taken by several: as many as who is put through to one alone.
MOST_POINTS = 100

Origin = tuple[str, str]
"""Who asks (flow, language, intent, customer, last agent, promise), and what."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What goes into the ticket. ``priority`` None: the queue's. ``prefer`` is an agent, for so many seconds."""

    needs: Needs = ()
    priority: int | None = None
    prefer: str = ""
    prefer_for: float = 0.0
    origins: tuple[Origin, ...] = ()


def asked_of(call: Call, step: ToQueue) -> Asked:
    """What this call asks in the queue that ``step`` leads to: by the step, the language, the intent, the customer."""
    by = [(who, needs) for who, needs in _needs(call, step) if needs]
    priority, urgency = _priority(call, step)
    prefer, preference = _preferred(call, step)
    return Asked(
        needs=tuple(need for _, needs in by for need in needs),
        priority=priority,
        prefer=prefer,
        prefer_for=_prefer_for(call, step) if prefer else 0.0,
        origins=(*((who, text(needs)) for who, needs in by), *urgency, *preference),
    )


def _needs(call: Call, step: ToQueue) -> tuple[tuple[str, Needs], ...]:
    captured, queue_s = call.captured, call.settings.intents.get(step.queue, {})
    language, intent = captured.language, captured.intent
    routing = call.client.routing
    # An agent who dials a queue has chosen its language, and speaks to a colleague.
    spoken = () if call.agent else routing.languages.get(language, ())
    meant = queue_s[intent] if intent in queue_s else routing.intents.get(intent, ())
    return ("flow", step.needs), (f"language {language}", spoken), (f"intent {intent}", meant)


def _priority(call: Call, step: ToQueue) -> tuple[int | None, tuple[Origin, ...]]:
    customer = call.known.customer
    points = call.client.routing.tiers.get(customer.tier, 0) if customer is not None else 0
    origins: list[Origin] = [] if step.priority is None else [("flow", f"priority {step.priority}")]
    if customer is None or not points:
        return step.priority, tuple(origins)
    queue = call.services.dispatcher.acd.plan.queues.get(step.queue)
    base = step.priority if step.priority is not None else queue.priority if queue is not None else 0
    origins.append((f"customer {customer.tier}", f"priority {points:+}"))
    return max(-MOST_POINTS, min(MOST_POINTS, base + points)), tuple(origins)


def _preferred(call: Call, step: ToQueue) -> tuple[str, tuple[Origin, ...]]:
    """The first of those preferred who serves the client at all, and what is told of those before."""
    acd, client = call.services.dispatcher.acd, call.client
    agents = acd.plan.agents
    customer = call.known.customer
    origins: list[Origin] = []
    for word in client.routing.prefer if step.prefer is None else step.prefer:
        who, agent = "flow" if step.prefer is not None else "client", word
        if word == CUSTOMERS_AGENT:
            who, agent = "customer", customer.agent if customer is not None else ""
        elif word == LAST_AGENT:
            who, agent = "last agent", call.known.last_agent
        elif word == PROMISE:
            who, agent = "promise", call.known.promised_by
        if agent in agents and client.id in acd.who(agent).clients:
            seconds = round(_prefer_for(call, step))
            origins.append((who, f"prefer {agent} for {seconds} s" if seconds else f"prefer {agent} among equals"))
            return agent, tuple(origins)
        if agent:
            why = f"does not serve {client.id}" if agent in agents else "is no agent any more"
            origins.append((who, f"would prefer {agent}, who {why}"))
    return "", tuple(origins)


def _prefer_for(call: Call, step: ToQueue) -> float:
    """For how long: of what a caller has waited already on a kept place nobody makes them wait again."""
    prefer_for = call.client.routing.prefer_for if step.prefer_for is None else step.prefer_for
    now = call.services.clock.monotonic()
    return max(0.0, prefer_for - (now - call.line.first_joined if call.line is not None else 0.0))
