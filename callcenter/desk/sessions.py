"""Sessions: people who signed in, by a cookie that only its hash is kept of."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from callcenter.config.settings import Session as Limits
from callcenter.desk.passwords import Passwords
from callcenter.model.facts import utc
from callcenter.runtime.clock import Clock
from callcenter.storage.database import Database, Writing

BYTES = 32
# Of one user, on several machines and in several browsers; one more ends the oldest.
MOST_OF_A_USER = 20
# That somebody was seen is noted so often at most.
SEEN_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in. Instants are UTC."""

    user: str
    created_at: datetime
    seen_at: datetime
    ends_at: datetime


class Sessions:
    """The sessions in the desk's database. One ends at its limits, and when the user's password is another."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords, limits: Callable[[], Limits]) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._limits = limits

    async def begin(self, user: str, address: str) -> tuple[str, Session]:
        """Sign somebody in: the secret for the cookie, told this once. Raises StorageError."""
        secret, now, limits = secrets.token_urlsafe(BYTES), self._clock.now(), self._limits()
        row = (_hash(secret), user, self._passwords.stamp(user), utc(now), utc(now), address)
        idle, oldest = (utc(now - timedelta(seconds=limit)) for limit in (limits.idle, limits.longest))

        def write(writing: Writing) -> None:
            writing.execute("DELETE FROM sessions WHERE seen_at < ? OR created_at < ?", (idle, oldest))
            writing.execute(
                "DELETE FROM sessions WHERE user = ? AND hash NOT IN"
                " (SELECT hash FROM sessions WHERE user = ? ORDER BY created_at DESC LIMIT ?)",
                (user, user, MOST_OF_A_USER - 1),
            )
            writing.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", row)

        await self._database.write(write)
        return secret, Session(user, now, now, now + timedelta(seconds=limits.longest))

    async def find(self, secret: str) -> Session | None:
        """Who has that cookie; None when it serves no more. Raises StorageError."""
        rows = await self._database.fetch_all(
            "SELECT user, stamp, created_at, seen_at FROM sessions WHERE hash = ?", (_hash(secret),)
        )
        if not rows:
            return None
        now, limits = self._clock.now(), self._limits()
        user, stamp = rows[0][:2]
        created_at, seen_at = (datetime.fromisoformat(each) for each in rows[0][2:])
        ends_at = created_at + timedelta(seconds=limits.longest)
        if now >= ends_at or now >= seen_at + timedelta(seconds=limits.idle):
            return None
        if not stamp or not hmac.compare_digest(stamp, self._passwords.stamp(user)):
            return None
        if now - seen_at >= SEEN_EVERY:
            await self._database.execute("UPDATE sessions SET seen_at = ? WHERE hash = ?", (utc(now), _hash(secret)))
        return Session(user, created_at, seen_at, ends_at)

    async def end(self, secret: str) -> None:
        """Sign out. Raises StorageError."""
        await self._database.execute("DELETE FROM sessions WHERE hash = ?", (_hash(secret),))


def csrf_token(secret: str) -> str:
    """What a page of ours shows beside the cookie that it cannot read; who has the one has not the other."""
    made = hmac.digest(secret.encode(), b"callcenter csrf", "sha256")
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
