"""What must hold for follow-ups: those that are nobody's stand in a queue of the company itself."""

from __future__ import annotations

from callcenter.config.explain import KeyPath
from callcenter.config.problems import Code
from callcenter.config.things import Notes, Things


def followups(things: Things, notes: Notes) -> None:
    """Note a queue of another company."""
    for name, client in things.clients.items():
        queue = things.queues.get(client.followups.queue or "")
        if queue is not None and queue.client != name:
            here: KeyPath = ("clients", name, "followups", "queue")
            message = f"follow-ups of {name} would stand in a queue of {queue.client}"
            notes.add(Code.OTHER_CLIENT, here, message, f"name a queue of {name}")
