"""Secrets, as they are written: as hashes, or by the variable of the environment that holds one; never themselves."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from callcenter.config.problems import Code
from callcenter.config.shape import besides, form, mistake, tell

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


def _variable(value: str) -> str:
    if not re.fullmatch(_VARIABLE, value):
        # It is not repeated: it may well be the secret itself.
        hint = "write the name of the variable that holds it, as in CRM_TOKEN"
        raise mistake(Code.FORM, "that is not the name of a variable of the environment", hint)
    return value


_VARIABLE = "[A-Za-z_][A-Za-z0-9_]{0,99}"
tell(_variable, lambda inner: besides(inner, pattern=f"^{_VARIABLE}$"))

Variable = Annotated[str, AfterValidator(_variable)]
