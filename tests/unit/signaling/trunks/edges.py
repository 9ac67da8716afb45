"""A clock that a test sets by hand, and a network that only listens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from callcenter.signaling.settings import Listen, TlsPeer
from callcenter.signaling.transport import Receiver, TransportError
from callcenter.sip.flow import Address, Flow, Transport

BEGAN = datetime(2026, 11, 30, tzinfo=UTC)


class HandClock:
    """Elapsed time is what the test says."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.seconds)


class Listening:
    """A network that listens for some transports."""

    def __init__(self, *transports: str) -> None:
        self.listeners = tuple(Listen(transport, "192.0.2.1", 5060) for transport in transports)

    async def open(self, receiver: Receiver) -> None: ...

    def send(self, flow: Flow, data: bytes, key: str) -> None: ...

    def close(self) -> None: ...

    def expect(self, remote: Address, peer: TlsPeer) -> None: ...

    def peer_names(self, connection: int) -> tuple[str, ...]:
        return ()

    def address_towards(self, transport: Transport, host: str) -> Address:
        if transport.value.lower() not in {each.transport for each in self.listeners}:
            raise TransportError(f"nothing listens for {transport.value}")
        return Address("192.0.2.1", 5060)
