"""The command line for tokens."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.cli import main
from tests.unit.config.floor import write_floor


def test_a_token_is_made_shown_once_listed_and_revoked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--config", str(write_floor(tmp_path / "config")), "--data", str(tmp_path / "data")]
    role = ["--role", "supervisor", "--client", "acme", "--scope", "calls:read", "--expires", "90d"]
    assert main(["token", "create", "crm", *role, *where]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("cct_")
    assert out.count("\n") == 1
    assert "token crm of a supervisor, until" in err
    assert main(["token", "list", *where]) == 0
    listed = capsys.readouterr().out
    assert out.strip() not in listed
    assert "crm   supervisor  acme     calls:read  -      " in listed
    assert main(["token", "create", "crm", *role, *where]) == 1
    assert "there is a token `crm` already" in capsys.readouterr().err
    assert main(["token", "revoke", "crm", *where]) == 0
    assert main(["token", "list", *where]) == 0
    assert "revoked 20" in capsys.readouterr().out
    assert main(["token", "revoke", "crm", *where]) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--role", "supervisor", "--client", "acm"], "no client is named acm (there are: acme)"),
        (["--role", "agent", "--agent", "an"], "no agent is named an (there are: ana)"),
        (["--role", "client"], "names the company"),
        (["--role", "client", "--client", "acme", "--scope", "config"], "does not hold the scope config"),
        (["--role", "admin", "--expires", "2020-01-01"], "over already"),
    ],
)
def test_a_token_that_cannot_be_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    where = ["--config", str(write_floor(tmp_path / "config")), "--data", str(tmp_path / "data")]
    assert main(["token", "create", "x", *words, *where]) == 1
    assert told in capsys.readouterr().err
