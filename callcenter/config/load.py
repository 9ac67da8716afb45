"""YAML to Settings: read, put ``--set`` in, check, compose. Nothing is made or written here but by ``render``."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from callcenter.acd.requirements import AllOf, Need, Needs
from callcenter.acd.settings import (
    DIRECT,
    AgentSettings,
    Dispositions,
    Plan,
    QueueSettings,
    RnaRule,
    RnaSettings,
    RoutingStep,
    Share,
    WrapUpSettings,
)
from callcenter.calls import settings as calls
from callcenter.calls.hours import Door, Holiday, Hours, Interval
from callcenter.calls.record_policy import NOBODY, KeyFrom, RecordingSettings
from callcenter.calls.supervision_rules import ALL_ALLOWED, SupervisionRules
from callcenter.calls.wrap_up_fields import WrapUpField
from callcenter.config import calendar, schema, shape
from callcenter.config.call_me import call_me_settings
from callcenter.config.callback_shapes import OTHERWISE, USUAL_SPACING, Preview
from callcenter.config.crm import CrmSettings, CrmUse, WebhookSettings, crm_settings, webhook_settings
from callcenter.config.customers import customer_rules
from callcenter.config.desk import Desk, desk_hashes, desk_settings
from callcenter.config.dispositions import demands, leaves
from callcenter.config.explain import KeyPath, Names, check_key, dotted, validate
from callcenter.config.lint import language_of, lint
from callcenter.config.problems import Code, ConfigError, Problems, did_you_mean
from callcenter.config.recordings import recording_settings, where_recordings_are
from callcenter.config.sections import SECTIONS
from callcenter.config.settings import OwnHashes, Settings, Sounds, SwitchSettings
from callcenter.config.source import override, read_folder
from callcenter.config.things import Things
from callcenter.config.tree import Entry, Node
from callcenter.config.whispers import Piece, pieces, whispers
from callcenter.config.wording import Asked, numbers_asked, spelled_out
from callcenter.ledger.quality import Alarm
from callcenter.media.plane import Clip
from callcenter.media.settings import MediaSettings, Srtp
from callcenter.model.customer import normalise_number
from callcenter.model.dial_plan import DialPlan
from callcenter.model.followup import FollowupRules
from callcenter.model.states import SupervisionMode
from callcenter.publish.settings import Broker, MqttSettings
from callcenter.signaling.settings import CertificateFiles, ClientCertificate, Listen, SipSettings, TlsSettings
from callcenter.signaling.trunks.settings import Accept, Account, Outward, PasswordFrom, Peer, TrunkSettings
from callcenter.sip.flow import Transport
from callcenter.sip.guard import GuardRules
from callcenter.sip.session_timer import SessionTimer
from callcenter.speech import prompts as speech
from callcenter.speech.prompts import Job, NoVoice, Recorded, Shelf
from callcenter.speech.wav import UnreadableSound
from callcenter.storage.settings import StorageSettings

PACKAGE = Path(__file__).resolve().parents[1]
DEFAULT_FOLDER = next(
    (folder for folder in (PACKAGE / "default_config", PACKAGE.parent / "config") if folder.is_dir()),
    PACKAGE / "default_config",
)
"""The shipped configuration: inside the installed package, or beside it in a checkout."""

SHIPPED_MUSIC = DEFAULT_FOLDER / "music" / "quiet-hours.wav"
"""What is heard in a queue when the configuration names no music."""

RINGBACK = DEFAULT_FOLDER / "music" / "ringback.wav"
"""What an agent hears while a customer's phone rings."""

HOLD_TONE, SILENCE = DEFAULT_FOLDER / "music" / "hold-tone.wav", DEFAULT_FOLDER / "music" / "silence.wav"
"""What an agent hears who has a caller held from a program, and not by the phone: the one, and then the other."""

