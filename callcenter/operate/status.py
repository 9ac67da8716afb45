"""Status: the switch as it is now, as plain values; and whether it is healthy."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from callcenter import __version__
from callcenter.calls.quality import live
from callcenter.model.facts import utc
from callcenter.model.states import Work
from callcenter.operate.life import Life, Phase
from callcenter.rtp.codecs import CODECS

if TYPE_CHECKING:
    from callcenter.acd.agents import AgentView
    from callcenter.app.house import House
    from callcenter.calls.call import Call
    from callcenter.calls.callback_pending import Pending
    from callcenter.calls.supervision import Supervision
    from callcenter.signaling.trunks.trunk import Trunk

# More rows tell nobody more, and cost the loop its time: what is left out is counted.
MOST_CALLS = 1_000
MOST_AGENTS = 5_000
MOST_QUEUES = 2_000
MOST_BANS = 100
MOST_LEGS = 20
# From this score on most are satisfied (ITU-T G.107 Annex B, R = 80).
SATISFYING = 4.0
BEST = 4.5
# So many rows take a millisecond or two.
SLICE = 100

T = TypeVar("T")
R = TypeVar("R")


async def status(house: House, life: Life) -> dict[str, Any]:
    """Everything, for ``callcenter status``. Seconds as numbers, numbers of callers in full: the socket is private.

    On a large floor other work gets its turn in between: the parts may be a few milliseconds apart.
    """
    clock = house.edges.clock
    now, uptime = clock.monotonic(), (clock.now() - house.started_at).total_seconds()
    agents = house.acd.agents()
    elsewhere = (Work.WRAP_UP, Work.OUTBOUND)
    by_call = {view.call_id: view for view in agents if view.call_id and view.work not in elsewhere}
    aside = house.supervisor.aside
    calls = [call for call in house.supervisor.calls.values() if call.id not in aside]
    bad: list[dict[str, Any]] = []
    return {
        "version": __version__,
        "node": house.settings.switch.node,
        "pid": os.getpid(),
        "data": str(house.settings.switch.data),
        "phase": life.phase,
        "drain": drain(house, life),
        "started_at": utc(house.started_at),
        "uptime_s": round(uptime, 1),
        "config": {
            "revision": house.settings.revision,
            "folder": str(house.settings.folder),
            "loaded_at": utc(house.loaded_at),
            "by": house.loaded_by,
            "at_next_start": list(house.at_next_start),
        },
        "calls_up": len(calls),
        "calls": await rows(calls, MOST_CALLS, lambda call: _call(house, call, by_call.get(call.id), now, bad)),
        "supervisions": [_supervision(each, now) for each in house.supervisions],
        "callbacks_pending": len(house.callbacks),
        "callbacks": await rows(house.callbacks, MOST_CALLS, lambda each: _callback(each, clock.now())),
        "queues": await rows(house.acd.plan.queues, MOST_QUEUES, lambda name: _queue(house, name, now)),
        "agents": await rows(agents, MOST_AGENTS, lambda view: _agent(house, view, now, uptime)),
        "trunks": [_trunk(house, trunk) for trunk in house.trunks],
        "media": media(house),
        "sound": _worst(bad),
        "recordings": _recordings(house),
        "broker": _broker(house),
        "database": _database(house),
        "desk": _desk(house),
        "sip": _sip(house),
        "certificates": _certificates(house),
    }


def health(house: House, life: Life) -> dict[str, Any]:
    """Whether it lives (that it answers shows that its loop turns), and whether it should be given calls.

    ``why`` not is for operators, ``reasons`` are the same in a word, for whoever may ask.
    """
    why: dict[str, str] = {}
    if life.phase is not Phase.RUNNING:
        why[str(life.phase)] = str(life.phase)
    log = house.edges.storage.log
    if not log.healthy:
        why["database"] = f"the database fails, no agent is rung: {log.detail}"
    plane = house.edges.plane.status()
    if not plane.alive:
        why["media"] = "no media worker takes calls"
    if not house.user_agent.network.listeners:
        why["sip"] = "SIP listens nowhere"
    for trunk in house.trunks:
        if trunk.settings.required and trunk.up is False:
            why[f"trunk {trunk.id}"] = f"the trunk {trunk.id} is down, and required: {trunk.detail}"
    return {
        "live": True,
        "ready": not why,
        "draining": life.phase is Phase.DRAINING,
        "why": list(why.values()),
        "reasons": list(why),
        "calls": house.supervisor.lines,
        "drain": drain(house, life),
    }


def drain(house: House, life: Life) -> dict[str, Any] | None:
    """The drain that is under way."""
    if life.drain is None:
        return None
    passed = house.edges.clock.monotonic() - life.drain.since
    return {
        "by": life.drain.by,
        "since_s": round(passed, 1),
        "limit_s": life.drain.limit,
        "left_s": round(max(0.0, life.drain.limit - passed), 1),
        "empty": life.drain.empty,
        "then_end": life.drain.then_end,
    }


def _call(house: House, call: Call, agent: AgentView | None, now: float, bad: list[dict[str, Any]]) -> dict[str, Any]:
    """A call; those of its legs of which something is the matter are noted in ``bad``."""
    legs = sounds(call)
    bad += [{"call": call.id, **leg} for leg in legs if _one_way(leg) or _score(leg) < SATISFYING]
    return {
        "id": call.id,
        "from": call.from_number,
        "to": call.number.number,
        "client": call.client.id,
        "direction": call.direction,
        "stage": call.stage,
        "since_s": round(now - call.stage_since, 1),
        "up_s": round(now - call.since, 1),
        "agent": agent.id if agent is not None else None,
        "worker": house.edges.plane.worker_of(call.id),
        "srtp": call.caller.sound.secure or None,
        "mos": min((_score(leg) for leg in legs), default=BEST) if any(map(_judged, legs)) else None,
    }


def sounds(call: Call) -> list[dict[str, Any]]:
    """How each leg of a call has sounded so far."""
    legs = [live(call.caller.sound, "caller", call.agent, call.caller.leg.trunk)]
    if call.talk is not None:
        legs.append(live(call.talk.party.sound, "agent", call.talk.agent_id))
    if call.outside is not None:
        legs.append(live(call.outside.party.sound, "outside", trunk=call.outside.trunk))
    return [leg for leg in legs if leg is not None]


def _worst(legs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The worst legs first: what goes one way, then the lowest scores."""
    return sorted(legs, key=lambda leg: (not _one_way(leg), _score(leg)))[:MOST_LEGS]


