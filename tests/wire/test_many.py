"""Fifty at once: nobody is lost, nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wire import sipp
from tests.wire.floor import TECH
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import until

CALLS = 50


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_fifty_calls_at_once_none_lost(switch: Switch, tmp_path: Path, transport: str) -> None:
    if not sipp.can_press_keys():
        pytest.skip("sipp sends captured digits by a raw socket, which needs root")
    async with Stub(switch.where) as phones:
        for agent in switch.ready["agents"]:
            assert (await phones.register(agent["user"], agent["password"])).status == 200
        tally = await sipp.call(
            tmp_path,
            "caller",
            switch.address(transport),
            TECH.alias,
            calls=CALLS,
            rate=CALLS,
            talk=6.0,
            keys=TECH.keys,
            transport=transport,
        )
        assert tally.clean, tally
        assert tally.succeeded == CALLS
        saved = await switch.interactions(CALLS)
        assert len(saved) == CALLS
        assert len({row["call_id"] for row in saved}) == CALLS
        assert {row["intent"] for row in saved} == {TECH.intent}, "every key was heard"
        outcomes = {row["outcome"] for row in saved}
        assert outcomes == {"handled", "abandoned"}, "those for whom there was an agent talked, the others waited"
        assert not switch.query("SELECT 1 FROM open_calls")
        await until(lambda: phones.dialogs() == 0, "every agent's phone was hung up")
