"""An operator with a switch that runs: looks at it, reloads it, follows it, drains it, and ends it in good order."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from callcenter.control.client import ControlClient, ControlError
from tests.wire.control import Manager, ask, callcenter, control_of, own_config, rewrite
from tests.wire.floor import CALLER, TECH, agent_phone, caller_phone, talk
from tests.wire.stub import Message, Stub
from tests.wire.switch import Switch
from tests.wire.wait import stays, until

LOOPBACK = "[{transport: udp, host: 127.0.0.1, port: 0}, {transport: tcp, host: 127.0.0.1, port: 0}]"
GINA = """\
agents:
  gina:
    name: Gina Rossi
    skills: {english: 5, sales: 5}
    clients: [the-tech-giant]
"""


async def begin_talk(switch: Switch, agent: Stub, caller: Stub, user: str = TECH.agent) -> tuple[str, Message]:
    """A caller and the agent talk; the INVITE and its answer."""
    line = switch.agent(user)
    assert (await agent.register(line["user"], line["password"])).status == 200
    invite = caller.invite(TECH.alias)
    answer = await caller.final(invite)
    assert answer.status == 200
    caller.send(caller.ack(invite, answer))
    caller.press(answer, TECH.keys)
    await until(lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'CallConnected'"), "they talk")
    return invite, answer


async def hang_up(caller: Stub, invite: str, answer: Message) -> None:
    """The caller has enough."""
    assert (await caller.final(caller.in_dialog("BYE", invite, answer))).status == 200


async def options(phone: Stub, switch: Switch) -> Message:
    """How the switch says that it is."""
    host, port = switch.where
    return await phone.final(phone.compose("OPTIONS", f"sip:{host}:{port}"))


# --------------------------------------------------------------------------------------------------------- status


async def test_status_tells_of_the_call_that_is_up(switch: Switch, tmp_path: Path) -> None:
    socket = str(control_of(switch))
    async with agent_phone(switch, tmp_path, TECH) as agent, caller_phone(switch, tmp_path) as caller:
        await talk(caller, agent, TECH)
        status, out, err = await callcenter(tmp_path, "status", "--socket", socket)
        assert (status, err) == (0, "")
        assert max(map(len, out.splitlines())) <= 80, out
        masked = re.escape(f"{CALLER[:-4]}****")
        call = rf"\w{{6}}  {masked} +the-tech-giant +talking to ana +0:\d\d  [01] +(?:-|\d\.\d)"
        assert re.search(rf"CALLS 1\n.*\n +{call}\n", out), out
        assert re.search(r"\n  ana +ready +talking +registered +0:\d\d  \w{6}\n", out), out
        assert re.search(r"BROKER    connected; \d+ facts? waiting, 1 pop sent", out), out
        assert "SIP       1 phone registered" in out
        _, full, _ = await callcenter(tmp_path, "status", "--socket", socket, "--numbers")
        assert CALLER in full
        _, text, _ = await callcenter(tmp_path, "status", "--socket", socket, "--json")
        state = json.loads(text)
        [call] = state["calls"]
        assert (call["from"], call["client"], call["agent"]) == (f"{CALLER[:-4]}****", TECH.id, "ana")
        workers = state["media"]["workers"]
        assert workers[call["worker"]]["sessions"] == 2
        assert workers[call["worker"]]["pid"] in switch.processes()
        assert state["pid"] == switch.pid
        status, _, err = await callcenter(
            tmp_path, "status", "--socket", socket, "--watch",
            enough=lambda said: said.count("talking to ana") >= 3,  # it is looked again and again
        )  # fmt: skip
        assert (status, err) == (0, "")
        await caller.hangup()
        await agent.event("CALL_CLOSED")
    assert (await ask(switch, "status"))["calls"] == []


async def test_what_agents_do_can_be_done_for_them(switch: Switch) -> None:
    async with Stub(switch.where) as phone:
        line = switch.agent(TECH.agent)
        assert (await phone.register(line["user"], line["password"])).status == 200
        assert await ask(switch, "state", agent="ana", chosen="not_ready", reason="lunch") == {}
        agent = next(each for each in (await ask(switch, "status"))["agents"] if each["agent"] == "ana")
        assert (agent["chosen"], agent["reason"]) == ("not_ready", "lunch")
        told = "SELECT body FROM facts WHERE kind = 'AgentStateChanged' ORDER BY seq DESC LIMIT 1"
        await until(
            lambda: re.search(r"not_ready chosen by supervisor \w+ \(control\)", switch.query(told)[0]["body"]),
            "the fact names who did it",
        )
        with pytest.raises(ControlError, match="no agent is named `anna`"):
            await ask(switch, "state", agent="anna", chosen="ready")
        with pytest.raises(ControlError, match=r"`dance` is no command; there are: .*drain, .*events, .*media, metr"):
            await ask(switch, "dance")


async def test_its_socket_is_private_and_gone_with_it(tmp_path: Path) -> None:
    async with Switch(tmp_path / "switch") as switch:
        socket = control_of(switch)
        assert socket.stat().st_mode & 0o777 == 0o600
        assert (await ask(switch, "health"))["ready"]
    status, out, err = await callcenter(tmp_path, "status", "--socket", str(socket))
    assert (status, out, err) == (1, "", f"callcenter: no switch runs on {socket.parent}\n")


async def test_a_second_switch_on_the_same_data_is_refused_and_a_killed_one_replaced(tmp_path: Path) -> None:
    data = tmp_path / ("x" * 100) / "data"
    assert len(str(data / "control.sock")) > 107, "longer than the system takes it for a socket"
    options = ("--set", f"sip.listen={LOOPBACK}", "--set", "mqtt.broker=off", "--set", "media.workers=1")
    async with Switch(tmp_path / "switch", options, data) as switch:
        status, _, err = await callcenter(tmp_path / "second", "run", "--data", str(data), *options)
        assert status == 1
        assert re.search(rf"^callcenter: .*another switch \(process {switch.pid}\)$", err.strip().splitlines()[-1]), err
        assert (await ask(switch, "health"))["live"]
        await switch.kill()
        with pytest.raises(ControlError, match="no switch runs on"):
            await ask(switch, "health")
        await switch.start()
        assert (await ask(switch, "status"))["pid"] == switch.pid


# --------------------------------------------------------------------------------------------------------- reload


async def test_an_agent_who_is_added_registers_at_once_and_takes_a_call(tmp_path: Path) -> None:
    config = own_config(tmp_path)
    async with (
        Switch(tmp_path / "switch", ("--config", str(config))) as switch,
        Stub(switch.where) as ana,
        Stub(switch.where) as gina,
        Stub(switch.where) as caller,
        Stub(switch.where) as other,
    ):
        socket = str(control_of(switch))
        invite, answer = await begin_talk(switch, ana, caller)
        assert (await gina.register("gina", "anything")).status == 403
        (config / "newcomers.yaml").write_text(GINA)

        status, out, err = await callcenter(tmp_path, "reload", "--socket", socket, "--dry-run")
        assert (status, err) == (0, "")
        assert "  + agents.gina" in out
        assert "a dry run: nothing has changed" in out
        assert "gina" not in (Path(switch.ready["data"]) / "credentials.yaml").read_text()

        status, out, err = await callcenter(tmp_path, "reload", "--socket", socket)
        assert (status, err) == (0, "")
        assert re.search(r"  = 1 call up, not touched +reloaded in \d+ ms\n", out), out
        password = re.search(r"\n  gina +(\S+) +(\S+) +Gina Rossi\n", out)
        assert password is not None, out
        assert (await gina.register("gina", password[1])).status == 200
        second = other.invite(TECH.alias)
        heard = await other.final(second)
        other.send(other.ack(second, heard))
        other.press(heard, TECH.keys)
        await until(lambda: len(switch.query("SELECT 1 FROM facts WHERE kind = 'CallConnected'")) == 2, "they talk")
        assert gina.talked() == 1
        await hang_up(other, second, heard)
        await hang_up(caller, invite, answer)
        saved = await switch.interactions(2)
        assert {row["agent"] for row in saved} == {"ana", "gina"}

        # Her login for the screen pops is good at once too, and nobody lost the broker.
        state = (await ask(switch, "status"))["broker"]
        assert state["connected"]
        broker = switch.ready["mqtt"]
        arguments = ["-h", broker["host"], "-p", str(broker["port"]), "-u", "gina", "-P", password[2]]
        sub = await asyncio.create_subprocess_exec(
            "mosquitto_sub", *arguments, "-t", "callcenter/v1/agents/gina/state", "-C", "1", "-W", "30",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        told, _ = await sub.communicate()
        assert json.loads(told)["agent"] == "gina"

        status, out, _ = await callcenter(tmp_path, "reload", "--socket", socket)
        assert (status, "nothing is written differently" in out, password[1] in out) == (0, True, False)


async def test_a_reload_with_mistakes_lists_them_and_changes_nothing(tmp_path: Path) -> None:
    config = own_config(tmp_path)
    async with Switch(tmp_path / "switch", ("--config", str(config))) as switch, Stub(switch.where) as caller:
        rewrite(config / "queues.yaml", "{english: 3, sales", "{english: 8, sales")
        rewrite(config / "agents.yaml", "english: 4", "english: 9")
        before = await ask(switch, "status")
        status, out, err = await callcenter(tmp_path, "reload", "--socket", str(control_of(switch)))
        assert (status, out) == (1, "")
        assert re.search(
            r"^queues\.yaml:\d+:\d+: CFG003 queues\.[a-z-]+\.requirements\.english: `8` is out", err, re.MULTILINE
        )
        assert "^ write at most 5" in err
        assert re.search(r"^agents\.yaml:\d+:\d+: ", err, re.MULTILINE), err
        assert err.splitlines()[-1] == "2 problems in 2 files, the running configuration is untouched"
        after = await ask(switch, "status")
        assert after["config"] == before["config"]
        invite = caller.invite(TECH.alias)
        answer = await caller.final(invite)
        assert answer.status == 200
        await hang_up(caller, invite, answer)

        # What waits for the next start is said, and the status keeps saying it.
        rewrite(config / "queues.yaml", "english: 8", "english: 3")
        rewrite(config / "agents.yaml", "english: 9", "english: 4")
        rewrite(config / "switch.yaml", "realm: callcenter", "realm: elsewhere")
        status, out, _ = await callcenter(tmp_path, "reload", "--socket", str(control_of(switch)))
        assert status == 0
        assert re.search(r"~ sip\.realm +callcenter → elsewhere\s+takes effect at the next start\n", out), out
        assert (await ask(switch, "status"))["config"]["at_next_start"] == ["sip.realm"]
        line = switch.agent(TECH.agent)
        assert (await caller.register(line["user"], line["password"])).status == 200, "still in the old realm"


async def test_a_hangup_reloads_a_switch_that_has_no_terminal(tmp_path: Path) -> None:
    config = own_config(tmp_path)
    options = ("--config", str(config), "--set", f"sip.listen={LOOPBACK}", "--set", "mqtt.broker=off")
    if _has_terminal():
        pytest.skip("here a terminal controls us: its hangup would end the switch")
    async with Switch(tmp_path / "switch", options, tmp_path / "data", may_complain=("not reloaded",)) as switch:
        (config / "newcomers.yaml").write_text(GINA)
        os.kill(switch.pid, signal.SIGHUP)
        await until(lambda: '"reloaded"' in switch.log(), "it is done")
        told = [json.loads(line) for line in switch.log().splitlines() if "agents.gina" in line]
        assert [each["event"] for each in told] == ["to be reloaded", "reloaded"], (
            "it says what changes, then that it has"
        )
        assert "gina" in (tmp_path / "data" / "credentials.yaml").read_text()
        rewrite(config / "newcomers.yaml", "name: Gina Rossi", "nam: Gina Rossi")
        os.kill(switch.pid, signal.SIGHUP)
        await until(lambda: "the running configuration is untouched" in switch.log(), "it says what is wrong")


async def test_saved_files_come_into_force_by_themselves_and_wrong_ones_are_told_once(tmp_path: Path) -> None:
    config = own_config(tmp_path)
    options = ("--config", str(config), "--set", "switch.reload=on_change")
    wrong = ("saved, and not in force",)
    async with Switch(tmp_path / "switch", options, may_complain=wrong) as switch, Stub(switch.where) as caller:
        (config / "newcomers.yaml").write_text(GINA)
        rewrite(config / "agents.yaml", "english: 4", "english: 5")
        await until(lambda: '"reloaded"' in switch.log(), "what was saved is in force")
        assert (await ask(switch, "status"))["config"]["by"] == "saved files"
        assert switch.log().count('"reloaded"') == 1
        assert "+ agents.gina" in switch.log()
        kept = YAML(typ="safe").load((Path(switch.ready["data"]) / "credentials.yaml").read_text())["agents"]
        assert (await caller.register("gina", kept["gina"]["sip"])).status == 200

        # Half a line, as an editor may leave it that was stopped in the middle.
        (config / "newcomers.yaml").write_text('agents:\n  gina: {name: "Gina')
        await until(lambda: "saved, and not in force" in switch.log(), "it says what is wrong")
        assert "newcomers.yaml:2:" in switch.log()
        assert (await ask(switch, "status"))["config"]["by"] == "saved files"
        (config / "newcomers.yaml").write_text(GINA)
        await asyncio.to_thread((config / "newcomers.yaml").unlink)
        await until(lambda: switch.log().count('"reloaded"') == 2, "the file is gone, and so is she")
        assert (await caller.register("gina", kept["gina"]["sip"])).status == 403
        assert switch.log().count("saved, and not in force") == 1


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


# --------------------------------------------------------------------------------------------------------- events


async def test_events_have_no_gap_and_nothing_twice_over_many_connections(switch: Switch) -> None:
    """Calls go on while the reader hangs up and comes back, every few facts."""
    calls = 6

    def follow() -> list[int]:
        seen: list[int] = []
        ended = 0
        while ended < calls:
            with ControlClient(control_of(switch)) as client:
                events = client.events(seen[-1] if seen else 0)
                for fact in events:
                    seen.append(fact["seq"])
                    ended += fact["kind"] == "CallEnded"
                    if len(seen) % 7 == 0 or ended == calls:
                        break
                events.close()
        return seen

    async def call(phone: Stub) -> None:
        invite = phone.invite(TECH.alias)
        answer = await phone.final(invite)
        phone.send(phone.ack(invite, answer))
        phone.press(answer, TECH.key)
        await hang_up(phone, invite, answer)

    async with Stub(switch.where) as phone:
        following = asyncio.create_task(asyncio.to_thread(follow))
        for _ in range(calls):
            await call(phone)
        async with asyncio.timeout(20):
            seen = await following
    written = [row["seq"] for row in switch.query("SELECT seq FROM facts ORDER BY seq")]
    assert seen == written[: len(seen)]
    assert seen == list(range(1, len(seen) + 1))


async def test_who_follows_hears_the_last_fact(tmp_path: Path) -> None:
    async with Switch(tmp_path / "switch") as switch:
        following = asyncio.create_task(asyncio.to_thread(lambda: list(ControlClient(control_of(switch)).events(0))))
        await until(lambda: _connections(switch) > 0, "it follows")
        await switch.stop()
        facts: list[dict[str, Any]] = await following
        assert [facts[0]["kind"], facts[-1]["kind"]] == ["SwitchStarted", "SwitchStopped"]


def _connections(switch: Switch) -> int:
    """How many are connected to its socket."""
    rows = Path("/proc/net/unix").read_text().splitlines()
    return sum(row.endswith(str(control_of(switch))) and row.split()[5] == "03" for row in rows)


# ---------------------------------------------------------------------------------------------------------- drain


async def test_a_drain_with_a_talk_up_refuses_new_calls_and_can_be_cancelled(tmp_path: Path) -> None:
    async with (
        Switch(tmp_path / "switch") as switch,
        Stub(switch.where) as agent,
        Stub(switch.where) as caller,
        Stub(switch.where) as late,
    ):
        socket = str(control_of(switch))
        invite, answer = await begin_talk(switch, agent, caller)
        assert (await options(late, switch)).status == 200
        status, out, err = await callcenter(tmp_path, "drain", "--socket", socket, "--limit", "2m")
        assert (status, err) == (0, "")
        assert re.fullmatch(r"no new calls are taken; 1 call up, (2:00|1:59) left for them to end\n", out), out
        refused = await late.final(late.invite(TECH.alias))
        assert refused.status == 503
        assert int(refused.header("Retry-After")) > 0
        asked = await options(late, switch)
        assert (asked.status, int(asked.header("Retry-After")) > 0) == (503, True)
        bruno = switch.agent("bruno")
        assert (await late.register("bruno", bruno["password"])).status == 200, "phones register all the while"
        health = await ask(switch, "health")
        assert (health["live"], health["ready"], health["draining"], health["calls"]) == (True, False, True, 1)
        _, told, _ = await callcenter(tmp_path, "status", "--socket", socket)
        assert re.search(
            r"^draining by \w+, [12]:\d\d left; callcenter drain --cancel takes calls again$", told, re.MULTILINE
        ), told
        assert not [m for m in caller.received if m.method == "BYE"], "the talk goes on"

        status, out, _ = await callcenter(tmp_path, "drain", "--socket", socket, "--cancel")
        assert (status, out) == (0, "calls are taken again\n")
        assert (await ask(switch, "health"))["ready"]
        again = late.invite(TECH.alias)
        taken = await late.final(again)
        assert taken.status == 200
        late.send(late.ack(again, taken))
        await hang_up(late, again, taken)

        waiting = asyncio.create_task(callcenter(tmp_path, "drain", "--socket", socket, "--wait"))
        await until(lambda: switch.query("SELECT 1 FROM facts WHERE kind = 'DrainBegan' AND seq > 1"), "it drains")
        await stays(lambda: not waiting.done(), "a call is up", 1.0)
        await hang_up(caller, invite, answer)
        status, out, _ = await waiting
        assert (status, out.splitlines()[-1]) == (0, "no new calls are taken; no call is up")
        ended = switch.query("SELECT body FROM facts WHERE kind = 'DrainEnded' ORDER BY seq")
        await until(lambda: len(switch.query("SELECT 1 FROM facts WHERE kind = 'DrainEnded'")) == 2, "it is over")
        assert json.loads(ended[0]["body"])["outcome"] == "cancelled"


async def test_at_the_limit_of_a_drain_the_call_is_ended_and_saved(switch: Switch, tmp_path: Path) -> None:
    async with Stub(switch.where) as agent, Stub(switch.where) as caller:
        await begin_talk(switch, agent, caller)
        status, out, _ = await callcenter(
            tmp_path, "drain", "--socket", str(control_of(switch)), "--limit", "1s", "--wait"
        )
        assert status == 0, out
        await caller.request("BYE")
        saved = await switch.interaction()
        assert (saved["outcome"], saved["ended_by"], saved["cause"]) == ("handled", "system", "shutdown")


async def test_told_to_end_with_a_call_up_it_ends_when_the_call_has(tmp_path: Path) -> None:
    async with (
        Switch(tmp_path / "switch", ("--set", "switch.drain_limit=5m")) as switch,
        Stub(switch.where) as agent,
        Stub(switch.where) as caller,
        Stub(switch.where) as late,
    ):
        invite, answer = await begin_talk(switch, agent, caller)
        os.kill(switch.pid, signal.SIGTERM)
        await until(lambda: "once more ends now" in switch.log(), "it says so")
        assert (await late.final(late.invite(TECH.alias))).status == 503
        await stays(lambda: bool(switch.processes()), "it waits for the call", 1.0)
        assert not [m for m in caller.received if m.method == "BYE"]
        facts = asyncio.create_task(asyncio.to_thread(lambda: list(ControlClient(control_of(switch)).events(0))))
        await until(lambda: _connections(switch) > 0, "somebody follows")
        await hang_up(caller, invite, answer)
        await until(lambda: not switch.processes(), "it ends by itself")
        kinds = [fact["kind"] for fact in await facts]
        assert kinds.index("DrainBegan") < kinds.index("CallEnded") < kinds.index("DrainEnded")
        assert kinds[-1] == "SwitchStopped"
        assert (await facts)[-1]["body"]["reason"] == "SIGTERM: no call is up any more"


async def test_told_twice_it_ends_at_once_and_in_good_order(tmp_path: Path) -> None:
    options = ("--set", f"sip.listen={LOOPBACK}", "--set", "mqtt.broker=off", "--set", "media.workers=1")
    async with (
        Switch(tmp_path / "switch", options, tmp_path / "data") as switch,
        Stub(switch.where) as agent,
        Stub(switch.where) as caller,
    ):
        await begin_talk(switch, agent, caller)
        os.kill(switch.pid, signal.SIGTERM)
        await until(lambda: "once more ends now" in switch.log(), "it says so")
        await switch.stop(signal.SIGINT)
        assert caller.find(method="BYE") is not None
        assert agent.find(method="BYE") is not None
        assert (await switch.interaction())["cause"] == "shutdown"
        ended = switch.query("SELECT body FROM facts WHERE kind = 'DrainEnded'")
        assert [json.loads(row["body"])["outcome"] for row in ended] == ["cut_short"]


# -------------------------------------------------------------------------------------------------------- systemd


async def test_systemd_hears_that_it_is_ready_reloads_lives_and_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = own_config(tmp_path)
    async with Manager() as systemd:
        monkeypatch.setenv("NOTIFY_SOCKET", systemd.name)
        monkeypatch.setenv("WATCHDOG_USEC", "600000")
        async with Switch(tmp_path / "switch", ("--config", str(config))) as switch:
            await until(lambda: systemd.of("READY"), "it is ready")
            assert systemd.of("STATUS")[0] == "0 calls, 0 waiting, 0 of 6 agents ready"
            await until(lambda: len(systemd.of("WATCHDOG")) >= 3, "its loop turns")

            seen = len(systemd.told)
            os.kill(switch.pid, signal.SIGSTOP)
            try:
                await until(lambda: _state(switch.pid) == "T", "it stands still")
                while systemd.told[seen:]:
                    seen = len(systemd.told)
                    await asyncio.sleep(0.05)
                await stays(lambda: not systemd.of("WATCHDOG", seen), "it hangs, and says nothing", 1.0)
            finally:
                os.kill(switch.pid, signal.SIGCONT)
            await until(lambda: systemd.of("WATCHDOG", seen), "it goes on")

            seen = len(systemd.told)
            (config / "newcomers.yaml").write_text(GINA)
            status, _, err = await callcenter(tmp_path, "reload", "--socket", str(control_of(switch)))
            assert (status, err) == (0, "")
            await until(lambda: systemd.of("READY", seen), "it is ready again")
            names = [name for _, message in systemd.told[seen:] for name in message]
            assert names.index("RELOADING") < names.index("READY")
            assert int(systemd.of("MONOTONIC_USEC", seen)[0]) > 0
            await until(lambda: "0 of 7 agents ready" in systemd.of("STATUS")[-1], "and says how it is")

            seen = len(systemd.told)
            await switch.stop()
            await until(lambda: systemd.of("STOPPING", seen) == ["1"], "it says that it stops")
            assert int(systemd.of("EXTEND_TIMEOUT_USEC", seen)[0]) > 0


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


async def test_why_tells_of_a_call_of_an_agent_and_of_a_queue(switch: Switch, tmp_path: Path) -> None:
    """From the log for a call, from the floor for the others; in words, and as JSON for programs."""
    socket = str(control_of(switch))
    async with agent_phone(switch, tmp_path, TECH) as agent, caller_phone(switch, tmp_path) as caller:
        await talk(caller, agent, TECH)
        [row] = switch.query("SELECT call_id FROM facts WHERE kind = 'CallConnected'")
        status, out, err = await callcenter(tmp_path, "why", row["call_id"], "--socket", socket)
        assert (status, err) == (0, "")
        assert "ana was the only one who could take the caller" in out, out
        assert "ana: accepted" in out, out
        status, text, _ = await callcenter(tmp_path, "why", row["call_id"], "--json", "--socket", socket)
        assert json.loads(text)["decisions"][0]["agent"] == "ana"
        status, out, _ = await callcenter(tmp_path, "why", "--agent", "ana", "--socket", socket)
        assert out == "ana takes no calls now: talking\nnobody waits\n"
        status, out, _ = await callcenter(tmp_path, "why", "--queue", "tech-giant-sales-en", "--socket", socket)
        assert out.startswith("tech-giant-sales-en: 0 waiting"), out
        status, _, err = await callcenter(tmp_path, "why", "--agent", "nobody", "--socket", socket)
        assert (status, err) == (1, "callcenter: no agent is named `nobody`\n")
