"""TrunkSettings: where a trunk is, whom we take for it, what we prove to it, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from callcenter.model.dial_plan import DialPlan
from callcenter.sip.digest import Credentials
from callcenter.sip.flow import Transport

Network = IPv4Network | IPv6Network

# A peer that is there answers an INVITE with 100 at once; by now it was sent four times (RFC 3261 timer A).
SIGN_OF_LIFE = 4.0


@dataclass(frozen=True, slots=True)
class Peer:
    """A host of a trunk: a domain, a name or an address. Without ``port`` and ``transport`` the DNS says them.

    ``ca_file``: who signs its certificate, ``verify``: whether it must prove who it is; None: as it is set for TLS.
    """

    host: str
    port: int | None = None
    transport: Transport | None = None
    ca_file: Path | None = None
    verify: bool | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port is not None else ""
        return f"{host}{port}" + (f" {self.transport.value}" if self.transport is not None else "")


@dataclass(frozen=True, slots=True)
class PasswordFrom:
    """Where a password is read: a variable of the environment, or a file."""

    env: str | None = None
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """A user and what its password is known by: where to read it, or the hashes of it (HA1)."""

    user: str
    password: PasswordFrom = field(default_factory=PasswordFrom)
    ha1_md5: str = field(default="", repr=False)
    ha1_sha256: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Accept:
    """Whom we take for this trunk: who calls from one of ``networks``, shows a certificate of one of these names, or
    knows the password of ``account``. With networks and an account both must be right.
    """

    networks: tuple[Network, ...] = ()
    certificates: frozenset[str] = frozenset()
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Outward:
    """We register at ``registrar`` as ``user``, for ``expires`` seconds, unless it wants it otherwise."""

    registrar: Peer
    user: str
    expires: int = 3600


@dataclass(frozen=True, slots=True)
class TrunkSettings:
    """One trunk. Times are seconds.

    ``login``: what we prove to it when it asks. ``qualify``: how often we look whether it is there; None: never.
    ``max_calls`` counts both directions. ``codecs``: the only ones of its calls, in this order; empty: all we have.
    ``from_domain`` stands behind our number in From; empty: our own address. ``trusted``: what it says of who calls is
    believed, and it is told who calls even of a caller who hides. ``numbers``: which of ours its calls may reach;
    empty: all. ``plan``: how it writes numbers. ``plus``: whether it wants them with their plus. ``try_for``: how long
    we wait for its first sign of life before we call elsewhere. ``register_here``: it registers at us as the user of
    its account, and is called where it has; then it has no ``peers``. ``required``: without it the switch is not ready
    for calls (``/readyz``).
    """

    id: str
    peers: tuple[Peer, ...]
    accept: Accept = field(default_factory=Accept)
    login: Account | None = None
    register: Outward | None = None
    qualify: float | None = 30.0
    max_calls: int = 30
    codecs: tuple[str, ...] = ()
    outbound_proxy: Peer | None = None
    from_domain: str = ""
    trusted: bool = False
    numbers: frozenset[str] = frozenset()
    plan: DialPlan = field(default_factory=DialPlan)
    plus: bool = True
    try_for: float = SIGN_OF_LIFE
    register_here: bool = False
    required: bool = False


@dataclass(frozen=True, slots=True)
class TrunkSecrets:
    """What of a trunk stands in no file that others read: our ``password`` there, and what we know of its account."""

    password: str = field(default="", repr=False)
    account: Credentials | None = field(default=None, repr=False)
