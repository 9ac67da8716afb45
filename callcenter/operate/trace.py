"""Trace: the messages of one call and the facts between them, for ``callcenter trace``."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from callcenter.control.protocol import Asked, CommandError, Reason, told
from callcenter.model.facts import CallArrived, Fact, OfferMade, PhoneChanged, reads
from callcenter.model.ids import is_slug
from callcenter.signaling.tracer import Seen, call_id_of
from callcenter.sip.masking import masked
from callcenter.storage.database import StorageError

if TYPE_CHECKING:
    from callcenter.app.house import House

# Calls that are remembered by their dialogs, the latest ones; their messages are gone before that.
MAX_CALLS = 5_000
# Dialogs and agents of one call: a caller who waits for hours is offered to many.
MAX_OF_A_CALL = 200
# In one answer; whoever follows asks for the rest.
MOST_MESSAGES = 1_000
MOST_FACTS = 1_000
# So many messages are looked at before other work gets its turn: some milliseconds.
SLICE = 2_000

WHICH = ("call", "number", "agent")


@dataclass(slots=True)
class KnownCall:
    """Whose call, and by which SIP dialogs; ``sip_call_ids`` in the order in which they began."""

    id: str
    from_number: str = ""
    to_number: str = ""
    agents: list[str] = field(default_factory=list)
    sip_call_ids: list[str] = field(default_factory=list)
    client: str = ""


class KnownCalls:
    """The last calls and their dialogs; a reader of facts, and told of every INVITE that we send."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, KnownCall] = OrderedDict()

    @reads(CallArrived, OfferMade, PhoneChanged)
    def take(self, fact: Fact) -> None:
        """A fact."""
        match fact.body:
            case CallArrived(from_number=from_number, to_number=to_number) as body if fact.call_id:
                call = self._calls[fact.call_id] = KnownCall(fact.call_id, from_number, to_number, client=body.client)
                call.sip_call_ids.append(body.sip_call_id)
                if len(self._calls) > MAX_CALLS:
                    self._calls.popitem(last=False)
            case OfferMade(agent=agent) if (offered := self._calls.get(fact.call_id or "")) is not None:
                _note(offered.agents, agent)
            case PhoneChanged(sip_call_id=sip_call_id) if (pulled := self._calls.get(fact.call_id or "")) is not None:
                _note(pulled.sip_call_ids, sip_call_id)
            case _:
                pass

    def dialled(self, sip_call_id: str) -> None:
        """We sent an INVITE: for the call in whose task we are, as the log has it."""
        call = self._calls.get(structlog.contextvars.get_contextvars().get("call_id", ""))
        if call is not None:
            _note(call.sip_call_ids, sip_call_id)

    def find(self, *, call: str = "", number: str = "", agent: str = "") -> KnownCall | None:
        """The last call that fits: ``call`` is its id, the end of it, or a SIP Call-ID of it."""
        for known in reversed(self._calls.values()):
            if call and not (known.id.endswith(call) or call in known.sip_call_ids):
                continue
            if number and number not in (known.from_number, known.to_number):
                continue
            if agent and agent not in known.agents:
                continue
            return known
        return None

    def __len__(self) -> int:
        return len(self._calls)


