"""A desk over a filled database: calls and recordings of two companies, and a switch that answers."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.desk.integrations.lane import Verdict
from callcenter.desk.integrations.store import Event, Hook
from callcenter.media.embedded.recorder.files import create
from callcenter.media.embedded.recorder.sealing import Format
from callcenter.media.plane import RecordingEncoding
from callcenter.model.access import Role, operator
from callcenter.model.customer import Customer
from callcenter.model.facts import (
    Body,
    CallAnswered,
    CallConnected,
    CallEnded,
    CallQueued,
    Fact,
    OfferEnded,
    OfferMade,
    QueueLeft,
    RecordingEnded,
    RecordingStarted,
)
from callcenter.model.interaction import Interaction
from callcenter.model.note import Note
from callcenter.model.states import EndCause, OfferResult, Side, VisitOutcome
from callcenter.runtime.clock import SystemClock
from tests.unit.desk.support import TWO_COMPANIES, Answer, Floor, open_floor
from tests.unit.desk.test_callbacks import ONE as CALLBACK
from tests.unit.desk.test_followups import ENTRY
from tests.unit.desk.test_followups import ONE as FOLLOWUP
from tests.unit.storage.support import arrived

ACME = {
    "call": "cc1-acme-0", "recording": "r-acme-0", "queue": "sales", "agent": "ana", "client": "acme",
    "note": "x-acme", "customer": "k-acme", "callback": "b-acme", "followup": "f-acme", "entry": "e-acme",
    "webhook": "w-acme", "delivery": "msg_acme", "token": "t-acme", "number": "+14155550100",
}  # fmt: skip
GLOBEX = {
    "call": "cc1-globex-0", "recording": "r-globex-0", "queue": "globex-sales", "agent": "bob", "client": "globex",
    "note": "x-globex", "customer": "k-globex", "callback": "b-globex", "followup": "f-globex", "entry": "e-globex",
    "webhook": "w-globex", "delivery": "msg_globex", "token": "t-globex", "number": "+12125550199",
}  # fmt: skip
NONE = {
    "call": "cc1-none", "recording": "r-none", "queue": "none", "agent": "none", "client": "none",
    "note": "x-none", "customer": "k-none", "callback": "b-none", "followup": "f-none", "entry": "e-none",
    "webhook": "w-none", "delivery": "msg_none", "token": "t-none", "number": "+13105550177",
}  # fmt: skip
# Whatever is only Globex's, and may stand in nothing that Acme is told.
SECRETS = ("globex", "bob", "+12125550199")
CALLS_OF_EACH = 3
SECRET = "whsec_" + "MDEy" * 8
FOLLOWUP_DOES = (
    "create", "get", "list", "figures", "update", "attempt", "done", "cancel", "reopen", "take", "assign",
)  # fmt: skip
CUSTOMER_DOES = ("find", "get", "create", "update", "merge")
# What is ordered of an agent, or of a call that is up.
ORDERS = (
    "state", "roster", "wrap_up_done", "wrap_up_extend", "dial", "answer", "hold", "resume", "transfer", "consult",
    "consult_join", "hang_up", "record_pause", "send_digits", "entry_start", "entry_cancel", "move", "priority", "take",
    "supervise",
)  # fmt: skip
PLAIN = Format(RecordingEncoding.PCM, 8000)
SOUND = bytes(range(256)) * 40


def story(whose: Mapping[str, str], number: int, caller: str) -> list[Body]:
    """A call that waits, is answered by its agent, and recorded."""
    client, queue, agent = whose["client"], whose["queue"], whose["agent"]
    visit, offer = f"v-{client}-{number}", f"o-{client}-{number}"
    recording, path = f"r-{client}-{number}", f"{client}/r{number}"
    return [
        replace(arrived(caller, "=1+1"), client=client),
        CallAnswered(),
        CallQueued(visit, queue, client, 0, (), 0),
        OfferMade(visit, offer, 1, queue, agent, 20_000, 25_000),
        OfferEnded(visit, offer, agent, OfferResult.ACCEPTED),
        QueueLeft(visit, queue, VisitOutcome.ANSWERED),
        CallConnected(visit, offer, agent),
        RecordingStarted(recording, path, client, "the queue", offer=offer, agent=agent, queue=queue),
        RecordingEnded(recording, agent, f"{path}.wav", 640, 44 + len(SOUND), "ab" * 32, "stopped"),
        CallEnded(Side.CALLER, EndCause.HANGUP),
    ]


async def fill(floor: Floor, folder: Path) -> None:
    """Calls of both companies, each with a recording."""
    storage = floor.storage
    for whose, caller in ((ACME, "+14155550100"), (GLOBEX, "+12125550199")):
        customer = Customer(whose["customer"], whose["client"], "Jo", (caller,))
        await storage.customers.create(customer, SystemClock().now())
        for number in range(CALLS_OF_EACH):
            call_id = f"cc1-{whose['client']}-{number}"
            facts: list[Fact] = []
            for body in story(whose, number, caller):
                facts.append(floor.stream.append(body, call_id))
                storage.recordings.take(facts[-1])
            storage.interactions.save(Interaction.from_facts(facts))
            file = create(str(folder / whose["client"] / f"r{number}"), PLAIN, None)
            file.write(SOUND)
            file.finish()
            file.name()
    await storage.log.drained()


def states() -> dict[str, Any]:
    """What is retained of both, and of the house."""
    found: dict[str, Any] = {"callcenter/v1/system/config": {"revision": "r1", "loaded_at": "now", "by": "start"}}
    for whose in (ACME, GLOBEX):
        queue, agent, client = whose["queue"], whose["agent"], whose["client"]
        found[f"callcenter/v1/queues/{queue}/state"] = {"schema": "queue.v1", "queue": queue, "client": client}
        found[f"callcenter/v1/clients/{client}/state"] = {"schema": "client.v1", "client": client}
        state = {"schema": "agent.v1", "agent": agent, "call": whose["call"]}
        found[f"callcenter/v1/agents/{agent}/state"] = state
    return found


class _Refusing(dict[str, Answer]):
    """What the switch answers; of all else there is nothing."""

    def __missing__(self, do: str) -> Answer:
        return CommandError(f"there is nothing for {do}", Reason.NOT_FOUND)


def theirs(asked: Asked) -> Mapping[str, str]:
    """Whose thing is asked for: the switch's own commands check it as this does. Raises CommandError."""
    named = set(map(str, asked.fields.values()))
    for whose in (ACME, GLOBEX, NONE):
        hidden = whose is NONE or not asked.actor.sees(whose["client"])
        if hidden and named & set(whose.values()):
            raise CommandError("there is no such thing", Reason.NOT_FOUND)
    for whose in (ACME, GLOBEX):
        if named & set(whose.values()):
            return whose
    raise CommandError(f"there is no {sorted(named)}", Reason.NOT_FOUND)


