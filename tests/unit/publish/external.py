"""Somebody's own broker: a Mosquitto that the switch does not know, with TLS, logins and rights as its owner likes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from callcenter.publish.mosquitto import find_program, mosquitto_hash
from tests.unit.publish.support import until

USER, PASSWORD = "switch", "geheim"
# Seconds after which a broker that has not ended is told so again.
TOLD_AGAIN = 0.5


def openssl(folder: Path, *arguments: str) -> None:
    """Run openssl in ``folder``; these tests need it installed."""
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate authority in a folder of its own: ``ca.pem``, and what it has signed."""

    folder: Path

    @classmethod
    def found(cls, folder: Path) -> Authority:
        """A new one, that nobody trusts yet."""
        folder.mkdir(parents=True)
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl(folder, "req", "-x509", *curve, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.pem")
        return cls(folder)

    @property
    def certificate(self) -> Path:
        """What one trusts it by."""
        return self.folder / "ca.pem"

    def issue(self, name: str, *, of: str = "DNS:localhost", days: int = 2) -> tuple[Path, Path]:
        """Certificate and key for the names ``of``; with less than no days it has run out."""
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl(self.folder, "req", *curve, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (self.folder / f"{name}.names").write_text(f"subjectAltName={of}")
        openssl(
            self.folder,
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", str(days), "-extfile", f"{name}.names", "-out", f"{name}.pem"),
        )
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"


@dataclass(slots=True)
class External:
    """``async with External(folder, port) as broker``: it runs while the block lasts, unless it is stopped."""

    folder: Path
    port: int
    certificate: tuple[Path, Path] | None = None
    clients_of: Path | None = None
    """Whose certificates clients must show."""
    acl: str = ""
    more: str = ""
    users: dict[str, str] = field(default_factory=lambda: {USER: PASSWORD})
    _process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [f"listener {self.port} 127.0.0.1", "user root", "allow_anonymous false", "set_tcp_nodelay true"]
        if self.users:
            hashed = [f"{user}:{mosquitto_hash(word, iterations=101)}\n" for user, word in self.users.items()]
            (self.folder / "passwd").write_text("".join(hashed))
            lines.append(f"password_file {self.folder / 'passwd'}")
        if self.certificate is not None:
            lines += [f"certfile {self.certificate[0]}", f"keyfile {self.certificate[1]}"]
        if self.clients_of is not None:
            lines += [f"cafile {self.clients_of}", "require_certificate true"]
        if self.acl:
            (self.folder / "acl").write_text(self.acl)
            lines.append(f"acl_file {self.folder / 'acl'}")
        (self.folder / "mosquitto.conf").write_text("\n".join([*lines, self.more, ""]))
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(signal.SIGTERM)

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, and wait until it takes connections."""
        program = find_program()
        assert program is not None, "these tests need mosquitto: apt-get install mosquitto"
        log = self.folder / "log"

        def said() -> str:
            return log.read_text(errors="replace") if log.exists() else ""

        before = said().count(" running")
        with log.open("ab") as out:
            self._process = process = await asyncio.create_subprocess_exec(
                *(program, "-c", str(self.folder / "mosquitto.conf")), stdout=out, stderr=out, cwd=self.folder
            )
        await until(lambda: said().count(" running") > before or process.returncode is not None)
        assert process.returncode is None, said()

    async def stop(self, how: signal.Signals) -> None:
        """End it, and wait until it is gone; ``SIGKILL`` as if its power had failed. May be called twice.

        Mosquitto 2.0 says that it runs, and only then sets the flag that SIGTERM clears: one that comes in between is
        lost, which on a busy machine is one of five.
        """
        assert self._process is not None
        while self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(how)
                os.kill(self._process.pid, signal.SIGCONT)  # who was stopped does not hear SIGTERM
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TOLD_AGAIN):
                    await self._process.wait()

    def hang(self) -> None:
        """It does nothing any more, and its connections stay."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """It does what it did before."""
        os.kill(self.pid, signal.SIGCONT)
