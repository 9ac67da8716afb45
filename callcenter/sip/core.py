"""Core: what an endpoint and its sessions share: the tables of transactions, dialogs and sessions, and the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from callcenter.sip.digest_client import MOST_TRIES
from callcenter.sip.events import Effect, Send
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.invite import Session
from callcenter.sip.metrics import Metrics
from callcenter.sip.refer import Reference
from callcenter.sip.repetition import repeated
from callcenter.sip.session_state import MAX_RETRY_AFTER
from callcenter.sip.session_timer import SessionTimer, too_small
from callcenter.sip.strangers import Strangers, fit
from callcenter.sip.timers import Deadlines, SipTimers
from callcenter.sip.transaction import Deliver, Failed, Output, State
from callcenter.sip.transaction_client import ClientInvite, ClientRequest, ClientUser, client_key
from callcenter.sip.transaction_server import MAGIC_COOKIE, MergeKey, ServerInvite, ServerRequest, server_key
from callcenter.sip.uri import Uri

if TYPE_CHECKING:
    from random import Random

    from callcenter.sip.dialog import Dialog, DialogKey
    from callcenter.sip.headers import Via
    from callcenter.sip.message import Request, Response

HeaderLines = Iterable[tuple[str, str]]

AnyTransaction = ClientInvite | ClientRequest | ServerInvite | ServerRequest


class Core:
    """Tables, timers and sending. Effects gather here until ``flush`` hands them out."""

    def __init__(
        self,
        random: Random,
        timers: SipTimers,
        agent_name: str,
        advertised: Callable[[Flow], Address],
        methods: Sequence[str],
        supported: Sequence[str],
        session_timer: SessionTimer | None = None,
    ) -> None:
        self.random = random
        self.session_timer = session_timer
        self.timers = timers
        self.clients: dict[str, ClientInvite | ClientRequest] = {}
        self.servers: dict[str, ServerInvite | ServerRequest] = {}
        self.merges: dict[MergeKey, str] = {}
        self.dialogs: dict[DialogKey, Session] = {}
        self.sessions: dict[str, Session] = {}
        # By session and number: REFERs of peers. And of those that we sent, by the number that they have on the wire,
        # the one that their user knows.
        self.references: dict[str, dict[int, Reference]] = {}
        self.asked: dict[str, dict[int, int]] = {}
        self.strangers = Strangers()
        self.metrics = Metrics()
        self.allow = ("Allow", ", ".join(methods))
        self.supported = ("Supported", ", ".join(supported))
        self._agent_name = agent_name
        self._advertised = advertised
        self._deadlines: Deadlines[AnyTransaction | Session | Reference] = Deadlines()
        self._by_connection: dict[int, set[AnyTransaction | Session]] = {}
        self._secret = random.getrandbits(128).to_bytes(16, "big")
        self._out: list[Effect] = []

    # -- effects -----------------------------------------------------------------------------------------------------

    def emit(self, effect: Effect) -> None:
        """Add an effect."""
        self._out.append(effect)

    def flush(self) -> list[Effect]:
        """The effects since the last time, in their order."""
        out, self._out = self._out, []
        return out

    # -- names and headers -------------------------------------------------------------------------------------------

    def tag(self) -> str:
        """A new tag: 64 bits of chance (RFC 3261 19.3 asks for 32)."""
        return f"{self.random.getrandbits(64):016x}"

    def via(self, flow: Flow) -> str:
        """A Via value with a new branch; it asks for rport (RFC 3581)."""
        branch = f"{MAGIC_COOKIE}{self.random.getrandbits(64):016x}"
        return f"SIP/2.0/{flow.transport.value} {self._advertised(flow)};branch={branch};rport"

    def contact(self, flow: Flow, user: str | None, scheme: str = "sip") -> str:
        """Our Contact value towards the peer of a flow."""
        address = self._advertised(flow)
        transport = flow.transport
        # sips means TLS already, and UDP is what no parameter means.
        secure = scheme == "sips"
        silent = transport is Transport.UDP or (secure and (transport is Transport.TLS or not transport.private))
        params = () if silent else (("transport", transport.parameter),)
        return f"<{Uri(scheme, user, None, address.host, address.port, params)}>"

    def session_headers(self, contact: str) -> list[tuple[str, str]]:
        """What every INVITE and every 2xx to one says of us (13.2.1, 13.3.1.4)."""
        return [("Contact", contact), self.allow, self.supported]

    # -- what we ask -------------------------------------------------------------------------------------------------

    def send_invite(
        self, request: Request, flow: Flow, user: ClientUser, now: float, challenges: int = 0
    ) -> ClientInvite:
        """Send an INVITE; ``user`` hears what becomes of it. ``challenges``: how often it was challenged already."""
        self._name_client(request)
        invite = ClientInvite(client_key(_branch(request), "INVITE"), request, flow, self.timers, user)
        invite.challenges = challenges
        self._start(invite, now)
        return invite

    def send_request(
        self, request: Request, flow: Flow, user: ClientUser | None, now: float, challenges: int = 0
    ) -> None:
        """Send another request; ``user`` hears what becomes of it, if anybody wants to know.

        ``challenges``: how often it was challenged already.
        """
        self._name_client(request)
        client = ClientRequest(client_key(_branch(request), request.method), request, flow, self.timers, user)
        client.challenges = challenges
        self._start(client, now)

    def send_once(self, request: Request, flow: Flow) -> None:
        """Send a request whose answer nobody waits for, to a peer who may not be there at all."""
        self._name_client(request)
        self.metrics.requests_out.add(request.method)
        self._out.append(Send(flow, request.to_bytes(), ""))

    def send_ack(self, request: Request, flow: Flow) -> Send:
        """Send an ACK to a 2xx; returns it, to be sent again. If it is lost, the repeated 2xx asks for it."""
        self._name_client(request)
        self.metrics.requests_out.add("ACK")
        ack = Send(flow, request.to_bytes(), "")
        self._out.append(ack)
        return ack

    def give_up(self, invite: ClientInvite, now: float) -> None:
        """Wait for the final answer of our INVITE only 64*T1 longer."""
        invite.give_up_later(now)
        if invite.state is not State.TERMINATED:
            self._deadlines.watch(invite)

    def _start(self, client: ClientInvite | ClientRequest, now: float) -> None:
        client.began = now
        self.metrics.requests_out.add(client.request.method)
        self.clients[client.key] = client
        self._hold(client.flow, client)
        outputs = client.start(now)
        if self.strangers.doubts(client.request.from_tag or "", client.flow):
            client.say_once()
        self._perform(client, outputs, now)

    def _name_client(self, request: Request) -> None:
        if self._agent_name:
            request.headers.add("User-Agent", self._agent_name)

    def receive_response(self, response: Response, client: ClientInvite | ClientRequest, now: float) -> None:
        """Take an answer to a request of ours."""
        method, metrics = client.request.method, self.metrics
        if client.state in (State.CALLING, State.TRYING, State.PROCEEDING):
            metrics.answer_came(method, response.status)
            if response.status >= 200:
                metrics.time(metrics.response_times, method, now - client.began)
        else:
            metrics.repeated_by_peers.add(method)
        self._perform(client, client.receive(response, now), now)

    def _prove(self, client: ClientInvite | ClientRequest, response: Response, now: float) -> bool:
        """22.2, 22.3: a request within a dialog that is challenged goes out once more, with the login that we have for
        this peer; whether it does. Its user hears of the answer to that alone.
        """
        request = client.request
        if response.status not in (401, 407) or request.to_tag is None or request.method == "CANCEL":
            return False
        session = self.dialogs.get((request.call_id, request.from_tag or "", request.to_tag))
        if session is None or session.login is None or client.challenges + 1 >= MOST_TRIES:
            return False
        dialog = session.dialog_with(request.to_tag)
        if dialog is None or (session.over and request.method not in ("BYE", "NOTIFY")):
            return False
        credentials = session.login.again(request, response)
        if not credentials:
            return False
        hop = dialog.next_hop()
        dialog.local_cseq += 1
        again = repeated(request, self.via(hop), dialog.local_cseq, credentials)
        if isinstance(client, ClientInvite):
            assert client.user is not None, "nobody waits for the answer to an INVITE"
            sent = self.send_invite(again, hop, client.user, now, client.challenges + 1)
            if session.client is client:
                session.client = sent
        else:
            if request.method == "REFER":
                self.renumber(session.id, request.cseq.number, dialog.local_cseq)
            self.send_request(again, hop, client.user, now, client.challenges + 1)
        return True

    def renumber(self, session: str, number: int, now_known_as: int) -> None:
        """A REFER of ours has another number on the wire than its user knows (RFC 3515 2.4.6)."""
        asked = self.asked.get(session, {})
        if number in asked:
            asked[now_known_as] = asked.pop(number)

    # -- what we answer ----------------------------------------------------------------------------------------------

    def accept_invite(self, request: Request, flow: Flow, user: Session | None, now: float) -> ServerInvite:
        """Open the transaction of a peer's INVITE, and say 100 before the peer asks again (17.2.1)."""
        key = server_key(request, "INVITE")
        server = ServerInvite(key, request, answer_flow(request.via, flow), self.timers)
        server.began, server.user = now, user
        server.tag = user.id if user is not None else None
        self._open(server)
        self.respond(server, 100, now)
        return server

    def accept_request(self, request: Request, flow: Flow, now: float) -> ServerRequest:
        """Open the transaction of a peer's request of another method."""
        key = server_key(request, request.method)
        server = ServerRequest(key, request, answer_flow(request.via, flow), self.timers, now)
        server.began = now
        self._open(server)
        self._deadlines.watch(server)
        return server

    def _open(self, server: ServerInvite | ServerRequest) -> None:
        self.servers[server.key] = server
        self._hold(server.flow, server)
        if server.request.to_tag is None:
            server.merge_key = merge_key(server.request)
            self.merges.setdefault(server.merge_key, server.key)

    def respond(
        self,
        server: ServerInvite | ServerRequest,
        status: int,
        now: float,
        *,
        to_tag: str | None = None,
        reason: str | None = None,
        headers: HeaderLines = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> None:
        """Answer a request through its transaction."""
        response = server.request.response(
            status, reason, to_tag=to_tag, headers=headers, body=body, content_type=content_type
        )
        self._name_server(response)
        if server.state in (State.TRYING, State.PROCEEDING):
            self.metrics.answered(server.request.method, status)
            if status >= 200:
                self.metrics.time(self.metrics.answer_times, server.request.method, now - server.began)
        self._perform(server, server.respond(status, response.to_bytes(), now), now)
        if status >= 300:
            # It came to nothing: another branch of the same request would be refused alike, and a client that
            # repeats a challenged request without counting its CSeq up is no loop.
            self._unmerge(server)

    def repeat(self, server: ServerInvite, now: float) -> None:
        """Send the 2xx of the transaction again."""
        self.metrics.repeated_by_us.add("INVITE")
        self._perform(server, server.repeat(now), now)

    def repeat_progress(self, server: ServerInvite, now: float) -> None:
        """Send the provisional answer of the transaction again, which no PRACK has come for."""
        outputs = server.repeat_progress(now)
        if outputs:
            self.metrics.repeated_by_us.add("INVITE")
        self._perform(server, outputs, now)

    def refuse(
        self, request: Request, flow: Flow, status: int, headers: HeaderLines = (), reason: str | None = None
    ) -> None:
        """Answer a request without keeping anything of it; if it is repeated, so is the answer (8.2.7)."""
        if request.method == "ACK":
            return
        # Without a transaction only a tag made of the request is the same each time.
        seed = "\0".join(
            (request.headers.get("Call-ID") or "", request.headers.get("From") or "", request.headers.get("CSeq") or "")
        )
        tag = blake2b(seed.encode(), digest_size=8, key=self._secret).hexdigest()
        response = request.response(status, reason, to_tag=tag, headers=headers)
        self._name_server(response)
        data = fit(response, request.octets) if request.octets else response.to_bytes()
        if data is not None:
            self.metrics.answered(request.method, status)
            self._out.append(Send(answer_flow(request.via, flow), data, ""))

    def refuses_interval(self, request: Request, flow: Flow) -> bool:
        """RFC 4028 9: whether the peer wants its session refreshed more often than we do; then it is answered 422."""
        wanted = self.session_timer
        if wanted is None or not too_small(wanted, request):
            return False
        self.refuse(request, flow, 422, [("Min-SE", str(wanted.least))])
        return True

    def come_again(self, status: int) -> list[tuple[str, str]]:
        """What goes with a 500 to an offer that came too early: when to make it again (RFC 3261 14.2)."""
        return [("Retry-After", str(self.random.randrange(MAX_RETRY_AFTER + 1)))] if status == 500 else []

    def challenge(self, server: ServerRequest, headers: HeaderLines, reason: str | None) -> None:
        """Answer 401 and keep nothing: a repeated request is challenged again (8.2.7, 22.1).

        Who has shown no password gets no memory of ours for half a minute.
        """
        server.abandon()
        self._drop(server)
        self._deadlines.watch(server)
        self.refuse(server.request, server.flow, 401, headers, reason)

    def _name_server(self, response: Response) -> None:
        if self._agent_name and response.status > 100:
            response.headers.add("Server", self._agent_name)

    def receive_again(self, server: ServerInvite | ServerRequest, method: str, now: float) -> None:
        """Take a repeated request, or the ACK to a refusal."""
        if method != "ACK":
            self.metrics.repeated_by_peers.add(server.request.method)
        outputs = server.receive(method, now) if isinstance(server, ServerInvite) else server.receive(now)
        self._perform(server, outputs, now)

    # -- tables ------------------------------------------------------------------------------------------------------

    def watch(self, machine: AnyTransaction | Session | Reference) -> None:
        """The machine's deadline may have changed."""
        self._deadlines.watch(machine)

    def enter(self, dialog: Dialog, session: Session) -> None:
        """Requests within the dialog come to the session from now on."""
        self.dialogs[dialog.key] = session
        self.follow(dialog.flow, session)

    def leave(self, dialog: Dialog) -> None:
        """They do no longer."""
        self.dialogs.pop(dialog.key, None)

    def follow(self, flow: Flow, session: Session) -> None:
        """The session wants to know when the connection of this flow is lost."""
        if flow.connection and flow.connection not in session.connections:
            session.connections.add(flow.connection)
            self._hold(flow, session)

    def forget(self, session: Session) -> None:
        """The session has ended."""
        self.sessions.pop(session.id, None)
        self.asked.pop(session.id, None)
        self.strangers.forget(session.id)
        for dialog in session.dialogs():
            self.leave(dialog)
        for connection in session.connections:
            self._release(connection, session)
        session.connections.clear()

    def _hold(self, flow: Flow, machine: AnyTransaction | Session) -> None:
        if flow.connection:
            self._by_connection.setdefault(flow.connection, set()).add(machine)

    def _release(self, connection: int, machine: AnyTransaction | Session) -> None:
        held = self._by_connection.get(connection)
        if held is not None:
            held.discard(machine)
            if not held:
                del self._by_connection[connection]

    def _perform(self, machine: AnyTransaction, outputs: list[Output], now: float) -> None:
        """Do what a transaction wants, then note its deadline, or let it go."""
        for output in outputs:
            match output:
                case Send():
                    self._out.append(output)
                case Deliver(response):
                    if not isinstance(machine, ClientInvite | ClientRequest) or self._prove(machine, response, now):
                        pass
                    elif machine.user is not None:
                        machine.user.on_response(machine, response, now)
                case Failed(cause):
                    if isinstance(machine, ClientInvite | ClientRequest):
                        if machine.user is not None:
                            machine.user.on_failure(machine, cause, now)
                    elif isinstance(machine, ServerInvite):
                        self._answer_failed(machine, now)
        if machine.state is State.TERMINATED:
            self._drop(machine)
        self._deadlines.watch(machine)

    def _drop(self, machine: AnyTransaction) -> None:
        if isinstance(machine, ServerInvite | ServerRequest):
            self.servers.pop(machine.key, None)
            self._unmerge(machine)
        else:
            self.clients.pop(machine.key, None)
        if machine.flow.connection:
            self._release(machine.flow.connection, machine)

    def _unmerge(self, server: ServerInvite | ServerRequest) -> None:
        if server.merge_key is not None and self.merges.get(server.merge_key) == server.key:
            del self.merges[server.merge_key]

    # -- time and transport ------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When to call expire; None = nothing is due."""
        return self._deadlines.earliest

    def expire(self, now: float) -> None:
        """Let every machine that is due at ``now`` do its work."""
        while (machine := self._deadlines.pop_due(now)) is not None:
            if isinstance(machine, Session | Reference):
                machine.expire(now)
                self._deadlines.watch(machine)
            else:
                outputs = machine.expire(now)
                for output in outputs:
                    if isinstance(output, Send):
                        self.metrics.repeated_by_us.add(machine.request.method)
                self._perform(machine, outputs, now)

    def send_failed(self, key: str, now: float) -> None:
        """A Send could not be performed."""
        machine = self.clients.get(key) or self.servers.get(key)
        if machine is not None:
            self._perform(machine, machine.transport_failed(now), now)

    def connection_lost(self, connection: int, now: float) -> None:
        """A connection is gone: what waited for an answer on it fails, the rest looks for another way."""
        for machine in self._by_connection.pop(connection, ()):
            if isinstance(machine, Session):
                machine.connections.discard(connection)
                for dialog in machine.dialogs():
                    if dialog.flow.connection == connection:
                        dialog.connection_lost()
            elif machine.state is not State.TERMINATED:
                self._perform(machine, machine.transport_failed(now), now)

    def _answer_failed(self, server: ServerInvite, now: float) -> None:
        """18.2.2: without the connection of the request, the answer goes by a new one to the address in the Via."""
        flow = server.flow
        if not flow.reliable:
            # It may have been this one datagram; timers and the peer's repetitions try again.
            return
        if flow.connection:
            self._release(flow.connection, server)
            via = server.request.via
            remote = Address(flow.remote.host, via.port or flow.transport.default_port)
            outputs = server.send_by(Flow(flow.transport, flow.local, remote))
            self._out += [output for output in outputs if isinstance(output, Send)]
        elif server.user is not None:
            server.user.on_server_failure(server, now)


def answer_flow(via: Via, flow: Flow) -> Flow:
    """The way back: the connection of a stream; over UDP the source address, with the port it asks for (RFC 3581 4,
    RFC 3261 18.2.2).
    """
    if flow.reliable or via.rport is not None:
        return flow
    port = via.port or flow.transport.default_port
    return flow if port == flow.remote.port else Flow(flow.transport, flow.local, Address(flow.remote.host, port))


def merge_key(request: Request) -> MergeKey:
    """What a request has in common with another branch of itself (8.2.2.2)."""
    return request.call_id, request.from_tag or "", request.cseq.number, request.method


def _branch(request: Request) -> str:
    return request.via.branch or ""
