"""The demo as a stranger runs it: three calls with real phones, told as they happen, and status 0."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.wire.switch import PYTHON_PATH

TOLD_WITHIN = 150.0  # s; it takes under a minute where nothing else runs
# Root's own interpreter may lie where nobody else can read it.
ANYBODYS_PYTHON = shutil.which("python3", path="/usr/local/bin:/usr/bin") or sys.executable
ANYBODYS_PATH = os.pathsep.join((PYTHON_PATH, sysconfig.get_path("purelib")))


async def demo(folder: Path, *options: str, user: str | None = None) -> tuple[int, str]:
    """Plays it, as another ``user`` if told so; its status and what it told."""
    python, path = (sys.executable, PYTHON_PATH) if user is None else (ANYBODYS_PYTHON, ANYBODYS_PATH)
    running = await asyncio.create_subprocess_exec(
        python, "-m", "callcenter", "demo", *options,
        cwd=folder, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(folder)},
        user=user, extra_groups=None if user is None else [],
    )  # fmt: skip
    try:
        async with asyncio.timeout(TOLD_WITHIN):
            told, _ = await running.communicate()
    finally:
        if running.returncode is None:
            running.terminate()
            await running.wait()
    assert running.returncode is not None
    return running.returncode, told.decode()


@contextlib.asynccontextmanager
async def commands_of(module: str) -> AsyncIterator[list[list[str]]]:
    """Every command line by which a program of ours runs while the block lasts, as anybody may read it."""
    seen: list[list[str]] = []

    async def look() -> None:
        while True:
            for line in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = line.read_bytes().decode(errors="replace").split("\0")
                    seen.extend([words] if module in words and words not in seen else [])
            await asyncio.sleep(0.1)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()


async def test_the_demo_tells_three_calls_from_the_dialling_to_the_record(tmp_path: Path) -> None:
    """And all the while no password stands where every user of the machine reads it."""
    async with commands_of("callcenter.demo.agent") as seen:
        status, told = await demo(tmp_path)
    assert status == 0, told
    assert {words[words.index("ana") :][1] for words in seen if "ana" in words} == {"440.0"}, "only the tones follow"
    journey = [
        "the switch is up",
        "Ana Pérez's softphone (pyVoIP",
        "Grace Whitfield (+12025550111) dials 1000, The Tech Giant",
        'Grace presses 1: the switch understands "sales"',
        "the router offers the call to Ana Pérez",
        "│ Grace Whitfield · +12025550111 · gold · since 2019",
        "her phone rings",
        "they hear each other",
        "Omar Haddad (+13125550123) dials 1000",
        "he hears music",
        "Grace hangs up",
        "Ana Pérez is available again, and Omar is the next in line",
        "│ Omar Haddad",
        "Beatriz Nogueira (+551100000151) dials 2000, Casa Lumina",
        'its display says "Casa Lumina"',
        "What is saved",
    ]
    told = " ".join(told.split())
    at = -1
    for line in journey:
        found = told.find(line, at + 1)
        assert found > at, f"{line!r} is missing, or told too early: {told}"
        at = found
    saved = told[at:]
    assert saved.count(" handled ") == 3
    assert not list(tmp_path.iterdir()), "nothing is left behind"


async def test_a_demo_that_cannot_go_on_says_why_and_ends_with_status_1(tmp_path: Path) -> None:
    status, told = await demo(tmp_path, "--set", "mqtt.broker=off")
    assert status == 1
    assert "the demo ends here: the switch has no broker" in told
    assert not list(tmp_path.iterdir()), "nothing is left behind"


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """A folder of the user nobody, where root runs these tests and nobody can run Python."""
    if os.geteuid() != 0:
        pytest.skip("only root may change users; without root the demo above is the proof")
    folder = Path(tempfile.mkdtemp(prefix="demo-of-nobody-", dir="/tmp"))
    try:
        os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
        tried = subprocess.run(
            [ANYBODYS_PYTHON, "-c", "import callcenter.app.serving, pyVoIP"],
            cwd=folder, user="nobody", extra_groups=[], check=False, capture_output=True,
            env={**os.environ, "PYTHONPATH": ANYBODYS_PATH},
        )  # fmt: skip
        if tried.returncode != 0:
            pytest.skip(f"nobody cannot run it from here: {tried.stderr.decode()[-200:]}")
        yield folder
    finally:
        shutil.rmtree(folder)


async def test_the_demo_needs_no_root(nobodys_folder: Path) -> None:
    status, told = await demo(nobodys_folder, user="nobody")
    assert status == 0, told
    assert told.count(" handled ") == 3
    assert not list(nobodys_folder.iterdir()), "nothing is left behind"
