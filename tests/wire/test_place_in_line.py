"""Who is cut off and calls again, with real phones: the place in line is that of before, also after a ``kill -9``."""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

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


def stood_since(row: sqlite3.Row) -> float:
    """Since when the caller of a visit has stood in line by the wall's clock, as its fact has both clocks."""
    kept_ms: int = row["ms"] - int(json.loads(row["body"])["first_joined_ms"])
    return datetime.fromisoformat(row["at"]).timestamp() - kept_ms / 1000


async def wait_in_line(switch: Switch, phone: Baresip) -> None:
    before, seen = len(visits(switch)), len(phone.events)
    await phone.dial(TECH.alias)
    await phone.event("CALL_ESTABLISHED", after=seen)
    await phone.press(TECH.keys)
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
            phone.press(answer, TECH.keys)
            await until(lambda: len(visits(switch)) == count, f"{number} waits")

        await joins(FIRST, 1)
        await joins(SECOND, 2)
        await switch.kill()
        await switch.start()
        await joins(SECOND, 3)
        await joins(FIRST, 4)
        _, _, new_second, new_first = visits(switch)
        assert new_first["place_of"]
        assert new_second["place_of"]
        places = switch.query("SELECT at, ms, body FROM facts WHERE kind = 'CallQueued' ORDER BY seq")
        old_first_at, old_second_at, new_second_at, new_first_at = map(stood_since, places)
        assert old_first_at < old_second_at
        assert new_first_at < new_second_at, "who stood before stands before"
        # Of the run that was killed the next one knows the wall's clock alone, to the millisecond.
        apart = int(str(new_second["first_joined_ms"])) - int(str(new_first["first_joined_ms"]))
        assert apart == pytest.approx((old_second_at - old_first_at) * 1000, abs=4), "and by as much"
