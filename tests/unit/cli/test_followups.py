"""``callcenter followups`` and ``callcenter do-not-call``: asked as an operator writes it, told as one reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from callcenter.cli import main
from callcenter.control.client import ControlClient, ControlError

ONE: dict[str, Any] = {
    "id": "x-1",
    "client": "acme",
    "state": "open",
    "title": "Refund",
    "text": "in full\nby Friday",
    "due_local": "2026-12-01T10:00",
    "zone": "Europe/Prague",
    "overdue": False,
    "customer": "t-1",
    "number": None,
    "call": None,
    "queue": "sales",
    "agent": None,
    "made_by": "ana",
    "callback": None,
    "done_by": None,
    "done_at": None,
    "attempts": [{"at": "2026-11-30T09:00:00.000Z", "by": "agent ana", "outcome": "no_answer", "note": "late"}],
    "created_by": "agent ana",
    "created_at": "2026-11-30T08:00:00.000Z",
}
ENTRY: dict[str, Any] = {
    "number": "+14155550101",
    "added_at": "2026-11-30T08:00:00.000Z",
    "expires_at": None,
    "added_by": "olga",
    "reason": "said so",
}


class Asked:
    """What was asked, and what is answered, in place of a switch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        monkeypatch.setattr(ControlClient, "__init__", lambda client, path, /: None)
        monkeypatch.setattr(ControlClient, "__enter__", lambda client: client)
        monkeypatch.setattr(ControlClient, "__exit__", lambda client, *error: None)
        monkeypatch.setattr(ControlClient, "ask", lambda client, do, /, **fields: self.ask(do, fields))

    def ask(self, do: str, fields: dict[str, Any]) -> Any:
        self.asked.append((do, fields))
        answer = self.answers[do]
        if isinstance(answer, Exception):
            raise answer
        return answer(fields) if callable(answer) else answer


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def run(*words: str) -> int:
    return main([*words, "--socket", "control.sock"])


def test_follow_ups_are_listed_shown_and_changed(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    asked.answers = {
        "followup_list": {"items": [ONE, {**ONE, "overdue": True, "agent": "ana"}], "next": "more"},
        "followup_get": {"followup": ONE},
        "followup_done": {"followup": {**ONE, "state": "done"}},
        "followup_reopen": {"followup": ONE},
        "followup_assign": {"followup": {**ONE, "agent": "ana"}},
    }
    assert run("followups", "list", "--client", "acme", "--due-before", "2026-12-02") == 0
    assert asked.asked[-1] == (
        "followup_list",
        {"limit": 100, "client": "acme", "state": "open", "due_before": "2026-12-02"},
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["FOLLOWUP", "DUE", "CLIENT", "WHOSE", "STATE", "TITLE"]
    assert lines[1].split() == [
        "x-1",
        "2026-12-01",
        "10:00",
        "Europe/Prague",
        "acme",
        "queue",
        "sales",
        "open",
        "Refund",
    ]
    assert "overdue" in lines[2]
    assert "there are more" in lines[3]
    run("followups", "list", "--state", "all")
    assert "state" not in asked.asked[-1][1]
    capsys.readouterr()
    assert run("followups", "show", "x-1") == 0
    shown = capsys.readouterr().out
    for words in ("x-1: open: Refund", "customer t-1, made by ana", "| by Friday", "by agent ana: no_answer; late"):
        assert words in shown
    run("followups", "done", "x-1", "--note", "paid")
    assert asked.asked[-1] == ("followup_done", {"followup": "x-1", "note": "paid"})
    run("followups", "reopen", "x-1", "--due", "tomorrow 10:00")
    assert asked.asked[-1] == ("followup_reopen", {"followup": "x-1", "due_at": "tomorrow 10:00"})
    run("followups", "assign", "x-1", "--agent", "ana")
    assert asked.asked[-1] == ("followup_assign", {"followup": "x-1", "agent": "ana"})
    assert "x-1 is open, due 2026-12-01 10:00 Europe/Prague, ana" in capsys.readouterr().out
    asked.answers["followup_get"] = ControlError("there is no follow-up `x-2`")
    assert run("followups", "show", "x-2") == 1
    assert capsys.readouterr().err == "callcenter: there is no follow-up `x-2`\n"


def test_promises_are_told_with_their_share(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    ana = {"client": "acme", "agent": "ana", "promised": 3, "kept": 2, "late": 1, "open": 0, "kept_share": 0.6667}
    asked.answers = {"followup_figures": {"items": [ana]}}
    assert run("followups", "kept", "--by", "agent") == 0
    assert asked.asked == [("followup_figures", {"by": "agent"})]
    assert capsys.readouterr().out.splitlines()[1].split() == ["acme", "ana", "3", "2", "1", "0", "66.7"]


def test_numbers_are_added_listed_and_removed(asked: Asked, capsys: pytest.CaptureFixture[str]) -> None:
    pages = [{"items": [ENTRY], "next": "+14155550101"}, {"items": [], "next": None}]
    asked.answers = {
        "do_not_call": lambda fields: pages["after" in fields],
        "do_not_call_add": {"entry": ENTRY},
        "do_not_call_remove": {"entry": ENTRY},
    }
    assert run("do-not-call", "list", "--client", "acme") == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[1].split() == ["+14155550101", "2026-11-30", "08:00", "for", "good", "olga", "said", "so"]
    run("do-not-call", "add", "+14155550101", "--client", "acme", "--expires", "2027-01-01")
    wanted = {"client": "acme", "number": "+14155550101", "reason": "", "expires_at": "2027-01-01"}
    assert asked.asked[-1] == ("do_not_call_add", wanted)
    run("do-not-call", "remove", "+14155550101", "--client", "acme")
    assert capsys.readouterr().out.splitlines() == [
        "+14155550101 is not called any more by acme",
        "+14155550101 may be called again by acme",
    ]


def test_a_file_is_imported_in_pieces_with_its_mistakes_by_line(
    asked: Asked, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def imported(fields: dict[str, Any]) -> dict[str, Any]:
        wrong = [{"line": each["line"], "why": "no number"} for each in fields["entries"] if each["number"] == "x"]
        return {"added": len(fields["entries"]) - len(wrong), "known": 0, "rejected": wrong}

    asked.answers = {"do_not_call_import": imported}
    file = tmp_path / "list.csv"
    file.write_text("\n".join(["number;expires", *(f"+1415555{number:04};" for number in range(250)), "x;"]))
    assert run("do-not-call", "import", str(file), "--client", "acme", "--dry-run") == 1
    out = capsys.readouterr()
    assert out.err == f"{file}:252: no number\n"
    assert out.out == "250 numbers added, 0 on the list before, 1 rejected (nothing is written: --dry-run)\n"
    assert [(len(fields["entries"]), fields["dry"]) for _, fields in asked.asked] == [(200, True), (51, True)]
    file.write_bytes(b"number\n\xff\n")
    assert run("do-not-call", "import", str(file), "--client", "acme") == 1
    assert "not UTF-8" in capsys.readouterr().err
    assert run("do-not-call", "import", str(tmp_path / "none.csv"), "--client", "acme") == 1
    assert "cannot read" in capsys.readouterr().err
