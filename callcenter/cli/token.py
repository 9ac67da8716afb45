"""``callcenter token``: make, list and revoke tokens; the desk may run or not, a revoked one ends at once."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from callcenter.cli.common import add_config_arguments, columns, load_or_tell
from callcenter.config import Settings
from callcenter.desk.desk import open_own
from callcenter.desk.tokens import BadToken, Token, Tokens
from callcenter.model.access import Role, Scope, operator
from callcenter.runtime.clock import SystemClock
from callcenter.storage.database import StorageError

T = TypeVar("T")

UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``token``."""
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = verbs.add_parser("create", help="make one, and show it this once")
    create.add_argument("name", help="of whom or what it is, e.g. crm")
    create.add_argument("--role", type=Role, choices=list(Role), required=True, help="as what it asks")
    create.add_argument("--client", action="append", help="a company that it sees, may be given often (default: all)")
    create.add_argument(
        "--scope", action="append", type=Scope, choices=list(Scope), metavar="SCOPE",
        help="what it may, may be given often (default: all of its role): " + ", ".join(Scope),
    )  # fmt: skip
    create.add_argument("--agent", default="", help="as which agent it works")
    create.add_argument("--expires", type=_moment, metavar="WHEN", help="90d, 12h, or 2027-01-31 (default: never)")
    listing = verbs.add_parser("list", help="show which there are, and when they were used")
    revoke = verbs.add_parser("revoke", help="end one at once")
    revoke.add_argument("name", help="its name, or its id")
    for each in (create, listing, revoke):
        add_config_arguments(each)


def run(options: argparse.Namespace) -> int:
    """Do it in the desk's database."""
    settings = load_or_tell(options)
    if settings is None:
        return 1
    try:
        return {"create": _create, "list": _list, "revoke": _revoke}[options.action](options, settings)
    except (BadToken, StorageError) as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1


def _create(options: argparse.Namespace, settings: Settings) -> int:
    for name in options.client or ():
        if name not in settings.calls.clients:
            known = ", ".join(settings.calls.clients)
            print(f"callcenter: no client is named {name} (there are: {known})", file=sys.stderr)
            return 1
    if options.agent and options.agent not in settings.plan.agents:
        known = ", ".join(settings.plan.agents)
        print(f"callcenter: no agent is named {options.agent} (there are: {known})", file=sys.stderr)
        return 1

    async def create(tokens: Tokens) -> tuple[str, Token]:
        return await tokens.create(
            operator(getpass.getuser()),
            options.name,
            options.role,
            clients=None if options.client is None else frozenset(options.client),
            scopes=None if options.scope is None else frozenset(options.scope),
            agent=options.agent,
            expires_at=options.expires,
        )

    secret, token = _with_tokens(settings.switch.data, create)
    until = "" if token.expires_at is None else f", until {token.expires_at:%Y-%m-%d %H:%M} UTC"
    print(f"# token {token.name} of a {token.role}{until}; shown only now, it is kept nowhere", file=sys.stderr)
    print(secret)
    return 0


def _list(options: argparse.Namespace, settings: Settings) -> int:
    found = _with_tokens(settings.switch.data, lambda tokens: tokens.all())
    rows = [("name", "role", "clients", "scopes", "agent", "made by", "last used", "")]
    now = datetime.now(UTC)
    rows += [
        (
            token.name,
            token.role.value,
            "all" if token.clients is None else ", ".join(sorted(token.clients)),
            "all of the role" if token.scopes is None else ", ".join(sorted(token.scopes)),
            token.agent or "-",
            token.created_by,
            "never" if token.used_at is None else f"{token.used_at:%Y-%m-%d %H:%M}",
            _state(token, now),
        )
        for token in found
    ]
    print("\n".join(columns(rows)) if found else "there are no tokens")
    return 0


def _revoke(options: argparse.Namespace, settings: Settings) -> int:
    revoked = _with_tokens(settings.switch.data, lambda tokens: tokens.revoke(options.name))
    if revoked is None:
        print(f"callcenter: no token named {options.name} serves", file=sys.stderr)
        return 1
    print(f"token {revoked.name} serves no more")
    return 0


def _state(token: Token, now: datetime) -> str:
    if token.revoked_at is not None:
        return f"revoked {token.revoked_at:%Y-%m-%d %H:%M}"
    if token.expires_at is None:
        return ""
    return f"until {token.expires_at:%Y-%m-%d %H:%M}" if token.serves(now) else "over"


def _with_tokens(data: Path, work: Callable[[Tokens], Awaitable[T]]) -> T:
    async def done() -> T:
        own = await open_own(data, SystemClock())
        try:
            return await work(Tokens(own, SystemClock()))
        finally:
            await own.close()

    return asyncio.run(done())


def _moment(text: str) -> datetime:
    """``90d``, ``12h`` from now on, or a date or moment (UTC where it says nothing else)."""
    now = datetime.now(UTC)
    if text[:-1].isdecimal() and text[-1] in UNITS:
        return now + int(text[:-1]) * UNITS[text[-1]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"`{text}` is no time: write 90d, 12h, or 2027-01-31") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
