"""The command line as people and editors use it."""

from __future__ import annotations

import base64
import errno
import fcntl
import hashlib
import io
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from callcenter.app import serving
from callcenter.app.serving import Ready
from callcenter.cli import main
from callcenter.cli.run import ready_lines, trial_line, trial_overrides
from callcenter.config import Settings, load
from callcenter.config.secrets import FILE, Secrets, open_secrets
from callcenter.publish.mosquitto import mosquitto_hash
from callcenter.signaling.certificates import Shown
from callcenter.signaling.settings import Listen
from callcenter.sip.digest import Algorithm, Credentials, ha1
from tests.unit.config.floor import GOOD, load_text, write_floor

Running = Callable[[Settings, Secrets], None]
SOCKET = Path("/nowhere/control.sock")
READY = Ready((Listen("udp", "127.0.0.1", 5072), Listen("tcp", "::1", 5073)), ("127.0.0.1", 1884), SOCKET)


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """In place of the real switch: says that it is ready, and ends. ``seen`` holds what it was started with."""
    held = SimpleNamespace(seen=[], during=lambda settings, secrets: None)

    def run(settings: Settings, secrets: Secrets, *, on_ready: Callable[[Ready], None], **_: object) -> None:
        held.seen.append((settings, secrets))
        on_ready(READY)
        held.during(settings, secrets)

    monkeypatch.setattr(serving, "run", run)
    return held


# ---------------------------------------------------------------------------------------------------------- check


