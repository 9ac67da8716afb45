"""Network: the interface to whatever carries SIP messages, and the interface of whoever receives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from callcenter.signaling.settings import Listen, TlsPeer
from callcenter.sip.flow import Address, Flow, Transport

if TYPE_CHECKING:
    from callcenter.sip.errors import SipParseError
    from callcenter.sip.message import Request, Response


class TransportError(Exception):
    """The network cannot do it; one line that an operator understands."""


class Receiver(Protocol):
    """Who is told what comes in. Every call is made on the loop's thread and returns at once."""

    def datagram(self, data: bytes, flow: Flow) -> None:
        """A UDP datagram came."""
        ...

    def message(self, message: Request | Response, flow: Flow) -> None:
        """A message came over a connection, framed already."""
        ...

    def unreadable(self, error: SipParseError, flow: Flow) -> None:
        """Something that is no message came over a connection."""
        ...

    def send_failed(self, key: str) -> None:
        """What was to be sent under ``key`` cannot be sent."""
        ...

    def connection_lost(self, connection: int) -> None:
        """The connection of this number is gone."""
        ...


class Network(Protocol):
    """Carries SIP messages: real sockets, or a simulated network."""

    @property
    def listeners(self) -> tuple[Listen, ...]:
        """What is listened on, with the true ports."""
        ...

    async def open(self, receiver: Receiver) -> None:
        """Listen, and give ``receiver`` what comes. Raises TransportError."""
        ...

    def send(self, flow: Flow, data: bytes, key: str) -> None:
        """Send. Never waits and never raises: a failure is told to the receiver as ``send_failed(key)``."""
        ...

    def address_towards(self, transport: Transport, host: str) -> Address:
        """Our address as ``host`` (an IP address) reaches it by ``transport``.

        Raises TransportError: not an IP address, no way there, or nothing listens for it.
        """
        ...

    def peer_names(self, connection: int) -> tuple[str, ...]:
        """Whom the certificate of the connection's peer names, once it was verified: subject, DNS names, URIs.

        Nobody without TLS, without a certificate, or when the connection is gone.
        """
        ...

    def expect(self, remote: Address, peer: TlsPeer) -> None:
        """Who must be at ``remote`` when it is called by TLS; else its address must stand in its certificate."""
        ...

    def close(self) -> None:
        """Close every socket; nothing is received afterwards. May be called twice."""
        ...
