"""Our own Mosquitto: who may read what, that it comes back, and that it goes with the switch."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import pwd
import shutil
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from callcenter.publish import mosquitto, topics
from callcenter.publish.mosquitto import MosquittoBroker, find_program, mosquitto_hash
from callcenter.publish.mqtt import BrokerError
from callcenter.publish.settings import MqttLogin, Role
from tests.unit.publish.mosquitto_clients import VERSIONS, publish, reader
from tests.unit.publish.support import until

ANA = MqttLogin("ana", Role.AGENT, password="ana's word")
BOB = MqttLogin("bob", Role.AGENT, hash=mosquitto_hash("bob's word", iterations=101))
MONITOR = MqttLogin("monitor", Role.MONITOR, password="watch")
LOGINS = (ANA, BOB, MONITOR)
SWITCH = "switch"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may change users")


@pytest.fixture
def for_all() -> Iterator[Path]:
    """A folder that the broker's user may use too: pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="program-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@contextlib.asynccontextmanager
async def broker(folder: Path, port: int = 0, program: str | None = None) -> AsyncIterator[MosquittoBroker]:
    made = MosquittoBroker(folder, LOGINS, port=port, program=program)
    try:
        yield made
    finally:
        await made.close()


@contextlib.asynccontextmanager
async def started(folder: Path) -> AsyncIterator[MosquittoBroker]:
    async with broker(folder / "broker") as made:
        assert await made.start(), made.detail
        yield made


def word_of_switch(made: MosquittoBroker) -> str:
    password = made.address().password
    assert password is not None
    return password


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


@pytest.mark.parametrize("version", VERSIONS)
async def test_another_agents_login_reads_nothing(tmp_path: Path, version: str) -> None:
    """Ana reads her own and the switch's status, by whatever filter; of Bob and of the calls she reads nothing."""
    filters: tuple[str, ...] = (
        "#",
        "callcenter/v1/#",
        "callcenter/v1/agents/bob/pop",
        "callcenter/v1/agents/+/+",
        "$SYS/#",
    )
    if version == "mqttv5":
        filters += ("$share/ours/callcenter/v1/agents/bob/#",)
    async with started(tmp_path) as made:
        switch = word_of_switch(made)
        await publish(made.port, SWITCH, switch, topics.agent_pop("bob"), "secret")
        async with (
            reader(made.port, "ana", "ana's word", *filters, version=version) as ana,
            reader(made.port, "bob", "bob's word", "callcenter/v1/#", version=version) as bob,
            reader(made.port, "monitor", "watch", "#", version=version) as monitor,
        ):
            for topic in (
                topics.agent_pop("bob"),
                topics.agent_state("bob"),
                topics.call_event("cc1-x"),
                "callcenter/v1/queues/sales/state",
                "callcenter/v1/agents/bob/cmd",
                "elsewhere",
                topics.agent_pop("ana"),
                topics.STATUS,
            ):
                assert await publish(made.port, SWITCH, switch, topic, f"to {topic}") == "" or topic == "elsewhere"
            await until(lambda: all(each.of(topics.STATUS) for each in (ana, bob, monitor)))
            assert {topic for _, topic, _ in ana.got} == {topics.agent_pop("ana"), topics.STATUS}
            assert [topic for _, topic, _ in bob.got] == [
                topics.agent_pop("bob"),
                topics.agent_state("bob"),
                "callcenter/v1/agents/bob/cmd",
                topics.STATUS,
            ]
            assert [topic for _, topic, _ in monitor.got] == [
                topics.agent_state("bob"),
                topics.call_event("cc1-x"),
                "callcenter/v1/queues/sales/state",
                topics.STATUS,
            ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_retained_state_of_another_agent_is_not_handed_out_either(tmp_path: Path, version: str) -> None:
    async with started(tmp_path) as made:
        switch = word_of_switch(made)
        for topic in (topics.agent_state("ana"), topics.agent_state("bob"), topics.STATUS):
            async with reader(made.port, SWITCH, switch, topic) as own:
                await _retain(made, switch, topic)
                await until(lambda: own.got)
        async with reader(made.port, "ana", "ana's word", "callcenter/v1/#", version=version) as late:
            await until(lambda: late.of(topics.STATUS))
            assert sorted(late.got) == [(True, topics.agent_state("ana"), "kept"), (True, topics.STATUS, "kept")]


async def _retain(made: MosquittoBroker, password: str, topic: str) -> None:
    program = shutil.which("mosquitto_pub")
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        *(program, "-h", "127.0.0.1", "-p", str(made.port), "-u", SWITCH, "-P", password, "-q", "1", "-r"),
        *("-t", topic, "-m", "kept"),
    )
    assert await process.wait() == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_agent_writes_acknowledgements_and_commands_of_its_own_and_nothing_else(
    tmp_path: Path, version: str
) -> None:
    async with started(tmp_path) as made, reader(made.port, SWITCH, word_of_switch(made), "callcenter/v1/#") as switch:
        for topic in (
            "callcenter/v1/status",
            topics.agent_pop("ana"),
            topics.agent_state("ana"),
            "callcenter/v1/agents/bob/cmd",
            "callcenter/v1/agents/bob/pop/ack",
            "callcenter/v1/agents/ana/pop/ack",
            "callcenter/v1/agents/ana/cmd",
        ):
            await publish(made.port, "ana", "ana's word", topic, "forged", version)
        await publish(made.port, "monitor", "watch", "callcenter/v1/agents/ana/cmd", "forged", version)
        await publish(made.port, SWITCH, word_of_switch(made), "callcenter/v1/status", "end")
        await until(lambda: switch.of("callcenter/v1/status"))
        assert [(topic, payload) for _, topic, payload in switch.got] == [
            ("callcenter/v1/agents/ana/pop/ack", "forged"),
            ("callcenter/v1/agents/ana/cmd", "forged"),
            ("callcenter/v1/status", "end"),
        ]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_wrong_password_and_no_login_are_refused(tmp_path: Path, version: str) -> None:
    async with started(tmp_path) as made:
        for user, password in (("ana", "bob's word"), ("nobody", "x"), (SWITCH, "switch"), ("", ""), (None, "")):
            said = await publish(made.port, user, password, "callcenter/v1/status", "x", version)
            assert "not authori" in said.lower(), (user, said)


