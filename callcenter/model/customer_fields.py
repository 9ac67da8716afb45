"""CustomerFields: what a client company notes of its customers beyond what all do, and how that is written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

Value = str | int | float | bool
"""A field's value: text, date (ISO 8601) and choice are texts."""

MAX_TEXT = 2_000
"""Characters of one value; one that is longer is a document, not a field."""

# What a number may be written as: no exponent, nothing that is not finite.
_NUMBER = re.compile(r"[+-]?(\d{1,18})(\.\d{1,9})?")
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class FieldKind(StrEnum):
    """What may stand in a field."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    CHOICE = "choice"
    YES_NO = "yes_no"


class BadField(Exception):
    """A value that its field does not take; one sentence says what to write, ``field`` where."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name}: {why}")
        self.field = name
        self.why = why


@dataclass(frozen=True, slots=True)
class FieldRule:
    """One field. ``most``: characters of a text; ``choices``: what may be chosen, and its label for people.

    ``shown``: whether the screen pop tells it.
    """

    name: str
    kind: FieldKind = FieldKind.TEXT
    label: str = ""
    required: bool = False
    most: int = MAX_TEXT
    choices: Mapping[str, str] = field(default_factory=dict)
    shown: bool = False

    def read(self, written: object) -> Value | None:
        """A value as a program or a CSV wrote it; None for none. Raises BadField."""
        if written is None or (isinstance(written, str) and not written.strip()):
            return None
        match self.kind:
            case FieldKind.TEXT:
                return self._text(written)
            case FieldKind.NUMBER:
                return self._number(written)
            case FieldKind.DATE:
                try:
                    return date.fromisoformat(self._text(written)).isoformat()
                except ValueError:
                    raise BadField(self.name, f"{_told(written)} is no date; write it as 2026-11-30") from None
            case FieldKind.CHOICE:
                text = self._text(written)
                if text not in self.choices:
                    raise BadField(self.name, f"{_told(written)} is none of {', '.join(self.choices)}")
                return text
            case FieldKind.YES_NO:
                found = written if isinstance(written, bool) else _YES_NO.get(str(written).strip().lower())
                if found is None:
                    raise BadField(self.name, f"{_told(written)}: write yes or no")
                return found

    def _text(self, written: object) -> str:
        if not isinstance(written, str):
            raise BadField(self.name, f"{_told(written)} is no text")
        # A line ends as a file of text has it, whatever it came in: the same again is no change.
        text = written.replace("\r\n", "\n").replace("\r", "\n").strip()
        if len(text) > self.most:
            raise BadField(self.name, f"longer than {self.most} characters")
        return text

    def _number(self, written: object) -> int | float:
        if isinstance(written, bool) or not isinstance(written, int | float | str):
            raise BadField(self.name, f"{_told(written)} is no number")
        if isinstance(written, str):
            found = _NUMBER.fullmatch(written.strip())
            if found is None:
                raise BadField(self.name, f"{_told(written)} is no number; write 12 or -3.5")
            written = float(found[0]) if found[2] else int(found[0])
        # Past that neither JSON's readers nor a spreadsheet keep every digit.
        if not math.isfinite(written) or abs(written) >= 10**15:
            raise BadField(self.name, f"{_told(written)} is too large a number")
        return int(written) if float(written).is_integer() else round(written, 9)


@dataclass(frozen=True, slots=True)
class CustomerFields:
    """The fields that a client has declared, by name, in their order."""

    rules: Mapping[str, FieldRule] = field(default_factory=dict)

    def read(self, written: Mapping[str, object], *, before: Mapping[str, Value] | None = None) -> dict[str, Value]:
        """All values, as ``written`` changes those ``before``: None, or an empty text, takes one away.

        What was there and is declared no more is kept as it is. Raises BadField.
        """
        values = dict(before or {})
        for name, value in written.items():
            rule = self.rules.get(name)
            if rule is None:
                known = ", ".join(self.rules) or "none"
                raise BadField(name, f"no such field is declared; there are: {known}")
            found = rule.read(value)
            if found is None:
                values.pop(name, None)
            else:
                values[name] = found
        for rule in self.rules.values():
            if rule.required and rule.name not in values:
                raise BadField(rule.name, "is missing")
        return values

    def shown(self, values: Mapping[str, Value]) -> Iterator[tuple[FieldRule, Value]]:
        """What an agent's screen is told, in the order of the declaration."""
        return ((rule, values[name]) for name, rule in self.rules.items() if rule.shown and name in values)


NO_FIELDS = CustomerFields()


def text_of(value: Value) -> str:
    """A value as a CSV has it, which :meth:`FieldRule.read` reads again."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    return str(value)


def _told(written: object) -> str:
    text = repr(written)
    return text if len(text) <= 60 else f"{text[:57]}..."
