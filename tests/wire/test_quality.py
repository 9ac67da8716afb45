"""How calls of real phones sound, and that they go on while what carries them is replaced."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

from tests.wire.control import callcenter, control_of
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.switch import Switch
from tests.wire.test_media import facts, workers
from tests.wire.wait import until

CALLER_HZ = 440.0
AGENT_HZ = 880.0


async def test_a_call_outlives_an_upgrade_and_tells_when_it_went_one_way_and_how_it_sounded(tmp_path: Path) -> None:
    """The caller's phone has RTCP by the port of sound, and is frozen for a while; all of it by the old worker."""
    options = ("--set", "media.one_way_after=1s", "--set", "media.workers=1")
    async with (
        Switch(tmp_path / "switch", options=options) as switch,
        agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ) as agent,
        replace(caller_phone(switch, tmp_path, hz=CALLER_HZ), mux=True) as caller,
    ):
        await talk(caller, agent, TECH)
        (old,) = workers(switch)
        socket = str(control_of(switch))
        status, out, err = await callcenter(tmp_path, "media", "--socket", socket, "upgrade")
        assert (status, err) == (0, "")
        assert re.search(rf"0 +{old.pid} .* 2 .* leaves\n", out), out
        assert {worker.pid for worker in workers(switch)} > {old.pid}

        caller.freeze(True)
        (stopped,) = await until(lambda: facts(switch, "OneWayAudio"), "the word that the caller is heard no more")
        assert (stopped["side"], stopped["kind"]) == ("caller", "stopped")
        assert stopped["detail"].startswith("nothing is heard from the caller any more, for ")
        caller.freeze(False)
        await until(lambda: facts(switch, "OneWayAudioEnded"), "the word that they are again")
        await caller.heard(AGENT_HZ)
        await agent.heard(CALLER_HZ)

        await caller.hangup()
        await agent.event("CALL_CLOSED")
        record = json.loads((await switch.interaction())["record"])
        for leg in (record["quality"], record["legs"][0]["quality"]):
            assert leg["codec"] == "PCMU"
            assert leg["received"] > 50
            assert leg["first_ms"] is not None
            assert 3.0 < leg["mos"] < 4.42
        assert record["quality"]["one_way"] == ["stopped"]
        assert len(facts(switch, "LegQuality")) == 2
        new = await until(lambda: now if len(now := workers(switch)) == 1 else None, "the end of the old worker")
        assert new[0].pid != old.pid
        _, told, _ = await callcenter(tmp_path, "metrics", "--socket", socket)
        assert 'callcenter_media_legs_total{trunk=""} 2.0\n' in told
        assert 'callcenter_media_one_way_total{kind="stopped",trunk=""} 1.0\n' in told
