"""Access: who asks for something, as what, for which companies; and what each role may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# A login's name, and a program's; longer ones are a mistake.
MAX_USER = 64


class Role(StrEnum):
    """As what somebody asks. ``CLIENT``: one of a client company, who looks at its own and changes nothing."""

    AGENT = "agent"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"
    CLIENT = "client"


class Scope(StrEnum):
    """What may be done. A token holds some of those of its role; who signs in holds all of them."""

    CALLS_READ = "calls:read"
    CALLS_CONTROL = "calls:control"
    AGENTS_READ = "agents:read"
    AGENTS_CONTROL = "agents:control"
    CUSTOMERS_READ = "customers:read"
    CUSTOMERS_WRITE = "customers:write"
    CUSTOMERS_ERASE = "customers:erase"
    CUSTOMERS_BULK = "customers:bulk"
    FOLLOWUPS_READ = "followups:read"
    FOLLOWUPS_WRITE = "followups:write"
    CALLBACKS_READ = "callbacks:read"
    CALLBACKS_WRITE = "callbacks:write"
    RECORDINGS_READ = "recordings:read"
    RECORDINGS_WRITE = "recordings:write"
    SUPERVISE = "supervise"
    REPORTS_READ = "reports:read"
    EVENTS_READ = "events:read"
    WEBHOOKS = "webhooks"
    TOKENS = "tokens"
    AUDIT_READ = "audit:read"
    CONFIG = "config"


_AGENT = frozenset(
    {
        Scope.CALLS_READ,
        Scope.CALLS_CONTROL,
        Scope.AGENTS_READ,
        Scope.CUSTOMERS_READ,
        Scope.CUSTOMERS_WRITE,
        Scope.FOLLOWUPS_READ,
        Scope.FOLLOWUPS_WRITE,
        Scope.CALLBACKS_READ,
        Scope.CALLBACKS_WRITE,
        Scope.EVENTS_READ,
    }
)
_SUPERVISOR = _AGENT | {
    # All of a company at once, in a file: an agent looks at whom he talks to.
    Scope.CUSTOMERS_BULK,
    Scope.AGENTS_CONTROL,
    Scope.SUPERVISE,
    Scope.RECORDINGS_READ,
    Scope.RECORDINGS_WRITE,
    Scope.REPORTS_READ,
}
SCOPES: Mapping[Role, frozenset[Scope]] = {
    Role.AGENT: _AGENT,
    Role.SUPERVISOR: _SUPERVISOR,
    Role.ADMIN: frozenset(Scope),
    Role.CLIENT: frozenset({Scope.CALLS_READ, Scope.RECORDINGS_READ, Scope.REPORTS_READ}),
}


class BadActor(ValueError):
    """Who is said to ask cannot be understood; one sentence says what to write."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks for something. ``clients``: the companies whose data and calls are theirs to see; None: all.

    ``scopes`` narrows what the role may; None: all of it. ``agent`` is as which agent they work; empty: as none.
    """

    user: str
    role: Role
    clients: frozenset[str] | None = None
    scopes: frozenset[Scope] | None = None
    agent: str = ""

    def may(self, scope: Scope) -> bool:
        """Whether this is theirs to do at all."""
        return scope in SCOPES[self.role] and (self.scopes is None or scope in self.scopes)

    def sees(self, client: str) -> bool:
        """Whether what is this client's is theirs to see."""
        return self.clients is None or client in self.clients

    def plain(self) -> dict[str, Any]:
        """As JSON values, for :meth:`from_plain`."""
        return {
            "user": self.user,
            "role": self.role.value,
            "clients": None if self.clients is None else sorted(self.clients),
            "scopes": None if self.scopes is None else sorted(self.scopes),
            "agent": self.agent,
        }

    @classmethod
    def from_plain(cls, values: object) -> Actor:
        """What :meth:`plain` gave. Raises BadActor."""
        if not isinstance(values, Mapping):
            raise BadActor('who asks is an object such as {"user": "ana", "role": "agent", "clients": ["acme"]}')
        user, role, agent = values.get("user"), values.get("role"), values.get("agent", "")
        if not isinstance(user, str) or not 0 < len(user) <= MAX_USER or not user.isprintable():
            raise BadActor(f"`user` is a text of 1 to {MAX_USER} characters")
        if not isinstance(role, str) or role not in list(Role):
            raise BadActor(f"`role` is one of {', '.join(Role)}")
        if not isinstance(agent, str) or len(agent) > MAX_USER:
            raise BadActor("`agent` is the name of an agent")
        clients, scopes = _names(values, "clients"), _names(values, "scopes")
        if scopes is not None and (unknown := sorted(scopes - set(Scope))):
            raise BadActor(f"`scopes`: there is no {unknown[0]}; there are {', '.join(Scope)}")
        narrowed = None if scopes is None else frozenset(Scope(each) for each in scopes)
        return cls(user, Role(role), clients, narrowed, agent)


def _names(values: Mapping[str, Any], name: str) -> frozenset[str] | None:
    found = values.get(name)
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise BadActor(f"`{name}` is a list of names, or null for all")
    return frozenset(found)


def operator(user: str) -> Actor:
    """Who works on the switch's own machine, as the user that it runs as: everything is theirs."""
    return Actor(user, Role.ADMIN)
