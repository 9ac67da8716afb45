"""Passwords: made once, kept for their owner alone, never asked of whoever brought hashes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from callcenter.config.secrets import FILE, MONITOR, SecretsError, open_secrets
from callcenter.publish.mosquitto import mosquitto_hash
from callcenter.publish.settings import Role
from callcenter.publish.topics import Sight
from callcenter.sip.digest import Credentials
from tests.unit.config.floor import GOOD, load_text
from tests.unit.desk.support import TWO_COMPANIES

TWO = GOOD.replace("agents:\n", "agents:\n  bob: {name: Bob, skills: {english: 4}, clients: [acme]}\n")


def test_the_first_start_makes_passwords_for_the_owner_alone_and_the_second_makes_none(tmp_path: Path) -> None:
    settings = load_text(tmp_path, TWO)
    first = open_secrets(settings)
    path = tmp_path / "data" / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert first.new == {"ana", "bob", MONITOR}
    assert len({word for held in first.passwords.values() for word in (held.sip, held.mqtt)}) == 4
    second = open_secrets(settings)
    assert second.new == frozenset()
    assert (second.passwords, second.credentials, second.nonce_key) == (
        first.passwords,
        first.credentials,
        first.nonce_key,
    )
    assert not list(path.parent.glob(".credentials-*"))


def test_phones_and_desks_are_known_by_what_was_made(tmp_path: Path) -> None:
    settings = load_text(tmp_path, TWO, "sip.realm=floor")
    secrets = open_secrets(settings)
    password = secrets.passwords["bob"]
    assert secrets.credentials["bob"] == Credentials.of("bob", "floor", password.sip)
    login = next(login for login in secrets.logins if login.user == "bob")
    assert (login.role, login.password, login.hash) == (Role.AGENT, password.mqtt, "")
    assert secrets.monitor is not None
    assert secrets.monitor.role is Role.MONITOR
    assert open_secrets(load_text(tmp_path, TWO, "mqtt.monitor=false")).monitor is None


def test_a_new_agent_gets_passwords_and_the_others_keep_theirs(tmp_path: Path) -> None:
    first = open_secrets(load_text(tmp_path, GOOD))
    second = open_secrets(load_text(tmp_path, TWO))
    assert second.new == {"bob"}
    assert second.passwords["ana"] == first.passwords["ana"]


def test_hashes_of_ones_own_win_and_no_password_is_made(tmp_path: Path) -> None:
    own = Credentials.of("ana", "callcenter", "my own choice")
    lines = [f"agents.ana.sip_md5={own.ha1_md5}", f"agents.ana.sip_sha256={own.ha1_sha256}"]
    secrets = open_secrets(load_text(tmp_path, GOOD, *lines))
    assert secrets.credentials["ana"] == own
    assert (secrets.passwords["ana"].sip, bool(secrets.passwords["ana"].mqtt)) == ("", True)
    with_mqtt = open_secrets(load_text(tmp_path, GOOD, *lines, "agents.ana.mqtt=$7$101$c2FsdA==$aGFzaA=="))
    login = next(login for login in with_mqtt.logins if login.user == "ana")
    assert (login.hash, login.password) == ("$7$101$c2FsdA==$aGFzaA==", "")


def test_no_secret_is_shown_when_something_is_printed(tmp_path: Path) -> None:
    secrets = open_secrets(load_text(tmp_path, GOOD))
    shown = repr(secrets) + repr(secrets.logins) + repr(secrets.passwords["ana"])
    assert secrets.passwords["ana"].sip not in shown
    assert secrets.passwords["ana"].mqtt not in shown
    assert secrets.nonce_key.hex() not in shown


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("agents: {}\n", 0o644, "can be read by others"),
        ("agents: [\n", 0o600, "cannot be understood"),
        ("just a line\n", 0o600, "cannot be understood"),
        ("agents: {ana: 7}\n", 0o600, "cannot be understood"),
        ("nonce_key: xyz\n", 0o600, "cannot be understood"),
    ],
)
def test_a_credentials_file_that_is_not_right_is_told_in_one_line_and_left_alone(
    text: str, mode: int, words: str, tmp_path: Path
) -> None:
    settings = load_text(tmp_path)
    path = tmp_path / "data" / FILE
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(mode)
    with pytest.raises(SecretsError) as caught:
        open_secrets(settings)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_text() == text


def test_a_data_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file is in the way")
    with pytest.raises(SecretsError, match="cannot be made"):
        open_secrets(load_text(tmp_path))


def test_whoever_sees_some_companies_alone_reads_theirs_alone_at_the_broker(tmp_path: Path) -> None:
    """Supervisors, administrators and people of a client company; who has no hash for it has no login there."""
    hashed = mosquitto_hash("my own choice")
    text = TWO_COMPANIES.replace("  sue: {name: Sue, clients: [acme]}\n", (
        "  sue: {name: Sue, clients: [acme]}\n  vera: {name: Vera}\n"
    )) + (
        "desk:\n  users:\n"
        f"    ida: {{name: Ida, role: admin, mqtt: {hashed}}}\n"
        f"    acme-portal: {{name: Acme, role: client, clients: [acme], mqtt: {hashed}}}\n"
        "    silent: {name: Silent, role: client, clients: [acme]}\n"
    )  # fmt: skip
    logins = {login.user: login for login in open_secrets(load_text(tmp_path, text)).logins}
    acme = Sight(frozenset({"acme"}), frozenset({"sales"}), frozenset({"ana"}))
    assert (logins["sue"].sight, logins["vera"].sight) == (acme, None)
    assert (logins["ida"].role, logins["ida"].hash, logins["ida"].sight) == (Role.ADMIN, hashed, None)
    assert (logins["acme-portal"].role, logins["acme-portal"].sight) == (Role.CLIENT, acme)
    assert "silent" not in logins
