"""What the last run left: calls whose books are open, and callers whose place in line is kept."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from callcenter.calls.books import Books, closing_facts
from callcenter.calls.facts import FactStream
from callcenter.calls.line import LONGEST_KEPT, Places, came_to_nothing
from callcenter.model.facts import QueueLeft
from callcenter.runtime.clock import Clock
from callcenter.storage.store import Storage

# Facts of one call: a caller who presses keys all day makes no more than this before a restart closes the books.
MAX_FACTS_OF_A_CALL = 10_000
# What is read at the start, of the last minutes before, to find whose place in line is kept: some tenths of a second.
MAX_FACTS_BEFORE_THE_END = 10_000
MAX_CALLS_BEFORE_THE_END = 500


async def close_books(
    storage: Storage, stream: FactStream, books: Books, places: Places, clock: Clock, keep_for: float
) -> None:
    """Tell the end of calls that a crash has cut. Places in line are kept for ``keep_for`` seconds at most.

    Raises StorageError.
    """
    unfinished = await storage.interactions.unfinished()
    down_for = await _keep_places(storage, places, clock, keep_for, unfinished)
    for call_id in unfinished:
        facts = await storage.log.read(0, MAX_FACTS_OF_A_CALL, call_id)
        books.take_up(facts)
        if down_for <= LONGEST_KEPT:
            places.take_up(facts, down_for)
        alive = await storage.log.last_ms(facts[0].boot)
        for draft in closing_facts(facts, alive):
            stream.append(draft.body, draft.call_id)


async def _keep_places(
    storage: Storage, places: Places, clock: Clock, keep_for: float, unfinished: Collection[str]
) -> float:
    """Let who hung up or was cut off just before the end of the last run come back to the place in line.

    Returns how long that end is ago, in seconds.
    """
    log, end = storage.log, await storage.log.last_at()
    if end is None:
        return 0.0
    down_for = max(0.0, (clock.now() - end).total_seconds())
    if not keep_for or down_for > LONGEST_KEPT:
        return down_for
    left = await log.since(end - timedelta(seconds=keep_for), QueueLeft, MAX_FACTS_BEFORE_THE_END)
    gone = dict.fromkeys(fact.call_id for fact in left if came_to_nothing(fact) and fact.call_id not in unfinished)
    for call_id in list(filter(None, gone))[-MAX_CALLS_BEFORE_THE_END:]:
        places.take_up(await log.read(0, MAX_FACTS_OF_A_CALL, call_id), down_for)
    return down_for
