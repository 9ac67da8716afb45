"""Snapshot: the retained states as they are published, and the fact that they stand at, for who follows from there.

What a fact changes of a state is told in the same moment as the fact. So whoever takes a snapshot and then the facts
behind its ``seq`` has every change once: none is missing, and none comes twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callcenter.control.protocol import Asked, Prepared
from callcenter.model.facts import utc
from callcenter.operate.written import written
from callcenter.publish.shown import Floor, shown

if TYPE_CHECKING:
    from callcenter.app.house import House

# States that are looked at before other work gets its turn, where not everybody sees all: a millisecond.
SLICE = 200


async def snapshot(house: House, asked: Asked) -> dict[str, Any]:
    """``states`` by topic, as of fact ``seq`` of boot ``boot``, which is in the database by then.

    Who does not see all companies gets what is of theirs.
    """
    asked.only()
    # In one moment; all that follows works on what was taken.
    states, seq, at = house.edges.publisher.states(), house.stream.seq, house.edges.clock.now()
    floor = Floor(
        {agent: house.acd.who(agent).clients for agent in house.acd.plan.agents},
        {queue.id: queue.client for queue in house.acd.plan.queues.values()},
    )
    # A number that a crash could give to another fact is told to nobody.
    await written(house, seq)
    if asked.actor.clients is not None:
        states = await _shown(states, floor, asked)
    return {"seq": seq, "boot": house.stream.boot, "at": utc(at), "states": Prepared(states)}


async def _shown(states: Mapping[str, bytes], floor: Floor, asked: Asked) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for number, (topic, data) in enumerate(states.items(), start=1):
        seen = shown(topic, data, asked.actor, floor)
        if seen is not None:
            found[topic] = seen
        if not number % SLICE:
            await asyncio.sleep(0)
    return found
