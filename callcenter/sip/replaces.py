"""Replaces: the dialog that an INVITE is to take the place of (RFC 3891), in its own header or within a Refer-To."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import find_param, parse_params
from callcenter.sip.uri import unescape

if TYPE_CHECKING:
    from callcenter.sip.dialog import DialogKey
    from callcenter.sip.headers import Headers
    from callcenter.sip.uri import Uri

# Header names in a URI (19.1.1) are few; more of them serve nobody.
MAX_URI_HEADERS = 32


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog by its three names, as whoever has it on the other side knows it: ``to_tag`` is the tag of ours.

    ``early_only``: only while it is not answered.
    """

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """Read a Replaces value. Raises SipParseError: each tag has to stand in it, and once (3)."""
        call_id, semicolon, rest = text.partition(";")
        params = parse_params(semicolon + rest)
        names = [name.lower() for name, _ in params]
        call_id = call_id.strip(" \t")
        if not call_id or " " in call_id or names.count("to-tag") != 1 or names.count("from-tag") != 1:
            raise SipParseError("Bad Replaces")
        to_tag, from_tag = find_param(params, "to-tag"), find_param(params, "from-tag")
        if not to_tag or not from_tag:
            raise SipParseError("Bad Replaces")
        return cls(call_id, _tag(to_tag), _tag(from_tag), "early-only" in names)

    @property
    def key(self) -> DialogKey:
        """Under which the dialog is found if it is one of ours."""
        return self.call_id, self.to_tag, self.from_tag


def replaces_of(headers: Headers) -> Replaces | None:
    """What an INVITE wants to replace. Raises SipParseError, also for two of them (3)."""
    values = headers.all("Replaces")
    if len(values) > 1:
        raise SipParseError("More Than One Replaces")
    return Replaces.parse(values[0]) if values else None


def replaces_in(uri: Uri) -> Replaces | None:
    """What the INVITE to a Refer-To is to replace, as the headers of the URI say. Raises SipParseError."""
    if not uri.headers:
        return None
    pairs = [part.partition("=") for part in uri.headers.split("&", MAX_URI_HEADERS)]
    values = [unescape(value) for name, _, value in pairs if unescape(name).lower() == "replaces"]
    if len(values) > 1:
        raise SipParseError("More Than One Replaces")
    return Replaces.parse(values[0]) if values else None


def _tag(written: str) -> str:
    # "0" stands for the tag that an RFC 2543 peer does not have.
    return "" if written == "0" else written
