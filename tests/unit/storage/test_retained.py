"""Retained topics: what nobody speaks for any more is known to the next run."""

from __future__ import annotations

from pathlib import Path

from callcenter.storage.store import Storage
from tests.unit.storage.support import StillClock


async def test_topics_of_runs_before_that_are_gone_are_told_until_the_broker_has_cleared_them(tmp_path: Path) -> None:
    path = tmp_path / "callcenter.db"
    told = []
    for topics, cleared in ((["a", "b"], ""), (["b", "c"], ""), (["b", "c"], "a"), (["b", "c"], "")):
        storage = await Storage.open(path, clock=StillClock())
        told.append(await storage.retained.others(topics))
        storage.retained.put(topics)
        if cleared:
            storage.retained.forget(cleared)
        await storage.close()
    assert told == [[], ["a"], ["a"], []]
