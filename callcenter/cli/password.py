"""``callcenter password``: the lines that give an agent a password of one's own choice, as hashes."""

from __future__ import annotations

import argparse
import getpass
import sys

from callcenter.cli.common import add_config_arguments, load_or_tell
from callcenter.config.secrets import new_password
from callcenter.publish.mosquitto import mosquitto_hash
from callcenter.sip.digest import Credentials

SHORTEST = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``password``."""
    parser.add_argument("user", help="the agent, as in agents.yaml")
    parser.add_argument("--realm", help="the realm of SIP (default: the one that is configured)")
    parser.add_argument("--generate", action="store_true", help="make a password and print it too")
    add_config_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Ask for a password (or read it from standard input, or make one) and print its hashes."""
    realm = options.realm
    if realm is None:
        settings = load_or_tell(options)
        if settings is None:
            return 1
        realm = settings.sip.realm
        if options.user not in settings.plan.agents:
            known = ", ".join(settings.plan.agents)
            print(f"callcenter: no agent is named {options.user} (there are: {known})", file=sys.stderr)
            return 1
    password = new_password() if options.generate else _ask(options.user)
    if len(password) < SHORTEST:
        print(f"callcenter: a password has at least {SHORTEST} characters", file=sys.stderr)
        return 1
    if options.generate:
        print(f"# the password is: {password}")
    credentials = Credentials.of(options.user, realm, password)
    print(f"# under agents: {options.user}: in agents.yaml; good for the realm {realm}")
    print(f"    sip_md5: {credentials.ha1_md5}")
    print(f"    sip_sha256: {credentials.ha1_sha256}")
    print(f"    mqtt: {mosquitto_hash(password)}")
    return 0


def _ask(user: str) -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"password of {user}: ")
    return password if getpass.getpass("once more: ") == password else ""
