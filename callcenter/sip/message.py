"""Request and Response: start line, headers, body; typed headers are read when asked for, once (RFC 3261 7)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeVar

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import CSeq, Headers, NameAddr, Via, parse_name_addr_list, parse_via_list
from callcenter.sip.uri import Uri

# Seconds; larger values mean the same as this one (RFC 3261 20.19).
MAX_EXPIRES = 2**32 - 1
# How far a request of ours goes (RFC 3261 8.1.1.6).
MAX_FORWARDS = 70

REASONS: dict[int, str] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
"""The reason phrases of the IANA registry, by status."""

# Methods whose answer makes a dialog and therefore carries the Record-Route (RFC 3261 12.1.1, RFC 6665, RFC 3515).
_DIALOG_MAKING = frozenset(("INVITE", "SUBSCRIBE", "NOTIFY", "REFER"))

# What an answer has of its request.
_COPIED = frozenset(("via", "from", "to", "call-id", "cseq"))
_COPIED_INTO_DIALOG = _COPIED | {"record-route"}
_COPIED_INTO_TRYING = _COPIED | {"timestamp"}
# Of these every line; of the rest it has one.
_LISTS = frozenset(("via", "record-route"))

# Where an answer goes, and to what.
_NAMING = frozenset(("via", "call-id", "cseq"))

_T = TypeVar("_T")


class _Message(ABC):
    """What requests and responses share. Headers may be changed, the rest is fixed."""

    __slots__ = ("_cache", "_version", "_wire", "body", "headers", "octets")

    def __init__(self, headers: Headers, body: bytes) -> None:
        # How long the datagram was that it came in; 0: it came in none.
        self.octets = 0
        self.headers: Final = headers
        self.body: Final = body
        self._cache: dict[str, Any] = {}
        self._version = headers.version
        self._wire: bytes | None = None

    def _read(self, name: str, read: Callable[[Headers], _T]) -> _T:
        if self._version != self.headers.version:
            self._forget()
        try:
            value: _T = self._cache[name]
        except KeyError:
            value = self._cache[name] = read(self.headers)
        return value

    def note_via(self, via: Via) -> None:
        """Put ``via`` in place of the top Via; what else was read stays known."""
        self._read("via", _via)
        self.headers.replace_first("Via", str(via))
        self._cache.pop("vias", None)
        self._cache["via"] = via
        self._wire = None
        self._version = self.headers.version

    def _forget(self) -> None:
        self._cache.clear()
        self._wire = None
        self._version = self.headers.version

    @property
    def call_id(self) -> str:
        """The Call-ID. This and all below raise SipParseError when the header is malformed, or missing but needed."""
        return self._read("call_id", _call_id)

    @property
    def cseq(self) -> CSeq:
        """The CSeq."""
        return self._read("cseq", _cseq)

    @property
    def vias(self) -> tuple[Via, ...]:
        """Every Via value, the top one first; at least one."""
        top = self.via
        return self._read("vias", lambda headers: _vias(headers, top))

    @property
    def via(self) -> Via:
        """The top Via, read without the others."""
        return self._read("via", _via)

    @property
    def from_(self) -> NameAddr:
        """The From."""
        return self._read("from", _from)

    @property
    def to(self) -> NameAddr:
        """The To."""
        return self._read("to", _to)

    @property
    def from_tag(self) -> str | None:
        """The tag of From; None from an RFC 2543 peer."""
        return self.from_.tag

    @property
    def to_tag(self) -> str | None:
        """The tag of To; None outside a dialog."""
        return self.to.tag

    @property
    def contacts(self) -> tuple[NameAddr, ...] | Literal["*"]:
        """The Contact values, or ``"*"`` (REGISTER only)."""
        return self._read("contacts", _contacts)

    @property
    def contact(self) -> NameAddr | None:
        """The one Contact of a message that makes or refreshes a dialog; None without it."""
        contacts = self.contacts
        return contacts[0] if contacts and contacts != "*" else None

    @property
    def content_type(self) -> str | None:
        """The media type in lower case, without parameters."""
        return self._read("content_type", _content_type)

    @property
    def max_forwards(self) -> int | None:
        """Max-Forwards, 0 to 255; None when it is missing (RFC 2543)."""
        return self._read("max_forwards", _max_forwards)

    @property
    def routes(self) -> tuple[NameAddr, ...]:
        """The Route values in their order."""
        return self._read("routes", _routes)

    @property
    def record_routes(self) -> tuple[NameAddr, ...]:
        """The Record-Route values in their order."""
        return self._read("record_routes", _record_routes)

    @property
    def expires(self) -> int | None:
        """Expires in seconds; None when it is missing or no number, which mean the default alike."""
        return self._read("expires", _expires)

    def option_tags(self, name: str) -> tuple[str, ...]:
        """The option tags of Require, Supported, Unsupported or Proxy-Require, in lower case."""
        return tuple(value.lower() for value in self.headers.values(name))

    @abstractmethod
    def _start_line(self) -> str:
        """The first line, without its end."""

    def to_bytes(self) -> bytes:
        """The message as it goes out, made once; Content-Length is always right, and the last header."""
        if self._version != self.headers.version:
            self._forget()
        if self._wire is None:
            lines = [self._start_line()]
            lines += [f"{name}: {value}" for key, name, value in self.headers.triples() if key != "content-length"]
            lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
            self._wire = "\r\n".join(lines).encode() + self.body
        return self._wire

    def _same_content(self, other: _Message) -> bool:
        return self.body == other.body and _without_length(self.headers) == _without_length(other.headers)


class Request(_Message):
    """A request. Content-Length in ``headers`` is not looked at: the body says it."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: Uri, headers: Headers, body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.method: Final = method
        self.uri: Final = uri

    def _start_line(self) -> str:
        return f"{self.method} {self.uri} SIP/2.0"

    def response(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> Response:
        """A response to this request: Via, From, To, Call-ID and CSeq copied as they came (RFC 3261 8.2.6).

        ``to_tag`` is added unless the To has one or the status is 100. Record-Route is copied where the answer may
        make a dialog (12.1.1), Timestamp into a 100. What the request lacks is left out; of what it must not have twice
        the first goes back, so that a refusal of such a mess can be read.
        """
        wanted = _COPIED
        if 100 < status < 300 and self.method in _DIALOG_MAKING:
            wanted = _COPIED_INTO_DIALOG
        elif status == 100:
            wanted = _COPIED_INTO_TRYING
        items = [item for item in self.headers.triples() if item[0] in wanted]
        first = {item[0]: item for item in reversed(items)}
        if len(first) < len(items):
            items = [item for item in items if item[0] in _LISTS or item is first[item[0]]]
        if to_tag is not None and status != 100:
            items = [self._tagged(item, to_tag) if item[0] == "to" else item for item in items]
        answer = Headers(checked=items)
        for name, value in headers:
            answer.add(name, value)
        if content_type is not None:
            answer.set("Content-Type", content_type)
        return Response(status, REASONS.get(status, "") if reason is None else reason, answer, body)

    def essence(self) -> Request:
        """As much of it as names it: what is kept of a request that has its answer, a quarter of the memory."""
        return Request(self.method, self.uri, Headers(checked=[i for i in self.headers.triples() if i[0] in _NAMING]))

    def _tagged(self, item: tuple[str, str, str], tag: str) -> tuple[str, str, str]:
        try:
            if self.to_tag is not None:
                return item
        except SipParseError:
            # A To that cannot be read goes back as it came, for the peer to recognise.
            return item
        return item[0], item[1], f"{item[2]};tag={tag}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Request):
            return NotImplemented
        return (self.method, self.uri) == (other.method, other.uri) and self._same_content(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.uri} {self.headers.get('call-id')}>"


class Response(_Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str, headers: Headers, body: bytes = b"") -> None:
        if "\r" in reason or "\n" in reason:
            raise ValueError("line end in the reason phrase")
        super().__init__(headers, body)
        self.status: Final = status
        self.reason: Final = reason

    def _start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Response):
            return NotImplemented
        return (self.status, self.reason) == (other.status, other.reason) and self._same_content(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason} {self.headers.get('call-id')}>"


