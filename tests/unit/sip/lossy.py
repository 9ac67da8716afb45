"""A wire in memory: endpoints that call one another in injected time, over datagrams that may be lost or doubled."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from typing import Any, TypeVar

from callcenter.sip.endpoint import Endpoint, EndpointStatus
from callcenter.sip.events import (
    Answered,
    Effect,
    InviteReceived,
    ReinviteReceived,
    Send,
    SessionEnded,
)
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Request, Response
from callcenter.sip.parser import parse
from callcenter.sip.uri import Uri

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
ANSWER = OFFER.replace(b"4000", b"5000")
HOLD = OFFER + b"a=sendonly\r\n"

E = TypeVar("E")

# When each copy of a datagram arrives, in seconds after it was sent; none: it is lost.
Fate = Callable[[int, bytes], list[float]]


def passes(_index: int, _data: bytes) -> list[float]:
    """Every datagram arrives, 10 ms later."""
    return [0.01]


class Phone:
    """An endpoint at an address, what it was told, and what it does by itself when told."""

    def __init__(self, wire: Wire, name: str, host: str, seed: int, transport: Transport, **options: Any) -> None:
        self.wire = wire
        self.name = name
        self.address = Address(host, 5060)
        self.transport = transport
        self.endpoint = Endpoint(random=Random(seed), **options)
        self.told: list[Effect] = []
        self.sent: list[tuple[float, Request | Response]] = []
        self.on: dict[type[Any], Callable[[Any], None]] = {}

    def __repr__(self) -> str:
        return f"<Phone {self.name}>"

    def flow_to(self, peer: Phone) -> Flow:
        return Flow(self.transport, self.address, peer.address, 0 if self.transport is Transport.UDP else 7)

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.sent.append((self.wire.now, parse(effect.data)))
                self.wire.carry(self, effect)
            else:
                self.told.append(effect)
                action = self.on.get(type(effect))
                if action is not None:
                    action(effect)

    def do(self, verb: str, *args: Any, **named: Any) -> None:
        """Call a method of the endpoint with the time now, and perform what it wants."""
        self.perform(getattr(self.endpoint, verb)(*args, now=self.wire.now, **named))

    def call(self, peer: Phone, sdp: bytes | None = OFFER, **named: Any) -> str:
        named.setdefault("flow", self.flow_to(peer))
        session, effects = self.endpoint.invite(
            target=Uri.parse(f"sip:{peer.name}@{peer.address}"),
            from_=NameAddr.parse(f"<sip:{self.name}@{self.address}>"),
            to=NameAddr.parse(f"<sip:{peer.name}@example.com>"),
            sdp=sdp,
            now=self.wire.now,
            **named,
        )
        self.perform(effects)
        return session

    def answers_by_itself(self, *, ring: bool = True) -> None:
        """Ring at once, answer 200 ms later; accept each re-INVITE."""

        def answer(event: InviteReceived) -> None:
            if ring:
                self.do("ring", event.session)
            self.wire.later(0.2, lambda: self.do("answer", event.session, ANSWER))

        self.on[InviteReceived] = answer
        self.accepts_reinvites()

    def accepts_reinvites(self) -> None:
        self.on[ReinviteReceived] = lambda event: self.do("accept_reinvite", event.session, ANSWER)

    def heard(self, kind: type[E]) -> list[E]:
        """What it was told, of one kind."""
        return [effect for effect in self.told if isinstance(effect, kind)]

    def one(self, kind: type[E]) -> E:
        """What it was told of this kind, exactly once."""
        (effect,) = self.heard(kind)
        return effect

    def sent_of(self, method: str, status: int | None = None) -> list[tuple[float, Any]]:
        """The requests it sent of a method, or its answers to that method with a status."""
        return [
            (at, message)
            for at, message in self.sent
            if message.cseq.method == method and (message.status if isinstance(message, Response) else None) == status
        ]

    @property
    def session(self) -> str:
        """The session of the one call it was told of."""
        (session,) = {event.session for event in self.told if isinstance(event, InviteReceived | Answered)}
        return session


class Wire:
    """Carries what phones send, and moves the time from one event to the next."""

    def __init__(self, fate: Fate = passes, transport: Transport = Transport.UDP) -> None:
        self.now = 1000.0
        self.fate = fate
        self.transport = transport
        self.phones: dict[Address, Phone] = {}
        self.carried: list[bytes] = []
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._serial = 0

    def phone(self, name: str, host: str, **options: Any) -> Phone:
        phone = Phone(self, name, host, len(self.phones) + 1, self.transport, **options)
        self.phones[phone.address] = phone
        return phone

    def pair(self, **options: Any) -> tuple[Phone, Phone]:
        return self.phone("ana", "192.0.2.1", **options), self.phone("bob", "192.0.2.2", **options)

    def later(self, delay: float, action: Callable[[], None]) -> None:
        self._serial += 1
        heappush(self._queue, (self.now + delay, self._serial, action))

    def carry(self, sender: Phone, send: Send) -> None:
        index = len(self.carried)
        self.carried.append(send.data)
        receiver = self.phones.get(send.flow.remote)
        if receiver is None:
            return
        flow = Flow(send.flow.transport, send.flow.remote, sender.address, send.flow.connection)
        for delay in self.fate(index, send.data):
            self.later(delay, lambda: self.deliver(receiver, send.data, flow))

    def deliver(self, receiver: Phone, data: bytes, flow: Flow) -> None:
        if flow.transport is Transport.UDP:
            receiver.perform(receiver.endpoint.receive(data, flow, self.now))
        else:
            receiver.perform(receiver.endpoint.receive_message(parse(data), flow, self.now))

    def run(self, seconds: float) -> None:
        """Let this much time pass."""
        end = self.now + seconds
        for _ in range(100_000):
            due: list[tuple[float, int, Phone | None]] = [(self._queue[0][0], 0, None)] if self._queue else []
            for order, phone in enumerate(self.phones.values(), 1):
                deadline = phone.endpoint.deadline
                if deadline is not None:
                    due.append((deadline, order, phone))
            if not due:
                break
            at, _, expiring = min(due, key=lambda item: item[:2])
            if at > end:
                break
            self.now = max(self.now, at)
            if expiring is None:
                heappop(self._queue)[2]()
            else:
                expiring.perform(expiring.endpoint.expire(self.now))
        else:
            raise AssertionError("the wire never comes to rest")
        self.now = end

    def settle(self) -> None:
        """Let every timer run out."""
        self.run(200)

    def nothing_is_left(self) -> None:
        """Every table is empty, nothing is due, and each session that ended told so once."""
        for phone in self.phones.values():
            assert phone.endpoint.status() == EndpointStatus(0, 0, 0), phone
            assert phone.endpoint.deadline is None, phone
            core = phone.endpoint._core
            assert not core.merges, phone
            assert not core._by_connection, phone
            ended = [event.session for event in phone.heard(SessionEnded)]
            assert len(ended) == len(set(ended)), phone
            begun = {event.session for event in phone.heard(InviteReceived)}
            assert begun <= set(ended), phone
