"""What happened, as `callcenter report` says beside a running switch, after a kill, and without one; and it is live."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.wire import process
from tests.wire.control import callcenter
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.mosquitto import Subscriber
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import until

ROOT = "callcenter/v1"
QUEUE = f"{ROOT}/queues/{TECH.queue}/state"
CLIENT = f"{ROOT}/clients/{TECH.id}/state"


@pytest.fixture
async def switch(tmp_path: Path) -> AsyncIterator[Switch]:
    """A switch by whose rules everybody here gives up soon: a busy machine may take more than five seconds to."""
    async with Switch(tmp_path / "switch", options=("--set", "acd.short_abandon=1m")) as running:
        yield running


async def report(folder: Path, data: str | Path, *options: str) -> list[dict[str, str]]:
    """The rows, of yesterday and today: midnight may come meanwhile."""
    since = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    status, said, wrong = await callcenter(
        folder, "report", "--data", str(data), "--from", since, "--format", "csv", *options
    )
    assert (status, wrong) == (0, "")
    return list(csv.DictReader(io.StringIO(said)))


async def test_a_call_is_in_the_report_and_in_the_live_figures(switch: Switch, tmp_path: Path) -> None:
    """One talks and one gives up in the line: the queue, the client, the agent and the floor's screens all say so."""
    mqtt = switch.ready["mqtt"]
    login = mqtt["monitor"]
    floor = Subscriber(
        tmp_path / "floor", mqtt["host"], mqtt["port"], login["user"], login["password"], (QUEUE, CLIENT)
    )
    async with (
        floor,
        agent_phone(switch, tmp_path, TECH) as agent,
        caller_phone(switch, tmp_path) as caller,
        caller_phone(switch, tmp_path, "+14155550101") as other,
    ):
        await talk(caller, agent, TECH)
        await other.dial(TECH.alias)
        await other.event("CALL_ESTABLISHED")
        await other.press(TECH.keys)
        await until(lambda: floor.on(QUEUE)[-1].json["waiting"] == 1, "one waits")
        busy = floor.on(QUEUE)[-1].json
        assert (busy["talking"], busy["agents"].get("talk")) == (1, 1)
        await other.hangup()
        await caller.hangup()
        await switch.interactions(2)

        def settled() -> dict[str, Any] | None:
            state: dict[str, Any] = floor.on(CLIENT)[-1].json
            return state if (state["offered"], state["waiting"]) == (2, 0) else None

        client = await until(settled, lambda: f"both calls in the client's figures: {floor.on(CLIENT)[-1].json}")
        assert (client["schema"], client["answered"], client["abandoned"]) == ("client.v1", 1, 0)
        assert client["service_level"] == client["service_level_20s"] == 1.0
        queue = await until(
            lambda: state if (state := floor.on(QUEUE)[-1].json)["offered"] == 2 else None, "the queue's figures"
        )
        assert queue["service_level_s"] == 20.0
        assert queue["asa_s"] == client["asa_s"]

        data = switch.ready["data"]
        (of_queue,) = await report(tmp_path / "report", data)
        assert (of_queue["queue"], of_queue["offered"], of_queue["answered"]) == (TECH.queue, "2", "1")
        assert (of_queue["short_abandoned"], of_queue["service_level"], of_queue["still_waiting"]) == ("1", "1.0", "0")
        assert round(int(of_queue["asa"]) / 1000, 1) == client["asa_s"]
        (of_agent,) = await report(tmp_path / "report", data, "--by", "agent")
        assert (of_agent["agent"], of_agent["offers"]) == (TECH.agent, "1")
        assert int(of_agent["time_talk"]) > 0
        assert int(of_agent["signed_in"]) == sum(int(value) for name, value in of_agent.items() if name[:5] == "time_")
        status, shown, _ = await callcenter(tmp_path / "status", "status", "--socket", switch.ready["control"])
        assert status == 0
        assert "TODAY 2 offered" in shown


async def test_figures_of_today_outlive_a_kill_and_what_it_cut_off_is_lost(tmp_path: Path) -> None:
    port = process.free_port()
    listen = f"[{{transport: udp, host: 127.0.0.1, port: {port}}}]"
    data = tmp_path / "data"
    options = ("--set", f"sip.listen={listen}", "--set", "mqtt.broker=off")
    async with Switch(tmp_path / "switch", options=options, data=data) as switch:
        line = switch.agent(TECH.agent)
        async with Stub(switch.where) as agent, Stub(switch.where) as caller:
            assert (await agent.register(line["user"], line["password"])).status == 200
            for _ in range(2):
                invite = caller.invite(TECH.alias)
                caller.press(await caller.final(invite), TECH.keys)
                await until(
                    lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'CallConnected'"), "the first one talks"
                )
            await until(
                lambda: len(switch.query("SELECT 1 FROM facts WHERE kind = 'CallQueued'")) == 2, "the second one waits"
            )
            (running,) = await report(tmp_path / "report", data)
            assert (running["offered"], running["answered"], running["still_waiting"]) == ("2", "1", "1")
            await switch.kill()
            await switch.start()

            async def today() -> dict[str, Any]:
                status, said, wrong = await callcenter(tmp_path / "status", "status", "--data", str(data), "--json")
                assert status == 0, wrong
                queues = json.loads(said)["queues"]
                return dict(next(queue for queue in queues if queue["queue"] == TECH.queue))

            live = await today()
            assert (live["offered"], live["answered"], live["abandoned"]) == (2, 1, 0)
            (after,) = await report(tmp_path / "report", data)
            assert (after["offered"], after["answered"], after["lost"], after["still_waiting"]) == ("2", "1", "1", "0")
            assert float(after["service_level"]) == live["service_level"] == 0.5
    # Without a switch it is the same.
    (alone,) = await report(tmp_path / "report", data)
    assert alone == after
