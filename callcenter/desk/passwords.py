"""Passwords: whether one is right, in a thread, in the same time for everybody, known or not; and not too often."""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import hashlib
import hmac
from collections.abc import Mapping

import argon2

from callcenter.config.secrets import DeskLogin
from callcenter.desk.rates import Buckets
from callcenter.runtime.clock import Clock

# A check takes 64 MB and 0.2 s of a core: more at once would be felt by calls.
AT_ONCE = 2
# So many may wait for their turn; the others are told to come again.
MOST_WAITING = 32
LONGEST_PASSWORD = 256
# Mosquitto's own number: what callcenter makes has it, and so has the check of who has no such hash.
ITERATIONS = 10_000
# As RFC 9106 has it for little memory.
_hasher = argon2.PasswordHasher()


class TooOften(Exception):
    """Nothing was checked: so many seconds must pass before."""

    def __init__(self, wait: float) -> None:
        super().__init__(f"wait for {wait:.0f} s")
        self.wait = wait


class Passwords:
    """Checks passwords of ``logins``, which a reload replaces as a whole."""

    def __init__(self, logins: Mapping[str, DeskLogin], clock: Clock) -> None:
        self.logins = logins
        # Failures alone count: of one user from one address, of a user from everywhere (so that who guesses keeps
        # nobody out for long), and of an address.
        self._failures = (
            Buckets(clock, per_second=1 / 20, burst=5),
            Buckets(clock, per_second=1 / 5, burst=30),
            Buckets(clock, per_second=1 / 5, burst=30),
        )
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def check(self, user: str, password: str, address: str) -> bool:
        """Whether this is the user's password. Raises TooOften, without a look at either."""
        keys = (f"{user} {address}", user, address)
        taken: list[tuple[Buckets, str]] = []
        for buckets, key in zip(self._failures, keys, strict=True):
            wait = buckets.take(key)
            if wait:
                for earlier, other in taken:
                    earlier.give_back(other)
                raise TooOften(wait)
            taken.append((buckets, key))
        if self._waiting >= MOST_WAITING:
            for buckets, key in taken:
                buckets.give_back(key)
            raise TooOften(1.0)
        self._waiting += 1
        try:
            async with self._turn:
                right = await asyncio.to_thread(verify, self.logins.get(user), password)
        finally:
            self._waiting -= 1
        if right:
            for buckets, key in taken:
                buckets.give_back(key)
        return right

    def stamp(self, user: str) -> str:
        """Changes with the password, and tells nothing of it; empty: nobody has that name."""
        login = self.logins.get(user)
        if login is None:
            return ""
        return hashlib.sha256(f"{user}\n{login.hash or login.password}".encode()).hexdigest()[:32]


def verify(login: DeskLogin | None, password: str) -> bool:
    """Whether it is the password of that login. Whatever the login is, or is not, the same is computed."""
    login = login or DeskLogin("")
    password = password[:LONGEST_PASSWORD]
    ours = login.hash
    by_argon = _argon(ours if ours.startswith("$argon2") else _nobody(), password) and ours.startswith("$argon2")
    by_mosquitto = _mosquitto(ours, password)
    # Without a hash it was made by us, by chance enough that nobody guesses it.
    plainly = hmac.compare_digest(login.password.encode(), password.encode()) and bool(login.password) and not ours
    return by_argon or by_mosquitto or plainly


def _argon(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


@functools.cache
def _nobody() -> str:
    """The hash that is computed for who has none."""
    return _hasher.hash("nobody's")


def _mosquitto(hashed: str, password: str) -> bool:
    """By ``$7$``: PBKDF2 with SHA-512."""
    try:
        _, kind, iterations, salt, digest = hashed.split("$")
        known = kind == "7"
        rounds, salted, right = int(iterations), base64.b64decode(salt), base64.b64decode(digest)
    except (ValueError, binascii.Error):
        known, rounds, salted, right = False, ITERATIONS, b"nobody's salt", b""
    made = hashlib.pbkdf2_hmac("sha512", password.encode(), salted, rounds, 64)
    return hmac.compare_digest(made, right) and known
