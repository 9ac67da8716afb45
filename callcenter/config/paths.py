"""Where calls can go: every step of every flow, and whether a caller comes there at all, or only by pressing a key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from callcenter.calls.overflow import CONTINUE
from callcenter.config.explain import KeyPath
from callcenter.config.flows import Flow, Step
from callcenter.config.queues import OVERFLOW_KEYS, Overflow, Queue


class Reach(IntEnum):
    """How a caller comes to a step. ``SILENT``: also one who presses nothing."""

    NEVER = 0
    BY_KEY = 1
    SILENT = 2


@dataclass(frozen=True, slots=True)
class Stop:
    """A step, where it stands, and how a caller who is in its flow comes there."""

    path: KeyPath
    step: Step
    reach: Reach


@dataclass(frozen=True, slots=True)
class Onward:
    """A step that leads to another flow; ``path`` is where that flow is named."""

    path: KeyPath
    target: str
    reach: Reach


class Paths:
    """The steps of all flows as a map of ways."""

    def __init__(self, flows: Mapping[str, Flow], queues: Mapping[str, Queue]) -> None:
        self.stops: dict[str, list[Stop]] = {}
        self.unreached: list[KeyPath] = []
        """The first of the steps that stand behind an end."""
        self._flows = flows
        self._queues = queues
        self._back = dict.fromkeys(flows, Reach.NEVER)
        # What comes out of a flow depends on the flows that it runs: from "nobody does" upward until nothing changes.
        changed = True
        while changed:
            changed = False
            self.unreached = []
            for name, flow in flows.items():
                self.stops[name] = []
                back = self._walk(flow.steps, ("flows", name), Reach.SILENT, self.stops[name])
                changed = changed or back is not self._back[name]
                self._back[name] = back

    def onward(self, flow: str) -> Iterator[Onward]:
        """The flows that follow: run as a step, gone to, or named by a queue for whoever waits too long."""
        for stop in self.stops.get(flow, ()):
            step = stop.step
            if step.flow is not None:
                yield Onward((*stop.path, "flow"), step.flow, stop.reach)
            if step.goto is not None:
                yield Onward((*stop.path, "goto"), step.goto, stop.reach)
            if step.waiting is None or step.waiting[1].on_timeout:
                continue
            for path, overflow in self.overflows(step.waiting[1].to):
                if overflow.flow not in (None, CONTINUE):
                    yield Onward(path, overflow.flow or "", stop.reach)

    def overflows(self, queue: str) -> list[tuple[KeyPath, Overflow]]:
        """What may follow a queue in which nobody answers, and where that stands; also behind those it leads to."""
        found: dict[Overflow, KeyPath] = {}
        todo, seen = [queue], {queue}
        for name in todo:
            about = self._queues.get(name)
            for event in OVERFLOW_KEYS if about is not None else ():
                assert about is not None
                key, overflow = about.follows(event)
                found.setdefault(overflow, ("queues", name, key))
                if overflow.queue is not None and overflow.queue not in seen:
                    seen.add(overflow.queue)
                    todo.append(overflow.queue)
        return [(path, overflow) for overflow, path in found.items()]

    def round(self, start: str, goal: str) -> list[str] | None:
        """The shortest way from one flow to another that a caller goes without pressing a key."""
        ways, seen = [[start]], {start}
        while ways:
            way = ways.pop(0)
            if way[-1] == goal:
                return way
            for onward in self.onward(way[-1]):
                if onward.reach is Reach.SILENT and onward.target not in seen:
                    seen.add(onward.target)
                    ways.append([*way, onward.target])
        return None

    def _walk(self, steps: Sequence[Step], path: KeyPath, reach: Reach, stops: list[Stop]) -> Reach:
        """Note the steps; how a caller comes out behind the last one."""
        for at, step in enumerate(steps):
            here = (*path, at)
            stops.append(Stop(here, step, reach))
            before, reach = reach, self._behind(step, here, reach, stops)
            if before > reach is Reach.NEVER and not _is_end(steps[at + 1 :]):
                self.unreached.append((*path, at + 1))
        return reach

    def _behind(self, step: Step, here: KeyPath, reach: Reach, stops: list[Stop]) -> Reach:
        """How a caller comes out behind one step."""
        by_key = min(reach, Reach.BY_KEY)
        if step.hangup is not None or step.goto is not None:
            return Reach.NEVER
        if (callback := step.callback) is not None:
            # The call ends, or waits on in the queue where it was, if nothing else is said.
            if callback.otherwise is None:
                return Reach.NEVER
            return self._walk(callback.otherwise, (*here, "callback", "otherwise"), reach, stops)
        if step.flow is not None:
            return min(reach, self._back.get(step.flow, reach))
        if (menu := step.menu) is not None:
            self._walk(menu.otherwise, (*here, "menu", "otherwise"), reach, stops)
            return max(
                Reach.NEVER
                if choice.repeat
                else self._walk(choice.then, (*here, "menu", "choices", key, "then"), by_key, stops)
                for key, choice in menu.choices.items()
            )
        if (collect := step.collect) is not None:
            outs = [reach if collect.min == 0 else by_key]
            outs.append(self._walk(collect.not_found, (*here, "collect", "not_found"), by_key, stops))
            if collect.otherwise is not None:
                outs.append(self._walk(collect.otherwise, (*here, "collect", "otherwise"), reach, stops))
            return max(outs)
        if (branch := step.branch) is not None:
            outs = [Reach.NEVER if branch.cases[-1].otherwise is not None else reach]
            for at, case in enumerate(branch.cases):
                word, inner = ("then", case.then) if case.otherwise is None else ("otherwise", case.otherwise)
                outs.append(self._walk(inner, (*here, "branch", "cases", at, word), reach, stops))
            return max(outs)
        if (hours := step.hours) is not None:
            doors = {"open": hours.open, "closed": hours.closed}
            if hours.holiday is not None:
                doors["holiday"] = hours.holiday
            return max(self._walk(inner, (*here, "hours", door), reach, stops) for door, inner in doors.items())
        if step.waiting is not None:
            word, queue = step.waiting
            outs = [
                self._walk(inner, (*here, word, "keys", key), by_key, stops)
                for key, inner in (queue.keys or {}).items()
            ]
            ends = [overflow for _, overflow in self.overflows(queue.to)]
            if queue.on_timeout:
                outs.append(self._walk(queue.on_timeout, (*here, word, "on_timeout"), reach, stops))
            elif not ends or any(end.flow == CONTINUE or end.number is not None or end.callback for end in ends):
                outs.append(reach)
            return max(outs, default=Reach.NEVER)
        return reach


def _is_end(steps: Sequence[Step]) -> bool:
    """Nothing, or a hangup without a word: written for safety's sake, it may stand where nobody comes."""
    return all(step.hangup is not None and step.hangup.prompt is None for step in steps)
