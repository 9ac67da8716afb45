"""A relay between phones and the switch that loses datagrams: SIP over UDP, both ways, by a seed.

It stands at another address than the phones, as a NAT does: the switch answers and calls them through it. Each phone
is seen at the relay's address with the phone's own port. Sound goes directly.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Self

from tests.wire.stub import Message, Where

HERE = "127.0.0.2"
MAX_SEEN = 100_000  # datagrams that are kept for the test to look at


@dataclass(frozen=True, slots=True)
class Passed:
    """A datagram that came to the relay, and whether it went on."""

    to_switch: bool
    lost: bool
    message: Message


@dataclass(slots=True)
class Relay:
    """``async with Relay(switch.where, loss=0.1, seed=1) as relay``: phones take ``relay.where`` for the switch."""

    switch: Where
    loss: float
    seed: int
    seen: list[Passed] = field(default_factory=list)
    where: Where = (HERE, 0)
    _chance: Random = field(default_factory=Random)
    _front: asyncio.DatagramTransport | None = None
    _phones: dict[int, asyncio.Future[asyncio.DatagramTransport]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._chance.seed(self.seed)
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(lambda: _Front(self), local_addr=self.where)
        self.where = self._front.get_extra_info("sockname")
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        for socket in self._phones.values():
            if socket.done() and not socket.exception():
                socket.result().close()
        if self._front is not None:
            self._front.close()

    @property
    def address(self) -> str:
        """The relay in place of the switch: host:port."""
        return f"{self.where[0]}:{self.where[1]}"

    @property
    def lost(self) -> int:
        """How many datagrams it has lost."""
        return sum(each.lost for each in self.seen)

    def unanswered(self, method: str) -> list[str]:
        """The Call-IDs of requests of this method, from either side, whose 200 never came through."""
        asked = {_transaction(each.message): each for each in self.seen if each.message.method == method}
        answered = {
            _transaction(each.message)
            for each in self.seen
            if not each.lost and each.message.status is not None and each.message.header("CSeq").endswith(method)
        }
        return [each.message.call_id for key, each in asked.items() if key not in answered]

    def told_of(self, call_id: str) -> str:
        """What passed here of one call, a line for each datagram: who spoke, when, what, and whether it was lost."""
        seen = [each for each in self.seen if each.message.call_id == call_id]
        return "\n".join(
            f"{each.message.at - seen[0].message.at:7.3f} {'->' if each.to_switch else '<-'} "
            f"{each.message.method or each.message.status} ({each.message.header('CSeq')}){' LOST' * each.lost}"
            for each in seen
        )

    def counted(self) -> Counter[str]:
        """How many of what came, for messages."""
        return Counter(each.message.method or f"{each.message.status}" for each in self.seen)

    def from_phone(self, data: bytes, port: int) -> None:
        """A phone speaks."""
        if self._passes(data, ("127.0.0.1", port), to_switch=True):
            task = asyncio.get_running_loop().create_task(self._to_switch(data, port))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def from_switch(self, data: bytes, port: int) -> None:
        """The switch speaks to the phone with this port."""
        if self._passes(data, self.switch, to_switch=False):
            assert self._front is not None
            self._front.sendto(data, ("127.0.0.1", port))

    async def _to_switch(self, data: bytes, port: int) -> None:
        loop = asyncio.get_running_loop()
        if port not in self._phones:
            self._phones[port] = loop.create_future()
            socket, _ = await loop.create_datagram_endpoint(lambda: _Back(self, port), local_addr=(HERE, port))
            self._phones[port].set_result(socket)
        (await self._phones[port]).sendto(data, self.switch)

    def _passes(self, data: bytes, source: Where, *, to_switch: bool) -> bool:
        lost = self._chance.random() < self.loss
        assert len(self.seen) < MAX_SEEN, "the relay has seen more than a test of it needs"
        message = Message(time.time(), data.decode(errors="replace"), source)
        if message.text.strip():  # a keep-alive is no message
            self.seen.append(Passed(to_switch, lost, message))
        return not lost


@dataclass(slots=True)
class _Front(asyncio.DatagramProtocol):
    """Where the phones send to."""

    relay: Relay

    def datagram_received(self, data: bytes, addr: Where) -> None:
        self.relay.from_phone(data, addr[1])


@dataclass(slots=True)
class _Back(asyncio.DatagramProtocol):
    """Where the switch sees one phone."""

    relay: Relay
    port: int

    def datagram_received(self, data: bytes, addr: Where) -> None:
        self.relay.from_switch(data, self.port)

    def error_received(self, exc: Exception) -> None:
        """The switch is gone: what was sent is lost, as datagrams are."""


def _transaction(message: Message) -> tuple[str, str]:
    return message.call_id, message.header("CSeq")
