"""Codecs, however they are spelled."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator

from callcenter.config.problems import Code
from callcenter.config.shape import as_list, each_once, mistake, some, tell


def _codec(value: Any) -> Any:
    """A codec however it is spelled: ``Opus``, ``G.722``, ``pcmu``."""
    if not isinstance(value, str):
        return value
    found = _CODEC_SPELLINGS.get(value.lower().replace(".", ""))
    if found is None:
        raise mistake(Code.CHOICE, f"`{value}` is not known here", f"known here: {', '.join(get_args(CodecName))}")
    return found


CodecName = Literal["PCMU", "PCMA", "G722", "opus", "L16"]
_CODEC_SPELLINGS = {name.lower(): name for name in get_args(CodecName)} | {"ulaw": "PCMU", "alaw": "PCMA"}
tell(_codec, lambda inner: inner)

Codecs = Annotated[
    tuple[Annotated[CodecName, BeforeValidator(_codec)], ...],
    AfterValidator(each_once),
    some(8),
    BeforeValidator(as_list),
]
