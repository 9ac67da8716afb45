"""Dialog: two tags, two counters, a route set and a remote target (RFC 3261 12)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import Headers, NameAddr
from callcenter.sip.message import MAX_FORWARDS, Request
from callcenter.sip.offer_answer import Exchange
from callcenter.sip.uri import Uri

if TYPE_CHECKING:
    from callcenter.sip.message import Response

# Call-ID, our tag, the peer's tag (empty from an RFC 2543 peer).
DialogKey = tuple[str, str, str]

# What the one before may have sent since it last wrote the dialog down is below this many requests.
ADOPTION_JUMP = 1_000


@dataclass(frozen=True, slots=True)
class DialogState:
    """An established dialog as a plain value: it can be written, and adopted by another process.

    ``local`` and ``remote`` are From or To values with their tags; ``target`` is the peer's Contact URI; ``routes``
    are Route values in the order they are sent; ``bound`` says that the peer is reached only by the flow it uses;
    ``incoming`` that the peer made the Call-ID. The descriptions are the last that went each way. The session is
    refreshed within ``session_interval`` seconds (0: by nobody, RFC 4028), by us when ``refreshes``; ``mutual``:
    the peer knows of it; ``updates``: it takes UPDATE.
    """

    call_id: str
    local: str
    local_tag: str
    remote: str
    remote_tag: str
    local_cseq: int
    remote_cseq: int | None
    target: str
    routes: tuple[str, ...]
    flow: Flow
    bound: bool
    incoming: bool
    contact: str
    local_sdp: bytes | None
    remote_sdp: bytes | None
    session_interval: int = 0
    refreshes: bool = False
    mutual: bool = False
    updates: bool = False


class Dialog:
    """One dialog, early or confirmed.

    ``exchange``: how far offer and answer are in it. ``described``: what an answer in an early dialog said of the peer.
    """

    __slots__ = (
        "bound",
        "call_id",
        "contact",
        "described",
        "exchange",
        "flow",
        "incoming",
        "local",
        "local_cseq",
        "local_tag",
        "referred",
        "remote",
        "remote_cseq",
        "remote_tag",
        "routes",
        "target",
    )

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str,
        local_cseq: int,
        remote_cseq: int | None,
        target: Uri,
        routes: tuple[str, ...],
        flow: Flow,
        bound: bool,
        incoming: bool,
        contact: str,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.local_tag = local_tag
        self.remote = remote
        self.remote_tag = remote_tag
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.target = target
        self.routes = routes
        self.flow = flow
        self.bound = bound
        self.incoming = incoming
        self.contact = contact
        # Whether the peer ever sent a REFER in it: then the next ones need an id (RFC 3515 2.4.6).
        self.referred = False
        self.exchange = Exchange.AGREED
        self.described: bytes | None = None

    @classmethod
    def of_request(cls, request: Request, local_tag: str, flow: Flow, contact: str) -> Dialog:
        """The dialog that our answer to this INVITE makes (12.1.1). There is a caller to be reached."""
        peer = caller_of(request)
        assert peer is not None
        return cls(
            call_id=request.call_id,
            local=f"{request.headers.get('To')};tag={local_tag}",
            local_tag=local_tag,
            remote=request.headers.get("From") or "",
            remote_tag=request.from_tag or "",
            local_cseq=0,
            remote_cseq=request.cseq.number,
            target=peer.uri,
            routes=tuple(request.headers.values("Record-Route")),
            flow=flow,
            bound=behind_nat(request, flow),
            incoming=True,
            contact=contact,
        )

    @classmethod
    def of_response(cls, request: Request, response: Response, target: Uri, flow: Flow, contact: str) -> Dialog:
        """The dialog that this answer to our INVITE makes (12.1.2): the route set is the Record-Route reversed.

        ``target`` is whom we called; the peer's Contact replaces it. ``flow`` is the way the INVITE went.
        """
        peer = response.contact
        routes = request.headers.values("Route")
        hop = NameAddr.parse(routes[0]).uri if routes else target
        return cls(
            call_id=request.call_id,
            local=request.headers.get("From") or "",
            local_tag=request.from_tag or "",
            remote=response.headers.get("To") or "",
            remote_tag=response.to_tag or "",
            local_cseq=request.cseq.number,
            remote_cseq=None,
            target=peer.uri if peer is not None and peer.uri.is_sip else target,
            routes=tuple(reversed(response.headers.values("Record-Route"))),
            flow=flow,
            # We were told to leave the written address aside: then its owner sits behind a NAT.
            bound=(written := literal(hop.host)) is not None and written != literal(flow.remote.host),
            incoming=False,
            contact=contact,
        )

    @classmethod
    def of_state(cls, state: DialogState) -> Dialog:
        """The dialog that another process had. Our CSeq jumps, over what it may have sent since."""
        return cls(
            call_id=state.call_id,
            local=state.local,
            local_tag=state.local_tag,
            remote=state.remote,
            remote_tag=state.remote_tag,
            local_cseq=state.local_cseq + ADOPTION_JUMP,
            remote_cseq=state.remote_cseq,
            target=Uri.parse(state.target),
            routes=state.routes,
            flow=replace(state.flow, connection=0),
            bound=state.bound,
            incoming=state.incoming,
            contact=state.contact,
        )

    def state(self, local_sdp: bytes | None, remote_sdp: bytes | None) -> DialogState:
        """This dialog as a value."""
        return DialogState(
            call_id=self.call_id,
            local=self.local,
            local_tag=self.local_tag,
            remote=self.remote,
            remote_tag=self.remote_tag,
            local_cseq=self.local_cseq,
            remote_cseq=self.remote_cseq,
            target=str(self.target),
            routes=self.routes,
            flow=self.flow,
            bound=self.bound,
            incoming=self.incoming,
            contact=self.contact,
            local_sdp=local_sdp,
            remote_sdp=remote_sdp,
        )

    @property
    def key(self) -> DialogKey:
        """Under which requests of the peer find it."""
        return self.call_id, self.local_tag, self.remote_tag

    def in_order(self, number: int) -> bool:
        """Whether a request of the peer with this CSeq may be taken, and then takes note of it (12.2.2)."""
        if self.remote_cseq is not None and number < self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh(self, message: Request | Response) -> None:
        """Take the Contact of an INVITE that was accepted, or of the 2xx to ours, as remote target (12.2)."""
        contact = message.contact
        if contact is not None and contact.uri.is_sip:
            self.target = contact.uri

    def heard(self, request: Request, flow: Flow) -> None:
        """A request of the peer came by this flow: answers to NATs and lost connections follow it."""
        self.flow = flow
        self.bound = behind_nat(request, flow)

    def request(self, method: str, via: str, *, cseq: int | None = None, body: bytes = b"") -> Request:
        """A request within the dialog (12.2.1.1). ``cseq`` repeats a number (ACK); else the next one is taken."""
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = routed(self.target, self.routes)
        headers = Headers([("Via", via), ("Max-Forwards", str(MAX_FORWARDS))])
        for route in routes:
            headers.add("Route", route)
        headers.add("From", self.local)
        headers.add("To", self.remote)
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{cseq} {method}")
        return Request(method, uri, headers, body)

    def next_hop(self) -> Flow:
        """Where the next request goes: the first route or the remote target, or the flow the peer last used."""
        if self.bound or self.flow.connection:
            return self.flow
        return flow_towards(NameAddr.parse(self.routes[0]).uri if self.routes else self.target, self.flow)

    def connection_lost(self) -> None:
        """The connection of the flow is gone: the next request opens one, to the peer's own address if it has one."""
        self.flow = replace(self.flow, connection=0)
        self.flow = self.next_hop()


