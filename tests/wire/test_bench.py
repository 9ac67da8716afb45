"""The measurements run through: every part, in the shortest form, on a switch of its own. No figure is judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, dict[str, Any]]:
    """All parts, tiny: the table, what was told meanwhile, and the JSON."""
    target = tmp_path_factory.mktemp("bench") / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmarks", "--tiny", "--json", str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:] + done.stdout
    found: dict[str, Any] = json.loads(target.read_text())
    return done.stdout, done.stderr, found


PARTS = ["signalling", "answered", "whole", "registrations", "relay", "latency", "memory", "growth", "acd", "startup"]


def test_every_part_gives_its_figures(measured: tuple[str, str, dict[str, Any]]) -> None:
    parts = {part["name"]: part for part in measured[2]["parts"]}
    assert list(parts) == PARTS
    for part in parts.values():
        assert part["error"] is None
        assert part["figures"], part["name"]
        for figure in part["figures"]:
            assert set(figure) == {"name", "unit", "value", "aim", "rounds", "details"}
            assert figure["value"] > 0 or figure["unit"] == "%", figure
            assert figure["value"] in figure["rounds"]
            assert set(figure["aim"]) == {"better", "value", "met"}


def test_the_aims_are_those_that_were_set(measured: tuple[str, str, dict[str, Any]]) -> None:
    figures = {figure["name"]: figure for part in measured[2]["parts"] for figure in part["figures"]}
    aims = {name: (figure["aim"]["better"], figure["aim"]["value"]) for name, figure in figures.items()}
    assert aims["answered calls"] == ("at least", 1000)
    assert aims["legs answered, signalling alone"] == ("at least", 1000)
    assert aims["signalling of a leg"] == ("at most", 0.8)
    assert aims["whole calls"] == ("at least", 80)
    assert aims["registrations"] == ("at least", 2500)
    assert aims["bridged calls of one worker core"] == ("at least", 800)
    assert aims["digit to the agent's INVITE"] == ("at most", 3)
    assert aims["agent free to the next INVITE"] == ("at most", 10)
    assert aims["memory of a call"] == ("at most", 100)
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
            assert any(line.startswith(figure["name"]) and "met" in line for line in table.splitlines())


def test_parts_are_chosen_by_name_and_a_wrong_name_is_told() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.benchmarks", "answerd"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no part answerd; there are: signalling, answered, whole" in done.stderr
