"""``callcenter timeline`` as an operator reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callcenter.cli import main
from tests.unit.cli.test_operating import switch

CALL = {"call": "cc1-a", "why": "asked", "direction": "inbound", "outcome": "handled"}
CONSULTED = {"call": "cc1-b", "why": "consulted", "direction": "internal", "outcome": None}
LINES = ["    0:00.000  +14155550100 calls +18005550100", "    0:05.000  pressed 1 at main"]


def told(folder: Path, *words: str, answer: Mapping[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """The exit status, and what was asked of the switch."""
    asked: list[dict[str, Any]] = []

    def reply(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append({name: value for name, value in request.items() if name != "id"})
        return answer

    with switch(folder, reply) as socket:
        return main(["timeline", *words, "--socket", str(socket)]), asked


def story(*calls: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"result": {"call": "cc1-a", "lines": LINES, "calls": list(calls), "entries": [], "revision": "r"}}


def test_a_call_is_told_line_by_line_and_those_that_belong_to_it_are_named_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(tmp_path, "a", answer=story(CALL)) == (0, [{"do": "timeline", "call": "a", "alone": False}])
    assert capsys.readouterr().out.splitlines() == LINES
    assert told(tmp_path, "a", "--alone", answer=story(CALL, CONSULTED))[1][0]["alone"] is True
    assert capsys.readouterr().out.splitlines() == [
        "[1] cc1-a  asked, inbound, handled",
        "[2] cc1-b  consulted, internal, goes on",
        "",
        *LINES,
    ]
    assert told(tmp_path, "a", "--json", answer=story(CALL))[0] == 0
    assert json.loads(capsys.readouterr().out)["calls"] == [CALL]


def test_a_call_that_nobody_knows_is_told_of_on_standard_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(tmp_path, "x", answer={"ok": False, "error": "no call `x` is in the log"})[0] == 1
    assert capsys.readouterr().err == "callcenter: no call `x` is in the log\n"
