"""The desk beside a switch that carries calls: it is killed, and nobody who talks notices."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from tests.wire.control import ask
from tests.wire.floor import TECH, agent_phone, caller_phone, talk
from tests.wire.switch import Switch
from tests.wire.wait import PATIENCE, until

KILLED = "the desk does not run"


def client_of(switch: Switch) -> httpx.AsyncClient:
    """A program with the trial's token."""
    desk = switch.ready["desk"]
    headers = {"Authorization": f"Bearer {desk['token']}"}
    return httpx.AsyncClient(base_url=desk["url"], headers=headers, timeout=PATIENCE)


async def follow(client: httpx.AsyncClient, seen: list[int]) -> None:
    """Follow the events as a browser does: from the last one on, whenever the stream is lost."""
    while True:
        with contextlib.suppress(httpx.TransportError):
            last = {"Last-Event-ID": str(seen[-1] if seen else 0)}
            async with client.stream("GET", "/api/v1/events", headers=last, timeout=None) as stream:
                is_fact = False
                number = 0
                async for line in stream.aiter_lines():
                    if line.startswith("id: "):
                        number = int(line.removeprefix("id: "))
                    is_fact = is_fact or line.startswith("data: ")
                    if not line and is_fact:
                        seen.append(number)
                        is_fact = False


@contextlib.asynccontextmanager
async def following(client: httpx.AsyncClient) -> AsyncIterator[list[int]]:
    seen: list[int] = []
    task = asyncio.create_task(follow(client, seen))
    try:
        yield seen
    finally:
        task.cancel()
        await asyncio.wait({task})


async def desk_of(switch: Switch) -> dict[str, Any]:
    """What the switch says of its desk."""
    found: dict[str, Any] = (await ask(switch, "status"))["desk"]
    return found


async def test_the_desk_is_killed_in_a_call_which_goes_on_and_who_follows_the_events_misses_none(
    tmp_path: Path,
) -> None:
    async with (
        Switch(tmp_path / "switch", desk=True, may_complain=(KILLED,)) as switch,
        client_of(switch) as client,
        agent_phone(switch, tmp_path, TECH, hz=880.0) as agent,
        caller_phone(switch, tmp_path, hz=440.0) as caller,
    ):
        assert (await client.get("/livez")).json() == {"live": True}
        assert (await client.get("/readyz")).json() == {"ready": True, "why": []}
        async with following(client) as seen:
            await talk(caller, agent, TECH)
            before = await desk_of(switch)
            switch.kill_child(before["pid"])

            # Whoever asks meanwhile waits for a moment, and is served.
            assert (await client.get("/api/v1/me")).json()["user"] == "token:trial"
            await caller.heard(agent.hz)
            await agent.heard(caller.hz)
            after = await desk_of(switch)
            assert after["running"]
            assert after["pid"] != before["pid"]
            assert (after["starts"], after["url"]) == (2, before["url"])

            await caller.hangup()
            await agent.event("CALL_CLOSED")
            saved = await switch.interaction()
            assert (saved["outcome"], saved["ended_by"]) == ("handled", "caller")
            facts = [row["seq"] for row in switch.query("SELECT seq FROM facts ORDER BY seq")]
            await until(lambda: bool(seen) and seen[-1] >= facts[-1], lambda: f"{facts[-1]} is told: {seen[-5:]}")
            told = [number for number in seen if number <= facts[-1]]
            assert told == facts, "each once, in order, without a gap"

        assert (await ask(switch, "drain", seconds=60))["draining"]
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"ready": False, "why": ["draining"]})
        await ask(switch, "drain", cancel=True)


async def test_a_desk_whose_port_is_taken_keeps_no_switch_from_running_and_serves_when_it_is_free(
    tmp_path: Path,
) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    options = ("--set", f"desk.listen=127.0.0.1:{port}")
    async with Switch(tmp_path / "switch", options=options, desk=True, may_complain=(KILLED,)) as switch:
        told = await desk_of(switch)
        assert (told["running"], told["pid"]) == (False, None)
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in told["detail"]
        taken.close()
        await taken.wait_closed()
        async with client_of(switch) as client, asyncio.timeout(PATIENCE):
            while True:
                with contextlib.suppress(httpx.ConnectError):
                    assert (await client.get("/livez")).status_code == 200
                    break
                await asyncio.sleep(0.05)
