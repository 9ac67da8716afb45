"""The crypto attribute (RFC 4568): by which suite and key SRTP is spoken, read tolerantly, written strictly."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

# Master keys of SRTP serve for 2^48 packets at most (RFC 3711 9.2).
_MOST_PACKETS = 2**48

# Lines of one media line that are looked at: a phone that offers every suite there is has some twelve.
MAX_CRYPTO = 32

_LINE = re.compile(r"([0-9]{1,9})[ \t]+([\x21-\x7e]+)[ \t]+inline:([\x21-\x7e]+)((?:[ \t]+[\x21-\x7e]+)*)", re.ASCII)
_LIFETIME = re.compile(r"2\^([0-9]{1,2})|([0-9]{1,15})", re.ASCII)
_WINDOW = re.compile(r"WSH=([0-9]{2,})", re.ASCII)


class Suite(StrEnum):
    """The crypto-suites that we speak (RFC 4568 6.2, RFC 7714 12), in the order in which we offer them."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"

    @property
    def key_size(self) -> int:
        """Octets of the master key and the master salt behind it."""
        return _KEY_SIZES[self]


_KEY_SIZES = {
    Suite.AES_CM_128_HMAC_SHA1_80: 16 + 14,
    Suite.AES_CM_128_HMAC_SHA1_32: 16 + 14,
    Suite.AEAD_AES_128_GCM: 16 + 12,
    Suite.AEAD_AES_256_GCM: 32 + 12,
}

OFFERED = (Suite.AES_CM_128_HMAC_SHA1_80, Suite.AEAD_AES_256_GCM, Suite.AEAD_AES_128_GCM)
"""What we offer: everybody who knows the short tag of ``_32`` knows the long one, and is better off with it."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """One crypto line: the ``key`` (master key and salt) with which the one who says it sends. It prints no key."""

    tag: int
    suite: Suite
    key: bytes

    @staticmethod
    def parse(value: str) -> Crypto | None:
        """Read the value of an attribute; None for whatever we do not speak, which RFC 4568 5.1.2 wants left out.

        That is: other suites; several keys, or a key with an MKI; a key of the wrong length; and every session
        parameter that changes the packets (KDR, UNENCRYPTED_SRTP and its like, FEC). A lifetime is borne: it binds the
        peer, whose key it is, and who may offer a new one at any time. So is WSH, a hint at the width of our window.
        """
        found = _LINE.fullmatch(value.strip(" \t"))
        if found is None or found[2] not in _SUITES or not all(map(_is_borne, found[4].split())):
            return None
        suite = Suite(found[2])
        text, *rest = found[3].split("|")
        if len(rest) > 1 or (rest and not _is_lifetime(rest[0])):
            return None
        try:
            key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            return None
        return Crypto(int(found[1]), suite, key) if len(key) == suite.key_size else None

    def __str__(self) -> str:
        """The value of the attribute, key and all."""
        return f"{self.tag} {self.suite.value} inline:{base64.b64encode(self.key).decode()}"

    def __repr__(self) -> str:
        return f"<Crypto {self.tag} {self.suite}>"


@dataclass(frozen=True, slots=True)
class Keys:
    """What two peers agree on: the suite, the key with which we send, and the one with which they do. None is shown."""

    suite: Suite
    ours: bytes
    theirs: bytes

    def __repr__(self) -> str:
        return f"<Keys {self.suite}>"


@dataclass(frozen=True, slots=True)
class Security:
    """That keys may stand in the descriptions of a session, because nobody else reads them.

    ``new_key`` makes so many random octets. ``required``: no sound without SRTP. ``insists``: our first offer says
    RTP/SAVP, which leaves the peer no other way; otherwise it says RTP/AVP with keys beside it, which whoever knows no
    SRTP takes for plain RTP (RFC 8643).
    """

    new_key: Callable[[int], bytes]
    required: bool = False
    insists: bool = False


_SUITES = frozenset(suite.value for suite in Suite)


def _is_lifetime(text: str) -> bool:
    """Whether it is a number of packets; with a colon it would be an MKI and its length."""
    found = _LIFETIME.fullmatch(text)
    if found is None:
        return False
    return 0 < (2 ** int(found[1]) if found[1] else int(found[2])) <= _MOST_PACKETS


def _is_borne(parameter: str) -> bool:
    """Whether a session parameter changes nothing for us (RFC 4568 6.3)."""
    if parameter.startswith("-"):
        return len(parameter) > 1
    window = _WINDOW.fullmatch(parameter)
    return window is not None and int(window[1]) >= 64
