"""``callcenter backup`` and ``restore``, as an operator uses them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from callcenter.calls.facts import FactStream
from callcenter.cli import main
from callcenter.model.facts import DigitsEntered
from callcenter.runtime.clock import SystemClock
from callcenter.storage import backup
from callcenter.storage.store import Storage


async def test_a_backup_is_made_beside_a_running_switch_looked_at_and_put_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, backups, elsewhere = tmp_path / "data", tmp_path / "backups", tmp_path / "elsewhere"
    storage = await Storage.open(data / "callcenter.db", clock=SystemClock())
    try:
        told = FactStream(SystemClock(), boot="boot", last_seq=storage.log.last_seq, write=storage.log.write)
        for key in "123":
            told.append(DigitsEntered("main", key, True), "c1")
        await storage.log.flushed(told.seq)
        assert main(["backup", str(backups), "--data", str(data)]) == 0
    finally:
        await storage.close()
    whole, *words = capsys.readouterr().out.splitlines()
    assert "facts up to 3" in "\n".join(words)

    assert main(["backup", "--verify", whole]) == 0
    assert capsys.readouterr().out.endswith("whole: every file, every row\n")

    # On another machine: nothing is there yet, not even a configuration.
    put = ["restore", whole, "--data", str(elsewhere), "--config-to", str(tmp_path / "config")]
    assert main(put) == 0
    out = capsys.readouterr().out
    assert f"start it: callcenter run --data {elsewhere} --config {tmp_path / 'config'}" in out
    again = await Storage.open(elsewhere / "callcenter.db", clock=SystemClock())
    try:
        assert [fact.seq for fact in await again.log.read(0, 10)] == [1, 2, 3]
    finally:
        await again.close()
    assert main(["check", "--config", str(tmp_path / "config")]) == 0

    capsys.readouterr()
    assert main(["restore", whole, "--data", str(elsewhere)]) == 1
    assert "is there already; --replace moves what is there" in capsys.readouterr().err
    assert main(["restore", whole, "--data", str(elsewhere), "--replace"]) == 0
    assert "what was there is in" in capsys.readouterr().out


def test_one_that_is_damaged_is_told_and_not_put_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "--verify", str(tmp_path)]) == 1
    assert "is no backup" in capsys.readouterr().err
    assert main(["backup", str(tmp_path / "backups"), "--data", str(tmp_path / "nothing")]) == 1
    assert "nothing was saved there yet" in capsys.readouterr().err
    assert not (tmp_path / "backups").exists()


async def test_a_changed_byte_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / "data"
    await (await Storage.open(data / "callcenter.db", clock=SystemClock())).close()
    assert main(["backup", str(tmp_path), "--data", str(data)]) == 0
    whole = Path(capsys.readouterr().out.splitlines()[0])
    with (whole / "databases" / "main.db").open("r+b") as file:
        file.seek(5_000)
        byte = file.read(1)
        file.seek(5_000)
        file.write(bytes([byte[0] ^ 1]))
    assert main(["backup", "--verify", str(whole)]) == 1
    captured = capsys.readouterr()
    assert "wrong: databases/main.db: was changed" in captured.err
    assert "not whole" in captured.out
    assert main(["restore", str(whole), "--data", str(tmp_path / "elsewhere")]) == 1
    assert "is not whole: nothing was restored" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere").exists()


async def test_who_restores_again_with_replace_finds_no_half_restored_configuration_in_the_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, config = tmp_path / "data", tmp_path / "config"
    await (await Storage.open(data / "callcenter.db", clock=SystemClock())).close()
    assert main(["backup", str(tmp_path / "backups"), "--data", str(data)]) == 0
    whole = capsys.readouterr().out.splitlines()[0]
    put = ["restore", whole, "--data", str(data), "--config-to", str(config)]
    assert main(put) == 1
    captured = capsys.readouterr()
    assert "is there already" in captured.err
    assert "configuration in" not in captured.out
    assert main([*put, "--replace"]) == 0
    (config / "mine.yaml").write_text("")
    assert main([*put, "--replace"]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert (config / "mine.yaml").exists(), "what is not ours stays"


async def test_a_backup_that_the_service_manager_ends_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, backups = tmp_path / "data", tmp_path / "backups"
    await (await Storage.open(data / "callcenter.db", clock=SystemClock())).close()

    def ended(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("callcenter.storage.backup._write", ended)
    with pytest.raises(SystemExit, match=str(128 + signal.SIGTERM)):
        main(["backup", str(backups), "--data", str(data)])
    assert list(backups.iterdir()) == []
    monkeypatch.undo()
    # One that was killed at once could not tidy up: the next one tells of it.
    (backups / "callcenter-20261130T000000Z.part").mkdir()
    assert main(["backup", str(backups), "--data", str(data)]) == 0
    assert "note: " in (told := capsys.readouterr().out)
    assert "callcenter-20261130T000000Z.part was cut short" in told


async def test_a_backup_that_outlives_its_terminal_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # As with nohup.
    data, backups = tmp_path / "data", tmp_path / "backups"
    await (await Storage.open(data / "callcenter.db", clock=SystemClock())).close()
    write = backup._write

    def closed(path: Path, octets: bytes) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        write(path, octets)

    monkeypatch.setattr(backup, "_write", closed)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["backup", str(backups), "--data", str(data)]) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