async def test_who_takes_another_clients_id_reads_nothing_that_waited_for_it(tmp_path: Path) -> None:
    keep = ("-i", "anas-desk", "-c", "-x", "3600")
    async with started(tmp_path) as made:
        async with reader(made.port, "ana", "ana's word", topics.agent_pop("ana"), options=keep):
            pass
        await publish(made.port, SWITCH, word_of_switch(made), topics.agent_pop("ana"), "for ana")
        async with reader(made.port, "bob", "bob's word", topics.STATUS, options=keep) as thief:
            await publish(made.port, SWITCH, word_of_switch(made), topics.agent_pop("ana"), "for ana too")
            await publish(made.port, SWITCH, word_of_switch(made), topics.STATUS, "end")
            await until(lambda: thief.of(topics.STATUS))
            assert thief.got == [(False, topics.STATUS, "end")]


async def test_an_agent_that_was_away_gets_what_waited(tmp_path: Path) -> None:
    """Also when the broker was started again meanwhile: it stores what waits."""
    keep = ("-i", "anas-desk", "-c", "-x", "3600")
    async with broker(tmp_path / "broker") as first:
        assert await first.start()
        async with reader(first.port, "ana", "ana's word", "callcenter/v1/agents/ana/#", options=keep):
            pass
        await publish(first.port, SWITCH, word_of_switch(first), "callcenter/v1/agents/ana/cmd/reply", "waited")
    async with (
        started(tmp_path) as second,
        reader(second.port, "ana", "ana's word", "callcenter/v1/agents/ana/#", options=keep) as ana,
    ):
        await until(lambda: ana.of("callcenter/v1/agents/ana/cmd/reply") == ["waited"])


