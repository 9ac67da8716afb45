"""Uri: sip, sips and tel URIs taken apart, every other scheme kept as it came (RFC 3261 19.1, RFC 3966)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv6Address
from urllib.parse import quote, unquote_to_bytes

from callcenter.sip.errors import SipParseError

# Longer URIs serve nobody; RFC 4475 (longreq) has some of about 500 characters.
MAX_URI = 4096

# The last URIs of usual length are remembered: they come again and again, see headers.REMEMBERED.
REMEMBERED = 1024
MAX_REMEMBERED = 160

# Characters that may stand unescaped (RFC 3261 25.1: unreserved and user-unreserved, and of a password).
_USER_SAFE = "-_.!~*'()&=+$,;?/"
_PASSWORD_SAFE = "-_.!~*'()&=+$,"

# Lenient where phones are loose (a raw "#" or a letter with accents in the user part), strict where it decides
# what is what: no white space, no angle brackets, one "@".
_SIP = re.compile(
    r"""(sips?):
        (?:([^\s\x00-\x20\x7f@:<>"]+)(?::([^\s\x00-\x20\x7f@:<>"]*))?@)?
        (\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)
        (?::([0-9]{1,5}))?
        ((?:;[^\s\x00-\x20\x7f;?<>"@=]+(?:=[^\s\x00-\x20\x7f;?<>"@]*)?)*)
        (?:\?([^\s\x00-\x20\x7f<>"]*))?""",
    re.IGNORECASE | re.VERBOSE,
)
# What is usual, tried first: nothing escaped, ASCII alone, the scheme in lower case (three times as fast).
_USUAL = re.compile(
    r"(sips?):(?:([A-Za-z0-9+_.\-]+)@)?([A-Za-z0-9._-]+)(?::([0-9]{1,5}))?((?:;[A-Za-z0-9\-]+(?:=[A-Za-z0-9._\-]*)?)*)"
)
_TEL = re.compile(
    r"""(tel):([0-9A-Fa-f*#+().-]+)
        ((?:;[^\s\x00-\x20\x7f;?<>"@=]+(?:=[^\s\x00-\x20\x7f;?<>"@]*)?)*)""",
    re.IGNORECASE | re.VERBOSE,
)
_ABSOLUTE = re.compile(r"""([A-Za-z][A-Za-z0-9+.-]*):([^\s\x00-\x20\x7f<>"]+)""")

_NUMBER = re.compile(r"\+?[0-9A-Da-d*#().-]*[0-9*#][0-9A-Da-d*#().-]*")
_SEPARATORS = str.maketrans("", "", "-.()")

# Parameters that make two URIs different when only one of them has it (RFC 3261 19.1.4).
_DECISIVE = frozenset(("user", "ttl", "method", "maddr", "transport"))

Params = tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI. Of an unknown scheme only ``scheme`` and ``opaque`` (the rest) are known.

    ``user`` and ``password`` are unescaped, ``params`` and ``headers`` are as written; an IPv6 ``host`` has no
    brackets. A parsed URI prints as it was spelled; one that was made or changed prints in the plain form.
    """

    scheme: str = "sip"
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: Params = ()
    headers: str = ""
    opaque: str = ""
    raw: str = field(default="", compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Read a URI. Raises SipParseError (400); an unknown scheme is no error."""
        return _known(text) if len(text) <= MAX_REMEMBERED else cls._read(text)

    @classmethod
    def _read(cls, text: str) -> Uri:
        usual = _USUAL.fullmatch(text)
        if usual is not None and len(text) <= MAX_URI:
            scheme, user, host, port, params = usual.groups()
            if port is None or len(port) < 5 or int(port) <= 65535:
                number = None if port is None else int(port)
                return cls(scheme, user, None, host, number, split_params(params) if params else (), "", "", text)
        found = _SIP.fullmatch(text)
        if found is None:
            return cls._parse_other(text)
        if len(text) > MAX_URI:
            raise SipParseError("URI too long", status=414)
        scheme, user, password, host, port, params, headers = found.groups()
        if host[0] == "[":
            host = read_ipv6(host)
        number = None
        if port is not None and (number := int(port)) > 65535:
            raise SipParseError("Bad port in URI")
        return cls(
            scheme.lower(),
            None if user is None else unescape(user),
            None if password is None else unescape(password),
            host,
            number,
            split_params(params) if params else (),
            headers or "",
            "",
            text,
        )

    @classmethod
    def _parse_other(cls, text: str) -> Uri:
        if len(text) > MAX_URI:
            raise SipParseError("URI too long", status=414)
        if found := _TEL.fullmatch(text):
            return cls("tel", user=found[2], params=split_params(found[3]), raw=text)
        found = _ABSOLUTE.fullmatch(text)
        if found is None or found[1].lower() in ("sip", "sips", "tel"):
            raise SipParseError("Bad URI")
        return cls(found[1].lower(), opaque=found[2], raw=text)

    def __str__(self) -> str:
        return self.raw or self._spell()

    def _spell(self) -> str:
        if self.opaque:
            return f"{self.scheme}:{self.opaque}"
        params = "".join(f";{name}" if value is None else f";{name}={value}" for name, value in self.params)
        if self.scheme == "tel":
            return f"tel:{self.user or ''}{params}"
        parts = [self.scheme, ":"]
        if self.user is not None:
            parts.append(quote(self.user, safe=_USER_SAFE))
            if self.password is not None:
                parts += (":", quote(self.password, safe=_PASSWORD_SAFE))
            parts.append("@")
        parts.append(f"[{self.host}]" if ":" in self.host else self.host)
        if self.port is not None:
            parts.append(f":{self.port}")
        parts.append(params)
        if self.headers:
            parts += ("?", self.headers)
        return "".join(parts)

    @property
    def is_sip(self) -> bool:
        """Whether it is a sip or sips URI: one that a request can be sent to."""
        return self.scheme == "sip" or self.scheme == "sips"

    def param(self, name: str) -> str | None:
        """The value of a parameter, unescaped; ``""`` for one without value, None when it is not there."""
        for key, value in self.params:
            if key == name or unescape(key).lower() == name.lower():
                return "" if value is None else unescape(value)
        return None

    def has_param(self, name: str) -> bool:
        """Whether the parameter is there, with a value or without."""
        return self.param(name) is not None

    def without_params(self, *names: str) -> Uri:
        """The URI without the parameters named."""
        gone = {name.lower() for name in names}
        return replace(self, params=tuple(p for p in self.params if p[0].lower() not in gone), raw="")

    @property
    def number_or_user(self) -> str:
        """Whom the URI names: a number without visual separators (and without ``;phone-context``), else the user."""
        user = self.user or ""
        number = user.partition(";")[0]
        if _NUMBER.fullmatch(number):
            return number.translate(_SEPARATORS)
        return user

    def matches(self, other: Uri) -> bool:
        """Whether both mean the same (RFC 3261 19.1.4; RFC 3966 4 for tel; other schemes: letter by letter)."""
        if self is other:
            return True  # what is spelled alike is mostly one object
        if self.scheme != other.scheme:
            return False
        if self.opaque or other.opaque:
            return self.opaque == other.opaque
        if self.scheme == "tel":
            mine = (self.user or "").translate(_SEPARATORS).lower()
            return mine == (other.user or "").translate(_SEPARATORS).lower() and _folded(self.params) == _folded(
                other.params
            )
        if (self.user, self.password, self.host.lower(), self.port) != (
            other.user,
            other.password,
            other.host.lower(),
            other.port,
        ):
            return False
        mine_by_name, others_by_name = _folded(self.params), _folded(other.params)
        for name in mine_by_name.keys() | others_by_name.keys():
            both = name in mine_by_name and name in others_by_name
            differs = mine_by_name[name] != others_by_name[name] if both else name in _DECISIVE
            if differs:
                return False
        return _header_set(self.headers) == _header_set(other.headers)


_known = lru_cache(REMEMBERED)(Uri._read)  # noqa: SLF001  its other half


def unescape(text: str) -> str:
    """``%HH`` made characters: UTF-8, or Latin-1 where it is none. Half an escape stays as it is."""
    if "%" not in text:
        return text
    octets = unquote_to_bytes(text)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def read_ipv6(text: str) -> str:
    """An IPv6 reference, brackets or not, as plain address. Raises SipParseError."""
    # The grammar of RFC 3261 wrongly makes a third colon before an IPv4 part; RFC 5118 4.10 asks to bear it.
    host = text.strip("[]").replace(":::", "::")
    try:
        IPv6Address(host)
    except ValueError:
        raise SipParseError("Bad IPv6 address") from None
    return host


def split_params(text: str) -> Params:
    """``;a=b;c`` as pairs; a parameter without ``=`` has None. The caller's grammar has seen the characters."""
    pairs = []
    for part in text.split(";")[1:]:
        name, equals, value = part.partition("=")
        pairs.append((name, value if equals else None))
    return tuple(pairs)


def _folded(params: Params) -> dict[str, str]:
    return {unescape(name).lower(): unescape(value or "").lower() for name, value in params}


def _header_set(headers: str) -> frozenset[tuple[str, str]]:
    pairs = (part.partition("=") for part in headers.split("&") if part)
    return frozenset((unescape(name).lower(), unescape(value)) for name, _, value in pairs)
