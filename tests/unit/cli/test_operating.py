"""status, reload and drain as an operator reads them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from socket import socketpair
from typing import Any

import pytest

from callcenter.cli import main, media
from callcenter.cli.common import WIDTH
from callcenter.cli.status import clock, frame, lines, masked
from callcenter.control.sockets import Listening
from tests.unit.config.floor import GOOD, write_floor

STATE: dict[str, Any] = {
    "version": "0.1.0", "node": "cc1", "pid": 4711, "data": "/var/lib/callcenter", "phase": "draining",
    "drain": {"by": "olga", "since_s": 60.0, "limit_s": 600.0, "left_s": 540.0, "empty": False, "then_end": False},
    "started_at": "2026-11-21T14:00:00.000Z", "uptime_s": 8041.0,
    "config": {"revision": "9eb24f895cb8", "folder": "/etc/callcenter", "loaded_at": "2026-11-21T14:00:00.000Z",
               "by": "start", "at_next_start": ["sip.realm"]},
    "calls_up": 2,
    "calls": [
        {"id": "cc1-01kjpwd6m1v6wec6j43g9e1j5j", "from": "+14155550100", "to": "+18005550100",
         "client": "the-tech-giant", "stage": "talking to ana", "since_s": 41.2, "up_s": 60.0,
         "agent": "ana", "worker": 0},
        {"id": "cc1-01kjpwgvt3730s2j329znc3gaf", "from": "+5511955550102", "to": "+551100000100",
         "client": "casa-lumina", "stage": "waiting lumina-sales", "since_s": 3725.0, "up_s": 3730.0,
         "agent": None, "worker": None},
    ],
    "queues": [
        {"queue": "tech-giant-support-en", "client": "the-tech-giant", "waiting": 0, "longest_s": None, "ready": 1,
         "signed_in": 2, "talking": 1},
        {"queue": "lumina-sales", "client": "casa-lumina", "waiting": 1, "longest_s": 31.0, "ready": 0, "signed_in": 0,
         "talking": 0},
    ],
    "agents": [
        {"agent": "ana", "name": "Ana", "chosen": "ready", "reason": "", "forced": False, "next": "not_ready",
         "next_reason": "lunch", "work": "talking", "device": "registered", "phone": "10.0.0.7:5060",
         "user_agent": "Linphone", "since_s": 41.0, "left_s": None, "available": False,
         "call": "cc1-01kjpwd6m1v6wec6j43g9e1j5j"},
        {"agent": "bruno", "name": "Bruno", "chosen": "ready", "reason": "", "forced": False, "next": None,
         "next_reason": "", "work": "wrap_up", "device": "registered", "phone": "10.0.0.8:5060", "user_agent": None,
         "since_s": 5.0, "left_s": 15.0, "available": False, "call": None},
    ],
    "trunks": [
        {"trunk": "carrier-a", "up": True, "detail": "registered", "calls": 2, "max_calls": 30, "received": 41,
         "tried": 12, "answered": 10, "failed": 2},
        {"trunk": "carrier-b", "up": False, "detail": "no answer from udp 198.51.100.7:5060", "calls": 0,
         "max_calls": 10, "received": 0, "tried": 1, "answered": 0, "failed": 1},
    ],
    "media": {"sessions": 3, "capacity": 8192, "codecs": ["PCMU", "PCMA", "G722"],
        "codecs_left_out": {"opus": "apt-get install libopus0, or pip install 'callcenter[opus]'"}, "workers": [
        {"worker": 0, "pid": 4720, "alive": True, "load": 0.034, "sessions": 3, "capacity": 4096, "restarts": 1,
         "late_ms": 0.4},
        {"worker": 1, "pid": 0, "alive": False, "load": 0.0, "sessions": 0, "capacity": 4096, "restarts": 2,
         "late_ms": 0.0},
    ]},
    "broker": {"connected": False, "detail": "mqtt://127.0.0.1:1883: connection lost", "waiting": 12, "pops_sent": 1,
               "pops_waiting": 0},
    "database": {"healthy": True, "detail": "", "path": "/x", "facts": 88, "waiting": 0, "lost": 0},
    "sip": {"listeners": ["udp 0.0.0.0:5060", "udp [::]:5060", "tcp 0.0.0.0:5060", "tcp [::]:5060"],
            "registrations": 2, "transactions": 3, "dialogs": 3, "sessions": 3, "connections": 0,
            "repeated_by_us": 2, "repeated_by_peers": 1, "unreadable": 7,
            "guard": {"over_rate": 12, "banned": 3, "bans": ["192.0.2.66"], "bans_now": 1}},
    "certificates": [
        {"file": "/etc/tls/sip.pem", "subject": "CN=sip.example.org,O=Example", "names": ["sip.example.org"],
         "sha256": "AA:BB", "self_made": False, "until": "2027-01-31T00:00:00.000Z", "days_left": 70, "due": False},
        {"file": "/etc/tls/old.pem", "subject": "CN=old.example.org", "names": ["old.example.org"], "sha256": "CC:DD",
         "self_made": False, "until": "2026-12-01T00:00:00.000Z", "days_left": 9, "due": True},
    ],
}  # fmt: skip


@contextmanager
def switch(folder: Path, answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> Iterator[Path]:
    """A socket that answers each command as told, to one client after the other."""
    folder.mkdir(parents=True, exist_ok=True)
    listening = Listening(folder / "control.sock")
    listening.socket.setblocking(True)

    def run() -> None:
        while True:
            try:
                connection, _ = listening.socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as asked:
                for line in asked:
                    request = json.loads(line)
                    told = {"id": request["id"], "ok": True, **answer(request)}
                    connection.sendall(json.dumps(told).encode() + b"\n")

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listening.path
    finally:
        listening.socket.shutdown(2)
        thread.join()
        listening.socket.close()
        listening.close()


def test_status_tells_everything_in_eighty_columns() -> None:
    told = lines(masked(STATE, numbers=False))
    assert max(map(len, told)) <= WIDTH, [line for line in told if len(line) > WIDTH]
    text = "\n".join(told)
    assert told[0] == "callcenter 0.1.0 cc1: draining, up 2:14:01, config 9eb24f895cb8, pid 4711"
    assert told[1] == "draining by olga, 9:00 left; callcenter drain --cancel takes calls again"
    for words in (
        r"9e1j5j\s+\+1415555\*\*\*\*\s+the-tech-giant\s+talking to ana\s+0:41\s+0",
        r"\+551195555\*\*\*\*\s+casa-lumina\s+waiting lumina-sales\s+1:02:05\s+-",
        r"lumina-sales\s+1\s+0:31\s+0\s+0\s+0",
        r"ana\s+ready -> not ready: lunch\s+talking\s+registered\s+0:41",
        r"bruno\s+ready\s+wrap up 0:15\s+registered",
        r"TRUNKS 2, 1 to call by\n",
        r"carrier-a\s+up\s+2 of 30\s+41\s+12\s+10\s+2",
        r"carrier-b\s+down\s+0 of 10\s+0\s+1\s+0\s+1",
        r"\n {10}carrier-b: no answer from udp 198.51.100.7:5060",
        r"1\s+-\s+is being replaced",
        r"BROKER    not connected; 12 facts waiting, 1 pop sent\n {10}mqtt://127.0.0.1:1883: connection lost",
        r"\n {10}udp 0.0.0.0:5060, udp \[::\]:5060, tcp 0.0.0.0:5060, tcp \[::\]:5060",
        r"\n {10}2 messages repeated by us, 1 by peers, 7 unreadable",
        r"\n {10}12 over their rate and 3 of banned sources not taken",
        r"\n {10}1 source banned: 192\.0\.2\.66",
        r"in force at the next start only: sip.realm",
        r"\nTLS {7}until 2027-01-31, 70 days left; for sip\.example\.org\n",
        r"\n {10}CN=sip\.example\.org,O=Example, /etc/tls/sip\.pem\n",
        r"\n {10}until 2026-12-01, 9 days left; for old\.example\.org\n",
        r"\n {10}WARNING: peers refuse it from 2026-12-01 on: renew it",
    ):
        assert re.search(words, text), f"{words}\n{text}"


def test_a_customer_who_is_being_called_back_is_not_said_to_be_called_later() -> None:
    callback = {
        "id": "c1", "client": "acme", "queue": "sales", "number": "+14155550100", "since_s": 16.0, "attempts": 1,
        "due_s": 29.0, "stage": "calling back +14155550100", "call": "cc1-42fb3c",
    }  # fmt: skip
    dialled = "\n".join(lines(masked({**STATE, "callbacks_pending": 1, "callbacks": [callback]}, numbers=False)))
    assert "calling back +14155" in dialled
    assert "+14155550100" not in dialled, "the stage does not tell what the column hides"
    assert "again in" not in dialled
    assert "again in 0:29" in "\n".join(
        lines({**STATE, "callbacks_pending": 1, "callbacks": [{**callback, "call": None}]})
    )


def test_status_tells_which_codecs_are_spoken_and_how_to_get_the_others() -> None:
    told = " ".join("\n".join(lines(STATE)).split())
    assert "CODECS PCMU, PCMA, G722 opus is left out, its library is not here: apt-get install libopus0" in told


def test_status_tells_of_a_certificate_that_has_expired_and_of_one_that_is_made_anew() -> None:
    shown = {**STATE["certificates"][1], "days_left": -3, "names": [f"phone{n}.example.org" for n in range(9)]}
    trial = {**STATE["certificates"][1], "days_left": 2, "self_made": True}
    told = lines({**STATE, "certificates": [shown, trial]})
    text = "\n".join(told)
    assert max(map(len, told)) <= WIDTH
    assert re.search(r"\nTLS {7}until 2026-12-01, EXPIRED; for phone0", text)
    assert re.search(r"self-made, until 2026-12-01, 2 days left", text)
    assert "the next start makes another" in " ".join(text.split())
    assert "TLS" not in "\n".join(lines({key: value for key, value in STATE.items() if key != "certificates"}))


def test_status_tells_of_sides_that_sound_bad_and_of_workers_that_leave() -> None:
    leg = {"call": "cc1-01kjpwd6m1v6wec6j43g9e1j5j", "who": "caller", "agent": None, "trunk": "carrier-a",
           "codec": "PCMA", "mos": 3.1, "loss": 0.082, "jitter_ms": 31.0, "remote_mos": None, "remote_loss": None,
           "remote_jitter_ms": None, "round_trip_ms": 212.0, "received": 900, "sent": 1000, "one_way": ["stopped"],
           "missing": False}  # fmt: skip
    silent = {**leg, "who": "agent", "agent": "ana", "mos": None, "codec": None, "one_way": [], "missing": True}
    more = {"worst_late_ms": 3.0, "memory": 31 << 20, "age_s": 9.0}
    first, second = STATE["media"]["workers"]
    workers = [
        {**first, "draining": False, "retiring": False, **more},
        {**first, "pid": 4711, "draining": True, "retiring": True, **more},
        {**second, "alive": True, "pid": 4722, "draining": True, "retiring": False, **more},
    ]
    trunk = {**STATE["trunks"][0], "sounds_bad": "of the latest 20 calls' sound by carrier-a 11 had a score below 3.6"}
    calls = [{**call, "mos": 3.14} for call in STATE["calls"]]
    told = lines(
        {
            **STATE,
            "calls": calls,
            "sound": [leg, silent],
            "trunks": [trunk],
            "media": {**STATE["media"], "workers": workers},
        }
    )
    text = "\n".join(told)
    assert max(map(len, told)) <= WIDTH, [line for line in told if len(line) > WIDTH]
    for words in (
        r"\n  CALL\s+FROM\s+CLIENT\s+STAGE\s+SINCE\s+W\s+MOS\n",
        r"talking to ana\s+0:41\s+0\s+3\.1",
        r"BAD SOUND 2, the worst first",
        r"9e1j5j\s+carrier-a\s+PCMA\s+3\.1\s+8\.2%\s+31 ms\s+-\s+-\s+212 ms",
        r"\n {10}9e1j5j, caller: sound came from there, and comes no more",
        r"\n {10}9e1j5j, agent: nothing has come from there at all",
        r"\n {10}carrier-a SOUNDS BAD: of the latest 20 calls' sound",
        r"0\s+4720\s+3%\s+3\s+1\s+0\.4 ms\s+31 MB\n",
        r"0\s+4711\s+3%\s+3\s+1\s+0\.4 ms\s+31 MB\s+leaves\n",
        r"1\s+4722\s+0%\s+0\s+2\s+0\.0 ms\s+31 MB\s+drained\n",
    ):
        assert re.search(words, text), f"{words}\n{text}"


def test_a_worker_is_replaced_and_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Until its last call has ended; what cannot be done is told in one line."""
    media.EVERY, every = 0.01, media.EVERY
    asked: list[Mapping[str, Any]] = []
    worker = {**STATE["media"]["workers"][0], "draining": False, "retiring": False, "memory": 1 << 20}
    left = [2, 2, 1, 0]

    def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(request)
        if request.get("worker") == 7:
            return {"ok": False, "error": "there is no media worker 7: they are 0 to 1"}
        sessions = left.pop(0)
        old = {**worker, "pid": 4711, "draining": True, "retiring": True, "sessions": sessions}
        told = {**STATE["media"], "workers": [worker, *([old] if sessions else [])]}
        return {"result": told if request["do"] == "media" else {"media": told}}

    try:
        with switch(tmp_path, answer) as path:
            at = ["--socket", str(path)]
            assert main(["media", *at, "replace", "0", "--limit", "10m", "--wait"]) == 0
            out = capsys.readouterr().out
            assert re.search(r"leaves\n2 sides of calls left\n1 side of calls left\nno call is left there\n", out)
            assert {"do": "media", "action": "replace", "worker": 0, "seconds": 600.0}.items() <= asked[0].items()
            assert main(["media", *at, "drain", "7"]) == 1
            assert "there is no media worker 7: they are 0 to 1" in capsys.readouterr().err
    finally:
        media.EVERY = every


