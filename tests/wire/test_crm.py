"""A company's own systems on the wire: a CRM that answers late, a receiver that fails for a while, and a client.

One call with phones that are not ours: the phone rings as if there were no CRM, the pop is followed by another one, the
client writes a note, says what the talk came to and plans a callback, and the receiver hears of it all, in order.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import pytest

from callcenter.desk.integrations.signature import key_of, sign
from tests.unit.desk.receiver import Seen, open_receiver, response
from tests.wire import process
from tests.wire.baresip import Baresip
from tests.wire.floor import CALLER, TECH, agent_phone
from tests.wire.switch import ROOT, Switch
from tests.wire.test_callback import OUTBOUND, facts
from tests.wire.test_trunks import trunk_at
from tests.wire.wait import until

SECRET = "whsec_" + "c2l4dGVlbiBieXRlcyBhdCBsZWFzdA=="
JO = {"id": "c-4711", "name": "Jo Doe", "tier": "gold"}


def options(crm: str, hook: str, port: int) -> tuple[str, ...]:
    """The company with a CRM, a receiver, a way out, and something that talks come to."""
    company = f"clients.{TECH.id}"
    settings = {
        f"{company}.crm": f'{{url: "{crm}?number={{number}}", timeout: 30s}}',
        f"{company}.webhooks": f'{{crm: {{url: "{hook}", secret_env: HOOK_SECRET, allow_private: true}}}}',
        f"{company}.dispositions": "{sold: Sold}",
        f"{company}.outbound": OUTBOUND,
        "trunks": f"{{carrier: {trunk_at(port)}}}",
    }
    return tuple(word for name, value in settings.items() for word in ("--set", f"{name}={value}"))


async def test_a_crm_a_receiver_and_the_sample_client_with_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    port = process.free_port(socket.SOCK_DGRAM)
    async with open_receiver() as crm, open_receiver() as hook:
        talking = asyncio.Event()

        async def late(seen: Seen) -> bytes:
            await talking.wait()
            return response(200, json.dumps(JO).encode())

        crm.answer, hook.answer = late, response(503, b"", "Retry-After: 1")
        async with (
            Switch(tmp_path / "switch", options(crm.url, hook.url, port), desk=True) as switch,
            agent_phone(switch, tmp_path, TECH) as agent,
            Baresip(tmp_path / "caller", CALLER, switch.address(), hz=500.0) as caller,
        ):
            desk = switch.ready["desk"]
            client = await process.start(
                [sys.executable, str(ROOT / "scripts" / "crm-client"), desk["url"], desk["token"], "sold"],
                folder=tmp_path,
            )
            said: list[str] = []
            reading = asyncio.create_task(read(client, said))
            try:
                await agent.registered()
                await until(lambda: said, lambda: f"the client follows: {switch.log()[-2000:]}")
                await caller.dial(TECH.alias)
                await caller.event("CALL_ESTABLISHED")
                await caller.press(TECH.keys)
                await agent.event("CALL_INCOMING")
                await agent.accept()
                await caller.heard(agent.hz)
                talking.set()
                await until(lambda: facts(switch, "ScreenPopUpdated"), lambda: f"the CRM is heard: {switch.log()}")
                (found,) = facts(switch, "CustomerFound")
                assert (found["customer"], found["by"]) == ("c-4711", "crm")
                await caller.hangup()
                await until(
                    lambda: any("/callbacks" in line for line in said), lambda: f"the client is through: {said}"
                )
                hook.answer = response()
                await until(lambda: versions(hook.seen)[-1:] >= [3], lambda: f"it hears of all: {versions(hook.seen)}")
            finally:
                client.terminate()
                await client.wait()
                await reading
            assert f"{TECH.agent} sees c-4711 {CALLER}" in said, said
            assert [line.split()[-2:] for line in said if line.startswith("P")] == [
                ["200", "done"],
                ["200", "done"],
                ["201", "done"],
            ]
            assert len(crm.seen) == 1
            told = [seen for seen in hook.seen if seen.event["type"].startswith("interaction.")]
            assert versions(told) == sorted(versions(told)), "none overtakes another"
            last = told[-1]
            at = int(last.headers["webhook-timestamp"])
            wanted = sign([key_of(SECRET)], last.headers["webhook-id"], at, last.body)
            assert last.headers["webhook-signature"] == wanted
            record = last.event["data"]["interaction"]
            assert (record["customer"], record["legs"][0]["disposition"]) == ("c-4711", "sold")
            assert [note["text"] for note in last.event["data"]["notes"]] == ["noted by the sample client"]


def versions(seen: list[Seen]) -> list[int]:
    """The versions of the call's record as they came."""
    return [each.event["data"]["version"] for each in seen]


async def read(client: asyncio.subprocess.Process, said: list[str]) -> None:
    """All that the client prints."""
    assert client.stdout is not None
    while line := await client.stdout.readline():
        said.append(line.decode().strip())
