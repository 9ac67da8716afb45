"""Who is recorded, and where to: composed of what clients, queues, agents and the section say, and held against it."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, model_validator

from callcenter.calls.record_policy import ALWAYS, NEVER, ON_DEMAND, KeyFrom, LeastFree, RecordingSettings, RecordRule
from callcenter.config.explain import KeyPath, dotted
from callcenter.config.hashes import Variable
from callcenter.config.names import known
from callcenter.config.outside import Outside
from callcenter.config.problems import Code, did_you_mean
from callcenter.config.shape import Retention, Shape, mistake, none_for, share, tell
from callcenter.media.plane import RecordingEncoding

if TYPE_CHECKING:
    from callcenter.config.things import Notes, Things


RECORD_WORDS = {"always": ALWAYS, "never": NEVER, "on_demand": ON_DEMAND}


def _record(value: Any) -> RecordRule:
    """Who is recorded: a word, or a share of all talks."""
    if isinstance(value, str) and value in RECORD_WORDS:
        return RECORD_WORDS[value]
    if isinstance(value, str) and value.strip().endswith("%"):
        return RecordRule(share=share(value))
    hint = did_you_mean(str(value), RECORD_WORDS, otherwise=f"write {', '.join(RECORD_WORDS)}, or a share, as in 20%")
    raise mistake(Code.CHOICE, f"`{value}` does not say who is recorded", hint)


SIZES = {"MB": 10**6, "GB": 10**9, "TB": 10**12}


def _least_free(value: Any) -> LeastFree:
    """A share of a disk, ``5%``, or a size, ``2GB``."""
    text = str(value).strip()
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(MB|GB|TB)", text)
    if found is not None:
        return LeastFree(octets=round(float(found[1]) * SIZES[found[2]]))
    if not text.endswith("%") or share(text) >= 1:
        raise mistake(Code.FORM, f"`{value}` is neither a share of a disk nor a size", "write e.g. 5%, 500MB or 20GB")
    return LeastFree(share=share(text))


_PERCENTAGE = {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}
tell(_record, lambda _: {"anyOf": [{"enum": list(RECORD_WORDS)}, _PERCENTAGE]})
tell(_least_free, lambda _: {"type": "string", "pattern": r"^\d+(\.\d+)?\s*(%|MB|GB|TB)$"})

Record = Annotated[RecordRule, BeforeValidator(_record)]


class Encryption(Shape):
    """Where the key stands that recordings are encrypted under: never here."""

    key_file: str | None = None
    key_env: Variable | None = None

    @model_validator(mode="before")
    @classmethod
    def _not_in_clear(cls, value: Any) -> Any:
        if isinstance(value, dict) and "key" in value:
            hint = "write `key_file: FILE` or `key_env: VARIABLE`"
            raise mistake(Code.FORM, "a key does not stand in the configuration", hint, at="key")
        if not isinstance(value, dict) and value is not None:
            raise mistake(Code.FORM, f"`{value}` is no key", "write off, {key_file: FILE} or {key_env: VARIABLE}")
        return value

    @model_validator(mode="after")
    def _from_one_place(self) -> Encryption:
        if self.key_file is None and self.key_env is None:
            hint = "add `key_file: FILE` or `key_env: VARIABLE`; make a key with: openssl rand -base64 32"
            raise mistake(Code.MISSING, "there is no encryption without a key", hint)
        if self.key_file is not None and self.key_env is not None:
            raise mistake(Code.FORM, "the key comes from two places", "keep `key_file` or `key_env`")
        return self


class Recordings(Shape):
    """``recordings``: where talks are recorded to, and how long they are kept; who is recorded say clients, queues and
    agents.
    """

    directory: str | None = None
    format: RecordingEncoding = RecordingEncoding.PCM
    encryption: Annotated[Encryption | None, none_for("off")] = None
    retention: Retention = math.inf
    least_free: Annotated[LeastFree, BeforeValidator(_least_free)] = LeastFree(share=0.05)
    announcement: Annotated[str, known("prompt", besides="off")] = "recording-announcement"


OFF = "off"


def where_recordings_are(written: Recordings, data: Path) -> Path:
    """The folder of recordings: as it is written, from the data folder on."""
    return data.absolute() / Path(written.directory or "recordings").expanduser()


def recording_settings(things: Things, directory: Path, key: KeyFrom | None) -> RecordingSettings:
    """All that recordings go by."""
    written = things.recordings
    return RecordingSettings(
        directory=directory,
        encoding=written.format,
        key=key,
        least_free=written.least_free,
        keep_for=_days(written.retention),
        clients={name: client.record for name, client in things.clients.items() if client.record is not None},
        queues={name: queue.record for name, queue in things.queues.items() if queue.record is not None},
        agents={name: agent.record for name, agent in things.agents.items() if agent.record is not None},
        notices={name: notice for name in things.clients if (notice := _notice(things, name)[0])},
        retention={
            name: _days(client.record_retention)
            for name, client in things.clients.items()
            if client.record_retention is not None
        },
    )


def recordings(things: Things, notes: Notes) -> None:
    """Note what contradicts itself: a notice that callers do not understand, or of nothing; words that are in vain."""
    settings = recording_settings(things, Path(), None)
    for name in things.clients:
        notice, path = _notice(things, name)
        if notice:
            _said(things, notes, name, notice, path, recorded=_may_be_recorded(things, settings, name))
    for name, queue in things.queues.items():
        client = things.clients.get(queue.client)
        if queue.record is None or client is None or client.record is None:
            continue
        if not client.record.never:
            continue
        _vain(notes, ("queues", name, "record"), queue.record, f"clients.{queue.client}")
    for name, agent in things.agents.items():
        there = [things.clients[each] for each in agent.clients if each in things.clients]
        if agent.record is not None and there and all(each.record is not None and each.record.never for each in there):
            _vain(notes, ("agents", name, "record"), agent.record, "every client of the agent")
    if not settings.on and not things.broken["clients"]:
        codes = [code for code, each in things.feature_codes.items() if each.action.value == "record_start"]
        if things.recordings.encryption is not None:
            message = "there is nothing to encrypt: no client, queue or agent has `record: always` or the like"
            notes.warn(Code.UNUSED, ("recordings", "encryption"), message, "say who is recorded, or take it away")
        elif codes and any(client.record is not None for client in things.clients.values()):
            message = "nobody can have a talk recorded by it: nowhere stands `record: on_demand`"
            notes.warn(Code.UNUSED, ("feature_codes", codes[0]), message, "say so of a client, a queue or an agent")


def _days(written: float | None) -> int | None:
    return None if written is None or math.isinf(written) else round(written)


def _notice(things: Things, client: str) -> tuple[str, KeyPath]:
    """The prompt that a client's callers hear, and where that is said."""
    own, path = things.clients[client].record_announcement, ("clients", client, "record_announcement")
    notice, where = (own, path) if own is not None else (things.recordings.announcement, ("recordings", "announcement"))
    return ("" if notice == OFF else notice), where


