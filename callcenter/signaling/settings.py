"""SipSettings: where SIP listens, how it names itself, and its limits."""

from __future__ import annotations

from dataclasses import dataclass

from callcenter.sip.digest import Algorithm
from callcenter.sip.session_timer import EVERY_HALF_HOUR, SessionTimer


@dataclass(frozen=True, slots=True)
class Listen:
    """One socket: ``transport`` is ``udp`` or ``tcp``; port 0 takes a free one."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport} {host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SipSettings:
    """SIP as configured. Times are seconds.

    ``advertised``: the host put into Contact and Via; None: the address by which the peer reached us.
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
    )
    advertised: str | None = None
    realm: str = "callcenter"
    digest: tuple[Algorithm, ...] = (Algorithm.MD5,)
    agent_name: str = "callcenter"
    register_min: float = 60.0
    register_max: float = 3600.0
    register_default: float = 600.0
    session_timer: SessionTimer | None = EVERY_HALF_HOUR
