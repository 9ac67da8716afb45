"""What relays sound under measurement, on the switch's core: our media plane with one worker, or rtpengine.

Both are given session descriptions and answer with the ports to which the generator then sends.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from scripts.benchmarks import machine
from scripts.benchmarks.part import BenchError, Run
from scripts.benchmarks.program import Program

HOST = "127.0.0.1"
PORTS = 6400
# Names that a description gives to static payload types.
_NAMES = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000"}
_START_WITHIN = 20.0
_ANSWER_WITHIN = 5.0


class Relay(Protocol):
    """What calls go through."""

    @property
    def pid(self) -> int:
        """The process that was started; what it has started belongs to it."""
        ...

    @property
    def spent(self) -> float:
        """CPU seconds of those processes that carry sound."""
        ...

    def calls(self, offers: Sequence[Sequence[str]]) -> list[int]:
        """Bridge calls of two legs; the ports of all legs in order."""
        ...

    def close(self) -> None:
        """End all calls."""
        ...


def description(port: int, payload_type: int = 0) -> str:
    """An offer of one codec, and telephone events."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {payload_type} 101\r\na=rtpmap:{payload_type} {_NAMES[payload_type]}\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\n"
    )


class Plane:
    """Our own."""

    def __init__(self, program: Program) -> None:
        self._program = program
        program.answer()

    @property
    def pid(self) -> int:
        """The plane; its workers are its children."""
        return self._program.process.pid

    @property
    def spent(self) -> float:
        """CPU seconds of the workers."""
        return machine.cost(self.pid).workers

    @property
    def memory(self) -> int:
        """Octets of the workers that they share with nobody."""
        return machine.memory(self.pid).uss - machine.alone(self.pid).uss

    def calls(self, offers: Sequence[Sequence[str]]) -> list[int]:
        """Bridge calls of two legs; the ports of all legs in order."""
        return self._ports({"calls": offers})

    def recorded(self, offers: Sequence[Sequence[str]], folder: Path) -> list[int]:
        """Bridge calls of two legs, and record each."""
        return self._ports({"calls": offers, "record": str(folder)})

    def conferences(self, offers: Sequence[Sequence[str]]) -> list[int]:
        """Conferences in which each leg hears the others; their ports."""
        return self._ports({"conferences": offers})

    def prompts(self, offers: Sequence[str], clip: Path, seconds: float) -> list[int]:
        """Play the clip to each, round and round; their ports."""
        return self._ports({"prompts": offers, "clip": str(clip), "seconds": seconds})

    def taken(self) -> int:
        """Packets that all legs have received so far."""
        return int(self._order({"taken": True})["taken"])

    def close(self) -> None:
        """End all calls."""
        self.end()

    def end(self) -> tuple[float, int]:
        """End all calls: seconds of the shortest recording, and how many did not come to a good end."""
        told = self._order({"close": True})
        return float(told["shortest"]), int(told["broken"])

    def _ports(self, order: dict[str, Any]) -> list[int]:
        ports: list[int] = self._order(order)["ports"]
        return ports

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        return self._program.order(json.dumps(order).encode())


