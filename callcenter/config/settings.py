"""Settings: the whole configuration as plain values, one part for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from callcenter.acd.settings import Plan
from callcenter.calls.settings import CallsSettings
from callcenter.config.crm import CrmSettings, WebhookSettings
from callcenter.config.problems import Problem
from callcenter.media.settings import MediaSettings
from callcenter.model.access import Role
from callcenter.publish.settings import MqttSettings
from callcenter.signaling.settings import SipSettings
from callcenter.signaling.trunks.settings import TrunkSettings
from callcenter.speech.prompts import Job, Recorded
from callcenter.storage.settings import StorageSettings


class ReloadWhen(StrEnum):
    """What puts changed files in force.

    ON_REQUEST: ``callcenter reload``, or SIGHUP. ON_CHANGE: also that they were saved.
    """

    ON_REQUEST = "on_request"
    ON_CHANGE = "on_change"


@dataclass(frozen=True, slots=True)
class SwitchSettings:
    """The program itself: the node's name in call ids, and the folder of everything it writes.

    ``drain_limit``: seconds that calls get to end by themselves when the switch is told to go down; 0: none.
    """

    node: str
    data: Path
    drain_limit: float = 600.0
    reload: ReloadWhen = ReloadWhen.ON_REQUEST

    @property
    def desk_database(self) -> Path:
        """The desk's own database: tokens, sessions, webhooks; nothing of the switch's."""
        return desk_database(self.data)


def desk_database(data: Path) -> Path:
    """Where the desk's own database is in a data folder."""
    return data / "desk.db"


@dataclass(frozen=True, slots=True)
class OwnHashes:
    """Hashes of an agent's passwords of their own choice, instead of generated ones; empty where there is none."""

    sip_md5: str = field(default="", repr=False)
    sip_sha256: str = field(default="", repr=False)
    mqtt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Rate:
    """How much one token, user or address may ask of the desk: requests a second on average, and so many at once."""

    requests_per_second: float = 50.0
    burst: int = 200


@dataclass(frozen=True, slots=True)
class Session:
    """Seconds after which somebody who signed in must do so again: without asking for anything, and in any case."""

    idle: float = 2 * 3600.0
    longest: float = 16 * 3600.0


@dataclass(frozen=True, slots=True)
class DeskUser:
    """Who signs in at the desk and is neither agent nor supervisor. ``clients``: the companies that are theirs to see;
    None: all. ``mqtt``: the hash of their password for the embedded broker; empty: they have no login there.
    """

    name: str
    role: Role
    clients: frozenset[str] | None = None
    mqtt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class CallMe:
    """How customers of a company ask on its website to be called. Times are seconds.

    Who asks is called back out of ``queue``, ``delay`` after the confirmation at the soonest, and within ``hours``
    (empty: at any time). ``reasons`` are what they may ask for, with the words that agents see. ``origins`` are the
    pages that may ask. ``backend``: the company's own backend confirms, else who asks does by the code that they got.
    An address may ask ``per_address`` times an hour, a number is called ``per_number`` times a day for it, and all
    together ask ``per_hour`` and ``per_day`` times.
    """

    queue: str
    reasons: Mapping[str, str] = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    backend: bool = False
    delay: float = 60.0
    hours: str = ""
    per_address: int = 5
    per_number: int = 3
    per_hour: int = 60
    per_day: int = 300


@dataclass(frozen=True, slots=True)
class DeskSettings:
    """The desk: the process that serves people and programs over HTTP.

    ``public_url`` is how browsers reach it, where a proxy stands before it; empty: by ``host`` and ``port``. ``cors``:
    the origins (``https://crm.example.com``) whose pages may ask.
    """

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str = ""
    cors: tuple[str, ...] = ()
    rate: Rate = Rate()
    session: Session = Session()
    users: Mapping[str, DeskUser] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sounds:
    """Every prompt by id and language, and every piece of music: the sound, or the work that still makes it."""

    texts: Mapping[tuple[str, str], tuple[Recorded | Job, ...]] = field(default_factory=dict)
    music: Mapping[str, tuple[Recorded | Job, ...]] = field(default_factory=dict)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What is still to be made, each file once."""
        everything = (sound for sounds in (*self.texts.values(), *self.music.values()) for sound in sounds)
        return tuple({each.target: each for each in everything if not isinstance(each, Recorded)}.values())


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was configured.

    ``hashes`` by agent; ``supervisor_hashes`` of the passwords of supervisors, empty where one is made; ``desk_hashes``
    (Argon2id) of whoever has a password of their own for the desk. ``customers``: a CSV to import at start.
    ``revision`` changes with what is configured, not with comments or the order of keys. While ``sounds.jobs`` is not
    empty, ``calls.prompts`` lacks what they make: ``config.render`` does them. ``written`` is what stood in the files
    and arguments, as plain values.
    """

    switch: SwitchSettings
    sip: SipSettings
    media: MediaSettings
    plan: Plan
    calls: CallsSettings
    mqtt: MqttSettings
    storage: StorageSettings
    hashes: Mapping[str, OwnHashes]
    customers: Path | None
    revision: str
    folder: Path
    warnings: tuple[Problem, ...] = ()
    sounds: Sounds = field(default_factory=Sounds)
    written: Mapping[str, Any] = field(default_factory=dict, repr=False)
    trunks: Mapping[str, TrunkSettings] = field(default_factory=dict)
    supervisor_hashes: Mapping[str, str] = field(default_factory=dict, repr=False)
    crm: Mapping[str, CrmSettings] = field(default_factory=dict)
    """By client."""
    webhooks: tuple[WebhookSettings, ...] = ()
    desk: DeskSettings = field(default_factory=DeskSettings)
    call_me: Mapping[str, CallMe] = field(default_factory=dict)
    desk_hashes: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def prompts_folder(self) -> Path:
        """Where sound made on this machine is kept."""
        return self.switch.data / "prompts"