def caller_of(request: Request) -> NameAddr | None:
    """Where requests to the sender of an INVITE go: its Contact (12.1.1), or None when it lacks one.

    RFC 2543 let a client leave it out: one that tags no From is reached by that.
    """
    return request.contact or (request.from_ if request.from_tag is None else None)


def routed(target: Uri, routes: tuple[str, ...]) -> tuple[Uri, tuple[str, ...]]:
    """Request-URI and Route values for a target and a route set (12.2.1.1)."""
    if target.headers or target.has_param("method"):
        # Neither may stand in a Request-URI (19.1.1, table 1), and what a peer wrote there is no header of ours.
        target = replace(target.without_params("method"), headers="", raw="")
    if not routes:
        return target, ()
    first = NameAddr.parse(routes[0]).uri
    if first.has_param("lr"):
        return target, routes
    # A strict router of RFC 2543 wants itself in the Request-URI and the target last.
    return replace(first.without_params("method"), headers="", raw=""), (*routes[1:], f"<{target}>")


def behind_nat(request: Request, flow: Flow) -> bool:
    """Whether the address the peer believes to have differs from the one its request came from."""
    host = request.via.host
    if host == flow.remote.host:
        return False
    written = literal(host)
    return written is not None and written != literal(flow.remote.host)


def flow_towards(uri: Uri, flow: Flow) -> Flow:
    """The way to the literal address in ``uri``, or ``flow`` when it names none that can be reached from here.

    Names are not resolved here: whoever wrote one has been reached by ``flow``.
    """
    if not uri.is_sip:
        return flow
    private = uri.scheme == "sips"
    if spelled := uri.param("transport"):
        named = Transport.named(spelled, private=private)
        if named is None:
            return flow
        transport = named
    elif private:
        transport = flow.transport if flow.transport.private else Transport.TLS
    else:
        transport = flow.transport
    host = uri.param("maddr") or uri.host
    remote = flow.remote
    if host != remote.host:
        there, here = literal(host), literal(remote.host)
        if there is None or (here is not None and not _reachable(there, here)):
            return flow
    remote = Address(host, uri.port or transport.default_port)
    if remote == flow.remote and transport is flow.transport:
        return flow
    return Flow(transport, flow.local, remote)


def literal(host: str) -> IPv4Address | IPv6Address | None:
    """The host as IP address; None for a name."""
    # Names begin with letters mostly: spare them the exception.
    if not host or (host[0] not in "0123456789" and ":" not in host):
        return None
    try:
        return ip_address(host)
    except ValueError:
        return None


def _reachable(there: IPv4Address | IPv6Address, here: IPv4Address | IPv6Address) -> bool:
    """Whether an address a peer wrote can be meant, when the peer itself is seen at ``here``."""
    if there.version != here.version or there.is_unspecified or there.is_multicast or there.is_link_local:
        return False
    if there.is_loopback:
        return here.is_loopback
    # A private address written by someone who is seen at a public one is behind his NAT.
    return here.is_private or not there.is_private
