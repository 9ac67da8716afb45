"""The state of a queue as somebody else's MQTT client reads it, and what a caller is told meanwhile."""

from __future__ import annotations

from pathlib import Path

from tests.wire.floor import TECH, caller_phone
from tests.wire.mosquitto import Subscriber
from tests.wire.switch import Switch
from tests.wire.wait import until

ROOT = "callcenter/v1"
STATE = f"{ROOT}/queues/{TECH.queue}/state"


def monitor(switch: Switch, folder: Path, name: str) -> Subscriber:
    """mosquitto_sub with the monitor's login, on all queues and the configuration."""
    mqtt = switch.ready["mqtt"]
    login = mqtt["monitor"]
    topics = (f"{ROOT}/queues/+/state", f"{ROOT}/system/config")
    return Subscriber(folder / name, mqtt["host"], mqtt["port"], login["user"], login["password"], topics)


async def test_the_monitor_sees_who_waits_and_a_late_one_sees_it_too(tmp_path: Path) -> None:
    """No agent is there: one waits, is told the place, and gives up; the queue says one, and none again."""
    options = ("--set", "calls.announce.first=1s")
    async with (
        Switch(tmp_path / "switch", options=options) as switch,
        monitor(switch, tmp_path, "floor") as floor,
        caller_phone(switch, tmp_path) as caller,
    ):
        at_first = await floor.message(STATE)
        assert (at_first.json["schema"], at_first.json["client"]) == ("queue.v1", TECH.id)
        assert (at_first.json["waiting"], at_first.json["longest_since"]) == (0, None)
        config = (await floor.message(f"{ROOT}/system/config")).json
        assert (config["schema"], config["by"]) == ("config.v1", "start")

        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED")
        await caller.press(TECH.keys)
        await until(lambda: floor.on(STATE)[-1].json["waiting"] == 1, "one waits")
        assert floor.on(STATE)[-1].json["longest_since"]
        async with monitor(switch, tmp_path, "late") as late:
            message = await late.message(STATE)
            assert message.retained
            assert message.json["waiting"] == 1
        await until(
            lambda: bool(switch.query("SELECT 1 FROM facts WHERE kind = 'PositionAnnounced'")), "the place is told", 10
        )
        await caller.hangup()
        await until(lambda: floor.on(STATE)[-1].json["waiting"] == 0, "nobody waits any more")
        record = await switch.interaction()
        assert record["outcome"] == "abandoned"
        assert not any(number in message.payload for message in floor.messages for number in (b"+1415", b"4155550"))