def note_of(whose: Mapping[str, str]) -> dict[str, Any]:
    """A note of a call of theirs."""
    at = "2026-11-21T12:00:00.000Z"
    about = (whose["client"], whose["call"], whose["customer"], whose["agent"], whose["agent"])
    return Note(whose["note"], *about, at, at, f"agent {whose['agent']}", 1, False, "late again").plain()


def talk_of(whose: Mapping[str, str]) -> dict[str, Any]:
    """A talk of theirs."""
    return {"call": whose["call"], "agent": whose["agent"], "offer": f"o-{whose['client']}-0"}


def callback_of(whose: Mapping[str, str]) -> dict[str, Any]:
    """A callback of theirs."""
    return {
        **CALLBACK, "id": whose["callback"], "client": whose["client"], "queue": whose["queue"],
        "number": whose["number"], "customer": whose["customer"], "created_by": f"agent {whose['agent']}",
        "call": whose["call"], "prefer": whose["agent"], "history": [],
    }  # fmt: skip


def followup_of(whose: Mapping[str, str]) -> dict[str, Any]:
    """A follow-up of theirs."""
    own = {name: whose[name] for name in ("client", "customer", "number", "call", "queue", "agent", "callback")}
    return {**FOLLOWUP, **own, "id": whose["followup"], "created_by": whose["agent"], "made_by": whose["agent"]}


def entry_of(whose: Mapping[str, str]) -> dict[str, Any]:
    """A number that is not called."""
    return {**ENTRY, "id": whose["entry"], "client": whose["client"], "number": whose["number"], "call": whose["call"]}


def customer_of(whose: Mapping[str, str]) -> dict[str, Any]:
    """A customer of theirs, as the switch tells one."""
    return Customer(whose["customer"], whose["client"], "Jo", (whose["number"],), revision=1).plain()


async def renew(floor: Floor) -> None:
    """Have what the desk itself keeps of each company there, whatever became of it: a token, and a receiver of
    webhooks, who was told of one event.
    """
    store = floor.desk.integrations.store
    for table in ("deliveries", "webhooks", "webhook_lanes"):
        await floor.desk.own.execute(f"DELETE FROM {table}")
    there = {each.name for each in await floor.desk.tokens.all() if each.revoked_at is None}
    for whose in (ACME, GLOBEX):
        await floor.desk.tokens.revoke(f"new-{whose['token']}")
        if whose["token"] not in there:
            clients = frozenset({whose["client"]})
            await floor.desk.tokens.create(operator("test"), whose["token"], Role.CLIENT, clients=clients)
    for whose in (ACME, GLOBEX):
        client, name = whose["client"], whose["webhook"]
        # Within this machine: nothing is sent to what the API has made there.
        hook = Hook(name, client, "https://127.0.0.1:9/", ("interaction",), "", SECRET, "", 0.0, 1.0, whose["agent"])
        await store.save_hook(hook)
        told = Event(whose["delivery"], name, client, 1, "interaction.finished", whose["call"], "", b"{}",
                     Verdict.DELIVERED)  # fmt: skip
        await store.take([told], 1, 1.0)
    await floor.desk.integrations.webhooks.refresh()


