"""Changes: what differs between two configurations, in the words of their files, and what it means for who is there."""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from callcenter.acd.agents import OFFERED, ON_THE_PHONE
from callcenter.acd.core import Acd
from callcenter.acd.matching import score
from callcenter.acd.settings import AgentSettings, QueueSettings
from callcenter.calls.call import Call
from callcenter.calls.hours import Door, look
from callcenter.config.explain import dotted
from callcenter.config.problems import many
from callcenter.config.settings import Settings
from callcenter.model.states import Intent, Work

Path = tuple[str | int, ...]

# A value that is longer says less than that it changed.
LONGEST_VALUE = 40
# Lines of one reload; of a configuration that is another altogether nobody reads them all.
MOST_CHANGES = 500
# What agents' own passwords are made of: that they changed is enough.
HASHES = frozenset({"sip_md5", "sip_sha256", "mqtt", "desk"})

# What is in force only from the next start on; the rest is from the next call on.
AT_NEXT_START: tuple[str, ...] = ("switch", "sip", "media", "mqtt", "customers", "recordings", "desk")
AT_ONCE: tuple[Path, ...] = (
    ("switch", "drain_limit"),
    ("switch", "reload"),
    ("sip", "max_calls"),
    ("sip", "tls"),
    ("mqtt", "pop_wait"),
    ("mqtt", "monitor"),
    ("recordings", "retention"),
    ("recordings", "least_free"),
    ("recordings", "announcement"),
    ("desk", "public_url"),
    ("desk", "cors"),
    ("desk", "rate"),
    ("desk", "session"),
    ("desk", "users"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: ``sign`` is ``~``, ``+`` or ``-``. ``note`` is what it means for calls and agents there are now;
    ``waits``: it takes effect at the next start only.
    """

    sign: str
    path: str
    before: str = ""
    after: str = ""
    note: str = ""
    waits: bool = False

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return dataclasses.asdict(self)


def changes(
    old: Settings, new: Settings, acd: Acd, calls: Sequence[Call], now: float, wall: datetime | None = None
) -> list[Change]:
    """What a reload from ``old`` to ``new`` changes, in the order of the files' sections.

    ``now`` is on the clock of the ACD, ``wall`` the time of day: without it nothing is said of opening hours.
    """
    found, floor = [], Floor(acd, calls, now, wall)
    for path, before, after in differences(old.written, new.written):
        sign = "~"
        if len(path) == 2 and (before is None or after is None) and not waits(path) and path[0] not in _SINGLE:
            sign = "+" if before is None else "-"
        shown = ("", "") if sign != "~" else _values(path, before, after)
        found.append(Change(sign, dotted(path), *shown, _note(path, old, new, floor), waits(path)))
    return found[:MOST_CHANGES]


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """The paths whose values differ, with both; None where there is none."""
    if old == new:
        return
    if len(path) <= 1:
        # A section that is not there is as one that is empty.
        old, new = ({} if old is None and isinstance(new, Mapping) else old,
                    {} if new is None and isinstance(old, Mapping) else new)  # fmt: skip
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from differences(old.get(key), new.get(key), (*path, key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for at, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differences(before, after, (*path, at))
    else:
        yield path, old, new


def waits(path: Path) -> bool:
    """Whether a change there takes effect only at the next start."""
    return path[0] in AT_NEXT_START and not any(path[: len(known)] == known for known in AT_ONCE)


def in_force(old: Settings, new: Settings) -> Settings:
    """``new``, but with what cannot change while the switch runs as it is."""
    written = copy.deepcopy(dict(new.written))
    for path, before, _ in differences(old.written, new.written):
        if waits(path):
            _put(written, path, before)
    return dataclasses.replace(
        new,
        switch=dataclasses.replace(old.switch, drain_limit=new.switch.drain_limit, reload=new.switch.reload),
        sip=dataclasses.replace(old.sip, tls=new.sip.tls),
        media=old.media,
        mqtt=dataclasses.replace(old.mqtt, monitor=new.mqtt.monitor),
        storage=old.storage,
        calls=dataclasses.replace(
            new.calls,
            recording=dataclasses.replace(
                new.calls.recording,
                directory=old.calls.recording.directory,
                encoding=old.calls.recording.encoding,
                key=old.calls.recording.key,
            ),
        ),
        customers=old.customers,
        desk=dataclasses.replace(new.desk, enabled=old.desk.enabled, host=old.desk.host, port=old.desk.port),
        written=written,
    )


# Sections that are one thing each: what is missing in them has its default, and is not gone.
_SINGLE = frozenset({"switch", "sip", "media", "mqtt", "acd", "calls", "speech", "customers", "recordings", "desk"})


def _put(tree: dict[str, Any], path: Path, value: Any) -> None:
    node: Any = tree
    for step in path[:-1]:
        if isinstance(node, dict) and node.get(str(step)) is None:
            node[str(step)] = {}
        node = node[step]
    if value is None and isinstance(node, dict):
        node.pop(path[-1], None)
    else:
        node[path[-1]] = value


def _values(path: Path, before: Any, after: Any) -> tuple[str, str]:
    if len(path) > 2 and path[-1] in HASHES and path[0] in ("agents", "supervisors", "trunks", "desk"):
        return _there(before), _there(after)
    shown = _shown(before), _shown(after)
    if max(map(len, shown)) > LONGEST_VALUE:
        return (_size(before), _size(after)) if _size(before) != _size(after) else ("", "changed")
    return shown


def _shown(value: Any) -> str:
    if value is None:
        return "(default)"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False).replace('"', "")


def _there(value: Any) -> str:
    return "(none)" if value is None else "(hash)"


def _size(value: Any) -> str:
    if isinstance(value, list):
        return many(len(value), "item")
    if isinstance(value, dict):
        return many(len(value), "key")
    return "(default)" if value is None else "text"


# What it means for who is there now


@dataclass(frozen=True, slots=True)
class Floor:
    """Who is there now, of whom a change may mean something."""

    acd: Acd
    calls: Sequence[Call]
    now: float
    wall: datetime | None


def _note(path: Path, old: Settings, new: Settings, floor: Floor) -> str:
    acd, calls = floor.acd, floor.calls
    match path:
        case ("queues", str(name)) if name not in new.plan.queues:
            gone, to = len(acd.waiting(name)), new.plan.renamed.get(name)
            goes = f"{_go(gone)} on behind the queue at once" if to is None else f"to {to}, each on the same place"
            return f"{_callers(gone)} waiting now: {goes}" if gone else ""
        case ("queues", str(name), "max_wait"):
            return _overdue([name], old, new, acd, floor.now)
        case ("queues", str(name), "requirements" | "routing", *_):
            return _asked(name, new, acd)
        case ("queues", str(name), "max_waiting"):
            waiting, most = len(acd.waiting(name)), new.plan.queues[name].max_waiting
            return f"{_callers(waiting)} waiting now: all keep their places" if waiting > most else ""
        case ("acd", "max_wait"):
            return _overdue(list(new.plan.queues), old, new, acd, floor.now)
        case ("agents", str(name)) if name not in new.plan.agents:
            return _dismissed(name, acd)
        case ("agents", str(name), "skills" | "clients" | "queues" as what, *_) if name in old.plan.agents:
            return _changed_live(name, what, acd) or _reskilled(name, old, new, acd)
        case ("clients", str(client)) if client not in new.calls.clients:
            return _untouched([call for call in calls if call.client.id == client], "of this company")
        case ("clients", str(client), "share", *_):
            return _shared(client, acd)
        case ("hours", str(name), *_):
            return _opened(name, old, new, floor.wall)
        case ("numbers", str(number), *_):
            return _untouched([call for call in calls if call.number.number == number], "to this number")
        case ("trunks", str(trunk), *_):
            return _untouched([call for call in calls if trunk in _trunks_of(call)], "by this trunk")
        case ("flows", str(flow), *_):
            return _untouched([call for call in calls if call.number.flow == flow], "in this flow")
        case _:
            return ""


def _asked(name: str, new: Settings, acd: Acd) -> str:
    """What it means that a queue asks something else of agents, for those who wait there."""
    waiting, queue = len(acd.waiting(name)), new.plan.queues.get(name)
    if not waiting or queue is None:
        return ""
    able = [agent for agent in new.plan.agents.values() if _serves(agent, queue)]
    here = [agent for agent in able if (view := acd.agent(agent.id)) and view.intent is not Intent.SIGNED_OUT]
    told = f"{_callers(waiting)} waiting now: asked at once"
    if not here:
        return f"{told}, and nobody who is signed in can take them"
    return f"{told}, of {many(len(here), 'agent')} who {'is' if len(here) == 1 else 'are'} signed in"


def _reskilled(name: str, old: Settings, new: Settings, acd: Acd) -> str:
    """Which queues' callers come to an agent no more, or newly."""
    view = acd.agent(name)
    if view is None or view.intent is Intent.SIGNED_OUT:
        return ""
    before = {queue.id for queue in old.plan.queues.values() if _serves(old.plan.agents[name], queue)}
    after = {queue.id for queue in new.plan.queues.values() if _serves(new.plan.agents[name], queue)}
    lost = sorted(queue for queue in before - after if queue in new.plan.queues)
    gained = sorted(queue for queue in after - before if queue in old.plan.queues)
    parts = [f"no more callers of {_listed(lost)}"] if lost else []
    parts += [f"callers of {_listed(gained)} too"] if gained else []
    if not after:
        parts = ["no callers at all any more"]
    state = "talks now, and that goes on" if view.work in ON_THE_PHONE else "signed in now"
    return f"{state}: {', '.join(parts)}" if parts else ""


def _serves(agent: AgentSettings, queue: QueueSettings) -> bool:
    """Whether callers of a queue can come to an agent, now or when they have waited."""
    asked = [queue.requirements, *(() if step.needs is None else (step.needs,) for step in queue.steps)]
    return any(score(agent, queue.client, queue.id, needs) is not None for needs in asked)


def _shared(client: str, acd: Acd) -> str:
    waiting = sum(len(acd.waiting(queue.id)) for queue in acd.plan.queues.values() if queue.client == client)
    mine = {queue.id for queue in acd.plan.queues.values() if queue.client == client}
    busy = sum(view.queue in mine for view in acd.agents())
    if not waiting and not busy:
        return ""
    return f"{_callers(waiting)} waiting now, {many(busy, 'agent')} at work for it: from the next decision on"


def _opened(name: str, old: Settings, new: Settings, wall: datetime | None) -> str:
    """Whether hours open or close by the change, now."""
    before, after = old.calls.hours.get(name), new.calls.hours.get(name)
    if wall is None or before is None or after is None:
        return ""
    zones = {client.zone for client in new.calls.clients.values() if client.zone is not None} or {ZoneInfo("UTC")}
    turns = {(look(before, zone, wall).door is Door.OPEN, look(after, zone, wall).door is Door.OPEN) for zone in zones}
    if (True, False) in turns:
        return "open now: closed by this"
    return "closed now: open by this" if (False, True) in turns else ""


def _overdue(names: Sequence[str], old: Settings, new: Settings, acd: Acd, now: float) -> str:
    """How many wait where the longest wait changes, and how many of them have waited longer already."""
    waiting = over = 0
    for name in names:
        before, after = old.plan.queues.get(name), new.plan.queues.get(name)
        if before is None or after is None or before.max_wait == after.max_wait:
            continue
        for ticket in acd.waiting(name):
            waiting += 1
            agent = acd.agent(ticket.agent) if ticket.agent else None
            answered = agent is not None and agent.work in ON_THE_PHONE
            over += after.max_wait is not None and now - ticket.joined >= after.max_wait and not answered
    if not waiting:
        return ""
    told = f"{_callers(waiting)} waiting now"
    if not over:
        return f"{told}: none has waited longer"
    verbs = ("has", "overflows") if over == 1 else ("have", "overflow")
    return f"{told}: {over} {verbs[0]} waited longer and {verbs[1]} at once"


def _dismissed(name: str, acd: Acd) -> str:
    view = acd.agent(name)
    if view is None:
        return ""
    if view.work in OFFERED:
        return "a call rings there now: its caller goes back to the old place in line"
    if view.work in ON_THE_PHONE or view.work is Work.OUTBOUND:
        return "talks now: the call goes on, then signed out"
    return "in wrap-up now: signed out when it ends" if view.work is Work.WRAP_UP else ""


def _changed_live(name: str, what: str, acd: Acd) -> str:
    """That a change which was made at run time outlives what the files say now."""
    change = acd.change(name)
    if change is None or what not in change.changed:
        return ""
    return f"changed by {change.by} at run time: that stays until `callcenter agent {name} --reset`"


def _trunks_of(call: Call) -> tuple[str, str]:
    """By which trunk a call came, and by which it goes out; empty where it is none."""
    return call.caller.leg.trunk, call.outside.trunk if call.outside is not None else ""


def _untouched(calls: Sequence[Call], where: str) -> str:
    return f"{many(len(calls), 'call')} {where} now: as they began" if calls else ""


def _callers(number: int) -> str:
    return many(number, "caller")


def _listed(words: Sequence[str], most: int = 3) -> str:
    """The first of the words, and how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more


def _go(number: int) -> str:
    return "goes" if number == 1 else "go"
