"""Event names: by which name receivers are told of which fact. Pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable

from callcenter.model.facts import BODIES
from callcenter.publish.events import EVENTS

ABOUT = ("Callback", "Followup", "Customer")
"""What events beside calls are about, as the names of their facts begin; each of them names its client."""

_CALL_WORDS = {body.__name__: word for body, word in EVENTS.items()}


def _own_name(kind: str) -> str:
    """``FollowupDue`` as ``followup.due``; empty for a fact that is no such event."""
    for noun in ABOUT:
        if kind.startswith(noun) and kind != noun and "client" in _fields(kind):
            rest = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.removeprefix(noun)).lower()
            return f"{noun.lower()}.{rest}"
    return ""


def _fields(kind: str) -> Iterable[str]:
    return getattr(BODIES[kind], "__dataclass_fields__", {}) if kind in BODIES else ()


def names_of(kind: str) -> tuple[str, ...]:
    """The names under which a fact of this kind may be told, but for those of the record of a call."""
    found = [f"call.{_CALL_WORDS[kind]}"] if kind in _CALL_WORDS else []
    if own := _own_name(kind):
        found.append(own)
    return tuple(found)


@functools.cache
def event_names() -> frozenset[str]:
    """Every name that a fact may be told under."""
    return frozenset(name for kind in BODIES for name in names_of(kind))
