"""A short form of ./scripts/soak: fifty reloads of a switch that runs, with calls through it all the time."""

from __future__ import annotations

from pathlib import Path

from scripts.soaking.soak import Soak


async def test_fifty_reloads_under_load_lose_no_call_and_no_state_and_leave_nothing_that_was_removed(
    tmp_path: Path,
) -> None:
    soak = Soak(tmp_path, seed=50, reloads=50, rate=4.0, agents=20, pause=0.05)
    await soak.run()
    assert soak.found == [], soak.summary()
    assert soak.done == 50
    assert soak.refused > 0, "files with a mistake are met too"
    assert "calls well ended" in soak.summary()
