"""MqttSettings: which broker, and who may log in to our own."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from callcenter.publish.topics import Sight


class Broker(StrEnum):
    """Where the broker comes from."""

    EMBEDDED = "embedded"
    URL = "url"
    OFF = "off"


class Role(StrEnum):
    """What a login of the embedded broker may do."""

    SWITCH = "switch"
    AGENT = "agent"
    SUPERVISOR = "supervisor"
    MONITOR = "monitor"
    ADMIN = "admin"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class MqttLogin:
    """A user of the embedded broker, with a password in the clear or Mosquitto's ``$7$`` hash of it (which wins).

    A ``random`` password is chance enough to need no stretching (5 ms each, at every start and every log-in).
    ``sight``: what a supervisor, or somebody of a client company, sees of the floor; None: all of it.
    """

    user: str
    role: Role
    password: str = field(default="", repr=False)
    hash: str = field(default="", repr=False)
    random: bool = False
    sight: Sight | None = None


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """MQTT as configured.

    ``port``: of the embedded broker on loopback, 0 takes a free one. ``url``: ``mqtt://host[:port]`` or
    ``mqtts://...``. The password of ``user`` comes from the environment variable ``password_env`` or the file
    ``password_file``, and is never kept here. ``cert_file`` (and ``key_file``, where the key is not in it) is our own
    certificate, for brokers that ask for one. ``monitor``: whether the embedded broker has a login that reads the
    states and events of the whole floor.
    """

    broker: Broker = Broker.EMBEDDED
    host: str = "127.0.0.1"
    port: int = 1883
    monitor: bool = True
    url: str | None = None
    user: str | None = None
    password_env: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    client_id: str = "callcenter"