def test_what_a_caller_sends_cannot_command_the_operators_terminal() -> None:
    evil = {**STATE["calls"][0], "from": "\x1b]0;owned\x07\x9b31m"}
    for numbers in (True, False):
        told = "\n".join(lines(masked({**STATE, "calls": [evil]}, numbers=numbers)))
        assert "]0;owned" in told
        assert all(char.isprintable() or char == "\n" for char in told), repr(told)


def test_callers_numbers_are_shown_when_they_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with switch(tmp_path, lambda asked: {"result": STATE}) as socket:
        assert main(["status", "--socket", str(socket), "--numbers"]) == 0
        assert "+14155550100" in capsys.readouterr().out
        assert main(["status", "--socket", str(socket)]) == 0
        assert "+14155550100" not in capsys.readouterr().out
        assert main(["status", "--socket", str(socket), "--json"]) == 0
        state = json.loads(capsys.readouterr().out)
        assert state["calls"][0]["from"] == "+1415555****"
        assert state["agents"] == STATE["agents"]


def test_where_no_switch_runs_one_clear_line_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ("status", "reload", "drain"):
        assert main([verb, "--data", str(tmp_path)]) == 1
        told = capsys.readouterr()
        assert (told.out, told.err) == ("", f"callcenter: no switch runs on {tmp_path}\n")


