"""YAML to Settings: read, put ``--set`` in, check, compose. Nothing is made or written here but by ``render``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from callcenter.calls.record_policy import NOBODY
from callcenter.config import schema, shape
from callcenter.config.acd import Acd
from callcenter.config.agents import Agent
from callcenter.config.call_me import call_me_settings
from callcenter.config.calls import Calls
from callcenter.config.clients import Client
from callcenter.config.composed import calls_settings, plan
from callcenter.config.crm import crms, webhooks
from callcenter.config.desk import Desk, desk_hashes, desk_settings
from callcenter.config.explain import Names, check_key, validate
from callcenter.config.feature_codes import FeatureCode
from callcenter.config.flows import Flow
from callcenter.config.hours import Hours
from callcenter.config.lint import lint
from callcenter.config.media import Media, media_settings
from callcenter.config.mqtt import Mqtt, mqtt_settings
from callcenter.config.numbers import Number
from callcenter.config.outside import Outside
from callcenter.config.problems import Code, ConfigError, Problems, did_you_mean
from callcenter.config.prompts import Music, Prompt, Speech
from callcenter.config.queues import Queue
from callcenter.config.recordings import Recordings, found_recordings
from callcenter.config.settings import OwnHashes, Settings, Sounds, SwitchSettings
from callcenter.config.shipped import DEFAULT_FOLDER
from callcenter.config.sip import Sip, sip_settings, tls_settings
from callcenter.config.sounds import prompts_of, sounds_of
from callcenter.config.source import override, read_folder
from callcenter.config.supervision import Supervisor
from callcenter.config.switch import Switch
from callcenter.config.things import Things
from callcenter.config.tree import Entry, Node
from callcenter.config.trunks import Trunk, trunk_settings
from callcenter.signaling.settings import TlsSettings
from callcenter.speech import prompts as speech
from callcenter.speech.prompts import Job, Recorded
from callcenter.storage.settings import StorageSettings

Section = TypeVar("Section", bound=shape.Shape)
Thing = TypeVar("Thing", bound=BaseModel)


def load(
    folder: Path | None = None,
    overrides: Sequence[str] = (),
    *,
    data: Path | None = None,
    today: date | None = None,
) -> Settings:
    """The settings of a folder of YAML files; of the shipped one when ``folder`` is None.

    ``overrides`` are ``path=value``. ``data`` wins over ``switch.data``. ``today``, of which holidays are over, is that
    of the clock. Raises ConfigError with every mistake.
    """
    problems = Problems()
    folder = DEFAULT_FOLDER if folder is None else folder.expanduser().resolve()
    root = read_folder(folder, problems)
    for argument in overrides:
        override(root, argument, problems)
    settings = _Loader(root, folder, data, problems, today or datetime.now(UTC).date()).settings()
    if settings is None:
        raise ConfigError(problems.all())
    return dataclasses.replace(settings, warnings=problems.all())


def data_folder(folder: Path | None = None, overrides: Sequence[str] = (), *, data: Path | None = None) -> Path:
    """The data folder alone, as :func:`load` would find it, also while other things are configured wrongly.

    Raises ConfigError when what says where it is cannot be read.
    """
    if data is not None:
        return data.absolute()
    problems = Problems()
    root = read_folder(DEFAULT_FOLDER if folder is None else folder.expanduser().resolve(), problems)
    for argument in overrides:
        override(root, argument, problems)
    switch: Switch | None = Switch()
    if root.child("switch") is not None:
        problems = Problems()
        switch = validate(Switch, root, ("switch",), {}, problems)
    if problems.fatal or switch is None:
        raise ConfigError(problems.all())
    return (Path(switch.data).expanduser() if switch.data else default_data()).absolute()


def render(settings: Settings, on_done: Callable[[Job], None] = lambda job: None) -> Settings:
    """Make the sounds that are missing, so that ``calls.prompts`` is whole. Raises PromptError, one line."""
    made = speech.perform(settings.sounds.jobs, on_done)
    sounds = Sounds(
        {key: tuple(_made(part, made) for part in parts) for key, parts in settings.sounds.texts.items()},
        {name: tuple(_made(piece, made) for piece in pieces) for name, pieces in settings.sounds.music.items()},
    )
    whole = dataclasses.replace(settings.calls, prompts=prompts_of(sounds))
    speech.prune(settings.prompts_folder, (Path(clip.path) for clip in whole.prompts.clips()))
    return dataclasses.replace(settings, calls=whole, sounds=sounds)


def _made(sound: Recorded | Job, made: dict[Path, Recorded]) -> Recorded | Job:
    return sound if isinstance(sound, Recorded) else made[sound.target]


def default_data() -> Path:
    """The data folder where none is configured (XDG base directories)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else Path.home() / ".local" / "state") / "callcenter"


