"""Header fields of a SIP message in their order, and the typed values of the core ones (RFC 3261 20 and 25.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from callcenter.sip.errors import SipParseError
from callcenter.sip.uri import Params, Uri, read_ipv6, split_params

# CSeq numbers are below 2**31 (RFC 3261 8.1.1.5).
MAX_CSEQ = 2**31 - 1
# Elements of one list header, over all its lines: nobody has that many proxies or contacts.
MAX_VALUES = 256
# Parameters of one value.
MAX_PARAMS = 64
# Names and URIs come again and again: with each message of a call, and for each call to one number. The last so many
# of usual length are remembered, a megabyte (an answered leg costs 10 % less).
REMEMBERED = 1024
MAX_REMEMBERED = 160

COMPACT = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
"""The compact forms of header names (the IANA registry), by letter."""

LISTS = frozenset(
    (
        "accept",
        "accept-contact",
        "accept-encoding",
        "accept-language",
        "alert-info",
        "allow",
        "allow-events",
        "call-info",
        "contact",
        "content-encoding",
        "content-language",
        "diversion",
        "error-info",
        "history-info",
        "in-reply-to",
        "p-asserted-identity",
        "p-preferred-identity",
        "path",
        "privacy",
        "proxy-require",
        "reason",
        "record-route",
        "reject-contact",
        "require",
        "route",
        "security-client",
        "security-server",
        "security-verify",
        "service-route",
        "supported",
        "unsupported",
        "via",
        "warning",
    )
)
"""Headers whose value is a comma-separated list; the commas of all others (Date, Subject, credentials) are text."""

_COMMON = (
    *("Via", "From", "To", "Call-ID", "CSeq", "Contact", "Max-Forwards", "Content-Type", "Content-Length", "Route"),
    *("Record-Route", "Allow", "Supported", "Require", "User-Agent", "Server", "Expires", "Authorization", "Subject"),
    *("Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate", "Accept", "Event", "Path", "Date", "Warning"),
    *("Retry-After", "Session-Expires", "Min-SE", "Allow-Events", "P-Asserted-Identity", "Reason", "Timestamp"),
)
# From a name as it is mostly spelled to the key it is found by: one look-up for nearly every header line.
KEYS = {spelled: spelled.lower() for spelled in _COMMON} | {spelled.lower(): spelled.lower() for spelled in _COMMON}
KEYS |= COMPACT

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
# Possessive, here and below: what a peer sends must not make the matching go back over it again and again.
_QUOTED = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# A parameter: lenient in the characters of a value (base 64 with "=" is common), strict in what parts one from another.
_PARAM = re.compile(
    r'[ \t]*;[ \t]*([^\s\x00-\x20\x7f;,="<>]+)[ \t]*(?:=[ \t]*(' + _QUOTED + r'|[^\s\x00-\x20\x7f;,"<>]*)[ \t]*)?',
    re.DOTALL,
)
# What phones really send, tried first: a class of ASCII characters matches five times as fast as one of exclusions.
_USUAL_PARAMS = re.compile(r"(?:;[A-Za-z0-9.\-+*!%'_~]+(?:=[A-Za-z0-9.\-+*!%'_~]*)?)*")
_USUAL_VIA = re.compile(
    r"SIP/2\.0/([A-Z]{3,4}) ([A-Za-z0-9._-]+)(?::([0-9]{1,5}))?"
    r"((?:;[A-Za-z0-9.\-+*!%'_~]+(?:=[A-Za-z0-9.\-+*!%'_~]*)?)*)"
)
_PLAIN_PARAMS = re.compile(r'(?:;[^\s\x00-\x20\x7f;,="<>]+(?:=[^\s\x00-\x20\x7f;,"<>]*)?)*')
# A token, or an IPv6 address: in brackets as a host, bare as the value of ``received`` (RFC 3261 25.1, RFC 5118 4.5).
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*")
# What cannot stand in a quoted string as it is.
_UNQUOTABLE = re.compile(r'["\\\x00-\x08\x0a-\x1f\x7f]')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

# A display name without quotes should be tokens; phones write nearly anything, but what would change the meaning of
# the rest (a comma, a semicolon, half a quoted string) is refused (RFC 4475 3.1.2.15).
_NAME_ADDR = re.compile(r"(?:(" + _QUOTED + r')[ \t]*|([^"<>,;\\]*))<([^<>]*)>[ \t]*(;.*)?', re.DOTALL)

_SENT = (
    r"([^\s/;,]+)[ \t]*/[ \t]*([^\s/;,]+)[ \t]*/[ \t]*([^\s/;,]+)[ \t]+"
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?:[ \t]*:[ \t]*([0-9]{1,5}))?[ \t]*"
)
_VIA = re.compile(_SENT + r"(;.*)?", re.DOTALL)
_VIA_START = re.compile(_SENT + r"(?=[;,]|$)")
_BRANCH = re.compile(r";[ \t]*branch[ \t]*=[ \t]*([A-Za-z0-9\-.!%*_+`'~]+)", re.IGNORECASE)
_CSEQ = re.compile(r"([0-9]{1,20})[ \t]+([A-Za-z0-9\-.!%*_+`'~]+)")
# An element of a list; half a quoted string takes all that follows, and fails when it is read.
_LIST_ITEM = re.compile(r'(?:[^",<]++|' + _QUOTED + r'|<[^<>]*+>|<|".*+)*+', re.DOTALL)


def header_key(name: str) -> str:
    """The key under which a header is found: lower case, compact forms written out."""
    key = KEYS.get(name)
    if key is None:
        key = name.lower()
        key = COMPACT.get(key, key)
    return key


def is_token(text: str) -> bool:
    """Whether ``text`` is a token (RFC 3261 25.1): a method, a header name, an option tag."""
    return _TOKEN.fullmatch(text) is not None


def quote_string(text: str) -> str:
    """``text`` as quoted string. Control characters are escaped; CR and LF, which cannot be, become a space."""
    if _UNQUOTABLE.search(text) is None:
        return f'"{text}"'
    out = []
    for char in text:
        if char in '"\\' or (char < " " and char != "\t") or char == "\x7f":
            out.append(" " if char in "\r\n" else "\\" + char)
        else:
            out.append(char)
    return '"' + "".join(out) + '"'


def unquote_string(text: str) -> str:
    """The text of a quoted string; what is not quoted comes back as it is."""
    if len(text) < 2 or text[0] != '"':
        return text
    inner = text[1:-1]
    return _ESCAPED.sub(r"\1", inner) if "\\" in inner else inner


def parse_params(text: str) -> Params:
    """Header parameters, from the first semicolon on. Values stay as written. Raises SipParseError."""
    if not text:
        return ()
    if text.count(";") > MAX_PARAMS:
        raise SipParseError("Too many parameters")
    if _USUAL_PARAMS.fullmatch(text) or _PLAIN_PARAMS.fullmatch(text):
        return split_params(text)
    pairs: list[tuple[str, str | None]] = []
    at, end = 0, len(text)
    while at < end:
        found = _PARAM.match(text, at)
        if found is None:
            raise SipParseError("Bad header parameters")
        pairs.append((found[1], found[2]))
        at = found.end()
    return tuple(pairs)


def format_params(params: Params) -> str:
    """The parameters as they stand behind a value."""
    return "".join([f";{name}" if value is None else f";{name}={value}" for name, value in params])


def param_value(text: str) -> str:
    """A value as it may be written into a parameter: quoted where it is neither token nor address."""
    return text if _PLAIN_VALUE.fullmatch(text) else quote_string(text)


def find_param(params: Params, name: str) -> str | None:
    """The value of the first parameter of that name, unquoted; ``""`` without value, None when it is not there."""
    for key, value in params:
        if key == name or (len(key) == len(name) and key.lower() == name.lower()):
            return "" if value is None else unquote_string(value)
    return None


def set_param(params: Params, name: str, value: str | None) -> Params:
    """The parameters with one set, in its old place if it was there. None: a parameter without value."""
    spelled = None if value is None else param_value(value)
    out: list[tuple[str, str | None]] = []
    done = False
    for key, old in params:
        if key.lower() != name.lower():
            out.append((key, old))
        elif not done:
            out.append((key, spelled))
            done = True
    if not done:
        out.append((name, spelled))
    return tuple(out)


def split_list(text: str) -> list[str]:
    """The elements between commas; commas in quotes and angle brackets part nothing; empty elements are left out."""
    if "," not in text:
        return [text] if text else []
    parts: list[str] = []
    at, end = 0, len(text)
    while at <= end:
        found = _LIST_ITEM.match(text, at)
        stop = found.end() if found else end
        part = text[at:stop].strip(" \t")
        if part:
            parts.append(part)
            if len(parts) > MAX_VALUES:
                raise SipParseError("Too many values in a header")
        at = stop + 1
    return parts


@dataclass(frozen=True, slots=True)
class NameAddr:
    """A display name, a URI and header parameters: From, To, Contact, Route and their kind.

    ``display`` is the text without quotes and escapes, as the peer sent it: any character may be in it, see ``label``.
    """

    uri: Uri
    display: str = ""
    params: Params = ()

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Read a name-addr or addr-spec with its parameters. Raises SipParseError."""
        return _known_name_addr(text) if len(text) <= MAX_REMEMBERED else _read_name_addr(text)

    def __str__(self) -> str:
        display = quote_string(self.display) + " " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"

    @property
    def label(self) -> str:
        """The display name with nothing unprintable in it: for screens and logs."""
        return "".join(char if char.isprintable() else " " for char in self.display).strip()

    @property
    def tag(self) -> str | None:
        """The tag parameter."""
        return self.param("tag")

    def with_tag(self, tag: str) -> NameAddr:
        """The same with this tag."""
        return self.with_param("tag", tag)

    def param(self, name: str) -> str | None:
        """The value of a header parameter, unquoted; ``""`` for one without value, None when it is not there."""
        return find_param(self.params, name)

    def with_param(self, name: str, value: str | None) -> NameAddr:
        """The same with a header parameter set."""
        return replace(self, params=set_param(self.params, name, value))

    def without_params(self) -> NameAddr:
        """Name and URI alone."""
        return replace(self, params=())


