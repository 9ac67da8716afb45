"""A small DNS server on loopback, for one test: answers from a table, says NXDOMAIN or SERVFAIL, or nothing at all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@dataclass(slots=True)
class DnsServer(asyncio.DatagramProtocol):
    """``records`` by name and type, as in a zone file. ``failing``: names with SERVFAIL, ``mute``: those not answered.

    ``asked`` is what was asked, in order. Used by ``async with``; then ``port`` is where it listens.
    """

    records: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    ttl: int = 60
    failing: set[str] = field(default_factory=set)
    mute: set[str] = field(default_factory=set)
    asked: list[tuple[str, str]] = field(default_factory=list)
    port: int = 0
    _transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._transport = transport
        self.port = int(transport.get_extra_info("sockname")[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._transport is not None
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        question = dns.message.from_wire(data)
        name, kind = question.question[0].name, dns.rdatatype.to_text(question.question[0].rdtype)
        text = name.to_text(omit_final_dot=True).lower()
        self.asked.append((text, kind))
        if text in self.mute:
            return
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA
        records = self.records.get((text, kind))
        if text in self.failing:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif records is not None:
            answer.answer.append(dns.rrset.from_text_list(name, self.ttl, "IN", kind, records))
        elif not any(known == text for known, _ in self.records):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        assert self._transport is not None
        self._transport.sendto(answer.to_wire(), addr)