def _one_way(leg: dict[str, Any]) -> bool:
    return bool(leg["one_way"] or leg["missing"])


def _judged(leg: dict[str, Any]) -> bool:
    return bool(leg["mos"] or leg["remote_mos"])


def _score(leg: dict[str, Any]) -> float:
    """The worse score of both ways; the best one of all where there is none yet."""
    return min(leg["mos"] or BEST, leg["remote_mos"] or BEST)


def _supervision(each: Supervision, now: float) -> dict[str, Any]:
    call = each.call
    return {
        "supervisor": each.supervisor.id,
        "agent": each.agent,
        "mode": each.mode_now or each.mode,
        "call": call.id if call is not None else None,
        "client": call.client.id if call is not None else None,
        "since_s": round(now - each.since, 1),
    }


def _callback(each: Pending, now: datetime) -> dict[str, Any]:
    value = each.value
    return {
        "id": value.id,
        "client": value.client,
        "queue": value.queue,
        "number": value.number,
        "since_s": round((now - value.first_joined_at).total_seconds(), 1),
        "attempts": value.attempts,
        "due_s": round(max(0.0, ((each.opens or value.due_at) - now).total_seconds()), 1),
        "source": str(value.source),
        "stage": each.state,
        "call": each.call.id if each.call is not None else None,
    }


def _queue(house: House, name: str, now: float) -> dict[str, Any]:
    queue = house.acd.plan.queues.get(name)
    waiting = house.acd.waiting(name)
    counts = house.queue_board.status(name)
    return {
        "queue": name,
        "client": queue.client if queue is not None else "",
        "waiting": len(waiting),
        "callbacks": counts.callbacks,
        "planned": house.callbacks.planned(name),
        "longest_s": round(now - min(ticket.first_joined for ticket in waiting), 1) if waiting else None,
        "ready": counts.ready,
        "signed_in": counts.signed_in,
        "talking": counts.talking,
        "agents": dict(counts.agents),
        "offered": counts.today.offered,
        "answered": counts.today.answered,
        "abandoned": counts.today.abandoned,
        "asa_s": None if counts.today.asa_ms is None else round(counts.today.asa_ms / 1000, 1),
        "service_level": counts.today.service_level,
    }


