"""Secrets: passwords made at the first start, kept in a file that only its owner reads, and never in the YAML."""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import choice, token_hex
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from callcenter.calls.record_policy import KeyFrom
from callcenter.config import plain
from callcenter.config.problems import Source
from callcenter.config.settings import Settings
from callcenter.media.embedded.recorder.keys import BadKeys, MasterKeys, keys_of_environment, read_keys
from callcenter.model.access import Role as DeskRole
from callcenter.publish.settings import Broker, MqttLogin, Role
from callcenter.publish.topics import Sight
from callcenter.runtime.private_file import NotPrivate, read_private, written_private
from callcenter.signaling.trunks.settings import PasswordFrom, TrunkSecrets, TrunkSettings
from callcenter.sip.digest import Credentials

FILE = "credentials.yaml"

MONITOR = "monitor"
"""The user that reads the states and events of the whole floor."""

NO_PHONE = "(no phone)"
"""In the place of the password of a phone, of who commands by MQTT alone."""

# Without letters and digits that look alike: people type these into telephones.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
LENGTH = 14  # 70 bits

HEADER = """\
# Passwords of the agents' phones (sip) and of their desks and screen pops (mqtt), of supervisors (mqtt, desk), and of
# users of the desk alone, made by callcenter at its first start.
# Change one here and start again, or put hashes of your own into agents.yaml (callcenter password).
"""


class SecretsError(Exception):
    """The credentials cannot be read or written; one line that says which file and what to do."""


