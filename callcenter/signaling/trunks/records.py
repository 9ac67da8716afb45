"""Records of the DNS that lead to a SIP server, and their order: plain functions (RFC 3263, RFC 2782, RFC 3403)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from callcenter.sip.flow import Transport

if TYPE_CHECKING:
    from random import Random

# The services of NAPTR records, and the names that SRV records stand under (RFC 3263 4.1, 4.2).
NAPTR_SERVICES = {"SIP+D2U": Transport.UDP, "SIP+D2T": Transport.TCP, "SIPS+D2T": Transport.TLS}
SRV_PREFIXES = {Transport.UDP: "_sip._udp", Transport.TCP: "_sip._tcp", Transport.TLS: "_sips._tcp"}


@dataclass(frozen=True, slots=True)
class Naptr:
    """One NAPTR record, as far as it concerns us."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """One SRV record."""

    priority: int
    weight: int
    port: int
    target: str


def in_naptr_order(records: Iterable[Naptr], spoken: Iterable[Transport]) -> list[tuple[Transport, str]]:
    """Transport and name of the SRV records to ask for, the first to be tried in front.

    Only what we speak ourselves; records of other services, or of flags that lead elsewhere, mean nothing here.
    """
    ours = set(spoken)
    found = []
    for record in sorted(records, key=lambda each: (each.order, each.preference)):
        transport = NAPTR_SERVICES.get(record.service.upper())
        if transport is not None and transport in ours and record.flags.lower() == "s" and record.replacement:
            found.append((transport, record.replacement))
    return found


def in_srv_order(records: Sequence[Srv], random: Random) -> list[Srv]:
    """The records in the order in which they are tried: by priority, and among equals by chance and weight."""
    # A target that is the root says that the service is not there (RFC 2782).
    there = sorted((each for each in records if each.target.rstrip(".")), key=lambda each: each.priority)
    ordered: list[Srv] = []
    for _, equals in groupby(there, key=lambda each: each.priority):
        # Those of weight 0 stand first, so that they have a very small chance beside others (RFC 2782).
        left = sorted(equals, key=lambda each: each.weight > 0)
        while left:
            wanted, passed = random.randint(0, sum(each.weight for each in left)), 0
            for record in left:
                passed += record.weight
                if passed >= wanted:
                    left.remove(record)
                    ordered.append(record)
                    break
    return ordered
