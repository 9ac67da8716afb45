"""``callcenter demo`` where something is missing; the play itself is told in tests/wire."""

from __future__ import annotations

import importlib.util

import pytest

from callcenter.cli import main


def test_without_its_phones_one_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "pyVoIP" else find(name, *more)
    )
    assert main(["demo"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == (
        "callcenter: the demo's softphones are pyVoIP, which is not installed: pip install 'callcenter[demo]'\n"
    )
