"""Fifty new calls a second by sipp, twenty agents, a switch that fills up: every call in the database, as it was.

Ten seconds of it here; a whole minute with ./scripts/load, or as many seconds as CALLCENTER_LOAD_SECONDS says.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from tests.wire import sipp
from tests.wire.floor import LUMINA, TECH
from tests.wire.stub import Stub
from tests.wire.switch import ROOT, Switch
from tests.wire.wait import until

SECONDS = int(os.environ.get("CALLCENTER_LOAD_SECONDS", "10"))
AGENTS = 20
# New calls a second: who presses nothing and goes, who waits where there is no agent and goes, who talks.
LEAVERS, WAITERS, TALKERS = 40, 5, 5
# The calls that these make at once, on average, are some eighty: now and then there is no room.
ROOM = 75


@pytest.mark.timeout(SECONDS + 120)
async def test_fifty_calls_a_second_are_all_booked_as_they_were(tmp_path: Path) -> None:
    if not sipp.can_press_keys():
        pytest.skip("sipp sends captured digits by a raw socket, which needs root")
    options = (
        *("--config", str(floor_with(AGENTS, tmp_path / "config"))),
        *("--set", f"sip.max_calls={ROOM}", "--set", "acd.wrap_up={mode: none}", "--log-level", "warning"),
    )
    async with (
        Switch(tmp_path / "switch", options=options) as switch,
        Stub(switch.where) as phones,
    ):
        for number in range(AGENTS):
            line = switch.agent(f"load-{number}")
            assert (await phones.register(line["user"], line["password"])).status == 200
        leavers, waiters, talkers = await asyncio.gather(
            callers(tmp_path, switch, "leaver", "leaver", TECH.alias, LEAVERS, talk=0.8),
            callers(tmp_path, switch, "waiter", "caller", LUMINA.alias, WAITERS, talk=3.0),
            callers(tmp_path, switch, "talker", "caller", TECH.alias, TALKERS, talk=4.0),
        )
        tallies = {"leaver": leavers, "waiter": waiters, "talker": talkers}
        for kind, tally in tallies.items():
            print(
                f"{kind}s: {tally.succeeded} served, {tally.refused} refused, {tally.retransmissions} retransmissions"
            )
        for kind, rate in (("leaver", LEAVERS), ("waiter", WAITERS), ("talker", TALKERS)):
            tally = tallies[kind]
            assert tally.failed == 0, (kind, tally, switch.log()[-2000:])
            assert tally.succeeded + tally.refused == rate * SECONDS, (kind, tally, switch.log()[-2000:])
        served = sum(tally.succeeded for tally in tallies.values())
        saved = await switch.interactions(served)
        assert len(saved) == len({row["call_id"] for row in saved}) == served, "each call once, and no refused one"
        arrived = switch.query(
            "SELECT call_id, json_extract(body, '$.from_name') AS name FROM facts WHERE kind = 'CallArrived'"
        )
        kinds = {row["call_id"]: row["name"].split()[0] for row in arrived}
        assert len(kinds) == served, "no call arrived that is not booked"
        outcomes = {kind: Counter(row["outcome"] for row in saved if kinds[row["call_id"]] == kind) for kind in tallies}
        assert outcomes["leaver"] == {"left_in_menu": leavers.succeeded}
        assert outcomes["waiter"] == {"abandoned": waiters.succeeded}
        talked = outcomes["talker"]["handled"]
        assert talked + outcomes["talker"]["abandoned"] == talkers.succeeded
        print(f"talkers: {outcomes['talker']}; {served} calls in the database")
        assert talked > 0.8 * talkers.succeeded
        picked_up = switch.query(
            "SELECT 1 FROM facts WHERE kind = 'OfferEnded' AND json_extract(body, '$.result') = 'accepted'"
        )
        # Some callers hang up in the moment in which a phone is picked up.
        assert talked <= len(picked_up) <= phones.talked(), "who talked, says the database, talked to a phone"
        assert sum(tally.refused for tally in tallies.values()) > 0, "the switch was full at times"
        assert {row["ended_by"] for row in saved} == {"caller"}
        assert not switch.query("SELECT 1 FROM open_calls")
        await until(lambda: phones.dialogs() == 0, "every agent's phone was hung up")


async def callers(
    folder: Path, switch: Switch, kind: str, scenario: str, number: str, rate: int, *, talk: float
) -> sipp.Tally:
    """A kind of callers, at their rate."""
    return await sipp.call(
        folder / kind, scenario, switch.address(), number,
        calls=rate * SECONDS, rate=rate, talk=talk, name=kind, seconds=SECONDS + 60,
    )  # fmt: skip


def floor_with(agents: int, folder: Path) -> Path:
    """The shipped configuration with so many sellers more; the key 1 leads into the line at once."""
    shutil.copytree(ROOT / "config", folder)
    yaml = YAML()
    loaded = yaml.load(folder / "agents.yaml")
    for number in range(agents):
        loaded["agents"][f"load-{number}"] = {
            "name": f"Load {number}", "skills": {"english": 4, "sales": 4}, "clients": [TECH.id],
        }  # fmt: skip
    yaml.dump(loaded, folder / "agents.yaml")
    loaded = yaml.load(folder / "flows.yaml")
    for flow in ("tech-giant-welcome", "lumina-welcome"):
        steps = next(step["menu"] for step in loaded["flows"][flow] if "menu" in step)["choices"]["1"]["then"]
        steps[:] = [step for step in steps if "queue" in step]
        assert steps
    yaml.dump(loaded, folder / "flows.yaml")
    return folder