def _agent(house: House, view: AgentView, now: float, uptime: float) -> dict[str, Any]:
    settings = house.acd.plan.agents.get(view.id)
    bindings = house.registrar.bindings(view.id)
    return {
        "agent": view.id,
        "name": settings.name if settings is not None else "",
        "chosen": view.intent,
        "reason": view.reason,
        "forced": view.forced,
        "next": view.next if view.pending else None,
        "next_reason": view.next_reason if view.pending else "",
        "work": view.work,
        "device": view.device,
        "phone": ", ".join(str(binding.flow.remote) for binding in bindings) or None,
        "user_agent": bindings[0].user_agent if bindings else None,
        # Who has not moved since the start is as they are since then.
        "since_s": round(min(now - view.since, uptime), 1),
        "left_s": round(max(0.0, view.until - now), 1) if view.until is not None else None,
        "wrap_up": view.wrap_up if view.work is Work.WRAP_UP else None,
        "by": view.by or None,
        "break_left_s": round(max(0.0, view.break_until - now), 1) if view.break_until is not None else None,
        "break_over": view.overrun,
        "skills": dict(house.acd.who(view.id).skills) if settings is not None else {},
        "clients": sorted(house.acd.who(view.id).clients) if settings is not None else [],
        "queues": _queues_of(house, view.id) if settings is not None else None,
        "changed_by": change.by if (change := house.acd.change(view.id)) is not None else None,
        "available": view.available,
        "call": view.call_id or None,
    }


def _queues_of(house: House, agent: str) -> list[str] | None:
    """The queues that an agent is kept to; None: all of his clients."""
    queues = house.acd.who(agent).queues
    return sorted(queues) if queues is not None else None


def _trunk(house: House, trunk: Trunk) -> dict[str, Any]:
    counts = trunk.counts
    return {
        "trunk": trunk.id,
        "up": trunk.up,
        "detail": trunk.detail,
        "since": utc(trunk.since),
        "calls": trunk.calls,
        "max_calls": trunk.settings.max_calls,
        "registers": trunk.settings.register is not None,
        "registered_here": [str(binding.flow.remote) for binding in trunk.bindings],
        "received": counts.received,
        "refused": counts.refused,
        "tried": counts.tried,
        "answered": counts.answered,
        "failed": counts.failed,
        "sounds_bad": bad.detail if (bad := house.quality.bad.get(trunk.id)) is not None else None,
        "addresses": [
            {"address": str(hop), "alive": state.alive, "detail": state.detail} for hop, state in trunk.hops.items()
        ],
    }


def media(house: House) -> dict[str, Any]:
    """The workers that carry sound."""
    plane = house.edges.plane.status()
    return {
        "sessions": plane.sessions,
        "capacity": plane.capacity,
        "codecs": [name for name in house.settings.media.codecs if not CODECS[name].missing],
        "codecs_left_out": {name: CODECS[name].missing for name in house.settings.media.codecs if CODECS[name].missing},
        "workers": [
            {
                "worker": worker.index,
                "pid": worker.pid,
                "alive": worker.alive,
                "load": worker.load,
                "sessions": worker.sessions,
                "capacity": worker.capacity,
                "restarts": worker.restarts,
                "late_ms": worker.late_ms,
                "worst_late_ms": worker.worst_late_ms,
                "draining": worker.draining,
                "retiring": worker.retiring,
                "memory": worker.memory,
                "age_s": worker.age,
            }
            for worker in plane.workers
        ],
    }


def _recordings(house: House) -> dict[str, Any]:
    state, settings = house.recordings.status, house.services.settings.recording
    space, failure = state.space, state.last_failure
    return {
        "on": state.on,
        "recording": state.recording,
        "paused": state.paused,
        "directory": str(settings.directory),
        "key": house.recordings.key_id or None,
        "enough": state.enough,
        "detail": state.detail,
        "free": space.free if space is not None else None,
        "total": space.total if space is not None else None,
        "wanted": state.wanted,
        "failures": state.failures,
        "last_failure": None
        if failure is None
        else {"at": utc(failure.at), "call": failure.call, "reason": failure.reason, "detail": failure.detail},
    }


