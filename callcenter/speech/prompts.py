"""Prompts on disk: where the sound of a text or a recording is, and how it is made when it is not there yet.

A file's name carries a hash of what it was made from: the text, the language, the voice, and the way it is made. So a
changed text is rendered anew, an unchanged one never, and what ships rendered is found without any speech engine.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from callcenter.speech import level, voices, wav
from callcenter.speech.voices import Voice, VoiceError
from callcenter.speech.wav import UnreadableSound

VERSION = "1"
"""Of the way sound is made; raise it when the same text is to sound otherwise."""

CONVERSION = "2"
"""Of the way recordings are converted; from 2 on, to wide-band where they have as much."""

KEEP_UNUSED = 30 * 86400.0
"""Seconds that a cached file which no prompt uses any more stays: an admin who goes back to a text finds it."""


class PromptError(Exception):
    """A prompt could not be made; one line that names it."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """Sound that is there: a WAV file for the line and its length in seconds."""

    path: Path
    seconds: float


@dataclass(frozen=True, slots=True)
class Rendering:
    """Work to do: read ``text`` aloud into ``target``, at no more than ``most_rate`` samples a second."""

    name: str
    text: str
    language: str
    voice: Voice
    target: Path
    most_rate: int = wav.WIDE_RATE


@dataclass(frozen=True, slots=True)
class Conversion:
    """Work to do: make sound for the line of the recording ``source``."""

    name: str
    source: Path
    target: Path


Job = Rendering | Conversion


class NoVoice(Exception):
    """No engine for this language is installed; ``hint`` says which to install."""

    def __init__(self, language: str, wish: Voice | None) -> None:
        self.hint = voices.what_to_install(language)
        super().__init__(f"{wish} is not installed" if wish else f"no voice for {language} is installed")


@dataclass(frozen=True, slots=True)
class Shelf:
    """Where rendered prompts are looked for: ``shipped`` with the configuration, then ``cache`` in the data folder."""

    shipped: tuple[Path, ...]
    cache: Path

    def text(self, id: str, language: str, text: str, wish: Voice | None = None) -> Recorded | Rendering:
        """The sound of a text, or the work that makes it. Raises NoVoice when it is not there and cannot be made."""
        candidates = voices.voices_for(language, wish)
        for voice in candidates:
            name = file_name(id, text, language, voice)
            for folder in (*self.shipped, self.cache):
                if (found := recorded(folder / language / name)) is not None:
                    return found
        for voice in candidates:
            if voice.installed:
                target = self.cache / language / file_name(id, text, language, voice)
                return Rendering(f"{id} ({language})", text, language, voice, target)
        raise NoVoice(language, wish)

    def recording(self, id: str, path: Path) -> Recorded | Conversion:
        """The sound of a recording as it is, or the work that converts it. Raises UnreadableSound."""
        shape = wav.probe(path)
        if shape.for_the_line:
            return Recorded(path, shape.seconds)
        about = path.stat()
        digest = _digest(CONVERSION, str(path.resolve()), str(about.st_size), str(about.st_mtime_ns))
        target = self.cache / "recordings" / f"{id}-{digest}.wav"
        return recorded(target) or Conversion(id, path, target)


def file_name(id: str, text: str, language: str, voice: Voice) -> str:
    """The name of a rendered text's file."""
    return f"{id}-{_digest(VERSION, str(voice), language, text)}.wav"


def recorded(path: Path) -> Recorded | None:
    """The file as ready sound; None when it is missing or no WAV for the line (then it is made again)."""
    try:
        shape = wav.probe(path)
    except UnreadableSound:
        return None
    return Recorded(path, shape.seconds) if shape.for_the_line else None


def perform(jobs: Sequence[Job], on_done: Callable[[Job], None] = lambda job: None) -> dict[Path, Recorded]:
    """Do the work; the files by their targets. ``on_done`` is told each in turn. Raises PromptError at the first
    that fails.

    Engines load hundreds of megabytes and libraries of threads: they live in processes of their own, which end here.
    """
    made: dict[Path, Recorded] = {}
    if not jobs:
        return made
    workers = min(len(jobs), os.cpu_count() or 1, 4)
    pool: Executor
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for job, result in zip(jobs, pool.map(make, jobs), strict=True):
            if isinstance(result, str):
                pool.shutdown(wait=False, cancel_futures=True)
                raise PromptError(result)
            made[job.target] = result
            on_done(job)
    return made


def make(job: Job) -> Recorded | str:
    """Do one piece of work; a line what went wrong instead of raising, since it crosses between processes."""
    try:
        if isinstance(job, Rendering):
            sound = level.spoken(voices.render(job.voice, job.text, job.language), job.most_rate)
        else:
            sound = level.for_the_line(wav.read(job.source))
        if not sound.samples:
            return f"prompt {job.name}: the voice said nothing"
        wav.write(job.target, sound)
    except VoiceError as error:
        return f"prompt {job.name}: {error}"
    except UnreadableSound as error:
        return f"prompt {job.name}: {error}"
    except OSError as error:
        return f"prompt {job.name}: cannot write {job.target}: {error.strerror or error}"
    return Recorded(job.target, sound.seconds)


def prune(cache: Path, used: Iterable[Path]) -> int:
    """Remove cached files that were not used for long; how many. ``used`` ones are marked as used today."""
    now, keep = time.time(), set(used)
    gone = 0
    for path in cache.glob("*/*.wav"):
        if path in keep:
            os.utime(path)
        elif now - path.stat().st_mtime > KEEP_UNUSED:
            path.unlink(missing_ok=True)
            gone += 1
    return gone


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]