@contextlib.asynccontextmanager
async def open_filled(folder: Path) -> AsyncIterator[Floor]:
    """Such a desk, while the block lasts."""
    async with open_floor(folder, TWO_COMPANIES, "desk.rate.burst=1000000") as floor:
        floor.answers = _Refusing()
        recordings = floor.desk.settings.calls.recording.directory
        await fill(floor, recordings)

        async def snapshot(asked: Asked) -> Mapping[str, Any]:
            return {"seq": floor.stream.seq, "boot": "boot", "at": "2026-11-21T12:00:00.000Z", "states": states()}

        async def why(asked: Asked) -> Mapping[str, Any]:
            return {"lines": ["offered to them"], "call": theirs(asked)["call"], "decisions": [], "waiting": []}

        async def trace(asked: Asked) -> Mapping[str, Any]:
            return {"call": theirs(asked)["call"], "sip_call_ids": [], "messages": [], "facts": []}

        async def waiting(asked: Asked) -> Mapping[str, Any]:
            whose = theirs(asked)
            caller = {
                "call": whose["call"], "client": whose["client"], "position": 1, "priority": 0, "from": "+14155550100",
                "customer": "", "waited_s": 1.5, "in_line_s": 1.5, "offered_to": [whose["agent"]], "preferred": "",
                "only": "", "step": 0, "tries": 0, "callback": "",
            }  # fmt: skip
            return {"queue": whose["queue"], "client": whose["client"], "waiting": 1, "callers": [caller]}

        async def note(asked: Asked) -> Mapping[str, Any]:
            return {"note": note_of(theirs(asked))}

        async def notes(asked: Asked) -> Mapping[str, Any]:
            return {"notes": [{**note_of(theirs(asked)), "revisions": []}]}

        async def disposition(asked: Asked) -> Mapping[str, Any]:
            said = {"before": "", "disposition": "sold", "label": "Sold", "corrects": False}
            return {**talk_of(theirs(asked)), **said}

        async def fields(asked: Asked) -> Mapping[str, Any]:
            return {**talk_of(theirs(asked)), "fields": [], "missing": [], "history": []}

        async def about(asked: Asked) -> Mapping[str, Any]:
            """Whatever is said of their things: each command takes of it what it promises."""
            whose = theirs(asked)
            customer = customer_of(whose)
            return {
                "call": whose["call"], "callback": callback_of(whose), "merged": False, "items": [], "next": None,
                "followup": followup_of(whose), "entry": entry_of(whose), "customer": customer,
                "customers": [customer], "match": "sure", "conflicts": {}, "version": 1, "definitions": {},
                "client": whose["client"], "found": True, "dry": True, "erased": {}, "kept": [],
                "added": 1, "known": 0, "rejected": [],
            }  # fmt: skip

        async def erased(asked: Asked) -> Mapping[str, Any]:
            return {**await about(asked), "customers": [theirs(asked)["customer"]]}

        async def recording_open(asked: Asked) -> Mapping[str, Any]:
            whose = theirs(asked)
            path = f"{whose['client']}/{str(asked.fields['recording']).removeprefix(f'''r-{whose['client']}-''')}"
            return {"directory": str(recordings), "recording": {"path": path.replace("/", "/r") + ".wav"}}

        reading = {"before": "r1", "revision": "r2", "files": 1, "changes": [], "calls": 0, "warnings": []}
        floor.answers.update(
            snapshot=snapshot, why=why, trace=trace, waiting=waiting, recording_open=recording_open,
            reload_look=reading, reload=reading, health={"reasons": []}, audited={}, note=note, notes=notes,
            disposition=disposition, fields=fields, customer_erase=erased,
            **{f"callback_{do}": about for do in ("get", "list", "schedule", "change", "cancel", "accept", "decline")},
            **{f"followup_{do}": about for do in FOLLOWUP_DOES}, **{f"customer_{do}": about for do in CUSTOMER_DOES},
            **{f"do_not_call{do}": about for do in ("", "_add", "_remove", "_import")}, **dict.fromkeys(ORDERS, about),
        )  # fmt: skip
        await renew(floor)
        yield floor
