"""Flow: the way a message came or goes: transport, our address, the peer's address, and for TCP which connection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Transport(StrEnum):
    """The transports we speak, as a Via header spells them."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"

    @property
    def reliable(self) -> bool:
        """Whether the transport repeats what is lost: then timers A, E and G do not run (RFC 3261 17)."""
        return self is not Transport.UDP

    @property
    def default_port(self) -> int:
        """The port when an address names none (RFC 3261 19.1.2)."""
        return 5061 if self is Transport.TLS else 5060


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
        return self.transport is not Transport.UDP

    def __str__(self) -> str:
        number = f"#{self.connection}" if self.connection else ""
        return f"{self.transport.value} {self.local} > {self.remote}{number}"
