"""SipSettings: where SIP listens, how it names itself, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from callcenter.sip.digest import Algorithm
from callcenter.sip.flow import Address
from callcenter.sip.session_timer import EVERY_HALF_HOUR, SessionTimer


@dataclass(frozen=True, slots=True)
class Listen:
    """One socket: ``transport`` is ``udp``, ``tcp`` or ``tls``; port 0 takes a free one.

    ``advertised``: the address by which peers outside reach it, where it is not this one; its port 0: the same port.
    """

    transport: str
    host: str
    port: int
    advertised: Address | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport} {host}:{self.port}"


class ClientCertificate(StrEnum):
    """Whether who connects by TLS must show a certificate of ``client_ca``."""

    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate with its chain, and its key, both PEM; without ``key`` it stands in ``cert``."""

    cert: Path
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS as configured.

    ``certificates``: ours, chosen by the server name that the peer wants, the first for the rest; none: a self-made
    one. ``client_ca``: who signs the certificates of peers that call us; None: none is asked for. ``ca_file``: who
    signs those of servers that we call; None: who the system trusts. ``verify``: whether such a server must prove who
    it is.
    """

    certificates: tuple[CertificateFiles, ...] = ()
    min_version: str = "1.2"
    client_ca: Path | None = None
    client_certificate: ClientCertificate = ClientCertificate.OPTIONAL
    ca_file: Path | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True)
class TlsPeer:
    """A server that we call by TLS: the name that its certificate must hold (RFC 5922), empty for its address.

    ``ca_file`` and ``verify`` stand in place of those of the settings.
    """

    name: str = ""
    ca_file: Path | None = None
    verify: bool | None = None


@dataclass(frozen=True, slots=True)
class SipSettings:
    """SIP as configured. Times are seconds.

    ``advertised``: hosts put into Contact and Via, one for each family of addresses; none: the address by which the
    peer reached us. That is also what peers within ``local_networks`` (CIDR) are told.
    ``realm``: the realm of digest authentication; agents' HA1 hashes hang on it. ``digest``: the algorithms that
    phones are offered. RFC 8760 wants a phone to pass over one that it does not know, but baresip before 3.11 and
    PJSIP before 2.15 then do not register at all: so MD5 alone unless configured otherwise. ``session_timer``: how
    often sessions are refreshed (RFC 4028); None: not at all.
    """

    listen: tuple[Listen, ...] = (
        Listen("udp", "0.0.0.0", 5060),
        Listen("udp", "::", 5060),
        Listen("tcp", "0.0.0.0", 5060),
        Listen("tcp", "::", 5060),
        Listen("tls", "0.0.0.0", 5061),
        Listen("tls", "::", 5061),
    )
    tls: TlsSettings = TlsSettings()
    advertised: tuple[str, ...] = ()
    local_networks: tuple[str, ...] = ()
    realm: str = "callcenter"
    digest: tuple[Algorithm, ...] = (Algorithm.MD5,)
    agent_name: str = "callcenter"
    register_min: float = 60.0
    register_max: float = 3600.0
    register_default: float = 600.0
    session_timer: SessionTimer | None = EVERY_HALF_HOUR