def test_the_switch_is_found_by_its_configuration_also_when_that_has_mistakes_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = GOOD.replace("english: 4", "english: 9") + f"switch: {{data: {tmp_path / 'data'}}}\n"
    folder = write_floor(tmp_path / "config", text)
    with switch(tmp_path / "data", lambda asked: {"result": STATE}):
        assert main(["status", "--config", str(folder)]) == 0
    assert "callcenter 0.1.0" in capsys.readouterr().out
    broken = write_floor(tmp_path / "broken", "switch: {data: 7\n")
    assert main(["status", "--config", str(broken)]) == 1
    assert "floor.yaml:" in capsys.readouterr().err


def test_a_frame_on_a_terminal_is_no_longer_than_the_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "5")
    frame([f"line {number}, which is rather long" for number in range(10)], terminal=True)
    told = capsys.readouterr().out
    assert told.startswith("\x1b[H")
    assert told.endswith("\x1b[J")
    shown = [line.removesuffix("\x1b[K") for line in told[3:-3].splitlines()]
    assert len(shown) == 4
    assert max(map(len, shown)) == 20
    assert shown[-1].startswith("... 7 lines more")
    frame(["one"], terminal=False)
    assert capsys.readouterr().out == "one\n\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (161, "2:41"), (3761, "1:02:41"), (262_961, "3d 1:02:41")]
)
def test_a_clock_is_as_short_as_it_can_be(seconds: float, text: str) -> None:
    assert clock(seconds) == text


