"""Guard: how much of whom is let in: a rate for each source, and bans of who was caught guessing, for a time.

The source of a datagram can be forged. So volume only costs the excess of it, and nothing that a forger could do in
another's name bans anybody: what counts towards a ban came over a connection, or answered a nonce that was sent to
that very source. Phones that are registered have a measure of their own, by address and port, which no flood in the
name of their address drains, and no ban of their address concerns.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callcenter.sip.flow import Address, Flow

# Sources that are measured; the one not heard for longest is forgotten first, and begins anew with a full measure.
MAX_SOURCES = 20_000
# Bans at once; past them the oldest ends early.
MAX_BANS = 10_000
# Strikes count for so many seconds from the first one on.
WITHIN = 60.0
# What cannot be read costs as much as so many requests: no phone sends it, and scanners do.
UNREADABLE_COST = 5
# Whoever has a network of this length has all of it (RFC 6177): its addresses are one source.
IPV6_PREFIX = 64
# The longest word that is looked for as a method; a datagram without a blank by then is no request.
MAX_METHOD = 32

Network = IPv4Network | IPv6Network
LOOPBACK: tuple[Network, ...] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))

# They belong to calls that are up: with a ban too these go on, and end as they should.
_WITHIN_CALLS = frozenset((b"ACK", b"BYE", b"CANCEL", b"PRACK", b"UPDATE", b"INFO"))

# A source, or the address and port of a phone that is known.
Key = str | tuple[str, int]


@dataclass(frozen=True, slots=True)
class GuardRules:
    """How much a source may ask for.

    The defaults carry 1,000 phones behind one address: all of them register at once (2,000 requests), and ping every
    half minute. ``failures``: wrong passwords and, over connections, unreadable messages within a minute that ban for
    ``ban`` seconds. ``exempt`` networks are neither limited nor banned.
    """

    enabled: bool = True
    exempt: tuple[Network, ...] = LOOPBACK
    requests_per_second: float = 100.0
    burst: int = 2_500
    failures: int = 20
    ban: float = 600.0


class Kind(Enum):
    """What a message is, as far as its first word tells."""

    REQUEST = auto()
    WITHIN_CALL = auto()
    RESPONSE = auto()
    UNREADABLE = auto()


class Verdict(Enum):
    """What becomes of a message: REFUSE is a 503 that says when to come again, DROP is silence."""

    PASS = auto()
    REFUSE = auto()
    DROP = auto()


@dataclass(frozen=True, slots=True)
class BanBegan:
    """Nothing new is taken from ``source`` for so many ``seconds``."""

    source: str
    why: str
    seconds: float


@dataclass(frozen=True, slots=True)
class BanEnded:
    """``source`` is taken as any other again."""

    source: str


News = BanBegan | BanEnded


@dataclass(slots=True)
class GuardCounts:
    """Messages that were not taken, by why; and bans since the start."""

    over_rate: int = 0
    banned: int = 0
    refused: int = 0
    bans: int = 0


class _Measure:
    """What one source has left: requests, what else comes and goes, and its strikes."""

    __slots__ = ("at", "requests", "rest", "strikes", "struck_at")

    def __init__(self, burst: float, now: float) -> None:
        self.at = now
        self.requests = self.rest = burst
        self.strikes = 0
        self.struck_at = now


class Guard:
    """Measures every source. To ask it costs a microsecond, and a third of that for who is exempt."""

    def __init__(self, rules: GuardRules = GuardRules()) -> None:
        self.rules = rules
        self.counts = GuardCounts()
        self._trusted: dict[str, tuple[Network, ...]] = {}
        # The source of each host, None for one that is exempt: looking at an address costs more than all the rest.
        self._sources: dict[str, str | None] = {}
        self._measures: OrderedDict[Key, _Measure] = OrderedDict()
        self._known: dict[tuple[str, int], int] = {}
        self._owned: dict[str, tuple[tuple[str, int], ...]] = {}
        # Until when; each lasts as long as the others, so that the first one ends first.
        self._bans: OrderedDict[Key, float] = OrderedDict()

    # -- who is who --------------------------------------------------------------------------------------------------

    def know(self, owner: str, addresses: Iterable[Address]) -> None:
        """These are the addresses of ``owner``'s phones from now on: proved by a password."""
        for each in self._owned.pop(owner, ()):
            self._known[each] -= 1
            if not self._known[each]:
                del self._known[each]
        owned = tuple((address.host, address.port) for address in addresses)
        for each in owned:
            self._known[each] = self._known.get(each, 0) + 1
        if owned:
            self._owned[owner] = owned

    def trust(self, owner: str, networks: Sequence[Network]) -> None:
        """These are the addresses of ``owner``, a trunk, from now on: exempt as if they were configured so."""
        self._trusted[owner] = tuple(networks)
        self._sources.clear()

    def source_of(self, host: str) -> str | None:
        """Whose measure a host's is: its own, for IPv6 that of its network; None when it is exempt."""
        try:
            return self._sources[host]
        except KeyError:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.clear()
            source = self._sources[host] = self._read_source(host)
            return source

    def stranger(self, flow: Flow) -> str:
        """The source of who is neither exempt nor registered; empty for all others."""
        source = self.source_of(flow.remote.host) if self.rules.enabled else None
        return "" if source is None or self._is_known(flow) else source

    def trusts(self, flow: Flow) -> bool:
        """Whether this peer is exempt: nobody forges it, as far as whoever configured it knows."""
        return not self.rules.enabled or self.source_of(flow.remote.host) is None

    # -- what comes --------------------------------------------------------------------------------------------------

    def admit(self, flow: Flow, kind: Kind, now: float) -> Verdict:
        """Whether to take a message."""
        source = self.source_of(flow.remote.host)
        if source is None or not self.rules.enabled:
            return Verdict.PASS
        known = self._is_known(flow)
        measure = self._measure(_key(source, flow, known=known), now)
        if kind is Kind.WITHIN_CALL or kind is Kind.RESPONSE:
            if measure.rest >= 1:
                measure.rest -= 1
                return Verdict.PASS
            self.counts.over_rate += 1
            return Verdict.DROP
        if self._bans and not known and source in self._bans:
            self.counts.banned += 1
        elif measure.requests >= 1:
            measure.requests -= UNREADABLE_COST if kind is Kind.UNREADABLE else 1
            return Verdict.PASS
        else:
            self.counts.over_rate += 1
        if (known or flow.reliable) and kind is Kind.REQUEST and measure.rest >= 1:
            # Somebody is there who can read it.
            measure.rest -= 1
            self.counts.refused += 1
            return Verdict.REFUSE
        return Verdict.DROP

    def retry_after(self, flow: Flow, now: float) -> int:
        """The seconds after which who was refused may come again."""
        until = self._bans.get(self.source_of(flow.remote.host) or "")
        return 5 if until is None or self._is_known(flow) else max(1, round(until - now))

    def unreadable(self, flow: Flow, now: float) -> list[News]:
        """A message that was let in could not be read."""
        source = self.source_of(flow.remote.host)
        if source is None or not self.rules.enabled:
            return []
        if flow.reliable:
            return self._strike(source, flow, "unreadable messages", now)
        measure = self._measure(_key(source, flow, known=self._is_known(flow)), now)
        measure.requests -= UNREADABLE_COST - 1
        return []

    def failed(self, flow: Flow, now: float) -> list[News]:
        """Wrong credentials came, for a nonce that was sent to this very source."""
        source = self.source_of(flow.remote.host)
        return [] if source is None or not self.rules.enabled else self._strike(source, flow, "wrong passwords", now)

    def may_try(self, flow: Flow) -> bool:
        """Whether credentials of this source are looked at: a phone that is known and guesses is let in without."""
        source = self.source_of(flow.remote.host)
        return source is None or _key(source, flow, known=self._is_known(flow)) not in self._bans

    # -- bans --------------------------------------------------------------------------------------------------------

    @property
    def bans(self) -> tuple[str, ...]:
        """Who is banned now."""
        return tuple(map(_named, self._bans))

    @property
    def deadline(self) -> float | None:
        """When the next ban ends."""
        return next(iter(self._bans.values()), None)

    def expire(self, now: float) -> list[News]:
        """End the bans that are over."""
        news: list[News] = []
        while self._bans:
            key, until = next(iter(self._bans.items()))
            if until > now:
                break
            del self._bans[key]
            news.append(BanEnded(_named(key)))
        return news

    def __len__(self) -> int:
        """How many sources are measured."""
        return len(self._measures)

    def __repr__(self) -> str:
        return f"<Guard {len(self._measures)} sources, {len(self._bans)} banned>"

    def _strike(self, source: str, flow: Flow, why: str, now: float) -> list[News]:
        key = _key(source, flow, known=self._is_known(flow))
        measure = self._measure(key, now)
        if now - measure.struck_at > WITHIN:
            measure.strikes = 0
        if not measure.strikes:
            measure.struck_at = now
        measure.strikes += 1
        if measure.strikes < self.rules.failures or key in self._bans:
            return []
        measure.strikes = 0
        self.counts.bans += 1
        self._bans[key] = now + self.rules.ban
        news: list[News] = [BanBegan(_named(key), why, self.rules.ban)]
        if len(self._bans) > MAX_BANS:
            news.append(BanEnded(_named(self._bans.popitem(last=False)[0])))
        return news

    def _measure(self, key: Key, now: float) -> _Measure:
        measures, rules = self._measures, self.rules
        measure = measures.get(key)
        if measure is None:
            if len(measures) >= MAX_SOURCES:
                measures.popitem(last=False)
            measure = measures[key] = _Measure(rules.burst, now)
            return measure
        measures.move_to_end(key)
        passed = now - measure.at
        if passed > 0:
            measure.at = now
            more = passed * rules.requests_per_second
            measure.requests = min(rules.burst, measure.requests + more)
            measure.rest = min(rules.burst, measure.rest + more)
        return measure

    def _is_known(self, flow: Flow) -> bool:
        return (flow.remote.host, flow.remote.port) in self._known

    def _read_source(self, host: str) -> str | None:
        try:
            address = ip_address(host)
        except ValueError:
            return host
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        for networks in (self.rules.exempt, *self._trusted.values()):
            if any(address in network for network in networks):
                return None
        return source_name(host)


@lru_cache(MAX_SOURCES)
def source_name(host: str) -> str:
    """The network that stands for an IPv6 address, the address itself for IPv4."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network((address, IPV6_PREFIX), strict=False))
    return str(address)


def kind_of(data: bytes) -> Kind:
    """What a datagram is, by its first word."""
    word, blank, _ = data[:MAX_METHOD].lstrip(b"\r\n").partition(b" ")
    if not blank:
        return Kind.UNREADABLE
    if word in _WITHIN_CALLS:
        return Kind.WITHIN_CALL
    return Kind.RESPONSE if word == b"SIP/2.0" else Kind.REQUEST


def kind_of_method(method: str) -> Kind:
    """What a request is that was read already."""
    return Kind.WITHIN_CALL if method.encode() in _WITHIN_CALLS else Kind.REQUEST


def _key(source: str, flow: Flow, *, known: bool) -> Key:
    return (flow.remote.host, flow.remote.port) if known else source


def _named(key: Key) -> str:
    return key if isinstance(key, str) else f"[{key[0]}]:{key[1]}" if ":" in key[0] else f"{key[0]}:{key[1]}"
