"""Repetition: a request of ours that was refused for something, and goes out once more (RFC 3261 8.1.3.5)."""

from __future__ import annotations

from collections.abc import Iterable

from callcenter.sip.digest_client import CREDENTIALS
from callcenter.sip.headers import Headers
from callcenter.sip.message import Request

HeaderLines = Iterable[tuple[str, str]]

# Of a request that is sent again: what is made anew.
_NOT_REPEATED = frozenset(("via", "cseq", "user-agent")) | CREDENTIALS


def repeated(request: Request, via: str, cseq: int, more: HeaderLines, *, but: frozenset[str] = frozenset()) -> Request:
    """A request of ours once more, as another transaction: all but its Via and CSeq, what only it proved, and the
    headers of these names.
    """
    headers = Headers([("Via", via)])
    for key, name, value in request.headers.triples():
        if key not in _NOT_REPEATED and key not in but:
            headers.add(name, value)
    headers.add("CSeq", f"{cseq} {request.method}")
    for name, value in more:
        headers.add(name, value)
    return Request(request.method, request.uri, headers, request.body)
