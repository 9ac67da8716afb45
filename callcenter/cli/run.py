"""``callcenter run``: the switch, until SIGINT or SIGTERM. ``--trial`` runs one that leaves nothing behind."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, assert_never

from callcenter import __version__
from callcenter.calls.settings import (
    AddDoNotCall,
    AskCallback,
    AskHours,
    Branch,
    Choice,
    ChooseLanguage,
    Collect,
    GoTo,
    Hangup,
    Menu,
    Say,
    SetAttributes,
    Step,
    SubFlow,
    ToQueue,
)
from callcenter.cli.common import add_config_arguments, load_or_tell, password_table
from callcenter.config import Settings, load, render
from callcenter.config.problems import many
from callcenter.config.secrets import MONITOR, NO_PHONE, Secrets, SecretsError, open_secrets
from callcenter.config.settings import OwnHashes
from callcenter.publish.settings import Broker
from callcenter.runtime import memory
from callcenter.runtime.clock import SystemClock
from callcenter.signaling.settings import Listen
from callcenter.speech.prompts import PromptError

if TYPE_CHECKING:
    from callcenter.app.serving import Ready

LEVELS = ("debug", "info", "warning", "error")

_SIOCGIFADDR = 0x8915  # netdevice(7): the IPv4 address of an interface


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``run``."""
    add_config_arguments(parser)
    parser.add_argument(
        "--trial",
        action="store_true",
        help="free loopback ports, a temporary data folder, throw-away passwords; prints one line of JSON when ready",
    )
    parser.add_argument("--log", choices=["text", "json"], help="form of the log (default: text on a terminal)")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="least important lines (default: info)")


def run(options: argparse.Namespace) -> int:
    """Load, check, make what is missing, and run."""
    with memory.loading(), _temporary_data() if options.trial else contextlib.nullcontext() as data:
        return _run(options, data)


def _run(options: argparse.Namespace, data: Path | None) -> int:
    overrides = trial_overrides() if options.trial else []
    settings = load_or_tell(options, overrides, data)
    if settings is None:
        return 1

    def again() -> Settings:
        """The same once more, for a reload. Raises ConfigError."""
        loaded = load(options.config, [*overrides, *options.overrides], data=data or options.data)
        return on_trial(loaded) if options.trial else loaded

    if options.trial:
        settings = on_trial(settings)
    for warning in settings.warnings:
        print(warning, file=sys.stderr)
    try:
        settings = _with_sounds(settings)
        secrets = open_secrets(settings)
    except (PromptError, SecretsError) as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1
    if not options.trial and secrets.new:
        print(new_passwords(settings, secrets), flush=True)

    from callcenter import observe
    from callcenter.app import serving

    observe.set_up(options.log or ("text" if sys.stderr.isatty() else "json"), options.log_level)

    token = trial_token(settings) if options.trial and settings.desk.enabled else ""

    def ready(ready: Ready) -> None:
        told = trial_line(settings, secrets, ready, token) if options.trial else ready_lines(settings, secrets, ready)
        print(told, flush=True)

    try:
        serving.run(
            settings,
            secrets,
            on_ready=ready,
            load=again,
            hangup_reloads=not options.trial and not _has_terminal(),
            desk=desk_command(options, data),
        )
    except serving.StartError as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1
    return 0


def desk_command(options: argparse.Namespace, data: Path | None) -> list[str]:
    """How the desk is started beside this switch: on the same configuration."""
    words = [sys.executable, "-m", "callcenter", "desk", "--log-level", options.log_level]
    words += ["--log", options.log or ("text" if sys.stderr.isatty() else "json")]
    words += ["--trial"] if options.trial else []
    for name, value in (("--config", options.config), ("--data", data or options.data)):
        words += [name, str(value)] if value is not None else []
    return words + [word for override in options.overrides for word in ("--set", override)]


def _with_sounds(settings: Settings) -> Settings:
    jobs = settings.sounds.jobs
    if jobs:
        print(f"making {many(len(jobs), 'sound')}, once:", file=sys.stderr)
    return render(settings, lambda job: print(f"  {job.name}", file=sys.stderr, flush=True))


# ---------------------------------------------------------------------------------------------------------- trial


