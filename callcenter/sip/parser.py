"""Octets to messages: one datagram (parse) or a stream (StreamParser), and the checks before the transactions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from callcenter.sip.errors import SipParseError
from callcenter.sip.headers import KEYS, LISTS, MAX_VALUES, Headers, Via, header_key, is_token
from callcenter.sip.message import Message, Request, Response
from callcenter.sip.uri import Uri

# What fits into a UDP datagram; a stream gets no more.
MAX_MESSAGE = 65_535
# Start line and headers. Real ones have 0.5 to 4 KiB, RFC 4475's longreq has 4.
MAX_HEAD = 32_768
# One header line, unfolded; the longest in earnest are Identity and Authorization.
MAX_LINE = 8_192
# Header lines; RFC 4475's longreq has 50.
MAX_HEADERS = 128
# The body of one message: SDP has below 4 KiB.
MAX_BODY = MAX_MESSAGE

_FOLD = re.compile(r"\r\n[ \t]+")
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: (.*))?", re.IGNORECASE | re.DOTALL)
_VERSION = re.compile(r"SIP/[0-9]{1,3}\.[0-9]{1,3}", re.IGNORECASE)

# Headers that stand once; a second one makes the message ambiguous (RFC 3261 7.3.1, RFC 4475 3.3.8 and 3.3.9).
_SINGLE = frozenset(
    ("call-id", "cseq", "from", "to", "max-forwards", "content-length", "content-type", "expires", "min-expires")
)


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """A double CRLF on a stream: to be answered by a single one (RFC 5626 4.4.1)."""


def parse(data: bytes) -> Message:
    """Read one datagram. Octets beyond Content-Length are cut off (RFC 3261 18.3).

    Raises SipParseError: 400, 414 (URI), 505 (version), 513 (size); with ``partial`` when it can be answered.
    """
    try:
        message = _parse(data)
    except SipParseError as error:
        if error.partial is not None:
            error.partial.octets = len(data)
        raise
    message.octets = len(data)
    return message


def _parse(data: bytes) -> Message:
    if len(data) > MAX_MESSAGE:
        raise SipParseError("Message too large", status=513)
    start = 0
    while data.startswith(b"\r\n", start):
        start += 2
    end = data.find(b"\r\n\r\n", start)
    whole = end >= 0
    head = _read_head(data[start : end if whole else len(data)])
    if not whole:
        head.fail("Headers without end")
    body = data[end + 4 :] if whole else b""
    length = head.content_length()
    if length is not None and length > len(body):
        head.fail("Body shorter than Content-Length")
    return head.message(body if length is None else body[:length])


class StreamParser:
    """Cuts a stream (TCP, TLS) into messages, however the octets arrive.

    ``fatal`` is set when the framing is lost: nothing more is read, and the connection should be closed.
    """

    __slots__ = ("_buffer", "_head", "_length", "_scanned", "fatal")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._head: _Head | None = None
        self._length = 0
        self.fatal = False

    def feed(self, data: bytes) -> list[Message | KeepAlive | SipParseError]:
        """Take octets; returns what is complete now, in order. Errors are returned, not raised."""
        out: list[Message | KeepAlive | SipParseError] = []
        if self.fatal:
            return out
        self._buffer += data
        try:
            while self._step(out):
                pass
        except SipParseError as lost:
            out.append(lost)
            self.fatal = True
            self._buffer.clear()
            self._head = None
        return out

    def _step(self, out: list[Message | KeepAlive | SipParseError]) -> bool:
        """Take one thing off the buffer; False when more octets are needed. Raises when the framing is lost."""
        buffer = self._buffer
        if self._head is None:
            if not buffer or buffer[0] in b"\r\n":
                return self._skip_line_ends(out)
            end = buffer.find(b"\r\n\r\n", self._scanned)
            if end < 0 or end > MAX_HEAD:
                if len(buffer) >= MAX_HEAD + 4:
                    raise SipParseError("Headers too large", status=513)
                self._scanned = max(0, len(buffer) - 3)
                return False
            head = _read_head(bytes(buffer[:end]))
            length = head.content_length()
            if length is None:
                # Without it nobody knows where the next message begins (RFC 3261 18.3).
                head.fail("Content-Length missing or wrong")
                raise head.error_found()
            if length > MAX_BODY:
                head.fail("Body too large", 513)
                raise head.error_found()
            del buffer[: end + 4]
            self._scanned = 0
            self._head, self._length = head, length
        if len(buffer) < self._length:
            return False
        body = bytes(buffer[: self._length])
        del buffer[: self._length]
        head, self._head = self._head, None
        try:
            out.append(head.message(body))
        except SipParseError as error:
            out.append(error)
        return True

    def _skip_line_ends(self, out: list[Message | KeepAlive | SipParseError]) -> bool:
        buffer = self._buffer
        if buffer.startswith(b"\r\n\r\n"):
            out.append(KeepAlive())
            del buffer[:4]
            return True
        if b"\r\n\r\n".startswith(buffer):
            return False
        if not buffer.startswith(b"\r\n"):
            raise SipParseError("Not SIP")
        # A single CRLF answers a keep-alive of ours, or stands before a start line (RFC 3261 7.5).
        del buffer[:2]
        return True


def check(message: Message) -> None:
    """What must be right before a message goes to the transactions: the core headers are there once, well-formed,
    and agree with one another. After it the typed accessors do not raise.

    Raises SipParseError with ``partial`` when it can be answered.
    """
    try:
        _check(message)
    except SipParseError as error:
        if error.partial is None and isinstance(message, Request):
            error.partial = answerable(message)
        raise


def _check(message: Message) -> None:
    seen: set[str] = set()
    commas = 0
    for key, _, value in message.headers.triples():
        if key in seen and key in _SINGLE:
            raise SipParseError(f"More than one {key}")
        seen.add(key)
        if "," in value and key in LISTS:
            commas += value.count(",")
    if commas >= MAX_VALUES:
        # Many in all: then each is looked at, so that nobody who reads one later is in for a surprise.
        for key in seen & LISTS:
            message.headers.values(key)
    cseq = message.cseq
    message.vias, message.call_id, message.from_, message.to  # noqa: B018  reading them is the check
    # Most messages have some of these only, and this is gone through for each.
    if "contact" in seen:
        message.contacts  # noqa: B018
    if "route" in seen or "record-route" in seen:
        message.routes, message.record_routes  # noqa: B018
    if "max-forwards" in seen:
        message.max_forwards  # noqa: B018
    if isinstance(message, Request):
        if cseq.method != message.method:
            raise SipParseError("CSeq is of another method")
        if message.uri.headers:
            raise SipParseError("Request-URI with headers")
        if "date" in seen and not (message.headers.get("Date") or "").endswith(" GMT"):
            raise SipParseError("Date not in GMT")


def answerable(request: Request) -> Request | None:
    """The request if its top Via says where an answer goes and it may be answered at all, else None.

    A top Via of which only the sender can be read is replaced by that.
    """
    if request.method == "ACK":
        return None
    try:
        request.via  # noqa: B018
    except SipParseError:
        return _with_salvaged_via(request)
    return request


def _with_salvaged_via(request: Request) -> Request | None:
    items = list(request.headers.triples())
    for index, (key, name, value) in enumerate(items):
        if key == "via":
            try:
                items[index] = key, name, str(Via.salvage(value))
            except SipParseError:
                return None
            salvaged = Request(request.method, request.uri, Headers(checked=items), request.body)
            salvaged.octets = request.octets
            return salvaged
    return None


class _Head:
    """Start line and headers as far as they could be read, and the first thing that was wrong."""

    __slots__ = ("_error", "_start", "headers")

    def __init__(self, start: str, headers: Headers, error: SipParseError | None) -> None:
        self._start = start
        self.headers = headers
        self._error = error

    def fail(self, reason: str, status: int = 400) -> None:
        """Note what is wrong, unless something else was wrong before."""
        if self._error is None:
            self._error = SipParseError(reason, status=status)

    def content_length(self) -> int | None:
        """The Content-Length; None when there is none, or (noted as failure) none that can be trusted."""
        lines = self.headers.all("content-length")
        if not lines:
            return None
        value = lines[0]
        if len(lines) > 1 or not (value.isascii() and value.isdigit()) or len(value) > 10:
            self.fail("Bad Content-Length")
            return None
        return int(value)

    def message(self, body: bytes) -> Message:
        """The message; raises what was wrong."""
        start = self._start
        if start[:4].upper() == "SIP/":
            found = _STATUS_LINE.fullmatch(start)
            if found is None:
                raise SipParseError("Bad status line")
            if self._error is not None:
                raise self._error
            return Response(int(found[1]), found[2] or "", self.headers, body)
        if self._error is not None:
            raise self.error_found()
        method, uri, version = self._request_line()
        if version != "SIP/2.0" and version.upper() != "SIP/2.0":
            status = 505 if _VERSION.fullmatch(version) else 400
            raise SipParseError("Bad SIP version", status=status, partial=self._partial())
        if not is_token(method):
            raise SipParseError("Bad method", partial=self._partial())
        try:
            return Request(method, Uri.parse(uri), self.headers, body)
        except SipParseError as error:
            error.partial = self._partial()
            raise

    def error_found(self) -> SipParseError:
        """What was noted as wrong, made answerable if it can be."""
        error = self._error or SipParseError("Not SIP")
        if error.partial is None and self._start[:4].upper() != "SIP/":
            error.partial = self._partial()
        return error

    def _request_line(self) -> tuple[str, str, str]:
        parts = self._start.split(" ")
        if len(parts) != 3:
            raise SipParseError("Bad request line", partial=self._partial())
        return parts[0], parts[1], parts[2]

    def _partial(self) -> Request | None:
        """As much of a request as an answer needs; the URI only as it was spelled."""
        method, _, rest = self._start.partition(" ")
        if not is_token(method):
            return None
        spelled = rest.rpartition(" ")[0].strip(" ")
        return answerable(Request(method, Uri(scheme="", opaque=spelled, raw=spelled), self.headers))


def _read_head(octets: bytes) -> _Head:
    """Take start line and headers apart. What is wrong is noted, so that an answer is still possible."""
    wrong: SipParseError | None = None
    if len(octets) > MAX_HEAD:
        wrong = SipParseError("Headers too large", status=513)
        octets = octets[:MAX_HEAD]
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        # Old phones write display names in Latin-1.
        text = octets.decode("latin-1")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = text.split("\r\n")
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        wrong = wrong or SipParseError("Line end within a line")
        lines = [line.replace("\r", " ").replace("\n", " ") for line in lines]
    if len(lines) - 1 > MAX_HEADERS:
        wrong = wrong or SipParseError("Too many headers", status=513)
        del lines[MAX_HEADERS + 1 :]
    items: list[tuple[str, str, str]] = []
    start = lines[0]
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = KEYS.get(name)
        if key is None or not colon:
            name = name.rstrip(" \t")
            if not colon or not is_token(name):
                wrong = wrong or SipParseError("Bad header line")
                continue
            key = header_key(name)
        if len(value) > MAX_LINE:
            wrong = wrong or SipParseError("Header too long", status=513)
            continue
        items.append((key, name, value.strip(" \t")))
    return _Head(start, Headers(checked=items), wrong)
