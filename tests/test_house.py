"""The house is in order: format, lint, types and layers, as the tools say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def _assert_silent(*command: str) -> None:
    """Runs a checker in the project's folder; its output is the failure."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, "\n" + done.stdout


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def test_every_file_is_formatted() -> None:
    _assert_silent(_tool("ruff"), "format", "--check", "--diff", "--quiet")


def test_the_linter_finds_nothing() -> None:
    _assert_silent(_tool("ruff"), "check", "--output-format=concise", "--quiet")


@pytest.mark.timeout(300)
def test_types_are_complete() -> None:
    _assert_silent(sys.executable, "-m", "mypy")


def test_imports_go_downward_only() -> None:
    _assert_silent(_tool("lint-imports"), "--no-cache")


def test_shell_scripts_parse() -> None:
    for script in (
        ROOT / "scripts" / "run",
        ROOT / "scripts" / "test",
        ROOT / "scripts" / "bench",
        ROOT / "scripts" / "fuzz",
        ROOT / "scripts" / "prepare.sh",
        ROOT / ".ci" / "run",
    ):
        _assert_silent("bash", "-n", str(script))
