"""The JSON Schema for editors says what the switch says: of what is shipped, of what is right, and of what is wrong."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from callcenter.cli import main
from callcenter.config import DEFAULT_FOLDER, Code
from callcenter.config.editors import COMMENT, FILE, as_text, json_schema
from callcenter.config.problems import Problems, Source
from callcenter.config.source import read_folder, read_text
from tests.unit.config.floor import load_text, marked
from tests.unit.config.test_mistakes import MISTAKES, broken

# What a single value shows. Names of nothing, numbers given twice and callers nobody serves are for `callcenter check`.
OF_ONE_VALUE = {Code.CHOICE, Code.FORM, Code.UNKNOWN_KEY, Code.MISSING, Code.TYPE, Code.DURATION}
# Mistakes of these kinds which only who reads the whole can see.
BEYOND_A_SCHEMA = ("min <= expires", "no prompt `agent-ready` and", "srtp is off")


def validator() -> Any:
    """The schema in the hands of a library that is not ours."""
    jsonschema = importlib.import_module("jsonschema")
    jsonschema.Draft7Validator.check_schema(json_schema())
    return jsonschema.Draft7Validator(json_schema())


def plain(text: str) -> Any:
    """YAML as plain values."""
    node = read_text(text, Source("floor.yaml", tuple(text.splitlines())), Problems())
    assert node is not None
    return node.plain()


def complaints(value: Any) -> list[str]:
    return [f"{list(error.absolute_path)}: {error.message}" for error in validator().iter_errors(value)]


def test_the_shipped_schema_is_the_one_that_the_types_make() -> None:
    assert (DEFAULT_FOLDER / FILE).read_text("utf-8") == as_text(), "run: callcenter schema --out config"


def test_what_is_shipped_is_right_for_editors_and_leads_them_to_the_schema() -> None:
    problems = Problems()
    assert complaints(read_folder(DEFAULT_FOLDER, problems).plain()) == []
    assert problems.all() == ()
    files = sorted(DEFAULT_FOLDER.glob("*.yaml"))
    assert files
    for file in files:
        assert file.read_text("utf-8").startswith(f"{COMMENT}\n"), file
        assert complaints(plain(file.read_text("utf-8"))) == [], "each file alone too"


SHORT_FORMS = (
    ("", ""),
    ("client: acme, requirements", "client: acme, announce: off, wrap_up: 10s, max_wait: never, requirements"),
    ("    - hangup", "    - set: {vip: true, floor: 3}\n    - branch: [{when: {caller: anonymous}}]\n    - hangup"),
    ("    - hangup", "    - branch: [{when: {attribute: {x: [a, 1]}}}]\n    - set: {x: a}\n    - hangup"),
    ("    - hangup", "    - collect: {into: pin, prompt: hello, max: 4, terminator: none, otherwise: continue}"),
    ("    - hangup", "    - hangup: hello"),
    ('"1": {intent', '"9": repeat\n          "1": {intent'),
    ("agents:", "sip: {guard: off, trace: off, session_timer: off, advertised: 203.0.113.7}\nagents:"),
    ("agents:", "sip: {session_timer: 30m, local_networks: 10.0.0.0/8}\nmedia: {workers: auto}\nagents:"),
    ("agents:", "acd: {declined: {limit: never}, wrap_up: {mode: mandatory}}\nmqtt: ~\nagents:"),
    ("agents:", "trunks: {carrier: {peers: 203.0.113.7, qualify: never}}\nagents:"),
    ("agents:", "trunks: {carrier: {peers: [{host: sip.example.org, port: 5060}], max_calls: ~}}\nagents:"),
    ("agents:", 'hours: {d: {open: {mon-fri: 09:00-17:00, sat: ["10:00-12:00"]}, time_zone: Europe/Madrid}}\nagents:'),
    ("agents:", "hours: {day: {open: {}, holidays: {12-25: Day, 12-31: {name: Eve, open: 09:00-12:00}}}}\nagents:"),
    ("hello: {en: {file: hello.wav}}", "hello: {en: {file: hello.wav}}\nmusic: {one: hello.wav, two: [hello.wav]}"),
    ("skills: {english: 4}", "skills: {english: 4}, may_dial: {outside: '+1', never: ['+1900']}, language: pt-BR"),
)  # fmt: skip


@pytest.mark.parametrize(("old", "new"), SHORT_FORMS, ids=lambda text: text[:30])
def test_what_the_switch_takes_editors_take_too(old: str, new: str, tmp_path: Path) -> None:
    text = broken(old, new)
    load_text(tmp_path, text)
    assert complaints(plain(text)) == []


@pytest.mark.parametrize(
    ("code", "old", "new", "message"),
    [mistake[:4] for mistake in MISTAKES if mistake[0] is not Code.TWICE],  # that is one of reading
    ids=lambda value: str(value)[:30],
)
def test_what_the_switch_refuses_of_one_value_editors_refuse_too(code: Code, old: str, new: str, message: str) -> None:
    seen = code in OF_ONE_VALUE and not any(words in message for words in BEYOND_A_SCHEMA)
    text = marked(broken(old, new)).text
    assert bool(complaints(plain(text))) == seen, complaints(plain(text))


def test_the_schema_is_printed_or_written_beside_the_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert capsys.readouterr().out == as_text()
    assert main(["schema", "--out", str(tmp_path)]) == 0
    assert COMMENT in capsys.readouterr().out
    assert (tmp_path / FILE).read_text("utf-8") == as_text()
    assert main(["schema", "--out", str(tmp_path / "nowhere")]) == 1
    assert "No such file" in capsys.readouterr().err