def test_check_of_what_ships_is_clean_and_loads_nothing_that_an_editor_would_wait_for(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "callcenter", "check", "--data", str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 0
    assert "no problem; 3 numbers, 5 flows, 6 queues, 6 agents" in done.stdout
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "callcenter.config.load" in loaded
    # An editor checks at every save: what only a running switch needs stays away.
    heavy = {"uvloop", "aiomqtt", "paho.mqtt.client", "aiosqlite", "structlog", "numpy", "callcenter.app"}
    assert not loaded & heavy
    assert list(tmp_path.iterdir()) == []


def test_check_tells_every_mistake_with_its_line_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOD.replace("flow: welcome", "flow: welcom").replace("english: 4", "english: 6")
    folder = write_floor(tmp_path, text)
    assert main(["check", "--config", str(folder)]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "floor.yaml:5:40: REF101 numbers.+15555550100.flow: no flow is named `welcom`\n" in told.err
    assert "^^^^^^ did you mean `welcome`?" in told.err
    assert told.err.rstrip().endswith("2 problems in 1 file")


def test_check_shows_warnings_and_succeeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_floor(tmp_path, GOOD.replace("queues:", "  spare: [hangup]\nqueues:"))
    assert main(["check", "--config", str(folder), "--data", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "REF106 warning: flows.spare: no number leads to this flow" in out
    assert "1 warning" in out


def test_check_tells_editors_where_each_mistake_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOD.replace("flow: welcome", "flow: welcom").replace("queues:", "  spare: [hangup]\nqueues:")
    folder = write_floor(tmp_path, text)
    assert main(["check", "--json", "--config", str(folder), "--set", "sip.realm=1=2", "--set", "sip.max_calls=0"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["revision"], told["folder"]) == (False, None, str(folder))
    named, set_ = told["problems"]
    assert named == {
        "severity": "error",
        "code": "REF101",
        "kind": "names_nothing",
        "file": str(folder / "floor.yaml"),
        "argument": None,
        "line": 5,
        "column": 40,
        "end_column": 46,
        "path": "numbers.+15555550100.flow",
        "message": "no flow is named `welcom`",
        "hint": "did you mean `welcome`?",
    }
    assert (set_["file"], set_["argument"], set_["path"]) == (None, "sip.max_calls=0", "sip.max_calls")

    write_floor(tmp_path, GOOD.replace("queues:", "  spare: [hangup]\nqueues:"))
    assert main(["check", "--json", "--config", str(folder), "--data", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert len(told["revision"]) == 12
    assert [(each["severity"], each["path"]) for each in told["problems"]] == [("warning", "flows.spare")]


def test_a_verb_that_is_none_is_told_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["chekc"])
    assert caught.value.code == 2
    assert "check" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------------- password


def password_lines(out: str) -> dict[str, str]:
    return dict(re.findall(r"^    (\w+): (\S+)$", out, re.MULTILINE))


def test_the_lines_of_password_are_accepted_and_let_in_who_knows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_floor(tmp_path / "config", GOOD + "sip: {realm: floor}\n")
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse\n"))
    assert main(["password", "ana", "--config", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "correct horse" not in out
    lines = password_lines(out)
    assert lines["sip_md5"] == ha1("ana", "floor", "correct horse", Algorithm.MD5)
    assert lines["sip_sha256"] == ha1("ana", "floor", "correct horse", Algorithm.SHA256)
    _, _, iterations, salt, digest = lines["mqtt"].split("$")
    assert mosquitto_hash("correct horse", base64.b64decode(salt), int(iterations)) == lines["mqtt"]
    again = hashlib.pbkdf2_hmac("sha512", b"correct horse", base64.b64decode(salt), int(iterations))
    assert base64.b64decode(digest) == again

    own = "".join(f"    {kind}: {value}\n" for kind, value in lines.items())
    block = f"agents:\n  ana:\n    name: Ana\n    skills: {{english: 4}}\n    clients: [acme]\n{own}prompts:"
    text = re.sub(r"agents:\n.*\nprompts:", lambda _: block, GOOD) + "sip: {realm: floor}\n"
    secrets = open_secrets(load_text(tmp_path, text))
    assert secrets.credentials["ana"] == Credentials.of("ana", "floor", "correct horse")
    assert secrets.logins[0].hash == lines["mqtt"]
    assert "ana" not in secrets.new


def test_password_can_make_one_and_then_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["password", "someone", "--realm", "floor", "--generate"]) == 0
    out = capsys.readouterr().out
    made = re.search(r"the password is: (\S+)", out)
    assert made is not None
    assert password_lines(out)["sip_md5"] == ha1("someone", "floor", made[1], Algorithm.MD5)


@pytest.mark.parametrize(
    ("user", "typed", "words"),
    [("nobody", "correct horse\n", "nobody is named nobody"), ("ana", "short\n", "at least 8")],
)
def test_password_refuses_what_would_let_nobody_in(
    user: str,
    typed: str,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert main(["password", user, "--config", str(write_floor(tmp_path))]) == 1
    told = capsys.readouterr()
    assert words in told.err
    assert told.out == ""


# ------------------------------------------------------------------------------------------------------ customers


def test_customers_are_imported_and_rows_that_are_none_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, people = write_floor(tmp_path / "config"), tmp_path / "people.csv"
    people.write_text("client,name,numbers\nacme,Ada,+15555550111\nnobody,Bob,+15555550112\n", "utf-8")
    asked = ["customers", "import", str(people), "--config", str(folder), "--data", str(tmp_path / "data")]
    assert main(asked) == 1
    told = capsys.readouterr()
    assert told.out.startswith("1 added")
    assert "people.csv:3:" in told.err
    people.write_text("client,name,numbers\nacme,Ada,+15555550111\n", "utf-8")
    assert main(asked) == 0
    assert "0 added, 0 changed, 1 as before" in capsys.readouterr().out


def test_a_file_of_customers_that_is_not_there_is_told_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["customers", "import", str(tmp_path / "none.csv"), "--data", str(tmp_path)]
    assert main(asked) == 1
    err = capsys.readouterr().err
    assert "none.csv" in err
    assert "Traceback" not in err


# ------------------------------------------------------------------------------------------------------------ run


def test_the_first_start_prints_the_passwords_and_the_second_does_not(
    tmp_path: Path, switch: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["run", "--config", str(write_floor(tmp_path / "config")), "--data", str(tmp_path / "data")]
    assert main(asked) == 0
    first = capsys.readouterr().out
    ((settings, secrets),) = switch.seen
    assert stat.S_IMODE((tmp_path / "data" / FILE).stat().st_mode) == 0o600
    assert secrets.passwords["ana"].sip in first
    assert secrets.passwords["ana"].mqtt in first
    assert secrets.monitor.password in first
    assert settings.switch.data == tmp_path / "data"
    assert main(asked) == 0
    second = capsys.readouterr().out
    assert secrets.passwords["ana"].sip not in second
    assert secrets.monitor.password not in second
    assert second.startswith("ready: SIP udp 127.0.0.1:5072, tcp [::1]:5073; MQTT 127.0.0.1:1884;")
    assert "dial +15555550100 (or 1000) for Acme" in second


def test_the_ready_line_names_an_address_that_a_phone_can_be_given(tmp_path: Path) -> None:
    settings = load_text(tmp_path)
    ready = Ready((Listen("udp", "0.0.0.0", 5060),), None, SOCKET)
    told = ready_lines(settings, open_secrets(settings), ready)
    assert ":5060" in told
    assert "no MQTT broker" in told


def test_self_made_certificate_is_named_with_its_fingerprint(tmp_path: Path) -> None:
    settings = load_text(tmp_path)
    shown = Shown(tmp_path / "self-made.pem", ("cc1",), "AA:BB", datetime(2028, 1, 1, tzinfo=UTC), self_made=True)
    ready = Ready((Listen("tls", "127.0.0.1", 5061),), None, SOCKET, shown)
    told = ready_lines(settings, open_secrets(settings), ready)
    assert "tls 127.0.0.1:5061" in told
    assert f"self-made certificate, for trials: phones must trust {shown.file}\n    SHA-256 AA:BB" in told
    sip = json.loads(trial_line(settings, open_secrets(settings), ready))["sip"]
    assert (sip["tls"], sip["certificate"]) == (["127.0.0.1:5061"], {"file": str(shown.file), "sha256": "AA:BB"})
    bought = Ready(ready.listeners, None, SOCKET, replace(shown, self_made=False))
    assert "self-made" not in ready_lines(settings, open_secrets(settings), bought)


def test_the_ready_line_names_it_also_in_a_network_that_leads_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(self: socket.socket, address: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    def ioctl(probe: socket.socket, request: int, asked: bytes) -> bytes:
        address = {b"lo": "127.0.0.1", b"eth1": "10.1.2.3"}.get(asked.rstrip(b"\0"))
        if address is None:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return asked[:20] + socket.inet_aton(address) + asked[24:]

    monkeypatch.setattr(socket, "socket", type("Socket", (socket.socket,), {"connect": connect}))
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo"), (2, "eth0"), (3, "eth1")])
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    settings = load_text(tmp_path)
    secrets = open_secrets(settings)
    ready = Ready((Listen("udp", "0.0.0.0", 5060), Listen("udp", "::", 5060)), None, SOCKET)
    assert ready_lines(settings, secrets, ready).startswith("ready: SIP udp 10.1.2.3:5060, udp [::1]:5060;")
    monkeypatch.setattr(socket, "if_nameindex", lambda: [(1, "lo")])
    assert ready_lines(settings, secrets, ready).startswith("ready: SIP udp 127.0.0.1:5060, udp [::1]:5060;")


def test_a_trial_tells_all_in_one_line_of_json_and_leaves_nothing_behind(
    switch: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    there: list[bool] = []
    switch.during = lambda settings, secrets: there.append(settings.switch.data.is_dir())
    assert main(["run", "--trial", "--log-level", "error"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    told = json.loads(out)
    assert told["ready"] is True
    assert told["sip"] == {"udp": ["127.0.0.1:5072"], "tcp": ["[::1]:5073"], "realm": "callcenter"}
    giant = next(number for number in told["numbers"] if number["client"] == "the-tech-giant")
    assert (giant["number"], giant["aliases"][0], giant["name"]) == ("+18005550100", "1000", "The Tech Giant")
    assert giant["menu"][0] == {"digit": "1", "intent": "sales", "language": None, "queue": "tech-giant-sales-en"}
    spanish = giant["menu"][2]
    assert (spanish["language"], spanish["menu"][1]["queue"]) == ("es", "tech-giant-support-es")
    ((settings, secrets),) = switch.seen
    ana = next(agent for agent in told["agents"] if agent["user"] == "ana")
    assert secrets.credentials["ana"] == Credentials.of("ana", "callcenter", ana["password"])
    assert ana["skills"] == {"english": 4, "spanish": 5, "sales": 4}
    assert ana["clients"] == ["the-tech-giant"]
    assert {"user": "ana", "password": secrets.passwords["ana"].mqtt} == ana["mqtt"]
    assert told["mqtt"]["monitor"] == {"user": "monitor", "password": secrets.monitor.password}
    assert (told["mqtt"]["port"], told["pid"]) == (1884, os.getpid())
    assert told["database"] == str(settings.storage.path)
    assert there == [True]
    assert not Path(told["data"]).exists()


def test_a_trial_has_a_password_for_an_agent_who_has_only_hashes(
    switch: SimpleNamespace, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nobody can log in with the hash of a password that the trial does not know."""
    own = f"clients: [acme], sip_md5: {'0' * 32}, sip_sha256: {'0' * 64}}}"
    folder = write_floor(tmp_path, GOOD.replace("clients: [acme]}", own, 1))
    assert main(["run", "--trial", "--config", str(folder), "--log-level", "error"]) == 0
    (ana,) = json.loads(capsys.readouterr().out)["agents"]
    ((_, secrets),) = switch.seen
    assert ana["password"]
    assert secrets.credentials["ana"] == Credentials.of("ana", "callcenter", ana["password"])


def test_a_trial_of_a_real_floor_stays_on_loopback_and_off_the_real_broker(tmp_path: Path) -> None:
    real = GOOD + (
        "sip: {advertised: pbx.example.org}\n"
        "mqtt: {url: 'mqtts://broker.example.org', user: floor, password_env: SECRET}\n"
        "media: {advertised: 203.0.113.7}\n"
    )
    settings = load_text(tmp_path, real, *trial_overrides())
    assert {each.host for each in settings.sip.listen} <= {"127.0.0.1", "::1"}
    assert {each.port for each in settings.sip.listen} == {0}
    assert {each.transport for each in settings.sip.listen} == {"udp", "tcp", "tls"}
    assert (settings.sip.advertised, settings.media.advertised) == ((), ())
    assert (settings.mqtt.url, settings.mqtt.user, settings.mqtt.port) == (None, None, 0)
    own = load_text(tmp_path, real, *trial_overrides(), "sip.listen=[{transport: udp, host: 127.0.0.1, port: 5999}]")
    assert own.sip.listen == (Listen("udp", "127.0.0.1", 5999),)


def test_a_trial_that_is_told_to_end_before_it_is_ready_leaves_nothing_behind(
    switch: SimpleNamespace,
) -> None:
    folders: list[Path] = []

    def told_to_end(settings: Settings, secrets: Secrets) -> None:
        folders.append(settings.switch.data)
        signal.raise_signal(signal.SIGTERM)

    switch.during = told_to_end
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        main(["run", "--trial", "--log-level", "error"])
    assert not folders[0].exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_switch_that_cannot_start_says_why_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(settings: Settings, secrets: Secrets, **_: object) -> None:
        raise serving.StartError("udp 0.0.0.0:5060 is in use")

    monkeypatch.setattr(serving, "run", run)
    asked = ["run", "--config", str(write_floor(tmp_path / "config")), "--data", str(tmp_path / "data")]
    assert main(asked) == 1
    assert capsys.readouterr().err == "callcenter: udp 0.0.0.0:5060 is in use\n"


def test_a_broken_configuration_does_not_start(
    tmp_path: Path, switch: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_floor(tmp_path / "config", GOOD.replace("english: 4", "english: 6"))
    assert main(["run", "--config", str(folder), "--data", str(tmp_path / "data")]) == 1
    assert switch.seen == []
    assert "CFG003" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


def test_credentials_that_others_can_read_do_not_start(
    tmp_path: Path, switch: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / FILE).write_text("agents: {}\n")
    (tmp_path / "data" / FILE).chmod(0o644)
    asked = ["run", "--config", str(write_floor(tmp_path / "config")), "--data", str(tmp_path / "data")]
    assert main(asked) == 1
    err = capsys.readouterr().err
    assert err.startswith("callcenter: ")
    assert "chmod 600" in err
    assert switch.seen == []


def test_a_recording_of_another_kind_is_converted_before_the_switch_runs(
    tmp_path: Path, switch: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    from array import array

    from callcenter.speech.wav import Sound, probe, write

    folder = write_floor(tmp_path / "config")
    write(folder / "hello.wav", Sound(24_000, array("h", [0, 900, 0, -900] * 3000)))
    assert load(folder, data=tmp_path / "data").calls.prompts.prompt("hello", "en") == ()
    assert main(["run", "--config", str(folder), "--data", str(tmp_path / "data")]) == 0
    ((settings, _),) = switch.seen
    (clip,) = settings.calls.prompts.prompt("hello", "en")
    assert probe(Path(clip.path)).for_the_line
    assert clip.seconds == pytest.approx(0.5)
    assert "making 1 sound, once" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("verb", "words"), [("schema", "Make the JSON Schema"), ("trace", "Show the SIP messages"), ("customers", "CSV")]
)
def test_names_keep_their_capitals_in_the_help(verb: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert words in capsys.readouterr().out
