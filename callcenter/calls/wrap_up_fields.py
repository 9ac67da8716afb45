"""Wrap-up fields: what agents are asked to fill in after a talk, and how a value has to look."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

MAX_VALUE = 500
MAX_NUMBER = 30

# Digits as they stand on a card (13 to 19 of them: ISO/IEC 7812-1), with the spaces or dashes that people write between
# them. Behind a plus it is a telephone's number.
_CARD = re.compile(r"(?<![\d+])\d(?:[ -]?\d){12,18}(?!\d)")


class FieldKind(StrEnum):
    """What a field holds."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    CHOICE = "choice"
    YES_NO = "yes_no"


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

    def kept(self, value: object) -> str:
        """A value as it is kept, as text: a number in plain digits, a date in ISO 8601, yes or no. Raises BadValue.

        The digits of a payment card are starred wherever they stand, but for the last four.
        """
        match self.kind:
            case FieldKind.TEXT:
                text = self._text(value)
                return "*" * len(text) if self.mask else without_cards(text)
            case FieldKind.NUMBER:
                return self._number(value)
            case FieldKind.DATE:
                return self._date(value)
            case FieldKind.CHOICE:
                return self._choice(value)
            case FieldKind.YES_NO:
                return self._yes_no(value)

    def _text(self, value: object) -> str:
        text = value.strip() if isinstance(value, str) else str(value) if isinstance(value, int) else ""
        if not text or len(text) > MAX_VALUE or not text.isprintable():
            raise BadValue(f"`{self.name}` is a text of 1 to {MAX_VALUE} characters on one line")
        return text

    def _number(self, value: object) -> str:
        if isinstance(value, int | float | str) and not isinstance(value, bool) and len(str(value)) <= MAX_NUMBER:
            try:
                number = Decimal(str(value).strip())
            except InvalidOperation:
                number = Decimal("NaN")
            if number.is_finite() and abs(number.adjusted()) < MAX_NUMBER:
                return without_cards(format(number, "f"))
        raise BadValue(f"`{self.name}` is a number, such as 12 or 12.50")

    def _date(self, value: object) -> str:
        try:
            return date.fromisoformat(value if isinstance(value, str) else "").isoformat()
        except ValueError:
            raise BadValue(f"`{self.name}` is a date: write it as 2026-11-30") from None

    def _choice(self, value: object) -> str:
        if isinstance(value, str) and value in self.choices:
            return value
        raise BadValue(f"`{self.name}` is one of {', '.join(self.choices)}")

    def _yes_no(self, value: object) -> str:
        if value is True or value == "yes":
            return "yes"
        if value is False or value == "no":
            return "no"
        raise BadValue(f"`{self.name}` is yes or no")


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