def _read_name_addr(text: str) -> NameAddr:
    found = _NAME_ADDR.fullmatch(text)
    if found is not None:
        quoted, words, uri, params = found.groups()
        display = unquote_string(quoted) if quoted is not None else words.strip(" \t")
        return NameAddr(Uri.parse(uri), display, parse_params(params) if params else ())
    # Without angle brackets the parameters belong to the header, and the URI holds no "," and "?" (RFC 3261 20).
    spec, semicolon, rest = text.partition(";")
    spec = spec.rstrip(" \t")
    if "?" in spec or "," in spec:
        raise SipParseError("URI needs angle brackets")
    return NameAddr(Uri.parse(spec), "", parse_params(semicolon + rest))


_known_name_addr = lru_cache(REMEMBERED)(_read_name_addr)


def parse_name_addr_list(text: str) -> list[NameAddr]:
    """The elements of a Contact, Route, Record-Route or Path value. Raises SipParseError."""
    return [NameAddr.parse(part) for part in split_list(text)]


@dataclass(frozen=True, slots=True)
class Via:
    """One Via value. ``transport`` is in upper case, an IPv6 ``host`` has no brackets."""

    transport: str
    host: str
    port: int | None = None
    params: Params = ()
    protocol: str = "SIP/2.0"

    @classmethod
    def parse(cls, text: str) -> Via:
        """Read one Via value. Raises SipParseError."""
        usual = _USUAL_VIA.fullmatch(text)
        if usual is not None and text.count(";") <= MAX_PARAMS:
            transport, host, port, params = usual.groups()
            if port is None or len(port) < 5 or int(port) <= 65535:
                return cls(transport, host, None if port is None else int(port), split_params(params))
        found = _VIA.fullmatch(text)
        if found is None:
            raise SipParseError("Bad Via")
        params = found[6]
        return cls._sent(found, parse_params(params) if params else ())

    @classmethod
    def salvage(cls, text: str) -> Via:
        """As much of a malformed top Via as sends a 400 back: the sender, and the branch if it can be seen.

        Raises SipParseError when not even the sender can be read.
        """
        found = _VIA_START.match(text)
        if found is None:
            raise SipParseError("Bad Via")
        branch = _BRANCH.search(text)
        return cls._sent(found, (("branch", branch[1]),) if branch else ())

    @classmethod
    def _sent(cls, found: re.Match[str], params: Params) -> Via:
        name, version, transport, host, port = found.group(1, 2, 3, 4, 5)
        if host[0] == "[":
            host = read_ipv6(host)
        number = None
        if port is not None and (number := int(port)) > 65535:
            raise SipParseError("Bad port in Via")
        return cls(transport.upper(), host, number, params, f"{name}/{version}".upper())

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.protocol}/{self.transport} {host}{port}{format_params(self.params)}"

    @property
    def sent_by(self) -> str:
        """Host and port as one text in lower case, the port only when it was given: part of a transaction's key."""
        return self.host.lower() if self.port is None else f"{self.host.lower()}:{self.port}"

    @property
    def branch(self) -> str | None:
        """The branch parameter."""
        return self.param("branch")

    @property
    def received(self) -> str | None:
        """The address that the request came from, without brackets."""
        received = self.param("received")
        return received.strip("[]") if received else None

    @property
    def rport(self) -> int | None:
        """The port that the request came from (RFC 3581); 0 when the peer asks for it (``;rport``), None without it."""
        value = self.param("rport")
        if not value:
            return None if value is None else 0
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 5 and int(value) <= 65535 else None

    def param(self, name: str) -> str | None:
        """The value of a parameter, unquoted; ``""`` for one without value, None when it is not there."""
        return find_param(self.params, name)

    def seen_from(self, host: str, port: int) -> Via:
        """The same with where it came from noted, if it is asked for or differs (RFC 3261 18.2.1, RFC 3581 4)."""
        asked = self.rport == 0
        if not asked and self.host == host:
            return self
        wanted: dict[str, str | None] = {"received": param_value(host)}
        if asked:
            wanted["rport"] = str(port)
        params: list[tuple[str, str | None]] = []
        told = set()
        for name, value in self.params:
            key = name.lower()
            if key not in wanted:
                params.append((name, value))
            elif key not in told:
                told.add(key)
                params.append((name, wanted[key]))
        params += [(key, value) for key, value in wanted.items() if key not in told]
        return Via(self.transport, self.host, self.port, tuple(params), self.protocol)

    def with_param(self, name: str, value: str | None) -> Via:
        """The same with a parameter set."""
        return replace(self, params=set_param(self.params, name, value))


