"""Figures: what a monitoring system asks of the floor now, as plain values; it is rendered elsewhere."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

from callcenter import __version__
from callcenter.model.facts import utc
from callcenter.model.states import Direction, Intent, Work
from callcenter.operate.life import Life, Phase
from callcenter.operate.status import health, rows

if TYPE_CHECKING:
    from callcenter.acd.agents import AgentView
    from callcenter.acd.settings import QueueSettings
    from callcenter.app.house import House

_SIGNED_OUT, _NOT_READY, _UNREACHABLE, _READY = "signed_out", "not_ready", "unreachable", "ready"
_STATES = (_SIGNED_OUT, _NOT_READY, _UNREACHABLE, _READY, *(work.value for work in Work if work is not Work.IDLE))


async def figures(house: House, life: Life) -> dict[str, Any]:
    """Counts alone: no agent, no caller and no number is named.

    ``agents`` counts each once, as signed_out, not_ready, unreachable, ready (has nothing to do and may be rung), or by
    what they do. States and directions that nobody is in are told as 0: no alarm can be set on what is not there.
    """
    now, settings = house.edges.clock.now(), house.settings
    plan, views = house.acd.plan.queues, house.acd.agents()
    queues = await rows(plan.values(), len(plan), lambda queue: _queue(house, queue, now))
    agents = Counter(await rows(views, len(views), _at))
    certificates = keyring.current.shown if (keyring := house.edges.keyring) is not None else ()
    calls = Counter(str(call.direction) for call in house.supervisor.calls.values() if call.id not in
                    house.supervisor.aside)  # fmt: skip
    log, publisher, recordings = house.edges.storage.log, house.edges.publisher.status(), house.recordings.status
    return {
        "version": __version__,
        "node": settings.switch.node,
        "revision": settings.revision,
        "loaded_at": utc(house.loaded_at),
        "started_at": utc(house.started_at),
        "ready": health(house, life)["ready"],
        "draining": life.phase is Phase.DRAINING,
        "calls": {str(each): calls[each] for each in Direction},
        "callbacks": len(house.callbacks),
        "queues": queues,
        "agents": {state: agents[state] for state in _STATES},
        "trunks": [
            {"trunk": trunk.id, "up": trunk.up, "calls": trunk.calls, "max_calls": trunk.settings.max_calls}
            for trunk in house.trunks
        ],
        "mqtt": {"connected": publisher.connected, "waiting": publisher.waiting, "pops_sent": publisher.pops_sent},
        "database": {
            "healthy": log.healthy,
            "facts": log.last_seq,
            "waiting": log.waiting,
            "waiting_s": _waiting_for(house),
            "lost": log.lost,
        },
        "certificates": [
            {"file": str(shown.file), "self_made": shown.self_made, "ends_at": utc(shown.ends_at)}
            for shown in certificates
        ],
        "recordings": {
            "on": recordings.on,
            "recording": recordings.recording,
            "free": recordings.space.free if recordings.space is not None else None,
            "failures": recordings.failures,
        },
        "lag": house.lag.plain(),
    }


def _waiting_for(house: House) -> float:
    """For how long (s) a fact has been waiting to be written."""
    since = house.edges.storage.log.waiting_since
    return 0.0 if since is None else round(max(0.0, house.edges.clock.monotonic() - since / 1000), 3)


def _queue(house: House, queue: QueueSettings, now: datetime) -> dict[str, Any]:
    """A queue's line, and who is there for it."""
    status = house.queue_board.status(queue.id)
    longest = 0.0 if status.longest_since is None else (now - status.longest_since).total_seconds()
    return {
        "queue": queue.id,
        "client": queue.client,
        "waiting": status.waiting,
        "callbacks": status.callbacks,
        "longest_s": round(max(0.0, longest), 3),
        "ready": status.ready,
        "signed_in": status.signed_in,
        "threshold_s": round(queue.service_level_ms / 1000, 3),
        "service_level": status.today.service_level,
    }


def _at(view: AgentView) -> str:
    """What an agent is at, in a word."""
    if view.work is not Work.IDLE:
        return view.work.value
    if view.intent is Intent.SIGNED_OUT:
        return _SIGNED_OUT
    if view.intent is Intent.NOT_READY:
        return _NOT_READY
    return _READY if view.available else _UNREACHABLE
