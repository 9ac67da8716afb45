"""Sounds: every prompt and piece of music, as it is there or as the work that makes it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from callcenter.calls import settings
from callcenter.config.explain import KeyPath
from callcenter.config.outside import Outside
from callcenter.config.problems import Code
from callcenter.config.prompts import Speech, Spoken
from callcenter.config.settings import Sounds
from callcenter.config.shipped import DEFAULT_FOLDER, HOLD_TONE, RINGBACK, SHIPPED_MUSIC, SILENCE, SILENCES
from callcenter.config.things import Things
from callcenter.config.whispers import Piece, pieces
from callcenter.config.wording import Asked, numbers_asked, spelled_out
from callcenter.media.plane import Clip
from callcenter.speech import prompts as speech
from callcenter.speech.prompts import Job, NoVoice, Recorded, Shelf
from callcenter.speech.wav import UnreadableSound


def prompts_of(sounds: Sounds) -> settings.Prompts:
    """Every sound that is there, as calls play it."""
    return settings.Prompts(
        {key: _clips(parts) for key, parts in sounds.texts.items()},
        {name: _clips(pieces) for name, pieces in sounds.music.items()},
        _shipped(RINGBACK),
        _shipped(HOLD_TONE) + _shipped(SILENCE) * SILENCES,
    )


def _shipped(path: Path) -> tuple[Clip, ...]:
    return _clips([sound] if (sound := speech.recorded(path)) is not None else [])


def _clips(sounds: Iterable[Recorded | Job]) -> tuple[Clip, ...]:
    return tuple(Clip(str(sound.path), sound.seconds) for sound in sounds if isinstance(sound, Recorded))


def sounds_of(things: Things, said: Speech, data: Path, outside: Outside) -> Sounds:
    """Every sound that is there, and the work that makes those that are not; what is missing is noted."""
    shipped = dict.fromkeys((outside.folder / "prompts", DEFAULT_FOLDER / "prompts"))
    shelf = Shelf(tuple(shipped), data.absolute() / "prompts")
    texts: dict[tuple[str, str], tuple[Recorded | Job, ...]] = {}
    asked = numbers_asked(things.calls, things.queues)
    for name, prompt in things.prompts.items():
        for language, written in prompt.languages.items():
            for spelled, file, parts in spelled_out(name, written, asked.get(name, Asked())):
                sounds = []
                for number, part in enumerate(parts):
                    path: KeyPath = ("prompts", name, language, number, "file" if part.file else "text")
                    if part.file is not None:
                        sounds.append(_recording(outside, shelf, file, part.file, path))
                    else:
                        sounds.append(_text(outside, shelf, file, part, part.language or language, said, path))
                texts[spelled, language] = tuple(sound for sound in sounds if sound is not None)
    for piece in pieces(things):
        texts[piece.id, piece.language] = _piece(outside, shelf, piece, said)
    music: dict[str, tuple[Recorded | Job, ...]] = {}
    for name, tune in things.music.items():
        found = [_recording(outside, shelf, name, file, ("music", name)) for file in tune.file]
        music[name] = tuple(sound for sound in found if sound is not None)
    if not outside.writes("music"):
        shipped_piece = speech.recorded(SHIPPED_MUSIC)
        music = {"default": (shipped_piece,)} if shipped_piece else {}
    return Sounds(texts, music)


def _piece(outside: Outside, shelf: Shelf, piece: Piece, said: Speech) -> tuple[Recorded | Job, ...]:
    part, language = piece.part, piece.part.language or piece.language
    if part.file is not None:
        sound = _recording(outside, shelf, piece.file, part.file, piece.path)
    else:
        sound = _text(outside, shelf, piece.file, part, language, said, piece.path)
    return () if sound is None else (sound,)


def _text(
    outside: Outside, shelf: Shelf, name: str, part: Spoken, language: str, said: Speech, path: KeyPath
) -> Recorded | Job | None:
    try:
        return shelf.text(name, language, part.spoken or part.text or "", said.voices.get(language))
    except NoVoice as error:
        outside.problem(Code.NO_VOICE, path, str(error), error.hint)
        return None


def _recording(outside: Outside, shelf: Shelf, name: str, file: str, path: KeyPath) -> Recorded | Job | None:
    source = outside.folder / Path(file).expanduser()
    try:
        return shelf.recording(name, source)
    except UnreadableSound as error:
        if source.exists():
            outside.problem(Code.UNREADABLE, path, f"the recording `{file}` cannot be used: {error.reason}", error.hint)
        else:
            hint = f"it is looked for from {outside.folder}"
            outside.problem(Code.NO_RECORDING, path, f"the recording `{file}` is not there", hint)
        return None
