"""Wrap-up fields: what agents are asked to fill in after a talk, and what is kept of a value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from callcenter.model.customer_fields import BadField, FieldKind, FieldRule, text_of

MAX_VALUE = 500
"""Characters of one value."""

# Digits as they stand on a card (13 to 19 of them: ISO/IEC 7812-1), with the spaces or dashes that people write between
# them. Behind a plus it is a telephone's number.
_CARD = re.compile(r"(?<![\d+])\d(?:[ -]?\d){12,18}(?!\d)")


class BadValue(ValueError):
    """A value that the field cannot hold; one sentence says what to write."""


@dataclass(frozen=True, slots=True)
class WrapUpField:
    """One field. ``required``: no wrap-up ends by the agent's word without a value. ``mask``: a secret, of which only
    as many stars are kept as it has characters. ``choices`` of a choice: what may be chosen, with its label.
    """

    name: str
    label: str
    kind: FieldKind = FieldKind.TEXT
    required: bool = False
    mask: bool = False
    choices: Mapping[str, str] = field(default_factory=dict)

    def plain(self) -> dict[str, Any]:
        """The field itself, as plain values, for who draws a form of it."""
        return {
            "name": self.name,
            "label": self.label,
            "type": self.kind.value,
            "required": self.required,
            "mask": self.mask,
            "choices": dict(self.choices),
        }

    def kept(self, written: object) -> str | None:
        """A value as it is kept, as text, in the form of its kind; None for none. Raises BadValue.

        The digits of a payment card are starred wherever they stand, but for the last four.
        """
        rule = FieldRule(self.name, self.kind, self.label, most=MAX_VALUE, choices=self.choices)
        try:
            value = rule.read(written)
        except BadField as error:
            # What was written may be the secret itself.
            raise BadValue(f"{self.name}: no text that can be kept" if self.mask else str(error)) from None
        if value is None:
            return None
        text = text_of(value)
        return "*" * len(text) if self.mask else without_cards(text)


def without_cards(text: str) -> str:
    """The text with what is the number of a payment card starred, but for its last four digits."""
    return _CARD.sub(_starred, text)


def _starred(found: re.Match[str]) -> str:
    written = found.group()
    digits = [character for character in written if character.isdigit()]
    if not _luhn(digits):
        return written
    return "*" * (len(digits) - 4) + "".join(digits[-4:])


def _luhn(digits: list[str]) -> bool:
    """Whether the check digit is right (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        number = int(digit) * (1 + place % 2)
        total += number - 9 if number > 9 else number
    return total % 10 == 0
