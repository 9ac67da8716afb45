"""Master keys of recordings: 32 octets each, in a private file or the environment; the first one is for new recordings.

A line is a key, as 64 hexadecimal digits or in base64 (``openssl rand -base64 32``); lines with ``#`` are comments. To
rotate, put a new key before the others: what was sealed under those opens as long as they stand there.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from callcenter.runtime.private_file import read_private

KEY_SIZE: Final = 32
ENVIRONMENT: Final = "CALLCENTER_RECORDING_KEY"
"""The variable that may hold the keys instead of a file, separated by spaces or commas."""
ID_SIZE: Final = 8


class BadKeys(ValueError):
    """The keys cannot be read: one line that says where and what to write, and nothing of the keys."""


class MasterKeys:
    """Keys by their ids."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        assert all(len(key) == KEY_SIZE for key in keys), "a key of AES-256 has 32 octets"
        self._keys = {key_id(key): key for key in keys}

    def __repr__(self) -> str:
        return f"<MasterKeys {self}>"

    def __str__(self) -> str:
        return ", ".join(each.hex() for each in self._keys) or "none"

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def current(self) -> bytes | None:
        """The key for new recordings."""
        return next(iter(self._keys.values()), None)

    def find(self, id: bytes) -> bytes | None:
        """The key with that id."""
        return self._keys.get(id)


def key_id(key: bytes) -> bytes:
    """What names a key in files, and tells nothing of it."""
    return hashlib.sha256(b"callcenter recording key\0" + key).digest()[:ID_SIZE]


def read_keys(path: Path) -> MasterKeys:
    """The keys of a file that only its owner may read. Raises BadKeys, NotPrivate, OSError."""
    try:
        text = read_private(path)
    except UnicodeDecodeError as error:
        raise BadKeys(f"{path}: is no text") from error
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    keys = [_key(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line]
    if not keys:
        raise BadKeys(f"{path}: holds no key; make one with: openssl rand -base64 32")
    return MasterKeys(keys)


def keys_of_environment(variable: str = ENVIRONMENT) -> MasterKeys | None:
    """The keys in the environment; None: there are none. Raises BadKeys."""
    words = os.environ.get(variable, "").replace(",", " ").split()
    return MasterKeys([_key(word, variable) for word in words]) if words else None


def _key(text: str, where: str) -> bytes:
    try:
        key = bytes.fromhex(text) if len(text) == 2 * KEY_SIZE else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_SIZE:
        raise BadKeys(f"{where}: write a key of 32 octets, 64 hexadecimal digits or base64 (openssl rand -base64 32)")
    return key
