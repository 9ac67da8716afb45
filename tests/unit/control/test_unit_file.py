"""The systemd unit that ships: understood by systemd, and true to the program."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from callcenter.cli import VERBS
from callcenter.config import load
from callcenter.config.shape import seconds

ROOT = Path(__file__).parents[3]
UNIT = (ROOT / "scripts" / "systemd" / "callcenter.service").read_text()


def test_systemd_finds_nothing_wrong_with_it(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze here")
    unit = tmp_path / "callcenter.service"
    unit.write_text(UNIT.replace("/usr/local/bin/callcenter", "/bin/true"))
    done = subprocess.run([program, "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_it_calls_verbs_that_there_are() -> None:
    called = re.findall(r"^Exec\w+=/usr/local/bin/callcenter (\w+)", UNIT, re.MULTILINE)
    assert called == ["check", "run", "reload"]
    assert set(called) <= VERBS.keys()


def test_it_gives_the_calls_the_time_that_the_configuration_gives_them(tmp_path: Path) -> None:
    stop = re.search(r"^TimeoutStopSec=(\w+)min$", UNIT, re.MULTILINE)
    assert stop is not None
    assert seconds(f"{stop[1]}m") > load(data=tmp_path).switch.drain_limit