async def test_a_broker_that_is_killed_comes_back_on_its_port(tmp_path: Path) -> None:
    async with broker(tmp_path / "broker") as made:
        told: list[tuple[bool, str]] = []
        made.on_state = lambda running, detail: told.append((running, detail))
        assert await made.start()
        port, pid = made.port, made.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await until(lambda: made.running and made.pid != pid)
        assert made.port == port
        assert await accepts(port)
        assert told == [(True, ""), (False, "mosquitto ended: signal 9"), (True, "")]
        last = made.pid
    assert last is not None
    assert gone(last)
    assert not await accepts(port)


async def test_a_program_that_does_not_start_is_one_line_with_its_last_words_and_is_tried_again(
    tmp_path: Path, for_all: Path
) -> None:
    program = for_all / "mosquitto"
    program.write_text("#!/bin/sh\necho starting\necho 'Error: the moon is wrong' >&2\nexit 3\n")
    program.chmod(0o755)
    async with broker(tmp_path / "broker", program=str(program)) as made:
        assert not await made.start()
        assert made.detail == "mosquitto did not start: status 3: Error: the moon is wrong"
        found = find_program()
        assert found is not None
        program.unlink()
        program.symlink_to(found)
        await until(lambda: made.running)


async def test_without_the_program_the_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mosquitto, "PLACES", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    async with broker(tmp_path / "broker") as made:
        assert not await made.start()
        assert "apt-get install mosquitto" in made.detail
        assert made.port > 0


async def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with broker(tmp_path / "file" / "broker") as made:
        assert not await made.start()
        assert made.detail == f"the broker's folder {tmp_path / 'file' / 'broker'} cannot be used: Not a directory"


async def test_a_program_that_never_listens_is_given_up_and_stopped(
    tmp_path: Path, for_all: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mosquitto, "STARTED_WITHIN", 0.3)
    monkeypatch.setattr(mosquitto, "STOPPED_WITHIN", 0.2)
    program = for_all / "mosquitto"
    program.write_text(f"#!/bin/sh\necho $$ > {for_all}/pid\ntrap '' TERM\nwhile :; do sleep 0.05; done\n")
    program.chmod(0o755)
    async with broker(tmp_path / "broker", program=str(program)) as made:
        assert not await made.start()
        assert made.detail.startswith("mosquitto took no connection on 127.0.0.1:")
        pid = int((for_all / "pid").read_text())
        await until(lambda: gone(pid))


async def test_a_port_that_is_taken_is_told_and_the_next_free_one_used(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        async with broker(tmp_path / "broker", port=taken) as made:
            assert await made.start()
            assert made.port != taken
            assert made.detail == f"port {taken} is in use by another program: listening on {made.port}"
            assert await accepts(made.port)


async def test_a_port_that_is_lost_between_the_look_and_the_start_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        choices = [(other.getsockname()[1], ""), (other.getsockname()[1], "")]
        choose = mosquitto._choose_port
        monkeypatch.setattr(mosquitto, "_choose_port", lambda *args: choices.pop() if choices else choose(*args))
        async with broker(tmp_path / "broker") as made:
            assert await made.start()
            assert made.port != other.getsockname()[1]


async def test_the_wanted_port_is_taken_when_it_is_free(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        free = other.getsockname()[1]
    async with broker(tmp_path / "broker", port=free) as made:
        assert await made.start()
        assert (made.port, made.detail) == (free, "")


SWITCH_PROCESS = """
import asyncio, sys
from pathlib import Path
from callcenter.publish.mosquitto import MosquittoBroker
{policy}
async def main():
    made = MosquittoBroker(Path(sys.argv[1]), [], port=int(sys.argv[2]))
    await made.start()
    print(made.pid, made.port, made.detail, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
UVLOOP = "import uvloop; asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())"


@pytest.mark.parametrize("policy", ["", UVLOOP])
async def test_a_switch_killed_by_minus_nine_takes_its_broker_along(tmp_path: Path, policy: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SWITCH_PROCESS.format(policy=policy), str(tmp_path / "broker"), "0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).split()
    pid, port = int(line[0]), int(line[1])
    assert await accepts(port)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await until(lambda: gone(pid))
    assert not await accepts(port)


async def test_a_switch_started_right_after_a_kill_gets_its_port_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker of the run before hangs and still holds the port: it is ended, by its own process id."""
    monkeypatch.setattr(mosquitto, "STOPPED_WITHIN", 0.2)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SWITCH_PROCESS.format(policy=""), str(tmp_path / "broker"), "0"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).split()
    pid, port = int(line[0]), int(line[1])
    os.kill(pid, signal.SIGSTOP)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    async with broker(tmp_path / "broker", port=port) as made:
        assert await made.start()
        assert (made.port, made.detail) == (port, "")
        assert gone(pid)


async def test_the_number_of_an_old_broker_that_is_another_process_now_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "broker").mkdir()
    for text in (str(os.getpid()), "1", "x", ""):
        (tmp_path / "broker" / "mosquitto.pid").write_text(text)
        async with broker(tmp_path / "broker") as made:
            assert await made.start()