def trial_overrides() -> list[str]:
    """What a trial sets before the user's own ``--set``: loopback, free ports, a broker of its own."""
    hosts = ["127.0.0.1", *(["::1"] if _has_ipv6() else [])]
    transports = ("udp", "tcp", "tls")
    listen = [{"transport": transport, "host": host, "port": 0} for transport in transports for host in hosts]
    foreign = ("url", "user", "password_env", "password_file", "ca_file", "cert_file", "key_file")
    return [
        "switch.drain_limit=0s",
        f"sip.listen={json.dumps(listen)}",
        "sip.tls=~",
        "sip.advertised=~",
        "media.advertised=~",
        "mqtt.broker=embedded",
        "mqtt.port=0",
        "desk.listen=127.0.0.1:0",
        "desk.public_url=~",
        *(f"mqtt.{key}=~" for key in foreign),
    ]


@contextlib.contextmanager
def _temporary_data() -> Iterator[Path]:
    """A folder that is gone afterwards, also when we are told to end before the switch runs."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    folder = Path(tempfile.mkdtemp(prefix="callcenter-trial-"))
    try:
        yield folder
    finally:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        shutil.rmtree(folder, ignore_errors=True)
        for number, handler in before.items():
            signal.signal(number, handler)


def on_trial(settings: Settings) -> Settings:
    """Throw-away passwords for everybody: nobody can log in with the hash of a password that is not known here."""
    return dataclasses.replace(
        settings,
        hashes=dict.fromkeys(settings.plan.agents, OwnHashes()),
        supervisor_hashes=dict.fromkeys(settings.supervisor_hashes, ""),
        desk_hashes={},
    )


def trial_token(settings: Settings) -> str:
    """A token for the desk by which everything may be done."""
    from callcenter.desk.desk import open_own
    from callcenter.desk.tokens import Tokens
    from callcenter.model.access import Role, operator

    async def made() -> str:
        clock = SystemClock()
        own = await open_own(settings.switch.data, clock)
        try:
            token, _ = await Tokens(own, clock).create(operator("trial"), "trial", Role.ADMIN)
        finally:
            await own.close()
        return token

    return asyncio.run(made())


def _has_terminal() -> bool:
    """Whether a terminal controls us, whose closing is a reason to end."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def trial_line(settings: Settings, secrets: Secrets, ready: Ready, token: str = "") -> str:
    """All that a test or an integrator needs to know, as one line of JSON."""
    addresses: dict[str, list[str]] = {"udp": [], "tcp": []}
    for each in ready.listeners:
        addresses.setdefault(each.transport, []).append(_address(each.host, each.port))
    calls, plan = settings.calls, settings.plan
    return json.dumps(
        {
            "ready": True,
            "version": __version__,
            "sip": {**addresses, "realm": settings.sip.realm, **_certificate(ready)},
            "numbers": [
                {
                    "number": number.number,
                    "aliases": list(number.aliases),
                    "client": number.client,
                    "name": calls.clients[number.client].name,
                    "menu": _menu(calls.flows[number.flow].steps),
                }
                for number in calls.numbers.values()
            ],
            "agents": [
                {
                    "user": agent.id,
                    "password": secrets.passwords[agent.id].sip,
                    "name": agent.name,
                    "skills": dict(agent.skills),
                    "clients": sorted(agent.clients),
                    "mqtt": {"user": agent.id, "password": secrets.passwords[agent.id].mqtt},
                }
                for agent in plan.agents.values()
            ],
            "supervisors": [
                {"user": name, "password": secrets.passwords[name].mqtt, "name": supervisor.name}
                for name, supervisor in calls.supervisors.items()
            ],
            "mqtt": _broker(secrets, ready),
            "desk": _desk(settings, secrets, ready, token) if ready.desk else None,
            "data": str(settings.switch.data),
            "database": str(settings.storage.path),
            "control": str(ready.control),
            "revision": settings.revision,
            "pid": os.getpid(),
        },
        ensure_ascii=False,
    )


def _desk(settings: Settings, secrets: Secrets, ready: Ready, token: str) -> dict[str, Any]:
    """Where the desk is asked; agents and supervisors sign in there with their passwords for MQTT."""
    users = [
        {"user": name, "password": secrets.passwords[name].mqtt, "role": user.role.value}
        for name, user in settings.desk.users.items()
    ]
    return {"url": ready.desk, "token": token, "users": users}


def _certificate(ready: Ready) -> dict[str, Any]:
    shown = ready.certificate
    return {} if shown is None else {"certificate": {"file": str(shown.file), "sha256": shown.sha256}}


