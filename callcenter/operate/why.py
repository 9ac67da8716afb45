"""Why: how a call was decided about, why an agent gets no call, and how a queue stands, for ``callcenter why``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from callcenter.acd.why import Explanation, as_json
from callcenter.calls.order_reading import near
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.model.access import Actor
from callcenter.model.facts import (
    CallArrived,
    CallPrioritised,
    CallQueued,
    Fact,
    OfferEnded,
    OfferMade,
    PreferenceEnded,
    QueueLeft,
    RoutingRelaxed,
)
from callcenter.storage.database import StorageError

if TYPE_CHECKING:
    from callcenter.app.house import House

WHICH = ("call", "agent", "queue")
# Of one call, in the order in which they were told: whoever waits for hours is offered to many.
MOST_FACTS = 2_000


async def why(house: House, asked: Asked) -> dict[str, Any]:
    """``lines`` for people, and the same as plain values, of a ``call``, an ``agent`` or a ``queue``."""
    asked.only(*WHICH)
    which = {name: value for name in WHICH if (value := asked.fields.get(name)) is not None}
    if len(which) != 1:
        raise CommandError("say one of `call`, `agent` and `queue`")
    [(kind, name)] = which.items()
    if not isinstance(name, str) or not name:
        raise CommandError(f"`{kind}` is a text")
    if kind == "call":
        return await of_call(house, name, asked.actor)
    now = house.edges.clock.monotonic()
    known = [each for each in house.acd.plan.agents if _sees_agent(house, asked.actor, each)]
    if kind == "queue":
        known = [each.id for each in house.acd.plan.queues.values() if asked.actor.sees(each.client)]
    answer = None
    if name in known:
        answer = house.acd.explain_agent(name, now) if kind == "agent" else house.acd.explain_queue(name, now)
    if answer is None:
        raise CommandError(f"no {kind} is named `{name}`{near(name, known)}", Reason.NOT_FOUND, field=kind)
    return {"lines": list(answer.words()), kind: as_json(answer)}


def _sees_agent(house: House, actor: Actor, agent: str) -> bool:
    """What keeps an agent from callers names them and their queues: all of that must be ``actor``'s to see."""
    if actor.clients is None or actor.agent == agent:
        return True
    return house.acd.who(agent).clients <= actor.clients


async def of_call(house: House, name: str, actor: Actor) -> dict[str, Any]:
    """A call of the log, by its id or, while it is remembered, the end of its id; one that ``actor`` sees."""
    known = house.known_calls.find(call=name)
    call_id = name if known is None else known.id
    try:
        facts = await house.edges.storage.log.read(0, MOST_FACTS, call_id)
    except StorageError as error:
        raise CommandError(f"the log cannot be read: {error}") from None
    if not facts or not _sees_call(actor, facts):
        raise CommandError(f"no call `{name}` is in the log", Reason.NOT_FOUND, field="call")
    now = house.edges.clock.monotonic()
    visits = [fact.body.visit for fact in facts if isinstance(fact.body, CallQueued)]
    waiting = [answer for visit in visits if (answer := house.acd.explain_ticket(visit, now)) is not None]
    lines = list(story(facts))
    for answer in waiting:
        lines += [f"now: {line}" for line in answer.words()]
    return {
        "lines": lines or [f"{call_id} never waited for an agent"],
        "call": call_id,
        "decisions": [
            {"seq": fact.seq, "offer": fact.body.offer, **as_json(explanation)}
            for fact in facts
            if isinstance(fact.body, OfferMade) and (explanation := explained(fact.body)) is not None
        ],
        "waiting": as_json(waiting),
    }


def _sees_call(actor: Actor, facts: Sequence[Fact]) -> bool:
    if actor.clients is None:
        return True
    first = facts[0].body
    return isinstance(first, CallArrived) and actor.sees(first.client)


def explained(made: OfferMade) -> Explanation | None:
    """The explanation of an offer; None for one of an older switch."""
    return Explanation.parse(made.explanation) if made.explanation else None


def story(facts: Sequence[Fact]) -> list[str]:
    """What was decided about a call, line by line, with seconds since it first waited."""
    lines: list[str] = []
    began: int | None = None
    for fact in facts:
        told = said(fact)
        if not told:
            continue
        began = fact.ms if began is None else began
        first, *rest = told
        lines.append(f"{(fact.ms - began) / 1000:8.1f} s  {first}")
        lines += [f"{'':12}{line}" for line in rest]
    return lines


def said(fact: Fact) -> tuple[str, ...]:
    """A fact that was decided, or led to a decision, in words; the rest says nothing here."""
    match fact.body:
        case CallQueued(queue=queue, agent=agent, prefer=prefer, origins=origins) as queued:
            whom = f"for {agent} alone" if agent else f"in {queue}"
            told = [f"waits {whom}, with priority {queued.priority}"]
            if queued.place_of:
                old = (fact.ms - queued.first_joined_ms) // 1000
                told.append(f"on the place of visit {queued.place_of}, which is {old} s old")
            told += [f"by {who}: {what}" for who, what in origins]
            if prefer:
                alone = f", and alone for {queued.prefer_ms // 1000} s" if queued.prefer_ms else ""
                told.append(f"{prefer} is preferred{alone}")
            return tuple(told)
        case RoutingRelaxed(step=step, requirements=requirements, needs=needs, reason=reason):
            asks = needs or " and ".join(f"{skill}>={level}" for skill, level in requirements) or "nothing"
            return (f"routing step {step} asks for {asks}: {_spoken(reason)}",)
        case CallPrioritised(priority=priority, by=by):
            return (f"has the priority {priority} from now on: {by}",)
        case PreferenceEnded(agent=agent, reason=reason):
            return (f"waits for {agent} no more: {_spoken(reason)}",)
        case OfferMade(agent=agent, why=reasons) as made:
            explanation = explained(made)
            return (f"offered to {agent}", *(explanation.words() if explanation is not None else reasons))
        case OfferEnded(agent=agent, result=result, detail=detail):
            return (f"{agent}: {_spoken(result)}" + (f" ({detail})" if detail else ""),)
        case QueueLeft(queue=queue, outcome=outcome, reason=reason):
            return (f"left {queue or 'the line'}: {_spoken(outcome)}" + (f" ({_spoken(reason)})" if reason else ""),)
        case _:
            return ()


def _spoken(word: str) -> str:
    return word.replace("_", " ")
