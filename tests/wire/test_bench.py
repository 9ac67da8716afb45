"""The measurements run through: every part, in the shortest form, on a switch of its own. No figure is judged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from callcenter.rtp.g711 import ULAW_SAMPLES
from scripts.benchmarks import tones
from scripts.benchmarks.relays import bdecode, bencode

ROOT = Path(__file__).parent.parent.parent

PARTS = ["signalling", "answered", "whole", "registrations", "media", "latency", "prompt", "memory", "growth", "acd",
         "startup"]  # fmt: skip
if shutil.which("cc") is None:
    PARTS.remove("media")  # its generator is compiled


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, dict[str, Any]]:
    """All parts, tiny: the table, what was told meanwhile, and the JSON."""
    target = tmp_path_factory.mktemp("bench") / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmarks", "--tiny", "--json", str(target), *PARTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout
    found: dict[str, Any] = json.loads(target.read_text())
    return done.stdout, done.stderr, found


# A key that ends a prompt at once; no frame that is lost; memory that does not grow.
MAY_BE_NONE = ("%", "ms", "frames", "kB")


def test_every_part_gives_its_figures(measured: tuple[str, str, dict[str, Any]]) -> None:
    parts = {part["name"]: part for part in measured[2]["parts"]}
    assert list(parts) == PARTS
    for part in parts.values():
        assert part["error"] is None
        assert part["figures"], part["name"]
        for figure in part["figures"]:
            assert set(figure) == {"name", "unit", "value", "aim", "rounds", "details"}
            assert figure["value"] > 0 or figure["unit"] in MAY_BE_NONE, figure
            assert figure["value"] in figure["rounds"]
            assert figure["aim"] is None or set(figure["aim"]) == {"better", "value", "met"}


def test_the_aims_are_those_that_were_set(measured: tuple[str, str, dict[str, Any]]) -> None:
    figures = {figure["name"]: figure for part in measured[2]["parts"] for figure in part["figures"]}
    if "media" not in PARTS:
        pytest.skip("media is measured by a program in C, and there is no compiler")
    aims = {name: (aim["better"], aim["value"]) for name, figure in figures.items() if (aim := figure["aim"])}
    assert aims["answered calls"] == ("at least", 1000)
    assert aims["legs answered, signalling alone"] == ("at least", 1000)
    assert aims["signalling of a leg"] == ("at most", 0.8)
    assert aims["whole calls"] == ("at least", 150)
    assert aims["registrations"] == ("at least", 2500)
    assert aims["bridged calls of one worker core"] == ("at least", 900)
    assert aims["bridged calls, all recorded in two channels"] == ("at least", 400)
    assert aims["prompts played while receiving"] == ("at least", 600)
    assert aims["frames lost or doubled, 4 calls for 0.3 s"] == ("at most", 0)
    assert aims["answer to the prompt (p99)"] == ("at most", 60)
    assert aims["key to the end of the prompt (p99)"] == ("at most", 60)
    assert aims["digit to the agent's INVITE"] == ("at most", 3)
    assert aims["agent free to the next INVITE (p99)"] == ("at most", 10)
    assert aims["memory of a bridged call"] == ("at most", 50)
    assert aims["growth of memory"] == ("at most", 2)


def test_the_machine_stands_beside_the_figures(measured: tuple[str, str, dict[str, Any]]) -> None:
    told = measured[2]
    assert told["schema"] == "callcenter-bench.v1"
    assert {"cpu", "cores", "python", "kernel", "load_at_start", "switch_core", "generator_core"} <= set(
        told["machine"]
    )
    assert told["machine"]["cpu"] in measured[0]


def test_the_table_has_a_line_for_each_figure_and_progress_is_told(measured: tuple[str, str, dict[str, Any]]) -> None:
    table, progress, told = measured
    for part in told["parts"]:
        assert f"{part['name']}: {part['title']}" in progress
        for figure in part["figures"]:
            judged = "met" if figure["aim"] else figure["unit"]
            assert any(line.startswith(figure["name"]) and judged in line for line in table.splitlines())


def test_parts_are_chosen_by_name_and_a_wrong_name_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmarks", "answerd"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no part answerd; there are: signalling, answered, whole" in done.stderr


def test_without_a_compiler_it_is_told_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmarks", "--tiny", "media"],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "media is measured by a program in C: sudo apt-get install gcc libc6-dev" in done.stderr


def test_what_rtpengine_is_told_is_read_back_as_it_was() -> None:
    command = {"command": "offer", "sdp": "v=0\r\n", "replace": ["origin"], "delete-delay": 0}
    assert bencode(command).startswith(b"d7:command5:offer12:delete-delayi0e")
    assert bdecode(bencode(command)) == command


def test_a_tone_of_the_generators_is_heard_as_that_tone() -> None:
    frames = tones.pcmu(440)
    samples = tones.samples(440, 1.0, 8000)
    heard = [ULAW_SAMPLES[octet] for frame in frames for octet in frame]
    assert max(abs(one - other) for one, other in zip(samples, heard, strict=True)) <= 260  # half a step there
    assert tones.level(frames[7], 440) > 0.9
    assert tones.level(frames[7], 660) < 0.1
