"""Languages, as they are written."""

from __future__ import annotations

import re
from typing import Annotated

from callcenter.config.shape import form


def _language_hint(value: str) -> str:
    parts = re.split(r"[-_]", value)
    if re.fullmatch(r"[A-Za-z]{2,3}", parts[0]) and len(parts) <= 2:
        return f"write it as `{'-'.join([parts[0].lower(), *(part.upper() for part in parts[1:])])}`"
    return "write it as in `en`, `es` or `pt-BR`"


Language = Annotated[str, form(r"[a-z]{2,3}(-[A-Z]{2})?", "the tag of a language", _language_hint)]
SpeakWord = Annotated[str, form(r"customer|[a-z]{2,3}(-[A-Z]{2})?", "the tag of a language", _language_hint)]
