"""Two switches are each other's trunk: one calls by the other, past a first trunk that is dead."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests.wire import process
from tests.wire.floor import LUMINA, TECH, agent_phone
from tests.wire.switch import Switch
from tests.wire.wait import until

NUMBER = "+551130000100"  # which the other switch alone has
STATES = "SELECT body FROM facts WHERE kind = 'TrunkStateChanged'"
PASSWORD = "CALLCENTER_TEST_TRUNK_PASSWORD"


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD, "open sesame")


async def test_an_agent_calls_the_other_switch_past_a_dead_trunk_hears_its_menu_and_is_put_through_there(
    tmp_path: Path,
) -> None:
    here = f"{{user: house-a, password_env: {PASSWORD}}}"
    known = f"peers: [127.0.0.9], qualify: never, from_domain: house-a.example, accept: {{account: {here}}}"
    accepting = f"trunks={{house-a: {{{known}}}}}"
    number = f'{{"{NUMBER}": {{client: {LUMINA.id}, flow: lumina-welcome}}}}'
    async with Switch(tmp_path / "b", ("--set", accepting, "--set", f"numbers={number}")) as house_b:
        host, port = house_b.where
        dead = process.free_port(socket.SOCK_DGRAM)
        trunks = (
            f"{{dead: {{peers: [{{host: 127.0.0.1, port: {dead}}}], qualify: never, try_for: 1s}},"
            f" house-b: {{peers: [{{host: {host}, port: {port}}}], login: {here},"
            " from_domain: house-a.example}}"
        )
        outbound = '{country: "55", caller_id: "+18005550100", trunks: [dead, house-b]}'
        options = (
            *("--set", f"trunks={trunks}", "--set", f"clients.{TECH.id}.outbound={outbound}"),
            *("--set", 'acd.may_dial={outside: ["+55"]}'),
        )
        async with (
            Switch(tmp_path / "a", options) as house_a,
            agent_phone(house_a, tmp_path / "a", TECH, hz=440.0) as caller,
            agent_phone(house_b, tmp_path / "b", LUMINA, hz=880.0) as agent,
        ):
            await caller.registered()
            await agent.registered()
            await until(
                lambda: any(json.loads(row["body"])["up"] for row in house_a.query(STATES)),
                lambda: f"the other switch is there: {house_a.log()[-1500:]}",
            )
            await caller.dial(NUMBER)
            await caller.event("CALL_ESTABLISHED")
            await until(lambda: caller.loudness() > 0, "the menu of the other switch is heard")
            await caller.press(LUMINA.keys)
            await agent.event("CALL_INCOMING")
            await agent.accept()
            await caller.heard(agent.hz)
            await agent.heard(caller.hz)
            await caller.hangup()
            await agent.event("CALL_CLOSED")
            out, into = await house_a.interaction(), await house_b.interaction()
            assert (out["direction"], out["outcome"]) == ("outbound", "handled")
            assert (into["direction"], into["outcome"], into["from_number"]) == ("inbound", "handled", "+18005550100")
            tried = [
                json.loads(row["body"]) for row in house_a.query("SELECT body FROM facts WHERE kind = 'TrunkTried'")
            ]
            assert [(each["trunk"], each["status"]) for each in tried] == [("dead", 0), ("house-b", 200)]
            (arrived,) = house_b.query("SELECT body FROM facts WHERE kind = 'CallArrived'")
            assert json.loads(arrived["body"])["trunk"] == "house-a"
