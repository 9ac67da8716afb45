"""DialPlan: how numbers are written where somebody dials, and what each of them is in E.164."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What people put between the digits (RFC 3966 5.1.1, and blanks).
_SEPARATORS = str.maketrans("", "", " -./()\t\u00a0")
# Seven digits at least: what is shorter is dialled within a country or a house, and means nothing elsewhere.
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


# Country codes of two digits (ITU-T E.164 D); +1 and +7 have one, all others three.
_TWO_DIGITS = re.compile(r"2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")


def country_code(number: str) -> str:
    """The country code of a number in E.164, without the plus."""
    digits = number.removeprefix("+")
    if digits[:1] in ("1", "7"):
        return digits[:1]
    return digits[:2] if _TWO_DIGITS.match(digits) else digits[:3]


@dataclass(frozen=True, slots=True)
class DialPlan:
    """How numbers are dialled in one country: ``country`` is its code, without plus.

    ``national_prefix`` stands before the numbers of the country, ``international_prefix`` before those of all others.
    Without a ``country`` digits are taken for a whole international number that lacks its plus.
    """

    country: str = ""
    national_prefix: str = ""
    international_prefix: str = "00"

    def to_e164(self, written: str) -> str | None:
        """A number as somebody wrote it, in E.164; None for what cannot be one: too short, too long, a name."""
        text = written.translate(_SEPARATORS)
        if not text.startswith("+"):
            if not text.isascii() or not text.isdigit():
                return None
            text = f"+{self._whole(text)}"
        return text if _E164.fullmatch(text) else None

    def _whole(self, digits: str) -> str:
        # The longer prefix first: in some countries the one begins with the other.
        international, national = self.international_prefix, self.national_prefix
        if international and digits.startswith(international):
            return digits.removeprefix(international)
        if not self.country:
            return digits
        return self.country + digits.removeprefix(national)
