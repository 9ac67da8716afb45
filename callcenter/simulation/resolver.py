"""SimResolver: a DNS that knows what a story tells it, and may be away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from callcenter.signaling.trunks.records import Naptr, Srv
from callcenter.signaling.trunks.resolver import Found, ResolveError

R = TypeVar("R")


@dataclass(slots=True)
class SimResolver:
    """Records by name; ``away``: kinds of records that nobody answers for. ``asked`` is what was asked, in order."""

    naptrs: dict[str, tuple[Naptr, ...]] = field(default_factory=dict)
    srvs: dict[str, tuple[Srv, ...]] = field(default_factory=dict)
    hosts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ttl: float = 60.0
    away: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def naptr(self, name: str) -> Found[Naptr]:
        """The NAPTR records of a domain."""
        return self._find("NAPTR", name, self.naptrs)

    async def srv(self, name: str) -> Found[Srv]:
        """The SRV records of a service's name."""
        return self._find("SRV", name, self.srvs)

    async def addresses(self, host: str) -> Found[str]:
        """The IP addresses of a host."""
        return self._find("A", host, self.hosts)

    def _find(self, kind: str, name: str, records: Mapping[str, tuple[R, ...]]) -> Found[R]:
        self.asked.append((kind, name))
        if kind in self.away:
            raise ResolveError(f"the DNS does not answer for {name} {kind}")
        return Found(records.get(name.rstrip("."), ()), self.ttl)
