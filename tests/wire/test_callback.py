"""A caller is called back on the wire: phones that are not ours ask, ring and talk; the switch is killed meanwhile."""

from __future__ import annotations

import json
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.wire import process
from tests.wire.baresip import Baresip
from tests.wire.carrier import Carrier
from tests.wire.control import callcenter
from tests.wire.floor import CALLER, TECH, agent_phone
from tests.wire.switch import Switch
from tests.wire.test_trunks import trunk_at
from tests.wire.wait import until

HZ = 660.0
OUTBOUND = '{country: "1", national_prefix: "1", caller_id: "+18005550100", trunks: [carrier]}'
# What is said at last cannot be cut short: something brief.
CALLBACK = f"{{callback: {{queue: {TECH.queue}, accepted: tech-giant-welcome}}}}"
FLOW = f'[{{queue: {{to: {TECH.queue}, keys: {{"1": [{CALLBACK}]}}}}}}]'


def options(port: int) -> tuple[str, ...]:
    """The company calls out to this port, and whoever waits may press 1."""
    return (
        *("--set", f"trunks={{carrier: {trunk_at(port)}}}", "--set", f"clients.{TECH.id}.outbound={OUTBOUND}"),
        *("--set", f"clients.{TECH.id}.callbacks={{spacing: 30s}}", "--set", f"flows.tech-giant-welcome={FLOW}"),
    )


def customer(switch: Switch, folder: Path, port: int) -> Baresip:
    """The customer's phone, which rings on this port."""
    return Baresip(folder / "customer", CALLER, switch.address(), hz=HZ, listen=port)


def facts(switch: Switch, kind: str) -> list[dict[str, Any]]:
    """The bodies of all facts of a kind."""
    rows = switch.query("SELECT body FROM facts WHERE kind = ? ORDER BY seq", kind)
    return [json.loads(row["body"]) for row in rows]


async def rings(agent: Baresip) -> None:
    """The agent's phone rings: it may, as soon as it has registered, before its control port takes a reader."""
    await agent.registered()
    await until(
        lambda: agent.seen("CALL_INCOMING") or "Incoming call from" in agent.log(),
        lambda: f"the agent's phone rings: {agent.log()}",
    )


async def asks(switch: Switch, phone: Baresip) -> None:
    """The customer calls, waits, presses 1, says yes to the number that is read out, and is hung up on."""
    await phone.dial(TECH.alias)
    await phone.event("CALL_ESTABLISHED")
    await until(lambda: facts(switch, "CallQueued"), "the caller waits")
    await phone.press("1")
    await until(lambda: facts(switch, "QueueLeft"), "the caller has left the queue")
    await phone.press("1")
    await until(lambda: facts(switch, "CallbackRequested"), lambda: f"a callback is asked for {switch.log()[-2000:]}")
    await phone.event("CALL_CLOSED", seconds=30.0)


async def test_a_caller_is_called_back_and_talks_to_the_agent_who_heard_it_ring(tmp_path: Path) -> None:
    port = process.free_port(socket.SOCK_DGRAM)
    async with (
        Switch(tmp_path / "switch", options(port)) as switch,
        customer(switch, tmp_path, port) as caller,
    ):
        await asks(switch, caller)
        async with agent_phone(switch, tmp_path, TECH) as agent:
            await rings(agent)
            assert f"{TECH.name} sip:{CALLER}@" in agent.log(), "the agent sees whom it is about"
            assert caller.seen("CALL_INCOMING") is None, "nobody is dialled before an agent has picked up"
            await agent.accept()
            await caller.event("CALL_INCOMING")
            await until(lambda: 430 < (agent.hearing() or 0) < 490, lambda: f"ringing, not {agent.hearing()} Hz")
            await caller.accept()
            await caller.heard(agent.hz)
            await agent.heard(HZ)
            await caller.hangup()
            await agent.event("CALL_CLOSED")
            asked, called = await switch.interactions(2)
            assert (asked["direction"], asked["outcome"]) == ("inbound", "callback")
            assert (called["direction"], called["outcome"], called["agent"]) == ("outbound", "handled", TECH.agent)
            assert called["to_number"] == CALLER
            assert [end["outcome"] for end in facts(switch, "CallbackEnded")] == ["reached"]
            assert [row["outcome"] for row in switch.query("SELECT outcome FROM callbacks")] == ["reached"]


