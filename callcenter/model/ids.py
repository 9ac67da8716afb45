"""Ids: unique over nodes and sortable by time (ULID), the node's name in call ids."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

# Crockford's base 32 in lower case: ids stand in MQTT topics, which allow [a-z0-9-] only.
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"

SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*\Z")


def is_slug(text: str) -> bool:
    """Whether ``text`` may name a client, queue or agent: lower-case letters, digits, single dashes."""
    return len(text) <= 64 and SLUG.match(text) is not None


def derived_id(user: str, command_id: str) -> str:
    """The id of what a command creates: the same one again, after a restart too, names the same object."""
    return "x-" + hashlib.sha256(f"{user}\0{command_id}".encode()).hexdigest()[:20]


class Ids:
    """Makes ids: 48 bits of milliseconds, 80 bits of chance, 26 characters."""

    def __init__(self, node: str, now: Callable[[], datetime], random: Random) -> None:
        self.node = node
        self._now = now
        self._random = random

    def new(self) -> str:
        """A new id, 26 characters, sortable by time."""
        number = int(self._now().timestamp() * 1000) << 80 | self._random.getrandbits(80)
        return "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))

    def call(self) -> str:
        """A new call id: the node's name, a dash, and an id."""
        return f"{self.node}-{self.new()}"