Message = Request | Response


def _needed(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if not value:
        raise SipParseError(f"Missing {name}")
    return value


def _call_id(headers: Headers) -> str:
    value = _needed(headers, "Call-ID")
    if " " in value or "\t" in value:
        raise SipParseError("Bad Call-ID")
    return value


def _cseq(headers: Headers) -> CSeq:
    return CSeq.parse(_needed(headers, "CSeq"))


def _vias(headers: Headers, top: Via) -> tuple[Via, ...]:
    return (top, *[Via.parse(value) for value in headers.values("Via")[1:]])


def _via(headers: Headers) -> Via:
    first = parse_via_list(_needed(headers, "Via"))
    if not first:
        raise SipParseError("Bad Via")
    return first[0]


def _from(headers: Headers) -> NameAddr:
    return NameAddr.parse(_needed(headers, "From"))


def _to(headers: Headers) -> NameAddr:
    return NameAddr.parse(_needed(headers, "To"))


def _contacts(headers: Headers) -> tuple[NameAddr, ...] | Literal["*"]:
    values = headers.values("Contact")
    if "*" in values:
        if len(values) > 1:
            raise SipParseError("Contact * stands alone")
        return "*"
    return tuple([NameAddr.parse(value) for value in values])


def _routes(headers: Headers) -> tuple[NameAddr, ...]:
    return tuple([route for line in headers.all("Route") for route in parse_name_addr_list(line)])


def _record_routes(headers: Headers) -> tuple[NameAddr, ...]:
    return tuple([route for line in headers.all("Record-Route") for route in parse_name_addr_list(line)])


def _content_type(headers: Headers) -> str | None:
    value = headers.get("Content-Type")
    return value.partition(";")[0].strip(" \t").lower() if value else None


def _max_forwards(headers: Headers) -> int | None:
    value = headers.get("Max-Forwards")
    if value is None:
        return None
    if not (value.isascii() and value.isdigit()) or len(value) > 9 or (number := int(value)) > 255:
        raise SipParseError("Bad Max-Forwards")
    return number


def _expires(headers: Headers) -> int | None:
    value = headers.get("Expires")
    return None if value is None else read_seconds(value)


def read_seconds(text: str) -> int | None:
    """Delta seconds, large ones cut to MAX_EXPIRES; None for what is no number."""
    if not (text.isascii() and text.isdigit()):
        return None
    return min(int(text), MAX_EXPIRES) if len(text) <= 10 else MAX_EXPIRES


def _without_length(headers: Headers) -> list[tuple[str, str]]:
    return [(key, value) for key, _, value in headers.triples() if key != "content-length"]
