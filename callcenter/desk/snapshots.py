"""Snapshots: the retained states as of a fact, asked of the switch once for all who want them at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from callcenter.model.access import Actor
from callcenter.publish.shown import Floor, Seen, seen, without_call


@dataclass(frozen=True, slots=True)
class Snapshot:
    """``states`` by topic, as of fact ``seq`` of boot ``boot``."""

    seq: int
    boot: str
    at: str
    states: Mapping[str, Mapping[str, Any]]

    def of(self, actor: Actor, floor: Floor) -> Snapshot:
        """As ``actor`` sees it."""
        states: dict[str, Mapping[str, Any]] = {}
        for topic, state in self.states.items():
            match seen(topic, actor, floor):
                case Seen.ALL:
                    states[topic] = state
                case Seen.WITHOUT_CALL:
                    states[topic] = without_call(state)
                case Seen.NOTHING:
                    pass
        return Snapshot(self.seq, self.boot, self.at, states)


class Snapshots:
    """``ask`` gives the switch's answer. Nobody is given a snapshot that was taken before they asked."""

    def __init__(self, ask: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        self._ask = ask
        self._under_way: asyncio.Task[Snapshot] | None = None
        self._next: asyncio.Task[Snapshot] | None = None

    async def take(self) -> Snapshot:
        """A snapshot of now. Raises what asking the switch raises."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._take(self._under_way))
        # Whoever goes away does not take it from the others.
        return await asyncio.shield(self._next)

    async def _take(self, before: asyncio.Task[Snapshot] | None) -> Snapshot:
        if before is not None and not before.done():
            await asyncio.wait({before})
        # Whoever asks from here on might get what is older than their question.
        self._under_way, self._next = self._next, None
        told = await self._ask()
        return Snapshot(told["seq"], told["boot"], told["at"], told["states"])
