"""The public "call me" of a company's website or app: as the desk goes by it, and what must hold for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from callcenter.config.explain import KeyPath
from callcenter.config.problems import Code
from callcenter.config.settings import CallMe

if TYPE_CHECKING:
    from callcenter.config.things import Notes, Things


def call_me_settings(things: Things) -> Mapping[str, CallMe]:
    """By client, of those that have one."""
    return {
        name: CallMe(
            queue=written.queue,
            reasons=written.reasons,
            origins=written.origins,
            backend=written.confirm == "backend",
            delay=written.delay,
            hours=written.hours or "",
            per_address=written.per_address,
            per_number=written.per_number,
            per_hour=written.per_hour,
            per_day=written.per_day,
        )
        for name, client in things.clients.items()
        if (written := client.call_me) is not None
    }


def call_me(things: Things, notes: Notes) -> None:
    """Note what keeps a company from calling back whoever asks for it there."""
    for name, client in things.clients.items():
        if (written := client.call_me) is None:
            continue
        path: KeyPath = ("clients", name, "call_me")
        queue = things.queues.get(written.queue)
        if queue is not None and queue.client != name:
            message = f"who asks {name} to be called would stand in a queue of {queue.client}"
            notes.add(Code.OTHER_CLIENT, (*path, "queue"), message, f"name a queue of {name}")
        if client.outbound is None:
            message, hint = f"{name} cannot call anybody back: it has no `outbound`", "add `outbound` (see trunks.yaml)"
            notes.add(Code.MISSING, path, message, f"{hint}, or take `call_me` away", key=True)
        elif client.callbacks is not None and not client.callbacks.enabled:
            message = f"{name} calls nobody back, and `call_me` promises it"
            notes.add(Code.FORM, path, message, "take `callbacks: off` away, or `call_me`", key=True)
