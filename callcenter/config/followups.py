"""What must hold for follow-ups: those that are nobody's stand in a queue of the company itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from callcenter.config.explain import KeyPath
from callcenter.config.names import QueueName
from callcenter.config.problems import Code
from callcenter.config.shape import Positive, Shape, none_for

if TYPE_CHECKING:
    from callcenter.config.things import Notes, Things


class ClientFollowups(Shape):
    """When somebody is reminded of what a company's agents promised, and which queue has what is nobody's."""

    remind: Annotated[Positive | None, none_for("off")] = None
    overdue_after: Positive = 3_600.0
    queue: QueueName | None = None


def followups(things: Things, notes: Notes) -> None:
    """Note a queue of another company."""
    for name, client in things.clients.items():
        queue = things.queues.get(client.followups.queue or "")
        if queue is not None and queue.client != name:
            here: KeyPath = ("clients", name, "followups", "queue")
            message = f"follow-ups of {name} would stand in a queue of {queue.client}"
            notes.add(Code.OTHER_CLIENT, here, message, f"name a queue of {name}")
