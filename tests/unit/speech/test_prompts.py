"""Prompts are found by what they say, made once when they are not there, and told clearly when they cannot be."""

from __future__ import annotations

import os
import shutil
import stat
import time
from array import array
from pathlib import Path

import pytest

from callcenter.speech import prompts, voices
from callcenter.speech.prompts import Conversion, NoVoice, PromptError, Recorded, Rendering, Shelf
from callcenter.speech.voices import Voice, VoiceError
from callcenter.speech.wav import RATE, Sound, UnreadableSound, probe, write

SOUND = Sound(RATE, array("h", [0, 9000, 0, -9000] * 400))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf((tmp_path / "mine", tmp_path / "shipped"), tmp_path / "cache")


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The engines that are installed, to be changed by the test."""
    there = {"espeak-ng"}
    monkeypatch.setattr("callcenter.speech.voices._installed", lambda engine: engine in there)
    return there


def test_a_text_whose_sound_ships_is_found_without_any_engine(shelf: Shelf, engines: set[str]) -> None:
    engines.clear()
    best = voices.voices_for("en")[0]
    path = shelf.shipped[1] / "en" / prompts.file_name("hello", "Hello.", "en", best)
    write(path, SOUND)
    assert shelf.text("hello", "en", "Hello.") == Recorded(path, 0.2)


def test_a_changed_text_is_made_anew_by_the_best_voice_there_is(shelf: Shelf, engines: set[str]) -> None:
    work = shelf.text("hello", "en", "Hello again.")
    assert isinstance(work, Rendering)
    assert (work.voice, work.target.parent) == (Voice("espeak-ng", "en-us"), shelf.cache / "en")
    engines.add("flite")
    better = shelf.text("hello", "en", "Hello again.")
    assert isinstance(better, Rendering)
    assert better.voice == Voice("flite", "slt")
    assert better.target != work.target


def test_what_a_lesser_voice_said_before_is_used_while_nothing_better_is_there(shelf: Shelf, engines: set[str]) -> None:
    work = shelf.text("hello", "pt-BR", "Olá.")
    assert isinstance(work, Rendering)
    write(work.target, SOUND)
    assert shelf.text("hello", "pt-BR", "Olá.") == Recorded(work.target, 0.2)


def test_a_voice_that_was_asked_for_is_the_only_one(shelf: Shelf, engines: set[str]) -> None:
    with pytest.raises(NoVoice) as caught:
        shelf.text("hello", "en", "Hello.", Voice("flite", "awb"))
    assert "flite/awb is not installed" in str(caught.value)
    engines.clear()
    with pytest.raises(NoVoice) as caught:
        shelf.text("hello", "cs", "Dobrý den.")
    assert "no voice for cs" in str(caught.value)
    assert "espeak-ng" in caught.value.hint


@pytest.mark.parametrize("text", ["espeak", "festival/kal", "flite/", "flite/../x", "/slt"])
def test_a_voice_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="engine/name"):
        voices.parse(text)


@pytest.mark.parametrize(
    ("language", "name"),
    [("en", "en-us"), ("en-GB", "en-gb"), ("es", "es-419"), ("es-ES", "es"), ("pt-BR", "pt-br"), ("cs", "cs")],
)
def test_every_language_has_a_last_resort(language: str, name: str) -> None:
    assert voices.voices_for(language)[-1] == Voice("espeak-ng", name)


def test_a_recording_is_used_as_it_is_or_converted_once(shelf: Shelf, tmp_path: Path) -> None:
    ready, studio = tmp_path / "ready.wav", tmp_path / "studio.wav"
    write(ready, SOUND)
    write(studio, Sound(24_000, SOUND.samples * 3))
    assert shelf.recording("a", ready) == Recorded(ready, 0.2)
    work = shelf.recording("b", studio)
    assert isinstance(work, Conversion)
    made = prompts.perform([work])
    assert made[work.target].seconds == pytest.approx(0.2)
    assert probe(work.target).for_the_line
    assert stat.S_IMODE(work.target.stat().st_mode) == 0o644
    assert shelf.recording("b", studio) == made[work.target]
    os.utime(studio, (1, 1))
    assert isinstance(shelf.recording("b", studio), Conversion)
    with pytest.raises(UnreadableSound):
        shelf.recording("c", tmp_path / "none.wav")


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
def test_a_text_is_read_aloud_into_telephone_sound(tmp_path: Path) -> None:
    target = tmp_path / "es" / "hola.wav"
    work = Rendering("hola (es)", "-v ¿Qué tal?", "es", Voice("espeak-ng", "es-419"), target)
    told: list[str] = []
    made = prompts.perform([work], lambda job: told.append(job.name))
    assert told == ["hola (es)"]
    assert made[target].seconds > 0.4
    assert probe(target).for_the_line


@pytest.mark.skipif(not shutil.which("flite"), reason="flite is not installed")
def test_flite_reads_english(tmp_path: Path) -> None:
    made = prompts.make(Rendering("x", "Hello.", "en", Voice("flite", "slt"), tmp_path / "x.wav"))
    assert isinstance(made, Recorded)
    assert made.seconds > 0.4


def test_an_engine_that_fails_is_told_with_the_prompt_it_failed_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(voice: Voice, text: str, language: str) -> Sound:
        raise VoiceError("flite ended with 1: no such voice")

    monkeypatch.setattr(voices, "render", broken)
    work = Rendering("hello (en)", "Hello.", "en", Voice("flite", "none"), tmp_path / "x.wav")
    assert prompts.make(work) == "prompt hello (en): flite ended with 1: no such voice"
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
def test_a_voice_that_the_engine_does_not_have_stops_the_start_with_one_line(tmp_path: Path) -> None:
    work = Rendering("hello (en)", "Hello.", "en", Voice("espeak-ng", "nosuchvoice"), tmp_path / "x.wav")
    with pytest.raises(PromptError, match=r"prompt hello \(en\): espeak-ng") as caught:
        prompts.perform([work])
    assert "\n" not in str(caught.value)


def test_a_program_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(VoiceError, match="flite"):
        voices.render(Voice("flite", "slt"), "x", "en")


def test_sounds_that_nobody_uses_any_more_go_after_a_month(tmp_path: Path) -> None:
    old, new, used = (tmp_path / "en" / f"{name}.wav" for name in ("old", "new", "used"))
    for path in (old, new, used):
        write(path, SOUND)
    before = time.time() - prompts.KEEP_UNUSED - 60
    for path in (old, used):
        os.utime(path, (before, before))
    assert prompts.prune(tmp_path, [used]) == 1
    assert sorted(path.name for path in tmp_path.rglob("*.wav")) == ["new.wav", "used.wav"]
    assert used.stat().st_mtime > time.time() - 60
