"""Hashes of passwords, which alone may stand in the configuration."""

from __future__ import annotations

from typing import Annotated

from callcenter.config.shape import form

HexMd5 = Annotated[str, form(r"[0-9a-f]{32}", "an MD5 HA1", "make it with: callcenter password USER")]
HexSha256 = Annotated[str, form(r"[0-9a-f]{64}", "a SHA-256 HA1", "make it with: callcenter password USER")]
MosquittoHash = Annotated[
    str,
    form(r"\$7\$\d+\$[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]+=*", "a Mosquitto hash", "make it with: callcenter password USER"),
]
DeskHash = Annotated[
    str,
    form(
        r"\$argon2id\$v=19\$m=\d{4,6},t=\d{1,2},p=\d{1,2}\$[A-Za-z0-9+/]{11,}\$[A-Za-z0-9+/]{22,}",
        "an Argon2id hash",
        "make it with: callcenter password USER",
    ),
]
