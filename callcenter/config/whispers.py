"""Whispers: what agents hear of a caller before they talk, as pieces of speech that are made beforehand.

A text is cut where it names something. What is known of the queue is said as it is; what differs from caller to caller
is there once for each intent and each language that callers can have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from callcenter.calls.settings import intent_of, language_of, said_of
from callcenter.config.explain import KeyPath
from callcenter.config.paths import Paths
from callcenter.config.prompts import Spoken, Whispered
from callcenter.config.queues import Queue
from callcenter.config.things import Things

LANGUAGES: Mapping[str, Mapping[str, str]] = {
    "en": {"en": "English", "es": "Spanish", "pt": "Portuguese", "fr": "French", "de": "German", "it": "Italian"},
    "es": {"en": "inglés", "es": "español", "pt": "portugués", "fr": "francés", "de": "alemán", "it": "italiano"},
    "pt": {"en": "inglês", "es": "espanhol", "pt": "português", "fr": "francês", "de": "alemão", "it": "italiano"},
}
"""What languages are called, by the language in which they are; others have their name in `calls.words`."""

_PLACEHOLDER = re.compile(r"(\{[a-z]+\})")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of speech: the id and language under which it stands, a name for its file, and where it is written."""

    id: str
    language: str
    file: str
    part: Spoken
    path: KeyPath


def whisper_of(queue: str, things: Things) -> tuple[KeyPath, Mapping[str, Whispered]]:
    """What agents hear before the callers of a queue, by language, and where that stands."""
    about = things.queues[queue]
    client = things.clients.get(about.client)
    if about.whisper is not None:
        return ("queues", queue, "whisper"), about.whisper
    if client is not None and client.whisper is not None:
        return ("clients", about.client, "whisper"), client.whisper
    return ("calls", "whisper"), things.calls.whisper


def whispers(queue: str, things: Things) -> dict[str, tuple[str, ...]]:
    """The same as the ids of its pieces, and placeholders for what is the caller's."""
    path, written = whisper_of(queue, things)
    return {
        language: tuple(
            part if isinstance(part, str) else part.id for part in _parts(queue, things, path, language, whispered)
        )
        for language, whispered in written.items()
    }


def pieces(things: Things) -> Iterator[Piece]:
    """Every piece of speech that some agent may hear, each once."""
    found: dict[tuple[str, str], Piece] = {}
    for queue, about in things.queues.items():
        path, written = whisper_of(queue, things)
        for language, whispered in written.items():
            for part in _parts(queue, things, path, language, whispered):
                of_callers = _of_callers(part, about, things, language, path) if isinstance(part, str) else [part]
                for piece in of_callers:
                    found.setdefault((piece.id, piece.language), piece)
    yield from found.values()


def _parts(queue: str, things: Things, path: KeyPath, language: str, whispered: Whispered) -> Iterator[Piece | str]:
    """A whisper, cut: pieces that are the same for all callers of the queue, and ``{intent}`` and ``{language}``."""
    here: KeyPath = (*path, language)
    if whispered.file is not None:
        yield Piece(said_of(whispered.file), language, f"whisper-{queue}", whispered, here)
        return
    about = things.queues[queue]
    client = things.clients.get(about.client)
    for part in _PLACEHOLDER.split(whispered.spoken or whispered.text or ""):
        match part:
            case "{client}":
                text = _word(about.client, language, things) or (client.name if client is not None else about.client)
                yield _piece(text, language, here)
            case "{queue}":
                yield _piece(_word(queue, language, things) or _plain(queue), language, here)
            case "{intent}" | "{language}":
                yield part
            case _ if re.search(r"\w", part):
                yield _piece(part.strip(" ,;:.-"), language, here)
            case _:
                pass  # a comma between two names


def _of_callers(part: str, about: Queue, things: Things, language: str, path: KeyPath) -> Iterator[Piece]:
    """What a placeholder may stand for."""
    client = things.clients.get(about.client)
    here: KeyPath = (*path, language)
    if part == "{intent}":
        for intent in sorted(_intents(things)):
            text = _word(intent, language, things) or _plain(intent)
            yield Piece(intent_of(intent), language, _file(text), Spoken(text=text), here)
    else:
        for spoken in client.languages if client is not None else ():
            text = _word(spoken, language, things) or LANGUAGES.get(_base(language), {}).get(_base(spoken), spoken)
            yield Piece(language_of(spoken), language, _file(text), Spoken(text=text), here)


def _intents(things: Things) -> set[str]:
    """What callers may say that they want, in whichever flow."""
    stops = [stop for stops in Paths(things.flows, things.queues).stops.values() for stop in stops]
    choices = [choice for stop in stops if stop.step.menu for choice in stop.step.menu.choices.values()]
    return {choice.intent for choice in choices if choice.intent}


def _piece(text: str, language: str, path: KeyPath) -> Piece:
    return Piece(said_of(text), language, _file(text), Spoken(text=text), path)


def _word(key: str, language: str, things: Things) -> str:
    """How something is spoken, where that is said."""
    return things.calls.words.get(key, {}).get(language, "")


def _file(text: str) -> str:
    return "whisper-" + (re.sub(r"[^a-z0-9]+", "-", text.lower())[:32].strip("-") or "words")


def _plain(slug: str) -> str:
    return slug.replace("-", " ")


def _base(language: str) -> str:
    return language.partition("-")[0]
