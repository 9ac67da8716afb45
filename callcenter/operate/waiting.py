"""Waiting: the callers of one queue, in their order, each with where they stand and what they are offered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from callcenter.calls.order_reading import near
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.model.customer import Match

if TYPE_CHECKING:
    from callcenter.app.house import House
    from callcenter.calls.call import Call

# Longer queues are counted: nobody reads so many lines, and each costs the loop its time.
MOST_WAITING = 500


async def waiting(house: House, asked: Asked) -> dict[str, Any]:
    """Who waits in ``queue``, in order, at most MOST_WAITING of ``waiting``. Seconds as numbers."""
    asked.only("queue")
    name = asked.fields.get("queue")
    queue = house.acd.plan.queues.get(name) if isinstance(name, str) else None
    if queue is None or not asked.actor.sees(queue.client):
        seen = [each.id for each in house.acd.plan.queues.values() if asked.actor.sees(each.client)]
        raise CommandError(f"no queue is named `{name}`{near(str(name), seen)}", Reason.NOT_FOUND, field="queue")
    tickets, now = house.acd.waiting(queue.id), house.edges.clock.monotonic()
    rows = []
    for ticket in tickets[:MOST_WAITING]:
        call = house.supervisor.calls.get(ticket.call_id)
        rows.append(
            {
                "call": ticket.call_id,
                "client": ticket.client,
                "position": ticket.position,
                "priority": ticket.priority,
                "from": call.from_number if call is not None else "",
                "customer": customer_of(call) if call is not None else "",
                "waited_s": round(now - ticket.joined, 1),
                "in_line_s": round(now - ticket.first_joined, 1),
                "offered_to": list(ticket.ringing),
                "preferred": ticket.preferred,
                "only": ticket.only,
                "step": ticket.step,
                "tries": ticket.tries,
                "callback": ticket.callback,
            }
        )
    return {"queue": queue.id, "client": queue.client, "waiting": len(tickets), "callers": rows}


def customer_of(call: Call) -> str:
    """The id of who is surely calling; empty for anybody else: a maybe is never shown as sure."""
    known = call.known
    return known.customers[0].id if known.match is Match.SURE and known.customers else ""
