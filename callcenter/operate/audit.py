"""Audit: the books of every command that changes something, whichever door it came by, and a look into them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import structlog

from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command
from callcenter.control.skeleton import is_id, skeleton
from callcenter.model.access import Scope
from callcenter.model.facts import utc
from callcenter.operate.fields import moment, number, text
from callcenter.storage.audit import DONE, MOST, Act, Answer, find_acts
from callcenter.storage.database import StorageError

if TYPE_CHECKING:
    from callcenter.app.house import House

DEFAULT_LIMIT = 50
NEWEST = 2**63 - 1
PRUNED_EVERY = timedelta(hours=6)
# What a command is about, the nearest first: a note of a call is about the note.
NOUNS = (
    "note",
    "followup",
    "task",
    "callback",
    "recording",
    "customer",
    "call",
    "agent",
    "queue",
    "worker",
    "revision",
)

log = structlog.get_logger()


class CommandBooks:
    """Writes down who had what changed, and remembers answers over a restart (``control.server.Books``)."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._audit = house.edges.storage.audit
        self._pruned = house.edges.clock.now()
        self._audit.prune(self._pruned)

    async def before(self, asked: Asked) -> Mapping[str, Any] | None:
        """The result of the same before a restart. Raises CommandError for another command under its id."""
        if asked.id is None or asked.behalf is None:
            return None  # who works on this machine takes a new id for each command
        try:
            found = await self._audit.answer(asked.by, asked.id, self._house.edges.clock.now())
        except StorageError as error:
            log.warning("answers of before cannot be read", detail=str(error))
            return None
        if found is None:
            return None
        # Of what stands in a command there is no trace any more when somebody was erased since: it may be they.
        if found.do not in ("", asked.do) or (found.digest and found.digest != _digest(asked)):
            sentence = f"the id `{asked.id}` was used for another command: take a new one for each"
            raise CommandError(sentence, Reason.CONFLICT, field="id")
        return found.result

    def done(self, asked: Asked, command: Command, result: Mapping[str, Any]) -> None:
        """It was done."""
        now = self._house.edges.clock.now()
        self._note(asked, DONE, result)
        if command.forgets:
            if command.has_forgotten(asked):
                self._audit.forget_answers()
        elif asked.id is not None and asked.behalf is not None and not command.secret:
            answer = Answer(asked.do, _digest(asked), result)
            self._audit.keep(asked.by, asked.id, answer, skeleton(result), now)
        if now - self._pruned >= PRUNED_EVERY:
            self._pruned = now
            self._audit.prune(now)

    def refused(self, asked: Asked, reason: Reason) -> None:
        """It was not done."""
        self._note(asked, reason.value, {})

    def ordered(self, asked: Asked, told: Mapping[str, Any]) -> None:
        """An order of an agent's or a supervisor's program, and what it was told."""
        self._note(asked, DONE if told.get("ok") else str(told.get("reason") or Reason.INVALID.value), {})

    def _note(self, asked: Asked, outcome: str, result: Mapping[str, Any]) -> None:
        at = utc(self._house.edges.clock.now())
        client = _of("client", asked.fields, result)
        if client not in self._house.services.settings.clients:
            client = self._client_of(asked, result)
        target = next((found for noun in NOUNS if (found := _of(noun, asked.fields, result))), "")
        actor = asked.actor
        act = Act(0, at, actor.user, actor.role.value, asked.via, asked.do, client, target, outcome, asked.id or "")
        self._audit.note(act)

    def _client_of(self, asked: Asked, result: Mapping[str, Any]) -> str:
        """Whose business it was, where the command does not say: that of the call, or of the agent's only company."""
        call = self._house.supervisor.calls.get(_of("call", asked.fields, result))
        if call is not None and call.client is not None:
            return call.client.id
        agent = self._house.settings.plan.agents.get(_of("agent", asked.fields, result) or asked.actor.agent)
        return next(iter(agent.clients)) if agent is not None and len(agent.clients) == 1 else ""


def audit_commands(house: House) -> Mapping[str, Command]:
    """The commands by their names."""

    async def listed(asked: Asked) -> dict[str, Any]:
        asked.only("client", "user", "action", "target", "since", "until", "before", "limit")
        client, clients = text(asked, "client"), asked.actor.clients
        if client:
            clients = frozenset({client}) if asked.actor.sees(client) else frozenset()
        try:
            found = await find_acts(
                house.edges.storage.database,
                clients=clients,
                user=text(asked, "user"),
                action=text(asked, "action"),
                target=text(asked, "target"),
                since=moment(asked, "since"),
                until=moment(asked, "until"),
                before=number(asked, "before", least=0, most=NEWEST, usual=0) or None,
                limit=number(asked, "limit", least=1, most=MOST, usual=DEFAULT_LIMIT),
            )
        except StorageError as error:
            raise CommandError(str(error), Reason.UNAVAILABLE) from error
        return {"acts": [each.plain() for each in found]}

    async def audited(asked: Asked) -> dict[str, Any]:
        """What was done in the desk's own database: the desk alone says so."""
        asked.only("user", "role", "action", "client", "target")
        user, role, action = (text(asked, name, wanted=True) for name in ("user", "role", "action"))
        at = utc(house.edges.clock.now())
        act = Act(0, at, user, role, "desk", action, text(asked, "client"), text(asked, "target"))
        house.edges.storage.audit.note(act)
        return {}

    return {
        "audit": Command(listed, changes=False, scope=Scope.AUDIT_READ),
        "audited": Command(audited, changes=False),
    }


def _of(noun: str, *places: Mapping[str, Any]) -> str:
    """The id that stands under a noun, or under `id` within it; empty where there is none."""
    for place in places:
        value = place.get(noun)
        if isinstance(value, Mapping):
            value = value.get("id", value.get(noun))
        if is_id(value):
            return str(value)
        for inner in place.values():
            if isinstance(inner, Mapping) and is_id(found := inner.get(noun)):
                return str(found)
    return ""


def _digest(asked: Asked) -> bytes:
    """Tells one command from another, and nothing of what stands in it."""
    return hashlib.sha256(json.dumps([asked.do, dict(asked.fields)], sort_keys=True).encode()).digest()
