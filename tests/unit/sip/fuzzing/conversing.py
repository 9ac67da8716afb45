"""Endpoints that hear wrong, lost, late and repeated messages: whatever comes, they end in order and forget it all."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from random import Random

from callcenter.sip.digest_client import DigestClient
from callcenter.sip.endpoint import Endpoint, EndpointStatus, Limits
from callcenter.sip.errors import SipParseError
from callcenter.sip.events import (
    Answered,
    Effect,
    InviteReceived,
    ReinviteReceived,
    RequestReceived,
    ResponseReceived,
    Send,
    SessionEnded,
)
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import NameAddr
from callcenter.sip.message import Request
from callcenter.sip.parser import KeepAlive, StreamParser, check
from tests.unit.sip.fuzzing.mutation import Mutator
from tests.unit.sip.fuzzing.reading import checked, sent
from tests.unit.sip.lossy import ANSWER, HOLD, OFFER

# Seconds of a conversation in which anything may happen, and until every timer has run out after it.
LIVELY, QUIET = 40.0, 400.0
# Datagrams that one conversation may come to: past them, somebody answers answers.
MAX_CARRIED = 5_000
# What an endpoint may keep: what its limits allow peers to open, and what it asked itself.
TRANSACTIONS, MAX_KEPT = 100, 300
CHALLENGES = ("", ", stale=true", ", algorithm=SHA-256", ", algorithm=none-that-is", ", qop=auth-int", ", nonce=twice")
STATUSES = (400, 403, 404, 408, 480, 481, 486, 487, 488, 491, 500, 503, 603)


def challenge(random: Random) -> list[tuple[str, str]]:
    """What a peer that wants a password says, or that only looks so."""
    value = f'Digest realm="r{random.randrange(2)}", nonce="{random.randrange(3)}"{random.choice(CHALLENGES)}'
    return [(random.choice(("WWW-Authenticate", "Proxy-Authenticate")), value) for _ in range(random.randrange(3))]


class Party:
    """An endpoint, its application that does as chance will, and the promises that it must keep."""

    def __init__(self, name: str, host: str, random: Random) -> None:
        self.name = name
        self.address = Address(host, 5060)
        self.random = random
        self.endpoint = Endpoint(
            random=Random(random.getrandbits(32)),
            accept_methods=("REGISTER", "MESSAGE", "SUBSCRIBE"),
            limits=Limits(transactions=TRANSACTIONS, sessions=random.choice((3, 100))),
        )
        self.sessions: set[str] = set()
        self.ended: set[str] = set()
        self.requests: list[str] = []
        self.keys: list[str] = [""]
        self.asked: set[str] = set()
        # What a sensible application would do next, and for which session.
        self.sensible: list[tuple[str, str]] = []

    def take(self, effects: list[Effect], now: float) -> list[Send]:
        """Note what it is told, and see that it may be; what is to be sent comes back."""
        out: list[Send] = []
        for effect in effects:
            match effect:
                case Send():
                    self.keys = [*self.keys[-20:], effect.key]
                    out.append(effect)
                case InviteReceived(session=session):
                    assert session not in self.sessions, "a session begins once"
                    self.sessions.add(session)
                    self.sensible += [("ring", session), ("answer", session)]
                case RequestReceived(transaction=transaction):
                    self.requests.append(transaction)
                    self.sensible.append(("respond", ""))
                case ResponseReceived(request_id=asked):
                    assert asked in self.asked, "a request is answered once"
                    self.asked.discard(asked)
                case _:
                    assert effect.session in self.sessions, f"{effect} of no session"
                    assert effect.session not in self.ended, f"{effect} after the end"
                    match effect:
                        case SessionEnded():
                            self.ended.add(effect.session)
                        case ReinviteReceived():
                            self.sensible.append(("accept_reinvite", effect.session))
                        case Answered():
                            self.sensible.append(("acknowledge", effect.session))
                        case _:
                            pass
        kept = self.endpoint.status()
        assert kept.sessions <= len(self.sessions)
        assert kept.transactions <= MAX_KEPT, "peers make it keep no more than its limits allow"
        return out

    def expire(self, now: float) -> list[Send]:
        """Let it do what is due."""
        out = self.take(self.endpoint.expire(now), now)
        deadline = self.endpoint.deadline
        assert deadline is None or deadline > now, "nothing is due that was due"
        return out

    def act(self, peer: Address, transport: Transport, now: float) -> list[Send]:
        """Do something of one's own accord."""
        it, random = self.endpoint, self.random
        flow = Flow(transport, self.address, peer, 0 if transport is Transport.UDP else 7)
        session = random.choice([*sorted(self.sessions - self.ended), *sorted(self.sessions), "none"])
        sdp = random.choice((OFFER, ANSWER, HOLD))
        me, them = NameAddr.parse(f"<sip:{self.name}@{self.address}>"), NameAddr.parse(f"<sip:other@{peer}>")
        actions: dict[str, Callable[[], list[Effect]]] = {
            "ring": lambda: it.ring(session, now, status=random.choice((180, 183)), sdp=random.choice((None, sdp))),
            "answer": lambda: it.answer(session, sdp, now),
            "reject": lambda: it.reject(session, random.choice(STATUSES), now),
            "challenge": lambda: it.reject(session, random.choice((401, 407)), now, headers=challenge(random)),
            "acknowledge": lambda: it.acknowledge(session, sdp, now),
            "hangup": lambda: it.hangup(session, now, status=random.choice((None, 486))),
            "reinvite": lambda: it.reinvite(session, sdp, now),
            "accept_reinvite": lambda: it.accept_reinvite(session, sdp, now),
            "reject_reinvite": lambda: it.reject_reinvite(session, 488, now),
            "info": lambda: it.info(session, "application/dtmf-relay", b"Signal=1\r\n", now),
            "ask": lambda: it.ask(session, now),
            "send_failed": lambda: it.send_failed(random.choice(self.keys), now),
            "connection_lost": lambda: it.connection_lost(7, now),
            "respond": lambda: it.respond(random.choice([*self.requests, "none"]), random.choice((200, 401, 404)), now),
        }
        login = random.choice((None, DigestClient("ana", "secret", random)))
        weighted = [*actions, "invite", "invite", "answer", "answer", "ring", "reinvite", "accept_reinvite", "request"]
        chosen = random.choice(weighted)
        if self.sensible and random.random() < 0.7:
            chosen, session = self.sensible.pop(0)
        match chosen:
            case "invite":
                made, effects = it.invite(
                    target=them.uri, flow=flow, from_=me, to=them, sdp=random.choice((None, sdp, sdp)), now=now,
                    login=login, user=random.choice(("", "ana")),
                )  # fmt: skip
                self.sessions.add(made)
            case "request":
                method = random.choice(("OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE"))
                asked, effects = it.request(method=method, target=them.uri, flow=flow, from_=me, to=them, now=now)
                self.asked.add(asked)
            case action:
                effects = actions[action]()
        return self.take(effects, now)

    def hear(self, data: bytes, flow: Flow, now: float) -> list[Send]:
        """Take what came: a datagram, or what is read of a stream."""
        if flow.transport is Transport.UDP:
            return self.take(self.endpoint.receive(data, flow, now), now)
        out: list[Send] = []
        for item in StreamParser().feed(data):
            if isinstance(item, SipParseError):
                out += self.take(self.endpoint.receive_error(item, flow, now), now)
            elif not isinstance(item, KeepAlive):
                out += self.take(self.endpoint.receive_message(item, flow, now), now)
        return out

    def part(self, now: float) -> list[Send]:
        """Hang up whatever is up."""
        return [
            send for session in sorted(self.sessions) for send in self.take(self.endpoint.hangup(session, now), now)
        ]

    def assert_at_rest(self) -> None:
        """All is told, nothing is kept, nothing is due."""
        assert self.sessions == self.ended, "each session ended"
        assert not self.asked, "each request has its answer, or is told that it has none"
        assert self.endpoint.status() == EndpointStatus(0, 0, 0)
        assert self.endpoint.deadline is None
        core = self.endpoint._core
        assert not core.merges
        assert not core._by_connection


