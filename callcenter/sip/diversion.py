"""Diversion: who sent a call on before it came to us, and why: History-Info (RFC 7044) or Diversion (RFC 5806).

Both are words of networks and of forwarding phones, proven by nobody: for people to read, never to decide by.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import NameAddr
from callcenter.sip.reason import Reason
from callcenter.sip.uri import unescape

if TYPE_CHECKING:
    from callcenter.sip.headers import Headers
    from callcenter.sip.uri import Uri

# Who is sent on more often went in circles; a number or a name that is longer is none.
MAX_DIVERSIONS = 8
MAX_TEXT = 64

# The words of RFC 5806 for the causes of RFC 4458 and for what entries of RFC 4244 were answered (RFC 7544 7.1).
WHY: dict[int, str] = {
    302: "unconditional",
    404: "unknown",
    408: "no-answer",
    480: "deflection",
    486: "user-busy",
    487: "deflection",
    503: "unavailable",
    600: "user-busy",
    603: "deflection",
}
WORDS = frozenset(
    (
        *("unknown", "user-busy", "no-answer", "unavailable", "unconditional", "time-of-day", "do-not-disturb"),
        *("deflection", "follow-me", "out-of-service", "away"),
    )
)

_INDEX = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){0,15}")


@dataclass(frozen=True, slots=True)
class Diverted:
    """Somebody sent the call on. ``number`` and ``name`` are empty when they do not want to be shown."""

    number: str
    name: str = ""
    why: str = "unknown"


def diversions_of(headers: Headers) -> tuple[Diverted, ...]:
    """Everybody who sent the call on, the last one first. What cannot be read is left out."""
    return history_of(headers) or _diversions(headers)


def _diversions(headers: Headers) -> tuple[Diverted, ...]:
    found = []
    for value in _values(headers, "Diversion"):
        try:
            entry = NameAddr.parse(value)
        except SipParseError:
            continue
        why = (entry.param("reason") or "").lower()
        hidden = (entry.param("privacy") or "off").lower() not in ("off", "")
        found.append(_diverted(entry.uri, entry.label, why if why in WORDS else "unknown", hidden=hidden))
    return tuple(found[:MAX_DIVERSIONS])


def history_of(headers: Headers) -> tuple[Diverted, ...]:
    """Who sent the call on, by History-Info, the last one first.

    RFC 7044: an entry says which one it was mapped from (``mp``), and the cause in its URI why (RFC 4458). RFC 4244:
    the entry that diverted has the Reason in the headers of its URI.
    """
    entries: dict[str, NameAddr] = {}
    for value in _values(headers, "History-Info"):
        try:
            entry = NameAddr.parse(value)
        except SipParseError:
            continue
        index = entry.param("index") or ""
        if _INDEX.fullmatch(index):
            entries[index] = entry
    last = next(reversed(entries), "")
    causes: dict[str, int | None] = {}
    for index, entry in entries.items():
        cause = entry.uri.param("cause") or ""
        source = entry.param("mp") or (index.rpartition(".")[0] if cause else "")
        if source in entries and source != index:
            given = int(cause) if cause.isascii() and cause.isdigit() and len(cause) == 3 else None
            causes[source] = given or _reason_within(entries[source].uri)
        elif index != last and (answered := _reason_within(entry.uri)) in WHY:
            causes.setdefault(index, answered)
    diverted = [_of_history(entry, causes[index]) for index, entry in entries.items() if index in causes]
    return tuple(reversed(diverted[:MAX_DIVERSIONS]))


def _of_history(entry: NameAddr, why: int | None) -> Diverted:
    wants_privacy = "history" in _uri_header(entry.uri, "privacy").lower()
    return _diverted(entry.uri, entry.label, WHY.get(why or 0, "unknown"), hidden=wants_privacy)


def _diverted(uri: Uri, name: str, why: str, *, hidden: bool) -> Diverted:
    if hidden or uri.host.lower() == "anonymous.invalid":
        return Diverted("", "", why)
    number = "".join(char for char in uri.number_or_user if char.isprintable())
    return Diverted(number[:MAX_TEXT], name[:MAX_TEXT], why)


def _reason_within(uri: Uri) -> int | None:
    """The SIP cause of the Reason in a URI's headers."""
    try:
        reason = Reason.parse(_uri_header(uri, "reason"))
    except SipParseError:
        return None
    return reason.cause if reason.protocol.upper() == "SIP" else None


def _uri_header(uri: Uri, wanted: str) -> str:
    for part in uri.headers.split("&", MAX_DIVERSIONS):
        name, _, value = part.partition("=")
        if name.lower() == wanted:
            return unescape(value)
    return ""


def _values(headers: Headers, name: str) -> list[str]:
    if headers.get(name) is None:
        return []
    try:
        return headers.values(name)[: 2 * MAX_DIVERSIONS]
    except SipParseError:
        return []
