"""Events: what receivers are told of which fact, and by which name. Pure.

The record of a call is told when the call ends (``interaction.finished``, version 1), and again whenever it changes
after that (``interaction.changed``, version 2, 3, ...): with the wrap-up, a recording, a note, a correction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from callcenter.config.crm import CHANGED, FINISHED, wants
from callcenter.model.access import Scope
from callcenter.model.facts import BODIES, CallEnded, Fact, body_to_dict, utc
from callcenter.model.interaction import Interaction
from callcenter.publish.event_names import names_of
from callcenter.runtime.encoding import json_text

CHANGES = frozenset(
    {
        "WrapUpEnded",
        "RecordingEnded",
        "RecordingFailed",
        "NoteWritten",
        "DispositionChosen",
        "DispositionCorrected",
        "FieldsWritten",
    }
)
"""Facts that change the record of a call that is over, by their kinds."""

ERASED = "CustomerErased"

_READ: Mapping[str, Scope] = {
    "call": Scope.CALLS_READ,
    "callback": Scope.CALLBACKS_READ,
    "followup": Scope.FOLLOWUPS_READ,
    "customer": Scope.CUSTOMERS_READ,
}


def kinds_for(events: Iterable[tuple[str, ...]]) -> frozenset[str]:
    """The kinds of facts that have to be read for receivers who want these events."""
    found: set[str] = {ERASED} & BODIES.keys()
    for wanted in events:
        if wants(wanted, FINISHED):
            found.add(CallEnded.__name__)
        if wants(wanted, CHANGED):
            found |= CHANGES & BODIES.keys()
        found |= {kind for kind in BODIES if any(wants(wanted, name) for name in names_of(kind))}
    return frozenset(found)


def scopes_of(events: Iterable[str]) -> frozenset[Scope]:
    """What somebody must be allowed to read who has a receiver told of these events: it is told all that they say."""
    wanted, found = tuple(events), set()
    if wants(wanted, FINISHED) or wants(wanted, CHANGED):
        found.add(Scope.CALLS_READ)
    for name in {name for kind in BODIES for name in names_of(kind)}:
        if wants(wanted, name):
            found.add(_READ[name.partition(".")[0]])
    return frozenset(found)


def version_of(facts: Sequence[Fact]) -> int:
    """Which version of a call's record the last of its facts makes: 1 its end, then each change; 0: none.

    It is counted from the facts alone, so that whoever reads them again comes to the same.
    """
    version = 0
    makes = False
    for fact in facts:
        makes = isinstance(fact.body, CallEnded) if not version else fact.kind in CHANGES
        version += makes
    return version if makes else 0


def interaction_event(
    facts: Sequence[Fact],
    version: int,
    notes: Sequence[Mapping[str, Any]] = (),
    fields: Sequence[Mapping[str, Any]] = (),
) -> tuple[str, dict[str, Any]]:
    """What is told of a call's record as it is after these facts, and by which name.

    ``notes`` and ``fields`` are what people wrote of it, which stands in no fact.
    """
    record = Interaction.from_facts(facts).plain()
    last = facts[-1]
    name = FINISHED if version == 1 else CHANGED
    data = {"seq": last.seq, "client": record["client"], "call": last.call_id, "version": version}
    written = {"notes": list(notes), "fields": list(fields)}
    return name, {**data, "because": last.kind, "interaction": record, **written}


def fact_event(fact: Fact, client: str) -> dict[str, Any]:
    """What is told of one fact."""
    return {"seq": fact.seq, "client": client, "call": fact.call_id, "data": body_to_dict(fact.body)}


def body_of(name: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """The body as it is signed and sent."""
    return json_text({"type": name, "timestamp": utc(at), "data": data}).encode("ascii")


def delivery_id(webhook: str, fact: Fact, name: str) -> str:
    """The id of what a receiver is told of a fact by a name: the same, however often we come to tell it."""
    return "msg_" + hashlib.sha256(f"{webhook}\n{fact.boot}\n{fact.seq}\n{name}".encode()).hexdigest()[:26]
