"""``callcenter recordings`` as an operator, an auditor or a lawyer writes and reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callcenter.calls.recordings import size
from callcenter.cli import main
from callcenter.cli.status import lines
from tests.unit.cli.test_operating import STATE, switch

ROW: dict[str, Any] = {
    "recording": "cc1-01jd-1", "call": "cc1-01jd", "client": "acme", "queue": "sales", "agents": ["ana"],
    "started_by": "rule: always", "started_at": "2026-11-30T10:15:00.120Z", "ended_at": "2026-11-30T10:20:04.500Z",
    "length_ms": 304_380, "channels": 2, "octets": 9_740_204, "sha256": "ab" * 32, "key": "", "state": "kept",
    "path": "acme/2026/11/30/20261130T101500Z-cc1-01jd-1.wav", "reason": "stopped", "detail": "", "held_by": None,
    "held_why": None, "held_at": None, "deleted_by": None, "deleted_why": None, "deleted_at": None,
}  # fmt: skip
HELD = {**ROW, "held_by": "olga", "held_why": "claim 4711", "held_at": "2026-12-01T08:00:00.000Z", "key": "0011aabb"}
CUT = {
    **ROW, "state": "deleted", "reason": "disk_full", "detail": "No space left on device", "agents": [], "queue": "",
    "deleted_by": "retention", "deleted_why": "older than 90 days", "deleted_at": "2027-03-01T00:00:00.000Z",
}  # fmt: skip


def told(folder: Path, *words: str, answer: Mapping[str, Any]) -> tuple[int, list[dict[str, Any]]]:
    """The exit status, and what was asked of the switch."""
    asked: list[dict[str, Any]] = []

    def reply(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append({name: value for name, value in request.items() if name != "id"})
        return answer

    with switch(folder, reply) as socket:
        return main(["recordings", *words, "--socket", str(socket)]), asked


def result(**fields: Any) -> Mapping[str, Any]:
    return {"result": {"directory": "/var/calls", **fields}}


def test_the_latest_recordings_are_listed_by_whatever_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("list", "--client", "acme", "--since", "2026-11-30", "--limit", "2")
    status, asked = told(tmp_path, *words, answer=result(recordings=[HELD, CUT]))
    assert (status, asked) == (0, [{"do": "recordings", "limit": 2, "client": "acme", "since": "2026-11-30"}])
    assert capsys.readouterr().out.splitlines() == [
        "RECORDING   BEGAN (UTC)          LENGTH  CLIENT  AGENT  STATE",
        "cc1-01jd-1  2026-11-30 10:15:00    5:04  acme    ana    kept, held",
        "cc1-01jd-1  2026-11-30 10:15:00    5:04  acme    -      deleted",
        "the latest 2 recordings: --limit shows more, --since and --until others",
    ]
    assert told(tmp_path, "list", answer=result(recordings=[]))[0] == 0
    assert capsys.readouterr().out == "nothing was recorded that is asked for\n"
    told(tmp_path, "list", "--json", answer=result(recordings=[ROW]))
    assert json.loads(capsys.readouterr().out) == ROW


def test_one_is_shown_with_all_that_an_auditor_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, asked = told(tmp_path, "show", "01jd-1", answer=result(recording=HELD))
    assert (status, asked) == (0, [{"do": "recording", "recording": "01jd-1"}])
    assert capsys.readouterr().out.splitlines() == [
        "cc1-01jd-1: kept",
        "  call cc1-01jd of acme, queue sales",
        "  agent ana; begun 2026-11-30 10:15:00 UTC by rule: always",
        "  ended 2026-11-30 10:20:04 UTC: stopped",
        "  5:04 of sound, 2 channels, 9.7 MB",
        f"  sha256 {'ab' * 32}",
        "  encrypted under the key 0011aabb",
        "  /var/calls/acme/2026/11/30/20261130T101500Z-cc1-01jd-1.wav",
        "  held since 2026-12-01 08:00:00 UTC by olga: claim 4711",
    ]
    told(tmp_path, "show", "01jd-1", answer=result(recording=CUT))
    out = capsys.readouterr().out
    assert "  ended 2026-11-30 10:20:04 UTC: disk full; No space left on device" in out
    assert "  deleted 2027-03-01 00:00:00 UTC by retention: older than 90 days" in out
    assert "  not encrypted" in out


@pytest.mark.parametrize(
    ("words", "asked", "said"),
    [
        (
            ("hold", "01jd-1", "--why", "claim 4711"),
            {"do": "recording_hold", "recording": "01jd-1", "why": "claim 4711"},
            "cc1-01jd-1 is kept until it is released",
        ),
        (
            ("release", "01jd-1"),
            {"do": "recording_release", "recording": "01jd-1"},
            "cc1-01jd-1 is held no more",
        ),
        (
            ("delete", "01jd-1", "--why", "asked for"),
            {"do": "recording_delete", "recording": "01jd-1", "why": "asked for"},
            "cc1-01jd-1 is deleted",
        ),
    ],
)
def test_what_becomes_of_one_is_commanded_in_a_word(
    words: tuple[str, ...],
    asked: dict[str, Any],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert told(tmp_path, *words, answer=result(recording=ROW)) == (0, [asked])
    assert capsys.readouterr().out == f"{said}\n"


def test_what_is_refused_is_told_and_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refusal = {"ok": False, "error": "cc1-01jd-1 is held by olga: claim 4711; release it first"}
    assert told(tmp_path, "delete", "01jd-1", "--why", "x", answer=refusal)[0] == 1
    assert "release it first" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["recordings", "delete", "01jd-1"])
    assert "--why" in capsys.readouterr().err, "nobody deletes without a word"


def test_status_tells_how_many_are_recorded_and_of_a_disk_without_room() -> None:
    recordings = {
        "on": True, "recording": 12, "paused": 1, "directory": "/var/calls", "key": "0011aabb", "enough": True,
        "detail": "", "free": 40_000_000_000, "total": 500_000_000_000, "wanted": 25_000_000_000, "failures": 0,
        "last_failure": None,
    }  # fmt: skip
    text = "\n".join(lines({**STATE, "recordings": recordings}))
    assert "RECORDING 12 talks, 1 paused; encrypted under the key 0011aabb" in text
    assert "40.0 GB of 500.0 GB free, 25.0 GB must be; /var/calls" in text
    assert "NO ROOM" not in text
    short = {
        **recordings, "enough": False, "detail": "1.0 GB of 500.0 GB are free", "failures": 3, "key": None,
        "last_failure": {"at": "2026-11-30T10:15:00Z", "call": "cc1-abcdef", "reason": "no_space", "detail": "full"},
    }  # fmt: skip
    text = "\n".join(lines({**STATE, "recordings": short}))
    assert "not encrypted" in text
    assert "NO ROOM, nothing is recorded: 1.0 GB of 500.0 GB are free" in text
    assert "3 failures, the last at 2026-11-30 10:15 UTC in call abcdef: no space" in text
    assert "RECORDING" not in "\n".join(lines({**STATE, "recordings": {**recordings, "on": False}}))
    assert "RECORDING" not in "\n".join(lines(STATE)), "an older switch tells of none"


@pytest.mark.parametrize(
    ("octets", "text"), [(0, "0 B"), (999, "999 B"), (9_740_204, "9.7 MB"), (2_500_000_000_000, "2.5 TB")]
)
def test_a_size_is_told_in_two_figures(octets: int, text: str) -> None:
    assert size(octets) == text