def well_formed(data: bytes, *, heard_wrong: bool) -> None:
    """What goes out can be read, and is right; an answer to what was wrong shows that as it came."""
    message = sent(data)
    if message is not None:
        assert message.via
        if isinstance(message, Request) or not heard_wrong:
            check(message)
        assert message.to_bytes() == data


def conversation(random: Random) -> None:
    """Two who call each other, ring, answer, hold and hang up at any moment, over a line that does what it likes."""
    transport = random.choice((Transport.UDP, Transport.UDP, Transport.TCP))
    ana, bob = Party("ana", "192.0.2.1", random), Party("bob", "192.0.2.2", random)
    parties = {ana.address: ana, bob.address: bob}
    mutator, evil = Mutator(random), random.choice((0.0, 0.02, 0.1, 0.3))
    now, carried = 1000.0, []  # type: tuple[float, list[bytes]]
    line: list[tuple[float, int, Address, Address, bytes]] = []

    def carry(sends: list[Send], sender: Party) -> None:
        for send in sends:
            well_formed(send.data, heard_wrong=bool(evil))
            carried.append(send.data)
            assert len(carried) < MAX_CARRIED, "a storm"
            fates = [send.data]
            if now < 1000.0 + LIVELY:
                if random.random() < evil:
                    fates = [mutator.spoil(send.data, tuple(carried[-30:]))]
                if random.random() < evil:
                    fates = random.choice(([], fates * 2, [*fates, random.choice(carried)], [mutator.message()]))
            for data in fates:
                late = random.choice((0.01, 0.01, 0.05, 0.7, 3.0)) if transport is Transport.UDP else 0.01
                line.append((now + late, len(carried), send.flow.remote, sender.address, data))

    acts = sorted(now + random.random() * LIVELY for _ in range(random.randint(3, 25)))
    acts.append(now + LIVELY)
    while True:
        due = [each for each in (ana.endpoint.deadline, bob.endpoint.deadline) if each is not None]
        due += [min(line)[0]] if line else []
        due += acts[:1]
        if not due:
            break
        now = max(now, min(due))
        assert now < 1000.0 + LIVELY + QUIET, "it never comes to rest"
        if acts and acts[0] <= now:
            for party, peer in ((ana, bob), (bob, ana)):
                if len(acts) == 1:
                    carry(party.part(now), party)
                elif random.random() < 0.7:
                    carry(party.act(peer.address, transport, now), party)
            del acts[0]
        elif line and (first := min(line))[0] <= now:
            line.remove(first)
            _, _, there, here, data = first
            if (receiver := parties.get(there)) is not None:
                flow = Flow(transport, there, here, 0 if transport is Transport.UDP else 7)
                carry(receiver.hear(data, flow, now), receiver)
                if not acts:
                    carry(receiver.part(now), receiver)
                elif receiver.sensible and random.random() < 0.5:
                    insort(acts, min(now + random.choice((0.0, 0.2, 2.0)), acts[-1]))
        else:
            for party in (ana, bob):
                if party.endpoint.deadline is not None and party.endpoint.deadline <= now:
                    carry(party.expire(now), party)
    for party in (ana, bob):
        party.assert_at_rest()


