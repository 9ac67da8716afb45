"""sipp as a caller that is exact on the wire, one or many at once; its own statistics say what was lost."""

from __future__ import annotations

import asyncio
import csv
import os
from dataclasses import dataclass
from pathlib import Path

from tests.wire import process, tone

SCENARIOS = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Tally:
    """What sipp counted, and what it complained of; ``refused``: by a switch that is full."""

    status: int
    succeeded: int
    refused: int
    failed: int
    retransmissions: int
    errors: str

    @property
    def clean(self) -> bool:
        """Every call as the scenario tells it, to its end."""
        return self.status == 0 and self.failed == 0 and self.refused == 0


def can_press_keys() -> bool:
    """Sipp sends its captured digits by a raw socket."""
    return os.geteuid() == 0


async def call(
    folder: Path,
    scenario: str,
    target: str,
    number: str,
    *,
    calls: int = 1,
    rate: int = 50,
    talk: float = 2.0,
    keys: str = "1",
    transport: str = "udp",
    seconds: float = 60.0,
    status: int = 404,
    name: str = "sipp",
    info: tuple[str, str] = ("", ""),
) -> Tally:
    """Runs a scenario of ``scenarios/`` against ``target`` (host:port) and returns when all its calls are over.

    ``keys`` is what the caller presses, ``talk`` how long he stays then, ``status`` what a refused one must get,
    ``name`` what the switch is told of who calls, ``info`` the type and the body of an INFO.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pressed = folder / "keys.pcap"
    pressed.write_bytes(tone.pcap_of_keys(keys))
    script = folder / "scenario.xml"
    told = (SCENARIOS / f"{scenario}.xml").read_text()
    told = told.replace("KEYS_PCAP", str(pressed)).replace("STATUS", str(status)).replace('"sipp [', f'"{name} [')
    script.write_text(told.replace("INFO_TYPE", info[0]).replace("INFO_BODY", info[1]))
    command = [
        *("sipp", target, "-sf", str(script), "-s", number, "-i", "127.0.0.1", "-mi", "127.0.0.1"),
        *(
            "-mp",
            str(process.free_range(4)[0]),
            "-m",
            str(calls),
            "-l",
            str(calls),
            "-r",
            str(rate),
            "-d",
            str(int(talk * 1000)),
        ),
        *("-t", "t1" if transport == "tcp" else "u1", "-timeout", str(int(seconds)), "-timeout_error"),
        *("-trace_err", "-error_file", str(folder / "errors.log")),
        *("-trace_stat", "-stf", str(folder / "stat.csv"), "-fd", "1", "-nostdin"),
    ]
    with (folder / "screen.log").open("wb") as screen:
        running = await process.start(command, folder=folder, stdout=screen)
    try:
        await asyncio.wait_for(running.wait(), seconds + 10)
    finally:
        await process.end(running)
    return _tally(running.returncode or 0, folder)


def _tally(status: int, folder: Path) -> Tally:
    errors = folder / "errors.log"
    said = errors.read_text(errors="replace")[-3000:] if errors.exists() else ""
    counted = folder / "stat.csv"
    rows = list(csv.DictReader(counted.read_text().splitlines(), delimiter=";")) if counted.exists() else []
    if not rows:
        return Tally(status or 255, 0, 0, 0, 0, said + (folder / "stderr.log").read_text(errors="replace")[-2000:])
    last = rows[-1]
    refused = int(last.get("refused(C)") or 0)
    return Tally(
        status,
        int(last["SuccessfulCall(C)"]) - refused,
        refused,
        int(last["FailedCall(C)"]),
        int(last["Retransmissions(C)"]),
        said,
    )
