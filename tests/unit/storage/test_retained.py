"""Retained topics: what nobody speaks for any more is known to the next run."""

from __future__ import annotations

from pathlib import Path

from callcenter.storage.store import Storage
from tests.unit.storage.support import StillClock


async def test_topics_of_the_run_before_that_are_gone_are_told_once(tmp_path: Path) -> None:
    path = tmp_path / "callcenter.db"
    told = []
    for topics in (["a", "b"], ["b", "c"], ["b", "c"]):
        storage = await Storage.open(path, clock=StillClock())
        told.append(await storage.retained.replace(topics))
        await storage.close()
    assert told == [[], ["a"], []]
