"""The switch under test: `callcenter run --trial` in a process of its own, and the proof that nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import signal
import sqlite3
import sys
from asyncio.subprocess import Process
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ruamel.yaml import YAML

from tests.wire import process
from tests.wire.wait import PATIENCE, until

ROOT = Path(__file__).parent.parent.parent
PYTHON_PATH = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
WARNINGS = "default,ignore:'audioop' is deprecated:DeprecationWarning"
MARK = "CALLCENTER_TEST_MARK"  # in the environment of the switch and so of all that it starts


@dataclass(slots=True)
class Switch:
    """``async with Switch(folder) as switch``: ready when the block begins, gone without a trace after it."""

    folder: Path
    options: tuple[str, ...] = ()
    data: Path | None = None  # None: a trial; else `callcenter run` itself, on this folder, which stays
    desk: bool = False  # whether the desk runs beside it, on a free port: that is a second of CPU
    may_complain: tuple[str, ...] = ()  # parts of log lines at level error that this test expects
    ready: dict[str, Any] = field(default_factory=dict)
    _process: Process | None = None
    _mark: str = field(default_factory=lambda: secrets.token_hex(8))

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self.stop()
        if kind is None:
            self.assert_nothing_left()
            self.assert_log_clean()

    async def start(self) -> None:
        """Starts it and reads what it says of itself."""
        mode = ["--trial"] if self.data is None else ["--data", str(self.data)]
        command = [sys.executable, "-m", "callcenter", "run", *mode, "--log", "json"]
        command += ["--set", "desk.listen=127.0.0.1:0" if self.desk else "desk.enabled=false", *self.options]
        self._process = await process.start(
            command,
            folder=self.folder,
            environment={**os.environ, "PYTHONPATH": PYTHON_PATH, "PYTHONWARNINGS": WARNINGS, MARK: self._mark},
        )
        try:
            async with asyncio.timeout(PATIENCE):
                self.ready = await (self._read_trial() if self.data is None else self._read_lines(self.data))
        except (TimeoutError, ValueError) as error:
            await process.end(self._process)
            raise AssertionError(f"the switch did not start: {error}\n{self.log()[-4000:]}") from error

    async def _read_trial(self) -> dict[str, Any]:
        """The one line of JSON."""
        assert self._process is not None
        assert self._process.stdout is not None
        ready: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return ready

    async def _read_lines(self, data: Path) -> dict[str, Any]:
        """What an operator reads, brought into the form of the trial's line; the passwords from their file."""
        assert self._process is not None
        assert self._process.stdout is not None
        said = ""
        while "agents register as" not in said:
            line = await self._process.stdout.readline()
            if not line:
                raise ValueError(said)
            said += line.decode()
        addresses = {"udp": re.findall(r"udp (\S+?)[,;]", said), "tcp": re.findall(r"tcp (\S+?)[,;]", said)}
        kept = YAML(typ="safe").load((data / "credentials.yaml").read_text())["agents"]
        agents = [{"user": user, "password": each["sip"]} for user, each in kept.items()]
        database = str(data / "callcenter.db")
        return {"sip": addresses, "agents": agents, "data": str(data), "database": database, "pid": self._process.pid,
                "desk": {"url": found[1]} if (found := re.search(r"; desk (\S+?);", said)) else None}  # fmt: skip

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Ends it as an operator does."""
        if self._process is not None and self._process.returncode is None:
            status = await process.end(self._process, how)
            assert status == 0, f"the switch ended with {status}:\n{self.log()[-4000:]}"

    async def kill(self) -> None:
        """``kill -9``: its workers and its broker must follow by themselves."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()
        await until(lambda: not self.processes(), lambda: f"all that the switch had started ends: {self.processes()}")

    def kill_child(self, pid: int) -> None:
        """Kills one of the programs that the switch has started."""
        assert pid in self.processes()
        assert pid != self.pid
        os.kill(pid, signal.SIGKILL)

    @property
    def pid(self) -> int:
        """The process that wrote the line."""
        return int(self.ready["pid"])

    def address(self, transport: str = "udp") -> str:
        """The host:port on which it listens, IPv4."""
        return str(next(address for address in self.ready["sip"][transport] if not str(address).startswith("[")))

    @property
    def where(self) -> tuple[str, int]:
        """The same for sockets, UDP."""
        host, _, port = self.address().rpartition(":")
        return host, int(port)

    @property
    def where_ipv6(self) -> tuple[str, int] | None:
        """The same, IPv6; None on a machine that has none."""
        found = next((str(address) for address in self.ready["sip"]["udp"] if str(address).startswith("[")), None)
        if found is None:
            return None
        host, _, port = found.rpartition(":")
        return host.strip("[]"), int(port)

    def agent(self, user: str) -> dict[str, Any]:
        """An agent's line: user, password, name, skills, clients, mqtt."""
        return dict(next(agent for agent in self.ready["agents"] if agent["user"] == user))

    def number(self, alias: str) -> str:
        """The full number that an alias stands for."""
        return str(next(each["number"] for each in self.ready["numbers"] if alias in each["aliases"]))

    @property
    def database(self) -> Path:
        """The database file."""
        return Path(self.ready["database"])

    def query(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Reads the database while the switch writes it."""
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=5)
        try:
            connection.row_factory = sqlite3.Row
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    async def interactions(self, count: int = 1, seconds: float = PATIENCE) -> list[sqlite3.Row]:
        """The saved calls, when that many are over; in the order in which they arrived."""
        sql = "SELECT * FROM interactions WHERE ended_at IS NOT NULL ORDER BY arrived_at"
        return await until(
            lambda: rows if len(rows := self.query(sql)) >= count else None,
            lambda: f"{count} saved interactions; there are {len(self.query(sql))}; {self.log()[-1500:]}",
            seconds,
        )

    async def interaction(self) -> sqlite3.Row:
        """The first call that is saved."""
        return (await self.interactions())[0]

    def processes(self) -> list[int]:
        """Every process that carries this switch's mark, itself included."""
        found = []
        wanted = f"{MARK}={self._mark}".encode()
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                environment = (folder / "environ").read_bytes().split(b"\0")
                dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if wanted in environment and not dead:
                found.append(int(folder.name))
        return found

    def assert_nothing_left(self) -> None:
        """No process, no folder."""
        left = self.processes()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, f"processes are left behind: {left}"
        if self.data is None:
            assert not Path(self.ready["data"]).exists(), f"{self.ready['data']} is left behind"

    def log(self) -> str:
        """All that it wrote to its standard error."""
        path = self.folder / "stderr.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def assert_log_clean(self) -> None:
        """No trace of a mistake of ours, and no warning of Python's."""
        log = self.log()
        for sign in ("Traceback", "Warning:", "never awaited", "Task exception was never"):
            at = log.find(sign)
            assert at < 0, f"{sign!r} in the log:\n{log[max(0, at - 1500) : at + 2500]}"
        for line in log.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if entry.get("level") in {"error", "critical"} and not any(part in line for part in self.may_complain):
                raise AssertionError(f"an error in the log: {line}")
