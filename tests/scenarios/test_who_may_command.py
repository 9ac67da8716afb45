"""Every command, by every role, about another company's things: answered as what there is not, and nothing is done."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from unittest.mock import MagicMock

from callcenter.control.protocol import CommandError
from callcenter.model.access import SCOPES, Actor, Role
from callcenter.model.facts import utc
from callcenter.operate.commands import Commands
from callcenter.operate.life import Life
from callcenter.operate.reload import Reloader
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, story
from tests.scenarios.callbacks import SALES
from tests.scenarios.callbacks import furnish as furnish_callbacks
from tests.scenarios.commands import ask
from tests.scenarios.test_customers import create, furnish
from tests.scenarios.trunks import trunk

STRANGERS = (
    Actor("max", Role.AGENT, frozenset({"other"}), agent="max"),
    Actor("mia", Role.SUPERVISOR, frozenset({"other"})),
    Actor("mo", Role.ADMIN, frozenset({"other"})),
    Actor("other", Role.CLIENT, frozenset({"other"})),
)
"""People of the other company, by role."""

# What every command is asked with, beside the names of things in angle brackets.
ASKED: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "audit": ({"client": "<client>"},),
    "callback_schedule": (
        {"client": "<client>", "queue": "<queue>", "number": "<number>"},
        {"call": "<call>", "number": "<number>"},
        {"client": "<client>", "customer": "<customer>", "queue": "<queue>"},
    ),
    "callback_get": ({"callback": "<callback>"},),
    "callback_list": ({"client": "<client>"}, {"customer": "<customer>"}, {"number": "<number>"}, {"call": "<call>"}),
    "callback_change": ({"callback": "<callback>", "reason": "x"},),
    "callback_cancel": ({"callback": "<callback>"},),
    "callback_accept": ({"callback": "<callback>"},),
    "callback_decline": ({"callback": "<callback>"},),
    "trace": ({"call": "<call>"}, {"agent": "<agent>"}, {"number": "<number>"}),
    "why": ({"call": "<call>"}, {"agent": "<agent>"}, {"queue": "<queue>"}),
    "waiting": ({"queue": "<queue>"},),
    "customer_find": ({"client": "<client>", "number": "<number>"}, {"client": "<client>", "name": "grace"}),
    "customer_get": ({"client": "<client>", "customer": "<customer>"}, {"client": "other", "customer": "<customer>"}),
    "customer_create": ({"client": "<client>", "name": "x", "numbers": ["<number>"]},),
    "customer_update": (
        {"client": "<client>", "customer": "<customer>", "name": "x"},
        {"client": "other", "customer": "<customer>", "name": "x"},
    ),
    "customer_merge": (
        {"client": "<client>", "customer": "<customer>", "other": "<other>"},
        {"client": "other", "customer": "<customer>", "other": "<other>"},
    ),
    "customer_erase": ({"client": "<client>", "customer": "<customer>"}, {"client": "other", "customer": "<customer>"}),
    "customers_imported": ({"clients": {"<client>": {"added": 1, "changed": 0}}},),
    "do_not_call_add": ({"client": "<client>", "number": "<number>"}, {"call": "<call>"}),
    "do_not_call_remove": ({"client": "<client>", "entry": "<entry>"}, {"client": "other", "entry": "<entry>"}),
    "do_not_call": ({"client": "<client>"},),
    "do_not_call_import": ({"client": "<client>", "entries": [{"number": "<number>"}]},),
    "followup_create": (
        {"client": "<client>", "title": "x", "due_at": "in 1h", "queue": "<queue>"},
        {"client": "other", "title": "x", "due_at": "in 1h", "customer": "<customer>"},
        {"client": "other", "title": "x", "due_at": "in 1h", "call": "<call>"},
        {"client": "other", "title": "x", "due_at": "in 1h", "agent": "<agent>"},
    ),
    "followup_get": ({"followup": "<followup>"},),
    "followup_list": ({"client": "<client>"}, {"customer": "<customer>"}, {"call": "<call>"}, {"agent": "<agent>"}),
    "followup_figures": ({"client": "<client>"}, {"agent": "<agent>"}),
    "followup_update": ({"followup": "<followup>", "title": "x"},),
    "followup_attempt": ({"followup": "<followup>", "outcome": "no answer"},),
    "followup_done": ({"followup": "<followup>"},),
    "followup_cancel": ({"followup": "<followup>"},),
    "followup_reopen": ({"followup": "<followup>"},),
    "followup_take": ({"followup": "<followup>"},),
    "followup_assign": ({"followup": "<followup>", "queue": "<queue>"},),
    "note": (
        {"call": "<call>", "text": "x", "why": "x"},
        {"client": "<client>", "customer": "<customer>", "text": "x"},
        {"note": "<note>", "text": "x", "why": "x"},
    ),
    "notes": ({"call": "<call>"}, {"client": "<client>", "customer": "<customer>"}),
    "disposition": ({"call": "<call>", "disposition": "sold", "why": "x"},),
    "fields": ({"call": "<call>"}, {"call": "<call>", "values": {"order": "1"}, "why": "x"}),
    "timeline": ({"call": "<call>"},),
    "recording_open": ({"recording": "<recording>"},),
    # What is said for an agent, or of a call.
    "state": ({"agent": "<agent>", "chosen": "signed_out", "why": "x"},),
    "wrap_up_done": ({"agent": "<agent>"},),
    "wrap_up_extend": ({"agent": "<agent>"},),
    "dispositions": ({"agent": "<agent>"},),
    "roster": ({"agent": "<agent>", "skills": {"english": 1}},),
    "record_start": ({"agent": "<agent>"}, {"agent": "max", "call": "<call>"}),
    "record_stop": ({"agent": "<agent>"}, {"agent": "max", "call": "<call>"}),
    "record_pause": ({"agent": "<agent>"}, {"agent": "max", "call": "<call>"}),
    "record_resume": ({"agent": "<agent>"}, {"agent": "max", "call": "<call>"}),
    "supervise": ({"agent": "<agent>", "mode": "listen"}, {"call": "<call>", "mode": "listen"}),
    "send_digits": ({"agent": "<agent>", "digits": "1"}, {"agent": "max", "digits": "1", "call": "<call>"}),
    "entry_start": ({"agent": "<agent>", "entry": "card"}, {"agent": "max", "entry": "card", "call": "<call>"}),
    "entry_cancel": ({"agent": "<agent>"}, {"agent": "max", "call": "<call>"}),
    "consult": ({"agent": "<agent>", "to": "200"}, {"agent": "max", "to": "200", "call": "<call>"}),
    "consult_swap": ({"agent": "<agent>"}, {"agent": "max", "call": "<call>"}),
    "consult_join": ({"agent": "<agent>"}, {"agent": "max", "call": "<call>"}),
    "consult_drop": ({"agent": "<agent>"}, {"agent": "max", "call": "<call>"}),
    "consult_transfer": ({"agent": "<agent>"}, {"agent": "max", "call": "<call>"}),
    "hold": ({"agent": "<agent>"}, {"agent": "<agent>", "call": "<call>"}),
    "resume": ({"agent": "<agent>"},),
    "transfer": ({"agent": "<agent>", "to": "200"},),
    "hang_up": ({"agent": "<agent>"}, {"call": "<call>"}),
    "dial": ({"agent": "<agent>", "to": "200"},),
    "answer": ({"agent": "<agent>"}, {"agent": "max", "call": "<call>"}),
    "move": ({"call": "<call>", "queue": "<queue>"},),
    "priority": ({"call": "<call>", "priority": 5},),
    "take": ({"call": "<call>", "agent": "<agent>"}, {"call": "<call>", "agent": "max"}),
}
# What names nothing: what is told is narrowed to whom they see, and tried where it is told.
OF_NOTHING = frozenset({"snapshot", "reload", "reload_look"})

# Of these there is nothing here, of whomever.
BLIND = frozenset({"audit"})

NUMBERS = itertools.count(1)


def filled(fields: Mapping[str, Any], things: Mapping[str, str]) -> dict[str, Any]:
    """The fields with the names of things in the place of the brackets."""
    text = json.dumps(fields)
    for name, thing in things.items():
        text = text.replace(f"<{name}>", thing)
    assert "<" not in text, text
    whole: dict[str, Any] = json.loads(text)
    return whole


async def answer(world: World, actor: Actor, do: str, fields: Mapping[str, Any], things: Mapping[str, str]) -> str:
    """What is said to that, whatever it is, without the names that were asked with."""
    try:
        told = await ask(world, do, actor, f"c{next(NUMBERS)}", **filled(fields, things))
    except CommandError as error:
        told = {"refused": str(error), "reason": error.reason, "field": error.field, **error.details}
    text = json.dumps(told, default=str, sort_keys=True)
    for name, thing in sorted(things.items(), key=lambda item: -len(item[1])):
        text = text.replace(thing, f"<{name}>")
    return text


async def own_things(world: World) -> tuple[dict[str, str], Phone]:
    """One of everything that Tech has, by the name of the field that names it; and the caller's phone."""
    world.trunks(trunk(await world.carrier("carrier")))
    furnish_callbacks(world)
    furnish(world)
    amy = await world.agent("amy", english=5)
    await create(world, "grace-1", "+14155550101")
    await create(world, "grace-2", "+14155550102")
    caller = await world.phone("+14155550101")
    await world.connect(caller, amy)
    (call,) = world.house.supervisor.calls
    note = await ask(world, "note", id="n1", call=call, agent="amy", text="what was said")
    later = utc(world.clock.now() + timedelta(hours=2))
    of_grace: dict[str, Any] = {"client": "tech", "customer": "grace-1"}
    planned = await ask(world, "callback_schedule", id="b1", queue=SALES, number="+14155550101", not_before=later,
                        reason="promised", **of_grace)  # fmt: skip
    followup = await ask(world, "followup_create", id="f1", title="promised", due_at=later, agent="amy", **of_grace)
    entry = await ask(world, "do_not_call_add", id="d1", client="tech", number="+14155550109")
    things = {
        "client": "tech",
        "customer": "grace-1",
        "other": "grace-2",
        "call": call,
        "callback": planned["callback"]["id"],
        "followup": followup["followup"]["id"],
        "note": note["note"]["id"],
        "entry": entry["entry"]["id"],
        "agent": "amy",
        "queue": SALES,
        "number": "+14155550101",
        "recording": "r-1",
    }
    return things, caller


