"""Tokens: what programs show in place of a password. Only their SHA-256 is kept; what they may, and until when."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from callcenter.model.access import SCOPES, Actor, Role, Scope
from callcenter.model.facts import utc
from callcenter.model.ids import is_slug
from callcenter.runtime.clock import Clock
from callcenter.storage.database import Database, RejectedStatement, Row

# So that who finds one in a file or a log knows what it is, and so does a scanner for secrets.
PREFIX = "cct_"
# 256 bits of chance: nobody guesses one, so that a plain hash keeps it well (no salt, no stretching).
BYTES = 32
# A name is a slug, and stands behind "token:" as the user of what the token does.
LONGEST_NAME = 48
# That a token was used is noted so often at most: each time would be a write for every request.
USED_EVERY = timedelta(minutes=1)


class BadToken(ValueError):
    """A token cannot be made so: a clear sentence, and which ``field`` is wrong."""

    def __init__(self, sentence: str, field: str) -> None:
        super().__init__(sentence)
        self.field = field


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; never the token itself. Instants are UTC; ``expires_at`` None: never."""

    id: str
    name: str
    role: Role
    clients: frozenset[str] | None
    scopes: frozenset[Scope] | None
    agent: str
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    used_at: datetime | None
    revoked_at: datetime | None

    @property
    def actor(self) -> Actor:
        """Who asks by it."""
        return Actor(f"token:{self.name}", self.role, self.clients, self.scopes, self.agent)

    def serves(self, now: datetime) -> bool:
        """Whether it is neither revoked nor over."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class Tokens:
    """The tokens in the desk's database. They are looked up each time, so that a revoked one ends at once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(
        self,
        maker: Actor,
        name: str,
        role: Role,
        *,
        clients: frozenset[str] | None = None,
        scopes: frozenset[Scope] | None = None,
        agent: str = "",
        expires_at: datetime | None = None,
    ) -> tuple[str, Token]:
        """A new token, told this once, and what is kept of it. It never holds more than its maker.

        Raises BadToken, StorageError.
        """
        now = self._clock.now()
        clients = maker.clients if clients is None else clients
        _check(maker, name, role, clients, scopes, agent)
        if expires_at is not None and expires_at <= now:
            raise BadToken("it would be over already", "expires_at")
        # Who makes it with less than all of a role hands no more on.
        if scopes is None and maker.scopes is not None:
            scopes = SCOPES[role] & maker.scopes
        token = f"{PREFIX}{secrets.token_urlsafe(BYTES)}"
        made = Token(secrets.token_hex(8), name, role, clients, scopes, agent, now, maker.user, expires_at, None, None)
        row = (made.id, name, _hash(token), role.value, _listed(clients), _listed(scopes), agent, utc(now), maker.user)
        try:
            await self._database.execute(_INSERT, (*row, None if expires_at is None else utc(expires_at)))
        except RejectedStatement:
            raise BadToken(f"there is a token `{name}` already: revoke it, or take another name", "name") from None
        return token, made

    async def find(self, token: str) -> Token | None:
        """The token that serves, or None; that it was used is noted. Raises StorageError."""
        if not token.startswith(PREFIX):
            return None
        rows = await self._database.fetch_all(f"SELECT {_COLUMNS} FROM tokens WHERE hash = ?", (_hash(token),))
        found, now = _token(rows[0]) if rows else None, self._clock.now()
        if found is None or not found.serves(now):
            return None
        if found.used_at is None or now - found.used_at >= USED_EVERY:
            await self._database.execute("UPDATE tokens SET used_at = ? WHERE id = ?", (utc(now), found.id))
        return found

    async def all(self) -> list[Token]:
        """Every token, the latest first, those that serve no more too. Raises StorageError."""
        rows = await self._database.fetch_all(f"SELECT {_COLUMNS} FROM tokens ORDER BY created_at DESC, id")
        return [_token(row) for row in rows]

    async def revoke(self, name_or_id: str) -> Token | None:
        """End a token from now on; None when none of that name or id serves. Raises StorageError."""
        rows = await self._database.execute(
            f"UPDATE tokens SET revoked_at = ? WHERE (id = ? OR name = ?) AND revoked_at IS NULL RETURNING {_COLUMNS}",
            (utc(self._clock.now()), name_or_id, name_or_id),
        )
        return _token(rows[0]) if rows else None


def _check(
    maker: Actor, name: str, role: Role, clients: frozenset[str] | None, scopes: frozenset[Scope] | None, agent: str
) -> None:
    """Raises BadToken for one that cannot be, or that holds more than who makes it."""
    if not is_slug(name) or len(name) > LONGEST_NAME:
        raise BadToken(f"a token's name is {LONGEST_NAME} of a-z, 0-9 and single dashes at most", "name")
    if maker.role is not Role.ADMIN and role is not maker.role:
        raise BadToken(f"a {maker.role} makes no token of a {role}", "role")
    if role is Role.CLIENT and not clients:
        raise BadToken("a token of a client company names the company", "clients")
    if role is Role.AGENT and not agent:
        raise BadToken("a token of an agent names the agent", "agent")
    if maker.clients is not None and not (clients or frozenset()) <= maker.clients:
        raise BadToken("it would see companies that you do not see", "clients")
    for scope in sorted(scopes or ()):
        if scope not in SCOPES[role]:
            raise BadToken(f"the role {role} does not hold the scope {scope}", "scopes")
        if not maker.may(scope):
            raise BadToken(f"you do not hold the scope {scope}", "scopes")


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _listed(names: frozenset[str] | frozenset[Scope] | None) -> str | None:
    return None if names is None else json.dumps(sorted(names))


def _token(row: Row) -> Token:
    name, role, clients, scopes, agent, created_at, created_by, *instants = row[1:]
    return Token(
        row[0],
        name,
        Role(role),
        None if clients is None else frozenset(json.loads(clients)),
        # A scope that there is no more is held by nobody.
        None if scopes is None else frozenset(Scope(each) for each in json.loads(scopes) if each in set(Scope)),
        agent,
        datetime.fromisoformat(created_at),
        created_by,
        *(None if each is None else datetime.fromisoformat(each) for each in instants),
    )


_COLUMNS = "id, name, role, clients, scopes, agent, created_at, created_by, expires_at, used_at, revoked_at"
_INSERT = (
    "INSERT INTO tokens (id, name, hash, role, clients, scopes, agent, created_at, created_by, expires_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