# --------------------------------------------------------------------------------------------------------- reload


def change(sign: str, path: str, before: str = "", after: str = "", note: str = "", waits: bool = False) -> Any:
    return {"sign": sign, "path": path, "before": before, "after": after, "note": note, "waits": waits}


NOTE = "4 callers waiting now: 1 has waited longer and overflows at once"
SEEN = {
    "before": "aaaa", "revision": "bbbb", "files": 6, "calls": 17, "warnings": [], "to_make": [],
    "changes": [
        change("~", "queues.support.max_wait", "600s", "300s", NOTE),
        change("+", "clients.globex"),
        change("~", "sip.realm", "here", "there", waits=True),
    ],
}  # fmt: skip


def test_reload_says_what_changes_before_it_does_it_and_shows_new_passwords_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[Mapping[str, Any], str]] = []

    def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append((request, capsys.readouterr().out))
        rows = [{"user": "eva", "sip": "word-1", "mqtt": "word-2", "name": "Eva"}]
        done = {
            "took_ms": 38,
            "certificates": ["certificate for a.example"],
            "passwords": rows,
            "credentials": "/data/credentials.yaml",
        }
        return {"result": SEEN if request.get("dry") else {**SEEN, **done}}

    with switch(tmp_path, answer) as socket:
        assert main(["reload", "--socket", str(socket)]) == 0
    told = capsys.readouterr().out
    [(look, nothing), (do, before)] = asked
    assert (look["dry"], nothing) == (True, "")
    assert do["revision"] == "bbbb", "what was shown is what is loaded"
    assert before.splitlines() == [
        "configuration aaaa → bbbb, 6 files read",
        "  ~ queues.support.max_wait  600s → 300s",
        "      4 callers waiting now: 1 has waited longer and overflows at once",
        "  + clients.globex",
        "  ~ sip.realm                here → there    takes effect at the next start",
    ]
    assert re.match(r"  = 17 calls up, none touched +reloaded in 38 ms\n", told)
    assert "  ~ certificate for a.example\n" in told
    assert "new passwords, shown only now; they are kept in /data/credentials.yaml" in told
    assert re.search(r"eva +word-1 +word-2 +Eva", told)