def no_things(things: Mapping[str, str]) -> dict[str, str]:
    """The same of what there is not: of the same form, and of no company."""
    return {name: f"+1415555{9000 + at}" if name == "number" else f"nothing-{at}" for at, name in enumerate(things)}


def test_no_command_is_left_out() -> None:
    nobody = MagicMock()
    asked = {name for name, each in Commands(nobody, Life(), nobody).all().items() if each.scope is not None}
    assert asked == set(ASKED) | OF_NOTHING


@story()
async def test_another_companys_things_are_answered_as_what_there_is_not(world: World) -> None:
    things, caller = await own_things(world)
    nothing = no_things(things)
    commands = Commands(world.house, Life(), Reloader(world.house, Life(), lambda: world.settings, None)).all()
    differ, told = [], []
    before = len(world.facts)
    for actor in STRANGERS:
        for do, questions in ASKED.items():
            for fields in questions:
                about_tech = await answer(world, actor, do, fields, things)
                about_nothing = await answer(world, actor, do, fields, nothing)
                if about_tech != about_nothing:
                    differ.append(f"{actor.role} {do} {dict(fields)}\n    {about_tech}\n    {about_nothing}")
                if commands[do].scope not in SCOPES[actor.role] and "refused" not in about_tech:
                    told.append(f"{actor.role} {do}")
    assert not differ, "\n".join(differ)
    assert not told
    kinds = {fact.kind for fact in world.facts[before:]} - {"AgentCommanded", "CallCommanded"}
    assert not kinds, f"nothing is done by strangers: {kinds}"
    # The things are there: whose they are is told something else of them than of nothing.
    own = Actor("ada", Role.ADMIN, frozenset({"tech"}))
    alike = [
        do
        for do, questions in ASKED.items()
        if not commands[do].changes and do not in BLIND
        for fields in questions[:1]
        if await answer(world, own, do, fields, things) == await answer(world, own, do, fields, nothing)
    ]
    assert not alike
    await caller.hangs_up()
    await world.sleep(60)
