"""Signature: what proves to a receiver that an event is ours, and of now, as Standard Webhooks has it. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"
# A shorter secret can be found by trying.
SHORTEST = 16
LONGEST = 512


class BadSecret(ValueError):
    """A secret that cannot be used; one sentence, without it."""


def key_of(secret: str) -> bytes:
    """The key that a secret stands for: base64 behind ``whsec_``, else the text itself. Raises BadSecret."""
    secret = secret.strip()
    if secret.startswith(PREFIX):
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise BadSecret(f"what stands behind {PREFIX} is no base64") from None
    else:
        key = secret.encode("utf-8", "surrogateescape")
    if not SHORTEST <= len(key) <= LONGEST:
        raise BadSecret(f"a secret has {SHORTEST} to {LONGEST} bytes, this one {len(key)}")
    return key


def new_secret(chance: bytes) -> str:
    """A secret of these random bytes, 24 to 64 of them."""
    return PREFIX + base64.b64encode(chance).decode("ascii")


def sign(keys: Iterable[bytes], message: str, timestamp: int, body: bytes) -> str:
    """The header ``webhook-signature``: one signature for each key, so that a secret can be changed without a gap."""
    signed = f"{message}.{timestamp}.".encode() + body
    made = (base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii") for key in keys)
    return " ".join(f"v1,{each}" for each in made)
