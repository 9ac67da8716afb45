"""Recordings as they are written: who is recorded, where to and how long, and every way to get it wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from callcenter.calls.record_policy import ALWAYS, NEVER, ON_DEMAND, KeyFrom, LeastFree, RecordRule
from callcenter.config import DEFAULT_FOLDER, Code, load
from callcenter.config.secrets import SecretsError, open_secrets
from callcenter.media.plane import RecordingEncoding
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span

TELLS = GOOD.replace("hello: {en", "recording-announcement: {en: {file: hello.wav}}\n  hello: {en")
RECORDS = TELLS.replace("languages: [en]}", "languages: [en], record: always}")
KEY = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"


def test_nobody_is_recorded_where_nothing_is_said_and_the_shipped_floor_says_nothing(tmp_path: Path) -> None:
    settings = load_text(tmp_path).calls.recording
    assert not settings.on
    assert settings.directory == tmp_path / "data" / "recordings"
    shipped = load(DEFAULT_FOLDER, data=tmp_path)
    assert not shipped.calls.recording.on
    assert shipped.calls.recording.notices == dict.fromkeys(shipped.calls.clients, "recording-announcement")
    assert shipped.warnings == ()


def test_everything_that_may_be_said(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "key").write_text(KEY)
    text = (
        RECORDS.replace("record: always", "record: 20%, record_announcement: hello, record_retention: 30d")
        .replace("requirements: {english: 3}}", "requirements: {english: 3}, record: on_demand}")
        .replace("clients: [acme]}", "clients: [acme], record: never}")
        + "recordings:\n  directory: /tmp/calls\n  format: ulaw\n  encryption: {key_file: key}\n  retention: forever\n"
        + "  least_free: 20GB\n"
    )
    settings = load_text(tmp_path, text).calls.recording
    assert (settings.directory, settings.encoding) == (Path("/tmp/calls"), RecordingEncoding.ULAW)
    assert settings.key == KeyFrom(file=tmp_path / "config" / "key")
    assert settings.least_free == LeastFree(octets=20_000_000_000)
    assert (settings.clients, settings.queues, settings.agents) == (
        {"acme": RecordRule(share=0.2)},
        {"sales": ON_DEMAND},
        {"ana": NEVER},
    )
    assert settings.notices == {"acme": "hello"}
    assert (settings.days("acme"), settings.days("another")) == (30, None)


@pytest.mark.parametrize(
    ("before", "after", "code", "message", "hint"),
    [
        ("record: always", "record: «sometimes»", Code.CHOICE, "does not say who is recorded", "write always, never"),
        ("record: always", "record: «alway»", Code.CHOICE, "does not say who is recorded", "did you mean `always`?"),
        ("record: always", "record: «120%»", Code.FORM, "`120%` is no share", "write a percentage"),
        ("record: always", "record_retention: «90»", Code.DURATION, "is no number of days", "write e.g. 90d"),
        ("record: always", "record_announcement: «hallo»", Code.NAMES_NOTHING, "no prompt is named", "did you mean"),
        (
            "clients:",
            "recordings: {least_free: «5»}\nclients:",
            Code.FORM,
            "neither a share of a disk",
            "write e.g. 5%",
        ),
        ("clients:", "recordings: {format: «mp3»}\nclients:", Code.CHOICE, "`mp3` is not known", "write one of: pcm"),
        (
            "clients:",
            "recordings: {encryption: «{}»}\nclients:",
            Code.MISSING,
            "there is no encryption without a key",
            "add `key_file: FILE`",
        ),
        (
            "clients:",
            "recordings: {encryption: {«key»: 0011}}\nclients:",
            Code.FORM,
            "a key does not stand in the configuration",
            "write `key_file: FILE`",
        ),
        (
            "clients:",
            "recordings: {encryption: «aes»}\nclients:",
            Code.FORM,
            "`aes` is no key",
            "write off, {key_file: FILE}",
        ),
        (
            "clients:",
            "recordings: {encryption: {key_file: «no-such»}}\nclients:",
            Code.FILE,
            "the file `no-such` is not there",
            "it is looked for from",
        ),
        (
            "clients:",
            "recordings: {encryption: «{key_file: hello.wav, key_env: KEY}»}\nclients:",
            Code.FORM,
            "the key comes from two places",
            "keep",
        ),
    ],
)
def test_a_mistake_is_pointed_at(tmp_path: Path, before: str, after: str, code: Code, message: str, hint: str) -> None:
    text = marked(RECORDS.replace(before, after, 1))
    found = problems_of(tmp_path, text.text)
    problem = next(each for each in found if each.code is code)
    assert message in problem.message
    assert hint in problem.hint
    assert span(problem) == text.spans[0]


def test_a_folder_that_cannot_be_written_is_a_mistake_where_anybody_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut = tmp_path / "shut"
    shut.mkdir()
    permitted = os.access
    # Root, whom tests may run as, may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: path != shut and permitted(path, mode))
    where = f"recordings: {{directory: {shut}/calls}}\n"
    assert load_text(tmp_path, TELLS + where).calls.recording.directory == shut / "calls"
    (problem,) = problems_of(tmp_path, RECORDS + where)
    assert (problem.code, problem.path) == (Code.FILE, "recordings.directory")
    assert f"{shut} cannot be written" in problem.message


def test_a_folder_that_is_none_is_a_mistake_where_anybody_is_recorded(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (problem,) = problems_of(tmp_path, RECORDS + f"recordings: {{directory: {tmp_path}/file/calls}}\n")
    assert "is no folder" in problem.message


def test_who_is_recorded_must_be_told_in_a_language_that_they_understand(tmp_path: Path) -> None:
    untold = RECORDS.replace("  recording-announcement: {en: {file: hello.wav}}\n", "")
    (problem,) = problems_of(tmp_path, untold)
    assert problem.code is Code.MISSING
    assert "callers of acme are recorded, and there is no prompt `recording-announcement`" in problem.message
    quiet = load_text(tmp_path, untold.replace("record: always", 'record: always, record_announcement: "off"'))
    assert quiet.calls.recording.notices == {}
    two = RECORDS.replace("languages: [en]", "languages: [en, es]")
    assert any(
        each.code is Code.NO_TRANSLATION and each.path == "prompts.recording-announcement"
        for each in problems_of(tmp_path, two)
    )


@pytest.mark.parametrize(
    ("before", "after", "path", "message"),
    [
        (
            "requirements: {english: 3}}",
            "requirements: {english: 3}, record: always}",
            "queues.sales.record",
            "`always` comes to nothing: clients.acme has `record: never`",
        ),
        (
            "clients: [acme]}",
            "clients: [acme], record: 20%}",
            "agents.ana.record",
            "`20%` comes to nothing: every client of the agent has `record: never`",
        ),
        (
            "record: never",
            "record: never, record_announcement: hello",
            "clients.acme.record_announcement",
            "callers of acme would be told that they are recorded, and nobody records them",
        ),
        (
            "queues:",
            "recordings: {encryption: {key_env: HOME}}\nqueues:",
            "recordings.encryption",
            "there is nothing to encrypt",
        ),
        (
            "queues:",
            "recordings: {encryption: {key_env: CC_NO_SUCH_KEY}}\nqueues:",
            "recordings.encryption.key_env",
            "the environment has no CC_NO_SUCH_KEY",
        ),
    ],
)
def test_words_that_come_to_nothing_are_warned_of(
    tmp_path: Path, before: str, after: str, path: str, message: str
) -> None:
    text = RECORDS.replace("record: always", "record: never").replace(before, after)
    (warning,) = [each for each in load_text(tmp_path, text).warnings if each.path == path]
    assert message in warning.message


def test_keys_are_read_at_the_start_and_nowhere_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_text(tmp_path, RECORDS + "recordings: {encryption: {key_env: CC_TEST_KEY}}\n")
    with pytest.raises(SecretsError, match="there is no key: the environment has no CC_TEST_KEY"):
        open_secrets(settings)
    monkeypatch.setenv("CC_TEST_KEY", "short")
    with pytest.raises(SecretsError, match="CC_TEST_KEY: write a key of 32 octets"):
        open_secrets(settings)
    monkeypatch.setenv("CC_TEST_KEY", KEY)
    keys = open_secrets(settings).recording_keys
    assert keys is not None
    assert keys.current == bytes.fromhex(KEY)
    assert KEY not in repr(open_secrets(settings))

    key = tmp_path / "config" / "key"
    key.write_text(f"# old ones stay behind it\n{KEY}\n")
    key.chmod(0o644)
    settings = load_text(tmp_path, RECORDS + "recordings: {encryption: {key_file: key}}\n")
    with pytest.raises(SecretsError, match="can be read by others"):
        open_secrets(settings)
    key.chmod(0o600)
    assert open_secrets(settings).recording_keys is not None


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (ALWAYS, "always"),
        (NEVER, "never"),
        (ON_DEMAND, "on demand"),
        (RecordRule(share=0.2), "20%"),
        (RecordRule(share=0.125, on_demand=True), "12.500% and on demand"),
    ],
)
def test_a_rule_says_itself_in_the_words_of_the_configuration(rule: RecordRule, words: str) -> None:
    assert str(rule) == words


def test_an_agents_word_adds_to_what_queue_and_client_say(tmp_path: Path) -> None:
    text = RECORDS.replace("record: always", "record: 20%").replace("clients: [acme]}", "clients: [acme], record: 50%}")
    settings = load_text(tmp_path, text).calls.recording
    assert settings.rule("acme", "sales", ("ana",)) == RecordRule(share=0.5)
    assert settings.rule("acme", "sales", ("bob",)) == RecordRule(share=0.2)
    text = text.replace("record: 50%", "record: on_demand")
    settings = load_text(tmp_path, text).calls.recording
    assert settings.rule("acme", "sales", ("ana",)) == RecordRule(share=0.2, on_demand=True)
