"""Prompts, whispers, music, and who reads what has to be read: as it is written."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, model_validator

from callcenter.calls.settings import PLACEHOLDERS
from callcenter.config.languages import Language
from callcenter.config.problems import Code
from callcenter.config.shape import ALSO, Shape, Text, as_list, at_most, either, mistake, off_as, some, tell, word_as
from callcenter.speech.voices import Voice, parse


def _voice(value: Any) -> Voice:
    try:
        return parse(str(value))
    except ValueError as error:
        raise mistake(Code.FORM, f"`{value}` is not a voice", str(error)) from None


tell(_voice, lambda _: {"type": "string"})


class Spoken(Shape):
    """A part of a prompt: a text, perhaps with its ``spoken`` spelling or its own ``language``; or a recording."""

    text: Text | None = None
    spoken: Text | None = None
    language: Language | None = None
    file: str | None = None

    @model_validator(mode="after")
    def _one(self) -> Spoken:
        if (self.text is None) == (self.file is None):
            raise mistake(Code.MISSING, "a prompt is a text or a recording", 'write "text", or {file: NAME.wav}')
        return self


class Whispered(Spoken):
    """What an agent hears of a caller before they talk; its text may name what is different for each."""

    @model_validator(mode="after")
    def _knows_its_names(self) -> Whispered:
        for name in re.findall(r"\{([^{}]*)\}", self.spoken or self.text or ""):
            if name not in PLACEHOLDERS:
                listed = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
                raise mistake(Code.CHOICE, f"`{{{name}}}` means nothing here", f"write one of {listed}")
        return self


WhisperOrOff = Annotated[
    dict[Language, Annotated[Whispered, word_as("text")]],
    at_most(20),
    off_as({}),
]


class Speech(Shape):
    """``speech``: who reads the prompts."""

    voices: dict[Language, Annotated[Voice, BeforeValidator(_voice)]] = {}


class Prompt(Shape):
    """A prompt: what is said, by language."""

    languages: Annotated[
        dict[
            Language,
            Annotated[
                tuple[Annotated[Spoken, word_as("text")], ...],
                some(20),
                BeforeValidator(as_list),
            ],
        ],
        some(100),
    ]


class Music(Shape):
    """A piece of music: one file, or some that follow each other."""

    file: Annotated[tuple[str, ...], some(50), BeforeValidator(as_list)]

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        return {"file": value} if isinstance(value, str | list) else value


ALSO[Spoken] = lambda inner: {**inner, "oneOf": [{"required": ["text"]}, {"required": ["file"]}]}
ALSO[Music] = lambda inner: either(inner, {"type": "string"}, {"type": "array", "items": {"type": "string"}})