@dataclass(frozen=True, slots=True)
class Password:
    """An agent's passwords in the clear; empty where the configuration has a hash of the agent's own choice.

    ``mqtt`` is that for the desk, too.
    """

    user: str
    sip: str = field(default="", repr=False)
    mqtt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class DeskLogin:
    """What somebody who signs in at the desk is known by: a password in the clear, or the hash of one (which wins):
    Argon2id, or Mosquitto's ``$7$``.
    """

    user: str
    password: str = field(default="", repr=False)
    hash: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What the switch needs to know who is who.

    ``credentials`` by SIP user; ``logins`` of the embedded broker; ``nonce_key`` signs nonces of digest
    authentication. ``passwords`` are in the clear, for whoever starts the switch; ``new`` tells which of them were
    made just now. ``trunks``: what was read for each trunk from the environment and from files.
    """

    credentials: Mapping[str, Credentials]
    logins: tuple[MqttLogin, ...]
    nonce_key: bytes = field(repr=False)
    passwords: Mapping[str, Password] = field(default_factory=dict, repr=False)
    new: frozenset[str] = frozenset()
    path: Path = Path(FILE)
    trunks: Mapping[str, TrunkSecrets] = field(default_factory=dict, repr=False)
    recording_keys: MasterKeys | None = field(default=None, repr=False)
    """What recordings are encrypted under, the first, and were before; None: they are plain."""

    @property
    def monitor(self) -> MqttLogin | None:
        """The login that reads the whole floor, when there is one."""
        return next((login for login in self.logins if login.role is Role.MONITOR), None)


@dataclass(slots=True)
class _File:
    """What stands in the file."""

    nonce_key: str
    monitor: str
    agents: dict[str, dict[str, str]]
    supervisors: dict[str, str]
    desk: dict[str, str]


def open_secrets(settings: Settings) -> Secrets:
    """Read the credentials of the data folder; make and keep those that are missing. Raises SecretsError."""
    path = settings.switch.data / FILE
    trunks = {name: _of_trunk(name, trunk, settings.sip.realm) for name, trunk in settings.trunks.items()}
    recording_keys = open_recording_keys(settings.calls.recording.key)
    try:
        settings.switch.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SecretsError(f"the data folder {settings.switch.data} cannot be made: {error.strerror}") from error
    file = _read(path) or _File("", "", {}, {}, {})
    new = set()
    without_key = not file.nonce_key
    if without_key:
        file.nonce_key = token_hex(32)
    if not file.monitor:
        file.monitor = new_password()
        new.add(MONITOR)
    for agent in settings.plan.agents:
        kept, hashes = file.agents.setdefault(agent, {}), settings.hashes[agent]
        for kind, own in (("sip", hashes.sip_md5), ("mqtt", hashes.mqtt)):
            if not own and not kept.get(kind):
                kept[kind] = new_password()
                new.add(agent)
    for supervisor, own in settings.supervisor_hashes.items():
        if not own and not file.supervisors.get(supervisor):
            file.supervisors[supervisor] = new_password()
            new.add(supervisor)
    for user in settings.desk.users:
        if user not in settings.desk_hashes and not file.desk.get(user):
            file.desk[user] = new_password()
            new.add(user)
    if new or without_key:
        _write(path, file)
    return dataclasses.replace(
        _secrets(settings, file, frozenset(new), path), trunks=trunks, recording_keys=recording_keys
    )


def desk_logins(settings: Settings) -> dict[str, DeskLogin]:
    """Everybody who signs in at the desk, by name, as the switch has made or read it. Raises SecretsError.

    Nothing is made here: for whom there is no password yet, there is no login.
    """
    file = _read(settings.switch.data / FILE) or _File("", "", {}, {}, {})
    kept = {
        **{
            agent: (settings.hashes[agent].mqtt, file.agents.get(agent, {}).get("mqtt", ""))
            for agent in settings.hashes
        },
        **{name: (own, file.supervisors.get(name, "")) for name, own in settings.supervisor_hashes.items()},
        **{user: ("", file.desk.get(user, "")) for user in settings.desk.users},
    }
    logins = {}
    for user, (own, password) in kept.items():
        hashed = settings.desk_hashes.get(user, own)
        if hashed or password:
            logins[user] = DeskLogin(user, "" if hashed else password, hashed)
    return logins


def new_password() -> str:
    """A password that nobody guesses and everybody can type."""
    return "".join(choice(ALPHABET) for _ in range(LENGTH))


def _of_trunk(name: str, trunk: TrunkSettings, realm: str) -> TrunkSecrets:
    """Our password at a trunk, and what its account is known by here."""
    password = read_password(f"trunks.{name}.login", trunk.login.password) if trunk.login is not None else ""
    account = trunk.accept.account
    if account is None:
        return TrunkSecrets(password)
    if account.ha1_md5:
        return TrunkSecrets(password, Credentials(account.user, account.ha1_md5, account.ha1_sha256))
    theirs = read_password(f"trunks.{name}.accept", account.password)
    return TrunkSecrets(password, Credentials.of(account.user, realm, theirs))


def read_password(where: str, source: PasswordFrom) -> str:
    """The password that a variable or a file holds. Raises SecretsError."""
    if source.file is not None:
        try:
            password = read_private(source.file).strip()
        except NotPrivate as error:
            raise SecretsError(f"{where}: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SecretsError(f"{where}: the password cannot be read from {source.file}: {why}") from error
        empty = f"{source.file} is empty"
    else:
        password = os.environ.get(source.env or "", "")
        empty = f"the environment has no {source.env}"
    if not password:
        raise SecretsError(f"{where}: there is no password: {empty}")
    return password


def open_recording_keys(source: KeyFrom | None) -> MasterKeys | None:
    """The keys that stand there; None: recordings are plain. Raises SecretsError."""
    if source is None:
        return None
    try:
        keys = read_keys(source.file) if source.file is not None else keys_of_environment(source.env or "")
    except (NotPrivate, BadKeys) as error:
        raise SecretsError(f"recordings.encryption: {error}") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise SecretsError(f"recordings.encryption: the key cannot be read from {source.file}: {why}") from error
    if keys is None:
        raise SecretsError(f"recordings.encryption: there is no key: the environment has no {source.env}")
    return keys


def _looks_made(password: str) -> bool:
    """Whether :func:`new_password` may have made it; one that people chose is nearly always of another form."""
    return len(password) == LENGTH and set(password) <= set(ALPHABET) and any(char.isdigit() for char in password)


def _secrets(settings: Settings, file: _File, new: frozenset[str], path: Path) -> Secrets:
    credentials, logins, passwords = {}, [], {}
    for agent in settings.plan.agents:
        own, kept = settings.hashes[agent], file.agents[agent]
        sip = "" if own.sip_md5 else kept["sip"]
        mqtt = "" if own.mqtt else kept["mqtt"]
        if own.sip_md5:
            credentials[agent] = Credentials(agent, own.sip_md5, own.sip_sha256)
        else:
            credentials[agent] = Credentials.of(agent, settings.sip.realm, sip)
        logins.append(MqttLogin(agent, Role.AGENT, mqtt, own.mqtt, random=_looks_made(mqtt)))
        passwords[agent] = Password(agent, sip, mqtt)
    for supervisor, own_hash in settings.supervisor_hashes.items():
        mqtt = "" if own_hash else file.supervisors[supervisor]
        sight = sight_of(settings, settings.calls.supervisors[supervisor].clients)
        logins.append(MqttLogin(supervisor, Role.SUPERVISOR, mqtt, own_hash, random=_looks_made(mqtt), sight=sight))
        passwords[supervisor] = Password(supervisor, "", mqtt)
    for user, about in settings.desk.users.items():
        passwords[user] = Password(user, "", "" if user in settings.desk_hashes else file.desk[user])
        if about.mqtt:
            role = Role.ADMIN if about.role is DeskRole.ADMIN else Role.CLIENT
            logins.append(MqttLogin(user, role, "", about.mqtt, sight=sight_of(settings, about.clients)))
    if settings.mqtt.monitor and settings.mqtt.broker is Broker.EMBEDDED:
        logins.append(MqttLogin(MONITOR, Role.MONITOR, file.monitor, random=_looks_made(file.monitor)))
    return Secrets(credentials, tuple(logins), bytes.fromhex(file.nonce_key), passwords, new, path)


def sight_of(settings: Settings, clients: frozenset[str] | None) -> Sight | None:
    """What somebody sees of the floor over MQTT who sees these companies; None: all of it."""
    if clients is None:
        return None
    queues = frozenset(queue.id for queue in settings.plan.queues.values() if queue.client in clients)
    agents = frozenset(agent.id for agent in settings.plan.agents.values() if agent.clients & clients)
    return Sight(clients, queues, agents)


def _read(path: Path) -> _File | None:
    """The file; None when there is none yet."""
    try:
        text = read_private(path)
    except NotPrivate as error:
        raise SecretsError(str(error)) from error
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise SecretsError(f"{path} is not UTF-8: mend it, or take it away and new passwords are made") from error
    except OSError as error:
        raise SecretsError(f"{path} cannot be read: {error.strerror}") from error
    try:
        # As we wrote it, it is plain; as people change it, it may be any YAML.
        plainly = plain.read(text, Source(path.name, ()))
        held: Any = plainly.plain() if plainly is not None else YAML(typ="safe", pure=True).load(text) or {}
        agents = held.get("agents") or {}
        file = _File(
            str(held.get("nonce_key") or ""),
            str(held.get("monitor") or ""),
            {
                str(name): {str(kind): str(word) for kind, word in (kinds or {}).items()}
                for name, kinds in agents.items()
            },
            {str(name): str(word) for name, word in (held.get("supervisors") or {}).items()},
            {str(name): str(word) for name, word in (held.get("desk") or {}).items()},
        )
        bytes.fromhex(file.nonce_key)
    except (YAMLError, AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "it is not as it was written"
        raise SecretsError(f"{path} cannot be understood: {reason}; mend it, or take it away") from error
    return file


def _write(path: Path, file: _File) -> None:
    yaml = YAML()
    text = io.StringIO()
    held = {"nonce_key": file.nonce_key, "monitor": file.monitor, "agents": file.agents}
    more = {"supervisors": file.supervisors, "desk": file.desk}
    yaml.dump({**held, **{name: words for name, words in more.items() if words}}, text)
    try:
        with written_private(path) as target:
            target.write(HEADER + text.getvalue())
    except OSError as error:
        raise SecretsError(f"{path} cannot be written: {error.strerror}") from error