def test_new_passwords_do_not_go_to_the_journal_of_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"user": "eva", "sip": "word-1", "mqtt": "word-2", "name": "Eva"}]
    done = {**SEEN, "took_ms": 38, "certificates": [], "passwords": rows, "credentials": "/data/credentials.yaml"}
    monkeypatch.setenv("JOURNAL_STREAM", "8:4711")
    ours, journal = socketpair()
    with ours, journal, ours.makefile("w") as out, switch(tmp_path, lambda asked: {"result": done}) as path:
        monkeypatch.setattr("sys.stdout", out)
        assert main(["reload", "--socket", str(path)]) == 0
        out.flush()
        told = journal.recv(65536).decode()
    assert told.endswith("\nnew passwords of eva: in /data/credentials.yaml, and not in the journal\n")
    assert "word-" not in told


def test_a_dry_run_only_looks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Mapping[str, Any]] = []

    def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(request)
        return {"result": SEEN}

    with switch(tmp_path, answer) as socket:
        assert main(["reload", "--socket", str(socket), "--dry-run"]) == 0
    assert [each["dry"] for each in asked] == [True]
    assert capsys.readouterr().out.endswith("a dry run: nothing has changed\n")


def test_mistakes_are_shown_as_check_shows_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problem = "queues.yaml:2:19: REF101 queues.sales.client: no client is named `acme`\n   |\n"
    error = "1 problem in 1 file, the running configuration is untouched"
    with switch(tmp_path, lambda asked: {"ok": False, "error": error, "problems": [problem]}) as socket:
        assert main(["reload", "--socket", str(socket)]) == 1
    assert capsys.readouterr().err == f"{problem}\n{error}\n"


# ---------------------------------------------------------------------------------------------------------- drain


def state(calls: int, *, empty: bool = False, drain: bool = True) -> Mapping[str, Any]:
    left = {"by": "x", "since_s": 0.0, "limit_s": 600.0, "left_s": 600.0, "empty": empty, "then_end": False}
    return {"result": {"calls": calls, "drain": left if drain else None}}


def test_drain_waits_until_no_call_is_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcenter.cli.drain.EVERY", 0.0)
    asked: list[Mapping[str, Any]] = []
    answers = iter([state(2), state(2), state(1), state(0, empty=True)])

    def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(request)
        return next(answers)

    with switch(tmp_path, answer) as socket:
        assert main(["drain", "--socket", str(socket), "--wait", "--limit", "1m30s"]) == 0
    assert asked[0]["seconds"] == 90.0
    assert [each["do"] for each in asked] == ["drain", "health", "health", "health"]
    assert capsys.readouterr().out.splitlines() == [
        "no new calls are taken; 2 calls up, 10:00 left for them to end",
        "no new calls are taken; 1 call up, 10:00 left for them to end",
        "no new calls are taken; no call is up",
    ]


def test_a_drain_that_somebody_cancels_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcenter.cli.drain.EVERY", 0.0)
    answers = iter([state(2), state(2, drain=False)])
    with switch(tmp_path, lambda asked: next(answers)) as socket:
        assert main(["drain", "--socket", str(socket), "--wait"]) == 1
    assert "the drain was cancelled" in capsys.readouterr().err


def test_drain_cancel_takes_calls_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Mapping[str, Any]] = []

    def answer(request: Mapping[str, Any]) -> Mapping[str, Any]:
        asked.append(request)
        return state(0, drain=False)

    with switch(tmp_path, answer) as socket:
        assert main(["drain", "--socket", str(socket), "--cancel"]) == 0
    assert asked[0]["cancel"] is True
    assert capsys.readouterr().out == "calls are taken again\n"


def test_a_limit_that_is_no_duration_is_refused_before_anything_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["drain", "--limit", "10"])
    assert caught.value.code == 2
    assert "`10` is not a duration: write a duration as 20s," in capsys.readouterr().err