async def test_ctrl_c_on_the_terminal_does_not_reach_the_broker(tmp_path: Path) -> None:
    async with started(tmp_path) as made:
        assert made.pid is not None
        assert os.getsid(made.pid) != os.getsid(0)


@as_root
async def test_as_root_the_broker_is_not_root_and_cannot_change_its_own_rules(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)  # As root's own folders are: the broker's user may not walk through them.
    async with started(tmp_path) as made:
        owner = Path(f"/proc/{made.pid}").stat()
        assert owner.st_uid == pwd.getpwnam("mosquitto").pw_uid
        for name in ("mosquitto.conf", "acl", "passwd"):
            found = (made.folder / name).stat()
            assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, owner.st_gid, 0o640)
        assert stat.S_IMODE(made.folder.stat().st_mode) == 0o750
        assert stat.S_IMODE((made.folder / "state").stat().st_mode) == 0o700
    assert (made.folder / "state" / "mosquitto.db").stat().st_uid == owner.st_uid


AS_NOBODY = """
import concurrent.futures.thread, os, pwd, sys
nobody = pwd.getpwnam("nobody")
import callcenter.publish.mosquitto
os.chdir("/")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
sys.executable = {python!r}
"""


@as_root
async def test_an_ordinary_users_switch_has_a_broker_too() -> None:
    """The switch of user nobody: all its files belong to nobody, only nobody reads them, and -9 ends both."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip("there is no interpreter that every user may run")
    nobody = pwd.getpwnam("nobody")
    home = Path(tempfile.mkdtemp(prefix="broker-of-nobody-"))
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", AS_NOBODY.format(python=python) + SWITCH_PROCESS.format(policy="")),
            *(str(home / "broker"), "0"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 20)).split()
        pid, port = int(line[0]), int(line[1])
        assert await accepts(port)
        assert Path(f"/proc/{pid}").stat().st_uid == nobody.pw_uid
        files = list((home / "broker").rglob("*"))
        assert {path.stat().st_uid for path in files} == {nobody.pw_uid}
        assert all(path.stat().st_mode & 0o077 == 0 for path in files)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await until(lambda: gone(pid))
    finally:
        shutil.rmtree(home)


def test_a_password_is_hashed_as_mosquitto_passwd_does() -> None:
    """The hash is what mosquitto_passwd 2.0.11 made of the word `secret`."""
    theirs = (
        "$7$101$KIZTtMAO2gAQda4X$"
        "IyP1ofl86uELTAMyVWbxRr3BsJlD/CjlrVrIraadLNpWID4/ZsQ7CSHUEGPgll1laLoD1qgfrQzx2JBlw9SIyA=="
    )
    assert mosquitto_hash("secret", base64.b64decode("KIZTtMAO2gAQda4X"), 101) == theirs
    assert mosquitto_hash("secret") != mosquitto_hash("secret")


@pytest.mark.parametrize(
    ("login", "why"),
    [
        (MqttLogin("switch", Role.AGENT, password="x"), "the switch's own"),
        (MqttLogin("Ana", Role.AGENT, password="x"), "lower-case letters"),
        (MqttLogin("+", Role.AGENT, password="x"), "lower-case letters"),
        (MqttLogin("a:b", Role.MONITOR, password="x"), "lower-case letters"),
        (MqttLogin("ana", Role.MONITOR, password="x"), "there twice"),
        (MqttLogin("eva", Role.AGENT), "has no password"),
        (MqttLogin("eva", Role.AGENT, hash="secret"), "not a Mosquitto hash"),
        (MqttLogin("eva", Role.AGENT, hash=mosquitto_hash("x") + "\nroot:x"), "not a Mosquitto hash"),
    ],
)
def test_a_login_that_cannot_be_is_one_line(tmp_path: Path, login: MqttLogin, why: str) -> None:
    with pytest.raises(BrokerError, match=why) as caught:
        MosquittoBroker(tmp_path, [ANA, login])
    assert "secret" not in str(caught.value)


def test_passwords_are_not_printed() -> None:
    made = MosquittoBroker(Path("/nowhere"), LOGINS)
    for text in (repr(made), repr(made.address()), str(made.address()), repr(ANA)):
        assert word_of_switch(made) not in text
        assert "ana's word" not in text


async def test_logins_change_while_it_runs_and_who_is_gone_from_them_is_cut_off(tmp_path: Path) -> None:
    carla = MqttLogin("carla", Role.AGENT, password="carla's word")
    async with started(tmp_path) as made:
        pid, word = made.pid, word_of_switch(made)
        async with (
            reader(made.port, "ana", "ana's word", topics.STATUS) as ana,
            reader(made.port, "bob", "bob's word", topics.STATUS) as bob,
        ):
            await made.set_logins([carla, BOB, MONITOR])
            await until(lambda: any("disconnected" in line.lower() for line in ana.said) or ana.process.returncode)
            await publish(made.port, SWITCH, word, topics.STATUS, "after")
            await until(lambda: bob.of(topics.STATUS) == ["after"])
            assert ana.of(topics.STATUS) == []
        async with reader(made.port, "carla", "carla's word", topics.agent_state("carla")) as new:
            await publish(made.port, SWITCH, word, topics.agent_state("carla"), "hers")
            await until(lambda: new.of(topics.agent_state("carla")) == ["hers"])
        assert "not authori" in (await publish(made.port, "ana", "ana's word", topics.STATUS, "x")).lower()
        assert made.pid == pid, "nobody else lost the broker"


async def test_logins_that_change_while_the_broker_is_down_hold_when_it_comes(tmp_path: Path) -> None:
    carla = MqttLogin("carla", Role.AGENT, password="carla's word")
    async with broker(tmp_path / "broker") as made:
        await made.set_logins([carla])
        with pytest.raises(BrokerError, match="mqtt login 'no slug!'"):
            await made.set_logins([MqttLogin("no slug!", Role.AGENT, password="x")])
        assert await made.start(), made.detail
        async with reader(made.port, "carla", "carla's word", topics.STATUS):
            pass
        assert "not authori" in (await publish(made.port, "ana", "ana's word", topics.STATUS, "x")).lower()


async def test_logins_that_change_just_as_the_broker_begins_hold_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carla = MqttLogin("carla", Role.AGENT, password="carla's word")
    begin = asyncio.create_subprocess_exec
    changing: list[asyncio.Task[None]] = []

    async def slowly(*command: str, **options: Any) -> asyncio.subprocess.Process:
        if not changing:
            changing.append(asyncio.create_task(made.set_logins([carla])))
            for _ in range(5):
                await asyncio.sleep(0)
        return await begin(*command, **options)

    async with broker(tmp_path / "broker") as made:
        monkeypatch.setattr("asyncio.create_subprocess_exec", slowly)
        assert await made.start(), made.detail
        monkeypatch.undo()
        await changing[0]
        async with reader(made.port, "carla", "carla's word", topics.STATUS) as new:
            assert any(line.startswith("Subscribed") for line in new.said), new.said
        async with reader(made.port, "ana", "ana's word", topics.STATUS) as gone:
            assert any("not authori" in line.lower() for line in gone.said), gone.said
