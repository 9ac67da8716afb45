"""Flow: the way a message came or goes: transport, our address, the peer's address, and for TCP which connection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Transport(StrEnum):
    """The transports we speak, as a Via header spells them, each with all that SIP itself must know of it.

    A row of this table is what the core needs of a new one: WebSocket (RFC 7118) is ``WS = "WS", True, 80, "ws",
    False`` and ``WSS = "WSS", True, 443, "ws", True``; its framing is the network's (see ``signaling.stream``). DTLS
    would be ``DTLS = "DTLS-UDP", False, 5061, "dtls-udp", True``.
    """

    #: Via, reliable, default port, Contact parameter, private
    UDP = "UDP", False, 5060, "udp", False
    TCP = "TCP", True, 5060, "tcp", False
    TLS = "TLS", True, 5061, "tls", True

    reliable: bool
    """Whether the transport repeats what is lost: then timers A, E and G do not run (RFC 3261 17)."""
    default_port: int
    """The port when an address names none (RFC 3261 19.1.2)."""
    parameter: str
    """What ``transport=`` says of it in a URI."""
    private: bool
    """Whether nobody on the way reads it: what a sips URI asks for."""

    def __new__(cls, via: str, reliable: bool, default_port: int, parameter: str, private: bool) -> Transport:
        """One row of the table."""
        row = str.__new__(cls, via)
        row._value_ = via
        row.reliable, row.default_port, row.parameter, row.private = reliable, default_port, parameter, private
        return row

    @classmethod
    def named(cls, parameter: str, *, private: bool) -> Transport | None:
        """The transport that ``transport=`` names; in a sips URI ``private``, where ``tcp`` means TLS over it.

        None for one that we do not speak, and for one that cannot be private where it must be (RFC 3261 26.2.2).
        """
        wanted = parameter.lower()
        found = [each for each in cls if each.parameter == wanted]
        if private:
            found = [each for each in found if each.private] or ([cls.TLS] if wanted == "tcp" else [])
        return found[0] if found else None


@dataclass(frozen=True, slots=True)
class Address:
    """A host (IPv4, IPv6 without brackets, or a name) and a port; ``str`` writes it as in a URI or a Via."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Flow:
    """A way to a peer. ``local`` is concrete, never a wildcard address.

    ``connection`` is the number the shell gave a TCP or TLS connection; 0 for UDP, and for TCP and TLS it means
    "reuse or open a connection to ``remote``".
    """

    transport: Transport
    local: Address
    remote: Address
    connection: int = 0

    @property
    def reliable(self) -> bool:
        """Whether the transport repeats what is lost."""
        return self.transport.reliable

    def __str__(self) -> str:
        number = f"#{self.connection}" if self.connection else ""
        return f"{self.transport.value} {self.local} > {self.remote}{number}"