def _broker(house: House) -> dict[str, Any]:
    state = house.edges.publisher.status()
    return {
        "connected": state.connected,
        "detail": state.detail,
        "waiting": state.waiting,
        "pops_sent": state.pops_sent,
        "pops_waiting": state.pops_waiting,
    }


def _database(house: House) -> dict[str, Any]:
    log = house.edges.storage.log
    return {
        "healthy": log.healthy,
        "detail": log.detail,
        "path": str(house.settings.storage.path),
        "facts": log.last_seq,
        "waiting": log.waiting,
        "lost": log.lost,
    }


def _desk(house: House) -> dict[str, Any] | None:
    """The process that serves people and programs; None: it is not ours to run."""
    desk = house.desk_process
    if desk is None:
        return None
    return {"running": desk.running, "detail": desk.detail, "url": desk.url, "pid": desk.pid, "starts": desk.starts}


def _sip(house: House) -> dict[str, Any]:
    state = house.endpoint.status()
    return {
        "listeners": [str(listener) for listener in house.user_agent.network.listeners],
        "registrations": sum(len(house.registrar.bindings(agent)) for agent in house.acd.plan.agents),
        "transactions": state.transactions,
        "dialogs": state.dialogs,
        "sessions": state.sessions,
        "connections": len(house.user_agent.connections),
        "repeated_by_us": sum(house.endpoint.metrics.repeated_by_us.values()),
        "repeated_by_peers": sum(house.endpoint.metrics.repeated_by_peers.values()),
        "unreadable": sum(house.endpoint.metrics.unreadable.values()),
        "guard": {
            "over_rate": house.guard.counts.over_rate,
            "banned": house.guard.counts.banned,
            "bans": list(house.guard.bans[:MOST_BANS]),
            "bans_now": len(house.guard.bans),
        },
    }


def _certificates(house: House) -> list[dict[str, Any]]:
    """What we show by TLS; nothing where it is not listened for."""
    keyring, now = house.edges.keyring, house.edges.clock.now()
    return [
        {
            "file": str(shown.file),
            "subject": shown.subject,
            "names": list(shown.names),
            "sha256": shown.sha256,
            "self_made": shown.self_made,
            "until": utc(shown.ends_at),
            "days_left": shown.days_left(now),
            "due": shown.is_due(now),
        }
        for shown in (keyring.current.shown if keyring is not None else ())
    ]


def media_metrics(house: House) -> dict[str, Any]:
    """What is counted of sound since the start, by trunk, and how the workers are."""
    return {
        "quality": house.quality.plain(),
        "sounds_bad": sorted(house.quality.bad),
        "trunks": [trunk.id for trunk in house.trunks],
        **media(house),
    }


def sip_metrics(house: House) -> dict[str, Any]:
    """Everything that is counted of SIP since the start, and what is there now."""
    state, counts = house.endpoint.status(), house.guard.counts
    return {
        **house.endpoint.metrics.plain(),
        "guard": {
            "over_rate": counts.over_rate,
            "banned": counts.banned,
            "refused": counts.refused,
            "bans": counts.bans,
            "bans_now": len(house.guard.bans),
            "sources": len(house.guard),
        },
        "now": {
            "transactions": state.transactions,
            "dialogs": state.dialogs,
            "sessions": state.sessions,
            "connections": len(house.user_agent.connections),
            "registrations": sum(len(house.registrar.bindings(agent)) for agent in house.acd.plan.agents),
            "traced_messages": 0 if house.tracer is None else len(house.tracer),
        },
    }


async def rows(things: Iterable[T], most: int, row: Callable[[T], R]) -> list[R]:
    """What ``row`` makes of each, of ``most`` at most; other work gets its turn in between."""
    made = []
    for number, thing in enumerate(list(things)[:most], start=1):
        made.append(row(thing))
        if not number % SLICE:
            await asyncio.sleep(0)
    return made
