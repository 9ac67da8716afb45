"""RegistrarShell: who is registered where: digest in front, the registrar core within, the store behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import structlog

from callcenter.runtime.clock import Clock
from callcenter.runtime.driver import Driver
from callcenter.signaling.challenger import NO, Challenger
from callcenter.signaling.reply import Reply
from callcenter.signaling.seldom import Seldom
from callcenter.sip.digest import Credentials, DigestServer
from callcenter.sip.endpoint import Refusal
from callcenter.sip.errors import SipError
from callcenter.sip.registrar import Binding, Registrar

if TYPE_CHECKING:
    from callcenter.signaling.gate import Gate
    from callcenter.sip.events import RequestReceived
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Request

# Stands for every connection of the time before a restart.
LOST = -1

# Of who is no agent; a trunk that knows its password would be told the same, and its operator must find out why.
UNKNOWN = "there is no such agent, and no trunk that may register here (register_here); others call, and prove it then"
# Characters of a user's name that are logged.
_MOST_OF_A_NAME = 64

log = structlog.get_logger()

OnChange = Callable[[str, tuple[Binding, ...]], None]


class LocationStore(Protocol):
    """Keeps registrations over a restart; ``expires_at`` is in seconds of the monotonic clock, here and now."""

    def save(self, aor: str, bindings: Sequence[Binding]) -> None:
        """These are the bindings of ``aor`` from now on; none removes it. Never waits."""
        ...

    async def load_all(self) -> Mapping[str, Sequence[Binding]]:
        """What was saved and has not run out; connections of the time before are 0."""
        ...


class RegistrarShell:
    """Answers REGISTER and knows the phones of each user.

    An address of record is the user alone: whatever host or domain of ours a phone puts behind it. A user registers
    only themselves, and from where ``admits`` lets them. ``on_change`` is told a user's bindings when they change, when
    a phone refreshes them (a sign of life that a phone thought lost may give), and at :meth:`open` for each restored.
    """

    def __init__(
        self,
        registrar: Registrar,
        digest: DigestServer,
        credentials: Callable[[str], Credentials | None],
        store: LocationStore,
        clock: Clock,
        on_change: OnChange,
        gate: Gate | None = None,
        admits: Callable[[str, Flow], bool] = lambda *_: True,
    ) -> None:
        self._admits = admits
        self._registrar = registrar
        self._challenger = Challenger(digest, clock, gate)
        self._seldom = Seldom()
        self._credentials = credentials
        self._store = store
        self._clock = clock
        self._on_change = on_change
        self._driver: Driver[str] = Driver(registrar, self._changed, clock)

    async def open(self) -> None:
        """Take up what was registered before the restart. Raises what the store raises."""
        loaded = await self._store.load_all()
        for aor, saved in loaded.items():
            if self._credentials(aor) is not None:  # nobody who was taken out of the configuration meanwhile
                self._registrar.load(aor, tuple(_as_lost(binding) for binding in saved))
        # Connections went with the restart: who listens nowhere else registers again.
        for aor in self._registrar.drop_connection(LOST):
            self._store.save(aor, self._flows(aor))
        for aor in loaded:
            if bindings := self.bindings(aor):
                self._on_change(aor, bindings)
        self._driver.run(())

    def ask_first(self, request: Request, flow: Flow) -> Refusal | None:
        """The challenge to a REGISTER without credentials; None: ``answer`` looks at it."""
        if request.method != "REGISTER" or "Authorization" in request.headers:
            return None
        return self._challenger.ask(flow)

    def answer(self, event: RequestReceived) -> Reply:
        """What a REGISTER is answered with."""
        request, flow = event.request, event.flow
        if request.method != "REGISTER":
            return Reply(405, (("Allow", "REGISTER"),))
        who = self._challenger.who(request, flow, self._credentials)
        try:
            named = request.to.uri.user or ""
            if who is NO:
                why = "wrong password, or wrong user for it" if self._credentials(named) else UNKNOWN
                self._tell_refusal(named, flow, why)
            if isinstance(who, Refusal):
                return Reply(who.status, who.headers)
            if named != who:
                return self._refuse(named, flow, f"the password is that of {who}")
            if not self._admits(who, flow):
                return self._refuse(named, flow, "it comes from none of the trunk's networks")
            answer = self._registrar.register(who, request, flow, self._driver.now())
        except SipError as error:
            return Reply(error.status)
        refreshed = answer.status == 200 and bool(request.contacts)
        self._driver.run((who,) if answer.changed or refreshed else ())
        return Reply(answer.status, answer.headers, answer.reason)

    def bindings(self, user: str) -> tuple[Binding, ...]:
        """The user's phones, the one to be called first in front."""
        return self._registrar.bindings(user, self._driver.now())

    def forget(self, user: str) -> None:
        """Let a user's phones go: they are nobody's any more. Does nothing when there are none."""
        if self.bindings(user):
            self._registrar.load(user, ())
            self._driver.run((user,))

    def connection_lost(self, connection: int) -> None:
        """Phones that can be reached over this connection only are gone."""
        self._driver.run(self._registrar.drop_connection(connection))

    def close(self) -> None:
        """Let nothing expire any more. May be called twice."""
        self._driver.close()

    def _refuse(self, named: str, flow: Flow, why: str) -> Reply:
        self._tell_refusal(named, flow, why)
        return Reply(self._challenger.no(flow).status)

    def _tell_refusal(self, named: str, flow: Flow, why: str) -> None:
        """Why, and only here. Phones try again and again, and so do who guess: not every time is logged."""
        who, host = named[:_MOST_OF_A_NAME], flow.remote.host
        if self._seldom.may_tell(self._clock.monotonic(), who, host):
            log.warning("registration refused", user=who, source=host, why=why)

    def __repr__(self) -> str:
        return f"<RegistrarShell {self._challenger.realm}>"

    def _changed(self, aor: str) -> None:
        self._store.save(aor, self._flows(aor))
        self._on_change(aor, self.bindings(aor))

    def _flows(self, aor: str) -> tuple[Binding, ...]:
        return self._registrar.flows(aor, self._driver.now())


def _as_lost(binding: Binding) -> Binding:
    flow = binding.flow
    return replace(binding, flow=replace(flow, connection=LOST)) if flow.reliable else binding