async def trace(house: House, asked: Asked) -> dict[str, Any]:
    """The ladder of one call, as plain values; messages without their secrets, in base64.

    ``call``, ``number`` or ``agent`` say which, else it is the last one. What never became a call (a number that nobody
    has, a phone that cannot register) is found by number, agent or SIP Call-ID too, as long as its messages are kept.
    ``after`` and ``after_fact`` are the numbers of the last message and fact that the asker has.
    """
    asked.only(*WHICH, "after", "after_fact")
    tracer = house.tracer
    if tracer is None:
        raise CommandError("no messages are kept: set `sip.trace: {messages: 20000}`, and start anew")
    which = {name: _text(asked, name) for name in WHICH if asked.fields.get(name) is not None}
    after, after_fact = _count(asked, "after"), _count(asked, "after_fact")
    behalf = asked.behalf
    all_of_it = behalf is None or behalf.clients is None
    call = house.known_calls.find(**which)
    if call is None and all_of_it:
        call = await _beside_calls(tracer.messages(), **which)
    if call is None or (behalf is not None and not behalf.sees(call.client)):
        # What never became a call is no company's, and whoever sees some companies alone is not shown it.
        raise CommandError(f"no call is known of {_said(which)}", Reason.NOT_FOUND, field="call")
    wanted = {sip_call_id.encode() for sip_call_id in call.sip_call_ids}
    messages = await _of_dialogs(tracer.messages(after), wanted)
    facts: list[Fact] = []
    if call.id:
        # Without its database a call is still shown as it was on the wire.
        with contextlib.suppress(StorageError):
            facts = await house.edges.storage.log.read(after_fact, MOST_FACTS, call.id)
    clock = house.edges.clock
    # The wall clock of a moment of the monotonic one: of now, minus how long ago it is.
    wall = clock.now().timestamp() - clock.monotonic()
    return {
        "call": call.id or None,
        "from": call.from_number,
        "to": call.to_number,
        "agents": call.agents,
        "sip_call_ids": call.sip_call_ids,
        "kept_since": round(tracer.oldest_at + wall, 3),
        "names": _names(house, house.acd.plan.agents if all_of_it else call.agents),
        "messages": [_message(seen, wall) for seen in messages],
        "facts": [told(fact)["fact"] for fact in facts],
        "up": call.id in house.supervisor.calls,
    }


async def _of_dialogs(messages: Iterable[Seen], wanted: set[bytes]) -> list[Seen]:
    """Those that belong to one of the dialogs."""
    found: list[Seen] = []
    for number, seen in enumerate(messages, start=1):
        # The cheap look first: most messages name none of them.
        if any(sip_call_id in seen.data for sip_call_id in wanted) and call_id_of(seen.data).encode() in wanted:
            found.append(seen)
            if len(found) >= MOST_MESSAGES:
                break
        if not number % SLICE:
            await asyncio.sleep(0)
    return found


async def _beside_calls(messages: Iterable[Seen], **which: str) -> KnownCall:
    """What never became a call: the last dialog or request that fits. Raises CommandError when there is none."""
    party = which.get("number") or which.get("agent") or ""
    named = re.compile(
        rb"^(?:from|to|f|t)[ \t]*:.*?(?:sips?|tel):" + re.escape(party.encode()) + rb"[@;>\r]",
        re.IGNORECASE | re.MULTILINE,
    )
    last = ""
    for number, seen in enumerate(messages, start=1):
        if (party and named.search(seen.data)) or (which.get("call") and which["call"] == call_id_of(seen.data)):
            last = call_id_of(seen.data)
        if not number % SLICE:
            await asyncio.sleep(0)
    if not last:
        told = f"no call is known of {_said(which)}" if which else "there was no call yet"
        raise CommandError(told, Reason.NOT_FOUND)
    agents = [which["agent"]] if "agent" in which else []
    return KnownCall("", agents=agents, sip_call_ids=[last])


def _said(which: Mapping[str, str]) -> str:
    return " and ".join(f"{name} {value}" for name, value in which.items())


def _message(seen: Seen, wall: float) -> dict[str, Any]:
    return {
        "number": seen.number,
        "at": round(seen.at + wall, 6),
        "sent": seen.sent,
        "transport": str(seen.flow.transport),
        "local": [seen.flow.local.host, seen.flow.local.port],
        "remote": [seen.flow.remote.host, seen.flow.remote.port],
        "data": base64.b64encode(masked(seen.data)).decode("ascii"),
    }


def _names(house: House, agents: Iterable[str]) -> dict[str, str]:
    """Who is at which address, of these agents and those who are registered."""
    return {
        str(binding.flow.remote): agent
        for agent in agents
        for binding in house.registrar.bindings(agent)
    }  # fmt: skip


def _note(names: list[str], name: str) -> None:
    if name not in names and len(names) < MAX_OF_A_CALL:
        names.append(name)


def _text(asked: Asked, name: str) -> str:
    value = asked.fields[name]
    if not isinstance(value, str) or not value or (name == "agent" and not is_slug(value)):
        raise CommandError(f"`{name}` is a text")
    return value


def _count(asked: Asked, name: str) -> int:
    value = asked.fields.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise CommandError(f"`{name}` is the number of the last one that you have; 0: none")
    return value
