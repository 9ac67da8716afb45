"""Starting: what is printed, what is kept, and one clear line for what is wrong."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.wire import process
from tests.wire.floor import TECH
from tests.wire.stub import Stub
from tests.wire.switch import ROOT, Switch
from tests.wire.wait import until

STARTS_WITHIN = 30.0  # s
LOOPBACK = "[{transport: udp, host: 127.0.0.1, port: 0}, {transport: tcp, host: 127.0.0.1, port: 0}]"


async def callcenter(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Runs a command to its end: the status, and all that it printed."""
    running = await process.start(
        [sys.executable, "-m", "callcenter", *arguments],
        folder=folder,
        stderr=asyncio.subprocess.STDOUT,
        environment={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
    )
    try:
        out, _ = await asyncio.wait_for(running.communicate(), STARTS_WITHIN)
    finally:
        await process.end(running)
    return running.returncode or 0, out.decode()


async def refused(folder: Path, *arguments: str) -> str:
    """A start that fails; the one line that says why."""
    options = ["--data", str(folder / "data"), "--set", "mqtt.broker=off", "--set", f"sip.listen={LOOPBACK}"]
    status, said = await callcenter(folder, "run", "--log-level", "error", *options, *arguments)
    assert status != 0, said
    assert "Traceback" not in said, said
    lines = [line for line in said.splitlines() if line.strip()]
    return lines[-1]


@contextmanager
def taken_port() -> Iterator[int]:
    """A port of 127.0.0.1 that is taken, UDP and TCP."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        stream.bind(("127.0.0.1", 0))
        stream.listen()
        port = int(stream.getsockname()[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("127.0.0.1", port))
            yield port


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_port_in_use_is_one_clear_line(tmp_path: Path, transport: str) -> None:
    with taken_port() as port:
        line = await refused(
            tmp_path, "--set", f"sip.listen=[{{transport: {transport}, host: 127.0.0.1, port: {port}}}]"
        )
    assert str(port) in line
    assert "in use" in line


async def test_address_of_another_machine_is_one_clear_line(tmp_path: Path) -> None:
    line = await refused(tmp_path, "--set", "sip.listen=[{transport: udp, host: 192.0.2.1, port: 0}]")
    assert "192.0.2.1" in line


async def test_unwritable_data_folder_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    line = await refused(tmp_path, "--data", str(tmp_path / "file" / "data"))
    assert str(tmp_path / "file") in line


async def test_file_that_is_no_database_is_one_clear_line(tmp_path: Path) -> None:
    async with Switch(tmp_path / "first") as switch:
        name = switch.database.name
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text("this is no database, " * 100)
    line = await refused(tmp_path)
    assert name in line


async def test_broken_yaml_lists_every_mistake_with_its_place(tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    queues = (config / "queues.yaml").read_text()
    (config / "queues.yaml").write_text(queues.replace("client: casa-lumina", "client: casa-lumima"))
    agents = (config / "agents.yaml").read_text()
    (config / "agents.yaml").write_text(agents.replace("skills: {english: 4", "skills: {english: 9", 1))
    status, said = await callcenter(tmp_path, "run", "--config", str(config), "--data", str(tmp_path / "data"))
    assert status != 0
    assert "Traceback" not in said
    assert re.search(r"queues\.yaml:\d+:\d+: ", said)
    assert re.search(r"agents\.yaml:\d+:\d+: ", said)
    assert "casa-lumina" in said, "did you mean"
    assert not (tmp_path / "data").exists(), "nothing was begun"
    checked, told = await callcenter(tmp_path, "check", "--config", str(config))
    assert checked != 0
    assert re.search(r"queues\.yaml:\d+:\d+: ", told)


async def test_missing_prompt_is_told_with_its_place(tmp_path: Path) -> None:
    config = tmp_path / "config"
    shutil.copytree(ROOT / "config", config)
    prompts = (config / "prompts.yaml").read_text()
    (config / "prompts.yaml").write_text(prompts + "\n  mine:\n    en: {file: prompts/not-there.wav}\n")
    (config / "prompts.yaml").write_text(
        prompts.replace("prompts:\n", "prompts:\n  mine:\n    en: {file: prompts/not-there.wav}\n", 1)
    )
    status, said = await callcenter(tmp_path, "run", "--config", str(config), "--data", str(tmp_path / "data"))
    assert status != 0
    assert "Traceback" not in said
    assert re.search(r"prompts\.yaml:\d+:\d+: .*", said)
    assert "not-there.wav" in said


async def test_shipped_configuration_has_no_mistake(tmp_path: Path) -> None:
    status, said = await callcenter(tmp_path, "check", "--config", str(ROOT / "config"))
    assert status == 0, said
    assert (await callcenter(tmp_path, "check"))[0] == 0


async def test_broker_that_does_not_start_is_one_clear_line_and_calls_go_on(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "mosquitto").write_text("in the place of the broker's folder")
    async with (
        Switch(tmp_path / "switch", ("--set", f"sip.listen={LOOPBACK}"), data, may_complain=("broker",)) as switch,
        Stub(switch.where) as phone,
    ):
        await until(lambda: f"{data / 'mosquitto'} cannot be used" in switch.log(), "the log says why")
        invite = phone.invite(TECH.alias)
        answer = await phone.final(invite)
        assert answer.status == 200
        assert (await phone.final(phone.in_dialog("BYE", invite, answer))).status == 200
        await switch.interaction()


async def test_broker_whose_port_is_taken_says_where_it_is_instead(tmp_path: Path) -> None:
    with taken_port() as port:
        async with Switch(tmp_path, options=("--set", f"mqtt.port={port}")) as switch:
            assert switch.ready["mqtt"]["port"] != port
            await until(lambda: f"port {port} is in use" in switch.log(), "the log says so")


async def test_first_start_makes_passwords_prints_them_once_and_keeps_them_to_their_owner(tmp_path: Path) -> None:
    data = tmp_path / "data"
    options = ["--data", str(data), "--set", "mqtt.port=0", "--set", f"sip.listen={LOOPBACK}"]
    first, again = [await _until_ready(tmp_path, *options) for _ in range(2)]
    kept = data / "credentials.yaml"
    assert kept.stat().st_mode & 0o777 == 0o600
    password = re.search(r"ana\b.*?([A-Za-z0-9_-]{10,})", first)
    assert password is not None, first
    assert password[1] in kept.read_text()
    assert password[1] not in again, "printed once"
    for said in (first, again):
        assert "+18005550100" in said, "what to dial"
        assert "127.0.0.1" in said, "and where"


async def test_trial_leaves_nothing_behind_however_it_is_ended(tmp_path: Path) -> None:
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        switch = Switch(tmp_path)
        await switch.start()
        await switch.stop(how)
        switch.assert_nothing_left()
        switch.assert_log_clean()


async def _until_ready(folder: Path, *options: str) -> str:
    """Starts the switch, waits for its ready line, ends it; all that it printed."""
    running = await process.start(
        [sys.executable, "-m", "callcenter", "run", "--log-level", "error", "--set", "desk.enabled=false", *options],
        folder=folder,
        stderr=asyncio.subprocess.STDOUT,
        environment={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
    )
    said = ""
    try:
        assert running.stdout is not None
        async with asyncio.timeout(STARTS_WITHIN):
            while "dial" not in said.lower():
                line = await running.stdout.readline()
                assert line, said
                said += line.decode()
    finally:
        running.terminate()
        rest, _ = await running.communicate()
    return said + rest.decode()