async def test_a_callback_that_is_planned_is_dialled_at_its_time_reached_and_kept_with_what_came_of_it(
    tmp_path: Path,
) -> None:
    """Planned, shown and looked up at the command line; the customer first, whose phone rings before the agent's."""
    port = process.free_port(socket.SOCK_DGRAM)
    rules = ("--set", f"clients.{TECH.id}.callbacks={{mode: customer_first}}")
    async with (
        Switch(tmp_path / "switch", (*options(port), *rules, "--set", "mqtt.broker=off")) as switch,
        customer(switch, tmp_path, port) as caller,
        agent_phone(switch, tmp_path, TECH) as agent,
    ):
        await agent.registered()
        at, here = datetime.now(UTC) + timedelta(seconds=1.5), ("--data", switch.ready["data"])
        asked = (CALLER, "--client", TECH.id, "--queue", TECH.queue, "--not-before", at.isoformat())
        status, said, errors = await callcenter(
            tmp_path / "cli", "callbacks", "plan", *asked, "--reason", "the invoice", *here
        )
        assert status == 0, errors
        name = said.split()[0]
        await caller.event("CALL_INCOMING")
        assert agent.seen("CALL_INCOMING") is None, "the agent is reserved, and rings when the customer has picked up"
        await caller.accept()
        await rings(agent)
        await agent.accept()
        await caller.heard(agent.hz)
        await agent.heard(HZ)
        await caller.hangup()
        await agent.event("CALL_CLOSED")
        (called,) = await switch.interactions(1)
        assert (called["direction"], called["outcome"], called["agent"]) == ("outbound", "handled", TECH.agent)
        (row,) = switch.query("SELECT at FROM facts WHERE kind = 'CallbackAttempted'")
        assert datetime.fromisoformat(row["at"]) >= at - timedelta(milliseconds=1)
        status, said, errors = await callcenter(tmp_path / "cli", "callbacks", "show", name, *here)
        assert status == 0, errors
        assert f"{name}: reached" in said
        assert f"attempt 1 by {TECH.agent}: reached" in said
        assert "about: the invoice" in said


async def test_a_callback_outlasts_kill_9_and_is_made_by_the_next_run(tmp_path: Path) -> None:
    port = process.free_port(socket.SOCK_DGRAM)
    data = tmp_path / "data"
    here = f"sip.listen=[{{transport: udp, host: 127.0.0.1, port: {process.free_port(socket.SOCK_DGRAM)}}}]"
    async with Switch(
        tmp_path / "switch", (*options(port), "--set", here, "--set", "mqtt.broker=off"), data=data
    ) as switch:
        async with customer(switch, tmp_path, port) as caller:
            await asks(switch, caller)
            before = await until(
                lambda: [each["callback"] for each in facts(switch, "CallQueued") if each["callback"]], "it is in line"
            )
        await switch.kill()
        await switch.start()
        async with (
            customer(switch, tmp_path / "again", port) as caller,
            agent_phone(switch, tmp_path, TECH) as agent,
        ):
            await rings(agent)
            await agent.accept()
            await caller.event("CALL_INCOMING")
            await caller.accept()
            await caller.heard(agent.hz)
            await caller.hangup()
            await agent.event("CALL_CLOSED")
        assert before == [facts(switch, "CallQueued")[-1]["callback"]]
        assert [end["outcome"] for end in facts(switch, "CallbackEnded")] == ["reached"]
        assert [(left["outcome"], left["reason"]) for left in facts(switch, "QueueLeft")] == [
            ("flowed_out", "callback"), ("flowed_out", "restart"), ("answered", ""),
        ]  # fmt: skip


async def test_a_carrier_that_cannot_reach_the_customer_costs_the_agent_nothing(tmp_path: Path) -> None:
    """The agent is free at once, and the customer stays to be called back."""
    port = process.free_port(socket.SOCK_DGRAM)
    async with (
        Carrier(tmp_path / "carrier", "unavailable") as carrier,
        Switch(tmp_path / "switch", options(carrier.port)) as switch,
        customer(switch, tmp_path, port) as caller,
    ):
        await asks(switch, caller)
        async with agent_phone(switch, tmp_path, TECH) as agent:
            await rings(agent)
            await agent.accept()
            await agent.event("CALL_CLOSED")
            await carrier.done()
            (failed,) = await until(lambda: facts(switch, "CallbackFailed"), "the attempt has failed")
            assert failed["cause"] == "unreachable"
            states = [state for state in facts(switch, "AgentStateChanged") if state["agent"] == TECH.agent]
            assert (states[-1]["intent"], states[-1]["work"]) == ("ready", "idle")
            (kept,) = switch.query("SELECT attempts, number FROM callbacks")
            assert (kept["attempts"], kept["number"]) == (1, CALLER)
