"""``callcenter password``: the lines that give somebody a password of one's own choice, as hashes."""

from __future__ import annotations

import argparse
import getpass
import sys

from argon2 import PasswordHasher

from callcenter.cli.common import add_config_arguments, load_or_tell
from callcenter.config import Settings
from callcenter.config.secrets import new_password
from callcenter.publish.mosquitto import mosquitto_hash
from callcenter.sip.digest import Credentials

SHORTEST = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``password``."""
    parser.add_argument("user", help="the agent, supervisor or user of the desk, as it is configured")
    parser.add_argument("--realm", help="the realm of SIP (default: the one that is configured)")
    parser.add_argument("--generate", action="store_true", help="make a password and print it too")
    add_config_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask for a password (or read it from standard input, or make one) and print its hashes."""
    realm: str | None = options.realm
    section: str | None = "agents"
    if realm is None:
        settings = load_or_tell(options)
        if settings is None:
            return 1
        realm = settings.sip.realm
        section = _section(options.user, settings)
        if section is None:
            known = ", ".join([*settings.plan.agents, *settings.calls.supervisors, *settings.desk.users])
            print(f"callcenter: nobody is named {options.user} (there are: {known})", file=sys.stderr)
            return 1
    password = new_password() if options.generate else _ask(options.user)
    if len(password) < SHORTEST:
        print(f"callcenter: a password has at least {SHORTEST} characters", file=sys.stderr)
        return 1
    if options.generate:
        print(f"# the password is: {password}")
    if section == "agents":
        credentials = Credentials.of(options.user, realm, password)
        print(f"# under agents: {options.user}: in agents.yaml; good for the realm {realm}")
        print(f"    sip_md5: {credentials.ha1_md5}")
        print(f"    sip_sha256: {credentials.ha1_sha256}")
    else:
        print(f"# under {section}: {options.user}:")
    print(f"    mqtt: {mosquitto_hash(password)}")
    print(f"    desk: {PasswordHasher().hash(password)}")
    return 0


def _section(user: str, settings: Settings) -> str | None:
    """Where somebody is configured; None: nowhere."""
    everybody = {"agents": settings.plan.agents, "supervisors": settings.calls.supervisors}
    return next((name for name, them in {**everybody, "desk.users": settings.desk.users}.items() if user in them), None)


def _ask(user: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"password of {user}: ")
    return password if getpass.getpass("once more: ") == password else ""
