"""Identity: who calls, as a network that is trusted asserts it, and whether that is to be shown (RFC 3323, RFC 3325).

From is what a caller claims. P-Asserted-Identity is believed from trusted peers alone; so is the Remote-Party-ID of
carriers that never changed to it (draft-ietf-sip-privacy-04). P-Preferred-Identity is a wish to a proxy that asserts,
which we are not: it is read from nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import NameAddr

if TYPE_CHECKING:
    from callcenter.sip.headers import Headers
    from callcenter.sip.message import Request

# What stands in place of a number that is not to be shown (RFC 3323 4.1.1.3).
ANONYMOUS = "anonymous"

# Privacy values that hide who calls (RFC 3323 4.2, RFC 3325 9.3).
HIDING = frozenset(("id", "user", "header"))

# Whether a caller's signature was verified (STIR, RFC 8224), as the network that did it tells those who trust it.
VERSTAT = "verstat"
PASSED = "TN-Validation-Passed"

# RFC 3325 9.1: one sip or sips value and one tel value.
MAX_ASSERTED = 2


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: ``number`` and ``name`` as they may be shown; those of From unless somebody trusted knows better.

    ``asserted`` is the number that a trusted network vouches for, also when it is ``withheld``: then ``number`` says
    ``anonymous``, and the asserted one is for no screen, no record, no log and no other network. ``attested``: somebody
    trusted vouches for ``number``, and has not found its signature wanting (SHAKEN, ATIS-1000074 and -1000082).
    """

    number: str
    name: str = ""
    asserted: str = ""
    withheld: bool = False
    attested: bool = False


def identity_of(request: Request, *, trusted: bool) -> Identity:
    """Who sends this request, which came from a ``trusted`` peer or not. Raises SipParseError for a bad From."""
    claimed = request.from_
    withheld = hides(request.headers) or _is_anonymous(claimed)
    known = asserted_by(request.headers) if trusted else None
    if known is None and trusted:
        known, hidden = remote_party(request.headers)
        withheld = withheld or hidden
    number = known.uri.number_or_user if known is not None else ""
    if withheld:
        return Identity(ANONYMOUS, "", number, withheld=True)
    if known is None:
        passed = trusted and verification(claimed) == PASSED
        return Identity(claimed.uri.number_or_user, claimed.label, attested=passed)
    # What the network has verified, it may say of either (3GPP TS 24.229, 7.2A.20).
    verified = verification(known) or verification(claimed)
    return Identity(number, known.label or claimed.label, number, attested=verified in ("", PASSED))


def verification(who: NameAddr) -> str:
    """What a network says of its verification of a caller's signature (``verstat``); nothing where it says nothing.

    It stands with the tel URI, or within the user of a sip URI, where some write it behind the URI.
    """
    _, _, within = (who.uri.user or "").partition(";")
    for part in within.split(";"):
        name, _, value = part.partition("=")
        if name.strip().lower() == VERSTAT:
            return value.strip()
    return who.uri.param(VERSTAT) or who.param(VERSTAT) or ""


def hides(headers: Headers) -> bool:
    """Whether Privacy asks that nobody is shown who calls; one that cannot be read does."""
    if headers.get("Privacy") is None:
        return False
    try:
        # The values are parted by semicolons (RFC 3323 4.2), and by commas in what some gateways send.
        words = {word.strip(" \t").lower() for value in headers.values("Privacy") for word in value.split(";")}
    except SipParseError:
        return True
    return bool(words & HIDING)


def asserted_by(headers: Headers) -> NameAddr | None:
    """The P-Asserted-Identity that says most: a tel URI before a sip URI; None without one that can be read."""
    if headers.get("P-Asserted-Identity") is None:
        return None
    try:
        values = headers.values("P-Asserted-Identity")
        found = [NameAddr.parse(value) for value in values[:MAX_ASSERTED]]
    except SipParseError:
        return None
    named = [each for each in found if each.uri.user]
    number = next((each for each in named if each.uri.scheme == "tel"), named[0] if named else None)
    if number is None or number.display:
        return number
    return replace(number, display=next((each.display for each in named if each.display), ""))


def remote_party(headers: Headers) -> tuple[NameAddr | None, bool]:
    """The calling Remote-Party-ID that passed the network's screening, and whether it is to be hidden."""
    for line in headers.all("Remote-Party-ID"):
        try:
            party = NameAddr.parse(line)
        except SipParseError:
            continue
        if (party.param("party") or "calling").lower() != "calling" or (party.param("screen") or "").lower() == "no":
            continue
        if party.uri.user:
            return party, (party.param("privacy") or "off").lower() in ("full", "uri", "name")
    return None, False


def _is_anonymous(claimed: NameAddr) -> bool:
    # RFC 3323 4.1.1.3: sip:anonymous@anonymous.invalid. A phone's user may well be called so elsewhere.
    return claimed.uri.host.lower() == "anonymous.invalid"
