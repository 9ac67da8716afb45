"""Rounds: queues whose callers overflow from one into the next and back, and routing steps that change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from callcenter.config.explain import KeyPath
from callcenter.config.problems import Code
from callcenter.config.queues import OVERFLOW_KEYS
from callcenter.config.skills import needs_of
from callcenter.config.things import Notes, Things


def rounds(things: Things, notes: Notes) -> None:
    """Note where callers would be handed round for ever. A queue that overflows into itself is noted elsewhere."""
    for name in things.queues:
        for path, other in _onward(things, name):
            way = _way(things, other, name) if other != name else None
            if way is not None:
                notes.add(
                    Code.ENDLESS,
                    (*path, "queue"),
                    f"callers whom nobody answers go round for ever: {' → '.join([name, *way])}",
                    "let one of these queues end in a flow",
                )


def _onward(things: Things, queue: str) -> Iterator[tuple[KeyPath, str]]:
    """The queues that a queue overflows into, and where that stands."""
    about = things.queues.get(queue)
    if about is not None:
        follows = dict(about.follows(event) for event in OVERFLOW_KEYS)
        yield from ((("queues", queue, key), each.queue) for key, each in follows.items() if each.queue is not None)


def _way(things: Things, start: str, goal: str) -> list[str] | None:
    """The shortest way from one queue to another by overflow alone."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        if way[-1] == goal:
            return way
        for _, other in _onward(things, way[-1]):
            if other not in seen:
                seen.add(other)
                ways.append([*way, other])
    return None


def routing_steps(things: Things, notes: Notes) -> None:
    """Note routing steps that change nothing."""
    for name, queue in things.queues.items():
        before = needs_of(queue.requirements)
        for at, step in enumerate(queue.routing):
            needs = needs_of(step.requirements)
            if needs == before:
                path: KeyPath = ("queues", name, "routing", at)
                notes.warn(Code.UNUSED, path, "this step asks the same as before", "take it away, or ask for less")
            before = needs