class _Loader:
    def __init__(self, root: Node, folder: Path, data: Path | None, problems: Problems, today: date) -> None:
        self._root = root
        self._folder = folder
        self._data = data
        self._problems = problems
        self._today = today

    def settings(self) -> Settings | None:
        """Everything checked and composed; None when there are mistakes."""
        outside = Outside(self._root, self._folder, self._problems)
        unreadable = self._problems.has(Code.SYNTAX, Code.FILE)
        sections = self._root.value
        assert isinstance(sections, dict)
        known = {*schema.SECTIONS, *schema.THINGS, "customers"}
        for name in sections.keys() - known:
            self._problems.add(
                Code.UNKNOWN_KEY, sections[name].place, name, f"`{name}` is not known here", did_you_mean(name, known)
            )
        # What a file that cannot be read would have named, nobody can miss.
        names: Names = {} if unreadable else self._names()
        switch = self._section("switch", Switch, names)
        sip = self._section("sip", Sip, names)
        media = self._section("media", Media, names)
        mqtt = self._section("mqtt", Mqtt, names)
        acd = self._section("acd", Acd, names)
        said = self._section("speech", Speech, names)
        recordings = self._section("recordings", Recordings, names)
        desk = self._section("desk", Desk, names)
        things = self._things(names)
        things.recordings = recordings or things.recordings
        things.desk = desk or things.desk
        customers = outside.file(("customers",), "customers") if "customers" in sections else None
        if not unreadable:
            for name in ("clients", "numbers", "flows", "queues", "agents"):
                entry = sections.get(name)
                if entry is None or not entry.node.value:
                    self._problems.add(
                        Code.MISSING,
                        entry.place if entry else self._root.place,
                        name,
                        f"no {name.removesuffix('s')} is configured",
                        "the shipped configuration shows how",
                    )
            things.reasons = acd.reasons if acd is not None else {}
            things.asks_for_certificates = sip is None or sip.tls.client_ca is not None
            things.codecs = media.codecs if media is not None else ()
            lint(things, self._root, self._problems, self._today)
        data = self._data or (Path(switch.data).expanduser() if switch and switch.data else default_data())
        sounds = sounds_of(things, said or Speech(), data, outside)
        trunks = {name: trunk_settings(name, trunk, outside) for name, trunk in things.trunks.items()}
        mqtt_found = mqtt_settings(mqtt, outside) if mqtt else None
        media_found = media_settings(media, sip, outside) if media and sip else None
        tls = tls_settings(sip.tls, outside) if sip else TlsSettings()
        recording = found_recordings(things, data, outside) if recordings else NOBODY
        crm, hooks = crms(things, outside), webhooks(things, outside)
        if self._problems.fatal:
            return None
        assert switch and sip and mqtt and acd and desk  # noqa: PT018  what is fatal named the one
        assert mqtt_found and media_found  # noqa: PT018  as above
        return Settings(
            switch=SwitchSettings(switch.node, data.absolute(), switch.drain_limit, switch.reload),
            sip=sip_settings(sip, tls),
            media=dataclasses.replace(media_found, records=recording.on),
            plan=plan(acd, things, self._revision()),
            calls=dataclasses.replace(calls_settings(things, sip, mqtt, sounds, acd), recording=recording),
            mqtt=mqtt_found,
            storage=StorageSettings(data.absolute() / "callcenter.db"),
            hashes={
                name: OwnHashes(agent.sip_md5 or "", agent.sip_sha256 or "", agent.mqtt or "")
                for name, agent in things.agents.items()
            },
            supervisor_hashes={name: supervisor.mqtt or "" for name, supervisor in things.supervisors.items()},
            desk=desk_settings(desk),
            call_me=call_me_settings(things),
            desk_hashes=desk_hashes(things),
            customers=customers,
            revision=self._revision(),
            folder=self._folder,
            sounds=sounds,
            written={name: entry.node.plain() for name, entry in sections.items()},
            trunks=trunks,
            crm=crm,
            webhooks=hooks,
        )

    def _revision(self) -> str:
        return hashlib.sha256(json.dumps(self._root.plain(), sort_keys=True).encode()).hexdigest()[:12]

    def _names(self) -> dict[str, set[str]]:
        """The names of everything that is configured, well or badly."""
        kinds = {
            "client": "clients",
            "queue": "queues",
            "flow": "flows",
            "set of hours": "hours",
            "prompt": "prompts",
            "trunk": "trunks",
            "piece of music": "music",
            "agent": "agents",
        }
        names = {kind: set(self._entries(section)) for kind, section in kinds.items()}
        names["piece of music"] = names["piece of music"] or {"default"}
        names["reason"] = {"", *self._reasons()}
        return names

    def _reasons(self) -> list[str]:
        acd = self._root.child("acd")
        reasons = acd.node.child("reasons") if acd is not None else None
        return list(reasons.node.value) if reasons is not None and isinstance(reasons.node.value, dict) else []

    def _entries(self, section: str) -> dict[str, Entry]:
        found = self._root.child(section)
        return found.node.value if found is not None and isinstance(found.node.value, dict) else {}

    def _section(self, name: str, model: type[Section], names: Names) -> Section | None:
        if self._root.child(name) is None:
            return model()
        return validate(model, self._root, (name,), names, self._problems)

    def _things(self, names: Names) -> Things:
        things = Things()
        things.calls = self._section("calls", Calls, names) or things.calls
        for section in schema.THINGS:
            entry = self._root.child(section)
            if entry is not None and entry.node.value is not None and not isinstance(entry.node.value, dict):
                self._problems.add(
                    Code.TYPE,
                    entry.place,
                    section,
                    "here belong names, each with what it means",
                    f"write `{section}:` and below it, indented, `NAME: ...`",
                )
                things.broken[section].add("")
        things.clients = self._each("clients", Client, names, things)
        things.numbers = self._each("numbers", Number, names, things)
        things.flows = self._each("flows", Flow, names, things, within="steps")
        things.hours = self._each("hours", Hours, names, things)
        things.queues = self._each("queues", Queue, names, things)
        things.agents = self._each("agents", Agent, names, things)
        things.supervisors = self._each("supervisors", Supervisor, names, things)
        things.feature_codes = self._each("feature_codes", FeatureCode, names, things)
        things.prompts = self._each("prompts", Prompt, names, things, within="languages")
        things.music = self._each("music", Music, names, things)
        things.trunks = self._each("trunks", Trunk, names, things)
        return things

    def _each(
        self, section: str, model: type[Thing], names: Names, things: Things, *, within: str | None = None
    ) -> dict[str, Thing]:
        """The things of a section that could be read."""
        found: dict[str, Thing] = {}
        for name, entry in self._entries(section).items():
            check_key(schema.KEYS.get(section, schema.SLUG_KEY), name, entry.place, section, self._problems)
            thing = validate(model, self._root, (section, name), names, self._problems, within=within)
            if thing is None:
                things.broken[section].add(name)
            else:
                found[name] = thing
        return found