@contextlib.contextmanager
def plane(run: Run) -> Iterator[Plane]:
    """The media plane with one worker while the block lasts."""
    low = _first_port()
    log = run.folder / "plane.log"
    with log.open("ab") as errors:
        process = run.start_on_switch_core(
            [sys.executable, "-m", "scripts.benchmarks.plane", str(low), str(low + PORTS - 1)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    program = Program(process, lambda: f"the media plane has ended: {log.read_text(errors='replace')[-1500:]}")
    with process:
        try:
            yield Plane(program)
        finally:
            program.end()


class Rtpengine:
    """Sipwise rtpengine in userspace, by its own control protocol ("ng": a cookie, then a bencoded dictionary)."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self._process = process
        self._log = log
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(_ANSWER_WITHIN)
        self._socket.connect((HOST, port))
        self._cookies = itertools.count(1)
        self._names = itertools.count(1)
        self._open: list[str] = []
        self._wait_until_up()

    @property
    def pid(self) -> int:
        """The daemon."""
        return self._process.pid

    @property
    def spent(self) -> float:
        """Its CPU seconds."""
        return machine.cost(self.pid).main

    def calls(self, offers: Sequence[Sequence[str]]) -> list[int]:
        """An offer of the one leg and an answer of the other for each call; the ports of all legs in order."""
        ports = []
        for caller, agent in offers:
            name = f"bench{next(self._names)}"
            self._open.append(name)
            common = {"call-id": name, "from-tag": "a", "replace": ["origin"], "ICE": "remove"}
            to_agent = self._ask({**common, "command": "offer", "sdp": caller})
            to_caller = self._ask({**common, "command": "answer", "to-tag": "b", "sdp": agent})
            ports += [_media_port(to_caller["sdp"]), _media_port(to_agent["sdp"])]
        return ports

    def close(self) -> None:
        """End all calls."""
        while self._open:
            self._ask({"command": "delete", "call-id": self._open.pop(), "from-tag": "a", "delete-delay": 0})

    def shut(self) -> None:
        """Ask nothing more."""
        self._socket.close()

    def _wait_until_up(self) -> None:
        until = time.monotonic() + _START_WITHIN
        while time.monotonic() < until and self._process.poll() is None:
            cookie = f"p{next(self._cookies)}"
            with contextlib.suppress(ConnectionRefusedError):
                self._socket.send(f"{cookie} d7:command4:pinge".encode())
                if select.select([self._socket], [], [], 0.2)[0]:
                    self._socket.recv(65535)
                    return
            time.sleep(0.05)
        raise BenchError(f"rtpengine did not start: {self._log.read_text(errors='replace')[-1000:]}")

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        cookie = f"c{next(self._cookies)}".encode()
        self._socket.send(cookie + b" " + bencode(command))
        while True:
            try:
                data = self._socket.recv(65535)
            except TimeoutError:
                raise BenchError(f"rtpengine did not answer to {command['command']}") from None
            if data.startswith(cookie + b" "):
                break
        answer: dict[str, Any] = bdecode(data[len(cookie) + 1 :])
        if answer.get("result") != "ok":
            raise BenchError(f"rtpengine: {command['command']}: {answer.get('error-reason', answer)}")
        return answer


@contextlib.contextmanager
def rtpengine(run: Run) -> Iterator[Rtpengine]:
    """The daemon with one thread that relays, without its kernel module, while the block lasts."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    low = _first_port()
    log = run.folder / "rtpengine.log"
    command = ["rtpengine", "--config-file=none", "--table=-1", "--num-threads=1", f"--interface={HOST}"]
    command += [f"--listen-ng={HOST}:{port}", f"--port-min={low}", f"--port-max={low + PORTS - 1}"]
    command += ["--foreground", "--log-stderr", "--log-level=3", f"--pidfile={run.folder / 'rtpengine.pid'}"]
    with log.open("ab") as errors:
        process = run.start_on_switch_core(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors)
    with process:
        try:
            engine = Rtpengine(process, port, log)
            yield engine
            engine.shut()
        finally:
            process.terminate()


def rtpengine_is_here() -> bool:
    """Whether it can be measured at all. No part of it belongs to us; who wants it beside our figures installs it."""
    return shutil.which("rtpengine") is not None


def bencode(value: Any) -> bytes:
    """As BitTorrent has it: ``i1e``, ``3:abc``, ``l...e``, ``d...e``."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"
    return b"l" + b"".join(map(bencode, value)) + b"e"


def bdecode(data: bytes) -> Any:
    """What :func:`bencode` made; strings as text."""
    return _bdecode(data, 0)[0]


def _bdecode(data: bytes, at: int) -> tuple[Any, int]:
    kind = data[at : at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1 : end]), end + 1
    if kind in (b"l", b"d"):
        found, at = [], at + 1
        while data[at : at + 1] != b"e":
            value, at = _bdecode(data, at)
            found.append(value)
        return found if kind == b"l" else dict(zip(found[::2], found[1::2], strict=True)), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1 : end].decode(errors="replace"), end


def _media_port(sdp: str) -> int:
    return int(sdp.split("m=audio ", 1)[1].split(" ", 1)[0])


def _first_port() -> int:
    """The first of a run of ports, below those that the kernel gives out by itself."""
    first, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    return (10_000 if first - PORTS > 12_000 else 40_000) + 2 * (os.getpid() % 500)
