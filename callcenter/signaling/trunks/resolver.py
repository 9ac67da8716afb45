"""Resolver: what the DNS says: an interface, dnspython behind it, and a memory in front of it."""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from callcenter.runtime.clock import Clock
from callcenter.signaling.trunks.records import Naptr, Srv

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver as AsyncResolver

# A call waits for this: who has no answer by then has none that helps it.
LIFETIME = 3.0
# Seconds: a shorter TTL would ask for every call, a longer one would keep an address that has moved.
SHORTEST_TTL, LONGEST_TTL = 5.0, 3600.0
# For how long it is believed that there is no such record; also when the DNS did not answer.
NOTHING_TTL = 60.0
FAILED_TTL = 10.0
# Names asked for: a few for each host of each trunk.
MAX_REMEMBERED = 1_000

R = TypeVar("R")


class ResolveError(Exception):
    """The DNS gave no answer; one line that an operator understands."""


@dataclass(frozen=True, slots=True)
class Found(Generic[R]):
    """The records of a name, and for how many seconds they may be believed; none: there is no such record."""

    records: tuple[R, ...]
    ttl: float


class Resolver(Protocol):
    """Asks the DNS. Every method raises ResolveError when no server answers."""

    async def naptr(self, name: str) -> Found[Naptr]:
        """The NAPTR records of a domain."""
        ...

    async def srv(self, name: str) -> Found[Srv]:
        """The SRV records of a service's name."""
        ...

    async def addresses(self, host: str) -> Found[str]:
        """The IP addresses of a host, IPv4 in front."""
        ...


class DnsResolver:
    """The real DNS, by the servers that this machine is configured with, or by those that are given."""

    def __init__(self, nameservers: tuple[str, ...] = (), port: int = 53) -> None:
        self._nameservers = nameservers
        self._port = port
        self._asker: AsyncResolver | None = None

    async def naptr(self, name: str) -> Found[Naptr]:
        """The NAPTR records of a domain."""
        rows, ttl = await self._ask(name, "NAPTR")
        records = [
            Naptr(row.order, row.preference, row.flags.decode("latin-1"), row.service.decode("latin-1"), _name(row))
            for row in rows
        ]
        return Found(tuple(records), ttl)

    async def srv(self, name: str) -> Found[Srv]:
        """The SRV records of a service's name."""
        rows, ttl = await self._ask(name, "SRV")
        return Found(tuple(Srv(row.priority, row.weight, row.port, row.target.to_text()) for row in rows), ttl)

    async def addresses(self, host: str) -> Found[str]:
        """The IP addresses of a host; where the DNS has none, those of the machine's own table of hosts."""
        answers = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"), return_exceptions=True)
        found: list[str] = []
        ttl = LONGEST_TTL
        for answer in answers:
            if not isinstance(answer, BaseException):
                found += [str(row.address) for row in answer[0]]
                ttl = min(ttl, answer[1]) if answer[0] else ttl
        if found:
            return Found(tuple(found), ttl)
        try:
            table = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except OSError:
            failed = next((answer for answer in answers if isinstance(answer, ResolveError)), None)
            if failed is not None:
                raise failed from None
            return Found((), NOTHING_TTL)
        return Found(tuple(dict.fromkeys(str(row[4][0]) for row in table)), NOTHING_TTL)

    async def _ask(self, name: str, kind: str) -> tuple[list[Any], float]:
        # Not before the first trunk with a name needs it: it takes 80 ms to load.
        import dns.exception
        import dns.resolver

        try:
            answer = await self._resolver().resolve(name, kind, lifetime=LIFETIME, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return [], NOTHING_TTL
        except (dns.exception.DNSException, OSError, ValueError) as error:
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ResolveError(f"the DNS does not answer for {name} {kind}: {why}") from error
        return list(answer), float(answer.rrset.ttl) if answer.rrset is not None else NOTHING_TTL

    def _resolver(self) -> AsyncResolver:
        if self._asker is None:
            from dns.asyncresolver import Resolver as AsyncResolver

            self._asker = AsyncResolver(configure=not self._nameservers)
            if self._nameservers:
                self._asker.nameservers = list(self._nameservers)
                self._asker.port = self._port
        return self._asker


def _name(row: Any) -> str:
    text: str = row.replacement.to_text()
    return "" if text == "." else text


class RememberingResolver:
    """Another resolver's answers, kept for their time to live. While the DNS fails, what was known last still holds."""

    def __init__(self, resolver: Resolver, clock: Clock) -> None:
        self._resolver = resolver
        self._clock = clock
        # By kind and name: until when, and the answer, or that there was none.
        self._known: OrderedDict[tuple[str, str], tuple[float, Found[Any] | ResolveError]] = OrderedDict()

    async def naptr(self, name: str) -> Found[Naptr]:
        """The NAPTR records of a domain."""
        return await self._look_up("naptr", name, self._resolver.naptr)

    async def srv(self, name: str) -> Found[Srv]:
        """The SRV records of a service's name."""
        return await self._look_up("srv", name, self._resolver.srv)

    async def addresses(self, host: str) -> Found[str]:
        """The IP addresses of a host."""
        return await self._look_up("addresses", host, self._resolver.addresses)

    async def _look_up(self, kind: str, name: str, ask: Callable[[str], Awaitable[Found[R]]]) -> Found[R]:
        key = (kind, name.lower())
        until, known = self._known.get(key, (0.0, None))
        found: Found[R] | ResolveError
        if known is not None and self._clock.monotonic() < until:
            found = known
        else:
            try:
                found = await ask(name)
                self._keep(key, min(max(found.ttl, SHORTEST_TTL), LONGEST_TTL), found)
            except ResolveError as error:
                # The next calls need not wait for a DNS that is away.
                found = known if known is not None and not isinstance(known, ResolveError) else error
                self._keep(key, FAILED_TTL, found)
        if isinstance(found, ResolveError):
            raise ResolveError(str(found))
        return found

    def _keep(self, key: tuple[str, str], ttl: float, found: Found[Any] | ResolveError) -> None:
        self._known[key] = (self._clock.monotonic() + ttl, found)
        self._known.move_to_end(key)
        if len(self._known) > MAX_REMEMBERED:
            self._known.popitem(last=False)

    def __repr__(self) -> str:
        return f"<RememberingResolver {len(self._known)} names>"
