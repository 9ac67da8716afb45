"""``callcenter agent`` as an operator writes and reads it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from callcenter.cli import main
from tests.unit.cli.test_operating import switch

ANA: dict[str, Any] = {
    "agent": "ana", "name": "Ana Pérez", "chosen": "not_ready", "reason": "lunch", "forced": False, "next": None,
    "next_reason": "", "work": "idle", "device": "registered", "since_s": 125.0, "left_s": None, "wrap_up": None,
    "by": "supervisor eva over MQTT", "break_left_s": 600.0, "break_over": False,
    "skills": {"english": 4, "sales": 2}, "clients": ["acme"], "queues": None, "changed_by": None,
}  # fmt: skip


def told(
    folder: Path, agent: Mapping[str, Any], *words: str, answer: Mapping[str, Any] | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """The exit status, and what was asked of the switch."""
    asked: list[dict[str, Any]] = []

    def reply(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append({name: value for name, value in request.items() if name != "id"})
        floor = {
            "agents": [agent],
            "queues": [{"queue": "sales", "client": "acme"}, {"queue": "vendas", "client": "bela"}],
        }
        return {"result": floor} if request["do"] == "status" else answer or {"result": {}}

    with switch(folder, reply) as socket:
        return main(["agent", *words, "--socket", str(socket)]), asked


def test_an_agent_is_shown_with_what_keeps_them_and_for_how_long(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(tmp_path, ANA, "ana") == (0, [{"do": "status"}])
    assert capsys.readouterr().out.splitlines() == [
        "ana (Ana Pérez): not ready: lunch, by supervisor eva over MQTT",
        "  the break may last 10:00 more",
        "  work idle for 2:05; phone registered",
        "  skills english 4, sales 2; clients acme",
    ]
    wraps_up = {
        **ANA, "chosen": "ready", "reason": "", "by": None, "break_left_s": None, "work": "wrap_up", "left_s": 4.0,
        "wrap_up": "optional", "next": "not_ready", "next_reason": "lunch", "queues": ["sales"],
        "changed_by": "supervisor olga (control)",
    }  # fmt: skip
    assert told(tmp_path, wraps_up, "ana")[0] == 0
    assert capsys.readouterr().out.splitlines() == [
        "ana (Ana Pérez): ready",
        "  then not ready: lunch",
        "  work wrap up (optional) for 2:05, 0:04 left; phone registered",
        "  skills english 4, sales 2; clients acme; queues sales",
        "  changed by supervisor olga (control); `--reset` brings back what is configured",
    ]
    assert told(tmp_path, {**ANA, "break_over": True, "break_left_s": None}, "ana")[0] == 0
    assert "the break has lasted as long as it may" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["ready"], [{"do": "state", "agent": "ana", "chosen": "ready"}]),
        (["not-ready", "lunch"], [{"do": "state", "agent": "ana", "chosen": "not_ready", "reason": "lunch"}]),
        (["sign-out"], [{"do": "state", "agent": "ana", "chosen": "signed_out"}]),
        (
            ["--skills", "english=4", "sales=0", "--clients", "acme,beta", "--queues", "sales"],
            [{"do": "roster", "agent": "ana", "skills": {"english": 4, "sales": 0}, "clients": ["acme", "beta"],
              "queues": ["sales"]}],
        ),
        (
            ["ready", "--reset"],
            [{"do": "roster", "agent": "ana", "reset": True}, {"do": "state", "agent": "ana", "chosen": "ready"}],
        ),
    ],
)  # fmt: skip
def test_each_word_is_a_command_and_skills_come_before_states(
    tmp_path: Path, words: list[str], asked: list[dict[str, Any]]
) -> None:
    assert told(tmp_path, ANA, "ana", *words) == (0, [*asked, {"do": "status"}])


def test_what_waits_for_the_end_of_a_call_and_what_is_refused_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(tmp_path, ANA, "ana", "ready", answer={"result": {"pending": True}})[0] == 0
    assert capsys.readouterr().out.startswith("it holds when the present work ends\n")
    refused = {"ok": False, "error": "no skill is named `englsh`"}
    status, asked = told(tmp_path, ANA, "ana", "--skills", "englsh=4", answer=refused)
    assert (status, len(asked)) == (1, 1)
    assert capsys.readouterr().err == "callcenter: no skill is named `englsh`\n"
    assert told(tmp_path, ANA, "anna")[0] == 1
    assert capsys.readouterr().err == "callcenter: no agent is named `anna`; there are ana\n"


@pytest.mark.parametrize("word", ["english", "english=", "=4", "english=four", "english=-1"])
def test_a_skill_without_a_level_is_told_how_to_write_it(
    tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["agent", "ana", "--skills", word, "--socket", str(tmp_path / "none")])
    assert "write SKILL=LEVEL, as in english=4" in capsys.readouterr().err


@pytest.mark.parametrize(("queues", "warned"), [(["vendas"], True), (["vendas", "sales"], False), (None, False)])
def test_an_agent_who_is_kept_to_queues_of_other_clients_is_pointed_out(
    tmp_path: Path, queues: list[str] | None, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(tmp_path, {**ANA, "queues": queues}, "ana")[0] == 0
    assert ("none of these queues is of these clients" in capsys.readouterr().out) == warned