def parse_via_list(text: str) -> list[Via]:
    """The elements of a Via value. Raises SipParseError."""
    return [Via.parse(part) for part in split_list(text)]


@dataclass(frozen=True, slots=True)
class CSeq:
    """Number and method of a request."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Read a CSeq value. Raises SipParseError."""
        found = _CSEQ.fullmatch(text)
        if found is None or (number := int(found[1])) > MAX_CSEQ:
            raise SipParseError("Bad CSeq")
        return cls(number, found[2])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


class Headers:
    """Header fields in their order. Names are found in any case and by their compact form, and kept as spelled.

    ``version`` grows with every change, so that values read from here can be cached.
    """

    __slots__ = ("_index", "_items", "version")

    def __init__(
        self, items: Iterable[tuple[str, str]] = (), *, checked: list[tuple[str, str, str]] | None = None
    ) -> None:
        """Take (name, value) pairs; or ``checked``, (key, name, value) triples of the parser, which are not looked at.

        Raises ValueError for a name or value that would break the message.
        """
        self._items = [_item(name, value) for name, value in items] if checked is None else checked
        self.version = 0
        # The first value by its key, made when it is first asked for: some ten are, of each message that comes.
        self._index: dict[str, str] | None = None

    def get(self, name: str) -> str | None:
        """The value of the first line of that name, None when there is none."""
        key = KEYS.get(name)
        if key is None:
            key = header_key(name)
        index = self._index
        if index is None:
            index = self._index = {each: value for each, _, value in reversed(self._items)}
        return index.get(key)

    def all(self, name: str) -> list[str]:
        """The value of every line of that name."""
        if self.get(name) is None:
            return []
        key = header_key(name)
        return [value for each, _, value in self._items if each == key]

    def values(self, name: str) -> list[str]:
        """The values of that name: of a list header every element of every line, of others every line."""
        lines = self.all(name)
        if not lines or header_key(name) not in LISTS:
            return lines
        values = [value for line in lines for value in split_list(line)]
        if len(values) > MAX_VALUES:
            raise SipParseError("Too many values in a header")
        return values

    def add(self, name: str, value: str) -> None:
        """Put a line at the end. Raises ValueError when name or value would break the message."""
        self._items.append(_item(name, value))
        self._changed()

    def set(self, name: str, value: str) -> None:
        """Make this the only line of that name, where the first one stood or at the end."""
        item = _item(name, value)
        at = next((index for index, (key, _, _) in enumerate(self._items) if key == item[0]), len(self._items))
        self._items[at : at + 1] = [item]
        self._items[at + 1 :] = [each for each in self._items[at + 1 :] if each[0] != item[0]]
        self._changed()

    def remove(self, name: str) -> None:
        """Take every line of that name away."""
        key = header_key(name)
        self._items = [item for item in self._items if item[0] != key]
        self._changed()

    def replace_first(self, name: str, value: str) -> None:
        """Put ``value`` in place of the first element of a list header (the top Via with ``received`` added)."""
        key = header_key(name)
        for index, (each, spelled, line) in enumerate(self._items):
            if each == key:
                rest = split_list(line)[1:] if key in LISTS else []
                item = self._items[index] = _item(spelled, ", ".join([value, *rest]))
                self.version += 1
                if self._index is not None:
                    # Done to nearly every message that comes: the rest of the index stays right.
                    self._index[key] = item[2]
                return

    def _changed(self) -> None:
        self.version += 1
        self._index = None

    def items(self) -> list[tuple[str, str]]:
        """Every line as (name, value), in order."""
        return [(name, value) for _, name, value in self._items]

    def triples(self) -> list[tuple[str, str, str]]:
        """Every line as (key, name, value), in order; not to be changed."""
        return self._items

    def copy(self) -> Headers:
        """An independent copy."""
        return Headers(checked=list(self._items))

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.items())

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self._items] == [(key, value) for key, _, value in other._items]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({self.items()!r})"


def _item(name: str, value: str) -> tuple[str, str, str]:
    # A line end inside would let a peer's text add headers of its own.
    if "\r" in value or "\n" in value:
        raise ValueError(f"line end in the value of {name}")
    key = KEYS.get(name)
    if key is None:
        if not is_token(name):
            raise ValueError(f"not a header name: {name!r}")
        key = header_key(name)
    return key, name, value.strip(" \t")
