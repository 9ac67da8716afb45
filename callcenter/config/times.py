"""Times: at which hours of a week calls can come to a queue, held against the hours at which it is open.

A set of minutes of the week is one large number, a bit for each, from Monday 00:00 on. Holidays are left out: what is
said here is of days that are like the week. Agents have no hours in the configuration: who will be there at three in
the night nobody can tell from it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from callcenter.calls.hours import DAY_MINUTES, Door
from callcenter.config import calendar
from callcenter.config.explain import KeyPath
from callcenter.config.flows import Flow, Step
from callcenter.config.hours import Hours
from callcenter.config.paths import Paths, Stop
from callcenter.config.problems import Code
from callcenter.config.queues import OVERFLOW_KEYS
from callcenter.config.things import Notes, Things

WEEK = 7 * DAY_MINUTES
ALWAYS = (1 << WEEK) - 1


def times(things: Things, paths: Paths, notes: Notes) -> None:
    """Note queues that are closed whenever somebody comes, and doors that are open before a queue that is closed."""
    _Times(things, paths, notes).look()


def minutes(hours: Hours) -> int:
    """When these hours are open in a week."""
    found = 0
    for line, spans in hours.open.items():
        for day in calendar.days(line):
            for span in map(calendar.interval, spans):
                start, length = day * DAY_MINUTES + span.start, span.end - span.start
                bits = ((1 << length) - 1) << start
                found |= (bits & ALWAYS) | bits >> WEEK  # behind Sunday's midnight is Monday
    return found


def told(minutes: int) -> str:
    """The first stretch of a set of minutes, as the configuration writes it: ``sat 17:00-20:00``."""
    start = (minutes & -minutes).bit_length() - 1
    stretch = minutes >> start
    end = start + ((stretch + 1) & -(stretch + 1)).bit_length() - 1
    day, begin = divmod(start, DAY_MINUTES)
    end = min(end - day * DAY_MINUTES, DAY_MINUTES)
    return f"{calendar.DAYS[day]} {begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}"


class _Times:
    def __init__(self, things: Things, paths: Paths, notes: Notes) -> None:
        self._things = things
        self._paths = paths
        self._notes = notes
        self._open = {name: minutes(hours) for name, hours in things.hours.items()}
        self._flows = self._when()

    def look(self) -> None:
        """Note what is found."""
        comes: dict[str, int] = defaultdict(int)
        for flow, stops in self._paths.stops.items():
            for stop in stops:
                if stop.step.waiting is not None:
                    comes[stop.step.waiting[1].to] |= self._flows[flow] & self._doors(stop.path)
                    self._door(stop)
        for queue in self._things.queues.values():
            for event in OVERFLOW_KEYS:
                comes[queue.follows(event)[1].queue or ""] |= ALWAYS
        for name, queue in self._things.queues.items():
            if queue.extension is not None:
                continue  # agents bring callers at any time
            hours = self._open.get(queue.hours or "")
            if hours is not None and comes[name] and not hours & comes[name]:
                self._notes.warn(
                    Code.HOURS,
                    ("queues", name, "hours"),
                    f"nobody is ever served here: calls come when it is closed, e.g. {told(comes[name])}",
                    "look at the hours of the flows that lead here",
                )

    def _when(self) -> dict[str, int]:
        """When calls can come to each flow, at the most."""
        found = dict.fromkeys(self._things.flows, 0)
        todo = [(number.flow, ALWAYS) for number in self._things.numbers.values()]
        while todo:
            flow, when = todo.pop()
            if flow not in found or not when & ~found[flow]:
                continue
            found[flow] |= when
            for onward in self._paths.onward(flow):
                inside = onward.path[:2] == ("flows", flow)
                doors = self._doors(onward.path) if inside else ALWAYS  # of a queue's overflow we know no more
                todo.append((onward.target, found[flow] & doors))
        return found

    def _doors(self, path: KeyPath) -> int:
        """When somebody who is in the flow can come to a step there, at the most: by the doors of hours before it."""
        when = ALWAYS
        for hours, door in _passed(self._things.flows, path):
            known = self._open.get(hours)
            if known is not None and door is Door.OPEN:
                when &= known
            elif known is not None and door is Door.CLOSED:
                when &= ALWAYS ^ known
        return when

    def _door(self, stop: Stop) -> None:
        """A door says that it is open, and leads to a queue that is not."""
        assert stop.step.waiting is not None
        word, step = stop.step.waiting
        queue = self._things.queues.get(step.to)
        passed = [hours for hours, door in _passed(self._things.flows, stop.path) if door is Door.OPEN]
        if queue is None or not passed or queue.hours is None or queue.on_closed is not None:
            return
        door, own = self._open.get(passed[-1]), self._open.get(queue.hours)
        if door is not None and own is not None and passed[-1] != queue.hours and (vain := door & ~own):
            self._notes.warn(
                Code.HOURS,
                (*stop.path, word),
                f"`{passed[-1]}` is open {told(vain)}, and the queue {step.to} (`{queue.hours}`) is closed then",
                "give both the same hours, or say by `on_closed` at the queue what callers hear",
            )


def _passed(flows: dict[str, Flow], path: KeyPath) -> Iterator[tuple[str, Door]]:
    """The doors of hours on the way to a step. On the way of ``holiday`` there is no day of the week."""
    if path[:1] != ("flows",) or len(path) < 3:
        return
    steps: Sequence[Step] = flows[str(path[1])].steps
    at = 2
    while at < len(path) and isinstance(path[at], int):
        step, rest = steps[int(path[at])], path[at + 1 :]
        match rest:
            case ("hours", "open" | "closed" | "holiday" as door, int(), *_) if step.hours is not None:
                if door != "holiday":
                    yield step.hours.name, Door(door)
                steps, at = getattr(step.hours, door) or (), at + 3
            case ("menu", "otherwise", int(), *_) if step.menu is not None:
                steps, at = step.menu.otherwise, at + 3
            case ("menu", "choices", str(key), "then", int(), *_) if step.menu is not None:
                steps, at = step.menu.choices[key].then, at + 5
            case ("collect", "not_found" | "otherwise" as word, int(), *_) if step.collect is not None:
                steps, at = getattr(step.collect, word) or (), at + 3
            case ("branch", "cases", int(case), "then" | "otherwise" as word, int(), *_) if step.branch is not None:
                steps, at = getattr(step.branch.cases[case], word) or (), at + 5
            case ("queue" | "transfer", "on_timeout", int(), *_) if step.waiting is not None:
                steps, at = step.waiting[1].on_timeout, at + 3
            case ("queue" | "transfer", "keys", str(key), int(), *_) if step.waiting is not None:
                steps, at = (step.waiting[1].keys or {})[key], at + 4
            case _:
                return
