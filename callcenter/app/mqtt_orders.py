"""Orders over MQTT: agents' and supervisors' commands, led to the floor or to where the desk's requests go."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from callcenter.acd.core import Acd
from callcenter.calls.commands import CommandDesk
from callcenter.calls.order_reading import is_for_the_desk
from callcenter.calls.orders import DISPOSITIONS, FIELDS
from callcenter.calls.services import Services
from callcenter.calls.settings import Supervisor
from callcenter.config.settings import DeskUser
from callcenter.control.protocol import MAX_ID, Asked, Reason
from callcenter.model.access import Actor, Role
from callcenter.operate.audit import CommandBooks

Told: TypeAlias = Mapping[str, Any] | Coroutine[Any, Any, Mapping[str, Any]]


class MqttOrders:
    """Takes commands from the broker. ``users`` gives those of the desk, some of whom may log in at the broker too."""

    def __init__(
        self, acd: Acd, desk: CommandDesk, services: Services, users: Callable[[], Mapping[str, DeskUser]]
    ) -> None:
        self._acd = acd
        self._desk = desk
        self._services = services
        self._users = users
        self.answer: Callable[[Asked], Coroutine[Any, Any, Mapping[str, Any]]] | None = None
        """Answers the commands of the control socket, whatever way they came: each once for its id."""
        self.for_programs: frozenset[str] = frozenset()
        """Those that programs may ask for in somebody's name."""
        self.books: CommandBooks | None = None

    def of_agent(self, agent: str, command: Mapping[str, Any]) -> Told:
        """An agent's program commands: the broker has proved whose it is."""
        if is_for_the_desk(command) or agent not in self._acd.plan.agents:
            told = self._desk.take(command, by="agent over MQTT", agent=agent)
            self._write_down(command, Actor(agent, Role.AGENT, agent=agent), told)
            return told
        clients = self._acd.who(agent).clients
        return self._business(command, Actor(agent, Role.AGENT, clients, agent=agent))

    def of_supervisor(self, login: str, command: Mapping[str, Any]) -> Told:
        """Who may write to a supervisor's topic is the broker's to prove; whom she may command for is ours."""
        supervisor, role = self._services.settings.supervisors.get(login), Role.SUPERVISOR
        user = self._users().get(login)
        if supervisor is None and user is not None and user.role is Role.ADMIN:
            supervisor, role = Supervisor(login, user.name, user.clients), Role.ADMIN
        if supervisor is None:
            error = f"no supervisor is named `{login}`"
            return {"id": command.get("id"), "ok": False, "error": error, "reason": Reason.FORBIDDEN.value}
        if is_for_the_desk(command):
            told = self._desk.take(command, by=f"{role} {supervisor.id} over MQTT", supervisor=supervisor)
            self._write_down(command, Actor(login, role, supervisor.clients), told)
            return told
        return self._business(command, Actor(login, role, supervisor.clients, agent=supervisor.agent))

    def _write_down(self, command: Mapping[str, Any], actor: Actor, told: Mapping[str, Any]) -> None:
        """An order of the moment goes into the books as one that came by the socket does."""
        do, name = command.get("do"), command.get("id")
        if self.books is None or not isinstance(do, str) or do not in FIELDS or do == DISPOSITIONS:
            return
        fields = {key: value for key, value in command.items() if key not in ("id", "do")}
        asked = Asked(do, f"{actor.role} {actor.user}", str(name), fields, actor, via="mqtt")
        self.books.ordered(asked, told)

    def _business(self, command: Mapping[str, Any], actor: Actor) -> Told:
        """What is no order of the moment, but said of what is kept: it goes where the desk's requests go too."""
        fields = {name: value for name, value in command.items() if name not in ("id", "do", "as")}
        do, name = command.get("do"), command.get("id")
        named = isinstance(name, str) and 0 < len(name) <= MAX_ID
        if self.answer is None or not isinstance(do, str) or do not in self.for_programs or not named:
            # The desk has the words for it.
            return self._desk.take(command, by=str(actor.role))
        return self.answer(Asked(do, f"{actor.role} {actor.user}", str(name), fields, actor, via="mqtt"))
