"""A talk of phones that are not ours, steered from programs: held, taken back, put through, by HTTP and by MQTT."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from tests.wire import process, tone
from tests.wire.baresip import Baresip
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.mosquitto import Subscriber
from tests.wire.switch import Switch
from tests.wire.wait import PATIENCE, until

SECOND_HZ = 1320.0
# As loud as this (root mean square) is no music, nor a tone: it is the silence that stands between two of them.
NOTHING = 5.0
BEN = replace(TECH, agent="bruno")
ANAS = "callcenter/v1/agents/ana/cmd"


async def request(switch: Switch, folder: Path, command: dict[str, Any], correlation: str) -> None:
    """mosquitto_pub with a response topic and correlation data, as a CRM would."""
    line, broker = switch.agent("ana"), switch.ready["mqtt"]
    login = ["-h", broker["host"], "-p", str(broker["port"]), "-u", "ana", "-P", line["mqtt"]["password"]]
    told = ["-D", "PUBLISH", "response-topic", f"{ANAS}/reply/crm", "-D", "PUBLISH", "correlation-data", correlation]
    sending = ["mosquitto_pub", "-V", "mqttv5", *login, "-q", "1", *told, "-t", ANAS, "-m", json.dumps(command)]
    running = await process.start(sending, folder=folder)
    assert await asyncio.wait_for(running.wait(), PATIENCE) == 0


def heard_so_far(phone: Baresip) -> float:
    """Seconds of sound that have come to the phone, which writes it down packet by packet."""
    assert phone.recording is not None
    return tone.seconds_of_wav(phone.recording)


async def test_a_talk_is_held_by_http_taken_back_by_mqtt_and_put_through(tmp_path: Path) -> None:
    """The caller hears the agent, then music, then the agent again, and in the end the colleague. The agent's phone,
    which knows of no hold, is sent sound on and on.
    """
    async with (
        Switch(tmp_path / "switch", desk=True) as switch,
        agent_phone(switch, tmp_path, TECH) as agent,
        agent_phone(switch, tmp_path, BEN, hz=SECOND_HZ) as colleague,
        caller_phone(switch, tmp_path) as caller,
        httpx.AsyncClient(
            base_url=switch.ready["desk"]["url"],
            headers={"Authorization": f"Bearer {switch.ready['desk']['token']}"},
            timeout=PATIENCE,
        ) as http,
    ):
        line, broker = switch.agent("ana"), switch.ready["mqtt"]
        async with Subscriber(
            tmp_path / "crm", broker["host"], broker["port"], "ana", line["mqtt"]["password"],
            ("callcenter/v1/agents/ana/#",),
        ) as crm:  # fmt: skip
            await talk(caller, agent, TECH)
            await colleague.registered()
            (row,) = switch.query("SELECT call_id FROM facts WHERE kind = 'CallArrived'")
            path = f"/api/v1/calls/{row['call_id']}"

            held = await http.post(f"{path}/hold", json={"agent": "ana"}, headers={"Idempotency-Key": "h1"})
            assert (held.status_code, held.json()) == (200, {"pending": False}), held.text
            await until(lambda: not caller.hears(agent.hz) and caller.loudness() > 50, "the caller hears music")
            await until(lambda: agent.loudness() < NOTHING, "nothing of the caller, or the music, comes to the agent")
            begun = heard_so_far(agent)
            await until(lambda: heard_so_far(agent) > begun + 0.5, "the agent's phone is sent sound all the same")
            assert agent.seen("CALL_CLOSED") is None, "the agent's leg stays"
            again = await http.post(f"{path}/hold", json={"agent": "ana"}, headers={"Idempotency-Key": "h1"})
            assert again.json() == held.json()

            await request(switch, tmp_path, {"id": "r1", "do": "resume"}, "c1")
            reply = await crm.message(f"{ANAS}/reply/crm")
            assert reply.json == {"id": "r1", "ok": True}
            await caller.heard(agent.hz)
            await agent.heard(caller.hz)

            await request(switch, tmp_path, {"id": "t1", "do": "transfer", "to": BEN.agent}, "c2")
            await colleague.event("CALL_INCOMING")
            await colleague.accept()
            await caller.heard(SECOND_HZ)
            await colleague.heard(caller.hz)
            await agent.event("CALL_CLOSED")
            gone = await http.post(f"{path}/hold", json={"agent": "ana"})
            assert (gone.status_code, gone.json()["reason"]) == (409, "conflict")
            over = await http.post(f"{path}/hangup")
            assert over.status_code == 200, over.text
            await caller.event("CALL_CLOSED")
            await colleague.event("CALL_CLOSED")
        saved = await switch.interaction()
        assert (saved["outcome"], saved["agent"]) == ("handled", BEN.agent)
        kinds = [found["kind"] for found in switch.query("SELECT kind FROM facts ORDER BY seq")]
        wanted = ("CallHeld", "CallResumed", "CallTransferred", "CallCommanded")
        assert [kinds.count(kind) for kind in wanted] == [1, 1, 1, 1]
