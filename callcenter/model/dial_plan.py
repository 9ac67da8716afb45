"""DialPlan: how numbers are written where somebody dials, and what each of them is in E.164."""

from __future__ import annotations

import re
from dataclasses import dataclass

# What people put between the digits (RFC 3966 5.1.1, and blanks).
_SEPARATORS = str.maketrans("", "", " -./()\t\u00a0")
# Seven digits at least: what is shorter is dialled within a country or a house, and means nothing elsewhere.
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


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
