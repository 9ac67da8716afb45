"""The step ``set``, and every other way in which an attribute of a call gets its value."""

from __future__ import annotations

from callcenter.calls.call import Call
from callcenter.model.facts import AttributeSet


def note(call: Call, name: str, value: str, *, masked: bool = False) -> None:
    """Set an attribute. Its value stays with the call; of what is masked only the number of digits is told."""
    told = stars(value) if masked else value
    call.captured.attributes[name] = value
    call.captured.told[name] = told
    call.add(AttributeSet(name, told))


def stars(digits: str) -> str:
    """What may be told of digits that are masked."""
    return "*" * len(digits)
