"""Who is cut off and calls again, with real phones: the place in line is that of before, also after a ``kill -9``."""

from __future__ import annotations

import json
from pathlib import Path

from tests.wire import process
from tests.wire.baresip import Baresip
from tests.wire.floor import TECH, agent_phone, caller_phone
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import until

FIRST, SECOND = "+14155550101", "+14155550102"
FIRST_HZ, SECOND_HZ, AGENT_HZ = 440.0, 620.0, 880.0


def visits(switch: Switch) -> list[dict[str, object]]:
    """The visits to queues, as their facts tell them, in the order of joining."""
    rows = switch.query("SELECT body FROM facts WHERE kind = 'CallQueued' ORDER BY seq")
    return [json.loads(row["body"]) for row in rows]


async def wait_in_line(switch: Switch, phone: Baresip) -> None:
    before, seen = len(visits(switch)), len(phone.events)
    await phone.dial(TECH.alias)
    await phone.event("CALL_ESTABLISHED", after=seen)
    await phone.press(TECH.key)
    await until(lambda: len(visits(switch)) == before + 1, f"{phone.user} waits")


async def test_a_caller_who_was_cut_off_and_calls_again_is_answered_before_who_came_later(
    switch: Switch, tmp_path: Path
) -> None:
    async with (
        caller_phone(switch, tmp_path, FIRST, hz=FIRST_HZ) as first,
        caller_phone(switch, tmp_path, SECOND, hz=SECOND_HZ) as second,
    ):
        await wait_in_line(switch, first)
        await wait_in_line(switch, second)
        await first.hangup()
        await switch.interactions(1)
        await wait_in_line(switch, first)
        old, _, new = visits(switch)
        assert new["first_joined_ms"] == old["first_joined_ms"]
        assert str(new["place_of"]).endswith("/1")
        async with agent_phone(switch, tmp_path, TECH, hz=AGENT_HZ) as agent:
            rang = "SELECT 1 FROM facts WHERE kind = 'AgentRang'"
            await until(lambda: bool(switch.query(rang)), "the agent's phone, which has just registered, rings")
            await agent.accept()
            await first.heard(AGENT_HZ)
            await agent.heard(FIRST_HZ)
            await first.hangup()
            await second.hangup()
            await switch.interactions(3)


async def test_a_killed_switch_gives_everybody_the_place_of_before(tmp_path: Path) -> None:
    """Two wait, the switch is killed and started again, and they call in the other order."""
    port = process.free_port()
    listen = f"[{{transport: udp, host: 127.0.0.1, port: {port}}}]"
    options = ("--set", f"sip.listen={listen}", "--set", "mqtt.broker=off", "--set", "switch.drain_limit=0s")
    async with (
        Switch(tmp_path / "switch", options=options, data=tmp_path / "data") as switch,
        Stub(switch.where) as phone,
    ):

        async def joins(number: str, count: int) -> None:
            answer = await phone.final(phone.invite(TECH.alias, user=number))
            assert answer.status == 200
            phone.press(answer, TECH.key)
            await until(lambda: len(visits(switch)) == count, f"{number} waits")

        await joins(FIRST, 1)
        await joins(SECOND, 2)
        await switch.kill()
        await switch.start()
        await joins(SECOND, 3)
        await joins(FIRST, 4)
        old_first, old_second, new_second, new_first = visits(switch)
        assert new_first["place_of"]
        assert new_second["place_of"]
        apart = [int(str(late["first_joined_ms"])) - int(str(early["first_joined_ms"]))
                 for early, late in ((old_first, old_second), (new_first, new_second))]  # fmt: skip
        assert apart[0] > 0
        # Two clocks are read one after the other, for each of them, on a machine that does other things between.
        assert abs(apart[0] - apart[1]) <= 20, "who stood before stands before, and by as much"
