"""Registrar: where the phones of an address of record are (RFC 3261 10.3, RFC 3327, RFC 5626)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from callcenter.sip.dialog import flow_towards, literal
from callcenter.sip.errors import SipParseError
from callcenter.sip.flow import Address, Flow
from callcenter.sip.headers import NameAddr
from callcenter.sip.timers import Deadlines
from callcenter.sip.uri import Uri

if TYPE_CHECKING:
    from callcenter.sip.message import Request

# An expiry below the minimum but above this many seconds must be borne (10.3, step 7).
ALWAYS_LONG_ENOUGH = 3_600
# How often a phone keeps its flow open, in seconds (RFC 5626 5.4 and 7.2): NATs forget UDP soon, connections late.
FLOW_TIMER_UDP, FLOW_TIMER_STREAM = 30, 120


@dataclass(frozen=True, slots=True)
class Binding:
    """One place where an address of record can be reached.

    Requests go to ``contact`` by ``flow``, the way the REGISTER came, with ``path`` as their Route. ``q`` is from 0
    to 1, ``expires_at`` in seconds of the caller's ``now``; ``instance`` is the phone's own id (RFC 5626), if it has
    one, and ``reg_id`` from 1 on tells its flows apart: a phone with two reaches us by either, and is called by one.
    """

    contact: Uri
    flow: Flow
    q: float
    expires_at: float
    call_id: str
    cseq: int
    path: tuple[str, ...] = ()
    instance: str | None = None
    user_agent: str | None = None
    reg_id: int = 0


@dataclass(frozen=True, slots=True)
class RegisterAnswer:
    """What to answer a REGISTER, and what is bound now; ``changed`` says that a binding came, went or moved."""

    status: int
    headers: tuple[tuple[str, str], ...]
    changed: bool
    bindings: tuple[Binding, ...]
    reason: str | None = None


class _Refused(Exception):
    """The REGISTER is answered with this, and nothing has changed."""

    def __init__(self, status: int, reason: str | None = None, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(status)
        self.status = status
        self.reason = reason
        self.headers = headers


class _Record:
    """The bindings of one address of record, the one refreshed last in front."""

    __slots__ = ("aor", "bindings", "queued")

    def __init__(self, aor: str) -> None:
        self.aor = aor
        self.bindings: tuple[Binding, ...] = ()
        self.queued: float | None = None

    @property
    def deadline(self) -> float | None:
        return min((binding.expires_at for binding in self.bindings), default=None)


class Registrar:
    """Bindings by address of record; who may register, and what an address of record is, the caller has decided.

    Expiries are in seconds. An address of record holds ``max_bindings``: one more puts out the one that was refreshed
    longest ago, for it is mostly the trace of a phone that started anew. How many addresses of record there are is
    bounded by the caller's accounts.
    """

    def __init__(
        self, *, min_expires: int = 60, max_expires: int = 3600, default_expires: int = 3600, max_bindings: int = 10
    ) -> None:
        self._min_expires = min_expires
        self._max_expires = max_expires
        self._default_expires = default_expires
        self._max_bindings = max_bindings
        self._records: dict[str, _Record] = {}
        self._deadlines: Deadlines[_Record] = Deadlines()

    def __repr__(self) -> str:
        return f"<Registrar {len(self._records)} addresses of record>"

    def register(self, aor: str, request: Request, flow: Flow, now: float) -> RegisterAnswer:
        """Take a REGISTER for ``aor``, authenticated already, that came by ``flow``. All of it is done, or nothing."""
        before = self._alive(aor, now)
        try:
            after = self._updated(before, request, flow, now)
        except _Refused as refused:
            return RegisterAnswer(refused.status, refused.headers, False, before, refused.reason)
        self._keep(aor, after)
        headers = [("Contact", _spelled(binding, now)) for binding in after]
        # RFC 3327 5.3: the phone sees the path that its requests will come by.
        path = request.headers.values("Path") if any(binding.path for binding in after) else []
        through_path = bool(path)
        if through_path:
            headers.append(("Path", ", ".join(path)))
        if any(binding.reg_id and binding.call_id == request.call_id for binding in after):
            # RFC 5626 6: the phone learns that it is reached by the flow that it keeps open, and how often it should.
            headers.append(("Require", "outbound"))
            headers.append(("Flow-Timer", str(FLOW_TIMER_STREAM if flow.reliable else FLOW_TIMER_UDP)))
        if through_path or _speaks_outbound(request):
            headers.append(("Supported", "path, outbound"))
        return RegisterAnswer(200, tuple(headers), _places(before) != _places(after), self.bindings(aor, now))

    def bindings(self, aor: str, now: float) -> tuple[Binding, ...]:
        """Where the address of record can be reached: the best q first, among equals the latest.

        Of a phone with several flows it is the latest; the next one stands in when that is gone (RFC 5626 3.3).
        """
        found: list[Binding] = []
        for binding in self._alive(aor, now):
            if not binding.reg_id or all(binding.instance != each.instance for each in found):
                found.append(binding)
        return tuple(sorted(found, key=lambda binding: -binding.q))

    def flows(self, aor: str, now: float) -> tuple[Binding, ...]:
        """All that is bound, the latest first: what is to be stored."""
        return self._alive(aor, now)

    @property
    def deadline(self) -> float | None:
        """When the next binding runs out; None = none is there."""
        return self._deadlines.earliest

    def expire(self, now: float) -> list[str]:
        """Let go what has run out; returns the addresses of record whose bindings changed."""
        changed: list[str] = []
        while (record := self._deadlines.pop_due(now)) is not None:
            self._keep(record.aor, tuple(binding for binding in record.bindings if binding.expires_at > now))
            changed.append(record.aor)
        return changed

    def drop_connection(self, connection: int) -> list[str]:
        """A TCP or TLS connection is gone; returns the addresses of record whose bindings changed.

        A binding stays if there is another way: a path, or a phone that listens where its Contact says.
        """
        changed: list[str] = []
        if connection == 0:
            return changed
        for aor, record in list(self._records.items()):
            if any(binding.flow.connection == connection for binding in record.bindings):
                kept = (_without_connection(binding, connection) for binding in record.bindings)
                self._keep(aor, tuple(binding for binding in kept if binding is not None))
                changed.append(aor)
        return changed

    def load(self, aor: str, bindings: tuple[Binding, ...]) -> None:
        """Put back what was stored, the latest first, in place of what is there."""
        self._keep(aor, bindings[: self._max_bindings])

    def _alive(self, aor: str, now: float) -> tuple[Binding, ...]:
        record = self._records.get(aor)
        return tuple(b for b in record.bindings if b.expires_at > now) if record is not None else ()

    def _keep(self, aor: str, bindings: tuple[Binding, ...]) -> None:
        record = self._records.get(aor)
        if record is None:
            if not bindings:
                return
            record = self._records[aor] = _Record(aor)
        record.bindings = bindings
        self._deadlines.watch(record)
        if not bindings:
            del self._records[aor]

    def _updated(self, bindings: tuple[Binding, ...], request: Request, flow: Flow, now: float) -> tuple[Binding, ...]:
        contacts = request.contacts
        if contacts == "*":
            # 10.3, step 6.
            if request.expires != 0:
                raise _Refused(400, "Contact * needs Expires 0")
            for binding in bindings:
                _in_order(binding, request)
            return ()
        fresh: list[Binding] = []
        kept = list(bindings)
        outbound = _speaks_outbound(request)
        if outbound and len(contacts) > 1 and any(_reg_id(contact) for contact in contacts):
            raise _Refused(400, "One contact for each reg-id")
        path = _path(request)
        for contact in contacts:
            expires = self._granted(contact, request)
            uri = contact.uri
            if not uri.is_sip:
                raise _Refused(400, "Contact is no SIP URI")
            instance = contact.param("+sip.instance") or None
            reg_id = _reg_id(contact) if outbound and instance is not None else 0
            if reg_id and not _first_hop_is_outbound(request):
                raise _Refused(439, "First Hop Lacks Outbound Support")
            for binding in bindings:
                if reg_id and binding.reg_id and (binding.instance, binding.reg_id) != (instance, reg_id):
                    # Another flow, or another phone's: two behind two NATs may have the same contact.
                    continue
                if binding.contact.matches(uri):
                    _in_order(binding, request)
                    if binding in kept:
                        kept.remove(binding)
                elif instance is not None and binding.instance == instance and binding in kept:
                    # RFC 5626: the same phone at a new place, or its flow opened anew; the old one is dead.
                    kept.remove(binding)
            fresh = [binding for binding in fresh if not binding.contact.matches(uri)]
            if expires:
                fresh.append(
                    Binding(
                        contact=uri,
                        flow=flow if reg_id else _way_to(uri, request, flow),
                        q=_q(contact),
                        expires_at=now + expires,
                        call_id=request.call_id,
                        cseq=request.cseq.number,
                        path=path,
                        instance=instance,
                        user_agent=request.headers.get("User-Agent"),
                        reg_id=reg_id,
                    )
                )
        if len(fresh) > self._max_bindings:
            raise _Refused(403, "Too many contacts")
        return (*fresh, *kept)[: self._max_bindings]

    def _granted(self, contact: NameAddr, request: Request) -> int:
        """How many seconds the contact gets; 0 removes it (10.3, step 7)."""
        asked = contact.param("expires")
        # 20.10: what is no number means the default.
        if asked is not None:
            wanted = int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= 10 else self._default_expires
        else:
            wanted = request.expires if request.expires is not None else self._default_expires
        if 0 < wanted < self._min_expires and wanted < ALWAYS_LONG_ENOUGH:
            raise _Refused(423, None, (("Min-Expires", str(self._min_expires)),))
        return min(wanted, self._max_expires)


def _in_order(binding: Binding, request: Request) -> None:
    """An older REGISTER of the same client, come late, must not undo a newer one (10.3, steps 6 and 7)."""
    if binding.call_id == request.call_id and request.cseq.number <= binding.cseq:
        raise _Refused(500, "REGISTER out of order")


def _path(request: Request) -> tuple[str, ...]:
    """The way that requests to the contacts will take (RFC 3327): their Route, so it must be one."""
    try:
        values = tuple(request.headers.values("Path"))
        readable = all(NameAddr.parse(value).uri.is_sip for value in values)
    except SipParseError as error:
        raise _Refused(400, error.reason) from error
    if not readable:
        raise _Refused(400, "Path is no SIP URI")
    return values


def _q(contact: NameAddr) -> float:
    try:
        q = float(contact.param("q") or 1.0)
    except ValueError:
        return 1.0
    return q if 0.0 <= q <= 1.0 else 1.0


def _speaks_outbound(request: Request) -> bool:
    return "outbound" in request.option_tags("Supported") or "outbound" in request.option_tags("Require")


def _reg_id(contact: NameAddr) -> int:
    """Which of its flows a phone registers (RFC 5626 4.2); 0 where it does not say."""
    written = contact.param("reg-id") or ""
    return int(written) if written.isascii() and written.isdigit() and len(written) <= 10 else 0


def _first_hop_is_outbound(request: Request) -> bool:
    """Whether the flow ends here, or at a proxy that says that it keeps flows apart (RFC 5626 6)."""
    if len(request.vias) < 2:
        return True
    path = request.headers.values("Path")
    return bool(path) and NameAddr.parse(path[-1]).uri.has_param("ob")


def _way_to(contact: Uri, request: Request, flow: Flow) -> Flow:
    """How to reach a contact: where its REGISTER came from, so that a NAT lets us through.

    But a phone that is seen as it believes to be, and listens on another port of its host, is called there.
    """
    via, host = request.via, flow.remote.host
    as_believed = via.host == host and (via.port or flow.transport.default_port) == flow.remote.port
    if flow.reliable or not as_believed or contact.host != host or request.headers.get("Path") is not None:
        return flow
    return flow_towards(contact, flow)


def _spelled(binding: Binding, now: float) -> str:
    q = "" if binding.q == 1.0 else f";q={binding.q:.3g}"
    if binding.reg_id:
        q = f';+sip.instance="{binding.instance}";reg-id={binding.reg_id}{q}'
    # A phone that matches its own contact sees it as it wrote it.
    return f"<{binding.contact}>{q};expires={max(0, round(binding.expires_at - now))}"


def _places(bindings: tuple[Binding, ...]) -> set[tuple[str, Flow, float, tuple[str, ...]]]:
    """What a caller would notice of the bindings: not that they were refreshed."""
    return {(str(binding.contact), binding.flow, binding.q, binding.path) for binding in bindings}


def _without_connection(binding: Binding, connection: int) -> Binding | None:
    """The binding when its connection is gone; None when that was the only way."""
    flow = binding.flow
    if flow.connection != connection:
        return binding
    if binding.path:
        return replace(binding, flow=replace(flow, connection=0))
    if binding.reg_id:
        return None  # the flow is the binding (RFC 5626 3.2)
    contact = binding.contact
    port = contact.port or flow.transport.default_port
    here = literal(contact.host)
    if here is None or here != literal(flow.remote.host) or port == flow.remote.port:
        # Behind a NAT, or its contact is the very port the connection came from: nobody listens there.
        return None
    return replace(binding, flow=replace(flow, remote=Address(flow.remote.host, port), connection=0))
