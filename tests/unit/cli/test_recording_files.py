"""``callcenter recordings`` with files: what an operator does with files of recordings."""

from __future__ import annotations

import os
import random
import wave
from pathlib import Path

import pytest

from callcenter.cli import main
from callcenter.media.embedded.recorder.files import create
from callcenter.media.embedded.recorder.keys import key_id
from callcenter.media.embedded.recorder.sealing import Format
from callcenter.media.plane import RecordingEncoding

KEY, OTHER = bytes(range(32)), bytes(range(32, 64))
SOUND = random.Random(1).randbytes(100_000)


def recording(folder: Path, name: str, key: bytes | None = None, *, finished: bool = True) -> str:
    file = create(str(folder / name), Format(RecordingEncoding.PCM, 8000), key)
    file.write(SOUND)
    if not finished:
        file.abandon()
        return file.path + ".part"
    file.finish()
    file.name()
    return file.path


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("CALLCENTER_RECORDING_KEY", raising=False)
    path = tmp_path / "keys"
    path.write_text(f"{OTHER.hex()}\n{KEY.hex()}\n")
    path.chmod(0o600)
    return str(path)


def frames(path: str) -> bytes:
    with wave.open(path) as file:
        data: bytes = file.readframes(file.getnframes())
        return data


def test_whole_files_are_told_with_what_they_add_up_to(
    tmp_path: Path, keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, sealed = recording(tmp_path, "one"), recording(tmp_path, "two", KEY)
    assert main(["recordings", "verify", "--keys", keys, plain, sealed]) == 0
    out = capsys.readouterr().out
    assert f"{plain}: whole, PCM at 8000 Hz, 3.12 s\n  sha256 " in out
    assert f"{sealed}: whole, sealed, PCM at 8000 Hz, 3.12 s\n" in out
    digest = out.split()[out.split().index("sha256") + 1]
    assert main(["recordings", "verify", plain, "--sha256", digest.upper()]) == 0
    assert main(["recordings", "verify", plain, "--sha256", "00" * 32]) == 1
    assert "it is not the file that was written" in capsys.readouterr().err
    assert main(["recordings", "verify", plain, sealed, "--sha256", digest]) == 1
    assert "--sha256 is of one file" in capsys.readouterr().err


def test_each_bad_file_is_told_and_the_others_all_the_same(
    tmp_path: Path, keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cut, good = recording(tmp_path, "cut"), recording(tmp_path, "good")
    os.truncate(cut, 5000)
    assert main(["recordings", "verify", cut, str(tmp_path / "none.wav"), keys, good]) == 1
    out, err = capsys.readouterr()
    assert f"callcenter: {cut}: is cut: its header counts 100000 octets of sound, and 4956 are there" in err
    assert "none.wav: No such file or directory" in err
    assert f"{keys}: is no recording of ours" in err
    assert f"{good}: whole" in out


def test_a_sealed_file_is_decrypted_to_a_private_file_by_a_key_of_the_file_or_the_environment(
    tmp_path: Path, keys: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = recording(tmp_path, "one", KEY)
    assert main(["recordings", "decrypt", sealed, "--keys", keys]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/one.wav: 3.12 s\n"
    assert frames(str(tmp_path / "one.wav")) == SOUND
    assert os.stat(tmp_path / "one.wav").st_mode & 0o777 == 0o600
    assert main(["recordings", "decrypt", sealed, "--keys", keys]) == 1
    assert f"{tmp_path}/one.wav: File exists" in capsys.readouterr().err
    monkeypatch.setenv("CALLCENTER_RECORDING_KEY", KEY.hex())
    assert main(["recordings", "decrypt", sealed, "-o", str(tmp_path / "other.wav")]) == 0
    assert frames(str(tmp_path / "other.wav")) == SOUND


def test_a_sealed_file_is_decrypted_to_standard_output(
    tmp_path: Path, keys: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    sealed = recording(tmp_path, "one", KEY)
    assert main(["recordings", "decrypt", sealed, "--keys", keys, "--output", "-"]) == 0
    assert capfdbinary.readouterr().out[44:] == SOUND


def test_a_sealed_file_is_opened_by_the_configured_key_and_nobody_is_asked_for_it(
    tmp_path: Path, keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed, plain = recording(tmp_path, "one", KEY), recording(tmp_path, "plain")
    configured = ["--set", f"recordings.encryption.key_file={keys}", "--data", str(tmp_path / "data")]
    assert main(["recordings", "verify", sealed, *configured]) == 0
    assert f"{sealed}: whole, sealed" in capsys.readouterr().out
    assert main(["recordings", "verify", plain, "--config", str(tmp_path / "none")]) == 0
    assert main(["recordings", "verify", sealed, "--config", str(tmp_path / "none")]) == 1
    assert "name their file by --keys" in capsys.readouterr().err


def test_what_cannot_be_decrypted_leaves_no_file_and_what_was_cut_leaves_what_is_whole(
    tmp_path: Path, keys: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CALLCENTER_RECORDING_KEY", raising=False)
    sealed, plain = recording(tmp_path, "one", KEY), recording(tmp_path, "plain")
    assert main(["recordings", "decrypt", sealed]) == 1
    err = capsys.readouterr().err
    assert f"{sealed}: is sealed under the key {key_id(KEY).hex()}, which is not among those given (none)" in err
    assert not (tmp_path / "one.wav").exists()
    assert main(["recordings", "decrypt", plain, "-o", str(tmp_path / "x.wav"), "--keys", keys]) == 1
    assert "is not sealed: it can be played as it is" in capsys.readouterr().err
    assert not (tmp_path / "x.wav").exists()
    assert main(["recordings", "decrypt", plain]) == 1
    assert "say where to: --output FILE" in capsys.readouterr().err
    os.truncate(sealed, 70_000)
    assert main(["recordings", "decrypt", sealed, "--keys", keys]) == 1
    assert "is cut within its chunk 2" in capsys.readouterr().err
    assert frames(str(tmp_path / "one.wav")) == SOUND[: 2 * 32 * 1024]


def test_files_that_a_crash_has_left_are_finished(
    tmp_path: Path, keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, sealed = recording(tmp_path, "one", finished=False), recording(tmp_path, "two", KEY, finished=False)
    assert main(["recordings", "verify", plain]) == 1
    assert "was not finished: it only lacks its name" in capsys.readouterr().err
    empty = tmp_path / "empty.wav.part"
    empty.touch()
    assert main(["recordings", "mend", "--keys", keys, plain, str(empty), sealed]) == 1
    out, err = capsys.readouterr()
    assert f"{tmp_path}/one.wav: finished, PCM at 8000 Hz, 3.12 s" in out
    assert f"{tmp_path}/two.wav.sealed: finished, sealed, PCM at 8000 Hz, 3.07 s" in out
    assert err == f"callcenter: {empty}: no sound is in it: delete it\n"
    assert (
        main(["recordings", "verify", "--keys", keys, str(tmp_path / "one.wav"), str(tmp_path / "two.wav.sealed")]) == 0
    )
    assert frames(str(tmp_path / "one.wav")) == SOUND


def test_keys_that_cannot_be_had_are_told(tmp_path: Path, keys: str, capsys: pytest.CaptureFixture[str]) -> None:
    plain = recording(tmp_path, "one")
    assert main(["recordings", "verify", plain, "--keys", str(tmp_path / "none")]) == 1
    assert "none: cannot be read: No such file or directory" in capsys.readouterr().err
    os.chmod(keys, 0o644)
    assert main(["recordings", "verify", plain, "--keys", keys]) == 1
    assert f"chmod 600 {keys}" in capsys.readouterr().err