def _broker(secrets: Secrets, ready: Ready) -> dict[str, Any] | None:
    if ready.broker is None:
        return None
    host, port = ready.broker
    monitor = secrets.monitor
    login = None if monitor is None else {"user": monitor.user, "password": monitor.password}
    return {"host": host, "port": port, "monitor": login}


def _menu(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The keys of the first menu: each with its intent and language, the queue it leads to, or the next menu."""
    menu = next((step for step in steps if isinstance(step, Menu)), None)
    return [_choice(digit, choice) for digit, choice in menu.choices.items()] if menu is not None else []


def _choice(digit: str, choice: Choice) -> dict[str, Any]:
    told: dict[str, Any] = {"digit": digit, "intent": choice.intent, "language": choice.language, "queue": None}
    for step in choice.then:
        match step:
            case ToQueue() | AskCallback():
                return {**told, "queue": step.queue}
            case Menu():
                return {**told, "menu": _menu([step])}
            case Hangup():
                return told
            case GoTo() | Branch() | AskHours() | SubFlow():
                return told  # where it goes shows in the call
            case Say() | Collect() | SetAttributes() | ChooseLanguage() | AddDoNotCall():
                continue
            case _:
                assert_never(step)
    return told


# ---------------------------------------------------------------------------------------------------------- words


def ready_lines(settings: Settings, secrets: Secrets, ready: Ready) -> str:
    """What an operator wants to know: where we are, what to dial, how agents come in."""
    where = ", ".join(dict.fromkeys(f"{each.transport} {_reachable(each)}" for each in ready.listeners))
    broker = ""
    if settings.mqtt.broker is Broker.URL:
        broker = f"; MQTT {settings.mqtt.url}"
    elif settings.mqtt.broker is Broker.EMBEDDED:
        broker = f"; MQTT {_address(*ready.broker)}" if ready.broker else "; no MQTT broker (the log says why)"
    desk = f"; desk {settings.desk.public_url or ready.desk}" if ready.desk else ""
    lines = [f"ready: SIP {where}{broker}{desk}; configuration {settings.revision}"]
    for number in settings.calls.numbers.values():
        others = f" (or {', '.join(number.aliases)})" if number.aliases else ""
        lines.append(f"  dial {number.number}{others} for {settings.calls.clients[number.client].name}")
    if ready.certificate is not None and ready.certificate.self_made:
        lines.append(f"  TLS by a self-made certificate, for trials: phones must trust {ready.certificate.file}")
        lines.append(f"    SHA-256 {ready.certificate.sha256}")
    host = next((_reachable(each) for each in ready.listeners), "")
    lines.append(f"  agents register as {', '.join(settings.plan.agents)} at {host}; passwords: {secrets.path}")
    return "\n".join(lines)


def new_passwords(settings: Settings, secrets: Secrets) -> str:
    """The passwords that were made just now, told this once."""
    rows = []
    for user, agent in settings.plan.agents.items():
        if user in secrets.new:
            held = secrets.passwords[user]
            rows.append((user, held.sip, held.mqtt, agent.name))
    for user, supervisor in settings.calls.supervisors.items():
        if user in secrets.new:
            rows.append((user, NO_PHONE, secrets.passwords[user].mqtt, supervisor.name))
    for user, about in settings.desk.users.items():
        if user in secrets.new:
            rows.append((user, NO_PHONE, secrets.passwords[user].mqtt, about.name))
    if MONITOR in secrets.new and secrets.monitor is not None:
        rows.append((MONITOR, "", secrets.monitor.password, ""))
    return password_table(rows, secrets.path)


def _reachable(listen: Listen) -> str:
    """An address to type into a phone: of a socket that listens everywhere, one that others see."""
    if listen.host not in ("0.0.0.0", "::"):
        return _address(listen.host, listen.port)
    family, elsewhere = (socket.AF_INET6, "2001:db8::1") if listen.host == "::" else (socket.AF_INET, "192.0.2.1")
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))  # sends nothing: it asks the routing table
            return _address(str(probe.getsockname()[0]), listen.port)
    except OSError:  # no way out of this network
        return _address(_in_the_network() if listen.host == "0.0.0.0" else "::1", listen.port)


def _in_the_network() -> str:
    """The first address of this machine that others may reach; loopback where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, interface in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(probe, _SIOCGIFADDR, struct.pack("256s", interface.encode()))
            except OSError:  # it has none
                continue
            address = socket.inet_ntoa(answer[20:24])
            if not address.startswith("127."):
                return address
    return "127.0.0.1"


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