def strangers(random: Random) -> None:
    """Anything from anybody, one message after the other: answered if it can be, and forgotten in time."""
    here = Party("here", "192.0.2.1", random)
    mutator, now = Mutator(random), 1000.0
    sources = [Address(f"198.51.100.{number}", 5060) for number in range(1, 4)]
    for _ in range(random.randint(1, 25)):
        transport = random.choice((Transport.UDP, Transport.TCP))
        flow = Flow(transport, here.address, random.choice(sources), 0 if transport is Transport.UDP else 7)
        data = mutator.message()
        wrong = transport is Transport.TCP or isinstance(
            checked(data), SipParseError
        )  # a stream may hold a second one behind it
        sends = here.hear(data, flow, now)
        if random.random() < 0.5:
            sends += here.act(flow.remote, transport, now)
        for send in sends:
            well_formed(send.data, heard_wrong=wrong)
        now += random.choice((0.0, 0.0, 0.1, 0.5, 5.0, 33.0))
        here.expire(now)
    here.part(now)
    while (deadline := here.endpoint.deadline) is not None:
        now = max(now, deadline)
        for send in here.expire(now):
            well_formed(send.data, heard_wrong=True)
        assert now < 1000.0 + 25 * 33 + QUIET, "it never comes to rest"
    here.assert_at_rest()