def _may_be_recorded(things: Things, settings: RecordingSettings, client: str) -> bool:
    """Whether anybody may record a caller of this client."""
    agents = ["", *(name for name, agent in things.agents.items() if client in agent.clients)]
    queues = ["", *(name for name, queue in things.queues.items() if queue.client == client)]
    return any(settings.rule(client, queue, (agent,)).may for queue in queues for agent in agents)


def _said(things: Things, notes: Notes, client: str, prompt: str, path: KeyPath, *, recorded: bool) -> None:
    there = things.prompts.get(prompt)
    if there is None and recorded and not things.broken["prompts"]:
        message = f"callers of {client} are recorded, and there is no prompt `{prompt}` that tells them so"
        hint = "the shipped prompts.yaml has it; or write `record_announcement: off`, where nobody need be told"
        notes.add(Code.MISSING, ("clients", client), message, hint, key=True)
    if there is not None and (recorded or path[0] == "clients"):
        lacking = [tag for tag in things.clients[client].languages if tag not in there.languages]
        if lacking:
            message = f"it is not there in {', '.join(lacking)}, which {client} is served in ({dotted(path)})"
            notes.add(Code.NO_TRANSLATION, ("prompts", prompt), message, f"add `{lacking[0]}: ...`", key=True)
    if not recorded and path[0] == "clients":
        message = f"callers of {client} would be told that they are recorded, and nobody records them"
        notes.warn(Code.UNUSED, path, message, "add `record: ...` to the client, a queue or an agent, or take it away")


def _vain(notes: Notes, path: KeyPath, rule: RecordRule, who: str) -> None:
    if not rule.never:
        message = f"`{rule}` comes to nothing: {who} has `record: never`, and never wins"
        notes.warn(Code.UNUSED, path, message, "take one of the two away")


def found_recordings(things: Things, data: Path, outside: Outside) -> RecordingSettings:
    """Who is recorded, and where to; a folder that cannot be written is a mistake, if anybody is."""
    written, key = things.recordings, None
    if written.encryption is not None:
        here: KeyPath = ("recordings", "encryption")
        outside.variable((*here, "key_env"), written.encryption.key_env)
        key = KeyFrom(outside.file((*here, "key_file")), written.encryption.key_env)
    settings = recording_settings(things, where_recordings_are(written, data), key)
    if settings.on:
        there = next(each for each in (settings.directory, *settings.directory.parents) if each.exists())
        if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
            what = "is no folder" if not there.is_dir() else "cannot be written"
            message = f"recordings cannot be kept in {settings.directory}: {there} {what}"
            hint = "make it the folder of the user whom the switch runs as, or name another `directory`"
            outside.problem(Code.FILE, ("recordings", "directory"), message, hint)
    return settings