SILENCES = 9
"""So often, of a second each: a sign every ten seconds that the caller still waits."""

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
    switch: schema.Switch | None = schema.Switch()
    if root.child("switch") is not None:
        problems = Problems()
        switch = validate(schema.Switch, root, ("switch",), {}, problems)
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
    whole = dataclasses.replace(settings.calls, prompts=_prompts(sounds))
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
        unreadable = self._problems.has(Code.SYNTAX, Code.FILE)
        sections = self._root.value
        assert isinstance(sections, dict)
        known = {*SECTIONS, *schema.THINGS, "customers"}
        for name in sections.keys() - known:
            self._problems.add(
                Code.UNKNOWN_KEY, sections[name].place, name, f"`{name}` is not known here", did_you_mean(name, known)
            )
        # What a file that cannot be read would have named, nobody can miss.
        names: Names = {} if unreadable else self._names()
        switch = self._section("switch", schema.Switch, names)
        sip = self._section("sip", schema.Sip, names)
        media = self._section("media", schema.Media, names)
        mqtt = self._section("mqtt", schema.Mqtt, names)
        acd = self._section("acd", schema.Acd, names)
        said = self._section("speech", schema.Speech, names)
        recordings = self._section("recordings", schema.Recordings, names)
        desk = self._section("desk", Desk, names)
        things = self._things(names)
        things.recordings = recordings or things.recordings
        things.desk = desk or things.desk
        customers = self._file(("customers",), "customers") if "customers" in sections else None
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
        sounds = self._sounds(things, said or schema.Speech(), data)
        trunks = {name: self._trunk(name, trunk) for name, trunk in things.trunks.items()}
        mqtt_settings = self._mqtt(mqtt) if mqtt else None
        media_settings = self._media(media, sip) if media and sip else None
        tls = self._tls(sip.tls) if sip else TlsSettings()
        recording = self._recordings(things, data) if recordings else NOBODY
        crm, webhooks = self._crm(things), self._webhooks(things)
        if self._problems.fatal:
            return None
        assert switch and sip and mqtt and acd and desk  # noqa: PT018
        assert mqtt_settings and media_settings  # noqa: PT018
        return Settings(
            switch=SwitchSettings(switch.node, data.absolute(), switch.drain_limit, switch.reload),
            sip=_sip(sip, tls),
            media=dataclasses.replace(media_settings, records=recording.on),
            plan=_plan(acd, things, self._revision()),
            calls=dataclasses.replace(_calls(things, sip, mqtt, sounds, acd), recording=recording),
            mqtt=mqtt_settings,
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
            webhooks=webhooks,
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
        things.calls = self._section("calls", schema.Calls, names) or things.calls
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
        things.clients = self._each("clients", schema.Client, names, things)
        things.numbers = self._each("numbers", schema.Number, names, things)
        things.flows = self._each("flows", schema.Flow, names, things, within="steps")
        things.hours = self._each("hours", schema.Hours, names, things)
        things.queues = self._each("queues", schema.Queue, names, things)
        things.agents = self._each("agents", schema.Agent, names, things)
        things.supervisors = self._each("supervisors", schema.Supervisor, names, things)
        things.feature_codes = self._each("feature_codes", schema.FeatureCode, names, things)
        things.prompts = self._each("prompts", schema.Prompt, names, things, within="languages")
        things.music = self._each("music", schema.Music, names, things)
        things.trunks = self._each("trunks", schema.Trunk, names, things)
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

    def _file(self, path: KeyPath, what: str) -> Path | None:
        """A file named in the configuration, found from its folder; noted when it is not there."""
        node: Node = self._root
        for step in path:
            entry = node.child(step)
            if entry is None or entry.node.value is None:
                return None
            node = entry.node
        file = self._folder / Path(str(node.value)).expanduser()
        if isinstance(node.value, str) and file.is_file() and os.access(file, os.R_OK):
            return file
        state = "cannot be read" if os.path.exists(file) else "is not there"
        hint = f"{what} is looked for from {self._folder}"
        self._problem(Code.FILE, path, f"the file `{node.value}` {state}", hint)
        return None

    def _tls(self, tls: schema.Tls) -> TlsSettings:
        here: KeyPath = ("sip", "tls")
        certificates = []
        for at in range(len(tls.certificates)):
            cert = self._file((*here, "certificates", at, "cert"), "it")
            key = self._file((*here, "certificates", at, "key"), "it")
            if cert is not None:
                certificates.append(CertificateFiles(cert, key))
        return TlsSettings(
            certificates=tuple(certificates),
            min_version=tls.min_version,
            client_ca=self._file((*here, "client_ca"), "it"),
            client_certificate=ClientCertificate(tls.client_certificate),
            ca_file=self._file((*here, "ca_file"), "it"),
            verify=tls.verify,
        )

    def _mqtt(self, mqtt: schema.Mqtt) -> MqttSettings:
        self._look_at_environment(("mqtt", "password_env"), mqtt.password_env)
        return MqttSettings(
            broker=Broker.URL if mqtt.url else Broker(mqtt.broker),
            port=mqtt.port,
            monitor=mqtt.monitor,
            url=mqtt.url,
            user=mqtt.user,
            password_env=mqtt.password_env,
            password_file=self._file(("mqtt", "password_file"), "it"),
            ca_file=self._file(("mqtt", "ca_file"), "it"),
            cert_file=self._file(("mqtt", "cert_file"), "it"),
            key_file=self._file(("mqtt", "key_file"), "it"),
            client_id=mqtt.client_id,
        )

    def _trunk(self, name: str, trunk: schema.Trunk) -> TrunkSettings:
        path: KeyPath = ("trunks", name)
        accept, register = trunk.accept, trunk.register_
        ca_file = self._file((*path, "tls", "ca_file"), "it")

        def peer(written: schema.Peer) -> Peer:
            transport = Transport[written.transport.upper()] if written.transport is not None else None
            return Peer(written.host, written.port, transport, ca_file, trunk.tls.verify)

        peers = tuple(map(peer, trunk.peers or ()))
        login = self._account((*path, "login"), trunk.login) if trunk.login is not None else None
        outward = None
        if register is not None:
            registrar = peer(register.registrar) if register.registrar is not None else peers[0]
            user = register.user or (login.user if login is not None else "")
            outward = Outward(registrar, user, round(register.expires))
        account = accept.account
        return TrunkSettings(
            id=name,
            peers=peers,
            accept=Accept(
                networks=accept.networks,
                certificates=frozenset(each.lower() for each in accept.certificates),
                account=self._account((*path, "accept", "account"), account) if account is not None else None,
            ),
            login=login,
            register=outward,
            qualify=None if math.isinf(trunk.qualify) else trunk.qualify,
            max_calls=trunk.max_calls,
            codecs=trunk.codecs or (),
            outbound_proxy=peer(trunk.outbound_proxy) if trunk.outbound_proxy is not None else None,
            from_domain=trunk.from_domain or "",
            trusted=trunk.trusted,
            numbers=frozenset(trunk.numbers or ()),
            plan=_dial_plan(trunk.number_format) if trunk.number_format is not None else DialPlan(),
            plus=trunk.plus,
            try_for=trunk.try_for,
            register_here=trunk.register_here,
            required=trunk.required,
        )

    def _recordings(self, things: Things, data: Path) -> RecordingSettings:
        """Who is recorded, and where to; a folder that cannot be written is a mistake, if anybody is."""
        written, key = things.recordings, None
        if written.encryption is not None:
            here: KeyPath = ("recordings", "encryption")
            self._look_at_environment((*here, "key_env"), written.encryption.key_env)
            key = KeyFrom(self._file((*here, "key_file"), "it"), written.encryption.key_env)
        settings = recording_settings(things, where_recordings_are(written, data), key)
        if settings.on:
            there = next(each for each in (settings.directory, *settings.directory.parents) if each.exists())
            if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
                what = "is no folder" if not there.is_dir() else "cannot be written"
                message = f"recordings cannot be kept in {settings.directory}: {there} {what}"
                hint = "make it the folder of the user whom the switch runs as, or name another `directory`"
                self._problem(Code.FILE, ("recordings", "directory"), message, hint)
        return settings

    def _crm(self, things: Things) -> dict[str, CrmSettings]:
        found = {}
        for name, client in things.clients.items():
            if client.crm is not None:
                secret = self._secret(("clients", name, "crm"), client.crm.secret_env, client.crm.secret_file)
                found[name] = crm_settings(name, client.crm, secret)
        return found

    def _webhooks(self, things: Things) -> tuple[WebhookSettings, ...]:
        found = []
        for client, about in things.clients.items():
            for name, hook in (about.webhooks or {}).items():
                path: KeyPath = ("clients", client, "webhooks", name)
                now = self._secret(path, hook.secret_env, hook.secret_file)
                before = self._secret(path, hook.former_secret_env, hook.former_secret_file, "former_")
                secrets = tuple(each for each in (now, before) if each is not None)
                found.append(webhook_settings(client, name, hook, secrets))
        return tuple(found)

    def _secret(self, path: KeyPath, env: str | None, file: str | None, which: str = "") -> PasswordFrom | None:
        if env is None and file is None:
            return None
        if env and not os.environ.get(env):
            here: KeyPath = (*path, f"{which}secret_env")
            hint = "the desk does without until it is set where the switch is started"
            place = self._root.place_of(here)
            self._problems.add(Code.UNSET, place, dotted(here), f"the environment has no {env}", hint, warning=True)
        return PasswordFrom(env, self._file((*path, f"{which}secret_file"), "it"))

    def _account(self, path: KeyPath, account: schema.Account) -> Account:
        hashes = (account.sip_md5, account.sip_sha256) if isinstance(account, schema.Accepted) else (None, None)
        self._look_at_environment((*path, "password_env"), account.password_env)
        source = PasswordFrom(account.password_env, self._file((*path, "password_file"), "it"))
        return Account(account.user, source, hashes[0] or "", hashes[1] or "")

    def _look_at_environment(self, path: KeyPath, variable: str | None) -> None:
        """Warn of a variable that is not set: the one who checks may not be the one who runs."""
        if variable and not os.environ.get(variable):
            self._problems.add(
                Code.UNSET,
                self._root.place_of(path),
                dotted(path),
                f"the environment has no {variable}",
                "without it the switch does not start: set it where the switch is started",
                warning=True,
            )

    def _media(self, media: schema.Media, sip: schema.Sip) -> MediaSettings | None:
        try:
            return MediaSettings(
                ports=media.ports,
                port_rest=media.port_rest,
                workers=media.workers,
                advertised=media.advertised,
                local_networks=tuple(map(str, sip.local_networks)),
                silence_timeout=media.silence_timeout,
                missing_after=media.missing_after,
                codecs=media.codecs,
                srtp=Srtp(media.srtp),
                srtp_without_tls=media.srtp_without_tls,
                max_load=media.max_load,
                max_late=media.max_late,
                one_way_after=media.one_way_after,
                quality_alarm=Alarm(alarm.below, alarm.of) if (alarm := media.quality_alarm) is not None else None,
            )
        except ValueError as error:
            key, _, rest = str(error).partition(": ")
            self._problem(Code.FORM, ("media", key), rest or str(error), "")
            return None

    def _sounds(self, things: Things, said: schema.Speech, data: Path) -> Sounds:
        shipped = dict.fromkeys((self._folder / "prompts", DEFAULT_FOLDER / "prompts"))
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
                            sounds.append(self._recording(shelf, file, part.file, path))
                        else:
                            sounds.append(self._text(shelf, file, part, part.language or language, said, path))
                    texts[spelled, language] = tuple(sound for sound in sounds if sound is not None)
        for piece in pieces(things):
            texts[piece.id, piece.language] = self._piece(shelf, piece, said)
        music: dict[str, tuple[Recorded | Job, ...]] = {}
        for name, tune in things.music.items():
            found = [self._recording(shelf, name, file, ("music", name)) for file in tune.file]
            music[name] = tuple(sound for sound in found if sound is not None)
        if not self._entries("music"):
            shipped_piece = speech.recorded(SHIPPED_MUSIC)
            music = {"default": (shipped_piece,)} if shipped_piece else {}
        return Sounds(texts, music)

    def _piece(self, shelf: Shelf, piece: Piece, said: schema.Speech) -> tuple[Recorded | Job, ...]:
        part, language = piece.part, piece.part.language or piece.language
        if part.file is not None:
            sound = self._recording(shelf, piece.file, part.file, piece.path)
        else:
            sound = self._text(shelf, piece.file, part, language, said, piece.path)
        return () if sound is None else (sound,)

    def _text(
        self, shelf: Shelf, name: str, part: schema.Spoken, language: str, said: schema.Speech, path: KeyPath
    ) -> Recorded | Job | None:
        try:
            return shelf.text(name, language, part.spoken or part.text or "", said.voices.get(language))
        except NoVoice as error:
            self._problem(Code.NO_VOICE, path, str(error), error.hint)
            return None

    def _recording(self, shelf: Shelf, name: str, file: str, path: KeyPath) -> Recorded | Job | None:
        source = self._folder / Path(file).expanduser()
        try:
            return shelf.recording(name, source)
        except UnreadableSound as error:
            if source.exists():
                self._problem(
                    Code.UNREADABLE, path, f"the recording `{file}` cannot be used: {error.reason}", error.hint
                )
            else:
                hint = f"it is looked for from {self._folder}"
                self._problem(Code.NO_RECORDING, path, f"the recording `{file}` is not there", hint)
            return None

    def _problem(self, code: Code, path: KeyPath, message: str, hint: str) -> None:
        self._problems.add(code, self._root.place_of(path), dotted(self._root.existing(path)), message, hint)


def _sip(sip: schema.Sip, tls: TlsSettings) -> SipSettings:
    return SipSettings(
        listen=tuple(_listen(each) for each in sip.listen),
        advertised=sip.advertised,
        realm=sip.realm,
        agent_name=sip.agent_name,
        digest=sip.digest,
        register_min=sip.register_.min,
        register_max=sip.register_.max,
        register_default=sip.register_.default,
        tls=tls,
        local_networks=tuple(map(str, sip.local_networks)),
        guard=_guard(sip.guard),
        trace_messages=sip.trace.messages,
        session_timer=None if sip.session_timer is None else _session_timer(sip.session_timer),
    )


def _listen(each: schema.ListenOn) -> Listen:
    port = Transport[each.transport.upper()].default_port if each.port is None else each.port
    return Listen(each.transport, each.host, port, each.advertised)


def _guard(guard: schema.Guard) -> GuardRules:
    return GuardRules(
        enabled=guard.enabled,
        exempt=guard.exempt,
        requests_per_second=guard.requests_per_second,
        burst=guard.burst,
        failures=guard.failures,
        ban=guard.ban,
    )


def _session_timer(timer: schema.SessionTimer) -> SessionTimer:
    return SessionTimer(round(timer.expires), round(timer.min))


def _peer(peer: schema.Peer) -> Peer:
    return Peer(peer.host, peer.port, Transport[peer.transport.upper()] if peer.transport is not None else None)


def _dial_plan(plan: schema.DialPlan) -> DialPlan:
    return DialPlan(plan.country, plan.national_prefix, plan.international_prefix)


def _outbound(outbound: schema.Outbound) -> calls.Outbound:
    return calls.Outbound(_dial_plan(outbound), outbound.caller_id, outbound.trunks, outbound.hide_caller_id,
                          outbound.do_not_call)  # fmt: skip


def _callbacks(name: str, client: schema.Client, things: Things) -> calls.CallbackRules | None:
    """What a company calls back: by its own word, else what is in the countries of its numbers and costs no more."""
    written = client.callbacks or schema.ClientCallbacks()
    if client.outbound is None or not written.enabled:
        return None
    own = [number for number, about in things.numbers.items() if about.client == name]
    home = calls.CallbackRules.at_home(client.outbound.caller_id, *own)
    outside = home.outside if written.outside is None else written.outside
    return calls.CallbackRules(
        outside=outside,
        never=tuple(each for each in (*home.never, *written.never) if each not in outside),
        tries=written.tries,
        spacing=written.spacing.get(OTHERWISE, USUAL_SPACING),
        ring_for=written.ring_for,
        per_caller=written.per_caller,
        per_day=written.per_day,
        spacing_by={cause: seconds for cause, seconds in written.spacing.items() if cause != OTHERWISE},
        tries_per_day=written.tries_per_day,
        hours=written.hours or "",
        missed=written.missed,
        rings_in=written.rings_in,
        mode=written.mode,
        preview=written.preview is not None,
        preview_for=(written.preview or Preview()).time,
        preview_again=(written.preview or Preview()).again,
        keep_for=written.keep_for * 86_400.0,
    )


def _plan(acd: schema.Acd, things: Things, revision: str) -> Plan:
    return Plan(
        queues={name: _queue(name, queue, acd) for name, queue in things.queues.items()},
        agents={
            name: AgentSettings(
                id=name,
                name=agent.name,
                skills=agent.skills,
                clients=frozenset(agent.clients),
                sign_in=agent.sign_in or acd.sign_in,
                queues=None if agent.queues is None else frozenset(agent.queues),
                weight=agent.weight,
            )
            for name, agent in things.agents.items()
        },
        rna=RnaSettings(
            no_answer=_rna(acd.no_answer),
            busy=_rna(acd.busy),
            declined=_rna(acd.declined),
            unreachable=_rna(acd.unreachable),
        ),
        offer_grace=acd.offer_grace,
        renamed={old: name for name, queue in things.queues.items() for old in queue.was},
        direct=dataclasses.replace(DIRECT, ring_for=acd.direct.ring_for or acd.ring_for, max_wait=acd.direct.max_wait),
        dispositions={name: _dispositions(client) for name, client in things.clients.items() if client.dispositions},
        shares={
            name: Share(client.share.minimum, client.share.weight)
            for name, client in things.clients.items()
            if client.share is not None
        },
        revision=revision,
    )


def _rna(miss: schema.Miss) -> RnaRule:
    return RnaRule(miss.pause, miss.limit)


def _queue(name: str, queue: schema.Queue, acd: schema.Acd) -> QueueSettings:
    max_wait = acd.max_wait if queue.max_wait is None else queue.max_wait
    return QueueSettings(
        id=name,
        client=queue.client,
        requirements=schema.needs_of(queue.requirements),
        priority=queue.priority,
        ring_for=queue.ring_for or acd.ring_for,
        max_wait=None if math.isinf(max_wait) else max_wait,
        on_max_wait=queue.follows("on_max_wait")[1].word,
        on_full=queue.follows("on_full")[1].word,
        on_empty=queue.follows("on_empty")[1].word,
        on_closed=queue.follows("on_closed")[1].word,
        join_empty=frozenset(acd.refuse_when if queue.refuse_when is None else queue.refuse_when),
        leave_empty=frozenset(acd.leave_when if queue.leave_when is None else queue.leave_when),
        leave_after=acd.leave_after if queue.leave_after is None else queue.leave_after,
        service_level_ms=round((queue.service_level or acd.service_level).within * 1000),
        service_level_target=(queue.service_level or acd.service_level).target,
        wrap_up=_wrap_up(queue.wrap_up or acd.wrap_up),
        strategy=queue.strategy or acd.strategy,
        short_abandon=acd.short_abandon if queue.short_abandon is None else queue.short_abandon,
        max_waiting=queue.max_waiting or acd.max_waiting,
        steps=tuple(RoutingStep(step.after, _need(step.requirements)) for step in queue.routing),
        age_weight=queue.age_weight,
        dispositions_required=queue.dispositions_required,
    )


def _need(asked: Mapping[str, object]) -> Need | None:
    needs = schema.needs_of(asked)
    return None if not needs else needs[0] if len(needs) == 1 else AllOf(needs)


def _wrap_up(wrap_up: schema.WrapUp) -> WrapUpSettings:
    settings = WrapUpSettings(wrap_up.mode, wrap_up.time, wrap_up.extend_once)
    return settings if wrap_up.choice is None else dataclasses.replace(settings, choice=wrap_up.choice)


def _dispositions(client: schema.Client) -> Dispositions:
    return Dispositions(dict(leaves(client.dispositions or {})), client.dispositions_required)


def _calls(things: Things, sip: schema.Sip, mqtt: schema.Mqtt, sounds: Sounds, acd: schema.Acd) -> calls.CallsSettings:
    common = things.calls
    music = common.music or next(iter(sounds.music), "")
    return calls.CallsSettings(
        clients={
            name: calls.Client(
                name,
                client.name,
                client.languages,
                client.greeting,
                calendar.zone(client.time_zone) if client.time_zone else None,
                _outbound(client.outbound) if client.outbound is not None else None,
                callbacks=_callbacks(name, client, things),
                routing=_routing(client, common),
                music=client.music or music,
                supervision=_supervision(client.supervision),
                in_talk=client.in_talk,
                followups=FollowupRules(
                    client.followups.remind or 0.0, client.followups.overdue_after, client.followups.queue or ""
                ),
                own_base=client.crm is None or client.crm.use is not CrmUse.INSTEAD_OF,
                wrap_up_fields=_fields(client.wrap_up_fields),
                follow_ups=dict(demands(client.dispositions or {})),
                customers=customer_rules(client),
            )
            for name, client in things.clients.items()
        },
        numbers={
            name: calls.Number(name, number.client, number.flow, number.aliases)
            for name, number in things.numbers.items()
        },
        flows={name: calls.Flow(name, _steps(flow.steps, common)) for name, flow in things.flows.items()},
        hours={name: _hours(name, hours) for name, hours in things.hours.items()},
        treatments={
            name: calls.QueueTreatment(
                queue=name,
                music=queue.music or things.clients[queue.client].music or music,
                announce=_announce(queue.announce or common.announce),
                hours=queue.hours or "",
                on_close=queue.on_close,
                whisper=whispers(name, things),
                call_back_after=queue.on_abandon.callback if queue.on_abandon is not None else None,
            )
            for name, queue in things.queues.items()
        },
        prompts=_prompts(sounds),
        reasons={name: reason.label for name, reason in things.reasons.items()},
        break_limits={
            name: calls.BreakLimits(reason.longest, reason.a_day, reason.at_once)
            for name, reason in things.reasons.items()
            if (reason.longest, reason.a_day, reason.at_once) != (None, None, None)
        },
        supervisors={
            name: calls.Supervisor(
                name, about.name, frozenset(about.clients) if about.clients is not None else None, about.agent or ""
            )
            for name, about in things.supervisors.items()
        },
        auto_answer=frozenset(name for name, agent in things.agents.items() if agent.auto_answer),
        feature_codes={
            code: calls.FeatureCode(each.action, each.not_ready or "", each.wrap_up_done or "", each.entry_start or "")
            for code, each in things.feature_codes.items()
        },
        agent_codecs={name: agent.codecs for name, agent in things.agents.items() if agent.codecs},
        agent_languages={name: language_of(agent, things) for name, agent in things.agents.items()},
        may_dial={name: _dial_rules(agent.may_dial or acd.may_dial) for name, agent in things.agents.items()},
        agent_extensions={agent.extension: name for name, agent in things.agents.items() if agent.extension},
        queue_extensions={queue.extension: name for name, queue in things.queues.items() if queue.extension},
        dial_prefixes={client.dial_prefix: name for name, client in things.clients.items() if client.dial_prefix},
        home_clients={name: agent.clients[0] for name, agent in things.agents.items()},
        callback_prompts=_callback_prompts(common),
        intents={name: _asked(queue.intents) for name, queue in things.queues.items() if queue.intents},
        queue_fields={
            name: _fields(queue.wrap_up_fields) for name, queue in things.queues.items() if queue.wrap_up_fields
        },
        pop_wait=mqtt.pop_wait,
        max_calls=sip.max_calls,
    )


def _fields(written: Mapping[str, schema.WrapUpField] | None) -> dict[str, WrapUpField]:
    return {
        name: WrapUpField(name, each.label, each.type, each.required, each.mask, dict(each.choices or {}))
        for name, each in (written or {}).items()
    }


def _supervision(written: schema.Supervision | None) -> SupervisionRules:
    if written is None:
        return ALL_ALLOWED
    allowed = frozenset(map(SupervisionMode, written.allowed))
    return SupervisionRules(written.agent_sees, allowed, written.announce or "")


def _routing(client: schema.Client, common: schema.Calls) -> calls.Routing:
    return calls.Routing(
        languages=_asked(client.language_skills),
        intents=_asked(client.intents),
        tiers=client.tiers or {},
        prefer=client.prefer,
        prefer_for=client.prefer_for or common.prefer_for,
        last_agent_within=client.last_agent_within or common.last_agent_within,
        keep_place_for=common.keep_place_for if client.keep_place_for is None else client.keep_place_for,
    )


def _asked(by_word: Mapping[str, Mapping[str, Any]] | None) -> dict[str, Needs]:
    return {word: schema.needs_of(asked) for word, asked in (by_word or {}).items()}


def _dial_rules(may_dial: schema.MayDial) -> calls.DialRules:
    return calls.DialRules(may_dial.agents, may_dial.queues, may_dial.outside, may_dial.never)


def _hours(name: str, hours: schema.Hours) -> Hours:
    week: list[tuple[Interval, ...]] = [()] * 7
    for line, spans in hours.open.items():
        for day in calendar.days(line):
            week[day] = _intervals(spans)
    days = {calendar.day_of_calendar(day): about for day, about in hours.holidays.items()}
    holidays = {day: Holiday(about.name, _intervals(about.open)) for day, about in days.items()}
    return Hours(
        id=name,
        week=tuple(week),
        dates={day: holiday for day, holiday in holidays.items() if isinstance(day, date)},
        yearly={day: holiday for day, holiday in holidays.items() if isinstance(day, tuple)},
        zone=calendar.zone(hours.time_zone) if hours.time_zone else None,
    )


def _intervals(spans: Iterable[str]) -> tuple[Interval, ...]:
    return tuple(calendar.interval(span) for span in spans)


def _steps(steps: Iterable[schema.Step], common: schema.Calls) -> tuple[calls.Step, ...]:
    return tuple(_step(step, common) for step in steps)


def _step(step: schema.Step, common: schema.Calls) -> calls.Step:
    match step:
        case schema.Step(say=schema.SayStep() as say):
            return calls.Say(say.prompt, say.barge_in)
        case schema.Step(menu=schema.MenuStep() as menu):
            return calls.Menu(
                id=menu.id or menu.prompt,
                prompt=menu.prompt,
                choices={
                    key: calls.Choice(choice.intent or "", choice.language, _steps(choice.then, common), choice.repeat)
                    for key, choice in menu.choices.items()
                },
                timeout=menu.timeout or common.timeout,
                retries=common.retries if menu.retries is None else menu.retries,
                invalid=menu.invalid or common.invalid,
                no_input=menu.no_input or common.no_input,
                otherwise=_steps(menu.otherwise, common) or (calls.Hangup(common.goodbye),),
                barge_in=menu.barge_in,
            )
        case schema.Step(collect=schema.CollectStep() as collect):
            return _collect(collect, common)
        case schema.Step(set=dict() as values):
            return calls.SetAttributes(values)
        case schema.Step(do_not_call=schema.DoNotCallStep() as refusal):
            return calls.AddDoNotCall(refusal.prompt, refusal.reason)
        case schema.Step(branch=schema.BranchStep() as branch):
            cases = [case for case in branch.cases if case.when is not None]
            return calls.Branch(
                id=branch.id or "",
                cases=tuple(calls.Case(_conditions(case.when), _steps(case.then, common)) for case in cases),
                otherwise=_steps(branch.cases[-1].otherwise or (), common),
            )
        case schema.Step(hours=schema.HoursStep() as hours):
            closed = _steps(hours.closed, common)
            holiday = closed if hours.holiday is None else _steps(hours.holiday, common)
            doors = {Door.OPEN: _steps(hours.open, common), Door.CLOSED: closed, Door.HOLIDAY: holiday}
            return calls.AskHours(hours.name, doors)
        case schema.Step(language=str() as language):
            return calls.ChooseLanguage(None if language == "customer" else language)
        case schema.Step(flow=str() as flow):
            return calls.SubFlow(flow)
        case schema.Step(goto=str() as flow):
            return calls.GoTo(flow)
        case schema.Step(callback=schema.CallbackStep() as callback):
            return _ask_callback(callback, common)
        case schema.Step(queue=schema.QueueStep() as queue):
            return _to_queue(queue, common, keep_place=False)
        case schema.Step(transfer=schema.QueueStep() as queue):
            return _to_queue(queue, common, keep_place=True)
        case _:
            return calls.Hangup(step.hangup.prompt if step.hangup is not None else None)


def _to_queue(queue: schema.QueueStep, common: schema.Calls, *, keep_place: bool) -> calls.ToQueue:
    return calls.ToQueue(
        queue=queue.to,
        priority=queue.priority,
        on_timeout=_steps(queue.on_timeout, common),
        keys={key: _steps(steps, common) for key, steps in (queue.keys or {}).items()},
        keep_place=keep_place,
        needs=schema.needs_of(queue.requirements),
        prefer=queue.prefer,
        prefer_for=queue.prefer_for,
    )


def _ask_callback(step: schema.CallbackStep, common: schema.Calls) -> calls.AskCallback:
    prompts = _callback_prompts(common)
    own = {name: prompt for name in ("confirm", "accepted") if (prompt := getattr(step, name)) is not None}
    return calls.AskCallback(
        queue=step.queue,
        prompts=dataclasses.replace(prompts, **own) if own else None,
        timeout=step.timeout or common.timeout,
        retries=common.retries if step.retries is None else step.retries,
        otherwise=None if step.otherwise is None else _steps(step.otherwise, common),
        when=None if step.at is None else calls.AskWhen(step.at.prompt, step.at.keys),
    )


def _callback_prompts(common: schema.Calls) -> calls.CallbackPrompts:
    return calls.CallbackPrompts(**common.callback.model_dump())


def _announce(announce: schema.Announce | None) -> calls.Announce | None:
    if announce is None:
        return None
    return calls.Announce(
        position=announce.position,
        first=announce.first,
        every=announce.every,
        most=announce.most,
        beyond=announce.beyond,
        prompts=announce.prompts,
        wait=calls.AnnounceWait(announce.wait.under, announce.wait.between) if announce.wait is not None else None,
    )


def _collect(collect: schema.CollectStep, common: schema.Calls) -> calls.Collect:
    return calls.Collect(
        id=collect.id or collect.into,
        into=collect.into,
        prompt=collect.prompt,
        shortest=collect.min,
        longest=collect.max,
        terminator=collect.terminator,
        first_digit=collect.first_digit or common.timeout,
        between=collect.between,
        retries=common.retries if collect.retries is None else collect.retries,
        invalid=collect.invalid or common.invalid,
        no_input=collect.no_input or common.no_input,
        mask=collect.mask,
        look_up=collect.look_up is not None,
        not_found=_steps(collect.not_found, common),
        otherwise=None if collect.otherwise is None else _steps(collect.otherwise, common),
        goodbye=common.goodbye,
        barge_in=collect.barge_in,
    )


def _conditions(when: schema.When | None) -> tuple[calls.Condition, ...]:
    assert when is not None
    found: list[calls.Condition] = [
        calls.AttributeIs(name, frozenset(test.is_), test.prefix, test.set) for name, test in when.attribute.items()
    ]
    if (caller := when.caller) is not None:
        numbers = frozenset(normalise_number(number) for number in caller.number)
        found.append(calls.CallerIs(numbers, tuple(normalise_number(each) for each in caller.prefix), caller.anonymous))
    if (customer := when.customer) is not None:
        found.append(
            calls.CustomerIs(frozenset(customer.match), frozenset(customer.tier), frozenset(customer.language))
        )
    if when.language:
        found.append(calls.LanguageIs(frozenset(when.language)))
    if when.intent:
        found.append(calls.IntentIs(frozenset(when.intent)))
    found += [calls.HoursAre(name, frozenset(doors)) for name, doors in when.hours.items()]
    return tuple(found)


def _prompts(sounds: Sounds) -> calls.Prompts:
    return calls.Prompts(
        {key: _clips(parts) for key, parts in sounds.texts.items()},
        {name: _clips(pieces) for name, pieces in sounds.music.items()},
        _shipped(RINGBACK),
        _shipped(HOLD_TONE) + _shipped(SILENCE) * SILENCES,
    )


def _shipped(path: Path) -> tuple[Clip, ...]:
    return _clips([sound] if (sound := speech.recorded(path)) is not None else [])


def _clips(sounds: Iterable[Recorded | Job]) -> tuple[Clip, ...]:
    return tuple(Clip(str(sound.path), sound.seconds) for sound in sounds if isinstance(sound, Recorded))
