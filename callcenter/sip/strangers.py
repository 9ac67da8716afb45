"""Strangers: peers of whom nothing is known but where their datagrams say that they come from; how little they get.

The source of a datagram can be forged, and then what we answer goes to somebody who never asked. So

- an answer that needs no memory is never longer than ``FACTOR`` times the request (:func:`fit`);
- an INVITE is answered with at most ``MESSAGES`` messages behind its 100, repetitions counted, until the stranger has
  said something within the dialog: the tag of ours in it came to nobody else;
- no more than ``MAX_UNHEARD`` INVITEs of one source wait for that at a time: a caller's ACK takes one round trip;
- who has said something is there, and nobody else is: what goes to another host, because the Contact names it or a
  datagram within the dialog has it for its source, is said once and not repeated.

So what a forger has us send beyond twice his own octets stays below 2 kB/s to any one address.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Response

# Of the octets of the request. Requests of real phones are longer than their answers.
FACTOR = 2.0
# With the 200 seven times in 16 s, one call in 100,000 fails where one message in ten is lost.
MESSAGES = 7
MAX_UNHEARD = 10
# Of the messages, those that are kept for the final answer, however long it rang before.
FOR_FINAL = 4
# What a peer can do without, the first first.
_SPARE = ("Server", "Supported", "Accept", "Allow")


class Bounded(Protocol):
    """A transaction whose answers are counted; ``left`` None: they are not."""

    left: int | None


class Strangers:
    """The sessions of strangers that have said nothing yet but their INVITE."""

    def __init__(self) -> None:
        self._unheard: dict[str, tuple[str, Bounded]] = {}
        self._by_source: dict[str, int] = {}
        # The host of each stranger's session from which its INVITE came.
        self._hosts: dict[str, str] = {}

    def room(self, source: str) -> bool:
        """Whether one more INVITE of this source may wait."""
        return self._by_source.get(source, 0) < MAX_UNHEARD

    def is_at(self, session: str, host: str) -> None:
        """The INVITE of a stranger's session came from this host."""
        self._hosts[session] = host

    def began(self, session: str, source: str, transaction: Bounded) -> None:
        """A stranger's INVITE is being answered that came as a datagram."""
        transaction.left = MESSAGES
        self._unheard[session] = source, transaction
        self._by_source[source] = self._by_source.get(source, 0) + 1

    def heard(self, session: str) -> None:
        """Something came within the session's dialog: from now on it is as any other."""
        transaction = self._hear(session)
        if transaction is not None:
            transaction.left = None

    def forget(self, session: str) -> Bounded | None:
        """The session is over. What is left of its answers stays counted."""
        self._hosts.pop(session, None)
        return self._hear(session)

    def doubts(self, session: str, flow: Flow) -> bool:
        """Whether this way leads to where a stranger's session has not shown that anybody is."""
        host = self._hosts.get(session)
        return host is not None and not flow.reliable and flow.remote.host != host

    def unheard(self, session: str) -> bool:
        """Whether the session is a stranger's who has said nothing yet."""
        return session in self._unheard

    def __contains__(self, session: str) -> bool:
        """Whether the session is a stranger's, also one who has said something since."""
        return session in self._hosts

    def __len__(self) -> int:
        return len(self._unheard)

    def _hear(self, session: str) -> Bounded | None:
        found = self._unheard.pop(session, None)
        if found is None:
            return None
        source, transaction = found
        self._by_source[source] -= 1
        if not self._by_source[source]:
            del self._by_source[source]
        return transaction


def fit(response: Response, octets: int) -> bytes | None:
    """The answer to a datagram of so many octets, what is spare left out where it is too long; None: say nothing."""
    most = int(octets * FACTOR)
    headers = response.headers
    for name in _SPARE:
        if len(response.to_bytes()) <= most:
            break
        if name != "Allow" or response.status != 405:  # a 405 must carry it (RFC 3261 21.4.6)
            headers.remove(name)
    while len(data := response.to_bytes()) > most:
        # Of several challenges the first is what simple phones take.
        challenges = headers.all("WWW-Authenticate")
        if len(challenges) < 2:
            return None
        headers.remove("WWW-Authenticate")
        for value in challenges[:-1]:
            headers.add("WWW-Authenticate", value)
    return data
